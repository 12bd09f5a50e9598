//! Turns what chargers really send into what the strict types of `rust-ocpp` accept.
//!
//! Strict types are tried first; only what they refuse comes here, as a JSON object whose fields
//! are mended one by one: numbers as text, fractions for integers, open words for closed enums,
//! times in every dialect. What does not fit a strict type (a transaction id beyond 2^31, an
//! unknown word) is kept aside. Every mend is noted as a [`Repair`]; nothing drops a message.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::ground::time::Utc;

/// Longer texts are cut: no field of OCPP 1.6 is meant to be longer, and real ones stay below.
pub const FIELD_TEXT_MAX: usize = 1024;

/// A kind of deviation that was mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// A number was written as text, or a text as a number.
    NumberAsText,
    /// A fraction where an integer belongs.
    FractionForInteger,
    /// An integer beyond the range of its field.
    IntegerTooLarge,
    /// A field that must be there is missing, null or unreadable.
    MissingField,
    /// A word that the enumeration does not have.
    UnknownWord,
    /// A known word in the wrong case or with blanks around it.
    WrongCase,
    /// A time in another dialect than RFC 3339, or without an offset.
    LaxTime,
    /// A time that cannot be read.
    NoTime,
    /// A text that is far too long.
    LongText,
    /// The payload was null or an empty list.
    EmptyPayload,
    /// The same field twice, or another structure that only a lax reader accepts.
    OddStructure,
    /// A measured value that is no number.
    NoNumber,
    /// A measured value whose unit was a thousand times off.
    UnitSlip,
    /// A connector that the site does not have.
    UnknownConnector,
    /// The charger's clock is far off; the time of arrival is used.
    WrongClock,
}

impl Repair {
    /// Its name in events; the same as in [`super::field`] where it is met there.
    pub const fn name(self) -> &'static str {
        match self {
            Repair::NumberAsText => "number-as-value",
            Repair::FractionForInteger => "fractional-register",
            Repair::IntegerTooLarge => "huge-transaction",
            Repair::MissingField => "missing-field",
            Repair::UnknownWord => "unknown-word",
            Repair::WrongCase => "wrong-case",
            Repair::LaxTime => "naive-time",
            Repair::NoTime => "no-time",
            Repair::LongText => "long-strings",
            Repair::EmptyPayload => "empty-payload",
            Repair::OddStructure => "odd-structure",
            Repair::NoNumber => "no-number",
            Repair::UnitSlip => "unit-wrong",
            Repair::UnknownConnector => "unknown-connector",
            Repair::WrongClock => "wrong-clock",
        }
    }

    /// In words for people.
    pub const fn words(self) -> &'static str {
        match self {
            Repair::NumberAsText => "a number was written as text or a text as a number",
            Repair::FractionForInteger => "a fraction stood where an integer belongs",
            Repair::IntegerTooLarge => "an integer was beyond its range",
            Repair::MissingField => "a required field was missing or unreadable",
            Repair::UnknownWord => "a word was not in its enumeration",
            Repair::WrongCase => "a word was in the wrong case",
            Repair::LaxTime => "a time was not in RFC 3339 with offset",
            Repair::NoTime => "a time could not be read; the time of arrival is used",
            Repair::LongText => "a text was too long and was cut",
            Repair::EmptyPayload => "the payload was not an object",
            Repair::OddStructure => "a field came twice or in an odd structure",
            Repair::NoNumber => "a measured value was not a number and was left out",
            Repair::UnitSlip => "a measured value was a thousand times off its unit",
            Repair::UnknownConnector => "it named a connector that the site does not have",
            Repair::WrongClock => "the charger's clock is far off; the time of arrival is used",
        }
    }
}

/// The mends of one frame, each kind once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repairs(Vec<Repair>);

impl Repairs {
    /// Notes a mend.
    pub fn note(&mut self, repair: Repair) {
        if !self.0.contains(&repair) {
            self.0.push(repair);
        }
    }

