//! What the field tells becomes state, answers, records and events.

use std::collections::VecDeque;

use crate::ground::ids::{ChargePointId, EvseId, EvseIndex, Ticket, TransactionId};
use crate::ground::time::{Instant, Now};
use crate::ground::units::Amps;
use crate::model::event::EventKind;
use crate::model::message::{
    Answer, Call, EvseStatus, Identity, Lapse, LimitScope, Outcome, Reading, Report, Start,
    StopReport,
};
use crate::model::record::{ReadingRecord, Record};
use crate::ocpp::traffic::Traffic;

use super::book::Stopped;
use super::evse::SeenReading;
use super::message::{Outbox, Output};
use super::state::State;

impl State {
    /// Takes in what the central system has to tell, and sends what it wants to send. Reports may
    /// cause answers, which cause traffic again; it ends when nothing is left.
    pub fn absorb(&mut self, now: Now, traffic: Traffic, out: &mut Outbox) {
        let mut reports: VecDeque<Report> = VecDeque::new();
        let mut next = Some(traffic);
        while let Some(traffic) = next.take() {
            self.send(now, traffic, &mut reports, out);
            let Some(report) = reports.pop_front() else { return };
            let mut caused = Traffic::default();
            self.report(now, report, &mut caused, out);
            next = Some(caused);
        }
    }

    fn send(
        &mut self,
        now: Now,
        traffic: Traffic,
        reports: &mut VecDeque<Report>,
        out: &mut Outbox,
    ) {
        for frame in traffic.frames {
            out.push(Output::Frame {
                charge_point: frame.charge_point,
                link: frame.link,
                text: frame.text,
                after_commit: frame.after_commit,
            });
        }
        for (charge_point, link, politely) in traffic.disconnects {
            out.push(Output::Disconnect { charge_point, link, politely });
        }
        for (kind, subject, text) in traffic.events {
            self.event(now, kind, &subject, text, out);
        }
        reports.extend(traffic.reports);
    }

    fn report(&mut self, now: Now, report: Report, caused: &mut Traffic, out: &mut Outbox) {
        match report {
            Report::Online { charge_point } => self.online(now, &charge_point, out),
            Report::Offline { charge_point } => self.offline(now, &charge_point, out),
            Report::Identified { charge_point, identity } => {
                self.identified(&charge_point, identity, out);
                self.campaign_identified(now, &charge_point, out);
            }
            Report::Learned { charge_point, capability } => {
                let Some(point) = self.points.get_mut(&charge_point) else { return };
                point.record.capability = Some(capability);
                out.push(Output::Record(Record::ChargePoint(point.record.clone())));
            }
            Report::SafeShare { evse, accepted } => {
                self.control.safe_share(evse, accepted);
                self.keep_lease(evse, out);
                self.mark(now.mono);
            }
            Report::Status { evse, status, error, at: _ } => {
                self.status(now, evse, status, error, out);
            }
            Report::Authorize { call, token } => self.authorize(now, &call, &token, caused, out),
            Report::Started { call, start } => self.began(now, &call, &start, caused, out),
            Report::Stopped { call, stop } => self.ended(now, &call, &stop, caused, out),
            Report::Metered { evse, transaction, readings } => {
                self.metered(now, evse, transaction, &readings, out);
            }
            Report::Limit { evse, ticket, scope, outcome } => {
                self.limited(now, evse, ticket, scope, &outcome, out);
            }
            Report::Verified { evse, lapse } => self.verified(now, evse, lapse, out),
            Report::Asked { ask, outcome } => self.asked(now, ask, outcome, out),
            Report::CertificateWanted { charge_point, request } => {
                out.push(Output::Sign { charge_point, request });
            }
            Report::Progress { charge_point, job, status, request: _ } => {
                self.progressed(now, &charge_point, job, &status, out);
            }
        }
    }

    fn online(&mut self, now: Now, charge_point: &ChargePointId, out: &mut Outbox) {
        let Some(point) = self.points.get_mut(charge_point) else { return };
        point.online_since = Some(now.mono);
        for evse in point.evses.clone() {
            self.control.link_up(evse);
            self.consider(now, evse, out);
        }
        self.mark(now.mono);
    }

