//! Floor 6: `ampgate simulate` and `ampgate replay`: the twin with files around it.
//!
//! [`table`] (CSV) → [`inputs`] (sessions and series) → `configuration` (rarer messages) →
//! [`world`] (what every policy is run in) → [`calendar`] → [`account`] (where the energy came
//! from) → [`summary`] (the figures) → [`uncontrolled`] and [`controlled`] → [`plot`] and
//! [`report`] (for people) → [`replay`].
//!
//! What is simulated is true current times nominal voltage; nothing is taken from what a charger or
//! the controller says of itself.

pub mod account;
pub mod calendar;
mod configuration;
pub mod controlled;
pub mod feeds;
pub mod inputs;
pub mod plot;
pub mod policy;
pub mod progress;
pub mod replay;
pub mod report;
pub mod summary;
pub mod table;
pub mod uncontrolled;
pub mod world;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use crate::config;
use crate::controller::message::{JournalHeader, JournalLine};
use crate::ground::series::Series;
use crate::ground::time::{Duration, Now, Utc};
use crate::model::diagram::EquipmentKind;
use crate::model::record::Remembered;
use crate::model::site::Site;

use calendar::Calendar;
use configuration::Missing;
use inputs::SessionRow;
use policy::Policy;
use progress::Progress;
use summary::{Run, Summary, round};
use uncontrolled::Way;
use world::{Preferences, World};

/// Replay a site's sessions and weather, with Ampgate and without.
///
/// The real controller steers simulated chargers over real OCPP text, in virtual time. Messages are
/// rarer than on site: chargers report every 60 s and when their current has changed, limits are
/// leased for 900 s, meters publish every 5 s while something changes. Power is true current times
/// nominal voltage; PV feeds the building first, then the cars. The cost is that of the energy
/// which the cars took from the grid, at the given price.
#[derive(Clone, Debug, PartialEq, clap::Args)]
pub struct SimulateArgs {
    /// The site, as for `ampgate run`.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Sessions: evse_id, arrival_utc, departure_utc, energy_kwh, user_id, vehicle_phases,
    /// vehicle_max_a; CSV or CSV.gz.
    #[arg(long, value_name = "CSV")]
    pub sessions: PathBuf,
    /// Generation: time_utc, pv_kw (or pv_…_kw_per_kwp, times the configured peak).
    #[arg(long, value_name = "CSV")]
    pub pv: Option<PathBuf>,
    /// Forecast of the generation, for policies that plan.
    #[arg(long, value_name = "CSV")]
    pub pv_forecast: Option<PathBuf>,
    /// Price: time_utc, price_eur_per_mwh.
    #[arg(long, value_name = "CSV")]
    pub price: Option<PathBuf>,
    /// Building load: time_utc, load_kw.
    #[arg(long, value_name = "CSV")]
    pub load: Option<PathBuf>,
    /// CO2 intensity of the grid: time_utc, co2_g_per_kwh.
    #[arg(long, value_name = "CSV")]
    pub co2: Option<PathBuf>,
    /// Sessions that arrive before this time are left out.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<Utc>,
    /// The simulation ends here.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub to: Option<Utc>,
    /// What steers the chargers; `uncontrolled` is always run beside it.
    #[arg(long, value_enum, default_value = "fair")]
    pub policy: Policy,
    /// What the controller is told of the drivers' needs, for policies that plan.
    #[arg(long, value_enum)]
    pub preferences: Option<Preferences>,
    /// Write the figures here.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with tables and plots here.
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Write every step of the controller here, for `ampgate replay`.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
}

/// Why nothing was simulated. Whatever it is, the call was wrong: the exit code is 2.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The configuration has mistakes.
    #[error("{}", .0.join("\n"))]
    Config(Vec<String>),
    /// A file cannot be read or written.
    #[error("{file}: {why}")]
    Io { file: String, why: String },
    /// An input file has mistakes.
    #[error(transparent)]
    Table(#[from] table::TableError),
    /// What was asked for does not exist.
    #[error("{0}")]
    Unknown(String),
}

/// Everything that `--json` holds: the figures of each policy under its name.
#[derive(Debug, Serialize)]
struct Figures<'a> {
    #[serde(flatten)]
    policies: BTreeMap<&'static str, &'a Summary>,
}

fn time(text: &str) -> Result<Utc, String> {
    let day = format!("{text}T00:00:00Z");
    let parsed = Utc::parse(text).or_else(|| Utc::parse(&day));
    parsed.ok_or_else(|| "expected a time like 2019-03-01T08:00:00Z or 2019-03-01".to_owned())
}

