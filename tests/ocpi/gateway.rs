//! The site as a CPO: what partners are told, also after an outage; what they may read, order and
//! limit; and whose word lets a driver charge.

use ampgate::ground::ids::IdToken;
use ampgate::ground::time::Duration;
use ampgate::model::message::EvseStatus::{Available, Charging, Reserved, SuspendedEvse};
use ampgate::ocpi::engine::desk::{Input, OrderOutcome, Output, SiteOrder};
use ampgate::ocpi::http::Method;
use serde_json::{Value, json};

use crate::site::{OcpiBox, begin, evse, facts, session};

const NONE: Value = Value::Null;

fn registered() -> (OcpiBox, String) {
    let mut site = OcpiBox::new("office.toml");
    site.step(facts(vec![evse("EVSE-01", Available), evse("EVSE-02", Available)], vec![]));
    let token = site.register("2.2.1");
    site.ask(&token, Method::Get, "/ocpi/versions", NONE);
    site.drain();
    (site, token)
}

fn lines(all: &[crate::site::Made]) -> Vec<String> {
    all.iter().map(crate::site::Made::line).collect()
}

#[test]
fn a_session_is_told_from_its_start_to_its_cdr() {
    let (mut site, _) = registered();
    site.wait(Duration::minutes(1));
    site.step(facts(vec![evse("EVSE-01", Charging)], vec![session(7, "EVSE-01", 0, None)]));
    let told = site.drain();
    assert_eq!(
        lines(&told),
        [
            "PATCH /2.2.1/receiver/locations/FR/AMP/OFFICE-1/EVSE-01",
            "PUT /2.2.1/receiver/sessions/FR/AMP/OFFICE-1-7",
        ]
    );
    let patch = told[0].json();
    assert_eq!((patch["status"].as_str(), patch.as_object().unwrap().len()), (Some("CHARGING"), 2));
    assert_eq!(told[1].json()["status"], "ACTIVE");
    // 10:00 in Paris; energy flows for an hour.
    site.wait(Duration::minutes(60));
    site.step(facts(vec![evse("EVSE-01", Charging)], vec![session(7, "EVSE-01", 6000, None)]));
    let told = site.drain();
    let put = told.iter().find(|made| made.line().contains("receiver/sessions")).unwrap().json();
    assert_eq!(put["kwh"], 6);
    assert_eq!(put["total_cost"]["excl_vat"], 1.44);
    site.wait(Duration::minutes(1));
    let ended = Some(site.utc());
    site.step(facts(vec![evse("EVSE-01", Available)], vec![session(7, "EVSE-01", 6100, ended)]));
    let told = site.drain();
    assert_eq!(
        lines(&told),
        [
            "PATCH /2.2.1/receiver/locations/FR/AMP/OFFICE-1/EVSE-01",
            "PUT /2.2.1/receiver/sessions/FR/AMP/OFFICE-1-7",
            "POST /2.2.1/receiver/cdrs",
        ]
    );
    let cdr = told[2].json();
    assert_eq!(cdr["total_energy"], 6.1);
    assert_eq!(cdr["total_cost"], json!({ "excl_vat": 1.464, "incl_vat": 1.7568 }));
    assert_eq!(cdr["cdr_location"]["evse_id"], "FR*AMP*EEVSE01");
    assert_eq!(cdr["tariffs"][0]["id"], "standard");
    assert!(cdr["tariffs"][0].get("tax_included").is_none(), "that is 2.3.0's word");
    site.step(facts(vec![evse("EVSE-01", Available)], vec![session(7, "EVSE-01", 6100, ended)]));
    assert!(site.calls.is_empty(), "nothing has changed");
}

