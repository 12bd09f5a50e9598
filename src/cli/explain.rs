//! `ampgate explain`: why each EVSE gets what it gets.

use crate::controller::plan_view::CarPlanView;
use crate::controller::view::{EvseView, View};
use crate::ground::units::{Amps, Phase, Watts};
use crate::ground::zone::Zone;
use crate::ui::diagram::{limit_words, state};
use crate::ui::explain::{Explanation, PathNode, PhaseRow, TotalRow};
use crate::ui::plan::{power, summary};
use crate::ui::words;

use super::text::{Side, clean, row, table};

/// Marks the limit that is the cause.
const BINDS: &str = "← sets the limit";
/// Columns of the load of nodes.
const SIDES: [Side; 8] = {
    use Side::{Left, Right};
    [Left, Left, Right, Right, Right, Right, Right, Left]
};

/// All EVSEs, one line each.
pub fn all(view: &View) -> String {
    if view.evses.is_empty() {
        return "No EVSE is configured.\n".to_owned();
    }
    let mut rows = vec![row(["EVSE", "STATE", "LIMIT", "POWER", "WHY"])];
    for evse in &view.evses {
        let limit = evse.limit_a.map_or_else(|| "–".to_owned(), words::amps);
        let power = evse.power_w.map_or_else(|| "–".to_owned(), words::kilowatts);
        rows.push(row([&evse.id, state(evse).1, &limit, &power, &evse.reason]));
    }
    table(&[Side::Left, Side::Left, Side::Right, Side::Right, Side::Left], &rows)
}

/// One EVSE, with every limit between it and the grid.
pub fn one(explanation: &Explanation, zone: &str) -> String {
    let evse = &explanation.evse;
    let mut out = format!("{}: {}, {}\n", evse.id, state(evse).1, limit_words(evse));
    out.push_str(&format!("why: {}\n\n", evse.reason));
    let mut rows = vec![vec!["measured".to_owned(), measured(evse)]];
    if let Some(session) = &explanation.session {
        let energy = words::kilowatt_hours(session.energy_wh);
        let text = format!("{}, {energy} since {}", session.id, session.started);
        rows.push(vec!["session".to_owned(), text]);
    }
    if let Some(known) = &evse.preference {
        let text = format!("{}, said by {}", known.words, known.source.words());
        rows.push(vec!["wanted".to_owned(), text]);
    }
    let zone = Zone::new(zone);
    if let Some(car) = &explanation.plan {
        let now = car.course.first().map(|part| part.from);
        rows.push(vec!["plan".to_owned(), summary(&zone, now, car)]);
    }
    if let Some(soc) = evse.soc_percent {
        rows.push(vec!["battery".to_owned(), format!("{soc:.0} % full")]);
    }
    rows.push(vec!["grid phases".to_owned(), evse.wiring.clone()]);
    let proven = if evse.armed { "proven" } else { "not proven" };
    let safe = format!("falls to {} by itself, {proven}", words::rating(evse.safe_a));
    rows.push(vec!["failsafe".to_owned(), safe]);
    let place = format!("{}, connector {}", evse.charge_point, evse.connector);
    rows.push(vec!["charge point".to_owned(), place]);
    let out = clean_lines(&out) + &table(&[Side::Left, Side::Left], &rows);
    let course = explanation.plan.iter().map(|car| course(car, &zone));
    let course: String = course.collect();
    format!("{out}\n{course}{}", nodes(&explanation.path))
}

/// The planned course of a car, one line for each span, with an empty line after it.
fn course(car: &CarPlanView, zone: &Zone) -> String {
    let mut rows = vec![row(["FROM", "UNTIL", "PLANNED", "WHY NOT MORE"])];
    let now = car.course.first().map(|part| part.from);
    for part in &car.course {
        let time = |at| zone.words(at, now);
        let (from, until) = (time(part.from), time(part.until));
        rows.push(row([&from, &until, &power(part.power_kw), &part.reason]));
    }
    let lines = table(&[Side::Left, Side::Left, Side::Right, Side::Left], &rows);
    if car.course.is_empty() { String::new() } else { lines + "\n" }
}

fn measured(evse: &EvseView) -> String {
    let Some(current) = evse.measured_a else {
        return "nothing heard".to_owned();
    };
    let wired = |phase: &Phase| evse.wiring.contains(["L1", "L2", "L3"][phase.index()]);
    let phases = Phase::ALL.into_iter().filter(wired);
    let phases = phases.map(|phase| format!("{phase} {}", words::amps(current[phase])));
    let phases: Vec<String> = phases.collect();
    match evse.power_w {
        Some(power) => format!("{} ({})", words::kilowatts(power), phases.join(", ")),
        None => phases.join(", "),
    }
}

/// The load of nodes, one line for each limit; the one that binds is marked.
pub fn nodes(path: &[PathNode]) -> String {
    let mut rows = vec![row(["NODE", "", "OTHER", "CARS", "RESERVED", "FREE", "OF", ""])];
    for node in path {
        let first = rows.len();
        rows.extend(node.phases.iter().map(phase_line));
        rows.extend(node.total.iter().map(total_line));
        if let Some(line) = rows.get_mut(first) {
            line[0].clone_from(&node.name);
        }
        if let Some(meter) = &node.silent_meter {
            rows.push(row(["", &format!("meter {meter} is silent: worst load assumed")]));
        }
    }
    table(&SIDES, &rows)
}

