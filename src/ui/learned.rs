//! What was learned, over the API: how forecasts did, and the deletion of drivers' habits.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::controller::forecast_view::ForecastView;
use crate::controller::message::Order;
use crate::ground::ids::IdToken;

use super::order;
use super::remote::Outcome;
use super::state::Shared;
use super::trouble::Trouble;

/// What is to be forgotten: one of the two.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forget {
    /// What was learned of this token.
    #[serde(default)]
    pub token: Option<String>,
    /// What was learned of all drivers.
    #[serde(default)]
    pub all: bool,
}

/// `GET /api/v1/forecasts`
pub async fn forecasts(State(shared): State<Arc<Shared>>) -> Json<Vec<ForecastView>> {
    Json(shared.view().forecasts.clone())
}

/// `POST /api/v1/forget`
pub async fn forget(
    State(shared): State<Arc<Shared>>,
    text: String,
) -> Result<Json<Outcome>, Trouble> {
    let expected = "JSON: {\"token\": \"04A1B2C3\"}, or {\"all\": true}";
    let odd = |error: String| Trouble::new(StatusCode::BAD_REQUEST, error, expected);
    let wanted: Forget = serde_json::from_str(&text)
        .map_err(|error| odd(format!("the body cannot be read: {error}")))?;
    let token = match wanted {
        Forget { token: Some(token), all: false } => Some(IdToken::new(&token)),
        Forget { token: None, all: true } => None,
        Forget { .. } => return Err(odd("it names neither a token nor all, or both".to_owned())),
    };
    let known = "a token of which something was learned";
    order::give(&shared, Order::Forget { token }, order::AT_ONCE, known).await?;
    let words = "deleted, also from the store".to_owned();
    Ok(Json(Outcome { accepted: true, status: String::new(), words, details: None }))
}
