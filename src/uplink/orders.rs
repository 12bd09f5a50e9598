//! Orders of partners as orders to the daemon, and what became of them.

use tokio::sync::oneshot;

use crate::controller::message::{Answer, Order};
use crate::controller::view::View;
use crate::daemon::Handle;
use crate::ground::ids::{EvseId, IdToken, SessionId};
use crate::ground::units::Amps;
use crate::model::preference::{PreferenceSource, Wish};
use crate::ocpi::engine::desk::{OrderOutcome, SiteOrder};

/// A charger of ours asks whether a token may charge.
pub struct Question {
    /// Which.
    pub token: IdToken,
    /// Where, if that is known.
    pub evse: Option<EvseId>,
    /// For the answer.
    pub reply: oneshot::Sender<bool>,
}

/// Gives an order to the daemon and waits for what becomes of it.
pub fn carry(
    daemon: &Handle,
    view: Option<&View>,
    wanted: SiteOrder,
) -> impl Future<Output = OrderOutcome> + Send + use<> {
    let daemon = daemon.clone();
    let order = translate(view, wanted);
    async move {
        match order {
            Err(outcome) => outcome,
            Ok(order) => outcome(daemon.request(order).await),
        }
    }
}

/// The EVSE that a session of the picture runs at.
fn evse_of(view: Option<&View>, session: u64) -> Option<EvseId> {
    let running = view?.sessions.iter().find(|one| one.id == session && one.ended.is_none())?;
    Some(EvseId::new(&running.evse))
}

fn translate(view: Option<&View>, wanted: SiteOrder) -> Result<Order, OrderOutcome> {
    match wanted {
        SiteOrder::Bound { evse, partner, limit_a, lasts } => {
            let limit = limit_a.map(Amps::from_f64);
            Ok(Order::PartnerLimit { evse, partner, limit, lasts })
        }
        SiteOrder::Prefer(wanted) => {
            let evse = evse_of(view, wanted.session.0).ok_or(OrderOutcome::Rejected)?;
            Ok(Order::Prefer {
                evse,
                session: Some(SessionId(wanted.session.0)),
                wish: Wish {
                    energy_wh: wanted.energy_wh,
                    charge: wanted.charge,
                    departure: wanted.departure,
                },
                source: PreferenceSource::Partner,
            })
        }
        _ => Err(OrderOutcome::NotSupported),
    }
}

fn outcome(answer: Answer) -> OrderOutcome {
    match answer {
        Answer::Done => OrderOutcome::Accepted,
        Answer::Refused { .. } => OrderOutcome::Rejected,
    }
}
