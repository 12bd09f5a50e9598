//! Between two plans: what each car is offered, second by second. Follows what the plan intends,
//! not its numbers.
//!
//! The plan buys a certain power from the grid in this step and counts on a certain sun. What it
//! buys is bought; the sun is taken as it shines: more than was forecast goes at once to the cars
//! to which energy is worth most, less is not replaced from the grid unless what is missing
//! now costs the car more later. It only proposes upper bounds: shares and guard stand behind it.
//!
//! Calm: the sun is followed when it has changed by [`SUN_STEP`] for the time that meters need to
//! agree, and a car that was switched stays so for [`DWELL`].

use crate::ground::time::{Duration, Instant};
use crate::ground::units::Amps;
use crate::model::bound::{Bound, Cause};

/// A smaller change of the sun than this, in W, or than a twentieth of it, is not followed.
const SUN_STEP: f64 = 200.0;

/// A car that was switched on or off by the sun stays so for this long.
const DWELL: Duration = Duration::minutes(5);

/// Prices that differ by less than this, in EUR per kWh, are equal.
const PRICE_NOISE: f64 = 1e-6;

/// A car is kept at its minimum a little longer than it would be started for: no flapping at the
/// edge.
const KEEP: f64 = 1.15;

/// What the plan wants for one car in this step.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The plan's current.
    pub planned: Amps,
    /// The most it can take.
    pub full: Amps,
    /// The least it can charge with.
    pub minimum: Amps,
    /// Power over its phases for each ampere, in W.
    pub watts_per_amp: f64,
    /// What a kWh more now saves later, in EUR.
    pub worth: f64,
    /// What a kWh less now costs later, in EUR.
    pub loss: f64,
    /// Why the plan gives no more.
    pub cause: Cause,
}

/// The site at this moment, the cars apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Market {
    /// Tells plans and their steps apart; a change is followed at once.
    pub number: u64,
    /// Sun less building as measured, in W; none if it cannot be told.
    pub surplus_w: Option<f64>,
    /// The same as the plan expected it for this step, in W.
    pub expected_w: f64,
    /// Price of import, in EUR per kWh.
    pub import: f64,
    /// What export earns, in EUR per kWh.
    pub export: f64,
    /// Where the highest import of the billing period has a price: import of the site up to here
    /// does not raise it, or the plan has chosen to, in W.
    pub ceiling_w: Option<f64>,
    /// How long meter and chargers need to agree.
    pub settle: Duration,
}

/// What was decided last, car by car.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dispatch {
    cars: Vec<Option<Decided>>,
    number: Option<u64>,
    sun_w: Option<f64>,
    differs_since: Option<Instant>,
    switches: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Decided {
    target: Amps,
    planned: Amps,
    full: Amps,
    switched: Option<Instant>,
    cause: Cause,
}

impl Dispatch {
    /// Nothing was decided yet for this many EVSEs.
    pub fn new(evses: usize) -> Self {
        Self { cars: vec![None; evses], ..Self::default() }
    }

    /// How often a car was switched on or off between plans.
    pub const fn switches(&self) -> u64 {
        self.switches
    }

    /// When a change of the sun is to be followed although nothing else happens.
    pub fn wake_at(&self, settle: Duration) -> Option<Instant> {
        self.differs_since.map(|since| since + settle)
    }

    /// The bound of each EVSE by its intent; none where the plan says nothing or allows all.
    pub fn bounds(
        &mut self,
        now: Instant,
        intents: &[Option<Intent>],
        market: &Market,
    ) -> Vec<Option<Bound>> {
        let sun_moved = self.look_at_sun(now, market);
        let is_new = self.number != Some(market.number);
        let differs = |(decided, intent): (&Option<Decided>, &Option<Intent>)| {
            let told = decided.as_ref().map(|decided| (decided.planned, decided.full));
            told != intent.as_ref().map(|intent| (intent.planned, intent.full))
        };
        if sun_moved || is_new || self.cars.iter().zip(intents).any(differs) {
            self.number = Some(market.number);
            self.assign(now, intents, market);
        }
        self.cars.iter().map(|decided| decided.as_ref().and_then(Decided::bound)).collect()
    }

