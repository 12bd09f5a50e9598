//! Forecasts learned on site: useful from the second day, corrected through the day, honest about
//! their spread, and never surprised by what comes in.

use ampgate::forecast::load::LoadForecast;
use ampgate::forecast::pv::PvForecast;
use ampgate::ground::calendar::Calendar;
use ampgate::ground::quantiles::Quantiles;
use ampgate::ground::time::{Duration, Utc};
use ampgate::model::feed::Received;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A Monday, midnight UTC.
const MONDAY: &str = "2019-06-03T00:00:00Z";

fn at(hours: f64) -> Utc {
    Utc::parse(MONDAY).expect("a time") + Duration::millis((hours * 3_600_000.0) as i64)
}

/// Power of a clear sky in kW: an arch from 5 to 19 UTC with 20 kW at noon.
fn arch(hours: f64) -> f64 {
    let hour = hours.rem_euclid(24.0);
    20.0 * (std::f64::consts::PI * (hour - 5.0) / 14.0).sin().max(0.0)
        * f64::from(u8::from((5.0..19.0).contains(&hour)))
}

/// Some share between 0 and 1, the same for each number in every run.
fn share(number: u64) -> f64 {
    let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
    (mixed.wrapping_mul(0xD1B5_4A32_D192_ED03) >> 11) as f64 / (1u64 << 53) as f64
}

/// Feeds a plant from one hour to another, each quarter hour.
fn shine(pv: &mut PvForecast, from: f64, until: f64, sky: impl Fn(f64) -> f64) {
    for step in 0..((until - from) * 4.0) as i64 {
        let hours = from + step as f64 / 4.0;
        pv.observe(at(hours), arch(hours) * sky(hours));
    }
}

fn hourly(now: f64, count: i64) -> Vec<Utc> {
    (0..=count).map(|hour| at(now) + Duration::hours(hour)).collect()
}

fn energy(forecast: &[Quantiles]) -> f64 {
    forecast.iter().map(|step| step.mid).sum()
}

#[test]
fn a_plant_that_was_never_seen_gives_nothing_or_everything() {
    let pv = PvForecast::new(30.0);
    for step in pv.forecast(at(0.0), &hourly(0.0, 24)) {
        assert_eq!((step.low, step.mid, step.high), (0.0, 0.0, 30.0));
    }
}

#[test]
fn one_clear_day_is_enough_to_expect_the_next() {
    let mut pv = PvForecast::new(30.0);
    shine(&mut pv, 0.0, 25.0, |_| 1.0);
    let told = energy(&pv.forecast(at(25.0), &hourly(25.0, 24)));
    let clear: f64 = (0..96).map(|step| arch(f64::from(step) / 4.0) / 4.0).sum();
    assert!(0.5 * clear < told && told < 1.1 * clear, "{told} of {clear} kWh");
    let night = pv.forecast(at(25.0), &[at(25.0), at(26.0)]);
    assert!(night[0].mid < 0.1, "{night:?}");
}

#[test]
fn a_dull_morning_lowers_the_afternoon() {
    let mut pv = PvForecast::new(30.0);
    shine(&mut pv, 0.0, 24.0 * 12.0 + 11.0, |hours| if 24.0 * 12.0 <= hours { 0.2 } else { 0.9 });
    let now = 24.0 * 12.0 + 11.0;
    let afternoon = pv.forecast(at(now), &[at(now), at(now + 1.0), at(now + 2.0)]);
    assert!(afternoon[0].mid < 0.45 * arch(now), "{afternoon:?}");
    let mut clear = PvForecast::new(30.0);
    shine(&mut clear, 0.0, now, |_| 0.9);
    let usual = clear.forecast(at(now), &hourly(now, 2));
    assert!(0.75 * arch(now + 0.5) < usual[0].mid, "{usual:?}");
}

#[test]
fn one_in_ten_comes_below_the_low_value_and_one_in_ten_above_the_high() {
    let mut pv = PvForecast::new(30.0);
    shine(&mut pv, 0.0, 24.0 * 80.0, |hours| {
        let day = share((hours / 24.0) as u64);
        let hour = share(1_000_000 + hours as u64);
        (0.25 + 0.6 * day + 0.3 * (hour - 0.5)).clamp(0.05, 1.0)
    });
    for (hours, lead) in pv.record().leads() {
        assert!(300.0 < lead.count, "{hours} h: {lead:?}");
        assert!((0.06..0.14).contains(&lead.below_low), "{hours} h: {lead:?}");
        assert!((0.06..0.14).contains(&lead.above_high), "{hours} h: {lead:?}");
        assert!(lead.mean_abs_kw < lead.yardstick_kw, "{hours} h: {lead:?}");
    }
    assert!(pv.record().words().starts_with("1 h ahead off by "), "{}", pv.record().words());
}

