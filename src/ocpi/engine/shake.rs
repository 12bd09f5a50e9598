//! Registration, from either side, as a machine over the answers that come back.
//!
//! ```text
//! ours:   versions ─▶ details ─▶ POST (or PUT) credentials ─▶ registered
//! theirs: POST or PUT comes in ─▶ versions ─▶ details ─▶ their answer, registered
//! ```
//! A token is kept before it is told, and the one before it stays good until the new one is first
//! used: a crash anywhere, on either side, locks nobody out.

use serde_json::Value;

use crate::model::event::EventKind;
use crate::model::partner::PartnerState;

use crate::ocpi::address;
use crate::ocpi::codec::{self, Speech};
use crate::ocpi::http::{self, Method, OcpiResponse};
use crate::ocpi::text::{Ci, Time};
use crate::ocpi::wire::credentials::{
    BusinessDetails, Credentials, CredentialsRole, Endpoint, Module, Role, Side, Version,
    VersionDetails,
};

use super::desk::{Desk, Output};
use super::link::Link;
use super::push::Due;
use super::{Engine, Purpose, Trouble};

/// A registration under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Shake {
    partner: String,
    stage: Stage,
    origin: Origin,
    /// What we call them with meanwhile.
    token: String,
    versions_url: String,
    speech: Option<Speech>,
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Versions,
    Details,
    Credentials,
}

#[derive(Clone, Debug, PartialEq)]
enum Origin {
    /// A person wants it; `renew` for PUT.
    Ours { person: u64, renew: bool },
    /// The partner waits for the answer to this request.
    Theirs { request: u64, credentials: Credentials },
}

impl Engine {
    /// A token A for the partner to register with us.
    pub(super) fn invite(&mut self, desk: &mut Desk<'_>, partner: &str) -> Result<String, String> {
        self.known(partner)?;
        let token = self.secret().ok_or("no randomness at hand; try again")?;
        let link = self.links.entry(partner.to_owned()).or_default();
        link.admit(&token, true);
        desk.keep(Link::key(partner), link);
        desk.tell(EventKind::PartnerInvited, partner, "a token A was made for it");
        let url = self.versions_url();
        Ok(format!("token A      {token}\nversions     {url}"))
    }

    /// Begins to register with a partner.
    pub(super) fn register(
        &mut self,
        desk: &mut Desk<'_>,
        person: u64,
        partner: &str,
        url: &str,
        token: &str,
    ) -> Result<(), String> {
        self.known(partner)?;
        if address::origin(url).is_none() {
            return Err(format!("\"{url}\" is no http or https URL of a versions endpoint"));
        }
        let origin = Origin::Ours { person, renew: false };
        self.begin(desk, partner, origin, token, url, None)
    }

    /// Begins to renew the tokens of both sides.
    pub(super) fn rotate(
        &mut self,
        desk: &mut Desk<'_>,
        person: u64,
        partner: &str,
    ) -> Result<(), String> {
        self.known(partner)?;
        let link = self.links.get(partner).filter(|link| link.registered);
        let tokens = link.and_then(|link| link.outbound.clone().zip(link.versions_url.clone()));
        let Some((token, url)) = tokens else {
            return Err(format!("{partner} is not registered"));
        };
        let origin = Origin::Ours { person, renew: true };
        self.begin(desk, partner, origin, &token, &url, None)
    }

    /// Ends a registration: the partner is told once, and everything is forgotten.
    pub(super) fn remove(&mut self, desk: &mut Desk<'_>, partner: &str) -> Result<String, String> {
        self.known(partner)?;
        if let Some(url) = self.endpoint(partner, &Module::Credentials, &Side::Sender) {
            self.call(desk, partner, Purpose::Farewell, (Method::Delete, url, None));
        }
        self.forget(desk, partner);
        Ok(format!("{partner} is registered no longer"))
    }

    fn forget(&mut self, desk: &mut Desk<'_>, partner: &str) {
        let Some(link) = self.links.get_mut(partner) else { return };
        link.forget();
        desk.keep(Link::key(partner), link);
        desk.tell(EventKind::PartnerRemoved, partner, "is registered no longer");
        self.lines.insert(partner.to_owned(), super::Line::default());
    }

    fn known(&self, partner: &str) -> Result<(), String> {
        if self.partner(partner).is_some() {
            return Ok(());
        }
        let known: Vec<&str> = self.site.partners.iter().map(|one| one.id.as_str()).collect();
        Err(format!(
            "no [[partner]] \"{partner}\" in the configuration; known: {}",
            known.join(", ")
        ))
    }

