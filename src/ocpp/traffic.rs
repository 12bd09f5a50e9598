//! What goes in and out of the central system besides frames: its setup, and all that one call
//! of it causes.

use std::collections::BTreeMap;

use crate::ground::ids::{ChargePointId, EvseIndex, LinkId};
use crate::ground::time::{Duration, Instant, Now};
use crate::ground::units::{Amps, Volts};
use crate::model::event::EventKind;
use crate::model::message::{Identity, Report};
use crate::model::record::ChargePointRecord;
use crate::model::site::{ChargingPolicy, LeasePolicy};

/// A charge point of the site and what is remembered of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PointSetup {
    /// Its identity: the last segment of its connection URL.
    pub id: ChargePointId,
    /// Its connectors that are EVSEs of the site.
    pub connectors: Vec<ConnectorSetup>,
    /// From an earlier run.
    pub remembered: Option<ChargePointRecord>,
}

/// A connector and the EVSE it is.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectorSetup {
    /// OCPP connector number, 1 or more.
    pub connector: u32,
    /// The EVSE of the diagram.
    pub evse: EvseIndex,
    /// Its safe share per phase.
    pub safe: Amps,
    /// The most it can draw per phase.
    pub rated: Amps,
    /// How many phases it charges on.
    pub phases: usize,
}

/// All that one call of the central system causes, in order within each list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Texts to send.
    pub frames: Vec<FrameOut>,
    /// What the field tells.
    pub reports: Vec<Report>,
    /// What people should know: kind, charge point, and the details in plain words.
    pub events: Vec<(EventKind, String, String)>,
    /// Links to drop; with `true` after a Close frame.
    pub disconnects: Vec<(ChargePointId, LinkId, bool)>,
}

/// A text on its way to a charge point.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameOut {
    /// To whom.
    pub charge_point: ChargePointId,
    /// On which link.
    pub link: LinkId,
    /// The frame.
    pub text: String,
    /// Only when the facts it rests on are on disk.
    pub after_commit: bool,
}

/// How many frames went by since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames from charge points.
    pub frames_in: u64,
    /// Frames to charge points.
    pub frames_out: u64,
    /// Frames that had to be repaired, refused or ignored.
    pub frames_bad: u64,
    /// Limits that were sent.
    pub limits_sent: u64,
}

/// A charge point for the view.
#[derive(Clone, Debug, PartialEq)]
pub struct PointView {
    /// Its identity.
    pub id: ChargePointId,
    /// It can be spoken to.
    pub online: bool,
    /// Who it says it is.
    pub identity: Option<Identity>,
    /// What it can do, in words.
    pub capability: String,
}

/// What every charge point is spoken to with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Intervals and timeouts.
    pub charging: ChargingPolicy,
    /// How limits are leased.
    pub lease: LeasePolicy,
    /// Nominal voltage between a phase and neutral.
    pub voltage: Volts,
}

/// One call of the central system: when, with what, and what it causes.
pub struct Step<'a> {
    /// The present.
    pub now: Now,
    /// What all charge points share.
    pub settings: &'a Settings,
    /// Running totals.
    pub counters: &'a mut Counters,
    /// What it causes.
    pub out: &'a mut Traffic,
}

impl Step<'_> {
    /// Adds a report.
    pub fn report(&mut self, report: Report) {
        self.out.reports.push(report);
    }

    /// Adds an event about a charge point.
    pub fn event(&mut self, kind: EventKind, subject: &ChargePointId, text: String) {
        self.out.events.push((kind, subject.to_string(), text));
    }

    /// Adds a frame.
    pub fn send(&mut self, to: &ChargePointId, link: LinkId, text: String, after_commit: bool) {
        self.counters.frames_out += 1;
        self.out.frames.push(FrameOut { charge_point: to.clone(), link, text, after_commit });
    }
}

/// Lets one thing be said only so often. The key is one of a small closed set.
#[derive(Clone, Debug, PartialEq)]
pub struct Quiet<K: Ord> {
    said: BTreeMap<K, Instant>,
}

impl<K: Ord> Default for Quiet<K> {
    fn default() -> Self {
        Self { said: BTreeMap::new() }
    }
}

impl<K: Ord> Quiet<K> {
    /// Whether `key` may be said, because it was not said within `pause`; remembers that it is.
    pub fn may_say(&mut self, now: Instant, key: K, pause: Duration) -> bool {
        let recent = self.said.get(&key).is_some_and(|said| now.since(*said) < pause);
        if !recent {
            self.said.insert(key, now);
        }
        !recent
    }
}
