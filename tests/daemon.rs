//! The whole daemon with real sockets and a real store.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "daemon/charger.rs"]
mod charger;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ampgate::config::{self, Config};
use ampgate::controller::Controller;
use ampgate::controller::message::{Answer, JournalLine, Order, Output};
use ampgate::controller::view::View;
use ampgate::daemon::{self, Daemon, DaemonError, DaemonOptions, Handle};
use ampgate::ground::ids::EvseId;
use ampgate::ground::time::Duration as Span;
use ampgate::io::clock::Clock;
use ampgate::io::doors::DoorError;
use ampgate::io::journal::Header;
use ampgate::store::Store;
use charger::Charger;
use serde_json::json;

/// A test that waits this long for one thing has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A site of this many charge points with one connector each.
fn text(port: u16, points: usize) -> String {
    let mut text = format!(
        "[site]\nname = \"Test yard\"\ntime_zone = \"Europe/Paris\"\n\
         [listen]\nocpp = \"127.0.0.1:{port}\"\n[access]\nanyone = true\n\
         [[node]]\nid = \"grid\"\nname = \"IBST\"\nrating_a = {}\nworst_case_load_a = 0\n",
        57 + 6 * points
    );
    for number in 1..=points {
        text += &format!(
            "[[evse]]\nid = \"EVSE-{number:02}\"\nnode = \"grid\"\ncharge_point = \"CP-{number:02}\"\n\
             phases = \"L1L2L3\"\nrated_a = 32\nsafe_a = 6\n"
        );
    }
    text
}

fn parsed(text: &str) -> Config {
    let checked = config::parse(text, "site.toml").unwrap_or_else(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    });
    let mut config = checked.config;
    // A free port, which the configuration of a real site cannot ask for.
    config.ocpp = config.ocpp.map(|address| SocketAddr::new(address.ip(), 0));
    config
}

fn options(data: &Path, points: usize) -> DaemonOptions {
    let text = text(9000, points);
    DaemonOptions {
        config: parsed(&text),
        config_text: text,
        data: data.to_owned(),
        clock: Clock::real(),
        journal: None,
    }
}

async fn begin(data: &Path, points: usize) -> (Daemon, Handle, SocketAddr) {
    let daemon = daemon::start(options(data, points)).await.unwrap();
    let handle = daemon.handle();
    let address = handle.ocpp_address.unwrap();
    (daemon, handle, address)
}

async fn seen(handle: &Handle, wanted: impl Fn(&View) -> bool) {
    let mut view = handle.view.clone();
    let wait = view.wait_for(|view| wanted(view));
    let seen = tokio::time::timeout(PATIENCE, wait).await;
    assert!(seen.is_ok(), "not seen in time; the last view was {:#?}", handle.view.borrow());
}

fn is_online(view: &View, index: usize) -> bool {
    view.charge_points.get(index).is_some_and(|point| point.online)
}

fn is_charging(view: &View) -> bool {
    view.sessions.first().is_some_and(|session| session.ended.is_none())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_outlives_a_restart_of_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, handle, address) = begin(dir.path(), 1).await;
    let mut charger = Charger::connect(address, "CP-01").await;
    charger.boot().await;
    let id = charger.start(1000).await;
    seen(&handle, is_charging).await;
    daemon.stop().await.unwrap();
    assert!(!charger.was_closed_politely().await, "some chargers never come back after a Close");

    let (daemon, handle, address) = begin(dir.path(), 1).await;
    seen(&handle, is_charging).await;
    // A correct charger does not boot again when only its connection was lost.
    let mut charger = Charger::connect(address, "CP-01").await;
    charger.stop(id, 8400).await;
    seen(&handle, |view| !is_charging(view)).await;
    daemon.stop().await.unwrap();
    let store = Store::open(dir.path()).unwrap().store;
    let sessions = store.reader().sessions(0, 10).unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].energy_wh.as_milli(), 7_400_000);
    let codes: Vec<&str> =
        store.reader().events(0, 100).unwrap().iter().map(|event| event.kind.code()).collect();
    for code in ["daemon.stopping", "session.ended", "session.started", "link.up"] {
        assert!(codes.contains(&code), "{code} is missing in {codes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_adds_and_removes_charge_points_and_keeps_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, handle, address) = begin(dir.path(), 1).await;
    let mut first = Charger::connect(address, "CP-01").await;
    first.boot().await;
    let id = first.start(1000).await;
    assert!(Charger::try_connect(address, "CP-02").await.is_none());

    let wider = text(9000, 2);
    handle.reload(parsed(&wider), wider).await;
    let mut second = Charger::connect(address, "CP-02").await;
    second.boot().await;
    seen(&handle, |view| is_online(view, 0) && is_online(view, 1)).await;
    first.stop(id, 2000).await;

    let narrower = text(9000, 1);
    handle.reload(parsed(&narrower), narrower).await;
    second.ends().await;
    assert!(Charger::try_connect(address, "CP-02").await.is_none());
    handle.refuse("site.toml:7: rating_a = \"many\": expected a number".to_owned()).await;
    let told = || {
        let events = handle.store.events(0, 50).unwrap();
        events.into_iter().find(|event| event.kind.code() == "config.refused")
    };
    let handle = handle.clone();
    seen(&handle, |view| is_online(view, 0) && told().is_some()).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_people_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, handle, address) = begin(dir.path(), 1).await;
    let order = |evse: &str| Order::MeterNow { evse: EvseId::new(evse) };
    for evse in ["EVSE-01", "EVSE-99"] {
        let answer = handle.request(order(evse)).await;
        assert!(matches!(answer, Answer::Refused { .. }), "{evse}: {answer:?}");
    }
    let mut charger = Charger::connect(address, "CP-01").await;
    charger.boot().await;
    seen(&handle, |view| is_online(view, 0)).await;
    assert_eq!(handle.request(order("EVSE-01")).await, Answer::Done);
    let asked = charger
        .until("TriggerMessage", |payload| payload["requestedMessage"] == json!("MeterValues"));
    asked.await;
    daemon.stop().await.unwrap();
    let answer = handle.request(order("EVSE-01")).await;
    assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, _, address) = begin(dir.path(), 1).await;
    let words = daemon::start(options(dir.path(), 1)).await.unwrap_err().to_string();
    assert!(words.contains("in use by another Ampgate"), "{words}");
    let other = tempfile::tempdir().unwrap();
    let mut taken = options(other.path(), 1);
    taken.config.ocpp = Some(address);
    let refused = daemon::start(taken).await.unwrap_err();
    assert!(matches!(refused, DaemonError::Door(DoorError::Listen { .. })), "{refused}");
    assert!(refused.to_string().contains("cannot listen for chargers on"), "{refused}");
    daemon.stop().await.unwrap();
}

