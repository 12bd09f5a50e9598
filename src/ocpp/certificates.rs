//! Certificates in a charger (OCPP 1.6 security whitepaper §4 and §5): the payload of each
//! question, checked before it leaves, and what a charger asks for and tells by itself.
//!
//! `rust-ocpp` has none of these messages, so their types stand here.

use serde::Serialize;
use serde_json::Value;

use crate::model::security::{CertificateAsk, RootKind, Wake};

use super::repair::cut;

/// Longest certificate (InstallCertificate.req).
const CERTIFICATE_MAX: usize = 5500;

/// Longest chain (CertificateSigned.req).
const CHAIN_MAX: usize = 10_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InstallCertificateRequest<'a> {
    certificate_type: &'static str,
    certificate: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateHashData<'a> {
    hash_algorithm: &'a str,
    issuer_name_hash: &'a str,
    issuer_key_hash: &'a str,
    serial_number: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeleteCertificateRequest<'a> {
    certificate_hash_data: CertificateHashData<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GetInstalledCertificateIdsRequest {
    certificate_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateSignedRequest<'a> {
    certificate_chain: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtendedTriggerMessageRequest {
    requested_message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connector_id: Option<u32>,
}

/// Why a question cannot be sent as it is.
pub fn check(ask: &CertificateAsk) -> Result<(), String> {
    let at_most = |what: &str, text: &str, most: usize| match text.chars().count() {
        0 => Err(format!("{what} is empty; expected 1 to {most} characters")),
        long if most < long => {
            Err(format!("{what} has {long} characters; expected at most {most}"))
        }
        _ => Ok(()),
    };
    match ask {
        CertificateAsk::Install { certificate, .. } => {
            at_most("the certificate", certificate, CERTIFICATE_MAX)
        }
        CertificateAsk::Signed { chain } => at_most("the chain", chain, CHAIN_MAX),
        CertificateAsk::Delete { algorithm, issuer_name_hash, issuer_key_hash, serial } => {
            if !["SHA256", "SHA384", "SHA512"].contains(&algorithm.as_str()) {
                return Err(format!(
                    "{algorithm} is no algorithm; expected SHA256, SHA384, SHA512"
                ));
            }
            at_most("the hash of the issuer's name", issuer_name_hash, 128)?;
            at_most("the hash of the issuer's key", issuer_key_hash, 128)?;
            at_most("the serial number", serial, 40)
        }
        CertificateAsk::List { .. } | CertificateAsk::Trigger { .. } => Ok(()),
    }
}

/// Action and payload of a question; connector 0 stands for all.
pub fn request(ask: &CertificateAsk, connector: u32) -> (&'static str, String) {
    match ask {
        CertificateAsk::Install { kind, certificate } => {
            let request = InstallCertificateRequest { certificate_type: word(*kind), certificate };
            ("InstallCertificate", json(&request))
        }
        CertificateAsk::Delete { algorithm, issuer_name_hash, issuer_key_hash, serial } => {
            let certificate_hash_data = CertificateHashData {
                hash_algorithm: algorithm,
                issuer_name_hash,
                issuer_key_hash,
                serial_number: serial,
            };
            ("DeleteCertificate", json(&DeleteCertificateRequest { certificate_hash_data }))
        }
        CertificateAsk::List { kind } => {
            let request = GetInstalledCertificateIdsRequest { certificate_type: word(*kind) };
            ("GetInstalledCertificateIds", json(&request))
        }
        CertificateAsk::Signed { chain } => {
            ("CertificateSigned", json(&CertificateSignedRequest { certificate_chain: chain }))
        }
        CertificateAsk::Trigger { message } => {
            let of_connector = matches!(message, Wake::Meter | Wake::Status);
            let request = ExtendedTriggerMessageRequest {
                requested_message: trigger(*message),
                connector_id: (of_connector && connector != 0).then_some(connector),
            };
            ("ExtendedTriggerMessage", json(&request))
        }
    }
}

fn json<T: Serialize>(payload: &T) -> String {
    serde_json::to_string(payload).expect("texts and numbers can always be written")
}

const fn word(kind: RootKind) -> &'static str {
    match kind {
        RootKind::CentralSystem => "CentralSystemRootCertificate",
        RootKind::Manufacturer => "ManufacturerRootCertificate",
    }
}

