//! What is asked of a charge point beside limits and configuration (OCPP 1.6 §5 and the security
//! whitepaper): the payload of each question, checked before it leaves, and its answer in words.
//!
//! Texts have the lengths of the standard: a charger that cuts or refuses a longer one would do
//! something else than was asked, so such an ask is refused here.

use rust_ocpp::v1_6::messages::cancel_reservation::CancelReservationRequest;
use rust_ocpp::v1_6::messages::change_availability::ChangeAvailabilityRequest;
use rust_ocpp::v1_6::messages::clear_cache::ClearCacheRequest;
use rust_ocpp::v1_6::messages::clear_charging_profile::ClearChargingProfileRequest;
use rust_ocpp::v1_6::messages::data_transfer::DataTransferRequest;
use rust_ocpp::v1_6::messages::get_composite_schedule::GetCompositeScheduleRequest;
use rust_ocpp::v1_6::messages::get_diagnostics::GetDiagnosticsRequest;
use rust_ocpp::v1_6::messages::get_local_list_version::GetLocalListVersionRequest;
use rust_ocpp::v1_6::messages::remote_start_transaction::RemoteStartTransactionRequest;
use rust_ocpp::v1_6::messages::remote_stop_transaction::RemoteStopTransactionRequest;
use rust_ocpp::v1_6::messages::reserve_now::ReserveNowRequest;
use rust_ocpp::v1_6::messages::reset::ResetRequest;
use rust_ocpp::v1_6::messages::trigger_message::TriggerMessageRequest;
use rust_ocpp::v1_6::messages::unlock_connector::UnlockConnectorRequest;
use rust_ocpp::v1_6::messages::update_firmware::UpdateFirmwareRequest;
use rust_ocpp::v1_6::types::{
    AvailabilityType, ChargingRateUnitType, MessageTrigger, ResetRequestStatus,
};
use serde::Serialize;

use crate::ground::ids::IdToken;
use crate::ground::time::Utc;
use crate::model::ask::{Ask, AskOutcome, ListEntry, Notice, Signed, TokenInfo, Upload};
use crate::model::security::CertificateAsk;

use super::certificates;
use super::message::{id_tag_info, json, wire_time};
use super::task::{Question, Reply, change, read};

/// Profiles with these ids are ours: nobody else may remove them, or a limit would be gone that
/// breakers rely on.
const OWN_PROFILES: std::ops::RangeInclusive<i32> = 1000..=4999;

/// Retries of an upload or a download, and the pause between them in seconds.
const RETRIES: i32 = 3;
const RETRY_PAUSE_S: i32 = 60;

