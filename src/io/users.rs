//! The users of page and API: a file that the command line writes and the daemon reads.
//!
//! Invariants: no password is in it, only slow hashes; nobody but its owner can read it; every
//! change reads it anew under a lock, so that nobody undoes the change of another. Where there is
//! no file there are no users.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::user::{Role, USERS_MAX, UserName};

use super::secret::{self, Hash};

/// The file in the data directory.
pub const FILE: &str = "users.json";

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What it may do.
    pub role: Role,
    /// Its password.
    pub password: Hash,
}

/// All users by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    #[serde(default)]
    users: BTreeMap<UserName, User>,
}

impl Users {
    /// The user of this name.
    pub fn of(&self, name: &UserName) -> Option<&User> {
        self.users.get(name)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&UserName, &User)> {
        self.users.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Adds or replaces one.
    ///
    /// # Errors
    /// There are too many, in words.
    pub fn put(&mut self, name: UserName, user: User) -> Result<(), String> {
        if USERS_MAX <= self.users.len() && !self.users.contains_key(&name) {
            return Err(format!("there are {USERS_MAX} users, which is the most"));
        }
        self.users.insert(name, user);
        Ok(())
    }

    /// Takes one away.
    pub fn remove(&mut self, name: &UserName) -> Option<User> {
        self.users.remove(name)
    }

    /// What is other than before, in words; nothing where all is the same.
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, user) in &self.users {
            match before.users.get(name) {
                None => changes.push(format!("{name} was added as {}", user.role)),
                Some(old) => {
                    if old.role != user.role {
                        changes.push(format!("{name} was {} and is {}", old.role, user.role));
                    }
                    if old.password != user.password {
                        changes.push(format!("{name} has another password"));
                    }
                }
            }
        }
        let gone = before.users.keys().filter(|name| !self.users.contains_key(*name));
        changes.extend(gone.map(|name| format!("{name} was removed")));
        changes
    }
}

/// Where they are kept.
#[derive(Clone, Debug)]
pub struct UserFile {
    path: PathBuf,
}

impl UserFile {
    /// In this data directory.
    pub fn in_data(data: &Path) -> Self {
        Self { path: data.join(FILE) }
    }

    /// The file itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everybody in it.
    ///
    /// # Errors
    /// It cannot be read, others can read it, or it is not what was written.
    pub fn read(&self) -> io::Result<Users> {
        let Some(text) = secret::read(&self.path)? else { return Ok(Users::default()) };
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    /// Changes who is in it; what the change says is given back, and where it says no nothing is
    /// written.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn change<T, E>(
        &self,
        change: impl FnOnce(&mut Users) -> Result<T, E>,
    ) -> io::Result<Result<T, E>> {
        secret::locked(&self.path, || {
            let mut users = self.read()?;
            let done = match change(&mut users) {
                Ok(done) => done,
                Err(why) => return Ok(Err(why)),
            };
            let text = serde_json::to_string_pretty(&users).map_err(io::Error::other)?;
            secret::write(&self.path, &(text + "\n"), 0o600)?;
            Ok(Ok(done))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    #[test]
    fn users_are_kept_for_their_owner_alone_and_no_password_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = UserFile::in_data(folder.path());
        assert!(file.read().unwrap().is_empty());
        let user = User { role: Role::Operator, password: Hash::of_password(b"correct horse") };
        let put = user.clone();
        file.change(|users| users.put(name("alice"), put)).unwrap().unwrap();
        assert_eq!(file.read().unwrap().of(&name("ALICE")), Some(&user));
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(text.contains("argon2id:") && !text.contains("horse"), "{text}");
        let mode = std::fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let refused = file.change(|users| {
            users.remove(&name("alice"));
            Err::<(), _>("no")
        });
        assert_eq!(refused.unwrap(), Err("no"));
        assert_eq!(file.read().unwrap().all().count(), 1, "a change that says no changes nothing");
    }

    #[test]
    fn every_change_has_its_words() {
        let user = |role, key: &[u8]| User { role, password: Hash::of_key(key) };
        let (alice, bob) = (user(Role::Admin, b"a"), user(Role::Viewer, b"b"));
        let mut before = Users::default();
        before.put(name("alice"), alice.clone()).unwrap();
        before.put(name("bob"), bob).unwrap();
        let mut after = Users::default();
        after.put(name("alice"), User { role: Role::Viewer, ..alice }).unwrap();
        after.put(name("carol"), user(Role::Operator, b"c")).unwrap();
        assert_eq!(
            after.changes_since(&before),
            ["alice was admin and is viewer", "carol was added as operator", "bob was removed"]
        );
        assert_eq!(after.changes_since(&after), Vec::<String>::new());
    }

    #[test]
    fn there_are_not_more_users_than_the_most() {
        let mut users = Users::default();
        let password = Hash::of_key(b"k");
        let user = || User { role: Role::Viewer, password: password.clone() };
        for number in 0..USERS_MAX {
            users.put(name(&format!("u{number}")), user()).unwrap();
        }
        assert!(users.put(name("more"), user()).is_err());
        assert!(users.put(name("u0"), user()).is_ok(), "one that is there may be changed");
    }
}
