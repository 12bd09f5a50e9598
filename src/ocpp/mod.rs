//! Floor 3: OCPP 1.6J central system, sans-IO: text in, text out, no socket and no clock.
//!
//! The way of a frame: [`frame`] (framing) → [`message`] (typed payload, after [`repair`]) →
//! [`incoming`] ([`translate`], [`metering`], [`clock`]) → a `Report` of `model`.
//! The way of an order: [`lease`] ([`mode`] ladder, [`profile`] payload, [`composite`] proof),
//! [`boot`] (safe share, configuration), [`local_list`] or [`operate`] (what people ask) → a
//! [`task`] → [`link`] (one call in flight) → a frame.
//! [`merge`] checks what profiles come to, by rules of its own.
//! [`station`] is what is known of a charge point, [`point`] joins it with its link, and
//! [`Central`] is all of them.
//!
//! Tolerant receive, strict send: every call is answered, no transaction, status or reading is lost
//! for a bad field, and everything we send validates against the OCPP 1.6 schemas.
//!
//! What it does not do: it gives no transaction ids, decides on no token and no limit, and
//! remembers nothing over a restart but what it reports as identity and capability text.
//!
//! Registration: every charge point of the site is Accepted at once, also while our clock is not
//! trusted. Then `currentTime` repeats the charger's own clock, so that ours spoils nothing, and
//! charging goes on; Pending would stop it (OCPP 1.6 §4.2).

use std::collections::BTreeMap;

use crate::ground::ids::{ChargePointId, EvseIndex, LinkId};
use crate::ground::time::{Instant, Now};
use crate::ground::units::Volts;
use crate::model::message::{Answer, Call, Command};
use crate::model::site::{ChargingPolicy, LeasePolicy};

use point::Point;
use traffic::{Counters, PointSetup, PointView, Settings, Step, Traffic};

mod boot;
mod capability;
mod certificates;
mod clock;
mod composite;
pub mod field;
pub mod frame;
mod incoming;
pub mod interview;
mod lease;
mod link;
mod local_list;
pub mod merge;
mod message;
mod metering;
mod mode;
mod operate;
mod point;
mod profile;
mod quirk;
mod repair;
mod station;
mod task;
pub mod traffic;
mod translate;

/// All charge points of the site.
#[derive(Clone, Debug, PartialEq)]
pub struct Central {
    points: Vec<Point>,
    by_id: BTreeMap<ChargePointId, usize>,
    by_evse: BTreeMap<EvseIndex, usize>,
    settings: Settings,
    counters: Counters,
}

impl Central {
    /// The charge points as configured and remembered; none is connected.
    pub fn new(
        points: Vec<PointSetup>,
        charging: ChargingPolicy,
        lease: LeasePolicy,
        voltage: Volts,
    ) -> Self {
        let mut by_id = BTreeMap::new();
        let mut by_evse = BTreeMap::new();
        for (index, point) in points.iter().enumerate() {
            by_id.insert(point.id.clone(), index);
            by_evse.extend(point.connectors.iter().map(|connector| (connector.evse, index)));
        }
        Self {
            points: points.into_iter().map(Point::new).collect(),
            by_id,
            by_evse,
            settings: Settings { charging, lease, voltage },
            counters: Counters::default(),
        }
    }

    /// The same under another configuration: links, what is known and what is in flight stay.
    /// Charge points that are no longer the site's are dropped.
    pub fn reconfigured(
        &self,
        points: Vec<PointSetup>,
        charging: ChargingPolicy,
        lease: LeasePolicy,
        voltage: Volts,
        out: &mut Traffic,
    ) -> Self {
        let mut next = Self::new(points, charging, lease, voltage);
        next.counters = self.counters;
        for point in &self.points {
            let id = &point.station.id;
            match next.by_id.get(id) {
                Some(index) => next.points[*index].take_over(point),
                None => {
                    let drop = point.link_id().map(|link| (id.clone(), link, true));
                    out.disconnects.extend(drop);
                }
            }
        }
        next
    }

    /// A charge point has connected. The newest link wins; the older one is to be dropped.
    pub fn link_up(
        &mut self,
        now: Now,
        charge_point: &ChargePointId,
        link: LinkId,
        address: &str,
        out: &mut Traffic,
    ) {
        self.with(now, self.index(charge_point), out, |point, step| {
            point.link_up(step, link, address);
        });
    }

    /// A connection is gone; ignored unless it is the current one.
    pub fn link_down(
        &mut self,
        now: Now,
        charge_point: &ChargePointId,
        link: LinkId,
        out: &mut Traffic,
    ) {
        self.with(now, self.index(charge_point), out, |point, step| point.link_down(step, link));
    }

    /// A frame came in; only counted when it is from an old link.
    pub fn frame(
        &mut self,
        now: Now,
        charge_point: &ChargePointId,
        link: LinkId,
        text: &str,
        out: &mut Traffic,
    ) {
        self.counters.frames_in += 1;
        self.with(now, self.index(charge_point), out, |point, step| {
            if !point.frame(step, link, text) {
                step.counters.frames_bad += 1;
            }
        });
    }

    /// The controller wants something of the field.
    pub fn command(&mut self, now: Now, command: Command, out: &mut Traffic) {
        let index = match &command {
            Command::Limit(order) => self.by_evse.get(&order.evse).copied(),
            Command::MeterNow { evse } => self.by_evse.get(evse).copied(),
            Command::Ask { charge_point, .. } | Command::LocalList { charge_point, .. } => {
                self.index(charge_point)
            }
        };
        self.with(now, index, out, |point, step| point.command(step, command));
    }

    /// The controller has decided on a call that was reported.
    pub fn answer(
        &mut self,
        now: Now,
        call: &Call,
        answer: Answer,
        after_commit: bool,
        out: &mut Traffic,
    ) {
        self.with(now, self.index(&call.charge_point), out, |point, step| {
            point.answer(step, call, answer, after_commit);
        });
    }

    /// Time has passed: whatever is due is done.
    pub fn wake(&mut self, now: Now, out: &mut Traffic) {
        for index in 0..self.points.len() {
            if self.points[index].wake_at().is_some_and(|due| due <= now.mono) {
                self.with(now, Some(index), out, |point, step| point.wake(step));
            }
        }
    }

    /// When [`Self::wake`] is wanted at the latest.
    pub fn wake_at(&self) -> Option<Instant> {
        self.points.iter().filter_map(Point::wake_at).min()
    }

    /// The charge points for the view, in the order of the configuration.
    pub fn points(&self) -> impl Iterator<Item = PointView> {
        self.points.iter().map(Point::view)
    }

    /// Running totals since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn index(&self, charge_point: &ChargePointId) -> Option<usize> {
        self.by_id.get(charge_point).copied()
    }

    fn with(
        &mut self,
        now: Now,
        index: Option<usize>,
        out: &mut Traffic,
        act: impl FnOnce(&mut Point, &mut Step<'_>),
    ) {
        let Some(point) = index.and_then(|index| self.points.get_mut(index)) else {
            return;
        };
        let settings = &self.settings;
        let mut step = Step { now, settings, counters: &mut self.counters, out };
        act(point, &mut step);
        point.settle(&mut step);
    }
}
