//! Limits from outside as the store has them, and how they are in force again after a restart.

use std::collections::BTreeMap;

use crate::ground::time::{Duration, Now};
use crate::ground::zone::Zone;
use crate::model::limit::LimitRecord;
use crate::model::site::Site;

use super::outer_limit::{Amount, OuterLimit, words};
use super::partner_limit::PartnerLimit;

/// Limits as the store has them, by their key.
pub type Kept = BTreeMap<String, LimitRecord>;

/// What was remembered, in force again.
pub fn restored(kept: &Kept, site: &Site, now: Now) -> (Vec<OuterLimit>, Vec<PartnerLimit>) {
    let (mut outer, mut partners) = (Vec::new(), Vec::new());
    for record in kept.values() {
        let lasts = Duration::millis(record.lasts_ms);
        let left = record.until.zip(now.utc).map(|(until, utc)| until.since(utc));
        let until = now.mono + left.unwrap_or(lasts).max(Duration::ZERO);
        let index = record.evse.as_ref().and_then(|evse| site.diagram.evse(evse));
        if record.evse.is_some() && index.is_none() {
            continue;
        }
        if let (true, Some(evse), Some(limit)) = (record.partner, index, record.limit_a) {
            let partner = record.source.clone();
            partners.push(PartnerLimit { evse, partner, limit, until });
            continue;
        }
        let current = record.limit_a.map(Amount::Current);
        let Some(amount) = current.or(record.limit_w.map(Amount::Power)) else { continue };
        let zone = Zone::new(&site.zone);
        outer.push(OuterLimit {
            evse: record.evse.clone(),
            source: record.source.clone(),
            amount,
            until,
            until_utc: record.until,
            is_guess: record.until.is_some() && now.utc.is_none(),
            words: words(amount, &record.source, (record.until, now.utc), lasts, &zone),
        });
    }
    (outer, partners)
}
