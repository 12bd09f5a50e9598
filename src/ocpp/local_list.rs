//! The local list of a charger (OCPP 1.6 §3.5, §5.10, §5.15): the tokens that it may accept while
//! nobody can be asked.
//!
//! ```text
//! Unknown ─ version ─▶ Known ─ chunks ─▶ Known … until the list is as wanted
//!    │ −1, NotSupported ─▶ Never (until another firmware)
//! ```
//! What the charger holds is remembered by version and a mark of each entry. As long as its version
//! is the one we left, only what differs is sent; else the whole list. Lists are split by
//! `SendLocalListMaxLength`: the first chunk of a whole list replaces all, the others add. A chunk
//! that is refused is answered with one whole list; if that fails too, people are told.

use serde::Deserialize;

use crate::model::ask::{Ask, ListEntry};
use crate::model::event::EventKind;

use super::capability::Held;
use super::link::mark;
use super::message::json;
use super::station::Station;
use super::task::{Question, Reply, Task};
use super::traffic::Step;

const CHUNK: &str = "SendLocalListMaxLength";
const LENGTH: &str = "LocalAuthListMaxLength";

/// Entries of one message where the charger does not say.
const CHUNK_USUAL: usize = 20;

/// Entries of one message however many the charger takes: a frame stays some kilobytes.
const CHUNK_MAX: usize = 200;

/// Entries of a list, here and in what is remembered.
const ENTRIES_MAX: usize = 2000;

/// The controller wants the charger to hold these.
pub fn want(station: &mut Station, entries: Vec<ListEntry>) {
    let list = &mut station.list;
    let entries: Vec<ListEntry> = entries.into_iter().take(ENTRIES_MAX).collect();
    if list.wanted.as_ref() == Some(&entries) {
        return;
    }
    let lost = |old: &ListEntry| {
        let allowed = old.info.as_ref().is_some_and(|info| info.is_accepted());
        let same = |new: &ListEntry| new.token == old.token && new.info == old.info;
        allowed && !entries.iter().any(same)
    };
    // Who may not charge any more must not be let in from the charger's own memory either.
    if list.wanted.as_ref().is_some_and(|before| before.iter().any(lost)) {
        station.boot.clear_cache = true;
    }
    list.wanted = Some(entries);
    list.given_up = false;
    list.repaired = false;
}

/// The link is gone: whether the last chunk arrived is found out on the next one.
pub fn offline(station: &mut Station) {
    let list = &mut station.list;
    (list.known, list.given_up, list.repaired, list.sent) = (false, false, false, 0);
}

/// The next message about the list.
pub fn next(station: &Station) -> Option<Task> {
    let list = &station.list;
    let held = &station.capability.list;
    let wanted = list.wanted.as_ref()?;
    let is_moot = wanted.is_empty() && held.version == 0;
    if is_moot || list.given_up || held.never || station.boot.configured.is_none() {
        return None;
    }
    if !supports(station) {
        return None;
    }
    if !list.known {
        let question = Question { ask: Ask::ListVersion, connector: 0 };
        return Some(Task::List { question: Box::new(question) });
    }
    let (full, entries) = chunk(station, wanted)?;
    let version = if held.version < i32::MAX { held.version.max(0) + 1 } else { 1 };
    let question = Question { ask: Ask::SendList { version, full, entries }, connector: 0 };
    Some(Task::List { question: Box::new(question) })
}

/// Whether the charger may keep a list, as far as its configuration says.
fn supports(station: &Station) -> bool {
    let known = &station.boot.known;
    let profiles = known.get("SupportedFeatureProfiles");
    let named = profiles.is_none_or(|all| all.contains("LocalAuthListManagement"));
    known.contains_key(CHUNK) || known.contains_key("LocalAuthListEnabled") || named
}

fn number(station: &Station, key: &str) -> Option<usize> {
    station.boot.known.get(key)?.trim().parse().ok().filter(|number| 0 < *number)
}

