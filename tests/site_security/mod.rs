//! A door for charge points with passwords and certificates in a folder of its own, and chargers
//! that knock.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration as RealDuration;

use ampgate::controller::message::{Input, Refusal};
use ampgate::ground::ids::ChargePointId;
use ampgate::ground::time::{Duration, Utc};
use ampgate::io::authority::Authority;
use ampgate::io::certificate;
use ampgate::io::clock::Clock;
use ampgate::io::credentials::{Credential, CredentialFile};
use ampgate::io::gate::Gate;
use ampgate::io::inbox::{self, Arrival};
use ampgate::io::secret::Hash;
use ampgate::io::tls::{Tls, TlsFiles, provider};
use ampgate::io::websocket::{Door, Links, Server};
use ampgate::model::event::EventKind;
use data_encoding::{BASE64, HEXUPPER};
use futures_util::{SinkExt, StreamExt};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;

/// 20 bytes, as they are typed into a charger.
pub const KEY: &str = "0123456789ABCDEF0123456789ABCDEF01234567";
/// Another.
pub const OTHER_KEY: &str = "FEDCBA9876543210FEDCBA9876543210FEDCBA98";

const PATIENCE: RealDuration = RealDuration::from_secs(30);

/// What the digits stand for.
pub fn key_of(digits: &str) -> Vec<u8> {
    HEXUPPER.decode(digits.as_bytes()).unwrap()
}

/// Certificate and key, PEM.
pub type Pair = (String, String);

pub struct Site {
    folder: tempfile::TempDir,
    plain: Server,
    tls: Server,
    secrets: Tls,
    pub links: Links,
    arrivals: mpsc::Receiver<Arrival>,
}

/// A charger with what it shows.
#[derive(Clone)]
pub struct Charger {
    identity: String,
    user: String,
    tls: bool,
    password: Option<Vec<u8>>,
    certificate: Option<Pair>,
}

impl Charger {
    pub fn plain(identity: &str) -> Self {
        let identity = identity.to_owned();
        Self { user: identity.clone(), identity, tls: false, password: None, certificate: None }
    }

    pub fn tls(identity: &str) -> Self {
        Self { tls: true, ..Self::plain(identity) }
    }

    pub fn password(self, password: &[u8]) -> Self {
        Self { password: Some(password.to_vec()), ..self }
    }

    pub fn user(self, user: &str) -> Self {
        Self { user: user.to_owned(), ..self }
    }

    pub fn certificate(self, certificate: Pair) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    fn request(&self) -> String {
        let login = self.password.as_ref().map(|password| {
            let login = [self.user.as_bytes(), b":", password].concat();
            format!("Authorization: Basic {}\r\n", BASE64.encode(&login))
        });
        format!(
            "GET /ocpp/{} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n{}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.identity,
            login.unwrap_or_default()
        )
    }
}

/// What came of a knock.
#[derive(Debug)]
pub struct Knock {
    answer: String,
    server: Option<String>,
    pub inputs: Vec<Input>,
    profile: Option<u8>,
}

impl Knock {
    pub fn status(&self) -> u16 {
        self.answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    #[track_caller]
    pub fn comes_in(&self, profile: u8) {
        assert_eq!((self.status(), self.profile), (101, Some(profile)), "{self:?}");
    }

    pub fn refusal(&self) -> &Refusal {
        let refusal = self.inputs.iter().find_map(|input| match input {
            Input::LinkRefused { why, .. } => Some(why),
            _ => None,
        });
        refusal.expect("it was refused")
    }

    pub fn tells(&self, wanted: EventKind) -> bool {
        self.inputs
            .iter()
            .any(|input| matches!(input, Input::Noticed { kind, .. } if *kind == wanted))
    }

    pub fn server_serial(&self) -> String {
        self.server.clone().expect("TLS")
    }
}

fn now() -> Utc {
    Clock::real().now().utc.expect("a machine that runs tests knows the time")
}

fn made(authority: &Authority, common: &str, identity: &str, now: Utc, days: i64) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common);
    let request = params.serialize_request(&key).unwrap().pem().unwrap();
    let signed = authority.sign_request(&request, identity, &[common], now, days);
    (signed.unwrap().0, key.serialize_pem())
}

impl Site {
    /// With charge points CP-01, CP-02 and CP-100 to CP-399, of which these have a password.
    pub async fn open(passwords: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::in_data(folder.path());
        authority.init("Test", &["127.0.0.1".to_owned()], now()).unwrap();
        let file = CredentialFile::in_data(folder.path());
        for (identity, digits) in passwords {
            let hash = Hash::of_key(&key_of(digits));
            file.change(&ChargePointId::new(identity), |own| own.password = Some(hash)).unwrap();
        }
        let secrets = Tls::load(TlsFiles {
            certificate: authority.server_certificate(),
            key: authority.server_key(),
            client_roots: Some(authority.root()),
        })
        .unwrap();
        let many = (100..400).map(|number| format!("CP-{number}"));
        let ids = ["CP-01".to_owned(), "CP-02".to_owned()].into_iter().chain(many);
        let links = Links::new(Door {
            start: 1,
            known: ids.map(|id| ChargePointId::new(&id)).collect(),
            silence: Duration::seconds(90),
            gate: Gate::new(file, Vec::new()).unwrap(),
        });
        let (inbox, arrivals) = inbox::channel();
        let open = async |tls| {
            let loopback = "127.0.0.1:0".parse().unwrap();
            Server::open(loopback, tls, links.clone(), inbox.clone(), Clock::real()).await.unwrap()
        };
        let (plain, tls) = (open(None).await, open(Some(secrets.clone())).await);
        Self { folder, plain, tls, secrets, links, arrivals }
    }

