//! Rules of `[[forecast.source]]`, and the feeds that follow from them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::ground::time::Duration;
use crate::model::feed::{Feed, FeedKind, Place};

use super::file::File;
use super::file_forecast::{FeedUnit, Kind, Source};
use super::pointer::{check_pointer, check_topic};
use super::report::Report;
use super::words::quoted;
use super::zone;

/// Where `every_min` is left out.
const EVERY_MIN: f64 = 60.0;
/// No plant gives more than this many times its peak.
const BEYOND_PEAK: f64 = 1.5;
/// Where nothing is known of a plant or a building, in kW.
const POWER_MOST_KW: f64 = 100_000.0;

/// Checks all sources.
pub fn check(file: &File, report: &mut Report) {
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    for (index, source) in file.forecast.source.iter().enumerate() {
        let path = format!("forecast.source[{index}]");
        check_place(file, &path, source, report);
        check_reading(&path, source, report);
        check_use(file, &path, source, report);
        let line =
            |report: &Report, first: usize| report.line_of(&format!("forecast.source[{first}]"));
        if let Some(id) = source.id.as_deref()
            && let Some(first) = ids.insert(id, index)
        {
            let expected = format!("another name: line {} has it already", line(report, first));
            report.error(&format!("{path}.id"), quoted(id), expected);
        }
        if let Some(kind) = source.kind
            && let Some(first) = kinds.insert(kind, index)
        {
            let found = format!("a second source, line {} is one", line(report, first));
            report.error(&format!("{path}.kind"), found, "one source of each kind");
        }
    }
}

fn check_place(file: &File, path: &str, source: &Source, report: &mut Report) {
    let given = [&source.topic, &source.url, &source.file].into_iter().flatten().count();
    if given != 1 {
        let found = if given == 0 { "no place" } else { "more than one place" };
        report.error(path, found, "exactly one of topic, url and file");
    }
    if let Some(topic) = &source.topic {
        check_topic(&format!("{path}.topic"), topic, report);
        if file.mqtt.is_none() {
            let expected = "[mqtt] with host: topics are read from an MQTT broker";
            report.error(&format!("{path}.topic"), "no [mqtt]", expected);
        }
    }
    if let Some(url) = &source.url {
        check_url(&format!("{path}.url"), url, report);
    }
    if source.url.is_none() {
        let only = [
            ("every_min", source.every_min.is_some()),
            ("token_file", source.token_file.is_some()),
        ];
        for (key, _) in only.into_iter().filter(|(_, is_given)| *is_given) {
            let expected = "url beside it: nothing else is fetched";
            report.error(&format!("{path}.{key}"), "it without url", expected);
        }
    }
}

