//! Orders of partners as orders to the daemon, and what became of them.

use crate::controller::message::{Answer, Order};
use crate::controller::view::View;
use crate::daemon::Handle;
use crate::ground::ids::{EvseId, IdToken, SessionId};
use crate::ground::units::Amps;
use crate::model::ask::Ask;
use crate::model::preference::{PreferenceSource, Wish};
use crate::ocpi::engine::desk::{OrderOutcome, SiteOrder};

/// Gives an order to the daemon and waits for what becomes of it.
pub fn carry(
    daemon: &Handle,
    view: Option<&View>,
    wanted: SiteOrder,
) -> impl Future<Output = OrderOutcome> + Send + use<> {
    let daemon = daemon.clone();
    let vouched = match &wanted {
        SiteOrder::Start { token, .. } | SiteOrder::Reserve { token, .. } => Some(token.clone()),
        _ => None,
    };
    let order = translate(view, wanted);
    async move {
        let order = match order {
            Err(outcome) => return outcome,
            Ok(order) => order,
        };
        if let Some(token) = vouched {
            // The charger may ask about it, or start without asking.
            vouch(&daemon, None, token, true).await;
        }
        outcome(&daemon.request(order).await)
    }
}

/// Tells the daemon the partners' word on a token.
pub async fn vouch(daemon: &Handle, ask: Option<u64>, token: IdToken, accepted: bool) {
    daemon.request(Order::Vouch { ask, token, accepted }).await;
}

/// The EVSE that a session of the picture runs at.
fn evse_of(view: Option<&View>, session: u64) -> Option<EvseId> {
    let running = view?.sessions.iter().find(|one| one.id == session && one.ended.is_none())?;
    Some(EvseId::new(&running.evse))
}

fn translate(view: Option<&View>, wanted: SiteOrder) -> Result<Order, OrderOutcome> {
    let charger = |evse: &EvseId, ask: Ask| Order::Charger { target: evse.to_string(), ask };
    match wanted {
        SiteOrder::Bound { evse, partner, limit_a, lasts } => {
            let limit = limit_a.map(Amps::from_f64);
            Ok(Order::PartnerLimit { evse, partner, limit, lasts })
        }
        SiteOrder::Start { evse, token } => Ok(charger(&evse, Ask::Start { token })),
        SiteOrder::Stop { session } => {
            let evse = evse_of(view, session).ok_or(OrderOutcome::Rejected)?;
            Ok(charger(&evse, Ask::Stop { transaction: None }))
        }
        SiteOrder::Unlock { evse } => Ok(charger(&evse, Ask::Unlock)),
        SiteOrder::Reserve { evse, reservation: _, token, until } => {
            Ok(Order::Reserve { target: evse.to_string(), token, group: None, until })
        }
        SiteOrder::Cancel { evse, reservation: _ } => {
            // By its place: the view may not have it yet when a partner is quick.
            Ok(Order::CancelReservationOf { target: evse.to_string() })
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
    }
}

fn outcome(answer: &Answer) -> OrderOutcome {
    let outcome = match answer {
        Answer::Done => return OrderOutcome::Accepted,
        Answer::Refused { .. } => return OrderOutcome::Rejected,
        Answer::Charger { outcome } if outcome.accepted => return OrderOutcome::Accepted,
        Answer::Charger { outcome } => outcome,
    };
    match outcome.status.as_str() {
        "Occupied" => OrderOutcome::Occupied,
        "Faulted" | "Unavailable" => OrderOutcome::Inoperative,
        "UnlockFailed" => OrderOutcome::Failed,
        "NotSupported" | "NotImplemented" => OrderOutcome::NotSupported,
        // It gave no word at all: no answer, or no connection.
        "" => OrderOutcome::Timeout,
        _ => OrderOutcome::Rejected,
    }
}
