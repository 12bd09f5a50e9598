//! Floor 3: what to offer each EVSE now. Pure; knows no protocol and no plan.
//!
//! `ledger` (what each charger may believe) → `share` (what everybody should get) → `guard` (what may
//! be said now; only ever lowers) → `setpoint` (what is worth saying).

use crate::ground::ids::{EvseIndex, Ticket};
use crate::ground::time::Instant;
use crate::ground::units::{Amps, PerPhase};
use crate::model::bound::{Bound, Cause};
use crate::model::diagram::Diagram;
use crate::model::message::{Lapse, LimitScope, Outcome};
use crate::model::record::LeaseRecord;
use crate::model::site::LeasePolicy;

/// Load at a node that is not ours, as it must be counted, with where the figure comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct OtherLoad {
    /// By grid phase; never negative unless measured generation may count as room.
    pub current: PerPhase<Amps>,
    /// The silent meter whose worst-case load is in the figure, and when it was last heard.
    pub silent: Option<(crate::ground::ids::MeterId, Option<Instant>)>,
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
use std::sync::Arc;
#[derive(Clone, Debug, PartialEq)]
pub struct Control;
pub struct Overload {
    pub name: String,
}
impl Overload {
    pub fn words(&self) -> String {
        todo!()
    }
}
impl Control {
    pub fn new(_: Arc<Diagram>, _: LeasePolicy, _: &[LeaseRecord], _: Instant) -> Self {
        todo!()
    }
    pub fn link_up(&mut self, _: EvseIndex, _: Instant) {}
    pub fn link_down(&mut self, _: EvseIndex, _: Instant) {}
    pub fn safe_share(&mut self, _: EvseIndex, _: bool, _: Instant) {}
    pub fn answered(&mut self, _: EvseIndex, _: Ticket, _: LimitScope, _: &Outcome, _: Instant) {}
    pub fn verified(&mut self, _: EvseIndex, _: Lapse, _: Instant) {}
    pub fn measured(&mut self, _: EvseIndex, _: PerPhase<Amps>, _: Instant) {}
    pub fn session_began(&mut self, _: EvseIndex, _: Instant) {}
    pub fn session_ended(&mut self, _: EvseIndex, _: Instant) {}
    pub fn decide(&mut self, _: Instant, _: &[OtherLoad], _: &[EvseFacts]) -> Vec<Setpoint> {
        todo!()
    }
    pub fn wake_at(&self, _: Instant) -> Option<Instant> {
        todo!()
    }
    pub fn worst(&self, _: EvseIndex, _: Instant) -> PerPhase<Amps> {
        todo!()
    }
    pub fn limit(&self, _: EvseIndex) -> Option<Amps> {
        todo!()
    }
    pub fn cause(&self, _: EvseIndex) -> &Cause {
        todo!()
    }
    pub fn is_armed(&self, _: EvseIndex) -> bool {
        todo!()
    }
    pub fn disobeys(&self, _: EvseIndex) -> Option<Amps> {
        todo!()
    }
    pub fn lease_record(&self, _: EvseIndex) -> LeaseRecord {
        todo!()
    }
    pub fn overloads(&self, _: Instant, _: &[OtherLoad]) -> Vec<Overload> {
        todo!()
    }
}
