//! Questions about the past, for page, API and command line: what is on disk, and over it what
//! still waits for the disk, so that nobody sees the last minutes missing.
//!
//! Every answer is newest first and bounded. Reads run on the caller's thread and delay neither the
//! writer nor the controller.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase, StorageError, TableDefinition};
use serde::de::DeserializeOwned;

use crate::ground::ids::{EvseId, SessionId, TransactionId};
use crate::ground::time::{Duration, Utc};
use crate::model::event::Event;
use crate::model::machine::StoreFigures;
use crate::model::record::{ReadingRecord, Record, SetpointRecord};
use crate::model::session::{Session, Transaction};

use super::error::StoreError;
use super::queue::Key;
use super::snapshot;
use super::table::{EVENTS, READINGS, SESSIONS, SETPOINTS, TRANSACTIONS, value};
use super::worker::Shared;

/// Rows of one answer at the most: a week of one EVSE, minute by minute.
pub const ROWS_MAX: usize = 10_000;

/// The earliest and the latest time that a row can have.
const EVER: (Utc, Utc) = (Utc::from_millis(i64::MIN), Utc::from_millis(i64::MAX));

/// A table whose rows belong to a moment and an EVSE, and how its keys look while they wait.
type Timed<'t> = (TableDefinition<'t, (i64, &'static str), &'static [u8]>, fn(Utc, EvseId) -> Key);

/// A row of a table as it is iterated.
type Row<K> = Result<(K, Vec<u8>), StorageError>;

/// Reads the store from any thread; cheap to clone.
#[derive(Clone, Debug)]
pub struct StoreReader {
    shared: Arc<Shared>,
}

impl StoreReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// How the store is doing, without the size of its file.
    pub fn figures(&self) -> StoreFigures {
        self.shared.figures()
    }

    /// Copies the store as of its last commit to a file of its own, without leases.
    pub fn copy_to(&self, to: &Path) -> Result<(), StoreError> {
        let none = Key::Event(0);
        let (database, _) = self.shared.look(&none, &none, |_, _| None::<()>);
        let database = database.ok_or(StoreError::Unreadable)?;
        snapshot::copy_store(&database, to)
    }

    /// Sessions, open and closed, without the newest `skip`.
    pub fn sessions(&self, skip: usize, count: usize) -> Result<Vec<Session>, StoreError> {
        let (first, last) = (SessionId(0), SessionId(u64::MAX));
        let pick = |_: &Key, record: &Record| match record {
            Record::Session(session) => Some((session.id.0, session.clone())),
            _ => None,
        };
        let (database, waiting) = self.shared.look(&Key::Session(first), &Key::Session(last), pick);
        with(database, |read| {
            let table = read.open_table(SESSIONS)?;
            let rows = table.range::<u64>(..)?.rev().map(|row| {
                let (id, row) = row?;
                Ok((id.value(), row.value().to_vec()))
            });
            page(rows, waiting, skip, count)
        })
    }

    /// One session by its number; none if it is not known any more.
    pub fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let key = Key::Session(id);
        let (database, waiting) = self.shared.look(&key, &key, |_, record| match record {
            Record::Session(session) => Some(session.clone()),
            _ => None,
        });
        if let Some(session) = waiting.into_iter().next_back() {
            return Ok(Some(session));
        }
        with(database, |read| {
            let row = read.open_table(SESSIONS)?.get(id.0)?;
            Ok(row.and_then(|row| value(row.value())))
        })
    }

    /// One transaction by its number; none if it is not known any more.
    pub fn transaction(&self, id: TransactionId) -> Result<Option<Transaction>, StoreError> {
        let key = Key::Transaction(id);
        let (database, waiting) = self.shared.look(&key, &key, |_, record| match record {
            Record::Transaction(transaction) => Some(transaction.clone()),
            _ => None,
        });
        if let Some(transaction) = waiting.into_iter().next_back() {
            return Ok(Some(transaction));
        }
        with(database, |read| {
            let row = read.open_table(TRANSACTIONS)?.get(id.0)?;
            Ok(row.and_then(|row| value(row.value())))
        })
    }

    /// Events, without the newest `skip`.
    pub fn events(&self, skip: usize, count: usize) -> Result<Vec<Event>, StoreError> {
        let pick = |key: &Key, record: &Record| match (key, record) {
            (Key::Event(number), Record::Event(event)) => Some((*number, event.clone())),
            _ => None,
        };
        let (database, waiting) = self.shared.look(&Key::Event(0), &Key::Event(u64::MAX), pick);
        with(database, |read| {
            let table = read.open_table(EVENTS)?;
            let rows = table.range::<u64>(..)?.rev().map(|row| {
                let (number, row) = row?;
                Ok((number.value(), row.value().to_vec()))
            });
            page(rows, waiting, skip, count)
        })
    }

    /// Setpoints of an EVSE, without the newest `skip`.
    pub fn setpoints(
        &self,
        evse: &EvseId,
        skip: usize,
        count: usize,
    ) -> Result<Vec<SetpointRecord>, StoreError> {
        let pick = |record: &Record| match record {
            Record::Setpoint(setpoint) => (setpoint.evse == *evse).then(|| setpoint.clone()),
            _ => None,
        };
        self.of_evse((SETPOINTS, Key::Setpoint), evse, EVER, pick, (skip, count))
    }

    /// Readings of an EVSE, without the newest `skip`.
    pub fn readings(
        &self,
        evse: &EvseId,
        skip: usize,
        count: usize,
    ) -> Result<Vec<ReadingRecord>, StoreError> {
        let pick = |record: &Record| match record {
            Record::Reading(reading) => (reading.evse == *evse).then(|| reading.clone()),
            _ => None,
        };
        self.of_evse((READINGS, Key::Reading), evse, EVER, pick, (skip, count))
    }

    /// The newest [`ROWS_MAX`] readings of a session; none for a session that is not known or whose
    /// readings are forgotten.
    pub fn session_readings(&self, id: SessionId) -> Result<Vec<ReadingRecord>, StoreError> {
        let Some(session) = self.session(id)? else {
            return Ok(Vec::new());
        };
        let time = (session.started, session.ended.unwrap_or(EVER.1));
        let evse = &session.evse;
        let pick = |record: &Record| match record {
            Record::Reading(reading) => (reading.evse == *evse).then(|| reading.clone()),
            _ => None,
        };
        let mut found = self.of_evse((READINGS, Key::Reading), evse, time, pick, (0, ROWS_MAX))?;
        // The next car may have begun within the same moment.
        let ours = |named: TransactionId| named == session.transaction;
        found.retain(|reading| reading.transaction.is_none_or(ours));
        Ok(found)
    }

    /// Rows of one EVSE and a time, both ends included.
    fn of_evse<T: DeserializeOwned>(
        &self,
        (table, key): Timed<'_>,
        evse: &EvseId,
        (from, to): (Utc, Utc),
        pick: impl Fn(&Record) -> Option<T>,
        (skip, count): (usize, usize),
    ) -> Result<Vec<T>, StoreError> {
        let end = to + Duration::millis(1);
        let nobody = EvseId::new("");
        let (first, last) = (key(from, nobody.clone()), key(end, nobody));
        let (database, waiting) = self.shared.look(&first, &last, |key, record| {
            let (Key::Reading(at, _) | Key::Setpoint(at, _)) = key else { return None };
            Some((at.as_millis(), pick(record)?))
        });
        with(database, |read| {
            let table = read.open_table(table)?;
            let range = (from.as_millis(), "")..(end.as_millis(), "");
            let rows = table.range(range)?.rev().filter_map(|row| {
                let (key, row) = match row {
                    Ok(row) => row,
                    Err(error) => return Some(Err(error)),
                };
                let (at, whose) = key.value();
                (whose == evse.as_str()).then(|| Ok((at, row.value().to_vec())))
            });
            page(rows, waiting, skip, count)
        })
    }
}

