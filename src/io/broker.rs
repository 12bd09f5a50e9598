//! How a broker is reached: the options of the connection, the password, and TLS.
//!
//! rumqttc brings TLS of its own, pinned to old libraries. So the connection is made here, with the
//! TLS of [`super::tls`], and rumqttc speaks through it over a socket that never leaves this
//! process: an abstract name that is random, taken once, and given to nobody of another process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{ConnectReturnCode, ConnectionError, MqttOptions, Transport};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::broker::{Broker, BrokerTls};

use super::secret;
use super::tls;

/// The largest message that is read. Publishers of meters send some hundred bytes, a home
/// automation with all its states in one message some ten KiB, a forecast of two weeks a hundred.
const PACKET_BYTES_MAX: usize = 256 * 1024;

/// A dead network is noticed after this and a half, in real time.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// TCP and TLS are open within this, in real time.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// A way to a broker. Dropping it closes the connection.
#[derive(Debug)]
pub struct Way {
    /// For rumqttc.
    pub options: MqttOptions,
    _tunnel: Option<Tunnel>,
}

/// Passes bytes on; ends with itself.
#[derive(Debug)]
struct Tunnel(JoinHandle<()>);

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// `host:port`, for people.
pub fn place(broker: &Broker) -> String {
    format!("{}:{}", broker.host, broker.port)
}

/// The way to this broker, under this client id. The error is in words and holds no password.
pub async fn way(broker: &Broker, client_id: &str) -> Result<Way, String> {
    let Some(tls) = &broker.tls else {
        let options = options(broker, MqttOptions::new(client_id, &broker.host, broker.port))?;
        return Ok(Way { options, _tunnel: None });
    };
    let stream = tokio::time::timeout(CONNECT_TIME, connect(broker, tls));
    let stream = stream.await.map_err(|_| "it does not answer".to_owned())??;
    let name = format!("\0ampgate-{}", secret::random_hex::<16>());
    let inner = |error: std::io::Error| format!("no socket inside this process: {error}");
    let listener = UnixListener::bind(&name).map_err(inner)?;
    let mut options = options(broker, MqttOptions::new(client_id, name, broker.port))?;
    options.set_transport(Transport::unix());
    let tunnel = Tunnel(tokio::spawn(pass_on(listener, stream)));
    Ok(Way { options, _tunnel: Some(tunnel) })
}

fn options(broker: &Broker, mut options: MqttOptions) -> Result<MqttOptions, String> {
    options
        .set_keep_alive(KEEP_ALIVE)
        .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX)
        .set_clean_session(true);
    let password = match &broker.password_file {
        None => String::new(),
        Some(file) => {
            let text = guarded(file).map_err(|why| format!("password file {why}"))?;
            let text = String::from_utf8(text)
                .map_err(|_| format!("password file {}: no text", file.display()))?;
            text.lines().next().unwrap_or_default().to_owned()
        }
    };
    if let Some(username) = &broker.username {
        options.set_credentials(username, password);
    }
    Ok(options)
}

/// A file that holds a secret: refused when everybody may read it.
fn guarded(file: &Path) -> Result<Vec<u8>, String> {
    let words = |error: std::io::Error| format!("{}: {error}", file.display());
    let mode = fs::metadata(file).map_err(words)?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        let file = file.display();
        return Err(format!("{file}: its mode is {mode:03o}, expected 640 or 600"));
    }
    fs::read(file).map_err(words)
}

async fn connect(broker: &Broker, tls: &BrokerTls) -> Result<TlsStream<TcpStream>, String> {
    let config = client(tls)?;
    let name = ServerName::try_from(broker.host.clone())
        .map_err(|_| "its name cannot stand in a certificate".to_owned())?;
    let address = (broker.host.as_str(), broker.port);
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(config);
    connector.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))
}

/// Reads the files anew with each connection, so that renewed certificates need no restart.
fn client(wanted: &BrokerTls) -> Result<Arc<ClientConfig>, String> {
    let plain = |file: &Path| {
        let words = |error| format!("{}: {error}", file.display());
        Ok::<_, String>((file.to_path_buf(), fs::read(file).map_err(words)?))
    };
    let shown = match &wanted.client {
        None => None,
        Some((certificate, key)) => Some((plain(certificate)?, (key.clone(), guarded(key)?))),
    };
    tls::client(&plain(&wanted.roots)?, shown.as_ref()).map_err(|error| error.to_string())
}

/// Takes one connection of this process and passes its bytes on until either side ends.
async fn pass_on(listener: UnixListener, mut stream: TlsStream<TcpStream>) {
    let own = i32::try_from(std::process::id()).ok();
    loop {
        let Ok((mut inner, _)) = listener.accept().await else { return };
        let peer = inner.peer_cred().ok().and_then(|peer| peer.pid());
        if peer.is_none() || peer != own {
            log::warn!("process {peer:?} has tried to use our connection to the broker");
            continue;
        }
        drop(listener);
        // How it ended is for rumqttc to say: its side is closed with it.
        let _ = copy_bidirectional(&mut inner, &mut stream).await;
        return;
    }
}

/// Why a connection ended, in words.
pub fn words(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
        ) => "it does not accept our user name and password".to_owned(),
        ConnectionError::NetworkTimeout => "it does not answer".to_owned(),
        ConnectionError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_everybody_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "secret\n").unwrap();
        let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        let why = guarded(&file).unwrap_err();
        assert!(why.contains("its mode is 644, expected 640 or 600"), "{why}");
        mode(0o640);
        let broker = Broker {
            username: Some("box".to_owned()),
            password_file: Some(file),
            ..Broker::default()
        };
        let options = options(&broker, MqttOptions::new("a", "b", 1)).unwrap();
        let login = options.credentials().expect("they are set");
        assert_eq!((login.username.as_str(), login.password.as_str()), ("box", "secret"));
    }
}
