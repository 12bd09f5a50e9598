//! A document from outside becomes a series, or a sentence that says what is wrong with it.
//!
//! JSON in the shapes that forecasts and prices come in, or CSV with a line of titles:
//!
//! ```text
//! [{"time": …, "value": …}, …]     [[time, value], …]     {"time": value, …}
//! {"times": [time, …], "values": [value, …]}              time,value
//! ```
//! Pure and total. What is absurd (a unit that is wrong), over, too old or far away is refused as a
//! whole: half a day of nonsense is no forecast.

use serde_json::Value;

use crate::ground::calendar::Calendar;
use crate::ground::time::{Duration, Utc};
use crate::model::feed::{Feed, FeedKind, Received};

/// Larger documents are no forecast of a site.
pub const BYTES_MAX: usize = 1 << 20;

/// What lies further back than this is not read …
const BACK: Duration = Duration::hours(48);
/// … nor what lies further ahead.
const AHEAD: Duration = Duration::hours(24 * 12);
/// A forecast that was issued longer ago says nothing.
const AGE_MAX: Duration = Duration::hours(72);
/// Clocks differ by no more than this.
const SKEW: Duration = Duration::hours(1);
/// A series that begins later than this is one of another time.
const BEGINS_MAX: Duration = Duration::hours(48);

/// The series in a document.
///
/// # Errors
/// What was found and what was expected, in words.
pub fn read(feed: &Feed, payload: &[u8], now: Utc) -> Result<Received, String> {
    if BYTES_MAX < payload.len() {
        return Err(format!("found {} bytes, expected at most {BYTES_MAX}", payload.len()));
    }
    let text = std::str::from_utf8(payload).map_err(|_| "found no text, expected JSON or CSV")?;
    let zone = Calendar::new(&feed.zone);
    let begins = text.trim_start();
    let (rows, issued) = if begins.starts_with(['{', '[']) {
        let document: Value =
            serde_json::from_str(text).map_err(|error| format!("found no JSON ({error})"))?;
        (from_json(feed, &document, &zone)?, issued(feed, &document, &zone)?)
    } else if begins.is_empty() {
        return Err("found an empty document, expected a series".to_owned());
    } else {
        (from_csv(feed, text, &zone)?, None)
    };
    let issued = checked_issue(issued, now)?;
    let mut steps = Vec::new();
    for (at, value) in rows {
        if at < now - BACK || now + AHEAD < at {
            continue;
        }
        let scaled = value * feed.factor;
        if !(feed.least..=feed.most).contains(&scaled) {
            return Err(format!(
                "found {} {} for {at}, expected {} to {}: is the unit right?",
                short(scaled),
                feed.kind.unit(),
                short(feed.least),
                short(feed.most),
            ));
        }
        steps.push((at, scaled));
    }
    let received = Received::new(&feed.id, issued.unwrap_or(now), steps);
    judged(feed.kind, received, now)
}

/// A series that says something of the time to come.
fn judged(kind: FeedKind, received: Received, now: Utc) -> Result<Received, String> {
    let expected = "expected a series of the coming hours";
    let Some((first, _)) = received.steps.first() else {
        return Err(format!("found no value from two days back to twelve ahead, {expected}"));
    };
    if received.until <= now {
        return Err(format!(
            "found a {} that ends at {}, {expected}",
            kind.words(),
            received.until
        ));
    }
    if now + BEGINS_MAX < *first {
        return Err(format!("found a {} that begins only at {first}, {expected}", kind.words()));
    }
    Ok(received)
}

fn checked_issue(issued: Option<Utc>, now: Utc) -> Result<Option<Utc>, String> {
    match issued {
        Some(issued) if now + SKEW < issued => {
            Err(format!("found a time of issue in the future, {issued}; the clock shows {now}"))
        }
        Some(issued) if AGE_MAX.as_millis() < now.since(issued).as_millis() => {
            Err(format!("found an issue of {issued}, expected one of the last three days"))
        }
        other => Ok(other),
    }
}

fn issued(feed: &Feed, document: &Value, zone: &Calendar) -> Result<Option<Utc>, String> {
    let Some(pointer) = &feed.issued else { return Ok(None) };
    let found = document
        .pointer(pointer)
        .ok_or_else(|| format!("found nothing at {pointer}, expected the time of issue"))?;
    time(found, zone).map(Some).map_err(|problem| format!("at {pointer}: {problem}"))
}

