//! Floor 3: updates of the box itself, without bus, network, disk or clock.
//!
//! ```text
//!           ┌─────────── tried again ◀────────────┐
//! idle ─▶ found ─▶ downloading ─▶ waiting ─▶ installing ─▶ installed ─▶ trial ─▶ confirmed
//!           │          │      (the policy says why)           │           │
//!           └──────────┴──────────▶ failed                    └───────────┴─▶ rolled back
//! ```
//! [`version`] → [`pause`] (who would be late) → [`policy`] (when) → [`state`] (what is remembered)
//! → [`view`] → [`trial`] (does the site work again?) → [`order`] (what people say) → [`index`] and
//! [`ddi`] (what servers say) → here: what is done next.
//!
//! Invariants: nothing is written that is for other hardware or older than what was confirmed here;
//! a server can never overrule the policy, a person can; a version is confirmed only when the site
//! works with it, and left when it does not in time; whatever is cut off goes on after a start.

pub mod ddi;
pub mod index;
pub mod order;
pub mod pause;
pub mod policy;
pub mod state;
pub mod trial;
pub mod version;
pub mod view;

#[cfg(test)]
mod tests;

use crate::ground::calendar::Calendar;
use crate::ground::time::{Duration, Instant, Now};
use crate::model::event::EventKind;
use crate::model::update::{UpdatePolicy, UpdateStage};

use pause::Stay;
use state::{Job, Memory, REPORTS_MAX, Report, Slots, Source, Stage, remember};
use version::Version;

/// The first wait after something failed that may work later; grows with each attempt.
const RETRY: Duration = Duration::minutes(1);

/// What a bundle says of itself, after its signature was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The hardware it is for.
    pub compatible: String,
    /// Its version.
    pub version: String,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It will never work.
    Refused(String),
    /// It may work later.
    Trouble(String),
}

/// The site at this moment, as far as updates are concerned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    /// Cars that still want energy.
    pub cars: Vec<Stay>,
    /// Charge points that are connected.
    pub chargers: Vec<String>,
    /// Meters that speak.
    pub meters: Vec<String>,
    /// The guard makes its decisions.
    pub is_ticking: bool,
    /// Why the store cannot write.
    pub store_failing: Option<String>,
}

/// What a server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which server.
    pub source: Source,
    /// Where the bundle is.
    pub url: String,
    /// As the server names it.
    pub version: Option<String>,
    /// What it must have.
    pub sha256: Option<String>,
    /// How large it is.
    pub size_bytes: Option<u64>,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// RAUC says how the box is; the first of a process decides how things go on.
    Slots(Slots),
    /// Time passes.
    Tick(Site),
    /// A server has an update.
    Offered(Offer),
    /// A server takes an action back.
    Withdrawn { action: String, cancel: String },
    /// A download has ended; the file.
    Fetched(Result<String, Fault>),
    /// RAUC has looked at a bundle.
    Inspected(Result<Bundle, Fault>),
    /// How far the download or the writing is.
    Percent(u8),
    /// RAUC has written.
    Written(Result<(), Fault>),
}

/// What is to be done. The memory is on disk before any of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Download; goes on where an earlier one was cut off.
    Fetch { url: String, sha256: Option<String>, size_bytes: Option<u64> },
    /// End the download.
    StopFetch,
    /// Ask RAUC what is in a bundle.
    Inspect { file: String },
    /// Have RAUC write it into the other slot.
    Write { file: String },
    /// RAUC is writing what an earlier process has begun.
    Follow,
    /// Tell the boot loader: `good`, `bad` or `active`; `booted` or `other`.
    Mark { state: &'static str, slot: &'static str },
    /// Have the box start anew.
    Reboot,
    /// Delete what was downloaded, and a wish to start anew.
    Clear,
    /// Tell people.
    Tell { kind: EventKind, text: String },
}

/// The updates of one box.
#[derive(Clone, Debug)]
pub struct Updates {
    /// What outlives this process.
    pub memory: Memory,
    policy: UpdatePolicy,
    calendar: Calendar,
    /// Differs with each start of the machine.
    boot: String,
    /// Version of this program, where the slot's is not known.
    program: String,
    slots: Option<Slots>,
    percent: Option<u8>,
    why_wait: Option<String>,
    assumed: Vec<String>,
    retry_at: Option<Instant>,
    reboot_asked: Option<Instant>,
    trial_since: Option<Instant>,
    good_since: Option<Instant>,
    missing: Option<String>,
}

