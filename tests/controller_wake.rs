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

#[test]
fn a_meter_that_falls_silent_is_told_when_its_value_is_too_old() {
    let site = config::parse(OFFICE, "office.toml").expect("the example is sound").config.site;
    let mut controller = Controller::new(site, &Remembered::default(), at(0));
    let mut out = Outbox::new();
    for second in 1..=5 {
        let payload = br#"{"current": {"l1": 10, "l2": 10, "l3": 10}}"#.to_vec();
        let topic = "site/grid".to_owned();
        controller.step(
            at(second * 1000),
            Input::Mqtt { topic, payload, retained: false },
            &mut out,
        );
    }
    out.clear();
    let (mut now, mut silent_at) = (at(5000), None);
    while now.mono < Instant::START + Duration::seconds(30) {
        let woken = controller.wake_at(now.mono).max(now.mono + Duration::millis(1));
        now = at(woken.as_millis());
        controller.step(now, Input::Wake, &mut out);
        let silent = |output: &Output| {
            matches!(output, Output::Event(event)
                if event.kind == EventKind::MeterSilent && event.subject == "grid")
        };
        if out.iter().any(silent) {
            silent_at.get_or_insert(now.mono);
        }
    }
    let heard_last = Instant::START + Duration::seconds(5);
    let told = silent_at.expect("the silence is told").since(heard_last);
    assert!(Duration::seconds(15) < told && told <= Duration::seconds(16), "after {told}");
}
