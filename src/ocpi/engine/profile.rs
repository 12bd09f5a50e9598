//! Charging profiles of partners for sessions of the site: each is a ceiling, one bound more on its
//! EVSE with the partner's name, and gone when it runs out. The breakers stay the site's.

use crate::ground::ids::EvseId;
use crate::ground::time::{Duration, Instant, Utc};

use crate::ocpi::address;
use crate::ocpi::codec;
use crate::ocpi::decimal::Decimal;
use crate::ocpi::http::{self, Method, OcpiResponse};
use crate::ocpi::text::{Ci, Time};
use crate::ocpi::wire::control::{
    ActiveChargingProfile, Answer, ChargingProfile, ProfileOutcome, ProfilePeriod, ProfileResult,
    RateUnit, Response, SetChargingProfile,
};
use crate::ocpi::wire::credentials::{Module, Side};

use super::desk::{Desk, Output, SiteOrder};
use super::serve::{Asked, not_so, nowhere};
use super::{Engine, Purpose};

/// Two profiles of one session in a shorter time are too often.
const OFTEN: Duration = Duration::seconds(2);

/// A bound ends by itself after this long; it is renewed at half of it.
const BOUND_LIFE: Duration = Duration::minutes(10);

/// The effective plan is told no more often than this.
const TOLD_EVERY: Duration = Duration::minutes(1);

/// The longest horizon of an active profile, in seconds.
const HORIZON_MAX_S: i64 = 3600;

/// A partner's profile on a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Profiled {
    partner: String,
    session_id: Ci,
    evse: EvseId,
    phases: i64,
    start: Utc,
    profile: ChargingProfile,
    set: Instant,
    /// The bound that the site has, and when it was told.
    bound: Option<(Option<f64>, Instant)>,
    /// The limit in force that the partner was told, and when.
    told: Option<(f64, Instant)>,
}

/// The ceiling at a moment in the unit of the profile; none where it says nothing.
pub fn ceiling(profile: &ChargingProfile, start: Utc, now: Utc) -> Option<Decimal> {
    let start = profile.start_date_time.map_or(start, |start| start.0);
    let elapsed = now.since(start);
    let seconds = elapsed.as_millis().div_euclid(1000);
    if seconds < 0 || profile.duration.is_some_and(|duration| duration <= seconds) {
        return None;
    }
    let periods = profile.charging_profile_period.iter();
    let begun = periods.filter(|period| period.start_period <= seconds);
    begun.max_by_key(|period| period.start_period).map(|period| period.limit)
}

/// When the ceiling may change next.
fn next_change(profile: &ChargingProfile, start: Utc, now: Utc) -> Option<Utc> {
    let start = profile.start_date_time.map_or(start, |start| start.0);
    let periods = profile.charging_profile_period.iter().map(|period| period.start_period);
    let at = |seconds: i64| start + Duration::seconds(seconds);
    let all = periods.chain(profile.duration).map(at).filter(|at| now < *at);
    all.min()
}

