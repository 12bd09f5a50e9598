//! The planner against problems out of seeds: every plan keeps every bound, the program is never
//! dearer than what is found without it, and what makes no sense does no harm.

use ampgate::plan::problem::Problem;
use ampgate::plan::solution::Plan;
use ampgate::plan::{audit, best, cost, instant, lp};
use proptest::prelude::*;

#[path = "plan/site.rs"]
#[allow(dead_code, reason = "the benches use more of it than the tests")]
mod site;

use site::wild;

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
}
