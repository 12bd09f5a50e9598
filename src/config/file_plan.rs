//! `[plan]` as it is written: what the plan of the coming day is to achieve.

use schemars::JsonSchema;
use serde::Deserialize;

/// What the plan of the coming day is to achieve.
///
/// Whatever is chosen, breakers come first, and drivers get their energy by their departure as far
/// as the breakers allow.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// `self_production`: as much of the cars' energy as possible from the roof. `cost`: as little
    /// money as possible by the tariff. `co2`: as little CO2 as possible. `peak`: the highest
    /// import as low as possible. `early`: everybody is full as soon as possible. `mix`: the sum
    /// of all by the weights beside it.
    #[schemars(required, example = &"self_production")]
    pub objective: Option<ObjectiveWord>,
    /// `program` solves a linear program over the coming day; `rule` takes the sun first and else
    /// charges as late as possible, for comparison.
    #[serde(default)]
    pub planner: PlannerWord,
    /// What a kWh costs that a car misses at its departure, in EUR. With uncertain departures it
    /// says how much risk is taken for sun or a better price. Default 2 for `self_production`,
    /// else 1.
    #[schemars(range(min = 0.01, max = 1000.0))]
    pub missing_eur_per_kwh: Option<f64>,
    /// What each kWh of the cars costs that comes from the grid and not from the roof, in EUR.
    /// Default 0.5 for `self_production`, else 0.
    #[schemars(range(min = 0, max = 100))]
    pub grid_eur_per_kwh: Option<f64>,
    /// What each kg of CO2 costs, in EUR. Default 1 for `co2`, else 0.
    #[schemars(range(min = 0, max = 1000))]
    pub co2_eur_per_kg: Option<f64>,
    /// What each kW of the highest import of a quarter hour in a month costs, in EUR, on top of
    /// what the tariff says. Default 10 for `peak`, else 0.
    #[schemars(range(min = 0, max = 1000))]
    pub peak_eur_per_kw: Option<f64>,
    /// What each kWh costs for each hour that it comes later, in EUR. Default 0.1 for `early`,
    /// else 0.0001, which only decides between plans of equal cost.
    #[schemars(range(min = 0, max = 10))]
    pub early_eur_per_kwh_h: Option<f64>,
    /// Share of the energy's own price that counts, 0 to 1. Default 1 for `cost` and `mix`, else
    /// 0.
    #[schemars(range(min = 0, max = 1))]
    pub cost_weight: Option<f64>,
    /// How far is looked ahead, in hours.
    #[serde(default = "horizon_h")]
    #[schemars(range(min = 6, max = 72))]
    pub horizon_h: f64,
}

/// What is wanted, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObjectiveWord {
    /// As much of the cars' energy as possible from the roof.
    SelfProduction,
    /// As little money as possible.
    Cost,
    /// As little CO2 as possible.
    Co2,
    /// The highest import as low as possible.
    Peak,
    /// Everybody full as soon as possible.
    Early,
    /// The sum of all by their weights.
    Mix,
}

/// Who makes the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlannerWord {
    /// The linear program.
    #[default]
    Program,
    /// Sun first, else as late as possible.
    Rule,
}

fn horizon_h() -> f64 {
    30.0
}
