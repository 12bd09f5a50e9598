//! Who may use page and API: looks at names and passwords.
//!
//! Invariants: where no user exists nobody is asked; where the file cannot be read at the start,
//! everybody is turned away. A slow look is one at a time on a thread of its own, and each was
//! counted before it began, so guesses hold up neither the controller nor each other. A name that
//! does not exist costs as much as a wrong password and gets the same answer. A password that was
//! right once costs one HMAC after that, also while guesses are no longer looked at.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::hmac;
use tokio::sync::Mutex as AsyncMutex;

use crate::ground::time::{Duration, Instant};
use crate::model::user::{
    LoginRefused, PASSWORD_BYTES_MAX, Role, Standing, UserLine, UserName, UserOrder, UserRefused,
};

use super::secret::{Hash, random};
use super::user_order::{self, obey};
use super::users::{User, UserFile, Users};

/// Wrong passwords from one address …
const WRONG_MAX: u32 = 10;

/// … and from all together …
const WRONG_IN_ALL_MAX: u32 = 30;

/// … within this time, before guesses are no longer looked at.
const WRONG_WITHIN: Duration = Duration::minutes(1);

/// What nobody's password fits: looked at where a name does not exist.
const NOBODY: &str = concat!(
    "argon2id:00000000000000000000000000000000:",
    "0000000000000000000000000000000000000000000000000000000000000000"
);

/// Knows all users; cheap to clone.
#[derive(Clone)]
pub struct Roster(Arc<Inner>);

struct Inner {
    file: UserFile,
    known: Mutex<Arc<Known>>,
    memory: Mutex<Memory>,
    /// For what is remembered of right passwords; dies with the process.
    key: hmac::Key,
    nobody: Hash,
    /// Held during a slow look.
    slow: AsyncMutex<()>,
    /// Held while the file is read or changed and until that is known.
    turn: Mutex<()>,
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Roster(…)")
    }
}

#[derive(Default)]
struct Known {
    users: Users,
    marks: BTreeMap<UserName, u64>,
    next_mark: u64,
    /// The file could not be read, so nobody knows who may come in.
    locked: bool,
}

#[derive(Default)]
struct Memory {
    /// Right passwords: the hash that each satisfied, and its tag under the key of this process.
    right: BTreeMap<UserName, (Hash, Vec<u8>)>,
    /// Bounded: what is older than [`WRONG_WITHIN`] goes, and in that time few are let through.
    wrong: BTreeMap<IpAddr, Wrong>,
    in_all: Option<Wrong>,
}

#[derive(Clone, Copy)]
struct Wrong {
    times: u32,
    since: Instant,
    told: bool,
}

/// What an order has changed, in words for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Found in the file by the way: a command had changed it before.
    pub found: Vec<String>,
    /// By the order.
    pub done: Vec<String>,
}

/// Somebody was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedAway {
    /// What is answered.
    pub why: LoginRefused,
    /// What people should know of it; not every time, so that guesses do not fill the log.
    pub told: Option<String>,
}

impl Roster {
    /// With the users of this file. Where it cannot be read nobody comes in, and the error says
    /// why.
    pub fn open(file: UserFile) -> (Self, Option<io::Error>) {
        let (known, problem) = match file.read() {
            Ok(users) => (Known::default().with(users), None),
            Err(error) => (Known { locked: true, ..Known::default() }, Some(error)),
        };
        let roster = Self(Arc::new(Inner {
            file,
            known: Mutex::new(Arc::new(known)),
            memory: Mutex::default(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()),
            nobody: Hash::try_from(NOBODY.to_owned()).expect("a constant of the right form"),
            slow: AsyncMutex::new(()),
            turn: Mutex::default(),
        }));
        (roster, problem)
    }

    /// Whether there are no users, so that nobody is asked.
    pub fn is_empty(&self) -> bool {
        let known = self.known();
        !known.locked && known.users.is_empty()
    }

    /// What is known of a user at this moment; none where there is no such user.
    pub fn standing(&self, name: &UserName) -> Option<Standing> {
        self.known().standing(name)
    }

