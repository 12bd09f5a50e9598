//! SCSP mode: sessions of a partner's chargers reach the site, and limits of the site reach the
//! partner, whose results come in time, late, never, as refusals or as "too often".

use ampgate::ground::ids::EvseId;
use ampgate::ground::time::{Duration, Utc};
use ampgate::ocpi::charger::{Charger, Wiring};
use ampgate::ocpi::engine::desk::{Foreign, ForeignEvent, Input, LimitAnswer, Output};
use ampgate::ocpi::http::Method;
use serde_json::{Value, json};

use crate::site::{Made, OcpiBox};

const NONE: Value = Value::Null;
const PATH: &str = "/ocpi/2.2.1/receiver/sessions/NL/TNM/S1";

fn registered() -> (OcpiBox, String) {
    let mut site = OcpiBox::new("garage.toml");
    let token = site.register("2.2.1");
    site.drain();
    (site, token)
}

fn session(kwh: f64, status: &str, at: &str) -> Value {
    json!({
        "country_code": "NL", "party_id": "TNM", "id": "S1", "start_date_time": "2024-05-14T06:55:00Z",
        "kwh": kwh, "cdr_token": { "uid": "CARD7", "type": "RFID", "contract_id": "C7" },
        "auth_method": "WHITELIST", "location_id": "garage", "evse_uid": "GARAGE-02",
        "connector_id": "", "currency": "EUR", "charging_periods": null, "status": status,
        "charging_preferences": { "energy_need": 9, "departure_time": "2024-05-14T15:00:00" },
        "last_updated": at,
    })
}

fn events(site: &mut OcpiBox) -> Vec<ForeignEvent> {
    let mut found = Vec::new();
    site.caused.retain(|output| match output {
        Output::Foreign(Foreign { evse, event }) => {
            assert_eq!(evse.as_str(), "EVSE-02", "placed in the diagram by the configuration");
            found.push(event.clone());
            false
        }
        _ => true,
    });
    found
}

fn answers(site: &mut OcpiBox) -> Vec<(u64, LimitAnswer)> {
    let mut found = Vec::new();
    site.caused.retain(|output| match output {
        Output::LimitAnswer { order, answer } => {
            found.push((*order, *answer));
            false
        }
        _ => true,
    });
    found
}

fn limit(site: &mut OcpiBox, order: u64, limit_a: f64) {
    site.step(Input::Limit { order, evse: EvseId::new("EVSE-02"), limit_a });
}

/// The profile that was sent, with the path that its result is wanted at.
fn sent(site: &mut OcpiBox) -> (Made, f64, String) {
    let made = site.made();
    assert_eq!(made.line(), "PUT /2.2.1/receiver/chargingprofiles/S1");
    let body = made.json();
    let profile = &body["charging_profile"];
    assert_eq!(profile["charging_rate_unit"], "A", "amperes for AC");
    let amps = profile["charging_profile_period"][0]["limit"].as_f64().unwrap();
    let url = body["response_url"].as_str().unwrap();
    (made, amps, url.strip_prefix("https://box.example").unwrap().to_owned())
}

fn accepted(site: &mut OcpiBox, made: &Made) {
    site.answer(made, json!([{ "result": "ACCEPTED", "timeout": 30 }]));
}

fn started() -> (OcpiBox, String) {
    let (mut site, token) = registered();
    let body = session(0.0, "ACTIVE", "2024-05-14T07:00:00Z");
    assert_eq!(site.ask(&token, Method::Put, PATH, body).status, 201);
    (site, token)
}

