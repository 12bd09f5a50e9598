//! The thread that owns the engine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration as RealDuration;

use serde_json::Value;
use tokio::runtime::Handle as Runtime;
use tokio::sync::{mpsc, oneshot};

use crate::controller::view::View;
use crate::daemon::Handle;
use crate::ground::time::{Duration, Instant};
use crate::io::clock::Clock;
use crate::io::field::PartnerAsk;
use crate::io::partner::Caller;
use crate::model::event::EventKind;
use crate::model::partner::Ocpi;
use crate::ocpi::engine::Engine;
use crate::ocpi::engine::desk::{Change, Found, Input, Output, Query};
use crate::ocpi::http::{OcpiRequest, OcpiResponse, SERVER};
use crate::store::partners::PartnerStore;

use super::bridge::Bridge;
use super::event::Event;
use super::facts::{self, Observer};
use super::orders;

/// The same trouble of the same partner is told no more often than this.
const REPEAT_AFTER: Duration = Duration::minutes(10);

/// The engine looks at its timers at least this often, in real time.
const NAP_MAX: RealDuration = RealDuration::from_secs(10);

/// Everything that the thread owns.
pub struct World {
    engine: Engine,
    store: PartnerStore,
    daemon: Handle,
    clock: Clock,
    caller: Caller,
    observer: Observer,
    bridge: Bridge,
    view: Option<Arc<View>>,
    events: mpsc::WeakSender<Event>,
    runtime: Runtime,
    replies: BTreeMap<u64, oneshot::Sender<OcpiResponse>>,
    persons: BTreeMap<u64, oneshot::Sender<Result<String, String>>>,
    asks: BTreeMap<u64, PartnerAsk>,
    said: BTreeMap<(EventKind, String), Instant>,
    next: u64,
}

impl World {
    /// Nothing has happened yet.
    pub fn new(
        ocpi: Arc<Ocpi>,
        kept: &BTreeMap<String, Value>,
        store: PartnerStore,
        daemon: Handle,
        clock: Clock,
        events: mpsc::WeakSender<Event>,
        runtime: Runtime,
    ) -> Self {
        let place = kept.get(facts::PLACE).and_then(Value::as_u64);
        let observer = Observer::new(daemon.store.clone(), place);
        let bridge = Bridge::new(&ocpi, daemon.clone(), events.clone(), runtime.clone());
        Self {
            engine: Engine::new(ocpi, kept),
            store,
            daemon,
            clock,
            caller: Caller::default(),
            observer,
            bridge,
            view: None,
            events,
            runtime,
            replies: BTreeMap::new(),
            persons: BTreeMap::new(),
            asks: BTreeMap::new(),
            said: BTreeMap::new(),
            next: 0,
        }
    }

    /// Runs until nobody can send any more.
    pub fn run(mut self, mut arrivals: mpsc::Receiver<Event>) {
        loop {
            let nap = self.nap();
            let next =
                self.runtime.block_on(async { tokio::time::timeout(nap, arrivals.recv()).await });
            match next {
                Ok(None | Some(Event::Stop)) => return,
                Ok(Some(event)) => self.take(event),
                Err(_) => self.step(Input::Wake),
            }
        }
    }

    fn nap(&self) -> RealDuration {
        let now = self.clock.now().mono;
        let rest = self.engine.wake_at(now).since(now).as_millis().max(10);
        let real = (rest as f64 / self.clock.speed()).ceil().max(10.0) as u64;
        RealDuration::from_millis(real).min(NAP_MAX)
    }

    fn take(&mut self, event: Event) {
        self.next += 1;
        let number = self.next;
        match event {
            Event::Input(input) => self.step(input),
            Event::Request(request, reply) => {
                self.replies.insert(number, reply);
                self.step(Input::Request { number, request });
                self.replies.retain(|_, waiting| !waiting.is_closed());
            }
            Event::Person(wish, reply) => {
                self.persons.insert(number, reply);
                self.step(Input::Person { person: number, wish });
                self.persons.retain(|_, waiting| !waiting.is_closed());
            }
            Event::Stop => {}
            Event::View(view) => self.look(view),
            Event::Reload(ocpi) => self.reload(*ocpi),
            Event::Ask(question) => {
                let (token, evse) = (question.token.clone(), question.evse.clone());
                self.asks.insert(number, question);
                self.step(Input::Ask { ask: number, token, evse });
            }
            Event::Bridge(heard) => {
                let utc = self.clock.now().utc.unwrap_or_default();
                if let Some((order, evse, limit_a)) = self.bridge.heard(heard, utc) {
                    self.step(Input::Limit { order, evse, limit_a });
                }
            }
        }
    }

    fn look(&mut self, view: Arc<View>) {
        self.bridge.connect(&view);
        self.view = Some(view.clone());
        if self.clock.now().utc.is_some() {
            let before = self.observer.place();
            let facts = self.observer.facts(&view);
            self.step(Input::Facts(facts));
            if let Some(place) = self.observer.place().filter(|_| before != self.observer.place()) {
                let place = Change::Put { key: facts::PLACE.to_owned(), value: place.into() };
                if let Err(error) = self.store.apply(&[place]) {
                    log::error!("what partners were told cannot be kept: {error}");
                }
            }
        }
        self.daemon.field.show_partners(self.engine.states());
    }

