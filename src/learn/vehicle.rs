//! The car of a token, as far as charging it has shown.

use serde::{Deserialize, Serialize};

use super::stay::{Stay, rounded};

/// What charging has shown of a car.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vehicle {
    /// Usable capacity of the battery in kWh, from state of charge and energy; absent if unknown.
    pub capacity_kwh: Option<f64>,
    /// Stays that the capacity was learned from.
    pub capacity_from: u32,
    /// The highest power that it was seen to take lately, in kW; zero if never.
    pub max_kw: f64,
    /// The highest current that it was seen to take lately, in A.
    pub most_a: f64,
    /// Up to this offer, in A, it is known to take no more than `most_a`: a point of 16 A does not
    /// show what a car takes of 32 A.
    #[serde(default)]
    pub offered_a: f64,
    /// Phases on which it charges; zero if never seen.
    pub phases: u8,
    /// Phases of the widest EVSE at which that was seen: one with a single phase shows nothing.
    #[serde(default)]
    pub wires: u8,
}

/// An offer that no AC point exceeds, in A.
const ANY_OFFER_A: f64 = 1000.0;

/// A charger and a battery lose about this much of what is metered.
const EFFICIENCY: f64 = 0.9;

/// Currents that differ by no more are the same: meters round.
const SAME_A: f64 = 1.0;

/// Less than this share of a battery says nothing of its size.
const SHARE_MIN: f64 = 0.15;

/// No car's battery is smaller, or larger, in kWh.
const CAPACITY_KWH: (f64, f64) = (5.0, 600.0);

/// What was highest once fades by this with each stay: a token may have another car.
const FADE: f64 = 0.93;

impl Vehicle {
    /// Takes in a stay.
    pub fn observe(&mut self, stay: &Stay) {
        if (1..=3).contains(&stay.phases) && stay.phases <= stay.wires {
            let before = if self.wires <= stay.wires { 0 } else { self.phases };
            self.phases = before.max(stay.phases);
            self.wires = self.wires.max(stay.wires);
        }
        if stay.max_kw.is_finite() && 0.1 < stay.max_kw {
            self.max_kw = rounded(stay.max_kw.max(self.max_kw * FADE).min(1e4));
        }
        if stay.most_a.is_finite() && 1.0 < stay.most_a {
            let most = stay.most_a.min(ANY_OFFER_A);
            let offered = if stay.most_is_limit { ANY_OFFER_A } else { most };
            let known = if offered < self.offered_a { self.most_a } else { self.most_a * FADE };
            self.most_a = rounded(most.max(known));
            self.offered_a = self.offered_a.max(offered);
        }
        let (Some(from), Some(to)) = (stay.arrival_soc, stay.target_soc) else { return };
        let share = (to - from) / 100.0;
        let is_share = (SHARE_MIN..=1.0).contains(&share) && (0.0..=100.0).contains(&from);
        if !is_share || !stay.full || !stay.energy_kwh.is_finite() {
            return;
        }
        let seen = stay.energy_kwh * EFFICIENCY / share;
        if !(CAPACITY_KWH.0..=CAPACITY_KWH.1).contains(&seen) {
            return;
        }
        self.capacity_from = (self.capacity_from + 1).min(10);
        let known = self.capacity_kwh.unwrap_or(seen);
        self.capacity_kwh = Some(rounded(known + (seen - known) / f64::from(self.capacity_from)));
    }

    /// What a charger meters while the battery is filled from empty, in kWh; none where that is not
    /// known.
    pub fn fill_kwh(&self) -> Option<f64> {
        self.capacity_kwh.map(|capacity| capacity / EFFICIENCY)
    }

    /// The most that it takes on a phase of an EVSE with this rating, both in A, as far as that is
    /// known.
    pub fn takes_of(&self, rated_a: f64) -> Option<f64> {
        let is_known = 0.0 < self.most_a && rated_a <= self.offered_a + SAME_A;
        is_known.then_some(self.most_a.min(rated_a))
    }

    /// The phases that it loads of so many, as far as that is known.
    pub fn loads_of(&self, wires: usize) -> Option<usize> {
        let seen = usize::from(self.phases);
        let is_known = 0 < seen && (wires <= seen || wires <= usize::from(self.wires));
        is_known.then_some(seen.min(wires))
    }
}
