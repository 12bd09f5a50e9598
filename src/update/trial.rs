//! The first minutes of a version: it is confirmed when the site works with it, and left when it
//! does not in time.
//!
//! The site works when the store writes, the chargers that were connected before are back, the
//! meters that spoke before speak, and the guard decides; all of it for a while on end. A partner
//! or a server that cannot be reached is no reason to go back: the network may be gone for both
//! versions.

use crate::ground::time::Now;
use crate::model::event::EventKind;

use super::state::{Before, Job, Stage, remember};
use super::{Action, Site, Updates};

/// So many starts a version has to be confirmed in.
pub const STARTS_MAX: u32 = 4;

/// Names in one sentence.
const NAMED_MAX: usize = 5;

/// What does not work yet; none when all does.
pub fn missing(before: &Before, site: &Site) -> Option<String> {
    if !site.is_ticking {
        return Some("the guard does not decide".to_owned());
    }
    if let Some(why) = &site.store_failing {
        return Some(format!("the store cannot write: {why}"));
    }
    let absent = |were: &[String], are: &[String]| -> Vec<String> {
        were.iter().filter(|one| !are.contains(one)).cloned().collect()
    };
    let chargers = absent(&before.chargers, &site.chargers);
    let meters = absent(&before.meters, &site.meters);
    let mut words = Vec::new();
    if !chargers.is_empty() {
        words.push(format!("{} not connected again", names(&chargers)));
    }
    if !meters.is_empty() {
        words.push(format!("{} silent", names(&meters)));
    }
    (!words.is_empty()).then(|| words.join(", "))
}

fn names(all: &[String]) -> String {
    let shown = all.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl Updates {
    /// Looks whether the site works with the version on trial.
    pub(super) fn try_out(&mut self, now: Now, site: &Site, out: &mut Vec<Action>) {
        let Stage::Trial { failed, .. } = &self.memory.stage else { return };
        if failed.is_some() {
            if self.reboot_asked.is_none() {
                out.push(Action::Mark { state: "bad", slot: "booted" });
                out.push(Action::Mark { state: "active", slot: "other" });
                out.push(Action::Reboot);
                self.reboot_asked = Some(now.mono);
            }
            return;
        }
        let since = *self.trial_since.get_or_insert(now.mono);
        self.missing = missing(&self.memory.before, site);
        let Some(why) = self.missing.clone() else {
            let good = *self.good_since.get_or_insert(now.mono);
            if self.policy.settle <= now.mono.since(good) {
                self.confirm("the site works with it", out);
            }
            return;
        };
        self.good_since = None;
        if self.policy.trial <= now.mono.since(since) {
            let why = format!("after {}: {why}", self.policy.trial);
            self.fail_trial(why, out);
        }
    }

    /// The version on trial stays.
    pub(super) fn confirm(&mut self, why: &str, out: &mut Vec<Action>) {
        let Stage::Trial { job, .. } = self.memory.stage.clone() else { return };
        out.push(Action::Mark { state: "good", slot: "booted" });
        let version = job.version.clone().unwrap_or_default();
        self.memory.least = super::version::later(self.memory.least.take(), &version);
        self.memory.bad_versions.retain(|bad| *bad != version);
        let text = format!("{}: {why}", job.name());
        self.report(&job, "closed", "success", &text);
        out.push(Action::Tell { kind: EventKind::UpdateConfirmed, text });
        self.memory.stage = Stage::Confirmed { job };
    }

    /// The version on trial does not stay: with the next tick the box starts anew from the other
    /// slot.
    pub(super) fn fail_trial(&mut self, why: String, out: &mut Vec<Action>) {
        let Stage::Trial { failed, job, from, .. } = &mut self.memory.stage else { return };
        let text = format!("{}: {why}; the box goes back to slot {from}", job.name());
        out.push(Action::Tell { kind: EventKind::UpdateRolledBack, text });
        *failed = Some(why);
    }

    /// Whether the version on trial has failed and the box is about to leave it.
    pub fn goes_back(&self) -> bool {
        matches!(self.memory.stage, Stage::Trial { failed: Some(_), .. })
    }

    /// The box is back on what ran before.
    pub(super) fn rolled_back(&mut self, job: Job, why: String, out: &mut Vec<Action>) {
        if let Some(version) = &job.version {
            remember(&mut self.memory.bad_versions, version);
        }
        let text = self.left(job.clone(), why, out);
        self.report(&job, "closed", "failure", &text);
    }

    /// What runs is not what was installed last, whoever has decided so; in words.
    pub(super) fn left(&mut self, job: Job, why: String, out: &mut Vec<Action>) -> String {
        let text = format!("{} was left: {why}; {} runs", job.name(), self.running());
        out.push(Action::Tell { kind: EventKind::UpdateRolledBack, text: text.clone() });
        out.push(Action::Clear);
        self.memory.stage = Stage::RolledBack { job, why };
        text
    }
}
