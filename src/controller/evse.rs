//! What is known of one EVSE from moment to moment.
//!
//! ```text
//!            start, live                    stop, or status says the car is gone
//!  no car ───────────────────────▶ live ───────────────────────────────▶ no car
//!     │  start, replayed; or an open   ▲
//!     │  transaction after a restart   │ still open and charging SETTLE later
//!     └──────────────▶ waiting ────────┘
//! ```
//! A replayed start tells of the past: its stop may be the next message of the queue. No limit is
//! sent to its transaction before the queue had time to run dry.

use crate::ground::ids::{EvseIndex, IdToken, SessionId, TransactionId};
use crate::ground::time::{Duration, Instant, Now};
use crate::ground::units::{Amps, PerPhase, Watts};
use crate::model::message::EvseStatus;

use super::loads::Draw;

/// A charger that is connected delivers what it kept within minutes; after this long without a car
/// the stop of a transaction is not expected any more.
const ABANDONED: Duration = Duration::minutes(30);

/// An open transaction is taken for live when it is still open and charging after this long.
const SETTLE: Duration = Duration::seconds(3);

/// Where one is due, those that have waited for so long are taken with it: chargers that come back
/// together share what there is, and none is paused because others are still waited for.
const SETTLE_TOGETHER: Duration = Duration::seconds(1);

/// A reading that is older than this may differ from what a meter sees now.
const READING_YOUNG: Duration = Duration::seconds(3);

/// A charger and its car have this long to follow what they were told (IEC 61851-1 allows 5 s).
const FOLLOW: Duration = Duration::seconds(10);

/// So much of [`FOLLOW`] counts as over when this program begins. What was told before it is as old
/// as the restart; when the rest has passed, the car has had the 5 s of IEC 61851-1.
const BEFORE_START: Duration = Duration::seconds(6);

/// What a car takes is looked for at the start of its session for no longer than this.
const PROBE_MAX: Duration = Duration::minutes(2);

/// What a car takes at least as a rule, where nothing is known: the on-board chargers of most.
const USUAL: Amps = Amps::new(16);

/// A car that takes this much less than it is offered could not take more.
const UNUSED: Amps = Amps::milli(1500);

/// More than this is charging and not the car's own use.
const DRAWS: Amps = Amps::new(1);

/// Less than this says nothing of what a car could take.
const NOTHING: Amps = Amps::new(4);

/// Readings of one EVSE are stored no more often, to spare the flash.
const RECORD_EVERY: Duration = Duration::seconds(60);

/// A transaction that draws, or could at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// The transaction.
    pub transaction: TransactionId,
    /// Its session.
    pub session: SessionId,
    /// Since when it is known to be live.
    pub since: Instant,
}

/// A drill that runs, or the last one.
#[derive(Clone, Debug, PartialEq)]
pub struct Drill {
    /// Where.
    pub evse: EvseIndex,
    /// When it began.
    pub begun: Instant,
    /// When it is over at the latest.
    pub until: Instant,
    /// The limit at its beginning.
    pub limit: Amps,
    /// What was drawn at its beginning.
    pub before: Amps,
    /// The last two readings, newest first: a fall is a step from one of them.
    pub recent: [(Instant, Amps); 2],
    /// Whether it was passed, and in words; none while it runs.
    pub ended: Option<(bool, String)>,
}

/// A car whose charge its charger has ended though it should only have paused.
#[derive(Clone, Debug, PartialEq)]
pub struct Revive {
    /// Whose.
    pub token: IdToken,
    /// Not started before this.
    pub not_before: Instant,
}

/// The newest live reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeenReading {
    /// When it was received.
    pub at: Instant,
    /// Current by grid phase.
    pub current: PerPhase<Amps>,
    /// Power over all phases.
    pub power: Option<Watts>,
}

/// One EVSE.
#[derive(Clone, Debug, PartialEq)]
pub struct EvseState {
    /// What it says it is doing.
    pub status: EvseStatus,
    /// The transaction that draws.
    pub live: Option<Live>,
    /// The newest live reading.
    pub reading: Option<SeenReading>,
    /// State of charge in percent, where the car tells it.
    pub soc_percent: Option<f64>,
    /// The most that the car takes on a phase, as far as it was seen in this session.
    pub takes: Option<Amps>,
    /// The car itself has said that it takes no more, and has not drawn since.
    pub satisfied: bool,
    /// The most that it was seen to draw in this session.
    pub most_seen: Amps,
    /// A car waits at a free EVSE: when it is started, and none once it was.
    pub free_at: Option<Option<Instant>>,
    /// Its charger has ended a charge that should only have paused.
    pub revive: Option<Revive>,
    /// Since when its charger says on this link that no car is there.
    empty_since: Option<Instant>,
    waiting: Option<(TransactionId, Instant)>,
    touched: Instant,
    recorded: Option<Instant>,
}

impl EvseState {
    /// Nothing heard yet.
    pub fn new(now: Instant) -> Self {
        Self {
            status: EvseStatus::Unknown,
            live: None,
            reading: None,
            soc_percent: None,
            takes: None,
            satisfied: false,
            most_seen: Amps::ZERO,
            free_at: None,
            revive: None,
            empty_since: None,
            waiting: None,
            touched: now - BEFORE_START,
            recorded: None,
        }
    }

