//! The weather, the building and the twelve drivers of the demonstration: made up, the same each
//! time, a month long.

use std::collections::BTreeMap;

use crate::ground::series::Series;
use crate::ground::time::{Duration, Utc};
use crate::ground::units::Amps;
use crate::model::diagram::EquipmentKind;
use crate::model::site::Site;
use crate::twin::random::Random;
use crate::twin::scenario::{Behaviour, CarModel, MeterModel, Scenario, Visit};

use super::upstream::APP_EVSE;

/// Days that the demonstration can run before everything has happened.
const DAYS: i64 = 31;

/// Sunrise and sunset of a day in May in central Europe, in minutes after midnight UTC.
const SUN: (i64, i64) = (4 * 60 + 10, 19 * 60 + 20);

/// The site from midnight UTC of `midnight` on.
pub fn scenario(site: &Site, midnight: Utc) -> Scenario {
    let mut random = Random::new(20_190_513);
    let mut visits = Vec::new();
    for day in 0..DAYS {
        let midnight = midnight + Duration::hours(24 * day);
        for evse in 0..site.diagram.evses.len() {
            visits.push(visit(site, evse, midnight, &mut random));
        }
    }
    let mut power = BTreeMap::new();
    for item in &site.diagram.equipment {
        let series = match item.kind {
            EquipmentKind::Pv => sun(midnight, item.peak.as_f64(), &mut random),
            EquipmentKind::Load | EquipmentKind::Battery => building(midnight, &mut random),
        };
        power.insert(item.id.clone(), series);
    }
    let behave = |_| Behaviour { reaction: Duration::seconds(2), ..Behaviour::default() };
    Scenario {
        seed: 1,
        visits,
        power,
        chargers: site
            .diagram
            .charge_points()
            .into_iter()
            .map(|id| (id.clone(), behave(id)))
            .collect(),
        meters: MeterModel { interval: Duration::seconds(4), ..MeterModel::default() },
        ..Scenario::default()
    }
}

/// Drivers come between seven and nine, some at noon, and stay for five to nine hours.
fn visit(site: &Site, evse: usize, midnight: Utc, random: &mut Random) -> Visit {
    let late = random.chance(0.15);
    let from = if late { Duration::hours(9) } else { Duration::minutes(4 * 60 + 50) };
    let arrival = midnight + random.span(from, from + Duration::minutes(130));
    let stay = random.span(Duration::hours(5), Duration::hours(9));
    let wired = site.diagram.evses[evse].wiring.len();
    let phases = if wired == 3 && random.chance(0.7) { 3 } else { 1 };
    let most = if phases == 3 { Amps::new(16) } else { Amps::new(32) };
    Visit {
        evse,
        // The driver who has only an app presents nothing: the operator starts that session.
        token: match site.diagram.evses[evse].id.as_str() {
            APP_EVSE => String::new(),
            _ => format!("04DE{:06X}", 0x1A2B * (evse as u64 + 3)),
        },
        arrival,
        departure: arrival + stay,
        car: CarModel {
            phases,
            max_a: most.min(site.diagram.evses[evse].rated).as_f64(),
            need_wh: 1000.0 * (7.0 + 24.0 * random.unit() * (wired as f64 / 3.0).max(0.5)),
            taper_wh: 2500.0,
            start_delay: random.span(Duration::seconds(3), Duration::seconds(12)),
        },
        declared: None,
    }
}

/// A clear-sky bell with clouds that come and go; power of generation is negative.
fn sun(midnight: Utc, peak_w: f64, random: &mut Random) -> Series<f64> {
    const STEP: i64 = 2;
    let mut steps = Vec::new();
    let mut cloud: f64 = 0.2;
    for day in 0..DAYS {
        let grey = random.unit() * 0.5;
        for minute in (0..24 * 60).step_by(STEP as usize) {
            cloud = (cloud + (random.unit() - 0.5) * 0.16 + (grey - cloud) * 0.05).clamp(0.0, 0.85);
            let share = (minute - SUN.0) as f64 / (SUN.1 - SUN.0) as f64;
            let clear = if (0.0..=1.0).contains(&share) {
                (share * std::f64::consts::PI).sin().powf(1.4)
            } else {
                0.0
            };
            let time = midnight + Duration::hours(24 * day) + Duration::minutes(minute);
            steps.push((time, -peak_w * 0.86 * clear * (1.0 - cloud)));
        }
    }
    Series::new(steps)
}

/// Lighting and ventilation: little at night, more while people are there.
fn building(midnight: Utc, random: &mut Random) -> Series<f64> {
    let quarters = 0..DAYS * 96;
    let step = |quarter: i64| {
        let hour = (quarter % 96) / 4;
        let busy = if (5..17).contains(&hour) { 3500.0 } else { 900.0 };
        (midnight + Duration::minutes(15 * quarter), busy + 900.0 * random.unit())
    };
    Series::new(quarters.map(step).collect())
}
