//! Which phases a car uses, learned from what is measured.
//!
//! A charger with three phases may serve a car with one. Until that is certain all of them count.

use crate::ground::time::{Duration, Instant};
use crate::ground::units::{Amps, PerPhase, Phase, PhaseSet};

/// A car must charge on some of its phases for this long before the others are believed unused.
const SEEN_AFTER: Duration = Duration::seconds(60);

/// Above this a phase is certainly charging, below [`IDLE`] certainly not.
const BUSY: Amps = Amps::new(4);
const IDLE: Amps = Amps::new(1);

/// What was seen in the running session.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SeenPhases {
    candidate: Option<(PhaseSet, Instant)>,
    certain: Option<PhaseSet>,
    refuted: bool,
}

impl SeenPhases {
    /// The phases of the car, once they are certain.
    pub fn certain(&self) -> Option<PhaseSet> {
        self.certain
    }

    /// Takes a reading of a session in; `wired` are the phases of the charger.
    pub fn look(&mut self, wired: PhaseSet, current: PerPhase<Amps>, now: Instant) {
        if let Some(certain) = self.certain {
            let other = |phase: Phase| !certain.has(phase) && IDLE <= current[phase];
            if wired.iter().any(other) {
                (self.certain, self.refuted) = (None, true);
            }
            return;
        }
        let busy: Vec<Phase> = wired.iter().filter(|at| BUSY < current[*at]).collect();
        let busy = PhaseSet::of(&busy);
        let clear = wired.iter().all(|at| busy.has(at) || current[at] < IDLE);
        if self.refuted || !clear || busy == PhaseSet::NONE {
            self.candidate = None;
            return;
        }
        match self.candidate {
            Some((phases, since)) if phases == busy => {
                if SEEN_AFTER <= now.since(since) {
                    self.certain = Some(busy);
                }
            }
            _ => self.candidate = Some((busy, now)),
        }
    }
}
