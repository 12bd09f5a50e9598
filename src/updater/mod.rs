//! Floor 7: joins updates of the box to RAUC, servers, disk and the running site.
//!
//! ```text
//! people ──┐                        ┌─▶ update/state.json (first)
//! servers ─┼─▶ one task: Updates ───┼─▶ RAUC: look, write, mark
//! RAUC ────┤                        ├─▶ downloads
//! view ────┘                        └─▶ events, page, reports to hawkBit
//! ```
//! Invariants: what is to be remembered is on disk before it is acted upon; marks reach the boot
//! loader in their order and before the box is asked to start anew; the control loop waits for none
//! of this, and whether updates work keeps nothing from charging.

mod cars;
mod keep;
mod servers;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration as RealDuration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use ureq::Agent;

use crate::daemon::Handle;
use crate::ground::time::{Duration, Instant};
use crate::io::fetch::{self, Line, Wanted};
use crate::io::rauc::{self, Rauc};
use crate::model::event::EventKind;
use crate::model::update::{UpdateDone, UpdateOrder, UpdateSettings, UpdateView};
use crate::update::state::{Memory, Report, Slots, Source};
use crate::update::{Action, Fault, Input, Site, Updates};

use keep::Keep;
use servers::Upstream;

/// The site is looked at this often.
const TICK: RealDuration = RealDuration::from_secs(1);
/// RAUC that does not answer is looked for this often.
const RAUC_AGAIN: Duration = Duration::seconds(10);
/// RAUC that answers is asked how the box is this often.
const RAUC_LOOK: Duration = Duration::seconds(600);
/// A picture of the site that is older than this comes from a guard that does not decide.
const PICTURE_AGE_MAX: Duration = Duration::seconds(5);
/// Things that may wait for the task.
const WAITING_MAX: usize = 64;
/// Differs with each boot of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The version of this program.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");

type Asked = (UpdateOrder, oneshot::Sender<Result<UpdateDone, String>>);

/// Where people see and order updates; cheap to clone.
#[derive(Clone, Debug)]
pub struct Updater {
    orders: mpsc::Sender<Asked>,
    view: watch::Receiver<UpdateView>,
}

impl Updater {
    /// As they stand.
    pub fn view(&self) -> UpdateView {
        self.view.borrow().clone()
    }

