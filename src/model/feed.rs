//! Series from outside: forecasts, prices, CO2 intensity, as they were received.

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
