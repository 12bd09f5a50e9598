//! A plan as a value: power by car and step, why not more, and what it costs term by term.

use serde::{Deserialize, Serialize};

use crate::ground::time::Utc;
use crate::ground::units::Phase;

/// What to offer over the coming day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Boundaries of the steps, as in the problem.
    pub grid: Vec<Utc>,
    /// How it was found.
    pub method: Method,
    /// In the order of the problem.
    pub cars: Vec<CarPlan>,
    /// Import less export of the whole site as it is expected, in kW by step.
    pub import_kw: Vec<f64>,
    /// What it costs.
    pub cost: CostTerms,
    /// The plan in a few sentences.
    pub words: String,
    /// What went wrong on the way to it (a solver that failed, a plan that the audit refused).
    #[serde(default)]
    pub note: String,
}

/// How a plan was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Least laxity first: always there.
    Greedy,
    /// Price-ordered flow: exact where all cars load the same phases.
    Flow,
    /// Sun first, else as late as possible: a rule, for comparison.
    Rule,
    /// Linear program, minimum currents rounded or exact in the first steps.
    Program,
}

/// The plan of one car.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CarPlan {
    /// The EVSE.
    pub evse: String,
    /// Its session, as in the problem.
    pub session: Option<u64>,
    /// In A on each of its phases, by step.
    pub current_a: Vec<f64>,
    /// In kW over its phases, by step.
    pub power_kw: Vec<f64>,
    /// Why not more, by step.
    pub reasons: Vec<Reason>,
    /// What each need misses at its time, in kWh, in the order of the problem.
    pub missing_kwh: Vec<f64>,
    /// What one more kWh now would save later, in EUR: who is first for sun that nobody planned.
    pub worth_eur_per_kwh: f64,
    /// What one kWh less now would cost later, in EUR: whether sun that does not come is bought.
    #[serde(default)]
    pub loss_eur_per_kwh: f64,
    /// Why it is planned so, in a sentence.
    pub words: String,
}

/// Why a car gets no more in a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// A breaker is full on a phase, or over all of them.
    Breaker { node: String, phase: Option<Phase> },
    /// It is the most that the car or its EVSE can take; the text is `max_cause`.
    Most { cause: String },
    /// Somebody limits this car, or a node above it.
    Limit { cause: String },
    /// Sun is expected; it goes on at that time.
    Sun { until: Utc },
    /// Energy is cheaper later; it goes on at that time.
    Price { until: Utc },
    /// The highest import of the billing period would rise.
    Peak,
    /// It has all it needs by then.
    Enough,
    /// What is left is less than it can charge with; it is bundled into another step.
    Minimum,
    /// The car is not there in this step.
    Away,
}

/// What a plan costs, in EUR of the objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CostTerms {
    /// Energy bought less energy sold.
    pub energy_eur: f64,
    /// Energy of the cars that came from the grid (self-production).
    pub grid_eur: f64,
    /// CO2 of the import.
    pub co2_eur: f64,
    /// Peak of the import.
    pub peak_eur: f64,
    /// Needs that are missed.
    pub missing_eur: f64,
    /// Energy that counts on room which may not be there.
    #[serde(default)]
    pub unsure_eur: f64,
    /// Lateness, the tie-break.
    pub late_eur: f64,
    /// All of it.
    pub total_eur: f64,
}
