//! Firmware campaigns over the API: what people begin, call off and see.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::controller::message::Order;
use crate::controller::view::CampaignView;
use crate::model::ask::Signed;
use crate::model::campaign::CampaignId;

use super::remote::{Outcome, body, outcome};
use super::state::Shared;
use super::trouble::Trouble;

/// A campaign that is wanted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Where the firmware is: a URL that the chargers can reach.
    pub location: String,
    /// Charge points, or EVSEs of them.
    #[serde(default)]
    pub targets: Vec<String>,
    /// All charge points of the site, instead of naming them.
    #[serde(default)]
    pub all: bool,
    /// Certificate in PEM …
    #[serde(default)]
    pub certificate: Option<String>,
    /// … and signature in base64, for a signed update.
    #[serde(default)]
    pub signature: Option<String>,
}

/// Campaigns that are open or were lately.
#[derive(Debug, Serialize, Deserialize)]
pub struct Campaigns {
    /// Newest first.
    pub campaigns: Vec<CampaignView>,
}

/// `GET /api/v1/firmware`
pub async fn list(State(shared): State<Arc<Shared>>) -> Json<Campaigns> {
    Json(Campaigns { campaigns: shared.view().campaigns.clone() })
}

/// `POST /api/v1/firmware`
pub async fn begin(
    State(shared): State<Arc<Shared>>,
    text: String,
) -> Result<Json<Outcome>, Trouble> {
    let expected = "JSON like {\"location\": \"http://10.0.0.1/fw.bin\", \"targets\": [\"CP-01\"]}";
    let Wish { location, targets, all, certificate, signature } = body(&text, expected)?;
    if targets.is_empty() != all {
        let error = "which chargers is not clear";
        return Err(Trouble::new(StatusCode::BAD_REQUEST, error, "targets, or all, not both"));
    }
    let signed = match (certificate, signature) {
        (None, None) => None,
        (Some(certificate), Some(signature)) => {
            Some(Signed { request: 0, install_at: None, certificate, signature })
        }
        _ => {
            let error = "half of a signed update";
            let expected = "certificate and signature, or neither";
            return Err(Trouble::new(StatusCode::BAD_REQUEST, error, expected));
        }
    };
    outcome(&shared, Order::Campaign { location, signed, targets }).await
}

/// `POST /api/v1/firmware/{id}/cancel`
pub async fn cancel(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Outcome>, Trouble> {
    let number = id.ok().and_then(|Path(id)| id.parse().ok());
    let Some(number) = number else {
        let expected = "the number of a campaign, see /api/v1/firmware";
        return Err(Trouble::new(StatusCode::NOT_FOUND, "there is no such number", expected));
    };
    outcome(&shared, Order::CancelCampaign { id: CampaignId(number) }).await
}
