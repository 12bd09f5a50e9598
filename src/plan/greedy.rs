//! The plan that needs no solver: who has the least time to spare chooses first, each takes the
//! cheapest steps that are left. Never empty-handed, never beyond a row, in a fraction of a
//! millisecond.

use super::figures::Figures;

/// Less than this does not count, in A.
const NOTHING_A: f64 = 1e-6;

/// Current in A by car and step.
pub fn currents(figures: &Figures) -> Vec<Vec<f64>> {
    completed(figures, figures.nothing(), 0.0)
}

/// The same, with what is there already kept: only what is left is given away. The peak may rise
/// by `raise_kw` as if that were free.
pub fn completed(figures: &Figures, current_a: Vec<Vec<f64>>, raise_kw: f64) -> Vec<Vec<f64>> {
    let mut greedy = Greedy::new(figures, &current_a);
    greedy.raised_kw = greedy.raised_kw.max(raise_kw);
    for car in order(figures) {
        greedy.serve(car);
    }
    greedy.current_a
}

/// Those first who can least wait; at equal spare time those whose energy is worth more.
fn order(figures: &Figures) -> Vec<usize> {
    let spare = |car: usize| {
        let wish = &figures.wishes[car];
        let all = wish.deadlines.iter().map(|deadline| {
            let most: f64 = (0..figures.steps())
                .map(|step| {
                    let hours = wish.hours_between(figures.span_h(step), 0.0, deadline.by_h);
                    wish.cap_a[step] * wish.kw_per_a * hours
                })
                .sum();
            let full_kw = wish.cap_a.iter().copied().fold(0.0, f64::max) * wish.kw_per_a;
            if 0.0 < full_kw { (most - deadline.top_kwh()) / full_kw } else { f64::INFINITY }
        });
        all.fold(f64::INFINITY, f64::min)
    };
    let worth = |car: usize| {
        let first = figures.wishes[car].deadlines.iter().flat_map(|deadline| deadline.pieces());
        first.map(|piece| piece.1).fold(0.0, f64::max)
    };
    let mut order: Vec<(f64, f64, usize)> =
        (0..figures.wishes.len()).map(|car| (spare(car), -worth(car), car)).collect();
    order.sort_by(|one, other| {
        one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)).then(one.2.cmp(&other.2))
    });
    order.into_iter().map(|(_, _, car)| car).collect()
}

struct Greedy<'a> {
    figures: &'a Figures,
    current_a: Vec<Vec<f64>>,
    /// What is left of each row.
    left: Vec<f64>,
    /// By car: step, row and factor, rising by step.
    loads: Vec<Vec<(usize, usize, f64)>>,
    /// What all cars are expected to take, in kW by step.
    expected_kw: Vec<f64>,
    /// By how much the peak was raised so far, in kW.
    raised_kw: f64,
}

/// Some current of a car in a step at one price.
struct Chunk {
    eur_per_kwh: f64,
    step: usize,
    to_a: f64,
}

impl<'a> Greedy<'a> {
    fn new(figures: &'a Figures, given_a: &[Vec<f64>]) -> Self {
        let mut loads = vec![Vec::new(); figures.wishes.len()];
        for (at, row) in figures.rows.iter().enumerate() {
            for (car, factor) in &row.terms {
                loads[*car].push((row.step, at, *factor));
            }
        }
        let mut greedy = Self {
            figures,
            current_a: figures.nothing(),
            left: figures.rows.iter().map(|row| row.sure_a()).collect(),
            loads,
            expected_kw: vec![0.0; figures.steps()],
            raised_kw: 0.0,
        };
        for (car, currents) in given_a.iter().enumerate() {
            for (step, current) in currents.iter().enumerate().filter(|each| 0.0 < *each.1) {
                greedy.set(car, step, *current);
            }
        }
        greedy
    }

    fn serve(&mut self, car: usize) {
        let deadlines = &self.figures.wishes[car].deadlines;
        for (at, deadline) in deadlines.iter().enumerate() {
            let mut target = 0.0;
            for (kwh, worth) in deadline.pieces() {
                target += kwh;
                // What is there early also serves what is wanted later.
                let later = deadlines[at + 1..].iter().map(|later| worth_at(later, target));
                self.fill(car, deadline.by_h, target, worth + later.sum::<f64>());
            }
        }
    }

    /// Energy of a car before a time, in kWh.
    fn energy(&self, car: usize, by_h: f64) -> f64 {
        let wish = &self.figures.wishes[car];
        let each = self.current_a[car].iter().enumerate().map(|(step, current)| {
            current * wish.kw_per_a * wish.hours_between(self.figures.span_h(step), 0.0, by_h)
        });
        each.sum()
    }

