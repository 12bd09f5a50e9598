//! Requests and responses as values, with what OCPI puts around every body: the token header, the
//! request ids, the routing headers and the envelope. Opens no socket.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::ground::time::Utc;

use super::text::Time;

/// The largest body that is taken in or asked for.
pub const BODY_MAX: usize = 4 << 20;

/// All is well.
pub const OK: i64 = 1000;
/// The client did something wrong.
pub const CLIENT: i64 = 2000;
/// A parameter is missing or makes no sense.
pub const INVALID: i64 = 2001;
/// No such location (and, here, no such object).
pub const UNKNOWN_LOCATION: i64 = 2003;
/// No such token.
pub const UNKNOWN_TOKEN: i64 = 2004;
/// The server cannot do it.
pub const SERVER: i64 = 3000;
/// The client's own interface cannot be used.
pub const CANNOT_USE: i64 = 3001;
/// No version in common.
pub const NO_VERSION: i64 = 3002;
/// Endpoints that are needed are missing.
pub const NO_ENDPOINTS: i64 = 3003;

/// The verbs of OCPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Read.
    Get,
    /// Create, or order.
    Post,
    /// Create or replace.
    Put,
    /// Change some fields.
    Patch,
    /// Take away.
    Delete,
}

impl Method {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// A request that came in, or one that is to go out.
#[derive(Clone, Debug, PartialEq)]
pub struct OcpiRequest {
    /// The verb.
    pub method: Method,
    /// Path and query of what came in; the whole URL of what goes out.
    pub target: String,
    /// Headers, names in any case.
    pub headers: Vec<(String, String)>,
    /// The body; empty where there is none.
    pub body: String,
}

impl OcpiRequest {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The headers that go back with the answer: its ids, and the way turned round.
    pub fn echoes(&self) -> Vec<(String, String)> {
        const BACK: [(&str, &str); 6] = [
            ("X-Request-ID", "X-Request-ID"),
            ("X-Correlation-ID", "X-Correlation-ID"),
            ("OCPI-from-country-code", "OCPI-to-country-code"),
            ("OCPI-from-party-id", "OCPI-to-party-id"),
            ("OCPI-to-country-code", "OCPI-from-country-code"),
            ("OCPI-to-party-id", "OCPI-from-party-id"),
        ];
        let back = |(from, to): &(&str, &str)| {
            let value = self.header(from)?;
            Some(((*to).to_owned(), value.chars().take(64).collect()))
        };
        BACK.iter().filter_map(back).collect()
    }
}

/// A response that came in, or one that is to go out.
#[derive(Clone, Debug, PartialEq)]
pub struct OcpiResponse {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in any case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl OcpiResponse {
    /// An envelope around nothing.
    pub fn code(status: u16, code: i64, message: &str, now: Utc) -> Self {
        Self::envelope(status, code, message, None, now)
    }

    /// An envelope around data, code 1000.
    pub fn data(data: Value, now: Utc) -> Self {
        Self::envelope(200, OK, "", Some(data), now)
    }

    /// An acknowledgement without data.
    pub fn ok(now: Utc) -> Self {
        Self::code(200, OK, "", now)
    }

    /// An envelope.
    pub fn envelope(status: u16, code: i64, message: &str, data: Option<Value>, now: Utc) -> Self {
        let mut body = Map::new();
        if let Some(data) = data {
            body.insert("data".to_owned(), data);
        }
        body.insert("status_code".to_owned(), json!(code));
        if !message.is_empty() {
            body.insert("status_message".to_owned(), json!(message));
        }
        body.insert("timestamp".to_owned(), json!(Time(now).to_text()));
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: Value::Object(body).to_string() }
    }

