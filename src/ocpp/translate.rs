//! OCPP words to model words.
//!
//! Times are judged by the charger's clock; whether a start is replayed is decided by its age and
//! by what the connector is doing (OCPP 1.6 §4.8, §4.9).

use rust_ocpp::v1_6::messages::boot_notification::BootNotificationRequest;
use rust_ocpp::v1_6::messages::start_transaction::StartTransactionRequest;
use rust_ocpp::v1_6::messages::status_notification::StatusNotificationRequest;
use rust_ocpp::v1_6::types::{ChargePointErrorCode, ChargePointStatus, Reason};
use serde::Serialize;

use crate::ground::time::Duration;
use crate::ground::units::WattHours;
use crate::model::message::{EvseStatus, Identity};

use super::clock::Judged;
use super::message::Aside;
use super::repair::cut;

/// A start this much older than the present tells of the past …
const REPLAYED_FROM: Duration = Duration::seconds(120);

/// … unless the connector is busy and the start is younger than this: a retry on a slow link.
const RETRY_MAX: Duration = Duration::minutes(15);

/// The status of a connector.
pub fn status(request: &StatusNotificationRequest, aside: &Aside) -> EvseStatus {
    if aside.word.is_some() {
        return EvseStatus::Unknown;
    }
    match request.status {
        ChargePointStatus::Available => EvseStatus::Available,
        ChargePointStatus::Preparing => EvseStatus::Preparing,
        ChargePointStatus::Charging => EvseStatus::Charging,
        ChargePointStatus::SuspendedEVSE => EvseStatus::SuspendedEvse,
        ChargePointStatus::SuspendedEV => EvseStatus::SuspendedEv,
        ChargePointStatus::Finishing => EvseStatus::Finishing,
        ChargePointStatus::Reserved => EvseStatus::Reserved,
        ChargePointStatus::Unavailable => EvseStatus::Unavailable,
        ChargePointStatus::Faulted => EvseStatus::Faulted,
    }
}

/// What is wrong, in the charger's words; none where nothing is. `Faulted` with NoError and other
/// states with an error both occur.
pub fn error(request: &StatusNotificationRequest, aside: &Aside) -> Option<String> {
    let code = match &aside.error {
        Some(word) => word.clone(),
        None if request.error_code == ChargePointErrorCode::NoError => String::new(),
        None => word(&request.error_code),
    };
    let unknown = aside.word.as_ref().map(|word| format!("unknown status \"{word}\""));
    if code.is_empty() && unknown.is_none() {
        return None;
    }
    let said = |text: &Option<String>| {
        let text = text.as_deref().map(str::trim).unwrap_or_default();
        let is_empty = text.is_empty() || text.eq_ignore_ascii_case("none");
        (!is_empty).then(|| cut(text).to_owned())
    };
    let parts = [
        (!code.is_empty()).then_some(code),
        unknown,
        said(&request.vendor_error_code),
        said(&request.info),
    ];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// Whether a start tells of the past.
pub fn is_replayed(judged: &Judged, status: Option<EvseStatus>) -> bool {
    let is_busy = matches!(
        status,
        Some(
            EvseStatus::Preparing
                | EvseStatus::Charging
                | EvseStatus::SuspendedEvse
                | EvseStatus::SuspendedEv
        )
    );
    let limit = if is_busy { RETRY_MAX } else { REPLAYED_FROM };
    limit < judged.age
}

/// Who the charge point says it is.
pub fn identity(request: &BootNotificationRequest) -> Identity {
    let given = |text: &Option<String>| {
        let text = text.as_deref().map(str::trim).unwrap_or_default();
        (!text.is_empty()).then(|| cut(text).to_owned())
    };
    let serial = given(&request.charge_point_serial_number)
        .or_else(|| given(&request.charge_box_serial_number));
    Identity {
        vendor: cut(request.charge_point_vendor.trim()).to_owned(),
        model: cut(request.charge_point_model.trim()).to_owned(),
        serial: serial.unwrap_or_default(),
        firmware: given(&request.firmware_version).unwrap_or_default(),
    }
}

/// Why a transaction ended; `Local` where the charger does not say (OCPP 1.6 §6.49).
pub fn reason(reason: Option<&Reason>, aside: &Aside) -> String {
    match (&aside.word, reason) {
        (Some(unknown), _) if !unknown.is_empty() => unknown.clone(),
        (_, Some(reason)) => word(reason),
        _ => "Local".to_owned(),
    }
}

/// The register at the start, also where it was beyond the range of its field.
pub fn register(written: i32, aside: &Aside) -> WattHours {
    match aside.register {
        Some(beyond) => WattHours::from_f64(beyond),
        None => WattHours::new(i64::from(written)),
    }
}

/// The connector of a start; a charge point with one connector means that one.
pub fn start_connector(request: &StartTransactionRequest, only: Option<u32>) -> u32 {
    match (request.connector_id, only) {
        (0, Some(only)) => only,
        (connector, _) => connector,
    }
}

/// The word of an enumeration on the wire.
fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
