//! Who may connect, from the command line: strangers to adopt, and what a running daemon tells a
//! charger about passwords, profiles and certificates.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::ground::ids::ChargePointId;
use crate::model::security::{
    Adoption, CertificateAsk, RootKind, SecurityDone, SecurityOrder, SecurityView, Wake,
};

use super::client::{self, Client, ClientError};
use super::{Target, text};

/// Where orders about who may connect go.
const PATH: &str = "/api/v1/security";

/// Chargers that nobody knows yet.
#[derive(Debug, Args)]
pub struct Pending {
    /// For so many minutes ask strangers who they are, instead of turning them away; 0 ends it
    #[arg(long, value_name = "MINUTES")]
    interview: Option<u32>,
    #[command(flatten)]
    target: Target,
}

/// A charger that is to become one of the site's.
#[derive(Debug, Args)]
pub struct Adopt {
    /// Its OCPP identity, as `ampgate pending` shows it
    identity: String,
    /// The node that feeds it
    #[arg(long)]
    node: String,
    /// The name that is painted on it [default: its identity]
    #[arg(long)]
    evse: Option<String>,
    /// Which of its connectors
    #[arg(long, default_value_t = 1)]
    connector: u32,
    /// The grid phases behind its own, e.g. L2 or L2L3L1
    #[arg(long, default_value = "L1L2L3")]
    phases: String,
    /// The most it can draw on a phase, in amperes
    #[arg(long, value_name = "A", default_value_t = 32.0)]
    rated: f64,
    /// Its safe share, in amperes per phase
    #[arg(long, value_name = "A", default_value_t = 0.0)]
    safe: f64,
    #[command(flatten)]
    target: Target,
}

/// What a running daemon tells a charger.
#[derive(Debug, clap::Subcommand)]
pub enum Secure {
    /// Who may connect and with what
    Show(Target),
    /// Give it another password over its connection (AuthorizationKey)
    Rotate(One),
    /// Have it take a higher security profile (SecurityProfile)
    Profile {
        /// 1 to 3
        profile: u8,
        #[command(flatten)]
        one: One,
    },
    /// Have it ask for a certificate, which the site's authority then signs
    Certificate(One),
    /// Have it trust the root of the site's authority, or one of its maker for firmware
    InstallRoot {
        /// The maker's root, which signs firmware, as a PEM file
        #[arg(long, value_name = "FILE")]
        manufacturer: Option<PathBuf>,
        #[command(flatten)]
        one: One,
    },
    /// Which roots it trusts
    Roots {
        /// Those for firmware
        #[arg(long)]
        manufacturer: bool,
        #[command(flatten)]
        one: One,
    },
    /// Have it trust a root no longer
    DeleteRoot {
        /// SHA256, SHA384 or SHA512
        algorithm: String,
        /// As `roots` shows it
        issuer_name_hash: String,
        /// As `roots` shows it
        issuer_key_hash: String,
        /// As `roots` shows it
        serial: String,
        #[command(flatten)]
        one: One,
    },
}

/// One charger.
#[derive(Debug, Args)]
pub struct One {
    /// Its OCPP identity
    identity: String,
    #[command(flatten)]
    target: Target,
}

/// A certificate in PEM from a file.
fn root_of(file: &Path) -> Result<String, ClientError> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| ClientError::Here(format!("{name}: {error}")))?;
    match text.contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(text),
        false => Err(ClientError::Here(format!(
            "{name}: no certificate in it; expected PEM that begins with BEGIN CERTIFICATE"
        ))),
    }
}

/// Lists strangers, or opens the ear for them.
pub fn pending(asked: &Pending) -> Result<String, ClientError> {
    let Some(minutes) = asked.interview else { return show(&asked.target, strangers) };
    order(&asked.target, &SecurityOrder::Interview { minutes })
}

/// Writes a charger into the configuration of the daemon.
pub fn adopt(asked: &Adopt) -> Result<String, ClientError> {
    let adoption = Adoption {
        charge_point: asked.identity.clone(),
        node: asked.node.clone(),
        evse: asked.evse.clone(),
        connector: asked.connector,
        phases: asked.phases.clone(),
        rated_a: asked.rated,
        safe_a: asked.safe,
    };
    order(&asked.target, &SecurityOrder::Adopt(adoption))
}

