//! Habits: a word that proves true is taken as it is, one that does not becomes what really
//! happens; tokens have habits of their own; all of it can be forgotten.

use std::collections::BTreeMap;

use ampgate::ground::calendar::Calendar;
use ampgate::ground::ids::{EvseId, IdToken};
use ampgate::ground::time::{Duration, Utc};
use ampgate::learn::habits::{Expectation, Habits, Question};
use ampgate::learn::stay::Stay;
use proptest::prelude::*;

/// A Monday, midnight UTC.
fn at(hours: f64) -> Utc {
    Utc::parse("2019-06-03T00:00:00Z").expect("a time")
        + Duration::millis((hours * 3_600_000.0) as i64)
}

fn stay(token: &str, arrival: f64, hours: f64, kwh: f64) -> Stay {
    Stay {
        token: Some(IdToken::new(token)),
        evse: EvseId::new("EVSE-01"),
        arrival: at(arrival),
        departure: at(arrival + hours),
        energy_kwh: kwh,
        full: true,
        declared_kwh: None,
        declared_departure: None,
        arrival_soc: None,
        target_soc: None,
        most_a: 16.0,
        most_is_limit: false,
        phases: 3,
        wires: 3,
        max_kw: 11.0,
    }
}

/// A stay of which the driver said something.
fn said(arrival: f64, hours: f64, kwh: f64, said_hours: f64, said_kwh: f64) -> Stay {
    Stay {
        token: None,
        declared_departure: Some(at(arrival + said_hours)),
        declared_kwh: Some(said_kwh),
        ..stay("", arrival, hours, kwh)
    }
}

fn ask(token: &str, arrival: f64) -> Question {
    Question {
        token: Some(IdToken::new(token)),
        evse: EvseId::new("EVSE-01"),
        arrival: at(arrival),
        now: at(arrival),
        energy_so_far_kwh: 0.0,
        declared_kwh: None,
        declared_departure: None,
        most_kw: 11.0,
    }
}

fn hours(expected: &Expectation, share: f64, arrival: f64) -> f64 {
    expected.departure(share).expect("never empty").since(at(arrival)).as_hours()
}

fn habits() -> Habits {
    Habits::new(Calendar::new("Europe/Paris"))
}

/// Four weeks of workdays: AA comes at 7 for nine hours and 8 kWh, BB at noon for two and 20 kWh.
fn office() -> Habits {
    let mut habits = habits();
    for day in (0..28).filter(|day| day % 7 < 5) {
        let midnight = f64::from(day) * 24.0;
        habits.observe(&stay("AA", midnight + 7.0, 9.0 + 0.1 * f64::from(day % 3), 8.0));
        habits.observe(&stay("BB", midnight + 12.0, 2.0, 20.0));
    }
    habits
}

#[test]
fn a_token_has_habits_of_its_own() {
    let (habits, monday) = (office(), 24.0 * 28.0);
    let long = habits.expect(&ask("aa", monday + 7.2));
    assert!((8.5..9.5).contains(&hours(&long, 0.5, monday + 7.2)), "{long:?}");
    assert!((long.energy_kwh(0.5).expect("never empty") - 8.0).abs() < 1.0, "{long:?}");
    assert_eq!(long.departure_source, "habit of this token, 20 stays");
    let short = habits.expect(&ask("BB", monday + 12.0));
    assert!(hours(&short, 0.5, monday + 12.0) < 3.0, "{short:?}");
    // A stranger at noon is like those who come at noon.
    let stranger = habits.expect(&ask("CC", monday + 12.1));
    assert!(hours(&stranger, 0.5, monday + 12.1) < 3.0, "{stranger:?}");
    assert_eq!(stranger.departure_source, "habit of the site, 40 stays");
}

#[test]
fn a_car_that_is_still_there_will_not_have_left() {
    let (habits, monday) = (office(), 24.0 * 28.0);
    let late =
        Question { now: at(monday + 15.0), energy_so_far_kwh: 21.0, ..ask("BB", monday + 12.0) };
    let expected = habits.expect(&late);
    assert!(expected.departures.iter().all(|(leaves, _)| late.now < *leaves), "{expected:?}");
    assert!(expected.energies_kwh.iter().all(|(kwh, _)| 21.0 < *kwh), "{expected:?}");
}

