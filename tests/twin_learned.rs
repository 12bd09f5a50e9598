//! What a site has learned outlives the box: killed, ended in order, upgraded; and what is deleted
//! stays deleted.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ampgate::config;
use ampgate::controller::Controller;
use ampgate::controller::message::{Answer, Order};
use ampgate::ground::ids::{EvseId, IdToken};
use ampgate::ground::spread::{normal, quantile};
use ampgate::ground::time::{Duration, Instant, Now, Utc};
use ampgate::model::event::EventKind;
use ampgate::model::preference::{PreferenceSource, StateOfCharge, Wish};
use ampgate::model::record::{LearnedRecord, Record, Remembered};
use ampgate::model::site::Site;
use ampgate::plan;
use ampgate::plan::problem::{Car, CarKind, Need, Problem};
use ampgate::twin::Twin;
use ampgate::twin::sample::{clear_day, working_day, yard};
use ampgate::twin::scenario::{CarModel, Declared, Scenario, Visit};
use ampgate::twin::solver::Solver;
use serde_json::Value;

/// A Tuesday in spring.
const MIDNIGHT: Utc = Utc::from_millis(1_551_744_000_000);
const DAYS: i64 = 1;
/// After its arrival a car is in a plan, and nothing was measured of it yet.
const SEEN: Duration = Duration::seconds(20);

fn office() -> Site {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/office.toml");
    let text = std::fs::read_to_string(path).expect("an example of ours");
    config::parse(&text, "office.toml").expect("it is accepted").config.site
}

/// Working days under a clear sky; half of the drivers say what they need.
fn days() -> Twin {
    let site = office();
    let mut visits = Vec::new();
    let mut roof = Vec::new();
    for day in 0..DAYS + 1 {
        let midnight = MIDNIGHT + Duration::hours(24 * day);
        visits.extend(working_day(&site, midnight, 7 + day as u64));
        roof.extend(clear_day(midnight, 30_000.0, Duration::minutes(15)).steps().to_vec());
    }
    for visit in visits.iter_mut().step_by(2) {
        visit.declared =
            Some(Declared { energy_wh: Some(visit.car.need_wh), departure: Some(visit.departure) });
    }
    let roof = ampgate::ground::series::Series::new(roof);
    let power = [("roof".to_owned(), roof)].into();
    let mut twin = Twin::new(site, Scenario { visits, power, ..Scenario::default() }, MIDNIGHT);
    // Instant plans do: what is learned does not depend on better ones.
    twin.solve_with(Solver::new(|_| None));
    twin
}

fn learned(twin: &Twin) -> BTreeMap<String, String> {
    let all = twin.controller().expect("the box runs").remembered().learned;
    all.into_iter().map(|known| (known.name, known.text)).collect()
}

/// Of drivers alone: these are written at the end of each stay.
fn habits(learned: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let of_drivers = |name: &str| name.starts_with("stay/") || name.starts_with("token/");
    learned.clone().into_iter().filter(|(name, _)| of_drivers(name)).collect()
}

fn json(learned: &BTreeMap<String, String>, name: &str) -> Value {
    serde_json::from_str(&learned[name]).expect("JSON")
}

#[test]
fn a_kill_loses_no_habit_and_at_most_three_hours_of_sun() {
    let mut twin = days();
    let killed = MIDNIGHT + Duration::hours(24 * DAYS + 14);
    twin.run_until(killed, &mut |_, _, _| {});
    let before = learned(&twin);
    assert!(12 < habits(&before).len(), "{:?}", before.keys());
    an_end_in_order_loses_nothing_at_all(&twin, killed);
    twin.restart(Duration::seconds(5));
    twin.run_for(Duration::seconds(10));
    let after = learned(&twin);
    assert_eq!(habits(&after), habits(&before));
    let lines = |learned: &BTreeMap<String, String>| json(learned, "pv")["fit"]["lines"].clone();
    assert!(lines(&after).as_array().is_some_and(|lines| !lines.is_empty()));
    let quarters = |learned: &BTreeMap<String, String>| {
        let quarters = json(learned, "pv")["quarters"].clone();
        quarters["watts"].as_array().expect("quarter hours").len()
    };
    let lost = quarters(&before) - quarters(&after);
    assert!(lost <= 12, "{lost} quarter hours are gone");
    let error = |learned: &BTreeMap<String, String>| json(learned, "pv")["record"].clone();
    assert!(error(&after).is_object() && after["peak"].contains("highest_kw"));
    // The next plan speaks of the days before the kill.
    twin.run_for(Duration::minutes(20));
    let plan = twin.view().expect("the box runs").plan.expect("cars are there");
    assert!(plan.forecast.contains("sun: 1 h ahead off by"), "{}", plan.forecast);
}

