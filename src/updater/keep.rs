//! What an update keeps in `update/` of the data directory.
//!
//! | file | what |
//! |---|---|
//! | `state.json` | how far it is; read again after every start |
//! | `bundle-….part`, `bundle-….raucb` | a download, half and whole |
//! | `reboot` | the box is to start anew; `ampgate-reboot.path` waits for it |
//! | `trial` | a version is on trial; `ampgate-trial.timer` goes back when it stays too long |
//! | `before/`, `program` | the store of the version before ([`crate::store::before`]) |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::io::{fetch, secret};
use crate::store::before::FOLDER;
use crate::update::state::{Memory, Stage};

/// The memory of a box is some kilobytes; what is longer is not ours.
const MEMORY_BYTES_MAX: u64 = 1 << 20;

/// The folder.
#[derive(Clone, Debug)]
pub struct Keep {
    folder: PathBuf,
}

impl Keep {
    /// In this data directory.
    pub fn of(data: &Path) -> Self {
        Self { folder: data.join(FOLDER) }
    }

    /// Where downloads go.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was remembered. What cannot be read is put aside and told.
    pub fn load(&self) -> (Memory, Option<String>) {
        let file = self.folder.join("state.json");
        let small = fs::metadata(&file).is_ok_and(|found| found.len() <= MEMORY_BYTES_MAX);
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Default::default(),
            Ok(text) if small => text,
            Ok(_) => String::new(),
            Err(error) => {
                let words = format!("{}: {error}", file.display());
                return (Memory::default(), Some(words));
            }
        };
        match serde_json::from_str(&text) {
            Ok(memory) => (memory, None),
            Err(error) => {
                let aside = file.with_extension("json.damaged");
                let kept = fs::rename(&file, &aside);
                let place = if kept.is_ok() { aside } else { file };
                let words = format!(
                    "how far an update was cannot be read ({error}; see {}), it begins anew",
                    place.display()
                );
                (Memory::default(), Some(words))
            }
        }
    }

    /// Remembers, durably.
    ///
    /// # Errors
    /// The disk fails.
    pub fn save(&self, memory: &Memory) -> io::Result<()> {
        let text = serde_json::to_string_pretty(memory).expect("plain values are JSON");
        secret::write(&self.folder.join("state.json"), &text, 0o640)?;
        let trial = self.folder.join("trial");
        match (&memory.stage, trial.exists()) {
            (Stage::Installed { .. } | Stage::Trial { .. }, _) | (_, false) => Ok(()),
            (_, true) => fs::remove_file(trial),
        }
    }

    /// Asks for a start of the box.
    ///
    /// # Errors
    /// The disk fails.
    pub fn ask_reboot(&self, memory: &Memory) -> io::Result<()> {
        let name = memory.stage.job().map_or("", |job| job.name());
        if let Stage::Installed { .. } = memory.stage {
            secret::write(&self.folder.join("trial"), &format!("{name}\n"), 0o644)?;
        }
        secret::write(&self.folder.join("reboot"), &format!("for the update {name}\n"), 0o644)
    }

    /// Deletes downloads and the wish to start anew.
    pub fn clear(&self) {
        fetch::clear(&self.folder);
        // It may not be there.
        let _ = fs::remove_file(self.folder.join("reboot"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_put_aside_and_told() {
        let data = tempfile::tempdir().unwrap();
        let keep = Keep::of(data.path());
        assert_eq!(keep.load(), (Memory::default(), None));
        let memory = Memory { least: Some("2.0.0".to_owned()), ..Memory::default() };
        keep.save(&memory).unwrap();
        assert_eq!(keep.load(), (memory, None));
        fs::write(keep.folder().join("state.json"), "{\"stage\": {\"stage\": \"who knows\"}}")
            .unwrap();
        let (memory, words) = keep.load();
        assert_eq!(memory, Memory::default());
        assert!(words.is_some_and(|words| words.contains("state.json.damaged")));
        assert_eq!(keep.load(), (Memory::default(), None));
    }

    #[test]
    fn wishes_to_start_anew_come_and_go() {
        let data = tempfile::tempdir().unwrap();
        let keep = Keep::of(data.path());
        keep.save(&Memory::default()).unwrap();
        keep.ask_reboot(&Memory::default()).unwrap();
        assert!(keep.folder().join("reboot").exists());
        fs::write(keep.folder().join("bundle-1.part"), "half").unwrap();
        keep.clear();
        let left: Vec<_> = fs::read_dir(keep.folder()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "the memory alone: {left:?}");
    }
}
