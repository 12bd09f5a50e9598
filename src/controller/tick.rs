//! The decision: one look at the whole image, one set of limits, at most about once a second.

use crate::control::situation::{EvseFacts, OtherLoad, Setpoint};
use crate::ground::ids::EvseIndex;
use crate::ground::time::{Duration, Instant, Now};
use crate::model::bound::{Bound, Cause};
use crate::model::event::EventKind;
use crate::model::message::{Command, EvseStatus, LimitOrder};
use crate::model::record::{Record, SetpointRecord};
use crate::ocpp::traffic::Traffic;

use super::message::{Outbox, Output};
use super::state::State;

/// A broken constraint is told to people after this long.
pub const OVERLOAD_TOLD: Duration = Duration::seconds(10);
/// Chargers have so long after a start to come back. Until then one that is not heard yet is
/// allowed for with all that it may draw, as ever, but that alone is no alarm.
const ARRIVING: Duration = Duration::minutes(5);

impl State {
    /// Decides if a decision is due.
    pub fn tick_if_due(&mut self, now: Now, out: &mut Outbox) {
        if self.tick_at(now.mono).is_some_and(|at| at <= now.mono) {
            self.tick(now, out);
        }
    }

    /// When the next decision is due, for whatever reason. What ran out since the last decision is
    /// still to be decided on, so it is looked for from then and not from `now`.
    pub fn tick_at(&self, now: Instant) -> Option<Instant> {
        const BETWEEN: Duration = Duration::seconds(1);
        let seen = self.decided.unwrap_or(now);
        let floor = self.decided.map_or(now, |decided| decided + BETWEEN);
        let expiry = |(image, meter): (&super::image::MeterImage, _)| image.expires(meter, seen);
        let silent = self.meters.iter().zip(&self.site.meters).filter_map(expiry).min();
        let waiting = self.evses.iter().filter_map(|evse| evse.wake_at()).min();
        let planned = self.planning.wake_at(self.settle_time());
        let planned = planned.filter(|_| self.site.plan.is_some());
        let later = [
            self.control.wake_at(seen),
            silent,
            waiting,
            self.reservation_wake_at(),
            self.campaign_wake_at(seen),
            self.free_wake_at(),
            self.drill_wake_at(),
            self.revive_wake_at(),
            self.abandoned_wake_at(),
            self.lists_at,
            self.partner_wake_at(seen),
            self.outer_wake_at(),
            self.contacts_wake_at(seen),
            self.vouching_wake_at(),
            self.overload_wake_at(seen),
            planned,
        ];
        let later = later.into_iter().flatten().min().map(|at| at.max(floor));
        [self.due, later].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Now, out: &mut Outbox) {
        (self.due, self.decided) = (None, Some(now.mono));
        self.watch_meters(now, out);
        self.watch_contacts(now, out);
        self.watch_outer(now, out);
        self.promote(now, out);
        self.close_abandoned(now, out);
        self.watch_reservations(now, out);
        self.watch_campaigns(now, out);
        self.vouching_expires(now, out);
        self.hand_out_lists(now, out);
        self.start_free(now, out);
        self.revive(now, out);
        self.watch_drill(now, out);
        let loads = self.other_loads(now.mono);
        self.plan_if_due(now, out);
        let facts = self.facts(now);
        let setpoints = self.control.decide(now.mono, &loads, &facts);
        for setpoint in setpoints {
            self.order(now, &setpoint, out);
        }
        self.watch_overloads(now, &loads, out);
        self.watch_obedience(now, out);
    }

    fn facts(&mut self, now: Now) -> Vec<EvseFacts> {
        let mut planned = self.steer(now);
        let fact = |(index, evse): (usize, &super::evse::EvseState)| EvseFacts {
            online: self.is_online(index),
            charging_since: evse.live.map(|live| live.since),
            paused_by_car: evse.status == EvseStatus::SuspendedEv,
            bounds: planned[index]
                .take()
                .into_iter()
                .chain(self.partner_bounds(index, now.mono))
                .chain(self.outer_bounds(index, now.mono))
                .chain(self.failsafe_bound(index))
                .collect(),
        };
        self.evses.iter().enumerate().map(fact).collect()
    }

    /// The whole site is held at its safe shares.
    fn failsafe_bound(&self, evse: EvseIndex) -> Option<Bound> {
        let words = self.site.charging.failsafe.clone()?;
        let limit = self.site.diagram.evses[evse].safe;
        Some(Bound { limit, cause: Cause::Policy { words } })
    }

