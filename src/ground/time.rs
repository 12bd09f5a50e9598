//! Two kinds of time that never convert into each other silently, and the span between two.
//!
//! [`Instant`] is monotonic and drives every safety decision. [`Utc`] is the calendar and stamps
//! records and schedules; it is absent until the box trusts its clock. Nothing here reads a clock.

use std::ops::{Add, AddAssign, Div, Mul, Sub};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time in milliseconds; may be negative.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Duration(i64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From milliseconds.
    pub const fn millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// From minutes.
    pub const fn minutes(minutes: i64) -> Self {
        Self::seconds(minutes.saturating_mul(60))
    }

    /// From hours.
    pub const fn hours(hours: i64) -> Self {
        Self::minutes(hours.saturating_mul(60))
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// In whole seconds, rounded towards zero.
    pub const fn as_seconds(self) -> i64 {
        self.0 / 1000
    }

    /// In hours, for plots and sums.
    pub fn as_hours(self) -> f64 {
        self.0 as f64 / 3_600_000.0
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Duration {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Duration {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul<i64> for Duration {
    type Output = Self;
    fn mul(self, times: i64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

impl Div<i64> for Duration {
    type Output = Self;
    fn div(self, parts: i64) -> Self {
        Self(self.0 / parts)
    }
}

impl std::fmt::Display for Duration {
    /// In the words of a person: `18 s`, `4 min`, `2 h 05 min`.
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.as_seconds();
        match seconds {
            ..120 => write!(to, "{seconds} s"),
            120..7200 => write!(to, "{} min", seconds / 60),
            _ => write!(to, "{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        }
    }
}

/// A moment of the monotonic clock, in milliseconds since the controller's world began.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Instant(i64);

impl Instant {
    /// The beginning of this world.
    pub const START: Self = Self(0);

    /// From milliseconds since the start.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the start.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Time since `earlier`; never negative.
    pub fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0).max(0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

/// A moment of the calendar, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utc(i64);

impl Utc {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Time since `earlier`; negative when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    /// Reads an RFC 3339 time with its offset, e.g. `2019-03-01T08:00:00Z` or `…+02:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let stamp: jiff::Timestamp = text.trim().parse().ok()?;
        Some(Self(stamp.as_millisecond()))
    }

    /// `YYYY-MM-DDTHH:MM:SSZ`: whole seconds and `Z`, the one form that every charger reads.
    pub fn to_text(self) -> String {
        match jiff::Timestamp::from_second(self.0.div_euclid(1000)) {
            Ok(stamp) => stamp.to_string(),
            Err(_) => String::from("1970-01-01T00:00:00Z"),
        }
    }
}

impl Add<Duration> for Utc {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Duration> for Utc {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl std::fmt::Display for Utc {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.to_text())
    }
}

impl Serialize for Utc {
    /// RFC 3339 with milliseconds, so that a stored time is read back exactly.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(stamp) => to.collect_str(&stamp),
            Err(_) => to.serialize_str("1970-01-01T00:00:00Z"),
        }
    }
}

impl<'de> Deserialize<'de> for Utc {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("\"{text}\" is no time like 2019-03-01T08:00:00Z"))
        })
    }
}

/// The present: the monotonic moment, and the calendar where it is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Drives timers, leases and every safety decision.
    pub mono: Instant,
    /// Stamps records and schedules; absent until the clock is trusted.
    pub utc: Option<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_whole_seconds_with_z() {
        let time = Utc::parse("2019-03-01T08:00:00.789+02:00").expect("a valid time");
        assert_eq!(time.to_text(), "2019-03-01T06:00:00Z");
        assert_eq!(Utc::parse("yesterday"), None);
    }

    #[test]
    fn stored_times_keep_their_milliseconds() {
        let time = Utc::from_millis(1_551_427_200_789);
        let text = serde_json::to_string(&time).expect("a time is plain text");
        assert_eq!(serde_json::from_str::<Utc>(&text).expect("it was written here"), time);
    }

    #[test]
    fn spans_read_like_a_person_says_them() {
        assert_eq!(Duration::seconds(18).to_string(), "18 s");
        assert_eq!(Duration::minutes(125).to_string(), "2 h 05 min");
    }
}
