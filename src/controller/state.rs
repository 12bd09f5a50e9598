//! The controller's state and how it speaks: events, records, limits on how often it repeats
//! itself.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::control::Control;
use crate::control::situation::OtherLoad;
use crate::ground::calendar::Calendar;
use crate::ground::ids::{ChargePointId, EvseIndex, SessionId};
use crate::ground::time::{Duration, Instant, Now};
use crate::ground::units::{Amps, PerPhase};
use crate::model::campaign::{Campaign, CampaignId};
use crate::model::event::{Event, EventKind};
use crate::model::preference::{Intent, Preference};
use crate::model::record::{ChargePointRecord, LeaseRecord, Record, Remembered};
use crate::model::reservation::{Reservation, ReservationId};
use crate::model::site::Site;
use crate::ocpp::Central;
use crate::ocpp::traffic::{ConnectorSetup, PointSetup, Traffic};

use super::asker::Asks;
use super::book::Book;
use super::contact_state::ContactState;
use super::evse::{Drill, EvseState};
use super::feed_state::FeedState;
use super::image::MeterImage;
use super::limits_kept::{self, Kept};
use super::loads::{Draw, Loads};
use super::message::{Outbox, Output};
use super::outer_limit::OuterLimit;
use super::partner_limit::PartnerLimit;
use super::planning::Planning;
use super::view::Totals;
use super::vouching::Vouching;

/// Events kept for people; all of them are in the store.
const EVENTS_MAX: usize = 100;

/// The same trouble of the same subject is told no more often than this.
const REPEAT_AFTER: Duration = Duration::minutes(10);

/// Subjects whose last event is remembered for [`REPEAT_AFTER`]; beyond it old ones are forgotten.
const SAID_MAX: usize = 500;

/// A charge point as the controller knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What is remembered of it.
    pub record: ChargePointRecord,
    /// Since when it can be spoken to.
    pub online_since: Option<Instant>,
    /// The EVSEs behind it.
    pub evses: Vec<EvseIndex>,
    /// What it last said of an upload.
    pub upload: Option<String>,
    /// What it last said of a firmware update.
    pub update: Option<String>,
}

/// Everything the controller knows. `Clone` is cheap enough to run ahead of time with a copy.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub site: Arc<Site>,
    pub central: Central,
    pub control: Control,
    pub book: Book,
    /// What drivers want, for every session of the book of which something was said.
    pub preferences: BTreeMap<SessionId, Preference>,
    /// The same of cars whose transaction has not begun.
    pub intents: BTreeMap<EvseIndex, Intent>,
    pub meters: Vec<MeterImage>,
    pub loads: Loads,
    pub planning: Planning,
    pub evses: Vec<EvseState>,
    pub points: BTreeMap<ChargePointId, Point>,
    pub events: VecDeque<Event>,
    pub totals: Totals,
    /// The leases as they are on disk.
    pub leases: Vec<Option<LeaseRecord>>,
    /// The constraints that cannot hold the worst case, since when.
    pub overloads: BTreeMap<String, Instant>,
    /// EVSEs that draw more than they were told, to tell it once.
    pub disobeying: Vec<bool>,
    pub store_failing: Option<String>,
    pub broker_down: Option<String>,
    /// Tokens that partners vouch for.
    pub vouching: Vouching,
    /// Limits that partners have set.
    pub partner_limits: Vec<PartnerLimit>,
    /// Limits that others have set.
    pub outer: Vec<OuterLimit>,
    /// Both as the store has them.
    pub limits: Kept,
    /// The contacts that limit, in the order of the configuration.
    pub contacts: Vec<ContactState>,
    pub started: Instant,
    /// The calendar less the monotonic time in milliseconds, to notice a step of the clock.
    pub clock_offset: Option<i64>,
    /// When a decision is due because something has changed.
    pub due: Option<Instant>,
    /// How each feed of the configuration stands, in its order.
    pub feeds: Vec<FeedState>,
    /// When the last decision was made.
    pub decided: Option<Instant>,
    said: BTreeMap<(EventKind, String), Instant>,
    /// Asks that wait for their outcome.
    pub asks: Asks,
    /// Reservations that are open, and the newest of the others.
    pub reservations: BTreeMap<ReservationId, Reservation>,
    /// Firmware campaigns that are open, and the newest of the others.
    pub campaigns: BTreeMap<CampaignId, Campaign>,
    /// The commissioning drill that runs, or the last one.
    pub drill: Option<Drill>,
    /// When the lists of tokens in the chargers are looked at again.
    pub lists_at: Option<Instant>,
}

