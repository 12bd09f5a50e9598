//! Floor 3: what to offer over the coming day. Pure; knows no protocol, no clock and no socket.
//!
//! [`problem`] (everything a plan depends on, as a value) → [`solution`] (the plan, as a value).

pub mod audit;
pub mod instant;
pub mod problem;
pub mod rule;
pub mod solution;
/// stub
pub fn best(problem: &problem::Problem) -> solution::Plan {
    instant::plan(problem)
}
