//! One charge point with its live link: frames in, the next call out.
//!
//! Invariants: at most one call of ours is in flight per link; answers go before questions; a
//! reduction goes before everything but the clearing that would undo it.

use std::collections::VecDeque;

use crate::ground::ids::{ChargePointId, EvseIndex, LinkId};
use crate::ground::time::{Duration, Instant};
use crate::model::ask::{Ask, AskId, AskOutcome};
use crate::model::event::EventKind;
use crate::model::message::{Answer, Call, Command, LimitScope, Outcome, Report};
use crate::model::security::{CertificateAsk, Wake};

use super::boot;
use super::capability::Capability;
use super::frame::{ErrorCode, Fault, Frame, emit_call, emit_error, parse};
use super::incoming::{Incoming, called, decided};
use super::lease;
use super::link::Link;
use super::local_list;
use super::profile::{composite_request, safe_profile};
use super::station::{Connector, Said, Station};
use super::task::{Proof, Question, Reply, Task, Wanted, change, clear, read, trigger};
use super::traffic::{PointSetup, PointView, Step};

/// A charger that says nothing by itself is spoken to after this.
const FIRST_FRAME: Duration = Duration::seconds(3);

/// No charger is asked for a sign of life sooner.
const SILENCE_MIN: Duration = Duration::seconds(90);

/// The composite schedule is looked at so far beyond the lease.
const LOOK_BEYOND: Duration = Duration::seconds(120);

/// Connections of one identity within this time, to tell two boxes with one name …
const FLAPPING_WITHIN: Duration = Duration::minutes(5);

/// … of which so many are one too many.
const FLAPPING_FROM: usize = 3;

/// Replaced connections are told once in this time.
const REPLACED_AGAIN: Duration = Duration::minutes(10);

/// … and two boxes with one name once in this.
const FLAPPING_AGAIN: Duration = Duration::hours(1);

/// Asks that wait for one charge point; people give a few, the local list some more.
const ASKS_MAX: usize = 64;

/// A charge point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What is known and wanted, also without a link.
    pub station: Station,
    link: Option<Link>,
    replaced: VecDeque<Instant>,
    learned: Capability,
    wake_at: Option<Instant>,
}

impl Point {
    /// As configured and remembered; not connected.
    pub fn new(setup: PointSetup) -> Self {
        let station = Station::new(setup);
        let learned = station.capability.clone();
        Self { station, link: None, replaced: VecDeque::new(), learned, wake_at: None }
    }

    /// The same charge point under another configuration: its link and all that is known stay.
    pub fn take_over(&mut self, old: &Point) {
        let connectors = std::mem::take(&mut self.station.connectors);
        *self = old.clone();
        let is_online = self.link.as_ref().is_some_and(|link| link.online);
        boot::reconfigured(&mut self.station, is_online);
        self.station.connectors = connectors;
        for connector in &mut self.station.connectors {
            let number = connector.setup.connector;
            let Some(index) = old.station.position(number) else { continue };
            let setup = connector.setup.clone();
            let evse = setup.evse;
            *connector = Connector { setup, ..old.station.connectors[index].clone() };
            connector.safe_rung = 0;
            connector.safe_refused = false;
            if let Some(pending) = &mut connector.lease.queued {
                pending.order.evse = evse;
            }
            if let Some(call) = self.link.as_mut().and_then(|link| link.in_flight.as_mut())
                && let Task::Limit { connector: flying, pending, .. } = &mut call.task
                && *flying == number
            {
                pending.order.evse = evse;
            }
        }
    }

    /// The link that is up.
    pub fn link_id(&self) -> Option<LinkId> {
        self.link.as_ref().map(|link| link.id)
    }

    /// For the view.
    pub fn view(&self) -> PointView {
        PointView {
            id: self.station.id.clone(),
            online: self.link.as_ref().is_some_and(|link| link.online),
            identity: self.station.identity.clone(),
            capability: self.station.capability.words(),
        }
    }

