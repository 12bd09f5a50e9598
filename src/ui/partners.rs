//! What people want of partners over OCPI: how they stand, invitations, registrations.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::model::partner::PartnerState;
use crate::ocpi::engine::desk::Wish;

use super::state::Shared;
use super::trouble::Trouble;

/// A registration asks the partner three times; each may take half a minute.
const PATIENCE: Duration = Duration::from_secs(100);

/// What is wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case")]
pub enum Asked {
    /// A token A for the partner to register with us.
    Invite { partner: String },
    /// Register with the partner: its versions URL and the token A that it gave.
    Register { partner: String, url: String, token: String },
    /// End a registration.
    Remove { partner: String },
    /// New tokens in both directions.
    Rotate { partner: String },
}

/// How all partners stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// In words, one line for each.
    pub text: String,
    /// The same as data.
    #[serde(default)]
    pub partners: Vec<PartnerState>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// In words, one line for each thing.
    pub text: String,
}

/// `GET /api/v1/partners`
pub async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<Listed>, Trouble> {
    let Json(Told { text }) = ask(&shared, Wish::List).await?;
    Ok(Json(Listed { text, partners: shared.partner_states() }))
}

/// `POST /api/v1/partners`
pub async fn wish(
    State(shared): State<Arc<Shared>>,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Told>, Trouble> {
    let Json(asked) = asked.map_err(|rejected| {
        let expected = "{\"wish\": \"invite\", \"partner\": …}, or register, remove, rotate";
        Trouble::new(StatusCode::BAD_REQUEST, rejected.body_text(), expected)
    })?;
    let wish = match asked {
        Asked::Invite { partner } => Wish::Invite { partner },
        Asked::Register { partner, url, token } => Wish::Register { partner, url, token },
        Asked::Remove { partner } => Wish::Remove { partner },
        Asked::Rotate { partner } => Wish::Rotate { partner },
    };
    ask(&shared, wish).await
}

async fn ask(shared: &Shared, wish: Wish) -> Result<Json<Told>, Trouble> {
    let Some(partners) = &shared.partners else {
        let expected = "[ocpi] and listen.ocpi in the configuration";
        return Err(Trouble::new(StatusCode::NOT_FOUND, "there is no OCPI here", expected));
    };
    let (reply, answer) = oneshot::channel();
    let silent = || {
        let expected = "try again in a moment";
        Trouble::new(StatusCode::GATEWAY_TIMEOUT, "there was no answer in time", expected)
    };
    partners.send((wish, reply)).await.map_err(|_| silent())?;
    match timeout(PATIENCE, answer).await {
        Ok(Ok(Ok(text))) => Ok(Json(Told { text })),
        Ok(Ok(Err(why))) => {
            let expected = "a partner of the configuration that can be reached";
            Err(Trouble::new(StatusCode::CONFLICT, why, expected))
        }
        Ok(Err(_)) | Err(_) => Err(silent()),
    }
}
