//! Why a car gets no more, step by step, read from the finished schedule and the problem.
//!
//! A schedule is explained by what stands in the way of one more ampere: the car, a limit, the
//! breaker; or, where nothing does, by what the car waits for.

use crate::ground::time::Utc;

use super::problem::{Car, Need, Problem};
use super::rows::phase;
use super::solution::Reason;
use super::tariff::Tariff;

/// Less than this is nothing, in A.
const NOTHING_A: f64 = 0.05;
/// Prices closer than this are the same, in EUR per kWh.
const SAME_EUR: f64 = 1e-4;
/// A step is called sunny where the sun is expected to give this share of the cars' power.
const SUNNY_SHARE: f64 = 0.3;

/// A schedule with what explains it.
pub struct Scene<'a> {
    problem: &'a Problem,
    current_a: &'a [Vec<f64>],
    tariffs: Vec<Tariff>,
    /// Expected power of all cars by step, in kW.
    cars_kw: Vec<f64>,
    /// Import as expected, in kW by step.
    import_kw: &'a [f64],
    highest_kw: f64,
    /// By node, step and phase, in A.
    load_a: Vec<Vec<[f64; 3]>>,
    /// What somebody who goes short would give for a kWh of room, by node, step and phase, in EUR.
    crowd_eur: Vec<Vec<[f64; 3]>>,
}

/// What stands in the way of one more ampere.
struct Full<'a> {
    node: usize,
    /// None for a limit over all phases.
    phase: Option<usize>,
    /// Whose limit it is, where it is not the breaker itself.
    limit: Option<&'a str>,
}

impl<'a> Scene<'a> {
    /// Of currents by car and step, with the import in kW by step and what each car misses in kWh
    /// by need, as they were weighed.
    pub fn new(
        problem: &'a Problem,
        current_a: &'a [Vec<f64>],
        import_kw: &'a [f64],
        missing_kwh: &[Vec<f64>],
    ) -> Self {
        let steps = problem.grid.len().saturating_sub(1);
        let mut load_a = vec![vec![[0.0; 3]; steps]; problem.nodes.len()];
        for (car, currents) in problem.cars.iter().zip(current_a) {
            for node in path(problem, car) {
                for (load, current) in load_a[node].iter_mut().zip(currents) {
                    for phase in (0..3).filter(|phase| car.phases[*phase]) {
                        load[phase] += current;
                    }
                }
            }
        }
        let tariffs = Tariff::of_steps(problem);
        let cars_kw: Vec<f64> = import_kw
            .iter()
            .zip(&tariffs)
            .map(|(import, tariff)| (import + tariff.surplus_kw).max(0.0))
            .collect();
        let free = problem.objective.peak_so_far_kw;
        let highest_kw = import_kw.iter().copied().fold(free, f64::max);
        let crowd_eur = vec![vec![[0.0; 3]; steps]; problem.nodes.len()];
        let mut scene =
            Self { problem, current_a, tariffs, cars_kw, import_kw, highest_kw, load_a, crowd_eur };
        for (at, missing_kwh) in missing_kwh.iter().enumerate().take(problem.cars.len()) {
            scene.crowd(at, missing_kwh);
        }
        scene
    }

    /// Notes where a car that goes short is kept from more by others.
    fn crowd(&mut self, at: usize, missing_kwh: &[f64]) {
        let problem = self.problem;
        let car = &problem.cars[at];
        let short = car.needs.iter().zip(missing_kwh).filter(|(_, missing)| 1e-3 < **missing);
        let short: Vec<&Need> = short.map(|(need, _)| need).collect();
        let phases = car.phases.iter().filter(|loads| **loads).count() as f64;
        for step in 0..self.current_a[at].len().min(self.tariffs.len()) {
            let begin = problem.grid[step];
            let eur: f64 =
                short.iter().filter(|need| begin < need.by).map(|need| need.eur_per_kwh).sum();
            let current = self.current_a[at][step];
            if eur <= 0.0
                || problem.grid[step + 1] <= car.from
                || self.own_limit(car, step, current).is_some()
            {
                continue;
            }
            let full = self.full(car, step, current).map(|full| (full.node, full.phase));
            let peak = || Some((path(problem, car).pop()?, None));
            let found = full.or_else(|| self.peak(step).and_then(|_| peak()));
            let Some((node, phase)) = found else { continue };
            for p in (0..3).filter(|p| phase.is_none_or(|phase| phase == *p)) {
                let room = &mut self.crowd_eur[node][step][p];
                *room = room.max(eur * phases / 3.0);
            }
        }
    }

