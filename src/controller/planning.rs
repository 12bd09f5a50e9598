//! When a plan is made, which one is in force, and what it means for this moment.
//!
//! ```text
//! car comes, goes, says; quarter hour over ─▶ pose ─▶ instant plan ─▶ in force at once
//!                                              └─▶ Output::Solve … Input::Solved ─▶ audit ─▶ in force
//! every decision: intents of the step ─▶ dispatch ─▶ bounds of the EVSEs
//! ```
//! Invariants: the solver is never waited for; a plan is only a source of upper bounds; without a
//! clock, or without a plan, cars share what the breakers allow.

use std::collections::VecDeque;

use crate::control::dispatch::{Dispatch, Intent, Market};
use crate::ground::ids::{EvseIndex, SessionId};
use crate::ground::time::{Duration, Instant, Now, Utc};
use crate::ground::units::Amps;
use crate::model::bound::{Bound, Cause};
use crate::model::event::EventKind;
use crate::model::policy::{PlanPolicy, Planner};
use crate::model::session::Session;
use crate::model::site::Site;
use crate::plan;
use crate::plan::problem::{Need, Problem};
use crate::plan::solution::{CarPlan, Plan, Reason};

use super::message::{Outbox, Output};
use super::outlook::Outlook;
use super::plan_view::PlanView;
use super::problem::Posed;
use super::state::State;

/// A plan is made anew at least this often, at the quarter hours of the clock.
const EVERY: Duration = Duration::minutes(15);
/// Plans in an hour that something other than the clock may ask for; with the four of the clock
/// there are twelve at most.
const EVENTFUL_MAX: usize = 8;
/// A solver that has not answered by then is not waited for any more.
const GIVEN_UP: Duration = Duration::minutes(2);
/// Meters and chargers agree after this long at the latest.
const SETTLE_MAX: Duration = Duration::seconds(45);
/// A car should have what it needs so long before its driver comes: chargers and cars take their
/// time.
const IN_HAND: Duration = Duration::minutes(10);
/// What finding out is worth, in EUR per kWh: more than any price.
const WORTH_MAX: f64 = 1e6;
/// The plan in force is followed as it was while a better one is made, for so long.
const HELD: Duration = Duration::seconds(5);
/// The site's power is taken down no more often than this.
const OBSERVE_EVERY: Duration = Duration::seconds(15);

/// The plan in force and everything around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Planning {
    /// What the coming day looks like.
    pub outlook: Outlook,
    dispatch: Dispatch,
    active: Option<Active>,
    asked: Option<Asked>,
    /// Number of the last problem that was posed, and of the last change of the plan in force.
    number: u64,
    /// When the next plan is due.
    due: Option<Instant>,
    /// Something has changed that the plan should know.
    changed: bool,
    /// When plans were made that something other than the clock had asked for.
    eventful: VecDeque<Instant>,
    observed: Option<Instant>,
    /// What was last intended, by EVSE, with the session it was for.
    intended: Vec<Option<(SessionId, Intent)>>,
    market: Option<Market>,
}

/// The plan in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Active {
    /// What it was made for.
    pub problem: Problem,
    /// The plan.
    pub plan: Plan,
    /// The EVSE of each of its cars.
    pub evses: Vec<Option<EvseIndex>>,
    number: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Asked {
    number: u64,
    at: Instant,
    posed: Posed,
}

impl Planning {
    /// Nothing is planned yet.
    pub fn new(site: &Site) -> Self {
        Self {
            outlook: Outlook::new(site),
            dispatch: Dispatch::new(site.diagram.evses.len()),
            active: None,
            asked: None,
            number: 0,
            due: None,
            changed: false,
            eventful: VecDeque::new(),
            observed: None,
            intended: vec![None; site.diagram.evses.len()],
            market: None,
        }
    }

    /// A car came, went or said something, or a limit or forecast is another.
    pub const fn changed(&mut self) {
        self.changed = true;
    }

