//! What a driver wants of one session: energy, departure, and who said it (PREF-1).
//!
//! A [`Preference`] belongs to a session. What is said while a car is plugged in and its
//! transaction has not begun is an [`Intent`] of the EVSE; the session that follows takes it over.

use serde::{Deserialize, Serialize};

use crate::ground::ids::{EvseId, SessionId};
use crate::ground::time::Utc;
use crate::ground::units::WattHours;

/// What can be wanted of a session. What is absent was not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    /// Energy that is wanted from the start of the session to its end.
    pub energy_wh: Option<WattHours>,
    /// The need in percent of the battery.
    pub charge: Option<StateOfCharge>,
    /// When the car leaves.
    pub departure: Option<Utc>,
}

/// What a driver, or somebody for them, has said of a session. What is absent was not said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preference {
    /// The session it is for.
    pub session: SessionId,
    /// Energy that is wanted from the start of the session to its end.
    pub energy_wh: Option<WattHours>,
    /// State of charge at the arrival and the one that is wanted, in percent, with the capacity of
    /// the battery where it was told.
    pub charge: Option<StateOfCharge>,
    /// When the car leaves.
    pub departure: Option<Utc>,
    /// Where it was said.
    pub source: PreferenceSource,
    /// When it was said.
    pub at: Option<Utc>,
}

/// What was said of the car at an EVSE before its transaction began. Without a word in it nothing
/// is said any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Where the car is plugged in.
    pub evse: EvseId,
    /// What is wanted.
    pub wish: Wish,
    /// Where it was said.
    pub source: PreferenceSource,
    /// When it was said.
    pub at: Option<Utc>,
}

/// A need in percent of a battery.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateOfCharge {
    /// On arrival, in percent.
    pub arrival_percent: f64,
    /// Wanted at the departure, in percent.
    pub target_percent: f64,
    /// Usable capacity of the battery; absent where only habit knows it.
    pub capacity_wh: Option<WattHours>,
}

/// Where a preference was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreferenceSource {
    /// The driver, on the page behind the QR code.
    Driver,
    /// A person at the site's page, API or command line.
    Operator,
    /// A partner over OCPI.
    Partner,
    /// A simulation's file.
    File,
}

impl Wish {
    /// Whether nothing was said at all.
    pub fn is_empty(&self) -> bool {
        self.energy_wh.is_none() && self.charge.is_none() && self.departure.is_none()
    }
}

impl Preference {
    /// A wish for a session.
    pub fn new(session: SessionId, wish: Wish, source: PreferenceSource, at: Option<Utc>) -> Self {
        let Wish { energy_wh, charge, departure } = wish;
        Self { session, energy_wh, charge, departure, source, at }
    }

    /// What is wanted.
    pub fn wish(&self) -> Wish {
        let (energy_wh, charge, departure) = (self.energy_wh, self.charge, self.departure);
        Wish { energy_wh, charge, departure }
    }

    /// The energy that is wanted, where it is known: as said, else by state of charge. `seen` is
    /// what fills the battery from empty by earlier stays; it counts where no capacity was told.
    pub fn energy(&self, seen: Option<WattHours>) -> Option<WattHours> {
        self.energy_wh.or_else(|| self.charge?.energy(seen))
    }
}

impl StateOfCharge {
    /// The energy between the two states, of the capacity that was told, else of `seen`.
    pub fn energy(&self, seen: Option<WattHours>) -> Option<WattHours> {
        let share = (self.target_percent - self.arrival_percent).max(0.0) / 100.0;
        let whole = self.capacity_wh.or(seen)?;
        Some(WattHours::from_f64(whole.as_f64() * share))
    }
}

impl PreferenceSource {
    /// Who it is, for people.
    pub const fn words(self) -> &'static str {
        match self {
            PreferenceSource::Driver => "the driver",
            PreferenceSource::Operator => "the operator",
            PreferenceSource::Partner => "the partner",
            PreferenceSource::File => "the file",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_in_percent_is_energy_where_the_capacity_is_known() {
        let mut charge =
            StateOfCharge { arrival_percent: 20.0, target_percent: 80.0, capacity_wh: None };
        let seen = Some(WattHours::new(40_000));
        assert_eq!(
            (charge.energy(None), charge.energy(seen)),
            (None, Some(WattHours::new(24_000)))
        );
        charge.capacity_wh = Some(WattHours::new(60_000));
        let wish = Wish { charge: Some(charge), ..Wish::default() };
        let told = |wish| Preference::new(SessionId(1), wish, PreferenceSource::Driver, None);
        assert_eq!(told(wish).energy(seen), Some(WattHours::new(36_000)));
        // What was said in kWh counts before what follows from percent.
        let said = Wish { energy_wh: Some(WattHours::new(5_000)), ..wish };
        assert_eq!(told(said).energy(seen), Some(WattHours::new(5_000)));
    }
}
