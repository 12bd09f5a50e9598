//! The operator's platform of the demonstration: it registers with the daemon over OCPI, is told
//! locations, sessions and CDRs, starts a car whose driver has only an app, and limits one EVSE for
//! two hours. Loopback alone; nothing of it is kept.
//!
//! ```text
//! invitation ─▶ versions, details, credentials ─▶ told: location, sessions, CDRs
//!                     EVSE-03 is plugged in ─▶ START_SESSION    EVSE-09 charges ─▶ profile of 8 A
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::ground::time::Utc;
use crate::io::clock::Clock;
use crate::io::https;
use crate::io::partner::{self, Caller, Incoming};
use crate::ocpi::engine::desk::Wish;
use crate::ocpi::http::{
    self, Encoding, Method, OcpiRequest, OcpiResponse, authorization, presented, same_secret,
};
use crate::ui::state::PartnerWish;

/// Whose driver has no card: the operator starts it.
pub const APP_EVSE: &str = "EVSE-03";

/// What the operator limits, with how much in A of a phase and for how long in seconds.
const LIMITED: (&str, f64, i64) = ("EVSE-09", 8.0, 7200);

/// The operator's name in the configuration.
const PARTNER: &str = "operator";

/// The version that it speaks.
const VERSION: &str = "2.2.1";

/// What the daemon calls it with. It lives as long as the demonstration and listens on loopback.
const SECRET: &str = "demonstration-operator";

/// What the operator has been told so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Sessions.
    pub sessions: usize,
    /// CDRs.
    pub cdrs: usize,
    /// Energy of the CDRs.
    pub kwh: f64,
    /// Their price without taxes.
    pub cost: f64,
}

/// A running platform; dropping it stops it.
#[derive(Debug)]
pub struct Upstream {
    /// What it has been told.
    pub seen: watch::Receiver<Seen>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Listens, and registers with the daemon whose uplink takes these wishes.
pub async fn start(wishes: mpsc::Sender<PartnerWish>, clock: Clock) -> Result<Upstream, String> {
    let (requests, incoming) = mpsc::channel(64);
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listening = partner::listen(any, None, requests, https::to_the_log()).await;
    let (listener, address) = listening.map_err(|error| error.to_string())?;
    let (publish, seen) = watch::channel(Seen::default());
    let (answers, answered) = mpsc::channel(64);
    let platform = Platform {
        base: format!("http://{address}"),
        clock,
        caller: Caller::default(),
        token: None,
        endpoints: BTreeMap::new(),
        evses: BTreeMap::new(),
        sessions: BTreeMap::new(),
        asked: BTreeSet::new(),
        cdrs: BTreeSet::new(),
        answers,
        publish,
    };
    let invitation = invite(&wishes).await?;
    let task = tokio::spawn(platform.run(invitation, incoming, answered));
    Ok(Upstream { seen, tasks: vec![listener, task] })
}

/// A token A and the versions URL of the daemon. What an earlier demonstration left is ended first.
async fn invite(wishes: &mpsc::Sender<PartnerWish>) -> Result<(String, String), String> {
    let partner = || PARTNER.to_owned();
    let listed = wish(wishes, Wish::List).await?;
    if !listed.contains("not registered") && !listed.contains("invited") {
        wish(wishes, Wish::Remove { partner: partner() }).await?;
    }
    let text = wish(wishes, Wish::Invite { partner: partner() }).await?;
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [.., token, _, url] => Ok(((*token).to_owned(), (*url).to_owned())),
        _ => Err("an invitation that cannot be read".to_owned()),
    }
}

