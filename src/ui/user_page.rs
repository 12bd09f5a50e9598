//! The pages of users: all of them, for admins, and one's own account, for everybody.
//!
//! What is typed goes to the API as an order. Each user of the list has a key, so that a list that
//! changes under somebody's hands never puts what was typed for one user beside another.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::{Html as Page, IntoResponse, Response};

use crate::controller::view::View;
use crate::model::user::{NAME_MAX, PASSWORD_BYTES_MAX, PASSWORD_MIN, Role, UserLine};

use super::badge::{Badge, Offer};
use super::entry::Visit;
use super::html::Html;
use super::page::{self, Parts};
use super::state::Shared;
use super::table;

const ORDER: Offer<'_> =
    Offer { method: "POST", route: "/api/v1/users", of: "", title: "Change users" };
const OWN: Offer<'_> =
    Offer { method: "POST", route: "/api/v1/password", of: "", title: "Change password" };

/// `GET /users`
pub async fn users(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
) -> Response {
    let users = (shared.security.users.list)();
    Page(everybody(&shared.view(), &users, &visit.badge()).into_string()).into_response()
}

/// `GET /live/users`
pub async fn live(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
) -> Response {
    let (badge, list) = (visit.badge(), shared.security.users.list.clone());
    shared.live.parts(visit.badge(), move |view| parts(view, &list(), &badge))
}

/// `GET /account`
pub async fn account(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
) -> Response {
    Page(own(&shared.view(), &visit.badge()).into_string()).into_response()
}

/// The page of all users.
pub fn everybody(view: &View, users: &[UserLine], badge: &Badge) -> Html {
    let mut out = page::opened(view, "/live/users", "Users", badge);
    out.add("<nav class=\"back\"><a href=\"/\">← {}</a></nav>", &[&view.site]);
    out.add("<p id=\"answer\" class=\"answer\" role=\"status\"></p>", &[]);
    out.append(&list(users, badge));
    if !users.is_empty() {
        add(&mut out, badge);
    }
    page::closed(out, badge)
}

fn add(out: &mut Html, badge: &Badge) {
    out.add("<section class=\"list\"><h2>A new user</h2>", &[]);
    if badge.form(out, &ORDER, "{\"order\": \"add\"}") {
        out.add(
            "<label>Name <input name=\"name\" required maxlength=\"{}\" autocomplete=\"off\" \
             autocapitalize=\"none\" spellcheck=\"false\"></label> ",
            &[&NAME_MAX],
        );
        roles(out, Role::Viewer);
        password(out, "Password", "password", "new-password");
        password(out, "The same again", "again", "new-password");
        out.add("<button>Add</button></form>", &[]);
    }
    out.add(
        "<dl class=\"about roles\"><div><dt>viewer</dt><dd>reads</dd></div>\
         <div><dt>operator</dt><dd>also runs the site: starts, stops, limits, drills, \
         reservations</dd></div><div><dt>admin</dt><dd>also changes it: settings, firmware, \
         partners, updates, users</dd></div></dl></section>",
        &[],
    );
}

/// What can change on the page of all users.
pub fn parts(view: &View, users: &[UserLine], badge: &Badge) -> Parts {
    vec![
        ("head".to_owned(), page::head(view, badge)),
        ("alert".to_owned(), page::alert(view)),
        ("users".to_owned(), list(users, badge)),
    ]
}

fn list(users: &[UserLine], badge: &Badge) -> Html {
    let mut out = Html::new();
    out.add("<section class=\"list users\" data-part=\"users\"><h2>Users</h2>", &[]);
    if users.is_empty() {
        first(&mut out);
        out.add("</section>", &[]);
        return out;
    }
    table::head(&mut out, "Users", &["Name", "Role", ""]);
    for user in users {
        row(&mut out, user, badge);
    }
    out.add("</tbody></table></div></section>", &[]);
    out
}

