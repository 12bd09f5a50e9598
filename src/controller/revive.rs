//! Chargers that end a transaction when they are told 0 A (Huawei, NEcharge, EN+: field quirk 8).
//!
//! Their way to pause is to be started again: the car stays plugged in, and when there is room for
//! its minimum the charger is asked to start with the same token.

use crate::ground::ids::{EvseIndex, TransactionId};
use crate::ground::time::{Duration, Instant, Now};
use crate::ground::units::Amps;
use crate::model::ask::Ask;
use crate::model::event::EventKind;
use crate::model::message::StopReport;
use crate::ocpp::traffic::Traffic;

use super::asker::Asker;
use super::evse::Revive;
use super::message::Outbox;
use super::state::State;

/// Between attempts.
const AGAIN: Duration = Duration::minutes(2);

/// Reasons that say that somebody wanted the end (OCPP 1.6 §7.36).
const WANTED: [&str; 7] = [
    "EVDisconnected",
    "Remote",
    "DeAuthorized",
    "UnlockCommand",
    "EmergencyStop",
    "HardReset",
    "SoftReset",
];

impl State {
    /// A transaction has ended: was it our pause? Asked before its limit is forgotten.
    pub fn was_paused_to_death(
        &mut self,
        now: Now,
        evse: EvseIndex,
        id: TransactionId,
        stop: &StopReport,
        out: &mut Outbox,
    ) {
        let is_paused = self.control.limit(evse) == Some(Amps::ZERO);
        if !is_paused || stop.token.is_some() || WANTED.contains(&stop.reason.as_str()) {
            return;
        }
        let Some(open) = self.book.transaction(id) else { return };
        let token = open.token.clone();
        self.evses[evse].revive = Some(Revive { token, not_before: now.mono + AGAIN });
        let name = self.evse_name(evse);
        let text = "the charger ended the charge when it was told 0 A; it is started again when \
                    there is room";
        self.event_seldom(now, EventKind::PauseEnded, &name, text.to_owned(), out);
    }

    /// Starts those for which there is room.
    pub fn revive(&mut self, now: Now, out: &mut Outbox) {
        let loads = self.other_loads(now.mono);
        for evse in 0..self.evses.len() {
            let state = &mut self.evses[evse];
            if state.live.is_some() || state.is_empty() {
                state.revive = None;
            }
            let Some(revive) = state.revive.clone() else { continue };
            let is_due = revive.not_before <= now.mono && self.is_online(evse);
            if !is_due || !self.control.has_room(evse, now.mono, &loads) {
                continue;
            }
            let not_before = now.mono + AGAIN;
            self.evses[evse].revive = Some(Revive { not_before, ..revive.clone() });
            let charge_point = self.site.diagram.evses[evse].charge_point.clone();
            let name = self.evse_name(evse);
            let ask = Ask::Start { token: revive.token };
            let mut traffic = Traffic::default();
            let whom = (charge_point, Some(evse));
            self.ask(now, Asker::Free, &name, whom, ask, &mut traffic);
            self.absorb(now, traffic, out);
        }
    }

    /// When the next attempt is due.
    pub fn revive_wake_at(&self) -> Option<Instant> {
        let due = |evse: &super::evse::EvseState| Some(evse.revive.as_ref()?.not_before);
        self.evses.iter().filter_map(due).min()
    }
}
