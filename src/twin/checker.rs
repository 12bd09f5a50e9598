//! Looks at the truth after every step and keeps count of what must never happen.
//!
//! It believes neither the controller nor the charger's words: it reads true currents, the profiles
//! that chargers really hold, and the frames themselves. It shares no arithmetic with `control`.

use std::collections::BTreeMap;

use crate::ground::ids::ChargePointId;
use crate::ground::time::{Duration, Instant};
use crate::ground::units::PerPhase;
use crate::model::diagram::Diagram;
use crate::model::record::Record;
use crate::model::site::Site;

use super::electric::{Ratings, TOLERANCE_A};
use super::plant::{EvseState, PlantState};

/// A limit may lie this far below its minimum by rounding to 0.1 A.
const LIMIT_TOLERANCE_A: f64 = 0.05;
/// Registers are told in whole Wh, at both ends.
const ENERGY_TOLERANCE_WH: f64 = 2.0;
/// So long after a step of load that is not ours, or a fault, an overload counts as reaction.
const REACTION: Duration = Duration::seconds(10);
/// A frame that waits for the disk leaves later than its timeout begins.
const CALL_TOLERANCE: Duration = Duration::seconds(1);
/// So long after the box has started, chargers are still about to connect.
const RETURN: Duration = Duration::seconds(30);
/// Violations kept with their words; all are counted.
const VIOLATIONS_MAX: usize = 100;

/// What was found so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Checker {
    diagram: Diagram,
    ratings: Ratings,
    call_timeout: Duration,
    /// A node carried more than its rating and it was ours to prevent.
    pub overload: Duration,
    /// The same within 10 s after a step of other load or a fault, and while the box is away or
    /// has just started: chargers hold their last leases then, whatever the building does.
    pub reaction: Duration,
    /// A node carried more than its rating from other load alone.
    pub foreign: Duration,
    /// The cars could have drawn more than a rating within the limits their chargers held.
    pub overcommitted: Duration,
    /// When the box has last started; none while it is away.
    pub attended_since: Option<Instant>,
    /// How many rules were broken.
    pub violated: u64,
    /// The first of them, in words with their time.
    pub violations: Vec<String>,
    calls: BTreeMap<ChargePointId, (String, Instant)>,
    told_energies: BTreeMap<i64, Option<f64>>,
    told: BTreeMap<String, Instant>,
}

impl Checker {
    /// Of this site.
    pub fn new(site: &Site) -> Self {
        let mut checker = Self {
            diagram: site.diagram.clone(),
            ratings: Ratings::new(&site.diagram),
            call_timeout: site.charging.call_timeout,
            overload: Duration::ZERO,
            reaction: Duration::ZERO,
            foreign: Duration::ZERO,
            overcommitted: Duration::ZERO,
            attended_since: Some(Instant::START),
            violated: 0,
            violations: Vec::new(),
            calls: BTreeMap::new(),
            told_energies: BTreeMap::new(),
            told: BTreeMap::new(),
        };
        checker.safe_shares_fit();
        checker
    }

    /// Nothing was found that is ours: no overload and no broken rule.
    pub fn is_clean(&self) -> bool {
        self.overload == Duration::ZERO && self.violated == 0
    }

    fn violation(&mut self, now: Instant, text: String) {
        self.violated += 1;
        if self.violations.len() < VIOLATIONS_MAX {
            let at = now.as_millis() as f64 / 1000.0;
            self.violations.push(format!("{at:.3} s: {text}"));
        }
    }

    /// The same, once for a subject until an hour has passed.
    fn standing(&mut self, now: Instant, subject: &str, text: String) {
        let again = Duration::hours(1);
        if self.told.get(subject).is_none_or(|at| *at + again <= now) {
            self.told.insert(subject.to_owned(), now);
            self.violation(now, text);
        }
    }

    /// Safe shares and worst-case loads fit under every rating; the configuration's promise.
    fn safe_shares_fit(&mut self) {
        let diagram = self.diagram.clone();
        for (index, node) in diagram.nodes.iter().enumerate() {
            let Some(rating) = node.rating else { continue };
            let mut sum = node.worst_load.map(|load| load.as_f64());
            for evse in diagram.evses.iter().filter(|evse| diagram.is_under(evse.node, index)) {
                for phase in &evse.wiring {
                    sum[*phase] += evse.safe.as_f64();
                }
            }
            for (phase, load) in sum.iter() {
                if rating[phase].as_f64() + TOLERANCE_A < load {
                    let text =
                        format!("safe shares add up to {load:.1} A at {}, {phase}", node.name);
                    self.violation(Instant::START, text);
                }
            }
        }
    }

    /// The state was like this from `from` to `to`.
    pub fn span(&mut self, from: Instant, to: Instant, state: &PlantState) {
        let span = to.since(from);
        if span <= Duration::ZERO {
            return;
        }
        self.imbalance(from, state);
        if self.ratings.are_over(&state.flow.all) {
            if self.ratings.are_over(&state.flow.other) {
                self.foreign += span;
            } else {
                let until = match self.attended_since {
                    Some(start) => {
                        let cause = state.fault_at.unwrap_or(start).max(state.stepped_at);
                        (cause + REACTION).max(start + RETURN)
                    }
                    None => to,
                };
                let reaction = until.since(from).as_millis().min(span.as_millis());
                self.reaction += Duration::millis(reaction);
                self.overload += span - Duration::millis(reaction);
                if reaction < span.as_millis() {
                    let words = self.worst(&state.flow.all);
                    self.standing(from, "overload", words);
                }
            }
        }
        let possible = self.possible(state);
        if self.ratings.are_over(&possible) && !self.ratings.are_over(&state.flow.other) {
            self.overcommitted += span;
        }
    }

