//! Today's plan: what is expected of sun, building and prices, when which car is planned to charge,
//! and for each car what it needs, by when, what it will get and why.

use crate::controller::plan_view::{CarPlanView, PlanView, Stretch};
use crate::controller::view::View;
use crate::ground::time::{Duration, Utc};
use crate::ground::zone::Zone;
use crate::plan::problem::CarKind;
use crate::plan::solution::Method;

use super::html::{Html, segment};
use super::table;
use super::words::Calendar;

/// Side of the square in which the curves are drawn; it is stretched to the page.
const SIDE: f64 = 1000.0;

/// Cars that are drawn one by one; the others are one area together.
const CARS_DRAWN: usize = 40;

/// Hours between two marks of the time.
const MARK_HOURS: i64 = 3;

/// The section of the page of the site.
pub fn section(view: &View) -> Html {
    let mut out = Html::new();
    out.add("<section class=\"list plan\" data-part=\"plan\"><h2>Today's plan</h2>", &[]);
    match &view.plan {
        Some(plan) => filled(&mut out, view, plan),
        None => table::nothing(&mut out, absent(view)),
    }
    out.add("</section>", &[]);
    out
}

/// Why there is no plan.
pub fn absent(view: &View) -> &'static str {
    let charging = view.evses.iter().any(|evse| evse.session.is_some());
    match (view.at, charging) {
        (None, _) => "No plan: the clock is not trusted yet.",
        (Some(_), false) => "No plan: no car is charging.",
        (Some(_), true) => "No plan yet: the cars share what there is in equal parts.",
    }
}

fn filled(out: &mut Html, view: &View, plan: &PlanView) {
    let zone = Zone::new(&view.zone);
    out.add("<p class=\"soft\">{}</p>", &[&made(view, plan, &zone)]);
    if !plan.words.is_empty() {
        out.add("<p class=\"because\">{}</p>", &[&plan.words]);
    }
    if let Some(savings) = plan.savings.as_ref().filter(|savings| !savings.words.is_empty()) {
        out.add("<p class=\"because\">{}</p>", &[&savings.words]);
    }
    if 0.0 < plan.missing_kwh {
        let missing = format!("{:.1} kWh", plan.missing_kwh);
        out.add("<p class=\"warn\">{} less than what is wanted will be charged.</p>", &[&missing]);
    }
    chart(out, view, plan);
    if plan.cars.is_empty() {
        return table::nothing(out, "No car is charging, and none is expected.");
    }
    let titles = ["EVSE", "Needs", "By", "Will get", "Short of", "Why"];
    table::head(out, "Cars and what they will get", &titles);
    for car in &plan.cars {
        row(out, view, car, &zone);
    }
    out.add("</tbody></table></div>", &[]);
}

/// `made 10:24 by linear program for self-production`.
fn made(view: &View, plan: &PlanView, zone: &Zone) -> String {
    let time = plan.made.map(|made| zone.words(made, view.at)).unwrap_or_default();
    let mut text = format!("made {time} by {}", method(plan.method));
    if !plan.objective.is_empty() {
        text.push_str(&format!(" for {}", plan.objective));
    }
    if !plan.forecast.is_empty() {
        text.push_str(&format!(" · {}", plan.forecast));
    }
    text
}

/// How a plan was found, for people.
pub fn method(method: Method) -> &'static str {
    match method {
        Method::Greedy => "least laxity first",
        Method::Flow => "price-ordered flow",
        Method::Program => "linear program",
        Method::Rule => "sun first, else as late as possible",
    }
}