fn from_json(feed: &Feed, document: &Value, zone: &Calendar) -> Result<Vec<(Utc, f64)>, String> {
    let at = |pointer: &Option<String>| match pointer {
        None => Ok(document),
        Some(pointer) => document
            .pointer(pointer)
            .ok_or_else(|| format!("found nothing at {pointer}, expected a series there")),
    };
    let series = at(&feed.series)?;
    let mut rows = Vec::new();
    let mut take = |place: String, when: &Value, value: &Value| -> Result<(), String> {
        // Publishers say null where they know nothing.
        if !value.is_null() {
            let when = time(when, zone).map_err(|problem| format!("{place}: {problem}"))?;
            rows.push((when, amount(value).map_err(|problem| format!("{place}: {problem}"))?));
        }
        Ok(())
    };
    match series {
        Value::Object(map) => {
            for (when, value) in map {
                take(format!("entry \"{when}\""), &Value::String(when.clone()), value)?;
            }
        }
        Value::Array(values) if feed.times.is_some() => {
            let times = at(&feed.times)?.as_array().ok_or("the times are no list")?;
            if times.len() != values.len() {
                let (times, values) = (times.len(), values.len());
                return Err(format!("found {times} times and {values} values, expected as many"));
            }
            for (index, (when, value)) in times.iter().zip(values).enumerate() {
                take(format!("entry {}", index + 1), when, value)?;
            }
        }
        Value::Array(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                let place = format!("entry {}", index + 1);
                let (when, value) = pair(feed, entry).map_err(|why| format!("{place}: {why}"))?;
                take(place, when, value)?;
            }
        }
        other => return Err(format!("found {}, expected a list or a map", shortened(other))),
    }
    Ok(rows)
}

fn pair<'a>(feed: &Feed, entry: &'a Value) -> Result<(&'a Value, &'a Value), String> {
    match entry {
        Value::Object(keys) => {
            let key = |name: &str| {
                keys.get(name).ok_or_else(|| {
                    let known: Vec<&str> = keys.keys().take(12).map(String::as_str).collect();
                    format!("found no \"{name}\" among {}", known.join(", "))
                })
            };
            Ok((key(&feed.time_key)?, key(&feed.value_key)?))
        }
        Value::Array(both) => match both.as_slice() {
            [when, value, ..] => Ok((when, value)),
            _ => Err("found a list of less than two, expected [time, value]".to_owned()),
        },
        other => Err(format!("found {}, expected {{…}} or [time, value]", shortened(other))),
    }
}

fn from_csv(feed: &Feed, text: &str, zone: &Calendar) -> Result<Vec<(Utc, f64)>, String> {
    let titles = text.lines().next().unwrap_or_default();
    let delimiter = if titles.contains(';') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let titles = reader.headers().map_err(|error| format!("found no CSV ({error})"))?.clone();
    let column = |name: &str| {
        titles.iter().position(|title| title == name).ok_or_else(|| {
            let known: Vec<&str> = titles.iter().take(12).collect();
            let known = shortened(&Value::String(known.join(", ")));
            format!("found no column \"{name}\" among {known}")
        })
    };
    let (times, values) = (column(&feed.time_key)?, column(&feed.value_key)?);
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let place = format!("line {}", index + 2);
        let record = record.map_err(|error| format!("{place}: {error}"))?;
        let field =
            |column: usize| Value::String(record.get(column).unwrap_or_default().to_owned());
        let value = field(values);
        if value == "" {
            continue;
        }
        let when = time(&field(times), zone).map_err(|problem| format!("{place}: {problem}"))?;
        rows.push((when, amount(&value).map_err(|problem| format!("{place}: {problem}"))?));
    }
    Ok(rows)
}

/// A time as text with or without a zone, or as seconds or milliseconds since 1970.
fn time(found: &Value, zone: &Calendar) -> Result<Utc, String> {
    /// In milliseconds this is 1973, in seconds the year 5138.
    const MILLISECONDS_FROM: f64 = 1e11;
    let number = |number: f64| {
        let millis = if number.abs() < MILLISECONDS_FROM { number * 1000.0 } else { number };
        number.is_finite().then(|| Utc::from_millis(millis as i64))
    };
    let read = match found {
        Value::String(text) => {
            zone.parse(text).or_else(|| text.trim().parse().ok().and_then(number))
        }
        Value::Number(stamp) => stamp.as_f64().and_then(number),
        _ => None,
    };
    read.ok_or_else(|| {
        format!("found {}, expected a time like 2026-05-01T12:00:00Z", shortened(found))
    })
}

fn amount(found: &Value) -> Result<f64, String> {
    let number = match found {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| format!("found {}, expected a number", shortened(found)))
}

