//! The way of an update, step by step: what is done, what is refused, what goes on after a cut.

use super::state::{Slot, Slots};
use super::*;
use crate::ground::time::Utc;
use crate::model::update::{UpdateOrder, UpdateStage};

fn policy() -> UpdatePolicy {
    let (trial, settle) = (Duration::minutes(10), Duration::seconds(30));
    UpdatePolicy { window: None, attempts_max: 3, trial, settle, pause: Duration::minutes(10) }
}

fn at(seconds: i64) -> Now {
    let mono = Instant::START + Duration::seconds(seconds);
    Now { mono, utc: Utc::parse("2026-03-01T12:00:00Z") }
}

/// A box that runs `version` from slot A.
fn slots(booted: &str, a: &str, b: Option<&str>) -> Slots {
    let slot = |bootname: &str, name: &str, version: Option<&str>| Slot {
        bootname: bootname.to_owned(),
        name: name.to_owned(),
        version: version.map(str::to_owned),
        booted: bootname == booted,
        good: true,
    };
    Slots {
        compatible: "box".to_owned(),
        is_writing: false,
        primary: if booted == "A" { "rootfs.0" } else { "rootfs.1" }.to_owned(),
        slots: vec![slot("A", "rootfs.0", Some(a)), slot("B", "rootfs.1", b)],
    }
}

fn fresh(memory: Memory, boot: &str) -> Updates {
    Updates::new(memory, policy(), "UTC", boot.to_owned(), "0.9.0".to_owned())
}

fn good() -> Action {
    Action::Mark { state: "good", slot: "booted" }
}

fn ready() -> Updates {
    let mut updates = fresh(Memory::default(), "boot-1");
    assert_eq!(updates.hear(at(0), Input::Slots(slots("A", "1.0.0", None))), [good()]);
    updates
}

fn install(updates: &mut Updates, location: &str) -> Vec<Action> {
    let order = UpdateOrder::Install { location: location.to_owned(), force: false };
    let (said, actions) = updates.order(at(1), &order);
    said.expect("it is taken");
    actions
}

fn bundle(compatible: &str, version: &str) -> Input {
    let (compatible, version) = (compatible.to_owned(), version.to_owned());
    Input::Inspected(Ok(Bundle { compatible, version }))
}

fn site() -> Site {
    Site {
        cars: Vec::new(),
        chargers: vec!["CP-1".to_owned(), "CP-2".to_owned()],
        meters: vec!["grid".to_owned()],
        is_ticking: true,
        store_failing: None,
    }
}

fn stage(updates: &Updates) -> UpdateStage {
    updates.memory.stage.word()
}

fn words(updates: &Updates) -> String {
    updates.view(at(0), Vec::new(), Vec::new()).words
}

/// Installed and about to start anew.
fn installed() -> Updates {
    let mut updates = ready();
    install(&mut updates, "/tmp/two.raucb");
    updates.hear(at(2), bundle("box", "2.0.0"));
    updates.hear(at(3), Input::Tick(site()));
    updates.hear(at(4), Input::Written(Ok(())));
    assert!(updates.hear(at(5), Input::Tick(site())).contains(&Action::Reboot));
    updates
}

/// Slot B runs for the first time.
fn on_trial() -> Updates {
    let mut updates = fresh(installed().memory, "boot-2");
    updates.hear(at(0), Input::Slots(slots("B", "1.0.0", Some("2.0.0"))));
    assert_eq!(stage(&updates), UpdateStage::Trial);
    updates
}

#[test]
fn a_file_is_looked_at_written_tried_and_confirmed() {
    let mut updates = ready();
    let file = "/tmp/two.raucb".to_owned();
    assert_eq!(install(&mut updates, &file), [Action::Inspect { file: file.clone() }]);
    updates.hear(at(2), bundle("box", "2.0.0"));
    assert_eq!(stage(&updates), UpdateStage::Waiting);
    let actions = updates.hear(at(3), Input::Tick(site()));
    assert_eq!(actions, [Action::Write { file }]);
    updates.hear(at(4), Input::Written(Ok(())));
    assert_eq!(stage(&updates), UpdateStage::Installed);
    assert_eq!(updates.hear(at(5), Input::Tick(site())), [Action::Reboot]);
    assert_eq!(updates.hear(at(6), Input::Tick(site())), [], "once is enough");

    let mut updates = on_trial();
    let mut half = site();
    half.chargers.pop();
    updates.hear(at(10), Input::Tick(half));
    assert!(words(&updates).contains("CP-2 not connected again"), "{}", words(&updates));
    updates.hear(at(20), Input::Tick(site()));
    updates.hear(at(49), Input::Tick(site()));
    assert_eq!(stage(&updates), UpdateStage::Trial, "it has to work for a while");
    let actions = updates.hear(at(50), Input::Tick(site()));
    assert_eq!(actions[0], Action::Mark { state: "good", slot: "booted" });
    assert_eq!(stage(&updates), UpdateStage::Confirmed);
    assert_eq!(updates.memory.least.as_deref(), Some("2.0.0"));
}

