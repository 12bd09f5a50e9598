//! The policies `plan`, `rule` and `fair`: the production controller against the twin.
//!
//! The site is the configured one with rarer messages (see
//! [`configuration`](super::configuration)). Meters publish when something changes, or every two
//! minutes.

use std::sync::{Arc, Mutex};

use crate::controller::message::JournalLine;
use crate::ground::time::Duration;
use crate::plan;
use crate::twin::Twin;
use crate::twin::plant::EvseState;
use crate::twin::scenario::{Behaviour, CarModel, MeterModel, NetworkModel, Scenario, Visit};
use crate::twin::solver::Solver;

use super::feeds::Feeds;
use super::progress::Progress;
use super::summary::{Delivered, Outcome, Summary, round};
use super::uncontrolled::power;
use super::world::{Preferences, World};

/// While something changes, meters publish this often.
const METER_INTERVAL: Duration = Duration::seconds(5);
/// A meter that has seen no change for the first span publishes every second span.
const METER_QUIET: (Duration, Duration) = (Duration::seconds(45), Duration::minutes(2));
/// A charger also reports so long after its current has changed.
const TELLS_AFTER: Duration = Duration::seconds(5);
/// More current than this flows only through a closed contactor, in A.
const CLOSED: f64 = 0.5;
/// The seed of all jitter; a simulation repeats itself.
const SEED: u64 = 1;
/// Time is run in pieces of this length, to show progress, write the journal and tell prices.
const PIECE: Duration = Duration::hours(1);
/// OCPP 1.6 idTag: CiString20.
const TOKEN_MAX: usize = 20;

/// The twin of a world, before anything has happened.
pub fn twin(world: &World) -> Twin {
    let visits = world.sessions.iter().map(|row| Visit {
        evse: row.evse,
        token: token(&row.user),
        arrival: row.arrival,
        departure: row.departure,
        car: CarModel::plain(row.phases, row.max_a, row.energy_wh),
        declared: row.said.filter(|_| world.preferences == Preferences::Declared),
    });
    let points = world.site.diagram.charge_points();
    let charger = Behaviour { tells_changes_after: Some(TELLS_AFTER), ..Behaviour::default() };
    let scenario = Scenario {
        seed: SEED,
        visits: visits.collect(),
        power: world.power.clone(),
        chargers: points.into_iter().map(|point| (point, charger.clone())).collect(),
        meters: MeterModel {
            interval: METER_INTERVAL,
            quiet: Some(METER_QUIET),
            ..MeterModel::default()
        },
        network: NetworkModel {
            least_delay: Duration::ZERO,
            most_delay: Duration::ZERO,
            break_chance: 0.0,
        },
        faults: Vec::new(),
    };
    Twin::new(world.site.clone(), scenario, world.from)
}

/// Takes the steps of the controller, one by one.
pub type Writer<'a, E> = &'a mut dyn FnMut(&JournalLine) -> Result<(), E>;

/// Runs the world. `write` gets the steps of the controller, in order, if a journal is wanted.
///
/// # Errors
/// What `write` fails with.
pub fn run<E>(
    world: &World,
    progress: &mut Progress,
    mut write: Option<Writer<'_, E>>,
) -> Result<Outcome, E> {
    let mut twin = twin(world);
    let times: Arc<Mutex<Vec<f64>>> = Arc::default();
    twin.solve_with(timed(times.clone()));
    if write.is_some() {
        twin.keep_journal();
    }
    let mut account = world.account();
    let diagram = &world.site.diagram;
    let voltage = diagram.voltage.as_f64();
    let origin = world.from;
    let utc = |at: crate::ground::time::Instant| origin + Duration::millis(at.as_millis());
    let mut now = world.from;
    let mut feeds = Feeds::default();
    let mut contactors = Contactors { closed: vec![false; diagram.evses.len()], switches: 0 };
    while now < world.until {
        for (kind, received) in feeds.due(world, now) {
            twin.tell(kind, received);
        }
        now = (now + PIECE).min(world.until);
        twin.run_until(now, &mut |from, to, state| {
            let current = state.evses.iter().map(|evse| evse.current.0.iter().sum::<f64>());
            let ev = current.sum::<f64>() * voltage;
            contactors.look(&state.evses);
            account.add(utc(from), utc(to), power(diagram, &state.equipment, ev));
        });
        if let Some(write) = &mut write {
            for line in twin.take_journal() {
                write(&line)?;
            }
        }
        progress.at(now);
    }
    let mut delivered = vec![Delivered::default(); world.sessions.len()];
    let open = twin.plant().open_outcomes();
    for outcome in twin.outcomes().iter().copied().chain(open) {
        delivered[outcome.visit] = Delivered { need_wh: outcome.need_wh, got_wh: outcome.got_wh };
    }
    let mut summary = Summary::new(&account, &delivered);
    let checker = twin.checker();
    let seconds = |span: Duration| round(span.as_millis() as f64 / 1000.0, 3);
    summary.overload_seconds = seconds(checker.overload);
    summary.overload_reaction_seconds = seconds(checker.reaction);
    summary.overload_foreign_seconds = seconds(checker.foreign);
    summary.setpoints_sent = twin.setpoints();
    summary.switches = contactors.switches;
    tell_times(&times, &mut summary);
    let violations = checker.violations.clone();
    Ok(Outcome { summary, account, delivered, violations })
}

/// The production's solver, with the milliseconds that each plan took.
#[expect(clippy::disallowed_methods, reason = "measures this program and not a site")]
fn timed(times: Arc<Mutex<Vec<f64>>>) -> Solver {
    Solver::new(move |problem| {
        let begun = std::time::Instant::now();
        let plan = plan::best(problem);
        if let Ok(mut times) = times.lock() {
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        Some(plan)
    })
}

/// How many plans were made, and how long they took.
fn tell_times(times: &Mutex<Vec<f64>>, summary: &mut Summary) {
    let mut times = times.lock().map(|times| times.clone()).unwrap_or_default();
    times.sort_by(f64::total_cmp);
    summary.plans = times.len() as u64;
    summary.plan_ms_p50 = round(quantile(&times, 0.5), 3);
    summary.plan_ms_p99 = round(quantile(&times, 0.99), 3);
}

/// Counts closings of contactors.
struct Contactors {
    closed: Vec<bool>,
    switches: u64,
}

impl Contactors {
    fn look(&mut self, evses: &[EvseState]) {
        for (closed, evse) in self.closed.iter_mut().zip(evses) {
            let flows = evse.current.0.iter().any(|current| CLOSED < *current);
            self.switches += u64::from(flows && !*closed);
            *closed = flows;
        }
    }
}

/// The value that this share of all does not exceed; zero of none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1) as f64;
    sorted.get((last * share).round() as usize).copied().unwrap_or(0.0)
}

/// An idTag of what the file calls the driver.
fn token(user: &str) -> String {
    let text: String = user.chars().filter(char::is_ascii_graphic).take(TOKEN_MAX).collect();
    if text.is_empty() { "GUEST".to_owned() } else { text }
}