impl Updates {
    /// With what was remembered.
    pub fn new(
        memory: Memory,
        policy: UpdatePolicy,
        zone: &str,
        boot: String,
        program: String,
    ) -> Self {
        Self {
            memory,
            policy,
            calendar: Calendar::new(zone),
            boot,
            program,
            slots: None,
            percent: None,
            why_wait: None,
            assumed: Vec::new(),
            retry_at: None,
            reboot_asked: None,
            trial_since: None,
            good_since: None,
            missing: None,
        }
    }

    /// Takes in what has happened; what is to be done.
    pub fn hear(&mut self, now: Now, input: Input) -> Vec<Action> {
        let mut out = Vec::new();
        match input {
            Input::Slots(slots) => {
                let first = self.slots.replace(slots).is_none();
                if first {
                    self.resume(&mut out);
                }
            }
            Input::Tick(site) => self.tick(now, &site, &mut out),
            Input::Offered(offer) => self.offered(offer, &mut out),
            Input::Withdrawn { action, cancel } => self.withdrawn(&action, cancel, &mut out),
            Input::Fetched(result) => self.fetched(now, result, &mut out),
            Input::Inspected(result) => self.inspected(now, result, &mut out),
            Input::Percent(percent) => self.percent = Some(percent.min(100)),
            Input::Written(result) => self.written(now, result, &mut out),
        }
        out
    }

    /// The version that runs.
    pub fn running(&self) -> &str {
        let booted = self.slots.as_ref().and_then(Slots::booted);
        booted.and_then(|slot| slot.version.as_deref()).unwrap_or(&self.program)
    }

    /// What the box is; none as long as RAUC has not said so.
    pub fn compatible(&self) -> Option<&str> {
        self.slots.as_ref().map(|slots| slots.compatible.as_str())
    }

    /// Goes on where an earlier process has ended.
    fn resume(&mut self, out: &mut Vec<Action>) {
        let slots = self.slots.clone().unwrap_or_default();
        let booted = slots.booted().map(|slot| slot.bootname.clone()).unwrap_or_default();
        match self.memory.stage.clone() {
            Stage::Found { job } | Stage::Downloading { job } => self.begin(job, out),
            // Cut off between RAUC's last word and ours: it runs already.
            Stage::Installing { job } if !job.force && slots.runs(&job) => {
                let from = slots.other().map(|slot| slot.bootname.clone()).unwrap_or_default();
                self.begin_trial(job, from, booted, out);
            }
            Stage::Installing { job } => self.resume_writing(job, out),
            Stage::Installed { job, from, to, .. } if booted == to => {
                self.begin_trial(job, from, to, out);
            }
            Stage::Installed { job, to, boot, .. } if boot != self.boot => {
                let why = format!("slot {to} did not come up, or this program did not run in it");
                self.came_back(job, why, out);
            }
            Stage::Trial { job, from, to, starts, failed } if booted == to => {
                let starts = starts.saturating_add(1);
                self.memory.stage = Stage::Trial { job, from, to, starts, failed };
                if trial::STARTS_MAX < starts {
                    let why = format!("it was started {starts} times and never confirmed");
                    self.fail_trial(why, out);
                }
            }
            Stage::Trial { job, failed, to, .. } => {
                let went = format!("slot {to} came up no more; the boot loader went back");
                self.came_back(job, failed.unwrap_or(went), out);
            }
            Stage::Confirmed { job } if slots.lies_idle(&job) => {
                let why = format!(
                    "the boot loader took slot {booted}, as when the power is cut while the box \
                     starts; `ampgate update rollback` goes to it again"
                );
                self.left(job, why, out);
            }
            Stage::Idle
            | Stage::Waiting { .. }
            | Stage::Installed { .. }
            | Stage::Confirmed { .. }
            | Stage::RolledBack { .. }
            | Stage::Failed { .. } => {}
        }
        // Boot loaders count every start as a try, and take the other slot when too many of them
        // were not followed by this.
        let on_trial = self.memory.stage.word() == UpdateStage::Trial;
        if !on_trial && !slots.is_writing && slots.booted().is_some() {
            out.push(Action::Mark { state: "good", slot: "booted" });
        }
    }

    fn begin_trial(&mut self, job: Job, from: String, to: String, out: &mut Vec<Action>) {
        let text = format!("{} runs from slot {to} for the first time", job.name());
        self.report(&job, "proceeding", "none", &text);
        out.push(Action::Tell { kind: EventKind::UpdateTrial, text });
        self.memory.stage = Stage::Trial { job, from, to, starts: 1, failed: None };
    }

    /// The boot loader may have gone back by itself, and still have the other slot first.
    fn came_back(&mut self, job: Job, why: String, out: &mut Vec<Action>) {
        out.push(Action::Mark { state: "bad", slot: "other" });
        out.push(Action::Mark { state: "active", slot: "booted" });
        self.rolled_back(job, why, out);
    }

