//! The planning problem of this moment, from everything that the controller knows.

use std::collections::BTreeMap;

use crate::ground::ids::{EvseIndex, NodeIndex};
use crate::ground::time::{Duration, Now, Utc};
use crate::ground::units::{Amps, PerPhase, Phase, PhaseSet};
use crate::learn::vehicle::Vehicle;
use crate::model::policy::PlanPolicy;
use crate::plan::problem::{Car, CarKind, FORMAT, Objective, Problem, ProblemNode, Series};

use super::need::haste_eur_per_kwh_h;
use super::planning::Posed;
use super::state::State;

/// Near steps are this long …
const NEAR: Duration = Duration::minutes(15);
/// … as far as this; later ones are an hour.
const NEAR_STEPS: usize = 16;
const FAR: Duration = Duration::hours(1);
/// What counts on room which is there only perhaps may be missed: this share of its price.
const UNSURE: f64 = 0.15;
/// Room that a reservation needs on the grid's phases.
struct Kept {
    evse: EvseIndex,
    until: Utc,
    room_a: [f64; 3],
}

impl State {
    /// The problem of this moment; none without a car to plan for or without a clock.
    pub fn pose(&self, now: Now, policy: &PlanPolicy) -> Option<Posed> {
        let utc = now.utc?;
        let mut cars = Vec::new();
        let mut evses = Vec::new();
        for evse in 0..self.evses.len() {
            if let Some(car) = self.car(now, utc, evse, policy) {
                cars.push(car);
                evses.push(Some(evse));
            }
        }
        let last = cars.iter().map(|car| car.until).max()?;
        let grid = grid(utc, last.min(utc + policy.horizon));
        for car in &mut cars {
            car.presence = self.presence(car, &grid);
        }
        let series = self.planning.outlook.series(&grid, self.site_power(now));
        let nodes = self.problem_nodes(now, &grid, &series, &evses);
        let end = grid.last().copied().unwrap_or(utc);
        cars.extend(self.newcomers(utc, end, &evses, policy));
        evses.resize(cars.len(), None);
        let problem = Problem {
            format: FORMAT,
            site: self.site.name.clone(),
            zone: self.site.zone.clone(),
            voltage_v: self.site.diagram.voltage.as_f64(),
            nodes,
            cars,
            series,
            objective: self.objective(utc, policy),
            grid,
        };
        Some(Posed { problem, evses })
    }

    fn objective(&self, utc: Utc, policy: &PlanPolicy) -> Objective {
        Objective {
            name: policy.name.clone(),
            cost: policy.cost,
            grid_eur_per_kwh: policy.grid_eur_per_kwh,
            co2_eur_per_kg: policy.co2_eur_per_kg,
            peak_eur_per_kw: policy.peak_eur_per_kw
                + policy.cost * self.planning.outlook.peak_eur_per_kw(utc),
            peak_so_far_kw: self.planning.outlook.peak_expected_kw(utc),
            early_eur_per_kwh_h: policy.early_eur_per_kwh_h
                + policy.missing_eur_per_kwh * self.planning.shortage.hurry_per_h(),
            unsure_eur_per_kwh: policy.missing_eur_per_kwh * UNSURE,
        }
    }

    /// A car that can be planned for: its session runs and its charger listens.
    fn car(&self, now: Now, utc: Utc, evse: EvseIndex, policy: &PlanPolicy) -> Option<Car> {
        let live = self.evses[evse].live?;
        let takes_no_more = self.evses[evse].satisfied;
        if takes_no_more || !self.is_online(evse) || !self.control.is_tellable(evse) {
            return None;
        }
        let session = self.book.session(live.session)?;
        let wired = &self.site.diagram.evses[evse];
        let (needs, until) = self.needs(utc, evse, session, policy);
        let vehicle = self.planning.habits.vehicle(&session.token);
        let phases = self.phases(evse, vehicle);
        let (max_a, max_cause) = self.most(evse, vehicle);
        let reading = self.evses[evse].fresh(now.mono, self.reading_max_age());
        let now_a = reading.map_or(Amps::ZERO, |reading| reading.current.largest());
        let kw = max_a * phases.count() as f64 * self.site.diagram.voltage.as_f64() / 1000.0;
        let hurry = self.planning.shortage.hurry_per_h();
        let haste = haste_eur_per_kwh_h(utc, &needs, kw, hurry);
        Some(Car {
            evse: wired.id.to_string(),
            session: Some(live.session.0),
            kind: CarKind::Present,
            node: wired.node,
            phases: Phase::ALL.map(|phase| phases.has(phase)),
            min_a: wired.minimum.as_f64(),
            max_a,
            max_cause,
            bounds: self.partner_car_limits(evse, now.mono, utc),
            now_a: now_a.as_f64(),
            switched: None,
            from: utc,
            until,
            presence: Vec::new(),
            room_kwh: None,
            needs,
            taper: None,
            priority: self.terms(session).priority,
            fast_kwh: self.fast_kwh(session),
            early_eur_per_kwh_h: haste,
        })
    }

