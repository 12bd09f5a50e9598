//! Floor 3: what to offer each EVSE now. Pure; knows no protocol, and of a plan only intents.
//!
//! `situation` (plain values in and out) → `rows` (the diagram's limits as numbers) → `phases`
//! (which ones a car uses) → `ledger` (what each charger may believe) → `usage` (what cars make of
//! their offers) → `share` (what everybody should get) → `guard` (what may be said now; only ever
//! lowers) → [`Control::decide`] (what is worth saying). [`dispatch`] stands before them and turns
//! the plan's intents into bounds.
//!
//! Invariant (LIMIT-1): whatever answer is lost or late, on no row of the diagram does what the
//! chargers *may* draw by the ledger rise above the room that the other load leaves. When that load
//! itself rises, limits are lowered in the same decision.

pub mod dispatch;
mod guard;
mod ledger;
mod phases;
mod rows;
mod share;
pub mod situation;
mod usage;

use std::sync::Arc;

use crate::ground::ids::{EvseIndex, Ticket};
use crate::ground::time::{Duration, Instant};
use crate::ground::units::{Amps, PerPhase, PhaseSet};
use crate::model::bound::{Bound, Cause};
use crate::model::diagram::Diagram;
use crate::model::limit::ChargingLimit;
use crate::model::message::{Lapse, LimitScope, Outcome};
use crate::model::record::LeaseRecord;
use crate::model::site::LeasePolicy;

use guard::Guard;
use ledger::{Entry, Grant};
use rows::{Draw, Rows};
use share::{Participant, Turn};
use situation::{EvseFacts, OtherLoad, Overload, Setpoint};
use usage::Usage;

/// A charger that refused a limit in every form is asked again after this long.
const REFUSED_FOR: Duration = Duration::minutes(10);

/// Fewer limits than this leave in a millisecond.
const TICKETS_PER_MILLI: u64 = 1000;

/// The brain between the image and the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    diagram: Arc<Diagram>,
    policy: LeasePolicy,
    rows: Rows,
    /// A limit from outside on all chargers together; one of the rows.
    outer: Option<ChargingLimit>,
    ledger: Vec<Entry>,
    cars: Vec<Car>,
    tickets: u64,
    wake_at: Option<Instant>,
}

/// What a decision remembers of an EVSE apart from the ledger.
#[derive(Clone, Debug, PartialEq)]
struct Car {
    usage: Usage,
    turn: Turn,
    cause: Cause,
    changed: Option<Instant>,
    refused_until: Option<Instant>,
    /// Room for a car that is to come.
    reserved: bool,
    /// Told nothing but reductions: a drill runs.
    held: bool,
    link_down_since: Option<Instant>,
}

impl Control {
    /// Nothing is granted before what the store remembers is in the ledger.
    pub fn new(
        diagram: Arc<Diagram>,
        policy: LeasePolicy,
        remembered: &[LeaseRecord],
        now: Instant,
    ) -> Self {
        let entry = |evse| {
            let evse: &crate::model::diagram::Evse = evse;
            let record = remembered.iter().find(|record| record.evse == evse.id);
            Entry::new(evse, &policy, record, now)
        };
        let car = Car {
            usage: Usage::default(),
            turn: Turn::default(),
            cause: Cause::NeverConnected,
            changed: None,
            refused_until: None,
            reserved: false,
            held: false,
            link_down_since: None,
        };
        Self {
            rows: Rows::new(&diagram, policy.margin, None),
            outer: None,
            ledger: diagram.evses.iter().map(entry).collect(),
            cars: vec![car; diagram.evses.len()],
            // A ledger that begins anew within one run must not give a ticket twice.
            tickets: now.as_millis().max(0) as u64 * TICKETS_PER_MILLI,
            wake_at: None,
            diagram,
            policy,
        }
    }

    /// The charge point of an EVSE can be spoken to.
    pub fn link_up(&mut self, evse: EvseIndex) {
        self.ledger[evse].link_up();
        self.cars[evse].link_down_since = None;
    }

    /// The charge point of an EVSE is gone.
    pub fn link_down(&mut self, evse: EvseIndex, now: Instant) {
        self.ledger[evse].link_down();
        self.cars[evse].link_down_since.get_or_insert(now);
    }

    /// The permanent safe share was accepted, or not.
    pub fn safe_share(&mut self, evse: EvseIndex, accepted: bool) {
        self.ledger[evse].safe_share(accepted);
    }