/// Runs `ampgate simulate`: the figures go to standard output, and where the arguments say.
///
/// # Errors
/// Where the call, the configuration or a file is wrong.
pub fn run(args: &SimulateArgs) -> Result<(), SimulateError> {
    if args.policy != Policy::Plan && args.pv_forecast.is_some() {
        warn("--pv-forecast has no effect: the policy does not look ahead");
    }
    let world = world(args)?;
    let mut runs = Vec::new();
    for (policy, way) in [("uncontrolled", Way::Unlimited), ("uncontrolled_within", Way::Within)] {
        let begun = stopwatch();
        let mut outcome = uncontrolled::run(&world, way);
        outcome.summary.wall_seconds = round(begun.elapsed().as_secs_f64(), 3);
        runs.push(Run { policy, outcome });
    }
    if args.policy != Policy::Uncontrolled {
        runs.push(controlled_run(&world, args)?);
    }
    for run in &runs {
        println!("{}", words(run));
    }
    if let Some(path) = &args.json {
        let policies = runs.iter().map(|run| (run.policy, &run.outcome.summary)).collect();
        let mut text = serde_json::to_string_pretty(&Figures { policies }).unwrap_or_default();
        text.push('\n');
        std::fs::write(path, text).map_err(|error| failed(path, &error))?;
    }
    if let Some(path) = &args.report {
        let page = report::page(&world, &runs);
        std::fs::write(path, page).map_err(|error| failed(path, &error))?;
    }
    Ok(())
}

/// Reads all files and says on standard error what is odd about them.
fn world(args: &SimulateArgs) -> Result<World, SimulateError> {
    let name = args.config.display().to_string();
    let read = std::fs::read_to_string(&args.config);
    let text = read.map_err(|error| failed(&args.config, &error))?;
    let site = parse(&text, &name)?;
    let pv = args.pv.as_ref().map(|path| inputs::pv(path, &site.diagram)).transpose()?;
    let load = args.load.as_ref().map(|path| inputs::load(path)).transpose()?;
    let has = |kind| site.diagram.equipment.iter().any(|item| item.kind == kind);
    let largest = |series: &Series<f64>| {
        let kilowatts = series.steps().iter().map(|(_, watts)| watts / 1000.0);
        round(kilowatts.fold(0.0, f64::max), 3)
    };
    let missing = Missing {
        pv_kw: pv.as_ref().filter(|_| !has(EquipmentKind::Pv)).map(|(series, _)| largest(series)),
        load_kw: load.as_ref().filter(|_| !has(EquipmentKind::Load)).map(largest),
    };
    let config_text = configuration::simulated(&text, missing, args.policy).unwrap_or(text);
    let site = parse(&config_text, &format!("{name} (as it is simulated)"))?;
    let sessions = sessions(args, &site)?;
    let (from, until) = span(args, &sessions, &site);
    let price = args.price.as_ref().map(|path| inputs::price(path)).transpose()?;
    let co2 = args.co2.as_ref().map(|path| inputs::co2(path)).transpose()?;
    let power = BTreeMap::new();
    let forecast = args.pv_forecast.as_ref().map(|path| inputs::pv(path, &site.diagram));
    let pv_forecast = forecast.transpose()?.map(|(series, _)| series);
    let preferences = args.preferences.unwrap_or(Preferences::None);
    let mut world = World {
        site,
        config_text,
        sessions,
        from,
        until,
        power,
        price,
        co2,
        pv_forecast,
        preferences,
    };
    if let Some((series, words)) = &pv {
        words.iter().for_each(|words| warn(words));
        world.spread(EquipmentKind::Pv, series);
    }
    if let Some(series) = &load {
        world.spread(EquipmentKind::Load, series);
    }
    let pv = pv.map(|(series, _)| series);
    for (path, series) in
        [(&args.pv, &pv), (&args.load, &load), (&args.price, &world.price), (&args.co2, &world.co2)]
    {
        if let (Some(path), Some(series)) = (path, series) {
            world.check_cover(path, series);
        }
    }
    Ok(world)
}

fn parse(text: &str, name: &str) -> Result<Site, SimulateError> {
    let checked = config::parse(text, name).map_err(|problems| {
        SimulateError::Config(problems.iter().map(ToString::to_string).collect())
    })?;
    Ok(checked.config.site)
}