#[test]
fn a_word_is_taken_as_true_until_it_proves_otherwise() {
    let mut honest = habits();
    let question = |day: f64| Question {
        token: None,
        declared_departure: Some(at(day + 16.0)),
        declared_kwh: Some(30.0),
        ..ask("", day + 8.0)
    };
    let certain = |expected: &Expectation, day: f64| {
        expected.departures == [(at(day + 16.0), 1.0)] && expected.energies_kwh == [(30.0, 1.0)]
    };
    assert!(certain(&honest.expect(&question(0.0)), 0.0), "the first driver is believed");
    for day in 0..60 {
        let midnight = f64::from(day) * 24.0;
        honest.observe(&said(midnight + 8.0, 8.0, 30.0, 8.0, 30.0));
    }
    let day = 24.0 * 60.0;
    let expected = honest.expect(&question(day));
    assert!(certain(&expected, day), "{expected:?}");
    assert_eq!(expected.departure_source, "the driver");
    // One who was cut short by the site did not say anything wrong.
    let cut = Stay { full: false, ..said(day + 8.0, 8.0, 12.0, 8.0, 30.0) };
    (0..40).for_each(|_| drop(honest.observe(&cut)));
    assert!(certain(&honest.expect(&question(day)), day));
}

#[test]
fn words_that_proved_wrong_become_what_really_happened() {
    let mut habits = habits();
    for day in 0..60 {
        let midnight = f64::from(day) * 24.0;
        let early = f64::from(day % 5) * 0.5;
        habits.observe(&said(midnight + 8.0, 7.0 - early, 15.0, 8.0, 30.0));
    }
    let day = 24.0 * 60.0;
    let question = Question {
        token: None,
        declared_departure: Some(at(day + 16.0)),
        declared_kwh: Some(30.0),
        ..ask("", day + 8.0)
    };
    let expected = habits.expect(&question);
    assert!(3 <= expected.departures.len(), "{expected:?}");
    assert!((5.0..7.0).contains(&hours(&expected, 0.5, day + 8.0)), "{expected:?}");
    assert!((13.0..18.0).contains(&expected.energy_kwh(0.5).expect("some")), "{expected:?}");
    assert_eq!(habits.words_kept()[0], (0, 60));
    assert!(habits.words().starts_with("drivers: 0 of 60 left as they had said, "));
}

#[test]
fn a_car_that_was_cut_short_does_not_learn_to_want_less() {
    let mut habits = habits();
    for day in 0..20 {
        let midnight = f64::from(day) * 24.0;
        habits.observe(&stay("AA", midnight + 7.0, 9.0, 20.0));
        let cut = Stay { full: false, ..stay("AA", midnight + 7.0, 9.0, 6.0) };
        habits.observe(&cut);
    }
    let expected = habits.expect(&ask("AA", 24.0 * 20.0 + 7.0));
    assert!(19.0 < expected.energy_kwh(0.5).expect("some"), "{expected:?}");
}

#[test]
fn the_battery_follows_from_charge_and_energy() {
    let mut habits = habits();
    for day in 0..4 {
        let charged = Stay {
            arrival_soc: Some(20.0),
            target_soc: Some(80.0),
            ..stay("AA", f64::from(day) * 24.0, 8.0, 40.0)
        };
        habits.observe(&charged);
    }
    let vehicle = habits.vehicle(&IdToken::new("aa")).expect("seen");
    assert!((vehicle.capacity_kwh.expect("told") - 60.0).abs() < 0.1, "{vehicle:?}");
    assert_eq!((vehicle.phases, vehicle.max_kw, vehicle.most_a), (3, 11.0, 16.0));
}

