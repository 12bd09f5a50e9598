//! The ledger of leases: what each charger may believe, and so what it may draw at most.
//!
//! A limit is a lease. What was sent is in force until it was *seen* to be replaced or has run
//! out: a lower limit that is not confirmed counts as not applied, a higher one as applied. When
//! nothing is heard the charger falls to its permanent safe share; one that never accepted that
//! share counts with its rating. Leases of different chargers run out at different times, so an
//! EVSE always counts with the larger of its live limit and its safe share.
//!
//! An EVSE without a car counts with what could start there on its own: the safe share, or a limit
//! of the connector that outlived its transaction. What was sent before a restart counts like a
//! limit whose answer was lost.

use crate::ground::ids::Ticket;
use crate::ground::time::{Duration, Instant};
use crate::ground::units::{Amps, PerPhase, PhaseSet};
use crate::model::diagram::Evse;
use crate::model::message::{Lapse, LimitScope, Outcome};
use crate::model::record::LeaseRecord;
use crate::model::site::LeasePolicy;

use super::phases::SeenPhases;
use super::rows::Draw;

/// A reading tells what is drawn until the next one, but no longer than this.
const READING_MAX: Duration = Duration::seconds(90);

/// A charger has this long to follow a limit that it accepted before it counts as disobeying.
const OBEY_WITHIN: Duration = Duration::seconds(10);

/// The largest draw of a disobeying charger is remembered for this long.
const PEAK_KEPT: Duration = Duration::minutes(5);

/// Limits that were sent and may be in force. Beyond it the two oldest are counted as one: the
/// larger limit, until the later end.
const SENT_MAX: usize = 16;

/// The stored ceiling moves in these steps, so that it is seldom written.
const CEILING_STEP: Amps = Amps::new(8);

/// A ceiling is lowered when it was too high for this long.
const CEILING_KEPT: Duration = Duration::minutes(10);

/// A limit that was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grant {
    /// Pairs it with its answer.
    pub ticket: Ticket,
    /// Per phase.
    pub limit: Amps,
    /// When it was sent; its lease counts from here.
    pub sent: Instant,
}

impl Grant {
    /// Both as one: the larger limit, until the later end.
    fn joined(self, later: Self) -> Self {
        Self { limit: self.limit.max(later.limit), sent: self.sent.max(later.sent), ..later }
    }
}

/// A limit that was sent and not confirmed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Unconfirmed {
    grant: Grant,
    /// No answer will come any more.
    lost: bool,
    /// The transaction that it was for is over.
    moot: bool,
    /// The profile it was written as; none while that is not known.
    scope: LimitScope,
}

/// What one EVSE may believe.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    evse: Evse,
    ttl: Duration,
    grace: Duration,
    trust_phases: bool,
    online: bool,
    heard: bool,
    session: bool,
    safe: Option<Amps>,
    armed: bool,
    scope: LimitScope,
    accepted: Option<Grant>,
    /// A limit of the connector that a limit of the transaction stands above: it is in force again
    /// when the transaction is over.
    beneath: Option<Grant>,
    /// The charger has had this long to follow what it was told.
    changed_at: Instant,
    /// In the order in which they were sent.
    pending: Vec<Unconfirmed>,
    reading: Option<(PerPhase<Amps>, Instant)>,
    peak: Option<(Amps, Instant)>,
    phases: SeenPhases,
    ceiling: Amps,
    ceiling_high_since: Option<Instant>,
}

impl Entry {
    /// The ledger's page of an EVSE, from what the store remembers of it. What was sent before a
    /// restart may be in force, whatever its answer was.
    pub fn new(
        evse: &Evse,
        policy: &LeasePolicy,
        record: Option<&LeaseRecord>,
        now: Instant,
    ) -> Self {
        let remembered = |record: &LeaseRecord| Unconfirmed {
            grant: Grant { ticket: Ticket(0), limit: record.ceiling_a.min(evse.rated), sent: now },
            lost: true,
            moot: true,
            scope: record.scope,
        };
        let remembered = record.filter(|record| Amps::ZERO < record.ceiling_a).map(remembered);
        Self {
            evse: evse.clone(),
            ttl: policy.ttl,
            grace: policy.grace,
            trust_phases: policy.trust_measured_phases,
            online: false,
            heard: false,
            session: false,
            safe: record.and_then(|record| record.safe_a),
            armed: record.is_some_and(|record| record.armed),
            scope: record.map_or(LimitScope::None, |record| record.scope),
            accepted: None,
            beneath: None,
            changed_at: now,
            pending: remembered.into_iter().collect(),
            reading: None,
            peak: None,
            phases: SeenPhases::default(),
            ceiling: record.map_or(Amps::ZERO, |record| record.ceiling_a),
            ceiling_high_since: None,
        }
    }

