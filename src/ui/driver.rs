//! The page of a driver, made for a phone and readable without a script: what the car gets and why,
//! and a form for what it needs. Shows nothing of other cars.

use serde::Deserialize;

use crate::controller::plan_view::CarPlanView;
use crate::controller::view::{EvseView, PreferenceView, View};
use crate::ground::time::Utc;
use crate::ground::units::Amps;
use crate::ground::zone::Zone;
use crate::model::message::EvseStatus;

use super::diagram;
use super::explain;
use super::html::{Html, segment};
use super::pass::Refused;
use super::plan::{course, summary};
use super::wish::Wanted;
use super::words;

/// Days of a departure that can be chosen, today included.
const DAYS: i32 = 7;

/// Spans of the plan that are shown.
const COURSE_SHOWN: usize = 8;

/// The form as a browser sends it; what is empty was not filled in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// The pass of the page it stood on.
    pub pass: String,
    /// The session that was shown.
    pub session: String,
    /// Energy in kWh.
    pub energy: String,
    /// State of charge on arrival, in percent.
    pub from: String,
    /// State of charge that is wanted, in percent.
    pub to: String,
    /// Capacity of the battery in kWh.
    pub battery: String,
    /// Time of the departure.
    pub time: String,
    /// Day of the departure; empty for the next such time.
    pub day: String,
    /// The button that was pressed: `save` or `clear`.
    pub act: String,
}

impl Fields {
    /// What was filled in, or which figure cannot be read.
    pub fn wanted(&self) -> Result<Wanted, String> {
        let departure = match (self.day.trim(), self.time.trim()) {
            ("", "") => None,
            (_, "") => return Err("a day without a time: expected a time like 17:30".to_owned()),
            ("", time) => Some(time.to_owned()),
            (day, time) => Some(format!("{day}T{time}")),
        };
        Ok(Wanted {
            energy_kwh: number(&self.energy, "energy")?,
            soc_arrival_percent: number(&self.from, "state of charge on arrival")?,
            soc_target_percent: number(&self.to, "state of charge that is wanted")?,
            battery_kwh: number(&self.battery, "battery")?,
            departure,
        })
    }

    /// What was said before, to be changed.
    fn of(known: Option<&PreferenceView>, zone: &Zone, now: Option<Utc>) -> Self {
        let Some(known) = known else { return Self::default() };
        let kwh = |energy: crate::ground::units::WattHours| plain(energy.as_f64() / 1000.0);
        let departure = known.departure.map(|at| zone.field(at));
        let (day, time) = match departure.as_deref().and_then(|text| text.split_once('T')) {
            Some((day, time)) => (day.to_owned(), time.to_owned()),
            None => (String::new(), String::new()),
        };
        let next = now.and_then(|now| zone.moment(&time, now));
        let charge = known.charge;
        Self {
            energy: known.energy_wh.map(kwh).unwrap_or_default(),
            from: charge.map(|charge| plain(charge.arrival_percent)).unwrap_or_default(),
            to: charge.map(|charge| plain(charge.target_percent)).unwrap_or_default(),
            battery: charge.and_then(|charge| charge.capacity_wh).map(kwh).unwrap_or_default(),
            day: if next == known.departure { String::new() } else { day },
            time,
            ..Self::default()
        }
    }
}

/// A figure as people write it, with a comma too.
fn number(text: &str, what: &str) -> Result<Option<f64>, String> {
    let text = text.trim().replace(',', ".");
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse().ok().filter(|value: &f64| value.is_finite());
    let unread = || format!("{what}: \"{text}\" is no number");
    parsed.map(Some).ok_or_else(unread)
}

fn plain(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    rounded.to_string()
}

/// What the page has to say besides the state of the car.
pub struct Shown<'a> {
    /// Opens the form.
    pub pass: &'a str,
    /// A change was just taken.
    pub noted: bool,
    /// Why a change was not taken, and what was written.
    pub fault: Option<(String, Fields)>,
}

/// The page of an EVSE for its driver.
pub fn page(view: &View, evse: &EvseView, shown: &Shown<'_>) -> Html {
    let zone = Zone::new(&view.zone);
    let mut out = opened(view, &evse.id);
    if let Some((why, _)) = &shown.fault {
        out.add("<p class=\"alert\" role=\"alert\">", &[]);
        out.icon("alarm");
        out.add(" Not taken: {}.</p>", &[why]);
    } else if shown.noted {
        noted(&mut out, evse);
    }
    let (state, _) = diagram::state(evse);
    out.add("<section class=\"sheet one {}\"><header>", &[&state]);
    out.icon(state);
    out.add(
        "<h2>{}</h2><b class=\"power\">{}</b></header>",
        &[&evse.id, &diagram::power_words(view, evse)],
    );
    diagram::doing(&mut out, view, evse);
    gets(&mut out, view, evse);
    out.add("</section>", &[]);
    if is_here(evse) {
        if let Some(car) = explain::planned(view, evse) {
            plan(&mut out, view, &car, &zone);
        }
        form(&mut out, view, evse, shown, &zone);
    }
    closed(out, &evse.id, shown.pass)
}

