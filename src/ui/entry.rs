//! Who asks, and whether they may: stands before every route.
//!
//! ```text
//! no users, on loopback ─▶ everybody may everything
//! Authorization: Bearer (token of this machine, on loopback) ─▶ admin
//! Authorization: Basic (a user's name and password) ─▶ the user's role
//! cookie of a session ─▶ the user's role, while the user stays and the password is the same
//! else ─▶ 401, or the login page where a person looks with a browser
//! ```
//! A stream that lives on is cut within seconds when whoever opened it may no longer look.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use data_encoding::BASE64;
use futures_util::StreamExt;

use crate::model::user::{LoginRefused, Role, UserName};

use super::badge::Badge;
use super::door::{Door, Hall};
use super::html::segment;
use super::listen::Peer;
use super::page;
use super::pass;
use super::roles::{self, Need};
use super::state::Shared;
use super::trouble::Trouble;
use super::users::Login;

/// Whether a stream may live on is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Seconds after which guesses are looked at again.
const AGAIN_AFTER: HeaderValue = HeaderValue::from_static("60");

/// Whoever asks, as a handler sees them.
#[derive(Clone)]
pub struct Visit {
    /// From where.
    pub from: IpAddr,
    /// The connection is inside TLS.
    pub tls: bool,
    /// Who it is; none where nobody was asked for.
    pub who: Option<Who>,
}

impl Visit {
    /// Who it is, for pages.
    pub fn badge(&self) -> Badge {
        let Some(who) = &self.who else { return Badge::Stranger };
        match who.name() {
            None => Badge::NoUsers,
            Some(name) => Badge::Known {
                name: name.to_owned(),
                role: who.role,
                session: matches!(who.by, By::Session(..)),
            },
        }
    }
}

/// Somebody who was recognised.
#[derive(Clone)]
pub struct Who {
    /// What they may do.
    pub role: Role,
    by: By,
}

#[derive(Clone)]
enum By {
    /// There are no users.
    NoUsers,
    /// The token of this machine.
    Token,
    /// Name and password; the mark tells passwords apart.
    Password(UserName, u64),
    /// A session by its cookie.
    Session(UserName, String),
}

impl Who {
    /// What people call them; none where there are no users.
    pub fn name(&self) -> Option<&str> {
        match &self.by {
            By::NoUsers => None,
            By::Token => Some("this machine"),
            By::Password(name, _) | By::Session(name, _) => Some(name.as_str()),
        }
    }

    /// The user; none where it is this machine, or nobody was asked for.
    pub fn user(&self) -> Option<&UserName> {
        match &self.by {
            By::NoUsers | By::Token => None,
            By::Password(name, _) | By::Session(name, _) => Some(name),
        }
    }
}

/// Why nobody was recognised.
enum Unknown {
    Nobody,
    Wrong,
    TooOften,
    NoUsers,
}

/// A route with what stands around it.
#[derive(Clone)]
pub struct Place {
    /// What all routes share.
    pub hall: Hall,
    /// As the route has it.
    pub path: &'static str,
}

