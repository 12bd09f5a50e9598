//! A connection to the broker for what is told: publishes, listens to a few topics, connects again
//! for ever. The broker says in our place that we are gone.
//!
//! Nothing waits for it: what cannot be taken at once is for the caller to say again.

use std::sync::{Arc, Mutex, PoisonError};

use rumqttc::{AsyncClient, Event, LastWill, Packet, QoS, SubscribeFilter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::broker::Broker;
use crate::ground::time::Duration;

use super::broker::{place, way, words};
use super::clock::Clock;

/// Messages that may wait inside rumqttc.
const REQUESTS_MAX: usize = 256;

/// What was heard and not yet looked at; a broker may hand over the states of a thousand EVSEs.
const HEARD_MAX: usize = 2048;

/// First wait after a failure; doubles up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::seconds(1);
/// See [`WAIT_MIN`].
const WAIT_MAX: Duration = Duration::seconds(30);

/// What happens.
#[derive(Debug)]
pub enum Heard {
    /// The broker has let us in.
    Up,
    /// It is gone, with the reason.
    Down(String),
    /// A message of a topic that is listened to.
    Message {
        /// Where.
        topic: String,
        /// What.
        payload: Vec<u8>,
        /// It was kept by the broker and may be of any age.
        retained: bool,
    },
}

/// Topics that are listened to, and what the broker says when we are gone.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Where the broker says it, retained …
    pub will_topic: String,
    /// … and what.
    pub will: String,
    /// What is listened to.
    pub topics: Vec<String>,
}

/// A connection that publishes. Dropping it cuts it, so that the broker says that we are gone.
#[derive(Debug)]
pub struct Post {
    client: Client,
    heard: mpsc::Receiver<Heard>,
    task: JoinHandle<()>,
}

/// The client of the session that runs; none between two.
type Client = Arc<Mutex<Option<AsyncClient>>>;

impl Drop for Post {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Post {
    /// Begins to connect.
    pub fn begin(broker: Broker, manner: Manner, clock: Clock) -> Self {
        let (tell, heard) = mpsc::channel(HEARD_MAX);
        let client: Client = Arc::default();
        let task = tokio::spawn(run(broker, manner, client.clone(), tell, clock));
        Self { client, heard, task }
    }

    /// What happens next.
    pub async fn next(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }

    /// Publishes, to be kept by the broker; false where it cannot be taken at this moment.
    pub fn send(&self, topic: &str, payload: &str) -> bool {
        self.with(|client| client.try_publish(topic, QoS::AtLeastOnce, true, payload).is_ok())
    }

    /// Listens to a topic in this session, besides the usual ones, or no longer.
    pub fn listen(&self, topic: &str, wanted: bool) -> bool {
        self.with(|client| match wanted {
            true => client.try_subscribe(topic, QoS::AtLeastOnce).is_ok(),
            false => client.try_unsubscribe(topic).is_ok(),
        })
    }

    fn with(&self, act: impl FnOnce(&AsyncClient) -> bool) -> bool {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client.as_ref().is_some_and(act)
    }
}

async fn run(
    broker: Broker,
    manner: Manner,
    client: Client,
    tell: mpsc::Sender<Heard>,
    clock: Clock,
) {
    let mut wait = WAIT_MIN;
    loop {
        // In a task of its own: a packet that makes the library panic must not end us.
        let one = session(broker.clone(), manner.clone(), client.clone(), tell.clone());
        let mut running = Running(tokio::spawn(one));
        let ended = (&mut running.0).await;
        set(&client, None);
        let (why, heard) = ended.unwrap_or_else(|_| {
            let why = format!("broker {}: it sent what could not be read", place(&broker));
            (why, false)
        });
        if heard {
            wait = WAIT_MIN;
        }
        if tell.send(Heard::Down(why)).await.is_err() {
            return;
        }
        clock.sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// Ends its task with itself.
struct Running(JoinHandle<(String, bool)>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why it ended, and whether the broker had let us in.
async fn session(
    broker: Broker,
    manner: Manner,
    client: Client,
    tell: mpsc::Sender<Heard>,
) -> (String, bool) {
    let failed = |why: String| format!("broker {}: {why}", place(&broker));
    let way = match way(&broker, &format!("{}-out", broker.client_id)).await {
        Ok(way) => way,
        Err(why) => return (failed(why), false),
    };
    let mut options = way.options.clone();
    let Manner { will_topic, will, topics } = manner;
    options.set_last_will(LastWill::new(will_topic, will, QoS::AtLeastOnce, true));
    let (ours, mut events) = AsyncClient::new(options, REQUESTS_MAX);
    let mut up = false;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                up = true;
                let filter = |topic: &String| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce);
                let asked =
                    topics.is_empty() || ours.try_subscribe_many(topics.iter().map(filter)).is_ok();
                if !asked {
                    return (failed("the subscription could not be sent".to_owned()), up);
                }
                set(&client, Some(ours.clone()));
                if tell.send(Heard::Up).await.is_err() {
                    return (String::new(), up);
                }
            }
            Ok(Event::Incoming(Packet::Publish(message))) => {
                let (topic, retained) = (message.topic, message.retain);
                let payload = message.payload.to_vec();
                // A flood of commands must not hold up the connection; the newest that fit count.
                let _ = tell.try_send(Heard::Message { topic, payload, retained });
            }
            Ok(_) => {}
            Err(error) => return (failed(words(&error)), up),
        }
    }
}

fn set(client: &Client, now: Option<AsyncClient>) {
    *client.lock().unwrap_or_else(PoisonError::into_inner) = now;
}
