//! Limits that partners set over OCPI: each one bound more on its EVSE, with the partner's name,
//! gone by itself when its span is over. They only ever lower; the breakers stay the site's.

use crate::ground::ids::{EvseId, EvseIndex};
use crate::ground::time::{Duration, Instant, Now, Utc};
use crate::ground::units::Amps;
use crate::model::bound::{Bound, Cause};
use crate::model::limit::LimitRecord;
use crate::plan::problem::CarLimit;

use super::message::{Answer, Outbox};
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
        out: &mut Outbox,
    ) -> Answer {
        let id = evse;
        let Some(evse) = self.site.diagram.evse(id) else {
            return Answer::Refused { why: format!("there is no EVSE {id}") };
        };
        // One limit for each EVSE and partner: the list cannot grow beyond their number.
        let is_this = |one: &PartnerLimit| (one.evse, &one.partner) == (evse, &partner);
        let before = self.partner_limits.iter().find(|one| is_this(one)).map(|one| one.limit);
        if before != limit {
            self.planning.changed();
        }
        self.partner_limits.retain(|one| !is_this(one));
        if let Some(limit) = limit {
            let limit = limit.max(Amps::ZERO);
            let until = now.mono + lasts;
            self.keep_limit(
                LimitRecord {
                    evse: Some(id.clone()),
                    source: partner.clone(),
                    partner: true,
                    limit_a: Some(limit),
                    limit_w: None,
                    until: now.utc.map(|utc| utc + lasts),
                    lasts_ms: lasts.as_millis(),
                },
                out,
            );
            self.partner_limits.push(PartnerLimit { evse, partner, limit, until });
        } else {
            self.forget_limit(Some(id), &partner, true, out);
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

    /// The partners' limits on an EVSE, as a plan knows them: from now until they run out.
    pub fn partner_car_limits(&self, evse: EvseIndex, now: Instant, utc: Utc) -> Vec<CarLimit> {
        let here = |one: &&PartnerLimit| one.evse == evse && now < one.until;
        let limit = |one: &PartnerLimit| CarLimit {
            limit_a: one.limit.as_f64(),
            from: utc,
            until: Some(utc + one.until.since(now)),
            cause: Cause::Partner { partner: one.partner.clone() }.words(now),
        };
        self.partner_limits.iter().filter(here).map(limit).collect()
    }

    /// When the next partner's limit runs out.
    pub fn partner_wake_at(&self, seen: Instant) -> Option<Instant> {
        let all = self.partner_limits.iter().map(|one| one.until);
        all.filter(|until| seen < *until).min()
    }
}
