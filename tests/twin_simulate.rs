//! `ampgate simulate` and `ampgate replay` with files around them: generated ones, and the
//! site years of the shared data where those are there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ampgate::config;
use ampgate::ground::time::{Duration, Utc};
use ampgate::simulate::policy::Policy;
use ampgate::simulate::replay::{Replay, replay};
use ampgate::simulate::world::Preferences;
use ampgate::simulate::{SimulateArgs, run};
use ampgate::twin::sample::{clear_day, working_day};
use serde_json::Value;

const DAY: Utc = Utc::from_millis(1_551_398_400_000); // 2019-03-01T00:00:00Z

/// The keys that other people's scripts rely on.
const KEYS: [&str; 17] = [
    "sessions",
    "ev_energy_kwh",
    "unmet_energy_kwh",
    "sessions_short",
    "pv_energy_kwh",
    "pv_to_ev_kwh",
    "self_production_ratio",
    "self_consumption_ratio",
    "grid_energy_kwh",
    "energy_cost_eur",
    "co2_kg",
    "peak_import_kw",
    "overload_seconds",
    "setpoints_sent",
    "plans",
    "plan_ms_p50",
    "wall_seconds",
];

fn arguments(config: &str, sessions: PathBuf) -> SimulateArgs {
    SimulateArgs {
        config: Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(config),
        sessions,
        pv: None,
        pv_forecast: None,
        price: None,
        load: None,
        co2: None,
        from: None,
        to: None,
        policy: Policy::Fair,
        preferences: None,
        json: None,
        report: None,
        journal: None,
    }
}

fn figures(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("figures were written");
    serde_json::from_str(&text).expect("JSON")
}

/// Two generated days at the office; everything that can be written is written into `folder`.
fn office(folder: &Path) -> SimulateArgs {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/office.toml");
    let text = std::fs::read_to_string(path).expect("an example of ours");
    let site = config::parse(&text, "office.toml").expect("it is accepted").config.site;
    let mut sessions = "session_id,evse_id,user_id,arrival_utc,departure_utc,energy_kwh,\
        vehicle_phases,vehicle_max_a\n"
        .to_owned();
    let mut pv = "time_utc,pv_kw\n".to_owned();
    let mut price = "time_utc,price_eur_per_mwh\n".to_owned();
    for day in 0..2 {
        let midnight = DAY + Duration::hours(24 * day);
        for (number, visit) in working_day(&site, midnight, 5 + day as u64).iter().enumerate() {
            let evse = &site.diagram.evses[visit.evse].id;
            let (car, token) = (&visit.car, &visit.token);
            let (from, until) = (visit.arrival.to_text(), visit.departure.to_text());
            let (need, phases, max_a) = (car.need_wh / 1000.0, car.phases, car.max_a);
            let row =
                format!("s{day}{number},{evse},{token},{from},{until},{need},{phases},{max_a}");
            sessions.push_str(&row);
            sessions.push('\n');
        }
        for (time, watts) in clear_day(midnight, 30_000.0, Duration::minutes(15)).steps() {
            let _ = writeln!(pv, "{},{:.3}", time.to_text(), -watts / 1000.0);
        }
        let _ = writeln!(price, "{},50", midnight.to_text());
    }
    for (name, text) in [("sessions.csv", sessions), ("pv.csv", pv), ("price.csv", price)] {
        std::fs::write(folder.join(name), text).expect("written");
    }
    SimulateArgs {
        pv: Some(folder.join("pv.csv")),
        price: Some(folder.join("price.csv")),
        json: Some(folder.join("figures.json")),
        report: Some(folder.join("report.html")),
        journal: Some(folder.join("journal.jsonl")),
        ..arguments("office.toml", folder.join("sessions.csv"))
    }
}

#[test]
fn two_days_give_figures_page_and_a_journal_that_replays() {
    let folder = tempfile::tempdir().expect("a folder");
    run(&office(folder.path())).expect("it runs");

    let figures = figures(&folder.path().join("figures.json"));
    for policy in ["uncontrolled", "uncontrolled_within", "fair"] {
        for key in KEYS {
            assert!(figures[policy][key].is_number(), "{policy} {key}");
        }
    }
    let number = |policy: &str, key: &str| figures[policy][key].as_f64().expect("a number");
    let fair = |key: &str| number("fair", key);
    assert_eq!(fair("overload_seconds"), 0.0);
    assert!(number("uncontrolled", "unmet_energy_kwh") <= fair("unmet_energy_kwh"));
    assert!(100.0 < fair("ev_energy_kwh") && 0.0 < fair("setpoints_sent"));
    let parts = fair("pv_to_ev_kwh") + fair("grid_energy_kwh");
    assert!((parts - fair("ev_energy_kwh")).abs() < 0.01);
    assert!((fair("energy_cost_eur") - fair("grid_energy_kwh") * 0.05).abs() < 0.01);

    let page = std::fs::read_to_string(folder.path().join("report.html")).expect("written");
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(!page.contains("http"), "nothing is fetched from elsewhere");

    let journal = folder.path().join("journal.jsonl");
    let Ok(Replay::Same { steps }) = replay(&journal) else { panic!("{:?}", replay(&journal)) };
    assert!(1000 < steps);
}

