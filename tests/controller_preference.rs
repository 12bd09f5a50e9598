//! What drivers say is noted, checked, told in words, kept over a power cut and dropped with the
//! car, in the whole loop of the twin.

use ampgate::controller::message::{Answer, Order};
use ampgate::controller::view::{EvseView, PreferenceView};
use ampgate::ground::ids::{EvseId, SessionId};
use ampgate::ground::time::{Duration, Utc};
use ampgate::ground::units::WattHours;
use ampgate::ground::zone::TimeOfDay;
use ampgate::model::drivers::{DriverPolicy, Group, Leaves, Terms, TokenPattern};
use ampgate::model::event::EventKind;
use ampgate::model::message::EvseStatus;
use ampgate::model::policy::PlanPolicy;
use ampgate::model::preference::{PreferenceSource, Wish};
use ampgate::twin::Twin;
use ampgate::twin::sample::yard;
use ampgate::twin::scenario::{CarModel, Declared, Scenario, Visit};

const DAY: Utc = Utc::from_millis(1_551_398_400_000); // 2019-03-01T00:00:00Z

fn at(minutes: i64) -> Utc {
    DAY + Duration::minutes(minutes)
}

fn visit(from: i64, to: i64, declared: Option<Declared>) -> Visit {
    let (token, car) = ("TAG1".to_owned(), CarModel::plain(1, 16.0, 8_000.0));
    Visit { evse: 0, token, arrival: at(from), departure: at(to), car, declared }
}

fn twin(visits: Vec<Visit>) -> Twin {
    Twin::new(yard(), Scenario { seed: 3, visits, ..Scenario::default() }, DAY)
}

fn evse(twin: &Twin) -> EvseView {
    twin.view().expect("the box runs").evses[0].clone()
}

fn said(twin: &Twin) -> Option<PreferenceView> {
    evse(twin).preference
}

fn prefer(twin: &mut Twin, session: Option<u64>, kwh: i64, departure: Utc) -> Answer {
    let wish = Wish {
        energy_wh: Some(WattHours::new(kwh * 1000)),
        departure: Some(departure),
        charge: None,
    };
    let (evse, source) = (EvseId::new("E1"), PreferenceSource::Driver);
    let session = session.map(SessionId);
    twin.order(Order::Prefer { evse, session, wish, source }).expect("the box runs")
}

fn clear(twin: &mut Twin) -> Answer {
    let (evse, source) = (EvseId::new("E1"), PreferenceSource::Operator);
    let order = Order::ClearPreference { evse, session: None, source };
    twin.order(order).expect("the box runs")
}

fn refused(answer: Answer, words: &str) {
    match answer {
        Answer::Refused { why } => assert!(why.contains(words), "{why}"),
        other => panic!("{other:?} where it should say {words}"),
    }
}

fn told(twin: &Twin) -> Vec<String> {
    let kind = EventKind::PreferenceChanged;
    let events = twin.events().iter().filter(|event| event.kind == kind);
    events.map(|event| event.text.clone()).collect()
}

/// Runs in small steps until the EVSE says this.
fn until(twin: &mut Twin, status: EvseStatus) {
    for _ in 0..600 {
        if evse(twin).status == status {
            return;
        }
        twin.run_for(Duration::millis(500));
    }
    panic!("it never said {status:?}");
}

#[test]
fn what_a_simulated_driver_declares_is_told_when_the_transaction_has_started() {
    let declared = Declared { energy_wh: Some(8_000.0), departure: Some(at(480)) };
    let mut twin = twin(vec![visit(1, 480, Some(declared))]);
    twin.run_until(at(3), &mut |_, _, _| {});
    let preference = said(&twin).expect("it was declared");
    assert_eq!(preference.words, "8.0 kWh by 09:00");
    assert_eq!((preference.session, preference.source), (Some(1), PreferenceSource::File));
    assert_eq!(told(&twin), ["the file wants 8.0 kWh by 09:00"]);
}

#[test]
fn a_wish_survives_a_power_cut_and_the_last_word_counts() {
    let mut twin = twin(vec![visit(1, 480, None)]);
    twin.run_until(at(5), &mut |_, _, _| {});
    assert_eq!(said(&twin), None);
    assert_eq!(prefer(&mut twin, Some(1), 20, at(400)), Answer::Done);
    assert_eq!(prefer(&mut twin, None, 12, at(300)), Answer::Done);
    // Said again it is no news.
    assert_eq!(prefer(&mut twin, None, 12, at(300)), Answer::Done);
    twin.run_for(Duration::seconds(1));
    twin.restart(Duration::minutes(2));
    twin.run_for(Duration::minutes(5));
    let preference = said(&twin).expect("it is remembered");
    assert_eq!(preference.words, "12.0 kWh by 06:00");
    assert_eq!(told(&twin).len(), 2, "{:?}", told(&twin));
    assert_eq!(clear(&mut twin), Answer::Done);
    twin.run_for(Duration::seconds(1));
    twin.restart(Duration::seconds(5));
    twin.run_for(Duration::minutes(5));
    assert_eq!((said(&twin), evse(&twin).session), (None, Some(1)));
    let remembered = twin.controller().expect("the box runs").remembered();
    assert_eq!(remembered.preferences.len(), 1, "{remembered:?}");
}

