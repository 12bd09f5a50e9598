//! A simulated charge point: link, boot, queues and timers around its connectors.
//!
//! It speaks OCPP 1.6J as a well-behaved charger does, except where its [`Behaviour`] says
//! otherwise: one call in flight, transactions and their values kept with their own times while the
//! link is down and told in order afterwards, profiles kept over a reboot. No socket and no clock:
//! the plant tells it when it is connected and what time it is.

use std::collections::{BTreeMap, VecDeque};

use crate::ground::ids::ChargePointId;
use crate::ground::time::{Duration, Instant, Utc};
use crate::model::message::EvseStatus;

use super::car::Car;
use super::connector::{Connector, Run, Stage};
use super::output::PlantOutput;
use super::profile::{Place, ProfileStore};
use super::random::Random;
use super::scenario::{Behaviour, CarModel};
use super::settings::Settings;
use super::wire::{Heard, Message, hear};

/// Messages kept for a lost link. Beyond it periodic values are dropped, starts and stops never
/// (OCPP 1.6 §4.7 lets intermediate values go first).
const KEPT_MAX: usize = 500;
/// Calls that wait for a slow charger; a central system has one in flight, so more is a fault.
const CALLS_MAX: usize = 20;
/// A call without an answer is given up after this long.
pub(super) const CALL_TIMEOUT: Duration = Duration::seconds(30);
/// Between attempts to connect.
const RETRY: Duration = Duration::seconds(10);

/// State of the connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Link {
    /// Down; tries again at this time.
    Down(Instant),
    /// Connecting since then.
    Connecting(Instant),
    /// Up.
    Up,
}

/// A call of ours that waits for its answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) message: Message,
    pub(super) since: Instant,
    pub(super) attempts: u32,
}

/// A transaction whose stop the central system has taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Closed {
    /// The id it was given; −1 if none ever was.
    pub transaction: i64,
    /// Its energy by the true register, in Wh.
    pub energy_wh: f64,
}

/// A charge point.
#[derive(Clone, Debug, PartialEq)]
pub struct ChargePoint {
    id: ChargePointId,
    pub(super) behaviour: Behaviour,
    pub(super) connectors: Vec<Connector>,
    pub(super) store: ProfileStore,
    pub(super) settings: Settings,
    pub(super) voltage: f64,
    /// Added to the monotonic time it gives the charger's own clock.
    pub(super) clock: i64,
    link: Link,
    off_until: Option<Instant>,
    isolated_until: Option<Instant>,
    pub(super) booted: bool,
    pub(super) boot_at: Instant,
    pub(super) heartbeat_at: Instant,
    cut_at: Option<Instant>,
    reboot_at: Option<Instant>,
    pub(super) news: VecDeque<Message>,
    pub(super) kept: VecDeque<(Message, u32)>,
    pub(super) asked: Option<Asked>,
    calls: VecDeque<(Instant, String)>,
    /// Transaction ids by the charger's own numbers.
    pub(super) ids: BTreeMap<u64, i64>,
    pub(super) energies: BTreeMap<u64, f64>,
    messages: u64,
    runs: u64,
    random: Random,
    /// Ids that were given since the plant last looked, by the charger's own numbers.
    pub granted: Vec<(i64, u64)>,
    /// Transactions closed since the plant last looked.
    pub closed: Vec<Closed>,
}

impl ChargePoint {
    /// One that is switched on at `now`, where the calendar says `utc`.
    pub fn new(
        id: ChargePointId,
        connectors: Vec<Connector>,
        voltage: f64,
        behaviour: Behaviour,
        seed: u64,
        (now, utc): (Instant, Utc),
    ) -> Self {
        let mut random = Random::new(seed);
        let connect = now + random.span(Duration::ZERO, Duration::seconds(2));
        let mut fresh = Self {
            id,
            settings: Settings::new(connectors.len()),
            connectors,
            store: ProfileStore::default(),
            voltage,
            clock: utc.as_millis() - now.as_millis() + behaviour.clock_error.as_millis(),
            link: Link::Down(connect),
            off_until: None,
            isolated_until: None,
            booted: false,
            boot_at: now,
            heartbeat_at: now,
            cut_at: None,
            reboot_at: None,
            news: VecDeque::new(),
            kept: VecDeque::new(),
            asked: None,
            calls: VecDeque::new(),
            ids: BTreeMap::new(),
            energies: BTreeMap::new(),
            messages: 0,
            runs: 0,
            random,
            granted: Vec::new(),
            closed: Vec::new(),
            behaviour: Behaviour::default(),
        };
        fresh.behave(behaviour, now);
        fresh
    }

    /// Behaves like this from here on.
    pub fn behave(&mut self, behaviour: Behaviour, now: Instant) {
        self.clock += (behaviour.clock_error - self.behaviour.clock_error).as_millis();
        self.behaviour = behaviour;
        self.cut_at = self.later(self.behaviour.link_lost_every, now);
        self.reboot_at = self.later(self.behaviour.reboots_every, now);
    }

