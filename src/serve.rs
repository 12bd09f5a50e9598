//! Floor 6: joins the page to a running daemon: the view, the orders of people, the store's past.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::daemon::Handle;
use crate::ground::ids::{EvseId, SessionId};
use crate::ground::time::Utc;
use crate::model::session::Session;
use crate::store::error::StoreError;
use crate::store::reader::{EVER, PAGE_MAX, StoreReader};
use crate::ui::history::{History, Page, ReadOf};
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
        sessions: Arc::new(move |page: Page| {
            let found = paged(page, |before, count| {
                let found = sessions.sessions(before.map(SessionId), count)?;
                Ok(found.into_iter().map(|session| (session.id.0, session)).collect())
            })?;
            let with = |session: Session| {
                let transaction = sessions.transaction(session.transaction)?;
                Ok((session, transaction))
            };
            found.into_iter().map(with).collect::<Result<_, _>>().map_err(words)
        }),
        events: Arc::new(move |page: Page| {
            paged(page, |before, count| events.events(before, count))
        }),
        setpoints: curve(store.clone(), StoreReader::setpoints),
        readings: curve(store, StoreReader::readings),
    }
}

fn words(error: StoreError) -> String {
    error.to_string()
}

/// Walks back through numbered rows, batch by batch, until the page is full or the rows end.
fn paged<T>(
    page: Page,
    fetch: impl Fn(Option<u64>, usize) -> Result<Vec<(u64, T)>, StoreError>,
) -> Result<Vec<T>, String> {
    let (mut before, mut skip, mut found) = (None, page.skip, Vec::new());
    while found.len() < page.count {
        let batch = fetch(before, PAGE_MAX).map_err(words)?;
        let Some((last, _)) = batch.last() else { break };
        before = Some(*last);
        let passed = skip.min(batch.len());
        skip -= passed;
        found.extend(batch.into_iter().skip(passed).map(|(_, row)| row));
    }
    found.truncate(page.count);
    Ok(found)
}

/// A curve of the store, oldest first, as pages of it, newest first.
fn curve<T: 'static>(
    store: StoreReader,
    read: fn(&StoreReader, &EvseId, Utc, Utc) -> Result<Vec<T>, StoreError>,
) -> ReadOf<T> {
    Arc::new(move |evse: &EvseId, page: Page| {
        let found = read(&store, evse, EVER.0, EVER.1).map_err(|error| error.to_string())?;
        Ok(found.into_iter().rev().skip(page.skip).take(page.count).collect())
    })
}
