//! The thread of the double: its engine, its cars, and the rows that it keeps in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration as RealDuration;

use serde_json::json;
use tokio::runtime::Handle as Runtime;
use tokio::sync::{mpsc, oneshot};

use crate::ground::time::{Duration, Utc};
use crate::io::clock::Clock;
use crate::io::partner::{Caller, Incoming};
use crate::model::partner::Ocpi;
use crate::ocpi::engine::Engine;
use crate::ocpi::engine::desk::{
    Change, Found, Input, OrderOutcome, Output, Query, Row, RowKind, SiteOrder, Wish,
};
use crate::ocpi::http::{CLIENT, Method, OcpiRequest, OcpiResponse};
use crate::simulate::account::Account;
use crate::simulate::summary::Delivered;
use crate::simulate::uncontrolled;
use crate::simulate::world::World as Site;

use super::fleet::Fleet;
use super::manners::{Answers, Manners};
use super::senses::Senses;

/// The cars move on this often, in real time.
const STEP: RealDuration = RealDuration::from_millis(100);

/// At the latest, in real milliseconds.
const LOOK: f64 = 200.0;

/// A late result comes after this long, in time of the double's world.
const LATE: Duration = Duration::seconds(60);

/// What reaches the thread.
pub enum Event {
    /// A partner asks.
    Request(OcpiRequest, oneshot::Sender<OcpiResponse>),
    /// A partner has answered.
    Response(u64, Result<OcpiResponse, String>),
    /// Somebody wants to register.
    Person(Wish, oneshot::Sender<Result<String, String>>),
    /// The day is over.
    Stop,
}

/// What the day came to.
pub struct Outcome {
    /// Energies and money.
    pub account: Account,
    /// Of each session.
    pub delivered: Vec<Delivered>,
    /// Profiles that came.
    pub profiles: u64,
    /// Requests that broke a rule of the standard, each kind with how often; strict doubles only.
    pub faults: BTreeMap<&'static str, u64>,
}

/// What a double is made of.
pub struct Parts {
    /// What it is to the provider.
    pub ocpi: Arc<Ocpi>,
    /// The day.
    pub site: Arc<Site>,
    /// Its chargers and cars.
    pub fleet: Fleet,
    /// How it behaves.
    pub manners: Manners,
    /// What else the provider is told.
    pub senses: Option<Senses>,
    /// The time of its world.
    pub clock: Clock,
}

/// Everything that the thread owns.
pub struct World {
    engine: Engine,
    fleet: Fleet,
    site: Arc<Site>,
    account: Account,
    clock: Clock,
    manners: Manners,
    senses: Option<Senses>,
    faults: BTreeMap<&'static str, u64>,
    caller: Caller,
    rows: BTreeMap<(RowKind, u64), Row>,
    replies: BTreeMap<u64, oneshot::Sender<OcpiResponse>>,
    persons: BTreeMap<u64, oneshot::Sender<Result<String, String>>>,
    late: Vec<(Utc, u64, OcpiRequest)>,
    next: u64,
    profiles: u64,
}

/// Hands requests on.
pub async fn carry(mut incoming: mpsc::Receiver<Incoming>, events: mpsc::Sender<Event>) {
    while let Some((request, reply)) = incoming.recv().await {
        if events.send(Event::Request(request, reply)).await.is_err() {
            return;
        }
    }
}

