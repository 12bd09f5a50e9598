//! What the chargers show at the door: a file of hashes that the daemon and the command line write.
//!
//! Invariants: no password is in it, only hashes; a changed password is on disk before a charger is
//! told of it; an old password stays valid until the new one was seen; every change reads the file
//! anew under a lock, so that nobody undoes the change of another.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ground::ids::ChargePointId;

use super::secret::{self, Hash};

/// The file in the data directory.
pub const FILE: &str = "chargers.json";

/// What one charger has to show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Hash>,
    /// Its coming password: becomes the password when it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Hash>,
    /// Security profile below which it is not let in.
    #[serde(default)]
    pub least_profile: u8,
    /// Security profile that it was told to take; becomes the least when it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted_profile: Option<u8>,
    /// A name in its certificate that stands for it, beside its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_name: Option<String>,
}

impl Credential {
    /// It has to show another password from here on, or from the moment it has shown it.
    pub fn expect(&mut self, password: Hash, at_once: bool) {
        if at_once {
            (self.password, self.next) = (Some(password), None);
        } else {
            self.next = Some(password);
        }
    }
}

/// Which password a charger has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one in force.
    Current,
    /// The coming one.
    Next,
}

/// All that chargers have to show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    #[serde(default)]
    charge_points: BTreeMap<ChargePointId, Credential>,
}

impl Credentials {
    /// What a charger has to show; none if that was never said.
    pub fn of(&self, charge_point: &ChargePointId) -> Option<&Credential> {
        self.charge_points.get(charge_point)
    }

    /// Everybody of whom something is known.
    pub fn all(&self) -> impl Iterator<Item = (&ChargePointId, &Credential)> {
        self.charge_points.iter()
    }

    /// Reads the file; nothing is known where there is none.
    ///
    /// # Errors
    /// It cannot be read, others can read it, or it is not what was written.
    pub fn read(path: &Path) -> io::Result<Self> {
        let Some(text) = secret::read(path)? else { return Ok(Self::default()) };
        serde_json::from_str(&text).map_err(io::Error::other)
    }
}

/// Where they are kept.
#[derive(Clone, Debug)]
pub struct CredentialFile {
    path: PathBuf,
}

impl CredentialFile {
    /// In this data directory.
    pub fn in_data(data: &Path) -> Self {
        Self { path: data.join(FILE) }
    }

    /// The file itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything in it.
    ///
    /// # Errors
    /// As [`Credentials::read`].
    pub fn read(&self) -> io::Result<Credentials> {
        Credentials::read(&self.path)
    }

    /// Changes what one charger has to show, and gives back all.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn change(
        &self,
        charge_point: &ChargePointId,
        change: impl FnOnce(&mut Credential),
    ) -> io::Result<Credentials> {
        secret::locked(&self.path, || {
            let mut all = self.read()?;
            let own = all.charge_points.entry(charge_point.clone()).or_default();
            change(own);
            if *own == Credential::default() {
                all.charge_points.remove(charge_point);
            }
            let text = serde_json::to_string_pretty(&all).map_err(io::Error::other)?;
            secret::write(&self.path, &(text + "\n"), 0o600)?;
            Ok(all)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_kept_and_nothing_readable_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = CredentialFile::in_data(folder.path());
        assert_eq!(file.read().unwrap(), Credentials::default());
        let id = ChargePointId::new("CP-01");
        let all =
            file.change(&id, |own| own.password = Some(Hash::of_key(b"very secret"))).unwrap();
        assert_eq!(file.read().unwrap(), all);
        assert!(all.of(&id).unwrap().password.as_ref().unwrap().matches(b"very secret"));
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(file.change(&id, |own| own.password = None).unwrap(), Credentials::default());
    }
}
