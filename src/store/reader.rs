//! Questions about the past, for page, API and command line: what is on disk, and over it what
//! still waits for the disk, so that nobody sees the last minutes missing.
//!
//! Every answer is bounded. Reads run on the caller's thread and delay neither the writer nor the
//! controller.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase};

use crate::ground::ids::{EvseId, SessionId};
use crate::ground::time::Utc;
use crate::model::event::Event;
use crate::model::record::{ReadingRecord, Record, SetpointRecord};
use crate::model::session::Session;

use super::StoreError;
use super::queue::Key;
use super::table::{EVENTS, READINGS, SESSIONS, SETPOINTS, timed, value};
use super::worker::Shared;

/// Sessions or events of one page at the most.
pub const PAGE_MAX: usize = 1000;

/// Readings or setpoints of one answer at the most: a week of one EVSE, minute by minute.
pub const CURVE_MAX: usize = 10_000;

/// The earliest and the latest time a row can have.
const EVER: (Utc, Utc) = (Utc::from_millis(i64::MIN), Utc::from_millis(i64::MAX));

/// Reads the store from any thread; cheap to clone.
#[derive(Clone, Debug)]
pub struct StoreReader {
    shared: Arc<Shared>,
}

impl StoreReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Sessions, newest first, from the one before `before` on; at most [`PAGE_MAX`].
    pub fn sessions(
        &self,
        before: Option<SessionId>,
        count: usize,
    ) -> Result<Vec<Session>, StoreError> {
        let end = before.map_or(u64::MAX, |before| before.0);
        let count = count.min(PAGE_MAX);
        let (first, last) = (Key::Session(SessionId(0)), Key::Session(SessionId(end)));
        let (database, waiting) = self.shared.look(&first, &last, |_, record| match record {
            Record::Session(session) if session.id.0 < end => Some(session.clone()),
            _ => None,
        });
        let mut found: BTreeMap<u64, Session> = BTreeMap::new();
        with(database, |read| {
            for row in read.open_table(SESSIONS)?.range(..end)?.rev().take(count) {
                let (id, row) = row?;
                found.extend(value(row.value()).map(|session| (id.value(), session)));
            }
            Ok(())
        })?;
        found.extend(waiting.into_iter().map(|session| (session.id.0, session)));
        Ok(found.into_values().rev().take(count).collect())
    }

    /// One session by its number.
    pub fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let next = SessionId(id.0.saturating_add(1));
        Ok(self.sessions(Some(next), 1)?.into_iter().find(|session| session.id == id))
    }

    /// Events with their numbers, newest first, from the one before `before` on; at most
    /// [`PAGE_MAX`].
    pub fn events(
        &self,
        before: Option<u64>,
        count: usize,
    ) -> Result<Vec<(u64, Event)>, StoreError> {
        let end = before.unwrap_or(u64::MAX);
        let count = count.min(PAGE_MAX);
        let (database, waiting) =
            self.shared.look(&Key::Event(0), &Key::Event(end), |key, record| match (key, record) {
                (Key::Event(number), Record::Event(event)) if *number < end => {
                    Some((*number, event.clone()))
                }
                _ => None,
            });
        let mut found: BTreeMap<u64, Event> = BTreeMap::new();
        with(database, |read| {
            for row in read.open_table(EVENTS)?.range(..end)?.rev().take(count) {
                let (number, row) = row?;
                found.extend(value(row.value()).map(|event| (number.value(), event)));
            }
            Ok(())
        })?;
        found.extend(waiting);
        Ok(found.into_iter().rev().take(count).collect())
    }

    /// Setpoints of an EVSE in a time, oldest first; the latest [`CURVE_MAX`] of them.
    pub fn setpoints(
        &self,
        evse: &EvseId,
        from: Utc,
        to: Utc,
    ) -> Result<Vec<SetpointRecord>, StoreError> {
        let (first, last) = (Key::Setpoint(from, EvseId::new("")), after(Key::Setpoint, to));
        let (database, waiting) = self.shared.look(&first, &last, |_, record| match record {
            Record::Setpoint(setpoint) if setpoint.evse == *evse => Some(setpoint.clone()),
            _ => None,
        });
        let mut found = self.curve(database, SETPOINTS, evse, (from, to))?;
        found.extend(waiting.into_iter().map(|setpoint| (setpoint.at, setpoint)));
        Ok(latest(found))
    }

    /// Readings of a session, oldest first; the latest [`CURVE_MAX`] of them. Empty for a session
    /// that is not known or whose readings are forgotten.
    pub fn readings(&self, session: SessionId) -> Result<Vec<ReadingRecord>, StoreError> {
        let Some(session) = self.session(session)? else {
            return Ok(Vec::new());
        };
        let (from, to) = (session.started, session.ended.unwrap_or(EVER.1));
        let ours = |reading: &ReadingRecord| {
            reading.evse == session.evse
                && reading.transaction.is_none_or(|named| named == session.transaction)
        };
        let (first, last) = (Key::Reading(from, EvseId::new("")), after(Key::Reading, to));
        let (database, waiting) = self.shared.look(&first, &last, |_, record| match record {
            Record::Reading(reading) if ours(reading) => Some(reading.clone()),
            _ => None,
        });
        let mut found = self.curve(database, READINGS, &session.evse, (from, to))?;
        found.retain(|_, reading| ours(reading));
        found.extend(waiting.into_iter().map(|reading| (reading.at, reading)));
        Ok(latest(found))
    }

    fn curve<T: serde::de::DeserializeOwned>(
        &self,
        database: Option<Arc<Database>>,
        table: redb::TableDefinition<(i64, &str), &[u8]>,
        evse: &EvseId,
        (from, to): (Utc, Utc),
    ) -> Result<BTreeMap<Utc, T>, StoreError> {
        let mut found = BTreeMap::new();
        let nobody = EvseId::new("");
        let end = to + crate::ground::time::Duration::millis(1);
        with(database, |read| {
            let table = read.open_table(table)?;
            for row in table.range(timed(from, &nobody)..timed(end, &nobody))?.rev() {
                let (key, row) = row?;
                let (at, whose) = key.value();
                if whose == evse.as_str() {
                    found.extend(value(row.value()).map(|row| (Utc::from_millis(at), row)));
                }
                if found.len() == CURVE_MAX {
                    break;
                }
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// The key behind every key of the time `to`.
fn after(key: fn(Utc, EvseId) -> Key, to: Utc) -> Key {
    key(to + crate::ground::time::Duration::millis(1), EvseId::new(""))
}

fn latest<T>(found: BTreeMap<Utc, T>) -> Vec<T> {
    let surplus = found.len().saturating_sub(CURVE_MAX);
    found.into_values().skip(surplus).collect()
}

/// Reads at one moment. While the disk cannot be read this is said, rather than half an answer.
fn with(
    database: Option<Arc<Database>>,
    ask: impl FnOnce(&ReadTransaction) -> Result<(), redb::Error>,
) -> Result<(), StoreError> {
    let database = database.ok_or(StoreError::Unreadable)?;
    let read = || -> Result<(), redb::Error> { ask(&database.begin_read()?) };
    read().map_err(StoreError::from_use)
}
