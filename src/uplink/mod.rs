//! Floor 7: joins the OCPI engine to a running daemon and to the network.
//!
//! ```text
//! listener ─┐                           ┌─▶ partners.redb (first) ─▶ replies, calls
//! answers ──┼─▶ one thread: Engine ─────┼─▶ orders to the daemon ─▶ their outcome back
//! view ─────┤                           └─▶ events
//! people ───┘
//! ```
//! Invariants: one thread owns engine and file, and what is to be kept is on disk before anything
//! that depends on it leaves. The control loop waits for none of this.

mod bridge;
mod event;
mod facts;
mod orders;
mod world;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration as RealDuration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::controller::message::Order;
use crate::daemon::Handle;
use crate::io::clock::Clock;
use crate::io::field::PartnerAsk;
use crate::io::https::Tell;
use crate::io::partner::{self, Incoming};
use crate::io::renewal::Renewal;
use crate::io::tls::{Tls, TlsError, TlsFiles};
use crate::model::event::EventKind;
use crate::model::partner::Ocpi;
use crate::store::error::StoreError;
use crate::store::partners::{PartnerReader, PartnerStore};
use crate::ui::state::PartnerWish;

use event::Event;
use world::World;

/// Events that may wait for the engine; whoever has one more waits.
const EVENTS_MAX: usize = 256;

/// The site is looked at this often, in real time; four times as often where time runs faster.
const LOOK_EVERY: RealDuration = RealDuration::from_secs(1);

/// Why the uplink does not run.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// What is kept of partners cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The listener has no certificate that can be used.
    #[error("ocpi.certificate_file and ocpi.key_file: {0}")]
    Tls(#[from] TlsError),
    /// The listener cannot be opened.
    #[error("cannot listen for partners on {address}: {source}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system has no more threads.
    #[error("cannot start the thread of the partners: {0}")]
    Thread(std::io::Error),
}

/// A running uplink. Dropping it stops it.
#[derive(Debug)]
pub struct Uplink {
    /// Where partners connect.
    pub address: Option<SocketAddr>,
    /// `https` where the listener speaks TLS itself, else `http`.
    pub scheme: &'static str,
    /// Where people put what they want of partners.
    pub wishes: mpsc::Sender<PartnerWish>,
    /// Takes snapshots of what is kept of partners.
    pub reader: PartnerReader,
    events: mpsc::Sender<Event>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Looks after the certificate.
    renewal: Option<Renewal>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Uplink {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.renewal = None;
        // The thread uses the runtime, which may end next: it is waited for. Where its queue is
        // full it ends with the last sender.
        if self.events.try_send(Event::Stop).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // An error means that it has panicked, which is in the log.
            let _ = thread.join();
        }
    }
}

/// What an uplink is started with.
#[derive(Debug)]
pub struct UplinkOptions<'a> {
    /// The daemon.
    pub handle: &'a Handle,
    /// Partners and what the site is to them.
    pub ocpi: Ocpi,
    /// Where to listen; none = closed.
    pub address: Option<SocketAddr>,
    /// Certificate and key of the listener; none = it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The data directory.
    pub data: &'a Path,
    /// The time of the daemon's world.
    pub clock: Clock,
}

/// Tells people that the door of partners is crowded.
fn crowded(handle: &Handle) -> Tell {
    let handle = handle.clone();
    Arc::new(move |words| {
        let handle = handle.clone();
        tokio::spawn(async move {
            handle.tell(EventKind::Crowded, "ocpi".to_owned(), words).await;
        });
    })
}