#[test]
fn what_is_said_before_the_transaction_applies_to_the_session_that_follows() {
    let mut twin = twin(vec![visit(1, 100, None), visit(120, 300, None)]);
    refused(prefer(&mut twin, None, 20, at(90)), "E1 has not been heard yet");
    twin.run_for(Duration::seconds(30));
    refused(prefer(&mut twin, None, 20, at(90)), "no car is plugged in at E1");
    until(&mut twin, EvseStatus::Preparing);
    assert_eq!(prefer(&mut twin, None, 20, at(90)), Answer::Done);
    assert_eq!(said(&twin).map(|said| said.session), Some(None));
    // Whoever looked at another session means another car.
    refused(prefer(&mut twin, Some(7), 5, at(90)), "session 7 does not run at E1 any more");
    until(&mut twin, EvseStatus::Charging);
    let preference = said(&twin).expect("the session has taken it over");
    assert_eq!((preference.session, preference.words.as_str()), (Some(1), "20.0 kWh by 02:30"));
    // The next car is not asked to keep the word of the last.
    twin.run_until(at(125), &mut |_, _, _| {});
    let next = evse(&twin);
    assert_eq!((next.session, next.preference), (Some(2), None));
}

#[test]
fn a_car_that_leaves_without_a_session_takes_its_wish_along() {
    let mut twin = twin(vec![visit(1, 2, None)]);
    until(&mut twin, EvseStatus::Preparing);
    assert_eq!(prefer(&mut twin, None, 20, at(90)), Answer::Done);
    twin.fault(ampgate::twin::scenario::Fault::Unplug { evse: 0 });
    twin.run_for(Duration::seconds(5));
    assert_eq!(said(&twin), None);
    let remembered = twin.controller().expect("the box runs").remembered();
    assert_eq!(remembered.intents, []);
    refused(prefer(&mut twin, None, 0, at(90)), "no car is plugged in");
}

#[test]
fn a_wish_without_a_word_and_one_for_the_past_are_refused() {
    let mut twin = twin(vec![visit(1, 480, None)]);
    twin.run_until(at(5), &mut |_, _, _| {});
    let (evse, source) = (EvseId::new("E1"), PreferenceSource::Driver);
    let empty = Order::Prefer { evse, session: None, wish: Wish::default(), source };
    refused(twin.order(empty).expect("the box runs"), "nothing was said");
    refused(prefer(&mut twin, None, 20, at(4)), "it is 01:05 by the clock of the site");
    refused(prefer(&mut twin, None, 0, at(90)), "expected 0.1 to 1000 kWh");
    let evse = EvseId::new("E9");
    let nowhere = Order::ClearPreference { evse, session: None, source };
    refused(twin.order(nowhere).expect("the box runs"), "there is no EVSE E9");
    assert_eq!((said(&twin), told(&twin).len()), (None, 0));
}

/// The yard with this policy for its drivers, planned.
fn planned(drivers: DriverPolicy, visits: Vec<Visit>) -> Twin {
    let mut site = yard();
    site.drivers = drivers;
    site.plan = Some(PlanPolicy::default());
    Twin::new(site, Scenario { seed: 3, visits, ..Scenario::default() }, DAY)
}

#[test]
fn where_nothing_is_said_the_rule_of_the_group_is_planned_with() {
    let terms = Terms {
        group: Some("fleet".to_owned()),
        priority: 3,
        leaves: TimeOfDay::new(6, 30).map(Leaves::At),
        energy: Some(WattHours::new(7_000)),
        guaranteed: WattHours::new(2_000),
        ..Terms::default()
    };
    let group = Group { tokens: vec![TokenPattern::new("TAG*")], terms };
    let policy = DriverPolicy { groups: vec![group], ..DriverPolicy::default() };
    let mut twin = planned(policy, vec![visit(1, 480, None)]);
    twin.run_until(at(5), &mut |_, _, _| {});
    let plan = twin.view().expect("the box runs").plan.expect("a car charges");
    let car = plan.car("E1").expect("it is planned for");
    assert_eq!(car.says, "the rule for fleet");
    // It leaves at half past six by the clock of the site, and two minutes are kept in hand.
    assert_eq!(car.by, Some(at(5 * 60 + 28)));
    let need = car.need_kwh.expect("it is known");
    // A little more than asked for: the car stops by itself.
    assert!((6.0..=7.1).contains(&need), "{need}");
    // What the driver says counts before it, and the plan follows.
    assert_eq!(prefer(&mut twin, None, 3, at(240)), Answer::Done);
    twin.run_for(Duration::seconds(5));
    let plan = twin.view().expect("the box runs").plan.expect("a car charges");
    let car = plan.car("E1").expect("it is planned for");
    assert_eq!((car.says.as_str(), car.by), ("the driver", Some(at(238))));
}
