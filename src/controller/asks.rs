//! Asks: what people and the controller itself want of a charge point beside limits.
//!
//! Each ask has an asker, and the asker gets exactly one outcome: a person an answer, the
//! controller's own business the next step. Nothing here waits; the outcome comes as a report.

use crate::ground::ids::{ChargePointId, EvseId, EvseIndex, RequestId, TransactionId};
use crate::ground::time::Now;
use crate::model::ask::{Ask, AskId, AskOutcome};
use crate::model::event::EventKind;
use crate::model::message::{Command, Job};
use crate::ocpp::traffic::Traffic;

use super::asker::Asker;
use super::message::{Answer, Outbox, Output};
use super::state::State;

/// Questions that may be open at a time over all charge points; more means that nobody answers.
const OPEN_MAX: usize = 2000;

impl State {
    /// The charge point that a name means, and the EVSE where the name is one's.
    pub fn target(&self, name: &str) -> Option<(ChargePointId, Option<EvseIndex>)> {
        if let Some(evse) = self.site.diagram.evse(&EvseId::new(name)) {
            return Some((self.site.diagram.evses[evse].charge_point.clone(), Some(evse)));
        }
        let id = ChargePointId::new(name);
        self.points.contains_key(&id).then_some((id, None))
    }

    /// Asks a charge point on behalf of somebody.
    pub fn ask(
        &mut self,
        now: Now,
        asker: Asker,
        subject: &str,
        (charge_point, evse): (ChargePointId, Option<EvseIndex>),
        ask: Ask,
        traffic: &mut Traffic,
    ) {
        self.asks.last += 1;
        let id = AskId(self.asks.last);
        if OPEN_MAX <= self.asks.open.len() {
            self.asks.open.pop_first();
        }
        self.asks.open.insert(id, (subject.to_owned(), asker));
        self.central.command(now, Command::Ask { id, charge_point, evse, ask }, traffic);
    }

    /// A person asks something of a charger; none while its answer is awaited.
    pub fn ask_of_person(
        &mut self,
        now: Now,
        request: RequestId,
        name: &str,
        ask: Ask,
        traffic: &mut Traffic,
    ) -> Option<Answer> {
        let refused = |why: String| Some(Answer::Refused { why });
        let Some((charge_point, evse)) = self.target(name) else {
            return refused(format!("there is no EVSE or charge point {name}"));
        };
        let ask = match ask {
            Ask::Stop { transaction: None } => {
                Ask::Stop { transaction: self.running_at(&charge_point, evse) }
            }
            Ask::Start { token } => {
                let here = evse.or_else(|| self.only_evse(&charge_point));
                let info = self.admission(now, here, &token);
                if !info.is_accepted() {
                    return refused(format!("this token may not charge: {}", info.verdict.words()));
                }
                Ask::Start { token }
            }
            Ask::SendList { .. } | Ask::Reserve { .. } | Ask::CancelReservation { .. } => {
                return refused("Ampgate does this itself; it is not for hand".to_owned());
            }
            other => other,
        };
        let what = ask.words();
        let asker = Asker::Person { request, what };
        self.ask(now, asker, name, (charge_point, evse), ask, traffic);
        None
    }

    /// The transaction that runs on an EVSE, or on the only busy one of a charge point.
    fn running_at(&self, id: &ChargePointId, evse: Option<EvseIndex>) -> Option<TransactionId> {
        let evses = self.points.get(id).map(|point| point.evses.clone()).unwrap_or_default();
        let here = evses.into_iter().filter(|index| evse.is_none_or(|evse| evse == *index));
        let running = |index: EvseIndex| {
            let live = self.evses[index].live.map(|live| live.transaction);
            live.or_else(|| self.book.newest_open(index).map(|open| open.id))
        };
        let mut running = here.filter_map(running);
        running.next().filter(|_| running.next().is_none())
    }

    fn only_evse(&self, id: &ChargePointId) -> Option<EvseIndex> {
        match self.points.get(id).map(|point| point.evses.as_slice()) {
            Some([only]) => Some(*only),
            _ => None,
        }
    }

    /// An ask has come to its end.
    pub fn asked(&mut self, now: Now, id: AskId, outcome: AskOutcome, out: &mut Outbox) {
        let Some((subject, asker)) = self.asks.open.remove(&id) else { return };
        match asker {
            Asker::Person { request, what } => {
                let text = format!("{what}: {}", outcome.words);
                self.event(now, EventKind::ChargerAsked, &subject, text, out);
                out.push(Output::Reply { request, answer: Answer::Charger { outcome } });
            }
            Asker::Reservation { id, request } => self.reserved(now, id, request, &outcome, out),
            Asker::Campaign { id, charge_point } => {
                self.campaign_answered(now, (id, &charge_point), &outcome, out);
            }
            Asker::Free if !outcome.accepted => {
                let text = format!("a car at a free EVSE could not be started: {}", outcome.words);
                self.event_seldom(now, EventKind::ChargerAsked, &subject, text, out);
            }
            Asker::Free | Asker::Nobody => {}
        }
    }

    /// How far an upload or an update of a charge point is.
    pub fn progressed(
        &mut self,
        now: Now,
        id: &ChargePointId,
        job: Job,
        status: &str,
        out: &mut Outbox,
    ) {
        if job == Job::Update {
            self.campaign_heard(now, id, status, out);
        }
        let Some(point) = self.points.get_mut(id) else { return };
        let known = match job {
            Job::Upload => &mut point.upload,
            Job::Update => &mut point.update,
        };
        if known.replace(status.to_owned()).as_deref() == Some(status) {
            return;
        }
        let is_bad = ["fail", "invalid", "denied", "revoked", "error", "notsupported"];
        let word = status.to_lowercase();
        let kind = match is_bad.iter().any(|bad| word.contains(bad)) {
            true => EventKind::ChargerJobFailed,
            false => EventKind::ChargerJob,
        };
        let what = match job {
            Job::Upload => "upload",
            Job::Update => "firmware",
        };
        self.event(now, kind, id.as_str(), format!("{what}: {status}"), out);
    }
}