    fn offline(&mut self, now: Now, charge_point: &ChargePointId, out: &mut Outbox) {
        let Some(point) = self.points.get_mut(charge_point) else { return };
        if point.online_since.take().is_none() {
            return;
        }
        for evse in point.evses.clone() {
            self.evses[evse].watch_empty(false, now.mono);
            self.control.link_down(evse, now.mono);
            self.keep_lease(evse, out);
        }
        self.mark(now.mono);
    }

    fn identified(&mut self, charge_point: &ChargePointId, identity: Identity, out: &mut Outbox) {
        let Some(point) = self.points.get_mut(charge_point) else { return };
        if point.record.identity.as_ref() != Some(&identity) {
            point.record.identity = Some(identity);
            out.push(Output::Record(Record::ChargePoint(point.record.clone())));
        }
    }

    fn status(
        &mut self,
        now: Now,
        evse: EvseIndex,
        status: EvseStatus,
        error: Option<String>,
        out: &mut Outbox,
    ) {
        let before = std::mem::replace(&mut self.evses[evse].status, status);
        let is_online = self.is_online(evse);
        self.evses[evse].watch_empty(is_online, now.mono);
        if let Some(error) = error {
            let name = self.evse_name(evse);
            self.event_seldom(now, EventKind::ChargerFault, &name, error, out);
        }
        if self.evses[evse].is_empty() {
            self.drop_intent(evse, out);
        }
        if before != status {
            self.evses[evse].satisfied |= status == EvseStatus::SuspendedEv;
            self.evses[evse].touch(now.mono);
            self.mark(now.mono);
        }
        self.consider(now, evse, out);
    }

    /// Whether the open transaction of an EVSE draws: a restart, a replayed start or a stop that is
    /// still in the charger's queue leave it open to what the charger's status says.
    fn consider(&mut self, now: Now, evse: EvseIndex, out: &mut Outbox) {
        let state = &self.evses[evse];
        if state.live.is_some() {
            if state.is_empty() {
                self.go_idle(now, evse, out);
            }
        } else if state.is_empty() {
            // Also what the ledger remembers of a transaction before a restart is over.
            self.control.session_ended(evse);
        } else if state.is_drawing()
            && self.is_online(evse)
            && let Some(open) = self.book.newest_open(evse).map(|open| open.id)
        {
            self.evses[evse].wait(open, now.mono);
        }
    }

    /// Transactions that waited long enough for their stop and are charging draw from here on.
    pub fn promote(&mut self, now: Now, out: &mut Outbox) {
        let is_due = self.evses.iter().any(|evse| evse.waited(now.mono, false).is_some());
        for evse in 0..self.evses.len() {
            let Some(waited) = self.evses[evse].waited(now.mono, is_due) else { continue };
            let open = self.book.transaction(waited).filter(|known| known.stop.is_none());
            match open.map(|open| open.session) {
                Some(session) if self.evses[evse].is_drawing() => {
                    self.evses[evse].go_live(waited, session, now.mono);
                    self.planning.changed();
                    self.control.session_began(evse, now.mono);
                    self.adopt_intent(now, evse, session, out);
                }
                _ => self.evses[evse].go_idle(now.mono),
            }
        }
    }

    /// Transactions whose charger has said for long that no car is there are closed: their stop was
    /// lost. One that comes all the same counts in its place.
    pub fn close_abandoned(&mut self, now: Now, out: &mut Outbox) {
        let is_due =
            |evse: EvseIndex| self.evses[evse].abandoned_at().is_some_and(|at| at <= now.mono);
        let open = self.book.open().filter(|(_, evse)| is_due(*evse));
        let lost: Vec<_> = open.map(|(transaction, evse)| (transaction.id, evse)).collect();
        for (transaction, evse) in lost {
            self.book.close_lost(transaction, now.utc.unwrap_or_default());
            let name = self.evse_name(evse);
            self.stop_was_lost(now, transaction, &name, out);
        }
    }

    /// When the next transaction is closed that way.
    pub fn abandoned_wake_at(&self) -> Option<Instant> {
        self.book.open().filter_map(|(_, evse)| self.evses[evse].abandoned_at()).min()
    }

    fn stop_was_lost(&mut self, now: Now, lost: TransactionId, evse: &str, out: &mut Outbox) {
        self.keep_transaction(lost, out);
        let text = format!("the stop of transaction {lost} never came; closed at its last reading");
        self.event(now, EventKind::StopLost, evse, text, out);
    }

