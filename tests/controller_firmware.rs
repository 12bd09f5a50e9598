//! Firmware campaigns through the whole controller: who is asked when, and what people are told.

use ampgate::config;
use ampgate::controller::Controller;
use ampgate::controller::message::{Answer, Input, Order, Outbox, Output};
use ampgate::ground::ids::{ChargePointId, LinkId, RequestId};
use ampgate::ground::time::{Duration, Instant, Now, Utc};
use ampgate::model::ask::Signed;
use ampgate::model::campaign::{CampaignId, CampaignState};
use ampgate::model::record::Remembered;
use serde_json::{Value, json};

const FIRMWARE: &str = "http://10.0.0.1/fw.bin";

/// Two boards; `a` has the first two chargers, `b` the third.
fn site() -> String {
    let mut text = r#"
[site]
name = "Yard"
time_zone = "Europe/Paris"
[listen]
ocpp = "127.0.0.1:9000"
[access]
anyone = true
[[node]]
id = "grid"
rating_a = 100
worst_case_load_a = 0
[[node]]
id = "a"
parent = "grid"
rating_a = 40
[[node]]
id = "b"
parent = "grid"
rating_a = 40
"#
    .to_owned();
    for (number, node) in [(1, "a"), (2, "a"), (3, "b")] {
        text.push_str(&format!(
            "[[evse]]\nid = \"E{number}\"\nnode = \"{node}\"\ncharge_point = \"CP-{number}\"\n\
             phases = \"L1L2L3\"\nrated_a = 16\nsafe_a = 0\n"
        ));
    }
    text
}

struct Yard {
    controller: Controller,
    now: Now,
    out: Outbox,
    /// Number of the charge point and payload of every question for an update.
    asked: Vec<(u64, Value)>,
    /// What the chargers answer to it; nothing means that they do not.
    answer: Option<Value>,
}

impl Yard {
    fn new(remembered: &Remembered, now: Now) -> Self {
        let site = config::parse(&site(), "yard.toml").expect("a sound site").config.site;
        let controller = Controller::new(site, remembered, now);
        let answer = Some(json!({}));
        let mut yard = Self { controller, now, out: Outbox::new(), asked: Vec::new(), answer };
        for point in 1..=3 {
            yard.comes(point, "1.0");
        }
        yard.pass(Duration::seconds(30));
        yard
    }

    fn fresh() -> Self {
        let utc = Utc::parse("2024-05-17T18:00:00Z");
        Self::new(&Remembered::default(), Now { mono: Instant::START, utc })
    }

    /// The box is switched off and on again.
    fn restarted(self) -> Self {
        Self::new(&self.controller.remembered(), self.now)
    }

    fn step(&mut self, input: Input) {
        self.controller.step(self.now, input, &mut self.out);
        self.settle();
    }

    fn comes(&mut self, point: u64, firmware: &str) {
        let charge_point = ChargePointId::new(&format!("CP-{point}"));
        let address = "10.0.0.1".to_owned();
        self.step(Input::LinkUp { charge_point, link: LinkId(point), address });
        let boot = json!({
            "chargePointVendor": "A", "chargePointModel": "B", "firmwareVersion": firmware
        });
        self.says(point, "BootNotification", &boot);
        self.status(point, "Available");
    }

    fn says(&mut self, point: u64, action: &str, payload: &Value) {
        let charge_point = ChargePointId::new(&format!("CP-{point}"));
        let id = format!("{action}-{}", self.now.mono.as_millis());
        let text = json!([2, id, action, payload]).to_string();
        self.step(Input::Frame { charge_point, link: LinkId(point), text });
        self.pass(Duration::seconds(1));
    }

    fn status(&mut self, point: u64, status: &str) {
        let payload = json!({ "connectorId": 1, "errorCode": "NoError", "status": status });
        self.says(point, "StatusNotification", &payload);
    }

    fn progress(&mut self, point: u64, status: &str) {
        self.says(point, "FirmwareStatusNotification", &json!({ "status": status }));
    }

    /// Answers every call of the central system until there are no more.
    fn settle(&mut self) {
        loop {
            let outputs = std::mem::take(&mut self.out);
            let frames = outputs.into_iter().filter_map(|output| match output {
                Output::Frame { link, text, .. } => {
                    let frame: Value = serde_json::from_str(&text).expect("JSON");
                    (frame[0] == 2).then_some((link.0, frame))
                }
                Output::Reply { answer: Answer::Refused { why }, .. } => panic!("{why}"),
                _ => None,
            });
            let frames: Vec<(u64, Value)> = frames.collect();
            if frames.is_empty() {
                return;
            }
            for (point, call) in frames {
                let usual = json!({ "status": "Accepted", "configurationKey": [] });
                let action = call[2].as_str().unwrap_or_default();
                let answer = match action.ends_with("UpdateFirmware") {
                    false => Some(usual),
                    true => {
                        self.asked.push((point, call[3].clone()));
                        self.answer.clone()
                    }
                };
                let Some(answer) = answer else { continue };
                let charge_point = ChargePointId::new(&format!("CP-{point}"));
                let text = json!([3, call[1], answer]).to_string();
                let frame = Input::Frame { charge_point, link: LinkId(point), text };
                self.controller.step(self.now, frame, &mut self.out);
            }
        }
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while self.now.mono < end {
            let wake = self.controller.wake_at(self.now.mono);
            let next = wake.max(self.now.mono + Duration::millis(1)).min(end);
            let passed = next.since(self.now.mono);
            self.now = Now { mono: next, utc: self.now.utc.map(|utc| utc + passed) };
            self.step(Input::Wake);
        }
    }

