//! What holds for drivers who say nothing, and who comes first: the policy of the site.

use crate::ground::ids::IdToken;
use crate::ground::time::{Duration, Utc};
use crate::ground::units::WattHours;
use crate::ground::zone::{TimeOfDay, Zone};

/// The policy: what holds for everybody, and for groups of tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DriverPolicy {
    /// For everybody who is in no group.
    pub usual: Terms,
    /// The first group that has a token counts.
    pub groups: Vec<Group>,
}

/// Drivers for whom something else holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Their tokens.
    pub tokens: Vec<TokenPattern>,
    /// What holds for them.
    pub terms: Terms,
}

/// A token, or the beginning of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPattern {
    text: String,
    beginning: bool,
}

/// What holds for a driver where nothing was said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// The group as people call it; none for everybody else.
    pub group: Option<String>,
    /// More comes first when not all can be served; 0 where nothing is configured.
    pub priority: i32,
    /// When the car leaves; none where habit says it.
    pub leaves: Option<Leaves>,
    /// What it needs; none where habit says it.
    pub energy: Option<WattHours>,
    /// What it gets before sun, prices and the wishes of others count.
    pub guaranteed: WattHours,
    /// What is charged as fast as breakers allow, from the arrival on.
    pub fast: WattHours,
    /// The same up to a state of charge in percent, where that can be known.
    pub fast_percent: Option<f64>,
}

/// Where drivers reach their page: scheme, host and perhaps a port, no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageUrl {
    origin: String,
    authority: usize,
}

/// When a car leaves whose driver has said nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// At a time of day.
    At(TimeOfDay),
    /// So long after its arrival.
    After(Duration),
}

impl DriverPolicy {
    /// What holds for a token.
    pub fn terms(&self, token: &IdToken) -> &Terms {
        let fits = |group: &&Group| group.tokens.iter().any(|pattern| pattern.fits(token));
        self.groups.iter().find(fits).map_or(&self.usual, |group| &group.terms)
    }
}

impl PageUrl {
    /// Reads `https://charge.example.org`; none if it is no address of that kind.
    pub fn parse(text: &str) -> Option<Self> {
        let origin = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
        let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))?;
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || ".-:[]".contains(letter);
        let (authority, sound) = (origin.len() - rest.len(), rest.chars().all(allowed));
        (sound && !rest.is_empty()).then_some(Self { origin, authority })
    }

    /// As a browser names it: `https://charge.example.org`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Host and port: `charge.example.org`.
    pub fn authority(&self) -> &str {
        &self.origin[self.authority..]
    }
}

impl Terms {
    /// When a car leaves that came at `arrival`: the next such time of day, or so much later.
    pub fn departure(&self, arrival: Utc, zone: &Zone) -> Option<Utc> {
        self.leaves.map(|leaves| match leaves {
            Leaves::At(time) => zone.next(arrival, time),
            Leaves::After(stay) => arrival + stay,
        })
    }
}

impl TokenPattern {
    /// From what is written: `04A1B2C3D4`, or `FLEET-*` for all that begin so.
    pub fn new(written: &str) -> Self {
        match written.strip_suffix('*') {
            Some(text) => Self { text: text.to_owned(), beginning: true },
            None => Self { text: written.to_owned(), beginning: false },
        }
    }

    /// Whether a token is meant; upper and lower case are the same.
    pub fn fits(&self, token: &IdToken) -> bool {
        let (token, own) = (token.as_str().as_bytes(), self.text.as_bytes());
        let part = if self.beginning { token.get(..own.len()) } else { Some(token) };
        part.is_some_and(|part| part.eq_ignore_ascii_case(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_group_that_has_a_token_counts() {
        let group = |name: &str, tokens: &[&str], priority| Group {
            tokens: tokens.iter().map(|token| TokenPattern::new(token)).collect(),
            terms: Terms { group: Some(name.to_owned()), priority, ..Terms::default() },
        };
        let policy = DriverPolicy {
            usual: Terms::default(),
            groups: vec![group("chief", &["FLEET-1"], 9), group("fleet", &["fleet-*"], 5)],
        };
        let priority = |token: &str| policy.terms(&IdToken::new(token)).priority;
        assert_eq!(
            ["fleet-1", "FLEET-12", "Fleet-", "GUEST", "F", "é"].map(priority),
            [9, 5, 5, 0, 0, 0]
        );
    }

    #[test]
    fn the_address_of_the_page_is_an_origin() {
        let page = PageUrl::parse("https://Charge.example.org:8443/").expect("an address");
        assert_eq!(page.origin(), "https://charge.example.org:8443");
        assert_eq!(page.authority(), "charge.example.org:8443");
        for wrong in ["charge.example.org", "https://", "https://a/path", "ftp://a", "http://a b"] {
            assert_eq!(PageUrl::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_car_leaves_at_the_next_such_time_or_after_its_stay() {
        let zone = Zone::new("Europe/Paris");
        let came = Utc::parse("2019-03-01T17:00:00Z").expect("a valid time");
        let at = |leaves| {
            let terms = Terms { leaves, ..Terms::default() };
            terms.departure(came, &zone).map(Utc::to_text)
        };
        let evening = TimeOfDay::new(17, 30).map(Leaves::At);
        assert_eq!(at(evening).as_deref(), Some("2019-03-02T16:30:00Z"));
        let stay = Some(Leaves::After(Duration::hours(8)));
        assert_eq!(at(stay).as_deref(), Some("2019-03-02T01:00:00Z"));
        assert_eq!(at(None), None);
    }
}
