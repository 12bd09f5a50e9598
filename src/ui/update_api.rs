//! Updates of the box itself over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::model::update::{UpdateDone, UpdateOrder, UpdateView};

use super::state::Shared;
use super::trouble::Trouble;

/// `GET /api/v1/update`
pub async fn read(State(shared): State<Arc<Shared>>) -> Json<UpdateView> {
    Json((shared.security.updates.look)())
}

/// `POST /api/v1/update`
pub async fn order(
    State(shared): State<Arc<Shared>>,
    text: String,
) -> Result<Json<UpdateDone>, Trouble> {
    let order: UpdateOrder = serde_json::from_str(&text).map_err(|error| {
        let expected = "JSON like {\"order\": \"install\", \"location\": \"/media/new.raucb\"}; \
                        orders are install, force, confirm, rollback and cancel";
        let error = format!("the body cannot be read: {error}");
        Trouble::new(StatusCode::BAD_REQUEST, error, expected)
    })?;
    let refused = |why| {
        let expected = "an order that fits how far the update is: GET /api/v1/update";
        Trouble::new(StatusCode::CONFLICT, why, expected)
    };
    (shared.security.updates.order)(order).await.map(Json).map_err(refused)
}
