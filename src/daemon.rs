//! Floor 6: the one loop that joins the controller to the world.
//!
//! ```text
//! websocket ─┐                        ┌─▶ records ─▶ store ─▶ frames that waited ─▶ websocket
//! mqtt ──────┼─▶ inbox ─▶ controller ─┼─▶ frames that wait for nothing ───────────▶ websocket
//! people ────┘                        └─▶ events ─▶ log    replies ─▶ people    view ─▶ page
//! ```
//! Invariants: one task owns the controller; nothing in the loop waits for a disk, a peer or a
//! person; a frame that depends on a fact leaves only when the fact is on disk, and such frames of
//! one link keep their order. If the loop panics the process ends, and systemd starts it anew: a
//! box that listens and decides nothing would be worse than none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration as RealDuration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::config::Config;
use crate::controller::Controller;
use crate::controller::message::{Answer, Input, Order, Outbox, Output};
use crate::controller::view::View;
use crate::ground::ids::{LinkId, RequestId};
use crate::ground::time::{Duration, Instant};
use crate::io::clock::Clock;
use crate::io::doors::{self, DoorError, Doors};
use crate::io::end::EndSignals;
use crate::io::field::{self, Field, PartnerAsk};
use crate::io::inbox::{self, Arrival, Inbox};
use crate::io::journal::Journal;
use crate::io::log as lines;
use crate::io::platform::{self, EndsProcess, Watchdog};
use crate::io::signing::Signer;
use crate::io::solver::Solver;
use crate::io::sources::Sources;
use crate::io::tls::Tls;
use crate::io::websocket::{Door, Links};
use crate::model::event::{Event, EventKind};
use crate::model::machine::Machine;
use crate::model::record::Record;
use crate::model::site::Site;
use crate::store::error::StoreError;
use crate::store::reader::StoreReader;
use crate::store::state::{CommitNumber, StoreState};
use crate::store::{Opened, Store, TICK};

/// Screens get a fresh picture no more often than this, in real time.
const VIEW_EVERY: RealDuration = RealDuration::from_millis(250);

/// Building pictures may take one part in this many of the loop's time, but one a second there is.
const VIEW_SHARE: i64 = 50;
/// See [`VIEW_SHARE`]; the health check takes silence for a controller that hangs.
const VIEW_PAUSE_MAX: Duration = Duration::millis(900);

/// The watchdog is fed this often when nothing happens, in real time.
const PULSE: RealDuration = RealDuration::from_secs(1);

/// Frames that may wait for the disk. Each charger has one open question, so this is ten times a
/// large site, and only a disk that fails for long can fill it.
const GATED_MAX: usize = 10_000;

/// Questions of people that may be open at a time.
const ORDERS_MAX: usize = 64;

/// A person gets an answer within this, in real time.
const ANSWER_TIME: RealDuration = RealDuration::from_secs(75);

/// Problems of a refused configuration are told in one line, cut to this many characters; `check`
/// tells them all.
const REFUSAL_SHOWN: usize = 1000;

/// At the end, links get this long to go.
const CUT_TIME: RealDuration = RealDuration::from_secs(2);

/// Silence on a link that is never taken for death, whatever the heartbeat.
const SILENCE_MIN: Duration = Duration::seconds(90);

/// What a daemon is started with.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    /// The checked configuration.
    pub config: Config,
    /// The same as text, for the journal.
    pub config_text: String,
    /// The data directory.
    pub data: PathBuf,
    /// The time of its world.
    pub clock: Clock,
    /// Where to write a journal of all inputs, if one is wanted.
    pub journal: Option<PathBuf>,
}

/// Why a daemon could not be started, or did not end in order.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Chargers cannot be let in.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The journal cannot be written.
    #[error("cannot write the journal {file}: {source}")]
    Journal {
        /// As given.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
    /// The loop is gone.
    #[error("the control loop has ended by a fault; see the log")]
    Fault,
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    handle: Handle,
    task: JoinHandle<Result<(), StoreError>>,
}

