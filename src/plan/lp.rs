//! The linear program, solved by microlp: all cars, steps and breakers at once.
//!
//! First relaxed, then, where the relaxed solution charges with less than a car's minimum in one of
//! the first steps, again with what [`super::round`] decided, and on small sites exactly. The size
//! and the search are bounded; the work is never cut off by a clock, so that equal problems have
//! equal plans. A panic of the solver is an error like any other.

use microlp::{
    ComparisonOp, OptimizationDirection, Solution, SolveOptions, SolveOutcome, Variable,
};

use super::figures::Figures;
use super::finish;
use super::problem::Problem;
use super::program::Program;
use super::round::{Cell, Cells};
use super::solution::{Method, Plan};

/// More columns than this are not tried: 600 cars need about 15,000.
const COLUMNS_MAX: usize = 60_000;
/// After so many edits of one solution, solving anew is cheaper.
const EDITS_MAX: usize = 60;
/// Branches of the exact search.
const NODES_MAX: u64 = 40;
/// The exact search ends within this share of the optimum.
const GAP: f64 = 1e-3;

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

/// How minimum currents of the first steps are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Minimum {
    /// Rounded, then solved again: within 0.1 % of the exact optimum, and ten times faster.
    Rounded,
    /// Rounded, then searched from there on.
    Exact,
}

/// The best plan for a problem.
pub fn solve(problem: &Problem) -> Result<Plan, SolveError> {
    let figures = Figures::new(problem);
    let currents = currents(&figures, Minimum::Rounded)?;
    Ok(finish::plan(problem, Method::Program, &currents, String::new()))
}

/// Current in A by car and step; a panic of the solver is an error.
pub fn currents(figures: &Figures, minimum: Minimum) -> Result<Vec<Vec<f64>>, SolveError> {
    let program = Program::new(figures);
    if COLUMNS_MAX < program.cost.len() {
        return Err(SolveError::Size(program.cost.len()));
    }
    let solved = std::panic::catch_unwind(|| match minimum {
        Minimum::Rounded => rounded(figures, &program),
        Minimum::Exact => exact(figures, &program),
    });
    solved.unwrap_or(Err(SolveError::Panicked))
}

/// The value of each column at the optimum of the relaxed program.
pub fn values(program: &Program) -> Result<Vec<f64>, SolveError> {
    let solved = std::panic::catch_unwind(|| Ok(Solved::new(program, None)?.values()));
    solved.unwrap_or(Err(SolveError::Panicked))
}

/// Relaxed, then cell by cell as it was rounded, each time from the solution before.
fn rounded(figures: &Figures, program: &Program) -> Result<Vec<Vec<f64>>, SolveError> {
    let mut solved = Solved::new(program, None)?;
    let mut current = current(program, figures, &solved.values());
    let cells = Cells::rounded(figures, &current);
    for _ in 0..EDITS_MAX {
        let Some((car, step)) = cells.first_broken(&current, figures) else {
            return Ok(cells.clean(figures, current));
        };
        let column = program.current[car][step].expect("a current that is not zero has a column");
        solved = match cells.of(car, step) {
            Cell::On => solved.at_least(column, figures.wishes[car].min_a)?,
            Cell::Off | Cell::Free => solved.fixed(column, 0.0)?,
        };
        current = self::current(program, figures, &solved.values());
    }
    let decided = program.decided(figures, &cells);
    let found = Solved::new(&decided, None)?.values();
    Ok(cells.clean(figures, self::current(&decided, figures, &found)))
}

/// Searched from the rounded solution on, as far as the branches allow.
fn exact(figures: &Figures, program: &Program) -> Result<Vec<Vec<f64>>, SolveError> {
    let relaxed = current(program, figures, &Solved::new(program, None)?.values());
    let cells = Cells::rounded(figures, &relaxed);
    let exact = program.exact(figures);
    let found = Solved::new(&exact, Some(&hint(&exact, &cells)))?.values();
    let cells = chosen(&exact, figures, &found);
    Ok(cells.clean(figures, current(&exact, figures, &found)))
}