/// Mean absolute error of a day ahead in kW, with a received forecast that is off by `wrong`.
fn blended(wrong: impl Fn(u64) -> f64) -> f64 {
    let sky = |hours: f64| 0.2 + 0.8 * share((hours / 24.0) as u64);
    let mut pv = PvForecast::new(30.0);
    let mut errors = (0.0, 0.0);
    for day in 0..36u64 {
        let now = day as f64 * 24.0 + 4.0;
        shine(&mut pv, now - 24.0 + 4.0 * f64::from(u8::from(day == 0)), now, sky);
        let steps = (0..48).map(|hour| {
            let hours = now + f64::from(hour);
            let number = (hours / 24.0) as u64;
            (at(hours), arch(hours + 0.5) * (sky(hours) + wrong(number)).max(0.0))
        });
        pv.receive(Received::new("weather service", at(now), steps.collect()));
        if 18 <= day {
            let told = pv.forecast(at(now), &hourly(now, 24));
            for (step, told) in told.iter().enumerate() {
                let hours = now + step as f64;
                errors.0 += (told.mid - arch(hours + 0.5) * sky(hours)).abs();
                errors.1 += 1.0;
            }
        }
    }
    errors.0 / errors.1
}

#[test]
fn a_received_forecast_counts_by_what_it_proved() {
    let good = blended(|_| 0.0);
    let bad = blended(|day| if share(7 * day) < 0.5 { 0.9 } else { -0.6 });
    let mut alone = PvForecast::new(30.0);
    shine(&mut alone, 0.0, 24.0 * 36.0, |hours| 0.2 + 0.8 * share((hours / 24.0) as u64));
    let alone = alone.record().leads().last().map(|(_, lead)| lead.mean_abs_kw);
    assert!(good < 0.7, "a perfect one is believed: off by {good} kW");
    assert!(bad < 4.2, "a useless one is not: off by {bad} kW, alone {alone:?}");
}

/// An office in Paris: 2 kW at night and at the weekend, 10 kW on workdays from 8 to 18 local.
fn office(hours: f64, holiday: Option<u64>) -> f64 {
    let local = hours + 2.0;
    let day = (local / 24.0) as u64;
    let works = day % 7 < 5 && holiday != Some(day);
    let hour = local.rem_euclid(24.0);
    if works && (8.0..18.0).contains(&hour) { 10.0 } else { 2.0 }
}

fn work(load: &mut LoadForecast, until: f64, of: impl Fn(f64) -> f64) {
    for step in 0..(until * 4.0) as i64 {
        let hours = step as f64 / 4.0;
        load.observe(at(hours), of(hours));
    }
}

#[test]
fn a_building_is_known_by_weekday_and_hour() {
    let mut load = LoadForecast::new(Calendar::new("Europe/Paris"), 20.0);
    // Three weeks, until Friday noon.
    let now = 24.0 * (21.0 - 3.0) + 10.0;
    work(&mut load, now, |hours| office(hours, None));
    let told = load.forecast(at(now), &hourly(now, 24 * 4));
    for (hour, told) in told.iter().enumerate().skip(1) {
        let is = office(now + hour as f64 + 0.5, None);
        assert!((told.mid - is).abs() < 0.8, "{hour} h ahead: {told:?}, {is} kW");
    }
}

#[test]
fn a_holiday_is_taken_for_one_once_it_has_begun() {
    let mut load = LoadForecast::new(Calendar::new("Europe/Paris"), 20.0);
    let day = 24;
    let now = 24.0 * f64::from(day) + 9.0;
    work(&mut load, now, |hours| office(hours, Some(day as u64)));
    let told = load.forecast(at(now), &hourly(now, 6));
    assert!(told[2].mid < 4.0, "{told:?}");
    // The day after is a workday again.
    let next = load.forecast(at(now), &[at(now + 24.0), at(now + 25.0)]);
    assert!(7.0 < next[0].mid, "{next:?}");
}

#[test]
fn a_hot_day_is_followed_through_the_day() {
    let mut load = LoadForecast::new(Calendar::new("Europe/Paris"), 20.0);
    let now = 24.0 * 21.0 + 10.0;
    work(&mut load, now, |hours| office(hours, None) + if 24.0 * 21.0 < hours { 3.0 } else { 0.0 });
    let told = load.forecast(at(now), &hourly(now, 4));
    assert!(11.5 < told[1].mid && told[1].mid < 14.0, "{told:?}");
}