    /// RAUC may be writing still, may have ended, or may have been cut off with us.
    fn resume_writing(&mut self, job: Job, out: &mut Vec<Action>) {
        let slots = self.slots.clone().unwrap_or_default();
        let written = slots.other().is_some_and(|other| {
            other.version.is_some() && other.version == job.version && other.name == slots.primary
        });
        if slots.is_writing {
            out.push(Action::Follow);
        } else if written {
            self.is_installed(job, out);
        } else {
            // Cut off: it waits for its moment and is written from the beginning.
            self.memory.stage = Stage::Waiting { job };
        }
    }

    /// Fetches it, or looks at it where it is here.
    fn begin(&mut self, mut job: Job, out: &mut Vec<Action>) {
        self.retry_at = None;
        self.percent = None;
        if !job.is_remote() {
            job.file = Some(job.location.clone());
        }
        match job.file.clone() {
            Some(file) => {
                out.push(Action::Inspect { file });
                self.memory.stage = Stage::Found { job };
            }
            None => {
                let (url, sha256) = (job.location.clone(), job.sha256.clone());
                out.push(Action::Fetch { url, sha256, size_bytes: job.size_bytes });
                self.report(&job, "download", "none", "it is being downloaded");
                self.memory.stage = Stage::Downloading { job };
            }
        }
    }

    fn fetched(&mut self, now: Now, result: Result<String, Fault>, out: &mut Vec<Action>) {
        let Stage::Downloading { job } = self.memory.stage.clone() else { return };
        match result {
            Ok(file) => {
                self.report(&job, "downloaded", "none", "it is downloaded and looked at");
                let job = Job { file: Some(file), ..job };
                self.begin(job, out);
            }
            Err(fault) => self.fault(now, job, fault, out),
        }
    }

    fn inspected(&mut self, now: Now, result: Result<Bundle, Fault>, out: &mut Vec<Action>) {
        let Stage::Found { job } = self.memory.stage.clone() else { return };
        let fits = result.and_then(|bundle| match self.why_not(&job, &bundle) {
            Some(why) => Err(Fault::Refused(why)),
            None => Ok(bundle),
        });
        match fits {
            Ok(bundle) => {
                let text = format!("{} from {} fits this box", bundle.version, job.source);
                let job = Job { version: Some(bundle.version), ..job };
                out.push(Action::Tell { kind: EventKind::UpdateFound, text });
                self.memory.stage = Stage::Waiting { job };
            }
            Err(fault) => self.fault(now, job, fault, out),
        }
    }

    /// Why a bundle is not for this box.
    fn why_not(&self, job: &Job, bundle: &Bundle) -> Option<String> {
        let (slots, version) = (self.slots.as_ref()?, &bundle.version);
        if bundle.compatible != slots.compatible {
            let (theirs, own) = (&bundle.compatible, &slots.compatible);
            return Some(format!("it is for \"{theirs}\", and this box is \"{own}\""));
        }
        if let Some(announced) = job.version.as_ref().filter(|announced| *announced != version) {
            return Some(format!("it was announced as {announced}, but is {version}"));
        }
        let Some(coming) = Version::parse(version) else {
            return Some(format!("its version \"{version}\" has no order, like 1.2.3 has"));
        };
        let older = |than: &str| Version::parse(than).is_some_and(|than| coming < than);
        let running = self.running();
        let least = self.memory.least.as_deref();
        if let Some(least) = least.filter(|least| older(least)) {
            return Some(format!("{version} is older than {least}, which was confirmed here"));
        }
        if least.is_none() && older(running) {
            return Some(format!("{version} is older than {running}, which runs here"));
        }
        let same = Version::parse(running) == Some(coming);
        (same && !job.force)
            .then(|| format!("{version} runs here already; --force writes it again"))
    }

    fn written(&mut self, now: Now, result: Result<(), Fault>, out: &mut Vec<Action>) {
        let Stage::Installing { job } = self.memory.stage.clone() else { return };
        match result {
            Ok(()) => self.is_installed(job, out),
            Err(fault) => self.fault(now, job, fault, out),
        }
    }

    fn is_installed(&mut self, job: Job, out: &mut Vec<Action>) {
        let slots = self.slots.clone().unwrap_or_default();
        let name = |slot: Option<&state::Slot>| slot.map(|slot| slot.bootname.clone());
        let from = name(slots.booted()).unwrap_or_default();
        let to = name(slots.other()).unwrap_or_default();
        let text = format!("{} is in slot {to}; the box has to start anew", job.name());
        self.report(&job, "proceeding", "none", &text);
        out.push(Action::Tell { kind: EventKind::UpdateInstalled, text });
        out.push(Action::Clear);
        self.why_wait = None;
        self.memory.stage = Stage::Installed { job, from, to, boot: self.boot.clone() };
    }