    /// Its charge point can be spoken to.
    pub fn link_up(&mut self) {
        (self.online, self.heard) = (true, true);
    }

    /// Its charge point is gone: no answer will come any more, each sent limit may be in force.
    pub fn link_down(&mut self) {
        self.online = false;
        for sent in &mut self.pending {
            sent.lost = true;
        }
    }

    /// Whether its charge point was heard since the start.
    pub fn is_heard(&self) -> bool {
        self.heard
    }

    /// The charger took (or refused) its permanent safe share.
    pub fn safe_share(&mut self, accepted: bool) {
        self.safe = accepted.then_some(self.evse.safe);
    }

    /// Whether it falls to a safe share that it accepted.
    pub fn has_safe_share(&self) -> bool {
        self.safe.is_some()
    }

    /// A car begins to charge.
    pub fn session_began(&mut self, now: Instant) {
        self.session = true;
        self.phases = SeenPhases::default();
        self.peak = None;
        self.changed_at = now;
    }

    /// The transaction is over, and with it every limit that was bound to it. One whose answer is
    /// still on its way counts until then: the answer may tell that it outlived its transaction.
    pub fn session_ended(&mut self) {
        self.session = false;
        self.phases = SeenPhases::default();
        (self.reading, self.peak) = (None, None);
        let usual = self.scope;
        self.pending.retain_mut(|sent| {
            let scope = if sent.scope == LimitScope::None { usual } else { sent.scope };
            sent.moot |= scope != LimitScope::Connector;
            !sent.lost || scope != LimitScope::Transaction
        });
        if self.scope == LimitScope::Transaction {
            self.accepted = self.beneath.take();
            if self.accepted.is_some() {
                (self.scope, self.armed) = (LimitScope::Connector, false);
            }
        }
    }

    /// A limit is on its way.
    pub fn sent(&mut self, grant: Grant) {
        if SENT_MAX <= self.pending.len() {
            let oldest = self.pending.remove(0);
            let next = &mut self.pending[0];
            (next.grant, next.lost) = (oldest.grant.joined(next.grant), true);
            next.moot &= oldest.moot;
            if oldest.scope == LimitScope::Connector {
                next.scope = oldest.scope;
            }
        }
        let scope = LimitScope::None;
        self.pending.push(Unconfirmed { grant, lost: false, moot: false, scope });
    }

    /// What became of a limit.
    pub fn answered(&mut self, ticket: Ticket, scope: LimitScope, outcome: &Outcome, now: Instant) {
        let Some(at) = self.pending.iter().position(|sent| sent.grant.ticket == ticket) else {
            return;
        };
        let sent = self.pending[at];
        let is_late = sent.moot && scope == LimitScope::Transaction;
        match outcome {
            // Whether it arrived or not, it died with its transaction.
            Outcome::Accepted { .. } | Outcome::NoAnswer if is_late && !self.session => {
                self.pending.remove(at);
            }
            // Some chargers take it for the transaction that runs now.
            Outcome::Accepted { .. } if is_late => {
                (self.pending[at].lost, self.pending[at].scope) = (true, scope);
            }
            Outcome::Accepted { lapse } => {
                self.replaced_by(at, scope);
                if self.accepted.map(|before| before.limit) != Some(sent.grant.limit) {
                    self.changed_at = now;
                }
                self.accepted = Some(sent.grant);
                self.scope = scope;
                self.armed = *lapse == Lapse::Armed;
            }
            Outcome::NoAnswer => {
                (self.pending[at].lost, self.pending[at].scope) = (true, scope);
                // An earlier one of its kind that it bounds need not be remembered.
                let kept = |other: &Unconfirmed| {
                    !other.lost || other.scope != scope || sent.grant.limit < other.grant.limit
                };
                let mut index = 0;
                self.pending.retain(|other| {
                    index += 1;
                    at < index || kept(other)
                });
            }
            Outcome::NotSent | Outcome::Refused { .. } => {
                self.pending.remove(at);
            }
        }
    }

    /// Frames of one charger keep their order: what was sent up to `at` is replaced. A limit of the
    /// connector stays beneath one of the transaction.
    fn replaced_by(&mut self, at: usize, scope: LimitScope) {
        let stays = |sent: &Unconfirmed| sent.scope == LimitScope::Connector;
        let sent = self.pending.drain(..=at).filter(stays).map(|sent| sent.grant);
        let before = self.accepted.filter(|_| self.scope == LimitScope::Connector);
        let stays = self.beneath.into_iter().chain(before).chain(sent).reduce(Grant::joined);
        self.beneath = stays.filter(|_| scope == LimitScope::Transaction);
    }