    /// When it has something to do at the latest; kept up to date by [`Self::settle`].
    pub fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }

    /// A connection is made; the newest wins, because the old one is half open as a rule.
    pub fn link_up(&mut self, step: &mut Step<'_>, id: LinkId, address: &str) {
        if let Some(old) = self.link.take() {
            step.out.disconnects.push((self.station.id.clone(), old.id, false));
            self.tell_replaced(step, &old.address, address);
            self.lose(step, old);
        } else {
            step.event(EventKind::LinkUp, &self.station.id, format!("connected from {address}"));
        }
        self.link = Some(Link::new(step.now, id, address));
    }

    fn tell_replaced(&mut self, step: &mut Step<'_>, old: &str, new: &str) {
        let now = step.now.mono;
        self.replaced.push_back(now);
        self.replaced.retain(|time| now.since(*time) <= FLAPPING_WITHIN);
        self.replaced.truncate(FLAPPING_FROM * 4);
        let times = self.replaced.len();
        let (said, pause) = if FLAPPING_FROM <= times {
            (Said::Flapping, FLAPPING_AGAIN)
        } else {
            (Said::Replaced, REPLACED_AGAIN)
        };
        if self.station.quiet.may_say(now, said, pause) {
            let text = replaced_text(&self.station.id, old, new, times);
            step.event(EventKind::LinkReplaced, &self.station.id, text);
        }
    }

    /// A connection is gone.
    pub fn link_down(&mut self, step: &mut Step<'_>, id: LinkId) {
        if let Some(link) = self.link.take_if(|link| link.id == id) {
            step.event(EventKind::LinkDown, &self.station.id, "connection closed".to_owned());
            self.lose(step, link);
        }
    }

    fn lose(&mut self, step: &mut Step<'_>, link: Link) {
        let in_flight = link.in_flight.map(|call| call.task);
        let asked = match &in_flight {
            Some(Task::Ask { id, .. }) => Some(*id),
            _ => None,
        };
        let waiting = std::mem::take(&mut self.station.asks);
        for ask in asked.into_iter().chain(waiting.into_iter().map(|(id, _)| id)) {
            let outcome = AskOutcome::failed("the connection went before it answered");
            step.report(Report::Asked { ask, outcome });
        }
        lease::offline(&mut self.station, step, in_flight);
        boot::offline(&mut self.station);
        local_list::offline(&mut self.station);
        if link.online {
            step.report(Report::Offline { charge_point: self.station.id.clone() });
        }
    }

    /// A frame came in; false where it is from an old link and does not count.
    pub fn frame(&mut self, step: &mut Step<'_>, id: LinkId, text: &str) -> bool {
        let Some(link) = self.link.as_mut().filter(|link| link.id == id) else {
            return false;
        };
        link.hear(step.now.mono);
        if !link.online {
            link.online = true;
            boot::online(&mut self.station, step);
        }
        match parse(text) {
            Ok(Frame::Call { id: message, action, payload }) => {
                let call = Incoming { link: id, id: &message, action: &action, payload, text };
                called(&mut self.station, step, &call);
            }
            Ok(Frame::Result { id: message, payload }) => {
                self.land(step, &message, &Reply::Result(payload));
            }
            Ok(Frame::Error { id: message, code, description }) => {
                let words = format!("{code}: {description}");
                let words = super::repair::cut(words.trim_end_matches([':', ' '])).to_owned();
                self.land(step, &message, &Reply::Error(words));
            }
            Err(Fault::UnknownType | Fault::BrokenAnswer) => step.counters.frames_bad += 1,
            Err(Fault::NotFrame) => {
                self.station.tell_refused(step, "a frame that is no OCPP-J".to_owned());
            }
            Err(Fault::BrokenCall { id: message, why }) => {
                let text = emit_error(&message, ErrorCode::FormationViolation, why);
                step.send(&self.station.id, id, text, false);
                self.station.tell_refused(step, format!("a call with {why}"));
            }
        }
        true
    }

    /// An answer came; late and foreign ones are only counted.
    fn land(&mut self, step: &mut Step<'_>, message: &str, reply: &Reply<'_>) {
        match self.link.as_mut().and_then(|link| link.land(message)) {
            Some(task) => self.ended(step, task, reply),
            None => step.counters.frames_bad += 1,
        }
    }

    /// A question of ours has come to its end.
    fn ended(&mut self, step: &mut Step<'_>, task: Task, reply: &Reply<'_>) {
        let station = &mut self.station;
        let now = step.now.mono;
        match task {
            Task::Clear => boot::cleared(station, reply),
            Task::SafeShare { connector, .. } => {
                boot::safe_share_done(station, step, connector, reply);
            }
            Task::Limit { connector, mode, pending } => {
                lease::answered(station, step, connector, mode, pending, reply);
            }
            Task::Composite { connector, proof: Proof::Lease { promise, mode } } => {
                lease::looked_at(station, step, connector, &promise, mode, reply);
            }
            Task::Composite { connector, proof: Proof::SafeShare } => {
                boot::safe_share_seen(station, step, connector, reply);
            }
            Task::Trigger { wanted, connector } => {
                boot::triggered(station, now, wanted, connector, reply);
            }
            Task::Read { keys } => boot::was_read(station, step, &keys, reply),
            Task::Change { .. } => boot::was_changed(station, reply),
            Task::Ask { id, question } => asked(station, step, id, &question, reply),
            Task::List { question } => local_list::answered(station, step, &question, reply),
            Task::ClearCache => {}
            Task::Restart => restarted(station, step, reply),
        }
    }

    /// The controller wants something of one of its EVSEs.
    pub fn command(&mut self, step: &mut Step<'_>, command: Command) {
        let online = self.link.as_ref().is_some_and(|link| link.online);
        match command {
            Command::Limit(order) => match self.station.position_of(order.evse) {
                Some(index) if online => lease::order(&mut self.station, step, index, order),
                _ => {
                    let (evse, ticket) = (order.evse, order.ticket);
                    let outcome = Outcome::NotSent;
                    step.report(Report::Limit { evse, ticket, scope: LimitScope::None, outcome });
                }
            },
            Command::MeterNow { evse } => {
                if let Some(index) = self.station.position_of(evse)
                    && online
                {
                    let connector = self.station.connectors[index].setup.connector;
                    boot::meter_now(&mut self.station, step.now.mono, connector);
                }
            }
            Command::Ask { id, evse, ask, .. } => self.take_ask(step, id, evse, ask, online),
            Command::LocalList { entries, .. } => local_list::want(&mut self.station, entries),
        }
    }

    /// Queues an ask, or tells at once why it cannot be asked.
    fn take_ask(
        &mut self,
        step: &mut Step<'_>,
        id: AskId,
        evse: Option<EvseIndex>,
        ask: Ask,
        online: bool,
    ) {
        let position = evse.and_then(|evse| self.station.position_of(evse));
        let connector = match position {
            Some(index) => self.station.connectors[index].setup.connector,
            None if is_of_one(&ask) => self.station.only_connector().unwrap_or(0),
            None => 0,
        };
        let question = Question { ask, connector };
        let refusal = match question.check() {
            Err(why) => Some(why),
            Ok(()) if !online => Some(format!("{} is not connected", self.station.id)),
            Ok(()) if ASKS_MAX <= self.station.asks.len() => {
                Some("too much is waiting for it already; try again in a moment".to_owned())
            }
            Ok(()) => None,
        };
        match refusal {
            Some(why) => {
                let outcome = AskOutcome::failed(why);
                step.report(Report::Asked { ask: id, outcome });
            }
            None => self.station.asks.push_back((id, question)),
        }
    }

    /// The controller has decided on a call.
    pub fn answer(&mut self, step: &mut Step<'_>, call: &Call, answer: Answer, after_commit: bool) {
        let link = self.link_id();
        decided(&mut self.station, step, link, call, answer, after_commit);
    }

    /// Time has passed.
    pub fn wake(&mut self, step: &mut Step<'_>) {
        let now = step.now.mono;
        let Some(link) = self.link.as_mut() else { return };
        if !link.online && link.since + FIRST_FRAME <= now {
            link.online = true;
            boot::online(&mut self.station, step);
        }
        let Some(task) = link.give_up(now) else { return };
        let is_silent = link.heard + silence(step) <= now;
        let is_probe = matches!(task, Task::Trigger { wanted: Wanted::Heartbeat, .. });
        let is_lost = link.is_deaf() || (is_probe && is_silent);
        self.ended(step, task, &Reply::Timeout);
        if is_lost && let Some(link) = self.link.take() {
            let text = if is_silent { "silent" } else { "talks but answers nothing" };
            step.event(EventKind::Deaf, &self.station.id, text.to_owned());
            let politely = !self.station.quirk().hard_drop;
            step.out.disconnects.push((self.station.id.clone(), link.id, politely));
            self.lose(step, link);
            lease::spared(&mut self.station);
        }
    }

    /// After everything else: sends the next call, tells what was learned, sets the alarm clock.
    pub fn settle(&mut self, step: &mut Step<'_>) {
        if let Some(link) = self.link.as_ref()
            && link.online
            && link.in_flight.is_none()
            && let Some(task) = self.pick(step)
        {
            self.ask(step, task);
        }
        if self.learned != self.station.capability {
            self.learned = self.station.capability.clone();
            let charge_point = self.station.id.clone();
            let capability = self.learned.to_text();
            step.report(Report::Learned { charge_point, capability });
        }
        self.wake_at = self.next_wake(step);
    }

    fn pick(&mut self, step: &Step<'_>) -> Option<Task> {
        let now = step.now.mono;
        let station = &mut self.station;
        if std::mem::take(&mut station.boot.clear) {
            return Some(Task::Clear);
        }
        let looked_at = |station: &mut Station| {
            station.connectors.iter_mut().find_map(|own| {
                let proof = own.lease.proof.take()?;
                Some(Task::Composite { connector: own.setup.connector, proof })
            })
        };
        let idle = |station: &mut Station| {
            let own = station.connectors.iter_mut().find(|own| own.check_safe && own.is_idle())?;
            own.check_safe = false;
            let connector = own.setup.connector;
            Some(Task::Composite { connector, proof: Proof::SafeShare })
        };
        let is_silent = self.link.as_ref().is_some_and(|link| link.heard + silence(step) <= now);
        let probe = Task::Trigger { wanted: Wanted::Heartbeat, connector: None };
        lease::next(station, now, true)
            .or_else(|| boot::next_safe_share(station))
            .or_else(|| lease::next(station, now, false))
            .or_else(|| {
                let (id, question) = station.asks.pop_front()?;
                Some(Task::Ask { id, question: Box::new(question) })
            })
            .or_else(|| looked_at(station))
            .or_else(|| idle(station))
            .or_else(|| boot::next_trigger(station, now))
            .or_else(|| boot::next_configuration(station))
            .or_else(|| boot::next_restart(station))
            .or_else(|| boot::next_clear_cache(station, step))
            .or_else(|| local_list::next(station))
            .or_else(|| is_silent.then_some(probe))
    }

    fn ask(&mut self, step: &mut Step<'_>, task: Task) {
        let station = &self.station;
        let unit = station.capability.ability.units(&station.quirk())[0];
        let mut after_commit = false;
        let (action, payload) = match &task {
            Task::Clear => clear(),
            Task::SafeShare { connector, form } => {
                let index = station.position(*connector).unwrap_or(0);
                let own = &station.connectors[index];
                let supply = own.supply(step.settings.voltage);
                let request = safe_profile(form, *connector, &supply, own.setup.safe);
                ("SetChargingProfile", super::message::json(&request))
            }
            Task::Limit { connector, mode, pending } => {
                let Some((payload, waits)) =
                    lease::payload(station, step, *connector, mode, pending)
                else {
                    return;
                };
                after_commit = waits;
                step.counters.limits_sent += 1;
                ("SetChargingProfile", payload)
            }
            Task::Composite { connector, proof } => {
                let (span, unit) = match proof {
                    Proof::Lease { promise, mode } => (promise.ttl + LOOK_BEYOND, mode.unit),
                    Proof::SafeShare => (LOOK_BEYOND, unit),
                };
                let request = composite_request(*connector, span, unit);
                ("GetCompositeSchedule", super::message::json(&request))
            }
            Task::Trigger { wanted, connector } => trigger(*wanted, *connector),
            Task::Read { keys } => read(keys),
            Task::Change { key, value } => change(key, value),
            Task::ClearCache => {
                let question = Question { ask: Ask::ClearCache, connector: 0 };
                question.payload(station.wire_now(step.now))
            }
            Task::Restart => {
                let question = Question { ask: Ask::Reset { hard: false }, connector: 0 };
                question.payload(station.wire_now(step.now))
            }
            Task::List { question } => question.payload(station.wire_now(step.now)),
            Task::Ask { question, .. } => {
                // A reservation is on disk before the charger hears of it.
                after_commit = matches!(question.ask, Ask::Reserve { .. });
                question.payload(station.wire_now(step.now))
            }
        };
        let Some(link) = self.link.as_mut() else { return };
        let id = link.fly(step.now.mono, task, step.settings.charging.call_timeout);
        let text = emit_call(&id, action, &payload);
        step.send(&self.station.id, link.id, text, after_commit);
    }

    fn next_wake(&self, step: &Step<'_>) -> Option<Instant> {
        let link = self.link.as_ref()?;
        if !link.online {
            return Some(link.since + FIRST_FRAME);
        }
        if let Some(call) = &link.in_flight {
            return Some(call.deadline);
        }
        let orders = self.station.connectors.iter().filter_map(|own| own.lease.queued.as_ref());
        let orders = orders.map(|pending| pending.not_before);
        let triggers = self.station.boot.triggers.iter().map(|trigger| trigger.not_before);
        let moments = orders.chain(triggers).chain([link.heard + silence(step)]);
        // What is due and was not picked waits for something else than time.
        moments.filter(|moment| step.now.mono < *moment).min()
    }
}

