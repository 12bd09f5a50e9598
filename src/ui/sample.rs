//! A site to look at in tests: the office car park on a sunny morning.

use crate::controller::forecast_view::{FeedView, ForecastView, LeadView, ProofView};
use crate::controller::plan_view::{CarPlanView, PlanView, Stretch};
use crate::controller::savings::Savings;
use crate::controller::view::{
    ChargePointView, EquipmentView, EvseView, MeterView, NodeView, PreferenceView, SessionView,
    Totals, View,
};
use crate::ground::time::{Duration, Instant, Utc};
use crate::ground::units::{Amps, PerPhase, Phase, Volts, WattHours, Watts};
use crate::model::bound::Cause;
use crate::model::event::{Event, EventKind};
use crate::model::feed::FeedKind;
use crate::model::message::{EvseStatus, Identity};
use crate::model::preference::PreferenceSource;
use crate::plan::problem::CarKind;
use crate::plan::solution::Method;

const VOLTAGE: Volts = Volts::new(230);

/// Cars charging, waiting, full and gone; one charger lost.
pub fn busy() -> View {
    let mut view = bare();
    let full = |phase| Cause::Breaker { node: "IBST 63A".into(), phase: Some(phase), sharing: 4 };
    charge(&mut view, 0, 11_800, 11_700, full(Phase::L1));
    charge(&mut view, 1, 8_200, 8_100, full(Phase::L2));
    charge(&mut view, 4, 8_200, 8_100, full(Phase::L2));
    charge(&mut view, 6, 8_000, 7_800, Cause::CarTakesLess { drawn: Amps::milli(7_800) });
    charge(&mut view, 8, 8_200, 8_100, full(Phase::L2));
    charge(&mut view, 9, 8_200, 8_000, full(Phase::L2));
    view.evses[8].soc_percent = Some(62.0);
    pause(&mut view, 5, EvseStatus::SuspendedEv, Cause::CarPaused);
    let turn = Cause::WaitingTurn { position: 1, node: "IBST 63A".into(), phase: Some(Phase::L2) };
    pause(&mut view, 7, EvseStatus::SuspendedEvse, turn);
    view.evses[7].limit_a = Some(Amps::ZERO);
    view.evses[10].status = EvseStatus::Finishing;
    lose(&mut view, 11);
    settle(&mut view);
    view
}

/// Nobody there: no car, no session, no event.
pub fn empty() -> View {
    let mut view = bare();
    view.events.clear();
    settle(&mut view);
    view
}

/// The grid meter is silent; one charger disobeys.
pub fn degraded() -> View {
    let mut view = busy();
    view.degraded = vec![
        "grid meter silent for 18 s: the configured worst load is assumed at IBST 63A".into(),
        "EVSE-05 draws 14.2 A, more than the 8.2 A it was told; others make room".into(),
    ];
    view.nodes[0].silent_meter = Some("grid".into());
    view.nodes[0].metered_a = None;
    view.nodes[0].other_load_a = PerPhase::all(Amps::new(20));
    view.meters[0] = MeterView {
        id: "grid".into(),
        fresh: false,
        age_ms: Some(18_400),
        current_a: None,
        power_w: None,
    };
    view.evses[4].measured_a = Some(PerPhase([Amps::ZERO, Amps::milli(14_200), Amps::ZERO]));
    view.evses[4].cause = Cause::Disobeys { drawn: Amps::milli(14_200) };
    let at = view.at;
    view.events.insert(0, event(EventKind::MeterSilent, "grid", "silent for 15 s", at));
    settle(&mut view);
    view
}

