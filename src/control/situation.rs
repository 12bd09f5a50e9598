//! What a decision is made from and what comes out of it: plain values.

use crate::ground::ids::{EvseIndex, MeterId, Ticket};
use crate::ground::time::Instant;
use crate::ground::units::{Amps, PerPhase};
use crate::model::bound::{Bound, Cause};

/// Load at a node that is not ours, as it must be counted, with where the figure comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct OtherLoad {
    /// By grid phase; never negative unless measured generation may count as room.
    pub current: PerPhase<Amps>,
    /// The silent meter whose worst-case load is in the figure, and when it was last heard.
    pub silent: Option<(MeterId, Option<Instant>)>,
}

/// What is known of one EVSE when a decision is made.
#[derive(Clone, Debug, PartialEq)]
pub struct EvseFacts {
    /// Its charge point can be spoken to.
    pub online: bool,
    /// A transaction runs since then; none without one.
    pub charging_since: Option<Instant>,
    /// The car itself has paused (SuspendedEV) or is full.
    pub paused_by_car: bool,
    /// Limits from outside (operator, partner, plan), each with its cause.
    pub bounds: Vec<Bound>,
}

/// A setpoint that is to be sent now.
#[derive(Clone, Debug, PartialEq)]
pub struct Setpoint {
    /// For whom.
    pub evse: EvseIndex,
    /// Pairs it with what becomes of it.
    pub ticket: Ticket,
    /// The limit, a multiple of 0.1 A: zero or at least the EVSE's minimum.
    pub limit: Amps,
    /// It is lower than what the charger may believe: it goes first and waits for no disk.
    pub lowers: bool,
    /// The limit is unchanged; only its lease is renewed.
    pub refresh: bool,
    /// Why not more.
    pub cause: Cause,
}

/// A constraint that cannot hold what may be drawn in the worst case.
#[derive(Clone, Debug, PartialEq)]
pub struct Overload {
    /// Name of the constraint.
    pub name: String,
    /// By how much, in A for currents and in W for power.
    pub excess: f64,
    /// `A` or `W`.
    pub unit: &'static str,
}

impl Overload {
    /// One line for people.
    pub fn words(&self) -> String {
        format!(
            "what may be drawn in the worst case is {:.1} {} above the limit",
            self.excess, self.unit
        )
    }
}
