//! The electrical diagram as a tree: grid connection, breakers, sub-boards, EVSEs, PV, loads.
//!
//! Built and checked by `config`; whatever stands here is valid: parents come before children, each
//! EVSE hangs under a node, wirings name one to three different phases.

use crate::ground::ids::{ChargePointId, EvseId, EvseIndex, MeterId, NodeId, NodeIndex};
use crate::ground::units::{Amps, PerPhase, Phase, PhaseSet, Volts, Watts};

/// The whole tree. Several roots are allowed; a virtual node may stand above several sites.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagram {
    /// Grid connection, breakers and boards; a parent always stands before its children.
    pub nodes: Vec<Node>,
    /// The charging points.
    pub evses: Vec<Evse>,
    /// PV, batteries and building loads.
    pub equipment: Vec<Equipment>,
    /// Nominal voltage between a phase and neutral.
    pub voltage: Volts,
}

/// A place where current is limited or measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Identifier in the configuration.
    pub id: NodeId,
    /// What is written on the board, e.g. `IBST 63A`.
    pub name: String,
    /// The node that feeds this one; none for a root.
    pub parent: Option<NodeIndex>,
    /// The most that each phase may carry; none for a virtual node.
    pub rating: Option<PerPhase<Amps>>,
    /// The most that all phases together may carry (contractual groups, virtual nodes).
    pub power_limit: Option<Watts>,
    /// The most by which single-phase charging may load one phase above another.
    pub imbalance: Option<Amps>,
    /// The meter that sees everything that flows through this node.
    pub meter: Option<MeterId>,
    /// Load other than EVSEs that is assumed below this node when its meter is silent.
    pub worst_load: PerPhase<Amps>,
    /// Whether measured generation below this node makes room for charging. Where false, a net
    /// export counts as no load and never as room.
    pub generation_counts: bool,
}

/// A charging point with one connector in use at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Evse {
    /// The name painted on it.
    pub id: EvseId,
    /// The node that feeds it.
    pub node: NodeIndex,
    /// The OCPP charge point it belongs to.
    pub charge_point: ChargePointId,
    /// Its OCPP connector number, 1 or more.
    pub connector: u32,
    /// The grid phase behind each of the charger's own phases, its L1 first. One or three entries
    /// (two on split supplies); this is the phase rotation.
    pub wiring: Vec<Phase>,
    /// The most it can draw on a phase.
    pub rated: Amps,
    /// The least it can charge with (6 A by IEC 61851-1, more for some vehicles).
    pub minimum: Amps,
    /// Its safe share: what it falls back to alone when the box is gone.
    pub safe: Amps,
}

/// What a piece of equipment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EquipmentKind {
    /// Photovoltaic generation.
    Pv,
    /// A battery; its charging is load like any other.
    Battery,
    /// A building or any other load that Ampgate does not control.
    Load,
}

/// PV, battery or load that hangs under a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Equipment {
    /// Identifier in the configuration.
    pub id: String,
    /// The node that feeds it.
    pub node: NodeIndex,
    /// What it is.
    pub kind: EquipmentKind,
    /// Its own meter, where it has one.
    pub meter: Option<MeterId>,
    /// What it draws at most on each phase; used when it is not measured.
    pub worst_load: PerPhase<Amps>,
    /// Peak power of generation (kWp for PV).
    pub peak: Watts,
}

impl Evse {
    /// The grid phases it is connected to.
    pub fn phases(&self) -> PhaseSet {
        PhaseSet::of(&self.wiring)
    }

    /// Turns currents as the charger names its phases into currents of the grid's phases.
    pub fn to_grid(&self, own: PerPhase<Amps>) -> PerPhase<Amps> {
        let mut grid = PerPhase::ZERO;
        for (own_phase, grid_phase) in Phase::ALL.into_iter().zip(&self.wiring) {
            grid[*grid_phase] += own[own_phase];
        }
        grid
    }
}

impl Diagram {
    /// The node itself and everything that feeds it, up to its root.
    pub fn path(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        std::iter::successors(Some(node), |index| self.nodes[*index].parent)
    }

    /// Whether `node` is `above` or hangs below it.
    pub fn is_under(&self, node: NodeIndex, above: NodeIndex) -> bool {
        self.path(node).any(|index| index == above)
    }

    /// The EVSEs that are fed through `node`, in order.
    pub fn evses_under(&self, node: NodeIndex) -> Vec<EvseIndex> {
        let below = |index: &EvseIndex| self.is_under(self.evses[*index].node, node);
        (0..self.evses.len()).filter(below).collect()
    }

    /// Position of the EVSE with this name.
    pub fn evse(&self, id: &EvseId) -> Option<EvseIndex> {
        self.evses.iter().position(|evse| &evse.id == id)
    }

    /// Position of the EVSE behind this connector of a charge point.
    pub fn evse_at(&self, charge_point: &ChargePointId, connector: u32) -> Option<EvseIndex> {
        let here = |evse: &Evse| &evse.charge_point == charge_point && evse.connector == connector;
        self.evses.iter().position(here)
    }

    /// The charge points of the site, each once, in the order of their first EVSE.
    pub fn charge_points(&self) -> Vec<ChargePointId> {
        let mut found: Vec<ChargePointId> = Vec::new();
        for evse in &self.evses {
            if !found.contains(&evse.charge_point) {
                found.push(evse.charge_point.clone());
            }
        }
        found
    }
}