/// What page, API and tests may do with a running daemon; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    /// The latest picture of the site.
    pub view: watch::Receiver<Arc<View>>,
    /// The past.
    pub store: StoreReader,
    /// Where chargers connect; none if that is closed.
    pub ocpp_address: Option<SocketAddr>,
    /// Where chargers connect inside TLS; none if that is closed.
    pub ocpps_address: Option<SocketAddr>,
    /// The links of chargers, and who may come in.
    pub links: Links,
    /// What chargers see of this box inside TLS.
    pub tls: Option<Tls>,
    /// The time of its world.
    pub clock: Clock,
    /// Where the page puts the orders of people.
    pub orders: mpsc::Sender<Asked>,
    pub field: Field,
    data: PathBuf,
    wishes: mpsc::Sender<Wish>,
}

/// An order with the place for its answer.
pub type Asked = (Order, oneshot::Sender<Answer>);

/// What is wanted of the daemon itself.
#[derive(Debug)]
enum Wish {
    Reload(Box<Config>, String, oneshot::Sender<()>),
    /// Tell people that a configuration was refused, with its problems.
    Refuse(String),
    /// Tell people something that another part of the program has seen.
    Tell(EventKind, String, String),
    Stop,
}

/// Opens the store and the sockets and starts the loop.
pub async fn start(options: DaemonOptions) -> Result<Daemon, DaemonError> {
    let DaemonOptions { config, config_text, data, clock, journal } = options;
    let directory = data.clone();
    let opened = tokio::task::spawn_blocking(move || Store::open(&directory)).await;
    let Opened { store, remembered, start, problems } =
        opened.map_err(|_| DaemonError::Fault)??;
    let now = clock.now();
    let journal = match journal {
        None => None,
        Some(file) => match Journal::begin(&file, &config_text, &remembered, now) {
            Ok(journal) => Some(journal),
            Err(source) => return Err(DaemonError::Journal { file, source }),
        },
    };
    let controller = Controller::new(config.site.clone(), &remembered, now);
    let (inbox, arrivals) = inbox::channel();
    let links = Links::new(Door {
        start,
        known: config.site.diagram.charge_points().into_iter().collect(),
        silence: silence(&config.site),
        gate: doors::gate(&config, &data)?,
    });
    let doors = Doors::open(&config, &data, &links, &inbox, &clock).await?;
    let (pictures, view) = field::publisher(controller.view(now));
    let (orders, asked) = mpsc::channel(ORDERS_MAX);
    let (wishes, wished) = mpsc::channel(ORDERS_MAX);
    let handle = Handle {
        view,
        store: tune(&store, &config),
        ocpp_address: doors.plain_address(),
        ocpps_address: doors.tls_address(),
        links: links.clone(),
        tls: doors.secrets(),
        clock: clock.clone(),
        data,
        orders,
        wishes,
        field: Field::new(links.clone(), inbox.clone(), &config),
    };
    let mut world = World {
        field: handle.field.clone(),
        state: store.state(),
        store_failing: None,
        sources: Some(Sources::of(&config, &inbox, &clock)),
        watchdog: Watchdog::from_systemd(),
        real: Clock::real(),
        picture_due: Instant::START,
        last_commit: CommitNumber::default(),
        gated: VecDeque::new(),
        replies: BTreeMap::new(),
        next_request: 0,
        store,
        controller,
        config,
        clock,
        solver: Solver::start(inbox.clone()),
        signer: Signer::new(&handle.data, &links, &inbox, &handle.orders),
        inbox,
        links,
        doors: Some(doors),
        journal,
        pictures,
    };
    problems.into_iter().for_each(|text| world.tell(EventKind::StoreFailed, "store", text));
    let running = async move {
        let _guard = EndsProcess;
        Box::pin(world.run(arrivals, asked, wished)).await
    };
    Ok(Daemon { handle, task: tokio::spawn(running) })
}

