//! The tokens that the site itself knows, and what it decides about them.

use serde::{Deserialize, Serialize};

use crate::ground::ids::{EvseId, IdToken};
use crate::ground::time::{Duration, Utc};

use super::ask::{TokenInfo, Verdict};

/// A token with what it may.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What the driver presents.
    pub id: IdToken,
    /// The group it belongs to (parentIdTag): any token of a group may end what another began and
    /// use what another reserved.
    pub group: Option<IdToken>,
    /// Not before.
    pub from: Option<Utc>,
    /// Not after.
    pub until: Option<Utc>,
    /// Only at these EVSEs; none means everywhere.
    pub evses: Option<Vec<EvseId>>,
    /// Not at all, until somebody lifts it.
    pub blocked: bool,
    /// Only one charge at a time.
    pub single: bool,
}

impl Token {
    /// One that may everything.
    pub fn plain(id: IdToken) -> Self {
        Self {
            id,
            group: None,
            from: None,
            until: None,
            evses: None,
            blocked: false,
            single: false,
        }
    }

    /// The decision at `now` for one of these EVSEs; none of a place that is not known yet. Without
    /// a trusted clock nobody is turned away for the time.
    pub fn judge(&self, now: Option<Utc>, place: &[&EvseId]) -> TokenInfo {
        let early = self.from.zip(now).is_some_and(|(from, now)| now < from);
        let late = self.until.zip(now).is_some_and(|(until, now)| until <= now);
        let elsewhere = |evses: &Vec<EvseId>| {
            !place.is_empty() && !place.iter().any(|place| evses.contains(place))
        };
        let verdict = if self.blocked {
            Verdict::Blocked
        } else if early || late {
            Verdict::Expired
        } else if self.evses.as_ref().is_some_and(elsewhere) {
            Verdict::Invalid
        } else {
            Verdict::Accepted
        };
        TokenInfo { verdict, parent: self.group.clone(), until: self.until.filter(|_| !late) }
    }
}

/// What a charger does on its own, when nobody can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offline {
    /// Tokens of its local list and of its cache may charge, others may not.
    #[default]
    Known,
    /// Everybody may; who it was is looked at afterwards.
    Anyone,
    /// Nobody may.
    Nobody,
}

impl Offline {
    /// In a sentence, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Offline::Known => "without a connection, chargers serve the tokens they know",
            Offline::Anyone => "without a connection, chargers serve everybody",
            Offline::Nobody => "without a connection, chargers serve nobody",
        }
    }
}

/// How the chargers are kept able to decide by themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorisation {
    /// What they do while nobody can be asked.
    pub offline: Offline,
    /// They are sent the tokens as their local list.
    pub local_list: bool,
    /// Their own memory of accepted tokens is cleared when it is this old; zero never does.
    pub cache_max_age: Duration,
    /// EVSEs where everybody charges without showing anything.
    pub free: Vec<EvseId>,
    /// What a charge at a free EVSE is booked on.
    pub free_token: IdToken,
}

impl Default for Authorisation {
    fn default() -> Self {
        Self {
            offline: Offline::Known,
            local_list: true,
            cache_max_age: Duration::hours(24),
            free: Vec::new(),
            free_token: IdToken::new("FREE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_judged_by_time_place_and_block() {
        let at = |text: &str| Utc::parse(text);
        let (here, there) = (EvseId::new("E1"), EvseId::new("E2"));
        let token = Token {
            from: at("2024-05-01T00:00:00Z"),
            until: at("2024-06-01T00:00:00Z"),
            evses: Some(vec![here.clone()]),
            group: Some(IdToken::new("FLEET")),
            ..Token::plain(IdToken::new("A"))
        };
        let judge = |time: &str, place: &[&EvseId]| token.judge(at(time), place).verdict;
        assert_eq!(judge("2024-05-17T00:00:00Z", &[&here]), Verdict::Accepted);
        assert_eq!(judge("2024-05-17T00:00:00Z", &[&there, &here]), Verdict::Accepted);
        assert_eq!(judge("2024-05-17T00:00:00Z", &[]), Verdict::Accepted);
        assert_eq!(judge("2024-05-17T00:00:00Z", &[&there]), Verdict::Invalid);
        assert_eq!(judge("2024-04-30T23:59:59Z", &[&here]), Verdict::Expired);
        assert_eq!(judge("2024-06-01T00:00:00Z", &[&here]), Verdict::Expired);
        assert_eq!(token.judge(None, &[&here]).verdict, Verdict::Accepted);
        assert_eq!(token.judge(None, &[&here]).parent, Some(IdToken::new("fleet")));
        let blocked = Token { blocked: true, ..token.clone() };
        assert_eq!(blocked.judge(None, &[&here]).verdict, Verdict::Blocked);
    }
}
