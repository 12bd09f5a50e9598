//! The messages are the product: snapshots of what people read, and proof that no text panics.

use expect_test::expect_file;
use proptest::prelude::*;

use crate::ground::ids::IdToken;
use crate::ground::time::Duration;
use crate::ground::units::{Amps, PerPhase, Phase, WattHours};
use crate::ground::zone::TimeOfDay;
use crate::model::drivers::Leaves;
use crate::model::meter::Quantity;
use crate::model::tariff::{Billing, Export, Peak, PpaKind};

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

/// The small site with each `from` replaced by `to`.
fn spoiled(changes: &[(&str, &str)]) -> String {
    changed(SMALL, changes)
}

fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in the text");
        text = text.replacen(from, to, 1);
    }
    text
}

/// Under a title each, what is said of these texts.
fn told(texts: &[(&str, String)]) -> String {
    texts.iter().map(|(title, text)| format!("## {title}\n{}\n", said(text))).collect()
}

#[test]
fn a_file_full_of_mistakes_is_told_all_of_them() {
    expect_file!["tests/mistakes.txt"].assert_eq(&said(include_str!("tests/mistakes.toml")));
}

#[test]
fn what_does_not_fit_is_told_in_an_electricians_words() {
    let second = "safe_a = 6\n\n[[evse]]\nid = \"E2\"\nnode = \"grid\"\ncharge_point = \"CP2\"\n\
                  phases = \"L1L2L3\"\nrated_a = 32\nsafe_a = 16\n";
    let rows = "rating_a = 40\npower_limit_kw = 20\nimbalance_a = 5";
    let values = SMALL.find("[[meter.value]]").expect("it has values");
    let total = "[[meter.value]]\nquantity = \"power\"\nunit = \"W\"\n";
    let total = format!("{}{total}", &SMALL[..values]);
    let voltage = total.replace("\"power\"", "\"voltage\"").replace("\"W\"", "\"V\"");
    let part = &SMALL[..SMALL.rfind("[[meter.value]]").expect("it has values")];
    let load = "[[load]]\nid = \"lift\"\nnode = \"board\"\n\n[[evse]]";
    let board = "[[node]]\nid = \"board\"\nparent = \"grid\"\nrating_a = 32\n\
                 worst_case_load_a = [25, 0, 0]\n\n[[evse]]";
    let texts = [
        ("rows", spoiled(&[("safe_a = 6", second), ("rating_a = 63", rows)])),
        (
            "breaker smaller than the charger",
            spoiled(&[("rating_a = 63", "rating_a = [24, 63, 63]")]),
        ),
        (
            "margin",
            spoiled(&[
                ("safe_a = 6", "safe_a = 32"),
                ("[[node]]", "[lease]\nmargin_a = 20\n[[node]]"),
            ]),
        ),
        ("no worst case", spoiled(&[("worst_case_load_a = 20\n", "")])),
        ("worst case below the boards'", spoiled(&[("[[evse]]", board)])),
        ("load without figure", spoiled(&[("[[evse]]", board), ("[[evse]]", load)])),
        ("phase not measured", part.to_owned()),
        ("phase measured twice", spoiled(&[("phase = \"L3\"", "phase = \"L2\"")])),
        ("only a total", total),
        ("only voltage", voltage),
        ("virtual", spoiled(&[("rating_a = 63", "rating_a = 63\nvirtual = true")])),
        (
            "phase not there",
            spoiled(&[
                ("rating_a = 63", "rating_a = [63, 0, 0]"),
                ("phases = \"L1\"", "phases = \"L2\""),
            ]),
        ),
    ];
    expect_file!["tests/fit.txt"].assert_eq(&told(&texts));
}

