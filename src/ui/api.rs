//! The JSON API: the view and its parts, the past, and the few orders that people may give.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::controller::message::{Answer, Order};
use crate::controller::plan_view::PlanView;
use crate::controller::view::{EvseView, MeterView, SessionView, View};
use crate::ground::ids::EvseId;
use crate::ground::time::Utc;
use crate::model::event::{Event, Severity};
use crate::model::record::{ReadingRecord, SetpointRecord};
use crate::model::session::{Session, Transaction};

use super::entry::Visit;
use super::explain::{self, Explanation};
use super::health;
use super::history::{COUNT_DEFAULT, COUNT_MAX, Page, ReadOf};
use super::metrics;
use super::order;
use super::state::Shared;
use super::trouble::Trouble;

/// The description of this API.
pub const OPENAPI: &str = include_str!("assets/openapi.json");

type Answered<T> = Result<Json<T>, Trouble>;
/// The name in a path, where it can be read.
pub type Named = Result<Path<String>, PathRejection>;

/// The part of the past that is wanted.
#[derive(Deserialize)]
pub struct Window {
    skip: Option<usize>,
    count: Option<usize>,
}

type Asked = Result<Query<Window>, QueryRejection>;

/// Sessions, newest first.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sessions {
    /// At most as many as were asked for.
    pub sessions: Vec<SessionView>,
}

/// Events, newest first.
#[derive(Debug, Serialize, Deserialize)]
pub struct Events {
    /// At most as many as were asked for.
    pub events: Vec<EventLine>,
}

/// An event with what the catalogue says about its kind.
#[derive(Debug, Serialize, Deserialize)]
pub struct EventLine {
    /// When; absent where the clock was not trusted.
    pub at: Option<Utc>,
    /// The stable code, e.g. `link.up`.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// The charge point, EVSE, meter or node it is about; empty for the site itself.
    pub subject: String,
    /// The details in one line of plain words.
    pub text: String,
}

/// Setpoints of one EVSE, newest first.
#[derive(Debug, Serialize)]
pub struct Setpoints {
    /// At most as many as were asked for.
    pub setpoints: Vec<SetpointRecord>,
}

/// Readings of one EVSE, newest first.
#[derive(Debug, Serialize)]
pub struct Readings {
    /// At most as many as were asked for.
    pub readings: Vec<ReadingRecord>,
}

/// `GET /api/v1/site`
pub async fn site(State(shared): State<Arc<Shared>>) -> Response {
    Json(&*shared.view()).into_response()
}

/// `GET /api/v1/live`
pub async fn live(State(shared): State<Arc<Shared>>) -> Response {
    shared.live.views()
}

/// `GET /api/v1/evses`
pub async fn evses(State(shared): State<Arc<Shared>>) -> Json<Vec<EvseView>> {
    Json(shared.view().evses.clone())
}

/// `GET /api/v1/evses/{id}`
pub async fn evse(State(shared): State<Arc<Shared>>, id: Named) -> Answered<EvseView> {
    known(&shared.view(), id).map(Json)
}

/// `GET /api/v1/evses/{id}/explain`
pub async fn explained(State(shared): State<Arc<Shared>>, id: Named) -> Answered<Explanation> {
    let view = shared.view();
    let evse = known(&view, id)?;
    explain::explain(&view, &evse.id).map(Json).ok_or_else(|| Trouble::no_evse(&evse.id))
}

/// `GET /api/v1/meters`
pub async fn meters(State(shared): State<Arc<Shared>>) -> Json<Vec<MeterView>> {
    Json(shared.view().meters.clone())
}

/// `GET /api/v1/plan`
pub async fn plan(State(shared): State<Arc<Shared>>) -> Json<Option<PlanView>> {
    Json(shared.view().plan.clone())
}

/// `GET /api/v1/sessions`
pub async fn sessions(State(shared): State<Arc<Shared>>, window: Asked) -> Answered<Sessions> {
    let page = page(window)?;
    let read = shared.history.sessions.clone();
    let past = blocking(move || read(page)).await?;
    let view = shared.view();
    // The view knows the energy of running sessions to the last reading; of one that has ended the
    // store knows more, because views are a moment old.
    let fresh = |session: &Session| {
        let running = session.ended.is_none();
        view.sessions.iter().find(|seen| running && seen.id == session.id.0).cloned()
    };
    let sessions = past.into_iter().map(|(session, transaction)| {
        fresh(&session).unwrap_or_else(|| for_people(session, transaction))
    });
    Ok(Json(Sessions { sessions: sessions.collect() }))
}

/// `GET /api/v1/events`
pub async fn events(State(shared): State<Arc<Shared>>, window: Asked) -> Answered<Events> {
    let page = page(window)?;
    let read = shared.history.events.clone();
    let past = blocking(move || read(page)).await?;
    Ok(Json(Events { events: past.into_iter().map(event_line).collect() }))
}

