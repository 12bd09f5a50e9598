//! `ampgate user`: who may use page and API. Works on the data directory, whether the daemon runs
//! or not; it takes a change within seconds.

use std::io::{self, BufRead};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::io::secret::Hash;
use crate::io::terminal;
use crate::io::users::{User, UserFile, Users};
use crate::model::user::{self, PASSWORD_MIN, Role, UserName};

use super::keep;

/// Users of page and API.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes a user; with the first one everybody has to log in
    Add {
        /// Name to log in with
        #[arg(value_parser = UserName::parse)]
        name: UserName,
        /// viewer reads, operator runs the site, admin changes it
        #[arg(long, value_parser = Role::parse)]
        role: Role,
        #[command(flatten)]
        password: Password,
    },
    /// Gives a user another password and ends what the old one had opened
    Passwd {
        /// Whose
        #[arg(value_parser = UserName::parse)]
        name: UserName,
        #[command(flatten)]
        password: Password,
    },
    /// Gives a user another role
    Role {
        /// Whose
        #[arg(value_parser = UserName::parse)]
        name: UserName,
        /// viewer, operator or admin
        #[arg(value_parser = Role::parse)]
        role: Role,
        #[command(flatten)]
        at: At,
    },
    /// Takes a user away
    Remove {
        /// Whom
        #[arg(value_parser = UserName::parse)]
        name: UserName,
        #[command(flatten)]
        at: At,
    },
    /// All users with their roles
    List(At),
}

/// Where the password comes from, and where it is kept.
#[derive(Debug, Args)]
pub struct Password {
    /// Take the password from the first line of the standard input instead of asking for it
    #[arg(long)]
    stdin: bool,
    #[command(flatten)]
    at: At,
}

/// Where users are kept.
#[derive(Debug, Args)]
pub struct At {
    /// The data directory [default: $STATE_DIRECTORY, else /var/lib/ampgate, else ./ampgate-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl At {
    fn file(&self) -> UserFile {
        let given = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
        let data = self.data.clone().or_else(given);
        UserFile::in_data(&keep::data(data))
    }
}

/// Does it; what is to be said of it.
pub fn answer(command: &Command) -> Result<String, String> {
    match command {
        Command::Add { name, role, password } => add(name, *role, password),
        Command::Passwd { name, password: Password { stdin, at } } => {
            let file = at.file();
            known(&read(&file)?, name)?;
            let hash = chosen(name, *stdin)?;
            change(&file, |users| {
                let role = known(users, name)?.role;
                users.put(name.clone(), User { role, password: hash })
            })?;
            Ok(format!("{name} has another password and has to log in again\n"))
        }
        Command::Role { name, role, at } => {
            let left = change(&at.file(), |users| {
                let password = known(users, name)?.password.clone();
                users.put(name.clone(), User { role: *role, password })?;
                Ok(users.clone())
            })?;
            Ok(format!("{name} is {role}\n{}", warnings(&left)))
        }
        Command::Remove { name, at } => {
            let left = change(&at.file(), |users| {
                known(users, name)?;
                users.remove(name);
                Ok(users.clone())
            })?;
            Ok(format!("{name} is removed\n{}", warnings(&left)))
        }
        Command::List(at) => {
            let users = read(&at.file())?;
            if users.is_empty() {
                return Ok(warnings(&users));
            }
            let line =
                |(name, user): (&UserName, &User)| format!("{:32} {}\n", name.as_str(), user.role);
            Ok(users.all().map(line).collect())
        }
    }
}

fn add(name: &UserName, role: Role, password: &Password) -> Result<String, String> {
    let file = password.at.file();
    let free = |users: &Users| match users.of(name) {
        None => Ok(()),
        Some(_) => Err(format!(
            "there is a user {name} already; `ampgate user passwd {name}` or `ampgate user role \
             {name} ROLE` changes it"
        )),
    };
    free(&read(&file)?)?;
    let hash = chosen(name, password.stdin)?;
    let left = change(&file, |users| {
        free(users)?;
        users.put(name.clone(), User { role, password: hash })?;
        Ok(users.clone())
    })?;
    let first = match left.all().count() {
        1 => "Everybody has to log in from here on; the daemon takes it within seconds.\n",
        _ => "",
    };
    Ok(format!("{name} is {role}\n{first}{}", warnings(&left)))
}

fn warnings(left: &Users) -> String {
    if left.is_empty() {
        return "There are no users: the page is open to everybody on this machine, and to nobody \
                elsewhere.\n"
            .to_owned();
    }
    match left.all().any(|(_, user)| user.role == Role::Admin) {
        true => String::new(),
        false => "Nobody is admin; commands as root on this machine still may everything.\n".into(),
    }
}

fn known<'a>(users: &'a Users, name: &UserName) -> Result<&'a User, String> {
    users.of(name).ok_or_else(|| format!("there is no user {name}; see `ampgate user list`"))
}

fn read(file: &UserFile) -> Result<Users, String> {
    file.read().map_err(|error| format!("{}: {error}", file.path().display()))
}

fn change<T>(
    file: &UserFile,
    change: impl FnOnce(&mut Users) -> Result<T, String>,
) -> Result<T, String> {
    let changed = file.change(change);
    changed.map_err(|error| format!("{}: {error}", file.path().display()))?
}

/// The password that a person chose, as it is kept.
fn chosen(name: &UserName, stdin: bool) -> Result<Hash, String> {
    let password = match stdin {
        true => {
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line);
            read.map_err(|error| format!("standard input: {error}"))?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        }
        false => {
            let ask = |question: &str| {
                terminal::ask(question).map_err(|error| {
                    format!("the password cannot be asked for ({error}); see --stdin")
                })
            };
            let password =
                ask(&format!("Password of {name} ({PASSWORD_MIN} characters or more): "))?;
            user::Password::chosen(&password)?;
            if ask("The same again: ")? != password {
                return Err("the two are not the same".to_owned());
            }
            password
        }
    };
    Ok(Hash::of_password(user::Password::chosen(&password)?.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_changed_and_the_last_admin_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let at = || At { data: Some(folder.path().to_owned()) };
        let alice = UserName::parse("alice").unwrap();
        let user = User { role: Role::Admin, password: Hash::of_password(b"correct horse") };
        change(&at().file(), |users| users.put(alice.clone(), user)).unwrap();
        let role = |role| answer(&Command::Role { name: alice.clone(), role, at: at() });
        let said = role(Role::Viewer).unwrap();
        assert!(said.contains("alice is viewer") && said.contains("Nobody is admin"), "{said}");
        assert!(answer(&Command::List(at())).unwrap().contains("viewer"));
        let bob = UserName::parse("bob").unwrap();
        let none = answer(&Command::Remove { name: bob, at: at() }).unwrap_err();
        assert!(none.contains("there is no user bob"), "{none}");
        let said = answer(&Command::Remove { name: alice.clone(), at: at() }).unwrap();
        assert!(said.contains("open to everybody on this machine"), "{said}");
    }
}
