//! What reaches the thread that owns the engine.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::controller::view::View;
use crate::ground::ids::EvseId;
use crate::io::field::PartnerAsk;
use crate::model::partner::Ocpi;
use crate::ocpi::engine::desk::{Input, Wish};
use crate::ocpi::http::{OcpiRequest, OcpiResponse};

/// What the controller did to one of the links.
pub struct Heard {
    /// At which EVSE.
    pub evse: EvseId,
    /// What.
    pub what: What,
}

/// What the controller does to a link.
pub enum What {
    /// It took it for a charger's.
    Up,
    /// It sent a frame.
    Frame(String),
}

/// What reaches the thread.
pub enum Event {
    /// For the engine as it is.
    Input(Input),
    /// A partner asks.
    Request(OcpiRequest, oneshot::Sender<OcpiResponse>),
    /// A person wants something.
    Person(Wish, oneshot::Sender<Result<String, String>>),
    /// The site as it is.
    View(Arc<View>),
    /// A charger of ours asks whether a token may charge.
    Ask(PartnerAsk),
    /// It is over.
    Stop,
    /// Another configuration.
    Reload(Box<Ocpi>),
    /// The controller spoke to a charge point of a partner.
    Bridge(Heard),
}
