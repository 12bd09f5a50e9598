//! What happens when a driver opens a link or sends the form: check, order, and back to the page.

use std::sync::Arc;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use serde::Deserialize;

use crate::controller::view::{EvseView, View};
use crate::ground::ids::{EvseId, SessionId};
use crate::model::preference::{PreferenceSource, Wish};

use super::api::Named;
use super::driver::{self, Fields, Shown};
use super::entry::Visit;
use super::html::segment;
use super::page;
use super::pass::Refused;
use super::qr;
use super::state::Shared;
use super::trouble::Trouble;
use super::wish::{self, Said};

/// What a link carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Link {
    /// The code of the EVSE.
    c: String,
    /// A pass.
    p: String,
    /// A change was just taken.
    noted: Option<String>,
}

type Asked = Result<Query<Link>, QueryRejection>;

/// `GET /d/{id}`: a code is changed for a pass, a pass opens the page.
pub async fn open(
    State(shared): State<Arc<Shared>>,
    id: Named,
    link: Asked,
) -> Result<Response, Missing> {
    let view = shared.view();
    let evse = known(&view, id)?;
    let link = link.map(|Query(link)| link).unwrap_or_default();
    if !link.c.is_empty() {
        return Ok(match shared.passes.admit(&evse.id, &link.c) {
            Ok(pass) => Redirect::to(&address(&evse.id, &pass, "")).into_response(),
            Err(why) => turned_away(&view, &evse.id, why),
        });
    }
    Ok(match shared.passes.check(&evse.id, &link.p) {
        Err(why) => turned_away(&view, &evse.id, why),
        Ok(()) => {
            let shown = Shown { pass: &link.p, noted: link.noted.is_some(), fault: None };
            Html(driver::page(&view, &evse, &shown).into_string()).into_response()
        }
    })
}

/// `POST /d/{id}`: takes the form, and leads back to the page so that loading again sends nothing.
pub async fn send(
    State(shared): State<Arc<Shared>>,
    id: Named,
    form: Result<Form<Fields>, FormRejection>,
) -> Result<Response, Missing> {
    let view = shared.view();
    let evse = known(&view, id)?;
    let fields = form.map(|Form(fields)| fields).unwrap_or_default();
    let allowed = shared.passes.check(&evse.id, &fields.pass);
    if let Err(why) = allowed.and_then(|()| shared.passes.change(&evse.id)) {
        return Ok(turned_away(&view, &evse.id, why));
    }
    Ok(match take(&shared, &view, &evse, &fields).await {
        Ok(()) => Redirect::to(&address(&evse.id, &fields.pass, "&noted=1")).into_response(),
        Err(why) => {
            let pass = fields.pass.clone();
            let shown = Shown { pass: &pass, noted: false, fault: Some((why, fields)) };
            let page = Html(driver::page(&view, &evse, &shown).into_string());
            (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
        }
    })
}

async fn take(
    shared: &Shared,
    view: &View,
    evse: &EvseView,
    fields: &Fields,
) -> Result<(), String> {
    let words = |trouble: Trouble| trouble.error().to_owned();
    let wish = match fields.act == "clear" {
        true => Wish::default(),
        false => {
            let wish = fields.wanted()?.wish(view).map_err(words)?;
            if wish.is_empty() {
                return Err("nothing was filled in".to_owned());
            }
            wish
        }
    };
    let session = fields.session.parse().ok().map(SessionId);
    let (evse, source) = (EvseId::new(&evse.id), PreferenceSource::Driver);
    wish::say(shared, Said { evse, session, wish, source }).await.map_err(words)?;
    Ok(())
}

/// `GET /evse/{id}/qr`: the page to print.
pub async fn poster(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    id: Named,
    headers: HeaderMap,
) -> Result<Response, Missing> {
    let view = shared.view();
    let evse = known(&view, id)?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (origin, reachable) = match &shared.page_url {
        Some(url) => (url.origin().to_owned(), true),
        None if visit.tls => (format!("https://{host}"), true),
        None => (format!("http://{host}"), false),
    };
    let code = shared.passes.code(&evse.id);
    let link = qr::Link { origin: &origin, code: &code, reachable };
    Ok(Html(qr::page(&view, &evse, &link, &visit.badge()).into_string()).into_response())
}

/// A page that says that there is no such EVSE.
pub struct Missing(String);

impl IntoResponse for Missing {
    fn into_response(self) -> Response {
        (StatusCode::NOT_FOUND, Html(self.0)).into_response()
    }
}

/// The EVSE of this name, or the page that says that there is none.
pub fn known(view: &View, id: Named) -> Result<EvseView, Missing> {
    let missing = |trouble: Trouble| Missing(page::missing(trouble.error()).into_string());
    super::api::known(view, id).map_err(missing)
}

fn turned_away(view: &View, evse: &str, why: Refused) -> Response {
    let status = match why {
        Refused::Stale => StatusCode::FORBIDDEN,
        Refused::TooOften => StatusCode::TOO_MANY_REQUESTS,
    };
    (status, Html(driver::refused(view, evse, why).into_string())).into_response()
}

fn address(evse: &str, pass: &str, more: &'static str) -> String {
    format!("/d/{}?p={}{more}", segment(evse), segment(pass))
}
