//! What is forgotten, and when: history is bounded by age and by count, so that the file stays some
//! tens of megabytes and a repair after a power cut takes a second and not minutes.
//!
//! Ages count from the newest row of the same table, so no clock is needed and a clock that was
//! stepped back by years deletes nothing. Open transactions and sessions are never forgotten.

use std::borrow::Borrow;

use redb::{Key, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};

use crate::ground::time::{Duration, Utc};
use crate::model::event::Event;

use super::table::{
    CAMPAIGNS, EVENTS, OPEN, PREFERENCES, READINGS, RESERVATIONS, SESSIONS, SETPOINTS,
    TRANSACTIONS, value,
};

/// Readings are for curves of recent sessions: five weeks, or 35 days of 12 busy chargers with a
/// reading a minute for 11 hours a day; some 60 MB at the most.
pub const READINGS_MAX: u64 = 300_000;
/// See [`READINGS_MAX`].
pub const READINGS_AGE: Duration = Duration::hours(35 * 24);

/// Setpoints with their causes explain complaints: a quarter of a year.
pub const SETPOINTS_MAX: u64 = 100_000;
/// See [`SETPOINTS_MAX`].
pub const SETPOINTS_AGE: Duration = Duration::hours(92 * 24);

/// Events: a year, some 10 MB at the most.
pub const EVENTS_MAX: u64 = 50_000;
/// See [`EVENTS_MAX`].
pub const EVENTS_AGE: Duration = Duration::hours(366 * 24);

/// Sessions and their transactions: ten years of 30 a day.
pub const SESSIONS_MAX: u64 = 110_000;

/// Reservations: some years of a busy site.
pub const RESERVATIONS_MAX: u64 = 10_000;
/// Firmware campaigns.
pub const CAMPAIGNS_MAX: u64 = 100;

/// Rows that one trim deletes from a table at the most, so that no commit takes long.
const TRIM_MAX: usize = 5_000;

/// Forgets what is too old or too much.
pub fn trim(write: &WriteTransaction) -> Result<(), redb::Error> {
    trim_timed(write, READINGS, READINGS_MAX, READINGS_AGE)?;
    trim_timed(write, SETPOINTS, SETPOINTS_MAX, SETPOINTS_AGE)?;
    trim_events(write)?;
    trim_closed(write, TRANSACTIONS, "transaction", |id| id as u64)?;
    trim_closed(write, SESSIONS, "session", |id| id)?;
    trim_preferences(write)?;
    trim_numbered(write, RESERVATIONS, RESERVATIONS_MAX)?;
    trim_numbered(write, CAMPAIGNS, CAMPAIGNS_MAX)
}

/// All but the newest; the open ones are among these.
fn trim_numbered(
    write: &WriteTransaction,
    definition: TableDefinition<i64, &[u8]>,
    most: u64,
) -> Result<(), redb::Error> {
    let mut table = write.open_table(definition)?;
    let surplus = table.len()?.saturating_sub(most);
    let mut doomed = Vec::new();
    for row in table.iter()?.take(TRIM_MAX.min(surplus as usize)) {
        doomed.push(row?.0.value());
    }
    for id in doomed {
        table.remove(id)?;
    }
    Ok(())
}

/// Forgets the oldest rows before their time, because the disk is full: of readings, else of
/// setpoints, else of events. Transactions and sessions stay.
pub fn relieve(write: &WriteTransaction, rows: usize) -> Result<(), redb::Error> {
    for definition in [READINGS, SETPOINTS] {
        let mut table = write.open_table(definition)?;
        if 0 < table.len()? {
            return remove_oldest(&mut table, rows, |_, _| true);
        }
    }
    let mut events = write.open_table(EVENTS)?;
    let mut doomed = Vec::new();
    for row in events.iter()?.take(rows) {
        doomed.push(row?.0.value());
    }
    for number in &doomed {
        events.remove(number)?;
    }
    Ok(())
}

fn trim_timed(
    write: &WriteTransaction,
    definition: TableDefinition<(i64, &str), &[u8]>,
    most: u64,
    age: Duration,
) -> Result<(), redb::Error> {
    let mut table = write.open_table(definition)?;
    let newest = table.last()?.map(|(key, _)| Utc::from_millis(key.value().0));
    let oldest_kept = newest.map_or(i64::MIN, |newest| (newest - age).as_millis());
    let surplus = table.len()?.saturating_sub(most);
    remove_oldest(&mut table, TRIM_MAX, |index, at| index < surplus || at < oldest_kept)
}

/// Removes rows from the oldest on while they are `doomed`, at most so many.
fn remove_oldest(
    table: &mut Table<(i64, &str), &[u8]>,
    most: usize,
    is_doomed: impl Fn(u64, i64) -> bool,
) -> Result<(), redb::Error> {
    let mut doomed = Vec::new();
    for (row, index) in table.iter()?.take(most).zip(0..) {
        let (key, _) = row?;
        let (at, evse) = key.value();
        if !is_doomed(index, at) {
            break;
        }
        doomed.push((at, evse.to_owned()));
    }
    for (at, evse) in doomed {
        table.remove((at, evse.as_str()))?;
    }
    Ok(())
}

fn trim_events(write: &WriteTransaction) -> Result<(), redb::Error> {
    let mut table = write.open_table(EVENTS)?;
    let at = |bytes: &[u8]| value::<Event>(bytes).and_then(|event| event.at);
    let newest = table.last()?.and_then(|(_, row)| at(row.value()));
    let surplus = table.len()?.saturating_sub(EVENTS_MAX);
    let mut doomed = Vec::new();
    for (row, index) in table.iter()?.take(TRIM_MAX).zip(0..) {
        let (key, row) = row?;
        let old = at(row.value()).zip(newest).is_some_and(|(at, newest)| at + EVENTS_AGE < newest);
        if surplus <= index && !old {
            break;
        }
        doomed.push(key.value());
    }
    for number in doomed {
        table.remove(number)?;
    }
    Ok(())
}

/// What was said of a session goes with the session.
fn trim_preferences(write: &WriteTransaction) -> Result<(), redb::Error> {
    let oldest = write.open_table(SESSIONS)?.first()?.map(|(id, _)| id.value());
    let mut table = write.open_table(PREFERENCES)?;
    let mut doomed = Vec::new();
    for row in table.range(..oldest.unwrap_or(0))?.take(TRIM_MAX) {
        doomed.push(row?.0.value());
    }
    for id in doomed {
        table.remove(id)?;
    }
    Ok(())
}

/// Stops at the first that is open; the newest row always stays, so no id is given twice.
fn trim_closed<K: for<'k> Key<SelfType<'k> = K> + Copy + for<'k> Borrow<K> + 'static>(
    write: &WriteTransaction,
    definition: TableDefinition<K, &[u8]>,
    kind: &str,
    number: fn(K) -> u64,
) -> Result<(), redb::Error> {
    let open = write.open_table(OPEN)?;
    let mut table = write.open_table(definition)?;
    let surplus = table.len()?.saturating_sub(SESSIONS_MAX);
    let mut doomed = Vec::new();
    for row in table.iter()?.take(TRIM_MAX.min(surplus as usize)) {
        let id = row?.0.value();
        if open.get((kind, number(id)))?.is_some() {
            break;
        }
        doomed.push(id);
    }
    for id in doomed {
        table.remove(id)?;
    }
    Ok(())
}
