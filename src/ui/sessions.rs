//! Who is logged in at the page, by the cookie that each browser holds.
//!
//! ```text
//! name and password ─▶ cookie ─ used at least once in 60 min ─▶ … ─ 12 h at most ─▶ gone
//! ```
//! Cookies are known to browsers alone: here are their tags, under a key of this process, so a
//! restart ends all sessions. Time comes as minutes that have passed, as for the passes of drivers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use ring::hmac::{self, HMAC_SHA256, Key};

use crate::model::user::UserName;

use super::pass;

/// A session that was not used for so many minutes has ended. A live page counts as use.
const IDLE_MINUTES: u32 = 60;

/// A session lasts so many minutes at most: a working day.
pub const LASTS_MINUTES: u32 = 12 * 60;

/// Sessions at a time; the one that was not used for longest gives way.
const SESSIONS_MAX: usize = 64;

/// Sessions of one user, so that nobody crowds others out.
const OF_ONE_MAX: usize = 8;

/// All sessions.
pub struct Sessions {
    key: Key,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    minute: u32,
    uses: u64,
    open: BTreeMap<Vec<u8>, Session>,
}

struct Session {
    user: UserName,
    mark: u64,
    begun: u32,
    used: u32,
    /// Order of the last uses, finer than minutes.
    use_number: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        let inner = Mutex::default();
        Self { key: Key::new(HMAC_SHA256, &pass::random()), inner }
    }
}

impl Sessions {
    /// Opens one for a user, whose password has this mark; the cookie.
    pub fn open(&self, user: UserName, mark: u64) -> String {
        let cookie = HEXLOWER.encode(&pass::random());
        let mut inner = self.lock();
        inner.make_room(Some(&user), OF_ONE_MAX);
        inner.make_room(None, SESSIONS_MAX);
        inner.uses += 1;
        let (minute, use_number) = (inner.minute, inner.uses);
        let session = Session { user, mark, begun: minute, used: minute, use_number };
        inner.open.insert(self.tag(&cookie), session);
        cookie
    }

    /// Whose it is, with the mark of the password it was opened with; counts as use.
    pub fn look(&self, cookie: &str) -> Option<(UserName, u64)> {
        let tag = self.tag(cookie);
        let mut inner = self.lock();
        inner.uses += 1;
        let (minute, uses) = (inner.minute, inner.uses);
        let session = inner.open.get_mut(&tag)?;
        (session.used, session.use_number) = (minute, uses);
        Some((session.user.clone(), session.mark))
    }

    /// Ends it.
    pub fn close(&self, cookie: &str) {
        let tag = self.tag(cookie);
        self.lock().open.remove(&tag);
    }

    /// A minute has passed.
    pub fn minute(&self) {
        let mut inner = self.lock();
        inner.minute = inner.minute.saturating_add(1);
        let minute = inner.minute;
        inner.open.retain(|_, session| {
            minute - session.begun < LASTS_MINUTES && minute - session.used < IDLE_MINUTES
        });
    }

    fn tag(&self, cookie: &str) -> Vec<u8> {
        hmac::sign(&self.key, cookie.as_bytes()).as_ref().to_vec()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Ends the session that was not used for longest while there are `most`, of one user or of
    /// all.
    fn make_room(&mut self, user: Option<&UserName>, most: usize) {
        let counts = |session: &Session| user.is_none_or(|user| session.user == *user);
        let mine = self.open.iter().filter(|(_, session)| counts(session));
        let mut mine: Vec<_> =
            mine.map(|(tag, session)| (session.use_number, tag.clone())).collect();
        mine.sort_unstable();
        let many = (mine.len() + 1).saturating_sub(most);
        for (_, tag) in mine.into_iter().take(many) {
            self.open.remove(&tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserName {
        UserName::parse(name).expect("a name")
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_at_the_latest_after_a_working_day() {
        let sessions = Sessions::default();
        let (idle, busy) = (sessions.open(user("alice"), 1), sessions.open(user("bob"), 2));
        for minute in 1..LASTS_MINUTES {
            sessions.minute();
            assert_eq!(sessions.look(&busy), Some((user("bob"), 2)), "minute {minute}");
            if minute == IDLE_MINUTES {
                assert_eq!(sessions.look(&idle), None);
            }
        }
        sessions.minute();
        assert_eq!(sessions.look(&busy), None);
    }

    #[test]
    fn logging_out_ends_one_session_alone() {
        let sessions = Sessions::default();
        let (one, other) = (sessions.open(user("alice"), 1), sessions.open(user("alice"), 1));
        sessions.close(&one);
        assert_eq!(sessions.look(&one), None);
        assert!(sessions.look(&other).is_some() && sessions.look("").is_none());
    }

    #[test]
    fn sessions_are_bounded_and_nobody_crowds_others_out() {
        let sessions = Sessions::default();
        let first = sessions.open(user("alice"), 1);
        let cookies: Vec<String> = (0..OF_ONE_MAX).map(|_| sessions.open(user("bob"), 2)).collect();
        sessions.look(&cookies[0]);
        let last = sessions.open(user("bob"), 2);
        assert!(sessions.look(&cookies[0]).is_some() && sessions.look(&last).is_some());
        assert!(sessions.look(&cookies[1]).is_none(), "the one that was not used for longest");
        assert!(sessions.look(&first).is_some());
        for number in 0..2 * SESSIONS_MAX {
            sessions.open(user(&format!("u{number}")), 3);
        }
        assert_eq!(sessions.lock().open.len(), SESSIONS_MAX);
    }
}
