//! Limits from outside: of one EVSE, or of all chargers together. Each has a source and an end, is
//! named where it holds, and only ever lowers; the breakers stay the site's. The newest of a source
//! replaces its earlier one. They are gone with a restart, which raises nothing above the breakers.

use crate::ground::ids::EvseIndex;
use crate::ground::time::{Duration, Instant, Now};
use crate::ground::units::{Amps, Watts};
use crate::ground::zone::Zone;
use crate::model::bound::{Bound, Cause};
use crate::model::event::EventKind;
use crate::model::limit::{ChargingLimit, LimitOf};
use crate::plan::problem::NodeLimit;

use super::message::{Answer, Outbox};
use super::outer_limit::{Amount, OuterLimit};
use super::state::State;
use super::view::LimitView;

/// Sources that may limit one thing at a time; more are refused.
const SOURCES_MAX: usize = 8;

impl State {
    /// Takes a limit in, or back. It holds for the span and no longer, whatever happens to whoever
    /// has set it.
    pub fn outer_limit(
        &mut self,
        now: Now,
        of: LimitOf,
        source: String,
        lasts: Duration,
        out: &mut Outbox,
    ) -> Answer {
        let (evse, amount) = match of {
            LimitOf::Evse { evse, limit_a } => {
                if self.site.diagram.evse(&evse).is_none() {
                    return Answer::Refused { why: format!("there is no EVSE {evse}") };
                }
                let least = |limit: Amps| Amount::Current(limit.max(Amps::ZERO));
                (Some(evse), limit_a.map(least))
            }
            LimitOf::Charging { limit_w } => {
                (None, limit_w.map(|limit| Amount::Power(limit.max(Watts::ZERO))))
            }
        };
        let before = self.outer.len();
        self.outer.retain(|one| (&one.evse, &one.source) != (&evse, &source));
        let was_there = self.outer.len() < before;
        let subject = evse.as_ref().map(ToString::to_string).unwrap_or_default();
        let Some(amount) = amount else {
            if was_there {
                let text = format!("{source} has taken its limit back");
                self.event(now, EventKind::OuterLimit, &subject, text, out);
            }
            self.planning.changed();
            self.mark(now.mono);
            return Answer::Done;
        };
        if SOURCES_MAX <= self.outer.iter().filter(|one| one.evse == evse).count() {
            return Answer::Refused { why: format!("{SOURCES_MAX} others limit it already") };
        }
        let until_utc = now.utc.map(|utc| utc + lasts);
        let end = match until_utc {
            Some(until) => format!("until {}", Zone::new(&self.site.zone).words(until, now.utc)),
            None => format!("for {lasts}"),
        };
        let words = format!("limit of {} by {source} {end}", amount.words());
        // Who says it again and again, or moves it all the time, is told of now and then.
        match was_there {
            false => self.event(now, EventKind::OuterLimit, &subject, words.clone(), out),
            true => self.event_seldom(now, EventKind::OuterLimit, &subject, words.clone(), out),
        }
        let until = now.mono + lasts;
        self.outer.push(OuterLimit { evse, source, amount, until, until_utc, words });
        self.planning.changed();
        self.mark(now.mono);
        Answer::Done
    }

    /// Ends what has run out, and tells the decision of the limit on all chargers.
    pub fn watch_outer(&mut self, now: Now, out: &mut Outbox) {
        let is_over = |one: &OuterLimit| one.until <= now.mono;
        let over: Vec<OuterLimit> = self.outer.iter().filter(|one| is_over(one)).cloned().collect();
        self.outer.retain(|one| !is_over(one));
        for one in over {
            self.planning.changed();
            let subject = one.evse.as_ref().map(ToString::to_string).unwrap_or_default();
            let text = format!("{} is over", one.words);
            self.event(now, EventKind::OuterLimit, &subject, text, out);
        }
        let tightest = self.charging_limit();
        self.control.limit_charging(tightest);
    }

    /// The tightest limit on all chargers together.
    fn charging_limit(&self) -> Option<ChargingLimit> {
        let power = |one: &OuterLimit| match one.amount {
            Amount::Power(limit) => Some(ChargingLimit { limit, words: one.words.clone() }),
            Amount::Current(_) => None,
        };
        self.outer.iter().filter_map(power).min_by_key(|one| one.limit)
    }

    /// The limits on an EVSE.
    pub fn outer_bounds(&self, evse: EvseIndex) -> Vec<Bound> {
        let id = &self.site.diagram.evses[evse].id;
        let bound = |one: &OuterLimit| match one.amount {
            Amount::Current(limit) if one.evse.as_ref() == Some(id) => {
                Some(Bound { limit, cause: Cause::Policy { words: one.words.clone() } })
            }
            _ => None,
        };
        self.outer.iter().filter_map(bound).collect()
    }

    /// The limits on all chargers, for the plan; the guard holds them in any case.
    pub fn outer_node_limits(&self, now: Now) -> Vec<NodeLimit> {
        let Some(utc) = now.utc else { return Vec::new() };
        let limit = |one: &OuterLimit| match one.amount {
            Amount::Power(limit) => Some(NodeLimit {
                limit_kw: limit.as_f64() / 1000.0,
                from: utc,
                until: Some(utc + one.until.since(now.mono)),
                cause: one.words.clone(),
            }),
            Amount::Current(_) => None,
        };
        self.outer.iter().filter_map(limit).collect()
    }

    /// When the next limit runs out.
    pub fn outer_wake_at(&self) -> Option<Instant> {
        self.outer.iter().map(|one| one.until).min()
    }

    /// The limits for people.
    pub fn outer_views(&self) -> Vec<LimitView> {
        let view = |one: &OuterLimit| LimitView {
            evse: one.evse.as_ref().map(ToString::to_string),
            limit_a: match one.amount {
                Amount::Current(limit) => Some(limit),
                Amount::Power(_) => None,
            },
            limit_w: match one.amount {
                Amount::Power(limit) => Some(limit),
                Amount::Current(_) => None,
            },
            source: one.source.clone(),
            until: one.until_utc,
            words: one.words.clone(),
        };
        self.outer.iter().map(view).collect()
    }
}
