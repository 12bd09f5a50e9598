//! Plans in sentences that a driver and an electrician understand; times are those of the site.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::ground::time::Utc;

use super::problem::{Car, CarKind, Problem};
use super::solution::{CarPlan, Method, Plan, Reason};

/// Energy below this is not worth a word, in kWh.
const NOTHING_KWH: f64 = 0.05;

/// How times are told: in the zone of the site, with the day where it is not today.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: TimeZone,
    today: Utc,
}

impl Clock {
    /// The clock on the wall of the site when the problem was posed.
    pub fn new(problem: &Problem) -> Self {
        let zone = TimeZoneDatabase::bundled().get(&problem.zone).unwrap_or(TimeZone::UTC);
        Self { zone, today: problem.grid.first().copied().unwrap_or_default() }
    }

    /// `11:40`, or `Thu 07:00` on another day.
    pub fn time(&self, time: Utc) -> String {
        let local = |time: Utc| {
            let stamp = jiff::Timestamp::from_millisecond(time.as_millis()).ok()?;
            Some(stamp.to_zoned(self.zone.clone()))
        };
        match (local(time), local(self.today)) {
            (Some(time), Some(today)) if time.date() == today.date() => {
                time.strftime("%H:%M").to_string()
            }
            (Some(time), _) => time.strftime("%a %H:%M").to_string(),
            _ => time.to_text(),
        }
    }
}

/// A reason in words.
pub fn reason(reason: &Reason, clock: &Clock) -> String {
    match reason {
        Reason::Breaker { node, phase: Some(phase) } => format!("breaker {node}, phase {phase}"),
        Reason::Breaker { node, phase: None } => format!("power limit of {node}"),
        Reason::Most { cause } | Reason::Limit { cause } => cause.clone(),
        Reason::Sun { until } => format!("waiting for sun until {}", clock.time(*until)),
        Reason::Price { until } => format!("cheaper from {} on", clock.time(*until)),
        Reason::Peak => String::from("the highest import of the month would rise"),
        Reason::Enough => String::from("it has all it needs"),
        Reason::Minimum => String::from("less than its least current is left"),
        Reason::Away => String::from("the car is not there"),
    }
}

/// What a car will get and why, in a sentence.
pub fn car(car: &Car, plan: &CarPlan, clock: &Clock) -> String {
    let who = match car.kind {
        CarKind::Present => "",
        CarKind::Reserved => "reserved: ",
        CarKind::Expected => "expected: ",
    };
    let Some(need) = main_need(car) else {
        return format!("{who}nothing is asked for");
    };
    let by = clock.time(need.by.min(car.until));
    let why = match plan.reasons.iter().find(|reason| **reason != Reason::Away) {
        Some(first) => reason(first, clock),
        None => String::from("the car is not there"),
    };
    let amount = format!("{who}{:.1} kWh by {by} ({})", need.kwh, need.cause);
    let missing = need_missing(car, plan);
    if NOTHING_KWH < missing {
        let stop = plan.reasons.iter().find(|reason| {
            matches!(
                reason,
                Reason::Breaker { .. } | Reason::Limit { .. } | Reason::Most { .. } | Reason::Peak
            )
        });
        let stop = stop.map_or(why, |stop| reason(stop, clock));
        return format!("{amount}: {missing:.1} kWh will be missing; {stop}");
    }
    match plan.current_a.first() {
        Some(now) if 0.0 < *now => format!("{amount}: charges now with {now:.1} A; {why}"),
        _ => format!("{amount}: {why}"),
    }
}

/// The need that is told: the dearest to miss, else the last.
fn main_need(car: &Car) -> Option<&super::problem::Need> {
    car.needs.iter().max_by(|one, other| {
        one.eur_per_kwh.total_cmp(&other.eur_per_kwh).then(one.by.cmp(&other.by))
    })
}

fn need_missing(car: &Car, plan: &CarPlan) -> f64 {
    let told = main_need(car);
    let found = car.needs.iter().zip(&plan.missing_kwh).find(|(need, _)| Some(*need) == told);
    found.map_or(0.0, |(_, missing)| *missing)
}

/// The whole plan in a few sentences.
pub fn plan(problem: &Problem, plan: &Plan, sun_kwh: f64, clock: &Clock) -> String {
    let hours: Vec<f64> =
        plan.grid.windows(2).map(|pair| pair[1].since(pair[0]).as_hours()).collect();
    let energy = |car: &CarPlan| car.power_kw.iter().zip(&hours).map(|(kw, h)| kw * h).sum::<f64>();
    let total: f64 = plan.cars.iter().map(energy).sum();
    let short: Vec<&str> = problem
        .cars
        .iter()
        .zip(&plan.cars)
        .filter(|(car, planned)| NOTHING_KWH < need_missing(car, planned))
        .map(|(car, _)| car.evse.as_str())
        .collect();
    let cars = match plan.cars.len() {
        0 => return String::from("No car is there or expected."),
        1 => String::from("1 car"),
        count => format!("{count} cars"),
    };
    let mut words =
        format!("{cars}: {total:.1} kWh are planned, {sun_kwh:.1} kWh of it from the sun.");
    match short.as_slice() {
        [] => words.push_str(" Nobody is short."),
        [one] => words.push_str(&format!(" {one} is short.")),
        [one, rest @ ..] => words.push_str(&format!(" {one} and {} more are short.", rest.len())),
    }
    let highest = plan.import_kw.iter().copied().fold(0.0, f64::max);
    let first = plan.import_kw.iter().enumerate().find(|(_, kw)| highest - 0.05 <= **kw);
    if let Some((step, kw)) = first.filter(|(_, kw)| 0.0 < **kw) {
        let at = clock.time(plan.grid[step]);
        words.push_str(&format!(" Highest import {kw:.1} kW at {at}."));
    }
    words.push_str(match plan.method {
        Method::Greedy => " Found by least time to spare.",
        Method::Flow => " Found by flow.",
        Method::Program => " Found by the linear program.",
        Method::Rule => " Sun first, else as late as possible.",
    });
    words
}
