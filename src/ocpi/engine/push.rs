//! What partners have yet to be told. State, never a queue of messages (OCPI-3): the latest of each
//! object by PUT, and every CDR once and in order.
//!
//! ```text
//! tariffs ─▶ location ─▶ EVSEs ─▶ tariffs that are gone ─▶ sessions ─▶ CDRs
//! one call at a time to each partner
//! ```
//! While the line is good a changed EVSE is told by PATCH; after a failure by PUT, whole.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::ground::time::Duration;
use crate::model::event::EventKind;

use crate::ocpi::address;
use crate::ocpi::codec;
use crate::ocpi::http::{Method, OcpiResponse};
use crate::ocpi::text::{Ci, Time};
use crate::ocpi::wire::cdr::Cdr;
use crate::ocpi::wire::credentials::{Module, Side};
use crate::ocpi::wire::session::{Session, SessionStatus};

use super::desk::{Desk, Query, RowKind};
use super::link::Link;
use super::{Engine, Purpose, Trouble};

/// Rows that are marked at a time after a long outage.
const REFILL: usize = 200;

/// What a partner has yet to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// The location as a whole.
    pub location: bool,
    /// EVSEs, by uid in lower case.
    pub evses: BTreeSet<String>,
    /// All tariffs from this place of the list on.
    pub tariffs: Option<usize>,
    /// Sessions, by row.
    pub sessions: BTreeSet<u64>,
    /// More rows may wait than are marked.
    refill: bool,
    /// The CDR that is on its way may have arrived already: an earlier call had no answer.
    doubtful: bool,
    /// The same object was refused so often.
    refusals: u32,
}

impl Due {
    /// After a registration or a restart.
    pub fn everything() -> Self {
        Self {
            location: true,
            evses: BTreeSet::new(),
            tariffs: Some(0),
            sessions: BTreeSet::new(),
            refill: true,
            doubtful: false,
            refusals: 0,
        }
    }
}

/// An object on its way.
#[derive(Clone, Debug, PartialEq)]
pub enum Pushed {
    /// Of which configuration, and with its `last_updated`.
    Location(u32, Time),
    /// By uid in lower case, with its `last_updated`.
    Evse { uid: String, updated: Time },
    /// Place in the list.
    Tariff(usize),
    /// A tariff that is gone, by id.
    Withdrawal(String),
    /// By row, with its `last_updated`.
    Session { row: u64, updated: Time, last: bool },
    /// By row.
    Cdr(u64),
}

/// What is told, and how.
pub type Wanted = (Pushed, Method, String, Value);

impl Engine {
    /// Makes every call that is due and may be made.
    pub(super) fn pump(&mut self, desk: &mut Desk<'_>) {
        let partners: Vec<String> = self.lines.keys().cloned().collect();
        for partner in partners {
            if !self.lines[&partner].is_free(desk.mono) || self.absent.contains(&partner) {
                continue;
            }
            if !self.links.get(&partner).is_some_and(|link| link.registered) {
                continue;
            }
            let wanted = self.next_push(desk, &partner);
            if let Some((pushed, method, url, body)) = wanted {
                let purpose = Purpose::Push(pushed);
                let body = (method != Method::Delete).then_some(body);
                let call = self.call(desk, &partner, purpose, (method, url, body));
                self.occupy(&partner, call);
                continue;
            }
            self.pull_if_due(desk, &partner);
            self.profiles_if_due(desk, &partner);
        }
    }

    pub(super) fn occupy(&mut self, partner: &str, call: Option<u64>) {
        if let Some(line) = self.lines.get_mut(partner) {
            line.busy = call;
        }
    }

    /// How many objects a partner has yet to be told.
    pub(super) fn waiting(&self, partner: &str) -> usize {
        let (Some(due), Some(link)) = (self.due.get(partner), self.links.get(partner)) else {
            return 0;
        };
        let cdrs = self.gateway.last_row(RowKind::Cdr).saturating_sub(link.cdr_sent) as usize;
        usize::from(due.location) + due.evses.len() + due.sessions.len() + cdrs
    }

