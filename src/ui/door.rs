//! What may come in at all: requests that mean this box, and nothing that another page slips in.
//!
//! One door is on loopback, but a browser on this machine also shows pages of strangers. A
//! stranger's page can point a name of its own at 127.0.0.1 (DNS rebinding), so the Host must be
//! loopback by name or number; and it can post forms, so an order must come from our own page or
//! from no page at all. The door for other machines is inside TLS; there the Host may also be any
//! address, which nobody can rebind, or a name of this box. Who asks is for
//! [`entry`](super::entry).
//!
//! The pages of drivers (`/d/…`, with `/assets/…`) may stand behind a reverse proxy: for them alone
//! the configured address counts like loopback.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::model::drivers::PageUrl;

use super::state::Shared;
use super::trouble::Trouble;

/// The longest order is a signed firmware update with its certificate (security whitepaper: 5500
/// and 800 characters); what is longer than this is refused unread.
const BODY_BYTES_MAX: u64 = 16 * 1024;

/// Sent with every answer. No inline script or style, nothing from elsewhere, no frame around it.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Forms are sent with their origin, which "no-referrer" would hide.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// On pages that are forms and need no script.
const OF_FORMS: [(HeaderName, &str); 1] = [(
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; style-src 'self'; img-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
)];

/// Whether a name of a host is one of this box.
pub type Knows = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A door, through which requests come.
#[derive(Clone)]
pub struct Door {
    /// It is inside TLS and for other machines.
    pub tls: bool,
    /// Names under which the box is reached there, beside its addresses.
    pub knows: Knows,
}

impl Door {
    /// The one for this machine.
    pub fn local() -> Self {
        Self { tls: false, knows: Arc::new(|_| false) }
    }

    /// The one for other machines.
    pub fn outer(knows: Knows) -> Self {
        Self { tls: true, knows }
    }

    fn is_named(&self, authority: &str) -> bool {
        let host = host_of(authority);
        let number = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_address = number.unwrap_or(host).parse::<IpAddr>().is_ok();
        is_loopback(authority)
            || (self.tls && (is_address || (self.knows)(&host.to_ascii_lowercase())))
    }

    fn origin(&self, host: &str) -> String {
        format!("{}://{host}", if self.tls { "https" } else { "http" })
    }
}

/// What all routes of a door share.
#[derive(Clone)]
pub struct Hall {
    /// What the handlers share.
    pub shared: Arc<Shared>,
    /// Where requests come in.
    pub door: Door,
}