impl Engine {
    /// PUT, GET and DELETE of a profile.
    pub(super) fn receive_profile(
        &mut self,
        desk: &mut Desk<'_>,
        asked: &Asked<'_>,
    ) -> OcpiResponse {
        let utc = desk.utc;
        let [id] = asked.rest.as_slice() else { return nowhere(utc) };
        let partner = asked.caller.partner.clone();
        let set: Option<SetChargingProfile> = match asked.method {
            Method::Put => match asked.object(utc) {
                Ok(set) => Some(set),
                Err(response) => return response,
            },
            Method::Get | Method::Delete => None,
            _ => return not_so(utc),
        };
        let url = match &set {
            Some(set) => Some(set.response_url.clone()),
            None => asked.parameter("response_url").map(str::to_owned),
        };
        let Some(url) = url.filter(|url| self.may_answer_to(&partner, url)) else {
            let why = "response_url: a URL of an origin that is known of you is expected";
            return OcpiResponse::code(200, http::INVALID, why, utc);
        };
        let found = self.gateway.by_id(&Ci::new(id)).map(|(session, live)| {
            (session, live.session.evse_uid.clone(), live.session.start_date_time.0)
        });
        let say = |result: Response| {
            let answer = Answer { result, timeout: 30, message: Vec::new() };
            OcpiResponse::data(codec::encode(asked.caller.speech, &answer), utc)
        };
        let Some((session, uid, start)) = found else { return say(Response::UnknownSession) };
        let result = match (asked.method, set) {
            (_, Some(set)) => {
                let before = self.profiled.get(&session);
                let often = before.is_some_and(|one| desk.mono.since(one.set) < OFTEN);
                if often {
                    return say(Response::TooOften);
                }
                if set
                    .charging_profile
                    .charging_profile_period
                    .iter()
                    .any(|period| period.limit.is_negative() || period.start_period < 0)
                {
                    return say(Response::Rejected);
                }
                self.set_profile(desk, &partner, session, (&uid, start), set.charging_profile);
                ProfileResult { result: ProfileOutcome::Accepted, profile: None }
            }
            (Method::Delete, None) => {
                let known = self.clear_profile(desk, session);
                let result = if known { ProfileOutcome::Accepted } else { ProfileOutcome::Unknown };
                ProfileResult { result, profile: None }
            }
            _ => {
                let seconds = asked.parameter("duration").and_then(|text| text.parse().ok());
                let seconds = seconds.unwrap_or(HORIZON_MAX_S).clamp(60, HORIZON_MAX_S);
                let profile = self.active(utc, session, &uid, seconds);
                ProfileResult { result: ProfileOutcome::Accepted, profile: Some(profile) }
            }
        };
        let body = codec::encode(asked.caller.speech, &result);
        let wanted = (Method::Post, url, Some(body));
        self.call(desk, &partner, Purpose::Result, wanted);
        say(Response::Accepted)
    }

    fn set_profile(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        session: u64,
        (uid, start): (&Ci, Utc),
        profile: ChargingProfile,
    ) {
        let facade = self.site.facades.iter().find(|one| Ci::new(one.evse.as_str()) == *uid);
        let Some(facade) = facade else { return };
        let before = self.profiled.get(&session);
        let (bound, told) = before.map_or((None, None), |one| (one.bound, one.told));
        let profiled = Profiled {
            partner: partner.to_owned(),
            session_id: self.session_id(session),
            evse: facade.evse.clone(),
            phases: facade.phases as i64,
            start,
            profile,
            set: desk.mono,
            bound,
            told,
        };
        self.profiled.insert(session, profiled);
    }

    fn clear_profile(&mut self, desk: &mut Desk<'_>, session: u64) -> bool {
        let Some(Profiled { evse, partner, bound, .. }) = self.profiled.remove(&session) else {
            return false;
        };
        if bound.is_some_and(|(limit, _)| limit.is_some()) {
            let order = self.number();
            let lasts = Duration::ZERO;
            let wanted = SiteOrder::Bound { evse, partner, limit_a: None, lasts };
            desk.out.push(Output::Order { order, wanted });
        }
        true
    }

    /// A session has ended, and its profile with it.
    pub(super) fn session_ended(&mut self, desk: &mut Desk<'_>, session: u64) {
        self.clear_profile(desk, session);
    }

    /// Tells the site of every ceiling that has changed or is to be renewed, and partners of the
    /// limits that follow.
    pub(super) fn run_profiles(&mut self, desk: &mut Desk<'_>) {
        let sessions: Vec<u64> = self.profiled.keys().copied().collect();
        for session in sessions {
            let voltage = self.site.voltage_v;
            let Some(one) = self.profiled.get_mut(&session) else { continue };
            let ceiling = ceiling(&one.profile, one.start, desk.utc).map(|limit| {
                match one.profile.charging_rate_unit {
                    RateUnit::Watts => limit.as_f64() / (one.phases.max(1) * voltage.max(1)) as f64,
                    _ => limit.as_f64(),
                }
            });
            let same = one.bound.is_some_and(|(known, at)| {
                let young = desk.mono.since(at) < BOUND_LIFE / 2;
                known == ceiling && (young || ceiling.is_none())
            });
            if !same && (ceiling.is_some() || one.bound.is_some_and(|(known, _)| known.is_some())) {
                one.bound = Some((ceiling, desk.mono));
                let (evse, partner) = (one.evse.clone(), one.partner.clone());
                let wanted =
                    SiteOrder::Bound { evse, partner, limit_a: ceiling, lasts: BOUND_LIFE };
                let order = self.number();
                desk.out.push(Output::Order { order, wanted });
            }
            self.tell_active(desk, session);
        }
    }