/// A plan for the cars of the busy morning: sun until the afternoon, one car short.
pub fn planned() -> View {
    let mut view = busy();
    let steps = 40;
    let sun = |step: usize| 30.0 * (std::f64::consts::PI * step as f64 / 32.0).sin().max(0.0);
    let cars = vec![
        planned_car("EVSE-01", 41, (5, 25), 2.7, 13.5),
        planned_car("EVSE-02", 42, (0, 12), 1.9, 9.0),
        planned_car("EVSE-05", 45, (8, 28), 1.9, 9.5),
        planned_car("EVSE-09", 49, (2, 20), 5.6, 25.2),
    ];
    let sum = |step: usize| cars.iter().map(|car| car.power_kw[step]).sum();
    let charging_kw: Vec<f64> = (0..steps).map(sum).collect();
    view.evses[0].preference = Some(PreferenceView {
        session: Some(41),
        energy_wh: Some(WattHours::new(20_000)),
        charge: None,
        departure: Some(quarter(25)),
        source: PreferenceSource::Driver,
        at: Some(quarter(0)),
        words: "20.0 kWh by 16:30".into(),
    });
    view.forecasts = forecasts();
    view.plan = Some(PlanView {
        made: Some(quarter(0)),
        method: Method::Program,
        objective: "self-production".into(),
        words: "The sun covers nine tenths of what the cars need.".into(),
        forecast: "sun was off by 1.4 kW on average".into(),
        grid: (0..=steps).map(quarter).collect(),
        pv_kw: (0..steps).map(sun).collect(),
        load_kw: vec![5.9; steps],
        import_kw: (0..steps).map(|step| 5.9 + charging_kw[step] - sun(step)).collect(),
        charging_kw,
        price_eur_per_kwh: (0..steps).map(|step| 0.2 + 0.01 * (step % 8) as f64).collect(),
        missing_kwh: 3.3,
        savings: Some(Savings {
            sun_kwh: 51.4,
            sun_at_once_kwh: 23.0,
            cost_eur: 1.94,
            cost_at_once_eur: 7.62,
            peak_kw: 9.8,
            peak_at_once_kw: 31.0,
            words: "Against charging at once: 28.4 kWh more from the sun, 5.68 EUR less, highest \
                    import 9.8 instead of 31.0 kW."
                .into(),
        }),
        cars,
    });
    view
}

/// A learned forecast beside one from outside, and a price that was refused.
fn forecasts() -> Vec<ForecastView> {
    let lead = |hours, off_kw, simplest_off_kw| LeadView {
        hours,
        count: 300,
        off_kw,
        bias_kw: -0.2,
        simplest_off_kw,
        below_low: 0.1,
        above_high: 0.11,
    };
    let feed = |id: &str, place: &str| FeedView {
        id: id.to_owned(),
        place: place.to_owned(),
        heard: Some(quarter(0)),
        issued: Some(quarter(0)),
        until: Some(quarter(96)),
        trouble: None,
        leads: Vec::new(),
    };
    let proof = ProofView {
        hours: 6,
        count: 300,
        received_off_kw: 1.2,
        learned_off_kw: 2.0,
        share_percent: 71.0,
    };
    let view = |kind, source: &str, leads, received| ForecastView {
        kind,
        source: source.to_owned(),
        leads,
        received: Some(received),
    };
    let refused = "found 80 EUR/kWh for 2019-03-01T12:00:00Z, expected -5 to 5: is the unit right?";
    vec![
        view(
            FeedKind::Pv,
            "learned on site from 42 days; weather counts 71 % at 6 h",
            vec![lead(1, 0.8, 1.1), lead(6, 1.6, 3.1), lead(24, 2.2, 3.0)],
            FeedView { leads: vec![proof], ..feed("weather", "https://weather.example/pv.json") },
        ),
        view(
            FeedKind::Price,
            "tariff of the configuration",
            Vec::new(),
            FeedView { trouble: Some(refused.to_owned()), ..feed("market", "mqtt topic prices") },
        ),
    ]
}

/// So many quarters of an hour after the plan was made.
fn quarter(number: usize) -> Utc {
    let made = Utc::parse("2019-03-01T09:15:00Z").expect("a valid time");
    made + Duration::minutes(15) * number as i64
}

fn planned_car(
    evse: &str,
    session: u64,
    (from, until): (usize, usize),
    kw: f64,
    need: f64,
) -> CarPlanView {
    let power = |step: usize| if (from..until).contains(&step) { kw } else { 0.0 };
    let will = kw * (until - from) as f64 / 4.0;
    let stretch = |from: usize, until: usize, power_kw: f64, reason: &str| Stretch {
        from: quarter(from),
        until: quarter(until),
        power_kw,
        reason: reason.into(),
    };
    let mut course = vec![stretch(from, until, kw, "breaker IBST 63A, phase L1")];
    if 0 < from {
        course.insert(0, stretch(0, from, 0.0, "waiting for sun until 11:30"));
    }
    CarPlanView {
        evse: evse.into(),
        session: Some(session),
        kind: CarKind::Present,
        need_kwh: Some(need),
        by: Some(quarter(until)),
        says: "the driver".into(),
        will_kwh: will,
        missing_kwh: (need - will).max(0.0),
        power_kw: (0..40).map(power).collect(),
        most_kw: (0..40).map(power).collect(),
        course,
        words: "it charges when the sun is highest".into(),
    }
}

