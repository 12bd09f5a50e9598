//! Updates of the box itself on the page.

use crate::model::update::{UpdateStage, UpdateView};

use super::badge::{Badge, Offer};
use super::html::Html;

/// Updates on the page; nothing where there are none.
pub fn section(view: &UpdateView, badge: &Badge) -> Html {
    let mut out = Html::new();
    out.add("<section class=\"list updates\" id=\"updates\" data-part=\"updates\"", &[]);
    if !view.enabled {
        out.add(" hidden></section>", &[]);
        return out;
    }
    out.add("><h2>Updates</h2><p class=\"update {}\">", &[&view.stage.word()]);
    out.icon(match view.stage {
        UpdateStage::Idle | UpdateStage::Confirmed => "finished",
        UpdateStage::RolledBack | UpdateStage::Failed => "alarm",
        _ => "reserved",
    });
    out.add(" {}", &[&view.words]);
    if let Some(percent) = view.percent {
        out.add(" ({} %)", &[&percent]);
    }
    out.add("</p><p>{} runs here", &[&view.running]);
    if let Some(least) = &view.least {
        out.add("; nothing older than {} is installed", &[least]);
    }
    out.add(".</p>", &[]);
    for words in &view.trouble {
        out.add("<p class=\"alert\">{}</p>", &[words]);
    }
    for words in &view.assumed {
        out.add("<p>Assumed: {}.</p>", &[words]);
    }
    for words in &view.polled {
        out.add("<p>Asked by itself: {}.</p>", &[words]);
    }
    orders(&mut out, view, badge);
    out.add("</section>", &[]);
    out
}

/// The orders that can be given as the update stands.
fn orders(out: &mut Html, view: &UpdateView, badge: &Badge) {
    let can = |order: &str| view.orders.iter().any(|known| known == order);
    let offer = |title| Offer { method: "POST", route: "/api/v1/update", of: "", title };
    let body = |order: &str| format!("{{\"order\": \"{order}\"}}");
    if can("install") && badge.form(out, &offer("Install"), &body("install")) {
        out.add(
            "<label>Bundle <input name=\"location\" maxlength=\"2048\" spellcheck=\"false\" \
             required placeholder=\"/media/usb/ampgate.raucb or https://…\"></label> \
             <button>Install</button> <output></output></form>",
            &[],
        );
    }
    out.add("<p class=\"orders\">", &[]);
    let others = [
        ("force", "Do not wait"),
        ("confirm", "Confirm"),
        ("rollback", "Roll back"),
        ("cancel", "Cancel"),
    ];
    let others = || others.into_iter().filter(|(order, _)| can(order));
    for (order, title) in others() {
        badge.button(out, &offer(title), &body(order), "Done.");
    }
    let install = can("install").then_some("Install");
    let titles = install.into_iter().chain(others().map(|(_, title)| title));
    let all: Vec<Offer<'_>> = titles.map(offer).collect();
    badge.withheld(out, &all);
    out.add(" <output></output></p>", &[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_says_why_it_waits_and_has_the_orders_that_can_be_given() {
        let view = UpdateView {
            enabled: true,
            stage: UpdateStage::Waiting,
            words: "2.0.0 is in slot B, the start anew waits: <EVSE-07> would miss 17:00 by 4 min"
                .to_owned(),
            assumed: vec!["nobody has said when the car leaves at EVSE-03".to_owned()],
            running: "1.0.0".to_owned(),
            orders: vec!["force".to_owned(), "cancel".to_owned()],
            ..UpdateView::default()
        };
        let html = section(&view, &Badge::NoUsers).into_string();
        assert!(html.contains("&lt;EVSE-07&gt; would miss 17:00 by 4 min"), "{html}");
        assert!(html.contains("Assumed: nobody has said when"), "{html}");
        assert!(html.contains("Do not wait</button>") && html.contains("Cancel</button>"));
        assert!(!html.contains("Roll back") && !html.contains("Install"));
        let free = UpdateView { enabled: true, orders: vec!["install".to_owned()], ..view };
        let html = section(&free, &Badge::NoUsers).into_string();
        assert!(html.contains("name=\"location\"") && html.contains(">Install</button>"));
        assert!(section(&UpdateView::default(), &Badge::NoUsers).into_string().contains("hidden"));
    }
}