    /// How all partners stand, one a line.
    pub(super) fn list(&self) -> String {
        let mut lines = Vec::new();
        for partner in self.states() {
            let heard = partner.heard.map_or("never".to_owned(), |at| Time(at).to_text());
            let version = partner.version.as_deref().unwrap_or("-");
            let mut text = format!(
                "{:<16} {:<14} {version:<7} heard {heard}  waiting {}",
                partner.id, partner.state, partner.waiting
            );
            if let Some(trouble) = &partner.trouble {
                text.push_str(&format!("  ({trouble})"));
            }
            lines.push(text);
        }
        if lines.is_empty() {
            "no [[partner]] in the configuration".to_owned()
        } else {
            lines.join("\n")
        }
    }

    /// How all partners stand.
    pub fn states(&self) -> Vec<PartnerState> {
        let mut states = Vec::new();
        for partner in &self.site.partners {
            let link = &self.links[&partner.id];
            let line = &self.lines[&partner.id];
            let state = match (link.registered, link.inbound.iter().any(|one| one.invitation)) {
                _ if line.barred => "refused us",
                (true, _) if 0 < line.failures && line.refuses => "refuses",
                (true, _) if 0 < line.failures => "unreachable",
                (true, _) => "registered",
                (false, true) => "invited",
                (false, false) => "not registered",
            };
            states.push(PartnerState {
                id: partner.id.clone(),
                mode: match (partner.gateway, partner.scsp) {
                    (true, true) => "both",
                    (_, true) => "scsp",
                    _ => "gateway",
                }
                .to_owned(),
                state: state.to_owned(),
                version: link.speech.map(|speech| speech.word().to_owned()),
                heard: line.heard,
                waiting: self.waiting(&partner.id),
                trouble: line.trouble.clone(),
            });
        }
        states
    }

    fn begin(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        origin: Origin,
        token: &str,
        url: &str,
        speech: Option<Speech>,
    ) -> Result<(), String> {
        let number = self.number();
        let shake = Shake {
            partner: partner.to_owned(),
            stage: Stage::Versions,
            origin,
            token: token.to_owned(),
            versions_url: url.to_owned(),
            speech,
            endpoints: Vec::new(),
        };
        let wanted = (Method::Get, url.to_owned(), None);
        let call = self.call_with(desk, partner, Purpose::Shake(number), token, wanted);
        call.ok_or_else(|| format!("\"{url}\" cannot be called"))?;
        self.shakes.insert(number, shake);
        Ok(())
    }

    /// An answer in a registration.
    pub(super) fn shaken(
        &mut self,
        desk: &mut Desk<'_>,
        number: u64,
        result: Result<OcpiResponse, String>,
    ) {
        let Some(mut shake) = self.shakes.remove(&number) else { return };
        let single = shake.stage != Stage::Versions;
        let data = match Trouble::of(&result, single) {
            Ok(data) => data,
            Err(trouble) => {
                let code = http::CANNOT_USE;
                return self.shake_failed(desk, &shake, code, &trouble.words);
            }
        };
        let next = match shake.stage {
            Stage::Versions => self.choose(&mut shake, data),
            Stage::Details => match self.look(&mut shake, data) {
                Ok(()) => match shake.origin.clone() {
                    Origin::Ours { renew, .. } => self.offer(desk, &mut shake, renew),
                    Origin::Theirs { request, credentials } => {
                        return self.accept(desk, &shake, request, &credentials);
                    }
                },
                Err(failed) => Err(failed),
            },
            Stage::Credentials => match codec::decode::<Credentials>(data) {
                Ok(credentials) => return self.finish(desk, &shake, &credentials),
                Err(why) => Err((http::CANNOT_USE, format!("its credentials: {why}"))),
            },
        };
        match next {
            Ok(wanted) => {
                let (partner, token) = (shake.partner.clone(), shake.token.clone());
                let purpose = Purpose::Shake(number);
                if self.call_with(desk, &partner, purpose, &token, wanted).is_some() {
                    self.shakes.insert(number, shake);
                } else {
                    let why = "an URL that it gave cannot be called";
                    self.shake_failed(desk, &shake, http::CANNOT_USE, why);
                }
            }
            Err((code, why)) => self.shake_failed(desk, &shake, code, &why),
        }
    }

