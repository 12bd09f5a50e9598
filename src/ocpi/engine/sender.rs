//! What partners may read of ours: lists by the page, single objects, and the preferences of
//! drivers that they tell.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ground::ids::SessionId;
use crate::ground::units::WattHours;
use crate::model::preference::{Preference, PreferenceSource};

use crate::ocpi::address;
use crate::ocpi::codec;
use crate::ocpi::decimal::Decimal;
use crate::ocpi::http::{self, Method, OcpiResponse};
use crate::ocpi::text::{Ci, Time};
use crate::ocpi::wire::cdr::Cdr;
use crate::ocpi::wire::session::{ChargingPreferences, Session};

use super::Engine;
use super::desk::{Desk, Output, Query, RowKind, SiteOrder};
use super::serve::{Asked, not_so};
use super::wanted::Wanted;

/// Objects of one page at most.
const PAGE_MAX: usize = 100;

/// A page that was asked for.
struct Page {
    from: Option<Time>,
    to: Option<Time>,
    offset: usize,
    limit: usize,
}

impl Page {
    fn of(asked: &Asked<'_>) -> Result<Self, String> {
        let time = |name: &str| match asked.parameter(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => match Time::parse(text) {
                Some(time) => Ok(Some(time)),
                None => Err(format!("{name}: a time like 2024-03-01T08:00:00Z is expected")),
            },
        };
        let count = |name: &str, usual: usize| match asked.parameter(name) {
            None => Ok(usual),
            Some(text) => text.parse().map_err(|_| format!("{name}: a whole number is expected")),
        };
        let limit = count("limit", PAGE_MAX)?.clamp(1, PAGE_MAX);
        Ok(Self {
            from: time("date_from")?,
            to: time("date_to")?,
            offset: count("offset", 0)?,
            limit,
        })
    }

    fn holds(&self, updated: Time) -> bool {
        self.from.is_none_or(|from| from <= updated) && self.to.is_none_or(|to| updated < to)
    }
}

impl Engine {
    /// GET locations, as a list or by id down to a connector.
    pub(super) fn send_location(&self, desk: &mut Desk<'_>, asked: &Asked<'_>) -> OcpiResponse {
        if asked.method != Method::Get {
            return not_so(desk.utc);
        }
        let location = &self.gateway.location;
        let speech = asked.caller.speech;
        let ready = location.last_updated != Time::default();
        if asked.rest.is_empty() {
            let all: Vec<_> = ready.then_some(location).into_iter().collect();
            return self.whole_list(desk, asked, "locations", &all, |one| one.last_updated);
        }
        let found = || -> Option<Value> {
            let [id, rest @ ..] = asked.rest.as_slice() else { return None };
            if !ready || location.id != Ci::new(id) {
                return None;
            }
            let [uid, rest @ ..] = rest else { return Some(codec::encode(speech, location)) };
            let evse = location.evses.iter().find(|evse| evse.uid == Ci::new(uid))?;
            let [connector] = rest else {
                return rest.is_empty().then(|| codec::encode(speech, evse));
            };
            let connectors = &evse.connectors;
            let found = connectors.iter().find(|one| one.id == Ci::new(connector))?;
            Some(codec::encode(speech, found))
        };
        match found() {
            Some(data) => OcpiResponse::data(data, desk.utc),
            None => {
                let why = "no such location";
                OcpiResponse::code(404, http::UNKNOWN_LOCATION, why, desk.utc)
            }
        }
    }

    /// GET tariffs.
    pub(super) fn send_tariffs(&self, desk: &mut Desk<'_>, asked: &Asked<'_>) -> OcpiResponse {
        if asked.method != Method::Get || !asked.rest.is_empty() {
            return not_so(desk.utc);
        }
        let all: Vec<_> = self.gateway.tariffs.iter().collect();
        self.whole_list(desk, asked, "tariffs", &all, |one| one.last_updated)
    }

    /// GET sessions, and PUT of a driver's preferences.
    pub(super) fn send_sessions(&mut self, desk: &mut Desk<'_>, asked: &Asked<'_>) -> OcpiResponse {
        match (asked.method, asked.rest.as_slice()) {
            (Method::Get, []) => {
                self.row_list::<Session>(desk, asked, "sessions", RowKind::Session)
            }
            (Method::Put, [id, "charging_preferences"]) => self.prefer(desk, asked, id),
            _ => not_so(desk.utc),
        }
    }

    /// GET CDRs.
    pub(super) fn send_cdrs(&mut self, desk: &mut Desk<'_>, asked: &Asked<'_>) -> OcpiResponse {
        if asked.method != Method::Get || !asked.rest.is_empty() {
            return not_so(desk.utc);
        }
        self.row_list::<Cdr>(desk, asked, "cdrs", RowKind::Cdr)
    }

    fn whole_list<T: Serialize>(
        &self,
        desk: &mut Desk<'_>,
        asked: &Asked<'_>,
        module: &str,
        all: &[&T],
        updated: impl Fn(&T) -> Time,
    ) -> OcpiResponse {
        let page = match Page::of(asked) {
            Ok(page) => page,
            Err(why) => return OcpiResponse::code(200, http::INVALID, &why, desk.utc),
        };
        let fitting: Vec<&&T> = all.iter().filter(|one| page.holds(updated(one))).collect();
        let rows = fitting.iter().skip(page.offset).take(page.limit);
        let rows: Vec<Value> = rows.map(|one| codec::encode(asked.caller.speech, *one)).collect();
        self.page(desk, asked, module, &page, (fitting.len(), rows))
    }