    fn begin(&mut self, signed: Option<Signed>, targets: &[&str]) {
        let targets = targets.iter().map(|target| (*target).to_owned()).collect();
        let order = Order::Campaign { location: FIRMWARE.to_owned(), signed, targets };
        self.step(Input::Operator { request: RequestId(1), order });
        self.pass(Duration::seconds(15));
    }

    fn asked(&self) -> Vec<u64> {
        self.asked.iter().map(|(point, _)| *point).collect()
    }

    /// State and words of a charger of the newest campaign.
    fn told(&self, point: u64) -> String {
        let view = self.controller.view(self.now);
        let campaign = view.campaigns.first().expect("a campaign").clone();
        let id = format!("CP-{point}");
        let charger = campaign.chargers.into_iter().find(|charger| charger.charge_point == id);
        charger.map(|charger| format!("{}: {}", charger.state, charger.words)).expect("it")
    }
}

#[test]
fn never_two_under_one_breaker_and_only_without_a_car() {
    let mut yard = Yard::fresh();
    yard.status(3, "Preparing");
    yard.begin(None, &[]);
    assert_eq!(yard.asked(), [1], "one of board a; a car is at the one of board b");
    assert_eq!(yard.asked[0].1["location"], FIRMWARE);
    assert_eq!(yard.told(2), "waiting: CP-1 under the same breaker is being updated");
    assert_eq!(yard.told(3), "waiting: there is a car at E3");
    yard.status(3, "Available");
    yard.pass(Duration::seconds(15));
    assert_eq!(yard.asked(), [1, 3], "another breaker does not wait");
    yard.progress(1, "Downloading");
    assert_eq!(yard.told(1), "running: Downloading");
    yard.progress(1, "Installed");
    yard.pass(Duration::seconds(15));
    assert_eq!(yard.asked(), [1, 3, 2]);
    // One that does not say so comes back with another version.
    yard.comes(2, "1.1");
    assert_eq!(yard.told(2), "done: 1.0 became 1.1");
    yard.comes(3, "1.0");
    assert!(yard.told(3).starts_with("running"), "the same version proves nothing");
}

#[test]
fn a_restart_of_the_box_goes_on_where_it_was_and_asks_nobody_twice() {
    let mut yard = Yard::fresh();
    yard.begin(None, &["CP-1", "E2"]);
    assert_eq!(yard.asked(), [1]);
    let mut yard = yard.restarted();
    yard.pass(Duration::minutes(5));
    assert!(yard.asked().is_empty(), "what was begun is known");
    yard.progress(1, "Installed");
    yard.pass(Duration::seconds(15));
    assert_eq!(yard.asked(), [2]);
    yard.progress(2, "Installed");
    let campaign = yard.controller.remembered().campaigns.remove(0);
    assert!(campaign.is_over());
    assert_eq!(yard.restarted().controller.remembered().campaigns[0], campaign);
}

#[test]
fn a_failure_is_told_in_words_and_the_next_has_its_turn() {
    let mut yard = Yard::fresh();
    yard.begin(None, &["CP-1", "CP-2"]);
    yard.progress(1, "InstallationFailed");
    assert_eq!(yard.told(1), "failed: the charger says InstallationFailed");
    yard.pass(Duration::seconds(15));
    assert_eq!(yard.asked(), [1, 2]);
    yard.pass(Duration::hours(3) + Duration::minutes(1));
    assert!(yard.told(2).starts_with("failed: nothing was heard of it for"), "{}", yard.told(2));
}

#[test]
fn a_signed_update_has_certificate_and_signature_and_a_refusal_its_reason() {
    let mut yard = Yard::fresh();
    yard.answer = Some(json!({ "status": "InvalidCertificate" }));
    let signed = Signed {
        request: 0,
        install_at: None,
        certificate: "-----BEGIN CERTIFICATE-----".to_owned(),
        signature: "c2ln".to_owned(),
    };
    yard.begin(Some(signed), &["CP-1"]);
    let (_, payload) = yard.asked[0].clone();
    assert_eq!(payload["requestId"], 1, "the number of the campaign");
    assert_eq!(payload["firmware"]["signature"], "c2ln");
    assert_eq!(yard.told(1), "failed: refused: the certificate is not valid");
}

#[test]
fn a_charger_that_does_not_answer_is_asked_again_and_then_given_up() {
    let mut yard = Yard::fresh();
    yard.answer = None;
    yard.begin(None, &["CP-1"]);
    for _ in 0..8 {
        yard.pass(Duration::minutes(2));
        // It was cut off because it seemed deaf, and is back.
        yard.comes(1, "1.0");
    }
    assert_eq!(yard.asked(), [1, 1, 1]);
    assert!(yard.told(1).starts_with("failed: "), "{}", yard.told(1));
}

#[test]
fn what_was_called_off_does_not_begin_and_what_runs_goes_on() {
    let mut yard = Yard::fresh();
    yard.begin(None, &["CP-1", "CP-2"]);
    let order = Order::CancelCampaign { id: CampaignId(1) };
    yard.step(Input::Operator { request: RequestId(2), order });
    yard.progress(1, "Installed");
    yard.pass(Duration::minutes(5));
    assert_eq!(yard.asked(), [1]);
    let campaign = yard.controller.remembered().campaigns.remove(0);
    let states: Vec<CampaignState> =
        campaign.chargers.into_iter().map(|charger| charger.state).collect();
    assert!(matches!(states[0], CampaignState::Done { .. }));
    assert_eq!(states[1], CampaignState::Cancelled);
}
