//! Sessions, events, meters and charge points of a view as tables, with words where there are none.

use crate::controller::view::{MeterView, SessionView, View};
use crate::ground::units::PerPhase;
use crate::model::event::Severity;

use super::html::{Html, segment};
use super::words::{self, Calendar};

/// Events that the page shows; the API has the rest.
const EVENTS_SHOWN: usize = 14;

/// Open sessions and the latest closed ones.
pub fn sessions(view: &View, calendar: &Calendar) -> Html {
    let mut out = opened("sessions", "Sessions");
    if view.sessions.is_empty() {
        nothing(&mut out, "No session yet: plug in a car.");
        return closed(out);
    }
    head(
        &mut out,
        "Sessions, newest first",
        &["No.", "EVSE", "Token", "Began", "Lasted", "Energy", "State"],
    );
    for session in &view.sessions {
        session_row(&mut out, view, session, calendar);
    }
    out.add("</tbody></table></div>", &[]);
    closed(out)
}

fn session_row(out: &mut Html, view: &View, session: &SessionView, calendar: &Calendar) {
    let lasted = session.ended.or(view.at).map(|end| end.since(session.started));
    let lasted = lasted.map_or_else(|| "–".to_owned(), |span| words::age(span.as_millis()));
    let state = match (session.ended, &session.reason) {
        (None, _) => "running".to_owned(),
        (Some(_), Some(reason)) => format!("ended: {reason}"),
        (Some(_), None) => "ended".to_owned(),
    };
    out.add("<tr class=\"{}\">", &[&if session.ended.is_none() { "open" } else { "past" }]);
    out.add("<td data-label=\"No.\">{}</td>", &[&session.id]);
    out.add(
        "<th scope=\"row\" data-label=\"EVSE\"><a href=\"/evse/{}\">{}</a></th>",
        &[&segment(&session.evse), &session.evse],
    );
    out.add("<td data-label=\"Token\" class=\"code\">{}</td>", &[&session.token]);
    out.add("<td data-label=\"Began\">{}</td>", &[&calendar.short(session.started, view.at)]);
    out.add("<td data-label=\"Lasted\">{}</td>", &[&lasted]);
    let energy = words::kilowatt_hours(session.energy_wh);
    out.add("<td data-label=\"Energy\" class=\"number\">{}</td>", &[&energy]);
    out.add("<td data-label=\"State\">{}</td></tr>", &[&state]);
}

/// The latest events.
pub fn events(view: &View, calendar: &Calendar) -> Html {
    let mut out = opened("events", "Events");
    if view.events.is_empty() {
        nothing(&mut out, "Nothing has happened yet.");
        return closed(out);
    }
    out.add("<ol class=\"log\">", &[]);
    for event in view.events.iter().take(EVENTS_SHOWN) {
        let symbol = words::severity(event.kind.severity());
        let when = match event.at {
            Some(at) => calendar.exact(at, view.at),
            None => "before the clock was set".to_owned(),
        };
        out.add("<li class=\"{}\">", &[&symbol]);
        out.icon(symbol);
        out.add("<time>{}</time>", &[&when]);
        if event.kind.severity() != Severity::Info {
            out.add("<b class=\"severity\">{}</b>", &[&symbol]);
        }
        out.add("<span class=\"what\">", &[]);
        // Some texts begin with the name they are about; once is enough.
        if !event.subject.is_empty() && !event.text.starts_with(&event.subject) {
            out.add("<b>{}</b> ", &[&event.subject]);
        }
        out.add(
            "{}</span> <span class=\"code\">{}</span></li>",
            &[&event.text, &event.kind.code()],
        );
    }
    out.add("</ol>", &[]);
    closed(out)
}

/// The meters with the age of their values.
pub fn meters(view: &View) -> Html {
    let mut out = opened("meters", "Meters");
    if view.meters.is_empty() {
        nothing(&mut out, "No meter is configured: other load counts with its worst case.");
        return closed(out);
    }
    head(&mut out, "Meters", &["Meter", "State", "Age", "L1", "L2", "L3", "Power"]);
    for meter in &view.meters {
        meter_row(&mut out, meter);
    }
    out.add("</tbody></table></div>", &[]);
    closed(out)
}

