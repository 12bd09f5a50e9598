//! The site as a CPO: its location, tariffs, sessions and CDRs as partners see them.
//!
//! A session is a row from its beginning on; what is under way is also kept with its samples, so
//! that a restart goes on with the same periods. When a session ends, its row becomes final and a
//! CDR is made, once for ever.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ground::time::Utc;
use crate::model::message::EvseStatus;
use crate::model::partner::{Facade, Ocpi, Share};

use crate::ocpi::codec;
use crate::ocpi::decimal::Decimal;
use crate::ocpi::period::{self, Doing, Sample};
use crate::ocpi::price::{self, Bill};
use crate::ocpi::text::{Ci, Time};
use crate::ocpi::wire::cdr::{Cdr, CdrLocation};
use crate::ocpi::wire::credentials::BusinessDetails;
use crate::ocpi::wire::location::{
    Capability, Connector, Evse, GeoLocation, Location, PowerType, Status,
};
use crate::ocpi::wire::session::{Session, SessionStatus};
use crate::ocpi::wire::tariff::Tariff;

use super::Engine;
use super::desk::{Change, Desk, EvseFact, Facts, Output, Query, Row, RowKind, SessionFact};

/// Sessions that are remembered as done without being looked up again.
const DONE_MAX: usize = 1000;

/// What is offered to partners.
pub struct Gateway {
    /// The site.
    pub location: Location,
    /// Its tariffs.
    pub tariffs: Vec<Tariff>,
    /// Sessions under way, by their number at the site.
    pub live: BTreeMap<u64, Live>,
    /// The EVSEs as the site last told.
    pub facts: BTreeMap<String, EvseFact>,
    done: BTreeSet<u64>,
    rows: BTreeMap<RowKind, u64>,
    known_tariffs: BTreeMap<String, Value>,
    settled: bool,
    /// Rises with each configuration.
    edition: u32,
}

/// A session under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// Its row.
    pub row: u64,
    /// As partners see it.
    pub session: Session,
    /// What its meter said.
    pub samples: Vec<Sample>,
    /// The tariff that was in force when it began.
    pub tariff: Option<Tariff>,
}

impl Gateway {
    /// Goes on where the rows left off.
    pub fn new(site: &Ocpi, kept: &BTreeMap<String, Value>) -> Self {
        let live = kept.range("live/".to_owned().."live0".to_owned());
        let live = live.filter_map(|(key, value)| {
            let number: u64 = key.strip_prefix("live/")?.parse().ok()?;
            Some((number, codec::decode::<Live>(value.clone()).ok()?))
        });
        let last = |kind: RowKind| {
            let key = format!("last/{}", kind.word());
            (kind, kept.get(&key).and_then(Value::as_u64).unwrap_or(0))
        };
        let known_tariffs = kept.range("tariff/".to_owned().."tariff0".to_owned());
        Self {
            location: location(site),
            tariffs: Vec::new(),
            live: live.collect(),
            facts: BTreeMap::new(),
            done: BTreeSet::new(),
            rows: [RowKind::Session, RowKind::Cdr].map(last).into(),
            known_tariffs: known_tariffs.map(|(key, value)| (key.clone(), value.clone())).collect(),
            settled: false,
            edition: 0,
        }
    }

    /// Another configuration: the location anew with what is known of its EVSEs, and the tariffs at
    /// the next facts.
    pub fn reconfigure(&mut self, site: &Ocpi, kept: &BTreeMap<String, Value>) {
        self.location = location(site);
        for evse in &mut self.location.evses {
            evse.status = self.facts.get(&evse.uid.key()).map_or(Status::Unknown, status);
        }
        let tariffs = kept.range("tariff/".to_owned().."tariff0".to_owned());
        self.known_tariffs = tariffs.map(|(key, value)| (key.clone(), value.clone())).collect();
        (self.tariffs, self.settled) = (Vec::new(), false);
        self.edition += 1;
    }

    /// Tells the location of one configuration from that of the next.
    pub fn edition(&self) -> u32 {
        self.edition
    }

    fn next_row(&mut self, kind: RowKind) -> u64 {
        let last = self.rows.entry(kind).or_default();
        *last += 1;
        *last
    }