    /// What others who go short would give for a kWh that a car does not take in a step, in EUR.
    fn crowd_at(&self, car: &Car, step: usize) -> f64 {
        let phases = car.phases.iter().filter(|loads| **loads).count() as f64;
        let nodes = path(self.problem, car).into_iter();
        let each = nodes.flat_map(|node| {
            let room = self.crowd_eur[node][step];
            (0..3).filter(|p| car.phases[*p]).map(move |p| room[p])
        });
        each.fold(0.0, f64::max) * (3.0 / phases.max(1.0)).min(1.5)
    }

    /// Where neither money nor CO2 counts, energy from outside has one price at all times: what is
    /// better later is more sun.
    fn only_sun_counts(&self) -> bool {
        let want = &self.problem.objective;
        want.cost == 0.0 && want.co2_eur_per_kg == 0.0
    }

    /// What the last kWh of a step costs, in EUR.
    fn price_of_last(&self, step: usize) -> f64 {
        self.tariffs[step].marginal((self.cars_kw[step] - 0.01).max(0.0))
    }

    /// What one more kWh for a car would save after `step`, in EUR: the dearest that it buys later,
    /// with the needs that are missed before, what others miss for want of that room and its own
    /// haste; or what is missed in the end.
    pub fn worth(&self, car: usize, step: usize, missing_kwh: &[f64]) -> f64 {
        let needs = &self.problem.cars[car].needs;
        let missed = |until: Utc| {
            let each = needs.iter().zip(missing_kwh);
            let short = each.filter(|(need, missing)| 1e-3 < **missing && need.by <= until);
            short.map(|(need, _)| need.eur_per_kwh).sum::<f64>()
        };
        let factor = 2_f64.powi(self.problem.cars[car].priority.clamp(-8, 8));
        let last = needs.iter().map(|need| need.by).max();
        let mut worth = last.map_or(0.0, |last| missed(last) * factor);
        for (later, current) in self.current_a[car].iter().enumerate().skip(step + 1) {
            if NOTHING_A < *current {
                let saved = self.price_of_last(later)
                    + missed(self.problem.grid[later]) * factor
                    + self.waiting(car, step, later);
                worth = worth.max(saved + self.crowd_at(&self.problem.cars[car], later));
            }
        }
        worth
    }

    /// What waiting from one step to another costs a car that is in more haste than all, in EUR per
    /// kWh. The hurry of all decides between nobody, and its tie-break is no reason to buy.
    fn waiting(&self, car: usize, from: usize, to: usize) -> f64 {
        let early = self.problem.cars[car].early_eur_per_kwh_h;
        let grid = &self.problem.grid;
        let middle = |step: usize| {
            let (begin, end) = (grid[step], grid[step + 1]);
            begin + end.since(begin) / 2
        };
        let eur = early * middle(to).since(middle(from)).as_hours();
        if eur.is_finite() { eur.max(0.0) } else { 0.0 }
    }