    pub fn change(&self, identity: &str, change: impl FnOnce(&mut Credential)) {
        self.links.gate().change(&ChargePointId::new(identity), change).unwrap();
    }

    fn authority(&self) -> Authority {
        Authority::in_data(self.folder.path())
    }

    pub fn issue(&self, common: &str, identity: &str) -> Pair {
        made(&self.authority(), common, identity, now(), 30)
    }

    pub fn issue_expired(&self, identity: &str) -> Pair {
        let long_ago = now() - Duration::hours(24 * 60);
        made(&self.authority(), identity, identity, long_ago, 30)
    }

    pub fn issue_elsewhere(&self, identity: &str) -> Pair {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::in_data(folder.path());
        authority.init("Elsewhere", &["127.0.0.1".to_owned()], now()).unwrap();
        made(&authority, identity, identity, now(), 30)
    }

    pub fn renew_server(&self) -> String {
        let names = ["127.0.0.1".to_owned()];
        let issued = self.authority().issue_server(&names, now(), 30).unwrap();
        assert!(self.secrets.refresh().unwrap(), "the renewed certificate is taken");
        issued.serial
    }

    pub fn spoil_server_key(&self) {
        std::fs::write(self.authority().server_key(), "no key").unwrap();
        assert!(self.secrets.refresh().is_err());
    }

    /// Knocks, looks at the answer, and goes away.
    pub async fn knocks(&mut self, charger: Charger) -> Knock {
        if !charger.tls {
            let mut stream = TcpStream::connect(self.plain.address()).await.unwrap();
            let answer = said(&mut stream, &charger.request()).await;
            return self.outcome(answer, None, &charger.identity, stream).await;
        }
        let Ok(mut stream) = self.shakes(&charger).await else {
            return self.outcome(String::new(), None, &charger.identity, ()).await;
        };
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        let serial = certificate::facts(&shown).unwrap().serial;
        let answer = said(&mut stream, &charger.request()).await;
        self.outcome(answer, Some(serial), &charger.identity, stream).await
    }

    /// A stranger that says who it is; gives the answer.
    pub async fn introduces(&mut self, identity: &str, vendor: &str) -> String {
        let url = format!("ws://{}/ocpp/{identity}", self.plain.address());
        let stream = TcpStream::connect(self.plain.address()).await.unwrap();
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let boot = format!(
            "[2,\"1\",\"BootNotification\",{{\"chargePointVendor\":\"{vendor}\",\
             \"chargePointModel\":\"X\"}}]"
        );
        socket.send(Message::text(boot)).await.unwrap();
        let heard = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
        heard.unwrap().unwrap().into_text().unwrap().to_string()
    }

    /// Speaks plain HTTP to the listener that wants TLS.
    pub async fn knocks_at_the_wrong_door(&mut self) -> Knock {
        let mut stream = TcpStream::connect(self.tls.address()).await.unwrap();
        let charger = Charger::plain("CP-01");
        said(&mut stream, &charger.request()).await;
        self.outcome(String::new(), None, "CP-01", stream).await
    }

    /// Comes in inside TLS and stays.
    pub async fn hold(&mut self, identity: &str) -> TlsStream<TcpStream> {
        let charger = Charger::tls(identity).password(KEY.as_bytes());
        let mut stream = self.shakes(&charger).await.unwrap();
        let answer = said(&mut stream, &charger.request()).await;
        assert!(answer.contains("101"), "{answer}");
        self.next().await;
        stream
    }

    async fn shakes(&self, charger: &Charger) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.tls.address()).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connector = TlsConnector::from(Arc::new(client(&self.authority(), charger)));
        connector.connect(name, stream).await
    }

    /// What is told of a connection, to its end.
    async fn outcome<C>(
        &mut self,
        answer: String,
        server: Option<String>,
        identity: &str,
        connection: C,
    ) -> Knock {
        let mut connection = Some(connection);
        let (mut inputs, mut profile) = (Vec::new(), None);
        loop {
            let input = self.next().await;
            let last = matches!(input, Input::LinkRefused { .. } | Input::LinkDown { .. });
            if matches!(input, Input::LinkUp { .. }) {
                profile = self.links.profiles().get(&ChargePointId::new(identity)).copied();
                connection = None;
            }
            inputs.push(input);
            if last {
                drop(connection);
                return Knock { answer, server, inputs, profile };
            }
        }
    }

    async fn next(&mut self) -> Input {
        let arrival = tokio::time::timeout(PATIENCE, self.arrivals.recv()).await;
        arrival.expect("something happens in time").expect("the door is open").input
    }
}

fn client(authority: &Authority, charger: &Charger) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root(&authority.root())).unwrap();
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match &charger.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    }
}

fn root(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// Sends a request and reads the head of the answer; nothing where the connection is refused.
async fn said(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), request: &str) -> String {
    if stream.write_all(request.as_bytes()).await.is_err() {
        return String::new();
    }
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await;
    let length = read.expect("an answer in time").unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}
