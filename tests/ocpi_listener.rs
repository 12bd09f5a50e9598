//! The listener for partners with a certificate of its own: who speaks TLS comes in, who does not
//! stays out, a renewed certificate is shown to the next one, and ids come back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::sync::Arc;

use ampgate::ground::time::Utc;
use ampgate::io::authority::Authority;
use ampgate::io::certificate;
use ampgate::io::clock::Clock;
use ampgate::io::partner;
use ampgate::io::tls::{Tls, TlsFiles, provider};
use ampgate::ocpi::http::OcpiResponse;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

const NAMES: [&str; 1] = ["127.0.0.1"];

fn now() -> Utc {
    Clock::real().now().utc.unwrap()
}

struct Door {
    folder: tempfile::TempDir,
    secrets: Tls,
    address: SocketAddr,
}

impl Door {
    /// Open, and every request is answered with its target.
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::in_data(folder.path());
        authority.init("Site", &NAMES.map(str::to_owned), now()).unwrap();
        let (certificate, key) = (authority.server_certificate(), authority.server_key());
        let secrets = Tls::load(TlsFiles { certificate, key, client_roots: None }).unwrap();
        let (requests, mut incoming) = mpsc::channel::<partner::Incoming>(8);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (_, address) = partner::listen(any, Some(secrets.clone()), requests).await.unwrap();
        tokio::spawn(async move {
            while let Some((request, reply)) = incoming.recv().await {
                reply.send(OcpiResponse::data(request.target.into(), Utc::default())).unwrap();
            }
        });
        Self { folder, secrets, address }
    }

    /// Serial number of the certificate that is shown, and the answer.
    async fn asks(&self, head: &str) -> (String, String) {
        let mut roots = RootCertStore::empty();
        let root = std::fs::read(Authority::in_data(self.folder.path()).root()).unwrap();
        roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from(NAMES[0]).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        let answer = said(&mut stream, head).await;
        (certificate::facts(&shown).unwrap().serial, answer)
    }
}

async fn said(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), head: &str) -> String {
    let text = format!("{head}Host: x\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A peer that goes without a word of TLS has said all that it wanted to say.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_partner_speaks_tls_and_its_ids_come_back() {
    let door = Door::open().await;
    let head = "GET /ocpi/versions HTTP/1.1\r\nX-Request-ID: r-7\r\nX-Correlation-ID: c-7\r\n";
    let (_, answer) = door.asks(head).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("/ocpi/versions"), "{answer}");
    let lower = answer.to_lowercase();
    assert!(lower.contains("x-request-id: r-7") && lower.contains("x-correlation-id: c-7"));
}

#[tokio::test]
async fn nobody_is_answered_in_clear_and_a_silent_one_holds_up_nobody() {
    let door = Door::open().await;
    let _silent = TcpStream::connect(door.address).await.unwrap();
    let mut plain = TcpStream::connect(door.address).await.unwrap();
    let answer = said(&mut plain, "GET /ocpi/versions HTTP/1.1\r\n").await;
    assert!(!answer.contains("200") && !answer.contains("versions"), "{answer}");
    assert!(door.asks("GET /after HTTP/1.1\r\n").await.1.contains("/after"));
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_one() {
    let door = Door::open().await;
    let (before, _) = door.asks("GET / HTTP/1.1\r\n").await;
    let authority = Authority::in_data(door.folder.path());
    let issued = authority.issue_server(&NAMES.map(str::to_owned), now(), 30).unwrap();
    assert!(door.secrets.refresh().unwrap());
    let (after, _) = door.asks("GET / HTTP/1.1\r\n").await;
    assert_eq!(after, issued.serial);
    assert_ne!(before, after);
    std::fs::write(authority.server_key(), "no key").unwrap();
    assert!(door.secrets.refresh().is_err());
    assert_eq!(door.asks("GET / HTTP/1.1\r\n").await.0, after, "what is spoilt changes nothing");
}
