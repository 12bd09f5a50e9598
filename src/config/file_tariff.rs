//! `[tariff]` as it is written: what energy costs.

use schemars::JsonSchema;
use serde::Deserialize;

/// What energy costs: the contract, over the prices of the market where those are known.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tariff {
    /// The energy price follows the day-ahead market, where that is known.
    pub market: bool,
    /// Energy price where there is no market price, in EUR per kWh.
    #[schemars(range(min = -10, max = 10))]
    pub energy_eur_per_kwh: f64,
    /// Grid fees, taxes and levies on each kWh of import, in EUR.
    #[schemars(range(min = -10, max = 10))]
    pub fees_eur_per_kwh: f64,
    /// What a kWh of export earns, in EUR; never more than import costs at that time.
    #[schemars(range(min = -10, max = 10))]
    pub export_eur_per_kwh: f64,
    /// What each kW of the highest import of a quarter hour costs in each local month, in EUR.
    #[schemars(range(min = 0, max = 1000))]
    pub peak_eur_per_kw: f64,
}

impl Default for Tariff {
    fn default() -> Self {
        Self {
            market: true,
            energy_eur_per_kwh: 0.0,
            fees_eur_per_kwh: 0.0,
            export_eur_per_kwh: 0.0,
            peak_eur_per_kw: 0.0,
        }
    }
}
