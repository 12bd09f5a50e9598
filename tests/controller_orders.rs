//! Orders of people, tokens and reservations through the whole controller: what goes to the charger
//! and what comes back to the person, the disk and the screen.

mod yard;

use ampgate::controller::message::{Answer, Input, Order, Output};
use ampgate::ground::ids::IdToken;
use ampgate::ground::time::{Duration, Now};
use ampgate::model::ask::Ask;
use ampgate::model::event::EventKind;
use ampgate::model::record::{Record, Remembered};
use ampgate::model::reservation::{ReservationId, ReservationState};
use serde_json::{Value, json};

use yard::{SITE, Yard, draw, yard};

#[test]
fn an_order_of_a_person_reaches_the_charger_and_its_answer_the_person() {
    let mut yard = yard();
    let target = "E1".to_owned();
    let request = yard.order(Order::Charger { target, ask: Ask::Unlock });
    assert_eq!(yard.sent("UnlockConnector"), [json!({ "connectorId": 1 })]);
    assert_eq!(yard.reply(request), None);
    yard.answer_all(&|_, _| Some(json!({ "status": "UnlockFailed" })));
    assert_eq!(yard.said(request), (false, "the lock did not open".to_owned()));
    let told = yard.events(EventKind::ChargerAsked);
    assert_eq!(told, ["E1: unlock: the lock did not open"]);
    let request = yard.order(Order::Charger { target: "E9".to_owned(), ask: Ask::Unlock });
    assert_eq!(yard.said(request).1, "there is no EVSE or charge point E9");
}

#[test]
fn a_remote_stop_names_the_transaction_that_runs_there() {
    let mut yard = yard();
    let stop =
        || Order::Charger { target: "CP-1".to_owned(), ask: Ask::Stop { transaction: None } };
    let request = yard.order(stop());
    assert_eq!(yard.said(request), (false, "no charge runs there".to_owned()));
    let id = yard.start(1, "PLAIN", "")["transactionId"].clone();
    yard.settle();
    yard.order(stop());
    assert_eq!(yard.sent("RemoteStopTransaction"), [json!({ "transactionId": id })]);
}

#[test]
fn a_token_that_may_not_charge_is_not_started_from_afar() {
    let mut yard = yard();
    for (token, why) in [("LOST", "blocked"), ("WHO", "unknown"), ("OLD", "not valid")] {
        let ask = Ask::Start { token: IdToken::new(token) };
        let request = yard.order(Order::Charger { target: "E1".to_owned(), ask });
        let (accepted, words) = yard.said(request);
        assert!(!accepted && words.contains(why), "{words}");
    }
    assert!(yard.sent("RemoteStartTransaction").is_empty());
}

#[test]
fn tokens_are_judged_by_block_time_place_and_group() {
    let mut yard = yard();
    assert_eq!(yard.authorized(1, "plain"), json!({ "status": "Accepted" }));
    assert_eq!(
        yard.authorized(1, "FLEET1"),
        json!({ "status": "Accepted", "parentIdTag": "FLEET" })
    );
    assert_eq!(yard.authorized(1, "OLD")["status"], "Expired");
    assert_eq!(yard.authorized(1, "LOST")["status"], "Blocked");
    assert_eq!(yard.authorized(1, "ONLY2")["status"], "Invalid");
    assert_eq!(yard.authorized(2, "ONLY2")["status"], "Accepted");
    assert_eq!(yard.authorized(1, "WHO")["status"], "Invalid");
    // A token for one charge at a time: elsewhere it must wait, here it may end the charge.
    assert_eq!(yard.start(1, "SINGLE", "")["idTagInfo"]["status"], "Accepted");
    assert_eq!(yard.authorized(2, "SINGLE")["status"], "ConcurrentTx");
    assert_eq!(yard.authorized(1, "SINGLE")["status"], "Accepted");
    assert_eq!(yard.start(2, "SINGLE", "")["idTagInfo"]["status"], "ConcurrentTx");
}

