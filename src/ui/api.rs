//! The JSON API: the view and its parts, the past, and the few orders that people may give.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::controller::message::{Answer, Order};
use crate::controller::view::{EvseView, MeterView, SessionView, View};
use crate::ground::ids::{EvseId, SessionId};
use crate::ground::time::{Duration, Utc};
use crate::model::event::{Event, Severity};
use crate::model::record::{ReadingRecord, SetpointRecord};
use crate::model::session::Session;

use super::explain::{self, Explanation};
use super::history::{COUNT_DEFAULT, COUNT_MAX};
use super::metrics;
use super::state::Shared;
use super::trouble::Trouble;

/// The description of this API.
pub const OPENAPI: &str = include_str!("assets/openapi.json");

/// An order that is not answered within this real time is reported as such.
const ORDER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

type Answered<T> = Result<Json<T>, Trouble>;
/// The name in a path, where it can be read.
pub type Named = Result<Path<String>, PathRejection>;

/// Which of the numbered records are wanted, newest first.
#[derive(Deserialize)]
pub struct Window {
    before: Option<u64>,
    count: Option<usize>,
}

/// Which time is wanted.
#[derive(Deserialize)]
pub struct Span {
    from: Option<Utc>,
    to: Option<Utc>,
}

type Asked<T> = Result<Query<T>, QueryRejection>;

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
    /// Rises by one from event to event.
    pub number: u64,
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

/// Setpoints of one EVSE, oldest first.
#[derive(Debug, Serialize)]
pub struct Setpoints {
    /// Those that were sent in the time that was asked for.
    pub setpoints: Vec<SetpointRecord>,
}

/// Readings of one session, oldest first.
#[derive(Debug, Serialize)]
pub struct Readings {
    /// One a minute or so.
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

/// `GET /api/v1/sessions`
pub async fn sessions(
    State(shared): State<Arc<Shared>>,
    window: Asked<Window>,
) -> Answered<Sessions> {
    let (before, count) = numbers(window)?;
    let read = shared.history.sessions.clone();
    let past = blocking(move || read(before.map(SessionId), count)).await?;
    let view = shared.view();
    // The view knows the energy of running sessions to the last reading, and why one has ended.
    let fresh = |id| view.sessions.iter().find(|session| session.id == id).cloned();
    let sessions =
        past.into_iter().map(|session| fresh(session.id.0).unwrap_or_else(|| for_people(session)));
    Ok(Json(Sessions { sessions: sessions.collect() }))
}

/// `GET /api/v1/sessions/{id}/readings`
pub async fn readings(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<u64>, PathRejection>,
) -> Answered<Readings> {
    let status = StatusCode::NOT_FOUND;
    let unread = |_| Trouble::new(status, "this is no session", "a number from /api/v1/sessions");
    let Path(id) = id.map_err(unread)?;
    let read = shared.history.readings.clone();
    let readings = blocking(move || read(SessionId(id))).await?;
    Ok(Json(Readings { readings }))
}

/// `GET /api/v1/events`
pub async fn events(State(shared): State<Arc<Shared>>, window: Asked<Window>) -> Answered<Events> {
    let (before, count) = numbers(window)?;
    let read = shared.history.events.clone();
    let past = blocking(move || read(before, count)).await?;
    let lines = past.into_iter().map(|(number, event)| event_line(number, event));
    Ok(Json(Events { events: lines.collect() }))
}

/// `GET /api/v1/evses/{id}/setpoints`
pub async fn setpoints(
    State(shared): State<Arc<Shared>>,
    id: Named,
    span: Asked<Span>,
) -> Answered<Setpoints> {
    let view = shared.view();
    let id = EvseId::new(&known(&view, id)?.id);
    let (from, to) = times(&view, span)?;
    let read = shared.history.setpoints.clone();
    let setpoints = blocking(move || read(&id, from, to)).await?;
    Ok(Json(Setpoints { setpoints }))
}

/// `POST /api/v1/evses/{id}/meter-now`
pub async fn meter_now(State(shared): State<Arc<Shared>>, id: Named) -> Answered<Answer> {
    let evse = known(&shared.view(), id)?;
    let (reply, answer) = oneshot::channel();
    let order = Order::MeterNow { evse: EvseId::new(&evse.id) };
    let busy = |_| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Trouble::new(status, "the controller takes no orders", "try again in a moment")
    };
    shared.orders.try_send((order, reply)).map_err(busy)?;
    match timeout(ORDER_TIMEOUT, answer).await {
        Ok(Ok(Answer::Done)) => Ok(Json(Answer::Done)),
        Ok(Ok(Answer::Refused { why })) => {
            let expected = "an EVSE whose charger is connected and can do this";
            Err(Trouble::new(StatusCode::CONFLICT, why, expected))
        }
        Ok(Err(_)) | Err(_) => Err(Trouble::new(
            StatusCode::GATEWAY_TIMEOUT,
            "the controller has not answered",
            "try again in a moment",
        )),
    }
}

