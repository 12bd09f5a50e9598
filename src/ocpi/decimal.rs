//! Exact decimals for money and energy: twelve places behind the point, no floats in between.
//!
//! On the wire they are JSON numbers. serde hands those over as floats, whose shortest text is what
//! was written for up to fifteen digits; that text is read here, so `0.1` stays `0.1`.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits behind the point.
const PLACES: u32 = 12;

/// One.
const UNIT: i128 = 1_000_000_000_000;

/// The largest magnitude that is taken in; beyond it a price or an energy is a mistake.
const MAGNITUDE_MAX: i128 = UNIT * 1_000_000_000_000;

/// A decimal number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i128);

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From a whole number of the smallest unit with so many places, e.g. `(1234, 3)` = 1.234.
    pub fn new(mantissa: i64, places: u32) -> Self {
        let factor = 10_i128.pow(PLACES.saturating_sub(places.min(PLACES)));
        Self(i128::from(mantissa) * factor)
    }

    /// From its text, e.g. `-12.5` or `1e-3`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match digits.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, digits.strip_prefix('+').unwrap_or(digits)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || 30 < all.len() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mantissa: i128 = all.parse().ok()?;
        let shift = i32::try_from(PLACES).ok()? - i32::try_from(fraction.len()).ok()? + exponent;
        let value = match u32::try_from(shift) {
            Ok(up) => mantissa.checked_mul(10_i128.checked_pow(up)?)?,
            Err(_) => rounded(mantissa, 10_i128.checked_pow(shift.unsigned_abs())?),
        };
        let value = if negative { -value } else { value };
        (value.abs() <= MAGNITUDE_MAX).then_some(Self(value))
    }

    /// From a float, by its shortest text.
    pub fn from_f64(value: f64) -> Option<Self> {
        value.is_finite().then(|| Self::parse(&format!("{value:e}"))).flatten()
    }

    /// The nearest float, for screens and for currents.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / UNIT as f64
    }

    /// Rounded half away from zero to so many places.
    pub fn round(self, places: u32) -> Self {
        let step = 10_i128.pow(PLACES.saturating_sub(places.min(PLACES)));
        Self(rounded(self.0, step) * step)
    }

    /// The next multiple of `step` that is not below; itself where the step is not positive.
    pub fn round_up_to(self, step: Self) -> Self {
        if step.0 <= 0 {
            return self;
        }
        let over = self.0.rem_euclid(step.0);
        if over == 0 { self } else { Self(self.0 - over + step.0) }
    }

    /// Whether it is below zero.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Not below zero.
    pub fn at_least_zero(self) -> Self {
        Self(self.0.max(0))
    }
}

/// Half away from zero.
fn rounded(value: i128, by: i128) -> i128 {
    let half = by / 2;
    if value < 0 { (value - half) / by } else { (value + half) / by }
}

impl Add for Decimal {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Decimal {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Decimal {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Decimal {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Mul for Decimal {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let whole = (self.0 / UNIT).saturating_mul(other.0);
        let part = rounded((self.0 % UNIT).saturating_mul(other.0), UNIT);
        Self(whole.saturating_add(part))
    }
}

impl Div<i64> for Decimal {
    type Output = Self;
    fn div(self, by: i64) -> Self {
        if by == 0 { Self::ZERO } else { Self(rounded(self.0, i128::from(by))) }
    }
}

impl Sum for Decimal {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) = (self.0.abs() / UNIT, self.0.abs() % UNIT);
        if part == 0 {
            return write!(to, "{sign}{whole}");
        }
        let digits = format!("{part:012}");
        write!(to, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(self.0 / UNIT) {
            Ok(whole) if self.0 % UNIT == 0 => to.serialize_i64(whole),
            _ => to.serialize_f64(self.to_string().parse().unwrap_or(f64::MAX)),
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// A JSON number, or the same as a text: some platforms quote their numbers.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        let parsed = match &value {
            serde_json::Value::Number(number) => Self::parse(&number.to_string()),
            serde_json::Value::String(text) => Self::parse(text),
            _ => None,
        };
        parsed.ok_or_else(|| serde::de::Error::custom(format!("{value} is no number")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_what_was_read() {
        for text in ["0.1", "1234.5678", "-0.25", "3", "0.000001", "99999999.99"] {
            let decimal = Decimal::parse(text).unwrap();
            assert_eq!(decimal.to_string(), text);
            assert_eq!(serde_json::to_string(&decimal).unwrap(), text.replace("0.000001", "1e-6"));
        }
        assert_eq!(Decimal::parse("1.2.3"), None);
        assert_eq!(Decimal::parse("1e40"), None);
    }

    #[test]
    fn a_tenth_three_times_is_three_tenths() {
        let tenth: Decimal = serde_json::from_str("0.1").unwrap();
        assert_eq!(tenth + tenth + tenth, Decimal::parse("0.3").unwrap());
        assert_eq!(Decimal::new(2345, 3).round(2), Decimal::new(235, 2));
        assert_eq!(Decimal::new(-2345, 3).round(2), Decimal::new(-235, 2));
        assert_eq!(Decimal::new(301, 0).round_up_to(Decimal::new(60, 0)), Decimal::new(360, 0));
    }

    proptest! {
        #[test]
        fn products_are_those_of_whole_numbers(
            one in -1_000_000i64..1_000_000,
            other in -1_000_000i64..1_000_000,
        ) {
            let product = Decimal::new(one, 4) * Decimal::new(other, 4);
            prop_assert_eq!(product, Decimal::new(one * other, 8));
        }

        #[test]
        fn numbers_survive_the_wire(
            mantissa in -1_000_000_000_000i64..1_000_000_000_000,
            places in 0u32..7,
        ) {
            let decimal = Decimal::new(mantissa, places);
            let text = serde_json::to_string(&decimal).unwrap();
            prop_assert_eq!(serde_json::from_str::<Decimal>(&text).unwrap(), decimal);
        }
    }
}