    /// What became of a setpoint.
    pub fn answered(
        &mut self,
        evse: EvseIndex,
        ticket: Ticket,
        scope: LimitScope,
        outcome: &Outcome,
        now: Instant,
    ) {
        self.ledger[evse].answered(ticket, scope, outcome, now);
        match outcome {
            Outcome::Refused { .. } => self.cars[evse].refused_until = Some(now + REFUSED_FOR),
            Outcome::Accepted { .. } => self.cars[evse].refused_until = None,
            Outcome::NoAnswer | Outcome::NotSent => {}
        }
    }

    /// The composite schedule agreed with the fall to the safe share, or not.
    pub fn verified(&mut self, evse: EvseIndex, lapse: Lapse) {
        self.ledger[evse].verified(lapse);
    }

    /// A live reading, by grid phase.
    pub fn measured(&mut self, evse: EvseIndex, current: PerPhase<Amps>, now: Instant) {
        self.ledger[evse].measured(current, now);
    }

    /// A transaction draws from here on.
    pub fn session_began(&mut self, evse: EvseIndex, now: Instant) {
        self.ledger[evse].session_began(now);
        let car = &mut self.cars[evse];
        (car.usage, car.changed, car.refused_until) = (Usage::default(), None, None);
        car.turn.reset();
    }

    /// No transaction draws any more. Telling it twice does no harm.
    pub fn session_ended(&mut self, evse: EvseIndex) {
        self.ledger[evse].session_ended();
        self.cars[evse].turn.reset();
    }

    /// The most that an EVSE may draw, by grid phase (LIMIT-1).
    pub fn worst(&self, evse: EvseIndex, now: Instant) -> PerPhase<Amps> {
        self.ledger[evse].worst(now)
    }

    /// The limit that was last accepted in the running session.
    pub fn limit(&self, evse: EvseIndex) -> Option<Amps> {
        self.ledger[evse].accepted()
    }

    /// All chargers together may draw no more than this from here on; none = no such limit.
    pub fn limit_charging(&mut self, outer: Option<ChargingLimit>) {
        if self.outer != outer && !self.diagram.nodes.is_empty() {
            self.rows = Rows::new(&self.diagram, self.policy.margin, outer.as_ref());
            self.outer = outer;
        }
    }

    /// Keeps room for the minimum of a car that is to come to an EVSE, or no longer.
    pub fn keep_room(&mut self, evse: EvseIndex, is_kept: bool) {
        self.cars[evse].reserved = is_kept;
    }

    /// Whether the minimum of a car at an EVSE fits beside all that others may draw.
    pub fn has_room(&self, evse: EvseIndex, now: Instant, loads: &[OtherLoad]) -> bool {
        let load = self.rows.load(|other| {
            let draw = self.ledger[other].draw(now);
            if other != evse {
                return draw;
            }
            let minimum = self.ledger[evse].on_phases(ceil_deci(self.diagram.evses[evse].minimum));
            Draw { current: draw.current.zip(minimum, Amps::max), ..draw }
        });
        load.iter().zip(self.rows.room(loads)).all(|(load, room)| *load <= room)
    }

    /// Tells an EVSE nothing but reductions from here on, not even that its limit still holds; or
    /// no longer.
    pub fn hold(&mut self, evse: EvseIndex, is_held: bool) {
        self.cars[evse].held = is_held;
    }

    /// Why an EVSE gets what it gets, by the last decision.
    pub fn cause(&self, evse: EvseIndex) -> &Cause {
        &self.cars[evse].cause
    }

    /// Whether an EVSE falls to its safe share by itself, proven.
    pub fn is_armed(&self, evse: EvseIndex) -> bool {
        self.ledger[evse].is_armed()
    }

    /// What an EVSE draws though it was told less; none if it obeys.
    pub fn disobeys(&self, evse: EvseIndex) -> Option<Amps> {
        self.ledger[evse].disobeys()
    }

    /// The offer in force that the newest reading answers; none while that is open.
    pub fn offer_read(&self, evse: EvseIndex, now: Instant) -> Option<Amps> {
        let entry = &self.ledger[evse];
        entry.offer(now).filter(|_| entry.has_read_since_change() && !entry.awaits_answer())
    }

