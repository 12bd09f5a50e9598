//! From a connection to a charge point that speaks OCPP 1.6J, or to a refusal in words.
//!
//! The rules are those of OCPP-J 1.6 §3.1: identity is the last segment of the path; an unknown one
//! gets HTTP 404, one that may not come in 401; the subprotocol is `ocpp1.6`. A charger that names
//! no subprotocol is taken as it is; one that names only others gets a handshake without any and is
//! closed at once. No compression is ever agreed on.
//!
//! The request is read here and not by the WebSocket library, because the password is looked at
//! before the answer, which may take a while, and because whoever is refused gets an answer.

use std::net::SocketAddr;

use data_encoding::BASE64;
use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use crate::controller::message::Refusal;
use crate::ground::ids::ChargePointId;
use crate::ground::time::Instant;

use super::body::Framing;
use super::gate::{Admitted, Denied, Gate, Shown};
use super::stream::Stream;
use super::uploads::Offer;

/// The one subprotocol that is spoken here.
const PROTOCOL: &str = "ocpp1.6";

/// The head of a request; what is longer is no charger.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Header lines of a request.
const HEADERS_MAX: usize = 64;

/// A name of this box: 253 characters and a port. A URL for logs has at most 512.
const HOST_BYTES_MAX: usize = 260;

/// Identities are cut to this many characters in words for people. OCPP 1.6 sets no limit; OCPP 2
/// has 48.
const IDENTITY_SHOWN: usize = 64;

/// Per connection and direction; tungstenite's default of 128 KiB is allocated for each at once.
const BUFFER_BYTES: usize = 4 * 1024;

/// The largest message that is read. The largest known are dumps of configuration keys and
/// StopTransaction with all its samples, some hundred KiB.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What is written but not taken by the peer may grow to this.
const UNSENT_BYTES_MAX: usize = 1 << 20;

/// A connection that came to nothing.
#[derive(Debug)]
pub struct Refused {
    /// What it called itself, fit for a log.
    pub identity: String,
    /// Why; none for one that went away without a word, which is not worth telling.
    pub why: Option<Refusal>,
    /// How it names its software, fit for a log.
    pub agent: String,
}

/// A charge point that came in.
pub struct Shaken {
    /// Who.
    pub charge_point: ChargePointId,
    /// Its connection.
    pub socket: WebSocketStream<Stream>,
    /// How it came in.
    pub admitted: Admitted,
    /// The address under which it has reached this box, as in `https://10.0.0.1:9443`.
    pub base: Option<String>,
}

/// Who has shaken hands.
pub enum Welcome {
    /// A charge point of the site.
    Known(Shaken),
    /// Somebody else, who may have a word.
    Stranger {
        /// What it calls itself, fit for a log.
        identity: String,
        /// Its connection.
        socket: WebSocketStream<Stream>,
        /// How it names its software, fit for a log.
        agent: String,
    },
    /// Whoever has a file for this box.
    Upload {
        /// What it says of it.
        offer: Offer,
        /// Its connection.
        stream: Stream,
        /// What it has sent of the file already.
        beginning: Vec<u8>,
    },
}

/// What is known of a connection before it says a word.
pub struct Caller {
    /// Its end of the connection.
    pub from: SocketAddr,
    /// When it came.
    pub now: Instant,
    /// The connection is inside TLS.
    pub encrypted: bool,
    /// The names in its certificate.
    pub certificate: Option<Vec<String>>,
    /// Strangers may have a word.
    pub curious: bool,
}

