//! Rules of `[drivers]`, and the policy that follows from it.

use std::collections::BTreeMap;

use crate::ground::time::Duration;
use crate::ground::units::WattHours;
use crate::ground::zone::TimeOfDay;
use crate::model::drivers::{DriverPolicy, Group, Leaves, PageUrl, Terms, TokenPattern};

use super::file::File;
use super::file_drivers::{self, Drivers};
use super::report::Report;
use super::words::{number, quoted};

/// Checks everything about drivers.
pub fn check(file: &File, report: &mut Report) {
    let drivers = &file.drivers;
    check_leaving("drivers", &drivers.departure, drivers.stay_h, report);
    check_energies("drivers", drivers.guaranteed_kwh, drivers.energy_kwh, report);
    if let Some(written) = drivers.page_url.as_deref() {
        let expected = "an address without a path, like \"https://charge.example.org\"";
        match PageUrl::parse(written) {
            None => report.error("drivers.page_url", quoted(written), expected),
            Some(page) if page.origin().starts_with("http://") => report.warning(
                "drivers.page_url",
                quoted(written),
                "https://…: on the way everybody could read the links and change what drivers say",
            ),
            Some(_) => {}
        }
    }
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    let mut tokens: BTreeMap<String, usize> = BTreeMap::new();
    for (index, group) in drivers.group.iter().enumerate() {
        let path = format!("drivers.group[{index}]");
        check_leaving(&path, &group.departure, group.stay_h, report);
        let energy = group.energy_kwh.or(drivers.energy_kwh);
        check_energies(&path, group.guaranteed_kwh.or(drivers.guaranteed_kwh), energy, report);
        if let Some(id) = group.id.as_deref()
            && let Some(first) = ids.insert(id, index)
        {
            let line = report.line_of(&format!("drivers.group[{first}]"));
            let expected = format!("another name: line {line} has it already");
            report.error(&format!("{path}.id"), quoted(id), expected);
        }
        check_tokens(file, index, group, &mut tokens, report);
    }
}

/// The policy, as far as it is sound.
pub fn build(file: &File) -> DriverPolicy {
    let drivers = &file.drivers;
    let usual = usual(drivers);
    let groups = drivers.group.iter().filter_map(|group| {
        let energy = |kwh: Option<f64>, usual: WattHours| kwh.map_or(usual, watt_hours);
        Some(Group {
            tokens: group.tokens.as_ref()?.iter().map(|token| TokenPattern::new(token)).collect(),
            terms: Terms {
                group: Some(group.id.clone()?),
                priority: group.priority,
                leaves: leaves(&group.departure, group.stay_h).or(usual.leaves),
                energy: group.energy_kwh.map(watt_hours).or(usual.energy),
                guaranteed: energy(group.guaranteed_kwh, usual.guaranteed),
                fast: energy(group.fast_kwh, usual.fast),
                fast_percent: group.fast_percent.or(usual.fast_percent),
            },
        })
    });
    let groups = groups.collect();
    DriverPolicy { usual, groups }
}

fn usual(drivers: &Drivers) -> Terms {
    Terms {
        group: None,
        priority: 0,
        leaves: leaves(&drivers.departure, drivers.stay_h),
        energy: drivers.energy_kwh.map(watt_hours),
        guaranteed: drivers.guaranteed_kwh.map(watt_hours).unwrap_or_default(),
        fast: drivers.fast_kwh.map(watt_hours).unwrap_or_default(),
        fast_percent: drivers.fast_percent,
    }
}

fn watt_hours(kwh: f64) -> WattHours {
    WattHours::from_f64(kwh * 1000.0)
}

fn leaves(departure: &Option<String>, stay_h: Option<f64>) -> Option<Leaves> {
    let stay = |hours: f64| Leaves::After(Duration::millis((hours * 3_600_000.0).round() as i64));
    let at = departure.as_deref().and_then(TimeOfDay::parse).map(Leaves::At);
    at.or(stay_h.map(stay))
}

fn check_leaving(path: &str, departure: &Option<String>, stay: Option<f64>, report: &mut Report) {
    let key = format!("{path}.departure");
    if let Some(written) = departure.as_deref()
        && TimeOfDay::parse(written).is_none()
    {
        report.error(&key, quoted(written), "a time of day like \"17:30\"");
    }
    if departure.is_some() && stay.is_some() {
        report.error(&key, "departure beside stay_h", "one of the two");
    }
}

fn check_energies(path: &str, guaranteed: Option<f64>, energy: Option<f64>, report: &mut Report) {
    if let (Some(guaranteed), Some(energy)) = (guaranteed, energy)
        && energy < guaranteed
    {
        let found = format!("{} kWh, more than energy_kwh", number(guaranteed));
        let expected =
            format!("at most {} kWh: a car that says nothing needs no more", number(energy));
        report.warning(&format!("{path}.guaranteed_kwh"), found, expected);
    }
}

/// Each token once, and only tokens that may charge.
fn check_tokens(
    file: &File,
    index: usize,
    group: &file_drivers::Group,
    known: &mut BTreeMap<String, usize>,
    report: &mut Report,
) {
    let listed = file.access.as_ref().and_then(|access| access.tokens.as_deref());
    for (place, token) in group.tokens.iter().flatten().enumerate() {
        let path = format!("drivers.group[{index}].tokens[{place}]");
        let body = token.strip_suffix('*').unwrap_or(token);
        if body.contains('*') {
            report.error(&path, quoted(token), "a star at the end alone, like \"FLEET-*\"");
            continue;
        }
        if let Some(first) = known.insert(token.to_ascii_lowercase(), index) {
            let line = report.line_of(&format!("drivers.group[{first}]"));
            let found = format!("{}, which line {line} has already", quoted(token));
            report.warning(&path, found, "each token once: the first group counts");
        }
        let pattern = TokenPattern::new(token);
        let admitted = |listed: &[String]| {
            listed.iter().any(|one| pattern.fits(&crate::ground::ids::IdToken::new(one)))
        };
        if listed.is_some_and(|listed| !admitted(listed)) {
            let found = format!("{}, which may not charge", quoted(token));
            report.warning(&path, found, "a token of [access] tokens");
        }
    }
}
