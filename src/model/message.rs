//! Reports from the field and commands to it, in words that belong to no protocol.
//!
//! `ocpp` turns frames into reports and commands into frames; `control` sees neither. Here they
//! meet.

use serde::{Deserialize, Serialize};

use crate::ground::ids::{ChargePointId, EvseIndex, IdToken, Ticket, TransactionId};
use crate::ground::time::{Duration, Utc};
use crate::ground::units::{Amps, PerPhase, Volts, WattHours, Watts};

use super::ask::{Ask, AskId, AskOutcome, ListEntry, TokenInfo};

/// One question of a charge point that waits for our answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who asks.
    pub charge_point: ChargePointId,
    /// The message id to answer with.
    pub id: String,
}

/// What an EVSE is doing (OCPP 1.6 §7.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvseStatus {
    /// Nothing heard since the start.
    Unknown,
    /// Free.
    Available,
    /// A car or a token is there, not charging yet.
    Preparing,
    /// Energy may flow.
    Charging,
    /// Paused by the charger, as a rule because of our limit.
    SuspendedEvse,
    /// Paused by the car.
    SuspendedEv,
    /// Stopped, the car is still plugged in.
    Finishing,
    /// Kept for someone.
    Reserved,
    /// Taken out of service.
    Unavailable,
    /// Broken.
    Faulted,
}

/// What a charger measured at one moment. Currents and powers are by the *charger's own* phases
/// (see [`Evse::to_grid`](super::diagram::Evse::to_grid)).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// When; by the charger's clock where that is plausible, else when it was received.
    pub at: Option<Utc>,
    /// Whether it tells of the present; false for replayed or old readings, which never steer.
    pub live: bool,
    /// Current by phase.
    pub current: Option<PerPhase<Amps>>,
    /// Power over all phases.
    pub power: Option<Watts>,
    /// Voltage by phase.
    pub voltage: Option<PerPhase<Volts>>,
    /// Energy register.
    pub energy: Option<WattHours>,
    /// What the charger says it offers the car.
    pub offered: Option<Amps>,
    /// State of charge in percent.
    pub soc_percent: Option<f64>,
}

/// What became of a limit that was ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The charger accepted it.
    Accepted {
        /// How far it falls by itself when nothing more is heard.
        lapse: Lapse,
    },
    /// Every way of telling this charger was refused.
    Refused {
        /// In the charger's words.
        why: String,
    },
    /// It may have arrived or not: no answer in time, or the link was lost.
    NoAnswer,
    /// It never left: a newer limit took its place, or the link was gone.
    NotSent,
}

/// How a limit ends by itself in the charger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lapse {
    /// It ends with the transaction and steps down to the safe share after its lease: a two-step
    /// profile that the composite schedule confirmed (state *armed*).
    Armed,
    /// It should step down, but the charger could not or would not prove it: counts for ever.
    Unproven,
}

/// Which profile a limit is written as, and so how long it outlives its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// TxProfile: dies with its transaction.
    Transaction,
    /// TxDefaultProfile or ChargePointMaxProfile: stays for whoever charges next.
    Connector,
    /// No profile was ever accepted.
    None,
}

