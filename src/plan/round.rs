//! Minimum currents: in the first steps a car charges with at least its minimum or not at all.
//!
//! The relaxed program says how much a car should get; here it is decided in which of the first
//! steps it is on. What one car is rounded down is owed to the next, so that the sum of a step
//! stays what the program wanted. A car that is on already comes first: that spares its contactor.

use super::figures::Figures;

/// The first steps, where the minimum is exact; the rest will be planned again before it comes.
pub const EXACT_STEPS: usize = 4;
/// Less than this does not count, in A.
const NOTHING_A: f64 = 1e-4;
/// A car that was switched less than so many hours ago had better stay as it is.
const SETTLED_H: f64 = 0.25;

/// What is decided about a car in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Any current up to the bound.
    Free,
    /// None at all.
    Off,
    /// At least the minimum.
    On,
}

/// What is decided, by car and step.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    first: Vec<[Cell; EXACT_STEPS]>,
}

impl Cells {
    /// Nothing is decided.
    pub fn free(figures: &Figures) -> Self {
        Self { first: vec![[Cell::Free; EXACT_STEPS]; figures.wishes.len()] }
    }

    /// What is decided about a car in a step.
    pub fn of(&self, car: usize, step: usize) -> Cell {
        self.first[car].get(step).copied().unwrap_or(Cell::Free)
    }

    /// Decides about a car in one of the first steps.
    pub fn decide(&mut self, car: usize, step: usize, cell: Cell) {
        if let Some(place) = self.first[car].get_mut(step) {
            *place = cell;
        }
    }

    /// Decided after what the relaxed program wants.
    pub fn rounded(figures: &Figures, relaxed: &[Vec<f64>]) -> Self {
        let mut cells = Self::free(figures);
        for step in 0..EXACT_STEPS.min(figures.steps()) {
            cells.round(figures, relaxed, step);
        }
        cells
    }

    fn round(&mut self, figures: &Figures, relaxed: &[Vec<f64>], step: usize) {
        let mut left: Vec<(usize, f64)> = Vec::new();
        for (at, row) in figures.rows.iter().enumerate().filter(|(_, row)| row.step == step) {
            left.push((at, row.limit));
        }
        let mut owed_kw = 0.0;
        for car in self.order(figures, relaxed, step) {
            let wish = &figures.wishes[car];
            let wanted_a = relaxed[car][step];
            let kw_per_a = figures.expected_kw_per_a(car, step);
            let clear = wish.min_a <= wanted_a + NOTHING_A;
            owed_kw += wanted_a * kw_per_a;
            let least_kw = wish.min_a * kw_per_a;
            let enough = self.threshold(figures, car, step) * least_kw <= owed_kw;
            let worth = clear || (NOTHING_A < wanted_a && enough);
            let fits =
                left.iter().all(|(row, left)| load(figures, *row, car) * wish.min_a <= *left);
            let has_room = self.least_kwh(figures, car)
                + wish.min_a * wish.kw_per_a * wish.hours[step]
                <= wish.room_kwh + NOTHING_A;
            if worth && fits && has_room {
                for (row, left) in &mut left {
                    *left -= load(figures, *row, car) * wish.min_a;
                }
                owed_kw -= if clear { wanted_a * kw_per_a } else { least_kw };
                self.first[car][step] = Cell::On;
            } else {
                self.first[car][step] = Cell::Off;
            }
        }
    }

    /// What share of its minimum must be wanted for a car to be on: less for one that is on
    /// already, more for one that is off, still less or more where it was switched a moment ago.
    fn threshold(&self, figures: &Figures, car: usize, step: usize) -> f64 {
        let wish = &figures.wishes[car];
        let just = wish.switched_h.is_some_and(|at| step == 0 && -SETTLED_H < at);
        match (self.is_on(figures, car, step), just) {
            (true, true) => 0.2,
            (true, false) => 0.4,
            (false, false) => 0.6,
            (false, true) => 0.8,
        }
    }

    /// Whether a car was on just before a step.
    fn is_on(&self, figures: &Figures, car: usize, step: usize) -> bool {
        match step {
            0 => figures.wishes[car].is_on,
            _ => self.first[car][step - 1] == Cell::On,
        }
    }

    /// What a car gets at least in the steps that are decided, in kWh.
    fn least_kwh(&self, figures: &Figures, car: usize) -> f64 {
        let wish = &figures.wishes[car];
        let on =
            (0..EXACT_STEPS.min(figures.steps())).filter(|step| self.of(car, *step) == Cell::On);
        on.map(|step| wish.min_a * wish.kw_per_a * wish.hours[step]).sum()
    }

    /// Cars with a minimum that can charge in this step: those that are on first, then those that
    /// want most of their minimum.
    fn order(&self, figures: &Figures, relaxed: &[Vec<f64>], step: usize) -> Vec<usize> {
        let can = |car: &usize| {
            let wish = &figures.wishes[*car];
            0.0 < wish.min_a && 0.0 < wish.cap_a[step]
        };
        let share = |car: usize| relaxed[car][step] / figures.wishes[car].min_a;
        let on = |car: usize| self.is_on(figures, car, step);
        let mut order: Vec<usize> = (0..figures.wishes.len()).filter(can).collect();
        order.sort_by(|one, other| {
            let clear = |car: usize| 1.0 <= share(car) + NOTHING_A;
            clear(*other)
                .cmp(&clear(*one))
                .then(on(*other).cmp(&on(*one)))
                .then(share(*other).total_cmp(&share(*one)))
        });
        order
    }

    /// The first car and step where a schedule is not as decided.
    pub fn first_broken(
        &self,
        current_a: &[Vec<f64>],
        figures: &Figures,
    ) -> Option<(usize, usize)> {
        let good = |car: usize, step: usize| {
            let current = current_a[car][step];
            match self.of(car, step) {
                Cell::Free => true,
                Cell::Off => current <= NOTHING_A,
                Cell::On => figures.wishes[car].min_a <= current + NOTHING_A,
            }
        };
        let steps = EXACT_STEPS.min(figures.steps());
        let mut all = (0..self.first.len()).flat_map(|car| (0..steps).map(move |step| (car, step)));
        all.find(|(car, step)| !good(*car, *step))
    }

    /// Free of what rounding of floating point leaves: exactly zero, or at least the minimum.
    pub fn clean(&self, figures: &Figures, mut current_a: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        for (car, currents) in current_a.iter_mut().enumerate() {
            for (step, current) in currents.iter_mut().enumerate() {
                match self.of(car, step) {
                    Cell::On => *current = current.max(figures.wishes[car].min_a),
                    Cell::Off => *current = 0.0,
                    Cell::Free if *current <= NOTHING_A => *current = 0.0,
                    Cell::Free => {}
                }
            }
        }
        current_a
    }
}

/// Factor of a car in a row.
fn load(figures: &Figures, row: usize, car: usize) -> f64 {
    let terms = &figures.rows[row].terms;
    let found = terms.binary_search_by_key(&car, |term| term.0);
    found.map_or(0.0, |at| terms[at].1)
}
