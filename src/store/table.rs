//! The tables of the file and how one fact stands in them: keys that sort by time, values as JSON.
//!
//! JSON, because a value that a person can read in ten years is worth more than its bytes, and a
//! field that is added with a default needs no migration. The shape of the values is the shape of
//! [`crate::model::record`]; its version is [`FORMAT`].

use redb::{
    Database, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ground::ids::EvseId;
use crate::ground::time::Utc;
use crate::model::record::Record;

use super::error::StoreError;
use super::queue::{Facts, Key};

/// The format that this version writes. A step is added in `migrate` whenever it rises.
pub const FORMAT: u64 = 1;

/// `format` and `starts`. Its presence tells our file from any other redb file.
pub const META: TableDefinition<&str, u64> = TableDefinition::new("ampgate_meta");
/// By transaction id.
pub const TRANSACTIONS: TableDefinition<i64, &[u8]> = TableDefinition::new("transactions");
/// By session id.
pub const SESSIONS: TableDefinition<u64, &[u8]> = TableDefinition::new("sessions");
/// What has not ended, so that a start need not read years of what has: ids of [`OPEN_KINDS`].
pub const OPEN: TableDefinition<(&str, u64), ()> = TableDefinition::new("open");
/// By EVSE.
pub const LEASES: TableDefinition<&str, &[u8]> = TableDefinition::new("leases");
/// By identity.
pub const CHARGE_POINTS: TableDefinition<&str, &[u8]> = TableDefinition::new("charge_points");
/// By session id. Files of earlier versions lack this table and the next; they come with the first
/// row, so that those versions can still read the file.
pub const PREFERENCES: TableDefinition<u64, &[u8]> = TableDefinition::new("preferences");
/// By EVSE.
pub const INTENTS: TableDefinition<&str, &[u8]> = TableDefinition::new("intents");
/// By time in milliseconds since 1970, then EVSE.
pub const READINGS: TableDefinition<(i64, &str), &[u8]> = TableDefinition::new("readings");
/// By time in milliseconds since 1970, then EVSE.
pub const SETPOINTS: TableDefinition<(i64, &str), &[u8]> = TableDefinition::new("setpoints");
/// By number, in the order they came.
pub const EVENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("events");

/// By name; files of earlier versions lack it.
pub const LEARNED: TableDefinition<&str, &[u8]> = TableDefinition::new("learned");
/// By number.
pub const RESERVATIONS: TableDefinition<i64, &[u8]> = TableDefinition::new("reservations");
/// By number. Comes with the first row.
pub const CAMPAIGNS: TableDefinition<i64, &[u8]> = TableDefinition::new("campaigns");
/// By whose and where; files of earlier versions lack it.
pub const LIMITS: TableDefinition<&str, &[u8]> = TableDefinition::new("limits");

/// The kinds of things in [`OPEN`].
pub const OPEN_KINDS: [&str; 2] = ["transaction", "session"];

/// Creates every table and marks the file as ours.
pub fn create(database: &Database) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    write.open_table(META)?.insert("format", FORMAT)?;
    write.open_table(TRANSACTIONS)?;
    write.open_table(SESSIONS)?;
    write.open_table(OPEN)?;
    write.open_table(LEASES)?;
    write.open_table(CHARGE_POINTS)?;
    write.open_table(PREFERENCES)?;
    write.open_table(INTENTS)?;
    write.open_table(READINGS)?;
    write.open_table(SETPOINTS)?;
    write.open_table(EVENTS)?;
    write.open_table(RESERVATIONS)?;
    write.open_table(CAMPAIGNS)?;
    write.open_table(LIMITS)?;
    write.open_table(LEARNED)?;
    write.commit()?;
    Ok(())
}

