//! The electrical diagram as it is written: `[[node]]`, `[[evse]]`, `[[pv]]`, `[[battery]]` and
//! `[[load]]`. Doc comments are the manual, see [`super::file`].

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::ground::units::{Amps, PerPhase};

/// One number for all three phases, or three numbers, in amperes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum AmpsPerPhase {
    /// The same on each phase.
    All(f64),
    /// L1, L2, L3.
    Each([f64; 3]),
}

impl AmpsPerPhase {
    /// No conductor of a low-voltage site carries more, in amperes.
    const MAX: u32 = 10_000;

    /// The value of each phase.
    pub fn per_phase(self) -> PerPhase<Amps> {
        match self {
            Self::All(amps) => PerPhase::all(Amps::from_f64(amps)),
            Self::Each(amps) => PerPhase(amps).map(Amps::from_f64),
        }
    }
}

impl JsonSchema for AmpsPerPhase {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("AmpsPerPhase")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = json_schema!({ "type": "number", "minimum": 0, "maximum": Self::MAX });
        let three = json_schema!({ "type": "array", "items": one, "minItems": 3, "maxItems": 3 });
        json_schema!({ "anyOf": [one, three] })
    }
}

/// A place where current is limited or measured: grid connection, breaker, sub-board.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Short name by which the rest of the file refers to it.
    #[schemars(required, length(min = 1, max = 36), example = &"board-a")]
    pub id: Option<String>,
    /// What is written on the board; the `id` where it is left out. People read it in every reason.
    #[schemars(length(min = 1, max = 60), example = &"Board A 63A")]
    pub name: Option<String>,
    /// The node that feeds this one. A grid connection has none.
    #[schemars(length(min = 1, max = 36), example = &"grid")]
    pub parent: Option<String>,
    /// Rating in amperes: one number for every phase, or three, L1 to L3. A phase that is not there
    /// has 0.
    #[schemars(example = 63, example = [63, 63, 40])]
    pub rating_a: Option<AmpsPerPhase>,
    /// Rating in kVA of all three phases together: each may carry a third of it, at the voltage of
    /// the site, rounded down. Beside `rating_a` the tighter of the two holds on each phase.
    #[schemars(range(min = 1, max = 20_000), example = 43)]
    pub rating_kva: Option<f64>,
    /// The most that all phases may carry together, in kW: a contract, or the sum of several
    /// connections.
    #[schemars(range(min = 0, max = 20_000), example = 36)]
    pub power_limit_kw: Option<f64>,
    /// The most by which charging may load one phase above the least loaded one, in amperes (20 A
    /// in Germany, VDE-AR-N 4100).
    #[schemars(range(min = 0, max = 1000), example = 20)]
    pub imbalance_a: Option<f64>,
    /// The meter that sees everything that flows through this node.
    #[schemars(length(min = 1, max = 36), example = &"grid")]
    pub meter: Option<String>,
    /// Load on each phase, other than charging, that is assumed when it is not measured: one number
    /// or three, in amperes. At a node with a meter it must cover everything below the node and
    /// counts from the moment the meter falls silent. At a node without one it always counts.
    #[schemars(example = 20, example = [20, 15, 15])]
    pub worst_case_load_a: Option<AmpsPerPhase>,
    /// Whether generation measured at this node makes room for charging. Where false, a surplus
    /// counts as no load, and never as room.
    #[serde(default)]
    pub generation_counts: bool,
    /// Not a breaker but a group: several sites or grid connections under one contract. Its only
    /// limit is `power_limit_kw`.
    #[serde(default)]
    pub r#virtual: bool,
}

