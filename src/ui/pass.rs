//! Who may say what a car needs: whoever stands in front of the EVSE and scans its code.
//!
//! ```text
//! code (printed, until the key file is renewed) ─ scan ─▶ pass (15 to 30 min, this EVSE) ─▶ page
//! ```
//! A code is for one EVSE and only opens the door; every page and every form needs a pass, so that
//! a link that was sent around or photographed from a screen runs out soon. Passes are signed with
//! keys that live in memory alone: a restart ends them all, and a driver scans again. Behind a
//! reverse proxy all drivers have one address, so changes are limited by EVSE, and wrong links in
//! all.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ring::hmac::{self, HMAC_SHA256, Key};
use ring::rand::{SecureRandom, SystemRandom};

use crate::model::drivers::PageUrl;

/// Bytes of the key that codes are signed with.
pub const SECRET_BYTES: usize = 32;

/// Passes are signed with another key after so many minutes; the one before still counts.
const WINDOW_MINUTES: u32 = 15;

/// Bytes of a signature that stand in a link: 96 bits, which nobody guesses.
const TAG_BYTES: usize = 12;

/// Changes of one EVSE in a minute.
const CHANGES_MAX: u32 = 10;

/// Wrong links in a minute; then all are refused unread.
const WRONG_MAX: u32 = 60;

/// What the driver pages stand on.
#[derive(Clone, Debug)]
pub struct DriverDoor {
    /// Signs the codes; kept in the data directory, so that printed codes stay valid.
    pub secret: [u8; SECRET_BYTES],
    /// Where drivers reach the page; none while nothing forwards to it.
    pub page_url: Option<PageUrl>,
}

/// Signs and checks codes and passes.
pub struct Passes {
    codes: Key,
    inner: Mutex<Inner>,
}

struct Inner {
    now: Key,
    before: Option<Key>,
    minutes: u32,
    wrong: u32,
    changes: BTreeMap<String, u32>,
}

/// Why a link opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It was never right, or has run out.
    Stale,
    /// Too many wrong links, or too many changes; in a minute it may be tried again.
    TooOften,
}

impl Passes {
    /// With the secret of this site.
    pub fn new(secret: &[u8; SECRET_BYTES]) -> Self {
        let inner = Inner {
            now: random_key(),
            before: None,
            minutes: 0,
            wrong: 0,
            changes: BTreeMap::new(),
        };
        Self { codes: Key::new(HMAC_SHA256, secret), inner: Mutex::new(inner) }
    }

    /// The code of an EVSE, for its QR code.
    pub fn code(&self, evse: &str) -> String {
        sign(&self.codes, "code", evse)
    }

    /// A pass for whoever shows the code of this EVSE.
    pub fn admit(&self, evse: &str, code: &str) -> Result<String, Refused> {
        let mut inner = self.lock();
        inner.look(same(code, &self.code(evse)))?;
        Ok(sign(&inner.now, "pass", evse))
    }

    /// Whether a pass still opens the page of this EVSE.
    pub fn check(&self, evse: &str, pass: &str) -> Result<(), Refused> {
        let mut inner = self.lock();
        let fits = |key: &Key| same(pass, &sign(key, "pass", evse));
        let valid = fits(&inner.now) || inner.before.as_ref().is_some_and(fits);
        inner.look(valid)
    }

    /// Counts a change of what an EVSE was told.
    pub fn change(&self, evse: &str) -> Result<(), Refused> {
        let mut inner = self.lock();
        let count = inner.changes.entry(evse.to_owned()).or_default();
        *count += 1;
        if CHANGES_MAX < *count { Err(Refused::TooOften) } else { Ok(()) }
    }

