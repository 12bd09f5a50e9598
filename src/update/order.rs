//! What people and servers want of updates.

use crate::ground::time::Now;
use crate::model::event::EventKind;
use crate::model::update::UpdateOrder;

use super::state::{Job, Source, Stage};
use super::version::Version;
use super::{Action, Offer, Updates};

/// A location is no longer than this.
const LOCATION_MAX: usize = 2048;

impl Updates {
    /// Does what a person orders; what it comes to in words, and what is to be done.
    pub fn order(
        &mut self,
        now: Now,
        order: &UpdateOrder,
    ) -> (Result<String, String>, Vec<Action>) {
        let mut out = Vec::new();
        let said = match order {
            UpdateOrder::Install { location, force } => self.install(location, *force, &mut out),
            UpdateOrder::Force => self.force(now),
            UpdateOrder::Confirm => self.confirm_by_hand(&mut out),
            UpdateOrder::Rollback => self.roll_back(&mut out),
            UpdateOrder::Cancel => self.cancel(&mut out),
        };
        (said, out)
    }

    fn install(
        &mut self,
        location: &str,
        force: bool,
        out: &mut Vec<Action>,
    ) -> Result<String, String> {
        is_location(location)?;
        if self.slots.is_none() {
            return Err("RAUC does not answer, so nothing can be installed".to_owned());
        }
        self.is_free()?;
        let job = Job {
            source: Source::Person,
            location: location.to_owned(),
            file: None,
            version: None,
            sha256: None,
            size_bytes: None,
            force,
            attempts: 0,
        };
        self.why_wait = None;
        self.begin(job, out);
        Ok("taken; `ampgate update status` tells how far it is".to_owned())
    }

    fn is_free(&self) -> Result<(), String> {
        let word = self.memory.stage.word();
        match self.memory.stage.job() {
            Some(job) if word.is_busy() => {
                let (name, word) = (job.name(), word.word());
                Err(format!("{name} is under way ({word}); cancel it or let it end first"))
            }
            _ => Ok(()),
        }
    }

    fn force(&mut self, now: Now) -> Result<String, String> {
        match &mut self.memory.stage {
            Stage::Found { job } => {
                self.retry_at = Some(now.mono);
                job.force = true;
            }
            Stage::Waiting { job } | Stage::Installed { job, .. } => job.force = true,
            Stage::Downloading { job } | Stage::Installing { job } => job.force = true,
            Stage::Idle
            | Stage::Trial { .. }
            | Stage::Confirmed { .. }
            | Stage::RolledBack { .. }
            | Stage::Failed { .. } => return Err("no update waits".to_owned()),
        }
        Ok("it waits for nothing any more, whatever cars and the hour say".to_owned())
    }

    fn confirm_by_hand(&mut self, out: &mut Vec<Action>) -> Result<String, String> {
        let Stage::Trial { failed: None, job, .. } = &self.memory.stage else {
            return Err("no version is on trial".to_owned());
        };
        let words = format!("{} stays", job.name());
        self.confirm("confirmed by a person", out);
        Ok(words)
    }

    fn roll_back(&mut self, out: &mut Vec<Action>) -> Result<String, String> {
        match self.memory.stage.clone() {
            Stage::Trial { failed: None, from, .. } => {
                self.fail_trial("a person wants the version before it".to_owned(), out);
                Ok(format!("the box goes back to slot {from} and starts anew"))
            }
            Stage::Trial { .. } => Err("it goes back already".to_owned()),
            Stage::Installed { job, from, .. } => {
                out.push(Action::Mark { state: "active", slot: "booted" });
                self.reboot_asked = None;
                self.rolled_back(job, "a person gave it up before its first start".to_owned(), out);
                Ok(format!("slot {from} stays"))
            }
            Stage::Installing { .. } => Err("RAUC is writing; it cannot be halted".to_owned()),
            Stage::Found { .. } | Stage::Downloading { .. } | Stage::Waiting { .. } => {
                Err("nothing is installed yet; cancel it instead".to_owned())
            }
            Stage::Idle
            | Stage::Confirmed { .. }
            | Stage::RolledBack { .. }
            | Stage::Failed { .. } => self.go_back(out),
        }
    }

    /// To the other slot, long after; it goes through a trial like every version.
    fn go_back(&mut self, out: &mut Vec<Action>) -> Result<String, String> {
        let slots = self.slots.clone().ok_or("RAUC does not answer")?;
        let (Some(booted), Some(other)) = (slots.booted(), slots.other()) else {
            return Err("this box has no other slot".to_owned());
        };
        // A boot loader that counts tries calls a version bad that was cut off while it started.
        let was_confirmed = other.version.is_some() && other.version == self.memory.least;
        if !other.good && !was_confirmed {
            return Err(format!("slot {} is not known to start", other.bootname));
        }
        let (from, to) = (booted.bootname.clone(), other.bootname.clone());
        let version = other.version.clone();
        let job = Job {
            source: Source::Person,
            location: format!("slot {to}"),
            file: None,
            version,
            sha256: None,
            size_bytes: None,
            force: true,
            attempts: 0,
        };
        out.push(Action::Mark { state: "active", slot: "other" });
        let words = format!("the box starts anew from slot {to} ({})", job.name());
        out.push(Action::Tell { kind: EventKind::UpdateInstalled, text: words.clone() });
        self.reboot_asked = None;
        self.memory.stage = Stage::Installed { job, from, to, boot: self.boot.clone() };
        Ok(words)
    }

