//! The electrical diagram of the site: nodes with their load, and what hangs below them.
//!
//! The tree itself never changes while a configuration is in force; what changes is in parts, each
//! of which is sent alone when it differs (see `live`).

use crate::controller::view::{EquipmentView, EvseView, NodeView, View};
use crate::ground::units::{Amps, PerPhase, Phase, Watts};
use crate::model::message::EvseStatus;

use super::bar::Bar;
use super::explain::{self, PhaseRow, TotalRow};
use super::flow::drawn;
use super::html::{Html, segment};
use super::words;

/// With less room than this no further car can begin: the least current of IEC 61851-1.
const TIGHT: Amps = Amps::new(6);

/// Less power than this is the charger's own electronics, or nothing.
const FLOWING: Watts = Watts::new(50);

/// A board with more EVSEs than this takes the whole width.
const EVSES_BESIDE: usize = 12;

/// The whole tree.
pub fn tree(out: &mut Html, view: &View) {
    out.add("<ul class=\"tree\">", &[]);
    for (index, node) in view.nodes.iter().enumerate() {
        if node.parent.is_none() {
            branch(out, view, index);
        }
    }
    out.add("</ul>", &[]);
}

/// One node with everything below it. Children stand behind their parent, so this ends.
fn branch(out: &mut Html, view: &View, index: usize) {
    let children = children(view, index);
    let width = if EVSES_BESIDE < evses_below(view, index) { "wide" } else { "slim" };
    out.add("<li class=\"branch {}\">", &[&width]);
    out.append(&panel(view, index));
    let id = &view.nodes[index].id;
    let plants = (0..view.equipment.len()).filter(|item| view.equipment[*item].node == *id);
    let tiles = (0..view.evses.len()).filter(|item| view.evses[*item].node == *id);
    let plants = plants.map(|item| plant(view, item));
    let feeders: Vec<Html> = plants.chain(tiles.map(|item| tile(view, item))).collect();
    out.add("<div class=\"below\">", &[]);
    if !feeders.is_empty() {
        out.add("<ul class=\"row feeders\">", &[]);
        for feeder in &feeders {
            out.add("<li>", &[]);
            out.append(feeder);
            out.add("</li>", &[]);
        }
        out.add("</ul>", &[]);
    }
    if !children.is_empty() {
        out.add("<ul class=\"row boards\">", &[]);
        for child in children {
            branch(out, view, child);
        }
        out.add("</ul>", &[]);
    }
    out.add("</div></li>", &[]);
}

fn children(view: &View, index: usize) -> Vec<usize> {
    let id = &view.nodes[index].id;
    let later = view.nodes.iter().enumerate().skip(index + 1);
    let here = later.filter(|(_, child)| child.parent.as_ref() == Some(id));
    here.map(|(child, _)| child).collect()
}

fn evses_below(view: &View, index: usize) -> usize {
    let id = &view.nodes[index].id;
    let here = view.evses.iter().filter(|evse| evse.node == *id).count();
    let deeper = children(view, index).into_iter().map(|child| evses_below(view, child));
    here + deeper.sum::<usize>()
}

/// A node with its load on each phase.
pub fn panel(view: &View, index: usize) -> Html {
    let mut out = Html::new();
    let node = &view.nodes[index];
    let flowing = node.charging_a.largest() > Amps::ZERO;
    let state = if flowing { "live" } else { "still" };
    out.add("<div class=\"part {}\" data-part=\"n{}\">", &[&state, &index]);
    if node.parent.is_some() {
        out.add(
            "<span class=\"drop\" aria-hidden=\"true\"><svg><use href=\"#i-drop\"/></svg></span>",
            &[],
        );
    }
    out.add("<section class=\"panel\" aria-labelledby=\"n{}-name\">", &[&index]);
    let symbol = if node.parent.is_none() { "grid" } else { "board" };
    out.add("<header>", &[]);
    out.icon(symbol);
    out.add("<h3 id=\"n{}-name\">{}</h3>", &[&index, &node.name]);
    out.add("<p class=\"facts\">{}</p></header>", &[&facts(node)]);
    if let Some(meter) = &node.silent_meter {
        silent(&mut out, meter);
    }
    let (phases, total) = explain::rows(node, view.voltage_v);
    load_table(&mut out, &node.name, &phases, total.as_ref());
    out.add("</section></div>", &[]);
    out
}

/// That a meter is silent and what follows.
pub fn silent(out: &mut Html, meter: &str) {
    out.add("<p class=\"warn\">", &[]);
    out.icon("alarm");
    out.add("Meter {} is silent: the worst load is assumed here.</p>", &[&meter]);
}

fn facts(node: &NodeView) -> String {
    let mut facts = Vec::new();
    if let Some(rating) = node.rating_a {
        let [first, second, third] = rating.0;
        facts.push(if first == second && second == third {
            format!("{} per phase", words::rating(first))
        } else {
            format!(
                "{} / {} / {}",
                words::rating(first),
                words::rating(second),
                words::rating(third)
            )
        });
    }
    if let Some(limit) = node.power_limit_w {
        facts.push(format!("{} in all", words::kilowatts(limit)));
    }
    if node.metered_a.is_some() {
        facts.push("metered".to_owned());
    }
    if facts.is_empty() { "no rating of its own".to_owned() } else { facts.join(" · ") }
}

