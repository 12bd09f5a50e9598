//! A small certificate authority for one site: it issues the certificate of this box and signs what
//! chargers ask for (SignCertificate of the OCPP 1.6 security extension).
//!
//! Invariants: its key never leaves its file, which only its owner may read; a charger gets a
//! certificate for its own identity alone, whatever it asks for; each certificate is
//! in the list before it is given away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, SubjectPublicKeyInfo, date_time_ymd,
};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::ground::time::{Duration, Utc};

use super::certificate;
use super::secret;

/// How long the root lasts: longer than a charger.
const ROOT_DAYS: i64 = 25 * 365;

/// How long the certificate of this box lasts.
pub const SERVER_DAYS: i64 = 825;

/// How long the certificate of a charger lasts.
pub const CHARGER_DAYS: i64 = 825;

/// Clocks of chargers may be late by this much.
const EARLIER_DAYS: i64 = 2;

/// Certificates in the list; the oldest are forgotten.
const ISSUED_MAX: usize = 10_000;

/// A request is at most this long (SignCertificate: 5500 characters).
const REQUEST_BYTES_MAX: usize = 5500;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// There is an authority already.
    #[error("there is an authority in {0} already; it would be lost with all that it has signed")]
    Exists(PathBuf),
    /// There is none.
    #[error("there is no authority in {0}; `ampgate ca init` makes one")]
    None(PathBuf),
    /// A file cannot be read or written.
    #[error("{file}: {source}", file = .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The request is not what it should be.
    #[error("the request cannot be signed: {0}")]
    Request(String),
    /// The library refuses.
    #[error("no certificate can be made: {0}")]
    Made(#[from] rcgen::Error),
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// Serial number in hexadecimal digits.
    pub serial: String,
    /// Whose.
    pub name: String,
    /// `server` or `charger`.
    pub purpose: String,
    /// When it was issued.
    pub at: Utc,
    /// When it ends.
    pub not_after: Utc,
}

