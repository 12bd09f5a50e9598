//! Floor 5: what people and scripts see of the site: the live page and the JSON API.
//!
//! Reads only [`View`](crate::controller::view::View)s and the past, writes only orders. It decides
//! nothing, keeps nothing and cannot hold up the controller.
//!
//! Reading order: [`html`] (nothing unescaped) → [`words`] → [`roles`] → [`badge`] (who looks, and
//! what is offered to them) → [`bar`] → [`explain`] (the rows
//! behind each limit) → [`flow`] → [`diagram`] → [`table`] → [`links`] (to partners) → [`plan`]
//! → [`forecast`] → [`updates`] → [`page`] → [`chart`] →
//! [`detail`] (the page of one EVSE) → [`trouble`] → [`listen`] → [`history`] → [`live`] → [`pass`]
//! → [`users`] → [`sessions`] → [`state`] → [`door`] (what may come in) → [`entry`]
//! (who asks) → [`order`] → [`health`] →
//! [`exposition`] → [`metrics`] → [`remote`] (orders to chargers) → [`api`] → [`learned`] →
//! [`firmware`] → [`update_api`] → [`uploads`] → [`partners`] → [`wish`] → [`driver`] (the page for
//! a phone) → [`login`] → [`user_api`] → [`user_page`] → [`qr`] → [`visit`]. The
//! routes are here: one table names each with what serves it, and the description of the API is
//! compared with it.

pub mod html;
pub mod words;

pub mod roles;

pub mod badge;

pub mod bar;
pub mod explain;
pub mod flow;

pub mod diagram;
pub mod forecast;
pub mod links;
pub mod plan;
pub mod table;
pub mod updates;

pub mod page;

pub mod chart;
pub mod detail;

pub mod trouble;

pub mod listen;

pub mod history;

pub mod live;
pub mod pass;
pub mod security;
pub mod sessions;
pub mod state;
pub mod users;

pub mod door;
pub mod entry;

pub mod order;

pub mod exposition;
pub mod health;
pub mod metrics;
pub mod pending;

pub mod api;
pub mod firmware;
pub mod learned;
pub mod partners;
pub mod remote;
pub mod update_api;
pub mod uploads;

pub mod wish;

pub mod driver;
pub mod login;
pub mod qr;
pub mod user_api;
pub mod user_page;
pub mod visit;

#[cfg(test)]
pub mod sample;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::serve::Listener;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::controller::view::{EvseView, View};
use crate::ground::ids::EvseId;

use api::Named;
use detail::Past;
use door::{Door, Hall};
use entry::{Place, Visit};
use history::{COUNT_MAX, Page};
use listen::{Bounded, Peer};
use state::{Shared, UiState};
use trouble::Trouble;
use visit::Missing;

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum UiError {
    /// The address is open to others, and nothing is encrypted there.
    #[error(
        "without TLS the web page may listen on loopback only (127.0.0.1 or [::1]), not on {0}: \
         see [web] in the configuration"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("the web page cannot listen on {address}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// Listens on `address`, which is on loopback, and serves page and API until the handle is aborted.
/// Also tells the address that was bound, for port 0.
pub async fn serve(
    state: UiState,
    address: SocketAddr,
) -> Result<(JoinHandle<()>, SocketAddr), UiError> {
    let (listener, bound) = bind(address).await?;
    let shared = Arc::new(Shared::new(state));
    let handle = tokio::spawn(async move {
        tokio::select! {
            () = attend(shared.clone(), listener, Door::local()) => {}
            () = keep(shared) => {}
        }
    });
    Ok((handle, bound))
}

/// Listens on loopback; also tells the address that was bound.
pub async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), UiError> {
    if !address.ip().is_loopback() {
        return Err(UiError::NotLoopback(address));
    }
    let unbound = |source| UiError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(unbound)?;
    let bound = listener.local_addr().map_err(unbound)?;
    Ok((listener, bound))
}

/// Serves page and API at a door, for ever.
pub async fn attend<L: Listener<Addr = SocketAddr>>(shared: Arc<Shared>, listener: L, door: Door) {
    let listener =
        Bounded::new(listener, shared.security.crowded.clone(), shared.security.moment.clone());
    let service = router(Hall { shared, door }).into_make_service_with_connect_info::<Peer>();
    if let Err(error) = axum::serve(listener, service).await {
        log::error!("the web page has ended: {error}");
    }
}

/// What page and API need besides their doors, for ever: time that passes.
pub async fn keep(shared: Arc<Shared>) {
    let minutes = async {
        let mut minutes = tokio::time::interval(std::time::Duration::from_secs(60));
        minutes.tick().await;
        loop {
            minutes.tick().await;
            shared.passes.minute();
            shared.sessions.minute();
        }
    };
    tokio::join!(shared.watch_age(), minutes);
}

fn router(hall: Hall) -> Router {
    let mut router = Router::new();
    for (path, method) in routes() {
        let place = Place { hall: hall.clone(), path };
        router = router.route(path, method.layer(from_fn_with_state(place, entry::check)));
    }
    router
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(hall.clone(), door::guard))
        .with_state(hall.shared)
}