#[test]
fn what_does_not_fit_is_refused_in_words_and_not_tried_again() {
    let cases = [
        (bundle("other-box", "2.0.0"), "it is for \"other-box\", and this box is \"box\""),
        (bundle("box", "0.9.0"), "0.9.0 is older than 1.0.0, which runs here"),
        (bundle("box", "1.0"), "1.0 runs here already"),
        (bundle("box", "next"), "its version \"next\" has no order"),
        (
            Input::Inspected(Err(Fault::Refused("its signature is not trusted".to_owned()))),
            "its signature is not trusted",
        ),
    ];
    for (input, expected) in cases {
        let mut updates = ready();
        install(&mut updates, "/tmp/odd.raucb");
        updates.hear(at(2), input);
        assert_eq!(stage(&updates), UpdateStage::Failed);
        assert!(words(&updates).contains(expected), "{}", words(&updates));
        assert_eq!(updates.hear(at(9999), Input::Tick(site())), []);
    }
}

#[test]
fn what_was_confirmed_once_is_the_least_for_ever() {
    let memory = Memory { least: Some("3.0.0".to_owned()), ..Memory::default() };
    let mut updates = fresh(memory, "boot-1");
    updates.hear(at(0), Input::Slots(slots("A", "1.0.0", None)));
    let order = UpdateOrder::Install { location: "/tmp/two.raucb".to_owned(), force: true };
    updates.order(at(1), &order).0.expect("it is looked at");
    updates.hear(at(2), bundle("box", "2.0.0"));
    assert!(words(&updates).contains("older than 3.0.0, which was confirmed here"));
    install(&mut updates, "/tmp/three.raucb");
    updates.hear(at(3), bundle("box", "3.0.0"));
    assert_eq!(stage(&updates), UpdateStage::Waiting, "the same may come again");
}

/// A car that charges with 10 kW from noon to one o'clock, when it leaves, and needs all of it.
fn late() -> Site {
    let time = |text| Utc::parse(text).expect("a time");
    let (noon, one) = (time("2026-03-01T12:00:00Z"), time("2026-03-01T13:00:00Z"));
    let car = Stay {
        evse: "EVSE-07".to_owned(),
        leaves: Some(one),
        need_kwh: Some(10.0),
        could: vec![pause::Span { from: noon, until: one, kw: 10.0 }],
        ..Stay::default()
    };
    Site { cars: vec![car], ..site() }
}

#[test]
fn it_is_written_and_waits_for_a_car_that_would_be_late_until_a_person_forces_it() {
    let mut updates = ready();
    install(&mut updates, "/tmp/two.raucb");
    updates.hear(at(2), bundle("box", "2.0.0"));
    let actions = updates.hear(at(3), Input::Tick(late()));
    assert!(matches!(actions[..], [Action::Write { .. }]), "writing makes nobody late");
    updates.hear(at(4), Input::Written(Ok(())));
    let told = updates.hear(at(5), Input::Tick(late()));
    assert!(
        matches!(&told[..], [Action::Tell { kind: EventKind::UpdateWaiting, text }]
        if text == "2.0.0 waits: EVSE-07 would miss 13:00 by 10 min"),
        "{told:?}"
    );
    assert_eq!(updates.hear(at(6), Input::Tick(late())), [], "told once");
    let shown = words(&updates);
    assert!(shown.contains("start anew waits: EVSE-07 would miss 13:00 by 10 min"), "{shown}");
    updates.order(at(7), &UpdateOrder::Force).0.expect("it waits");
    assert_eq!(updates.hear(at(8), Input::Tick(late())), [Action::Reboot]);
}

