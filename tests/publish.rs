//! What is told over MQTT: facts of the site without tokens, documents that Home Assistant can use,
//! at a pace that spares broker and network, and cleared where it is no longer true.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use ampgate::config::broker::Publish;
use ampgate::controller::view::{LimitView, View};
use ampgate::ground::time::{Duration, Instant};
use ampgate::ground::units::{Amps, Watts};
use ampgate::publish::pace::{Letter, Pace};
use ampgate::publish::topics::Topics;
use ampgate::publish::{discovery, facts};
use ampgate::{controller, ground, model, plan};
use serde_json::Value;

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../src/ui/sample.rs"]
mod sample;

fn publish() -> Publish {
    Publish {
        topic: "ampgate".to_owned(),
        discovery: Some("homeassistant".to_owned()),
        every: Duration::seconds(10),
        limits_last: None,
    }
}

fn limit(evse: Option<&str>) -> LimitView {
    LimitView {
        evse: evse.map(str::to_owned),
        limit_a: evse.map(|_| Amps::new(10)),
        limit_w: evse.is_none().then(|| Watts::new(20_000)),
        source: "MQTT".to_owned(),
        until: None,
        words: "limit of 10.0 A by MQTT until 14:30".to_owned(),
    }
}

#[test]
fn the_site_is_told_with_its_failsafe_and_reason() {
    let fact = facts::site(&sample::busy());
    assert_eq!(fact.payload["failsafe"], false);
    assert_eq!(fact.payload["pv_w"], 11_400);
    assert!(fact.payload["headroom_a"].is_number(), "{}", fact.payload);
    let mut view = sample::busy();
    view.degraded = vec!["meter grid silent for 18 s".to_owned()];
    let silent = facts::site(&view);
    assert_eq!(silent.payload["failsafe"], true);
    assert_eq!(silent.payload["failsafe_reason"], "meter grid silent for 18 s");
    assert_ne!(silent.status, fact.status, "it is told at once");
    view.degraded = vec!["meter grid silent for 19 s".to_owned()];
    assert_eq!(facts::site(&view).status, silent.status, "a second more is not");
    view.nodes[0].metered_a = None;
    view.nodes[0].silent_meter = Some("grid".to_owned());
    assert_eq!(facts::site(&view).payload["import_w"], Value::Null, "nobody knows it");
}

#[test]
fn no_token_is_told() {
    let mut view = sample::hostile();
    for session in &mut view.sessions {
        session.token = "SECRET-TOKEN".to_owned();
    }
    let all: Vec<Value> = view.evses.iter().map(|one| facts::evse(&view, one).payload).collect();
    let text = format!("{all:?}{}", facts::site(&view).payload);
    assert!(!text.contains("SECRET-TOKEN"), "{text}");
}

#[test]
fn a_limit_is_told_with_its_words() {
    let mut view = sample::busy();
    let id = view.evses[1].id.clone();
    view.limits = vec![limit(Some(&id)), limit(None)];
    let told = facts::evse(&view, &view.evses[1]);
    assert_eq!(told.payload["limit_a"], 10.0);
    assert_eq!(told.payload["limit_reason"], "limit of 10.0 A by MQTT until 14:30");
    assert_eq!(facts::evse(&view, &view.evses[0]).payload["limit_a"], Value::Null);
    assert_eq!(facts::site(&view).payload["limit_kw"], 20.0);
}

#[test]
fn every_entity_has_an_id_of_its_own_and_a_key_that_is_told() {
    let (view, topics) = (sample::busy(), Topics::new(&publish()));
    let mut ids = BTreeSet::new();
    let mut look = |document: Value, told: &Value| {
        assert_eq!(document["availability_topic"], "ampgate/availability");
        for (key, entity) in document["components"].as_object().unwrap() {
            assert!(ids.insert(entity["unique_id"].as_str().unwrap().to_owned()));
            assert!(entity["platform"].is_string());
            if entity["platform"] != "button" {
                assert!(told.get(key).is_some(), "{key} is not told");
            }
        }
    };
    look(discovery::site(&view, &topics, true), &facts::site(&view).payload);
    for one in &view.evses {
        look(discovery::evse(&view, one, &topics, true), &facts::evse(&view, one).payload);
    }
}