#[test]
fn a_tariff_that_leaves_the_configuration_is_deleted_at_the_partner_once() {
    let (mut site, _) = registered();
    let tariffs = |site: &mut OcpiBox| {
        site.step(facts(vec![evse("EVSE-01", Available)], vec![]));
        let told = lines(&site.drain()).into_iter();
        told.filter(|line| line.contains("receiver/tariffs")).collect::<Vec<_>>()
    };
    site.reconfigure(|ocpi| {
        ocpi.tariffs[0]["id"] = json!("summer");
        ocpi.facades.iter_mut().for_each(|one| one.tariffs = vec!["summer".to_owned()]);
    });
    // The process dies before the partner has answered.
    site.step(facts(vec![evse("EVSE-01", Available)], vec![]));
    site.restart();
    let put = "PUT /2.2.1/receiver/tariffs/FR/AMP/summer";
    let gone = "DELETE /2.2.1/receiver/tariffs/FR/AMP/standard";
    assert_eq!(tariffs(&mut site), [put, gone]);
    site.restart();
    assert_eq!(tariffs(&mut site), [put], "once it was deleted it is not asked for again");

    // One that comes back is not deleted; one that the partner never had is no trouble.
    site.reconfigure(|ocpi| ocpi.tariffs.clear());
    site.step(facts(vec![evse("EVSE-01", Available)], vec![]));
    let answered = |site: &mut OcpiBox, end: &str| {
        while !site.calls.is_empty() {
            let made = site.made();
            match made.line().ends_with(end) {
                true => return made,
                false => site.answer(&made, NONE),
            }
        }
        panic!("nobody asked for {end}")
    };
    let made = answered(&mut site, "tariffs/FR/AMP/summer");
    assert_eq!((made.request.method, made.request.body.as_str()), (Method::Delete, ""));
    site.answer_code(&made, 404, 2003);
    assert!(!lines(&site.drain()).iter().any(|line| line.starts_with("DELETE")));
    let refused = |output: &&Output| matches!(output, Output::Event { .. });
    assert!(site.caused.iter().find(refused).is_none(), "{:?}", site.caused);
}

#[test]
fn after_an_outage_each_object_is_put_once_and_each_cdr_comes_once() {
    let (mut site, token) = registered();
    let evses = |status| ["EVSE-01", "EVSE-02", "EVSE-03"].map(|name| evse(name, status)).to_vec();
    site.step(facts(evses(Available), vec![]));
    site.drain();
    let ids = [(1, "EVSE-01"), (2, "EVSE-02"), (3, "EVSE-03")];
    // The line is cut: whatever is tried comes to nothing for an hour, and the box dies meanwhile.
    for minute in 0..60 {
        site.wait(Duration::minutes(1));
        let of = |(number, name): (u64, &str)| {
            let ended = (20 <= minute && number < 3).then(|| begin() + Duration::minutes(20));
            session(number, name, 100 * minute.min(20), ended)
        };
        let status = if minute < 20 { Charging } else { Available };
        site.step(facts(evses(status), ids.map(of).to_vec()));
        if minute == 30 {
            site.restart();
        }
        while !site.calls.is_empty() {
            let made = site.made();
            site.lose(&made);
        }
    }
    let list = site.told(ampgate::ocpi::engine::desk::Wish::List).unwrap();
    assert!(list.contains("unreachable"), "{list}");
    site.wait(Duration::minutes(20));
    let told = lines(&site.drain());
    let count = |part: &str| told.iter().filter(|line| line.contains(part)).count();
    assert_eq!(count("PATCH"), 0, "no change of a state that is long past: {told:?}");
    for number in 1..=3 {
        assert_eq!(count(&format!("PUT /2.2.1/receiver/sessions/FR/AMP/OFFICE-1-{number}")), 1);
    }
    assert_eq!(count("POST /2.2.1/receiver/cdrs"), 2, "{told:?}");
    assert!(
        told.iter()
            .filter(|line| line.starts_with("PUT"))
            .all(|line| { told.iter().filter(|other| *other == line).count() == 1 })
    );
    // And once for ever: neither a restart nor an hour brings one again.
    site.restart();
    site.step(facts(evses(Available), vec![]));
    site.wait(Duration::minutes(60));
    assert_eq!(lines(&site.drain()).iter().filter(|line| line.contains("cdrs")).count(), 0);
    let cdrs = site.ask(&token, Method::Get, "/ocpi/2.2.1/sender/cdrs", NONE);
    assert_eq!(cdrs.header("X-Total-Count"), Some("2"), "pulling them is open at any time");
}

