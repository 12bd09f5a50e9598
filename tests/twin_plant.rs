//! The simulated site, spoken to by a scripted central system of a few lines: what a charger says,
//! keeps and obeys when nothing of Ampgate's own controller is in the way.

use std::collections::BTreeMap;

use ampgate::ground::ids::{ChargePointId, MeterId};
use ampgate::ground::time::{Duration, Instant, Now, Utc};
use ampgate::model::message::EvseStatus;
use ampgate::model::site::Site;
use ampgate::twin::output::PlantOutput;
use ampgate::twin::plant::Plant;
use ampgate::twin::sample::yard;
use ampgate::twin::scenario::{
    Behaviour, CarModel, Fault, MeterMode, Scenario, SmartCharging, Visit,
};
use serde_json::{Value, json};

const DAY: i64 = 1_551_398_400_000; // 2019-03-01T00:00:00Z

/// A central system that accepts everything, at once.
struct Script {
    plant: Plant,
    now: Now,
    heard: Vec<(ChargePointId, Value)>,
    mqtt: Vec<(String, String)>,
    answers: BTreeMap<String, Value>,
    links: BTreeMap<ChargePointId, bool>,
    reachable: bool,
    transactions: i64,
    calls: u64,
}

impl Script {
    fn new(site: &Site, scenario: Scenario) -> Self {
        let now = Now { mono: Instant::START, utc: Some(Utc::from_millis(DAY)) };
        Self {
            plant: Plant::new(site, scenario, now),
            now,
            heard: Vec::new(),
            mqtt: Vec::new(),
            answers: BTreeMap::new(),
            links: BTreeMap::new(),
            reachable: true,
            transactions: 0,
            calls: 0,
        }
    }

    /// Lets time pass, event by event.
    fn pass(&mut self, span: Duration) {
        let until = self.now.mono + span;
        while self.plant.wake_at() <= until {
            let next = self.plant.wake_at().max(self.now.mono);
            self.at(next);
            let mut out = Vec::new();
            self.plant.wake(self.now, &mut out);
            self.serve(out);
        }
        self.at(until);
        let mut out = Vec::new();
        self.plant.wake(self.now, &mut out);
        self.serve(out);
    }

    fn at(&mut self, mono: Instant) {
        let utc = Utc::from_millis(DAY + mono.as_millis());
        self.now = Now { mono, utc: Some(utc) };
    }

    fn serve(&mut self, out: Vec<PlantOutput>) {
        for output in out {
            let mut more = Vec::new();
            match output {
                PlantOutput::Connect(id) if self.reachable => {
                    self.plant.connected(&id, self.now, &mut more);
                    self.links.insert(id, true);
                }
                PlantOutput::Connect(id) => self.plant.disconnected(&id, self.now, &mut more),
                PlantOutput::Close(id) => {
                    self.links.insert(id, false);
                }
                PlantOutput::Mqtt { topic, payload, .. } => {
                    self.mqtt.push((topic, String::from_utf8(payload).expect("text")));
                }
                PlantOutput::Frame { charge_point, text } => {
                    let json: Value = serde_json::from_str(&text).expect("JSON");
                    if let Some(answer) = self.answer(&json) {
                        self.plant.frame(&charge_point, &answer, self.now, &mut more);
                    }
                    self.heard.push((charge_point, json));
                }
            }
            self.serve(more);
        }
    }

    fn answer(&mut self, json: &Value) -> Option<String> {
        let id = json[1].as_str()?.to_owned();
        if json[0] == 3 {
            self.answers.insert(id, json[2].clone());
            return None;
        }
        let time = self.now.utc.expect("always known here").to_text();
        let accepted = json!({"status": "Accepted"});
        let reply = match json[2].as_str()? {
            "BootNotification" => {
                json!({"status": "Accepted", "currentTime": time, "interval": 300})
            }
            "Heartbeat" => json!({ "currentTime": time }),
            "Authorize" | "StopTransaction" => json!({ "idTagInfo": accepted }),
            "StartTransaction" => {
                self.transactions += 1;
                json!({"transactionId": self.transactions, "idTagInfo": accepted})
            }
            _ => json!({}),
        };
        Some(json!([3, id, reply]).to_string())
    }

