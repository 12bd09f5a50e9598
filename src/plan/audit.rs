//! stub
use super::problem::Problem;
use super::solution::Plan;
/// stub
pub fn faults(_: &Problem, _: &Plan) -> Vec<String> {
    Vec::new()
}
