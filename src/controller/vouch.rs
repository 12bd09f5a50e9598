//! Tokens that partners over OCPI vouch for (AUTH-1). A charger asks about a token that the site
//! does not know; the question goes on to the partners, and the charger gets its answer when theirs
//! comes, or the site's own after a few seconds. Nothing waits longer, whatever a partner does.

use crate::ground::ids::{EvseIndex, IdToken, TransactionId};
use crate::ground::time::{Duration, Instant, Now};
use crate::model::ask::{TokenInfo, Verdict};
use crate::model::event::EventKind;
use crate::model::message::{Answer, Call};
use crate::model::site::Access;
use crate::ocpp::traffic::Traffic;

use super::message::{Outbox, Output};
use super::state::State;
use super::vouching::Waiting;

/// Partners decide within 4 s; a charger waits about half a minute.
const PATIENCE: Duration = Duration::seconds(6);

/// A partner's word holds for the charge that follows it.
const VOUCHED_FOR: Duration = Duration::hours(24);

/// Questions that may wait for partners at a time; more are answered by the site alone.
const WAITING_MAX: usize = 500;

/// Vouched tokens that are remembered; the oldest go first.
const VOUCHED_MAX: usize = 2000;

impl State {
    /// Passes a question on to the partners. False where the site decides alone.
    pub fn ask_partners(
        &mut self,
        now: Now,
        call: &Call,
        (token, evse, transaction): (&IdToken, Option<EvseIndex>, Option<TransactionId>),
        info: &TokenInfo,
        out: &mut Outbox,
    ) -> bool {
        let is_known = self.site.access.tokens().iter().any(|known| known.id == *token);
        let is_open = matches!(self.site.access, Access::Anyone);
        let vouching = &mut self.vouching;
        let is_full = WAITING_MAX <= vouching.waiting.len();
        if !vouching.active || is_known || is_open || info.is_accepted() || is_full {
            return false;
        }
        vouching.last += 1;
        let ask = vouching.last;
        vouching.waiting.push(Waiting {
            ask,
            call: call.clone(),
            token: token.clone(),
            evse,
            transaction,
            until: now.mono + PATIENCE,
        });
        let evse = evse.map(|evse| self.site.diagram.evses[evse].id.clone());
        out.push(Output::AskPartners { ask, token: token.clone(), evse });
        true
    }

    /// The partners' word on a token, and the answer to the charger that waits for it, if one does.
    pub fn vouch(
        &mut self,
        now: Now,
        ask: Option<u64>,
        (token, accepted): (&IdToken, bool),
        traffic: &mut Traffic,
        out: &mut Outbox,
    ) {
        let vouching = &mut self.vouching;
        vouching.vouched.retain(|(known, until)| now.mono < *until && known != token);
        if accepted {
            if VOUCHED_MAX <= vouching.vouched.len() {
                vouching.vouched.remove(0);
            }
            vouching.vouched.push((token.clone(), now.mono + VOUCHED_FOR));
        }
        let at = vouching.waiting.iter().position(|one| Some(one.ask) == ask);
        if let Some(at) = at {
            let waiting = vouching.waiting.remove(at);
            self.answer_waiting(now, &waiting, traffic, out);
        }
    }

    /// Questions that have waited long enough.
    pub fn vouching_expires(&mut self, now: Now, out: &mut Outbox) {
        let due = |one: &Waiting| one.until <= now.mono;
        if !self.vouching.waiting.iter().any(due) {
            return;
        }
        let mut traffic = Traffic::default();
        let all = std::mem::take(&mut self.vouching.waiting);
        let (over, rest): (Vec<Waiting>, Vec<Waiting>) = all.into_iter().partition(due);
        self.vouching.waiting = rest;
        for waiting in over {
            self.answer_waiting(now, &waiting, &mut traffic, out);
        }
        self.absorb(now, traffic, out);
    }

    /// When the next question has waited long enough.
    pub fn vouching_wake_at(&self) -> Option<Instant> {
        self.vouching.waiting.iter().map(|one| one.until).min()
    }

    fn answer_waiting(
        &mut self,
        now: Now,
        waiting: &Waiting,
        traffic: &mut Traffic,
        out: &mut Outbox,
    ) {
        let Waiting { call, token, evse, transaction, .. } = waiting;
        // Where it is only asked and any EVSE of the charger will do, the partner's word is enough.
        let info = match evse {
            None if self.vouching.knows(token) => TokenInfo::plain(Verdict::Accepted),
            evse => self.admission(now, *evse, token),
        };
        if !info.is_accepted() {
            let text = format!("a token wanted to charge: {}", info.verdict.words());
            self.event(now, EventKind::TokenRefused, call.charge_point.as_str(), text, out);
        }
        let (answer, after_commit) = match transaction {
            Some(transaction) => (Answer::Started { transaction: *transaction, info }, true),
            None => (Answer::Authorized { info }, false),
        };
        self.central.answer(now, call, answer, after_commit, traffic);
    }
}
