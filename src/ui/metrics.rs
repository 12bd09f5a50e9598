//! The figures of the site as Prometheus text (exposition format 0.0.4).
//!
//! Units are in the names and are Prometheus's own (amperes, joules, seconds, bytes) and watts.
//! Labels are names of the configuration and words of this program; nothing from outside becomes a
//! label, so their number is bounded by the configuration.

use crate::controller::view::{EvseView, View};
use crate::ground::units::{Amps, PerPhase};
use crate::model::machine::Machine;
use crate::model::message::EvseStatus;
use crate::model::partner::PartnerState;

use super::explain;
use super::exposition::{Exposition, seconds};

/// A kilowatt-hour in joules.
const JOULES_PER_KWH: f64 = 3_600_000.0;

/// What figures are made of.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The newest view.
    pub view: &'a View,
    /// The links to partners.
    pub partners: &'a [PartnerState],
    /// The machine.
    pub machine: &'a Machine,
    /// Views come in time.
    pub is_fresh: bool,
}

/// All figures; what is not measured is absent.
pub fn text(seen: &Seen<'_>) -> String {
    let view = seen.view;
    let mut out = Exposition::default();
    let version = env!("CARGO_PKG_VERSION");
    out.head("ampgate_build_info", "gauge", "The version that runs; always 1.");
    out.sample("ampgate_build_info", &[("version", version)], 1.0);
    out.one("ampgate_uptime_seconds", "Time since the controller began.", {
        view.uptime_ms as f64 / 1000.0
    });
    let alive = f64::from(seen.is_fresh);
    out.one("ampgate_controller_alive", "Whether the controller decides.", alive);
    let trusted = f64::from(view.at.is_some());
    out.one("ampgate_clock_trusted", "Whether the time of day is trusted.", trusted);
    let degraded = view.degraded.len() as f64;
    out.one("ampgate_degraded", "Things that keep the site from its usual limits.", degraded);
    nodes(&mut out, view);
    equipment(&mut out, view);
    evses(&mut out, view);
    currents(&mut out, view);
    limits(&mut out, view);
    links_and_sessions(&mut out, view);
    meters(&mut out, view);
    plan(&mut out, view);
    forecasts(&mut out, view);
    partners(&mut out, seen.partners);
    machine(&mut out, seen.machine);
    totals(&mut out, view);
    out.0
}

/// One figure of a phase of a node.
type Figure = fn(&explain::PhaseRow) -> Option<Amps>;

fn nodes(out: &mut Exposition, view: &View) {
    let figures: [(&str, &str, Figure); 5] = [
        ("ampgate_node_rating_amperes", "What a phase may carry.", |row| row.rating_a),
        ("ampgate_node_other_load_amperes", "Load other than cars.", |row| Some(row.other_load_a)),
        ("ampgate_node_charging_amperes", "What cars draw.", |row| Some(row.charging_a)),
        ("ampgate_node_leased_amperes", "What cars may draw.", |row| Some(row.leased_a)),
        ("ampgate_node_headroom_amperes", "Rating less load less leases.", |row| row.headroom_a),
    ];
    for (name, help, figure) in figures {
        out.head(name, "gauge", help);
        for node in &view.nodes {
            for row in explain::rows(node, view.voltage_v).0 {
                if let Some(value) = figure(&row) {
                    let phase = row.phase.to_string();
                    out.sample(name, &[("node", &node.id), ("phase", &phase)], value.as_f64());
                }
            }
        }
    }
    let name = "ampgate_node_metered_watts";
    out.head(name, "gauge", "What the meter of the node says; import is positive.");
    for node in &view.nodes {
        if let Some(metered) = node.metered_a {
            out.sample(name, &[("node", &node.id)], metered.power(view.voltage_v).as_f64());
        }
    }
}

fn equipment(out: &mut Exposition, view: &View) {
    let name = "ampgate_equipment_power_watts";
    out.head(name, "gauge", "Sun, batteries and loads; import is positive, so sun is negative.");
    for item in &view.equipment {
        if let Some(power) = item.power_w {
            let labels = [("equipment", item.id.as_str()), ("kind", item.kind.as_str())];
            out.sample(name, &labels, power.as_f64());
        }
    }
}

/// One figure of an EVSE.
type OfEvse = fn(&EvseView) -> Option<f64>;