    /// Reads the file again; what is other than before, in words.
    ///
    /// # Errors
    /// It cannot be read; what was in force stays.
    pub fn refresh(&self) -> io::Result<Vec<String>> {
        let _turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let users = self.0.file.read()?;
        let before = self.known();
        if !before.locked && users == before.users {
            return Ok(Vec::new());
        }
        let changes = users.changes_since(&before.users);
        self.know(&before, users);
        Ok(changes)
    }

    /// All users as people see them.
    pub fn lines(&self) -> Vec<UserLine> {
        user_order::lines(&self.known().users)
    }

    /// Does what is ordered, in the file and here; `by` must be an admin still, but for a password
    /// of one's own. Where nobody is named, it is this machine.
    ///
    /// # Errors
    /// It cannot be done, and nothing is changed.
    pub async fn order(
        &self,
        order: UserOrder,
        by: Option<UserName>,
    ) -> Result<Changed, UserRefused> {
        let _one_at_a_time = self.0.slow.lock().await;
        let roster = self.clone();
        let done = tokio::task::spawn_blocking(move || roster.change(&order, by.as_ref())).await;
        let failed = |error: &dyn std::fmt::Display| {
            let words = format!("the users cannot be kept: {error}");
            Err(UserRefused::Failed(words))
        };
        match done {
            Ok(Ok(Ok(changed))) => Ok(changed),
            Ok(Ok(Err(why))) => Err(UserRefused::No(why)),
            Ok(Err(error)) => failed(&error),
            Err(error) => failed(&error),
        }
    }

    fn change(
        &self,
        order: &UserOrder,
        by: Option<&UserName>,
    ) -> io::Result<Result<Changed, String>> {
        let hash = order.password().map(|password| Hash::of_password(password.as_bytes()));
        let _turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.known();
        let done = self.0.file.change(|users| {
            let own = matches!(order, UserOrder::Own { .. });
            let is_admin = |by| users.of(by).is_some_and(|user: &User| user.role == Role::Admin);
            if let Some(by) = by.filter(|by| !own && !is_admin(by)) {
                return Err(format!("{by} is no admin any more"));
            }
            let found = users.changes_since(&before.users);
            let as_found = users.clone();
            obey(users, order, hash)?;
            let done = users.changes_since(&as_found);
            Ok((Changed { found, done }, users.clone()))
        })?;
        Ok(done.map(|(changed, users)| {
            self.know(&before, users);
            changed
        }))
    }

