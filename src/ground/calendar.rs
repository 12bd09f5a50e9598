//! The calendar of a place: local days, weekdays and hours of a time zone with its summer time.
//!
//! From the zone data inside the program, so that the same input gives the same local time on every
//! box. Nothing that protects a breaker depends on it.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::Utc;

/// Milliseconds of a day that is neither shortened nor lengthened by summer time.
const DAY_MS: i64 = 86_400_000;

/// The years in which offsets are looked up in a table, in seconds since 1970: 2010 to 2044. By the
/// zone's rules each costs ten times more, and planning asks for thousands a second.
const TABLE: (i64, i64) = (1_262_304_000, 2_366_841_600);

/// The local days of a time zone; an unknown name counts as UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    zone: TimeZone,
    /// From when on, in milliseconds since 1970, how much is added to UTC, in milliseconds. The
    /// last line only ends the table.
    offsets: Arc<[(i64, i64)]>,
}

/// A moment as people on site see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime {
    /// Calendar year.
    pub year: i16,
    /// 1 to 12.
    pub month: i8,
    /// 1 to 31.
    pub day: i8,
    /// Days since 1970-01-01 by the local calendar.
    pub day_number: i64,
    /// 0 is Monday, 6 is Sunday.
    pub weekday: u8,
    /// Minutes since local midnight, by the clock on the wall.
    pub minute: i16,
}

impl Calendar {
    /// Of an IANA time zone.
    pub fn new(name: &str) -> Self {
        Self::of(TimeZoneDatabase::bundled().get(name).unwrap_or(TimeZone::UTC))
    }

    fn of(zone: TimeZone) -> Self {
        let [first, last] =
            [TABLE.0, TABLE.1].map(|at| Timestamp::from_second(at).unwrap_or_default());
        let line = |at: Timestamp| (at, zone.to_offset(at));
        let changes = zone.following(first).map(|change| (change.timestamp(), change.offset()));
        let changes = changes.take_while(|(at, _)| *at < last);
        let all = [line(first)].into_iter().chain(changes).chain([line(last)]);
        let offsets = all.map(|(at, offset)| (at.as_millisecond(), milliseconds(offset))).collect();
        Self { offsets, zone }
    }

    /// Its IANA name.
    pub fn name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// What is added to UTC at this moment, in milliseconds.
    pub fn offset_ms(&self, at: Utc) -> i64 {
        let at = at.as_millis();
        let next = self.offsets.partition_point(|(from, _)| *from <= at);
        match next.checked_sub(1).filter(|_| next < self.offsets.len()) {
            Some(line) => self.offsets[line].1,
            None => {
                let stamp = Timestamp::from_millisecond(at).unwrap_or_default();
                milliseconds(self.zone.to_offset(stamp))
            }
        }
    }

    /// What the calendar and the clock on the wall show.
    pub fn local(&self, at: Utc) -> LocalTime {
        let wall = at.as_millis().saturating_add(self.offset_ms(at));
        let day_number = wall.div_euclid(DAY_MS);
        let date =
            Timestamp::from_second(day_number.saturating_mul(DAY_MS / 1000)).unwrap_or_default();
        let date = jiff::tz::Offset::UTC.to_datetime(date);
        LocalTime {
            year: date.year(),
            month: date.month(),
            day: date.day(),
            day_number,
            // 1970-01-01 was a Thursday.
            weekday: (day_number + 3).rem_euclid(7) as u8,
            minute: (wall.rem_euclid(DAY_MS) / 60_000) as i16,
        }
    }

    /// The moment when the local calendar and clock show this day and minute; where summer time
    /// leaves the minute out, the one an hour later, where it comes twice, the second.
    pub fn moment(&self, day_number: i64, minute: i64) -> Utc {
        let wall = day_number.saturating_mul(DAY_MS).saturating_add(minute.saturating_mul(60_000));
        let guess = Utc::from_millis(wall.saturating_sub(self.offset_ms(Utc::from_millis(wall))));
        Utc::from_millis(wall.saturating_sub(self.offset_ms(guess)))
    }

    /// A time as text: with its offset, else by the clock of this place.
    pub fn parse(&self, text: &str) -> Option<Utc> {
        let local = || {
            let civil: jiff::civil::DateTime = text.trim().parse().ok()?;
            let zoned = civil.to_zoned(self.zone.clone()).ok()?;
            Some(Utc::from_millis(zoned.timestamp().as_millisecond()))
        };
        Utc::parse(text).or_else(local)
    }
}

fn milliseconds(offset: jiff::tz::Offset) -> i64 {
    i64::from(offset.seconds()) * 1000
}

impl Default for Calendar {
    fn default() -> Self {
        Self::of(TimeZone::UTC)
    }
}

impl Serialize for Calendar {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Calendar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|name| Self::new(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Utc {
        Utc::parse(text).expect("a time")
    }

    #[test]
    fn the_clock_on_the_wall_knows_summer_time() {
        let paris = Calendar::new("Europe/Paris");
        let local = paris.local(at("2019-07-01T22:30:00Z"));
        assert_eq!((local.year, local.month, local.day), (2019, 7, 2));
        assert_eq!((local.weekday, local.minute), (1, 30));
        assert_eq!(paris.moment(local.day_number, 30), at("2019-07-01T22:30:00Z"));
    }

    #[test]
    fn days_of_23_and_25_hours_begin_at_midnight() {
        let paris = Calendar::new("Europe/Paris");
        let midnight = |noon: &str, days: i64| {
            let today = paris.local(at(noon)).day_number;
            paris.moment(today + days, 0)
        };
        let (spring, autumn) = ("2019-03-31T12:00:00Z", "2019-10-27T12:00:00Z");
        assert_eq!(midnight(spring, 0), at("2019-03-30T23:00:00Z"));
        assert_eq!(midnight(spring, 1), at("2019-03-31T22:00:00Z"));
        assert_eq!(midnight(autumn, 0), at("2019-10-26T22:00:00Z"));
        assert_eq!(midnight(autumn, 1), at("2019-10-27T23:00:00Z"));
    }

    #[test]
    fn the_table_agrees_with_the_rules_of_the_zone() {
        for name in ["Europe/Paris", "Africa/Casablanca", "Australia/Lord_Howe", "UTC"] {
            let calendar = Calendar::new(name);
            let by_rule = |at: i64| {
                let stamp = Timestamp::from_millisecond(at).expect("a moment");
                milliseconds(calendar.zone.to_offset(stamp))
            };
            let edges = calendar.offsets.iter().flat_map(|(at, _)| [at - 1, *at, at + 1]);
            let hours = (TABLE.0 - 200_000_000..TABLE.1 + 200_000_000).step_by(100_003);
            for at in edges.chain(hours.map(|at| at * 1000)) {
                assert_eq!(calendar.offset_ms(Utc::from_millis(at)), by_rule(at), "{name} {at}");
            }
        }
        assert_eq!(Calendar::new("Europe/Paris").offsets.len(), 72);
    }

    #[test]
    fn no_moment_is_too_strange() {
        let zone = Calendar::new("Moon/Tycho");
        assert_eq!(zone.name(), "UTC");
        for millis in [i64::MIN, -1, 0, i64::MAX] {
            let local = Calendar::new("Asia/Kathmandu").local(Utc::from_millis(millis));
            assert!(local.weekday < 7 && (0..1440).contains(&local.minute));
        }
    }
}
