//! TLS: the one place that knows which library and which cryptography it is.
//!
//! A listener asks for the settings in force with each connection, so a renewed certificate needs
//! no restart: [`Tls::refresh`] looks whether the files have changed. Where they cannot be used the
//! old settings stay. Resumption is off: a session would outlive the certificates it was made with,
//! and its cache costs memory for each charger; a full handshake costs some milliseconds.
//!
//! Chargers show their certificate or none on the same port; what that means is for the
//! [`gate`](super::gate) to say.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::{self, Facts};

/// The cryptography of everything that speaks TLS here.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Where certificates and keys are, all of them PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of this server, with what is between it and its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Roots that client certificates must come from; none = no client certificates.
    pub client_roots: Option<PathBuf>,
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{file}: {source}", file = .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{file}: {why}", file = .file.display())]
    Content {
        /// Which.
        file: PathBuf,
        /// What was found and what was expected.
        why: String,
    },
    /// Certificate and key do not fit, or the like.
    #[error("certificate and key cannot be used: {0}")]
    Settings(String),
}

/// What a listener needs for TLS; cheap to clone.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: TlsFiles,
    current: RwLock<Current>,
}

#[derive(Clone, Debug)]
struct Current {
    config: Arc<ServerConfig>,
    server: Facts,
    texts: [Vec<u8>; 3],
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// They are not there or cannot be used.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let current = RwLock::new(Current::load(&files)?);
        Ok(Self(Arc::new(Shared { files, current })))
    }

    /// The certificate that is shown.
    pub fn server(&self) -> Facts {
        self.current().server
    }

    /// Reads the files again. True when something else is in force from here on.
    ///
    /// # Errors
    /// They cannot be used; what was in force stays.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let texts = texts(&self.0.files)?;
        if texts == self.current().texts {
            return Ok(false);
        }
        let fresh = Current::load(&self.0.files)?;
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(true)
    }

    /// Shakes hands as a server.
    ///
    /// # Errors
    /// The peer went away, speaks no TLS, or showed a certificate that does not count.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.current().config).accept(stream).await
    }

    fn current(&self) -> Current {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Current {
    fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let texts = texts(files)?;
        let chain = certificates(&files.certificate, &texts[0])?;
        let key = PrivateKeyDer::from_pem_slice(&texts[1]).map_err(|error| TlsError::Content {
            file: files.key.clone(),
            why: format!("no private key in PEM ({error})"),
        })?;
        let server = certificate::facts(&chain[0])
            .map_err(|why| TlsError::Content { file: files.certificate.clone(), why })?;
        let wrong = |error: &dyn std::fmt::Display| TlsError::Settings(error.to_string());
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&error))?;
        let builder = match &files.client_roots {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(file, &texts[2])? {
                    roots.add(root).map_err(|error| wrong(&error))?;
                }
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                let verifier = verifier.allow_unauthenticated().build();
                builder.with_client_cert_verifier(verifier.map_err(|error| wrong(&error))?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| wrong(&error))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), server, texts })
    }
}

fn texts(files: &TlsFiles) -> Result<[Vec<u8>; 3], TlsError> {
    let read = |file: &Path| {
        fs::read(file).map_err(|source| TlsError::File { file: file.to_owned(), source })
    };
    let roots = files.client_roots.as_deref().map(read).transpose()?.unwrap_or_default();
    Ok([read(&files.certificate)?, read(&files.key)?, roots])
}

/// A file with what it holds.
pub type Read = (PathBuf, Vec<u8>);

/// What a client needs that trusts these roots, and shows this certificate with this key.
///
/// # Errors
/// A file holds something else, or certificate and key do not fit.
pub fn client(roots: &Read, shown: Option<&(Read, Read)>) -> Result<Arc<ClientConfig>, TlsError> {
    let wrong = |error: &dyn std::fmt::Display| TlsError::Settings(error.to_string());
    let mut store = RootCertStore::empty();
    let (file, text) = roots;
    let (_, unusable) = store.add_parsable_certificates(certificates(file, text)?);
    if store.is_empty() {
        let why = format!("{unusable} certificates, none of which can be a root");
        return Err(TlsError::Content { file: file.clone(), why });
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(store);
    let Some(((chain_file, chain), (key_file, key))) = shown else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let chain = certificates(chain_file, chain)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Content {
        file: key_file.clone(),
        why: format!("no private key in PEM ({error})"),
    })?;
    let config = builder.with_client_auth_cert(chain, key);
    Ok(Arc::new(config.map_err(|error| wrong(&error))?))
}

/// All certificates of a PEM file, at least one.
fn certificates(file: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let content = |why: String| TlsError::Content { file: file.to_owned(), why };
    match found {
        Ok(found) if found.is_empty() => {
            Err(content("no certificate, expected at least one in PEM".to_owned()))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(content(format!("no certificate in PEM ({error})"))),
    }
}

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The peer went away.
    Gone,
    /// Its certificate does not count, in words.
    Certificate(String),
    /// Anything else, in words.
    Handshake(String),
}

/// Why [`Tls::accept`] came to nothing.
pub fn failure(error: &io::Error) -> Failure {
    use rustls::{CertificateError as Bad, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let certificate = |why: &str| Failure::Certificate(why.to_owned());
    match inner {
        None => Failure::Gone,
        Some(Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. })) => {
            certificate("its certificate has expired")
        }
        Some(Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. })) => {
            certificate("its certificate is not valid yet")
        }
        Some(Error::InvalidCertificate(Bad::UnknownIssuer)) => {
            certificate("its certificate was not issued by a root that is trusted here")
        }
        Some(Error::InvalidCertificate(Bad::BadSignature)) => {
            certificate("its certificate is not signed by a root that is trusted here")
        }
        Some(Error::InvalidCertificate(other)) => {
            Failure::Certificate(format!("its certificate is not accepted: {other:?}"))
        }
        Some(Error::InvalidMessage(_)) => {
            Failure::Handshake("it does not speak TLS on the port that wants it".to_owned())
        }
        Some(Error::PeerIncompatible(why)) => Failure::Handshake(format!(
            "it offers no version and cipher suite of TLS that is spoken here ({why:?})"
        )),
        Some(Error::AlertReceived(alert)) => Failure::Handshake(format!(
            "it does not accept our certificate or settings (TLS alert {alert:?})"
        )),
        Some(other) => Failure::Handshake(other.to_string()),
    }
}
