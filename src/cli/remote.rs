//! `ampgate remote …`, `reserve`, `reservations` and `cancel-reservation`: orders, with the
//! charger's answer in words. An order that was refused ends with exit code 1.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::controller::view::View;
use crate::ui::remote::{Outcome, Reservations};
use crate::ui::words::Calendar;

use super::client::{self, Client, ClientError, Target};
use super::text::{Side, clean, row, table};

/// What can be asked of a charger. WHERE is an EVSE by its name, or a charge point by its identity.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a charge for a token
    Start {
        #[command(flatten)]
        whom: Whom,
        /// The token (idTag)
        #[arg(long, value_name = "T")]
        token: String,
    },
    /// End the running charge
    Stop {
        #[command(flatten)]
        whom: Whom,
        /// This transaction instead of the running one
        #[arg(long, value_name = "ID")]
        transaction: Option<i64>,
    },
    /// Open the lock of the cable
    Unlock(Whom),
    /// Restart the charge point
    Reset {
        #[command(flatten)]
        whom: Whom,
        /// At once, without ending charges in order
        #[arg(long)]
        hard: bool,
    },
    /// Take into service or out of it
    Availability {
        #[command(flatten)]
        whom: Whom,
        /// In service or not
        state: OnOff,
    },
    /// Read configuration keys; all of them without a key
    Get {
        #[command(flatten)]
        whom: Whom,
        /// Which keys
        keys: Vec<String>,
    },
    /// Set a configuration key
    Set {
        #[command(flatten)]
        whom: Whom,
        /// Which
        key: String,
        /// To what; may be empty
        value: String,
    },
    /// Let it forget the tokens that it has seen accepted
    ClearCache(Whom),
    /// Let it send a message
    Trigger {
        #[command(flatten)]
        whom: Whom,
        /// Which
        message: Message,
    },
    /// Something that only charger and vendor understand
    Data {
        #[command(flatten)]
        whom: Whom,
        /// Vendor id
        vendor: String,
        /// Message id
        #[arg(long, value_name = "ID")]
        message: Option<String>,
        /// The text
        #[arg(long, value_name = "TEXT")]
        data: Option<String>,
    },
    /// Which version of the local list of tokens it holds
    ListVersion(Whom),
    /// Let it fetch firmware from a URL and install it
    Firmware {
        #[command(flatten)]
        whom: Whom,
        /// Where the firmware is
        location: String,
        /// Not before this time, as 2026-05-01T02:00:00+02:00
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Let it upload its diagnostics to this box, or to a URL; see `ampgate uploads`
    Diagnostics {
        #[command(flatten)]
        whom: Whom,
        /// Where to; to this box where it is left out
        location: Option<String>,
    },
    /// Let it upload a log of the security extension to this box, or to a URL
    Log {
        #[command(flatten)]
        whom: Whom,
        /// Where to; to this box where it is left out
        location: Option<String>,
        /// The security log instead of the diagnostics log
        #[arg(long)]
        security: bool,
    },
    /// Remove a charging profile of another system, by its id
    ClearProfile {
        #[command(flatten)]
        whom: Whom,
        /// Its id
        id: i32,
    },
    /// The limits that it will follow by itself
    Schedule {
        #[command(flatten)]
        whom: Whom,
        /// For how long, in seconds
        #[arg(long, value_name = "S", default_value_t = 600)]
        seconds: i32,
    },
}

/// Of whom.
#[derive(Debug, Args)]
pub struct Whom {
    /// An EVSE by its name, or a charge point by its identity
    #[arg(value_name = "WHERE")]
    name: String,
    #[command(flatten)]
    target: Target,
}

/// In service or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// In service
    On,
    /// Out of service
    Off,
}

/// A message that a charger can be asked to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Message {
    /// BootNotification
    Boot,
    /// DiagnosticsStatusNotification
    Diagnostics,
    /// FirmwareStatusNotification
    Firmware,
    /// Heartbeat
    Heartbeat,
    /// MeterValues
    Meter,
    /// StatusNotification
    Status,
}

/// A reservation that is wanted.
#[derive(Debug, Args)]
pub struct Reserve {
    /// An EVSE by its name, or a charge point of which any EVSE will do
    #[arg(value_name = "WHERE")]
    name: String,
    /// For whom
    #[arg(long, value_name = "T")]
    token: String,
    /// Anybody of this group may use it too
    #[arg(long, value_name = "G")]
    group: Option<String>,
    /// Until when, as 2026-05-01T18:00:00+02:00
    #[arg(long, value_name = "TIME", required_unless_present = "minutes")]
    until: Option<String>,
    /// For so many minutes from now
    #[arg(long, value_name = "N", conflicts_with = "until")]
    minutes: Option<i64>,
    #[command(flatten)]
    target: Target,
}

/// Asks a charger and tells what it said.
pub fn remote(command: &Command) -> Result<String, ClientError> {
    let (whom, mut body) = question(command);
    body["target"] = json!(whom.name);
    order(&whom.target, "/api/v1/remote", &body.to_string())
}

