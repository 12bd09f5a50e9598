//! A limit from outside, with its source and its end.

use crate::ground::ids::EvseId;
use crate::ground::time::{Instant, Utc};
use crate::ground::units::{Amps, Watts};

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
    /// For people.
    pub fn words(self) -> String {
        match self {
            Amount::Current(limit) => format!("{:.1} A", limit.as_f64()),
            Amount::Power(limit) => format!("{:.1} kW", limit.as_f64() / 1000.0),
        }
    }
}
