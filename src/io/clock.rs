//! The only file that reads a clock.
//!
//! Monotonic time is CLOCK_BOOTTIME: it runs on through a suspend and no one can step it. Calendar
//! time is handed out only once it is trusted (see [`Clock::now`]).
//!
//! A scaled clock makes a demonstration of a whole day: its world runs `speed` times as fast as the
//! real one. Everything that belongs to the protocol takes its time from here; what protects the
//! real machine (a handshake that never ends, a reload of a screen) takes real seconds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use nix::time::{ClockId, clock_gettime};

use crate::ground::time::{Duration, Instant, Now, Utc};

/// Set by systemd-timesyncd when it runs at all; the file inside it once it has synchronised.
const TIMESYNC: &str = "/run/systemd/timesync";

/// No calendar before this is believed: 2025-01-01T00:00:00Z. Boxes without a battery wake in 1970,
/// or at the date of their image.
const EARLIEST: Utc = Utc::from_millis(1_735_689_600_000);

/// How often an untrusted calendar is looked at again, in real time.
const LOOK_EVERY: i64 = 1000;

/// A sleep is cut into pieces of this length at most, in real time, because the timer behind it
/// stands still during a suspend while the clock does not.
const NAP_MAX: std::time::Duration = std::time::Duration::from_secs(10);

/// Tells the time of one world; cheap to clone, every clone tells the same.
#[derive(Clone, Debug)]
pub struct Clock(Arc<World>);

#[derive(Debug)]
struct World {
    /// CLOCK_BOOTTIME when this world began.
    began: i64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Real { trusted: AtomicBool, looked: AtomicI64 },
    Scaled { speed: f64, start: Utc },
}

impl Clock {
    /// The time of the real world.
    pub fn real() -> Self {
        let (trusted, looked) = (AtomicBool::new(false), AtomicI64::new(i64::MIN));
        Self::begin(Kind::Real { trusted, looked })
    }

    /// A world that begins at `start` and runs `speed` times as fast as the real one. A speed that
    /// is no positive number counts as 1.
    pub fn scaled(speed: f64, start: Utc) -> Self {
        let speed = if speed.is_finite() && 0.0 < speed { speed } else { 1.0 };
        Self::begin(Kind::Scaled { speed, start })
    }

    fn begin(kind: Kind) -> Self {
        Self(Arc::new(World { began: boot_millis(), kind }))
    }

    /// The present.
    ///
    /// The calendar of the real world is trusted from the moment on when it is later than 2025 and,
    /// where systemd-timesyncd keeps it, has been synchronised; it stays trusted then, and what is
    /// stepped later is for the controller to see.
    pub fn now(&self) -> Now {
        let elapsed = boot_millis() - self.0.began;
        match &self.0.kind {
            Kind::Real { trusted, looked } => {
                let mono = Instant::from_millis(elapsed);
                let known = trusted.load(Ordering::Relaxed);
                if !known && elapsed < looked.load(Ordering::Relaxed).saturating_add(LOOK_EVERY) {
                    return Now { mono, utc: None };
                }
                looked.store(elapsed, Ordering::Relaxed);
                let utc = calendar();
                let trust = known || is_trusted(utc, Path::new(TIMESYNC));
                trusted.store(trust, Ordering::Relaxed);
                Now { mono, utc: trust.then_some(utc) }
            }
            Kind::Scaled { speed, start } => {
                let mono = (elapsed as f64 * speed) as i64;
                Now { mono: Instant::from_millis(mono), utc: Some(*start + Duration::millis(mono)) }
            }
        }
    }

    /// How many seconds of this world pass in a real one.
    pub fn speed(&self) -> f64 {
        match self.0.kind {
            Kind::Real { .. } => 1.0,
            Kind::Scaled { speed, .. } => speed,
        }
    }

    /// Returns once this world has reached `moment`; at once if it has passed.
    pub async fn sleep_until(&self, moment: Instant) {
        loop {
            let rest = moment.since(self.now().mono);
            if rest <= Duration::ZERO {
                return;
            }
            // Rounded up: waking a moment too early would only mean to sleep again.
            let millis = (rest.as_millis() as f64 / self.speed()).ceil().max(1.0) as u64;
            tokio::time::sleep(std::time::Duration::from_millis(millis).min(NAP_MAX)).await;
        }
    }

    /// Returns after this span of this world.
    pub async fn sleep(&self, span: Duration) {
        self.sleep_until(self.now().mono + span).await;
    }
}

fn is_trusted(utc: Utc, timesync: &Path) -> bool {
    EARLIEST <= utc && (!timesync.exists() || timesync.join("synchronized").exists())
}

fn boot_millis() -> i64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every Linux has this clock");
    std::time::Duration::from(time).as_millis() as i64
}

/// By std, whose seconds have 64 bits everywhere: `clock_gettime` of a 32-bit box ends in 2038.
#[expect(clippy::disallowed_methods, reason = "this is the only file that reads a clock")]
fn calendar() -> Utc {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Utc::from_millis(since.map_or(0, |since| since.as_millis() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_is_trusted_only_when_late_enough_and_synchronised() {
        let dir = tempfile::tempdir().unwrap();
        let timesync = dir.path().join("timesync");
        let late = EARLIEST + Duration::hours(1);
        assert!(!is_trusted(Utc::from_millis(0), &timesync));
        assert!(is_trusted(late, &timesync), "nobody here claims to keep the time");
        std::fs::create_dir(&timesync).unwrap();
        assert!(!is_trusted(late, &timesync), "it is kept, but was not yet compared");
        std::fs::write(timesync.join("synchronized"), "").unwrap();
        assert!(is_trusted(late, &timesync));
    }

    #[tokio::test]
    async fn a_scaled_world_runs_faster_than_the_real_one() {
        let start = Utc::from_millis(1_551_398_400_000);
        let (real, fast) = (Clock::real(), Clock::scaled(1000.0, start));
        fast.sleep(Duration::seconds(20)).await;
        let now = fast.now();
        assert!(Instant::START + Duration::seconds(20) <= now.mono);
        assert_eq!(now.utc, Some(start + now.mono.since(Instant::START)));
        assert!(real.now().mono < now.mono);
    }
}
