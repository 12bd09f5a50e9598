//! The picture of the site as facts for partners. The picture hides tokens, so they are read from
//! the store, each once.

use std::collections::BTreeMap;

use crate::controller::view::View;
use crate::ground::ids::{EvseId, IdToken, TransactionId};
use crate::ground::units::Amps;
use crate::ocpi::engine::desk::{EvseFact, Facts, SessionFact};
use crate::store::reader::StoreReader;

/// Tokens that are remembered; twice what a picture holds.
const TOKENS_MAX: usize = 400;

/// Builds facts.
#[derive(Debug)]
pub struct Observer {
    reader: StoreReader,
    tokens: BTreeMap<u64, IdToken>,
}

impl Observer {
    /// Reads tokens here.
    pub fn new(reader: StoreReader) -> Self {
        Self { reader, tokens: BTreeMap::new() }
    }

    /// What partners may know of this picture.
    pub fn facts(&mut self, view: &View) -> Facts {
        let evses = view.evses.iter().map(|evse| EvseFact {
            evse: EvseId::new(&evse.id),
            online: evse.online,
            status: evse.status,
            limit_a: evse.limit_a.map(Amps::as_f64),
        });
        let mut sessions = Vec::new();
        for session in view.sessions.iter().rev() {
            let Some(token) = self.token(session.id, session.transaction) else { continue };
            sessions.push(SessionFact {
                session: session.id,
                evse: EvseId::new(&session.evse),
                token,
                started: session.started,
                ended: session.ended,
                energy_wh: session.energy_wh.as_f64().round() as i64,
            });
        }
        Facts { evses: evses.collect(), sessions }
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
