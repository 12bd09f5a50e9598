//! Facts of a small site, and a plain map that says what a store should remember of them.

use std::collections::BTreeMap;

use ampgate::ground::ids::{ChargePointId, EvseId, IdToken, SessionId, TransactionId};
use ampgate::ground::time::Utc;
use ampgate::ground::units::{Amps, PerPhase, WattHours, Watts};
use ampgate::model::bound::Cause;
use ampgate::model::campaign::{Campaign, CampaignCharger, CampaignId, CampaignState};
use ampgate::model::event::{Event, EventKind};
use ampgate::model::limit::LimitRecord;
use ampgate::model::message::{Identity, LimitScope};
use ampgate::model::preference::{Intent, Preference, PreferenceSource, Wish};
use ampgate::model::record::{
    ChargePointRecord, LearnedRecord, LeaseRecord, ReadingRecord, Record, Remembered,
    SetpointRecord,
};
use ampgate::model::reservation::{Reservation, ReservationId, ReservationState};
use ampgate::model::session::{Session, Stop, Transaction};

/// As `store` keeps them for each charge point.
const CLOSED_PER_CHARGE_POINT: usize = 16;
const CLOSED_SESSIONS: usize = 50;

pub fn evse(point: u32) -> EvseId {
    EvseId::new(&format!("EVSE-{point:02}"))
}

pub fn start(id: u64, point: u32) -> Record {
    Record::Transaction(Transaction {
        id: TransactionId(id as i64),
        charge_point: ChargePointId::new(&format!("CP-{point:02}")),
        connector: 1,
        token: IdToken::new("04A1B2C3D4"),
        started: Utc::from_millis(id as i64 * 1000),
        meter_start_wh: WattHours::new(1_234_567),
        session: SessionId(id),
        replayed: false,
        stop: None,
    })
}

pub fn stop(id: u64, point: u32) -> Record {
    let Record::Transaction(mut transaction) = start(id, point) else {
        unreachable!("a start is a transaction")
    };
    transaction.stop = Some(Stop {
        at: Utc::from_millis(id as i64 * 1000 + 500),
        meter_stop_wh: WattHours::new(1_240_000),
        reason: "EVDisconnected".to_owned(),
        lost: false,
    });
    Record::Transaction(transaction)
}

/// Ended where it has an energy.
pub fn session(id: u64, point: u32, energy_wh: Option<u64>) -> Record {
    Record::Session(Session {
        id: SessionId(id),
        evse: evse(point),
        transaction: TransactionId(id as i64),
        token: IdToken::new("04A1B2C3D4"),
        started: Utc::from_millis(id as i64 * 1000),
        ended: energy_wh.map(|_| Utc::from_millis(id as i64 * 1000 + 500)),
        energy_wh: WattHours::new(energy_wh.unwrap_or(0) as i64),
        measured: None,
    })
}

pub fn lease(point: u32, ceiling: i64) -> Record {
    Record::Lease(LeaseRecord {
        evse: evse(point),
        ceiling_a: Amps::new(ceiling),
        scope: LimitScope::Transaction,
        armed: true,
        safe_a: Some(Amps::new(6)),
    })
}

/// Of the session with this number; without energy it is taken back.
pub fn preference(id: u64, energy_kwh: Option<i64>) -> Record {
    let wish = wish(energy_kwh);
    let at = Some(Utc::from_millis(id as i64 * 1000));
    Record::Preference(Preference::new(SessionId(id), wish, PreferenceSource::Driver, at))
}

/// Of a car whose transaction has not begun.
pub fn intent(point: u32, energy_kwh: Option<i64>) -> Record {
    let (source, at) = (PreferenceSource::Driver, None);
    Record::Intent(Intent { evse: evse(point), wish: wish(energy_kwh), source, at })
}

fn wish(energy_kwh: Option<i64>) -> Wish {
    Wish { energy_wh: energy_kwh.map(|kwh| WattHours::new(kwh * 1000)), ..Wish::default() }
}

/// On an EVSE in A, or on all in W; without an amount it is over.
pub fn limit(point: Option<u32>, amount: Option<i64>) -> Record {
    let on_one = amount.filter(|_| point.is_some()).map(Amps::new);
    Record::Limit(LimitRecord {
        evse: point.map(evse),
        source: "MQTT".to_owned(),
        partner: false,
        limit_a: on_one,
        limit_w: amount.filter(|_| point.is_none()).map(Watts::new),
        until: Some(Utc::from_millis(1000)),
        lasts_ms: 60_000,
    })
}

pub fn charge_point(point: u32, model: &str) -> Record {
    Record::ChargePoint(ChargePointRecord {
        charge_point: ChargePointId::new(&format!("CP-{point:02}")),
        identity: Some(Identity { model: model.to_owned(), ..Identity::default() }),
        capability: None,
    })
}

pub fn reading(point: u32, at: i64) -> Record {
    Record::Reading(ReadingRecord {
        evse: evse(point),
        transaction: None,
        at: Utc::from_millis(at),
        current_a: Some(PerPhase([Amps::milli(15_870), Amps::ZERO, Amps::ZERO])),
        power_w: Some(Watts::new(3650)),
        energy_wh: Some(WattHours::new(1_234_890)),
    })
}