#[test]
fn one_unreadable_line_hides_nothing_on_the_others() {
    let several = [
        ("rated_a = 16", "rated_a = 16A"),
        ("[[evse]]\nid = \"EVSE-04\"", "[evse]\nid = \"EVSE-04\""),
        ("name = \"Board B 63A\"", "name = \"Board B 63A"),
        ("safe_a = 0\n\n[[evse]]\nid = \"EVSE-08\"", "safe_a = 5\n\n[[evse]]\nid = \"EVSE-08\""),
    ];
    let site = "[site]\nname = \"again\"\n\n[[node]]";
    let list = |end: &str| format!("tokens = [\n  \"A\",\n  \"B\"{end}");
    let texts = [
        ("several", changed(OFFICE, &several)),
        ("a second table", changed(OFFICE, &[("[[node]]", site)])),
        ("a list over lines", changed(OFFICE, &[("anyone = true", &list("\n]"))])),
        ("an open list", changed(OFFICE, &[("anyone = true", &list(","))])),
        ("an open text", changed(OFFICE, &[("name = \"Office", "name = \"\"\"Office")])),
        ("no closing quote", spoiled(&[("name = \"Yard\"", "name = \"Yard")])),
        ("a unit", spoiled(&[("rated_a = 32", "rated_a = 32 A")])),
        ("a colon", spoiled(&[("rated_a = 32", "rated_a: 32")])),
        ("a comma", spoiled(&[("safe_a = 6", "safe_a = 6,5")])),
        ("a key twice", spoiled(&[("rated_a = 32", "rated_a = 32\nrated_a = 16")])),
        ("a bracket too few", spoiled(&[("[[evse]]", "[[evse]")])),
        ("single brackets", spoiled(&[("[[evse]]", "[evse]")])),
        ("double brackets", spoiled(&[("[site]", "[[site]]")])),
        ("yes", spoiled(&[("anyone = true", "anyone = yes")])),
        ("a secret", spoiled(&[("host =", "password = hunter2\nhost =")])),
        ("an empty file", String::new()),
        ("another kind of file", "<html>\n<body>no site</body>\n</html>\n".to_owned()),
    ];
    expect_file!["tests/unreadable.txt"].assert_eq(&told(&texts));
}

#[test]
fn what_holds_for_drivers_is_checked() {
    let with = |text: &str| spoiled(&[("[[node]]", &format!("{text}\n\n[[node]]"))]);
    let known = |text: &str| with(text).replace("anyone = true", "tokens = [\"AB12\"]");
    let group = |keys: &str| format!("[[drivers.group]]\nid = \"fleet\"\n{keys}");
    let two = "tokens = [\"F*\"]\n[[drivers.group]]\nid = \"fleet\"\ntokens = [\"f*\"]";
    let texts = [
        ("no time of day", with("[drivers]\ndeparture = \"25:00\"")),
        ("no address of a page", with("[drivers]\npage_url = \"https://a.example/d\"")),
        ("a page in the clear", with("[drivers]\npage_url = \"http://a.example\"")),
        ("both", with("[drivers]\ndeparture = \"17:30\"\nstay_h = 8")),
        ("more than it needs", with("[drivers]\nenergy_kwh = 4\nguaranteed_kwh = 5")),
        ("a group without tokens", with(&group("priority = 1"))),
        ("a star inside", with(&group("tokens = [\"F*1\"]"))),
        ("a group twice", with(&group(two))),
        ("a token that may not charge", known(&group("tokens = [\"ab*\", \"CD*\"]"))),
        ("no number", with(&group("tokens = [\"A\"]\npriority = \"high\""))),
        ("a group's time", with(&group("tokens = [\"A\"]\ndeparture = \"noon\""))),
        ("far too long", with("[drivers]\nstay_h = 1000")),
    ];
    expect_file!["tests/drivers.txt"].assert_eq(&told(&texts));
}

