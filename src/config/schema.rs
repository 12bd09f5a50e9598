//! The JSON Schema of the configuration, from the doc comments of the `file` structs.
//!
//! It is both what `ampgate schema config` prints and what [`super::structure`] checks files with.
//! Everything is inlined: there is no `$ref` to follow. TOML has no null, so none is in it.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::file::File;

/// The schema of the whole file (JSON Schema 2020-12).
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<File>().to_value();
    tidy(&mut schema);
    schema
}

/// The keys of a table of the schema with their schemas.
pub fn keys(table: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let keys = table.get("properties").and_then(Value::as_object).into_iter().flatten();
    keys.map(|(key, schema)| (key.as_str(), schema))
}

/// Tables of the configuration that have `key`, as they are written: `[[evse]]`, `[lease]`.
pub fn tables_with(root: &Value, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, table) in keys(root) {
        match table.get("items") {
            Some(items) => {
                if keys(items).any(|(known, _)| known == key) {
                    found.push(format!("[[{name}]]"));
                }
                for (inner, table) in keys(items) {
                    let below = table.get("items").into_iter().flat_map(keys);
                    if below.into_iter().any(|(known, _)| known == key) {
                        found.push(format!("[[{name}.{inner}]]"));
                    }
                }
            }
            None if keys(table).any(|(known, _)| known == key) => found.push(format!("[{name}]")),
            None => {}
        }
    }
    found
}

/// Takes null out of optional keys and line breaks out of descriptions.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            without_null(object);
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.replace("\n\n", "\r").replace('\n', " ").replace('\r', "\n\n");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn without_null(object: &mut Map<String, Value>) {
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else { return };
    choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
        without_null(object);
    }
}