    fn reload(&mut self, ocpi: Ocpi) {
        match self.store.values() {
            Ok(kept) => {
                self.bridge.reconfigure(&ocpi);
                self.engine.reconfigure(Arc::new(ocpi), &kept);
                self.step(Input::Wake);
            }
            Err(error) => {
                log::error!("partners go on with the configuration from before: {error}");
            }
        }
    }

    fn step(&mut self, input: Input) {
        const RANDOM: usize = 1024;
        if self.engine.is_hungry() {
            let mut bytes = [0; RANDOM];
            match File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)) {
                Ok(()) => self.engine.feed(&bytes),
                Err(error) => log::error!("no randomness for tokens of partners: {error}"),
            }
        }
        let mut out = Vec::new();
        let store = &self.store;
        let mut shelf = |query: &Query| match store.find(query) {
            Ok(found) => found,
            Err(error) => {
                log::error!("sessions and CDRs of partners cannot be read: {error}");
                Found::default()
            }
        };
        self.engine.step(self.clock.now(), input, &mut shelf, &mut out);
        self.cause(out);
    }

    /// Facts first; what depends on them only when they are on disk.
    fn cause(&mut self, out: Vec<Output>) {
        let (kept, rest): (Vec<Output>, Vec<Output>) =
            out.into_iter().partition(|output| matches!(output, Output::Keep(_)));
        let changes: Vec<_> = kept
            .into_iter()
            .filter_map(|output| match output {
                Output::Keep(change) => Some(change),
                _ => None,
            })
            .collect();
        let mut failed = false;
        if !changes.is_empty()
            && let Err(error) = self.store.apply(&changes)
        {
            failed = true;
            log::error!("what partners were told cannot be kept: {error}");
        }
        for output in rest {
            self.carry(output, failed);
        }
    }

    fn carry(&mut self, output: Output, failed: bool) {
        match output {
            Output::Keep(_) => {}
            Output::Reply { number, response } => {
                let Some(reply) = self.replies.remove(&number) else { return };
                let utc = self.clock.now().utc.unwrap_or_default();
                let response = if failed && response.status < 300 {
                    OcpiResponse::code(503, SERVER, "nothing can be kept at this moment", utc)
                } else {
                    response
                };
                // An error means that the partner has hung up.
                let _ = reply.send(response);
            }
            Output::Send { call, request } => self.send(call, request),
            Output::Order { order, wanted } => {
                let work = orders::carry(&self.daemon, self.view.as_deref(), wanted);
                let events = self.events.clone();
                self.runtime.spawn(async move {
                    let outcome = work.await;
                    if let Some(events) = events.upgrade() {
                        let _ = events.send(Event::Input(Input::Done { order, outcome })).await;
                    }
                });
            }
            Output::Foreign(foreign) => {
                let utc = self.clock.now().utc.unwrap_or_default();
                if let Some(odd) = self.bridge.foreign(&foreign, utc) {
                    self.tell(EventKind::PartnerOdd, foreign.evse.to_string(), odd);
                }
            }
            Output::LimitAnswer { order, answer } => self.bridge.answered(order, answer),
            Output::Verdict { ask, accepted } => {
                if let Some(PartnerAsk { ask, token, .. }) = self.asks.remove(&ask) {
                    let daemon = self.daemon.clone();
                    self.runtime.spawn(async move {
                        orders::vouch(&daemon, Some(ask), token, accepted).await;
                    });
                }
            }
            Output::Told { person, text } => {
                if let Some(reply) = self.persons.remove(&person) {
                    let _ = reply.send(text);
                }
            }
            Output::Event { kind, partner, text } => self.tell(kind, partner, text),
        }
    }

    fn send(&self, call: u64, request: OcpiRequest) {
        let (caller, events) = (self.caller.clone(), self.events.clone());
        let runtime = self.runtime.clone();
        self.runtime.spawn_blocking(move || {
            let result = caller.call(&request);
            let path = request.target.split('?').next().unwrap_or_default();
            // The last part of a response_url is a secret of the partner's.
            let shown: String = path.chars().take(60).collect();
            match &result {
                Ok(response) => {
                    let (method, status) = (request.method.word(), response.status);
                    log::debug!("ocpi call {call}: {method} {shown}: {status}");
                }
                Err(why) => log::debug!("ocpi call {call}: {shown}: {why}"),
            }
            if let Some(events) = events.upgrade() {
                let input = Input::Response { call, result };
                let _ = runtime.block_on(events.send(Event::Input(input)));
            }
        });
    }

    fn tell(&mut self, kind: EventKind, partner: String, text: String) {
        let now = self.clock.now().mono;
        let seldom = matches!(
            kind,
            EventKind::PartnerUnknown | EventKind::PartnerOdd | EventKind::PartnerRefused
        );
        self.said.retain(|_, at| now.since(*at) < REPEAT_AFTER);
        if seldom && self.said.insert((kind, partner.clone()), now).is_some() {
            return;
        }
        let daemon = self.daemon.clone();
        self.runtime.spawn(async move { daemon.tell(kind, partner, text).await });
    }
}
