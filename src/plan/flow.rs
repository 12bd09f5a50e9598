//! The instant plan made better: cars that load the same phases are one commodity, and its cheapest
//! flow through the tree is found exactly, the cheapest steps opened first.
//!
//! All prices stand on the steps, and what can reach the steps is a polymatroid, so opening them in
//! rising price is exact: with one set of phases, equal worth of all needs, one deadline for each
//! car, and neither peak price nor minimum. Else it is a good plan: each set of phases in turn
//! takes what the others leave.

use std::collections::BTreeMap;

use super::figures::Figures;
use super::greedy;
use super::maxflow::Network;
use super::round::EXACT_STEPS;
use super::wish::{Deadline, Wish};

/// Less than this does not count, in A or kWh.
const NOTHING: f64 = 1e-6;

/// Arcs that the search may look at for all sets of phases together, so that the plan is there in
/// time on the largest sites too.
const LOOKS: usize = 150_000;

/// Current in A by car and step.
pub fn currents(figures: &Figures) -> Vec<Vec<f64>> {
    improved(figures, greedy::currents(figures), 0.0)
}

/// The same from a schedule on. The peak may rise by `raise_kw` as if that were free.
pub fn improved(figures: &Figures, mut current_a: Vec<Vec<f64>>, raise_kw: f64) -> Vec<Vec<f64>> {
    let mut blocks: BTreeMap<[bool; 3], Vec<usize>> = BTreeMap::new();
    for (car, wish) in figures.wishes.iter().enumerate() {
        if !wish.is_idle() && !wish.deadlines.is_empty() {
            blocks.entry(wish.phases).or_default().push(car);
        }
    }
    let looks = LOOKS / blocks.len().max(1);
    for cars in blocks.values() {
        Block::new(figures, cars, &current_a, (raise_kw, looks)).solve(&mut current_a);
    }
    for (wish, currents) in figures.wishes.iter().zip(&mut current_a) {
        for current in currents.iter_mut().take(EXACT_STEPS) {
            if *current < wish.min_a {
                *current = 0.0;
            }
        }
    }
    greedy::completed(figures, current_a, raise_kw)
}

/// The cars that load one set of phases, with what the others leave to them.
struct Block<'a> {
    figures: &'a Figures,
    cars: &'a [usize],
    network: Network,
    /// Arc from the source to each car.
    supply: Vec<usize>,
    /// Car, step and arc.
    cells: Vec<(usize, usize, usize)>,
    /// Price, step and how many kWh, cheapest first.
    pieces: Vec<(f64, usize, f64)>,
}

impl<'a> Block<'a> {
    fn new(
        figures: &'a Figures,
        cars: &'a [usize],
        current_a: &[Vec<f64>],
        (raise_kw, looks): (f64, usize),
    ) -> Self {
        let mut network = Network::new(1 + cars.len() + figures.steps(), looks);
        let supply = (0..cars.len()).map(|at| network.arc(0, 1 + at, 0.0)).collect();
        let mut block =
            Self { figures, cars, network, supply, cells: Vec::new(), pieces: Vec::new() };
        let mut place = vec![None; figures.wishes.len()];
        for (at, car) in cars.iter().enumerate() {
            place[*car] = Some(at);
        }
        let mut rows = figures.rows.as_slice();
        for step in 0..figures.steps() {
            let count = rows.partition_point(|row| row.step <= step);
            let (now, later) = rows.split_at(count);
            rows = later;
            let mut others_kw = 0.0;
            for (car, currents) in current_a.iter().enumerate() {
                if place[car].is_none() && 0.0 < currents[step] {
                    others_kw += currents[step] * figures.expected_kw_per_a(car, step);
                }
            }
            let mut limits: Vec<(Vec<usize>, f64)> = Vec::new();
            for row in now {
                let (mut members, mut left, mut factor) = (Vec::new(), row.sure_a(), 1.0);
                for (car, each) in &row.terms {
                    match place[*car] {
                        Some(at) => {
                            members.push(at);
                            factor = *each;
                        }
                        None => left -= each * current_a[*car][step],
                    }
                }
                if !members.is_empty() {
                    limits.push((members, left.max(0.0) / factor));
                }
            }
            limits.sort_by_key(|limit| limit.0.len());
            block.connect(step, &limits);
            block.price(step, others_kw, raise_kw);
        }
        block.pieces.sort_by(|one, other| one.0.total_cmp(&other.0));
        block
    }

