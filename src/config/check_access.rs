//! Rules of `[access]` and `[[token]]`.

use std::collections::BTreeSet;

use crate::ground::time::Utc;

use super::file::File;
use super::report::Report;
use super::words::{nearest, quoted};

/// Checks who may charge.
pub fn check(file: &File, report: &mut Report) {
    check_who(file, report);
    check_twice(file, report);
    for index in 0..file.token.len() {
        check_token(file, index, report);
    }
}

fn check_who(file: &File, report: &mut Report) {
    let Some(access) = &file.access else { return };
    match (&access.tokens, access.anyone) {
        (Some(_), true) => report.error(
            "access.anyone",
            "anyone = true beside tokens",
            "one of the two: with anyone = true the list would mean nothing",
        ),
        (None, true) if !file.token.is_empty() => report.error(
            "access.anyone",
            "anyone = true beside [[token]]",
            "one of the two: with anyone = true the list would mean nothing",
        ),
        (None, false) if report.is_wrong_below("access.") => {}
        (None, false) if file.token.is_empty() && !report.is_wrong_below("token") => report.error(
            "access",
            "nobody who may charge",
            "anyone = true, or tokens = [\"04A1B2C3D4\", …]",
        ),
        (Some(tokens), false) if tokens.is_empty() && file.token.is_empty() => {
            report.warning(
                "access.tokens",
                "an empty list",
                "at least one token: nobody may charge",
            );
        }
        (Some(_), false) | (None, _) => {}
    }
}

/// Each token once, in both lists together.
fn check_twice(file: &File, report: &mut Report) {
    let mut known = BTreeSet::new();
    let short = file.access.as_ref().and_then(|access| access.tokens.as_ref());
    let short = short.into_iter().flatten().enumerate();
    let short = short.map(|(index, token)| (format!("access.tokens[{index}]"), token));
    let long = file.token.iter().enumerate();
    let long = long.filter_map(|(index, token)| {
        token.id.as_ref().map(|id| (format!("token[{index}].id"), id))
    });
    for (path, token) in short.chain(long) {
        if !known.insert(token.to_ascii_lowercase()) {
            report.warning(&path, "a token that is in the list already", "each token once");
        }
    }
}

fn check_token(file: &File, index: usize, report: &mut Report) {
    let token = &file.token[index];
    let path = |key: &str| format!("token[{index}].{key}");
    let mut times = [None; 2];
    let written = [("valid_from", &token.valid_from), ("valid_until", &token.valid_until)];
    for (time, (key, text)) in times.iter_mut().zip(written) {
        let Some(text) = text else { continue };
        *time = Utc::parse(text);
        if time.is_none() {
            let expected = "date and time with offset, like \"2026-05-01T00:00:00+02:00\"";
            report.error(&path(key), quoted(text), expected);
        }
    }
    if let [Some(from), Some(until)] = times
        && until <= from
    {
        report.error(&path("valid_until"), "an end before the start", "a later time");
    }
    let names: Vec<&str> = file.evse.iter().filter_map(|evse| evse.id.as_deref()).collect();
    for (place, evse) in token.evses.iter().flatten().enumerate() {
        if !names.contains(&evse.as_str()) {
            let expected = match nearest(evse, names.iter().copied()) {
                Some(meant) => format!("the id of an [[evse]] (did you mean {}?)", quoted(meant)),
                None => "the id of an [[evse]]".to_owned(),
            };
            report.error(&format!("token[{index}].evses[{place}]"), quoted(evse), expected);
        }
    }
}
