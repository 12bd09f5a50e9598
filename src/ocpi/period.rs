//! From what a session's meter said to charging periods: a new one wherever what happens changes,
//! or a price does. Energy between two readings is taken to flow evenly.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::ground::time::{Duration, Utc};

use super::decimal::Decimal;
use super::price;
use super::text::{Ci, Time};
use super::wire::session::{ChargingPeriod, Dimension, Measure};
use super::wire::tariff::Tariff;

/// Samples of one session; beyond it every second one that changes nothing is given up.
pub const SAMPLES_MAX: usize = 600;

/// What a car is doing from a sample on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// Energy flows, or could.
    Charging,
    /// The car asks for nothing: parking time.
    Parked,
    /// We let nothing flow: neither charging nor parking, the driver pays for neither.
    Held,
}

/// The meter at one moment and what happens from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Utc,
    /// Energy since the start of the session.
    pub energy_wh: i64,
    /// What happens from here on.
    pub doing: Doing,
}

/// Adds a sample; time and energy never run backwards.
pub fn add(samples: &mut Vec<Sample>, sample: Sample) {
    let Some(last) = samples.last().copied() else {
        samples.push(sample);
        return;
    };
    let at = sample.at.max(last.at);
    let energy_wh = sample.energy_wh.max(last.energy_wh);
    let sample = Sample { at, energy_wh, ..sample };
    // The middle one of three that say the same is not needed.
    if let [.., before, last] = samples.as_slice()
        && before.doing == last.doing
        && last.doing == sample.doing
        && last.at.since(before.at) < Duration::minutes(5)
    {
        samples.pop();
    }
    samples.push(sample);
    if SAMPLES_MAX < samples.len() {
        thin(samples);
    }
}

fn thin(samples: &mut Vec<Sample>) {
    let all = std::mem::take(samples);
    let last = all.len() - 1;
    for (index, sample) in all.iter().enumerate() {
        let changes = index == 0 || all[index - 1].doing != sample.doing;
        if changes || index == last || index % 2 == 0 {
            samples.push(*sample);
        }
    }
}

/// The periods up to `end`, under the tariff that prices them.
pub fn periods(
    samples: &[Sample],
    end: Utc,
    tariff: Option<&Tariff>,
    zone: &TimeZone,
) -> Vec<ChargingPeriod> {
    let Some(first) = samples.first() else { return Vec::new() };
    let begin = Time(first.at);
    let end = Time(end.max(first.at));
    let mut cuts: Vec<(Time, Doing)> = Vec::new();
    for sample in samples {
        if cuts.last().is_none_or(|(_, doing)| *doing != sample.doing) {
            cuts.push((Time(sample.at), sample.doing));
        }
    }
    if let Some(tariff) = tariff {
        let steps = price::energy_steps(tariff);
        let more = price::boundaries(tariff, begin, end, zone)
            .into_iter()
            .chain(steps.into_iter().filter_map(|step| reached(samples, step)));
        for moment in more.filter(|moment| begin < *moment && *moment < end).collect::<Vec<_>>() {
            let doing = doing_at(samples, moment);
            cuts.push((moment, doing));
        }
    }
    cuts.sort_by_key(|(at, _)| *at);
    cuts.dedup_by_key(|(at, _)| *at);
    let id = tariff.map(|tariff| tariff.id.clone());
    let ends = cuts.iter().skip(1).map(|(at, _)| *at).chain([end]);
    cuts.iter()
        .zip(ends)
        .filter(|((from, _), to)| from < to || cuts.len() == 1)
        .map(|((from, doing), to)| period(samples, (*from, to), *doing, id.clone()))
        .collect()
}

fn period(
    samples: &[Sample],
    (from, to): (Time, Time),
    doing: Doing,
    tariff_id: Option<Ci>,
) -> ChargingPeriod {
    let energy = energy_at(samples, to) - energy_at(samples, from);
    let hours = Decimal::new(to.0.since(from.0).as_millis(), 3) / 3600;
    let mut dimensions = vec![Dimension { kind: Measure::Energy, volume: energy.round(4) }];
    let time = match doing {
        Doing::Charging => Some(Measure::Time),
        Doing::Parked => Some(Measure::ParkingTime),
        Doing::Held => None,
    };
    if let Some(kind) = time {
        dimensions.push(Dimension { kind, volume: hours.round(4) });
    }
    ChargingPeriod { start_date_time: from, dimensions, tariff_id }
}

