//! Floor 5: the digital twin. The production controller against a simulated site, in virtual time.
//!
//! ```text
//! Controller ─ outputs ─▶ commit ─▶ network ─▶ Plant ─ frames ─▶ network ┐
//!     ▲                                                                  │
//!     └───────────────── inputs, in the order of their time ◀────────────┘
//! ```
//! [`Twin`] jumps from event to event: to the next delivery, or to when the plant or the
//! controller wants to be woken. No task, no sleep, no clock, no random source but its seed: one
//! seed gives one run, to the byte. The controller may be dropped at any moment and restored from
//! what was durable.
//!
//! Reading order: [`random`] → [`scenario`] (who comes, what goes wrong) → [`car`] → [`profile`]
//! → [`wire`] → [`settings`] → [`connector`] → [`output`] → [`charge_point`] with its `calls` and
//! `answers` → [`electric`] → [`meters`] → [`plant`] → [`network`] → [`memory`] → [`checker`] →
//! [`Twin`]. [`sample`] makes small sites and days.

mod answers;
mod calls;
pub mod car;
pub mod charge_point;
pub mod checker;
pub mod connector;
pub mod electric;
pub mod memory;
pub mod meters;
pub mod network;
pub mod output;
pub mod plant;
pub mod profile;
pub mod random;
pub mod sample;
pub mod scenario;
pub mod settings;
pub mod solver;
pub mod wire;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use crate::controller::Controller;
use crate::controller::message::{Answer, Input, JournalLine, Order, Output};
use crate::controller::preference::ENERGY_MIN;
use crate::controller::view::View;
use crate::ground::ids::{ChargePointId, LinkId, RequestId};
use crate::ground::time::{Duration, Instant, Now, Utc};
use crate::ground::units::WattHours;
use crate::model::event::Event;
use crate::model::feed::{FeedKind, Received};
use crate::model::preference::{PreferenceSource, Wish};
use crate::model::record::{Durability, Record};
use crate::model::site::Site;
use crate::plan::solution::Plan;

use checker::Checker;
use memory::Memory;
use network::{Network, Way};
use output::PlantOutput;
use plant::{Outcome, Plant, PlantState};
use scenario::{Declared, Fault, Scenario};
use solver::Solver;

/// From a record until it is durable: a commit on flash.
const COMMIT: Duration = Duration::millis(10);
/// From a charger's attempt to connect until it is refused when the box is away.
const REFUSED_AFTER: Duration = Duration::seconds(1);
/// From a planning problem until its plan is there.
const SOLVES: Duration = Duration::millis(500);
/// From the start of a transaction until its driver has said what is needed.
const DECLARED_AFTER: Duration = Duration::millis(500);
/// When the box is away the driver tries again after this long.
const DECLARED_AGAIN: Duration = Duration::minutes(1);
/// Events kept; the oldest go first.
const EVENTS_MAX: usize = 10_000;

/// Something on its way.
#[derive(Clone, Debug, PartialEq)]
enum Delivery {
    /// A connection that was asked for stands.
    Connected(ChargePointId),
    /// A connection that was asked for does not come to be.
    Refused(ChargePointId),
    /// The central system learns that a link is gone.
    LinkGone(ChargePointId, LinkId),
    /// A charger learns that its link is gone.
    Dropped(ChargePointId, LinkId),
    /// A frame reaches the central system.
    Up(ChargePointId, LinkId, String),
    /// What the frame promises is durable: it leaves towards its charger.
    Leave(ChargePointId, LinkId, String),
    /// A frame reaches its charger.
    Down(ChargePointId, LinkId, String),
    /// A plan is ready.
    Solved(u64, Option<Box<Plan>>),
    /// A driver says what a visit needs.
    Declared(usize, Declared),
    /// The box starts.
    Start,
}

/// A site in virtual time.
#[derive(Clone, Debug)]
pub struct Twin {
    site: Site,
    controller: Option<Controller>,
    controller_wake: Instant,
    plant: Plant,
    network: Network,
    queue: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    deliveries: BTreeMap<usize, Delivery>,
    posted: u64,
    calendar: i64,
    now: Instant,
    links: BTreeMap<ChargePointId, LinkId>,
    last_link: u64,
    memory: Memory,
    checker: Checker,
    broker_told: bool,
    events: VecDeque<Event>,
    outcomes: Vec<Outcome>,
    setpoints: u64,
    steps: u64,
    journal: Option<Vec<JournalLine>>,
    solver: Solver,
}

