//! What truly flows: currents on every node and phase from chargers, PV and loads, in floats.
//!
//! This is arithmetic of its own on purpose. It shares the diagram with the controller but neither
//! its sums nor its constraint rows, so that an error in those shows here, not in both.

use crate::ground::ids::NodeIndex;
use crate::ground::units::PerPhase;
use crate::model::diagram::Diagram;

/// The tree, reduced to what its currents depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Electric {
    parents: Vec<Option<NodeIndex>>,
    evse_nodes: Vec<NodeIndex>,
    /// Grid phase (0 to 2) behind each of the charger's own phases.
    wirings: Vec<Vec<usize>>,
    equipment_nodes: Vec<NodeIndex>,
    /// Between a phase and neutral, in V.
    pub voltage: f64,
}

/// Limits are told in steps of 0.1 A; what is below this is no overload.
pub const TOLERANCE_A: f64 = 0.1;

/// What the nodes of a diagram may carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratings {
    /// By node: on each phase in A, and over all phases in A.
    limits: Vec<(Option<[f64; 3]>, Option<f64>)>,
}

impl Ratings {
    /// Of this diagram.
    pub fn new(diagram: &Diagram) -> Self {
        let voltage = diagram.voltage.as_f64();
        let limits = diagram.nodes.iter().map(|node| {
            let phases = node.rating.map(|rating| rating.0.map(|most| most.as_f64()));
            (phases, node.power_limit.map(|most| most.as_f64() / voltage))
        });
        Self { limits: limits.collect() }
    }

    /// Whether any node carries more than it may, by more than the tolerance.
    pub fn are_over(&self, currents: &[PerPhase<f64>]) -> bool {
        self.limits.iter().zip(currents).any(|((phases, total), current)| {
            let over = |most: [f64; 3]| {
                most.iter().zip(current.0).any(|(most, load)| most + TOLERANCE_A < load)
            };
            let sum: f64 = current.0.iter().sum();
            phases.is_some_and(over) || total.is_some_and(|most| most + 3.0 * TOLERANCE_A < sum)
        })
    }

    /// What is left on a phase of a node beside this load, and over all its phases, in A.
    pub fn room(&self, node: NodeIndex, phase: usize, load: PerPhase<f64>) -> (f64, f64) {
        let (phases, total) = self.limits[node];
        let left = phases.map_or(f64::INFINITY, |most| most[phase] - load.0[phase]);
        (left, total.map_or(f64::INFINITY, |most| most - load.0.iter().sum::<f64>()))
    }
}

/// Currents on every node, in A, import positive.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Flow {
    /// Everything.
    pub all: Vec<PerPhase<f64>>,
    /// The part that is not charging.
    pub other: Vec<PerPhase<f64>>,
}

impl Electric {
    /// Of this diagram.
    pub fn new(diagram: &Diagram) -> Self {
        Self {
            parents: diagram.nodes.iter().map(|node| node.parent).collect(),
            evse_nodes: diagram.evses.iter().map(|evse| evse.node).collect(),
            wirings: diagram
                .evses
                .iter()
                .map(|evse| evse.wiring.iter().map(|phase| phase.index()).collect())
                .collect(),
            equipment_nodes: diagram.equipment.iter().map(|item| item.node).collect(),
            voltage: diagram.voltage.as_f64(),
        }
    }

    /// How many phases an EVSE is wired to.
    pub fn phases(&self, evse: usize) -> usize {
        self.wirings[evse].len()
    }

    /// `draw` A on the first `phases` of the charger's own phases, as currents of the grid.
    pub fn grid_current(&self, evse: usize, draw: f64, phases: usize) -> PerPhase<f64> {
        let mut current = [0.0; 3];
        for grid in self.wirings[evse].iter().take(phases) {
            current[*grid] += draw;
        }
        PerPhase(current)
    }

    /// Fills in the currents of all nodes. Equipment, in W, loads its three phases alike.
    pub fn flow(&self, evses: &[PerPhase<f64>], equipment: &[f64], flow: &mut Flow) {
        flow.all.clear();
        flow.all.resize(self.parents.len(), PerPhase::default());
        for (node, watts) in self.equipment_nodes.iter().zip(equipment) {
            let each = watts / 3.0 / self.voltage;
            flow.all[*node].0.iter_mut().for_each(|phase| *phase += each);
        }
        flow.other.clone_from(&flow.all);
        for (node, current) in self.evse_nodes.iter().zip(evses) {
            add(&mut flow.all[*node], *current);
        }
        for index in (0..self.parents.len()).rev() {
            if let Some(parent) = self.parents[index] {
                let (all, other) = (flow.all[index], flow.other[index]);
                add(&mut flow.all[parent], all);
                add(&mut flow.other[parent], other);
            }
        }
    }
}

fn add(to: &mut PerPhase<f64>, more: PerPhase<f64>) {
    for (sum, value) in to.0.iter_mut().zip(more.0) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::yard;
    use super::*;

    #[test]
    fn currents_add_up_from_the_leaves_to_the_root() {
        let site = yard();
        let electric = Electric::new(&site.diagram);
        let mut flow = Flow::default();
        let evses: Vec<PerPhase<f64>> = (0..site.diagram.evses.len())
            .map(|evse| electric.grid_current(evse, 10.0, 1))
            .collect();
        electric.flow(&evses, &[-6900.0, 2300.0 * 3.0], &mut flow);
        // Three single-phase cars: E1 on L1 and E2 on L2 below the board, E3's L1 is wired to L3.
        assert_eq!(flow.all[1], PerPhase([10.0, 10.0, 0.0]));
        assert_eq!(flow.other[0], PerPhase([0.0; 3]));
        assert_eq!(flow.all[0], PerPhase([10.0, 10.0, 10.0]));
    }

    #[test]
    fn a_three_phase_car_loads_every_wired_phase() {
        let electric = Electric::new(&yard().diagram);
        assert_eq!(electric.grid_current(2, 7.0, 3), PerPhase([7.0; 3]));
        assert_eq!(electric.grid_current(0, 7.0, 3), PerPhase([7.0, 0.0, 0.0]));
    }
}