/// Lets a request through to its route, or answers why not.
pub async fn check(State(place): State<Place>, mut request: Request, next: Next) -> Response {
    let Place { hall: Hall { shared, door }, path } = place;
    let from = request.extensions().get::<ConnectInfo<Peer>>();
    // Without an address it came over no socket, which only a test does.
    let from = from.map_or(IpAddr::from([127, 0, 0, 1]), |ConnectInfo(Peer(from))| from.ip());
    let mut visit = Visit { from, tls: door.tls, who: None };
    let need = match roles::need(request.method(), path) {
        Need::Nothing => {
            visit.who = by_cookie(&shared, request.headers());
            request.extensions_mut().insert(visit);
            return next.run(request).await;
        }
        Need::Role(need) => need,
    };
    let who = match recognise(&shared, &door, from, request.headers()).await {
        Ok(who) => who,
        Err(unknown) => return turned_away(&request, unknown),
    };
    if who.role < need {
        visit.who = Some(who.clone());
        return match is_person(&request) {
            true => {
                (StatusCode::FORBIDDEN, Html(page::forbidden(need, &visit.badge()).into_string()))
                    .into_response()
            }
            false => forbidden(&who, need).into_response(),
        };
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if let (false, Some(name)) = (reads, who.name()) {
        log::info!("{name} ({}): {} {}", who.role, request.method(), request.uri().path());
    }
    visit.who = Some(who.clone());
    request.extensions_mut().insert(visit);
    let response = next.run(request).await;
    match path.starts_with("/live") || path == "/api/v1/live" {
        true => while_the_same(shared, who, response),
        false => response,
    }
}

/// That it takes another role.
pub fn forbidden(who: &Who, need: Role) -> Trouble {
    let error = format!("{} is {}", who.name().unwrap_or("everybody"), who.role);
    Trouble::new(StatusCode::FORBIDDEN, error, format!("somebody with the role {need}"))
}

async fn recognise(
    shared: &Shared,
    door: &Door,
    from: IpAddr,
    headers: &HeaderMap,
) -> Result<Who, Unknown> {
    let users = &shared.security.users;
    if (users.none)() {
        // The door to other machines stays shut for everybody.
        let everybody = Who { role: Role::Admin, by: By::NoUsers };
        return if door.tls { Err(Unknown::NoUsers) } else { Ok(everybody) };
    }
    let Some(shown) = headers.get(header::AUTHORIZATION) else {
        return by_cookie(shared, headers).ok_or(Unknown::Nobody);
    };
    let (scheme, rest) =
        shown.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        let fits = |token: &Arc<str>| pass::same(rest.trim(), token);
        let here = !door.tls && from.to_canonical().is_loopback();
        let right = here && users.token.as_ref().is_some_and(fits);
        let who = Who { role: Role::Admin, by: By::Token };
        return if right { Ok(who) } else { Err(Unknown::Wrong) };
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Unknown::Nobody);
    }
    let Some((name, password)) = basic(rest) else { return Err(Unknown::Wrong) };
    match (users.check)(Login { name, password, from }).await {
        Ok((name, standing)) => {
            Ok(Who { role: standing.role, by: By::Password(name, standing.mark) })
        }
        Err(LoginRefused::Wrong) => Err(Unknown::Wrong),
        Err(LoginRefused::TooOften) => Err(Unknown::TooOften),
    }
}

/// Name and password behind `Basic`.
fn basic(text: &str) -> Option<(String, Vec<u8>)> {
    let login = BASE64.decode(text.trim().as_bytes()).ok()?;
    let colon = login.iter().position(|byte| *byte == b':')?;
    let name = std::str::from_utf8(&login[..colon]).ok()?.to_owned();
    Some((name, login[colon + 1..].to_vec()))
}

fn by_cookie(shared: &Shared, headers: &HeaderMap) -> Option<Who> {
    let cookie = cookie(headers)?;
    let (name, mark) = shared.sessions.look(&cookie)?;
    match (shared.security.users.standing)(&name) {
        Some(standing) if standing.mark == mark => {
            Some(Who { role: standing.role, by: By::Session(name, cookie) })
        }
        _ => {
            shared.sessions.close(&cookie);
            None
        }
    }
}

/// Name of the cookie. Browsers keep the cookies of all ports of a host together, and several boxes
/// may be reached through ports of one machine.
pub fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    format!("ampgate-{}", if digits { port } else { "session" })
}