/// Whether a car is there whose driver may say something.
fn is_here(evse: &EvseView) -> bool {
    let waiting = matches!(
        evse.status,
        EvseStatus::Preparing
            | EvseStatus::Charging
            | EvseStatus::SuspendedEv
            | EvseStatus::SuspendedEvse
    );
    waiting || evse.session.is_some() || evse.preference.is_some()
}

fn noted(out: &mut Html, evse: &EvseView) {
    out.add("<p class=\"noted\" role=\"status\">", &[]);
    out.icon("finished");
    match &evse.preference {
        Some(known) => out.add(" Noted: {}.</p>", &[&known.words]),
        None => out.add(" Noted: nothing is wished any more.</p>", &[]),
    }
}

/// The limit in force with its cause, or why there is none.
fn gets(out: &mut Html, view: &View, evse: &EvseView) {
    let session = explain::session(view, evse);
    match (session, evse.limit_a) {
        (Some(_), Some(limit)) if limit == Amps::ZERO => {
            out.add("<p class=\"because\">It pauses: {}.</p>", &[&evse.reason]);
        }
        (Some(_), Some(limit)) => {
            let limit = words::amps(limit);
            out.add("<p class=\"because\">It may draw {}. ", &[&limit]);
            out.add("Why not more: {}.</p>", &[&evse.reason]);
        }
        (Some(_), None) => out.add("<p class=\"because\">{}.</p>", &[&evse.reason]),
        (None, _) if is_here(evse) => out.add(
            "<p class=\"because\">Your car is plugged in. Show your card, or start it in your app; \
             you can say now what you need.</p>",
            &[],
        ),
        (None, _) => out.add(
            "<p class=\"because\">No car is charging here. Plug in, then load this page again and \
             say what you need.</p>",
            &[],
        ),
    }
}

/// What the car will get by when, and its course over the coming hours.
fn plan(out: &mut Html, view: &View, car: &CarPlanView, zone: &Zone) {
    out.add("<section class=\"sheet\"><h2>What your car will get</h2>", &[]);
    out.add("<p class=\"because\">{}</p>", &[&summary(zone, view.at, car)]);
    if !car.words.is_empty() {
        out.add("<p>{}</p>", &[&car.words]);
    }
    course(out, view, car, COURSE_SHOWN);
    out.add("<p class=\"soft\">A plan: sun, prices and other cars may change it.</p>", &[]);
    out.add("</section>", &[]);
}

fn form(out: &mut Html, view: &View, evse: &EvseView, shown: &Shown<'_>, zone: &Zone) {
    let known = evse.preference.as_ref();
    let fields = match &shown.fault {
        Some((_, fields)) => fields.clone(),
        None => Fields::of(known, zone, view.at),
    };
    out.add("<section class=\"sheet\"><h2>What you need</h2>", &[]);
    match known {
        Some(known) => {
            let says = known.source.words();
            out.add("<p class=\"said\">Said by {}: <b>{}</b></p>", &[&says, &known.words]);
        }
        None => out
            .add("<p class=\"said\">Nothing was said yet: what is usual here is assumed.</p>", &[]),
    }
    out.add("<form method=\"post\" action=\"/d/{}\">", &[&segment(&evse.id)]);
    out.add("<input type=\"hidden\" name=\"pass\" value=\"{}\">", &[&shown.pass]);
    let session = evse.session.map(|session| session.to_string()).unwrap_or_default();
    out.add("<input type=\"hidden\" name=\"session\" value=\"{}\">", &[&session]);
    out.add("<div class=\"ask\"><label for=\"time\">I leave at</label><div class=\"both\">", &[]);
    out.add("<input id=\"time\" name=\"time\" type=\"time\" value=\"{}\">", &[&fields.time]);
    days(out, view.at, &fields.day, zone);
    out.add("</div></div>", &[]);
    let charged = "from the start of this stay to its end; empty: as much as it takes";
    figure(out, ("energy", "I need", "kWh"), &fields.energy, charged);
    let open = [&fields.from, &fields.to, &fields.battery].iter().any(|text| !text.is_empty());
    let tag = if open { "<details open>" } else { "<details>" };
    out.add(tag, &[]);
    out.add("<summary>or by state of charge</summary>", &[]);
    figure(out, ("from", "On arrival it was at", "%"), &fields.from, "as the car showed it");
    figure(out, ("to", "I need it at", "%"), &fields.to, "");
    figure(
        out,
        ("battery", "My battery holds", "kWh"),
        &fields.battery,
        "if you know it; earlier stays may have shown it",
    );
    out.add("</details><p class=\"buttons\">", &[]);
    out.add("<button name=\"act\" value=\"save\" class=\"main\">Save</button> ", &[]);
    if known.is_some() {
        out.add("<button name=\"act\" value=\"clear\">Take back</button>", &[]);
    }
    out.add("</p></form></section>", &[]);
}