#[test]
fn limits_can_be_set_only_where_they_are_taken() {
    let (view, topics) = (sample::busy(), Topics::new(&publish()));
    let with = discovery::evse(&view, &view.evses[0], &topics, true);
    let command = &with["components"]["limit_a"]["command_topic"];
    assert_eq!(command, "ampgate/evse/EVSE-01/limit_a/set");
    let without = discovery::evse(&view, &view.evses[0], &topics, false);
    assert!(!without.to_string().contains("command_topic"), "{without}");
    assert!(!discovery::site(&view, &topics, false).to_string().contains("command_topic"));
}

/// A broker that keeps what it is sent.
struct Kept {
    pace: Pace,
    now: Instant,
}

impl Kept {
    fn new() -> Self {
        Self { pace: Pace::new(&publish()), now: Instant::START }
    }

    /// After this span, what is sent.
    fn after(&mut self, seconds: i64, view: &View) -> Vec<Letter> {
        self.now = self.now + Duration::seconds(seconds);
        let letters = self.pace.due(view, self.now);
        letters.iter().for_each(|letter| self.pace.sent(letter.clone(), self.now));
        letters
    }
}

fn topics(letters: &[Letter]) -> Vec<&str> {
    letters.iter().map(|letter| letter.topic.as_str()).collect()
}

#[test]
fn only_what_has_changed_is_told_and_figures_wait_their_time() {
    let (mut kept, mut view) = (Kept::new(), sample::busy());
    assert_eq!(kept.after(0, &view).len(), 2 + 2 * 12, "a state and a document of each");
    assert_eq!(kept.after(60, &view), []);
    view.evses[1].power_w = Some(Watts::new(4_321));
    let told = kept.after(1, &view);
    assert_eq!(topics(&told), ["ampgate/site/state", "ampgate/evse/EVSE-02/state"]);
    view.evses[1].power_w = Some(Watts::new(4_400));
    assert_eq!(kept.after(9, &view), [], "a figure waits ten seconds");
    view.evses[1].online = false;
    let told = kept.after(0, &view);
    assert!(topics(&told).contains(&"ampgate/evse/EVSE-02/state"), "a status does not");
    assert_eq!(kept.after(1, &view).len(), 0);
}

#[test]
fn what_is_gone_is_cleared_and_a_restart_finds_it() {
    let (mut kept, mut view) = (Kept::new(), sample::busy());
    kept.after(0, &view);
    view.evses.remove(3);
    let gone: Vec<Letter> =
        kept.after(1, &view).into_iter().filter(|letter| letter.payload.is_empty()).collect();
    let [config, state] =
        ["homeassistant/device/ampgate_evse_EVSE-04/config", "ampgate/evse/EVSE-04/state"];
    assert_eq!(topics(&gone), [state, config]);
    assert!(!topics(&kept.after(60, &view)).contains(&state), "once is enough");
    // After a restart nothing is known but what the broker hands over.
    let mut fresh = Kept::new();
    fresh.pace.found("EVSE-04");
    fresh.pace.found("EVSE-05");
    let letters = fresh.after(0, &view);
    let cleared = letters.iter().filter(|letter| letter.payload.is_empty());
    assert_eq!(cleared.map(|letter| letter.topic.as_str()).collect::<Vec<_>>(), [state, config]);
    assert!(topics(&letters).contains(&"ampgate/evse/EVSE-05/state"));
}

#[test]
fn after_a_reconnect_all_is_told_again_and_rounds_are_bounded() {
    let (mut kept, mut view) = (Kept::new(), sample::busy());
    let one = view.evses[0].clone();
    view.evses = (0..500)
        .map(|number| controller::view::EvseView { id: format!("E{number}"), ..one.clone() })
        .collect();
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let letters = kept.after(1, &view);
        assert!(letters.len() <= 100, "{}", letters.len());
        seen.extend(letters.into_iter().map(|letter| letter.topic));
    }
    assert_eq!(seen.len(), 2 + 2 * 500);
    assert_eq!(kept.after(1, &view), []);
    kept.pace.again();
    assert_eq!(kept.after(1, &view).len(), 100);
}
