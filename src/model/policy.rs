//! What the plan is to achieve, as the configuration says it.

use crate::ground::time::Duration;

/// How the coming day is planned.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanPolicy {
    /// What people call the objective.
    pub name: String,
    /// Who makes the plan.
    pub planner: Planner,
    /// Weight of the energy's own price: 1 counts it, 0 leaves it out.
    pub cost: f64,
    /// EUR for each kWh of the cars that comes from the grid.
    pub grid_eur_per_kwh: f64,
    /// EUR for each kg of CO2 of the import.
    pub co2_eur_per_kg: f64,
    /// EUR for each kW of the highest import of a quarter hour in a local month, on top of what a
    /// tariff says.
    pub peak_eur_per_kw: f64,
    /// EUR for each kWh and hour that a car is served later.
    pub early_eur_per_kwh_h: f64,
    /// EUR for each kWh that a car misses at its departure.
    pub missing_eur_per_kwh: f64,
    /// How far is looked ahead (default 30 h).
    pub horizon: Duration,
}

/// Who makes the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planner {
    /// The linear program, with an instant plan before it is ready.
    Program,
    /// Sun first, else as late as possible: the rule that plans are measured against.
    Rule,
}

impl Default for PlanPolicy {
    /// Self-production: the sun's energy counts 0.5 EUR per kWh, and a kWh that a driver misses
    /// four times as much.
    fn default() -> Self {
        Self {
            name: "self-production".to_owned(),
            planner: Planner::Program,
            cost: 0.0,
            grid_eur_per_kwh: 0.5,
            co2_eur_per_kg: 0.0,
            peak_eur_per_kw: 0.0,
            early_eur_per_kwh_h: 1e-4,
            missing_eur_per_kwh: 2.0,
            horizon: Duration::hours(30),
        }
    }
}
