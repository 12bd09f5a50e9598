//! `ampgate partner`: what people want of partners over OCPI.

use std::path::PathBuf;

use clap::Subcommand;

use crate::ui::partners::{Asked, Told};

use super::client::{self, Client, ClientError, Target};

/// What can be wanted of a partner.
#[derive(Debug, Subcommand)]
pub enum Partner {
    /// How all partners stand
    List(Target),
    /// A token A and our versions URL, for the partner to register with us
    Invite {
        /// Its id in the configuration
        partner: String,
        #[command(flatten)]
        target: Target,
    },
    /// Register with the partner, with the versions URL and the token A that it gave
    Register {
        /// Its id in the configuration
        partner: String,
        /// Its versions endpoint
        #[arg(long, value_name = "URL")]
        versions: String,
        /// File that holds the token A alone, so that it is in no shell history
        #[arg(long, value_name = "FILE", conflicts_with = "token")]
        token_file: Option<PathBuf>,
        /// The token A
        #[arg(long, value_name = "TOKEN", required_unless_present = "token_file")]
        token: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// New tokens in both directions
    Rotate {
        /// Its id in the configuration
        partner: String,
        #[command(flatten)]
        target: Target,
    },
    /// End a registration
    Remove {
        /// Its id in the configuration
        partner: String,
        #[command(flatten)]
        target: Target,
    },
}

/// The text that answers.
pub fn answer(wanted: &Partner) -> Result<String, ClientError> {
    const PATH: &str = "/api/v1/partners";
    let (asked, target) = match wanted {
        Partner::List(target) => {
            let client = Client::new(target)?;
            return print(target, &client.get(PATH)?);
        }
        Partner::Invite { partner, target } => (Asked::Invite { partner: partner.clone() }, target),
        Partner::Register { partner, versions, token_file, token, target } => {
            let token = match (token, token_file) {
                (Some(token), _) => token.clone(),
                (None, Some(file)) => read(file)?,
                (None, None) => String::new(),
            };
            let (partner, url) = (partner.clone(), versions.clone());
            (Asked::Register { partner, url, token }, target)
        }
        Partner::Rotate { partner, target } => (Asked::Rotate { partner: partner.clone() }, target),
        Partner::Remove { partner, target } => (Asked::Remove { partner: partner.clone() }, target),
    };
    let client = Client::new(target)?;
    let body = serde_json::to_string(&asked).expect("a wish is plain text");
    print(target, &client.post(PATH, &body)?)
}

fn print(target: &Target, body: &str) -> Result<String, ClientError> {
    if target.json {
        return Ok(format!("{}\n", body.trim_end()));
    }
    let Told { text } = client::read(body)?;
    Ok(format!("{text}\n"))
}

fn read(file: &std::path::Path) -> Result<String, ClientError> {
    let text = std::fs::read_to_string(file);
    let text = text
        .map_err(|error| ClientError::Config { file: file.to_owned(), why: error.to_string() })?;
    Ok(text.trim().to_owned())
}