    /// Calls a charge point; its answer, if there is one at once.
    fn call(&mut self, id: &str, action: &str, payload: Value) -> Option<Value> {
        self.calls += 1;
        let number = format!("c{}", self.calls);
        let text = json!([2, number, action, payload]).to_string();
        let mut out = Vec::new();
        self.plant.frame(&ChargePointId::new(id), &text, self.now, &mut out);
        self.serve(out);
        self.answers.get(&number).cloned()
    }

    fn lease(&mut self, id: &str, transaction: i64, live: f64, safe: f64, ttl: i64) -> Value {
        let start = (self.now.utc.expect("known") - Duration::seconds(60)).to_text();
        let profile = json!({"chargingProfileId": 1, "stackLevel": 1,
            "transactionId": transaction, "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute", "chargingSchedule": {"chargingRateUnit": "A",
            "startSchedule": start, "chargingSchedulePeriod": [
                {"startPeriod": 0, "limit": live}, {"startPeriod": 60 + ttl, "limit": safe}]}});
        let payload = json!({"connectorId": 1, "csChargingProfiles": profile});
        self.call(id, "SetChargingProfile", payload).expect("an answer at once")
    }

    fn default_share(&mut self, id: &str, safe: f64) -> Value {
        let profile = json!({"chargingProfileId": 2, "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute",
            "chargingSchedule": {"chargingRateUnit": "A", "startSchedule": "2019-01-01T00:00:00Z",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": safe}]}});
        let payload = json!({"connectorId": 0, "csChargingProfiles": profile});
        self.call(id, "SetChargingProfile", payload).expect("an answer at once")
    }

    fn said(&self, id: &str, action: &str) -> Vec<&Value> {
        let fits = |(who, json): &&(ChargePointId, Value)| who.as_str() == id && json[2] == action;
        self.heard.iter().filter(fits).map(|(_, json)| &json[3]).collect()
    }
}

fn visit(evse: usize, from_min: i64, to_min: i64, car: CarModel) -> Visit {
    let at = |minutes: i64| Utc::from_millis(DAY) + Duration::minutes(minutes);
    let (token, arrival, departure) = ("TAG1".to_owned(), at(from_min), at(to_min));
    Visit { evse, token, arrival, departure, car, declared: None }
}

fn one_car(behaviour: Behaviour) -> Script {
    let chargers = BTreeMap::from([(ChargePointId::new("CP-1"), behaviour)]);
    let visits = vec![visit(0, 10, 120, CarModel::plain(1, 16.0, 5000.0))];
    Script::new(&yard(), Scenario { visits, chargers, ..Scenario::default() })
}

fn accepted() -> Value {
    json!({"status": "Accepted"})
}

#[test]
fn a_car_charges_from_plug_in_to_full_and_its_energy_is_the_integral() {
    let mut script = one_car(Behaviour::default());
    script.pass(Duration::hours(3));
    assert_eq!(script.said("CP-1", "BootNotification").len(), 1);
    let start = script.said("CP-1", "StartTransaction")[0].clone();
    assert_eq!((&start["meterStart"], &start["idTag"]), (&json!(0), &json!("TAG1")));
    let stop = script.said("CP-1", "StopTransaction")[0].clone();
    assert_eq!((&stop["meterStop"], &stop["transactionId"]), (&json!(5000), &json!(1)));
    assert_eq!(stop["timestamp"], "2019-03-01T02:00:00Z");
    let closed = script.plant.take_closed();
    assert_eq!(closed.len(), 1);
    assert!((closed[0].energy_wh - 5000.0).abs() < 0.1, "{closed:?}");
    let outcome = script.plant.take_outcomes();
    assert!((outcome[0].got_wh - 5000.0).abs() < 0.1);
    let states: Vec<&str> = script
        .said("CP-1", "StatusNotification")
        .iter()
        .filter_map(|told| told["status"].as_str())
        .collect();
    assert_eq!(states, ["Available", "Preparing", "Charging", "SuspendedEV", "Available"]);
}

#[test]
fn a_lease_is_obeyed_and_runs_out_by_itself_when_the_box_is_gone() {
    let mut script = one_car(Behaviour::default());
    script.pass(Duration::minutes(5));
    assert_eq!(script.default_share("CP-1", 6.0), accepted());
    script.pass(Duration::minutes(6));
    assert_eq!(script.plant.state().evses[0].offered, 6.0);
    assert_eq!(script.lease("CP-1", 1, 13.0, 6.0, 180), accepted());
    assert_eq!(script.plant.state().evses[0].current.0, [13.0, 0.0, 0.0]);
    assert_eq!(script.plant.state().flow.all[0].0, [13.0, 0.0, 0.0]);
    script.reachable = false;
    let cp = ChargePointId::new("CP-1");
    script.plant.disconnected(&cp, script.now, &mut Vec::new());
    script.pass(Duration::seconds(178));
    assert_eq!(script.plant.state().evses[0].offered, 13.0);
    script.pass(Duration::seconds(4));
    assert_eq!(script.plant.state().evses[0].offered, 6.0);
}

#[test]
fn the_composite_schedule_shows_both_steps() {
    let mut script = one_car(Behaviour::default());
    script.pass(Duration::minutes(11));
    script.lease("CP-1", 1, 13.0, 6.0, 180);
    let asked = json!({"connectorId": 1, "duration": 300});
    let composite = script.call("CP-1", "GetCompositeSchedule", asked).expect("an answer");
    let periods = &composite["chargingSchedule"]["chargingSchedulePeriod"];
    assert_eq!(periods[0], json!({"startPeriod": 0, "limit": 13.0}));
    assert_eq!(periods[1]["limit"], 6.0);
    let start = periods[1]["startPeriod"].as_i64().expect("a number");
    assert!((178..=181).contains(&start), "{periods}");
}

#[test]
fn what_happened_offline_is_told_afterwards_with_its_own_times() {
    let mut script = one_car(Behaviour::default());
    script.pass(Duration::minutes(5));
    script.reachable = false;
    let cut =
        Fault::CutLink { charge_point: ChargePointId::new("CP-1"), lasts: Duration::hours(1) };
    let mut out = Vec::new();
    script.plant.fault(cut, script.now, &mut out);
    script.serve(out);
    script.pass(Duration::hours(2));
    assert!(script.said("CP-1", "StartTransaction").is_empty());
    script.reachable = true;
    script.pass(Duration::minutes(2));
    let start = script.said("CP-1", "StartTransaction")[0]["timestamp"].clone();
    assert!(start.as_str().expect("text").starts_with("2019-03-01T00:10:"), "{start}");
    assert_eq!(script.said("CP-1", "StopTransaction")[0]["transactionId"], 1);
    let first = script.said("CP-1", "MeterValues")[0];
    assert_eq!(first["transactionId"], 1);
    assert!(first["meterValue"][0]["timestamp"].as_str().expect("text") < "2019-03-01T00:13");
}

#[test]
fn profiles_and_transaction_survive_a_reboot() {
    let mut script = one_car(Behaviour::default());
    script.pass(Duration::minutes(11));
    script.default_share("CP-1", 6.0);
    script.lease("CP-1", 1, 13.0, 6.0, 900);
    let off = Duration::seconds(30);
    let fault = Fault::Reboot { charge_point: ChargePointId::new("CP-1"), off };
    let mut out = Vec::new();
    script.plant.fault(fault, script.now, &mut out);
    script.serve(out);
    assert_eq!(script.plant.state().evses[0].current.0, [0.0; 3]);
    script.pass(Duration::seconds(60));
    assert_eq!(script.said("CP-1", "BootNotification").len(), 2);
    assert_eq!(script.said("CP-1", "StartTransaction").len(), 1);
    assert_eq!(script.plant.state().evses[0].offered, 13.0);
}

#[test]
fn a_charger_that_does_not_resume_stops_for_power_loss() {
    let mut script = one_car(Behaviour { resumes: false, ..Behaviour::default() });
    script.pass(Duration::minutes(11));
    let off = Duration::seconds(30);
    let fault = Fault::Reboot { charge_point: ChargePointId::new("CP-1"), off };
    script.plant.fault(fault, script.now, &mut Vec::new());
    script.pass(Duration::seconds(60));
    assert_eq!(script.said("CP-1", "StopTransaction")[0]["reason"], "PowerLoss");
    assert_eq!(script.plant.state().evses[0].status, EvseStatus::Finishing);
}

#[test]
fn misbehaviour_is_as_ordered() {
    let mut ignores = one_car(Behaviour { ignores_limits: true, ..Behaviour::default() });
    ignores.pass(Duration::minutes(11));
    assert_eq!(ignores.lease("CP-1", 1, 7.0, 6.0, 180), accepted());
    assert_eq!(ignores.plant.state().evses[0].current.0[0], 16.0);

    let smart_charging = SmartCharging::NoTxProfile;
    let mut rejects = one_car(Behaviour { smart_charging, ..Behaviour::default() });
    rejects.pass(Duration::minutes(11));
    assert_eq!(rejects.default_share("CP-1", 6.0), accepted());
    assert_eq!(rejects.lease("CP-1", 1, 7.0, 6.0, 180), json!({"status": "Rejected"}));

    let mut dumb =
        one_car(Behaviour { smart_charging: SmartCharging::None, ..Behaviour::default() });
    dumb.pass(Duration::minutes(11));
    assert_eq!(dumb.lease("CP-1", 1, 7.0, 6.0, 180), json!({"status": "NotSupported"}));

    let mut deaf = one_car(Behaviour { deaf: true, ..Behaviour::default() });
    deaf.pass(Duration::minutes(11));
    assert_eq!(deaf.call("CP-1", "GetConfiguration", json!({})), None);

    let answer_delay = Duration::seconds(3);
    let mut slow = one_car(Behaviour { answer_delay, ..Behaviour::default() });
    slow.pass(Duration::minutes(11));
    assert_eq!(slow.call("CP-1", "GetConfiguration", json!({})), None);
    slow.pass(Duration::seconds(3));
    assert_eq!(slow.answers.len(), 1);
}

#[test]
fn values_hold_what_the_configuration_asks_for() {
    let mut script = one_car(Behaviour::default());
    script.pass(Duration::minutes(1));
    let change = |key: &str, value: &str| json!({"key": key, "value": value});
    let wanted = "Current.Import,Energy.Active.Import.Register";
    for (key, value) in [("MeterValueSampleInterval", "10"), ("MeterValuesSampledData", wanted)] {
        assert_eq!(
            script.call("CP-1", "ChangeConfiguration", change(key, value)),
            Some(accepted())
        );
    }
    script.pass(Duration::minutes(11));
    let values = script.said("CP-1", "MeterValues");
    assert!((9..=12).contains(&values.len()), "{} in two minutes", values.len());
    let sampled = &values[3]["meterValue"][0]["sampledValue"];
    assert_eq!(sampled[0]["value"], "16.00");
    assert_eq!(sampled.as_array().map(Vec::len), Some(2));
}

#[test]
fn a_charger_that_tells_changes_does_not_wait_for_its_period() {
    let tells_changes_after = Some(Duration::seconds(5));
    let mut script = one_car(Behaviour { tells_changes_after, ..Behaviour::default() });
    script.pass(Duration::minutes(11));
    let before = script.said("CP-1", "MeterValues").len();
    script.lease("CP-1", 1, 9.0, 6.0, 180);
    script.pass(Duration::seconds(6));
    assert_eq!(script.said("CP-1", "MeterValues").len(), before + 1);
}

#[test]
fn meters_show_what_flows_unless_they_are_silent() {
    let mut script = one_car(Behaviour::default());
    script.pass(Duration::minutes(12));
    let last = script.mqtt.iter().rev().find(|(topic, _)| topic == "site/grid").expect("told");
    assert_eq!(last.1, "{\"current\":{\"l1\":16,\"l2\":0,\"l3\":0}}");
    let silent = Fault::Meter { meter: MeterId::new("grid"), mode: MeterMode::Silent };
    script.plant.fault(silent, script.now, &mut Vec::new());
    let before = script.mqtt.iter().filter(|(topic, _)| topic == "site/grid").count();
    script.pass(Duration::minutes(1));
    let after = script.mqtt.iter().filter(|(topic, _)| topic == "site/grid").count();
    assert_eq!(before, after);
}
