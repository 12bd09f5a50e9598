//! The highest import of the billing period so far, as the grid operator measures it, and the one
//! that is to be expected.
//!
//! A plan sees a day, a peak is paid for a month. What the month will see anyhow costs nothing
//! more. It is told by the period before, or at the very first by the size of the connection, less
//! what a plan can hope to spare.

use serde::{Deserialize, Serialize};

use crate::ground::calendar::Calendar;
use crate::ground::time::Utc;
use crate::model::tariff::{Billing, Peak};

use super::quarters::{QUARTER_MS, Quarters, start};

/// Quarter hours that are kept: those of the hour.
const KEPT: usize = 4;

/// So much of the last period's highest import is needed in the next one too.
const NEEDED: f64 = 0.85;

/// Nothing was measured yet.
const NO_PERIOD: (i16, i8) = (0, 0);

/// The highest import of a billing period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeakSoFar {
    zone: Calendar,
    peak: Peak,
    quarters: Quarters,
    /// Year and month that `highest_kw` belongs to.
    period: (i16, i8),
    highest_kw: f64,
    /// Of the period before; of the connection where there was none.
    #[serde(default)]
    before_kw: f64,
}

impl PeakSoFar {
    /// Nothing imported; the connection carries so much, in kW.
    pub fn new(peak: Peak, zone: Calendar, connection_kw: f64) -> Self {
        Self {
            zone,
            peak,
            quarters: Quarters::new(KEPT),
            period: NO_PERIOD,
            highest_kw: 0.0,
            before_kw: connection_kw,
        }
    }

    /// The same import under a changed contract, or of a version that did not know the period
    /// before.
    pub fn with(mut self, peak: Peak, zone: Calendar, connection_kw: f64) -> Self {
        (self.peak, self.zone) = (peak, zone);
        if self.before_kw <= 0.0 {
            self.before_kw = connection_kw;
        }
        self
    }

    /// Takes a measured import in kW; export counts as none.
    pub fn observe(&mut self, at: Utc, import_kw: f64) {
        let import = if import_kw.is_finite() { import_kw.max(0.0) } else { import_kw };
        if !self.quarters.observe(at, import) {
            return;
        }
        let end = self.quarters.end();
        let span = (self.peak.basis.as_millis() / QUARTER_MS).clamp(1, KEPT as i64);
        if end.rem_euclid(span) != 0 {
            return;
        }
        let measured: Vec<f64> =
            (end - span..end).filter_map(|quarter| self.quarters.at(quarter)).collect();
        if measured.is_empty() {
            return;
        }
        let mean = measured.iter().sum::<f64>() / span as f64;
        let local = self.zone.local(start(end - span));
        let period = match self.peak.billing {
            Billing::Month => (local.year, local.month),
            Billing::Year => (local.year, 0),
        };
        if period != self.period {
            if self.period != NO_PERIOD {
                self.before_kw = self.highest_kw;
            }
            self.period = period;
            self.highest_kw = 0.0;
        }
        self.highest_kw = self.highest_kw.max(mean);
    }

    /// The highest mean import that the billing period of `now` has seen or will see anyhow, in kW.
    pub fn expected_kw(&self, now: Utc) -> f64 {
        let is_first = self.period == NO_PERIOD;
        let is_over = !is_first && !self.is_current(now);
        let before = if is_over { self.highest_kw } else { self.before_kw };
        self.so_far_kw(now).max(before * NEEDED)
    }

    /// The highest mean import of the billing period that `now` lies in, in kW.
    fn so_far_kw(&self, now: Utc) -> f64 {
        if self.is_current(now) { self.highest_kw } else { 0.0 }
    }

    /// Whether `highest_kw` is of the billing period that `now` lies in.
    fn is_current(&self, now: Utc) -> bool {
        let local = self.zone.local(now);
        match self.peak.billing {
            Billing::Month => (local.year, local.month) == self.period,
            Billing::Year => (local.year, 0) == self.period,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::time::Duration;

    #[test]
    fn the_highest_quarter_of_the_local_month_counts() {
        let peak = Peak { eur_per_kw: 5.0, basis: Duration::minutes(15), billing: Billing::Month };
        let mut so_far = PeakSoFar::new(peak, Calendar::new("Europe/Paris"), 20.0);
        let evening = Utc::parse("2019-03-31T20:00:00Z").expect("a time");
        for minute in 0..180 {
            let kw = if (30..45).contains(&minute) { 12.0 } else { 3.0 };
            so_far.observe(evening + Duration::minutes(minute), kw);
            if minute == 100 {
                assert_eq!(so_far.so_far_kw(evening + Duration::minutes(100)), 12.0);
            }
        }
        // Midnight in Paris was at 22:00 UTC.
        assert_eq!(so_far.so_far_kw(evening + Duration::minutes(180)), 3.0);
    }

    #[test]
    fn the_period_before_tells_what_is_needed_anyhow() {
        let peak = Peak { eur_per_kw: 5.0, basis: Duration::minutes(15), billing: Billing::Month };
        let mut so_far = PeakSoFar::new(peak, Calendar::new("Europe/Paris"), 40.0);
        let at = |text: &str| Utc::parse(text).expect("a time");
        assert_eq!(so_far.expected_kw(at("2019-03-01T10:00:00Z")), 34.0, "of the connection");
        for minute in 0..20 {
            so_far.observe(at("2019-03-01T10:00:00Z") + Duration::minutes(minute), 20.0);
        }
        assert_eq!(so_far.expected_kw(at("2019-03-01T10:30:00Z")), 34.0);
        assert_eq!(so_far.expected_kw(at("2019-04-01T10:00:00Z")), 17.0, "of March");
        for minute in 0..20 {
            so_far.observe(at("2019-04-02T10:00:00Z") + Duration::minutes(minute), 19.0);
        }
        assert_eq!(so_far.expected_kw(at("2019-04-03T10:00:00Z")), 19.0, "seen already");
        assert_eq!(so_far.expected_kw(at("2019-05-01T10:00:00Z")), 19.0 * 0.85, "of April");
    }
}
