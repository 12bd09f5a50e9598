//! One planning problem as a value: all that a plan depends on, saved as JSON to be solved again.
//!
//! Floats in A, kW, kWh and EUR, since a plan is a proposal: what protects breakers is exact and
//! stands elsewhere. Import and consumption are positive; phases are in the order L1, L2, L3.

use serde::{Deserialize, Serialize};

use crate::ground::quantiles::Quantiles;
use crate::ground::time::Utc;

/// The format of [`Problem`] that this program writes.
pub const FORMAT: u32 = 1;

/// Everything that a plan depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// [`FORMAT`].
    pub format: u32,
    /// What people call the site.
    pub site: String,
    /// IANA time zone; words name local times.
    pub zone: String,
    /// Boundaries of the steps, rising: step `k` is from `grid[k]` to `grid[k + 1]`. The first is
    /// when the problem was posed.
    pub grid: Vec<Utc>,
    /// Between a phase and neutral, in V.
    pub voltage_v: f64,
    /// The electrical tree; parents stand before children.
    pub nodes: Vec<ProblemNode>,
    /// Who charges, is expected, or has reserved.
    pub cars: Vec<Car>,
    /// Sun, load and prices by step.
    pub series: Series,
    /// What is wanted.
    pub objective: Objective,
}

/// A node of the electrical tree with what it may carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProblemNode {
    /// Identifier in the configuration.
    pub id: String,
    /// What is written on the board.
    pub name: String,
    /// Position of the node that feeds it.
    pub parent: Option<usize>,
    /// The most that each phase may carry, in A.
    pub rating_a: Option<[f64; 3]>,
    /// The most that all phases together may carry, in kW.
    pub power_limit_kw: Option<f64>,
    /// The most by which single-phase charging may load one phase above another, in A.
    pub imbalance_a: Option<f64>,
    /// By step, the load by phase in A that is not planned here: building, chargers that cannot be
    /// told, safe shares that are reserved. Negative where generation makes room.
    pub other_a: Vec<[f64; 3]>,
    /// By step, how much more that load is in the bad case, by phase in A: less sun, more building.
    /// Who counts on this room pays `unsure_eur_per_kwh`. Empty where the load is certain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsure_a: Vec<[f64; 3]>,
    /// Limits from outside for a time, each with its cause.
    pub limits: Vec<NodeLimit>,
}

/// A limit from outside on a node (distribution system operator, contract, partner).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeLimit {
    /// The most that all chargers below may draw together, in kW.
    pub limit_kw: f64,
    /// From when.
    pub from: Utc,
    /// Until when; absent for ever.
    pub until: Option<Utc>,
    /// Who says so, in words.
    pub cause: String,
}

/// A car, or the place for one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Car {
    /// The EVSE, by the name painted on it.
    pub evse: String,
    /// Number of its session; absent for reserved and expected cars.
    pub session: Option<u64>,
    /// What it is.
    pub kind: CarKind,
    /// Position of its node.
    pub node: usize,
    /// Whether it loads L1, L2, L3.
    pub phases: [bool; 3],
    /// The least it can charge with, in A on each of its phases.
    pub min_a: f64,
    /// The most it can take, in A on each of its phases.
    pub max_a: f64,
    /// Why not more than `max_a`, in words ("rating of the EVSE", "the car takes no more").
    pub max_cause: String,
    /// Limits from outside for a time, each with its cause.
    pub bounds: Vec<CarLimit>,
    /// The current it draws now, in A.
    pub now_a: f64,
    /// When it was last switched on or off; absent if never in this session.
    pub switched: Option<Utc>,
    /// It can charge from then …
    pub from: Utc,
    /// … until then.
    pub until: Utc,
    /// By step, the probability that it is still there; empty for certain. Bounds count it in
    /// full, costs by what is expected.
    pub presence: Vec<f64>,
    /// It takes no more than this from now on, in kWh; absent if unknown.
    pub room_kwh: Option<f64>,
    /// What it should have, and by when. One for a driver whose word is taken, several where habit
    /// gives a distribution: the sum of all is minimised.
    pub needs: Vec<Need>,
    /// Above this much energy from now on it takes ever less: the knee of the charging curve.
    pub taper: Option<Taper>,
    /// By policy, more is served first when not all can be (fleet before guest); 0 by default.
    pub priority: i32,
    /// Energy that should be charged as fast as possible from arrival on, in kWh from now on.
    pub fast_kwh: f64,
    /// What waiting costs this car on top of what it costs all, in EUR for each kWh and hour:
    /// little while it has time to spare, much where it has not.
    #[serde(default)]
    pub early_eur_per_kwh_h: f64,
}

