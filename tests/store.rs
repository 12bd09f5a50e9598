//! What was confirmed survives: a restart, a power cut at any write, a full disk; and what is not
//! ours is never touched.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "store/disk.rs"]
mod disk;
#[path = "store/facts.rs"]
mod facts;
#[path = "store/learned.rs"]
mod learning;

use std::fs;
use std::time::Duration;

use ampgate::ground::ids::{SessionId, TransactionId};
use ampgate::model::campaign::CampaignState;
use ampgate::model::record::Record;
use ampgate::model::reservation::ReservationState;
use ampgate::store::error::StoreError;
use ampgate::store::state::{Backing, CommitNumber, StoreState};
use ampgate::store::{Opened, Store};
use disk::Disk;
use facts::{
    Model, campaign, event, intent, lease, limit, preference, reading, reservation, session,
    setpoint, start, stop,
};
use proptest::prelude::*;
use redb::{Database, ReadableDatabase, TableDefinition};

/// Waits until the store is in a state; a test that waits this long has failed.
fn wait_for(store: &Store, wanted: impl FnMut(&StoreState) -> bool) -> StoreState {
    let mut state = store.state();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let wait =
        async { tokio::time::timeout(Duration::from_secs(60), state.wait_for(wanted)).await };
    runtime.block_on(wait).expect("the store answers").expect("the store is open").clone()
}

/// Commits and waits; false if the disk failed.
fn commit(store: &Store, records: Vec<Record>) -> bool {
    let number = store.commit(records);
    let state = wait_for(store, |state| number <= state.committed || state.failing.is_some());
    number <= state.committed
}

fn open_on(disk: &Disk) -> Result<Opened, StoreError> {
    let (opens, looks, spends) = (disk.clone(), disk.clone(), disk.clone());
    Store::open_with(Backing {
        open: Box::new(move || Database::builder().create_with_backend(opens.clone())),
        has_space: Box::new(move || !looks.is_full()),
        spend_reserve: Box::new(move || spends.spend_reserve()),
    })
}

/// A day of a small site, one commit a line.
fn steps() -> Vec<Vec<Record>> {
    vec![
        vec![lease(1, 6), lease(2, 6)],
        vec![start(1, 1), session(1, 1, None)],
        vec![lease(1, 16), event("a car has come")],
        vec![start(2, 2), session(2, 2, None), reading(1, 10_000), setpoint(1, 10_000)],
        vec![stop(1, 1), session(1, 1, Some(7400))],
        vec![start(3, 1), session(3, 1, None)],
        vec![lease(1, 32), lease(2, 10)],
        vec![stop(3, 1), session(3, 1, Some(11_000)), stop(2, 2), session(2, 2, Some(3))],
    ]
}

#[test]
fn facts_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::default();
    let opened = Store::open(dir.path()).unwrap();
    assert_eq!((opened.remembered, opened.start, opened.problems), (model.remembered(), 1, vec![]));
    for records in steps() {
        model.take(&records);
        opened.store.commit(records);
    }
    opened.store.close().unwrap();
    let opened = Store::open(dir.path()).unwrap();
    assert_eq!((opened.remembered, opened.start), (model.remembered(), 2));
    let events = opened.store.reader().events(0, 10).unwrap();
    assert_eq!(events[0].text, "a car has come");
}

#[test]
fn what_drivers_said_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::default();
    let store = Store::open(dir.path()).unwrap().store;
    let records = [
        vec![start(1, 1), session(1, 1, None), preference(1, Some(20)), intent(2, Some(8))],
        vec![preference(1, Some(12)), intent(3, Some(5))],
        vec![start(2, 3), session(2, 3, None), preference(2, Some(5)), intent(3, None)],
        vec![preference(2, None)],
    ];
    for records in records {
        model.take(&records);
        store.commit(records);
    }
    store.close().unwrap();
    let opened = Store::open(dir.path()).unwrap();
    assert_eq!(opened.remembered, model.remembered());
    assert_eq!((opened.remembered.preferences.len(), opened.remembered.intents.len()), (2, 1));
}

#[test]
fn limits_from_outside_are_remembered_until_they_are_over() {
    let mut model = Model::default();
    let dir = tempfile::tempdir().unwrap();
    for records in [
        vec![limit(None, Some(9200)), limit(Some(1), Some(10))],
        vec![limit(None, Some(4200)), limit(Some(1), None), limit(Some(2), Some(8))],
    ] {
        let store = Store::open(dir.path()).unwrap().store;
        model.take(&records);
        store.commit(records);
        store.close().unwrap();
        assert_eq!(Store::open(dir.path()).unwrap().remembered, model.remembered());
    }
    assert_eq!(model.remembered().limits.len(), 2);
}

