//! `backup` and `restore`: asked for through the data directory, so that they need no listener, and
//! whoever may write there may do it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::store::backup;
use crate::store::error::StoreError;

/// Where packages keep it; where a person starts the program, it is beside them.
const DATA: [&str; 2] = ["/var/lib/ampgate", "./ampgate-data"];

/// The daemon looks once a second; a store of years is copied in a minute on a slow card.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A file to write or read, and whose.
#[derive(Debug, Args)]
pub struct Keep {
    /// The backup
    pub file: PathBuf,
    /// The data directory [default: /var/lib/ampgate, else ./ampgate-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl Keep {
    fn data(&self) -> PathBuf {
        data(self.data.clone())
    }
}

/// The data directory that is meant: the one that was named, else where it usually is.
pub fn data(named: Option<PathBuf>) -> PathBuf {
    let usual = || DATA.iter().map(PathBuf::from).find(|dir| dir.exists());
    named.or_else(usual).unwrap_or_else(|| PathBuf::from(DATA[1]))
}

/// Writes a backup: by the daemon where one runs.
pub fn backup(wanted: &Keep) -> Result<String, String> {
    let data = wanted.data();
    let words = |error: io::Error| format!("{}: {error}", data.display());
    if !data.is_dir() {
        return Err(format!("{}: no data directory; expected one with --data", data.display()));
    }
    let (ready, failed) = (data.join(backup::READY), data.join(backup::FAILED));
    for old in [&ready, &failed] {
        gone(old).map_err(words)?;
    }
    match backup::write_alone(&data) {
        Ok(()) => {}
        Err(StoreError::InUse { .. }) => {
            ask(&data, &ready, &failed)?;
        }
        Err(error) => return Err(error.to_string()),
    }
    let file = wanted.file.as_path();
    let there = |error: io::Error| format!("{}: {error}", file.display());
    let copy = || -> io::Result<u64> {
        let mut to = backup::private(file)?;
        let bytes = io::copy(&mut File::open(&ready)?, &mut to)?;
        to.sync_all()?;
        Ok(bytes)
    };
    let bytes = copy().map_err(there)?;
    let names = backup::check(file).map_err(there)?.join(", ");
    gone(&ready).map_err(words)?;
    Ok(format!(
        "{}: {bytes} bytes: {names}\nIt holds keys and tokens: keep it where nobody else reads.\n",
        file.display()
    ))
}

#[expect(clippy::disallowed_methods, reason = "a command with nothing else to do")]
fn ask(data: &Path, ready: &Path, failed: &Path) -> Result<(), String> {
    let wanted = data.join(backup::WANTED);
    let words = |error: io::Error| format!("{}: {error}", wanted.display());
    File::create(&wanted).map_err(words)?;
    let mut waited = Duration::ZERO;
    while wanted.exists() {
        if PATIENCE <= waited {
            gone(&wanted).map_err(words)?;
            return Err("the daemon holds the data directory and writes no backup".to_owned());
        }
        std::thread::sleep(LOOK_EVERY);
        waited += LOOK_EVERY;
    }
    if ready.exists() {
        return Ok(());
    }
    let why = fs::read_to_string(failed).unwrap_or_default();
    Err(format!("the daemon could not write a backup: {}", why.trim()))
}

/// Lays a backup ready for the next start.
pub fn restore(wanted: &Keep) -> Result<String, String> {
    let (file, data) = (wanted.file.as_path(), wanted.data());
    backup::stage(file, &data).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(format!(
        "{} is whole and laid ready in {}.\nThe next start of the daemon puts it in place \
         (systemctl restart ampgate); what is there is moved to before-restore-N.\n",
        file.display(),
        data.display()
    ))
}

fn gone(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