impl Question {
    /// Why it cannot be sent as it is.
    pub fn check(&self) -> Result<(), String> {
        let at_most = |what: &str, text: &str, most: usize| match text.chars().count() {
            0 => Err(format!("{what} is empty; expected 1 to {most} characters")),
            long if most < long => {
                Err(format!("{what} has {long} characters; expected at most {most}"))
            }
            _ => Ok(()),
        };
        let token = |token: &IdToken| at_most("the token", token.as_str(), 20);
        let url = |location: &str, most| {
            at_most("the address", location, most)?;
            let known = ["http://", "https://", "ftp://", "ftps://", "sftp://"];
            if known.iter().any(|scheme| location.starts_with(scheme)) && !location.contains(' ') {
                return Ok(());
            }
            Err(format!("{location} is no address; expected a URL like http://10.0.0.1/file"))
        };
        match &self.ask {
            Ask::Start { token: who } => token(who),
            Ask::Unlock if self.connector == 0 => {
                Err("name the EVSE: this charge point has several".to_owned())
            }
            Ask::Stop { transaction: None } => Err("no charge runs there".to_owned()),
            Ask::Read { keys } => keys.iter().try_for_each(|key| at_most("the key", key, 50)),
            Ask::Change { key, value } => {
                at_most("the key", key, 50)?;
                if value.is_empty() { Ok(()) } else { at_most("the value", value, 500) }
            }
            Ask::Data { vendor, message, .. } => {
                at_most("the vendor", vendor, 255)?;
                message.iter().try_for_each(|message| at_most("the message", message, 50))
            }
            Ask::SendList { entries, .. } => {
                entries.iter().try_for_each(|entry| token(&entry.token))
            }
            Ask::Reserve { token: who, parent, .. } => {
                token(who)?;
                parent.iter().try_for_each(|parent| at_most("the group", parent.as_str(), 20))
            }
            Ask::Firmware { location, signed: None, .. } => url(location, 2000),
            Ask::Firmware { location, signed: Some(signed), .. } => {
                url(location, 512)?;
                at_most("the certificate", &signed.certificate, 5500)?;
                at_most("the signature", &signed.signature, 800)
            }
            Ask::Upload { location, .. } => url(location, 512),
            Ask::ClearProfile { id } if OWN_PROFILES.contains(id) => Err(format!(
                "profile {id} is Ampgate's own and guards a breaker; expected one of another system"
            )),
            Ask::Certificate { certificate } => certificates::check(certificate),
            Ask::Schedule { duration_s, .. } if *duration_s < 1 => {
                Err("the duration must be at least 1 second".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Action and payload. `now` is the time as the charger is told it.
    pub fn payload(&self, now: Utc) -> (&'static str, String) {
        let connector_id = self.connector;
        match &self.ask {
            Ask::Reset { hard } => {
                let kind = if *hard { ResetRequestStatus::Hard } else { ResetRequestStatus::Soft };
                ("Reset", json(&ResetRequest { kind }))
            }
            Ask::Unlock => ("UnlockConnector", json(&UnlockConnectorRequest { connector_id })),
            Ask::Availability { operative } => {
                let kind = match operative {
                    true => AvailabilityType::Operative,
                    false => AvailabilityType::Inoperative,
                };
                ("ChangeAvailability", json(&ChangeAvailabilityRequest { connector_id, kind }))
            }
            Ask::Start { token } => ("RemoteStartTransaction", self.start(token)),
            Ask::Stop { transaction } => {
                let id = transaction.and_then(|id| i32::try_from(id.0).ok()).unwrap_or(-1);
                let request = RemoteStopTransactionRequest { transaction_id: id };
                ("RemoteStopTransaction", json(&request))
            }
            Ask::Read { keys } => read(keys),
            Ask::Change { key, value } => change(key, value),
            Ask::ClearCache => ("ClearCache", json(&ClearCacheRequest {})),
            Ask::Trigger { message } => ("TriggerMessage", self.trigger(*message)),
            Ask::Data { vendor, message, data } => {
                let request = DataTransferRequest {
                    vendor_string: vendor.clone(),
                    message_id: message.clone(),
                    data: data.clone(),
                };
                ("DataTransfer", json(&request))
            }
            Ask::ListVersion => ("GetLocalListVersion", json(&GetLocalListVersionRequest {})),
            Ask::SendList { version, full, entries } => {
                ("SendLocalList", send_list(*version, *full, entries))
            }
            Ask::Reserve { reservation, token, parent, until } => {
                let request = ReserveNowRequest {
                    connector_id,
                    expiry_date: wire_time(*until),
                    id_tag: token.as_str().to_owned(),
                    parent_id_tag: parent.as_ref().map(|parent| parent.as_str().to_owned()),
                    reservation_id: *reservation,
                };
                ("ReserveNow", json(&request))
            }
            Ask::CancelReservation { reservation } => {
                let request = CancelReservationRequest { reservation_id: *reservation };
                ("CancelReservation", json(&request))
            }
            Ask::Firmware { location, retrieve_at, signed } => {
                firmware(location, retrieve_at.unwrap_or(now), signed.as_ref())
            }
            Ask::Upload { file, location, from, to, request } => {
                upload(*file, location, *from, *to, *request)
            }
            Ask::ClearProfile { id } => {
                let request = ClearChargingProfileRequest {
                    id: Some(*id),
                    ..ClearChargingProfileRequest::default()
                };
                ("ClearChargingProfile", json(&request))
            }
            Ask::Certificate { certificate } => certificates::request(certificate, self.connector),
            Ask::Schedule { duration_s, in_watts } => {
                ("GetCompositeSchedule", self.schedule(*duration_s, *in_watts))
            }
        }
    }

    fn schedule(&self, duration: i32, in_watts: bool) -> String {
        let unit = if in_watts { ChargingRateUnitType::W } else { ChargingRateUnitType::A };
        json(&GetCompositeScheduleRequest {
            connector_id: i32::try_from(self.connector).unwrap_or(0),
            duration,
            charging_rate_unit: Some(unit),
        })
    }

    fn start(&self, token: &IdToken) -> String {
        // Without a profile: some chargers refuse the whole message for one (evcc#14040), and the
        // permanent safe share holds until the first lease.
        json(&RemoteStartTransactionRequest {
            connector_id: (self.connector != 0).then_some(self.connector),
            id_tag: token.as_str().to_owned(),
            charging_profile: None,
        })
    }

    fn trigger(&self, message: Notice) -> String {
        let requested_message = match message {
            Notice::Boot => MessageTrigger::BootNotification,
            Notice::Diagnostics => MessageTrigger::DiagnosticsStatusNotification,
            Notice::Firmware => MessageTrigger::FirmwareStatusNotification,
            Notice::Heartbeat => MessageTrigger::Heartbeat,
            Notice::Meter => MessageTrigger::MeterValues,
            Notice::Status => MessageTrigger::StatusNotification,
        };
        let of_connector = matches!(message, Notice::Meter | Notice::Status);
        let connector_id = (of_connector && self.connector != 0).then_some(self.connector);
        json(&TriggerMessageRequest { requested_message, connector_id })
    }

    /// What the charger's answer comes to.
    pub fn outcome(&self, reply: &Reply<'_>) -> AskOutcome {
        let payload = match reply {
            Reply::Result(payload) => *payload,
            Reply::Error(words) => {
                let words = match words.starts_with("NotImplemented") {
                    true => "the charger does not know this message".to_owned(),
                    false => format!("the charger could not do it: {words}"),
                };
                return AskOutcome::failed(words);
            }
            Reply::Timeout => return AskOutcome::failed("the charger did not answer in time"),
        };
        let status = super::message::status_word(payload).unwrap_or_default();
        // These answers have no status: coming is enough.
        let by_coming = matches!(
            self.ask,
            Ask::Read { .. }
                | Ask::ListVersion
                | Ask::Firmware { signed: None, .. }
                | Ask::Upload { file: Upload::Diagnostics, .. }
        );
        let good = ["Accepted", "Unlocked", "Scheduled", "RebootRequired", "AcceptedCanceled"];
        let accepted = by_coming || good.iter().any(|good| good.eq_ignore_ascii_case(&status));
        let bare = payload.trim() == "{}" || (!by_coming && self.is_status_alone());
        AskOutcome {
            accepted,
            words: self.words(&status, accepted),
            details: (!bare).then(|| payload.to_owned()),
            status,
        }
    }

    fn is_status_alone(&self) -> bool {
        !matches!(
            self.ask,
            Ask::Data { .. }
                | Ask::Schedule { .. }
                | Ask::Upload { .. }
                | Ask::Certificate { certificate: CertificateAsk::List { .. } }
        )
    }

    fn words(&self, status: &str, accepted: bool) -> String {
        let words = match (&self.ask, status) {
            (Ask::Reset { hard: true }, "Accepted") => "accepted: it restarts at once",
            (Ask::Reset { hard: false }, "Accepted") => {
                "accepted: it ends its charges and restarts"
            }
            (Ask::Unlock, "Unlocked") => "the lock is open",
            (Ask::Unlock, "UnlockFailed") => "the lock did not open",
            (Ask::Unlock, "NotSupported") => "it has no lock that can be opened from afar",
            (Ask::Availability { .. }, "Scheduled") => {
                "accepted: when the running charge has ended"
            }
            (Ask::Availability { operative: true }, "Accepted") => "in service",
            (Ask::Availability { operative: false }, "Accepted") => "out of service",
            (Ask::Start { .. }, "Accepted") => "accepted: it starts when the car is plugged in",
            (Ask::Start { .. }, "Rejected") => "refused: is a car plugged in, and the EVSE free?",
            (Ask::Stop { .. }, "Accepted") => "accepted: the charge ends",
            (Ask::Change { .. }, "RebootRequired") => "accepted: it holds after a restart",
            (Ask::Change { .. }, "NotSupported") => "the charger does not know this key",
            (Ask::Change { .. }, "Rejected") => "refused: the key is read only or the value wrong",
            (Ask::ClearCache, "Rejected") => "refused: it has no cache of tokens",
            (Ask::Data { .. }, "UnknownVendorId") => "the charger does not know this vendor",
            (Ask::Data { .. }, "UnknownMessageId") => "the charger does not know this message",
            (Ask::SendList { .. }, "VersionMismatch") => "refused: it holds another version",
            (Ask::SendList { .. }, "NotSupported") => "it keeps no local list",
            (Ask::Reserve { .. }, "Accepted") => "reserved",
            (Ask::Reserve { .. }, "Occupied") => "refused: the EVSE is in use",
            (Ask::Reserve { .. }, "Faulted") => "refused: the EVSE is broken",
            (Ask::Reserve { .. }, "Unavailable") => "refused: the EVSE is out of service",
            (Ask::Reserve { .. }, "Rejected") => "refused: it takes no reservations",
            (Ask::CancelReservation { .. }, "Accepted") => "given up",
            (Ask::CancelReservation { .. }, "Rejected") => "the charger knows no such reservation",
            (Ask::Firmware { signed: None, .. }, _) => "it fetches the firmware and installs it",
            (Ask::Firmware { .. }, "InvalidCertificate") => "refused: the certificate is not valid",
            (Ask::Firmware { .. }, "RevokedCertificate") => "refused: the certificate is revoked",
            (Ask::Firmware { .. }, "AcceptedCanceled") => "accepted: it gave up an earlier update",
            (Ask::Upload { file: Upload::Diagnostics, .. }, _) => "it uploads its diagnostics",
            (Ask::Upload { .. }, "Accepted") => "it uploads the log",
            (Ask::Upload { .. }, "AcceptedCanceled") => "accepted: it gave up an earlier upload",
            (Ask::ClearProfile { .. }, "Accepted") => "removed",
            (Ask::ClearProfile { .. }, "Unknown") => "it holds no such profile",
            (Ask::Read { .. } | Ask::ListVersion, _) => "read",
            (_, "Accepted") => "accepted",
            (_, "Rejected") => "refused",
            (_, "NotSupported" | "NotImplemented") => "the charger cannot do this",
            (_, "") => "the charger answered without a status",
            (_, other) if accepted => return other.to_owned(),
            (_, other) => return format!("refused: {other}"),
        };
        words.to_owned()
    }
}

fn firmware(location: &str, at: Utc, signed: Option<&Signed>) -> (&'static str, String) {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Firmware<'a> {
        location: &'a str,
        retrieve_date_time: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        install_date_time: Option<String>,
        signing_certificate: &'a str,
        signature: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct SignedUpdateFirmwareRequest<'a> {
        retries: i32,
        retry_interval: i32,
        request_id: i32,
        firmware: Firmware<'a>,
    }
    let Some(signed) = signed else {
        let request = UpdateFirmwareRequest {
            location: location.to_owned(),
            retries: Some(RETRIES),
            retrieve_date: wire_time(at),
            retry_interval: Some(RETRY_PAUSE_S),
        };
        return ("UpdateFirmware", json(&request));
    };
    let request = SignedUpdateFirmwareRequest {
        retries: RETRIES,
        retry_interval: RETRY_PAUSE_S,
        request_id: signed.request,
        firmware: Firmware {
            location,
            retrieve_date_time: at.to_text(),
            install_date_time: signed.install_at.map(Utc::to_text),
            signing_certificate: &signed.certificate,
            signature: &signed.signature,
        },
    };
    ("SignedUpdateFirmware", json(&request))
}

fn upload(
    file: Upload,
    location: &str,
    from: Option<Utc>,
    to: Option<Utc>,
    request: i32,
) -> (&'static str, String) {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct LogParameters<'a> {
        remote_location: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        oldest_timestamp: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        latest_timestamp: Option<String>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct GetLogRequest<'a> {
        log_type: &'static str,
        request_id: i32,
        retries: i32,
        retry_interval: i32,
        log: LogParameters<'a>,
    }
    let log_type = match file {
        Upload::Diagnostics => {
            let request = GetDiagnosticsRequest {
                location: location.to_owned(),
                retries: Some(RETRIES),
                retry_interval: Some(RETRY_PAUSE_S),
                start_time: from.map(wire_time),
                stop_time: to.map(wire_time),
            };
            return ("GetDiagnostics", json(&request));
        }
        Upload::Log => "DiagnosticsLog",
        Upload::SecurityLog => "SecurityLog",
    };
    let log = LogParameters {
        remote_location: location,
        oldest_timestamp: from.map(Utc::to_text),
        latest_timestamp: to.map(Utc::to_text),
    };
    let request = GetLogRequest {
        log_type,
        request_id: request,
        retries: RETRIES,
        retry_interval: RETRY_PAUSE_S,
        log,
    };
    ("GetLog", json(&request))
}

/// An own struct: `AuthorizationData` of `rust-ocpp` 1.0.3 writes its fields in snake case.
fn send_list(version: i32, full: bool, entries: &[ListEntry]) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct AuthorizationData<'a> {
        id_tag: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id_tag_info: Option<rust_ocpp::v1_6::types::IdTagInfo>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct SendLocalListRequest<'a> {
        list_version: i32,
        local_authorization_list: Vec<AuthorizationData<'a>>,
        update_type: &'static str,
    }
    let entry = |entry| {
        let ListEntry { token, info }: &ListEntry = entry;
        AuthorizationData {
            id_tag: token.as_str(),
            id_tag_info: info.as_ref().map(|info: &TokenInfo| id_tag_info(info)),
        }
    };
    json(&SendLocalListRequest {
        list_version: version,
        local_authorization_list: entries.iter().map(entry).collect(),
        update_type: if full { "Full" } else { "Differential" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(ask: Ask) -> Question {
        Question { ask, connector: 2 }
    }

    #[test]
    fn what_the_standard_does_not_allow_is_refused_with_what_is_expected() {
        let long = IdToken::new("123456789012345678901");
        let wrong = question(Ask::Start { token: long }).check();
        assert_eq!(wrong, Err("the token has 21 characters; expected at most 20".to_owned()));
        let own = question(Ask::ClearProfile { id: 3001 }).check();
        assert!(own.is_err_and(|why| why.contains("guards a breaker")));
        assert_eq!(question(Ask::ClearProfile { id: 7 }).check(), Ok(()));
        let value = String::new();
        let clearing = Ask::Change { key: "MeterValuesAlignedData".to_owned(), value };
        assert_eq!(question(clearing).check(), Ok(()));
        let whole = Question { ask: Ask::Unlock, connector: 0 };
        assert!(whole.check().is_err());
    }

    #[test]
    fn answers_are_told_in_words() {
        let said = |ask: Ask, payload: &str| {
            let outcome = question(ask).outcome(&Reply::Result(payload));
            (outcome.accepted, outcome.words)
        };
        let status = |word: &str| format!("{{\"status\":\"{word}\"}}");
        assert_eq!(
            said(Ask::Unlock, &status("UnlockFailed")),
            (false, "the lock did not open".to_owned())
        );
        assert_eq!(
            said(Ask::Availability { operative: false }, &status("Scheduled")),
            (true, "accepted: when the running charge has ended".to_owned())
        );
        let token = IdToken::new("A");
        assert!(!said(Ask::Start { token }, &status("Rejected")).0);
        assert_eq!(said(Ask::ClearCache, &status("Whatever")).1, "refused: Whatever");
    }
}