#[test]
fn a_free_evse_serves_everybody_and_starts_by_itself() {
    let mut yard = yard();
    assert_eq!(yard.authorized(3, "WHO")["status"], "Accepted");
    assert_eq!(yard.authorized(3, "LOST")["status"], "Blocked");
    yard.status(3, "Preparing");
    for _ in 0..20 {
        let wake = yard.controller.wake_at(yard.now.mono).max(yard.now.mono + Duration::millis(1));
        let passed = wake.since(yard.now.mono);
        yard.now = Now { mono: wake, utc: yard.now.utc.map(|utc| utc + passed) };
        yard.step(Input::Wake);
        if !yard.sent("RemoteStartTransaction").is_empty() {
            break;
        }
    }
    let started = yard.sent("RemoteStartTransaction");
    assert_eq!(started, [json!({ "connectorId": 1, "idTag": "FREE" })]);
    // Once for each car.
    yard.settle();
    yard.pass(Duration::seconds(30));
    assert_eq!(yard.start(3, "FREE", "")["idTagInfo"]["status"], "Accepted");
}

#[test]
fn a_reservation_is_kept_by_the_charger_used_by_its_group_and_remembered() {
    let mut yard = yard();
    let request = yard.reserve("E1", "FLEET1", 60);
    assert!(yard.out.iter().any(|output| matches!(
        output,
        Output::Record(Record::Reservation(one)) if one.state == ReservationState::Asked
    )));
    assert_eq!(
        yard.sent("ReserveNow"),
        [json!({
            "connectorId": 1, "expiryDate": "2024-05-17T19:00:05Z", "idTag": "FLEET1",
            "parentIdTag": "FLEET", "reservationId": 1,
        })]
    );
    yard.settle();
    let (accepted, words) = yard.said(request);
    assert!(accepted && words == "reservation 1 is kept by the charger", "{words}");
    let remembered = yard.controller.remembered();
    assert_eq!(yard.controller.view(yard.now).reservations[0].state, "kept by the charger");
    // A restart of the box knows it; nobody else may charge there, and the group may.
    let mut yard = Yard::new(&remembered);
    assert_eq!(yard.authorized(1, "PLAIN")["status"], "Invalid");
    assert_eq!(yard.authorized(2, "PLAIN")["status"], "Accepted");
    let again = yard.reserve("E1", "PLAIN", 10);
    assert!(yard.said(again).1.contains("reservation 1 keeps it already"));
    let started = yard.start(1, "FLEET2", ",\"reservationId\":1");
    assert_eq!(started["idTagInfo"]["status"], "Accepted");
    assert!(matches!(yard.reservation(1), ReservationState::Used { .. }));
    assert_eq!(yard.authorized(1, "PLAIN")["status"], "Accepted");
}

#[test]
fn a_charger_that_knows_no_reservations_is_kept_for_it() {
    let mut yard = yard();
    let request = yard.reserve("E2", "PLAIN", 60);
    let refuse =
        |action: &str, _: &Value| (action == "ReserveNow").then(|| json!({ "status": "Rejected" }));
    while yard.answer_all(&refuse) {}
    let (accepted, words) = yard.said(request);
    assert!(accepted && words.contains("Ampgate turns other tokens away"), "{words}");
    assert_eq!(yard.reservation(1), ReservationState::Kept);
    assert_eq!(yard.authorized(2, "FLEET1")["status"], "Invalid");
    assert_eq!(yard.authorized(2, "PLAIN")["status"], "Accepted");
    // It runs out by itself, at its time.
    yard.out.clear();
    yard.pass(Duration::minutes(60));
    assert_eq!(yard.reservation(1), ReservationState::Expired);
    assert_eq!(
        yard.events(EventKind::ReservationEnded),
        ["E2: reservation 1 was not used in time"]
    );
    assert_eq!(yard.authorized(2, "FLEET1")["status"], "Accepted");
}

#[test]
fn a_kept_evse_begins_nobody_elses_charge() {
    let mut yard = yard();
    yard.reserve("E2", "PLAIN", 60);
    yard.settle();
    assert_eq!(yard.start(2, "FLEET1", "")["idTagInfo"]["status"], "Invalid");
}

