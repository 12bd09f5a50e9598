//! What plans say and do on a small site: reasons and words, and the policies one by one.

use crate::ground::quantiles::Quantiles;
use crate::ground::units::Phase;

use super::best;
use super::problem::{CarKind, CarLimit, Need, NodeLimit, Problem};
use super::sample::{car, hour, office};
use super::solution::{Method, Plan, Reason};
use super::words::{Clock, reason};

fn told(problem: &Problem, plan: &Plan, car: usize) -> Vec<String> {
    let clock = Clock::new(problem);
    plan.cars[car].reasons.iter().map(|each| reason(each, &clock)).collect()
}

fn energy(plan: &Plan, car: usize) -> f64 {
    plan.cars[car].power_kw.iter().sum()
}

#[test]
fn a_car_waits_for_the_cheap_hours_and_says_until_when() {
    let mut problem = office();
    problem.cars.truncate(1);
    problem.series.import_eur_per_kwh[5] = 0.1;
    let plan = best(&problem);
    assert_eq!(plan.method, Method::Program);
    assert!((plan.cars[0].power_kw[5] - 10.0).abs() < 1e-6, "{:?}", plan.cars[0].power_kw);
    assert_eq!(told(&problem, &plan, 0)[0], "cheaper from 13:00 on");
    assert_eq!(told(&problem, &plan, 0)[6], "it has all it needs");
    assert_eq!(plan.cars[0].words, "10.0 kWh by 16:00 (the driver): cheaper from 13:00 on");
    assert!((plan.cars[0].worth_eur_per_kwh - 0.1).abs() < 1e-6);
    assert!((plan.cost.energy_eur - 1.0).abs() < 1e-6, "{:?}", plan.cost);
}

#[test]
fn less_now_costs_the_later_price_or_what_is_missed() {
    let mut problem = office();
    problem.cars.truncate(1);
    problem.cars[0].needs[0].kwh = 20.0;
    problem.series.import_eur_per_kwh[0] = 0.1;
    let loss = |problem: &Problem| best(problem).cars[0].loss_eur_per_kwh;
    assert!((loss(&problem) - 0.2).abs() < 1e-6, "{}", loss(&problem));
    // In haste it is charged now and in the next hour: only the third has room for as much.
    problem.cars[0].early_eur_per_kwh_h = 0.05;
    assert!((loss(&problem) - 0.3).abs() < 1e-6, "{}", loss(&problem));
    // Until ten o'clock there are 22 kWh: what is left out now has no room later.
    problem.cars[0].needs[0].by = hour(2);
    assert!((loss(&problem) - 1.0).abs() < 1e-6, "{}", loss(&problem));
}

#[test]
fn a_car_waits_for_the_sun() {
    let mut problem = office();
    problem.cars.truncate(1);
    problem.objective.cost = 0.0;
    problem.objective.grid_eur_per_kwh = 0.2;
    problem.series.pv_kw[3] = Quantiles { low: 6.0, mid: 8.0, high: 10.0 };
    problem.series.pv_kw[4] = Quantiles { low: 6.0, mid: 8.0, high: 10.0 };
    let plan = best(&problem);
    assert_eq!(told(&problem, &plan, 0)[0], "waiting for sun until 11:00");
    assert!((energy(&plan, 0) - 10.0).abs() < 1e-6);
    assert!(plan.cars[0].power_kw[3] <= 8.0 + 1e-6, "{:?}", plan.cars[0].power_kw);
    assert!(plan.words.contains("Nobody is short."), "{}", plan.words);
}

#[test]
fn what_has_to_be_bought_waits_while_sun_may_come_that_nobody_counts_on() {
    let mut problem = office();
    problem.cars.truncate(1);
    problem.cars[0].needs[0].kwh = 20.0;
    problem.objective.cost = 0.0;
    problem.objective.grid_eur_per_kwh = 0.2;
    problem.series.pv_kw[4] = Quantiles { low: 0.0, mid: 2.0, high: 4.0 };
    let plan = best(&problem);
    let before: f64 = plan.cars[0].power_kw[..4].iter().sum();
    assert!(before < 1e-6, "{:?}", plan.cars[0].power_kw);
    assert!((energy(&plan, 0) - 20.0).abs() < 1e-6);
    // Once nothing more can come, it buys at once.
    problem.series.pv_kw[4] = Quantiles::certain(2.0);
    let plan = best(&problem);
    assert!((plan.cars[0].power_kw[0] - 11.04).abs() < 1e-6, "{:?}", plan.cars[0].power_kw);
}

