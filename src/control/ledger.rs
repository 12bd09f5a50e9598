//! The ledger of leases: what each charger may believe, and so what it may draw at most.
//!
//! A limit is a lease. What was sent is in force until it was *seen* to be replaced or has run out:
//! a lower limit that is not confirmed counts as not applied, a higher one as applied. When nothing
//! is heard the charger falls to its permanent safe share; one that never accepted that share counts
//! with its rating. Leases of different chargers run out at different times, so an EVSE always
//! counts with the larger of its live limit and its safe share.
//!
//! An EVSE without a car counts with what could start there on its own: the safe share.

use crate::ground::ids::Ticket;
use crate::ground::time::{Duration, Instant};
use crate::ground::units::{Amps, PerPhase, Phase, PhaseSet};
use crate::model::diagram::Evse;
use crate::model::message::{Lapse, LimitScope, Outcome};
use crate::model::record::LeaseRecord;
use crate::model::site::LeasePolicy;

/// A reading tells what is drawn until the next one, but no longer than this.
const READING_MAX: Duration = Duration::seconds(90);

/// A charger has this long to follow a limit that it accepted before it counts as disobeying.
const OBEY_WITHIN: Duration = Duration::seconds(10);

/// The largest draw of a disobeying charger is remembered for this long.
const PEAK_KEPT: Duration = Duration::minutes(5);

/// A car must charge on some of its phases for this long before the others are believed unused.
const PHASES_SEEN_AFTER: Duration = Duration::seconds(60);

/// Above this a phase is certainly charging, below [`PHASE_IDLE`] certainly not.
const PHASE_BUSY: Amps = Amps::new(4);
const PHASE_IDLE: Amps = Amps::new(1);

/// Limits that were sent and may be in force; a queue of unanswered ones cannot grow beyond it,
/// since nothing but a reduction is sent while one is unanswered.
const GRANTS_MAX: usize = 16;

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
    safe_accepted: bool,
    armed: bool,
    scope: LimitScope,
    accepted: Option<Grant>,
    accepted_at: Instant,
    /// Sent and not confirmed, in order; unanswered ones may still be answered, lost ones not.
    pending: Vec<(Grant, bool)>,
    reading: Option<(PerPhase<Amps>, Instant)>,
    peak: Option<(Amps, Instant)>,
    phases: SeenPhases,
    ceiling: Amps,
    ceiling_high_since: Option<Instant>,
}

/// Which phases the car was seen to use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct SeenPhases {
    candidate: Option<(PhaseSet, Instant)>,
    certain: Option<PhaseSet>,
    refuted: bool,
}

