//! The simulated plant behind real sockets: twelve charge points as WebSocket clients, the meters
//! as an MQTT publisher. The same [`Plant`] runs in virtual time inside the twin.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rumqttc::{AsyncClient, EventLoop, MqttOptions, QoS};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::ground::ids::ChargePointId;
use crate::ground::time::{Duration, Instant, Now};
use crate::io::clock::Clock;
use crate::model::site::Site;
use crate::twin::checker::Checker;
use crate::twin::output::PlantOutput;
use crate::twin::plant::{Plant, PlantState};
use crate::twin::scenario::Fault;

/// Frames that may wait for one socket; a charge point has few in flight.
const FRAMES_MAX: usize = 256;

/// What happens to the plant from outside.
#[derive(Debug)]
pub enum Doing {
    /// A charge point's socket is open.
    Connected(ChargePointId),
    /// A charge point's socket is closed.
    Disconnected(ChargePointId, u64),
    /// The central system sent a frame.
    Frame(ChargePointId, String),
    /// Somebody breaks something, or puts it right.
    Fault(Fault),
}

/// Where the plant connects to.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// The daemon's OCPP listener.
    pub ocpp: SocketAddr,
    /// The broker.
    pub broker: SocketAddr,
}

/// The plant as it truly is, whatever the daemon believes.
#[derive(Clone, Debug)]
pub struct Truth {
    /// Currents, cars, registers.
    pub state: PlantState,
    /// What was looked at since the start: overloads and broken rules.
    pub checker: Checker,
}

