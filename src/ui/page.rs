//! The live page: the whole site at a glance, readable without a script.
//!
//! The page is made of parts. The server renders each part from a view; a browser with a script
//! gets the parts that have changed (see `live`), a browser without one gets the same by reloading.
//! So there is one rendering, and it is here.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::controller::view::View;
use crate::ground::units::{Amps, Watts};
use crate::model::partner::PartnerState;
use crate::model::update::UpdateView;
use crate::model::user::Role;

use super::badge::{Badge, Offer};
use super::bar::{self, Part};
use super::diagram;
use super::flow::{self, Flow};
use super::forecast;
use super::html::Html;
use super::links;
use super::plan;
use super::table;
use super::updates;
use super::words::{self, Calendar};

/// Styles of all pages.
pub const STYLE: &str = include_str!("assets/page.css");
/// The script of all pages.
pub const SCRIPT: &str = include_str!("assets/page.js");
/// The mark in the browser's tab.
pub const MARK: &str = include_str!("assets/mark.svg");
/// Symbols of all pages, to stand at the beginning of a body.
pub const SYMBOLS: &str = include_str!("assets/symbols.svg");

/// What stands at the foot of each page.
const FOOT: [(&str, &str); 6] = [
    ("/account", "Account"),
    ("/users", "Users"),
    ("/uploads", "Files of chargers"),
    ("/api/v1/openapi.json", "API"),
    ("/metrics", "Metrics"),
    ("/healthz", "Health"),
];

/// Parts of a page by name.
pub type Parts = Vec<(String, Html)>;

/// The page of the site.
pub fn site(view: &View, partners: &[PartnerState], update: &UpdateView, badge: &Badge) -> Html {
    let calendar = Calendar::new(&view.zone);
    let mut out = opened(view, "/live", &view.site, badge);
    out.append(&balance(view));
    out.add("<section class=\"diagram\"><div class=\"title\"><h2>One-line diagram</h2>", &[]);
    diagram::legend(&mut out);
    out.add("</div>", &[]);
    if view.nodes.is_empty() {
        table::nothing(&mut out, "No node is configured: the diagram is empty.");
    }
    diagram::tree(&mut out, view);
    out.add("</section>", &[]);
    out.append(&plan::section(view));
    out.append(&forecast::section(view));
    out.add("<div class=\"pair\">", &[]);
    out.append(&table::sessions(view, &calendar));
    out.append(&table::events(view, &calendar));
    out.add("</div>", &[]);
    out.append(&links::section(partners, view, &calendar));
    out.append(&table::meters(view));
    out.append(&table::charge_points(view));
    out.append(&updates::section(update, badge));
    closed(out, badge)
}

/// All parts of the page of the site that can change.
pub fn parts(view: &View, partners: &[PartnerState], update: &UpdateView, badge: &Badge) -> Parts {
    let calendar = Calendar::new(&view.zone);
    let mut parts = vec![
        ("head".to_owned(), head(view, badge)),
        ("alert".to_owned(), alert(view)),
        ("balance".to_owned(), balance(view)),
    ];
    let name = |kind: &str, index: usize| format!("{kind}{index}");
    parts.extend((0..view.nodes.len()).map(|at| (name("n", at), diagram::panel(view, at))));
    parts.extend((0..view.equipment.len()).map(|at| (name("q", at), diagram::plant(view, at))));
    parts.extend((0..view.evses.len()).map(|at| (name("e", at), diagram::tile(view, at))));
    parts.push(("plan".to_owned(), plan::section(view)));
    parts.push(("forecasts".to_owned(), forecast::section(view)));
    parts.push(("sessions".to_owned(), table::sessions(view, &calendar)));
    parts.push(("events".to_owned(), table::events(view, &calendar)));
    parts.push(("partners".to_owned(), links::section(partners, view, &calendar)));
    parts.push(("meters".to_owned(), table::meters(view)));
    parts.push(("chargers".to_owned(), table::charge_points(view)));
    parts.push(("updates".to_owned(), updates::section(update, badge)));
    parts
}

