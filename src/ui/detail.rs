//! The page of one EVSE: what its car gets, every limit between it and the grid, and its last day.

use crate::controller::view::{EvseView, View};
use crate::ground::time::{Duration, Instant, Utc};
use crate::ground::units::Amps;
use crate::ground::zone::Zone;
use crate::model::bound::Cause;
use crate::model::record::{ReadingRecord, SetpointRecord};

use super::badge::{Badge, Offer};
use super::chart::Frame;
use super::diagram;
use super::explain;
use super::html::{Html, segment};
use super::page::{self, Parts};
use super::plan;
use super::table;
use super::words::{self, Calendar};

/// Spans of the planned course that are shown.
const COURSE_SHOWN: usize = 24;

/// Limits in the table; the API has the rest.
const LIMITS_SHOWN: usize = 40;

/// What is known of the last day of an EVSE.
pub struct Past {
    /// Setpoints, oldest first.
    setpoints: Vec<SetpointRecord>,
    /// Readings, oldest first.
    readings: Vec<ReadingRecord>,
}

impl Past {
    /// From records that stand newest first. Those older than a day are left out where the time is
    /// known.
    pub fn new(
        at: Option<Utc>,
        setpoints: Vec<SetpointRecord>,
        readings: Vec<ReadingRecord>,
    ) -> Self {
        let young = |time: Utc| at.is_none_or(|at| at.since(time) <= Duration::hours(24));
        let setpoints = setpoints.into_iter().filter(|record| young(record.at)).rev().collect();
        let readings = readings.into_iter().filter(|record| young(record.at)).rev().collect();
        Self { setpoints, readings }
    }

    /// The first and the last moment that is known of.
    fn span(&self, now: Option<Utc>) -> (Utc, Utc) {
        let times = || {
            let sent = self.setpoints.iter().map(|record| record.at);
            sent.chain(self.readings.iter().map(|record| record.at))
        };
        let first = times().min().unwrap_or_default();
        (first, now.or(times().max()).unwrap_or_default())
    }
}

/// The page of an EVSE; the past is an error in words when the store cannot be read.
pub fn evse(view: &View, evse: &EvseView, past: &Result<Past, String>, badge: &Badge) -> Html {
    let address = segment(&evse.id);
    let mut out = page::opened(view, &format!("/live/evse/{address}"), &evse.id, badge);
    out.add("<nav class=\"back\"><a href=\"/\">← {}</a></nav>", &[&view.site]);
    out.append(&present(view, evse));
    orders(&mut out, evse, badge);
    out.append(&planned(view, evse));
    out.append(&path(view, evse));
    out.add("<section class=\"sheet\"><h2>Limits of the last day</h2>", &[]);
    match past {
        Ok(past) => limits(&mut out, view, evse, past),
        Err(why) => out.add("<p class=\"nothing\">The past cannot be read: {}.</p>", &[why]),
    }
    out.add("</section>", &[]);
    page::closed(out, badge)
}

/// What somebody may order here.
fn orders(out: &mut Html, evse: &EvseView, badge: &Badge) {
    let ask = Offer {
        method: "POST",
        route: "/api/v1/evses/{id}/meter-now",
        of: &evse.id,
        title: "Ask the charger for fresh values",
    };
    out.add("<p class=\"order\">", &[]);
    badge.button(out, &ask, "", "Asked: fresh values come in a moment.");
    out.add(" <output></output></p><p class=\"beside\">", &[]);
    badge.withheld(out, &[ask]);
    out.add(" ", &[]);
    let (route, title) = ("/evse/{id}/qr", "QR code for drivers");
    badge.link(out, &Offer { method: "GET", route, of: &evse.id, title });
    out.add("</p>", &[]);
}

/// What can change on the page of an EVSE.
pub fn parts(view: &View, id: &str, badge: &Badge) -> Parts {
    let mut parts =
        vec![("head".to_owned(), page::head(view, badge)), ("alert".to_owned(), page::alert(view))];
    if let Some(evse) = view.evses.iter().find(|evse| evse.id == id) {
        parts.push(("present".to_owned(), present(view, evse)));
        parts.push(("planned".to_owned(), planned(view, evse)));
        parts.push(("path".to_owned(), path(view, evse)));
    }
    parts
}

