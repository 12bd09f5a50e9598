//! Contacts that limit, and what a restart remembers of limits from outside: in force before
//! anything is granted, named, and never written more often than needed.

mod yard;

use ampgate::config;
use ampgate::controller::Controller;
use ampgate::controller::message::{Input, Order, Outbox, Output};
use ampgate::ground::ids::EvseId;
use ampgate::ground::time::{Duration, Instant, Now};
use ampgate::ground::units::{Amps, Watts};
use ampgate::model::event::EventKind;
use ampgate::model::limit::LimitOf;
use ampgate::model::record::{Record, Remembered};
use serde_json::json;
use yard::{SITE, Yard};

/// The yard with a contact that leaves 52 A over all phases: 18 for E3's safe share, 11 for E1.
fn dimmed() -> String {
    format!(
        "{SITE}\n[[limit]]\nid = \"§14a contact\"\ngpio_chip = \"/dev/gpiochip0\"\nline = 17\n\
         pull = \"up\"\ndebounce_s = 0.5\nlimit_kw = 12\n"
    )
}

fn read(yard: &mut Yard, closed: Option<bool>) {
    let why = if closed.is_none() { "no such device" } else { "" }.to_owned();
    yard.step(Input::Contact { contact: "§14a contact".to_owned(), closed, why });
}

/// Lets time pass while the contact is read every ten seconds.
fn pass(yard: &mut Yard, closed: Option<bool>, seconds: i64) {
    for _ in 0..seconds / 10 {
        read(yard, closed);
        charge(yard, 10);
    }
}

/// The car at E1 takes all that it is offered, with a reading every ten seconds.
fn charge(yard: &mut Yard, seconds: i64) {
    for _ in 0..seconds / 10 {
        yard.pass(Duration::seconds(10));
        let amps = yard.controller.view(yard.now).evses[0].limit_a.map_or(0.0, Amps::as_f64);
        let at = yard.now.utc.expect("set").to_text();
        let value =
            json!({ "value": amps.to_string(), "measurand": "Current.Import", "unit": "A" });
        let values = json!([{ "timestamp": at, "sampledValue": [value] }]);
        let payload = json!({ "connectorId": 1, "meterValue": values });
        yard.frame(1, &json!([2, format!("m{at}"), "MeterValues", payload]).to_string());
        yard.settle();
    }
}

fn limit(yard: &Yard) -> f64 {
    let evse = &yard.controller.view(yard.now).evses[0];
    evse.limit_a.expect("it charges").as_f64()
}

fn reason(yard: &Yard) -> String {
    yard.controller.view(yard.now).evses[0].reason.clone()
}

#[test]
fn a_contact_limits_from_the_start_until_it_is_read_as_open() {
    let mut yard = Yard::of(&dimmed(), &Remembered::default());
    yard.start(1, "PLAIN", "");
    yard.settle();
    charge(&mut yard, 120);
    assert!(limit(&yard) <= 11.4, "{}", limit(&yard));
    assert!(reason(&yard).contains("limit of 12.0 kW by §14a contact"), "{}", reason(&yard));
    let told = yard.events(EventKind::ContactUnsure);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("§14a contact: it was not read yet"), "{told:?}");
    let limits = yard.controller.view(yard.now).limits;
    assert_eq!(limits[0].limit_w, Some(Watts::new(12_000)));
    assert_eq!((limits.len(), limits[0].until), (1, None));

    pass(&mut yard, Some(false), 60);
    assert!(11.5 < limit(&yard), "open: {} {}", limit(&yard), reason(&yard));
    assert!(yard.controller.view(yard.now).limits.is_empty());
    assert_eq!(yard.events(EventKind::OuterLimit).len(), 1, "it is told that it is open");

    yard.out.clear();
    read(&mut yard, Some(true));
    yard.pass(Duration::seconds(2));
    yard.settle();
    assert!(limit(&yard) <= 11.4, "closed: {}", limit(&yard));
    let told = yard.events(EventKind::OuterLimit);
    assert_eq!(told, ["§14a contact: closed: limit of 12.0 kW by §14a contact"]);

    pass(&mut yard, Some(false), 60);
    pass(&mut yard, None, 20);
    assert!(limit(&yard) <= 11.4, "it cannot be read: {}", limit(&yard));
    assert!(reason(&yard).contains("no such device"), "{}", reason(&yard));
}

