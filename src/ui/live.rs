//! Live changes as server-sent events: the parts of a page, or the whole view as JSON.
//!
//! Each client has a task that renders the newest view at most twice a second; views in between are
//! skipped, so a client that reads slowly sees fewer of them and holds up nobody. One that reads
//! nothing at all is dropped. These are real seconds, not the controller's: they pace sockets.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;

use crate::controller::view::View;

use super::badge::Badge;
use super::html::Html;
use super::page::{self, Parts};
use super::trouble::Trouble;

/// Live clients at once; more than every screen of a site, few enough for a small box.
pub const CLIENTS_MAX: usize = 32;
/// Between two messages to one client at least this long.
const PACE: Duration = Duration::from_millis(500);
/// A client that takes no message for this long is dropped.
const SLOW: Duration = Duration::from_secs(10);
/// Without a view for this long the client is told so; it also keeps the connection alive.
const SILENT: Duration = Duration::from_secs(5);

/// The source of views and the places for clients.
#[derive(Clone)]
pub struct Live {
    view: watch::Receiver<Arc<View>>,
    places: Arc<Semaphore>,
}

#[derive(Serialize)]
struct Message<'a> {
    stamp: String,
    parts: BTreeMap<&'a str, &'a str>,
}

impl Live {
    /// Over this source of views.
    pub fn new(view: watch::Receiver<Arc<View>>) -> Self {
        Self { view, places: Arc::new(Semaphore::new(CLIENTS_MAX)) }
    }

    /// The parts of a page that have changed since the last message, all of them first.
    /// They are for whoever has this badge.
    pub fn parts(
        &self,
        badge: Badge,
        render: impl Fn(&View) -> Parts + Send + 'static,
    ) -> Response {
        let mut sent: BTreeMap<String, Html> = BTreeMap::new();
        self.stream(move |view| {
            let parts = render(view);
            let changed = parts.iter().filter(|(name, html)| sent.get(name) != Some(html));
            let changed = changed.map(|(name, html)| (name.as_str(), html.as_str()));
            let message = Message { stamp: page::stamp(view, &badge), parts: changed.collect() };
            let event = json_event("parts", &message);
            sent = parts.into_iter().collect();
            event
        })
    }

    /// The whole view as JSON.
    pub fn views(&self) -> Response {
        self.stream(|view| json_event("view", view))
    }

    fn stream(&self, render: impl FnMut(&View) -> Event + Send + 'static) -> Response {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return Trouble::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many live pages are open",
                format!("at most {CLIENTS_MAX}; close one and try again"),
            )
            .into_response();
        };
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(feed(self.view.clone(), sender, render, place));
        Sse::new(ReceiverStream::new(receiver)).into_response()
    }
}

async fn feed(
    mut view: watch::Receiver<Arc<View>>,
    to: mpsc::Sender<Result<Event, Infallible>>,
    mut render: impl FnMut(&View) -> Event,
    _place: OwnedSemaphorePermit,
) {
    loop {
        let newest = view.borrow_and_update().clone();
        if to.send_timeout(Ok(render(&newest)), SLOW).await.is_err() {
            return;
        }
        sleep(PACE).await;
        loop {
            match timeout(SILENT, view.changed()).await {
                Ok(Ok(())) => break,
                Ok(Err(_)) => return,
                Err(_) => {
                    let silent = Event::default().event("silent").data("{}");
                    if to.send_timeout(Ok(silent), SLOW).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn json_event(name: &'static str, value: &impl Serialize) -> Event {
    let text = serde_json::to_string(value).expect("text keys and plain values always serialise");
    Event::default().event(name).data(text)
}
