//! Every file in `config/` is sound, listens on loopback alone, and the sites of the reference data
//! have the points that the data says.

use std::path::Path;

use ampgate::config;
use ampgate::ground::units::Amps;
use ampgate::model::diagram::Diagram;

fn read(name: &str) -> config::Config {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    let text = std::fs::read_to_string(&file).expect("the example can be read");
    match config::parse(&text, name) {
        Ok(checked) => {
            let warnings: String =
                checked.warnings.iter().map(|problem| format!("{problem}\n")).collect();
            assert_eq!(warnings, "", "{name}");
            checked.config
        }
        Err(problems) => {
            let told: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
            panic!("{told}");
        }
    }
}

#[test]
fn every_example_is_sound_and_stays_on_loopback() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of examples can be read") {
        let name = entry.expect("a folder entry").file_name().to_string_lossy().into_owned();
        if name.ends_with(".toml") {
            let config = read(&name);
            let doors = [config.ocpp, config.web];
            assert!(doors.iter().flatten().all(|door| door.ip().is_loopback()), "{name}");
            let host = config.mqtt.map(|broker| broker.host);
            assert!(host.is_none_or(|host| host == "127.0.0.1"), "{name}");
            count += 1;
        }
    }
    assert!(count >= 5, "only {count} examples were found");
}

/// The points as the reference data has them; none where the data is not at hand.
fn points(scenario: &str) -> Option<Vec<(String, String, f64)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/scenario");
    let text = std::fs::read_to_string(folder.join(format!("{scenario}.json"))).ok()?;
    let site: serde_json::Value = serde_json::from_str(&text).ok()?;
    let points = site.get("evses")?.as_array()?.iter().map(|evse| {
        let text = |key: &str| evse.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        Some((text("evse_id")?, text("phase")?, evse.get("max_a")?.as_f64()?))
    });
    points.collect()
}

fn written(diagram: &Diagram) -> Vec<(String, String, f64)> {
    let of = |evse: &ampgate::model::diagram::Evse| {
        let phases: String = evse.wiring.iter().map(|phase| phase.to_string()).collect();
        assert_eq!(evse.minimum, Amps::new(6));
        (evse.id.to_string(), phases, evse.rated.as_f64())
    };
    diagram.evses.iter().map(of).collect()
}

#[test]
fn sites_of_the_reference_data_have_its_points() {
    let sites = [
        ("office.toml", "cea-dev-2019"),
        ("office-tight.toml", "cea-dev-2019"),
        ("garage.toml", "bcn-dev-2023"),
    ];
    for (name, scenario) in sites {
        if let Some(points) = points(scenario) {
            assert_eq!(written(&read(name).site.diagram), points, "{name}");
        }
    }
}
