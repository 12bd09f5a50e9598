//! The rule that plans nothing: sun first, else as late as possible with half an hour in hand.
//!
//! What every plan is measured against. It knows needs and departures, but no forecast, no price,
//! no breaker and no other car.

use crate::ground::spread;
use crate::ground::time::{Duration, Utc};

use super::problem::{Car, Problem};
use super::solution::{CarPlan, CostTerms, Method, Plan, Reason};

/// Kept in hand before the latest start.
const IN_HAND: Duration = Duration::minutes(30);

/// What cars that wait would pay, in EUR per kWh: nothing for the grid, a little for the sun; who
/// leaves first a little more.
const SUN_ONLY: f64 = 1e-3;

/// The rule's plan.
pub fn plan(problem: &Problem) -> Plan {
    let steps = problem.grid.len().saturating_sub(1);
    Plan {
        grid: problem.grid.clone(),
        method: Method::Rule,
        cars: problem.cars.iter().map(|car| car_plan(problem, car)).collect(),
        note: String::new(),
        import_kw: vec![0.0; steps],
        cost: CostTerms::default(),
        words: "sun first, else as late as possible".to_owned(),
    }
}

fn car_plan(problem: &Problem, car: &Car) -> CarPlan {
    let phases = car.phases.iter().filter(|phase| **phase).count() as f64;
    let full_kw = phases * problem.voltage_v * car.max_a / 1000.0;
    let most = car.needs.iter().max_by(|one, other| one.kwh.total_cmp(&other.kwh));
    let kwh = most.map_or(0.0, |need| need.kwh);
    let by = likely_departure(car);
    let hours = kwh / full_kw.max(0.001);
    let latest = by - IN_HAND - Duration::millis((hours * 3_600_000.0).min(1e12) as i64);
    let mut left = kwh;
    let mut plan = CarPlan {
        evse: car.evse.clone(),
        session: car.session,
        current_a: Vec::new(),
        power_kw: Vec::new(),
        reasons: Vec::new(),
        missing_kwh: vec![0.0; car.needs.len()],
        worth_eur_per_kwh: 0.0,
        loss_eur_per_kwh: 0.0,
        words: "sun first, else as late as possible".to_owned(),
    };
    for pair in problem.grid.windows(2) {
        let is_late = latest < pair[1] && 0.0 < left;
        let span = pair[1].since(pair[0]).as_hours();
        let current = if is_late { car.max_a } else { 0.0 };
        left -= current / car.max_a.max(0.001) * full_kw * span;
        plan.current_a.push(current);
        plan.power_kw.push(phases * problem.voltage_v * current / 1000.0);
        plan.reasons.push(if is_late {
            Reason::Most { cause: car.max_cause.clone() }
        } else if 0.0 < left {
            Reason::Sun { until: latest }
        } else {
            Reason::Enough
        });
    }
    let is_urgent = plan.current_a.first().is_some_and(|current| 0.0 < *current);
    let ahead = problem.grid.first().map_or(0.0, |now| by.since(*now).as_hours());
    plan.worth_eur_per_kwh = if is_urgent {
        car.needs.iter().map(|need| need.eur_per_kwh).sum()
    } else if kwh <= 0.0 {
        0.0
    } else {
        SUN_ONLY * (1.0 - ahead.clamp(0.0, 99.0) / 100.0)
    };
    plan.loss_eur_per_kwh = plan.worth_eur_per_kwh;
    plan
}

/// The departure before which half of what is likely lies.
fn likely_departure(car: &Car) -> Utc {
    let cases = car.needs.iter().map(|need| (need.by.as_millis() as f64, need.eur_per_kwh));
    let half = spread::quantile(&spread::normal(cases.collect()), 0.5);
    half.map_or(car.until, |by| Utc::from_millis(by as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::problem::Need;
    use crate::plan::sample;

    #[test]
    fn of_several_departures_the_likely_one_counts() {
        let mut car = sample::car("EVSE-01", 4.0);
        let need = |hours, eur_per_kwh| Need {
            by: sample::hour(hours),
            eur_per_kwh,
            ..car.needs[0].clone()
        };
        car.needs = vec![need(8, 0.2), need(3, 0.5), need(2, 0.3)];
        assert_eq!(likely_departure(&car), sample::hour(3));
        car.needs.clear();
        assert_eq!(likely_departure(&car), car.until);
    }
}
