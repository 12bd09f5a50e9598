//! The OCPP 1.6J text of a simulated charger: what it writes, and a scan of what it hears.
//!
//! It is of its own making on purpose: it shares no code with the central system's `ocpp`, so that
//! a wrong word there is not wrong in the same way here. MeterValues go out and their empty answers
//! come in by the million in a simulated year: both get by without a JSON parser.

use std::fmt::Write;

use serde_json::Value;

use crate::ground::time::Utc;
use crate::model::message::EvseStatus;

/// What a charger can measure; the names of OCPP 1.6 §7.31 that it accepts in its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measurand {
    /// Current.Import by phase.
    Current,
    /// Current.Offered.
    Offered,
    /// Energy.Active.Import.Register.
    Energy,
    /// Power.Active.Import over all phases.
    Power,
    /// Voltage by phase.
    Voltage,
}

/// What a charger measures at one moment, by its own phases.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// In A, one for each wired phase.
    pub current: [f64; 3],
    /// How many of them are wired.
    pub phases: usize,
    /// In V.
    pub voltage: f64,
    /// In A.
    pub offered: f64,
    /// Register in Wh.
    pub energy_wh: i64,
}

/// Something a charger has to tell. Times are milliseconds of its own clock.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// It has started.
    Boot,
    /// It is alive.
    Heartbeat,
    /// State of a connector; 0 is the charge point itself.
    Status { connector: u32, status: EvseStatus, at: i64 },
    /// May this token charge?
    Authorize { connector: u32, token: String },
    /// A transaction began; `run` is the charger's own number for it.
    Start { run: u64, connector: u32, token: String, meter_wh: i64, at: i64 },
    /// Measured values.
    Values { run: Option<u64>, connector: u32, sample: Sample, triggered: bool, at: i64 },
    /// A transaction ended.
    Stop { run: u64, token: String, meter_wh: i64, reason: &'static str, at: i64 },
}

/// A frame from the central system.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard<'a> {
    /// A question to us.
    Call { id: String, action: String, payload: Value },
    /// The answer to our question; its payload as text.
    Answer { id: &'a str, payload: &'a str },
    /// Our question was refused.
    Refusal { id: &'a str },
}

impl Measurand {
    /// From its name.
    pub fn read(name: &str) -> Option<Self> {
        Some(match name {
            "Current.Import" => Measurand::Current,
            "Current.Offered" => Measurand::Offered,
            "Energy.Active.Import.Register" => Measurand::Energy,
            "Power.Active.Import" => Measurand::Power,
            "Voltage" => Measurand::Voltage,
            _ => return None,
        })
    }
}

/// Scans a frame. None where it is no frame that a charger can hear.
pub fn hear(text: &str) -> Option<Heard<'_>> {
    let rest = text.trim_start().strip_prefix('[')?.trim_start();
    let (kind, rest) = rest.split_at_checked(1)?;
    let rest = rest.trim_start().strip_prefix(',')?.trim_start();
    if kind == "2" {
        let Ok(Value::Array(mut parts)) = serde_json::from_str(text) else { return None };
        let payload = parts.get_mut(3)?.take();
        let word = |index: usize| Some(parts.get(index)?.as_str()?.to_owned());
        return Some(Heard::Call { id: word(1)?, action: word(2)?, payload });
    }
    let (id, rest) = rest.strip_prefix('"')?.split_once('"')?;
    match kind {
        "3" => {
            let payload = rest.trim_start().strip_prefix(',')?.trim_end().strip_suffix(']')?;
            Some(Heard::Answer { id, payload })
        }
        "4" => Some(Heard::Refusal { id }),
        _ => None,
    }
}

/// The answer to a call.
pub fn answer(id: &str, payload: &Value) -> String {
    format!("[3,{},{payload}]", Value::from(id))
}

/// The refusal of a call, with one of the error codes of OCPP-J 1.6 §4.2.3.
pub fn refusal(id: &str, code: &str) -> String {
    format!("[4,{},\"{code}\",\"\",{{}}]", Value::from(id))
}

