//! What people see and order about who may connect: passwords, certificates, chargers that nobody
//! knows yet. No secret is in here but a password that was just made, on its way to who asked.

use serde::{Deserialize, Serialize};

use crate::ground::ids::ChargePointId;
use crate::ground::time::Utc;

/// A charger that knocked and is not in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stranger {
    /// What it calls itself.
    pub identity: String,
    /// From where.
    pub address: String,
    /// How it names its software.
    pub agent: String,
    /// Who it says it is, where it was asked; empty where not.
    pub vendor: String,
    /// Its model.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// Its firmware.
    pub firmware: String,
    /// When it was first seen; absent while the clock is not trusted.
    pub first: Option<Utc>,
    /// When it was last seen.
    pub last: Option<Utc>,
    /// How often it knocked.
    pub times: u32,
}

/// What one charger has to show, and what it has shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargerSecurity {
    /// Which.
    pub charge_point: ChargePointId,
    /// The security profile of its connection; none while it is not connected.
    pub profile: Option<u8>,
    /// It has a password.
    pub password: bool,
    /// It has a coming password, which it has not shown yet.
    pub coming_password: bool,
    /// The profile below which it is not let in.
    pub least_profile: u8,
    /// The profile that it was told to take.
    pub wanted_profile: Option<u8>,
    /// A name in its certificate that stands for it, beside its identity.
    pub certificate_name: Option<String>,
}

/// Everything about who may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityView {
    /// Chargers that nobody knows yet, newest first.
    pub pending: Vec<Stranger>,
    /// Strangers are asked who they are for so many seconds more.
    pub interview_s: i64,
    /// The charge points of the site.
    pub chargers: Vec<ChargerSecurity>,
    /// When the certificate of this box ends; none without TLS.
    pub certificate_ends: Option<Utc>,
}

/// A charger that is to become one of the site's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// Its OCPP identity.
    pub charge_point: String,
    /// The node that feeds it.
    pub node: String,
    /// The name that is painted on it; its identity where none is given.
    #[serde(default)]
    pub evse: Option<String>,
    /// Which of its connectors.
    #[serde(default = "first")]
    pub connector: u32,
    /// The grid phases behind its own.
    #[serde(default = "three_phases")]
    pub phases: String,
    /// The most it can draw on a phase, in amperes.
    #[serde(default = "most")]
    pub rated_a: f64,
    /// Its safe share, in amperes per phase.
    #[serde(default)]
    pub safe_a: f64,
}

fn first() -> u32 {
    1
}

fn three_phases() -> String {
    "L1L2L3".to_owned()
}

fn most() -> f64 {
    32.0
}

/// What people may order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum SecurityOrder {
    /// Ask strangers who they are, for a while, instead of turning them away.
    Interview {
        /// For how long; 0 ends it.
        minutes: u32,
    },
    /// Write a charger into the configuration.
    Adopt(Adoption),
    /// Make a password and tell it once; the charger is not told.
    Password {
        /// Whose.
        charge_point: ChargePointId,
        /// The old one is not valid any more from here on.
        #[serde(default)]
        at_once: bool,
    },
    /// Make a password and tell it to the charger alone (AuthorizationKey).
    Rotate {
        /// Whose.
        charge_point: ChargePointId,
    },
    /// Tell a charger to take a higher security profile.
    Profile {
        /// Which.
        charge_point: ChargePointId,
        /// 1 to 3.
        profile: u8,
    },
    /// The lowest security profile with which a charger is let in.
    LeastProfile {
        /// Which.
        charge_point: ChargePointId,
        /// 0 to 3.
        profile: u8,
    },
    /// A name in a charger's certificate that stands for it.
    CertificateName {
        /// Which.
        charge_point: ChargePointId,
        /// The name; none = its identity alone.
        #[serde(default)]
        name: Option<String>,
    },
    /// Have a charger install the root of this site's authority.
    InstallRoot {
        /// Which.
        charge_point: ChargePointId,
    },
    /// Ask a charger about certificates.
    Ask {
        /// Which.
        charge_point: ChargePointId,
        /// What.
        certificate: CertificateAsk,
    },
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityDone {
    /// In words for people.
    pub words: String,
    /// A password that was made, told this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// A root certificate in a charger (OCPP 1.6 security whitepaper, CertificateUseEnumType).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootKind {
    /// What it checks this box with.
    CentralSystem,
    /// What it checks firmware with.
    Manufacturer,
}

/// A message that a charger can be asked to send (ExtendedTriggerMessage).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// Who it is.
    Boot,
    /// How far the upload of a log is.
    Log,
    /// How far an update is.
    Firmware,
    /// A sign of life.
    Heartbeat,
    /// What it measures.
    Meter,
    /// That it wants a certificate.
    Sign,
    /// What it is doing.
    Status,
}

/// What is asked of a charger about certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "certificates", rename_all = "snake_case")]
pub enum CertificateAsk {
    /// Trust this root.
    Install {
        /// For what.
        kind: RootKind,
        /// The certificate, PEM.
        certificate: String,
    },
    /// Trust a certificate no longer.
    Delete {
        /// SHA256, SHA384 or SHA512.
        algorithm: String,
        /// Hash of its issuer's name.
        issuer_name_hash: String,
        /// Hash of its issuer's key.
        issuer_key_hash: String,
        /// Its serial number.
        serial: String,
    },
    /// Which roots it trusts.
    List {
        /// For what.
        kind: RootKind,
    },
    /// Take this certificate, which it asked for.
    Signed {
        /// PEM, its own first.
        chain: String,
    },
    /// Send a message that it would otherwise send by itself.
    Trigger {
        /// Which.
        message: Wake,
    },
}
