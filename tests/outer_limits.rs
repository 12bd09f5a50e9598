//! Limits from outside, through the whole loop in virtual time: they bind, are named, end by
//! themselves, and never raise anything. And what needs the time of day waits for it.

use ampgate::config;
use ampgate::controller::Controller;
use ampgate::controller::message::{Answer, Input, Order, Outbox, Output};
use ampgate::ground::ids::{ChargePointId, EvseId, LinkId};
use ampgate::ground::time::{Duration, Instant, Now, Utc};
use ampgate::ground::units::{Amps, Watts};
use ampgate::model::event::EventKind;
use ampgate::model::limit::LimitOf;
use ampgate::model::record::Remembered;
use ampgate::twin::Twin;
use ampgate::twin::sample::yard;
use ampgate::twin::scenario::{CarModel, Scenario, Visit};
use serde_json::{Value, json};

const DAY: Utc = Utc::from_millis(1_551_398_400_000); // 2019-03-01T00:00:00Z

/// Two cars that charge with all that the connection leaves.
fn charging() -> Twin {
    let visit = |evse: usize| Visit {
        evse,
        token: format!("TAG{evse}"),
        arrival: DAY + Duration::minutes(5),
        departure: DAY + Duration::minutes(600),
        car: CarModel::plain(1, 32.0, 60_000.0),
        declared: None,
    };
    let scenario = Scenario { seed: 7, visits: vec![visit(0), visit(1)], ..Scenario::default() };
    let mut twin = Twin::new(yard(), scenario, DAY);
    twin.run_for(Duration::minutes(20));
    assert!(offered(&twin).iter().take(2).all(|amps| 10.0 < *amps), "{:?}", offered(&twin));
    twin
}

fn offered(twin: &Twin) -> Vec<f64> {
    twin.plant().state().evses.iter().map(|evse| evse.offered).collect()
}

fn set(twin: &mut Twin, of: LimitOf, minutes: i64) -> Option<Answer> {
    let lasts = Duration::minutes(minutes);
    twin.order(Order::OuterLimit { of, source: "MQTT".to_owned(), lasts })
}

fn told(twin: &Twin) -> Vec<String> {
    let ours = twin.events().iter().filter(|event| event.kind == EventKind::OuterLimit);
    ours.map(|event| event.text.clone()).collect()
}

#[test]
fn a_limit_of_an_evse_binds_is_named_and_ends_by_itself() {
    let mut twin = charging();
    let evse = EvseId::new(&twin.view().expect("the box is up").evses[0].id);
    let before = offered(&twin);
    let of = LimitOf::Evse { evse: evse.clone(), limit_a: Some(Amps::new(8)) };
    assert_eq!(set(&mut twin, of, 30), Some(Answer::Done));
    twin.run_for(Duration::minutes(5));
    assert_eq!(offered(&twin)[0], 8.0);
    let view = twin.view().expect("the box is up");
    assert_eq!(view.evses[0].reason, "limit of 8.0 A by MQTT until 01:50");
    assert_eq!(view.limits.len(), 1);
    twin.run_for(Duration::minutes(30));
    assert!(before[0] - 4.0 < offered(&twin)[0], "{:?}", offered(&twin));
    assert!(twin.view().expect("the box is up").limits.is_empty());
    let told = told(&twin);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].ends_with("is over"), "{told:?}");
    assert!(twin.checker().is_clean());
}

#[test]
fn a_limit_of_all_chargers_is_shared_and_can_be_taken_back() {
    let mut twin = charging();
    let of = |limit_w| LimitOf::Charging { limit_w };
    // 20 A on one phase for all: less than both draw, and a third EVSE keeps its safe share.
    set(&mut twin, of(Some(Watts::new(230 * 40))), 60);
    twin.run_for(Duration::minutes(5));
    let view = twin.view().expect("the box is up");
    let may: f64 = view.evses.iter().flat_map(|evse| evse.leased_a.0.map(Amps::as_f64)).sum();
    assert!(may <= 40.001, "{may}");
    let names = |text: &str| text.contains("limit of 9.2 kW by MQTT until");
    assert!(view.evses.iter().any(|evse| names(&evse.reason)), "{:?}", view.evses[0].reason);
    set(&mut twin, of(None), 60);
    twin.run_for(Duration::minutes(5));
    assert!(40.0 < offered(&twin).iter().sum::<f64>(), "{:?}", offered(&twin));
    assert!(told(&twin).iter().any(|text| text == "MQTT has taken its limit back"));
    assert!(twin.checker().is_clean());
}