fn present(view: &View, evse: &EvseView) -> Html {
    let mut out = Html::new();
    let (state, _) = diagram::state(evse);
    out.add("<section class=\"sheet one {}\" data-part=\"present\"><header>", &[&state]);
    out.icon(state);
    let power = diagram::power_words(view, evse);
    out.add("<h2>{}</h2><b class=\"power\">{}</b></header>", &[&evse.id, &power]);
    diagram::doing(&mut out, view, evse);
    out.add("<p class=\"because\">{}: {}</p>", &[&diagram::limit_words(evse), &evse.reason]);
    diagram::phase_bars(&mut out, evse);
    out.add("<dl class=\"about\">", &[]);
    let armed = if evse.armed { "proven" } else { "not proven" };
    let safe = format!("{}, {armed}", words::rating(evse.safe_a));
    let place = format!("{}, connector {}", evse.charge_point, evse.connector);
    let rated = words::rating(evse.rated_a);
    for (name, value) in [
        ("Charge point", &place),
        ("Grid phases", &evse.wiring),
        ("Rating", &rated),
        ("Falls by itself to", &safe),
    ] {
        out.add("<div><dt>{}</dt><dd>{}</dd></div>", &[&name, value]);
    }
    if let Some(session) = explain::session(view, evse) {
        let began = Calendar::new(&view.zone).short(session.started, view.at);
        let text = format!("{} since {began}, token {}", session.id, session.token);
        out.add("<div><dt>Session</dt><dd>{}</dd></div>", &[&text]);
    }
    if let Some(known) = &evse.preference {
        let text = format!("{}, said by {}", known.words, known.source.words());
        out.add("<div><dt>Wanted</dt><dd>{}</dd></div>", &[&text]);
    }
    out.add("</dl></section>", &[]);
    out
}

/// What the plan has for the car that stands there.
fn planned(view: &View, evse: &EvseView) -> Html {
    let mut out = Html::new();
    out.add("<section class=\"sheet\" data-part=\"planned\"><h2>Planned course</h2>", &[]);
    match explain::planned(view, evse) {
        Some(car) => {
            let summary = plan::summary(&Zone::new(&view.zone), view.at, &car);
            out.add("<p class=\"because\">{}</p>", &[&summary]);
            if !car.words.is_empty() {
                out.add("<p>{}</p>", &[&car.words]);
            }
            plan::course(&mut out, view, &car, COURSE_SHOWN);
        }
        None if evse.session.is_none() => table::nothing(&mut out, "No plan: no car is charging."),
        None => table::nothing(&mut out, plan::absent(view)),
    }
    out.add("</section>", &[]);
    out
}

fn path(view: &View, evse: &EvseView) -> Html {
    let mut out = Html::new();
    out.add(
        "<section class=\"way\" data-part=\"path\"><div class=\"title\">\
         <h2>From here to the grid</h2>",
        &[],
    );
    diagram::legend(&mut out);
    out.add("</div>", &[]);
    let explanation = explain::explain(view, &evse.id);
    for node in explanation.iter().flat_map(|explanation| &explanation.path) {
        out.add("<div class=\"panel\"><header><h3>{}</h3></header>", &[&node.name]);
        if let Some(meter) = &node.silent_meter {
            diagram::silent(&mut out, meter);
        }
        diagram::load_table(&mut out, &node.name, &node.phases, node.total.as_ref());
        out.add("</div>", &[]);
    }
    out.add("</section>", &[]);
    out
}

fn limits(out: &mut Html, view: &View, evse: &EvseView, past: &Past) {
    let calendar = Calendar::new(&view.zone);
    if past.setpoints.is_empty() {
        table::nothing(out, "No limit was sent: they begin with a session.");
        return;
    }
    let (from, to) = past.span(view.at);
    let frame = Frame { from, to, top: evse.rated_a, calendar: &calendar };
    frame.draw(out, &past.setpoints, &past.readings);
    table::head(out, "Limits, newest first", &["Sent", "Limit", "Why not more"]);
    // A renewed lease repeats its limit; people want to see the changes.
    let mut changes: Vec<&SetpointRecord> = Vec::new();
    for setpoint in &past.setpoints {
        let words = |setpoint: &SetpointRecord| (setpoint.limit_a, since(view, setpoint));
        if changes.last().is_none_or(|last| words(last) != words(setpoint)) {
            changes.push(setpoint);
        }
    }
    for setpoint in changes.into_iter().rev().take(LIMITS_SHOWN) {
        let sent = calendar.exact(setpoint.at, view.at);
        out.add("<tr><td data-label=\"Sent\">{}</td>", &[&sent]);
        let limit = match setpoint.limit_a {
            Amps::ZERO => "pause".to_owned(),
            limit => words::amps(limit),
        };
        out.add("<td data-label=\"Limit\" class=\"number\">{}</td>", &[&limit]);
        out.add("<td data-label=\"Why\" class=\"wide\">{}</td></tr>", &[&since(view, setpoint)]);
    }
    out.add("</tbody></table></div>", &[]);
}

/// The cause of a setpoint in words, with its spans counted up to when it was sent. Of a run of the
/// daemon before this one the spans are not known; then they are left out.
fn since(view: &View, setpoint: &SetpointRecord) -> String {
    let ago = view.at.map(|at| at.since(setpoint.at));
    let sent = ago.map(|ago| Instant::from_millis(view.uptime_ms) - ago);
    match sent.filter(|sent| Instant::START <= *sent) {
        Some(sent) => setpoint.cause.words(sent),
        None => timeless(&setpoint.cause),
    }
}

fn timeless(cause: &Cause) -> String {
    match cause {
        Cause::MeterSilent { since: Some(since), .. } | Cause::LinkLost { since } => {
            cause.words(*since).replace(" for 0 s", "")
        }
        other => other.words(Instant::START),
    }
}