pub fn setpoint(point: u32, at: i64) -> Record {
    Record::Setpoint(SetpointRecord {
        evse: evse(point),
        session: Some(SessionId(1)),
        at: Utc::from_millis(at),
        limit_a: Amps::new(10),
        cause: Cause::Breaker { node: "IBST 63A".to_owned(), phase: None, sharing: 4 },
    })
}

pub fn reservation(id: i32, state: ReservationState) -> Record {
    Record::Reservation(Reservation {
        id: ReservationId(id),
        charge_point: ChargePointId::new("CP-01"),
        evse: Some(evse(1)),
        token: IdToken::new("04A1B2C3D4"),
        group: None,
        until: Utc::from_millis(i64::from(id) * 1000),
        state,
    })
}

pub fn campaign(id: i32, state: CampaignState) -> Record {
    Record::Campaign(Campaign {
        id: CampaignId(id),
        location: "http://10.0.0.1/fw.bin".to_owned(),
        signed: None,
        chargers: vec![CampaignCharger {
            charge_point: ChargePointId::new("CP-01"),
            before: "1.0".to_owned(),
            asked: 1,
            state,
        }],
    })
}

pub fn learned(name: &str, text: &str) -> Record {
    Record::Learned(LearnedRecord { name: name.to_owned(), text: text.to_owned() })
}

pub fn event(text: &str) -> Record {
    let (kind, subject) = (EventKind::SessionStarted, "EVSE-01".to_owned());
    Record::Event(Event { kind, subject, text: text.to_owned(), at: Some(Utc::from_millis(0)) })
}

/// What a store should remember.
#[derive(Clone, Debug, Default)]
pub struct Model {
    transactions: BTreeMap<i64, Transaction>,
    pub sessions: BTreeMap<u64, Session>,
    leases: BTreeMap<EvseId, LeaseRecord>,
    charge_points: BTreeMap<ChargePointId, ChargePointRecord>,
    preferences: BTreeMap<u64, Preference>,
    intents: BTreeMap<EvseId, Intent>,
    reservations: BTreeMap<i32, Reservation>,
    campaigns: BTreeMap<i32, Campaign>,
    learned: BTreeMap<String, LearnedRecord>,
    limits: BTreeMap<String, LimitRecord>,
}

impl Model {
    pub fn take(&mut self, records: &[Record]) {
        for record in records.iter().cloned() {
            match record {
                Record::Transaction(value) => drop(self.transactions.insert(value.id.0, value)),
                Record::Session(value) => drop(self.sessions.insert(value.id.0, value)),
                Record::Lease(value) => drop(self.leases.insert(value.evse.clone(), value)),
                Record::ChargePoint(value) => {
                    self.charge_points.insert(value.charge_point.clone(), value);
                }
                Record::Preference(value) => drop(self.preferences.insert(value.session.0, value)),
                Record::Intent(value) if value.wish.is_empty() => {
                    self.intents.remove(&value.evse);
                }
                Record::Intent(value) => drop(self.intents.insert(value.evse.clone(), value)),
                Record::Reservation(value) => drop(self.reservations.insert(value.id.0, value)),
                Record::Campaign(value) => drop(self.campaigns.insert(value.id.0, value)),
                Record::Limit(value) if value.is_over() => {
                    self.limits.remove(&value.key());
                }
                Record::Limit(value) => drop(self.limits.insert(value.key(), value)),
                Record::Learned(value) if value.text.is_empty() => {
                    self.learned.remove(&value.name);
                }
                Record::Learned(value) => drop(self.learned.insert(value.name.clone(), value)),
                Record::Reading(_) | Record::Setpoint(_) | Record::Event(_) => {}
            }
        }
    }

    pub fn remembered(&self) -> Remembered {
        let mut transactions = Vec::new();
        let mut closed: BTreeMap<&ChargePointId, usize> = BTreeMap::new();
        for transaction in self.transactions.values().rev() {
            let count = closed.entry(&transaction.charge_point).or_default();
            if transaction.stop.is_some() {
                *count += 1;
            }
            if transaction.stop.is_none() || *count <= CLOSED_PER_CHARGE_POINT {
                transactions.insert(0, transaction.clone());
            }
        }
        let mut sessions = Vec::new();
        let mut closed = 0;
        for session in self.sessions.values().rev() {
            closed += usize::from(session.ended.is_some());
            if session.ended.is_none() || closed <= CLOSED_SESSIONS {
                sessions.insert(0, session.clone());
            }
        }
        Remembered {
            transactions,
            sessions,
            leases: self.leases.values().cloned().collect(),
            charge_points: self.charge_points.values().cloned().collect(),
            preferences: self.preferences.values().cloned().collect(),
            intents: self.intents.values().cloned().collect(),
            last_transaction: self.transactions.keys().last().copied().unwrap_or(0),
            last_session: self.sessions.keys().last().copied().unwrap_or(0),
            reservations: self.reservations.values().cloned().collect(),
            campaigns: self.campaigns.values().cloned().collect(),
            learned: self.learned.values().cloned().collect(),
            limits: self.limits.values().cloned().collect(),
        }
    }
}
