//! Commands of partners: checked, handed to the site, and answered a second time when it is known
//! what became of them. Each result is sent once; OCPI wants no retries of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ground::ids::{EvseId, IdToken};
use crate::ground::time::{Duration, Instant, Utc};

use crate::ocpi::address;
use crate::ocpi::codec;
use crate::ocpi::http::{self, Method, OcpiResponse};
use crate::ocpi::text::Ci;
use crate::ocpi::wire::control::{
    Answer, CancelReservation, CommandOutcome, ReserveNow, Response, StartSession, StopSession,
    UnlockConnector,
};
use crate::ocpi::wire::location::Status;

use super::desk::{Change, Desk, OrderOutcome, Output, SiteOrder};
use super::grant::alias;
use super::serve::{Asked, not_so, nowhere};
use super::{Engine, Purpose};

/// A result comes within this, in seconds, or says that it timed out.
const TIMEOUT_S: i64 = 60;

/// Reservations of partners that are known at a time.
const RESERVATIONS_MAX: usize = 500;

/// A command whose result is still to come.
#[derive(Clone, Debug, PartialEq)]
pub struct Commanded {
    partner: String,
    response_url: String,
    until: Instant,
}

/// A reservation: the number that chargers know it by. It is kept, so that it can be cancelled
/// after a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reserved {
    partner: String,
    id: String,
    evse: EvseId,
    number: u32,
    until: Utc,
}

impl Reserved {
    fn name(&self) -> String {
        format!("reserved/{}/{}", self.partner, self.id)
    }

    /// What was kept, by partner and id.
    pub fn known(kept: &BTreeMap<String, Value>) -> BTreeMap<(String, String), Self> {
        let all = kept.range("reserved/".to_owned().."reserved0".to_owned());
        let all = all.filter_map(|(_, value)| codec::decode::<Self>(value.clone()).ok());
        all.map(|one| ((one.partner.clone(), one.id.clone()), one)).collect()
    }
}

impl Engine {
    /// POST of a command.
    pub(super) fn receive_command(
        &mut self,
        desk: &mut Desk<'_>,
        asked: &Asked<'_>,
    ) -> OcpiResponse {
        let utc = desk.utc;
        let [command] = asked.rest.as_slice() else { return nowhere(utc) };
        if asked.method != Method::Post {
            return not_so(utc);
        }
        let url = match asked.json(utc) {
            Ok(body) => body.get("response_url").and_then(|url| url.as_str().map(str::to_owned)),
            Err(response) => return response,
        };
        let Some(url) = url.filter(|url| self.may_answer_to(&asked.caller.partner, url)) else {
            let why = "response_url: a URL of an origin that is known of you is expected";
            return OcpiResponse::code(200, http::INVALID, why, utc);
        };
        let ordered = match *command {
            "START_SESSION" => asked.object(utc).map(|command| self.start(desk, &command)),
            "STOP_SESSION" => {
                asked.object(utc).map(|command| self.stop(&asked.caller.partner, &command))
            }
            "UNLOCK_CONNECTOR" => asked.object(utc).map(|command| self.unlock(&command)),
            "RESERVE_NOW" => {
                let partner = &asked.caller.partner;
                asked.object(utc).map(|command| self.reserve(desk, partner, &command))
            }
            "CANCEL_RESERVATION" => {
                let partner = &asked.caller.partner;
                asked.object(utc).map(|command| self.cancel(desk, partner, &command))
            }
            _ => Ok(Err((Response::NotSupported, http::OK))),
        };
        let wanted = match ordered {
            Ok(wanted) => wanted,
            Err(response) => return response,
        };
        let (result, code) = match wanted {
            Ok(wanted) => {
                let order = self.number();
                let until = desk.mono + Duration::seconds(TIMEOUT_S);
                let partner = asked.caller.partner.clone();
                self.commanded.insert(order, Commanded { partner, response_url: url, until });
                desk.out.push(Output::Order { order, wanted });
                (Response::Accepted, http::OK)
            }
            Err(refused) => refused,
        };
        let answer = Answer { result, timeout: TIMEOUT_S, message: Vec::new() };
        let data = codec::encode(asked.caller.speech, &answer);
        OcpiResponse::envelope(200, code, "", Some(data), utc)
    }

    fn start(&mut self, desk: &mut Desk<'_>, command: &StartSession) -> Ordered {
        let evse = self.place(&command.location_id, command.evse_uid.as_ref(), true)?;
        let token = IdToken::new(&alias(command.token.uid.as_str()));
        // Not validated: the partner vouches for its own token.
        let reference = command.authorization_reference.clone();
        self.grant(desk.utc, &token, &command.token, "COMMAND", reference);
        Ok(SiteOrder::Start { evse, token })
    }

    fn stop(&mut self, partner: &str, command: &StopSession) -> Ordered {
        let Some((session, live)) = self.gateway.by_id(&command.session_id) else {
            return Err((Response::UnknownSession, http::OK));
        };
        let token = &live.session.cdr_token;
        if !self.owns(partner, token.country_code.as_str(), token.party_id.as_str()) {
            return Err((Response::Rejected, http::OK));
        }
        Ok(SiteOrder::Stop { session })
    }

