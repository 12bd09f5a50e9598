//! How much of what cars asked for they have missed lately: what waiting for a better hour costs at
//! this site.
//!
//! A plan knows the cars that are there. Those that come later, clouds and full breakers take room
//! that it counted on, so that who waits may miss something. How often that happens is a matter of
//! the site: a car park with room to spare can wait for each ray of sun, a crowded one cannot. It
//! corrects itself: the more was missed, the earlier cars are charged.

use serde::{Deserialize, Serialize};

/// Each session counts this much less once another has ended: about the last hundred count.
const FADE: f64 = 0.99;
/// The record begins as if so much energy had been asked for and served, in kWh.
const BEGIN_KWH: f64 = 100.0;
/// A car that misses less than this has what it needs, in kWh.
const NOTHING_KWH: f64 = 0.05;
/// Such a share is missed anywhere: cars that come late and leave early, a cable that is unplugged.
const USUAL_SHARE: f64 = 0.003;
/// An hour of waiting never costs more than this share of what a missed kWh does: waiting a whole
/// day is still better than missing it.
const HURRY_MAX_PER_H: f64 = 0.0125;

/// What was asked for and missed lately, in kWh.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shortage {
    asked_kwh: f64,
    missed_kwh: f64,
}

impl Default for Shortage {
    fn default() -> Self {
        Self { asked_kwh: BEGIN_KWH, missed_kwh: 0.0 }
    }
}

impl Shortage {
    /// Takes in a session that has ended: what it asked for, and what it missed of that.
    pub fn observe(&mut self, asked_kwh: f64, missed_kwh: f64) {
        if !asked_kwh.is_finite() || !missed_kwh.is_finite() || asked_kwh <= 0.0 {
            return;
        }
        let missed = if missed_kwh < NOTHING_KWH { 0.0 } else { missed_kwh.min(asked_kwh) };
        self.asked_kwh = self.asked_kwh * FADE + asked_kwh;
        self.missed_kwh = self.missed_kwh * FADE + missed;
    }

    /// What an hour of waiting costs a kWh, as a share of what missing it costs: the share that was
    /// missed beyond what is usual, within reason.
    pub fn hurry_per_h(&self) -> f64 {
        let share = self.missed_kwh / self.asked_kwh - USUAL_SHARE;
        if share.is_finite() { share.clamp(0.0, HURRY_MAX_PER_H) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_counts_within_reason_and_fades() {
        let mut shortage = Shortage::default();
        assert_eq!(shortage.hurry_per_h(), 0.0);
        for _ in 0..100 {
            shortage.observe(10.0, 0.1);
        }
        let crowded = shortage.hurry_per_h();
        assert!((0.004..0.007).contains(&crowded), "{crowded}");
        for _ in 0..300 {
            shortage.observe(10.0, 0.0);
        }
        assert_eq!(shortage.hurry_per_h(), 0.0, "one in 300 kWh is missed anywhere");
        shortage.observe(500.0, 500.0);
        assert_eq!(shortage.hurry_per_h(), HURRY_MAX_PER_H);
    }

    #[test]
    fn nonsense_and_crumbs_change_nothing() {
        let mut shortage = Shortage::default();
        for (asked, missed) in [(f64::NAN, 1.0), (10.0, f64::INFINITY), (0.0, 5.0), (-1.0, 1.0)] {
            shortage.observe(asked, missed);
        }
        assert_eq!(shortage, Shortage::default());
        shortage.observe(10.0, 0.04);
        assert_eq!(shortage.hurry_per_h(), 0.0);
    }
}
