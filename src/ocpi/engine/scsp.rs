//! SCSP mode: sessions of a partner's chargers are watched, and limits are sent as profiles.
//!
//! ```text
//! session (pushed or pulled) ─▶ began, metered, ended ─▶ the site, as of a charger of its own
//! limit of the site ─▶ PUT profile ─▶ first answer ─▶ result in time │ late │ never
//!                        ▲ too often, unreachable: later, the newest limit alone
//! ```
//! What a partner does not meter as power is taken as the mean since its state before, and only
//! where the limit was the same all the while: the mean over a change would look like a car that
//! disobeys.
//!
//! A limit that was sent and not confirmed stays open at the site: it counts with what the charger
//! may believe (a lease), as a lost OCPP answer does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::ground::ids::EvseId;
use crate::ground::time::{Duration, Instant, Utc};
use crate::model::partner::Ocpi;

use crate::ocpi::address;
use crate::ocpi::codec;
use crate::ocpi::decimal::Decimal;
use crate::ocpi::http::{self, Method, OcpiResponse, same_secret};
use crate::ocpi::text::{Ci, Time};
use crate::ocpi::wire::control::{
    ActiveChargingProfile, Answer, ChargingProfile, ProfileOutcome, ProfilePeriod, ProfileResult,
    RateUnit, Response, SetChargingProfile,
};
use crate::ocpi::wire::credentials::{Module, Side};
use crate::ocpi::wire::location::Location;
use crate::ocpi::wire::session::{Measure, Session, SessionStatus};

use super::clear::Clearing;
use super::desk::{Desk, Foreign, ForeignEvent, LimitAnswer, Output};
use super::profile::ceiling;
use super::receiver::patched;
use super::serve::{Asked, not_so, nowhere};
use super::wanted::{Wanted, wanted_in};
use super::{Engine, Purpose, Trouble};

/// Sessions of partners that are known at a time; of those that ended the oldest go first.
const FOREIGN_MAX: usize = 2000;

/// After TOO_OFTEN a profile waits this long, and twice as long each time again.
const OFTEN_REST: Duration = Duration::seconds(15);

/// Of what a partner's sessions are known.
pub struct Scsp {
    /// By partner and session, in lower case.
    sessions: BTreeMap<(String, String), Followed>,
    /// By EVSE of ours.
    limits: BTreeMap<EvseId, Limit>,
    /// EVSEs of ours by partner, location and EVSE, in lower case.
    places: BTreeMap<(String, String, String), EvseId>,
}

/// A session of a partner.
#[derive(Clone, Debug, PartialEq)]
struct Followed {
    session: Session,
    evse: Option<EvseId>,
    /// The site was told that it began.
    told: bool,
    /// A limit was sent for it.
    limited: bool,
}

/// The newest limit of an EVSE and how far it has come.
#[derive(Clone, Debug, Default, PartialEq)]
struct Limit {
    /// Not sent yet.
    wanted: Option<(u64, f64)>,
    /// Sent, its result still to come.
    open: Option<Sent>,
    rest_until: Option<Instant>,
    too_often: u32,
    /// When a limit was last sent or confirmed.
    changed: Option<Utc>,
}

/// A profile on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    evse: EvseId,
    order: u64,
    limit_a: f64,
    /// In the response_url; only it tells whose result comes.
    secret: String,
    until: Instant,
}

impl Scsp {
    /// Nothing known yet.
    pub fn new(site: &Ocpi) -> Self {
        let place = |partner: &str, one: &crate::model::partner::PartnerEvse| {
            let key = (partner.to_owned(), lower(&one.location_id), lower(&one.evse_uid));
            (key, one.evse.clone())
        };
        let places = site
            .partners
            .iter()
            .flat_map(|partner| partner.evses.iter().map(move |one| place(&partner.id, one)));
        Self { sessions: BTreeMap::new(), limits: BTreeMap::new(), places: places.collect() }
    }

    /// Another configuration: the EVSEs have other places, or others have places. Comes back with
    /// the limits of those that have none any more.
    pub fn reconfigure(&mut self, site: &Ocpi) -> Vec<Clearing> {
        self.places = Self::new(site).places;
        let mut released = Vec::new();
        for ((partner, _), one) in &mut self.sessions {
            let session = &one.session;
            let key = (partner.clone(), session.location_id.key(), session.evse_uid.key());
            one.evse = self.places.get(&key).cloned();
            if one.evse.is_none() && std::mem::take(&mut one.limited) && is_running(session) {
                released.push(Clearing::new(partner, &session.id));
            }
        }
        let stays: BTreeSet<&EvseId> = self.places.values().collect();
        self.limits.retain(|evse, _| stays.contains(evse));
        released
    }

