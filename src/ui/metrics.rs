//! The figures of the site as Prometheus text (exposition format 0.0.4).

use std::fmt::Write;

use crate::controller::view::View;
use crate::ground::units::{Amps, PerPhase};

use super::explain;

/// All figures of a view; what is not measured is absent.
pub fn text(view: &View) -> String {
    let mut out = Exposition(String::new());
    out.head("ampgate_uptime_seconds", "gauge", "Time since the controller began.");
    out.sample("ampgate_uptime_seconds", &[], view.uptime_ms as f64 / 1000.0);
    out.head("ampgate_degraded", "gauge", "Things that keep the site from its usual limits.");
    out.sample("ampgate_degraded", &[], view.degraded.len() as f64);
    nodes(&mut out, view);
    evses(&mut out, view);
    links_and_sessions(&mut out, view);
    meters(&mut out, view);
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
}

fn evses(out: &mut Exposition, view: &View) {
    out.head("ampgate_evse_online", "gauge", "Whether the charge point is connected.");
    for evse in &view.evses {
        out.sample("ampgate_evse_online", &[("evse", &evse.id)], f64::from(evse.online));
    }
    out.head("ampgate_evse_limit_amperes", "gauge", "The limit in force of a running session.");
    for evse in &view.evses {
        if let Some(limit) = evse.limit_a {
            out.sample("ampgate_evse_limit_amperes", &[("evse", &evse.id)], limit.as_f64());
        }
    }
    out.head("ampgate_evse_power_watts", "gauge", "Measured power.");
    for evse in &view.evses {
        if let Some(power) = evse.power_w {
            out.sample("ampgate_evse_power_watts", &[("evse", &evse.id)], power.as_f64());
        }
    }
    out.head("ampgate_evse_current_amperes", "gauge", "Measured current by grid phase.");
    for evse in &view.evses {
        let measured = evse.measured_a.into_iter().flat_map(PerPhase::iter);
        for (phase, current) in measured {
            let phase = phase.to_string();
            let labels = [("evse", evse.id.as_str()), ("phase", phase.as_str())];
            out.sample("ampgate_evse_current_amperes", &labels, current.as_f64());
        }
    }
}

fn links_and_sessions(out: &mut Exposition, view: &View) {
    let name = "ampgate_charge_point_online";
    out.head(name, "gauge", "Whether the charge point is connected.");
    for point in &view.charge_points {
        out.sample(name, &[("charge_point", &point.id)], f64::from(point.online));
    }
    let open = || view.sessions.iter().filter(|session| session.ended.is_none());
    out.head("ampgate_sessions_open", "gauge", "Sessions that go on.");
    out.sample("ampgate_sessions_open", &[], open().count() as f64);
    let name = "ampgate_session_energy_watt_hours";
    out.head(name, "gauge", "Energy so far of the session that goes on at the EVSE.");
    for session in open() {
        out.sample(name, &[("evse", &session.evse)], session.energy_wh.as_f64());
    }
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

struct Exposition(String);

impl Exposition {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        match labels.is_empty() {
            true => self.line(format_args!("{name} {value}\n")),
            false => self.line(format_args!("{name}{{{}}} {value}\n", labels.join(","))),
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let written = self.0.write_fmt(line);
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::sample;

    #[test]
    fn figures_have_units_and_labels_are_escaped() {
        let mut view = sample::busy();
        view.nodes[1].id = "a\"b\nc".to_owned();
        let text = text(&view);
        assert!(text.contains("ampgate_evse_limit_amperes{evse=\"EVSE-02\"} 8.2\n"), "{text}");
        assert!(
            text.contains("ampgate_node_rating_amperes{node=\"a\\\"b\\nc\",phase=\"L1\"} 63\n")
        );
        assert!(text.contains("ampgate_frames_received_total 4210\n"));
        let open = view.sessions.iter().filter(|session| session.ended.is_none()).count();
        assert!(text.contains(&format!("ampgate_sessions_open {open}\n")), "{text}");
        assert!(text.contains("ampgate_charge_point_online{charge_point="), "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
            assert!(value.is_some(), "{line}");
        }
    }
}
