//! What an update keeps in `update/` of the data directory.
//!
//! | file | what |
//! |---|---|
//! | `state.json` | how far it is; read again after every start |
//! | `bundle-….part`, `bundle-….raucb` | a download, half and whole |
//! | `reboot` | the box is to start anew; `ampgate-reboot.path` waits for it |
//! | `trial` | the next start is a trial: the version, and the boot that is none yet; |
//! | | `ampgate-trial.timer` goes back when it stays too long |
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
        self.note_trial(&memory.stage)
    }

    /// From the moment at which the box can come up with a version, not only when it is asked to:
    /// the power may be cut. The boot in which it was installed is no trial yet, so it is named.
    fn note_trial(&self, stage: &Stage) -> io::Result<()> {
        let trial = self.folder.join("trial");
        let known = fs::read_to_string(&trial).ok();
        match (stage, known) {
            (Stage::Installed { job, boot, .. }, known) => {
                let text = format!("{}\n{boot}\n", job.name());
                if known.is_some_and(|known| known == text) {
                    return Ok(());
                }
                secret::write(&trial, &text, 0o644)
            }
            (Stage::Trial { job, .. }, None) => {
                secret::write(&trial, &format!("{}\n", job.name()), 0o644)
            }
            (Stage::Trial { .. }, Some(_)) | (_, None) => Ok(()),
            (_, Some(_)) => fs::remove_file(trial),
        }
    }

    /// Asks for a start of the box.
    ///
    /// # Errors
    /// The disk fails.
    pub fn ask_reboot(&self, memory: &Memory) -> io::Result<()> {
        let name = memory.stage.job().map_or("", |job| job.name());
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
    use crate::update::state::Job;

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

    /// The power may be cut while the start anew waits for a car.
    #[test]
    fn the_next_start_is_a_trial_as_soon_as_a_version_is_installed() {
        let data = tempfile::tempdir().unwrap();
        let keep = Keep::of(data.path());
        let trial = keep.folder().join("trial");
        let job: Job = serde_json::from_value(serde_json::json!({
            "source": {"by": "person"}, "location": "/two.raucb", "file": null,
            "version": "2.0.0", "sha256": null, "size_bytes": null, "force": false, "attempts": 0,
        }))
        .unwrap();
        let (from, to) = ("A".to_owned(), "B".to_owned());
        let save = |stage: Stage| keep.save(&Memory { stage, ..Memory::default() }).unwrap();
        let boot = "boot-1".to_owned();
        let (on, off) = (job.clone(), job.clone());
        save(Stage::Installed { job, from: from.clone(), to: to.clone(), boot });
        assert_eq!(fs::read_to_string(&trial).unwrap(), "2.0.0\nboot-1\n");
        fs::remove_file(&trial).unwrap();
        save(Stage::Trial { job: on, from, to, starts: 1, failed: None });
        assert_eq!(fs::read_to_string(&trial).unwrap(), "2.0.0\n");
        save(Stage::Confirmed { job: off });
        assert!(!trial.exists());
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
