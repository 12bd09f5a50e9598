//! The table `[update]` as it is written. Doc comments are the manual, see [`super::file`].

use schemars::JsonSchema;
use serde::Deserialize;

/// Updates of the box itself through RAUC. Without this table there are none.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Update {
    /// D-Bus on which RAUC is. Without it, the bus of the system.
    #[schemars(length(min = 1, max = 250), example = &"unix:path=/run/dbus/system_bus_socket")]
    pub bus: Option<String>,
    /// Part of the day in which an update is written and the box starts anew, local time. It may
    /// pass midnight. Without it, any hour is right. Cars come first in any case.
    #[schemars(length(min = 1, max = 13), example = &"01:00-05:00")]
    pub window: Option<String>,
    /// An update is tried so often when a download or the writing fails.
    #[schemars(range(min = 1, max = 20))]
    pub attempts: u32,
    /// A version is left when the site does not work again this long after its first start, in
    /// minutes.
    #[schemars(range(min = 0.1, max = 25))]
    pub trial_min: f64,
    /// The site has to work for this long before a version is confirmed, in seconds.
    #[schemars(range(min = 1, max = 3600))]
    pub settle_s: f64,
    /// The box is away for no longer than this when it starts anew, in minutes. It does not start
    /// anew while a car that charges would miss its departure by that.
    #[schemars(range(min = 0, max = 120))]
    pub pause_min: f64,
    /// A bundle is no larger than this, in megabytes.
    #[schemars(range(min = 1, max = 16_384))]
    pub size_max_mb: u32,
    /// Roots that the certificates of update servers must come from, PEM. Without it, those of the
    /// web.
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/update-roots.pem")]
    pub ca_file: Option<String>,
    /// An index on a web server that is looked at for newer versions.
    pub index: Option<Index>,
    /// An Eclipse hawkBit server that rolls updates out.
    pub hawkbit: Option<HawkBit>,
}

/// An index on a web server that is looked at for newer versions.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Where it is.
    #[schemars(
        required, length(min = 9, max = 2048),
        example = &"https://updates.example.org/ampgate/index.json"
    )]
    pub url: Option<String>,
    /// It is looked at this often, in hours.
    #[serde(default = "every_h")]
    #[schemars(range(min = 0.001, max = 168))]
    pub every_h: f64,
}

/// An Eclipse hawkBit server that rolls updates out.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HawkBit {
    /// Where it is, without the tenant.
    #[schemars(required, length(min = 9, max = 2048), example = &"https://hawkbit.example.org")]
    pub url: Option<String>,
    /// Its tenant.
    #[serde(default = "tenant")]
    #[schemars(length(min = 1, max = 128))]
    pub tenant: String,
    /// What this box is called there.
    #[schemars(required, length(min = 1, max = 256), example = &"site-17")]
    pub controller_id: Option<String>,
    /// File that holds the token of this box, alone on its first line.
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/hawkbit.token")]
    pub target_token_file: Option<String>,
    /// File that holds a token that all boxes share, alone on its first line.
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/hawkbit-gateway.token")]
    pub gateway_token_file: Option<String>,
    /// What the server is told of this box, besides its version and hardware.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub attribute: Vec<Attribute>,
    /// Updates that wait for consent get it by themselves.
    #[serde(default)]
    pub consent: bool,
}

/// Something that the server is told of this box.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Its name.
    #[schemars(required, length(min = 1, max = 128), example = &"site")]
    pub name: Option<String>,
    /// Its value.
    #[schemars(required, length(min = 1, max = 1024), example = &"Depot North")]
    pub value: Option<String>,
}

impl Default for Update {
    fn default() -> Self {
        Self {
            bus: None,
            window: None,
            attempts: 3,
            trial_min: 15.0,
            settle_s: 60.0,
            pause_min: 10.0,
            size_max_mb: 1024,
            ca_file: None,
            index: None,
            hawkbit: None,
        }
    }
}

fn every_h() -> f64 {
    6.0
}

fn tenant() -> String {
    "DEFAULT".to_owned()
}