#[test]
fn reservations_and_campaigns_are_remembered_as_they_stand() {
    let mut model = Model::default();
    let directory = tempfile::tempdir().expect("a directory");
    for state in [ReservationState::Asked, ReservationState::Held] {
        let Opened { store, .. } = Store::open(directory.path()).expect("it opens");
        let batch = vec![
            reservation(1, state),
            reservation(2, ReservationState::Expired),
            campaign(1, CampaignState::Running { since: None, status: "asked".to_owned() }),
            campaign(2, CampaignState::Waiting),
        ];
        model.take(&batch);
        store.commit(batch);
        store.close().expect("it is written");
        let opened = Store::open(directory.path()).expect("it opens");
        assert_eq!(opened.remembered, model.remembered());
        opened.store.close().expect("nothing is left");
    }
}

/// The power fails at every single write and sync of a day, and each time some of what was not
/// synced is lost: the store opens, holds everything it confirmed, and no step by half.
#[test]
fn a_power_cut_at_any_moment_loses_no_confirmed_fact() {
    let whole = Disk::default();
    let store = open_on(&whole).unwrap().store;
    let begun = whole.operations();
    assert!(steps().into_iter().all(|records| commit(&store, records)));
    store.close().unwrap();
    let total = whole.operations();
    assert!(begun + 50 < total, "the day is long enough to be cut: {begun} to {total}");
    for cut in begun..=total {
        let disk = Disk::cut_at(cut);
        let store = open_on(&disk).unwrap().store;
        let mut confirmed = Model::default();
        let mut reached = confirmed.clone();
        for records in steps() {
            reached.take(&records);
            if !commit(&store, records) {
                break;
            }
            confirmed = reached.clone();
        }
        drop(store);
        for seed in 0..4_u64 {
            let mut toss = (seed << 32) ^ (cut as u64) ^ 0x9E37_79B9_7F4A_7C15;
            let survivor = disk.after_power_cut(|| {
                toss ^= toss << 13;
                toss ^= toss >> 7;
                toss ^= toss << 17;
                match seed {
                    0 => false,
                    1 => true,
                    _ => toss & 1 == 0,
                }
            });
            let opened = open_on(&survivor)
                .unwrap_or_else(|error| panic!("cut at {cut}, seed {seed}: {error}"));
            let found = opened.remembered;
            let whole = found == confirmed.remembered() || found == reached.remembered();
            assert!(whole, "cut at {cut}, seed {seed}: {found:#?} is not {confirmed:#?}");
            assert_eq!(opened.problems, Vec::<String>::new());
        }
    }
}

#[test]
fn a_disk_that_fails_and_recovers_loses_nothing() {
    let disk = Disk::default();
    let store = open_on(&disk).unwrap().store;
    let mut model = Model::default();
    for (index, records) in steps().into_iter().enumerate() {
        disk.set_broken(2 <= index);
        model.take(&records);
        assert_eq!(commit(&store, records), index < 2, "step {index}");
        match store.reader().sessions(0, 10) {
            Ok(sessions) => assert_eq!(sessions.len(), model.sessions.len()),
            Err(error) => assert!(matches!(error, StoreError::Unreadable), "{error}"),
        }
    }
    let words = store.state().borrow().failing.clone().unwrap();
    assert!(words.contains("worn out"), "{words}");
    store.tick();
    disk.set_broken(false);
    store.tick();
    let state = wait_for(&store, |state| state.failing.is_none());
    assert_eq!(state.committed, CommitNumber(steps().len() as u64));
    store.close().unwrap();
    assert_eq!(open_on(&disk).unwrap().remembered, model.remembered());
}

/// A full disk takes no readings any more, and every transaction.
#[test]
fn a_full_disk_still_takes_transactions() {
    let disk = Disk::default();
    let store = open_on(&disk).unwrap().store;
    for hour in 0..10 {
        store.commit((0..1000).map(|at| reading(1, (hour * 1000 + at) * 5000)).collect());
        assert!(commit(&store, vec![lease(1, hour)]));
        (0..60).for_each(|_| store.tick());
    }
    disk.fill();
    for id in 1..=400 {
        let later = (50 + id as i64) * 1000;
        store.commit((0..200).map(|at| reading(2, (later + at) * 5000)).collect());
        let number = store.commit(vec![start(id, 1), stop(id, 1), session(id, 1, Some(9))]);
        wait_for(&store, |state| number <= state.committed);
        store.tick();
    }
    let words = store.state().borrow().failing.clone().unwrap();
    assert!(words.contains("the disk is full: transactions are recorded"), "{words}");
    assert_eq!(store.reader().sessions(0, 5000).unwrap().len(), 400);
    disk.clear();
    store.tick();
    wait_for(&store, |state| state.failing.is_none());
    store.close().unwrap();
    let opened = open_on(&disk).unwrap();
    assert_eq!(opened.remembered.last_transaction, 400);
    assert!(!opened.store.reader().readings(&facts::evse(2), 0, 10).unwrap().is_empty());
}

