//! What the building will draw, learned from what it drew.
//!
//! Each day of the last weeks is a candidate for how this day goes on: the same weekday counts
//! most, then days of the same kind (workday, weekend), then any other; more where its last hours
//! were like the last hours. So a holiday that begins like a Sunday is taken for one by noon. Each
//! candidate is shifted by what the building draws more or less than it did then, fading over
//! some hours. The candidates give the middle and the spread.

use serde::{Deserialize, Serialize};

use crate::ground::calendar::Calendar;
use crate::ground::quantiles::Quantiles;
use crate::ground::time::Utc;
use crate::model::feed::Received;

use super::blend::Blend;
use super::quarters::{self, DAY, Quarters, quarter, start};
use super::record::{ErrorRecord, LEADS_H};

/// Days of quarter hours that are kept: eight of each weekday.
pub const DAYS_MAX: i64 = 56;

/// The last hours that tell which day this is like, in quarter hours.
const ALIKE_SPAN: i64 = 20;
/// The last quarter hours that tell how much more or less is drawn.
const SHIFT_SPAN: i64 = 4;
/// What is more or less now fades to a third in so many quarter hours.
const SHIFT_FADES: f64 = 20.0;
/// That a day was alike says ever less of later hours: to a third in so many quarter hours.
const ALIKE_FADES: f64 = 48.0;
/// A day counts a third when it is so many days old.
const DAY_FADES: f64 = 28.0;

/// The forecast of the load that is not charging.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadForecast {
    zone: Calendar,
    /// What the load may reach; the high value while nothing is known.
    most_kw: f64,
    quarters: Quarters,
    record: ErrorRecord,
    blend: Blend,
}

impl LoadForecast {
    /// Nothing known of a building in this zone that may draw up to `most_kw`.
    pub fn new(zone: Calendar, most_kw: f64) -> Self {
        Self {
            zone,
            most_kw: if most_kw.is_finite() { most_kw.max(0.0) } else { 0.0 },
            quarters: Quarters::new((DAYS_MAX * DAY) as usize),
            record: ErrorRecord::default(),
            blend: Blend::default(),
        }
    }

    /// The same knowledge under another configuration.
    pub fn with(mut self, zone: Calendar, most_kw: f64) -> Self {
        self.zone = zone;
        self.most_kw = if most_kw.is_finite() { most_kw.max(0.0) } else { 0.0 };
        self
    }

    /// Takes a measured load of the building, in kW.
    pub fn observe(&mut self, at: Utc, kw: f64) {
        if !self.quarters.observe(at, if kw.is_finite() { kw.max(0.0) } else { kw }) {
            return;
        }
        self.record.settle(&self.quarters);
        self.blend.settle(&self.quarters);
        let now = self.quarters.end();
        if now.rem_euclid(4) == 0 {
            self.promise(now);
        }
    }

    /// Takes a forecast from outside.
    pub fn receive(&mut self, received: Received) {
        self.blend.receive(received);
    }

    /// Power in kW of each step between two times of the grid.
    pub fn forecast(&self, now: Utc, grid: &[Utc]) -> Vec<Quantiles> {
        let mut days = Days::new(self, now);
        let learned = quarters::by_step(grid, |at| days.expect(at));
        let mut mixed = self.blend.mix(now, grid, learned);
        self.record.stretch(now, grid, &mut mixed, f64::MAX);
        mixed
    }

    /// How far it was off.
    pub fn record(&self) -> &ErrorRecord {
        &self.record
    }

    /// The received forecast that is mixed in, and how it did.
    pub fn blend(&self) -> &Blend {
        &self.blend
    }

    /// Where it comes from, in words.
    pub fn source(&self, now: Utc) -> String {
        self.blend.source(self.quarters.in_words(), now)
    }

    fn promise(&mut self, now: i64) {
        let at = start(now);
        let mut days = Days::new(self, at);
        let expected = LEADS_H.map(|hours| {
            let quarter = now + hours * 4;
            let mixed = self.blend.mix_one(at, quarter, days.expect(quarter));
            self.record.stretched(hours, mixed, f64::MAX)
        });
        let learned: Vec<f64> =
            super::blend::LEADS_H.iter().map(|hours| days.expect(now + hours * 4).mid).collect();
        for (lead, expected) in expected.into_iter().enumerate() {
            self.record.promise(&self.quarters, now, lead, expected);
        }
        self.blend.promise(now, |lead, _| learned.get(lead).copied().unwrap_or(0.0));
    }
}