    fn know(&self, before: &Known, users: Users) {
        let next = Arc::new(before.with(users));
        *self.0.known.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// Whether name and password fit.
    ///
    /// # Errors
    /// They do not, or too many from there did not.
    pub async fn check(
        &self,
        name: &str,
        password: &[u8],
        from: IpAddr,
        now: Instant,
    ) -> Result<(UserName, Standing), TurnedAway> {
        let known = self.known();
        let user = UserName::parse(name).ok();
        let found = user.and_then(|name| Some((known.users.of(&name)?.password.clone(), name)));
        let fits = password.len() <= PASSWORD_BYTES_MAX;
        if let (Some((hash, name)), true) = (&found, fits)
            && self.was_right(name, hash, password)
            && let Some(standing) = known.standing(name)
        {
            return Ok((name.clone(), standing));
        }
        let from = from.to_canonical();
        self.count(from, now)?;
        let hash = found.as_ref().map_or(&self.0.nobody, |(hash, _)| hash).clone();
        let shown = if fits { password.to_vec() } else { Vec::new() };
        let right = self.look_slowly(hash, shown).await && fits;
        match found {
            Some((hash, name)) if right => {
                self.uncount(from);
                let tag = hmac::sign(&self.0.key, &tagged(&name, password)).as_ref().to_vec();
                self.memory().right.insert(name.clone(), (hash, tag));
                // As it was when the look began: a password that has changed since ends it.
                let standing = known.standing(&name);
                let gone = TurnedAway { why: LoginRefused::Wrong, told: None };
                standing.map(|standing| (name, standing)).ok_or(gone)
            }
            found => {
                let whose = found.map(|(_, name)| name);
                Err(TurnedAway { why: LoginRefused::Wrong, told: self.tell(from, whose) })
            }
        }
    }

    async fn look_slowly(&self, hash: Hash, password: Vec<u8>) -> bool {
        let _one_at_a_time = self.0.slow.lock().await;
        tokio::task::spawn_blocking(move || hash.matches(&password)).await.unwrap_or(false)
    }

    fn was_right(&self, name: &UserName, hash: &Hash, password: &[u8]) -> bool {
        let memory = self.memory();
        let Some((right, tag)) = memory.right.get(name) else { return false };
        right == hash && hmac::verify(&self.0.key, &tagged(name, password), tag).is_ok()
    }

    /// Counts a look before it begins, as if it was wrong.
    fn count(&self, from: IpAddr, now: Instant) -> Result<(), TurnedAway> {
        let mut memory = self.memory();
        let is_old = |wrong: &Wrong| WRONG_WITHIN <= now.since(wrong.since);
        memory.wrong.retain(|_, wrong| !is_old(wrong));
        if memory.in_all.as_ref().is_some_and(is_old) {
            memory.in_all = None;
        }
        let fresh = Wrong { times: 0, since: now, told: false };
        let mut in_all = memory.in_all.unwrap_or(fresh);
        let mut own = memory.wrong.get(&from).copied().unwrap_or(fresh);
        let many = match (WRONG_MAX <= own.times, WRONG_IN_ALL_MAX <= in_all.times) {
            (true, _) => Some((&mut own, format!("from {from}"))),
            (false, true) => Some((&mut in_all, "from all addresses together".to_owned())),
            (false, false) => None,
        };
        let refused = many.map(|(wrong, whence)| {
            // The one that says so counts one more than the most.
            let news = wrong.times < u32::MAX;
            wrong.times = u32::MAX;
            let words = || {
                format!(
                    "too many wrong passwords {whence}; guesses are not looked at for a minute, \
                     who is logged in goes on"
                )
            };
            TurnedAway { why: LoginRefused::TooOften, told: news.then(words) }
        });
        if refused.is_none() {
            own.times += 1;
            in_all.times += 1;
        }
        memory.in_all = Some(in_all);
        if own.times != 0 {
            memory.wrong.insert(from, own);
        }
        refused.map_or(Ok(()), Err)
    }

    /// It was right after all.
    fn uncount(&self, from: IpAddr) {
        let mut memory = self.memory();
        let Memory { wrong, in_all, .. } = &mut *memory;
        for counted in wrong.get_mut(&from).into_iter().chain(in_all) {
            if counted.times != u32::MAX {
                counted.times = counted.times.saturating_sub(1);
            }
        }
    }

    /// What to tell of a wrong password: the first from an address in a while. A name that does
    /// not exist is not told, because it may be a password that went into the wrong field.
    fn tell(&self, from: IpAddr, whose: Option<UserName>) -> Option<String> {
        let mut memory = self.memory();
        let wrong = memory.wrong.get_mut(&from)?;
        if std::mem::replace(&mut wrong.told, true) {
            return None;
        }
        Some(match whose {
            Some(name) => format!("a wrong password for {name} from {from}"),
            None => format!("a name that no user has, from {from}"),
        })
    }

    fn known(&self) -> Arc<Known> {
        // It is replaced as a whole, so a panic elsewhere leaves nothing half done.
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn standing(&self, name: &UserName) -> Option<Standing> {
        let role = self.users.of(name)?.role;
        Some(Standing { role, mark: self.marks.get(name).copied()? })
    }

    /// The same with other users; who has the password of before keeps the mark.
    fn with(&self, users: Users) -> Self {
        let mut next_mark = self.next_mark;
        let mut marks = BTreeMap::new();
        for (name, user) in users.all() {
            let before = self.users.of(name).filter(|old| old.password == user.password);
            let mark = before.and_then(|_| self.marks.get(name)).copied().unwrap_or_else(|| {
                next_mark += 1;
                next_mark
            });
            marks.insert(name.clone(), mark);
        }
        Self { users, marks, next_mark, locked: false }
    }
}

fn tagged(name: &UserName, password: &[u8]) -> Vec<u8> {
    [name.as_str().as_bytes(), b":", password].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::user::Password;

    const PASSWORD: &str = "correct horse battery";

    struct Place {
        _folder: tempfile::TempDir,
        file: UserFile,
        roster: Roster,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let file = UserFile::in_data(folder.path());
        let (roster, problem) = Roster::open(file.clone());
        assert!(problem.is_none());
        Place { _folder: folder, file, roster }
    }

    impl Place {
        fn put(&self, name: &str, role: Role, password: &str) {
            let name = UserName::parse(name).unwrap();
            let password = Hash::of_password(password.as_bytes());
            self.file.change(|users| users.put(name, User { role, password })).unwrap().unwrap();
        }

        async fn check(
            &self,
            name: &str,
            password: &str,
            from: u8,
            s: i64,
        ) -> Result<Role, TurnedAway> {
            let (from, now) = (IpAddr::from([192, 0, 2, from]), Instant::from_millis(s * 1000));
            let checked = self.roster.check(name, password.as_bytes(), from, now).await;
            checked.map(|(_, standing)| standing.role)
        }
    }

    fn why(checked: Result<Role, TurnedAway>) -> LoginRefused {
        checked.unwrap_err().why
    }

    #[tokio::test]
    async fn a_change_of_the_file_counts_and_ends_what_the_old_password_opened() {
        let place = place();
        assert!(place.roster.is_empty());
        place.put("alice", Role::Operator, PASSWORD);
        assert_eq!(place.roster.refresh().unwrap(), ["alice was added as operator"]);
        assert!(!place.roster.is_empty());
        assert_eq!(place.check("Alice", PASSWORD, 1, 0).await, Ok(Role::Operator));
        let name = UserName::parse("alice").unwrap();
        let before = place.roster.standing(&name).unwrap();
        place.put("alice", Role::Operator, "another password");
        assert_eq!(place.roster.refresh().unwrap(), ["alice has another password"]);
        assert_ne!(place.roster.standing(&name).unwrap().mark, before.mark);
        let old = place.check("alice", PASSWORD, 1, 0).await;
        assert_eq!(why(old), LoginRefused::Wrong, "what was right once is forgotten with it");
        place.file.change(|users| users.remove(&name).ok_or(())).unwrap().unwrap();
        assert_eq!(place.roster.refresh().unwrap(), ["alice was removed"]);
        assert!(place.roster.is_empty() && place.roster.standing(&name).is_none());
    }

    #[tokio::test]
    async fn orders_and_commands_at_once_lose_no_change_and_each_is_told_apart() {
        let place = place();
        place.put("alice", Role::Admin, PASSWORD);
        place.roster.refresh().unwrap();
        // A command makes bob, which the roster has not seen yet.
        place.put("bob", Role::Viewer, PASSWORD);
        let name = |text: &str| UserName::parse(text).unwrap();
        let raise = |user: &str| UserOrder::Role { name: name(user), role: Role::Operator };
        let by = || Some(name("alice"));
        let changed = place.roster.order(raise("bob"), by()).await.unwrap();
        assert_eq!(changed.found, ["bob was added as viewer"]);
        assert_eq!(changed.done, ["bob was viewer and is operator"]);
        assert_eq!(place.roster.refresh().unwrap(), Vec::<String>::new(), "it knows by now");

        let commands = (0..8).map(|number| {
            let file = place.file.clone();
            tokio::task::spawn_blocking(move || {
                let user = User { role: Role::Viewer, password: Hash::of_key(b"k") };
                let name = UserName::parse(&format!("by-command-{number}")).unwrap();
                file.change(|users| users.put(name, user)).unwrap().unwrap();
            })
        });
        let commands: Vec<_> = commands.collect();
        for number in 0..4 {
            let password = Password::chosen(PASSWORD).unwrap();
            let made = name(&format!("by-page-{number}"));
            let add = UserOrder::Add { name: made, role: Role::Viewer, password };
            place.roster.order(add, by()).await.unwrap();
        }
        for command in commands {
            command.await.unwrap();
        }
        place.roster.refresh().unwrap();
        assert_eq!(place.file.read().unwrap().all().count(), 2 + 8 + 4);
        assert_eq!(place.roster.lines().len(), 2 + 8 + 4);

        // A command takes alice's role away; what she has open orders nothing any more.
        place.put("chief", Role::Admin, PASSWORD);
        place.put("alice", Role::Viewer, PASSWORD);
        let refused = place.roster.order(raise("chief"), by()).await;
        let words = "alice is no admin any more".to_owned();
        assert_eq!(refused, Err(UserRefused::No(words)));
    }

    #[tokio::test]
    async fn a_wrong_name_and_a_wrong_password_get_one_answer_and_names_are_not_told() {
        let place = place();
        place.put("alice", Role::Viewer, PASSWORD);
        place.roster.refresh().unwrap();
        let (wrong, unknown) = (
            place.check("alice", "wrong password", 1, 0).await.unwrap_err(),
            place.check(PASSWORD, "alice", 2, 0).await.unwrap_err(),
        );
        assert_eq!(wrong.why, unknown.why);
        assert_eq!(wrong.told.unwrap(), "a wrong password for alice from 192.0.2.1");
        assert_eq!(unknown.told.unwrap(), "a name that no user has, from 192.0.2.2");
        let again = place.check("alice", "wrong again", 1, 1).await.unwrap_err();
        assert_eq!(again.told, None, "the same is not told at each guess");
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert_eq!(why(place.check("alice", &long, 3, 1).await), LoginRefused::Wrong);
    }

    #[tokio::test]
    async fn guesses_are_not_looked_at_without_end_and_who_is_known_still_comes_in() {
        let place = place();
        place.put("alice", Role::Admin, PASSWORD);
        place.put("bob", Role::Viewer, PASSWORD);
        place.roster.refresh().unwrap();
        assert_eq!(place.check("alice", PASSWORD, 1, 0).await, Ok(Role::Admin));
        for _ in 0..WRONG_MAX {
            assert_eq!(why(place.check("alice", "guess", 1, 0).await), LoginRefused::Wrong);
        }
        let many = place.check("alice", "guess", 1, 1).await.unwrap_err();
        assert_eq!(many.why, LoginRefused::TooOften);
        assert!(many.told.unwrap().contains("192.0.2.1"));
        assert_eq!(place.check("alice", "guess", 1, 2).await.unwrap_err().told, None);
        assert_eq!(place.check("alice", PASSWORD, 1, 2).await, Ok(Role::Admin), "known by now");
        assert_eq!(why(place.check("bob", PASSWORD, 1, 2).await), LoginRefused::TooOften);
        for from in 2..4 {
            for _ in 0..WRONG_MAX {
                assert_eq!(why(place.check("bob", "guess", from, 3).await), LoginRefused::Wrong);
            }
        }
        let in_all = place.check("bob", PASSWORD, 9, 4).await.unwrap_err();
        assert_eq!(in_all.why, LoginRefused::TooOften);
        assert!(in_all.told.unwrap().contains("all addresses"));
        assert_eq!(place.check("bob", PASSWORD, 9, 61).await, Ok(Role::Viewer), "a minute later");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let file = UserFile::in_data(folder.path());
        super::super::secret::write(file.path(), "{ half", 0o600).unwrap();
        let (roster, problem) = Roster::open(file.clone());
        assert!(problem.is_some() && !roster.is_empty());
        assert!(roster.refresh().is_err() && !roster.is_empty());
        std::fs::remove_file(file.path()).unwrap();
        roster.refresh().unwrap();
        assert!(roster.is_empty());
    }
}
