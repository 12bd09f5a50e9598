//! What partners push to the site as a CPO: tokens, and what a hub tells of its clients.

use serde_json::{Map, Value};

use crate::model::event::EventKind;

use crate::ocpi::codec;
use crate::ocpi::http::{self, Method, OcpiResponse};
use crate::ocpi::text::{Ci, Time};
use crate::ocpi::validate;
use crate::ocpi::wire::credentials::{ClientInfo, ConnectionStatus};
use crate::ocpi::wire::token::Token;

use super::desk::Desk;
use super::serve::{Asked, not_so};
use super::{Engine, TOKENS_MAX};

/// Clients of hubs that are known.
const CLIENTS_MAX: usize = 1000;

/// The key under which a client of a hub is kept.
fn client_key(party: &str) -> String {
    format!("client/{party}")
}

/// Nothing is sent to it.
pub fn is_gone(info: &ClientInfo) -> bool {
    matches!(info.status, ConnectionStatus::Offline | ConnectionStatus::Suspended)
}

/// The key under which a token is kept.
pub fn token_key(country: &str, party: &str, uid: &str, kind: &str) -> String {
    format!("token/{country}/{party}/{uid}/{kind}").to_ascii_lowercase()
}

/// The key of a token.
pub fn key_of(token: &Token) -> String {
    let (country, party) = (token.country_code.as_str(), token.party_id.as_str());
    token_key(country, party, token.uid.as_str(), token.kind.word())
}

/// The fields of a PATCH over what is known. Lists are replaced, null clears.
pub fn patched(known: Value, change: Map<String, Value>) -> Value {
    let Value::Object(mut known) = known else { return Value::Object(change) };
    for (key, value) in change {
        if value.is_null() {
            known.remove(&key);
        } else {
            known.insert(key, value);
        }
    }
    Value::Object(known)
}

impl Engine {
    /// GET, PUT and PATCH of a token.
    pub(super) fn receive_token(&mut self, desk: &mut Desk<'_>, asked: &Asked<'_>) -> OcpiResponse {
        let utc = desk.utc;
        let [country, party, uid] = asked.rest.as_slice() else {
            return super::serve::nowhere(utc);
        };
        let kind = asked.parameter("type").filter(|kind| !kind.is_empty()).unwrap_or("RFID");
        let key = token_key(country, party, uid, kind);
        let invalid = |why: &str| OcpiResponse::code(200, http::INVALID, why, utc);
        let unknown = || OcpiResponse::code(404, http::UNKNOWN_TOKEN, "no such token", utc);
        match asked.method {
            Method::Get => match self.tokens.get(&key) {
                Some(token) => OcpiResponse::data(codec::encode(asked.caller.speech, token), utc),
                None => unknown(),
            },
            Method::Put | Method::Patch if !self.owns(&asked.caller.partner, country, party) => {
                OcpiResponse::code(404, http::CLIENT, "not a party of the caller", utc)
            }
            Method::Put => {
                let token: Token = match asked.object(utc) {
                    Ok(token) => token,
                    Err(response) => return response,
                };
                if key_of(&token) != key {
                    return invalid("the token in the body is not the one of the URL");
                }
                let status = if self.tokens.contains_key(&key) { 200 } else { 201 };
                match self.take_token(desk, &asked.caller.partner, token) {
                    Ok(()) => OcpiResponse::code(status, http::OK, "", utc),
                    Err(why) => OcpiResponse::code(200, http::SERVER, &why, utc),
                }
            }
            Method::Patch => {
                let Some(known) = self.tokens.get(&key) else { return unknown() };
                let change = match asked.json(utc) {
                    Ok(Value::Object(change)) => change,
                    Ok(_) => return invalid("an object is expected"),
                    Err(response) => return response,
                };
                if !change.contains_key("last_updated") {
                    return invalid("last_updated is needed");
                }
                let whole = patched(codec::encode(codec::Speech::V230, known), change);
                match codec::decode::<Token>(whole) {
                    Ok(token) if key_of(&token) == key => {
                        // A known token needs no more room.
                        let _ = self.take_token(desk, &asked.caller.partner, token);
                        OcpiResponse::ok(utc)
                    }
                    Ok(_) => invalid("the token in the body is not the one of the URL"),
                    Err(why) => invalid(&why),
                }
            }
            _ => not_so(utc),
        }
    }

