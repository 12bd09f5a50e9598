//! ClearProfile: the limit of an EVSE that is not in the site's diagram any more is taken back.
//!
//! ```text
//! [[partner.evse]] is gone, a session runs there under our limit
//!    ─▶ DELETE profile ─▶ first answer ─▶ result │ never │ too often: again, a few times
//! ```
//! Only there: a charger under the site's breakers is never let go, since it would draw all that it
//! can. What becomes of it changes nothing at the site.

use crate::ground::time::{Duration, Instant};

use crate::ocpi::address;
use crate::ocpi::codec;
use crate::ocpi::http::{Method, OcpiResponse, same_secret};
use crate::ocpi::text::Ci;
use crate::ocpi::wire::control::{Answer, Response};

use super::desk::Desk;
use super::{Engine, Purpose, Trouble};

/// So often is it tried.
const TRIES_MAX: u32 = 4;

/// A result is waited for this long, and after a failure this long nothing is tried.
const REST: Duration = Duration::seconds(60);

/// Limits that wait to be taken back; a site has no more EVSEs.
const CLEARINGS_MAX: usize = 1000;

/// A limit that is to be taken back.
#[derive(Clone, Debug, PartialEq)]
pub struct Clearing {
    partner: String,
    session: Ci,
    secret: String,
    tries: u32,
    /// Nothing is sent before.
    not_before: Option<Instant>,
}

impl Clearing {
    /// Of a session of a partner.
    pub fn new(partner: &str, session: &Ci) -> Self {
        let (partner, session) = (partner.to_owned(), session.clone());
        Self { partner, session, secret: String::new(), tries: 0, not_before: None }
    }
}

/// Takes some more in; those that find no place end with their sessions.
pub fn queue(all: &mut Vec<Clearing>, more: impl Iterator<Item = Clearing>) {
    for one in more {
        let is_same =
            |known: &Clearing| known.partner == one.partner && known.session == one.session;
        if all.len() < CLEARINGS_MAX && !all.iter().any(is_same) {
            all.push(one);
        }
    }
}

/// When the next may be tried.
pub fn wake_at(all: &[Clearing], now: Instant) -> Option<Instant> {
    all.iter().filter_map(|one| one.not_before).filter(|at| now < *at).min()
}

impl Engine {
    /// Sends what is due.
    pub(super) fn clear_if_due(&mut self, desk: &mut Desk<'_>, partner: &str, url: &str) {
        let is_due = |one: &Clearing| {
            one.partner == partner && one.not_before.is_none_or(|at| at <= desk.mono)
        };
        self.clearings.retain(|one| !is_due(one) || one.tries < TRIES_MAX);
        let due: Vec<usize> =
            (0..self.clearings.len()).filter(|index| is_due(&self.clearings[*index])).collect();
        for index in due {
            let Some(secret) = self.secret() else { return };
            let base = format!("{}/ocpi/{}", self.site.public_url, self.speech(partner).word());
            let answer_to = format!("{base}/sender/chargingprofiles/result/{secret}");
            let one = &mut self.clearings[index];
            (one.secret, one.tries) = (secret.clone(), one.tries + 1);
            one.not_before = Some(desk.mono + REST);
            let url = address::join(url, &[one.session.as_str()]);
            let url = format!("{url}?response_url={}", address::encode(&answer_to));
            self.call(desk, partner, Purpose::Clear(secret), (Method::Delete, url, None));
        }
    }

    /// The first answer: what will have no result is done.
    pub(super) fn clear_answered(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        secret: &str,
        result: &Result<OcpiResponse, String>,
    ) {
        let again = match Trouble::of(result, true) {
            Ok(data) => match codec::decode::<Answer>(data) {
                Ok(Answer { result, .. }) => {
                    matches!(result, Response::Accepted | Response::TooOften)
                }
                Err(_) => false,
            },
            Err(trouble) => {
                let refused = trouble.refused;
                if !refused {
                    self.fail(desk, partner, trouble);
                }
                !refused
            }
        };
        if !again {
            self.cleared(secret);
        }
    }

    /// A result came: it was waited for.
    pub(super) fn cleared(&mut self, secret: &str) -> bool {
        let before = self.clearings.len();
        let is_it = |one: &Clearing| !one.secret.is_empty() && same_secret(&one.secret, secret);
        self.clearings.retain(|one| !is_it(one));
        self.clearings.len() < before
    }
}
