//! Rules of `[security]`, and of the listener that needs it.

use std::path::PathBuf;

use super::file::File;
use super::network::{Network, OpenNetwork, Security};
use super::report::Report;
use super::words::quoted;

/// Checks what chargers have to show.
pub fn check(file: &File, report: &mut Report) {
    let security = &file.security;
    let pair = [("certificate_file", &security.certificate_file), ("key_file", &security.key_file)];
    if let [(there, Some(_)), (absent, None)] | [(absent, None), (there, Some(_))] = pair {
        let path = format!("security.{there}");
        report.error(&path, format!("{there} without {absent}"), "both, or none of them");
    }
    for (index, open) in security.open_network.iter().enumerate() {
        let path = format!("security.open_network[{index}].network");
        let Some(text) = open.network.as_deref() else { continue };
        match Network::parse(text) {
            None => report.error(
                &path,
                quoted(text),
                "addresses like \"10.20.0.0/24\" or \"fd00:20::/64\"",
            ),
            Some(network) if network.is_everything() => report.warning(
                &path,
                quoted(text),
                "a network of chargers alone: here everybody may pose as a charger",
            ),
            Some(_) => {}
        }
    }
}

/// What the daemon needs of it.
pub fn security(file: &File) -> Security {
    let security = &file.security;
    let path = |written: &Option<String>| written.as_ref().map(PathBuf::from);
    let open = security.open_network.iter().filter_map(|open| {
        let network = Network::parse(open.network.as_deref()?)?;
        Some(OpenNetwork { name: open.name.clone()?, network })
    });
    Security {
        certificate: path(&security.certificate_file),
        key: path(&security.key_file),
        client_roots: path(&security.client_root_file),
        open_networks: open.collect(),
    }
}
