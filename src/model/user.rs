//! People and programs that may use page and API: their names and what each may do.
//!
//! ```text
//! viewer  reads
//! operator  … and runs the site: starts, stops, limits, drills, preferences
//! admin  … and changes what the site is: configuration, who may connect, updates, partners
//! ```
//! Drivers are no users: their page has links of its own that open one EVSE for a while.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Users of a site.
pub const USERS_MAX: usize = 100;

/// Characters of a name.
pub const NAME_MAX: usize = 32;

/// Characters of a password that a person chose, at least.
pub const PASSWORD_MIN: usize = 12;

/// Bytes of a password; what is longer is not even looked at.
pub const PASSWORD_BYTES_MAX: usize = 256;

/// What a user may do; each may do what the ones before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Runs the site.
    Operator,
    /// Changes what the site is.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    /// The role of this word.
    ///
    /// # Errors
    /// There is none, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.word() == text);
        found.ok_or_else(|| "expected viewer, operator or admin".to_owned())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// Name of a user, in small letters. Whoever logs in may write it in any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

impl UserName {
    /// Reads a name.
    ///
    /// # Errors
    /// It is none, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fine = |letter: u8| letter.is_ascii_alphanumeric() || b"._-@".contains(&letter);
        let begins = text.bytes().next().is_some_and(|letter| letter.is_ascii_alphanumeric());
        if !begins || NAME_MAX < text.len() || !text.bytes().all(fine) {
            return Err(format!(
                "expected at most {NAME_MAX} of the letters a to z, digits and . _ - @, a letter \
                 or digit first"
            ));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.0
    }
}

impl TryFrom<String> for UserName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

/// What is known of a user at this moment. The mark is another one after each change of the
/// password, so that whoever came in with the old one has to come in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it may do.
    pub role: Role,
    /// Tells passwords apart without telling them.
    pub mark: u64,
}

/// A password as somebody wrote it. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// One that a person chose: long enough, and not without end.
    ///
    /// # Errors
    /// It is not, in words.
    pub fn chosen(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        if length < PASSWORD_MIN {
            return Err(format!(
                "the password has {length} characters, expected at least {PASSWORD_MIN}"
            ));
        }
        if PASSWORD_BYTES_MAX < text.len() {
            return Err(format!(
                "the password is too long, expected at most {PASSWORD_BYTES_MAX} bytes"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// One that somebody shows; it may be any.
    pub fn shown(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(…)")
    }
}

/// What people order of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserOrder {
    /// Make one.
    Add {
        /// To log in with.
        name: UserName,
        /// What it may do.
        role: Role,
        /// Its first password.
        password: Password,
    },
    /// Another role.
    Role {
        /// Whose.
        name: UserName,
        /// What it may do from here on.
        role: Role,
    },
    /// Another password.
    Password {
        /// Whose.
        name: UserName,
        /// From here on.
        password: Password,
    },
    /// Another password of one's own.
    Own {
        /// One's own.
        name: UserName,
        /// The one that it replaces; where that is another one by then, nothing is changed.
        before: Password,
        /// From here on.
        password: Password,
    },
    /// Take one away.
    Remove {
        /// Whom.
        name: UserName,
    },
}

impl UserOrder {
    /// The password that is to be kept.
    pub fn password(&self) -> Option<&Password> {
        match self {
            Self::Add { password, .. }
            | Self::Password { password, .. }
            | Self::Own { password, .. } => Some(password),
            Self::Role { .. } | Self::Remove { .. } => None,
        }
    }
}

/// A user as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserLine {
    /// To log in with.
    pub name: UserName,
    /// What it may do.
    pub role: Role,
    /// Why it can neither be removed nor get another role; none where it can.
    pub fixed: Option<String>,
}

/// Why an order about users was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserRefused {
    /// It cannot be as the users stand, in words.
    No(String),
    /// The file cannot be read or written, in words.
    Failed(String),
}

/// Why somebody is not let in. The same for a name that does not exist and a password that is
/// wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginRefused {
    /// Name and password do not fit.
    Wrong,
    /// Too many were wrong; it may be tried again in a minute.
    TooOften,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_small_and_nothing_that_breaks_a_header() {
        assert_eq!(UserName::parse("Alice.W").expect("a name").as_str(), "alice.w");
        let long = "a".repeat(NAME_MAX + 1);
        for text in ["", "-a", "a:b", "a b", "é", "a\n", long.as_str()] {
            assert!(UserName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn short_and_endless_passwords_are_refused_and_none_is_shown() {
        let short = Password::chosen("elevenchars").expect_err("too short");
        assert!(short.contains("11 characters, expected at least 12"), "{short}");
        let fits = Password::chosen("twelve chars").expect("long enough");
        assert_eq!(format!("{fits:?}"), "Password(…)");
        assert!(Password::chosen(&"x".repeat(PASSWORD_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn each_role_may_do_what_the_ones_before_may() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        for role in Role::ALL {
            assert_eq!(Role::parse(role.word()), Ok(role));
        }
        assert!(Role::parse("driver").is_err());
    }
}
