//! Limits from outside that only ever lower: whose, on what, how much, until when.

use serde::{Deserialize, Serialize};

use crate::ground::ids::EvseId;
use crate::ground::units::{Amps, Watts};

/// What is limited, and to how much; without an amount the limit is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum LimitOf {
    /// One EVSE, on each phase.
    Evse {
        /// Which.
        evse: EvseId,
        /// The most.
        limit_a: Option<Amps>,
    },
    /// All chargers of the site together, over all phases.
    Charging {
        /// The most.
        limit_w: Option<Watts>,
    },
}

/// A limit on all chargers together, as the decision needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargingLimit {
    /// The most.
    pub limit: Watts,
    /// Whose it is and until when, for people.
    pub words: String,
}