impl Entry {
    /// The ledger's page of an EVSE, from what the store remembers of it.
    pub fn new(
        evse: &Evse,
        policy: &LeasePolicy,
        record: Option<&LeaseRecord>,
        now: Instant,
    ) -> Self {
        let remembered = |record: &LeaseRecord| Grant {
            ticket: Ticket(0),
            limit: record.ceiling_a.min(evse.rated),
            sent: now,
        };
        Self {
            evse: evse.clone(),
            ttl: policy.ttl,
            grace: policy.grace,
            trust_phases: policy.trust_measured_phases,
            online: false,
            heard: false,
            session: false,
            safe_accepted: record.is_some_and(|record| record.safe_accepted),
            armed: record.is_some_and(|record| record.armed),
            scope: record.map_or(LimitScope::None, |record| record.scope),
            accepted: record.map(remembered).filter(|grant| Amps::ZERO < grant.limit),
            accepted_at: now,
            pending: Vec::new(),
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
        for (_, lost) in &mut self.pending {
            *lost = true;
        }
    }

    /// Whether its charge point was heard since the start.
    pub fn is_heard(&self) -> bool {
        self.heard
    }

    /// The charger took (or refused) its permanent safe share.
    pub fn safe_share(&mut self, accepted: bool) {
        self.safe_accepted = accepted;
    }

    /// Whether it falls to a safe share that it accepted.
    pub fn has_safe_share(&self) -> bool {
        self.safe_accepted
    }

    /// A car begins to charge.
    pub fn session_began(&mut self) {
        self.session = true;
        self.phases = SeenPhases::default();
        self.peak = None;
    }

    /// The transaction is over, and with it every limit that was bound to it.
    pub fn session_ended(&mut self) {
        self.session = false;
        self.phases = SeenPhases::default();
        (self.reading, self.peak) = (None, None);
        match self.scope {
            LimitScope::Connector => {}
            // An answer that is still on its way may tell that the limit outlived its transaction.
            LimitScope::None => self.accepted = None,
            LimitScope::Transaction => {
                self.accepted = None;
                self.pending.retain(|(_, lost)| !lost);
            }
        }
    }

    /// A limit is on its way.
    pub fn sent(&mut self, grant: Grant) {
        if GRANTS_MAX <= self.pending.len() {
            // The lowest can be forgotten: the others bound the worst case.
            let limits = self.pending.iter().map(|(grant, _)| grant.limit);
            if let Some((lowest, _)) = limits.enumerate().min_by_key(|(_, limit)| *limit) {
                self.pending.remove(lowest);
            }
        }
        self.pending.push((grant, false));
    }

    /// What became of a limit.
    pub fn answered(&mut self, ticket: Ticket, scope: LimitScope, outcome: &Outcome, now: Instant) {
        let Some(at) = self.pending.iter().position(|(grant, _)| grant.ticket == ticket) else {
            return;
        };
        match outcome {
            Outcome::Accepted { lapse } => {
                // Frames of one charger keep their order: all earlier ones are replaced by this one.
                let (grant, _) = self.pending[at];
                self.pending.drain(..=at);
                let outlived = !self.session && scope == LimitScope::Transaction;
                self.accepted = (!outlived).then_some(grant);
                self.accepted_at = now;
                self.scope = scope;
                self.armed = *lapse == Lapse::Armed;
            }
            Outcome::NoAnswer => self.pending[at].1 = true,
            Outcome::NotSent | Outcome::Refused { .. } => {
                self.pending.remove(at);
            }
        }
    }

    /// The composite schedule showed (or did not show) the fall to the safe share.
    pub fn verified(&mut self, lapse: Lapse) {
        self.armed = lapse == Lapse::Armed;
    }

    /// Whether it falls to the safe share by itself, proven.
    pub fn is_armed(&self) -> bool {
        self.armed && self.safe_accepted
    }

    /// A reading of its current, by grid phase.
    pub fn measured(&mut self, current: PerPhase<Amps>, now: Instant) {
        self.reading = Some((current, now));
        self.watch_phases(current, now);
        let allowed = self.told(now) + tolerance(self.told(now));
        let late = OBEY_WITHIN <= now.since(self.accepted_at) && self.unanswered().is_none();
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

    /// When the newest reading will tell nothing any more, if it counts for more than was told.
    pub fn reading_until(&self) -> Option<Instant> {
        let (drawn, at) = self.reading?;
        let accepted = self.accepted.map_or(Amps::ZERO, |grant| grant.limit).max(self.floor());
        let counts = accepted + tolerance(accepted) < drawn.largest();
        counts.then_some(at + READING_MAX + Duration::millis(1))
    }

    /// The largest limit that may be in force; none if there is none but the safe share.
    pub fn live(&self, now: Instant) -> Option<Amps> {
        let grants = self.pending.iter().map(|(grant, _)| grant).chain(&self.accepted);
        grants.filter(|grant| !self.has_lapsed(grant, now)).map(|grant| grant.limit).max()
    }

    /// The limit that it was last told, answered or not, and when.
    pub fn last_told(&self) -> Option<Grant> {
        let told = |grant: &Grant| grant.ticket != Ticket(0);
        self.pending.last().map(|(grant, _)| *grant).or(self.accepted).filter(told)
    }

    /// The last limit that it accepted in this session.
    pub fn accepted(&self) -> Option<Amps> {
        self.accepted.filter(|grant| grant.ticket != Ticket(0)).map(|grant| grant.limit)
    }

    /// A limit whose answer may still come.
    pub fn unanswered(&self) -> Option<Grant> {
        self.pending.iter().rev().find(|(_, lost)| !lost).map(|(grant, _)| *grant)
    }

    /// What the charger may do on its own, without any live limit.
    pub fn floor(&self) -> Amps {
        if self.safe_accepted { self.evse.safe } else { self.evse.rated }
    }

    /// The phases on which the running session can draw.
    pub fn car_phases(&self) -> PhaseSet {
        let certain = self
            .phases
            .certain
            .filter(|_| self.trust_phases && self.session && self.scope == LimitScope::Transaction);
        certain.unwrap_or(self.evse.phases())
    }

    /// The most it may draw, by grid phase: LIMIT-1 counts with this.
    pub fn worst(&self, now: Instant) -> PerPhase<Amps> {
        let live = self.live(now).unwrap_or(Amps::ZERO);
        let mut worst = self.on_phases(live);
        if let Some((peak, _)) = self.peak {
            worst = worst.worst(self.evse.phases().carry(ceil_to_amp(peak)));
        }
        let told = self.told(now);
        match self.reading(now) {
            Some(drawn) if told + tolerance(told) < drawn.largest() => worst.worst(drawn),
            _ => worst,
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
        let grants = self.pending.iter().map(|(grant, _)| grant).chain(&self.accepted);
        let ends = grants.map(|grant| grant.sent + self.ttl + self.grace + Duration::millis(1));
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
            scope: self.scope,
            armed: self.armed,
            safe_accepted: self.safe_accepted,
        }
    }

    fn told(&self, now: Instant) -> Amps {
        self.live(now).unwrap_or(Amps::ZERO).max(self.floor())
    }

    fn has_lapsed(&self, grant: &Grant, now: Instant) -> bool {
        self.is_armed() && self.ttl + self.grace < now.since(grant.sent)
    }

    fn watch_phases(&mut self, current: PerPhase<Amps>, now: Instant) {
        let wired = self.evse.phases();
        let seen = &mut self.phases;
        if let Some(certain) = seen.certain {
            let other = |phase: Phase| !certain.has(phase) && PHASE_IDLE <= current[phase];
            if wired.iter().any(other) {
                (seen.certain, seen.refuted) = (None, true);
            }
            return;
        }
        let busy: Vec<Phase> = wired.iter().filter(|at| PHASE_BUSY < current[*at]).collect();
        let busy = PhaseSet::of(&busy);
        let clear = wired.iter().all(|at| busy.has(at) || current[at] < PHASE_IDLE);
        if !self.session || seen.refuted || !clear || busy == PhaseSet::NONE {
            seen.candidate = None;
            return;
        }
        match seen.candidate {
            Some((phases, since)) if phases == busy => {
                if PHASES_SEEN_AFTER <= now.since(since) {
                    seen.certain = Some(busy);
                }
            }
            _ => seen.candidate = Some((busy, now)),
        }
    }
}

/// Meters and chargers differ by this much without anybody doing wrong.
fn tolerance(limit: Amps) -> Amps {
    Amps::new(1).max(limit / 20)
}

fn ceil_to_amp(current: Amps) -> Amps {
    Amps::milli((current.as_milli() + 999) / 1000 * 1000)
}