/// A past day as a candidate, so many days before.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    back: i64,
    /// Mean difference of the last hours in kW, zero for the same.
    unlike: f64,
    /// Logarithm of how alike it is among the candidates; zero for the same.
    alike: f64,
    /// What it counts by its age.
    recent: f64,
    /// What is drawn more than then, in kW.
    shift: f64,
}

/// The candidates as seen from one moment.
struct Days<'a> {
    forecast: &'a LoadForecast,
    /// The newest quarter hour that is known.
    newest: i64,
    now_kw: Option<f64>,
    candidates: Vec<Candidate>,
    /// The load may reach this, in kW.
    highest: f64,
    /// Weekday and offset to UTC of local days near the present, by day number.
    calendar: Vec<(u8, i64)>,
    first_day: i64,
    buffer: Vec<(f64, f64)>,
}

/// Local days after the present that a forecast looks at.
const DAYS_AHEAD: i64 = 9;

impl<'a> Days<'a> {
    fn new(forecast: &'a LoadForecast, now: Utc) -> Self {
        let quarters = &forecast.quarters;
        let open = quarters.open().filter(|(at, _)| quarters.end() <= *at);
        let newest = open.map_or(quarters.end() - 1, |(at, _)| at).min(quarter(now));
        let now_kw = match open {
            Some((at, kw)) if at == newest => Some(kw),
            _ => quarters.at(newest),
        };
        let today = forecast.zone.local(now).day_number;
        let first_day = today - DAYS_MAX - 1;
        let day = |number: i64| {
            let noon = forecast.zone.moment(number, 720);
            (forecast.zone.local(noon).weekday, forecast.zone.offset_ms(noon))
        };
        let calendar = (first_day..=today + DAYS_AHEAD).map(day).collect();
        let mut days = Self {
            forecast,
            newest,
            now_kw,
            candidates: Vec::new(),
            highest: quarters.highest().max(forecast.most_kw),
            calendar,
            first_day,
            buffer: Vec::new(),
        };
        days.candidates = (1..=DAYS_MAX).filter_map(|back| days.candidate(back)).collect();
        let mut unlike: Vec<f64> = days.candidates.iter().map(|day| day.unlike).collect();
        unlike.sort_by(f64::total_cmp);
        let usual = unlike.get(unlike.len() / 4).copied().unwrap_or(0.0).max(1e-3);
        for day in &mut days.candidates {
            day.alike = -(1.0 + (day.unlike / usual).powi(2)).ln();
        }
        days
    }

    /// Position in the calendar of the local day of a quarter hour. Offsets change by night, so
    /// the one of today tells the day.
    fn day(&self, quarter: i64) -> Option<usize> {
        let offset = self.calendar.get((DAYS_MAX + 1) as usize).map_or(0, |(_, offset)| *offset);
        let wall = start(quarter).as_millis().saturating_add(offset);
        usize::try_from(wall.div_euclid(quarters::DAY_MS) - self.first_day).ok()
    }

    /// The quarter hour at the same local time `back` days before the day at this position of the
    /// calendar, with its weekday.
    fn before(&self, quarter: i64, day: usize, back: i64) -> Option<(i64, u8)> {
        let (_, offset) = self.calendar.get(day)?;
        let (weekday, then) = self.calendar.get(day.checked_sub(back as usize)?)?;
        Some((quarter - back * DAY + (offset - then) / quarters::QUARTER_MS, *weekday))
    }

    fn known(&self, quarter: i64) -> Option<f64> {
        if quarter == self.newest { self.now_kw } else { self.forecast.quarters.at(quarter) }
    }