    /// Whether the sun has changed for long enough to be followed.
    fn look_at_sun(&mut self, now: Instant, market: &Market) -> bool {
        let Some(seen) = market.surplus_w else {
            return self.sun_w.take().is_some();
        };
        let Some(known) = self.sun_w else {
            self.sun_w = Some(seen);
            return true;
        };
        // Below nothing it is all the same, unless the building's load counts towards a peak.
        let least = if market.ceiling_w.is_some() { f64::NEG_INFINITY } else { 0.0 };
        let moved = (seen.max(least) - known.max(least)).abs();
        if moved < SUN_STEP.max(known.abs() / 20.0) {
            self.differs_since = None;
            return false;
        }
        let since = *self.differs_since.get_or_insert(now);
        if now.since(since) < market.settle {
            return false;
        }
        (self.sun_w, self.differs_since) = (Some(seen), None);
        true
    }

    fn assign(&mut self, now: Instant, intents: &[Option<Intent>], market: &Market) {
        let mut order: Vec<usize> =
            (0..intents.len()).filter(|at| intents[*at].is_some()).collect();
        let worth = |at: &usize| intents[*at].as_ref().map_or(0.0, |intent| intent.worth);
        order.sort_by(|one, other| worth(other).total_cmp(&worth(one)).then(one.cmp(other)));
        let cars: Vec<(usize, &Intent)> =
            order.iter().filter_map(|at| Some((*at, intents[*at].as_ref()?))).collect();
        let mut targets: Vec<Amps> = cars.iter().map(|(_, intent)| intent.planned).collect();
        let planned: f64 = cars.iter().map(|(_, intent)| intent.watts(intent.planned)).sum();
        let expected = market.expected_w.max(0.0);
        let bought = (planned - expected).max(0.0);
        let sun = self.sun_w.unwrap_or(market.expected_w).max(0.0);
        // What is bought for cars that could as well buy it later is what more sun replaces.
        let firm = |(_, intent): &&(usize, &Intent)| market.import + PRICE_NOISE < intent.worth;
        let firm: f64 =
            cars.iter().filter(firm).map(|(_, intent)| intent.watts(intent.planned)).sum();
        let spare = if expected < sun {
            (sun + bought.min(firm) - planned).max(0.0)
        } else {
            sun + bought - planned
        };
        if 0.0 < spare {
            self.use_more(&cars, &mut targets, spare, market);
        } else {
            self.use_less(&cars, &mut targets, -spare, market);
        }
        let before = targets.clone();
        let surplus = self.sun_w.unwrap_or(market.expected_w);
        if let Some(ceiling) = market.ceiling_w {
            keep_below(&cars, &mut targets, surplus + ceiling);
        }
        let mut decided: Vec<Option<Decided>> = vec![None; intents.len()];
        for (((at, intent), target), before) in cars.into_iter().zip(targets).zip(before) {
            let mut car = self.settle(now, at, intent, target);
            if car.target == target && target < before {
                car.cause = Cause::PeakOfImport;
            }
            decided[at] = Some(car);
        }
        self.cars = decided;
    }

    /// Gives `spare` W of sun to those to whom it is worth most.
    fn use_more(
        &self,
        cars: &[(usize, &Intent)],
        targets: &mut [Amps],
        mut spare: f64,
        market: &Market,
    ) {
        for ((at, intent), target) in cars.iter().zip(targets) {
            if intent.worth + PRICE_NOISE < market.export || spare <= 0.0 {
                break;
            }
            let before = *target;
            let least = intent.watts(intent.minimum - before).max(0.0);
            let takes = if spare < least {
                // Part of its minimum would come from the grid.
                let mixed = (least - spare) * market.import / least;
                let most = intent.worth * if self.is_on(*at) { KEEP } else { 1.0 };
                if most <= mixed {
                    continue;
                }
                least
            } else {
                intent.watts(intent.full - before).max(0.0).min(spare)
            };
            *target = intent.limit(before, takes);
            spare -= takes;
        }
    }

    /// Takes `lack` W from those who make up for it later for less than the price of the grid.
    fn use_less(
        &self,
        cars: &[(usize, &Intent)],
        targets: &mut [Amps],
        mut lack: f64,
        market: &Market,
    ) {
        let mut order: Vec<usize> = (0..cars.len()).rev().collect();
        order.sort_by(|one, other| cars[*one].1.loss.total_cmp(&cars[*other].1.loss));
        for ((at, intent), target) in order.into_iter().map(|car| (cars[car], car)) {
            let target = &mut targets[target];
            if market.import <= intent.loss + PRICE_NOISE || *target == Amps::ZERO {
                continue;
            }
            if lack <= 0.0 {
                return;
            }
            let least = intent.minimum.min(*target);
            let gives = intent.watts(*target - least).min(lack);
            *target = intent.limit(*target, -gives).max(least);
            lack -= gives;
            let takes = intent.watts(*target);
            let mixed = lack.min(takes) * market.import / takes.max(1.0);
            let most = intent.loss * if self.is_on(at) { KEEP } else { 1.0 };
            if 0.0 < lack && most <= mixed {
                *target = Amps::ZERO;
                lack -= takes;
            }
        }
    }

