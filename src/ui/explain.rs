//! Why an EVSE gets what it gets: its limit, its cause, and every limit between it and the grid.
//!
//! One set of rows serves the page, the API and the command line, so they cannot disagree. Nothing
//! is decided here: all figures come from the view, totals over phases at the nominal voltage.

use serde::{Deserialize, Serialize};

use crate::controller::plan_view::CarPlanView;
use crate::controller::view::{EvseView, NodeView, SessionView, View};
use crate::ground::units::{Amps, Phase, Volts, Watts};
use crate::model::bound::Cause;

/// Everything about the limit of one EVSE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The EVSE with its limit, its reason in words and its cause as data.
    pub evse: EvseView,
    /// Its running session.
    pub session: Option<SessionView>,
    /// What the plan has for its car.
    #[serde(default)]
    pub plan: Option<CarPlanView>,
    /// The nodes that feed it, its own first, the root last.
    pub path: Vec<PathNode>,
}

/// One node on the way from an EVSE to the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathNode {
    /// Identifier in the configuration.
    pub id: String,
    /// What is written on the board.
    pub name: String,
    /// The meter whose silence makes the other load a worst-case figure.
    pub silent_meter: Option<String>,
    /// One row for each phase, L1 to L3.
    pub phases: Vec<PhaseRow>,
    /// The limit over all phases together, where there is one.
    pub total: Option<TotalRow>,
}

/// What one phase of a node carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseRow {
    /// Which.
    pub phase: Phase,
    /// What it may carry; none for a virtual node.
    pub rating_a: Option<Amps>,
    /// Load that is not ours, as the guard counts it.
    pub other_load_a: Amps,
    /// What the cars below draw.
    pub charging_a: Amps,
    /// What the cars below may draw.
    pub leased_a: Amps,
    /// Rating less other load less leases.
    pub headroom_a: Option<Amps>,
    /// Whether the EVSE in question loads this phase.
    pub loaded: bool,
    /// Whether this row is the cause of its limit.
    pub binds: bool,
}

/// What all phases of a node carry together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TotalRow {
    /// What they may carry.
    pub limit_w: Watts,
    /// Load that is not ours.
    pub other_load_w: Watts,
    /// What the cars below draw.
    pub charging_w: Watts,
    /// What the cars below may draw.
    pub leased_w: Watts,
    /// Limit less other load less leases.
    pub headroom_w: Watts,
    /// Whether this row is the cause of the limit.
    pub binds: bool,
}

/// The explanation for the EVSE with this name; none if there is no such EVSE.
pub fn explain(view: &View, evse: &str) -> Option<Explanation> {
    let evse = view.evses.iter().find(|candidate| candidate.id == evse)?;
    let binding = binding(&evse.cause);
    let path = path(view, &evse.node);
    let path = path.into_iter().map(|node| path_node(node, view.voltage_v, evse, binding));
    let (session, plan) = (session(view, evse), planned(view, evse));
    Some(Explanation { evse: evse.clone(), session, plan, path: path.collect() })
}

/// What the plan has for the car that stands at an EVSE; not for one that was there before.
pub fn planned(view: &View, evse: &EvseView) -> Option<CarPlanView> {
    let car = view.plan.as_ref()?.car(&evse.id)?;
    (car.session == evse.session).then(|| car.clone())
}

/// The running session of an EVSE.
pub fn session(view: &View, evse: &EvseView) -> Option<SessionView> {
    view.sessions.iter().find(|session| Some(session.id) == evse.session).cloned()
}

/// The rows of one node, for nobody in particular.
pub fn rows(node: &NodeView, voltage: Volts) -> (Vec<PhaseRow>, Option<TotalRow>) {
    let phases = Phase::ALL.map(|phase| PhaseRow {
        phase,
        rating_a: node.rating_a.map(|rating| rating[phase]),
        other_load_a: node.other_load_a[phase],
        charging_a: node.charging_a[phase],
        leased_a: node.leased_a[phase],
        headroom_a: node.headroom_a.map(|headroom| headroom[phase]),
        loaded: false,
        binds: false,
    });
    let total = node.power_limit_w.map(|limit| {
        let other = node.other_load_a.power(voltage);
        let leased = node.leased_a.power(voltage);
        TotalRow {
            limit_w: limit,
            other_load_w: other,
            charging_w: node.charging_a.power(voltage),
            leased_w: leased,
            headroom_w: limit - other - leased,
            binds: false,
        }
    });
    (phases.into(), total)
}

/// The node that a cause names and the phase; no phase for a limit over all phases.
fn binding(cause: &Cause) -> Option<(&str, Option<Phase>)> {
    match cause {
        Cause::Breaker { node, phase, .. }
        | Cause::MeterSilent { node, phase, .. }
        | Cause::WaitingTurn { node, phase, .. }
        | Cause::WaitingForOthers { node, phase } => Some((node, *phase)),
        Cause::Imbalance { node, phase } => Some((node, Some(*phase))),
        Cause::Rated
        | Cause::CarTakesLess { .. }
        | Cause::CarPaused
        | Cause::Rising
        | Cause::WaitingForSun { .. }
        | Cause::FollowsSun
        | Cause::WaitingForPrice { .. }
        | Cause::PeakOfImport
        | Cause::EnoughInTime
        | Cause::Policy { .. }
        | Cause::Idle
        | Cause::Partner { .. }
        | Cause::LinkLost { .. }
        | Cause::NeverConnected
        | Cause::NotControllable
        | Cause::Disobeys { .. } => None,
    }
}

/// The node and what feeds it, up to the root. Parents stand before children in a view, so a
/// search that only goes towards the front ends, whatever the view says.
fn path<'a>(view: &'a View, node: &str) -> Vec<&'a NodeView> {
    let mut found = Vec::new();
    let mut wanted = Some(node.to_owned());
    for node in view.nodes.iter().rev() {
        if wanted.as_ref() == Some(&node.id) {
            wanted = node.parent.clone();
            found.push(node);
        }
    }
    found
}

fn path_node(
    node: &NodeView,
    voltage: Volts,
    evse: &EvseView,
    binding: Option<(&str, Option<Phase>)>,
) -> PathNode {
    let (mut phases, mut total) = rows(node, voltage);
    let here = binding.filter(|(name, _)| *name == node.name).map(|(_, phase)| phase);
    for row in &mut phases {
        row.loaded = evse.wiring.contains(["L1", "L2", "L3"][row.phase.index()]);
        row.binds = here == Some(Some(row.phase));
    }
    if let Some(total) = &mut total {
        total.binds = here == Some(None);
    }
    PathNode {
        id: node.id.clone(),
        name: node.name.clone(),
        silent_meter: node.silent_meter.clone(),
        phases,
        total,
    }
}