/// Opens the file and the listener, and starts.
pub async fn start(options: UplinkOptions<'_>) -> Result<Uplink, UplinkError> {
    let UplinkOptions { handle, mut ocpi, address, tls, data, clock } = options;
    let (store, kept, problem) = PartnerStore::open(data)?;
    if let Some(problem) = problem {
        log::error!("{problem}");
    }
    let reader = store.reader();
    let (events, arrivals) = mpsc::channel(EVENTS_MAX);
    let (requests, incoming) = mpsc::channel(EVENTS_MAX);
    let (wishes, wished) = mpsc::channel(8);
    let mut tasks = Vec::new();
    let mut bound = None;
    let tls = tls.map(Tls::load).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    if let Some(address) = address {
        let tell = crowded(handle);
        let listening = partner::listen(address, tls.clone(), requests, tell).await;
        let (task, opened) = listening.map_err(|source| UplinkError::Listen { address, source })?;
        tasks.push(task);
        bound = Some(opened);
        if ocpi.public_url.ends_with(":0") {
            // A port that the system chose; only tests and the demonstration do this.
            ocpi.public_url = format!("{scheme}://{opened}");
        }
    }
    let (asks, asked) = mpsc::channel(EVENTS_MAX);
    let (reloads, reloaded) = mpsc::channel(4);
    handle.field.join(asks, wishes.clone(), reloads);
    let active = ocpi.partners.iter().any(|partner| partner.gateway);
    tasks.push(tokio::spawn(carry_asks(asked, events.clone(), handle.clone(), active)));
    let ocpi = Arc::new(ocpi);
    tasks.extend([
        tokio::spawn(carry_requests(incoming, events.clone())),
        tokio::spawn(carry_wishes(wished, events.clone())),
        tokio::spawn(carry_reloads(reloaded, events.clone(), ocpi.public_url.clone())),
        tokio::spawn(look(handle.clone(), events.clone(), clock.speed())),
    ]);
    let look_after = |tls| handle.field.look_after(tls, "ocpi certificate", clock.clone());
    let renewal = tls.map(look_after);
    let runtime = tokio::runtime::Handle::current();
    let daemon = handle.clone();
    let ends = events.clone();
    let begin = move || {
        let weak = events.downgrade();
        drop(events);
        let world = World::new(ocpi, &kept, store, daemon, clock, weak, runtime);
        world.run(arrivals);
    };
    let thread = std::thread::Builder::new().name("ocpi".to_owned()).spawn(begin);
    let thread = Some(thread.map_err(UplinkError::Thread)?);
    Ok(Uplink { address: bound, scheme, wishes, reader, events: ends, thread, renewal, tasks })
}

async fn carry_requests(mut incoming: mpsc::Receiver<Incoming>, events: mpsc::Sender<Event>) {
    while let Some((request, reply)) = incoming.recv().await {
        if events.send(Event::Request(request, reply)).await.is_err() {
            return;
        }
    }
}

/// Hands changed configurations on. A port that the system chose stays.
async fn carry_reloads(
    mut reloaded: mpsc::Receiver<Ocpi>,
    events: mpsc::Sender<Event>,
    public_url: String,
) {
    while let Some(mut ocpi) = reloaded.recv().await {
        if ocpi.public_url.ends_with(":0") {
            ocpi.public_url = public_url.clone();
        }
        if events.send(Event::Reload(Box::new(ocpi))).await.is_err() {
            return;
        }
    }
}

async fn carry_wishes(mut wished: mpsc::Receiver<PartnerWish>, events: mpsc::Sender<Event>) {
    while let Some((wish, reply)) = wished.recv().await {
        if events.send(Event::Person(wish, reply)).await.is_err() {
            return;
        }
    }
}

async fn carry_asks(
    mut asked: mpsc::Receiver<PartnerAsk>,
    events: mpsc::Sender<Event>,
    daemon: Handle,
    active: bool,
) {
    daemon.request(Order::AskPartners { active }).await;
    while let Some(ask) = asked.recv().await {
        if events.send(Event::Ask(ask)).await.is_err() {
            return;
        }
    }
}

/// Hands the newest picture of the site over, once a second.
async fn look(handle: Handle, events: mpsc::Sender<Event>, speed: f64) {
    let every = if 1.5 < speed { LOOK_EVERY / 4 } else { LOOK_EVERY };
    let view = handle.view.clone();
    loop {
        let picture = view.borrow().clone();
        if events.send(Event::View(picture)).await.is_err() {
            return;
        }
        tokio::time::sleep(every).await;
    }
}
