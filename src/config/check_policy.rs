//! Rules of `[site]`, `[listen]` and `[lease]`.

use std::net::SocketAddr;

use super::file::File;
use super::report::Report;
use super::words::{number, quoted};
use super::zone;

/// Checks everything that is not diagram or meter.
pub fn check(file: &File, report: &mut Report) {
    check_site(file, report);
    check_listen(file, report);
    check_timing(file, report);
}

/// A lease is renewed at a third of its life: an answer may not take longer than that.
fn check_timing(file: &File, report: &mut Report) {
    let (ttl, timeout) = (file.lease.ttl_s, file.charging.call_timeout_s);
    if 3.0 * timeout <= ttl {
        return;
    }
    let why = "or one slow answer lets a lease run out";
    if report.stands("charging.call_timeout_s") {
        let most = number(ttl / 3.0);
        let expected = format!("at most a third of ttl_s, {most} seconds, {why}");
        report.warning("charging.call_timeout_s", format!("{} seconds", number(timeout)), expected);
    } else {
        let least = number(3.0 * timeout);
        let expected = format!("at least three times call_timeout_s, {least} seconds, {why}");
        report.warning("lease.ttl_s", format!("{} seconds", number(ttl)), expected);
    }
}

/// The address and port, if it is one.
pub fn address(written: &Option<String>) -> Option<SocketAddr> {
    written.as_deref()?.parse().ok()
}

fn check_site(file: &File, report: &mut Report) {
    let Some(written) = file.site.as_ref().and_then(|site| site.time_zone.as_deref()) else {
        return;
    };
    if zone::canonical(written).is_none() {
        let expected = match zone::meant(written) {
            Some(meant) => format!("an IANA time zone (did you mean {}?)", quoted(&meant)),
            None => "an IANA time zone like \"Europe/Paris\"".to_owned(),
        };
        report.error("site.time_zone", quoted(written), expected);
    }
}

fn check_listen(file: &File, report: &mut Report) {
    let listen = &file.listen;
    let doors = [("ocpp", &listen.ocpp), ("ocpps", &listen.ocpps), ("web", &listen.web)];
    let mut taken: Vec<(&str, SocketAddr)> = Vec::new();
    for (key, written) in doors {
        let Some(text) = written else { continue };
        let path = format!("listen.{key}");
        let Some(open) = address(written) else {
            let expected = "an address with its port, like \"127.0.0.1:9000\" or \"[::1]:9000\"";
            report.error(&path, quoted(text), expected);
            continue;
        };
        let twin = taken.iter().find(|(_, known)| open.port() != 0 && *known == open);
        if let Some((other, _)) = twin {
            let found = format!("{}, which {other} has already", quoted(text));
            report.error(&path, found, "a port of its own");
        }
        taken.push((key, open));
    }
    let ocpp = address(&listen.ocpp);
    if let Some(ocpp) = ocpp.filter(|ocpp| !ocpp.ip().is_loopback()) {
        report.warning(
            "listen.ocpp",
            quoted(&ocpp.to_string()),
            "a network of chargers alone, or ocpps: nothing is encrypted here, so anybody on that \
             network can read the passwords of chargers",
        );
    }
    if listen.ocpp.is_none() && listen.ocpps.is_none() && !file.evse.is_empty() {
        report.warning(
            "listen",
            "no ocpp",
            "ocpp = \"127.0.0.1:9000\" or the like: without it no charger can connect",
        );
    }
}