/// The word of OCPP 1.6 §7.7.
pub const fn status_word(status: EvseStatus) -> &'static str {
    match status {
        EvseStatus::Unknown | EvseStatus::Unavailable => "Unavailable",
        EvseStatus::Available => "Available",
        EvseStatus::Preparing => "Preparing",
        EvseStatus::Charging => "Charging",
        EvseStatus::SuspendedEvse => "SuspendedEVSE",
        EvseStatus::SuspendedEv => "SuspendedEV",
        EvseStatus::Finishing => "Finishing",
        EvseStatus::Reserved => "Reserved",
        EvseStatus::Faulted => "Faulted",
    }
}

impl Message {
    /// Whether it is kept while the link is down: transactions and what belongs to them.
    pub const fn is_kept(&self) -> bool {
        match self {
            Message::Start { .. } | Message::Stop { .. } | Message::Values { .. } => true,
            Message::Boot
            | Message::Heartbeat
            | Message::Status { .. }
            | Message::Authorize { .. } => false,
        }
    }

    /// The charger's number of the transaction it belongs to.
    pub const fn run(&self) -> Option<u64> {
        match self {
            Message::Start { run, .. } | Message::Stop { run, .. } => Some(*run),
            Message::Values { run, .. } => *run,
            Message::Boot
            | Message::Heartbeat
            | Message::Status { .. }
            | Message::Authorize { .. } => None,
        }
    }

    /// The frame. `transaction` is the id that the central system gave to its run, −1 where it
    /// never did (OCPP 1.6 errata §3.18).
    pub fn frame(&self, id: u64, serial: &str, transaction: i64, wanted: &[Measurand]) -> String {
        let text = |millis: i64| Utc::from_millis(millis).to_text();
        match self {
            Message::Boot => format!(
                "[2,\"{id}\",\"BootNotification\",{{\"chargePointVendor\":\"Ampgate\",\
                 \"chargePointModel\":\"Twin\",\"chargePointSerialNumber\":{},\
                 \"firmwareVersion\":\"1.0\"}}]",
                Value::from(serial)
            ),
            Message::Heartbeat => format!("[2,\"{id}\",\"Heartbeat\",{{}}]"),
            Message::Status { connector, status, at } => format!(
                "[2,\"{id}\",\"StatusNotification\",{{\"connectorId\":{connector},\
                 \"errorCode\":\"NoError\",\"status\":\"{}\",\"timestamp\":\"{}\"}}]",
                status_word(*status),
                text(*at)
            ),
            Message::Authorize { token, .. } => {
                format!("[2,\"{id}\",\"Authorize\",{{\"idTag\":{}}}]", Value::from(token.as_str()))
            }
            Message::Start { connector, token, meter_wh, at, .. } => format!(
                "[2,\"{id}\",\"StartTransaction\",{{\"connectorId\":{connector},\"idTag\":{},\
                 \"meterStart\":{meter_wh},\"timestamp\":\"{}\"}}]",
                Value::from(token.as_str()),
                text(*at)
            ),
            Message::Values { run, connector, sample, triggered, at } => {
                let mut frame = String::with_capacity(800);
                let _ = write!(frame, "[2,\"{id}\",\"MeterValues\",{{\"connectorId\":{connector},");
                if run.is_some() {
                    let _ = write!(frame, "\"transactionId\":{transaction},");
                }
                let _ = write!(
                    frame,
                    "\"meterValue\":[{{\"timestamp\":\"{}\",\"sampledValue\":[",
                    text(*at)
                );
                let context = if *triggered { "Trigger" } else { "Sample.Periodic" };
                sample.write(&mut frame, context, wanted);
                frame.push_str("]}]}]");
                frame
            }
            Message::Stop { token, meter_wh, reason, at, .. } => format!(
                "[2,\"{id}\",\"StopTransaction\",{{\"transactionId\":{transaction},\"idTag\":{},\
                 \"meterStop\":{meter_wh},\"timestamp\":\"{}\",\"reason\":\"{reason}\"}}]",
                Value::from(token.as_str()),
                text(*at)
            ),
        }
    }
}

