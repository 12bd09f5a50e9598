//! How much more than planned each car could be given, step by step, while everybody else keeps to
//! the plan: what a car can make up for. For people and for updates; the guard never asks.
//!
//! What is free at a breaker is divided evenly among the cars below it, so that all of them may
//! take theirs at once. The imbalance of phases is left out.

use crate::ground::time::Utc;
use crate::plan::problem::{Car, CarKind, Problem};
use crate::plan::solution::Plan;

/// Room in a node in one step: by phase in A, and over all phases in kW.
#[derive(Clone, Copy)]
struct Room {
    phases_a: [f64; 3],
    power_kw: f64,
    /// Cars that may want of it, by phase and in all.
    wanting: ([f64; 3], f64),
}

/// By car of the problem, the most in kW in each step.
pub fn most_kw(problem: &Problem, plan: &Plan) -> Vec<Vec<f64>> {
    let steps = problem.grid.len().saturating_sub(1);
    let above: Vec<Vec<usize>> = problem.cars.iter().map(|car| above(problem, car)).collect();
    let mut most = vec![Vec::with_capacity(steps); problem.cars.len()];
    for step in 0..steps {
        let rooms = rooms(problem, plan, &above, step);
        for (at, car) in problem.cars.iter().enumerate() {
            let planned = planned_a(plan, at, step);
            let kw_per_a = kw_per_a(problem, car);
            let spare = above[at]
                .iter()
                .map(|node| spare_a(&rooms[*node], car, kw_per_a))
                .fold(f64::INFINITY, f64::min);
            let could = (planned + spare.max(0.0)).min(takes_a(problem, car, step)).max(planned);
            let flows = car.min_a <= could && is_there(problem, car, step);
            most[at].push(if flows { could * kw_per_a } else { 0.0 });
        }
    }
    most
}

/// The nodes that a car hangs below.
fn above(problem: &Problem, car: &Car) -> Vec<usize> {
    let mut nodes = Vec::new();
    let mut at = Some(car.node);
    while let Some(node) = at.filter(|node| *node < problem.nodes.len() && !nodes.contains(node)) {
        nodes.push(node);
        at = problem.nodes[node].parent;
    }
    nodes
}

fn rooms(problem: &Problem, plan: &Plan, above: &[Vec<usize>], step: usize) -> Vec<Room> {
    let (from, until) = (problem.grid[step], problem.grid[step + 1]);
    let room = |node: &crate::plan::problem::ProblemNode| {
        let other = node.other_a.get(step).copied().unwrap_or_default();
        let here = node.limits.iter().filter(|one| holds(one.from, one.until, from, until));
        let outside = here.map(|one| one.limit_kw).fold(f64::INFINITY, f64::min);
        let other_kw = other.iter().sum::<f64>() * problem.voltage_v / 1000.0;
        let power_kw = node.power_limit_kw.map_or(f64::INFINITY, |limit| limit - other_kw);
        let rating = node.rating_a.unwrap_or([f64::INFINITY; 3]);
        Room {
            phases_a: std::array::from_fn(|phase| rating[phase] - other[phase]),
            power_kw: power_kw.min(outside),
            wanting: ([0.0; 3], 0.0),
        }
    };
    let mut rooms: Vec<Room> = problem.nodes.iter().map(room).collect();
    for (at, car) in problem.cars.iter().enumerate() {
        let planned = planned_a(plan, at, step);
        let wants = car.kind == CarKind::Present && is_there(problem, car, step);
        for node in &above[at] {
            let room = &mut rooms[*node];
            for phase in (0..3).filter(|phase| car.phases[*phase]) {
                room.phases_a[phase] -= planned;
                room.wanting.0[phase] += f64::from(u8::from(wants));
            }
            room.power_kw -= planned * kw_per_a(problem, car);
            room.wanting.1 += f64::from(u8::from(wants));
        }
    }
    rooms
}

/// A car's part of what is free, in A on each of its phases.
fn spare_a(room: &Room, car: &Car, kw_per_a: f64) -> f64 {
    let phases = (0..3).filter(|phase| car.phases[*phase]);
    let parts = phases.map(|phase| room.phases_a[phase] / room.wanting.0[phase].max(1.0));
    let power = room.power_kw / room.wanting.1.max(1.0) / kw_per_a.max(f64::EPSILON);
    parts.fold(power, f64::min)
}

/// The most that a car takes in a step, by itself and by whoever limits it alone.
fn takes_a(problem: &Problem, car: &Car, step: usize) -> f64 {
    let (from, until) = (problem.grid[step], problem.grid[step + 1]);
    let here = car.bounds.iter().filter(|one| holds(one.from, one.until, from, until));
    here.map(|one| one.limit_a).fold(car.max_a, f64::min)
}

fn holds(begins: Utc, ends: Option<Utc>, from: Utc, until: Utc) -> bool {
    begins < until && ends.is_none_or(|ends| from < ends)
}

fn is_there(problem: &Problem, car: &Car, step: usize) -> bool {
    car.from < problem.grid[step + 1] && problem.grid[step] < car.until
}

fn planned_a(plan: &Plan, car: usize, step: usize) -> f64 {
    plan.cars.get(car).and_then(|car| car.current_a.get(step)).copied().unwrap_or(0.0)
}

fn kw_per_a(problem: &Problem, car: &Car) -> f64 {
    car.phases.iter().filter(|loads| **loads).count() as f64 * problem.voltage_v / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::instant;
    use crate::plan::sample;

    #[test]
    fn all_cars_may_take_what_is_spare_at_once_and_no_breaker_is_above_its_rating() {
        let mut problem = sample::office();
        problem.cars.push(Car { phases: [true, false, false], ..sample::car("EVSE-03", 4.0) });
        problem.nodes[1].other_a[3] = [20.0, 4.0, 0.0];
        problem.nodes[0].power_limit_kw = Some(15.0);
        let plan = instant::plan(&problem);
        let most = most_kw(&problem, &plan);
        let mut seen = 0.0;
        for step in 0..8 {
            let drawn = |phase: usize| -> f64 {
                let loads = problem.cars.iter().zip(&most).filter(|(car, _)| car.phases[phase]);
                loads.map(|(car, most)| most[step] / kw_per_a(&problem, car)).sum()
            };
            for phase in 0..3 {
                let left = 32.0 - problem.nodes[1].other_a[step][phase];
                assert!(drawn(phase) <= left + 1e-6, "{step} {phase}: {} {left}", drawn(phase));
            }
            let all: f64 = most.iter().map(|most| most[step]).sum();
            assert!(all <= 15.0 + 1e-6, "{step}: {all}");
            for (car, most) in plan.cars.iter().zip(&most) {
                assert!(car.power_kw[step] <= most[step] + 1e-6, "never less than planned");
                seen += most[step] - car.power_kw[step];
            }
        }
        assert!(10.0 < seen, "something is spare: {seen}");
        problem.cars[0].until = sample::hour(4);
        assert_eq!(most_kw(&problem, &plan)[0][5], 0.0, "it is not there");
    }
}
