//! Limits from outside: of one EVSE, or of all chargers together. Each has a source and an end, is
//! named where it holds, and only ever lowers; the breakers stay the site's. The newest of a source
//! replaces its earlier one. A restart remembers them ([`super::limit_memory`]); contacts of the
//! box ([`super::contact`]) stand beside them.

use crate::ground::ids::EvseIndex;
use crate::ground::time::{Duration, Instant, Now};
use crate::ground::units::{Amps, Watts};
use crate::ground::zone::Zone;
use crate::model::bound::{Bound, Cause};
use crate::model::event::EventKind;
use crate::model::limit::{ChargingLimit, LimitOf, LimitRecord};
use crate::plan::problem::NodeLimit;

use super::message::{Answer, Outbox};
use super::outer_limit::{Amount, OuterLimit, words};
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
            self.forget_limit(evse.as_ref(), &source, false, out);
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
        let zone = Zone::new(&self.site.zone);
        let words = words(amount, &source, (until_utc, now.utc), lasts, &zone);
        // Who says it again and again, or moves it all the time, is told of now and then.
        match was_there {
            false => self.event(now, EventKind::OuterLimit, &subject, words.clone(), out),
            true => self.event_seldom(now, EventKind::OuterLimit, &subject, words.clone(), out),
        }
        self.keep_limit(
            LimitRecord {
                evse: evse.clone(),
                source: source.clone(),
                partner: false,
                limit_a: amount.current(),
                limit_w: amount.power(),
                until: until_utc,
                lasts_ms: lasts.as_millis(),
            },
            out,
        );
        let (until, is_guess) = (now.mono + lasts, false);
        self.outer.push(OuterLimit { evse, source, amount, until, until_utc, is_guess, words });
        self.planning.changed();
        self.mark(now.mono);
        Answer::Done
    }

    /// Ends what has run out, and tells the decision of the limit on all chargers.
    pub fn watch_outer(&mut self, now: Now, out: &mut Outbox) {
        self.correct_ends(now);
        let is_over = |one: &OuterLimit| one.until <= now.mono;
        let over: Vec<OuterLimit> = self.outer.iter().filter(|one| is_over(one)).cloned().collect();
        self.outer.retain(|one| !is_over(one));
        for one in over {
            self.planning.changed();
            let subject = one.evse.as_ref().map(ToString::to_string).unwrap_or_default();
            let text = format!("{} is over", one.words);
            self.forget_limit(one.evse.as_ref(), &one.source, false, out);
            self.event(now, EventKind::OuterLimit, &subject, text, out);
        }
        self.forget_partner_limits(now.mono, out);
        let tightest = self.charging_limit(now.mono);
        self.control.limit_charging(tightest);
    }

    /// The tightest limit on all chargers together.
    fn charging_limit(&self, now: Instant) -> Option<ChargingLimit> {
        let power = |one: &OuterLimit| match one.amount {
            Amount::Power(limit) => Some(ChargingLimit { limit, words: one.words.clone() }),
            Amount::Current(_) => None,
        };
        let contacts = self.contacts_held(now);
        let contacts = contacts.iter().filter_map(|held| {
            Some(ChargingLimit { limit: held.on_all()?, words: held.words.clone() })
        });
        self.outer.iter().filter_map(power).chain(contacts).min_by_key(|one| one.limit)
    }

    /// The limits on an EVSE.
    pub fn outer_bounds(&self, evse: EvseIndex, now: Instant) -> Vec<Bound> {
        let id = &self.site.diagram.evses[evse].id;
        let bound = |one: &OuterLimit| match one.amount {
            Amount::Current(limit) if one.evse.as_ref() == Some(id) => {
                Some(Bound { limit, cause: Cause::Policy { words: one.words.clone() } })
            }
            _ => None,
        };
        let contacts = self.contacts_held(now);
        let contacts = contacts.iter().filter_map(|held| {
            let limit = held.on_evse(&self.site.diagram, evse)?;
            Some(Bound { limit, cause: Cause::Policy { words: held.words.clone() } })
        });
        self.outer.iter().filter_map(bound).chain(contacts).collect()
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
        let contacts = self.contacts_held(now.mono);
        let contacts = contacts.iter().filter_map(|held| {
            Some(NodeLimit {
                limit_kw: held.on_all()?.as_f64() / 1000.0,
                from: utc,
                until: None,
                cause: held.words.clone(),
            })
        });
        self.outer.iter().filter_map(limit).chain(contacts).collect()
    }

    /// When the next limit runs out.
    pub fn outer_wake_at(&self) -> Option<Instant> {
        self.outer.iter().map(|one| one.until).min()
    }

    /// The limits for people.
    pub fn outer_views(&self, now: Instant) -> Vec<LimitView> {
        let view = |one: &OuterLimit| LimitView {
            evse: one.evse.as_ref().map(ToString::to_string),
            limit_a: one.amount.current(),
            limit_w: one.amount.power(),
            source: one.source.clone(),
            until: one.until_utc,
            words: one.words.clone(),
        };
        let contacts = self.contacts_held(now).into_iter().flat_map(|held| {
            let view = |evse: Option<String>, limit_a: Option<Amps>| LimitView {
                evse,
                limit_a,
                limit_w: held.on_all(),
                source: held.wired.id.clone(),
                until: None,
                words: held.words.clone(),
            };
            if held.on_all().is_some() {
                return vec![view(None, None)];
            }
            let evses = self.site.diagram.evses.iter().enumerate();
            let on = evses.filter_map(|(index, evse)| {
                let limit = held.on_evse(&self.site.diagram, index)?;
                Some(view(Some(evse.id.to_string()), Some(limit)))
            });
            on.collect()
        });
        self.outer.iter().map(view).chain(contacts).collect()
    }
}
