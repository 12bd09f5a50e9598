//! Floor 8: joins the page to a running daemon: the view, the orders of people, the store's past.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::daemon::Handle;
use crate::desk::Desk;
use crate::model::session::Session;
use crate::store::error::StoreError;
use crate::store::reader::StoreReader;
use crate::ui::history::{History, Page};
use crate::ui::security::Counter;
use crate::ui::state::UiState;
use crate::ui::{self, UiError};

/// Serves page and API of a daemon. Comes back with the address that was bound.
pub async fn page(
    handle: &Handle,
    desk: Desk,
    address: SocketAddr,
) -> Result<(JoinHandle<()>, SocketAddr), UiError> {
    let (view, orders) = (handle.view.clone(), handle.orders.clone());
    let history = history(&handle.store);
    ui::serve(UiState { view, orders, history, security: counter(desk) }, address).await
}

fn counter(desk: Desk) -> Counter {
    let (look, order) = (desk.clone(), desk);
    Counter {
        look: Arc::new(move || look.view()),
        order: Arc::new(move |wish| {
            let desk = order.clone();
            Box::pin(async move { desk.order(wish).await })
        }),
    }
}

fn history(store: &StoreReader) -> History {
    let store = || store.clone();
    let (sessions, events, setpoints, readings) = (store(), store(), store(), store());
    History {
        sessions: Arc::new(move |Page { skip, count }| {
            let with = |session: Session| {
                let transaction = sessions.transaction(session.transaction)?;
                Ok((session, transaction))
            };
            let found = sessions.sessions(skip, count).map_err(words)?;
            found.into_iter().map(with).collect::<Result<_, _>>().map_err(words)
        }),
        events: Arc::new(move |Page { skip, count }| events.events(skip, count).map_err(words)),
        setpoints: Arc::new(move |evse, Page { skip, count }| {
            setpoints.setpoints(evse, skip, count).map_err(words)
        }),
        readings: Arc::new(move |evse, Page { skip, count }| {
            readings.readings(evse, skip, count).map_err(words)
        }),
    }
}

fn words(error: StoreError) -> String {
    error.to_string()
}
