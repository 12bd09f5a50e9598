//! What chargers have uploaded, over the API and as a plain page.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::controller::view::View;
use crate::model::upload::UploadedFile;

use super::api::Named;
use super::badge::{Badge, Offer};
use super::entry::Visit;
use super::html::Html as Markup;
use super::page;
use super::security::Files;
use super::state::Shared;
use super::table;
use super::trouble::Trouble;
use super::words::Calendar;

/// All files, newest first.
#[derive(Debug, Serialize, Deserialize)]
pub struct Uploaded {
    /// Newest first.
    pub uploads: Vec<UploadedFile>,
}

/// `GET /api/v1/uploads`
pub async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<Uploaded>, Trouble> {
    let uploads = with(&shared, |files| (files.list)()).await?;
    Ok(Json(Uploaded { uploads }))
}

/// `GET /api/v1/uploads/{name}`
pub async fn read(
    State(shared): State<Arc<Shared>>,
    name: Named,
) -> Result<impl IntoResponse, Trouble> {
    let name = name.map(|name| name.0).unwrap_or_default();
    let asked = name.clone();
    let bytes = with(&shared, move |files| (files.read)(&asked)).await?;
    let bytes = bytes.ok_or_else(|| none(&name))?;
    // The name has harmless letters alone, or it would not have been found.
    let attached = format!("attachment; filename=\"{name}\"");
    let kind = "application/octet-stream".to_owned();
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, attached)], bytes))
}

/// `DELETE /api/v1/uploads/{name}`
pub async fn remove(State(shared): State<Arc<Shared>>, name: Named) -> Result<StatusCode, Trouble> {
    let name = name.map(|name| name.0).unwrap_or_default();
    let asked = name.clone();
    match with(&shared, move |files| (files.remove)(&asked)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(none(&name)),
    }
}

/// `GET /uploads`
pub async fn page(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
) -> Result<Response, Trouble> {
    let uploads = with(&shared, |files| (files.list)()).await?;
    Ok(Html(drawn(&shared.view(), &uploads, &visit.badge()).into_string()).into_response())
}

/// The page of what chargers have uploaded.
pub fn drawn(view: &View, uploads: &[UploadedFile], badge: &Badge) -> Markup {
    let calendar = Calendar::new(&view.zone);
    let mut out = page::opened(view, "/live", "Files of chargers", badge);
    out.add("<nav class=\"back\"><a href=\"/\">← {}</a></nav>", &[&view.site]);
    out.add("<section class=\"list uploads\"><h2>Files of chargers</h2>", &[]);
    if uploads.is_empty() {
        table::nothing(&mut out, "No charger has uploaded anything.");
    } else {
        table::head(&mut out, "Files of chargers", &["File", "Came", "Bytes"]);
        for file in uploads {
            let (route, name) = ("/api/v1/uploads/{name}", file.name.as_str());
            let offer = Offer { method: "GET", route, of: name, title: "Read files" };
            let received = file.received.map(|at| calendar.short(at, None)).unwrap_or_default();
            out.add("<tr><th scope=\"row\" data-label=\"File\">", &[]);
            match badge.may(&offer) {
                true => out.add("<a href=\"{}\">{}</a>", &[&offer.address(), &file.name]),
                false => out.text(&file.name),
            }
            out.add("</th>", &[]);
            out.add(
                "<td data-label=\"Came\">{}</td>\
                 <td data-label=\"Bytes\" class=\"number\">{}</td></tr>",
                &[&received, &file.bytes],
            );
        }
        out.add("</tbody></table></div>", &[]);
        let (route, title) = ("/api/v1/uploads/{name}", "Read files");
        badge.withheld(&mut out, &[Offer { method: "GET", route, of: "", title }]);
    }
    out.add("</section>", &[]);
    page::closed(out, badge)
}

/// Reads or changes files on a thread that may block.
async fn with<T: Send + 'static>(
    shared: &Shared,
    what: impl FnOnce(&Files) -> Result<T, String> + Send + 'static,
) -> Result<T, Trouble> {
    let files = shared.security.files.clone();
    let done = tokio::task::spawn_blocking(move || what(&files)).await;
    done.unwrap_or_else(|error| Err(error.to_string())).map_err(|why| {
        Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, why, "a data directory that can be read")
    })
}

fn none(name: &str) -> Trouble {
    let error = format!("there is no file \"{name}\"");
    Trouble::new(StatusCode::NOT_FOUND, error, "one of the names in /api/v1/uploads")
}