impl World {
    /// Nothing has happened yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { ocpi, site, fleet, manners, senses, clock } = parts;
        Self {
            engine: Engine::new(ocpi, &BTreeMap::new()),
            fleet,
            account: site.account(),
            site,
            clock,
            manners,
            senses,
            faults: BTreeMap::new(),
            caller: Caller::default(),
            rows: BTreeMap::new(),
            replies: BTreeMap::new(),
            persons: BTreeMap::new(),
            late: Vec::new(),
            next: 0,
            profiles: 0,
        }
    }

    /// Runs in a thread of its own until it is stopped.
    pub fn start(
        mut self,
        events: mpsc::Sender<Event>,
        mut arrivals: mpsc::Receiver<Event>,
    ) -> JoinHandle<Outcome> {
        let runtime = Runtime::current();
        let events = events.downgrade();
        std::thread::spawn(move || {
            let mut before = self.utc();
            loop {
                let next =
                    runtime.block_on(async { tokio::time::timeout(STEP, arrivals.recv()).await });
                match next {
                    Ok(Some(Event::Stop) | None) => break,
                    Ok(Some(event)) => self.take(event, &events, &runtime),
                    Err(_) => before = self.pass(before, &events, &runtime),
                }
                // A partner that asks without a pause must not stop the cars.
                if LOOK <= self.utc().since(before).as_millis() as f64 / self.clock.speed() {
                    before = self.pass(before, &events, &runtime);
                }
            }
            let (account, profiles) = (self.account, self.profiles);
            let delivered = self.fleet.delivered();
            Outcome { account, delivered, profiles, faults: self.faults }
        })
    }

    /// Time passes until now; comes back with it.
    fn pass(&mut self, before: Utc, events: &mpsc::WeakSender<Event>, runtime: &Runtime) -> Utc {
        let now = self.clock.now();
        let utc = self.utc();
        let ev = self.fleet.pass(before, utc);
        let (equipment, _) = self.site.equipment_at(before);
        let power = uncontrolled::power(&self.site.site.diagram, &equipment, ev);
        self.account.add(before, utc, power);
        if let Some(senses) = &mut self.senses {
            senses.tell(now, self.fleet.drawn(), runtime);
        }
        self.step(Input::Facts(self.fleet.facts()), events, runtime);
        for (session, wanted) in self.fleet.wishes() {
            self.step(Input::Wants { session, wanted }, events, runtime);
        }
        self.send_late(events, runtime);
        utc
    }

    fn utc(&self) -> Utc {
        self.clock.now().utc.unwrap_or_default()
    }

    fn take(&mut self, event: Event, events: &mpsc::WeakSender<Event>, runtime: &Runtime) {
        self.next += 1;
        let number = self.next;
        let input = match event {
            // Nobody is there: the provider sees a connection that breaks.
            Event::Request(..) if self.manners.is_out(self.utc()) => return,
            Event::Request(request, reply) => {
                if let Some(fault) = self.manners.fault(&request) {
                    *self.faults.entry(fault).or_default() += 1;
                    let response = OcpiResponse::code(400, CLIENT, fault, self.utc());
                    let _ = reply.send(response);
                    return;
                }
                let profile =
                    request.method == Method::Put && request.target.contains("/chargingprofiles/");
                self.profiles += u64::from(profile);
                if profile
                    && self.manners.answers == Answers::TooOften
                    && !self.profiles.is_multiple_of(3)
                {
                    let data = json!({ "result": "TOO_OFTEN", "timeout": 30 });
                    // An error means that the partner has hung up.
                    let response = self.manners.answer(OcpiResponse::data(data, self.utc()));
                    let _ = reply.send(response);
                    return;
                }
                self.replies.insert(number, reply);
                Input::Request { number, request }
            }
            Event::Response(call, result) => {
                let result = result.map(|response| self.manners.heard(response));
                Input::Response { call, result }
            }
            Event::Person(wish, reply) => {
                self.persons.insert(number, reply);
                Input::Person { person: number, wish }
            }
            Event::Stop => return,
        };
        self.step(input, events, runtime);
    }

    fn step(&mut self, input: Input, events: &mpsc::WeakSender<Event>, runtime: &Runtime) {
        if self.engine.is_hungry() {
            let mut bytes = [0; 1024];
            let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
            if read.is_ok() {
                self.engine.feed(&bytes);
            }
        }
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            let rows = &self.rows;
            let mut shelf = |query: &Query| find(rows, query);
            self.engine.step(self.clock.now(), input, &mut shelf, &mut out);
            for output in out {
                if let Some(follows) = self.cause(output, events, runtime) {
                    inputs.push(follows);
                }
            }
        }
    }

    fn cause(
        &mut self,
        output: Output,
        events: &mpsc::WeakSender<Event>,
        runtime: &Runtime,
    ) -> Option<Input> {
        match output {
            Output::Keep(Change::Row(row)) => {
                self.rows.insert((row.kind, row.number), row);
            }
            Output::Reply { number, response } => {
                if let Some(reply) = self.replies.remove(&number) {
                    let _ = reply.send(self.manners.answer(response));
                }
            }
            Output::Send { call, .. } if self.manners.is_out(self.utc()) => {
                let result = Err("an outage of the double".to_owned());
                return Some(Input::Response { call, result });
            }
            Output::Send { call, request } => self.send(call, request, events, runtime),
            Output::Order { order, wanted } => {
                // Whoever refuses a limit does not follow it either.
                let refuses = self.manners.answers == Answers::Reject;
                if let SiteOrder::Bound { evse, limit_a, .. } = wanted
                    && !refuses
                {
                    match limit_a {
                        Some(limit) => self.fleet.limits.insert(evse, limit),
                        None => self.fleet.limits.remove(&evse),
                    };
                }
                return Some(Input::Done { order, outcome: OrderOutcome::Accepted });
            }
            Output::Told { person, text } => {
                if let Some(reply) = self.persons.remove(&person) {
                    let _ = reply.send(text);
                }
            }
            Output::Event { kind, partner, text } => {
                log::info!("double: {} {partner}: {text}", kind.code());
            }
            _ => {}
        }
        None
    }

    /// Results go out as they were asked to.
    fn send(
        &mut self,
        call: u64,
        request: OcpiRequest,
        events: &mpsc::WeakSender<Event>,
        runtime: &Runtime,
    ) {
        let mut request = request;
        if request.method == Method::Post && request.target.contains("/result/") {
            match self.manners.answers {
                _ if self.manners.asked_only => return,
                Answers::Never => return,
                Answers::Late => {
                    self.late.push((self.utc() + LATE, call, request));
                    return;
                }
                Answers::Reject => request.body = json!({ "result": "REJECTED" }).to_string(),
                Answers::Accept | Answers::TooOften => {}
            }
        }
        let request = self.manners.request(request);
        let (caller, events, waits) = (self.caller.clone(), events.clone(), runtime.clone());
        runtime.spawn_blocking(move || {
            let result = caller.call(&request);
            if let Some(events) = events.upgrade() {
                let _ = waits.block_on(events.send(Event::Response(call, result)));
            }
        });
    }

    fn send_late(&mut self, events: &mpsc::WeakSender<Event>, runtime: &Runtime) {
        let now = self.utc();
        let (due, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.late).into_iter().partition(|(at, _, _)| *at <= now);
        self.late = rest;
        let answers = std::mem::replace(&mut self.manners.answers, Answers::Accept);
        for (_, call, request) in due {
            self.send(call, request, events, runtime);
        }
        self.manners.answers = answers;
    }
}

fn find(rows: &BTreeMap<(RowKind, u64), Row>, query: &Query) -> Found {
    let mut found = Found::default();
    for ((kind, number), row) in rows {
        if *kind != query.kind || !query.fits(*number, &row.id, &row.owner, row.updated) {
            continue;
        }
        found.total += 1;
        if query.skip < found.total && found.rows.len() < query.limit {
            found.rows.push((*number, row.value.clone()));
        }
    }
    found
}
