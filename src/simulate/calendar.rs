//! Local days and hours of a site: the calendar of its time zone.

use jiff::tz::TimeZone;

use crate::ground::time::Utc;

/// The calendar of one time zone; an unknown name counts as UTC (the configuration was checked).
#[derive(Clone, Debug)]
pub struct Calendar(TimeZone);

/// A moment as people on site see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Local {
    /// Calendar year.
    pub year: i16,
    /// 1 to 12.
    pub month: i8,
    /// 1 to 31.
    pub day: i8,
    /// Minutes since local midnight, by the clock on the wall.
    pub minute: i16,
}

impl Calendar {
    /// Of an IANA time zone.
    pub fn new(zone: &str) -> Self {
        Self(TimeZone::get(zone).unwrap_or(TimeZone::UTC))
    }

    fn zoned(&self, time: Utc) -> jiff::Zoned {
        let stamp = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default();
        stamp.to_zoned(self.0.clone())
    }

    /// What the calendar and the clock on the wall show.
    pub fn local(&self, time: Utc) -> Local {
        let local = self.zoned(time);
        let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
        Local { year: local.year(), month: local.month(), day: local.day(), minute }
    }

    /// The whole local days that reach from `first` to `last`.
    pub fn whole_days(&self, first: Utc, last: Utc) -> (Utc, Utc) {
        let midnight = |local: &jiff::Zoned| {
            let start = local.start_of_day().ok()?;
            Some(Utc::from_millis(start.timestamp().as_millisecond()))
        };
        let from = midnight(&self.zoned(first)).unwrap_or(first);
        let end = self.zoned(last);
        let until = match midnight(&end) {
            Some(start) if start == last => Some(last),
            _ => end.tomorrow().ok().and_then(|next| midnight(&next)),
        };
        (from, until.unwrap_or(last))
    }
}

impl Local {
    /// `2019-03-01`.
    pub fn date(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Utc {
        Utc::parse(text).expect("a time")
    }

    #[test]
    fn days_are_those_of_the_site() {
        let calendar = Calendar::new("Europe/Paris");
        let days = calendar.whole_days(at("2019-01-01T16:01:00Z"), at("2019-12-31T18:22:00Z"));
        assert_eq!(days, (at("2018-12-31T23:00:00Z"), at("2019-12-31T23:00:00Z")));
        let whole = (at("2019-06-30T22:00:00Z"), at("2019-07-01T22:00:00Z"));
        assert_eq!(calendar.whole_days(whole.0, whole.1), whole);
    }

    #[test]
    fn the_clock_on_the_wall_knows_summer_time() {
        let local = Calendar::new("Europe/Paris").local(at("2019-07-01T10:30:00Z"));
        assert_eq!((local.date().as_str(), local.minute), ("2019-07-01", 12 * 60 + 30));
    }
}