#[test]
fn a_cdr_whose_answer_was_lost_is_sent_again_and_a_refusal_then_means_it_arrived() {
    let (mut site, _) = registered();
    let ended = Some(begin() + Duration::minutes(10));
    site.wait(Duration::minutes(10));
    site.step(facts(vec![], vec![session(5, "EVSE-01", 500, ended)]));
    site.wait(Duration::seconds(1));
    let put = site.made();
    site.answer(&put, NONE);
    let post = site.made();
    assert!(post.line().ends_with("cdrs"));
    site.lose(&post);
    site.wait(Duration::minutes(1));
    let again = site.made();
    assert_eq!(again.json()["id"], post.json()["id"]);
    site.answer_code(&again, 200, 2001);
    site.wait(Duration::minutes(30));
    assert!(site.calls.iter().all(|made| !made.line().contains("cdrs")), "it is there");
}

#[test]
fn a_cdr_that_is_refused_at_once_is_kept_and_tried_again() {
    let (mut site, _) = registered();
    let ended = Some(begin() + Duration::minutes(10));
    site.wait(Duration::minutes(10));
    site.step(facts(vec![], vec![session(5, "EVSE-01", 500, ended)]));
    let put = site.made();
    site.answer(&put, NONE);
    for _ in 0..3 {
        let post = site.made();
        assert!(post.line().ends_with("cdrs"), "{}", post.line());
        site.answer_code(&post, 200, 2001);
        site.wait(Duration::minutes(16));
        site.calls.retain(|made| made.line().contains("cdrs"));
    }
}

#[test]
fn a_refused_token_stops_everything_and_retry_after_is_kept_to() {
    let (mut site, _) = registered();
    site.step(facts(vec![evse("EVSE-01", Charging)], vec![]));
    let made = site.made();
    let response = ampgate::ocpi::http::OcpiResponse::code(429, 2000, "slowly", site.utc());
    let response = response.with("Retry-After", "120");
    site.step(Input::Response { call: made.call, result: Ok(response) });
    site.wait(Duration::seconds(119));
    assert!(site.calls.is_empty());
    site.wait(Duration::seconds(2));
    let made = site.made();
    assert_eq!(made.request.method, Method::Put, "after a failure the EVSE goes whole");
    site.answer_code(&made, 401, 2000);
    site.wait(Duration::hours(5));
    assert!(site.calls.is_empty(), "barred");
    let alarm = site.caused.iter().any(
        |output| matches!(output, Output::Event { text, .. } if text.contains("refused our token")),
    );
    assert!(alarm);
}

#[test]
fn lists_come_in_pages_that_follow_each_other() {
    let (mut site, token) = registered();
    let sessions: Vec<_> = (1..=250)
        .map(|number| {
            session(number, "EVSE-01", 1000, Some(begin() + Duration::minutes(number as i64)))
        })
        .collect();
    site.wait(Duration::minutes(300));
    site.step(facts(vec![], sessions));
    let (mut path, mut seen) = ("/ocpi/2.2.1/sender/cdrs?limit=90".to_owned(), Vec::new());
    for page in 0.. {
        let response = site.ask(&token, Method::Get, &path, NONE);
        assert_eq!(response.header("X-Total-Count"), Some("250"));
        let data = response.success(false).unwrap();
        seen.extend(data.as_array().unwrap().iter().map(|cdr| cdr["id"].to_string()));
        let Some(link) = response.header("Link") else {
            assert_eq!(page, 2);
            break;
        };
        let url = ampgate::ocpi::address::next_link(link).unwrap();
        path = url.strip_prefix("https://box.example").unwrap().to_owned();
    }
    assert_eq!(seen.len(), 250);
    seen.dedup();
    assert_eq!(seen.len(), 250);
    let odd = site.ask(&token, Method::Get, "/ocpi/2.2.1/sender/cdrs?limit=many", NONE);
    assert_eq!(odd.success(false).unwrap_err().code, Some(2001));
}

