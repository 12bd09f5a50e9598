//! The engine: all of OCPI between the site and its partners as one pure machine.
//!
//! ```text
//! facts of the site ─▶ gateway (location, sessions, CDRs) ─▶ push ─┐
//! requests          ─▶ serve ─▶ shake │ sender │ receiver ─────────┼─▶ replies, calls, orders,
//! responses         ─▶ shake │ push │ pull │ authorize ────────────┤   rows to keep, events
//! time, people      ─▶ due calls, invitations ─────────────────────┘
//! ```
//! Invariants: what a reply or a call depends on is kept before it leaves; to each partner one
//! pushed or pulled object is under way at a time; no message is queued: what must be told is state
//! (OCPI-3). No token is in any event.

mod authorize;
mod clear;
mod command;
pub mod desk;
mod gateway;
mod grant;
mod link;
mod profile;
mod pull;
mod push;
mod receiver;
mod scsp;
mod sender;
mod serve;
mod shake;
pub mod wanted;
mod withdraw;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::ground::time::{Duration, Instant, Now};
use crate::model::event::EventKind;
use crate::model::partner::{Ocpi, Partner, TokenEncoding};

use crate::ocpi::address;
use crate::ocpi::codec::{self, Speech};
use crate::ocpi::http::{Encoding, Method, OcpiRequest, OcpiResponse, authorization};
use crate::ocpi::wire::credentials::{ClientInfo, Module, Side};
use crate::ocpi::wire::token::Token;

use command::{Commanded, Reserved};
use desk::{Desk, Found, Input, Output, Query, Wish};
use gateway::Gateway;
pub use grant::alias;
use grant::{Asking, Grant};
use link::{Line, Link};
use profile::Profiled;
use push::Due;
use scsp::Scsp;
use shake::Shake;
use withdraw::Withdrawn;

/// Bytes of randomness that a step may need; whoever owns the engine refills them.
pub const ENTROPY_MIN: usize = 512;

/// A call is given up when nothing came back for this long, whatever its socket does.
const CALL_MAX: Duration = Duration::seconds(60);

/// Tokens that are kept; beyond it none is taken in.
const TOKENS_MAX: usize = 50_000;

/// The machine.
pub struct Engine {
    site: Arc<Ocpi>,
    zone: TimeZone,
    links: BTreeMap<String, Link>,
    lines: BTreeMap<String, Line>,
    due: BTreeMap<String, Due>,
    calls: BTreeMap<u64, Call>,
    shakes: BTreeMap<u64, Shake>,
    gateway: Gateway,
    tokens: BTreeMap<String, Token>,
    asking: Vec<Asking>,
    grants: BTreeMap<String, Grant>,
    commanded: BTreeMap<u64, Commanded>,
    reserved: BTreeMap<(String, String), Reserved>,
    profiled: BTreeMap<u64, Profiled>,
    scsp: Scsp,
    /// Limits that are to be taken back.
    clearings: Vec<clear::Clearing>,
    absent: BTreeSet<String>,
    withdrawn: Withdrawn,
    /// What hubs told of their clients, by party.
    clients: BTreeMap<String, ClientInfo>,
    next: u64,
    entropy: VecDeque<u8>,
}

/// A call that is under way.
#[derive(Clone, Debug, PartialEq)]
struct Call {
    partner: String,
    purpose: Purpose,
    sent: Instant,
}

/// What a call is for.
#[derive(Clone, Debug, PartialEq)]
enum Purpose {
    /// A step of a registration.
    Shake(u64),
    /// An object of ours.
    Push(push::Pushed),
    /// A page of theirs.
    Pull(pull::Pulled),
    /// What they say of a token.
    Authorize(u64),
    /// The result of a command or a profile; whether it arrived changes nothing.
    Result,
    /// A profile for a session of theirs.
    Profile(scsp::Sent),
    /// The end of a profile, by the secret of its result.
    Clear(String),
    /// The end of a registration; whether it arrived changes nothing.
    Farewell,
}