    fn go_idle(&mut self, now: Now, evse: EvseIndex, out: &mut Outbox) {
        self.learn(now, evse, out);
        self.evses[evse].go_idle(now.mono);
        self.planning.changed();
        self.control.session_ended(evse);
        self.keep_lease(evse, out);
        self.mark(now.mono);
    }

    fn began(
        &mut self,
        now: Now,
        call: &Call,
        start: &Start,
        caused: &mut Traffic,
        out: &mut Outbox,
    ) {
        let evse_id = match start.evse {
            Some(evse) => self.site.diagram.evses[evse].id.clone(),
            None => EvseId::new(&format!("{}/{}", call.charge_point, start.connector)),
        };
        // Before it is in the book: whoever charges already is let in where an EVSE is kept.
        let info = self.admission(now, start.evse, &start.token);
        let started = self.book.start(&call.charge_point, start, evse_id.clone(), now);
        if let Some(lost) = started.lost {
            self.stop_was_lost(now, lost, evse_id.as_str(), out);
        }
        let asked = (&start.token, start.evse, Some(started.transaction));
        let is_new = !started.repeated && !start.replayed;
        let waits = is_new && self.ask_partners(now, call, asked, &info, out);
        if !started.repeated {
            self.keep_transaction(started.transaction, out);
            self.totals.transactions += 1;
            self.use_reservation(now, &call.charge_point, start, started.transaction, out);
            let kind =
                if start.replayed { EventKind::SessionReplayed } else { EventKind::SessionStarted };
            let text = format!("transaction {}", started.transaction);
            self.event(now, kind, evse_id.as_str(), text, out);
            if !info.is_accepted() && !waits {
                let why = info.verdict.words();
                let text = format!("transaction {}: token {why}", started.transaction);
                self.event(now, EventKind::TokenRefused, evse_id.as_str(), text, out);
            }
        }
        let answer = Answer::Started { transaction: started.transaction, info };
        if !waits {
            self.central.answer(now, call, answer, true, caused);
        }
        if let Some(evse) = start.evse {
            self.draws_from(now, evse, started.transaction, start.replayed, out);
        }
    }

    fn draws_from(
        &mut self,
        now: Now,
        evse: EvseIndex,
        id: TransactionId,
        replayed: bool,
        out: &mut Outbox,
    ) {
        let Some(open) = self.book.transaction(id).filter(|known| known.stop.is_none()) else {
            return;
        };
        let session = open.session;
        if self.evses[evse].live.is_some_and(|live| live.transaction == id) {
            return;
        }
        if replayed {
            self.evses[evse].wait(id, now.mono);
        } else {
            if self.evses[evse].live.is_some() {
                self.control.session_ended(evse);
            }
            self.evses[evse].go_live(id, session, now.mono);
            self.planning.changed();
            self.control.session_began(evse, now.mono);
            self.adopt_intent(now, evse, session, out);
        }
        self.mark(now.mono);
    }

    fn ended(
        &mut self,
        now: Now,
        call: &Call,
        stop: &StopReport,
        caused: &mut Traffic,
        out: &mut Outbox,
    ) {
        let subject = call.charge_point.as_str();
        match self.book.stop(&call.charge_point, stop, now) {
            Stopped::Ended(id) => {
                self.keep_transaction(id, out);
                let live = |evse: &usize| {
                    self.evses[*evse].live.is_some_and(|live| live.transaction == id)
                };
                let ended = (0..self.evses.len()).find(live);
                if let Some(evse) = ended {
                    self.was_paused_to_death(now, evse, id, stop, out);
                    self.go_idle(now, evse, out);
                }
                self.tell_end(now, id, subject, out);
            }
            Stopped::Repeated(_) => {}
            Stopped::Unknown => {
                let text = format!(
                    "stop of transaction {}, register {} Wh, reason {}: no such transaction",
                    stop.transaction,
                    stop.meter_stop.as_f64(),
                    stop.reason
                );
                self.event(now, EventKind::StopUnknown, subject, text, out);
            }
        }
        self.central.answer(now, call, Answer::Stopped, true, caused);
    }