    /// Every kind of mend, in the order they were made.
    pub fn kinds(&self) -> &[Repair] {
        &self.0
    }
}

/// A JSON object under repair.
pub struct Bench<'a> {
    /// The fields.
    pub fields: &'a mut Map<String, Value>,
    /// What was mended.
    pub repairs: &'a mut Repairs,
}

impl Bench<'_> {
    /// Brings an integer field into `range`; a field that is not there becomes `default` or stays
    /// away. Gives the true value back where it does not fit.
    pub fn integer(
        &mut self,
        key: &str,
        range: RangeInclusive<i64>,
        default: Option<i64>,
    ) -> Option<f64> {
        let number = self.fields.get(key).and_then(|value| self.number(value));
        let Some(number) = number else {
            self.missing(key, default.map(Value::from));
            return None;
        };
        if let Some(text) = self.fields.get(key)
            && text.is_string()
        {
            self.repairs.note(Repair::NumberAsText);
        }
        if number.fract() != 0.0 {
            self.repairs.note(Repair::FractionForInteger);
        }
        let whole = number.round();
        let fits = (*range.start() as f64) <= whole && whole <= (*range.end() as f64);
        if fits {
            self.fields.insert(key.to_owned(), Value::from(whole as i64));
            return None;
        }
        self.repairs.note(Repair::IntegerTooLarge);
        self.fields.remove(key);
        if let Some(default) = default {
            self.fields.insert(key.to_owned(), Value::from(default));
        }
        Some(whole)
    }

    fn number(&self, value: &Value) -> Option<f64> {
        match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => lax_number(text),
            _ => None,
        }
    }

    /// Brings a text field to a text of bearable length.
    pub fn text(&mut self, key: &str, default: Option<&str>) {
        let mended = match self.fields.get(key) {
            Some(Value::String(text)) if text.len() <= FIELD_TEXT_MAX => return,
            Some(Value::String(text)) => {
                self.repairs.note(Repair::LongText);
                Some(cut(text).to_owned())
            }
            Some(value @ (Value::Number(_) | Value::Bool(_))) => {
                self.repairs.note(Repair::NumberAsText);
                Some(value.to_string())
            }
            Some(value @ (Value::Object(_) | Value::Array(_))) if default.is_none() => {
                self.repairs.note(Repair::NumberAsText);
                Some(cut(&value.to_string()).to_owned())
            }
            _ => None,
        };
        match mended {
            Some(text) => {
                self.fields.insert(key.to_owned(), Value::String(text));
            }
            None => self.missing(key, default.map(Value::from)),
        }
    }

    /// Brings a time field to RFC 3339 in UTC. Where `required`, an unreadable one becomes 1970,
    /// which is no plausible time to anybody downstream.
    pub fn time(&mut self, key: &str, required: bool) {
        let read = match self.fields.get(key) {
            Some(Value::String(text)) => lax_time(text),
            Some(Value::Number(number)) => number.as_i64().and_then(epoch),
            _ => None,
        };
        match read {
            Some(time) => {
                let written = self.fields.get(key).and_then(Value::as_str);
                if !written.is_some_and(is_strict_time) {
                    self.repairs.note(Repair::LaxTime);
                    let exact = serde_json::to_value(time).unwrap_or_default();
                    self.fields.insert(key.to_owned(), exact);
                }
            }
            None => {
                let present = self.fields.remove(key).is_some();
                if required {
                    self.fields.insert(key.to_owned(), Value::from("1970-01-01T00:00:00Z"));
                }
                if required || present {
                    self.repairs.note(Repair::NoTime);
                }
            }
        }
    }

    /// Brings an enumeration to one of `known`. A word that is none of them is given back and
    /// replaced by `default`, or taken away.
    pub fn choice(&mut self, key: &str, known: &[&str], default: Option<&str>) -> Option<String> {
        let Some(Value::String(word)) = self.fields.get(key) else {
            self.missing(key, default.map(Value::from));
            return None;
        };
        if known.contains(&word.as_str()) {
            return None;
        }
        let trimmed = word.trim();
        let close = known.iter().find(|known| known.eq_ignore_ascii_case(trimmed));
        if let Some(close) = close {
            self.repairs.note(Repair::WrongCase);
            self.fields.insert(key.to_owned(), Value::from(*close));
            return None;
        }
        let unknown = cut(trimmed).to_owned();
        self.repairs.note(Repair::UnknownWord);
        self.fields.remove(key);
        if let Some(default) = default {
            self.fields.insert(key.to_owned(), Value::from(default));
        }
        Some(unknown)
    }

    fn missing(&mut self, key: &str, default: Option<Value>) {
        let present = self.fields.remove(key).is_some_and(|value| !value.is_null());
        if default.is_some() || present {
            self.repairs.note(Repair::MissingField);
        }
        if let Some(default) = default {
            self.fields.insert(key.to_owned(), default);
        }
    }
}

