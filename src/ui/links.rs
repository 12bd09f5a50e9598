//! The links to partners over OCPI on the page: how each is, when it was last heard, what it
//! has yet to be told, and what is wrong in words.

use crate::controller::view::View;
use crate::model::partner::PartnerState;

use super::html::Html;
use super::table;
use super::words::{self, Calendar};

/// The links to partners on the page; nothing where there are none.
pub fn section(partners: &[PartnerState], view: &View, calendar: &Calendar) -> Html {
    let mut out = Html::new();
    out.add("<section class=\"list partners\" data-part=\"partners\"", &[]);
    if partners.is_empty() {
        out.add(" hidden></section>", &[]);
        return out;
    }
    out.add("><h2>Partners</h2>", &[]);
    let titles = ["Partner", "Link", "Version", "Last exchange", "Waiting", "Trouble"];
    table::head(&mut out, "Partners over OCPI", &titles);
    for partner in partners {
        row(&mut out, partner, view, calendar);
    }
    out.add("</tbody></table></div></section>", &[]);
    out
}

fn row(out: &mut Html, partner: &PartnerState, view: &View, calendar: &Calendar) {
    let (class, symbol) = match partner.state.as_str() {
        "registered" => ("open", "finished"),
        "invited" | "not registered" => ("past", "unknown"),
        _ => ("silent", "offline"),
    };
    out.add(
        "<tr class=\"{}\"><th scope=\"row\" data-label=\"Partner\">{} ({})</th>",
        &[&class, &partner.id, &partner.mode],
    );
    out.add("<td data-label=\"Link\">", &[]);
    out.icon(symbol);
    out.add(" {}</td>", &[&partner.state]);
    let version = partner.version.as_deref().unwrap_or("–");
    out.add("<td data-label=\"Version\">{}</td>", &[&version]);
    let heard = partner.heard.map_or_else(|| "never".to_owned(), |at| calendar.short(at, view.at));
    out.add("<td data-label=\"Last exchange\">{}</td>", &[&heard]);
    let waiting = match partner.waiting {
        0 => "nothing".to_owned(),
        many => words::count(many, "object", "objects"),
    };
    out.add("<td data-label=\"Waiting\">{}</td>", &[&waiting]);
    let trouble = partner.trouble.as_deref().unwrap_or("–");
    out.add("<td data-label=\"Trouble\" class=\"wide\">{}</td></tr>", &[&trouble]);
}