/// What the parts of a bar mean.
pub fn legend(out: &mut Html) {
    out.add("<ul class=\"legend\">", &[]);
    for (rectangle, words) in [
        ("fill=\"url(#hatch-other)\"", "other load"),
        ("class=\"cars\"", "cars, measured"),
        ("fill=\"url(#hatch-held)\"", "reserved, not drawn"),
        ("class=\"room\"", "free"),
    ] {
        out.add("<li><svg class=\"key\" aria-hidden=\"true\"><rect ", &[]);
        out.add(rectangle, &[]);
        out.add(" width=\"100%\" height=\"100%\"/></svg>{}</li>", &[&words]);
    }
    out.add("</ul>", &[]);
}

/// The load of one node: a bar and its figures for each phase and for the total.
pub fn load_table(out: &mut Html, name: &str, phases: &[PhaseRow], total: Option<&TotalRow>) {
    out.add(
        "<table class=\"load\"><caption class=\"unseen\">Load of {} by phase</caption>",
        &[&name],
    );
    out.add(
        "<thead><tr><th scope=\"col\"><span class=\"unseen\">Phase</span></th>\
         <td></td><th scope=\"col\">other</th><th scope=\"col\">cars</th>\
         <th scope=\"col\">reserved</th><th scope=\"col\">free</th>\
         <th scope=\"col\">of</th></tr></thead><tbody>",
        &[],
    );
    for row in phases {
        let bar = Bar {
            limit: row.rating_a.map(Amps::as_milli),
            other: row.other_load_a.as_milli(),
            cars: row.charging_a.as_milli(),
            leased: row.leased_a.as_milli(),
            mark: None,
        };
        let tight = row.headroom_a.is_some_and(|room| room < TIGHT);
        load_row(out, &row.phase.to_string(), &bar, "A", 1, (tight, row.binds));
    }
    if let Some(total) = total {
        let bar = Bar {
            limit: Some(total.limit_w.as_milli()),
            other: total.other_load_w.as_milli(),
            cars: total.charging_w.as_milli(),
            leased: total.leased_w.as_milli(),
            mark: None,
        };
        load_row(out, "Total", &bar, "kW", 1000, (total.headroom_w < Watts::ZERO, total.binds));
    }
    out.add("</tbody></table>", &[]);
}

fn load_row(
    out: &mut Html,
    name: &str,
    bar: &Bar,
    unit: &str,
    per: i64,
    (tight, binds): (bool, bool),
) {
    let figure = |value: i64| words::tenths(value / per);
    let held = bar.leased.max(bar.cars) - bar.cars;
    let room = bar.limit.map(|limit| limit - bar.other - bar.leased.max(bar.cars));
    let state = match room {
        Some(room) if room < 0 => "over",
        _ if tight => "tight",
        _ => "fine",
    };
    out.add("<tr class=\"{}\"><th scope=\"row\">{}", &[&state, &name]);
    if binds {
        out.add(" <span class=\"binds\">sets the limit</span>", &[]);
    }
    out.add("</th><td class=\"graph\">", &[]);
    bar.draw(out);
    out.add(
        "</td><td data-label=\"other\">{}</td><td data-label=\"cars\">{}</td>\
         <td data-label=\"reserved\">{}</td>",
        &[&figure(bar.other), &figure(bar.cars), &figure(held)],
    );
    match (room, bar.limit) {
        (Some(room), Some(limit)) if room < 0 => {
            out.add("<td class=\"free\">", &[]);
            out.icon("alarm");
            let (over, limit) = (figure(-room), figure(limit));
            out.add("{} over</td><td class=\"of\">{} {}</td>", &[&over, &limit, &unit]);
        }
        (Some(room), Some(limit)) => out.add(
            "<td class=\"free\">{}<span class=\"unit\"> {}</span></td><td class=\"of\">{} {}</td>",
            &[&figure(room), &unit, &figure(limit), &unit],
        ),
        _ => out.add("<td class=\"free\">–</td><td class=\"of\">no limit</td>", &[]),
    }
    out.add("</tr>", &[]);
}

/// PV, a battery or a load under its node.
pub fn plant(view: &View, index: usize) -> Html {
    let mut out = Html::new();
    let EquipmentView { id, kind, power_w, .. } = &view.equipment[index];
    let (symbol, name) = match kind.as_str() {
        "pv" => ("pv", "PV"),
        "battery" => ("battery", "battery"),
        _ => ("load", "load"),
    };
    let words = match (symbol, power_w) {
        (_, None) => "not measured",
        ("pv", _) => "generated",
        ("battery", Some(power)) if *power < Watts::ZERO => "discharging",
        ("battery", _) => "charging",
        _ => "drawn",
    };
    let state = match power_w {
        Some(power) if power.abs() < FLOWING => "still",
        Some(_) if symbol == "pv" => "sunny",
        Some(_) => "live",
        None => "still",
    };
    opened(&mut out, state, &format!("q{index}"));
    out.add("<article class=\"tile plant\"><header>", &[]);
    out.icon(symbol);
    let power = power_w.map_or_else(|| "–".to_owned(), |power| words::kilowatts(power.abs()));
    out.add("<h4>{}</h4><b class=\"power\">{}</b></header>", &[id, &power]);
    out.add("<p class=\"now\">{}, {}</p></article></div>", &[&name, &words]);
    out
}