    /// The phases that a car loads: as seen in this session, else as it did before.
    pub fn phases(&self, evse: EvseIndex, vehicle: Option<Vehicle>) -> PhaseSet {
        let wiring = &self.site.diagram.evses[evse].wiring;
        let known = vehicle.and_then(|vehicle| vehicle.loads_of(wiring.len()));
        let usual = || PhaseSet::of(&wiring[..known.unwrap_or(wiring.len())]);
        self.control.seen_phases(evse).unwrap_or_else(usual)
    }

    /// The most that a car takes on a phase, in A, with the reason.
    pub fn most(&self, evse: EvseIndex, vehicle: Option<Vehicle>) -> (f64, String) {
        let rated = self.site.diagram.evses[evse].rated;
        let known = vehicle.map_or(Amps::ZERO, |vehicle| Amps::from_f64(vehicle.most_a));
        let takes = self.evses[evse].counts_on(rated, known);
        let words = if takes < rated { "the car takes no more" } else { "rating of the EVSE" };
        (takes.as_f64(), words.to_owned())
    }

    /// By step, how likely a car is still there: by the departures among its needs.
    fn presence(&self, car: &Car, grid: &[Utc]) -> Vec<f64> {
        let mut weight: BTreeMap<Utc, f64> = BTreeMap::new();
        for need in &car.needs {
            *weight.entry(need.by).or_default() += need.eur_per_kwh;
        }
        let all: f64 = weight.values().sum();
        if weight.len() < 2 || all <= 0.0 {
            return Vec::new();
        }
        let share = |pair: &[Utc]| {
            let span = pair[1].since(pair[0]).as_millis().max(1) as f64;
            let there = weight.iter().map(|(by, weight)| {
                let inside = by.since(pair[0]).as_millis() as f64 / span;
                weight * inside.clamp(0.0, 1.0)
            });
            there.sum::<f64>() / all
        };
        grid.windows(2).map(share).collect()
    }

    /// Room for whoever an EVSE is reserved for, until the reservation is over: the minimum of the
    /// EVSE, as far as it is more than what counts there anyhow.
    fn kept_room(&self, now: Now, is_planned: &impl Fn(EvseIndex) -> bool) -> Vec<Kept> {
        let open = self.reservations.values().filter(|one| one.is_open());
        let places = open.filter_map(|one| Some((self.place_for(one)?, one.until)));
        let kept = places.filter(|(evse, _)| !is_planned(*evse)).map(|(evse, until)| {
            let wired = &self.site.diagram.evses[evse];
            let minimum = wired.phases().carry(wired.minimum);
            let counted = self.control.worst(evse, now.mono);
            let room = minimum.zip(counted, |minimum, counted| (minimum - counted).at_least_zero());
            Kept { evse, until, room_a: room.0.map(Amps::as_f64) }
        });
        kept.collect()
    }

