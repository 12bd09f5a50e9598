//! The table `[security]` as it is written. Doc comments are the manual, see [`super::file`].

use schemars::JsonSchema;
use serde::Deserialize;

/// What chargers have to show, and what this box shows them. Passwords never stand here: they are
/// made with `ampgate charger password`, and only their hashes are kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    /// Certificate of this box for `ocpps`, PEM, followed by what is between it and its root.
    /// Where it is left out, the one that `ampgate ca init` has made. It is read again when the
    /// file changes.
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/server.pem")]
    pub certificate_file: Option<String>,
    /// Private key of the certificate, PEM.
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/server.key")]
    pub key_file: Option<String>,
    /// Roots that the certificates of chargers must come from (security profile 3), PEM. Where it
    /// is left out, the root that `ampgate ca init` has made.
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/charger-roots.pem")]
    pub client_root_file: Option<String>,
    /// Networks whose chargers may connect without a password (security profile 0), as long as none
    /// was set for them.
    #[schemars(length(max = 50))]
    pub open_network: Vec<OpenNetwork>,
}

/// A network of chargers alone, where nobody else can get in.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenNetwork {
    /// What people call it.
    #[schemars(required, length(min = 1, max = 60), example = &"Charger VLAN")]
    pub name: Option<String>,
    /// Its addresses.
    #[schemars(required, length(min = 1, max = 60), example = &"10.20.0.0/24")]
    pub network: Option<String>,
}