fn check_url(path: &str, url: &str, report: &mut Report) {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else {
        return report.error(path, quoted(url), "an address that begins with https://");
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let odd = |letter: char| letter.is_whitespace() || letter.is_control();
    if host.contains('@') {
        let expected = "no name and password in the address; a token belongs into token_file";
        report.error(path, "an address with a password", expected);
    } else if host.is_empty() || url.contains(odd) {
        report.error(
            path,
            quoted(url),
            "an address like \"https://prices.example.org/today.json\"",
        );
    } else if url.starts_with("http://") && !is_loopback(host) {
        let expected = "https://…: on the way anybody could change what the site plans by";
        report.warning(path, quoted(url), expected);
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn check_reading(path: &str, source: &Source, report: &mut Report) {
    for (key, pointer) in
        [("series", &source.series), ("times", &source.times), ("issued", &source.issued)]
    {
        if let Some(pointer) = pointer {
            check_pointer(&format!("{path}.{key}"), pointer, report);
        }
    }
    if let (Some(times), None) = (&source.times, &source.series) {
        let expected = "series beside it: the pointer to the list of values";
        report.error(&format!("{path}.times"), quoted(times), expected);
    }
    if let (Some(kind), Some(unit)) = (source.kind, source.unit)
        && unit_factor(kind, unit).is_none()
    {
        let unit = serde_json::to_string(&unit).unwrap_or_default();
        let expected = match kind {
            Kind::Pv | Kind::Load => "\"kW\" or \"W\"",
            Kind::Price => "\"EUR/kWh\", \"EUR/MWh\" or \"ct/kWh\"",
            Kind::Co2 => "\"g/kWh\" or \"kg/MWh\"",
        };
        report.error(&format!("{path}.unit"), unit, expected);
    }
    if source.scale == 0.0 {
        report.error(&format!("{path}.scale"), "0", "the number that makes the value right");
    }
    if let Some(written) = &source.time_zone
        && zone::canonical(written).is_none()
    {
        let expected = match zone::meant(written) {
            Some(meant) => format!("an IANA time zone (did you mean {}?)", quoted(&meant)),
            None => "an IANA time zone like \"UTC\"".to_owned(),
        };
        report.error(&format!("{path}.time_zone"), quoted(written), expected);
    }
}

/// A source that nobody looks at is probably not what was meant.
fn check_use(file: &File, path: &str, source: &Source, report: &mut Report) {
    let unused = match source.kind {
        _ if file.plan.is_none() => {
            Some(("a source, and no [plan]", "[plan]: only plans look at it"))
        }
        Some(Kind::Pv) if file.pv.is_empty() => Some(("a PV forecast, and no [[pv]]", "a [[pv]]")),
        Some(Kind::Price) if !file.tariff.market => Some((
            "a price, and [tariff] market = false",
            "market = true: else the contract alone counts",
        )),
        _ => None,
    };
    if let Some((found, expected)) = unused {
        report.warning(path, found, expected);
    }
}

/// How many of the unit of its kind one is; none if the unit does not fit the kind.
fn unit_factor(kind: Kind, unit: FeedUnit) -> Option<f64> {
    match (kind, unit) {
        (Kind::Pv | Kind::Load, FeedUnit::KiloW) => Some(1.0),
        (Kind::Pv | Kind::Load, FeedUnit::W) => Some(0.001),
        (Kind::Price, FeedUnit::EurPerKwh) => Some(1.0),
        (Kind::Price, FeedUnit::EurPerMwh) => Some(0.001),
        (Kind::Price, FeedUnit::CentPerKwh) => Some(0.01),
        (Kind::Co2, FeedUnit::GramPerKwh | FeedUnit::KiloPerMwh) => Some(1.0),
        (Kind::Pv | Kind::Load | Kind::Price | Kind::Co2, _) => None,
    }
}

/// The feeds, as far as they are sound.
pub fn build(file: &File) -> Vec<Feed> {
    let site_zone = file.site.as_ref().and_then(|site| site.time_zone.clone()).unwrap_or_default();
    let peak_kw: f64 = file.pv.iter().filter_map(|pv| pv.peak_kw).sum();
    let feed = |source: &Source| {
        let kind = source.kind?;
        let (known, least, most) = match kind {
            Kind::Pv if 0.0 < peak_kw => (FeedKind::Pv, 0.0, BEYOND_PEAK * peak_kw),
            Kind::Pv => (FeedKind::Pv, 0.0, POWER_MOST_KW),
            Kind::Load => (FeedKind::Load, 0.0, POWER_MOST_KW),
            // No market has cleared beyond 4 EUR per kWh, up or down.
            Kind::Price => (FeedKind::Price, -5.0, 5.0),
            Kind::Co2 => (FeedKind::Co2, 0.0, 2000.0),
        };
        let factor = source.unit.map_or(Some(1.0), |unit| unit_factor(kind, unit))?;
        let every = Duration::minutes(source.every_min.unwrap_or(EVERY_MIN) as i64);
        let token_file = source.token_file.as_ref().map(PathBuf::from);
        let place = match (&source.topic, &source.url, &source.file) {
            (Some(topic), ..) => Place::Topic(topic.clone()),
            (None, Some(url), _) => Place::Url { url: url.clone(), every, token_file },
            (None, None, Some(path)) => Place::File(PathBuf::from(path)),
            (None, None, None) => return None,
        };
        Some(Feed {
            id: source.id.clone()?,
            kind: known,
            place,
            series: source.series.clone(),
            times: source.times.clone(),
            issued: source.issued.clone(),
            time_key: source.time.clone(),
            value_key: source.value.clone(),
            zone: source.time_zone.clone().unwrap_or_else(|| site_zone.clone()),
            factor: factor * source.scale,
            least,
            most,
        })
    };
    file.forecast.source.iter().filter_map(feed).collect()
}
