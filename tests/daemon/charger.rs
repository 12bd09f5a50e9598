//! A charge point of the plainest kind: answers what it is asked and says what a test wants.
#![allow(dead_code, reason = "each test uses its own part")]

use std::net::SocketAddr;
use std::time::Duration;

use ampgate::ground::time::Utc;
use ampgate::io::clock::Clock;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Charger {
    socket: WebSocketStream<TcpStream>,
    calls: usize,
}

impl Charger {
    /// Connects; tries again while the daemon is still starting.
    pub async fn connect(address: SocketAddr, id: &str) -> Self {
        let again = async {
            loop {
                match shake(address, id).await {
                    Ok(charger) => return charger,
                    Err(Error::Io(_)) => tokio::task::yield_now().await,
                    Err(error) => panic!("{id} cannot connect: {error}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, again).await.expect("the daemon listens in time")
    }

    /// None if the daemon does not know it.
    pub async fn try_connect(address: SocketAddr, id: &str) -> Option<Self> {
        match shake(address, id).await {
            Err(Error::Http(response)) if response.status() == 404 => None,
            other => Some(other.unwrap()),
        }
    }

    pub async fn boot(&mut self) {
        let who = json!({"chargePointVendor": "Test", "chargePointModel": "Plain"});
        let answer = self.call("BootNotification", who).await;
        assert_eq!(answer["status"], "Accepted");
        let free = json!({"connectorId": 1, "errorCode": "NoError", "status": "Available"});
        self.call("StatusNotification", free).await;
    }

    /// Starts a transaction and returns its id.
    pub async fn start(&mut self, meter_wh: i64) -> i64 {
        self.start_of(present(), meter_wh).await
    }

    /// The same for a transaction that began a moment ago.
    pub async fn start_of(&mut self, time: Utc, meter_wh: i64) -> i64 {
        let start = json!({
            "connectorId": 1, "idTag": "04A1B2C3D4", "meterStart": meter_wh,
            "timestamp": time.to_text(),
        });
        let answer = self.call("StartTransaction", start).await;
        assert_eq!(answer["idTagInfo"]["status"], "Accepted");
        answer["transactionId"].as_i64().unwrap()
    }

    pub async fn stop(&mut self, transaction: i64, meter_wh: i64) {
        let stop = json!({
            "transactionId": transaction, "meterStop": meter_wh,
            "timestamp": present().to_text(),
        });
        self.call("StopTransaction", stop).await;
    }

    /// Calls and waits for the answer, serving the calls of the daemon meanwhile.
    pub async fn call(&mut self, action: &str, payload: Value) -> Value {
        self.calls += 1;
        let id = format!("call-{}", self.calls);
        let frame = json!([2, id, action, payload]).to_string();
        self.socket.send(Message::text(frame)).await.unwrap();
        loop {
            let frame = self.hear().await.expect("the link stays up");
            match frame[0].as_i64() {
                Some(2) => self.serve(&frame).await,
                Some(3) if frame[1] == id => return frame[2].clone(),
                _ => panic!("{action} was answered by {frame}"),
            }
        }
    }

    /// Serves calls until one of this kind has come; returns its payload.
    pub async fn until(&mut self, action: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.hear().await.expect("the link stays up");
            self.serve(&frame).await;
            if frame[2] == action && wanted(&frame[3]) {
                return frame[3].clone();
            }
        }
    }

    /// Waits until the daemon ends the link.
    pub async fn ends(&mut self) {
        while let Some(frame) = self.hear().await {
            self.serve(&frame).await;
        }
    }

    /// Whether a Close frame came before the end of the connection.
    pub async fn was_closed_politely(&mut self) -> bool {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("it ends") {
                Some(Ok(Message::Close(_))) => return true,
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return false,
            }
        }
    }

    async fn serve(&mut self, frame: &Value) {
        let answer = match frame[2].as_str() {
            Some("GetConfiguration") => json!({"configurationKey": [], "unknownKey": []}),
            Some("GetCompositeSchedule") => json!({"status": "Rejected"}),
            _ => json!({"status": "Accepted"}),
        };
        let answer = json!([3, frame[1], answer]).to_string();
        // The daemon may have gone meanwhile; whoever reads next will see it.
        let _ = self.socket.send(Message::text(answer)).await;
    }

    async fn hear(&mut self) -> Option<Value> {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("it speaks") {
                Some(Ok(Message::Text(text))) => {
                    return Some(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return None,
            }
        }
    }
}

/// A charger's clock is set by its central system, so it tells the same time.
pub fn present() -> Utc {
    Clock::real().now().utc.expect("this machine knows the time")
}

async fn shake(address: SocketAddr, id: &str) -> Result<Charger, Error> {
    let mut request = format!("ws://{address}/ocpp/{id}").into_client_request()?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", "ocpp1.6".parse().unwrap());
    let stream = TcpStream::connect(address).await?;
    let (socket, _) = client_async(request, stream).await?;
    Ok(Charger { socket, calls: 0 })
}
