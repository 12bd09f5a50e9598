//! The messages are the product: snapshots of what people read, and proof that no text panics.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::ground::units::{Amps, PerPhase, Phase};
use crate::model::meter::Quantity;

use super::*;

const OFFICE: &str = include_str!("../../config/office.toml");
const EXAMPLES: [(&str, &str); 5] = [
    ("office", OFFICE),
    ("office-tight", include_str!("../../config/office-tight.toml")),
    ("garage", include_str!("../../config/garage.toml")),
    ("depot", include_str!("../../config/depot.toml")),
    ("apartments", include_str!("../../config/apartments.toml")),
];

/// A site without faults that the tests below spoil in one place.
const SMALL: &str = r#"
[site]
name = "Yard"
time_zone = "Europe/Paris"

[listen]
ocpp = "127.0.0.1:9000"

[mqtt]
host = "127.0.0.1"

[access]
anyone = true

[[node]]
id = "grid"
name = "Grid 63A"
rating_a = 63
meter = "grid"
worst_case_load_a = 20

[[evse]]
id = "E1"
node = "grid"
charge_point = "CP1"
phases = "L1"
rated_a = 32
safe_a = 6

[[meter]]
id = "grid"
topic = "grid"

[[meter.value]]
pointer = "/l1"
quantity = "current"
phase = "L1"
unit = "A"

[[meter.value]]
pointer = "/l2"
quantity = "current"
phase = "L2"
unit = "A"

[[meter.value]]
pointer = "/l3"
quantity = "current"
phase = "L3"
unit = "A"
"#;

fn said(text: &str) -> String {
    let problems = match parse(text, "site.toml") {
        Ok(checked) => checked.warnings,
        Err(problems) => problems,
    };
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// What is said of the small site with each `from` replaced by `to`.
fn spoiled(changes: &[(&str, &str)]) -> String {
    let mut text = SMALL.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in the text");
        text = text.replacen(from, to, 1);
    }
    said(&text)
}

fn check(changes: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&spoiled(changes));
}

#[test]
fn the_examples_have_neither_errors_nor_warnings() {
    for (name, text) in EXAMPLES {
        assert_eq!(said(text), "", "config/{name}.toml");
    }
    assert_eq!(said(SMALL), "");
}