    /// A random time from half to one and a half of a span from now.
    fn later(&mut self, span: Option<Duration>, now: Instant) -> Option<Instant> {
        span.map(|span| now + self.random.span(span / 2, span + span / 2))
    }

    /// The time of its own clock.
    pub(super) fn time(&self, now: Instant) -> i64 {
        now.as_millis() + self.clock
    }

    /// Its connectors.
    pub fn connectors(&self) -> &[Connector] {
        &self.connectors
    }

    /// Whether its connection is up.
    pub fn is_online(&self) -> bool {
        self.link == Link::Up
    }

    /// The transaction id on a connector; none without a transaction or before it was given one.
    pub fn transaction(&self, connector: &Connector) -> Option<i64> {
        self.ids.get(&connector.run()?.number).copied()
    }

    /// The circumstances under which the profiles are asked for a connector.
    pub(super) fn place(&self, connector: &Connector) -> Place {
        let runs = self.connectors.iter().filter(|other| other.run().is_some());
        Place {
            connector: connector.number,
            run: connector.running(|number| self.ids.get(&number).copied()),
            sharing: runs.count(),
            voltage: self.voltage,
        }
    }

    /// What its profiles allow on a connector, in A; its rating where they say nothing.
    pub fn limit(&self, connector: &Connector, now: Instant) -> f64 {
        let force = self.store.at(self.place(connector), self.time(now));
        force.limit.map_or(connector.rated, |limit| limit.min(connector.rated))
    }

    /// What it would allow a transaction that nobody speaks of, once every lease has run out; none
    /// where it holds no default.
    pub fn default_limit(&self, connector: &Connector, now: Instant) -> Option<f64> {
        let later = self.time(now + Duration::hours(24));
        self.store.default_limit(self.place(connector), later)
    }

