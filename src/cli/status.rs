//! `ampgate status`, `sessions` and `events`.

use crate::controller::view::{SessionView, View};
use crate::ground::units::{Amps, Watts};
use crate::ui::api::EventLine;
use crate::ui::explain::{PathNode, rows};
use crate::ui::flow::{Flow, drawn, tightest};
use crate::ui::words::{self, Calendar};

use super::explain;
use super::text::{Side, clean, row, table};

/// Power, what is wrong, and the load of every node.
pub fn site(view: &View) -> String {
    let time = match view.at {
        Some(at) => Calendar::new(&view.zone).full(at),
        None => "the clock is not trusted yet".to_owned(),
    };
    let mut out = format!("{}, {time}\n", clean(&view.site));
    match view.degraded.len() {
        0 => out.push_str("all is well\n"),
        many => {
            let count = words::count(many, "thing is wrong", "things are wrong");
            out.push_str(&format!("{count}:\n"));
        }
    }
    for line in &view.degraded {
        out.push_str(&format!("  {}\n", clean(line)));
    }
    for limit in &view.limits {
        let whose = limit.evse.as_deref().unwrap_or("all chargers");
        out.push_str(&format!("  {}: {}\n", clean(whose), clean(&limit.words)));
    }
    out.push('\n');
    out.push_str(&power(view));
    out.push('\n');
    let nodes = view.nodes.iter().map(|node| {
        let (phases, total) = rows(node, view.voltage_v);
        let (id, name) = (node.id.clone(), node.name.clone());
        PathNode { id, name, silent_meter: node.silent_meter.clone(), phases, total }
    });
    out + &explain::nodes(&nodes.collect::<Vec<_>>())
}

fn power(view: &View) -> String {
    let flow = Flow::of(view);
    let grid = match flow.grid {
        Some(power) if power < Watts::ZERO => format!("{} fed in", words::kilowatts(-power)),
        Some(power) => format!("{} drawn", words::kilowatts(power)),
        None => "not measured".to_owned(),
    };
    let mut lines = vec![row(["grid", &grid])];
    if view.equipment.iter().any(|equipment| equipment.kind == "pv") {
        let sun = flow.sun.map_or_else(|| "not measured".to_owned(), words::kilowatts);
        lines.push(row(["sun", &sun]));
    }
    let charging = view.evses.iter().filter(|evse| drawn(view, evse) > Watts::ZERO).count();
    let points = words::count(view.evses.len(), "point", "points");
    let cars = format!("{}, {charging} of {points} charging", words::kilowatts(flow.cars));
    let sun = flow.sun_percent().map(|percent| format!(", {percent} % of it from the sun"));
    lines.push(row(["cars", &(cars + &sun.unwrap_or_default())]));
    let building = flow.building.map_or_else(|| "not measured".to_owned(), words::kilowatts);
    lines.push(row(["building", &building]));
    if let Some((node, phase, room)) = tightest(view) {
        let room = match room < Amps::ZERO {
            true => format!("{} over", words::amps(-room)),
            false => format!("{} free", words::amps(room)),
        };
        lines.push(row(["tightest", &format!("{node}, {phase}: {room}")]));
    }
    table(&[Side::Left, Side::Left], &lines)
}

/// Charge points, one line each.
pub fn chargers(view: &View) -> String {
    let mut lines = vec![row(["ID", "", "WHO", "FIRMWARE", "CAN"])];
    for point in &view.charge_points {
        let who = point.identity.as_ref();
        let name =
            who.map_or("never heard".to_owned(), |who| format!("{} {}", who.vendor, who.model));
        let firmware = who.map(|who| who.firmware.clone()).unwrap_or_default();
        let online = if point.online { "online" } else { "offline" };
        lines.push(row([&point.id, online, &name, &firmware, &point.capability]));
    }
    table(&[Side::Left; 5], &lines)
}

