//! `ampgate plan FILE.json`: a saved planning problem in, the plan and its reasons out.

use std::path::{Path, PathBuf};

use crate::ground::time::Utc;
use crate::plan::check;
use crate::plan::problem::{Car, Problem};
use crate::plan::solution::{CarPlan, Plan};
use crate::plan::words::{self, Clock};

use super::text::{Side, clean, row, table};

/// Currents closer than this are one line, in A.
const SAME_A: f64 = 0.05;
/// A problem is text of some hundred kB; more is something else.
const FILE_MAX: u64 = 64 << 20;

/// What to solve and how to answer.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// A planning problem as JSON
    #[arg(value_name = "FILE.json")]
    file: PathBuf,
    /// The plan as JSON
    #[arg(long)]
    json: bool,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read.
    #[error("{file}: {cause}")]
    Read { file: String, cause: std::io::Error },
    /// It is too large to be a problem.
    #[error("{file}: {bytes} bytes, expected at most {FILE_MAX}")]
    Size { file: String, bytes: u64 },
    /// It is not what a problem looks like.
    #[error("{file}:{line}:{column}: {cause}")]
    Text { file: String, line: usize, column: usize, cause: String },
    /// It makes no sense.
    #[error("{0}")]
    Sense(String),
}

/// Solves, and returns what to print.
pub fn answer(args: &PlanArgs) -> Result<String, PlanError> {
    let problem = read(&args.file)?;
    let plan = crate::plan::best(&problem);
    if args.json {
        let text = serde_json::to_string_pretty(&plan);
        return Ok(text.expect("a plan has text keys and plain values only") + "\n");
    }
    Ok(readable(&problem, &plan))
}

fn read(path: &Path) -> Result<Problem, PlanError> {
    let file = path.display().to_string();
    let unread = |cause| PlanError::Read { file: file.clone(), cause };
    let bytes = std::fs::metadata(path).map_err(unread)?.len();
    if FILE_MAX < bytes {
        return Err(PlanError::Size { file, bytes });
    }
    let text = std::fs::read_to_string(path).map_err(unread)?;
    let problem: Problem = serde_json::from_str(&text).map_err(|error| {
        let whole = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let cause = whole.strip_suffix(&place).unwrap_or(&whole).to_owned();
        PlanError::Text { file: file.clone(), line: error.line(), column: error.column(), cause }
    })?;
    let mistakes = check::mistakes(&problem);
    if mistakes.is_empty() {
        return Ok(problem);
    }
    let lines: Vec<String> = mistakes.iter().map(|each| format!("{file}: {each}")).collect();
    Err(PlanError::Sense(lines.join("\n")))
}

fn readable(problem: &Problem, plan: &Plan) -> String {
    let clock = Clock::new(problem);
    let (steps, end) = (plan.grid.len() - 1, plan.grid[plan.grid.len() - 1]);
    let mut out = format!(
        "{}: {steps} steps from {} to {}, wanted: {}\n{}\n",
        clean(&problem.site),
        clock.time(plan.grid[0]),
        clock.time(end),
        clean(&problem.objective.name),
        clean(&plan.words),
    );
    if !plan.note.is_empty() {
        out.push_str(&format!("note: {}\n", clean(&plan.note)));
    }
    out.push_str(&costs(plan));
    for (car, planned) in problem.cars.iter().zip(&plan.cars) {
        out.push_str(&one(car, planned, &plan.grid, &clock));
    }
    out
}

fn costs(plan: &Plan) -> String {
    let cost = &plan.cost;
    let terms = [
        ("energy", cost.energy_eur),
        ("from the grid", cost.grid_eur),
        ("CO2", cost.co2_eur),
        ("peak", cost.peak_eur),
        ("missing", cost.missing_eur),
        ("unsure room", cost.unsure_eur),
        ("lateness", cost.late_eur),
    ];
    let told = terms.iter().filter(|term| 0.005 <= term.1.abs());
    let told: Vec<String> = told.map(|(name, eur)| format!("{name} {eur:.2}")).collect();
    let parts = if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) };
    format!("cost: {:.2} EUR{parts}\n", cost.total_eur)
}

