//! The connection to the broker, against one that is written out byte by byte (MQTT 3.1.1).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::time::Duration;

use ampgate::config::broker::Broker;
use ampgate::controller::message::Input;
use ampgate::ground::time::Utc;
use ampgate::io::clock::Clock;
use ampgate::io::inbox::{self, Arrival};
use ampgate::io::mqtt::Subscription;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A test that waits this long for one thing has failed.
const PATIENCE: Duration = Duration::from_secs(30);

const CONNECT: u8 = 0x10;
const SUBSCRIBE: u8 = 0x82;
const PUBACK: u8 = 0x40;

struct Site {
    listener: TcpListener,
    arrivals: mpsc::Receiver<Arrival>,
    _subscription: Subscription,
}

async fn site(change: impl FnOnce(&mut Broker)) -> Site {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut broker = Broker {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        client_id: "ampgate-test".to_owned(),
        ..Broker::default()
    };
    change(&mut broker);
    let (inbox, arrivals) = inbox::channel();
    let topics = BTreeSet::from(["site/grid".to_owned(), "site/pv".to_owned()]);
    // Fast, so that no test waits for a back-off.
    let clock = Clock::scaled(100.0, Utc::from_millis(1_551_398_400_000));
    let _subscription = Subscription::begin(broker, topics, inbox, clock);
    Site { listener, arrivals, _subscription }
}

impl Site {
    async fn next(&mut self) -> Input {
        let arrival = tokio::time::timeout(PATIENCE, self.arrivals.recv()).await;
        arrival.expect("something happens in time").expect("somebody is there").input
    }

    /// Accepts a connection and returns it with the CONNECT packet.
    async fn accept(&mut self) -> (TcpStream, Vec<u8>) {
        let accepted = tokio::time::timeout(PATIENCE, self.listener.accept()).await;
        let (mut stream, _) = accepted.expect("it connects in time").unwrap();
        let (kind, connect) = packet(&mut stream).await;
        assert_eq!(kind, CONNECT);
        (stream, connect)
    }

    /// Accepts a connection and grants what is asked for, with this code for each topic.
    async fn grant(&mut self, codes: [u8; 2]) -> (TcpStream, Vec<u8>) {
        let (mut stream, _) = self.accept().await;
        stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        let (kind, subscribe) = packet(&mut stream).await;
        assert_eq!(kind, SUBSCRIBE);
        let [first, second] = codes;
        let answer = [0x90, 4, subscribe[0], subscribe[1], first, second];
        stream.write_all(&answer).await.unwrap();
        (stream, subscribe)
    }

    async fn down(&mut self) -> String {
        match self.next().await {
            Input::BrokerDown { why } => why,
            other => panic!("{other:?} instead of a broker that is down"),
        }
    }
}

/// One packet with less than 128 bytes behind its head.
async fn packet(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let read = async {
        let kind = stream.read_u8().await.unwrap();
        let mut rest = vec![0; usize::from(stream.read_u8().await.unwrap())];
        stream.read_exact(&mut rest).await.unwrap();
        (kind, rest)
    };
    tokio::time::timeout(PATIENCE, read).await.expect("a packet comes in time")
}

fn publish(head: u8, topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = vec![0, topic.len() as u8];
    body.extend_from_slice(topic.as_bytes());
    if head & 0b110 != 0 {
        body.extend_from_slice(&[0, 7]);
    }
    body.extend_from_slice(payload);
    let mut packet = vec![0x30 | head];
    let mut length = body.len();
    while 128 <= length {
        packet.push((length % 128) as u8 | 0x80);
        length /= 128;
    }
    packet.push(length as u8);
    packet.extend_from_slice(&body);
    packet
}

fn mqtt(topic: &str, payload: &[u8], retained: bool) -> Input {
    Input::Mqtt { topic: topic.to_owned(), payload: payload.to_vec(), retained }
}

#[tokio::test]
async fn meters_are_heard_once_the_subscription_is_granted() {
    let mut site = site(|_| {}).await;
    let (mut stream, subscribe) = site.grant([1, 1]).await;
    let asked = String::from_utf8_lossy(&subscribe).into_owned();
    assert!(asked.contains("site/grid\u{1}") && asked.contains("site/pv\u{1}"), "{asked:?}");
    assert_eq!(site.next().await, Input::BrokerUp);
    stream.write_all(&publish(0b0010, "site/grid", b"{\"l1\": 12.3}")).await.unwrap();
    stream.write_all(&publish(0b0001, "site/pv", &[0xFF, 0x00])).await.unwrap();
    assert_eq!(site.next().await, mqtt("site/grid", b"{\"l1\": 12.3}", false));
    assert_eq!(site.next().await, mqtt("site/pv", &[0xFF, 0x00], true));
    assert_eq!(packet(&mut stream).await, (PUBACK, vec![0, 7]), "what came at QoS 1 is confirmed");
}

#[tokio::test]
async fn a_broker_that_goes_is_found_again() {
    let mut site = site(|_| {}).await;
    for _ in 0..3 {
        let (stream, _) = site.grant([0, 1]).await;
        assert_eq!(site.next().await, Input::BrokerUp);
        drop(stream);
        let why = site.down().await;
        assert!(why.contains("127.0.0.1:"), "{why}");
    }
}

#[tokio::test]
async fn a_broker_that_does_not_trust_us_is_named_so() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "swordfish\nand a comment\n").unwrap();
    let path = file.path().to_owned();
    let mut site = site(|broker| {
        broker.username = Some("site-7".to_owned());
        broker.password_file = Some(path);
    })
    .await;
    let (mut stream, connect) = site.accept().await;
    let said = String::from_utf8_lossy(&connect).into_owned();
    assert!(said.contains("site-7") && said.ends_with("swordfish"), "{said:?}");
    stream.write_all(&[0x20, 2, 0, 5]).await.unwrap();
    let why = site.down().await;
    assert!(why.contains("does not accept our user name and password"), "{why}");
}

#[tokio::test]
async fn a_password_file_that_is_missing_is_named() {
    let mut site = site(|broker| broker.password_file = Some("/nowhere/password".into())).await;
    let why = site.down().await;
    assert!(why.contains("/nowhere/password"), "{why}");
}

#[tokio::test]
async fn a_broker_that_lets_us_read_nothing_is_down() {
    let mut site = site(|_| {}).await;
    let (_stream, _) = site.grant([0x80, 0x80]).await;
    let why = site.down().await;
    assert!(why.contains("site/grid, site/pv"), "{why}");
}

/// Whatever a broker sends, the connection is begun anew and nothing else happens.
#[tokio::test]
async fn nonsense_and_giants_only_end_the_connection() {
    let mut site = site(|_| {}).await;
    let giant = publish(0, "site/grid", &vec![b'9'; 100_000]);
    let nonsense: [&[u8]; 5] = [
        &giant,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0xF0, 0x00],
        &[0x30, 0x02, 0xFF, 0xFF],
        &[0xFF; 64],
    ];
    for bytes in nonsense {
        let (mut stream, _) = site.grant([1, 1]).await;
        assert_eq!(site.next().await, Input::BrokerUp);
        // It may hang up before it has read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        site.down().await;
    }
    let (mut stream, _) = site.grant([1, 1]).await;
    assert_eq!(site.next().await, Input::BrokerUp);
    stream.write_all(&publish(0, "site/pv", b"1")).await.unwrap();
    assert_eq!(site.next().await, mqtt("site/pv", b"1", false));
}
