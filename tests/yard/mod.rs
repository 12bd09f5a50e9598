//! A site of three chargers around the whole controller: what goes to them, what they answer, and
//! what people, disk and screen are told. Each suite uses a part of it.
#![allow(dead_code, reason = "each suite uses its own part")]

use ampgate::config;
use ampgate::controller::Controller;
use ampgate::controller::message::{Answer, Input, Order, Outbox, Output};
use ampgate::ground::ids::{ChargePointId, IdToken, LinkId, RequestId};
use ampgate::ground::time::{Duration, Instant, Now, Utc};
use ampgate::model::event::EventKind;
use ampgate::model::record::Remembered;
use ampgate::model::reservation::{ReservationId, ReservationState};
use serde_json::{Value, json};

/// Three chargers of one connector each under a breaker of 40 A, and some tokens.
pub const SITE: &str = r#"
[site]
name = "Yard"
time_zone = "Europe/Paris"

[listen]
ocpp = "127.0.0.1:9000"

[access]
tokens = ["PLAIN"]

[[token]]
id = "FLEET1"
group = "FLEET"

[[token]]
id = "FLEET2"
group = "FLEET"

[[token]]
id = "OLD"
valid_until = "2019-01-01T00:00:00Z"

[[token]]
id = "LOST"
blocked = true

[[token]]
id = "ONLY2"
evses = ["E2"]

[[token]]
id = "SINGLE"
single = true

[[node]]
id = "grid"
rating_a = 40
worst_case_load_a = 0

[[evse]]
id = "E1"
node = "grid"
charge_point = "CP-1"
phases = "L1L2L3"
rated_a = 32
safe_a = 6

[[evse]]
id = "E2"
node = "grid"
charge_point = "CP-2"
phases = "L1L2L3"
rated_a = 32
safe_a = 0

[[evse]]
id = "E3"
node = "grid"
charge_point = "CP-3"
phases = "L1L2L3"
rated_a = 32
safe_a = 6
free = true
"#;

/// A site, its controller, and everything that was caused.
pub struct Yard {
    pub controller: Controller,
    pub now: Now,
    pub out: Outbox,
    pub requests: u64,
    /// Every call that was answered: the number of the charge point and the action.
    pub seen: Vec<(u64, String)>,
}

impl Yard {
    pub fn new(remembered: &Remembered) -> Self {
        Self::of(SITE, remembered)
    }

    /// Nobody is connected yet.
    pub fn empty(text: &str, remembered: &Remembered) -> Self {
        let site = config::parse(text, "yard.toml").expect("a sound site").config.site;
        let now = Now { mono: Instant::START, utc: Utc::parse("2024-05-17T18:00:00Z") };
        let controller = Controller::new(site, remembered, now);
        Self { controller, now, out: Outbox::new(), requests: 0, seen: Vec::new() }
    }

    pub fn link_up(&mut self, point: u64) {
        let charge_point = ChargePointId::new(&format!("CP-{point}"));
        let address = "10.0.0.1".to_owned();
        self.step(Input::LinkUp { charge_point, link: LinkId(point), address });
    }

    pub fn of(text: &str, remembered: &Remembered) -> Self {
        let mut yard = Self::empty(text, remembered);
        for point in 1..=3u64 {
            yard.link_up(point);
            let boot =
                r#"[2,"b","BootNotification",{"chargePointVendor":"A","chargePointModel":"B"}]"#;
            yard.frame(point, boot);
            yard.status(point, "Available");
        }
        yard.settle();
        yard
    }

    pub fn step(&mut self, input: Input) {
        self.controller.step(self.now, input, &mut self.out);
    }

    pub fn frame(&mut self, point: u64, text: &str) {
        let charge_point = ChargePointId::new(&format!("CP-{point}"));
        let text = text.to_owned();
        self.step(Input::Frame { charge_point, link: LinkId(point), text });
    }

    pub fn status(&mut self, point: u64, status: &str) {
        self.frame(
            point,
            &format!(
                r#"[2,"s","StatusNotification",{{"connectorId":1,"errorCode":"NoError","status":"{status}"}}]"#
            ),
        );
    }

    /// Answers every call of the central system with Accepted until there are no more.
    pub fn settle(&mut self) {
        while self.answer_all(&|_, _| None) {}
    }

    /// Answers what is in flight, as told or with Accepted; whether there was anything.
    pub fn answer_all(&mut self, say: &dyn Fn(&str, &Value) -> Option<Value>) -> bool {
        let frames: Vec<(u64, Value)> = self.calls();
        let is_any = !frames.is_empty();
        self.out.retain(|output| !matches!(output, Output::Frame { .. }));
        for (point, call) in frames {
            let action = call[2].as_str().unwrap_or_default();
            self.seen.push((point, action.to_owned()));
            let usual = json!({ "status": "Accepted", "configurationKey": [], "listVersion": 0 });
            let payload = say(action, &call[3]).unwrap_or(usual);
            self.frame(point, &json!([3, call[1], payload]).to_string());
        }
        is_any
    }

