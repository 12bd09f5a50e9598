//! A program that dies again and again: starts without an end in order are counted, and after a
//! few of them the next start leaves out what is not needed to stay inside the breakers.
//!
//! ```text
//! start ─▶ count + 1 ─┬─ FAILED_MAX deaths before ──▶ failsafe: safe shares, no plan, no broker,
//!                     │                               no partner
//!                     └─ fewer ─────────────────────▶ as configured
//! an end in order, or SOUND_AFTER of running ─▶ count 0
//! ```
//! Invariants: only deaths of this boot of the machine count, so that power cuts are nobody's
//! fault; a count that cannot be read or written keeps nothing from starting.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::config::Config;

/// Deaths in a row after which a start is careful.
pub const FAILED_MAX: u32 = 4;

/// A program that ran this long has started well; in failsafe it is tried as configured again.
pub const SOUND_AFTER: Duration = Duration::from_secs(600);

/// Differs with each boot of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The count in its file. It stays as it is when the process dies.
#[derive(Debug)]
pub struct Starts {
    file: PathBuf,
    boot: String,
    failed: u32,
    settled: AtomicBool,
}

impl Starts {
    /// Counts this start, in the data directory.
    pub fn begin(data: &Path) -> Self {
        let boot = fs::read_to_string(BOOT).unwrap_or_default().trim().to_owned();
        Self::of(data.join("starts"), boot)
    }

    fn of(file: PathBuf, boot: String) -> Self {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let before = text.trim().split_once(' ').filter(|(same, _)| *same == boot);
        let failed = before.and_then(|(_, count)| count.parse().ok()).unwrap_or(0);
        let starts = Self { file, boot, failed, settled: AtomicBool::new(false) };
        if let Some(data) = starts.file.parent() {
            // The store says it better when the directory cannot be made.
            let _ = fs::create_dir_all(data);
        }
        starts.write(failed.saturating_add(1));
        starts
    }

    /// Why this start is careful, in words; none when it is as configured.
    pub fn failsafe(&self) -> Option<String> {
        (FAILED_MAX <= self.failed).then(|| {
            format!("failsafe: the program has died {} times before this start", self.failed)
        })
    }

    /// Waits until it has run long enough. After a failsafe one more death leads back there, and
    /// whoever started it may start it anew as configured: true says so.
    pub async fn sound(&self) -> bool {
        tokio::time::sleep(SOUND_AFTER).await;
        self.settle()
    }

    fn settle(&self) -> bool {
        let careful = self.failsafe().is_some();
        self.write(if careful { FAILED_MAX - 1 } else { 0 });
        self.settled.store(true, Ordering::Relaxed);
        careful
    }

    fn write(&self, count: u32) {
        if let Err(error) = fs::write(&self.file, format!("{} {count}\n", self.boot)) {
            log::warn!("{}: starts cannot be counted: {error}", self.file.display());
        }
    }
}

/// A person stopped it, or it says itself why it cannot start: no death.
impl Drop for Starts {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.settled.load(Ordering::Relaxed) {
            self.write(0);
        }
    }
}

/// Leaves out what is not needed: every EVSE at its safe share, no broker (each meter counts as its
/// worst case), no plan, no partner.
pub fn restrict(config: &mut Config, why: &str) {
    config.site.charging.failsafe = Some(why.to_owned());
    config.site.plan = None;
    config.mqtt = None;
    config.ocpi = None;
    config.ocpi_address = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deaths_in_a_row_lead_to_failsafe_and_an_end_in_order_leads_back() {
        let dir = tempfile::tempdir().unwrap();
        let start = |boot: &str| Starts::of(dir.path().join("starts"), boot.to_owned());
        let die = |starts: Starts| {
            let failsafe = starts.failsafe();
            std::mem::forget(starts);
            failsafe
        };
        for _ in 0..FAILED_MAX {
            assert_eq!(die(start("a")), None);
        }
        let careful = start("a");
        assert!(careful.failsafe().is_some_and(|words| words.contains("died 4 times")));
        assert!(careful.settle(), "it may be tried as configured");
        drop(careful);
        assert_eq!(die(start("a")), None, "tried as configured");
        assert!(die(start("a")).is_some(), "and back after one more death");
        drop(start("a"));
        assert_eq!(start("a").failsafe(), None);
    }

    #[test]
    fn power_cuts_and_nonsense_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("starts");
        for boot in ["a", "b", "c", "d", "e", "f"] {
            let starts = Starts::of(file.clone(), boot.to_owned());
            assert_eq!(starts.failsafe(), None);
            std::mem::forget(starts);
        }
        fs::write(&file, "f minus one").unwrap();
        assert_eq!(Starts::of(file.clone(), "f".to_owned()).failsafe(), None);
        let nowhere = Path::new("/proc/nowhere/starts").to_owned();
        assert_eq!(Starts::of(nowhere, "f".to_owned()).failsafe(), None);
    }
}
