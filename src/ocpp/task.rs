//! The questions we ask a charge point: why, with what payload, and in which order of urgency.

use rust_ocpp::v1_6::messages::change_configuration::ChangeConfigurationRequest;
use rust_ocpp::v1_6::messages::clear_charging_profile::ClearChargingProfileRequest;
use rust_ocpp::v1_6::messages::get_configuration::GetConfigurationRequest;
use rust_ocpp::v1_6::messages::trigger_message::TriggerMessageRequest;
use rust_ocpp::v1_6::types::MessageTrigger;

use crate::ground::time::{Instant, Utc};
use crate::model::ask::{Ask, AskId};
use crate::model::message::LimitOrder;

use super::composite::Promise;
use super::message::{json, status_word};
use super::mode::{Mode, SafeForm};

/// An order with the moment it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// The order.
    pub order: LimitOrder,
    /// When it was given, by the clock the charger was told; its lease runs from there.
    pub ordered: Utc,
    /// Not to be sent before: a pause after a refusal.
    pub not_before: Instant,
}

/// What a composite schedule is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Proof {
    /// To see the two steps of a limit in the mode it was told.
    Lease { promise: Promise, mode: Mode },
    /// To see the permanent safe share on an idle connector.
    SafeShare,
}

/// A message that the charger is asked to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Who it is.
    Boot,
    /// Any sign of life.
    Heartbeat,
    /// What it measures.
    Meter,
    /// What it is doing.
    Status,
}

/// An order on its way: what is asked, of which connector (0 stands for all). What it looks like on
/// the wire stands in `operate`.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What.
    pub ask: Ask,
    /// Of which connector.
    pub connector: u32,
}

/// One question on its way.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Remove all profiles of others.
    Clear,
    /// Install the permanent safe share; connector 0 stands for all.
    SafeShare { connector: u32, form: SafeForm },
    /// Tell a limit.
    Limit { connector: u32, mode: Mode, pending: Pending },
    /// Ask for the schedule it will follow.
    Composite { connector: u32, proof: Proof },
    /// Ask it to send something.
    Trigger { wanted: Wanted, connector: Option<u32> },
    /// Read configuration keys; none means all.
    Read { keys: Vec<String> },
    /// Set a configuration key.
    Change { key: &'static str, value: String },
    /// Something that a person or the controller wants.
    Ask { id: AskId, question: Box<Question> },
    /// Bring its local list to what is wanted.
    List { question: Box<Question> },
    /// Clear its own memory of accepted tokens.
    ClearCache,
    /// Restart it for what was changed.
    Restart,
}

/// How a question ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<'a> {
    /// The charger's answer.
    Result(&'a str),
    /// The charger could not answer, in its words.
    Error(String),
    /// Nothing came in time.
    Timeout,
}

impl Reply<'_> {
    /// Whether the status is one of `good`.
    pub fn is_one_of(&self, good: &[&str]) -> bool {
        match self {
            Reply::Result(payload) => status_word(payload)
                .is_some_and(|word| good.iter().any(|known| known.eq_ignore_ascii_case(&word))),
            Reply::Error(_) | Reply::Timeout => false,
        }
    }

    /// What it came to, in the charger's words.
    pub fn words(&self) -> String {
        match self {
            Reply::Result(payload) => status_word(payload).unwrap_or("no status".to_owned()),
            Reply::Error(words) => words.clone(),
            Reply::Timeout => "no answer".to_owned(),
        }
    }
}

/// Action and payload of the tasks that need nothing but themselves.
pub fn trigger(wanted: Wanted, connector: Option<u32>) -> (&'static str, String) {
    let requested_message = match wanted {
        Wanted::Boot => MessageTrigger::BootNotification,
        Wanted::Heartbeat => MessageTrigger::Heartbeat,
        Wanted::Meter => MessageTrigger::MeterValues,
        Wanted::Status => MessageTrigger::StatusNotification,
    };
    let request = TriggerMessageRequest { requested_message, connector_id: connector };
    ("TriggerMessage", json(&request))
}

/// Reads all keys, or these (OCPP 1.6 §5.8).
pub fn read(keys: &[String]) -> (&'static str, String) {
    let key = (!keys.is_empty()).then(|| keys.to_vec());
    ("GetConfiguration", json(&GetConfigurationRequest { key }))
}

/// Sets one key (OCPP 1.6 §5.3).
pub fn change(key: &str, value: &str) -> (&'static str, String) {
    let request = ChangeConfigurationRequest { key: key.to_owned(), value: value.to_owned() };
    ("ChangeConfiguration", json(&request))
}

/// Removes every profile (OCPP 1.6 §5.5; an empty request means all).
pub fn clear() -> (&'static str, String) {
    ("ClearChargingProfile", json(&ClearChargingProfileRequest::default()))
}
