//! Floor 8: `ampgate twin cpo`, the back-end of an operator for tests and for comparing smart
//! charging providers (TWIN-2): it serves a list of sessions over OCPI as if live, takes the
//! profiles that come, lets simulated cars follow them, and prints what the day came to.
//!
//! Its OCPI is the engine in the role of a CPO; its cars are [`fleet`]'s, its bad manners
//! [`manners`]'s. With `--inside` a daemon of this program is the provider, in the same process and
//! at the same speed, and [`senses`] tells it prices and meters; any other provider lives in the
//! present, to which the list is moved then.

mod fleet;
mod manners;
mod senses;
mod world;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::config::{self, Config};
use crate::daemon::{self, Daemon, DaemonError, DaemonOptions};
use crate::ground::ids::EvseId;
use crate::ground::series::Series;
use crate::ground::time::{Duration, Utc};
use crate::io::clock::Clock;
use crate::io::{https, partner};
use crate::model::diagram::EquipmentKind;
use crate::model::partner::{Facade, Ocpi, Partner, Share, TokenEncoding};
use crate::ocpi::engine::desk::Wish;
use crate::simulate::inputs;
use crate::simulate::summary::Summary;
use crate::simulate::table::TableError;
use crate::simulate::uncontrolled::{self, Way};
use crate::simulate::world::{Preferences, World as Site};
use crate::uplink::{self, Uplink, UplinkError, UplinkOptions};

use fleet::Fleet;
use manners::{Answers, Deviation, Manners};
use senses::Senses;
use world::{Event, Parts, World};

/// What `ampgate twin cpo` was asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct CpoArgs {
    /// The provider's site: its EVSEs of a partner are the double's.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Sessions, as for `simulate`.
    #[arg(long, value_name = "CSV")]
    pub sessions: PathBuf,
    /// Prices, as for `simulate`.
    #[arg(long, value_name = "CSV")]
    pub price: Option<PathBuf>,
    /// PV, as for `simulate`.
    #[arg(long, value_name = "CSV")]
    pub pv: Option<PathBuf>,
    /// Building load, as for `simulate`.
    #[arg(long, value_name = "CSV")]
    pub load: Option<PathBuf>,
    /// From this time of the list on [default: an hour before its first session].
    #[arg(long, value_name = "T")]
    pub from: Option<String>,
    /// So many hours.
    #[arg(long, value_name = "H", default_value_t = 24.0)]
    pub hours: f64,
    /// Seconds that pass in a real one, for a provider inside. The time limits of OCPI run at this
    /// speed too: beyond 240 a partner seems slow. A provider that lives in the present needs 1.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    pub speed: f64,
    /// Where the double listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8086")]
    pub listen: SocketAddr,
    /// Versions URL of the provider, to register with; without it the provider registers with the
    /// token A that is printed.
    #[arg(long, value_name = "URL", requires = "token")]
    pub register: Option<String>,
    /// The token A that the provider gave.
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// This program is the provider, in the same process and at the same speed. Without it the list
    /// is moved so that it begins at this moment.
    #[arg(long, conflicts_with = "register")]
    pub inside: bool,
    /// How the double answers to profiles.
    #[arg(long, value_enum, default_value_t = Answers::Accept)]
    pub answers: Answers,
    /// What the double does as some real platforms do; several, with commas.
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub deviate: Vec<Deviation>,
    /// The double is not there from this hour of the run on, for so many hours; several, with
    /// commas.
    #[arg(long, value_name = "FROM:HOURS", value_delimiter = ',', value_parser = manners::outage)]
    pub outage: Vec<(f64, f64)>,
    /// Refuse what breaks a rule of the standard, and print it at the end.
    #[arg(long)]
    pub strict: bool,
    /// The provider has no way in: nothing is told to it, it has to ask.
    #[arg(long)]
    pub asked_only: bool,
    /// Where to write the prices of the run for a provider that is not inside, which reads them as
    /// a `[[forecast.source]]`.
    #[arg(long, value_name = "FILE", requires = "price")]
    pub told_prices: Option<PathBuf>,
    /// The figures as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Why the double does not run.
#[derive(Debug, thiserror::Error)]
pub enum CpoError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// A file of the list cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A socket or a file.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The provider inside does not start.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The provider inside cannot speak to partners.
    #[error(transparent)]
    Uplink(#[from] UplinkError),
    /// The two did not register.
    #[error("the provider and the double did not register: {0}")]
    Register(String),
}