/// Shakes hands, or says why not.
pub async fn shake(
    mut stream: Stream,
    caller: Caller,
    gate: &Gate,
    known: impl Fn(&ChargePointId) -> bool,
) -> Result<Welcome, Refused> {
    let nobody = |why| Refused { identity: String::new(), why, agent: String::new() };
    let (request, rest) = match head(&mut stream).await {
        Ok(Some(read)) => read,
        Ok(None) => return Err(nobody(None)),
        Err(why) => {
            answer(&mut stream, "400 Bad Request", "", &why).await;
            return Err(nobody(Some(Refusal::Handshake(why))));
        }
    };
    if let Some(offer) = request.offer() {
        return Ok(Welcome::Upload { offer, stream, beginning: rest });
    }
    let identity = identity(&request.path);
    let refused =
        |why| Refused { identity: shown(&identity), why: Some(why), agent: request.agent.clone() };
    let key = match request.upgrade() {
        Ok(key) => key,
        Err(why) => {
            let header = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
            answer(&mut stream, "426 Upgrade Required", header, why).await;
            return Err(refused(Refusal::Handshake(why.to_owned())));
        }
    };
    let charge_point = ChargePointId::new(&identity);
    let agreed = request.protocols.iter().find(|name| name.eq_ignore_ascii_case(PROTOCOL));
    let agreed = agreed.map(String::as_str);
    let may_speak = caller.curious && (agreed.is_some() || request.protocols.is_empty());
    if !known(&charge_point) && may_speak && !identity.is_empty() {
        let Ok(socket) = upgraded(stream, rest, &key, agreed).await else {
            return Err(refused(Refusal::UnknownIdentity));
        };
        let (identity, agent) = (shown(&identity), request.agent);
        return Ok(Welcome::Stranger { identity, socket, agent });
    }
    if !known(&charge_point) {
        answer(&mut stream, "404 Not Found", "", "no charge point of this site").await;
        return Err(refused(Refusal::UnknownIdentity));
    }
    let login = request.login.clone();
    let Caller { from, now, encrypted, certificate, .. } = caller;
    let what = Shown { encrypted, certificate, login };
    let admitted = match gate.admit(&charge_point, from.ip(), now, &what).await {
        Ok(admitted) => admitted,
        Err(denied) => {
            let (status, header, why) = denial(denied);
            answer(&mut stream, status, header, "not admitted").await;
            return Err(refused(why));
        }
    };
    let mut socket = match upgraded(stream, rest, &key, agreed).await {
        Ok(socket) => socket,
        Err(_) => return Err(Refused { why: None, ..refused(Refusal::UnknownIdentity) }),
    };
    if agreed.is_none() && !request.protocols.is_empty() {
        let reason = format!("only {PROTOCOL} is spoken here").into();
        let frame = CloseFrame { code: CloseCode::Protocol, reason };
        let _ = socket.send(Message::Close(Some(frame))).await;
        let offered = shown(&request.protocols.join(", "));
        let why = format!("it offers only {offered}, and {PROTOCOL} is spoken here");
        return Err(refused(Refusal::Handshake(why)));
    }
    let base = base(&request.host, encrypted);
    Ok(Welcome::Known(Shaken { charge_point, socket, admitted, base }))
}

/// Status, further header lines and reason of a refusal.
fn denial(denied: Denied) -> (&'static str, &'static str, Refusal) {
    const LOGIN: &str = "WWW-Authenticate: Basic realm=\"ocpp\"\r\n";
    let unauthorized = "401 Unauthorized";
    match denied {
        Denied::NoPassword(why) => (unauthorized, LOGIN, Refusal::Login(why)),
        Denied::WrongPassword => {
            (unauthorized, LOGIN, Refusal::Login("its password is wrong".to_owned()))
        }
        Denied::TooOften => {
            let why = "too many wrong passwords from its address".to_owned();
            ("429 Too Many Requests", "Retry-After: 60\r\n", Refusal::Login(why))
        }
        Denied::Certificate(why) => (unauthorized, "", Refusal::Certificate(why)),
        Denied::TooWeak(why) => (unauthorized, LOGIN, Refusal::Login(why)),
    }
}

/// Says yes and changes over to frames.
async fn upgraded(
    mut stream: Stream,
    rest: Vec<u8>,
    key: &str,
    protocol: Option<&str>,
) -> std::io::Result<WebSocketStream<Stream>> {
    let accept = derive_accept_key(key.as_bytes());
    // In the peer's own spelling: it compares what it gets with what it sent.
    let protocol = protocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{}\r\n",
        protocol.unwrap_or_default()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(UNSENT_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    Ok(WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(config)).await)
}

/// An answer that ends the connection; whether it arrives does not matter.
async fn answer(stream: &mut Stream, status: &str, headers: &str, words: &str) {
    let length = words.len();
    let text = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{words}"
    );
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// What a request asked for.
#[derive(Debug, Default)]
struct Request {
    method: String,
    path: String,
    host: String,
    /// Of a body, which only an upload has.
    framing: Framing,
    waits: bool,
    content_type: String,
    agent: String,
    upgrade: bool,
    version: Option<String>,
    key: Option<String>,
    /// Subprotocols that were offered.
    protocols: Vec<String>,
    login: Option<Vec<u8>>,
}

