//! Signs what chargers ask for (SignCertificate) and sends it to them (CertificateSigned), away
//! from the loop, since it reads files.

use std::path::Path;

use tokio::sync::{mpsc, oneshot};

use crate::controller::message::{Answer, Input, Order};
use crate::ground::ids::ChargePointId;
use crate::ground::time::Utc;
use crate::model::ask::Ask;
use crate::model::event::EventKind;
use crate::model::security::CertificateAsk;

use super::authority::{Authority, CHARGER_DAYS};
use super::gate::Gate;
use super::inbox::Inbox;
use super::websocket::Links;

/// Where orders are put, each with the place of its answer.
pub type Orders = mpsc::Sender<(Order, oneshot::Sender<Answer>)>;

/// Signs for chargers.
#[derive(Clone, Debug)]
pub struct Signer {
    authority: Authority,
    gate: Gate,
    inbox: Inbox,
    orders: Orders,
}

impl Signer {
    /// With the authority in this data directory. Failures are told to `inbox`, certificates are
    /// sent by `orders`.
    pub fn new(data: &Path, links: &Links, inbox: &Inbox, orders: &Orders) -> Self {
        Self {
            authority: Authority::in_data(data),
            gate: links.gate().clone(),
            inbox: inbox.clone(),
            orders: orders.clone(),
        }
    }

    /// Signs and sends, in a task of its own.
    pub fn begin(&self, charge_point: ChargePointId, request: String, now: Option<Utc>) {
        let signer = self.clone();
        tokio::spawn(async move {
            let subject = charge_point.to_string();
            let target = subject.clone();
            let signed = signer.sign(charge_point, request, now);
            match signed.await {
                Ok(chain) => {
                    let ask = Ask::Certificate { certificate: CertificateAsk::Signed { chain } };
                    let (reply, answer) = oneshot::channel();
                    if signer.orders.send((Order::Charger { target, ask }, reply)).await.is_ok() {
                        // What came of it is an event of the controller's.
                        let _ = answer.await;
                    }
                }
                Err(why) => {
                    let kind = EventKind::CertificateRefused;
                    let text = format!("it asked for a certificate: {why}");
                    let _ = signer.inbox.put(Input::Noticed { kind, subject, text }).await;
                }
            }
        });
    }

    async fn sign(
        &self,
        charge_point: ChargePointId,
        request: String,
        now: Option<Utc>,
    ) -> Result<String, String> {
        let now = now.ok_or("the clock is not trusted, and a certificate needs a date")?;
        let other = self.gate.credential(&charge_point).and_then(|own| own.certificate_name);
        let authority = self.authority.clone();
        let signed = tokio::task::spawn_blocking(move || {
            let identity = charge_point.as_str();
            let names: Vec<&str> = std::iter::once(identity).chain(other.as_deref()).collect();
            authority.sign_request(&request, identity, &names, now, CHARGER_DAYS)
        });
        let signed = signed.await.map_err(|error| error.to_string())?;
        signed.map(|(chain, _)| chain).map_err(|error| error.to_string())
    }
}
