//! `ampgate uploads`: what chargers have uploaded to this box.

use std::fs::File;
use std::path::PathBuf;

use clap::Subcommand;

use crate::ui::html::segment;
use crate::ui::uploads::Uploaded;
use crate::ui::words::Calendar;

use super::client::{Client, ClientError, Target};
use super::text::{Side, row, table};

/// Files that chargers have uploaded.
#[derive(Debug, Subcommand)]
pub enum Uploads {
    /// All of them, newest first
    List(Target),
    /// Write one into a file
    Get {
        /// Its name, as `list` has it
        name: String,
        /// Where to; a file of this name in the present folder where it is left out
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// Remove one
    Delete {
        /// Its name, as `list` has it
        name: String,
        #[command(flatten)]
        target: Target,
    },
}

/// Fetches or removes a file and tells so; lists are printed with the others.
pub fn answer(wanted: &Uploads, zone: &str) -> Result<String, ClientError> {
    let client = |target: &Target| Client::new(target);
    match wanted {
        Uploads::List(target) => {
            let body = client(target)?.get("/api/v1/uploads")?;
            if target.json {
                return Ok(format!("{}\n", body.trim_end()));
            }
            Ok(listed(&super::client::read(&body)?, zone))
        }
        Uploads::Get { name, out, target } => {
            let file = out.clone().unwrap_or_else(|| PathBuf::from(name.replace('/', "-")));
            let failed = |why: std::io::Error| ClientError::File {
                file: file.clone(),
                why: why.to_string(),
            };
            let mut bytes = Vec::new();
            let path = format!("/api/v1/uploads/{}", segment(name));
            client(target)?.download(&path, &mut bytes)?;
            let mut into = File::create(&file).map_err(failed)?;
            std::io::Write::write_all(&mut into, &bytes).map_err(failed)?;
            Ok(format!("{} bytes in {}\n", bytes.len(), file.display()))
        }
        Uploads::Delete { name, target } => {
            client(target)?.delete(&format!("/api/v1/uploads/{}", segment(name)))?;
            Ok(format!("{name} is removed\n"))
        }
    }
}

/// The target of what is wanted.
pub fn target(wanted: &Uploads) -> &Target {
    match wanted {
        Uploads::List(target) | Uploads::Get { target, .. } | Uploads::Delete { target, .. } => {
            target
        }
    }
}

fn listed(found: &Uploaded, zone: &str) -> String {
    if found.uploads.is_empty() {
        return "No charger has uploaded anything.\n".to_owned();
    }
    let calendar = Calendar::new(zone);
    let mut lines = vec![row(["NAME", "CAME", "BYTES"])];
    for file in &found.uploads {
        let came = file.received.map(|at| calendar.short(at, None)).unwrap_or_default();
        lines.push(row([&file.name, &came, &file.bytes.to_string()]));
    }
    table(&[Side::Left, Side::Left, Side::Right], &lines)
}
