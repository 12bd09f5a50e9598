//! What a session costs: periods priced by a tariff (OCPI 2.2.1 and 2.3.0, module Tariffs).
//!
//! Of each dimension the first element that fits prices a period; what no element prices is free.
//! Step sizes are billed once for a session, at its end. Totals are exact; only what is written
//! into a CDR is rounded.

use jiff::Timestamp;
use jiff::civil::Time as Clock;
use jiff::tz::TimeZone;

use super::decimal::Decimal;
use super::text::Time;
use super::wire::session::{ChargingPeriod, Measure};
use super::wire::tariff::{DimensionKind, Price, PriceComponent, Restrictions, Tariff};

/// Places of the amounts in a CDR.
const PLACES: u32 = 4;

/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// What a session comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// kWh.
    pub energy: Decimal,
    /// Hours from start to end.
    pub time: Decimal,
    /// Hours in which the car asked for nothing.
    pub parking_time: Decimal,
    /// All of it.
    pub cost: Price,
    /// Once; none where nothing was priced so.
    pub fixed: Option<Price>,
    /// By energy.
    pub energy_cost: Option<Price>,
    /// By time charging.
    pub time_cost: Option<Price>,
    /// By time parked.
    pub parking_cost: Option<Price>,
}

/// A session as it is priced.
#[derive(Clone, Copy, Debug)]
pub struct Bill<'a> {
    /// In order.
    pub periods: &'a [ChargingPeriod],
    /// When the first began.
    pub start: Time,
    /// When the last ended.
    pub end: Time,
    /// Of the location.
    pub zone: &'a TimeZone,
}

/// What is known at the beginning of a period.
struct Moment {
    local: jiff::Zoned,
    energy: Decimal,
    elapsed_s: i64,
    power: Option<Decimal>,
    current: Option<Decimal>,
}

/// One dimension while it is summed: the amounts, and what the last step rounds up.
#[derive(Default)]
struct Sum {
    price: Option<Price>,
    volume: Decimal,
    /// The part of the volume that has a price: steps round this up, and not what is free.
    priced: Decimal,
}

impl Sum {
    fn add(&mut self, component: &PriceComponent, volume: Decimal) {
        self.priced += volume;
        let before = component.price * volume;
        let after = component.vat.map(|vat| before + before * vat / 100);
        let sum = self
            .price
            .get_or_insert(Price { before_taxes: Decimal::ZERO, after_taxes: Some(Decimal::ZERO) });
        sum.before_taxes += before;
        sum.after_taxes = sum.after_taxes.zip(after).map(|(sum, after)| sum + after);
    }
}

/// Prices a session by one tariff.
pub fn price(tariff: &Tariff, bill: &Bill<'_>) -> Totals {
    let (mut energy, mut time, mut parking) = (Sum::default(), Sum::default(), Sum::default());
    let mut fixed = Sum::default();
    let (mut last_energy, mut last_time) = (None, None);
    for (index, period) in bill.periods.iter().enumerate() {
        let moment = moment(bill, index, energy.volume);
        let find = |kind: DimensionKind| component(tariff, &kind, &moment);
        if fixed.price.is_none()
            && let Some(flat) = find(DimensionKind::Flat)
        {
            fixed.add(flat, Decimal::new(1, 0));
        }
        if let Some(volume) = period.volume(&Measure::Energy) {
            energy.volume += volume;
            let found = find(DimensionKind::Energy);
            if let Some(found) = found {
                energy.add(found, volume);
            }
            last_energy = found.or(last_energy);
        }
        if let Some(volume) = period.volume(&Measure::Time) {
            time.volume += volume;
            let found = find(DimensionKind::Time);
            if let Some(found) = found {
                time.add(found, volume);
                last_time = Some((found, false));
            }
        }
        if let Some(volume) = period.volume(&Measure::ParkingTime) {
            parking.volume += volume;
            let found = find(DimensionKind::ParkingTime);
            if let Some(found) = found {
                parking.add(found, volume);
                last_time = Some((found, true));
            }
        }
    }
    if let Some(last) = last_energy {
        let step = Decimal::new(last.step_size, 3);
        energy.add(last, energy.priced.round_up_to(step) - energy.priced);
    }
    if let Some((last, is_parking)) = last_time {
        let seconds = (time.priced + parking.priced) * Decimal::new(3600, 0);
        let seconds = seconds.round(3);
        let more = seconds.round_up_to(Decimal::new(last.step_size, 0)) - seconds;
        let sum = if is_parking { &mut parking } else { &mut time };
        sum.add(last, more / 3600);
    }
    let length = bill.end.0.since(bill.start.0).as_millis().max(0);
    let cost = limited(tariff, total(&[&fixed, &energy, &time, &parking]));
    Totals {
        energy: energy.volume.round(PLACES),
        time: (Decimal::new(length, 3) / 3600).round(PLACES),
        parking_time: parking.volume.round(PLACES),
        cost: rounded(cost),
        fixed: fixed.price.map(rounded),
        energy_cost: energy.price.map(rounded),
        time_cost: time.price.map(rounded),
        parking_cost: parking.price.map(rounded),
    }
}

