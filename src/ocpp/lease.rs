//! Telling limits: the newest order of each EVSE, the ladder when it is refused, and the proof that
//! the charger will fall to its safe share by itself.
//!
//! Invariants: every order gets exactly one outcome; a newer order replaces one that was not sent;
//! a refused order goes down the ladder until a way is accepted or none is left.

use crate::ground::ids::TransactionId;
use crate::ground::time::{Duration, Instant};
use crate::ground::units::Amps;
use crate::model::event::EventKind;
use crate::model::message::{EvseStatus, Lapse, LimitOrder, LimitScope, Outcome, Report};

use super::composite::{Composite, Promise};
use super::mode::{Mode, Purpose, ladder};
use super::profile::limit_profile;
use super::station::Station;
use super::task::{Pending, Proof, Reply, Task};
use super::traffic::Step;

/// Pauses before a way that has worked before is tried again after a refusal.
const RETRY_AFTER: [Duration; 3] =
    [Duration::seconds(2), Duration::seconds(5), Duration::seconds(15)];

/// A transaction that is younger than this may not be known to the charger's own smart charging.
const YOUNG: Duration = Duration::seconds(10);

/// A limit must not overtake the StartTransaction.conf of its transaction, which waits for disk.
const CONF_WAITS: Duration = Duration::seconds(5);

/// A charger that refused every way is not bothered again before this.
const REFUSED_FOR: Duration = Duration::minutes(10);

/// The error of a charger without smart charging: no other way will do.
const NO_PROFILES: &str = "NotImplemented";

/// A smaller fall cannot be told from rounding in a composite schedule.
const STEP_MIN: Amps = Amps::new(1);

/// How often a proof is asked for in one transaction before it counts as not given.
const PROOFS_MAX: u32 = 2;

/// Takes an order; what it replaces was never sent.
pub fn order(station: &mut Station, step: &mut Step<'_>, index: usize, order: LimitOrder) {
    let now = step.now.mono;
    let ordered = station.wire_now(step.now);
    let lease = &station.connectors[index].lease;
    if lease.refused_until.is_some_and(|until| now < until) {
        let why = "every way of telling it was refused a few minutes ago".to_owned();
        done(step, &order, LimitScope::None, Outcome::Refused { why });
        return;
    }
    if mode_for(station, index, &order).is_none() {
        let why = "it takes limits for a transaction only".to_owned();
        done(step, &order, LimitScope::None, Outcome::Refused { why });
        return;
    }
    let lease = &mut station.connectors[index].lease;
    let replaced = lease.queued.replace(Pending { order, ordered, not_before: now });
    if let Some(replaced) = replaced {
        done(step, &replaced.order, LimitScope::None, Outcome::NotSent);
    }
}

fn done(step: &mut Step<'_>, order: &LimitOrder, scope: LimitScope, outcome: Outcome) {
    step.report(Report::Limit { evse: order.evse, ticket: order.ticket, scope, outcome });
}

/// The link is gone: what was queued never left, what was in flight may have arrived.
pub fn offline(station: &mut Station, step: &mut Step<'_>, in_flight: Option<Task>) {
    if let Some(Task::Limit { mode, pending, .. }) = in_flight {
        done(step, &pending.order, mode.scope(), Outcome::NoAnswer);
    }
    for connector in &mut station.connectors {
        connector.lease.proof = None;
        if let Some(pending) = connector.lease.queued.take() {
            done(step, &pending.order, LimitScope::None, Outcome::NotSent);
        }
    }
}

/// It was the link that failed, not the ways of telling a limit: none of them counts as refused.
pub fn spared(station: &mut Station) {
    for connector in &mut station.connectors {
        connector.lease.rungs = [0; 2];
    }
}

/// A transaction has ended: an order for it is moot.
pub fn ended(station: &mut Station, step: &mut Step<'_>, transaction: TransactionId) {
    for connector in &mut station.connectors {
        if connector.running.is_some_and(|(running, _)| running == transaction) {
            connector.running = None;
            connector.ended = Some(transaction);
        }
        let is_moot = |pending: &mut Pending| pending.order.transaction == Some(transaction);
        if let Some(pending) = connector.lease.queued.take_if(is_moot) {
            done(step, &pending.order, LimitScope::None, Outcome::NotSent);
        }
    }
}

/// The next limit to send; with `urgent` only one that lowers.
pub fn next(station: &mut Station, now: Instant, urgent: bool) -> Option<Task> {
    let is_due =
        |pending: &&Pending| pending.not_before <= now && (pending.order.urgent || !urgent);
    let (index, mode) = (0..station.connectors.len()).find_map(|index| {
        let pending = station.connectors[index].lease.queued.as_ref().filter(is_due)?;
        Some((index, mode_for(station, index, &pending.order)?))
    })?;
    let own = &mut station.connectors[index];
    let pending = own.lease.queued.take()?;
    Some(Task::Limit { connector: own.setup.connector, mode, pending })
}

