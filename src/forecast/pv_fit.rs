//! What the last weeks of a PV plant teach: its own clear sky, and how the sky goes on.
//!
//! The clear sky is what a plant produced at each quarter hour of the day (UTC) when it produced
//! most, recent days first: tilt, trees and sunset are in it without being told. Power over clear
//! sky is the clearness. How clear it will be is a line over how clear it was in the last quarter,
//! hour, four hours of sun, two days and two weeks; one line for each lead, by day and by night,
//! with a prior that a young plant lives on. What the lines left over gives the spread.

use serde::{Deserialize, Serialize};

use super::quarters::{DAY, Quarters};
use super::ridge::{self, Ridge, TERMS, Terms};

/// Leads in quarter hours up to which each line holds; the last holds beyond.
const LEADS: [i64; 10] = [1, 3, 6, 10, 16, 24, 36, 64, 110, i64::MAX];
/// The lead that each line is fitted at.
const FITTED_AT: [i64; LEADS.len()] = [1, 2, 4, 8, 13, 20, 30, 48, 90, 130];
/// The lines, by night and by day.
const LINES: usize = 2 * LEADS.len();
/// Classes of expected clearness with a spread of their own: dull, mixed, clear.
const CLASSES: [f64; 3] = [0.35, 0.7, f64::INFINITY];
/// Less than this share of the highest clear sky is night.
const LIT: f64 = 0.02;
/// The weight of a day in the clear sky falls to a third in this many days.
const CLEAR_DAYS: f64 = 12.0;
/// The weight of a day in the lines falls to a third in this many days.
const LINE_DAYS: f64 = 40.0;
/// The clear sky is exceeded in one of so many days.
const CLEAR_SHARE: f64 = 0.88;
/// Observations that the prior of a line is worth: those of some days.
const PRIOR_LINE: f64 = 200.0;
/// Observations that the prior of a spread is worth.
const PRIOR_SPREAD: f64 = 40.0;
/// A clearness beyond this is a cloud edge or a wrong clear sky.
const CLEARNESS_MAX: f64 = 1.3;

/// What was learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Clear sky by quarter hour of the day (UTC), in kW.
    clear: Vec<f64>,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    factors: Terms,
    /// By class of expected clearness, what was left over: exceeded in 90, 50, 10 of 100 cases.
    spread: [[f64; 3]; CLASSES.len()],
}

impl Fit {
    /// Learns from what was measured; `peak_kw` as configured, zero if it is not.
    pub fn learn(quarters: &Quarters, peak_kw: f64) -> Self {
        let clear = clear_sky(quarters, peak_kw);
        let mut fit = Self { clear, lines: Vec::new() };
        let days = Days::new(&fit, quarters);
        fit.lines = (0..LINES).map(|line| days.line(line)).collect();
        fit
    }

    /// Whether anything was learned.
    pub fn is_empty(&self) -> bool {
        self.lines.len() != LINES || self.clear.len() != DAY as usize
    }

    /// Clear sky of a quarter hour in kW; zero by night.
    pub fn clear(&self, quarter: i64) -> f64 {
        let value = self.clear.get(quarter.rem_euclid(DAY) as usize).copied().unwrap_or(0.0);
        let highest = self.clear.iter().copied().fold(0.0, f64::max);
        if value <= LIT * highest { 0.0 } else { value }
    }

    /// How clear it was up to the end of this quarter hour.
    pub fn terms(&self, quarters: &Quarters, until: i64) -> State {
        Days::new(self, quarters).state(until)
    }

    /// Clearness of a quarter hour `lead` after the state: exceeded in 90, 50, 10 of 100 cases.
    pub fn clearness(&self, state: &State, lead: i64) -> [f64; 3] {
        let index = index(state.is_lit, lead);
        let Some(line) = self.lines.get(index) else { return [0.0, 0.0, 1.0] };
        let expected = ridge::apply(&line.factors, &state.terms).clamp(0.0, CLEARNESS_MAX);
        let spread = line.spread[class(expected)];
        spread.map(|left| (expected + left).clamp(0.0, CLEARNESS_MAX))
    }
}

/// How clear it was, as seen from one moment.
#[derive(Clone, Copy, Debug)]
pub struct State {
    terms: Terms,
    is_lit: bool,
}

/// The measured days with running sums, so that each window costs two look-ups.
struct Days<'a> {
    quarters: &'a Quarters,
    clear: Vec<f64>,
    /// Sums of power and clear sky over lit, measured quarter hours before each index.
    power: Vec<f64>,
    sky: Vec<f64>,
    /// The indices of lit, measured quarter hours, and how many lie before each index.
    lit: Vec<usize>,
    rank: Vec<usize>,
}

