//! A series that is known for some days and filled for the rest: prices, CO2 intensity.
//!
//! What was received is kept by quarter hour, a week back and a week ahead. Where nothing is known
//! for a time, the same local time of the last day of the same kind stands in, and the value says
//! that it is degraded.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::ground::calendar::Calendar;
use crate::ground::time::{Duration, Utc};
use crate::model::feed::Received;

use super::quarters::{DAY, quarter, start};

/// Days that are kept, before and after the newest word.
const DAYS_MAX: i64 = 8;

/// A step that lasts so many times longer than the usual one is a gap.
const GAP: i64 = 4;

/// A value of a series at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// The value.
    pub value: f64,
    /// Not known for this time: taken from an earlier day.
    pub degraded: bool,
}

/// What is known of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KnownSeries {
    zone: Calendar,
    first: i64,
    values: VecDeque<Option<f64>>,
    source: String,
    issued: Option<Utc>,
}

impl KnownSeries {
    /// Nothing known.
    pub fn new(zone: Calendar) -> Self {
        Self { zone, ..Self::default() }
    }

    /// The same knowledge by the clock of another place.
    pub fn with_zone(mut self, zone: Calendar) -> Self {
        self.zone = zone;
        self
    }

    /// Takes what was received; later words replace earlier ones, time by time.
    pub fn receive(&mut self, received: &Received) {
        let steps = &received.steps;
        let (Some((first, _)), Some((last, _))) = (steps.first(), steps.last()) else { return };
        let mut spans: Vec<i64> =
            steps.windows(2).map(|pair| pair[1].0.since(pair[0].0).as_millis()).collect();
        spans.sort_unstable();
        let usual = spans.get(spans.len() / 2).copied();
        let usual = usual.unwrap_or(received.until.since(*first).as_millis()).max(1);
        let anchor = quarter(received.issued).clamp(quarter(*first) - DAY, quarter(*last));
        let (oldest, newest) = (anchor - DAYS_MAX * DAY, anchor + DAYS_MAX * DAY);
        self.reach(oldest.max(quarter(*first)));
        for (index, (from, value)) in steps.iter().enumerate() {
            let next = steps.get(index + 1).map_or(received.until, |(next, _)| *next);
            let is_gap = usual * GAP < next.since(*from).as_millis();
            let next = if is_gap { *from + Duration::millis(usual) } else { next };
            let end = quarter(Utc::from_millis(next.as_millis().saturating_sub(1)));
            for quarter in quarter(*from).max(oldest)..=end.min(newest) {
                self.put(quarter, *value);
            }
        }
        while self.first < oldest && !self.values.is_empty() {
            self.values.pop_front();
            self.first += 1;
        }
        let kept = (newest - self.first + 1).clamp(0, 2 * DAYS_MAX * DAY + 1);
        self.values.truncate(kept as usize);
        self.source.clone_from(&received.source);
        self.issued = Some(received.issued);
    }

    /// The value at a time; none while nothing was ever known.
    pub fn at(&self, at: Utc) -> Option<Value> {
        if let Some(value) = self.known(quarter(at)) {
            return Some(Value { value, degraded: false });
        }
        if self.values.is_empty() {
            return None;
        }
        let local = self.zone.local(at);
        let before = |back: i64| {
            let then = self.zone.moment(local.day_number - back, i64::from(local.minute));
            Some((self.known(quarter(then))?, self.zone.local(then).weekday))
        };
        let kind = |weekday: u8| weekday.saturating_sub(4);
        let alike = (1..=2 * DAYS_MAX)
            .filter_map(before)
            .find(|(_, weekday)| kind(*weekday) == kind(local.weekday));
        let filled = alike.or_else(|| (1..=2 * DAYS_MAX).filter_map(before).next());
        filled.map(|(value, _)| Value { value, degraded: true })
    }

    /// Until when it is known without a gap from a time on; none if not even then.
    pub fn known_until(&self, from: Utc) -> Option<Utc> {
        let first = quarter(from);
        self.known(first)?;
        let end = (first..).find(|quarter| self.known(*quarter).is_none())?;
        Some(start(end))
    }

