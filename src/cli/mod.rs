//! Floor 7: the questions that the command line asks a running daemon, over the API that scripts
//! use too. Nothing here knows the store, the controller or a socket of the field.
//!
//! [`plan`] alone asks nobody: it solves a saved problem on its own.
//!
//! Reading order: [`access`] (what is shown to the daemon) → [`client`] → [`text`] (aligned tables)
//! → [`explain`] → [`prefer`] → [`status`] → [`remote`] (orders to chargers) → [`forecast`] →
//! [`plan`] → [`keep`] → [`export`] → [`bundle`] → [`user`] (who may come in; asks no daemon).

pub mod access;
pub mod client;
pub mod firmware;
pub mod text;

pub mod bundle;
pub mod explain;
pub mod export;
pub mod forecast;
pub mod keep;
pub mod partner;
pub mod plan;
pub mod prefer;
pub mod remote;
pub mod secure;
pub mod status;
pub mod update;
pub mod uploads;
pub mod user;

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::controller::view::View;
use crate::ui::api::{Events, Sessions};
use crate::ui::html::segment;

use client::{Client, ClientError, Target};

/// What can be asked of a running daemon.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// How the site is: power, load of every breaker, and what is wrong
    Status(Target),
    /// Why each EVSE gets what it gets; for one EVSE with every limit up to the grid
    Explain {
        /// Name of the EVSE, e.g. EVSE-05; all of them without it
        evse: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Say what the car at an EVSE needs, or take it back
    Prefer(Prefer),
    /// Charging sessions, newest first
    Sessions(Latest),
    /// Events, newest first
    Events(Latest),
    /// Partners over OCPI: how they stand, invitations, registrations
    #[command(subcommand)]
    Partner(partner::Partner),
    /// Ask something of a charger: start, stop, unlock, reset, configuration and more
    #[command(subcommand)]
    Remote(remote::Command),
    /// Prove with a charging car that an EVSE falls to its safe share by itself; takes minutes
    Drill {
        /// Name of the EVSE
        evse: String,
        #[command(flatten)]
        target: Target,
    },
    /// Charge points: who they are and what they can do
    Chargers(Target),
    /// Keep an EVSE, or any of a charge point, for a token
    Reserve(remote::Reserve),
    /// Give a reservation up
    CancelReservation {
        /// Its number
        id: i32,
        #[command(flatten)]
        target: Target,
    },
    /// Reservations, newest first
    Reservations(Target),
    /// Everything of the data directory in one file, while the daemon runs or without it
    Backup(keep::Keep),
    /// Lay a backup ready; the next start of the daemon puts it in place
    Restore(keep::Keep),
    /// Sessions or CDRs for billing, as CSV or JSON, while the daemon runs or without it
    Export(export::Export),
    /// What somebody who helps needs to see, without tokens and secrets
    SupportBundle(bundle::Bundle),
    /// Firmware for several chargers, one after the other
    #[command(subcommand)]
    Firmware(firmware::Firmware),
    /// Updates of this box itself: install, status, confirm, rollback
    #[command(subcommand)]
    Update(update::Update),
    /// Files that chargers have uploaded to this box
    #[command(subcommand)]
    Uploads(uploads::Uploads),
    /// What is expected of sun, building and prices, and how far that was off
    Forecasts(Target),
    /// Delete what was learned of a token (stays, energy, its car), here and in the store
    Forget {
        /// The token; without it, --all
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        token: Option<String>,
        /// What was learned of all drivers
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Users of page and API: add, passwd, role, remove, list
    #[command(subcommand)]
    User(user::Command),
    /// Chargers that nobody knows yet
    Pending(secure::Pending),
    /// Write a charger into the configuration of the daemon
    Adopt(secure::Adopt),
}

/// What a car needs.
#[derive(Debug, Args)]
pub struct Prefer {
    /// Name of the EVSE, e.g. EVSE-05
    evse: String,
    #[command(flatten)]
    wanted: prefer::Words,
    #[command(flatten)]
    target: Target,
}

/// How many records.
#[derive(Debug, Args)]
pub struct Latest {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    count: usize,
    #[command(flatten)]
    target: Target,
}

/// Asks, prints, and tells whether it worked: 0, or 1 with a sentence on the standard error.
pub fn run(command: Command) -> ExitCode {
    print(answer(&command))
}

/// Tells a charger about passwords and certificates, as [`run`] does the rest.
pub fn secure(command: secure::Secure) -> ExitCode {
    print(secure::secure(&command))
}

fn print(answer: Result<String, ClientError>) -> ExitCode {
    match answer {
        Ok(text) => {
            // A reader that closes the pipe early has what it wanted.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "ampgate: {}", text::clean(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// The text that answers a command.
pub fn answer(command: &Command) -> Result<String, ClientError> {
    match command {
        Command::Status(target) => {
            ask(target, "/api/v1/site", |body| Ok(status::site(&client::read(body)?)))
        }
        Command::Explain { evse: None, target } => {
            ask(target, "/api/v1/site", |body| Ok(explain::all(&client::read(body)?)))
        }
        Command::Explain { evse: Some(evse), target } => {
            let path = format!("/api/v1/evses/{}/explain", segment(evse));
            let zone = zone(target)?;
            ask(target, &path, |body| Ok(explain::one(&client::read(body)?, &zone)))
        }
        Command::Prefer(wish) => say(wish),
        Command::Sessions(Latest { count, target }) => {
            let path = format!("/api/v1/sessions?count={count}");
            let zone = zone(target)?;
            ask(target, &path, |body| {
                let Sessions { sessions } = client::read(body)?;
                Ok(status::sessions(&sessions, &zone))
            })
        }
        Command::Partner(wanted) => partner::answer(wanted),
        Command::Events(Latest { count, target }) => {
            let path = format!("/api/v1/events?count={count}");
            let zone = zone(target)?;
            ask(target, &path, |body| {
                let Events { events } = client::read(body)?;
                Ok(status::events(&events, &zone))
            })
        }
        Command::Remote(command) => remote::remote(command),
        Command::Reserve(wish) => remote::reserve(wish),
        Command::Drill { evse, target } => remote::drill(target, &segment(evse)),
        Command::Chargers(target) => {
            ask(target, "/api/v1/site", |body| Ok(status::chargers(&client::read(body)?)))
        }
        Command::CancelReservation { id, target } => {
            remote::order(target, &format!("/api/v1/reservations/{id}/cancel"), "{}")
        }
        Command::Backup(wanted) => keep::backup(wanted).map_err(ClientError::Here),
        Command::Restore(wanted) => keep::restore(wanted).map_err(ClientError::Here),
        Command::Export(wanted) => export::export(wanted).map_err(ClientError::Here),
        Command::SupportBundle(wanted) => bundle::write(wanted).map_err(ClientError::Here),
        Command::Firmware(wanted) => firmware::answer(wanted),
        Command::Update(wanted) => update::answer(wanted),
        Command::Uploads(wanted) => uploads::answer(wanted, &zone(uploads::target(wanted))?),
        Command::Forecasts(target) => {
            let path = if target.json { "/api/v1/forecasts" } else { "/api/v1/site" };
            ask(target, path, |body| Ok(forecast::forecasts(&client::read(body)?)))
        }
        Command::Forget { token, all, target } => remote::forget(target, token.as_deref(), *all),
        Command::User(wanted) => user::answer(wanted).map_err(ClientError::Here),
        Command::Pending(asked) => secure::pending(asked),
        Command::Adopt(asked) => secure::adopt(asked),
        Command::Reservations(target) => {
            let zone = zone(target)?;
            ask(target, "/api/v1/reservations", |body| {
                Ok(remote::reservations(&client::read(body)?, &zone))
            })
        }
    }
}

fn say(Prefer { evse, wanted, target }: &Prefer) -> Result<String, ClientError> {
    let body = wanted.tell(&Client::new(target)?, evse)?;
    if target.json { Ok(format!("{}\n", body.trim_end())) } else { prefer::told(evse, &body) }
}

fn ask(
    target: &Target,
    path: &str,
    print: impl FnOnce(&str) -> Result<String, ClientError>,
) -> Result<String, ClientError> {
    let client = Client::new(target)?;
    let body = client.get(path)?;
    if target.json { Ok(format!("{}\n", body.trim_end())) } else { print(&body) }
}

/// The time zone of the site, for times as its people know them.
fn zone(target: &Target) -> Result<String, ClientError> {
    if target.json {
        return Ok(String::new());
    }
    let client = Client::new(target)?;
    let view: View = client::read(&client.get("/api/v1/site")?)?;
    Ok(view.zone)
}
