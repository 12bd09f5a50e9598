//! The broker as the daemon needs it: where it is, how it is spoken to, and what it is told.

use std::path::PathBuf;

use crate::ground::time::Duration;

use super::derive;
use super::file_mqtt;

/// Port without TLS, and with it (IANA).
const PORTS: [u16; 2] = [1883, 8883];

/// Where the roots of the system are, on Debian and in Yocto images.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Where the MQTT broker is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Broker {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// MQTT client id of what listens; what publishes has `-out` behind it.
    pub client_id: String,
    /// User name, where the broker wants one.
    pub username: Option<String>,
    /// File that holds the password, alone on its first line.
    pub password_file: Option<PathBuf>,
    /// TLS; none = plain.
    pub tls: Option<BrokerTls>,
    /// What is published; none = nothing.
    pub publish: Option<Publish>,
}

/// How TLS is spoken with the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerTls {
    /// Roots that its certificate must come from, PEM.
    pub roots: PathBuf,
    /// What we show: certificate and private key, PEM; none = nothing.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The beginning of all topics.
    pub topic: String,
    /// The beginning of Home Assistant's discovery topics; none = no discovery.
    pub discovery: Option<String>,
    /// Figures are published no more often than this.
    pub every: Duration,
    /// How long limits last that are set over MQTT; none = they are not taken.
    pub limits_last: Option<Duration>,
}

/// What the file says; none where the host is missing, which was reported.
pub fn broker(mqtt: &file_mqtt::Mqtt) -> Option<Broker> {
    let path = |written: &Option<String>| written.as_ref().map(PathBuf::from);
    let client = path(&mqtt.certificate_file).zip(path(&mqtt.key_file));
    let roots = path(&mqtt.ca_file).unwrap_or_else(|| PathBuf::from(ROOTS));
    Some(Broker {
        host: mqtt.host.clone()?,
        port: mqtt.port.unwrap_or(PORTS[usize::from(mqtt.tls)]),
        client_id: mqtt.client_id.clone(),
        username: mqtt.username.clone(),
        password_file: path(&mqtt.password_file),
        tls: mqtt.tls.then_some(BrokerTls { roots, client }),
        publish: mqtt.publish.as_ref().map(publish),
    })
}

fn publish(publish: &file_mqtt::Publish) -> Publish {
    Publish {
        topic: publish.topic.clone(),
        discovery: publish.discovery.then(|| publish.discovery_topic.clone()),
        every: derive::seconds(publish.every_s),
        limits_last: publish.limits.then(|| derive::seconds(publish.limit_min * 60.0)),
    }
}
