//! Makes plans: when one is due, at once an instant one, and a better one beside the loop.

use crate::ground::ids::EvseIndex;
use crate::ground::time::{Duration, Instant, Now, Utc};
use crate::ground::units::PerPhase;
use crate::model::event::EventKind;
use crate::model::policy::Planner;
use crate::plan;
use crate::plan::problem::Problem;
use crate::plan::solution::{CarPlan, Plan, Reason};

use super::message::{Outbox, Output};
use super::planning::{Active, Asked, Posed, step_at};
use super::state::State;

/// A plan is made anew at least this often, at the quarter hours of the clock.
const EVERY: Duration = Duration::minutes(15);
/// Plans in an hour that something other than the clock may ask for; with the four of the clock
/// there are twelve at most.
const EVENTFUL_MAX: usize = 8;
/// A solver that has not answered by then is not waited for any more.
const GIVEN_UP: Duration = Duration::minutes(2);
/// Sun and building may differ from what the plan counts on by this, in W …
const OFF_W: f64 = 1000.0;
/// … or by this share of it, before a new plan is made …
const OFF_SHARE: f64 = 0.1;
/// … when they have done so for so long.
const OFF_FOR: Duration = Duration::seconds(45);
/// The site's power is taken down no more often than this.
const OBSERVE_EVERY: Duration = Duration::seconds(15);

impl State {
    /// Makes a plan if one is due, and has a better one made beside the loop.
    pub fn plan_if_due(&mut self, now: Now, out: &mut Outbox) {
        let Some(policy) = self.site.plan.clone() else { return };
        self.observe(now, out);
        let is_late = |asked: &Asked| GIVEN_UP <= now.mono.since(asked.at);
        if let Some(late) = self.planning.asked.take_if(|asked| is_late(asked)) {
            self.do_without(now, late.posed, "the solver has not answered", out);
        }
        let is_due = self.planning.due.is_some_and(|due| due <= now.mono);
        let is_off = self.is_plan_off(now);
        if !is_due && !is_off && !self.planning.changed && self.planning.due.is_some() {
            return;
        }
        self.planning.off_since = None;
        let Some(posed) = self.pose(now, &policy) else {
            self.planning.active = None;
            self.planning.asked = None;
            self.planning.changed = false;
            self.planning.due = now.utc.map(|utc| now.mono + until_quarter(utc));
            return;
        };
        self.planning.due = now.utc.map(|utc| now.mono + until_quarter(utc));
        self.planning.changed = false;
        let asks = policy.planner == Planner::Program && self.may_ask(now, !is_due);
        if !asks || !self.plan_knows(&posed) {
            let instant = match policy.planner {
                Planner::Program => plan::instant::plan(&posed.problem),
                Planner::Rule => plan::rule::plan(&posed.problem),
            };
            self.take_instant(&posed, instant, policy.planner);
        }
        if !asks {
            return;
        }
        self.planning.number += 1;
        let number = self.planning.number;
        let problem = Box::new(posed.problem.clone());
        self.planning.asked = Some(Asked { number, at: now.mono, posed });
        self.totals.plans += 1;
        out.push(Output::Solve { number, problem });
    }

    /// Whether the solver may be asked: what the clock has no part in has its turns in an hour.
    fn may_ask(&mut self, now: Now, by_event: bool) -> bool {
        let eventful = &mut self.planning.eventful;
        eventful.retain(|at| now.mono.since(*at) < Duration::hours(1));
        let may = !by_event || eventful.len() < EVENTFUL_MAX;
        if by_event && may {
            eventful.push_back(now.mono);
        }
        may
    }

    /// Whether the plan in force is for these very cars, so that it can stay until the solver has
    /// answered.
    fn plan_knows(&self, posed: &Posed) -> bool {
        let Some(active) = &self.planning.active else { return false };
        let lasts = active.plan.grid.last() > posed.problem.grid.first();
        lasts && there(&active.problem, &active.evses).eq(there(&posed.problem, &posed.evses))
    }

    /// Whether sun and building have differed for a while from what the plan in force counts on in
    /// this step.
    fn is_plan_off(&mut self, now: Now) -> bool {
        let expected = now.utc.zip(self.planning.active.as_ref()).and_then(|(utc, active)| {
            let step = step_at(&active.plan.grid, utc)?;
            let series = &active.problem.series;
            Some((series.pv_kw[step].mid - series.load_kw[step].mid) * 1000.0)
        });
        let Some((expected, power)) = expected.zip(self.site_power(now)) else { return false };
        if (power.surplus() - expected).abs() <= OFF_W.max(expected.abs() * OFF_SHARE) {
            self.planning.off_since = None;
            return false;
        }
        let since = *self.planning.off_since.get_or_insert(now.mono);
        OFF_FOR <= now.mono.since(since)
    }

    /// Takes down what the site draws.
    fn observe(&mut self, now: Now, out: &mut Outbox) {
        let soon = |at: Instant| now.mono.since(at) < OBSERVE_EVERY;
        if self.planning.observed.is_some_and(soon) {
            return;
        }
        self.planning.observed = Some(now.mono);
        if let (Some(utc), Some(power)) = (now.utc, self.site_power(now)) {
            self.planning.outlook.observe(utc, &power);
        }
        self.keep_learned(now, out);
        self.watch_feeds(now, out);
        self.observe_phases(now);
    }

    /// How the cars' power is spread over the phases, over some days of charging.
    fn observe_phases(&mut self, now: Now) {
        /// What is new counts this much in each minute of full charging.
        const NEW: f64 = 5e-4;
        let max_age = self.reading_max_age();
        let fresh = |evse: &super::evse::EvseState| evse.fresh(now.mono, max_age);
        let drawn = self
            .evses
            .iter()
            .filter_map(fresh)
            .fold(PerPhase::ZERO, |sum, reading| sum + reading.current);
        let drawn = drawn.0.map(|current| current.as_f64().max(0.0));
        let all: f64 = drawn.iter().sum();
        if 1.0 <= all {
            for (share, drawn) in self.planning.shares.iter_mut().zip(drawn) {
                *share += NEW * (drawn / all - *share);
            }
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
            return self.do_without(now, asked.posed, "the solver has failed", out);
        };
        if let Some(fault) = plan::audit::faults(&asked.posed.problem, &plan).first() {
            let why = format!("its plan was refused by the audit: {fault}");
            return self.do_without(now, asked.posed, &why, out);
        }
        self.put_in_force(asked.posed, plan);
        self.mark(now.mono);
    }

    /// The solver gave nothing that can be followed: an instant plan is.
    fn do_without(&mut self, now: Now, posed: Posed, why: &str, out: &mut Outbox) {
        let text = format!("{why}; an instant plan is followed");
        self.event_seldom(now, EventKind::PlanFailed, "plan", text, out);
        let instant = plan::instant::plan(&posed.problem);
        self.put_in_force(posed, instant);
        self.mark(now.mono);
    }
}

/// The cars of a problem that stand at an EVSE or have reserved one.
fn there<'a>(
    problem: &'a Problem,
    evses: &'a [Option<EvseIndex>],
) -> impl Iterator<Item = (EvseIndex, Option<u64>)> + 'a {
    let cars = evses.iter().zip(&problem.cars);
    cars.filter_map(|(evse, car)| evse.map(|evse| (evse, car.session)))
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