/// Tells a charger.
pub fn secure(asked: &Secure) -> Result<String, ClientError> {
    let ask = |one: &One, certificate| {
        let charge_point = ChargePointId::new(&one.identity);
        order(&one.target, &SecurityOrder::Ask { charge_point, certificate })
    };
    match asked {
        Secure::Show(target) => show(target, chargers),
        Secure::Rotate(one) => {
            let charge_point = ChargePointId::new(&one.identity);
            order(&one.target, &SecurityOrder::Rotate { charge_point })
        }
        Secure::Profile { profile, one } => {
            let charge_point = ChargePointId::new(&one.identity);
            order(&one.target, &SecurityOrder::Profile { charge_point, profile: *profile })
        }
        Secure::Certificate(one) => ask(one, CertificateAsk::Trigger { message: Wake::Sign }),
        Secure::InstallRoot { manufacturer: None, one } => {
            let charge_point = ChargePointId::new(&one.identity);
            order(&one.target, &SecurityOrder::InstallRoot { charge_point })
        }
        Secure::InstallRoot { manufacturer: Some(file), one } => {
            let certificate = root_of(file)?;
            ask(one, CertificateAsk::Install { kind: RootKind::Manufacturer, certificate })
        }
        Secure::Roots { manufacturer, one } => {
            let kind = if *manufacturer { RootKind::Manufacturer } else { RootKind::CentralSystem };
            ask(one, CertificateAsk::List { kind })
        }
        Secure::DeleteRoot { algorithm, issuer_name_hash, issuer_key_hash, serial, one } => ask(
            one,
            CertificateAsk::Delete {
                algorithm: algorithm.clone(),
                issuer_name_hash: issuer_name_hash.clone(),
                issuer_key_hash: issuer_key_hash.clone(),
                serial: serial.clone(),
            },
        ),
    }
}

fn order(target: &Target, order: &SecurityOrder) -> Result<String, ClientError> {
    let client = Client::new(target)?;
    let body =
        serde_json::to_string(order).map_err(|error| ClientError::Strange(error.to_string()));
    let answer = client.post(PATH, &body?)?;
    if target.json {
        return Ok(format!("{}\n", answer.trim_end()));
    }
    let done: SecurityDone = client::read(&answer)?;
    let password = done.password.map(|password| format!("{password}\n")).unwrap_or_default();
    Ok(format!("{password}{}\n", text::clean(&done.words)))
}

fn show(target: &Target, words: fn(&SecurityView) -> String) -> Result<String, ClientError> {
    super::ask(target, PATH, |body| Ok(words(&client::read(body)?)))
}

fn strangers(view: &SecurityView) -> String {
    let line = |stranger: &crate::model::security::Stranger| {
        let make = [&stranger.vendor, &stranger.model].map(String::as_str).join(" ");
        let make = if make.trim().is_empty() { stranger.agent.as_str() } else { make.trim() };
        let last = stranger.last.map(|last| last.to_string()).unwrap_or_default();
        let (identity, from, times) = (&stranger.identity, &stranger.address, stranger.times);
        format!("{identity:24} {from:24} {make:24} {last}  {times} times")
    };
    let mut lines: Vec<String> = view.pending.iter().map(line).collect();
    if lines.is_empty() {
        lines.push("no stranger has knocked".to_owned());
    }
    if 0 < view.interview_s {
        lines.push(format!("strangers are asked who they are for {} s more", view.interview_s));
    }
    lines.iter().map(|line| text::clean(line) + "\n").collect()
}

fn chargers(view: &SecurityView) -> String {
    let line = |own: &crate::model::security::ChargerSecurity| {
        let profile = own.profile.map_or("not connected".to_owned(), |at| format!("profile {at}"));
        let password = match (own.password, own.coming_password) {
            (false, false) => "no password",
            (true, false) => "password",
            (false, true) => "coming password",
            (true, true) => "password and coming one",
        };
        let (id, least) = (own.charge_point.to_string(), own.least_profile);
        format!("{id:24} {profile:14} {least} or more  {password}\n")
    };
    let ends = view.certificate_ends;
    let ends = ends.map(|ends| format!("certificate of this box until {ends}\n"));
    view.chargers.iter().map(line).chain(ends).collect()
}
