//! The listeners for chargers as the configuration wants them, and what looks after their secrets.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::Config;

use super::authority::Authority;
use super::clock::Clock;
use super::credentials::CredentialFile;
use super::gate::Gate;
use super::inbox::Inbox;
use super::renewal::Renewal;
use super::tls::{Tls, TlsError, TlsFiles};
use super::websocket::{Links, Server};

/// Why chargers cannot be let in.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// A listener cannot be opened.
    #[error("cannot listen for chargers on {address}: {source}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The passwords of chargers cannot be read.
    #[error("the passwords of chargers, {file}: {source}", file = .file.display())]
    Passwords {
        /// In the data directory.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The listener inside TLS has no usable certificate.
    #[error(
        "listen.ocpps needs a certificate: {0}; `ampgate ca init` makes one, or set \
         security.certificate_file and security.key_file"
    )]
    Tls(#[from] TlsError),
}

/// Open doors; dropping them stops accepting, while links that are open stay.
#[derive(Debug)]
pub struct Doors {
    plain: Option<Server>,
    tls: Option<Server>,
    secrets: Option<Tls>,
    renewal: Renewal,
}

impl Doors {
    /// Opens what the configuration lists.
    ///
    /// # Errors
    /// An address cannot be had, or there is no certificate.
    pub async fn open(
        config: &Config,
        data: &Path,
        links: &Links,
        inbox: &Inbox,
        clock: &Clock,
    ) -> Result<Self, DoorError> {
        links.uploads().keep_in(data);
        let open = async |address, tls| {
            let (links, inbox, clock) = (links.clone(), inbox.clone(), clock.clone());
            let opened = Server::open(address, tls, links, inbox, clock).await;
            opened.map_err(|source| DoorError::Listen { address, source })
        };
        let plain = match config.ocpp {
            None => None,
            Some(address) => Some(open(address, None).await?),
        };
        let (tls, secrets) = match config.ocpps {
            None => (None, None),
            Some(address) => {
                let secrets = Tls::load(files(config, data))?;
                (Some(open(address, Some(secrets.clone())).await?), Some(secrets))
            }
        };
        let (gate, inbox, clock) = (links.gate().clone(), inbox.clone(), clock.clone());
        let renewal = Renewal::begin(secrets.clone(), gate, inbox, clock);
        Ok(Self { plain, tls, secrets, renewal })
    }

    /// Where chargers connect without TLS.
    pub fn plain_address(&self) -> Option<SocketAddr> {
        self.plain.as_ref().map(Server::address)
    }

    /// Where chargers connect inside TLS.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls.as_ref().map(Server::address)
    }

    /// What chargers see of this box inside TLS.
    pub fn secrets(&self) -> Option<Tls> {
        self.secrets.clone()
    }

    /// Looks at the files of passwords and certificates at once.
    pub fn look_again(&self) {
        self.renewal.hurry();
    }
}

/// Who may come in, by the passwords in the data directory.
///
/// # Errors
/// They cannot be read.
pub fn gate(config: &Config, data: &Path) -> Result<Gate, DoorError> {
    let file = CredentialFile::in_data(data);
    let path = file.path().to_owned();
    let gate = Gate::new(file, config.security.open_networks.clone());
    gate.map_err(|source| DoorError::Passwords { file: path, source })
}

/// What the page shows to other machines: a certificate of its own, else what chargers are shown.
pub fn page_files(config: &Config, data: &Path) -> TlsFiles {
    let own = config.outer_page.as_ref().and_then(|page| page.shown.clone());
    let site = files(config, data);
    match own {
        Some(own) => TlsFiles { certificate: own.certificate, key: own.key, client_roots: None },
        None => TlsFiles { client_roots: None, ..site },
    }
}

/// As configured, else what the site's own authority has made.
fn files(config: &Config, data: &Path) -> TlsFiles {
    let security = &config.security;
    let own = Authority::in_data(data);
    let client_roots = security.client_roots.clone();
    TlsFiles {
        certificate: security.certificate.clone().unwrap_or_else(|| own.server_certificate()),
        key: security.key.clone().unwrap_or_else(|| own.server_key()),
        client_roots: client_roots.or_else(|| own.exists().then(|| own.root())),
    }
}