#[test]
fn a_car_with_time_in_hand_or_without_a_departure_holds_nothing_back() {
    let mut updates = ready();
    install(&mut updates, "/tmp/two.raucb");
    updates.hear(at(2), bundle("box", "2.0.0"));
    updates.hear(at(3), Input::Tick(site()));
    updates.hear(at(4), Input::Written(Ok(())));
    assert!(!updates.hear(at(5), Input::Tick(late())).contains(&Action::Reboot));
    let mut easy = late();
    easy.cars[0].need_kwh = Some(8.0);
    easy.cars.push(Stay { evse: "EVSE-08".to_owned(), ..Stay::default() });
    assert!(updates.hear(at(6), Input::Tick(easy)).contains(&Action::Reboot));
    let view = updates.view(at(6), Vec::new(), Vec::new());
    let assumed = &view.assumed;
    assert!(assumed.iter().any(|words| words.contains("leaves at EVSE-08")), "{assumed:?}");
}

#[test]
fn a_trial_that_fails_leads_back_and_is_told_as_a_failure() {
    let mut updates = on_trial();
    let silent = Site { meters: Vec::new(), ..site() };
    updates.hear(at(0), Input::Tick(silent.clone()));
    updates.hear(at(600), Input::Tick(silent.clone()));
    let actions = updates.hear(at(601), Input::Tick(silent.clone()));
    let bad = Action::Mark { state: "bad", slot: "booted" };
    let other = Action::Mark { state: "active", slot: "other" };
    assert_eq!(actions, [bad, other, Action::Reboot]);
    assert_eq!(updates.hear(at(602), Input::Tick(silent)), []);

    let mut updates = fresh(updates.memory, "boot-3");
    updates.hear(at(0), Input::Slots(slots("A", "1.0.0", Some("2.0.0"))));
    assert_eq!(stage(&updates), UpdateStage::RolledBack);
    assert!(words(&updates).contains("grid silent"), "{}", words(&updates));
    assert!(!updates.is_news("2.0.0") && updates.is_news("2.0.1"), "not again from an index");
}

#[test]
fn the_boot_loader_may_go_back_by_itself() {
    let mut never = fresh(installed().memory, "boot-2");
    never.hear(at(0), Input::Slots(slots("A", "1.0.0", Some("2.0.0"))));
    assert_eq!(stage(&never), UpdateStage::RolledBack);
    let mut later = fresh(on_trial().memory, "boot-3");
    later.hear(at(0), Input::Slots(slots("A", "1.0.0", Some("2.0.0"))));
    assert_eq!(stage(&later), UpdateStage::RolledBack);
    // The program alone was started anew, not the box: it is still due.
    let mut same = fresh(installed().memory, "boot-1");
    same.hear(at(0), Input::Slots(slots("A", "1.0.0", Some("2.0.0"))));
    assert_eq!(stage(&same), UpdateStage::Installed);
    assert_eq!(same.hear(at(1), Input::Tick(site())), [Action::Reboot]);
}

/// The power is cut while it starts: GRUB has tried it once, and takes the other slot from then on.
#[test]
fn a_confirmed_version_that_the_boot_loader_has_left_is_told_and_can_be_had_again() {
    let mut updates = on_trial();
    updates.hear(at(20), Input::Tick(site()));
    updates.hear(at(50), Input::Tick(site()));
    assert_eq!(stage(&updates), UpdateStage::Confirmed);
    let mut back = slots("A", "1.0.0", Some("2.0.0"));
    back.slots[1].good = false;
    let mut updates = fresh(updates.memory, "boot-3");
    let actions = updates.hear(at(0), Input::Slots(back.clone()));
    assert_eq!(stage(&updates), UpdateStage::RolledBack);
    assert!(words(&updates).contains("the boot loader took slot A"), "{}", words(&updates));
    let told = EventKind::UpdateRolledBack;
    assert!(actions.iter().any(|one| matches!(one, Action::Tell { kind, .. } if *kind == told)));
    assert_eq!(actions.last(), Some(&good()));
    assert!(updates.memory.bad_versions.is_empty(), "nothing is wrong with it");

    let actions = updates.order(at(1), &UpdateOrder::Rollback).1;
    assert_eq!(actions[0], Action::Mark { state: "active", slot: "other" });
    let mut updates = fresh(updates.memory, "boot-4");
    updates.hear(at(0), Input::Slots(slots("B", "1.0.0", Some("2.0.0"))));
    assert_eq!(stage(&updates), UpdateStage::Trial);
    // Where it runs, there is nothing to tell; a slot that never worked is not gone to.
    let mut updates = ready();
    back.slots[1].version = Some("3.0.0".to_owned());
    updates.hear(at(1), Input::Slots(back));
    assert!(updates.order(at(2), &UpdateOrder::Rollback).0.is_err());
}

