//! OCPP-J framing (OCPP-J 1.6 §4): a frame is a JSON array that starts with its message type.
//!
//! Reading is permissive and borrows from the text; payloads stay text until somebody knows their
//! type. Writing is strict. This file correlates nothing and decides nothing.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Longer frames are refused: the largest legal one, a StopTransaction with a day of samples, is a
/// tenth of this.
pub const FRAME_TEXT_MAX: usize = 1 << 20;

/// Elements beyond this many in a frame's array are not looked at.
const ELEMENTS_MAX: usize = 8;

/// A frame as it came in.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame<'a> {
    /// A question: `[2, id, action, payload]`.
    Call { id: Cow<'a, str>, action: Cow<'a, str>, payload: &'a str },
    /// A good answer: `[3, id, payload]`.
    Result { id: Cow<'a, str>, payload: &'a str },
    /// A bad answer: `[4, id, code, description, details]`; the code is an open word.
    Error { id: Cow<'a, str>, code: Cow<'a, str>, description: Cow<'a, str> },
}

/// Why a text is no frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no JSON array, or longer than [`FRAME_TEXT_MAX`].
    NotFrame,
    /// A message type that OCPP-J 1.6 does not know; to be ignored (§4.1.3).
    UnknownType,
    /// An answer that lacks its id: nothing to match it with.
    BrokenAnswer,
    /// A call that can be answered but not understood.
    BrokenCall { id: String, why: &'static str },
}

/// The codes of a CALLERROR that we send (OCPP-J 1.6 §4.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// Unknown action.
    NotImplemented,
    /// The payload is no JSON object or the frame lacks an element.
    FormationViolation,
    /// We could not decide.
    InternalError,
    /// It is not one of ours.
    SecurityError,
}

impl ErrorCode {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            ErrorCode::NotImplemented => "NotImplemented",
            ErrorCode::FormationViolation => "FormationViolation",
            ErrorCode::InternalError => "InternalError",
            ErrorCode::SecurityError => "SecurityError",
        }
    }
}

/// Reads one frame.
pub fn parse(text: &str) -> Result<Frame<'_>, Fault> {
    if FRAME_TEXT_MAX < text.len() {
        return Err(Fault::NotFrame);
    }
    let text = text.trim_matches(|letter: char| {
        letter.is_ascii_whitespace() || letter == '\u{feff}' || letter == '\0'
    });
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| Fault::NotFrame)?;
    let mut elements = elements.into_iter().take(ELEMENTS_MAX).map(RawValue::get);
    let kind = elements.next().ok_or(Fault::NotFrame)?;
    let id = elements.next().and_then(plain_word);
    match kind.trim_matches('"') {
        "2" | "2.0" => call(id, elements.next(), elements.next()),
        "3" | "3.0" => {
            let payload = elements.next().unwrap_or("{}");
            Ok(Frame::Result { id: id.ok_or(Fault::BrokenAnswer)?, payload })
        }
        "4" | "4.0" => {
            let code = elements.next().and_then(plain_word).unwrap_or_default();
            let description = elements.next().and_then(plain_word).unwrap_or_default();
            Ok(Frame::Error { id: id.ok_or(Fault::BrokenAnswer)?, code, description })
        }
        _ => Err(Fault::UnknownType),
    }
}

fn call<'a>(
    id: Option<Cow<'a, str>>,
    action: Option<&'a str>,
    payload: Option<&'a str>,
) -> Result<Frame<'a>, Fault> {
    let Some(id) = id else {
        return Err(Fault::BrokenCall { id: String::new(), why: "no message id" });
    };
    match action.and_then(plain_word) {
        Some(action) => Ok(Frame::Call { id, action, payload: payload.unwrap_or("{}") }),
        None => Err(Fault::BrokenCall { id: id.into_owned(), why: "no action" }),
    }
}

/// A string, or a number as some chargers write their ids; nothing else.
fn plain_word(raw: &str) -> Option<Cow<'_, str>> {
    if raw.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-') {
        return Some(Cow::Borrowed(raw));
    }
    Borrowed::deserialize(&mut serde_json::Deserializer::from_str(raw)).ok().map(|word| word.0)
}

#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

/// Writes a CALL; `payload` is JSON.
pub fn emit_call(id: &str, action: &str, payload: &str) -> String {
    format!("[2,{},{},{payload}]", quoted(id), quoted(action))
}

/// Writes a CALLRESULT; `payload` is JSON.
pub fn emit_result(id: &str, payload: &str) -> String {
    format!("[3,{},{payload}]", quoted(id))
}

/// Writes a CALLERROR without details.
pub fn emit_error(id: &str, code: ErrorCode, description: &str) -> String {
    format!("[4,{},\"{}\",{},{{}}]", quoted(id), code.word(), quoted(description))
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lax_frames_are_read() {
        let heartbeat = |id: &'static str| Frame::Call {
            id: Cow::Borrowed(id),
            action: Cow::Borrowed("Heartbeat"),
            payload: "{}",
        };
        assert_eq!(parse(r#"[2,"1","Heartbeat",{}]"#), Ok(heartbeat("1")));
        assert_eq!(parse("\u{feff}[2, 17 ,\"Heartbeat\"]\0"), Ok(heartbeat("17")));
        assert_eq!(
            parse(r#"[4,"a",null,null]"#),
            Ok(Frame::Error { id: "a".into(), code: "".into(), description: "".into() })
        );
        assert!(parse(r#"[4,"a"]"#).is_ok());
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        assert_eq!(parse("hello"), Err(Fault::NotFrame));
        assert_eq!(parse("[]"), Err(Fault::NotFrame));
        assert_eq!(parse(r#"[9,"1"]"#), Err(Fault::UnknownType));
        assert_eq!(parse("[3]"), Err(Fault::BrokenAnswer));
        let broken = Fault::BrokenCall { id: "7".to_owned(), why: "no action" };
        assert_eq!(parse(r#"[2,"7"]"#), Err(broken));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(id in ".{0,40}", action in ".{0,40}", word in ".*") {
            let payload = format!("{{\"word\":{}}}", quoted(&word));
            let call = emit_call(&id, &action, &payload);
            let expected = Frame::Call {
                id: id.as_str().into(), action: action.as_str().into(), payload: &payload,
            };
            prop_assert_eq!(parse(&call), Ok(expected));
            let result = emit_result(&id, &payload);
            prop_assert_eq!(
                parse(&result),
                Ok(Frame::Result { id: id.as_str().into(), payload: &payload })
            );
            let error = emit_error(&id, ErrorCode::InternalError, &word);
            let expected = Frame::Error {
                id: id.as_str().into(),
                code: "InternalError".into(),
                description: word.as_str().into(),
            };
            prop_assert_eq!(parse(&error), Ok(expected));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = parse(&text);
        }
    }
}
