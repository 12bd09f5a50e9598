//! Checks TOML values against the schema, key by key, and never stops at the first mistake: unknown
//! keys, wrong types, missing keys, numbers out of range, words that are none of the choices.
//!
//! What is sound comes out as JSON for serde; what is not is left out, so that the later checks go
//! on with the rest. Lists keep their places: the third EVSE stays the third.

use serde_json::{Map, Number, Value, json};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::report::Report;
use super::schema;
use super::words::{self, is_secret, nearest, number, one_of, quoted};

/// The sound part of the file.
pub fn check(root: &Value, table: &DeTable<'_>, report: &mut Report) -> Value {
    for (key, value) in table.iter() {
        locate(value, key.get_ref(), report);
    }
    report.name_unreadable();
    check_table(&Context { root }, root, table, "", report)
}

struct Context<'a> {
    root: &'a Value,
}

/// Remembers where everything stands and what it is called, before anything is reported.
fn locate(value: &Spanned<DeValue<'_>>, path: &str, report: &mut Report) {
    report.locate(path, &value.span());
    match value.get_ref() {
        DeValue::Table(table) => {
            if let Some(DeValue::String(id)) = table.get("id").map(Spanned::get_ref) {
                report.call(path, id);
            }
            for (key, value) in table.iter() {
                locate(value, &join(path, key.get_ref()), report);
            }
        }
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                locate(item, &format!("{path}[{index}]"), report);
            }
        }
        _ => {}
    }
}