#[test]
fn a_contact_of_some_evses_limits_them_on_each_phase() {
    let text = format!(
        "{SITE}\n[[limit]]\nid = \"shed\"\ncontact_file = \"/run/inputs/shed\"\nlimit_a = 8\n\
         evses = [\"E1\"]\n"
    );
    let mut yard = Yard::of(&text, &Remembered::default());
    yard.start(1, "PLAIN", "");
    yard.start(2, "ONLY2", "");
    yard.settle();
    charge(&mut yard, 120);
    let view = yard.controller.view(yard.now);
    assert_eq!(view.evses[0].limit_a, Some(Amps::new(8)));
    assert!(view.evses[1].limit_a.is_some_and(|limit| Amps::new(8) < limit), "{:?}", view.evses[1]);
    assert_eq!(view.limits[0].evse.as_deref(), Some("E1"));
}

fn outer(yard: &mut Yard, limit_a: Option<i64>, minutes: i64) {
    let of = LimitOf::Evse { evse: EvseId::new("E1"), limit_a: limit_a.map(Amps::new) };
    let (source, lasts) = ("MQTT".to_owned(), Duration::minutes(minutes));
    yard.order(Order::OuterLimit { of, source, lasts });
}

fn partner(yard: &mut Yard, limit: Option<i64>, minutes: i64) {
    let (evse, partner) = (EvseId::new("E1"), "cpo".to_owned());
    let (limit, lasts) = (limit.map(Amps::new), Duration::minutes(minutes));
    yard.order(Order::PartnerLimit { evse, partner, limit, lasts });
}

fn written(yard: &Yard) -> usize {
    let limits = |output: &&Output| matches!(output, Output::Record(Record::Limit(_)));
    yard.out.iter().filter(limits).count()
}

#[test]
fn limits_with_an_end_ahead_are_in_force_again_after_a_restart() {
    let mut yard = yard::yard();
    outer(&mut yard, Some(9), 30);
    partner(&mut yard, Some(7), 10);
    let remembered = yard.controller.remembered();
    assert_eq!(remembered.limits.len(), 2);
    let mut yard = Yard::of(SITE, &remembered);
    yard.start(1, "PLAIN", "");
    yard.settle();
    let mut most = 0.0_f64;
    for _ in 0..8 {
        charge(&mut yard, 60);
        most = most.max(limit(&yard));
    }
    assert_eq!(most, 7.0, "the partner's, from the first moment on");
    charge(&mut yard, 300);
    assert_eq!(limit(&yard), 9.0);
    assert_eq!(yard.controller.remembered().limits.len(), 1, "the partner's is over");
    charge(&mut yard, 1200);
    assert!(9.0 < limit(&yard), "both are over: {}", limit(&yard));
    assert!(yard.controller.remembered().limits.is_empty());
}

#[test]
fn without_a_clock_a_remembered_limit_holds_for_its_whole_span_until_the_clock_is_right() {
    let mut yard = yard::yard();
    outer(&mut yard, Some(9), 30);
    let remembered = yard.controller.remembered();
    let set = yard.now.utc.expect("set");
    // The box is away for 20 minutes and comes back without the time of day.
    let site = config::parse(SITE, "yard.toml").expect("a sound site").config.site;
    let mut now = Now { mono: Instant::START, utc: None };
    let mut next = Controller::new(site, &remembered, now);
    let mut limits = |now: Now| {
        next.step(now, Input::Wake, &mut Outbox::new());
        next.view(now).limits.len()
    };
    for _ in 0..25 {
        assert_eq!(limits(now), 1, "10 minutes are left, or 30");
        now.mono = now.mono + Duration::minutes(1);
    }
    now.utc = Some(set + Duration::minutes(45));
    limits(now);
    now.mono = now.mono + Duration::seconds(2);
    assert_eq!(limits(now), 0, "the clock says that it is over");
}

#[test]
fn a_limit_that_is_said_again_and_again_is_rarely_written() {
    let mut yard = yard::yard();
    yard.out.clear();
    for _ in 0..180 {
        outer(&mut yard, Some(9), 20);
        yard.now.mono = yard.now.mono + Duration::seconds(10);
        yard.now.utc = yard.now.utc.map(|utc| utc + Duration::seconds(10));
    }
    let often = written(&yard);
    assert!((2..10).contains(&often), "{often} times in half an hour");
    let kept = yard.controller.remembered().limits[0].until.expect("the clock is trusted");
    let end = yard.now.utc.expect("set") + Duration::minutes(20);
    let more = kept.since(end).as_seconds();
    assert!((-10..=300).contains(&more), "held no shorter than said: {more} s");
    outer(&mut yard, None, 0);
    assert_eq!(written(&yard), often + 1);
    assert!(yard.controller.remembered().limits.is_empty());
}
