//! One car in plain figures: how much it can take in each step, and what it should have by when.
//!
//! All times are hours since the first step began. What makes no sense (a window that ends before
//! it begins, a node that is not there) becomes a car that cannot charge, never an error.

use crate::ground::time::Utc;

use super::problem::{Car, CarKind, Problem, Taper};

/// What a kWh is worth that somebody wants as fast as possible, in EUR: more than any night's
/// saving, less than a driver's need.
const FAST_EUR_PER_KWH: f64 = 0.5;
/// Priorities beyond this change nothing more; each step doubles the price of what is missing.
const PRIORITY_MAX: i32 = 8;
/// A minimum that no car reaches: that of a car whose minimum is no number.
const NEVER_A: f64 = 1e9;
/// Whoever starts charges at least for so long, in hours; the car itself stops earlier.
const START_H: f64 = 0.25;
/// Needs closer in time than this have one deadline, in hours.
const SAME_H: f64 = 1e-6;

/// A car in figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// kW for one A on each of its phases.
    pub kw_per_a: f64,
    /// Its phases.
    pub phases: [bool; 3],
    /// The least that it charges with, in A; zero where only an expectation is planned.
    pub min_a: f64,
    /// The most by step, in A; zero where it cannot charge.
    pub cap_a: Vec<f64>,
    /// Hours that it is there, by step.
    pub hours: Vec<f64>,
    /// Probability that it is still there, by step.
    pub presence: Vec<f64>,
    /// From when to when it is there.
    pub window_h: (f64, f64),
    /// Nodes from its own up to the root; empty if the tree makes no sense.
    pub path: Vec<usize>,
    /// It takes no more than this, in kWh.
    pub room_kwh: f64,
    /// Rising in time.
    pub deadlines: Vec<Deadline>,
    /// Where it begins to take less.
    pub taper: Option<Taper>,
    /// What waiting costs it on top of what it costs all, in EUR for each kWh and hour.
    pub early_eur_per_kwh_h: f64,
    /// It charges at this moment.
    pub is_on: bool,
    /// When it was last switched, in hours; negative for the past.
    pub switched_h: Option<f64>,
}

/// What should be there by one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Deadline {
    /// By when.
    pub by_h: f64,
    /// Levels in kWh with the price of each missing kWh up to there, rising in kWh.
    pub levels: Vec<(f64, f64)>,
}

impl Deadline {
    /// Energy in pieces from the bottom: how many kWh, and what each of them is worth.
    pub fn pieces(&self) -> Vec<(f64, f64)> {
        let mut worth: f64 = self.levels.iter().map(|level| level.1).sum();
        let mut from = 0.0;
        let mut pieces = Vec::new();
        for (kwh, eur) in &self.levels {
            if from < *kwh {
                pieces.push((kwh - from, worth));
                from = *kwh;
            }
            worth -= eur;
        }
        pieces
    }

    /// The highest level, in kWh.
    pub fn top_kwh(&self) -> f64 {
        self.levels.last().map_or(0.0, |level| level.0)
    }
}

/// Hours from `begin` to `time`.
pub fn hours_since(begin: Utc, time: Utc) -> f64 {
    time.since(begin).as_hours()
}

/// Length of what two spans have in common.
fn common(one: (f64, f64), other: (f64, f64)) -> f64 {
    (one.1.min(other.1) - one.0.max(other.0)).max(0.0)
}

