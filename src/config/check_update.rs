//! Rules of `[update]`, and what the daemon needs of it.

use std::path::PathBuf;

use crate::ground::time::Duration;
use crate::model::update::{HawkBit, UpdateIndex, UpdatePolicy, UpdateSettings, Window};

use super::derive::seconds;
use super::file::File;
use super::file_update::{self, Update};
use super::report::Report;
use super::words::quoted;

/// Checks updates of the box.
pub fn check(file: &File, report: &mut Report) {
    let Some(update) = &file.update else { return };
    if let Some(text) = update.window.as_deref().filter(|text| Window::parse(text).is_none()) {
        report.error("update.window", quoted(text), "two times of day, like \"01:00-05:00\"");
    }
    let bus = update.bus.as_deref();
    let odd = |bus: &&str| !["unix:", "tcp:"].iter().any(|kind| bus.starts_with(kind));
    if let Some(bus) = bus.filter(odd) {
        report.error("update.bus", quoted(bus), "an address of D-Bus, like \"unix:path=/run/bus\"");
    }
    if seconds(update.trial_min * 60.0) < seconds(update.settle_s) {
        let expected = "at most trial_min, or no version could ever be confirmed";
        report.error("update.settle_s", format!("{} s", update.settle_s), expected);
    }
    let index = update.index.as_ref().and_then(|index| index.url.as_deref());
    check_url("update.index.url", index, report);
    if let Some(hawkbit) = &update.hawkbit {
        check_hawkbit(hawkbit, report);
    }
}

fn check_hawkbit(hawkbit: &file_update::HawkBit, report: &mut Report) {
    check_url("update.hawkbit.url", hawkbit.url.as_deref(), report);
    let path = "update.hawkbit";
    match (&hawkbit.target_token_file, &hawkbit.gateway_token_file) {
        (Some(_), Some(_)) => report.error(path, "two tokens", "one of the two token files"),
        (None, None) => {
            report.error(path, "no token", "target_token_file or gateway_token_file");
        }
        _ => {}
    }
    for (key, text) in
        [("tenant", Some(&hawkbit.tenant)), ("controller_id", hawkbit.controller_id.as_ref())]
    {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
        if let Some(text) = text.filter(|text| !text.chars().all(plain)) {
            let expected = "letters, digits, and - _ . : alone: it is part of an address";
            report.error(&format!("update.hawkbit.{key}"), quoted(text), expected);
        }
    }
}

fn check_url(path: &str, url: Option<&str>, report: &mut Report) {
    let Some(url) = url else { return };
    let local = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let local = local.iter().filter_map(|host| url.strip_prefix(host));
    let local = local.into_iter().any(|rest| rest.is_empty() || rest.starts_with([':', '/']));
    if url.contains(char::is_whitespace) || !(url.starts_with("https://") || local) {
        let expected = "an address that begins with https:// (http:// for this machine alone)";
        report.error(path, quoted(url), expected);
    }
}

/// What the daemon needs of it; none where there is no `[update]`.
pub fn settings(file: &File) -> Option<UpdateSettings> {
    let update = file.update.as_ref()?;
    let path = |written: &Option<String>| written.as_ref().map(PathBuf::from);
    Some(UpdateSettings {
        bus: update.bus.clone(),
        policy: policy(update),
        size_max_bytes: u64::from(update.size_max_mb) << 20,
        ca_file: path(&update.ca_file),
        index: update.index.as_ref().and_then(|index| {
            let every = seconds(index.every_h * 3600.0).max(Duration::seconds(1));
            Some(UpdateIndex { url: index.url.clone()?, every })
        }),
        hawkbit: update.hawkbit.as_ref().and_then(|hawkbit| {
            let gateway = path(&hawkbit.gateway_token_file);
            Some(HawkBit {
                url: hawkbit.url.as_ref()?.trim_end_matches('/').to_owned(),
                tenant: hawkbit.tenant.clone(),
                controller: hawkbit.controller_id.clone()?,
                is_gateway: gateway.is_some(),
                token_file: gateway.or(path(&hawkbit.target_token_file))?,
                attributes: hawkbit.attribute.iter().filter_map(pair).collect(),
                consent: hawkbit.consent,
            })
        }),
    })
}

fn pair(attribute: &file_update::Attribute) -> Option<(String, String)> {
    Some((attribute.name.clone()?, attribute.value.clone()?))
}

fn policy(update: &Update) -> UpdatePolicy {
    UpdatePolicy {
        window: update.window.as_deref().and_then(Window::parse),
        attempts_max: update.attempts,
        trial: seconds(update.trial_min * 60.0),
        settle: seconds(update.settle_s),
        pause: seconds(update.pause_min * 60.0),
    }
}