#[test]
fn updates_are_checked() {
    let with = |text: &str| spoiled(&[("[[node]]", &format!("[update]\n{text}\n\n[[node]]"))]);
    let server = |keys: &str| {
        let url = "url = \"https://h.example\"\ncontroller_id = \"site-17\"";
        with(&format!("[update.hawkbit]\n{url}\n{keys}"))
    };
    let texts = [
        ("the least", with("")),
        ("no window", with("window = \"at night\"")),
        ("no bus", with("bus = \"system\"")),
        ("never confirmed", with("trial_min = 0.5\nsettle_s = 60")),
        ("in the clear", with("[update.index]\nurl = \"http://updates.example/i.json\"")),
        ("this machine", with("[update.index]\nurl = \"http://127.0.0.1:8000/i.json\"")),
        ("no address", with("[update.index]")),
        ("no token", server("")),
        ("two tokens", server("target_token_file = \"a\"\ngateway_token_file = \"b\"")),
        ("a tenant that is no name", server("target_token_file = \"a\"\ntenant = \"a/b\"")),
    ];
    expect_file!["tests/update.txt"].assert_eq(&told(&texts));
}

#[test]
fn contacts_are_checked() {
    let with = |text: &str| spoiled(&[("[[node]]", &format!("[[limit]]\n{text}\n\n[[node]]"))]);
    let line = "id = \"dim\"\ngpio_chip = \"/dev/gpiochip0\"\nline = 17";
    let file = "id = \"dim\"\ncontact_file = \"/run/dim\"\nlimit_a = 8";
    let texts = [
        ("sound", with(&format!("{line}\nlimit_kw = 4.2"))),
        ("half a place", with("id = \"dim\"\nline = 17\nlimit_kw = 4.2")),
        ("two places", with(&format!("{file}\ngpio_chip = \"/dev/gpiochip0\"\nline = 1"))),
        ("nowhere, and no limit", with("id = \"dim\"")),
        ("both limits", with(&format!("{file}\nlimit_kw = 4.2"))),
        ("no such EVSE", with(&format!("{file}\nevses = [\"E77\"]"))),
        ("twice", with(&format!("{line}\nlimit_kw = 4.2\n[[limit]]\n{line}\nlimit_kw = 8"))),
    ];
    expect_file!["tests/limit.txt"].assert_eq(&told(&texts));
}

#[test]
fn tariffs_are_checked() {
    let with = |text: &str| spoiled(&[("[[node]]", &format!("{text}\n\n[[node]]"))]);
    let period = |keys: &str| format!("[[tariff.period]]\nid = \"night\"\n{keys}");
    let times = "from = \"22:00\"\nto = \"06:00\"";
    let price = "energy_eur_per_kwh = 0.1";
    let twice = format!("{times}\n{price}\n{}", period(&format!("{times}\n{price}")));
    let ppa = |keys: &str| format!("[[tariff.ppa]]\nid = \"roof\"\neur_per_kwh = 0.1\n{keys}");
    let texts = [
        ("no time", with(&period(&format!("from = \"22h\"\nto = \"24:00\"\n{price}")))),
        ("no price", with(&period(times))),
        ("no such day", with(&period(&format!("{times}\n{price}\nweekdays = [\"monday\"]")))),
        ("no such month", with(&period(&format!("{times}\n{price}\nmonths = [0, 13]")))),
        ("twice", with(&period(&twice))),
        ("a price in cents", with("[tariff]\nenergy_eur_per_kwh = 22")),
        (
            "both exports",
            with("[tariff]\nexport_eur_per_kwh = 0.1\nexport_market_less_eur_per_kwh = 0.01"),
        ),
        ("no market", with("[tariff]\nmarket = false\nexport_market_less_eur_per_kwh = 0.01")),
        ("seven minutes", with("[tariff]\npeak_eur_per_kw = 5\npeak_basis_min = 20")),
        ("no peak", with("[tariff]\npeak_basis_min = 60\npeak_billing = \"year\"")),
        ("a week", with("[tariff]\npeak_eur_per_kw = 5\npeak_billing = \"week\"")),
        ("a band", with(&ppa("kind = \"band\""))),
        ("a roof", with(&ppa("kind = \"roof\"\nband_kw = 5"))),
        ("no kind", with(&ppa("kind = \"wind\""))),
        ("two roofs", with(&format!("{}\n{}", ppa("kind = \"roof\""), ppa("kind = \"roof\"")))),
    ];
    expect_file!["tests/tariff.txt"].assert_eq(&told(&texts));
}

