//! What people order of users over page and API, as a change of the file of users.
//!
//! Invariants: what cannot be done changes nothing; there is an admin left after each order that
//! began with one.

use crate::model::user::{Role, UserLine, UserName, UserOrder};

use super::secret::Hash;
use super::users::{User, Users};

/// Does it. The hash is of the password in the order, made before because that takes a while.
///
/// # Errors
/// It cannot be done as the users stand, in words.
pub fn obey(users: &mut Users, order: &UserOrder, hash: Option<Hash>) -> Result<(), String> {
    match (order, hash) {
        (UserOrder::Add { name, role, .. }, Some(password)) => {
            if users.of(name).is_some() {
                return Err(format!("there is a user {name} already"));
            }
            users.put(name.clone(), User { role: *role, password })
        }
        (UserOrder::Role { name, role }, _) => {
            let password = known(users, name)?.password.clone();
            if *role != Role::Admin {
                is_free(users, name)?;
            }
            users.put(name.clone(), User { role: *role, password })
        }
        (UserOrder::Remove { name }, _) => {
            known(users, name)?;
            is_free(users, name)?;
            users.remove(name);
            Ok(())
        }
        (UserOrder::Password { name, .. }, Some(password)) => {
            let role = known(users, name)?.role;
            users.put(name.clone(), User { role, password })
        }
        (UserOrder::Own { name, before, .. }, Some(password)) => {
            let user = known(users, name)?;
            if !user.password.matches(before.as_bytes()) {
                return Err("the old password is wrong, or was changed meanwhile".to_owned());
            }
            let role = user.role;
            users.put(name.clone(), User { role, password })
        }
        (UserOrder::Add { .. } | UserOrder::Password { .. } | UserOrder::Own { .. }, None) => {
            Err("there is no password".to_owned())
        }
    }
}

/// All users as people see them.
pub fn lines(users: &Users) -> Vec<UserLine> {
    let line = |(name, user): (&UserName, &User)| UserLine {
        name: name.clone(),
        role: user.role,
        fixed: is_free(users, name).err(),
    };
    users.all().map(line).collect()
}

fn known<'a>(users: &'a Users, name: &UserName) -> Result<&'a User, String> {
    users.of(name).ok_or_else(|| format!("there is no user {name}"))
}

/// Whether it may be removed or lowered.
fn is_free(users: &Users, name: &UserName) -> Result<(), String> {
    let is_admin = |user: &User| user.role == Role::Admin;
    let others = users.all().any(|(other, user)| other != name && is_admin(user));
    if others || !users.of(name).is_some_and(is_admin) {
        return Ok(());
    }
    Err(format!("{name} is the last admin; make another user admin first"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::user::Password;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn with(all: &[(&str, Role)]) -> Users {
        let mut users = Users::default();
        for (user, role) in all {
            let password = Hash::of_key(user.as_bytes());
            users.put(name(user), User { role: *role, password }).unwrap();
        }
        users
    }

    fn role(user: &str, role: Role) -> UserOrder {
        UserOrder::Role { name: name(user), role }
    }

    #[test]
    fn the_last_admin_can_neither_be_removed_nor_lowered_and_the_words_say_why() {
        let mut users = with(&[("alice", Role::Admin), ("bob", Role::Viewer)]);
        let before = users.clone();
        let remove = |user: &str| UserOrder::Remove { name: name(user) };
        for order in [remove("alice"), role("alice", Role::Operator)] {
            let refused = obey(&mut users, &order, None).unwrap_err();
            assert!(refused.contains("alice is the last admin"), "{refused}");
        }
        assert_eq!(users, before);
        let fixed: Vec<bool> = lines(&users).iter().map(|line| line.fixed.is_some()).collect();
        assert_eq!(fixed, [true, false]);
        obey(&mut users, &role("bob", Role::Admin), None).unwrap();
        obey(&mut users, &role("alice", Role::Viewer), None).unwrap();
        assert!(obey(&mut users, &remove("bob"), None).is_err(), "bob is the last one by now");
        obey(&mut users, &remove("alice"), None).unwrap();
        assert_eq!(users.all().count(), 1);
    }

    #[test]
    fn an_own_password_is_changed_only_with_the_one_that_it_replaces() {
        let mut users = with(&[("bob", Role::Viewer)]);
        let own = |before: &str| UserOrder::Own {
            name: name("bob"),
            before: Password::shown(before),
            password: Password::shown("next"),
        };
        let next = || Some(Hash::of_key(b"next"));
        assert!(obey(&mut users, &own("guess"), next()).is_err());
        obey(&mut users, &own("bob"), next()).unwrap();
        assert!(users.of(&name("bob")).unwrap().password.matches(b"next"));
        assert!(obey(&mut users, &own("bob"), next()).is_err(), "it is another one by now");
    }

    #[test]
    fn nobody_is_made_twice_and_nobody_unknown_is_changed() {
        let mut users = with(&[("alice", Role::Admin)]);
        let password = Password::shown("x");
        let add = UserOrder::Add { name: name("alice"), role: Role::Viewer, password };
        let refused = obey(&mut users, &add, Some(Hash::of_key(b"x"))).unwrap_err();
        assert_eq!(refused, "there is a user alice already");
        let none = obey(&mut users, &role("bob", Role::Viewer), None).unwrap_err();
        assert_eq!(none, "there is no user bob");
    }
}