/// The cookie of a session, if the browser holds one.
pub fn cookie(headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(headers);
    let all = headers.get_all(header::COOKIE).iter().filter_map(|all| all.to_str().ok());
    let mut all = all.flat_map(|all| all.split(';')).filter_map(|one| one.trim().split_once('='));
    all.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// Whether a person looks with a browser, who is answered with a page.
pub fn is_person(request: &Request) -> bool {
    let accepts = request.headers().get(header::ACCEPT);
    let accepts = accepts.and_then(|accepts| accepts.to_str().ok());
    *request.method() == Method::GET
        && accepts.is_some_and(|accepts| accepts.contains("text/html"))
        && !request.uri().path().starts_with("/api/")
}

fn turned_away(request: &Request, unknown: Unknown) -> Response {
    const LOG_IN: &str = "a user's name and password (HTTP Basic, or the page at /login); on the \
                          box itself run the command as root or as the daemon's user, or with \
                          --user NAME";
    let status = StatusCode::UNAUTHORIZED;
    let trouble = match unknown {
        Unknown::NoUsers => {
            let expected = "a first user, made on the box: ampgate user add NAME --role admin";
            let error = "there is no user yet, so nobody may come in from elsewhere";
            return Trouble::new(StatusCode::FORBIDDEN, error, expected).into_response();
        }
        Unknown::TooOften => {
            let error = "too many wrong names and passwords";
            let expected = "another try in a minute";
            let status = StatusCode::TOO_MANY_REQUESTS;
            let mut response = Trouble::new(status, error, expected).into_response();
            response.headers_mut().insert(header::RETRY_AFTER, AGAIN_AFTER);
            return response;
        }
        Unknown::Nobody => Trouble::new(status, "nobody is logged in", LOG_IN),
        Unknown::Wrong => Trouble::new(status, "name or password is wrong", LOG_IN),
    };
    let path = request.uri().path_and_query().map_or("/", |both| both.as_str());
    if is_person(request) {
        return Redirect::to(&format!("/login?next={}", segment(path))).into_response();
    }
    let mut response = trouble.into_response();
    // A browser would ask with a window of its own, over the page that is logged out.
    if !request.headers().contains_key("sec-fetch-mode") {
        let basic = HeaderValue::from_static("Basic realm=\"Ampgate\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
    }
    response
}

/// A stream that ends when whoever looks may no longer, or has another role: a page is loaded anew
/// then, and shows what fits.
fn while_the_same(shared: Arc<Shared>, who: Who, response: Response) -> Response {
    let (head, body) = response.into_parts();
    let ended = async move {
        while still(&shared, &who) == Some(who.role) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let stream = body.into_data_stream().take_until(Box::pin(ended));
    Response::from_parts(head, Body::from_stream(stream))
}

/// The role that somebody has at this moment, if they may still be here.
fn still(shared: &Shared, who: &Who) -> Option<Role> {
    let users = &shared.security.users;
    let marked = |name: &UserName, mark: u64| {
        (users.standing)(name).filter(|standing| standing.mark == mark).map(|known| known.role)
    };
    match &who.by {
        By::NoUsers => (users.none)().then_some(Role::Admin),
        By::Token => Some(Role::Admin),
        By::Password(name, mark) => marked(name, *mark),
        By::Session(_, cookie) => {
            let (name, mark) = shared.sessions.look(cookie)?;
            marked(&name, mark)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_basic_is_a_name_and_a_password_that_may_have_colons() {
        let encoded = BASE64.encode("alice:a:b\u{e9}".as_bytes());
        let read = basic(&encoded).expect("name and password");
        assert_eq!(read, ("alice".to_owned(), "a:b\u{e9}".as_bytes().to_vec()));
        for text in ["", "!!", &BASE64.encode(b"alice"), &BASE64.encode(b"\xff:x")] {
            assert!(basic(text).is_none(), "{text}");
        }
    }

    #[test]
    fn each_port_has_a_cookie_of_its_own() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost:8081"));
        let both = HeaderValue::from_static("a=1; ampgate-8080=x; ampgate-8081=y");
        headers.insert(header::COOKIE, both);
        assert_eq!(cookie(&headers).as_deref(), Some("y"));
        headers.insert(header::HOST, HeaderValue::from_static("[::1]"));
        assert_eq!(cookie_name(&headers), "ampgate-session");
        assert_eq!(cookie(&headers), None);
    }
}