impl State {
    /// Goes on where the store left off.
    pub fn new(site: Site, remembered: &Remembered, now: Now) -> Self {
        let site = Arc::new(site);
        let diagram = Arc::new(site.diagram.clone());
        let points = points(&site, remembered);
        let limits = remembered.limits.iter().map(|one| (one.key(), one.clone())).collect();
        let (outer, partner_limits) = limits_kept::restored(&limits, &site, now);
        let lease_of = |id| remembered.leases.iter().find(|lease| &lease.evse == id).cloned();
        Self {
            central: Central::new(
                setups(&site, &points),
                site.charging.clone(),
                site.lease.clone(),
                diagram.voltage,
            ),
            control: Control::new(
                diagram.clone(),
                site.lease.clone(),
                &remembered.leases,
                now.mono,
            ),
            book: Book::new(remembered, |id| diagram.evse(id)),
            preferences: remembered
                .preferences
                .iter()
                .map(|known| (known.session, known.clone()))
                .collect(),
            intents: remembered
                .intents
                .iter()
                .filter_map(|intent| Some((diagram.evse(&intent.evse)?, intent.clone())))
                .collect(),
            meters: vec![MeterImage::default(); site.meters.len()],
            loads: Loads::new(&diagram),
            planning: Planning::new(&site, remembered),
            feeds: vec![FeedState::new(now.mono); site.feeds.len()],
            evses: vec![EvseState::new(now.mono); diagram.evses.len()],
            points,
            events: VecDeque::new(),
            totals: Totals::default(),
            leases: diagram.evses.iter().map(|evse| lease_of(&evse.id)).collect(),
            overloads: BTreeMap::new(),
            disobeying: vec![false; diagram.evses.len()],
            store_failing: None,
            broker_down: None,
            partner_limits,
            outer,
            limits,
            contacts: vec![ContactState::new(now.mono); site.contacts.len()],
            vouching: Vouching::default(),
            started: now.mono,
            clock_offset: None,
            due: Some(now.mono),
            decided: None,
            said: BTreeMap::new(),
            asks: Asks::default(),
            campaigns: remembered.campaigns.iter().map(|one| (one.id, one.clone())).collect(),
            reservations: remembered.reservations.iter().map(|one| (one.id, one.clone())).collect(),
            drill: None,
            lists_at: None,
            site,
        }
    }

    /// The same under another configuration. What is known of a connector, a meter and the links
    /// stays; the ledger begins anew from the leases, which cover all that was sent.
    pub fn reconfigured(&self, site: Site, now: Now, caused: &mut Traffic) -> Self {
        let mut next = Self::new(site, &self.remember(), now);
        let (charging, lease) = (next.site.charging.clone(), next.site.lease.clone());
        let setups = setups(&next.site, &next.points);
        let voltage = next.site.diagram.voltage;
        next.central = self.central.reconfigured(setups, charging, lease, voltage, caused);
        (next.events, next.totals) = (self.events.clone(), self.totals);
        (next.started, next.clock_offset) = (self.started, self.clock_offset);
        next.said = self.said.clone();
        next.planning.outlook = self.planning.outlook.clone().under(&next.site);
        let calendar = Calendar::new(&next.site.zone);
        next.planning.habits = self.planning.habits.clone().with_calendar(calendar);
        next.feeds = self.feeds_under(&next.site, now.mono);
        next.planning.changed();
        next.asks = self.asks.clone();
        next.store_failing = self.store_failing.clone();
        next.broker_down = self.broker_down.clone();
        next.vouching = self.vouching.clone();
        next.outer = self.outer.clone();
        next.partner_limits.clear();
        next.contacts = self.contacts_under(&next.site, now.mono);
        for (meter, image) in next.site.meters.iter().zip(&mut next.meters) {
            let before = self.site.meters.iter().position(|known| known == meter);
            if let Some(before) = before {
                *image = self.meters[before].clone();
            }
        }
        for (id, point) in &mut next.points {
            point.online_since = self.points.get(id).and_then(|known| known.online_since);
        }
        for (index, evse) in next.site.diagram.evses.iter().enumerate() {
            let before = self.site.diagram.evse_at(&evse.charge_point, evse.connector);
            let Some(before) = before else { continue };
            next.evses[index] = self.evses[before].clone();
            let own = self.partner_limits.iter().filter(|one| one.evse == before);
            let own = own.map(|one| PartnerLimit { evse: index, ..one.clone() });
            next.partner_limits.extend(own);
            let drill = self.drill.as_ref().filter(|drill| drill.evse == before);
            let drill = drill.map(|drill| Drill { evse: index, ..drill.clone() });
            next.drill = next.drill.take().or(drill);
            if next.points[&evse.charge_point].online_since.is_some() {
                next.control.link_up(index);
            }
            if next.evses[index].live.is_some() {
                next.control.session_began(index, now.mono);
            }
        }
        next
    }

    /// Tells people and keeps the event.
    pub fn event(
        &mut self,
        now: Now,
        kind: EventKind,
        subject: &str,
        text: String,
        out: &mut Outbox,
    ) {
        let event = Event { kind, subject: subject.to_owned(), text, at: now.utc };
        if EVENTS_MAX <= self.events.len() {
            self.events.pop_back();
        }
        self.events.push_front(event.clone());
        out.push(Output::Record(Record::Event(event.clone())));
        out.push(Output::Event(event));
    }