#[test]
fn what_cannot_be_reserved_is_refused_in_words_and_what_was_can_be_given_up() {
    let mut yard = yard();
    let mut refused = |target: &str, token: &str, minutes, why: &str| {
        let request = yard.reserve(target, token, minutes);
        let (accepted, words) = yard.said(request);
        assert!(!accepted && words.contains(why), "{words}");
    };
    refused("E9", "PLAIN", 60, "no EVSE or charge point E9");
    refused("E1", "PLAIN", -1, "is past");
    refused("E1", "PLAIN", 8 * 24 * 60, "7 days at most");
    refused("E1", "LOST", 60, "blocked");
    yard.start(1, "PLAIN", "");
    yard.settle();
    let request = yard.reserve("E1", "PLAIN", 60);
    assert_eq!(yard.said(request).1, "E1 is in use");
    let request = yard.reserve("CP-2", "PLAIN", 60);
    while yard
        .answer_all(&|action, _| (action == "ReserveNow").then(|| json!({ "status": "Faulted" })))
    {
    }
    assert_eq!(yard.said(request), (false, "refused: the EVSE is broken".to_owned()));
    let request = yard.reserve("CP-2", "PLAIN", 60);
    assert_eq!(yard.sent("ReserveNow")[0]["connectorId"], 0);
    yard.settle();
    assert!(yard.said(request).0);
    let request = yard.order(Order::CancelReservationOf { target: "CP-2".to_owned() });
    assert_eq!(yard.sent("CancelReservation"), [json!({ "reservationId": 2 })]);
    assert_eq!(yard.reply(request), Some(&Answer::Done));
    assert_eq!(yard.reservation(2), ReservationState::Cancelled);
    let request = yard.order(Order::CancelReservation { id: ReservationId(2) });
    assert_eq!(yard.said(request).1, "reservation 2 is given up already");
}

#[test]
fn fair_shares_leave_the_minimum_of_a_reserved_evse_free() {
    let mut yard = yard();
    let limit = |yard: &Yard| {
        let view = yard.controller.view(yard.now);
        view.evses[0].limit_a.map(|limit| limit.as_f64())
    };
    // 40 A less the safe share of E3 leave 34 A: the car has all that its EVSE can give.
    yard.start(1, "PLAIN", "");
    yard.status(1, "Charging");
    yard.pass(Duration::seconds(90));
    assert_eq!(limit(&yard), Some(32.0));
    let request = yard.reserve("E2", "FLEET1", 5);
    yard.settle();
    assert!(yard.said(request).0);
    yard.pass(Duration::seconds(10));
    assert_eq!(limit(&yard), Some(28.0));
    yard.pass(Duration::minutes(7));
    assert_eq!(limit(&yard), Some(32.0));
}

/// What the newest problem says of load that is not planned for, on L1 of the connection.
fn not_planned(yard: &Yard) -> Vec<f64> {
    let posed = yard.out.iter().rev().find_map(|output| match output {
        Output::Solve { problem, .. } => Some(problem),
        _ => None,
    });
    posed.expect("a problem").nodes[0].other_a.iter().map(|phases| phases[0]).collect()
}

#[test]
fn a_plan_leaves_the_minimum_of_a_reserved_evse_free_until_the_reservation_is_over() {
    let site = format!("{SITE}\n[plan]\nobjective = \"cost\"\n");
    let posed = |reserves: bool| {
        let mut yard = Yard::of(&site, &Remembered::default());
        yard.pass(Duration::seconds(5));
        yard.start(1, "PLAIN", "");
        yard.status(1, "Charging");
        if reserves {
            yard.reserve("E2", "FLEET1", 60);
            yard.settle();
        }
        yard.out.clear();
        yard.pass(Duration::minutes(20));
        not_planned(&yard)
    };
    let (free, kept) = (posed(false), posed(true));
    assert_eq!(free.len(), kept.len());
    let more: Vec<f64> = kept.iter().zip(&free).map(|(kept, free)| kept - free).collect();
    assert_eq!(more[0], 6.0, "E2 promises nothing by itself, and 6 A are its minimum: {more:?}");
    assert_eq!(more.last(), Some(&0.0), "{more:?}");
}

