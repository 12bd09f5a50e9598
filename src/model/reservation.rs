//! Reservations: an EVSE, or any EVSE of a charge point, kept for a token until a time.
//!
//! ```text
//! Asked ─ accepted ─▶ Held ──┬─ start ──▶ Used
//!   │ ─ cannot ────▶ Kept ───┼─ time ───▶ Expired
//!   └─ refused ───▶ Refused  └─ person ─▶ Cancelled
//! ```

use serde::{Deserialize, Serialize};

use crate::ground::ids::{ChargePointId, EvseId, IdToken, TransactionId};
use crate::ground::time::Utc;

/// Number of a reservation: rising, given once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReservationId(pub i32);

impl std::fmt::Display for ReservationId {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}", self.0)
    }
}

/// One reservation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    /// Its number.
    pub id: ReservationId,
    /// The charge point.
    pub charge_point: ChargePointId,
    /// The EVSE of it; none where any will do.
    pub evse: Option<EvseId>,
    /// For whom.
    pub token: IdToken,
    /// Anybody of this group may use it too.
    pub group: Option<IdToken>,
    /// Until when.
    pub until: Utc,
    /// How it stands.
    pub state: ReservationState,
}

/// How a reservation stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ReservationState {
    /// The charger was asked and has not answered.
    Asked,
    /// The charger keeps it.
    Held,
    /// The charger cannot; Ampgate turns other tokens away there.
    Kept,
    /// The charge it was made for has begun.
    Used {
        /// Which.
        transaction: TransactionId,
    },
    /// Its time has passed.
    Expired,
    /// Somebody gave it up.
    Cancelled,
    /// The charger refused it.
    Refused {
        /// In words.
        why: String,
    },
}

impl ReservationState {
    /// For people.
    pub fn words(&self) -> String {
        match self {
            ReservationState::Asked => "asked for".to_owned(),
            ReservationState::Held => "kept by the charger".to_owned(),
            ReservationState::Kept => "kept by Ampgate".to_owned(),
            ReservationState::Used { transaction } => format!("used by transaction {transaction}"),
            ReservationState::Expired => "over".to_owned(),
            ReservationState::Cancelled => "given up".to_owned(),
            ReservationState::Refused { why } => why.clone(),
        }
    }
}

impl Reservation {
    /// It still keeps something.
    pub const fn is_open(&self) -> bool {
        matches!(
            self.state,
            ReservationState::Asked | ReservationState::Held | ReservationState::Kept
        )
    }

    /// Whether this token, or its group, may use it.
    pub fn admits(&self, token: &IdToken, group: Option<&IdToken>) -> bool {
        let same_group = self.group.as_ref().is_some_and(|own| Some(own) == group);
        self.token == *token || same_group
    }
}
