//! What each page and each part of the API asks of whoever wants it. One table; what is not in it
//! is for admins alone.
//!
//! Reading is for viewers, running the site for operators, changing what the site is for admins.
//! Orders to chargers go through one address; [`of_ask`] tells them apart.

use axum::http::Method;

use crate::model::ask::Ask;
use crate::model::user::Role;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: assets, the way in, the health check, and the pages of drivers, which have a door
    /// of their own.
    Nothing,
    /// This role, or one that may more.
    Role(Role),
}

const NOTHING: Need = Need::Nothing;
const VIEWER: Need = Need::Role(Role::Viewer);
const OPERATOR: Need = Need::Role(Role::Operator);
const ADMIN: Need = Need::Role(Role::Admin);

/// Every way to ask for something.
const TABLE: &[(&str, &str, Need)] = &[
    ("GET", "/assets/page.css", NOTHING),
    ("GET", "/assets/page.js", NOTHING),
    ("GET", "/assets/mark.svg", NOTHING),
    ("GET", "/login", NOTHING),
    ("POST", "/login", NOTHING),
    ("POST", "/logout", NOTHING),
    ("GET", "/d/{id}", NOTHING),
    ("POST", "/d/{id}", NOTHING),
    ("GET", "/healthz", NOTHING),
    ("GET", "/metrics", VIEWER),
    ("GET", "/", VIEWER),
    ("GET", "/live", VIEWER),
    ("GET", "/evse/{id}", VIEWER),
    ("GET", "/live/evse/{id}", VIEWER),
    ("GET", "/uploads", VIEWER),
    ("GET", "/account", VIEWER),
    ("GET", "/users", ADMIN),
    ("GET", "/live/users", ADMIN),
    // Whoever has the code of an EVSE may say what its car needs.
    ("GET", "/evse/{id}/qr", OPERATOR),
    ("GET", "/api/v1/openapi.json", VIEWER),
    ("GET", "/api/v1/site", VIEWER),
    ("GET", "/api/v1/live", VIEWER),
    ("GET", "/api/v1/evses", VIEWER),
    ("GET", "/api/v1/evses/{id}", VIEWER),
    ("GET", "/api/v1/evses/{id}/explain", VIEWER),
    ("GET", "/api/v1/evses/{id}/setpoints", VIEWER),
    ("GET", "/api/v1/evses/{id}/readings", VIEWER),
    ("POST", "/api/v1/evses/{id}/meter-now", OPERATOR),
    ("GET", "/api/v1/evses/{id}/preference", VIEWER),
    ("PUT", "/api/v1/evses/{id}/preference", OPERATOR),
    ("DELETE", "/api/v1/evses/{id}/preference", OPERATOR),
    ("POST", "/api/v1/evses/{id}/drill", OPERATOR),
    ("GET", "/api/v1/sessions", VIEWER),
    ("GET", "/api/v1/events", VIEWER),
    ("GET", "/api/v1/meters", VIEWER),
    ("GET", "/api/v1/plan", VIEWER),
    ("GET", "/api/v1/forecasts", VIEWER),
    ("POST", "/api/v1/forget", ADMIN),
    // And more, by what is asked: see `of_ask`.
    ("POST", "/api/v1/remote", OPERATOR),
    ("GET", "/api/v1/reservations", VIEWER),
    ("POST", "/api/v1/reservations", OPERATOR),
    ("POST", "/api/v1/reservations/{id}/cancel", OPERATOR),
    ("GET", "/api/v1/uploads", VIEWER),
    ("GET", "/api/v1/uploads/{name}", OPERATOR),
    ("DELETE", "/api/v1/uploads/{name}", OPERATOR),
    ("GET", "/api/v1/firmware", VIEWER),
    ("POST", "/api/v1/firmware", ADMIN),
    ("POST", "/api/v1/firmware/{id}/cancel", OPERATOR),
    ("GET", "/api/v1/security", VIEWER),
    ("POST", "/api/v1/security", ADMIN),
    ("GET", "/api/v1/partners", VIEWER),
    ("POST", "/api/v1/partners", ADMIN),
    ("GET", "/api/v1/update", VIEWER),
    ("POST", "/api/v1/update", ADMIN),
    ("GET", "/api/v1/users", ADMIN),
    ("POST", "/api/v1/users", ADMIN),
    // One's own, and only with the one before.
    ("POST", "/api/v1/password", VIEWER),
];

/// What it takes to ask for this; `path` as the route has it.
pub fn need(method: &Method, path: &str) -> Need {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let row = TABLE.iter().find(|(verb, place, _)| *verb == method && *place == path);
    row.map_or(ADMIN, |(_, _, need)| *need)
}

/// What it takes to ask this of a charger: what changes its settings, its program or whom it lets
/// charge is for admins.
pub fn of_ask(ask: &Ask) -> Role {
    match ask {
        Ask::Reset { .. }
        | Ask::Unlock
        | Ask::Availability { .. }
        | Ask::Start { .. }
        | Ask::Stop { .. }
        | Ask::Read { .. }
        | Ask::ClearCache
        | Ask::Trigger { .. }
        | Ask::ListVersion
        | Ask::Reserve { .. }
        | Ask::CancelReservation { .. }
        | Ask::Upload { .. }
        | Ask::ClearProfile { .. }
        | Ask::Schedule { .. } => Role::Operator,
        Ask::Change { .. }
        | Ask::Data { .. }
        | Ask::SendList { .. }
        | Ask::Firmware { .. }
        | Ask::Certificate { .. } => Role::Admin,
    }
}

/// Every way to ask for something, with its need, for the comparison with routes and description.
#[cfg(test)]
pub fn table() -> &'static [(&'static str, &'static str, Need)] {
    TABLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_sorted_is_for_admins_alone() {
        assert_eq!(need(&Method::GET, "/api/v1/fresh"), ADMIN);
        assert_eq!(need(&Method::PATCH, "/api/v1/site"), ADMIN);
        assert_eq!(need(&Method::HEAD, "/api/v1/site"), VIEWER);
    }

    #[test]
    fn nothing_but_the_ways_in_and_the_health_check_is_open_to_everybody() {
        for (method, path, need) in TABLE {
            let open = path.starts_with("/assets/")
                || path.starts_with("/d/")
                || ["/login", "/logout", "/healthz"].contains(path);
            assert_eq!(*need == NOTHING, open, "{method} {path}");
            let orders = *method != "GET" && *path != "/api/v1/password";
            assert!(!orders || *need != VIEWER, "{method} {path}: a viewer orders nothing else");
        }
    }
}