impl Daemon {
    /// What may be done with it. The page is served by whoever started the daemon, with this.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until SIGTERM or SIGINT, telling systemd, and ends in order. SIGHUP calls `reparse` for
    /// the configuration and its text, or its problems, one a line; the old one then stays.
    pub async fn run_until_signal(
        self,
        reparse: impl Fn() -> Result<(Config, String), String>,
    ) -> Result<(), DaemonError> {
        let mut end = EndSignals::new().map_err(DaemonError::Signals)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(DaemonError::Signals)?;
        let Daemon { handle, mut task } = self;
        platform::ready("running");
        loop {
            tokio::select! {
                ended = &mut task => return flat(ended),
                () = end.heard() => break,
                _ = hang_up.recv() => {
                    platform::reloading();
                    match reparse() {
                        Ok((config, text)) => handle.reload(config, text).await,
                        Err(problems) => handle.refuse(problems).await,
                    }
                    platform::ready("running");
                }
            }
        }
        platform::stopping();
        handle.shutdown().await;
        flat(task.await)
    }

    /// Ends in order: takes no more connections, writes what waits, cuts the links. TCP is cut
    /// without a Close frame, since some chargers never come back after one.
    pub async fn stop(self) -> Result<(), DaemonError> {
        self.handle.shutdown().await;
        flat(self.task.await)
    }
}

fn flat(ended: Result<Result<(), StoreError>, tokio::task::JoinError>) -> Result<(), DaemonError> {
    ended.map_err(|_| DaemonError::Fault)?.map_err(DaemonError::Store)
}

impl Handle {
    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Asks the controller for something and waits for its answer.
    pub async fn request(&self, order: Order) -> Answer {
        let (reply, answer) = oneshot::channel();
        let refused = |why: &str| Answer::Refused { why: why.to_owned() };
        if self.orders.send((order, reply)).await.is_err() {
            return refused("the daemon is stopping");
        }
        match tokio::time::timeout(ANSWER_TIME, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => refused("the daemon is stopping"),
            Err(_) => refused("there was no answer in time"),
        }
    }

    /// Puts a configuration in force; returns when it is.
    pub async fn reload(&self, config: Config, text: String) {
        let (done, wait) = oneshot::channel();
        if self.wishes.send(Wish::Reload(Box::new(config), text, done)).await.is_ok() {
            // An error means that the daemon is stopping, and nothing is in force any more.
            let _ = wait.await;
        }
    }

    /// Tells people that a configuration was refused.
    pub async fn refuse(&self, problems: String) {
        let mut line: String = problems.replace('\n', "; ");
        if let Some((end, _)) = line.char_indices().nth(REFUSAL_SHOWN) {
            line.truncate(end);
            line.push('…');
        }
        // An error means that it is stopping already.
        let _ = self.wishes.send(Wish::Refuse(line)).await;
    }

    /// Tells people something that another part of the program has seen.
    pub async fn tell(&self, kind: EventKind, subject: String, text: String) {
        let _ = self.wishes.send(Wish::Tell(kind, subject, text)).await;
    }

    /// Asks the daemon to end in order; [`Daemon::stop`] also waits for the end.
    pub async fn shutdown(&self) {
        // An error means that it is stopping already.
        let _ = self.wishes.send(Wish::Stop).await;
    }

    /// How the machine is.
    pub fn machine(&self) -> Machine {
        platform::machine(&self.data, self.store.figures())
    }
}

/// Everything that the loop owns.
struct World {
    field: Field,
    controller: Controller,
    config: Config,
    clock: Clock,
    /// For what concerns the machine and not the site: the watchdog, the cost of pictures.
    real: Clock,
    inbox: Inbox,
    links: Links,
    doors: Option<Doors>,
    sources: Option<Sources>,
    store: Store,
    state: watch::Receiver<StoreState>,
    /// As the controller was told.
    store_failing: Option<String>,
    last_commit: CommitNumber,
    gated: VecDeque<Gated>,
    replies: BTreeMap<RequestId, oneshot::Sender<Answer>>,
    next_request: u64,
    journal: Option<Journal>,
    signer: Signer,
    solver: Solver,
    pictures: mpsc::Sender<Arc<View>>,
    picture_due: Instant,
    watchdog: Watchdog,
}

