//! The commissioning drill: proves by measured current that a charger falls to its safe share when
//! nobody speaks to it.
//!
//! ```text
//! begun ─ no more limits for one lease ─▶ current at the safe share ─▶ passed
//!   │                                 └── still above it when time is up ──▶ failed
//!   └─ car or link gone, a limit had to be lowered,
//!      or the car itself drew less and less ──▶ broken off
//! ```
//! A car that is nearly full comes down to the safe share as well, but slowly or too early, or it
//! stops. Only a step from well above the safe share to it, when the lease may have run out, proves
//! that the charger fell.
//!
//! The ledger is not touched: what the charger may draw stays reserved all the while. A limit that
//! must be lowered for a breaker is lowered, and ends the drill.

use crate::ground::ids::{EvseId, EvseIndex};
use crate::ground::time::{Duration, Instant, Now};
use crate::ground::units::{Amps, PerPhase};
use crate::model::event::EventKind;
use crate::model::message::Lapse;
use crate::model::site::LeasePolicy;

use super::evse::Drill;
use super::message::{Answer, Outbox};
use super::state::State;
use super::view::DrillView;

/// A fall of less than this cannot be told from a car that changes its mind.
const FALL_MIN: Amps = Amps::new(2);

/// A car at its safe share may draw this much more, for measuring.
const TOLERANCE: Amps = Amps::milli(500);

/// Beyond lease and grace, for the charger, the car and the next reading.
const PATIENCE: Duration = Duration::seconds(30);

/// Where a drill can be held: its limit, and what is drawn since when.
type Ready = (EvseIndex, Amps, (Instant, Amps));

/// What a drill has shown, in words; no lapse where it has shown nothing.
type Verdict = (Option<Lapse>, String);

/// The current has come down to the safe share: was it the charger, or the car?
fn judge(drill: &Drill, safe: Amps, drawn: Amps, lease: &LeasePolicy, now: Now) -> Verdict {
    let before = drill.before.as_f64();
    let passed = now.mono.since(drill.begun);
    // Half way down from what was drawn at the beginning: a car that tapers was below it before.
    let half = safe + (drill.before - safe) / 2;
    let stepped = drill.recent.iter().any(|(_, seen)| half <= *seen);
    let stopped = Amps::ZERO < safe && drawn < safe / 2;
    // It was refreshed a third of its life ago at most; a charger's clock may be off by the grace.
    let earliest = drill.begun + (lease.ttl - lease.ttl / 3) - lease.grace;
    if stopped || !stepped || now.mono < earliest {
        let how = if stopped { "stopped" } else { "drew less and less" };
        let text = format!(
            "broken off: the car itself {how}, {:.1} A after {passed}; try again with a car that \
             is emptier",
            drawn.as_f64()
        );
        return (None, text);
    }
    let drawn = drawn.as_f64();
    let text =
        format!("passed: it fell from {before:.1} A to {drawn:.1} A by itself after {passed}");
    (Some(Lapse::Armed), text)
}

/// The time is up and the current has not come down.
fn overdue(drawn: Option<(Instant, Amps)>) -> Verdict {
    let text = match drawn {
        Some((_, drawn)) => format!("failed: it still draws {:.1} A", drawn.as_f64()),
        None => "failed: it sent no meter values".to_owned(),
    };
    (Some(Lapse::Unproven), text)
}

impl State {
    /// Begins a drill, or says why it would prove nothing.
    pub fn begin_drill(&mut self, now: Now, id: &EvseId, out: &mut Outbox) -> Answer {
        match self.may_drill(now, id) {
            Err(why) => Answer::Refused { why },
            Ok((evse, limit, (at, before))) => {
                let policy = &self.site.lease;
                let until = now.mono + policy.ttl + policy.grace + PATIENCE;
                self.control.hold(evse, true);
                let recent = [(at, before); 2];
                self.drill = Some(Drill {
                    evse,
                    begun: now.mono,
                    until,
                    limit,
                    before,
                    recent,
                    ended: None,
                });
                let text = format!(
                    "begun at {:.1} A; it must fall to {:.1} A within {}",
                    before.as_f64(),
                    self.site.diagram.evses[evse].safe.as_f64(),
                    until.since(now.mono)
                );
                self.event(now, EventKind::DrillBegun, id.as_str(), text, out);
                Answer::Done
            }
        }
    }