fn evses(out: &mut Exposition, view: &View) {
    let figures: [(&str, &str, OfEvse); 6] = [
        ("ampgate_evse_online", "Whether the charge point is connected.", |evse| {
            Some(f64::from(evse.online))
        }),
        ("ampgate_evse_armed", "Whether it falls to its safe share by itself, proven.", |evse| {
            Some(f64::from(evse.armed))
        }),
        ("ampgate_evse_session", "Whether a session runs.", |evse| {
            Some(f64::from(evse.session.is_some()))
        }),
        ("ampgate_evse_limit_amperes", "The limit in force of a running session.", |evse| {
            evse.limit_a.map(Amps::as_f64)
        }),
        ("ampgate_evse_power_watts", "Measured power.", |evse| {
            evse.power_w.map(|power| power.as_f64())
        }),
        ("ampgate_evse_state_of_charge_ratio", "State of charge as the car tells it.", |evse| {
            evse.soc_percent.map(|percent| percent / 100.0)
        }),
    ];
    for (name, help, figure) in figures {
        out.head(name, "gauge", help);
        for evse in &view.evses {
            if let Some(value) = figure(evse) {
                out.sample(name, &[("evse", &evse.id)], value);
            }
        }
    }
    let name = "ampgate_evse_status";
    out.head(name, "gauge", "What the EVSE is doing: 1 for the state that it is in.");
    for evse in &view.evses {
        let labels = [("evse", evse.id.as_str()), ("status", status(evse.status))];
        out.sample(name, &labels, 1.0);
    }
}

fn currents(out: &mut Exposition, view: &View) {
    out.head("ampgate_evse_current_amperes", "gauge", "Measured current by grid phase.");
    let mut of = |name: &str, evse: &EvseView, current: PerPhase<Amps>| {
        for (phase, current) in current.iter() {
            let phase = phase.to_string();
            let labels = [("evse", evse.id.as_str()), ("phase", phase.as_str())];
            out.sample(name, &labels, current.as_f64());
        }
    };
    for evse in &view.evses {
        if let Some(measured) = evse.measured_a {
            of("ampgate_evse_current_amperes", evse, measured);
        }
    }
    let name = "ampgate_evse_leased_amperes";
    out.head(name, "gauge", "The most that it may draw by the ledger, by grid phase.");
    for evse in &view.evses {
        for (phase, current) in evse.leased_a.iter() {
            let phase = phase.to_string();
            let labels = [("evse", evse.id.as_str()), ("phase", phase.as_str())];
            out.sample(name, &labels, current.as_f64());
        }
    }
}

fn limits(out: &mut Exposition, view: &View) {
    let of_evse = |evse: &EvseView| {
        let here = view.limits.iter().filter(|one| one.evse.as_deref() == Some(evse.id.as_str()));
        here.filter_map(|one| one.limit_a).min()
    };
    let name = "ampgate_evse_outside_limit_amperes";
    out.head(name, "gauge", "The tightest limit that somebody outside has set, while it lasts.");
    for evse in &view.evses {
        if let Some(limit) = of_evse(evse) {
            out.sample(name, &[("evse", &evse.id)], limit.as_f64());
        }
    }
    let name = "ampgate_charging_outside_limit_watts";
    out.head(name, "gauge", "The same for all chargers together.");
    if let Some(limit) = view.limits.iter().filter_map(|one| one.limit_w).min() {
        out.sample(name, &[], limit.as_f64());
    }
}

fn links_and_sessions(out: &mut Exposition, view: &View) {
    let name = "ampgate_charge_point_online";
    out.head(name, "gauge", "Whether the charge point is connected.");
    for point in &view.charge_points {
        out.sample(name, &[("charge_point", &point.id)], f64::from(point.online));
    }
    let open = || view.sessions.iter().filter(|session| session.ended.is_none());
    out.one("ampgate_sessions_open", "Sessions that go on.", open().count() as f64);
    let name = "ampgate_session_energy_joules";
    out.head(name, "gauge", "Energy so far of the session that goes on at the EVSE.");
    // The newest where an EVSE has two for a moment: a figure stands once.
    for evse in &view.evses {
        if let Some(session) = open().find(|session| session.evse == evse.id) {
            let joules = session.energy_wh.as_f64() * JOULES_PER_KWH / 1000.0;
            out.sample(name, &[("evse", &evse.id)], joules);
        }
    }
    let reserved = view.reservations.iter().filter(|one| one.open).count() as f64;
    out.one("ampgate_reservations_open", "Reservations that keep something.", reserved);
}

fn meters(out: &mut Exposition, view: &View) {
    out.head("ampgate_meter_fresh", "gauge", "Whether the values are young enough to be used.");
    for meter in &view.meters {
        out.sample("ampgate_meter_fresh", &[("meter", &meter.id)], f64::from(meter.fresh));
    }
    out.head("ampgate_meter_age_seconds", "gauge", "Age of the oldest needed value.");
    for meter in &view.meters {
        if let Some(age) = meter.age_ms {
            out.sample("ampgate_meter_age_seconds", &[("meter", &meter.id)], age as f64 / 1000.0);
        }
    }
}

