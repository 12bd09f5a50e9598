//! What is expected of sun, building and prices, and how far that was off lately.

use crate::controller::forecast_view::{FeedView, ForecastView, LeadView};
use crate::controller::view::View;
use crate::ground::zone::Zone;
use crate::model::feed::FeedKind;

use super::html::Html;
use super::table;

/// Leads that have a column.
const LEADS_H: [i64; 3] = [1, 6, 24];

/// The section of the page of the site.
pub fn section(view: &View) -> Html {
    let zone = Zone::new(&view.zone);
    let mut out = Html::new();
    out.add("<section class=\"list\" data-part=\"forecasts\"><h2>Forecasts</h2>", &[]);
    if view.forecasts.is_empty() {
        table::nothing(&mut out, "Nothing is forecast.");
    } else {
        let titles = ["Of", "Off by, 1 h ahead", "6 h ahead", "A day ahead", "From"];
        table::head(&mut out, "Forecasts and how far they were off", &titles);
        for one in &view.forecasts {
            row(&mut out, view, one, &zone);
        }
        out.add("</tbody></table></div>", &[]);
        out.add(
            "<p class=\"soft\">In brackets what the simplest forecast was off by: the value of the \
             moment for the next hour, else that of the day before.</p>",
            &[],
        );
    }
    out.add("</section>", &[]);
    out
}

fn row(out: &mut Html, view: &View, one: &ForecastView, zone: &Zone) {
    let trouble = one.received.as_ref().and_then(|feed| feed.trouble.as_ref());
    out.add("<tr><th scope=\"row\" data-label=\"Of\">{}</th>", &[&name(one.kind)]);
    for (hours, label) in LEADS_H.into_iter().zip(["1 h ahead", "6 h ahead", "A day ahead"]) {
        let text = lead(one, hours);
        out.add("<td class=\"number\" data-label=\"{}\">{}</td>", &[&label, &text]);
    }
    out.add("<td class=\"wide\" data-label=\"From\">{}", &[&one.source]);
    if let Some(feed) = &one.received {
        out.add("<br>{}", &[&received(feed, zone, view)]);
    }
    if let Some(trouble) = trouble {
        out.add("<br><span class=\"warn\">{}</span>", &[trouble]);
    }
    out.add("</td></tr>", &[]);
}

/// What is forecast, for people.
pub fn name(kind: FeedKind) -> &'static str {
    match kind {
        FeedKind::Pv => "Sun",
        FeedKind::Load => "Building",
        FeedKind::Price => "Price",
        FeedKind::Co2 => "CO2",
    }
}

/// `0.8 kW (2.1)`, or a dash where nothing has come due.
pub fn lead(one: &ForecastView, hours: i64) -> String {
    let found = one.leads.iter().find(|lead| lead.hours == hours);
    let words = |lead: &LeadView| format!("{:.1} kW ({:.1})", lead.off_kw, lead.simplest_off_kw);
    found.map_or_else(|| "–".to_owned(), words)
}

/// `day-ahead: heard 12:00, known until Fri 00:00; off by 1.2 kW where our own was by 2.0, 6 h
/// ahead: counts 70 %`.
pub fn received(feed: &FeedView, zone: &Zone, view: &View) -> String {
    let time = |at| zone.words(at, view.at);
    let mut text = match (feed.heard, feed.until) {
        (Some(heard), Some(until)) => {
            format!("{}: heard {}, known until {}", feed.id, time(heard), time(until))
        }
        _ => format!("{}: nothing heard yet", feed.id),
    };
    if let Some(proof) = feed.leads.iter().find(|proof| proof.hours == 6) {
        text.push_str(&format!(
            "; off by {:.1} kW where our own is by {:.1}, 6 h ahead: counts {:.0} %",
            proof.received_off_kw, proof.learned_off_kw, proof.share_percent
        ));
    }
    text
}
