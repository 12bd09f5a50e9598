//! How far a forecast was off: promised each hour, settled when the time has come.
//!
//! Kept for an hour, six hours and a day ahead, beside what the simplest forecast would have been
//! off by (the yardstick): an hour ahead the value of the moment, else that of a day before.
//! Where more or fewer than one in ten came outside the low or the high value, the spread is
//! stretched or shrunk until it is one in ten.
//! Hours in which nothing was expected and nothing came (the night of a PV plant) do not count.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::ground::quantiles::Quantiles;
use crate::ground::time::Utc;

use super::quarters::Quarters;

/// The leads that are recorded, in hours.
pub const LEADS_H: [i64; 3] = [1, 6, 24];

/// Promises that wait: one each hour for each lead is 31.
const PENDING_MAX: usize = 64;

/// The record reaches back over so many settled promises; some two months.
const MEMORY: f64 = 1000.0;

/// So many come below the low value, and so many above the high one.
const OUTSIDE: f64 = 0.1;

/// How fast the spread follows: some fifty misses double it.
const STRETCH_STEP: f64 = 0.015;

/// The spread is stretched by no more than a factor of e.
const STRETCH_MAX: f64 = 1.0;

/// Less than this share of the highest value is nothing.
const NOTHING: f64 = 0.01;

/// How far a forecast was off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorRecord {
    leads: [LeadRecord; LEADS_H.len()],
    pending: VecDeque<Promise>,
}

/// How far a forecast was off at one lead. Means over the last promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LeadRecord {
    /// How many were settled; older ones count less.
    pub count: f64,
    /// Mean absolute error, in kW.
    pub mean_abs_kw: f64,
    /// Mean of forecast less what came, in kW: positive where too much was promised.
    pub bias_kw: f64,
    /// Mean absolute error of the yardstick, in kW.
    pub yardstick_kw: f64,
    /// Mean of what came, in kW.
    pub actual_kw: f64,
    /// Share of what came that was below the low value; 0.1 is right.
    pub below_low: f64,
    /// Share of what came that was above the high value; 0.1 is right.
    pub above_high: f64,
    /// Logarithm of what the distance from low to mid is stretched by.
    stretch_low: f64,
    /// Logarithm of what the distance from mid to high is stretched by.
    stretch_high: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Promise {
    quarter: i64,
    lead: usize,
    expected: Quantiles,
    yardstick: Option<f64>,
}

impl ErrorRecord {
    /// The record at each of [`LEADS_H`].
    pub fn leads(&self) -> impl Iterator<Item = (i64, LeadRecord)> {
        LEADS_H.into_iter().zip(self.leads)
    }

    /// Notes what is expected of the quarter hour that begins `LEADS_H[lead]` hours after `now`.
    pub fn promise(&mut self, quarters: &Quarters, now: i64, lead: usize, expected: Quantiles) {
        let Some(hours) = LEADS_H.get(lead) else { return };
        let quarter = now + hours * 4;
        let before = if *hours <= 1 { now - 1 } else { quarter - super::quarters::DAY };
        let before = before.min(now - 1);
        let yardstick = quarters.at(before);
        self.pending.push_back(Promise { quarter, lead, expected, yardstick });
        while PENDING_MAX < self.pending.len() {
            self.pending.pop_front();
        }
    }

    /// Settles what was promised of quarter hours that have been measured since.
    pub fn settle(&mut self, quarters: &Quarters) {
        let nothing = quarters.highest() * NOTHING;
        let end = quarters.end();
        let leads = &mut self.leads;
        self.pending.retain(|promise| {
            if end <= promise.quarter {
                // After a clock that went back, a promise of the far future is none.
                return promise.quarter <= end + 2 * super::quarters::DAY;
            }
            if let Some(actual) = quarters.at(promise.quarter)
                && (nothing < actual.abs() || nothing < promise.expected.mid.abs())
            {
                leads[promise.lead.min(LEADS_H.len() - 1)].settle(promise, actual);
            }
            false
        });
    }

    /// Stretches the spread of a forecast by what proved right; no step exceeds `cap`.
    pub fn stretch(&self, now: Utc, grid: &[Utc], forecast: &mut [Quantiles], cap: f64) {
        for (step, expected) in grid.iter().zip(forecast) {
            *expected = self.stretched(step.since(now).as_hours() as i64, *expected, cap);
        }
    }

    /// The same for one value, so many hours ahead.
    pub fn stretched(&self, hours: i64, expected: Quantiles, cap: f64) -> Quantiles {
        let lead = match hours {
            ..=3 => 0,
            4..=14 => 1,
            _ => 2,
        };
        let Quantiles { low, mid, high } = expected;
        let lead: &LeadRecord = &self.leads[lead];
        let low = mid - (mid - low) * lead.stretch_low.exp();
        let high = mid + (high - mid) * lead.stretch_high.exp();
        Quantiles { low: low.max(0.0), mid, high: high.min(cap.max(mid)) }
    }

    /// In a sentence for people, e.g. `1 h ahead off by 0.8 kW (yesterday's value: 2.1 kW)`.
    pub fn words(&self) -> String {
        let lead = |(hours, lead): (i64, LeadRecord)| {
            let simple = if hours <= 1 { "the value of the moment" } else { "the day before" };
            let (off, yardstick) = (lead.mean_abs_kw, lead.yardstick_kw);
            format!("{hours} h ahead off by {off:.1} kW ({simple}: {yardstick:.1} kW)")
        };
        let known = self.leads().filter(|(_, lead)| 1.0 <= lead.count);
        let parts: Vec<String> = known.map(lead).collect();
        if parts.is_empty() { "no forecast has come due".to_owned() } else { parts.join(", ") }
    }
}

impl LeadRecord {
    fn settle(&mut self, promise: &Promise, actual: f64) {
        let Quantiles { low, mid, high } = promise.expected;
        self.count = (self.count + 1.0).min(MEMORY);
        let share = 1.0 / self.count;
        let mix = |mean: &mut f64, value: f64| *mean += (value - *mean) * share;
        mix(&mut self.mean_abs_kw, (mid - actual).abs());
        mix(&mut self.bias_kw, mid - actual);
        mix(&mut self.yardstick_kw, (promise.yardstick.unwrap_or(0.0) - actual).abs());
        mix(&mut self.actual_kw, actual);
        // Half a watt is rounding.
        let below = f64::from(u8::from(actual + 0.0005 < low));
        let above = f64::from(u8::from(high < actual - 0.0005));
        mix(&mut self.below_low, below);
        mix(&mut self.above_high, above);
        let stretch = |by: f64, outside: f64| {
            (by + STRETCH_STEP * (outside - OUTSIDE)).clamp(-STRETCH_MAX, STRETCH_MAX)
        };
        self.stretch_low = stretch(self.stretch_low, below);
        self.stretch_high = stretch(self.stretch_high, above);
    }
}
