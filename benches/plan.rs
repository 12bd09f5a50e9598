//! How long plans take, beside the budgets they are held to: CPU time on one core, least of some
//! runs, for 12 to 300 EVSEs, loose and tight, one and three phases mixed.
//!
//! `cargo bench --bench plan` prints the table. `cargo bench --bench plan -- --export DIR` also
//! writes each relaxed program as MPS with the objective found here, for `benches/highs.py`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use ampgate::plan::figures::Figures;
use ampgate::plan::lp::{self, Minimum};
use ampgate::plan::problem::Problem;
use ampgate::plan::program::Program;
use ampgate::plan::{audit, best, cost, instant};
use nix::time::{ClockId, clock_gettime};

#[path = "../tests/plan/site.rs"]
#[allow(dead_code, reason = "the tests use more of it than the benches")]
mod site;

use site::{Kind, Want};

/// An instant plan for any size, in ms.
const INSTANT_MS: f64 = 5.0;
/// EVSEs, and the budget loose and tight, in ms.
const BUDGETS_MS: [(usize, [f64; 2]); 4] =
    [(12, [3.0, 10.0]), (60, [15.0, 60.0]), (120, [30.0, 180.0]), (300, [100.0, 750.0])];
/// Different sites of each kind.
const SEEDS: [u64; 3] = [1, 2, 3];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let export = arguments.iter().position(|argument| argument == "--export");
    let folder = export.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    println!(
        "{:>5} {:5} {:9} {:>4} {:>7} {:>6} {:>10} {:>9} {:>9} {:>9} {:>8} {:>8}",
        "EVSEs",
        "kind",
        "wanted",
        "seed",
        "columns",
        "rows",
        "instant ms",
        "LP ms",
        "best ms",
        "budget ms",
        "instant",
        "LP"
    );
    for (evses, budgets) in BUDGETS_MS {
        for tight in [false, true] {
            for want in [Want::Sun, Want::Peak] {
                for seed in SEEDS {
                    let kind = Kind { evses, tight, three_phase: false, want };
                    let problem = site::problem(kind, seed);
                    print(kind, seed, budgets[usize::from(tight)], &problem, folder.as_deref());
                }
            }
        }
    }
    println!("budget of an instant plan: {INSTANT_MS} ms; the last two columns are EUR above the");
    println!("relaxed program, in percent of it: what minimum currents and method cost");
}

fn print(kind: Kind, seed: u64, budget_ms: f64, problem: &Problem, folder: Option<&Path>) {
    let runs = if kind.evses <= 60 { 7 } else { 3 };
    let figures = Figures::new(problem);
    let program = Program::new(&figures);
    let instant_ms = least_ms(runs, || instant::currents(problem, &figures));
    let lp_ms = least_ms(runs, || lp::currents(&figures, Minimum::Rounded));
    let best_ms = least_ms(runs, || best(problem));
    let values = lp::values(&program).expect("the sites of the bench can be solved");
    let objective: f64 = values.iter().zip(&program.cost).map(|(value, cost)| value * cost).sum();
    let nothing = cost::terms(problem, &figures.nothing());
    let fixed = nothing.total_eur - nothing.missing_eur;
    let gap = |current_a: &[Vec<f64>]| {
        assert_eq!(audit::schedule(problem, current_a), Vec::<String>::new());
        let found = cost::terms(problem, current_a).total_eur - fixed;
        100.0 * (found / objective - 1.0)
    };
    let solved = lp::currents(&figures, Minimum::Rounded).expect("the sites can be solved");
    let name = if kind.tight { "tight" } else { "loose" };
    println!(
        "{:5} {name:5} {:9} {seed:4} {:7} {:6} {instant_ms:10.2} {lp_ms:9.2} {best_ms:9.2} \
         {budget_ms:9.0} {:+7.2}% {:+7.3}%",
        kind.evses,
        format!("{:?}", kind.want).to_lowercase(),
        program.cost.len(),
        program.rows.len(),
        gap(&instant::currents(problem, &figures).1),
        gap(&solved),
    );
    if let Some(folder) = folder {
        let file = format!("{}-{name}-{:?}-{seed}.mps", kind.evses, kind.want).to_lowercase();
        let written = std::fs::write(folder.join(&file), mps(&program, objective));
        written.expect("the folder that --export names takes files");
    }
}

/// CPU time of this process, in ms.
fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("every kernel has it");
    time.tv_sec() as f64 * 1e3 + time.tv_nsec() as f64 / 1e6
}

fn least_ms<T>(runs: usize, work: impl Fn() -> T) -> f64 {
    let once = || {
        let begin = cpu_ms();
        std::hint::black_box(work());
        cpu_ms() - begin
    };
    (0..runs).map(|_| once()).fold(f64::INFINITY, f64::min)
}

/// A program as free MPS; the objective found here stands in a comment.
fn mps(program: &Program, objective: f64) -> String {
    let mut by_column: Vec<Vec<(usize, f64)>> = vec![Vec::new(); program.cost.len()];
    for (at, row) in program.rows.iter().enumerate() {
        for (column, factor) in &row.terms {
            by_column[*column].push((at, *factor));
        }
    }
    let mut text = format!("* objective {objective:e}\nNAME plan\nROWS\n N cost\n");
    let mut add = |line: std::fmt::Arguments<'_>| {
        text.write_fmt(line).expect("writing to a String cannot fail");
        text.push('\n');
    };
    for (at, row) in program.rows.iter().enumerate() {
        add(format_args!(" {} r{at}", if row.most.is_finite() { 'L' } else { 'G' }));
    }
    add(format_args!("COLUMNS"));
    for (column, terms) in by_column.iter().enumerate() {
        add(format_args!(" x{column} cost {:e}", program.cost[column]));
        for (row, factor) in terms {
            add(format_args!(" x{column} r{row} {factor:e}"));
        }
    }
    add(format_args!("RHS"));
    for (at, row) in program.rows.iter().enumerate() {
        let side = if row.most.is_finite() { row.most } else { row.least };
        add(format_args!(" rhs r{at} {side:e}"));
    }
    add(format_args!("BOUNDS"));
    for (column, (_, most)) in program.bounds.iter().enumerate() {
        if most.is_finite() {
            add(format_args!(" UP bound x{column} {most:e}"));
        }
    }
    add(format_args!("ENDATA"));
    text
}
