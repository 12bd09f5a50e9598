//! The broker as it is written: `[mqtt]`, and `[mqtt.publish]` for what Ampgate tells. Doc comments
//! are the manual, see [`super::file`].

use schemars::JsonSchema;
use serde::Deserialize;

/// The MQTT broker that meters publish to, and that hears what Ampgate publishes.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    /// Host name or address of the broker. With `tls` it must stand in the broker's certificate.
    #[schemars(required, length(min = 1, max = 253), example = &"127.0.0.1")]
    pub host: Option<String>,
    /// TCP port. Left out: 1883, with `tls` 8883.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// The name under which Ampgate connects. Two programs with one name throw each other out. What
    /// publishes has the same name with `-out`.
    #[serde(default = "client_id")]
    #[schemars(length(min = 1, max = 61))]
    pub client_id: String,
    /// User name, where the broker wants one.
    #[schemars(length(min = 1, max = 255))]
    pub username: Option<String>,
    /// File that holds the password, alone on its first line. The password itself never stands in
    /// the configuration. Nobody but its owner and its group may read the file (mode 640 or 600).
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/mqtt.password")]
    pub password_file: Option<String>,
    /// Speak TLS with the broker (1.2 or 1.3), both in and out.
    #[serde(default)]
    pub tls: bool,
    /// Roots that the broker's certificate must come from, PEM. Left out: those of the system,
    /// `/etc/ssl/certs/ca-certificates.crt`.
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/broker-ca.pem")]
    pub ca_file: Option<String>,
    /// Certificate that Ampgate shows to the broker, PEM, where the broker wants one.
    #[schemars(length(min = 1, max = 4096))]
    pub certificate_file: Option<String>,
    /// The private key of `certificate_file`, PEM. Mode as for `password_file`.
    #[schemars(length(min = 1, max = 4096))]
    pub key_file: Option<String>,
    /// What Ampgate publishes. Without this table it publishes nothing.
    pub publish: Option<Publish>,
}

/// What Ampgate publishes: the state of the site and of each EVSE, as retained JSON, and what Home
/// Assistant needs to find them.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// The beginning of all topics. Two boxes at one broker need two.
    #[schemars(length(min = 1, max = 100), example = &"ampgate")]
    pub topic: String,
    /// Tell Home Assistant what there is (its MQTT discovery, 2024.11 or later).
    pub discovery: bool,
    /// The beginning of Home Assistant's discovery topics.
    #[schemars(length(min = 1, max = 100))]
    pub discovery_topic: String,
    /// A figure that changes is published no more often than this, in seconds. A change of status
    /// does not wait for it.
    #[schemars(range(min = 1, max = 3600))]
    pub every_s: f64,
    /// Whoever may write to the broker may lower limits: of an EVSE at
    /// `<topic>/evse/<name>/limit_a/set`, of the whole connection at `<topic>/site/limit_kw/set`.
    /// They never raise anything above what breakers allow.
    pub limits: bool,
    /// A limit that is set over MQTT ends by itself after this, in minutes; a command may ask for
    /// less.
    #[schemars(range(min = 1, max = 1440))]
    pub limit_min: f64,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            topic: "ampgate".to_owned(),
            discovery: true,
            discovery_topic: "homeassistant".to_owned(),
            every_s: 10.0,
            limits: false,
            limit_min: 60.0,
        }
    }
}

fn client_id() -> String {
    String::from("ampgate")
}