fn figure(out: &mut Html, (name, label, unit): (&str, &str, &str), value: &str, hint: &str) {
    out.add("<div class=\"ask\"><label for=\"{}\">{}</label>", &[&name, &label]);
    out.add(
        "<div class=\"both\"><input id=\"{}\" name=\"{}\" inputmode=\"decimal\" \
         autocomplete=\"off\" maxlength=\"8\" value=\"{}\"><span>{}</span></div>",
        &[&name, &name, &value, &unit],
    );
    if !hint.is_empty() {
        out.add("<p class=\"soft\">{}</p>", &[&hint]);
    }
    out.add("</div>", &[]);
}

fn days(out: &mut Html, now: Option<Utc>, chosen: &str, zone: &Zone) {
    out.add("<select name=\"day\" aria-label=\"Day\"><option value=\"\">next time</option>", &[]);
    for day in 0..DAYS {
        let Some(now) = now else { break };
        let (value, words) = zone.date(now, day);
        let words = match day {
            0 => "today".to_owned(),
            1 => "tomorrow".to_owned(),
            _ => words,
        };
        match value == chosen {
            true => out.add("<option value=\"{}\" selected>{}</option>", &[&value, &words]),
            false => out.add("<option value=\"{}\">{}</option>", &[&value, &words]),
        }
    }
    out.add("</select>", &[]);
}

/// What a link says that opens nothing.
pub fn refused(view: &View, evse: &str, why: Refused) -> Html {
    let mut out = opened(view, evse);
    out.add("<section class=\"sheet\"><h2>{}</h2>", &[&evse]);
    match why {
        Refused::Stale => out.add(
            "<p class=\"because\">This link has run out. Links last a quarter of an hour, so that \
             nobody else changes what you have said.</p><p>Scan the QR code at the socket again: \
             it opens a fresh one. What you have said stays noted.</p>",
            &[],
        ),
        Refused::TooOften => out.add(
            "<p class=\"because\">Too many tries. Wait a minute, then scan the QR code at the \
             socket again.</p>",
            &[],
        ),
    }
    out.add("</section></main></body></html>\n", &[]);
    out
}

fn opened(view: &View, title: &str) -> Html {
    let mut out = Html::new();
    out.add(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{} · {}</title>\
         <link rel=\"icon\" type=\"image/svg+xml\" href=\"/assets/mark.svg\">\
         <link rel=\"stylesheet\" href=\"/assets/page.css\"></head><body class=\"driver\">",
        &[&title, &view.site],
    );
    out.add(super::page::SYMBOLS, &[]);
    let time = view.at.map(|at| Zone::new(&view.zone).words(at, Some(at))).unwrap_or_default();
    out.add(
        "<header class=\"top\"><h1>{}</h1><p class=\"clock\">{}</p></header>",
        &[&view.site, &time],
    );
    out.add("<main id=\"main\">", &[]);
    out
}

fn closed(mut out: Html, evse: &str, pass: &str) -> Html {
    let address = segment(evse);
    out.add("<p class=\"again\"><a href=\"/d/{}?p={}\">Load again</a></p>", &[&address, &pass]);
    out.add("</main></body></html>\n", &[]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_may_have_a_comma_and_nonsense_is_named() {
        let fields = Fields { energy: "12,5 ".into(), time: "17:30".into(), ..Fields::default() };
        let wanted = fields.wanted().expect("it can be read");
        assert_eq!((wanted.energy_kwh, wanted.departure.as_deref()), (Some(12.5), Some("17:30")));
        let day = Fields { day: "2019-03-02".into(), ..fields.clone() };
        let departure = day.wanted().expect("it can be read").departure;
        assert_eq!(departure.as_deref(), Some("2019-03-02T17:30"));
        for (fields, words) in [
            (
                Fields { energy: "much".into(), ..Fields::default() },
                "energy: \"much\" is no number",
            ),
            (Fields { to: "nan".into(), ..Fields::default() }, "wanted: \"nan\" is no number"),
            (Fields { day: "2019-03-02".into(), ..Fields::default() }, "a day without a time"),
        ] {
            let why = fields.wanted().expect_err(words);
            assert!(why.contains(words), "{why}");
        }
    }
}