    fn unlock(&mut self, command: &UnlockConnector) -> Ordered {
        let evse = self.place(&command.location_id, Some(&command.evse_uid), false)?;
        Ok(SiteOrder::Unlock { evse })
    }

    fn reserve(&mut self, desk: &mut Desk<'_>, partner: &str, command: &ReserveNow) -> Ordered {
        let evse = self.place(&command.location_id, command.evse_uid.as_ref(), true)?;
        let key = (partner.to_owned(), command.reservation_id.key());
        let over = self.reserved.iter().filter(|(_, known)| known.until <= desk.utc);
        let mut over: Vec<_> = over.map(|(key, _)| key.clone()).collect();
        if RESERVATIONS_MAX <= self.reserved.len() - over.len() {
            over.extend(self.reserved.keys().next().cloned());
        }
        for key in over {
            self.forget_reservation(desk, &key);
        }
        // The same reservation again changes the one that stands.
        let known = self.reserved.get(&key).map(|known| known.number);
        let highest = self.reserved.values().map(|known| known.number).max().unwrap_or(0);
        let number = known.unwrap_or(highest % 0x7FFF_FFFE + 1);
        let until = command.expiry_date.0;
        let (partner, id) = key.clone();
        let reserved = Reserved { partner, id, evse: evse.clone(), number, until };
        desk.keep(reserved.name(), &reserved);
        self.reserved.insert(key, reserved);
        let token = IdToken::new(&alias(command.token.uid.as_str()));
        Ok(SiteOrder::Reserve { evse, reservation: number, token, until })
    }

    fn cancel(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        command: &CancelReservation,
    ) -> Ordered {
        let key = (partner.to_owned(), command.reservation_id.key());
        match self.forget_reservation(desk, &key) {
            Some(known) => Ok(SiteOrder::Cancel { evse: known.evse, reservation: known.number }),
            None => Err((Response::Rejected, http::OK)),
        }
    }

    fn forget_reservation(
        &mut self,
        desk: &mut Desk<'_>,
        key: &(String, String),
    ) -> Option<Reserved> {
        let known = self.reserved.remove(key)?;
        desk.out.push(Output::Keep(Change::Drop { key: known.name() }));
        Some(known)
    }

    /// The EVSE that is meant; a free one where none is named.
    fn place(
        &self,
        location: &Ci,
        uid: Option<&Ci>,
        free: bool,
    ) -> Result<EvseId, (Response, i64)> {
        let unknown = (Response::Rejected, http::UNKNOWN_LOCATION);
        if &self.gateway.location.id != location {
            return Err(unknown);
        }
        if let Some(uid) = uid {
            return self.evse_uid(uid).map(|uid| EvseId::new(&uid)).ok_or(unknown);
        }
        let evses = &self.gateway.location.evses;
        let found = evses.iter().find(|evse| !free || evse.status == Status::Available);
        let found = found.map(|evse| EvseId::new(evse.uid.as_str()));
        found.ok_or((Response::Rejected, http::OK))
    }

    /// A response_url is the attacker's to choose: only origins that are known are called.
    pub(super) fn may_answer_to(&self, partner: &str, url: &str) -> bool {
        let Some(wanted) = address::origin(url) else { return false };
        let (Some(link), Some(configured)) = (self.links.get(partner), self.partner(partner))
        else {
            return false;
        };
        let endpoints = link.endpoints.iter().map(|endpoint| endpoint.url.as_str());
        let known = link.versions_url.as_deref().into_iter().chain(endpoints);
        let known = known.chain(configured.response_origins.iter().map(String::as_str));
        known.filter_map(address::origin).any(|origin| origin == wanted)
    }

    /// What became of an order.
    pub(super) fn done(&mut self, desk: &mut Desk<'_>, order: u64, outcome: &OrderOutcome) {
        let Some(commanded) = self.commanded.remove(&order) else { return };
        let result = match outcome {
            OrderOutcome::Accepted => CommandOutcome::Accepted,
            OrderOutcome::Rejected => CommandOutcome::Rejected,
            OrderOutcome::Occupied => CommandOutcome::EvseOccupied,
            OrderOutcome::Inoperative => CommandOutcome::EvseInoperative,
            OrderOutcome::Failed => CommandOutcome::Failed,
            OrderOutcome::NotSupported => CommandOutcome::NotSupported,
            OrderOutcome::Timeout => CommandOutcome::Timeout,
        };
        self.tell_result(desk, &commanded, &result);
    }

    pub(super) fn commands_expire(&mut self, desk: &mut Desk<'_>) {
        let late = |(order, commanded): (&u64, &Commanded)| {
            (commanded.until <= desk.mono).then_some(*order)
        };
        let late: Vec<u64> = self.commanded.iter().filter_map(late).collect();
        for order in late {
            self.done(desk, order, &OrderOutcome::Timeout);
        }
    }

    fn tell_result(&mut self, desk: &mut Desk<'_>, commanded: &Commanded, result: &CommandOutcome) {
        let body = Some(json!({ "result": result }));
        let wanted = (Method::Post, commanded.response_url.clone(), body);
        self.call(desk, &commanded.partner, Purpose::Result, wanted);
    }
}

/// An order to the site, or the first answer with its code.
type Ordered = Result<SiteOrder, (Response, i64)>;