    fn row_list<T: Serialize + DeserializeOwned>(
        &self,
        desk: &mut Desk<'_>,
        asked: &Asked<'_>,
        module: &str,
        kind: RowKind,
    ) -> OcpiResponse {
        let page = match Page::of(asked) {
            Ok(page) => page,
            Err(why) => return OcpiResponse::code(200, http::INVALID, &why, desk.utc),
        };
        let query = Query {
            from: page.from.map(|time| time.0),
            to: page.to.map(|time| time.0),
            owners: self.owners(&asked.caller.partner),
            skip: page.offset,
            limit: page.limit,
            ..Query::all(kind)
        };
        let found = (desk.shelf)(&query);
        let speech = asked.caller.speech;
        let read = |(_, value)| {
            codec::decode::<T>(value).ok().map(|object| codec::encode(speech, &object))
        };
        let rows = found.rows.into_iter().filter_map(read).collect();
        self.page(desk, asked, module, &page, (found.total, rows))
    }

    fn page(
        &self,
        desk: &mut Desk<'_>,
        asked: &Asked<'_>,
        module: &str,
        page: &Page,
        (total, rows): (usize, Vec<Value>),
    ) -> OcpiResponse {
        let next = page.offset.saturating_add(page.limit);
        let response = OcpiResponse::data(Value::Array(rows), desk.utc)
            .with("X-Total-Count", &total.to_string())
            .with("X-Limit", &PAGE_MAX.to_string());
        if total <= next {
            return response;
        }
        let base = format!("{}/ocpi/{}", self.site.public_url, asked.caller.speech.word());
        let mut url = format!("{base}/sender/{module}?offset={next}&limit={}", page.limit);
        for (name, time) in [("date_from", page.from), ("date_to", page.to)] {
            if let Some(time) = time {
                url.push_str(&format!("&{name}={}", address::encode(&time.to_text())));
            }
        }
        response.with("Link", &format!("<{url}>; rel=\"next\""))
    }

    /// What a driver has told the site goes into the session, for partners that plan.
    pub(super) fn note_wanted(&mut self, desk: &mut Desk<'_>, session: u64, wanted: &Wanted) {
        let Some(live) = self.gateway.live.get_mut(&session) else { return };
        let preferences = ChargingPreferences {
            profile_type: "REGULAR".to_owned(),
            departure_time: wanted.departure.map(Time),
            energy_need: wanted.energy_kwh.and_then(Decimal::from_f64).map(|kwh| kwh.round(3)),
            discharge_allowed: None,
        };
        if live.session.charging_preferences.as_ref() == Some(&preferences) {
            return;
        }
        live.session.charging_preferences = Some(preferences);
        live.session.last_updated = live.session.last_updated.next(desk.utc);
        self.keep_session(desk, session);
    }

    /// What a driver wants, told by the partner (PREF-1).
    fn prefer(&mut self, desk: &mut Desk<'_>, asked: &Asked<'_>, id: &str) -> OcpiResponse {
        let utc = desk.utc;
        let wanted: ChargingPreferences = match asked.object(utc) {
            Ok(wanted) => wanted,
            Err(response) => return response,
        };
        let say = |word: &str| OcpiResponse::data(Value::String(word.to_owned()), utc);
        let Some((number, _)) = self.gateway.by_id(&Ci::new(id)) else {
            let query =
                Query { id: Some(Ci::new(id).key()), limit: 1, ..Query::all(RowKind::Session) };
            if 0 < (desk.shelf)(&query).total {
                return say("NOT_POSSIBLE");
            }
            return OcpiResponse::code(404, http::CLIENT, "no such session", utc);
        };
        let known = ["CHEAP", "FAST", "GREEN", "REGULAR"];
        if !known.contains(&wanted.profile_type.as_str()) {
            return say("PROFILE_TYPE_NOT_SUPPORTED");
        }
        let plans = matches!(wanted.profile_type.as_str(), "CHEAP" | "GREEN");
        if plans && wanted.departure_time.is_none() {
            return say("DEPARTURE_REQUIRED");
        }
        let order = self.number();
        let preference = preference(number, &wanted, utc);
        desk.out.push(Output::Order { order, wanted: SiteOrder::Prefer(preference) });
        if let Some(live) = self.gateway.live.get_mut(&number) {
            live.session.charging_preferences = Some(wanted);
            live.session.last_updated = live.session.last_updated.next(utc);
            self.keep_session(desk, number);
        }
        say("ACCEPTED")
    }
}

/// What a driver wants, in the words of the model.
pub fn preference(
    session: u64,
    wanted: &ChargingPreferences,
    utc: crate::ground::time::Utc,
) -> Preference {
    Preference {
        session: SessionId(session),
        energy_wh: wanted.energy_need.map(|kwh| WattHours::from_f64(kwh.as_f64() * 1000.0)),
        charge: None,
        departure: wanted.departure_time.map(|time| time.0),
        source: PreferenceSource::Partner,
        at: Some(utc),
    }
}
