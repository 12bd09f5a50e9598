//! What the handlers of page and API share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::controller::message::{Answer, Order};
use crate::controller::view::View;
use crate::model::drivers::PageUrl;
use crate::model::machine::Machine;
use crate::model::partner::PartnerState;

use crate::ocpi::engine::desk::Wish;

use super::history::History;
use super::live::Live;
use super::pass::{DriverDoor, Passes};
use super::security::Counter;
use super::sessions::Sessions;

/// A view older than this, in real time, is no longer the truth.
const FRESH: Duration = Duration::from_secs(5);

/// Looks at the machine and the store.
pub type LookAtMachine = Arc<dyn Fn() -> Machine + Send + Sync>;

/// What a person wants of a partner, with the place for its answer.
pub type PartnerWish = (Wish, oneshot::Sender<Result<String, String>>);
/// A change that was taken is in a view within this real time, as long as the controller lives.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the page and the API stand on.
pub struct UiState {
    /// The newest view. The daemon publishes one at least every second of real time, also when
    /// nothing changes: silence means that the controller hangs.
    pub view: watch::Receiver<Arc<View>>,
    /// Orders of people, each with the place of its answer.
    pub orders: mpsc::Sender<(Order, oneshot::Sender<Answer>)>,
    /// Readers of the past.
    pub history: History,
    /// Who may connect.
    pub security: Counter,
    /// Where people put what they want of partners; none without OCPI.
    pub partners: Option<mpsc::Sender<PartnerWish>>,
    /// How the links to partners are.
    pub partner_states: watch::Receiver<Vec<PartnerState>>,
    /// What the driver pages stand on.
    pub drivers: DriverDoor,
    /// How the machine is.
    pub machine: LookAtMachine,
}

/// What the handlers share.
pub struct Shared {
    view: watch::Receiver<Arc<View>>,
    fresh: AtomicBool,
    /// Streams of changes.
    pub live: Live,
    /// Orders of people.
    pub orders: mpsc::Sender<(Order, oneshot::Sender<Answer>)>,
    /// Readers of the past.
    pub history: History,
    /// Who may connect.
    pub security: Counter,
    /// Where people put what they want of partners; none without OCPI.
    pub partners: Option<mpsc::Sender<PartnerWish>>,
    /// How the links to partners are.
    pub partner_states: watch::Receiver<Vec<PartnerState>>,
    /// How the machine is.
    pub machine: LookAtMachine,
    /// Codes and passes of drivers.
    pub passes: Passes,
    /// Who is logged in at the page.
    pub sessions: Sessions,
    /// Where drivers reach their page.
    pub page_url: Option<PageUrl>,
}

impl Shared {
    /// Over what the daemon gave.
    pub fn new(state: UiState) -> Self {
        Self {
            live: Live::new(state.view.clone()),
            view: state.view,
            fresh: AtomicBool::new(true),
            orders: state.orders,
            history: state.history,
            security: state.security,
            partners: state.partners,
            partner_states: state.partner_states,
            machine: state.machine,
            passes: Passes::new(&state.drivers.secret),
            sessions: Sessions::default(),
            page_url: state.drivers.page_url,
        }
    }

    /// The newest view.
    pub fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// How the links to partners are at this moment.
    pub fn partner_states(&self) -> Vec<PartnerState> {
        self.partner_states.borrow().clone()
    }

    /// The first view that is as wanted, or the newest one after [`PATIENCE`].
    pub async fn until(&self, wanted: impl Fn(&View) -> bool) -> Arc<View> {
        let mut view = self.view.clone();
        let seen = timeout(PATIENCE, view.wait_for(|view| wanted(view))).await;
        match seen {
            Ok(Ok(view)) => view.clone(),
            Ok(Err(_)) | Err(_) => self.view(),
        }
    }

    /// Whether a view came within the last seconds of real time.
    pub fn is_fresh(&self) -> bool {
        self.fresh.load(Ordering::Relaxed)
    }

    /// Notes when views stop coming. Needs no clock: only whether one came in time.
    pub async fn watch_age(&self) {
        let mut view = self.view.clone();
        loop {
            let came = match timeout(FRESH, view.changed()).await {
                Ok(Ok(())) => true,
                Err(_) => false,
                // The controller is gone for good; only the health check has something left to say.
                Ok(Err(_)) => {
                    self.fresh.store(false, Ordering::Relaxed);
                    return std::future::pending().await;
                }
            };
            self.fresh.store(came, Ordering::Relaxed);
        }
    }
}
