//! Facts that wait for the disk, bounded, each under the key it will have there.
//!
//! A later state of the same thing replaces an earlier one that still waits, so a disk that fails
//! for days costs memory for each thing and not for each change. When memory is short, readings are
//! thinned first, then setpoints, then the oldest events; transactions, sessions, leases and charge
//! points are never thinned. Pure.

use std::collections::BTreeMap;

use crate::ground::ids::{ChargePointId, EvseId, SessionId, TransactionId};
use crate::ground::time::Utc;
use crate::model::record::{Durability, Record};

use super::state::CommitNumber;

/// Batched facts that may wait: 20,000 of some 250 bytes are 5 MB, a day of 12 busy chargers.
pub const BATCHED_MAX: usize = 20_000;

/// Facts for at once that may wait: some 500 bytes each. Reached only if a disk fails for months.
pub const URGENT_MAX: usize = 50_000;

/// The identity of a fact: a later fact with the same key replaces the earlier one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// One for each EVSE.
    Lease(EvseId),
    /// One for each charge point.
    ChargePoint(ChargePointId),
    /// By its number.
    Transaction(TransactionId),
    /// By its number.
    Session(SessionId),
    /// By its number.
    Reservation(i32),
    /// By its number.
    Campaign(i32),
    /// A limit from outside.
    Limit(String),
    /// By its session.
    Preference(SessionId),
    /// One for each EVSE.
    Intent(EvseId),
    /// By time, then EVSE.
    Reading(Utc, EvseId),
    /// By time, then EVSE.
    Setpoint(Utc, EvseId),
    /// By name.
    Learned(String),
    /// In the order they came.
    Event(u64),
}

/// Facts by key.
pub type Facts = BTreeMap<Key, Record>;

/// What waits for the disk.
#[derive(Debug, Default)]
pub struct Queue {
    urgent: Facts,
    batched: Facts,
    number: CommitNumber,
    next_event: u64,
    thinned: u64,
    lost: u64,
}

impl Queue {
    /// Empty; the next event gets this number.
    pub fn new(next_event: u64) -> Self {
        Self { next_event, ..Self::default() }
    }

    /// Takes the facts of one step; see [`Store::commit`](super::Store::commit).
    pub fn add(&mut self, records: Vec<Record>) -> CommitNumber {
        let urgent = |record: &Record| record.durability() == Durability::Now;
        if records.iter().any(urgent) {
            self.number.0 += 1;
        }
        for record in records {
            let key = self.key(&record);
            if urgent(&record) {
                self.add_urgent(key, record);
            } else {
                self.batched.insert(key, record);
            }
        }
        if self.batched.len() > BATCHED_MAX {
            self.thin();
        }
        self.number
    }

    /// Takes out what is to be written: what is urgent, and with it the batch where `all` is set.
    /// The number is the one that is confirmed when these are on disk.
    pub fn take(&mut self, all: bool) -> (Facts, CommitNumber) {
        let mut facts = std::mem::take(&mut self.urgent);
        if all {
            facts.append(&mut self.batched);
        }
        (facts, self.number)
    }

    /// Takes back what could not be written. What came in meanwhile is later and stays.
    pub fn put_back(&mut self, facts: Facts) {
        for (key, record) in facts {
            let later = match record.durability() {
                Durability::Now => &mut self.urgent,
                Durability::Batched => &mut self.batched,
            };
            later.entry(key).or_insert(record);
        }
        if self.batched.len() > BATCHED_MAX {
            self.thin();
        }
    }

    /// Whether something waits that must be on disk at once.
    pub fn is_urgent(&self) -> bool {
        !self.urgent.is_empty()
    }

    /// How many facts wait that must be on disk at once.
    pub fn urgent(&self) -> usize {
        self.urgent.len()
    }

    /// How many facts wait for the next batch.
    pub fn batched(&self) -> usize {
        self.batched.len()
    }

    /// Batched facts that were given up for lack of memory.
    pub fn thinned(&self) -> u64 {
        self.thinned
    }

    /// Urgent facts that were given up because [`URGENT_MAX`] was reached. Never, on a disk that
    /// works at least once in a while.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Everything that waits and lies between two keys, for questions about the present.
    pub fn between(&self, first: &Key, last: &Key) -> impl Iterator<Item = (&Key, &Record)> {
        let urgent = self.urgent.range(first.clone()..=last.clone());
        urgent.chain(self.batched.range(first.clone()..=last.clone()))
    }

    fn add_urgent(&mut self, key: Key, record: Record) {
        if self.urgent.len() < URGENT_MAX || self.urgent.contains_key(&key) {
            self.urgent.insert(key, record);
        } else {
            self.lost += 1;
        }
    }

    fn key(&mut self, record: &Record) -> Key {
        match record {
            Record::Learned(known) => Key::Learned(known.name.clone()),
            Record::Reservation(one) => Key::Reservation(one.id.0),
            Record::Campaign(one) => Key::Campaign(one.id.0),
            Record::Limit(one) => Key::Limit(one.key()),
            Record::Lease(lease) => Key::Lease(lease.evse.clone()),
            Record::ChargePoint(point) => Key::ChargePoint(point.charge_point.clone()),
            Record::Transaction(transaction) => Key::Transaction(transaction.id),
            Record::Session(session) => Key::Session(session.id),
            Record::Preference(preference) => Key::Preference(preference.session),
            Record::Intent(intent) => Key::Intent(intent.evse.clone()),
            Record::Reading(reading) => Key::Reading(reading.at, reading.evse.clone()),
            Record::Setpoint(setpoint) => Key::Setpoint(setpoint.at, setpoint.evse.clone()),
            Record::Event(_) => {
                let number = self.next_event;
                self.next_event += 1;
                Key::Event(number)
            }
        }
    }

