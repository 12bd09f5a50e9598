//! Floor 3: text to a checked [`Config`]; every mistake reported at once.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::model::site::Site;

/// A checked configuration: the site, and what the daemon opens and connects to.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Everything the controller needs.
    pub site: Site,
    /// Plain OCPP listener (`ws://…/ocpp/{identity}`); none = closed.
    pub ocpp: Option<SocketAddr>,
    /// Web page and API; none = closed. Loopback only until users and roles exist.
    pub web: Option<SocketAddr>,
    /// The broker; none when no meter is configured.
    pub mqtt: Option<Broker>,
}

/// Where the MQTT broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Host name or address.
    pub host: String,
    /// TCP port, 1883 as a rule.
    pub port: u16,
    /// MQTT client id.
    pub client_id: String,
    /// User name, where the broker wants one.
    pub username: Option<String>,
    /// File that holds the password, alone on its first line.
    pub password_file: Option<PathBuf>,
}
