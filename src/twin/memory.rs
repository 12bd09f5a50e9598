//! What a store would hold of the records of a controller, and what a power cut leaves of it.
//!
//! The twin's stand-in for a disk: a record is durable some time after it was given, and a restart
//! sees only what was durable. It keeps what a controller is started with and forgets the rest.

use std::collections::{BTreeMap, VecDeque};

use crate::ground::ids::{ChargePointId, EvseId, SessionId, TransactionId};
use crate::ground::time::Instant;
use crate::model::campaign::{Campaign, CampaignId};
use crate::model::limit::LimitRecord;
use crate::model::preference::{Intent, Preference};
use crate::model::record::{ChargePointRecord, LearnedRecord, LeaseRecord, Record, Remembered};
use crate::model::reservation::{Reservation, ReservationId};
use crate::model::session::{Session, Transaction};

/// Closed transactions and sessions kept for repeated starts; as many as a store hands back.
const CLOSED_MAX: usize = 200;

/// The records that a restart would find, and those that are still on their way to the disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    waiting: VecDeque<(Instant, Record)>,
    transactions: BTreeMap<TransactionId, Transaction>,
    sessions: BTreeMap<SessionId, Session>,
    leases: BTreeMap<EvseId, LeaseRecord>,
    charge_points: BTreeMap<ChargePointId, ChargePointRecord>,
    preferences: BTreeMap<SessionId, Preference>,
    intents: BTreeMap<EvseId, Intent>,
    last_transaction: i64,
    last_session: u64,
    reservations: BTreeMap<ReservationId, Reservation>,
    campaigns: BTreeMap<CampaignId, Campaign>,
    learned: BTreeMap<String, LearnedRecord>,
    limits: BTreeMap<String, LimitRecord>,
}

impl Memory {
    /// Takes a record that will be durable at `durable_at`.
    pub fn keep(&mut self, record: Record, durable_at: Instant) {
        match record {
            Record::Reading(_) | Record::Setpoint(_) | Record::Event(_) => {}
            Record::Transaction(_)
            | Record::Session(_)
            | Record::Lease(_)
            | Record::ChargePoint(_)
            | Record::Preference(_)
            | Record::Intent(_)
            | Record::Reservation(_)
            | Record::Campaign(_)
            | Record::Limit(_)
            | Record::Learned(_) => self.waiting.push_back((durable_at, record)),
        }
    }

    /// Time has passed: what was due is durable.
    pub fn settle(&mut self, now: Instant) {
        while self.waiting.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, record)) = self.waiting.pop_front() {
                self.write(record);
            }
        }
    }

    /// Whether something is still on its way to the disk.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The power fails: what was not durable is gone.
    pub fn cut(&mut self, now: Instant) {
        self.settle(now);
        self.waiting.clear();
    }

    /// What a controller is started with.
    pub fn remembered(&self) -> Remembered {
        Remembered {
            learned: self.learned.values().cloned().collect(),
            transactions: self.transactions.values().cloned().collect(),
            sessions: self.sessions.values().cloned().collect(),
            leases: self.leases.values().cloned().collect(),
            charge_points: self.charge_points.values().cloned().collect(),
            preferences: self.preferences.values().cloned().collect(),
            intents: self.intents.values().cloned().collect(),
            last_transaction: self.last_transaction,
            last_session: self.last_session,
            reservations: self.reservations.values().cloned().collect(),
            campaigns: self.campaigns.values().cloned().collect(),
            limits: self.limits.values().cloned().collect(),
        }
    }

    fn write(&mut self, record: Record) {
        match record {
            Record::Transaction(transaction) => {
                self.last_transaction = self.last_transaction.max(transaction.id.0);
                self.transactions.insert(transaction.id, transaction);
                forget(&mut self.transactions, |old| old.stop.is_some());
            }
            Record::Session(session) => {
                self.last_session = self.last_session.max(session.id.0);
                self.sessions.insert(session.id, session);
                forget(&mut self.sessions, |old| old.ended.is_some());
                self.preferences.retain(|id, _| self.sessions.contains_key(id));
            }
            Record::Lease(lease) => {
                self.leases.insert(lease.evse.clone(), lease);
            }
            Record::ChargePoint(known) => {
                self.charge_points.insert(known.charge_point.clone(), known);
            }
            Record::Reservation(one) => {
                self.reservations.insert(one.id, one);
                forget(&mut self.reservations, |old| !old.is_open());
            }
            Record::Campaign(one) => {
                self.campaigns.insert(one.id, one);
                forget(&mut self.campaigns, Campaign::is_over);
            }
            Record::Limit(one) if one.is_over() => {
                self.limits.remove(&one.key());
            }
            Record::Limit(one) => {
                self.limits.insert(one.key(), one);
            }
            Record::Learned(known) if known.text.is_empty() => {
                self.learned.remove(&known.name);
            }
            Record::Learned(known) => {
                self.learned.insert(known.name.clone(), known);
            }
            Record::Preference(preference) => {
                self.preferences.insert(preference.session, preference);
            }
            Record::Intent(intent) if intent.wish.is_empty() => {
                self.intents.remove(&intent.evse);
            }
            Record::Intent(intent) => {
                self.intents.insert(intent.evse.clone(), intent);
            }
            Record::Reading(_) | Record::Setpoint(_) | Record::Event(_) => {}
        }
    }
}

/// Lets the oldest closed entry go where there are too many.
fn forget<K: Ord + Copy, V>(kept: &mut BTreeMap<K, V>, is_closed: impl Fn(&V) -> bool) {
    if CLOSED_MAX < kept.len() {
        let oldest = kept.iter().find(|(_, value)| is_closed(value)).map(|(key, _)| *key);
        if let Some(oldest) = oldest {
            kept.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::units::Amps;
    use crate::model::message::LimitScope;

    fn lease(amps: i64) -> Record {
        Record::Lease(LeaseRecord {
            evse: EvseId::new("E1"),
            ceiling_a: Amps::new(amps),
            scope: LimitScope::Transaction,
            armed: true,
            safe_a: Some(Amps::new(6)),
        })
    }

    #[test]
    fn a_power_cut_leaves_what_was_durable() {
        let at = Instant::from_millis;
        let mut memory = Memory::default();
        memory.keep(lease(10), at(5));
        memory.keep(lease(20), at(15));
        memory.cut(at(10));
        memory.settle(at(20));
        assert_eq!(memory.remembered().leases[0].ceiling_a, Amps::new(10));
    }
}