    /// Known tariffs that are none of these; they are known no more.
    pub fn unknown_tariffs(&mut self, ids: &BTreeSet<String>) -> Vec<String> {
        let id = |key: &String| key.strip_prefix("tariff/").unwrap_or_default().to_owned();
        let gone: Vec<String> = self.known_tariffs.keys().map(id).collect();
        self.known_tariffs.retain(|key, _| ids.contains(&id(key)));
        gone.into_iter().filter(|id| !ids.contains(id)).collect()
    }

    /// The site has told how it is; before, there is nothing to offer.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// The largest row of a list.
    pub fn last_row(&self, kind: RowKind) -> u64 {
        self.rows.get(&kind).copied().unwrap_or(0)
    }

    /// The session of this row, if it is under way.
    pub fn by_row(&self, row: u64) -> Option<&Live> {
        self.live.values().find(|live| live.row == row)
    }

    /// The number at the site of a session under way.
    pub fn by_id(&self, id: &Ci) -> Option<(u64, &Live)> {
        let found = self.live.iter().find(|(_, live)| &live.session.id == id);
        found.map(|(number, live)| (*number, live))
    }
}

/// The location before anything is known of its EVSEs.
fn location(site: &Ocpi) -> Location {
    let place = &site.place;
    let time = Time::default();
    let evses = site.facades.iter().map(|facade| Evse {
        uid: Ci::new(facade.evse.as_str()),
        evse_id: Some(Ci::new(&facade.evse_id)),
        status: Status::Unknown,
        capabilities: vec![
            Capability::ChargingProfiles,
            Capability::ChargingPreferences,
            Capability::RemoteStartStop,
            Capability::Rfid,
            Capability::Unlock,
        ],
        connectors: vec![connector(site, facade)],
        physical_reference: Some(facade.evse.as_str().chars().take(16).collect()),
        last_updated: time,
    });
    Location {
        country_code: Ci::new(&site.country_code),
        party_id: Ci::new(&site.party_id),
        id: Ci::new(&place.id),
        publish: place.publish,
        name: Some(place.name.clone()),
        address: place.address.clone(),
        city: place.city.clone(),
        postal_code: place.postal_code.clone(),
        country: place.country.clone(),
        coordinates: GeoLocation {
            latitude: place.latitude.clone(),
            longitude: place.longitude.clone(),
        },
        evses: evses.collect(),
        operator: Some(BusinessDetails { name: site.name.clone(), website: site.website.clone() }),
        time_zone: site.zone.clone(),
        opening_times: Some(json!({ "twentyfourseven": true })),
        last_updated: time,
    }
}

fn connector(site: &Ocpi, facade: &Facade) -> Connector {
    let phases = facade.phases as i64;
    Connector {
        id: Ci::new(&facade.connector.to_string()),
        standard: facade.standard.clone(),
        format: if facade.has_cable { "CABLE" } else { "SOCKET" }.to_owned(),
        power_type: match phases {
            1 => PowerType::Ac1,
            2 => PowerType::Ac2,
            _ => PowerType::Ac3,
        },
        max_voltage: site.voltage_v,
        max_amperage: facade.max_a,
        max_electric_power: Some(phases * site.voltage_v * facade.max_a),
        tariff_ids: facade.tariffs.iter().map(|id| Ci::new(id)).collect(),
        last_updated: Time::default(),
    }
}

/// OCPP 1.6 statuses as OCPI has them.
fn status(fact: &EvseFact) -> Status {
    if !fact.online {
        return Status::Unknown;
    }
    match fact.status {
        EvseStatus::Unknown => Status::Unknown,
        EvseStatus::Available => Status::Available,
        EvseStatus::Preparing
        | EvseStatus::Charging
        | EvseStatus::SuspendedEvse
        | EvseStatus::SuspendedEv
        | EvseStatus::Finishing => Status::Charging,
        EvseStatus::Reserved => Status::Reserved,
        EvseStatus::Unavailable => Status::Inoperative,
        EvseStatus::Faulted => Status::OutOfOrder,
    }
}