/// Sessions, one line each.
pub fn sessions(sessions: &[SessionView], zone: &str) -> String {
    if sessions.is_empty() {
        return "No session yet: plug in a car.\n".to_owned();
    }
    let calendar = Calendar::new(zone);
    let mut lines = vec![row(["NO.", "EVSE", "TOKEN", "BEGAN", "LASTED", "ENERGY", "STATE"])];
    for session in sessions {
        let lasted =
            session.ended.map(|ended| words::age(ended.since(session.started).as_millis()));
        let state = match (session.ended, &session.reason) {
            (None, _) => "running".to_owned(),
            (Some(_), Some(reason)) => format!("ended: {reason}"),
            (Some(_), None) => "ended".to_owned(),
        };
        lines.push(row([
            &session.id.to_string(),
            &session.evse,
            &session.token,
            &calendar.short(session.started, None),
            lasted.as_deref().unwrap_or("–"),
            &words::kilowatt_hours(session.energy_wh),
            &state,
        ]));
    }
    use Side::{Left, Right};
    table(&[Right, Left, Left, Left, Right, Right, Left], &lines)
}

/// Events, one line each.
pub fn events(events: &[EventLine], zone: &str) -> String {
    if events.is_empty() {
        return "Nothing has happened yet.\n".to_owned();
    }
    let calendar = Calendar::new(zone);
    let mut lines = vec![row(["TIME", "SEVERITY", "CODE", "ABOUT", "WHAT"])];
    for event in events {
        let time = event.at.map(|at| calendar.exact(at, None));
        let severity = words::severity(event.severity);
        let time = time.as_deref().unwrap_or("before the clock was set");
        lines.push(row([time, severity, &event.code, &event.subject, &event.text]));
    }
    table(&[Side::Left; 5], &lines)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::controller::view::LimitView;
    use crate::ui::sample;

    #[test]
    fn limits_from_outside_stand_below_what_is_wrong() {
        let mut view = sample::busy();
        view.limits = vec![LimitView {
            evse: None,
            limit_a: None,
            limit_w: Some(Watts::new(4_200)),
            source: "dimming".to_owned(),
            until: None,
            words: "limit of 4.2 kW by dimming until 14:30".to_owned(),
        }];
        let said = site(&view);
        let line = "  all chargers: limit of 4.2 kW by dimming until 14:30\n";
        assert!(said.contains(line), "{said}");
    }

    #[test]
    fn the_status_says_what_is_wrong_first() {
        expect![[r#"
            Office car park, Friday 1 March 2019, 10:24:05 CET
            2 things are wrong:
              grid meter silent for 18 s: the configured worst load is assumed at IBST 63A
              EVSE-05 draws 14.2 A, more than the 8.2 A it was told; others make room

            grid      not measured
            sun       11.4 kW
            cars      20.7 kW, 6 of 12 points charging
            building  not measured
            tightest  IBST 63A, L2: 14.5 A over

            NODE                OTHER  CARS  RESERVED   FREE       OF
            IBST 63A     L1      20.0  35.6      18.6  −11.9   62.3 A
                         L2      20.0  38.4      18.4  −14.5   62.3 A
                         L3      20.0  16.1      24.3    1.9   62.3 A
                         total   13.8  20.7      14.1   −5.6  43.0 kW
                         meter grid is silent: worst load assumed
            Board A 63A  L1       0.0  19.5       6.3   37.2   63.0 A
                         L2       0.0  22.3       6.1   34.6   63.0 A
                         L3       0.0   0.0      12.0   51.0   63.0 A
            Board B 63A  L1       0.0  16.1      12.3   34.6   63.0 A
                         L2       0.0  16.1      12.3   34.6   63.0 A
                         L3       0.0  16.1      12.3   34.6   63.0 A
        "#]]
        .assert_eq(&site(&sample::degraded()));
    }

    #[test]
    fn sessions_stand_in_a_table_and_their_absence_in_words() {
        let mut view = sample::busy();
        view.sessions.truncate(2);
        view.sessions[1].ended = view.at;
        view.sessions[1].reason = Some("EVDisconnected".to_owned());
        expect![[r#"
            NO.  EVSE     TOKEN       BEGAN             LASTED    ENERGY  STATE
             48  EVSE-08  ••••••C3D4  1 Mar 2019 09:01       –  13.3 kWh  running
             46  EVSE-06  ••••••C3D4  1 Mar 2019 08:47  97 min  10.4 kWh  ended: EVDisconnected
        "#]]
        .assert_eq(&sessions(&view.sessions, &view.zone));
        assert_eq!(sessions(&[], "UTC"), "No session yet: plug in a car.\n");
    }
}
