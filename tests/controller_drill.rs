//! The commissioning drill through the whole controller: what proves that a charger falls to its
//! safe share by itself, and what does not.

mod yard;

use ampgate::config;
use ampgate::controller::message::{Answer, Order};
use ampgate::ground::ids::{EvseId, RequestId};
use ampgate::ground::time::Duration;
use ampgate::ground::units::Amps;
use ampgate::model::event::EventKind;
use yard::{SITE, Yard, draw, yard};

fn drill(yard: &mut Yard) -> RequestId {
    yard.order(Order::Drill { evse: EvseId::new("E1") })
}

#[test]
fn a_drill_stops_refreshing_and_is_passed_when_the_current_falls() {
    let mut yard = yard();
    let request = drill(&mut yard);
    assert!(yard.said(request).1.contains("no car charges at E1"));
    yard.start(1, "PLAIN", "");
    yard.status(1, "Charging");
    draw(&mut yard, 20, 120);
    let request = drill(&mut yard);
    assert_eq!(yard.reply(request), Some(&Answer::Done));
    yard.out.clear();
    yard.seen.clear();
    // The charger is told nothing, and falls by itself.
    yard.pass(Duration::seconds(170));
    let told = |yard: &Yard| yard.seen.contains(&(1, "SetChargingProfile".to_owned()));
    assert!(!told(&yard));
    assert_eq!(yard.controller.view(yard.now).drill.expect("a drill").passed, None);
    draw(&mut yard, 6, 10);
    let drill = yard.controller.view(yard.now).drill.expect("a drill");
    assert_eq!(drill.passed, Some(true), "{}", drill.words);
    assert!(drill.words.starts_with("passed: it fell from 20.0 A to 6.0 A"), "{}", drill.words);
    yard.pass(Duration::seconds(5));
    assert!(told(&yard), "{:?}", yard.seen);
}

#[test]
fn a_car_that_itself_draws_less_proves_nothing_in_a_drill() {
    let words = |yard: &Yard| yard.controller.view(yard.now).drill.expect("a drill").words;
    let begun = || {
        let mut yard = yard();
        yard.start(1, "PLAIN", "");
        yard.status(1, "Charging");
        draw(&mut yard, 16, 120);
        let request = drill(&mut yard);
        assert_eq!(yard.reply(request), Some(&Answer::Done));
        yard
    };
    // It tapers down to the safe share over three minutes.
    let mut yard = begun();
    for amps in (6..16).rev() {
        draw(&mut yard, amps, 20);
    }
    assert!(words(&yard).contains("drew less and less, 6.0 A"), "{}", words(&yard));
    assert_eq!(yard.events(EventKind::DrillBroken).len(), 1);
    assert!(yard.events(EventKind::DrillPassed).is_empty());
    // It is full at the moment at which the charger should fall.
    let mut yard = begun();
    draw(&mut yard, 15, 150);
    draw(&mut yard, 0, 10);
    assert!(words(&yard).contains("stopped, 0.0 A"), "{}", words(&yard));
    // It comes down before the lease can have run out.
    let mut yard = begun();
    draw(&mut yard, 6, 30);
    assert!(words(&yard).contains("broken off"), "{}", words(&yard));
    // It tapers a little, and then the charger falls.
    let mut yard = begun();
    draw(&mut yard, 14, 150);
    draw(&mut yard, 6, 10);
    assert!(words(&yard).starts_with("passed"), "{}", words(&yard));
}

#[test]
fn a_charger_that_does_not_fall_fails_the_drill_and_counts_for_ever() {
    let mut yard = yard();
    yard.start(1, "PLAIN", "");
    yard.status(1, "Charging");
    draw(&mut yard, 20, 120);
    drill(&mut yard);
    draw(&mut yard, 20, 230);
    let drill = yard.controller.view(yard.now).drill.expect("a drill");
    assert_eq!(drill.passed, Some(false));
    assert_eq!(drill.words, "failed: it still draws 20.0 A");
    assert_eq!(yard.events(EventKind::DrillFailed).len(), 1);
    assert!(!yard.controller.view(yard.now).evses[0].armed);
}

#[test]
fn a_changed_configuration_ends_a_drill_and_keeps_what_partners_limit() {
    let mut yard = yard();
    yard.start(1, "PLAIN", "");
    yard.status(1, "Charging");
    draw(&mut yard, 20, 120);
    let lasts = Duration::minutes(30);
    let (partner, limit) = ("cpo".to_owned(), Some(Amps::new(10)));
    drill(&mut yard);
    let evse = EvseId::new("E2");
    yard.order(Order::PartnerLimit { evse, partner, limit, lasts });
    yard.start(2, "FLEET1", "");
    yard.status(2, "Charging");
    yard.pass(Duration::seconds(40));
    let reason = |yard: &Yard| yard.controller.view(yard.now).evses[1].reason.clone();
    assert_eq!(reason(&yard), "profile of partner cpo");
    let site = config::parse(SITE, "yard.toml").expect("a sound site").config.site;
    yard.controller = yard.controller.reconfigured(site, yard.now, &mut yard.out);
    let drill = yard.controller.view(yard.now).drill.expect("the last one");
    assert_eq!(drill.passed, Some(false));
    assert_eq!(drill.words, "broken off: the configuration was loaded anew");
    yard.pass(Duration::minutes(5));
    assert_eq!(reason(&yard), "profile of partner cpo");
    let limit = yard.controller.view(yard.now).evses[1].limit_a;
    assert_eq!(limit, Some(Amps::new(10)));
}