/// What the controller hands over at its end is what the next one begins with.
fn an_end_in_order_loses_nothing_at_all(twin: &Twin, at: Utc) {
    let controller = twin.controller().expect("the box runs");
    let record = |record| match record {
        Record::Learned(known) => known,
        other => panic!("{other:?} was never learned"),
    };
    let learned: Vec<LearnedRecord> = controller.learned().into_iter().map(record).collect();
    let remembered = Remembered { learned: learned.clone(), ..Remembered::default() };
    let now = Now { mono: Instant::START, utc: Some(at) };
    let again = Controller::new(office(), &remembered, now);
    assert_eq!(again.remembered().learned, learned);
}

#[test]
fn what_is_deleted_of_a_token_stays_deleted_after_a_power_cut() {
    let mut twin = days();
    twin.run_until(MIDNIGHT + Duration::hours(20), &mut |_, _, _| {});
    let known = habits(&learned(&twin));
    let name = known.keys().find(|name| name.starts_with("token/")).expect("a token");
    let token = IdToken::new(&name["token/".len()..].to_uppercase());
    let forget = |twin: &mut Twin, token: Option<IdToken>| {
        twin.order(Order::Forget { token }).expect("the box runs")
    };
    assert_eq!(forget(&mut twin, Some(token.clone())), Answer::Done);
    let again = forget(&mut twin, Some(token.clone()));
    assert!(matches!(again, Answer::Refused { why } if why.starts_with("nothing was learned of")));
    let told = twin.events().iter().find(|event| event.kind == EventKind::Forgotten);
    let told = told.expect("an event");
    assert!(!told.text.contains(token.as_str()), "{}", told.text);
    twin.run_for(Duration::seconds(2));
    twin.restart(Duration::seconds(5));
    twin.run_for(Duration::seconds(10));
    let mut expected = known.clone();
    expected.remove(name);
    assert_eq!(habits(&learned(&twin)), expected);
    assert_eq!(forget(&mut twin, None), Answer::Done);
    twin.run_for(Duration::seconds(2));
    twin.restart(Duration::seconds(5));
    twin.run_for(Duration::seconds(10));
    assert_eq!(habits(&learned(&twin)), BTreeMap::new());
}

#[test]
fn what_cannot_be_read_is_told_and_learned_anew() {
    let learned =
        |name: &str, text: &str| LearnedRecord { name: name.to_owned(), text: text.to_owned() };
    let learned = vec![learned("pv", "{\"peak_kw\": 35"), learned("phases", "[0.5,0.25,0.25]")];
    let remembered = Remembered { learned, ..Remembered::default() };
    let now = |seconds| Now {
        mono: Instant::START + Duration::seconds(seconds),
        utc: Some(MIDNIGHT + Duration::seconds(seconds)),
    };
    let mut controller = Controller::new(office(), &remembered, now(0));
    let mut out = Vec::new();
    for second in 0..60 {
        controller.step(now(second), ampgate::controller::message::Input::Wake, &mut out);
    }
    let events = controller.view(now(60)).events;
    let lost: Vec<&str> = events
        .iter()
        .filter(|event| event.kind == EventKind::LearnedLost)
        .map(|event| event.text.as_str())
        .collect();
    assert_eq!(lost, ["cannot be read and is learned anew: pv"]);
    let kept = controller.remembered().learned;
    let phases = kept.iter().find(|known| known.name == "phases").expect("it is known");
    assert_eq!(phases.text, "[0.5,0.25,0.25]");
}

