//! What is heard: limits that somebody sets. A number, a JSON object, or `none` to take it back.
//! Total: whatever comes in is an order or a sentence that says what is wrong with it.

use serde_json::Value;

use crate::config::broker::Publish;
use crate::controller::message::Order;
use crate::controller::view::View;
use crate::ground::ids::EvseId;
use crate::ground::time::Duration;
use crate::ground::units::{Amps, Watts};
use crate::model::limit::LimitOf;

use super::topics::{Place, slug};

/// Whose a limit is that does not say it.
const SOURCE: &str = "MQTT";

/// Letters of a source.
const SOURCE_MAX: usize = 40;

/// More than this is no command.
const BYTES_MAX: usize = 1000;

/// No site has more, in A or kW.
const MOST: f64 = 100_000.0;

/// The order that a command stands for; none where the topic holds none. The error names the
/// subject and says what was found and what was expected.
pub fn read(
    publish: &Publish,
    place: &Place,
    payload: &[u8],
    view: &View,
) -> Option<Result<Order, (String, String)>> {
    let longest = publish.limits_last?;
    let (evse, key) = match place {
        Place::ChargingLimit => (None, "limit_kw"),
        Place::EvseLimit(of) => {
            let Some(evse) = view.evses.iter().find(|evse| slug(&evse.id) == *of) else {
                let why = "found a limit for it, expected one of the EVSEs of this site";
                return Some(Err((of.clone(), why.to_owned())));
            };
            (Some(evse.id.as_str()), "limit_a")
        }
        Place::Birth | Place::EvseState(_) => return None,
    };
    let wanted = Wanted::read(key, payload);
    let wanted = wanted.map_err(|why| (evse.unwrap_or_default().to_owned(), why));
    Some(wanted.map(|Wanted { limit, lasts, source }| {
        let of = match evse {
            None => {
                LimitOf::Charging { limit_w: limit.map(|limit| Watts::from_f64(limit * 1000.0)) }
            }
            Some(evse) => {
                LimitOf::Evse { evse: EvseId::new(evse), limit_a: limit.map(Amps::from_f64) }
            }
        };
        let lasts = lasts.map_or(longest, |lasts| lasts.min(longest));
        Order::OuterLimit { of, source, lasts }
    }))
}

/// A command.
struct Wanted {
    limit: Option<f64>,
    lasts: Option<Duration>,
    source: String,
}

impl Wanted {
    fn read(key: &str, payload: &[u8]) -> Result<Self, String> {
        let expected = format!("a number, none, or {{\"{key}\": …, \"minutes\": …}}");
        let wrong = |found: &str| format!("found {found}, expected {expected}");
        if BYTES_MAX < payload.len() {
            return Err(wrong("a long text"));
        }
        let text = std::str::from_utf8(payload).map_err(|_| wrong("no text"))?.trim();
        let plain = |limit| Self { limit, lasts: None, source: SOURCE.to_owned() };
        if ["", "none", "null"].contains(&text.to_lowercase().as_str()) {
            return Ok(plain(None));
        }
        let shown: String = text.chars().take(40).collect();
        let document: Value =
            serde_json::from_str(text).map_err(|_| wrong(&format!("\"{shown}\"")))?;
        if document.is_number() {
            return Ok(plain(Some(amount(&document, &wrong)?)));
        }
        let Some(fields) = document.as_object() else {
            return Err(wrong(&format!("\"{shown}\"")));
        };
        let known = [key, "minutes", "source"];
        if let Some(other) = fields.keys().find(|field| !known.contains(&field.as_str())) {
            return Err(wrong(&format!("\"{other}\"")));
        }
        let limit = match fields.get(key) {
            None => return Err(wrong(&format!("no \"{key}\""))),
            Some(Value::Null) => None,
            Some(value) => Some(amount(value, &wrong)?),
        };
        let lasts = match fields.get("minutes") {
            None | Some(Value::Null) => None,
            Some(value) => Some(Duration::seconds((amount(value, &wrong)? * 60.0) as i64)),
        };
        let source = match fields.get("source") {
            None | Some(Value::Null) => SOURCE.to_owned(),
            Some(Value::String(source)) if is_name(source) => source.clone(),
            Some(_) => return Err(wrong("a source that is no short name")),
        };
        Ok(Self { limit, lasts, source })
    }
}

fn amount(value: &Value, wrong: &impl Fn(&str) -> String) -> Result<f64, String> {
    let number = value.as_f64().filter(|number| (0.0..=MOST).contains(number));
    number.ok_or_else(|| wrong(&value.to_string().chars().take(40).collect::<String>()))
}

fn is_name(source: &str) -> bool {
    let length = source.chars().count();
    (1..=SOURCE_MAX).contains(&length) && !source.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(payload: &str) -> Result<(Option<f64>, Option<i64>, String), String> {
        let wanted = Wanted::read("limit_a", payload.as_bytes())?;
        Ok((wanted.limit, wanted.lasts.map(Duration::as_seconds), wanted.source))
    }

    #[test]
    fn a_number_an_object_or_none_is_a_command() {
        let ours = || "MQTT".to_owned();
        assert_eq!(read(" 10.5\n"), Ok((Some(10.5), None, ours())));
        assert_eq!(read("0"), Ok((Some(0.0), None, ours())));
        for back in ["", "none", "None", "null"] {
            assert_eq!(read(back), Ok((None, None, ours())), "{back}");
        }
        let said = r#"{"limit_a": 8, "minutes": 1.5, "source": "dimming"}"#;
        assert_eq!(read(said), Ok((Some(8.0), Some(90), "dimming".to_owned())));
        assert_eq!(read(r#"{"limit_a": null}"#), Ok((None, None, ours())));
    }

    #[test]
    fn what_is_no_command_is_said_in_words() {
        for bad in ["ON", "-1", "1e9", "[1]", "{}", r#"{"limit_kw": 1}"#, r#"{"limit_a": "x"}"#] {
            let why = read(bad).unwrap_err();
            assert!(why.contains("expected a number, none, or {\"limit_a\""), "{bad}: {why}");
        }
        let long = format!(r#"{{"limit_a": 1, "source": "{}"}}"#, "x".repeat(41));
        assert!(read(&long).is_err());
    }

    proptest! {
        #[test]
        fn any_payload_ends_in_a_command_or_in_words(
            payload in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            if let Err(why) = Wanted::read("limit_a", &payload) {
                prop_assert!(why.contains("expected"));
            }
        }
    }
}
