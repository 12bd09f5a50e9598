//! What is written in either version is read as what it was, and what real platforms make of it is
//! read as the same.

use ampgate::ground::time::Utc;
use ampgate::ocpi::codec::{Speech, decode, encode};
use ampgate::ocpi::decimal::Decimal;
use ampgate::ocpi::text::{Ci, Time};
use ampgate::ocpi::wire::session::{
    CdrToken, ChargingPeriod, ChargingPreferences, Dimension, Measure, Session, SessionStatus,
};
use ampgate::ocpi::wire::tariff::{
    DimensionKind, Price, PriceComponent, Restrictions, Tariff, TariffElement,
};
use ampgate::ocpi::wire::token::TokenType;
use proptest::prelude::*;
use serde_json::{Value, json};

fn time() -> impl Strategy<Value = Time> {
    (1_500_000_000i64..2_000_000_000).prop_map(|seconds| Time(Utc::from_millis(seconds * 1000)))
}

fn number() -> impl Strategy<Value = Decimal> {
    (-9_000_000i64..9_000_000).prop_map(|units| Decimal::new(units, 4))
}

fn name() -> impl Strategy<Value = Ci> {
    "[A-Za-z0-9*_-]{1,36}".prop_map(|text| Ci::new(&text))
}

fn price() -> impl Strategy<Value = Price> {
    (number(), prop::option::of(number()))
        .prop_map(|(before_taxes, after_taxes)| Price { before_taxes, after_taxes })
}

fn period() -> impl Strategy<Value = ChargingPeriod> {
    let kind = prop_oneof![
        Just(Measure::Energy),
        Just(Measure::Time),
        Just(Measure::ParkingTime),
        Just(Measure::Other("PLASMA".to_owned())),
    ];
    let dimension = (kind, number()).prop_map(|(kind, volume)| Dimension { kind, volume });
    let all = (time(), prop::collection::vec(dimension, 0..3), prop::option::of(name()));
    all.prop_map(|(start_date_time, dimensions, tariff_id)| ChargingPeriod {
        start_date_time,
        dimensions,
        tariff_id,
    })
}

fn token() -> impl Strategy<Value = CdrToken> {
    let kind = prop_oneof![
        Just(TokenType::Rfid),
        Just(TokenType::AppUser),
        Just(TokenType::Other("CHIP_IN_HAND".to_owned())),
    ];
    (name(), name(), kind).prop_map(|(uid, contract_id, kind)| CdrToken {
        country_code: Ci::new("NL"),
        party_id: Ci::new("Tnm"),
        uid,
        kind,
        contract_id,
    })
}

fn preferences() -> impl Strategy<Value = ChargingPreferences> {
    (prop::option::of(time()), prop::option::of(number())).prop_map(|(departure_time, need)| {
        ChargingPreferences {
            profile_type: "REGULAR".to_owned(),
            departure_time,
            energy_need: need,
            discharge_allowed: None,
        }
    })
}

prop_compose! {
    fn session()(
        id in name(), token in token(),
        (start, end, updated) in (time(), prop::option::of(time()), time()),
        kwh in number(), meter_id in prop::option::of("[ -~]{1,40}"),
        charging_periods in prop::collection::vec(period(), 0..4),
        total_cost in prop::option::of(price()), wants in prop::option::of(preferences()),
        status in prop_oneof![Just(SessionStatus::Active), Just(SessionStatus::Completed),
                              Just(SessionStatus::Other("DREAMING".to_owned()))],
    ) -> Session {
        Session {
            country_code: Ci::new("FR"),
            party_id: Ci::new("AMP"),
            id,
            start_date_time: start,
            end_date_time: end,
            kwh,
            cdr_token: token,
            auth_method: "WHITELIST".to_owned(),
            authorization_reference: None,
            location_id: Ci::new("Office-1"),
            evse_uid: Ci::new("EVSE-01"),
            connector_id: Ci::new("1"),
            meter_id,
            currency: "EUR".to_owned(),
            charging_periods,
            total_cost,
            status,
            charging_preferences: wants,
            last_updated: updated,
        }
    }
}

prop_compose! {
    fn tariff()(
        id in name(), updated in time(), min_price in prop::option::of(price()),
        parts in prop::collection::vec(
            (number(), prop::option::of(number()), 1i64..5000, prop::option::of(number()),
             prop::option::of(1i64..90_000)), 1..4),
    ) -> Tariff {
        let element = |(price, vat, step_size, min_kwh, max_duration)| TariffElement {
            price_components: vec![PriceComponent {
                kind: DimensionKind::Energy, price, vat, step_size,
            }],
            restrictions: Some(Restrictions {
                start_time: Some("22:00".to_owned()),
                min_kwh,
                max_duration,
                day_of_week: vec!["MONDAY".to_owned()],
                ..Restrictions::default()
            }),
        };
        Tariff {
            country_code: Ci::new("FR"),
            party_id: Ci::new("AMP"),
            id,
            currency: "EUR".to_owned(),
            kind: None,
            tariff_alt_text: Vec::new(),
            min_price,
            max_price: None,
            elements: parts.into_iter().map(element).collect(),
            tax_included: None,
            start_date_time: None,
            end_date_time: None,
            last_updated: updated,
        }
    }
}

/// What platforms do to an object on its way: fields of their own, nulls, and numbers as texts.
fn mangled(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(mangled);
            object.insert("_private".to_owned(), json!({ "x": [1] }));
            for name in ["meter_id", "end_date_time", "charging_periods", "dimensions"] {
                object.entry(name).or_insert(Value::Null);
            }
            for name in ["kwh", "volume", "price"] {
                if let Some(Value::Number(number)) = object.get(name).cloned() {
                    object.insert(name.to_owned(), json!(number.to_string()));
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(mangled),
        _ => {}
    }
}

proptest! {
    #[test]
    fn a_session_is_read_as_it_was_written(session in session()) {
        for speech in Speech::ALL {
            let mut value = encode(speech, &session);
            prop_assert_eq!(&decode::<Session>(value.clone()).unwrap(), &session);
            prop_assert!(!value.to_string().contains("null"), "strict out");
            mangled(&mut value);
            prop_assert_eq!(&decode::<Session>(value).unwrap(), &session, "lenient in");
        }
    }

    #[test]
    fn a_tariff_is_read_as_it_was_written(tariff in tariff()) {
        for speech in Speech::ALL {
            let value = encode(speech, &tariff);
            prop_assert_eq!(value.get("tax_included").is_some(), speech == Speech::V230);
            let mut read = decode::<Tariff>(value).unwrap();
            read.tax_included = None;
            prop_assert_eq!(&read, &tariff);
        }
    }

    #[test]
    fn a_text_that_is_no_object_panics_nobody(text in "[ -~]{0,60}") {
        let value = serde_json::from_str(&text).unwrap_or(json!({ "id": text }));
        prop_assert!(decode::<Session>(value).is_err());
    }
}
