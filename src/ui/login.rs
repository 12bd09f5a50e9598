//! The way in and out for people with a browser: a plain form that needs no script.
//!
//! The page shows nothing of the site. Where to go after it is a path of this page alone, so that a
//! link cannot lead somebody who logs in to another site.

use std::sync::Arc;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Extension, Form, Query, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};
use axum::response::{Html as Page, IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::model::user::LoginRefused;

use super::entry::{Visit, cookie, cookie_name};
use super::html::Html;
use super::page;
use super::sessions::LASTS_MINUTES;
use super::state::Shared;
use super::users::Login;

/// What is said to somebody whose session has ended.
const ENDED: &str = "Your session has ended. Log in, and you are back where you were.";

/// The form as a browser sends it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    name: String,
    password: String,
    next: String,
}

/// What the address of the form carries.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Link {
    next: String,
    /// A page says that its session has ended.
    ended: Option<String>,
}

/// `GET /login`
pub async fn form(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    link: Result<Query<Link>, QueryRejection>,
) -> Response {
    let Link { next, ended } = link.map(|Query(link)| link).unwrap_or_default();
    // Logging out takes the cookie along; one that opens nothing is of a session that has ended.
    let ended = (ended.is_some() || cookie(&headers).is_some()).then_some(ENDED);
    let page = match visit.who.as_ref().and_then(|who| Some((who.name()?, who.role))) {
        Some((name, role)) => inside(name, role.word()),
        None if (shared.security.users.none)() => no_users(),
        None => outside(&next, "", ended),
    };
    Page(page.into_string()).into_response()
}

/// `POST /login`
pub async fn enter(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    fields: Result<Form<Fields>, FormRejection>,
) -> Response {
    let users = &shared.security.users;
    let Fields { name, password, next } = fields.map(|Form(fields)| fields).unwrap_or_default();
    if (users.none)() {
        return (StatusCode::CONFLICT, Page(no_users().into_string())).into_response();
    }
    let login = Login { name: name.clone(), password: password.into_bytes(), from: visit.from };
    let (user, standing) = match (users.check)(login).await {
        Ok(found) => found,
        Err(why) => {
            let (status, words) = match why {
                LoginRefused::Wrong => {
                    (StatusCode::UNAUTHORIZED, "The name or the password is wrong.")
                }
                LoginRefused::TooOften => (
                    StatusCode::TOO_MANY_REQUESTS,
                    "Too many names and passwords were wrong. Try again in a minute.",
                ),
            };
            return (status, Page(outside(&next, &name, Some(words)).into_string()))
                .into_response();
        }
    };
    if let Some(old) = cookie(&headers) {
        shared.sessions.close(&old);
    }
    (users.entered)(&user, visit.from);
    let opened = shared.sessions.open(user, standing.mark);
    let lasts = LASTS_MINUTES * 60;
    let cookie = set_cookie(&headers, visit.tls, &opened, lasts);
    ([(header::SET_COOKIE, cookie)], Redirect::to(local(&next))).into_response()
}

/// `POST /logout`
pub async fn leave(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
) -> Response {
    if let Some(old) = cookie(&headers) {
        shared.sessions.close(&old);
    }
    let cookie = set_cookie(&headers, visit.tls, "", 0);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

/// The cookie of a session, as it is given to a browser.
pub fn set_cookie(headers: &HeaderMap, tls: bool, value: &str, lasts_s: u32) -> String {
    let name = cookie_name(headers);
    let secure = if tls { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lasts_s}{secure}")
}

/// Where to go, if that is on this page; else the site.
fn local(next: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let inside = next.starts_with('/') && !next.starts_with("//");
    if inside && next.bytes().all(plain) { next } else { "/" }
}

fn outside(next: &str, name: &str, fault: Option<&str>) -> Html {
    let mut out = page::bare("Log in");
    if let Some(fault) = fault {
        out.add("<p class=\"because\" role=\"alert\"><b>{}</b></p>", &[&fault]);
    }
    out.add("<form method=\"post\" action=\"/login\">", &[]);
    out.add("<input type=\"hidden\" name=\"next\" value=\"{}\">", &[&local(next)]);
    out.add(
        "<div class=\"ask\"><label for=\"name\">Name</label><div class=\"both\">\
         <input id=\"name\" name=\"name\" value=\"{}\" autocomplete=\"username\" \
         autocapitalize=\"none\" required autofocus></div></div>",
        &[&name],
    );
    out.add(
        "<div class=\"ask\"><label for=\"password\">Password</label><div class=\"both\">\
         <input id=\"password\" name=\"password\" type=\"password\" \
         autocomplete=\"current-password\" required></div></div>\
         <p class=\"buttons\"><button class=\"main\">Log in</button></p></form>",
        &[],
    );
    out.add(
        "<p class=\"soft\">Admins make users, and give another password to whoever has forgotten \
         theirs. Where no admin can log in, it is done on the box: <code>ampgate user passwd \
         NAME</code>.</p>",
        &[],
    );
    page::bare_end(out)
}

fn inside(name: &str, role: &str) -> Html {
    let mut out = page::bare("Logged in");
    out.add("<p>You are <b>{}</b>, with the role <b>{}</b>.</p>", &[&name, &role]);
    out.add(
        "<form method=\"post\" action=\"/logout\">\
         <p class=\"buttons\"><button class=\"main\">Log out</button></p></form>\
         <p><a href=\"/\">To the site</a> · <a href=\"/account\">Your account</a></p>",
        &[],
    );
    page::bare_end(out)
}

fn no_users() -> Html {
    let mut out = page::bare("No users");
    out.add(
        "<p>There are no users: on the box itself the page is open to everybody, and to nobody \
         elsewhere. With the first user everybody has to log in:</p>\
         <p><code>ampgate user add NAME --role admin</code></p>\
         <p><a href=\"/\">To the site</a></p>",
        &[],
    );
    page::bare_end(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_away_after_logging_in() {
        for fine in ["/", "/evse/EVSE-01?x=1", "/uploads"] {
            assert_eq!(local(fine), fine);
        }
        for away in ["", "https://a.example", "//a.example", "/\\a.example", "/a\r\nb", "x"] {
            assert_eq!(local(away), "/", "{away:?}");
        }
    }
}
