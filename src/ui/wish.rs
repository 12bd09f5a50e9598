//! What a driver wants, as people write it: in a form, as JSON, on the command line. One reading
//! for all three; whether it makes sense is said by the controller.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::controller::message::{Answer, Order};
use crate::controller::view::{PreferenceView, View};
use crate::ground::ids::{EvseId, SessionId};
use crate::ground::units::WattHours;
use crate::ground::zone::Zone;
use crate::model::preference::{PreferenceSource, StateOfCharge, Wish};

use super::api::{Named, known};
use super::order;
use super::state::Shared;
use super::trouble::Trouble;

/// A wish with units in its names. What is absent is not said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// Energy from the start of the session to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_kwh: Option<f64>,
    /// State of charge on arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soc_arrival_percent: Option<f64>,
    /// State of charge that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soc_target_percent: Option<f64>,
    /// Usable capacity of the battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_kwh: Option<f64>,
    /// `17:30` (the next one by the clock of the site), `2019-03-01T17:30` or RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub departure: Option<String>,
}

/// A wish for one EVSE, and who says it.
pub struct Said {
    /// The EVSE.
    pub evse: EvseId,
    /// The session that somebody looked at when they said it.
    pub session: Option<SessionId>,
    /// What is wanted; empty to take back what was said.
    pub wish: Wish,
    /// Who says it.
    pub source: PreferenceSource,
}

impl Wanted {
    /// The same in the words of the model, with times by the clock of the site.
    pub fn wish(&self, view: &View) -> Result<Wish, Trouble> {
        let watt_hours = |kwh: f64| WattHours::from_f64(kwh * 1000.0);
        let charge = match (self.soc_arrival_percent, self.soc_target_percent) {
            (Some(arrival_percent), Some(target_percent)) => Some(StateOfCharge {
                arrival_percent,
                target_percent,
                capacity_wh: self.battery_kwh.map(watt_hours),
            }),
            (None, None) if self.battery_kwh.is_none() => None,
            _ => {
                let expected = "the state of charge on arrival and the one that is wanted, both in \
                                percent, and the battery in kWh where it is known";
                return Err(unclear("half a state of charge", expected));
            }
        };
        let departure = match self.departure.as_deref().map(str::trim) {
            None => None,
            Some(text) => {
                let zone = Zone::new(&view.zone);
                let Some(now) = view.at else {
                    let error = "the clock of the site is not set yet";
                    return Err(unclear(error, "no departure, or another try in some minutes"));
                };
                let moment = zone.moment(text, now);
                let error = || format!("a departure at \"{text}\"");
                Some(moment.ok_or_else(|| unclear(error(), "a time like 17:30"))?)
            }
        };
        Ok(Wish { energy_wh: self.energy_kwh.map(watt_hours), charge, departure })
    }
}

fn unclear(error: impl Into<String>, expected: impl Into<String>) -> Trouble {
    Trouble::new(StatusCode::UNPROCESSABLE_ENTITY, error, expected)
}

/// Tells the controller what is wanted and waits until the view shows it.
pub async fn say(shared: &Shared, said: Said) -> Result<Option<PreferenceView>, Trouble> {
    let Said { evse, session, wish, source } = said;
    let id = evse.as_str().to_owned();
    let order = match wish.is_empty() {
        true => Order::ClearPreference { evse, session, source },
        false => Order::Prefer { evse, session, wish, source },
    };
    let expected = "an energy, a state of charge or a departure for a car that is plugged in";
    order::give(shared, order, order::AT_ONCE, expected).await?;
    let shown = |view: &View| {
        let known = view.evses.iter().find(|known| known.id == id);
        known.and_then(|known| known.preference.clone())
    };
    let view = shared.until(|view| wished(shown(view)) == wish).await;
    Ok(shown(&view))
}

fn wished(preference: Option<PreferenceView>) -> Wish {
    preference.map_or_else(Wish::default, |known| Wish {
        energy_wh: known.energy_wh,
        charge: known.charge,
        departure: known.departure,
    })
}

/// `GET /api/v1/evses/{id}/preference`
pub async fn read(
    State(shared): State<Arc<Shared>>,
    id: Named,
) -> Result<Json<Option<PreferenceView>>, Trouble> {
    Ok(Json(known(&shared.view(), id)?.preference))
}

/// `PUT /api/v1/evses/{id}/preference`
pub async fn put(
    State(shared): State<Arc<Shared>>,
    id: Named,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Result<Json<Option<PreferenceView>>, Trouble> {
    let view = shared.view();
    let evse = EvseId::new(&known(&view, id)?.id);
    let Json(wanted) = body.map_err(|error| {
        let expected = "JSON with energy_kwh, soc_arrival_percent, soc_target_percent, \
                        battery_kwh, departure, each optional";
        Trouble::new(StatusCode::BAD_REQUEST, error.body_text(), expected)
    })?;
    let wish = wanted.wish(&view)?;
    if wish.is_empty() {
        let expected = "an energy, a state of charge or a departure; DELETE takes back";
        return Err(unclear("nothing was said", expected));
    }
    let said = Said { evse, session: None, wish, source: PreferenceSource::Operator };
    say(&shared, said).await.map(Json)
}

/// `DELETE /api/v1/evses/{id}/preference`
pub async fn delete(State(shared): State<Arc<Shared>>, id: Named) -> Result<Json<Answer>, Trouble> {
    let evse = EvseId::new(&known(&shared.view(), id)?.id);
    let (wish, source) = (Wish::default(), PreferenceSource::Operator);
    say(&shared, Said { evse, session: None, wish, source }).await?;
    Ok(Json(Answer::Done))
}
