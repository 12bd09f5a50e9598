//! stub
use super::problem::Problem;
use super::solution::Plan;
/// stub
pub fn plan(problem: &Problem) -> Plan {
    super::rule::plan(problem)
}