fn row(out: &mut Html, user: &UserLine, badge: &Badge) {
    let own = matches!(badge, Badge::Known { name, .. } if *name == user.name.as_str());
    out.add(
        "<tr data-key=\"{}\"><th scope=\"row\" data-label=\"Name\">{}",
        &[&user.name, &user.name],
    );
    if own {
        out.add(" <span class=\"soft\">(you)</span>", &[]);
    }
    out.add("</th><td data-label=\"Role\">{}</td><td class=\"wide\">", &[&user.role]);
    out.add("<details><summary>Change</summary>", &[]);
    change(out, user, own, badge);
    out.add("</details>", &[]);
    out.add("</td></tr>", &[]);
}

fn change(out: &mut Html, user: &UserLine, own: bool, badge: &Badge) {
    let body = |order: &str| format!("{{\"order\": \"{order}\", \"name\": \"{}\"}}", user.name);
    if let Some(why) = &user.fixed {
        out.add("<p class=\"soft\">Role and removal: {}.</p>", &[why]);
    } else if badge.form(out, &ORDER, &body("role")) {
        roles(out, user.role);
        out.add("<button>Change role</button></form>", &[]);
    }
    match own {
        true => out.add("<p><a href=\"/account\">Your own password</a></p>", &[]),
        false if badge.form(out, &ORDER, &body("password")) => {
            password(out, "New password", "password", "new-password");
            password(out, "The same again", "again", "new-password");
            out.add("<button>Change password</button></form>", &[]);
        }
        false => {}
    }
    if user.fixed.is_none() && badge.form(out, &ORDER, &body("remove")) {
        out.add("<button class=\"grave\">Remove {}</button></form>", &[&user.name]);
    }
}

/// One's own account.
pub fn own(view: &View, badge: &Badge) -> Html {
    let mut out = page::opened(view, "/live", "Your account", badge);
    out.add("<nav class=\"back\"><a href=\"/\">← {}</a></nav>", &[&view.site]);
    out.add("<section class=\"sheet\"><h2>Your account</h2>", &[]);
    match badge {
        Badge::Stranger | Badge::NoUsers => first(&mut out),
        Badge::Known { name, role, session } => {
            out.add("<p>You are <b>{}</b>, with the role <b>{}</b>.</p>", &[name, role]);
            if *session {
                another(&mut out, badge);
            }
        }
    }
    out.add("</section>", &[]);
    page::closed(out, badge)
}

fn another(out: &mut Html, badge: &Badge) {
    out.add("<h3>Another password</h3>", &[]);
    if badge.form(out, &OWN, "{}") {
        password(out, "The old one", "before", "current-password");
        password(out, "The new one", "password", "new-password");
        password(out, "The new one again", "again", "new-password");
        out.add("<button>Change password</button></form>", &[]);
    }
    out.add("<p id=\"answer\" class=\"answer\" role=\"status\"></p>", &[]);
    out.add("<p class=\"soft\">It ends what the old one has opened in other browsers.</p>", &[]);
}

/// How the first user is made.
fn first(out: &mut Html) {
    out.add(
        "<p>There are no users: on the box itself the page is open to everybody, and to nobody \
         elsewhere. The first one is made there; from then on everybody has to log in, and admins \
         make others here:</p><p><code>ampgate user add NAME --role admin</code></p>",
        &[],
    );
}

fn roles(out: &mut Html, chosen: Role) {
    out.add("<label>Role <select name=\"role\">", &[]);
    for role in Role::ALL {
        let tag =
            if role == chosen { "<option selected>{}</option>" } else { "<option>{}</option>" };
        out.add(tag, &[&role]);
    }
    out.add("</select></label> ", &[]);
}

fn password(out: &mut Html, label: &'static str, name: &'static str, kind: &'static str) {
    // The old one may be shorter than what is asked for these days.
    let least = if name == "before" { 1 } else { PASSWORD_MIN };
    out.add("<label>{} <input name=\"{}\" type=\"password\" required ", &[&label, &name]);
    out.add("minlength=\"{}\" maxlength=\"{}\" ", &[&least, &PASSWORD_BYTES_MAX]);
    out.add("autocomplete=\"{}\"></label> ", &[&kind]);
}
