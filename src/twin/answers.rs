//! What a simulated charger makes of the answers to its own calls, and of those that never come.

use serde_json::Value;

use crate::ground::time::{Duration, Instant, Utc};
use crate::model::message::EvseStatus;

use super::charge_point::{Asked, CALL_TIMEOUT, ChargePoint, Closed};
use super::connector::{Connector, Stage};
use super::wire::Message;

/// Retry of a BootNotification that was not accepted and named no interval.
const BOOT_RETRY: Duration = Duration::seconds(60);
/// How often a transaction message is told before it is given up.
const ATTEMPTS_MAX: u32 = 5;
/// A clock this near to the central system's is left alone: its times are whole seconds.
const CLOCK_SLACK: i64 = 1500;

impl ChargePoint {
    /// The answer to our own call has come.
    pub(super) fn answered(&mut self, id: &str, payload: Option<&str>, now: Instant) {
        let number = id.parse::<u64>().ok();
        let Some(asked) = self.asked.take_if(|asked| Some(asked.id) == number) else { return };
        let Some(payload) = payload else { return self.lost(asked, 1) };
        let read = || serde_json::from_str::<Value>(payload).unwrap_or_default();
        let accepted = |json: &Value| {
            json.pointer("/idTagInfo/status").and_then(|status| status.as_str()) == Some("Accepted")
        };
        match asked.message {
            Message::Values { .. } | Message::Status { .. } => {}
            Message::Boot => self.boot_answered(&read(), now),
            Message::Heartbeat => self.set_clock(&read(), now),
            Message::Authorize { connector, .. } => {
                let yes = accepted(&read());
                let here = self.connectors.iter().position(|one| one.number == connector);
                if let Some(index) =
                    here.filter(|index| self.connectors[*index].stage == Stage::Authorizing)
                {
                    if yes {
                        self.begin(index, now);
                    } else {
                        self.connectors[index].stage = Stage::Over(EvseStatus::Preparing);
                    }
                }
            }
            Message::Start { run, .. } => {
                let json = read();
                if let Some(id) = json.get("transactionId").and_then(Value::as_i64) {
                    self.ids.insert(run, id);
                    self.granted.push((id, run));
                }
                let is_it = |one: &Connector| one.run().is_some_and(|it| it.number == run);
                if let Some(index) = self.connectors.iter().position(is_it)
                    && !accepted(&json)
                {
                    self.end(index, "DeAuthorized", Stage::Over(EvseStatus::Finishing), now);
                }
            }
            Message::Stop { run, .. } => {
                let transaction = self.ids.remove(&run).unwrap_or(-1);
                let energy_wh = self.energies.remove(&run).unwrap_or_default();
                self.closed.push(Closed { transaction, energy_wh });
            }
        }
    }

    fn boot_answered(&mut self, json: &Value, now: Instant) {
        self.set_clock(json, now);
        let seconds = json.get("interval").and_then(Value::as_i64).unwrap_or(0);
        if json.get("status").and_then(|status| status.as_str()) == Some("Accepted") {
            self.booted = true;
            if 0 < seconds {
                self.settings.heartbeat_interval = Duration::seconds(seconds);
            }
            self.heartbeat_at = now + self.settings.heartbeat_interval;
        } else {
            let wait = if 0 < seconds { Duration::seconds(seconds) } else { BOOT_RETRY };
            self.boot_at = now + wait;
        }
    }

    fn set_clock(&mut self, json: &Value, now: Instant) {
        let told = json.get("currentTime").and_then(|time| time.as_str()).and_then(Utc::parse);
        if let Some(told) = told {
            let clock = told.as_millis() - now.as_millis() + self.behaviour.clock_error.as_millis();
            if CLOCK_SLACK < (clock - self.clock).abs() {
                self.clock = clock;
            }
        }
    }

    /// A call came to nothing: transactions are told again, a state is told anew. An attempt that
    /// the link cut short counts as none.
    pub(super) fn lost(&mut self, asked: Asked, attempt: u32) {
        match asked.message {
            Message::Status { connector, .. } => {
                for one in self.connectors.iter_mut().filter(|one| one.number == connector) {
                    one.told = None;
                }
            }
            Message::Authorize { connector, .. } => {
                for one in self.connectors.iter_mut().filter(|one| one.number == connector) {
                    if one.stage == Stage::Authorizing {
                        one.stage = Stage::Plugged(asked.since + CALL_TIMEOUT);
                    }
                }
            }
            message if message.is_kept() && asked.attempts < ATTEMPTS_MAX => {
                self.kept.push_front((message, asked.attempts + attempt));
            }
            _ => {}
        }
    }
}