    /// When something is due.
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        let open = self.limits.values().filter_map(|one| one.open.as_ref().map(|one| one.until));
        let rest = self.limits.values().filter_map(|one| one.rest_until);
        open.chain(rest).filter(|at| now < *at).min()
    }

    /// The session of this name.
    fn named(&mut self, partner: &str, id: &Ci) -> Option<&mut Followed> {
        let mut all = self.sessions.iter_mut();
        let found = all.find(|((owner, _), one)| owner == partner && one.session.id == *id);
        found.map(|(_, one)| one)
    }

    /// The running session at an EVSE of ours.
    fn running(&self, partner: &str, evse: &EvseId) -> Option<&Session> {
        let here = self.sessions.iter().filter(|((owner, _), one)| {
            owner == partner && one.evse.as_ref() == Some(evse) && is_running(&one.session)
        });
        here.map(|(_, one)| &one.session).max_by_key(|session| session.start_date_time)
    }
}

fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}

fn is_running(session: &Session) -> bool {
    matches!(session.status, SessionStatus::Active | SessionStatus::Pending)
}

fn session_key(partner: &str, session: &Session) -> (String, String) {
    let (country, party) = (session.country_code.key(), session.party_id.key());
    (partner.to_owned(), format!("{country}/{party}/{}", session.id.key()))
}

impl Engine {
    /// GET, PUT and PATCH of a session of the partner.
    pub(super) fn receive_session(
        &mut self,
        desk: &mut Desk<'_>,
        asked: &Asked<'_>,
    ) -> OcpiResponse {
        let utc = desk.utc;
        let [country, party, id] = asked.rest.as_slice() else { return nowhere(utc) };
        let partner = asked.caller.partner.clone();
        let key = (partner.clone(), lower(&format!("{country}/{party}/{id}")));
        let known = self.scsp.sessions.get(&key).map(|one| one.session.clone());
        let unknown = || OcpiResponse::code(404, http::CLIENT, "no such session", utc);
        let invalid = |why: &str| OcpiResponse::code(200, http::INVALID, why, utc);
        let session: Session = match (asked.method, &known) {
            (Method::Get, Some(known)) => {
                return OcpiResponse::data(codec::encode(asked.caller.speech, known), utc);
            }
            (Method::Put, _) => match asked.object(utc) {
                Ok(session) => session,
                Err(response) => return response,
            },
            (Method::Patch, Some(known)) => {
                let change = match asked.json(utc) {
                    Ok(Value::Object(change)) => change,
                    Ok(_) => return invalid("an object is expected"),
                    Err(response) => return response,
                };
                if !change.contains_key("last_updated") {
                    return invalid("last_updated is needed");
                }
                match changed(known, change) {
                    Ok(session) => session,
                    Err(why) => return invalid(&why),
                }
            }
            (Method::Get | Method::Patch, None) => return unknown(),
            _ => return not_so(utc),
        };
        if session_key(&partner, &session) != key {
            return invalid("the session in the body is not the one of the URL");
        }
        if !self.owns(&partner, country, party) {
            return OcpiResponse::code(404, http::CLIENT, "not a party of the caller", utc);
        }
        let status = if known.is_some() { 200 } else { 201 };
        self.take_foreign(desk, &partner, session);
        OcpiResponse::code(status, http::OK, "", utc)
    }