fn token(uid: &str, whitelist: &str, valid: bool) -> Value {
    json!({
        "country_code": "NL", "party_id": "TNM", "uid": uid, "type": "RFID",
        "contract_id": "NL-TNM-1", "issuer": "Partner", "valid": valid, "whitelist": whitelist,
        "group_id": null, "unheard_of": {"a": 1}, "last_updated": "2024-05-01T00:00:00+00:00",
    })
}

fn verdict(site: &mut OcpiBox, ask: u64) -> Option<bool> {
    site.caused.iter().find_map(|output| match output {
        Output::Verdict { ask: known, accepted } if *known == ask => Some(*accepted),
        _ => None,
    })
}

#[test]
fn the_whitelist_rule_decides_whom_to_ask() {
    let (mut site, key) = registered();
    for (uid, whitelist, valid) in [
        ("ALWAYS1", "ALWAYS", true),
        ("GONE1", "ALWAYS", false),
        ("OFFLINE1", "ALLOWED_OFFLINE", true),
        ("NEVER1", "NEVER", true),
    ] {
        let path = format!("/ocpi/2.2.1/receiver/tokens/nl/TNM/{uid}");
        let put = site.ask(&key, Method::Put, &path, token(uid, whitelist, valid));
        assert_eq!(put.status, 201);
    }
    let ask = |site: &mut OcpiBox, number: u64, uid: &str| {
        site.step(Input::Ask { ask: number, token: IdToken::new(uid), evse: None });
    };
    ask(&mut site, 1, "always1");
    assert_eq!(verdict(&mut site, 1), Some(true), "without a word to anybody, in any case");
    ask(&mut site, 2, "GONE1");
    assert_eq!((verdict(&mut site, 2), site.calls.len()), (Some(false), 0));
    ask(&mut site, 3, "NEVER1");
    let made = site.made();
    assert_eq!(made.line(), "POST /2.2.1/sender/tokens/NEVER1/authorize");
    site.answer(&made, json!({ "allowed": "ALLOWED", "authorization_reference": "ref-1" }));
    assert_eq!(verdict(&mut site, 3), Some(true));
    ask(&mut site, 4, "STRANGER");
    let made = site.made();
    site.answer_code(&made, 404, 2004);
    assert_eq!(verdict(&mut site, 4), Some(false));
    // The partner is too slow for a driver at the charger: the rule of the token decides.
    ask(&mut site, 5, "OFFLINE1");
    ask(&mut site, 6, "NEVER1");
    site.wait(Duration::seconds(5));
    assert_eq!((verdict(&mut site, 5), verdict(&mut site, 6)), (Some(true), Some(false)));
    // Who was let in pays: the reference goes into the session.
    let mut charging = session(9, "EVSE-02", 0, None);
    charging.token = IdToken::new("NEVER1");
    site.calls.clear();
    site.step(facts(vec![], vec![charging]));
    let put = site.calls.iter().find(|made| made.line().contains("sessions")).unwrap().json();
    assert_eq!(put["cdr_token"]["contract_id"], "NL-TNM-1");
    assert_eq!(put["authorization_reference"], "ref-1");
    assert_eq!(put["auth_method"], "AUTH_REQUEST");
}

#[test]
fn an_older_token_changes_nothing_and_a_patch_needs_its_time() {
    let (mut site, key) = registered();
    let path = "/ocpi/2.2.1/receiver/tokens/NL/TNM/T1";
    site.ask(&key, Method::Put, path, token("T1", "ALWAYS", true));
    let mut older = token("T1", "ALWAYS", false);
    older["last_updated"] = json!("2023-01-01T00:00:00");
    assert_eq!(site.ask(&key, Method::Put, path, older).success(true).unwrap(), NONE);
    let known = site.ask(&key, Method::Get, path, NONE).success(true).unwrap();
    assert_eq!(known["valid"], true);
    let patch = site.ask(&key, Method::Patch, path, json!({ "valid": false }));
    assert_eq!(patch.success(true).unwrap_err().code, Some(2001));
    let patch = json!({ "valid": false, "last_updated": "2024-06-01T00:00:00Z" });
    site.ask(&key, Method::Patch, path, patch).success(true).unwrap();
    let known = site.ask(&key, Method::Get, path, NONE).success(true).unwrap();
    assert_eq!(known["valid"], false);
    let foreign = site.ask(&key, Method::Put, "/ocpi/2.2.1/receiver/tokens/BE/XXX/T1", NONE);
    assert_eq!(foreign.status, 404, "not a party of the caller");
}