#[test]
fn a_session_is_followed_from_began_to_ended() {
    let (mut site, token) = started();
    let begin = events(&mut site);
    assert!(matches!(&begin[0], ForeignEvent::Began { token, .. } if token == "CARD7"));
    let wants = begin.iter().find_map(|event| match event {
        ForeignEvent::Wants(wanted) => Some(*wanted),
        _ => None,
    });
    assert_eq!(wants.unwrap().energy_kwh, Some(9.0));
    site.wait(Duration::minutes(30));
    let patch = json!({ "kwh": 1.5, "last_updated": "2024-05-14T07:30:00Z",
                        "charging_periods": [{ "start_date_time": "2024-05-14T07:00:00Z",
                            "dimensions": [{ "type": "ENERGY", "volume": 1.5 }] }] });
    assert_eq!(site.ask(&token, Method::Patch, PATH, patch).status, 200);
    let metered = ForeignEvent::Metered { energy_wh: 1500, power_w: Some(3000.0) };
    assert!(events(&mut site).contains(&metered));
    let known = site.ask(&token, Method::Get, PATH, NONE).success(true).unwrap();
    assert_eq!(known["charging_periods"].as_array().unwrap().len(), 1, "appended");
    // An older state comes late: it is acknowledged and changes nothing.
    let older = session(0.1, "ACTIVE", "2024-05-14T07:10:00Z");
    assert!(site.ask(&token, Method::Put, PATH, older).success(true).is_ok());
    assert_eq!(events(&mut site), []);
    let body = session(2.0, "COMPLETED", "2024-05-14T08:00:00Z");
    site.ask(&token, Method::Put, PATH, body);
    let last = events(&mut site);
    assert!(last.iter().any(|event| matches!(event, ForeignEvent::Ended { energy_wh: 2000, .. })));
}

#[test]
fn sessions_are_also_asked_for() {
    let (mut site, _) = registered();
    site.wait(Duration::minutes(2));
    let mut pulled = false;
    while !site.calls.is_empty() {
        let made = site.made();
        if made.line() == "GET /2.2.1/sender/sessions" {
            assert!(made.request.target.contains("date_from=2024-05"), "{}", made.request.target);
            let all = json!([{ "kwh": "spoiled" }, session(0.0, "ACTIVE", "2024-05-14T07:00:00Z")]);
            site.answer(&made, all);
            pulled = true;
        } else {
            site.answer(&made, json!([]));
        }
    }
    assert!(pulled);
    assert!(matches!(events(&mut site)[0], ForeignEvent::Began { .. }), "the good one counts");
}

#[test]
fn a_limit_is_confirmed_by_its_own_result_alone() {
    let (mut site, token) = started();
    limit(&mut site, 1, 8.25);
    let (made, amps, url) = sent(&mut site);
    assert!((amps - 8.2).abs() < 1e-9, "one decimal, never upwards: {amps}");
    accepted(&mut site, &made);
    assert_eq!(answers(&mut site), [], "accepted is not done");
    let foreign = format!("{}0", &url[..url.len() - 1]);
    let body = json!({ "result": "ACCEPTED" });
    assert_eq!(site.ask(&token, Method::Post, &foreign, body.clone()).status, 404);
    assert_eq!(site.ask(&token, Method::Post, &url, body.clone()).status, 200);
    assert_eq!(answers(&mut site), [(1, LimitAnswer::Accepted)]);
    assert_eq!(site.ask(&token, Method::Post, &url, body).status, 404, "once");
}

#[test]
fn a_result_may_come_before_the_answer() {
    let (mut site, token) = started();
    limit(&mut site, 1, 10.0);
    let (made, _, url) = sent(&mut site);
    site.ask(&token, Method::Post, &url, json!({ "result": "ACCEPTED" }));
    accepted(&mut site, &made);
    assert_eq!(answers(&mut site), [(1, LimitAnswer::Accepted)]);
}

#[test]
fn results_that_never_come_leave_the_limit_open() {
    let (mut site, token) = started();
    limit(&mut site, 1, 10.0);
    let (made, _, url) = sent(&mut site);
    accepted(&mut site, &made);
    site.wait(Duration::seconds(31));
    assert_eq!(answers(&mut site), [(1, LimitAnswer::NoAnswer)]);
    let late = site.ask(&token, Method::Post, &url, json!({ "result": "ACCEPTED" }));
    assert_eq!(late.status, 404, "its order was given up");
    limit(&mut site, 2, 9.0);
    let (made, _, url) = sent(&mut site);
    accepted(&mut site, &made);
    site.ask(&token, Method::Post, &url, json!({ "result": "REJECTED" }));
    assert_eq!(answers(&mut site), [(2, LimitAnswer::Rejected)]);
    limit(&mut site, 3, 8.0);
    let (made, ..) = sent(&mut site);
    site.lose(&made);
    assert_eq!(answers(&mut site), [(3, LimitAnswer::NoAnswer)], "it may have arrived");
}