/// What the field tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The link of a charge point is up and it may be spoken to.
    Online { charge_point: ChargePointId },
    /// The link is gone.
    Offline { charge_point: ChargePointId },
    /// Who the charge point says it is; to be remembered.
    Identified { charge_point: ChargePointId, identity: Identity },
    /// What the charge point can do was found out or has changed; to be remembered as text
    /// (`ocpp` writes and reads it, nobody else).
    Learned { charge_point: ChargePointId, capability: String },
    /// The permanent safe share was accepted (or not): what an EVSE draws with nobody's leave.
    SafeShare { evse: EvseIndex, accepted: bool },
    /// Status of an EVSE.
    Status { evse: EvseIndex, status: EvseStatus, error: Option<String>, at: Option<Utc> },
    /// May this token charge? Waits for [`Answer::Authorized`].
    Authorize { call: Call, token: IdToken },
    /// A transaction began. Waits for [`Answer::Started`].
    Started { call: Call, start: Start },
    /// A transaction ended. Waits for [`Answer::Stopped`].
    Stopped { call: Call, stop: StopReport },
    /// Measured values, with the transaction they name, if any.
    Metered { evse: EvseIndex, transaction: Option<TransactionId>, readings: Vec<Reading> },
    /// What became of a limit.
    Limit { evse: EvseIndex, ticket: Ticket, scope: LimitScope, outcome: Outcome },
    /// The composite schedule agreed (or not) with the two steps of the last accepted limit.
    Verified { evse: EvseIndex, lapse: Lapse },
    /// What came of an ask.
    Asked { ask: AskId, outcome: AskOutcome },
    /// How far an upload or an update is, in the charger's word.
    Progress { charge_point: ChargePointId, job: Job, status: String, request: Option<i32> },
    /// It wants a certificate; the request as it was written.
    CertificateWanted { charge_point: ChargePointId, request: String },
}

/// Something that a charge point does in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Diagnostics or a log go out.
    Upload,
    /// Firmware comes in.
    Update,
}

/// Who a charge point says it is (BootNotification).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// chargePointVendor.
    pub vendor: String,
    /// chargePointModel.
    pub model: String,
    /// chargePointSerialNumber or chargeBoxSerialNumber.
    pub serial: String,
    /// firmwareVersion.
    pub firmware: String,
}

/// A StartTransaction.req after repair.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Where; none when the connector is none of the site's.
    pub evse: Option<EvseIndex>,
    /// Connector as the charger named it.
    pub connector: u32,
    /// Who.
    pub token: IdToken,
    /// Register at the start.
    pub meter_start: WattHours,
    /// When, by the charger; none where its time could not be read.
    pub at: Option<Utc>,
    /// It tells of the past (offline queue), not of a car that begins to draw in this moment.
    pub replayed: bool,
    /// The reservation that it ends, as the charger named it.
    pub reservation: Option<i32>,
}

/// A StopTransaction.req after repair.
#[derive(Clone, Debug, PartialEq)]
pub struct StopReport {
    /// As the charger named it; may be unknown, 0 or -1 (OCPP 1.6 errata 3.18).
    pub transaction: TransactionId,
    /// Register at the end.
    pub meter_stop: WattHours,
    /// When, by the charger; none where its time could not be read.
    pub at: Option<Utc>,
    /// `Local` where the charger gave none.
    pub reason: String,
    /// Who stopped it.
    pub token: Option<IdToken>,
    /// transactionData by connector-less readings.
    pub readings: Vec<Reading>,
}

/// Our decision on a call of a charge point.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To Authorize.
    Authorized { info: TokenInfo },
    /// To StartTransaction.
    Started { transaction: TransactionId, info: TokenInfo },
    /// To StopTransaction; always accepted, whatever it said (OCPP 1.6 §4.10).
    Stopped,
}

/// What the field is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Lease a limit to the transaction that runs on an EVSE.
    Limit(LimitOrder),
    /// Ask for fresh meter values.
    MeterNow { evse: EvseIndex },
    /// Ask something else of a charge point, or of one of its EVSEs.
    Ask { id: AskId, charge_point: ChargePointId, evse: Option<EvseIndex>, ask: Ask },
    /// The tokens that a charge point should accept by itself.
    LocalList { charge_point: ChargePointId, entries: Vec<ListEntry> },
}

/// A limit on its way to a charger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitOrder {
    /// For whom.
    pub evse: EvseIndex,
    /// Pairs the order with its [`Report::Limit`].
    pub ticket: Ticket,
    /// The transaction; none where a charger is limited without one.
    pub transaction: Option<TransactionId>,
    /// The limit during the lease, per phase, already rounded down to 0.1 A.
    pub live: Amps,
    /// The safe share after it.
    pub safe: Amps,
    /// How long the lease runs.
    pub ttl: Duration,
    /// A reduction goes before everything else in the queue and waits for no disk.
    pub urgent: bool,
}
