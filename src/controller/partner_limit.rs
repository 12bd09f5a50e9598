//! A limit that a partner has set, with its end.

use crate::ground::ids::EvseIndex;
use crate::ground::time::Instant;
use crate::ground::units::Amps;

/// A partner's limit on an EVSE.
#[derive(Clone, Debug, PartialEq)]
pub struct PartnerLimit {
    /// The EVSE.
    pub evse: EvseIndex,
    /// Whose it is.
    pub partner: String,
    /// The most on each phase.
    pub limit: Amps,
    /// It is over then.
    pub until: Instant,
}
