//! What is known of one charge point and what is wanted of it, whether it is connected or not.
//!
//! Plain data with the questions that several files ask of it; what changes it stands in `boot`
//! (getting ready), `lease` (limits) and `incoming` (what the charger says).

use std::collections::{BTreeMap, VecDeque};

use crate::ground::ids::{ChargePointId, EvseIndex, TransactionId};
use crate::ground::time::{Duration, Instant, Now, Utc};
use crate::ground::units::Volts;
use crate::model::ask::{AskId, ListEntry};
use crate::model::event::EventKind;
use crate::model::message::{EvseStatus, Identity};

use super::capability::Capability;
use super::clock::ChargerClock;
use super::link::Answers;
use super::metering::{Place, Register};
use super::mode::Quirk;
use super::profile::Supply;
use super::quirk::quirk;
use super::repair::{Repair, Repairs};
use super::task::{Pending, Proof, Question, Wanted};
use super::traffic::{ConnectorSetup, PointSetup, Quiet, Step};

/// The same deviation of the same charger is told once in this time.
const SAY_AGAIN: Duration = Duration::hours(1);

/// While neither we nor the charger know the time, it is counted from here: a moment that is
/// certainly past, so that nothing lies in the future.
const CLOCK_FLOOR: Utc = Utc::from_millis(1_735_689_600_000);

/// What is said only so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// A kind of repair.
    Repaired(Repair),
    /// A frame that could not be used.
    Refused,
    /// A link took the place of another.
    Replaced,
    /// Two boxes seem to share the identity.
    Flapping,
    /// The charge point booted.
    Booted,
    /// A fault of the whole charge point.
    Fault,
    /// A security event.
    Security,
}

/// One charge point.
#[derive(Clone, Debug, PartialEq)]
pub struct Station {
    /// Its identity.
    pub id: ChargePointId,
    /// Its connectors that are EVSEs of the site.
    pub connectors: Vec<Connector>,
    /// Who it said it is.
    pub identity: Option<Identity>,
    /// What it can do.
    pub capability: Capability,
    /// How far its clock is off.
    pub clock: ChargerClock,
    /// The answers it may ask for again.
    pub answers: Answers,
    /// What is left to do to get it ready.
    pub boot: Boot,
    /// What was said lately.
    pub quiet: Quiet<Said>,
    /// The list of tokens that it should hold.
    pub list: LocalList,
    /// Asks that wait for the wire, oldest first.
    pub asks: VecDeque<(AskId, Question)>,
}

/// One connector.
#[derive(Clone, Debug, PartialEq)]
pub struct Connector {
    /// As configured.
    pub setup: ConnectorSetup,
    /// What it is doing, by its newest word.
    pub status: Option<EvseStatus>,
    /// When that was said, by its clock.
    pub status_at: Option<Utc>,
    /// It has told its status on this link.
    pub heard: bool,
    /// The transaction that runs and since when we know of it.
    pub running: Option<(TransactionId, Instant)>,
    /// The transaction that ended last.
    pub ended: Option<TransactionId>,
    /// Its energy register.
    pub register: Register,
    /// Its limits.
    pub lease: Lease,
    /// How many ways of telling it its own safe share were refused.
    pub safe_rung: usize,
    /// Every way was.
    pub safe_refused: bool,
    /// Its safe share is to be looked at when it is idle.
    pub check_safe: bool,
}

/// The limits of one connector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lease {
    /// The newest order that has not been sent.
    pub queued: Option<Pending>,
    /// How many rungs of the ladder were refused: without and with a transaction.
    pub rungs: [usize; 2],
    /// Refusals in a row of what is being tried.
    pub refusals: u32,
    /// Every way was refused; not tried again before this.
    pub refused_until: Option<Instant>,
    /// The proof to ask for.
    pub proof: Option<Proof>,
    /// How often it was asked for in this transaction.
    pub proofs: (Option<TransactionId>, u32),
    /// People were told that the fall is not proven.
    pub told: bool,
    /// The fall was looked at since the charger booted.
    pub proven_since_boot: bool,
}

/// What is left to do to get a charge point ready.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Boot {
    /// Profiles of others are to be cleared.
    pub clear: bool,
    /// How many ways of telling all connectors one safe share were refused.
    pub shared_rung: usize,
    /// Messages to ask for, each not before its time.
    pub triggers: VecDeque<Trigger>,
    /// Keys to read; an empty list means all.
    pub reads: VecDeque<Vec<String>>,
    /// The needed keys were asked for by name.
    pub asked_by_name: bool,
    /// The configuration as far as it was read.
    pub known: BTreeMap<String, String>,
    /// Keys to set, each with the values to try, best first.
    pub changes: VecDeque<(&'static str, VecDeque<String>)>,
    /// When the configuration was last gone through.
    pub configured: Option<Instant>,
    /// When meter values were last asked for.
    pub metered: Option<Instant>,
    /// A changed key holds only after a restart.
    pub restart: bool,
    /// Its own memory of accepted tokens is to be cleared.
    pub clear_cache: bool,
    /// When that was last done.
    pub cache_cleared: Option<Instant>,
}