#[test]
fn a_limit_never_raises_and_strangers_are_refused() {
    let mut twin = charging();
    let before = offered(&twin);
    set(&mut twin, LimitOf::Charging { limit_w: Some(Watts::new(1_000_000)) }, 60);
    twin.run_for(Duration::minutes(2));
    assert_eq!(offered(&twin), before);
    let evse = EvseId::new("nowhere");
    let refused = set(&mut twin, LimitOf::Evse { evse, limit_a: Some(Amps::new(1)) }, 1);
    assert!(matches!(refused, Some(Answer::Refused { .. })), "{refused:?}");
}

#[test]
fn a_power_cut_forgets_no_limit_and_nothing_is_granted_above_it() {
    let mut twin = charging();
    set(&mut twin, LimitOf::Charging { limit_w: Some(Watts::new(230 * 40)) }, 60);
    twin.run_for(Duration::minutes(5));
    let before = twin.view().expect("the box is up").limits.clone();
    twin.restart(Duration::minutes(1));
    let mut back = 0;
    for _ in 0..120 {
        twin.run_for(Duration::seconds(10));
        let Some(view) = twin.view() else { continue };
        back += 1;
        assert_eq!(view.limits, before, "in force at once, with its own end");
        let most = offered(&twin).iter().sum::<f64>();
        assert!(most <= 40.001, "{most}");
    }
    assert!(100 < back, "it is back");
    twin.run_for(Duration::minutes(45));
    assert!(40.0 < offered(&twin).iter().sum::<f64>(), "it is over: {:?}", offered(&twin));
    assert!(twin.checker().is_clean());
}

/// A site that plans, with one car, before and after its clock is trusted.
struct Box {
    controller: Controller,
    now: Now,
    out: Outbox,
}

impl Box {
    fn step(&mut self, input: Input) {
        let mut out = Outbox::new();
        self.controller.step(self.now, input, &mut out);
        let calls: Vec<Value> = out
            .iter()
            .filter_map(|output| match output {
                Output::Frame { text, .. } => serde_json::from_str(text).ok(),
                _ => None,
            })
            .filter(|frame: &Value| frame[0] == 2)
            .collect();
        self.out.extend(out);
        for call in calls {
            let usual = json!({ "status": "Accepted", "configurationKey": [], "listVersion": 0 });
            self.frame(&json!([3, call[1], usual]).to_string());
        }
    }

    fn frame(&mut self, text: &str) {
        let charge_point = ChargePointId::new("CP-09");
        self.step(Input::Frame { charge_point, link: LinkId(1), text: text.to_owned() });
    }

    fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now.mono = self.now.mono + Duration::seconds(1);
            self.now.utc = self.now.utc.map(|utc| utc + Duration::seconds(1));
            self.step(Input::Wake);
        }
    }

    fn solves(&self) -> bool {
        self.out.iter().any(|output| matches!(output, Output::Solve { .. }))
    }
}

#[test]
fn nothing_is_planned_by_a_clock_that_is_not_trusted() {
    let text = include_str!("../config/office.toml");
    let site = config::parse(text, "office.toml").expect("an example of ours").config.site;
    let now = Now { mono: Instant::START, utc: None };
    let controller = Controller::new(site, &Remembered::default(), now);
    let mut here = Box { controller, now, out: Outbox::new() };
    let charge_point = ChargePointId::new("CP-09");
    here.step(Input::LinkUp { charge_point, link: LinkId(1), address: "10.0.0.1".to_owned() });
    here.frame(r#"[2,"b","BootNotification",{"chargePointVendor":"A","chargePointModel":"B"}]"#);
    here.frame(
        r#"[2,"s","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Charging"}]"#,
    );
    let start = json!([2, "t", "StartTransaction", {
        "connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2019-03-01T08:00:00Z",
    }]);
    here.frame(&start.to_string());
    here.pass(120);
    assert!(!here.solves(), "no plan without the time of day");
    let view = here.controller.view(here.now);
    assert!(view.plan.is_none());
    assert!(view.degraded.iter().any(|words| words == "the clock is not trusted yet"));
    assert!(view.evses.iter().any(|evse| evse.limit_a.is_some()), "the car charges meanwhile");
    here.now.utc = Some(DAY + Duration::hours(8));
    here.pass(5);
    assert!(here.solves(), "and one as soon as it is trusted");
    let events = here.out.iter().filter_map(|output| match output {
        Output::Event(event) => Some(event.kind),
        _ => None,
    });
    assert!(events.into_iter().any(|kind| kind == EventKind::ClockTrusted));
}
