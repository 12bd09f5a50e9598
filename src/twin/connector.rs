//! One connector of a simulated charger: its car, its transaction, its energy register.
//!
//! ```text
//! Free ─ plug ─▶ Plugged ─ token ─▶ Authorizing ─ accepted ─▶ Running ─ stop ─▶ Over
//!   ▲                                    └────── refused ──────────────────────▶ │
//!   └──────────────────────────── unplug, from anywhere ─────────────────────────┘
//! ```

use crate::ground::ids::EvseIndex;
use crate::ground::time::{Duration, Instant};
use crate::model::message::EvseStatus;

use super::car::{Car, LEAST_A};
use super::profile::Running;
use super::wire::Sample;

/// Where a connector stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// No car.
    Free,
    /// A car; the driver presents the token at this time.
    Plugged(Instant),
    /// The central system was asked about the token.
    Authorizing,
    /// A transaction runs.
    Running(Run),
    /// The car stands there without a transaction, in this state.
    Over(EvseStatus),
}

/// A transaction as its charger knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The charger's own number for it.
    pub number: u64,
    /// Its start by the charger's clock.
    pub started: i64,
    /// Register at the start, in Wh.
    pub start_wh: f64,
    /// When the next periodic values are due; none where the interval is 0.
    pub sample_at: Option<Instant>,
}

/// One connector.
#[derive(Clone, Debug, PartialEq)]
pub struct Connector {
    /// Connector number, 1 or more.
    pub number: u32,
    /// The EVSE it is.
    pub evse: EvseIndex,
    /// How many phases it is wired to.
    pub phases: usize,
    /// The most it offers, in A.
    pub rated: f64,
    /// Energy register in Wh.
    pub register_wh: f64,
    /// What it offers the car on each phase, in A.
    pub offered: f64,
    /// What the car draws on each of its phases, in A.
    pub drawn: f64,
    /// The car and what its driver presents.
    pub car: Option<(Car, String)>,
    /// Where it stands.
    pub stage: Stage,
    /// The state it last told.
    pub told: Option<EvseStatus>,
    /// When a changed limit takes effect.
    offer_at: Option<Instant>,
    /// When the car changes its draw by itself.
    pub change_at: Option<Instant>,
    /// When a profile changes its limit by itself.
    pub edge_at: Option<Instant>,
}

impl Connector {
    /// A free one.
    pub fn new(number: u32, evse: EvseIndex, phases: usize, rated: f64) -> Self {
        Self {
            number,
            evse,
            phases,
            rated,
            register_wh: 0.0,
            offered: 0.0,
            drawn: 0.0,
            car: None,
            stage: Stage::Free,
            told: None,
            offer_at: None,
            change_at: None,
            edge_at: None,
        }
    }

    /// On how many phases its car would charge here.
    pub fn car_phases(&self) -> usize {
        self.car.as_ref().map_or(0, |(car, _)| car.model().phases.min(self.phases))
    }

    /// The transaction that runs.
    pub const fn run(&self) -> Option<&Run> {
        match &self.stage {
            Stage::Running(run) => Some(run),
            Stage::Free | Stage::Plugged(_) | Stage::Authorizing | Stage::Over(_) => None,
        }
    }

    /// The same for the profiles, with the id that the central system gave it.
    pub fn running(&self, id: impl FnOnce(u64) -> Option<i64>) -> Option<Running> {
        self.run().map(|run| Running { id: id(run.number), started: run.started })
    }

    /// Its state in the word of OCPP 1.6 §7.7.
    pub fn status(&self) -> EvseStatus {
        match &self.stage {
            Stage::Free => EvseStatus::Available,
            Stage::Plugged(_) | Stage::Authorizing => EvseStatus::Preparing,
            Stage::Over(status) => *status,
            Stage::Running(_) if self.offered < LEAST_A => EvseStatus::SuspendedEvse,
            Stage::Running(_) if self.drawn <= 0.0 => EvseStatus::SuspendedEv,
            Stage::Running(_) => EvseStatus::Charging,
        }
    }

    /// Lets the energy of a span flow.
    pub fn advance(&mut self, hours: f64, voltage: f64) {
        if 0.0 < self.drawn {
            let energy = self.drawn * self.car_phases() as f64 * voltage * hours;
            self.register_wh += energy;
            if let Some((car, _)) = &mut self.car {
                car.got_wh += energy;
            }
        }
    }

    /// Follows a limit, after `reaction` where a transaction runs already.
    pub fn settle(&mut self, limit: f64, reaction: Duration, voltage: f64, now: Instant) {
        let target = match self.stage {
            Stage::Running(_) if LEAST_A <= limit => limit.min(self.rated),
            _ => 0.0,
        };
        if target == self.offered {
            self.offer_at = None;
        } else if reaction == Duration::ZERO
            || self.run().is_none()
            || self.offer_at.is_some_and(|due| due <= now)
        {
            self.offered = target;
            self.offer_at = None;
        } else if self.offer_at.is_none() {
            self.offer_at = Some(now + reaction);
        }
        let phases = self.car_phases() as f64;
        self.drawn = 0.0;
        self.change_at = None;
        if let Some((car, _)) = &mut self.car {
            car.offer(self.offered, now);
            self.drawn = car.draw(self.offered, now);
            self.change_at = car.changes_at(self.drawn * phases * voltage, now);
        }
    }

    /// The charger has lost power: nothing is offered.
    pub fn dark(&mut self, now: Instant) {
        self.offered = 0.0;
        self.drawn = 0.0;
        self.offer_at = None;
        self.change_at = None;
        self.edge_at = None;
        if let Some((car, _)) = &mut self.car {
            car.offer(0.0, now);
        }
    }

    /// What it measures.
    pub fn sample(&self, voltage: f64) -> Sample {
        let used = self.car_phases();
        let on = |phase: usize| if phase < used { self.drawn } else { 0.0 };
        Sample {
            current: std::array::from_fn(on),
            phases: self.phases,
            voltage,
            offered: self.offered,
            energy_wh: self.register(),
        }
    }

    /// The register in whole Wh.
    pub fn register(&self) -> i64 {
        self.register_wh.round() as i64
    }

    /// When it next does something by itself.
    pub fn wake_at(&self) -> Option<Instant> {
        let stage = match &self.stage {
            Stage::Plugged(token_at) => Some(*token_at),
            Stage::Running(run) => run.sample_at,
            Stage::Free | Stage::Authorizing | Stage::Over(_) => None,
        };
        [stage, self.offer_at, self.change_at, self.edge_at].into_iter().flatten().min()
    }
}