fn check_table(
    context: &Context<'_>,
    schema: &Value,
    table: &DeTable<'_>,
    path: &str,
    report: &mut Report,
) -> Value {
    let mut sound = Map::new();
    for (key, value) in table.iter() {
        let here = join(path, key.get_ref());
        match schema.pointer("/properties").and_then(|keys| keys.get(key.get_ref().as_ref())) {
            None => {
                let expected = known_keys(context, schema, key.get_ref(), path);
                report.unknown(&key.span(), path, key.get_ref(), expected);
            }
            Some(schema) => {
                if let Some(value) = check_value(context, schema, value, &here, report) {
                    sound.insert(key.get_ref().to_string(), value);
                }
            }
        }
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for key in required.filter_map(Value::as_str).filter(|key| !table.contains_key(*key)) {
        if report.hides(path, key) {
            continue;
        }
        let wanted = schema.pointer("/properties").and_then(|keys| keys.get(key));
        let expected = wanted.map(|schema| missing(schema, key)).unwrap_or_default();
        match path {
            "" => report.error("", format!("no [{key}]"), expected),
            _ => report.error(&join(path, key), "nothing", expected),
        }
    }
    Value::Object(sound)
}

fn check_value(
    context: &Context<'_>,
    schema: &Value,
    value: &Spanned<DeValue<'_>>,
    path: &str,
    report: &mut Report,
) -> Option<Value> {
    let schema = fitting(schema, value.get_ref());
    let forms = if schema.get("anyOf").is_some() { "several forms" } else { "string" };
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or(forms);
    match (kind, value.get_ref()) {
        ("object", DeValue::Table(table)) => {
            Some(check_table(context, schema, table, path, report))
        }
        ("array", DeValue::Array(items)) => {
            let item_schema = schema.get("items")?;
            if let Some(problem) = wrong_length(schema, items.len()) {
                report.error(path, written(value.get_ref()), problem);
                return None;
            }
            let each = items.iter().enumerate().map(|(index, item)| {
                check_value(context, item_schema, item, &format!("{path}[{index}]"), report)
            });
            let sound: Vec<Option<Value>> = each.collect();
            // A list of tables keeps its places; any other list is sound as a whole or not at all.
            if item_schema.get("type").is_some_and(|kind| kind == "object") {
                return Some(sound.into_iter().map(|item| item.unwrap_or(json!({}))).collect());
            }
            sound.into_iter().collect::<Option<Vec<Value>>>().map(Value::Array)
        }
        ("number" | "integer", DeValue::Integer(_) | DeValue::Float(_)) => {
            check_number(schema, value.get_ref(), path, report)
        }
        ("boolean", DeValue::Boolean(truth)) => Some(json!(truth)),
        ("string", DeValue::String(text)) => check_text(schema, text, path, report),
        _ => {
            let found = written(value.get_ref());
            let expected = wrong_type(schema, kind, value.get_ref(), path);
            report.error(path, found, expected);
            None
        }
    }
}

/// Of several forms that a value may have, the one that it was written in.
fn fitting<'a>(schema: &'a Value, value: &DeValue<'_>) -> &'a Value {
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let kind = match value {
        DeValue::Array(_) => "array",
        DeValue::Integer(_) | DeValue::Float(_) => "number",
        _ => return schema,
    };
    let fits = |choice: &&Value| choice.get("type").is_some_and(|name| name == kind);
    choices.and_then(|choices| choices.iter().find(fits)).unwrap_or(schema)
}

fn check_number(
    schema: &Value,
    value: &DeValue<'_>,
    path: &str,
    report: &mut Report,
) -> Option<Value> {
    let float = match value {
        DeValue::Integer(integer) => whole(integer).map(|whole| whole as f64),
        DeValue::Float(float) => float.as_str().replace('_', "").parse().ok(),
        _ => None,
    };
    let least = schema.get("minimum").and_then(Value::as_f64);
    let most = schema.get("maximum").and_then(Value::as_f64);
    let sound = float.filter(|number| {
        number.is_finite()
            && least.is_none_or(|least| least <= *number)
            && most.is_none_or(|most| *number <= most)
    });
    let integer = schema.get("type").is_some_and(|kind| kind == "integer");
    match (sound, value) {
        (Some(number), _) if integer && number.fract() == 0.0 => Some(json!(number as i64)),
        (Some(number), _) if !integer => Number::from_f64(number).map(Value::Number),
        _ => {
            report.error(path, written(value), described(schema, key_of(path)));
            None
        }
    }
}

fn check_text(schema: &Value, text: &str, path: &str, report: &mut Report) -> Option<Value> {
    let choices = choices(schema);
    if !choices.is_empty() && !choices.contains(&text) {
        let meant = nearest(text, choices.iter().copied());
        let expected = match meant {
            Some(meant) if choices.len() > 6 => {
                format!("{} (did you mean {}?)", one_of(choices), quoted(meant))
            }
            _ => one_of(choices),
        };
        report.error(path, quoted(text), expected);
        return None;
    }
    let length = text.chars().count() as u64;
    let at_least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
    let at_most = schema.get("maxLength").and_then(Value::as_u64).unwrap_or(u64::MAX);
    if length < at_least {
        report.error(path, "an empty text", described(schema, key_of(path)));
        return None;
    }
    if at_most < length {
        let what = if is_secret(path) { "one".to_owned() } else { quoted(text) };
        let found = format!("{what} with {length} characters");
        report.error(path, found, format!("at most {at_most} characters"));
        return None;
    }
    Some(json!(text))
}

/// What belongs here, e.g. `a number from 60 to 900 (seconds)`.
fn described(schema: &Value, key: &str) -> String {
    let hint = schema.get("x-hint").and_then(Value::as_str);
    let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
    let choices = choices(schema);
    if !choices.is_empty() {
        return one_of(choices);
    }
    if let Some(forms) = schema.get("anyOf").and_then(Value::as_array) {
        let forms: Vec<String> = forms.iter().map(|form| described(form, key)).collect();
        return format!("{}{hint}", forms.join(", or "));
    }
    let what = match schema.get("type").and_then(Value::as_str).unwrap_or("string") {
        kind @ ("number" | "integer") => {
            let whole = if kind == "integer" { "whole " } else { "" };
            let unit = unit_of(key);
            let bound = |name: &str| schema.get(name).and_then(Value::as_f64).map(number);
            match (bound("minimum"), bound("maximum")) {
                (Some(least), Some(most)) => {
                    format!("a {whole}number from {least} to {most}{unit}")
                }
                _ => format!("a {whole}number{unit}"),
            }
        }
        "boolean" => "true or false".to_owned(),
        "array" => match schema.get("items").map(|items| described(items, key)) {
            Some(_) if schema.get("minItems") == Some(&json!(3)) => {
                "three of them: [L1, L2, L3]".to_owned()
            }
            Some(_) if is_table_list(schema) => format!("tables, each headed [[{key}]]"),
            _ => "a list of texts in quotes: [\"…\", \"…\"]".to_owned(),
        },
        "object" => format!("a table headed [{key}]"),
        _ => "text in quotes".to_owned(),
    };
    format!("{what}{hint}")
}

/// What belongs where nothing is, with the example of the manual.
fn missing(schema: &Value, key: &str) -> String {
    let example = schema.pointer("/examples/0").map(|example| format!("{key} = {example}"));
    match (example, schema.get("type").and_then(Value::as_str)) {
        (_, Some("object")) => {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let mut keys: Vec<String> =
                required.filter_map(Value::as_str).map(str::to_owned).collect();
            let last = if keys.is_empty() { "or" } else { "and" };
            if keys.is_empty() {
                keys = schema::keys(schema).map(|(key, _)| key.to_owned()).collect();
            }
            format!("it, with {}", words::join(&keys, last))
        }
        (Some(example), _) => format!("{}, e.g. {example}", described(schema, key)),
        (None, _) => described(schema, key),
    }
}

fn wrong_type(schema: &Value, kind: &str, value: &DeValue<'_>, path: &str) -> String {
    let key = key_of(path);
    match (kind, value) {
        ("array", DeValue::Table(_)) if is_table_list(schema) => {
            format!("two brackets, [[{key}]], because there may be several")
        }
        ("object", DeValue::Array(_)) => {
            format!("one bracket, [{key}], because there is only one")
        }
        ("number" | "integer" | "several forms", DeValue::String(text)) => {
            let digits: String = text
                .chars()
                .take_while(|letter| letter.is_ascii_digit() || matches!(letter, '.' | '-'))
                .collect();
            let parsed: Option<f64> = digits.parse().ok();
            match parsed {
                Some(value) => {
                    let plain = number(value);
                    format!("{}, without quotes and unit: {plain}", described(schema, key))
                }
                None => described(schema, key),
            }
        }
        ("boolean", DeValue::String(text)) if text == "true" || text == "false" => {
            format!("{text} without quotes")
        }
        _ => described(schema, key),
    }
}

fn wrong_length(schema: &Value, length: usize) -> Option<String> {
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    let length = length as u64;
    if let Some(least) = bound("minItems").filter(|least| length < *least) {
        return Some(format!("{least} numbers: [L1, L2, L3]"));
    }
    let most = bound("maxItems").filter(|most| *most < length)?;
    Some(match bound("minItems") {
        Some(_) => format!("{most} numbers: [L1, L2, L3]"),
        None => format!("at most {most} of them, not {length}"),
    })
}

fn known_keys(context: &Context<'_>, schema: &Value, key: &str, path: &str) -> String {
    let known: Vec<&str> = schema::keys(schema).map(|(key, _)| key).collect();
    if let Some(meant) = nearest(key, known.iter().copied()) {
        return format!("a known key (did you mean {}?)", quoted(meant));
    }
    let elsewhere = schema::tables_with(context.root, key);
    if let ([first, ..], false) = (elsewhere.as_slice(), path.is_empty()) {
        return format!("it in {first}, where it belongs");
    }
    let mut known: Vec<&str> = known;
    known.sort_unstable();
    format!("one of {}", known.join(", "))
}

fn choices(schema: &Value) -> Vec<&str> {
    let described = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let described = described.filter_map(|choice| choice.get("const"));
    let plain = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    described.chain(plain).filter_map(Value::as_str).collect()
}

fn is_table_list(schema: &Value) -> bool {
    schema.pointer("/items/type").is_some_and(|kind| kind == "object")
}

/// The unit that a key's name ends in, in words.
fn unit_of(key: &str) -> &'static str {
    match key.rsplit('_').next().unwrap_or_default() {
        "a" => " A",
        "v" => " V",
        "kw" => " kW",
        "kva" => " kVA",
        "s" => " seconds",
        "min" => " minutes",
        _ => "",
    }
}

/// The value as it was written, short.
fn written(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.as_str().to_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(items) => match items.first().map(Spanned::get_ref) {
            Some(DeValue::Table(_)) => "a list of tables".to_owned(),
            _ if items.len() == 1 => "a list of one".to_owned(),
            _ => format!("a list of {}", items.len()),
        },
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn whole(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}

fn key_of(path: &str) -> &str {
    let last = path.rsplit('.').next().unwrap_or_default();
    last.split('[').next().unwrap_or_default()
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
