//! Who calls, and what answers: the token, versions, details, and the way to each module.

use serde_json::{Value, json};

use crate::ground::time::Utc;
use crate::model::event::EventKind;

use crate::ocpi::address;
use crate::ocpi::codec::{self, Speech};
use crate::ocpi::http::{self, Method, OcpiRequest, OcpiResponse, presented, same_secret};
use crate::ocpi::wire::credentials::{Endpoint, Module, Side, Version, VersionDetails};

use super::Engine;
use super::desk::Desk;
use super::link::Link;

/// A caller whose token is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// Our name for it.
    pub partner: String,
    /// The token that it called with.
    pub token: String,
    /// It called with a token A.
    pub invited: bool,
    /// The version of the URL that it called.
    pub speech: Speech,
}

/// A request to a module, taken apart.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// What.
    pub method: Method,
    /// Path behind the module.
    pub rest: Vec<&'a str>,
    /// Query.
    pub query: &'a [(String, String)],
    /// Body.
    pub body: &'a str,
}

impl Asked<'_> {
    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON, or the answer to one that is none.
    pub fn json(&self, utc: Utc) -> Result<Value, OcpiResponse> {
        serde_json::from_str(self.body).map_err(|_| no_json(utc))
    }

    /// The body as an object of OCPI, or the answer to one that is none.
    pub fn object<T: serde::de::DeserializeOwned>(&self, utc: Utc) -> Result<T, OcpiResponse> {
        codec::decode(self.json(utc)?)
            .map_err(|why| OcpiResponse::code(200, http::INVALID, &why, utc))
    }
}

/// The answer to a body that is not JSON.
pub fn no_json(utc: Utc) -> OcpiResponse {
    OcpiResponse::code(400, http::INVALID, "the body is not JSON", utc)
}

/// The answer where nothing is.
pub fn nowhere(utc: Utc) -> OcpiResponse {
    OcpiResponse::code(404, http::CLIENT, "nothing is here", utc)
}

/// The answer to the wrong method.
pub fn not_so(utc: Utc) -> OcpiResponse {
    OcpiResponse::code(405, http::CLIENT, "not with this method", utc)
}

impl Engine {
    /// Answers a request, at once or when more is known.
    pub(super) fn serve(&mut self, desk: &mut Desk<'_>, number: u64, request: &OcpiRequest) {
        if let Some(response) = self.route(desk, number, request) {
            desk.reply(number, response);
        }
    }

    fn route(
        &mut self,
        desk: &mut Desk<'_>,
        number: u64,
        request: &OcpiRequest,
    ) -> Option<OcpiResponse> {
        let utc = desk.utc;
        let (segments, query) = address::split(&request.target);
        let Some(begin) = segments.iter().position(|segment| segment == "ocpi") else {
            return Some(nowhere(utc));
        };
        let path: Vec<&str> = segments[begin + 1..].iter().map(String::as_str).collect();
        let Some(mut caller) = self.recognise(desk, request) else {
            let why = "no token, or one that is not known";
            return Some(OcpiResponse::code(401, http::CLIENT, why, utc));
        };
        let ours = self.partner(&caller.partner).map(|one| one.versions.clone());
        let ours = ours.unwrap_or_default();
        let [version, rest @ ..] = path.as_slice() else { return Some(nowhere(utc)) };
        if *version == "versions" && rest.is_empty() {
            return Some(match request.method {
                Method::Get => OcpiResponse::data(self.versions(&ours), utc),
                _ => not_so(utc),
            });
        }
        let speech = Speech::from_word(version).filter(|_| ours.iter().any(|own| own == version));
        let Some(speech) = speech else { return Some(nowhere(utc)) };
        caller.speech = speech;
        match rest {
            [] if request.method == Method::Get => {
                Some(OcpiResponse::data(self.details(&caller), utc))
            }
            [] => Some(not_so(utc)),
            ["credentials"] => {
                let asked = (request.method, request.body.as_str());
                self.serve_credentials(desk, number, &caller, asked)
            }
            // It has answered our credentials, and calls before its answer is here.
            _ if !caller.invited
                && !self.links[&caller.partner].registered
                && self.is_shaking(&caller.partner) =>
            {
                let why = "the registration is not over yet";
                let response = OcpiResponse::code(503, http::SERVER, why, utc);
                Some(response.with("Retry-After", "2"))
            }
            _ if caller.invited || !self.links[&caller.partner].registered => {
                let why = "a token A is good for versions and credentials alone";
                Some(OcpiResponse::code(401, http::CLIENT, why, utc))
            }
            [side, module, rest @ ..] => {
                let (caller, method) = (&caller, request.method);
                let (query, body) = (query.as_slice(), request.body.as_str());
                let asked = Asked { caller, method, rest: rest.to_vec(), query, body };
                self.serve_module(desk, side, module, &asked)
            }
            _ => Some(nowhere(utc)),
        }
    }

