//! Plans in the twin: refused when they are not sound, missed when the solver fails; and the
//! breakers hold whatever comes.

use std::path::Path;
use std::sync::{Arc, Mutex};

use ampgate::config;
use ampgate::controller::message::{Answer, Order};
use ampgate::ground::ids::EvseId;
use ampgate::ground::series::Series;
use ampgate::ground::time::{Duration, Utc};
use ampgate::ground::units::Amps;
use ampgate::model::event::EventKind;
use ampgate::model::site::Site;
use ampgate::plan;
use ampgate::twin::Twin;
use ampgate::twin::sample::{clear_day, working_day};
use ampgate::twin::scenario::{Declared, Scenario};
use ampgate::twin::solver::Solver;

/// A Friday in spring.
const MIDNIGHT: Utc = Utc::from_millis(1_551_398_400_000);

fn office() -> Site {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/office.toml");
    let text = std::fs::read_to_string(path).expect("an example of ours");
    config::parse(&text, "office.toml").expect("it is accepted").config.site
}

/// A working day under a clear sky; drivers say what they need.
fn day(site: &Site) -> Scenario {
    let mut visits = working_day(site, MIDNIGHT, 7);
    for visit in &mut visits {
        visit.declared =
            Some(Declared { energy_wh: Some(visit.car.need_wh), departure: Some(visit.departure) });
    }
    let roof = clear_day(MIDNIGHT, 30_000.0, Duration::minutes(15));
    Scenario { visits, power: [("roof".to_owned(), roof)].into(), ..Scenario::default() }
}

/// Runs the day with a solver; the twin afterwards.
fn run(solver: Solver) -> Twin {
    let site = office();
    let scenario = day(&site);
    let mut twin = Twin::new(site, scenario, MIDNIGHT);
    twin.solve_with(solver);
    twin.run_until(MIDNIGHT + Duration::hours(24), &mut |_, _, _| {});
    twin
}

#[test]
fn a_solver_that_fails_costs_the_better_plan_and_nothing_else() {
    let twin = run(Solver::new(|_| None));
    assert!(twin.events().iter().any(|event| event.kind == EventKind::PlanFailed));
    assert_eq!(twin.checker().overload, Duration::ZERO);
    let got: f64 = twin.outcomes().iter().map(|one| one.got_wh).sum();
    let need: f64 = twin.outcomes().iter().map(|one| one.need_wh).sum();
    assert!(0.85 * need < got, "{got} of {need} Wh");
}

#[test]
fn without_a_solver_an_instant_plan_of_the_moment_is_followed() {
    let site = office();
    let scenario = day(&site);
    let mut twin = Twin::new(site, scenario, MIDNIGHT);
    twin.solve_with(Solver::new(|_| None));
    for quarter in 36..44 {
        let posed = MIDNIGHT + Duration::minutes(15) * quarter;
        twin.run_until(posed + Duration::seconds(5), &mut |_, _, _| {});
        let plan = twin.view().expect("the box runs").plan.expect("cars are there");
        assert!(posed <= plan.grid[0], "at {posed:?} that of {:?} is followed", plan.grid[0]);
    }
}

/// Car and step of the plan in force, in kW.
fn planned(twin: &Twin, evse: &str) -> Vec<(Utc, f64)> {
    let plan = twin.view().expect("the box runs").plan.expect("cars are there");
    let car = plan.car(evse).expect("it is planned for");
    plan.grid.iter().copied().zip(car.power_kw.iter().copied()).collect()
}