impl Twin {
    /// A box that has never seen its site, started at `start`.
    pub fn new(site: Site, scenario: Scenario, start: Utc) -> Self {
        let now = Instant::START;
        let seed = scenario.seed;
        let network = Network::new(scenario.network.clone(), seed.wrapping_add(1));
        let stamp = Now { mono: now, utc: Some(start) };
        let mut twin = Self {
            controller: None,
            controller_wake: now,
            plant: Plant::new(&site, scenario, stamp),
            network,
            queue: BinaryHeap::new(),
            deliveries: BTreeMap::new(),
            posted: 0,
            calendar: start.as_millis(),
            now,
            links: BTreeMap::new(),
            last_link: 0,
            memory: Memory::default(),
            checker: Checker::new(&site),
            broker_told: false,
            events: VecDeque::new(),
            outcomes: Vec::new(),
            setpoints: 0,
            steps: 0,
            journal: None,
            solver: Solver::default(),
            site,
        };
        twin.start();
        twin
    }

    /// Has plans made by this solver, to measure or to spoil it.
    pub fn solve_with(&mut self, solver: Solver) {
        self.solver = solver;
    }

    /// Keeps every step from here on, to be fetched by [`Twin::take_journal`].
    pub fn keep_journal(&mut self) {
        self.journal = Some(Vec::new());
    }