/// `GET /api/v1/openapi.json`
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// `GET /metrics`
pub async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let text = metrics::text(&shared.view());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// `GET /healthz`
pub async fn healthz(State(shared): State<Arc<Shared>>) -> Result<&'static str, Trouble> {
    if shared.is_fresh() {
        return Ok("ok\n");
    }
    let expected = "a view of the controller at least every 5 s";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Err(Trouble::new(status, "the controller has published nothing for 5 s", expected))
}

/// A session of the past for people, with its token hidden.
fn for_people(session: Session) -> SessionView {
    SessionView {
        id: session.id.0,
        evse: session.evse.as_str().to_owned(),
        transaction: session.transaction.0,
        token: hidden(session.token.as_str()),
        started: session.started,
        ended: session.ended,
        energy_wh: session.energy_wh,
        reason: None,
    }
}

/// All but the last four characters hidden; of short tokens, all but half.
fn hidden(token: &str) -> String {
    let length = token.chars().count();
    let shown = 4.min(length / 2);
    let hide = |(index, character)| if index < length - shown { '•' } else { character };
    token.chars().enumerate().map(hide).collect()
}

fn event_line(number: u64, event: Event) -> EventLine {
    EventLine {
        number,
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

fn numbers(window: Asked<Window>) -> Result<(Option<u64>, usize), Trouble> {
    let expected = format!("before=NUMBER, count=1 to {COUNT_MAX}, both optional");
    let status = StatusCode::BAD_REQUEST;
    let Ok(Query(window)) = window else {
        return Err(Trouble::new(status, "the query cannot be read", expected));
    };
    let count = window.count.unwrap_or(COUNT_DEFAULT);
    if count == 0 || COUNT_MAX < count {
        return Err(Trouble::new(status, format!("count={count} is out of range"), expected));
    }
    Ok((window.before, count))
}

/// The span that was asked for; without one, the last day.
fn times(view: &View, span: Asked<Span>) -> Result<(Utc, Utc), Trouble> {
    let Ok(Query(span)) = span else {
        let expected = "from and to as 2019-03-01T08:00:00Z, both optional";
        let status = StatusCode::BAD_REQUEST;
        return Err(Trouble::new(status, "the query cannot be read", expected));
    };
    let (day_from, day_to) = last_day(view);
    Ok((span.from.unwrap_or(day_from), span.to.unwrap_or(day_to)))
}

/// From a day ago to the present; all times while the clock is not trusted.
pub fn last_day(view: &View) -> (Utc, Utc) {
    match view.at {
        Some(at) => (at - Duration::hours(24), at),
        None => (Utc::from_millis(i64::MIN), Utc::from_millis(i64::MAX)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_show_at_most_their_last_four_characters() {
        assert_eq!(hidden("04A1B2C3D4"), "••••••C3D4");
        assert_eq!(hidden("abc"), "••c");
        assert_eq!(hidden(""), "");
    }
}