    fn tell_end(&mut self, now: Now, id: TransactionId, subject: &str, out: &mut Outbox) {
        let Some(known) = self.book.transaction(id) else { return };
        let energy = known.energy().unwrap_or_default();
        let reason = known.stop.as_ref().map_or("", |stop| stop.reason.as_str());
        let text = format!("transaction {id}: {:.2} kWh, {reason}", energy.as_f64() / 1000.0);
        let session = self.book.session(known.session);
        let subject = session.map_or(subject.to_owned(), |session| session.evse.to_string());
        self.event(now, EventKind::SessionEnded, &subject, text, out);
    }

    fn keep_transaction(&mut self, id: TransactionId, out: &mut Outbox) {
        let Some(transaction) = self.book.transaction(id) else { return };
        out.push(Output::Record(Record::Transaction(transaction.clone())));
        if let Some(session) = self.book.session(transaction.session) {
            out.push(Output::Record(Record::Session(session.clone())));
        }
    }

    fn metered(
        &mut self,
        now: Now,
        evse: EvseIndex,
        transaction: Option<TransactionId>,
        readings: &[Reading],
        out: &mut Outbox,
    ) {
        let named = transaction.filter(|id| self.book.transaction(*id).is_some());
        let open = || self.book.newest_open(evse).map(|open| open.id);
        let transaction = named.or_else(open);
        for reading in readings {
            let at = reading.at.or(now.utc);
            if let (Some(id), Some(register), Some(at)) = (transaction, reading.energy, at) {
                self.book.energy(id, register, at);
            }
            if reading.live {
                self.read_live(now, evse, transaction, reading, out);
            }
        }
    }

    fn read_live(
        &mut self,
        now: Now,
        evse: EvseIndex,
        transaction: Option<TransactionId>,
        reading: &Reading,
        out: &mut Outbox,
    ) {
        let wired = &self.site.diagram.evses[evse];
        let current = reading.current.map(|own| wired.to_grid(own));
        let state = &mut self.evses[evse];
        state.soc_percent = reading.soc_percent.or(state.soc_percent);
        if let Some(current) = current {
            let changed = state.reading.is_none_or(|before| before.current != current);
            let power = reading.power.or(Some(current.power(self.site.diagram.voltage)));
            state.reading = Some(SeenReading { at: now.mono, current, power });
            self.control.measured(evse, current, now.mono);
            self.see_appetite(now, evse, current.largest());
            if changed {
                self.mark(now.mono);
            }
        }
        if self.evses[evse].live.is_none() {
            self.consider(now, evse, out);
        }
        if let Some(at) = reading.at.or(now.utc)
            && self.evses[evse].live.is_some()
            && self.evses[evse].is_record_due(now.mono)
        {
            out.push(Output::Record(Record::Reading(ReadingRecord {
                evse: self.site.diagram.evses[evse].id.clone(),
                transaction,
                at,
                current_a: current,
                power_w: reading.power,
                energy_wh: reading.energy,
            })));
        }
    }

    /// What a car draws of its offer tells what it can take.
    fn see_appetite(&mut self, now: Now, evse: EvseIndex, drawn: Amps) {
        let rated = self.site.diagram.evses[evse].rated;
        let offer = self.control.offer_read(evse, now.mono);
        self.evses[evse].see(drawn);
        if let (Some(offer), true) = (offer, self.evses[evse].live.is_some())
            && self.evses[evse].see_appetite(drawn, offer, rated, now.mono)
        {
            self.planning.changed();
            self.mark(now.mono);
        }
    }

    fn limited(
        &mut self,
        now: Now,
        evse: EvseIndex,
        ticket: Ticket,
        scope: LimitScope,
        outcome: &Outcome,
        out: &mut Outbox,
    ) {
        self.control.answered(evse, ticket, scope, outcome, now.mono);
        self.evses[evse].touch(now.mono);
        self.keep_lease(evse, out);
        self.mark(now.mono);
        if let Outcome::Refused { why } = outcome {
            let name = self.evse_name(evse);
            let text = format!("refused in every form: {why}; others make room for it");
            self.event_seldom(now, EventKind::LimitRefused, &name, text, out);
        }
    }

    fn verified(&mut self, now: Now, evse: EvseIndex, lapse: Lapse, out: &mut Outbox) {
        self.control.verified(evse, lapse);
        self.keep_lease(evse, out);
        self.mark(now.mono);
    }
}
