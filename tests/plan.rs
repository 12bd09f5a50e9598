//! The planner against problems out of seeds: every plan keeps every bound, the program is never
//! dearer than what is found without it, and what makes no sense does no harm.

use ampgate::ground::time::Duration;
use ampgate::plan::figures::Figures;
use ampgate::plan::problem::Problem;
use ampgate::plan::program::Program;
use ampgate::plan::solution::Plan;
use ampgate::plan::{audit, best, cost, flow, greedy, instant, lp};
use proptest::prelude::*;

#[path = "plan/site.rs"]
#[allow(dead_code, reason = "the benches use more of it than the tests")]
mod site;

use site::{Kind, Want, begin, wild};

fn currents(plan: &Plan) -> Vec<Vec<f64>> {
    plan.cars.iter().map(|car| car.current_a.clone()).collect()
}

fn clean(problem: &Problem, plan: &Plan) -> Result<(), TestCaseError> {
    let faults = audit::faults(problem, plan);
    prop_assert!(faults.is_empty(), "{:?}: {}", plan.method, faults.join("\n"));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn every_plan_keeps_every_bound(seed in 0_u64..1_000_000) {
        let problem = wild(seed, false);
        clean(&problem, &instant::plan(&problem))?;
        let solved = lp::solve(&problem);
        prop_assert!(solved.is_ok(), "{solved:?}");
        if let Ok(plan) = solved {
            clean(&problem, &plan)?;
        }
    }

    #[test]
    fn what_makes_no_sense_gets_a_safe_plan(seed in 0_u64..1_000_000) {
        let problem = wild(seed, true);
        clean(&problem, &instant::plan(&problem))?;
        let plan = best(&problem);
        clean(&problem, &plan)?;
    }

    #[test]
    fn the_best_plan_is_never_dearer(seed in 0_u64..1_000_000) {
        let problem = wild(seed, false);
        let plan = best(&problem);
        let instant = instant::plan(&problem);
        prop_assert!(plan.cost.total_eur <= instant.cost.total_eur + 1e-9);
        let again = cost::terms(&problem, &currents(&plan)).total_eur;
        prop_assert!((again - plan.cost.total_eur).abs() <= 1e-9);
    }

    #[test]
    fn flow_is_exact_where_all_cars_load_the_same_phases(seed in 0_u64..1_000_000) {
        let problem = even(seed);
        let figures = Figures::new(&problem);
        let program = Program::new(&figures);
        let values = lp::values(&program);
        prop_assert!(values.is_ok(), "{values:?}");
        let priced = values.unwrap_or_default().into_iter().zip(&program.cost);
        let least: f64 = priced.map(|(value, cost)| value * cost).sum();
        let current_a = flow::currents(&figures);
        let terms = cost::terms(&problem, &current_a);
        // Both buy by the price that is a little lower for whoever waits.
        let bought = (0..figures.steps()).map(|step| {
            let kw = |(car, current): (usize, &Vec<f64>)| {
                current[step] * figures.expected_kw_per_a(car, step)
            };
            let kw: f64 = current_a.iter().enumerate().map(kw).sum();
            figures.tariffs[step].cost_per_hour(kw) * figures.length_h(step)
        });
        let found = bought.sum::<f64>() + terms.missing_eur + terms.late_eur;
        prop_assert!((found - least).abs() <= 1e-4, "{found} {least}");
    }

    #[test]
    fn no_schedule_is_cheaper_than_the_relaxed_program(seed in 0_u64..1_000_000) {
        let mut problem = wild(seed, false);
        for car in &mut problem.cars {
            // What cost and program count differently on purpose: the charging curve.
            car.taper = None;
        }
        let figures = Figures::new(&problem);
        let program = Program::new(&figures);
        let values = lp::values(&program);
        prop_assert!(values.is_ok(), "{values:?}");
        let priced = values.unwrap_or_default().into_iter().zip(&program.cost);
        let least: f64 = priced.map(|(value, cost)| value * cost).sum();
        let nothing = cost::terms(&problem, &figures.nothing());
        let fixed = nothing.total_eur - nothing.missing_eur;
        for current_a in [greedy::currents(&figures), flow::currents(&figures)] {
            let found = cost::terms(&problem, &current_a).total_eur;
            prop_assert!(least <= found - fixed + 1e-4, "{least} {}", found - fixed);
        }
    }
}

/// A three-phase site whose cars come and go with the steps and may charge with any current.
fn even(seed: u64) -> Problem {
    let want = if seed.is_multiple_of(2) { Want::Sun } else { Want::Cost };
    let kind = Kind { evses: 12, tight: seed.is_multiple_of(3), three_phase: true, want };
    let mut problem = site::problem(kind, seed);
    let hour = Duration::hours(1).as_millis();
    let whole = |time: ampgate::ground::time::Utc| {
        let since = time.since(begin()).as_millis();
        begin() + Duration::millis((since + hour / 2) / hour * hour)
    };
    for car in &mut problem.cars {
        car.min_a = 0.0;
        car.from = whole(car.from);
        car.until = whole(car.until);
        car.needs[0].by = car.until;
    }
    problem
}