fn doing_at(samples: &[Sample], moment: Time) -> Doing {
    let before = samples.iter().rev().find(|sample| sample.at <= moment.0);
    before.map_or(Doing::Charging, |sample| sample.doing)
}

/// kWh since the start at a moment.
fn energy_at(samples: &[Sample], moment: Time) -> Decimal {
    let at = samples.partition_point(|sample| sample.at <= moment.0);
    let kwh = |wh: i64| Decimal::new(wh, 3);
    match (at.checked_sub(1).and_then(|index| samples.get(index)), samples.get(at)) {
        (Some(before), Some(after)) => {
            let span = after.at.since(before.at).as_millis();
            let part = moment.0.since(before.at).as_millis();
            kwh(before.energy_wh)
                + kwh(after.energy_wh - before.energy_wh) * Decimal::new(part, 0) / span.max(1)
        }
        (Some(last), None) => kwh(last.energy_wh),
        (None, _) => Decimal::ZERO,
    }
}

/// When so many kWh had flowed.
fn reached(samples: &[Sample], step: Decimal) -> Option<Time> {
    let wh = (step * Decimal::new(1000, 0)).as_f64().round() as i64;
    let pair = samples.windows(2).find(|pair| pair[0].energy_wh < wh && wh <= pair[1].energy_wh)?;
    let (from, to) = (pair[0], pair[1]);
    let span = to.at.since(from.at).as_millis();
    let part = span.saturating_mul(wh - from.energy_wh) / (to.energy_wh - from.energy_wh).max(1);
    Some(Time(from.at + Duration::millis(part)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::ocpi::codec;
    use crate::ocpi::price::{Bill, price};

    const START: &str = "2024-03-04T15:30:00Z";

    fn at(minutes: i64) -> Utc {
        Utc::parse(START).unwrap() + Duration::minutes(minutes)
    }

    fn tariff(elements: serde_json::Value) -> Tariff {
        codec::decode(json!({
            "country_code": "FR", "party_id": "AMP", "id": "T", "currency": "EUR",
            "elements": elements, "last_updated": START,
        }))
        .unwrap()
    }

    fn paris() -> TimeZone {
        TimeZone::get("Europe/Paris").unwrap()
    }

    fn bill(tariff: &Tariff, samples: &[Sample], end: Utc) -> price::Totals {
        let zone = paris();
        let periods = periods(samples, end, Some(tariff), &zone);
        let start = Time(samples[0].at);
        price(tariff, &Bill { periods: &periods, start, end: Time(end), zone: &zone })
    }

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn a_price_that_changes_at_five_splits_the_energy_there() {
        let tariff = tariff(json!([
            {"price_components": [{"type": "ENERGY", "price": 0.5, "vat": 20, "step_size": 1}],
             "restrictions": {"start_time": "17:00", "end_time": "20:00"}},
            {"price_components": [{"type": "ENERGY", "price": 0.25, "vat": 20, "step_size": 1}]},
        ]));
        // 16:30 to 17:30 in Paris, 10 kWh evenly.
        let samples = [
            Sample { at: at(0), energy_wh: 0, doing: Doing::Charging },
            Sample { at: at(60), energy_wh: 10_000, doing: Doing::Charging },
        ];
        let totals = bill(&tariff, &samples, at(60));
        assert_eq!(totals.cost.before_taxes, decimal("3.75"));
        assert_eq!(totals.cost.after_taxes, Some(decimal("4.5")));
        assert_eq!(totals.energy, decimal("10"));
    }

    #[test]
    fn a_pause_that_we_caused_is_no_parking() {
        let tariff = tariff(json!([{"price_components": [
            {"type": "PARKING_TIME", "price": 6, "step_size": 1},
            {"type": "TIME", "price": 1, "step_size": 1},
            {"type": "FLAT", "price": 0.5, "step_size": 1},
        ]}]));
        let samples = [
            Sample { at: at(0), energy_wh: 0, doing: Doing::Charging },
            Sample { at: at(60), energy_wh: 5000, doing: Doing::Held },
            Sample { at: at(120), energy_wh: 5000, doing: Doing::Charging },
            Sample { at: at(150), energy_wh: 8000, doing: Doing::Parked },
        ];
        let totals = bill(&tariff, &samples, at(180));
        assert_eq!(totals.time_cost.unwrap().before_taxes, decimal("1.5"));
        assert_eq!(totals.parking_cost.unwrap().before_taxes, decimal("3"));
        assert_eq!(totals.cost.before_taxes, decimal("5"));
        assert_eq!((totals.time, totals.parking_time), (decimal("3"), decimal("0.5")));
        assert_eq!(totals.cost.after_taxes, None, "no VAT was named");
    }

    #[test]
    fn a_step_rounds_up_what_has_a_price_alone() {
        let tariff = tariff(json!([{"price_components": [
            {"type": "PARKING_TIME", "price": 6, "step_size": 3600},
        ]}]));
        let samples = [
            Sample { at: at(0), energy_wh: 0, doing: Doing::Charging },
            Sample { at: at(90), energy_wh: 5000, doing: Doing::Parked },
        ];
        let totals = bill(&tariff, &samples, at(120));
        // Half an hour of parking is one hour; the free time of charging is in no step.
        assert_eq!(totals.parking_cost.unwrap().before_taxes, decimal("6"));
    }

    #[test]
    fn steps_are_billed_once_and_as_a_whole() {
        let tariff = tariff(json!([{"price_components": [
            {"type": "ENERGY", "price": 0.3, "step_size": 1000},
            {"type": "TIME", "price": 6, "step_size": 900},
        ]}]));
        let samples = [
            Sample { at: at(0), energy_wh: 0, doing: Doing::Charging },
            Sample { at: at(20), energy_wh: 4200, doing: Doing::Charging },
        ];
        let totals = bill(&tariff, &samples, at(20));
        assert_eq!(totals.energy_cost.unwrap().before_taxes, decimal("1.5"));
        // The rounding of a third of an hour to four places is billed with the step.
        let time = totals.time_cost.unwrap().before_taxes;
        assert!(decimal("2.999") < time && time < decimal("3.001"), "{time}");
        assert_eq!(totals.energy, decimal("4.2"), "what flowed is told, not what is billed");
    }

    #[test]
    fn the_first_five_kwh_may_have_a_price_of_their_own() {
        let tariff = tariff(json!([
            {"price_components": [{"type": "ENERGY", "price": 1, "step_size": 1}],
             "restrictions": {"max_kwh": 5}},
            {"price_components": [{"type": "ENERGY", "price": 2, "step_size": 1}]},
        ]));
        let samples = [
            Sample { at: at(0), energy_wh: 0, doing: Doing::Charging },
            Sample { at: at(60), energy_wh: 12_000, doing: Doing::Charging },
        ];
        assert_eq!(bill(&tariff, &samples, at(60)).cost.before_taxes, decimal("19"));
    }

    proptest! {
        #[test]
        fn no_energy_is_lost_between_periods(
            steps in prop::collection::vec((1i64..90, 0i64..9000, 0u8..3), 1..40),
        ) {
            let tariff = tariff(json!([
                {"price_components": [{"type": "ENERGY", "price": 1, "step_size": 1}],
                 "restrictions": {"start_time": "18:00", "end_time": "06:00",
                                  "day_of_week": ["MONDAY", "SUNDAY"]}},
                {"price_components": [{"type": "ENERGY", "price": 1, "step_size": 1}]},
            ]));
            let (mut now, mut energy_wh, mut samples) = (at(0), 0, Vec::new());
            add(&mut samples, Sample { at: now, energy_wh, doing: Doing::Charging });
            for (minutes, more, doing) in steps {
                now = now + Duration::minutes(minutes);
                energy_wh += more;
                let doing = [Doing::Charging, Doing::Parked, Doing::Held][doing as usize];
                add(&mut samples, Sample { at: now, energy_wh, doing });
            }
            let all = periods(&samples, now, Some(&tariff), &paris());
            let volumes = all.iter().filter_map(|period| period.volume(&Measure::Energy));
            let sum: Decimal = volumes.sum();
            let off = (sum - Decimal::new(energy_wh, 3)).as_f64().abs();
            prop_assert!(off <= 0.0001 * all.len() as f64, "off by {}", off);
            let mut pairs = all.windows(2);
            prop_assert!(pairs.all(|two| two[0].start_date_time < two[1].start_date_time));
        }
    }
}
