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
    /// Phases on which it charges; zero if never seen.
    pub phases: u8,
}

/// A charger and a battery lose about this much of what is metered.
const EFFICIENCY: f64 = 0.9;

/// Less than this share of a battery says nothing of its size.
const SHARE_MIN: f64 = 0.15;

/// No car's battery is smaller, or larger, in kWh.
const CAPACITY_KWH: (f64, f64) = (5.0, 600.0);

/// What was highest once fades by this with each stay: a token may have another car.
const FADE: f64 = 0.93;

impl Vehicle {
    /// Takes in a stay.
    pub fn observe(&mut self, stay: &Stay) {
        if 0 < stay.phases && stay.phases <= 3 && stay.max_kw.is_finite() && 0.1 < stay.max_kw {
            self.phases = stay.phases;
            self.max_kw = rounded(stay.max_kw.max(self.max_kw * FADE).min(1e4));
            let most = if stay.most_a.is_finite() { stay.most_a } else { 0.0 };
            self.most_a = rounded(most.max(self.most_a * FADE).min(1e4));
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
}