fn row(out: &mut Html, view: &View, car: &CarPlanView, zone: &Zone) {
    let kind = match car.kind {
        CarKind::Present => "",
        CarKind::Reserved => "reserved",
        CarKind::Expected => "expected",
    };
    let class = if car.kind == CarKind::Present { "open" } else { "past" };
    out.add("<tr class=\"{}\"><th scope=\"row\" data-label=\"EVSE\">", &[&class]);
    out.add("<a href=\"/evse/{}\">{}</a> {}</th>", &[&segment(&car.evse), &car.evse, &kind]);
    let kwh = |energy: f64| format!("{energy:.1} kWh");
    let need = car.need_kwh.map_or_else(|| "as much as it takes".to_owned(), kwh);
    out.add("<td data-label=\"Needs\" class=\"number\">{}", &[&need]);
    if !car.says.is_empty() {
        out.add("<br><span class=\"soft\">{}</span>", &[&car.says]);
    }
    out.add("</td>", &[]);
    let by = car.by.map_or_else(|| "–".to_owned(), |by| zone.words(by, view.at));
    out.add("<td data-label=\"By\">{}</td>", &[&by]);
    out.add("<td data-label=\"Will get\" class=\"number\">{}</td>", &[&kwh(car.will_kwh)]);
    match 0.0 < car.missing_kwh {
        true => {
            let missing = kwh(car.missing_kwh);
            out.add("<td data-label=\"Short of\" class=\"number short\">{}</td>", &[&missing]);
        }
        false => out.add("<td data-label=\"Short of\" class=\"number\">–</td>", &[]),
    }
    out.add("<td data-label=\"Why\" class=\"wide\">{}</td></tr>", &[&why(car, zone, view.at)]);
}

/// What it does now and why, and what follows: `pause: waiting for sun until 11:40; then 3.7 kW
/// until 14:00`.
fn why(car: &CarPlanView, zone: &Zone, now: Option<Utc>) -> String {
    let part =
        |one: &Stretch| format!("{} until {}", power(one.power_kw), zone.words(one.until, now));
    let Some(first) = car.course.first() else { return car.words.clone() };
    let is_on = 0.0 < first.power_kw;
    let begin = if is_on { part(first) } else { power(0.0) };
    let next = car.course.iter().find(|one| (0.0 < one.power_kw) != is_on);
    let then = next.map(|next| format!("; then {}", part(next))).unwrap_or_default();
    format!("{begin}: {}{then}", first.reason)
}

/// `14.2 kWh more by 17:30, 5.8 kWh less than is wanted (20.0 kWh, the driver).`
pub fn summary(zone: &Zone, now: Option<Utc>, car: &CarPlanView) -> String {
    let kwh = |energy: f64| format!("{energy:.1} kWh");
    let by = car.by.map(|by| format!(" by {}", zone.words(by, now))).unwrap_or_default();
    let mut text = format!("{} more{by}", kwh(car.will_kwh));
    if 0.0 < car.missing_kwh {
        text.push_str(&format!(", {} less than is wanted", kwh(car.missing_kwh)));
    }
    if let Some(need) = car.need_kwh {
        let says = if car.says.is_empty() { "" } else { ", " };
        text.push_str(&format!(" ({}{says}{})", kwh(need), car.says));
    }
    text + "."
}

/// The course of one car as a list of spans; nothing where there is none.
pub fn course(out: &mut Html, view: &View, car: &CarPlanView, shown: usize) {
    let zone = Zone::new(&view.zone);
    out.add("<ol class=\"course\">", &[]);
    for part in car.course.iter().take(shown) {
        let time = |at: Utc| zone.words(at, view.at);
        out.add(
            "<li><time>{}–{}</time> <b>{}</b> <span>{}</span></li>",
            &[&time(part.from), &time(part.until), &power(part.power_kw), &part.reason],
        );
    }
    out.add("</ol>", &[]);
}

/// `pause` or `3.7 kW`.
pub fn power(kw: f64) -> String {
    if kw <= 0.0 { "pause".to_owned() } else { format!("{kw:.1} kW") }
}

