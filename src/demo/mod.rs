//! Floor 8: `ampgate demo`, a whole site on one machine with nothing to install.
//!
//! The daemon is the real one with its real sockets and store; only its clock runs faster. Around
//! it stand [`broker`] (an MQTT broker), [`field`] (the simulated plant behind real sockets),
//! [`upstream`] (the operator's platform over OCPI), [`day`] (weather and drivers) and [`report`]
//! (what a day came to). Loopback alone is used.

#[cfg(feature = "demo-broker")]
mod broker;
mod day;
mod field;
mod forecast;
mod report;
mod upstream;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::announce;
use crate::config::broker::{Broker, Publish};
use crate::config::{self, Config};
use crate::daemon::{self, Daemon, DaemonError, DaemonOptions};
use crate::desk::Desk;
use crate::ground::ids::{ChargePointId, MeterId};
use crate::ground::time::{Duration, Utc};
use crate::io::clock::Clock;
use crate::io::end::EndSignals;
use crate::model::diagram::EquipmentKind;
use crate::model::partner::Ocpi;
use crate::model::site::Site;
use crate::serve::{self, PageOptions};
use crate::twin::plant::Plant;
use crate::twin::scenario::{Fault, MeterMode};
use crate::ui::UiError;
use crate::uplink::{self, Uplink, UplinkError, UplinkOptions};

use field::{Doing, Field, Places};
use report::Watch;
use upstream::Upstream;

/// The site of the demonstration, as shipped.
const SITE: &str = include_str!("../../config/office.toml");

/// A working day passes in about five minutes.
pub const SPEED: f64 = 120.0;

/// With `--once` nobody watches. Much faster, and the delays of this machine's scheduler become
/// seconds of the site: meters seem silent and chargers late.
pub const SPEED_ONCE: f64 = 180.0;

/// A delay of this machine, in real milliseconds, that is not to count as silence or deafness.
const HICCUP_MS: f64 = 250.0;

/// The demonstration begins on a Tuesday in May, at half past six in the morning, local time.
const BEGINS: &str = "2019-05-14T04:30:00Z";

/// With `--once` it ends this much later: the last car has left.
const ONCE: Duration = Duration::minutes(14 * 60 + 30);

/// What `ampgate demo` was asked for.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// How many seconds pass in a real one.
    pub speed: f64,
    /// Port of the page.
    pub port: u16,
    /// One day, then a summary.
    pub once: bool,
    /// Where the store is kept.
    pub data: PathBuf,
}

