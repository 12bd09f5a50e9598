//! A word with a charger that is not of this site: who are you? It is told to wait (registration
//! Pending, OCPP 1.6 §4.2), and nothing that it says counts.

use serde_json::Value;

use crate::ground::time::Utc;
use crate::model::message::Identity;

use super::frame::{ErrorCode, Frame, emit_error, emit_result, parse};
use super::message::heartbeat_answer;
use super::repair::cut;

/// It is asked to come again after so many seconds.
const COME_AGAIN_S: u32 = 60;

/// What one frame of a stranger came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The answer.
    pub reply: Option<String>,
    /// Who it says it is.
    pub identity: Option<Identity>,
}

/// Answers a stranger.
pub fn answer(text: &str, now: Utc) -> Heard {
    let Ok(Frame::Call { id, action, payload }) = parse(text) else { return Heard::default() };
    let reply = |payload: &str| Some(emit_result(&id, payload));
    match action.as_ref() {
        "BootNotification" => {
            let asked: Value = serde_json::from_str(payload).unwrap_or_default();
            let text = |keys: [&str; 2]| {
                let found = keys.iter().find_map(|key| asked.get(key)?.as_str());
                cut(found.unwrap_or_default()).to_owned()
            };
            let identity = Identity {
                vendor: text(["chargePointVendor", "vendor"]),
                model: text(["chargePointModel", "model"]),
                serial: text(["chargePointSerialNumber", "chargeBoxSerialNumber"]),
                firmware: text(["firmwareVersion", "firmware"]),
            };
            let time = now.to_text();
            let pending = format!(
                "{{\"currentTime\":\"{time}\",\"interval\":{COME_AGAIN_S},\"status\":\"Pending\"}}"
            );
            Heard { reply: reply(&pending), identity: Some(identity) }
        }
        "Heartbeat" => Heard { reply: reply(&heartbeat_answer(now)), identity: None },
        // Their answers promise nothing, and a charger that gets none fills its queue.
        "StatusNotification" | "SecurityEventNotification" => {
            Heard { reply: reply("{}"), identity: None }
        }
        _ => {
            let text = emit_error(&id, ErrorCode::SecurityError, "not of this site yet");
            Heard { reply: Some(text), identity: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_asked_who_it_is_and_promised_nothing() {
        let now = Utc::from_millis(1_551_427_200_000);
        let boot = r#"[2,"1","BootNotification",{"chargePointVendor":"Acme","chargePointModel":"X",
            "chargeBoxSerialNumber":"7","firmwareVersion":"1.0"}]"#;
        let heard = answer(boot, now);
        assert_eq!(
            heard.reply.as_deref(),
            Some(
                r#"[3,"1",{"currentTime":"2019-03-01T08:00:00Z","interval":60,"status":"Pending"}]"#
            )
        );
        let identity = heard.identity.unwrap();
        assert_eq!((identity.vendor.as_str(), identity.serial.as_str()), ("Acme", "7"));
        let start = answer(r#"[2,"2","StartTransaction",{}]"#, now);
        assert_eq!(
            start.reply.as_deref(),
            Some(r#"[4,"2","SecurityError","not of this site yet",{}]"#)
        );
        assert_eq!(answer("[3,\"1\",{}]", now), Heard::default());
        assert_eq!(answer("nonsense", now), Heard::default());
    }
}
