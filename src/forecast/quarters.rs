//! A measured power as means of quarter hours, the newest of them kept.
//!
//! Readings may come at any spacing: each holds until the next, for [`HOLD_MAX`] at most, so a
//! meter that speaks on change is averaged as well as one that speaks each second. A quarter hour
//! that was not covered for a third of its time is a gap. Numbers that are none are passed over, a
//! clock that went back far drops what lies in its future, one that went back little adds nothing.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::ground::quantiles::Quantiles;
use crate::ground::time::{Duration, Utc};

/// Length of a quarter hour, in milliseconds.
pub const QUARTER_MS: i64 = 900_000;

/// Length of a day, in milliseconds.
pub const DAY_MS: i64 = 86_400_000;

/// Quarter hours of a day.
pub const DAY: i64 = 96;

/// A reading says nothing of what comes later than this after it.
const HOLD_MAX: Duration = Duration::minutes(20);

/// A quarter hour needs this much of it covered to count.
const COVERED_MIN_MS: i64 = QUARTER_MS / 3;

/// A clock that goes back further than this was wrong before.
const BACK_MAX: Duration = Duration::hours(1);

/// A step of a grid is looked at for a day.
const STEP_MAX: i64 = DAY;

/// The year 2200: no clock is right that shows more.
const TIME_MAX_MS: i64 = 7_258_118_400_000;

/// No site is larger, in kW.
const KW_MAX: f64 = 1e6;

/// Number of the quarter hour since 1970 that a moment lies in.
pub fn quarter(at: Utc) -> i64 {
    at.as_millis().div_euclid(QUARTER_MS)
}

/// When a quarter hour begins.
pub fn start(quarter: i64) -> Utc {
    Utc::from_millis(quarter.saturating_mul(QUARTER_MS))
}

/// The quarter hours that a step touches, each by a time of it inside the step; at least one, no
/// more than [`STEP_MAX`].
pub fn within(from: Utc, until: Utc) -> impl Iterator<Item = Utc> {
    let first = quarter(from);
    let end = quarter(Utc::from_millis(until.as_millis().saturating_sub(1)));
    let last = end.clamp(first, first.saturating_add(STEP_MAX - 1));
    (first..=last).map(move |quarter| start(quarter).max(from))
}

/// The mean of each step between two times of the grid over its quarter hours; of no more than
/// [`STEP_MAX`] of them.
pub fn by_step(grid: &[Utc], mut expect: impl FnMut(i64) -> Quantiles) -> Vec<Quantiles> {
    let step = |pair: &[Utc]| {
        let first = quarter(pair[0]);
        let end = quarter(Utc::from_millis(pair[1].as_millis().saturating_sub(1)));
        let last = end.clamp(first, first.saturating_add(STEP_MAX - 1));
        let mut sum = Quantiles::default();
        for quarter in first..=last {
            let one = expect(quarter);
            sum.low += one.low;
            sum.mid += one.mid;
            sum.high += one.high;
        }
        let count = (last - first + 1) as f64;
        Quantiles { low: sum.low / count, mid: sum.mid / count, high: sum.high / count }
    };
    grid.windows(2).map(step).collect()
}

/// Means of the newest quarter hours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quarters {
    /// So many are kept.
    keep: usize,
    /// Number of the oldest.
    first: i64,
    /// In W; none for a gap.
    watts: VecDeque<Option<i32>>,
    open: Option<Open>,
}

/// The quarter hour that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    quarter: i64,
    /// Sum of power times time, in kW ms.
    sum: f64,
    covered_ms: i64,
    last: Utc,
    kw: f64,
}

impl Quarters {
    /// Nothing measured; the newest `keep` are kept.
    pub fn new(keep: usize) -> Self {
        Self { keep, first: 0, watts: VecDeque::new(), open: None }
    }

    /// Takes a reading; true if a quarter hour ended with it.
    pub fn observe(&mut self, at: Utc, kw: f64) -> bool {
        if !kw.is_finite() || !(0..TIME_MAX_MS).contains(&at.as_millis()) {
            return false;
        }
        let kw = kw.clamp(-KW_MAX, KW_MAX);
        let Some(mut open) = self.open else {
            self.begin(at, kw);
            return false;
        };
        if at < open.last {
            if BACK_MAX.as_millis() < open.last.since(at).as_millis() {
                self.forget_from(quarter(at));
                self.begin(at, kw);
            }
            return false;
        }
        let until = at.min(open.last + HOLD_MAX);
        let mut ended = false;
        let mut from = open.last;
        while from < until {
            let end = start(quarter(from) + 1).min(until);
            if open.quarter != quarter(from) {
                self.close(open);
                ended = true;
                open = Open { quarter: quarter(from), sum: 0.0, covered_ms: 0, ..open };
            }
            let span = end.since(from).as_millis();
            open.sum += open.kw * span as f64;
            open.covered_ms += span;
            from = end;
        }
        if open.quarter != quarter(at) {
            self.close(open);
            ended = true;
            open = Open { quarter: quarter(at), sum: 0.0, covered_ms: 0, ..open };
        }
        self.open = Some(Open { last: at, kw, ..open });
        ended
    }

