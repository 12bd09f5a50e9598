//! The book of transactions and sessions: every start and stop exactly once, whatever is repeated,
//! late, out of order or unknown (OCPP 1.6 §4.8, §4.10, §5.11, §5.18).
//!
//! A charger that got no answer sends the same start or stop again, perhaps after a restart of the
//! box; an offline queue tells of the past. Nothing here is ever refused: what cannot be matched is
//! kept as evidence and told as an event.

use std::collections::{BTreeMap, BTreeSet};

use crate::ground::ids::{ChargePointId, EvseId, EvseIndex, SessionId, TransactionId};
use crate::ground::time::{Duration, Now, Utc};
use crate::ground::units::WattHours;
use crate::model::message::{Start, StopReport};
use crate::model::record::Remembered;
use crate::model::session::{Session, Stop, Transaction};

/// Closed transactions kept in memory for each charge point, to recognise repeated messages. A
/// charger repeats only its newest unanswered one; the rest is a wide margin.
const CLOSED_MAX: usize = 64;

/// Closed sessions kept in memory for people; older ones are in the store.
const SESSIONS_MAX: usize = 100;

/// Field chargers repeat a start with a slightly different time (quirk 20).
const REPEAT_TOLERANCE: Duration = Duration::seconds(2);

/// OCPP transaction ids stay below 2^31; some chargers mangle larger ones.
const TRANSACTION_MAX: i64 = i32::MAX as i64;

/// Every transaction and session that is open or was lately.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    transactions: BTreeMap<TransactionId, Transaction>,
    /// Those without a stop, few beside those that are remembered: they are looked at all the time.
    open: BTreeSet<TransactionId>,
    sessions: BTreeMap<SessionId, Session>,
    evses: BTreeMap<SessionId, EvseIndex>,
    last_transaction: i64,
    last_session: u64,
}

/// What a start turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// The id to answer with.
    pub transaction: TransactionId,
    /// It was told before; nothing changed.
    pub repeated: bool,
    /// An earlier transaction of the connector whose stop never came; it was closed.
    pub lost: Option<TransactionId>,
}

/// What a stop turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It ended this transaction.
    Ended(TransactionId),
    /// The transaction had ended before; the first word stays.
    Repeated(TransactionId),
    /// No transaction fits.
    Unknown,
}

impl Book {
    /// Goes on where the store left off.
    pub fn new(remembered: &Remembered, find: impl Fn(&EvseId) -> Option<EvseIndex>) -> Self {
        let mut book = Self {
            last_transaction: remembered.last_transaction,
            last_session: remembered.last_session,
            ..Self::default()
        };
        for session in &remembered.sessions {
            if let Some(evse) = find(&session.evse) {
                book.evses.insert(session.id, evse);
            }
            book.last_session = book.last_session.max(session.id.0);
            book.sessions.insert(session.id, session.clone());
        }
        for transaction in &remembered.transactions {
            book.last_transaction = book.last_transaction.max(transaction.id.0);
            if transaction.stop.is_none() {
                book.open.insert(transaction.id);
            }
            book.transactions.insert(transaction.id, transaction.clone());
        }
        book
    }

    /// Takes a start in: gives it an id, or recognises it as one told before.
    pub fn start(
        &mut self,
        charge_point: &ChargePointId,
        start: &Start,
        evse_id: EvseId,
        now: Now,
    ) -> Started {
        if let Some(known) = self.same_start(charge_point, start) {
            return Started { transaction: known, repeated: true, lost: None };
        }
        let at = start.at.or(now.utc).unwrap_or_default();
        let lost = self.open_on(charge_point, start.connector, at);
        if let Some(lost) = lost {
            self.close_lost(lost, at);
        }
        self.last_transaction = if self.last_transaction < TRANSACTION_MAX {
            self.last_transaction.max(0) + 1
        } else {
            1
        };
        self.last_session += 1;
        let (id, session) = (TransactionId(self.last_transaction), SessionId(self.last_session));
        self.open.insert(id);
        self.transactions.insert(
            id,
            Transaction {
                id,
                charge_point: charge_point.clone(),
                connector: start.connector,
                token: start.token.clone(),
                started: at,
                meter_start_wh: start.meter_start,
                session,
                replayed: start.replayed,
                stop: None,
            },
        );
        self.sessions.insert(
            session,
            Session {
                id: session,
                evse: evse_id,
                transaction: id,
                token: start.token.clone(),
                started: at,
                ended: None,
                energy_wh: WattHours::ZERO,
                measured: None,
            },
        );
        if let Some(evse) = start.evse {
            self.evses.insert(session, evse);
        }
        self.thin(charge_point);
        Started { transaction: id, repeated: false, lost }
    }

