//! HTTP to and from partners: bytes in, bytes out. The listener takes requests, inside TLS where
//! there is a certificate, and waits for the engine; a client makes calls on blocking threads. No
//! redirect is followed, bodies and the pace of requests are bounded, and no header is logged but
//! the request's id: the others hold tokens.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use ureq::Agent;

use crate::ocpi::http::{BODY_MAX, Method, OcpiRequest, OcpiResponse};

use super::clock::Clock;
use super::https::{HttpsListener, Peer, Tell};
use super::pace::Pace;
use super::tls::Tls;

/// Requests that may be under way at a time, of all partners together; more are told to come again.
const REQUESTS_MAX: usize = 64;

/// The engine answers at once, but a registration asks the partner first.
const ANSWER_TIME: Duration = Duration::from_secs(90);

/// A call to a partner takes at most this long.
const CALL_TIME: Duration = Duration::from_secs(30);

/// A request and the place for its answer.
pub type Incoming = (OcpiRequest, oneshot::Sender<OcpiResponse>);

#[derive(Clone)]
struct Shared {
    requests: mpsc::Sender<Incoming>,
    places: Arc<Semaphore>,
    pace: Arc<Mutex<Pace>>,
    clock: Clock,
}

/// Listens for partners, inside TLS where its settings are given; `tell` hears when it is crowded.
/// Comes back with the address that was bound.
pub async fn listen(
    address: SocketAddr,
    tls: Option<Tls>,
    requests: mpsc::Sender<Incoming>,
    tell: Tell,
) -> io::Result<(JoinHandle<()>, SocketAddr)> {
    let listener = HttpsListener::new(TcpListener::bind(address).await?, tls, tell)?;
    let bound = axum::serve::Listener::local_addr(&listener)?;
    let places = Arc::new(Semaphore::new(REQUESTS_MAX));
    let shared = Shared { requests, places, pace: Arc::default(), clock: Clock::real() };
    let router = Router::new().fallback(take).with_state(shared);
    let service = router.into_make_service_with_connect_info::<Peer>();
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, service).await {
            log::error!("the OCPI listener has ended: {error}");
        }
    });
    Ok((task, bound))
}

async fn take(
    State(shared): State<Shared>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    request: Request<Body>,
) -> Response<Body> {
    let now = shared.clock.now().mono;
    let allowed = shared.pace.lock().unwrap_or_else(PoisonError::into_inner).allows(from.ip(), now);
    let place = shared.places.try_acquire();
    if !allowed || place.is_err() {
        return later("too many requests");
    }
    let method = match request.method().as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        _ => return plain(StatusCode::METHOD_NOT_ALLOWED, "GET, POST, PUT, PATCH or DELETE"),
    };
    let uri = request.uri();
    let target = uri.path_and_query().map_or(uri.path(), |both| both.as_str()).to_owned();
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers: Vec<(String, String)> = request.headers().iter().filter_map(header).collect();
    let Ok(body) = to_bytes(request.into_body(), BODY_MAX).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    let request = OcpiRequest { method, target, headers, body };
    let id = request.header("X-Request-ID").unwrap_or("-").chars().take(64).collect::<String>();
    let path = request.target.split('?').next().unwrap_or_default();
    // What follows is known to us and one partner alone.
    let path = path.split("/result/").next().unwrap_or_default().to_owned();
    let echoes = request.echoes();
    let (reply, answer) = oneshot::channel();
    if shared.requests.send((request, reply)).await.is_err() {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "stopping");
    }
    match tokio::time::timeout(ANSWER_TIME, answer).await {
        Ok(Ok(mut response)) => {
            tell(&format!("{} {path}", method.word()), response.status, &id);
            response.headers.extend(echoes);
            outgoing(response)
        }
        _ => plain(StatusCode::SERVICE_UNAVAILABLE, "no answer in time"),
    }
}

/// What was answered, with the partner's name for the request. Strangers have an event of their
/// own, which does not fill the log.
fn tell(asked: &str, status: u16, id: &str) {
    match status {
        401 | 404 | 0..=399 => log::debug!("ocpi {asked}: {status} (request {id})"),
        _ => log::info!("ocpi {asked}: {status} (request {id})"),
    }
}

fn later(text: &'static str) -> Response<Body> {
    let mut response = plain(StatusCode::TOO_MANY_REQUESTS, text);
    response.headers_mut().insert("Retry-After", HeaderValue::from_static("1"));
    response
}

fn outgoing(response: OcpiResponse) -> Response<Body> {
    let mut built = Response::builder().status(response.status);
    for (name, value) in &response.headers {
        built = built.header(name, value);
    }
    let failed = |_| plain(StatusCode::INTERNAL_SERVER_ERROR, "an answer that cannot be sent");
    built.body(Body::from(response.body)).unwrap_or_else(failed)
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

/// Calls partners.
#[derive(Clone, Debug)]
pub struct Caller(Agent);

impl Default for Caller {
    fn default() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(CALL_TIME))
            .user_agent(concat!("ampgate/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(config.into())
    }
}

impl Caller {
    /// Makes a call, blocking. The error is in words and names no header.
    pub fn call(&self, request: &OcpiRequest) -> Result<OcpiResponse, String> {
        let mut built =
            ureq::http::Request::builder().method(request.method.word()).uri(&request.target);
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        let odd = |error: ureq::http::Error| format!("a request that cannot be made: {error}");
        let words = |error: ureq::Error| error.to_string();
        let mut response = if request.body.is_empty() {
            self.0.run(built.body(()).map_err(odd)?).map_err(words)?
        } else {
            self.0.run(built.body(request.body.clone()).map_err(odd)?).map_err(words)?
        };
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        let status = response.status().as_u16();
        let headers = response.headers().iter().filter_map(header).collect();
        let body = response.body_mut().with_config().limit(BODY_MAX as u64);
        let body = body.read_to_string().map_err(words)?;
        Ok(OcpiResponse { status, headers, body })
    }
}
