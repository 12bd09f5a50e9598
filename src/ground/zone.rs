//! Local time: what the clock on the site's wall shows, from the zone data inside the program, so
//! that no file of the machine is read and every machine agrees.
//!
//! A time of day that a clock change skips is the moment after the gap; one that comes twice is the
//! first of the two.

use jiff::civil::Time;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan, Zoned};

use super::time::Utc;

/// An IANA time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

/// A time of day: hours and minutes on the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    minutes: u16,
}

impl TimeOfDay {
    /// From hours (0 to 23) and minutes (0 to 59).
    pub fn new(hour: u8, minute: u8) -> Option<Self> {
        let valid = hour < 24 && minute < 60;
        valid.then_some(Self { minutes: u16::from(hour) * 60 + u16::from(minute) })
    }

    /// Reads `17:30` or `7:05`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.trim().split_once(':')?;
        let digits = |part: &str, most: usize| {
            let short = (1..=most).contains(&part.len());
            (short && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())?
        };
        if minute.len() != 2 {
            return None;
        }
        Self::new(digits(hour, 2)?, digits(minute, 2)?)
    }

    /// Minutes since midnight by the wall clock.
    pub const fn minutes(self) -> u16 {
        self.minutes
    }
}

impl std::fmt::Display for TimeOfDay {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

impl Zone {
    /// The zone of this name; UTC where there is no such zone (a checked configuration has one).
    pub fn new(name: &str) -> Self {
        Self(TimeZoneDatabase::bundled().get(name).unwrap_or(TimeZone::UTC))
    }

    /// `17:30` on the day of `now`, else `Thu 17:30` within six days, else `Thu 28 Feb 17:30`.
    pub fn words(&self, time: Utc, now: Option<Utc>) -> String {
        let local = self.local(time);
        let days = now.map(|now| {
            let span = self.local(now).date().until(local.date());
            span.map_or(i32::MAX, |span| span.get_days())
        });
        let format = match days {
            Some(0) => "%H:%M",
            Some(-6..=6) => "%a %H:%M",
            _ => "%a %-d %b %H:%M",
        };
        local.strftime(format).to_string()
    }

    /// The first moment strictly after `after` at which the wall clock shows `time`.
    pub fn next(&self, after: Utc, time: TimeOfDay) -> Utc {
        let today = self.local(after).date();
        let clock = Time::midnight();
        let clock = clock.saturating_add(i64::from(time.minutes).minutes());
        (0..3)
            .filter_map(|days| {
                let day = today.checked_add(days.days()).ok()?;
                let moment = day.to_datetime(clock).to_zoned(self.0.clone()).ok()?;
                Some(Utc::from_millis(moment.timestamp().as_millisecond()))
            })
            .find(|moment| after < *moment)
            .unwrap_or(after)
    }

    /// Reads what a person or a form writes as a moment from `now` on: a time of day (`17:30`, the
    /// next one), a local date with time (`2019-03-01T17:30` or with a space), or RFC 3339.
    pub fn moment(&self, text: &str, now: Utc) -> Option<Utc> {
        if let Some(time) = TimeOfDay::parse(text) {
            return Some(self.next(now, time));
        }
        if let Some(moment) = Utc::parse(text) {
            return Some(moment);
        }
        let civil: jiff::civil::DateTime = text.trim().parse().ok()?;
        let moment = civil.to_zoned(self.0.clone()).ok()?;
        Some(Utc::from_millis(moment.timestamp().as_millisecond()))
    }

    /// The date so many days after `time`: `2019-03-02` for forms, and `Sat 2 Mar` for people.
    pub fn date(&self, time: Utc, days: i32) -> (String, String) {
        let date = self.local(time).date().saturating_add(days.days());
        (date.strftime("%Y-%m-%d").to_string(), date.strftime("%a %-d %b").to_string())
    }

    /// `2019-03-01T17:30`, as a form's field for a local time has it.
    pub fn field(&self, time: Utc) -> String {
        self.local(time).strftime("%Y-%m-%dT%H:%M").to_string()
    }

    fn local(&self, time: Utc) -> Zoned {
        let stamp = Timestamp::from_millisecond(time.as_millis()).unwrap_or_default();
        stamp.to_zoned(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Utc {
        Utc::parse(text).expect("a valid time")
    }

    #[test]
    fn a_time_of_day_is_the_next_one_on_the_wall_clock() {
        let paris = Zone::new("Europe/Paris");
        let now = utc("2019-03-01T16:30:00Z");
        assert_eq!(paris.moment("17:31", now), Some(utc("2019-03-01T16:31:00Z")));
        // It is 17:30 there: the next 17:30 is tomorrow's.
        assert_eq!(paris.moment("17:30", now), Some(utc("2019-03-02T16:30:00Z")));
        assert_eq!(paris.moment("2019-03-02T07:15", now), Some(utc("2019-03-02T06:15:00Z")));
        assert_eq!(paris.moment("2019-03-02T07:15:00Z", now), Some(utc("2019-03-02T07:15:00Z")));
        for nonsense in ["", "25:00", "7:5", "17.30", "-1:30", "+7:30", "soon", "17:300"] {
            assert_eq!(paris.moment(nonsense, now), None, "{nonsense}");
        }
    }

    #[test]
    fn clock_changes_neither_lose_nor_repeat_a_departure() {
        let paris = Zone::new("Europe/Paris");
        // 02:30 does not exist on 31 March 2019; 02:30 comes twice on 27 October.
        let skipped =
            paris.next(utc("2019-03-30T23:00:00Z"), TimeOfDay::new(2, 30).expect("valid"));
        assert_eq!(skipped, utc("2019-03-31T01:30:00Z"));
        let twice = paris.next(utc("2019-10-26T23:00:00Z"), TimeOfDay::new(2, 30).expect("valid"));
        assert_eq!(twice, utc("2019-10-27T00:30:00Z"));
    }

    #[test]
    fn times_read_like_people_say_them() {
        let paris = Zone::new("Europe/Paris");
        let now = utc("2019-03-01T08:00:00Z");
        let said = |text| paris.words(utc(text), Some(now));
        assert_eq!(said("2019-03-01T16:30:00Z"), "17:30");
        assert_eq!(said("2019-03-02T06:15:00Z"), "Sat 07:15");
        assert_eq!(said("2019-03-12T06:15:00Z"), "Tue 12 Mar 07:15");
        assert_eq!(paris.field(now), "2019-03-01T09:00");
        assert_eq!(Zone::new("Nowhere/Land").words(now, Some(now)), "08:00");
    }
}
