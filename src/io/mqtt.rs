//! The connection to the broker: subscribes to every topic of the meters, hands payloads on as they
//! come, connects again for ever.
//!
//! The controller hears of the broker when the subscription is confirmed, not when the socket is
//! open: only then can a meter be heard. Anonymous or with a password from a file, with or without
//! TLS: see [`super::broker`].

use std::collections::BTreeSet;

use rumqttc::{AsyncClient, Event, Packet, QoS, SubscribeFilter, SubscribeReasonCode};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::config::broker::Broker;
use crate::controller::message::Input;
use crate::ground::time::Duration;

use super::broker::{place, way, words};
use super::clock::Clock;
use super::inbox::{Gone, Inbox};

/// Requests that may wait inside rumqttc; there is one subscription and nothing is published.
const REQUESTS_MAX: usize = 8;

/// First wait after a failure; doubles up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::seconds(1);
/// See [`WAIT_MIN`].
const WAIT_MAX: Duration = Duration::seconds(30);

/// A subscription of a broker. Dropping it disconnects.
#[derive(Debug)]
pub struct Subscription(JoinHandle<()>);

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Subscription {
    /// Connects, and reports everything that comes in.
    pub fn begin(broker: Broker, topics: BTreeSet<String>, inbox: Inbox, clock: Clock) -> Self {
        Self(tokio::spawn(async move {
            let mut wait = WAIT_MIN;
            loop {
                // In a task of its own: a packet that makes the library panic must not end us.
                let session = session(broker.clone(), topics.clone(), inbox.clone());
                let mut running = Running(tokio::spawn(session));
                let why = match (&mut running.0).await {
                    Ok(Ok(Ended { why, heard })) => {
                        if heard {
                            wait = WAIT_MIN;
                        }
                        why
                    }
                    Ok(Err(Gone)) => return,
                    Err(_) => "the broker sent what could not be read".to_owned(),
                };
                if inbox.put(Input::BrokerDown { why }).await.is_err() {
                    return;
                }
                clock.sleep(wait).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
        }))
    }
}

/// Ends its task with itself.
struct Running(JoinHandle<Result<Ended, Gone>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a session ended.
struct Ended {
    why: String,
    /// It was subscribed in between.
    heard: bool,
}

async fn session(broker: Broker, topics: BTreeSet<String>, inbox: Inbox) -> Result<Ended, Gone> {
    let place = place(&broker);
    let failed = |why: String| Ended { why: format!("broker {place}: {why}"), heard: false };
    let way = match way(&broker, &broker.client_id).await {
        Ok(way) => way,
        Err(why) => return Ok(failed(why)),
    };
    let (client, mut events) = AsyncClient::new(way.options.clone(), REQUESTS_MAX);
    let mut heard = false;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                if let Err(why) = subscribe(&client, &topics) {
                    return Ok(failed(why));
                }
            }
            Ok(Event::Incoming(Packet::SubAck(answer))) => {
                let refused = answer
                    .return_codes
                    .iter()
                    .zip(&topics)
                    .filter(|(code, _)| **code == SubscribeReasonCode::Failure);
                let refused: Vec<&str> = refused.map(|(_, topic)| topic.as_str()).collect();
                if refused.len() == topics.len() {
                    return Ok(failed(format!("it lets us read none of {}", refused.join(", "))));
                }
                for topic in refused {
                    log::warn!("broker {place} does not let us read {topic}");
                }
                heard = true;
                inbox.put(Input::BrokerUp).await?;
            }
            Ok(Event::Incoming(Packet::Publish(message))) => {
                let (topic, retained) = (message.topic, message.retain);
                let payload = message.payload.to_vec();
                inbox.put(Input::Mqtt { topic, payload, retained }).await?;
            }
            Ok(_) => {}
            Err(error) => return Ok(Ended { heard, ..failed(words(&error)) }),
        }
    }
}

fn subscribe(client: &AsyncClient, topics: &BTreeSet<String>) -> Result<(), String> {
    let filter = |topic: &String| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce);
    client
        .try_subscribe_many(topics.iter().map(filter))
        .map_err(|error| format!("the subscription could not be sent: {error}"))
}

/// Hears what the configuration wants to be heard; none without a broker or a topic.
pub fn hear(config: &Config, inbox: &Inbox, clock: &Clock) -> Option<Subscription> {
    let broker = config.mqtt.clone()?;
    let topics = config.site.topics();
    (!topics.is_empty()).then(|| Subscription::begin(broker, topics, inbox.clone(), clock.clone()))
}
