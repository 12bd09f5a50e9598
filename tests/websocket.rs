//! The door for charge points, with real sockets: who comes in, who is turned away and how, and
//! that no peer can disturb another.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration as RealDuration;

use ampgate::controller::message::{Input, Refusal};
use ampgate::ground::ids::{ChargePointId, LinkId};
use ampgate::ground::time::{Duration, Utc};
use ampgate::io::clock::Clock;
use ampgate::io::credentials::CredentialFile;
use ampgate::io::gate::Gate;
use ampgate::io::inbox::{self, Arrival};
use ampgate::io::websocket::{Door, Links, Server};
use ampgate::model::event::EventKind;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

type Socket = WebSocketStream<TcpStream>;

/// A test that waits this long for one thing has failed.
const PATIENCE: RealDuration = RealDuration::from_secs(30);

struct Site {
    address: SocketAddr,
    links: Links,
    arrivals: mpsc::Receiver<Arrival>,
    _server: Server,
}

async fn site(known: &[&str]) -> Site {
    site_in(known, Clock::real()).await
}

async fn site_in(known: &[&str], clock: Clock) -> Site {
    let (inbox, arrivals) = inbox::channel();
    let links = Links::new(Door {
        start: 3,
        known: known.iter().map(|id| ChargePointId::new(id)).collect(),
        silence: Duration::seconds(90),
        gate: Gate::new(CredentialFile::in_data(Path::new("/nowhere")), Vec::new()).unwrap(),
    });
    let loopback = "127.0.0.1:0".parse().unwrap();
    let server = Server::open(loopback, None, links.clone(), inbox, clock).await.unwrap();
    Site { address: server.address(), links, arrivals, _server: server }
}

impl Site {
    async fn next(&mut self) -> Input {
        let arrival = tokio::time::timeout(PATIENCE, self.arrivals.recv()).await;
        arrival.expect("something happens in time").expect("the door is open").input
    }

    async fn link_up(&mut self, id: &str) -> LinkId {
        match self.next().await {
            Input::LinkUp { charge_point, link, .. } if charge_point.as_str() == id => link,
            other => panic!("{other:?} instead of {id} coming up"),
        }
    }

    async fn connect(&self, path: &str, protocols: &str) -> Result<(Socket, String), Error> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request()?;
        if !protocols.is_empty() {
            request.headers_mut().insert("Sec-WebSocket-Protocol", protocols.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await?;
        let shaken = tokio::time::timeout(PATIENCE, client_async(request, stream)).await;
        let (socket, response) = shaken.expect("an answer in time")?;
        let agreed = response.headers().get("Sec-WebSocket-Protocol");
        let agreed = agreed.map(|value| value.to_str().unwrap().to_owned());
        Ok((socket, agreed.unwrap_or_default()))
    }

    async fn charger(&mut self, id: &str) -> (Socket, LinkId) {
        let (socket, _) = self.connect(&format!("/ocpp/{id}"), "ocpp1.6").await.unwrap();
        let link = self.link_up(id).await;
        (socket, link)
    }
}

async fn hear(socket: &mut Socket) -> Option<Result<Message, Error>> {
    tokio::time::timeout(PATIENCE, socket.next()).await.expect("something is heard in time")
}

fn frame(id: &str, link: LinkId, text: &str) -> Input {
    Input::Frame { charge_point: ChargePointId::new(id), link, text: text.to_owned() }
}

/// OCPP-J 1.6 §3.1, and what chargers in the field make of it.
#[tokio::test]
async fn chargers_come_in_by_the_last_segment_of_their_path() {
    let mut site = site(&["CP-01", "RDAM 123"]).await;
    let cases = [
        ("/ocpp/CP-01", "ocpp1.6", "ocpp1.6", "CP-01"),
        ("/CP-01", "ocpp1.6", "ocpp1.6", "CP-01"),
        ("//a//b//CP-01/", "ocpp1.6", "ocpp1.6", "CP-01"),
        ("/ocpp/CP-01?x=y", "ocpp1.6", "ocpp1.6", "CP-01"),
        ("/ocpp/RDAM%20123", "ocpp2.0.1, ocpp1.6", "ocpp1.6", "RDAM 123"),
        ("/ocpp/CP-01", "OCPP1.6", "OCPP1.6", "CP-01"),
    ];
    for (path, offered, agreed, id) in cases {
        let (socket, answer) = site.connect(path, offered).await.unwrap();
        assert_eq!(answer, agreed, "{path}");
        site.link_up(id).await;
        drop(socket);
        assert!(matches!(site.next().await, Input::LinkDown { .. }), "{path}");
    }
}

/// Some chargers name no subprotocol at all; a header that nobody asked for would confuse others.
#[tokio::test]
async fn a_charger_that_names_no_protocol_is_taken_as_it_is() {
    let mut site = site(&["CP-01"]).await;
    let (mut socket, link) = {
        let mut raw = TcpStream::connect(site.address).await.unwrap();
        let request = "GET /ocpp/CP-01 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n\
                       Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        raw.write_all(request.as_bytes()).await.unwrap();
        let link = site.link_up("CP-01").await;
        (raw, link)
    };
    let mut head = vec![0; 512];
    let length = socket.read(&mut head).await.unwrap();
    let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(!head.contains("sec-websocket-protocol"), "{head}");
    site.links.send(link, "[2]".to_owned());
    let mut frame = [0; 5];
    socket.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x81\x03[2]");
}

#[tokio::test]
async fn strangers_get_404_and_are_named() {
    let mut site = site(&["CP-01"]).await;
    for (path, identity) in [("/ocpp/CP-99", "CP-99"), ("/", ""), ("/ocpp/cp-01", "cp-01")] {
        match site.connect(path, "ocpp1.6").await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 404),
            other => panic!("{path}: {other:?}"),
        }
        match site.next().await {
            Input::LinkRefused { identity: told, why: Refusal::UnknownIdentity, address } => {
                assert_eq!(told, identity);
                assert!(address.starts_with("127.0.0.1:"));
            }
            other => panic!("{path}: {other:?}"),
        }
    }
}

