//! One stay of a car: as it is told when it ends, and as it is kept.

use serde::{Deserialize, Serialize};

use crate::ground::calendar::Calendar;
use crate::ground::ids::{EvseId, IdToken};
use crate::ground::time::{Duration, Utc};

/// A stay that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Stay {
    /// Who charged; absent where nobody said.
    pub token: Option<IdToken>,
    /// Where.
    pub evse: EvseId,
    /// When the car came.
    pub arrival: Utc,
    /// When it was unplugged, else when it stopped.
    pub departure: Utc,
    /// What it took, in kWh.
    pub energy_kwh: f64,
    /// The car had what it wanted: it stopped taking by itself while more was offered. Where not,
    /// it may have wanted more.
    pub full: bool,
    /// What the driver asked for, in kWh.
    pub declared_kwh: Option<f64>,
    /// When the driver said to leave.
    pub declared_departure: Option<Utc>,
    /// State of charge on arrival, in percent, as the driver said.
    pub arrival_soc: Option<f64>,
    /// State of charge that was wanted, in percent.
    pub target_soc: Option<f64>,
    /// The highest current that was seen on a phase, in A.
    pub most_a: f64,
    /// The car was offered more than that and took no more.
    pub most_is_limit: bool,
    /// Phases that were seen to carry current; 0 if that never was certain.
    pub phases: u8,
    /// Phases that the EVSE has.
    pub wires: u8,
    /// The highest power that was seen, in kW.
    pub max_kw: f64,
}

/// What is kept of a stay: no more than what is needed to expect the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// When the car came.
    #[serde(rename = "at")]
    pub arrival: Utc,
    /// Minute of the local day then.
    #[serde(rename = "clock")]
    pub minute: i16,
    /// Local weekday then; 0 is Monday.
    #[serde(rename = "day")]
    pub weekday: u8,
    /// How long it stayed.
    #[serde(rename = "min")]
    pub stay_min: f64,
    /// What it took.
    pub kwh: f64,
    /// It had what it wanted.
    pub full: bool,
    /// How long the driver said to stay.
    #[serde(rename = "said_min", default, skip_serializing_if = "Option::is_none")]
    pub declared_min: Option<f64>,
    /// What the driver asked for.
    #[serde(rename = "said_kwh", default, skip_serializing_if = "Option::is_none")]
    pub declared_kwh: Option<f64>,
    /// The highest power that was seen, in kW.
    #[serde(rename = "kw")]
    pub max_kw: f64,
}

/// A car stays no longer than this; what does is a forgotten cable.
const STAY_MAX: Duration = Duration::hours(24 * 14);

/// The year 2200: no clock is right that shows more.
const TIME_MAX_MS: i64 = 7_258_118_400_000;

/// No car takes more in one stay, in kWh.
const KWH_MAX: f64 = 1000.0;

impl Past {
    /// What is kept; none where the stay is no stay.
    pub fn of(stay: &Stay, calendar: &Calendar) -> Option<Self> {
        let came = calendar.local(stay.arrival);
        let span = stay.departure.since(stay.arrival);
        let is_time = (0..TIME_MAX_MS).contains(&stay.arrival.as_millis());
        let is_stay = is_time && Duration::ZERO < span && span <= STAY_MAX;
        let minutes = |until: Utc| until.since(stay.arrival).as_millis() as f64 / 60_000.0;
        let kwh = (0.0..=KWH_MAX).contains(&stay.energy_kwh).then_some(stay.energy_kwh)?;
        let declared = stay.declared_departure.map(minutes);
        is_stay.then_some(Self {
            arrival: stay.arrival,
            minute: came.minute,
            weekday: came.weekday,
            stay_min: rounded(minutes(stay.departure)),
            kwh: rounded(kwh),
            full: stay.full,
            declared_min: declared.filter(|span| *span > 0.0 && *span <= 20_160.0).map(rounded),
            declared_kwh: stay
                .declared_kwh
                .filter(|kwh| *kwh > 0.0 && *kwh <= KWH_MAX)
                .map(rounded),
            max_kw: rounded(if stay.max_kw.is_finite() {
                stay.max_kw.clamp(0.0, 1e4)
            } else {
                0.0
            }),
        })
    }

    /// Whether the car left when the driver said; none where nothing was said.
    pub fn left_as_said(&self) -> Option<bool> {
        const NEAR_MIN: f64 = 10.0;
        self.declared_min.map(|said| (self.stay_min - said).abs() <= NEAR_MIN)
    }

    /// Whether the car took what the driver asked for; none where nothing was said or where the
    /// car may have wanted more than it got.
    pub fn took_as_said(&self) -> Option<bool> {
        const NEAR: f64 = 0.04;
        const NEAR_KWH: f64 = 0.4;
        let said = self.declared_kwh?;
        let off = self.kwh - said;
        if !self.full && off < 0.0 {
            return None;
        }
        Some(off.abs() <= NEAR_KWH.max(NEAR * said))
    }
}

/// Hundredths are enough, and short in the store.
pub fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
