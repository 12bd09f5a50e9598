//! Who may charge, as it was asked and granted: the values of `authorize`.

use crate::ground::ids::IdToken;
use crate::ground::time::{Instant, Utc};
use crate::ocpi::text::Ci;
use crate::ocpi::wire::session::CdrToken;

/// Longest idTag of OCPP 1.6.
pub const IDTAG_MAX: usize = 20;

/// A question of a charger that waits for partners.
#[derive(Clone, Debug, PartialEq)]
pub struct Asking {
    /// Number of the question.
    pub ask: u64,
    /// Who wants to charge.
    pub token: IdToken,
    /// Partners that have not answered.
    pub open: usize,
    /// What the rule says when nobody answers.
    pub offline: bool,
    /// When the charger gets its answer whatever comes.
    pub until: Instant,
    /// It was answered.
    pub settled: bool,
}

/// Who charges, as session and CDR name it.
#[derive(Clone, Debug, PartialEq)]
pub struct Granted {
    /// The token.
    pub token: CdrToken,
    /// `AUTH_REQUEST`, `COMMAND` or `WHITELIST`.
    pub method: String,
    /// As the partner gave it.
    pub reference: Option<Ci>,
}

/// A grant that was given a moment ago.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// To whom.
    pub granted: Granted,
    /// When it was given.
    pub at: Utc,
}

/// An idTag of at most twenty characters for a uid: itself, or a digest of it (FNV-1a, 64 bit).
pub fn alias(uid: &str) -> String {
    if uid.len() <= IDTAG_MAX {
        return uid.to_owned();
    }
    let mut hash: u64 = 0xCBF2_9CE4_8422_2325;
    for byte in uid.to_ascii_lowercase().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    format!("OCPI{hash:016X}")
}