fn sane(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

impl Wish {
    /// The car in figures; `edges_h` are the boundaries of the steps.
    pub fn new(problem: &Problem, car: &Car, edges_h: &[f64]) -> Self {
        let begin = problem.grid.first().copied().unwrap_or_default();
        let count = car.phases.iter().filter(|loads| **loads).count();
        let window_h = (hours_since(begin, car.from).max(0.0), hours_since(begin, car.until));
        let path = path(problem, car.node);
        let can = !path.is_empty() && 0 < count && 0.0 < sane(problem.voltage_v);
        let steps: Vec<(f64, f64)> = edges_h.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let hours: Vec<f64> = steps.iter().map(|step| common(*step, window_h)).collect();
        let expected = car.kind == CarKind::Expected;
        let min_a = match (expected, car.min_a.is_finite()) {
            (true, _) => 0.0,
            (false, true) => car.min_a.max(0.0),
            (false, false) => NEVER_A,
        };
        let cap_a = steps
            .iter()
            .zip(&hours)
            .map(|(step, there)| if can && 0.0 < *there { cap(car, begin, *step) } else { 0.0 });
        let presence = |step: usize| match car.presence.get(step).or(car.presence.last()) {
            Some(value) => sane(*value).min(1.0),
            None => 1.0,
        };
        let mut wish = Self {
            kw_per_a: sane(problem.voltage_v) / 1000.0 * count as f64,
            phases: car.phases,
            min_a,
            cap_a: cap_a.map(|cap| if cap + 1e-9 < min_a { 0.0 } else { cap }).collect(),
            presence: (0..hours.len()).map(presence).collect(),
            hours,
            window_h,
            path,
            room_kwh: 0.0,
            deadlines: Vec::new(),
            taper: car.taper.filter(|taper| taper.knee_kwh.is_finite()),
            early_eur_per_kwh_h: sane(car.early_eur_per_kwh_h),
            is_on: 0.0 < car.now_a,
            switched_h: car.switched.map(|time| hours_since(begin, time)),
        };
        wish.deadlines = wish.deadlines_of(car, begin, edges_h);
        let top = wish.deadlines.iter().map(Deadline::top_kwh).fold(0.0, f64::max);
        let room = car.room_kwh.map_or(top, sane);
        let start = if NEVER_A <= min_a { 0.0 } else { min_a * wish.kw_per_a * START_H };
        wish.room_kwh = if 0.0 < room { room.max(start) } else { 0.0 };
        wish
    }

    fn deadlines_of(&self, car: &Car, begin: Utc, edges_h: &[f64]) -> Vec<Deadline> {
        let factor = f64::from(car.priority.clamp(-PRIORITY_MAX, PRIORITY_MAX)).exp2();
        let needs = car.needs.iter().map(|need| {
            (hours_since(begin, need.by), sane(need.kwh), sane(need.eur_per_kwh) * factor)
        });
        let fast_kwh = sane(car.fast_kwh);
        let full_kw = sane(car.max_a) * self.kw_per_a;
        // As fast as possible, up to the end of the step in which that is.
        let earliest = self.window_h.0 + fast_kwh / full_kw;
        let end = edges_h.iter().copied().find(|edge| earliest <= *edge + SAME_H);
        let fast = end.map(|end| (end, fast_kwh, FAST_EUR_PER_KWH));
        let mut all: Vec<(f64, f64, f64)> = needs
            .chain(fast)
            .map(|(by, kwh, eur)| (by.min(self.window_h.1), kwh, eur))
            .filter(|(by, kwh, eur)| self.window_h.0 < *by && 0.0 < *kwh && 0.0 < *eur)
            .collect();
        all.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
        let mut deadlines: Vec<Deadline> = Vec::new();
        for (by_h, kwh, eur) in all {
            match deadlines.last_mut() {
                Some(last) if by_h <= last.by_h + SAME_H => last.levels.push((kwh, eur)),
                _ => deadlines.push(Deadline { by_h, levels: vec![(kwh, eur)] }),
            }
        }
        for deadline in &mut deadlines {
            deadline.levels.sort_by(|one, other| one.0.total_cmp(&other.0));
        }
        deadlines
    }

    /// Hours of a step that it is there and that lie between two times.
    pub fn hours_between(&self, step_h: (f64, f64), from_h: f64, to_h: f64) -> f64 {
        common(step_h, (self.window_h.0.max(from_h), self.window_h.1.min(to_h)))
    }

    /// It can charge in no step.
    pub fn is_idle(&self) -> bool {
        self.cap_a.iter().all(|cap| *cap <= 0.0)
    }
}

/// The most in a step, in A: its rating and the tightest limit that reaches into the step.
fn cap(car: &Car, begin: Utc, step_h: (f64, f64)) -> f64 {
    let reaches = |from: Utc, until: Option<Utc>| {
        hours_since(begin, from) < step_h.1
            && until.is_none_or(|until| step_h.0 < hours_since(begin, until))
    };
    let limits = car.bounds.iter().filter(|bound| reaches(bound.from, bound.until));
    limits.fold(sane(car.max_a), |most, bound| most.min(sane(bound.limit_a)))
}

/// From a node up to the root; empty where the tree makes no sense.
fn path(problem: &Problem, node: usize) -> Vec<usize> {
    let mut path = Vec::new();
    let mut next = Some(node);
    while let Some(at) = next {
        let Some(node) = problem.nodes.get(at) else { return Vec::new() };
        path.push(at);
        if node.parent.is_some_and(|parent| at <= parent) {
            return Vec::new();
        }
        next = node.parent;
    }
    path
}
