//! A box without a network: the engine, what it keeps, and a partner that is scripted line by line.

use std::collections::BTreeMap;
use std::sync::Arc;

use ampgate::config;
use ampgate::ground::ids::{EvseId, IdToken};
use ampgate::ground::time::{Duration, Instant, Now, Utc};
use ampgate::model::message::EvseStatus;
use ampgate::model::partner::Ocpi;
use ampgate::ocpi::engine::Engine;
use ampgate::ocpi::engine::desk::{
    Change, EvseFact, Facts, Found, Input, Output, Query, Row, RowKind, SessionFact, Wish,
};
use ampgate::ocpi::http::{Encoding, Method, OcpiRequest, OcpiResponse, authorization};
use serde_json::{Value, json};

/// A call that the engine made.
#[derive(Clone, Debug)]
pub struct Made {
    /// To answer it by.
    pub call: u64,
    /// What it asks.
    pub request: OcpiRequest,
}

impl Made {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.request.body).unwrap_or(Value::Null)
    }

    /// `METHOD last/two/segments`, for comparisons.
    pub fn line(&self) -> String {
        let path = self.request.target.split('?').next().unwrap_or_default();
        let path = path.trim_start_matches("https://partner.example");
        format!("{} {path}", self.request.method.word())
    }
}

/// The box.
pub struct OcpiBox {
    /// The engine under test.
    pub engine: Engine,
    config: Arc<Ocpi>,
    values: BTreeMap<String, Value>,
    rows: BTreeMap<(RowKind, u64), Row>,
    /// Calls that wait for an answer, oldest first.
    pub calls: Vec<Made>,
    /// Everything else that the engine caused, in order.
    pub caused: Vec<Output>,
    /// Seconds since the beginning.
    pub elapsed: Duration,
    next: u64,
    seed: u8,
}

/// When every test begins.
pub const BEGIN: &str = "2024-05-14T07:00:00Z";

/// The start of a calendar that tests count from.
pub fn begin() -> Utc {
    Utc::parse(BEGIN).unwrap()
}

/// A partner's endpoints.
pub fn endpoints(version: &str) -> Value {
    let base = format!("https://partner.example/{version}");
    let mut all = Vec::new();
    let modules = [
        ("credentials", "SENDER"),
        ("locations", "RECEIVER"),
        ("sessions", "RECEIVER"),
        ("cdrs", "RECEIVER"),
        ("tariffs", "RECEIVER"),
        ("tokens", "SENDER"),
        ("chargingprofiles", "RECEIVER"),
        ("chargingprofiles", "SENDER"),
        ("sessions", "SENDER"),
    ];
    for (module, role) in modules {
        let side = role.to_lowercase();
        all.push(
            json!({ "identifier": module, "role": role, "url": format!("{base}/{side}/{module}") }),
        );
    }
    json!({ "version": version, "endpoints": all })
}

/// A partner's credentials.
pub fn credentials(token: &str) -> Value {
    json!({
        "token": token, "url": "https://partner.example/versions",
        "roles": [{ "role": "EMSP", "party_id": "TNM", "country_code": "NL",
                    "business_details": { "name": "Partner" } }],
    })
}