/// What the driver pays for: a pause of ours is neither charging nor parking.
fn doing(fact: Option<&EvseFact>) -> Doing {
    match fact {
        Some(EvseFact { status: EvseStatus::SuspendedEvse, .. }) => Doing::Held,
        Some(EvseFact { limit_a: Some(limit), .. }) if *limit < 1.0 => Doing::Held,
        Some(EvseFact { status: EvseStatus::SuspendedEv | EvseStatus::Finishing, .. }) => {
            Doing::Parked
        }
        _ => Doing::Charging,
    }
}

impl Engine {
    /// The site has changed, or may have.
    pub(super) fn take_facts(&mut self, desk: &mut Desk<'_>, facts: &Facts) {
        self.settle(desk);
        for fact in &facts.evses {
            self.take_evse(desk, fact);
        }
        for fact in &facts.sessions {
            self.take_session(desk, fact);
        }
        if DONE_MAX < self.gateway.done.len() {
            let oldest = facts.sessions.iter().map(|fact| fact.session).min().unwrap_or(0);
            self.gateway.done.retain(|number| oldest <= *number);
        }
    }

    /// At the first facts tariffs get their times.
    fn settle(&mut self, desk: &mut Desk<'_>) {
        if std::mem::replace(&mut self.gateway.settled, true) {
            return;
        }
        let now = Time(desk.utc);
        self.gateway.location.last_updated = now;
        for evse in &mut self.gateway.location.evses {
            evse.last_updated = now;
            evse.connectors.iter_mut().for_each(|connector| connector.last_updated = now);
        }
        let mut ids = BTreeSet::new();
        for written in self.site.tariffs.clone() {
            let Value::Object(mut object) = written else { continue };
            object.insert("country_code".to_owned(), json!(self.site.country_code));
            object.insert("party_id".to_owned(), json!(self.site.party_id));
            let id = object.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            let key = format!("tariff/{id}");
            ids.insert(id);
            let known = self.gateway.known_tariffs.get(&key);
            let before = known.and_then(|known| known.get("last_updated")).cloned();
            let mut same = known.cloned().unwrap_or_default();
            if let Value::Object(same) = &mut same {
                same.remove("last_updated");
            }
            let unchanged = same == Value::Object(object.clone());
            let updated = before.filter(|_| unchanged).unwrap_or(json!(now));
            object.insert("last_updated".to_owned(), updated);
            let value = Value::Object(object);
            if !unchanged {
                desk.keep(key, &value);
            }
            // The configuration was checked when it was loaded.
            if let Ok(tariff) = codec::decode(value) {
                self.gateway.tariffs.push(tariff);
            }
        }
        self.withdraw(desk, &ids);
    }

    fn take_evse(&mut self, desk: &mut Desk<'_>, fact: &EvseFact) {
        let uid = Ci::new(fact.evse.as_str());
        self.gateway.facts.insert(uid.key(), fact.clone());
        let location = &mut self.gateway.location;
        let Some(evse) = location.evses.iter_mut().find(|evse| evse.uid == uid) else { return };
        let status = status(fact);
        if evse.status == status {
            return;
        }
        evse.status = status;
        evse.last_updated = evse.last_updated.next(desk.utc);
        location.last_updated = location.last_updated.next(desk.utc);
        for due in self.due.values_mut() {
            due.evses.insert(uid.key());
        }
    }

