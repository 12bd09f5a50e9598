//! What is kept of a partner: tokens in both directions, its endpoints, and how far it has been
//! told. Kept readable because GET credentials must answer with the token; the file is for its
//! owner alone, and nothing of it is ever logged.

use serde::{Deserialize, Serialize};

use crate::ground::time::{Duration, Instant, Utc};
use crate::ocpi::codec::Speech;
use crate::ocpi::text::Time;
use crate::ocpi::wire::credentials::{CredentialsRole, Endpoint, Module, Side};

/// A replaced token is good for this long after the new one was first used.
pub const GRACE: Duration = Duration::seconds(60);

/// A token that the partner calls us with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// Secret.
    pub token: String,
    /// A token A: good for versions and credentials alone.
    pub invitation: bool,
    /// Good until then; none while it is the token in use.
    pub until: Option<Utc>,
    /// The partner has called with it.
    pub used: bool,
}

/// A partner as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// The tokens that it may call with, the newest last.
    pub inbound: Vec<Inbound>,
    /// The token that we call with.
    pub outbound: Option<String>,
    /// Its versions endpoint.
    pub versions_url: Option<String>,
    /// The version that was agreed on.
    pub speech: Option<Speech>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
    /// Who is behind it.
    pub roles: Vec<CredentialsRole>,
    /// Both sides have tokens and endpoints of each other.
    pub registered: bool,
    /// Every session up to this row is final and was taken.
    pub session_sent: u64,
    /// Every CDR up to this row was taken.
    pub cdr_sent: u64,
    /// The CDR that was sent and not answered yet.
    pub cdr_trying: Option<u64>,
    /// The newest `last_updated` that was pulled, by module.
    pub tokens_seen: Option<Time>,
    /// As `tokens_seen`.
    pub sessions_seen: Option<Time>,
}

impl Link {
    /// The key under which it is kept.
    pub fn key(partner: &str) -> String {
        format!("link/{partner}")
    }

    /// Where a module of the partner is.
    pub fn endpoint(&self, module: &Module, side: &Side) -> Option<&str> {
        let found = self.endpoints.iter().find(|endpoint| {
            &endpoint.identifier == module
                && (module == &Module::Credentials || &endpoint.role == side)
        });
        found.map(|endpoint| endpoint.url.as_str())
    }

    /// Takes a new token in; the older ones stay good until it is first used.
    pub fn admit(&mut self, token: &str, invitation: bool) {
        self.inbound.retain(|known| !(invitation && known.invitation));
        self.inbound.push(Inbound {
            token: token.to_owned(),
            invitation,
            until: None,
            used: false,
        });
    }

    /// The partner has called with this token: older ones end soon. True when that is news.
    pub fn used(&mut self, index: usize, now: Utc) -> bool {
        let before = self.inbound.clone();
        let is_invitation = self.inbound[index].invitation;
        self.inbound[index].used = true;
        for (at, known) in self.inbound.iter_mut().enumerate() {
            if at < index && !is_invitation {
                let rest = if known.invitation { Duration::ZERO } else { GRACE };
                known.until.get_or_insert(now + rest);
            }
        }
        self.inbound.retain(|known| known.until.is_none_or(|until| now < until));
        before != self.inbound
    }

    /// Everything of the registration is forgotten; what was told stays, so that a partner that
    /// comes back gets no CDR twice.
    pub fn forget(&mut self) {
        let (session_sent, cdr_sent) = (self.session_sent, self.cdr_sent);
        *self = Self { session_sent, cdr_sent, ..Self::default() };
    }
}

/// How a partner's line is at this moment; not kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// The call that it has to answer before the next is made.
    pub busy: Option<u64>,
    /// Not before then.
    pub rest_until: Option<Instant>,
    /// Calls in a row that failed.
    pub failures: u32,
    /// It refused our token.
    pub barred: bool,
    /// It answered the last call, with a refusal.
    pub refuses: bool,
    /// The last call was answered well.
    pub good: bool,
    /// When it was last heard, either way.
    pub heard: Option<Utc>,
    /// The last failure in words.
    pub trouble: Option<String>,
    /// The alarm of an outage was told.
    pub told: bool,
    /// When what is pulled is due.
    pub pull_due: Option<Instant>,
    /// When it was registered, since the last start.
    pub since: Option<Instant>,
}

/// The longest rest between two tries.
const REST_MAX: Duration = Duration::minutes(15);

impl Line {
    /// A call went well.
    pub fn well(&mut self, now: Utc) {
        (self.failures, self.good, self.rest_until, self.refuses) = (0, true, None, false);
        (self.heard, self.trouble, self.told) = (Some(now), None, false);
    }

    /// A call failed: rest for a while that doubles, or as long as the partner said.
    pub fn fail(&mut self, now: Instant, why: String, retry_after: Option<Duration>) {
        let doubled = Duration::seconds(5_i64 << self.failures.min(10)).min(REST_MAX);
        self.failures += 1;
        self.good = false;
        self.trouble = Some(why);
        self.rest_until = Some(now + retry_after.unwrap_or(doubled).min(Duration::hours(1)));
    }

    /// Whether a call may be made.
    pub fn is_free(&self, now: Instant) -> bool {
        self.busy.is_none() && !self.barred && self.rest_until.is_none_or(|until| until <= now)
    }
}
