//! Tariffs and prices.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ocpi::decimal::Decimal;
use crate::ocpi::text::{Ci, Time, list, open_enum, whole, whole_maybe};

/// An amount of money: before taxes, and with them where they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Before taxes.
    pub before_taxes: Decimal,
    /// With taxes; none where no tax is known.
    pub after_taxes: Option<Decimal>,
}

open_enum! {
    /// What is priced.
    DimensionKind {
        Energy = "ENERGY",
        Flat = "FLAT",
        ParkingTime = "PARKING_TIME",
        Time = "TIME",
    }
}

/// A tariff.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tariff {
    /// Owner.
    pub country_code: Ci,
    /// Owner.
    pub party_id: Ci,
    /// Unique at the owner.
    pub id: Ci,
    /// ISO 4217.
    pub currency: String,
    /// For which sessions; absent for all.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// In words.
    #[serde(default, deserialize_with = "list")]
    pub tariff_alt_text: Vec<Value>,
    /// The least a session costs.
    pub min_price: Option<Price>,
    /// The most a session costs.
    pub max_price: Option<Price>,
    /// The first that fits prices a dimension.
    #[serde(default, deserialize_with = "list")]
    pub elements: Vec<TariffElement>,
    /// 2.3.0 only: `YES`, `NO` or `N/A`.
    pub tax_included: Option<String>,
    /// From when it may be used.
    pub start_date_time: Option<Time>,
    /// Until when.
    pub end_date_time: Option<Time>,
    /// When it changed.
    pub last_updated: Time,
}

/// Prices that hold together under one set of restrictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TariffElement {
    /// The prices.
    #[serde(default, deserialize_with = "list")]
    pub price_components: Vec<PriceComponent>,
    /// When they hold.
    pub restrictions: Option<Restrictions>,
}

/// One price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriceComponent {
    /// Of what.
    #[serde(rename = "type")]
    pub kind: DimensionKind,
    /// For a kWh, an hour, or once.
    pub price: Decimal,
    /// Percent; absent is not zero.
    pub vat: Option<Decimal>,
    /// Wh or seconds that are billed as a whole.
    #[serde(default, deserialize_with = "whole")]
    pub step_size: i64,
}

/// All must hold. Times of day are local.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Restrictions {
    /// `HH:MM`.
    pub start_time: Option<String>,
    /// `HH:MM`; before the start it wraps over midnight.
    pub end_time: Option<String>,
    /// Inclusive.
    pub start_date: Option<String>,
    /// Exclusive.
    pub end_date: Option<String>,
    /// Inclusive.
    pub min_kwh: Option<Decimal>,
    /// Exclusive.
    pub max_kwh: Option<Decimal>,
    /// Sum of the phases, amperes.
    pub min_current: Option<Decimal>,
    /// Sum of the phases, amperes.
    pub max_current: Option<Decimal>,
    /// kW.
    pub min_power: Option<Decimal>,
    /// kW.
    pub max_power: Option<Decimal>,
    /// Seconds.
    #[serde(default, deserialize_with = "whole_maybe")]
    pub min_duration: Option<i64>,
    /// Seconds.
    #[serde(default, deserialize_with = "whole_maybe")]
    pub max_duration: Option<i64>,
    /// `MONDAY` …
    #[serde(default, deserialize_with = "list")]
    pub day_of_week: Vec<String>,
    /// `RESERVATION` or `RESERVATION_EXPIRES`: prices a reservation and no charging.
    pub reservation: Option<String>,
}