    /// What a kWh less in `step` costs a car, in EUR: the price of the cheapest later power that
    /// there is room for, with the needs that come before it and its own haste; or what is missed.
    /// Nothing without such a step.
    pub fn loss(&self, at: usize, step: usize) -> f64 {
        if self.tariffs.len() <= step {
            return 0.0;
        }
        let car = &self.problem.cars[at];
        let factor = 2_f64.powi(car.priority.clamp(-8, 8));
        let tight: Vec<&Need> =
            car.needs.iter().filter(|need| self.is_tight(at, step, need)).collect();
        let missed = |until: Utc| -> f64 {
            let before = tight.iter().filter(|need| need.by <= until);
            before.map(|need| need.eur_per_kwh).sum::<f64>() * factor
        };
        let last = car.needs.iter().map(|need| need.by).max().unwrap_or(car.until);
        let end = last.min(car.until);
        let mut later: Vec<(f64, f64)> = Vec::new();
        for other in step + 1..self.tariffs.len() {
            let current = self.current_a[at][other];
            let is_full = self.own_limit(car, other, current).is_some()
                || self.shared_limit(car, other, current).is_some();
            if end <= self.problem.grid[other] || is_full {
                continue;
            }
            let price = self.tariffs[other].marginal(self.cars_kw[other]);
            let free = (car.max_a - current).max(0.0) * self.hours(other, end);
            let price = price + self.waiting(at, step, other);
            later.push((price + missed(self.problem.grid[other]), free));
        }
        later.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut left = self.current_a[at][step] * self.hours(step, end);
        for (price, free) in later {
            left -= free;
            if left <= 0.0 {
                return price;
            }
        }
        missed(last)
    }

    /// Whether a kWh less in `step` would be missing for a need.
    fn is_tight(&self, at: usize, step: usize, need: &Need) -> bool {
        let car = &self.problem.cars[at];
        let phases = car.phases.iter().filter(|loads| **loads).count() as f64;
        let kw_per_a = self.problem.voltage_v / 1000.0 * phases;
        let currents = self.current_a[at].iter().enumerate();
        let planned: f64 =
            currents.map(|(other, current)| current * self.hours(other, need.by)).sum();
        let here = self.current_a[at][step] * self.hours(step, need.by);
        0.0 < need.kwh && (planned - here) * kw_per_a < need.kwh
    }

    /// How much of a step lies before a time, in hours.
    fn hours(&self, step: usize, until: Utc) -> f64 {
        let (begin, end) = (self.problem.grid[step], self.problem.grid[step + 1]);
        end.min(until).since(begin).as_hours().max(0.0)
    }

    /// Why a car gets no more, by step.
    pub fn reasons(&self, car: usize, missing_kwh: &[f64]) -> Vec<Reason> {
        let steps = self.tariffs.len();
        (0..steps).map(|step| self.reason(car, step, missing_kwh)).collect()
    }

    fn reason(&self, at: usize, step: usize, missing_kwh: &[f64]) -> Reason {
        let car = &self.problem.cars[at];
        let (begin, end) = (self.problem.grid[step], self.problem.grid[step + 1]);
        if end <= car.from || car.until <= begin {
            return Reason::Away;
        }
        let current = self.current_a[at][step];
        if let Some(reason) = self.own_limit(car, step, current) {
            return reason;
        }
        let later = self.next(at, step, current);
        let short = missing_kwh.iter().any(|missing| 1e-3 < *missing);
        if later.is_none() && !short {
            return Reason::Enough;
        }
        let here = self.tariffs[step].marginal(self.cars_kw[step]);
        if here <= self.worth(at, step, missing_kwh) + SAME_EUR {
            let shared = self.shared_limit(car, step, current);
            if let Some(reason) = shared.or_else(|| self.peak(step)) {
                return reason;
            }
        }
        match later {
            Some(later) if self.price_of_last(later) + SAME_EUR < here => {
                let until = self.problem.grid[later];
                let is_sun = self.is_sunny(later) || self.only_sun_counts();
                if is_sun { Reason::Sun { until } } else { Reason::Price { until } }
            }
            None if current <= NOTHING_A => Reason::Minimum,
            _ => Reason::Enough,
        }
    }

    /// The car itself, or a limit on it.
    fn own_limit(&self, car: &Car, step: usize, current: f64) -> Option<Reason> {
        let (begin, end) = (self.problem.grid[step], self.problem.grid[step + 1]);
        let reaches = car
            .bounds
            .iter()
            .filter(|bound| bound.from < end && bound.until.is_none_or(|until| begin < until));
        let tightest = reaches.min_by(|one, other| one.limit_a.total_cmp(&other.limit_a));
        let binds =
            |limit: f64| limit < car.max_a && (limit <= current + NOTHING_A || limit < car.min_a);
        if let Some(bound) = tightest.filter(|bound| binds(bound.limit_a)) {
            return Some(Reason::Limit { cause: bound.cause.clone() });
        }
        let most = car.max_a <= current + NOTHING_A;
        most.then(|| Reason::Most { cause: car.max_cause.clone() })
    }

