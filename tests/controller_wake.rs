//! The controller does what is due at the very moment for which it asked to be woken.
//!
//! Found on a running site: a grid meter fell silent, the controller was woken at the millisecond
//! at which its value had become too old, saw no deadline ahead any more, and went on with the last
//! reading until something else happened.

use ampgate::config;
use ampgate::controller::Controller;
use ampgate::controller::message::{Input, Outbox, Output};
use ampgate::ground::time::{Duration, Instant, Now, Utc};
use ampgate::model::event::EventKind;
use ampgate::model::record::Remembered;

const OFFICE: &str = include_str!("../config/office.toml");

fn at(millis: i64) -> Now {
    let utc = Utc::from_millis(1_551_427_200_000 + millis);
    Now { mono: Instant::from_millis(millis), utc: Some(utc) }
}

struct Site {
    controller: Controller,
    now: Now,
    out: Outbox,
}

impl Site {
    fn new() -> Self {
        let site = config::parse(OFFICE, "office.toml").expect("the example is sound").config.site;
        let controller = Controller::new(site, &Remembered::default(), at(0));
        Self { controller, now: at(0), out: Outbox::new() }
    }

    /// The grid meter tells this current on each phase once a second.
    fn metered(&mut self, amps: i32, seconds: i64) {
        for _ in 0..seconds {
            self.now = at(self.now.mono.as_millis() + 1000);
            let payload = format!(r#"{{"current": {{"l1": {amps}, "l2": {amps}, "l3": {amps}}}}}"#);
            let (topic, payload) = ("site/grid".to_owned(), payload.into_bytes());
            let input = Input::Mqtt { topic, payload, retained: false };
            self.controller.step(self.now, input, &mut self.out);
        }
    }

    /// Nothing happens but that it is woken when it asked to be; how long after the last message
    /// this is told.
    fn told_when_left_alone(
        &mut self,
        kind: EventKind,
        subject: &str,
        within: Duration,
    ) -> Duration {
        let heard_last = self.now.mono;
        self.out.clear();
        while self.now.mono <= heard_last + within {
            let after = self.now.mono;
            let woken = self.controller.wake_at(after).max(after + Duration::millis(1));
            self.now = at(woken.as_millis());
            self.controller.step(self.now, Input::Wake, &mut self.out);
            if self.has_told(kind, subject) {
                return self.now.mono.since(heard_last);
            }
        }
        panic!("{kind:?} of {subject} was not told within {within}");
    }

    fn has_told(&self, kind: EventKind, subject: &str) -> bool {
        let is_it = |output: &Output| {
            matches!(output, Output::Event(event)
                if event.kind == kind && event.subject.contains(subject))
        };
        self.out.iter().any(is_it)
    }
}

#[test]
fn a_meter_that_falls_silent_is_told_when_its_value_is_too_old() {
    let mut site = Site::new();
    site.metered(10, 5);
    let told = site.told_when_left_alone(EventKind::MeterSilent, "grid", Duration::seconds(30));
    assert!(Duration::seconds(15) < told && told <= Duration::seconds(16), "after {told}");
}

#[test]
fn chargers_that_never_came_are_told_though_nothing_else_happens() {
    let mut site = Site::new();
    let told = site.told_when_left_alone(EventKind::Overload, "IBST 63A", Duration::minutes(10));
    assert!(Duration::seconds(310) <= told && told <= Duration::seconds(312), "after {told}");
}

#[test]
fn chargers_that_are_still_to_come_are_no_alarm_for_five_minutes() {
    let mut site = Site::new();
    site.metered(0, 295);
    assert!(!site.has_told(EventKind::Overload, "IBST 63A"), "they may still come");
    site.metered(0, 30);
    assert!(site.has_told(EventKind::Overload, "IBST 63A"), "twelve may draw more than fits");
}

#[test]
fn a_building_that_takes_more_than_the_connection_carries_is_told_within_seconds() {
    let mut site = Site::new();
    site.metered(90, 30);
    assert!(site.has_told(EventKind::Overload, "IBST 63A"), "chargers have nothing to do with it");
}