    /// Takes a session of a partner in, however it came. An older state than the known one changes
    /// nothing.
    pub(super) fn take_foreign(&mut self, desk: &mut Desk<'_>, partner: &str, session: Session) {
        let key = session_key(partner, &session);
        let before = self.scsp.sessions.get(&key).cloned();
        if let Some(before) = &before {
            let known = before.session.last_updated;
            if session.last_updated < known || before.session == session {
                return;
            }
        }
        let place = (partner.to_owned(), session.location_id.key(), session.evse_uid.key());
        let evse = self.scsp.places.get(&place).cloned();
        let told = before.as_ref().is_some_and(|before| before.told);
        let begins = !told && is_running(&session);
        let ends = told && !is_running(&session);
        if let Some(evse) = &evse {
            let tell = |event: ForeignEvent| Output::Foreign(Foreign { evse: evse.clone(), event });
            let energy_wh = (session.kwh * Decimal::new(1000, 0)).as_f64().round() as i64;
            if begins {
                desk.out.push(tell(ForeignEvent::Began {
                    token: session.cdr_token.uid.to_string(),
                    at: session.start_date_time.0,
                }));
            }
            if begins || told {
                let changed = self.scsp.limits.get(evse).and_then(|limit| limit.changed);
                let power_w = power(before.as_ref().map(|one| &one.session), &session, changed);
                desk.out.push(tell(ForeignEvent::Metered { energy_wh, power_w }));
            }
            if ends {
                let at = session.end_date_time.unwrap_or(Time(desk.utc)).0;
                desk.out.push(tell(ForeignEvent::Ended { energy_wh, at }));
            }
            self.take_preference(desk, partner, evse, &session);
        }
        if FOREIGN_MAX <= self.scsp.sessions.len() {
            let over = self.scsp.sessions.iter().find(|(_, one)| !is_running(&one.session));
            let over = over.map(|(key, _)| key.clone());
            over.map(|key| self.scsp.sessions.remove(&key));
        }
        let told = (told || begins) && !ends && evse.is_some();
        let limited = before.is_some_and(|before| before.limited) && is_running(&session);
        self.scsp.sessions.insert(key, Followed { session, evse, told, limited });
    }

    /// What the driver wants, where the session carries it: in the extension, or in the text of
    /// `meter_id`.
    fn take_preference(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        evse: &EvseId,
        session: &Session,
    ) {
        let pattern = self.partner(partner).and_then(|one| one.meter_id_pattern.clone());
        let by_text = || {
            let text = session.meter_id.as_deref()?;
            wanted_in(pattern.as_deref()?, text)
        };
        let by_field = session.charging_preferences.as_ref().map(|wanted| Wanted {
            energy_kwh: wanted.energy_need.map(Decimal::as_f64),
            departure: wanted.departure_time.map(|time| time.0),
            ..Wanted::default()
        });
        if let Some(wanted) = by_field.or_else(by_text) {
            let event = ForeignEvent::Wants(wanted);
            desk.out.push(Output::Foreign(Foreign { evse: evse.clone(), event }));
        }
    }

    /// PUT and PATCH of a location of the partner: only checked, its place is configured.
    pub(super) fn receive_location(
        &mut self,
        desk: &mut Desk<'_>,
        asked: &Asked<'_>,
    ) -> OcpiResponse {
        let utc = desk.utc;
        let [country, party, _, ..] = asked.rest.as_slice() else { return nowhere(utc) };
        if !self.owns(&asked.caller.partner, country, party) {
            return OcpiResponse::code(404, http::CLIENT, "not a party of the caller", utc);
        }
        match asked.method {
            Method::Put | Method::Patch => match asked.json(utc) {
                Ok(Value::Object(_)) => {
                    if let ([_, _, _], Ok(location)) =
                        (asked.rest.as_slice(), asked.object::<Location>(utc))
                    {
                        self.take_location(&asked.caller.partner, &location);
                    }
                    OcpiResponse::ok(utc)
                }
                Ok(_) => OcpiResponse::code(200, http::INVALID, "an object is expected", utc),
                Err(response) => response,
            },
            _ => not_so(utc),
        }
    }

    /// An EVSE of the partner without a place in the diagram is named in the log.
    pub(super) fn take_location(&mut self, partner: &str, location: &Location) {
        for evse in &location.evses {
            let key = (partner.to_owned(), location.id.key(), evse.uid.key());
            if !self.scsp.places.contains_key(&key) {
                log::debug!("{partner}: EVSE {} of {} is not placed", evse.uid, location.id);
            }
        }
    }

    /// The site wants a limit for a session of a partner.
    pub(super) fn want_limit(&mut self, desk: &mut Desk<'_>, order: u64, evse: &EvseId, amps: f64) {
        let limit = self.scsp.limits.entry(evse.clone()).or_default();
        let superseded = limit.wanted.replace((order, amps));
        if let Some((older, _)) = superseded {
            let answer = LimitAnswer::NotSent;
            desk.out.push(Output::LimitAnswer { order: older, answer });
        }
    }

    /// Sends the profiles that may be sent.
    pub(super) fn profiles_if_due(&mut self, desk: &mut Desk<'_>, partner: &str) {
        let Some(configured) = self.partner(partner).filter(|one| one.scsp).cloned() else {
            return;
        };
        let url = self.endpoint(partner, &Module::ChargingProfiles, &Side::Receiver);
        let Some(url) = url else { return };
        self.clear_if_due(desk, partner, &url);
        for placed in &configured.evses {
            let evse = &placed.evse;
            let Some(limit) = self.scsp.limits.get(evse) else { continue };
            let resting = limit.rest_until.is_some_and(|until| desk.mono < until);
            if limit.wanted.is_none() || limit.open.is_some() || resting {
                continue;
            }
            let session = self.scsp.running(partner, evse).map(|session| session.id.clone());
            self.send_profile(desk, partner, &url, evse, session);
        }
    }

