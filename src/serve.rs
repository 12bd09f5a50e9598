//! Floor 6: joins the page to a running daemon: the view, the orders of people, the store's past.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::daemon::Handle;
use crate::store::error::StoreError;
use crate::store::reader::StoreReader;
use crate::ui::history::History;
use crate::ui::state::UiState;
use crate::ui::{self, UiError};

/// Serves page and API of a daemon. Comes back with the address that was bound.
pub async fn page(
    handle: &Handle,
    address: SocketAddr,
) -> Result<(JoinHandle<()>, SocketAddr), UiError> {
    let (view, orders) = (handle.view.clone(), handle.orders.clone());
    ui::serve(UiState { view, orders, history: history(&handle.store) }, address).await
}

fn history(store: &StoreReader) -> History {
    let store = || store.clone();
    let (sessions, events, setpoints, readings) = (store(), store(), store(), store());
    History {
        sessions: Arc::new(move |before, count| sessions.sessions(before, count).map_err(words)),
        events: Arc::new(move |before, count| events.events(before, count).map_err(words)),
        setpoints: Arc::new(move |evse, from, to| {
            setpoints.setpoints(evse, from, to).map_err(words)
        }),
        readings: Arc::new(move |session| readings.readings(session).map_err(words)),
    }
}

fn words(error: StoreError) -> String {
    error.to_string()
}
