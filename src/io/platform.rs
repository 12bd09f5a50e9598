//! systemd, and what the machine can tell of itself. Everything here works, as nothing, where there
//! is no systemd.
//!
//! The watchdog is fed by the loop that runs the controller and by nothing else: a loop that hangs
//! is a box that no longer lowers limits, and must be started anew.

use std::path::Path;

use sd_notify::NotifyState;

use crate::ground::time::{Duration, Instant};
use crate::model::machine::{Machine, StoreFigures};

/// Feeds the watchdog, four times as often as it asks for.
#[derive(Debug)]
pub struct Watchdog {
    every: Option<std::time::Duration>,
    fed: Option<Instant>,
}

impl Watchdog {
    /// As systemd asks for it; one that does nothing where it does not.
    pub fn from_systemd() -> Self {
        Self { every: sd_notify::watchdog_enabled().map(|timeout| timeout / 4), fed: None }
    }

    /// The loop has come round at this time of the real world.
    pub fn feed(&mut self, now: Instant) {
        let Some(every) = self.every else { return };
        let every = Duration::millis(every.as_millis() as i64);
        if self.fed.is_none_or(|fed| every <= now.since(fed)) {
            self.fed = Some(now);
            notify(&[NotifyState::Watchdog]);
        }
    }
}

/// The daemon accepts chargers.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is being loaded anew; [`ready`] ends it.
pub fn reloading() {
    if let Ok(since) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, since]);
    }
}

/// Whether systemd looks after this process, and starts it anew when it ends.
pub fn is_supervised() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The daemon ends in order.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::warn!("systemd was not told: {error}");
    }
}

/// What the machine has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Memory that this process holds, in bytes; none where it cannot be read.
    pub resident_bytes: Option<u64>,
    /// Space that is left on the disk of the data directory, in bytes.
    pub disk_free_bytes: Option<u64>,
}

impl Resources {
    /// Of this moment.
    #[allow(clippy::useless_conversion, reason = "the kernel's numbers are smaller on 32 bit")]
    pub fn look(data: &Path) -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = resident.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
        let disk = nix::sys::statvfs::statvfs(data).ok();
        Self {
            resident_bytes: kibibytes.map(|kibibytes: u64| kibibytes * 1024),
            disk_free_bytes: disk
                .map(|disk| u64::from(disk.blocks_available()) * u64::from(disk.fragment_size())),
        }
    }
}

/// The machine of this moment, with what the store tells of itself.
pub fn machine(data: &Path, store: StoreFigures) -> Machine {
    let file_bytes = std::fs::metadata(data.join("ampgate.redb")).ok().map(|file| file.len());
    let Resources { resident_bytes, disk_free_bytes } = Resources::look(data);
    Machine { store: StoreFigures { file_bytes, ..store }, resident_bytes, disk_free_bytes }
}

/// Ends the process with the task that holds it, if that panics.
#[derive(Debug)]
pub struct EndsProcess;

impl Drop for EndsProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            log::error!("the control loop has failed; the process ends to be started anew");
            log::logger().flush();
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_what_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let resources = Resources::look(dir.path());
        assert!(resources.resident_bytes.is_some_and(|bytes| 100_000 < bytes), "{resources:?}");
        assert!(resources.disk_free_bytes.is_some(), "{resources:?}");
        assert_eq!(Resources::look(Path::new("/nowhere")).disk_free_bytes, None);
    }
}
