//! What a schedule costs, whatever found it: plans of different methods are compared by this.
//!
//! Own arithmetic, straight from the problem; shares nothing with the program or the greedy plan.
//! A car takes at most what its room and its charging curve let it take.

use crate::ground::quantiles::Quantiles;
use crate::ground::time::Utc;

use super::problem::{Car, Problem};
use super::solution::CostTerms;

/// What a kWh that should come as fast as possible is worth, in EUR.
const FAST_EUR_PER_KWH: f64 = 0.5;

/// A schedule, weighed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weighed {
    /// Term by term.
    pub terms: CostTerms,
    /// What each need of each car misses, in kWh.
    pub missing_kwh: Vec<Vec<f64>>,
    /// Import less export of the site as expected, in kW by step.
    pub import_kw: Vec<f64>,
}

/// What currents (by car and step, in A on each phase) cost.
pub fn terms(problem: &Problem, current_a: &[Vec<f64>]) -> CostTerms {
    weigh(problem, current_a).terms
}

/// What currents (by car and step, in A on each phase) cost and miss.
pub fn weigh(problem: &Problem, current_a: &[Vec<f64>]) -> Weighed {
    let begin = problem.grid.first().copied().unwrap_or_default();
    let edges: Vec<f64> = problem.grid.iter().map(|edge| hours(begin, *edge)).collect();
    let steps = edges.len().saturating_sub(1);
    let mut cars_kwh = vec![0.0; steps];
    let mut weighed = Weighed::default();
    for (car, current) in problem.cars.iter().zip(current_a) {
        let taken = taken_kwh(problem, car, current, &edges);
        let early = finite(problem.objective.early_eur_per_kwh_h) + finite(car.early_eur_per_kwh_h);
        for step in 0..steps {
            let there = car.presence.get(step).or(car.presence.last()).copied().unwrap_or(1.0);
            cars_kwh[step] += taken[step] * there;
            let middle = (edges[step] + edges[step + 1]) / 2.0;
            weighed.terms.late_eur += taken[step] * middle * early;
        }
        let missing = missing_kwh(begin, car, &taken, &edges);
        let factor = 2_f64.powi(car.priority.clamp(-8, 8));
        for (need, missing) in car.needs.iter().zip(&missing) {
            weighed.terms.missing_eur += missing * finite(need.eur_per_kwh) * factor;
        }
        weighed.terms.missing_eur += slow_eur(problem, car, &taken, &edges);
        weighed.missing_kwh.push(missing);
    }
    site(problem, &edges, &cars_kwh, &mut weighed);
    weighed.terms.unsure_eur = unsure_eur(problem, &edges, current_a);
    let terms = &mut weighed.terms;
    terms.total_eur = terms.energy_eur
        + terms.grid_eur
        + terms.co2_eur
        + terms.peak_eur
        + terms.missing_eur
        + terms.unsure_eur
        + terms.late_eur;
    weighed
}

/// Energy on room that may not be there, node by node.
fn unsure_eur(problem: &Problem, edges: &[f64], current_a: &[Vec<f64>]) -> f64 {
    let mut kwh = 0.0;
    for (index, node) in problem.nodes.iter().enumerate() {
        let (Some(rating), false) = (node.rating_a, node.unsure_a.is_empty()) else { continue };
        let below: Vec<(&Car, &Vec<f64>)> = problem
            .cars
            .iter()
            .zip(current_a)
            .filter(|(car, _)| is_below(problem, car, index))
            .collect();
        for step in 0..edges.len().saturating_sub(1) {
            let of = |all: &[[f64; 3]]| all.get(step).or(all.last()).copied().unwrap_or_default();
            let (other, unsure) = (of(&node.other_a), of(&node.unsure_a));
            for phase in 0..3 {
                let on = below.iter().filter(|(car, _)| car.phases[phase]);
                let load: f64 = on.map(|(_, current)| figure(current, step)).sum();
                let sure = (rating[phase] - other[phase] - finite(unsure[phase])).max(0.0);
                let hours = edges[step + 1] - edges[step];
                kwh += (load - sure).max(0.0) * problem.voltage_v / 1000.0 * hours;
            }
        }
    }
    kwh * finite(problem.objective.unsure_eur_per_kwh).max(0.0)
}

/// Whether a car hangs below a node.
fn is_below(problem: &Problem, car: &Car, node: usize) -> bool {
    let mut at = Some(car.node);
    while let Some(here) = at.filter(|here| *here < problem.nodes.len()) {
        if here == node {
            return true;
        }
        at = problem.nodes[here].parent.filter(|parent| *parent < here);
    }
    false
}