#[test]
fn too_often_waits_and_sends_the_newest_alone() {
    let (mut site, _) = started();
    limit(&mut site, 1, 10.0);
    let (made, ..) = sent(&mut site);
    site.answer(&made, json!({ "result": "TOO_OFTEN", "timeout": 0 }));
    assert_eq!(answers(&mut site), []);
    limit(&mut site, 2, 7.0);
    assert_eq!(answers(&mut site), [(1, LimitAnswer::NotSent)]);
    site.wait(Duration::seconds(14));
    assert!(site.calls.iter().all(|made| !made.line().contains("chargingprofiles")));
    site.wait(Duration::seconds(2));
    let (_, amps, _) = sent(&mut site);
    assert!((amps - 7.0).abs() < 1e-9);
}

/// The mean over a change of the limit would look like a car that ignores it.
#[test]
fn what_flowed_before_a_limit_changed_says_nothing_of_the_power_after_it() {
    let (mut site, token) = started();
    site.wait(Duration::minutes(5));
    site.drain();
    limit(&mut site, 1, 6.0);
    let (made, _, url) = sent(&mut site);
    accepted(&mut site, &made);
    site.ask(&token, Method::Post, &url, json!({ "result": "ACCEPTED" }));
    events(&mut site);
    let told = |site: &mut OcpiBox, kwh: f64, minute: i64| {
        site.wait(Duration::minutes(5));
        let body = session(kwh, "ACTIVE", &format!("2024-05-14T07:{minute}:00Z"));
        site.ask(&token, Method::Put, PATH, body);
        let power = |event| match event {
            ForeignEvent::Metered { power_w, .. } => Some(power_w),
            _ => None,
        };
        events(site).into_iter().find_map(power).expect("it was metered")
    };
    assert_eq!(told(&mut site, 0.5, 10), None, "five minutes at 16 A, then five at 6 A");
    let power = told(&mut site, 0.615, 15).expect("the limit was the same all the while");
    assert!((power - 1380.0).abs() < 1.0, "{power}");
}

fn release(site: &mut OcpiBox) -> Made {
    limit(site, 1, 8.0);
    let (made, _, url) = sent(site);
    accepted(site, &made);
    assert!(url.contains("/result/"));
    site.reconfigure(|ocpi| {
        ocpi.partners[0].evses.retain(|one| one.evse.as_str() != "EVSE-02");
    });
    site.wait(Duration::seconds(1));
    let made = site.calls.iter().position(|made| made.request.method == Method::Delete);
    site.calls.remove(made.expect("the limit is taken back"))
}

#[test]
fn an_evse_that_leaves_the_diagram_is_released_from_its_limit() {
    let (mut site, token) = started();
    let made = release(&mut site);
    assert_eq!(made.line(), "DELETE /2.2.1/receiver/chargingprofiles/S1");
    let (_, query) = made.request.target.split_once("response_url=").expect("where to answer");
    let url = ampgate::ocpi::address::decode(query);
    let url = url.strip_prefix("https://box.example").unwrap().to_owned();
    site.answer(&made, json!({ "result": "ACCEPTED", "timeout": 30 }));
    let result = json!({ "result": "ACCEPTED" });
    assert_eq!(site.ask(&token, Method::Post, &url, result.clone()).status, 200);
    assert_eq!(site.ask(&token, Method::Post, &url, result).status, 404, "once");
    site.wait(Duration::minutes(5));
    let deletes = site.drain().into_iter().filter(|made| made.request.method == Method::Delete);
    assert_eq!(deletes.count(), 0, "it is done");
}

#[test]
fn a_release_that_is_not_confirmed_is_tried_a_few_times() {
    let (mut site, _) = started();
    let made = release(&mut site);
    site.answer(&made, json!({ "result": "TOO_OFTEN", "timeout": 0 }));
    let mut tries = 1;
    for _ in 0..20 {
        site.wait(Duration::seconds(61));
        while !site.calls.is_empty() {
            let made = site.made();
            if made.request.method == Method::Delete {
                tries += 1;
                site.answer(&made, json!({ "result": "ACCEPTED", "timeout": 30 }));
            } else {
                site.answer(&made, json!([]));
            }
        }
    }
    assert_eq!(tries, 4);
}

