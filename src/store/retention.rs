//! What is forgotten, and when: history is bounded by age and by count, so that the file stays some
//! tens of megabytes and a repair after a power cut takes a second and not minutes.
//!
//! Ages count from the newest row of the same table, so no clock is needed and a clock that was
//! stepped back by years deletes nothing. Open transactions and sessions are never forgotten.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use redb::{Key, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};

use crate::ground::time::{Duration, Utc};
use crate::model::event::Event;
use crate::model::retention::Retention;

use super::table::{
    CAMPAIGNS, EVENTS, OPEN, PREFERENCES, READINGS, RESERVATIONS, SESSIONS, SETPOINTS,
    TRANSACTIONS, value,
};

/// Setpoints, whatever their age.
pub const SETPOINTS_MAX: u64 = 100_000;

/// Events, whatever their age: some 10 MB.
pub const EVENTS_MAX: u64 = 50_000;

/// Reservations: some years of a busy site.
pub const RESERVATIONS_MAX: u64 = 10_000;
/// Firmware campaigns.
pub const CAMPAIGNS_MAX: u64 = 100;

/// Rows that one trim deletes from a table at the most, so that no commit takes long.
const TRIM_MAX: usize = 5_000;

/// Rows that one trim looks at to thin them.
const THIN_MAX: usize = 50_000;

/// Forgets what is too old or too much.
pub fn trim(write: &WriteTransaction, keep: &Retention) -> Result<(), redb::Error> {
    trim_timed(write, READINGS, keep.readings_max, keep.readings)?;
    trim_timed(write, SETPOINTS, SETPOINTS_MAX, keep.setpoints)?;
    trim_events(write, keep.events)?;
    trim_closed(write, TRANSACTIONS, "transaction", keep.sessions_max, |id| id as u64)?;
    trim_closed(write, SESSIONS, "session", keep.sessions_max, |id| id)?;
    trim_preferences(write)?;
    trim_numbered(write, RESERVATIONS, RESERVATIONS_MAX)?;
    trim_numbered(write, CAMPAIGNS, CAMPAIGNS_MAX)
}

/// Of old readings keeps the first of each quarter of an hour and EVSE. Goes on at `from`, which a
/// trim before has reached, and tells how far it came; whole quarters only.
pub fn thin(write: &WriteTransaction, keep: &Retention, from: i64) -> Result<i64, redb::Error> {
    let coarse = Retention::COARSE.as_millis();
    let mut table = write.open_table(READINGS)?;
    let Some(newest) = table.last()?.map(|(key, _)| Utc::from_millis(key.value().0)) else {
        return Ok(from);
    };
    let end = (newest - keep.readings_fine).as_millis().div_euclid(coarse) * coarse;
    if keep.readings <= keep.readings_fine || end <= from {
        return Ok(from);
    }
    let (mut quarter, mut kept, mut doomed) = (i64::MIN, BTreeSet::new(), Vec::new());
    let mut reached = end;
    for (row, seen) in table.range((from, "")..(end, ""))?.zip(0..) {
        let (key, _) = row?;
        let (at, evse) = key.value();
        if at.div_euclid(coarse) != quarter {
            if THIN_MAX <= seen || TRIM_MAX <= doomed.len() {
                reached = at.div_euclid(coarse) * coarse;
                break;
            }
            (quarter, kept) = (at.div_euclid(coarse), BTreeSet::new());
        }
        if !kept.insert(evse.to_owned()) {
            doomed.push((at, evse.to_owned()));
        }
    }
    for (at, evse) in doomed {
        table.remove((at, evse.as_str()))?;
    }
    Ok(reached)
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

fn trim_events(write: &WriteTransaction, age: Duration) -> Result<(), redb::Error> {
    let mut table = write.open_table(EVENTS)?;
    let at = |bytes: &[u8]| value::<Event>(bytes).and_then(|event| event.at);
    let newest = table.last()?.and_then(|(_, row)| at(row.value()));
    let surplus = table.len()?.saturating_sub(EVENTS_MAX);
    let mut doomed = Vec::new();
    for (row, index) in table.iter()?.take(TRIM_MAX).zip(0..) {
        let (key, row) = row?;
        let old = at(row.value()).zip(newest).is_some_and(|(at, newest)| at + age < newest);
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
    most: u64,
    number: fn(K) -> u64,
) -> Result<(), redb::Error> {
    let open = write.open_table(OPEN)?;
    let mut table = write.open_table(definition)?;
    let surplus = table.len()?.saturating_sub(most);
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

#[cfg(test)]
mod tests {
    use redb::{Database, ReadableDatabase, backends::InMemoryBackend};

    use super::*;
    use crate::store::table;

    const MINUTE: i64 = 60_000;

    /// A store with a reading a minute of two EVSEs over this many hours.
    fn filled(hours: i64) -> Database {
        let made = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        table::create(&made).unwrap();
        let write = made.begin_write().unwrap();
        let mut readings = write.open_table(READINGS).unwrap();
        for minute in 0..hours * 60 {
            for evse in ["E1", "E2"] {
                readings.insert((minute * MINUTE, evse), b"{}".as_slice()).unwrap();
            }
        }
        drop(readings);
        write.commit().unwrap();
        made
    }

    fn rows(made: &Database, from_h: i64, to_h: i64) -> usize {
        let read = made.begin_read().unwrap();
        let table = read.open_table(READINGS).unwrap();
        table.range((from_h * 60 * MINUTE, "")..(to_h * 60 * MINUTE, "")).unwrap().count()
    }

    /// Trims and thins until nothing changes; how often.
    fn tend(made: &Database, keep: &Retention) -> usize {
        let mut reached = i64::MIN;
        for round in 1..100 {
            let before = (rows(made, 0, 10_000), reached);
            let write = made.begin_write().unwrap();
            trim(&write, keep).unwrap();
            reached = thin(&write, keep, reached).unwrap();
            write.commit().unwrap();
            if before == (rows(made, 0, 10_000), reached) {
                return round;
            }
        }
        panic!("it never comes to rest");
    }

    #[test]
    fn old_readings_are_thinned_and_older_ones_forgotten() {
        let made = filled(100);
        let keep = Retention {
            readings: Duration::hours(72),
            readings_fine: Duration::hours(24),
            ..Retention::default()
        };
        tend(&made, &keep);
        assert_eq!(rows(&made, 0, 27), 0, "older than three days");
        assert_eq!(rows(&made, 30, 70), 2 * 40 * 4, "one each quarter of an hour and EVSE");
        assert_eq!(rows(&made, 77, 100), 2 * 23 * 60, "the last day as it was");
        assert_eq!(tend(&made, &keep), 2, "once is enough");
    }

    #[test]
    fn readings_are_bounded_by_number_and_kept_whole_by_default() {
        let made = filled(50);
        tend(&made, &Retention::default());
        assert_eq!(rows(&made, 0, 50), 2 * 50 * 60);
        tend(&made, &Retention { readings_max: 1000, ..Retention::default() });
        assert_eq!(rows(&made, 0, 50), 1000);
    }
}
