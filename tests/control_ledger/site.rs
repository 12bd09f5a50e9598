//! Random sites: trees of one to four levels with chargers of all wirings.

use ampgate::ground::ids::{ChargePointId, EvseId, NodeId};
use ampgate::ground::time::Duration;
use ampgate::ground::units::{Amps, PerPhase, Phase, Volts, Watts};
use ampgate::model::diagram::{Diagram, Evse, Node};
use ampgate::model::site::LeasePolicy;
use proptest::prelude::*;

use super::naive;

/// The wirings that are met in the field: rotated three-phase, single-phase, split.
const WIRINGS: [&[Phase]; 7] = [
    &[Phase::L1, Phase::L2, Phase::L3],
    &[Phase::L2, Phase::L3, Phase::L1],
    &[Phase::L3, Phase::L1, Phase::L2],
    &[Phase::L1],
    &[Phase::L2],
    &[Phase::L3],
    &[Phase::L1, Phase::L3],
];

/// A site with the traits of its chargers and cars.
#[derive(Clone, Debug)]
pub struct Yard {
    pub diagram: Diagram,
    pub policy: LeasePolicy,
    pub traits: Vec<Traits>,
}

/// What a charger and its cars are like.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// It falls to its safe share when a lease runs out, this late.
    pub falls_late: Option<Duration>,
    /// It knows no limits for a transaction: they stay for whoever charges next.
    pub keeps_limits: bool,
}

fn node(index: usize, seed: (usize, Option<i64>, i64, u8)) -> Node {
    let (parent, rating, load, extra) = seed;
    let rating = rating.map(|amps| PerPhase([amps, amps, amps - 2].map(Amps::new)));
    Node {
        id: NodeId::new(&format!("n{index}")),
        name: format!("N{index}"),
        parent: (index > 0).then(|| parent % index),
        power_limit: (extra == 1).then(|| Watts::new(31_000)),
        imbalance: (extra == 2).then(|| Amps::new(20)),
        meter: None,
        worst_load: PerPhase::all(Amps::new(if rating.is_some() { load } else { 0 })),
        rating,
        generation_counts: false,
    }
}

fn evse(index: usize, seed: (usize, usize, i64, i64), nodes: usize) -> Evse {
    let (place, wiring, rated, minimum) = seed;
    Evse {
        id: EvseId::new(&format!("E{index}")),
        node: place % nodes,
        charge_point: ChargePointId::new(&format!("C{index}")),
        connector: 1,
        wiring: WIRINGS[wiring].to_vec(),
        rated: Amps::new(rated),
        minimum: Amps::new(minimum),
        safe: Amps::ZERO,
    }
}

/// Gives each charger a safe share of its minimum as far as they fit beside the worst load.
fn share_safely(diagram: &mut Diagram) {
    for index in 0..diagram.evses.len() {
        diagram.evses[index].safe = diagram.evses[index].minimum;
        let loads: Vec<PerPhase<Amps>> = diagram.nodes.iter().map(|node| node.worst_load).collect();
        let draws: Vec<PerPhase<Amps>> =
            diagram.evses.iter().map(|evse| evse.phases().carry(evse.safe)).collect();
        if naive::excess(diagram, &loads, &draws, &naive::wired(diagram)) > 0 {
            diagram.evses[index].safe = Amps::ZERO;
        }
    }
}

/// Any site.
pub fn yard() -> impl Strategy<Value = Yard> {
    let rating = prop_oneof![1 => Just(None), 6 => (20_i64..70).prop_map(Some)];
    let nodes = prop::collection::vec((0_usize..4, rating, 0_i64..14, 0_u8..6), 1..5);
    let rated = prop_oneof![Just(16_i64), Just(20), Just(32)];
    let minimum = prop_oneof![3 => Just(6_i64), 1 => Just(8)];
    let evses = prop::collection::vec((0_usize..5, 0_usize..7, rated, minimum), 1..7);
    let late = prop_oneof![4 => (0_i64..10_000).prop_map(Some), 1 => Just(None)];
    let traits = prop::collection::vec((late, 0_u8..5), 7);
    (nodes, evses, traits, any::<bool>(), any::<bool>()).prop_map(
        |(nodes, evses, traits, trust, safe)| {
            let nodes: Vec<Node> =
                nodes.into_iter().enumerate().map(|(index, seed)| node(index, seed)).collect();
            let place = |(index, seed)| evse(index, seed, nodes.len());
            let evses: Vec<Evse> = evses.into_iter().enumerate().map(place).collect();
            let traits = traits.into_iter().map(|(late, keeps)| Traits {
                falls_late: late.map(Duration::millis),
                keeps_limits: keeps == 0,
            });
            let mut diagram =
                Diagram { nodes, evses, equipment: Vec::new(), voltage: Volts::new(230) };
            if safe {
                share_safely(&mut diagram);
            }
            let policy = LeasePolicy {
                trust_measured_phases: trust,
                turn: Duration::minutes(3),
                ..LeasePolicy::default()
            };
            Yard { diagram, policy, traits: traits.collect() }
        },
    )
}
