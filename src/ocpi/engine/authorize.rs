//! Whether a token may charge (AUTH-1): what is known of it, its whitelist rule, and the partner's
//! word where that is wanted and comes in time.
//!
//! | whitelist | partner reachable | not reachable |
//! |---|---|---|
//! | ALWAYS | known and valid | known and valid |
//! | ALLOWED | known and valid | known and valid |
//! | ALLOWED_OFFLINE | the partner's word | known and valid |
//! | NEVER, or not known | the partner's word | no |

use serde_json::json;

use crate::ground::ids::{EvseId, IdToken};
use crate::ground::time::{Duration, Utc};

use crate::ocpi::address;
use crate::ocpi::codec;
use crate::ocpi::http::{Method, OcpiResponse};
use crate::ocpi::text::Ci;
use crate::ocpi::wire::credentials::{Module, Side};
use crate::ocpi::wire::session::CdrToken;
use crate::ocpi::wire::token::{Allowed, AuthorizationInfo, Token, TokenType, Whitelist};

use super::desk::{Desk, Output};
use super::grant::{Asking, Grant, Granted, IDTAG_MAX, alias};
use super::{Engine, Purpose, Trouble};

/// A charger waits about half a minute; a driver far less.
const ANSWER_TIME: Duration = Duration::seconds(4);

/// A grant is remembered for the session that follows it.
const GRANT_LIFE: Duration = Duration::hours(24);

/// Grants that are remembered.
const GRANTS_MAX: usize = 1000;

impl Engine {
    /// A charger asks.
    pub(super) fn ask(
        &mut self,
        desk: &mut Desk<'_>,
        ask: u64,
        token: &IdToken,
        evse: Option<&EvseId>,
    ) {
        let lately = self.grants.get(&token.as_str().to_ascii_lowercase());
        if lately.is_some_and(|grant| {
            grant.granted.method == "COMMAND" && desk.utc.since(grant.at) < Duration::minutes(15)
        }) {
            desk.out.push(Output::Verdict { ask, accepted: true });
            return;
        }
        let known = self.known_token(token).cloned();
        let (local, offline) = match &known {
            Some(known) => match known.whitelist {
                Whitelist::Always => (Some(known.valid), known.valid),
                Whitelist::Allowed if known.valid => (Some(true), true),
                Whitelist::Allowed | Whitelist::AllowedOffline => (None, known.valid),
                Whitelist::Never | Whitelist::Other(_) => (None, false),
            },
            None => (None, false),
        };
        if let Some(accepted) = local {
            if let (true, Some(known)) = (accepted, &known) {
                self.grant(desk.utc, token, known, "WHITELIST", None);
            }
            desk.out.push(Output::Verdict { ask, accepted });
            return;
        }
        let partners: Vec<String> = self.lines.keys().cloned().collect();
        let mut open = 0;
        for partner in partners {
            let owns = known.as_ref().is_none_or(|known| {
                self.owns(&partner, known.country_code.as_str(), known.party_id.as_str())
            });
            if owns && self.ask_partner(desk, &partner, ask, token, (known.as_ref(), evse)) {
                open += 1;
            }
        }
        if let (0, true, Some(known)) = (open, offline, &known) {
            self.grant(desk.utc, token, known, "WHITELIST", None);
        }
        if open == 0 {
            desk.out.push(Output::Verdict { ask, accepted: offline });
            return;
        }
        let until = desk.mono + ANSWER_TIME;
        let token = token.clone();
        self.asking.push(Asking { ask, token, open, offline, until, settled: false });
    }

    fn ask_partner(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        ask: u64,
        token: &IdToken,
        (known, evse): (Option<&Token>, Option<&EvseId>),
    ) -> bool {
        let is_usable =
            self.lines.get(partner).is_some_and(|line| !line.barred && line.failures < 3);
        let is_gateway = self.partner(partner).is_some_and(|partner| partner.gateway);
        let url = self.endpoint(partner, &Module::Tokens, &Side::Sender);
        let Some(url) = url.filter(|_| is_usable && is_gateway) else { return false };
        let uid = known.map_or(token.as_str(), |known| known.uid.as_str());
        let kind = known.map_or("RFID", |known| known.kind.word());
        let url = format!("{}?type={kind}", address::join(&url, &[uid, "authorize"]));
        let evses: Vec<&str> = evse.iter().map(|evse| evse.as_str()).collect();
        let body = json!({ "location_id": self.site.place.id, "evse_uids": evses });
        let wanted = (Method::Post, url, Some(body));
        self.call(desk, partner, Purpose::Authorize(ask), wanted).is_some()
    }

