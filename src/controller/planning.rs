//! When a plan is made, which one is in force, and what it means for this moment.
//!
//! ```text
//! car comes, goes, says;
//! sun or building not as planned;
//! quarter hour over ─▶ pose ─▶ instant plan, if cars came or went ─▶ in force at once
//!                       └─▶ Output::Solve … Input::Solved ─▶ audit ─▶ in force
//! every decision: intents of the step ─▶ dispatch ─▶ bounds of the EVSEs
//! ```
//! Invariants: the solver is never waited for; a plan is only a source of upper bounds; without a
//! clock, or without a plan, cars share what the breakers allow.
//!
//! Here are the values; `problem` poses, `replan` makes plans, `steer` follows them.

use std::collections::VecDeque;

use crate::control::dispatch::{Dispatch, Intent, Market};
use crate::ground::calendar::Calendar;
use crate::ground::ids::{EvseIndex, SessionId};
use crate::ground::time::{Duration, Instant, Utc};
use crate::learn::habits::Habits;
use crate::learn::shortage::Shortage;
use crate::model::record::Remembered;
use crate::model::site::Site;
use crate::plan::problem::Problem;
use crate::plan::solution::Plan;

use super::outlook::Outlook;

/// The plan in force and everything around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Planning {
    /// What the coming day looks like.
    pub outlook: Outlook,
    /// What drivers usually do.
    pub habits: Habits,
    /// What drivers missed lately.
    pub shortage: Shortage,
    pub(super) dispatch: Dispatch,
    pub(super) active: Option<Active>,
    pub(super) asked: Option<Asked>,
    /// Number of the last problem that was posed, and of the last change of the plan in force.
    pub(super) number: u64,
    /// When the next plan is due.
    pub(super) due: Option<Instant>,
    /// Something has changed that the plan should know.
    pub(super) changed: bool,
    /// Since when sun and building differ from what the plan in force counts on.
    pub(super) off_since: Option<Instant>,
    /// When plans were made that something other than the clock had asked for.
    pub(super) eventful: VecDeque<Instant>,
    pub(super) observed: Option<Instant>,
    /// What was last intended, by EVSE, with the session it was for.
    pub(super) intended: Vec<Option<(SessionId, Intent)>>,
    pub(super) market: Option<Market>,
    /// When what was learned was last written down.
    pub(super) kept: Option<Instant>,
    /// What the store held of it that could not be read.
    pub(super) unread: Vec<String>,
    /// How the cars' power is spread over the phases, as it was seen so far.
    pub(super) shares: [f64; 3],
}

/// A problem, and which EVSE each of its cars stands at.
#[derive(Clone, Debug, PartialEq)]
pub struct Posed {
    /// The problem.
    pub problem: Problem,
    /// By car of the problem; none for cars that are only expected.
    pub evses: Vec<Option<EvseIndex>>,
}

/// The plan in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Active {
    /// What it was made for.
    pub problem: Problem,
    /// The plan.
    pub plan: Plan,
    /// The EVSE of each of its cars.
    pub evses: Vec<Option<EvseIndex>>,
    pub(super) number: u64,
}

/// A problem that was given to the solver.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Its number.
    pub number: u64,
    /// When it was given.
    pub at: Instant,
    /// The problem.
    pub posed: Posed,
}

impl Planning {
    /// Nothing is planned yet; what was learned is taken from the store.
    pub fn new(site: &Site, remembered: &Remembered) -> Self {
        let mut planning = Self {
            outlook: Outlook::new(site),
            habits: Habits::new(Calendar::new(&site.zone)),
            shortage: Shortage::default(),
            dispatch: Dispatch::new(site.diagram.evses.len()),
            active: None,
            asked: None,
            number: 0,
            due: None,
            changed: false,
            off_since: None,
            eventful: VecDeque::new(),
            observed: None,
            intended: vec![None; site.diagram.evses.len()],
            market: None,
            kept: None,
            unread: Vec::new(),
            shares: [1.0 / 3.0; 3],
        };
        planning.restore(site, &remembered.learned);
        planning
    }

    /// A car came, went or said something, or a limit or forecast is another.
    pub const fn changed(&mut self) {
        self.changed = true;
    }

    /// When a decision is due for the plan's sake.
    pub fn wake_at(&self, settle: Duration) -> Option<Instant> {
        [self.due, self.dispatch.wake_at(settle)].into_iter().flatten().min()
    }
}

/// The step of a grid that holds this time.
pub fn step_at(grid: &[Utc], time: Utc) -> Option<usize> {
    let next = grid.partition_point(|start| *start <= time);
    let step = next.checked_sub(1)?;
    (step + 1 < grid.len()).then_some(step)
}