/// Whoever looks at the state of the store for long holds up nobody who commits.
#[test]
fn a_commit_never_waits_for_those_who_watch() {
    let disk = Disk::default();
    let store = open_on(&disk).unwrap().store;
    let state = store.state();
    let held = state.borrow();
    let quiet = disk.operations();
    store.commit(vec![lease(1, 6)]);
    let mut patience = std::iter::repeat_with(std::thread::yield_now).take(1_000_000);
    assert!(patience.any(|()| quiet + 5 < disk.operations()), "it is written");
    for ceiling in 0..1000 {
        store.commit(vec![lease(1, ceiling)]);
        std::thread::yield_now();
    }
    drop(held);
    wait_for(&store, |state| state.committed == CommitNumber(1001));
}

#[test]
fn closing_on_a_failed_disk_says_so() {
    let disk = Disk::default();
    let store = open_on(&disk).unwrap().store;
    disk.set_broken(true);
    store.commit(vec![lease(1, 6)]);
    assert!(store.close().unwrap_err().to_string().contains("could not be written"));
}

#[test]
fn batched_facts_wait_for_their_tick_and_are_seen_meanwhile() {
    let disk = Disk::default();
    let store = open_on(&disk).unwrap().store;
    assert!(commit(&store, vec![start(1, 1), session(1, 1, None)]));
    let quiet = disk.operations();
    store.commit(vec![reading(1, 60_000), setpoint(1, 61_000), event("seen at once")]);
    let reader = store.reader();
    assert_eq!(reader.session_readings(SessionId(1)).unwrap().len(), 1);
    assert_eq!(reader.readings(&facts::evse(1), 0, 10).unwrap().len(), 1);
    assert_eq!(reader.events(0, 10).unwrap()[0].text, "seen at once");
    assert_eq!(reader.setpoints(&facts::evse(1), 0, 10).unwrap().len(), 1);
    assert_eq!(disk.operations(), quiet, "nothing is written for a curve");
    for _ in 0..60 {
        store.tick();
    }
    let survivor = || disk.after_power_cut(|| false);
    let on_disk = || open_on(&survivor()).unwrap().store.reader().events(0, 10).unwrap().len();
    let mut patience = std::iter::repeat_with(std::thread::yield_now).take(1_000_000);
    assert!(patience.any(|()| quiet < disk.operations()), "the batch is written");
    store.close().unwrap();
    assert_eq!(on_disk(), 1);
}

#[test]
fn pages_go_from_the_newest_backwards() {
    let disk = Disk::default();
    let store = open_on(&disk).unwrap().store;
    for id in 1..=7 {
        assert!(commit(&store, vec![start(id, 1), session(id, 1, Some(id * 1000))]));
    }
    let reader = store.reader();
    let page = |skip: usize| -> Vec<u64> {
        reader.sessions(skip, 3).unwrap().into_iter().map(|session| session.id.0).collect()
    };
    assert_eq!(page(0), [7, 6, 5]);
    assert_eq!(page(3), [4, 3, 2]);
    assert_eq!(page(6), [1]);
    assert_eq!(page(7), [0_u64; 0]);
    assert!(reader.transaction(TransactionId(3)).unwrap().is_some());
    assert_eq!(reader.session(SessionId(8)).unwrap(), None);
}

/// What still waits for the disk is seen as if it were there, each row once.
#[test]
fn pages_join_the_disk_and_what_waits_for_it() {
    let disk = Disk::default();
    let store = open_on(&disk).unwrap().store;
    store.commit((1..=4).map(|at| reading(1, at * 1000)).collect());
    store.close().unwrap();
    let store = open_on(&disk).unwrap().store;
    store.commit(vec![reading(1, 4000), reading(2, 4500), reading(1, 5000), reading(1, 500)]);
    let times = |skip: usize, count: usize| -> Vec<i64> {
        let rows = store.reader().readings(&facts::evse(1), skip, count).unwrap();
        rows.into_iter().map(|row| row.at.as_millis()).collect()
    };
    assert_eq!(times(0, 10), [5000, 4000, 3000, 2000, 1000, 500]);
    assert_eq!(times(1, 2), [4000, 3000]);
    assert_eq!(times(5, 9), [500]);
}