impl<'a> Days<'a> {
    fn new(fit: &Fit, quarters: &'a Quarters) -> Self {
        let (first, end) = (quarters.first(), quarters.end());
        let open = quarters.open().filter(|(quarter, _)| *quarter == end);
        let count = (end - first) as usize + usize::from(open.is_some());
        let mut days = Self {
            quarters,
            clear: (0..DAY).map(|slot| fit.clear(slot)).collect(),
            power: vec![0.0],
            sky: vec![0.0],
            lit: Vec::new(),
            rank: vec![0],
        };
        for index in 0..count {
            let quarter = first + index as i64;
            let sky = days.sky_at(quarter);
            let measured = quarters.at(quarter).or(open.filter(|_| quarter == end).map(|it| it.1));
            let (power, sky) = match measured {
                Some(power) if 0.0 < sky => {
                    days.lit.push(index);
                    (power.min(CLEARNESS_MAX * sky), sky)
                }
                _ => (0.0, 0.0),
            };
            days.power.push(days.power[index] + power);
            days.sky.push(days.sky[index] + sky);
            days.rank.push(days.lit.len());
        }
        days
    }

    fn sky_at(&self, quarter: i64) -> f64 {
        self.clear[quarter.rem_euclid(DAY) as usize]
    }

    /// Clearness between two indices; none where there was no sun.
    fn ratio(&self, from: usize, until: usize) -> Option<f64> {
        let sky = self.sky[until] - self.sky[from];
        (1e-6 < sky).then(|| (self.power[until] - self.power[from]) / sky)
    }

    /// The terms as they were at the end of this quarter hour.
    fn state(&self, until: i64) -> State {
        let last = self.power.len() as i64 - 1;
        let end = (until + 1 - self.quarters.first()).clamp(0, last) as usize;
        let back = |span: usize| self.ratio(end.saturating_sub(span), end);
        let usual = back(14 * DAY as usize).unwrap_or(0.5);
        let days = back(2 * DAY as usize).unwrap_or(usual);
        let seen = self.rank[end];
        let hours = match seen.checked_sub(1) {
            Some(newest) => {
                let from = self.lit[newest.saturating_sub(15)];
                if from + (DAY as usize) < end { None } else { self.ratio(from, end) }
            }
            None => None,
        };
        let hours = hours.unwrap_or(days);
        let hour = back(4);
        let quarter = back(1).or(hour);
        let is_lit = quarter.is_some();
        let (hour, quarter) = (hour.unwrap_or(hours), quarter.unwrap_or(hours));
        State { terms: [1.0, quarter, hour, hours, days, usual], is_lit }
    }

    fn line(&self, index: usize) -> Line {
        let (is_lit, lead) = (LEADS.len() <= index, FITTED_AT[index % LEADS.len()]);
        let prior = prior(is_lit, lead);
        let mut sums = Ridge::default();
        let mut rows = Vec::new();
        // By night one quarter hour is like the next, so few states are enough.
        let stride = if is_lit { 2 } else { 4 };
        let newest = self.quarters.end();
        let last = self.lit.last().map_or(0, |last| *last as i64);
        let mut target = last;
        // Before the first day had passed nothing was known that a state could be made of.
        while lead + DAY <= target {
            let quarter = self.quarters.first() + target;
            let sky = self.sky_at(quarter);
            if let Some(power) = self.quarters.at(quarter).filter(|_| 0.0 < sky) {
                let state = self.state(quarter - lead);
                if state.is_lit == is_lit {
                    let age = (newest - quarter) as f64 / DAY as f64;
                    let weight = sky * (-age / LINE_DAYS).exp();
                    let clearness = (power / sky).min(CLEARNESS_MAX);
                    sums.add(&state.terms, clearness, weight);
                    rows.push((state.terms, clearness, weight));
                }
            }
            target -= stride;
        }
        let scale = sums.weight / (rows.len() as f64).max(1.0);
        let factors = sums.solve(&prior, PRIOR_LINE * scale.max(1e-3));
        let mut left: [Vec<(f64, f64)>; CLASSES.len()] = Default::default();
        for (terms, clearness, weight) in rows {
            let expected = ridge::apply(&factors, &terms).clamp(0.0, CLEARNESS_MAX);
            left[class(expected)].push((clearness - expected, weight));
        }
        let mut class = 0;
        let spread = left.map(|mut left| {
            class += 1;
            spread(&mut left, class - 1)
        });
        Line { factors, spread }
    }
}

fn index(is_lit: bool, lead: i64) -> usize {
    let place = LEADS.iter().position(|until| lead <= *until).unwrap_or(LEADS.len() - 1);
    place + if is_lit { LEADS.len() } else { 0 }
}

fn class(expected: f64) -> usize {
    CLASSES.iter().position(|until| expected < *until).unwrap_or(CLASSES.len() - 1)
}