    fn cancel(&mut self, out: &mut Vec<Action>) -> Result<String, String> {
        match self.memory.stage.clone() {
            Stage::Found { job } | Stage::Downloading { job } | Stage::Waiting { job } => {
                let why = format!("{}: given up by a person", job.name());
                self.report(&job, "closed", "failure", &why);
                self.stop(out);
                Ok(why)
            }
            Stage::Installing { .. } => Err("RAUC is writing; it cannot be halted".to_owned()),
            Stage::Installed { .. } | Stage::Trial { .. } => {
                Err("it is installed already; roll it back instead".to_owned())
            }
            Stage::Idle
            | Stage::Confirmed { .. }
            | Stage::RolledBack { .. }
            | Stage::Failed { .. } => Err("no update is under way".to_owned()),
        }
    }

    fn stop(&mut self, out: &mut Vec<Action>) {
        out.push(Action::StopFetch);
        out.push(Action::Clear);
        self.retry_at = None;
        self.why_wait = None;
        self.memory.stage = Stage::Idle;
    }

    /// A server has an update. It comes when nothing else is under way, and only once.
    pub(super) fn offered(&mut self, offer: Offer, out: &mut Vec<Action>) {
        if self.slots.is_none() || self.memory.stage.word().is_busy() {
            return;
        }
        let version = offer.version.as_deref();
        let known = match &offer.source {
            Source::HawkBit { action } => self.memory.ended_actions.contains(action),
            Source::Index => version.is_none_or(|version| !self.is_news(version)),
            Source::Person => true,
        };
        if known {
            return;
        }
        let Offer { source, url, version, sha256, size_bytes } = offer;
        let name = version.as_deref().unwrap_or(&url);
        let text = format!("{name} is offered by {source}");
        out.push(Action::Tell { kind: EventKind::UpdateFound, text });
        if let Err(why) = is_location(&url) {
            if let Source::HawkBit { action } = source {
                self.tell_server(action, false, "closed", "failure", &why);
            }
            return;
        }
        // What a server calls a version is its own affair (hawkBit names distribution sets); only
        // an index speaks of the version that the bundle has.
        let version = version.filter(|_| source == Source::Index);
        self.why_wait = None;
        let (file, force, attempts) = (None, false, 0);
        self.begin(
            Job { source, location: url, file, version, sha256, size_bytes, force, attempts },
            out,
        );
    }

    /// Whether an index brings something that is worth a download.
    pub fn is_news(&self, version: &str) -> bool {
        let Some(coming) = Version::parse(version) else { return false };
        let above = |other: &str| Version::parse(other).is_none_or(|other| other < coming);
        let bad = self.memory.bad_versions.iter().any(|bad| bad == version);
        !bad && above(self.running()) && self.memory.least.as_deref().is_none_or(above)
    }

    /// A server takes an action back.
    pub(super) fn withdrawn(&mut self, action: &str, cancel: String, out: &mut Vec<Action>) {
        let wanted = Source::HawkBit { action: action.to_owned() };
        let job = self.memory.stage.job().filter(|job| job.source == wanted).cloned();
        match (&self.memory.stage, job) {
            (Stage::Installing { .. }, Some(_)) => {
                let why = "it is being written, which cannot be halted";
                self.tell_server(cancel, true, "rejected", "none", why);
            }
            // It waits for a car: the box has not started anew with it yet.
            (Stage::Installed { .. }, Some(job)) if self.reboot_asked.is_none() => {
                super::state::remember(&mut self.memory.ended_actions, action);
                out.push(Action::Mark { state: "active", slot: "booted" });
                let why = "taken back by hawkBit before its first start".to_owned();
                let text = format!("{} was left: {why}; {} runs", job.name(), self.running());
                out.push(Action::Tell { kind: EventKind::UpdateRolledBack, text });
                out.push(Action::Clear);
                self.tell_server(cancel, true, "closed", "success", "it was given up");
                self.why_wait = None;
                self.memory.stage = Stage::RolledBack { job, why };
            }
            (Stage::Installed { .. } | Stage::Trial { .. }, Some(_)) => {
                let why = "it is installed, and the box starts anew with it";
                self.tell_server(cancel, true, "rejected", "none", why);
            }
            (
                Stage::Found { .. } | Stage::Downloading { .. } | Stage::Waiting { .. },
                Some(job),
            ) => {
                super::state::remember(&mut self.memory.ended_actions, action);
                let text = format!("{}: taken back by hawkBit", job.name());
                out.push(Action::Tell { kind: EventKind::UpdateFailed, text });
                self.tell_server(cancel, true, "closed", "success", "it was given up");
                self.stop(out);
            }
            _ => {
                let why = "it is not under way here";
                super::state::remember(&mut self.memory.ended_actions, action);
                self.tell_server(cancel, true, "closed", "success", why);
            }
        }
    }
}

/// Whether a bundle may come from there.
///
/// # Errors
/// What is wrong, and what is expected, in words.
pub fn is_location(location: &str) -> Result<(), String> {
    if LOCATION_MAX < location.len() || location.chars().any(char::is_control) {
        return Err(format!("a location of at most {LOCATION_MAX} plain letters is expected"));
    }
    let secure = location.strip_prefix("https://");
    let open = location.strip_prefix("http://");
    match (location, secure, open) {
        (_, Some(rest), _) if !rest.is_empty() => Ok(()),
        (_, _, Some(rest)) if is_this_machine(rest) => Ok(()),
        (_, _, Some(_)) => Err("http:// is for this machine alone; expected https://".to_owned()),
        (file, None, None) if file.starts_with('/') => Ok(()),
        _ => Err(format!("\"{location}\" is no file and no URL; expected /… or https://…")),
    }
}

/// Whether what follows `http://` is on this machine.
pub fn is_this_machine(rest: &str) -> bool {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // What stands before an `@` is a name and a password, and not the host.
    if host.contains('@') {
        return false;
    }
    if host == "[::1]" || host.starts_with("[::1]:") {
        return true;
    }
    let host = host.split(':').next().unwrap_or_default();
    host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}
