//! Chargers that knocked and are not of this site, for people to adopt.
//!
//! A stranger is turned away (HTTP 404), so only its identity and address are known. While people
//! have opened the ear for it ([`Strangers::listen`]), it is let in for a short word and told to
//! wait; nothing that it says reaches the controller.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration as RealDuration;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::ground::time::{Duration, Instant, Utc};
use crate::model::message::Identity;
use crate::model::security::Stranger;
use crate::ocpp::interview;

use super::stream::Stream;

/// Strangers that are remembered; who knocked longest ago is forgotten.
const STRANGERS_MAX: usize = 200;

/// A word with a stranger takes at most this long, in real time …
const WORD_TIME: RealDuration = RealDuration::from_secs(20);

/// … and so many frames.
const WORD_FRAMES_MAX: usize = 16;

/// Words with strangers at a time.
const WORDS_MAX: usize = 16;

/// All of them; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Strangers(Arc<Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    known: BTreeMap<String, (u64, Stranger)>,
    knocks: u64,
    listens_until: Option<Instant>,
    words: usize,
}

impl Strangers {
    /// Strangers are let in for a word until then.
    pub fn listen(&self, until: Instant) {
        self.list().listens_until = Some(until);
    }

    /// For how much longer strangers are let in for a word.
    pub fn listens_for(&self, now: Instant) -> Duration {
        let until = self.list().listens_until;
        until.map_or(Duration::ZERO, |until| until.since(now)).max(Duration::ZERO)
    }

    /// Whether a stranger may have a word.
    pub fn may_speak(&self, now: Instant) -> bool {
        Duration::ZERO < self.listens_for(now) && self.list().words < WORDS_MAX
    }

    /// A stranger knocked.
    pub fn knocked(&self, identity: &str, address: &str, agent: &str, now: Option<Utc>) {
        let mut list = self.list();
        list.knocks += 1;
        let knock = list.knocks;
        if STRANGERS_MAX <= list.known.len() && !list.known.contains_key(identity) {
            let oldest = list.known.iter().min_by_key(|(_, (knock, _))| *knock);
            let oldest = oldest.map(|(identity, _)| identity.clone());
            oldest.and_then(|identity| list.known.remove(&identity));
        }
        let (last, stranger) = list.known.entry(identity.to_owned()).or_default();
        *last = knock;
        stranger.identity = identity.to_owned();
        stranger.address = address.to_owned();
        if !agent.is_empty() {
            stranger.agent = agent.to_owned();
        }
        stranger.first = stranger.first.or(now);
        stranger.last = now.or(stranger.last);
        stranger.times = stranger.times.saturating_add(1);
    }

    /// It is one of the site's now.
    pub fn forget(&self, identity: &str) {
        self.list().known.remove(identity);
    }

    /// All of them, who knocked last first.
    pub fn all(&self) -> Vec<Stranger> {
        let mut all: Vec<(u64, Stranger)> = self.list().known.values().cloned().collect();
        all.sort_by_key(|(knock, _)| std::cmp::Reverse(*knock));
        all.into_iter().map(|(_, stranger)| stranger).collect()
    }

    /// Has a word with a stranger and keeps what it says of itself.
    pub async fn word(&self, identity: &str, socket: WebSocketStream<Stream>, now: Utc) {
        self.list().words += 1;
        let _counted = Counted(self.clone());
        let told = tokio::time::timeout(WORD_TIME, self.converse(identity, socket, now));
        // Whether it went away or time is up does not matter: it comes again.
        let _ = told.await;
    }

    async fn converse(&self, identity: &str, mut socket: WebSocketStream<Stream>, now: Utc) {
        for _ in 0..WORD_FRAMES_MAX {
            let Some(Ok(message)) = socket.next().await else { return };
            let Message::Text(text) = message else { continue };
            let heard = interview::answer(text.as_str(), now);
            if let Some(who) = heard.identity {
                self.says(identity, who);
            }
            if let Some(reply) = heard.reply
                && socket.send(Message::text(reply)).await.is_err()
            {
                return;
            }
        }
    }

    fn says(&self, identity: &str, who: Identity) {
        if let Some((_, stranger)) = self.list().known.get_mut(identity) {
            let Identity { vendor, model, serial, firmware } = who;
            (stranger.vendor, stranger.model) = (vendor, model);
            (stranger.serial, stranger.firmware) = (serial, firmware);
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        // Every change under the lock is whole, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a word down when it is over, however it ends.
struct Counted(Strangers);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.list().words -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_forgets_who_knocked_longest_ago() {
        let strangers = Strangers::default();
        for number in 0..STRANGERS_MAX + 5 {
            strangers.knocked(&format!("X-{number}"), "192.0.2.1:1", "", None);
            strangers.knocked("X-0", "192.0.2.1:1", "Agent", None);
        }
        let all = strangers.all();
        assert_eq!(all.len(), STRANGERS_MAX);
        assert_eq!((all[0].identity.as_str(), all[0].agent.as_str()), ("X-0", "Agent"));
        assert!(all.iter().all(|stranger| stranger.identity != "X-1"));
        strangers.forget("X-0");
        assert_eq!(strangers.all().len(), STRANGERS_MAX - 1);
    }

    #[test]
    fn strangers_speak_only_while_somebody_listens() {
        let strangers = Strangers::default();
        let at = |seconds| Instant::START + Duration::seconds(seconds);
        assert!(!strangers.may_speak(at(0)));
        strangers.listen(at(60));
        assert!(strangers.may_speak(at(59)) && !strangers.may_speak(at(60)));
    }
}