#[test]
fn a_building_that_was_just_met_stays_as_it_is() {
    let mut load = LoadForecast::new(Calendar::new("Europe/Paris"), 20.0);
    load.observe(at(0.0), 4.0);
    let told = load.forecast(at(0.1), &hourly(0.1, 8));
    assert!(told.iter().all(|step| (step.mid - 4.0).abs() < 0.2), "{told:?}");
    assert_eq!(told[7].high, 20.0);
}

/// Times and powers as no meter should send them.
fn garbage() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let time = prop_oneof![
        8 => 0i64..20_000_000_000,
        1 => any::<i64>(),
    ];
    let power = prop_oneof![
        8 => -5.0..50.0f64,
        1 => any::<f64>(),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
    ];
    proptest::collection::vec((time, power), 0..120)
}

fn is_ordered(forecast: &[Quantiles]) -> bool {
    let ordered =
        |step: &Quantiles| 0.0 <= step.low && step.low <= step.mid && step.mid <= step.high;
    forecast.iter().all(|step| ordered(step) && step.high.is_finite())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nothing_that_is_measured_or_received_surprises(
        readings in garbage(),
        received in garbage(),
        sorted in any::<bool>(),
        now in prop_oneof![0i64..20_000_000_000, any::<i64>()],
    ) {
        let mut readings = readings;
        if sorted {
            readings.sort_by_key(|(at, _)| *at);
        }
        let mut pv = PvForecast::new(10.0);
        let mut load = LoadForecast::new(Calendar::new("Europe/Paris"), 10.0);
        let steps: Vec<(Utc, f64)> =
            received.iter().map(|(at, kw)| (Utc::from_millis(*at), *kw)).collect();
        for (index, (millis, kw)) in readings.iter().enumerate() {
            pv.observe(Utc::from_millis(*millis), *kw);
            load.observe(Utc::from_millis(*millis), *kw);
            if index % 50 == 7 {
                pv.receive(Received::new("odd", Utc::from_millis(*millis), steps.clone()));
                load.receive(Received::new("odd", Utc::from_millis(*millis), steps.clone()));
            }
        }
        let now = Utc::from_millis(now);
        let grid: Vec<Utc> = (0..30).map(|step| now + Duration::minutes(20 * step)).collect();
        for forecast in [pv.forecast(now, &grid), load.forecast(now, &grid)] {
            prop_assert_eq!(forecast.len(), 29);
            prop_assert!(is_ordered(&forecast), "{:?}", forecast);
        }
        prop_assert_eq!(is_kept(&pv, now, |pv, grid| pv.forecast(now, grid)), Ok(()));
        prop_assert_eq!(is_kept(&load, now, |load, grid| load.forecast(now, grid)), Ok(()));
    }
}

/// Whether a state says the same after it was written down and read again.
fn is_kept<T: Serialize + DeserializeOwned>(
    state: &T,
    now: Utc,
    forecast: impl Fn(&T, &[Utc]) -> Vec<Quantiles>,
) -> Result<(), String> {
    let text = serde_json::to_string(state).expect("plain values");
    let again: T = serde_json::from_str(&text).expect("it was written here");
    let grid: Vec<Utc> = (0..40).map(|step| now + Duration::minutes(25 * step)).collect();
    let near = |one: f64, other: f64| (one - other).abs() <= 1e-6 * one.abs().max(1.0);
    let same = |(one, other): (Quantiles, Quantiles)| {
        near(one.low, other.low) && near(one.mid, other.mid) && near(one.high, other.high)
    };
    if 60_000 < text.len() {
        return Err(format!("{} bytes", text.len()));
    }
    let pairs = forecast(state, &grid).into_iter().zip(forecast(&again, &grid));
    match pairs.into_iter().find(|pair| !same(*pair)) {
        Some((one, other)) => Err(format!("{one:?} became {other:?}")),
        None => Ok(()),
    }
}

#[test]
fn what_is_learned_stays_small_and_survives_its_text() {
    let now = at(24.0 * 62.0 + 0.1);
    let mut pv = PvForecast::new(30.0);
    shine(&mut pv, 0.0, 24.0 * 62.0, |hours| share(hours as u64));
    assert_eq!(is_kept(&pv, now, |pv, grid| pv.forecast(now, grid)), Ok(()));
    let mut load = LoadForecast::new(Calendar::new("Europe/Paris"), 20.0);
    work(&mut load, 24.0 * 62.0, |hours| 10.0 * share(hours as u64));
    assert_eq!(is_kept(&load, now, |load, grid| load.forecast(now, grid)), Ok(()));
}