/// A frame that waits for the disk.
struct Gated {
    number: CommitNumber,
    link: LinkId,
    text: String,
}

impl World {
    async fn run(
        mut self,
        mut arrivals: mpsc::Receiver<Arrival>,
        mut asked: mpsc::Receiver<Asked>,
        mut wished: mpsc::Receiver<Wish>,
    ) -> Result<(), StoreError> {
        let mut pictures = interval(VIEW_EVERY);
        let mut pulse = interval(PULSE);
        let mut ticks = interval(TICK);
        let mut state = self.state.clone();
        loop {
            let wake = self.controller.wake_at(self.clock.now().mono);
            tokio::select! {
                Some(arrival) = arrivals.recv() => self.step(arrival.input),
                () = self.clock.sleep_until(wake) => self.step(Input::Wake),
                Ok(()) = state.changed() => {
                    let failing = state.borrow_and_update().failing.clone();
                    self.committed(failing);
                }
                Some((order, reply)) = asked.recv() => self.obey(order, reply),
                Some(wish) = wished.recv() => match wish {
                    Wish::Reload(config, text, done) => {
                        self.reload(*config, &text);
                        // An error means that nobody waits for it any more.
                        let _ = done.send(());
                    }
                    Wish::Tell(kind, subject, text) => self.tell(kind, &subject, text),
                    Wish::Refuse(problems) => self.tell(EventKind::ConfigRefused, "", problems),
                    Wish::Stop => break,
                },
                _ = pictures.tick() => self.picture(),
                _ = ticks.tick() => self.store.tick(),
                _ = pulse.tick() => {}
            }
            self.watchdog.feed(self.real.now().mono);
        }
        self.end().await
    }

    /// One step of the controller and all that it causes.
    fn step(&mut self, input: Input) {
        let now = self.clock.now();
        let mut out = Outbox::new();
        let gone = match &input {
            Input::LinkDown { link, .. } => Some(*link),
            _ => None,
        };
        match &mut self.journal {
            None => self.controller.step(now, input, &mut out),
            Some(journal) => {
                self.controller.step(now, input.clone(), &mut out);
                journal.step(now, input, &out);
            }
        }
        if let Some(gone) = gone {
            self.gated.retain(|frame| frame.link != gone);
        }
        self.cause(out);
    }

    /// Does what the controller wants done. Facts first, so that a frame knows what it waits for.
    fn cause(&mut self, out: Outbox) {
        let mut records = Vec::new();
        let mut rest = Vec::with_capacity(out.len());
        for output in out {
            match output {
                Output::Record(record) => records.push(record),
                other => rest.push(other),
            }
        }
        if !records.is_empty() {
            self.last_commit = self.store.commit(records);
        }
        for output in rest {
            match output {
                Output::Record(_) => {}
                Output::Frame { link, text, after_commit: false, .. } => {
                    self.links.send(link, text);
                }
                Output::Frame { link, text, after_commit: true, .. } => self.gate(link, text),
                Output::Disconnect { link, politely, .. } => self.links.disconnect(link, politely),
                Output::Event(event) => lines::event(&event),
                Output::AskPartners { ask, token, evse } => {
                    self.field.ask(PartnerAsk { ask, token, evse });
                }
                Output::Solve { number, problem } => self.solver.solve(number, problem),
                Output::Sign { charge_point, request } => {
                    self.signer.begin(charge_point, request, self.clock.now().utc);
                }
                Output::Reply { request, answer } => {
                    if let Some(reply) = self.replies.remove(&request) {
                        // An error means that nobody waits for the answer any more.
                        let _ = reply.send(answer);
                    }
                }
            }
        }
        self.release();
    }