/// Whether a message is wanted that each connector sends for itself.
fn is_trigger_of_one(certificate: &CertificateAsk) -> bool {
    matches!(certificate, CertificateAsk::Trigger { message: Wake::Meter | Wake::Status })
}

/// Whether an ask is about one connector, so that an only connector is meant where none is named.
fn is_of_one(ask: &Ask) -> bool {
    match ask {
        Ask::Unlock | Ask::Start { .. } | Ask::Schedule { .. } => true,
        Ask::Certificate { certificate } => is_trigger_of_one(certificate),
        Ask::Reset { .. }
        | Ask::Availability { .. }
        | Ask::Stop { .. }
        | Ask::Read { .. }
        | Ask::Change { .. }
        | Ask::ClearCache
        | Ask::Trigger { .. }
        | Ask::Data { .. }
        | Ask::ListVersion
        | Ask::SendList { .. }
        | Ask::Reserve { .. }
        | Ask::CancelReservation { .. }
        | Ask::Firmware { .. }
        | Ask::Upload { .. }
        | Ask::ClearProfile { .. } => false,
    }
}

fn restarted(station: &Station, step: &mut Step<'_>, reply: &Reply<'_>) {
    let text = format!("a changed setting needs a restart: {}", reply.words());
    step.event(EventKind::RestartForChange, &station.id, text);
}

/// What an ask came to; what was learned of the configuration by the way is kept.
fn asked(
    station: &mut Station,
    step: &mut Step<'_>,
    id: AskId,
    question: &Question,
    reply: &Reply<'_>,
) {
    let outcome = question.outcome(reply);
    if let (Ask::Change { key, value }, true) = (&question.ask, outcome.accepted) {
        boot::known(station, key, value);
        station.boot.restart |= outcome.status.eq_ignore_ascii_case("RebootRequired");
    }
    step.report(Report::Asked { ask: id, outcome });
}

fn silence(step: &Step<'_>) -> Duration {
    (step.settings.charging.heartbeat_interval * 3).max(SILENCE_MIN)
}

/// Says that a connection took the place of another.
fn replaced_text(id: &ChargePointId, old: &str, new: &str, times: usize) -> String {
    if times < 3 {
        return format!("connected from {new} while the connection from {old} was open");
    }
    format!("{times} connections as {id} in 5 min, from {old} and {new}: two boxes with one name?")
}
