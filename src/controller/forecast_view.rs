//! Forecasts as people may see them: where each comes from, how far it was off, what came from
//! outside. Plain data; decides nothing.

use serde::{Deserialize, Serialize};

use crate::forecast::blend::Proof;
use crate::forecast::record::ErrorRecord;
use crate::ground::time::Utc;
use crate::model::feed::FeedKind;

/// What is expected of one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastView {
    /// Of what.
    pub kind: FeedKind,
    /// Where it comes from, in words.
    pub source: String,
    /// How far it was off, by lead; of prices and CO2 there is none.
    pub leads: Vec<LeadView>,
    /// What came from outside; none where nothing is configured.
    pub received: Option<FeedView>,
}

/// How far a forecast was off at one lead.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeadView {
    /// So far ahead.
    pub hours: i64,
    /// How many have come due; older ones count less.
    pub count: u32,
    /// Mean absolute error.
    pub off_kw: f64,
    /// Mean of forecast less what came: positive where too much was promised.
    pub bias_kw: f64,
    /// What the simplest forecast was off by: the value of the moment an hour ahead, else that of
    /// the day before.
    pub simplest_off_kw: f64,
    /// Share of what came that was below the low value; 0.1 is right.
    pub below_low: f64,
    /// Share of what came that was above the high value; 0.1 is right.
    pub above_high: f64,
}

/// A forecast or price from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedView {
    /// Its name in the configuration.
    pub id: String,
    /// Where it comes from, in words.
    pub place: String,
    /// When the last good one came.
    pub heard: Option<Utc>,
    /// When that was issued.
    pub issued: Option<Utc>,
    /// Until when it says something.
    pub until: Option<Utc>,
    /// Why it is of no use at present; none while all is well.
    pub trouble: Option<String>,
    /// How it did beside what was learned on site, by lead.
    pub leads: Vec<ProofView>,
}

/// A forecast from outside beside the learned one, at one lead.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProofView {
    /// So far ahead.
    pub hours: i64,
    /// Comparisons; older ones count less.
    pub count: u32,
    /// Root mean square error of the forecast from outside, its scale corrected.
    pub received_off_kw: f64,
    /// The same of what was learned on site.
    pub learned_off_kw: f64,
    /// What the forecast from outside counts in the mixture, in percent.
    pub share_percent: f64,
}

impl From<Proof> for ProofView {
    fn from(proof: Proof) -> Self {
        Self {
            hours: proof.hours,
            count: proof.count,
            received_off_kw: hundredths(proof.received_rms_kw),
            learned_off_kw: hundredths(proof.learned_rms_kw),
            share_percent: (100.0 * proof.share).round(),
        }
    }
}

impl LeadView {
    /// Of everything that has come due.
    pub fn of(record: &ErrorRecord) -> Vec<Self> {
        let known = record.leads().filter(|(_, lead)| 1.0 <= lead.count);
        let view = |(hours, lead): (i64, crate::forecast::record::LeadRecord)| Self {
            hours,
            count: lead.count as u32,
            off_kw: hundredths(lead.mean_abs_kw),
            bias_kw: hundredths(lead.bias_kw),
            simplest_off_kw: hundredths(lead.yardstick_kw),
            below_low: hundredths(lead.below_low),
            above_high: hundredths(lead.above_high),
        };
        known.map(view).collect()
    }
}

fn hundredths(value: f64) -> f64 {
    let rounded = (value * 100.0).round() / 100.0;
    // No minus before nothing.
    if rounded == 0.0 { 0.0 } else { rounded }
}