impl Sample {
    /// Writes the wanted values as SampledValue objects, separated by commas.
    fn write(&self, to: &mut String, context: &str, wanted: &[Measurand]) {
        let mut first = true;
        let mut one = |value: std::fmt::Arguments<'_>, name: &str, phase: &str, unit: &str| {
            let comma = if first { "" } else { "," };
            first = false;
            let _ = write!(
                to,
                "{comma}{{\"value\":\"{value}\",\"context\":\"{context}\",\
                 \"measurand\":\"{name}\"{phase},\"unit\":\"{unit}\"}}"
            );
        };
        const OWN: [&str; 3] = [",\"phase\":\"L1\"", ",\"phase\":\"L2\"", ",\"phase\":\"L3\""];
        for measurand in wanted {
            match measurand {
                Measurand::Energy => {
                    let energy = self.energy_wh;
                    one(format_args!("{energy}"), "Energy.Active.Import.Register", "", "Wh");
                }
                Measurand::Power => {
                    let power = self.current.iter().sum::<f64>() * self.voltage;
                    one(format_args!("{power:.0}"), "Power.Active.Import", "", "W");
                }
                Measurand::Current => {
                    for (current, phase) in self.current.iter().zip(OWN).take(self.phases) {
                        one(format_args!("{current:.2}"), "Current.Import", phase, "A");
                    }
                }
                Measurand::Voltage => {
                    for phase in OWN.into_iter().take(self.phases) {
                        one(format_args!("{:.1}", self.voltage), "Voltage", phase, "V");
                    }
                }
                Measurand::Offered => {
                    one(format_args!("{:.1}", self.offered), "Current.Offered", "", "A");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_and_calls_are_heard() {
        let answer = hear("[3,\"17\",{\"status\":\"Accepted\"}]");
        assert_eq!(answer, Some(Heard::Answer { id: "17", payload: "{\"status\":\"Accepted\"}" }));
        assert_eq!(
            hear("[4, \"17\", \"GenericError\", \"\", {}]"),
            Some(Heard::Refusal { id: "17" })
        );
        let call = hear(" [2,\"a\",\"Reset\",{\"type\":\"Soft\"}]");
        let payload = json!({"type": "Soft"});
        let (id, action) = ("a".to_owned(), "Reset".to_owned());
        assert_eq!(call, Some(Heard::Call { id, action, payload }));
        for bad in ["", "[", "[3", "[3,", "[9,\"1\",{}]", "[2,\"1\"]", "{}", "[3,\"1\"]"] {
            assert_eq!(hear(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_message_is_json_of_four_parts() {
        let sample = Sample {
            current: [15.98, 0.0, 0.0],
            phases: 3,
            voltage: 230.0,
            offered: 16.0,
            energy_wh: 1234,
        };
        let token = "TAG \"1\"".to_owned();
        let messages = [
            Message::Boot,
            Message::Heartbeat,
            Message::Status { connector: 1, status: EvseStatus::SuspendedEvse, at: 0 },
            Message::Authorize { connector: 1, token: token.clone() },
            Message::Start { run: 1, connector: 1, token: token.clone(), meter_wh: 5, at: 0 },
            Message::Values { run: Some(1), connector: 1, sample, triggered: false, at: 0 },
            Message::Stop { run: 1, token, meter_wh: 9, reason: "Local", at: 0 },
        ];
        let wanted = ["Energy.Active.Import.Register", "Current.Import", "Voltage"]
            .map(|name| Measurand::read(name).expect("a known measurand"));
        for message in messages {
            let frame = message.frame(3, "CP\"1", 42, &wanted);
            let json: Value = serde_json::from_str(&frame).expect(&frame);
            assert_eq!(json.as_array().map(Vec::len), Some(4), "{frame}");
            if let Message::Values { .. } = message {
                let values = &json[3]["meterValue"][0]["sampledValue"];
                assert_eq!(json[3]["transactionId"], 42);
                assert_eq!(values.as_array().map(Vec::len), Some(7));
                assert_eq!(values[1]["value"], "15.98");
            }
        }
    }
}