/// Where one car comes each morning from eight to noon: to a point of three phases and 32 A, of
/// which it uses one with 10 A, for 6 kWh. Its problems as they are posed.
fn mornings() -> (Twin, Arc<Mutex<Option<Problem>>>) {
    let site = Site { plan: office().plan, ..yard() };
    let visit = |day: i64| {
        let arrival = MIDNIGHT + Duration::hours(24 * day + 8);
        let (token, car) = ("TAG1".to_owned(), CarModel::plain(1, 10.0, 6_000.0));
        let departure = arrival + Duration::hours(4);
        Visit { evse: 2, token, arrival, departure, car, declared: None }
    };
    let visits = (0..4).map(visit).collect();
    let mut twin = Twin::new(site, Scenario { visits, ..Scenario::default() }, MIDNIGHT);
    let posed = Arc::new(Mutex::new(None));
    let note = Arc::clone(&posed);
    twin.solve_with(Solver::new(move |problem| {
        *note.lock().expect("nobody panics with it") = Some(problem.clone());
        Some(plan::best(problem))
    }));
    (twin, posed)
}

/// The car in the first plan of a day, before anything was measured of it.
fn arrived(twin: &mut Twin, posed: &Mutex<Option<Problem>>, day: i64) -> Car {
    twin.run_until(MIDNIGHT + Duration::hours(24 * day + 8) + SEEN, &mut |_, _, _| {});
    let problem = posed.lock().expect("nobody panics with it").clone().expect("a car is there");
    problem.cars.into_iter().find(|car| car.kind == CarKind::Present).expect("it stands there")
}

/// What is needed, and by when, in at least half of what is likely.
fn likely(car: &Car) -> (f64, Utc) {
    let of = |value: fn(&Need) -> f64| {
        let cases = car.needs.iter().map(|need| (value(need), need.eur_per_kwh)).collect();
        quantile(&normal(cases), 0.5).expect("it needs something")
    };
    let by = of(|need| need.by.as_millis() as f64);
    (of(|need| need.kwh), Utc::from_millis(by as i64))
}

#[test]
fn what_a_driver_and_a_car_did_is_in_the_plan_of_the_next_day() {
    let (mut twin, posed) = mornings();
    let stranger = arrived(&mut twin, &posed, 0);
    assert_eq!((stranger.phases, stranger.max_a), ([true; 3], 16.0), "as most cars take");
    let known = arrived(&mut twin, &posed, 3);
    let on = known.phases.iter().filter(|loads| **loads).count();
    assert_eq!(on, 1, "it was seen to load one phase");
    assert!((9.0..11.0).contains(&known.max_a), "{} A", known.max_a);
    let (kwh, by) = likely(&known);
    assert!((5.5..6.5).contains(&kwh), "{kwh} kWh");
    let noon = MIDNIGHT + Duration::hours(24 * 3 + 12);
    assert!(noon - Duration::minutes(20) < by && by <= noon, "by {by:?}");
    let says = &known.needs[0].cause;
    assert!(says.contains("habit of this token, 3 stays"), "{says}");
}

#[test]
fn a_battery_that_was_seen_makes_kilowatt_hours_of_percent() {
    let (mut twin, posed) = mornings();
    let percent = |arrival_percent, target_percent| {
        let charge = Some(StateOfCharge { arrival_percent, target_percent, capacity_wh: None });
        let (evse, source) = (EvseId::new("E3"), PreferenceSource::Driver);
        Order::Prefer { evse, session: None, wish: Wish { charge, ..Wish::default() }, source }
    };
    let mut needs = Vec::new();
    for (day, (from, to)) in [(20.0, 80.0), (40.0, 70.0)].into_iter().enumerate() {
        arrived(&mut twin, &posed, day as i64);
        assert_eq!(twin.order(percent(from, to)), Some(Answer::Done));
        twin.run_for(Duration::minutes(1));
        let stay = twin.view().expect("the box runs").evses[2].stay.expect("it charges");
        needs.push(stay.need_kwh);
    }
    // The first day 60 % were 6 kWh, so 30 % are 3 kWh the next; some of it has been charged.
    assert_eq!(needs[0], None, "nothing is known of its battery yet");
    let left = needs[1].expect("its battery is known");
    assert!((2.9..=3.0).contains(&left), "{left} kWh");
    let problem = posed.lock().expect("nobody panics with it").clone().expect("a car is there");
    let need = &problem.cars[0].needs[0];
    assert!((2.9..3.1).contains(&need.kwh) && need.cause == "the driver", "{need:?}");
}