/// A boot loader that is never told takes the other slot after some starts.
#[test]
fn every_start_without_a_trial_is_told_to_the_boot_loader() {
    let mut updates = fresh(Memory::default(), "boot-2");
    assert_eq!(updates.hear(at(0), Input::Slots(slots("A", "1.0.0", None))), [good()]);
    assert_eq!(updates.hear(at(1), Input::Slots(slots("A", "1.0.0", None))), [], "once");

    let mut trial = fresh(installed().memory, "boot-2");
    let told = trial.hear(at(0), Input::Slots(slots("B", "1.0.0", Some("2.0.0"))));
    assert!(!told.contains(&good()), "not before it works: {told:?}");

    let mut back = fresh(on_trial().memory, "boot-3");
    let told = back.hear(at(0), Input::Slots(slots("A", "1.0.0", Some("2.0.0"))));
    let marks: Vec<_> = told.iter().filter(|one| matches!(one, Action::Mark { .. })).collect();
    let bad = Action::Mark { state: "bad", slot: "other" };
    let first = Action::Mark { state: "active", slot: "booted" };
    assert_eq!(marks, [&bad, &first, &good()], "it went back by itself: it must not try again");

    let mut unknown = fresh(Memory::default(), "boot-1");
    assert_eq!(unknown.hear(at(0), Input::Slots(Slots::default())), [], "from no slot");
}

#[test]
fn a_version_that_dies_again_and_again_is_left() {
    let mut memory = on_trial().memory;
    for start in 2..=trial::STARTS_MAX + 1 {
        let mut updates = fresh(memory, "boot-2");
        updates.hear(at(0), Input::Slots(slots("B", "1.0.0", Some("2.0.0"))));
        let left = updates.hear(at(1), Input::Tick(site())).contains(&Action::Reboot);
        assert_eq!(left, trial::STARTS_MAX < start, "start {start}");
        memory = updates.memory;
    }
}

#[test]
fn what_was_cut_off_goes_on() {
    let mut updates = ready();
    let url = "https://updates.example/two.raucb";
    let fetch = install(&mut updates, url);
    assert!(matches!(fetch[..], [Action::Fetch { .. }]));
    let mut updates = fresh(updates.memory, "boot-1");
    let goes_on = [&fetch[..], &[good()]].concat();
    assert_eq!(updates.hear(at(0), Input::Slots(slots("A", "1.0.0", None))), goes_on);
    updates.hear(at(1), Input::Fetched(Ok("/data/two".to_owned())));
    updates.hear(at(2), bundle("box", "2.0.0"));
    updates.hear(at(3), Input::Tick(site()));
    assert_eq!(stage(&updates), UpdateStage::Installing);

    let cut = |seen: Slots| {
        let mut updates = fresh(updates.memory.clone(), "boot-1");
        let actions = updates.hear(at(0), Input::Slots(seen));
        (stage(&updates), actions)
    };
    let writing = Slots { is_writing: true, ..slots("A", "1.0.0", None) };
    assert_eq!(cut(writing), (UpdateStage::Installing, vec![Action::Follow]));
    assert_eq!(cut(slots("A", "1.0.0", None)).0, UpdateStage::Waiting, "from the beginning");
    let done = Slots { primary: "rootfs.1".to_owned(), ..slots("A", "1.0.0", Some("2.0.0")) };
    assert_eq!(cut(done).0, UpdateStage::Installed);
    let (stage, told) = cut(slots("B", "1.0.0", Some("2.0.0")));
    assert_eq!(stage, UpdateStage::Trial, "the box came up with it; nothing is written over 1.0.0");
    assert!(!told.contains(&good()), "{told:?}");
}