/// Every path with what serves it.
fn routes() -> Vec<(&'static str, MethodRouter<Arc<Shared>>)> {
    vec![
        ("/", get(site_page)),
        ("/live", get(site_live)),
        ("/evse/{id}", get(evse_page)),
        ("/uploads", get(uploads::page)),
        ("/live/evse/{id}", get(evse_live)),
        ("/account", get(user_page::account)),
        ("/users", get(user_page::users)),
        ("/live/users", get(user_page::live)),
        ("/evse/{id}/qr", get(visit::poster)),
        ("/d/{id}", get(visit::open).post(visit::send)),
        ("/login", get(login::form).post(login::enter)),
        ("/logout", post(login::leave)),
        ("/assets/page.css", get(style)),
        ("/assets/page.js", get(script)),
        ("/assets/mark.svg", get(mark)),
        ("/healthz", get(api::healthz)),
        ("/metrics", get(api::metrics)),
        ("/api/v1/openapi.json", get(api::openapi)),
        ("/api/v1/site", get(api::site)),
        ("/api/v1/live", get(api::live)),
        ("/api/v1/evses", get(api::evses)),
        ("/api/v1/evses/{id}", get(api::evse)),
        ("/api/v1/evses/{id}/explain", get(api::explained)),
        ("/api/v1/evses/{id}/setpoints", get(api::setpoints)),
        ("/api/v1/evses/{id}/readings", get(api::readings)),
        ("/api/v1/evses/{id}/meter-now", post(api::meter_now)),
        ("/api/v1/evses/{id}/preference", get(wish::read).put(wish::put).delete(wish::delete)),
        ("/api/v1/sessions", get(api::sessions)),
        ("/api/v1/events", get(api::events)),
        ("/api/v1/meters", get(api::meters)),
        ("/api/v1/security", get(pending::security).post(pending::order)),
        ("/api/v1/partners", get(partners::list).post(partners::wish)),
        ("/api/v1/plan", get(api::plan)),
        ("/api/v1/firmware", get(firmware::list).post(firmware::begin)),
        ("/api/v1/firmware/{id}/cancel", post(firmware::cancel)),
        ("/api/v1/update", get(update_api::read).post(update_api::order)),
        ("/api/v1/uploads", get(uploads::list)),
        ("/api/v1/uploads/{name}", get(uploads::read).delete(uploads::remove)),
        ("/api/v1/users", get(user_api::list).post(user_api::order)),
        ("/api/v1/password", post(user_api::own)),
        ("/api/v1/remote", post(remote::remote)),
        ("/api/v1/forget", post(learned::forget)),
        ("/api/v1/forecasts", get(learned::forecasts)),
        ("/api/v1/reservations", get(remote::reservations).post(remote::reserve)),
        ("/api/v1/evses/{id}/drill", post(remote::drill)),
        ("/api/v1/reservations/{id}/cancel", post(remote::give_up)),
    ]
}