#[test]
fn forecast_sources_are_checked() {
    let with = |text: &str| spoiled(&[("[[node]]", &format!("{text}\n\n[[node]]"))]);
    let source =
        |keys: &str| with(&format!("[[forecast.source]]\nid = \"a\"\nkind = \"price\"\n{keys}"));
    let topic = "topic = \"prices\"";
    let second = format!("{topic}\n[[forecast.source]]\nid = \"a\"\nkind = \"price\"\n{topic}");
    let texts = [
        ("no place", source("")),
        ("two places", source(&format!("{topic}\nfile = \"prices.csv\""))),
        ("a wildcard", source("topic = \"prices/#\"")),
        ("no address", source("url = \"prices.example.org\"")),
        ("in the clear", source("url = \"http://prices.example.org/a\"")),
        ("a password", source("url = \"https://me:secret@prices.example.org/\"")),
        ("a topic every hour", source(&format!("{topic}\nevery_min = 60"))),
        ("no pointer", source(&format!("{topic}\nseries = \"data.prices\""))),
        ("times alone", source(&format!("{topic}\ntimes = \"/t\""))),
        ("the unit of power", source(&format!("{topic}\nunit = \"kW\""))),
        ("no such unit", source(&format!("{topic}\nunit = \"EUR\""))),
        ("no scale", source(&format!("{topic}\nscale = 0"))),
        ("no zone", source(&format!("{topic}\ntime_zone = \"CET+1\""))),
        ("two of a kind", source(&second)),
        ("nobody looks", with(&format!("[[forecast.source]]\nid = \"a\"\nkind = \"pv\"\n{topic}"))),
    ];
    expect_file!["tests/forecast.txt"].assert_eq(&told(&texts));
}

#[test]
fn a_tariff_with_everything_is_what_it_says() {
    let tariff = "[tariff]\nfees_eur_per_kwh = 0.05\nexport_market_less_eur_per_kwh = 0.004\n\
                  peak_eur_per_kw = 110\npeak_basis_min = 60\npeak_billing = \"year\"\n\
                  [[tariff.period]]\nid = \"winter\"\nfrom = \"22:00\"\nto = \"6:30\"\n\
                  weekdays = [\"mon\", \"sun\"]\nmonths = [1, 12]\nfees_eur_per_kwh = 0.2\n\
                  [[tariff.ppa]]\nid = \"wind\"\nkind = \"band\"\nband_kw = 10\n\
                  eur_per_kwh = 0.06\n\n[[node]]";
    let text = spoiled(&[("[[node]]", tariff)]);
    let tariff = parse(&text, "site.toml").expect("it is sound").config.site.tariff;
    assert!(tariff.market);
    assert_eq!(tariff.export, Export::MarketLess(0.004));
    let basis = Duration::minutes(60);
    assert_eq!(tariff.peak, Some(Peak { eur_per_kw: 110.0, basis, billing: Billing::Year }));
    let winter = &tariff.periods[0];
    assert_eq!((winter.from_min, winter.until_min), (22 * 60, 6 * 60 + 30));
    assert_eq!(winter.weekdays, [true, false, false, false, false, false, true]);
    let months: Vec<usize> = (0..12).filter(|month| winter.months[*month]).collect();
    assert_eq!(months, [0, 11]);
    assert_eq!((winter.energy_eur_per_kwh, winter.fees_eur_per_kwh), (None, Some(0.2)));
    assert_eq!(tariff.ppa[0].kind, PpaKind::Band(10.0));
}

