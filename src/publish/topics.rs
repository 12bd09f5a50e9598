//! The names of topics. Identifiers of the configuration may hold what a topic may not.

use crate::config::broker::Publish;

/// The topics of one box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    base: String,
    discovery: Option<String>,
}

/// What a topic that was heard is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Home Assistant tells that it has begun, or ends.
    Birth,
    /// A command for all chargers together.
    ChargingLimit,
    /// A command for the EVSE of this slug.
    EvseLimit(String),
    /// What we, or the box before us, said of the EVSE of this slug.
    EvseState(String),
}

impl Topics {
    /// As configured.
    pub fn new(publish: &Publish) -> Self {
        Self { base: publish.topic.clone(), discovery: publish.discovery.clone() }
    }

    /// `online` or `offline`.
    pub fn availability(&self) -> String {
        format!("{}/availability", self.base)
    }

    /// The state of the site.
    pub fn site(&self) -> String {
        format!("{}/site/state", self.base)
    }

    /// The state of an EVSE.
    pub fn evse(&self, slug: &str) -> String {
        format!("{}/evse/{slug}/state", self.base)
    }

    /// The command that limits all chargers.
    pub fn set_charging(&self) -> String {
        format!("{}/site/limit_kw/set", self.base)
    }

    /// The command that limits an EVSE.
    pub fn set_evse(&self, slug: &str) -> String {
        format!("{}/evse/{slug}/limit_a/set", self.base)
    }

    /// What Home Assistant reads of a device; none without discovery.
    pub fn discovery(&self, device: &str) -> Option<String> {
        let base = self.discovery.as_ref()?;
        Some(format!("{base}/device/{device}/config"))
    }

    /// The name of a device, the same in all of Home Assistant: of the site, or of an EVSE.
    pub fn device(&self, evse: Option<&str>) -> String {
        let base = slug(&self.base.replace('/', "_"));
        match evse {
            None => format!("{base}_site"),
            Some(evse) => format!("{base}_evse_{evse}"),
        }
    }

    /// The EVSEs whose states are retained at the broker.
    pub fn evse_states(&self) -> String {
        self.evse("+")
    }

    /// Everything that is listened to, besides [`Topics::evse_states`].
    pub fn heard(&self, takes_limits: bool) -> Vec<String> {
        let mut heard: Vec<String> = Vec::new();
        heard.extend(self.discovery.as_ref().map(|base| format!("{base}/status")));
        if takes_limits {
            heard.extend([self.set_charging(), self.set_evse("+")]);
        }
        heard
    }

    /// What a topic is; none if it is not one of ours.
    pub fn place(&self, topic: &str) -> Option<Place> {
        if self.discovery.as_ref().is_some_and(|base| topic == format!("{base}/status")) {
            return Some(Place::Birth);
        }
        if topic == self.set_charging() {
            return Some(Place::ChargingLimit);
        }
        let inside = topic.strip_prefix(&self.base)?.strip_prefix("/evse/")?;
        match inside.split_once('/')? {
            (slug, "limit_a/set") => Some(Place::EvseLimit(slug.to_owned())),
            (slug, "state") => Some(Place::EvseState(slug.to_owned())),
            _ => None,
        }
    }
}

/// An identifier as a level of a topic: letters, digits, `-` and `_` stay, all else becomes `_` and
/// its bytes in hexadecimal. Two identifiers never become one.
pub fn slug(id: &str) -> String {
    let mut slug = String::with_capacity(id.len());
    let bytes = id.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let reads_as_hex = || {
            let next = bytes.get(at + 1..at + 3);
            next.is_some_and(|next| next.iter().all(u8::is_ascii_hexdigit))
        };
        match byte {
            b'_' if !reads_as_hex() => slug.push('_'),
            b'-' => slug.push('-'),
            byte if byte.is_ascii_alphanumeric() => slug.push(char::from(*byte)),
            byte => slug.push_str(&format!("_{byte:02x}")),
        }
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::time::Duration;
    use proptest::prelude::*;

    #[test]
    fn what_was_heard_is_known_again() {
        let topics = Topics::new(&Publish {
            topic: "home/garage".to_owned(),
            discovery: Some("homeassistant".to_owned()),
            every: Duration::seconds(10),
            limits_last: None,
        });
        assert_eq!(topics.place("homeassistant/status"), Some(Place::Birth));
        assert_eq!(topics.place(&topics.set_charging()), Some(Place::ChargingLimit));
        let name = slug("EVSE/1 ö");
        assert_eq!(name, "EVSE_2f1_20_c3_b6");
        assert_eq!(topics.place(&topics.set_evse(&name)), Some(Place::EvseLimit(name.clone())));
        assert_eq!(topics.place(&topics.evse(&name)), Some(Place::EvseState(name)));
        for other in ["home/garages/evse/a/state", "home/garage/evse/a/b/state", "x", ""] {
            assert_eq!(topics.place(other), None, "{other}");
        }
        assert_eq!(topics.device(None), "home_garage_site");
    }

    proptest! {
        #[test]
        fn two_names_never_become_one(one in "[_2fF/ a]{0,8}", other in "[_2fF/ a]{0,8}") {
            prop_assert_eq!(one == other, slug(&one) == slug(&other));
        }
    }
}
