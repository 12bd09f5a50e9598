//! Who may charge where: what the site itself decides, and what the chargers are given so that they
//! can decide alone.

use crate::ground::ids::{ChargePointId, EvseId, EvseIndex, IdToken};
use crate::ground::time::{Duration, Instant, Now};
use crate::model::ask::{Ask, ListEntry, TokenInfo, Verdict};
use crate::model::event::EventKind;
use crate::model::message::{Answer, Call, Command, EvseStatus};
use crate::model::site::Access;
use crate::ocpp::traffic::Traffic;

use super::asker::Asker;
use super::message::Outbox;
use super::state::State;

/// What the chargers hold is compared with the tokens this often: times begin and end.
const LISTS_EVERY: Duration = Duration::minutes(15);

/// A car at a free EVSE is started this long after it was plugged in: some chargers start by
/// themselves.
const FREE_AFTER: Duration = Duration::seconds(3);

impl State {
    /// What is decided about a token at an EVSE; none where the EVSE is not known.
    pub fn admission(&self, now: Now, evse: Option<EvseIndex>, token: &IdToken) -> TokenInfo {
        let id = evse.map(|evse| &self.site.diagram.evses[evse].id);
        let info = self.known_admission(now, id, token);
        let reserved = evse.is_some_and(|evse| self.is_kept_from(evse, token, &info));
        if info.is_accepted() && reserved { TokenInfo::plain(Verdict::Invalid) } else { info }
    }

    fn known_admission(&self, now: Now, place: Option<&EvseId>, token: &IdToken) -> TokenInfo {
        let policy = &self.site.charging.authorisation;
        let is_free = place.is_some_and(|place| policy.free.contains(place));
        let known = self.site.access.tokens().iter().find(|known| known.id == *token);
        match (known, &self.site.access) {
            (Some(known), _) if !is_free || known.blocked => {
                let place: Vec<&EvseId> = place.into_iter().collect();
                let info = known.judge(now.utc, &place);
                let elsewhere = known.single && info.is_accepted() && self.charges(token, &place);
                if elsewhere { TokenInfo { verdict: Verdict::Concurrent, ..info } } else { info }
            }
            (Some(known), _) => {
                TokenInfo { parent: known.group.clone(), ..TokenInfo::plain(Verdict::Accepted) }
            }
            (None, Access::Anyone) => TokenInfo::plain(Verdict::Accepted),
            (None, Access::Tokens(_)) if self.vouching.knows(token) => {
                TokenInfo::plain(Verdict::Accepted)
            }
            (None, Access::Tokens(_)) if is_free => TokenInfo::plain(Verdict::Accepted),
            (None, Access::Tokens(_)) => TokenInfo::plain(Verdict::Invalid),
        }
    }

    /// Whether a token charges at another place than these. At no place in particular it charges
    /// nowhere else: it may be shown to end the charge.
    fn charges(&self, token: &IdToken, place: &[&EvseId]) -> bool {
        let other = |evse: EvseIndex| !place.contains(&&self.site.diagram.evses[evse].id);
        !place.is_empty()
            && self.book.open().any(|(open, evse)| open.token == *token && other(evse))
    }

    /// A charger asks whether a token may charge. It does not say where: anywhere on it will do.
    pub fn authorize(
        &mut self,
        now: Now,
        call: &Call,
        token: &IdToken,
        caused: &mut Traffic,
        out: &mut Outbox,
    ) {
        let evses = self.points.get(&call.charge_point).map(|point| point.evses.clone());
        let mut infos = Vec::new();
        for evse in evses.unwrap_or_default() {
            // Who charges here already may show the token to end it.
            let here = self.book.newest_open(evse).is_some_and(|open| open.token == *token);
            let mut info = self.admission(now, Some(evse), token);
            if here && info.verdict == Verdict::Concurrent {
                info.verdict = Verdict::Accepted;
            }
            infos.push(info);
        }
        let best = infos.iter().position(TokenInfo::is_accepted).unwrap_or(0);
        let unknown = TokenInfo::plain(Verdict::Invalid);
        let info = infos.into_iter().nth(best).unwrap_or(unknown);
        if self.ask_partners(now, call, (token, None, None), &info, out) {
            return;
        }
        if !info.is_accepted() {
            let text = format!("a token wanted to charge: {}", info.verdict.words());
            self.event(now, EventKind::TokenRefused, call.charge_point.as_str(), text, out);
        }
        self.central.answer(now, call, Answer::Authorized { info }, false, caused);
    }

    /// Gives the chargers the tokens that they may accept by themselves, when that is due.
    pub fn hand_out_lists(&mut self, now: Now, out: &mut Outbox) {
        if self.lists_at.is_some_and(|at| now.mono < at) {
            return;
        }
        self.lists_at = Some(now.mono + LISTS_EVERY);
        let points: Vec<ChargePointId> = self.points.keys().cloned().collect();
        let mut traffic = Traffic::default();
        for charge_point in points {
            let entries = self.list_for(now, &charge_point);
            let command = Command::LocalList { charge_point, entries };
            self.central.command(now, command, &mut traffic);
        }
        self.absorb(now, traffic, out);
    }

    /// The list of one charge point: tokens that may charge at one of its EVSEs, and those that are
    /// blocked, so that it turns them away at once.
    fn list_for(&self, now: Now, charge_point: &ChargePointId) -> Vec<ListEntry> {
        if !self.site.charging.authorisation.local_list {
            return Vec::new();
        }
        let evses = self.points.get(charge_point).map(|point| point.evses.as_slice());
        let place: Vec<&EvseId> = evses
            .unwrap_or_default()
            .iter()
            .map(|evse| &self.site.diagram.evses[*evse].id)
            .collect();
        let entry = |token: &crate::model::token::Token| {
            let info = token.judge(now.utc, &place);
            let is_held = matches!(info.verdict, Verdict::Accepted | Verdict::Blocked);
            // A charger cannot look elsewhere whether a token charges already.
            let is_alone = info.verdict == Verdict::Blocked || !token.single;
            (is_held && is_alone)
                .then(|| ListEntry { token: token.id.clone(), info: Some(info.clone()) })
        };
        self.site.access.tokens().iter().filter_map(entry).collect()
    }

    /// Starts the cars at free EVSEs.
    pub fn start_free(&mut self, now: Now, out: &mut Outbox) {
        let policy = self.site.charging.authorisation.clone();
        if policy.free.is_empty() {
            return;
        }
        for index in 0..self.evses.len() {
            let evse = &self.site.diagram.evses[index];
            let id = evse.id.clone();
            let charge_point = evse.charge_point.clone();
            let state = &mut self.evses[index];
            if state.status != EvseStatus::Preparing || state.live.is_some() {
                state.free_at = None;
                continue;
            }
            if !policy.free.contains(&id) {
                continue;
            }
            let due = state.free_at.get_or_insert(Some(now.mono + FREE_AFTER));
            if due.is_none_or(|due| now.mono < due) || !self.is_online(index) {
                continue;
            }
            self.evses[index].free_at = Some(None);
            let ask = Ask::Start { token: policy.free_token.clone() };
            let mut traffic = Traffic::default();
            let whom = (charge_point, Some(index));
            self.ask(now, Asker::Free, id.as_str(), whom, ask, &mut traffic);
            self.absorb(now, traffic, out);
        }
    }

    /// When a car at a free EVSE is due.
    pub fn free_wake_at(&self) -> Option<Instant> {
        self.evses.iter().filter_map(|evse| evse.free_at.flatten()).min()
    }
}