#[test]
fn a_second_process_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Store::open(dir.path()).unwrap();
    let words = Store::open(dir.path()).unwrap_err().to_string();
    assert!(words.contains("in use by another Ampgate (process "), "{words}");
    drop(opened);
    Store::open(dir.path()).unwrap();
}

#[test]
fn what_is_not_ours_is_refused_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ampgate.redb");
    fs::write(&path, "a letter to the bank").unwrap();
    let words = Store::open(dir.path()).unwrap_err().to_string();
    assert!(words.contains("is no Ampgate store"), "{words}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "a letter to the bank");

    fs::remove_file(&path).unwrap();
    const RECIPES: TableDefinition<&str, &str> = TableDefinition::new("recipes");
    let other = Database::create(&path).unwrap();
    let write = other.begin_write().unwrap();
    write.open_table(RECIPES).unwrap().insert("soup", "water").unwrap();
    write.commit().unwrap();
    drop(other);
    let words = Store::open(dir.path()).unwrap_err().to_string();
    assert!(words.contains("another program"), "{words}");
    let other = Database::open(&path).unwrap();
    let read = other.begin_read().unwrap();
    let soup = read.open_table(RECIPES).unwrap().get("soup").unwrap().unwrap().value().to_owned();
    assert_eq!(soup, "water");
}

/// A store of ours that flash has eaten: kept for a person, and the site goes on without ever
/// giving an id twice.
#[test]
fn a_damaged_store_is_kept_aside_and_ids_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ampgate.redb");
    let opened = Store::open(dir.path()).unwrap();
    opened.store.commit(vec![start(41, 1), session(17, 1, None)]);
    opened.store.close().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[..2048].fill(0xFF);
    fs::write(&path, &bytes).unwrap();

    let opened = Store::open(dir.path()).unwrap();
    assert!(opened.problems[0].contains("damaged-1"), "{:?}", opened.problems);
    assert_eq!(fs::read(dir.path().join("ampgate.redb.damaged-1")).unwrap(), bytes);
    assert!(41 < opened.remembered.last_transaction);
    assert!(17 < opened.remembered.last_session);
    assert_eq!(opened.remembered.transactions, []);
    drop(opened);
    assert_eq!(Store::open(dir.path()).unwrap().problems, Vec::<String>::new());
}

/// Flash rots where it likes: whatever is overwritten, opening neither panics nor overwrites.
#[test]
fn a_store_with_rotten_pages_never_stops_the_site_by_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ampgate.redb");
    let opened = Store::open(dir.path()).unwrap();
    for records in steps() {
        opened.store.commit(records);
    }
    opened.store.close().unwrap();
    let good = fs::read(&path).unwrap();
    for page in 0..good.len() / 4096 {
        let mut bytes = good.clone();
        bytes[page * 4096..][..4096].fill(0xA5);
        fs::write(&path, &bytes).unwrap();
        let opened = Store::open(dir.path());
        assert!(opened.is_ok(), "page {page}: {:?}", opened.unwrap_err());
    }
}