fn short(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn shortened(found: &Value) -> String {
    const SHOWN_MAX: usize = 60;
    let text = found.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::feed::Place;
    use proptest::prelude::*;

    fn now() -> Utc {
        Utc::parse("2026-06-01T10:00:00Z").expect("a time")
    }

    fn feed() -> Feed {
        Feed {
            id: "sun".to_owned(),
            kind: FeedKind::Pv,
            place: Place::Topic("forecast/sun".to_owned()),
            series: None,
            times: None,
            issued: None,
            time_key: "time".to_owned(),
            value_key: "value".to_owned(),
            zone: "Europe/Paris".to_owned(),
            factor: 0.001,
            least: 0.0,
            most: 50.0,
        }
    }

    /// 10:00 and 11:00 UTC are at 2 and 4 kW.
    fn is_two_and_four(feed: &Feed, text: &str) {
        let read = read(feed, text.as_bytes(), now()).expect(text);
        assert_eq!(read.steps, [(now(), 2.0), (now() + Duration::hours(1), 4.0)], "{text}");
        assert_eq!(read.until, now() + Duration::hours(2));
    }

    #[test]
    fn the_shapes_that_forecasts_come_in_say_the_same() {
        is_two_and_four(
            &feed(),
            r#"[{"time": "2026-06-01T10:00:00Z", "value": 2000, "more": true},
                {"time": "2026-06-01T13:00:00+02:00", "value": "4000"}]"#,
        );
        is_two_and_four(&feed(), r#"[[1780308000, 2000], [1780311600000, 4000, 7]]"#);
        let watts = Feed { series: Some("/result/watts".to_owned()), ..feed() };
        is_two_and_four(
            &watts,
            r#"{"result": {"watts": {"2026-06-01 12:00:00": 2000, "2026-06-01 13:00:00": 4000,
                "2026-06-01 14:00:00": null}}}"#,
        );
        let hourly = Feed {
            series: Some("/hourly/power".to_owned()),
            times: Some("/hourly/time".to_owned()),
            zone: "UTC".to_owned(),
            ..feed()
        };
        is_two_and_four(
            &hourly,
            r#"{"hourly": {"time": ["2026-06-01T10:00", "2026-06-01T11:00"],
                "power": [2000.0, 4000.0]}}"#,
        );
        is_two_and_four(
            &feed(),
            "time,what,value\n2026-06-01T10:00:00Z,a,2000\n\
                                  2026-06-01T11:00:00Z,b,4000\n2026-06-01T12:00:00Z,c,\n",
        );
        is_two_and_four(&feed(), "value; time\n2000; 2026-06-01 12:00\n4000; 2026-06-01 13:00");
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        let says = |text: &str| {
            let feed = Feed { issued: text.contains("made").then(|| "/made".to_owned()), ..feed() };
            let series = text.starts_with('{').then(|| "/s".to_owned());
            read(&Feed { series, ..feed }, text.as_bytes(), now()).expect_err(text)
        };
        for (text, expected) in [
            ("", "found an empty document"),
            ("{\"s\": [", "found no JSON"),
            ("{\"t\": []}", "found nothing at /s, expected a series there"),
            ("{\"s\": 7}", "found 7, expected a list or a map"),
            ("[{\"at\": 1}]", "entry 1: found no \"time\" among at"),
            ("[[\"noon\", 1]]", "entry 1: found \"noon\", expected a time like"),
            ("[[1780308000, \"much\"]]", "entry 1: found \"much\", expected a number"),
            ("[[1780308000, -50]]", "found -0.05 kW for 2026-06-01T10:00:00Z, expected 0 to 50"),
            ("[[1780308000, 99000]]", "found 99 kW for 2026-06-01T10:00:00Z, expected 0 to 50: is"),
            ("[[1780200000, 5]]", "found a PV forecast that ends at 2026-05-31T05:00:00Z"),
            ("[[1580308000, 5]]", "found no value from two days back to twelve ahead"),
            ("[[1780608000, 5]]", "found a PV forecast that begins only at"),
            ("{\"made\": 1780000000, \"s\": []}", "found an issue of 2026-05-28T20:26:40Z"),
            ("{\"made\": \"2026-06-02T00:00:00Z\", \"s\": []}", "found a time of issue in the"),
            ("when,value\n1,2", "found no column \"time\" among \"when, value\""),
            ("time,value\n2026-06-01T10:00:00Z,x", "line 2: found \"x\", expected a number"),
        ] {
            let found = says(text);
            assert!(found.starts_with(expected), "{text}: {found}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_document_ends_in_a_sound_series_or_a_sentence(
            text in r#"[\[{]?(time,value\n)?[\[\]{}0-9,:;"TZ.e\- \n]{0,60}"#,
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            for payload in [text.as_bytes(), &bytes] {
                if let Ok(received) = read(&feed(), payload, now()) {
                    prop_assert!(now() < received.until);
                    let sound = |value: &f64| (0.0..=50.0).contains(value);
                    prop_assert!(received.steps.iter().all(|(_, value)| sound(value)));
                }
            }
        }
    }
}