/// Where the sending of a list stands, on one link.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalList {
    /// What it should hold; none before the controller said so.
    pub wanted: Option<Vec<ListEntry>>,
    /// Its version was asked on this link and is the one in [`Held`].
    pub known: bool,
    /// The whole list is to be sent, beginning with what replaces all.
    pub whole: bool,
    /// A whole list was tried after a refusal.
    pub repaired: bool,
    /// Not tried any more on this link.
    pub given_up: bool,
    /// Something was sent since people were told.
    pub sent: usize,
}

/// A message to ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Which.
    pub wanted: Wanted,
    /// Of which connector; none for all.
    pub connector: Option<u32>,
    /// Not before.
    pub not_before: Instant,
}

impl Station {
    /// As configured and remembered.
    pub fn new(setup: PointSetup) -> Self {
        let (identity, capability) = match setup.remembered {
            Some(record) => (record.identity, record.capability),
            None => (None, None),
        };
        let capability = capability.map(|text| Capability::from_text(&text)).unwrap_or_default();
        Self {
            id: setup.id,
            connectors: setup.connectors.into_iter().map(Connector::new).collect(),
            identity,
            capability,
            clock: ChargerClock::default(),
            answers: Answers::default(),
            boot: Boot::default(),
            quiet: Quiet::default(),
            list: LocalList::default(),
            asks: VecDeque::new(),
        }
    }

    /// What is done differently for this model.
    pub fn quirk(&self) -> Quirk {
        quirk(self.identity.as_ref())
    }

    /// The time as this charger is told it: ours where it is trusted, else its own, so that a clock
    /// that we do not trust never sets another's.
    pub fn wire_now(&self, now: Now) -> Utc {
        let counted = || CLOCK_FLOOR + now.mono.since(Instant::START);
        now.utc.or_else(|| self.clock.reading(now.mono)).unwrap_or_else(counted)
    }

    /// Position of a connector by its number.
    pub fn position(&self, connector: u32) -> Option<usize> {
        self.connectors.iter().position(|known| known.setup.connector == connector)
    }

    /// Position of the connector that is this EVSE.
    pub fn position_of(&self, evse: EvseIndex) -> Option<usize> {
        self.connectors.iter().position(|known| known.setup.evse == evse)
    }

    /// The only connector's number; none where there are several.
    pub fn only_connector(&self) -> Option<u32> {
        match self.connectors.as_slice() {
            [only] => Some(only.setup.connector),
            _ => None,
        }
    }

    /// Tells of mended frames, each kind of mend once an hour.
    pub fn tell_repairs(&mut self, step: &mut Step<'_>, action: &str, repairs: &Repairs) {
        if repairs.kinds().is_empty() {
            return;
        }
        step.counters.frames_bad += 1;
        for kind in repairs.kinds() {
            if self.quiet.may_say(step.now.mono, Said::Repaired(*kind), SAY_AGAIN) {
                let text = format!("{action}: {} ({})", kind.words(), kind.name());
                step.event(EventKind::FrameRepaired, &self.id, text);
            }
        }
    }

    /// Tells of a frame that could not be used, once an hour.
    pub fn tell_refused(&mut self, step: &mut Step<'_>, text: String) {
        step.counters.frames_bad += 1;
        if self.quiet.may_say(step.now.mono, Said::Refused, SAY_AGAIN) {
            step.event(EventKind::FrameRefused, &self.id, text);
        }
    }
}

impl Connector {
    fn new(setup: ConnectorSetup) -> Self {
        Self {
            setup,
            status: None,
            status_at: None,
            heard: false,
            running: None,
            ended: None,
            register: Register::default(),
            lease: Lease::default(),
            safe_rung: 0,
            safe_refused: false,
            check_safe: false,
        }
    }

    /// Its electrical side.
    pub fn supply(&self, voltage: Volts) -> Supply {
        Supply { connector: self.setup.connector, phases: self.setup.phases, voltage }
    }

    /// Where its values are measured.
    pub fn place(&self, voltage: Volts) -> Place {
        Place { phases: self.setup.phases, rated: self.setup.rated, voltage }
    }

    /// No car is there as far as is known.
    pub fn is_idle(&self) -> bool {
        self.running.is_none() && self.status == Some(EvseStatus::Available)
    }
}
