//! Whether a plan keeps every bound: the last word before a plan is followed.
//!
//! Own arithmetic, straight from the problem; shares no code with what finds plans, so that one
//! mistake cannot hide another. Energy is not judged here, only what is safe and what is possible.

use crate::ground::time::Utc;

use super::problem::{Car, CarKind, Problem, ProblemNode};
use super::solution::Plan;

/// Rounding of floating point is forgiven up to this, in A or kW.
const TOLERANCE: f64 = 1e-3;
/// In the first steps a current is zero or at least the car's minimum.
const EXACT_STEPS: usize = 4;
/// More faults than this need not be told.
const FAULTS_MAX: usize = 100;

/// What is wrong with a plan, each in a sentence; empty if it may be followed.
pub fn faults(problem: &Problem, plan: &Plan) -> Vec<String> {
    if plan.grid != problem.grid {
        return vec![String::from("the plan has other steps than the problem")];
    }
    if plan.cars.len() != problem.cars.len() {
        let (found, expected) = (plan.cars.len(), problem.cars.len());
        return vec![format!("the plan has {found} cars, expected {expected}")];
    }
    let named = problem.cars.iter().zip(&plan.cars);
    for (at, (car, planned)) in named.enumerate() {
        if car.evse != planned.evse {
            return vec![format!("cars[{at}] is {}, expected {}", planned.evse, car.evse)];
        }
    }
    let current_a: Vec<Vec<f64>> = plan.cars.iter().map(|car| car.current_a.clone()).collect();
    schedule(problem, &current_a)
}

/// What is wrong with currents (by car and step, in A on each phase).
pub fn schedule(problem: &Problem, current_a: &[Vec<f64>]) -> Vec<String> {
    let steps = problem.grid.len().saturating_sub(1);
    let mut faults = Vec::new();
    for (car, currents) in problem.cars.iter().zip(current_a) {
        if currents.len() != steps {
            faults.push(format!("{}: {} steps, expected {steps}", car.evse, currents.len()));
            return faults;
        }
        for (step, current) in currents.iter().enumerate() {
            let span = (problem.grid[step], problem.grid[step + 1]);
            if let Some(fault) = car_fault(car, step, span, *current) {
                faults.push(format!("{}, step {step}: {fault}", car.evse));
            }
        }
    }
    if problem.cars.len() != current_a.len() {
        faults.push(format!("{} cars, expected {}", current_a.len(), problem.cars.len()));
        return faults;
    }
    for (index, node) in problem.nodes.iter().enumerate() {
        let cars = problem.cars.iter().zip(current_a);
        let below: Vec<(&Car, &[f64])> = cars
            .filter(|(car, _)| hangs_below(problem, car, index))
            .map(|(car, currents)| (car, currents.as_slice()))
            .collect();
        for step in 0..steps {
            node_faults(problem, node, &below, step, &mut faults);
        }
    }
    faults.truncate(FAULTS_MAX);
    faults
}

/// What is wrong with one car's current in one step.
fn car_fault(car: &Car, step: usize, span: (Utc, Utc), current: f64) -> Option<String> {
    if !current.is_finite() || current < -TOLERANCE {
        return Some(format!("{current} A is no current"));
    }
    if current <= TOLERANCE {
        return None;
    }
    if span.1 <= car.from || car.until <= span.0 {
        return Some(format!("{current:.3} A while the car is not there"));
    }
    // Written so that what is no number is a fault too.
    let within = |limit: f64| current <= limit + TOLERANCE;
    if !within(car.max_a) {
        return Some(format!("{current:.3} A, at most {:.3} A", car.max_a));
    }
    for bound in &car.bounds {
        let ends = bound.until.is_some_and(|until| until <= span.0);
        if bound.from < span.1 && !ends && !within(bound.limit_a) {
            return Some(format!(
                "{current:.3} A, at most {:.3} A ({})",
                bound.limit_a, bound.cause
            ));
        }
    }
    let exact = step < EXACT_STEPS && car.kind != CarKind::Expected;
    if exact && current + TOLERANCE < car.min_a {
        return Some(format!("{current:.3} A, zero or at least {:.3} A", car.min_a));
    }
    None
}

/// Whether a car hangs below a node; a car whose place makes no sense hangs below every node.
fn hangs_below(problem: &Problem, car: &Car, node: usize) -> bool {
    let mut at = car.node;
    for _ in 0..=problem.nodes.len() {
        if at == node {
            return true;
        }
        match problem.nodes.get(at) {
            None => return true,
            Some(ProblemNode { parent: Some(parent), .. }) => at = *parent,
            Some(_) => return false,
        }
    }
    true
}

/// What is wrong at a node with the cars `below` it.
fn node_faults(
    problem: &Problem,
    node: &ProblemNode,
    below: &[(&Car, &[f64])],
    step: usize,
    faults: &mut Vec<String>,
) {
    let mut load = [0.0; 3];
    let mut single = [0.0; 3];
    for (car, currents) in below {
        if currents[step] <= 0.0 {
            continue;
        }
        let all_three = car.phases.iter().all(|loads| *loads);
        for phase in 0..3 {
            if car.phases[phase] {
                load[phase] += currents[step];
                single[phase] += if all_three { 0.0 } else { currents[step] };
            }
        }
    }
    let cars_a: f64 = load.iter().sum();
    if cars_a <= 0.0 {
        return;
    }
    let other = match node.other_a.get(step) {
        Some(other) => *other,
        None => node.other_a.last().copied().unwrap_or([0.0; 3]),
    };
    let mut check = |what: std::fmt::Arguments<'_>, planned: f64, limit: f64| {
        // Where other load alone is beyond the limit, nothing may be planned.
        let within = planned <= TOLERANCE || planned <= limit.max(0.0) + TOLERANCE;
        if !within {
            faults.push(format!(
                "{}, step {step}: {what} {planned:.3}, at most {limit:.3}",
                node.name
            ));
        }
    };
    for phase in 0..3 {
        if let Some(rating) = node.rating_a {
            check(format_args!("A on L{}", phase + 1), load[phase], rating[phase] - other[phase]);
        }
        if let Some(most) = node.imbalance_a {
            check(format_args!("A of unbalanced load on L{}", phase + 1), single[phase], most);
        }
    }
    let kw = cars_a * problem.voltage_v / 1000.0;
    if let Some(limit) = node.power_limit_kw {
        let other_kw = (other[0] + other[1] + other[2]) * problem.voltage_v / 1000.0;
        check(format_args!("kW"), kw, limit - other_kw);
    }
    for limit in &node.limits {
        let ended = limit.until.is_some_and(|until| until <= problem.grid[step]);
        if limit.from < problem.grid[step + 1] && !ended {
            check(format_args!("kW ({})", limit.cause), kw, limit.limit_kw);
        }
    }
}
