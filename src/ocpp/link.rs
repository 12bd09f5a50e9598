//! One live connection: the one call of ours that may be in flight (OCPP-J 1.6 §4.1.1), the ids of
//! our calls, and how long the charger has been deaf or silent.
//!
//! The memory of answers outlives links: a charger that missed an answer asks again after it has
//! reconnected.

use std::collections::VecDeque;

use crate::ground::ids::LinkId;
use crate::ground::time::{Duration, Instant, Now};

use super::task::Task;

/// Answers of this many transaction messages are kept for a charger that asks again.
const ANSWERS_MAX: usize = 64;

/// So many unanswered calls in a row, with other frames coming in, and the charger is made to
/// reconnect (mobilityhouse/ocpp#338: some stop reading until they do).
const TIMEOUTS_MAX: u32 = 3;

/// A call of ours that waits for its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct InFlight {
    /// Its message id.
    pub id: String,
    /// What it asks.
    pub task: Task,
    /// Given up then.
    pub deadline: Instant,
}

/// A live connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Which.
    pub id: LinkId,
    /// From where, for people.
    pub address: String,
    /// Since when.
    pub since: Instant,
    /// It may be spoken to.
    pub online: bool,
    /// When the last frame came in.
    pub heard: Instant,
    /// The call in flight.
    pub in_flight: Option<InFlight>,
    stem: String,
    calls: u64,
    timeouts: u32,
    heard_in_vain: bool,
}

impl Link {
    /// A connection that has just been made.
    pub fn new(now: Now, id: LinkId, address: &str) -> Self {
        // Links may be counted from 1 again after a restart; the time tells the runs apart.
        let time = match now.utc {
            Some(utc) => utc.as_millis(),
            None => now.mono.as_millis(),
        };
        Self {
            id,
            address: address.to_owned(),
            since: now.mono,
            online: false,
            heard: now.mono,
            in_flight: None,
            stem: format!("{time:x}.{:x}", id.0),
            calls: 0,
            timeouts: 0,
            heard_in_vain: false,
        }
    }

    /// Puts a call in flight and gives its id: at most 36 letters, never used before.
    pub fn fly(&mut self, now: Instant, task: Task, timeout: Duration) -> String {
        debug_assert!(self.in_flight.is_none(), "one call in flight per link");
        self.calls += 1;
        let id = format!("{}.{:x}", self.stem, self.calls);
        self.in_flight = Some(InFlight { id: id.clone(), task, deadline: now + timeout });
        id
    }

    /// A frame came in.
    pub fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.heard_in_vain = true;
    }

    /// The task that an answer with this id ends; none for late and foreign answers.
    pub fn land(&mut self, id: &str) -> Option<Task> {
        self.in_flight.as_ref().filter(|call| call.id == id)?;
        self.timeouts = 0;
        self.in_flight.take().map(|call| call.task)
    }

    /// The task whose time is up.
    pub fn give_up(&mut self, now: Instant) -> Option<Task> {
        self.in_flight.as_ref().filter(|call| call.deadline <= now)?;
        if self.timeouts == 0 {
            self.heard_in_vain = false;
        }
        self.timeouts += 1;
        self.in_flight.take().map(|call| call.task)
    }

    /// It talks but does not listen.
    pub fn is_deaf(&self) -> bool {
        TIMEOUTS_MAX <= self.timeouts && self.heard_in_vain
    }
}

/// The answers of the last transaction messages, by message id *and* text: a charger that counts
/// its ids from 1 after each reboot uses an old id for something else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    kept: VecDeque<(String, u64, String)>,
    waiting: VecDeque<Waiting>,
}

/// A call that waits for our answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Its message id.
    pub id: String,
    /// The link it came on.
    pub link: LinkId,
    /// The connector it is about; none where it names none.
    pub connector: Option<u32>,
    /// Mark of its text; none where the answer is not kept.
    pub mark: Option<u64>,
}

impl Answers {
    /// The answer that this very message already got.
    pub fn known(&self, id: &str, mark: u64) -> Option<&str> {
        let found = self.kept.iter().find(|(kept, text, _)| kept == id && *text == mark);
        found.map(|(_, _, answer)| answer.as_str())
    }

    /// A call waits. Gives back the oldest where too many do.
    pub fn wait(&mut self, waiting: Waiting) -> Option<Waiting> {
        self.waiting.push_back(waiting);
        if ANSWERS_MAX < self.waiting.len() { self.waiting.pop_front() } else { None }
    }

    /// The call that an answer is for; waits no longer.
    pub fn take(&mut self, id: &str) -> Option<Waiting> {
        let position = self.waiting.iter().rposition(|waiting| waiting.id == id)?;
        self.waiting.remove(position)
    }

    /// Keeps an answer.
    pub fn keep(&mut self, id: String, mark: u64, answer: String) {
        if ANSWERS_MAX <= self.kept.len() {
            self.kept.pop_front();
        }
        self.kept.push_back((id, mark, answer));
    }
}

/// A mark by which a repeated text is known (FNV-1a).
pub fn mark(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |mark, byte| {
        (mark ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
