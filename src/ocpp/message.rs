//! The payloads of OCPP 1.6 by feature profile: what a charge point asks, typed by `rust-ocpp`
//! after repair, and what it is answered. Questions of ours are in `task`.
//!
//! Whatever is a JSON object becomes a request: [`decode`] fails only where the action is unknown
//! or the payload has no fields at all. Words that the strict types cannot hold are in [`Aside`].

use rust_ocpp::v1_6::messages::authorize::{AuthorizeRequest, AuthorizeResponse};
use rust_ocpp::v1_6::messages::boot_notification::{
    BootNotificationRequest, BootNotificationResponse,
};
use rust_ocpp::v1_6::messages::data_transfer::DataTransferResponse;
use rust_ocpp::v1_6::messages::heart_beat::HeartbeatResponse;
use rust_ocpp::v1_6::messages::meter_values::MeterValuesRequest;
use rust_ocpp::v1_6::messages::start_transaction::StartTransactionRequest;
use rust_ocpp::v1_6::messages::status_notification::StatusNotificationRequest;
use rust_ocpp::v1_6::messages::stop_transaction::StopTransactionRequest;
use rust_ocpp::v1_6::types::{
    AuthorizationStatus, DataTransferStatus, IdTagInfo, RegistrationStatus,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ground::ids::TransactionId;
use crate::ground::time::{Duration, Utc};
use crate::model::ask::{TokenInfo, Verdict};
use crate::model::message::Job;

use super::certificates;
use super::repair::{Bench, Repair, Repairs, cut};

/// A StopTransaction may carry at most this many samples; the first ones are kept.
const SAMPLES_MAX: usize = 4096;

/// The answer to everything that has no answer fields.
pub const NOTHING: &str = "{}";

/// What a charge point asks of a Central System.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// OCPP 1.6 §4.1.
    Authorize(AuthorizeRequest),
    /// OCPP 1.6 §4.2.
    Boot(BootNotificationRequest),
    /// OCPP 1.6 §4.3.
    DataTransfer,
    /// OCPP 1.6 §4.6.
    Heartbeat,
    /// OCPP 1.6 §4.7.
    MeterValues(MeterValuesRequest),
    /// OCPP 1.6 §4.8.
    Start(StartTransactionRequest),
    /// OCPP 1.6 §4.9.
    Status(StatusNotificationRequest),
    /// OCPP 1.6 §4.10.
    Stop(StopTransactionRequest),
    /// How far an upload or an update is (OCPP 1.6 §4.4, §4.5 and the security whitepaper).
    Progress(Job, ProgressRequest),
    /// A security event (security whitepaper), in words.
    SecurityEvent(String),
    /// A certificate to be signed (security whitepaper), as it was asked for.
    SignCertificate(String),
}

/// DiagnosticsStatusNotification, FirmwareStatusNotification, LogStatusNotification and
/// SignedFirmwareStatusNotification. An own struct: `rust-ocpp` has not all of them, and the words
/// are open.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressRequest {
    /// How far it is.
    pub status: String,
    /// Number of the request it is about.
    pub request_id: Option<i32>,
}

/// What a field really said where the strict type could not hold it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aside {
    /// A transaction id beyond 2^31 (OCPP 1.6 allows any integer).
    pub transaction: Option<i64>,
    /// An energy register beyond the range of an integer field.
    pub register: Option<f64>,
    /// An unknown word of the field that decides most: status or reason.
    pub word: Option<String>,
    /// An unknown error code.
    pub error: Option<String>,
}

/// A request after repair.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The request itself.
    pub request: Request,
    /// What it could not hold.
    pub aside: Aside,
    /// What was mended.
    pub repairs: Repairs,
}

/// Why there is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// Nobody knows this action.
    UnknownAction,
    /// The payload is no JSON object.
    NoObject,
}

/// Every action that a charge point may call, and what its payload is.
const ACTIONS: &[&str] = &[
    "Authorize",
    "BootNotification",
    "DataTransfer",
    "Heartbeat",
    "MeterValues",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "SecurityEventNotification",
    "SignedFirmwareStatusNotification",
    "SignCertificate",
];