#[test]
fn a_narrow_point_does_not_show_what_a_car_takes_of_a_wide_one() {
    let mut habits = habits();
    let narrow = |day: f64| Stay { phases: 1, wires: 1, ..stay("AA", day * 24.0, 8.0, 10.0) };
    habits.observe(&narrow(0.0));
    let seen = habits.vehicle(&IdToken::new("AA")).expect("seen");
    assert_eq!((seen.takes_of(16.0), seen.loads_of(1)), (Some(16.0), Some(1)));
    assert_eq!((seen.takes_of(32.0), seen.loads_of(3)), (None, None));
    let wide = Stay { most_a: 20.0, most_is_limit: true, ..stay("AA", 24.0, 8.0, 10.0) };
    habits.observe(&wide);
    habits.observe(&narrow(2.0));
    let seen = habits.vehicle(&IdToken::new("AA")).expect("seen");
    assert_eq!((seen.takes_of(32.0), seen.loads_of(3)), (Some(20.0), Some(3)));
    assert_eq!((seen.takes_of(16.0), seen.loads_of(1)), (Some(16.0), Some(1)));
}

#[test]
fn cars_are_expected_at_the_hours_when_cars_come() {
    let habits = office();
    let monday = 24.0 * 28.0;
    let arrivals = habits.arrivals(at(monday + 4.0), Duration::hours(24), 12);
    let near = |hour: f64| {
        let from = |hours: f64| at(monday + hour + hours);
        arrivals.iter().find(|car| from(-1.0) < car.from && car.from < from(1.0)).copied()
    };
    let morning = near(7.0).expect("AA comes");
    assert!(0.7 < morning.probability && (morning.kwh - 8.0).abs() < 1.0, "{morning:?}");
    assert!(near(12.0).is_some() && near(18.0).is_none(), "{arrivals:?}");
    let saturday = habits.arrivals(at(monday + 24.0 * 5.0), Duration::hours(24), 12);
    assert_eq!(saturday, []);
    assert_eq!(habits.arrivals(at(monday), Duration::hours(24), 0), []);
}

#[test]
fn what_was_learned_can_be_forgotten() {
    let mut habits = office();
    assert_eq!(habits.forget(&IdToken::new("Aa")), ["token/aa"]);
    assert!(habits.forget(&IdToken::new("AA")).is_empty());
    assert_eq!(habits.stays_of(&IdToken::new("AA")), 0);
    assert!(!serde_json::to_string(&habits).expect("plain values").contains("aa"));
    let stays = habits.texts().len();
    assert_eq!(habits.forget_all().len(), stays);
    assert_eq!(habits.texts(), []);
}

/// Numbers as they should not come.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![8 => -50.0..500.0f64, 1 => any::<f64>(), 1 => Just(f64::NAN)]
}

fn strange() -> impl Strategy<Value = Stay> {
    let times = (any::<i64>(), 0i64..200_000_000, prop::option::of(any::<i64>()), any::<bool>());
    let told = (prop::option::of(number()), prop::option::of(number()), prop::option::of(number()));
    (times, told, number(), number(), 0u8..5, 0u8..6).prop_map(
        |((at, span, leaves, full), (said, from, to), kwh, kw, phases, token)| {
            let base = 1_559_520_000_000;
            let arrival = if full { base + at.rem_euclid(1 << 33) } else { at };
            Stay {
                token: (token < 5).then(|| IdToken::new(&format!("T{token}"))),
                arrival: Utc::from_millis(arrival),
                departure: Utc::from_millis(arrival.saturating_add(span)),
                energy_kwh: kwh,
                full,
                declared_kwh: said,
                declared_departure: leaves.map(Utc::from_millis),
                arrival_soc: from,
                target_soc: to,
                most_a: kw,
                phases,
                max_kw: kw,
                ..stay("", 0.0, 1.0, 1.0)
            }
        },
    )
}

/// Takes the stays in one by one, as the controller does, into what a store would hold.
fn written(habits: &mut Habits, stays: &[Stay]) -> BTreeMap<String, String> {
    let mut store = BTreeMap::new();
    for (name, text) in stays.iter().flat_map(|stay| habits.observe(stay)) {
        if text.is_empty() {
            store.remove(&name);
        } else {
            store.insert(name, text);
        }
    }
    store
}

