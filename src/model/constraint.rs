//! The constraints that the diagram implies, each with a name that people recognise.
//!
//! Figure 12 of Guillemin et al. (Energies 2024, 17, 2873): every limit in the tree becomes a
//! linear row over the currents of the EVSEs below it. Guard and planner read the same rows.

use crate::ground::ids::{EvseIndex, NodeIndex};
use crate::ground::units::{Amps, PerPhase, Phase, Volts, Watts};

use super::diagram::Diagram;

/// What a row bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    /// Current on one phase of the node.
    Current(Phase, Amps),
    /// Power over all phases of the node.
    Power(Watts),
    /// Current of chargers that do not load all three phases alike, on one phase.
    Imbalance(Phase, Amps),
}

/// One limit of the site: `sum over evses of what they may draw + other load <= limit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// For people, e.g. `IBST 63A, L2`.
    pub name: String,
    /// Where it stands.
    pub node: NodeIndex,
    /// What it bounds and by how much.
    pub kind: ConstraintKind,
    /// The EVSEs that load it, in order.
    pub evses: Vec<EvseIndex>,
}

impl Diagram {
    /// All rows that the diagram implies, from the roots downwards. Rows that no EVSE loads are
    /// left out: nothing that Ampgate controls can break or keep them.
    pub fn constraints(&self) -> Vec<Constraint> {
        let mut rows = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let below = self.evses_under(index);
            let mut add = |name: String, kind: ConstraintKind, evses: Vec<EvseIndex>| {
                if !evses.is_empty() {
                    rows.push(Constraint { name, node: index, kind, evses });
                }
            };
            let on_phase = |phase: Phase| -> Vec<EvseIndex> {
                let loads = |evse: &&EvseIndex| self.evses[**evse].phases().has(phase);
                below.iter().filter(loads).copied().collect()
            };
            for phase in Phase::ALL {
                if let Some(rating) = node.rating {
                    let kind = ConstraintKind::Current(phase, rating[phase]);
                    add(format!("{}, {phase}", node.name), kind, on_phase(phase));
                }
                if let Some(most) = node.imbalance {
                    let kind = ConstraintKind::Imbalance(phase, most);
                    add(format!("{} imbalance, {phase}", node.name), kind, on_phase(phase));
                }
            }
            if let Some(most) = node.power_limit {
                add(format!("{} total", node.name), ConstraintKind::Power(most), below.clone());
            }
        }
        rows
    }
}

impl Constraint {
    /// The bound in milli-units of the row: mA for currents, mW for power.
    pub fn limit(&self) -> i64 {
        match self.kind {
            ConstraintKind::Current(_, most) | ConstraintKind::Imbalance(_, most) => {
                most.as_milli()
            }
            ConstraintKind::Power(most) => most.as_milli(),
        }
    }

    /// How much one EVSE's current (by grid phase) loads this row, in the row's milli-units.
    ///
    /// For an imbalance row only what one phase carries above the least loaded phase counts.
    pub fn load(&self, current: PerPhase<Amps>, voltage: Volts) -> i64 {
        match self.kind {
            ConstraintKind::Current(phase, _) => current[phase].as_milli(),
            ConstraintKind::Power(_) => current.power(voltage).as_milli(),
            ConstraintKind::Imbalance(phase, _) => {
                let least = current.0.into_iter().min().unwrap_or(Amps::ZERO);
                (current[phase] - least).as_milli()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::ids::{ChargePointId, EvseId, NodeId};
    use crate::model::diagram::{Evse, Node};

    fn node(name: &str, parent: Option<NodeIndex>, amps: i64) -> Node {
        Node {
            id: NodeId::new(name),
            name: name.to_owned(),
            parent,
            rating: Some(PerPhase::all(Amps::new(amps))),
            power_limit: None,
            imbalance: None,
            meter: None,
            worst_load: PerPhase::ZERO,
            generation_counts: false,
        }
    }

    fn evse(name: &str, node: NodeIndex, wiring: &[Phase]) -> Evse {
        Evse {
            id: EvseId::new(name),
            node,
            charge_point: ChargePointId::new(name),
            connector: 1,
            wiring: wiring.to_vec(),
            rated: Amps::new(32),
            minimum: Amps::new(6),
            safe: Amps::new(6),
        }
    }

    #[test]
    fn rows_are_named_after_the_board_and_only_where_something_hangs() {
        let diagram = Diagram {
            nodes: vec![node("Grid 63A", None, 63), node("B2", Some(0), 32)],
            evses: vec![evse("E1", 1, &[Phase::L2]), evse("E2", 0, &Phase::ALL)],
            equipment: Vec::new(),
            voltage: Volts::new(230),
        };
        let rows: Vec<(String, Vec<usize>)> =
            diagram.constraints().into_iter().map(|row| (row.name, row.evses)).collect();
        let expected = [
            ("Grid 63A, L1", vec![1]),
            ("Grid 63A, L2", vec![0, 1]),
            ("Grid 63A, L3", vec![1]),
            ("B2, L2", vec![0]),
        ];
        let expected: Vec<(String, Vec<usize>)> =
            expected.into_iter().map(|(name, evses)| (name.to_owned(), evses)).collect();
        assert_eq!(rows, expected);
    }
}
