//! What the sun will give, learned from what this plant produced and nothing else.
//!
//! `clear sky of its own × how clear it will be`: see [`super::pv_fit`]. Corrected with each
//! reading of the day. On the first day nothing is known: anything up to everything may come.
//! A received forecast is mixed in by its proven error ([`super::blend`]).

use serde::{Deserialize, Serialize};

use crate::ground::quantiles::Quantiles;
use crate::ground::time::Utc;
use crate::model::feed::Received;

use super::blend::Blend;
use super::pv_fit::Fit;
use super::quarters::{DAY, Quarters, quarter};
use super::record::{ErrorRecord, LEADS_H};

/// Days of quarter hours that are kept: what the season leaves useful.
pub const DAYS_MAX: i64 = 42;

/// Before this much was measured the plant counts as unknown: one whole day.
const KNOWN_MIN: usize = DAY as usize;

/// While the plant is young it is learned anew each hour, afterwards each day.
const YOUNG_QUARTERS: usize = 5 * DAY as usize;

/// The forecast of the site's PV power.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PvForecast {
    peak_kw: f64,
    quarters: Quarters,
    fit: Fit,
    /// The quarter hour after which it was last learned.
    learned: i64,
    record: ErrorRecord,
    blend: Blend,
}

impl PvForecast {
    /// Nothing known of a plant of this peak power.
    pub fn new(peak_kw: f64) -> Self {
        Self {
            peak_kw: if peak_kw.is_finite() { peak_kw.max(0.0) } else { 0.0 },
            quarters: Quarters::new((DAYS_MAX * DAY) as usize),
            fit: Fit::default(),
            learned: i64::MIN,
            record: ErrorRecord::default(),
            blend: Blend::default(),
        }
    }

    /// The same knowledge for a plant whose configured peak has changed.
    pub fn with_peak(mut self, peak_kw: f64) -> Self {
        self.peak_kw = if peak_kw.is_finite() { peak_kw.max(0.0) } else { 0.0 };
        self
    }

    /// Takes a measured power of the whole site's PV, in kW.
    pub fn observe(&mut self, at: Utc, kw: f64) {
        if !self.quarters.observe(at, if kw.is_finite() { kw.max(0.0) } else { kw }) {
            return;
        }
        self.record.settle(&self.quarters);
        self.blend.settle(&self.quarters);
        let now = self.quarters.end();
        let is_young = self.quarters.count() < YOUNG_QUARTERS;
        let every = if is_young { 4 } else { DAY };
        if KNOWN_MIN <= self.quarters.count() && every <= now.saturating_sub(self.learned).abs() {
            self.fit = Fit::learn(&self.quarters, self.peak_kw);
            self.learned = now;
        }
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
        let learned = self.learned_only(now, grid);
        let mut mixed = self.blend.mix(now, grid, learned);
        self.record.stretch(now, grid, &mut mixed, self.cap());
        mixed
    }

    /// The same without what was received.
    pub fn learned_only(&self, now: Utc, grid: &[Utc]) -> Vec<Quantiles> {
        let state = self.now_state(now);
        super::quarters::by_step(grid, |at| self.expect(&state, at))
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
        let at = super::quarters::start(now);
        let state = self.now_state(at);
        for (lead, hours) in LEADS_H.into_iter().enumerate() {
            let quarter = now + hours * 4;
            let learned = self.expect(&state, quarter);
            let expected = self.blend.mix_one(at, quarter, learned);
            let expected = self.record.stretched(hours, expected, self.cap());
            self.record.promise(&self.quarters, now, lead, expected);
        }
        let mut blend = std::mem::take(&mut self.blend);
        blend.promise(now, |_, quarter| self.expect(&state, quarter).mid);
        self.blend = blend;
    }

    fn cap(&self) -> f64 {
        let highest = self.quarters.highest();
        if 0.0 < self.peak_kw { self.peak_kw.max(highest) } else { highest * 1.1 }
    }

    fn now_state(&self, now: Utc) -> NowState {
        let wanted = quarter(now);
        // A quarter hour that has begun tells the most; where nothing was heard, what ended last.
        let open = self.quarters.open().filter(|(at, _)| self.quarters.end() <= *at);
        let newest = open.map_or(self.quarters.end() - 1, |(at, _)| at).min(wanted);
        let kw = match open {
            Some((at, kw)) if at == newest => kw,
            _ => self.quarters.at(newest).unwrap_or(0.0),
        };
        let terms = (!self.fit.is_empty()).then(|| self.fit.terms(&self.quarters, newest));
        NowState { newest, kw, terms, cap: self.cap() }
    }

    fn expect(&self, state: &NowState, quarter: i64) -> Quantiles {
        let cap = state.cap;
        let lead = quarter.saturating_sub(state.newest).max(0);
        let Some(terms) = &state.terms else {
            // The first day: what is there now fades within hours; nothing rules out the rest.
            let fades = (1.0 - lead as f64 / 16.0).max(0.0);
            return Quantiles { low: 0.0, mid: (state.kw * fades).min(cap), high: cap };
        };
        let sky = self.fit.clear(quarter);
        if lead == 0 {
            let kw = state.kw.clamp(0.0, cap);
            return Quantiles { low: kw * 0.9, mid: kw, high: (kw * 1.1).min(cap.max(kw)) };
        }
        let [low, mid, high] = self.fit.clearness(terms, lead);
        let mid = mid.clamp(low, high.max(low));
        let power = |clearness: f64| (sky * clearness).clamp(0.0, cap);
        Quantiles { low: power(low), mid: power(mid), high: power(high.max(mid)) }
    }
}

/// What is known at the moment of a forecast.
struct NowState {
    newest: i64,
    kw: f64,
    terms: Option<super::pv_fit::State>,
    /// No more than this comes, in kW.
    cap: f64,
}
