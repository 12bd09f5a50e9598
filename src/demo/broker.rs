//! An MQTT broker inside the program, so that the demonstration needs nothing installed.
//!
//! rumqttd cannot be shut down, so it has a thread of its own and ends with the process; hence one
//! broker per process, and only here.

use std::net::SocketAddr;

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

/// Starts a broker at `address` and comes back at once.
pub fn start(address: SocketAddr) -> std::io::Result<()> {
    let connections = ConnectionSettings {
        connection_timeout_ms: 60_000,
        max_payload_size: 64 * 1024,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = ServerSettings {
        name: "demo".to_owned(),
        listen: address,
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    let config = Config {
        id: 0,
        router: RouterConfig {
            max_connections: 16,
            max_outgoing_packet_count: 200,
            max_segment_size: 1024 * 1024,
            max_segment_count: 4,
            ..RouterConfig::default()
        },
        v4: Some([("demo".to_owned(), server)].into()),
        ..Config::default()
    };
    let mut broker = Broker::new(config);
    let serve = move || {
        if let Err(error) = broker.start() {
            log::error!("the demonstration's broker has ended: {error}");
        }
    };
    std::thread::Builder::new().name("broker".to_owned()).spawn(serve).map(|_| ())
}
