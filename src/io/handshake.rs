//! From a TCP connection to a charge point that speaks OCPP 1.6J, or to a refusal in words.
//!
//! The rules are those of OCPP-J 1.6 §3.1: identity is the last segment of the path; an unknown one
//! gets HTTP 404; the subprotocol is `ocpp1.6`. A charger that names no subprotocol is taken as it
//! is; one that names only others gets a handshake without any and is closed at once. No
//! compression is ever agreed on.

use futures_util::SinkExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::controller::message::Refusal;
use crate::ground::ids::ChargePointId;

/// The one subprotocol that is spoken here.
const PROTOCOL: &str = "ocpp1.6";

const PROTOCOL_HEADER: &str = "Sec-WebSocket-Protocol";

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
}

/// Shakes hands, or says why not.
#[expect(clippy::result_large_err, reason = "tungstenite wants the whole response")]
pub async fn shake(
    stream: TcpStream,
    known: impl Fn(&ChargePointId) -> bool + Unpin,
) -> Result<(ChargePointId, WebSocketStream<TcpStream>), Refused> {
    let mut seen = Seen::default();
    let decide = |request: &Request, response| seen.decide(request, response, &known);
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(UNSENT_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let shaken =
        tokio_tungstenite::accept_hdr_async_with_config(stream, decide, Some(config)).await;
    let Seen { identity, stranger, foreign } = seen;
    let shown = shown(&identity);
    match shaken {
        Ok(mut socket) => match foreign {
            None => Ok((ChargePointId::new(&identity), socket)),
            Some(offered) => {
                let reason = format!("only {PROTOCOL} is spoken here").into();
                let frame = CloseFrame { code: CloseCode::Protocol, reason };
                let _ = socket.send(Message::Close(Some(frame))).await;
                let why = format!("it offers only {offered}, and {PROTOCOL} is spoken here");
                Err(Refused { identity: shown, why: Some(Refusal::Handshake(why)) })
            }
        },
        Err(_) if stranger => Err(Refused { identity: shown, why: Some(Refusal::UnknownIdentity) }),
        Err(error) => {
            let why = words(&error).map(Refusal::Handshake);
            Err(Refused { identity: shown, why })
        }
    }
}

/// What a request asked for.
#[derive(Debug, Default)]
struct Seen {
    identity: String,
    /// The identity is not known.
    stranger: bool,
    /// Subprotocols that were offered, all of them foreign.
    foreign: Option<String>,
}

impl Seen {
    #[expect(clippy::result_large_err, reason = "tungstenite wants the whole response")]
    fn decide(
        &mut self,
        request: &Request,
        mut response: Response,
        known: impl Fn(&ChargePointId) -> bool,
    ) -> Result<Response, ErrorResponse> {
        self.identity = identity(request.uri().path());
        self.stranger = !known(&ChargePointId::new(&self.identity));
        if self.stranger {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = StatusCode::NOT_FOUND;
            let headers = refusal.headers_mut();
            headers.insert("Content-Length", HeaderValue::from_static("0"));
            headers.insert("Connection", HeaderValue::from_static("close"));
            return Err(refusal);
        }
        let offered = offered(request.headers());
        match offered.iter().find(|name| name.eq_ignore_ascii_case(PROTOCOL)) {
            Some(name) => {
                // In the peer's own spelling: it compares what it gets with what it sent.
                if let Ok(value) = HeaderValue::from_str(name) {
                    response.headers_mut().insert(PROTOCOL_HEADER, value);
                }
            }
            None if offered.is_empty() => {}
            None => self.foreign = Some(shown(&offered.join(", "))),
        }
        Ok(response)
    }
}

/// The subprotocols of a request, from all its headers.
fn offered(headers: &HeaderMap) -> Vec<&str> {
    let lines = headers.get_all(PROTOCOL_HEADER).into_iter();
    let names = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    names.map(str::trim).filter(|name| !name.is_empty()).collect()
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

/// Why tungstenite gave up; none if the peer simply went away.
fn words(error: &tungstenite::Error) -> Option<String> {
    use tungstenite::error::ProtocolError as Broken;
    let why = match error {
        tungstenite::Error::Io(_) | tungstenite::Error::ConnectionClosed => return None,
        tungstenite::Error::Protocol(Broken::HandshakeIncomplete) => return None,
        tungstenite::Error::Protocol(Broken::MissingConnectionUpgradeHeader) => {
            "its request lacks the header \"Connection: Upgrade\"".to_owned()
        }
        tungstenite::Error::Protocol(Broken::MissingUpgradeWebSocketHeader) => {
            "it asks for a page and not for a WebSocket".to_owned()
        }
        tungstenite::Error::Protocol(Broken::MissingSecWebSocketVersionHeader) => {
            "its request does not ask for WebSocket version 13".to_owned()
        }
        tungstenite::Error::Protocol(Broken::WrongHttpVersion) => {
            "it speaks HTTP 1.0; a WebSocket needs HTTP 1.1".to_owned()
        }
        other => shown(&other.to_string()),
    };
    Some(why)
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

    #[test]
    fn all_offered_protocols_are_seen_wherever_they_stand() {
        let mut headers = HeaderMap::new();
        headers.append(PROTOCOL_HEADER, HeaderValue::from_static("ocpp2.0.1 , ,ocpp1.6"));
        headers.append(PROTOCOL_HEADER, HeaderValue::from_static("ocpp1.5"));
        assert_eq!(offered(&headers), ["ocpp2.0.1", "ocpp1.6", "ocpp1.5"]);
    }

    #[test]
    fn strangers_cannot_write_lines_into_the_log() {
        assert_eq!(shown("CP\n[ALARM]\u{1b}[31m"), "CP?[ALARM]?[31m");
        assert_eq!(shown(&"x".repeat(10_000)).len(), IDENTITY_SHOWN);
    }
}