    /// Ends it, or lets it be tried again later.
    fn fault(&mut self, now: Now, mut job: Job, fault: Fault, out: &mut Vec<Action>) {
        job.attempts = job.attempts.saturating_add(1);
        let why = match fault {
            Fault::Trouble(why) if job.attempts < self.policy.attempts_max => {
                let after = RETRY * i64::from(job.attempts * job.attempts);
                self.retry_at = Some(now.mono + after);
                let words = format!("{why}; it is tried again in {after}");
                self.report(&job, "proceeding", "none", &words);
                let text = format!("{}: {words}", job.name());
                out.push(Action::Tell { kind: EventKind::UpdateTrouble, text });
                self.why_wait = Some(words);
                self.memory.stage = Stage::Found { job };
                return;
            }
            Fault::Trouble(why) => format!("{why}; it was tried {} times", job.attempts),
            Fault::Refused(why) => why,
        };
        self.report(&job, "closed", "failure", &why);
        if let Some(version) = &job.version {
            remember(&mut self.memory.bad_versions, version);
        }
        let text = format!("{}: {why}", job.name());
        out.push(Action::Tell { kind: EventKind::UpdateFailed, text });
        out.push(Action::Clear);
        self.memory.stage = Stage::Failed { job, why };
    }

    fn tick(&mut self, now: Now, site: &Site, out: &mut Vec<Action>) {
        if self.slots.is_none() {
            return;
        }
        match self.memory.stage.clone() {
            Stage::Found { job } if self.retry_at.is_some_and(|at| at <= now.mono) => {
                self.begin(job, out);
            }
            Stage::Waiting { job } => {
                // Writing takes nothing from anybody.
                if !self.waits(now, &[], &job, out) {
                    self.percent = None;
                    self.report(&job, "proceeding", "none", "it is being written");
                    let file = job.file.clone().unwrap_or_else(|| job.location.clone());
                    out.push(Action::Write { file });
                    self.memory.stage = Stage::Installing { job };
                }
            }
            Stage::Installed { job, .. } if self.reboot_asked.is_none() => {
                if !self.waits(now, &site.cars, &job, out) {
                    let (chargers, meters) = (site.chargers.clone(), site.meters.clone());
                    self.memory.before = state::Before { chargers, meters };
                    self.reboot_asked = Some(now.mono);
                    out.push(Action::Reboot);
                }
            }
            Stage::Trial { .. } => self.try_out(now, site, out),
            Stage::Idle
            | Stage::Found { .. }
            | Stage::Downloading { .. }
            | Stage::Installing { .. }
            | Stage::Installed { .. }
            | Stage::Confirmed { .. }
            | Stage::RolledBack { .. }
            | Stage::Failed { .. } => {}
        }
    }

    /// Whether the policy lets it wait; each reason is told once.
    fn waits(&mut self, now: Now, cars: &[Stay], job: &Job, out: &mut Vec<Action>) -> bool {
        let why = policy::why_wait(&self.policy, &self.calendar, now, cars, job.force);
        self.assumed = policy::assumed(&self.calendar, now, cars);
        if let (Some(why), None) = (&why, &self.why_wait) {
            let text = format!("{} waits: {why}", job.name());
            self.report(job, "scheduled", "none", &text);
            out.push(Action::Tell { kind: EventKind::UpdateWaiting, text });
        }
        self.why_wait = why;
        self.why_wait.is_some()
    }

    /// Tells the server of this job, if there is one.
    fn report(&mut self, job: &Job, execution: &str, finished: &str, details: &str) {
        let Source::HawkBit { action } = &job.source else { return };
        self.tell_server(action.clone(), false, execution, finished, details);
    }

    fn tell_server(
        &mut self,
        action: String,
        cancel: bool,
        execution: &str,
        finished: &str,
        details: &str,
    ) {
        if execution == "closed" && !cancel {
            remember(&mut self.memory.ended_actions, &action);
        }
        let reports = &mut self.memory.reports;
        if REPORTS_MAX <= reports.len() {
            // What ends an action counts more than how far it was.
            let least = reports.iter().position(|report| report.execution != "closed").unwrap_or(0);
            reports.remove(least);
        }
        let (execution, finished) = (execution.to_owned(), finished.to_owned());
        let details = details.to_owned();
        reports.push(Report { action, cancel, execution, finished, details });
    }

    /// The server has taken this report.
    pub fn reported(&mut self, report: &Report) {
        if let Some(at) = self.memory.reports.iter().position(|known| known == report) {
            self.memory.reports.remove(at);
        }
    }
}
