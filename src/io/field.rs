//! What other parts of the program may do beside the loop: stand for a charge point, put inputs in,
//! and take the questions about tokens that the site does not know.

use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::Config;
use crate::config::broker::Broker;
use crate::controller::message::Input;
use crate::controller::view::View;
use crate::ground::ids::{ChargePointId, EvseId, IdToken};
use crate::model::partner::{Ocpi, PartnerState};
use crate::ocpi::engine::desk::Wish;

use super::clock::Clock;
use super::inbox::Inbox;
use super::renewal::Renewal;
use super::roster::Roster;
use super::tls::Tls;
use super::websocket::{Attached, Links};

/// What a person wants of a partner, with the place for its answer.
type PartnerWish = (Wish, oneshot::Sender<Result<String, String>>);

/// A charger asks about a token that the site does not know.
#[derive(Clone, Debug)]
pub struct PartnerAsk {
    /// For the answer by [`Order::Vouch`](crate::controller::message::Order::Vouch).
    pub ask: u64,
    /// Which.
    pub token: IdToken,
    /// Where, if that is known.
    pub evse: Option<EvseId>,
}

/// Where pictures are put in and where people see the latest. In a task of its own: whoever looks
/// at a picture for long must not hold up the loop.
pub fn publisher(first: View) -> (mpsc::Sender<Arc<View>>, watch::Receiver<Arc<View>>) {
    let (published, view) = watch::channel(Arc::new(first));
    let (pictures, mut drawn) = mpsc::channel::<Arc<View>>(1);
    tokio::spawn(async move {
        while let Some(picture) = drawn.recv().await {
            published.send_replace(picture);
        }
    });
    (pictures, view)
}

/// The loop's surroundings; cheap to clone.
#[derive(Clone, Debug)]
pub struct Field {
    links: Links,
    inbox: Inbox,
    uplink: Arc<OnceLock<Uplink>>,
    partners: Arc<watch::Sender<Vec<PartnerState>>>,
    broker: Arc<watch::Sender<Option<Broker>>>,
}

/// The ways to the uplink.
#[derive(Clone, Debug)]
struct Uplink {
    asks: mpsc::Sender<PartnerAsk>,
    wishes: mpsc::Sender<PartnerWish>,
    reloads: mpsc::Sender<Ocpi>,
}

impl Field {
    /// Without an uplink so far.
    pub fn new(links: Links, inbox: Inbox, config: &Config) -> Self {
        let partners = Arc::new(watch::Sender::new(Vec::new()));
        let broker = Arc::new(watch::Sender::new(config.mqtt.clone()));
        Self { links, inbox, uplink: Arc::default(), partners, broker }
    }

    /// There is an uplink: it takes questions about tokens, what people want of partners, and
    /// changed configurations.
    pub fn join(
        &self,
        asks: mpsc::Sender<PartnerAsk>,
        wishes: mpsc::Sender<PartnerWish>,
        reloads: mpsc::Sender<Ocpi>,
    ) {
        // A second uplink of one daemon would find the place taken; there is only ever one.
        let _ = self.uplink.set(Uplink { asks, wishes, reloads });
    }

    /// Another configuration is in force. The uplink gets its part, if it is another; OCPI itself
    /// begins and ends only with a restart.
    pub fn reconfigure(&self, before: &Config, after: &Config) {
        self.broker.send_if_modified(|known| {
            let is_news = *known != after.mqtt;
            known.clone_from(&after.mqtt);
            is_news
        });
        let (before, ocpi) = (before.ocpi.as_ref(), after.ocpi.as_ref());
        if before == ocpi {
            return;
        }
        let taken = match (self.uplink.get(), ocpi) {
            (Some(uplink), Some(ocpi)) => uplink.reloads.try_send(ocpi.clone()).is_ok(),
            _ => false,
        };
        if !taken {
            log::warn!("OCPI begins or ends only with a restart");
        }
    }

    /// The broker of the configuration in force, for what is told.
    pub fn broker(&self) -> watch::Receiver<Option<Broker>> {
        self.broker.subscribe()
    }

    /// How the links to partners are at this moment.
    pub fn partners(&self) -> watch::Receiver<Vec<PartnerState>> {
        self.partners.subscribe()
    }

    /// The links to partners are like this.
    pub fn show_partners(&self, states: Vec<PartnerState>) {
        self.partners.send_if_modified(|known| {
            let is_news = *known != states;
            *known = states;
            is_news
        });
    }

    /// Where people put what they want of partners; none without an uplink.
    pub fn wishes(&self) -> Option<mpsc::Sender<PartnerWish>> {
        self.uplink.get().map(|uplink| uplink.wishes.clone())
    }

    /// Asks the partners. Without an uplink, or with one that is busy, the site decides alone.
    pub fn ask(&self, ask: PartnerAsk) {
        if let Some(uplink) = self.uplink.get() {
            let _ = uplink.asks.try_send(ask);
        }
    }

    /// Looks after a certificate: what is to be said of it is told under this name.
    pub fn look_after(&self, tls: Tls, about: &'static str, clock: Clock) -> Renewal {
        Renewal::of_certificate(tls, about, self.inbox.clone(), clock)
    }

    /// Looks after the users of page and API.
    pub fn look_after_users(&self, roster: Roster, clock: Clock) -> Renewal {
        Renewal::of_users(roster, self.inbox.clone(), clock)
    }

    /// A link without a socket, for a charge point that a partner owns.
    pub async fn attach(&self, charge_point: &ChargePointId) -> Option<Attached> {
        self.links.attach(charge_point, &self.inbox).await
    }

    /// Puts an input into the one channel; false when the daemon is stopping.
    pub async fn put(&self, input: Input) -> bool {
        self.inbox.put(input).await.is_ok()
    }
}