/// Sun as an area, the building as another, the cars stacked upon it, the price as a line.
fn chart(out: &mut Html, view: &View, plan: &PlanView) {
    let Some(frame) = Frame::of(plan) else { return };
    let calendar = Calendar::new(&view.zone);
    out.add(
        "<figure class=\"chart day\"><svg role=\"img\" aria-label=\"Sun, building, cars and price \
         over the plan; the cars stand in the table below\">",
        &[],
    );
    for mark in frame.marks(&Zone::new(&view.zone)) {
        let x = format!("{:.2}%", frame.x(mark) / 10.0);
        out.add("<line class=\"hour\" x1=\"{}\" x2=\"{}\" y1=\"0\" y2=\"100%\"/>", &[&x, &x]);
        let time = calendar.short(mark, Some(mark));
        out.add("<text x=\"{}\" y=\"14\" dx=\"4\">{}</text>", &[&x, &time]);
    }
    out.add("<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">", &[]);
    let floor = vec![0.0; frame.steps()];
    out.add("<path class=\"sun\" d=\"{}\"/>", &[&frame.band(&floor, &plan.pv_kw)]);
    let load: Vec<f64> = (0..frame.steps()).map(|step| at(&plan.load_kw, step).max(0.0)).collect();
    out.add("<path class=\"building\" d=\"{}\"/>", &[&frame.band(&floor, &load)]);
    let mut below = load;
    for (index, car) in plan.cars.iter().take(CARS_DRAWN).enumerate() {
        let upper: Vec<f64> =
            below.iter().enumerate().map(|(step, low)| low + at(&car.power_kw, step)).collect();
        let class = if index % 2 == 0 { "even" } else { "odd" };
        out.add("<path class=\"car {}\" d=\"{}\">", &[&class, &frame.band(&below, &upper)]);
        out.add("<title>{}</title></path>", &[&car.evse]);
        below = upper;
    }
    if CARS_DRAWN < plan.cars.len() {
        let whole = |step| at(&plan.load_kw, step).max(0.0) + at(&plan.charging_kw, step);
        let upper: Vec<f64> = (0..frame.steps()).map(whole).collect();
        out.add("<path class=\"car odd\" d=\"{}\"/>", &[&frame.band(&below, &upper)]);
    }
    out.add("<path class=\"price\" d=\"{}\"/></svg></svg>", &[&frame.price(plan)]);
    caption(out, plan, &frame);
    out.add("</figure>", &[]);
}

fn caption(out: &mut Html, plan: &PlanView, frame: &Frame<'_>) {
    out.add("<figcaption>up to {} kW · ", &[&format!("{:.0}", frame.top)]);
    out.add("<span class=\"sun\">sun</span> · <span class=\"building\">building</span> · ", &[]);
    out.add("<span class=\"car\">cars, one upon the other</span>", &[]);
    if let Some((low, high)) = range(&plan.price_eur_per_kwh) {
        let prices = format!("{low:.3} to {high:.3} EUR/kWh");
        out.add(" · <span class=\"price\">price, {}</span>", &[&prices]);
    }
    out.add("</figcaption>", &[]);
}

/// The time and the power that the chart shows.
struct Frame<'a> {
    grid: &'a [Utc],
    top: f64,
}

impl<'a> Frame<'a> {
    /// None where there is nothing to draw.
    fn of(plan: &'a PlanView) -> Option<Self> {
        let grid = plan.grid.as_slice();
        let (first, last) = (*grid.first()?, *grid.last()?);
        if last <= first {
            return None;
        }
        let whole = |step| {
            let drawn = at(&plan.load_kw, step).max(0.0) + at(&plan.charging_kw, step);
            drawn.max(at(&plan.pv_kw, step))
        };
        let top = (0..grid.len() - 1).map(whole).fold(1.0, f64::max);
        Some(Self { grid, top: if top.is_finite() { top.ceil() } else { 1.0 } })
    }

    fn steps(&self) -> usize {
        self.grid.len() - 1
    }

    fn x(&self, time: Utc) -> f64 {
        let (first, last) = (self.grid[0], self.grid[self.steps()]);
        let along = time.since(first).as_hours() / last.since(first).as_hours();
        SIDE * along.clamp(0.0, 1.0)
    }