/// Reads the payload of a call.
pub fn decode(action: &str, payload: &str) -> Result<Decoded, Undecodable> {
    match action {
        "MeterValues" => typed(payload, Request::MeterValues, mend_meter_values),
        "StatusNotification" => typed(payload, Request::Status, mend_status),
        "StartTransaction" => typed(payload, Request::Start, mend_start),
        "StopTransaction" => typed(payload, Request::Stop, mend_stop),
        "Authorize" => typed(payload, Request::Authorize, mend_authorize),
        "BootNotification" => typed(payload, Request::Boot, mend_boot),
        "Heartbeat" => Ok(plain(Request::Heartbeat)),
        "DataTransfer" => Ok(plain(Request::DataTransfer)),
        "SignCertificate" => Ok(plain(Request::SignCertificate(certificates::wanted(payload)))),
        "DiagnosticsStatusNotification" => progress(Job::Upload, payload),
        "LogStatusNotification" => progress(Job::Upload, payload),
        "FirmwareStatusNotification" => progress(Job::Update, payload),
        "SignedFirmwareStatusNotification" => progress(Job::Update, payload),
        "SecurityEventNotification" => {
            Ok(plain(Request::SecurityEvent(certificates::event(payload))))
        }
        _ => {
            let close = ACTIONS.iter().find(|known| known.eq_ignore_ascii_case(action.trim()));
            let mut decoded = decode(close.ok_or(Undecodable::UnknownAction)?, payload)?;
            decoded.repairs.note(Repair::WrongCase);
            Ok(decoded)
        }
    }
}

fn progress(job: Job, payload: &str) -> Result<Decoded, Undecodable> {
    let wrap = match job {
        Job::Upload => |request| Request::Progress(Job::Upload, request),
        Job::Update => |request| Request::Progress(Job::Update, request),
    };
    typed(payload, wrap, |bench| {
        bench.text("status", Some(""));
        bench.integer("requestId", SIGNED, None);
        Aside::default()
    })
}

fn plain(request: Request) -> Decoded {
    Decoded { request, aside: Aside::default(), repairs: Repairs::default() }
}

