//! Who solves planning problems in virtual time: the real solver, or one that a test brings.

use std::sync::Arc;

use crate::plan;
use crate::plan::problem::Problem;
use crate::plan::solution::Plan;

type Solve = dyn Fn(&Problem) -> Option<Plan> + Send + Sync;

/// A solver; `Clone` shares it.
#[derive(Clone)]
pub struct Solver(Arc<Solve>);

impl Solver {
    /// One that works like this; none stands for a failure.
    pub fn new(solve: impl Fn(&Problem) -> Option<Plan> + Send + Sync + 'static) -> Self {
        Self(Arc::new(solve))
    }

    /// The plan, or none where it fails.
    pub fn solve(&self, problem: &Problem) -> Option<Plan> {
        (self.0)(problem)
    }
}

impl Default for Solver {
    /// The production's.
    fn default() -> Self {
        Self::new(|problem| Some(plan::best(problem)))
    }
}

impl std::fmt::Debug for Solver {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Solver")
    }
}