/// Runs the day and prints what it came to.
pub async fn run(args: CpoArgs) -> Result<(), CpoError> {
    crate::io::log::install(None);
    let (config, site) = read(&args)?;
    tell_prices(&args, &site)?;
    let site = Arc::new(site);
    let scsp = config.ocpi.clone().ok_or_else(|| lacks("[ocpi]"))?;
    let mine = platform(&scsp, &config, args.deviate.contains(&Deviation::RawToken))?;
    let names: Vec<EvseId> = names(&scsp, &config);
    let fleet = Fleet::new(site.sessions.clone(), names, &site.site.diagram);
    let clock = Clock::scaled(args.speed, site.from);
    let (requests, incoming) = mpsc::channel(64);
    let listening = partner::listen(args.listen, None, requests, https::to_the_log()).await;
    let (listener, address) =
        listening.map_err(|source| CpoError::Io { what: args.listen.to_string(), source })?;
    let mine = Ocpi { public_url: format!("http://{address}"), ..mine };
    let (events, arrivals) = mpsc::channel(256);
    tokio::spawn(world::carry(incoming, events.clone()));
    let inside = match args.inside {
        true => Some(provider(&config, &clock, args.price.is_some()).await?),
        false => None,
    };
    let field = inside.as_ref().map(|(daemon, ..)| daemon.handle().field);
    let world = World::new(Parts {
        ocpi: Arc::new(mine),
        fleet,
        manners: manners(&args, site.from),
        senses: field.map(|field| Senses::new(field, site.clone())),
        site: site.clone(),
        clock: clock.clone(),
    });
    let running = world.start(events.clone(), arrivals);
    introduce(&args, &events, inside.as_ref()).await?;
    println!("The double runs from {} for {} h.", site.from, args.hours);
    clock.sleep_until(clock.now().mono + site.until.since(site.from)).await;
    // An error means that the thread has ended by itself.
    let _ = events.send(Event::Stop).await;
    drop(events);
    let ended = tokio::task::spawn_blocking(move || running.join()).await;
    listener.abort();
    let Ok(Ok(outcome)) = ended else {
        return Err(CpoError::Register("the double has stopped by a fault".to_owned()));
    };
    if let Some((daemon, uplink, _data)) = inside {
        drop(uplink);
        daemon.stop().await?;
    }
    let mut controlled = Summary::new(&outcome.account, &outcome.delivered);
    controlled.setpoints_sent = outcome.profiles;
    for (fault, count) in &outcome.faults {
        println!("The provider broke a rule {count} times: {fault}.");
    }
    let free = uncontrolled::run(&site, Way::Unlimited).summary;
    print(&args, &controlled, &free)
}

fn manners(args: &CpoArgs, from: Utc) -> Manners {
    let span = |hours: f64| Duration::seconds((hours * 3600.0) as i64);
    let outage = |(begin, lasts): &(f64, f64)| {
        let begin = from + span(*begin);
        (begin, begin + span(*lasts))
    };
    Manners {
        answers: args.answers,
        deviations: args.deviate.clone(),
        outages: args.outage.iter().map(outage).collect(),
        strict: args.strict,
        asked_only: args.asked_only,
    }
}

/// The list and its series at another time.
fn shift(site: &mut Site, by: Duration) {
    let moved = |series: &Series<f64>| {
        Series::new(series.steps().iter().map(|(at, value)| (*at + by, *value)).collect())
    };
    (site.from, site.until) = (site.from + by, site.until + by);
    for row in &mut site.sessions {
        (row.arrival, row.departure) = (row.arrival + by, row.departure + by);
        if let Some(said) = &mut row.said {
            said.departure = said.departure.map(|at| at + by);
        }
    }
    site.price = site.price.as_ref().map(moved);
    for series in site.power.values_mut() {
        *series = moved(series);
    }
}

fn tell_prices(args: &CpoArgs, site: &Site) -> Result<(), CpoError> {
    let (Some(file), Some(price)) = (&args.told_prices, &site.price) else { return Ok(()) };
    let line = |(at, price): &(Utc, f64)| format!("{},{price}\n", at.to_text());
    let lines: String = price.steps().iter().map(line).collect();
    let what = file.display().to_string();
    std::fs::write(file, format!("time_utc,price_eur_per_mwh\n{lines}"))
        .map_err(|source| CpoError::Io { what, source })
}