    /// The best version in common; for their registration the one that they used.
    fn choose(&self, shake: &mut Shake, data: Value) -> Result<Wanted, (i64, String)> {
        let versions: Vec<Version> = lenient_list(data);
        let configured = self.partner(&shake.partner).map(|one| one.versions.clone());
        let ours = configured.unwrap_or_default();
        let wanted: Vec<Speech> = match shake.speech {
            Some(speech) => vec![speech],
            None => ours.iter().rev().filter_map(|word| Speech::from_word(word)).collect(),
        };
        for speech in wanted {
            let found = versions.iter().find(|version| version.version == speech.word());
            if let Some(found) = found {
                shake.speech = Some(speech);
                shake.stage = Stage::Details;
                return Ok((Method::Get, found.url.clone(), None));
            }
        }
        let theirs: Vec<&str> = versions.iter().map(|version| version.version.as_str()).collect();
        let why = format!("no version in common: it offers {}", theirs.join(", "));
        Err((http::NO_VERSION, why))
    }

    fn look(&self, shake: &mut Shake, data: Value) -> Result<(), (i64, String)> {
        let details: VersionDetails =
            codec::decode(data).map_err(|why| (http::CANNOT_USE, format!("its details: {why}")))?;
        shake.endpoints = details.endpoints;
        let ours = matches!(shake.origin, Origin::Ours { .. });
        let has_credentials =
            shake.endpoints.iter().any(|known| known.identifier == Module::Credentials);
        if (ours && !has_credentials) || shake.endpoints.is_empty() {
            return Err((http::NO_ENDPOINTS, "its endpoints lack credentials".to_owned()));
        }
        Ok(())
    }

    /// Our credentials go out; the token in them is good from here on.
    fn offer(
        &mut self,
        desk: &mut Desk<'_>,
        shake: &mut Shake,
        renew: bool,
    ) -> Result<Wanted, (i64, String)> {
        let found = shake.endpoints.iter().find(|known| known.identifier == Module::Credentials);
        let url = found.map(|known| known.url.clone()).unwrap_or_default();
        let none = || (http::SERVER, "no randomness at hand; try again".to_owned());
        let token = self.secret().ok_or_else(none)?;
        let link = self.links.entry(shake.partner.clone()).or_default();
        link.admit(&token, false);
        desk.keep(Link::key(&shake.partner), link);
        shake.stage = Stage::Credentials;
        let speech = shake.speech.unwrap_or(Speech::V221);
        let body = codec::encode(speech, &self.credentials(&token));
        Ok((if renew { Method::Put } else { Method::Post }, url, Some(body)))
    }

    /// They have answered ours: registered.
    fn finish(&mut self, desk: &mut Desk<'_>, shake: &Shake, theirs: &Credentials) {
        self.established(desk, shake, theirs);
        if let Origin::Ours { person, .. } = shake.origin {
            let version = shake.speech.map_or("?", Speech::word);
            let text = format!("{} is registered, OCPI {version}", shake.partner);
            desk.out.push(Output::Told { person, text: Ok(text) });
        }
    }

    /// We have seen theirs: registered, and they are told their token.
    fn accept(&mut self, desk: &mut Desk<'_>, shake: &Shake, request: u64, theirs: &Credentials) {
        let Some(token) = self.secret() else {
            let why = "no randomness at hand; try again";
            return self.shake_failed(desk, shake, http::SERVER, why);
        };
        let link = self.links.entry(shake.partner.clone()).or_default();
        link.admit(&token, false);
        self.established(desk, shake, theirs);
        let speech = shake.speech.unwrap_or(Speech::V221);
        let data = codec::encode(speech, &self.credentials(&token));
        desk.reply(request, OcpiResponse::data(data, desk.utc));
    }

    fn established(&mut self, desk: &mut Desk<'_>, shake: &Shake, theirs: &Credentials) {
        let link = self.links.entry(shake.partner.clone()).or_default();
        link.outbound = Some(theirs.token.clone());
        link.versions_url = Some(if address::origin(&theirs.url).is_some() {
            theirs.url.clone()
        } else {
            shake.versions_url.clone()
        });
        link.roles.clone_from(&theirs.roles);
        link.endpoints.clone_from(&shake.endpoints);
        link.speech = shake.speech;
        link.registered = true;
        desk.keep(Link::key(&shake.partner), link);
        let (heard, since) = (Some(desk.utc), Some(desk.mono));
        let line = super::Line { heard, since, ..super::Line::default() };
        self.lines.insert(shake.partner.clone(), line);
        self.due.insert(shake.partner.clone(), Due::everything());
        let version = shake.speech.map_or("?", Speech::word);
        desk.tell(EventKind::PartnerRegistered, &shake.partner, format!("OCPI {version}"));
    }