impl Engine {
    /// Goes on where the rows left off. `kept` is every value under its name.
    pub fn new(site: Arc<Ocpi>, kept: &BTreeMap<String, Value>) -> Self {
        let zone = TimeZone::get(&site.zone).unwrap_or(TimeZone::UTC);
        let read = |partner: &Partner| {
            let value = kept.get(&Link::key(&partner.id)).cloned();
            let link: Option<Link> = value.and_then(|value| codec::decode(value).ok());
            (partner.id.clone(), link.unwrap_or_default())
        };
        let tokens = kept.range("token/".to_owned().."token0".to_owned());
        let tokens = tokens.filter_map(|(key, value)| {
            Some((key.clone(), codec::decode::<Token>(value.clone()).ok()?))
        });
        let each = |partner: &Partner| (partner.id.clone(), Line::default());
        let clients = kept.range("client/".to_owned().."client0".to_owned());
        let clients = clients.filter_map(|(key, value)| {
            let party = key.strip_prefix("client/")?.to_owned();
            Some((party, codec::decode::<ClientInfo>(value.clone()).ok()?))
        });
        let mut engine = Self {
            links: site.partners.iter().map(read).collect(),
            lines: site.partners.iter().map(each).collect(),
            due: site.partners.iter().map(|one| (one.id.clone(), Due::everything())).collect(),
            gateway: Gateway::new(&site, kept),
            tokens: tokens.collect(),
            scsp: Scsp::new(&site),
            clearings: Vec::new(),
            calls: BTreeMap::new(),
            shakes: BTreeMap::new(),
            asking: Vec::new(),
            grants: BTreeMap::new(),
            commanded: BTreeMap::new(),
            reserved: Reserved::known(kept),
            clients: clients.collect(),
            profiled: BTreeMap::new(),
            absent: BTreeSet::new(),
            withdrawn: withdraw::known(kept),
            next: 0,
            entropy: VecDeque::new(),
            zone,
            site,
        };
        let gone: Vec<String> = engine.gone().collect();
        gone.iter().for_each(|party| engine.mark_absent(party, true));
        engine
    }

    fn gone(&self) -> impl Iterator<Item = String> {
        let gone = self.clients.iter().filter(|(_, info)| receiver::is_gone(info));
        gone.map(|(party, _)| party.clone())
    }

    /// Another configuration: partners that stay go on with their registrations, sessions with
    /// their periods, and everybody is told what has changed of location and tariffs. `kept` is
    /// every value under its name.
    pub fn reconfigure(&mut self, site: Arc<Ocpi>, kept: &BTreeMap<String, Value>) {
        self.zone = TimeZone::get(&site.zone).unwrap_or(TimeZone::UTC);
        let stays = |id: &String| site.partner(id).is_some();
        self.links.retain(|id, _| stays(id));
        self.lines.retain(|id, _| stays(id));
        self.due.retain(|id, _| stays(id));
        for partner in &site.partners {
            let read = || {
                let value = kept.get(&Link::key(&partner.id)).cloned();
                value.and_then(|value| codec::decode(value).ok()).unwrap_or_default()
            };
            self.links.entry(partner.id.clone()).or_insert_with(read);
            self.lines.entry(partner.id.clone()).or_default().pull_due = None;
            let due = self.due.entry(partner.id.clone()).or_insert_with(Due::everything);
            (due.location, due.tariffs) = (true, Some(0));
        }
        self.gateway.reconfigure(&site, kept);
        clear::queue(&mut self.clearings, self.scsp.reconfigure(&site).into_iter());
        self.site = site;
        let gone: Vec<String> = self.gone().collect();
        gone.iter().for_each(|party| self.mark_absent(party, true));
    }