#[test]
fn a_charger_that_ends_its_charge_at_zero_is_started_again_when_there_is_room() {
    let site = SITE.replace("safe_a = 6", "safe_a = 0").replace("rating_a = 40", "rating_a = 8");
    let mut yard = Yard::of(&site, &Remembered::default());
    yard.pass(Duration::seconds(5));
    let first = yard.start(1, "PLAIN", "")["transactionId"].clone();
    yard.status(1, "Charging");
    draw(&mut yard, 8, 60);
    let second = yard.start(2, "FLEET1", "")["transactionId"].clone();
    yard.status(2, "SuspendedEVSE");
    yard.pass(Duration::seconds(20));
    let limit = yard.controller.view(yard.now).evses[1].limit_a;
    assert_eq!(limit.map(|limit| limit.as_f64()), Some(0.0));
    yard.stop(2, &second, "Other");
    yard.status(2, "Finishing");
    assert_eq!(yard.events(EventKind::PauseEnded).len(), 1);
    yard.seen.clear();
    yard.pass(Duration::minutes(5));
    let started = |yard: &Yard| yard.seen.contains(&(2, "RemoteStartTransaction".to_owned()));
    assert!(!started(&yard), "there is no room");
    yard.stop(1, &first, "EVDisconnected");
    yard.status(1, "Available");
    yard.pass(Duration::minutes(3));
    assert!(started(&yard));
    // A charge that its driver ended is not begun again.
    let third = yard.start(2, "FLEET1", "")["transactionId"].clone();
    yard.status(2, "Charging");
    yard.pass(Duration::seconds(30));
    yard.stop(2, &third, "Local");
    yard.status(2, "Finishing");
    yard.seen.clear();
    yard.pass(Duration::minutes(5));
    assert!(!started(&yard));
}

#[test]
fn a_transaction_whose_stop_never_comes_is_closed_when_nobody_is_there() {
    let mut yard = yard();
    yard.start(1, "PLAIN", "");
    yard.status(1, "Charging");
    draw(&mut yard, 20, 60);
    yard.status(1, "Available");
    let lost = |yard: &Yard| yard.events(EventKind::StopLost).len();
    let ended = |yard: &Yard| yard.controller.view(yard.now).sessions[0].ended.is_some();
    yard.pass(Duration::minutes(20));
    assert!(lost(&yard) == 0 && !ended(&yard), "its charger may still deliver it");
    yard.pass(Duration::minutes(90));
    assert!(lost(&yard) == 1 && ended(&yard), "once");
    // A car that is there keeps its transaction, whatever it draws.
    yard.start(1, "PLAIN", "");
    yard.status(1, "SuspendedEV");
    yard.pass(Duration::minutes(120));
    assert!(!ended(&yard));
}

#[test]
fn cars_that_come_back_together_after_a_restart_keep_what_they_had() {
    let limits = |yard: &Yard| -> Vec<f64> {
        let view = yard.controller.view(yard.now);
        view.evses.iter().filter_map(|evse| Some(evse.limit_a?.as_f64())).collect()
    };
    let mut before = yard();
    for (point, token) in [(1, "PLAIN"), (2, "FLEET1"), (3, "FLEET2")] {
        before.start(point, token, "");
        before.status(point, "Charging");
    }
    before.pass(Duration::minutes(3));
    assert_eq!(limits(&before), [13.3; 3]);
    // A slow box: its chargers come back one after the other, and are waited for as long each.
    let mut yard = Yard::empty(SITE, &before.controller.remembered());
    for point in 1..=3 {
        yard.link_up(point);
        yard.status(point, "Charging");
        yard.settle();
        yard.pass(Duration::millis(400));
    }
    for _ in 0..100 {
        yard.pass(Duration::millis(100));
        assert!(limits(&yard).iter().all(|limit| 13.25 < *limit), "{:?}", limits(&yard));
    }
    assert_eq!(limits(&yard), [13.3; 3]);
}
