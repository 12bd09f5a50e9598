//! What a car makes of its offer: what it does not take is given to others and tried again later.

use crate::ground::time::{Duration, Instant};
use crate::ground::units::Amps;
use crate::model::bound::{Bound, Cause};

/// A car that takes this much less than it is offered …
const UNUSED: Amps = Amps::milli(1500);

/// … for this long does not need the rest.
const UNUSED_FOR: Duration = Duration::seconds(60);

/// A car that takes less than this takes nothing.
const NOTHING: Amps = Amps::milli(500);

/// A car that takes nothing for this long has paused or is full. If others then leave it nothing to
/// show its appetite with, it is asked again after [`RETRY`] with its minimum.
const PAUSED_AFTER: Duration = Duration::minutes(3);

/// The full offer is tried again after this long, and each time it is not taken after twice as
/// long, up to [`RETRY_MAX`].
const RETRY: Duration = Duration::minutes(10);
const RETRY_MAX: Duration = Duration::minutes(80);

/// A car is given this much above what it takes, so that it can show when it wants more.
const SLACK: Amps = Amps::new(1);

/// What is known of the appetite of the car at one EVSE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    unused_since: Option<Instant>,
    nothing_since: Option<Instant>,
    /// It had paused when its offer was taken from it; it is asked again then.
    asleep_until: Option<Instant>,
    /// The car itself said that it has paused; it is believed until then.
    said_until: Option<Instant>,
    nap: Duration,
    cap: Option<Cap>,
    retry: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Cap {
    drawn: Amps,
    until: Instant,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            unused_since: None,
            nothing_since: None,
            asleep_until: None,
            said_until: None,
            nap: RETRY,
            cap: None,
            retry: RETRY,
        }
    }
}

impl Usage {
    /// Looks at what the car draws of what it was offered. `accepted` is the offer in force,
    /// `of_offer` tells that the reading is not older than this offer.
    pub fn look(
        &mut self,
        drawn: Option<Amps>,
        accepted: Option<Amps>,
        of_offer: bool,
        now: Instant,
    ) {
        if self.cap.is_some_and(|cap| cap.until <= now) {
            (self.cap, self.unused_since) = (None, None);
        }
        let (Some(drawn), Some(offer)) = (drawn, accepted) else {
            self.unused_since = None;
            if self.asleep_until.is_none_or(|until| until <= now) {
                (self.nothing_since, self.asleep_until) = (None, None);
            }
            return;
        };
        self.watch_pause(drawn, offer, of_offer, now);
        if !of_offer {
            return;
        }
        if self.cap.is_some_and(|cap| cap.limit() < drawn + Amps::milli(600)) {
            // It takes all that it gets: it wants more.
            (self.cap, self.unused_since, self.retry) = (None, None, RETRY);
        }
        if offer < drawn + UNUSED || self.cap.is_some_and(|cap| cap.drawn < drawn + UNUSED) {
            self.unused_since = None;
            return;
        }
        let since = *self.unused_since.get_or_insert(now);
        if now.since(since) < UNUSED_FOR {
            return;
        }
        match &mut self.cap {
            // A battery that is nearly full takes ever less.
            Some(cap) => cap.drawn = drawn,
            None => {
                self.cap = Some(Cap { drawn, until: now + self.retry });
                self.retry = (self.retry * 2).min(RETRY_MAX);
            }
        }
        self.unused_since = None;
    }

    /// Hears whether the car itself says that it has paused (SuspendedEV). Where its offer is then
    /// taken from it the status says so no longer; it is believed for a while all the same, and
    /// asked again with its minimum, each time after twice as long.
    pub fn hear(&mut self, says_paused: bool, drawn: Option<Amps>, now: Instant) {
        if says_paused {
            self.said_until = Some(now + self.nap);
        } else if drawn.is_some_and(|drawn| NOTHING <= drawn) {
            (self.said_until, self.nap) = (None, RETRY);
        } else if self.said_until.is_some_and(|until| until <= now) {
            self.said_until = None;
            self.nap = (self.nap * 2).min(RETRY_MAX);
            self.cap = Some(Cap { drawn: Amps::ZERO, until: now + RETRY });
        }
    }

    fn watch_pause(&mut self, drawn: Amps, offer: Amps, of_offer: bool, now: Instant) {
        if NOTHING <= drawn {
            (self.nothing_since, self.asleep_until) = (None, None);
        } else if NOTHING <= offer {
            if of_offer {
                self.nothing_since.get_or_insert(now);
                self.asleep_until = None;
            }
        } else if let Some(until) = self.asleep_until {
            if until <= now {
                (self.nothing_since, self.asleep_until) = (None, None);
                self.cap = Some(Cap { drawn: Amps::ZERO, until: now + RETRY });
            }
        } else if self.nothing_since.is_some_and(|since| PAUSED_AFTER <= now.since(since)) {
            self.asleep_until = Some(now + RETRY);
        } else {
            self.nothing_since = None;
        }
    }