/// An EVSE with its car.
pub fn tile(view: &View, index: usize) -> Html {
    let mut out = Html::new();
    let evse = &view.evses[index];
    let (state, _) = state(evse);
    let flow = if drawn(view, evse) >= FLOWING { "live" } else { "still" };
    opened(&mut out, flow, &format!("e{index}"));
    out.add("<article class=\"tile evse {}\"><header>", &[&state]);
    out.icon(state);
    out.add("<h4><a href=\"/evse/{}\">{}</a></h4>", &[&segment(&evse.id), &evse.id]);
    out.add("<b class=\"power\">{}</b></header>", &[&power_words(view, evse)]);
    doing(&mut out, view, evse);
    phase_bars(&mut out, evse);
    out.add("<p class=\"limit\">{}</p>", &[&limit_words(evse)]);
    out.add("<p class=\"why\">{}</p>", &[&evse.reason]);
    if evse.session.is_some() && !evse.armed {
        out.add("<p class=\"warn\">", &[]);
        out.icon("warning");
        out.add("failsafe not proven</p>", &[]);
    }
    out.add("</article></div>", &[]);
    out
}

fn opened(out: &mut Html, state: &str, part: &str) {
    out.add("<div class=\"part {}\" data-part=\"{}\">", &[&state, &part]);
    out.add(
        "<span class=\"drop\" aria-hidden=\"true\"><svg><use href=\"#i-drop\"/></svg></span>",
        &[],
    );
}

/// The measured power of an EVSE, or a dash.
pub fn power_words(view: &View, evse: &EvseView) -> String {
    match evse.power_w.is_some() || evse.measured_a.is_some() {
        true => words::kilowatts(drawn(view, evse)),
        false => "–".to_owned(),
    }
}

/// What an EVSE is doing, the energy of its session and the state of charge.
pub fn doing(out: &mut Html, view: &View, evse: &EvseView) {
    out.add("<p class=\"now\"><span class=\"state\">{}</span>", &[&state(evse).1]);
    if let Some(session) = explain::session(view, evse) {
        out.add(" <span>{}</span>", &[&words::kilowatt_hours(session.energy_wh)]);
    }
    if let Some(soc) = evse.soc_percent {
        out.add(" <span>{} % full</span>", &[&format!("{soc:.0}")]);
    }
    out.add("</p>", &[]);
}

/// Measured, reserved and allowed current of an EVSE on each of its phases.
pub fn phase_bars(out: &mut Html, evse: &EvseView) {
    out.add("<dl class=\"currents\">", &[]);
    let measured = evse.measured_a.unwrap_or(PerPhase::ZERO);
    for phase in Phase::ALL {
        if !evse.wiring.contains(["L1", "L2", "L3"][phase.index()]) {
            continue;
        }
        out.add("<div><dt>{}</dt><dd>", &[&phase]);
        let bar = Bar {
            limit: Some(evse.rated_a.as_milli()),
            other: 0,
            cars: measured[phase].as_milli(),
            leased: evse.leased_a[phase].as_milli(),
            mark: evse.limit_a.map(Amps::as_milli),
        };
        bar.draw(out);
        match evse.measured_a {
            Some(current) => out.add("<span>{}</span>", &[&words::amps(current[phase])]),
            None => out.add("<span>–</span>", &[]),
        }
        out.add("</dd></div>", &[]);
    }
    out.add("</dl>", &[]);
}

/// The limit in force against the rating, in words.
pub fn limit_words(evse: &EvseView) -> String {
    let rated = words::rating(evse.rated_a);
    match evse.limit_a {
        Some(limit) if limit == Amps::ZERO => format!("told to pause · rated {rated}"),
        Some(limit) => format!("limit {} of {rated}", words::amps(limit)),
        None => format!("no limit sent · safe share {} of {rated}", words::rating(evse.safe_a)),
    }
}

/// Name of the state for styles and symbols, and in words.
pub fn state(evse: &EvseView) -> (&'static str, &'static str) {
    if !evse.online {
        return match evse.status {
            EvseStatus::Unknown => ("unknown", words::status(EvseStatus::Unknown)),
            _ => ("offline", "not reachable"),
        };
    }
    let name = match evse.status {
        EvseStatus::Unknown => "unknown",
        EvseStatus::Available => "available",
        EvseStatus::Preparing => "plugged",
        EvseStatus::Charging => "charging",
        EvseStatus::SuspendedEvse | EvseStatus::SuspendedEv => "paused",
        EvseStatus::Finishing => "finished",
        EvseStatus::Reserved => "reserved",
        EvseStatus::Unavailable => "unavailable",
        EvseStatus::Faulted => "faulted",
    };
    (name, words::status(evse.status))
}