async fn site_page(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
) -> Response {
    let update = (shared.security.updates.look)();
    let (partners, badge) = (shared.partner_states(), visit.badge());
    let page = page::site(&shared.view(), &partners, &update, &badge);
    Html(page.into_string()).into_response()
}

async fn site_live(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
) -> Response {
    let (partners, updates) = (shared.partner_states.clone(), shared.security.updates.clone());
    let badge = visit.badge();
    shared.live.parts(visit.badge(), move |view| {
        page::parts(view, &partners.borrow(), &(updates.look)(), &badge)
    })
}

async fn evse_page(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    id: Named,
) -> Result<Response, Missing> {
    let view = shared.view();
    let evse = visit::known(&view, id)?;
    let past = last_day(&shared, &view, &evse).await;
    Ok(Html(detail::evse(&view, &evse, &past, &visit.badge()).into_string()).into_response())
}

async fn last_day(shared: &Shared, view: &View, evse: &EvseView) -> Result<Past, String> {
    let (id, at) = (EvseId::new(&evse.id), view.at);
    let history = shared.history.clone();
    let read = move || {
        let page = Page { skip: 0, count: COUNT_MAX };
        let setpoints = (history.setpoints)(&id, page)?;
        let readings = (history.readings)(&id, page)?;
        Ok(Past::new(at, setpoints, readings))
    };
    let failed = |_| Err("the reader has failed".to_owned());
    tokio::task::spawn_blocking(read).await.unwrap_or_else(failed)
}

async fn evse_live(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    id: Named,
) -> Result<Response, Trouble> {
    let id = api::known(&shared.view(), id)?.id;
    let badge = visit.badge();
    Ok(shared.live.parts(visit.badge(), move |view| detail::parts(view, &id, &badge)))
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], page::STYLE).into_response()
}

async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], page::SCRIPT).into_response()
}

async fn mark() -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml")], page::MARK).into_response()
}

async fn nowhere(request: Request) -> Response {
    let (status, error) = (StatusCode::NOT_FOUND, "there is nothing at this address");
    if entry::is_person(&request) {
        return (status, Html(page::missing("is nothing").into_string())).into_response();
    }
    Trouble::new(status, error, "one of the paths in /api/v1/openapi.json").into_response()
}