/// One page of rows, newest first: of what is on disk and what waits, the waiting one where both
/// have a key. Rows that cannot be read are left out.
fn page<K: Ord + Copy, T: DeserializeOwned>(
    rows: impl Iterator<Item = Row<K>>,
    waiting: Vec<(K, T)>,
    skip: usize,
    count: usize,
) -> Result<Vec<T>, redb::Error> {
    let mut waiting: BTreeMap<K, T> = waiting.into_iter().collect();
    let mut rows = rows.peekable();
    let mut found = Vec::new();
    let mut seen = 0;
    while found.len() < count.min(ROWS_MAX) {
        let on_disk = match rows.peek() {
            Some(Ok((key, _))) => Some(*key),
            Some(Err(_)) | None => None,
        };
        if let Some(Err(error)) = rows.next_if(Result::is_err) {
            return Err(error.into());
        }
        let newest = waiting.last_key_value().map(|(key, _)| *key);
        let Some(key) = on_disk.max(newest) else { break };
        let from_disk = (on_disk == Some(key)).then(|| rows.next()).flatten();
        let from_memory = waiting.remove(&key);
        seen += 1;
        if seen <= skip {
            continue;
        }
        let from_disk = from_disk.and_then(|row| value(&row.ok()?.1));
        found.extend(from_memory.or(from_disk));
    }
    Ok(found)
}

/// Reads at one moment. While the disk cannot be read this is said, rather than half an answer.
fn with<T>(
    database: Option<Arc<Database>>,
    ask: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
) -> Result<T, StoreError> {
    let database = database.ok_or(StoreError::Unreadable)?;
    let read = || ask(&database.begin_read()?);
    read().map_err(StoreError::from_use)
}