    /// The composite schedule showed (or did not show) the fall to the safe share.
    pub fn verified(&mut self, lapse: Lapse) {
        self.armed = lapse == Lapse::Armed;
    }

    /// Whether it falls to the safe share by itself, proven.
    pub fn is_armed(&self) -> bool {
        self.armed && self.safe.is_some()
    }

    /// A reading of its current, by grid phase.
    pub fn measured(&mut self, current: PerPhase<Amps>, now: Instant) {
        self.reading = Some((current, now));
        if self.session {
            self.phases.look(self.evse.phases(), current, now);
        }
        let allowed = self.told(now) + tolerance(self.told(now));
        let late = OBEY_WITHIN <= now.since(self.changed_at) && !self.awaits_answer();
        let drawn = current.largest();
        if drawn <= allowed {
            self.peak = None;
        } else if late {
            let kept = self.peak.filter(|(_, at)| now.since(*at) < PEAK_KEPT);
            let before = kept.map_or(Amps::ZERO, |(peak, _)| peak);
            if before <= drawn {
                self.peak = Some((drawn, now));
            }
        }
    }

    /// What it draws although it was told less; none if it obeys.
    pub fn disobeys(&self) -> Option<Amps> {
        self.peak.map(|(peak, _)| peak)
    }

    /// The newest reading, while it still tells something.
    pub fn reading(&self, now: Instant) -> Option<PerPhase<Amps>> {
        let fresh = |(_, at): &(PerPhase<Amps>, Instant)| now.since(*at) <= READING_MAX;
        self.reading.filter(fresh).map(|(current, _)| current)
    }

    /// Whether the newest reading is later than the last change of the limit.
    pub fn has_read_since_change(&self) -> bool {
        self.reading.is_some_and(|(_, at)| self.changed_at <= at)
    }

    /// When the newest reading will tell nothing any more, if it counts for more than was told.
    pub fn reading_until(&self, now: Instant) -> Option<Instant> {
        let (drawn, at) = self.reading?;
        self.counts(drawn, now).then_some(at + READING_MAX + Duration::millis(1))
    }

    /// The limits that may be in force, each with whether it is known to run out by itself.
    fn grants(&self) -> impl Iterator<Item = (&Grant, bool)> {
        let usual = |scope: LimitScope| scope == LimitScope::None || scope == self.scope;
        let pending = self.pending.iter().map(move |sent| (&sent.grant, usual(sent.scope)));
        pending.chain(self.accepted.iter().map(|grant| (grant, true)))
    }

    /// The largest limit that may be in force; none if there is none but the safe share.
    pub fn live(&self, now: Instant) -> Option<Amps> {
        let over = |grant: &Grant| self.ttl + self.grace < now.since(grant.sent);
        let lapses = self.is_armed();
        let alive = self.grants().filter(|(grant, usual)| !(lapses && *usual && over(grant)));
        alive.map(|(grant, _)| grant.limit).max()
    }

    /// The limit that it was last told for this transaction, answered or not, and when.
    pub fn last_told(&self) -> Option<Grant> {
        let told = self.pending.iter().rev().find(|sent| !sent.moot);
        told.map(|sent| sent.grant).or(self.accepted)
    }

    /// The last limit that it accepted in this session.
    pub fn accepted(&self) -> Option<Amps> {
        self.accepted.map(|grant| grant.limit)
    }

    /// What the car may draw by the last limit that it accepted, while its lease runs.
    pub fn offer(&self, now: Instant) -> Option<Amps> {
        let runs = |grant: &Grant| now.since(grant.sent) < self.ttl;
        self.accepted.filter(runs).map(|grant| grant.limit)
    }

    /// Whether an answer may still come.
    pub fn awaits_answer(&self) -> bool {
        self.pending.iter().any(|sent| !sent.lost && !sent.moot)
    }

    /// Whether nobody can say if the last limit arrived.
    pub fn is_in_doubt(&self) -> bool {
        !self.pending.is_empty() && !self.awaits_answer()
    }

    /// Whether a limit outlives its transaction and stays for whoever charges next.
    pub fn keeps_limits(&self) -> bool {
        self.scope == LimitScope::Connector
    }

    /// What the charger may do on its own, without any live limit.
    pub fn floor(&self) -> Amps {
        // After a change of the configuration the share that was accepted may be another one.
        self.safe.map_or(self.evse.rated, |safe| safe.max(self.evse.safe))
    }