/// A charging point with one connector in use at a time.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evse {
    /// The name that is painted on it.
    #[schemars(required, length(min = 1, max = 36), example = &"EVSE-01")]
    pub id: Option<String>,
    /// The node that feeds it.
    #[schemars(required, length(min = 1, max = 36), example = &"board-a")]
    pub node: Option<String>,
    /// OCPP identity of the charger: the last part of the address that it connects to.
    #[schemars(required, length(min = 1, max = 48), example = &"CP-01")]
    pub charge_point: Option<String>,
    /// OCPP number of the connector within its charger, from 1.
    #[serde(default = "connector")]
    #[schemars(range(min = 1, max = 100))]
    pub connector: u32,
    /// The grid phases behind the charger's own L1, L2, L3, in that order: the phase rotation. A
    /// charger whose L1 hangs on the grid's L2 and so on has `"L2L3L1"`; a single-phase one on the
    /// grid's L2 has `"L2"`. The letters of OCPP are understood too: `"RST"` is `"L1L2L3"`.
    #[schemars(required, length(min = 1, max = 12))]
    #[schemars(example = &"L1L2L3", example = &"L2", example = &"L3L1L2", example = &"RST")]
    pub phases: Option<String>,
    /// The most it can draw on a phase, in amperes: 16 for 3.7 and 11 kW, 32 for 7.4 and 22 kW.
    #[schemars(required, range(min = 1, max = 1000), example = 32)]
    pub rated_a: Option<f64>,
    /// The least it can charge with, in amperes (6 A by IEC 61851-1; more for some cars).
    #[serde(default = "minimum_a")]
    #[schemars(range(min = 1, max = 100))]
    pub min_a: f64,
    /// Its safe share, in amperes per phase: what it charges with when the box is gone. Either 0 or
    /// at least `min_a`. The shares of all EVSEs must fit under every breaker together with the
    /// worst-case load, because they are what is left when everything else has failed.
    #[schemars(required, range(min = 0, max = 1000), example = 6, example = 0)]
    pub safe_a: Option<f64>,
    /// Free vending: whoever plugs in charges, without showing anything.
    #[serde(default)]
    pub free: bool,
}

/// A PV generator.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pv {
    /// Short name.
    #[schemars(required, length(min = 1, max = 36), example = &"roof")]
    pub id: Option<String>,
    /// The node that it feeds into.
    #[schemars(required, length(min = 1, max = 36), example = &"grid")]
    pub node: Option<String>,
    /// Its own meter, where it has one.
    #[schemars(length(min = 1, max = 36), example = &"pv")]
    pub meter: Option<String>,
    /// Peak power, in kWp.
    #[schemars(required, range(min = 0, max = 20_000), example = 35)]
    pub peak_kw: Option<f64>,
    /// Left out: a generator is no load.
    pub worst_case_load_a: Option<AmpsPerPhase>,
}

/// A stationary battery. Its charging is load like any other.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Battery {
    /// Short name.
    #[schemars(required, length(min = 1, max = 36), example = &"battery")]
    pub id: Option<String>,
    /// The node that feeds it.
    #[schemars(required, length(min = 1, max = 36), example = &"grid")]
    pub node: Option<String>,
    /// Its own meter, where it has one; charging positive.
    #[schemars(length(min = 1, max = 36), example = &"battery")]
    pub meter: Option<String>,
    /// The most it gives, in kW.
    #[schemars(range(min = 0, max = 20_000), example = 10)]
    pub peak_kw: Option<f64>,
    /// What it draws at most on each phase while it charges, in amperes: one number or three. Not
    /// needed below a node with a meter, which has it in its own figure.
    #[schemars(example = 16)]
    pub worst_case_load_a: Option<AmpsPerPhase>,
}

/// A building or any other load that Ampgate does not control.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Short name.
    #[schemars(required, length(min = 1, max = 36), example = &"building")]
    pub id: Option<String>,
    /// The node that feeds it.
    #[schemars(required, length(min = 1, max = 36), example = &"grid")]
    pub node: Option<String>,
    /// Its own meter, where it has one.
    #[schemars(length(min = 1, max = 36), example = &"building")]
    pub meter: Option<String>,
    /// The most it ever draws over all phases, in kW; for the page only.
    #[schemars(range(min = 0, max = 20_000), example = 15)]
    pub peak_kw: Option<f64>,
    /// What it draws at most on each phase, in amperes: one number or three. Not needed below a
    /// node with a meter, which has it in its own figure.
    #[schemars(example = 22)]
    pub worst_case_load_a: Option<AmpsPerPhase>,
}

fn connector() -> u32 {
    1
}

fn minimum_a() -> f64 {
    6.0
}