    /// The lease is written down first; a raise leaves only when it is on disk.
    fn order(&mut self, now: Now, setpoint: &Setpoint, out: &mut Outbox) {
        let evse = setpoint.evse;
        self.keep_lease(evse, out);
        let live = self.evses[evse].live;
        if !setpoint.refresh {
            self.evses[evse].touch(now.mono);
            self.totals.setpoints += 1;
            if let Some(at) = now.utc {
                out.push(Output::Record(Record::Setpoint(SetpointRecord {
                    evse: self.site.diagram.evses[evse].id.clone(),
                    session: live.map(|live| live.session),
                    at,
                    limit_a: setpoint.limit,
                    cause: setpoint.cause.clone(),
                })));
            }
        }
        let command = Command::Limit(LimitOrder {
            evse,
            ticket: setpoint.ticket,
            transaction: live.map(|live| live.transaction),
            live: setpoint.limit,
            safe: self.site.diagram.evses[evse].safe,
            ttl: self.site.lease.ttl,
            urgent: setpoint.lowers,
        });
        let mut traffic = Traffic::default();
        self.central.command(now, command, &mut traffic);
        self.absorb(now, traffic, out);
    }

    /// Tells once when a meter falls silent, and forgets what was concluded from it.
    fn watch_meters(&mut self, now: Now, out: &mut Outbox) {
        let site = self.site.clone();
        for (index, meter) in site.meters.iter().enumerate() {
            let image = &self.meters[index];
            if image.is_fresh(meter, now.mono) || image.told_silent {
                continue;
            }
            let since = image.oldest(meter).unwrap_or(self.started);
            let silence = now.mono.since(since);
            if silence <= meter.max_age {
                continue;
            }
            self.meters[index].told_silent = true;
            for (node, placed) in site.diagram.nodes.iter().enumerate() {
                if placed.meter.as_ref() == Some(&meter.id) {
                    self.loads.forget(node);
                }
            }
            let text = format!("silent for {silence}; the worst load is assumed behind it");
            self.event(now, EventKind::MeterSilent, meter.id.as_str(), text, out);
        }
    }

    /// A constraint that cannot hold the worst case is usual for the moment until reductions are
    /// confirmed; people are told when it lasts.
    fn watch_overloads(&mut self, now: Now, loads: &[OtherLoad], out: &mut Outbox) {
        let arriving = now.mono.since(self.started) < ARRIVING;
        let counts = |evse: EvseIndex| !(arriving && self.evses[evse].may_draw());
        let overloads = self.control.overloads(now.mono, loads, counts);
        let before = std::mem::take(&mut self.overloads);
        for overload in &overloads {
            let since = before.get(&overload.name).copied().unwrap_or(now.mono);
            self.overloads.insert(overload.name.clone(), since);
            if OVERLOAD_TOLD <= now.mono.since(since) {
                let text = overload.words();
                self.event_seldom(now, EventKind::Overload, &overload.name, text, out);
            }
        }
        for (name, since) in before {
            if !self.overloads.contains_key(&name) && OVERLOAD_TOLD <= now.mono.since(since) {
                let text = "everything fits again".to_owned();
                self.event_seldom(now, EventKind::OverloadOver, &name, text, out);
            }
        }
    }

    /// When a constraint that cannot hold the worst case is due to be told, or chargers that never
    /// came begin to count.
    fn overload_wake_at(&self, seen: Instant) -> Option<Instant> {
        let told = self.overloads.values().map(|since| *since + OVERLOAD_TOLD);
        told.chain([self.started + ARRIVING]).filter(|at| seen < *at).min()
    }

    fn watch_obedience(&mut self, now: Now, out: &mut Outbox) {
        for evse in 0..self.evses.len() {
            let drawn = self.control.disobeys(evse);
            let before = std::mem::replace(&mut self.disobeying[evse], drawn.is_some());
            let name = || self.site.diagram.evses[evse].id.to_string();
            match (before, drawn) {
                (false, Some(drawn)) => {
                    let text = format!(
                        "draws {:.1} A though it accepted less; others make room for it",
                        drawn.as_f64()
                    );
                    let name = name();
                    self.event(now, EventKind::LimitIgnored, &name, text, out);
                }
                (true, None) => {
                    let name = name();
                    let text = "draws what it was told".to_owned();
                    self.event(now, EventKind::LimitObeyed, &name, text, out);
                }
                _ => {}
            }
        }
    }
}
