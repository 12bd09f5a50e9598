//! Limits that partners set over OCPI: each one bound more on its EVSE, with the partner's name,
//! gone by itself when its span is over. They only ever lower; the breakers stay the site's.

use crate::ground::ids::{EvseId, EvseIndex};
use crate::ground::time::{Duration, Instant, Now};
use crate::ground::units::Amps;
use crate::model::bound::{Bound, Cause};

use super::message::Answer;
use super::partner_limit::PartnerLimit;
use super::state::State;

impl State {
    /// Takes a partner's limit in, or back. It holds for the span and no longer, whatever happens
    /// to the partner.
    pub fn partner_limit(
        &mut self,
        now: Now,
        evse: &EvseId,
        partner: String,
        (limit, lasts): (Option<Amps>, Duration),
    ) -> Answer {
        let Some(evse) = self.site.diagram.evse(evse) else {
            return Answer::Refused { why: format!("there is no EVSE {evse}") };
        };
        // One limit for each EVSE and partner: the list cannot grow beyond their number.
        self.partner_limits.retain(|one| (one.evse, &one.partner) != (evse, &partner));
        if let Some(limit) = limit {
            let limit = limit.max(Amps::ZERO);
            let until = now.mono + lasts;
            self.partner_limits.push(PartnerLimit { evse, partner, limit, until });
        }
        self.mark(now.mono);
        Answer::Done
    }

    /// The partners' limits on an EVSE.
    pub fn partner_bounds(&self, evse: EvseIndex, now: Instant) -> Vec<Bound> {
        let here = |one: &&PartnerLimit| one.evse == evse && now < one.until;
        let bound = |one: &PartnerLimit| Bound {
            limit: one.limit,
            cause: Cause::Partner { partner: one.partner.clone() },
        };
        self.partner_limits.iter().filter(here).map(bound).collect()
    }

    /// When the next partner's limit runs out.
    pub fn partner_wake_at(&self, seen: Instant) -> Option<Instant> {
        let all = self.partner_limits.iter().map(|one| one.until);
        all.filter(|until| seen < *until).min()
    }
}