    fn problem_nodes(
        &self,
        now: Now,
        grid: &[Utc],
        series: &Series,
        evses: &[Option<EvseIndex>],
    ) -> Vec<ProblemNode> {
        let diagram = &self.site.diagram;
        let loads = self.other_loads(now.mono);
        let outer = self.outer_node_limits(now);
        // Where several connections hang apart, no node holds all chargers.
        let is_alone = diagram.nodes.iter().filter(|node| node.parent.is_none()).count() == 1;
        let is_planned = |evse: EvseIndex| evses.contains(&Some(evse));
        let kept = self.kept_room(now, &is_planned);
        let node = |index: NodeIndex| {
            let node = &diagram.nodes[index];
            let reserved = diagram
                .evses_under(index)
                .into_iter()
                .filter(|evse| !is_planned(*evse))
                .fold(PerPhase::ZERO, |sum, evse| sum + self.control.worst(evse, now.mono));
            let reserved = reserved.0.map(Amps::as_f64);
            let under = diagram.evses_under(index);
            let kept = |step: usize, phase: usize| -> f64 {
                let here = kept.iter().filter(|one| under.contains(&one.evse));
                here.filter(|one| grid[step] < one.until).map(|one| one.room_a[phase]).sum()
            };
            let here = loads[index].current.0.map(Amps::as_f64);
            let voltage = diagram.voltage.as_f64();
            let net_a = |kw: f64| {
                let net = kw * 1000.0 / 3.0 / voltage;
                if node.generation_counts { net } else { net.max(0.0) }
            };
            let other = |step: usize| -> [f64; 3] {
                let ahead = if step == 0 || node.parent.is_some() {
                    here
                } else {
                    let (load, sun) = (series.load_kw[step], series.pv_kw[step]);
                    [net_a(load.mid - sun.mid); 3]
                };
                std::array::from_fn(|phase| ahead[phase] + reserved[phase] + kept(step, phase))
            };
            let unsure = |step: usize| -> [f64; 3] {
                let (load, sun) = (series.load_kw[step], series.pv_kw[step]);
                let more = net_a(load.high - sun.low) - net_a(load.mid - sun.mid);
                [if step == 0 { 0.0 } else { more.max(0.0) }; 3]
            };
            let is_root = node.parent.is_none();
            ProblemNode {
                id: node.id.to_string(),
                name: node.name.clone(),
                parent: node.parent,
                rating_a: node.rating.map(|rating| rating.0.map(Amps::as_f64)),
                power_limit_kw: node.power_limit.map(|limit| limit.as_f64() / 1000.0),
                imbalance_a: node.imbalance.map(Amps::as_f64),
                other_a: (0..grid.len() - 1).map(other).collect(),
                unsure_a: (0..grid.len() - 1).filter(|_| is_root).map(unsure).collect(),
                limits: if is_alone && is_root { outer.clone() } else { Vec::new() },
            }
        };
        (0..diagram.nodes.len()).map(node).collect()
    }
}

/// Boundaries of the steps: now, the coming quarter hours, then whole hours past `last`.
fn grid(now: Utc, last: Utc) -> Vec<Utc> {
    let next = |time: Utc, step: Duration| {
        let step = step.as_millis();
        Utc::from_millis((time.as_millis().div_euclid(step) + 1) * step)
    };
    let mut grid = vec![now];
    let mut time = next(now, NEAR);
    // A step of less than a minute would be over before it is planned.
    if time.since(now) < Duration::minutes(1) {
        time = next(time, NEAR);
    }
    grid.push(time);
    for _ in 1..NEAR_STEPS {
        if last <= time {
            return grid;
        }
        time = next(time, NEAR);
        grid.push(time);
    }
    while time < last {
        let step = if time.as_millis() % FAR.as_millis() == 0 { FAR } else { NEAR };
        time = next(time, step);
        grid.push(time);
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_quarters_then_hours_and_reach_past_the_last_departure() {
        let at = |text: &str| Utc::parse(text).expect("a time");
        let grid = grid(at("2019-03-01T08:07:30Z"), at("2019-03-01T15:20:00Z"));
        assert_eq!(grid[1], at("2019-03-01T08:15:00Z"));
        assert_eq!(grid[16], at("2019-03-01T12:00:00Z"));
        assert_eq!(grid.last(), Some(&at("2019-03-01T16:00:00Z")));
        assert!(grid.windows(2).all(|pair| pair[0] < pair[1]));
        let short = super::grid(at("2019-03-01T08:14:30Z"), at("2019-03-01T08:20:00Z"));
        assert_eq!(short.len(), 2);
        assert_eq!(short[1], at("2019-03-01T08:30:00Z"));
    }
}
