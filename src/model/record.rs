//! What must be remembered, and how durably. These values are the stored format: once released,
//! a change needs a migration in `store`.

use serde::{Deserialize, Serialize};

use crate::ground::ids::{ChargePointId, EvseId, SessionId, TransactionId};
use crate::ground::time::Utc;
use crate::ground::units::{Amps, PerPhase, WattHours, Watts};

use super::bound::Cause;
use super::campaign::Campaign;
use super::event::Event;
use super::limit::LimitRecord;
use super::message::{Identity, LimitScope};
use super::preference::{Intent, Preference};
use super::reservation::Reservation;
use super::session::{Session, Transaction};

/// One fact for the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A transaction as it stands; replaces the earlier state.
    Transaction(Transaction),
    /// A session as it stands; replaces the earlier state.
    Session(Session),
    /// What an EVSE may believe at most; replaces the earlier state.
    Lease(LeaseRecord),
    /// Who a charge point is and what it can do; replaces the earlier state.
    ChargePoint(ChargePointRecord),
    /// What a driver wants of a session; replaces what was said before. Without a word in it
    /// nothing is said any more.
    Preference(Preference),
    /// The same for the car at an EVSE whose transaction has not begun.
    Intent(Intent),
    /// Something that was learned; replaces the earlier state.
    Learned(LearnedRecord),
    /// A reading of an EVSE.
    Reading(ReadingRecord),
    /// A setpoint that was sent, with its cause.
    Setpoint(SetpointRecord),
    /// An event.
    Event(Event),
    /// A reservation as it stands; replaces the earlier state.
    Reservation(Reservation),
    /// A firmware campaign as it stands; replaces the earlier state.
    Campaign(Campaign),
    /// A limit from outside as it stands; replaces the earlier state.
    Limit(LimitRecord),
}

/// When a record has to be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before anything that depends on it leaves the box.
    Now,
    /// With the next batch; losing the last minutes of it harms nobody.
    Batched,
}

/// The most that an EVSE may have been told, kept across a restart of the box.
///
/// The ceiling is rounded up and changes rarely, to spare the flash: after a restart the EVSE
/// counts with it until its limit is confirmed anew or a lease has run out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// Whose.
    pub evse: EvseId,
    /// No limit above this was ever sent since the record was written.
    pub ceiling_a: Amps,
    /// The profile it was written as.
    pub scope: LimitScope,
    /// It falls to the safe share by itself.
    pub armed: bool,
    /// The permanent safe share that was accepted; none if none was.
    pub safe_a: Option<Amps>,
}

/// A charge point as it is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChargePointRecord {
    /// Whose.
    pub charge_point: ChargePointId,
    /// What it said at boot.
    pub identity: Option<Identity>,
    /// What it can do, as `ocpp` wrote it.
    pub capability: Option<String>,
}

/// Something that was learned, as the brain that learned it wrote it down: forecasts, habits.
/// Losing it costs some days of learning anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnedRecord {
    /// What it is ("pv", "stay/017", "token/04a1").
    pub name: String,
    /// JSON, at most [`LEARNED_BYTES_MAX`]; empty where it is to be deleted.
    pub text: String,
}

/// No brain writes more than this: some weeks of quarter hours.
pub const LEARNED_BYTES_MAX: usize = 2 << 20;

/// A reading of an EVSE, thinned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadingRecord {
    /// Whose.
    pub evse: EvseId,
    /// The transaction it belongs to.
    pub transaction: Option<TransactionId>,
    /// When.
    pub at: Utc,
    /// Current by grid phase.
    pub current_a: Option<PerPhase<Amps>>,
    /// Power over all phases.
    pub power_w: Option<Watts>,
    /// Energy register.
    pub energy_wh: Option<WattHours>,
}

/// A setpoint that was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetpointRecord {
    /// Whose.
    pub evse: EvseId,
    /// The session it was for.
    pub session: Option<SessionId>,
    /// When.
    pub at: Utc,
    /// The limit, per phase.
    pub limit_a: Amps,
    /// Why not more.
    pub cause: Cause,
}

impl Record {
    /// How durably this kind of fact is kept.
    pub fn durability(&self) -> Durability {
        match self {
            Record::Transaction(_)
            | Record::Session(_)
            | Record::Lease(_)
            | Record::ChargePoint(_)
            | Record::Preference(_)
            | Record::Intent(_)
            | Record::Reservation(_)
            | Record::Campaign(_)
            | Record::Limit(_) => Durability::Now,
            Record::Learned(_) | Record::Reading(_) | Record::Setpoint(_) | Record::Event(_) => {
                Durability::Batched
            }
        }
    }
}

/// What a store hands back at the start: everything that the controller needs to go on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// Open transactions, and of each charge point the newest closed ones (for repeated starts).
    pub transactions: Vec<Transaction>,
    /// Open sessions and the newest closed ones.
    pub sessions: Vec<Session>,
    /// The last lease of each EVSE.
    pub leases: Vec<LeaseRecord>,
    /// All charge points.
    pub charge_points: Vec<ChargePointRecord>,
    /// What was said of these sessions.
    #[serde(default)]
    pub preferences: Vec<Preference>,
    /// What was said of cars whose transaction has not begun.
    #[serde(default)]
    pub intents: Vec<Intent>,
    /// What was learned, by name.
    #[serde(default)]
    pub learned: Vec<LearnedRecord>,
    /// The largest transaction id that was ever given, also to transactions deleted since.
    pub last_transaction: i64,
    /// The largest session id that was ever given.
    pub last_session: u64,
    /// Reservations that are open, and the newest of the others.
    #[serde(default)]
    pub reservations: Vec<Reservation>,
    /// Firmware campaigns that are open, and the newest of the others.
    #[serde(default)]
    pub campaigns: Vec<Campaign>,
    /// Limits from outside that have not been taken back.
    #[serde(default)]
    pub limits: Vec<LimitRecord>,
}