fn phase_line(line: &PhaseRow) -> Vec<String> {
    let figure = |current: Amps| words::tenths(current.as_milli());
    row([
        "",
        &line.phase.to_string(),
        &figure(line.other_load_a),
        &figure(line.charging_a),
        &figure((line.leased_a - line.charging_a).at_least_zero()),
        &line.headroom_a.map_or_else(|| "–".to_owned(), figure),
        &line.rating_a.map_or_else(|| "no limit".to_owned(), words::amps),
        if line.binds { BINDS } else { "" },
    ])
}

fn total_line(line: &TotalRow) -> Vec<String> {
    let figure = |power: Watts| words::tenths(power.as_milli() / 1000);
    row([
        "",
        "total",
        &figure(line.other_load_w),
        &figure(line.charging_w),
        &figure((line.leased_w - line.charging_w).at_least_zero()),
        &figure(line.headroom_w),
        &words::kilowatts(line.limit_w),
        if line.binds { BINDS } else { "" },
    ])
}

fn clean_lines(text: &str) -> String {
    text.split_inclusive('\n').map(|line| clean(line.trim_end_matches('\n')) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::ui::explain;
    use crate::ui::sample;

    #[test]
    fn one_evse_is_explained_up_to_the_grid() {
        let view = sample::busy();
        let explanation = explain::explain(&view, "EVSE-09").expect("it is there");
        expect![[r#"
            EVSE-09: charging, limit 8.2 A of 32 A
            why: breaker IBST 63A, phase L2, shared by 4 cars

            measured      5.6 kW (L1 8.1 A, L2 8.1 A, L3 8.1 A)
            session       49, 14.7 kWh since 2019-03-01T08:08:00Z
            battery       62 % full
            grid phases   L1L2L3
            failsafe      falls to 6 A by itself, proven
            charge point  CP-09, connector 1

            NODE                OTHER  CARS  RESERVED  FREE       OF
            Board B 63A  L1       0.0  16.1      12.3  34.6   63.0 A
                         L2       0.0  16.1      12.3  34.6   63.0 A
                         L3       0.0  16.1      12.3  34.6   63.0 A
            IBST 63A     L1       7.2  35.6      18.6   0.9   62.3 A
                         L2      11.4  32.3      18.5   0.1   62.3 A  ← sets the limit
                         L3       6.9  16.1      24.3  15.0   62.3 A
                         total    5.9  19.3      14.1   3.7  43.0 kW
        "#]]
        .assert_eq(&one(&explanation, &view.zone));
    }

    #[test]
    fn a_lost_charger_and_a_silent_meter_are_explained() {
        let view = sample::degraded();
        let explanation = explain::explain(&view, "EVSE-12").expect("it is there");
        expect![[r#"
            EVSE-12: not reachable, no limit sent · safe share 6 A of 32 A
            why: failsafe: charger not reachable for 3 min

            measured      nothing heard
            grid phases   L1L2L3
            failsafe      falls to 6 A by itself, proven
            charge point  CP-12, connector 1

            NODE                OTHER  CARS  RESERVED   FREE       OF
            Board B 63A  L1       0.0  16.1      12.3   34.6   63.0 A
                         L2       0.0  16.1      12.3   34.6   63.0 A
                         L3       0.0  16.1      12.3   34.6   63.0 A
            IBST 63A     L1      20.0  35.6      18.6  −11.9   62.3 A
                         L2      20.0  38.4      18.4  −14.5   62.3 A
                         L3      20.0  16.1      24.3    1.9   62.3 A
                         total   13.8  20.7      14.1   −5.6  43.0 kW
                         meter grid is silent: worst load assumed
        "#]]
        .assert_eq(&one(&explanation, &view.zone));
    }

    #[test]
    fn a_planned_course_is_told_in_the_time_of_the_site() {
        let view = sample::planned();
        let explanation = explain::explain(&view, "EVSE-01").expect("it is there");
        let text = one(&explanation, &view.zone);
        let told = text.split("NODE").next().unwrap_or_default();
        expect![[r#"
            EVSE-01: charging, limit 11.8 A of 16 A
            why: breaker IBST 63A, phase L1, shared by 4 cars

            measured      2.7 kW (L1 11.7 A)
            session       41, 3.1 kWh since 2019-03-01T07:12:00Z
            wanted        20.0 kWh by 16:30, said by the driver
            plan          13.5 kWh more by 16:30 (13.5 kWh, the driver).
            grid phases   L1
            failsafe      falls to 6 A by itself, proven
            charge point  CP-01, connector 1

            FROM   UNTIL  PLANNED  WHY NOT MORE
            10:15  11:30    pause  waiting for sun until 11:30
            11:30  16:30   2.7 kW  breaker IBST 63A, phase L1

        "#]]
        .assert_eq(told);
    }

    #[test]
    fn all_evses_are_listed_with_their_reason() {
        let mut view = sample::busy();
        view.evses = [0, 2, 5, 11].map(|index| view.evses[index].clone()).into();
        expect![[r#"
            EVSE     STATE               LIMIT   POWER  WHY
            EVSE-01  charging           11.8 A  2.7 kW  breaker IBST 63A, phase L1, shared by 4 cars
            EVSE-03  free                    –  0.0 kW  no car charging; safe share reserved
            EVSE-06  paused by the car   6.0 A  0.0 kW  the car has paused or is full
            EVSE-12  not reachable           –       –  failsafe: charger not reachable for 3 min
        "#]]
        .assert_eq(&all(&view));
    }
}
