//! Rules of `[ocpi]` and `[[partner]]`.

use std::collections::BTreeSet;

use super::check_policy::address;
use super::file::File;
use super::report::Report;
use super::words::{nearest, one_of, quoted};

/// Checks everything of OCPI.
pub fn check(file: &File, report: &mut Report) {
    check_presence(file, report);
    check_tariffs(file, report);
    check_partners(file, report);
    check_location(file, report);
    check_connectors(file, report);
}

fn check_presence(file: &File, report: &mut Report) {
    if let Some(written) = &file.listen.ocpi {
        match address(&file.listen.ocpi) {
            None => report.error(
                "listen.ocpi",
                quoted(written),
                "an address with its port, like \"127.0.0.1:8085\"",
            ),
            Some(address) if !address.ip().is_loopback() && !is_inside_tls(file) => report.warning(
                "listen.ocpi",
                quoted(written),
                "ocpi.certificate_file and ocpi.key_file, or loopback behind a reverse proxy with \
                 TLS: tokens cross this network in clear",
            ),
            Some(_) => {}
        }
    }
    let wants = file.listen.ocpi.is_some() || !file.partner.is_empty();
    if wants && file.ocpi.is_none() && !report.is_wrong_below("ocpi") {
        report.error("", "no [ocpi]", "it, with country_code, party_id, name and [ocpi.location]");
    }
    if file.ocpi.is_some() && file.listen.ocpi.is_none() {
        report.warning(
            "ocpi",
            "no listen.ocpi",
            "ocpi = \"127.0.0.1:8085\" in [listen]: without it no partner can register",
        );
    }
    let pair = file
        .ocpi
        .as_ref()
        .map(|ocpi| [("certificate_file", &ocpi.certificate_file), ("key_file", &ocpi.key_file)]);
    if let Some([(there, Some(_)), (absent, None)] | [(absent, None), (there, Some(_))]) = pair {
        let path = format!("ocpi.{there}");
        report.error(&path, format!("{there} without {absent}"), "both, or none of them");
    }
    let url = file.ocpi.as_ref().and_then(|ocpi| ocpi.public_base_url.as_deref());
    if let Some(url) = url
        && !(url.starts_with("https://") || url.starts_with("http://"))
    {
        report.error("ocpi.public_base_url", quoted(url), "a URL that begins with https://");
    }
}

fn is_inside_tls(file: &File) -> bool {
    super::build_ocpi::shown(file).is_some()
}

fn check_location(file: &File, report: &mut Report) {
    let Some(location) = file.ocpi.as_ref().and_then(|ocpi| ocpi.location.as_ref()) else { return };
    for (name, written, most) in
        [("latitude", &location.latitude, 90.0), ("longitude", &location.longitude, 180.0)]
    {
        let Some(text) = written else { continue };
        let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let degrees: Option<f64> = text.parse().ok();
        let good = degrees.is_some_and(|degrees| -most <= degrees && degrees <= most);
        if !good || !(5..=7).contains(&decimals) {
            let path = format!("ocpi.location.{name}");
            report.error(&path, quoted(text), "degrees with five to seven decimals");
        }
    }
}

fn check_connectors(file: &File, report: &mut Report) {
    let Some(ocpi) = &file.ocpi else { return };
    for (index, connector) in ocpi.connector.iter().enumerate() {
        let path = format!("ocpi.connector[{index}]");
        check_evse(file, &format!("{path}.evse"), &connector.evse, report);
        let known = || ocpi.tariff.iter().filter_map(|tariff| tariff.id.as_deref());
        if let Some(tariff) = &connector.tariff
            && !known().any(|id| id == tariff)
        {
            let expected = format!("the id of an [[ocpi.tariff]]: {}", one_of(known()));
            report.error(&format!("{path}.tariff"), quoted(tariff), expected);
        }
    }
}

fn check_evse(file: &File, path: &str, written: &Option<String>, report: &mut Report) {
    let Some(evse) = written else { return };
    let ids = || file.evse.iter().filter_map(|evse| evse.id.as_deref());
    if ids().any(|id| id == evse) {
        return;
    }
    let expected = match nearest(evse, ids()) {
        Some(meant) => format!("the id of an [[evse]] (did you mean {}?)", quoted(meant)),
        None => "the id of an [[evse]]".to_owned(),
    };
    report.error(path, quoted(evse), expected);
}

fn check_tariffs(file: &File, report: &mut Report) {
    const DAYS: [&str; 7] =
        ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
    let mut known = BTreeSet::new();
    let Some(ocpi) = &file.ocpi else { return };
    for (index, tariff) in ocpi.tariff.iter().enumerate() {
        let path = format!("ocpi.tariff[{index}]");
        if let Some(id) = &tariff.id
            && !known.insert(id.to_lowercase())
        {
            report.error(&format!("{path}.id"), quoted(id), "an id that no other tariff has");
        }
        if tariff.element.is_empty() {
            report.error(&path, "no element", "at least one [[ocpi.tariff.element]] with a price");
        }
        for (place, element) in tariff.element.iter().enumerate() {
            let path = format!("{path}.element[{place}]");
            for (key, time) in [("from", &element.from), ("until", &element.until)] {
                let Some(text) = time else { continue };
                if !is_time_of_day(text) {
                    report.error(&format!("{path}.{key}"), quoted(text), "a time like \"17:00\"");
                }
            }
            for day in element.days.iter().flatten() {
                if !DAYS.contains(&day.as_str()) {
                    report.error(&format!("{path}.days"), quoted(day), one_of(DAYS));
                }
            }
        }
    }
}

fn is_time_of_day(text: &str) -> bool {
    let parts = text.split_once(':').map(|(hour, minute)| (hour.parse(), minute.parse()));
    matches!(parts, Some((Ok(0_u8..=23), Ok(0_u8..=59))))
}

fn check_partners(file: &File, report: &mut Report) {
    let (mut known, mut placed) = (BTreeSet::new(), BTreeSet::new());
    for (index, partner) in file.partner.iter().enumerate() {
        let path = format!("partner[{index}]");
        if let Some(id) = &partner.id
            && !known.insert(id.to_lowercase())
        {
            report.error(&format!("{path}.id"), quoted(id), "an id that no other partner has");
        }
        for version in &partner.versions {
            if !["2.2.1", "2.3.0"].contains(&version.as_str()) {
                let expected = one_of(["2.2.1", "2.3.0"]);
                report.error(&format!("{path}.versions"), quoted(version), expected);
            }
        }
        for (place, evse) in partner.evse.iter().enumerate() {
            let path = format!("{path}.evse[{place}].evse");
            check_evse(file, &path, &evse.evse, report);
            if let Some(evse) = &evse.evse
                && !placed.insert(evse.clone())
            {
                report.error(&path, quoted(evse), "each EVSE with one partner, once");
            }
        }
        let scsp = partner.mode != super::file_ocpi::Mode::Gateway;
        if scsp && partner.evse.is_empty() {
            report.warning(
                &path,
                "no EVSE",
                "[[partner.evse]]: without a place in the diagram none of its EVSEs is planned",
            );
        }
    }
}