    fn candidate(&self, back: i64) -> Option<Candidate> {
        let mut differences = (0.0, 0.0);
        let mut shifts = (0.0, 0.0);
        for age in 0..ALIKE_SPAN {
            let quarter = self.newest - age;
            let (then, _) = self.before(quarter, self.day(quarter)?, back)?;
            if let (Some(is), Some(was)) = (self.known(quarter), self.known(then)) {
                differences = (differences.0 + (is - was).abs(), differences.1 + 1.0);
                if age < SHIFT_SPAN {
                    shifts = (shifts.0 + is - was, shifts.1 + 1.0);
                }
            }
        }
        let mean = |(sum, count): (f64, f64)| if count < 1.0 { 0.0 } else { sum / count };
        let recent = (-(back as f64) / DAY_FADES).exp();
        let (unlike, shift) = (mean(differences), mean(shifts));
        Some(Candidate { back, unlike, alike: 0.0, recent, shift })
    }

    fn expect(&mut self, quarter: i64) -> Quantiles {
        let lead = quarter.saturating_sub(self.newest).max(0) as f64;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        if lead < 1.0
            && let Some(kw) = self.now_kw
        {
            self.buffer = buffer;
            let kw = kw.max(0.0);
            return Quantiles { low: kw * 0.9, mid: kw, high: kw * 1.1 };
        }
        let day = self.day(quarter).unwrap_or(usize::MAX);
        let weekday = self.calendar.get(day).map(|(weekday, _)| *weekday);
        let likeness = 2.0 * (-lead / ALIKE_FADES).exp();
        let lasting = (-lead / SHIFT_FADES).exp();
        for past in &self.candidates {
            let Some((then, was)) = self.before(quarter, day, past.back) else { continue };
            let Some(weight) = kind_weight(weekday.unwrap_or(0), was, past.back) else { continue };
            if self.newest <= then {
                continue;
            }
            if let Some(kw) = self.known(then) {
                let alike = (past.alike * likeness).exp();
                let kw = (kw + past.shift * lasting).max(0.0);
                buffer.push((kw, weight * past.recent * alike));
            }
        }
        let found = self.spread(&mut buffer, lead);
        self.buffer = buffer;
        found
    }

    fn spread(&self, candidates: &mut [(f64, f64)], lead: f64) -> Quantiles {
        candidates.sort_by(|one, other| one.0.total_cmp(&other.0));
        let highest = self.highest;
        let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        let Some(mid) = middle(candidates, total, 0.5) else {
            // The first day: it stays as it is, and may become anything within hours.
            let kw = self.now_kw.unwrap_or(0.0).max(0.0);
            let open = (lead / 16.0).min(1.0);
            let high = kw.max(kw + (highest - kw) * open);
            return Quantiles { low: kw * (1.0 - open), mid: kw, high };
        };
        let low = middle(candidates, total, 0.1).unwrap_or(mid);
        let high = middle(candidates, total, 0.9).unwrap_or(mid);
        // Few days know little of what else may come.
        let few = 1.0 / (1.0 + candidates.len() as f64);
        let wide = 0.5 * few * mid;
        let low = (low - wide).max(0.0);
        Quantiles { low, mid: mid.max(low), high: (high + wide).max(mid) }
    }
}

/// What a past day counts for a weekday; none where it is too old for its kind.
fn kind_weight(weekday: u8, was: u8, back: i64) -> Option<f64> {
    if weekday == was {
        return Some(1.0);
    }
    let same_kind = (weekday < 5) == (was < 5) && (weekday < 5 || weekday == was);
    match (same_kind, back) {
        (true, ..=21) => Some(0.5),
        (false, ..=14) => Some(0.04),
        _ => None,
    }
}

/// A quantile between the middles of the weights, of sorted values.
fn middle(sorted: &[(f64, f64)], total: f64, share: f64) -> Option<f64> {
    let mut sum = 0.0;
    let mut before: Option<(f64, f64)> = None;
    for (value, weight) in sorted {
        let place = (sum + weight / 2.0) / total;
        sum += weight;
        if share <= place {
            return Some(match before {
                Some((low, from)) if from < place => {
                    low + (value - low) * (share - from) / (place - from)
                }
                _ => *value,
            });
        }
        before = Some((*value, place));
    }
    before.map(|(value, _)| value)
}