#[test]
fn what_holds_for_a_group_is_what_it_says_and_else_what_holds_for_all() {
    let drivers = "[drivers]\ndeparture = \"17:30\"\nenergy_kwh = 15\nfast_percent = 20\n\
                   [[drivers.group]]\nid = \"fleet\"\ntokens = [\"F-*\"]\npriority = 5\n\
                   stay_h = 2.5\nguaranteed_kwh = 5\n\n[[node]]";
    let text = spoiled(&[("[[node]]", drivers)]);
    let policy = parse(&text, "site.toml").expect("it is sound").config.site.drivers;
    let usual = policy.terms(&IdToken::new("GUEST"));
    let fleet = policy.terms(&IdToken::new("f-12"));
    assert_eq!(usual.leaves, TimeOfDay::new(17, 30).map(Leaves::At));
    assert_eq!(fleet.leaves, Some(Leaves::After(Duration::minutes(150))));
    assert_eq!((usual.priority, fleet.priority), (0, 5));
    assert_eq!((usual.energy, fleet.energy), (fleet.energy, Some(WattHours::new(15_000))));
    assert_eq!((usual.guaranteed, fleet.guaranteed), (WattHours::ZERO, WattHours::new(5_000)));
    assert_eq!((usual.fast_percent, fleet.fast_percent), (Some(20.0), Some(20.0)));
    assert_eq!((usual.group.as_deref(), fleet.group.as_deref()), (None, Some("fleet")));
}

#[test]
fn the_broker_what_is_told_and_what_is_kept_are_checked() {
    let host = |more: &str| spoiled(&[("host =", &format!("{more}\nhost ="))]);
    let table = |more: &str| spoiled(&[("[access]", &format!("{more}\n[access]"))]);
    let texts = [
        ("a root without tls", host("ca_file = \"ca.pem\"")),
        ("a certificate without key", host("tls = true\ncertificate_file = \"a.pem\"")),
        ("a key without certificate", host("tls = true\nkey_file = \"a.key\"")),
        (
            "a password for all to read",
            spoiled(&[(
                "host = \"127.0.0.1\"",
                "host = \"b\"\nusername = \"u\"\npassword_file = \"p\"",
            )]),
        ),
        ("a topic with wildcard", table("[mqtt.publish]\ntopic = \"a/#\"")),
        ("a topic that begins with /", table("[mqtt.publish]\ntopic = \"/a\"")),
        ("a topic of Home Assistant", table("[mqtt.publish]\ntopic = \"homeassistant/x\"")),
        ("too often", table("[mqtt.publish]\nevery_s = 0.1")),
        ("fine longer than all", table("[keep]\nreadings_days = 7\nreadings_fine_days = 14")),
        ("no level", table("[log]\nlevel = \"info,ocpp=loud\"")),
    ];
    expect_file!["tests/broker.txt"].assert_eq(&told(&texts));
}

#[test]
fn a_broker_inside_tls_has_its_port_and_its_files() {
    let more = "tls = true\nca_file = \"ca.pem\"\n[mqtt.publish]\nlimits = true\n\
                [keep]\nreadings_days = 7";
    let text = spoiled(&[("host = \"127.0.0.1\"", &format!("host = \"b\"\n{more}"))]);
    let config = parse(&text, "site.toml").expect("it is sound").config;
    let broker = config.mqtt.expect("it has one");
    assert_eq!(broker.port, 8883);
    assert_eq!(broker.tls.map(|tls| tls.roots), Some("ca.pem".into()));
    let publish = broker.publish.expect("it tells");
    assert_eq!((publish.topic.as_str(), publish.every), ("ampgate", Duration::seconds(10)));
    assert_eq!(publish.limits_last, Some(Duration::hours(1)));
    assert_eq!(config.keep.readings_fine, Duration::hours(7 * 24), "no longer than all");
}