/// What a [`Car`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CarKind {
    /// It stands there.
    Present,
    /// It has reserved.
    Reserved,
    /// Habit says that it will come; its energy is what is expected.
    Expected,
}

/// A limit from outside on one car.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarLimit {
    /// The most on each of its phases, in A.
    pub limit_a: f64,
    /// From when.
    pub from: Utc,
    /// Until when; absent for ever.
    pub until: Option<Utc>,
    /// Who says so, in words.
    pub cause: String,
}

/// Energy that should be there by a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// By when.
    pub by: Utc,
    /// From now on, in kWh.
    pub kwh: f64,
    /// What each missing kWh costs, in EUR: its price times its probability.
    pub eur_per_kwh: f64,
    /// Who says so, in words ("the driver", "habit", "default of the site").
    pub cause: String,
}

/// Where a battery begins to take less.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taper {
    /// Energy from now on up to the knee, in kWh.
    pub knee_kwh: f64,
    /// Power at the very end as a share of the most it can take, 0 to 1.
    pub end_share: f64,
}

/// Where a series comes from, for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// In words ("learned on site", "mqtt topic prices/day", "tariff of the configuration").
    pub source: String,
    /// When it was issued; absent for what does not change.
    pub issued: Option<Utc>,
}

/// Sun, load and prices by step, of the whole site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Generation in kW.
    pub pv_kw: Vec<Quantiles>,
    /// Load that is not planned here, in kW.
    pub load_kw: Vec<Quantiles>,
    /// Price of import, in EUR per kWh.
    pub import_eur_per_kwh: Vec<f64>,
    /// What export earns, in EUR per kWh; never more than import costs.
    pub export_eur_per_kwh: Vec<f64>,
    /// Intensity of the grid, in g per kWh.
    pub co2_g_per_kwh: Vec<f64>,
    /// Where each comes from, by the name of the field.
    pub origins: std::collections::BTreeMap<String, Origin>,
}

/// What is wanted: each weight turns its quantity into money, so that they can be mixed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// What people call it ("self-production").
    pub name: String,
    /// Weight of the energy's own price: 1 counts it, 0 leaves it out.
    pub cost: f64,
    /// EUR for each kWh of the cars that comes from the grid.
    pub grid_eur_per_kwh: f64,
    /// EUR for each kg of CO2 of the import.
    pub co2_eur_per_kg: f64,
    /// EUR for each kW of the highest import above `peak_so_far_kw`.
    pub peak_eur_per_kw: f64,
    /// The import that costs nothing more: highest of the billing period so far, or the contract's.
    pub peak_so_far_kw: f64,
    /// EUR for each kWh and hour that it comes later: early finish; small, it is the tie-break.
    pub early_eur_per_kwh_h: f64,
    /// EUR for each kWh that counts on room which may not be there.
    #[serde(default)]
    pub unsure_eur_per_kwh: f64,
}

impl Problem {
    /// What a kWh of import costs the objective in a step, in EUR.
    pub fn import_price(&self, step: usize) -> f64 {
        let at = |values: &[f64]| values.get(step).copied().unwrap_or(0.0);
        let co2_kg = at(&self.series.co2_g_per_kwh) / 1000.0;
        self.objective.cost * at(&self.series.import_eur_per_kwh)
            + self.objective.grid_eur_per_kwh
            + self.objective.co2_eur_per_kg * co2_kg
    }

    /// What a kWh of export earns the objective in a step, in EUR.
    pub fn export_price(&self, step: usize) -> f64 {
        let earned = self.series.export_eur_per_kwh.get(step).copied().unwrap_or(0.0);
        self.objective.cost * earned
    }
}