    fn is_on(&self, at: usize) -> bool {
        self.cars[at].as_ref().is_some_and(|decided| Amps::ZERO < decided.target)
    }

    fn settle(&mut self, now: Instant, at: usize, intent: &Intent, target: Amps) -> Decided {
        let before = self.cars[at].as_ref();
        let mut switched = before.and_then(|before| before.switched);
        let mut target = target;
        if let Some(before) = before
            && (before.target == Amps::ZERO) != (target == Amps::ZERO)
        {
            let by_plan = (before.planned == Amps::ZERO) != (intent.planned == Amps::ZERO);
            if !by_plan && switched.is_some_and(|switched| now.since(switched) < DWELL) {
                target = if target == Amps::ZERO { intent.minimum } else { Amps::ZERO };
            } else {
                switched = Some(now);
                self.switches += 1;
            }
        }
        let cause = if intent.planned < target {
            Cause::FollowsSun
        } else if target < intent.planned {
            Cause::WaitingForSun { until: None }
        } else {
            intent.cause.clone()
        };
        Decided { target, planned: intent.planned, full: intent.full, switched, cause }
    }
}

/// Lowers the cars to `most` W together, first those to which it matters least: all of them to
/// their minimum before one is switched off; what that frees goes to those to which it matters
/// most. A quarter hour above the peak is paid for a whole billing period, so that it is worth more
/// than what any car misses by it.
fn keep_below(cars: &[(usize, &Intent)], targets: &mut [Amps], most: f64) {
    let before = targets.to_vec();
    let watts = |(car, target): (&(usize, &Intent), &Amps)| car.1.watts(*target);
    let mut excess = cars.iter().zip(targets.iter()).map(watts).sum::<f64>() - most;
    let mut order: Vec<usize> = (0..cars.len()).rev().collect();
    order.sort_by(|one, other| cars[*one].1.loss.total_cmp(&cars[*other].1.loss));
    for car in &order {
        let (intent, target) = (cars[*car].1, &mut targets[*car]);
        let gives = intent.watts(*target - intent.minimum).min(excess).max(0.0);
        *target = intent.limit(*target, -gives);
        excess -= gives;
    }
    for car in &order {
        let (intent, target) = (cars[*car].1, &mut targets[*car]);
        // A little is let through rather than a whole car switched off.
        if intent.watts(*target) / 2.0 < excess {
            excess -= intent.watts(*target);
            *target = Amps::ZERO;
        }
    }
    for car in order.into_iter().rev() {
        let (intent, target) = (cars[car].1, &mut targets[car]);
        if *target == Amps::ZERO {
            continue;
        }
        let takes = intent.watts(before[car] - *target).min(-excess).max(0.0);
        *target = intent.limit(*target, takes);
        excess += takes;
    }
}

impl Decided {
    fn bound(&self) -> Option<Bound> {
        let bound = Bound { limit: self.target, cause: self.cause.clone() };
        (self.target < self.full).then_some(bound)
    }
}

impl Intent {
    fn watts(&self, current: Amps) -> f64 {
        current.as_f64() * self.watts_per_amp
    }

