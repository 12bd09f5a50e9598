//! Who shares which limit in which step: the rows that can bind, each with its place in the tree.
//!
//! A row that one car alone loads, or that leaves nothing at all, becomes a bound of the car. A row
//! that all its cars together cannot fill is left out. Rows of the same cars become the tightest.

use std::collections::BTreeMap;

use crate::ground::units::Phase;

use super::problem::{Problem, ProblemNode};
use super::wish::{Wish, hours_since};

/// Less than this does not count, in A.
const NOTHING_A: f64 = 1e-6;

/// One limit in one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// In this step …
    pub step: usize,
    /// … the sum of factor times current of these cars …
    pub terms: Vec<(usize, f64)>,
    /// … is at most this …
    pub limit: f64,
    /// … of which so much, in A, may not be there.
    pub unsure_a: f64,
}

impl Row {
    /// The part of the limit that is there in the bad case, too.
    pub fn sure_a(&self) -> f64 {
        self.limit - self.unsure_a
    }
}

/// What a row adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Current on a phase, in A.
    Phase(usize),
    /// Current of cars with fewer than three phases on a phase, in A.
    Imbalance(usize),
    /// Power, in kW.
    Power,
}

/// The phase of a position.
pub fn phase(position: usize) -> Phase {
    [Phase::L1, Phase::L2, Phase::L3][position.min(2)]
}

/// Tightens the cars' bounds and returns the rows that can bind.
pub fn build(problem: &Problem, wishes: &mut [Wish], edges_h: &[f64]) -> Vec<Row> {
    let groups = groups(problem, wishes);
    let steps = edges_h.len().saturating_sub(1);
    let limits: Vec<(Terms, Vec<(f64, f64)>)> = groups
        .into_iter()
        .map(|((_, members), sources)| {
            let least = |step: usize| {
                let mut least = (f64::INFINITY, f64::INFINITY);
                for (node, kind) in &sources {
                    let limit = limit(problem, *node, *kind, step, edges_h);
                    let sure = (limit - unsure(problem, *node, *kind, step)).max(0.0);
                    least = (least.0.min(limit), least.1.min(sure));
                }
                least
            };
            let per_a = |car: &usize| match sources[0].1 {
                Kind::Power => wishes[*car].kw_per_a,
                Kind::Phase(_) | Kind::Imbalance(_) => 1.0,
            };
            let terms = members.iter().map(|car| (*car, per_a(car))).collect();
            (terms, (0..steps).map(least).collect())
        })
        .collect();
    for (terms, limits) in &limits {
        for (step, (limit, _)) in limits.iter().enumerate() {
            tighten(wishes, terms, step, *limit);
        }
    }
    let mut rows = Vec::new();
    for (terms, limits) in &limits {
        for (step, limit) in limits.iter().enumerate() {
            rows.extend(row(wishes, terms, step, *limit));
        }
    }
    rows.sort_by_key(|row| row.step);
    rows
}

/// Power or not, and the cars.
type Members = (bool, Vec<usize>);
/// Cars with their factors.
type Terms = Vec<(usize, f64)>;

/// Limits by the cars that share them; power stands apart from current.
fn groups(problem: &Problem, wishes: &[Wish]) -> BTreeMap<Members, Vec<(usize, Kind)>> {
    let mut below = vec![Vec::new(); problem.nodes.len()];
    for (car, wish) in wishes.iter().enumerate().filter(|(_, wish)| !wish.is_idle()) {
        for node in &wish.path {
            below[*node].push(car);
        }
    }
    let mut groups: BTreeMap<Members, Vec<(usize, Kind)>> = BTreeMap::new();
    let mut add = |members: Vec<usize>, node: usize, kind: Kind| {
        if !members.is_empty() {
            groups.entry((kind == Kind::Power, members)).or_default().push((node, kind));
        }
    };
    for (at, node) in problem.nodes.iter().enumerate() {
        for phase in 0..3 {
            let on = |car: &&usize| wishes[**car].phases[phase];
            if node.rating_a.is_some() {
                add(below[at].iter().filter(on).copied().collect(), at, Kind::Phase(phase));
            }
            if node.imbalance_a.is_some() {
                let single = |car: &&usize| wishes[**car].phases != [true; 3];
                let members = below[at].iter().filter(on).filter(single).copied().collect();
                add(members, at, Kind::Imbalance(phase));
            }
        }
        if node.power_limit_kw.is_some() || !node.limits.is_empty() {
            add(below[at].clone(), at, Kind::Power);
        }
    }
    groups
}

/// What a node leaves to its cars in a step, in A or kW.
fn limit(problem: &Problem, node: usize, kind: Kind, step: usize, edges_h: &[f64]) -> f64 {
    let node = &problem.nodes[node];
    let other = node.other_a.get(step).or(node.other_a.last()).copied().unwrap_or_default();
    let left = match kind {
        Kind::Phase(phase) => {
            node.rating_a.map_or(f64::INFINITY, |rating| rating[phase]) - other[phase]
        }
        Kind::Imbalance(_) => node.imbalance_a.unwrap_or(f64::INFINITY),
        Kind::Power => {
            let other_kw = other.iter().sum::<f64>() * problem.voltage_v / 1000.0;
            let own = node.power_limit_kw.map_or(f64::INFINITY, |limit| limit - other_kw);
            own.min(outside_kw(problem, node, (edges_h[step], edges_h[step + 1])))
        }
    };
    if left.is_nan() { 0.0 } else { left.max(0.0) }
}

/// How much of that may not be there, in A.
fn unsure(problem: &Problem, node: usize, kind: Kind, step: usize) -> f64 {
    let Kind::Phase(phase) = kind else { return 0.0 };
    let unsure = &problem.nodes[node].unsure_a;
    let value = unsure.get(step).or(unsure.last()).map_or(0.0, |phases| phases[phase]);
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

/// The tightest limit from outside that reaches into a step, in kW.
fn outside_kw(problem: &Problem, node: &ProblemNode, step_h: (f64, f64)) -> f64 {
    let begin = problem.grid.first().copied().unwrap_or_default();
    let reaches = node.limits.iter().filter(|limit| {
        hours_since(begin, limit.from) < step_h.1
            && limit.until.is_none_or(|until| step_h.0 < hours_since(begin, until))
    });
    reaches.fold(f64::INFINITY, |least, limit| {
        if limit.limit_kw.is_nan() { 0.0 } else { least.min(limit.limit_kw) }
    })
}

fn tighten(wishes: &mut [Wish], terms: &[(usize, f64)], step: usize, limit: f64) {
    for (car, factor) in terms {
        let wish = &mut wishes[*car];
        let cap = &mut wish.cap_a[step];
        if limit < *cap * factor {
            *cap = if 0.0 < *factor { limit / factor } else { 0.0 };
            if *cap + 1e-9 < wish.min_a || *cap < NOTHING_A {
                *cap = 0.0;
            }
        }
    }
}

/// The row, if its cars together can fill it.
fn row(
    wishes: &[Wish],
    terms: &[(usize, f64)],
    step: usize,
    (limit, sure): (f64, f64),
) -> Option<Row> {
    if limit.is_infinite() {
        return None;
    }
    let most: f64 = terms.iter().map(|(car, factor)| wishes[*car].cap_a[step] * factor).sum();
    if most <= sure + NOTHING_A {
        return None;
    }
    let active = |term: &&(usize, f64)| 0.0 < wishes[term.0].cap_a[step];
    let terms = terms.iter().filter(active).copied().collect();
    Some(Row { step, terms, limit, unsure_a: limit - sure })
}
