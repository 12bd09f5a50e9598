//! The linear program: all cars, steps and breakers at once, solved by microlp.
//!
//! Columns are currents, only where a car can charge; every row is an upper bound but those of the
//! needs, which are soft, so there is always a solution. The price of a step stands on the currents
//! for its first piece and on extra columns for what is dearer. Minimum currents of the first steps
//! come from [`super::round`]. The size is bounded, the work is never cut off by a clock.

use microlp::{ComparisonOp, OptimizationDirection, SolveOutcome, Variable};

use super::figures::Figures;
use super::finish;
use super::problem::Problem;
use super::round::{Cell, Cells};
use super::solution::{Method, Plan};
use super::wish::Wish;

/// More columns than this are not tried: 600 cars need about 15,000.
const COLUMNS_MAX: usize = 60_000;

/// Why there is no plan from the program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// Too large to try.
    #[error("the program has {0} columns, at most {COLUMNS_MAX} are tried")]
    Size(usize),
    /// The solver's own words.
    #[error("the solver says: {0}")]
    Solver(String),
    /// The solver stopped with a panic.
    #[error("the solver failed unexpectedly")]
    Panicked,
}

/// The best plan for a problem.
pub fn solve(problem: &Problem) -> Result<Plan, SolveError> {
    let figures = Figures::new(problem);
    let currents = currents(&figures)?;
    Ok(finish::plan(problem, Method::Program, &currents, String::new()))
}

/// Current in A by car and step: the relaxed program, then again with minimum currents decided.
pub fn currents(figures: &Figures) -> Result<Vec<Vec<f64>>, SolveError> {
    let columns: usize =
        figures.wishes.iter().flat_map(|wish| &wish.cap_a).filter(|cap| 0.0 < **cap).count();
    if COLUMNS_MAX < columns {
        return Err(SolveError::Size(columns));
    }
    let relaxed = guarded(figures, &Cells::free(figures))?;
    let cells = Cells::rounded(figures, &relaxed);
    if cells.keeps(&relaxed, figures) {
        return Ok(cells.clean(figures, relaxed));
    }
    let decided = guarded(figures, &cells)?;
    Ok(cells.clean(figures, decided))
}

/// One program; a panic of the solver is an error.
fn guarded(figures: &Figures, cells: &Cells) -> Result<Vec<Vec<f64>>, SolveError> {
    let solved = std::panic::catch_unwind(|| program(figures, cells));
    solved.unwrap_or(Err(SolveError::Panicked))
}

/// The program with its columns of currents.
struct Program<'a> {
    figures: &'a Figures,
    solver: microlp::Problem,
    current: Vec<Vec<Option<Variable>>>,
}

fn program(figures: &Figures, cells: &Cells) -> Result<Vec<Vec<f64>>, SolveError> {
    let mut program = Program {
        figures,
        solver: microlp::Problem::new(OptimizationDirection::Minimize),
        current: Vec::new(),
    };
    program.add_currents(cells);
    program.add_breakers();
    program.add_prices();
    for car in 0..figures.wishes.len() {
        program.add_needs(car);
    }
    let outcome = program.solver.solve().map_err(|error| SolveError::Solver(error.to_string()))?;
    let SolveOutcome::Solution(solution) = outcome else {
        return Err(SolveError::Solver(String::from("no solution yet")));
    };
    let value = |cap: f64, column: &Option<Variable>| match column {
        Some(column) => solution.var_value(*column).clamp(0.0, cap),
        None => 0.0,
    };
    let row = |(wish, columns): (&Wish, &Vec<Option<Variable>>)| {
        wish.cap_a.iter().zip(columns).map(|(cap, column)| value(*cap, column)).collect()
    };
    Ok(figures.wishes.iter().zip(&program.current).map(row).collect())
}

