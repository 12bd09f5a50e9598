//! Floor 4: the controller joins the brains of floor 3; it is the only place that knows them all.
//!
//! One pure function: [`Controller::step`] takes the time and what happened, and returns everything
//! that follows. It holds no clock, no socket, no task and no random source, so the daemon and the
//! twin run the very same code, and a journal of inputs replays to the last byte.
//!
//! ```text
//! frame ─▶ ocpp ─▶ report ─▶ book, image ─▶ mark ┐
//! mqtt  ─▶ meter ─▶ facts ─▶ image, loads ─▶ mark ┼─▶ tick: control.decide ─▶ ocpp ─▶ frame
//! time  ─────────────────────────────────────────┘                          └▶ records, events
//! ```
//! A message never acts by itself: it may only bring the next decision forward, within the same
//! step when something is over its limit. Reading order: [`message`], `state`, `reports`, `tick`.

mod access;
mod asker;
mod asks;
mod book;
mod campaign;
mod contact;
mod contact_state;
mod drill;
mod evse;
mod feed_state;
mod feeds;
pub mod forecast_view;
mod image;
mod keep;
mod limit_memory;
mod limits_kept;
mod loads;
pub mod message;
mod need;
mod newcomers;
mod outer;
mod outer_limit;
mod outlook;
mod partner;
mod partner_limit;
pub mod plan_view;
mod planning;
mod power;
pub mod preference;
mod problem;
mod replan;
mod reports;
mod reserve;
mod revive;
pub mod savings;
mod snapshot;
mod spare;
mod state;
mod stay;
mod steer;
mod terms;
mod tick;
pub mod view;
mod vouch;
mod vouching;

use crate::ground::ids::RequestId;
use crate::ground::time::{Duration, Instant, Now};
use crate::meter;
use crate::model::event::EventKind;
use crate::model::message::Command;
use crate::model::record::{Record, Remembered};
use crate::model::site::Site;
use crate::ocpp::traffic::Traffic;

use crate::model::preference::Wish;
use message::{Answer, Input, Order, Outbox, Output, Refusal};
use preference::Asked;
use state::State;
use view::View;

/// The calendar may drift against the monotonic clock by this much before it counts as stepped.
const CLOCK_STEP: Duration = Duration::seconds(2);

/// The brain of a site. `Clone` and `PartialEq`: it can hold no handle to the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Controller {
    state: State,
}

impl Controller {
    /// A controller for this site that goes on where the store left off.
    pub fn new(site: Site, remembered: &Remembered, now: Now) -> Self {
        Self { state: State::new(site, remembered, now) }
    }

