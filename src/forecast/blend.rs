//! A received forecast and the learned one, mixed by how far each was off so far.
//!
//! Both are noted each hour for some leads and settled when the time has come; the weight at each
//! lead is the one that would have been off least (it takes into account that two forecasts may be
//! wrong in the same way). Before anything is known the received one, which has seen the weather
//! map, counts little for the next hour and most for the next day. Its scale is corrected too:
//! a publisher rarely knows the plant well.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::ground::quantiles::Quantiles;
use crate::ground::time::{Duration, Utc};
use crate::model::feed::Received;

use super::quarters::{QUARTER_MS, Quarters, quarter, start};

/// The leads that are compared, in hours.
pub const LEADS_H: [i64; 5] = [1, 3, 6, 12, 24];

/// What the received forecast counts before anything is known, at each lead.
const PRIOR_SHARE: [f64; LEADS_H.len()] = [0.25, 0.5, 0.65, 0.75, 0.75];

/// Comparisons that the prior is worth.
const PRIOR_COUNT: f64 = 12.0;

/// The comparison reaches back over so many settled hours.
const MEMORY: f64 = 700.0;

/// Hours that wait to be settled: 46 by the leads.
const PENDING_MAX: usize = 96;

/// A received forecast that is older than this says nothing.
const AGE_MAX: Duration = Duration::hours(72);

/// The newest received forecast, and how well received and learned ones did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Blend {
    received: Option<Received>,
    leads: [Lead; LEADS_H.len()],
    pending: VecDeque<Promise>,
    /// Means of actual × received and of received², for the scale.
    scale: (f64, f64),
}

/// How a received and the learned forecast did at one lead, and what follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proof {
    /// So far ahead.
    pub hours: i64,
    /// Comparisons; older ones count less.
    pub count: u32,
    /// Root mean square error of the learned forecast, in kW.
    pub learned_rms_kw: f64,
    /// The same of the received one, after its scale was corrected.
    pub received_rms_kw: f64,
    /// What the received one counts, 0 to 1.
    pub share: f64,
}

/// Means over what was settled at one lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Lead {
    count: f64,
    /// Square error of the learned forecast.
    learned: f64,
    /// Square error of the received forecast.
    received: f64,
    /// Product of both errors.
    both: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Promise {
    quarter: i64,
    lead: usize,
    learned: f64,
    /// As it came, not scaled.
    received: f64,
}

impl Blend {
    /// Takes a forecast from outside; an older one than is known is passed over unless the known
    /// one has run out.
    pub fn receive(&mut self, received: Received) {
        let newer = |known: &Received| known.issued <= received.issued;
        if self.received.as_ref().is_none_or(newer) && !received.steps.is_empty() {
            self.received = Some(received);
        }
    }

    /// Mixes what was learned with what was received, step by step.
    pub fn mix(&self, now: Utc, grid: &[Utc], learned: Vec<Quantiles>) -> Vec<Quantiles> {
        let Some(received) = self.fresh(now) else { return learned };
        let steps = grid.windows(2).zip(learned);
        let mix = |(step, learned): (&[Utc], Quantiles)| {
            let middle = step[0] + step[1].since(step[0]) / 2;
            match mean(received, step[0], step[1]) {
                Some(value) => self.join(middle.since(now), learned, value),
                None => learned,
            }
        };
        steps.map(mix).collect()
    }

    /// The same for one quarter hour.
    pub fn mix_one(&self, now: Utc, quarter: i64, learned: Quantiles) -> Quantiles {
        let at = start(quarter);
        match self.fresh(now).and_then(|received| received.at(at)) {
            Some(value) => self.join(at.since(now), learned, value),
            None => learned,
        }
    }

    /// Notes what both say of the hours to come; `learned` gives the expectation of
    /// a quarter hour at the lead of this position in [`LEADS_H`].
    pub fn promise(&mut self, now: i64, learned: impl Fn(usize, i64) -> f64) {
        let at = start(now);
        let Some(received) = self.fresh(at) else { return };
        let mut noted = Vec::new();
        for (lead, hours) in LEADS_H.into_iter().enumerate() {
            let quarter = now + hours * 4;
            if let Some(value) = mean(received, start(quarter), start(quarter + 1)) {
                noted.push(Promise {
                    quarter,
                    lead,
                    learned: learned(lead, quarter),
                    received: value,
                });
            }
        }
        self.pending.extend(noted);
        while PENDING_MAX < self.pending.len() {
            self.pending.pop_front();
        }
    }

    /// Settles what has been measured since.
    pub fn settle(&mut self, quarters: &Quarters) {
        let end = quarters.end();
        let mut settled = Vec::new();
        self.pending.retain(|promise| {
            if end <= promise.quarter {
                return promise.quarter <= end + 2 * super::quarters::DAY;
            }
            if let Some(actual) = quarters.at(promise.quarter) {
                settled.push((*promise, actual));
            }
            false
        });
        for (promise, actual) in settled {
            self.weigh(promise, actual);
        }
    }

    /// Where the mixture comes from: `own` and the received forecast.
    pub fn source(&self, own: String, now: Utc) -> String {
        match self.fresh(now) {
            None => own,
            Some(received) => {
                let share = 100.0 * self.share(Duration::hours(6));
                format!("{own}; {} counts {share:.0} % at 6 h", received.source)
            }
        }
    }