    fn next_push(&mut self, desk: &mut Desk<'_>, partner: &str) -> Option<Wanted> {
        if !self.partner(partner)?.gateway {
            return None;
        }
        let to = |engine: &Self, module: Module| engine.endpoint(partner, &module, &Side::Receiver);
        if let Some(url) = to(self, Module::Tariffs)
            && let Some(wanted) = self.next_tariff(partner, &url)
        {
            return Some(wanted);
        }
        if let Some(url) = to(self, Module::Locations)
            && let Some(wanted) = self.next_location(partner, &url)
        {
            return Some(wanted);
        }
        if let Some(url) = to(self, Module::Tariffs)
            && let Some(wanted) = self.next_withdrawal(partner, &url)
        {
            return Some(wanted);
        }
        if let Some(url) = to(self, Module::Sessions)
            && let Some(wanted) = self.next_session(desk, partner, &url)
        {
            return Some(wanted);
        }
        let url = to(self, Module::Cdrs)?;
        self.next_cdr(desk, partner, &url)
    }

    pub(super) fn ours(&self, url: &str, rest: &[&str]) -> String {
        let mut segments = vec![self.site.country_code.as_str(), self.site.party_id.as_str()];
        segments.extend(rest);
        address::join(url, &segments)
    }

    fn next_tariff(&mut self, partner: &str, url: &str) -> Option<Wanted> {
        if !self.gateway.is_settled() {
            return None;
        }
        let due = self.due.get_mut(partner)?;
        let at = due.tariffs?;
        let Some(tariff) = self.gateway.tariffs.get(at) else {
            due.tariffs = None;
            return None;
        };
        let url = self.ours(url, &[tariff.id.as_str()]);
        let body = codec::encode(self.speech(partner), tariff);
        Some((Pushed::Tariff(at), Method::Put, url, body))
    }

    fn next_location(&mut self, partner: &str, url: &str) -> Option<Wanted> {
        let speech = self.speech(partner);
        let good = self.lines.get(partner).is_some_and(|line| line.good);
        let location = &self.gateway.location;
        if !self.gateway.is_settled() {
            return None;
        }
        let id = location.id.as_str();
        let due = self.due.get(partner)?;
        if due.location {
            let pushed = Pushed::Location(self.gateway.edition(), location.last_updated);
            let body = codec::encode(speech, location);
            return Some((pushed, Method::Put, self.ours(url, &[id]), body));
        }
        let uid = due.evses.first()?.clone();
        let evse = location.evses.iter().find(|evse| evse.uid.key() == uid)?;
        let pushed = Pushed::Evse { uid, updated: evse.last_updated };
        let url = self.ours(url, &[id, evse.uid.as_str()]);
        Some(if good {
            let change = json!({ "status": evse.status, "last_updated": evse.last_updated });
            (pushed, Method::Patch, url, change)
        } else {
            (pushed, Method::Put, url, codec::encode(speech, evse))
        })
    }

    fn next_session(&mut self, desk: &mut Desk<'_>, partner: &str, url: &str) -> Option<Wanted> {
        self.refill(desk, partner);
        loop {
            let row = *self.due.get(partner)?.sessions.first()?;
            let live = self.gateway.by_row(row).map(|live| live.session.clone());
            let session: Option<Session> = live.or_else(|| {
                let query = Query { after: row - 1, limit: 1, ..Query::all(RowKind::Session) };
                let (number, value) = desk.first_row(&query)?;
                codec::decode(value).ok().filter(|_| number == row)
            });
            let Some(session) = session else {
                // A row that cannot be read can never be told.
                self.due.get_mut(partner)?.sessions.remove(&row);
                continue;
            };
            let last = session.status == SessionStatus::Completed;
            let pushed = Pushed::Session { row, updated: session.last_updated, last };
            let url = self.ours(url, &[session.id.as_str()]);
            let body = codec::encode(self.speech(partner), &session);
            return Some((pushed, Method::Put, url, body));
        }
    }

