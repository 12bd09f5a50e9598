//! What a charge point was found to be able to do, remembered as text across restarts.
//!
//! Only `ocpp` writes and reads this text. It holds for one firmware version: another one may
//! have mended or broken anything, so the charger is probed anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ground::units::Amps;

use super::mode::{Ability, Mode};

/// The record of one charge point.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capability {
    /// The firmware version this holds for; empty where the charger never told.
    pub firmware: String,
    /// Profiles of others were cleared once, so that none outranks ours.
    pub cleared: bool,
    /// What it said of its smart charging.
    pub ability: Ability,
    /// What worked, by connector number.
    pub connectors: BTreeMap<u32, Learned>,
    /// The local list as we left it.
    #[serde(skip_serializing_if = "is_usual")]
    pub list: Held,
}

fn is_usual(list: &Held) -> bool {
    *list == Held::default()
}

/// What worked on one connector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Learned {
    /// The permanent safe share that was accepted.
    pub safe_a: Option<Amps>,
    /// The way of telling a limit that was accepted.
    pub mode: Option<Mode>,
    /// A composite schedule has proved the fall in that mode.
    pub armed: bool,
}

/// What a charger holds, as we left it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Held {
    /// The version we gave it; 0 for an empty list.
    pub version: i32,
    /// A mark of each entry, by token.
    pub entries: BTreeMap<String, u64>,
    /// It keeps no list.
    pub never: bool,
}

impl Capability {
    /// Reads what [`Self::to_text`] wrote; what cannot be read is as good as nothing known.
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The text to remember.
    pub fn to_text(&self) -> String {
        super::message::json(self)
    }

    /// What is known of a connector.
    pub fn connector(&self, connector: u32) -> Learned {
        self.connectors.get(&connector).cloned().unwrap_or_default()
    }

    /// The record of a connector, made on sight.
    pub fn connector_mut(&mut self, connector: u32) -> &mut Learned {
        self.connectors.entry(connector).or_default()
    }

    /// For people: one line.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        for (connector, learned) in &self.connectors {
            let mode = match &learned.mode {
                Some(mode) => mode.words(),
                None => "no limit accepted yet".to_owned(),
            };
            let armed = if learned.armed { ", failsafe proven" } else { ", failsafe not proven" };
            let safe = match learned.safe_a {
                Some(safe) => format!(", safe share {:.1} A", safe.as_f64()),
                None => ", no safe share".to_owned(),
            };
            parts.push(format!("connector {connector}: {mode}{armed}{safe}"));
        }
        if 0 < self.list.version {
            let Held { version, entries, .. } = &self.list;
            parts.push(format!("local list version {version} with {} tokens", entries.len()));
        }
        if parts.is_empty() { "not probed yet".to_owned() } else { parts.join("; ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocpp::mode::{Quirk, ladder};

    #[test]
    fn what_is_remembered_is_read_back() {
        let mut known = Capability { firmware: "1.2".to_owned(), ..Capability::default() };
        let mode = ladder(&known.ability, &Quirk::default(), 1)[0];
        *known.connector_mut(2) =
            Learned { safe_a: Some(Amps::new(6)), mode: Some(mode), armed: true };
        assert_eq!(Capability::from_text(&known.to_text()), known);
        assert_eq!(Capability::from_text("what is this"), Capability::default());
        assert_eq!(
            known.words(),
            "connector 2: two-step TxProfile in A at stack level 1, failsafe proven, \
             safe share 6.0 A"
        );
    }
}
