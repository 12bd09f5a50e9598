//! How far a charger's clock is off, and so what a time of its own tells about the present.
//!
//! A message that lags is either old (from an offline queue) or stamped by a wrong clock. A queue
//! drains with lags that change; a wrong clock lags by the same span for minutes. Only the latter
//! is taken for a wrong clock.

use crate::ground::time::{Duration, Instant, Now, Utc};

/// No charger with OCPP 1.6 measured anything before 2015; such a time is a clock that was not set.
const PLAUSIBLE_FROM: Utc = Utc::from_millis(1_420_070_400_000);

/// A message that lags by no more than this is of the present.
pub const LIVE_MAX: Duration = Duration::seconds(60);

/// Lags that differ by no more than this are the same lag.
const SAME_LAG: Duration = Duration::seconds(15);

/// A lag has to stay the same for so long to be a wrong clock: queues drain faster.
const STEADY_FOR: Duration = Duration::seconds(60);

/// … and for so many messages.
const STEADY_COUNT: u32 = 4;

/// The running estimate for one charge point; outlives its links.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChargerClock {
    wrong_by: Option<Duration>,
    run: Option<Run>,
    newest: Option<(Instant, Utc)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Run {
    lag: Duration,
    since: Instant,
    count: u32,
}

/// What a timestamp is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// When it happened by our calendar, as well as can be told.
    pub at: Option<Utc>,
    /// How long ago it happened; negative never, and zero where that cannot be told.
    pub age: Duration,
    /// The time was not used as written.
    pub corrected: bool,
}

impl Judged {
    /// Whether it tells of the present.
    pub fn is_live(&self) -> bool {
        self.age <= LIVE_MAX
    }
}

/// None for a time that no set clock can have written.
pub fn plausible(time: Utc) -> Option<Utc> {
    (PLAUSIBLE_FROM <= time).then_some(time)
}

impl ChargerClock {
    /// Judges a time that the charger wrote, and learns from it.
    pub fn judge(&mut self, now: Now, written: Utc) -> Judged {
        let Some(written) = plausible(written) else {
            return Judged { at: now.utc, age: Duration::ZERO, corrected: true };
        };
        let ahead = match self.newest {
            Some((seen, time)) => time + now.mono.since(seen) < written,
            None => true,
        };
        if ahead {
            self.newest = Some((now.mono, written));
        }
        let Some(utc) = now.utc else {
            return Judged { at: Some(written), age: Duration::ZERO, corrected: false };
        };
        let lag = utc.since(written);
        self.observe(now.mono, lag);
        let age = (lag - self.wrong_by.unwrap_or(Duration::ZERO)).max(Duration::ZERO);
        let off = LIVE_MAX < lag || lag < Duration::ZERO - LIVE_MAX;
        if age <= LIVE_MAX {
            let at = if off { utc } else { written };
            return Judged { at: Some(at), age, corrected: off };
        }
        let shift = self.wrong_by.unwrap_or(Duration::ZERO);
        Judged { at: Some(written + shift), age, corrected: self.wrong_by.is_some() }
    }

    /// The charger's own idea of the time, from the freshest message it ever stamped.
    pub fn reading(&self, now: Instant) -> Option<Utc> {
        self.newest.map(|(seen, time)| time + now.since(seen))
    }

    fn observe(&mut self, now: Instant, lag: Duration) {
        let near = |one: Duration, other: Duration| {
            let apart = one - other;
            Duration::ZERO - SAME_LAG <= apart && apart <= SAME_LAG
        };
        if near(lag, Duration::ZERO) {
            self.wrong_by = None;
            self.run = None;
            return;
        }
        match &mut self.run {
            Some(run) if near(run.lag, lag) => {
                run.count = run.count.saturating_add(1);
                if STEADY_COUNT <= run.count && STEADY_FOR <= now.since(run.since) {
                    self.wrong_by = Some(run.lag);
                }
            }
            _ => self.run = Some(Run { lag, since: now, count: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(seconds: i64) -> Now {
        let mono = Instant::START + Duration::seconds(seconds);
        Now { mono, utc: Some(Utc::from_millis(1_700_000_000_000) + Duration::seconds(seconds)) }
    }

    #[test]
    fn a_draining_queue_is_old_and_a_wrong_clock_is_not() {
        let mut clock = ChargerClock::default();
        let hour_ago = now(-3600).utc.expect("set");
        for second in 0..120 {
            let sampled = hour_ago + Duration::seconds(second * 10);
            let judged = clock.judge(now(second), sampled);
            assert!(!judged.is_live(), "{second}");
            assert_eq!(judged.at, Some(sampled));
        }
        let mut clock = ChargerClock::default();
        let behind = |second| now(second - 3600).utc.expect("set");
        for second in [0, 20, 40, 60] {
            clock.judge(now(second), behind(second));
        }
        let judged = clock.judge(now(80), behind(80));
        assert!(judged.is_live() && judged.corrected);
        assert_eq!(judged.at, now(80).utc);
    }

    #[test]
    fn a_clock_that_is_set_right_is_believed_at_once() {
        let mut clock = ChargerClock::default();
        for second in [0, 30, 60, 90] {
            clock.judge(now(second), now(second + 7200).utc.expect("set"));
        }
        let judged = clock.judge(now(100), now(100).utc.expect("set"));
        assert_eq!(judged, Judged { at: now(100).utc, age: Duration::ZERO, corrected: false });
    }

    #[test]
    fn a_clock_that_was_never_set_gives_the_time_of_arrival() {
        let judged = ChargerClock::default().judge(now(5), Utc::from_millis(1000));
        assert!(judged.corrected && judged.is_live());
        assert_eq!(judged.at, now(5).utc);
    }
}