/// The way to tell this order: what has worked, else the first rung that was not refused.
fn mode_for(station: &Station, index: usize, order: &LimitOrder) -> Option<Mode> {
    let connector = &station.connectors[index];
    let fits = |mode: &Mode| order.transaction.is_some() || mode.purpose != Purpose::Tx;
    let known = station.capability.connectors.get(&connector.setup.connector);
    if let Some(mode) = known.and_then(|learned| learned.mode).filter(fits) {
        return Some(mode);
    }
    let rung = connector.lease.rungs[usize::from(order.transaction.is_some())];
    rungs(station, order).get(rung).copied()
}

fn rungs(station: &Station, order: &LimitOrder) -> Vec<Mode> {
    let connectors = station.connectors.len();
    let mut rungs = ladder(&station.capability.ability, &station.quirk(), connectors);
    if order.transaction.is_none() {
        rungs.retain(|mode| mode.purpose != Purpose::Tx);
    }
    rungs
}

/// The payload of an order, and whether it has to wait for the disk.
pub fn payload(
    station: &Station,
    step: &Step<'_>,
    connector: u32,
    mode: &Mode,
    pending: &Pending,
) -> Option<(String, bool)> {
    let own = &station.connectors[station.position(connector)?];
    let running = own.running.filter(|(id, _)| Some(*id) == pending.order.transaction);
    let age = running.map_or(Duration::ZERO, |(_, since)| step.now.mono.since(since));
    let supply = own.supply(step.settings.voltage);
    let request = limit_profile(mode, &pending.order, &supply, pending.ordered, age);
    let is_behind_conf = running.is_some() && age < CONF_WAITS;
    Some((super::message::json(&request), !pending.order.urgent || is_behind_conf))
}

/// What became of a limit that was sent.
pub fn answered(
    station: &mut Station,
    step: &mut Step<'_>,
    connector: u32,
    mode: Mode,
    pending: Pending,
    reply: &Reply<'_>,
) {
    let Some(index) = station.position(connector) else { return };
    if reply.is_one_of(&["Accepted"]) {
        accepted(station, step, index, mode, &pending);
    } else if *reply == Reply::Timeout {
        if !has_worked(station, index, &mode) {
            climb_down(station, step, index, &pending.order, "no answer");
        }
        done(step, &pending.order, mode.scope(), Outcome::NoAnswer);
    } else {
        refused(station, step, index, mode, pending, reply);
    }
}

fn has_worked(station: &Station, index: usize, mode: &Mode) -> bool {
    let connector = station.connectors[index].setup.connector;
    station.capability.connector(connector).mode.as_ref() == Some(mode)
}

fn accepted(
    station: &mut Station,
    step: &mut Step<'_>,
    index: usize,
    mode: Mode,
    pending: &Pending,
) {
    let own = &mut station.connectors[index];
    let order = &pending.order;
    let lease = &mut own.lease;
    lease.refusals = 0;
    let learned = station.capability.connector_mut(own.setup.connector);
    if order.transaction.is_some() && learned.mode != Some(mode) {
        learned.mode = Some(mode);
        learned.armed = false;
        lease.proofs = (order.transaction, 0);
    }
    let is_armed = learned.armed && learned.mode == Some(mode);
    let lapse = if is_armed { Lapse::Armed } else { Lapse::Unproven };
    done(step, order, mode.scope(), Outcome::Accepted { lapse });
    let Some(transaction) = order.transaction else { return };
    if lease.proofs.0 != Some(transaction) {
        lease.proofs = (Some(transaction), 0);
    }
    let is_wanted = if is_armed { !lease.proven_since_boot } else { lease.proofs.1 < PROOFS_MAX };
    // Nothing is proved by a limit that the fall hardly changes.
    if !is_wanted || order.live <= order.safe + STEP_MIN {
        return;
    }
    if mode.is_provable() {
        let promise = Promise {
            live: order.live,
            safe: order.safe,
            ordered: pending.ordered,
            ttl: order.ttl,
        };
        lease.proof = Some(Proof::Lease { promise, mode });
    } else {
        lease.proofs.1 = PROOFS_MAX;
        unproven(station, step, index, "it only takes profiles relative to the start");
    }
}