/// The strict type if it fits at once, else the mended object.
fn typed<T: DeserializeOwned>(
    payload: &str,
    wrap: fn(T) -> Request,
    mend: fn(&mut Bench<'_>) -> Aside,
) -> Result<Decoded, Undecodable> {
    if let Ok(strict) = serde_json::from_str::<T>(payload) {
        return Ok(plain(wrap(strict)));
    }
    let value: Value = serde_json::from_str(payload).map_err(|_| Undecodable::NoObject)?;
    let mut repairs = Repairs::default();
    let mut fields = match value {
        Value::Object(fields) => fields,
        Value::Null => empty(&mut repairs),
        Value::Array(items) if items.is_empty() => empty(&mut repairs),
        _ => return Err(Undecodable::NoObject),
    };
    let aside = mend(&mut Bench { fields: &mut fields, repairs: &mut repairs });
    if repairs.kinds().is_empty() {
        repairs.note(Repair::OddStructure);
    }
    let strict = serde_json::from_value(Value::Object(fields));
    let strict = strict.map_err(|_| Undecodable::NoObject)?;
    Ok(Decoded { request: wrap(strict), aside, repairs })
}

fn empty(repairs: &mut Repairs) -> Map<String, Value> {
    repairs.note(Repair::EmptyPayload);
    Map::new()
}

const UNSIGNED: std::ops::RangeInclusive<i64> = 0..=i32::MAX as i64;
const SIGNED: std::ops::RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;

fn mend_authorize(bench: &mut Bench<'_>) -> Aside {
    bench.text("idTag", Some(""));
    Aside::default()
}

fn mend_boot(bench: &mut Bench<'_>) -> Aside {
    bench.text("chargePointVendor", Some(""));
    bench.text("chargePointModel", Some(""));
    for key in [
        "chargeBoxSerialNumber",
        "chargePointSerialNumber",
        "firmwareVersion",
        "iccid",
        "imsi",
        "meterSerialNumber",
        "meterType",
    ] {
        bench.text(key, None);
    }
    Aside::default()
}

fn mend_start(bench: &mut Bench<'_>) -> Aside {
    bench.integer("connectorId", UNSIGNED, Some(0));
    bench.text("idTag", Some(""));
    let register = bench.integer("meterStart", SIGNED, Some(0));
    bench.integer("reservationId", SIGNED, None);
    bench.time("timestamp", true);
    Aside { register, ..Aside::default() }
}

fn mend_stop(bench: &mut Bench<'_>) -> Aside {
    bench.text("idTag", None);
    let register = bench.integer("meterStop", SIGNED, Some(0));
    bench.time("timestamp", true);
    let transaction = bench.integer("transactionId", SIGNED, Some(-1)).map(|id| id as i64);
    let word = bench.choice("reason", REASONS, None);
    mend_samples(bench, "transactionData", false);
    Aside { transaction, register, word, error: None }
}

fn mend_meter_values(bench: &mut Bench<'_>) -> Aside {
    bench.integer("connectorId", UNSIGNED, Some(0));
    let transaction = bench.integer("transactionId", SIGNED, None).map(|id| id as i64);
    mend_samples(bench, "meterValue", true);
    Aside { transaction, ..Aside::default() }
}

fn mend_status(bench: &mut Bench<'_>) -> Aside {
    bench.integer("connectorId", UNSIGNED, Some(0));
    let error = bench.choice("errorCode", ERROR_CODES, Some("NoError"));
    let missing = !matches!(bench.fields.get("status"), Some(Value::String(_)));
    let word = bench.choice("status", STATUSES, Some("Available"));
    let word = if missing { Some(String::new()) } else { word };
    bench.time("timestamp", false);
    for key in ["info", "vendorId", "vendorErrorCode"] {
        bench.text(key, None);
    }
    Aside { word, error, ..Aside::default() }
}

/// Mends a list of MeterValue; what is no object in it is left out.
fn mend_samples(bench: &mut Bench<'_>, key: &str, required: bool) {
    let values = match bench.fields.remove(key) {
        Some(Value::Array(values)) => values,
        Some(single @ Value::Object(_)) => {
            bench.repairs.note(Repair::OddStructure);
            vec![single]
        }
        None | Some(Value::Null) if !required => return,
        _ => {
            bench.repairs.note(Repair::MissingField);
            Vec::new()
        }
    };
    let mut mended = Vec::with_capacity(values.len().min(SAMPLES_MAX));
    for value in values.into_iter().take(SAMPLES_MAX) {
        let Value::Object(mut fields) = value else {
            bench.repairs.note(Repair::OddStructure);
            continue;
        };
        let mut inner = Bench { fields: &mut fields, repairs: &mut *bench.repairs };
        inner.time("timestamp", true);
        let samples = match inner.fields.remove("sampledValue") {
            Some(Value::Array(samples)) => samples,
            Some(single @ Value::Object(_)) => vec![single],
            _ => Vec::new(),
        };
        let samples = samples.into_iter().take(SAMPLES_MAX);
        let samples = samples.filter_map(|sample| mend_sample(sample, inner.repairs)).collect();
        fields.insert("sampledValue".to_owned(), Value::Array(samples));
        mended.push(Value::Object(fields));
    }
    bench.fields.insert(key.to_owned(), Value::Array(mended));
}

/// Mends one SampledValue; none where nobody can say what it measured.
fn mend_sample(sample: Value, repairs: &mut Repairs) -> Option<Value> {
    let Value::Object(mut fields) = sample else {
        repairs.note(Repair::NoNumber);
        return None;
    };
    let mut bench = Bench { fields: &mut fields, repairs };
    bench.text("value", Some(""));
    bench.choice("context", CONTEXTS, None);
    bench.choice("format", &["Raw", "SignedData"], None);
    bench.choice("location", &["Body", "Cable", "EV", "Inlet", "Outlet"], None);
    bench.choice("unit", UNITS, None);
    let measurand = bench.choice("measurand", MEASURANDS, None);
    let phase = bench.choice("phase", PHASES, None);
    // An empty word is an absent one; any other unknown word would be put to the wrong account.
    let known = |word: Option<String>| word.is_none_or(|word| word.is_empty());
    (known(measurand) && known(phase)).then_some(Value::Object(fields))
}

const REASONS: &[&str] = &[
    "DeAuthorized",
    "EmergencyStop",
    "EVDisconnected",
    "HardReset",
    "Local",
    "Other",
    "PowerLoss",
    "Reboot",
    "Remote",
    "SoftReset",
    "UnlockCommand",
];

const STATUSES: &[&str] = &[
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEVSE",
    "SuspendedEV",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
];

const ERROR_CODES: &[&str] = &[
    "NoError",
    "ConnectorLockFailure",
    "EVCommunicationError",
    "GroundFailure",
    "HighTemperature",
    "InternalError",
    "LocalListConflict",
    "OtherError",
    "OverCurrentFailure",
    "OverVoltage",
    "PowerMeterFailure",
    "PowerSwitchFailure",
    "ReaderFailure",
    "ResetFailure",
    "UnderVoltage",
    "WeakSignal",
];

const CONTEXTS: &[&str] = &[
    "Sample.Periodic",
    "Sample.Clock",
    "Transaction.Begin",
    "Transaction.End",
    "Interruption.Begin",
    "Interruption.End",
    "Trigger",
    "Other",
];

const PHASES: &[&str] = &["L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1"];

const UNITS: &[&str] = &[
    "Wh",
    "kWh",
    "varh",
    "kvarh",
    "W",
    "kW",
    "VA",
    "kVA",
    "var",
    "kvar",
    "A",
    "V",
    "Celsius",
    "Fahrenheit",
    "K",
    "Percent",
];

const MEASURANDS: &[&str] = &[
    "Energy.Active.Import.Register",
    "Power.Active.Import",
    "Current.Import",
    "Voltage",
    "Current.Offered",
    "Power.Offered",
    "SoC",
    "Temperature",
    "Frequency",
    "Power.Factor",
    "RPM",
    "Current.Export",
    "Power.Active.Export",
    "Power.Reactive.Import",
    "Power.Reactive.Export",
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Interval",
    "Energy.Active.Export.Interval",
    "Energy.Reactive.Import.Register",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Interval",
    "Energy.Reactive.Export.Interval",
];

/// A time for a field of a strict type, in whole seconds with `Z`: some chargers choke on fractions
/// and on `+00:00`.
pub fn wire_time<T: DeserializeOwned>(time: Utc) -> T {
    let text = serde::de::value::StringDeserializer::<serde::de::value::Error>::new(time.to_text());
    T::deserialize(text).expect("every time that Utc writes is RFC 3339")
}

/// JSON of an answer or a question of ours.
pub fn json<T: Serialize>(payload: &T) -> String {
    serde_json::to_string(payload).expect("payloads are plain structs with text keys")
}

/// BootNotification.conf: always Accepted, because a site that is configured wants to charge; what
/// is not configured never gets a link.
pub fn boot_answer(time: Utc, heartbeat: Duration) -> String {
    json(&BootNotificationResponse {
        current_time: wire_time(time),
        interval: u32::try_from(heartbeat.as_seconds()).unwrap_or(0),
        status: RegistrationStatus::Accepted,
    })
}

/// Heartbeat.conf.
pub fn heartbeat_answer(time: Utc) -> String {
    json(&HeartbeatResponse { current_time: wire_time(time) })
}

/// DataTransfer.conf: no vendor's extension is known here.
pub fn data_transfer_answer() -> String {
    json(&DataTransferResponse { status: DataTransferStatus::UnknownVendorId, data: None })
}

/// SignCertificate.conf, which `rust-ocpp` does not have.
pub fn sign_certificate_answer(accepted: bool) -> String {
    let status = if accepted { "Accepted" } else { "Rejected" };
    format!("{{\"status\":\"{status}\"}}")
}

/// Authorize.conf.
pub fn authorize_answer(info: &TokenInfo) -> String {
    json(&AuthorizeResponse { id_tag_info: id_tag_info(info) })
}

/// StartTransaction.conf. An own struct: the strict one holds no id beyond 2^31, and the id is the
/// controller's to choose.
pub fn start_answer(transaction: TransactionId, info: &TokenInfo) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct StartTransactionResponse {
        id_tag_info: IdTagInfo,
        transaction_id: i64,
    }
    json(&StartTransactionResponse {
        id_tag_info: id_tag_info(info),
        transaction_id: transaction.0,
    })
}

