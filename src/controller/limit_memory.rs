//! Limits from outside over a restart: each is on disk with its end, and in force again before
//! anything is granted ([`super::limits_kept`]).
//!
//! Without a trusted clock a remembered limit holds for its whole span anew, until the clock says
//! how much of it is left. A limit that is said again and again is not written each time: its end
//! on disk is then a quarter of its span later than said, so that a restart may hold it that much
//! longer, never shorter.

use crate::ground::ids::EvseId;
use crate::ground::time::{Duration, Instant, Now};
use crate::model::limit::LimitRecord;
use crate::model::record::Record;

use super::message::{Outbox, Output};
use super::partner_limit::PartnerLimit;
use super::state::State;

impl State {
    /// Writes a limit down, if the store has it otherwise.
    pub fn keep_limit(&mut self, mut record: LimitRecord, out: &mut Outbox) {
        let key = record.key();
        if let Some(known) = self.limits.get(&key) {
            let is_same = LimitRecord { until: known.until, ..record.clone() } == *known;
            if is_same && record.until <= known.until && known.until.is_some() {
                return;
            }
            if is_same && record.until.is_none() && known.until.is_none() {
                return;
            }
            if is_same {
                let quarter = Duration::millis(record.lasts_ms / 4);
                record.until = record.until.map(|until| until + quarter);
            }
        }
        self.limits.insert(key, record.clone());
        out.push(Output::Record(Record::Limit(record)));
    }

    /// A limit is over, or was taken back.
    pub fn forget_limit(
        &mut self,
        evse: Option<&EvseId>,
        source: &str,
        partner: bool,
        out: &mut Outbox,
    ) {
        let over = LimitRecord {
            evse: evse.cloned(),
            source: source.to_owned(),
            partner,
            limit_a: None,
            limit_w: None,
            until: None,
            lasts_ms: 0,
        };
        if self.limits.remove(&over.key()).is_some() {
            out.push(Output::Record(Record::Limit(over)));
        }
    }

    /// Forgets the limits of partners that have run out.
    pub fn forget_partner_limits(&mut self, now: Instant, out: &mut Outbox) {
        let (left, over): (Vec<PartnerLimit>, Vec<PartnerLimit>) =
            std::mem::take(&mut self.partner_limits).into_iter().partition(|one| now < one.until);
        self.partner_limits = left;
        for one in over {
            let evse = self.site.diagram.evses[one.evse].id.clone();
            self.forget_limit(Some(&evse), &one.partner, true, out);
        }
    }

    /// The clock is trusted: what is left of limits that were remembered without it.
    pub fn correct_ends(&mut self, now: Now) {
        let Some(utc) = now.utc else { return };
        for one in self.outer.iter_mut().filter(|one| one.is_guess) {
            if let Some(until) = one.until_utc {
                one.until = now.mono + until.since(utc).max(Duration::ZERO);
            }
            one.is_guess = false;
        }
    }
}
