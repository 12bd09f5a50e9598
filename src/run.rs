//! Floor 6: `ampgate run` and `ampgate check`: a configuration file becomes a running daemon.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::announce;
use crate::config::network::Shown;
use crate::config::problem::Severity;
use crate::config::{self, Checked, Config};
use crate::daemon::{self, DaemonError, DaemonOptions, Handle};
use crate::desk::Desk;
use crate::io::clock::Clock;
use crate::io::doors;
use crate::io::log as lines;
use crate::io::platform;
use crate::io::starts::{self, Starts};
use crate::io::tls::TlsFiles;
use crate::model::event::EventKind;
use crate::model::log::Levels;
use crate::serve::{self, PageOptions};
use crate::store::backup;
use crate::store::before::{self, Done};
use crate::store::error::StoreError;
use crate::ui::UiError;
use crate::updater;
use crate::upkeep;
use crate::uplink::{self, Uplink, UplinkError, UplinkOptions};

/// Where the store is kept when nothing is said: what systemd gives, else beside the person.
const DATA_DEFAULT: &str = "./ampgate-data";

/// What `ampgate run` was asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// The site.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where transactions, sessions and leases are kept [default: $STATE_DIRECTORY, else
    /// ./ampgate-data].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Write every input with its outputs to this file, for `ampgate replay`.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// What is logged: a level, and with commas those of modules, e.g. info,ocpp=debug [default:
    /// $AMPGATE_LOG, else log.level of the configuration, else info].
    #[arg(long, value_name = "LEVELS", value_parser = Levels::parse)]
    pub log_level: Option<Levels>,
}

/// What `ampgate check` was asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// The site.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used; the mistakes, one a line.
    #[error("{0}")]
    Config(String),
    /// The daemon could not start, or did not end in order.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// Partners cannot be spoken to.
    #[error(transparent)]
    Uplink(#[from] UplinkError),
    /// The page cannot be served.
    #[error("{error}{source}", source = cause(error))]
    Page {
        /// What and why.
        error: UiError,
    },
}

fn cause(error: &UiError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(String::new, |source| format!(": {source}"))
}

/// Runs until SIGTERM. SIGHUP reads the file again; a bad one is refused while the old goes on.
pub async fn run(args: RunArgs) -> Result<(), RunError> {
    lines::install(args.log_level.clone());
    let (mut checked, text) = read(&args.config).map_err(RunError::Config)?;
    lines::configure(checked.config.log.as_ref());
    checked.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    let data = args.data.unwrap_or_else(data_directory);
    let restored = backup::restore_staged(&data);
    let before = before::start(&data, updater::PROGRAM);
    let starts = Arc::new(Starts::begin(&data));
    let failsafe = starts.failsafe();
    if let Some(why) = &failsafe {
        starts::restrict(&mut checked.config, why);
    }
    let page = page_options(&checked.config, &data);
    let (update, zone) = (checked.config.update.clone(), checked.config.site.zone.clone());
    let (ocpi, ocpi_address) = (checked.config.ocpi.clone(), checked.config.ocpi_address);
    let tls = checked.config.ocpi_tls.clone().map(shown);
    let clock = Clock::real();
    let daemon = daemon::start(DaemonOptions {
        config: checked.config,
        config_text: text,
        data: data.clone(),
        clock: clock.clone(),
        journal: args.journal,
    })
    .await?;
    let handle = daemon.handle();
    tokio::spawn(settle(starts.clone(), handle.clone()));
    tell_restored(&handle, restored).await;
    tell_before(&handle, before).await;
    let updater = match update {
        None => None,
        Some(settings) => Some(updater::start(settings, &zone, handle.clone()).await),
    };
    let uplink_running = match ocpi {
        None => None,
        Some(ocpi) => {
            let (handle, data, address) = (&handle, data.as_path(), ocpi_address);
            Some(uplink::start(UplinkOptions { handle, ocpi, address, tls, data, clock }).await?)
        }
    };
    let partners = uplink_running.as_ref().map(|uplink| uplink.reader.clone());
    tokio::spawn(upkeep::run(handle.clone(), partners));
    tokio::spawn(announce::run(handle.clone()));
    tell_addresses(&handle, uplink_running.as_ref());
    let page = match page {
        None => None,
        Some(options) => {
            let desk = Desk::new(handle.clone(), Some(args.config.clone()));
            Some(told_page(serve::page(&handle, desk, updater, options).await)?)
        }
    };
    let file = args.config.clone();
    let reparse = move || -> Result<(Config, String), String> {
        let (mut checked, text) = read(&file)?;
        if let Some(why) = &failsafe {
            starts::restrict(&mut checked.config, why);
        }
        lines::configure(checked.config.log.as_ref());
        Ok((checked.config, text))
    };
    let ended = daemon.run_until_signal(reparse).await;
    drop(uplink_running);
    if let Some(page) = page {
        page.abort();
    }
    Ok(ended?)
}