    /// One step: from each car through the limits around it, the narrowest set first.
    fn connect(&mut self, step: usize, limits: &[(Vec<usize>, f64)]) {
        let length = self.figures.length_h(step);
        let end = 1 + self.cars.len() + step;
        let mut top: Vec<Option<(usize, f64)>> = vec![None; self.cars.len()];
        for (members, limit_a) in limits {
            let node = self.network.node();
            let kwh_per_a = self.figures.wishes[self.cars[members[0]]].kw_per_a * length;
            self.gather(step, members, &top, node);
            for at in members {
                top[*at] = Some((node, limit_a * kwh_per_a));
            }
        }
        let all: Vec<usize> = (0..self.cars.len()).collect();
        self.gather(step, &all, &top, end);
    }

    /// Leads what these cars get so far into a node.
    fn gather(
        &mut self,
        step: usize,
        members: &[usize],
        top: &[Option<(usize, f64)>],
        node: usize,
    ) {
        let mut last = None;
        let mut joined: Vec<usize> = Vec::new();
        for at in members {
            match top[*at] {
                Some((below, most)) => {
                    if last != Some(below) && !joined.contains(&below) {
                        self.network.arc(below, node, most);
                        joined.push(below);
                    }
                    last = Some(below);
                }
                None => {
                    let car = self.cars[*at];
                    let wish = &self.figures.wishes[car];
                    let by = wish.deadlines.last().map_or(0.0, |deadline| deadline.by_h);
                    let useful = wish.hours_between(self.figures.span_h(step), 0.0, by);
                    if 0.0 < wish.cap_a[step] && 0.0 < useful {
                        let most = wish.cap_a[step] * wish.kw_per_a * self.figures.length_h(step);
                        self.cells.push((car, step, self.network.arc(1 + at, node, most)));
                    }
                }
            }
        }
    }

    /// What a step offers beyond what the other cars take, piece by piece.
    fn price(&mut self, step: usize, others_kw: f64, raise_kw: f64) {
        let figures = self.figures;
        let (tariff, length) = (&figures.tariffs[step], figures.length_h(step));
        let later = figures.early_eur_per_kwh_h * figures.middle_h(step);
        let free_kw = figures.free_kw[step] + raise_kw;
        let mut at_kw = others_kw;
        while at_kw.is_finite() && 0.0 < length {
            let free = at_kw + NOTHING < free_kw;
            let mut end_kw = tariff.end_of_piece(at_kw);
            let mut price = tariff.marginal(at_kw) + later;
            if 0.0 < figures.peak_eur_per_kw && free {
                end_kw = end_kw.min(free_kw);
            } else if 0.0 < figures.peak_eur_per_kw {
                price += figures.peak_eur_per_kw / length;
            }
            self.pieces.push((price, step, (end_kw - at_kw) * length));
            at_kw = end_kw;
        }
    }

    /// Those whose energy is worth more first; each class takes the cheapest steps.
    fn solve(mut self, current_a: &mut [Vec<f64>]) {
        let mut classes: BTreeMap<i32, (f64, Vec<(usize, f64)>)> = BTreeMap::new();
        for (at, car) in self.cars.iter().enumerate() {
            for (kwh, worth) in pieces(&self.figures.wishes[*car]) {
                let class = classes.entry(-worth.log2().floor() as i32).or_default();
                class.0 = worth.max(class.0);
                class.1.push((at, kwh));
            }
        }
        for (worth, wanted) in classes.into_values() {
            let mut open: f64 = 0.0;
            for (at, kwh) in wanted {
                self.network.widen(self.supply[at], kwh);
                open += kwh;
            }
            self.network.revive();
            for (price, step, left) in &mut self.pieces {
                if worth <= *price || open <= NOTHING {
                    break;
                }
                let sent = self.network.send(1 + self.cars.len() + *step, left.min(1e9));
                *left -= sent;
                open -= sent;
            }
        }
        for (car, step, arc) in &self.cells {
            let wish = &self.figures.wishes[*car];
            let kwh_per_a = wish.kw_per_a * self.figures.length_h(*step);
            let current = self.network.flow(*arc) / kwh_per_a;
            let current = if current <= NOTHING { 0.0 } else { current.min(wish.cap_a[*step]) };
            current_a[*car][*step] = current;
        }
    }
}

/// What a car wants, in pieces with their worth, all deadlines taken as one.
fn pieces(wish: &Wish) -> Vec<(f64, f64)> {
    let mut levels: Vec<(f64, f64)> =
        wish.deadlines.iter().flat_map(|deadline| deadline.levels.iter().copied()).collect();
    levels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut room = wish.room_kwh;
    let mut pieces = Deadline { by_h: 0.0, levels }.pieces();
    for piece in &mut pieces {
        piece.0 = piece.0.min(room);
        room -= piece.0;
    }
    pieces.retain(|piece| NOTHING < piece.0 && 0.0 < piece.1);
    pieces
}
