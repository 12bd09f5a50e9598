//! The linear program as plain numbers: columns with price and bounds, rows with limits.
//!
//! Columns are currents, only where a car can charge; every row is an upper bound but those of the
//! needs, which are soft, so there is always a solution. The price of a step stands on the currents
//! for its first piece and on extra columns for what is dearer. Knows no solver: the same numbers
//! go to microlp and, for comparison, to others.

use super::figures::Figures;
use super::round::{Cell, Cells, EXACT_STEPS};
use super::wish::Wish;

/// What one change between charging and pausing costs, in EUR: a contactor lives for some 100,000
/// switches, a driver's patience for fewer.
const SWITCH_EUR: f64 = 0.01;
/// A car that was switched less than so many hours ago is left as it is where that costs little.
const SETTLED_H: f64 = 0.25;
/// How many times dearer a switch is before that.
const UNSETTLED: f64 = 5.0;

/// A linear program, whole numbers where marked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Price of each column.
    pub cost: Vec<f64>,
    /// Least and most of each column.
    pub bounds: Vec<(f64, f64)>,
    /// Columns that are zero or one.
    pub binary: Vec<usize>,
    /// Sums of factor times column with their least and most; one of the two may be infinite.
    pub rows: Vec<ProgramRow>,
    /// Column of each car's current by step.
    pub current: Vec<Vec<Option<usize>>>,
    /// Column that says whether a car is on in one of the first steps.
    pub on: Vec<[Option<usize>; EXACT_STEPS]>,
}

/// One row of a [`Program`].
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramRow {
    /// Column and factor; each column once.
    pub terms: Vec<(usize, f64)>,
    /// The sum is at least this …
    pub least: f64,
    /// … and at most this.
    pub most: f64,
}

impl Program {
    /// The program of a problem, without minimum currents.
    pub fn new(figures: &Figures) -> Self {
        let mut program = Self::default();
        program.add_currents(figures);
        program.add_breakers(figures);
        program.add_prices(figures);
        for car in 0..figures.wishes.len() {
            program.add_needs(figures, car);
        }
        program.on = vec![[None; EXACT_STEPS]; figures.wishes.len()];
        program
    }

    fn column(&mut self, cost: f64, bounds: (f64, f64)) -> usize {
        self.cost.push(cost);
        self.bounds.push(bounds);
        self.cost.len() - 1
    }

    fn row(&mut self, terms: Vec<(usize, f64)>, least: f64, most: f64) {
        self.rows.push(ProgramRow { terms, least, most });
    }

    fn at_most(&mut self, terms: Vec<(usize, f64)>, most: f64) {
        self.row(terms, f64::NEG_INFINITY, most);
    }

    /// Columns are added where a car can charge and anything could make it.
    fn add_currents(&mut self, figures: &Figures) {
        for (car, wish) in figures.wishes.iter().enumerate() {
            let mut columns = vec![None; figures.steps()];
            for (step, column) in columns.iter_mut().enumerate() {
                if wish.cap_a[step] <= 0.0 || wish.room_kwh <= 0.0 {
                    continue;
                }
                let price = figures.tariffs[step].eur_per_kwh[0];
                let bought = figures.expected_kw_per_a(car, step) * figures.length_h(step) * price;
                let late = figures.late_eur_per_kwh(car, step);
                let cost = bought + late * wish.kw_per_a * wish.hours[step];
                *column = Some(self.column(cost, (0.0, wish.cap_a[step])));
            }
            self.current.push(columns);
        }
    }

    fn add_breakers(&mut self, figures: &Figures) {
        for row in &figures.rows {
            let term = |(car, factor): &(usize, f64)| {
                self.current[*car][row.step].map(|column| (column, *factor))
            };
            let mut terms: Vec<(usize, f64)> = row.terms.iter().filter_map(term).collect();
            if terms.is_empty() {
                continue;
            }
            if 0.0 < row.unsure_a {
                let eur = figures.unsure_eur_per_a_h * figures.length_h(row.step);
                terms.push((self.column(eur, (0.0, row.unsure_a)), -1.0));
            }
            self.at_most(terms, row.limit - row.unsure_a);
        }
    }

    /// Dearer pieces of each step, and the peak.
    fn add_prices(&mut self, figures: &Figures) {
        let peak = (0.0 < figures.peak_eur_per_kw)
            .then(|| self.column(figures.peak_eur_per_kw, (0.0, f64::INFINITY)));
        for (step, tariff) in figures.tariffs.iter().enumerate() {
            let mut terms = Vec::new();
            let mut most = 0.0;
            for (car, wish) in figures.wishes.iter().enumerate() {
                let factor = figures.expected_kw_per_a(car, step);
                if let (Some(column), true) = (self.current[car][step], 0.0 < factor) {
                    terms.push((column, factor));
                    most += factor * wish.cap_a[step];
                }
            }
            if let (Some(peak), true) = (peak, figures.free_kw[step] < most) {
                let mut with_peak = terms.clone();
                with_peak.push((peak, -1.0));
                self.at_most(with_peak, figures.free_kw[step]);
            }
            let Some(first) = tariff.ends_kw.first().filter(|end| **end < most) else { continue };
            let length = figures.length_h(step);
            let mut from = *first;
            for piece in 1..tariff.eur_per_kwh.len() {
                let end = tariff.ends_kw.get(piece).copied().unwrap_or(most).min(most);
                let more = (tariff.eur_per_kwh[piece] - tariff.eur_per_kwh[0]) * length;
                if from < end {
                    terms.push((self.column(more, (0.0, end - from)), -1.0));
                }
                from = end.max(from);
            }
            self.at_most(terms, *first);
        }
    }