/// Differs when the tree of the page differs, or the program, or who looks and what they may: then
/// a page has to be loaded anew.
pub fn stamp(view: &View, badge: &Badge) -> String {
    let mut hasher = DefaultHasher::new();
    badge.hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    STYLE.hash(&mut hasher);
    SCRIPT.hash(&mut hasher);
    view.site.hash(&mut hasher);
    for node in &view.nodes {
        (&node.id, &node.name, &node.parent).hash(&mut hasher);
    }
    for evse in &view.evses {
        (&evse.id, &evse.node).hash(&mut hasher);
    }
    for equipment in &view.equipment {
        (&equipment.id, &equipment.node).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// Everything before the content of a page.
pub fn opened(view: &View, live: &str, title: &str, badge: &Badge) -> Html {
    let mut out = Html::new();
    out.add(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{} · Ampgate</title>",
        &[&title],
    );
    out.add(
        "<link rel=\"icon\" type=\"image/svg+xml\" href=\"/assets/mark.svg\">\
         <link rel=\"stylesheet\" href=\"/assets/page.css\">\
         <script src=\"/assets/page.js\" defer></script></head>",
        &[],
    );
    out.add("<body data-live=\"{}\" data-stamp=\"{}\">", &[&live, &stamp(view, badge)]);
    out.add("<a class=\"skip\" href=\"#main\">Skip to the content</a>", &[]);
    out.add(SYMBOLS, &[]);
    out.append(&head(view, badge));
    out.add(
        "<p id=\"lost\" class=\"lost\" role=\"alert\" hidden></p>\
         <noscript><p class=\"lost\">Figures of the moment the page was loaded. \
         Reload for those of the present; live figures need JavaScript.</p></noscript>\
         <main id=\"main\">",
        &[],
    );
    out.append(&alert(view));
    out
}

/// That there is nothing of that name. It is for strangers too, and so shows nothing of the site.
pub fn missing(error: &str) -> Html {
    let mut out = bare("Not found");
    out.add("<p>Here {}.</p><p><a href=\"/\">To the site</a></p>", &[&error]);
    bare_end(out)
}

/// That it takes another role to see this, and ways on from here.
pub fn forbidden(need: Role, badge: &Badge) -> Html {
    let mut out = bare("Not for this role");
    out.add("<p>This is for the role {}", &[&need]);
    if let Badge::Known { name, role, .. } = badge {
        out.add(", and {} is {}", &[name, role]);
    }
    out.add(".</p><p><a href=\"/\">To the site</a></p>", &[]);
    out.add(
        "<form method=\"post\" action=\"/logout\"><p class=\"buttons\"><button>Log in as \
         somebody else</button></p></form>",
        &[],
    );
    bare_end(out)
}

/// Everything before the content of a page that shows nothing of the site: for whoever is not
/// logged in, or at a wrong address.
pub fn bare(title: &'static str) -> Html {
    let mut out = Html::new();
    out.add(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{} · Ampgate</title>\
         <link rel=\"icon\" type=\"image/svg+xml\" href=\"/assets/mark.svg\">\
         <link rel=\"stylesheet\" href=\"/assets/page.css\"></head><body class=\"driver\">",
        &[&title],
    );
    out.add(SYMBOLS, &[]);
    out.add("<header class=\"top\"><p class=\"brand\">Ampgate</p><h1>{}</h1></header>", &[&title]);
    out.add("<main id=\"main\"><section class=\"sheet\">", &[]);
    out
}

/// Everything after it.
pub fn bare_end(mut out: Html) -> Html {
    out.add("</section></main></body></html>\n", &[]);
    out
}

/// Everything after the content of a page.
pub fn closed(mut out: Html, badge: &Badge) -> Html {
    let version = env!("CARGO_PKG_VERSION");
    out.add("</main><footer class=\"foot\"><span>Ampgate {}</span> ", &[&version]);
    for (route, title) in FOOT {
        let offer = Offer { method: "GET", route, of: "", title };
        // What is not for everybody who reads is not missed here.
        if badge.may(&offer) {
            badge.link(&mut out, &offer);
            out.add(" ", &[]);
        }
    }
    out.add("</footer></body></html>\n", &[]);
    out
}

/// Name of the site, its time, whether all is well, and who looks.
pub fn head(view: &View, badge: &Badge) -> Html {
    let mut out = Html::new();
    let (class, symbol, state) = match view.degraded.len() {
        0 => ("well", "finished", "all is well".to_owned()),
        many => ("ill", "alarm", words::count(many, "thing is wrong", "things are wrong")),
    };
    let time = match view.at {
        Some(at) => Calendar::new(&view.zone).full(at),
        None => "the clock is not trusted yet".to_owned(),
    };
    out.add("<header class=\"top\" data-part=\"head\">", &[]);
    out.add("<p class=\"brand\"><a href=\"/\">Ampgate</a></p><h1>{}</h1>", &[&view.site]);
    out.add("<p class=\"clock\">{}</p>", &[&time]);
    out.add("<p class=\"health {}\">", &[&class]);
    out.icon(symbol);
    out.add(" {}</p>", &[&state]);
    badge.who(&mut out);
    out.add("</header>", &[]);
    out
}

/// What keeps the site from its usual limits, in words.
pub fn alert(view: &View) -> Html {
    let mut out = Html::new();
    out.add("<div class=\"alerts\" role=\"status\" data-part=\"alert\">", &[]);
    for line in &view.degraded {
        out.add("<p class=\"alert\">", &[]);
        out.icon("alarm");
        out.add(" {}</p>", &[line]);
    }
    out.add("</div>", &[]);
    out
}

/// Where the power comes from and goes to, and the tightest point of the site.
pub fn balance(view: &View) -> Html {
    let flow = Flow::of(view);
    let mut out = Html::new();
    out.add(
        "<section class=\"balance\" data-part=\"balance\" aria-label=\"Power of the site\">",
        &[],
    );
    out.add("<dl class=\"figures\">", &[]);
    match flow.grid {
        Some(power) if power < Watts::ZERO => {
            figure(&mut out, "grid", "Grid", &words::kilowatts(-power), "fed into the grid");
        }
        Some(power) => {
            figure(&mut out, "grid", "Grid", &words::kilowatts(power), "drawn from the grid");
        }
        None => figure(&mut out, "grid", "Grid", "–", "not measured"),
    }
    if view.equipment.iter().any(|equipment| equipment.kind == "pv") {
        match flow.sun {
            Some(power) => figure(&mut out, "sun", "Sun", &words::kilowatts(power), "generated"),
            None => figure(&mut out, "sun", "Sun", "–", "not measured"),
        }
    }
    let charging =
        view.evses.iter().filter(|evse| flow::drawn(view, evse) >= Watts::new(50)).count();
    let cars = match charging {
        0 => "nobody is charging".to_owned(),
        many => format!("{many} of {} charging", words::count(view.evses.len(), "point", "points")),
    };
    figure(&mut out, "cars", "Cars", &words::kilowatts(flow.cars), &cars);
    match flow.building {
        Some(power) => {
            figure(&mut out, "other", "Building", &words::kilowatts(power), "everything else")
        }
        None => figure(&mut out, "other", "Building", "–", "not measured"),
    }
    if let Some((node, phase, room)) = flow::tightest(view) {
        let (class, words) = match room < Amps::ZERO {
            true => ("over", format!("{} over", words::amps(-room))),
            false => ("room", format!("{} free", words::amps(room))),
        };
        figure(&mut out, class, "Tightest point", &words, &format!("{node}, {phase}"));
    }
    out.add("</dl>", &[]);
    sources(&mut out, &flow);
    out.add("</section>", &[]);
    out
}

fn figure(out: &mut Html, class: &str, name: &str, value: &str, words: &str) {
    out.add(
        "<div class=\"{}\"><dt>{}</dt><dd><b>{}</b> <span>{}</span></dd></div>",
        &[&class, &name, &value, &words],
    );
}

/// Two bars of one length: what comes in and what goes out.
fn sources(out: &mut Html, flow: &Flow) {
    let (Some(grid), Some(building)) = (flow.grid, flow.building) else {
        return;
    };
    let milli = |power: Option<Watts>| power.unwrap_or_default().at_least_zero().as_milli();
    let part = |class, name, size| Part { class, name, size };
    let given = [
        part("sun", "sun", milli(flow.sun)),
        part("battery", "battery", milli(flow.battery)),
        part("grid", "grid", milli(Some(grid))),
    ];
    let taken = [
        part("cars", "cars", flow.cars.as_milli()),
        part("other", "building", building.as_milli()),
        part("battery", "battery", milli(flow.battery.map(|power| -power))),
        part("grid", "grid", milli(Some(-grid))),
    ];
    let sum = |parts: &[Part]| parts.iter().map(|part| part.size).sum::<i64>();
    let whole = sum(&given).max(sum(&taken));
    out.add("<div class=\"sources\"><div><span class=\"end\">from</span>", &[]);
    bar::stack(out, whole, &given);
    out.add("</div><div><span class=\"end\">to</span>", &[]);
    bar::stack(out, whole, &taken);
    out.add("</div>", &[]);
    if let Some(percent) = flow.sun_percent() {
        out.add("<p>{} % of what the cars draw comes from the sun</p>", &[&percent]);
    }
    out.add("</div>", &[]);
}