    fn gate(&mut self, link: LinkId, text: String) {
        if GATED_MAX <= self.gated.len() {
            // It connects again, asks again, and is answered when the disk works.
            self.links.disconnect(link, false);
            return;
        }
        self.gated.push_back(Gated { number: self.last_commit, link, text });
    }

    /// Sends the frames whose facts are on disk, in their order.
    fn release(&mut self) {
        let committed = self.state.borrow().committed;
        while self.gated.front().is_some_and(|frame| frame.number <= committed) {
            let Some(Gated { link, text, .. }) = self.gated.pop_front() else { break };
            self.links.send(link, text);
        }
    }

    fn committed(&mut self, failing: Option<String>) {
        self.release();
        if self.store_failing != failing {
            self.store_failing = failing.clone();
            self.step(Input::Store { failing });
        }
    }

    fn obey(&mut self, order: Order, reply: oneshot::Sender<Answer>) {
        self.replies.retain(|_, waiting| !waiting.is_closed());
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.replies.insert(request, reply);
        self.step(Input::Operator { request, order });
    }

    fn reload(&mut self, config: Config, text: &str) {
        let now = self.clock.now();
        let mut out = Outbox::new();
        let known: BTreeSet<_> = config.site.diagram.charge_points().into_iter().collect();
        self.links.admit(known, silence(&config.site));
        self.controller = self.controller.reconfigured(config.site.clone(), now, &mut out);
        if let Some(journal) = &mut self.journal {
            journal.reload(now, text, &out);
        }
        self.cause(out);
        let before = std::mem::replace(&mut self.config, config);
        self.links.gate().open_networks(self.config.security.open_networks.clone());
        self.doors.iter().for_each(|doors| doors.look_again());
        let listens =
            |config: &Config| (config.ocpp, config.ocpps, config.web, config.outer_page.clone());
        if listens(&before) != listens(&self.config) {
            log::warn!("the addresses to listen on change only with a restart");
        }
        self.field.reconfigure(&before, &self.config);
        self.store.keep(self.config.keep);
        if Sources::differ(&before, &self.config) {
            self.sources = None; // The kernel gives a GPIO line once.
            self.sources = Some(Sources::of(&self.config, &self.inbox, &self.clock));
        }
    }

    /// An event that the controller cannot know of.
    fn tell(&mut self, kind: EventKind, subject: &str, text: String) {
        let at = self.clock.now().utc;
        let event = Event { kind, subject: subject.to_owned(), text, at };
        lines::event(&event);
        self.store.commit(vec![Record::Event(event)]);
    }

    fn picture(&mut self) {
        let begun = self.real.now().mono;
        if begun < self.picture_due {
            return;
        }
        // Where the one before is still on its way, this one is not missed.
        if let Ok(place) = self.pictures.try_reserve() {
            place.send(Arc::new(self.controller.view(self.clock.now())));
        }
        let done = self.real.now().mono;
        self.picture_due = done + (done.since(begun) * VIEW_SHARE).min(VIEW_PAUSE_MAX);
    }

    async fn end(mut self) -> Result<(), StoreError> {
        self.tell(EventKind::Stopping, "", "the daemon ends in order".to_owned());
        self.store.commit(self.controller.learned());
        self.doors = None;
        self.sources = None;
        let World { links, store, journal, .. } = self;
        let closed = tokio::task::spawn_blocking(move || {
            drop(journal);
            store.close()
        });
        let closed = closed.await;
        links.cut_all(CUT_TIME).await;
        log::logger().flush();
        closed.unwrap_or_else(|_| {
            Err(StoreError::NotWritten("the store stopped by a fault".to_owned()))
        })
    }
}

/// Says how long the past is kept, and what commits are timed with. Who reads the past gets this.
fn tune(store: &Store, config: &Config) -> StoreReader {
    store.keep(config.keep);
    let real = Clock::real();
    store.time_with(move || real.now().mono.since(Instant::START));
    store.reader()
}

fn interval(every: RealDuration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

fn silence(site: &Site) -> Duration {
    (site.charging.heartbeat_interval * 3).max(SILENCE_MIN)
}
