//! Transactions as chargers report them and sessions as people count them.

use serde::{Deserialize, Serialize};

use crate::ground::ids::{ChargePointId, EvseId, IdToken, SessionId, TransactionId};
use crate::ground::time::Utc;
use crate::ground::units::WattHours;

/// One OCPP transaction: what the charger said, kept as evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// Given by us, once for ever.
    pub id: TransactionId,
    /// The charge point that runs it.
    pub charge_point: ChargePointId,
    /// Its connector.
    pub connector: u32,
    /// Who started it.
    pub token: IdToken,
    /// When it started, by the charger's word (or when we heard of it, if that was no time).
    pub started: Utc,
    /// The charger's register at the start.
    pub meter_start_wh: WattHours,
    /// The session it belongs to.
    pub session: SessionId,
    /// It was reported after the fact, from the charger's offline queue.
    pub replayed: bool,
    /// How it ended; none while it runs.
    pub stop: Option<Stop>,
}

/// The end of a transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// When, by the charger's word.
    pub at: Utc,
    /// The charger's register at the end.
    pub meter_stop_wh: WattHours,
    /// Why, in the charger's word (`Local` when it gave none, OCPP 1.6 §6.49).
    pub reason: String,
    /// The stop never came; it was closed at its last reading when the next one started.
    pub lost: bool,
}

/// One charging session of an EVSE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Given by us, rising.
    pub id: SessionId,
    /// Where it charges.
    pub evse: EvseId,
    /// The transaction that measures it.
    pub transaction: TransactionId,
    /// Who charges.
    pub token: IdToken,
    /// When it began.
    pub started: Utc,
    /// When it ended; none while it goes on.
    pub ended: Option<Utc>,
    /// Energy delivered so far.
    pub energy_wh: WattHours,
    /// Time of the reading that `energy_wh` comes from.
    pub measured: Option<Utc>,
}

impl Transaction {
    /// Energy from start to stop, never negative; none while it runs.
    pub fn energy(&self) -> Option<WattHours> {
        let stop = self.stop.as_ref()?;
        Some((stop.meter_stop_wh - self.meter_start_wh).at_least_zero())
    }
}