    /// Takes in what happened and adds everything that follows to `out`, in order. Total: whatever
    /// comes in, it ends in state, events and answers, never in a panic.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Outbox) {
        self.watch_clock(now, out);
        self.take(now, input, out);
        if self.state.central.wake_at().is_some_and(|at| at <= now.mono) {
            let mut traffic = Traffic::default();
            self.state.central.wake(now, &mut traffic);
            self.state.absorb(now, traffic, out);
        }
        self.state.tick_if_due(now, out);
    }

    /// When [`Input::Wake`] is wanted at the latest if nothing else happens.
    pub fn wake_at(&self, now: Instant) -> Instant {
        const IDLE: Duration = Duration::minutes(1);
        let due = [self.state.tick_at(now), self.state.central.wake_at()];
        due.into_iter().flatten().min().unwrap_or(now + IDLE).min(now + IDLE)
    }

    /// What people may see.
    pub fn view(&self, now: Now) -> View {
        self.state.view(now)
    }

    /// Everything that a restart would have to know; equal to what the store holds.
    pub fn remembered(&self) -> Remembered {
        self.state.remember()
    }

    /// What was learned since it was last written down, for the store at the end of the program.
    pub fn learned(&self) -> Vec<Record> {
        self.state.planning.learned().into_iter().map(Record::Learned).collect()
    }

    /// The same site under a changed configuration. Transactions, leases, meters and links are
    /// carried over; links to charge points that are gone are dropped.
    pub fn reconfigured(&self, site: Site, now: Now, out: &mut Outbox) -> Self {
        let mut traffic = Traffic::default();
        let mut next = Self { state: self.state.reconfigured(site, now, &mut traffic) };
        let text = "the configuration was loaded anew".to_owned();
        next.state.event(now, EventKind::Reconfigured, "", text, out);
        next.state.break_drill_off(now, out);
        next.state.absorb(now, traffic, out);
        next.state.tick_if_due(now, out);
        next
    }

    fn take(&mut self, now: Now, input: Input, out: &mut Outbox) {
        let mut traffic = Traffic::default();
        match input {
            Input::Wake => {}
            Input::LinkUp { charge_point, link, address } => {
                self.state.central.link_up(now, &charge_point, link, &address, &mut traffic);
            }
            Input::LinkDown { charge_point, link } => {
                self.state.central.link_down(now, &charge_point, link, &mut traffic);
            }
            Input::Frame { charge_point, link, text } => {
                self.state.central.frame(now, &charge_point, link, &text, &mut traffic);
                self.state.absorb(now, traffic, out);
                return self.react(now);
            }
            Input::LinkRefused { identity, address, why } => {
                self.refused(now, &identity, &address, why, out);
            }
            Input::Mqtt { topic, payload, retained } => {
                self.metered(now, &topic, &payload, retained, out);
            }
            Input::BrokerUp => self.broker(now, None, out),
            Input::BrokerDown { why } => self.broker(now, Some(why), out),
            Input::Store { failing } => self.store(now, failing, out),
            Input::Noticed { kind, subject, text } => {
                self.state.event(now, kind, &subject, text, out);
            }
            Input::Series { kind, received } => {
                self.state.planning.outlook.receive(kind, received);
                self.state.planning.changed();
                self.state.mark(now.mono);
            }
            Input::Feed { feed, payload } => self.state.fed(now, &feed, &payload, out),
            Input::FeedFailed { feed, why } => self.state.feed_failed(now, &feed, &why, out),
            Input::Contact { contact, closed, why } => {
                self.state.contact_read(now, &contact, closed.ok_or(why));
            }
            Input::Solved { number, plan } => {
                self.state.solved(now, number, plan.map(|plan| *plan), out);
            }
            Input::Operator { request, order } => {
                // Where a charger has to answer first, the reply comes with its answer.
                if let Some(answer) = self.order(now, request, order, &mut traffic, out) {
                    out.push(Output::Reply { request, answer });
                }
            }
        }
        self.state.absorb(now, traffic, out);
    }

    fn order(
        &mut self,
        now: Now,
        request: RequestId,
        order: Order,
        traffic: &mut Traffic,
        out: &mut Outbox,
    ) -> Option<Answer> {
        match order {
            Order::MeterNow { evse } => {
                let Some(index) = self.state.site.diagram.evse(&evse) else {
                    return Some(Answer::Refused { why: format!("there is no EVSE {evse}") });
                };
                if !self.state.is_online(index) {
                    return Some(Answer::Refused { why: format!("{evse} is not connected") });
                }
                self.state.central.command(now, Command::MeterNow { evse: index }, traffic);
                Some(Answer::Done)
            }
            Order::Charger { target, ask } => {
                self.state.ask_of_person(now, request, &target, ask, traffic)
            }
            Order::Reserve { target, token, group, until } => {
                let wanted = reserve::Wanted { target, token, group, until };
                self.state.reserve(now, request, wanted, traffic, out)
            }
            Order::CancelReservation { id } => Some(self.state.give_up(now, id, traffic, out)),
            Order::CancelReservationOf { target } => {
                Some(self.state.give_up_at(now, &target, traffic, out))
            }
            Order::Campaign { location, signed, targets } => {
                let wanted = campaign::Wanted { location, signed, targets };
                Some(self.state.begin_campaign(now, wanted, out))
            }
            Order::CancelCampaign { id } => Some(self.state.cancel_campaign(now, id, out)),
            Order::Drill { evse } => Some(self.state.begin_drill(now, &evse, out)),
            Order::Prefer { evse, session, wish, source } => {
                if wish.is_empty() {
                    let expected = "an energy, a state of charge or a departure";
                    return Some(Answer::Refused {
                        why: format!("nothing was said: expected {expected}"),
                    });
                }
                Some(self.state.prefer(now, Asked { evse, session, wish, source }, out))
            }
            Order::Forget { token } => Some(self.state.forget(now, token, out)),
            Order::Vouch { ask, token, accepted } => {
                self.state.vouch(now, ask, (&token, accepted), traffic, out);
                Some(Answer::Done)
            }
            Order::AskPartners { active } => {
                self.state.vouching.active = active;
                Some(Answer::Done)
            }
            Order::PartnerLimit { evse, partner, limit, lasts } => {
                Some(self.state.partner_limit(now, &evse, partner, (limit, lasts), out))
            }
            Order::OuterLimit { of, source, lasts } => {
                Some(self.state.outer_limit(now, of, source, lasts, out))
            }
            Order::ClearPreference { evse, session, source } => {
                let wish = Wish::default();
                Some(self.state.prefer(now, Asked { evse, session, wish, source }, out))
            }
        }
    }

    fn metered(&mut self, now: Now, topic: &str, payload: &[u8], retained: bool, out: &mut Outbox) {
        self.state.totals.mqtt_in += 1;
        let site = self.state.site.clone();
        let fed = self.state.published(now, topic, payload, out);
        let decoded = meter::decode(&site.meters, topic, payload);
        if !decoded.known && !fed {
            let text = "no meter of the configuration listens to this topic".to_owned();
            self.state.event_seldom(now, EventKind::MeterUnreadable, topic, text, out);
        }
        for (index, problem) in decoded.problems {
            let text = format!("topic {topic}: {problem}");
            let meter = site.meters[index].id.as_str();
            self.state.event_seldom(now, EventKind::MeterUnreadable, meter, text, out);
        }
        if retained {
            // A retained message may be days old: it says nothing of the present.
            return;
        }
        let mut touched: Vec<usize> = Vec::new();
        for fact in &decoded.facts {
            self.state.meters[fact.meter].apply(fact, now.mono);
            if !touched.contains(&fact.meter) {
                touched.push(fact.meter);
            }
        }
        for index in touched {
            self.conclude(now, index, out);
        }
        self.react(now);
    }

    /// A meter has new values: what follows for the nodes that it measures.
    fn conclude(&mut self, now: Now, index: usize, out: &mut Outbox) {
        let site = self.state.site.clone();
        let meter = &site.meters[index];
        let voltage = site.diagram.voltage;
        let Some(total) = self.state.meters[index].current(meter, now.mono, voltage) else {
            return;
        };
        if std::mem::take(&mut self.state.meters[index].told_silent) {
            let text = "heard again".to_owned();
            self.state.event(now, EventKind::MeterHeard, meter.id.as_str(), text, out);
        }
        for (node, placed) in site.diagram.nodes.iter().enumerate() {
            if placed.meter.as_ref() == Some(&meter.id) {
                let draws = self.state.draws(now);
                self.state.loads.metered(&site.diagram, node, total, &draws, now.mono);
            }
        }
        self.state.mark(now.mono);
    }

    /// Brings the decision into this step when something may be over its limit.
    fn react(&mut self, now: Now) {
        if self.state.due.is_none() {
            return;
        }
        let loads = self.state.other_loads(now.mono);
        if self.state.control.is_over(now.mono, &loads) {
            self.state.mark_urgent(now.mono);
        }
    }

    fn refused(&mut self, now: Now, identity: &str, from: &str, why: Refusal, out: &mut Outbox) {
        let (kind, text) = match why {
            Refusal::UnknownIdentity => (
                EventKind::UnknownIdentity,
                format!(
                    "a charger at {from} calls itself \"{identity}\": not in the configuration"
                ),
            ),
            Refusal::Handshake(why) => {
                (EventKind::HandshakeRefused, format!("connection from {from}: {why}"))
            }
            Refusal::Login(why) => {
                (EventKind::LoginRefused, format!("connection from {from}: {why}"))
            }
            Refusal::Certificate(why) => {
                (EventKind::CertificateRefused, format!("connection from {from}: {why}"))
            }
            Refusal::Protocol(why) => {
                (EventKind::FrameRefused, format!("connection from {from} dropped: {why}"))
            }
        };
        self.state.event_seldom(now, kind, identity, text, out);
    }

    fn broker(&mut self, now: Now, down: Option<String>, out: &mut Outbox) {
        let was_down = std::mem::replace(&mut self.state.broker_down, down.clone()).is_some();
        match down {
            Some(why) if !was_down => {
                self.state.event(now, EventKind::BrokerDown, "mqtt", why, out);
            }
            None => {
                let text = "connected and subscribed".to_owned();
                self.state.event(now, EventKind::BrokerUp, "mqtt", text, out);
            }
            Some(_) => {}
        }
    }

    fn store(&mut self, now: Now, failing: Option<String>, out: &mut Outbox) {
        if let Some(why) = &failing {
            let text = format!("{why}; facts are kept in memory meanwhile");
            self.state.event_seldom(now, EventKind::StoreFailed, "store", text, out);
        }
        let before = std::mem::replace(&mut self.state.store_failing, failing.clone());
        if let (Some(_), None) = (before, failing) {
            let text = "everything is written again".to_owned();
            self.state.event(now, EventKind::StoreWorks, "store", text, out);
        }
    }

    fn watch_clock(&mut self, now: Now, out: &mut Outbox) {
        let offset = now.utc.map(|utc| utc.as_millis() - now.mono.as_millis());
        let before = std::mem::replace(&mut self.state.clock_offset, offset);
        match (before, offset) {
            (None, Some(_)) if self.state.decided.is_some() => {
                let text = "schedules and records have their time".to_owned();
                self.state.event(now, EventKind::ClockTrusted, "", text, out);
                // What waits for the time of day need wait no longer.
                self.state.mark(now.mono);
            }
            (Some(before), Some(after)) => {
                let step = Duration::millis(after.saturating_sub(before));
                if CLOCK_STEP.as_millis() < step.as_millis().saturating_abs() {
                    let text = format!("stepped by {} s; leases do not care", step.as_seconds());
                    self.state.event(now, EventKind::ClockStepped, "", text, out);
                }
            }
            _ => {}
        }
    }
}