    /// Takes a stop in: by its id, else by the only open transaction that fits.
    pub fn stop(&mut self, charge_point: &ChargePointId, stop: &StopReport, now: Now) -> Stopped {
        let at = stop.at.or(now.utc).unwrap_or_default();
        let Some(id) = self.match_stop(charge_point, stop, at) else {
            return Stopped::Unknown;
        };
        let closed = match self.transactions.get_mut(&id) {
            Some(transaction) if transaction.stop.as_ref().is_none_or(|stop| stop.lost) => {
                transaction.stop = Some(Stop {
                    at: at.max(transaction.started),
                    meter_stop_wh: stop.meter_stop.max(transaction.meter_start_wh),
                    reason: stop.reason.clone(),
                    lost: false,
                });
                transaction.clone()
            }
            _ => return Stopped::Repeated(id),
        };
        self.end_session(&closed);
        Stopped::Ended(id)
    }

    /// Takes an energy register in, for the session of this transaction.
    pub fn energy(&mut self, id: TransactionId, register: WattHours, at: Utc) {
        let Some(transaction) = self.transactions.get(&id) else { return };
        let energy = register - transaction.meter_start_wh;
        let Some(session) = self.sessions.get_mut(&transaction.session) else { return };
        let newer = session.measured.is_none_or(|before| before <= at);
        if session.ended.is_none() && newer && session.energy_wh <= energy {
            session.energy_wh = energy;
            session.measured = Some(at);
        }
    }

    /// The transaction with this id.
    pub fn transaction(&self, id: TransactionId) -> Option<&Transaction> {
        self.transactions.get(&id)
    }

    /// The session with this id.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// The open transactions with the EVSE they run on, oldest first.
    pub fn open(&self) -> impl Iterator<Item = (&Transaction, EvseIndex)> {
        let open = self.open.iter().filter_map(|id| self.transactions.get(id));
        open.filter_map(|open| Some((open, *self.evses.get(&open.session)?)))
    }

    /// The open transaction of a connector that began last.
    pub fn newest_open(&self, evse: EvseIndex) -> Option<&Transaction> {
        let here = self.open().filter(|(_, at)| *at == evse).map(|(transaction, _)| transaction);
        here.max_by_key(|transaction| (transaction.started, transaction.id))
    }

