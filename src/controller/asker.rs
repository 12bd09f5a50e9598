//! Who waits for the outcome of an ask.

use std::collections::BTreeMap;

use crate::ground::ids::{ChargePointId, RequestId};
use crate::model::ask::AskId;
use crate::model::campaign::CampaignId;
use crate::model::reservation::ReservationId;

/// Who wants to know what came of an ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Asker {
    /// A person, by the request that waits for an answer.
    Person {
        /// The request.
        request: RequestId,
        /// What was asked of whom, for the event.
        what: String,
    },
    /// A reservation that a person waits for.
    Reservation {
        /// Which.
        id: ReservationId,
        /// The request.
        request: RequestId,
    },
    /// A firmware campaign, for one of its chargers.
    Campaign {
        /// Which.
        id: CampaignId,
        /// Which charger of it.
        charge_point: ChargePointId,
    },
    /// The controller, for a car at a free EVSE.
    Free,
    /// Nobody: it is tried, and nothing follows.
    Nobody,
}

/// The asks that wait for their outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asks {
    /// The number of the newest.
    pub last: u64,
    /// Those that wait, each with its subject.
    pub open: BTreeMap<AskId, (String, Asker)>,
}
