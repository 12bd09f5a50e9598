//! Charge detail records: what is billed, frozen when the session ended.

use serde::{Deserialize, Serialize};

use crate::ocpi::decimal::Decimal;
use crate::ocpi::text::{Ci, Time, list};

use super::location::{GeoLocation, PowerType};
use super::session::{CdrToken, ChargingPeriod};
use super::tariff::{Price, Tariff};

/// A charge detail record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cdr {
    /// Owner.
    pub country_code: Ci,
    /// Owner.
    pub party_id: Ci,
    /// Unique at the owner.
    pub id: Ci,
    /// When the session began.
    pub start_date_time: Time,
    /// When it ended.
    pub end_date_time: Time,
    /// The session.
    pub session_id: Option<Ci>,
    /// Who charged.
    pub cdr_token: CdrToken,
    /// `AUTH_REQUEST`, `COMMAND` or `WHITELIST`.
    pub auth_method: String,
    /// As the partner gave it.
    pub authorization_reference: Option<Ci>,
    /// Where, as it was then.
    pub cdr_location: CdrLocation,
    /// The meter.
    pub meter_id: Option<String>,
    /// ISO 4217.
    pub currency: String,
    /// The tariffs that priced it.
    #[serde(default, deserialize_with = "list")]
    pub tariffs: Vec<Tariff>,
    /// What happened, in order.
    #[serde(default, deserialize_with = "list")]
    pub charging_periods: Vec<ChargingPeriod>,
    /// What it costs.
    pub total_cost: Price,
    /// Of that: once.
    pub total_fixed_cost: Option<Price>,
    /// kWh.
    pub total_energy: Decimal,
    /// Of the cost: energy.
    pub total_energy_cost: Option<Price>,
    /// Hours of the whole session.
    pub total_time: Decimal,
    /// Of the cost: time charging.
    pub total_time_cost: Option<Price>,
    /// Hours in which the car asked for nothing.
    pub total_parking_time: Option<Decimal>,
    /// Of the cost: parking.
    pub total_parking_cost: Option<Price>,
    /// In words.
    pub remark: Option<String>,
    /// When it was made.
    pub last_updated: Time,
}

/// A connector as it was when the session ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CdrLocation {
    /// Location id.
    pub id: Ci,
    /// For people.
    pub name: Option<String>,
    /// Street and number.
    pub address: String,
    /// City.
    pub city: String,
    /// Postal code.
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-3.
    pub country: String,
    /// Where.
    pub coordinates: GeoLocation,
    /// EVSE.
    pub evse_uid: Ci,
    /// eMI3 id.
    pub evse_id: Ci,
    /// Connector.
    pub connector_id: Ci,
    /// e.g. `IEC_62196_T2`.
    pub connector_standard: String,
    /// `SOCKET` or `CABLE`.
    pub connector_format: String,
    /// What flows.
    pub connector_power_type: PowerType,
}