/// A plant that runs; dropping it stops all of its tasks.
#[derive(Debug)]
pub struct Field {
    /// Breaks things.
    pub doing: mpsc::Sender<Doing>,
    /// The truth, some times a second.
    pub truth: watch::Receiver<Arc<Truth>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Field {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Field {
    /// Starts the plant.
    pub fn start(site: &Site, plant: Plant, places: Places, clock: Clock) -> Self {
        let (doing, done) = mpsc::channel(4096);
        let checker = Checker::new(site);
        let first = Truth { state: plant.state().clone(), checker: checker.clone() };
        let (publish, truth) = watch::channel(Arc::new(first));
        let (client, events) = mqtt(places.broker);
        let runner = Runner {
            checked: clock.now().mono,
            checker,
            plant,
            clock,
            client,
            ocpp: places.ocpp,
            doing: doing.clone(),
            sockets: BTreeMap::new(),
            opened: 0,
            publish,
        };
        let task = tokio::spawn(async move {
            tokio::join!(runner.run(done), pump(events));
        });
        Self { doing, truth, task }
    }
}

fn mqtt(broker: SocketAddr) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("demo-meters", broker.ip().to_string(), broker.port());
    options.set_keep_alive(std::time::Duration::from_secs(30));
    AsyncClient::new(options, 512)
}

/// The MQTT client works only while its event loop is asked.
async fn pump(mut events: EventLoop) {
    loop {
        if events.poll().await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}

struct Socket {
    number: u64,
    frames: mpsc::Sender<String>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Runner {
    plant: Plant,
    checker: Checker,
    checked: Instant,
    clock: Clock,
    client: AsyncClient,
    ocpp: SocketAddr,
    doing: mpsc::Sender<Doing>,
    sockets: BTreeMap<ChargePointId, Socket>,
    opened: u64,
    publish: watch::Sender<Arc<Truth>>,
}

impl Runner {
    async fn run(mut self, mut done: mpsc::Receiver<Doing>) {
        const SHOW_EVERY: Duration = Duration::seconds(5);
        let mut shown = self.clock.now().mono;
        loop {
            let at = self.plant.wake_at();
            let mut out = Vec::new();
            let told = tokio::select! {
                something = done.recv() => {
                    if something.is_none() {
                        return;
                    }
                    something
                }
                () = self.clock.sleep_until(at) => None,
            };
            let now = self.clock.now();
            self.checker.span(self.checked, now.mono, self.plant.state());
            self.checked = now.mono;
            if let Some(something) = told {
                self.take(something, now, &mut out);
            }
            self.plant.wake(now, &mut out);
            self.checker.limits(now.mono, &self.plant.state().evses);
            for output in out {
                self.send(output).await;
            }
            if SHOW_EVERY <= now.mono.since(shown) {
                shown = now.mono;
                let (state, checker) = (self.plant.state().clone(), self.checker.clone());
                self.publish.send_replace(Arc::new(Truth { state, checker }));
            }
        }
    }

    fn take(&mut self, something: Doing, now: Now, out: &mut Vec<PlantOutput>) {
        match something {
            Doing::Connected(id) => self.plant.connected(&id, now, out),
            Doing::Disconnected(id, number) => {
                let current = self.sockets.get(&id).is_some_and(|open| open.number == number);
                if current {
                    self.sockets.remove(&id);
                    self.plant.disconnected(&id, now, out);
                }
            }
            Doing::Frame(id, text) => self.plant.frame(&id, &text, now, out),
            Doing::Fault(fault) => self.plant.fault(fault, now, out),
        }
    }

    async fn send(&mut self, output: PlantOutput) {
        match output {
            PlantOutput::Connect(id) => self.connect(id),
            PlantOutput::Frame { charge_point, text } => {
                let open = self.sockets.get(&charge_point);
                if open.is_some_and(|open| open.frames.try_send(text).is_err()) {
                    log::warn!("demo: {charge_point} has too much to say; a frame is lost");
                }
            }
            PlantOutput::Close(id) => {
                self.sockets.remove(&id);
            }
            PlantOutput::Mqtt { topic, payload, retained } => {
                if let Err(error) =
                    self.client.try_publish(topic, QoS::AtMostOnce, retained, payload)
                {
                    log::warn!("demo: a meter's message is lost: {error}");
                }
            }
        }
    }

    fn connect(&mut self, id: ChargePointId) {
        self.opened += 1;
        let (frames, outgoing) = mpsc::channel(FRAMES_MAX);
        let (number, doing) = (self.opened, self.doing.clone());
        let (address, identity) = (self.ocpp, id.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = talk(address, &identity, outgoing, &doing).await {
                log::debug!("demo: {identity}: {error}");
            }
            // The plant may have ended; then nobody needs to know.
            let _ = doing.send(Doing::Disconnected(identity, number)).await;
        });
        self.sockets.insert(id, Socket { number, frames, task });
    }
}

/// One charge point's socket from its opening to its end.
async fn talk(
    address: SocketAddr,
    identity: &ChargePointId,
    mut outgoing: mpsc::Receiver<String>,
    doing: &mpsc::Sender<Doing>,
) -> Result<(), String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let mut request = format!("ws://{address}/ocpp/{identity}")
        .into_client_request()
        .map_err(|error| words(&error))?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("ocpp1.6"));
    let stream = TcpStream::connect(address).await.map_err(|error| words(&error))?;
    let (socket, _) =
        tokio_tungstenite::client_async(request, stream).await.map_err(|error| words(&error))?;
    let (mut write, mut read) = socket.split();
    if doing.send(Doing::Connected(identity.clone())).await.is_err() {
        return Ok(());
    }
    loop {
        tokio::select! {
            text = outgoing.recv() => {
                let Some(text) = text else { return Ok(()) };
                write.send(Message::text(text)).await.map_err(|error| words(&error))?;
            }
            message = read.next() => {
                match message {
                    Some(Ok(Message::Text(text))) => {
                        let frame = Doing::Frame(identity.clone(), text.to_string());
                        if doing.send(frame).await.is_err() {
                            return Ok(());
                        }
                    }
                    Some(Ok(Message::Close(_))) | None => return Ok(()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(words(&error)),
                }
            }
        }
    }
}
