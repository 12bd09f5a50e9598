//! Electrical quantities as exact integer newtypes in thousandths of their unit.
//!
//! Integers are ordered, equal and hashable on every CPU, so a journal replays to the last bit.
//! Sign convention everywhere: import and consumption are positive. Phase order is L1, L2, L3.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Index, IndexMut, Mul, Neg, Sub, SubAssign};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::Duration;

/// Nothing on a charging site is larger than this many thousandths; parsed values are clamped.
const MILLI_MAX: f64 = 1e15;

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// Nothing at all; zero means zero, never "no limit".
            pub const ZERO: Self = Self(0);

            /// A whole number of units.
            pub const fn new(whole: i64) -> Self {
                Self(whole.saturating_mul(1000))
            }

            /// Thousandths of the unit.
            pub const fn milli(thousandths: i64) -> Self {
                Self(thousandths)
            }

            /// Thousandths of the unit.
            pub const fn as_milli(self) -> i64 {
                self.0
            }

            /// The nearest thousandth; not-a-number becomes zero and huge values are clamped.
            pub fn from_f64(value: f64) -> Self {
                Self((value * 1000.0).round().clamp(-MILLI_MAX, MILLI_MAX) as i64)
            }

            /// The value in whole units, for screens, files and plots.
            pub fn as_f64(self) -> f64 {
                self.0 as f64 / 1000.0
            }

            /// The same size without its sign.
            pub const fn abs(self) -> Self {
                Self(self.0.abs())
            }

            /// Zero where the value is negative.
            pub fn at_least_zero(self) -> Self {
                Self(self.0.max(0))
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }

        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }

        impl Mul<i64> for $name {
            type Output = Self;
            fn mul(self, times: i64) -> Self {
                Self(self.0.saturating_mul(times))
            }
        }

        impl Div<i64> for $name {
            type Output = Self;
            /// Rounds towards less, so a share never adds up to more than the whole.
            fn div(self, parts: i64) -> Self {
                Self(self.0.div_euclid(parts))
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
                values.fold(Self::ZERO, Self::add)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_f64(self.as_f64())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                f64::deserialize(from).map(Self::from_f64)
            }
        }
    };
}

quantity!(
    /// Current of one phase, in amperes.
    Amps
);
quantity!(
    /// Voltage between a phase and neutral, in volts.
    Volts
);
quantity!(
    /// Power in watts. Ratings in VA are kept as watts at power factor 1.
    Watts
);
quantity!(
    /// Energy in watt-hours.
    WattHours
);

impl Amps {
    /// Rounded down to the 0.1 A that OCPP 1.6 allows in a limit (`multipleOf 0.1` in its schema).
    pub const fn floor_deci(self) -> Self {
        Self(self.0.div_euclid(100) * 100)
    }
}

impl Mul<Volts> for Amps {
    type Output = Watts;
    fn mul(self, voltage: Volts) -> Watts {
        let product = i128::from(self.0) * i128::from(voltage.0) / 1000;
        Watts(product.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

impl Div<Volts> for Watts {
    type Output = Amps;
    /// The current of one phase at this power; no voltage means no current.
    fn div(self, voltage: Volts) -> Amps {
        if voltage.0 == 0 {
            return Amps::ZERO;
        }
        Amps((i128::from(self.0) * 1000).div_euclid(i128::from(voltage.0)) as i64)
    }
}

impl Mul<Duration> for Watts {
    type Output = WattHours;
    fn mul(self, time: Duration) -> WattHours {
        WattHours((i128::from(self.0) * i128::from(time.as_millis()) / 3_600_000) as i64)
    }
}

/// One of the three phases of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// First phase.
    L1,
    /// Second phase.
    L2,
    /// Third phase.
    L3,
}

impl Phase {
    /// All three, in order.
    pub const ALL: [Phase; 3] = [Phase::L1, Phase::L2, Phase::L3];

    /// Position in [`PerPhase`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(["L1", "L2", "L3"][self.index()])
    }
}

/// One value for each phase, in the order L1, L2, L3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PerPhase<T>(pub [T; 3]);

impl<T: Copy> PerPhase<T> {
    /// The same value on every phase.
    pub const fn all(value: T) -> Self {
        Self([value; 3])
    }