fn frames(text: &[String]) -> Vec<(String, Value)> {
    let parsed = text.iter().map(|text| serde_json::from_str::<Value>(text).unwrap());
    parsed.map(|frame| (frame[2].as_str().unwrap_or_default().to_owned(), frame)).collect()
}

fn charger(begins_a: Option<f64>) -> Charger {
    let evse = EvseId::new("EVSE-02");
    Charger::new(Wiring { evse, connector: 1, phases: 1, voltage_v: 230.0, begins_a })
}

/// Boots it and begins a session; comes back with what it answers to a permanent safe share.
fn begun(charger: &mut Charger, now: Utc) -> String {
    let boot = frames(&charger.connect());
    let answer = json!([3, boot[0].1[1], { "status": "Accepted", "interval": 300 }]).to_string();
    charger.frame(&answer, now);
    let began = ForeignEvent::Began { token: "CARD7".to_owned(), at: now };
    let start = frames(&charger.event(&began, now).frames);
    let answer = json!([3, start[1].1[1], { "transactionId": 41 }]);
    charger.frame(&answer.to_string(), now);
    safe_share(charger, now)
}

fn safe_share(charger: &mut Charger, now: Utc) -> String {
    let profile = json!([2, "s1", "SetChargingProfile", { "connectorId": 1, "csChargingProfiles": {
        "chargingProfilePurpose": "TxDefaultProfile", "chargingSchedule": {
            "chargingRateUnit": "A", "chargingSchedulePeriod": [
                { "startPeriod": 0, "limit": 6.0 }] } } }]);
    let answer: Value =
        serde_json::from_str(&charger.frame(&profile.to_string(), now).frames[0]).unwrap();
    answer[2]["status"].as_str().unwrap().to_owned()
}

#[test]
fn a_safe_share_that_nobody_promised_is_refused() {
    let now = Utc::parse("2024-05-14T07:00:00Z").unwrap();
    assert_eq!(begun(&mut charger(None), now), "Rejected", "the site counts it with its rating");
    assert_eq!(begun(&mut charger(Some(6.0)), now), "Accepted");
}

#[test]
fn a_broken_promise_is_seen_told_and_believed_no_more() {
    let now = Utc::parse("2024-05-14T07:00:00Z").unwrap();
    let mut charger = charger(Some(6.0));
    begun(&mut charger, now);
    let metered = |watts: f64| ForeignEvent::Metered { energy_wh: 50, power_w: Some(watts) };
    assert_eq!(charger.event(&metered(6.5 * 230.0), now).odd, None, "meters are not that exact");
    let follows = charger.event(&metered(16.0 * 230.0), now);
    let odd = follows.odd.unwrap();
    assert!(odd.contains("16.0 A") && odd.contains("6.0 A are promised"), "{odd}");
    let said = frames(&follows.frames);
    assert_eq!(said.last().unwrap().0, "BootNotification", "the site asks for its share anew");
    assert_eq!(safe_share(&mut charger, now), "Rejected");
    assert_eq!(charger.event(&metered(16.0 * 230.0), now).odd, None, "told once");
}

#[test]
fn what_a_session_draws_under_a_limit_breaks_no_promise() {
    let now = Utc::parse("2024-05-14T07:00:00Z").unwrap();
    let mut charger = charger(Some(6.0));
    begun(&mut charger, now);
    charger.ordered(1, "x1".to_owned(), 16.0);
    let metered = ForeignEvent::Metered { energy_wh: 50, power_w: Some(16.0 * 230.0) };
    assert_eq!(charger.event(&metered, now).odd, None, "its answer is still to come");
}

fn active(site: &mut OcpiBox, token: &str, amps: f64) -> u16 {
    let path = "/ocpi/2.2.1/sender/chargingprofiles/S1";
    let profile = json!({ "start_date_time": "2024-05-14T07:00:00Z", "charging_profile": {
        "charging_rate_unit": "A", "charging_profile_period": [
            { "start_period": 0, "limit": amps }] } });
    site.ask(token, Method::Put, path, profile).status
}