    /// When a decision is due for the plan's sake.
    pub fn wake_at(&self, settle: Duration) -> Option<Instant> {
        [self.due, self.dispatch.wake_at(settle)].into_iter().flatten().min()
    }
}

impl State {
    /// How long meters and chargers need to agree on a change.
    pub fn settle_time(&self) -> Duration {
        (self.site.charging.sample_interval * 3 / 2).min(SETTLE_MAX).max(Duration::seconds(15))
    }

    /// Makes a plan if one is due, and has a better one made beside the loop.
    pub fn plan_if_due(&mut self, now: Now, out: &mut Outbox) {
        let Some(policy) = self.site.plan.clone() else { return };
        self.observe(now);
        let is_late = |asked: &Asked| GIVEN_UP <= now.mono.since(asked.at);
        if self.planning.asked.as_ref().is_some_and(is_late) {
            self.planning.asked = None;
            let text = "the solver has not answered; the plan in force stays".to_owned();
            self.event_seldom(now, EventKind::PlanFailed, "plan", text, out);
        }
        let is_due = self.planning.due.is_some_and(|due| due <= now.mono);
        if !is_due && !self.planning.changed && self.planning.due.is_some() {
            return;
        }
        let Some(posed) = self.pose(now, &policy) else {
            self.planning.active = None;
            self.planning.asked = None;
            self.planning.changed = false;
            self.planning.due = now.utc.map(|utc| now.mono + until_quarter(utc));
            return;
        };
        self.planning.due = now.utc.map(|utc| now.mono + until_quarter(utc));
        let by_event = !is_due;
        self.planning.eventful.retain(|at| now.mono.since(*at) < Duration::hours(1));
        self.planning.changed = false;
        let instant = match policy.planner {
            Planner::Program => plan::instant::plan(&posed.problem),
            Planner::Rule => plan::rule::plan(&posed.problem),
        };
        self.take_instant(&posed, instant, policy.planner);
        if policy.planner == Planner::Rule {
            return;
        }
        if by_event {
            if EVENTFUL_MAX <= self.planning.eventful.len() {
                return;
            }
            self.planning.eventful.push_back(now.mono);
        }
        self.planning.number += 1;
        let number = self.planning.number;
        let problem = Box::new(posed.problem.clone());
        self.planning.asked = Some(Asked { number, at: now.mono, posed });
        self.totals.plans += 1;
        out.push(Output::Solve { number, problem });
    }

    /// Takes down what the site draws.
    fn observe(&mut self, now: Now) {
        let soon = |at: Instant| now.mono.since(at) < OBSERVE_EVERY;
        if self.planning.observed.is_some_and(soon) {
            return;
        }
        self.planning.observed = Some(now.mono);
        if let (Some(utc), Some(power)) = (now.utc, self.site_power(now)) {
            self.planning.outlook.observe(utc, &power);
        }
    }

    /// The instant plan counts until a better one comes. Cars that the plan in force knows keep
    /// theirs, so that nobody is switched twice for one arrival.
    fn take_instant(&mut self, posed: &Posed, mut instant: Plan, planner: Planner) {
        if let (Planner::Program, Some(active)) = (planner, &self.planning.active)
            && let Some(now) = posed.problem.grid.first()
            && active.problem.grid.last().is_some_and(|end| now < end)
        {
            for (car, plan) in posed.problem.cars.iter().zip(&mut instant.cars) {
                let known = active
                    .plan
                    .cars
                    .iter()
                    .find(|known| known.session == car.session && known.evse == car.evse);
                if let Some(known) = known {
                    *plan = resampled(known, &active.plan.grid, &posed.problem.grid);
                }
            }
        }
        self.put_in_force(posed.clone(), instant);
    }

    fn put_in_force(&mut self, posed: Posed, plan: Plan) {
        self.planning.number += 1;
        let number = self.planning.number;
        let Posed { problem, evses } = posed;
        self.planning.active = Some(Active { problem, plan, evses, number });
    }

