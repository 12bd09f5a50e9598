//! The listener for partners with a certificate of its own: who speaks TLS comes in, who does not
//! stays out, a renewed certificate is shown to the next one, and ids come back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ampgate::ground::time::Utc;
use ampgate::io::authority::Authority;
use ampgate::io::certificate;
use ampgate::io::clock::Clock;
use ampgate::io::https::{CONNECTIONS_OF_ONE_MAX, Tell};
use ampgate::io::partner;
use ampgate::io::tls::{Tls, TlsFiles, provider};
use ampgate::ocpi::http::OcpiResponse;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

const NAMES: [&str; 1] = ["127.0.0.1"];

const HERE: [u8; 4] = [127, 0, 0, 1];

/// A test that waits this long for one thing has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What people were told of a crowd.
type Told = Arc<Mutex<Vec<String>>>;

fn ear(told: &Told) -> Tell {
    let told = told.clone();
    Arc::new(move |words| told.lock().unwrap().push(words))
}

/// A connection from one of this machine's own addresses.
async fn from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    socket.connect(to).await.unwrap()
}

fn now() -> Utc {
    Clock::real().now().utc.unwrap()
}

struct Door {
    folder: tempfile::TempDir,
    secrets: Tls,
    address: SocketAddr,
    told: Told,
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
        let told = Told::default();
        let (_, address) =
            partner::listen(any, Some(secrets.clone()), requests, ear(&told)).await.unwrap();
        tokio::spawn(async move {
            while let Some((request, reply)) = incoming.recv().await {
                reply.send(OcpiResponse::data(request.target.into(), Utc::default())).unwrap();
            }
        });
        Self { folder, secrets, address, told }
    }

    /// Serial number of the certificate that is shown, and the answer.
    async fn asks(&self, head: &str) -> (String, String) {
        self.asks_from(HERE, head).await
    }

    async fn asks_from(&self, source: [u8; 4], head: &str) -> (String, String) {
        let mut roots = RootCertStore::empty();
        let root = std::fs::read(Authority::in_data(self.folder.path()).root()).unwrap();
        roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = from(source, self.address).await;
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

#[tokio::test]
async fn who_begins_handshakes_without_end_leaves_some_to_others() {
    let door = Door::open().await;
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(from(HERE, door.address).await);
    }
    let (_, answer) = door.asks_from([127, 0, 0, 2], "GET /other HTTP/1.1\r\n").await;
    assert!(answer.contains("/other"), "{answer}");
    let told = door.told.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("127.0.0.1 holds 64 connections"), "{told:?}");
}

#[tokio::test]
async fn one_address_takes_half_of_the_connections_at_most() {
    let (requests, mut incoming) = mpsc::channel::<partner::Incoming>(8);
    let (any, told) = (SocketAddr::from((HERE, 0)), Told::default());
    let (_, address) = partner::listen(any, None, requests, ear(&told)).await.unwrap();
    tokio::spawn(async move {
        while let Some((request, reply)) = incoming.recv().await {
            // Who has gone away meanwhile needs no answer.
            let _ = reply.send(OcpiResponse::data(request.target.into(), Utc::default()));
        }
    });
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_OF_ONE_MAX {
        held.push(from(HERE, address).await);
    }
    let (mut over, mut words) = (from(HERE, address).await, String::new());
    over.read_to_string(&mut words).await.unwrap();
    assert!(words.starts_with("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 10\r\n"), "{words}");
    for other in [[127, 0, 0, 2], [127, 0, 0, 3]] {
        let answer = said(&mut from(other, address).await, "GET /ocpi HTTP/1.1\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(told.lock().unwrap().len(), 1);
    drop(held);
    let again = async {
        let ask = || async { said(&mut from(HERE, address).await, "GET /a HTTP/1.1\r\n").await };
        while !ask().await.starts_with("HTTP/1.1 200") {}
    };
    tokio::time::timeout(PATIENCE, again).await.expect("what was left is free again");
}
