//! Series from outside: forecasts, prices, CO2 intensity, as they were received.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ground::time::{Duration, Utc};

/// Steps that are taken of one series: a week of quarter hours, twice.
pub const STEPS_MAX: usize = 1344;

/// Nothing on a charging site is larger; what is, is no number of ours.
const VALUE_MAX: f64 = 1e6;

/// What lies further from the issue is a wrong clock or a wrong unit.
const FAR: Duration = Duration::hours(24 * 40);

/// The year 2200; no clock is right that shows more.
const TIME_MAX: Utc = Utc::from_millis(7_258_118_400_000);

/// What a series from outside says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedKind {
    /// Power of the site's PV, in kW.
    Pv,
    /// Building load, in kW.
    Load,
    /// Price of the market, in EUR per kWh, before fees.
    Price,
    /// Intensity of the grid, in g CO2 per kWh.
    Co2,
}

impl FeedKind {
    /// The unit of its values.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Pv | Self::Load => "kW",
            Self::Price => "EUR/kWh",
            Self::Co2 => "g/kWh",
        }
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Pv => "PV forecast",
            Self::Load => "load forecast",
            Self::Price => "price",
            Self::Co2 => "CO2 intensity",
        }
    }
}

/// A series that comes from outside, as it is configured: from where, and how it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// What people call it.
    pub id: String,
    /// What it says.
    pub kind: FeedKind,
    /// Where it comes from.
    pub place: Place,
    /// JSON pointer (RFC 6901) to the list or map of the series; none for the whole document.
    pub series: Option<String>,
    /// JSON pointer to the list of times, where times and values are two lists.
    pub times: Option<String>,
    /// JSON pointer to the time of issue; none where the document does not say.
    pub issued: Option<String>,
    /// Key or column of the time.
    pub time_key: String,
    /// Key or column of the value.
    pub value_key: String,
    /// IANA zone of times that do not name one.
    pub zone: String,
    /// Multiplies a value into the unit of its kind: unit × scale.
    pub factor: f64,
    /// No value of this site is smaller than this …
    pub least: f64,
    /// … or larger than this.
    pub most: f64,
}

/// Where a [`Feed`] comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// Published to this MQTT topic.
    Topic(String),
    /// Fetched from this address.
    Url {
        /// `http://` or `https://`.
        url: String,
        /// So often.
        every: Duration,
        /// File whose first line is sent as a bearer token.
        token_file: Option<PathBuf>,
    },
    /// Read from this file whenever it has changed.
    File(PathBuf),
}

impl Place {
    /// In words, without what may be secret.
    pub fn words(&self) -> String {
        match self {
            Self::Topic(topic) => format!("mqtt topic {topic}"),
            Self::Url { url, .. } => {
                // A query may hold a key.
                url.split(['?', '#']).next().unwrap_or_default().to_owned()
            }
            Self::File(path) => format!("file {}", path.display()),
        }
    }
}

/// A series as it was received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Received {
    /// Where it came from, in words ("mqtt topic prices/day").
    pub source: String,
    /// When it was issued, or heard where it does not say.
    pub issued: Utc,
    /// Values in force from their time until the next, rising in time.
    pub steps: Vec<(Utc, f64)>,
    /// The last value holds until then.
    pub until: Utc,
}

impl Received {
    /// Sorted, without values and times that cannot be, at most [`STEPS_MAX`] steps, the latest.
    /// The last step is as long as the one before it, an hour where there is only one.
    pub fn new(source: &str, issued: Utc, mut steps: Vec<(Utc, f64)>) -> Self {
        let issued = issued.clamp(Utc::from_millis(0), TIME_MAX);
        let is_near = |at: Utc| at.since(issued).as_millis().saturating_abs() <= FAR.as_millis();
        steps.retain(|(at, value)| value.abs() <= VALUE_MAX && is_near(*at));
        steps.reverse();
        steps.sort_by_key(|(at, _)| *at);
        steps.dedup_by_key(|(at, _)| *at);
        if STEPS_MAX < steps.len() {
            steps.drain(..steps.len() - STEPS_MAX);
        }
        let until = match steps.as_slice() {
            [.., (before, _), (last, _)] => *last + last.since(*before),
            [(only, _)] => *only + Duration::hours(1),
            [] => issued,
        };
        Self { source: source.to_owned(), issued, steps, until }
    }

    /// The value in force at this time; none before the first step and after the last.
    pub fn at(&self, at: Utc) -> Option<f64> {
        if self.until <= at {
            return None;
        }
        let next = self.steps.partition_point(|(start, _)| *start <= at);
        next.checked_sub(1).map(|index| self.steps[index].1)
    }
}