    /// Takes randomness in.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.entropy.extend(bytes);
    }

    /// Whether [`Engine::feed`] is wanted.
    pub fn is_hungry(&self) -> bool {
        self.entropy.len() < ENTROPY_MIN
    }

    /// Takes in what happened and adds everything that follows to `out`.
    pub fn step(
        &mut self,
        now: Now,
        input: Input,
        shelf: &mut dyn FnMut(&Query) -> Found,
        out: &mut Vec<Output>,
    ) {
        let Some(utc) = now.utc else { return self.refuse_all(input, out) };
        let mut desk = Desk { utc, mono: now.mono, out, shelf };
        let desk = &mut desk;
        match input {
            Input::Wake => {}
            Input::Facts(facts) => self.take_facts(desk, &facts),
            Input::Request { number, request } => self.serve(desk, number, &request),
            Input::Response { call, result } => self.answered(desk, call, result),
            Input::Ask { ask, token, evse } => self.ask(desk, ask, &token, evse.as_ref()),
            Input::Wants { session, wanted } => self.note_wanted(desk, session, &wanted),
            Input::Limit { order, evse, limit_a } => self.want_limit(desk, order, &evse, limit_a),
            Input::Done { order, outcome } => self.done(desk, order, &outcome),
            Input::Person { person, wish } => self.person(desk, person, wish),
        }
        self.expire(desk);
        self.run_profiles(desk);
        self.pump(desk);
    }

    /// When [`Input::Wake`] is wanted at the latest.
    pub fn wake_at(&self, now: Instant) -> Instant {
        const IDLE: Duration = Duration::seconds(30);
        let calls = self.calls.values().map(|call| call.sent + CALL_MAX);
        let rests = self.lines.values().filter_map(|line| line.rest_until);
        let pulls = self.lines.values().filter_map(|line| line.pull_due);
        let asks = self.asking.iter().map(|asking| asking.until);
        let all = calls.chain(rests).chain(pulls).chain(asks).filter(|at| now < *at);
        let all = all.chain(self.profile_wake(now)).chain(self.scsp.wake_at(now));
        let all = all.chain(clear::wake_at(&self.clearings, now));
        all.min().unwrap_or(now + IDLE).min(now + IDLE)
    }

    /// Without a calendar nothing can be stamped: partners are told to come again.
    fn refuse_all(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Request { number, .. } => {
                let utc = crate::ground::time::Utc::default();
                let why = "the clock is not set yet";
                let response = OcpiResponse::code(503, crate::ocpi::http::SERVER, why, utc);
                let response = response.with("Retry-After", "30");
                out.push(Output::Reply { number, response });
            }
            Input::Ask { ask, .. } => out.push(Output::Verdict { ask, accepted: false }),
            Input::Person { person, .. } => {
                out.push(Output::Told { person, text: Err("the clock is not set yet".to_owned()) });
            }
            _ => {}
        }
    }

    fn answered(&mut self, desk: &mut Desk<'_>, call: u64, result: Result<OcpiResponse, String>) {
        let Some(Call { partner, purpose, .. }) = self.calls.remove(&call) else { return };
        if let Some(line) = self.lines.get_mut(&partner)
            && line.busy == Some(call)
        {
            line.busy = None;
        }
        match purpose {
            Purpose::Shake(shake) => self.shaken(desk, shake, result),
            Purpose::Push(pushed) => self.pushed(desk, &partner, &pushed, result),
            Purpose::Pull(pulled) => self.pulled(desk, &partner, pulled, result),
            Purpose::Authorize(ask) => self.authorized(desk, &partner, ask, result),
            Purpose::Profile(sent) => self.profile_answered(desk, &partner, &sent, result),
            Purpose::Clear(secret) => self.clear_answered(desk, &partner, &secret, &result),
            Purpose::Result | Purpose::Farewell => {}
        }
    }

    /// Calls whose answer never came.
    fn expire(&mut self, desk: &mut Desk<'_>) {
        let late = |(number, call): (&u64, &Call)| {
            (CALL_MAX <= desk.mono.since(call.sent)).then_some(*number)
        };
        let late: Vec<u64> = self.calls.iter().filter_map(late).collect();
        for call in late {
            self.answered(desk, call, Err("no answer in time".to_owned()));
        }
        self.asks_expire(desk);
        self.commands_expire(desk);
        self.results_expire(desk);
    }

    fn partner(&self, id: &str) -> Option<&Partner> {
        self.site.partner(id)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// An unguessable text of 32 hexadecimal digits; none when no randomness is left.
    fn secret(&mut self) -> Option<String> {
        const BYTES: usize = 16;
        if self.entropy.len() < BYTES {
            return None;
        }
        Some(self.entropy.drain(..BYTES).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Where a module of a partner is, if it is registered and offers it.
    fn endpoint(&self, partner: &str, module: &Module, side: &Side) -> Option<String> {
        let link = self.links.get(partner).filter(|link| link.registered)?;
        link.endpoint(module, side).map(str::to_owned)
    }

    fn speech(&self, partner: &str) -> Speech {
        self.links.get(partner).and_then(|link| link.speech).unwrap_or(Speech::V221)
    }

    /// Makes a call with the token that the partner gave us.
    fn call(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        purpose: Purpose,
        (method, url, body): (Method, String, Option<Value>),
    ) -> Option<u64> {
        let token = self.links.get(partner)?.outbound.clone()?;
        self.call_with(desk, partner, purpose, &token, (method, url, body))
    }

    fn call_with(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        purpose: Purpose,
        token: &str,
        (method, url, body): (Method, String, Option<Value>),
    ) -> Option<u64> {
        address::origin(&url)?;
        let configured = self.partner(partner)?;
        let encoding = match configured.encoding {
            TokenEncoding::Base64 => Encoding::Base64,
            TokenEncoding::Raw => Encoding::Raw,
        };
        let is_routed = !matches!(purpose, Purpose::Shake(_) | Purpose::Farewell)
            && !configured.omit_routing_headers;
        let call = self.number();
        let mut headers = vec![("Authorization".to_owned(), authorization(token, encoding))];
        if is_routed {
            headers.extend(self.routing(partner));
        }
        for name in ["X-Request-ID", "X-Correlation-ID"] {
            headers.push((name.to_owned(), self.secret().unwrap_or_else(|| call.to_string())));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        if !body.is_empty() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        let request = OcpiRequest { method, target: url, headers, body };
        self.calls.insert(call, Call { partner: partner.to_owned(), purpose, sent: desk.mono });
        desk.out.push(Output::Send { call, request });
        Some(call)
    }

    /// From us to the partner's first role.
    fn routing(&self, partner: &str) -> Vec<(String, String)> {
        let mut headers = vec![
            ("OCPI-from-country-code".to_owned(), self.site.country_code.clone()),
            ("OCPI-from-party-id".to_owned(), self.site.party_id.clone()),
        ];
        if let Some(role) = self.links.get(partner).and_then(|link| link.roles.first()) {
            headers.push(("OCPI-to-country-code".to_owned(), role.country_code.to_string()));
            headers.push(("OCPI-to-party-id".to_owned(), role.party_id.to_string()));
        }
        headers
    }

    /// A call to a partner failed: it rests, and people are told once when it lasts.
    fn fail(&mut self, desk: &mut Desk<'_>, partner: &str, trouble: Trouble) {
        const TOLD_AFTER: u32 = 3;
        // A platform may not know its own new token yet.
        const SETTLES: Duration = Duration::seconds(60);
        let Some(line) = self.lines.get_mut(partner) else { return };
        line.fail(desk.mono, trouble.words.clone(), trouble.retry_after);
        line.refuses = trouble.refused;
        let is_fresh = line.since.is_some_and(|since| desk.mono.since(since) < SETTLES);
        if trouble.unauthorized && !is_fresh {
            line.barred = true;
            let text = "refused our token; nothing more is sent until it is registered anew";
            desk.tell(EventKind::PartnerRefused, partner, text);
        } else if TOLD_AFTER <= line.failures && !line.told {
            line.told = true;
            let text = format!("{}; what it must know waits as state", trouble.words);
            desk.tell(EventKind::PartnerDown, partner, text);
        }
    }

    fn well(&mut self, desk: &mut Desk<'_>, partner: &str) {
        let Some(line) = self.lines.get_mut(partner) else { return };
        if line.told {
            desk.tell(EventKind::PartnerUp, partner, "answers again");
        }
        line.well(desk.utc);
    }

    fn person(&mut self, desk: &mut Desk<'_>, person: u64, wish: Wish) {
        let text = match wish {
            Wish::List => Ok(self.list()),
            Wish::Invite { partner } => self.invite(desk, &partner),
            Wish::Remove { partner } => self.remove(desk, &partner),
            Wish::Register { partner, url, token } => {
                match self.register(desk, person, &partner, &url, &token) {
                    Ok(()) => return,
                    Err(why) => Err(why),
                }
            }
            Wish::Rotate { partner } => match self.rotate(desk, person, &partner) {
                Ok(()) => return,
                Err(why) => Err(why),
            },
        };
        desk.out.push(Output::Told { person, text });
    }
}

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    words: String,
    unauthorized: bool,
    retry_after: Option<Duration>,
    /// The partner has read it and said no: the same again will not do.
    refused: bool,
    status: u16,
}

impl Trouble {
    /// The data of a success, or the trouble.
    fn of(result: &Result<OcpiResponse, String>, single: bool) -> Result<Value, Trouble> {
        let response = match result {
            Ok(response) => response,
            Err(words) => {
                return Err(Trouble {
                    words: words.clone(),
                    unauthorized: false,
                    retry_after: None,
                    refused: false,
                    status: 0,
                });
            }
        };
        response.success(single).map_err(|failure| {
            let seconds = response.header("Retry-After").and_then(|text| text.trim().parse().ok());
            let client = failure.code.is_some_and(|code| (2000..3000).contains(&code));
            Trouble {
                unauthorized: matches!(failure.status, 401 | 403),
                retry_after: seconds.map(Duration::seconds),
                refused: client || matches!(failure.status, 400 | 404 | 405 | 409 | 422),
                status: failure.status,
                words: failure.to_string(),
            }
        })
    }
}