/// The authority of a site, in the folder `tls` of its data directory.
#[derive(Clone, Debug)]
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// In this data directory, whether it was made or not.
    pub fn in_data(data: &Path) -> Self {
        Self { folder: data.join("tls") }
    }

    /// The root certificate, which chargers have to trust.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root.pem")
    }

    /// The certificate of this box.
    pub fn server_certificate(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    /// The private key of this box.
    pub fn server_key(&self) -> PathBuf {
        self.folder.join("server.key")
    }

    /// Whether it was made.
    pub fn exists(&self) -> bool {
        self.root().exists()
    }

    /// The root certificate as text.
    ///
    /// # Errors
    /// There is none.
    pub fn root_text(&self) -> Result<String, AuthorityError> {
        let file = self.root();
        fs::read_to_string(&file).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => AuthorityError::None(self.folder.clone()),
            _ => AuthorityError::File { file, source },
        })
    }

    /// Makes root and certificate of this box, which chargers reach under these names.
    ///
    /// # Errors
    /// There is an authority already, or the disk does not take it.
    pub fn init(&self, site: &str, names: &[String], now: Utc) -> Result<(), AuthorityError> {
        if self.exists() {
            return Err(AuthorityError::Exists(self.folder.clone()));
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&format!("{site} charging root"), site);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        last(&mut params, now, ROOT_DAYS);
        let root = params.self_signed(&key)?;
        self.put("root.key", &key.serialize_pem(), 0o600)?;
        self.put("root.pem", &root.pem(), 0o644)?;
        self.issue_server(names, now, SERVER_DAYS).map(drop)
    }

    /// Makes a certificate of this box, with a key of its own.
    ///
    /// # Errors
    /// There is no authority, a name is none, or the disk does not take it.
    pub fn issue_server(
        &self,
        names: &[String],
        now: Utc,
        days: i64,
    ) -> Result<Issued, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        let name = names.first().map_or("ampgate", String::as_str);
        params.distinguished_name = subject(name, "Ampgate");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (pem, issued) = self.sign(params, &key, name, "server", now, days)?;
        // The key first: until the certificate follows, the two do not fit and the old ones stay.
        self.put("server.key", &key.serialize_pem(), 0o600)?;
        self.put("server.pem", &pem, 0o644)?;
        Ok(issued)
    }

    /// Signs what a charger asks for: PEM, or the bare Base64 that some send. The common name must
    /// be one of `names`; `identity` is in the certificate besides.
    ///
    /// # Errors
    /// The request is broken or names somebody else, or there is no authority.
    pub fn sign_request(
        &self,
        request: &str,
        identity: &str,
        names: &[&str],
        now: Utc,
        days: i64,
    ) -> Result<(String, Issued), AuthorityError> {
        let wrong = |why: String| AuthorityError::Request(why);
        if REQUEST_BYTES_MAX < request.len() {
            let why =
                format!("it has {} bytes, expected at most {REQUEST_BYTES_MAX}", request.len());
            return Err(wrong(why));
        }
        let der = decoded(request).ok_or_else(|| wrong("it is no PEM".to_owned()))?;
        let (_, asked) = X509CertificationRequest::from_der(&der)
            .map_err(|_| wrong("it is no certificate signing request".to_owned()))?;
        asked
            .verify_signature()
            .map_err(|_| wrong("its signature is not that of its key".to_owned()))?;
        let info = &asked.certification_request_info;
        let text = |name: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            name.as_str().ok().map(str::to_owned)
        };
        let common = info.subject.iter_common_name().find_map(text).unwrap_or_default();
        let organization = info.subject.iter_organization().find_map(text).unwrap_or_default();
        if !names.contains(&common.as_str()) {
            let why = format!("it is for \"{common}\", expected \"{}\"", names.join("\" or \""));
            return Err(wrong(why));
        }
        let key = SubjectPublicKeyInfo::from_der(info.subject_pki.raw)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&common, &organization);
        if let Ok(identity) = identity.try_into() {
            params.subject_alt_names = vec![SanType::DnsName(identity)];
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, &key, identity, "charger", now, days)
    }

    /// What was issued, oldest first.
    ///
    /// # Errors
    /// The list cannot be read.
    pub fn issued(&self) -> Result<Vec<Issued>, AuthorityError> {
        let file = self.folder.join("issued.jsonl");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(AuthorityError::File { file, source }),
        };
        let read = |line| serde_json::from_str(line).map_err(io::Error::other);
        let lines: Result<_, _> = text.lines().map(read).collect();
        lines.map_err(|source| AuthorityError::File { file, source })
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl rcgen::PublicKeyData,
        name: &str,
        purpose: &str,
        now: Utc,
        days: i64,
    ) -> Result<(String, Issued), AuthorityError> {
        let file = self.folder.join("root.key");
        let secret = secret::read(&file);
        let secret = secret.map_err(|source| AuthorityError::File { file, source })?;
        let secret = secret.ok_or_else(|| AuthorityError::None(self.folder.clone()))?;
        let issuer = Issuer::from_ca_cert_pem(&self.root_text()?, KeyPair::from_pem(&secret)?)?;
        let mut serial = secret::random::<16>();
        // Positive, and without a zero at its front.
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.use_authority_key_identifier_extension = true;
        last(&mut params, now, days);
        let pem = params.signed_by(key, &issuer)?.pem();
        let facts = certificate::facts_of_pem(&pem).map_err(AuthorityError::Request)?;
        let issued = Issued {
            serial: facts.serial,
            name: name.to_owned(),
            purpose: purpose.to_owned(),
            at: now,
            not_after: facts.not_after,
        };
        self.note(&issued)?;
        Ok((pem, issued))
    }

    fn note(&self, issued: &Issued) -> Result<(), AuthorityError> {
        let mut all = self.issued()?;
        all.push(issued.clone());
        let skip = all.len().saturating_sub(ISSUED_MAX);
        let line = |issued: &Issued| serde_json::to_string(issued).unwrap_or_default() + "\n";
        let text: String = all.iter().skip(skip).map(line).collect();
        self.put("issued.jsonl", &text, 0o640)
    }

    fn put(&self, name: &str, text: &str, mode: u32) -> Result<(), AuthorityError> {
        let file = self.folder.join(name);
        secret::write(&file, text, mode).map_err(|source| AuthorityError::File { file, source })
    }
}

