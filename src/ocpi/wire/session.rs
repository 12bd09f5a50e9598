//! Sessions, their periods, and what drivers want of them.

use serde::{Deserialize, Serialize};

use crate::ocpi::decimal::Decimal;
use crate::ocpi::text::{Ci, Time, list, open_enum};

use super::tariff::Price;
use super::token::TokenType;

open_enum! {
    /// How a session stands.
    SessionStatus {
        Active = "ACTIVE",
        Completed = "COMPLETED",
        Invalid = "INVALID",
        Pending = "PENDING",
        Reservation = "RESERVATION",
    }
}

open_enum! {
    /// What a volume measures.
    Measure {
        Current = "CURRENT",
        Energy = "ENERGY",
        EnergyExport = "ENERGY_EXPORT",
        EnergyImport = "ENERGY_IMPORT",
        MaxCurrent = "MAX_CURRENT",
        MinCurrent = "MIN_CURRENT",
        MaxPower = "MAX_POWER",
        MinPower = "MIN_POWER",
        ParkingTime = "PARKING_TIME",
        Power = "POWER",
        ReservationTime = "RESERVATION_TIME",
        StateOfCharge = "STATE_OF_CHARGE",
        Time = "TIME",
    }
}

/// A session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Owner.
    pub country_code: Ci,
    /// Owner.
    pub party_id: Ci,
    /// Unique at the owner.
    pub id: Ci,
    /// When it began.
    pub start_date_time: Time,
    /// When it ended.
    pub end_date_time: Option<Time>,
    /// Energy so far.
    pub kwh: Decimal,
    /// Who charges.
    pub cdr_token: CdrToken,
    /// `AUTH_REQUEST`, `COMMAND` or `WHITELIST`.
    #[serde(default)]
    pub auth_method: String,
    /// As the partner gave it.
    pub authorization_reference: Option<Ci>,
    /// Where.
    #[serde(default)]
    pub location_id: Ci,
    /// Where.
    #[serde(default)]
    pub evse_uid: Ci,
    /// Where.
    #[serde(default)]
    pub connector_id: Ci,
    /// A meter, or (at some sites) what the driver wants.
    pub meter_id: Option<String>,
    /// ISO 4217.
    #[serde(default)]
    pub currency: String,
    /// What happened, in order.
    #[serde(default, deserialize_with = "list")]
    pub charging_periods: Vec<ChargingPeriod>,
    /// So far.
    pub total_cost: Option<Price>,
    /// How it stands.
    pub status: SessionStatus,
    /// Not of the standard: what the driver wants, for partners that plan.
    pub charging_preferences: Option<ChargingPreferences>,
    /// When it changed.
    pub last_updated: Time,
}

/// A token as it was when the session began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdrToken {
    /// Owner of the token.
    #[serde(default)]
    pub country_code: Ci,
    /// Owner of the token.
    #[serde(default)]
    pub party_id: Ci,
    /// What was presented.
    pub uid: Ci,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: TokenType,
    /// The contract that pays.
    #[serde(default)]
    pub contract_id: Ci,
}

/// A span in which no price changed; it ends where the next begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChargingPeriod {
    /// When it began.
    pub start_date_time: Time,
    /// What was measured in it.
    #[serde(default, deserialize_with = "list")]
    pub dimensions: Vec<Dimension>,
    /// The tariff that prices it.
    pub tariff_id: Option<Ci>,
}

impl ChargingPeriod {
    /// The volume of a measure in this period.
    pub fn volume(&self, measure: &Measure) -> Option<Decimal> {
        let found = self.dimensions.iter().find(|dimension| &dimension.kind == measure);
        found.map(|dimension| dimension.volume)
    }
}

/// A measured volume of one period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// Of what.
    #[serde(rename = "type")]
    pub kind: Measure,
    /// kWh, A, kW, hours or percent.
    pub volume: Decimal,
}

/// What a driver wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChargingPreferences {
    /// `CHEAP`, `FAST`, `GREEN` or `REGULAR`.
    #[serde(default = "regular")]
    pub profile_type: String,
    /// When the car leaves.
    pub departure_time: Option<Time>,
    /// kWh.
    pub energy_need: Option<Decimal>,
    /// Whether the car may be discharged.
    pub discharge_allowed: Option<bool>,
}

fn regular() -> String {
    "REGULAR".to_owned()
}