    /// The effective limit has changed: the partner that set a profile is told.
    fn tell_active(&mut self, desk: &mut Desk<'_>, session: u64) {
        let Some(one) = self.profiled.get(&session) else { return };
        let fact = self.gateway.facts.get(&Ci::new(one.evse.as_str()).key());
        let Some(limit) = fact.and_then(|fact| fact.limit_a) else { return };
        let same = one.told.is_some_and(|(known, at)| {
            (known - limit).abs() < 0.5 || desk.mono.since(at) < TOLD_EVERY
        });
        let partner = one.partner.clone();
        let url = self.endpoint(&partner, &Module::ChargingProfiles, &Side::Sender);
        let Some(url) = url.filter(|_| !same) else { return };
        let (uid, id) = (Ci::new(one.evse.as_str()), one.session_id.clone());
        let active = self.active(desk.utc, session, &uid, HORIZON_MAX_S);
        let body = codec::encode(self.speech(&partner), &active);
        let url = address::join(&url, &[id.as_str()]);
        if let Some(one) = self.profiled.get_mut(&session) {
            one.told = Some((limit, desk.mono));
        }
        self.call(desk, &partner, Purpose::Result, (Method::Put, url, Some(body)));
    }

    /// What an EVSE is limited to from here on, as far as it is known.
    fn active(&self, utc: Utc, session: u64, uid: &Ci, seconds: i64) -> ActiveChargingProfile {
        let fact = self.gateway.facts.get(&uid.key());
        let facade = self.site.facades.iter().find(|one| Ci::new(one.evse.as_str()) == *uid);
        let rated = facade.map_or(0.0, |facade| facade.max_a as f64);
        let limit = fact.and_then(|fact| fact.limit_a).unwrap_or(rated);
        let limit = Decimal::from_f64(limit).unwrap_or_default().round(1);
        let mut periods = vec![ProfilePeriod { start_period: 0, limit }];
        if let Some(one) = self.profiled.get(&session)
            && one.profile.charging_rate_unit == RateUnit::Amps
        {
            let mut at = utc;
            while let Some(next) = next_change(&one.profile, one.start, at) {
                let offset = next.since(utc).as_seconds();
                if seconds <= offset {
                    break;
                }
                let rated = Decimal::from_f64(rated).unwrap_or_default();
                let ceiling = ceiling(&one.profile, one.start, next).unwrap_or(rated);
                periods.push(ProfilePeriod { start_period: offset, limit: ceiling.min(rated) });
                at = next;
            }
        }
        ActiveChargingProfile {
            start_date_time: Time(utc),
            charging_profile: ChargingProfile {
                start_date_time: Some(Time(utc)),
                duration: Some(seconds),
                charging_rate_unit: RateUnit::Amps,
                min_charging_rate: None,
                charging_profile_period: periods,
            },
        }
    }

    /// When a ceiling changes or a bound is to be renewed.
    pub(super) fn profile_wake(&self, now: Instant) -> Option<Instant> {
        let renewals = self.profiled.values().filter_map(|one| {
            let (limit, at) = one.bound?;
            limit.map(|_| at + BOUND_LIFE / 2)
        });
        // Ceilings change by the calendar; a look each second while there is one is cheap.
        let look = (!self.profiled.is_empty()).then_some(now + Duration::seconds(1));
        renewals.chain(look).min()
    }
}