/// Every name that comes from outside tries to be markup.
pub fn hostile() -> View {
    let mut view = planned();
    let evil = |name: &str| format!("<script>alert('{name}')</script>\"><img src=x onerror=a>");
    view.site = evil("site");
    view.degraded = vec![evil("degraded")];
    view.nodes[0].name = evil("node");
    view.nodes[0].silent_meter = Some(evil("meter"));
    view.evses[0].id = evil("evse");
    view.evses[0].reason = evil("reason");
    view.evses[0].wiring = evil("wiring");
    if let Some(known) = &mut view.evses[0].preference {
        known.words = evil("preference");
    }
    if let Some(plan) = &mut view.plan {
        plan.words = evil("plan");
        plan.objective = evil("objective");
        plan.forecast = evil("forecast");
        plan.cars[0].evse = evil("evse");
        plan.cars[0].words = evil("car");
        plan.cars[0].says = evil("says");
        plan.cars[0].course[0].reason = evil("course");
    }
    view.equipment[0].id = evil("roof");
    view.equipment[0].kind = evil("kind");
    view.meters[0].id = evil("grid");
    view.sessions[0].token = evil("token");
    view.sessions[0].evse = evil("evse");
    view.sessions[0].reason = Some(evil("ended"));
    view.events[0].text = evil("text");
    view.events[0].subject = evil("subject");
    view.charge_points[0].id = evil("cp");
    view.charge_points[0].capability = evil("capability");
    let identity = Identity {
        vendor: evil("vendor"),
        model: evil("model"),
        serial: evil("serial"),
        firmware: evil("firmware"),
    };
    view.charge_points[0].identity = Some(identity);
    view
}

fn bare() -> View {
    let at = Utc::parse("2019-03-01T09:24:05Z").expect("a valid time");
    let event_at = |minutes| Some(at - Duration::minutes(minutes));
    View {
        at: Some(at),
        uptime_ms: 7_200_000,
        site: "Office car park".into(),
        zone: "Europe/Paris".into(),
        voltage_v: VOLTAGE,
        degraded: Vec::new(),
        nodes: vec![
            node("grid", "IBST 63A", None, 62_318, [7_200, 11_400, 6_900]),
            node("board-a", "Board A 63A", Some("grid"), 63_000, [0; 3]),
            node("board-b", "Board B 63A", Some("grid"), 63_000, [0; 3]),
        ],
        evses: (0..12).map(evse).collect(),
        meters: vec![
            meter("grid", Some(PerPhase::ZERO), None),
            meter("pv", None, Some(Watts::new(-11_400))),
        ],
        equipment: vec![EquipmentView {
            id: "roof".into(),
            kind: "pv".into(),
            node: "grid".into(),
            power_w: Some(Watts::new(-11_400)),
        }],
        charge_points: (0..12).map(charge_point).collect(),
        sessions: Vec::new(),
        drill: None,
        reservations: Vec::new(),
        campaigns: Vec::new(),
        events: vec![
            event(EventKind::LinkDown, "CP-12", "connection reset by the charger", event_at(3)),
            event(EventKind::FailsafeArmed, "CP-09", "falls to 6 A after 180 s", event_at(41)),
            event(EventKind::MeterHeard, "grid", "heard after 2 s", event_at(119)),
            event(EventKind::Started, "", "Ampgate is running", event_at(120)),
        ],
        totals: Totals {
            plans: 0,
            frames_in: 4_210,
            frames_out: 2_380,
            frames_bad: 3,
            setpoints: 96,
            mqtt_in: 7_190,
            transactions: 9,
        },
        forecasts: Vec::new(),
        plan: None,
        limits: Vec::new(),
    }
}

fn node(id: &str, name: &str, parent: Option<&str>, rating: i64, other: [i64; 3]) -> NodeView {
    NodeView {
        id: id.into(),
        name: name.into(),
        parent: parent.map(str::to_owned),
        rating_a: Some(PerPhase::all(Amps::milli(rating))),
        power_limit_w: parent.is_none().then_some(Watts::new(43_000)),
        other_load_a: PerPhase(other.map(Amps::milli)),
        leased_a: PerPhase::ZERO,
        charging_a: PerPhase::ZERO,
        headroom_a: None,
        metered_a: None,
        silent_meter: None,
    }
}

fn evse(index: usize) -> EvseView {
    let wiring = ["L1", "L2", "L3", "L1L2L3"][if index < 8 { index % 3 } else { 3 }];
    EvseView {
        id: format!("EVSE-{:02}", index + 1),
        node: if index < 8 { "board-a" } else { "board-b" }.into(),
        charge_point: format!("CP-{:02}", index + 1),
        connector: 1,
        wiring: wiring.into(),
        rated_a: Amps::new(if index < 4 { 16 } else { 32 }),
        safe_a: Amps::new(6),
        online: true,
        status: EvseStatus::Available,
        session: None,
        limit_a: None,
        leased_a: PerPhase::ZERO,
        measured_a: Some(PerPhase::ZERO),
        power_w: Some(Watts::ZERO),
        armed: true,
        soc_percent: None,
        preference: None,
        stay: None,
        reason: String::new(),
        cause: Cause::Idle,
    }
}