    /// Looks at what every charger holds.
    pub fn limits(&mut self, now: Instant, evses: &[EvseState]) {
        for (index, state) in evses.iter().enumerate() {
            let (minimum, safe) = {
                let evse = &self.diagram.evses[index];
                (evse.minimum.as_f64(), evse.safe.as_f64())
            };
            let runs = state.car.is_some() && state.transaction.is_some();
            if runs && 0.0 < state.limit && state.limit + LIMIT_TOLERANCE_A < minimum {
                let name = self.diagram.evses[index].id.clone();
                let text = format!("{name} is offered {:.1} A, below its minimum", state.limit);
                self.standing(now, &format!("minimum {name}"), text);
            }
            if state.default_limit.is_some_and(|limit| safe + LIMIT_TOLERANCE_A < limit) {
                let name = self.diagram.evses[index].id.clone();
                let text = format!("{name} holds a default above its safe share of {safe:.1} A");
                self.standing(now, &format!("safe {name}"), text);
            }
        }
    }

    /// Currents if every car took all that its charger's profiles allow; what disobeys counts with
    /// what it draws.
    fn possible(&self, state: &PlantState) -> Vec<PerPhase<f64>> {
        let mut nodes = state.flow.other.clone();
        for (evse, truth) in self.diagram.evses.iter().zip(&state.evses) {
            let Some(car) = truth.car else { continue };
            let allowed = if truth.obeys && truth.transaction.is_some() {
                truth.limit.min(car.max_a)
            } else {
                truth.current.0.into_iter().fold(0.0, f64::max)
            };
            for node in self.diagram.path(evse.node) {
                for phase in evse.wiring.iter().take(car.phases) {
                    nodes[node][*phase] += allowed;
                }
            }
        }
        nodes
    }

    /// Charging may not load one phase much above another where the connection forbids it.
    fn imbalance(&mut self, now: Instant, state: &PlantState) {
        for index in 0..self.diagram.nodes.len() {
            let Some(most) = self.diagram.nodes[index].imbalance else { continue };
            let charging =
                state.flow.all[index].zip(state.flow.other[index], |all, other| all - other);
            let largest = charging.0.into_iter().fold(f64::MIN, f64::max);
            let least = charging.0.into_iter().fold(f64::MAX, f64::min);
            if most.as_f64() + TOLERANCE_A < largest - least {
                let name = self.diagram.nodes[index].name.clone();
                let text = format!("charging is unbalanced by {:.1} A at {name}", largest - least);
                self.standing(now, &format!("imbalance {name}"), text);
            }
        }
    }

    fn worst(&self, currents: &[PerPhase<f64>]) -> String {
        let mut worst = (f64::MIN, String::new());
        for (node, current) in self.diagram.nodes.iter().zip(currents) {
            let Some(rating) = node.rating else { continue };
            for (phase, load) in current.iter() {
                let over = load - rating[phase].as_f64();
                if worst.0 < over {
                    worst = (over, format!("{}, {phase} carries {load:.1} A", node.name));
                }
            }
        }
        worst.1
    }

    /// The central system sends a frame.
    pub fn sent(&mut self, charge_point: &ChargePointId, text: &str, now: Instant) {
        let Some(id) = call_id(text) else { return };
        let before = self.calls.insert(charge_point.clone(), (id.to_owned(), now));
        if let Some((open, since)) = before
            && now + CALL_TOLERANCE < since + self.call_timeout
        {
            self.violation(now, format!("{charge_point} is called while {open} has no answer"));
        }
    }

    /// A frame has arrived at the central system.
    pub fn arrived(&mut self, charge_point: &ChargePointId, text: &str) {
        if !text.starts_with("[2") {
            self.calls.remove(charge_point);
        }
    }

    /// A link is gone: what was asked on it is answered no more.
    pub fn link_gone(&mut self, charge_point: &ChargePointId) {
        self.calls.remove(charge_point);
    }

    /// A transaction id was given twice.
    pub fn given_twice(&mut self, transaction: i64, now: Instant) {
        self.violation(now, format!("transaction {transaction} was given to two transactions"));
    }

    /// What the controller keeps for ever: the energy that it says a transaction had.
    pub fn record(&mut self, record: &Record) {
        if let Record::Transaction(transaction) = record
            && let (Some(stop), Some(energy)) = (&transaction.stop, transaction.energy())
        {
            let told = (!stop.lost).then(|| energy.as_f64());
            self.told_energies.insert(transaction.id.0, told);
        }
    }

    /// The central system has taken the stop of a transaction that truly had this energy. A
    /// transaction that was never given an id (−1) has no record of its own.
    pub fn closed(&mut self, transaction: i64, truth_wh: f64, now: Instant) {
        if transaction < 0 {
            return;
        }
        match self.told_energies.remove(&transaction) {
            Some(Some(told)) if ENERGY_TOLERANCE_WH < (told - truth_wh).abs() => {
                let text = format!(
                    "transaction {transaction} has {told:.0} Wh in the records, {truth_wh:.0} Wh \
                     flowed"
                );
                self.violation(now, text);
            }
            Some(_) => {}
            None => {
                let text = format!("the stop of transaction {transaction} was taken, not recorded");
                self.violation(now, text);
            }
        }
    }
}

/// The message id of a CALL; none where the frame is something else.
fn call_id(text: &str) -> Option<&str> {
    if text.starts_with("[2") { text.split('"').nth(1) } else { None }
}