    /// The end of the last time that it is known for; none while nothing was ever known.
    pub fn end(&self) -> Option<Utc> {
        let last = self.values.iter().rposition(Option::is_some)?;
        Some(start(self.first + last as i64 + 1))
    }

    /// Who said it, and when.
    pub fn source(&self) -> Option<(&str, Utc)> {
        self.issued.map(|issued| (self.source.as_str(), issued))
    }

    fn known(&self, quarter: i64) -> Option<f64> {
        let index = usize::try_from(quarter.checked_sub(self.first)?).ok()?;
        self.values.get(index).copied().flatten()
    }

    /// Makes room for a quarter hour before the first.
    fn reach(&mut self, quarter: i64) {
        let before = self.first.saturating_sub(quarter);
        let after = quarter.saturating_sub(self.first + self.values.len() as i64);
        let far = 2 * DAYS_MAX * DAY;
        if self.values.is_empty() || far < before || far < after {
            self.values.clear();
            self.first = quarter;
        }
        for _ in 0..before.min(far) {
            if quarter < self.first {
                self.values.push_front(None);
                self.first -= 1;
            }
        }
    }

    fn put(&mut self, quarter: i64, value: f64) {
        let Ok(index) = usize::try_from(quarter - self.first) else { return };
        while self.values.len() <= index {
            self.values.push_back(None);
        }
        self.values[index] = Some(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Utc {
        Utc::parse(text).expect("a time")
    }

    fn year(from: &str, hours: i64) -> Vec<(Utc, f64)> {
        (0..hours).map(|hour| (at(from) + Duration::hours(hour), hour as f64)).collect()
    }

    #[test]
    fn a_gap_is_filled_from_the_last_day_of_its_kind_and_says_so() {
        let paris = Calendar::new("Europe/Paris");
        let until_midnight = year("2019-06-01T22:00:00Z", 24 * 13);
        let mut known = KnownSeries::new(paris.clone());
        // A Friday noon: Saturday is like the Saturday before, Monday like this Friday.
        let friday = at("2019-06-14T10:00:00Z");
        known.receive(&Received::new("file", friday, until_midnight));
        let hour = |day: &str| known.at(at(day)).map(|it| (it.value, it.degraded));
        let told = |day: &str| at(day).since(at("2019-06-01T22:00:00Z")).as_hours();
        assert_eq!(hour("2019-06-14T12:00:00Z"), Some((told("2019-06-14T12:00:00Z"), false)));
        assert_eq!(hour("2019-06-15T12:00:00Z"), Some((told("2019-06-08T12:00:00Z"), true)));
        assert_eq!(hour("2019-06-17T12:00:00Z"), Some((told("2019-06-14T12:00:00Z"), true)));
        assert_eq!(KnownSeries::new(paris).at(friday), None);
    }

    #[test]
    fn a_hole_in_a_file_is_a_gap_and_not_a_long_price() {
        let mut steps = year("2019-06-01T22:00:00Z", 48);
        steps.retain(|(_, hour)| *hour < 20.0 || 30.0 <= *hour);
        let mut known = KnownSeries::new(Calendar::default());
        let issued = at("2019-06-02T00:00:00Z");
        known.receive(&Received::new("file", issued, steps));
        assert_eq!(known.known_until(issued), Some(at("2019-06-02T18:00:00Z")));
        assert!(known.at(at("2019-06-02T20:00:00Z")).is_none_or(|value| value.degraded));
    }

    #[test]
    fn any_series_is_survived_and_stays_small() {
        let mut known = KnownSeries::new(Calendar::default());
        let far = [i64::MIN, -1, 0, 1 << 50, i64::MAX].map(Utc::from_millis);
        for issued in far {
            let steps = far.iter().map(|at| (*at, 1.0)).collect();
            known.receive(&Received::new("odd", issued, steps));
            assert!(known.values.len() as i64 <= 2 * DAYS_MAX * DAY + 1);
            known.at(issued);
        }
    }
}