    /// `from` and this power more, between nothing and the most it can take.
    fn limit(&self, from: Amps, watts: f64) -> Amps {
        let limit = from + Amps::from_f64(watts / self.watts_per_amp.max(1.0));
        limit.at_least_zero().min(self.full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(planned: i64, worth: f64) -> Option<Intent> {
        Some(Intent {
            planned: Amps::new(planned),
            full: Amps::new(16),
            minimum: Amps::new(6),
            watts_per_amp: 230.0,
            worth,
            loss: worth,
            cause: Cause::WaitingForSun { until: Some("11:40".to_owned()) },
        })
    }

    fn market(surplus_w: f64, expected_w: f64) -> Market {
        Market {
            number: 1,
            surplus_w: Some(surplus_w),
            expected_w,
            import: 0.5,
            export: 0.0,
            ceiling_w: None,
            settle: Duration::seconds(15),
        }
    }

    fn limits(bounds: &[Option<Bound>]) -> Vec<i64> {
        bounds
            .iter()
            .map(|bound| bound.as_ref().map_or(16_000, |bound| bound.limit.as_milli()))
            .collect()
    }

    fn at(seconds: i64) -> Instant {
        Instant::START + Duration::seconds(seconds)
    }

    #[test]
    fn more_sun_than_forecast_goes_where_it_is_worth_most() {
        let mut dispatch = Dispatch::new(2);
        let bounds =
            dispatch.bounds(at(0), &[intent(0, 0.2), intent(0, 0.4)], &market(2300.0, 0.0));
        assert_eq!(limits(&bounds), [0, 10_000]);
        assert_eq!(bounds[1].as_ref().map(|bound| &bound.cause), Some(&Cause::FollowsSun));
    }

    #[test]
    fn a_little_sun_starts_a_car_only_if_the_rest_is_worth_its_price() {
        // 690 W of the 1380 W would be bought: 0.25 EUR per kWh in the mean.
        for (worth, limit) in [(0.2, 0), (0.3, 6000)] {
            let mut dispatch = Dispatch::new(1);
            let bounds = dispatch.bounds(at(0), &[intent(0, worth)], &market(690.0, 0.0));
            assert_eq!(limits(&bounds), [limit], "worth {worth}");
        }
    }

    #[test]
    fn less_sun_is_not_replaced_from_the_grid_unless_it_is_worth_it() {
        let mut dispatch = Dispatch::new(3);
        let cars = [intent(10, 0.1), intent(10, 0.3), intent(16, 0.5)];
        // 8280 W are planned, all from the sun, which gives 5520 W: the third buys what it lacks.
        let bounds = dispatch.bounds(at(0), &cars, &market(5520.0, 8280.0));
        assert_eq!(limits(&bounds), [0, 8000, 16_000]);
    }

    #[test]
    fn a_car_that_cannot_make_up_for_it_later_is_not_left_without() {
        for (loss, limit) in [(0.4, 0), (2.0, 10_000)] {
            let mut dispatch = Dispatch::new(1);
            let car = intent(10, 0.0).map(|car| Intent { loss, ..car });
            let bounds = dispatch.bounds(at(0), &[car], &market(0.0, 2300.0));
            assert_eq!(limits(&bounds), [limit], "loss {loss}");
        }
    }

    #[test]
    fn what_the_plan_buys_is_bought() {
        let mut dispatch = Dispatch::new(1);
        let bounds = dispatch.bounds(at(0), &[intent(10, 0.3)], &market(0.0, 0.0));
        assert_eq!(limits(&bounds), [10_000]);
    }

    #[test]
    fn a_load_that_nobody_expected_does_not_raise_the_peak() {
        let mut dispatch = Dispatch::new(3);
        let cars = [intent(16, 0.3), intent(10, 0.4), intent(16, 0.5)];
        // 9660 W are planned and the building takes 2000 W: 11,660 W.
        let mut look = |second, load: f64, ceiling: f64| {
            let market = Market { ceiling_w: Some(ceiling), ..market(-load, -2000.0) };
            let bounds = dispatch.bounds(at(second), &cars, &market);
            let is_named = bounds[0].as_ref().map(|bound| bound.cause == Cause::PeakOfImport);
            (limits(&bounds), is_named)
        };
        assert_eq!(look(0, 2000.0, 11_660.0), (vec![16_000, 10_000, 16_000], None));
        assert_eq!(look(10, 4000.0, 11_660.0).0, [16_000, 10_000, 16_000], "it may pass");
        let (limits, is_named) = look(30, 4000.0, 11_660.0);
        assert_eq!((limits, is_named), (vec![7304, 10_000, 16_000], Some(true)));
        look(1000, 8400.0, 11_660.0);
        assert_eq!(look(1020, 8400.0, 11_660.0).0, [0, 6000, 8174]);
    }

    #[test]
    fn clouds_that_pass_are_not_followed() {
        let mut dispatch = Dispatch::new(1);
        let car = [intent(10, 0.3)];
        let mut look =
            |second, sun| limits(&dispatch.bounds(at(second), &car, &market(sun, 2300.0)));
        assert_eq!(look(0, 2300.0), [10_000]);
        assert_eq!(look(5, 300.0), [10_000]);
        assert_eq!(look(10, 2300.0), [10_000]);
        assert_eq!(look(20, 300.0), [10_000]);
        assert_eq!(look(35, 300.0), [0], "it lasts");
        assert_eq!(look(40, 2300.0), [0]);
        assert_eq!(look(56, 2300.0), [0], "it was switched a moment ago");
        assert_eq!(dispatch.switches(), 1);
    }
}