fn read(store: &BTreeMap<String, String>) -> (Habits, Vec<String>) {
    let texts: Vec<(&str, &str)> =
        store.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Habits::remembering(Calendar::new("Europe/Paris"), &texts)
}

#[test]
fn more_stays_and_tokens_than_are_kept_come_back_as_they_were_kept() {
    let stays: Vec<Stay> = (0..1500)
        .map(|number| {
            let arrival = 24.0 * f64::from(number / 10) + f64::from(number % 10);
            stay(&format!("T{}", number % 430), arrival, 2.0 + f64::from(number % 7), 8.0)
        })
        .collect();
    let mut habits = habits();
    let store = written(&mut habits, &stays);
    assert_eq!(store.len(), 600 + 400, "as many as are kept, however many there were");
    assert_eq!(read(&store), (habits, vec![]));
}

#[test]
fn a_text_that_cannot_be_read_costs_only_itself() {
    let mut habits = habits();
    let mut store = written(&mut habits, &[stay("AA", 7.0, 9.0, 8.0), stay("BB", 8.0, 2.0, 5.0)]);
    store.insert("token/aa".to_owned(), "{\"stays\": 7}".to_owned());
    store.insert("stay/001".to_owned(), "moths".to_owned());
    let (habits, unread) = read(&store);
    assert_eq!(unread, ["stay/001", "a driver's habits"]);
    assert_eq!(habits.stays_of(&IdToken::new("AA")), 0);
    assert_eq!(habits.stays_of(&IdToken::new("BB")), 1);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    })]

    #[test]
    fn what_is_written_down_is_what_is_known(
        stays in prop::collection::vec(strange(), 0..60),
    ) {
        let mut habits = habits();
        let store = written(&mut habits, &stays);
        prop_assert_eq!(&habits.texts().into_iter().collect::<BTreeMap<_, _>>(), &store);
        prop_assert_eq!(read(&store), (habits, vec![]));
    }

    #[test]
    fn any_stay_is_survived_and_weights_sum_to_one(
        stays in prop::collection::vec(strange(), 0..60),
        asked in strange(),
        later in 0i64..400_000_000,
        most_kw in number(),
    ) {
        let mut habits = habits();
        stays.iter().for_each(|stay| drop(habits.observe(stay)));
        let question = Question {
            token: asked.token.clone(),
            evse: asked.evse.clone(),
            arrival: asked.arrival,
            now: Utc::from_millis(asked.arrival.as_millis().saturating_add(later)),
            energy_so_far_kwh: asked.energy_kwh,
            declared_kwh: asked.declared_kwh,
            declared_departure: asked.declared_departure,
            most_kw,
        };
        let expected = habits.expect(&question);
        let sum = |weights: Vec<f64>| (weights.iter().sum::<f64>() - 1.0).abs() < 1e-6;
        prop_assert!(sum(expected.departures.iter().map(|(_, weight)| *weight).collect()));
        prop_assert!(sum(expected.energies_kwh.iter().map(|(_, weight)| *weight).collect()));
        prop_assert!(expected.energies_kwh.iter().all(|(kwh, _)| 0.0 <= *kwh && kwh.is_finite()));
        prop_assert!(expected.departures.is_sorted() && expected.energies_kwh.is_sorted());
        let cars = habits.arrivals(question.now, Duration::hours(24), 3);
        prop_assert!(cars.iter().map(|car| car.probability).sum::<f64>() <= 3.0 + 1e-9);
        let text = serde_json::to_string(&habits).expect("plain values");
        let again: Habits = serde_json::from_str(&text).expect("it was written here");
        prop_assert_eq!(serde_json::to_string(&again).expect("plain values"), text);
    }
}

#[test]
fn what_is_kept_stays_small() {
    let mut habits = habits();
    for number in 0..20_000 {
        let token = format!("T{}", number % 1000);
        habits.observe(&stay(&token, f64::from(number) / 10.0, 3.0, 5.0));
    }
    assert!(habits.stays_of(&IdToken::new("T999")) <= 24);
    assert_eq!(habits.stays_of(&IdToken::new("T1")), 0, "longest away");
    assert!(serde_json::to_string(&habits).expect("plain values").len() < 1_300_000);
}