fn decoded(request: &str) -> Option<Vec<u8>> {
    if request.contains("-----BEGIN") {
        let der = CertificateSigningRequestDer::from_pem_slice(request.as_bytes()).ok()?;
        return Some(der.to_vec());
    }
    let packed: String = request.split_whitespace().collect();
    BASE64.decode(packed.as_bytes()).ok()
}

fn subject(common: &str, organization: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    if !organization.is_empty() {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

/// Sets from when to when a certificate is valid, in whole days.
fn last(params: &mut CertificateParams, now: Utc, days: i64) {
    let day = |shift: i64| {
        let at = now + Duration::hours(24 * shift);
        let stamp = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
        let date = stamp.to_zoned(jiff::tz::TimeZone::UTC).date();
        let (year, month, day) = (date.year(), date.month(), date.day());
        date_time_ymd(i32::from(year), month.unsigned_abs(), day.unsigned_abs())
    };
    params.not_before = day(-EARLIER_DAYS);
    params.not_after = day(days);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Utc {
        Utc::from_millis(1_795_000_000_000)
    }

    fn authority(folder: &Path) -> Authority {
        let authority = Authority::in_data(folder);
        let names = ["box.site.example".to_owned(), "192.0.2.1".to_owned()];
        authority.init("Office", &names, now()).unwrap();
        authority
    }

    fn request(common: &str) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(common, "Operator");
        params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
    }

    #[test]
    fn a_charger_gets_a_certificate_for_its_own_identity_alone() {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority(folder.path());
        let sign = |request: &str, names: &[&str]| {
            authority.sign_request(request, "CP-01", names, now(), 30)
        };
        let (pem, issued) = sign(&request("CP-01"), &["CP-01"]).unwrap();
        let facts = certificate::facts_of_pem(&pem).unwrap();
        assert_eq!(facts.names, ["CP-01", "CP-01"]);
        assert_eq!(facts.serial, issued.serial);
        assert!(facts.not_before < now() && now() < facts.not_after);
        let (pem, _) = sign(&request("SN-7"), &["CP-01", "SN-7"]).unwrap();
        assert_eq!(certificate::facts_of_pem(&pem).unwrap().names, ["SN-7", "CP-01"]);
        let why = sign(&request("CP-02"), &["CP-01"]).unwrap_err().to_string();
        assert!(why.contains("\"CP-02\"") && why.contains("\"CP-01\""), "{why}");
        let listed = authority.issued().unwrap();
        let names: Vec<&str> = listed.iter().map(|issued| issued.name.as_str()).collect();
        assert_eq!(names, ["box.site.example", "CP-01", "CP-01"]);
    }

    #[test]
    fn a_broken_request_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority(folder.path());
        let good = request("CP-01");
        let bare: String = good.lines().filter(|line| !line.starts_with('-')).collect();
        let long = "A".repeat(REQUEST_BYTES_MAX + 1);
        let sign = |text: &str| authority.sign_request(text, "CP-01", &["CP-01"], now(), 30);
        assert!(sign(&bare).is_ok(), "bare Base64 is understood");
        let mut spoiled = BASE64.decode(bare.as_bytes()).unwrap();
        *spoiled.last_mut().unwrap() ^= 1;
        for text in ["", "nonsense", long.as_str(), &BASE64.encode(&spoiled)] {
            assert!(matches!(sign(text), Err(AuthorityError::Request(_))), "{text}");
        }
    }

    #[test]
    fn an_authority_is_made_once_and_its_key_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let absent = Authority::in_data(folder.path());
        let lacks = absent.issue_server(&[], now(), 1);
        assert!(matches!(lacks, Err(AuthorityError::None(_))));
        let authority = authority(folder.path());
        let twice = authority.init("Office", &[], now());
        assert!(matches!(twice, Err(AuthorityError::Exists(_))));
        assert!(secret::read(&authority.server_key()).unwrap().is_some());
        let names =
            certificate::facts_of_pem(&fs::read_to_string(authority.server_certificate()).unwrap());
        assert_eq!(names.unwrap().names, ["box.site.example", "box.site.example"]);
    }
}