    fn serve_module(
        &mut self,
        desk: &mut Desk<'_>,
        side: &str,
        module: &str,
        asked: &Asked<'_>,
    ) -> Option<OcpiResponse> {
        let utc = desk.utc;
        let configured = self.partner(&asked.caller.partner);
        let modes = configured.map(|partner| (partner.gateway, partner.scsp));
        let (gateway, scsp) = modes.unwrap_or((false, false));
        Some(match (side, module) {
            ("sender", "locations") if gateway => self.send_location(desk, asked),
            ("sender", "sessions") if gateway => self.send_sessions(desk, asked),
            ("sender", "cdrs") if gateway => self.send_cdrs(desk, asked),
            ("sender", "tariffs") if gateway => self.send_tariffs(desk, asked),
            ("receiver", "tokens") if gateway => self.receive_token(desk, asked),
            ("receiver", "commands") if gateway => self.receive_command(desk, asked),
            ("receiver", "chargingprofiles") if gateway => self.receive_profile(desk, asked),
            ("receiver", "hubclientinfo") => self.receive_client_info(desk, asked),
            ("receiver", "sessions") if scsp => self.receive_session(desk, asked),
            ("receiver", "locations") if scsp => self.receive_location(desk, asked),
            ("sender", "chargingprofiles") if scsp => self.receive_result(desk, asked),
            _ => nowhere(utc),
        })
    }

    /// Who calls; the older tokens of a partner end soon after its newest is first used.
    fn recognise(&mut self, desk: &mut Desk<'_>, request: &OcpiRequest) -> Option<Caller> {
        let offered = presented(request.header("Authorization")?);
        let utc = desk.utc;
        for (partner, link) in &mut self.links {
            let is_good = |known: &super::link::Inbound| {
                known.until.is_none_or(|until| utc < until)
                    && offered.iter().any(|token| same_secret(token, &known.token))
            };
            let Some(index) = link.inbound.iter().position(is_good) else { continue };
            let known = link.inbound[index].clone();
            if link.used(index, utc) {
                desk.keep(Link::key(partner), link);
            }
            if let Some(line) = self.lines.get_mut(partner) {
                line.heard = Some(utc);
            }
            return Some(Caller {
                partner: partner.clone(),
                token: known.token,
                invited: known.invitation,
                speech: Speech::V221,
            });
        }
        desk.tell(EventKind::PartnerUnknown, "ocpi", "a request with a token that is not known");
        None
    }

    fn versions(&self, ours: &[String]) -> Value {
        let version = |word: &String| Version {
            version: word.clone(),
            url: format!("{}/ocpi/{word}", self.site.public_url),
        };
        json!(ours.iter().map(version).collect::<Vec<_>>())
    }

    fn details(&self, caller: &Caller) -> Value {
        let configured = self.partner(&caller.partner);
        let (gateway, scsp, slash) = configured
            .map(|one| (one.gateway, one.scsp, one.trailing_slash))
            .unwrap_or((false, false, false));
        let speech = caller.speech;
        let base = format!("{}/ocpi/{}", self.site.public_url, speech.word());
        let end = if slash { "/" } else { "" };
        let mut endpoints = vec![Endpoint {
            identifier: Module::Credentials,
            role: Side::Sender,
            url: format!("{base}/credentials"),
        }];
        let mut offer = |side: Side, modules: &[Module]| {
            for module in modules {
                let word = if side == Side::Sender { "sender" } else { "receiver" };
                let url = format!("{base}/{word}/{}{end}", module.word());
                let role = side.clone();
                endpoints.push(Endpoint { identifier: module.clone(), role, url });
            }
        };
        if gateway {
            use Module::{Cdrs, ChargingProfiles, Commands, HubClientInfo, Tariffs, Tokens};
            offer(Side::Sender, &[Module::Locations, Module::Sessions, Cdrs, Tariffs]);
            offer(Side::Receiver, &[Tokens, Commands, ChargingProfiles, HubClientInfo]);
        }
        if scsp {
            offer(Side::Receiver, &[Module::Locations, Module::Sessions]);
            offer(Side::Sender, &[Module::ChargingProfiles]);
        }
        codec::encode(speech, &VersionDetails { version: speech.word().to_owned(), endpoints })
    }
}
