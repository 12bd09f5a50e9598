//! Updates as people see them.

use crate::ground::time::{Duration, Now};
use crate::model::update::{SlotView, UpdateStage, UpdateView};

use super::Updates;
use super::state::Stage;

/// Whoever is to start the box anew has had enough time.
const REBOOT_TIME: Duration = Duration::minutes(5);

impl Updates {
    /// As they stand. `trouble` and `polled` are known outside.
    pub fn view(&self, now: Now, trouble: Vec<String>, polled: Vec<String>) -> UpdateView {
        let (stage, job) = (&self.memory.stage, self.memory.stage.job());
        let slots = self.slots.clone().unwrap_or_default();
        let slot = |slot: &super::state::Slot| SlotView {
            name: slot.bootname.clone(),
            version: slot.version.clone(),
            booted: slot.booted,
            first: slot.name == slots.primary,
            good: slot.good,
        };
        let orders = self.orders().iter().map(|order| (*order).to_owned()).collect();
        UpdateView {
            enabled: true,
            stage: stage.word(),
            words: self.words(now),
            running: self.running().to_owned(),
            least: self.memory.least.clone(),
            version: job.and_then(|job| job.version.clone()),
            source: job.map(|job| match job.source {
                super::state::Source::Person => job.location.clone(),
                _ => job.source.to_string(),
            }),
            attempts: job.map_or(0, |job| job.attempts),
            percent: match stage.word() {
                UpdateStage::Downloading | UpdateStage::Installing => self.percent,
                _ => None,
            },
            trouble,
            assumed: match stage {
                Stage::Installed { .. } => self.assumed.clone(),
                _ => Vec::new(),
            },
            slots: slots.slots.iter().map(slot).collect(),
            polled,
            orders,
        }
    }

    fn orders(&self) -> &'static [&'static str] {
        match &self.memory.stage {
            Stage::Found { .. } | Stage::Waiting { .. } => &["force", "cancel"],
            Stage::Downloading { .. } => &["cancel"],
            Stage::Installing { .. } => &[],
            Stage::Installed { .. } => &["force", "rollback"],
            Stage::Trial { failed: None, .. } => &["confirm", "rollback"],
            Stage::Trial { .. } => &[],
            Stage::Idle
            | Stage::Confirmed { .. }
            | Stage::RolledBack { .. }
            | Stage::Failed { .. } => match self.slots.as_ref().and_then(|slots| slots.other()) {
                Some(other) if other.good && other.version.is_some() => &["install", "rollback"],
                Some(_) => &["install"],
                None => &[],
            },
        }
    }

    /// How far it is, in a sentence.
    fn words(&self, now: Now) -> String {
        let name = self.memory.stage.job().map(|job| job.name().to_owned()).unwrap_or_default();
        let why = self.why_wait.as_deref();
        match &self.memory.stage {
            Stage::Idle => "no update is known".to_owned(),
            Stage::Found { .. } => match why {
                Some(why) => format!("{name}: {why}"),
                None => format!("{name} is looked at"),
            },
            Stage::Downloading { .. } => format!("{name} is downloaded"),
            Stage::Waiting { .. } => match why {
                Some(why) => format!("{name} waits: {why}"),
                None => format!("{name} is about to be written"),
            },
            Stage::Installing { .. } => format!("{name} is written into the other slot"),
            Stage::Installed { to, .. } => match (why, self.reboot_asked) {
                (Some(why), _) => format!("{name} is in slot {to}, the start anew waits: {why}"),
                (None, Some(asked)) if REBOOT_TIME <= now.mono.since(asked) => {
                    format!("{name} is in slot {to}; nobody has started the box anew: reboot it")
                }
                (None, _) => format!("{name} is in slot {to}; the box is about to start anew"),
            },
            Stage::Trial { failed: Some(failed), from, .. } => {
                format!("{name} is left ({failed}); the box goes back to slot {from}")
            }
            Stage::Trial { .. } => match &self.missing {
                Some(missing) => format!("{name} is on trial: {missing}"),
                None => format!("{name} is on trial: all works so far"),
            },
            Stage::Confirmed { .. } => format!("{name} is confirmed"),
            Stage::RolledBack { why, .. } => format!("{name} was left: {why}"),
            Stage::Failed { why, .. } => format!("{name} was not installed: {why}"),
        }
    }
}