async fn not_so() -> Trouble {
    let expected = "GET, and POST, PUT or DELETE only for orders: see /api/v1/openapi.json";
    Trouble::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not take that", expected)
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;
    use crate::model::update::UpdateView;
    use crate::model::upload::UploadedFile;
    use crate::model::user::{Role, UserLine, UserName};

    use badge::Offer;

    /// What a browser asks for to show a page; not for scripts and so not described.
    const OF_THE_PAGE: [&str; 15] = [
        "/account",
        "/users",
        "/live/users",
        "/",
        "/uploads",
        "/live",
        "/evse/{id}",
        "/evse/{id}/qr",
        "/d/{id}",
        "/login",
        "/logout",
        "/live/evse/{id}",
        "/assets/page.css",
        "/assets/page.js",
        "/assets/mark.svg",
    ];

    #[test]
    fn the_description_names_exactly_the_routes() {
        let document: serde_json::Value = serde_json::from_str(api::OPENAPI).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let mut described: Vec<&str> = paths.keys().map(String::as_str).collect();
        described.extend(OF_THE_PAGE);
        described.sort_unstable();
        let mut served: Vec<&str> = routes().into_iter().map(|(path, _)| path).collect();
        served.sort_unstable();
        assert_eq!(described, served);
    }

    /// The route that serves an address.
    fn route(address: &str) -> &'static str {
        let path = address.split(['?', '#']).next().unwrap_or_default();
        let fits = |route: &str| {
            let (one, other) = (route.split('/'), path.split('/'));
            one.clone().count() == other.clone().count()
                && one.zip(other).all(|(one, other)| one.starts_with('{') || one == other)
        };
        let mut all = routes().into_iter().map(|(route, _)| route);
        all.find(|route| fits(route)).unwrap_or_else(|| panic!("{address} leads nowhere"))
    }

    /// Everything that a page offers, as method and address.
    fn offered(page: &str) -> Vec<(Method, String)> {
        let kinds = [(" href=\"", Method::GET), (" data-live=\"", Method::GET)];
        let orders = [(" data-post=\"", Method::POST), (" action=\"", Method::POST)];
        let mut found = Vec::new();
        for (mark, method) in kinds.into_iter().chain(orders) {
            for rest in page.split(mark).skip(1) {
                let address = rest.split('"').next().unwrap_or_default();
                if address.starts_with('/') {
                    found.push((method.clone(), address.to_owned()));
                }
            }
        }
        found
    }

    fn pages(badge: &badge::Badge) -> Vec<String> {
        let orders = ["install", "force", "confirm", "rollback", "cancel"].map(str::to_owned);
        let update = UpdateView { enabled: true, orders: orders.to_vec(), ..UpdateView::default() };
        let upload = UploadedFile { name: "log.txt".to_owned(), bytes: 1, received: None };
        let line = |name: &str, fixed| UserLine {
            name: UserName::parse(name).expect("a name"),
            role: Role::Admin,
            fixed,
        };
        let users = [line("alice", Some("why".to_owned())), line("bob", None)];
        let mut pages = vec![
            uploads::drawn(&sample::busy(), &[upload], badge),
            user_page::own(&sample::busy(), badge),
        ];
        if badge.may(&Offer { method: "GET", route: "/users", of: "", title: "" }) {
            pages.push(user_page::everybody(&sample::busy(), &users, badge));
        }
        for view in [sample::busy(), sample::planned(), sample::degraded(), sample::empty()] {
            pages.push(page::site(&view, &[], &update, badge));
            for evse in &view.evses {
                let past = Ok(Past::new(view.at, Vec::new(), Vec::new()));
                pages.push(detail::evse(&view, evse, &past, badge));
            }
        }
        pages.into_iter().map(html::Html::into_string).collect()
    }

    #[test]
    fn no_page_offers_what_the_role_may_not() {
        let mut counts = Vec::new();
        for role in Role::ALL {
            let badge = badge::Badge::Known { name: "bob".to_owned(), role, session: true };
            let mut orders = std::collections::BTreeSet::new();
            for page in pages(&badge) {
                for (method, address) in offered(&page) {
                    let route = route(&address);
                    let may = match roles::need(&method, route) {
                        roles::Need::Nothing => true,
                        roles::Need::Role(need) => need <= role,
                    };
                    assert!(may, "{role} is offered {method} {address}");
                    if method == Method::POST {
                        orders.insert(route);
                    }
                }
                assert!(page.contains(&format!("<span>{role}</span>")), "who looks is shown");
                assert!(page.contains(">Log out</button>"), "and the way out");
            }
            counts.push(orders.len());
        }
        // A viewer may log out and change the own password; each role more is offered more.
        assert_eq!(counts, [2, 3, 5]);
    }

    #[test]
    fn every_route_has_its_role_and_the_description_says_it() {
        let table = roles::table();
        let served: Vec<&str> = routes().into_iter().map(|(path, _)| path).collect();
        for path in &served {
            assert!(table.iter().any(|(_, known, _)| known == path), "{path} is not in roles.rs");
        }
        for (method, path, _) in table {
            assert!(served.contains(path), "{method} {path} is in roles.rs and served nowhere");
        }
        let document: serde_json::Value = serde_json::from_str(api::OPENAPI).expect("JSON");
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                if method == "parameters" {
                    continue;
                }
                let method = method.to_uppercase();
                let row = table.iter().find(|(verb, known, _)| *verb == method && known == path);
                let (_, _, need) =
                    row.unwrap_or_else(|| panic!("{method} {path}: not in roles.rs"));
                let told = match need {
                    roles::Need::Nothing => "nobody",
                    roles::Need::Role(role) => role.word(),
                };
                assert_eq!(operation["x-role"], told, "{method} {path}");
            }
        }
    }
}
