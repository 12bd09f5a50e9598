//! The highest import of the billing period so far, as the grid operator measures it.

use serde::{Deserialize, Serialize};

use crate::ground::calendar::Calendar;
use crate::ground::time::Utc;
use crate::model::tariff::{Billing, Peak};

use super::quarters::{QUARTER_MS, Quarters, start};

/// Quarter hours that are kept: those of the hour.
const KEPT: usize = 4;

/// The highest import of a billing period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeakSoFar {
    zone: Calendar,
    peak: Peak,
    quarters: Quarters,
    /// Year and month that `highest_kw` belongs to.
    period: (i16, i8),
    highest_kw: f64,
}

impl PeakSoFar {
    /// Nothing imported.
    pub fn new(peak: Peak, zone: Calendar) -> Self {
        Self { zone, peak, quarters: Quarters::new(KEPT), period: (0, 0), highest_kw: 0.0 }
    }

    /// The same import under a changed contract.
    pub fn with(mut self, peak: Peak, zone: Calendar) -> Self {
        (self.peak, self.zone) = (peak, zone);
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
            self.period = period;
            self.highest_kw = 0.0;
        }
        self.highest_kw = self.highest_kw.max(mean);
    }

    /// The highest mean import of the billing period that `now` lies in, in kW.
    pub fn so_far_kw(&self, now: Utc) -> f64 {
        let local = self.zone.local(now);
        let is_same = match self.peak.billing {
            Billing::Month => (local.year, local.month) == self.period,
            Billing::Year => (local.year, 0) == self.period,
        };
        if is_same { self.highest_kw } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::time::Duration;

    #[test]
    fn the_highest_quarter_of_the_local_month_counts() {
        let peak = Peak { eur_per_kw: 5.0, basis: Duration::minutes(15), billing: Billing::Month };
        let mut so_far = PeakSoFar::new(peak, Calendar::new("Europe/Paris"));
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
}