fn refused(
    station: &mut Station,
    step: &mut Step<'_>,
    index: usize,
    mode: Mode,
    mut pending: Pending,
    reply: &Reply<'_>,
) {
    let now = step.now.mono;
    let words = reply.words();
    let has_worked = has_worked(station, index, &mode);
    let own = &mut station.connectors[index];
    let transaction = pending.order.transaction;
    if transaction.is_some() && transaction == own.ended {
        done(step, &pending.order, mode.scope(), Outcome::NotSent);
        return;
    }
    let is_young =
        own.running.is_some_and(|(id, since)| Some(id) == transaction && now.since(since) < YOUNG);
    // A TxProfile without a transaction is refused by every charger: nothing is learned from that.
    let is_over = mode.purpose == Purpose::Tx && own.status.is_some_and(is_over);
    let tries = usize::try_from(own.lease.refusals).unwrap_or(usize::MAX);
    own.lease.refusals = own.lease.refusals.saturating_add(1);
    let is_hopeless = words.starts_with(NO_PROFILES);
    let again = has_worked || is_over || (is_young && tries == 0);
    let pause = RETRY_AFTER.get(tries).filter(|_| again && !is_hopeless);
    if let Some(pause) = pause {
        pending.not_before = now + *pause;
    } else {
        own.lease.refusals = 0;
        if is_over {
            done(step, &pending.order, mode.scope(), Outcome::NotSent);
            return;
        }
        if !has_way_left(station, step, index, &pending.order, has_worked, &words) {
            done(step, &pending.order, LimitScope::None, Outcome::Refused { why: words });
            return;
        }
    }
    let lease = &mut station.connectors[index].lease;
    if lease.queued.is_some() {
        done(step, &pending.order, LimitScope::None, Outcome::NotSent);
    } else {
        lease.queued = Some(pending);
    }
}

fn is_over(status: EvseStatus) -> bool {
    matches!(
        status,
        EvseStatus::Available
            | EvseStatus::Finishing
            | EvseStatus::Reserved
            | EvseStatus::Unavailable
            | EvseStatus::Faulted
    )
}

/// Goes on to the next way, if there is one.
fn has_way_left(
    station: &mut Station,
    step: &mut Step<'_>,
    index: usize,
    order: &LimitOrder,
    has_worked: bool,
    words: &str,
) -> bool {
    if words.starts_with(NO_PROFILES) {
        give_up(station, step, index, words);
        return false;
    }
    if has_worked {
        forget(station, index);
        return true;
    }
    climb_down(station, step, index, order, words)
}

/// What has worked does so no more: the ladder begins anew.
fn forget(station: &mut Station, index: usize) {
    let own = &mut station.connectors[index];
    own.lease.rungs = [0; 2];
    let learned = station.capability.connector_mut(own.setup.connector);
    learned.mode = None;
    learned.armed = false;
}

/// One rung down; false at the end of the ladder.
fn climb_down(
    station: &mut Station,
    step: &mut Step<'_>,
    index: usize,
    order: &LimitOrder,
    words: &str,
) -> bool {
    let rungs = rungs(station, order).len();
    let rung = &mut station.connectors[index].lease.rungs[usize::from(order.transaction.is_some())];
    *rung += 1;
    if *rung < rungs {
        return true;
    }
    give_up(station, step, index, words);
    false
}

fn give_up(station: &mut Station, step: &mut Step<'_>, index: usize, words: &str) {
    let own = &mut station.connectors[index];
    own.lease.rungs = [0; 2];
    own.lease.refused_until = Some(step.now.mono + REFUSED_FOR);
    let text = format!("connector {}: {words}", own.setup.connector);
    step.event(EventKind::LimitRefused, &station.id, text);
}

/// What the composite schedule says of the last accepted limit.
pub fn looked_at(
    station: &mut Station,
    step: &mut Step<'_>,
    connector: u32,
    promise: &Promise,
    mode: Mode,
    reply: &Reply<'_>,
) {
    let Some(index) = station.position(connector) else { return };
    let time = station.wire_now(step.now);
    let own = &mut station.connectors[index];
    let was_armed = station.capability.connector(connector).armed;
    own.lease.proofs.1 += 1;
    if *reply == Reply::Timeout && was_armed {
        return;
    }
    let verdict = match reply {
        Reply::Result(payload) => {
            match Composite::read(payload, &own.supply(step.settings.voltage)) {
                Some(composite) => composite.proves(promise, time, step.settings.lease.grace),
                None => Err(format!("its schedule says nothing ({})", reply.words())),
            }
        }
        Reply::Error(_) | Reply::Timeout => Err(reply.words()),
    };
    let learned = station.capability.connector_mut(connector);
    if learned.mode != Some(mode) {
        return;
    }
    let evse = own.setup.evse;
    match verdict {
        Ok(()) => {
            learned.armed = true;
            own.lease.proven_since_boot = true;
            own.lease.told = false;
            step.report(Report::Verified { evse, lapse: Lapse::Armed });
            if !was_armed {
                let text = format!("connector {connector} shows the fall to its safe share");
                step.event(EventKind::FailsafeArmed, &station.id, text);
            }
        }
        Err(why) => {
            learned.armed = false;
            unproven(station, step, index, &why);
        }
    }
}

/// The fall is not proven: told to the controller each time, to people once until it was proven or
/// the charger has other firmware.
fn unproven(station: &mut Station, step: &mut Step<'_>, index: usize, why: &str) {
    let own = &mut station.connectors[index];
    step.report(Report::Verified { evse: own.setup.evse, lapse: Lapse::Unproven });
    if !std::mem::replace(&mut own.lease.told, true) {
        let text = format!("connector {}: {why}", own.setup.connector);
        step.event(EventKind::FailsafeUnproven, &station.id, text);
    }
}