async fn wish(wishes: &mpsc::Sender<PartnerWish>, wish: Wish) -> Result<String, String> {
    let (reply, answer) = oneshot::channel();
    let gone = || "the daemon speaks to no partners".to_owned();
    wishes.send((wish, reply)).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

/// An answer of the daemon, and what was asked.
type Answered = (String, Result<OcpiResponse, String>);

struct Platform {
    base: String,
    clock: Clock,
    caller: Caller,
    token: Option<String>,
    /// The daemon's, by module and side.
    endpoints: BTreeMap<(String, String), String>,
    /// Status by uid.
    evses: BTreeMap<String, String>,
    sessions: BTreeMap<String, Value>,
    /// Sessions and stays at an EVSE for which something was asked.
    asked: BTreeSet<String>,
    cdrs: BTreeSet<String>,
    answers: mpsc::Sender<Answered>,
    publish: watch::Sender<Seen>,
}

impl Platform {
    async fn run(
        mut self,
        (token, versions): (String, String),
        mut incoming: mpsc::Receiver<Incoming>,
        mut answered: mpsc::Receiver<Answered>,
    ) {
        self.token = Some(token);
        self.call("versions", Method::Get, versions, None);
        loop {
            tokio::select! {
                Some((request, reply)) = incoming.recv() => {
                    // An error means that the daemon has hung up.
                    let _ = reply.send(self.serve(&request));
                    self.decide();
                }
                Some((what, result)) = answered.recv() => self.take(&what, result),
                else => return,
            }
        }
    }

    fn utc(&self) -> Utc {
        self.clock.now().utc.unwrap_or_default()
    }

    /// Asks the daemon; the answer comes back under this name.
    fn call(&self, what: &str, method: Method, url: String, body: Option<Value>) {
        let token = self.token.clone().unwrap_or_default();
        let header = |name: &str, value: String| (name.to_owned(), value);
        let request = OcpiRequest {
            method,
            target: url,
            headers: vec![
                header("Authorization", authorization(&token, Encoding::Base64)),
                header("X-Request-ID", format!("demo-{what}")),
                header("X-Correlation-ID", format!("demo-{what}")),
                header("Content-Type", "application/json".to_owned()),
            ],
            body: body.map(|body| body.to_string()).unwrap_or_default(),
        };
        let (caller, answers, what) = (self.caller.clone(), self.answers.clone(), what.to_owned());
        tokio::task::spawn_blocking(move || {
            let result = caller.call(&request);
            // An error means that the demonstration has ended.
            let _ = answers.blocking_send((what, result));
        });
    }

    fn take(&mut self, what: &str, result: Result<OcpiResponse, String>) {
        let data = match result.map(|response| response.success(true)) {
            Ok(Ok(data)) => data,
            Ok(Err(failure)) => return println!("operator: {what}: {failure}"),
            Err(why) => return println!("operator: {what}: {why}"),
        };
        let text = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        match what {
            "versions" => {
                let url = text(&data, "url");
                let listed = data.as_array().into_iter().flatten();
                let found = listed.into_iter().find(|one| text(one, "version") == VERSION);
                let url = found.map_or(url, |one| text(one, "url"));
                self.call("details", Method::Get, url, None);
            }
            "details" => {
                for one in data.get("endpoints").and_then(Value::as_array).into_iter().flatten() {
                    let key = (text(one, "identifier"), text(one, "role"));
                    self.endpoints.insert(key, text(one, "url"));
                }
                let credentials = json!({
                    "token": SECRET, "url": format!("{}/versions", self.base),
                    "roles": [{ "role": "EMSP", "country_code": "FR", "party_id": "OPR",
                                "business_details": { "name": "Operator of the demonstration" } }],
                });
                if let Some(url) = self.endpoint("credentials", "SENDER") {
                    self.call("credentials", Method::Post, url, Some(credentials));
                }
            }
            "credentials" => {
                self.token = Some(text(&data, "token"));
                println!("operator: registered with the site over OCPI {VERSION}");
            }
            other => println!("operator: {other}: {}", text(&data, "result")),
        }
    }

    fn endpoint(&self, module: &str, side: &str) -> Option<String> {
        self.endpoints.get(&(module.to_owned(), side.to_owned())).cloned()
    }

    /// A request of the daemon.
    fn serve(&mut self, request: &OcpiRequest) -> OcpiResponse {
        let utc = self.utc();
        let offered = request.header("Authorization").map(presented).unwrap_or_default();
        if !offered.iter().any(|token| same_secret(token, SECRET)) {
            return OcpiResponse::code(401, http::CLIENT, "not a token of ours", utc);
        }
        let path = request.target.split('?').next().unwrap_or_default();
        let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let body: Value = serde_json::from_str(&request.body).unwrap_or(Value::Null);
        let base = &self.base;
        match path.as_slice() {
            ["versions"] => {
                let url = format!("{base}/{VERSION}");
                OcpiResponse::data(json!([{ "version": VERSION, "url": url }]), utc)
            }
            [VERSION] => {
                let receiver = ["locations", "sessions", "cdrs", "tariffs"].map(|module| {
                    json!({ "identifier": module, "role": "RECEIVER",
                            "url": format!("{base}/{module}") })
                });
                let sender = ["credentials", "tokens", "chargingprofiles"].map(|module| {
                    json!({ "identifier": module, "role": "SENDER",
                            "url": format!("{base}/{module}") })
                });
                let endpoints: Vec<Value> = receiver.into_iter().chain(sender).collect();
                OcpiResponse::data(json!({ "version": VERSION, "endpoints": endpoints }), utc)
            }
            ["tokens"] => OcpiResponse::data(json!([]), utc),
            ["locations", _, _, _] => {
                for evse in body.get("evses").and_then(Value::as_array).into_iter().flatten() {
                    self.take_evse(evse.get("uid").and_then(Value::as_str), evse);
                }
                OcpiResponse::ok(utc)
            }
            ["locations", _, _, _, uid] => {
                self.take_evse(Some(uid), &body);
                OcpiResponse::ok(utc)
            }
            ["sessions", _, _, id] => {
                self.sessions.insert((*id).to_owned(), body);
                self.publish.send_modify(|seen| seen.sessions = self.sessions.len());
                OcpiResponse::ok(utc)
            }
            ["cdrs"] => self.take_cdr(&body),
            ["result", what] => {
                let result = body.get("result").and_then(Value::as_str).unwrap_or("?");
                println!("operator: {}: the charger says {result}", what.replace('~', " "));
                OcpiResponse::ok(utc)
            }
            _ => OcpiResponse::ok(utc),
        }
    }

    fn take_evse(&mut self, uid: Option<&str>, evse: &Value) {
        let (Some(uid), Some(status)) = (uid, evse.get("status").and_then(Value::as_str)) else {
            return;
        };
        if status == "AVAILABLE" {
            // The next car that stands there is another one.
            self.asked.remove(uid);
        }
        self.evses.insert(uid.to_owned(), status.to_owned());
    }

    fn take_cdr(&mut self, cdr: &Value) -> OcpiResponse {
        let id = cdr.get("id").and_then(Value::as_str).unwrap_or_default();
        let url = format!("{}/cdrs/{id}", self.base);
        if self.cdrs.insert(id.to_owned()) {
            let at = |pointer: &str| cdr.pointer(pointer).and_then(Value::as_f64);
            let number = |pointer: &str| at(pointer).unwrap_or(0.0);
            let (kwh, cost) = (number("/total_energy"), number("/total_cost/excl_vat"));
            let place = cdr.pointer("/cdr_location/evse_uid").and_then(Value::as_str);
            println!(
                "operator: CDR {id}, {}: {kwh:.1} kWh, {cost:.2} EUR before VAT",
                place.unwrap_or("?")
            );
            self.publish.send_modify(|seen| {
                seen.cdrs += 1;
                seen.kwh += kwh;
                seen.cost += cost;
            });
        }
        OcpiResponse::code(201, http::OK, "", self.utc()).with("Location", &url)
    }

    /// What the operator wants of the site at this moment.
    fn decide(&mut self) {
        let running = |uid: &str| {
            self.sessions.iter().find(|(_, session)| {
                let is = |name: &str, text: &str| session[name].as_str() == Some(text);
                is("evse_uid", uid) && is("status", "ACTIVE")
            })
        };
        let plugged = self.evses.get(APP_EVSE).is_some_and(|status| status == "CHARGING");
        if plugged
            && running(APP_EVSE).is_none()
            && let Some(url) = self.endpoint("commands", "RECEIVER")
            && self.asked.insert(APP_EVSE.to_owned())
        {
            let command = self.start_session();
            self.call("START_SESSION", Method::Post, format!("{url}/START_SESSION"), Some(command));
        }
        let (uid, limit, seconds) = LIMITED;
        let limited = running(uid).map(|(id, _)| id.clone());
        if let Some(id) = limited
            && let Some(url) = self.endpoint("chargingprofiles", "RECEIVER")
            && self.asked.insert(id.clone())
        {
            let what = format!("limit of {limit:.0} A for {uid}");
            let profile = json!({
                "response_url": format!("{}/result/limit~of~{limit:.0}~A~for~{uid}", self.base),
                "charging_profile": {
                    "start_date_time": self.utc().to_text(), "duration": seconds,
                    "charging_rate_unit": "A",
                    "charging_profile_period": [{ "start_period": 0, "limit": limit }],
                },
            });
            self.call(&what, Method::Put, format!("{url}/{id}"), Some(profile));
        }
    }

    /// For the driver who has only an app.
    fn start_session(&self) -> Value {
        json!({
            "response_url": format!("{}/result/START_SESSION", self.base),
            "token": {
                "country_code": "FR", "party_id": "OPR",
                "uid": "5f3c9a52-7f0e-4d6c-9b1e-2a4d8e6f0c11", "type": "APP_USER",
                "contract_id": "FR-OPR-C0000017-8", "issuer": "Operator of the demonstration",
                "valid": true, "whitelist": "NEVER", "last_updated": self.utc().to_text(),
            },
            "location_id": "OFFICE-1",
            "evse_uid": APP_EVSE,
            "connector_id": "1",
        })
    }
}
