//! Rules of `[[limit]]`, and what the controller needs of it.

use crate::ground::ids::EvseId;
use crate::ground::units::Amps;
use crate::model::limit::{Contact, ContactLimit, ContactPlace, Pull};

use super::derive::{seconds, watts};
use super::file::File;
use super::file_limit::{self, Level, Limit};
use super::report::Report;
use super::words::quoted;

/// Checks the contacts.
pub fn check(file: &File, report: &mut Report) {
    for (index, limit) in file.limit.iter().enumerate() {
        let path = format!("limit[{index}]");
        check_place(&path, limit, report);
        match (limit.limit_kw, limit.limit_a) {
            (Some(_), Some(_)) => report.error(&path, "limit_kw and limit_a", "one of the two"),
            (None, None) => report.error(&path, "no limit", "limit_kw or limit_a"),
            _ => {}
        }
        if limit.limit_a.is_none() && !limit.evses.is_empty() {
            let expected = "it with limit_a alone: limit_kw is for all chargers together";
            report.error(&format!("{path}.evses"), "a list of EVSEs", expected);
        }
        for (at, evse) in limit.evses.iter().enumerate() {
            if !file.evse.iter().any(|known| known.id.as_ref() == Some(evse)) {
                let path = format!("{path}.evses[{at}]");
                report.error(&path, quoted(evse), "the id of an [[evse]]");
            }
        }
        let earlier = file.limit[..index].iter();
        if limit.id.is_some() && earlier.clone().any(|other| other.id == limit.id) {
            let id = limit.id.as_deref().unwrap_or_default();
            report.error(&format!("{path}.id"), quoted(id), "a name that no other limit has");
        }
        let line = |one: &Limit| one.gpio_chip.clone().zip(one.line);
        if line(limit).is_some() && earlier.clone().any(|other| line(other) == line(limit)) {
            let expected = "a line that no other limit has: the kernel gives it once";
            report.error(&format!("{path}.line"), "the same line", expected);
        }
    }
}

fn check_place(path: &str, limit: &Limit, report: &mut Report) {
    match (&limit.gpio_chip, limit.line, &limit.contact_file) {
        (Some(_), Some(_), None) | (None, None, Some(_)) => {}
        (None, None, None) => {
            report.error(path, "no contact", "gpio_chip and line, or contact_file");
        }
        (Some(_), None, None) => report.error(path, "no line", "it beside gpio_chip"),
        (None, Some(_), None) => report.error(path, "no gpio_chip", "it beside line"),
        (_, _, Some(_)) => {
            report.error(path, "two contacts", "gpio_chip and line, or contact_file");
        }
    }
    if limit.pull.is_some() && limit.contact_file.is_some() {
        report.error(&format!("{path}.pull"), "it with contact_file", "it with gpio_chip alone");
    }
    let places = [("gpio_chip", &limit.gpio_chip), ("contact_file", &limit.contact_file)];
    for (key, place) in places {
        if let Some(place) = place.as_deref().filter(|place| !place.starts_with('/')) {
            report.error(&format!("{path}.{key}"), quoted(place), "a path that begins with /");
        }
    }
}

/// The contacts that are sound.
pub fn build(file: &File) -> Vec<Contact> {
    file.limit.iter().filter_map(contact).collect()
}

fn contact(limit: &Limit) -> Option<Contact> {
    let active_low = limit.active == Level::Low;
    let pull = limit.pull.map(|pull| match pull {
        file_limit::Pull::Up => Pull::Up,
        file_limit::Pull::Down => Pull::Down,
        file_limit::Pull::Off => Pull::Off,
    });
    let place = match (&limit.gpio_chip, limit.line, &limit.contact_file) {
        (Some(chip), Some(line), None) => {
            ContactPlace::Line { chip: chip.into(), line, active_low, pull }
        }
        (None, None, Some(path)) => ContactPlace::File { path: path.into(), active_low },
        _ => return None,
    };
    let evses = || limit.evses.iter().map(|evse| EvseId::new(evse)).collect();
    Some(Contact {
        id: limit.id.clone()?,
        place,
        debounce: seconds(limit.debounce_s),
        limit: match (limit.limit_kw, limit.limit_a) {
            (Some(limit), None) => ContactLimit::Charging(watts(limit)),
            (None, Some(limit)) => {
                ContactLimit::Evses { limit: Amps::from_f64(limit), evses: evses() }
            }
            _ => return None,
        },
    })
}
