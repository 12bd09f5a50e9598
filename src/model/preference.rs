//! What a driver wants of one session: energy, departure, and who said it (PREF-1).

use serde::{Deserialize, Serialize};

use crate::ground::ids::SessionId;
use crate::ground::time::Utc;
use crate::ground::units::WattHours;

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
