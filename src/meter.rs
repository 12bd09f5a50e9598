//! Floor 3: an MQTT topic and its payload become numbers in A, W and V. Pure and total: whatever a
//! publisher sends ends in facts or in a problem in words, never in a panic.

use serde_json::Value;

use crate::model::meter::{Meter, MeterFact, MeterValue};

/// No site has larger numbers, in A, W or V; beyond it the publisher is wrong.
const VALUE_MAX: f64 = 1e7;

/// What a message said: the numbers found, and what could not be read, by meter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// The numbers.
    pub facts: Vec<MeterFact>,
    /// Position of the meter, and what was wrong in words.
    pub problems: Vec<(usize, String)>,
    /// Some meter of the site listens to this topic.
    pub known: bool,
}

/// Reads every value that the site's meters expect in this topic.
pub fn decode(meters: &[Meter], topic: &str, payload: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let mut document: Option<Result<Value, String>> = None;
    for (index, meter) in meters.iter().enumerate() {
        for value in meter.values.iter().filter(|value| value.topic == topic) {
            decoded.known = true;
            let number = match &value.pointer {
                None => plain_number(payload),
                Some(pointer) => match document.get_or_insert_with(|| parse(payload)) {
                    Ok(document) => pointed_number(document, pointer),
                    Err(problem) => Err(problem.clone()),
                },
            };
            match number.and_then(|number| scaled(number, value)) {
                Ok(number) => decoded.facts.push(MeterFact {
                    meter: index,
                    quantity: value.quantity,
                    phase: value.phase,
                    value: number,
                }),
                Err(problem) => decoded.problems.push((index, problem)),
            }
        }
    }
    decoded
}

fn parse(payload: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(payload)
        .map_err(|error| format!("found no JSON ({error}), expected a JSON document"))
}

fn plain_number(payload: &[u8]) -> Result<f64, String> {
    let text = std::str::from_utf8(payload).map_err(|_| "found no text, expected a number")?;
    let text = text.trim().trim_matches('"');
    text.parse().map_err(|_| format!("found \"{}\", expected a number", shortened(text)))
}

fn pointed_number(document: &Value, pointer: &str) -> Result<f64, String> {
    let found = document
        .pointer(pointer)
        .ok_or_else(|| format!("found nothing at {pointer}, expected a number there"))?;
    let number = match found {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        let found = shortened(&found.to_string());
        format!("found {found} at {pointer}, expected a number")
    })
}

fn scaled(number: f64, value: &MeterValue) -> Result<f64, String> {
    let scaled = number * value.factor;
    if scaled.is_finite() && scaled.abs() <= VALUE_MAX {
        return Ok(scaled);
    }
    Err(format!("found {number}, expected a number that a site can have"))
}

fn shortened(text: &str) -> String {
    const SHOWN_MAX: usize = 40;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::ids::MeterId;
    use crate::ground::time::Duration;
    use crate::ground::units::Phase;
    use crate::model::meter::Quantity;
    use proptest::prelude::*;

    fn meters() -> Vec<Meter> {
        let value = |topic: &str, pointer: Option<&str>, factor: f64| MeterValue {
            topic: topic.to_owned(),
            pointer: pointer.map(str::to_owned),
            quantity: Quantity::Current,
            phase: Some(Phase::L1),
            factor,
        };
        vec![Meter {
            id: MeterId::new("grid"),
            max_age: Duration::seconds(15),
            values: vec![value("a", Some("/x/1"), -0.001), value("b", None, 1.0)],
        }]
    }

    #[test]
    fn numbers_are_found_scaled_and_signed() {
        let decoded = decode(&meters(), "a", br#"{"x": [0, "12500"]}"#);
        assert_eq!(decoded.facts[0].value, -12.5);
        assert_eq!(decode(&meters(), "b", b" 7.25\n").facts[0].value, 7.25);
        assert!(!decode(&meters(), "c", b"1").known);
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        let problem =
            |topic, payload: &[u8]| decode(&meters(), topic, payload).problems[0].1.clone();
        assert!(problem("a", b"{\"x\": ").starts_with("found no JSON"));
        assert_eq!(problem("a", b"{}"), "found nothing at /x/1, expected a number there");
        assert_eq!(problem("a", b"{\"x\":[0,null]}"), "found null at /x/1, expected a number");
        assert_eq!(problem("b", b"ON"), "found \"ON\", expected a number");
        assert_eq!(problem("b", b"NaN"), "found NaN, expected a number that a site can have");
    }

    proptest! {
        #[test]
        fn any_payload_ends_in_a_fact_or_a_problem(
            payload in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            for topic in ["a", "b"] {
                let decoded = decode(&meters(), topic, &payload);
                prop_assert_eq!(decoded.facts.len() + decoded.problems.len(), 1);
            }
        }
    }
}