/// The format of a file; none if it is not ours.
pub fn format(database: &Database) -> Result<Option<u64>, redb::Error> {
    let read = database.begin_read()?;
    match read.open_table(META) {
        Ok(meta) => Ok(meta.get("format")?.map(|value| value.value())),
        Err(TableError::TableDoesNotExist(_) | TableError::TableTypeMismatch { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Counts one more start and returns the count.
pub fn count_start(database: &Database) -> Result<u64, StoreError> {
    let count = || -> Result<u64, redb::Error> {
        let write = database.begin_write()?;
        let mut meta = write.open_table(META)?;
        let starts = meta.get("starts")?.map_or(0, |value| value.value()) + 1;
        meta.insert("starts", starts)?;
        drop(meta);
        write.commit()?;
        Ok(starts)
    };
    count().map_err(StoreError::from_use)
}

/// Puts facts into their tables.
pub fn put(write: &WriteTransaction, facts: &Facts) -> Result<(), redb::Error> {
    for (key, record) in facts {
        match record {
            Record::Transaction(value) => {
                write.open_table(TRANSACTIONS)?.insert(value.id.0, json(value).as_slice())?;
                mark_open(write, "transaction", value.id.0 as u64, value.stop.is_none())?;
            }
            Record::Session(value) => {
                write.open_table(SESSIONS)?.insert(value.id.0, json(value).as_slice())?;
                mark_open(write, "session", value.id.0, value.ended.is_none())?;
            }
            Record::Lease(value) => {
                write.open_table(LEASES)?.insert(value.evse.as_str(), json(value).as_slice())?;
            }
            Record::ChargePoint(value) => {
                let key = value.charge_point.as_str();
                write.open_table(CHARGE_POINTS)?.insert(key, json(value).as_slice())?;
            }
            Record::Preference(value) => {
                write.open_table(PREFERENCES)?.insert(value.session.0, json(value).as_slice())?;
            }
            Record::Intent(value) if value.wish.is_empty() => {
                write.open_table(INTENTS)?.remove(value.evse.as_str())?;
            }
            Record::Intent(value) => {
                write.open_table(INTENTS)?.insert(value.evse.as_str(), json(value).as_slice())?;
            }
            Record::Reading(value) => {
                let key = timed(value.at, &value.evse);
                write.open_table(READINGS)?.insert(key, json(value).as_slice())?;
            }
            Record::Setpoint(value) => {
                let key = timed(value.at, &value.evse);
                write.open_table(SETPOINTS)?.insert(key, json(value).as_slice())?;
            }
            Record::Event(value) => {
                if let Key::Event(number) = key {
                    write.open_table(EVENTS)?.insert(number, json(value).as_slice())?;
                }
            }
            Record::Learned(value) if value.text.is_empty() => {
                write.open_table(LEARNED)?.remove(value.name.as_str())?;
            }
            Record::Learned(value) => {
                write.open_table(LEARNED)?.insert(value.name.as_str(), json(value).as_slice())?;
            }
            Record::Limit(value) if value.is_over() => {
                write.open_table(LIMITS)?.remove(value.key().as_str())?;
            }
            Record::Limit(value) => {
                write.open_table(LIMITS)?.insert(value.key().as_str(), json(value).as_slice())?;
            }
            Record::Reservation(value) => {
                let key = i64::from(value.id.0);
                write.open_table(RESERVATIONS)?.insert(key, json(value).as_slice())?;
            }
            Record::Campaign(value) => {
                let key = i64::from(value.id.0);
                write.open_table(CAMPAIGNS)?.insert(key, json(value).as_slice())?;
            }
        }
    }
    Ok(())
}

/// A table that files of earlier versions lack; none where it is missing.
pub fn open_if_there<K: redb::Key + 'static, V: redb::Value + 'static>(
    read: &redb::ReadTransaction,
    definition: TableDefinition<K, V>,
) -> Result<Option<redb::ReadOnlyTable<K, V>>, redb::Error> {
    match read.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The value of a row; none if it cannot be read.
pub fn value<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

/// The key of a row that belongs to a moment and an EVSE.
pub fn timed(at: Utc, evse: &EvseId) -> (i64, &str) {
    (at.as_millis(), evse.as_str())
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("records have text keys only")
}

fn mark_open(write: &WriteTransaction, kind: &str, id: u64, open: bool) -> Result<(), redb::Error> {
    let mut table = write.open_table(OPEN)?;
    let marked = table.get((kind, id))?.is_some();
    if open && !marked {
        table.insert((kind, id), ())?;
    } else if !open && marked {
        table.remove((kind, id))?;
    }
    Ok(())
}