/// A solution that can be edited.
struct Solved {
    solution: Solution,
    columns: Vec<Variable>,
}

impl Solved {
    fn new(program: &Program, hint: Option<&[(usize, f64)]>) -> Result<Self, SolveError> {
        let mut solver = microlp::Problem::new(OptimizationDirection::Minimize);
        let mut columns: Vec<Variable> = Vec::with_capacity(program.cost.len());
        for (at, (cost, bounds)) in program.cost.iter().zip(&program.bounds).enumerate() {
            columns.push(match program.binary.binary_search(&at) {
                Ok(_) => solver.add_binary_var(*cost),
                Err(_) => solver.add_var(*cost, *bounds),
            });
        }
        for row in &program.rows {
            let terms = row.terms.iter().map(|(column, factor)| (columns[*column], *factor));
            if row.most.is_finite() {
                solver.add_constraint(terms, ComparisonOp::Le, row.most);
            } else {
                solver.add_constraint(terms, ComparisonOp::Ge, row.least);
            }
        }
        let mut options = SolveOptions::default();
        if let Some(hint) = hint {
            options.node_limit = Some(NODES_MAX);
            options.mip_gap = GAP;
            options.warm_start =
                Some(hint.iter().map(|(column, value)| (columns[*column], *value)).collect());
        }
        let solution = finished(solver.solve_with(options))?;
        Ok(Self { solution, columns })
    }

    fn at_least(self, column: usize, least: f64) -> Result<Self, SolveError> {
        let Self { solution, columns } = self;
        let term = [(columns[column], 1.0)];
        let solution = finished(solution.add_constraint(term, ComparisonOp::Ge, least))?;
        Ok(Self { solution, columns })
    }

    fn fixed(self, column: usize, value: f64) -> Result<Self, SolveError> {
        let Self { solution, columns } = self;
        let solution = finished(solution.fix_var(columns[column], value))?;
        Ok(Self { solution, columns })
    }

    fn values(&self) -> Vec<f64> {
        self.columns.iter().map(|column| self.solution.var_value(*column)).collect()
    }
}

fn finished(outcome: Result<SolveOutcome, microlp::Error>) -> Result<Solution, SolveError> {
    match outcome {
        Ok(SolveOutcome::Solution(solution)) => Ok(solution),
        Ok(_) => Err(SolveError::Solver(String::from("no solution within the branches allowed"))),
        Err(error) => Err(SolveError::Solver(error.to_string())),
    }
}

fn current(program: &Program, figures: &Figures, values: &[f64]) -> Vec<Vec<f64>> {
    let value = |cap: f64, column: &Option<usize>| match column {
        Some(column) => values[*column].clamp(0.0, cap),
        None => 0.0,
    };
    let rows = figures.wishes.iter().zip(&program.current).map(|(wish, columns)| {
        wish.cap_a.iter().zip(columns).map(|(cap, column)| value(*cap, column)).collect()
    });
    rows.collect()
}

/// Where the exact search begins.
fn hint(program: &Program, cells: &Cells) -> Vec<(usize, f64)> {
    let mut hint = Vec::new();
    for (car, columns) in program.on.iter().enumerate() {
        for (step, column) in columns.iter().enumerate() {
            let on = if cells.of(car, step) == Cell::On { 1.0 } else { 0.0 };
            hint.extend(column.map(|column| (column, on)));
        }
    }
    hint
}

/// What the exact search decided.
fn chosen(program: &Program, figures: &Figures, values: &[f64]) -> Cells {
    let mut cells = Cells::free(figures);
    for (car, columns) in program.on.iter().enumerate() {
        for (step, column) in columns.iter().enumerate() {
            if let Some(column) = column {
                let on = 0.5 < values[*column];
                cells.decide(car, step, if on { Cell::On } else { Cell::Off });
            }
        }
    }
    cells
}