/// The start of `text`, at most [`FIELD_TEXT_MAX`] bytes of it.
pub fn cut(text: &str) -> &str {
    let end = (0..=FIELD_TEXT_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// A number as chargers write it: blanks around it, a decimal comma.
pub fn lax_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let number: f64 = match text.parse() {
        Ok(number) => number,
        Err(_) => text.replacen(',', ".", 1).parse().ok()?,
    };
    number.is_finite().then_some(number)
}

/// A time as chargers write it. Without an offset it is taken as UTC; whether the charger means its
/// local time shows in how its clock lags.
pub fn lax_time(text: &str) -> Option<Utc> {
    let text = text.trim();
    if let Some(time) = Utc::parse(text) {
        return Some(time);
    }
    if let Ok(civil) = text.trim_end_matches(['z', 'Z']).parse::<jiff::civil::DateTime>() {
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        return Some(Utc::from_millis(zoned.timestamp().as_millisecond()));
    }
    text.parse().ok().and_then(epoch)
}

/// RFC 3339 with `T`, seconds and an offset: what strict types read without help.
fn is_strict_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_offset = text.ends_with('Z')
        || (25 <= bytes.len() && bytes[bytes.len() - 3] == b':' && bytes[bytes.len() - 6] != b':');
    20 <= bytes.len() && bytes[10] == b'T' && has_offset && Utc::parse(text).is_some()
}

/// Seconds or milliseconds since 1970, told apart by their size.
fn epoch(number: i64) -> Option<Utc> {
    match number {
        1_000_000_000..=9_999_999_999 => Some(Utc::from_millis(number * 1000)),
        1_000_000_000_000..=9_999_999_999_999 => Some(Utc::from_millis(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_every_dialect_are_read() {
        let expected = Utc::parse("2024-05-17T18:10:52Z");
        for text in [
            "2024-05-17T18:10:52Z",
            "2024-05-17T18:10:52z",
            "2024-05-17 18:10:52",
            "2024-05-17T20:10:52+02",
            "2024-05-17T20:10:52+0200",
            " 2024-05-17T18:10:52.000 ",
            "1715969452",
            "1715969452000",
        ] {
            assert_eq!(lax_time(text), expected, "{text}");
        }
        assert_eq!(lax_time("0000-00-00T00:00:00Z"), None);
        assert_eq!(lax_time(""), None);
    }

    #[test]
    fn numbers_may_be_padded_or_have_a_comma() {
        assert_eq!(lax_number(" 12,5 "), Some(12.5));
        assert_eq!(lax_number("NaN"), None);
        assert_eq!(lax_number("1e999"), None);
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        let text = "é".repeat(FIELD_TEXT_MAX);
        assert!(cut(&text).len() <= FIELD_TEXT_MAX);
    }
}