#[test]
fn policies_are_checked() {
    let door = "ocpp = \"127.0.0.1:9000\"";
    let texts = [
        (
            "one door twice",
            spoiled(&[(door, "ocpp = \"127.0.0.1:9000\"\nweb = \"127.0.0.1:9000\"")]),
        ),
        ("no door for chargers", spoiled(&[(door, "")])),
        ("no address", spoiled(&[(door, "ocpp = \":9000\"")])),
        (
            "the page for everybody",
            spoiled(&[(door, "ocpp = \"10.0.0.2:9000\"\nweb = \"[::]:80\"")]),
        ),
        ("host with port", spoiled(&[("host = \"127.0.0.1\"", "host = \"mqtt://broker:1883\"")])),
        ("a password in the file", spoiled(&[("host =", "password = \"secret\"\nhost =")])),
        ("a password without user", spoiled(&[("host =", "password_file = \"p\"\nhost =")])),
        ("nobody", spoiled(&[("anyone = true", "tokens = []")])),
        ("a token too long", spoiled(&[("anyone = true", "tokens = [\"123456789012345678901\"]")])),
        ("neither", spoiled(&[("anyone = true", "")])),
        ("a city", spoiled(&[("Europe/Paris", "Madrid")])),
        ("no zone", spoiled(&[("Europe/Paris", "Mars/Olympus")])),
        ("slow answers", spoiled(&[("[[node]]", "[charging]\ncall_timeout_s = 120\n[[node]]")])),
    ];
    expect_file!["tests/policy.txt"].assert_eq(&told(&texts));
}

#[test]
fn meters_are_checked() {
    let texts = [
        ("no broker", spoiled(&[("[mqtt]\nhost = \"127.0.0.1\"\n", "")])),
        ("wildcard", spoiled(&[("topic = \"grid\"", "topic = \"grid/#\"")])),
        ("no topic", spoiled(&[("topic = \"grid\"", "")])),
        ("pointer", spoiled(&[("/l1", "l1"), ("/l2", "/l~2"), ("/l3", "")])),
        ("unit", spoiled(&[("unit = \"A\"", "unit = \"kW\""), ("unit = \"A\"\n", "\n")])),
        ("current of no phase", spoiled(&[("phase = \"L1\"\nunit", "unit")])),
        ("scale", spoiled(&[("unit = \"A\"", "unit = \"A\"\nscale = 0")])),
        ("map and values", spoiled(&[("topic =", "map = \"opendtu\"\ntopic =")])),
        (
            "used by nobody",
            spoiled(&[("meter = \"grid\"\nworst_case_load_a = 20\n", "worst_case_load_a = 20\n")]),
        ),
    ];
    expect_file!["tests/meter.txt"].assert_eq(&told(&texts));
}

#[test]
fn the_examples_have_neither_errors_nor_warnings() {
    for (name, text) in EXAMPLES {
        assert_eq!(said(text), "", "config/{name}.toml");
    }
    assert_eq!(said(SMALL), "");
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
    expect_file!["tests/maps.txt"].assert_eq(&told);
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

#[test]
fn no_number_of_warnings_hides_an_error() {
    let point = |number: usize| {
        format!(
            "[[evse]]\nid = \"P{number}\"\nnode = \"grid\"\ncharge_point = \"P{number}\"\n\
             phases = \"L1\"\nrated_a = 80\nsafe_a = 0\n\n"
        )
    };
    let points: String = (0..300).map(point).collect();
    let text = spoiled(&[("[[evse]]", &format!("{points}[[evse]]"))]);
    assert_eq!(parse(&text, "site.toml").expect("warnings alone").warnings.len(), 201);
    let text = text.replace("safe_a = 6", "safe_a = 32").replace("rating_a = 63", "rating_a = 33");
    let problems = parse(&text, "site.toml").expect_err("the breaker cannot hold it");
    let error = problems.iter().find(|problem| problem.severity == Severity::Error);
    assert!(error.is_some_and(|error| error.place == "breaker Grid 63A, phase L1"));
    let last = problems.last().map(|problem| problem.found.as_str());
    assert_eq!(last, Some("100 problems more"));
}