#[test]
fn an_active_profile_within_a_limit_confirms_it() {
    let (mut site, token) = started();
    limit(&mut site, 1, 10.0);
    let (made, ..) = sent(&mut site);
    accepted(&mut site, &made);
    assert_eq!(active(&mut site, &token, 16.0), 200);
    assert_eq!(answers(&mut site), [], "it may not have arrived");
    assert_eq!(active(&mut site, &token, 10.0), 200);
    assert_eq!(answers(&mut site), [(1, LimitAnswer::Accepted)]);
    let told = |event: &ForeignEvent| matches!(event, ForeignEvent::Active { .. });
    assert!(events(&mut site).iter().any(told));
}

#[test]
fn a_limit_that_the_operator_lifted_is_sent_again() {
    let now = Utc::parse("2024-05-14T07:00:00Z").unwrap();
    let mut charger = charger(Some(6.0));
    begun(&mut charger, now);
    let profile = |id: &str| {
        json!([2, id, "SetChargingProfile", { "connectorId": 1, "csChargingProfiles": {
            "chargingProfilePurpose": "TxProfile", "transactionId": 41, "chargingSchedule": {
                "chargingRateUnit": "A", "chargingSchedulePeriod": [
                    { "startPeriod": 0, "limit": 9.0 }] } } }])
        .to_string()
    };
    charger.frame(&profile("x1"), now);
    charger.ordered(1, "x1".to_owned(), 9.0);
    charger.answered(1, LimitAnswer::Accepted);
    assert_eq!(charger.frame(&profile("x2"), now).limit, None, "the partner has it");
    charger.event(&ForeignEvent::Active { limit_a: 16.0 }, now);
    assert_eq!(charger.frame(&profile("x3"), now).limit, Some(("x3".to_owned(), 9.0)));
}

#[test]
fn a_partners_charger_speaks_to_the_site_like_one_of_its_own() {
    let now = Utc::parse("2024-05-14T07:00:00Z").unwrap();
    let mut charger = charger(None);
    let began = ForeignEvent::Began { token: "CARD7".to_owned(), at: now };
    assert!(charger.event(&began, now).frames.is_empty(), "it has not booted");
    let boot = frames(&charger.connect());
    assert_eq!(boot[0].0, "BootNotification");
    let id = boot[0].1[1].as_str().unwrap();
    let answer = json!([3, id, { "status": "Accepted", "interval": 300 }]).to_string();
    let next = frames(&charger.frame(&answer, now).frames);
    let begun: Vec<&str> = next.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(begun, ["StatusNotification", "StatusNotification", "StartTransaction"]);
    let id = next[2].1[1].as_str().unwrap();
    let answer = json!([3, id, { "transactionId": 41, "idTagInfo": { "status": "Accepted" } }]);
    charger.frame(&answer.to_string(), now);
    let profile = json!([2, "x1", "SetChargingProfile", { "connectorId": 1, "csChargingProfiles": {
        "chargingProfilePurpose": "TxProfile", "transactionId": 41,
        "chargingSchedule": { "chargingRateUnit": "A", "chargingSchedulePeriod": [
            { "startPeriod": 0, "limit": 9.0 }, { "startPeriod": 180, "limit": 6.0 }] } } }]);
    let follows = charger.frame(&profile.to_string(), now);
    assert_eq!((follows.frames.len(), follows.limit), (0, Some(("x1".to_owned(), 9.0))));
    charger.ordered(1, "x1".to_owned(), 9.0);
    let said = charger.answered(1, LimitAnswer::Accepted);
    assert_eq!(said, [json!([3, "x1", { "status": "Accepted" }]).to_string()]);
    let renewed = charger.frame(&profile.to_string().replace("x1", "x2"), now);
    assert_eq!((renewed.frames.len(), renewed.limit), (1, None), "the partner has it already");
    let metered = ForeignEvent::Metered { energy_wh: 500, power_w: Some(2070.0) };
    let values = charger.event(&metered, now).frames;
    assert!(values[0].contains("\"9.00\"") && values[0].contains("\"transactionId\":41"));
    let ended = ForeignEvent::Ended { energy_wh: 600, at: now };
    let last = frames(&charger.event(&ended, now).frames);
    assert_eq!((last[0].0.as_str(), last[1].0.as_str()), ("StopTransaction", "StatusNotification"));
}
