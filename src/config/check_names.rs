//! Names: well formed, each given once, and every reference leads to something.

use std::collections::BTreeMap;

use super::file::File;
use super::report::Report;
use super::tree::{find, known_nodes};
use super::words::{nearest, quoted};

/// Checks all names and references but `parent`, which [`super::tree`] follows.
pub fn check(file: &File, report: &mut Report) {
    let ids = |table: &str, ids: Vec<&Option<String>>| -> Vec<(String, String)> {
        let named = ids.into_iter().enumerate();
        named
            .filter_map(|(index, id)| Some((format!("{table}[{index}].id"), id.clone()?)))
            .collect()
    };
    let nodes = ids("node", file.node.iter().map(|node| &node.id).collect());
    let evses = ids("evse", file.evse.iter().map(|evse| &evse.id).collect());
    let meters = ids("meter", file.meter.iter().map(|meter| &meter.id).collect());
    let mut equipment = ids("pv", file.pv.iter().map(|item| &item.id).collect());
    equipment.extend(ids("battery", file.battery.iter().map(|item| &item.id).collect()));
    equipment.extend(ids("load", file.load.iter().map(|item| &item.id).collect()));
    for names in [nodes, evses, meters, equipment] {
        check_ids(&names, report);
    }
    check_board_names(file, report);
    check_connectors(file, report);
    check_references(file, report);
}

fn check_ids(ids: &[(String, String)], report: &mut Report) {
    let mut known: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for (path, id) in ids {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.*+".contains(letter);
        if let Some(odd) = id.chars().find(|letter| !fits(*letter)) {
            let found = format!("{} with {}", quoted(id), quoted(&odd.to_string()));
            report.error(path, found, "letters, digits and - _ . * + only (name may be anything)");
        }
        match known.get(&id.to_lowercase()) {
            Some((first, same)) if same == id => {
                let line = report.line_of(first);
                let found = format!("{}, which line {line} has already", quoted(id));
                report.error(path, found, "a name of its own");
            }
            Some((first, other)) => {
                let line = report.line_of(first);
                let found = format!(
                    "{}, which differs from {} in line {line} only by capitals",
                    quoted(id),
                    quoted(other)
                );
                report.warning(path, found, "names that people cannot mix up");
            }
            None => {
                known.insert(id.to_lowercase(), (path, id));
            }
        }
    }
}

/// Reasons name boards by what is written on them: two alike send people to the wrong one.
fn check_board_names(file: &File, report: &mut Report) {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, node) in file.node.iter().enumerate() {
        let Some(name) = node.name.as_deref() else { continue };
        if let Some(first) = known.insert(name, index) {
            let line = report.line_of(&format!("node[{first}].name"));
            let found = format!("{}, which line {line} has already", quoted(name));
            let expected = "a name that tells this board from the other";
            report.warning(&format!("node[{index}].name"), found, expected);
        }
    }
}

fn check_connectors(file: &File, report: &mut Report) {
    let mut known: BTreeMap<(String, u32), usize> = BTreeMap::new();
    let mut spellings: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for (index, evse) in file.evse.iter().enumerate() {
        let Some(identity) = &evse.charge_point else { continue };
        let path = format!("evse[{index}].charge_point");
        let odd = |letter: char| !letter.is_ascii_graphic() || "/?#%\"\\".contains(letter);
        if let Some(odd) = identity.chars().find(|letter| odd(*letter)) {
            let found = format!("{} with {}", quoted(identity), quoted(&odd.to_string()));
            report.error(&path, found, "the identity that is set in the charger, as one word");
        }
        if let Some(first) = known.insert((identity.clone(), evse.connector), index) {
            let line = report.line_of(&format!("evse[{first}]"));
            let name = file.evse[first].id.clone().unwrap_or_default();
            report.error(
                &path,
                format!(
                    "connector {} of {}, which is {} in line {line} already",
                    evse.connector,
                    quoted(identity),
                    quoted(&name)
                ),
                "each connector of a charger once (connector = 2 for its second)",
            );
        }
        let spelled =
            spellings.entry(identity.to_lowercase()).or_insert_with(|| (identity.clone(), index));
        if spelled.0 != *identity {
            let line = report.line_of(&format!("evse[{}]", spelled.1));
            let found = format!("{}, but {} in line {line}", quoted(identity), quoted(&spelled.0));
            report.warning(&path, found, "one spelling: capitals make it another charger");
        }
    }
}

fn check_references(file: &File, report: &mut Report) {
    let mut nodes: Vec<(String, &Option<String>)> = Vec::new();
    let mut meters: Vec<(String, &Option<String>)> = Vec::new();
    for (index, node) in file.node.iter().enumerate() {
        meters.push((format!("node[{index}]"), &node.meter));
    }
    for (index, evse) in file.evse.iter().enumerate() {
        nodes.push((format!("evse[{index}].node"), &evse.node));
    }
    for (index, item) in file.pv.iter().enumerate() {
        nodes.push((format!("pv[{index}].node"), &item.node));
        meters.push((format!("pv[{index}]"), &item.meter));
    }
    for (index, item) in file.battery.iter().enumerate() {
        nodes.push((format!("battery[{index}].node"), &item.node));
        meters.push((format!("battery[{index}]"), &item.meter));
    }
    for (index, item) in file.load.iter().enumerate() {
        nodes.push((format!("load[{index}].node"), &item.node));
        meters.push((format!("load[{index}]"), &item.meter));
    }
    for (path, name) in nodes {
        if let Some(name) = name.as_deref().filter(|name| find(file, name).is_none()) {
            report.error(&path, quoted(name), known_nodes(file, name));
        }
    }
    let known = || file.meter.iter().filter_map(|meter| meter.id.as_deref());
    let mut users: BTreeMap<&str, String> = BTreeMap::new();
    for (table, name) in meters {
        let Some(name) = name.as_deref() else { continue };
        let path = format!("{table}.meter");
        if !known().any(|known| known == name) {
            let meant =
                nearest(name, known()).map(|meant| format!(" (did you mean {}?)", quoted(meant)));
            let expected = format!("the id of a [[meter]]{}", meant.unwrap_or_default());
            report.error(&path, quoted(name), expected);
        }
        if let Some(first) = users.insert(name, table.clone()) {
            let found =
                format!("{}, which is also the meter of {}", quoted(name), report.place(&first));
            report.warning(&path, found, "a meter of its own: one meter stands in one place");
        }
    }
    for (index, meter) in file.meter.iter().enumerate() {
        if let Some(id) = meter.id.as_deref().filter(|id| !users.contains_key(id)) {
            let found = format!("a meter that nothing uses, {}", quoted(id));
            let expected =
                format!("meter = {} in the [[node]], [[pv]] … that it measures", quoted(id));
            report.warning(&format!("meter[{index}].id"), found, expected);
        }
    }
}
