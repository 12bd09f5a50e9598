//! Who may charge, as it is written: `[access]` and `[[token]]`. Doc comments are the manual, see
//! [`super::file`].

use schemars::JsonSchema;
use serde::Deserialize;

/// Who may charge: everybody, or the tokens in a list.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Every card and tag may charge (a private yard, a demonstration).
    #[serde(default)]
    pub anyone: bool,
    /// These tokens (idTag) may charge, at most 20 characters each; upper and lower case are the
    /// same. Tokens with a group, a time or certain EVSEs are written as `[[token]]` instead.
    #[schemars(length(max = 10_000), inner(length(min = 1, max = 20)))]
    #[schemars(example = ["04A1B2C3D4", "DEADBEEF"])]
    pub tokens: Option<Vec<String>>,
    /// Whom chargers serve while they cannot ask: `known` the tokens they hold, `anyone`
    /// everybody, `nobody` none.
    #[serde(default)]
    pub offline: Offline,
    /// Send the tokens to every charger that keeps a local list, so that drivers are served without
    /// a connection.
    #[serde(default = "yes")]
    pub local_list: bool,
    /// Chargers forget the tokens that they have seen accepted after this long, in hours; 0 leaves
    /// it to them.
    #[serde(default = "cache_max_age_h")]
    #[schemars(range(min = 0, max = 8760))]
    pub cache_max_age_h: f64,
}

/// Whom chargers serve while they cannot ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Offline {
    /// The tokens that they hold.
    #[default]
    Known,
    /// Everybody.
    Anyone,
    /// Nobody.
    Nobody,
}

/// A token with more than its number.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The token (idTag) as the driver presents it; upper and lower case are the same.
    #[schemars(required, length(min = 1, max = 20), example = &"04A1B2C3D4")]
    pub id: Option<String>,
    /// Its group (parentIdTag). Any token of a group may end what another began and use what
    /// another reserved.
    #[schemars(length(min = 1, max = 20), example = &"FLEET")]
    pub group: Option<String>,
    /// It may charge from here on, as date and time with offset.
    #[schemars(length(min = 1, max = 40), example = &"2026-05-01T00:00:00+02:00")]
    pub valid_from: Option<String>,
    /// It may charge until then, as date and time with offset.
    #[schemars(length(min = 1, max = 40), example = &"2026-12-31T23:59:59+01:00")]
    pub valid_until: Option<String>,
    /// It may charge at these EVSEs only.
    #[schemars(length(min = 1, max = 1000), inner(length(min = 1, max = 36)))]
    #[schemars(example = ["EVSE-01", "EVSE-02"])]
    pub evses: Option<Vec<String>>,
    /// It may not charge until this is lifted.
    #[serde(default)]
    pub blocked: bool,
    /// It may run one charge at a time.
    #[serde(default)]
    pub single: bool,
}

fn yes() -> bool {
    true
}

fn cache_max_age_h() -> f64 {
    24.0
}
