//! Floor 9: `ampgate ca` and the part of `ampgate charger` that works on files: certificates and
//! passwords in the data directory, whether the daemon runs or not. It reads them again by itself
//! within seconds.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use data_encoding::HEXUPPER;

use crate::ground::ids::ChargePointId;
use crate::ground::time::Utc;
use crate::io::authority::{Authority, AuthorityError, CHARGER_DAYS, SERVER_DAYS};
use crate::io::clock::Clock;
use crate::io::credentials::CredentialFile;
use crate::io::secret::{self, Hash, KEY_BYTES};
use crate::run::data_directory;

/// A password that a person chose has at least this many characters.
const PASSWORD_MIN: usize = 12;

/// The certificate authority of the site.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Makes the root, and a certificate of this box for listen.ocpps
    Init {
        /// What the site is called in the root
        #[arg(long, default_value = "Ampgate")]
        site: String,
        /// Host names and addresses under which chargers reach this box
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        at: DataArgs,
    },
    /// Makes a fresh certificate of this box; the daemon takes it without a restart
    Server {
        /// Host names and addresses under which chargers reach this box
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// How long it lasts
        #[arg(long, default_value_t = SERVER_DAYS)]
        days: i64,
        #[command(flatten)]
        at: DataArgs,
    },
    /// Signs the request of a charger and prints its certificate
    Sign {
        /// OCPP identity of the charger
        identity: String,
        /// The request, PEM
        request: PathBuf,
        /// How long it lasts
        #[arg(long, default_value_t = CHARGER_DAYS)]
        days: i64,
        #[command(flatten)]
        at: DataArgs,
    },
    /// Prints the root, which chargers have to trust
    Root(DataArgs),
    /// What was issued
    List(DataArgs),
}

/// What is kept of one charger.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Makes a password and prints it once; the old one stays valid until the charger shows it
    Password {
        /// OCPP identity of the charger
        identity: String,
        /// Take the password from the first line of the standard input instead
        #[arg(long)]
        stdin: bool,
        /// The old one, or none, is not valid any more from here on
        #[arg(long)]
        at_once: bool,
        #[command(flatten)]
        at: DataArgs,
    },
    /// The lowest security profile with which the charger is let in
    LeastProfile {
        /// OCPP identity of the charger
        identity: String,
        /// 0 to 3
        #[arg(value_parser = clap::value_parser!(u8).range(0..=3))]
        profile: u8,
        #[command(flatten)]
        at: DataArgs,
    },
    /// The name in the charger's certificate, where that is not its identity
    CertificateName {
        /// OCPP identity of the charger
        identity: String,
        /// Common name, a serial number as a rule; none = its identity alone
        name: Option<String>,
        #[command(flatten)]
        at: DataArgs,
    },
    /// Forgets password and least profile
    Forget {
        /// OCPP identity of the charger
        identity: String,
        #[command(flatten)]
        at: DataArgs,
    },
    /// What is kept of each charger; no password is
    List(DataArgs),
}

/// Where the files are.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// Data directory of the daemon [default: $STATE_DIRECTORY, else ./ampgate-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DataArgs {
    fn folder(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(data_directory)
    }
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The authority says no.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A file cannot be read or written.
    #[error("{file}: {source}", file = .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The clock of this machine is not set.
    #[error("the clock of this machine is not set, and a certificate needs a date")]
    Clock,
    /// The password is too short.
    #[error("the password has {0} characters, expected at least {PASSWORD_MIN}")]
    Short(usize),
}

