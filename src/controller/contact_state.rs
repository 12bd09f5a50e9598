//! What a contact says, steadied: a short knock changes nothing, and what cannot be read, chatters
//! or falls silent counts as closed.

use crate::ground::time::{Duration, Instant};

/// A contact that is not heard of for this long cannot be relied on.
const SILENCE_MAX: Duration = Duration::seconds(30);

/// A contact that is not steady for this long cannot be relied on.
const CHATTER_MAX: Duration = Duration::seconds(5);

/// Between the start and the first reading nobody need be told.
const FIRST: Duration = Duration::seconds(5);

/// What a contact comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// Nothing is limited.
    Open,
    /// Its limit holds.
    Closed,
    /// Its limit holds, because it cannot be relied on: for this reason.
    Unsure(String),
}

/// A contact as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct ContactState {
    /// The last reading, or why there is none.
    read: Result<bool, String>,
    /// When that came.
    heard: Option<Instant>,
    /// Since when it has been read so.
    since: Instant,
    /// The last steady one.
    steady: Option<Result<bool, String>>,
    /// Since when it has not been steady.
    unsteady: Option<Instant>,
    /// What people were last told.
    pub told: Option<Contact>,
    begun: Instant,
}

impl ContactState {
    /// Nothing was read yet.
    pub fn new(now: Instant) -> Self {
        Self {
            read: Err("it was not read yet".to_owned()),
            heard: None,
            since: now,
            steady: None,
            unsteady: None,
            told: None,
            begun: now,
        }
    }

    /// Takes a reading in.
    pub fn hear(&mut self, now: Instant, read: Result<bool, String>) {
        let is_known = self.heard.is_some();
        self.heard = Some(now);
        if self.read == read {
            return;
        }
        if !is_known {
            // The contact was so before we came.
            self.steady = Some(read.clone());
        }
        if self.steady.as_ref() != Some(&read) && self.unsteady.is_none() {
            self.unsteady = Some(now);
        }
        (self.read, self.since) = (read, now);
    }

    /// Lets time do its part.
    pub fn settle(&mut self, now: Instant, debounce: Duration) {
        if self.heard.is_some() && debounce <= now.since(self.since) {
            (self.steady, self.unsteady) = (Some(self.read.clone()), None);
        }
    }

    /// What it comes to.
    pub fn is(&self, now: Instant) -> Contact {
        let (Some(heard), Some(steady)) = (self.heard, &self.steady) else {
            return Contact::Unsure("it was not read yet".to_owned());
        };
        if SILENCE_MAX <= now.since(heard) {
            return Contact::Unsure("it is not read any more".to_owned());
        }
        if self.unsteady.is_some_and(|since| CHATTER_MAX <= now.since(since)) {
            return Contact::Unsure("it does not come to rest".to_owned());
        }
        match steady {
            Ok(false) => Contact::Open,
            Ok(true) => Contact::Closed,
            Err(why) => Contact::Unsure(why.clone()),
        }
    }

    /// Whether people may be told of it.
    pub fn is_news(&self, now: Instant, is: &Contact) -> bool {
        let early = self.heard.is_none() && now.since(self.begun) < FIRST;
        let open_at_first = self.told.is_none() && *is == Contact::Open;
        !early && !open_at_first && self.told.as_ref() != Some(is)
    }

    /// When time changes what it comes to, after `seen`.
    pub fn wake_at(&self, seen: Instant, debounce: Duration) -> Option<Instant> {
        let settles = self.unsteady.map(|_| self.since + debounce);
        let chatters = self.unsteady.map(|since| since + CHATTER_MAX);
        let falls_silent = self.heard.map(|heard| heard + SILENCE_MAX);
        let first = self.heard.is_none().then_some(self.begun + FIRST);
        let all = [settles, chatters, falls_silent, first].into_iter().flatten();
        all.filter(|at| seen < *at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBOUNCE: Duration = Duration::millis(200);

    fn at(millis: i64) -> Instant {
        Instant::START + Duration::millis(millis)
    }

    fn is(state: &mut ContactState, millis: i64) -> Contact {
        state.settle(at(millis), DEBOUNCE);
        state.is(at(millis))
    }

    #[test]
    fn a_knock_changes_nothing_and_what_lasts_counts() {
        let mut state = ContactState::new(at(0));
        assert!(matches!(is(&mut state, 1), Contact::Unsure(_)), "before the first reading");
        state.hear(at(10), Ok(false));
        assert_eq!(is(&mut state, 10), Contact::Open, "the first reading counts at once");
        state.hear(at(1000), Ok(true));
        assert_eq!(is(&mut state, 1100), Contact::Open);
        state.hear(at(1150), Ok(false));
        assert_eq!(is(&mut state, 1500), Contact::Open, "it was a knock");
        state.hear(at(2000), Ok(true));
        assert_eq!(state.wake_at(at(2000), DEBOUNCE), Some(at(2200)));
        assert_eq!(is(&mut state, 2200), Contact::Closed);
        state.hear(at(3000), Ok(false));
        assert_eq!(is(&mut state, 3100), Contact::Closed);
        assert_eq!(is(&mut state, 3200), Contact::Open);
    }

    #[test]
    fn whatever_cannot_be_relied_on_counts_as_closed() {
        let mut state = ContactState::new(at(0));
        state.hear(at(0), Ok(false));
        state.hear(at(100), Err("no such line".to_owned()));
        assert_eq!(is(&mut state, 150), Contact::Open, "one bad reading is a knock too");
        assert_eq!(is(&mut state, 300), Contact::Unsure("no such line".to_owned()));
        state.hear(at(400), Ok(false));
        assert_eq!(is(&mut state, 600), Contact::Open, "it can be read again");
        assert_eq!(is(&mut state, 30_399), Contact::Open);
        assert!(matches!(is(&mut state, 30_400), Contact::Unsure(_)), "silent");
        assert_eq!(state.wake_at(at(700), DEBOUNCE), Some(at(30_400)));
        for millis in (40_000..46_000).step_by(100) {
            state.hear(at(millis), Ok(millis % 200 == 0));
            state.settle(at(millis), DEBOUNCE);
        }
        assert!(matches!(is(&mut state, 45_999), Contact::Unsure(_)), "it chatters");
        assert_eq!(is(&mut state, 47_000), Contact::Open, "it has come to rest");
    }
}