fn plan(out: &mut Exposition, view: &View) {
    let in_force = f64::from(view.plan.is_some());
    out.one("ampgate_plan_in_force", "Whether cars follow a plan.", in_force);
    let Some(plan) = &view.plan else { return };
    if let Some(made) = plan.made {
        out.one("ampgate_plan_made_timestamp_seconds", "When the plan was made.", seconds(made));
    }
    out.one("ampgate_plan_cars", "Cars that stand there or have reserved.", plan.cars.len() as f64);
    let missing = plan.missing_kwh * JOULES_PER_KWH;
    out.one("ampgate_plan_missing_joules", "Energy that cars will miss by plan.", missing);
    let first = |series: &[f64]| series.first().map_or(0.0, |kw| kw * 1000.0);
    for (name, help, series) in [
        ("ampgate_plan_charging_watts", "Charging in the step that runs.", &plan.charging_kw),
        ("ampgate_plan_import_watts", "Import less export, likewise.", &plan.import_kw),
        ("ampgate_plan_sun_watts", "Generation, likewise.", &plan.pv_kw),
        ("ampgate_plan_load_watts", "Building load, likewise.", &plan.load_kw),
    ] {
        out.one(name, help, first(series));
    }
}

fn forecasts(out: &mut Exposition, view: &View) {
    let name = "ampgate_forecast_error_watts";
    out.head(name, "gauge", "Mean absolute error of what was expected so far ahead.");
    for forecast in &view.forecasts {
        for lead in &forecast.leads {
            let hours = lead.hours.to_string();
            let labels = [("kind", forecast.kind.words()), ("lead_h", hours.as_str())];
            out.sample(name, &labels, lead.off_kw * 1000.0);
        }
    }
    let feeds = || view.forecasts.iter().filter_map(|forecast| forecast.received.as_ref());
    out.head("ampgate_feed_sound", "gauge", "Whether what comes from outside can be used.");
    for feed in feeds() {
        let sound = f64::from(feed.trouble.is_none() && feed.heard.is_some());
        out.sample("ampgate_feed_sound", &[("feed", &feed.id)], sound);
    }
    let name = "ampgate_feed_until_timestamp_seconds";
    out.head(name, "gauge", "Until when it says something.");
    for feed in feeds() {
        if let Some(until) = feed.until {
            out.sample(name, &[("feed", &feed.id)], seconds(until));
        }
    }
}

fn partners(out: &mut Exposition, partners: &[PartnerState]) {
    out.head("ampgate_partner_registered", "gauge", "Whether the partner is registered and well.");
    for partner in partners {
        let well = partner.state == "registered" && partner.trouble.is_none();
        out.sample("ampgate_partner_registered", &[("partner", &partner.id)], f64::from(well));
    }
    out.head("ampgate_partner_waiting_objects", "gauge", "What it has yet to be told.");
    for partner in partners {
        let waiting = partner.waiting as f64;
        out.sample("ampgate_partner_waiting_objects", &[("partner", &partner.id)], waiting);
    }
    let name = "ampgate_partner_heard_timestamp_seconds";
    out.head(name, "gauge", "The last exchange that went well.");
    for partner in partners {
        if let Some(heard) = partner.heard {
            out.sample(name, &[("partner", &partner.id)], seconds(heard));
        }
    }
}

fn machine(out: &mut Exposition, machine: &Machine) {
    let store = &machine.store;
    let failing = f64::from(store.failing.is_some());
    out.one("ampgate_store_failing", "Whether something is not written.", failing);
    out.one("ampgate_store_full", "Whether the disk is full.", f64::from(store.full));
    out.head("ampgate_store_waiting_facts", "gauge", "Facts that wait for the disk.");
    for (kind, count) in [("urgent", store.waiting_urgent), ("batched", store.waiting_batched)] {
        out.sample("ampgate_store_waiting_facts", &[("kind", kind)], count as f64);
    }
    out.head("ampgate_store_commit_seconds", "summary", "What commits took.");
    out.sample("ampgate_store_commit_seconds_sum", &[], store.commit_seconds);
    out.sample("ampgate_store_commit_seconds_count", &[], store.commits as f64);
    let longest = store.commit_seconds_max;
    out.one("ampgate_store_commit_longest_seconds", "The longest commit since the start.", longest);
    let name = "ampgate_store_thinned_total";
    out.head(name, "counter", "Facts that were given up for lack of memory.");
    out.sample(name, &[], store.thinned as f64);
    let sizes = [
        ("ampgate_store_size_bytes", "Size of the store.", store.file_bytes),
        ("ampgate_disk_free_bytes", "Space on the disk of the store.", machine.disk_free_bytes),
        ("process_resident_memory_bytes", "Memory of the daemon.", machine.resident_bytes),
    ];
    for (name, help, bytes) in sizes {
        if let Some(bytes) = bytes {
            out.one(name, help, bytes as f64);
        }
    }
}

