//! What is asked of partners from time to time: their tokens, and as SCSP their locations and
//! sessions. Only what has changed since the newest that is known, with some overlap; pages are
//! followed by their links alone.

use serde_json::Value;

use crate::ground::time::Duration;
use crate::model::event::EventKind;

use crate::ocpi::address;
use crate::ocpi::codec;
use crate::ocpi::http::{Method, OcpiResponse};
use crate::ocpi::text::Time;
use crate::ocpi::wire::credentials::{Module, Side};
use crate::ocpi::wire::location::Location;
use crate::ocpi::wire::session::Session;
use crate::ocpi::wire::token::Token;

use super::desk::Desk;
use super::link::Link;
use super::receiver::later;
use super::{Engine, Purpose, Trouble};

/// Changes are asked for again from this long before the newest that is known.
const OVERLAP: Duration = Duration::minutes(10);

/// Sessions that began longer ago than this are none to plan for.
const SESSIONS_BACK: Duration = Duration::hours(24 * 7);

/// Pages of one list; beyond it the list is taken for endless.
const PAGES_MAX: usize = 2000;

/// A page on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Pulled {
    kind: Kind,
    url: String,
    page: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tokens,
    Locations,
    Sessions,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Tokens, Self::Locations, Self::Sessions];

    fn module(self) -> Module {
        match self {
            Kind::Tokens => Module::Tokens,
            Kind::Locations => Module::Locations,
            Kind::Sessions => Module::Sessions,
        }
    }
}

impl Engine {
    /// Begins to pull when it is time to.
    pub(super) fn pull_if_due(&mut self, desk: &mut Desk<'_>, partner: &str) {
        let Some(line) = self.lines.get(partner).filter(|line| line.busy.is_none()) else { return };
        if line.pull_due.is_none_or(|due| due <= desk.mono) {
            self.pull_from(desk, partner, 0);
        }
    }

    /// The first list from this place on that the partner offers and its mode wants.
    fn pull_from(&mut self, desk: &mut Desk<'_>, partner: &str, place: usize) {
        let Some(configured) = self.partner(partner) else { return };
        let (gateway, scsp) = (configured.gateway, configured.scsp);
        let every = configured.poll_every;
        for kind in Kind::ALL.into_iter().skip(place) {
            let wanted = if kind == Kind::Tokens { gateway } else { scsp };
            let url = self.endpoint(partner, &kind.module(), &Side::Sender);
            let Some(url) = url.filter(|_| wanted) else { continue };
            let link = &self.links[partner];
            let since = match kind {
                Kind::Tokens => link.tokens_seen.map(|seen| Time(seen.0 - OVERLAP)),
                Kind::Sessions => Some(
                    link.sessions_seen
                        .map_or(Time(desk.utc - SESSIONS_BACK), |seen| Time(seen.0 - OVERLAP)),
                ),
                Kind::Locations => None,
            };
            let url = url.trim_end_matches('/');
            let url = match since {
                Some(since) => format!("{url}?date_from={}", address::encode(&since.to_text())),
                None => url.to_owned(),
            };
            return self.pull_page(desk, partner, Pulled { kind, url, page: 0 });
        }
        if let Some(line) = self.lines.get_mut(partner) {
            line.pull_due = Some(desk.mono + every);
        }
    }

    fn pull_page(&mut self, desk: &mut Desk<'_>, partner: &str, pulled: Pulled) {
        let wanted = (Method::Get, pulled.url.clone(), None);
        let call = self.call(desk, partner, Purpose::Pull(pulled), wanted);
        self.occupy(partner, call);
    }

    /// A page has come, or not.
    pub(super) fn pulled(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        pulled: Pulled,
        result: Result<OcpiResponse, String>,
    ) {
        let data = match Trouble::of(&result, false) {
            Ok(data) => data,
            Err(trouble) if trouble.refused && !trouble.unauthorized => {
                // A module that it does not serve after all; the others still matter.
                return self.pull_from(desk, partner, pulled.kind as usize + 1);
            }
            Err(trouble) => return self.fail(desk, partner, trouble),
        };
        self.well(desk, partner);
        let Value::Array(objects) = data else {
            return self.pull_from(desk, partner, pulled.kind as usize + 1);
        };
        let count = objects.len();
        let mut bad = Vec::new();
        for object in objects {
            if let Err(why) = self.take_pulled(desk, partner, pulled.kind, object) {
                bad.push(why);
            }
        }
        if let Some(first) = bad.first() {
            let text = format!(
                "{} of {count} {} cannot be read and are left out: {first}",
                bad.len(),
                pulled.kind.module().word()
            );
            desk.tell(EventKind::PartnerOdd, partner, text);
        }
        let link = result.ok().and_then(|response| response.header("Link").map(str::to_owned));
        let next = link.and_then(|link| address::next_link(&link)).filter(|next| {
            0 < count
                && *next != pulled.url
                && pulled.page < PAGES_MAX
                && address::origin(next) == address::origin(&pulled.url)
        });
        match next {
            Some(url) => {
                let next = Pulled { url, page: pulled.page + 1, kind: pulled.kind };
                self.pull_page(desk, partner, next);
            }
            None => {
                if let Some(link) = self.links.get(partner).filter(|_| 0 < count) {
                    desk.keep(Link::key(partner), link);
                }
                self.pull_from(desk, partner, pulled.kind as usize + 1);
            }
        }
    }

    fn take_pulled(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        kind: Kind,
        object: Value,
    ) -> Result<(), String> {
        match kind {
            Kind::Tokens => {
                let token: Token = codec::decode(object)?;
                let updated = token.last_updated;
                self.take_token(desk, partner, token)?;
                if let Some(link) = self.links.get_mut(partner) {
                    link.tokens_seen = later(link.tokens_seen, updated);
                }
            }
            Kind::Locations => {
                let location: Location = codec::decode(object)?;
                self.take_location(partner, &location);
            }
            Kind::Sessions => {
                let session: Session = codec::decode(object)?;
                let updated = session.last_updated;
                self.take_foreign(desk, partner, session);
                if let Some(link) = self.links.get_mut(partner) {
                    link.sessions_seen = later(link.sessions_seen, updated);
                }
            }
        }
        Ok(())
    }
}