    /// Mean power of a quarter hour in kW, if it was measured and is still kept.
    pub fn at(&self, quarter: i64) -> Option<f64> {
        let index = usize::try_from(quarter.checked_sub(self.first)?).ok()?;
        self.watts.get(index)?.map(|watts| f64::from(watts) / 1000.0)
    }

    /// Mean of the quarter hour that has not ended, with its number; its latest reading where it
    /// has just begun.
    pub fn open(&self) -> Option<(i64, f64)> {
        let open = self.open?;
        let kw = if COVERED_MIN_MS <= open.covered_ms {
            open.sum / open.covered_ms as f64
        } else {
            open.kw
        };
        Some((open.quarter, kw))
    }

    /// Number of the oldest quarter hour that is kept.
    pub fn first(&self) -> i64 {
        self.first
    }

    /// Number after the newest quarter hour that has ended.
    pub fn end(&self) -> i64 {
        self.first + self.watts.len() as i64
    }

    /// How many quarter hours were measured.
    pub fn count(&self) -> usize {
        self.watts.iter().flatten().count()
    }

    /// How much was learned from, in words.
    pub fn in_words(&self) -> String {
        match self.count() as i64 / DAY {
            0 => "too little measured".to_owned(),
            1 => "learned on site from one day".to_owned(),
            days => format!("learned on site from {days} days"),
        }
    }

    /// The highest mean that is kept, in kW.
    pub fn highest(&self) -> f64 {
        self.watts.iter().flatten().max().map_or(0.0, |watts| f64::from(*watts) / 1000.0)
    }

    fn begin(&mut self, at: Utc, kw: f64) {
        let quarter = quarter(at);
        self.open = Some(Open { quarter, sum: 0.0, covered_ms: 0, last: at, kw });
    }

    fn close(&mut self, open: Open) {
        let gap = open.quarter.saturating_sub(self.end());
        if self.watts.is_empty() || gap < 0 || self.keep as i64 <= gap {
            self.watts.clear();
            self.first = open.quarter;
        }
        while self.end() < open.quarter {
            self.watts.push_back(None);
        }
        let mean = open.sum / open.covered_ms.max(1) as f64;
        let is_covered = COVERED_MIN_MS <= open.covered_ms;
        self.watts.push_back(is_covered.then_some((mean * 1000.0).round() as i32));
        while self.keep < self.watts.len() {
            self.watts.pop_front();
            self.first += 1;
        }
    }

    fn forget_from(&mut self, quarter: i64) {
        let kept = quarter.saturating_sub(self.first).clamp(0, self.watts.len() as i64);
        self.watts.truncate(kept as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Utc {
        Utc::from_millis(minute * 60_000)
    }

    #[test]
    fn a_reading_holds_until_the_next_whatever_the_spacing() {
        let mut quarters = Quarters::new(10);
        assert!(!quarters.observe(at(0), 2.0));
        assert!(!quarters.observe(at(10), 8.0));
        assert!(quarters.observe(at(15), 0.0));
        assert_eq!(quarters.at(0), Some(4.0));
        assert_eq!(quarters.open(), Some((1, 0.0)));
    }

    #[test]
    fn a_silent_meter_leaves_a_gap_and_not_its_last_word() {
        let mut quarters = Quarters::new(10);
        quarters.observe(at(0), 2.0);
        quarters.observe(at(60), 3.0);
        quarters.observe(at(75), 3.0);
        assert_eq!(
            (quarters.at(0), quarters.at(1), quarters.at(4)),
            (Some(2.0), Some(2.0), Some(3.0))
        );
        assert_eq!((quarters.at(2), quarters.at(3)), (None, None));
    }

    #[test]
    fn a_clock_that_was_in_the_future_is_forgotten() {
        let mut quarters = Quarters::new(100);
        for minute in 0..200 {
            quarters.observe(at(100_000 + minute), 5.0);
        }
        for minute in 0..40 {
            quarters.observe(at(minute), 1.0);
        }
        assert_eq!((quarters.first(), quarters.at(0), quarters.end()), (0, Some(1.0), 2));
        quarters.observe(at(1), f64::NAN);
        quarters.observe(Utc::from_millis(i64::MAX), f64::INFINITY);
        assert_eq!(quarters.end(), 2);
    }
}
