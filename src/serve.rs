//! Floor 8: joins the page to a running daemon: the view, the orders of people, the store's past.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::daemon::Handle;
use crate::desk::Desk;
use crate::io::key;
use crate::model::drivers::PageUrl;
use crate::model::session::Session;
use crate::store::error::StoreError;
use crate::store::reader::StoreReader;
use crate::ui::history::{History, Page};
use crate::ui::pass::{self, DriverDoor, SECRET_BYTES};
use crate::ui::security::{Counter, Files, Updates};
use crate::ui::state::UiState;
use crate::ui::{self, UiError};
use crate::updater::Updater;

/// Serves page and API of a daemon. Comes back with the address that was bound.
pub async fn page(
    handle: &Handle,
    desk: Desk,
    updater: Option<Updater>,
    address: SocketAddr,
    page_url: Option<PageUrl>,
) -> Result<(JoinHandle<()>, SocketAddr), UiError> {
    let (view, orders) = (handle.view.clone(), handle.orders.clone());
    let drivers = DriverDoor { secret: secret(handle.data()), page_url };
    let (partners, partner_states) = (handle.field.wishes(), handle.field.partners());
    let (history, security) = (history(&handle.store), counter(desk, updater));
    let here = handle.clone();
    let state = UiState {
        view,
        orders,
        history,
        security,
        drivers,
        partners,
        partner_states,
        machine: Arc::new(move || here.machine()),
    };
    ui::serve(state, address).await
}

fn counter(desk: Desk, updater: Option<Updater>) -> Counter {
    let files = files(&desk);
    let (look, order) = (desk.clone(), desk);
    Counter {
        look: Arc::new(move || look.view()),
        order: Arc::new(move |wish| {
            let desk = order.clone();
            Box::pin(async move { desk.order(wish).await })
        }),
        files,
        updates: updater.map_or_else(Updates::off, updates),
    }
}

fn updates(updater: Updater) -> Updates {
    let looked = updater.clone();
    Updates {
        look: Arc::new(move || looked.view()),
        order: Arc::new(move |order| {
            let updater = updater.clone();
            Box::pin(async move { updater.order(order).await })
        }),
    }
}

fn files(desk: &Desk) -> Files {
    let words = |error: std::io::Error| error.to_string();
    let (list, read, remove) = (desk.clone(), desk.clone(), desk.clone());
    let asks = desk.clone();
    Files {
        list: Arc::new(move || list.uploads().list().map_err(words)),
        read: Arc::new(move |name| read.uploads().read(name).map_err(words)),
        remove: Arc::new(move |name| remove.uploads().remove(name).map_err(words)),
        order: Arc::new(move |target, ask| {
            let desk = asks.clone();
            Box::pin(async move { desk.upload(&target, ask).await })
        }),
    }
}

/// What the codes of drivers are signed with. Where it cannot be kept, the site goes on with one
/// that lasts until the daemon ends.
fn secret(data: &Path) -> [u8; SECRET_BYTES] {
    let file = data.join("drivers.key");
    let fresh = pass::random();
    match key::keep(&file, fresh) {
        Ok((secret, open)) => {
            if let Some(words) = open {
                log::warn!("{words}: expected mode 600");
            }
            secret
        }
        Err(error) => {
            let file = file.display();
            log::warn!("{file}: {error}; printed QR codes for drivers do not work until then");
            fresh
        }
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
