//! The API of users: `/api/v1/users` for admins, `/api/v1/password` for everybody's own.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::model::user::{
    LoginRefused, Password, Role, UserLine, UserName, UserOrder, UserRefused,
};

use super::entry::{Visit, cookie};
use super::login;
use super::partners::Told;
use super::sessions::LASTS_MINUTES;
use super::state::Shared;
use super::trouble::Trouble;
use super::users::{Login, Whom};

/// All users.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listed {
    /// By their names.
    pub users: Vec<UserLine>,
}

/// An order as it is written.
#[derive(Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
enum Asked {
    Add { name: String, role: String, password: String },
    Role { name: String, role: String },
    Password { name: String, password: String },
    Remove { name: String },
}

/// Another password of one's own, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    before: String,
    password: String,
}

/// `GET /api/v1/users`
pub async fn list(State(shared): State<Arc<Shared>>) -> Json<Listed> {
    Json(Listed { users: (shared.security.users.list)() })
}

/// `POST /api/v1/users`
pub async fn order(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    text: String,
) -> Result<Json<Told>, Trouble> {
    let by = whom(&visit)?;
    let asked: Asked = serde_json::from_str(&text).map_err(|error| {
        let expected = "JSON like {\"order\": \"add\", \"name\": \"bob\", \"role\": \"viewer\", \
                        \"password\": \"…\"}; orders are add, role, password and remove";
        unreadable(&error, expected)
    })?;
    let (order, words) = asked.read().map_err(unfit)?;
    (shared.security.users.order)(order, by).await.map_err(refused)?;
    Ok(Json(Told { text: words }))
}

/// `POST /api/v1/password`
pub async fn own(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    text: String,
) -> Result<Response, Trouble> {
    let by = whom(&visit)?;
    let Some(name) = by.name.clone() else {
        let error = "this machine has no password";
        let expected = "a user that is logged in; `ampgate user passwd NAME` changes any";
        return Err(Trouble::new(StatusCode::CONFLICT, error, expected));
    };
    let Own { before, password } = serde_json::from_str(&text).map_err(|error| {
        unreadable(&error, "JSON like {\"before\": \"…\", \"password\": \"…\"}")
    })?;
    let password = Password::chosen(&password).map_err(unfit)?;
    // Counted as a log-in, so that nobody guesses here.
    let shown = Password::shown(&before);
    let login = Login { name: name.to_string(), password: before.into_bytes(), from: visit.from };
    let users = &shared.security.users;
    (users.check)(login).await.map_err(|why| match why {
        LoginRefused::Wrong => {
            let expected = "the password that you have logged in with";
            Trouble::new(StatusCode::CONFLICT, "the old password is wrong", expected)
        }
        LoginRefused::TooOften => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            Trouble::new(status, "too many passwords were wrong", "another try in a minute")
        }
    })?;
    let order = UserOrder::Own { name: name.clone(), before: shown, password };
    (users.order)(order, by).await.map_err(refused)?;
    let told = Json(Told { text: "Your password is another one.".to_owned() });
    // Whatever the old password had opened has ended; who changed it goes on.
    let opened = cookie(&headers).zip((users.standing)(&name)).map(|(old, standing)| {
        shared.sessions.close(&old);
        shared.sessions.open(name, standing.mark)
    });
    Ok(match opened {
        None => told.into_response(),
        Some(opened) => {
            let cookie = login::set_cookie(&headers, visit.tls, &opened, LASTS_MINUTES * 60);
            ([(header::SET_COOKIE, cookie)], told).into_response()
        }
    })
}

impl Asked {
    /// The order, and what is to be said when it is done.
    fn read(self) -> Result<(UserOrder, String), String> {
        let named = |name: &str| {
            UserName::parse(name).map_err(|expected| format!("name \"{name}\": {expected}"))
        };
        let as_role = |role: &str| {
            Role::parse(role).map_err(|expected| format!("role \"{role}\": {expected}"))
        };
        Ok(match self {
            Self::Add { name, role, password } => {
                let (name, role) = (named(&name)?, as_role(&role)?);
                let words = format!("{name} is added as {role}.");
                (UserOrder::Add { name, role, password: Password::chosen(&password)? }, words)
            }
            Self::Role { name, role } => {
                let (name, role) = (named(&name)?, as_role(&role)?);
                let words = format!("{name} is {role}.");
                (UserOrder::Role { name, role }, words)
            }
            Self::Password { name, password } => {
                let name = named(&name)?;
                let words = format!("{name} has another password and has to log in again.");
                (UserOrder::Password { name, password: Password::chosen(&password)? }, words)
            }
            Self::Remove { name } => {
                let name = named(&name)?;
                let words = format!("{name} is removed.");
                (UserOrder::Remove { name }, words)
            }
        })
    }
}

/// Who orders. Where there are no users, the first is made on the box: it opens the door to other
/// machines, which nobody does from a page that asks for no name.
fn whom(visit: &Visit) -> Result<Whom, Trouble> {
    match visit.who.as_ref().filter(|who| who.name().is_some()) {
        Some(who) => Ok(Whom { name: who.user().cloned(), from: visit.from }),
        None => {
            let error = "there are no users yet";
            let expected = "a first one, made on the box: ampgate user add NAME --role admin";
            Err(Trouble::new(StatusCode::CONFLICT, error, expected))
        }
    }
}

fn unreadable(error: &serde_json::Error, expected: &str) -> Trouble {
    let error = format!("the body cannot be read: {error}");
    Trouble::new(StatusCode::BAD_REQUEST, error, expected)
}

fn unfit(why: String) -> Trouble {
    let expected = "a name, a role and a password that fit";
    Trouble::new(StatusCode::UNPROCESSABLE_ENTITY, why, expected)
}

fn refused(why: UserRefused) -> Trouble {
    match why {
        UserRefused::No(why) => {
            let expected = "an order that fits the users: GET /api/v1/users";
            Trouble::new(StatusCode::CONFLICT, why, expected)
        }
        UserRefused::Failed(why) => {
            let expected = "a data directory that can be written";
            Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, why, expected)
        }
    }
}
