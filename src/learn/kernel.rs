//! How much a past stay says of the present one.

use crate::ground::calendar::Calendar;
use crate::ground::time::Utc;

use super::stay::Past;

/// Arrivals this many minutes apart are a little less alike.
const HOUR_WIDTH_MIN: f64 = 80.0;
/// A stay counts a third after so many days.
const FADES_DAYS: f64 = 120.0;
/// Durations that were said count by their ratio; this is the width of its logarithm.
const SAID_WIDTH: f64 = 0.35;
/// The same for energies.
const SAID_KWH_WIDTH: f64 = 0.4;

/// The present stay, as far as past ones can be like it.
#[derive(Clone, Copy, Debug)]
pub struct Present {
    /// When the car came.
    pub arrival: Utc,
    minute: f64,
    weekday: u8,
    /// How long the driver said to stay, in minutes.
    pub said_min: Option<f64>,
    /// What the driver asked for, in kWh.
    pub said_kwh: Option<f64>,
}

impl Present {
    /// A car that came at this time, with what its driver said.
    pub fn new(
        calendar: &Calendar,
        arrival: Utc,
        said_min: Option<f64>,
        said_kwh: Option<f64>,
    ) -> Self {
        let local = calendar.local(arrival);
        let (minute, weekday) = (f64::from(local.minute), local.weekday);
        Self { arrival, minute, weekday, said_min, said_kwh }
    }

    /// By weekday, hour of arrival and age; what was said is not looked at.
    pub fn weight(&self, past: &Past) -> f64 {
        let (minute, weekday) = (f64::from(past.minute), past.weekday);
        let kind = match (weekday == self.weekday, (weekday < 5) == (self.weekday < 5)) {
            (true, _) => 1.0,
            (false, true) => 0.75,
            (false, false) => 0.2,
        };
        let apart = apart(minute, self.minute) / HOUR_WIDTH_MIN;
        // Even a stay at quite another hour says something where there is nothing else.
        let hour = (-0.5 * apart * apart).exp().max(0.01);
        let days = self.arrival.since(past.arrival).as_hours().abs() / 24.0;
        kind * hour * (-days / FADES_DAYS).exp()
    }

    /// How alike it is in what was said of the departure; one where nothing was said.
    pub fn alike_in_stay(&self, past: &Past) -> f64 {
        alike(self.said_min, past.declared_min, SAID_WIDTH)
    }

    /// How alike it is in what was asked for.
    pub fn alike_in_energy(&self, past: &Past) -> f64 {
        alike(self.said_kwh, past.declared_kwh, SAID_KWH_WIDTH)
    }

    /// The stay in minutes that a past one points to. Who comes later leaves later, by half.
    pub fn stay_min(&self, past: &Past) -> f64 {
        const CLOCK: f64 = 0.5;
        (past.stay_min + CLOCK * signed(f64::from(past.minute), self.minute)).max(1.0)
    }
}

fn alike(one: Option<f64>, other: Option<f64>, width: f64) -> f64 {
    let (Some(one), Some(other)) = (one, other) else { return 1.0 };
    let apart = (one.max(0.1) / other.max(0.1)).ln() / width;
    (-0.5 * apart * apart).exp().max(0.02)
}

/// Minutes between two times of day, the short way round.
fn apart(one: f64, other: f64) -> f64 {
    signed(one, other).abs()
}

/// Minutes from `other` to `one`, the short way round: -720 to 720.
fn signed(one: f64, other: f64) -> f64 {
    (one - other + 720.0).rem_euclid(1440.0) - 720.0
}
