//! A car on a cable: how much of what is offered it takes, and when that changes by itself.
//!
//! It takes nothing below 6 A (IEC 61851-1), is full when its need is met, and may taper towards
//! the end in steps of one ampere, so that the plant can jump from change to change.

use crate::ground::time::{Duration, Instant};

use super::scenario::CarModel;

/// No AC car charges below this current (IEC 61851-1).
pub const LEAST_A: f64 = 6.0;

/// Below this remaining need a car is full; rounding of whole milliseconds stays far below it.
const FULL_WH: f64 = 1e-6;

/// A plugged-in car.
#[derive(Clone, Debug, PartialEq)]
pub struct Car {
    model: CarModel,
    /// Energy taken since plug-in, in Wh.
    pub got_wh: f64,
    /// Since when energy has been offered; none while it is not.
    offered_since: Option<Instant>,
}

impl Car {
    /// A car that has just been plugged in.
    pub const fn new(model: CarModel) -> Self {
        Self { model, got_wh: 0.0, offered_since: None }
    }

    /// What it can and wants to take.
    pub const fn model(&self) -> &CarModel {
        &self.model
    }

    /// What it still wants, in Wh.
    pub fn missing_wh(&self) -> f64 {
        (self.model.need_wh - self.got_wh).max(0.0)
    }

    /// Whether it wants no more.
    pub fn is_full(&self) -> bool {
        self.missing_wh() <= FULL_WH
    }

    /// Tells it what is offered on each phase from `now` on, in A.
    pub fn offer(&mut self, offered: f64, now: Instant) {
        if offered < LEAST_A {
            self.offered_since = None;
        } else if self.offered_since.is_none() {
            self.offered_since = Some(now);
        }
    }

    /// What it draws on each of its phases, in A.
    pub fn draw(&self, offered: f64, now: Instant) -> f64 {
        let waits = self.offered_since.is_none_or(|since| now < since + self.model.start_delay);
        if waits || self.is_full() || offered < LEAST_A {
            return 0.0;
        }
        offered.min(self.accepts()).max(LEAST_A)
    }

    /// What its battery takes at most at its present charge, in A.
    fn accepts(&self) -> f64 {
        if self.model.taper_wh <= 0.0 || self.model.taper_wh <= self.missing_wh() {
            return self.model.max_a;
        }
        (self.model.max_a * self.missing_wh() / self.model.taper_wh).ceil().max(LEAST_A)
    }

    /// When its draw changes by itself if it goes on with `power_w`.
    pub fn changes_at(&self, power_w: f64, now: Instant) -> Option<Instant> {
        if power_w <= 0.0 {
            let starts = self.offered_since? + self.model.start_delay;
            return (now < starts).then_some(starts);
        }
        let missing = self.missing_wh();
        let mut until = missing;
        if 0.0 < self.model.taper_wh {
            let amps_per_wh = self.model.max_a / self.model.taper_wh;
            let below = (missing.min(self.model.taper_wh) * amps_per_wh).ceil() - 1.0;
            if LEAST_A <= below {
                until = (missing - below / amps_per_wh).max(FULL_WH);
            }
        }
        let millis = (until / power_w * 3_600_000.0).ceil().max(1.0);
        Some(now + Duration::millis(millis as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOLTAGE: f64 = 230.0;

    /// Charges at `offered` until the car is full; returns each current with its hours.
    fn charge(mut car: Car, offered: f64) -> Vec<(f64, f64)> {
        let mut now = Instant::START;
        let mut course = Vec::new();
        car.offer(offered, now);
        while !car.is_full() && course.len() < 100 {
            let draw = car.draw(offered, now);
            let power = draw * VOLTAGE * car.model().phases as f64;
            let next = car.changes_at(power, now).expect("a car that charges gets full");
            let hours = next.since(now).as_hours();
            car.got_wh += power * hours;
            course.push((draw, hours));
            now = next;
        }
        course
    }

    #[test]
    fn a_plain_car_takes_all_until_full() {
        let course = charge(Car::new(CarModel::plain(3, 16.0, 11_040.0)), 32.0);
        assert_eq!(course.len(), 1);
        assert_eq!(course[0].0, 16.0);
        assert!((course[0].1 - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_tapering_car_steps_down_to_six_amperes() {
        let model = CarModel { taper_wh: 2000.0, ..CarModel::plain(1, 16.0, 8000.0) };
        let course = charge(Car::new(model), 32.0);
        let currents: Vec<f64> = course.iter().map(|(current, _)| *current).collect();
        assert_eq!(currents.first(), Some(&16.0));
        assert_eq!(currents.last(), Some(&6.0));
        assert!(currents.windows(2).all(|pair| pair[1] <= pair[0]), "{currents:?}");
    }

    #[test]
    fn a_car_waits_for_its_start_delay_and_takes_nothing_below_six() {
        let model =
            CarModel { start_delay: Duration::seconds(20), ..CarModel::plain(1, 16.0, 5000.0) };
        let mut car = Car::new(model);
        let now = Instant::START;
        car.offer(10.0, now);
        assert_eq!(car.draw(10.0, now), 0.0);
        assert_eq!(car.changes_at(0.0, now), Some(now + Duration::seconds(20)));
        assert_eq!(car.draw(10.0, now + Duration::seconds(20)), 10.0);
        assert_eq!(car.draw(5.9, now + Duration::seconds(20)), 0.0);
    }
}