impl OcpiBox {
    /// With the site of a shipped configuration.
    pub fn new(file: &str) -> Self {
        let path = format!("{}/config/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let mut ocpi = config::parse(&text, file).unwrap().config.ocpi.unwrap();
        ocpi.public_url = "https://box.example".to_owned();
        let config = Arc::new(ocpi);
        Self {
            engine: Engine::new(config.clone(), &BTreeMap::new()),
            config,
            values: BTreeMap::new(),
            rows: BTreeMap::new(),
            calls: Vec::new(),
            caused: Vec::new(),
            elapsed: Duration::ZERO,
            next: 0,
            seed: 0,
        }
    }

    /// The process dies and comes back with what is on disk. Calls under way get no answer.
    pub fn restart(&mut self) {
        let mut kept = self.values.clone();
        for (kind, number) in self.rows.keys() {
            kept.insert(format!("last/{}", kind.word()), json!(number));
        }
        self.engine = Engine::new(self.config.clone(), &kept);
        self.calls.clear();
        self.caused.clear();
    }

    /// Another configuration comes into force.
    pub fn reconfigure(&mut self, change: impl Fn(&mut Ocpi)) {
        let mut ocpi = (*self.config).clone();
        change(&mut ocpi);
        self.config = Arc::new(ocpi);
        self.engine.reconfigure(self.config.clone(), &self.values);
    }

    /// Now.
    pub fn utc(&self) -> Utc {
        begin() + self.elapsed
    }

    /// Something happens.
    pub fn step(&mut self, input: Input) {
        while self.engine.is_hungry() {
            self.seed = self.seed.wrapping_add(1);
            let seed = self.seed;
            let bytes: Vec<u8> =
                (0..=255u8).map(|byte| byte.wrapping_mul(seed | 1) ^ seed).collect();
            self.engine.feed(&bytes);
        }
        let now = Now { mono: Instant::START + self.elapsed, utc: Some(self.utc()) };
        let mut out = Vec::new();
        let rows = &self.rows;
        let mut shelf = |query: &Query| {
            let mut found = Found::default();
            for ((kind, number), row) in rows {
                if *kind != query.kind || !query.fits(*number, &row.id, &row.owner, row.updated) {
                    continue;
                }
                found.total += 1;
                if query.skip < found.total && found.rows.len() < query.limit {
                    found.rows.push((*number, row.value.clone()));
                }
            }
            found
        };
        self.engine.step(now, input, &mut shelf, &mut out);
        for output in out {
            match output {
                Output::Keep(Change::Put { key, value }) => {
                    self.values.insert(key, value);
                }
                Output::Keep(Change::Drop { key }) => {
                    self.values.remove(&key);
                }
                Output::Keep(Change::Row(row)) => {
                    self.rows.insert((row.kind, row.number), row);
                }
                Output::Send { call, request } => self.calls.push(Made { call, request }),
                other => self.caused.push(other),
            }
        }
    }

    /// Time passes.
    pub fn wait(&mut self, span: Duration) {
        self.elapsed += span;
        self.step(Input::Wake);
    }

    /// A partner asks; the answer at once, if there is one.
    pub fn ask(&mut self, token: &str, method: Method, path: &str, body: Value) -> OcpiResponse {
        let number = self.request(token, method, path, body);
        self.reply(number).expect("an answer at once")
    }

    /// A partner asks; the number to find the answer by.
    pub fn request(&mut self, token: &str, method: Method, path: &str, body: Value) -> u64 {
        self.next += 1;
        let number = self.next;
        let header = authorization(token, Encoding::Base64);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = OcpiRequest {
            method,
            target: path.to_owned(),
            headers: vec![("Authorization".to_owned(), header)],
            body,
        };
        self.step(Input::Request { number, request });
        number
    }

    /// The answer to a request, if it was given.
    pub fn reply(&mut self, number: u64) -> Option<OcpiResponse> {
        let is_it = |output: &Output| match output {
            Output::Reply { number: known, .. } => *known == number,
            _ => false,
        };
        let at = self.caused.iter().position(is_it)?;
        match self.caused.remove(at) {
            Output::Reply { response, .. } => Some(response),
            _ => None,
        }
    }

    /// The oldest call that waits.
    pub fn made(&mut self) -> Made {
        assert!(!self.calls.is_empty(), "no call waits");
        self.calls.remove(0)
    }

    /// The oldest call to a URL that ends so.
    pub fn made_to(&mut self, end: &str) -> Made {
        let at = self.calls.iter().position(|made| made.request.target.ends_with(end));
        self.calls.remove(at.expect("a call to there"))
    }

    /// Answers a call.
    pub fn answer(&mut self, made: &Made, data: Value) {
        let response = OcpiResponse::data(data, self.utc());
        self.step(Input::Response { call: made.call, result: Ok(response) });
    }

    /// Answers a call with a status.
    pub fn answer_code(&mut self, made: &Made, status: u16, code: i64) {
        let response = OcpiResponse::code(status, code, "scripted", self.utc());
        self.step(Input::Response { call: made.call, result: Ok(response) });
    }

    /// A call comes to nothing.
    pub fn lose(&mut self, made: &Made) {
        let result = Err("connection refused".to_owned());
        self.step(Input::Response { call: made.call, result });
    }

    /// Takes every call that comes, well, until there are none; what they were.
    pub fn drain(&mut self) -> Vec<Made> {
        let mut all = Vec::new();
        while !self.calls.is_empty() {
            let made = self.made();
            let data = if made.request.method == Method::Get { json!([]) } else { Value::Null };
            self.answer(&made, data);
            all.push(made);
            assert!(all.len() < 500, "calls without end");
        }
        all
    }

    /// What a person was told last.
    pub fn told(&mut self, wish: Wish) -> Result<String, String> {
        self.next += 1;
        let person = self.next;
        self.step(Input::Person { person, wish });
        self.outcome(person).expect("an answer at once")
    }

    /// What a person was told.
    pub fn outcome(&mut self, person: u64) -> Option<Result<String, String>> {
        self.caused.iter().find_map(|output| match output {
            Output::Told { person: known, text } if *known == person => Some(text.clone()),
            _ => None,
        })
    }

    /// An invited partner registers: what it is to call us with.
    pub fn register(&mut self, version: &str) -> String {
        let text = self.told(Wish::Invite { partner: "operator".to_owned() }).unwrap();
        let token = text.split_whitespace().nth(2).unwrap().to_owned();
        let path = format!("/ocpi/{version}/credentials");
        let number = self.request(&token, Method::Post, &path, credentials("token-b"));
        self.answer_versions(version);
        let made = self.made_to(version);
        self.answer(&made, endpoints(version));
        let response = self.reply(number).expect("registered");
        let data = response.success(true).unwrap();
        data["token"].as_str().unwrap().to_owned()
    }

    /// Answers the call for versions.
    pub fn answer_versions(&mut self, version: &str) {
        let made = self.made_to("partner.example/versions");
        assert_eq!(made.request.method, Method::Get);
        let url = format!("https://partner.example/{version}");
        self.answer(&made, json!([{ "version": version, "url": url }]));
    }
}

/// An EVSE of the office as it is.
pub fn evse(name: &str, status: EvseStatus) -> EvseFact {
    EvseFact { evse: EvseId::new(name), online: true, status, limit_a: Some(16.0) }
}

/// A session of the office as it is.
pub fn session(number: u64, evse: &str, energy_wh: i64, ended: Option<Utc>) -> SessionFact {
    SessionFact {
        session: number,
        evse: EvseId::new(evse),
        token: IdToken::new("04A1B2C3"),
        started: begin(),
        ended,
        energy_wh,
    }
}

/// The site as it is.
pub fn facts(evses: Vec<EvseFact>, sessions: Vec<SessionFact>) -> Input {
    Input::Facts(Facts { evses, sessions })
}
