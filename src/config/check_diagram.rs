//! Rules of nodes, EVSEs and equipment that need no sums.

use crate::ground::units::{Amps, PerPhase};

use super::build::voltage;
use super::derive;
use super::file::File;
use super::file_diagram::{AmpsPerPhase, Evse, Node};
use super::report::Report;
use super::tree::{Tree, find};
use super::words::{amps, number, quoted};

/// Checks the diagram entry by entry.
pub fn check(file: &File, tree: &Tree, report: &mut Report) {
    if file.node.is_empty() && !report.is_wrong("node") {
        report.error("", "no [[node]]", "at least the grid connection");
    }
    if file.evse.is_empty() && !report.is_wrong("evse") {
        report.warning("", "no [[evse]]", "at least one charging point");
    }
    for (index, node) in file.node.iter().enumerate() {
        check_node(file, tree, index, node, report);
    }
    for (index, evse) in file.evse.iter().enumerate() {
        check_currents(index, evse, report);
        check_wiring(file, tree, index, evse, report);
    }
    check_equipment(file, report);
}

fn check_node(file: &File, tree: &Tree, index: usize, node: &Node, report: &mut Report) {
    let path = |key: &str| format!("node[{index}].{key}");
    if node.r#virtual {
        let rated =
            [("rating_a", node.rating_a.is_some()), ("rating_kva", node.rating_kva.is_some())];
        let imbalance = ("imbalance_a", node.imbalance_a.is_some());
        for (key, _) in rated.into_iter().chain([imbalance]).filter(|(_, is_set)| *is_set) {
            let expected = "power_limit_kw alone: a virtual node is no breaker";
            report.error(&path(key), format!("{key} on a virtual node"), expected);
        }
        if node.power_limit_kw.is_none() {
            let expected = "power_limit_kw, or it limits nothing";
            report.warning(&path("virtual"), "a virtual node without a limit", expected);
        }
    } else if report.is_wrong(&path("rating_kva")) {
        // Said already; a rating may well be meant.
    } else if node.rating_a.is_none() && node.rating_kva.is_none() {
        report.error(
            &path("rating_a"),
            "no rating",
            "rating_a (what is written on the breaker) or rating_kva",
        );
    } else if derive::rating(node, voltage(file)).is_some_and(|rating| rating == PerPhase::ZERO) {
        report.error(&path("rating_a"), "0 A on every phase", "a phase that may carry current");
    }
    match &node.meter {
        Some(meter) if node.worst_case_load_a.is_none() => report.error(
            &path("worst_case_load_a"),
            "nothing",
            format!(
                "the load on each phase to assume while meter {} is silent, e.g. \
                 worst_case_load_a = 20 (0 if there is none): silence must not look like no load",
                quoted(meter)
            ),
        ),
        None if node.generation_counts && !measures_generation(file, tree, index) => {
            let expected = "a meter here, or at the PV below: only measured generation makes room";
            report.warning(&path("generation_counts"), "no meter that tells it", expected);
        }
        _ => {}
    }
    let feeds = |load_node: &Option<String>| load_node == &node.id;
    let assumed = node.worst_case_load_a.is_some()
        || file.load.iter().any(|load| feeds(&load.node))
        || (0..tree.parents.len()).any(|child| tree.parents[child] == Some(index));
    if node.parent.is_none() && node.meter.is_none() && !node.r#virtual && !assumed {
        let expected = "meter, or worst_case_load_a (0 if the connection feeds chargers alone)";
        report.warning(
            &format!("node[{index}]"),
            "a connection without meter and without other load",
            expected,
        );
    }
}

/// Whether a PV generator or battery below this node has a meter of its own.
fn measures_generation(file: &File, tree: &Tree, above: usize) -> bool {
    let pv = file.pv.iter().map(|pv| (&pv.node, &pv.meter));
    let battery = file.battery.iter().map(|item| (&item.node, &item.meter));
    pv.chain(battery).filter(|(_, meter)| meter.is_some()).any(|(node, _)| {
        let node = node.as_deref().and_then(|id| find(file, id));
        let mut upwards = std::iter::successors(node, |index| tree.parents[*index]);
        upwards.any(|index| index == above)
    })
}

