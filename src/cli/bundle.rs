//! `support-bundle`: what somebody who helps needs to see, without what they must not see.
//!
//! Secrets are left out twice: values of the configuration are masked by their keys, and every
//! token and secret that was found there wherever else it stands, the journal included.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use toml::Value;

use crate::io::users::UserFile;
use crate::model::user::Role;
use crate::store::archive::Writer;

use super::client::{Client, Target};
use super::keep;

/// What the daemon is asked for, and the name in the bundle.
const ASKED: [(&str, &str); 6] = [
    ("/api/v1/site", "site.json"),
    ("/api/v1/events?count=1000", "events.json"),
    ("/api/v1/sessions?count=200", "sessions.json"),
    ("/api/v1/plan", "plan.json"),
    ("/healthz", "healthz.json"),
    ("/metrics", "metrics.txt"),
];

/// What the machine is asked for; what is not installed is said in its place.
const MACHINE: [(&str, &[&str]); 5] = [
    (
        "journal.txt",
        &["journalctl", "-u", "ampgate", "-n", "5000", "--no-pager", "-o", "short-iso"],
    ),
    ("unit.txt", &["systemctl", "status", "ampgate", "--no-pager", "-l", "-n", "0"]),
    ("clock.txt", &["timedatectl", "--no-pager"]),
    ("disk.txt", &["df", "-h"]),
    ("kernel.txt", &["uname", "-a"]),
];

/// Keys whose values are secrets, wherever in the configuration they stand.
const SECRET: [&str; 12] = [
    "authorization_key",
    "group",
    "id_token",
    "key",
    "pass",
    "password",
    "secret",
    "token",
    "token_a",
    "tokens",
    "username",
    "user",
];

/// Shorter texts are not looked for elsewhere: they would mask words that mean nothing.
const LENGTH_MIN: usize = 4;

/// What stands where a secret stood.
const MASK: &str = "(masked)";

/// Where to write it.
#[derive(Debug, Args)]
pub struct Bundle {
    /// The bundle, a .tar.gz
    file: PathBuf,
    /// The configuration, masked before it goes into the bundle
    #[arg(long = "site", value_name = "FILE", default_value = "/etc/ampgate/site.toml")]
    site: PathBuf,
    #[command(flatten)]
    target: Target,
}

/// Writes the bundle and says what is in it.
pub fn write(wanted: &Bundle) -> Result<String, String> {
    let site = wanted.target.config.as_deref().unwrap_or(&wanted.site);
    let (config, mut secrets) = match std::fs::read_to_string(site) {
        Ok(text) => masked(&text),
        Err(error) => (format!("{}: {error}\n", site.display()), BTreeSet::new()),
    };
    secrets.extend(users(wanted.target.data_dir.clone()));
    let mut texts = vec![("about.txt".to_owned(), about()), ("site.toml".to_owned(), config)];
    let client = Client::new(&wanted.target);
    for (path, name) in ASKED {
        let said = client.as_ref().map_err(ToString::to_string);
        let said = said.and_then(|client| client.get(path).map_err(|error| error.to_string()));
        texts.push((
            name.to_owned(),
            said.unwrap_or_else(|why| format!("(not to be had: {why})\n")),
        ));
    }
    for (name, words) in MACHINE {
        texts.push((name.to_owned(), machine(words)));
    }
    for (_, text) in &mut texts {
        for secret in &secrets {
            *text = text.replace(secret.as_str(), MASK);
        }
    }
    let failed = |error: io::Error| format!("{}: {error}", wanted.file.display());
    pack(&wanted.file, &texts).map_err(failed)?;
    let names: Vec<&str> = texts.iter().map(|(name, _)| name.as_str()).collect();
    Ok(format!(
        "{}: {}\n{} secrets of the configuration are masked. Look into it before you send it.\n",
        wanted.file.display(),
        names.join(", "),
        secrets.len()
    ))
}

/// Names of the users of this box, where they can be read: they are people.
fn users(data: Option<PathBuf>) -> Vec<String> {
    let users = UserFile::in_data(&keep::data(data)).read().unwrap_or_default();
    let is_word = |name: &str| Role::ALL.iter().any(|role| role.word() == name);
    let names = users.all().map(|(name, _)| name.as_str().to_owned());
    names.filter(|name| LENGTH_MIN <= name.len() && !is_word(name)).collect()
}

fn pack(file: &Path, texts: &[(String, String)]) -> io::Result<()> {
    let mut writer = Writer::new(BufWriter::new(File::create(file)?));
    for (name, text) in texts {
        writer.add_text(name, text, 0)?;
    }
    writer.finish()?.into_inner()?.sync_all()
}

fn about() -> String {
    format!(
        "ampgate {} for {} {}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    )
}

fn machine(words: &[&str]) -> String {
    let ran = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output();
    match ran {
        Ok(done) => {
            let said = String::from_utf8_lossy(&done.stdout);
            format!("{said}{}", String::from_utf8_lossy(&done.stderr))
        }
        Err(error) => format!("({} cannot be run: {error})\n", words[0]),
    }
}

/// A configuration with its secrets masked, and the secrets. What is no TOML is left out whole.
fn masked(text: &str) -> (String, BTreeSet<String>) {
    let mut secrets = BTreeSet::new();
    match text.parse::<toml::Table>() {
        Ok(mut table) => {
            mask(&mut table, false, &mut secrets);
            let shown = toml::to_string(&table).unwrap_or_else(|error| format!("# {error}\n"));
            (shown, secrets)
        }
        Err(error) => (format!("# left out, it is no TOML: {}\n", error.message()), secrets),
    }
}

fn mask(table: &mut toml::Table, is_token: bool, secrets: &mut BTreeSet<String>) {
    for (key, value) in table.iter_mut() {
        let secret = SECRET.contains(&key.as_str()) || (is_token && key == "id");
        mask_value(value, secret, key == "token", secrets);
    }
}

fn mask_value(value: &mut Value, secret: bool, is_token: bool, secrets: &mut BTreeSet<String>) {
    match value {
        Value::Table(table) => mask(table, is_token, secrets),
        Value::Array(values) => {
            for value in values {
                mask_value(value, secret, is_token, secrets);
            }
        }
        Value::String(text) if secret => {
            if LENGTH_MIN <= text.len() {
                secrets.insert(text.clone());
            }
            *text = MASK.to_owned();
        }
        Value::Integer(_) if secret => *value = Value::String(MASK.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_the_rest_stays() {
        let text = "[mqtt]\nhost = \"broker\"\nusername = \"meter-reader\"\npassword = \"pst\"\n\
                    password_file = \"/etc/ampgate/mqtt\"\n[access]\ntokens = [\"04A1B2C3\"]\n\
                    [[token]]\nid = \"BADGE-77\"\ngroup = \"family\"\n[[node]]\nid = \"grid\"\n\
                    [[partner]]\nname = \"cpo\"\ntoken_a = \"0123456789\"\n";
        let (shown, secrets) = masked(text);
        for gone in ["meter-reader", "pst", "04A1B2C3", "BADGE-77", "family", "0123456789"] {
            assert!(!shown.contains(gone), "{gone} in {shown}");
        }
        for stays in ["broker", "/etc/ampgate/mqtt", "grid", "cpo"] {
            assert!(shown.contains(stays), "{stays} not in {shown}");
        }
        assert!(secrets.contains("BADGE-77") && !secrets.contains("pst"), "{secrets:?}");
    }

    #[test]
    fn what_cannot_be_read_is_left_out_whole() {
        let (shown, _) = masked("password = \"geheim\nrest");
        assert!(!shown.contains("geheim"), "{shown}");
    }
}