/// Reads the head of a request and what came after it; none if the peer went away first.
async fn head(stream: &mut Stream) -> Result<Option<(Request, Vec<u8>)>, String> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let read = stream.read_buf(&mut bytes).await;
        if read.is_err() || read.is_ok_and(|count| count == 0) {
            return Ok(None);
        }
        if let Some((request, length)) = parse(&bytes)? {
            return Ok(Some((request, bytes.split_off(length))));
        }
        if HEAD_BYTES_MAX <= bytes.len() {
            return Err(format!("a request of more than {} KiB", HEAD_BYTES_MAX / 1024));
        }
    }
}

/// A request with the length of its head, once it is whole.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut read = httparse::Request::new(&mut headers);
    let length = match read.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("no request of HTTP ({error})")),
    };
    if read.version == Some(0) {
        return Err("it speaks HTTP 1.0; a WebSocket needs HTTP 1.1".to_owned());
    }
    let path = read.path.unwrap_or_default();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let method = read.method.unwrap_or_default().to_owned();
    let mut request = Request { method, path: path.to_owned(), ..Request::default() };
    for header in read.headers.iter() {
        request.note(header.name, header.value);
    }
    Ok(Some((request, length)))
}

impl Request {
    fn note(&mut self, name: &str, value: &[u8]) {
        let text = String::from_utf8_lossy(value);
        let text = text.trim();
        let words = || text.split(',').map(str::trim).filter(|word| !word.is_empty());
        match name.to_ascii_lowercase().as_str() {
            // Some chargers send one of the two alone (lbbrhzn/ocpp PR 1984).
            "upgrade" => self.upgrade |= words().any(|word| word.eq_ignore_ascii_case("websocket")),
            "connection" => {
                self.upgrade |= words().any(|word| word.eq_ignore_ascii_case("upgrade"));
            }
            "sec-websocket-version" => self.version = Some(text.to_owned()),
            "sec-websocket-key" => self.key = Some(text.to_owned()),
            "sec-websocket-protocol" => self.protocols.extend(words().map(str::to_owned)),
            "user-agent" => self.agent = shown(text),
            "authorization" => self.login = login(text),
            "host" => self.host = text.to_owned(),
            "content-type" => self.content_type = text.to_owned(),
            "expect" => self.waits = text.eq_ignore_ascii_case("100-continue"),
            // Chunks count where both are there (RFC 9112 §6.3).
            "transfer-encoding" if text.eq_ignore_ascii_case("chunked") => {
                self.framing = Framing::Chunked;
            }
            "content-length" if self.framing == Framing::Absent => {
                self.framing = text.parse().map_or(Framing::Absent, Framing::Length);
            }
            _ => {}
        }
    }

    /// The file that it has for this box.
    fn offer(&self) -> Option<Offer> {
        let offer = Offer::of_path(&self.path)?;
        let is_put = ["PUT", "POST"].contains(&self.method.as_str());
        let content_type = self.content_type.clone();
        let (framing, waits) = (self.framing, self.waits);
        is_put.then_some(Offer { framing, waits, content_type, ..offer })
    }

    /// The key of a request for a WebSocket, or what it lacks.
    fn upgrade(&self) -> Result<String, &'static str> {
        match (&self.key, self.upgrade, self.version.as_deref()) {
            (_, false, _) => Err("it asks for a page and not for a WebSocket (no Upgrade)"),
            (None, ..) => Err("its request lacks the header Sec-WebSocket-Key"),
            (Some(key), true, Some("13")) => Ok(key.clone()),
            _ => Err("its request does not ask for WebSocket version 13"),
        }
    }
}

/// How a peer names this box in a URL; none where it says nothing that can stand in one.
fn base(host: &str, encrypted: bool) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let is_host = !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.bytes().all(fits);
    let scheme = if encrypted { "https" } else { "http" };
    is_host.then(|| format!("{scheme}://{host}"))
}

/// User and password of `Basic …`. The password may be any bytes.
fn login(value: &str) -> Option<Vec<u8>> {
    let (scheme, code) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    BASE64.decode(code.trim().as_bytes()).ok()
}