/// One car: its sentence, and a line for each stretch of one current and one reason.
fn one(car: &Car, planned: &CarPlan, grid: &[Utc], clock: &Clock) -> String {
    let mut rows = Vec::new();
    let mut first = 0;
    for step in 0..planned.current_a.len() {
        let next = step + 1;
        let same = next < planned.current_a.len()
            && (planned.current_a[next] - planned.current_a[first]).abs() < SAME_A
            && planned.reasons[next] == planned.reasons[first];
        if same {
            continue;
        }
        rows.push(row([
            "  ",
            &format!("{}–{}", clock.time(grid[first]), clock.time(grid[next])),
            &format!("{:.1} A", planned.current_a[first]),
            &format!("{:.1} kW", planned.power_kw[first]),
            &words::reason(&planned.reasons[first], clock),
        ]));
        first = next;
    }
    let sides = [Side::Left, Side::Left, Side::Right, Side::Right, Side::Left];
    format!("\n{}: {}\n{}", clean(&car.evse), clean(&planned.words), table(&sides, &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBLEM: &str = r#"{
  "format": 1, "site": "office", "zone": "Europe/Paris",
  "grid": ["2019-03-01T07:00:00Z", "2019-03-01T07:15:00Z", "2019-03-01T08:00:00Z"],
  "voltage_v": 230.0,
  "nodes": [{"id": "grid", "name": "Grid", "parent": null, "rating_a": [16.0, 16.0, 16.0],
    "power_limit_kw": null, "imbalance_a": null,
    "other_a": [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], "limits": []}],
  "cars": [{"evse": "EVSE-01", "session": 1, "kind": "present", "node": 0,
    "phases": [true, false, false], "min_a": 6.0, "max_a": 32.0,
    "max_cause": "rating of the EVSE", "bounds": [], "now_a": 0.0, "switched": null,
    "from": "2019-03-01T07:00:00Z", "until": "2019-03-01T08:00:00Z", "presence": [],
    "room_kwh": null, "needs": [{"by": "2019-03-01T08:00:00Z", "kwh": 5.0,
      "eur_per_kwh": 1.0, "cause": "the driver"}],
    "taper": null, "priority": 0, "fast_kwh": 0.0}],
  "series": {"pv_kw": [{"low": 0.0, "mid": 0.0, "high": 0.0}, {"low": 0.0, "mid": 0.0, "high": 0.0}],
    "load_kw": [{"low": 0.0, "mid": 0.0, "high": 0.0}, {"low": 0.0, "mid": 0.0, "high": 0.0}],
    "import_eur_per_kwh": [0.2, 0.2], "export_eur_per_kwh": [0.0, 0.0],
    "co2_g_per_kwh": [0.0, 0.0], "origins": {}},
  "objective": {"name": "cost", "cost": 1.0, "grid_eur_per_kwh": 0.0, "co2_eur_per_kg": 0.0,
    "peak_eur_per_kw": 0.0, "peak_so_far_kw": 0.0, "early_eur_per_kwh_h": 0.0001}
}"#;

    fn solve(text: &str, json: bool) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("problem.json");
        std::fs::write(&file, text).expect("the folder takes a file");
        let shown = folder.path().display().to_string();
        let answered = answer(&PlanArgs { file, json });
        answered.map_err(|error| error.to_string().replace(&shown, ""))
    }

    #[test]
    fn a_saved_problem_is_solved_and_explained() {
        let text = solve(PROBLEM, false).expect("it is a problem");
        assert_eq!(
            text,
            "\
office: 2 steps from 08:00 to 09:00, wanted: cost
1 car: 3.7 kWh are planned, 0.0 kWh of it from the sun. EVSE-01 is short. \
Highest import 3.7 kW at 08:00. Found by the linear program.
cost: 2.06 EUR (energy 0.74, missing 1.32)

EVSE-01: 5.0 kWh by 09:00 (the driver): 1.3 kWh will be missing; breaker Grid, phase L1
    08:00–09:00  16.0 A  3.7 kW  breaker Grid, phase L1
"
        );
    }

    #[test]
    fn the_plan_comes_as_json_too() {
        let text = solve(PROBLEM, true).expect("it is a problem");
        let plan: Plan = serde_json::from_str(&text).expect("it is a plan");
        assert_eq!(plan.cars[0].current_a, [16.0, 16.0]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let error = solve(&PROBLEM.replace("\"zone\"", "\"zoo\""), false).expect_err("a typo");
        assert!(error.starts_with("/problem.json:2:"), "{error}");
        assert!(error.contains("unknown field `zoo`"), "{error}");
        let error = solve(&PROBLEM.replace("\"node\": 0", "\"node\": 3"), false);
        assert_eq!(
            error.expect_err("no such node"),
            "/problem.json: cars[0].node: found 3, expected a position below 1"
        );
    }
}