    /// Calls that were sent since the last look, with the number of their charge point.
    pub fn calls(&self) -> Vec<(u64, Value)> {
        let call = |output: &Output| match output {
            Output::Frame { link, text, .. } => {
                let frame: Value = serde_json::from_str(text).expect("JSON");
                (frame[0] == 2).then_some((link.0, frame))
            }
            _ => None,
        };
        self.out.iter().filter_map(call).collect()
    }

    pub fn sent(&self, action: &str) -> Vec<Value> {
        let calls = self.calls().into_iter().map(|(_, call)| call);
        calls.filter(|call| call[2] == action).map(|call| call[3].clone()).collect()
    }

    pub fn order(&mut self, order: Order) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.step(Input::Operator { request, order });
        request
    }

    pub fn reply(&self, wanted: RequestId) -> Option<&Answer> {
        self.out.iter().find_map(|output| match output {
            Output::Reply { request, answer } if *request == wanted => Some(answer),
            _ => None,
        })
    }

    /// What the charger said to an order, in words; whether it was accepted.
    pub fn said(&self, request: RequestId) -> (bool, String) {
        match self.reply(request) {
            Some(Answer::Charger { outcome }) => (outcome.accepted, outcome.words.clone()),
            Some(Answer::Refused { why }) => (false, why.clone()),
            other => panic!("{other:?}"),
        }
    }

    pub fn pass(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while self.now.mono < end {
            let wake = self.controller.wake_at(self.now.mono);
            let next = wake.max(self.now.mono + Duration::millis(1)).min(end);
            let passed = next.since(self.now.mono);
            self.now = Now { mono: next, utc: self.now.utc.map(|utc| utc + passed) };
            self.step(Input::Wake);
            self.settle();
        }
    }

    pub fn authorized(&mut self, point: u64, token: &str) -> Value {
        self.out.clear();
        self.frame(point, &format!(r#"[2,"a","Authorize",{{"idTag":"{token}"}}]"#));
        self.result("a")["idTagInfo"].clone()
    }

    pub fn result(&self, id: &str) -> Value {
        let result = |output: &Output| match output {
            Output::Frame { text, .. } => {
                let frame: Value = serde_json::from_str(text).expect("JSON");
                (frame[0] == 3 && frame[1] == id).then(|| frame[2].clone())
            }
            _ => None,
        };
        self.out.iter().find_map(result).expect("an answer")
    }

    pub fn start(&mut self, point: u64, token: &str, more: &str) -> Value {
        let at = self.now.utc.expect("set").to_text();
        let id = format!("start-{token}-{at}");
        self.frame(
            point,
            &format!(
                r#"[2,"{id}","StartTransaction",{{"connectorId":1,"idTag":"{token}","meterStart":0,"timestamp":"{at}"{more}}}]"#
            ),
        );
        self.result(&id)
    }

    pub fn stop(&mut self, point: u64, transaction: &Value, reason: &str) {
        let at = self.now.utc.expect("set").to_text();
        self.frame(
            point,
            &format!(
                r#"[2,"stop-{at}","StopTransaction",{{"transactionId":{transaction},"meterStop":9,"timestamp":"{at}","reason":"{reason}"}}]"#
            ),
        );
    }

    pub fn reserve(&mut self, target: &str, token: &str, minutes: i64) -> RequestId {
        let until = self.now.utc.expect("set") + Duration::minutes(minutes);
        let token = IdToken::new(token);
        self.order(Order::Reserve { target: target.to_owned(), token, group: None, until })
    }

    pub fn reservation(&self, id: i32) -> ReservationState {
        let all = self.controller.remembered().reservations;
        let one = all.into_iter().find(|one| one.id == ReservationId(id));
        one.expect("a reservation").state
    }

    pub fn events(&self, kind: EventKind) -> Vec<String> {
        let event = |output: &Output| match output {
            Output::Event(event) if event.kind == kind => {
                Some(format!("{}: {}", event.subject, event.text))
            }
            _ => None,
        };
        self.out.iter().filter_map(event).collect()
    }
}

/// All is connected and idle.
pub fn yard() -> Yard {
    let mut yard = Yard::new(&Remembered::default());
    yard.pass(Duration::seconds(5));
    yard.out.clear();
    yard
}

/// A car that draws so much at E1, told for some time, a reading every ten seconds.
pub fn draw(yard: &mut Yard, amps: i64, seconds: i64) {
    for _ in 0..seconds / 10 {
        yard.pass(Duration::seconds(10));
        let at = yard.now.utc.expect("set").to_text();
        yard.frame(
            1,
            &format!(
                r#"[2,"m{at}","MeterValues",{{"connectorId":1,"meterValue":[{{"timestamp":"{at}","sampledValue":[{{"value":"{amps}","measurand":"Current.Import","unit":"A"}}]}}]}}]"#
            ),
        );
        yard.settle();
    }
}
