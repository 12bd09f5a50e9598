//! Cars that are to come: how many came at this hour of such a day, how long they stayed, what
//! they took.

use std::collections::VecDeque;

use crate::ground::calendar::Calendar;
use crate::ground::time::{Duration, Utc};

use super::stay::Past;

/// A car that may come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectedArrival {
    /// About when it comes.
    pub from: Utc,
    /// About when it leaves.
    pub until: Utc,
    /// What it takes, in kWh.
    pub kwh: f64,
    /// The most power it takes, in kW.
    pub max_kw: f64,
    /// How likely it comes, 0 to 1.
    pub probability: f64,
}

/// Days that are looked back over.
const DAYS: i64 = 56;
/// A car that comes on fewer than one in so many such days is not expected.
const PROBABILITY_MIN: f64 = 0.15;
/// Cars that are expected in one hour at most.
const PER_HOUR_MAX: usize = 8;

/// What is seen of one hour.
#[derive(Clone, Copy, Default)]
struct Hour {
    weight: f64,
    minutes: f64,
    kwh: f64,
    kw: f64,
}

/// The cars to come within the horizon, in order of time, together no more than EVSEs are free.
pub fn expect(
    calendar: &Calendar,
    site: &VecDeque<Past>,
    now: Utc,
    horizon: Duration,
    free: usize,
) -> Vec<ExpectedArrival> {
    let hours = (horizon.as_millis() / 3_600_000).clamp(0, 48);
    let oldest = site.front().map(|past| now.since(past.arrival).as_hours() / 24.0);
    let days = oldest.unwrap_or(0.0).clamp(0.0, DAYS as f64);
    let mut found = Vec::new();
    let mut expected = 0.0;
    for hour in 0..hours {
        let at = now + Duration::hours(hour) + Duration::minutes(30);
        let seen = look_back(calendar, site, at, days);
        if seen.weight <= 0.0 {
            continue;
        }
        let per = |sum: f64| sum / seen.weight;
        let mut rate = seen.weight;
        for _ in 0..PER_HOUR_MAX {
            let probability = rate.min(1.0).min(free as f64 - expected);
            if probability < PROBABILITY_MIN {
                break;
            }
            expected += probability;
            rate -= probability;
            found.push(ExpectedArrival {
                from: at,
                until: at + Duration::millis((per(seen.minutes) * 60_000.0) as i64),
                kwh: per(seen.kwh),
                max_kw: per(seen.kw),
                probability,
            });
        }
    }
    found
}

/// Arrivals per day at this local hour on days of this kind, half by the same weekday alone.
fn look_back(calendar: &Calendar, site: &VecDeque<Past>, at: Utc, days: f64) -> Hour {
    let wanted = calendar.local(at);
    let kinds = if wanted.weekday < 5 { 5.0 } else { 2.0 };
    // Days of each kind that were seen.
    let (same, kind) = (days / 7.0, days * kinds / 7.0);
    let mut hour = Hour::default();
    if same < 0.5 {
        return hour;
    }
    for past in site.iter().rev() {
        let age = at.since(past.arrival).as_hours() / 24.0;
        if days.max(1.0) + 2.0 < age || age <= 0.0 {
            continue;
        }
        let apart = (past.minute.clamp(0, 1439) - wanted.minute + 720).rem_euclid(1440) - 720;
        if !(-30..30).contains(&apart) || (past.weekday < 5) != (wanted.weekday < 5) {
            continue;
        }
        let own = if past.weekday == wanted.weekday { 0.5 / same.max(1.0) } else { 0.0 };
        let weight = own + 0.5 / kind.max(1.0);
        hour.weight += weight;
        hour.minutes += weight * past.stay_min;
        hour.kwh += weight * past.kwh;
        hour.kw += weight * past.max_kw;
    }
    hour
}