#[test]
fn a_plan_promises_nothing_that_a_partners_limit_forbids() {
    let site = office();
    let scenario = day(&site);
    let mut twin = Twin::new(site, scenario, MIDNIGHT);
    twin.solve_with(Solver::new(|problem| Some(plan::best(problem))));
    let ten = MIDNIGHT + Duration::hours(10);
    twin.run_until(ten, &mut |_, _, _| {});
    let plan = twin.view().expect("the box runs").plan.expect("cars are there");
    let busy = |evse: &str| planned(&twin, evse).iter().map(|(_, kw)| kw).sum::<f64>();
    let most = |one: &&str, other: &&str| busy(one).total_cmp(&busy(other));
    let evse = plan.cars.iter().map(|car| car.evse.as_str()).max_by(most).expect("a car");
    let until = ten + Duration::hours(2);
    let order = Order::PartnerLimit {
        evse: EvseId::new(evse),
        partner: "cpo".to_owned(),
        limit: Some(Amps::ZERO),
        lasts: Duration::hours(2),
    };
    assert_eq!(twin.order(order), Some(Answer::Done));
    twin.run_for(Duration::minutes(1));
    let steps = planned(&twin, evse);
    let forbidden: f64 = steps.iter().filter(|(at, _)| *at < until).map(|(_, kw)| kw).sum();
    let later: f64 = steps.iter().filter(|(at, _)| until <= *at).map(|(_, kw)| kw).sum();
    assert!(forbidden < 0.01 && 0.5 < later, "{forbidden} before, {later} after: {steps:?}");
    let view = twin.view().expect("the box runs").plan.expect("cars are there");
    let course = &view.car(evse).expect("it is planned for").course;
    assert_eq!(course[0].reason, "profile of partner cpo");
    // Taken back, it is planned for at once.
    let order = Order::PartnerLimit {
        evse: EvseId::new(evse),
        partner: "cpo".to_owned(),
        limit: None,
        lasts: Duration::ZERO,
    };
    assert_eq!(twin.order(order), Some(Answer::Done));
    twin.run_for(Duration::minutes(1));
    assert!(0.5 < planned(&twin, evse).iter().map(|(_, kw)| kw).sum::<f64>());
}

#[test]
fn a_plan_beyond_a_car_is_refused_by_the_audit() {
    let twin = run(Solver::new(|problem| {
        let mut plan = plan::best(problem);
        for car in &mut plan.cars {
            car.current_a.iter_mut().for_each(|current| *current = 500.0);
        }
        Some(plan)
    }));
    let refused = |text: &str| text.contains("refused by the audit");
    assert!(twin.events().iter().any(|event| refused(&event.text)));
    assert_eq!(twin.checker().overload, Duration::ZERO);
}

/// When plans were made up to 11:15 with 20 kW from the roof, and so much of it after 11:05; with
/// the sun that each counts on.
fn plans(later_w: f64) -> Vec<(Utc, f64)> {
    let site = office();
    let mut scenario = day(&site);
    let step = MIDNIGHT + Duration::minutes(11 * 60 + 5);
    let roof = Series::new(vec![(MIDNIGHT, -20_000.0), (step, -later_w)]);
    scenario.power.insert("roof".to_owned(), roof);
    let made = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&made);
    let mut twin = Twin::new(site, scenario, MIDNIGHT);
    twin.solve_with(Solver::new(move |problem| {
        let sun = problem.series.pv_kw[0].mid;
        note.lock().expect("nobody panics with it").push((problem.grid[0], sun));
        Some(plan::best(problem))
    }));
    twin.run_until(MIDNIGHT + Duration::minutes(11 * 60 + 14), &mut |_, _, _| {});
    let all = made.lock().expect("nobody panics with it").clone();
    all.into_iter().filter(|(at, _)| step < *at).collect()
}

#[test]
fn a_plan_whose_sun_has_gone_is_made_anew_before_the_quarter_is_over() {
    let steady = plans(20_000.0);
    let gone = plans(2000.0);
    let knows = |all: &[(Utc, f64)]| all.iter().filter(|(_, sun)| *sun < 5.0).count();
    assert_eq!(knows(&steady), 0, "{steady:?}");
    assert!(0 < knows(&gone), "{gone:?}");
    assert!(gone.len() <= steady.len() + 2, "not again and again: {gone:?}");
}