fn order(site: &OcpiBox) -> (u64, SiteOrder) {
    let order = site.caused.iter().rev().find_map(|output| match output {
        Output::Order { order, wanted } => Some((*order, wanted.clone())),
        _ => None,
    });
    order.expect("an order")
}

#[test]
fn a_command_is_answered_twice() {
    let (mut site, key) = registered();
    let uid = "a-token-of-an-app-with-36-characters";
    let mut start = json!({
        "response_url": "https://partner.example/callbacks/1", "token": token(uid, "NEVER", true),
        "location_id": "office-1", "evse_uid": "EVSE-02", "authorization_reference": "ref-7",
    });
    let path = "/ocpi/2.2.1/receiver/commands/START_SESSION";
    let answer = site.ask(&key, Method::Post, path, start.clone()).success(true).unwrap();
    assert_eq!(answer["result"], "ACCEPTED");
    let (number, SiteOrder::Start { evse, token: alias }) = order(&site) else { panic!() };
    assert_eq!(evse.as_str(), "EVSE-02");
    assert!(alias.as_str().len() <= 20, "OCPP has no room for more");
    site.calls.clear();
    site.step(Input::Done { order: number, outcome: OrderOutcome::Accepted });
    let result = site.made();
    assert_eq!(result.request.target, "https://partner.example/callbacks/1");
    assert_eq!(result.json(), json!({ "result": "ACCEPTED" }), "bare, not enveloped");
    // The charger then asks: no second word of the partner is needed.
    site.step(Input::Ask { ask: 70, token: alias.clone(), evse: None });
    assert_eq!(verdict(&mut site, 70), Some(true));
    let mut charging = session(9, "EVSE-02", 0, None);
    charging.token = alias;
    site.step(facts(vec![], vec![charging]));
    let put = site.calls.iter().find(|made| made.line().contains("sessions")).unwrap().json();
    assert_eq!(
        (put["cdr_token"]["uid"].as_str(), put["auth_method"].as_str()),
        (Some(uid), Some("COMMAND"))
    );
    start["response_url"] = json!("https://elsewhere.example/steal");
    let refused = site.ask(&key, Method::Post, path, start.clone());
    assert_eq!(refused.success(true).unwrap_err().code, Some(2001), "a foreign origin");
    start["response_url"] = json!("https://partner.example/callbacks/2");
    start["location_id"] = json!("nowhere");
    let unknown = site.ask(&key, Method::Post, path, start);
    assert_eq!(unknown.success(true).unwrap_err().code, Some(2003));
}

#[test]
fn a_partners_profile_is_a_bound_until_it_runs_out() {
    let (mut site, key) = registered();
    site.step(facts(vec![evse("EVSE-01", Charging)], vec![session(3, "EVSE-01", 10, None)]));
    site.drain();
    let path = "/ocpi/2.2.1/receiver/chargingprofiles/OFFICE-1-3";
    let profile = json!({
        "response_url": "https://partner.example/callbacks/p1",
        "charging_profile": { "charging_rate_unit": "W", "start_date_time": "2024-05-14T07:00:00Z",
            "duration": 1800,
            "charging_profile_period": [{ "start_period": 0, "limit": 4140.0 },
                                        { "start_period": 900, "limit": 2760.0 }] },
    });
    let answer = site.ask(&key, Method::Put, path, profile.clone()).success(true).unwrap();
    assert_eq!(answer["result"], "ACCEPTED");
    let result = site.made();
    assert_eq!(result.json(), json!({ "result": "ACCEPTED" }));
    let bound = |site: &OcpiBox| match order(site).1 {
        SiteOrder::Bound { limit_a, .. } => limit_a,
        other => panic!("{other:?}"),
    };
    // EVSE-01 of the office is wired to one phase or three: watts are of all of them.
    let first = bound(&site).unwrap();
    assert!(first == 18.0 || first == 6.0, "{first}");
    let often = site.ask(&key, Method::Put, path, profile).success(true).unwrap();
    assert_eq!(often["result"], "TOO_OFTEN");
    site.wait(Duration::minutes(16));
    assert!((bound(&site).unwrap() - first * 2.0 / 3.0).abs() < 0.01);
    site.wait(Duration::minutes(15));
    assert_eq!(bound(&site), None, "its time is over");
    let query = "?response_url=https%3A%2F%2Fpartner.example%2Fcallbacks%2Fp2";
    site.calls.clear();
    let get = format!("{path}{query}&duration=600");
    site.ask(&key, Method::Get, &get, NONE).success(true).unwrap();
    let active = site.calls.iter().find(|made| made.line().contains("p2")).unwrap().json();
    assert_eq!(active["profile"]["charging_profile"]["charging_profile_period"][0]["limit"], 16);
    let unknown = "/ocpi/2.2.1/receiver/chargingprofiles/OFFICE-1-99";
    let gone = site.ask(&key, Method::Delete, &format!("{unknown}{query}"), NONE);
    assert_eq!(gone.success(true).unwrap()["result"], "UNKNOWN_SESSION");
}

