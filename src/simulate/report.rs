//! The page for people: figure 15 of the paper (power by source over the day, without and with
//! control), self-production by month, the worst days, the table of the policies.
//!
//! Self-contained: no script, no font, no picture from elsewhere; light and dark by the reader's
//! wish.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::account::{SLOT_HOURS, Slot};
use super::calendar::{Calendar, Local};
use super::plot::{HALF, Plot, WHOLE, escape};
use super::summary::{Run, Summary};
use super::world::World;

/// Days shown as the worst.
const WORST_DAYS: usize = 5;
/// Quarter hours of a day.
const SLOTS: usize = 96;

const STYLE: &str = "
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #1d2327; --soft: #66707a;
  --rule: #d9d7d0; --pv: #e0a100; --grid-power: #4a6fa5; --now: #b4483f; --card: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181b; --ink: #e6e4de; --soft: #97a1a9;
  --rule: #33393e; --pv: #f2c14e; --grid-power: #7fa3d6; --now: #e2786d; --card: #1b2024; } }
body { background: var(--paper); color: var(--ink); margin: 0 auto; max-width: 76rem;
  padding: 2rem 1.2rem 4rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; }
p.note, figcaption { color: var(--soft); font-size: .9rem; margin: .2rem 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1rem; }
figure { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; margin: 0;
  padding: .8rem; }
figure + figure, .pair + figure { margin-top: 1rem; } .pair figure { margin-top: 0; }
svg { width: 100%; height: auto; display: block; }
.grid { stroke: var(--rule); stroke-width: 1; } .label { fill: var(--soft); font-size: 11px; }
.end { text-anchor: end; } .mid { text-anchor: middle; }
.pv { fill: var(--pv); } .power { fill: var(--grid-power); } .plain { fill: var(--soft); }
polyline { fill: none; stroke-width: 1.8; } .sun { stroke: var(--pv); stroke-dasharray: 5 4; }
.fair { stroke: var(--grid-power); } .uncontrolled { stroke: var(--now); }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px;
  margin: 0 .35em 0 1em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { border-bottom: 1px solid var(--rule); padding: .35rem .7rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; }
";

/// The whole page.
pub fn page(world: &World, runs: &[Run]) -> String {
    let calendar = Calendar::new(&world.site.zone);
    let name = escape(&world.site.name);
    let last = world.until - crate::ground::time::Duration::millis(1);
    let (from, until) = (calendar.local(world.from).date(), calendar.local(last).date());
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{name}: simulation</title><style>{STYLE}</style></head><body>\n\
         <h1>{name}</h1><p class=\"note\">Simulated {from} to {until} ({}), {} sessions. \
         Nothing here was measured.</p>\n",
        escape(&world.site.zone),
        world.sessions.len()
    );
    page.push_str(&policies(world, runs));
    page.push_str(&average_day(&calendar, runs));
    page.push_str(&months(&calendar, runs));
    page.push_str(&worst_days(&calendar, world, runs));
    page.push_str("</body></html>\n");
    page
}

/// What people call a policy.
fn title(policy: &str) -> &str {
    match policy {
        "uncontrolled" => "without control",
        "uncontrolled_within" => "first come, within the connection",
        "fair" => "Ampgate, fair shares",
        other => other,
    }
}