#[test]
fn trouble_is_tried_again_and_given_up_after_a_while() {
    let mut updates = ready();
    install(&mut updates, "https://updates.example/two.raucb");
    let lost = || Input::Fetched(Err(Fault::Trouble("connection refused".to_owned())));
    updates.hear(at(10), lost());
    assert_eq!(stage(&updates), UpdateStage::Found);
    assert_eq!(updates.hear(at(69), Input::Tick(site())), []);
    assert!(matches!(updates.hear(at(70), Input::Tick(site()))[..], [Action::Fetch { .. }]));
    updates.hear(at(80), lost());
    updates.hear(at(80 + 240), Input::Tick(site()));
    updates.hear(at(400), lost());
    assert_eq!(stage(&updates), UpdateStage::Failed);
    assert!(words(&updates).contains("connection refused; it was tried 3 times"));
}

fn offer(action: &str) -> Input {
    Input::Offered(Offer {
        source: Source::HawkBit { action: action.to_owned() },
        url: "https://hawkbit.example/two.raucb".to_owned(),
        version: Some("Summer release".to_owned()),
        sha256: None,
        size_bytes: None,
    })
}

fn told(updates: &Updates) -> Vec<(String, String)> {
    let reports = updates.memory.reports.iter();
    reports.map(|report| (report.execution.clone(), report.finished.clone())).collect()
}

#[test]
fn a_server_is_told_from_the_download_to_the_end() {
    let mut updates = ready();
    updates.hear(at(1), offer("8"));
    updates.hear(at(2), offer("9"));
    updates.hear(at(3), Input::Fetched(Ok("/data/two".to_owned())));
    updates.hear(at(4), bundle("box", "2.0.0"));
    updates.hear(at(6), Input::Tick(site()));
    updates.hear(at(7), Input::Written(Ok(())));
    updates.hear(at(8), Input::Tick(late()));
    updates.hear(at(9), Input::Tick(site()));
    let mut updates = fresh(updates.memory, "boot-2");
    updates.hear(at(0), Input::Slots(slots("B", "1.0.0", Some("2.0.0"))));
    updates.hear(at(1), Input::Tick(site()));
    updates.hear(at(31), Input::Tick(site()));
    let executions: Vec<String> = told(&updates).into_iter().map(|(one, _)| one).collect();
    let all = ["download", "downloaded", "proceeding", "proceeding", "scheduled", "proceeding"];
    assert_eq!(executions[..6], all);
    assert_eq!(told(&updates)[6..], [("closed".to_owned(), "success".to_owned())]);
    assert!(updates.memory.reports.iter().all(|report| report.action == "8"));
    assert_eq!(updates.hear(at(40), offer("8")), [], "it has ended");
    for report in updates.memory.reports.clone() {
        updates.reported(&report);
    }
    assert_eq!(updates.memory.reports, []);
}

#[test]
fn a_server_takes_back_what_is_not_written_yet() {
    let withdrawn = || Input::Withdrawn { action: "8".to_owned(), cancel: "8".to_owned() };
    let mut updates = ready();
    updates.hear(at(1), offer("8"));
    assert!(updates.hear(at(2), withdrawn()).contains(&Action::StopFetch));
    assert_eq!(stage(&updates), UpdateStage::Idle);
    let last = updates.memory.reports.last().expect("it is told");
    assert!(last.cancel && last.execution == "closed" && last.finished == "success");

    let mut updates = ready();
    updates.hear(at(1), offer("8"));
    updates.hear(at(3), Input::Fetched(Ok("/data/two".to_owned())));
    updates.hear(at(4), bundle("box", "2.0.0"));
    updates.hear(at(5), Input::Tick(site()));
    updates.hear(at(6), withdrawn());
    assert_eq!(stage(&updates), UpdateStage::Installing);
    assert_eq!(updates.memory.reports.last().map(|last| last.execution.as_str()), Some("rejected"));

    // Written, and the start of the box waits for a car: the slot that runs is first again.
    updates.hear(at(7), Input::Written(Ok(())));
    updates.hear(at(8), Input::Tick(late()));
    let actions = updates.hear(at(9), withdrawn());
    assert_eq!(actions[0], Action::Mark { state: "active", slot: "booted" });
    assert_eq!(stage(&updates), UpdateStage::RolledBack);
    assert_eq!(updates.hear(at(10), Input::Tick(site())), [], "and stays so");
    let last = updates.memory.reports.last().expect("it is told");
    assert!(last.cancel && last.execution == "closed" && last.finished == "success");
}

