//! When something is told: only what has changed, a change of status at once, figures no more often
//! than configured, and no more than so many messages at a time. Remembers what the broker holds,
//! so that what is gone from the site is cleared there too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::config::broker::Publish;
use crate::controller::view::{EvseView, View};
use crate::ground::time::{Duration, Instant};

use super::discovery;
use super::facts::{self, Fact};
use super::topics::{Topics, slug};

/// A status that flaps is told no more often than this.
const STATUS_EVERY: Duration = Duration::seconds(1);

/// Messages of one round, a second each: twice as many as a large site has topics of its own.
const ROUND_MAX: usize = 100;

/// Topics that are remembered; a thousand EVSEs have two each.
const TOPICS_MAX: usize = 4000;

/// A message that is to be sent, retained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Where.
    pub topic: String,
    /// What; empty = nothing is retained there any more.
    pub payload: String,
    status: Value,
}

impl Letter {
    fn clear(topic: &str) -> Self {
        Self { topic: topic.to_owned(), payload: String::new(), status: Value::Null }
    }
}

/// What the broker holds of us.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    topics: Topics,
    every: Duration,
    takes_limits: bool,
    told: BTreeMap<String, Told>,
}

#[derive(Clone, Debug, PartialEq)]
struct Told {
    payload: String,
    status: Value,
    /// None = it has to be told again.
    at: Option<Instant>,
}

impl Pace {
    /// Nothing told so far.
    pub fn new(publish: &Publish) -> Self {
        Self {
            topics: Topics::new(publish),
            every: publish.every,
            takes_limits: publish.limits_last.is_some(),
            told: BTreeMap::new(),
        }
    }

    /// The connection is a fresh one, or Home Assistant has begun: all is told again.
    pub fn again(&mut self) {
        self.told.values_mut().for_each(|told| told.at = None);
    }

    /// The broker still holds something of an EVSE, by its slug: from before a restart, it may be.
    pub fn found(&mut self, slug: &str) {
        let device = self.topics.device(Some(slug));
        let topics = [Some(self.topics.evse(slug)), self.topics.discovery(&device)];
        for topic in topics.into_iter().flatten() {
            if self.told.len() < TOPICS_MAX {
                let held = Told { payload: "?".to_owned(), status: Value::Null, at: None };
                self.told.entry(topic).or_insert(held);
            }
        }
    }

    /// What is to be sent now, what is to be cleared first. Whatever could be sent is then told to
    /// [`Pace::sent`].
    pub fn due(&self, view: &View, now: Instant) -> Vec<Letter> {
        let pieces = self.pieces(view);
        let here: BTreeSet<&str> = pieces.iter().map(|(topic, _)| topic.as_str()).collect();
        let gone = self.told.keys().filter(|topic| !here.contains(topic.as_str()));
        let mut letters: Vec<Letter> =
            gone.take(ROUND_MAX).map(|topic| Letter::clear(topic)).collect();
        for (topic, piece) in &pieces {
            if ROUND_MAX <= letters.len() {
                break;
            }
            letters.extend(self.letter(view, topic, piece, now));
        }
        letters
    }

    /// This letter is on its way.
    pub fn sent(&mut self, letter: Letter, now: Instant) {
        let Letter { topic, payload, status } = letter;
        if payload.is_empty() {
            self.told.remove(&topic);
            return;
        }
        self.told.insert(topic, Told { payload, status, at: Some(now) });
    }

    /// Letters that clear everything, before other topics are used.
    pub fn farewell(&self) -> Vec<Letter> {
        self.told.keys().map(|topic| Letter::clear(topic)).collect()
    }

    /// The letter for a piece, if it is due.
    fn letter(&self, view: &View, topic: &str, piece: &Piece<'_>, now: Instant) -> Option<Letter> {
        let told = self.told.get(topic).and_then(|told| Some((told, told.at?)));
        let letter = |fact: Fact| Letter {
            topic: topic.to_owned(),
            payload: fact.payload.to_string(),
            status: fact.status,
        };
        let fact = match piece {
            Piece::Site => facts::site(view),
            Piece::Evse(evse) => facts::evse(view, evse),
            Piece::Document(evse, status) => {
                let (topics, limits) = (&self.topics, self.takes_limits);
                let payload = || match evse {
                    None => discovery::site(view, topics, limits),
                    Some(evse) => discovery::evse(view, evse, topics, limits),
                };
                // Made only when it is sent: it is long, and hardly ever changes.
                let is_due = told.is_none_or(|(told, _)| told.status != *status);
                return is_due.then(|| letter(Fact { payload: payload(), status: status.clone() }));
            }
        };
        let letter = letter(fact);
        let Some((told, at)) = told else { return Some(letter) };
        let age = now.since(at);
        let is_due = match told.status == letter.status {
            false => STATUS_EVERY <= age,
            true => self.every <= age && told.payload != letter.payload,
        };
        is_due.then_some(letter)
    }

    /// All that should be retained at the broker, by topic; documents before what they point to.
    fn pieces<'v>(&self, view: &'v View) -> Vec<(String, Piece<'v>)> {
        let mut pieces = Vec::new();
        let document = |device: String, evse: Option<&'v EvseView>, about: Value| {
            let topic = self.topics.discovery(&device)?;
            Some((topic, Piece::Document(evse, about)))
        };
        let rated: i64 = view.evses.iter().map(|evse| evse.rated_a.as_milli()).sum();
        let about = json!([view.site, rated]);
        pieces.extend(document(self.topics.device(None), None, about));
        pieces.push((self.topics.site(), Piece::Site));
        for evse in &view.evses {
            let slug = slug(&evse.id);
            let about = json!([view.site, evse.id, evse.rated_a]);
            pieces.extend(document(self.topics.device(Some(&slug)), Some(evse), about));
            pieces.push((self.topics.evse(&slug), Piece::Evse(evse)));
        }
        pieces
    }
}

/// One thing that is told.
enum Piece<'v> {
    Site,
    Evse(&'v EvseView),
    /// What Home Assistant reads of the site or an EVSE, and what that depends on.
    Document(Option<&'v EvseView>, Value),
}
