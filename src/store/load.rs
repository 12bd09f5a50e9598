//! What the controller is told at the start. Bounded: a start reads what is open and the newest of
//! what is closed, never years of history.

use std::collections::BTreeMap;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};
use serde::de::DeserializeOwned;

use crate::ground::ids::ChargePointId;
use crate::model::preference::Preference;
use crate::model::record::Remembered;
use crate::model::session::{Session, Transaction};

use super::error::StoreError;
use super::table::{
    CAMPAIGNS, CHARGE_POINTS, EVENTS, INTENTS, LEARNED, LEASES, LIMITS, OPEN, PREFERENCES,
    RESERVATIONS, SESSIONS, TRANSACTIONS, open_if_there, value,
};

/// Newest closed transactions that are kept for each charge point, to know a repeated start.
pub const CLOSED_PER_CHARGE_POINT: usize = 16;

/// Newest transactions that are looked through for them; a few milliseconds of reading.
const CLOSED_READ_MAX: usize = 2000;

/// Newest closed sessions that are handed back, for the page.
pub const CLOSED_SESSIONS: usize = 50;

/// Newest reservations and campaigns that are read; more are never open at a time.
const NEWEST_READ_MAX: usize = 1000;

/// Everything the controller needs to go on, and in words what could not be read.
pub fn remembered(database: &Database) -> Result<(Remembered, Vec<String>), StoreError> {
    let load = || -> Result<_, redb::Error> {
        let read = database.begin_read()?;
        let mut problems = Vec::new();
        let sessions = sessions(&read, &mut problems)?;
        let remembered = Remembered {
            transactions: transactions(&read, &mut problems)?,
            preferences: preferences(&read, &sessions, &mut problems)?,
            intents: all(&read, INTENTS, &mut problems)?,
            sessions,
            leases: all(&read, LEASES, &mut problems)?,
            charge_points: all(&read, CHARGE_POINTS, &mut problems)?,
            last_transaction: read
                .open_table(TRANSACTIONS)?
                .last()?
                .map_or(0, |(id, _)| id.value()),
            last_session: read.open_table(SESSIONS)?.last()?.map_or(0, |(id, _)| id.value()),
            reservations: newest(&read, RESERVATIONS, "reservation", &mut problems)?,
            campaigns: newest(&read, CAMPAIGNS, "campaign", &mut problems)?,
            learned: all(&read, LEARNED, &mut problems)?,
            limits: all(&read, LIMITS, &mut problems)?,
        };
        Ok((remembered, problems))
    };
    load().map_err(StoreError::from_use)
}

/// The number that the next event gets.
pub fn next_event(database: &Database) -> Result<u64, StoreError> {
    let load = || -> Result<u64, redb::Error> {
        let read = database.begin_read()?;
        let last = read.open_table(EVENTS)?.last()?.map(|(number, _)| number.value());
        Ok(last.map_or(0, |number| number + 1))
    };
    load().map_err(StoreError::from_use)
}

/// In order of their ids: the open ones, and the newest closed ones of each charge point.
fn transactions(
    read: &ReadTransaction,
    problems: &mut Vec<String>,
) -> Result<Vec<Transaction>, redb::Error> {
    let table = read.open_table(TRANSACTIONS)?;
    let mut kept = BTreeMap::new();
    for id in open(read, "transaction")? {
        if let Some(row) = table.get(id as i64)? {
            keep(row.value(), "transaction", id, problems, |found| kept.insert(id, found));
        }
    }
    let mut closed: BTreeMap<ChargePointId, usize> = BTreeMap::new();
    for row in table.iter()?.rev().take(CLOSED_READ_MAX) {
        let (id, row) = row?;
        let id = id.value() as u64;
        let closed = |found: Transaction| {
            let count = closed.entry(found.charge_point.clone()).or_default();
            if found.stop.is_some() && *count < CLOSED_PER_CHARGE_POINT {
                *count += 1;
                kept.insert(id, found);
            }
        };
        keep(row.value(), "transaction", id, problems, closed);
    }
    Ok(kept.into_values().collect())
}

/// In order of their ids: the open ones and the newest closed ones.
fn sessions(
    read: &ReadTransaction,
    problems: &mut Vec<String>,
) -> Result<Vec<Session>, redb::Error> {
    let table = read.open_table(SESSIONS)?;
    let mut kept = BTreeMap::new();
    for id in open(read, "session")? {
        if let Some(row) = table.get(id)? {
            keep(row.value(), "session", id, problems, |found| kept.insert(id, found));
        }
    }
    let mut closed = 0;
    for row in table.iter()?.rev().take(CLOSED_READ_MAX) {
        if closed == CLOSED_SESSIONS {
            break;
        }
        let (id, row) = row?;
        keep(row.value(), "session", id.value(), problems, |found: Session| {
            if found.ended.is_some() {
                closed += 1;
                kept.insert(id.value(), found);
            }
        });
    }
    Ok(kept.into_values().collect())
}

/// The newest ones, in order of their numbers; a file of an earlier version has none.
fn newest<T: DeserializeOwned>(
    read: &ReadTransaction,
    definition: TableDefinition<i64, &[u8]>,
    what: &str,
    problems: &mut Vec<String>,
) -> Result<Vec<T>, redb::Error> {
    let mut found = Vec::new();
    let Some(table) = open_if_there(read, definition)? else { return Ok(found) };
    for row in table.iter()?.rev().take(NEWEST_READ_MAX) {
        let (id, row) = row?;
        keep(row.value(), what, id.value(), problems, |one| found.push(one));
    }
    found.reverse();
    Ok(found)
}

/// What was said of these sessions.
fn preferences(
    read: &ReadTransaction,
    sessions: &[Session],
    problems: &mut Vec<String>,
) -> Result<Vec<Preference>, redb::Error> {
    let mut found = Vec::new();
    let Some(table) = open_if_there(read, PREFERENCES)? else { return Ok(found) };
    for session in sessions {
        if let Some(row) = table.get(session.id.0)? {
            keep(row.value(), "preference", session.id, problems, |value| found.push(value));
        }
    }
    Ok(found)
}

fn open(read: &ReadTransaction, kind: &str) -> Result<Vec<u64>, redb::Error> {
    let table = read.open_table(OPEN)?;
    let rows = table.range((kind, 0)..=(kind, u64::MAX))?;
    rows.map(|row| Ok(row?.0.value().1)).collect()
}

fn all<T: DeserializeOwned>(
    read: &ReadTransaction,
    table: redb::TableDefinition<&str, &[u8]>,
    problems: &mut Vec<String>,
) -> Result<Vec<T>, redb::Error> {
    let mut found = Vec::new();
    let Some(table) = open_if_there(read, table)? else { return Ok(found) };
    for row in table.iter()? {
        let (key, row) = row?;
        keep(row.value(), "row", key.value(), problems, |value| found.push(value));
    }
    Ok(found)
}

/// Hands on a row that can be read, and says so where one cannot; the row itself stays.
fn keep<T: DeserializeOwned, R>(
    bytes: &[u8],
    kind: &str,
    id: impl std::fmt::Display,
    problems: &mut Vec<String>,
    to: impl FnOnce(T) -> R,
) {
    match value(bytes) {
        Some(found) => {
            to(found);
        }
        None => problems.push(format!("{kind} {id} in the store cannot be read")),
    }
}