    /// The forecast that was received last.
    pub fn received(&self) -> Option<&Received> {
        self.received.as_ref()
    }

    /// How both did so far, by lead; only leads at which something has come due.
    pub fn proofs(&self) -> Vec<Proof> {
        let proof = |(lead, hours): (usize, i64)| {
            let Lead { count, learned, received, .. } = self.leads[lead];
            (1.0 <= count).then(|| Proof {
                hours,
                count: count as u32,
                learned_rms_kw: learned.max(0.0).sqrt(),
                received_rms_kw: received.max(0.0).sqrt(),
                share: self.share_at(lead),
            })
        };
        LEADS_H.into_iter().enumerate().filter_map(proof).collect()
    }

    fn fresh(&self, now: Utc) -> Option<&Received> {
        let old =
            |received: &Received| AGE_MAX.as_millis() < now.since(received.issued).as_millis();
        self.received.as_ref().filter(|received| !old(received))
    }

    fn weigh(&mut self, promise: Promise, actual: f64) {
        if actual.abs() < 1e-3 && promise.learned.abs() < 1e-3 && promise.received.abs() < 1e-3 {
            return;
        }
        let scaled = promise.received * self.factor();
        let lead = &mut self.leads[promise.lead.min(LEADS_H.len() - 1)];
        lead.count = (lead.count + 1.0).min(MEMORY);
        let share = 1.0 / lead.count;
        let (learned, received) = (promise.learned - actual, scaled - actual);
        lead.learned += (learned * learned - lead.learned) * share;
        lead.received += (received * received - lead.received) * share;
        lead.both += (learned * received - lead.both) * share;
        let (product, square) = &mut self.scale;
        *product += (actual * promise.received - *product) * share;
        *square += (promise.received * promise.received - *square) * share;
    }

    /// What a received value is multiplied with.
    fn factor(&self) -> f64 {
        let count: f64 = self.leads.iter().map(|lead| lead.count).sum();
        let (product, square) = self.scale;
        if square <= 1e-9 {
            return 1.0;
        }
        let trust = count / (count + 60.0);
        (1.0 + trust * (product / square - 1.0)).clamp(0.4, 2.5)
    }

    /// The share of the received forecast at this lead, 0 to 1.
    fn share(&self, lead: Duration) -> f64 {
        let hours = lead.as_hours().clamp(0.0, LEADS_H[LEADS_H.len() - 1] as f64);
        let above = LEADS_H.iter().position(|known| hours <= *known as f64);
        let above = above.unwrap_or(LEADS_H.len() - 1);
        let Some(below) = above.checked_sub(1) else {
            // Within the hour the measurement of the moment says ever more.
            return hours * self.share_at(0);
        };
        let (from, to) = (LEADS_H[below] as f64, LEADS_H[above] as f64);
        let part = (hours - from) / (to - from);
        self.share_at(below) * (1.0 - part) + self.share_at(above) * part
    }

    fn share_at(&self, lead: usize) -> f64 {
        let Lead { count, learned, received, both } = self.leads[lead];
        let spread = learned + received - 2.0 * both;
        let best = if spread <= 1e-9 { 0.5 } else { ((learned - both) / spread).clamp(0.0, 1.0) };
        let trust = count / (count + PRIOR_COUNT);
        trust * best + (1.0 - trust) * PRIOR_SHARE[lead]
    }

    fn join(&self, lead: Duration, learned: Quantiles, received: f64) -> Quantiles {
        let share = self.share(lead);
        let received = (received * self.factor()).max(0.0);
        let mid = share * received + (1.0 - share) * learned.mid;
        let narrower = self.narrower(lead, share);
        let low = mid - (learned.mid - learned.low).max(0.0) * narrower;
        let high = mid + (learned.high - learned.mid).max(0.0) * narrower;
        Quantiles { low: low.clamp(0.0, mid.max(0.0)), mid, high: high.max(mid) }
    }

    /// How much narrower the mixture is than the learned forecast alone.
    fn narrower(&self, lead: Duration, share: f64) -> f64 {
        let hours = lead.as_hours();
        let nearest = LEADS_H.iter().position(|known| hours <= *known as f64);
        let lead = self.leads[nearest.unwrap_or(LEADS_H.len() - 1)];
        let own = 1.0 - share;
        let mixed = own * own * lead.learned
            + share * share * lead.received
            + 2.0 * own * share * lead.both;
        if lead.count < PRIOR_COUNT || lead.learned <= 1e-9 {
            return 1.0 - 0.3 * share;
        }
        (mixed.max(0.0) / lead.learned).sqrt().clamp(0.3, 1.0)
    }
}

/// The mean of a received series over a step, sampled by quarter hours; none where it has none.
fn mean(received: &Received, from: Utc, until: Utc) -> Option<f64> {
    const SAMPLES_MAX: i64 = 96;
    let count = (until.since(from).as_millis() / QUARTER_MS).clamp(1, SAMPLES_MAX);
    let (mut sum, mut known) = (0.0, 0);
    for index in 0..count {
        let at = if index == 0 { from } else { start(quarter(from) + index) };
        if let Some(value) = received.at(at) {
            sum += value;
            known += 1;
        }
    }
    (count <= 2 * known).then(|| sum / known as f64)
}
