//! The commissioning drill: proves by measured current that a charger falls to its safe share when
//! nobody speaks to it.
//!
//! ```text
//! begun ─ no more limits for one lease ─▶ current at the safe share ─▶ passed
//!   │                                 └── still above it when time is up ──▶ failed
//!   └─ car or link gone, or a limit had to be lowered ──▶ broken off
//! ```
//! The ledger is not touched: what the charger may draw stays reserved all the while. A limit that
//! must be lowered for a breaker is lowered, and ends the drill.

use crate::ground::ids::{EvseId, EvseIndex};
use crate::ground::time::{Duration, Instant, Now};
use crate::ground::units::{Amps, PerPhase};
use crate::model::event::EventKind;
use crate::model::message::Lapse;

use super::evse::Drill;
use super::message::{Answer, Outbox};
use super::state::State;
use super::view::DrillView;

/// A fall of less than this cannot be told from a car that changes its mind.
const FALL_MIN: Amps = Amps::new(1);

/// A car at its safe share may draw this much more, for measuring.
const TOLERANCE: Amps = Amps::milli(500);

/// Beyond lease and grace, for the charger, the car and the next reading.
const PATIENCE: Duration = Duration::seconds(30);

impl State {
    /// Begins a drill, or says why it would prove nothing.
    pub fn begin_drill(&mut self, now: Now, id: &EvseId, out: &mut Outbox) -> Answer {
        match self.may_drill(now, id) {
            Err(why) => Answer::Refused { why },
            Ok((evse, limit, before)) => {
                let policy = &self.site.lease;
                let until = now.mono + policy.ttl + policy.grace + PATIENCE;
                self.control.hold(evse, true);
                self.drill =
                    Some(Drill { evse, begun: now.mono, until, limit, before, ended: None });
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

    fn may_drill(&self, now: Now, id: &EvseId) -> Result<(EvseIndex, Amps, Amps), String> {
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
        if before < safe + FALL_MIN {
            return Err(format!(
                "{id} draws {:.1} A, not more than its safe share of {:.1} A: wait until it does",
                before.as_f64(),
                safe.as_f64()
            ));
        }
        Ok((evse, limit, before))
    }

    fn drawn_at(&self, evse: EvseIndex, now: Now) -> Option<Amps> {
        let reading = self.evses[evse].fresh(now.mono, self.reading_max_age())?;
        Some(PerPhase::largest(reading.current))
    }

    /// Looks how the drill is going.
    pub fn watch_drill(&mut self, now: Now, out: &mut Outbox) {
        let Some(drill) = self.drill.clone().filter(|drill| drill.ended.is_none()) else { return };
        let evse = drill.evse;
        let safe = self.site.diagram.evses[evse].safe;
        let passed = now.mono.since(drill.begun);
        let earliest = drill.begun + self.site.lease.ttl / 3;
        let is_lowered = self.control.limit(evse).is_some_and(|limit| limit < drill.limit);
        if !self.is_online(evse) || self.evses[evse].live.is_none() || is_lowered {
            let text = "broken off: the car or the connection went, or the limit was lowered";
            return self.end_drill(now, false, None, text.to_owned(), out);
        }
        let drawn = self.drawn_at(evse, now);
        match drawn {
            Some(drawn) if drawn <= safe + TOLERANCE && earliest <= now.mono => {
                let text = format!(
                    "passed: it fell from {:.1} A to {:.1} A by itself after {passed}",
                    drill.before.as_f64(),
                    drawn.as_f64()
                );
                self.end_drill(now, true, Some(Lapse::Armed), text, out);
            }
            _ if drill.until <= now.mono => {
                let text = match drawn {
                    Some(drawn) => format!("failed: it still draws {:.1} A", drawn.as_f64()),
                    None => "failed: it sent no meter values".to_owned(),
                };
                self.end_drill(now, false, Some(Lapse::Unproven), text, out);
            }
            _ => {}
        }
    }

    fn end_drill(
        &mut self,
        now: Now,
        passed: bool,
        lapse: Option<Lapse>,
        text: String,
        out: &mut Outbox,
    ) {
        let Some(drill) = &mut self.drill else { return };
        let evse = drill.evse;
        drill.ended = Some((passed, text.clone()));
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
