//! What is answered when a request cannot be served: what went wrong and what was expected.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// The body of every error of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// What went wrong.
    pub error: String,
    /// What would have been right, or what to do.
    pub expected: String,
}

/// A request that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    status: StatusCode,
    complaint: Complaint,
}

impl Trouble {
    /// With its status, what went wrong, and what was expected.
    pub fn new(status: StatusCode, error: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { status, complaint: Complaint { error: error.into(), expected: expected.into() } }
    }

    /// What went wrong.
    pub fn error(&self) -> &str {
        &self.complaint.error
    }

    /// There is no EVSE of this name.
    pub fn no_evse(id: &str) -> Self {
        let error = format!("there is no EVSE \"{id}\"");
        Self::new(StatusCode::NOT_FOUND, error, "one of the names in /api/v1/evses")
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        (self.status, Json(self.complaint)).into_response()
    }
}