/// Does what was asked of the authority; gives what is to be printed.
///
/// # Errors
/// It was not done.
pub fn ca(command: CaCommand) -> Result<String, KeyError> {
    let authority = |at: &DataArgs| Authority::in_data(&at.folder());
    match command {
        CaCommand::Init { site, names, at } => {
            authority(&at).init(&site, &names, today()?)?;
            let root = authority(&at).root();
            Ok(format!("made; chargers have to trust {}\n", root.display()))
        }
        CaCommand::Server { names, days, at } => {
            let issued = authority(&at).issue_server(&names, today()?, days)?;
            Ok(format!("made, valid until {}\n", issued.not_after))
        }
        CaCommand::Sign { identity, request, days, at } => {
            let text = std::fs::read_to_string(&request)
                .map_err(|source| KeyError::File { file: request, source })?;
            let own = CredentialFile::in_data(&at.folder());
            let known = own.read().map_err(|source| unread(&own, source))?;
            let other = known
                .of(&ChargePointId::new(&identity))
                .and_then(|own| own.certificate_name.clone());
            let mut names = vec![identity.as_str()];
            names.extend(other.as_deref());
            let signed = authority(&at).sign_request(&text, &identity, &names, today()?, days)?;
            Ok(signed.0)
        }
        CaCommand::Root(at) => Ok(authority(&at).root_text()?),
        CaCommand::List(at) => {
            let line = |issued: crate::io::authority::Issued| {
                let (until, serial) = (issued.not_after, issued.serial);
                format!("{:8} {:24} until {until}  {serial}\n", issued.purpose, issued.name)
            };
            Ok(authority(&at).issued()?.into_iter().map(line).collect())
        }
    }
}

/// Does what was asked of the passwords; gives what is to be printed.
///
/// # Errors
/// It was not done.
pub fn keys(command: KeyCommand) -> Result<String, KeyError> {
    match command {
        KeyCommand::Password { identity, stdin, at_once, at } => {
            let file = CredentialFile::in_data(&at.folder());
            let (hash, said) = if stdin { chosen()? } else { made() };
            change(&file, &identity, |own| own.expect(hash, at_once))?;
            Ok(said)
        }
        KeyCommand::LeastProfile { identity, profile, at } => {
            let file = CredentialFile::in_data(&at.folder());
            change(&file, &identity, |own| own.least_profile = profile)?;
            Ok(format!("{identity} is let in with security profile {profile} or more\n"))
        }
        KeyCommand::CertificateName { identity, name, at } => {
            let file = CredentialFile::in_data(&at.folder());
            change(&file, &identity, |own| own.certificate_name = name)?;
            Ok(String::new())
        }
        KeyCommand::Forget { identity, at } => {
            let file = CredentialFile::in_data(&at.folder());
            change(&file, &identity, |own| *own = Default::default())?;
            Ok(String::new())
        }
        KeyCommand::List(at) => list(&at.folder()),
    }
}

fn list(data: &Path) -> Result<String, KeyError> {
    let file = CredentialFile::in_data(data);
    let all = file.read().map_err(|source| unread(&file, source))?;
    let line = |(id, own): (&ChargePointId, &crate::io::credentials::Credential)| {
        let password = match (&own.password, &own.next) {
            (None, None) => "no password",
            (Some(_), None) => "password",
            (None, Some(_)) => "coming password",
            (Some(_), Some(_)) => "password and coming one",
        };
        let name = own.certificate_name.as_deref().unwrap_or_default();
        let least = own.least_profile;
        let line = format!("{:24} profile {least} or more, {password}  {name}", id.to_string());
        line.trim_end().to_owned() + "\n"
    };
    Ok(all.all().map(line).collect())
}

fn change(
    file: &CredentialFile,
    identity: &str,
    change: impl FnOnce(&mut crate::io::credentials::Credential),
) -> Result<(), KeyError> {
    let changed = file.change(&ChargePointId::new(identity), change);
    changed.map(drop).map_err(|source| unread(file, source))
}

fn unread(file: &CredentialFile, source: io::Error) -> KeyError {
    KeyError::File { file: file.path().to_owned(), source }
}

/// A password that nobody chose, as the charger wants it: hexadecimal digits of 20 bytes.
fn made() -> (Hash, String) {
    let key = secret::random::<KEY_BYTES>();
    (Hash::of_key(&key), HEXUPPER.encode(&key) + "\n")
}

fn chosen() -> Result<(Hash, String), KeyError> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|source| KeyError::File { file: PathBuf::from("standard input"), source })?;
    let password = line.trim_end_matches(['\r', '\n']);
    let length = password.chars().count();
    if length < PASSWORD_MIN {
        return Err(KeyError::Short(length));
    }
    Ok((Hash::of_password(&secret::canonical(password.as_bytes())), String::new()))
}

fn today() -> Result<Utc, KeyError> {
    Clock::real().now().utc.ok_or(KeyError::Clock)
}
