//! What the page and the API read from the past, without knowing where it is kept.
//!
//! The store stands on the same floor; `serve` joins the two by filling in these readers. Each is
//! called on a thread that may block.

use std::sync::Arc;

use crate::ground::ids::EvseId;
use crate::model::event::Event;
use crate::model::record::{ReadingRecord, SetpointRecord};
use crate::model::session::{Session, Transaction};

/// Records in one answer when nobody asks for a number.
pub const COUNT_DEFAULT: usize = 100;
/// The most records in one answer: some hundred kilobytes.
pub const COUNT_MAX: usize = 1000;

/// Which records: newest first, `skip` of them left out, then at most `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The newest records that are left out.
    pub skip: usize,
    /// The most records that are wanted.
    pub count: usize,
}

/// Reads records, newest first; the error is in words for people.
pub type Read<T> = Arc<dyn Fn(Page) -> Result<Vec<T>, String> + Send + Sync>;

/// Reads records of one EVSE, newest first; the error is in words for people.
pub type ReadOf<T> = Arc<dyn Fn(&EvseId, Page) -> Result<Vec<T>, String> + Send + Sync>;

/// The readers of the past.
#[derive(Clone)]
pub struct History {
    /// Sessions, open and closed, each with its transaction where that is still kept.
    pub sessions: Read<(Session, Option<Transaction>)>,
    /// Events.
    pub events: Read<Event>,
    /// Setpoints that were sent to one EVSE, with their causes.
    pub setpoints: ReadOf<SetpointRecord>,
    /// Thinned readings of one EVSE.
    pub readings: ReadOf<ReadingRecord>,
}
