//! The tables of OCPI as the rest of Ampgate knows them.

use serde_json::{Map, Value, json};

use crate::ground::ids::EvseId;
use crate::model::partner::{Facade, Ocpi, Partner, PartnerEvse, Place, Share, TokenEncoding};
use crate::model::site::Site;

use super::derive;
use super::file::File;
use super::file_ocpi::{self, Element, Encoding, Mode};
use super::network::Shown;

/// What a plug is unless it is said otherwise.
const STANDARD: &str = "IEC_62196_T2";

/// As much as is sound; none without `[ocpi]`.
pub fn build(file: &File, site: &Site) -> Option<Ocpi> {
    let ocpi = file.ocpi.as_ref()?;
    let place = ocpi.location.as_ref()?;
    let partners: Vec<Partner> = file.partner.iter().filter_map(partner).collect();
    let taken: Vec<&EvseId> =
        partners.iter().flat_map(|partner| &partner.evses).map(|one| &one.evse).collect();
    let facades = site.diagram.evses.iter().filter(|evse| !taken.contains(&&evse.id));
    let listener = file.listen.ocpi.clone().unwrap_or_default();
    let scheme = if shown(file).is_some() { "https" } else { "http" };
    let url = ocpi.public_base_url.clone().unwrap_or(format!("{scheme}://{listener}"));
    Some(Ocpi {
        country_code: ocpi.country_code.clone()?,
        party_id: ocpi.party_id.clone()?,
        name: ocpi.name.clone()?,
        website: ocpi.website.clone(),
        public_url: url.trim_end_matches('/').to_owned(),
        currency: ocpi.currency.clone(),
        zone: site.zone.clone(),
        place: Place {
            id: place.id.clone()?,
            name: site.name.clone(),
            address: place.address.clone()?,
            city: place.city.clone()?,
            postal_code: place.postal_code.clone(),
            country: place.country.clone()?,
            latitude: place.latitude.clone()?,
            longitude: place.longitude.clone()?,
            publish: place.publish,
        },
        facades: facades.map(|evse| facade(ocpi, evse)).collect(),
        tariffs: ocpi.tariff.iter().map(|tariff| json_tariff(ocpi, tariff)).collect(),
        update_every: derive::seconds(ocpi.update_s),
        voltage_v: site.diagram.voltage.as_f64().round() as i64,
        partners,
    })
}

/// What the listener shows, where it speaks TLS itself.
pub fn shown(file: &File) -> Option<Shown> {
    let ocpi = file.ocpi.as_ref()?;
    let (certificate, key) = (ocpi.certificate_file.as_ref()?, ocpi.key_file.as_ref()?);
    Some(Shown { certificate: certificate.into(), key: key.into() })
}

fn facade(ocpi: &file_ocpi::Ocpi, evse: &crate::model::diagram::Evse) -> Facade {
    let own = ocpi.connector.iter().find(|one| one.evse.as_deref() == Some(evse.id.as_str()));
    let country = ocpi.country_code.as_deref().unwrap_or_default();
    let party = ocpi.party_id.as_deref().unwrap_or_default();
    let plain: String =
        evse.id.as_str().chars().filter(char::is_ascii_alphanumeric).take(31).collect();
    let derived = format!("{country}*{party}*E{}", plain.to_ascii_uppercase());
    let first = || ocpi.tariff.first().and_then(|tariff| tariff.id.clone());
    let tariff = own.and_then(|own| own.tariff.clone()).or_else(first);
    Facade {
        evse: evse.id.clone(),
        evse_id: own.and_then(|own| own.evse_id.clone()).unwrap_or(derived),
        connector: evse.connector,
        standard: own.and_then(|own| own.standard.clone()).unwrap_or(STANDARD.to_owned()),
        has_cable: own.is_some_and(|own| own.cable),
        phases: evse.wiring.len(),
        max_a: evse.rated.as_f64().floor() as i64,
        tariffs: tariff.into_iter().collect(),
    }
}

fn partner(partner: &file_ocpi::Partner) -> Option<Partner> {
    let evse = |one: &file_ocpi::PartnerEvse| {
        Some(PartnerEvse {
            evse: EvseId::new(one.evse.as_deref()?),
            location_id: one.location_id.clone()?,
            evse_uid: one.evse_uid.clone()?,
        })
    };
    Some(Partner {
        id: partner.id.clone()?,
        gateway: partner.mode != Mode::Scsp,
        scsp: partner.mode != Mode::Gateway,
        versions: partner.versions.clone(),
        encoding: match partner.token_encoding {
            Encoding::Base64 => TokenEncoding::Base64,
            Encoding::Raw => TokenEncoding::Raw,
        },
        share: match partner.sessions {
            file_ocpi::Share::All => Share::All,
            file_ocpi::Share::Own => Share::Own,
        },
        trailing_slash: partner.trailing_slash,
        omit_routing_headers: partner.omit_routing_headers,
        response_origins: partner.response_origins.clone(),
        poll_every: derive::seconds(partner.poll_s),
        evses: partner.evse.iter().filter_map(evse).collect(),
        meter_id_pattern: partner.meter_id_pattern.clone(),
        starts_safe: partner.starts_at_safe_a,
    })
}

/// A tariff in the words of OCPI 2.3.0.
fn json_tariff(ocpi: &file_ocpi::Ocpi, tariff: &file_ocpi::Tariff) -> Value {
    let mut object = Map::new();
    object.insert("id".to_owned(), json!(tariff.id));
    object.insert("currency".to_owned(), json!(ocpi.currency));
    object.insert("tax_included".to_owned(), json!("NO"));
    for (name, price) in [("min_price", tariff.min_price), ("max_price", tariff.max_price)] {
        if let Some(price) = price {
            object.insert(name.to_owned(), json!({ "before_taxes": price }));
        }
    }
    let elements: Vec<Value> = tariff.element.iter().map(json_element).collect();
    object.insert("elements".to_owned(), Value::Array(elements));
    Value::Object(object)
}

fn json_element(element: &Element) -> Value {
    let priced = [
        ("FLAT", element.flat, None),
        ("ENERGY", element.per_kwh, element.step_wh),
        ("TIME", element.per_hour, element.step_s),
        ("PARKING_TIME", element.parking_per_hour, element.step_s),
    ];
    let components: Vec<Value> = priced
        .into_iter()
        .filter_map(|(kind, price, step)| {
            let step = step.unwrap_or(1);
            let mut component = json!({ "type": kind, "price": price?, "step_size": step });
            if let Some(vat) = element.vat_percent {
                component["vat"] = json!(vat);
            }
            Some(component)
        })
        .collect();
    let mut restrictions = Map::new();
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            restrictions.insert(name.to_owned(), value);
        }
    };
    add("start_time", json!(element.from));
    add("end_time", json!(element.until));
    add("day_of_week", json!(element.days));
    add("min_kwh", json!(element.min_kwh));
    add("max_kwh", json!(element.max_kwh));
    add("min_duration", json!(element.min_duration_s));
    add("max_duration", json!(element.max_duration_s));
    if restrictions.is_empty() {
        json!({ "price_components": components })
    } else {
        json!({ "price_components": components, "restrictions": restrictions })
    }
}