/// The last segment of a path that is not empty, percent-decoded once. Prefixes, double slashes and
/// a slash at the end are common in the field and mean nothing.
fn identity(path: &str) -> String {
    let segment = path.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default();
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        // Digits only: `from_str_radix` takes a sign, too.
        let pair = after.get(..2).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let pair = pair.and_then(|pair| std::str::from_utf8(pair).ok());
        let code = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                decoded.push(code);
                rest = &after[2..];
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Text of a stranger, fit for a log: short and on one line.
fn shown(text: &str) -> String {
    let plain = text.chars().map(|letter| if letter.is_control() { '?' } else { letter });
    plain.take(IDENTITY_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_the_last_segment_decoded_once() {
        let cases = [
            ("/ocpp/CP-01", "CP-01"),
            ("/CP-01/", "CP-01"),
            ("//ocpp//16//CP-01//", "CP-01"),
            ("/ocpp/RDAM%20123", "RDAM 123"),
            ("/ocpp/100%2525", "100%25"),
            ("/ocpp/a%2Fb", "a/b"),
            ("/ocpp/50%", "50%"),
            ("/ocpp/%zz%4", "%zz%4"),
            ("/ocpp/%C3%A9", "é"),
            ("/ocpp/%+1", "%+1"),
            ("/", ""),
        ];
        for (path, expected) in cases {
            assert_eq!(identity(path), expected, "{path}");
        }
    }

    fn parsed(lines: &str) -> Request {
        let text = format!("GET /ocpp/CP-01?x=y HTTP/1.1\r\n{lines}\r\n");
        parse(text.as_bytes()).unwrap().expect("a whole request").0
    }

    #[test]
    fn all_offered_protocols_are_seen_wherever_they_stand() {
        let request = parsed(
            "Sec-WebSocket-Protocol: ocpp2.0.1 , ,ocpp1.6\r\nsec-websocket-protocol: ocpp1.5\r\n",
        );
        assert_eq!(request.protocols, ["ocpp2.0.1", "ocpp1.6", "ocpp1.5"]);
        assert_eq!(request.path, "/ocpp/CP-01");
    }

    #[test]
    fn a_charger_that_sends_only_one_of_the_two_upgrade_headers_is_understood() {
        let rest = "Sec-WebSocket-Key: abc\r\nSec-WebSocket-Version: 13\r\n";
        for line in ["Upgrade: WebSocket\r\n", "Connection: keep-alive, Upgrade\r\n"] {
            assert_eq!(parsed(&format!("{line}{rest}")).upgrade().as_deref(), Ok("abc"));
        }
        assert!(parsed(rest).upgrade().is_err());
        assert!(parsed("Upgrade: websocket\r\n").upgrade().is_err());
    }

    #[test]
    fn a_password_may_be_any_bytes() {
        let code = BASE64.encode(b"CP-01:\xff\x00:\x80");
        let request = parsed(&format!("Authorization: basic {code}\r\n"));
        assert_eq!(request.login.as_deref(), Some(&b"CP-01:\xff\x00:\x80"[..]));
        assert_eq!(login("Bearer abc"), None);
        assert_eq!(login("Basic ***"), None);
    }

    #[test]
    fn a_file_is_offered_by_put_and_post_alone() {
        let parsed = |method: &str, lines: &str| {
            let text = format!("{method} /upload/ab/x.zip HTTP/1.1\r\n{lines}\r\n");
            parse(text.as_bytes()).unwrap().expect("a whole request").0.offer()
        };
        let offer = parsed("PUT", "Expect: 100-continue\r\nContent-Length: 7\r\n");
        let offer = offer.expect("an upload");
        assert_eq!((offer.framing, offer.waits), (Framing::Length(7), true));
        let both = "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n";
        assert_eq!(parsed("POST", both).expect("an upload").framing, Framing::Chunked);
        assert_eq!(parsed("GET", ""), None);
        assert_eq!(base("10.0.0.1:9000", false).as_deref(), Some("http://10.0.0.1:9000"));
        assert_eq!(base("a/b", true), None);
    }

    #[test]
    fn what_is_no_request_is_told_in_words() {
        assert!(parse(b"GET / HTTP/1.1\r\nHost: x\r\n").unwrap().is_none(), "not whole");
        assert!(parse(b"\x16\x03\x01\x02\x00\x01").is_err());
        assert!(parse(b"GET / HTTP/1.0\r\n\r\n").unwrap_err().contains("1.0"));
    }

    #[test]
    fn strangers_cannot_write_lines_into_the_log() {
        assert_eq!(shown("CP\n[ALARM]\u{1b}[31m"), "CP?[ALARM]?[31m");
        assert_eq!(shown(&"x".repeat(10_000)).len(), IDENTITY_SHOWN);
    }
}
