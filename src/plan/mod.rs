//! Floor 3: what to offer over the coming day. Pure; knows no protocol, no clock and no socket.
//!
//! Reading order: [`problem`] (everything a plan depends on, as a value; [`check`] tells what
//! makes no sense) → [`figures`] ([`wish`], [`rows`], [`tariff`]: the same in plain numbers) →
//! [`instant`] (always there: the cheaper of [`greedy`] and [`flow`] over [`maxflow`]) →
//! [`program`] solved by [`lp`] with [`round`] (better) → [`cost`] and [`audit`] (own arithmetic:
//! which is cheaper, which is safe) → [`finish`] ([`reason`], [`words`]) → [`solution`] (the plan,
//! as a value).
//!
//! [`best`] is what everybody calls. Nothing here can fail: a problem without sense gets a plan in
//! which nobody charges, and a solver that fails costs nothing but the better plan.

pub mod audit;
pub mod check;
pub mod cost;
pub mod figures;
pub mod finish;
pub mod flow;
pub mod greedy;
pub mod instant;
pub mod lp;
pub mod maxflow;
pub mod problem;
pub mod program;
pub mod reason;
pub mod round;
pub mod rows;
pub mod rule;
pub mod solution;
pub mod tariff;
pub mod wish;
pub mod words;

use figures::Figures;
use lp::Minimum;
use problem::Problem;
use solution::{Method, Plan};

/// The cheapest plan that the audit passes.
pub fn best(problem: &Problem) -> Plan {
    let figures = Figures::new(problem);
    let mut notes = Vec::new();
    let mut found = (Method::Greedy, figures.nothing());
    let mut cost = f64::INFINITY;
    let mut consider = |method: Method, currents: Vec<Vec<f64>>, notes: &mut Vec<String>| {
        if let Some(fault) = audit::schedule(problem, &currents).first() {
            notes.push(format!("a plan was refused ({method:?}): {fault}"));
            return;
        }
        let total = cost::terms(problem, &currents).total_eur;
        if total < cost {
            cost = total;
            found = (method, currents);
        }
    };
    match lp::currents(&figures, Minimum::Rounded) {
        Ok(currents) => consider(Method::Program, currents, &mut notes),
        Err(error) => notes.push(error.to_string()),
    }
    let (method, currents) = instant::currents(problem, &figures);
    consider(method, currents, &mut notes);
    let (method, currents) = found;
    finish::plan(problem, method, &currents, notes.join("; "))
}

#[cfg(test)]
pub mod sample;
#[cfg(test)]
mod tests;
