//! The control between an adversary and naive chargers. Every action is followed by a decision, and
//! every decision by the checks.

use std::collections::VecDeque;
use std::sync::Arc;

use ampgate::control::Control;
use ampgate::control::situation::{EvseFacts, OtherLoad, Setpoint};
use ampgate::ground::ids::{MeterId, Ticket};
use ampgate::ground::time::{Duration, Instant};
use ampgate::ground::units::{Amps, PerPhase};
use ampgate::model::message::{Lapse, LimitScope, Outcome};
use ampgate::model::record::LeaseRecord;
use proptest::prelude::*;

use super::naive::{self, Charger};
use super::site::Yard;

/// What the adversary does with the oldest frame of a charger.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Accepted,
    AppliedUnheard,
    Lost,
    Refused,
    NotSent,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    Pass(i64),
    Begin(usize, usize),
    End(usize),
    Frame(usize, Fate),
    LinkDown(usize, bool),
    LinkUp(usize, bool),
    Reading(usize, i64),
    Load(usize, [i64; 3]),
    Silent(usize),
    Restart(bool),
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    ticket: Ticket,
    limit: Amps,
    sent: Instant,
}

pub struct World {
    pub yard: Yard,
    pub now: Instant,
    pub control: Control,
    pub chargers: Vec<Charger>,
    pub online: Vec<bool>,
    /// The car that the control knows of.
    pub known: Vec<Option<u64>>,
    pub loads: Vec<OtherLoad>,
    pub served: Vec<Instant>,
    flight: Vec<VecDeque<Frame>>,
    told: Vec<Option<Amps>>,
    refused: Vec<Option<Instant>>,
}

impl World {
    pub fn new(yard: &Yard) -> Self {
        let evses = &yard.diagram.evses;
        let quiet = OtherLoad { current: PerPhase::ZERO, silent: None };
        let charger = |(index, evse)| Charger::new(evse, yard.traits[index]);
        Self {
            now: Instant::START,
            control: Control::new(
                Arc::new(yard.diagram.clone()),
                yard.policy.clone(),
                &[],
                Instant::START,
            ),
            chargers: evses.iter().enumerate().map(charger).collect(),
            online: vec![false; evses.len()],
            known: vec![None; evses.len()],
            loads: vec![quiet; yard.diagram.nodes.len()],
            served: vec![Instant::START; evses.len()],
            flight: vec![VecDeque::new(); evses.len()],
            told: vec![None; evses.len()],
            refused: vec![None; evses.len()],
            yard: yard.clone(),
        }
    }

    fn count(&self) -> usize {
        self.chargers.len()
    }

    pub fn act(&mut self, action: Action) -> Result<(), TestCaseError> {
        let of = |index: usize| index % self.count();
        match action {
            Action::Pass(seconds) => self.now = self.now + Duration::seconds(seconds),
            Action::Begin(evse, phases) => self.begin(of(evse), phases),
            Action::End(evse) => self.end(of(evse)),
            Action::Frame(evse, fate) => self.frame(of(evse), fate),
            Action::LinkDown(evse, arrive) => self.link_down(of(evse), arrive),
            Action::LinkUp(evse, safe) => self.link_up(of(evse), safe),
            Action::Reading(evse, percent) => self.reading(of(evse), percent),
            Action::Load(node, percent) => {
                let node = node % self.loads.len();
                let worst = self.yard.diagram.nodes[node].worst_load;
                let mut current = worst;
                for (at, percent) in current.0.iter_mut().zip(percent) {
                    *at = Amps::milli(at.as_milli() * percent / 100);
                }
                self.loads[node] = OtherLoad { current, silent: None };
            }
            Action::Silent(node) => {
                let node = node % self.loads.len();
                let current = self.yard.diagram.nodes[node].worst_load;
                let silent = Some((MeterId::new("m"), Some(self.now)));
                self.loads[node] = OtherLoad { current, silent };
            }
            Action::Restart(arrive) => self.restart(arrive),
        }
        self.decide()
    }

    fn begin(&mut self, evse: usize, phases: usize) {
        if self.chargers[evse].car.is_none() {
            self.chargers[evse].begin(phases);
            if self.online[evse] {
                self.tell_begin(evse);
            }
        }
    }

    fn tell_begin(&mut self, evse: usize) {
        self.control.session_began(evse, self.now);
        self.known[evse] = Some(self.chargers[evse].visit);
        // What outlives a transaction need not be told again.
        self.told[evse] = self.told[evse].filter(|_| self.chargers[evse].traits.keeps_limits);
        self.refused[evse] = None;
        self.served[evse] = self.now;
    }

    fn end(&mut self, evse: usize) {
        self.chargers[evse].end();
        if self.online[evse] {
            self.control.session_ended(evse);
            self.known[evse] = None;
        }
    }