fn policies(world: &World, runs: &[Run]) -> String {
    type Figure = fn(&Summary) -> String;
    let cost: Figure = |it| format!("{:.0}", it.energy_cost_eur);
    let co2: Figure = |it| format!("{:.0}", it.co2_kg);
    let unknown: Figure = |_| "–".to_owned();
    let rows: [(&str, Figure); 12] = [
        ("Energy into cars, kWh", |it| format!("{:.0}", it.ev_energy_kwh)),
        ("Unmet, kWh", |it| format!("{:.1}", it.unmet_energy_kwh)),
        ("Sessions more than 0.1 kWh short", |it| it.sessions_short.to_string()),
        ("Self-production (PV share of the cars' energy)", |it| percent(it.self_production_ratio)),
        ("Self-consumption (cars' share of the PV)", |it| percent(it.self_consumption_ratio)),
        ("From the grid into cars, kWh", |it| format!("{:.0}", it.grid_energy_kwh)),
        ("Its cost, EUR", if world.price.is_some() { cost } else { unknown }),
        ("Its CO2, kg", if world.co2.is_some() { co2 } else { unknown }),
        ("Highest quarter hour of import, kW", |it| format!("{:.1}", it.peak_import_kw)),
        ("Over a rating, s", |it| format!("{:.0}", it.overload_seconds)),
        ("The same while reacting to sun or building, s", |it| {
            format!("{:.0}", it.overload_reaction_seconds)
        }),
        ("Limits sent", |it| it.setpoints_sent.to_string()),
    ];
    let mut text = "<h2>The policies</h2><div class=\"scroll\"><table><tr><th></th>".to_owned();
    for run in runs {
        let _ = write!(text, "<th>{}</th>", escape(title(run.policy)));
    }
    text.push_str("</tr>\n");
    for (name, figure) in rows {
        let _ = write!(text, "<tr><td>{}</td>", escape(name));
        for run in runs {
            let _ = write!(text, "<td>{}</td>", figure(&run.outcome.summary));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table></div>\n");
    text
}

fn percent(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

/// Figure 15: mean power over the day, by where the cars' energy came from.
fn average_day(calendar: &Calendar, runs: &[Run]) -> String {
    let shown: Vec<&Run> = runs.iter().filter(|run| run.policy != "uncontrolled_within").collect();
    let courses: Vec<Vec<Slot>> = shown.iter().map(|run| mean_day(calendar, run)).collect();
    let most = courses.iter().flatten().map(|slot| slot.ev.max(slot.pv)).fold(0.0, f64::max);
    let hours = (0..=24).step_by(4).map(|hour| (f64::from(hour), format!("{hour} h"))).collect();
    let ticks: Vec<(f64, String)> = hours;
    let mut text = "<h2>The average day</h2><p class=\"note\">Mean power by local time. \
        <span class=\"key\" style=\"background:var(--pv)\"></span>from the roof into cars\
        <span class=\"key\" style=\"background:var(--grid-power)\"></span>from the grid into cars\
        &nbsp; dashed: generation</p><div class=\"pair\">"
        .to_owned();
    for (run, course) in shown.iter().zip(&courses) {
        let name = title(run.policy);
        let mut plot = Plot::new((name, HALF), (0.0, 24.0), most, "kW", ticks.clone());
        let steps: Vec<(f64, Slot)> = course
            .iter()
            .enumerate()
            .flat_map(|(index, slot)| {
                let start = index as f64 * SLOT_HOURS;
                [(start, *slot), (start + SLOT_HOURS, *slot)]
            })
            .collect();
        let sun: Vec<_> = steps.iter().map(|(x, slot)| (*x, 0.0, slot.pv_to_ev)).collect();
        let grid: Vec<_> = steps.iter().map(|(x, slot)| (*x, slot.pv_to_ev, slot.ev)).collect();
        plot.area("pv", &sun);
        plot.area("power", &grid);
        let roof: Vec<_> = steps.iter().map(|(x, slot)| (*x, slot.pv)).collect();
        plot.line("sun", &roof);
        let share = percent(run.outcome.summary.self_production_ratio);
        let _ = write!(
            text,
            "<figure>{}<figcaption>{}: {share} of the cars' energy from the roof</figcaption>\
             </figure>",
            plot.svg(),
            escape(name)
        );
    }
    text.push_str("</div>\n");
    text
}

/// Mean power in kW of each quarter hour of the local day.
fn mean_day(calendar: &Calendar, run: &Run) -> Vec<Slot> {
    let mut sums = vec![(Slot::default(), 0.0); SLOTS];
    for (start, slot) in run.outcome.account.slots() {
        let index = (calendar.local(start).minute / 15).clamp(0, SLOTS as i16 - 1);
        let (sum, count) = &mut sums[index as usize];
        sum.ev += slot.ev;
        sum.pv += slot.pv;
        sum.pv_to_ev += slot.pv_to_ev;
        *count += 1.0;
    }
    let mean = |(sum, count): (Slot, f64)| {
        let hours = (count * SLOT_HOURS).max(SLOT_HOURS);
        let (ev, pv, pv_to_ev) = (sum.ev / hours, sum.pv / hours, sum.pv_to_ev / hours);
        Slot { ev, pv, pv_to_ev, ..Slot::default() }
    };
    sums.into_iter().map(mean).collect()
}

fn months(calendar: &Calendar, runs: &[Run]) -> String {
    let mut months: BTreeMap<(i16, i8), Vec<(f64, f64)>> = BTreeMap::new();
    for (number, run) in runs.iter().enumerate() {
        for (start, slot) in run.outcome.account.slots().filter(|(_, slot)| 0.0 < slot.ev) {
            let local = calendar.local(start);
            let sums = months
                .entry((local.year, local.month))
                .or_insert_with(|| vec![(0.0, 0.0); runs.len()]);
            sums[number].0 += slot.pv_to_ev;
            sums[number].1 += slot.ev;
        }
    }
    let width = months.len().max(1) as f64;
    let middle = |index: usize| index as f64 + 0.5;
    let name = |(year, month): &(i16, i8)| format!("{month}/{:02}", year % 100);
    let labels = months.keys().enumerate();
    let ticks = labels.map(|(index, month)| (middle(index), name(month))).collect();
    let mut plot = Plot::new(("Self-production by month", WHOLE), (0.0, width), 100.0, "%", ticks);
    let classes = ["plain", "power", "pv"];
    let bar = 0.8 / runs.len().max(1) as f64;
    for (index, (month, sums)) in months.iter().enumerate() {
        for (number, (sun, all)) in sums.iter().enumerate() {
            let share = if 0.0 < *all { sun / all * 100.0 } else { 0.0 };
            let left = index as f64 + 0.1 + bar * number as f64;
            let policy = title(runs[number].policy);
            let words = format!("{} {policy}: {share:.1} % of {all:.0} kWh", name(month));
            let class = classes[number.min(classes.len() - 1)];
            plot.bar(class, (left, left + bar * 0.9), share, &words);
        }
    }
    let colours = ["--soft", "--grid-power", "--pv"];
    let mut keys = String::new();
    for (run, colour) in runs.iter().zip(colours) {
        let _ = write!(
            keys,
            "<span class=\"key\" style=\"background:var({colour})\"></span>{}",
            escape(title(run.policy))
        );
    }
    format!(
        "<h2>Self-production by month</h2><p class=\"note\">{keys}</p><figure>{}</figure>\n",
        plot.svg()
    )
}

/// The days with the highest import and with the most unmet energy, of the last policy.
fn worst_days(calendar: &Calendar, world: &World, runs: &[Run]) -> String {
    let Some(run) = runs.last() else { return String::new() };
    let mut peaks: BTreeMap<Local, f64> = BTreeMap::new();
    let day = |local: Local| Local { minute: 0, ..local };
    for (start, slot) in run.outcome.account.slots() {
        let peak = peaks.entry(day(calendar.local(start))).or_default();
        *peak = peak.max(slot.import / SLOT_HOURS);
    }
    let mut missed: BTreeMap<Local, f64> = BTreeMap::new();
    for (row, one) in world.sessions.iter().zip(&run.outcome.delivered) {
        let wh = (one.need_wh - one.got_wh).max(0.0);
        *missed.entry(day(calendar.local(row.arrival))).or_default() += wh / 1000.0;
    }
    let worst = |days: &BTreeMap<Local, f64>| {
        let mut days: Vec<(Local, f64)> = days.iter().map(|(day, value)| (*day, *value)).collect();
        days.sort_by(|one, other| other.1.total_cmp(&one.1));
        days.truncate(WORST_DAYS);
        days
    };
    let table = |name: &str, days: &[(Local, f64)]| {
        let mut text = format!("<figure><table><tr><th>Day</th><th>{name}</th></tr>");
        for (day, value) in days.iter().filter(|(_, value)| 0.05 <= *value) {
            let _ = write!(text, "<tr><td>{}</td><td>{value:.1}</td></tr>", day.date());
        }
        text + "</table></figure>"
    };
    let by_peak = worst(&peaks);
    let plot = by_peak.first().map(|(day, _)| import_of(calendar, *day, runs)).unwrap_or_default();
    format!(
        "<h2>The worst days ({})</h2><div class=\"pair\">{}{}</div>\n{plot}",
        escape(title(run.policy)),
        table("highest import, kW", &by_peak),
        table("unmet, kWh", &worst(&missed)),
    )
}

/// Import over one day, of every policy shown in the average day.
fn import_of(calendar: &Calendar, day: Local, runs: &[Run]) -> String {
    let shown: Vec<&Run> = runs.iter().filter(|run| run.policy != "uncontrolled_within").collect();
    let course = |run: &Run| -> Vec<(f64, f64)> {
        let slots = run.outcome.account.slots().filter_map(|(start, slot)| {
            let local = calendar.local(start);
            let hour = f64::from(local.minute) / 60.0;
            (Local { minute: 0, ..local } == day).then_some((hour, slot.import / SLOT_HOURS))
        });
        slots.flat_map(|(hour, kw)| [(hour, kw), (hour + SLOT_HOURS, kw)]).collect()
    };
    let courses: Vec<Vec<(f64, f64)>> = shown.iter().map(|run| course(run)).collect();
    let most = courses.iter().flatten().map(|(_, kw)| *kw).fold(0.0, f64::max);
    let ticks = (0..=24).step_by(4).map(|hour| (f64::from(hour), format!("{hour} h"))).collect();
    let mut plot =
        Plot::new((&format!("Import on {}", day.date()), WHOLE), (0.0, 24.0), most, "kW", ticks);
    for (run, points) in shown.iter().zip(&courses) {
        plot.line(run.policy, points);
    }
    format!(
        "<figure>{}<figcaption>Import on {}: red without control, blue with it</figcaption>\
         </figure>\n",
        plot.svg(),
        day.date()
    )
}