    fn may_drill(&self, now: Now, id: &EvseId) -> Result<Ready, String> {
        let Some(evse) = self.site.diagram.evse(id) else {
            return Err(format!("there is no EVSE {id}"));
        };
        if let Some(running) = self.drill.as_ref().filter(|drill| drill.ended.is_none()) {
            return Err(format!("a drill runs at {}", self.evse_name(running.evse)));
        }
        if !self.is_online(evse) {
            return Err(format!("{id} is not connected"));
        }
        let limit = self.control.limit(evse).filter(|_| self.evses[evse].live.is_some());
        let Some(limit) = limit else {
            return Err(format!("no car charges at {id}: plug one in, and wait for its limit"));
        };
        let safe = self.site.diagram.evses[evse].safe;
        let Some(before) = self.drawn_at(evse, now) else {
            return Err(format!("{id} sends no meter values, so a fall could not be seen"));
        };
        if before.1 < safe + FALL_MIN {
            return Err(format!(
                "{id} draws {:.1} A; a fall to its safe share of {:.1} A can only be seen from \
                 {:.1} A on: wait until it draws more",
                before.1.as_f64(),
                safe.as_f64(),
                (safe + FALL_MIN).as_f64()
            ));
        }
        Ok((evse, limit, before))
    }

    fn drawn_at(&self, evse: EvseIndex, now: Now) -> Option<(Instant, Amps)> {
        let reading = self.evses[evse].fresh(now.mono, self.reading_max_age())?;
        Some((reading.at, PerPhase::largest(reading.current)))
    }

    /// Looks how the drill is going.
    pub fn watch_drill(&mut self, now: Now, out: &mut Outbox) {
        let Some(drill) = self.drill.clone().filter(|drill| drill.ended.is_none()) else { return };
        let evse = drill.evse;
        let safe = self.site.diagram.evses[evse].safe;
        let is_lowered = self.control.limit(evse).is_some_and(|limit| limit < drill.limit);
        if !self.is_online(evse) || self.evses[evse].live.is_none() || is_lowered {
            let text = "broken off: the car or the connection went, or the limit was lowered";
            return self.end_drill(now, None, text.to_owned(), out);
        }
        let read = self.drawn_at(evse, now).filter(|(at, _)| drill.recent[0].0 < *at);
        let end = match read {
            Some((_, drawn)) if drawn <= safe + TOLERANCE => {
                Some(judge(&drill, safe, drawn, &self.site.lease, now))
            }
            _ if drill.until <= now.mono => Some(overdue(self.drawn_at(evse, now))),
            _ => None,
        };
        if let (Some(read), Some(drill)) = (read, &mut self.drill) {
            drill.recent = [read, drill.recent[0]];
        }
        if let Some((lapse, text)) = end {
            self.end_drill(now, lapse, text, out);
        }
    }

    /// Another configuration is in force, perhaps with another safe share: a drill that runs cannot
    /// prove anything any more.
    pub fn break_drill_off(&mut self, now: Now, out: &mut Outbox) {
        if self.drill.as_ref().is_some_and(|drill| drill.ended.is_none()) {
            let text = "broken off: the configuration was loaded anew".to_owned();
            self.end_drill(now, None, text, out);
        }
    }

    fn end_drill(&mut self, now: Now, lapse: Option<Lapse>, text: String, out: &mut Outbox) {
        let Some(drill) = &mut self.drill else { return };
        let evse = drill.evse;
        drill.ended = Some((lapse == Some(Lapse::Armed), text.clone()));
        self.control.hold(evse, false);
        // A charger that did not fall counts with its limit for ever.
        if lapse == Some(Lapse::Unproven) {
            self.control.verified(evse, Lapse::Unproven);
            self.keep_lease(evse, out);
        }
        let kind = match lapse {
            Some(Lapse::Armed) => EventKind::DrillPassed,
            Some(Lapse::Unproven) => EventKind::DrillFailed,
            None => EventKind::DrillBroken,
        };
        let name = self.evse_name(evse);
        self.event(now, kind, &name, text, out);
        self.mark(now.mono);
    }

    /// When the drill is looked at at the latest.
    pub fn drill_wake_at(&self) -> Option<Instant> {
        self.drill.as_ref().filter(|drill| drill.ended.is_none()).map(|drill| drill.until)
    }

    /// For people: the drill that runs, or the last one.
    pub fn drill_view(&self, now: Now) -> Option<DrillView> {
        let drill = self.drill.as_ref()?;
        let (passed, words) = match &drill.ended {
            Some((passed, words)) => (Some(*passed), words.clone()),
            None => (None, format!("running, {} left", drill.until.since(now.mono))),
        };
        Some(DrillView { evse: self.evse_name(drill.evse), passed, words })
    }
}