/// The same inputs give the same outputs, to the last byte: a journal of a real run is replayed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_replays_to_the_same_outputs() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal.jsonl");
    let mut options = options(&dir.path().join("data"), 1);
    options.journal = Some(journal.clone());
    let site = options.config.site.clone();
    let daemon = daemon::start(options).await.unwrap();
    let address = daemon.handle().ocpp_address.unwrap();
    let mut charger = Charger::connect(address, "CP-01").await;
    charger.boot().await;
    let id = charger.start(1000).await;
    charger.until("SetChargingProfile", |_| true).await;
    charger.stop(id, 1200).await;
    daemon.stop().await.unwrap();

    let text = std::fs::read_to_string(journal).unwrap();
    let mut lines = text.lines();
    let header: Header = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert!(header.config.contains("Test yard"));
    let mut controller = Controller::new(site, &header.remembered, header.now);
    let mut frames = 0;
    for line in lines {
        let JournalLine { now, input, outputs } = serde_json::from_str(line).unwrap();
        let mut again = Vec::new();
        controller.step(now, input, &mut again);
        assert_eq!(again, outputs);
        frames += outputs.iter().filter(|output| matches!(output, Output::Frame { .. })).count();
    }
    assert!(3 <= frames, "there was something to replay");
}

/// After a power cut in the street all chargers come back at once with what they queued. Run with
/// `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a check"]
async fn a_storm_of_reconnects_is_answered_in_time() {
    const CHARGERS: usize = 300;
    const TRANSACTIONS: i64 = 17;
    let dir = tempfile::tempdir().unwrap();
    let (daemon, handle, address) = begin(dir.path(), CHARGERS).await;
    let clock = Clock::real();
    let began = clock.now().mono;
    let mut running = Vec::with_capacity(CHARGERS);
    for number in 1..=CHARGERS {
        running.push(tokio::spawn(async move {
            let mut charger = Charger::connect(address, &format!("CP-{number:02}")).await;
            charger.boot().await;
            for past in 0..TRANSACTIONS {
                let time = charger::present() - Span::hours(40 - past);
                let id = charger.start_of(time, past * 1000).await;
                charger.stop(id, past * 1000 + 900).await;
            }
        }));
    }
    for charger in running {
        charger.await.unwrap();
    }
    let took = clock.now().mono.since(began);
    let resident = handle.machine().resident_bytes.unwrap_or(0) >> 20;
    println!(
        "{} messages of {CHARGERS} chargers answered in {} ms; {resident} MiB with the chargers",
        CHARGERS as i64 * (2 + 2 * TRANSACTIONS),
        took.as_millis()
    );
    daemon.stop().await.unwrap();
    let store = Store::open(dir.path()).unwrap().store;
    let sessions = store.reader().sessions(0, 10_000).unwrap();
    assert_eq!(sessions.len() as i64, CHARGERS as i64 * TRANSACTIONS);
}