    fn frame(&mut self, evse: usize, fate: Fate) {
        let Some(frame) = self.flight[evse].pop_front() else { return };
        let charger = &mut self.chargers[evse];
        let scope = if charger.traits.keeps_limits {
            LimitScope::Connector
        } else {
            LimitScope::Transaction
        };
        if matches!(fate, Fate::Accepted | Fate::AppliedUnheard) {
            charger.apply(frame.limit, frame.sent, self.yard.policy.ttl);
        }
        let lapse =
            if charger.traits.falls_late.is_some() { Lapse::Armed } else { Lapse::Unproven };
        let outcome = match fate {
            Fate::Accepted => Outcome::Accepted { lapse },
            Fate::AppliedUnheard | Fate::Lost => Outcome::NoAnswer,
            Fate::Refused => Outcome::Refused { why: "no".to_owned() },
            Fate::NotSent => Outcome::NotSent,
        };
        if matches!(fate, Fate::Refused) {
            self.refused[evse] = Some(self.now + Duration::minutes(10));
        }
        if matches!(fate, Fate::Accepted) {
            self.refused[evse] = None;
        }
        self.control.answered(evse, frame.ticket, scope, &outcome, self.now);
        if matches!(fate, Fate::NotSent | Fate::Refused) {
            let newer = self.flight[evse].back().map(|frame| frame.limit);
            self.told[evse] = newer.or(self.control.limit(evse));
        }
    }

    fn link_down(&mut self, evse: usize, arrive: bool) {
        if !std::mem::replace(&mut self.online[evse], false) {
            return;
        }
        let fate = if arrive { Fate::AppliedUnheard } else { Fate::Lost };
        while !self.flight[evse].is_empty() {
            self.frame(evse, fate);
        }
        self.control.link_down(evse, self.now);
    }

    /// The charger tells what happened to it meanwhile.
    fn link_up(&mut self, evse: usize, safe: bool) {
        if self.online[evse] {
            return;
        }
        self.online[evse] = true;
        self.control.link_up(evse);
        if safe || self.chargers[evse].has_safe_share {
            self.chargers[evse].has_safe_share = true;
            self.control.safe_share(evse, true);
        }
        let car = self.chargers[evse].car.map(|_| self.chargers[evse].visit);
        let known = self.known[evse];
        if car == known && car.is_some() {
            return;
        }
        if known.is_some() || car.is_none() {
            self.control.session_ended(evse);
            self.known[evse] = None;
        }
        if car.is_some() {
            self.tell_begin(evse);
        }
    }

    fn reading(&mut self, evse: usize, percent: i64) {
        if self.online[evse] {
            let most = self.chargers[evse].most(self.now);
            let has_car = self.chargers[evse].car.is_some();
            let percent = if has_car { percent } else { 0 };
            let drawn = most.map(|most| Amps::milli(most.as_milli() * percent / 100));
            self.control.measured(evse, drawn, self.now);
        }
    }

    fn restart(&mut self, arrive: bool) {
        let records = self.records();
        let fate = if arrive { Fate::AppliedUnheard } else { Fate::Lost };
        for evse in 0..self.count() {
            while !self.flight[evse].is_empty() {
                self.frame(evse, fate);
            }
            (self.online[evse], self.known[evse]) = (false, None);
            (self.told[evse], self.refused[evse]) = (None, None);
        }
        self.control = self.restarted(&records);
    }

    fn records(&self) -> Vec<LeaseRecord> {
        (0..self.count()).map(|evse| self.control.lease_record(evse)).collect()
    }

    fn restarted(&self, records: &[LeaseRecord]) -> Control {
        let diagram = Arc::new(self.yard.diagram.clone());
        Control::new(diagram, self.yard.policy.clone(), records, self.now)
    }

    fn facts(&self) -> Vec<EvseFacts> {
        let fact = |evse: usize| EvseFacts {
            online: self.online[evse],
            charging_since: self.known[evse].map(|_| Instant::START),
            paused_by_car: false,
            bounds: Vec::new(),
        };
        (0..self.count()).map(fact).collect()
    }

    pub fn other(&self) -> Vec<PerPhase<Amps>> {
        self.loads.iter().map(|load| load.current).collect()
    }

    fn worsts(&self, control: &Control) -> Vec<PerPhase<Amps>> {
        (0..self.count()).map(|evse| control.worst(evse, self.now)).collect()
    }

    /// One decision with all checks.
    pub fn decide(&mut self) -> Result<(), TestCaseError> {
        let before = self.worsts(&self.control);
        self.check_ledger(&before, "before")?;
        let setpoints = self.control.decide(self.now, &self.loads.clone(), &self.facts());
        for setpoint in &setpoints {
            self.check_setpoint(setpoint)?;
            let frame = Frame { ticket: setpoint.ticket, limit: setpoint.limit, sent: self.now };
            self.flight[setpoint.evse].push_back(frame);
            self.told[setpoint.evse] = Some(setpoint.limit);
        }
        let after = self.worsts(&self.control);
        self.check_ledger(&after, "after")?;
        self.check_guard(&before, &after)?;
        self.check_lowering(&after)?;
        let again = self.restarted(&self.records());
        self.check_ledger(&self.worsts(&again), "restarted")?;
        for evse in 0..self.count() {
            if self.known[evse].is_none()
                || self.yard.diagram.evses[evse].minimum <= self.chargers[evse].limit(self.now)
            {
                self.served[evse] = self.now;
            }
        }
        Ok(())
    }