/// The next chunk: whether it replaces all, and its entries; none where the list is as wanted.
fn chunk(station: &Station, wanted: &[ListEntry]) -> Option<(bool, Vec<ListEntry>)> {
    let held = &station.capability.list;
    let size = number(station, CHUNK).unwrap_or(CHUNK_USUAL).min(CHUNK_MAX);
    let room = number(station, LENGTH).unwrap_or(ENTRIES_MAX);
    let wanted = &wanted[..wanted.len().min(room)];
    if station.list.whole {
        return Some((true, wanted.iter().take(size).cloned().collect()));
    }
    let is_wanted = |token: &String| wanted.iter().any(|entry| key(entry) == *token);
    let gone = held
        .entries
        .keys()
        .filter(|token| !is_wanted(token))
        .map(|token| ListEntry { token: crate::ground::ids::IdToken::new(token), info: None });
    let differs = |entry: &&ListEntry| held.entries.get(&key(entry)) != Some(&entry_mark(entry));
    let changed = wanted.iter().filter(differs).cloned();
    // Removals first: a list that is full takes nothing new.
    let entries: Vec<ListEntry> = gone.chain(changed).take(size).collect();
    (!entries.is_empty()).then_some((false, entries))
}

/// Tokens are compared without case.
fn key(entry: &ListEntry) -> String {
    entry.token.as_str().to_ascii_uppercase()
}

fn entry_mark(entry: &ListEntry) -> u64 {
    mark(&json(entry))
}

/// A message about the list has come to its end.
pub fn answered(
    station: &mut Station,
    step: &mut Step<'_>,
    question: &Question,
    reply: &Reply<'_>,
) {
    match &question.ask {
        Ask::SendList { version, full, entries } => {
            sent(station, step, *version, *full, entries, reply);
        }
        _ => versioned(station, reply),
    }
}

fn versioned(station: &mut Station, reply: &Reply<'_>) {
    let Station { list, capability, .. } = station;
    match reply {
        Reply::Timeout => list.given_up = true,
        Reply::Error(_) => capability.list = Held { never: true, ..Held::default() },
        Reply::Result(payload) => match version(payload) {
            Some(-1) => capability.list = Held { never: true, ..Held::default() },
            Some(version) => {
                list.known = true;
                list.whole = list.whole || version != capability.list.version;
                // A version that somebody else gave must rise too.
                capability.list.version = capability.list.version.max(version);
            }
            None => list.given_up = true,
        },
    }
}

fn version(payload: &str) -> Option<i32> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        list_version: serde_json::Value,
    }
    let version: Version = serde_json::from_str(payload).ok()?;
    match version.list_version {
        serde_json::Value::Number(number) => i32::try_from(number.as_i64()?).ok(),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn sent(
    station: &mut Station,
    step: &mut Step<'_>,
    version: i32,
    full: bool,
    entries: &[ListEntry],
    reply: &Reply<'_>,
) {
    if *reply == Reply::Timeout {
        // Whether it arrived is found out by its version.
        (station.list.known, station.list.given_up) = (false, true);
        return;
    }
    if reply.is_one_of(&["NotSupported"]) {
        station.capability.list = Held { never: true, ..Held::default() };
        return;
    }
    let list = &mut station.list;
    let held = &mut station.capability.list;
    if !reply.is_one_of(&["Accepted"]) {
        // Its version is asked again: another system may have written to it.
        (list.whole, list.known) = (true, false);
        if std::mem::replace(&mut list.repaired, true) {
            list.given_up = true;
            let text = format!("the list of tokens was refused: {}", reply.words());
            step.event(EventKind::ListRefused, &station.id, text);
        }
        return;
    }
    if full {
        held.entries.clear();
        list.whole = false;
    }
    held.version = version;
    for entry in entries {
        match entry.info {
            Some(_) => held.entries.insert(key(entry), entry_mark(entry)),
            None => held.entries.remove(&key(entry)),
        };
    }
    list.sent += entries.len();
    let wanted = station.list.wanted.clone().unwrap_or_default();
    if chunk(station, &wanted).is_none() {
        let held = &station.capability.list;
        let text = format!("{} tokens, version {}", held.entries.len(), held.version);
        station.list.sent = 0;
        step.event(EventKind::ListSent, &station.id, text);
    }
}
