//! A small site for the tests of this folder: eight hours, two three-phase cars below one breaker,
//! no sun and an even price, so that each test adds what it is about.

use std::collections::BTreeMap;

use crate::ground::quantiles::Quantiles;
use crate::ground::time::{Duration, Utc};

use super::problem::{Car, CarKind, FORMAT, Need, Objective, Problem, ProblemNode, Series};

/// Full hours after 08:00 in Paris.
pub fn hour(hours: i64) -> Utc {
    Utc::parse("2019-03-01T07:00:00Z").expect("a valid time") + Duration::hours(hours)
}

/// Two cars that are there from 08:00 to 16:00 and need 10 kWh each.
pub fn office() -> Problem {
    Problem {
        format: FORMAT,
        site: String::from("office"),
        zone: String::from("Europe/Paris"),
        grid: (0..=8).map(hour).collect(),
        voltage_v: 230.0,
        nodes: vec![node("Grid", None, 63.0), node("B2", Some(0), 32.0)],
        cars: vec![car("EVSE-01", 10.0), car("EVSE-02", 10.0)],
        series: Series {
            pv_kw: vec![Quantiles::certain(0.0); 8],
            load_kw: vec![Quantiles::certain(0.0); 8],
            import_eur_per_kwh: vec![0.2; 8],
            export_eur_per_kwh: vec![0.0; 8],
            co2_g_per_kwh: vec![50.0; 8],
            origins: BTreeMap::new(),
        },
        objective: Objective {
            name: String::from("cost"),
            cost: 1.0,
            early_eur_per_kwh_h: 1e-4,
            unsure_eur_per_kwh: 0.0,
            ..Objective::default()
        },
    }
}

/// A node of so many A on each phase.
pub fn node(name: &str, parent: Option<usize>, rating_a: f64) -> ProblemNode {
    ProblemNode {
        id: name.to_lowercase(),
        name: name.to_owned(),
        parent,
        rating_a: Some([rating_a; 3]),
        power_limit_kw: None,
        imbalance_a: None,
        other_a: vec![[0.0; 3]; 8],
        unsure_a: Vec::new(),
        limits: Vec::new(),
    }
}

/// A car of 16 A on three phases below B2 that needs so much until 16:00.
pub fn car(evse: &str, kwh: f64) -> Car {
    Car {
        evse: evse.to_owned(),
        session: Some(1),
        kind: CarKind::Present,
        node: 1,
        phases: [true; 3],
        min_a: 6.0,
        max_a: 16.0,
        max_cause: String::from("rating of the EVSE"),
        bounds: Vec::new(),
        now_a: 0.0,
        switched: None,
        from: hour(0),
        until: hour(8),
        presence: Vec::new(),
        room_kwh: None,
        needs: vec![Need { by: hour(8), kwh, eur_per_kwh: 1.0, cause: String::from("the driver") }],
        taper: None,
        priority: 0,
        fast_kwh: 0.0,
        early_eur_per_kwh_h: 0.0,
    }
}
