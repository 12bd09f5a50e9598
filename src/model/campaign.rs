//! Firmware campaigns: one firmware for several chargers, one after the other.
//!
//! ```text
//! Waiting ─ no car, breaker free ─▶ Running ─ installed, or another version ─▶ Done
//!    ▲ ─────── no answer ────────────┘  │ ─ refused, failed, silent ──────────▶ Failed
//!    └ ─ cancelled ─▶ Cancelled ◀───────┘ only what is still waiting
//! ```

use serde::{Deserialize, Serialize};

use crate::ground::ids::ChargePointId;
use crate::ground::time::Utc;

use super::ask::Signed;

/// Number of a campaign: rising, given once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CampaignId(pub i32);

impl std::fmt::Display for CampaignId {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}", self.0)
    }
}

/// One campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its number.
    pub id: CampaignId,
    /// Where the firmware is: a URL that the chargers can reach.
    pub location: String,
    /// With certificate and signature, as the security extension has it.
    pub signed: Option<Signed>,
    /// The chargers, in the order they were named.
    pub chargers: Vec<CampaignCharger>,
}

/// One charger of a campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CampaignCharger {
    /// Which.
    pub charge_point: ChargePointId,
    /// Its firmware before.
    pub before: String,
    /// How often it was asked.
    pub asked: u32,
    /// How far it is.
    pub state: CampaignState,
}

/// How far a charger is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CampaignState {
    /// Its turn has not come.
    Waiting,
    /// It was asked and is at it.
    Running {
        /// Since when nothing else was heard of it; absent while the clock is not trusted.
        since: Option<Utc>,
        /// What it said last, in its own word.
        status: String,
    },
    /// The firmware is installed.
    Done {
        /// How that is known.
        words: String,
    },
    /// It has another firmware than it should have.
    Failed {
        /// In words.
        why: String,
    },
    /// Somebody called it off before its turn.
    Cancelled,
}

impl CampaignState {
    /// Nothing more is to come.
    pub const fn is_over(&self) -> bool {
        !matches!(self, CampaignState::Waiting | CampaignState::Running { .. })
    }
}

impl Campaign {
    /// Nothing more is to come of any of its chargers.
    pub fn is_over(&self) -> bool {
        self.chargers.iter().all(|charger| charger.state.is_over())
    }
}