/// Lets a request in or answers with the reason, and puts the security headers on every answer.
pub async fn guard(State(hall): State<Hall>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let form = is_of_drivers(path) || ["/login", "/logout"].contains(&path);
    let mut response = match admit(&request, &hall.door, hall.shared.page_url.as_ref()) {
        Ok(()) => next.run(request).await,
        Err(trouble) => trouble.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in OF_FORMS.into_iter().filter(|_| form) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn admit(request: &Request, door: &Door, page: Option<&PageUrl>) -> Result<(), Trouble> {
    let headers = request.headers();
    let host = text(headers, &header::HOST).unwrap_or_default();
    let named = request.uri().authority().map(|authority| authority.as_str());
    let path = request.uri().path();
    let shared = is_of_drivers(path) || path.starts_with("/assets/");
    let page = page.filter(|_| shared);
    let is_ours = |host: &str| {
        door.is_named(host) || page.is_some_and(|page| page.authority().eq_ignore_ascii_case(host))
    };
    if !is_ours(host) || named.is_some_and(|named| !is_ours(named)) {
        return Err(misdirected(door));
    }
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let origin = text(headers, &header::ORIGIN);
    let site = text(headers, &HeaderName::from_static("sec-fetch-site"));
    let own = |origin: &str| {
        origin == door.origin(host) || page.is_some_and(|page| origin == page.origin())
    };
    let same_origin = origin.is_none_or(own);
    let same_site = site.is_none_or(|site| site == "same-origin" || site == "none");
    if !same_origin || !same_site {
        return Err(Trouble::new(
            StatusCode::FORBIDDEN,
            "an order from a page of another origin",
            "orders from Ampgate's own page or from a program without an Origin",
        ));
    }
    let length = text(headers, &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    if length.is_some_and(|length: u64| length > BODY_BYTES_MAX) {
        let expected = format!("no body, or at most {BODY_BYTES_MAX} bytes");
        return Err(Trouble::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long", expected));
    }
    Ok(())
}

fn misdirected(door: &Door) -> Trouble {
    let (error, expected) = match door.tls {
        false => (
            "this page is only for the machine it runs on",
            "a Host of 127.0.0.1, [::1] or localhost",
        ),
        true => (
            "this is no name of this box",
            "an address, a name in its certificate, or one of web.names in the configuration",
        ),
    };
    Trouble::new(StatusCode::MISDIRECTED_REQUEST, error, expected)
}

fn is_of_drivers(path: &str) -> bool {
    path.starts_with("/d/")
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // A header that is there but is no text must not pass for one that is absent.
    headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"))
}

/// An authority without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether an authority (`host` or `host:port`) names this machine.
fn is_loopback(authority: &str) -> bool {
    let host = host_of(authority);
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let number = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(number) => number,
        None if host.contains(':') => return false,
        None => host,
    };
    number.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn admitted(method: Method, headers: &[(&str, &str)]) -> Option<StatusCode> {
        let page = PageUrl::parse("https://charge.example").expect("an address");
        asked(method, "/api/v1/site", headers, Some(&page))
    }

    fn asked(
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        page: Option<&PageUrl>,
    ) -> Option<StatusCode> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a valid request");
        admit(&request, &Door::local(), page).err().map(|trouble| trouble.into_response().status())
    }

    #[test]
    fn only_loopback_is_a_host() {
        for host in ["localhost:8080", "LocalHost", "127.0.0.1:80", "127.8.8.8", "[::1]:8080"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "evil.example", "127.0.0.1.evil.example:80", "::1", "[::1", "10.0.0.1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn the_configured_address_opens_the_pages_of_drivers_alone() {
        let page = PageUrl::parse("https://charge.example").expect("an address");
        let (host, origin) = (("host", "charge.example"), ("origin", "https://charge.example"));
        let ask =
            |method, path, headers: &[(&str, &str)]| asked(method, path, headers, Some(&page));
        assert_eq!(ask(Method::GET, "/d/E1", &[host]), None);
        assert_eq!(ask(Method::GET, "/assets/page.css", &[host]), None);
        assert_eq!(ask(Method::POST, "/d/E1", &[host, origin]), None);
        // A proxy that names the box itself sends the origin of the page all the same.
        assert_eq!(ask(Method::POST, "/d/E1", &[("host", "127.0.0.1:80"), origin]), None);
        let misdirected = Some(StatusCode::MISDIRECTED_REQUEST);
        for path in ["/", "/api/v1/site", "/evse/E1", "/evse/E1/qr", "/dx", "/metrics"] {
            assert_eq!(ask(Method::GET, path, &[host]), misdirected, "{path}");
        }
        assert_eq!(asked(Method::GET, "/d/E1", &[host], None), misdirected);
        let elsewhere = ("origin", "https://a.example");
        assert_eq!(ask(Method::POST, "/d/E1", &[host, elsewhere]), Some(StatusCode::FORBIDDEN));
        let box_itself = ("host", "127.0.0.1:80");
        let order = ask(Method::PUT, "/api/v1/evses/E1/preference", &[box_itself, origin]);
        assert_eq!(order, Some(StatusCode::FORBIDDEN));
    }

    #[test]
    fn beyond_this_machine_addresses_and_names_of_the_box_are_hosts() {
        let door = Door::outer(Arc::new(|name| name == "box.example"));
        for host in ["box.example", "BOX.example:8443", "10.1.2.3:8443", "[fd00::1]:8443"] {
            assert!(door.is_named(host), "{host}");
            assert!(!Door::local().is_named(host), "{host}");
        }
        for host in ["", "a.example", "box.example.a.example", "10.1.2.3.a.example"] {
            assert!(!door.is_named(host), "{host}");
        }
        let ask = |origin: &str| {
            let request = Request::builder().method(Method::POST).uri("/api/v1/update");
            let request = request.header("host", "box.example:8443").header("origin", origin);
            let request = request.body(Body::empty()).expect("a valid request");
            admit(&request, &door, None).is_ok()
        };
        assert!(ask("https://box.example:8443"));
        assert!(!ask("http://box.example:8443") && !ask("https://box.example"));
    }

    #[test]
    fn a_rebound_name_and_a_foreign_post_stay_out() {
        let host = ("host", "127.0.0.1:8080");
        assert_eq!(admitted(Method::GET, &[host]), None);
        assert_eq!(
            admitted(Method::GET, &[("host", "a.example")]),
            Some(StatusCode::MISDIRECTED_REQUEST)
        );
        assert_eq!(admitted(Method::GET, &[]), Some(StatusCode::MISDIRECTED_REQUEST));
        assert_eq!(admitted(Method::POST, &[host]), None);
        assert_eq!(admitted(Method::POST, &[host, ("origin", "http://127.0.0.1:8080")]), None);
        for foreign in
            [("origin", "http://a.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
        {
            assert_eq!(admitted(Method::POST, &[host, foreign]), Some(StatusCode::FORBIDDEN));
        }
        let long = ("content-length", "16385");
        assert_eq!(admitted(Method::POST, &[host, long]), Some(StatusCode::PAYLOAD_TOO_LARGE));
    }
}
