//! What the page and the API read from the past, without knowing where it is kept.
//!
//! The store stands on the same floor; `serve` joins the two by filling in these readers. Each is
//! called on a thread that may block, and its error is in words for people.

use std::sync::Arc;

use crate::ground::ids::{EvseId, SessionId};
use crate::ground::time::Utc;
use crate::model::event::Event;
use crate::model::record::{ReadingRecord, SetpointRecord};
use crate::model::session::Session;

/// Records in one answer when nobody asks for a number.
pub const COUNT_DEFAULT: usize = 100;
/// The most records in one answer: some hundred kilobytes.
pub const COUNT_MAX: usize = 1000;

/// Newest first, from the one before a given number on, and at most so many.
pub type Newest<Number, T> =
    Arc<dyn Fn(Option<Number>, usize) -> Result<Vec<T>, String> + Send + Sync>;

/// The readers of the past.
#[derive(Clone)]
pub struct History {
    /// Sessions, open and closed.
    pub sessions: Newest<SessionId, Session>,
    /// Events with their numbers.
    pub events: Newest<u64, (u64, Event)>,
    /// Setpoints that were sent to an EVSE between two times, oldest first.
    pub setpoints: SetpointsOf,
    /// Thinned readings of a session, oldest first.
    pub readings: ReadingsOf,
}

/// Setpoints of an EVSE from one time to another, oldest first.
pub type SetpointsOf =
    Arc<dyn Fn(&EvseId, Utc, Utc) -> Result<Vec<SetpointRecord>, String> + Send + Sync>;

/// Readings of a session, oldest first.
pub type ReadingsOf = Arc<dyn Fn(SessionId) -> Result<Vec<ReadingRecord>, String> + Send + Sync>;