/// The handshake is finished without a protocol and the connection closed at once.
#[tokio::test]
async fn a_charger_of_another_protocol_is_let_go_with_a_reason() {
    let mut site = site(&["CP-01"]).await;
    let shaken = site.connect("/ocpp/CP-01", "ocpp2.0.1").await;
    // A strict client refuses the answer by itself; a lenient one sees the Close frame.
    if let Ok((mut socket, agreed)) = shaken {
        assert_eq!(agreed, "");
        assert!(matches!(hear(&mut socket).await, Some(Ok(Message::Close(Some(_))))));
    }
    match site.next().await {
        Input::LinkRefused { why: Refusal::Handshake(why), .. } => {
            assert!(why.contains("ocpp2.0.1"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_browser_at_the_door_is_told_apart_from_a_charger() {
    let mut site = site(&["CP-01"]).await;
    let mut raw = TcpStream::connect(site.address).await.unwrap();
    raw.write_all(b"GET /ocpp/CP-01 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    raw.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 426"), "{answer}");
    match site.next().await {
        Input::LinkRefused { why: Refusal::Handshake(why), .. } => {
            assert!(why.contains("Upgrade"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn text_goes_both_ways_and_pings_are_answered() {
    let mut site = site(&["CP-01"]).await;
    let (mut socket, link) = site.charger("CP-01").await;
    socket.send(Message::text("[2,\"1\",\"Heartbeat\",{}]")).await.unwrap();
    assert_eq!(site.next().await, frame("CP-01", link, "[2,\"1\",\"Heartbeat\",{}]"));
    socket.send(Message::binary("[2,\"ü\"]".as_bytes().to_vec())).await.unwrap();
    assert_eq!(site.next().await, frame("CP-01", link, "[2,\"ü\"]"));
    socket.send(Message::Ping("are you there".into())).await.unwrap();
    assert_eq!(hear(&mut socket).await.unwrap().unwrap(), Message::Pong("are you there".into()));
    site.links.send(link, "[3,\"1\",{}]".to_owned());
    assert_eq!(hear(&mut socket).await.unwrap().unwrap(), Message::text("[3,\"1\",{}]"));
    socket.close(None).await.unwrap();
    let charge_point = ChargePointId::new("CP-01");
    assert_eq!(site.next().await, Input::LinkDown { charge_point, link });
}

#[tokio::test]
async fn the_newest_connection_of_an_identity_wins() {
    let mut site = site(&["CP-01"]).await;
    let (mut old, first) = site.charger("CP-01").await;
    let (mut new, second) = site.charger("CP-01").await;
    assert!(first < second && 3 << 32 < first.0, "numbers rise, over restarts too");
    let charge_point = ChargePointId::new("CP-01");
    assert_eq!(site.next().await, Input::LinkDown { charge_point, link: first });
    assert!(matches!(hear(&mut old).await, None | Some(Err(_))), "cut without a Close");
    site.links.send(first, "to nobody".to_owned());
    site.links.send(second, "[2]".to_owned());
    assert_eq!(hear(&mut new).await.unwrap().unwrap(), Message::text("[2]"));
    new.send(Message::text("[3]")).await.unwrap();
    assert_eq!(site.next().await, frame("CP-01", second, "[3]"));
}

#[tokio::test]
async fn an_oversized_frame_ends_its_own_connection_only() {
    let mut site = site(&["CP-01", "CP-02"]).await;
    let (mut big, link) = site.charger("CP-01").await;
    let (mut other, other_link) = site.charger("CP-02").await;
    // The peer may cut before it has taken everything, which is its right.
    let _ = big.send(Message::text("x".repeat(3 << 20))).await;
    match site.next().await {
        Input::LinkRefused { identity, why: Refusal::Protocol(why), .. } => {
            assert_eq!(identity, "CP-01");
            assert!(why.contains("KiB"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let charge_point = ChargePointId::new("CP-01");
    assert_eq!(site.next().await, Input::LinkDown { charge_point, link });
    other.send(Message::text("[2]")).await.unwrap();
    assert_eq!(site.next().await, frame("CP-02", other_link, "[2]"));
    let whole = "y".repeat((1 << 20) - 1);
    other.send(Message::text(whole.clone())).await.unwrap();
    assert_eq!(site.next().await, frame("CP-02", other_link, &whole));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_is_cut_and_delays_nobody() {
    let mut site = site(&["CP-01", "CP-02"]).await;
    let (_deaf, link) = site.charger("CP-01").await;
    let (mut other, other_link) = site.charger("CP-02").await;
    let text = "z".repeat(64 * 1024);
    let mut cut = false;
    for _ in 0..10_000 {
        site.links.send(link, text.clone());
        if let Ok(arrival) = site.arrivals.try_recv() {
            let charge_point = ChargePointId::new("CP-01");
            assert_eq!(arrival.input, Input::LinkDown { charge_point, link });
            cut = true;
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(cut, "queues and buffers do not grow for ever");
    site.links.send(other_link, "[2]".to_owned());
    assert_eq!(hear(&mut other).await.unwrap().unwrap(), Message::text("[2]"));
}

#[tokio::test]
async fn links_end_politely_or_at_once_as_ordered() {
    let mut site = site(&["CP-01", "CP-02"]).await;
    let (mut one, first) = site.charger("CP-01").await;
    let (mut two, second) = site.charger("CP-02").await;
    site.links.disconnect(first, true);
    assert!(matches!(hear(&mut one).await, Some(Ok(Message::Close(Some(_))))));
    site.links.disconnect(second, false);
    assert!(matches!(hear(&mut two).await, None | Some(Err(_))));
    drop((one, two));
    site.links.cut_all(PATIENCE).await;
    assert_eq!(site.links.count(), 0);
    let refused = site.connect("/ocpp/CP-01", "ocpp1.6").await;
    if let Ok((mut socket, _)) = refused {
        assert!(matches!(hear(&mut socket).await, None | Some(Err(_))), "the door is closed");
    }
}

/// A charger whose radio link died leaves a connection that nobody closes.
#[tokio::test]
async fn a_dead_peer_is_noticed_by_its_silence() {
    let start = Utc::from_millis(1_551_398_400_000);
    let mut site = site_in(&["CP-01"], Clock::scaled(500.0, start)).await;
    let (_dead, link) = site.charger("CP-01").await;
    let charge_point = ChargePointId::new("CP-01");
    assert_eq!(site.next().await, Input::LinkDown { charge_point, link });
}

/// Run alone, with `--ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement, not a check"]
async fn memory_of_an_idle_connection() {
    const MANY: usize = 1000;
    let ids: Vec<String> = (0..MANY).map(|number| format!("CP-{number}")).collect();
    let known: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut site = site(&known).await;
    let resident = || {
        let look = ampgate::io::platform::Resources::look(std::path::Path::new("/"));
        look.resident_bytes.unwrap()
    };
    let before = resident();
    let mut held = Vec::new();
    for id in &ids {
        let mut raw = TcpStream::connect(site.address).await.unwrap();
        let request = format!(
            "GET /ocpp/{id} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        raw.write_all(request.as_bytes()).await.unwrap();
        let link = site.link_up(id).await;
        // As a charger does after it came in: one frame each way.
        raw.write_all(b"\x81\x83\0\0\0\0[2]").await.unwrap();
        site.next().await;
        site.links.send(link, "[3]".to_owned());
        held.push(raw);
    }
    let each = (resident() - before) / MANY as u64;
    println!("{} bytes for each idle connection", each);
    assert!(each < 64 * 1024);
}

/// All chargers of a site may stand behind one router: known ones are not counted by address, but
/// handshakes are.
#[tokio::test]
async fn who_begins_handshakes_without_end_does_not_keep_a_charger_out() {
    let mut site = site(&["CP-01"]).await;
    let mut held = Vec::new();
    for _ in 0..300 {
        held.push(TcpStream::connect(site.address).await.unwrap());
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.3:0".parse().unwrap()).unwrap();
    let stream = socket.connect(site.address).await.unwrap();
    let mut request = format!("ws://{}/ocpp/CP-01", site.address).into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "ocpp1.6".parse().unwrap());
    let shaken = tokio::time::timeout(PATIENCE, client_async(request, stream)).await;
    shaken.expect("an answer in time").unwrap();
    match site.next().await {
        Input::Noticed { kind: EventKind::Crowded, text, .. } => {
            assert!(text.starts_with("127.0.0.1 holds 256 connections"), "{text}");
        }
        other => panic!("{other:?} instead of a crowd"),
    }
    site.link_up("CP-01").await;
}