    fn fill(&mut self, car: usize, by_h: f64, target_kwh: f64, worth: f64) {
        let wish = &self.figures.wishes[car];
        let mut missing = target_kwh - self.energy(car, by_h);
        let mut room = wish.room_kwh - self.energy(car, f64::INFINITY);
        if missing <= NOTHING_A || room <= NOTHING_A {
            return;
        }
        let mut chunks = self.chunks(car, by_h);
        chunks.sort_by(|one, other| one.eur_per_kwh.total_cmp(&other.eur_per_kwh));
        for chunk in chunks {
            let step = chunk.step;
            let per_a = wish.kw_per_a * wish.hours_between(self.figures.span_h(step), 0.0, by_h);
            let all_per_a = wish.kw_per_a * wish.hours[step];
            let now = self.current_a[car][step];
            if worth <= chunk.eur_per_kwh || missing <= NOTHING_A || room <= NOTHING_A {
                return;
            }
            let most = (now + missing / per_a).min(now + room / all_per_a);
            let to = chunk.to_a.min(most.max(wish.min_a));
            if now < to && wish.min_a <= to {
                self.set(car, step, to);
                missing -= (to - now) * per_a;
                room -= (to - now) * all_per_a;
            }
        }
    }

    /// What a car can still get before a time, in pieces of one price.
    fn chunks(&self, car: usize, by_h: f64) -> Vec<Chunk> {
        let figures = self.figures;
        let wish = &figures.wishes[car];
        let mut left = wish.cap_a.clone();
        for (step, current) in self.current_a[car].iter().enumerate() {
            left[step] -= current;
        }
        for (step, row, factor) in &self.loads[car] {
            left[*step] = left[*step].min(self.left[*row] / factor);
        }
        let mut chunks = Vec::new();
        for (step, left) in left.into_iter().enumerate() {
            let now = self.current_a[car][step];
            let useful = wish.hours_between(figures.span_h(step), 0.0, by_h);
            let starts = NOTHING_A < left && wish.min_a <= now + left + NOTHING_A;
            if useful <= 0.0 || wish.kw_per_a <= 0.0 || !starts {
                continue;
            }
            self.pieces(car, step, (now, now + left), useful, &mut chunks);
        }
        chunks
    }

    fn pieces(
        &self,
        car: usize,
        step: usize,
        (mut from, to): (f64, f64),
        useful_h: f64,
        into: &mut Vec<Chunk>,
    ) {
        let figures = self.figures;
        let wish = &figures.wishes[car];
        let tariff = &figures.tariffs[step];
        let kw_per_a = figures.expected_kw_per_a(car, step);
        let begin = from;
        let free = figures.free_kw[step] + self.raised_kw;
        let later = figures.late_eur_per_kwh(car, step);
        let mut last = f64::NEG_INFINITY;
        while from + NOTHING_A < to {
            let at_kw = self.expected_kw[step] + (from - begin) * kw_per_a;
            let mut end_kw = tariff.end_of_piece(at_kw);
            if at_kw + 1e-9 < free && 0.0 < figures.peak_eur_per_kw {
                end_kw = end_kw.min(free);
            }
            let mut end = if 0.0 < kw_per_a { from + (end_kw - at_kw) / kw_per_a } else { to };
            end = end.max(from + NOTHING_A).max(wish.min_a).min(to);
            let end_at_kw = at_kw + (end - from) * kw_per_a;
            let length = figures.length_h(step);
            let peak = (end_at_kw - free.max(at_kw)).max(0.0) * figures.peak_eur_per_kw;
            let eur =
                (tariff.cost_per_hour(end_at_kw) - tariff.cost_per_hour(at_kw)) * length + peak;
            let kwh = (end - from) * wish.kw_per_a * useful_h;
            // Never falling, so that the pieces of a step are taken in their order.
            last = (eur / kwh + later).max(last);
            into.push(Chunk { eur_per_kwh: last, step, to_a: end });
            from = end;
        }
    }

    fn set(&mut self, car: usize, step: usize, to_a: f64) {
        let more = to_a - self.current_a[car][step];
        self.current_a[car][step] = to_a;
        self.expected_kw[step] += more * self.figures.expected_kw_per_a(car, step);
        let above = self.expected_kw[step] - self.figures.free_kw[step];
        self.raised_kw = self.raised_kw.max(above);
        let loads = &self.loads[car];
        let first = loads.partition_point(|load| load.0 < step);
        for (_, row, factor) in loads[first..].iter().take_while(|load| load.0 == step) {
            self.left[*row] -= more * factor;
        }
    }
}

/// What a kWh at this level is worth to a deadline.
fn worth_at(deadline: &super::wish::Deadline, kwh: f64) -> f64 {
    deadline.levels.iter().filter(|level| kwh <= level.0 + 1e-9).map(|level| level.1).sum()
}