    /// The grid phases that the car at an EVSE was seen to load; none before that is certain.
    pub fn seen_phases(&self, evse: EvseIndex) -> Option<PhaseSet> {
        self.ledger[evse].seen_phases()
    }

    /// Whether the charger of an EVSE takes limits.
    pub fn is_tellable(&self, evse: EvseIndex) -> bool {
        self.cars[evse].refused_until.is_none() && self.ledger[evse].disobeys().is_none()
    }

    /// What the store must know of an EVSE before a raise may leave.
    pub fn lease_record(&self, evse: EvseIndex) -> LeaseRecord {
        self.ledger[evse].record()
    }

    /// The rows that cannot hold what those EVSEs that count may draw in the worst case.
    pub fn overloads(
        &self,
        now: Instant,
        loads: &[OtherLoad],
        counts: impl Fn(EvseIndex) -> bool,
    ) -> Vec<Overload> {
        let draw = |evse| if counts(evse) { self.ledger[evse].draw(now) } else { Draw::NOTHING };
        let drawn = self.rows.load(draw);
        let mut overloads = Vec::new();
        for (row, drawn) in self.rows.rows.iter().zip(drawn) {
            let excess = drawn - row.room(&loads[row.constraint.node], Amps::ZERO);
            if 0 < excess {
                let (excess, unit) = row.in_units(excess);
                overloads.push(Overload { name: row.constraint.name.clone(), excess, unit });
            }
        }
        overloads
    }

    /// Whether a breaker could be over its rating in the worst case. A limit from outside that
    /// cannot be held yet is no reason to decide more often.
    pub fn is_over(&self, now: Instant, loads: &[OtherLoad]) -> bool {
        let drawn = self.rows.load(|evse| self.ledger[evse].draw(now));
        let rows = self.rows.rows.iter().zip(drawn).filter(|(row, _)| !row.is_outer());
        rows.into_iter()
            .any(|(row, drawn)| row.room(&loads[row.constraint.node], Amps::ZERO) < drawn)
    }

