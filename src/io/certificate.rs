//! What is read from a certificate: whose it is and how long it lasts.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::ground::time::Utc;

/// Names in one certificate that are looked at.
const NAMES_MAX: usize = 32;

/// The facts of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Common names and DNS names of its holder.
    pub names: Vec<String>,
    /// Its serial number in hexadecimal digits.
    pub serial: String,
    /// When it becomes valid.
    pub not_before: Utc,
    /// When it ends.
    pub not_after: Utc,
}

/// Reads a certificate.
///
/// # Errors
/// It is none, in words.
pub fn facts(certificate: &CertificateDer<'_>) -> Result<Facts, String> {
    let (_, read) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("a certificate that cannot be read ({error})"))?;
    let common = read.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let mut names: Vec<String> = common.map(str::to_owned).collect();
    if let Ok(Some(alternative)) = read.subject_alternative_name() {
        names.extend(alternative.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        }));
    }
    names.truncate(NAMES_MAX);
    let validity = read.validity();
    let utc = |seconds: i64| Utc::from_millis(seconds.saturating_mul(1000));
    Ok(Facts {
        names,
        serial: read.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
        not_before: utc(validity.not_before.timestamp()),
        not_after: utc(validity.not_after.timestamp()),
    })
}

/// The facts of the first certificate in a PEM text.
///
/// # Errors
/// There is none, in words.
pub fn facts_of_pem(text: &str) -> Result<Facts, String> {
    let certificate = CertificateDer::from_pem_slice(text.as_bytes())
        .map_err(|error| format!("no certificate in PEM ({error})"))?;
    facts(&certificate)
}