/// What is thought of the sky before anything was learned: it stays for some hours, then it is as
/// it was in the last days, halfway to middling.
fn prior(is_lit: bool, lead: i64) -> Terms {
    const STAYS_QUARTERS: f64 = 10.0;
    let stays = if is_lit { (-(lead as f64) / STAYS_QUARTERS).exp() } else { 0.0 };
    let rest = 1.0 - stays;
    let mut terms = [0.0; TERMS];
    terms[0] = rest * 0.15;
    terms[1] = stays * 0.5;
    terms[2] = stays * 0.5;
    terms[3] = rest * if lead <= DAY / 4 { 0.3 } else { 0.1 };
    terms[4] = rest * 0.2;
    terms[5] = rest * if lead <= DAY / 4 { 0.2 } else { 0.4 };
    terms
}

fn spread(left: &mut [(f64, f64)], class: usize) -> [f64; 3] {
    const PRIOR: [[f64; 3]; CLASSES.len()] =
        [[-0.2, -0.02, 0.4], [-0.35, 0.0, 0.3], [-0.4, 0.03, 0.12]];
    let own = left.len() as f64;
    let trust = own / (own + PRIOR_SPREAD);
    left.sort_by(|one, other| one.0.total_cmp(&other.0));
    let own = [0.1, 0.5, 0.9].map(|share| weighted_quantile(left, share).unwrap_or(0.0));
    std::array::from_fn(|at| trust * own[at] + (1.0 - trust) * PRIOR[class][at])
}

/// The value below which `share` of the weight lies; the pairs of value and weight are sorted.
pub fn weighted_quantile(sorted: &[(f64, f64)], share: f64) -> Option<f64> {
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut sum = 0.0;
    let reached = sorted.iter().find(|(_, weight)| {
        sum += weight;
        share * total <= sum
    });
    reached.or(sorted.last()).map(|(value, _)| *value)
}

fn clear_sky(quarters: &Quarters, peak_kw: f64) -> Vec<f64> {
    let (first, end) = (quarters.first(), quarters.end());
    let slot_values = |slot: i64| {
        let newest = end - 1 - (end - 1 - slot).rem_euclid(DAY);
        let days = (0..).map(|age| (age, newest - age * DAY)).take_while(|(_, at)| first <= *at);
        let weigh = |(age, at): (i64, i64)| {
            quarters.at(at).map(|kw| (kw.max(0.0), (-(age as f64) / CLEAR_DAYS).exp()))
        };
        let mut values: Vec<(f64, f64)> = days.filter_map(weigh).collect();
        values.sort_by(|one, other| one.0.total_cmp(&other.0));
        values
    };
    let mut most = 0;
    let raw: Vec<f64> = (0..DAY)
        .map(|slot| {
            let values = slot_values(slot);
            most = most.max(values.len());
            weighted_quantile(&values, CLEAR_SHARE).unwrap_or(0.0)
        })
        .collect();
    let smooth = |slot: usize| {
        let near = |step: usize| raw[(slot + DAY as usize + step - 1) % DAY as usize];
        let mean = 0.25 * near(0) + 0.5 * near(1) + 0.25 * near(2);
        if raw[slot] <= 0.0 { 0.0 } else { mean }
    };
    let measured: Vec<f64> = (0..DAY as usize).map(smooth).collect();
    lifted(measured, most, peak_kw)
}

/// The first days may all have been dull: until a week is known, the day is taken as at least a
/// plain arch between first and last light, up to what a plant of this peak usually reaches.
fn lifted(measured: Vec<f64>, days: usize, peak_kw: f64) -> Vec<f64> {
    const USUAL: f64 = 0.6;
    const KNOWN_DAYS: f64 = 7.0;
    let young = 1.0 - (days as f64 / KNOWN_DAYS).min(1.0);
    let highest = measured.iter().copied().fold(0.0, f64::max);
    if young <= 0.0 || highest <= 0.0 {
        return measured;
    }
    let top = (USUAL * peak_kw * young).max(highest * (1.0 - young));
    let dark: Vec<bool> = measured.iter().map(|kw| *kw <= LIT * highest).collect();
    let size = dark.len();
    // The day begins after the longest night, wherever UTC cuts it.
    let night = |slot: &usize| (0..size).take_while(|step| dark[(slot + step) % size]).count();
    let dusk = (0..size).max_by_key(night).unwrap_or(0);
    let length = size - night(&dusk);
    let dawn = (dusk + night(&dusk)) % size;
    let mut lifted = measured;
    for step in 0..length {
        let part = (step as f64 + 0.5) / length.max(1) as f64;
        let arch = (std::f64::consts::PI * part).sin().max(0.0).powf(1.3) * top;
        let slot = &mut lifted[(dawn + step) % size];
        *slot = slot.max(arch);
    }
    lifted
}
