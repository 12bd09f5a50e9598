//! The picture of the site as facts for partners. The picture hides tokens, so they are read from
//! the store, each once.
//!
//! The picture shows the newest sessions alone. A charger that was offline hands over hundreds in a
//! moment: whatever the picture left out is read from the store, so that no session is missed. Up
//! to where that was done is kept, so that a kill in between misses none either. Sessions that had
//! ended when there was OCPI for the first time are none of the partners'.

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::view::View;
use crate::ground::ids::{EvseId, IdToken, SessionId, TransactionId};
use crate::ground::units::Amps;
use crate::model::session::Session;
use crate::ocpi::engine::desk::{EvseFact, Facts, SessionFact};
use crate::store::reader::StoreReader;

/// Tokens that are remembered; several times what a picture holds.
const TOKENS_MAX: usize = 2000;

/// Sessions that are read from the store for one picture; the rest follows with the next.
const READ_MAX: usize = 200;

/// A session among so many of the newest that is not in the store may be on its way there.
const RECENT: u64 = 50;

/// One that is not there after so many pictures will never be.
const PATIENCE: u32 = 10;

/// Name under which [`Observer::place`] is kept.
pub const PLACE: &str = "observed";

/// Builds facts.
#[derive(Debug)]
pub struct Observer {
    reader: StoreReader,
    tokens: BTreeMap<u64, IdToken>,
    /// The number of the next session that nobody was told of; none before the first picture.
    next: Option<u64>,
    /// Sessions below are none of the partners', or were told to their end.
    floor: u64,
    /// Sessions that were told and had not ended.
    open: BTreeSet<u64>,
    /// A session that the store does not have, and how often it was looked for.
    missing: Option<(u64, u32)>,
}

impl Observer {
    /// Reads here, and goes on at this place.
    pub fn new(reader: StoreReader, place: Option<u64>) -> Self {
        let (tokens, open) = (BTreeMap::new(), BTreeSet::new());
        let floor = place.unwrap_or(0);
        Self { reader, tokens, next: place, floor, open, missing: None }
    }

    /// Every session below was told to its end.
    pub fn place(&self) -> Option<u64> {
        let first = self.open.first().copied();
        self.next.map(|next| first.map_or(next, |first| first.min(next)))
    }

    /// What partners may know of this picture.
    pub fn facts(&mut self, view: &View) -> Facts {
        let evses = view.evses.iter().map(|evse| EvseFact {
            evse: EvseId::new(&evse.id),
            online: evse.online,
            status: evse.status,
            limit_a: evse.limit_a.map(Amps::as_f64),
        });
        let evses: Vec<EvseFact> = evses.collect();
        let mut sessions = Vec::new();
        let shown: BTreeSet<u64> = view.sessions.iter().map(|session| session.id).collect();
        if self.next.is_none() {
            let next = shown.last().map_or(1, |newest| newest + 1);
            (self.next, self.floor) = (Some(next), next);
            let open = view.sessions.iter().filter(|session| session.ended.is_none());
            self.open = open.map(|session| session.id).collect();
        }
        self.read_unseen(&shown, &mut sessions);
        let ready = self.next.unwrap_or(self.floor);
        for session in view.sessions.iter().rev() {
            // Those behind a gap follow when it is closed: CDRs come in their order.
            let is_ours = (self.floor..ready).contains(&session.id);
            if !is_ours && !self.open.contains(&session.id) {
                continue;
            }
            let Some(token) = self.token(session.id, session.transaction) else {
                self.told(session.id, true);
                continue;
            };
            self.told(session.id, session.ended.is_none());
            sessions.push(SessionFact {
                session: session.id,
                evse: EvseId::new(&session.evse),
                token,
                started: session.started,
                ended: session.ended,
                energy_wh: session.energy_wh.as_f64().round() as i64,
            });
        }
        sessions.sort_by_key(|fact| fact.session);
        Facts { evses, sessions }
    }

    fn told(&mut self, session: u64, is_open: bool) {
        if is_open {
            self.open.insert(session);
        } else {
            self.open.remove(&session);
        }
    }

    /// Moves on over the sessions that the picture shows, and reads those that it does not.
    fn read_unseen(&mut self, shown: &BTreeSet<u64>, into: &mut Vec<SessionFact>) {
        let (Some(mut next), Some(newest)) = (self.next, shown.last()) else { return };
        let gone: Vec<u64> = self.open.difference(shown).take(READ_MAX).copied().collect();
        for session in gone {
            if let Some(found) = self.stored(session) {
                self.told(session, found.ended.is_none());
                into.push(fact(&found));
            }
        }
        let mut read = 0;
        while next <= *newest && read < READ_MAX {
            if !shown.contains(&next) {
                read += 1;
                match self.stored(next) {
                    Some(found) => {
                        self.told(next, found.ended.is_none());
                        into.push(fact(&found));
                    }
                    None if *newest < next + RECENT && !self.given_up(next) => break,
                    None => {}
                }
            }
            next += 1;
        }
        self.next = Some(next);
    }

    fn stored(&self, session: u64) -> Option<Session> {
        self.reader.session(SessionId(session)).ok().flatten()
    }

    /// A session that is not in the store: it may be on its way there.
    fn given_up(&mut self, session: u64) -> bool {
        let times = match self.missing {
            Some((known, times)) if known == session => times + 1,
            _ => 1,
        };
        self.missing = Some((session, times));
        PATIENCE < times
    }

    /// None while the store has not taken the session in, or cannot be read: the next picture comes
    /// soon.
    fn token(&mut self, session: u64, transaction: i64) -> Option<IdToken> {
        if let Some(token) = self.tokens.get(&session) {
            return Some(token.clone());
        }
        let found = self.reader.transaction(TransactionId(transaction)).ok().flatten()?;
        if TOKENS_MAX <= self.tokens.len() {
            self.tokens.pop_first();
        }
        self.tokens.insert(session, found.token.clone());
        Some(found.token)
    }
}

fn fact(session: &Session) -> SessionFact {
    SessionFact {
        session: session.id.0,
        evse: session.evse.clone(),
        token: session.token.clone(),
        started: session.started,
        ended: session.ended,
        energy_wh: session.energy_wh.as_f64().round() as i64,
    }
}
