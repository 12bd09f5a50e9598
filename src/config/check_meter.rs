//! Rules of meters: topics, pointers, units, and whether a meter tells what its node needs to know.

use std::collections::BTreeMap;

use crate::ground::ids::MeterId;
use crate::ground::units::{Amps, Phase, PhaseSet};
use crate::model::diagram::{Diagram, EquipmentKind};
use crate::model::meter::{Meter as Known, Quantity as Measured};

use super::build::Built;
use super::derive;
use super::file::File;
use super::file_meter::{Meter, Quantity, Value};
use super::pointer::{check_pointer, check_topic};
use super::report::Report;
use super::words::{join, quoted};

/// Checks all meters.
pub fn check(file: &File, built: &Built, report: &mut Report) {
    if let (Some(_), None) = (file.meter.first(), &file.mqtt) {
        let expected = "it, with host: meters are read from an MQTT broker";
        report.error("", "no [mqtt]", expected);
    }
    for (index, meter) in file.meter.iter().enumerate() {
        check_meter(&format!("meter[{index}]"), meter, report);
    }
    let diagram = &built.site.diagram;
    let sound: Vec<&Known> = built
        .site
        .meters
        .iter()
        .filter(|known| {
            let same = |meter: &Meter| meter.id.as_deref() == Some(known.id.as_str());
            let place = file.meter.iter().position(same);
            place.is_some_and(|place| !report.is_wrong_below(&format!("meter[{place}]")))
        })
        .collect();
    let known =
        |id: &Option<MeterId>| sound.iter().copied().find(|meter| Some(&meter.id) == id.as_ref());
    for (index, place) in built.node_at.iter().enumerate() {
        if let Some(meter) = known(&diagram.nodes[index].meter) {
            check_coverage(diagram, index, meter, &format!("node[{place}].meter"), report);
        }
    }
    for item in &diagram.equipment {
        let (table, place) = match item.kind {
            EquipmentKind::Pv => continue,
            EquipmentKind::Battery => {
                ("battery", file.battery.iter().position(|one| one.id.as_ref() == Some(&item.id)))
            }
            EquipmentKind::Load => {
                ("load", file.load.iter().position(|one| one.id.as_ref() == Some(&item.id)))
            }
        };
        let unmetered = diagram.nodes[item.node].meter.is_none();
        if let (Some(meter), Some(place), true) = (known(&item.meter), place, unmetered) {
            check_coverage(diagram, item.node, meter, &format!("{table}[{place}].meter"), report);
        }
    }
}

fn check_meter(path: &str, meter: &Meter, report: &mut Report) {
    if let Some(topic) = &meter.topic {
        check_topic(&format!("{path}.topic"), topic, report);
    }
    if meter.map.is_some() {
        if !meter.value.is_empty() {
            let expected = "one of the two: the map names the values already";
            report.error(&format!("{path}.map"), "a map beside [[meter.value]]", expected);
        }
        match &meter.topic {
            None => report.error(
                &format!("{path}.topic"),
                "no topic",
                "the beginning of its topics, as the manual of the map says",
            ),
            Some(topic) if topic.ends_with('/') => {
                report.error(&format!("{path}.topic"), quoted(topic), "it without the last /");
            }
            Some(_) => {}
        }
        return;
    }
    if meter.value.is_empty() && !report.is_wrong(&format!("{path}.map")) {
        let expected = "map = \"…\" or at least one [[meter.value]]";
        report.error(path, "a meter without values", expected);
    }
    let mut known: BTreeMap<(String, Option<Phase>), usize> = BTreeMap::new();
    for (index, value) in meter.value.iter().enumerate() {
        let here = format!("{path}.value[{index}]");
        check_value(&here, meter, value, report);
        let Some(quantity) = value.quantity.filter(|_| !report.is_wrong(&format!("{here}.phase")))
        else {
            continue;
        };
        let phase = value.phase.map(derive::phase);
        if let Some(first) = known.insert((format!("{quantity:?}"), phase), index) {
            let line = report.line_of(&format!("{path}.value[{first}]"));
            let what = format!("{quantity:?}").to_lowercase();
            let found = match phase {
                Some(phase) => format!("a second {what} of {phase}, line {line} has one"),
                None => format!("a second total {what}, line {line} has one"),
            };
            report.error(&here, found, "each quantity of each phase once");
        }
    }
}

fn check_value(path: &str, meter: &Meter, value: &Value, report: &mut Report) {
    match (&value.topic, &meter.topic) {
        (Some(topic), _) => check_topic(&format!("{path}.topic"), topic, report),
        (None, Some(_)) => {}
        (None, None) => {
            report.error(&format!("{path}.topic"), "no topic", "topic here or in its [[meter]]");
        }
    }
    if let Some(pointer) = &value.pointer {
        check_pointer(&format!("{path}.pointer"), pointer, report);
    }
    if let (Some(quantity), Some(unit)) = (value.quantity, value.unit)
        && derive::unit_factor(quantity, unit).is_none()
    {
        let (units, what) = match quantity {
            Quantity::Current => ("\"A\" or \"mA\"", "a current"),
            Quantity::Power => ("\"W\" or \"kW\"", "a power"),
            Quantity::Voltage => ("\"V\" or \"mV\"", "a voltage"),
        };
        let unit = serde_json::to_string(&unit).unwrap_or_default();
        report.error(&format!("{path}.unit"), unit, format!("{units}, the units of {what}"));
    }
    if value.quantity == Some(Quantity::Current) && value.phase.is_none() {
        let expected = "phase = \"L1\", \"L2\" or \"L3\": a current is that of one phase";
        report.error(&format!("{path}.phase"), "no phase", expected);
    }
    if value.scale == 0.0 {
        report.error(&format!("{path}.scale"), "0", "the number that makes the reading right");
    }
}

/// Whether the meter tells the load of every phase that its node has.
fn check_coverage(diagram: &Diagram, index: usize, meter: &Known, path: &str, report: &mut Report) {
    let node = &diagram.nodes[index];
    let measures = |phase: Option<Phase>| {
        let load = |value: &Measured| *value != Measured::Voltage;
        meter.values.iter().any(|value| load(&value.quantity) && value.phase == phase)
    };
    let exists = |phase: &Phase| node.rating.is_none_or(|rating| Amps::ZERO < rating[*phase]);
    let phases: Vec<Phase> = Phase::ALL.into_iter().filter(exists).collect();
    let missing: Vec<String> = phases
        .iter()
        .filter(|phase| !measures(Some(**phase)))
        .map(|phase| phase.to_string())
        .collect();
    if missing.is_empty() {
        return;
    }
    if !measures(None) {
        let found = if missing.len() == phases.len() {
            format!("{}, which measures neither current nor power", quoted(meter.id.as_str()))
        } else {
            format!("{} without {}", quoted(meter.id.as_str()), join(&missing, "and"))
        };
        let expected = "the current or power of every phase: one that is not measured would look \
                        like no load";
        report.error(path, found, expected);
        return;
    }
    let below = diagram.evses_under(index).into_iter().map(|evse| &diagram.evses[evse]);
    let single: Vec<&str> =
        below.filter(|evse| evse.phases() != PhaseSet::ALL).map(|evse| evse.id.as_str()).collect();
    if let Some(first) = single.first() {
        let found = format!("{}, which tells only the total", quoted(meter.id.as_str()));
        let who = match single.len() - 1 {
            0 => format!("{first} does"),
            others => format!("{first} and {others} more do"),
        };
        let expected = format!(
            "a meter that tells each phase: {who} not charge on all three, and a total hides \
             which of them is full"
        );
        report.warning(path, found, expected);
    }
}