#[test]
fn room_that_may_not_be_there_is_used_only_where_it_must_be() {
    let mut problem = office();
    problem.objective.unsure_eur_per_kwh = 0.1;
    problem.nodes[1].other_a = vec![[16.0; 3]; 8];
    problem.nodes[1].unsure_a = vec![[10.0; 3]; 4];
    problem.nodes[1].unsure_a.extend([[0.0; 3]; 4]);
    // 16 A for four hours are sure.
    let plan = best(&problem);
    assert!(plan.cost.unsure_eur < 1e-6 && plan.cost.missing_eur < 1e-6, "{:?}", plan.cost);
    assert!(plan.cars.iter().all(|car| car.power_kw[..4].iter().sum::<f64>() < 16.6));
    // More is wanted than that: rather perhaps than not at all.
    for car in &mut problem.cars {
        car.needs[0].kwh = 35.0;
    }
    let plan = best(&problem);
    assert!(plan.cost.missing_eur < 1e-6, "{:?}", plan.cost);
    let sure_kwh = 4.0 * 0.69 * (6.0 + 16.0);
    let expected = (70.0 - sure_kwh) * 0.1;
    assert!((plan.cost.unsure_eur - expected).abs() < 0.05, "{:?}", plan.cost);
}

#[test]
fn the_breaker_and_its_phase_are_named_and_the_shortfall_is_told() {
    let mut problem = office();
    for car in &mut problem.cars {
        car.needs[0].kwh = 60.0;
        car.max_a = 32.0;
    }
    problem.nodes[1].other_a = vec![[0.0, 12.0, 0.0]; 8];
    let plan = best(&problem);
    let expected = Reason::Breaker { node: String::from("B2"), phase: Some(Phase::L2) };
    assert!(plan.cars.iter().all(|car| car.reasons.contains(&expected)), "{:?}", plan.cars);
    let short: f64 = plan.cars.iter().map(|car| car.missing_kwh[0]).sum();
    assert!((short - (120.0 - 20.0 * 0.69 * 8.0)).abs() < 1e-3, "{short}");
    let words = plan.cars.iter().find(|car| 0.1 < car.missing_kwh[0]).map(|car| &car.words);
    let words = words.expect("one is short");
    assert!(words.contains("will be missing; breaker B2, phase L2"), "{words}");
}

#[test]
fn limits_from_outside_are_named_by_their_cause() {
    let mut problem = office();
    problem.cars[0].bounds.push(CarLimit {
        limit_a: 8.0,
        from: hour(0),
        until: None,
        cause: String::from("the charge point operator"),
    });
    problem.cars[0].needs[0].kwh = 60.0;
    problem.nodes[0].limits.push(NodeLimit {
        limit_kw: 10.0,
        from: hour(0),
        until: Some(hour(4)),
        cause: String::from("the network operator"),
    });
    problem.cars[1].needs[0].kwh = 80.0;
    let plan = best(&problem);
    assert_eq!(told(&problem, &plan, 0)[5], "the charge point operator");
    assert_eq!(told(&problem, &plan, 1)[0], "the network operator");
    assert_eq!(told(&problem, &plan, 1)[5], "rating of the EVSE");
}

#[test]
fn a_price_on_the_peak_flattens_it_and_is_named() {
    let mut problem = office();
    problem.objective.peak_eur_per_kw = 5.0;
    problem.objective.peak_so_far_kw = 2.0;
    let plan = best(&problem);
    let highest = plan.import_kw.iter().copied().fold(0.0, f64::max);
    // 20 kWh in eight hours, in the first of which a car has its minimum of 4.14 kW or nothing.
    assert!(highest <= 4.2, "{:?}", plan.import_kw);
    assert!(plan.cars.iter().any(|car| car.reasons.contains(&Reason::Peak)), "{:?}", plan.cars);
}

