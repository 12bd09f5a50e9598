//! Floor 6: joins the page to a running daemon: the view, the orders of people, the store's past.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::daemon::Handle;
use crate::ground::ids::EvseId;
use crate::ground::time::Utc;
use crate::model::session::Session;
use crate::store::error::StoreError;
use crate::store::reader::StoreReader;
use crate::ui::history::{Between, History};
use crate::ui::state::UiState;
use crate::ui::{self, UiError};

/// Orders that may wait for the daemon.
const ORDERS_MAX: usize = 16;

/// Serves page and API of a daemon. Comes back with the address that was bound.
pub async fn page(
    handle: &Handle,
    address: SocketAddr,
) -> Result<(JoinHandle<()>, SocketAddr), UiError> {
    let (orders, mut asked) = mpsc::channel(ORDERS_MAX);
    let state =
        UiState { view: handle.view.clone(), orders, history: history(handle.store.clone()) };
    let asks = handle.clone();
    tokio::spawn(async move {
        while let Some((order, reply)) = asked.recv().await {
            let asks = asks.clone();
            tokio::spawn(async move {
                // Whoever asked may have gone; then nobody needs the answer.
                let _ = reply.send(asks.request(order).await);
            });
        }
    });
    ui::serve(state, address).await
}

fn history(store: StoreReader) -> History {
    let (sessions, events) = (store.clone(), store.clone());
    History {
        sessions: Arc::new(move |before, count| {
            let with = |session: Session| {
                let transaction = sessions.transaction(session.transaction)?;
                Ok((session, transaction))
            };
            let found = sessions.sessions(before, count).map_err(words)?;
            found.into_iter().map(with).collect::<Result<_, _>>().map_err(words)
        }),
        events: Arc::new(move |before, count| events.events(before, count).map_err(words)),
        setpoints: between(store.clone(), StoreReader::setpoints),
        readings: between(store, StoreReader::readings),
    }
}

fn words(error: StoreError) -> String {
    error.to_string()
}

/// What the store has of one EVSE from one time to another.
type Curve<T> = fn(&StoreReader, &EvseId, Utc, Utc) -> Result<Vec<T>, StoreError>;

fn between<T: 'static>(store: StoreReader, read: Curve<T>) -> Between<T> {
    Arc::new(move |evse, from, to| read(&store, evse, from, to).map_err(words))
}