/// Why the demonstration cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// This build has no broker.
    #[error("this build has no MQTT broker inside (cargo feature demo-broker); use a full build")]
    NoBroker,
    /// No socket can be had.
    #[error("cannot open a socket on 127.0.0.1: {0}")]
    Socket(#[from] std::io::Error),
    /// The daemon does not start.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// Partners cannot be spoken to.
    #[error(transparent)]
    Uplink(#[from] UplinkError),
    /// The operator's platform does not start.
    #[error("the operator of the demonstration: {0}")]
    Operator(String),
    /// The page cannot be served.
    #[error("{0}: {source}; another port: ampgate demo --port N", source = source_words(.0))]
    Page(#[from] UiError),
}

fn source_words(error: &UiError) -> String {
    std::error::Error::source(error).map_or_else(String::new, ToString::to_string)
}

/// Runs the demonstration until Ctrl-C or SIGTERM, or for a day. True when no safety check has
/// failed.
pub async fn run(options: DemoOptions) -> Result<bool, DemoError> {
    let mut end = EndSignals::new().map_err(DaemonError::Signals)?;
    let broker = free_address()?;
    start_broker(broker)?;
    let weather = options.data.join("forecast-pv.json");
    let mut config = site(broker, options.port, options.speed);
    let most_kw = 1.5 * roof_kw(&config.site);
    config.site.feeds.push(forecast::feed(weather.clone(), &config.site.zone, most_kw));
    let begins = begin_after(&options.data);
    let clock = Clock::scaled(options.speed, begins);
    let midnight = Utc::from_millis(begins.as_millis().div_euclid(86_400_000) * 86_400_000);
    let scenario = day::scenario(&config.site, midnight);
    let roof = config.site.diagram.equipment.iter().find(|item| item.kind == EquipmentKind::Pv);
    let roof = roof.and_then(|roof| scenario.power.get(&roof.id)).cloned();
    let service = roof.map(|roof| forecast::keep(weather, roof, clock.clone()));
    let daemon = daemon::start(DaemonOptions {
        config: config.clone(),
        config_text: SITE.to_owned(),
        data: options.data.clone(),
        clock: clock.clone(),
        journal: None,
    })
    .await?;
    let handle = daemon.handle();
    let (uplink, operator) = partners(&handle, &config, &options, &clock).await?;
    tokio::spawn(announce::run(handle.clone()));
    let web = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let desk = Desk::new(handle.clone(), None);
    let page = PageOptions { address: web, outer: None, page_url: None };
    let (page, address) = serve::page(&handle, desk, None, page).await?;
    let ocpp = handle.ocpp_address.unwrap_or(web);
    let plant = Plant::new(&config.site, scenario, clock.now());
    let field = Field::start(&config.site, plant, Places { ocpp, broker }, clock.clone());
    welcome(&options, address, ocpp, broker);
    let watch = attend(&options, &daemon, &field, &clock, &mut end).await;
    let truth = field.truth.borrow().clone();
    let safe = watch.print(&truth, &handle.view.borrow(), &operator.seen.borrow());
    drop((field, operator, uplink));
    service.iter().for_each(JoinHandle::abort);
    page.abort();
    daemon.stop().await?;
    Ok(safe)
}

/// The uplink of the daemon, and the operator's platform at its other end.
async fn partners(
    handle: &daemon::Handle,
    config: &Config,
    options: &DemoOptions,
    clock: &Clock,
) -> Result<(Uplink, Upstream), DemoError> {
    let ocpi = config.ocpi.clone().expect("the shipped office has a partner");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // A port that the system chooses, and its URL with it.
    let ocpi = Ocpi { public_url: format!("http://{any}"), ..ocpi };
    let (data, clock) = (options.data.as_path(), clock.clone());
    let operators = clock.clone();
    let options = UplinkOptions { handle, ocpi, address: Some(any), tls: None, data, clock };
    let uplink = uplink::start(options).await?;
    let operator = upstream::start(uplink.wishes.clone(), operators).await;
    Ok((uplink, operator.map_err(DemoError::Operator)?))
}

/// Watches until a signal or the end of the day, and breaks what people ask to have broken.
async fn attend(
    options: &DemoOptions,
    daemon: &Daemon,
    field: &Field,
    clock: &Clock,
    end: &mut EndSignals,
) -> Watch {
    let mut watch = Watch::default();
    let mut view = daemon.handle().view;
    let mut keys = keyboard();
    let ends = clock.now().mono + if options.once { ONCE } else { Duration::hours(24 * 365) };
    let mut plan = if options.once { rehearsal(clock) } else { Vec::new() };
    loop {
        let next = plan.first().map_or(ends, |(at, _)| *at);
        tokio::select! {
            () = end.heard() => return watch,
            changed = view.changed() => {
                if changed.is_err() {
                    return watch;
                }
                watch.look(&view.borrow_and_update());
            }
            Some(fault) = keys.recv() => tell(field, fault).await,
            () = clock.sleep_until(next) => {
                if plan.is_empty() {
                    return watch;
                }
                tell(field, plan.remove(0).1).await;
            }
        }
    }
}

async fn tell(field: &Field, fault: Fault) {
    // The plant lives as long as the field does.
    let _ = field.doing.send(Doing::Fault(fault)).await;
}

/// With `--once` a meter falls silent before noon and a charger's link is cut in the afternoon.
fn rehearsal(clock: &Clock) -> Vec<(crate::ground::time::Instant, Fault)> {
    let now = clock.now().mono;
    let meter = || MeterId::new("grid");
    vec![
        (now + Duration::minutes(4 * 60), Fault::Meter { meter: meter(), mode: MeterMode::Silent }),
        (
            now + Duration::minutes(4 * 60 + 20),
            Fault::Meter { meter: meter(), mode: MeterMode::Works },
        ),
        (
            now + Duration::minutes(6 * 60),
            Fault::CutLink {
                charge_point: ChargePointId::new("CP-09"),
                lasts: Duration::minutes(20),
            },
        ),
    ]
}

fn welcome(options: &DemoOptions, page: SocketAddr, ocpp: SocketAddr, broker: SocketAddr) {
    println!("Ampgate demonstration: an office car park, 12 chargers on 43 kVA, 35 kWp of sun.");
    println!("  page      http://{page}");
    println!("  chargers  ws://{ocpp}/ocpp/{{identity}}   (12 simulated ones are connecting)");
    println!("  broker    mqtt://{broker}");
    println!(
        "  operator  a platform over OCPI: it is told sessions and CDRs, starts the car at EVSE-03"
    );
    println!(
        "            for a driver who has only an app, and limits EVSE-09 to 8 A for two hours"
    );
    println!(
        "  data      {}   (kept; kill the process and nothing is lost)",
        options.data.display()
    );
    println!("  speed     {} seconds pass in one", options.speed);
    if options.once {
        println!("One day, with a silent meter before noon and a cut link in the afternoon …");
    } else {
        println!(
            "Type and press Enter:  m  pull or plug the grid meter    l  cut the link of CP-09"
        );
        println!("                       d  EVSE-12 disobeys or obeys      Ctrl-C  end");
    }
}

/// Lines typed at a terminal, as faults. Silent where nobody types.
fn keyboard() -> mpsc::Receiver<Fault> {
    let (typed, faults) = mpsc::channel(8);
    std::thread::spawn(move || {
        let (mut pulled, mut disobeys) = (false, false);
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            let fault = match line.trim() {
                "m" => {
                    pulled = !pulled;
                    println!("grid meter {}", if pulled { "pulled" } else { "plugged in" });
                    let mode = if pulled { MeterMode::Silent } else { MeterMode::Works };
                    Fault::Meter { meter: MeterId::new("grid"), mode }
                }
                "l" => {
                    println!("link of CP-09 cut for ten minutes of its time");
                    let charge_point = ChargePointId::new("CP-09");
                    Fault::CutLink { charge_point, lasts: Duration::minutes(10) }
                }
                "d" => {
                    disobeys = !disobeys;
                    println!("EVSE-12 {}", if disobeys { "disobeys" } else { "obeys" });
                    Fault::Behave {
                        charge_point: ChargePointId::new("CP-12"),
                        behaviour: crate::twin::scenario::Behaviour {
                            ignores_limits: disobeys,
                            ..Default::default()
                        },
                    }
                }
                "" => continue,
                other => {
                    println!("\"{other}\" is no command: m, l, d, or Ctrl-C to end");
                    continue;
                }
            };
            if typed.blocking_send(fault).is_err() {
                return;
            }
        }
        // Nobody types any more: the channel must not look closed to the loop.
        std::mem::forget(typed);
    });
    faults
}

/// Peak of all generation, in kW.
fn roof_kw(site: &Site) -> f64 {
    let roofs = site.diagram.equipment.iter().filter(|item| item.kind == EquipmentKind::Pv);
    roofs.map(|roof| roof.peak.as_f64() / 1000.0).sum()
}

fn site(broker: SocketAddr, web: u16, speed: f64) -> Config {
    let checked = config::parse(SITE, "config/office.toml");
    let mut config = checked.expect("tests parse every shipped configuration").config;
    let hiccup = Duration::millis((HICCUP_MS * speed) as i64);
    for meter in &mut config.site.meters {
        meter.max_age = meter.max_age.max(hiccup);
    }
    let timeout = &mut config.site.charging.call_timeout;
    *timeout = (*timeout).max(hiccup);
    config.ocpp = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    config.web = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, web)));
    config.mqtt = Some(Broker {
        host: broker.ip().to_string(),
        port: broker.port(),
        client_id: "ampgate".to_owned(),
        publish: Some(Publish {
            topic: "ampgate".to_owned(),
            discovery: Some("homeassistant".to_owned()),
            every: Duration::seconds(10),
            limits_last: Some(Duration::hours(1)),
        }),
        ..Broker::default()
    });
    config
}

/// An earlier demonstration in the same directory goes on the morning after it ended.
fn begin_after(data: &std::path::Path) -> Utc {
    let begins = Utc::parse(BEGINS).unwrap_or_default();
    let Ok(written) = std::fs::read_to_string(data.join("demo-day")) else {
        let _ = std::fs::create_dir_all(data);
        let _ = std::fs::write(data.join("demo-day"), "0");
        return begins;
    };
    let days = written.trim().parse::<i64>().unwrap_or(0).clamp(0, 3650) + 1;
    let _ = std::fs::write(data.join("demo-day"), days.to_string());
    begins + Duration::hours(24 * days)
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(feature = "demo-broker")]
fn start_broker(address: SocketAddr) -> Result<(), DemoError> {
    Ok(broker::start(address)?)
}

#[cfg(not(feature = "demo-broker"))]
fn start_broker(_address: SocketAddr) -> Result<(), DemoError> {
    Err(DemoError::NoBroker)
}