#[test]
fn a_file_full_of_mistakes_is_told_all_of_them() {
    expect![[r#"
        site.toml:3: [site] time_zone: found "Europe/Pariss", expected an IANA time zone (did you mean "Europe/Paris"?)
        site.toml:4: [site] voltage_v: found 400, expected a number from 100 to 300 V (between a phase and neutral: 230 on a 400 V network)
        site.toml:7: warning: [listen] ocpp: found "0.0.0.0:9000", expected a network of chargers alone: chargers show no password here, so anybody on that network can pose as one
        site.toml:8: [listen] web: found "192.168.1.10:8080", expected a loopback address, "127.0.0.1:8080": the page has no users and passwords yet, so anybody on that network could operate the site
        site.toml:9: [listen]: found the unknown key "ocpi", expected a known key (did you mean "ocpp"?)
        site.toml:12: [access] anyone: found anyone = true beside tokens, expected one of the two: with anyone = true the list would mean nothing
        site.toml:13: warning: [access] tokens number 2: found a token that is in the list already, expected each token once
        site.toml:16: [lease] ttl_s: found 30, expected a number from 60 to 900 seconds
        site.toml:17: [lease]: found the unknown key "ttl", expected a known key (did you mean "ttl_s"?)
        site.toml:18: [lease] margin_a: found -1, expected a number from 0 to 1000 A
        site.toml:20: found the unknown key "ocpi", expected one of access, battery, charging, evse, lease, listen, load, meter, mqtt, node, pv, site
        site.toml:23: node "grid", worst_case_load_a: found nothing, expected the load on each phase to assume while meter "gird" is silent, e.g. worst_case_load_a = 20 (0 if there is none): silence must not look like no load
        site.toml:25: node "grid", rating_a: found "63A", expected a number from 0 to 10000 A, or three of them: [L1, L2, L3], without quotes and unit: 63
        site.toml:26: node "grid", meter: found "gird", expected the id of a [[meter]] (did you mean "grid"?)
        site.toml:32: breaker Board A 63A, phase L2: found safe shares of EVSE-02 and evse-02 (38 A) and a worst-case load (60 A) that together make 98 A, expected at most 63 A (lower safe_a, where 0 is allowed, or worst_case_load_a)
        site.toml:35: node "board-b", rating_a: found no rating, expected rating_a (what is written on the breaker) or rating_kva
        site.toml:37: node "board-b", parent: found "bord-a", expected the id of a [[node]] (did you mean "board-a"?)
        site.toml:41: node "c", parent: found a circle: c fed by d fed by c, expected a tree: one of them is fed by none of the others
        site.toml:42: node "c", rating_a: found a list of 2, expected 3 numbers: [L1, L2, L3]
        site.toml:48: node "d": found the unknown key "voltage_v", expected it in [site], where it belongs
        site.toml:54: evse "EVSE-01", phases: found "L1L1L3", expected one to three different phases in the charger's order: "L2", "L1L2L3", "L3L1L2" … (or R, S, T as in OCPP)
        site.toml:56: evse "EVSE-01", safe_a: found 3 A, expected 0 or at least 6 A (min_a): no car charges with less
        site.toml:65: evse "EVSE-02": found the unknown key "sefe_a", expected a known key (did you mean "safe_a"?)
        site.toml:68: warning: evse "evse-02", id: found "evse-02", which differs from "EVSE-02" in line 59 only by capitals, expected names that people cannot mix up
        site.toml:70: evse "evse-02", charge_point: found connector 1 of "CP-02", which is "EVSE-02" in line 58 already, expected each connector of a charger once (connector = 2 for its second)
        site.toml:73: evse "evse-02", safe_a: found 32 A, expected no more than rated_a, 16 A
        site.toml:75: evse number 4, id: found nothing, expected text in quotes, e.g. id = "EVSE-01"
        site.toml:75: evse number 4, safe_a: found nothing, expected a number from 0 to 1000 A, e.g. safe_a = 6
        site.toml:77: evse number 4, charge_point: found "CP 05" with " ", expected the identity that is set in the charger, as one word
        site.toml:78: evse number 4, phases: found 3, expected text in quotes
        site.toml:79: evse number 4, rated_a: found nan, expected a number from 1 to 1000 A
        site.toml:80: evse number 4, connector: found 1.5, expected a whole number from 1 to 100
        site.toml:82: evse "EVSE-02", node: found nothing, expected text in quotes, e.g. node = "board-a"
        site.toml:83: evse "EVSE-02", id: found "EVSE-02", which line 59 has already, expected a name of its own
        site.toml:86: evse "EVSE-02", rated_a: found "16A", expected a plain number without its unit, or text in quotes
        site.toml:87: evse "EVSE-02", safe_a: found 6,5, expected a decimal point: 6.5
        site.toml:93: pv "roof", worst_case_load_a: found a load for a PV generator, expected none: it generates (a [[load]] for what it draws at night)
        site.toml:96: meter "grid": found no [mqtt] table, expected [mqtt] with host = "…": meters are read from a broker
        site.toml:97: warning: meter "grid", id: found a meter that nothing uses, "grid", expected meter = "grid" in the [[node]], [[pv]] … that it measures
        site.toml:98: meter "grid", topic: found "site/+/power", expected the exact topic: with + or # several meters would mix into one
        site.toml:99: meter "grid", max_age_s: found 1, expected a number from 2 to 3600 seconds (three times the interval at which the meter publishes)
        site.toml:102: meter "grid", value number 1, pointer: found "power.l1", expected a JSON pointer, which begins with /: "/power/l1"
        site.toml:105: meter "grid", value number 1, unit: found "A", expected "W" or "kW", the units of a power
        site.toml:107: meter "grid", value number 2, unit: found nothing, expected "A", "mA", "W", "kW", "V" or "mV"
        site.toml:108: meter "grid", value number 2, quantity: found "amps", expected "current", "power" or "voltage"
        site.toml:109: meter "grid", value number 2, phase: found "l1", expected "L1", "L2" or "L3"
        site.toml:113: meter "pv", map: found "shelly3em", expected "shelly-3em", "shelly-pro-3em", "victron-grid", "victron-pv", "opendtu", "tasmota-sml", "tasmota-sml-total" or "home-assistant" (did you mean "shelly-3em"?)
    "#]].assert_eq(&said(include_str!("tests/mistakes.toml")));
}

#[test]
fn office_is_the_papers_first_site() {
    let config = parse(OFFICE, "office.toml").expect("the example is sound").config;
    let diagram = &config.site.diagram;
    assert_eq!(diagram.evses.len(), 12);
    assert_eq!(diagram.nodes[0].rating, Some(PerPhase::all(Amps::milli(62_318))));
    assert_eq!(diagram.evses[8].wiring, Phase::ALL);
    let pv = &config.site.meters[1].values[0];
    assert_eq!((pv.quantity, pv.factor), (Quantity::Power, -1000.0));
    assert_eq!(config.web.map(|web| web.port()), Some(8080));
}

#[test]
fn parents_stand_before_children_whatever_the_order_of_the_file() {
    let board = "[[node]]\nid = \"board\"\nparent = \"grid\"\nrating_a = 32\n\n[[node]]";
    let text = SMALL.replacen("[[node]]", board, 1);
    let config = parse(&text, "site.toml").expect("sound").config;
    let names: Vec<&str> =
        config.site.diagram.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["Grid 63A", "board"]);
    assert_eq!(config.site.diagram.nodes[1].parent, Some(0));
}

#[test]
fn of_amperes_and_kva_the_tighter_holds_on_each_phase() {
    let text = SMALL.replace("rating_a = 63", "rating_a = [63, 63, 50]\nrating_kva = 36");
    let config = parse(&text, "site.toml").expect("sound").config;
    let rating = config.site.diagram.nodes[0].rating;
    let third = Amps::milli(52_173);
    assert_eq!(rating, Some(PerPhase([third, third, Amps::new(50)])));
}

#[test]
fn maps_name_topics_units_and_signs() {
    let start = SMALL.find("[[meter]]").expect("it has a meter");
    let meter = |map: &str, topic: &str| {
        let meter = format!("[[meter]]\nid = \"grid\"\nmap = \"{map}\"\ntopic = \"{topic}\"\n");
        let text = format!("{}{meter}", &SMALL[..start]);
        let config = parse(&text, "site.toml").expect("sound").config;
        let values = config.site.meters[0].values.iter();
        let lines = values.map(|value| {
            let phase = value.phase.map_or("total".to_owned(), |phase| phase.to_string());
            let pointer = value.pointer.as_deref().unwrap_or("-");
            format!("{} {pointer} {:?} {phase} {}\n", value.topic, value.quantity, value.factor)
        });
        format!("{map}\n{}", lines.collect::<String>())
    };
    let all = [
        ("shelly-3em", "shellies/shellyem3-A1"),
        ("shelly-pro-3em", "shellypro3em-b2"),
        ("victron-grid", "N/c0ffee"),
        ("victron-pv", "N/c0ffee"),
        ("opendtu", "solar"),
        ("tasmota-sml", "tele/reader"),
        ("tasmota-sml-total", "tele/reader"),
        ("home-assistant", "homeassistant/sensor/grid_power"),
    ];
    let told: String = all.iter().map(|(map, topic)| meter(map, topic)).collect();
    expect![[r#"
        shelly-3em
        shellies/shellyem3-A1/emeter/0/power - Power L1 1
        shellies/shellyem3-A1/emeter/1/power - Power L2 1
        shellies/shellyem3-A1/emeter/2/power - Power L3 1
        shellies/shellyem3-A1/emeter/0/current - Current L1 1
        shellies/shellyem3-A1/emeter/1/current - Current L2 1
        shellies/shellyem3-A1/emeter/2/current - Current L3 1
        shelly-pro-3em
        shellypro3em-b2/status/em:0 /a_act_power Power L1 1
        shellypro3em-b2/status/em:0 /b_act_power Power L2 1
        shellypro3em-b2/status/em:0 /c_act_power Power L3 1
        shellypro3em-b2/status/em:0 /a_current Current L1 1
        shellypro3em-b2/status/em:0 /b_current Current L2 1
        shellypro3em-b2/status/em:0 /c_current Current L3 1
        victron-grid
        N/c0ffee/system/0/Ac/Grid/L1/Power /value Power L1 1
        N/c0ffee/system/0/Ac/Grid/L2/Power /value Power L2 1
        N/c0ffee/system/0/Ac/Grid/L3/Power /value Power L3 1
        victron-pv
        N/c0ffee/system/0/Ac/PvOnGrid/L1/Power /value Power L1 -1
        N/c0ffee/system/0/Ac/PvOnGrid/L2/Power /value Power L2 -1
        N/c0ffee/system/0/Ac/PvOnGrid/L3/Power /value Power L3 -1
        opendtu
        solar/ac/power - Power total -1
        tasmota-sml
        tele/reader/SENSOR /SML/power_l1 Power L1 1
        tele/reader/SENSOR /SML/power_l2 Power L2 1
        tele/reader/SENSOR /SML/power_l3 Power L3 1
        tasmota-sml-total
        tele/reader/SENSOR /SML/Power_curr Power total 1
        home-assistant
        homeassistant/sensor/grid_power/state - Power total 1
    "#]]
    .assert_eq(&told);
}

#[test]
fn shares_that_do_not_fit_are_named_per_row() {
    let second = "safe_a = 6\n\n[[evse]]\nid = \"E2\"\nnode = \"grid\"\ncharge_point = \"CP2\"\n\
                  phases = \"L1L2L3\"\nrated_a = 32\nsafe_a = 16\n";
    let rows = "rating_a = 40\npower_limit_kw = 20\nimbalance_a = 5";
    check(
        &[("safe_a = 6", second), ("rating_a = 63", rows)],
        expect![[r#"
        site.toml:18: breaker Grid 63A, phase L1: found safe shares of E1 and E2 (22 A) and a worst-case load (20 A) that together make 42 A, expected at most 40 A (lower safe_a, where 0 is allowed, or worst_case_load_a)
        site.toml:19: total of Grid 63A: found safe shares of E1 and E2 (12.42 kW) and a worst-case load (13.8 kW) that together make 26.22 kW, expected at most 20 kW (lower safe_a, where 0 is allowed, or worst_case_load_a)
        site.toml:20: imbalance limit of Grid 63A, phase L1: found safe shares of E1 (6 A) that makes 6 A, expected at most 5 A (lower safe_a, where 0 is allowed)
    "#]],
    );
    check(&[("rating_a = 63", "rating_a = [63, 16, 63]")], expect![[""]]);
    check(
        &[("safe_a = 6", "safe_a = 32"), ("[[node]]", "[lease]\nmargin_a = 20\n\n[[node]]")],
        expect![[r#"
            site.toml:21: breaker Grid 63A, phase L1: found safe shares of E1 (32 A), a worst-case load (20 A) and the margin (20 A) that together make 72 A, expected at most 63 A (lower safe_a, where 0 is allowed, or worst_case_load_a)
        "#]],
    );
}

#[test]
fn a_metered_node_without_worst_case_is_refused() {
    check(
        &[("worst_case_load_a = 20\n", "")],
        expect![[r#"
        site.toml:15: node "grid", worst_case_load_a: found nothing, expected the load on each phase to assume while meter "grid" is silent, e.g. worst_case_load_a = 20 (0 if there is none): silence must not look like no load
    "#]],
    );
}

#[test]
fn a_meter_must_tell_what_its_node_needs() {
    check(
        &[("phase = \"L3\"", "phase = \"L2\"")],
        expect![[r#"
        site.toml:19: node "grid", meter: found "grid" without L3, expected the current or power of every phase: one that is not measured would look like no load
        site.toml:46: meter "grid", value number 3: found a second current of L2, line 40 has one, expected each quantity of each phase once
    "#]],
    );
    let total = "quantity = \"power\"\nunit = \"W\"\n";
    let start = SMALL.find("[[meter.value]]").expect("it has values");
    let text = format!("{}[[meter.value]]\n{total}", &SMALL[..start]);
    expect![[r#"
        site.toml:19: warning: node "grid", meter: found "grid", which tells only the total, expected a meter that tells each phase, because E1 charge on one phase: a total hides which breaker phase is full
    "#]].assert_eq(&said(&text));
    let voltage = text.replace("\"power\"", "\"voltage\"").replace("\"W\"", "\"V\"");
    expect![[r#"
        site.toml:19: node "grid", meter: found "grid", which measures neither current nor power, expected the current or power of every phase: one that is not measured would look like no load
    "#]].assert_eq(&said(&voltage));
}

#[test]
fn virtual_nodes_have_one_limit_and_feed_no_charger() {
    check(
        &[("rating_a = 63", "rating_a = 63\nvirtual = true")],
        expect![[r#"
        site.toml:18: node "grid", rating_a: found rating_a on a virtual node, expected power_limit_kw alone: a virtual node is no breaker
        site.toml:19: warning: node "grid", virtual: found a virtual node without a limit, expected power_limit_kw, or it limits nothing
        site.toml:25: evse "E1", node: found "grid", a virtual node, expected the breaker or connection that feeds it
    "#]],
    );
}

#[test]
fn chargers_hang_on_phases_that_their_breakers_have() {
    check(
        &[("rating_a = 63", "rating_a = [63, 0, 0]"), ("phases = \"L1\"", "phases = \"L2\"")],
        expect![[r#"
            site.toml:18: breaker Grid 63A, phase L2: found safe shares of E1 (6 A) and a worst-case load (20 A) that together make 26 A, expected at most 0 A (lower safe_a, where 0 is allowed, or worst_case_load_a)
            site.toml:26: evse "E1", phases: found phase L2, which Grid 63A does not have (0 A), expected phases that its breakers have
        "#]],
    );
    check(
        &[("rating_a = 63", "rating_a = 26")],
        expect![[r#"
        site.toml:27: warning: evse "E1", rated_a: found 32 A, more than breaker Grid 63A carries (26 A), expected a charger that is set to no more than its breaker: a charger that ignores its limit trips it
    "#]],
    );
}

#[test]
fn toml_mistakes_are_said_in_words() {
    check(
        &[("name = \"Yard\"", "name = \"Yard")],
        expect![[r#"
        site.toml:3: [site] name: found "\"Yard", expected `"` at the end of the text
    "#]],
    );
    check(
        &[("rated_a = 32", "rated_a = 32 A")],
        expect![[r#"
        site.toml:27: evse "E1", rated_a: found "32 A", expected a plain number without its unit, or text in quotes
    "#]],
    );
    check(
        &[("rated_a = 32", "rated_a: 32")],
        expect![[r#"
        site.toml:19: node "grid", meter: found "grid", expected the id of a [[meter]]
        site.toml:22: evse "E1", safe_a: found nothing, expected a number from 0 to 1000 A, e.g. safe_a = 6
        site.toml:27: found "rated_a: 32", expected letters, numbers, `-`, `_` (invalid unquoted key)
    "#]],
    );
    check(
        &[("rated_a = 32", "rated_a = 32\nrated_a = 16")],
        expect![[r#"
        site.toml:28: found a second rated_a, expected each key once in its table
    "#]],
    );
    check(
        &[("[[evse]]", "[[evse]")],
        expect![[r#"
        site.toml:22: found "[[evse]", expected `]` (unclosed array table)
    "#]],
    );
    check(
        &[("[[evse]]", "[evse]")],
        expect![[r#"
        site.toml:1: warning: found no [[evse]], expected at least one charging point
        site.toml:22: evse: found a table, expected two brackets, [[evse]], because there may be several
    "#]],
    );
    check(
        &[("anyone = true", "anyone = yes")],
        expect![[r#"
        site.toml:12: access: found nobody who may charge, expected anyone = true, or tokens = ["04A1B2C3D4", …]
        site.toml:13: [access] anyone: found "yes", expected a number, true or false, or text in quotes
    "#]],
    );
    check(
        &[("anyone = true", "tokens = [\"A\",")],
        expect![[r#"
        site.toml:15: found "[[node]]", expected `nan` (invalid float)
        site.toml:16: found "id = \"grid\"", expected `,` (missing comma between array elements)
    "#]],
    );
}

#[test]
fn what_is_missing_is_said_even_of_an_empty_file() {
    expect![[r#"
        site.toml:1: site: found nothing, expected a table headed [site]
        site.toml:1: access: found nothing, expected a table headed [access]
        site.toml:1: found no [[node]], expected at least the grid connection
        site.toml:1: warning: found no [[evse]], expected at least one charging point
    "#]]
    .assert_eq(&said(""));
}

#[test]
fn every_key_of_the_examples_is_in_the_schema() {
    let schema = schema();
    for (name, text) in EXAMPLES {
        let table: toml::Table = text.parse().expect("the examples are TOML");
        assert_known(&schema, &toml::Value::Table(table), name);
    }
}

fn assert_known(schema: &serde_json::Value, value: &toml::Value, path: &str) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = format!("{path}.{key}");
                let known = schema.get("properties").and_then(|keys| keys.get(key));
                let known = known.unwrap_or_else(|| panic!("{path} is not in the schema"));
                assert!(known.get("description").is_some(), "{path} has no description");
                assert_known(known, value, &path);
            }
        }
        toml::Value::Array(items) => {
            let items_schema = schema.get("items").unwrap_or(schema);
            items.iter().for_each(|item| assert_known(items_schema, item, path));
        }
        _ => {}
    }
}

/// Line by line: kept, left out, doubled, cut short, or written over.
fn mutated(text: &str, changes: &[(usize, u8, String)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (place, kind, garbage) in changes {
        let index = place % lines.len().max(1);
        let Some(line) = lines.get(index).cloned() else { continue };
        match kind % 5 {
            0 => drop(lines.remove(index)),
            1 => lines.insert(index, line),
            2 => lines[index] = line.chars().take(place % 17).collect(),
            3 => lines[index] = garbage.clone(),
            _ => {
                let key = line.split('=').next().unwrap_or_default();
                lines[index] = format!("{key}= {garbage}");
            }
        }
    }
    lines.join("\n")
}

proptest! {
    #[test]
    fn no_text_panics(
        example in 0..EXAMPLES.len(),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>(), ".{0,12}"), 1..8),
    ) {
        let text = mutated(EXAMPLES[example].1, &changes);
        match parse(&text, "x.toml") {
            Ok(checked) => prop_assert!(
                checked.warnings.iter().all(|problem| problem.severity == Severity::Warning)
            ),
            Err(problems) => prop_assert!(
                problems.iter().any(|problem| problem.severity == Severity::Error)
            ),
        }
    }

    #[test]
    fn numbers_of_any_size_are_refused_or_taken(value in any::<f64>(), key in 0..6_usize) {
        let keys = ["rated_a = 32", "safe_a = 6", "rating_a = 63", "worst_case_load_a = 20",
            "anyone = true", "id = \"E1\""];
        let changed = format!("{}= {value:?}", keys[key].split('=').next().unwrap_or_default());
        let text = SMALL.replacen(keys[key], &changed, 1);
        if let Ok(checked) = parse(&text, "x.toml") {
            let evse = &checked.config.site.diagram.evses[0];
            prop_assert!(evse.safe <= evse.rated && Amps::ZERO <= evse.safe);
        }
    }
}