    /// Halves the readings, else the setpoints, else gives up the oldest half of the events.
    fn thin(&mut self) {
        let before = self.batched.len();
        let readings = |key: &Key| matches!(key, Key::Reading(..));
        let setpoints = |key: &Key| matches!(key, Key::Setpoint(..));
        let few = BATCHED_MAX / 20;
        let kinds: [&dyn Fn(&Key) -> bool; 2] = [&readings, &setpoints];
        let many = kinds
            .into_iter()
            .find(|kind| self.batched.keys().filter(|key| kind(key)).count() > few);
        match many {
            Some(kind) => {
                let mut odd = false;
                self.batched.retain(|key, _| {
                    odd ^= kind(key);
                    !kind(key) || odd
                });
            }
            None => {
                let mut surplus = before / 2;
                self.batched.retain(|key, _| {
                    let drop = surplus > 0 && matches!(key, Key::Event(_));
                    surplus -= usize::from(drop);
                    !drop
                });
            }
        }
        self.thinned += (before - self.batched.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::units::Amps;
    use crate::model::bound::Cause;
    use crate::model::event::{Event, EventKind};
    use crate::model::message::LimitScope;
    use crate::model::record::{LeaseRecord, ReadingRecord, SetpointRecord};

    fn lease(evse: &str, ceiling: i64) -> Record {
        Record::Lease(LeaseRecord {
            evse: EvseId::new(evse),
            ceiling_a: Amps::new(ceiling),
            scope: LimitScope::Transaction,
            armed: true,
            safe_a: Some(Amps::new(6)),
        })
    }

    fn reading(millis: i64) -> Record {
        Record::Reading(ReadingRecord {
            evse: EvseId::new("E1"),
            transaction: None,
            at: Utc::from_millis(millis),
            current_a: None,
            power_w: None,
            energy_wh: None,
        })
    }

    fn setpoint(millis: i64) -> Record {
        Record::Setpoint(SetpointRecord {
            evse: EvseId::new("E1"),
            session: None,
            at: Utc::from_millis(millis),
            limit_a: Amps::new(6),
            cause: Cause::Rated,
        })
    }

    fn event() -> Record {
        let (kind, subject, text) = (EventKind::LinkUp, String::new(), String::new());
        Record::Event(Event { kind, subject, text, at: None })
    }

    #[test]
    fn a_later_state_replaces_one_that_still_waits() {
        let mut queue = Queue::new(0);
        assert_eq!(queue.add(vec![lease("E1", 16)]), CommitNumber(1));
        assert_eq!(queue.add(vec![reading(1)]), CommitNumber(1));
        assert_eq!(queue.add(vec![lease("E1", 32), lease("E2", 6)]), CommitNumber(2));
        let (facts, number) = queue.take(false);
        assert_eq!(number, CommitNumber(2));
        let ceilings: Vec<Record> = facts.into_values().collect();
        assert_eq!(ceilings, [lease("E1", 32), lease("E2", 6)]);
        assert_eq!((queue.is_urgent(), queue.batched()), (false, 1));
    }

    #[test]
    fn what_comes_back_from_a_failed_disk_is_older_than_what_came_meanwhile() {
        let mut queue = Queue::new(0);
        queue.add(vec![lease("E1", 16), lease("E2", 10), reading(1)]);
        let (facts, _) = queue.take(true);
        queue.add(vec![lease("E1", 32)]);
        queue.put_back(facts);
        let (facts, _) = queue.take(true);
        let kept: Vec<Record> = facts.into_values().collect();
        assert_eq!(kept, [lease("E1", 32), lease("E2", 10), reading(1)]);
    }

    #[test]
    fn readings_go_first_when_memory_is_short_and_leases_never() {
        let mut queue = Queue::new(0);
        queue.add(vec![lease("E1", 16)]);
        for millis in 0..BATCHED_MAX as i64 {
            queue.add(vec![reading(millis)]);
        }
        queue.add((0..100).map(setpoint).collect());
        queue.add(vec![event()]);
        let (facts, _) = queue.take(true);
        let count = |wanted: fn(&Key) -> bool| facts.keys().filter(|key| wanted(key)).count();
        assert_eq!(count(|key| matches!(key, Key::Reading(..))), BATCHED_MAX / 2);
        assert_eq!(count(|key| matches!(key, Key::Setpoint(..))), 100);
        assert_eq!(count(|key| matches!(key, Key::Event(_))), 1);
        assert_eq!(count(|key| matches!(key, Key::Lease(_))), 1);
        assert_eq!(queue.thinned(), BATCHED_MAX as u64 / 2);
    }

    #[test]
    fn a_flood_of_events_stays_bounded_and_keeps_the_latest() {
        let mut queue = Queue::new(7);
        for _ in 0..3 * BATCHED_MAX {
            queue.add(vec![event()]);
        }
        let (facts, _) = queue.take(true);
        assert!(facts.len() <= BATCHED_MAX);
        assert_eq!(facts.keys().last(), Some(&Key::Event(6 + 3 * BATCHED_MAX as u64)));
    }
}