    fn send_profile(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        url: &str,
        evse: &EvseId,
        session: Option<Ci>,
    ) {
        let Some((order, amps)) =
            self.scsp.limits.get_mut(evse).and_then(|limit| limit.wanted.take())
        else {
            return;
        };
        let (Some(session), Some(secret)) = (session, self.secret()) else {
            let answer = LimitAnswer::NotSent;
            desk.out.push(Output::LimitAnswer { order, answer });
            return;
        };
        let speech = self.speech(partner);
        let base = format!("{}/ocpi/{}", self.site.public_url, speech.word());
        // One decimal, and never upwards.
        let deci_amps = (amps * 10.0 + 1e-6).floor() as i64;
        let limit = Decimal::new(deci_amps.max(0), 1);
        let set = SetChargingProfile {
            charging_profile: ChargingProfile {
                start_date_time: Some(Time(desk.utc)),
                duration: None,
                charging_rate_unit: RateUnit::Amps,
                min_charging_rate: None,
                charging_profile_period: vec![ProfilePeriod { start_period: 0, limit }],
            },
            response_url: format!("{base}/sender/chargingprofiles/result/{secret}"),
        };
        let until = desk.mono + Duration::seconds(60);
        let sent = Sent { evse: evse.clone(), order, limit_a: amps, secret, until };
        let body = codec::encode(speech, &set);
        let url = address::join(url, &[session.as_str()]);
        let purpose = Purpose::Profile(sent.clone());
        if self.call(desk, partner, purpose, (Method::Put, url, Some(body))).is_some()
            && let Some(limit) = self.scsp.limits.get_mut(evse)
        {
            limit.open = Some(sent);
            limit.changed = Some(desk.utc);
            if let Some(one) = self.scsp.named(partner, &session) {
                one.limited = true;
            }
        }
    }

    /// The first answer to a profile.
    pub(super) fn profile_answered(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        sent: &Sent,
        result: Result<OcpiResponse, String>,
    ) {
        let answer = match Trouble::of(&result, true) {
            Ok(data) => codec::decode::<Answer>(data).map_err(|_| None),
            Err(trouble) => Err(Some(trouble)),
        };
        let Some(limit) = self.scsp.limits.get_mut(&sent.evse) else { return };
        let is_open = limit.open.as_ref().is_some_and(|open| open.secret == sent.secret);
        let mut say = |answer: LimitAnswer| {
            desk.out.push(Output::LimitAnswer { order: sent.order, answer });
        };
        match answer {
            Ok(Answer { result: Response::Accepted, timeout, .. }) => {
                // The result may have come before this answer did.
                if let Some(open) = limit.open.as_mut().filter(|_| is_open) {
                    open.until = desk.mono + Duration::seconds(timeout.clamp(5, 600));
                }
                limit.too_often = 0;
            }
            Ok(Answer { result: Response::TooOften, .. }) if is_open => {
                limit.open = None;
                let rest = OFTEN_REST * (1 << limit.too_often.min(5));
                limit.too_often += 1;
                limit.rest_until = Some(desk.mono + rest);
                // The newest limit alone is sent later.
                if limit.wanted.is_none() {
                    limit.wanted = Some((sent.order, sent.limit_a));
                } else {
                    say(LimitAnswer::NotSent);
                }
            }
            Ok(_) if is_open => {
                limit.open = None;
                say(LimitAnswer::Rejected);
            }
            Err(Some(trouble)) if is_open && trouble.refused => {
                limit.open = None;
                say(LimitAnswer::Rejected);
            }
            Err(Some(trouble)) if is_open => {
                // It may have arrived: open at the site, and nobody waits for it here.
                limit.open = None;
                say(LimitAnswer::NoAnswer);
                self.fail(desk, partner, trouble);
            }
            _ => {}
        }
    }