    /// Does what is ordered.
    ///
    /// # Errors
    /// Why it was not done, in words.
    pub async fn order(&self, order: UpdateOrder) -> Result<UpdateDone, String> {
        let stopping = || "the daemon is stopping".to_owned();
        let (reply, answer) = oneshot::channel();
        self.orders.send((order, reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

/// What the task hears.
#[derive(Debug)]
enum Event {
    /// RAUC is there, or is not.
    Rauc(Result<(Rauc, Slots), String>),
    /// Something of an update has happened.
    Update(Input),
    /// RAUC has ended writing: how the box is then, and what came of it.
    Written(Option<Slots>, Result<(), Fault>),
    /// A server has taken a report.
    Reported(Report),
    /// A server answers, or does not; by its name.
    Server(&'static str, Result<(), String>),
}

/// What has to be done in its order.
#[derive(Debug)]
enum Step {
    Mark(&'static str, &'static str),
    Reboot,
}

/// Starts updates of this box.
pub async fn start(settings: UpdateSettings, zone: &str, handle: Handle) -> Updater {
    let keep = Keep::of(handle.data());
    let (memory, odd) = keep.load();
    if let Some(words) = odd {
        handle.tell(EventKind::UpdateTrouble, "box".to_owned(), words).await;
    }
    let boot = std::fs::read_to_string(BOOT).unwrap_or_default().trim().to_owned();
    let policy = settings.policy;
    let updates = Updates::new(memory.clone(), policy, zone, boot, PROGRAM.to_owned());
    let (orders, asked) = mpsc::channel(WAITING_MAX);
    let (events, heard) = mpsc::channel(WAITING_MAX);
    let (shown, view) = watch::channel(UpdateView::default());
    let upstream = watch::Sender::new(Upstream::default());
    let agent = fetch::agent(settings.ca_file.as_deref());
    let trouble = agent.as_ref().err().cloned().map(|why| ("update.ca_file", why));
    if let Ok(agent) = &agent {
        servers::start(&settings, agent, &upstream, &events);
    }
    let now = handle.clock.now().mono;
    let world = World {
        saved: memory,
        updates,
        settings,
        agent: agent.ok(),
        keep,
        handle,
        events,
        shown,
        upstream,
        rauc: None,
        rauc_asked: None,
        line: None,
        due: Vec::new(),
        steps: VecDeque::new(),
        steps_again: None,
        trouble: trouble.into_iter().collect(),
        picture: (-1, now),
    };
    tokio::spawn(world.run(asked, heard));
    Updater { orders, view }
}

struct World {
    updates: Updates,
    saved: Memory,
    settings: UpdateSettings,
    agent: Option<Agent>,
    keep: Keep,
    handle: Handle,
    events: mpsc::Sender<Event>,
    shown: watch::Sender<UpdateView>,
    upstream: watch::Sender<Upstream>,
    rauc: Option<Rauc>,
    rauc_asked: Option<Instant>,
    /// The download that runs.
    line: Option<Arc<Line>>,
    /// Waits until what is to be remembered is on disk.
    due: Vec<Action>,
    steps: VecDeque<Step>,
    steps_again: Option<Instant>,
    /// What does not answer, by its name.
    trouble: Vec<(&'static str, String)>,
    /// Age of the newest picture: its time, and when it came.
    picture: (i64, Instant),
}

impl World {
    async fn run(mut self, mut asked: mpsc::Receiver<Asked>, mut heard: mpsc::Receiver<Event>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.tick().await,
                Some(event) = heard.recv() => self.hear(event).await,
                order = asked.recv() => {
                    let Some((order, reply)) = order else { return };
                    let now = self.handle.clock.now();
                    let (said, actions) = self.updates.order(now, &order);
                    self.act(actions).await;
                    // Whoever asked may have gone.
                    let _ = reply.send(said.map(|words| UpdateDone { words }));
                }
            }
            self.show();
        }
    }

    async fn tick(&mut self) {
        let pause = if self.rauc.is_none() { RAUC_AGAIN } else { RAUC_LOOK };
        if self.rauc_asked.is_none_or(|asked| pause <= self.mono().since(asked)) {
            self.look();
        }
        if let Some(line) = &self.line {
            let percent = line.percent.load(Ordering::Relaxed);
            self.updates.hear(self.handle.clock.now(), Input::Percent(percent));
        }
        let site = self.site();
        self.update(Input::Tick(site)).await;
        self.walk().await;
    }

    fn mono(&self) -> Instant {
        self.handle.clock.now().mono
    }

    /// Asks RAUC how the box is.
    fn look(&mut self) {
        self.rauc_asked = Some(self.mono());
        let (bus, events) = (self.settings.bus.clone(), self.events.clone());
        let rauc = self.rauc.clone();
        tokio::spawn(async move {
            let rauc = match rauc {
                Some(rauc) => Ok(rauc),
                None => Rauc::connect(bus.as_deref()).await,
            };
            let found = match rauc {
                Ok(rauc) => rauc.slots().await.map(|slots| (rauc, slots)),
                Err(why) => Err(why),
            };
            let _ = events.send(Event::Rauc(found)).await;
        });
    }

    async fn hear(&mut self, event: Event) {
        match event {
            Event::Rauc(Ok((rauc, slots))) => {
                self.rauc = Some(rauc);
                self.settle("RAUC", Ok(())).await;
                self.update(Input::Slots(slots)).await;
            }
            // It writes, and tells how the box is when it has ended.
            Event::Rauc(Err(why)) if rauc::is_busy(&why) => self.settle("RAUC", Ok(())).await,
            Event::Rauc(Err(why)) => {
                self.rauc = None;
                self.settle("RAUC", Err(why)).await;
            }
            Event::Update(input) => {
                if let Input::Fetched(_) = input {
                    self.line = None;
                }
                self.update(input).await;
            }
            Event::Written(slots, result) => {
                if let Some(slots) = slots {
                    self.update(Input::Slots(slots)).await;
                }
                self.update(Input::Written(result)).await;
            }
            Event::Reported(report) => {
                self.updates.reported(&report);
                self.act(Vec::new()).await;
            }
            Event::Server(name, state) => self.settle(name, state).await,
        }
    }

    /// Notes whether something answers; a change is told once.
    async fn settle(&mut self, name: &'static str, state: Result<(), String>) {
        let known = self.trouble.iter().any(|(other, _)| *other == name);
        self.trouble.retain(|(other, _)| *other != name);
        let Err(why) = state else { return };
        if !known {
            let text = format!("{name}: {why}");
            self.handle.tell(EventKind::UpdateTrouble, "box".to_owned(), text).await;
        }
        self.trouble.push((name, why));
    }

    async fn update(&mut self, input: Input) {
        let actions = self.updates.hear(self.handle.clock.now(), input);
        self.act(actions).await;
    }

    /// Whether what is to be remembered is on disk.
    async fn save(&mut self) -> bool {
        if self.saved == self.updates.memory {
            return true;
        }
        let kept = self.keep.save(&self.updates.memory).map_err(|error| error.to_string());
        let is_kept = kept.is_ok();
        self.settle("update/state.json", kept).await;
        if !is_kept {
            return false;
        }
        self.saved = self.updates.memory.clone();
        let reports = self.saved.reports.clone();
        self.upstream.send_if_modified(|known| {
            let is_news = known.reports != reports;
            known.reports = reports;
            is_news
        });
        true
    }

    /// Does what is due. Where it cannot be remembered it waits for a disk that takes it: each tick
    /// comes by here. The way back waits for nothing: a disk that fails may be why.
    async fn act(&mut self, actions: Vec<Action>) {
        self.due.extend(actions);
        if !self.save().await && !self.updates.goes_back() {
            return;
        }
        for action in std::mem::take(&mut self.due) {
            match action {
                Action::Fetch { url, sha256, size_bytes } => {
                    self.fetch(url, sha256, size_bytes);
                }
                Action::StopFetch => {
                    if let Some(line) = self.line.take() {
                        line.stop.store(true, Ordering::Relaxed);
                    }
                }
                Action::Inspect { file } => self.ask_rauc(move |rauc| async move {
                    Event::Update(Input::Inspected(rauc.inspect(&file).await))
                }),
                Action::Write { file } => self.write(Some(file)),
                Action::Follow => self.write(None),
                Action::Mark { state, slot } => self.steps.push_back(Step::Mark(state, slot)),
                Action::Reboot => self.steps.push_back(Step::Reboot),
                Action::Clear => self.keep.clear(),
                Action::Tell { kind, text } => {
                    self.handle.tell(kind, "box".to_owned(), text).await;
                }
            }
        }
        if !self.steps.is_empty() && self.steps_again.is_none() {
            self.walk().await;
        }
    }

    /// Marks and the wish to start anew, in their order; what fails is tried again.
    async fn walk(&mut self) {
        if self.steps_again.is_some_and(|again| self.mono() < again) {
            return;
        }
        self.steps_again = None;
        while let Some(step) = self.steps.front() {
            let done = match (step, &self.rauc) {
                (Step::Mark(state, slot), Some(rauc)) => rauc.mark(state, slot).await,
                (Step::Mark(..), None) => Err("RAUC does not answer".to_owned()),
                (Step::Reboot, _) => {
                    let asked = self.keep.ask_reboot(&self.updates.memory);
                    asked.map_err(|error| error.to_string())
                }
            };
            if let Err(why) = done {
                self.steps_again = Some(self.mono() + RAUC_AGAIN);
                self.rauc = None;
                return self.settle("marks of the boot loader", Err(why)).await;
            }
            self.steps.pop_front();
            self.rauc_asked = None;
        }
        self.settle("marks of the boot loader", Ok(())).await;
    }

    /// Asks RAUC beside the task.
    fn ask_rauc<F>(&self, ask: impl FnOnce(Rauc) -> F + Send + 'static)
    where
        F: Future<Output = Event> + Send,
    {
        let (rauc, events) = (self.rauc.clone(), self.events.clone());
        tokio::spawn(async move {
            let event = match rauc {
                Some(rauc) => ask(rauc).await,
                None => {
                    let why = "RAUC does not answer".to_owned();
                    Event::Update(Input::Inspected(Err(Fault::Trouble(why))))
                }
            };
            let _ = events.send(event).await;
        });
    }

    /// Has a bundle written, or follows what is being written.
    fn write(&self, file: Option<String>) {
        let (rauc, events) = (self.rauc.clone(), self.events.clone());
        tokio::spawn(async move {
            let Some(rauc) = rauc else {
                let why = Err(Fault::Trouble("RAUC does not answer".to_owned()));
                let _ = events.send(Event::Written(None, why)).await;
                return;
            };
            let percent = |percent| {
                // A figure that finds no place is replaced by the next.
                let _ = events.try_send(Event::Update(Input::Percent(percent)));
            };
            let written = match file {
                Some(file) => rauc.write(&file, percent).await,
                None => rauc.follow(percent).await,
            };
            let slots = rauc.slots().await.ok();
            let _ = events.send(Event::Written(slots, written)).await;
        });
    }

    fn fetch(&mut self, url: String, sha256: Option<String>, size_bytes: Option<u64>) {
        let line = Arc::new(Line::default());
        self.line = Some(line.clone());
        let size_max_bytes = self.settings.size_max_bytes;
        let authorization = self.authorization(&url);
        let wanted = Wanted { url, sha256, size_bytes, size_max_bytes, authorization };
        let (agent, events) = (self.agent.clone(), self.events.clone());
        let folder = self.keep.folder().to_owned();
        tokio::task::spawn_blocking(move || {
            let fetched = match agent {
                Some(agent) => fetch::fetch(&agent, &folder, &wanted, &line),
                None => Err(Fault::Trouble("update.ca_file cannot be used".to_owned())),
            };
            if line.stop.load(Ordering::Relaxed) {
                return;
            }
            let fetched = fetched.map(|file| file.display().to_string());
            let _ = events.blocking_send(Event::Update(Input::Fetched(fetched)));
        });
    }

    /// Only hawkBit itself sees its token.
    fn authorization(&self, url: &str) -> Option<String> {
        let hawkbit = self.settings.hawkbit.as_ref()?;
        let of_hawkbit = matches!(
            self.updates.memory.stage.job().map(|job| &job.source),
            Some(Source::HawkBit { .. })
        );
        if of_hawkbit && servers::is_of(url, &hawkbit.url) {
            servers::authorization(hawkbit).ok()
        } else {
            None
        }
    }

    /// The site as updates need to know it.
    fn site(&mut self) -> Site {
        let view = self.handle.view.borrow().clone();
        if self.picture.0 != view.uptime_ms {
            self.picture = (view.uptime_ms, self.mono());
        }
        let is_ticking = self.mono().since(self.picture.1) < PICTURE_AGE_MAX;
        let store_failing = view.degraded.iter().find(|words| words.contains("the store cannot"));
        Site {
            cars: cars::stays(&view),
            chargers: names(view.charge_points.iter().map(|point| (&point.id, point.online))),
            meters: names(view.meters.iter().map(|meter| (&meter.id, meter.fresh))),
            is_ticking,
            store_failing: store_failing.cloned(),
        }
    }

    fn show(&self) {
        let words = |(name, why): &(&str, String)| format!("{name}: {why}");
        let trouble = self.trouble.iter().map(words).collect();
        let polled = servers::words(&self.settings);
        let view = self.updates.view(self.handle.clock.now(), trouble, polled);
        let compatible = self.updates.compatible().map(str::to_owned);
        self.upstream.send_if_modified(|known| {
            let slot = view.slots.iter().find(|slot| slot.booted).map(|slot| slot.name.clone());
            let same = known.compatible == compatible && known.version == view.running;
            known.compatible = compatible;
            known.version.clone_from(&view.running);
            known.slot = slot;
            !same
        });
        self.shown.send_if_modified(|known| {
            let is_news = *known != view;
            *known = view;
            is_news
        });
    }
}

fn names<'a>(all: impl Iterator<Item = (&'a String, bool)>) -> Vec<String> {
    all.filter(|(_, is_there)| *is_there).map(|(name, _)| name.clone()).collect()
}
