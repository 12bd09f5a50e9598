//! When an update may be written and when the box may start anew, with the reason where not.

use crate::ground::calendar::Calendar;
use crate::ground::time::Now;
use crate::model::update::UpdatePolicy;

/// Why it has to wait; none when it may go on. `busy` are EVSEs whose car still wants energy: a
/// start anew takes a minute or two, in which nobody raises a limit that has fallen.
pub fn why_wait(
    policy: &UpdatePolicy,
    calendar: &Calendar,
    now: Now,
    busy: &[String],
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
    match busy {
        [] => None,
        [one] => Some(format!("the car at {one} still wants energy")),
        [one, rest @ ..] => {
            Some(format!("cars at {one} and {} more EVSEs still want energy", rest.len()))
        }
    }
}

fn clock(minute: i64) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::time::{Duration, Instant, Utc};
    use crate::model::update::Window;

    fn policy(window: &str) -> UpdatePolicy {
        let (trial, settle) = (Duration::minutes(15), Duration::seconds(60));
        UpdatePolicy { window: Window::parse(window), attempts_max: 3, trial, settle }
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

    #[test]
    fn cars_come_first_unless_a_person_says_otherwise() {
        let (utc, open) = (Calendar::new("UTC"), policy(""));
        let busy = ["EVSE-03".to_owned(), "EVSE-04".to_owned()];
        let now = at("2026-01-01T12:00:00Z");
        let words = why_wait(&open, &utc, now, &busy, false).expect("cars charge");
        assert_eq!(words, "cars at EVSE-03 and 1 more EVSEs still want energy");
        let words = why_wait(&open, &utc, now, &busy[..1], false).expect("a car charges");
        assert_eq!(words, "the car at EVSE-03 still wants energy");
        assert_eq!(why_wait(&policy("01:00-02:00"), &utc, now, &busy, true), None);
        assert_eq!(why_wait(&open, &utc, now, &[], false), None);
    }
}