    /// Takes a token in unless a later one is known. A later one stays, and nobody is told to send
    /// again.
    pub(super) fn take_token(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        token: Token,
    ) -> Result<(), String> {
        let key = key_of(&token);
        let wrong = validate::token(&token);
        if !wrong.is_empty() {
            let text = format!("sent a token that is taken as it is: {}", wrong.join("; "));
            desk.tell(EventKind::PartnerOdd, partner, text);
        }
        match self.tokens.get(&key) {
            Some(known) if token.last_updated < known.last_updated => return Ok(()),
            Some(known) if known == &token => return Ok(()),
            None if TOKENS_MAX <= self.tokens.len() => {
                return Err(format!("there are {TOKENS_MAX} tokens already"));
            }
            _ => {}
        }
        desk.keep(key.clone(), &token);
        self.tokens.insert(key, token);
        Ok(())
    }

    /// Whether a party is one of the caller's roles. A caller without roles may speak for all.
    pub(super) fn owns(&self, partner: &str, country: &str, party: &str) -> bool {
        let Some(link) = self.links.get(partner) else { return false };
        let (country, party) = (Ci::new(country), Ci::new(party));
        link.roles.is_empty()
            || link.roles.iter().any(|one| one.country_code == country && one.party_id == party)
            || link.roles.iter().any(|one| one.role.word() == "HUB")
    }

    /// GET and PUT of what a hub tells of a client.
    pub(super) fn receive_client_info(
        &mut self,
        desk: &mut Desk<'_>,
        asked: &Asked<'_>,
    ) -> OcpiResponse {
        let utc = desk.utc;
        let [country, party] = asked.rest.as_slice() else { return super::serve::nowhere(utc) };
        let party = super::gateway::owner(&Ci::new(country), &Ci::new(party));
        match asked.method {
            Method::Get => match self.clients.get(&party) {
                Some(info) => OcpiResponse::data(codec::encode(asked.caller.speech, info), utc),
                None => OcpiResponse::code(404, http::CLIENT, "no such client", utc),
            },
            Method::Put => {
                let info: ClientInfo = match asked.object(utc) {
                    Ok(info) => info,
                    Err(response) => return response,
                };
                let named = super::gateway::owner(&info.country_code, &info.party_id);
                if named != party {
                    let why = "the client in the body is not the one of the URL";
                    return OcpiResponse::code(200, http::INVALID, why, utc);
                }
                let known = self.clients.get(&party).map(|known| known.last_updated);
                if known.is_some_and(|known| info.last_updated < known) {
                    return OcpiResponse::ok(utc);
                }
                if known.is_none() && CLIENTS_MAX <= self.clients.len() {
                    let why = format!("there are {CLIENTS_MAX} clients already");
                    return OcpiResponse::code(200, http::SERVER, &why, utc);
                }
                desk.keep(client_key(&party), &info);
                self.mark_absent(&party, is_gone(&info));
                self.clients.insert(party, info);
                OcpiResponse::ok(utc)
            }
            _ => not_so(utc),
        }
    }

    /// A party behind a hub is gone or back: partners that are that party alone get nothing more
    /// until it is back. Nothing is queued meanwhile.
    pub(super) fn mark_absent(&mut self, party: &str, gone: bool) {
        for (partner, link) in &self.links {
            let is_it = |role: &crate::ocpi::wire::credentials::CredentialsRole| {
                super::gateway::owner(&role.country_code, &role.party_id) == party
            };
            if link.roles.is_empty() || !link.roles.iter().all(is_it) {
                continue;
            }
            if gone {
                self.absent.insert(partner.clone());
            } else {
                self.absent.remove(partner);
            }
        }
    }
}

/// The later of two times, where there are any.
pub fn later(one: Option<Time>, other: Time) -> Option<Time> {
    Some(one.map_or(other, |one| one.max(other)))
}