    fn take_session(&mut self, desk: &mut Desk<'_>, fact: &SessionFact) {
        if self.gateway.done.contains(&fact.session) {
            return;
        }
        if !self.gateway.live.contains_key(&fact.session) && !self.open(desk, fact) {
            self.gateway.done.insert(fact.session);
            return;
        }
        let doing = doing(self.gateway.facts.get(&Ci::new(fact.evse.as_str()).key()));
        let Some(live) = self.gateway.live.get_mut(&fact.session) else { return };
        let at = fact.ended.unwrap_or(desk.utc);
        let last = live.samples.last().copied();
        let turned = last.is_some_and(|last| last.doing != doing);
        let grown = last.is_some_and(|last| last.energy_wh < fact.energy_wh);
        let update_due = self.site.update_every <= desk.utc.since(live.session.last_updated.0);
        let begun = live.session.status == SessionStatus::Pending;
        let is_news = fact.ended.is_some() || turned || begun || (grown && update_due);
        if !is_news {
            return;
        }
        let doing =
            if fact.ended.is_some() { last.map_or(doing, |last| last.doing) } else { doing };
        if fact.ended.is_some() {
            // A charger's clock is behind, or it was offline: what was seen of the session until
            // now lies after its end, and would leave its energy nowhere to be.
            let mut first = true;
            live.samples.retain(|sample| std::mem::take(&mut first) || sample.at <= at);
        }
        period::add(&mut live.samples, Sample { at, energy_wh: fact.energy_wh, doing });
        let session = &mut live.session;
        session.status = SessionStatus::Active;
        session.kwh = Decimal::new(fact.energy_wh, 3);
        if let Some(ended) = fact.ended {
            session.status = SessionStatus::Completed;
            session.end_date_time = Some(Time(ended.max(session.start_date_time.0)));
        }
        session.charging_periods =
            period::periods(&live.samples, at, live.tariff.as_ref(), &self.zone);
        session.total_cost = live.tariff.as_ref().map(|tariff| {
            let (start, end) = (session.start_date_time, Time(at));
            let bill = Bill { periods: &session.charging_periods, start, end, zone: &self.zone };
            price::price(tariff, &bill).cost
        });
        session.last_updated = session.last_updated.next(desk.utc);
        self.keep_session(desk, fact.session);
        if fact.ended.is_some() {
            self.close(desk, fact.session);
        }
    }

    /// A session that is new to us. False where it is none of ours, or done.
    fn open(&mut self, desk: &mut Desk<'_>, fact: &SessionFact) -> bool {
        let Some(facade) = self.site.facades.iter().find(|one| one.evse == fact.evse).cloned()
        else {
            return false;
        };
        let id = self.session_id(fact.session);
        let query = Query { id: Some(id.key()), limit: 1, ..Query::all(RowKind::Session) };
        if 0 < (desk.shelf)(&query).total {
            return false;
        }
        let granted = self.granted(&fact.token);
        let tariff = facade.tariffs.first().and_then(|id| {
            self.gateway.tariffs.iter().find(|tariff| tariff.id.as_str() == id).cloned()
        });
        let session = Session {
            country_code: Ci::new(&self.site.country_code),
            party_id: Ci::new(&self.site.party_id),
            id,
            start_date_time: Time(fact.started),
            end_date_time: None,
            kwh: Decimal::ZERO,
            cdr_token: granted.token,
            auth_method: granted.method,
            authorization_reference: granted.reference,
            location_id: Ci::new(&self.site.place.id),
            evse_uid: Ci::new(fact.evse.as_str()),
            connector_id: Ci::new(&facade.connector.to_string()),
            meter_id: None,
            currency: self.site.currency.clone(),
            charging_periods: Vec::new(),
            total_cost: None,
            status: SessionStatus::Pending,
            charging_preferences: None,
            last_updated: Time::default(),
        };
        let row = self.gateway.next_row(RowKind::Session);
        let begin = Sample { at: fact.started, energy_wh: 0, doing: Doing::Charging };
        let live = Live { row, session, samples: vec![begin], tariff };
        self.gateway.live.insert(fact.session, live);
        true
    }

    /// The id of a session for partners: unique among all boxes of the party.
    pub(super) fn session_id(&self, session: u64) -> Ci {
        Ci::new(&format!("{}-{session}", self.site.place.id))
    }

    pub(super) fn keep_session(&mut self, desk: &mut Desk<'_>, number: u64) {
        let Some(live) = self.gateway.live.get(&number) else { return };
        let (row, session) = (live.row, &live.session);
        let owner = owner(&session.cdr_token.country_code, &session.cdr_token.party_id);
        desk.out.push(Output::Keep(Change::Row(Row {
            kind: RowKind::Session,
            number: row,
            id: session.id.key(),
            owner: owner.clone(),
            updated: session.last_updated.0,
            value: json!(session),
        })));
        desk.keep(format!("live/{number}"), live);
        let partners: Vec<String> = self.due.keys().cloned().collect();
        for partner in partners {
            if self.gets(&partner, &owner)
                && let Some(due) = self.due.get_mut(&partner)
            {
                due.sessions.insert(row);
            }
        }
    }

    /// Whether a partner gets sessions of tokens of this owner.
    fn gets(&self, partner: &str, owner: &str) -> bool {
        self.owners(partner).is_none_or(|owners| owners.iter().any(|known| known == owner))
    }