    /// When it next does something by itself.
    pub fn wake_at(&self) -> Instant {
        if let Some(until) = self.off_until {
            return until;
        }
        let link = match self.link {
            Link::Down(retry) => Some(retry),
            Link::Connecting(since) => Some(since + CALL_TIMEOUT),
            Link::Up if self.isolated_until.is_some() => self.isolated_until,
            Link::Up => match &self.asked {
                Some(asked) => Some(asked.since + CALL_TIMEOUT),
                None if !self.booted => Some(self.boot_at),
                None => Some(self.heartbeat_at),
            },
        };
        let call = self.calls.front().map(|(due, _)| *due);
        let own = self.connectors.iter().filter_map(Connector::wake_at);
        let mut wake = Instant::from_millis(i64::MAX);
        for due in [link, call, self.cut_at, self.reboot_at].into_iter().flatten().chain(own) {
            wake = wake.min(due);
        }
        wake
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Instant, out: &mut Vec<PlantOutput>) {
        if let Some(until) = self.off_until {
            if now < until {
                return;
            }
            self.off_until = None;
            self.link = Link::Down(now);
        }
        if self.isolated_until.is_some_and(|until| until <= now) {
            self.isolated_until = None;
        }
        if self.cut_at.is_some_and(|due| due <= now) {
            self.cut_at = self.later(self.behaviour.link_lost_every, now);
            self.cut(self.behaviour.link_lost_for, now, out);
        }
        if self.reboot_at.is_some_and(|due| due <= now) {
            self.reboot_at = self.later(self.behaviour.reboots_every, now);
            self.reboot(Duration::seconds(20), now, out);
            return;
        }
        match self.link {
            Link::Down(retry) if retry <= now => {
                self.link = Link::Connecting(now);
                out.push(PlantOutput::Connect(self.id.clone()));
            }
            Link::Connecting(since) if since + CALL_TIMEOUT <= now => self.disconnected(now),
            _ => {}
        }
        self.give_up_call(now);
        while self.calls.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, text)) = self.calls.pop_front() {
                self.reply(&text, now, out);
            }
        }
        for index in 0..self.connectors.len() {
            self.run_connector(index, now);
        }
        self.settle(now, out);
    }

    /// What a connector does by itself: presents its token, takes its periodic values.
    fn run_connector(&mut self, index: usize, now: Instant) {
        let interval = self.settings.sample_interval;
        let connector = &mut self.connectors[index];
        let number = connector.number;
        match &mut connector.stage {
            Stage::Plugged(token_at) if *token_at <= now => {
                let token = connector.car.as_ref().map(|(_, token)| token.clone());
                if self.link == Link::Up && self.booted {
                    connector.stage = Stage::Authorizing;
                    let token = token.unwrap_or_default();
                    self.news.push_back(Message::Authorize { connector: number, token });
                } else {
                    self.begin(index, now);
                }
            }
            Stage::Running(run) if run.sample_at.is_some_and(|due| due <= now) => {
                run.sample_at = (Duration::ZERO < interval).then_some(now + interval);
                if self.kept.len() < KEPT_MAX {
                    let values = self.values(index, false, now);
                    self.kept.push_back((values, 0));
                }
            }
            _ => {}
        }
    }

    /// Measured values of a connector.
    pub(super) fn values(&self, index: usize, triggered: bool, now: Instant) -> Message {
        let connector = &self.connectors[index];
        Message::Values {
            run: connector.run().map(|run| run.number),
            connector: connector.number,
            sample: connector.sample(self.voltage),
            triggered,
            at: self.time(now),
        }
    }

    /// Begins a transaction.
    pub(super) fn begin(&mut self, index: usize, now: Instant) {
        let at = self.time(now);
        let interval = self.settings.sample_interval;
        let connector = &mut self.connectors[index];
        let Some((_, token)) = &connector.car else { return };
        self.runs += 1;
        let (run, meter_wh) = (self.runs, connector.register());
        let token = token.clone();
        let start = Message::Start { run, connector: connector.number, token, meter_wh, at };
        connector.stage = Stage::Running(Run {
            number: run,
            started: at,
            start_wh: connector.register_wh,
            sample_at: (Duration::ZERO < interval).then_some(now + interval),
        });
        self.kept.push_back((start, 0));
    }

    /// Ends the transaction of a connector, if one runs; the car stays in this state.
    pub(super) fn end(&mut self, index: usize, reason: &'static str, stage: Stage, now: Instant) {
        let at = self.time(now);
        let connector = &mut self.connectors[index];
        let old = std::mem::replace(&mut connector.stage, stage);
        if let Stage::Running(run) = old {
            let token = connector.car.as_ref().map(|(_, token)| token.clone()).unwrap_or_default();
            let meter_wh = connector.register();
            self.energies.insert(run.number, connector.register_wh - run.start_wh);
            let stop = Message::Stop { run: run.number, token, meter_wh, reason, at };
            self.kept.push_back((stop, 0));
            self.store.transaction_over(connector.number);
        }
    }

    /// A car is plugged in; its driver presents the token at `token_at`.
    pub fn plug(&mut self, index: usize, model: CarModel, token: &str, token_at: Instant) {
        let connector = &mut self.connectors[index];
        if connector.car.is_none() {
            connector.car = Some((Car::new(model), token.to_owned()));
            connector.stage = match token {
                // Nothing is presented: it stands there until somebody starts it from afar.
                "" => Stage::Over(EvseStatus::Preparing),
                _ => Stage::Plugged(token_at),
            };
        }
    }

    /// The car is unplugged; returns it. The transaction ends with it.
    pub fn unplug(&mut self, index: usize, now: Instant) -> Option<Car> {
        self.end(index, "EVDisconnected", Stage::Free, now);
        self.connectors[index].car.take().map(|(car, _)| car)
    }

    /// Lets the energy of a span flow.
    pub fn advance(&mut self, hours: f64) {
        for connector in &mut self.connectors {
            connector.advance(hours, self.voltage);
        }
    }

    /// Its connection stands.
    pub fn connected(&mut self, now: Instant, out: &mut Vec<PlantOutput>) {
        if self.off_until.is_none() {
            self.link = Link::Up;
            self.boot_at = now;
            self.heartbeat_at = now + self.settings.heartbeat_interval;
            self.settle(now, out);
        }
    }

    /// Its connection is gone, or never came to be.
    pub fn disconnected(&mut self, now: Instant) {
        if let Some(asked) = self.asked.take() {
            self.lost(asked, 0);
        }
        self.calls.clear();
        self.news.clear();
        let retry = now + RETRY + self.random.span(Duration::ZERO, RETRY / 2);
        if !matches!(self.link, Link::Down(_)) {
            self.link = Link::Down(retry);
        }
    }

    /// A frame of the central system has arrived.
    pub fn frame(&mut self, text: &str, now: Instant, out: &mut Vec<PlantOutput>) {
        if self.link != Link::Up || self.isolated_until.is_some() {
            return;
        }
        match hear(text) {
            Some(Heard::Answer { id, payload }) => self.answered(id, Some(payload), now),
            Some(Heard::Refusal { id }) => self.answered(id, None, now),
            Some(Heard::Call { .. }) if self.behaviour.deaf => {}
            Some(Heard::Call { .. }) if self.behaviour.answer_delay == Duration::ZERO => {
                self.reply(text, now, out);
            }
            Some(Heard::Call { .. }) if self.calls.len() < CALLS_MAX => {
                self.calls.push_back((now + self.behaviour.answer_delay, text.to_owned()));
            }
            Some(Heard::Call { .. }) | None => {}
        }
        self.settle(now, out);
    }

    fn reply(&mut self, text: &str, now: Instant, out: &mut Vec<PlantOutput>) {
        if let Some(Heard::Call { id, action, payload }) = hear(text) {
            let text = self.answer(&id, &action, &payload, now, out);
            if self.link == Link::Up {
                out.push(PlantOutput::Frame { charge_point: self.id.clone(), text });
            }
        }
    }

    fn give_up_call(&mut self, now: Instant) {
        if let Some(asked) = self.asked.take_if(|asked| asked.since + CALL_TIMEOUT <= now) {
            if asked.message == Message::Boot {
                self.boot_at = now + RETRY;
            }
            self.lost(asked, 1);
        }
    }

    /// Closes the connection for a while.
    pub fn cut(&mut self, lasts: Duration, now: Instant, out: &mut Vec<PlantOutput>) {
        if !matches!(self.link, Link::Down(_)) {
            out.push(PlantOutput::Close(self.id.clone()));
            self.disconnected(now);
        }
        self.link = Link::Down(now + lasts);
    }

    /// Hears and says nothing until then.
    pub fn isolate(&mut self, until: Instant) {
        self.isolated_until = Some(until);
    }

    /// Loses power, and boots after `off`.
    pub fn reboot(&mut self, off: Duration, now: Instant, out: &mut Vec<PlantOutput>) {
        self.cut(off, now, out);
        self.off_until = Some(now + off);
        self.booted = false;
        for index in 0..self.connectors.len() {
            if !self.behaviour.resumes && self.connectors[index].run().is_some() {
                self.end(index, "PowerLoss", Stage::Over(EvseStatus::Finishing), now);
            }
            let connector = &mut self.connectors[index];
            if connector.stage == Stage::Authorizing {
                connector.stage = Stage::Plugged(now + off);
            }
            connector.told = None;
            connector.dark(now);
        }
    }

    /// Every trouble of its own and of its link is over.
    pub fn heal(&mut self, now: Instant) {
        self.isolated_until = None;
        self.behave(Behaviour::default(), now);
        if let Link::Down(retry) = self.link {
            self.link = Link::Down(retry.min(now + RETRY));
        }
    }

    /// Follows its limits, tells changed states, and sends what waits.
    pub(super) fn settle(&mut self, now: Instant, out: &mut Vec<PlantOutput>) {
        if self.off_until.is_some() {
            return;
        }
        let time = self.time(now);
        for index in 0..self.connectors.len() {
            let connector = &self.connectors[index];
            let force = match &connector.stage {
                Stage::Running(_) => Some(self.store.at(self.place(connector), time)),
                _ => None,
            };
            let limit = match force {
                Some(force) if !self.behaviour.ignores_limits => force.limit,
                _ => None,
            };
            let (reaction, voltage, clock) = (self.behaviour.reaction, self.voltage, self.clock);
            let connector = &mut self.connectors[index];
            let edge = force.and_then(|force| force.until);
            connector.edge_at = edge.map(|edge| Instant::from_millis(edge - clock));
            let before = connector.drawn;
            connector.settle(limit.unwrap_or(connector.rated), reaction, voltage, now);
            if let (Some(after), Stage::Running(run)) =
                (self.behaviour.tells_changes_after, &mut connector.stage)
                && before != connector.drawn
            {
                let due = now + after;
                run.sample_at = run.sample_at.map(|periodic| periodic.min(due));
            }
            let status = connector.status();
            if connector.told != Some(status) && self.booted && self.link == Link::Up {
                connector.told = Some(status);
                let told = Message::Status { connector: connector.number, status, at: time };
                self.news.push_back(told);
            }
        }
        self.send(now, out);
    }

    /// Sends the next message, if none waits for its answer: boot, then news, then what was kept.
    fn send(&mut self, now: Instant, out: &mut Vec<PlantOutput>) {
        if self.link != Link::Up || self.isolated_until.is_some() || self.asked.is_some() {
            return;
        }
        let next = if !self.booted {
            (self.boot_at <= now).then_some((Message::Boot, 0))
        } else if let Some(message) = self.news.pop_front() {
            Some((message, 0))
        } else if let Some(kept) = self.kept.pop_front() {
            Some(kept)
        } else {
            (self.heartbeat_at <= now).then_some((Message::Heartbeat, 0))
        };
        let Some((message, attempts)) = next else { return };
        self.messages += 1;
        self.heartbeat_at = now + self.settings.heartbeat_interval;
        let given = message.run().and_then(|run| self.ids.get(&run)).copied().unwrap_or(-1);
        let serial = self.id.as_str();
        let text = message.frame(self.messages, serial, given, &self.settings.measurands);
        self.asked = Some(Asked { id: self.messages, message, since: now, attempts });
        out.push(PlantOutput::Frame { charge_point: self.id.clone(), text });
    }
}