#[test]
fn a_plan_takes_more_sun_than_fair_shares_and_replays() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = SimulateArgs { to: Some(DAY + Duration::hours(24)), ..office(folder.path()) };
    run(&args).expect("it runs");
    let fair = figures(&folder.path().join("figures.json"))["fair"].clone();
    let preferences = Some(Preferences::Declared);
    run(&SimulateArgs { policy: Policy::Plan, preferences, ..args }).expect("it runs");
    let plan = figures(&folder.path().join("figures.json"))["plan"].clone();
    let number = |of: &Value, key: &str| of[key].as_f64().expect("a number");
    assert_eq!(number(&plan, "overload_seconds"), 0.0);
    let sun = |of: &Value| number(of, "self_production_ratio");
    assert!(sun(&fair) + 0.02 < sun(&plan), "{} against {}", sun(&plan), sun(&fair));
    let plans = number(&plan, "plans");
    assert!((12.0..=12.0 * 24.0).contains(&plans), "{plans} plans");

    let journal = folder.path().join("journal.jsonl");
    let Ok(Replay::Same { .. }) = replay(&journal) else { panic!("{:?}", replay(&journal)) };
}

#[test]
fn a_replay_names_the_first_step_that_differs() {
    let folder = tempfile::tempdir().expect("a folder");
    run(&SimulateArgs {
        to: Some(DAY + Duration::hours(9)),
        json: None,
        report: None,
        ..office(folder.path())
    })
    .expect("it runs");
    let journal = folder.path().join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).expect("written");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let told = lines.iter().position(|line| line.contains("\"limit_a\":16.0")).expect("a limit");
    lines[told] = lines[told].replace("\"limit_a\":16.0", "\"limit_a\":17.0");
    std::fs::write(&journal, lines.join("\n")).expect("written");
    let Ok(Replay::Different(found)) = replay(&journal) else { panic!("it differs") };
    assert_eq!(found.line, told as u64 + 1);
    assert!(found.recorded.as_deref().is_some_and(|text| text.contains("17.0")), "{found:?}");
    assert!(found.replayed.as_deref().is_some_and(|text| text.contains("16.0")), "{found:?}");
}

#[test]
fn a_missing_file_is_named() {
    let error =
        run(&arguments("office.toml", PathBuf::from("none.csv"))).expect_err("no such file");
    assert!(error.to_string().starts_with("none.csv: "), "{error}");
}

/// A file of the shared data; none where it is absent, and then the test says nothing.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/scenario").join(name);
    path.exists().then_some(path)
}

#[test]
fn the_office_year_without_control_is_the_known_one() {
    let Some(sessions) = shared("cea-dev-2019-sessions.csv.gz") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let args = SimulateArgs {
        pv: shared("cea-dev-2019-pv-hourly.csv.gz"),
        policy: Policy::Uncontrolled,
        json: Some(folder.path().join("figures.json")),
        ..arguments("office.toml", sessions)
    };
    run(&args).expect("it runs");
    let figures = &figures(&folder.path().join("figures.json"))["uncontrolled"];
    let number = |key: &str| figures[key].as_f64().expect("a number");
    assert!((number("ev_energy_kwh") - 36_809.0).abs() < 1.0, "{figures}");
    assert!((number("pv_energy_kwh") - 43_710.1).abs() < 1.0, "{figures}");
    // 0.4177 where power is averaged over quarter hours first, a little less from step to step.
    assert!((number("self_production_ratio") - 0.4177).abs() < 0.005, "{figures}");
}

#[test]
fn a_week_of_the_office_year_is_kept_inside_the_connection() {
    let Some(sessions) = shared("cea-dev-2019-sessions.csv.gz") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let args = SimulateArgs {
        pv: shared("cea-dev-2019-pv-hourly.csv.gz"),
        from: Utc::parse("2019-03-04T00:00:00Z"),
        to: Utc::parse("2019-03-09T00:00:00Z"),
        json: Some(folder.path().join("figures.json")),
        ..arguments("office.toml", sessions)
    };
    run(&args).expect("it runs");
    let figures = &figures(&folder.path().join("figures.json"))["fair"];
    assert_eq!(figures["overload_seconds"], 0.0, "{figures}");
    let (energy, unmet) = (&figures["ev_energy_kwh"], &figures["unmet_energy_kwh"]);
    let (energy, unmet) = (energy.as_f64().expect("kWh"), unmet.as_f64().expect("kWh"));
    assert!(unmet < 0.03 * energy, "{figures}");
}