    /// When a decision could come out differently although nothing is reported.
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        let lapses = self.ledger.iter().filter_map(|entry| entry.lapses_at(now)).min();
        [self.wake_at, lapses].into_iter().flatten().min()
    }

    /// Decides what is to be said now; each returned setpoint counts as sent from here on.
    /// `loads` is by node, `facts` by EVSE. Reductions come first.
    pub fn decide(
        &mut self,
        now: Instant,
        loads: &[OtherLoad],
        facts: &[EvseFacts],
    ) -> Vec<Setpoint> {
        self.look_at_cars(now, facts);
        let room = self.rows.room(loads);
        let cars = self.participants(now, facts);
        let wishes = self.wishes(now, loads, &room, &cars);
        let worst = self.ledger.iter().map(|entry| entry.draw(now)).collect();
        let rows = std::mem::replace(&mut self.rows, Rows::empty());
        let mut guard = Guard::new(&rows, &room, worst);
        let mut setpoints = Vec::new();
        let releases = self.releases(now, facts);
        let (lower, raise): (Vec<Wish>, Vec<Wish>) =
            wishes.into_iter().chain(releases).partition(|wish| wish.limit < wish.believed);
        for wish in lower.into_iter().chain(raise) {
            setpoints.extend(self.settle(now, wish, loads, &rows, &mut guard));
        }
        self.rows = rows;
        for entry in &mut self.ledger {
            entry.keep_ceiling(now);
        }
        self.wake_at = self.next_wake(now, facts);
        setpoints
    }

    fn look_at_cars(&mut self, now: Instant, facts: &[EvseFacts]) {
        for (evse, fact) in facts.iter().enumerate() {
            let entry = &self.ledger[evse];
            let car = &mut self.cars[evse];
            if fact.charging_since.is_some() {
                let drawn = entry.reading(now).map(PerPhase::largest);
                let of_offer = entry.has_read_since_change();
                car.usage.look(drawn, entry.offer(now), of_offer, now);
                car.usage.hear(fact.paused_by_car, drawn.filter(|_| of_offer), now);
            }
            car.refused_until = car.refused_until.filter(|until| now < *until);
            car.cause = match (entry.disobeys(), car.link_down_since) {
                (_, Some(since)) => Cause::LinkLost { since },
                (Some(drawn), _) => Cause::Disobeys { drawn },
                _ if !entry.is_heard() => Cause::NeverConnected,
                _ if car.refused_until.is_some() || !entry.has_safe_share() => {
                    Cause::NotControllable
                }
                _ => Cause::Idle,
            };
        }
    }

    /// Who takes part in the sharing: a car, a link, a charger that can be told.
    fn participants(&self, now: Instant, facts: &[EvseFacts]) -> Vec<Participant> {
        let mut cars = Vec::new();
        for (index, fact) in facts.iter().enumerate() {
            let (entry, car) = (&self.ledger[index], &self.cars[index]);
            if !fact.online || fact.charging_since.is_none() || car.refused_until.is_some() {
                continue;
            }
            let evse = &self.diagram.evses[index];
            let minimum = ceil_deci(evse.minimum);
            let rated = Bound { limit: evse.rated, cause: Cause::Rated };
            // While its fall is being proven, what the car takes does not change what it is told.
            let usage = car.usage.bound(minimum).filter(|_| !car.held);
            let bounds = fact.bounds.iter().cloned().chain(usage);
            let mut most = bounds.fold(rated, Bound::tighter);
            if let Some(drawn) = entry.disobeys() {
                most = most.tighter(Bound { limit: minimum, cause: Cause::Disobeys { drawn } });
            }
            let floor = match entry.disobeys() {
                Some(_) => entry.worst(now),
                None => entry.on_phases(Amps::ZERO),
            };
            cars.push(Participant {
                evse: index,
                phases: entry.car_phases(),
                uses: entry.used_phases(),
                minimum,
                free: entry.floor(),
                floor,
                obeys: entry.disobeys().is_none(),
                most,
                paused: !car.held && car.usage.has_paused(now),
            });
        }
        cars
    }

    fn wishes(
        &mut self,
        now: Instant,
        loads: &[OtherLoad],
        room: &[i64],
        cars: &[Participant],
    ) -> Vec<Wish> {
        let mut takes_part = vec![false; self.ledger.len()];
        for car in cars {
            takes_part[car.evse] = true;
        }
        let fixed = |evse: EvseIndex| match takes_part[evse] {
            true => Draw::NOTHING,
            false if self.cars[evse].reserved => {
                let draw = self.ledger[evse].draw(now);
                let minimum = ceil_deci(self.diagram.evses[evse].minimum);
                let wanted = self.ledger[evse].on_phases(minimum);
                Draw { current: draw.current.zip(wanted, Amps::max), ..draw }
            }
            false => self.ledger[evse].draw(now),
        };
        let taken = self.rows.load(fixed);
        let left: Vec<i64> = room.iter().zip(taken).map(|(room, taken)| room - taken).collect();
        let mut turns: Vec<Turn> = self.cars.iter().map(|car| car.turn).collect();
        let turn = self.policy.turn;
        let shares = share::shares(&self.rows, loads, &left, cars, &mut turns, turn, now);
        for (car, turn) in self.cars.iter_mut().zip(turns) {
            car.turn = turn;
        }
        let wish = |(share, car): (share::Share, &Participant)| {
            let entry = &self.ledger[share.evse];
            Wish {
                evse: share.evse,
                limit: chargeable(share.limit, car.minimum),
                minimum: car.minimum,
                full: chargeable(car.most.limit, car.minimum),
                believed: entry.live(now).unwrap_or(entry.floor()),
                cause: share.cause,
            }
        };
        shares.into_iter().zip(cars).map(wish).collect()
    }

    /// A limit that outlived its transaction is in force for whoever charges next: without a car it
    /// comes down to the safe share.
    fn releases(&self, now: Instant, facts: &[EvseFacts]) -> Vec<Wish> {
        let idle = |(index, fact): (EvseIndex, &EvseFacts)| {
            let (entry, evse) = (&self.ledger[index], &self.diagram.evses[index]);
            let believed = entry.live(now)?;
            let is_free = fact.online && fact.charging_since.is_none() && entry.keeps_limits();
            let is_told = is_free && self.cars[index].refused_until.is_none();
            let minimum = ceil_deci(evse.minimum);
            let limit = chargeable(evse.safe, minimum);
            (is_told && entry.floor() < believed).then_some(Wish {
                evse: index,
                limit,
                minimum,
                full: limit,
                believed,
                cause: Cause::Idle,
            })
        };
        facts.iter().enumerate().filter_map(idle).collect()
    }

    /// Whether a wish is worth a message now, and how much of it the guard lets through.
    fn settle(
        &mut self,
        now: Instant,
        wish: Wish,
        loads: &[OtherLoad],
        rows: &Rows,
        guard: &mut Guard<'_>,
    ) -> Option<Setpoint> {
        let evse = wish.evse;
        let admitted = guard.admit(evse, &self.ledger[evse], wish.believed, wish.limit);
        let limit = chargeable(admitted.limit, wish.minimum);
        self.cars[evse].cause = match admitted.stopped_by {
            Some(row) => {
                let (row, node) = (&rows.rows[row], rows.rows[row].node_name.clone());
                match row.cause(&loads[row.constraint.node], 1) {
                    Cause::Breaker { phase, .. } => Cause::WaitingForOthers { node, phase },
                    other => other,
                }
            }
            None => wish.cause.clone(),
        };
        let told = self.ledger[evse].last_told();
        let limit = self.paced(now, &wish, told, limit)?;
        let refresh = told.is_some_and(|told| told.limit == limit);
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        guard.grant(evse, &self.ledger[evse], limit);
        self.ledger[evse].sent(Grant { ticket, limit, sent: now });
        self.ledger[evse].keep_ceiling(now);
        let car = &mut self.cars[evse];
        if !refresh {
            car.changed = Some(now);
        }
        let lowers = limit < wish.believed;
        Some(Setpoint { evse, ticket, limit, lowers, refresh, cause: car.cause.clone() })
    }

    /// Down at once, up slowly; one unanswered limit at a time unless it goes down; an unchanged
    /// one again when a third of its lease is over.
    fn paced(
        &mut self,
        now: Instant,
        wish: &Wish,
        told: Option<Grant>,
        limit: Amps,
    ) -> Option<Amps> {
        let entry = &self.ledger[wish.evse];
        let Some(told) = told else { return Some(limit) };
        if limit < told.limit {
            return Some(limit);
        }
        if entry.awaits_answer() || self.cars[wish.evse].held {
            return None;
        }
        let worth = told.limit + self.policy.deadband <= limit
            || (told.limit < limit && (limit == wish.full || told.limit == Amps::ZERO));
        let car = &mut self.cars[wish.evse];
        let soon = car.changed.is_some_and(|at| now.since(at) < self.policy.raise_every);
        if worth && !soon {
            return Some(limit);
        }
        if entry.is_in_doubt() {
            // Its answer was lost: the charger may believe more or less, so say it again.
            return Some(told.limit);
        }
        if worth {
            car.cause = Cause::Rising;
        }
        (self.policy.ttl / 3 <= now.since(told.sent)).then_some(told.limit)
    }

    fn next_wake(&self, now: Instant, facts: &[EvseFacts]) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut sooner = |at: Option<Instant>| {
            if let Some(at) = at.filter(|at| now < *at) {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        };
        let somebody_waits = self.cars.iter().any(|car| car.turn.is_waiting());
        for (evse, fact) in facts.iter().enumerate() {
            let (entry, car) = (&self.ledger[evse], &self.cars[evse]);
            sooner(car.refused_until);
            sooner(entry.reading_until(now));
            if fact.charging_since.is_none() || !fact.online {
                continue;
            }
            sooner(entry.last_told().map(|told| told.sent + self.policy.ttl / 3));
            sooner(car.usage.wake_at(now));
            if car.cause == Cause::Rising {
                sooner(car.changed.map(|at| at + self.policy.raise_every));
            }
            if somebody_waits {
                sooner(car.turn.ends(self.policy.turn));
            }
        }
        next
    }
}

/// What a car should get, before the guard.
#[derive(Clone, Debug, PartialEq)]
struct Wish {
    evse: EvseIndex,
    limit: Amps,
    minimum: Amps,
    /// The most it could get; reaching it is worth a small step.
    full: Amps,
    /// What the charger may believe already: its largest live limit, else its safe share.
    believed: Amps,
    cause: Cause,
}

/// Rounded down to what can be said and charged with: 0.1 A steps, nothing below the minimum.
fn chargeable(limit: Amps, minimum: Amps) -> Amps {
    let limit = limit.floor_deci();
    if limit < minimum { Amps::ZERO } else { limit }
}

fn ceil_deci(limit: Amps) -> Amps {
    (limit + Amps::milli(99)).floor_deci()
}

#[cfg(test)]
mod tests;
