//! What is remembered of an update over a start anew, and what is known of the two systems.

use serde::{Deserialize, Serialize};

use crate::model::update::UpdateStage;

/// Reports to a server that may wait for the network.
pub const REPORTS_MAX: usize = 64;

/// Versions and actions that are remembered so that they are not taken again.
pub const KNOWN_MAX: usize = 32;

/// Who wants an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Source {
    /// Somebody here.
    Person,
    /// The index that is polled.
    Index,
    /// A hawkBit server.
    HawkBit {
        /// Its number of the action.
        action: String,
    },
}

impl std::fmt::Display for Source {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person => to.write_str("an order"),
            Self::Index => to.write_str("the index"),
            Self::HawkBit { action } => write!(to, "hawkBit, action {action}"),
        }
    }
}

/// An update to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Who wants it.
    pub source: Source,
    /// Where the bundle is, as it was given.
    pub location: String,
    /// The bundle on this machine, once it is there.
    pub file: Option<String>,
    /// As announced, then as the bundle says.
    pub version: Option<String>,
    /// What the bundle must have, where it was announced.
    pub sha256: Option<String>,
    /// How large it is, where it was announced.
    pub size_bytes: Option<u64>,
    /// Without regard to window and cars.
    pub force: bool,
    /// How often it has failed.
    pub attempts: u32,
}

impl Job {
    /// Its name for people.
    pub fn name(&self) -> &str {
        self.version.as_deref().unwrap_or(&self.location)
    }

    /// Whether the bundle has to be fetched first.
    pub fn is_remote(&self) -> bool {
        !self.location.starts_with('/')
    }
}

/// How far it is, with what that state needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Nothing to do.
    #[default]
    Idle,
    /// It is to be fetched or looked at.
    Found { job: Job },
    /// It is fetched.
    Downloading { job: Job },
    /// It is here and fits.
    Waiting { job: Job },
    /// It is written.
    Installing { job: Job },
    /// It is in slot `to`.
    Installed { job: Job, from: String, to: String, boot: String },
    /// The box runs from slot `to` for the first times.
    Trial { job: Job, from: String, to: String, starts: u32, failed: Option<String> },
    /// The site works with it.
    Confirmed { job: Job },
    /// The box is back on what ran before.
    RolledBack { job: Job, why: String },
    /// Nothing has changed.
    Failed { job: Job, why: String },
}

impl Stage {
    /// In a word.
    pub fn word(&self) -> UpdateStage {
        match self {
            Self::Idle => UpdateStage::Idle,
            Self::Found { .. } => UpdateStage::Found,
            Self::Downloading { .. } => UpdateStage::Downloading,
            Self::Waiting { .. } => UpdateStage::Waiting,
            Self::Installing { .. } => UpdateStage::Installing,
            Self::Installed { .. } => UpdateStage::Installed,
            Self::Trial { .. } => UpdateStage::Trial,
            Self::Confirmed { .. } => UpdateStage::Confirmed,
            Self::RolledBack { .. } => UpdateStage::RolledBack,
            Self::Failed { .. } => UpdateStage::Failed,
        }
    }

    /// The update at hand or the last one.
    pub fn job(&self) -> Option<&Job> {
        match self {
            Self::Idle => None,
            Self::Found { job }
            | Self::Downloading { job }
            | Self::Waiting { job }
            | Self::Installing { job }
            | Self::Installed { job, .. }
            | Self::Trial { job, .. }
            | Self::Confirmed { job }
            | Self::RolledBack { job, .. }
            | Self::Failed { job, .. } => Some(job),
        }
    }
}

/// What is to be told to a hawkBit server, until it has taken it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its number of the action.
    pub action: String,
    /// About the wish to cancel it, and not about the action itself.
    pub cancel: bool,
    /// `download`, `downloaded`, `scheduled`, `proceeding`, `closed` or `rejected`.
    pub execution: String,
    /// `none`, `success` or `failure`.
    pub finished: String,
    /// In words.
    pub details: String,
}

/// How the site was before the box started anew: it has to be so again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Charge points that were connected.
    pub chargers: Vec<String>,
    /// Meters that spoke.
    pub meters: Vec<String>,
}

/// Everything that outlives a start anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// How far the update is.
    pub stage: Stage,
    /// The highest version that was confirmed here: no older one is installed.
    pub least: Option<String>,
    /// How the site was.
    pub before: Before,
    /// Versions that failed here; an index does not bring them again.
    pub bad_versions: Vec<String>,
    /// Actions of hawkBit that have ended.
    pub ended_actions: Vec<String>,
    /// What hawkBit has yet to be told, oldest first.
    pub reports: Vec<Report>,
}

/// Remembers `one`, and forgets the oldest of too many.
pub fn remember(known: &mut Vec<String>, one: &str) {
    known.retain(|other| other != one);
    known.push(one.to_owned());
    if KNOWN_MAX < known.len() {
        known.remove(0);
    }
}

/// One of the systems on the box, as RAUC has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// As the boot loader calls it.
    pub bootname: String,
    /// RAUC's name of it, e.g. `rootfs.0`.
    pub name: String,
    /// The version in it, where it is known and whole.
    pub version: Option<String>,
    /// The box runs from it.
    pub booted: bool,
    /// It is known to start.
    pub good: bool,
}

/// What RAUC says of the box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// What the box is; bundles name what they are for.
    pub compatible: String,
    /// It is writing at this moment.
    pub is_writing: bool,
    /// RAUC's name of the slot that the boot loader tries first.
    pub primary: String,
    /// Those that the box can start from.
    pub slots: Vec<Slot>,
}

impl Slots {
    /// The one that runs.
    pub fn booted(&self) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.booted)
    }

    /// Whether it is the version of this job that runs.
    pub fn runs(&self, job: &Job) -> bool {
        let version = self.booted().and_then(|slot| slot.version.as_ref());
        version.is_some() && version == job.version.as_ref()
    }

    /// Whether the version of this job is in the slot that does not run, and in no other.
    pub fn lies_idle(&self, job: &Job) -> bool {
        let other = self.other().and_then(|slot| slot.version.as_ref());
        other.is_some() && other == job.version.as_ref() && !self.runs(job)
    }

    /// The one that does not run.
    pub fn other(&self) -> Option<&Slot> {
        self.slots.iter().find(|slot| !slot.booted)
    }
}