/// A decision as it is written; a group that no charger could hold is left out.
pub fn id_tag_info(info: &TokenInfo) -> IdTagInfo {
    let status = match info.verdict {
        Verdict::Accepted => AuthorizationStatus::Accepted,
        Verdict::Blocked => AuthorizationStatus::Blocked,
        Verdict::Expired => AuthorizationStatus::Expired,
        Verdict::Invalid => AuthorizationStatus::Invalid,
        Verdict::Concurrent => AuthorizationStatus::ConcurrentTx,
    };
    let parent = info.parent.as_ref().map(|parent| parent.as_str().to_owned());
    IdTagInfo {
        expiry_date: info.until.map(wire_time),
        parent_id_tag: parent.filter(|parent| (1..=20).contains(&parent.chars().count())),
        status,
    }
}

/// The `status` of an answer, as an open word; none where it has none.
pub fn status_word(payload: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Status {
        status: String,
    }
    let status: Status = serde_json::from_str(payload).ok()?;
    Some(cut(status.status.trim()).to_owned())
}

/// GetConfiguration.conf, however it is written: each known key with its value.
pub fn configuration(payload: &str) -> Vec<(String, String)> {
    let Ok(Value::Object(mut fields)) = serde_json::from_str::<Value>(payload) else {
        return Vec::new();
    };
    let Some(Value::Array(keys)) = fields.remove("configurationKey") else {
        return Vec::new();
    };
    let pair = |entry: &Value| {
        let key = entry.get("key")?.as_str()?.trim();
        let value = match entry.get("value") {
            Some(Value::String(text)) => cut(text).to_owned(),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            _ => String::new(),
        };
        Some((cut(key).to_owned(), value))
    };
    keys.iter().filter_map(pair).take(SAMPLES_MAX).collect()
}