impl Program<'_> {
    fn add_currents(&mut self, cells: &Cells) {
        let figures = self.figures;
        for (car, wish) in figures.wishes.iter().enumerate() {
            let mut column = |step: usize| {
                let bounds = match cells.of(car, step) {
                    Cell::Off => return None,
                    Cell::On => (wish.min_a, wish.cap_a[step]),
                    Cell::Free => (0.0, wish.cap_a[step]),
                };
                if bounds.1 <= 0.0 {
                    return None;
                }
                let price = figures.tariffs[step].eur_per_kwh[0];
                let bought = figures.expected_kw_per_a(car, step) * figures.length_h(step) * price;
                let late = figures.early_eur_per_kwh_h * figures.middle_h(step);
                let cost = bought + late * wish.kw_per_a * wish.hours[step];
                Some(self.solver.add_var(cost, bounds))
            };
            let wanted = 0.0 < wish.room_kwh;
            let columns = (0..figures.steps()).map(|step| if wanted { column(step) } else { None });
            let columns = columns.collect();
            self.current.push(columns);
        }
    }

    fn add_breakers(&mut self) {
        for row in &self.figures.rows {
            let term = |(car, factor): &(usize, f64)| {
                self.current[*car][row.step].map(|column| (column, *factor))
            };
            let terms: Vec<(Variable, f64)> = row.terms.iter().filter_map(term).collect();
            if !terms.is_empty() {
                self.solver.add_constraint(&terms, ComparisonOp::Le, row.limit);
            }
        }
    }

    /// Dearer pieces of each step, and the peak.
    fn add_prices(&mut self) {
        let figures = self.figures;
        let peak = (0.0 < figures.peak_eur_per_kw)
            .then(|| self.solver.add_var(figures.peak_eur_per_kw, (0.0, f64::INFINITY)));
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
                self.solver.add_constraint(&with_peak, ComparisonOp::Le, figures.free_kw[step]);
            }
            let Some(first) = tariff.ends_kw.first().filter(|end| **end < most) else { continue };
            let length = figures.length_h(step);
            let mut from = *first;
            for piece in 1..tariff.eur_per_kwh.len() {
                let end = tariff.ends_kw.get(piece).copied().unwrap_or(most).min(most);
                let more = (tariff.eur_per_kwh[piece] - tariff.eur_per_kwh[0]) * length;
                if from < end {
                    terms.push((self.solver.add_var(more, (0.0, end - from)), -1.0));
                }
                from = end.max(from);
            }
            self.solver.add_constraint(&terms, ComparisonOp::Le, *first);
        }
    }

    /// What a car should have by when, and what it has room for.
    fn add_needs(&mut self, car: usize) {
        let figures = self.figures;
        let wish = &figures.wishes[car];
        let many = 1 < wish.deadlines.len();
        let mut before: Option<Variable> = None;
        let mut from_h = 0.0;
        for deadline in &wish.deadlines {
            let mut terms = self.energy_terms(car, from_h, deadline.by_h);
            if many {
                // Running sums keep the rows short: energy up to here <= energy before + between.
                let so_far = self.solver.add_var(0.0, (0.0, f64::INFINITY));
                for term in &mut terms {
                    term.1 = -term.1;
                }
                terms.push((so_far, 1.0));
                terms.extend(before.map(|before| (before, -1.0)));
                self.solver.add_constraint(&terms, ComparisonOp::Le, 0.0);
                before = Some(so_far);
                from_h = deadline.by_h;
                terms = vec![(so_far, 1.0)];
            }
            for (kwh, worth) in deadline.pieces() {
                terms.push((self.solver.add_var(worth, (0.0, kwh)), 1.0));
            }
            self.solver.add_constraint(&terms, ComparisonOp::Ge, deadline.top_kwh());
        }
        let all = self.energy_terms(car, 0.0, f64::INFINITY);
        let most: f64 = (0..figures.steps())
            .map(|step| wish.kw_per_a * wish.hours[step] * wish.cap_a[step])
            .sum();
        if wish.room_kwh < most && !all.is_empty() && self.may_overfill(wish) {
            self.solver.add_constraint(&all, ComparisonOp::Le, wish.room_kwh);
        }
    }

    /// Whether more than the needs could be charged: only where energy is free, or less, or where
    /// the battery is smaller than what is wanted.
    fn may_overfill(&self, wish: &Wish) -> bool {
        let top = wish.deadlines.iter().map(|deadline| deadline.top_kwh()).fold(0.0, f64::max);
        let free = self.figures.tariffs.iter().any(|tariff| tariff.eur_per_kwh[0] <= 0.0);
        wish.room_kwh < top || free || self.figures.early_eur_per_kwh_h < 0.0
    }

    fn energy_terms(&self, car: usize, from_h: f64, to_h: f64) -> Vec<(Variable, f64)> {
        let wish = &self.figures.wishes[car];
        let term = |(step, column): (usize, &Option<Variable>)| {
            let hours = wish.hours_between(self.figures.span_h(step), from_h, to_h);
            let factor = wish.kw_per_a * hours;
            column.filter(|_| 0.0 < factor).map(|column| (column, factor))
        };
        self.current[car].iter().enumerate().filter_map(term).collect()
    }
}
