//! Locations with their EVSEs and connectors.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ocpi::text::{Ci, Time, list, open_enum, whole, whole_maybe};

use super::credentials::BusinessDetails;

open_enum! {
    /// What an EVSE is doing.
    Status {
        Available = "AVAILABLE",
        Blocked = "BLOCKED",
        Charging = "CHARGING",
        Inoperative = "INOPERATIVE",
        OutOfOrder = "OUTOFORDER",
        Planned = "PLANNED",
        Removed = "REMOVED",
        Reserved = "RESERVED",
        Unknown = "UNKNOWN",
    }
}

open_enum! {
    /// What an EVSE can do.
    Capability {
        ChargingProfiles = "CHARGING_PROFILE_CAPABLE",
        ChargingPreferences = "CHARGING_PREFERENCES_CAPABLE",
        RemoteStartStop = "REMOTE_START_STOP_CAPABLE",
        Reservable = "RESERVABLE",
        Rfid = "RFID_READER",
        Unlock = "UNLOCK_CAPABLE",
    }
}

open_enum! {
    /// What flows through a connector.
    PowerType {
        Ac1 = "AC_1_PHASE",
        Ac2 = "AC_2_PHASE",
        Ac2Split = "AC_2_PHASE_SPLIT",
        Ac3 = "AC_3_PHASE",
        Dc = "DC",
    }
}

/// A site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Owner.
    pub country_code: Ci,
    /// Owner.
    pub party_id: Ci,
    /// Unique at the owner.
    pub id: Ci,
    /// Whether it may be shown to everybody.
    #[serde(default)]
    pub publish: bool,
    /// For people.
    pub name: Option<String>,
    /// Street and number.
    #[serde(default)]
    pub address: String,
    /// City.
    #[serde(default)]
    pub city: String,
    /// Postal code.
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-3.
    #[serde(default)]
    pub country: String,
    /// Where.
    pub coordinates: GeoLocation,
    /// The EVSEs.
    #[serde(default, deserialize_with = "list")]
    pub evses: Vec<Evse>,
    /// Who operates it.
    pub operator: Option<BusinessDetails>,
    /// IANA time zone.
    #[serde(default)]
    pub time_zone: String,
    /// Opening times, as they came.
    pub opening_times: Option<Value>,
    /// When it changed.
    pub last_updated: Time,
}

/// Latitude and longitude as texts of five to seven decimals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeoLocation {
    /// Degrees north.
    pub latitude: String,
    /// Degrees east.
    pub longitude: String,
}

/// Where one car charges at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evse {
    /// Unique at the owner for ever.
    pub uid: Ci,
    /// eMI3 id.
    pub evse_id: Option<Ci>,
    /// What it is doing.
    pub status: Status,
    /// What it can do.
    #[serde(default, deserialize_with = "list")]
    pub capabilities: Vec<Capability>,
    /// Its plugs.
    #[serde(default, deserialize_with = "list")]
    pub connectors: Vec<Connector>,
    /// What is painted on it.
    pub physical_reference: Option<String>,
    /// When it changed.
    pub last_updated: Time,
}

/// A plug.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connector {
    /// Unique at the EVSE.
    pub id: Ci,
    /// e.g. `IEC_62196_T2`.
    pub standard: String,
    /// `SOCKET` or `CABLE`.
    pub format: String,
    /// What flows.
    pub power_type: PowerType,
    /// Line to neutral for AC.
    #[serde(deserialize_with = "whole")]
    pub max_voltage: i64,
    /// Of one phase.
    #[serde(deserialize_with = "whole")]
    pub max_amperage: i64,
    /// Watts.
    #[serde(default, deserialize_with = "whole_maybe")]
    pub max_electric_power: Option<i64>,
    /// Tariffs in force.
    #[serde(default, deserialize_with = "list")]
    pub tariff_ids: Vec<Ci>,
    /// When it changed.
    pub last_updated: Time,
}