#[test]
fn the_first_steps_have_no_less_than_the_minimum() {
    let mut problem = office();
    problem.objective.cost = 0.0;
    problem.objective.grid_eur_per_kwh = 0.2;
    for step in 0..8 {
        problem.series.pv_kw[step] = Quantiles::certain(3.0);
    }
    let plan = best(&problem);
    for car in &plan.cars {
        for current in &car.current_a[..4] {
            assert!(*current == 0.0 || 6.0 <= *current, "{:?}", car.current_a);
        }
    }
}

#[test]
fn the_fleet_comes_before_guests() {
    let mut problem = office();
    for car in &mut problem.cars {
        car.until = hour(2);
        car.needs[0] = Need { by: hour(2), kwh: 20.0, ..car.needs[0].clone() };
    }
    problem.nodes[1] = super::sample::node("B2", Some(0), 16.0);
    problem.cars[1].priority = 1;
    let plan = best(&problem);
    assert!(energy(&plan, 0) < 3.0 && 19.0 < energy(&plan, 1), "{:?}", plan.cars);
}

#[test]
fn of_two_for_one_place_who_is_in_haste_comes_first() {
    for first in [0, 1] {
        let mut problem = office();
        problem.nodes[1] = super::sample::node("B2", Some(0), 16.0);
        for (at, car) in problem.cars.iter_mut().enumerate() {
            car.needs[0].kwh = 22.0;
            car.early_eur_per_kwh_h = if at == first { 0.05 } else { 0.0 };
        }
        let plan = best(&problem);
        let early = |car: usize| plan.cars[car].power_kw[..2].iter().sum::<f64>();
        assert!(22.0 - 1e-6 < early(first) && early(1 - first) < 1e-6, "{:?}", plan.cars);
        assert!(plan.cars[1 - first].loss_eur_per_kwh < plan.cars[first].loss_eur_per_kwh);
        assert_eq!([energy(&plan, 0), energy(&plan, 1)].map(f64::round), [22.0, 22.0]);
    }
}

#[test]
fn the_first_kwh_come_fast_where_that_is_asked_for() {
    let mut problem = office();
    problem.cars.truncate(1);
    problem.series.import_eur_per_kwh[6] = 0.05;
    problem.cars[0].fast_kwh = 5.0;
    let plan = best(&problem);
    assert!((plan.cars[0].power_kw[0] - 5.0).abs() < 1e-3, "{:?}", plan.cars[0].power_kw);
    assert!((plan.cars[0].power_kw[6] - 5.0).abs() < 1e-3, "{:?}", plan.cars[0].power_kw);
}

#[test]
fn a_reserved_place_keeps_its_room() {
    let mut problem = office();
    problem.nodes[1] = super::sample::node("B2", Some(0), 16.0);
    problem.cars[0].until = hour(8);
    problem.cars[0].needs[0].kwh = 40.0;
    let mut reserved = car("EVSE-02", 20.0);
    reserved.kind = CarKind::Reserved;
    reserved.from = hour(6);
    problem.cars[1] = reserved;
    let plan = best(&problem);
    assert!(plan.cars.iter().all(|car| car.missing_kwh[0] < 1e-3), "{:?}", plan.cars);
    assert!(plan.cars[1].words.starts_with("reserved: 20.0 kWh by 16:00"), "{:?}", plan.cars[1]);
    assert_eq!(told(&problem, &plan, 1)[0], "the car is not there");
}

#[test]
fn habit_is_a_distribution_and_all_of_it_counts() {
    let mut problem = office();
    problem.cars.truncate(1);
    // Cheap only at the end, when one in two has left.
    problem.series.import_eur_per_kwh[7] = 0.0;
    let habit = |by: i64, eur: f64| Need {
        by: hour(by),
        kwh: 8.0,
        eur_per_kwh: eur,
        cause: String::from("habit"),
    };
    problem.cars[0].needs = vec![habit(6, 0.5), habit(8, 0.5)];
    let plan = best(&problem);
    let early: f64 = plan.cars[0].power_kw[..6].iter().sum();
    assert!((early - 8.0).abs() < 1e-3, "{:?}", plan.cars[0].power_kw);
    problem.cars[0].needs = vec![habit(6, 0.1), habit(8, 0.9)];
    let plan = best(&problem);
    assert!((plan.cars[0].power_kw[7] - 8.0).abs() < 1e-3, "{:?}", plan.cars[0].power_kw);
}