fn lacks(what: &str) -> CpoError {
    CpoError::Config(format!("the configuration has no {what}; see config/garage.toml"))
}

fn read(args: &CpoArgs) -> Result<(Config, Site), CpoError> {
    let name = args.config.display().to_string();
    let text = std::fs::read_to_string(&args.config)
        .map_err(|source| CpoError::Io { what: name.clone(), source })?;
    let words = |problems: Vec<config::problem::Problem>| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        CpoError::Config(lines.join("\n"))
    };
    let config = config::parse(&text, &name).map_err(words)?.config;
    let diagram = &config.site.diagram;
    let sessions = inputs::sessions(&args.sessions, diagram)?;
    let first = sessions.first().map(|row| row.arrival).unwrap_or_default();
    let from = match &args.from {
        None => first - Duration::hours(1),
        Some(text) => Utc::parse(text)
            .ok_or_else(|| CpoError::Config(format!("--from {text}: 2023-03-01T00:00:00Z")))?,
    };
    let until = from + Duration::seconds((args.hours * 3600.0) as i64);
    let inside = |row: &inputs::SessionRow| from <= row.arrival && row.arrival < until;
    let mut site = Site {
        site: config.site.clone(),
        config_text: text,
        sessions: sessions.into_iter().filter(inside).collect(),
        from,
        until,
        power: Default::default(),
        price: args.price.as_deref().map(inputs::price).transpose()?,
        co2: None,
        pv_forecast: None,
        preferences: Preferences::Declared,
    };
    if let Some(file) = &args.pv {
        let (series, _) = inputs::pv(file, &site.site.diagram)?;
        site.spread(EquipmentKind::Pv, &series);
    }
    if let Some(file) = &args.load {
        let series = inputs::load(file)?;
        site.spread(EquipmentKind::Load, &series);
    }
    if !args.inside
        && let Some(now) = Clock::real().now().utc
    {
        shift(&mut site, now.since(from));
    }
    Ok((config, site))
}

/// The EVSEs of the diagram as the double calls them; its own name where it is no partner's.
fn names(scsp: &Ocpi, config: &Config) -> Vec<EvseId> {
    let placed = || scsp.partners.iter().flat_map(|partner| &partner.evses);
    let name = |evse: &crate::model::diagram::Evse| {
        let found = placed().find(|one| one.evse == evse.id);
        found.map_or(evse.id.clone(), |one| EvseId::new(&one.evse_uid))
    };
    config.site.diagram.evses.iter().map(name).collect()
}

/// What the double is to the provider.
fn platform(scsp: &Ocpi, config: &Config, raw: bool) -> Result<Ocpi, CpoError> {
    let partner = scsp.partners.iter().find(|partner| partner.scsp && !partner.evses.is_empty());
    let partner = partner.ok_or_else(|| lacks("[[partner]] with mode = \"scsp\" and EVSEs"))?;
    let facade = |one: &crate::model::partner::PartnerEvse| {
        let evse = config.site.diagram.evses.iter().find(|evse| evse.id == one.evse)?;
        Some(Facade {
            evse: EvseId::new(&one.evse_uid),
            evse_id: format!("ES*CPO*E{}", one.evse_uid.replace('-', "")),
            connector: 1,
            standard: "IEC_62196_T2".to_owned(),
            has_cable: false,
            phases: evse.wiring.len(),
            max_a: evse.rated.as_f64() as i64,
            tariffs: Vec::new(),
        })
    };
    Ok(Ocpi {
        country_code: "ES".to_owned(),
        party_id: "CPO".to_owned(),
        name: "Double of an operator".to_owned(),
        website: None,
        facades: partner.evses.iter().filter_map(facade).collect(),
        tariffs: Vec::new(),
        update_every: Duration::minutes(5),
        place: crate::model::partner::Place {
            id: partner.evses[0].location_id.clone(),
            ..scsp.place.clone()
        },
        partners: vec![Partner {
            id: "provider".to_owned(),
            gateway: true,
            scsp: false,
            encoding: if raw { TokenEncoding::Raw } else { TokenEncoding::Base64 },
            share: Share::All,
            evses: Vec::new(),
            meter_id_pattern: None,
            starts_safe: false,
            ..partner.clone()
        }],
        ..scsp.clone()
    })
}