#[test]
fn people_confirm_cancel_and_go_back() {
    let order = |updates: &mut Updates, order| updates.order(at(50), &order);
    let mut updates = on_trial();
    assert!(order(&mut updates, UpdateOrder::Confirm).0.is_ok());
    assert_eq!(stage(&updates), UpdateStage::Confirmed);
    let (said, actions) = order(&mut updates, UpdateOrder::Rollback);
    assert!(said.expect("slot A is good").contains("slot A (1.0.0)"));
    assert_eq!(actions[0], Action::Mark { state: "active", slot: "other" });
    assert!(updates.hear(at(51), Input::Tick(site())).contains(&Action::Reboot));

    let mut updates = on_trial();
    assert!(order(&mut updates, UpdateOrder::Cancel).0.is_err());
    order(&mut updates, UpdateOrder::Rollback).0.expect("it is on trial");
    assert!(updates.hear(at(51), Input::Tick(site())).contains(&Action::Reboot));

    let mut updates = installed();
    order(&mut updates, UpdateOrder::Rollback).0.expect("it was not started");
    assert_eq!(stage(&updates), UpdateStage::RolledBack);

    let mut updates = ready();
    install(&mut updates, "/tmp/two.raucb");
    let again = UpdateOrder::Install { location: "/tmp/x".to_owned(), force: false };
    assert!(order(&mut updates, again).0.unwrap_err().contains("under way"));
    assert!(order(&mut updates, UpdateOrder::Rollback).0.is_err());
    order(&mut updates, UpdateOrder::Cancel).0.expect("it is not written");
    assert_eq!(stage(&updates), UpdateStage::Idle);
    for odd in ["two.raucb", "http://updates.example/x", "ftp://x", "https://", ""] {
        let odd = UpdateOrder::Install { location: odd.to_owned(), force: false };
        assert!(order(&mut updates, odd.clone()).0.is_err(), "{odd:?}");
    }
}

#[test]
fn memory_is_read_back_as_it_was_written() {
    for memory in [installed().memory, on_trial().memory, ready().memory] {
        let text = serde_json::to_string(&memory).unwrap();
        assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
    }
}

/// Whatever comes in whatever order: nothing is written that was not looked at and found to fit.
#[test]
fn no_order_of_things_writes_what_was_not_looked_at() {
    use proptest::prelude::*;
    let input = prop_oneof![
        Just(Input::Slots(slots("A", "1.0.0", None))),
        Just(Input::Slots(slots("B", "1.0.0", Some("2.0.0")))),
        Just(Input::Tick(site())),
        Just(offer("8")),
        Just(Input::Withdrawn { action: "8".to_owned(), cancel: "8".to_owned() }),
        Just(Input::Fetched(Ok("/data/two".to_owned()))),
        Just(Input::Fetched(Err(Fault::Trouble("gone".to_owned())))),
        Just(bundle("other", "2.0.0")),
        Just(bundle("box", "0.1.0")),
        Just(Input::Written(Err(Fault::Trouble("full".to_owned())))),
        Just(Input::Written(Ok(()))),
    ];
    proptest!(|(inputs in proptest::collection::vec(input, 0..40))| {
        let mut updates = fresh(Memory::default(), "boot-1");
        for (second, input) in inputs.into_iter().enumerate() {
            let actions = updates.hear(at(100 * second as i64), input);
            let writes = actions.iter().any(|action| matches!(action, Action::Write { .. }));
            prop_assert!(!writes, "no bundle that fits was ever seen");
        }
    });
}

#[test]
fn a_bundle_comes_from_a_file_or_a_secure_place() {
    let from = super::order::is_location;
    for good in ["/media/b.raucb", "https://example.org/b.raucb", "http://127.0.0.1:8000/b.raucb"] {
        assert_eq!(from(good), Ok(()), "{good}");
    }
    for bad in [
        "b.raucb",
        "https://",
        "http://example.org/b.raucb",
        "http://127.0.0.1:80@example.org/b.raucb",
        "http://localhost@example.org/b.raucb",
        "http://127.0.0.1.example.org/b.raucb",
    ] {
        assert!(from(bad).is_err(), "{bad}");
    }
}
