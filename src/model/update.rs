//! Updates of this box itself, as people see and order them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ground::time::Duration;
use crate::ground::zone::TimeOfDay;

/// Part of the day, local time. It may pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First minute.
    pub from: TimeOfDay,
    /// The minute after the last.
    pub to: TimeOfDay,
}

impl Window {
    /// Reads `01:00-05:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (TimeOfDay::parse(from.trim())?, TimeOfDay::parse(to.trim())?);
        (from != to).then_some(Self { from, to })
    }

    /// Whether this minute of the day is in it.
    pub fn holds(self, minute: i64) -> bool {
        let (from, to) = (i64::from(self.from.minutes()), i64::from(self.to.minutes()));
        match from < to {
            true => from <= minute && minute < to,
            false => from <= minute || minute < to,
        }
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{} to {}", self.from, self.to)
    }
}

/// When and how often an update is tried, and when a version is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdatePolicy {
    /// Without one, any hour is right.
    pub window: Option<Window>,
    /// An update is tried so often.
    pub attempts_max: u32,
    /// A version on trial that does not work after this long is left.
    pub trial: Duration,
    /// The site has to work for this long before a version is confirmed.
    pub settle: Duration,
    /// The box is away for no longer than this when it starts anew.
    pub pause: Duration,
}

/// How this box is updated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateSettings {
    /// D-Bus on which RAUC is; none = the system bus.
    pub bus: Option<String>,
    /// When.
    pub policy: UpdatePolicy,
    /// A bundle is no larger.
    pub size_max_bytes: u64,
    /// Roots of the servers below, PEM; none = those of the web.
    pub ca_file: Option<PathBuf>,
    /// A static index that is polled.
    pub index: Option<UpdateIndex>,
    /// A hawkBit server.
    pub hawkbit: Option<HawkBit>,
}

/// A static index that is polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateIndex {
    /// Where it is.
    pub url: String,
    /// How often it is looked at.
    pub every: Duration,
}

/// A hawkBit server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HawkBit {
    /// Where it is, without the tenant.
    pub url: String,
    /// Its tenant.
    pub tenant: String,
    /// What this box is called there.
    pub controller: String,
    /// The token is of a gateway, and not of this box alone.
    pub is_gateway: bool,
    /// File that holds the token, alone on its first line.
    pub token_file: PathBuf,
    /// What the server is told of this box.
    pub attributes: BTreeMap<String, String>,
    /// Updates that wait for consent get it from here.
    pub consent: bool,
}

/// How far an update is, in one word that scripts may rely on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateStage {
    /// There is nothing to do.
    #[default]
    Idle,
    /// There is one; it is looked at, or tried again later.
    Found,
    /// It is fetched.
    Downloading,
    /// It is here and fits, and is not written yet: the words say why.
    Waiting,
    /// It is written into the other slot.
    Installing,
    /// It is written; the box has to start anew.
    Installed,
    /// The box runs it and looks whether the site works again.
    Trial,
    /// The site works with it.
    Confirmed,
    /// The box is back on what ran before.
    RolledBack,
    /// It was refused or could not be installed; nothing has changed.
    Failed,
}

impl UpdateStage {
    /// As the API and scripts have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Found => "found",
            Self::Downloading => "downloading",
            Self::Waiting => "waiting",
            Self::Installing => "installing",
            Self::Installed => "installed",
            Self::Trial => "trial",
            Self::Confirmed => "confirmed",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
        }
    }

    /// Whether something is under way that another update must not disturb.
    pub const fn is_busy(self) -> bool {
        match self {
            Self::Found | Self::Downloading | Self::Waiting => true,
            Self::Installing | Self::Installed | Self::Trial => true,
            Self::Idle | Self::Confirmed | Self::RolledBack | Self::Failed => false,
        }
    }
}

/// One of the two systems of the box.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotView {
    /// As the boot loader calls it, e.g. `A`.
    pub name: String,
    /// The version in it, as far as it was installed by an update.
    pub version: Option<String>,
    /// The box runs from it.
    pub booted: bool,
    /// The boot loader tries it first at the next start.
    pub first: bool,
    /// It is known to start.
    pub good: bool,
}

/// Updates of this box as they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateView {
    /// `[update]` is in the configuration.
    pub enabled: bool,
    /// How far it is.
    pub stage: UpdateStage,
    /// The same for people, with the reason where it waits or has failed.
    pub words: String,
    /// The version that runs.
    pub running: String,
    /// No older version is installed.
    pub least: Option<String>,
    /// The version of the update at hand.
    pub version: Option<String>,
    /// Where the update at hand comes from.
    pub source: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// How far the download or the writing is.
    pub percent: Option<u8>,
    /// What keeps updates from working, in words: RAUC or a server does not answer.
    pub trouble: Vec<String>,
    /// What is assumed of cars while an update waits to start the box anew, in words.
    #[serde(default)]
    pub assumed: Vec<String>,
    /// The two systems of the box.
    pub slots: Vec<SlotView>,
    /// What is asked for updates by itself, in words.
    pub polled: Vec<String>,
    /// Orders that can be given at this moment.
    pub orders: Vec<String>,
}

/// What people order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum UpdateOrder {
    /// Install this.
    Install {
        /// A file on the box, or a URL.
        location: String,
        /// At once, though cars charge and whatever the hour.
        #[serde(default)]
        force: bool,
    },
    /// Do not wait any longer.
    Force,
    /// The version on trial works.
    Confirm,
    /// Back to the other slot.
    Rollback,
    /// Give up what is not written yet.
    Cancel,
}

/// What an order came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateDone {
    /// In words.
    pub words: String,
}
