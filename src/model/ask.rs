//! What a person, or Ampgate itself, asks of a charge point beside its limits, and what came of it.
//!
//! An ask is meant for a charge point as a whole or for one EVSE of it; which one stands beside it
//! (see [`Command::Ask`](super::message::Command::Ask)). Every ask gets exactly one outcome.

use serde::{Deserialize, Serialize};

use crate::ground::ids::{IdToken, TransactionId};
use crate::ground::time::Utc;

use super::security::CertificateAsk;

/// One ask, to pair it with its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AskId(pub u64);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Restart the charge point; `hard` without waiting for transactions to end.
    Reset {
        /// At once, as if power was cut.
        #[serde(default)]
        hard: bool,
    },
    /// Open the lock of the cable.
    Unlock,
    /// Take into service or out of it; with a car charging, when it has ended.
    Availability {
        /// In service.
        operative: bool,
    },
    /// Start a charge for this token.
    Start {
        /// Who charges.
        token: IdToken,
    },
    /// End a charge.
    Stop {
        /// Which; the running one of the EVSE where it is not given.
        #[serde(default)]
        transaction: Option<TransactionId>,
    },
    /// Read configuration keys; an empty list means all.
    Read {
        /// Which.
        #[serde(default)]
        keys: Vec<String>,
    },
    /// Set a configuration key.
    Change {
        /// Which.
        key: String,
        /// To what.
        value: String,
    },
    /// Forget the tokens that it has seen accepted.
    ClearCache,
    /// Send a message that it would otherwise send by itself.
    Trigger {
        /// Which.
        message: Notice,
    },
    /// Something that only charger and vendor understand.
    Data {
        /// Whose extension.
        vendor: String,
        /// Which message of it.
        #[serde(default)]
        message: Option<String>,
        /// Its text.
        #[serde(default)]
        data: Option<String>,
    },
    /// Which version of the local list it holds.
    ListVersion,
    /// Replace or change the local list.
    SendList {
        /// The version it has after this.
        version: i32,
        /// Replace all; else only change what is named.
        full: bool,
        /// Its entries.
        entries: Vec<ListEntry>,
    },
    /// Keep the EVSE, or any of the charge point, for this token.
    Reserve {
        /// Number of the reservation.
        reservation: i32,
        /// For whom.
        token: IdToken,
        /// Anybody of this group may use it too.
        #[serde(default)]
        parent: Option<IdToken>,
        /// Until when.
        until: Utc,
    },
    /// Give a reservation up.
    CancelReservation {
        /// Its number.
        reservation: i32,
    },
    /// Fetch firmware and install it.
    Firmware {
        /// Where it is: a URL that the charger can reach.
        location: String,
        /// Not before; at once where it is not given.
        #[serde(default)]
        retrieve_at: Option<Utc>,
        /// With certificate and signature, as the security extension has it.
        #[serde(default)]
        signed: Option<Signed>,
    },
    /// Upload diagnostics or a log.
    Upload {
        /// Which.
        file: Upload,
        /// Where to: a URL that the charger can reach; to this box where it is not given.
        #[serde(default)]
        location: String,
        /// Of the time from here …
        #[serde(default)]
        from: Option<Utc>,
        /// … to here.
        #[serde(default)]
        to: Option<Utc>,
        /// Number of the request; diagnostics have none.
        #[serde(default)]
        request: i32,
    },
    /// Remove a profile that is not Ampgate's.
    ClearProfile {
        /// Its id in the charger.
        id: i32,
    },
    /// Something about certificates (OCPP 1.6 security extension).
    Certificate {
        /// What.
        certificate: CertificateAsk,
    },
    /// Tell which limits it will follow.
    Schedule {
        /// For how long, from now.
        duration_s: i32,
        /// In watts instead of amperes.
        #[serde(default)]
        in_watts: bool,
    },
}

/// A message that a charge point can be asked to send (OCPP 1.6 §7.22).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// Who it is.
    Boot,
    /// How far an upload is.
    Diagnostics,
    /// How far an update is.
    Firmware,
    /// A sign of life.
    Heartbeat,
    /// What it measures.
    Meter,
    /// What it is doing.
    Status,
}

