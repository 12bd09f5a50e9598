//! Quantities, times and states in the words and figures that people read, on page and terminal.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::ground::time::{Duration, Utc};
use crate::ground::units::{Amps, WattHours, Watts};
use crate::model::event::Severity;
use crate::model::message::EvseStatus;

/// One decimal of thousandths, rounded to the nearest, without a minus before zero.
pub fn tenths(thousandths: i64) -> String {
    let tenths = (thousandths.unsigned_abs() + 50) / 100;
    let sign = if thousandths < 0 && tenths > 0 { "−" } else { "" };
    format!("{sign}{}.{}", tenths / 10, tenths % 10)
}

/// `15.8 A`.
pub fn amps(current: Amps) -> String {
    format!("{} A", tenths(current.as_milli()))
}

/// `16 A` for whole amperes, else `62.3 A`: ratings as they stand on the label.
pub fn rating(current: Amps) -> String {
    if current.as_milli() % 1000 == 0 {
        format!("{} A", current.as_milli() / 1000)
    } else {
        amps(current)
    }
}

/// `7.4 kW`.
pub fn kilowatts(power: Watts) -> String {
    format!("{} kW", tenths(power.as_milli() / 1000))
}

/// `12.3 kWh`.
pub fn kilowatt_hours(energy: WattHours) -> String {
    format!("{} kWh", tenths(energy.as_milli() / 1000))
}

/// What an EVSE is doing, for people.
pub fn status(status: EvseStatus) -> &'static str {
    match status {
        EvseStatus::Unknown => "not heard yet",
        EvseStatus::Available => "free",
        EvseStatus::Preparing => "plugged in",
        EvseStatus::Charging => "charging",
        EvseStatus::SuspendedEvse => "paused by the charger",
        EvseStatus::SuspendedEv => "paused by the car",
        EvseStatus::Finishing => "finished",
        EvseStatus::Reserved => "reserved",
        EvseStatus::Unavailable => "out of service",
        EvseStatus::Faulted => "fault",
    }
}

/// How much an event matters, for people.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Alarm => "alarm",
    }
}

/// `1 car`, `3 cars`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// How long ago in milliseconds, e.g. `3 s`.
pub fn age(millis: i64) -> String {
    Duration::millis(millis.max(0)).to_string()
}

/// Times as the clock on the site's wall shows them.
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// In this IANA zone; in UTC, and saying so, where the zone is unknown.
    pub fn new(zone: &str) -> Self {
        Self { zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC) }
    }

    /// `Friday 1 March 2019, 09:24:05 CET`.
    pub fn full(&self, time: Utc) -> String {
        self.show(time, "%A %-d %B %Y, %H:%M:%S %Z")
    }

    /// `09:24` on the day of `now`, else `Thu 28 Feb 09:24`, with the year where it differs.
    pub fn short(&self, time: Utc, now: Option<Utc>) -> String {
        let year = |time: Utc| self.show(time, "%Y");
        let day = |time: Utc| self.show(time, "%Y-%m-%d");
        match now {
            Some(now) if day(now) == day(time) => self.show(time, "%H:%M"),
            Some(now) if year(now) == year(time) => self.show(time, "%a %-d %b %H:%M"),
            _ => self.show(time, "%-d %b %Y %H:%M"),
        }
    }

    /// As [`Calendar::short`], with seconds.
    pub fn exact(&self, time: Utc, now: Option<Utc>) -> String {
        format!("{}:{}", self.short(time, now), self.show(time, "%S"))
    }

    fn show(&self, time: Utc, format: &str) -> String {
        match Timestamp::from_millisecond(time.as_millis()) {
            Ok(stamp) => stamp.to_zoned(self.zone.clone()).strftime(format).to_string(),
            Err(_) => "unknown time".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_one_decimal_and_no_minus_zero() {
        assert_eq!(amps(Amps::milli(15_849)), "15.8 A");
        assert_eq!(amps(Amps::milli(-40)), "0.0 A");
        assert_eq!(amps(Amps::milli(-12_350)), "−12.4 A");
        assert_eq!(rating(Amps::new(63)), "63 A");
        assert_eq!(rating(Amps::milli(62_318)), "62.3 A");
        assert_eq!(kilowatts(Watts::new(43_000)), "43.0 kW");
    }

    #[test]
    fn times_are_those_of_the_site() {
        let paris = Calendar::new("Europe/Paris");
        let time = Utc::parse("2019-03-01T08:24:05Z").expect("a valid time");
        let later = Utc::parse("2019-03-01T20:00:00Z").expect("a valid time");
        assert_eq!(paris.full(time), "Friday 1 March 2019, 09:24:05 CET");
        assert_eq!(paris.short(time, Some(later)), "09:24");
        assert_eq!(paris.short(time, Some(later + Duration::hours(24))), "Fri 1 Mar 09:24");
        assert_eq!(Calendar::new("Nowhere/Land").exact(time, Some(later)), "08:24:05");
    }
}
