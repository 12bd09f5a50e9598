//! When an update may be written and when the box may start anew, with the reason where not.

use crate::ground::calendar::Calendar;
use crate::ground::time::Now;
use crate::ground::zone::Zone;
use crate::model::update::UpdatePolicy;

use super::pause::{self, Miss, Stay};

/// Why it has to wait; none when it may go on. `cars` are those that the box would be away from.
pub fn why_wait(
    policy: &UpdatePolicy,
    calendar: &Calendar,
    now: Now,
    cars: &[Stay],
    force: bool,
) -> Option<String> {
    if force {
        return None;
    }
    if let Some(window) = policy.window {
        let Some(utc) = now.utc else {
            return Some(format!("the clock is not trusted, and the window is {window}"));
        };
        let minute = i64::from(calendar.local(utc).minute);
        if !window.holds(minute) {
            return Some(format!("it is {}, and the window is {window}", clock(minute)));
        }
    }
    let Some(utc) = now.utc else {
        let car = cars.first()?;
        return Some(format!("the clock is not trusted, and a car charges at {}", car.evse));
    };
    let misses = cars.iter().filter_map(|car| car.miss(utc, policy.pause));
    let misses: Vec<Miss> = misses.collect();
    let worst = misses.iter().max_by_key(|miss| miss.late)?;
    let leaves = Zone::new(calendar.name()).words(worst.leaves, now.utc);
    let minutes = worst.late.as_seconds() / 60;
    let more = match misses.len() {
        1 => String::new(),
        all => format!(", and {} more would be late", all - 1),
    };
    Some(format!("{} would miss {leaves} by {minutes} min{more}", worst.evse))
}

/// What is assumed of these cars, in sentences.
pub fn assumed(calendar: &Calendar, now: Now, cars: &[Stay]) -> Vec<String> {
    let zone = Zone::new(calendar.name());
    pause::assumed(cars, |time| zone.words(time, now.utc))
}

fn clock(minute: i64) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::time::{Duration, Instant, Utc};
    use crate::model::update::Window;
    use crate::update::pause::Span;

    fn policy(window: &str) -> UpdatePolicy {
        let (trial, settle) = (Duration::minutes(15), Duration::seconds(60));
        let pause = Duration::minutes(10);
        UpdatePolicy { window: Window::parse(window), attempts_max: 3, trial, settle, pause }
    }

    fn at(text: &str) -> Now {
        Now { mono: Instant::START, utc: Utc::parse(text) }
    }

    #[test]
    fn the_window_is_by_the_clock_on_the_wall() {
        let (paris, night) = (Calendar::new("Europe/Paris"), policy("23:00-05:00"));
        let wait = |text| why_wait(&night, &paris, at(text), &[], false);
        assert_eq!(wait("2026-07-01T21:30:00Z"), None, "23:30 in summer");
        assert_eq!(wait("2026-07-01T02:59:00Z"), None, "04:59 in summer");
        let words = wait("2026-01-01T21:30:00Z").expect("22:30 in winter");
        assert_eq!(words, "it is 22:30, and the window is 23:00 to 05:00");
        assert!(wait("yesterday").is_some_and(|words| words.contains("not trusted")));
        assert_eq!(Window::parse("05:00-05:00"), None);
        assert_eq!(Window::parse("night"), None);
    }

    /// It could take 10 kW until it leaves at 17:00 in Paris, and needs so much.
    fn car(evse: &str, need_kwh: f64) -> Stay {
        let time = |text| Utc::parse(text).expect("a time");
        let (noon, leaves) = (time("2026-01-01T12:00:00Z"), time("2026-01-01T16:00:00Z"));
        Stay {
            evse: evse.to_owned(),
            leaves: Some(leaves),
            need_kwh: Some(need_kwh),
            could: vec![Span { from: noon, until: leaves, kw: 10.0 }],
            ..Stay::default()
        }
    }

    #[test]
    fn only_a_car_that_would_be_late_is_waited_for() {
        let (paris, open) = (Calendar::new("Europe/Paris"), policy(""));
        let now = at("2026-01-01T12:00:00Z");
        let wait = |cars: &[Stay]| why_wait(&open, &paris, now, cars, false);
        assert_eq!(wait(&[car("EVSE-03", 30.0)]), None, "it has an hour in hand");
        let words = wait(&[car("EVSE-03", 30.0), car("EVSE-04", 39.0)]).expect("late");
        assert_eq!(words, "EVSE-04 would miss 17:00 by 4 min");
        let words = wait(&[car("EVSE-03", 38.5), car("EVSE-04", 40.0)]).expect("late");
        assert_eq!(words, "EVSE-04 would miss 17:00 by 10 min, and 1 more would be late");
        let forced = why_wait(&policy("01:00-02:00"), &paris, now, &[car("E", 40.0)], true);
        assert_eq!(forced, None, "a person says otherwise");
        let lost = why_wait(&open, &paris, at("yesterday"), &[car("E", 1.0)], false);
        assert_eq!(lost.expect("no clock"), "the clock is not trusted, and a car charges at E");
        assert_eq!(why_wait(&open, &paris, at("yesterday"), &[], false), None);
    }
}