    /// The owners whose sessions a partner gets; none for all.
    pub(super) fn owners(&self, partner: &str) -> Option<Vec<String>> {
        let configured = self.partner(partner)?;
        if configured.share == Share::All {
            return None;
        }
        let roles = self.links.get(partner).map(|link| link.roles.as_slice()).unwrap_or_default();
        Some(roles.iter().map(|role| owner(&role.country_code, &role.party_id)).collect())
    }

    /// A session has ended: its CDR is made.
    fn close(&mut self, desk: &mut Desk<'_>, number: u64) {
        let Some(live) = self.gateway.live.remove(&number) else { return };
        self.gateway.done.insert(number);
        desk.out.push(Output::Keep(Change::Drop { key: format!("live/{number}") }));
        if let Some(cdr) = self.cdr(desk.utc, &live) {
            let row = self.gateway.next_row(RowKind::Cdr);
            desk.out.push(Output::Keep(Change::Row(Row {
                kind: RowKind::Cdr,
                number: row,
                id: cdr.id.key(),
                owner: owner(&cdr.cdr_token.country_code, &cdr.cdr_token.party_id),
                updated: cdr.last_updated.0,
                value: json!(cdr),
            })));
        }
        self.session_ended(desk, number);
    }

    fn cdr(&self, utc: Utc, live: &Live) -> Option<Cdr> {
        let Live { session, tariff, .. } = live;
        let facade =
            self.site.facades.iter().find(|one| session.evse_uid == Ci::new(one.evse.as_str()))?;
        let place = &self.site.place;
        let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
        let plug = connector(&self.site, facade);
        let end = session.end_date_time?;
        let bill = Bill {
            periods: &session.charging_periods,
            start: session.start_date_time,
            end,
            zone: &self.zone,
        };
        let free = Tariff { elements: Vec::new(), ..tariff.clone().unwrap_or(no_tariff(utc)) };
        let totals = price::price(tariff.as_ref().unwrap_or(&free), &bill);
        Some(Cdr {
            country_code: session.country_code.clone(),
            party_id: session.party_id.clone(),
            id: session.id.clone(),
            start_date_time: session.start_date_time,
            end_date_time: end,
            session_id: Some(session.id.clone()),
            cdr_token: session.cdr_token.clone(),
            auth_method: session.auth_method.clone(),
            authorization_reference: session.authorization_reference.clone(),
            cdr_location: CdrLocation {
                id: Ci::new(&place.id),
                name: Some(place.name.clone()),
                address: cut(&place.address, 45),
                city: cut(&place.city, 45),
                postal_code: place.postal_code.clone(),
                country: place.country.clone(),
                coordinates: self.gateway.location.coordinates.clone(),
                evse_uid: session.evse_uid.clone(),
                evse_id: Ci::new(&facade.evse_id),
                connector_id: session.connector_id.clone(),
                connector_standard: plug.standard,
                connector_format: plug.format,
                connector_power_type: plug.power_type,
            },
            meter_id: None,
            currency: session.currency.clone(),
            tariffs: tariff.iter().cloned().collect(),
            charging_periods: session.charging_periods.clone(),
            total_cost: totals.cost,
            total_fixed_cost: totals.fixed,
            total_energy: totals.energy,
            total_energy_cost: totals.energy_cost,
            total_time: totals.time,
            total_time_cost: totals.time_cost,
            total_parking_time: Some(totals.parking_time),
            total_parking_cost: totals.parking_cost,
            remark: None,
            last_updated: Time(utc),
        })
    }
}

/// `country-party` in lower case.
pub fn owner(country: &Ci, party: &Ci) -> String {
    format!("{}-{}", country.key(), party.key())
}

fn no_tariff(utc: Utc) -> Tariff {
    Tariff {
        country_code: Ci::default(),
        party_id: Ci::default(),
        id: Ci::default(),
        currency: String::new(),
        kind: None,
        tariff_alt_text: Vec::new(),
        min_price: None,
        max_price: None,
        elements: Vec::new(),
        tax_included: None,
        start_date_time: None,
        end_date_time: None,
        last_updated: Time(utc),
    }
}
