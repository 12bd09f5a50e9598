//! What page and API see and order of who may connect, without knowing where that is kept: the
//! doors stand on the same floor, and `serve` joins the two.

use std::pin::Pin;
use std::sync::Arc;

use crate::model::security::{SecurityDone, SecurityOrder, SecurityView};

/// What an order comes to; the error is in words for people.
pub type Ordered = Pin<Box<dyn Future<Output = Result<SecurityDone, String>> + Send>>;

/// Where people see and order who may connect.
#[derive(Clone)]
pub struct Counter {
    /// Everything as it stands.
    pub look: Arc<dyn Fn() -> SecurityView + Send + Sync>,
    /// Does what is ordered.
    pub order: Arc<dyn Fn(SecurityOrder) -> Ordered + Send + Sync>,
}

impl Counter {
    /// Where there is nothing to see and nothing to order.
    pub fn closed() -> Self {
        Self {
            look: Arc::new(SecurityView::default),
            order: Arc::new(|_| Box::pin(async { Err("not here".to_owned()) })),
        }
    }
}
