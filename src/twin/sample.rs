//! Small sites and generated days: for tests, benches and the demo, so that no file is needed.

use crate::ground::ids::{ChargePointId, EvseId, MeterId, NodeId, NodeIndex};
use crate::ground::series::Series;
use crate::ground::time::{Duration, Utc};
use crate::ground::units::{Amps, PerPhase, Phase, Volts, Watts};
use crate::model::diagram::{Diagram, Equipment, EquipmentKind, Evse, Node};
use crate::model::drivers::DriverPolicy;
use crate::model::meter::{Meter, MeterValue, Quantity};
use crate::model::site::{Access, ChargingPolicy, LeasePolicy, Site};
use crate::model::tariff::Tariff;

use super::random::Random;
use super::scenario::{CarModel, Visit};

/// Three EVSEs behind 40 A: two single-phase ones (L1, L2) on a board of 25 A and a three-phase one
/// whose L1 hangs on L3; a roof and a house.
pub fn yard() -> Site {
    let evse = |name: &str, node: NodeIndex, wiring: &[Phase]| Evse {
        id: EvseId::new(name),
        node,
        charge_point: ChargePointId::new(&name.replace('E', "CP-")),
        connector: 1,
        wiring: wiring.to_vec(),
        rated: Amps::new(32),
        minimum: Amps::new(6),
        safe: Amps::new(6),
    };
    let node = |name: &str, parent: Option<NodeIndex>, amps: i64, meter: Option<&str>| Node {
        id: NodeId::new(name),
        name: format!("{name} {amps}A"),
        parent,
        rating: Some(PerPhase::all(Amps::new(amps))),
        power_limit: None,
        imbalance: None,
        meter: meter.map(MeterId::new),
        worst_load: PerPhase::all(Amps::new(if parent.is_none() { 20 } else { 0 })),
        generation_counts: false,
    };
    let item = |id: &str, kind: EquipmentKind, meter: Option<&str>, peak: i64| Equipment {
        id: id.to_owned(),
        node: 0,
        kind,
        meter: meter.map(MeterId::new),
        worst_load: PerPhase::ZERO,
        peak: Watts::new(peak),
    };
    let wirings: [&[Phase]; 3] = [&[Phase::L1], &[Phase::L2], &[Phase::L3, Phase::L1, Phase::L2]];
    Site {
        name: "Yard".to_owned(),
        zone: "Europe/Paris".to_owned(),
        diagram: Diagram {
            nodes: vec![node("grid", None, 40, Some("grid")), node("board", Some(0), 25, None)],
            evses: vec![
                evse("E1", 1, wirings[0]),
                evse("E2", 1, wirings[1]),
                evse("E3", 0, wirings[2]),
            ],
            equipment: vec![
                item("roof", EquipmentKind::Pv, Some("pv"), 10_000),
                item("house", EquipmentKind::Load, None, 0),
            ],
            voltage: Volts::new(230),
        },
        meters: vec![grid_meter(), pv_meter()],
        lease: LeasePolicy::default(),
        charging: ChargingPolicy::default(),
        access: Access::Anyone,
        tariff: Tariff::default(),
        feeds: Vec::new(),
        contacts: Vec::new(),
        plan: None,
        drivers: DriverPolicy::default(),
    }
}

/// Publishes currents by phase in one document on `site/grid`.
fn grid_meter() -> Meter {
    let value = |phase: Phase| MeterValue {
        topic: "site/grid".to_owned(),
        pointer: Some(format!("/current/{}", phase.to_string().to_lowercase())),
        quantity: Quantity::Current,
        phase: Some(phase),
        factor: 1.0,
    };
    Meter {
        id: MeterId::new("grid"),
        max_age: Duration::seconds(15),
        values: Phase::ALL.map(value).to_vec(),
    }
}

/// Publishes generation in kW, as a plain number, on `site/pv/power_kw`.
fn pv_meter() -> Meter {
    let value = MeterValue {
        topic: "site/pv/power_kw".to_owned(),
        pointer: None,
        quantity: Quantity::Power,
        phase: None,
        factor: -1000.0,
    };
    Meter { id: MeterId::new("pv"), max_age: Duration::seconds(60), values: vec![value] }
}

/// Generation of a roof on a clear day from 6 h to 20 h UTC, in W (negative), at `step` intervals.
pub fn clear_day(midnight: Utc, peak_w: f64, step: Duration) -> Series<f64> {
    let steps = (Duration::hours(24).as_millis() / step.as_millis().max(1)).max(1);
    let power = |index: i64| {
        let time = step * index;
        let sun = (std::f64::consts::PI * (time.as_hours() - 6.0) / 14.0).sin();
        let up = (6.0..20.0).contains(&time.as_hours());
        (midnight + time, if up { -peak_w * sun.max(0.0) } else { 0.0 })
    };
    Series::new((0..steps).map(power).collect())
}

/// A working day: to each EVSE one car, most in the morning, some short visits in the afternoon.
pub fn working_day(site: &Site, midnight: Utc, seed: u64) -> Vec<Visit> {
    let mut random = Random::new(seed);
    let mut visits = Vec::new();
    for evse in 0..site.diagram.evses.len() {
        let mut visit = |from: Duration, until: Duration, stay: Duration, need_wh: f64| {
            let arrival = midnight + random.span(from, until);
            let phases = if random.chance(0.5) { 3 } else { 1 };
            let max_a = if random.chance(0.3) { 32.0 } else { 16.0 };
            let need_wh = (need_wh * (0.5 + random.unit())).round();
            let car = CarModel {
                taper_wh: 2000.0,
                start_delay: Duration::seconds(5),
                ..CarModel::plain(phases, max_a, need_wh)
            };
            let stay = stay + random.span(Duration::ZERO, Duration::minutes(60));
            let token = format!("TAG{evse:02}{}", visits.len());
            let departure = arrival + stay;
            visits.push(Visit { evse, token, arrival, departure, car, declared: None });
        };
        visit(Duration::hours(6), Duration::hours(8), Duration::hours(6), 14_000.0);
        if evse % 2 == 0 {
            visit(Duration::hours(16), Duration::hours(17), Duration::hours(2), 6_000.0);
        }
    }
    visits
}