fn moment(bill: &Bill<'_>, index: usize, energy: Decimal) -> Moment {
    let period = &bill.periods[index];
    let begins = period.start_date_time.0;
    let either = |one: Measure, other: Measure| period.volume(&one).or(period.volume(&other));
    Moment {
        local: local(period.start_date_time, bill.zone),
        energy,
        elapsed_s: begins.since(bill.start.0).as_seconds(),
        power: either(Measure::MaxPower, Measure::MinPower),
        current: either(Measure::MaxCurrent, Measure::MinCurrent),
    }
}

fn local(time: Time, zone: &TimeZone) -> jiff::Zoned {
    let stamp = Timestamp::from_millisecond(time.0.as_millis()).unwrap_or_default();
    stamp.to_zoned(zone.clone())
}

fn total(sums: &[&Sum]) -> Price {
    let mut total = Price { before_taxes: Decimal::ZERO, after_taxes: Some(Decimal::ZERO) };
    let mut priced = false;
    for price in sums.iter().filter_map(|sum| sum.price) {
        priced = true;
        total.before_taxes += price.before_taxes;
        total.after_taxes = total.after_taxes.zip(price.after_taxes).map(|(sum, more)| sum + more);
    }
    if priced { total } else { Price { before_taxes: Decimal::ZERO, after_taxes: None } }
}

fn limited(tariff: &Tariff, cost: Price) -> Price {
    let mut cost = cost;
    if let Some(least) = tariff.min_price {
        cost.before_taxes = cost.before_taxes.max(least.before_taxes);
        let both = cost.after_taxes.zip(least.after_taxes);
        cost.after_taxes = both.map(|(cost, least)| cost.max(least)).or(cost.after_taxes);
    }
    if let Some(most) = tariff.max_price {
        cost.before_taxes = cost.before_taxes.min(most.before_taxes);
        let both = cost.after_taxes.zip(most.after_taxes);
        cost.after_taxes = both.map(|(cost, most)| cost.min(most)).or(cost.after_taxes);
    }
    cost
}

fn rounded(price: Price) -> Price {
    Price {
        before_taxes: price.before_taxes.round(PLACES),
        after_taxes: price.after_taxes.map(|after| after.round(PLACES)),
    }
}

/// The component of the first element that fits and prices this dimension.
fn component<'a>(
    tariff: &'a Tariff,
    kind: &DimensionKind,
    moment: &Moment,
) -> Option<&'a PriceComponent> {
    tariff.elements.iter().find_map(|element| {
        if !element.restrictions.as_ref().is_none_or(|wanted| fits(wanted, moment)) {
            return None;
        }
        element.price_components.iter().find(|component| &component.kind == kind)
    })
}

fn fits(wanted: &Restrictions, moment: &Moment) -> bool {
    let least = |bound: Option<Decimal>, value: Option<Decimal>| {
        bound.is_none_or(|bound| value.is_some_and(|value| bound <= value))
    };
    let below = |bound: Option<Decimal>, value: Option<Decimal>| {
        bound.is_none_or(|bound| value.is_some_and(|value| value < bound))
    };
    wanted.reservation.is_none()
        && fits_calendar(wanted, moment)
        && least(wanted.min_kwh, Some(moment.energy))
        && below(wanted.max_kwh, Some(moment.energy))
        && least(wanted.min_power, moment.power)
        && below(wanted.max_power, moment.power)
        && least(wanted.min_current, moment.current)
        && below(wanted.max_current, moment.current)
        && wanted.min_duration.is_none_or(|least| least <= moment.elapsed_s)
        && wanted.max_duration.is_none_or(|most| moment.elapsed_s < most)
}