/// Energy from and to the grid over all steps.
fn site(problem: &Problem, edges: &[f64], cars_kwh: &[f64], weighed: &mut Weighed) {
    let (series, want) = (&problem.series, &problem.objective);
    let mut highest = finite(want.peak_so_far_kw);
    for (step, cars_kwh) in cars_kwh.iter().enumerate() {
        let length = edges[step + 1] - edges[step];
        let cars_kw = if 0.0 < length { cars_kwh / length } else { 0.0 };
        let (pv, load) = (level(&series.pv_kw, step), level(&series.load_kw, step));
        let price = figure(&series.import_eur_per_kwh, step);
        let earned = figure(&series.export_eur_per_kwh, step);
        let intensity = figure(&series.co2_g_per_kwh, step) / 1000.0;
        let cases =
            [(0.3, pv.low - load.high), (0.4, pv.mid - load.mid), (0.3, pv.high - load.low)];
        for (weight, surplus) in cases {
            let net = cars_kw - finite(surplus);
            let (bought, sold) = (net.max(0.0), (-net).max(0.0));
            let from_grid = (cars_kw - finite(surplus).max(0.0)).max(0.0);
            let kwh = weight * length;
            weighed.terms.energy_eur += kwh * want.cost * (bought * price - sold * earned);
            weighed.terms.co2_eur += kwh * want.co2_eur_per_kg * bought * intensity;
            weighed.terms.grid_eur += kwh * want.grid_eur_per_kwh * from_grid;
        }
        let import = cars_kw + finite(load.mid) - finite(pv.mid);
        highest = highest.max(import);
        weighed.import_kw.push(import);
    }
    let above = (highest - finite(want.peak_so_far_kw)).max(0.0);
    weighed.terms.peak_eur = above * finite(want.peak_eur_per_kw).max(0.0);
}

/// What a car really takes in each step, in kWh.
fn taken_kwh(problem: &Problem, car: &Car, current_a: &[f64], edges: &[f64]) -> Vec<f64> {
    let begin = problem.grid.first().copied().unwrap_or_default();
    let phases = car.phases.iter().filter(|loads| **loads).count() as f64;
    let kw_per_a = finite(problem.voltage_v) / 1000.0 * phases;
    let (from, until) = (hours(begin, car.from), hours(begin, car.until));
    let mut have = 0.0;
    let mut taken = Vec::with_capacity(current_a.len());
    for (step, pair) in edges.windows(2).enumerate() {
        let there = (pair[1].min(until) - pair[0].max(from)).max(0.0);
        let asked = current_a.get(step).copied().unwrap_or(0.0).max(0.0) * kw_per_a * there;
        let mut most = asked;
        if let Some(room) = car.room_kwh {
            most = most.min((finite(room) - have).max(0.0));
            if let (Some(taper), true) = (car.taper, 0.0 < asked) {
                let full = finite(car.max_a) * kw_per_a * there;
                most = most.min(curve(full, have, taper.knee_kwh, taper.end_share, room));
            }
        }
        have += most;
        taken.push(most);
    }
    taken
}

/// What the charging curve lets a car take in a step that could give `full_kwh`: above the knee
/// power falls in a straight line, so it is taken at the middle of the step.
fn curve(full_kwh: f64, have: f64, knee: f64, end_share: f64, room: f64) -> f64 {
    let width = room - knee;
    if width <= 0.0 || have + full_kwh <= knee {
        return full_kwh;
    }
    let slope = (1.0 - end_share.clamp(0.0, 1.0)) / width;
    let taken = full_kwh * (1.0 - slope * (have - knee)) / (1.0 + slope * full_kwh / 2.0);
    taken.clamp(0.0, full_kwh)
}

/// What energy that should come as fast as possible and does not costs, in EUR.
fn slow_eur(problem: &Problem, car: &Car, taken: &[f64], edges: &[f64]) -> f64 {
    let begin = problem.grid.first().copied().unwrap_or_default();
    let phases = car.phases.iter().filter(|loads| **loads).count() as f64;
    let full_kw = finite(car.max_a) * finite(problem.voltage_v) / 1000.0 * phases;
    let fast_kwh = finite(car.fast_kwh);
    if fast_kwh <= 0.0 || full_kw <= 0.0 {
        return 0.0;
    }
    let earliest = hours(begin, car.from).max(0.0) + fast_kwh / full_kw;
    let Some(by) = edges.iter().copied().find(|edge| earliest <= *edge + 1e-6) else { return 0.0 };
    (fast_kwh - got_kwh(begin, car, taken, edges, by)).max(0.0) * FAST_EUR_PER_KWH
}

/// What each need misses at its time, in kWh.
fn missing_kwh(begin: Utc, car: &Car, taken: &[f64], edges: &[f64]) -> Vec<f64> {
    let missing = car.needs.iter().map(|need| {
        let got = got_kwh(begin, car, taken, edges, hours(begin, need.by));
        (finite(need.kwh) - got).max(0.0)
    });
    missing.collect()
}

/// What a car has by a time, in kWh.
fn got_kwh(begin: Utc, car: &Car, taken: &[f64], edges: &[f64], by: f64) -> f64 {
    let each = taken.iter().enumerate().map(|(step, kwh)| {
        let window = hours(begin, car.from).max(edges[step]);
        let end = hours(begin, car.until).min(edges[step + 1]);
        let there = end - window;
        let before = (end.min(by) - window).max(0.0);
        if 0.0 < there { kwh * (before / there).min(1.0) } else { 0.0 }
    });
    each.sum()
}

fn hours(begin: Utc, time: Utc) -> f64 {
    time.since(begin).as_millis() as f64 / 3_600_000.0
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

fn figure(series: &[f64], step: usize) -> f64 {
    finite(series.get(step).or(series.last()).copied().unwrap_or(0.0))
}

fn level(series: &[Quantiles], step: usize) -> Quantiles {
    series.get(step).or(series.last()).copied().unwrap_or_default()
}
