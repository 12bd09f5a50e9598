//! Orders of people on their way to the controller and their answers back.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::controller::message::{Answer, Order};

use super::state::Shared;
use super::trouble::Trouble;

/// An order that is not answered within this real time is reported as such.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5);

/// Gives an order and waits until it was taken; `expected` is said where it is refused.
pub async fn give(shared: &Shared, order: Order, expected: &str) -> Result<(), Trouble> {
    let (reply, answer) = oneshot::channel();
    let busy = |_| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Trouble::new(status, "the controller takes no orders", "try again in a moment")
    };
    shared.orders.try_send((order, reply)).map_err(busy)?;
    match timeout(ORDER_TIMEOUT, answer).await {
        Ok(Ok(Answer::Done)) => Ok(()),
        Ok(Ok(Answer::Refused { why })) => Err(Trouble::new(StatusCode::CONFLICT, why, expected)),
        Ok(Err(_)) | Err(_) => Err(Trouble::new(
            StatusCode::GATEWAY_TIMEOUT,
            "the controller has not answered",
            "try again in a moment",
        )),
    }
}
