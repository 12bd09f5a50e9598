//! The API of who may connect: `GET` and `POST /api/v1/security`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::model::security::{SecurityDone, SecurityOrder, SecurityView};

use super::state::Shared;
use super::trouble::Trouble;

/// `GET /api/v1/security`
pub async fn security(State(shared): State<Arc<Shared>>) -> Json<SecurityView> {
    Json((shared.security.look)())
}

/// `POST /api/v1/security`
pub async fn order(
    State(shared): State<Arc<Shared>>,
    text: String,
) -> Result<Json<SecurityDone>, Trouble> {
    let order: SecurityOrder = serde_json::from_str(&text).map_err(|error| {
        let expected = "JSON like {\"order\": \"interview\", \"minutes\": 10}, see \
                        /api/v1/openapi.json";
        let error = format!("the body cannot be read: {error}");
        Trouble::new(StatusCode::BAD_REQUEST, error, expected)
    })?;
    let refused = |why| {
        let expected = "an order that can be carried out as the site stands";
        Trouble::new(StatusCode::CONFLICT, why, expected)
    };
    (shared.security.order)(order).await.map(Json).map_err(refused)
}