fn totals(out: &mut Exposition, view: &View) {
    let totals = &view.totals;
    for (name, help, value) in [
        ("ampgate_frames_received_total", "OCPP frames from chargers.", totals.frames_in),
        ("ampgate_frames_sent_total", "OCPP frames to chargers.", totals.frames_out),
        ("ampgate_frames_bad_total", "Frames repaired or refused.", totals.frames_bad),
        ("ampgate_setpoints_total", "Setpoints sent.", totals.setpoints),
        ("ampgate_mqtt_messages_total", "Messages from the broker.", totals.mqtt_in),
        ("ampgate_plans_total", "Problems given to the solver.", totals.plans),
        ("ampgate_transactions_total", "Transactions started.", totals.transactions),
    ] {
        out.head(name, "counter", help);
        out.sample(name, &[], value as f64);
    }
}

fn status(status: EvseStatus) -> &'static str {
    match status {
        EvseStatus::Unknown => "unknown",
        EvseStatus::Available => "available",
        EvseStatus::Preparing => "preparing",
        EvseStatus::Charging => "charging",
        EvseStatus::SuspendedEvse => "suspended_evse",
        EvseStatus::SuspendedEv => "suspended_ev",
        EvseStatus::Finishing => "finishing",
        EvseStatus::Reserved => "reserved",
        EvseStatus::Unavailable => "unavailable",
        EvseStatus::Faulted => "faulted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::{exposition, sample};

    fn of(view: &View) -> String {
        let partner = PartnerState {
            id: "cpo".to_owned(),
            mode: "gateway".to_owned(),
            state: "registered".to_owned(),
            version: None,
            heard: view.at,
            waiting: 3,
            trouble: None,
        };
        let machine =
            Machine { disk_free_bytes: Some(5), resident_bytes: Some(6), ..Machine::default() };
        text(&Seen { view, partners: &[partner], machine: &machine, is_fresh: true })
    }

    #[test]
    fn figures_have_units_and_labels_are_escaped() {
        let mut view = sample::busy();
        view.nodes[1].id = "a\"b\nc".to_owned();
        let text = of(&view);
        assert!(text.contains("ampgate_evse_limit_amperes{evse=\"EVSE-02\"} 8.2\n"), "{text}");
        assert!(
            text.contains("ampgate_node_rating_amperes{node=\"a\\\"b\\nc\",phase=\"L1\"} 63\n")
        );
        assert!(text.contains("ampgate_frames_received_total 4210\n"));
        assert!(text.contains("ampgate_partner_waiting_objects{partner=\"cpo\"} 3\n"));
        assert!(text.contains("ampgate_disk_free_bytes 5\n"));
        let open = view.sessions.iter().filter(|session| session.ended.is_none()).count();
        assert!(text.contains(&format!("ampgate_sessions_open {open}\n")), "{text}");
    }

    #[test]
    fn every_figure_keeps_the_rules_of_promtool() {
        for view in [sample::busy(), sample::planned(), sample::degraded(), sample::hostile()] {
            let text = of(&view);
            assert_eq!(exposition::faults(&text), Vec::<String>::new());
        }
    }

    #[test]
    fn the_alert_rules_name_figures_that_exist() {
        let rules = include_str!("../../docs/prometheus/alerts.yml");
        let text = of(&sample::planned());
        let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        let words = rules.split(|letter: char| !is_name(letter));
        let names: Vec<&str> = words.filter(|word| word.starts_with("ampgate_")).collect();
        assert!(15 <= names.len());
        for name in names {
            assert!(text.contains(&format!("\n{name}")), "{name} is no figure");
        }
    }

    #[test]
    fn labels_are_as_many_as_the_configuration_has_names() {
        let view = sample::busy();
        let most = 20 * (view.evses.len() * 3 + view.nodes.len() * 3 + view.meters.len() + 10);
        let before = of(&view).lines().count();
        assert!(before < most, "{before}");
        let mut long = view.clone();
        let session = view.sessions.first().cloned().expect("one runs");
        long.sessions.extend((0..1000).map(|_| session.clone()));
        assert_eq!(of(&long).lines().count(), before, "a year of sessions adds no series");
    }
}