    /// With one header more.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The data of a success, or what went wrong in words. A 200 with a code of 2000 and more is a
    /// failure; data in a list of one is taken out where `single` is asked for.
    pub fn success(&self, single: bool) -> Result<Value, Failure> {
        let body: Value = serde_json::from_str(&self.body).unwrap_or(Value::Null);
        let code = body.get("status_code").and_then(Value::as_i64);
        let message = body.get("status_message").and_then(Value::as_str).unwrap_or_default();
        let http = (200..300).contains(&self.status);
        if !http || code.is_some_and(|code| !(1000..2000).contains(&code)) || code.is_none() {
            let message: String = message.chars().take(200).collect();
            return Err(Failure { status: self.status, code, message });
        }
        let data = body.get("data").cloned().unwrap_or(Value::Null);
        Ok(match data {
            Value::Array(mut list) if single && list.len() == 1 => list.remove(0),
            data => data,
        })
    }
}

/// Why a response is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// OCPI status, where there was an envelope.
    pub code: Option<i64>,
    /// In the peer's words, cut.
    pub message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "HTTP {}", self.status)?;
        match self.code {
            Some(code) => write!(to, ", OCPI {code}")?,
            None => write!(to, ", no OCPI envelope")?,
        }
        if self.message.is_empty() { Ok(()) } else { write!(to, ": {}", self.message) }
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let same = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
    headers.iter().find(same).map(|(_, value)| value.as_str())
}

/// How a partner writes the token in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Base64, as 2.2.1 has it.
    Base64,
    /// As it is, as 2.1.1 had it.
    Raw,
}

/// The value of an Authorization header.
pub fn authorization(token: &str, encoding: Encoding) -> String {
    match encoding {
        Encoding::Base64 => format!("Token {}", base64(token.as_bytes())),
        Encoding::Raw => format!("Token {token}"),
    }
}

/// The tokens that an Authorization header may mean, the likelier first: decoded, decoded without
/// the line feed that copied samples end in, and as it is.
pub fn presented(header: &str) -> Vec<String> {
    let Some((scheme, value)) = header.trim().split_once(' ') else { return Vec::new() };
    if !scheme.eq_ignore_ascii_case("token") {
        return Vec::new();
    }
    let value = value.trim();
    let mut found = Vec::new();
    if let Some(decoded) = unbase64(value).and_then(|bytes| String::from_utf8(bytes).ok()) {
        let trimmed = decoded.trim_end_matches(['\n', '\r']).to_owned();
        if trimmed != decoded {
            found.push(trimmed);
        }
        found.insert(0, decoded);
    }
    found.push(value.to_owned());
    found
}

/// Equal, in a time that does not depend on where they differ.
pub fn same_secret(one: &str, other: &str) -> bool {
    let difference = one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && difference == 0
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648 §4).
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place <= chunk.len() {
                let digit = (bits >> (18 - 6 * place)) & 63;
                text.push(char::from(ALPHABET[digit as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// The bytes behind a base64 text, with or without padding; none if it is none.
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if digits.is_empty() || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|known| *known == digit)? as u32;
        bits = (bits << 6 | value) & 0xFF_FFFF;
        count += 6;
        if 8 <= count {
            count -= 8;
            bytes.push((bits >> count & 0xFF) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_known_in_each_way_it_is_written() {
        let token = "a-token-of-ours";
        for header in [
            authorization(token, Encoding::Base64),
            authorization(token, Encoding::Raw),
            format!("token {}", base64(b"a-token-of-ours\n")),
        ] {
            assert!(presented(&header).iter().any(|found| same_secret(found, token)), "{header}");
        }
        assert!(presented("Bearer abc").is_empty());
    }

    #[test]
    fn a_200_with_an_error_code_is_a_failure() {
        let now = Utc::from_millis(0);
        let refused = OcpiResponse::code(200, INVALID, "no last_updated", now);
        assert_eq!(
            refused.success(true).unwrap_err().to_string(),
            "HTTP 200, OCPI 2001: no last_updated"
        );
        let wrapped = OcpiResponse::data(json!([{"result": "ACCEPTED"}]), now);
        assert_eq!(wrapped.success(true).unwrap()["result"], "ACCEPTED");
        let foreign = OcpiResponse { status: 422, headers: vec![], body: "{\"detail\":1}".into() };
        assert_eq!(foreign.success(true).unwrap_err().code, None);
    }

    proptest! {
        #[test]
        fn bytes_survive_base64(bytes in prop::collection::vec(any::<u8>(), 1..80)) {
            prop_assert_eq!(unbase64(&base64(&bytes)).unwrap(), bytes);
        }
    }
}