    /// The ledger counts with no less than what each charger could do now or when a frame that is
    /// under way reaches it.
    fn check_ledger(&self, worst: &[PerPhase<Amps>], when: &str) -> Result<(), TestCaseError> {
        for (evse, charger) in self.chargers.iter().enumerate() {
            let mut most = charger.most(self.now);
            for frame in &self.flight[evse] {
                let mut told = charger.clone();
                told.apply(frame.limit, frame.sent, self.yard.policy.ttl);
                most = most.worst(told.most(self.now));
            }
            prop_assert!(
                most.worst(worst[evse]) == worst[evse],
                "{when}: E{evse} may draw {most:?}, the ledger says {:?} at {:?}",
                worst[evse],
                self.now
            );
        }
        Ok(())
    }

    fn check_setpoint(&self, setpoint: &Setpoint) -> Result<(), TestCaseError> {
        let evse = &self.yard.diagram.evses[setpoint.evse];
        let limit = setpoint.limit;
        prop_assert!(limit == Amps::ZERO || evse.minimum <= limit, "{setpoint:?}");
        prop_assert!(limit <= evse.rated && limit.floor_deci() == limit, "{setpoint:?}");
        prop_assert!(self.online[setpoint.evse], "{setpoint:?}");
        Ok(())
    }

    /// No decision makes the worst case of a limit worse than it may be.
    fn check_guard(
        &self,
        before: &[PerPhase<Amps>],
        after: &[PerPhase<Amps>],
    ) -> Result<(), TestCaseError> {
        let loads = self.other();
        let diagram = &self.yard.diagram;
        let wired = naive::wired(diagram);
        let before = naive::slacks(diagram, &loads, before, &wired);
        for ((name, before), (_, after)) in
            before.into_iter().zip(naive::slacks(diagram, &loads, after, &wired))
        {
            prop_assert!(
                before.min(0) <= after,
                "{name}: {before} before the decision, {after} after it"
            );
        }
        Ok(())
    }

    /// Those that can be told, each with what it was told last.
    fn obedient(&self) -> Vec<(usize, Amps)> {
        let told = |evse: usize| {
            let refused = self.refused[evse].is_some_and(|until| self.now < until);
            let can = self.online[evse] && self.known[evse].is_some() && !refused;
            Some((evse, self.told[evse].filter(|_| can)?))
        };
        (0..self.count()).filter_map(told).collect()
    }

    /// Where what was told last does not fit, everybody there was told nothing at all.
    fn check_lowering(&self, worst: &[PerPhase<Amps>]) -> Result<(), TestCaseError> {
        let diagram = &self.yard.diagram;
        let wired = naive::wired(diagram);
        let mut counted = worst.to_vec();
        for (evse, told) in self.obedient() {
            let counts = |at: Amps| if at > Amps::ZERO { told } else { Amps::ZERO };
            counted[evse] = worst[evse].map(counts);
        }
        let loads = self.other();
        let slacks = naive::slacks(diagram, &loads, &counted, &wired);
        for (evse, told) in self.obedient() {
            let mut without = counted.clone();
            without[evse] = PerPhase::ZERO;
            let relieved = naive::slacks(diagram, &loads, &without, &wired);
            for ((name, slack), (_, relief)) in slacks.iter().zip(relieved) {
                prop_assert!(
                    0 <= *slack || relief <= *slack,
                    "{name} lacks {slack}, but E{evse} was left at {told:?}: {counted:?}"
                );
            }
        }
        Ok(())
    }

    /// All faults heal: links are up, frames are answered, cars take all they get, for `minutes`.
    pub fn heal(&mut self, minutes: i64) -> Result<(), TestCaseError> {
        for evse in 0..self.count() {
            self.link_up(evse, true);
            self.chargers[evse].has_safe_share = true;
            self.control.safe_share(evse, true);
        }
        // A visit lets go what nobody knows of limits that were sent before a restart.
        let empty: Vec<usize> = (0..self.count()).filter(|at| self.known[*at].is_none()).collect();
        empty.iter().for_each(|evse| self.begin(*evse, 3));
        self.pass_calmly()?;
        empty.iter().for_each(|evse| self.end(*evse));
        for _ in 0..minutes * 12 {
            self.pass_calmly()?;
        }
        Ok(())
    }

    fn pass_calmly(&mut self) -> Result<(), TestCaseError> {
        {
            self.act(Action::Pass(5))?;
            for evse in 0..self.count() {
                while !self.flight[evse].is_empty() {
                    self.frame(evse, Fate::Accepted);
                }
                self.reading(evse, 100);
            }
        }
        Ok(())
    }
}