    /// Marks the rows that a partner may not have.
    fn refill(&mut self, desk: &mut Desk<'_>, partner: &str) {
        let owners = self.owners(partner);
        let Some(due) = self.due.get_mut(partner) else { return };
        if !due.refill || !due.sessions.is_empty() {
            return;
        }
        let after = self.links.get(partner).map_or(0, |link| link.session_sent);
        let query = Query { after, owners, limit: REFILL, ..Query::all(RowKind::Session) };
        let rows = (desk.shelf)(&query).rows;
        due.refill = rows.len() == REFILL;
        due.sessions.extend(rows.into_iter().map(|(number, _)| number));
    }

    fn next_cdr(&mut self, desk: &mut Desk<'_>, partner: &str, url: &str) -> Option<Wanted> {
        let after = self.links.get(partner)?.cdr_sent;
        if self.gateway.last_row(RowKind::Cdr) <= after {
            return None;
        }
        let query =
            Query { after, owners: self.owners(partner), limit: 1, ..Query::all(RowKind::Cdr) };
        let (row, value) = desk.first_row(&query)?;
        let cdr: Cdr = codec::decode(value).ok()?;
        let link = self.links.get_mut(partner)?;
        let doubtful = link.cdr_trying == Some(row);
        if !doubtful {
            link.cdr_trying = Some(row);
            desk.keep(Link::key(partner), link);
        }
        self.due.get_mut(partner)?.doubtful = doubtful;
        let body = codec::encode(self.speech(partner), &cdr);
        Some((Pushed::Cdr(row), Method::Post, url.trim_end_matches('/').to_owned(), body))
    }

    /// What became of a pushed object.
    pub(super) fn pushed(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        pushed: &Pushed,
        result: Result<OcpiResponse, String>,
    ) {
        match Trouble::of(&result, true) {
            Ok(_) => {
                self.well(desk, partner);
                self.taken(desk, partner, pushed);
            }
            Err(trouble) => self.not_taken(desk, partner, pushed, trouble),
        }
    }

    fn taken(&mut self, desk: &mut Desk<'_>, partner: &str, pushed: &Pushed) {
        let Some(due) = self.due.get_mut(partner) else { return };
        due.refusals = 0;
        match pushed {
            Pushed::Location(edition, updated) => {
                // Another configuration came while this one was on its way: it is told next.
                due.location = *edition != self.gateway.edition();
                let fresh = |uid: &String| {
                    let evses = &self.gateway.location.evses;
                    let evse = evses.iter().find(|evse| &evse.uid.key() == uid);
                    evse.is_some_and(|evse| *updated < evse.last_updated)
                };
                due.evses.retain(fresh);
            }
            Pushed::Evse { uid, updated } => {
                let evses = &self.gateway.location.evses;
                let evse = evses.iter().find(|evse| &evse.uid.key() == uid);
                if evse.is_none_or(|evse| evse.last_updated == *updated) {
                    due.evses.remove(uid);
                }
            }
            Pushed::Tariff(at) => due.tariffs = Some(at + 1),
            Pushed::Session { row, updated, last } => {
                let live = self.gateway.by_row(*row).map(|live| live.session.last_updated);
                if *last || live == Some(*updated) {
                    due.sessions.remove(row);
                }
                if *last {
                    self.advance(desk, partner);
                }
            }
            Pushed::Cdr(row) => self.cdr_taken(desk, partner, *row),
            Pushed::Withdrawal(id) => self.withdrawal_over(desk, partner, id),
        }
    }

    /// Every row below the first that is open or due was taken for good.
    fn advance(&mut self, desk: &mut Desk<'_>, partner: &str) {
        let open = self.gateway.live.values().map(|live| live.row).min();
        let Some(due) = self.due.get(partner) else { return };
        let first = [open, due.sessions.first().copied()].into_iter().flatten().min();
        let last = self.gateway.last_row(RowKind::Session);
        let sent = first.map_or(last, |first| first - 1);
        let Some(link) = self.links.get_mut(partner) else { return };
        if link.session_sent < sent && !(due.refill && first.is_none()) {
            link.session_sent = sent;
            desk.keep(Link::key(partner), link);
        }
    }

