//! Versions, endpoints, credentials and the state of parties behind a hub.

use serde::{Deserialize, Serialize};

use crate::ocpi::text::{Ci, Time, list, open_enum};

open_enum! {
    /// What a party does.
    Role {
        Cpo = "CPO",
        Emsp = "EMSP",
        Hub = "HUB",
        Nap = "NAP",
        Nsp = "NSP",
        Scsp = "SCSP",
        Unspecified = "OTHER",
    }
}

open_enum! {
    /// The modules.
    Module {
        Cdrs = "cdrs",
        ChargingProfiles = "chargingprofiles",
        Commands = "commands",
        Credentials = "credentials",
        HubClientInfo = "hubclientinfo",
        Locations = "locations",
        Sessions = "sessions",
        Tariffs = "tariffs",
        Tokens = "tokens",
    }
}

open_enum! {
    /// Whose side of a module an endpoint is: the owner of the data sends.
    Side {
        Sender = "SENDER",
        Receiver = "RECEIVER",
    }
}

/// A line of the versions endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// `2.2.1`, `2.3.0` or one that we do not know.
    pub version: String,
    /// Where its details are.
    pub url: String,
}

/// The details of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionDetails {
    /// Which.
    pub version: String,
    /// Its endpoints.
    #[serde(default, deserialize_with = "list")]
    pub endpoints: Vec<Endpoint>,
}

/// Where a module is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The module.
    pub identifier: Module,
    /// The side; meaningless for credentials.
    #[serde(default = "sender")]
    pub role: Side,
    /// Opaque.
    pub url: String,
}

fn sender() -> Side {
    Side::Sender
}

/// What one platform gives another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Credentials {
    /// For calls to the platform that wrote this; never in a log.
    pub token: String,
    /// Its versions endpoint.
    pub url: String,
    /// 2.3.0 only: country and party of the hub, joined.
    pub hub_party_id: Option<Ci>,
    /// Who is behind it.
    #[serde(default, deserialize_with = "list")]
    pub roles: Vec<CredentialsRole>,
}

/// A party behind a platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CredentialsRole {
    /// What it does.
    pub role: Role,
    /// Who it is.
    pub business_details: BusinessDetails,
    /// Three characters.
    pub party_id: Ci,
    /// Two characters.
    pub country_code: Ci,
}

/// Name and web site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BusinessDetails {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// URL.
    pub website: Option<String>,
}

open_enum! {
    /// Whether a party behind a hub can be reached.
    ConnectionStatus {
        Connected = "CONNECTED",
        Offline = "OFFLINE",
        Planned = "PLANNED",
        Suspended = "SUSPENDED",
    }
}

/// What a hub tells of a party.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientInfo {
    /// Who.
    pub party_id: Ci,
    /// Who.
    pub country_code: Ci,
    /// What it does.
    pub role: Role,
    /// Whether it is there.
    pub status: ConnectionStatus,
    /// When that changed.
    pub last_updated: Time,
}