    fn y(&self, kw: f64) -> f64 {
        // An eighth of the height is left for the times above.
        SIDE - SIDE * 7.0 / 8.0 * (kw / self.top).clamp(0.0, 1.0)
    }

    /// The area between two step functions.
    fn band(&self, low: &[f64], high: &[f64]) -> String {
        let mut path = String::new();
        let mut back = String::new();
        for step in 0..self.steps() {
            let (from, to) = (self.x(self.grid[step]), self.x(self.grid[step + 1]));
            let pen = if step == 0 { 'M' } else { 'L' };
            let upper = self.y(at(high, step));
            path.push_str(&format!("{pen}{from:.0} {upper:.0}H{to:.0}"));
            let lower = self.y(at(low, step));
            back.insert_str(0, &format!("L{to:.0} {lower:.0}H{from:.0}"));
        }
        if path.is_empty() { path } else { path + &back + "Z" }
    }

    /// The price as a step function of its own scale, over the whole height.
    fn price(&self, plan: &PlanView) -> String {
        let Some((low, high)) = range(&plan.price_eur_per_kwh) else { return String::new() };
        let mut path = String::new();
        for step in 0..self.steps().min(plan.price_eur_per_kwh.len()) {
            let share = (plan.price_eur_per_kwh[step] - low) / (high - low);
            let y = SIDE * (0.95 - 0.8 * share);
            let (from, to) = (self.x(self.grid[step]), self.x(self.grid[step + 1]));
            let pen = if step == 0 { 'M' } else { 'L' };
            path.push_str(&format!("{pen}{from:.0} {y:.0}H{to:.0}"));
        }
        path
    }

    /// Every third hour of the wall clock, as far as there is room.
    fn marks(&self, zone: &Zone) -> Vec<Utc> {
        const MARKS_MAX: usize = 24;
        let (first, last) = (self.grid[0], self.grid[self.steps()]);
        let times = (0..24 / MARK_HOURS).filter_map(|number| {
            crate::ground::zone::TimeOfDay::new((number * MARK_HOURS) as u8, 0)
        });
        let mut marks: Vec<Utc> = Vec::new();
        for time in times {
            let mut next = zone.next(first, time);
            while next < last && marks.len() < MARKS_MAX {
                marks.push(next);
                next = zone.next(next + Duration::minutes(1), time);
            }
        }
        marks.sort_unstable();
        marks
    }
}

/// The value of a step; nothing where a series is too short or no number.
fn at(values: &[f64], step: usize) -> f64 {
    values.get(step).copied().filter(|value| value.is_finite()).unwrap_or(0.0)
}

/// The least and the largest value, where they differ.
fn range(values: &[f64]) -> Option<(f64, f64)> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (low < high).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::sample;

    #[test]
    fn steps_are_areas_that_stand_upon_each_other() {
        let view = sample::planned();
        let mut plan = view.plan.expect("it has a plan");
        plan.grid.truncate(3);
        plan.pv_kw = vec![8.0, 4.0];
        plan.load_kw = vec![2.0, 2.0];
        plan.charging_kw = vec![0.0, 4.0];
        plan.price_eur_per_kwh = vec![0.1, 0.3];
        let frame = Frame::of(&plan).expect("it can be drawn");
        assert_eq!((frame.top, frame.y(8.0), frame.y(0.0)), (8.0, 125.0, 1000.0));
        let band = frame.band(&[2.0, 2.0], &[2.0, 6.0]);
        assert_eq!(band, "M0 781H500L500 344H1000L1000 781H500L500 781H0Z");
        assert_eq!(frame.price(&plan), "M0 950H500L500 150H1000");
        plan.grid.truncate(1);
        assert!(Frame::of(&plan).is_none());
    }

    #[test]
    fn where_there_is_no_plan_it_is_said_why() {
        let mut view = sample::empty();
        assert_eq!(absent(&view), "No plan: no car is charging.");
        view.at = None;
        assert_eq!(absent(&view), "No plan: the clock is not trusted yet.");
        assert!(absent(&sample::busy()).starts_with("No plan yet"));
    }
}