    fn cdr_taken(&mut self, desk: &mut Desk<'_>, partner: &str, row: u64) {
        if let Some(link) = self.links.get_mut(partner) {
            (link.cdr_sent, link.cdr_trying) = (row, None);
            desk.keep(Link::key(partner), link);
        }
    }

    /// After an answer that was lost the partner may refuse the same CDR as one that it has: then
    /// it arrived. What it refuses at the first try is told and tried again, seldom.
    fn not_taken(&mut self, desk: &mut Desk<'_>, partner: &str, pushed: &Pushed, trouble: Trouble) {
        const SELDOM: Duration = Duration::minutes(15);
        const REFUSALS_TOLD: u32 = 2;
        let Some(due) = self.due.get_mut(partner) else { return };
        if let Pushed::Cdr(row) = pushed {
            if trouble.refused && due.doubtful && !trouble.unauthorized {
                let text = format!("has CDR number {row} already, it seems: {}", trouble.words);
                desk.tell(EventKind::PartnerRefused, partner, text);
                self.well(desk, partner);
                return self.cdr_taken(desk, partner, *row);
            }
            let refused = trouble.refused;
            if let Some(link) = self.links.get_mut(partner).filter(|_| refused) {
                // It was read and not taken: the next try is no doubtful one.
                link.cdr_trying = None;
                desk.keep(Link::key(partner), link);
            }
        }
        if let (Pushed::Withdrawal(id), 404) = (pushed, trouble.status) {
            // It does not know it: that is what was wanted.
            self.well(desk, partner);
            return self.withdrawal_over(desk, partner, id);
        }
        let mut trouble = trouble;
        if trouble.refused && !trouble.unauthorized {
            due.refusals += 1;
            if REFUSALS_TOLD <= due.refusals {
                let text = format!("takes no {}: {}", name(pushed), trouble.words);
                desk.tell(EventKind::PartnerRefused, partner, text);
                self.pass_over(desk, partner, pushed);
                trouble.retry_after.get_or_insert(Duration::seconds(5));
                if matches!(pushed, Pushed::Cdr(_)) {
                    trouble.retry_after = Some(SELDOM);
                }
            }
        }
        self.fail(desk, partner, trouble);
    }

    /// An object that a partner will not have must not hold up the others; a CDR does, since the
    /// order of CDRs is promised.
    fn pass_over(&mut self, desk: &mut Desk<'_>, partner: &str, pushed: &Pushed) {
        let Some(due) = self.due.get_mut(partner) else { return };
        due.refusals = 0;
        match pushed {
            Pushed::Location(..) => due.location = false,
            Pushed::Evse { uid, .. } => {
                due.evses.remove(uid);
            }
            Pushed::Tariff(at) => due.tariffs = Some(at + 1),
            Pushed::Session { row, .. } => {
                due.sessions.remove(row);
            }
            Pushed::Withdrawal(id) => self.withdrawal_over(desk, partner, id),
            Pushed::Cdr(_) => {}
        }
    }

    /// The uid of an EVSE as the location has it.
    pub(super) fn evse_uid(&self, uid: &Ci) -> Option<String> {
        let evses = &self.gateway.location.evses;
        evses.iter().find(|evse| &evse.uid == uid).map(|evse| evse.uid.to_string())
    }
}

fn name(pushed: &Pushed) -> &'static str {
    match pushed {
        Pushed::Location(..) => "location",
        Pushed::Evse { .. } => "EVSE",
        Pushed::Tariff(_) => "tariff",
        Pushed::Withdrawal(_) => "withdrawal of a tariff",
        Pushed::Session { .. } => "session",
        Pushed::Cdr(_) => "CDR",
    }
}
