//! Whether what is left when everything has failed fits: on every row that the diagram implies, the
//! safe shares of all EVSEs, together with the worst-case load, must stay within the limit.
//!
//! The rows are [`crate::model::constraint`]'s, so the check and the guard read the same diagram.
//! How worst-case load adds up is the guard's rule too: a metered node has its own figure for
//! everything below it; a node without meter carries its own, its equipment's and that of its
//! children.

use crate::ground::ids::NodeIndex;
use crate::ground::units::{Amps, PerPhase, Watts};
use crate::model::constraint::{Constraint, ConstraintKind};
use crate::model::diagram::Diagram;

use super::build::Built;
use super::report::Report;
use super::words::{amps, join, list, number};

/// Checks all rows.
pub fn check(built: &Built, report: &mut Report) {
    let diagram = &built.site.diagram;
    let assumed = assumed(diagram);
    for row in diagram.constraints() {
        check_row(built, &row, assumed[row.node].load, report);
    }
    for (index, node) in diagram.nodes.iter().enumerate() {
        let (own, below) = (node.worst_load, assumed[index].below);
        if node.meter.is_some() && own.zip(below, |own, below| own < below).0.contains(&true) {
            report.warning(
                &format!("node[{}].worst_case_load_a", built.node_at[index]),
                format!("{}, but {} is assumed below it", phases(own), phases(below)),
                "no less than the boards and loads below it, which it stands for when its meter is \
                 silent",
            );
        }
    }
}

#[derive(Clone, Copy)]
struct Assumed {
    /// What counts at the node.
    load: PerPhase<Amps>,
    /// What its equipment and the nodes below it add up to.
    below: PerPhase<Amps>,
}

fn assumed(diagram: &Diagram) -> Vec<Assumed> {
    let zero = Assumed { load: PerPhase::ZERO, below: PerPhase::ZERO };
    let mut assumed = vec![zero; diagram.nodes.len()];
    for item in &diagram.equipment {
        assumed[item.node].below += item.worst_load;
    }
    for (index, node) in diagram.nodes.iter().enumerate().rev() {
        let below = assumed[index].below;
        let metered = node.meter.is_some();
        let load = if metered { node.worst_load } else { node.worst_load + below };
        assumed[index].load = load;
        if let Some(parent) = node.parent {
            assumed[parent].below += load;
        }
    }
    assumed
}

/// A phase that a node does not have (0 A) is left to the check of the wiring.
fn check_row(built: &Built, row: &Constraint, load: PerPhase<Amps>, report: &mut Report) {
    let diagram = &built.site.diagram;
    let voltage = diagram.voltage;
    let margin = built.site.lease.margin;
    let (mut shares, mut sharing) = (0_i64, Vec::new());
    for index in &row.evses {
        let evse = &diagram.evses[*index];
        let share = row.load(evse.phases().carry(evse.safe), voltage);
        if share > 0 {
            sharing.push(evse.id.to_string());
            shares = shares.saturating_add(share);
        }
    }
    let (load, margin) = match row.kind {
        ConstraintKind::Current(phase, _) => (load[phase].as_milli(), margin.as_milli()),
        ConstraintKind::Power(_) => (load.power(voltage).as_milli(), 0),
        ConstraintKind::Imbalance(..) => (0, 0),
    };
    let sum = shares.saturating_add(load).saturating_add(margin);
    let no_such_phase = matches!(row.kind, ConstraintKind::Current(_, Amps::ZERO));
    if sum <= row.limit() || no_such_phase {
        return;
    }
    let (place, key) = place(diagram, row);
    let shown = |milli: i64| match row.kind {
        ConstraintKind::Power(_) => {
            format!("{} kW", number(Watts::milli(milli).as_f64() / 1000.0))
        }
        ConstraintKind::Current(..) | ConstraintKind::Imbalance(..) => amps(Amps::milli(milli)),
    };
    let mut parts = Vec::new();
    if shares > 0 {
        parts.push(format!("safe shares of {} ({})", list(&sharing), shown(shares)));
    }
    if load > 0 {
        parts.push(format!("a worst-case load ({})", shown(load)));
    }
    if margin > 0 {
        parts.push(format!("the margin ({})", shown(margin)));
    }
    let sum = match parts.len() {
        1 => String::new(),
        _ => format!(" that together make {}", shown(sum)),
    };
    let cure = match (shares > 0, load > 0) {
        (true, true) => "lower safe_a, where 0 is allowed, or worst_case_load_a",
        (true, false) => "lower safe_a, where 0 is allowed",
        (false, _) => "lower worst_case_load_a, if it is lower",
    };
    report.error_about(
        &format!("node[{}].{key}", built.node_at[row.node]),
        place,
        format!("{}{sum}", join(&parts, "and")),
        format!("at most {} ({cure})", shown(row.limit())),
    );
}

/// The row in an electrician's words, and the key that sets its limit.
fn place(diagram: &Diagram, row: &Constraint) -> (String, &'static str) {
    let node: NodeIndex = row.node;
    let name = &diagram.nodes[node].name;
    match row.kind {
        ConstraintKind::Current(phase, _) => (format!("breaker {name}, phase {phase}"), "rating_a"),
        ConstraintKind::Power(_) => (format!("total of {name}"), "power_limit_kw"),
        ConstraintKind::Imbalance(phase, _) => {
            (format!("imbalance limit of {name}, phase {phase}"), "imbalance_a")
        }
    }
}

/// `20 A`, or `20 A, 15 A, 15 A` where the phases differ.
fn phases(load: PerPhase<Amps>) -> String {
    let [first, second, third] = load.0;
    if first == second && second == third {
        return amps(first);
    }
    load.0.map(amps).join(", ")
}