    /// Whether a registration with a partner is under way.
    pub(super) fn is_shaking(&self, partner: &str) -> bool {
        self.shakes.values().any(|shake| shake.partner == partner)
    }

    fn shake_failed(&mut self, desk: &mut Desk<'_>, shake: &Shake, code: i64, why: &str) {
        match &shake.origin {
            Origin::Ours { person, .. } => {
                let text = Err(format!("{}: {why}", shake.partner));
                desk.out.push(Output::Told { person: *person, text });
            }
            Origin::Theirs { request, .. } => {
                desk.reply(*request, OcpiResponse::code(200, code, why, desk.utc));
            }
        }
        let text = format!("registration came to nothing: {why}");
        desk.tell(EventKind::PartnerRefused, &shake.partner, text);
    }

    /// A request to our credentials endpoint; none when the answer has to wait.
    pub(super) fn serve_credentials(
        &mut self,
        desk: &mut Desk<'_>,
        request: u64,
        caller: &super::serve::Caller,
        (method, body): (Method, &str),
    ) -> Option<OcpiResponse> {
        let utc = desk.utc;
        let link = &self.links[&caller.partner];
        let (speech, renewable) = (caller.speech, link.registered && !caller.invited);
        let not_so = |why: &str| Some(OcpiResponse::code(405, http::CLIENT, why, utc));
        match method {
            Method::Get => {
                let data = codec::encode(speech, &self.credentials(&caller.token));
                Some(OcpiResponse::data(data, utc))
            }
            Method::Delete if renewable => {
                self.forget(desk, &caller.partner);
                Some(OcpiResponse::ok(utc))
            }
            Method::Post if renewable => not_so("registered already; use PUT"),
            Method::Put | Method::Delete if !renewable => not_so("not registered; use POST"),
            Method::Post | Method::Put => {
                let value: Value = match serde_json::from_str(body) {
                    Ok(value) => value,
                    Err(_) => return Some(super::serve::no_json(utc)),
                };
                let invalid = |why: String| Some(OcpiResponse::code(200, http::INVALID, &why, utc));
                let credentials: Credentials = match codec::decode(value) {
                    Ok(credentials) => credentials,
                    Err(why) => return invalid(why),
                };
                if credentials.token.is_empty() || credentials.roles.is_empty() {
                    return invalid("token and at least one role are needed".to_owned());
                }
                let (token, url) = (credentials.token.clone(), credentials.url.clone());
                let origin = Origin::Theirs { request, credentials };
                let begun = self.begin(desk, &caller.partner, origin, &token, &url, Some(speech));
                match begun {
                    Ok(()) => None,
                    Err(why) => Some(OcpiResponse::code(200, http::CANNOT_USE, &why, utc)),
                }
            }
            _ => not_so("GET, POST, PUT or DELETE"),
        }
    }

    /// What we give a partner.
    fn credentials(&self, token: &str) -> Credentials {
        let roles = self.roles().into_iter().map(|role| CredentialsRole {
            role,
            business_details: BusinessDetails {
                name: self.site.name.clone(),
                website: self.site.website.clone(),
            },
            party_id: Ci::new(&self.site.party_id),
            country_code: Ci::new(&self.site.country_code),
        });
        Credentials {
            token: token.to_owned(),
            url: self.versions_url(),
            hub_party_id: None,
            roles: roles.collect(),
        }
    }

    fn roles(&self) -> Vec<Role> {
        let any =
            |what: fn(&crate::model::partner::Partner) -> bool| self.site.partners.iter().any(what);
        let mut roles = Vec::new();
        if any(|partner| partner.gateway) {
            roles.push(Role::Cpo);
        }
        if any(|partner| partner.scsp) {
            roles.push(Role::Scsp);
        }
        roles
    }

    pub(super) fn versions_url(&self) -> String {
        format!("{}/ocpi/versions", self.site.public_url)
    }
}

/// Method, URL and body of the next call.
type Wanted = (Method, String, Option<Value>);

/// The elements of a list that can be read.
pub(super) fn lenient_list<T: serde::de::DeserializeOwned>(data: Value) -> Vec<T> {
    let Value::Array(list) = data else { return Vec::new() };
    list.into_iter().filter_map(|value| codec::decode(value).ok()).collect()
}
