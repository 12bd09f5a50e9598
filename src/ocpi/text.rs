//! Texts of OCPI: case-insensitive strings that keep their case, times in UTC, open enums, lists
//! that may be null, whole numbers that may be quoted.
//!
//! Lenient in, strict out: whatever a platform writes that has one meaning is taken; what leaves is
//! as the specification has it.

use std::cmp::Ordering;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ground::time::{Duration, Utc};

/// A CiString: compared without case, kept and echoed as it came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ci(pub String);

impl Ci {
    /// From a text.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same for every case, as a key.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for Ci {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Ci {}

impl PartialOrd for Ci {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ci {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl std::fmt::Display for Ci {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.0)
    }
}

/// A DateTime: RFC 3339 in UTC, at most 25 characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Utc);

impl Time {
    /// Reads a time with `Z`, with an offset, or with neither (which means UTC).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        Utc::parse(text).or_else(|| Utc::parse(&format!("{text}Z"))).map(Self)
    }

    /// `YYYY-MM-DDTHH:MM:SSZ`, with milliseconds where there are any.
    pub fn to_text(self) -> String {
        let seconds = self.0.to_text();
        match self.0.as_millis().rem_euclid(1000) {
            0 => seconds,
            millis => format!("{}.{millis:03}Z", seconds.trim_end_matches('Z')),
        }
    }

    /// The later of `now` and one millisecond after this: `last_updated` never stands still.
    pub fn next(self, now: Utc) -> Self {
        Self(now.max(self.0 + Duration::millis(1)))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.to_text())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("\"{text}\" is no time like 2024-03-01T08:00:00Z"))
        })
    }
}

/// An enum whose unknown members survive: OCPI grows without asking.
macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident { $($member:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = $text] $member,)+
            /// One that this version does not know, as it was written.
            Other(String),
        }

        impl $name {
            /// From its word.
            pub fn from_word(word: &str) -> Self {
                match word {
                    $($text => Self::$member,)+
                    other => Self::Other(other.to_owned()),
                }
            }

            /// Its word on the wire.
            pub fn word(&self) -> &str {
                match self {
                    $(Self::$member => $text,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.word())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from).map(|word| Self::from_word(&word))
            }
        }
    };
}

pub(super) use open_enum;

/// A list that may be absent, null or empty.
pub fn list<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let values: Option<Vec<serde_json::Value>> = Option::deserialize(from)?;
    let read = |value| serde_json::from_value(value).map_err(serde::de::Error::custom);
    values.unwrap_or_default().into_iter().map(read).collect()
}

/// A whole number, also where it came quoted or with a fraction of zero.
pub fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    whole_of(&value).ok_or_else(|| serde::de::Error::custom(format!("{value} is no whole number")))
}

/// As [`whole`], and may be absent or null.
pub fn whole_maybe<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    if value.is_null() {
        return Ok(None);
    }
    let read = whole_of(&value);
    read.map(Some).ok_or_else(|| serde::de::Error::custom(format!("{value} is no whole number")))
}

fn whole_of(value: &serde_json::Value) -> Option<i64> {
    match value {
        serde_json::Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().filter(|float| float.fract() == 0.0).map(|f| f as i64)),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_in_every_spelling_and_leave_in_one() {
        for text in ["2024-03-01T08:00:00Z", "2024-03-01T08:00:00", "2024-03-01T10:00:00+02:00"] {
            assert_eq!(Time::parse(text).unwrap().to_text(), "2024-03-01T08:00:00Z");
        }
        let fraction = Time::parse("2024-03-01T08:00:00.25").unwrap();
        assert_eq!(fraction.to_text(), "2024-03-01T08:00:00.250Z");
        assert_eq!(fraction.next(fraction.0).to_text(), "2024-03-01T08:00:00.251Z");
        assert_eq!(Time::parse("yesterday"), None);
    }

    #[test]
    fn ci_strings_are_equal_in_any_case_and_keep_theirs() {
        assert_eq!(Ci::new("nl"), Ci::new("NL"));
        assert_eq!(serde_json::to_string(&Ci::new("nL")).unwrap(), "\"nL\"");
    }
}