/// The page as the configuration wants it; none = closed.
fn page_options(config: &Config, data: &Path) -> Option<PageOptions> {
    let outer = config.outer_page.as_ref();
    let outer = outer.map(|page| (doors::page_files(config, data), page.names.clone()));
    Some(PageOptions { address: config.web?, outer, page_url: config.driver_page.clone() })
}

/// What the listener of partners shows.
fn shown(shown: Shown) -> TlsFiles {
    TlsFiles { certificate: shown.certificate, key: shown.key, client_roots: None }
}

fn told_page(
    page: Result<(JoinHandle<()>, SocketAddr), UiError>,
) -> Result<JoinHandle<()>, RunError> {
    let (page, address) = page.map_err(|error| RunError::Page { error })?;
    log::info!("page and API for this machine at http://{address}");
    Ok(page)
}

async fn tell_restored(handle: &Handle, restored: Result<Option<PathBuf>, StoreError>) {
    let (kind, words) = match restored {
        Ok(None) => return,
        Ok(Some(aside)) => {
            let words = format!("a backup is in place; what was there is in {}", aside.display());
            (EventKind::Restored, words)
        }
        Err(error) => (EventKind::StoreFailed, format!("a backup was not put in place: {error}")),
    };
    handle.tell(kind, "store".to_owned(), words).await;
}

async fn tell_before(handle: &Handle, before: Result<Done, StoreError>) {
    let (kind, words) = match before {
        Ok(Done::Nothing) => return,
        Ok(Done::Kept { version }) => {
            log::info!("the store as {version} left it is kept until the next version");
            return;
        }
        Ok(Done::PutBack { aside, missing }) => {
            let words = "the data is as it was before a later version; what that one wrote is in";
            (EventKind::Restored, format!("{words} {}: {missing}", aside.display()))
        }
        Err(error) => {
            let words = format!("the store of the version before is not kept: {error}");
            (EventKind::StoreFailed, words)
        }
    };
    handle.tell(kind, "store".to_owned(), words).await;
}

fn tell_addresses(handle: &Handle, uplink: Option<&Uplink>) {
    if let Some(Uplink { address: Some(address), scheme, .. }) = uplink {
        log::info!("partners connect to {scheme}://{address}/ocpi/versions");
    }
    if let Some(address) = handle.ocpp_address {
        log::info!("chargers connect to ws://{address}/ocpp/{{identity}}");
    }
    if let Some(address) = handle.ocpps_address {
        log::info!("chargers connect to wss://{address}/ocpp/{{identity}}");
    }
}

/// Tells of a failsafe, and ends it after a while of running well where systemd starts it anew.
async fn settle(starts: Arc<Starts>, handle: Handle) {
    if let Some(why) = starts.failsafe() {
        let words = format!("{why}; every EVSE stays at its safe share");
        handle.tell(EventKind::Failsafe, String::new(), words).await;
    }
    if starts.sound().await && platform::is_supervised() {
        log::warn!("failsafe has run well; it ends, to be started as configured");
        handle.shutdown().await;
    }
}

/// Says everything that is wrong with a configuration. True when it can be used.
pub fn check(args: &CheckArgs) -> bool {
    match read(&args.config) {
        Ok((checked, _)) => {
            for warning in &checked.warnings {
                println!("{warning}");
            }
            let site = &checked.config.site;
            println!(
                "{}: {} nodes, {} EVSEs, {} meters: can be used",
                args.config.display(),
                site.diagram.nodes.len(),
                site.diagram.evses.len(),
                site.meters.len()
            );
            true
        }
        Err(problems) => {
            println!("{problems}");
            false
        }
    }
}

/// A configuration and its text, or everything that is wrong with it, one a line.
fn read(file: &Path) -> Result<(Checked, String), String> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{name}: cannot be read: {error}; expected a TOML file"))?;
    match config::parse(&text, &name) {
        Ok(checked) => Ok((checked, text)),
        Err(problems) => {
            let errors = problems.iter().filter(|found| found.severity == Severity::Error).count();
            let mut lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            lines.push(format!("{name}: {errors} mistakes: cannot be used"));
            Err(lines.join("\n"))
        }
    }
}

/// Where the data is when nobody says so: systemd names the state directory of its unit.
pub fn data_directory() -> PathBuf {
    std::env::var_os("STATE_DIRECTORY").map_or_else(|| PathBuf::from(DATA_DEFAULT), PathBuf::from)
}