    /// Applies `change` to each phase.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> PerPhase<U> {
        PerPhase(self.0.map(change))
    }

    /// Combines two values phase by phase.
    pub fn zip<U: Copy, V>(self, other: PerPhase<U>, join: impl Fn(T, U) -> V) -> PerPhase<V> {
        PerPhase(std::array::from_fn(|index| join(self.0[index], other.0[index])))
    }

    /// Each phase with its value.
    pub fn iter(self) -> impl Iterator<Item = (Phase, T)> {
        Phase::ALL.into_iter().zip(self.0)
    }
}

impl<T> Index<Phase> for PerPhase<T> {
    type Output = T;
    fn index(&self, phase: Phase) -> &T {
        &self.0[phase.index()]
    }
}

impl<T> IndexMut<Phase> for PerPhase<T> {
    fn index_mut(&mut self, phase: Phase) -> &mut T {
        &mut self.0[phase.index()]
    }
}

impl<T: Copy + Add<Output = T>> Add for PerPhase<T> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.zip(other, T::add)
    }
}

impl<T: Copy + Sub<Output = T>> Sub for PerPhase<T> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.zip(other, T::sub)
    }
}

impl<T: Copy + Add<Output = T>> AddAssign for PerPhase<T> {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl PerPhase<Amps> {
    /// Nothing on any phase.
    pub const ZERO: Self = Self([Amps::ZERO; 3]);

    /// The largest of the three.
    pub fn largest(self) -> Amps {
        self.0.into_iter().max().unwrap_or(Amps::ZERO)
    }

    /// The larger of two values, phase by phase.
    pub fn worst(self, other: Self) -> Self {
        self.zip(other, Amps::max)
    }

    /// Power of all phases together at this phase voltage.
    pub fn power(self, voltage: Volts) -> Watts {
        self.0.into_iter().map(|current| current * voltage).sum()
    }
}

/// Which of the grid's phases something is connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhaseSet(u8);

impl PhaseSet {
    /// All three phases.
    pub const ALL: Self = Self(0b111);
    /// No phase.
    pub const NONE: Self = Self(0);

    /// The set of these phases.
    pub fn of(phases: &[Phase]) -> Self {
        Self(phases.iter().fold(0, |bits, phase| bits | 1 << phase.index()))
    }

    /// Whether `phase` is in the set.
    pub const fn has(self, phase: Phase) -> bool {
        self.0 & (1 << phase.index()) != 0
    }

    /// The set with `phase` in it too.
    pub const fn with(self, phase: Phase) -> Self {
        Self(self.0 | 1 << phase.index())
    }

    /// How many phases are in the set.
    pub const fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The phases in the set, in order.
    pub fn iter(self) -> impl Iterator<Item = Phase> {
        Phase::ALL.into_iter().filter(move |phase| self.has(*phase))
    }

    /// `current` on each phase of the set, nothing on the others.
    pub fn carry(self, current: Amps) -> PerPhase<Amps> {
        PerPhase(Phase::ALL.map(|phase| if self.has(phase) { current } else { Amps::ZERO }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_add_up_to_more_than_the_whole() {
        let whole = Watts::new(43_000);
        assert!(whole / 3 * 3 <= whole);
        assert_eq!((whole / 3 / Volts::new(230)).as_milli(), 62_318);
    }

    #[test]
    fn limits_round_towards_less_current() {
        assert_eq!(Amps::milli(10_199).floor_deci(), Amps::milli(10_100));
        assert_eq!(Amps::milli(-10_101).floor_deci(), Amps::milli(-10_200));
    }

    #[test]
    fn power_and_energy_multiply_exactly() {
        assert_eq!(Amps::new(16) * Volts::new(230), Watts::new(3680));
        assert_eq!(Watts::new(3680) * Duration::minutes(30), WattHours::new(1840));
    }

    #[test]
    fn parsed_numbers_are_clamped_and_never_panic() {
        assert_eq!(Amps::from_f64(f64::NAN), Amps::ZERO);
        assert!(Amps::from_f64(f64::INFINITY) + Amps::from_f64(1e300) > Amps::new(1));
    }
}