    /// The operator tells what a session is limited to. Where that is within a limit whose result
    /// is still to come, it has arrived; where it is above, the site is to send its own again.
    fn take_active(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        id: &str,
        active: &ActiveChargingProfile,
    ) {
        let id = Ci::new(id);
        let mut known = self.scsp.sessions.iter();
        let found = known.find(|((owner, _), one)| {
            owner == partner && one.session.id == id && is_running(&one.session)
        });
        let Some(evse) = found.and_then(|(_, one)| one.evse.clone()) else { return };
        let profile = ChargingProfile {
            start_date_time: Some(active.start_date_time),
            ..active.charging_profile.clone()
        };
        let Some(limit) = ceiling(&profile, active.start_date_time.0, desk.utc) else { return };
        if profile.charging_rate_unit == RateUnit::Watts {
            // Phases that the car uses are not told, so watts prove no current.
            return;
        }
        let limit_a = limit.as_f64();
        if let Some(waiting) = self.scsp.limits.get_mut(&evse)
            && let Some(open) = waiting.open.take_if(|open| limit_a <= open.limit_a + 0.05)
        {
            waiting.changed = Some(desk.utc);
            let (order, answer) = (open.order, LimitAnswer::Accepted);
            desk.out.push(Output::LimitAnswer { order, answer });
        }
        let event = ForeignEvent::Active { limit_a };
        desk.out.push(Output::Foreign(Foreign { evse, event }));
    }

    /// Results that never came.
    pub(super) fn results_expire(&mut self, desk: &mut Desk<'_>) {
        for limit in self.scsp.limits.values_mut() {
            if limit.open.as_ref().is_some_and(|open| open.until <= desk.mono)
                && let Some(open) = limit.open.take()
            {
                let answer = LimitAnswer::NoAnswer;
                desk.out.push(Output::LimitAnswer { order: open.order, answer });
            }
        }
    }

    /// POST of a result, PUT of an active profile.
    pub(super) fn receive_result(
        &mut self,
        desk: &mut Desk<'_>,
        asked: &Asked<'_>,
    ) -> OcpiResponse {
        let utc = desk.utc;
        match (asked.method, asked.rest.as_slice()) {
            (Method::Post, ["result", secret]) => {
                let result: ProfileResult = match asked.object(utc) {
                    Ok(result) => result,
                    Err(response) => return response,
                };
                let limits = self.scsp.limits.values_mut();
                for limit in limits {
                    let is_it = |open: &&mut Sent| same_secret(&open.secret, secret);
                    if limit.open.as_mut().filter(is_it).is_none() {
                        continue;
                    }
                    let Some(open) = limit.open.take() else { continue };
                    limit.changed = Some(utc);
                    let answer = match result.result {
                        ProfileOutcome::Accepted => LimitAnswer::Accepted,
                        _ => LimitAnswer::Rejected,
                    };
                    desk.out.push(Output::LimitAnswer { order: open.order, answer });
                    return OcpiResponse::ok(utc);
                }
                if self.cleared(secret) {
                    return OcpiResponse::ok(utc);
                }
                // Late or unknown: its order has been given up already.
                OcpiResponse::code(404, http::CLIENT, "no result is waited for here", utc)
            }
            (Method::Put, [id]) => match asked.object::<ActiveChargingProfile>(utc) {
                Ok(active) => {
                    self.take_active(desk, &asked.caller.partner, id, &active);
                    OcpiResponse::ok(utc)
                }
                Err(response) => response,
            },
            _ => not_so(utc),
        }
    }
}

/// A PATCH over a session: periods are appended, everything else is replaced.
fn changed(known: &Session, change: serde_json::Map<String, Value>) -> Result<Session, String> {
    let mut change = change;
    let more = change.remove("charging_periods");
    let mut session: Session =
        codec::decode(patched(codec::encode(codec::Speech::V230, known), change))?;
    if let Some(Value::Array(more)) = more {
        for period in more {
            session.charging_periods.push(codec::decode(period)?);
        }
    }
    Ok(session)
}

/// Power at this moment: as the newest period tells, else by what flowed since the last state,
/// where the limit has not changed since then.
fn power(before: Option<&Session>, session: &Session, changed: Option<Utc>) -> Option<f64> {
    // What charger and clocks may be behind.
    const SETTLES: Duration = Duration::seconds(10);
    if !is_running(session) {
        return Some(0.0);
    }
    let told = session
        .charging_periods
        .last()
        .and_then(|period| period.volume(&Measure::Power).map(|kw| kw.as_f64() * 1000.0));
    told.or_else(|| {
        let before = before?;
        if changed.is_some_and(|changed| before.last_updated.0 < changed + SETTLES) {
            return None;
        }
        let span = session.last_updated.0.since(before.last_updated.0).as_hours();
        let energy = (session.kwh - before.kwh).as_f64() * 1000.0;
        (0.003 < span).then(|| (energy / span).max(0.0))
    })
}