    /// What came of a problem that was given to the solver.
    pub fn solved(&mut self, now: Now, number: u64, plan: Option<Plan>, out: &mut Outbox) {
        let Some(asked) = self.planning.asked.take_if(|asked| asked.number == number) else {
            return;
        };
        let Some(plan) = plan else {
            let text = "the solver has failed; the instant plan stays".to_owned();
            return self.event_seldom(now, EventKind::PlanFailed, "plan", text, out);
        };
        let faults = plan::audit::faults(&asked.posed.problem, &plan);
        if let Some(fault) = faults.first() {
            let text = format!("refused by the audit: {fault}; the instant plan stays");
            return self.event_seldom(now, EventKind::PlanFailed, "plan", text, out);
        }
        self.put_in_force(asked.posed, plan);
        self.mark(now.mono);
    }

    /// What a driver needs and when the car leaves at the latest.
    pub fn needs(&self, utc: Utc, session: &Session, policy: &PlanPolicy) -> (Vec<Need>, Utc) {
        let said = self.preference(session.id);
        let energy = said.and_then(|said| said.energy());
        let energy = energy.map_or(20.0, |energy| energy.as_f64() / 1000.0);
        let departure = said.and_then(|said| said.departure);
        let by = departure.unwrap_or(session.started + Duration::hours(8));
        let by = (by - IN_HAND).max(utc + EVERY);
        let kwh = energy - session.energy_wh.as_f64() / 1000.0;
        let need = Need {
            by,
            kwh: kwh.max(0.0),
            eur_per_kwh: policy.missing_eur_per_kwh,
            cause: "the driver".to_owned(),
        };
        (vec![need], by + IN_HAND)
    }

    /// The plan in force for people.
    pub fn plan_view(&self) -> Option<PlanView> {
        let active = self.planning.active.as_ref()?;
        Some(PlanView::new(&active.problem, &active.plan, self.planning.outlook.words()))
    }

    /// The bound of each EVSE by the plan in force.
    pub fn steer(&mut self, now: Now) -> Vec<Option<Bound>> {
        let none = || vec![None; self.evses.len()];
        let (Some(utc), Some(active)) = (now.utc, &self.planning.active) else {
            return none();
        };
        let Some(step) = step_at(&active.plan.grid, utc) else { return none() };
        let is_held = |asked: &Asked| now.mono.since(asked.at) < HELD;
        let is_held = self.planning.asked.as_ref().is_some_and(is_held);
        let power = self.site_power(now);
        let series = &active.problem.series;
        let (sun, load) = (series.pv_kw[step], series.load_kw[step]);
        let mut market = Market {
            number: active.number * 1000 + step as u64,
            surplus_w: power.map(|power| power.surplus()),
            expected_w: (sun.mid - load.mid) * 1000.0,
            import: active.problem.import_price(step),
            export: active.problem.export_price(step),
            settle: self.settle_time(),
        };
        let mut intents: Vec<Option<Intent>> = vec![None; self.evses.len()];
        for (index, evse) in active.evses.iter().enumerate() {
            let Some(evse) = *evse else { continue };
            let (car, plan) = (&active.problem.cars[index], &active.plan.cars[index]);
            let live = self.evses[evse].live.map(|live| live.session);
            if live == car.session.map(SessionId) {
                intents[evse] = Some(self.intent(now, evse, car, plan, step, &active.plan.grid));
            }
        }

        if let (true, Some(before)) = (is_held, &self.planning.market) {
            // A better plan is a moment away: nobody is switched twice for it.
            market = Market { surplus_w: market.surplus_w, ..before.clone() };
            for (evse, intent) in intents.iter_mut().enumerate() {
                let live = self.evses[evse].live.map(|live| live.session);
                let known = self.planning.intended[evse].as_ref();
                if let Some((_, known)) = known.filter(|(session, _)| Some(*session) == live) {
                    *intent = Some(known.clone());
                }
            }
        }
        self.planning.intended = (intents.iter().enumerate())
            .map(|(evse, intent)| {
                Some((self.evses[evse].live.map(|live| live.session)?, intent.clone()?))
            })
            .collect();
        self.planning.market = Some(market.clone());
        self.planning.dispatch.bounds(now.mono, &intents, &market)
    }

