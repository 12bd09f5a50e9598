//! One type for each kind of identifier, so that they never interchange.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// From the text that people and partners use.
            pub fn new(text: &str) -> Self {
                Self(Arc::from(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                to.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from).map(|text| Self::new(&text))
            }
        }
    };
}

text_id!(
    /// An EVSE of the site, by the name that is painted on it.
    EvseId
);
text_id!(
    /// A node of the electrical diagram: grid connection, breaker, sub-board.
    NodeId
);
text_id!(
    /// A meter that publishes readings over MQTT.
    MeterId
);
text_id!(
    /// An OCPP charge point, by its identity: the last segment of its connection URL.
    ChargePointId
);

/// What a driver presents: an OCPP idTag. Compared without regard to case (CiString20).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdToken(String);

impl IdToken {
    /// From the text the charger sent.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text, in the case the charger sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl IdToken {
    /// All but its last four characters hidden; of a short one, all but half.
    pub fn masked(&self) -> String {
        let length = self.0.chars().count();
        let hidden = length - 4.min(length / 2);
        let hide = |(index, character)| if index < hidden { '•' } else { character };
        self.0.chars().enumerate().map(hide).collect()
    }
}

impl PartialEq for IdToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for IdToken {}

/// A charging session as the site counts them, from plug-in to plug-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub u64);

/// An OCPP transaction id: positive, below 2^31, given once for ever (OCPP 1.6 §4.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(pub i64);

/// One live connection of a charge point; a later one has a larger number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkId(pub u64);

/// One question from outside (page, command line), to pair it with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// One limit that was ordered for an EVSE, to pair it with what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub u64);

impl std::fmt::Display for SessionId {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}", self.0)
    }
}

impl std::fmt::Display for TransactionId {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}", self.0)
    }
}

/// Position of an EVSE in the diagram.
pub type EvseIndex = usize;

/// Position of a node in the diagram; parents come before their children.
pub type NodeIndex = usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_show_at_most_their_last_four_characters() {
        let masked = |text: &str| IdToken::new(text).masked();
        assert_eq!(masked("04A1B2C3D4"), "••••••C3D4");
        assert_eq!(
            (masked("abc"), masked("AB"), masked("")),
            ("••c".into(), "•B".into(), "".into())
        );
    }
}