fn fits_calendar(wanted: &Restrictions, moment: &Moment) -> bool {
    let today = moment.local.date().to_string();
    let clock = moment.local.time();
    let second =
        i64::from(clock.hour()) * 3600 + i64::from(clock.minute()) * 60 + i64::from(clock.second());
    let start = wanted.start_time.as_deref().and_then(second_of_day);
    // Midnight as an end is the end of the day.
    let end = wanted.end_time.as_deref().and_then(second_of_day);
    let end = end.map(|end| if end == 0 { DAY_S } else { end });
    let in_time = match (start, end) {
        (Some(start), Some(end)) if end <= start => start <= second || second < end,
        (start, end) => {
            start.is_none_or(|start| start <= second) && end.is_none_or(|end| second < end)
        }
    };
    let weekday = weekday(&moment.local);
    let in_week = wanted.day_of_week.is_empty()
        || wanted.day_of_week.iter().any(|day| day.eq_ignore_ascii_case(weekday));
    in_time
        && in_week
        && wanted.start_date.as_ref().is_none_or(|start| start.as_str() <= today.as_str())
        && wanted.end_date.as_ref().is_none_or(|end| today.as_str() < end.as_str())
}

fn weekday(local: &jiff::Zoned) -> &'static str {
    const DAYS: [&str; 7] =
        ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
    DAYS[usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0)]
}

/// `HH:MM` as seconds since midnight.
pub fn second_of_day(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.get(..2)?.parse().ok()?);
    ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some(hour * 3600 + minute * 60)
}

/// The moments strictly between two at which a restriction of the calendar may change, in order: a
/// period must end there, because its price may.
pub fn boundaries(tariff: &Tariff, from: Time, to: Time, zone: &TimeZone) -> Vec<Time> {
    /// A session of a month; longer ones keep their last periods whole.
    const DAYS_MAX: usize = 31;
    let restrictions = || tariff.elements.iter().filter_map(|found| found.restrictions.as_ref());
    let mut seconds: Vec<i64> = restrictions()
        .flat_map(|found| [found.start_time.as_deref(), found.end_time.as_deref()])
        .filter_map(|text| second_of_day(text?))
        .collect();
    let by_day = |found: &Restrictions| {
        !found.day_of_week.is_empty() || found.start_date.is_some() || found.end_date.is_some()
    };
    if restrictions().any(by_day) {
        seconds.push(0);
    }
    seconds.sort_unstable();
    seconds.dedup();
    let mut found = Vec::new();
    let mut day = local(from, zone).date();
    let last = local(to, zone).date();
    for _ in 0..DAYS_MAX {
        for second in &seconds {
            let (hour, minute) = ((second / 3600) as i8, (second / 60 % 60) as i8);
            let Ok(clock) = Clock::new(hour, minute, 0, 0) else { continue };
            let Ok(zoned) = day.to_datetime(clock).to_zoned(zone.clone()) else { continue };
            let moment = crate::ground::time::Utc::from_millis(zoned.timestamp().as_millisecond());
            if from.0 < moment && moment < to.0 {
                found.push(Time(moment));
            }
        }
        match day.tomorrow() {
            Ok(next) if next <= last => day = next,
            _ => break,
        }
    }
    for seconds in restrictions().flat_map(|found| [found.min_duration, found.max_duration]) {
        let Some(seconds) = seconds else { continue };
        let moment = from.0 + crate::ground::time::Duration::seconds(seconds);
        if from.0 < moment && moment < to.0 {
            found.push(Time(moment));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The energies (kWh from the start) at which a restriction may change.
pub fn energy_steps(tariff: &Tariff) -> Vec<Decimal> {
    let restrictions = tariff.elements.iter().filter_map(|found| found.restrictions.as_ref());
    let mut steps: Vec<Decimal> =
        restrictions.flat_map(|found| [found.min_kwh, found.max_kwh]).flatten().collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}