    fn shared_limit(&self, car: &Car, step: usize, current: f64) -> Option<Reason> {
        let full = self.full(car, step, current)?;
        Some(match full.limit {
            Some(cause) => Reason::Limit { cause: cause.to_owned() },
            None => Reason::Breaker {
                node: self.problem.nodes[full.node].name.clone(),
                phase: full.phase.map(phase),
            },
        })
    }

    /// The first node on the way up that leaves no more.
    fn full(&self, car: &Car, step: usize, current: f64) -> Option<Full<'a>> {
        let wanted_a = if current <= NOTHING_A { car.min_a.max(NOTHING_A) } else { NOTHING_A };
        let single = car.phases != [true; 3];
        for at in path(self.problem, car) {
            let node = &self.problem.nodes[at];
            let load = self.load_a[at][step];
            let other = node.other_a.get(step).or(node.other_a.last()).copied().unwrap_or_default();
            for p in (0..3).filter(|p| car.phases[*p]) {
                let left = node.rating_a.map(|rating| rating[p] - other[p] - load[p]);
                let balance = node.imbalance_a.filter(|_| single).map(|most| most - load[p]);
                if left.into_iter().chain(balance).any(|left| left < wanted_a) {
                    return Some(Full { node: at, phase: Some(p), limit: None });
                }
            }
            let volts = self.problem.voltage_v / 1000.0;
            let count = car.phases.iter().filter(|loads| **loads).count() as f64;
            let wanted_kw = wanted_a * volts * count;
            let cars_kw = load.iter().sum::<f64>() * volts;
            let other_kw = other.iter().sum::<f64>() * volts;
            if node.power_limit_kw.is_some_and(|most| most - other_kw - cars_kw < wanted_kw) {
                return Some(Full { node: at, phase: None, limit: None });
            }
            let (begin, end) = (self.problem.grid[step], self.problem.grid[step + 1]);
            let full = node.limits.iter().find(|limit| {
                limit.from < end
                    && limit.until.is_none_or(|until| begin < until)
                    && limit.limit_kw - cars_kw < wanted_kw
            });
            if let Some(limit) = full {
                return Some(Full { node: at, phase: None, limit: Some(&limit.cause) });
            }
        }
        None
    }

    fn peak(&self, step: usize) -> Option<Reason> {
        let priced = 0.0 < self.problem.objective.peak_eur_per_kw;
        (priced && self.highest_kw <= self.import_kw[step] + 0.1).then_some(Reason::Peak)
    }

    /// When the car gets more than this, or goes on after a pause.
    fn next(&self, car: usize, step: usize, current: f64) -> Option<usize> {
        let currents = &self.current_a[car];
        let more = |from: f64| {
            (step + 1..currents.len()).find(|later| from + NOTHING_A < currents[*later])
        };
        more(current).or_else(|| more(0.0))
    }

    fn is_sunny(&self, step: usize) -> bool {
        let sun = self.tariffs[step].surplus_kw;
        0.1 < sun && SUNNY_SHARE * self.cars_kw[step] <= sun
    }

    /// Energy of all cars that the sun is expected to give, in kWh.
    pub fn sun_kwh(&self) -> f64 {
        let grid = &self.problem.grid;
        let each =
            self.cars_kw.iter().zip(&self.tariffs).enumerate().map(|(step, (kw, tariff))| {
                let length = grid[step + 1].since(grid[step]).as_hours();
                kw.min(tariff.surplus_kw.max(0.0)) * length.max(0.0)
            });
        each.sum()
    }
}

/// From the car's node up to the root; a tree that makes no sense ends where it stops to.
fn path(problem: &Problem, car: &Car) -> Vec<usize> {
    let mut path = Vec::new();
    let mut next = Some(car.node);
    while let Some(at) = next.filter(|at| *at < problem.nodes.len()) {
        path.push(at);
        next = problem.nodes[at].parent.filter(|parent| *parent < at);
    }
    path
}
