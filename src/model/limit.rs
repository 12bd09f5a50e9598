//! Limits from outside that only ever lower: whose, on what, how much, until when.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ground::ids::EvseId;
use crate::ground::time::{Duration, Utc};
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

/// A limit from outside as it is remembered over a restart; without an amount it is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitRecord {
    /// None = all chargers together.
    pub evse: Option<EvseId>,
    /// Whose it is.
    pub source: String,
    /// A partner of OCPI has set it.
    pub partner: bool,
    /// The most on each phase of the EVSE.
    pub limit_a: Option<Amps>,
    /// The most of all chargers together.
    pub limit_w: Option<Watts>,
    /// It is over then; none where the clock was not trusted when it was set.
    pub until: Option<Utc>,
    /// How long it was to hold from when it was set.
    pub lasts_ms: i64,
}

impl LimitRecord {
    /// Whether nothing is limited any more.
    pub fn is_over(&self) -> bool {
        self.limit_a.is_none() && self.limit_w.is_none()
    }

    /// What tells it from others, for the store.
    pub fn key(&self) -> String {
        let whose = if self.partner { "partner" } else { "other" };
        let evse = self.evse.as_ref().map(EvseId::as_str).unwrap_or_default();
        format!("{whose}/{}/{evse}", self.source)
    }
}

/// A contact that limits while it is closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// What people call it, e.g. `§14a contact`.
    pub id: String,
    /// Where it is read.
    pub place: ContactPlace,
    /// A reading that lasts no longer than this changes nothing.
    pub debounce: Duration,
    /// What it limits.
    pub limit: ContactLimit,
}

/// Where a contact is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContactPlace {
    /// A line of a GPIO chip.
    Line {
        /// The chip's device.
        chip: PathBuf,
        /// Its line.
        line: u32,
        /// The contact is closed when the line is low.
        active_low: bool,
        /// The resistor inside the chip; none = as it is.
        pull: Option<Pull>,
    },
    /// A file that holds 0 or 1.
    File {
        /// Which.
        path: PathBuf,
        /// The contact is closed at 0.
        active_low: bool,
    },
}

/// A resistor inside a GPIO chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// To the supply.
    Up,
    /// To ground.
    Down,
    /// None.
    Off,
}

/// What a contact limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContactLimit {
    /// All chargers together.
    Charging(Watts),
    /// Each of these EVSEs, on each phase.
    Evses {
        /// The most.
        limit: Amps,
        /// Which; all where none is named.
        evses: Vec<EvseId>,
    },
}