    /// What a car should have by when, and what it has room for.
    fn add_needs(&mut self, figures: &Figures, car: usize) {
        let wish = &figures.wishes[car];
        let many = 1 < wish.deadlines.len();
        let mut before: Option<usize> = None;
        let mut from_h = 0.0;
        for deadline in &wish.deadlines {
            let mut terms = self.energy_terms(figures, car, from_h, deadline.by_h);
            if many {
                // Running sums keep the rows short: energy up to here <= energy before + between.
                let so_far = self.column(0.0, (0.0, f64::INFINITY));
                for term in &mut terms {
                    term.1 = -term.1;
                }
                terms.push((so_far, 1.0));
                terms.extend(before.map(|before| (before, -1.0)));
                self.at_most(terms, 0.0);
                before = Some(so_far);
                from_h = deadline.by_h;
                terms = vec![(so_far, 1.0)];
            }
            for (kwh, worth) in deadline.pieces() {
                terms.push((self.column(worth, (0.0, kwh)), 1.0));
            }
            self.row(terms, deadline.top_kwh(), f64::INFINITY);
        }
        let all = self.energy_terms(figures, car, 0.0, f64::INFINITY);
        let most: f64 = (0..figures.steps())
            .map(|step| wish.kw_per_a * wish.hours[step] * wish.cap_a[step])
            .sum();
        if wish.room_kwh < most && !all.is_empty() && may_overfill(figures, wish) {
            self.at_most(all, wish.room_kwh);
        }
    }

    fn energy_terms(
        &self,
        figures: &Figures,
        car: usize,
        from_h: f64,
        to_h: f64,
    ) -> Vec<(usize, f64)> {
        let wish = &figures.wishes[car];
        let term = |(step, column): (usize, &Option<usize>)| {
            let hours = wish.hours_between(figures.span_h(step), from_h, to_h);
            let factor = wish.kw_per_a * hours;
            column.filter(|_| 0.0 < factor).map(|column| (column, factor))
        };
        self.current[car].iter().enumerate().filter_map(term).collect()
    }

    /// The same with what is decided about the first steps.
    pub fn decided(&self, figures: &Figures, cells: &Cells) -> Self {
        let mut program = self.clone();
        for (car, columns) in self.current.iter().enumerate() {
            for (step, column) in columns.iter().enumerate().take(EXACT_STEPS) {
                let Some(column) = *column else { continue };
                match cells.of(car, step) {
                    Cell::Off => program.bounds[column] = (0.0, 0.0),
                    Cell::On => program.bounds[column].0 = figures.wishes[car].min_a,
                    Cell::Free => {}
                }
            }
        }
        program
    }

    /// The same with the minimum exact in the first steps: a column says whether the car is on.
    pub fn exact(&self, figures: &Figures) -> Self {
        let mut program = self.clone();
        for (car, wish) in figures.wishes.iter().enumerate() {
            let mut before = None;
            for step in 0..EXACT_STEPS.min(figures.steps()) {
                let Some(current) = program.current[car][step] else { continue };
                if wish.min_a <= 0.0 {
                    continue;
                }
                let on = program.column(0.0, (0.0, 1.0));
                program.binary.push(on);
                program.on[car][step] = Some(on);
                program.at_most(vec![(current, 1.0), (on, -wish.cap_a[step])], 0.0);
                program.at_most(vec![(on, wish.min_a), (current, -1.0)], 0.0);
                program.add_switch(wish, step, on, before);
                before = Some(on);
            }
        }
        program
    }

    /// What it costs to be on where it was off, and the first time the other way round.
    fn add_switch(&mut self, wish: &Wish, step: usize, on: usize, before: Option<usize>) {
        match before {
            Some(before) => {
                let switch = self.column(SWITCH_EUR, (0.0, 1.0));
                self.at_most(vec![(on, 1.0), (before, -1.0), (switch, -1.0)], 0.0);
            }
            None if step == 0 => {
                let unsettled = wish.switched_h.is_some_and(|at| -SETTLED_H < at);
                let eur = if unsettled { SWITCH_EUR * UNSETTLED } else { SWITCH_EUR };
                self.cost[on] += if wish.is_on { -eur } else { eur };
            }
            None => {}
        }
    }
}

/// Whether more than the needs could be charged: only where energy is free, or less, or where the
/// battery is smaller than what is wanted.
fn may_overfill(figures: &Figures, wish: &Wish) -> bool {
    let top = wish.deadlines.iter().map(|deadline| deadline.top_kwh()).fold(0.0, f64::max);
    let free = figures.tariffs.iter().any(|tariff| tariff.eur_per_kwh[0] <= 0.0);
    let many = 1 < wish.deadlines.len();
    wish.room_kwh < top || free || many || figures.early_eur_per_kwh_h < 0.0
}