    /// The steps since this was last called.
    pub fn take_journal(&mut self) -> Vec<JournalLine> {
        self.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The present.
    pub const fn now(&self) -> Now {
        let utc = Utc::from_millis(self.now.as_millis() + self.calendar);
        Now { mono: self.now, utc: Some(utc) }
    }

    /// What people would see; none while the box is away.
    pub fn view(&self) -> Option<View> {
        self.controller.as_ref().map(|controller| controller.view(self.now()))
    }

    /// The controller; none while the box is away.
    pub const fn controller(&self) -> Option<&Controller> {
        self.controller.as_ref()
    }

    /// What is true.
    pub const fn plant(&self) -> &Plant {
        &self.plant
    }

    /// What was found wrong so far.
    pub const fn checker(&self) -> &Checker {
        &self.checker
    }

    /// The latest events, oldest first.
    pub const fn events(&self) -> &VecDeque<Event> {
        &self.events
    }

    /// How many setpoints were recorded as sent.
    pub const fn setpoints(&self) -> u64 {
        self.setpoints
    }

    /// How many inputs the controller was given.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// What the visits came to that have ended, in the order in which they ended.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Lets time pass up to `until`. `seen` is told every span in which nothing changed.
    pub fn run_until(&mut self, until: Utc, seen: &mut dyn FnMut(Instant, Instant, &PlantState)) {
        let until = Instant::from_millis(until.as_millis() - self.calendar);
        loop {
            let queued = self.queue.peek().map(|Reverse((due, _, _))| *due);
            let wake = self.plant.wake_at();
            let brain = self.controller.is_some().then_some(self.controller_wake);
            let next = [queued, brain].into_iter().flatten().fold(wake, Instant::min);
            if until < next {
                break;
            }
            self.pass(next, seen);
            if queued.is_some_and(|due| due <= self.now) {
                self.deliver();
            } else if wake <= self.now {
                let mut out = Vec::new();
                self.plant.wake(self.now(), &mut out);
                self.absorb(out);
            } else {
                self.step(Input::Wake);
            }
        }
        self.pass(until, seen);
        let mut out = Vec::new();
        self.plant.wake(self.now(), &mut out);
        self.absorb(out);
    }

    /// The same for a span, with nobody watching.
    pub fn run_for(&mut self, span: Duration) {
        let until = Utc::from_millis(self.now.as_millis() + self.calendar) + span;
        self.run_until(until, &mut |_, _, _| {});
    }

    /// A person asks for something; none while the box is away.
    pub fn order(&mut self, order: Order) -> Option<Answer> {
        self.step(Input::Operator { request: RequestId(0), order })
    }

    /// A series from outside is heard.
    pub fn tell(&mut self, kind: FeedKind, received: Received) {
        self.step(Input::Series { kind, received });
    }

    /// Something goes wrong, or is put right.
    pub fn fault(&mut self, fault: Fault) {
        if fault == Fault::Heal {
            self.network.heal();
        }
        let mut out = Vec::new();
        self.plant.fault(fault, self.now(), &mut out);
        self.absorb(out);
    }

    /// The box loses power in this very moment and starts again after `down` with what was
    /// durable.
    pub fn restart(&mut self, down: Duration) {
        self.memory.cut(self.now);
        self.controller = None;
        self.checker.attended_since = None;
        self.broker_told = false;
        self.deliveries.retain(|_, delivery| match delivery {
            Delivery::Connected(_)
            | Delivery::Refused(_)
            | Delivery::Dropped(..)
            | Delivery::Declared(..) => true,
            Delivery::LinkGone(..)
            | Delivery::Up(..)
            | Delivery::Leave(..)
            | Delivery::Down(..)
            | Delivery::Solved(..)
            | Delivery::Start => false,
        });
        for (charge_point, link) in self.links.clone() {
            self.checker.link_gone(&charge_point);
            self.post(self.now, Delivery::Dropped(charge_point, link));
        }
        self.post(self.now + down, Delivery::Start);
    }

    fn start(&mut self) {
        let remembered = self.memory.remembered();
        let controller = Controller::new(self.site.clone(), &remembered, self.now());
        self.controller_wake = controller.wake_at(self.now);
        self.controller = Some(controller);
        self.checker.attended_since = Some(self.now);
        self.tell_broker();
    }

    fn tell_broker(&mut self) {
        let up = self.plant.state().broker_up;
        if self.controller.is_some() && up != self.broker_told {
            self.broker_told = up;
            let why = "connection closed by the broker".to_owned();
            self.step(if up { Input::BrokerUp } else { Input::BrokerDown { why } });
        }
    }

    fn pass(&mut self, to: Instant, seen: &mut dyn FnMut(Instant, Instant, &PlantState)) {
        if self.now < to {
            let state = self.plant.state();
            self.checker.span(self.now, to, state);
            seen(self.now, to, state);
            self.now = to;
        }
    }

    fn post(&mut self, due: Instant, delivery: Delivery) {
        let number = self.posted as usize;
        self.posted += 1;
        self.deliveries.insert(number, delivery);
        self.queue.push(Reverse((due.max(self.now), self.posted, number)));
    }

    fn deliver(&mut self) {
        let Some(Reverse((_, _, number))) = self.queue.pop() else { return };
        let Some(delivery) = self.deliveries.remove(&number) else { return };
        let mut out = Vec::new();
        match delivery {
            Delivery::Connected(charge_point) => return self.connect(charge_point),
            Delivery::Refused(charge_point) => {
                self.plant.disconnected(&charge_point, self.now(), &mut out);
            }
            Delivery::LinkGone(charge_point, link) => {
                self.checker.link_gone(&charge_point);
                self.step(Input::LinkDown { charge_point, link });
            }
            Delivery::Dropped(charge_point, link) => {
                if self.links.get(&charge_point) == Some(&link) {
                    self.links.remove(&charge_point);
                    self.plant.disconnected(&charge_point, self.now(), &mut out);
                }
            }
            Delivery::Up(charge_point, link, text) => {
                self.checker.arrived(&charge_point, &text);
                self.step(Input::Frame { charge_point, link, text });
            }
            Delivery::Leave(charge_point, link, text) => self.leave(charge_point, link, text),
            Delivery::Down(charge_point, link, text) => {
                if self.links.get(&charge_point) == Some(&link) {
                    self.plant.frame(&charge_point, &text, self.now(), &mut out);
                }
            }
            Delivery::Solved(number, plan) => {
                self.step(Input::Solved { number, plan });
            }
            Delivery::Declared(evse, declared) => self.declare(evse, declared),
            Delivery::Start => self.start(),
        }
        self.absorb(out);
    }

    fn connect(&mut self, charge_point: ChargePointId) {
        let mut out = Vec::new();
        if self.controller.is_none() {
            self.plant.disconnected(&charge_point, self.now(), &mut out);
            return self.absorb(out);
        }
        self.last_link += 1;
        let link = LinkId(self.last_link);
        self.links.insert(charge_point.clone(), link);
        self.checker.link_gone(&charge_point);
        let address = "203.0.113.1".to_owned();
        self.step(Input::LinkUp { charge_point: charge_point.clone(), link, address });
        self.plant.connected(&charge_point, self.now(), &mut out);
        self.absorb(out);
    }

    /// A driver says what a visit needs; again a while later when the box is away.
    fn declare(&mut self, evse: usize, declared: Declared) {
        let Declared { energy_wh, departure } = declared;
        if self.controller.is_none() {
            return self.post(self.now + DECLARED_AGAIN, Delivery::Declared(evse, declared));
        }
        let now = self.now().utc.unwrap_or_default();
        let wish = Wish {
            energy_wh: energy_wh.map(WattHours::from_f64).filter(|need| ENERGY_MIN <= *need),
            departure: departure.filter(|leaves| now < *leaves),
            charge: None,
        };
        if !wish.is_empty() {
            let evse = self.site.diagram.evses[evse].id.clone();
            let source = PreferenceSource::File;
            let order = Order::Prefer { evse, session: None, wish, source };
            self.order(order);
        }
    }

    /// Does what the plant asks for.
    fn absorb(&mut self, out: Vec<PlantOutput>) {
        for output in out {
            match output {
                PlantOutput::Connect(charge_point) => {
                    let way = self.network.carry(&charge_point, Way::Up, self.now);
                    match way.filter(|_| self.controller.is_some()) {
                        Some(due) => self.post(due, Delivery::Connected(charge_point)),
                        None => {
                            let due = self.now + REFUSED_AFTER;
                            self.post(due, Delivery::Refused(charge_point));
                        }
                    }
                }
                PlantOutput::Close(charge_point) => {
                    if let Some(link) = self.links.remove(&charge_point) {
                        let way = self.network.carry(&charge_point, Way::Up, self.now);
                        let due = way.unwrap_or(self.now);
                        self.post(due, Delivery::LinkGone(charge_point, link));
                    }
                }
                PlantOutput::Frame { charge_point, text } => {
                    let Some(link) = self.links.get(&charge_point).copied() else { continue };
                    match self.network.carry(&charge_point, Way::Up, self.now) {
                        Some(due) => self.post(due, Delivery::Up(charge_point, link, text)),
                        None => self.break_link(charge_point, link),
                    }
                }
                PlantOutput::Mqtt { topic, payload, retained } => {
                    self.step(Input::Mqtt { topic, payload, retained });
                }
            }
        }
        let now = self.now;
        for closed in self.plant.take_closed() {
            self.checker.closed(closed.transaction, closed.energy_wh, now);
        }
        for transaction in self.plant.take_doubly_granted() {
            self.checker.given_twice(transaction, now);
        }
        for (evse, declared) in self.plant.take_declared() {
            self.post(now + DECLARED_AFTER, Delivery::Declared(evse, declared));
        }
        self.outcomes.append(&mut self.plant.take_outcomes());
        self.checker.limits(now, &self.plant.state().evses);
        self.tell_broker();
    }

    fn break_link(&mut self, charge_point: ChargePointId, link: LinkId) {
        self.post(self.now, Delivery::Dropped(charge_point.clone(), link));
        self.post(self.now + REFUSED_AFTER, Delivery::LinkGone(charge_point, link));
    }

    /// Gives the controller an input, does what follows, and hands on its answer where it has one.
    fn step(&mut self, input: Input) -> Option<Answer> {
        let now = self.now();
        let controller = self.controller.as_mut()?;
        let mut said = None;
        self.steps += 1;
        let mut outputs = Vec::new();
        let kept = self.journal.is_some().then(|| input.clone());
        controller.step(now, input, &mut outputs);
        self.controller_wake = controller.wake_at(self.now).max(self.now + Duration::millis(1));
        if let (Some(journal), Some(input)) = (&mut self.journal, kept) {
            journal.push(JournalLine { now, input, outputs: outputs.clone() });
        }
        self.memory.settle(self.now);
        let mut committing = false;
        for output in outputs {
            match output {
                Output::Record(record) => {
                    self.checker.record(&record);
                    self.setpoints += u64::from(matches!(record, Record::Setpoint(_)));
                    committing |= record.durability() == Durability::Now;
                    self.memory.keep(record, self.now + COMMIT);
                }
                Output::Frame { charge_point, link, text, after_commit } => {
                    if after_commit && (committing || self.memory.is_waiting()) {
                        let due = self.now + COMMIT;
                        self.post(due, Delivery::Leave(charge_point, link, text));
                    } else {
                        self.leave(charge_point, link, text);
                    }
                }
                Output::Disconnect { charge_point, link, politely: _ } => {
                    self.post(self.now, Delivery::Dropped(charge_point.clone(), link));
                    self.post(self.now, Delivery::LinkGone(charge_point, link));
                }
                Output::Event(event) => {
                    if self.events.len() == EVENTS_MAX {
                        self.events.pop_front();
                    }
                    self.events.push_back(event);
                }
                // There are no partners in the twin's world.
                Output::AskPartners { .. } => {}
                Output::Solve { number, problem } => {
                    let plan = self.solver.solve(&problem).map(Box::new);
                    self.post(self.now + SOLVES, Delivery::Solved(number, plan));
                }
                // The simulated site has no authority.
                Output::Sign { .. } => {}
                Output::Reply { answer, .. } => said = Some(answer),
            }
        }
        said
    }

    /// A frame leaves the box.
    fn leave(&mut self, charge_point: ChargePointId, link: LinkId, text: String) {
        if self.links.get(&charge_point) != Some(&link) {
            return;
        }
        self.checker.sent(&charge_point, &text, self.now);
        match self.network.carry(&charge_point, Way::Down, self.now) {
            Some(due) => self.post(due, Delivery::Down(charge_point, link, text)),
            None => self.break_link(charge_point, link),
        }
    }
}
