//! From bare currents to a plan: power, cost, reasons and words, the same for every method.

use super::cost;
use super::problem::{Car, Problem};
use super::reason::Scene;
use super::solution::{CarPlan, Method, Plan};
use super::words::{self, Clock};

/// The plan that these currents (by car and step, in A on each phase) are.
pub fn plan(problem: &Problem, method: Method, current_a: &[Vec<f64>], note: String) -> Plan {
    let weighed = cost::weigh(problem, current_a);
    let scene = Scene::new(problem, current_a, &weighed.import_kw, &weighed.missing_kwh);
    let clock = Clock::new(problem);
    let cars = problem.cars.iter().enumerate().map(|(at, car)| {
        let missing_kwh = weighed.missing_kwh.get(at).cloned().unwrap_or_default();
        let current_a = current_a.get(at).cloned().unwrap_or_default();
        let mut planned = CarPlan {
            evse: car.evse.clone(),
            session: car.session,
            power_kw: power_kw(problem, car, &current_a),
            reasons: scene.reasons(at, &missing_kwh),
            worth_eur_per_kwh: scene.worth(at, 0, &missing_kwh),
            loss_eur_per_kwh: scene.loss(at, 0),
            current_a,
            missing_kwh,
            words: String::new(),
        };
        planned.words = words::car(car, &planned, &clock);
        planned
    });
    let mut plan = Plan {
        grid: problem.grid.clone(),
        method,
        cars: cars.collect(),
        import_kw: weighed.import_kw.clone(),
        cost: weighed.terms,
        words: String::new(),
        note,
    };
    plan.words = words::plan(problem, &plan, scene.sun_kwh(), &clock);
    plan
}

/// Power over all phases, averaged over each step, in kW.
fn power_kw(problem: &Problem, car: &Car, current_a: &[f64]) -> Vec<f64> {
    let phases = car.phases.iter().filter(|loads| **loads).count() as f64;
    let kw_per_a = problem.voltage_v / 1000.0 * phases;
    let share = |step: usize| {
        let (begin, end) = (problem.grid[step], problem.grid[step + 1]);
        let length = end.since(begin).as_hours();
        let there = end.min(car.until).since(begin.max(car.from)).as_hours().max(0.0);
        if 0.0 < length { there / length } else { 0.0 }
    };
    current_a.iter().enumerate().map(|(step, current)| current * kw_per_a * share(step)).collect()
}
