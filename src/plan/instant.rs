//! The plan that is always there, in a few milliseconds: the cheaper of greedy and flow.
//!
//! Where the peak has a price, some heights of it are tried: neither method weighs a peak itself.

use super::audit;
use super::cost;
use super::figures::Figures;
use super::finish;
use super::flow;
use super::greedy;
use super::problem::Problem;
use super::solution::{Method, Plan};

/// By how much the peak may rise, as shares of what all cars together could take.
const RAISES: [f64; 5] = [0.0, 0.03, 0.07, 0.15, 0.35];

/// The instant plan of a problem.
pub fn plan(problem: &Problem) -> Plan {
    let (method, current_a) = currents(problem, &Figures::new(problem));
    finish::plan(problem, method, &current_a, String::new())
}

/// Current in A by car and step, and how it was found.
pub fn currents(problem: &Problem, figures: &Figures) -> (Method, Vec<Vec<f64>>) {
    let eur = |current_a: &[Vec<f64>]| cost::terms(problem, current_a).total_eur;
    let most_kw = figures
        .wishes
        .iter()
        .map(|wish| wish.kw_per_a * wish.cap_a.iter().copied().fold(0.0, f64::max));
    let most_kw: f64 = most_kw.sum();
    let mut greedy = greedy::currents(figures);
    let mut greedy_eur = eur(&greedy);
    let mut raise_kw = 0.0;
    let tries = if 0.0 < figures.peak_eur_per_kw { &RAISES[1..] } else { &[] };
    for share in tries {
        let found = greedy::completed(figures, figures.nothing(), share * most_kw);
        let found_eur = eur(&found);
        if found_eur < greedy_eur {
            (greedy, greedy_eur, raise_kw) = (found, found_eur, share * most_kw);
        }
    }
    let flow = flow::improved(figures, greedy.clone(), raise_kw);
    if eur(&flow) < greedy_eur && audit::schedule(problem, &flow).is_empty() {
        (Method::Flow, flow)
    } else {
        (Method::Greedy, greedy)
    }
}
