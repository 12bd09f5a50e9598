//! The plan that is always there, in a few milliseconds: the cheaper of greedy and flow.

use super::audit;
use super::cost;
use super::figures::Figures;
use super::finish;
use super::flow;
use super::greedy;
use super::problem::Problem;
use super::solution::{Method, Plan};

/// The instant plan of a problem.
pub fn plan(problem: &Problem) -> Plan {
    let (method, current_a) = currents(problem, &Figures::new(problem));
    finish::plan(problem, method, &current_a, String::new())
}

/// Current in A by car and step, and how it was found.
pub fn currents(problem: &Problem, figures: &Figures) -> (Method, Vec<Vec<f64>>) {
    let greedy = greedy::currents(figures);
    let flow = flow::currents(figures);
    let eur = |current_a: &[Vec<f64>]| cost::terms(problem, current_a).total_eur;
    if eur(&flow) < eur(&greedy) && audit::schedule(problem, &flow).is_empty() {
        (Method::Flow, flow)
    } else {
        (Method::Greedy, greedy)
    }
}