    /// The phases that the car of the running session was seen to load, where that may be trusted.
    pub fn seen_phases(&self) -> Option<PhaseSet> {
        self.phases
            .certain()
            .filter(|_| self.trust_phases && self.session && self.scope == LimitScope::Transaction)
    }

    /// The phases on which the running session can draw.
    pub fn car_phases(&self) -> PhaseSet {
        self.seen_phases().unwrap_or(self.evse.phases())
    }

    /// The most it may draw, by grid phase: LIMIT-1 counts with this.
    pub fn worst(&self, now: Instant) -> PerPhase<Amps> {
        let live = self.live(now).unwrap_or(Amps::ZERO);
        let mut worst = self.on_phases(live);
        if let Some((peak, _)) = self.peak {
            worst = worst.worst(self.evse.phases().carry(ceil_to_amp(peak)));
        }
        match self.reading(now) {
            Some(drawn) if self.counts(drawn, now) => worst.worst(drawn),
            _ => worst,
        }
    }

    /// Whether a reading counts for more than what was told: it lies beyond what meters differ by,
    /// or it was not taken after the limit fell, and the car may not have followed yet.
    fn counts(&self, drawn: PerPhase<Amps>, now: Instant) -> bool {
        let told = self.told(now);
        let is_later = self.reading.is_some_and(|(_, at)| self.changed_at < at);
        let noise = if is_later { tolerance(told) } else { Amps::ZERO };
        told + noise < drawn.largest()
    }

    /// The most it may draw, with the phases that its car was seen to use.
    pub fn draw(&self, now: Instant) -> Draw {
        Draw { current: self.worst(now), uses: self.used_phases() }
    }

    /// The phases that the car of the running session was seen to use, else all. Where what was
    /// seen is not trusted, it may still show that a car does not load all three alike.
    pub fn used_phases(&self) -> PhaseSet {
        let certain = self.phases.certain().filter(|_| self.session);
        match (certain, self.evse.phases()) {
            (Some(certain), PhaseSet::ALL) => certain,
            _ => self.car_phases(),
        }
    }

    /// What it counts with when its live limit is `limit`.
    pub fn on_phases(&self, limit: Amps) -> PerPhase<Amps> {
        let floor = self.floor();
        let car = self.car_phases();
        // While the link is up nobody but this car can draw; without it another may have come.
        let alone = if self.online { car } else { self.evse.phases() };
        car.carry(limit).worst(alone.carry(floor))
    }

    /// When a lease that may be in force runs out next.
    pub fn lapses_at(&self, now: Instant) -> Option<Instant> {
        if !self.is_armed() {
            return None;
        }
        let end = |(grant, _): (&Grant, bool)| grant.sent + self.ttl + self.grace;
        let ends = self.grants().map(end).map(|end| end + Duration::millis(1));
        ends.filter(|at| now < *at).min()
    }

    /// The stored ceiling follows what may be in force: up at once, down late.
    pub fn keep_ceiling(&mut self, now: Instant) {
        let live = self.live(now).unwrap_or(Amps::ZERO);
        let steps = (live.as_milli() + CEILING_STEP.as_milli() - 1) / CEILING_STEP.as_milli();
        let needed = (CEILING_STEP * steps).min(self.evse.rated);
        if self.ceiling <= needed {
            (self.ceiling, self.ceiling_high_since) = (needed, None);
            return;
        }
        let since = *self.ceiling_high_since.get_or_insert(now);
        if CEILING_KEPT <= now.since(since) {
            (self.ceiling, self.ceiling_high_since) = (needed, None);
        }
    }

    /// What the store must know of it.
    pub fn record(&self) -> LeaseRecord {
        LeaseRecord {
            evse: self.evse.id.clone(),
            ceiling_a: self.ceiling,
            scope: self.kept_scope(),
            armed: self.armed,
            safe_a: self.safe,
        }
    }

    fn told(&self, now: Instant) -> Amps {
        self.live(now).unwrap_or(Amps::ZERO).max(self.floor())
    }

    /// The scope of the limit that stays longest.
    fn kept_scope(&self) -> LimitScope {
        let scopes = || self.pending.iter().map(|sent| sent.scope).chain([self.scope]);
        let stays = self.beneath.is_some() || scopes().any(|at| at == LimitScope::Connector);
        if stays { LimitScope::Connector } else { self.scope }
    }
}

/// Meters and chargers differ by this much without anybody doing wrong.
fn tolerance(limit: Amps) -> Amps {
    Amps::new(1).max(limit / 20)
}

fn ceil_to_amp(current: Amps) -> Amps {
    Amps::milli((current.as_milli() + 999) / 1000 * 1000)
}
