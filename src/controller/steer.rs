//! Follows the plan in force: what it means for each EVSE at this moment, and how people see it.

use crate::control::dispatch::{Intent, Market};
use crate::ground::ids::{EvseIndex, SessionId};
use crate::ground::time::{Duration, Now, Utc};
use crate::ground::units::Amps;
use crate::model::bound::{Bound, Cause};
use crate::plan::problem::Car;
use crate::plan::solution::{CarPlan, Reason};

use super::plan_view::PlanView;
use super::planning::{Active, Asked, step_at};
use super::state::State;

/// Meters and chargers agree after this long at the latest.
const SETTLE_MAX: Duration = Duration::seconds(45);
/// What finding out is worth, in EUR per kWh: more than any price.
const WORTH_MAX: f64 = 1e6;
/// The plan in force is followed as it was while a better one is made, for so long.
const HELD: Duration = Duration::seconds(5);

/// Import that does not raise the peak, or that the plan has chosen although it does, in W.
fn ceiling_w(active: &Active, step: usize) -> Option<f64> {
    let want = &active.problem.objective;
    let planned = active.plan.import_kw.get(step).copied().unwrap_or(0.0);
    let ceiling_kw = planned.max(want.peak_so_far_kw);
    (0.0 < want.peak_eur_per_kw).then_some(ceiling_kw * 1000.0)
}

impl State {
    /// How long meters and chargers need to agree on a change.
    pub fn settle_time(&self) -> Duration {
        (self.site.charging.sample_interval * 3 / 2).min(SETTLE_MAX).max(Duration::seconds(15))
    }

    /// The plan in force for people.
    pub fn plan_view(&self) -> Option<PlanView> {
        let active = self.planning.active.as_ref()?;
        let known = [self.planning.outlook.words(), self.planning.habits.words()];
        let known: Vec<String> = known.into_iter().filter(|words| !words.is_empty()).collect();
        Some(PlanView::new(&active.problem, &active.plan, known.join("; ")))
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
            ceiling_w: ceiling_w(active, step),
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
        car: &Car,
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
            loss: plan.loss_eur_per_kwh,
            cause: self.cause(&plan.reasons[step], grid),
        };
        let session = self.evses[evse].live.and_then(|live| self.book.session(live.session));
        let known = session.and_then(|session| self.planning.habits.vehicle(&session.token));
        let is_known = known.is_some_and(|vehicle| {
            vehicle.takes_of(wired.rated.as_f64()).is_some()
                && vehicle.loads_of(wired.wiring.len()).is_some()
        });
        if is_known || self.evses[evse].is_probed(now.mono) {
            return intent;
        }
        // What the car can take is not known yet: a short look tells how late is too late.
        Intent {
            planned: wired.rated,
            full: wired.rated,
            worth: WORTH_MAX,
            loss: WORTH_MAX,
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