const fn trigger(message: Wake) -> &'static str {
    match message {
        Wake::Boot => "BootNotification",
        Wake::Log => "LogStatusNotification",
        Wake::Firmware => "FirmwareStatusNotification",
        Wake::Heartbeat => "Heartbeat",
        Wake::Meter => "MeterValues",
        Wake::Sign => "SignChargePointCertificate",
        Wake::Status => "StatusNotification",
    }
}

/// The request for a certificate in SignCertificate.req, as it was written.
pub fn wanted(payload: &str) -> String {
    let asked: Value = serde_json::from_str(payload).unwrap_or_default();
    let text = asked.get("csr").and_then(Value::as_str).unwrap_or_default();
    text.chars().take(CERTIFICATE_MAX + 1).collect()
}

/// What SecurityEventNotification.req tells, in one line.
pub fn event(payload: &str) -> String {
    let told: Value = serde_json::from_str(payload).unwrap_or_default();
    let text = |key| cut(told.get(key).and_then(Value::as_str).unwrap_or_default());
    match (text("type"), text("techInfo")) {
        ("", "") => "without words".to_owned(),
        (kind, "") => kind.to_owned(),
        (kind, info) => format!("{kind}: {info}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_is_written_as_the_whitepaper_has_it() {
        let delete = CertificateAsk::Delete {
            algorithm: "SHA256".to_owned(),
            issuer_name_hash: "aa".to_owned(),
            issuer_key_hash: "bb".to_owned(),
            serial: "07".to_owned(),
        };
        let install = CertificateAsk::Install {
            kind: RootKind::CentralSystem,
            certificate: "PEM".to_owned(),
        };
        let cases = [
            (
                install,
                "InstallCertificate",
                r#"{"certificateType":"CentralSystemRootCertificate","certificate":"PEM"}"#,
            ),
            (
                delete,
                "DeleteCertificate",
                r#"{"certificateHashData":{"hashAlgorithm":"SHA256","issuerNameHash":"aa","issuerKeyHash":"bb","serialNumber":"07"}}"#,
            ),
            (
                CertificateAsk::List { kind: RootKind::Manufacturer },
                "GetInstalledCertificateIds",
                r#"{"certificateType":"ManufacturerRootCertificate"}"#,
            ),
            (
                CertificateAsk::Signed { chain: "PEM".to_owned() },
                "CertificateSigned",
                r#"{"certificateChain":"PEM"}"#,
            ),
            (
                CertificateAsk::Trigger { message: Wake::Sign },
                "ExtendedTriggerMessage",
                r#"{"requestedMessage":"SignChargePointCertificate"}"#,
            ),
            (
                CertificateAsk::Trigger { message: Wake::Status },
                "ExtendedTriggerMessage",
                r#"{"requestedMessage":"StatusNotification","connectorId":2}"#,
            ),
        ];
        for (ask, action, payload) in cases {
            assert!(check(&ask).is_ok());
            assert_eq!(request(&ask, 2), (action, payload.to_owned()));
        }
    }

    #[test]
    fn what_the_charger_could_not_take_is_refused_here() {
        let certificate = "x".repeat(CERTIFICATE_MAX + 1);
        assert!(
            check(&CertificateAsk::Install { kind: RootKind::Manufacturer, certificate }).is_err()
        );
        assert!(check(&CertificateAsk::Signed { chain: String::new() }).is_err());
        let delete = CertificateAsk::Delete {
            algorithm: "MD5".to_owned(),
            issuer_name_hash: "aa".to_owned(),
            issuer_key_hash: "bb".to_owned(),
            serial: "07".to_owned(),
        };
        assert!(check(&delete).unwrap_err().contains("MD5"));
    }

    #[test]
    fn what_a_charger_tells_is_read_whatever_it_looks_like() {
        assert_eq!(wanted(r#"{"csr":"PEM"}"#), "PEM");
        assert_eq!(wanted("[]"), "");
        assert_eq!(event(r#"{"type":"InvalidX","techInfo":"why"}"#), "InvalidX: why");
        assert_eq!(event("{}"), "without words");
    }
}
