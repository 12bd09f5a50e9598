//! Plans in the twin: refused when they are not sound, missed when the solver fails; and the
//! breakers hold whatever comes.

use std::path::Path;

use ampgate::config;
use ampgate::ground::time::{Duration, Utc};
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