fn check_currents(index: usize, evse: &Evse, report: &mut Report) {
    let path = |key: &str| format!("evse[{index}].{key}");
    let shown = |value: f64| format!("{} A", number(value));
    if let Some(rated) = evse.rated_a.filter(|rated| *rated < evse.min_a) {
        let expected = format!("no more than rated_a, {}", shown(rated));
        report.error(&path("min_a"), shown(evse.min_a), expected);
    }
    let Some(safe) = evse.safe_a else { return };
    if 0.0 < safe && safe < evse.min_a {
        let expected =
            format!("0 or at least {} (min_a): no car charges with less", shown(evse.min_a));
        report.error(&path("safe_a"), shown(safe), expected);
    }
    if let Some(rated) = evse.rated_a.filter(|rated| *rated < safe) {
        let expected = format!("no more than rated_a, {}", shown(rated));
        report.error(&path("safe_a"), shown(safe), expected);
    }
}

fn check_wiring(file: &File, tree: &Tree, index: usize, evse: &Evse, report: &mut Report) {
    let path = |key: &str| format!("evse[{index}].{key}");
    let wiring = evse.phases.as_deref().map(|text| (text, derive::wiring(text)));
    if let Some((text, None)) = &wiring {
        let expected = "one to three different phases in the charger's order: \"L2\", \"L1L2L3\", \
                        \"L3L1L2\" … (or R, S, T as in OCPP)";
        report.error(&path("phases"), quoted(text), expected);
    }
    let Some(node) = evse.node.as_deref().and_then(|id| find(file, id)) else { return };
    let voltage = voltage(file);
    let above = std::iter::successors(Some(node), |index| tree.parents[*index]);
    let breakers: Vec<(&Node, PerPhase<Amps>)> = above
        .filter(|index| !file.node[*index].r#virtual)
        .filter_map(|index| Some((&file.node[index], derive::rating(&file.node[index], voltage)?)))
        .collect();
    if file.node[node].r#virtual {
        let found = format!("{}, a virtual node", quoted(evse.node.as_deref().unwrap_or_default()));
        report.error(&path("node"), found, "the breaker or connection that feeds it");
    }
    let Some((_, Some(wiring))) = wiring else { return };
    let rated = evse.rated_a.map(Amps::from_f64);
    let mut too_small = None;
    for (node, rating) in breakers {
        let name = node.name.as_ref().or(node.id.as_ref()).map_or("", String::as_str);
        for phase in wiring.iter().copied() {
            if rating[phase] <= Amps::ZERO {
                let found = format!("phase {phase}, which {name} does not have (0 A)");
                report.error(&path("phases"), found, "phases that its breakers have");
            } else if rated.is_some_and(|rated| rating[phase] < rated) {
                too_small.get_or_insert((name.to_owned(), rating[phase]));
            }
        }
    }
    if let (Some((name, rating)), Some(rated)) = (too_small, rated) {
        report.warning(
            &path("rated_a"),
            format!("{}, more than breaker {name} carries ({})", amps(rated), amps(rating)),
            "a charger that is set to no more than its breaker: a charger that ignores its limit \
             trips it",
        );
    }
}

fn check_equipment(file: &File, report: &mut Report) {
    let zero = |load: AmpsPerPhase| load.per_phase() == PerPhase::ZERO;
    for (index, pv) in file.pv.iter().enumerate() {
        if pv.worst_case_load_a.is_some_and(|load| !zero(load)) {
            report.error(
                &format!("pv[{index}].worst_case_load_a"),
                "a load for a PV generator",
                "none: it generates (a [[load]] for what it draws at night)",
            );
        }
    }
    let unmetered = |node: &Option<String>| {
        let node = node.as_deref().and_then(|id| find(file, id));
        node.is_some_and(|node| file.node[node].meter.is_none())
    };
    let battery = file.battery.iter().enumerate().map(|(index, item)| {
        (format!("battery[{index}]"), &item.node, &item.meter, item.worst_case_load_a)
    });
    let load = file.load.iter().enumerate().map(|(index, item)| {
        (format!("load[{index}]"), &item.node, &item.meter, item.worst_case_load_a)
    });
    for (table, node, meter, load) in battery.chain(load) {
        if load.is_none() && unmetered(node) {
            let when = match meter {
                Some(meter) => format!("to assume while meter {} is silent", quoted(meter)),
                None => "that it draws at most".to_owned(),
            };
            report.error(
                &format!("{table}.worst_case_load_a"),
                "nothing",
                format!("the load on each phase {when}, e.g. worst_case_load_a = 16"),
            );
        }
    }
}
