//! Orders of people on their way to the controller and their answers back.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::controller::message::{Answer, Order};

use super::state::Shared;
use super::trouble::Trouble;

/// What the controller answers at once, in real time.
pub const AT_ONCE: Duration = Duration::from_secs(5);

/// Gives an order and waits for what came of it; `expected` is said where it is refused.
pub async fn give(
    shared: &Shared,
    order: Order,
    patience: Duration,
    expected: &str,
) -> Result<Answer, Trouble> {
    let (reply, answer) = oneshot::channel();
    let busy = |_| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Trouble::new(status, "the controller takes no orders", "try again in a moment")
    };
    shared.orders.try_send((order, reply)).map_err(busy)?;
    match timeout(patience, answer).await {
        Ok(Ok(Answer::Refused { why })) => Err(Trouble::new(StatusCode::CONFLICT, why, expected)),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(Trouble::new(
            StatusCode::GATEWAY_TIMEOUT,
            "the controller has not answered",
            "try again in a moment",
        )),
    }
}
