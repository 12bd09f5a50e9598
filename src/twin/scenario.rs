//! A scenario: who comes and goes, what the weather and the building do, and what goes wrong.
//!
//! Data only. Times are of the calendar; the plant turns them into its own monotonic time.

use std::collections::BTreeMap;

use crate::ground::ids::{ChargePointId, EvseIndex, MeterId};
use crate::ground::series::Series;
use crate::ground::time::{Duration, Utc};

/// Everything that happens to a site apart from what its controller does.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Scenario {
    /// Determines every delay, loss and jitter.
    pub seed: u64,
    /// The cars, in any order.
    pub visits: Vec<Visit>,
    /// Power of each piece of equipment by its identifier, in W with import positive (PV is
    /// negative). Equipment without a series draws nothing.
    pub power: BTreeMap<String, Series<f64>>,
    /// How each charge point behaves; those without an entry behave well.
    pub chargers: BTreeMap<ChargePointId, Behaviour>,
    /// How the meters publish.
    pub meters: MeterModel,
    /// How frames travel (used by the twin; real sockets have a way of their own).
    pub network: NetworkModel,
    /// What goes wrong, and when.
    pub faults: Vec<(Utc, Fault)>,
}

/// One car at one EVSE, from plug-in to plug-out.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// Where.
    pub evse: EvseIndex,
    /// What the driver presents; empty for nothing at all.
    pub token: String,
    /// Plug-in.
    pub arrival: Utc,
    /// Plug-out, whatever the charger is doing.
    pub departure: Utc,
    /// The car.
    pub car: CarModel,
    /// What its driver says, shortly after the transaction has started.
    pub declared: Option<Declared>,
}

/// What a driver says of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Declared {
    /// Energy that is wanted over the whole visit, in Wh.
    pub energy_wh: Option<f64>,
    /// When the car will leave.
    pub departure: Option<Utc>,
}

/// What a car can and wants to take.
#[derive(Clone, Debug, PartialEq)]
pub struct CarModel {
    /// Phases of its on-board charger, 1 to 3; it begins with the charger's L1.
    pub phases: usize,
    /// The most it takes on a phase, in A.
    pub max_a: f64,
    /// Energy it wants before it is full, in Wh.
    pub need_wh: f64,
    /// Below this remaining need the current falls in proportion, down to 6 A; 0 = no taper.
    pub taper_wh: f64,
    /// From energy being offered until current flows.
    pub start_delay: Duration,
}

/// How a charge point behaves. The default does everything as OCPP 1.6 has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// What it can do with charging profiles.
    pub smart_charging: SmartCharging,
    /// It accepts every limit and keeps none.
    pub ignores_limits: bool,
    /// It answers calls after this long.
    pub answer_delay: Duration,
    /// It answers no call at all, though it goes on sending.
    pub deaf: bool,
    /// From a limit's change until the current follows (IEC 61851-1 allows 5 s).
    pub reaction: Duration,
    /// It sends values so long after its current has changed, besides the periodic ones.
    pub tells_changes_after: Option<Duration>,
    /// Its link is cut about this often.
    pub link_lost_every: Option<Duration>,
    /// A link that was cut stays cut this long.
    pub link_lost_for: Duration,
    /// It reboots about this often.
    pub reboots_every: Option<Duration>,
    /// A transaction goes on after a reboot; otherwise it is stopped with reason `PowerLoss`.
    pub resumes: bool,
    /// Its clock runs ahead of the true calendar by this much (it is set by every answer that
    /// carries a time, then errs again).
    pub clock_error: Duration,
}

/// What a charger can do with charging profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmartCharging {
    /// All three purposes.
    Full,
    /// TxProfile is rejected; TxDefaultProfile and ChargePointMaxProfile work.
    NoTxProfile,
    /// Nothing: SetChargingProfile is answered with NotSupported.
    None,
}

/// How meters publish.
#[derive(Clone, Debug, PartialEq)]
pub struct MeterModel {
    /// At least this often while something changes.
    pub interval: Duration,
    /// When nothing has changed for the first span, only every second span.
    pub quiet: Option<(Duration, Duration)>,
    /// Also after a change of more than this many A (or its worth in W); none = only by interval.
    pub on_change_a: Option<f64>,
    /// But never more often than this.
    pub least_gap: Duration,
    /// From the measurement until the message leaves.
    pub delay: Duration,
    /// Gain error: 0.01 reads 1 % too much.
    pub gain_error: f64,
}

/// How frames travel between charger and central system.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkModel {
    /// The shortest way.
    pub least_delay: Duration,
    /// The longest way; order is kept, as in TCP.
    pub most_delay: Duration,
    /// Probability that a frame is lost with everything behind it: the link breaks.
    pub break_chance: f64,
}

/// Something that goes wrong, or is put right again.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A meter measures or publishes wrongly (or well again).
    Meter { meter: MeterId, mode: MeterMode },
    /// The broker stops (or starts).
    Broker { up: bool },
    /// A charge point's socket is closed and not opened again for a while.
    CutLink { charge_point: ChargePointId, lasts: Duration },
    /// A charge point hears and says nothing for a while, though its socket stays open.
    Isolate { charge_point: ChargePointId, lasts: Duration },
    /// A charge point loses power for a while: no car there charges, and it boots afterwards.
    Reboot { charge_point: ChargePointId, off: Duration },
    /// A charge point behaves like this from here on.
    Behave { charge_point: ChargePointId, behaviour: Behaviour },
    /// The car at an EVSE is unplugged.
    Unplug { evse: EvseIndex },
    /// A car is plugged in at an EVSE that is free.
    Plug { visit: Visit },
    /// All meters, links, chargers and the broker work well again.
    Heal,
}

/// What a meter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeterMode {
    /// It tells the truth.
    Works,
    /// It publishes nothing.
    Silent,
    /// It publishes its last value for ever.
    Frozen,
    /// It takes import for export.
    WrongSign,
}

impl CarModel {
    /// A car that draws `max_a` on `phases` until it has `need_wh`, at once and without taper.
    pub const fn plain(phases: usize, max_a: f64, need_wh: f64) -> Self {
        Self { phases, max_a, need_wh, taper_wh: 0.0, start_delay: Duration::ZERO }
    }
}

impl Behaviour {
    /// Whether limits are kept.
    pub fn obeys(&self) -> bool {
        !self.ignores_limits && self.smart_charging != SmartCharging::None
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            smart_charging: SmartCharging::Full,
            ignores_limits: false,
            answer_delay: Duration::ZERO,
            deaf: false,
            reaction: Duration::ZERO,
            tells_changes_after: None,
            link_lost_every: None,
            link_lost_for: Duration::minutes(5),
            reboots_every: None,
            resumes: true,
            clock_error: Duration::ZERO,
        }
    }
}

impl Default for MeterModel {
    fn default() -> Self {
        Self {
            interval: Duration::seconds(5),
            quiet: None,
            on_change_a: Some(0.05),
            least_gap: Duration::seconds(1),
            delay: Duration::millis(200),
            gain_error: 0.0,
        }
    }
}

impl Default for NetworkModel {
    fn default() -> Self {
        Self {
            least_delay: Duration::millis(5),
            most_delay: Duration::millis(50),
            break_chance: 0.0,
        }
    }
}