/// A file that a charge point can upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upload {
    /// Diagnostics, as every OCPP 1.6 charger knows them.
    Diagnostics,
    /// The diagnostics log of the security extension.
    Log,
    /// The security log of the security extension.
    SecurityLog,
}

/// What a signed update carries beside its location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Number of the request.
    pub request: i32,
    /// Not to be installed before.
    #[serde(default)]
    pub install_at: Option<Utc>,
    /// The certificate in PEM.
    pub certificate: String,
    /// The signature in base64.
    pub signature: String,
}

/// One token of a local list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListEntry {
    /// Which.
    pub token: IdToken,
    /// What it may; none removes it from the list.
    pub info: Option<TokenInfo>,
}

/// Whether a token may charge, as it is told to a charger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// The decision.
    pub verdict: Verdict,
    /// The group it belongs to.
    #[serde(default)]
    pub parent: Option<IdToken>,
    /// Until when the decision holds.
    #[serde(default)]
    pub until: Option<Utc>,
}

/// A decision about a token (OCPP 1.6 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may charge.
    Accepted,
    /// It may not, until somebody lifts that.
    Blocked,
    /// Its time is over, or has not come.
    Expired,
    /// Nobody knows it, or it may not charge here.
    Invalid,
    /// It charges elsewhere already.
    Concurrent,
}

impl Verdict {
    /// Why a token may not charge, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Verdict::Accepted => "accepted",
            Verdict::Blocked => "blocked",
            Verdict::Expired => "not valid at this time",
            Verdict::Invalid => "unknown, or not for this EVSE",
            Verdict::Concurrent => "charging elsewhere already",
        }
    }
}

impl TokenInfo {
    /// A decision without group and end.
    pub const fn plain(verdict: Verdict) -> Self {
        Self { verdict, parent: None, until: None }
    }

    /// Whether the token may charge.
    pub fn is_accepted(&self) -> bool {
        self.verdict == Verdict::Accepted
    }
}

/// What came of an ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskOutcome {
    /// The charger does it, or will.
    pub accepted: bool,
    /// Its word on the wire; empty where it gave none (no answer, or not asked at all).
    pub status: String,
    /// What came of it, in words for people.
    pub words: String,
    /// What it told, as JSON; none where the answer has nothing but its status.
    pub details: Option<String>,
}

impl AskOutcome {
    /// It never came to an answer.
    pub fn failed(words: impl Into<String>) -> Self {
        Self { accepted: false, status: String::new(), words: words.into(), details: None }
    }
}

impl Ask {
    /// What is asked, in words; without tokens and values, which may be secret.
    pub fn words(&self) -> String {
        let words = match self {
            Ask::Reset { hard: true } => "restart at once",
            Ask::Reset { hard: false } => "restart",
            Ask::Unlock => "unlock",
            Ask::Availability { operative: true } => "into service",
            Ask::Availability { operative: false } => "out of service",
            Ask::Start { .. } => "remote start",
            Ask::Stop { .. } => "remote stop",
            Ask::Read { .. } => "read configuration",
            Ask::Change { key, .. } => return format!("set {key}"),
            Ask::ClearCache => "clear the cache of tokens",
            Ask::Trigger { .. } => "send a message",
            Ask::Data { .. } => "vendor message",
            Ask::ListVersion => "version of the local list",
            Ask::SendList { .. } => "local list",
            Ask::Reserve { .. } => "reserve",
            Ask::CancelReservation { .. } => "give the reservation up",
            Ask::Firmware { .. } => "firmware update",
            Ask::Upload { file: Upload::Diagnostics, .. } => "upload diagnostics",
            Ask::Upload { file: Upload::Log, .. } => "upload the log",
            Ask::Upload { file: Upload::SecurityLog, .. } => "upload the security log",
            Ask::ClearProfile { .. } => "remove a profile",
            Ask::Schedule { .. } => "tell its schedule",
            Ask::Certificate { .. } => "certificates",
        };
        words.to_owned()
    }
}