    /// A transaction draws from this moment on, or has drawn all the while that it was waited for.
    pub fn go_live(&mut self, transaction: TransactionId, session: SessionId, now: Instant) {
        if self.waiting.is_none_or(|(known, _)| known != transaction) {
            self.touched = now;
        }
        self.live = Some(Live { transaction, session, since: now });
        (self.takes, self.most_seen) = (None, Amps::ZERO);
        self.satisfied = false;
        self.waiting = None;
        self.soc_percent = None;
    }

    /// Nothing draws any more.
    pub fn go_idle(&mut self, now: Instant) {
        self.live = None;
        self.waiting = None;
        self.soc_percent = None;
        self.touched = now;
    }

    /// An open transaction that may be live: wait whether its stop comes.
    pub fn wait(&mut self, transaction: TransactionId, now: Instant) {
        if self.waiting.is_none_or(|(known, _)| known != transaction) {
            self.waiting = Some((transaction, now));
        }
    }

    /// The transaction that waits no longer; with `others`, one of another EVSE is due.
    pub fn waited(&self, now: Instant, others: bool) -> Option<TransactionId> {
        let (transaction, since) = self.waiting?;
        let wait = if others { SETTLE_TOGETHER } else { SETTLE };
        (wait <= now.since(since)).then_some(transaction)
    }

    /// When a waiting transaction is due.
    pub fn wake_at(&self) -> Option<Instant> {
        self.waiting.map(|(_, since)| since + SETTLE)
    }

    /// Its charger has told its status, or is gone.
    pub fn watch_empty(&mut self, is_online: bool, now: Instant) {
        match is_online && self.is_empty() {
            true => _ = self.empty_since.get_or_insert(now),
            false => self.empty_since = None,
        }
    }

    /// When a transaction that is still open here is given up; none while a car may be there.
    pub fn abandoned_at(&self) -> Option<Instant> {
        self.empty_since.filter(|_| self.live.is_none()).map(|since| since + ABANDONED)
    }

    /// It was told something that changes what it draws.
    pub fn touch(&mut self, now: Instant) {
        self.touched = now;
    }

    /// Takes in what the car draws.
    pub fn see(&mut self, drawn: Amps) {
        self.most_seen = self.most_seen.max(drawn);
        self.satisfied &= drawn < DRAWS;
    }

    /// Takes in what the car draws of an offer that it had time to follow. True where it changes
    /// what the car is known to take.
    pub fn see_appetite(&mut self, drawn: Amps, offer: Amps, rated: Amps, now: Instant) -> bool {
        if now.since(self.touched) < FOLLOW || drawn < NOTHING {
            return false;
        }
        let before = self.takes;
        if rated < offer + UNUSED && offer < drawn + UNUSED {
            self.takes = Some(rated);
        } else if drawn + UNUSED <= offer || self.takes.is_some_and(|takes| takes < drawn) {
            self.takes = Some(self.takes.map_or(drawn, |takes| takes.max(drawn)));
        }
        self.takes != before
    }

    /// The most to count on: what it was seen to take, else what most cars take.
    /// `known` is what it took in earlier sessions.
    pub fn counts_on(&self, rated: Amps, known: Amps) -> Amps {
        let usual = if known == Amps::ZERO { USUAL } else { known };
        let seen = self.most_seen.max(usual).min(rated);
        self.takes.map_or(seen, |takes| takes.min(rated))
    }

    /// Whether it is known what the car takes, or was looked for long enough.
    pub fn is_probed(&self, now: Instant) -> bool {
        let long = |live: Live| PROBE_MAX <= now.since(live.since);
        self.takes.is_some() || self.live.is_none_or(long)
    }

    /// Whether the status means that energy flows or could flow.
    pub fn is_drawing(&self) -> bool {
        matches!(
            self.status,
            EvseStatus::Charging | EvseStatus::SuspendedEv | EvseStatus::SuspendedEvse
        )
    }

    /// Whether the status means that no car is connected to a transaction.
    pub fn is_empty(&self) -> bool {
        matches!(self.status, EvseStatus::Available | EvseStatus::Reserved)
    }

    /// Whether a reading that came in at this moment should be stored.
    pub fn is_record_due(&mut self, now: Instant) -> bool {
        let due = self.recorded.is_none_or(|before| RECORD_EVERY <= now.since(before));
        if due {
            self.recorded = Some(now);
        }
        due
    }

    /// The newest reading if it is younger than `max_age`.
    pub fn fresh(&self, now: Instant, max_age: Duration) -> Option<SeenReading> {
        self.reading.filter(|reading| now.since(reading.at) <= max_age)
    }

    /// Nothing draws that is known, but a transaction that is still open may.
    pub fn may_draw(&self) -> bool {
        self.waiting.is_some() || self.status == EvseStatus::Unknown
    }

    /// What it draws, for the estimate of the load that is not ours; with `is_heard`, its charger
    /// has said what goes on there.
    pub fn draw(&self, now: Now, max_age: Duration, worst: PerPhase<Amps>, is_heard: bool) -> Draw {
        let now = now.mono;
        let following = now.since(self.touched) <= FOLLOW;
        match (self.live, self.fresh(now, max_age)) {
            (None, _) if is_heard => {
                Draw { measured: Some(PerPhase::ZERO), worst, moving: following }
            }
            (_, Some(reading)) => {
                let old = READING_YOUNG < now.since(reading.at);
                Draw { measured: Some(reading.current), worst, moving: old || following }
            }
            (_, None) => Draw { measured: None, worst, moving: true },
        }
    }
}