fn charge_point(index: usize) -> ChargePointView {
    ChargePointView {
        id: format!("CP-{:02}", index + 1),
        online: index != 11,
        identity: Some(Identity {
            vendor: "Elektra".into(),
            model: if index < 4 { "Wall 3.7" } else { "Post 22" }.into(),
            serial: format!("EL-{:05}", 10_411 + index),
            firmware: "2.4.1".into(),
        }),
        capability: "limits in ampere, two-step profiles, composite schedule".into(),
    }
}

fn meter(id: &str, current: Option<PerPhase<Amps>>, power: Option<Watts>) -> MeterView {
    MeterView {
        id: id.into(),
        fresh: true,
        age_ms: Some(1_200),
        current_a: current,
        power_w: power,
    }
}

fn event(kind: EventKind, subject: &str, text: &str, at: Option<Utc>) -> Event {
    Event { kind, subject: subject.into(), text: text.into(), at }
}

fn charge(view: &mut View, index: usize, limit: i64, drawn: i64, cause: Cause) {
    plug(view, index, EvseStatus::Charging, cause);
    let evse = &mut view.evses[index];
    evse.limit_a = Some(Amps::milli(limit));
    evse.measured_a = Some(on_wiring(&evse.wiring, Amps::milli(drawn)));
}

fn pause(view: &mut View, index: usize, status: EvseStatus, cause: Cause) {
    plug(view, index, status, cause);
    view.evses[index].limit_a = Some(Amps::new(6));
}

fn plug(view: &mut View, index: usize, status: EvseStatus, cause: Cause) {
    let number = 41 + index as u64;
    let started = Utc::parse("2019-03-01T07:12:00Z").expect("a valid time")
        + Duration::minutes(7) * index as i64;
    view.sessions.insert(
        0,
        SessionView {
            id: number,
            evse: view.evses[index].id.clone(),
            transaction: 1_000 + index as i64,
            token: "••••••C3D4".into(),
            started,
            ended: None,
            energy_wh: WattHours::new(3_100 + 1_450 * index as i64),
            reason: None,
        },
    );
    let evse = &mut view.evses[index];
    evse.status = status;
    evse.session = Some(number);
    evse.cause = cause;
}

fn lose(view: &mut View, index: usize) {
    let evse = &mut view.evses[index];
    evse.online = false;
    evse.measured_a = None;
    evse.power_w = None;
    evse.cause = Cause::LinkLost { since: Instant::from_millis(7_200_000 - 184_000) };
}

fn on_wiring(wiring: &str, current: Amps) -> PerPhase<Amps> {
    let phases = PerPhase(Phase::ALL);
    phases.map(|phase| if wiring.contains(&phase.to_string()) { current } else { Amps::ZERO })
}

/// Makes sums, headroom and reasons follow from the single figures.
fn settle(view: &mut View) {
    let now = Instant::from_millis(view.uptime_ms);
    for evse in &mut view.evses {
        let held = on_wiring(&evse.wiring, evse.limit_a.unwrap_or_default().max(evse.safe_a));
        evse.leased_a = held.worst(evse.measured_a.unwrap_or_default());
        evse.power_w = evse.measured_a.map(|current| current.power(VOLTAGE));
        evse.reason = evse.cause.words(now);
    }
    for index in 0..view.nodes.len() {
        let id = view.nodes[index].id.clone();
        let below = |evse: &&EvseView| id == "grid" || evse.node == id;
        let (mut leased, mut charging) = (PerPhase::ZERO, PerPhase::ZERO);
        for evse in view.evses.iter().filter(below) {
            leased += evse.leased_a;
            charging += evse.measured_a.unwrap_or_default();
        }
        let node = &mut view.nodes[index];
        (node.leased_a, node.charging_a) = (leased, charging);
        node.headroom_a = node.rating_a.map(|rating| rating - node.other_load_a - leased);
    }
    if view.nodes[0].silent_meter.is_none() {
        let metered = view.nodes[0].charging_a + view.nodes[0].other_load_a;
        view.nodes[0].metered_a = Some(metered);
        view.meters[0].current_a = Some(metered);
    }
}