/// `GET /api/v1/evses/{id}/setpoints`
pub async fn setpoints(
    State(shared): State<Arc<Shared>>,
    id: Named,
    window: Asked,
) -> Answered<Setpoints> {
    let setpoints = read_of(&shared, id, window, shared.history.setpoints.clone()).await?;
    Ok(Json(Setpoints { setpoints }))
}

/// `GET /api/v1/evses/{id}/readings`
pub async fn readings(
    State(shared): State<Arc<Shared>>,
    id: Named,
    window: Asked,
) -> Answered<Readings> {
    let readings = read_of(&shared, id, window, shared.history.readings.clone()).await?;
    Ok(Json(Readings { readings }))
}

async fn read_of<T: Send + 'static>(
    shared: &Shared,
    id: Named,
    window: Asked,
    read: ReadOf<T>,
) -> Result<Vec<T>, Trouble> {
    let id = EvseId::new(&known(&shared.view(), id)?.id);
    let page = page(window)?;
    blocking(move || read(&id, page)).await
}

/// `POST /api/v1/evses/{id}/meter-now`
pub async fn meter_now(State(shared): State<Arc<Shared>>, id: Named) -> Answered<Answer> {
    let evse = known(&shared.view(), id)?;
    let order = Order::MeterNow { evse: EvseId::new(&evse.id) };
    let expected = "an EVSE whose charger is connected and can do this";
    order::give(&shared, order, order::AT_ONCE, expected).await.map(Json)
}

/// `GET /api/v1/openapi.json`
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// `GET /metrics`
pub async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let machine = (shared.machine)();
    let seen = metrics::Seen {
        view: &shared.view(),
        partners: &shared.partner_states(),
        machine: &machine,
        is_fresh: shared.is_fresh(),
    };
    let text = metrics::text(&seen);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// How strict a health check is.
#[derive(Deserialize)]
pub struct Strictness {
    strict: Option<u8>,
}

/// `GET /healthz`
pub async fn healthz(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    asked: Result<Query<Strictness>, QueryRejection>,
) -> Response {
    let is_strict = asked.is_ok_and(|Query(asked)| asked.strict == Some(1));
    let mut health = health::look(&shared.view(), &(shared.machine)(), shared.is_fresh());
    if visit.tls && visit.who.is_none() {
        // Strangers are told whether the box does its work, and nothing of the site.
        health.checks.clear();
    }
    let most = if is_strict { health::State::Ok } else { health::State::Degraded };
    let status =
        if health.status <= most { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

/// A session of the past for people, with its token hidden and the reason of its end.
fn for_people(session: Session, transaction: Option<Transaction>) -> SessionView {
    let stop = transaction.and_then(|transaction| transaction.stop);
    SessionView {
        id: session.id.0,
        evse: session.evse.as_str().to_owned(),
        transaction: session.transaction.0,
        token: session.token.masked(),
        started: session.started,
        ended: session.ended,
        energy_wh: session.energy_wh,
        reason: stop.map(|stop| stop.reason),
    }
}

fn event_line(event: Event) -> EventLine {
    EventLine {
        at: event.at,
        code: event.kind.code().to_owned(),
        severity: event.kind.severity(),
        subject: event.subject,
        text: event.text,
    }
}

/// The EVSE of this name.
pub fn known(view: &View, id: Named) -> Result<EvseView, Trouble> {
    let Ok(Path(id)) = id else {
        return Err(Trouble::no_evse("(unreadable)"));
    };
    let found = view.evses.iter().find(|evse| evse.id == id);
    found.cloned().ok_or_else(|| Trouble::no_evse(&id))
}

fn page(window: Asked) -> Result<Page, Trouble> {
    let expected = format!("skip=0 or more, count=1 to {COUNT_MAX}, both optional");
    let status = StatusCode::BAD_REQUEST;
    let Ok(Query(window)) = window else {
        return Err(Trouble::new(status, "the query cannot be read", expected));
    };
    let count = window.count.unwrap_or(COUNT_DEFAULT);
    if count == 0 || COUNT_MAX < count {
        return Err(Trouble::new(status, format!("count={count} is out of range"), expected));
    }
    Ok(Page { skip: window.skip.unwrap_or(0), count })
}

/// Reads from the store on a thread that may block.
pub async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<Vec<T>, String> + Send + 'static,
) -> Result<Vec<T>, Trouble> {
    let done = tokio::task::spawn_blocking(read).await;
    let done = done.unwrap_or_else(|_| Err("the reader has failed".to_owned()));
    done.map_err(|why| {
        let error = format!("the past cannot be read: {why}");
        Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, error, "see the log of the daemon")
    })
}