#[test]
fn what_a_driver_wants_reaches_the_site_and_a_pause_of_ours_costs_nothing() {
    let (mut site, key) = registered();
    site.step(facts(vec![evse("EVSE-01", Charging)], vec![session(4, "EVSE-01", 0, None)]));
    let path = "/ocpi/2.2.1/sender/sessions/office-1-4/charging_preferences";
    let wanted = json!({ "profile_type": "GREEN", "energy_need": 12.5,
                         "departure_time": "2024-05-14T16:00:00Z" });
    let answer = site.ask(&key, Method::Put, path, wanted).success(true).unwrap();
    assert_eq!(answer, "ACCEPTED");
    let (_, SiteOrder::Prefer(preference)) = order(&site) else { panic!() };
    assert_eq!(preference.energy_wh.map(|wh| wh.as_f64()), Some(12_500.0));
    let short = json!({ "profile_type": "CHEAP" });
    let answer = site.ask(&key, Method::Put, path, short).success(true).unwrap();
    assert_eq!(answer, "DEPARTURE_REQUIRED");
    site.wait(Duration::minutes(60));
    site.step(facts(vec![evse("EVSE-01", SuspendedEvse)], vec![session(4, "EVSE-01", 5000, None)]));
    site.wait(Duration::minutes(60));
    let ended = Some(site.utc());
    site.step(facts(vec![evse("EVSE-01", Available)], vec![session(4, "EVSE-01", 5000, ended)]));
    let cdrs = site.ask(&key, Method::Get, "/ocpi/2.2.1/sender/cdrs", NONE);
    let cdr = cdrs.success(true).unwrap();
    assert_eq!(cdr["total_cost"]["excl_vat"], 1.2, "5 kWh and no parking: {cdr}");
    assert_eq!(cdr["total_time"], 2);
}

#[test]
fn a_reservation_can_be_cancelled_after_a_restart() {
    let (mut site, key) = registered();
    let reserve = json!({
        "response_url": "https://partner.example/cb/1", "reservation_id": "R-1",
        "token": token("APP-1", "NEVER", true), "expiry_date": "2024-05-14T09:00:00Z",
        "location_id": "OFFICE-1", "evse_uid": "EVSE-04",
    });
    let path = "/ocpi/2.2.1/receiver/commands/RESERVE_NOW";
    let answer = site.ask(&key, Method::Post, path, reserve);
    assert!(answer.body.contains("ACCEPTED"), "{}", answer.body);
    assert!(matches!(order(&site).1, SiteOrder::Reserve { .. }));
    site.restart();
    site.step(facts(vec![evse("EVSE-04", Reserved)], Vec::new()));
    let cancel = json!({ "response_url": "https://partner.example/cb/2", "reservation_id": "r-1" });
    let path = "/ocpi/2.2.1/receiver/commands/CANCEL_RESERVATION";
    let answer = site.ask(&key, Method::Post, path, cancel.clone());
    assert!(answer.body.contains("ACCEPTED"), "{}", answer.body);
    assert!(
        matches!(&order(&site).1, SiteOrder::Cancel { evse, .. } if evse.as_str() == "EVSE-04")
    );
    let answer = site.ask(&key, Method::Post, path, cancel);
    assert!(answer.body.contains("REJECTED"), "once: {}", answer.body);
}