    fn intent(
        &self,
        now: Now,
        evse: EvseIndex,
        car: &plan::problem::Car,
        plan: &CarPlan,
        step: usize,
        grid: &[Utc],
    ) -> Intent {
        let wired = &self.site.diagram.evses[evse];
        let phases = car.phases.iter().filter(|phase| **phase).count().max(1);
        let planned = Amps::from_f64(plan.current_a[step] + 0.04).floor_deci();
        let full = Amps::from_f64(car.max_a);
        let minimum = wired.minimum;
        let planned = if planned < minimum { Amps::ZERO } else { planned.min(full) };
        let intent = Intent {
            planned,
            full,
            minimum,
            watts_per_amp: phases as f64 * self.site.diagram.voltage.as_f64(),
            worth: plan.worth_eur_per_kwh,
            cause: self.cause(&plan.reasons[step], grid),
        };
        if self.evses[evse].is_probed(now.mono) {
            return intent;
        }
        // What the car can take is not known yet: a short look tells how late is too late.
        Intent {
            planned: wired.rated,
            full: wired.rated,
            worth: WORTH_MAX,
            cause: Cause::Policy { words: "finding out what the car takes".to_owned() },
            ..intent
        }
    }

    fn cause(&self, reason: &Reason, grid: &[Utc]) -> Cause {
        let local = |until: &Utc| Some(self.local_time(*until, grid.first().copied()));
        match reason {
            Reason::Breaker { node, phase } => {
                Cause::Breaker { node: node.clone(), phase: *phase, sharing: 1 }
            }
            Reason::Most { cause } | Reason::Limit { cause } => {
                Cause::Policy { words: cause.clone() }
            }
            Reason::Sun { until } => Cause::WaitingForSun { until: local(until) },
            Reason::Price { until } => Cause::WaitingForPrice { until: local(until) },
            Reason::Peak => Cause::PeakOfImport,
            Reason::Enough | Reason::Away => Cause::EnoughInTime,
            Reason::Minimum => Cause::Policy {
                words: "bundled: it cannot charge with less than its minimum".to_owned(),
            },
        }
    }

    /// `11:40`, or with the weekday where it is not today.
    fn local_time(&self, time: Utc, today: Option<Utc>) -> String {
        let local = |time: Utc| {
            let stamp = jiff::Timestamp::from_millisecond(time.as_millis()).ok()?;
            stamp.in_tz(&self.site.zone).ok()
        };
        let Some(then) = local(time) else { return time.to_text() };
        let same_day = today.and_then(local).is_some_and(|today| today.date() == then.date());
        let text = then.strftime(if same_day { "%H:%M" } else { "%a %H:%M" });
        text.to_string()
    }
}

/// The step of a grid that holds this time.
fn step_at(grid: &[Utc], time: Utc) -> Option<usize> {
    let next = grid.partition_point(|start| *start <= time);
    let step = next.checked_sub(1)?;
    (step + 1 < grid.len()).then_some(step)
}

/// Up to the next quarter hour of the clock.
fn until_quarter(utc: Utc) -> Duration {
    let quarter = EVERY.as_millis();
    Duration::millis(quarter - utc.as_millis().rem_euclid(quarter))
}

/// A car's plan on another grid: what it was to get at the beginning of each step.
fn resampled(plan: &CarPlan, from: &[Utc], to: &[Utc]) -> CarPlan {
    let at = |values: &[f64], time: Utc| step_at(from, time).map_or(0.0, |step| values[step]);
    let starts = || to.iter().take(to.len().saturating_sub(1)).copied();
    CarPlan {
        current_a: starts().map(|time| at(&plan.current_a, time)).collect(),
        power_kw: starts().map(|time| at(&plan.power_kw, time)).collect(),
        reasons: starts()
            .map(|time| step_at(from, time).map_or(Reason::Away, |step| plan.reasons[step].clone()))
            .collect(),
        ..plan.clone()
    }
}