    /// What the car is known not to exceed; at least `minimum`.
    pub fn bound(&self, minimum: Amps) -> Option<Bound> {
        let cap = self.cap?;
        let cause = Cause::CarTakesLess { drawn: cap.drawn };
        Some(Bound { limit: cap.limit().max(minimum), cause })
    }

    /// Whether the car takes nothing though it could.
    pub fn has_paused(&self, now: Instant) -> bool {
        let seen = self.nothing_since.is_some_and(|since| PAUSED_AFTER <= now.since(since));
        seen || self.said_until.is_some()
    }

    /// When a look may come to another conclusion although nothing is measured.
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        let times = [
            self.cap.map(|cap| cap.until),
            self.unused_since.map(|since| since + UNUSED_FOR),
            self.nothing_since.map(|since| since + PAUSED_AFTER),
            self.asleep_until,
            self.said_until,
        ];
        times.into_iter().flatten().filter(|at| now < *at).min()
    }
}

impl Cap {
    fn limit(&self) -> Amps {
        let whole = (self.drawn.as_milli() + 999) / 1000;
        Amps::new(whole) + SLACK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::START + Duration::seconds(seconds)
    }

    #[test]
    fn a_full_car_whose_offer_is_taken_is_asked_again_ever_later() {
        let mut usage = Usage::default();
        usage.hear(true, Some(Amps::ZERO), at(0));
        usage.hear(false, Some(Amps::ZERO), at(1));
        assert!(usage.has_paused(at(599)));
        assert_eq!(usage.wake_at(at(1)), Some(at(600)));
        usage.hear(false, Some(Amps::ZERO), at(600));
        assert!(!usage.has_paused(at(600)));
        assert_eq!(usage.bound(Amps::new(6)).map(|bound| bound.limit), Some(Amps::new(6)));
        usage.hear(true, Some(Amps::ZERO), at(610));
        usage.hear(false, Some(Amps::ZERO), at(1809));
        assert!(usage.has_paused(at(1809)));
        usage.hear(false, Some(Amps::new(6)), at(620));
        assert!(!usage.has_paused(at(620)));
    }

    #[test]
    fn an_unused_offer_is_taken_back_and_tried_again_ever_later() {
        let mut usage = Usage::default();
        let six = Amps::new(6);
        usage.look(Some(Amps::milli(15_800)), Some(Amps::new(32)), true, at(0));
        usage.look(Some(Amps::milli(15_800)), Some(Amps::new(32)), true, at(59));
        assert_eq!(usage.bound(six), None);
        usage.look(Some(Amps::milli(15_800)), Some(Amps::new(32)), true, at(60));
        assert_eq!(usage.bound(six).map(|bound| bound.limit), Some(Amps::new(17)));
        assert_eq!(usage.wake_at(at(60)), Some(at(660)));
        usage.look(Some(Amps::milli(15_800)), Some(Amps::new(17)), true, at(660));
        assert_eq!(usage.bound(six), None);
        usage.look(Some(Amps::milli(15_800)), Some(Amps::new(32)), true, at(661));
        usage.look(Some(Amps::milli(15_800)), Some(Amps::new(32)), true, at(721));
        assert_eq!(usage.wake_at(at(721)), Some(at(721 + 1200)));
    }

    #[test]
    fn a_car_that_takes_all_it_gets_gets_more() {
        let mut usage = Usage::default();
        for second in [0, 60] {
            usage.look(Some(Amps::new(10)), Some(Amps::new(32)), true, at(second));
        }
        usage.look(Some(Amps::milli(10_900)), Some(Amps::new(11)), true, at(70));
        assert_eq!(usage.bound(Amps::new(6)), None);
    }

    #[test]
    fn a_car_that_takes_nothing_has_paused() {
        let mut usage = Usage::default();
        usage.look(Some(Amps::ZERO), Some(Amps::new(16)), true, at(0));
        usage.look(Some(Amps::ZERO), Some(Amps::new(16)), true, at(180));
        assert!(usage.has_paused(at(180)) && !usage.has_paused(at(179)));
        usage.look(Some(Amps::new(8)), Some(Amps::new(16)), true, at(190));
        assert!(!usage.has_paused(at(400)));
    }
}