    /// A minute has passed.
    pub fn minute(&self) {
        let mut inner = self.lock();
        inner.wrong = 0;
        inner.changes.clear();
        inner.minutes += 1;
        if WINDOW_MINUTES <= inner.minutes {
            inner.minutes = 0;
            let next = random_key();
            inner.before = Some(std::mem::replace(&mut inner.now, next));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// A link was looked at.
    fn look(&mut self, valid: bool) -> Result<(), Refused> {
        match (valid, self.wrong < WRONG_MAX) {
            (_, false) => Err(Refused::TooOften),
            (true, true) => Ok(()),
            (false, true) => {
                self.wrong += 1;
                Err(Refused::Stale)
            }
        }
    }
}

/// Bytes that nobody can foresee.
pub fn random() -> [u8; SECRET_BYTES] {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).expect("a system without random numbers cannot go on");
    bytes
}

fn random_key() -> Key {
    Key::new(HMAC_SHA256, &random())
}

/// In hexadecimal; what is signed is told apart by its kind.
fn sign(key: &Key, kind: &str, evse: &str) -> String {
    let tag = hmac::sign(key, format!("{kind} {evse}").as_bytes());
    tag.as_ref().iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// Compares in a time that does not tell where the difference is.
pub fn same(one: &str, other: &str) -> bool {
    let pairs = one.bytes().zip(other.bytes());
    one.len() == other.len() && pairs.fold(0, |sum, (one, other)| sum | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_opens_its_own_evse_and_outlives_a_restart() {
        let passes = Passes::new(&[7; SECRET_BYTES]);
        let code = passes.code("EVSE-01");
        assert_eq!(code.len(), 2 * TAG_BYTES);
        let pass = passes.admit("EVSE-01", &code).expect("its own code");
        assert_eq!(passes.check("EVSE-01", &pass), Ok(()));
        assert_eq!(passes.check("EVSE-02", &pass), Err(Refused::Stale));
        assert_eq!(passes.admit("EVSE-02", &code), Err(Refused::Stale));
        // A code is no pass, a pass no code, and half of one is nothing.
        assert_eq!(passes.check("EVSE-01", &code), Err(Refused::Stale));
        assert_eq!(passes.admit("EVSE-01", &pass), Err(Refused::Stale));
        assert_eq!(passes.check("EVSE-01", &pass[..8]), Err(Refused::Stale));
        assert_eq!(passes.check("EVSE-01", ""), Err(Refused::Stale));
        let again = Passes::new(&[7; SECRET_BYTES]);
        assert!(again.admit("EVSE-01", &code).is_ok());
        assert_eq!(again.check("EVSE-01", &pass), Err(Refused::Stale));
        assert_eq!(Passes::new(&[8; SECRET_BYTES]).admit("EVSE-01", &code), Err(Refused::Stale));
    }

    #[test]
    fn a_pass_runs_out_after_at_most_two_windows() {
        let passes = Passes::new(&[7; SECRET_BYTES]);
        let pass = passes.admit("E1", &passes.code("E1")).expect("its own code");
        let wait = |minutes: u32| (0..minutes).for_each(|_| passes.minute());
        wait(WINDOW_MINUTES);
        assert_eq!(passes.check("E1", &pass), Ok(()));
        wait(WINDOW_MINUTES);
        assert_eq!(passes.check("E1", &pass), Err(Refused::Stale));
    }

    #[test]
    fn guesses_and_changes_are_limited_for_a_minute() {
        let passes = Passes::new(&[7; SECRET_BYTES]);
        let pass = passes.admit("E1", &passes.code("E1")).expect("its own code");
        for _ in 0..CHANGES_MAX {
            assert_eq!(passes.change("E1"), Ok(()));
        }
        assert_eq!(passes.change("E1"), Err(Refused::TooOften));
        assert_eq!(passes.change("E2"), Ok(()));
        for _ in 0..WRONG_MAX {
            assert_eq!(passes.check("E1", "guess"), Err(Refused::Stale));
        }
        assert_eq!(passes.check("E1", &pass), Err(Refused::TooOften));
        passes.minute();
        assert_eq!((passes.check("E1", &pass), passes.change("E1")), (Ok(()), Ok(())));
    }
}
