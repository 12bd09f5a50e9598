//! What the coming day looks like: sun, building and prices by step, from what was measured here
//! and what was told.

use crate::ground::quantiles::Quantiles;
use crate::ground::time::{Duration, Now, Utc};

use super::power::{PeakMeter, SitePower};

/// Everything that is known of the site's own past for looking ahead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// Highest import of the month.
    pub peak: PeakMeter,
    days: std::collections::BTreeMap<i64, (f64, f64, f64)>,
}

const QUARTER: Duration = Duration::minutes(15);

impl Outlook {
    /// Takes in what the site draws.
    pub fn observe(&mut self, now: Now, power: &SitePower, zone: &str) {
        let Some(utc) = now.utc else { return };
        self.peak.observe(now.mono, utc, power.import(), zone);
        let quarter = utc.as_millis().div_euclid(QUARTER.as_millis());
        let slot = self.days.entry(quarter).or_default();
        slot.0 += power.pv;
        slot.1 += power.load;
        slot.2 += 1.0;
        while 200 < self.days.len() {
            self.days.pop_first();
        }
    }

    /// Sun in kW by step.
    pub fn pv_kw(&self, grid: &[Utc]) -> Vec<Quantiles> {
        self.by_step(grid, |slot| slot.0)
    }

    /// Building in kW by step.
    pub fn load_kw(&self, grid: &[Utc]) -> Vec<Quantiles> {
        self.by_step(grid, |slot| slot.1)
    }

    fn by_step(&self, grid: &[Utc], of: impl Fn(&(f64, f64, f64)) -> f64) -> Vec<Quantiles> {
        let value = |pair: &[Utc]| {
            let quarter = pair[0].as_millis().div_euclid(QUARTER.as_millis());
            let known = (1..8).find_map(|day| self.days.get(&(quarter - day * 96)));
            let kw = known.map_or(0.0, |slot| of(slot) / slot.2 / 1000.0);
            Quantiles { low: kw * 0.5, mid: kw, high: kw * 1.3 }
        };
        grid.windows(2).map(value).collect()
    }
}