    /// Tells people unless the same was told of the same subject a short while ago.
    pub fn event_seldom(
        &mut self,
        now: Now,
        kind: EventKind,
        subject: &str,
        text: String,
        out: &mut Outbox,
    ) {
        let key = (kind, subject.to_owned());
        let lately = |at: &Instant| now.mono.since(*at) < REPEAT_AFTER;
        if self.said.get(&key).is_some_and(lately) {
            return;
        }
        if SAID_MAX <= self.said.len() {
            self.said.retain(|_, at| now.mono.since(*at) < REPEAT_AFTER);
            if SAID_MAX <= self.said.len() {
                return;
            }
        }
        self.said.insert(key, now.mono);
        self.event(now, kind, subject, text, out);
    }

    /// Something has changed that a decision should see: at once if the last one is a second old,
    /// else when it is, so that a burst of messages costs one decision.
    pub fn mark(&mut self, now: Instant) {
        const BETWEEN: Duration = Duration::seconds(1);
        let earliest = self.decided.map_or(now, |decided| (decided + BETWEEN).max(now));
        self.due = Some(self.due.map_or(earliest, |due| due.min(earliest)));
    }

    /// Something has changed for the worse: decide within this step.
    pub fn mark_urgent(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// The load that is not ours, node by node.
    pub fn other_loads(&self, now: Instant) -> Vec<OtherLoad> {
        let evses = 0..self.evses.len();
        let worst: Vec<PerPhase<Amps>> = evses.map(|evse| self.control.worst(evse, now)).collect();
        self.loads.other(&self.site.diagram, &self.site.meters, &self.meters, &worst, now)
    }

    /// A reading of an EVSE is used up to this age.
    pub fn reading_max_age(&self) -> Duration {
        self.site.charging.sample_interval * 3 + Duration::seconds(5)
    }

    /// What each EVSE draws, for the estimate of the load that is not ours.
    pub fn draws(&self, now: Now) -> Vec<Draw> {
        let max_age = self.reading_max_age();
        let draw = |(index, evse): (usize, &EvseState)| {
            let worst = self.control.worst(index, now.mono);
            let is_open = || self.book.newest_open(index).is_some();
            let is_heard = self.is_online(index) && !(evse.may_draw() && is_open());
            evse.draw(now, max_age, worst, is_heard)
        };
        self.evses.iter().enumerate().map(draw).collect()
    }

    /// Whether the charge point of this EVSE can be spoken to.
    pub fn is_online(&self, evse: EvseIndex) -> bool {
        let point = self.points.get(&self.site.diagram.evses[evse].charge_point);
        point.is_some_and(|point| point.online_since.is_some())
    }

    /// Name of an EVSE.
    pub fn evse_name(&self, evse: EvseIndex) -> String {
        self.site.diagram.evses[evse].id.to_string()
    }

    /// Writes the lease of an EVSE down if the store does not have it so.
    pub fn keep_lease(&mut self, evse: EvseIndex, out: &mut Outbox) {
        let lease = self.control.lease_record(evse);
        if self.leases[evse].as_ref() != Some(&lease) {
            self.leases[evse] = Some(lease.clone());
            out.push(Output::Record(Record::Lease(lease)));
        }
    }

    /// Everything that a restart would find in the store.
    pub fn remember(&self) -> Remembered {
        let mut remembered = Remembered {
            leases: self.leases.iter().flatten().cloned().collect(),
            preferences: self.preferences.values().cloned().collect(),
            intents: self.intents.values().cloned().collect(),
            charge_points: self.points.values().map(|point| point.record.clone()).collect(),
            reservations: self.reservations.values().cloned().collect(),
            campaigns: self.campaigns.values().cloned().collect(),
            learned: self.planning.learned(),
            limits: self.limits.values().cloned().collect(),
            ..Remembered::default()
        };
        self.book.remember(&mut remembered);
        remembered
    }
}

fn points(site: &Site, remembered: &Remembered) -> BTreeMap<ChargePointId, Point> {
    let mut points: BTreeMap<ChargePointId, Point> = BTreeMap::new();
    for (index, evse) in site.diagram.evses.iter().enumerate() {
        let id = &evse.charge_point;
        let known = || remembered.charge_points.iter().find(|point| &point.charge_point == id);
        let point = points.entry(id.clone()).or_insert_with(|| Point {
            record: known().cloned().unwrap_or(ChargePointRecord {
                charge_point: id.clone(),
                identity: None,
                capability: None,
            }),
            online_since: None,
            evses: Vec::new(),
            upload: None,
            update: None,
        });
        point.evses.push(index);
    }
    points
}

fn setups(site: &Site, points: &BTreeMap<ChargePointId, Point>) -> Vec<PointSetup> {
    let connector = |index: &EvseIndex| {
        let evse = &site.diagram.evses[*index];
        ConnectorSetup {
            connector: evse.connector,
            evse: *index,
            safe: evse.safe,
            rated: evse.rated,
            phases: evse.wiring.len(),
        }
    };
    let setup = |(id, point): (&ChargePointId, &Point)| PointSetup {
        id: id.clone(),
        connectors: point.evses.iter().map(connector).collect(),
        remembered: Some(point.record.clone()),
    };
    points.iter().map(setup).collect()
}
