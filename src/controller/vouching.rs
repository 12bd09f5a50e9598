//! What waits for the word of partners, and what they have said: the values of `vouch`.

use crate::ground::ids::{EvseIndex, IdToken, TransactionId};
use crate::ground::time::Instant;
use crate::model::message::Call;

/// What waits for partners and what they have said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vouching {
    /// There are partners to be asked.
    pub active: bool,
    /// Questions without an answer.
    pub waiting: Vec<Waiting>,
    /// Tokens with a partner's word, and until when it holds.
    pub vouched: Vec<(IdToken, Instant)>,
    /// Number of the last question.
    pub last: u64,
}

/// A charger's question that partners were asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Its number.
    pub ask: u64,
    /// What the charger asked.
    pub call: Call,
    /// Who wants to charge.
    pub token: IdToken,
    /// Where.
    pub evse: Option<EvseIndex>,
    /// The transaction that has begun; none for a mere question.
    pub transaction: Option<TransactionId>,
    /// When the site answers alone.
    pub until: Instant,
}

impl Vouching {
    /// Whether a partner has vouched for a token.
    pub fn knows(&self, token: &IdToken) -> bool {
        self.vouched.iter().any(|(known, _)| known == token)
    }
}
