//! A limit from outside, with its source and its end.

use crate::ground::ids::EvseId;
use crate::ground::time::{Duration, Instant, Utc};
use crate::ground::units::{Amps, Watts};
use crate::ground::zone::Zone;

/// A limit from outside that is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct OuterLimit {
    /// None = all chargers together.
    pub evse: Option<EvseId>,
    /// Whose it is.
    pub source: String,
    /// In A of each phase of an EVSE, in W of all chargers.
    pub amount: Amount,
    /// It is over then.
    pub until: Instant,
    /// The same by the clock, where that is trusted.
    pub until_utc: Option<Utc>,
    /// It was remembered, and the clock was not trusted then: the time until its end is a guess.
    pub is_guess: bool,
    /// For people, e.g. `limit of 10 A by MQTT until 14:30`.
    pub words: String,
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// On each phase.
    Current(Amps),
    /// Over all phases.
    Power(Watts),
}

impl Amount {
    /// On each phase, where it is so.
    pub fn current(self) -> Option<Amps> {
        match self {
            Amount::Current(limit) => Some(limit),
            Amount::Power(_) => None,
        }
    }

    /// Over all phases, where it is so.
    pub fn power(self) -> Option<Watts> {
        match self {
            Amount::Power(limit) => Some(limit),
            Amount::Current(_) => None,
        }
    }

    /// For people.
    pub fn words(self) -> String {
        match self {
            Amount::Current(limit) => format!("{:.1} A", limit.as_f64()),
            Amount::Power(limit) => format!("{:.1} kW", limit.as_f64() / 1000.0),
        }
    }
}

/// For people, e.g. `limit of 10.0 A by MQTT until 14:30`.
pub fn words(
    amount: Amount,
    source: &str,
    (until, now): (Option<Utc>, Option<Utc>),
    lasts: Duration,
    zone: &Zone,
) -> String {
    let end = match until {
        Some(until) => format!("until {}", zone.words(until, now)),
        None => format!("for {lasts}"),
    };
    format!("limit of {} by {source} {end}", amount.words())
}
