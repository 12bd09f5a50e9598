//! `[[forecast.source]]` as it is written: forecasts and prices from outside. Doc comments are the
//! manual, see [`super::file`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Forecasts and prices from outside. The site learns forecasts of its own; what comes from outside
/// is mixed in by how far it proved right.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Forecast {
    /// Where they come from; one for each kind.
    #[schemars(length(max = 4))]
    pub source: Vec<Source>,
}

/// A forecast or price from outside: exactly one of `topic`, `url` and `file`, with JSON or CSV.
///
/// JSON may be a list of `{time, value}` or of `[time, value]`, a map from time to value, or two
/// lists beside each other (`series` and `times`). Times are text with or without an offset, or
/// seconds or milliseconds since 1970; a value holds until the next.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What people call it.
    #[schemars(required, length(min = 1, max = 36), example = &"day-ahead")]
    pub id: Option<String>,
    /// What it says.
    #[schemars(required)]
    pub kind: Option<Kind>,
    /// The MQTT topic that it is published to, without wildcards. A retained message is welcome.
    #[schemars(length(min = 1, max = 250), example = &"forecast/pv")]
    pub topic: Option<String>,
    /// The address that it is fetched from, `https://…`.
    #[schemars(length(min = 8, max = 1000), example = &"https://prices.example.org/today.json")]
    pub url: Option<String>,
    /// The file that it is in; read again whenever it has changed.
    #[schemars(length(min = 1, max = 4096), example = &"/var/lib/ampgate/prices.csv")]
    pub file: Option<String>,
    /// How often `url` is fetched, in minutes. 60 where it is left out.
    #[schemars(range(min = 5, max = 1440), example = 60)]
    pub every_min: Option<f64>,
    /// File whose first line is sent to `url` as a bearer token. The token itself never stands in
    /// the configuration.
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/prices.token")]
    pub token_file: Option<String>,
    /// JSON pointer (RFC 6901) to the list or map of the series. Left out where that is the whole
    /// document.
    #[schemars(length(max = 250), example = &"/data/prices")]
    pub series: Option<String>,
    /// JSON pointer to the list of times, where `series` is a list of values alone.
    #[schemars(length(max = 250), example = &"/hourly/time")]
    pub times: Option<String>,
    /// JSON pointer to the time at which it was issued. Left out, that is when it was received.
    #[schemars(length(max = 250), example = &"/issued")]
    pub issued: Option<String>,
    /// Key, or column of a CSV, of the time.
    #[serde(default = "time")]
    #[schemars(length(min = 1, max = 100))]
    pub time: String,
    /// Key, or column of a CSV, of the value.
    #[serde(default = "value")]
    #[schemars(length(min = 1, max = 100), example = &"price_eur_per_mwh")]
    pub value: String,
    /// The unit of the value. kW, EUR/kWh or g/kWh where it is left out.
    pub unit: Option<FeedUnit>,
    /// The value is multiplied by this, e.g. by the kWp of the plant.
    #[serde(default = "scale")]
    #[schemars(range(min = -1_000_000, max = 1_000_000), example = 35)]
    pub scale: f64,
    /// IANA time zone of times without an offset. That of the site where it is left out.
    #[schemars(length(min = 1, max = 60), example = &"UTC")]
    pub time_zone: Option<String>,
}

/// What a source says.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Power of all PV of the site.
    Pv,
    /// Power of everything that is neither PV nor charging.
    Load,
    /// Day-ahead price of the market, before fees.
    Price,
    /// CO2 intensity of the grid.
    Co2,
}

/// The unit of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum FeedUnit {
    /// Watts, for PV and load.
    W,
    /// Kilowatts, for PV and load.
    #[serde(rename = "kW")]
    KiloW,
    /// EUR per kWh, for prices.
    #[serde(rename = "EUR/kWh")]
    EurPerKwh,
    /// EUR per MWh, for prices.
    #[serde(rename = "EUR/MWh")]
    EurPerMwh,
    /// Euro cents per kWh, for prices.
    #[serde(rename = "ct/kWh")]
    CentPerKwh,
    /// Grams of CO2 per kWh.
    #[serde(rename = "g/kWh")]
    GramPerKwh,
    /// Kilograms of CO2 per MWh, which is the same.
    #[serde(rename = "kg/MWh")]
    KiloPerMwh,
}

fn time() -> String {
    "time".to_owned()
}

fn value() -> String {
    "value".to_owned()
}

fn scale() -> f64 {
    1.0
}