type Inside = (Daemon, Uplink, Directory);

/// A directory that is gone with its owner.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        // What stays behind in the temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A daemon of this program as the provider.
async fn provider(config: &Config, clock: &Clock, priced: bool) -> Result<Inside, CpoError> {
    let directory = format!("ampgate-bench-{}", std::process::id());
    let data = Directory(std::env::temp_dir().join(directory));
    let mut config = config.clone();
    (config.ocpp, config.web, config.mqtt) = (None, None, None);
    let hiccup = Duration::millis((300.0 * clock.speed()) as i64);
    let timeout = &mut config.site.charging.call_timeout;
    *timeout = (*timeout).max(hiccup * 10);
    for meter in &mut config.site.meters {
        meter.max_age = meter.max_age.max(hiccup * 10);
    }
    // The prices that the double counts with are told as those of the market.
    config.site.tariff.market |= priced;
    let ocpi = config.ocpi.clone().ok_or_else(|| lacks("[ocpi]"))?;
    let ocpi = Ocpi { public_url: "http://127.0.0.1:0".to_owned(), ..ocpi };
    let daemon = daemon::start(DaemonOptions {
        config,
        config_text: String::new(),
        data: data.0.clone(),
        clock: clock.clone(),
        journal: None,
    })
    .await?;
    let handle = daemon.handle();
    let address = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let (path, clock): (&Path, Clock) = (&data.0, clock.clone());
    let options = UplinkOptions { handle: &handle, ocpi, address, tls: None, data: path, clock };
    let uplink = uplink::start(options).await?;
    Ok((daemon, uplink, data))
}

/// The two get to know each other.
async fn introduce(
    args: &CpoArgs,
    events: &mpsc::Sender<Event>,
    inside: Option<&Inside>,
) -> Result<(), CpoError> {
    let partner = "provider".to_owned();
    let failed = |why: &str| CpoError::Register(why.to_owned());
    let wish = match (inside, &args.register, &args.token) {
        (Some((_, uplink, _)), _, _) => {
            let (reply, answer) = oneshot::channel();
            let invited = Wish::Invite { partner: "operator".to_owned() };
            let sent = uplink.wishes.send((invited, reply)).await;
            sent.map_err(|_| failed("the provider inside has ended"))?;
            let text = answer.await.map_err(|_| failed("no answer"))?;
            let text = text.map_err(CpoError::Register)?;
            let words: Vec<&str> = text.split_whitespace().collect();
            let [.., token, _, url] = words.as_slice() else {
                return Err(failed("an invitation that cannot be read"));
            };
            Wish::Register { partner, url: (*url).to_owned(), token: (*token).to_owned() }
        }
        (None, Some(url), Some(token)) => {
            Wish::Register { partner, url: url.clone(), token: token.clone() }
        }
        _ => Wish::Invite { partner },
    };
    let (reply, answer) = oneshot::channel();
    let sent = events.send(Event::Person(wish, reply)).await;
    sent.map_err(|_| failed("the double has ended"))?;
    let text = answer.await.map_err(|_| failed("no answer"))?;
    println!("{}", text.map_err(CpoError::Register)?);
    Ok(())
}

fn print(args: &CpoArgs, controlled: &Summary, free: &Summary) -> Result<(), CpoError> {
    println!("\n                          provider   uncontrolled");
    let line = |name: &str, one: f64, other: f64| println!("{name:<24}{one:>10.2}{other:>15.2}");
    line("energy into cars, kWh", controlled.ev_energy_kwh, free.ev_energy_kwh);
    line("unmet, kWh", controlled.unmet_energy_kwh, free.unmet_energy_kwh);
    line("sun into cars, kWh", controlled.pv_to_ev_kwh, free.pv_to_ev_kwh);
    line("cost, EUR", controlled.energy_cost_eur, free.energy_cost_eur);
    line("peak, kW", controlled.peak_import_kw, free.peak_import_kw);
    println!("sessions {}, profiles taken {}", controlled.sessions, controlled.setpoints_sent);
    let Some(file) = &args.json else { return Ok(()) };
    let both = serde_json::json!({ "provider": controlled, "uncontrolled": free });
    let what = file.display().to_string();
    std::fs::write(file, format!("{both:#}\n")).map_err(|source| CpoError::Io { what, source })
}
