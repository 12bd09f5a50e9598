//! Orders to chargers and reservations over the API: what people ask, and what came of it.
//!
//! The charger's answer is awaited: a slow modem takes its time, and people want to know.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::controller::message::{Answer, Order};
use crate::controller::view::ReservationView;
use crate::ground::ids::{EvseId, IdToken};
use crate::ground::time::{Duration as Span, Utc};
use crate::model::ask::{Ask, AskOutcome};
use crate::model::reservation::ReservationId;

use super::entry::{self, Visit};
use super::order;
use super::roles;
use super::state::Shared;
use super::trouble::Trouble;

/// A charger that has not answered after this long does not.
const CHARGER_TIMEOUT: Duration = Duration::from_secs(70);

/// An order to a charger.
#[derive(Debug, Serialize, Deserialize)]
pub struct Remote {
    /// An EVSE by its name, or a charge point by its identity.
    pub target: String,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask,
}

/// A reservation that is wanted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// An EVSE by its name, or a charge point by its identity.
    pub target: String,
    /// For whom.
    pub token: String,
    /// Anybody of this group may use it too.
    #[serde(default)]
    pub group: Option<String>,
    /// Until when …
    #[serde(default)]
    pub until: Option<Utc>,
    /// … or for how long from now, in minutes.
    #[serde(default)]
    pub minutes: Option<i64>,
}

/// What a charger made of an order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// It does it, or will.
    pub accepted: bool,
    /// Its word on the wire; empty where it gave none.
    pub status: String,
    /// The same for people.
    pub words: String,
    /// What it told beside.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub details: Option<serde_json::Value>,
}

/// All reservations that are open or were lately.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reservations {
    /// Newest first.
    pub reservations: Vec<ReservationView>,
}

impl From<AskOutcome> for Outcome {
    fn from(outcome: AskOutcome) -> Self {
        let details = outcome
            .details
            .map(|text| serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)));
        let AskOutcome { accepted, status, words, .. } = outcome;
        Self { accepted, status, words, details }
    }
}

/// Gives an order and waits for what came of it.
pub async fn give(shared: &Shared, order: Order, patience: Duration) -> Result<Answer, Trouble> {
    let expected = "an EVSE whose charger is connected and can do this";
    order::give(shared, order, patience, expected).await
}

/// What came of an order, once the charger has answered.
pub async fn outcome(shared: &Shared, order: Order) -> Result<Json<Outcome>, Trouble> {
    match give(shared, order, CHARGER_TIMEOUT).await? {
        Answer::Charger { outcome } => Ok(Json(outcome.into())),
        Answer::Done | Answer::Refused { .. } => {
            let words = "done".to_owned();
            Ok(Json(Outcome { accepted: true, status: String::new(), words, details: None }))
        }
    }
}

/// The body of an order; where it cannot be read, what was expected.
pub fn body<T: DeserializeOwned>(text: &str, expected: &str) -> Result<T, Trouble> {
    serde_json::from_str(text).map_err(|error| {
        let error = format!("the body cannot be read: {error}");
        Trouble::new(StatusCode::BAD_REQUEST, error, expected)
    })
}

/// `POST /api/v1/remote`
pub async fn remote(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    text: String,
) -> Result<Json<Outcome>, Trouble> {
    let expected = "JSON like {\"target\": \"EVSE-01\", \"ask\": \"unlock\"}, see \
                    /api/v1/openapi.json";
    let Remote { target, ask } = body(&text, expected)?;
    let need = roles::of_ask(&ask);
    if let Some(who) = visit.who.filter(|who| who.role < need) {
        return Err(entry::forbidden(&who, need));
    }
    if matches!(&ask, Ask::Upload { location, .. } if location.is_empty()) {
        let expected = "a charger that is connected to this box, or a location";
        let uploaded = (shared.security.files.order)(target, ask).await;
        return uploaded
            .map(|outcome| Json(outcome.into()))
            .map_err(|why| Trouble::new(StatusCode::CONFLICT, why, expected));
    }
    outcome(&shared, Order::Charger { target, ask }).await
}

/// `POST /api/v1/evses/{id}/drill`
pub async fn drill(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Outcome>, Trouble> {
    let Ok(Path(id)) = id else { return Err(Trouble::no_evse("(unreadable)")) };
    outcome(&shared, Order::Drill { evse: EvseId::new(&id) }).await
}

/// `GET /api/v1/reservations`
pub async fn reservations(State(shared): State<Arc<Shared>>) -> Json<Reservations> {
    Json(Reservations { reservations: shared.view().reservations.clone() })
}

/// `POST /api/v1/reservations`
pub async fn reserve(
    State(shared): State<Arc<Shared>>,
    text: String,
) -> Result<Json<Outcome>, Trouble> {
    let expected = "JSON like {\"target\": \"EVSE-01\", \"token\": \"04A1\", \"minutes\": 60}";
    let wish: Wish = body(&text, expected)?;
    let from_now = |minutes: i64| Some(shared.view().at? + Span::minutes(minutes));
    let until = wish.until.or_else(|| wish.minutes.and_then(from_now));
    let Some(until) = until else {
        let error = "no end, or the clock is not trusted yet";
        return Err(Trouble::new(StatusCode::BAD_REQUEST, error, "until as a time, or minutes"));
    };
    let order = Order::Reserve {
        target: wish.target,
        token: IdToken::new(&wish.token),
        group: wish.group.as_deref().map(IdToken::new),
        until,
    };
    outcome(&shared, order).await
}

/// `POST /api/v1/reservations/{id}/cancel`
pub async fn give_up(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Outcome>, Trouble> {
    let number = id.ok().and_then(|Path(id)| id.parse().ok());
    let Some(number) = number else {
        let expected = "the number of a reservation, see /api/v1/reservations";
        return Err(Trouble::new(StatusCode::NOT_FOUND, "there is no such number", expected));
    };
    outcome(&shared, Order::CancelReservation { id: ReservationId(number) }).await
}
