//! Floor 3: text to a checked [`Config`]; every mistake reported at once. Opens no file.
//!
//! [`syntax`] (lines that are no TOML) → [`structure`] (values against the schema of [`file`],
//! which is the manual) → [`tree`] (who feeds whom) → [`build`] (the site, as far as it is sound) →
//! the `check_…` files (rules between keys). Each step says all that is wrong and goes on with what
//! is left; only a file without errors becomes a [`Config`].

pub mod adopt;
pub mod broker;
mod build;
mod build_ocpi;
mod check_access;
mod check_diagram;
mod check_drivers;
mod check_forecast;
mod check_keep;
mod check_limit;
mod check_meter;
mod check_mqtt;
mod check_names;
mod check_ocpi;
mod check_policy;
mod check_security;
mod check_shares;
mod check_tariff;
mod check_update;
mod check_web;
mod derive;
mod derive_plan;
mod file;
mod file_access;
mod file_diagram;
mod file_drivers;
mod file_forecast;
mod file_keep;
mod file_limit;
mod file_meter;
mod file_mqtt;
mod file_ocpi;
mod file_plan;
mod file_security;
mod file_tariff;
mod file_update;
mod file_web;
mod maps;
pub mod network;
mod pointer;
pub mod problem;
mod report;
mod schema;
mod structure;
mod syntax;
mod tree;
mod words;
mod zone;

use std::net::SocketAddr;

use toml::de::DeTable;

use crate::model::drivers::PageUrl;
use crate::model::log::Levels;
use crate::model::partner::Ocpi;
use crate::model::retention::Retention;
use crate::model::site::Site;
use crate::model::update::UpdateSettings;

use broker::Broker;
use network::{OuterPage, Security, Shown};
use problem::{Problem, Severity};
use report::Report;

/// No site needs more text; what is longer is no configuration.
pub const TEXT_MAX: usize = 4 << 20;

/// A checked configuration: the site, and what the daemon opens and connects to.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Everything the controller needs.
    pub site: Site,
    /// Plain OCPP listener (`ws://…/ocpp/{identity}`); none = closed.
    pub ocpp: Option<SocketAddr>,
    /// OCPP listener inside TLS (`wss://…/ocpp/{identity}`); none = closed.
    pub ocpps: Option<SocketAddr>,
    /// What chargers have to show, and what they are shown.
    pub security: Security,
    /// Web page and API; none = closed. On loopback unless there is an `outer_page`.
    pub web: Option<SocketAddr>,
    /// What the page needs for other machines; none = it is for this one alone.
    pub outer_page: Option<OuterPage>,
    /// Where drivers reach their page; none = on this machine alone.
    pub driver_page: Option<PageUrl>,
    /// The broker; none when nothing is heard and told over MQTT.
    pub mqtt: Option<Broker>,
    /// How long the past is kept.
    pub keep: Retention,
    /// What is logged, unless the command line or the environment says otherwise.
    pub log: Option<Levels>,
    /// OCPI listener; none = closed.
    pub ocpi_address: Option<SocketAddr>,
    /// What the OCPI listener shows; none = it speaks plain HTTP.
    pub ocpi_tls: Option<Shown>,
    /// Partners over OCPI and what the site is to them.
    pub ocpi: Option<Ocpi>,
    /// Updates of the box itself; none = off.
    pub update: Option<UpdateSettings>,
}

/// A configuration without errors, and what is odd about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// What the file says.
    pub config: Config,
    /// What probably does not mean what was meant.
    pub warnings: Vec<Problem>,
}

/// Reads a configuration. `file_name` appears in the problems, as the person named it.
///
/// # Errors
/// All errors and warnings of the file in the order of its lines; at least one is an error.
pub fn parse(text: &str, file_name: &str) -> Result<Checked, Vec<Problem>> {
    let mut report = Report::new(text, file_name);
    let config = read(text, &mut report);
    let problems = report.into_problems();
    let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
    match config {
        Some(config) if !failed => Ok(Checked { config, warnings: problems }),
        _ => Err(problems),
    }
}

/// JSON Schema of the configuration file, for `ampgate schema config` and for editors.
pub fn schema() -> serde_json::Value {
    schema::schema()
}

/// The configuration, if it can be made out at all; errors are in the report.
fn read(text: &str, report: &mut Report) -> Option<Config> {
    if TEXT_MAX < text.len() {
        report.error("", format!("{} bytes", text.len()), format!("at most {TEXT_MAX}"));
        return None;
    }
    let schema = schema::schema();
    let mended = syntax::mend(&schema, text, report)?;
    let values = DeTable::parse(&mended).ok()?;
    let sound = structure::check(&schema, values.get_ref(), report);
    let file: file::File = match serde_json::from_value(sound) {
        Ok(file) => file,
        Err(error) => {
            report.error("", format!("something that cannot be read ({error})"), "the schema");
            return None;
        }
    };
    let tree = tree::resolve(&file, report);
    let built = build::build(&file, &tree);
    check_policy::check(&file, report);
    check_mqtt::check(&file, report);
    check_keep::check(&file, report);
    check_security::check(&file, report);
    check_web::check(&file, report);
    check_access::check(&file, report);
    check_names::check(&file, report);
    check_drivers::check(&file, report);
    check_tariff::check(&file, report);
    check_forecast::check(&file, report);
    check_diagram::check(&file, &tree, report);
    check_meter::check(&file, &built, report);
    check_ocpi::check(&file, report);
    check_limit::check(&file, report);
    check_update::check(&file, report);
    check_shares::check(&built, report);
    Some(Config {
        ocpi_address: check_policy::address(&file.listen.ocpi),
        ocpi_tls: build_ocpi::shown(&file),
        ocpi: build_ocpi::build(&file, &built.site),
        site: built.site,
        ocpp: check_policy::address(&file.listen.ocpp),
        ocpps: check_policy::address(&file.listen.ocpps),
        security: check_security::security(&file),
        web: check_policy::address(&file.listen.web),
        outer_page: check_web::outer_page(&file),
        driver_page: file.drivers.page_url.as_deref().and_then(PageUrl::parse),
        mqtt: file.mqtt.as_ref().and_then(broker::broker),
        keep: check_keep::retention(&file),
        log: check_keep::levels(&file),
        update: check_update::settings(&file),
    })
}

#[cfg(test)]
mod tests;