fn question(command: &Command) -> (&Whom, Value) {
    match command {
        Command::Start { whom, token } => (whom, json!({ "ask": "start", "token": token })),
        Command::Stop { whom, transaction } => {
            (whom, json!({ "ask": "stop", "transaction": transaction }))
        }
        Command::Unlock(whom) => (whom, json!({ "ask": "unlock" })),
        Command::Reset { whom, hard } => (whom, json!({ "ask": "reset", "hard": hard })),
        Command::Availability { whom, state } => {
            (whom, json!({ "ask": "availability", "operative": *state == OnOff::On }))
        }
        Command::Get { whom, keys } => (whom, json!({ "ask": "read", "keys": keys })),
        Command::Set { whom, key, value } => {
            (whom, json!({ "ask": "change", "key": key, "value": value }))
        }
        Command::ClearCache(whom) => (whom, json!({ "ask": "clear_cache" })),
        Command::Trigger { whom, message } => {
            let message = format!("{message:?}").to_lowercase();
            (whom, json!({ "ask": "trigger", "message": message }))
        }
        Command::Data { whom, vendor, message, data } => {
            let (message, data) = (message.as_deref(), data.as_deref());
            (whom, json!({ "ask": "data", "vendor": vendor, "message": message, "data": data }))
        }
        Command::ListVersion(whom) => (whom, json!({ "ask": "list_version" })),
        Command::Firmware { whom, location, at } => {
            (whom, json!({ "ask": "firmware", "location": location, "retrieve_at": at }))
        }
        Command::Diagnostics { whom, location } => {
            let location = location.as_deref().unwrap_or_default();
            (whom, json!({ "ask": "upload", "file": "diagnostics", "location": location }))
        }
        Command::Log { whom, location, security } => {
            let file = if *security { "security_log" } else { "log" };
            let location = location.as_deref().unwrap_or_default();
            (whom, json!({ "ask": "upload", "file": file, "location": location, "request": 1 }))
        }
        Command::ClearProfile { whom, id } => (whom, json!({ "ask": "clear_profile", "id": id })),
        Command::Schedule { whom, seconds } => {
            (whom, json!({ "ask": "schedule", "duration_s": seconds }))
        }
    }
}

/// Reserves and tells what came of it.
pub fn reserve(wish: &Reserve) -> Result<String, ClientError> {
    let Reserve { name, token, group, until, minutes, target } = wish;
    let body = json!({
        "target": name, "token": token, "group": group, "until": until, "minutes": minutes,
    });
    order(target, "/api/v1/reservations", &body.to_string())
}

/// Has what was learned of a token deleted, or of all drivers.
pub fn forget(target: &Target, token: Option<&str>, all: bool) -> Result<String, ClientError> {
    let body = json!({ "token": token, "all": all });
    order(target, "/api/v1/forget", &body.to_string())
}

/// Begins a drill and tells how it ended. The live view of the daemon paces the waiting.
pub fn drill(target: &Target, evse: &str) -> Result<String, ClientError> {
    order(target, &format!("/api/v1/evses/{evse}/drill"), "{}")?;
    let client = Client::new(target)?;
    let ended = client.follow("/api/v1/live", |view: &View| {
        let drill = view.drill.clone()?;
        drill.passed.map(|passed| (passed, format!("{}: {}", drill.evse, clean(&drill.words))))
    })?;
    match ended {
        (true, words) => Ok(format!("{words}\n")),
        (false, words) => Err(ClientError::Charger(words)),
    }
}

/// Gives an order; what came of it in words, or the same as an error where it was refused.
pub fn order(target: &Target, path: &str, body: &str) -> Result<String, ClientError> {
    let client = Client::new(target)?;
    let answer = client.post(path, body)?;
    if target.json {
        return Ok(format!("{}\n", answer.trim_end()));
    }
    let outcome: Outcome = client::read(&answer)?;
    let text = words(&outcome);
    if outcome.accepted { Ok(text) } else { Err(ClientError::Charger(text.trim_end().to_owned())) }
}

fn words(outcome: &Outcome) -> String {
    let mut text = format!("{}\n", clean(&outcome.words));
    match outcome.details.as_ref() {
        None => {}
        Some(details) => match details.get("configurationKey").and_then(Value::as_array) {
            Some(keys) => text.push_str(&configuration(keys, details.get("unknownKey"))),
            None => {
                let details = serde_json::to_string_pretty(details).unwrap_or_default();
                for line in details.lines() {
                    text.push_str(&format!("{}\n", clean(line)));
                }
            }
        },
    }
    text
}

fn configuration(keys: &[Value], unknown: Option<&Value>) -> String {
    let mut lines = vec![row(["KEY", "VALUE", ""])];
    let word = |entry: &Value, key: &str| match entry.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    for entry in keys {
        let note = if word(entry, "readonly") == "true" { "read only" } else { "" };
        lines.push(row([&word(entry, "key"), &word(entry, "value"), note]));
    }
    for key in unknown.and_then(Value::as_array).into_iter().flatten() {
        lines.push(row([key.as_str().unwrap_or_default(), "", "unknown to the charger"]));
    }
    table(&[Side::Left, Side::Left, Side::Left], &lines)
}

/// Reservations, one line each.
pub fn reservations(found: &Reservations, zone: &str) -> String {
    if found.reservations.is_empty() {
        return "Nothing is reserved.\n".to_owned();
    }
    let calendar = Calendar::new(zone);
    let mut lines = vec![row(["NO.", "WHERE", "TOKEN", "UNTIL", "STATE"])];
    for one in &found.reservations {
        let until = calendar.short(one.until, None);
        lines.push(row([&one.id.to_string(), &one.target, &one.token, &until, &one.state]));
    }
    use Side::{Left, Right};
    table(&[Right, Left, Left, Left, Left], &lines)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_configuration_stands_in_a_table() {
        let details = json!({
            "configurationKey": [
                { "key": "HeartbeatInterval", "readonly": false, "value": "300" },
                { "key": "NumberOfConnectors", "readonly": true, "value": 2 },
            ],
            "unknownKey": ["Foo"],
        });
        let outcome = Outcome {
            accepted: true,
            status: String::new(),
            words: "read".to_owned(),
            details: Some(details),
        };
        expect![[r#"
            read
            KEY                 VALUE
            HeartbeatInterval   300
            NumberOfConnectors  2      read only
            Foo                        unknown to the charger
        "#]]
        .assert_eq(&words(&outcome));
    }
}
