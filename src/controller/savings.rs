//! What a plan saves against charging at once: the same energy for each car, from now on, as fast
//! as it takes it. Both are weighed by what is expected in the middle. For people alone.

use serde::{Deserialize, Serialize};

use crate::plan::problem::Problem;
use crate::plan::solution::Plan;

/// Less than this is no difference, in kWh, in EUR and in kW.
const NOTHING: (f64, f64, f64) = (0.05, 0.005, 0.05);

/// A plan beside charging at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Savings {
    /// Energy of the cars from the roof, by plan.
    pub sun_kwh: f64,
    /// The same when everybody charges at once.
    pub sun_at_once_kwh: f64,
    /// What the cars' energy costs by plan, peaks left out: import by its price, and the export
    /// that is not earned.
    pub cost_eur: f64,
    /// The same when everybody charges at once.
    pub cost_at_once_eur: f64,
    /// The highest import by plan.
    pub peak_kw: f64,
    /// The same when everybody charges at once.
    pub peak_at_once_kw: f64,
    /// The difference in a sentence; empty where there is none.
    pub words: String,
}

/// Of a plan and the problem that it solves; none where nothing is charged.
pub fn savings(problem: &Problem, plan: &Plan) -> Option<Savings> {
    let hours: Vec<f64> =
        problem.grid.windows(2).map(|pair| pair[1].since(pair[0]).as_hours()).collect();
    let mut planned = vec![0.0; hours.len()];
    let mut at_once = vec![0.0; hours.len()];
    for (car, course) in problem.cars.iter().zip(&plan.cars) {
        let phases = car.phases.iter().filter(|loads| **loads).count() as f64;
        let full_kw = car.max_a * phases * problem.voltage_v / 1000.0;
        let each = course.power_kw.iter().zip(&hours);
        let mut left: f64 = each.map(|(kw, hours)| kw * hours).sum();
        for (step, hours) in hours.iter().enumerate() {
            planned[step] += course.power_kw.get(step).copied().unwrap_or(0.0);
            let is_there = car.from < problem.grid[step + 1];
            let kwh = if is_there { left.min(full_kw * hours).max(0.0) } else { 0.0 };
            at_once[step] += if 0.0 < *hours { kwh / hours } else { 0.0 };
            left -= kwh;
        }
    }
    let all: f64 = planned.iter().zip(&hours).map(|(kw, hours)| kw * hours).sum();
    if !all.is_finite() || all < NOTHING.0 {
        return None;
    }
    let (by_plan, without) = (weigh(problem, &planned, &hours), weigh(problem, &at_once, &hours));
    Some(Savings {
        sun_kwh: by_plan.0,
        sun_at_once_kwh: without.0,
        cost_eur: by_plan.1,
        cost_at_once_eur: without.1,
        peak_kw: by_plan.2,
        peak_at_once_kw: without.2,
        words: words(by_plan, without),
    })
}

/// Sun in the cars in kWh, what they cost in EUR, and the highest import in kW.
fn weigh(problem: &Problem, cars_kw: &[f64], hours: &[f64]) -> (f64, f64, f64) {
    let series = &problem.series;
    let at = |values: &[f64], step: usize| values.get(step).copied().unwrap_or(0.0);
    let (mut sun, mut cost, mut peak) = (0.0, 0.0, 0.0_f64);
    for (step, (kw, hours)) in cars_kw.iter().zip(hours).enumerate() {
        let pv = series.pv_kw.get(step).map_or(0.0, |one| one.mid);
        let load = series.load_kw.get(step).map_or(0.0, |one| one.mid);
        let from_sun = kw.min((pv - load).max(0.0));
        sun += from_sun * hours;
        cost += from_sun * hours * at(&series.export_eur_per_kwh, step);
        cost += (kw - from_sun) * hours * at(&series.import_eur_per_kwh, step);
        peak = peak.max(kw + load - pv);
    }
    (sun, cost, peak)
}

fn words(plan: (f64, f64, f64), at_once: (f64, f64, f64)) -> String {
    let mut parts = Vec::new();
    let (sun, cost, peak) = (plan.0 - at_once.0, plan.1 - at_once.1, plan.2 - at_once.2);
    if NOTHING.0 < sun.abs() {
        let more = if 0.0 < sun { "more" } else { "less" };
        parts.push(format!("{:.1} kWh {more} from the sun", sun.abs()));
    }
    if NOTHING.1 < cost.abs() {
        let less = if cost < 0.0 { "less" } else { "more" };
        parts.push(format!("{:.2} EUR {less}", cost.abs()));
    }
    if NOTHING.2 < peak.abs() {
        parts.push(format!("highest import {:.1} instead of {:.1} kW", plan.2, at_once.2));
    }
    if parts.is_empty() {
        return String::new();
    }
    format!("Against charging at once: {}.", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_and_sameness_is_not() {
        assert_eq!(
            words((12.0, 1.5, 8.0), (4.0, 3.25, 22.0)),
            "Against charging at once: 8.0 kWh more from the sun, 1.75 EUR less, highest import \
             8.0 instead of 22.0 kW."
        );
        assert_eq!(words((4.0, 1.0, 8.0), (4.0, 1.0, 8.0)), "");
    }
}