    /// All sessions in memory, newest first.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().rev()
    }

    /// Everything in memory, as a store would hand it back.
    pub fn remember(&self, into: &mut Remembered) {
        into.transactions = self.transactions.values().cloned().collect();
        into.sessions = self.sessions.values().cloned().collect();
        into.last_transaction = self.last_transaction;
        into.last_session = self.last_session;
    }

    /// A start that was told before: same connector and time, or the same but for a slip of
    /// seconds.
    fn same_start(&self, charge_point: &ChargePointId, start: &Start) -> Option<TransactionId> {
        let at = start.at?;
        let same = |known: &&Transaction| {
            let slip = known.started.since(at);
            let near =
                -REPEAT_TOLERANCE.as_millis() <= slip.as_millis() && slip <= REPEAT_TOLERANCE;
            &known.charge_point == charge_point
                && known.connector == start.connector
                && known.token == start.token
                && (known.started == at || near && known.meter_start_wh == start.meter_start)
        };
        self.transactions.values().rev().find(same).map(|known| known.id)
    }

    /// The open transaction of a connector that must have ended before `at`.
    fn open_on(&self, point: &ChargePointId, connector: u32, at: Utc) -> Option<TransactionId> {
        let open = |known: &&Transaction| {
            known.stop.is_none()
                && &known.charge_point == point
                && known.connector == connector
                && known.started <= at
        };
        self.transactions.values().rev().find(open).map(|known| known.id)
    }

    /// Closes a transaction whose stop will not come, at its last reading.
    pub fn close_lost(&mut self, id: TransactionId, at: Utc) {
        let Some(transaction) = self.transactions.get_mut(&id) else { return };
        let session = self.sessions.get(&transaction.session);
        let energy = session.map_or(WattHours::ZERO, |session| session.energy_wh);
        let seen = session.and_then(|session| session.measured);
        transaction.stop = Some(Stop {
            at: seen.unwrap_or(at).max(transaction.started),
            meter_stop_wh: transaction.meter_start_wh + energy,
            reason: "Other".to_owned(),
            lost: true,
        });
        let closed = transaction.clone();
        self.end_session(&closed);
    }

    fn end_session(&mut self, closed: &Transaction) {
        self.open.remove(&closed.id);
        let Some(session) = self.sessions.get_mut(&closed.session) else { return };
        session.energy_wh = closed.energy().unwrap_or_default();
        session.ended = closed.stop.as_ref().map(|stop| stop.at);
    }

    /// By id; an id that is unknown, 0 or −1 by the connector's history: the stop of a transaction
    /// whose start was never confirmed (errata 3.18), or of one that the charger numbered itself.
    fn match_stop(
        &self,
        charge_point: &ChargePointId,
        stop: &StopReport,
        at: Utc,
    ) -> Option<TransactionId> {
        if let Some(known) = self.transactions.get(&stop.transaction)
            && &known.charge_point == charge_point
        {
            return Some(known.id);
        }
        let fits = |known: &&Transaction| {
            &known.charge_point == charge_point
                && known.started <= at
                && known.meter_start_wh <= stop.meter_stop
        };
        let here = || self.transactions.values().filter(fits);
        let repeated = here().find(|known| {
            let same = |end: &Stop| end.at == at && end.meter_stop_wh == stop.meter_stop;
            known.stop.as_ref().is_some_and(same)
        });
        let mut open = here().filter(|known| known.stop.is_none());
        let only = open.next().filter(|_| open.next().is_none());
        repeated.or(only).map(|known| known.id)
    }

    fn thin(&mut self, charge_point: &ChargePointId) {
        let closed =
            |known: &&Transaction| known.stop.is_some() && &known.charge_point == charge_point;
        let count = self.transactions.values().filter(closed).count();
        let old: Vec<TransactionId> = self
            .transactions
            .values()
            .filter(closed)
            .take(count.saturating_sub(CLOSED_MAX))
            .map(|known| known.id)
            .collect();
        for id in old {
            self.transactions.remove(&id);
        }
        let ended = |session: &&Session| session.ended.is_some();
        let count = self.sessions.values().filter(ended).count();
        let old: Vec<SessionId> = self
            .sessions
            .values()
            .filter(ended)
            .take(count.saturating_sub(SESSIONS_MAX))
            .map(|session| session.id)
            .collect();
        for id in old {
            self.sessions.remove(&id);
            self.evses.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::ids::IdToken;
    use crate::ground::time::Instant;
    use proptest::prelude::*;

    const NOW: Now = Now { mono: Instant::START, utc: Some(Utc::from_millis(9_000_000)) };

    fn point() -> ChargePointId {
        ChargePointId::new("CP-01")
    }

    fn at(seconds: i64) -> Utc {
        Utc::from_millis(seconds * 1000)
    }

    fn start(seconds: i64, register: i64) -> Start {
        Start {
            evse: Some(0),
            connector: 1,
            token: IdToken::new("AB12"),
            meter_start: WattHours::new(register),
            at: Some(at(seconds)),
            replayed: false,
            reservation: None,
        }
    }

    fn stop(id: i64, seconds: i64, register: i64) -> StopReport {
        StopReport {
            transaction: TransactionId(id),
            meter_stop: WattHours::new(register),
            at: Some(at(seconds)),
            reason: "Local".to_owned(),
            token: None,
            readings: Vec::new(),
        }
    }

    fn begin(book: &mut Book, start: &Start) -> Started {
        book.start(&point(), start, EvseId::new("E1"), NOW)
    }

    #[test]
    fn a_start_told_twice_is_one_transaction() {
        let mut book = Book::default();
        let first = begin(&mut book, &start(100, 5000));
        assert_eq!(first, Started { transaction: TransactionId(1), repeated: false, lost: None });
        for again in [start(100, 5000), start(101, 5000), start(100, 5001)] {
            let told = begin(&mut book, &again);
            assert_eq!((told.transaction, told.repeated), (TransactionId(1), true));
        }
        assert_eq!(begin(&mut book, &start(200, 5000)).transaction, TransactionId(2));
    }

    #[test]
    fn a_start_told_again_after_a_restart_keeps_its_id() {
        let mut book = Book::default();
        begin(&mut book, &start(100, 5000));
        let mut remembered = Remembered::default();
        book.remember(&mut remembered);
        let mut book = Book::new(&remembered, |_| Some(0));
        assert!(begin(&mut book, &start(100, 5000)).repeated);
        assert_eq!(begin(&mut book, &start(300, 6000)).transaction, TransactionId(2));
    }

    #[test]
    fn a_stop_counts_once_and_its_first_word_stays() {
        let mut book = Book::default();
        begin(&mut book, &start(100, 5000));
        let ended = book.stop(&point(), &stop(1, 200, 8000), NOW);
        assert_eq!(ended, Stopped::Ended(TransactionId(1)));
        let again = book.stop(&point(), &stop(1, 210, 9000), NOW);
        assert_eq!(again, Stopped::Repeated(TransactionId(1)));
        let energy = book.transaction(TransactionId(1)).and_then(Transaction::energy);
        assert_eq!(energy, Some(WattHours::new(3000)));
        assert_eq!(book.session(SessionId(1)).map(|s| s.ended), Some(Some(at(200))));
    }

    #[test]
    fn a_stop_without_a_known_id_finds_the_only_transaction_that_fits() {
        let mut book = Book::default();
        begin(&mut book, &start(100, 5000));
        let unknown = book.stop(&point(), &stop(-1, 50, 8000), NOW);
        assert_eq!(unknown, Stopped::Unknown);
        let ended = book.stop(&point(), &stop(-1, 200, 8000), NOW);
        assert_eq!(ended, Stopped::Ended(TransactionId(1)));
        let other = ChargePointId::new("CP-02");
        assert_eq!(book.stop(&other, &stop(1, 200, 8000), NOW), Stopped::Unknown);
    }

    #[test]
    fn the_next_start_closes_a_transaction_whose_stop_was_lost() {
        let mut book = Book::default();
        begin(&mut book, &start(100, 5000));
        book.energy(TransactionId(1), WattHours::new(6500), at(150));
        let next = begin(&mut book, &start(300, 6500));
        assert_eq!(next.lost, Some(TransactionId(1)));
        let lost = book.transaction(TransactionId(1)).expect("it was started above");
        assert_eq!(lost.energy(), Some(WattHours::new(1500)));
        let late = book.stop(&point(), &stop(1, 200, 6600), NOW);
        assert_eq!(late, Stopped::Ended(TransactionId(1)));
        let truth = book.transaction(TransactionId(1)).and_then(Transaction::energy);
        assert_eq!(truth, Some(WattHours::new(1600)));
    }

    #[test]
    fn a_replayed_start_from_the_past_closes_nothing() {
        let mut book = Book::default();
        begin(&mut book, &start(500, 7000));
        let past = begin(&mut book, &Start { replayed: true, ..start(100, 5000) });
        assert_eq!(past.lost, None);
        assert_eq!(book.newest_open(0).map(|open| open.id), Some(TransactionId(1)));
    }

    proptest! {
        /// Whatever a charger repeats, each of its transactions is there once, with its own energy.
        #[test]
        fn repeated_messages_change_nothing(
            repeats in proptest::collection::vec(1_usize..4, 1..12),
        ) {
            let mut book = Book::default();
            for (index, times) in repeats.iter().enumerate() {
                let from = 1000 * index as i64;
                let mut id = TransactionId(0);
                for _ in 0..*times {
                    id = begin(&mut book, &start(from, from)).transaction;
                }
                for _ in 0..*times {
                    book.stop(&point(), &stop(id.0, from + 500, from + 70), NOW);
                }
            }
            prop_assert_eq!(book.transactions.len(), repeats.len());
            for known in book.transactions.values() {
                prop_assert_eq!(known.energy(), Some(WattHours::new(70)));
            }
        }

        /// Open is what has no stop, whatever was lost on the way, and after a restart.
        #[test]
        fn open_is_what_has_no_stop(
            steps in proptest::collection::vec((proptest::bool::ANY, 0_i64..6), 1..40),
        ) {
            let mut book = Book::default();
            for (at, (starts, id)) in steps.into_iter().enumerate() {
                let at = 100 * at as i64;
                if starts {
                    begin(&mut book, &start(at, at));
                } else {
                    book.stop(&point(), &stop(id, at, at), NOW);
                }
            }
            let mut remembered = Remembered::default();
            book.remember(&mut remembered);
            for book in [Book::new(&remembered, |_| Some(0)), book] {
                let open: Vec<TransactionId> = book.open().map(|(open, _)| open.id).collect();
                let all = book.transactions.values().filter(|known| known.stop.is_none());
                prop_assert_eq!(open, all.map(|known| known.id).collect::<Vec<_>>());
            }
        }
    }
}