    /// A partner's word on a token.
    pub(super) fn authorized(
        &mut self,
        desk: &mut Desk<'_>,
        partner: &str,
        ask: u64,
        result: Result<OcpiResponse, String>,
    ) {
        let info = Trouble::of(&result, true).map(codec::decode::<AuthorizationInfo>);
        let unreachable = matches!(&info, Err(trouble) if !trouble.refused);
        let Some(at) = self.asking.iter().position(|asking| asking.ask == ask) else { return };
        self.asking[at].open = self.asking[at].open.saturating_sub(1);
        let asking = self.asking[at].clone();
        let mut accepted = None;
        if let Ok(Ok(info)) = info {
            if let Some(token) = &info.token {
                // A full list of tokens does not change the partner's word.
                let _ = self.take_token(desk, partner, token.clone());
            }
            accepted = Some(info.allowed == Allowed::Allowed);
            if info.allowed == Allowed::Allowed {
                let known = info.token.or_else(|| self.known_token(&asking.token).cloned());
                if let Some(known) = known {
                    let reference = info.authorization_reference;
                    self.grant(desk.utc, &asking.token, &known, "AUTH_REQUEST", reference);
                }
            }
        }
        let verdict = match accepted {
            Some(true) => Some(true),
            _ if 0 < asking.open => None,
            Some(false) => Some(false),
            None => Some(unreachable && asking.offline),
        };
        if let Some(accepted) = verdict {
            self.asking.remove(at);
            desk.out.push(Output::Verdict { ask, accepted });
        }
    }

    /// Questions whose time is over get what the rule says without a partner.
    pub(super) fn asks_expire(&mut self, desk: &mut Desk<'_>) {
        let now = desk.mono;
        let (over, open): (Vec<Asking>, Vec<Asking>) =
            std::mem::take(&mut self.asking).into_iter().partition(|asking| asking.until <= now);
        self.asking = open;
        for asking in over {
            if let Some(known) = self.known_token(&asking.token).filter(|_| asking.offline) {
                let known = known.clone();
                self.grant(desk.utc, &asking.token, &known, "WHITELIST", None);
            }
            desk.out.push(Output::Verdict { ask: asking.ask, accepted: asking.offline });
        }
    }

    /// The token of a partner that a charger means: by its uid, or by the alias of one that is too
    /// long for OCPP.
    pub(super) fn known_token(&self, presented: &IdToken) -> Option<&Token> {
        let same = |token: &&Token| {
            IdToken::new(token.uid.as_str()) == *presented
                || (IDTAG_MAX < token.uid.as_str().len()
                    && IdToken::new(&alias(token.uid.as_str())) == *presented)
        };
        let fitting = self.tokens.values().filter(same);
        fitting.max_by_key(|token| (token.valid, token.last_updated))
    }

    /// Notes who charges next with a token.
    pub(super) fn grant(
        &mut self,
        utc: Utc,
        presented: &IdToken,
        token: &Token,
        method: &str,
        reference: Option<Ci>,
    ) {
        let grants = &mut self.grants;
        if GRANTS_MAX <= grants.len() {
            grants.retain(|_, grant| utc.since(grant.at) < GRANT_LIFE);
        }
        if GRANTS_MAX <= grants.len() {
            return;
        }
        let granted = Granted { token: cdr_token(token), method: method.to_owned(), reference };
        let key = presented.as_str().to_ascii_lowercase();
        grants.insert(key, Grant { granted, at: utc });
    }

    /// Who charges with a token, for session and CDR.
    pub(super) fn granted(&self, presented: &IdToken) -> Granted {
        let grant = self.grants.get(&presented.as_str().to_ascii_lowercase());
        if let Some(grant) = grant {
            return grant.granted.clone();
        }
        let token = match self.known_token(presented) {
            Some(known) => cdr_token(known),
            // A local token: nobody but the owner of the site pays for it.
            None => CdrToken {
                country_code: Ci::new(&self.site.country_code),
                party_id: Ci::new(&self.site.party_id),
                uid: Ci::new(presented.as_str()),
                kind: TokenType::Rfid,
                contract_id: Ci::new(presented.as_str()),
            },
        };
        Granted { token, method: "WHITELIST".to_owned(), reference: None }
    }
}

fn cdr_token(token: &Token) -> CdrToken {
    CdrToken {
        country_code: token.country_code.clone(),
        party_id: token.party_id.clone(),
        uid: token.uid.clone(),
        kind: token.kind.clone(),
        contract_id: if token.contract_id.as_str().is_empty() {
            token.uid.clone()
        } else {
            token.contract_id.clone()
        },
    }
}
