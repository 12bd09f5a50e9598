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
use super::wish::Wish;

/// By how much the peak may rise, as shares of what all cars together could take; the likeliest
/// first.
const RAISES: [f64; 4] = [0.15, 0.35, 0.07, 0.03];
/// So many currents may be tried for it: a site of 60 EVSEs tries all, one of 300 one.
const TRIES_MAX: usize = 6000;

/// The instant plan of a problem.
pub fn plan(problem: &Problem) -> Plan {
    let (method, current_a) = currents(problem, &Figures::new(problem));
    finish::plan(problem, method, &current_a, String::new())
}

/// Current in A by car and step, and how it was found.
pub fn currents(problem: &Problem, figures: &Figures) -> (Method, Vec<Vec<f64>>) {
    let eur = |current_a: &[Vec<f64>]| cost::terms(problem, current_a).total_eur;
    let full = |wish: &Wish| wish.kw_per_a * wish.cap_a.iter().copied().fold(0.0, f64::max);
    let most_kw: f64 = figures.wishes.iter().map(full).sum();
    let mut greedy = greedy::currents(figures);
    let mut greedy_eur = eur(&greedy);
    let mut raise_kw = 0.0;
    for share in RAISES.into_iter().take(tries(figures)) {
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

/// How many heights of the peak are worth a try: none where it has no price.
fn tries(figures: &Figures) -> usize {
    if figures.peak_eur_per_kw <= 0.0 {
        return 0;
    }
    let caps = figures.wishes.iter().flat_map(|wish| &wish.cap_a);
    TRIES_MAX / caps.filter(|cap| 0.0 < **cap).count().max(1)
}
