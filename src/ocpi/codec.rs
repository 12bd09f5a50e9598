//! Objects to and from the JSON of 2.2.1 and of 2.3.0.
//!
//! The two differ in prices, in what a tariff says of taxes, and in a few fields and words that
//! 2.2.1 lacks. Reading takes either form whatever version was agreed on: many platforms mix them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::decimal::Decimal;
use super::wire::tariff::Price;

/// A version that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Speech {
    /// 2.2.1.
    #[serde(rename = "2.2.1")]
    V221,
    /// 2.3.0.
    #[serde(rename = "2.3.0")]
    V230,
}

impl Speech {
    /// Both, the older first.
    pub const ALL: [Self; 2] = [Self::V221, Self::V230];

    /// As the versions endpoint has it.
    pub fn word(self) -> &'static str {
        match self {
            Speech::V221 => "2.2.1",
            Speech::V230 => "2.3.0",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|speech| speech.word() == word)
    }
}

/// An object as this version writes it.
pub fn encode<T: Serialize>(speech: Speech, object: &T) -> Value {
    let mut value = serde_json::to_value(object).expect("OCPI objects have text keys only");
    strip(&mut value);
    match speech {
        Speech::V221 => to_221(&mut value),
        Speech::V230 => to_230(&mut value),
    }
    value
}

/// An object from either version, or what is wrong with it in words.
pub fn decode<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Nulls and empty lists stay at home, save the lists that say something by being empty.
fn strip(value: &mut Value) {
    const MEANT: [&str; 1] = ["charging_profile_period"];
    match value {
        Value::Object(object) => {
            object.retain(|key, value| match value {
                Value::Null => false,
                Value::Array(list) => !list.is_empty() || MEANT.contains(&key.as_str()),
                _ => true,
            });
            object.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

fn walk(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(|value| walk(value, change));
            change(object);
        }
        Value::Array(list) => list.iter_mut().for_each(|value| walk(value, change)),
        _ => {}
    }
}

/// Prices are kept in the form of 2.3.0; 2.2.1 has other names and no list of taxes.
fn to_221(value: &mut Value) {
    walk(value, &mut |object| {
        object.remove("tax_included");
        object.remove("hub_party_id");
        if object.get("type").and_then(Value::as_str) == Some("EMAID") {
            object.insert("type".to_owned(), json!("OTHER"));
        }
        let Some(before) = object.remove("before_taxes") else { return };
        object.remove("taxes");
        object.insert("excl_vat".to_owned(), before);
        if let Some(after) = object.remove("after_taxes") {
            object.insert("incl_vat".to_owned(), after);
        }
    });
}

/// Only a price limit has `after_taxes` in 2.3.0; a price has the list of its taxes.
fn to_230(value: &mut Value) {
    walk(value, &mut |object| {
        let is_tariff = object.contains_key("elements") && object.contains_key("currency");
        if is_tariff && !object.contains_key("tax_included") {
            object.insert("tax_included".to_owned(), json!("NO"));
        }
        for (key, value) in object.iter_mut() {
            let Value::Object(price) = value else { continue };
            if !price.contains_key("before_taxes") {
                continue;
            }
            if key == "min_price" || key == "max_price" {
                price.remove("taxes");
            } else {
                price.remove("after_taxes");
                price.entry("taxes").or_insert_with(|| json!([]));
            }
        }
    });
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = Map::new();
        object.insert("before_taxes".to_owned(), json!(self.before_taxes));
        if let Some(after) = self.after_taxes {
            object.insert("after_taxes".to_owned(), json!(after));
            let tax = after - self.before_taxes;
            object.insert("taxes".to_owned(), json!([{ "name": "VAT", "amount": tax }]));
        }
        Value::Object(object).serialize(to)
    }
}

/// Every form that a price was seen in.
#[derive(Deserialize)]
struct AnyPrice {
    #[serde(alias = "excl_vat")]
    before_taxes: Decimal,
    #[serde(alias = "incl_vat")]
    after_taxes: Option<Decimal>,
    taxes: Option<Vec<Tax>>,
}

#[derive(Deserialize)]
struct Tax {
    amount: Decimal,
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let AnyPrice { before_taxes, after_taxes, taxes } = AnyPrice::deserialize(from)?;
        let taxes = taxes.filter(|taxes| !taxes.is_empty());
        let sum = taxes.map(|taxes| before_taxes + taxes.iter().map(|tax| tax.amount).sum());
        Ok(Self { before_taxes, after_taxes: after_taxes.or(sum) })
    }
}