#[test]
fn what_a_hub_told_of_a_client_can_be_read_and_outlives_a_restart() {
    let (mut site, key) = registered();
    let path = "/ocpi/2.2.1/receiver/hubclientinfo/NL/TNM";
    assert_eq!(site.ask(&key, Method::Get, path, NONE).status, 404);
    let info = json!({ "country_code": "NL", "party_id": "TNM", "role": "EMSP",
                       "status": "OFFLINE", "last_updated": "2024-05-14T07:00:00Z" });
    assert!(site.ask(&key, Method::Put, path, info.clone()).body.contains("1000"));
    site.restart();
    let answer = site.ask(&key, Method::Get, path, NONE);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["data"]["status"], "OFFLINE");
    site.step(facts(vec![evse("EVSE-04", Charging)], Vec::new()));
    assert!(site.calls.is_empty(), "nothing is sent to who is away");
    let other = "/ocpi/2.2.1/receiver/hubclientinfo/NL/XYZ";
    assert!(site.ask(&key, Method::Put, other, info).body.contains("2001"));
}

#[test]
fn another_configuration_is_told_and_ends_no_registration() {
    let (mut site, key) = registered();
    site.drain();
    site.reconfigure(|ocpi| {
        ocpi.place.address = "19 avenue des Martyrs".to_owned();
        ocpi.facades.retain(|facade| facade.evse.as_str() != "EVSE-12");
    });
    site.step(facts(vec![evse("EVSE-04", Available)], Vec::new()));
    let made = site.drain();
    let told = made.iter().find(|made| made.line().contains("locations")).expect("the location");
    assert_eq!(told.json()["address"], "19 avenue des Martyrs");
    assert_eq!(told.json()["evses"].as_array().map(Vec::len), Some(11));
    let path = "/ocpi/2.2.1/sender/locations/OFFICE-1";
    assert_eq!(site.ask(&key, Method::Get, path, NONE).status, 200);
}

/// The location of the old configuration is on its way, and its answer comes after the new one.
#[test]
fn a_location_on_its_way_does_not_hide_the_next_configuration() {
    let (mut site, _) = registered();
    site.reconfigure(|ocpi| ocpi.place.address = "18 avenue des Martyrs".to_owned());
    site.step(facts(vec![evse("EVSE-04", Available)], Vec::new()));
    let is_location = |made: &crate::site::Made| made.line().ends_with("/FR/AMP/OFFICE-1");
    let old = loop {
        let made = site.made();
        if is_location(&made) {
            break made;
        }
        site.answer(&made, NONE);
    };
    site.reconfigure(|ocpi| ocpi.place.address = "19 avenue des Martyrs".to_owned());
    site.step(facts(vec![evse("EVSE-04", Available)], Vec::new()));
    // Both have the same second as their time, so time tells them not apart.
    site.answer(&old, NONE);
    let told: Vec<_> = site.drain().into_iter().filter(is_location).collect();
    assert_eq!(told.len(), 1, "it is told, once");
    assert_eq!(told[0].json()["address"], "19 avenue des Martyrs");
}

#[test]
fn a_session_that_was_seen_running_after_its_end_is_billed_whole() {
    let (mut site, key) = registered();
    site.wait(Duration::minutes(60));
    // Handed over by a charger that was offline: seen between its start and its stop.
    site.step(facts(vec![], vec![session(31, "EVSE-02", 0, None)]));
    let ended = site.utc() - Duration::minutes(50);
    site.step(facts(vec![], vec![session(31, "EVSE-02", 7000, Some(ended))]));
    let cdrs = site.ask(&key, Method::Get, "/ocpi/2.2.1/sender/cdrs", NONE).success(false).unwrap();
    assert_eq!(cdrs[0]["total_energy"], 7);
}