/// The sessions that arrive in the span that was asked for.
fn sessions(args: &SimulateArgs, site: &Site) -> Result<Vec<SessionRow>, SimulateError> {
    let mut sessions = inputs::sessions(&args.sessions, &site.diagram)?;
    sessions.retain(|row| {
        let late_enough = args.from.is_none_or(|from| from <= row.arrival);
        late_enough && args.to.is_none_or(|to| row.arrival < to)
    });
    if sessions.is_empty() {
        let text = format!("{}: found no session in the span", args.sessions.display());
        return Err(SimulateError::Unknown(text));
    }
    let overlaps = inputs::overlaps(&sessions);
    if 0 < overlaps {
        warn(&format!("{overlaps} sessions begin at an EVSE that is taken; they wait for it"));
    }
    Ok(sessions)
}

/// The span that was asked for, else the whole days of the sessions.
fn span(args: &SimulateArgs, sessions: &[SessionRow], site: &Site) -> (Utc, Utc) {
    let arrivals = sessions.iter().map(|row| row.arrival);
    let first = arrivals.min().unwrap_or_default();
    let last = sessions.iter().map(|row| row.departure).max().unwrap_or(first);
    let (day, end) = Calendar::new(&site.zone).whole_days(first, last);
    let from = args.from.unwrap_or(day);
    (from, args.to.unwrap_or(end).max(from))
}

/// Real time, for the figure that tells how long the computer took; nothing else depends on it.
#[expect(clippy::disallowed_methods, reason = "measures this program and not a site")]
fn stopwatch() -> Instant {
    Instant::now()
}

fn controlled_run(world: &World, args: &SimulateArgs) -> Result<Run, SimulateError> {
    let name = args.policy.name();
    let begun = stopwatch();
    let mut progress = Progress::new(name, world.from, world.until);
    let mut outcome = match &args.journal {
        None => controlled::run::<SimulateError>(world, &mut progress, None)?,
        Some(path) => {
            let mut file =
                BufWriter::new(File::create(path).map_err(|error| failed(path, &error))?);
            let header = JournalHeader {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                config_text: world.config_text.clone(),
                remembered: Remembered::default(),
                started: Now { mono: crate::ground::time::Instant::START, utc: Some(world.from) },
            };
            let mut write = |json: Result<String, serde_json::Error>| {
                let text = json.map_err(|error| failed(path, &error))?;
                writeln!(file, "{text}").map_err(|error| failed(path, &error))
            };
            write(serde_json::to_string(&header))?;
            let mut line = |line: &JournalLine| write(serde_json::to_string(line));
            let outcome = controlled::run(world, &mut progress, Some(&mut line))?;
            file.flush().map_err(|error| failed(path, &error))?;
            outcome
        }
    };
    progress.finish();
    for violation in &outcome.violations {
        warn(&format!("the checker found: {violation}"));
    }
    outcome.summary.wall_seconds = round(begun.elapsed().as_secs_f64(), 3);
    Ok(Run { policy: name, outcome })
}

/// The line on standard output.
fn words(run: &Run) -> String {
    let it = &run.outcome.summary;
    format!(
        "{:<20} {} sessions, {:.0} kWh, unmet {:.1} kWh in {} sessions, self-production {:.1} %, \
         peak import {:.1} kW, overload {:.0} s",
        run.policy,
        it.sessions,
        it.ev_energy_kwh,
        it.unmet_energy_kwh,
        it.sessions_short,
        it.self_production_ratio * 100.0,
        it.peak_import_kw,
        it.overload_seconds,
    )
}

fn warn(text: &str) {
    eprintln!("{text}");
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> SimulateError {
    SimulateError::Io { file: path.display().to_string(), why: why.to_string() }
}

impl World {
    /// Says so where a series does not cover the span.
    fn check_cover(&self, path: &Path, series: &Series<f64>) {
        let first = series.steps().first().map(|(time, _)| *time);
        let last = series.steps().last().map(|(time, _)| *time);
        let day = Duration::hours(24);
        let late = first.is_none_or(|first| self.from + day < first);
        if late || last.is_none_or(|last| last + day < self.until) {
            let text = |time: Option<Utc>| time.map_or("nothing".to_owned(), Utc::to_text);
            warn(&format!(
                "{}: covers {} to {}, the simulation {} to {}",
                path.display(),
                text(first),
                text(last),
                self.from,
                self.until
            ));
        }
    }
}