fn meter_row(out: &mut Html, meter: &MeterView) {
    let (class, symbol, state) = match (meter.fresh, meter.age_ms) {
        (true, _) => ("open", "finished", "heard"),
        (false, Some(_)) => ("silent", "alarm", "silent"),
        (false, None) => ("silent", "alarm", "never heard"),
    };
    out.add(
        "<tr class=\"{}\"><th scope=\"row\" data-label=\"Meter\">{}</th>",
        &[&class, &meter.id],
    );
    out.add("<td data-label=\"State\">", &[]);
    out.icon(symbol);
    out.add(" {}</td>", &[&state]);
    let age = meter.age_ms.map_or_else(|| "–".to_owned(), words::age);
    out.add("<td data-label=\"Age\" class=\"number\">{}</td>", &[&age]);
    let currents = match meter.current_a {
        Some(current) => current.0.map(words::amps),
        None => PerPhase::all("–").0.map(str::to_owned),
    };
    for (phase, current) in ["L1", "L2", "L3"].into_iter().zip(currents) {
        out.add("<td data-label=\"{}\" class=\"number\">{}</td>", &[&phase, &current]);
    }
    let power = meter.power_w.map_or_else(|| "–".to_owned(), words::kilowatts);
    out.add("<td data-label=\"Power\" class=\"number\">{}</td></tr>", &[&power]);
}

/// Who the chargers say they are and what they can do.
pub fn charge_points(view: &View) -> Html {
    let mut out = Html::new();
    let online = view.charge_points.iter().filter(|point| point.online).count();
    out.add("<section class=\"list chargers\" data-part=\"chargers\"><details>", &[]);
    out.add(
        "<summary><h2>Charge points</h2><span>{} of {} connected</span></summary>",
        &[&online, &view.charge_points.len()],
    );
    let titles = ["Charge point", "Link", "Make and model", "Serial", "Firmware", "Can do"];
    head(&mut out, "Charge points", &titles);
    for point in &view.charge_points {
        let (class, symbol, link) = match point.online {
            true => ("open", "finished", "connected"),
            false => ("silent", "offline", "not connected"),
        };
        out.add(
            "<tr class=\"{}\"><th scope=\"row\" data-label=\"Charge point\">{}</th>",
            &[&class, &point.id],
        );
        out.add("<td data-label=\"Link\">", &[]);
        out.icon(symbol);
        out.add(" {}</td>", &[&link]);
        let identity = point.identity.clone().unwrap_or_default();
        let or_dash = |text: String| if text.trim().is_empty() { "–".to_owned() } else { text };
        let model = or_dash(format!("{} {}", identity.vendor, identity.model));
        out.add("<td data-label=\"Make and model\">{}</td>", &[&model]);
        out.add("<td data-label=\"Serial\" class=\"code\">{}</td>", &[&or_dash(identity.serial)]);
        out.add(
            "<td data-label=\"Firmware\" class=\"code\">{}</td>",
            &[&or_dash(identity.firmware)],
        );
        let capability = or_dash(point.capability.clone());
        out.add("<td data-label=\"Can do\" class=\"wide\">{}</td></tr>", &[&capability]);
    }
    out.add("</tbody></table></div>", &[]);
    out.add("<p><a href=\"/uploads\">Files that chargers have uploaded</a></p></details>", &[]);
    closed(out)
}

fn opened(part: &'static str, title: &'static str) -> Html {
    let mut out = Html::new();
    out.add("<section class=\"list {}\" data-part=\"{}\"><h2>{}</h2>", &[&part, &part, &title]);
    out
}

fn closed(mut out: Html) -> Html {
    out.add("</section>", &[]);
    out
}

/// The head of a table that scrolls sideways where it must.
pub fn head(out: &mut Html, caption: &'static str, titles: &[&'static str]) {
    out.add(
        "<div class=\"scroll\"><table class=\"records\"><caption class=\"unseen\">{}</caption>",
        &[&caption],
    );
    out.add("<thead><tr>", &[]);
    for title in titles {
        out.add("<th scope=\"col\">{}</th>", &[title]);
    }
    out.add("</tr></thead><tbody>", &[]);
}

/// The words that stand where there is nothing to show.
pub fn nothing(out: &mut Html, words: &'static str) {
    out.add("<p class=\"nothing\">{}</p>", &[&words]);
}