#[derive(Clone, Debug)]
enum Act {
    Commit(Vec<Record>),
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    let record = prop_oneof![
        (1..40_u64, 1..4_u32).prop_map(|(id, point)| start(id, point)),
        (1..40_u64, 1..4_u32).prop_map(|(id, point)| stop(id, point)),
        (1..40_u64, 1..4_u32, proptest::option::of(0..9000_u64))
            .prop_map(|(id, point, energy)| session(id, point, energy)),
        (1..4_u32, 0..32_i64).prop_map(|(point, ceiling)| lease(point, ceiling)),
        (1..4_u32, ".{0,3}").prop_map(|(point, model)| facts::charge_point(point, &model)),
        (1..4_u32, 0..9_i64).prop_map(|(point, at)| reading(point, at)),
    ];
    let commit = proptest::collection::vec(record, 0..5).prop_map(Act::Commit);
    prop_oneof![8 => commit, 1 => Just(Act::Reopen)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever is committed in whatever order, a start finds what a plain map would hold.
    #[test]
    fn what_is_remembered_is_what_was_committed(
        acts in proptest::collection::vec(act(), 1..60)
    ) {
        let disk = Disk::default();
        let mut store = open_on(&disk).unwrap().store;
        let mut model = Model::default();
        for act in acts {
            match act {
                Act::Commit(records) => {
                    model.take(&records);
                    store.commit(records);
                }
                Act::Reopen => {
                    store.close().unwrap();
                    let opened = open_on(&disk).unwrap();
                    prop_assert_eq!(opened.remembered, model.remembered());
                    store = opened.store;
                }
            }
        }
        store.close().unwrap();
        prop_assert_eq!(open_on(&disk).unwrap().remembered, model.remembered());
    }
}

/// What a day of twelve busy chargers costs the flash. Run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn bytes_written_in_a_day_of_twelve_busy_chargers() {
    let disk = Disk::default();
    let store = open_on(&disk).unwrap().store;
    let mut id = 0;
    let mut running = [0_u64; 13];
    let mut urgent = (0, 0_u64);
    let mut before = disk.written();
    // Four sessions a charger; a reading a minute each, a changed setpoint every five minutes, the
    // ceiling of the lease moved four times a session, a few events.
    for minute in 0..1440_i64 {
        let at = minute * 60_000;
        let mut count = |store: &Store, records: Vec<Record>| {
            let start = disk.written();
            assert!(commit(store, records));
            urgent = (urgent.0 + 1, urgent.1 + disk.written() - start);
        };
        for point in 1..=12_u32 {
            let phase = (minute + i64::from(point) * 29) % 360;
            let current = &mut running[point as usize];
            match phase {
                0 => {
                    id += 1;
                    *current = id;
                    count(
                        &store,
                        vec![start(id, point), session(id, point, None), lease(point, 6)],
                    );
                }
                2 | 60 | 120 | 200 => count(&store, vec![lease(point, 8 + phase)]),
                300 if *current != 0 => {
                    count(&store, vec![stop(*current, point), session(*current, point, Some(9))]);
                    *current = 0;
                }
                _ => {}
            }
            if *current != 0 {
                store.commit(vec![reading(point, at)]);
            }
            if *current != 0 && phase % 5 == 0 {
                store.commit(vec![setpoint(point, at), event("a limit was lowered for a while")]);
            }
        }
        let quiet = disk.operations();
        for _ in 0..12 {
            store.tick();
        }
        if minute % 5 == 4 {
            let mut patience = std::iter::repeat_with(std::thread::yield_now).take(100_000);
            patience.any(|()| quiet < disk.operations());
        }
        if minute % 360 == 359 {
            println!("hour {}: {} MB so far", minute / 60, (disk.written() - before) / 1_000_000);
        }
    }
    store.close().unwrap();
    before = disk.written() - before;
    println!(
        "{:.1} MB in a day; {} urgent commits of {:.1} KB",
        before as f64 / 1e6,
        urgent.0,
        urgent.1 as f64 / 1e3 / f64::from(urgent.0)
    );
}

/// A store that was written with this format and packed.
fn fixture(format: u64) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store");
    folder.join(format!("format-{format}.redb.gz"))
}

/// A store that an older version wrote opens, with everything in it. If this fails because a record
/// has changed, the change needs a migration, not a new fixture.
#[test]
fn stores_of_every_released_format_open() {
    let mut model = Model::default();
    steps().iter().for_each(|records| model.take(records));
    let format = ampgate::store::table::FORMAT;
    for format in 1..=format {
        let dir = tempfile::tempdir().unwrap();
        let packed = fs::File::open(fixture(format)).unwrap();
        let mut unpacked = fs::File::create(dir.path().join("ampgate.redb")).unwrap();
        std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut unpacked).unwrap();
        let opened = Store::open(dir.path()).unwrap();
        assert_eq!(opened.remembered, model.remembered(), "format {format}");
        let reader = opened.store.reader();
        assert_eq!(reader.events(0, 10).unwrap().len(), 1);
        assert_eq!(reader.setpoints(&facts::evse(1), 0, 10).unwrap().len(), 1);
        assert_eq!(reader.readings(&facts::evse(1), 0, 10).unwrap().len(), 1);
    }
}

/// Writes the fixture of this version's format; to be run once, when the format is released.
#[test]
#[ignore = "writes a file of the repository"]
fn write_the_fixture_of_this_format() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap().store;
    for records in steps() {
        store.commit(records);
    }
    store.close().unwrap();
    let mut written = fs::File::open(dir.path().join("ampgate.redb")).unwrap();
    let packed = fs::File::create(fixture(ampgate::store::table::FORMAT)).unwrap();
    let mut packer = flate2::write::GzEncoder::new(packed, flate2::Compression::best());
    std::io::copy(&mut written, &mut packer).unwrap();
    packer.finish().unwrap();
}
