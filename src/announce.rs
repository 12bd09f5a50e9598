//! Floor 7: joins what is told over MQTT to a running daemon: its views become messages, commands
//! become orders. Runs for as long as the daemon; begins and ends with `[mqtt.publish]`.

use std::sync::Arc;
use std::time::Duration as RealDuration;

use tokio::time::MissedTickBehavior;

use crate::config::broker::{Broker, Publish};
use crate::controller::message::{Answer, Order};
use crate::controller::view::View;
use crate::daemon::Handle;
use crate::io::clock::Clock;
use crate::io::post::{Heard, Manner, Post};
use crate::model::event::EventKind;
use crate::model::limit::LimitOf;
use crate::publish::command;
use crate::publish::pace::Pace;
use crate::publish::topics::{Place, Topics};

/// Views are looked at this often, in real time.
const ROUND: RealDuration = RealDuration::from_secs(1);

/// What the broker kept of us is there within this many rounds after a connection.
const FINDING: u32 = 5;

/// Commands that are obeyed in one round; more are not meant by anybody.
const COMMANDS_MAX: u32 = 20;

/// What the broker says of us, as Home Assistant expects it.
const ONLINE: &str = "online";
const OFFLINE: &str = "offline";

/// Publishes what the configuration in force wants published, for ever.
pub async fn run(handle: Handle) {
    let mut wanted = handle.field.broker();
    loop {
        let broker = wanted.borrow_and_update().clone();
        let told = broker.and_then(|broker| Some((broker.publish.clone()?, broker)));
        match told {
            None => {
                if wanted.changed().await.is_err() {
                    return;
                }
            }
            Some((publish, broker)) => {
                let mut teller = Teller::new(&handle, publish, broker);
                tokio::select! {
                    () = teller.run() => return,
                    changed = wanted.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        let next = wanted.borrow().clone();
                        teller.leave(next.as_ref()).await;
                    }
                }
            }
        }
    }
}

struct Teller {
    handle: Handle,
    publish: Publish,
    topics: Topics,
    pace: Pace,
    post: Post,
    /// What happens to machines takes real time, also in a demonstration.
    real: Clock,
    up: bool,
    /// Rounds in which the states that the broker kept are listened to.
    finding: u32,
    commands: u32,
    told_down: bool,
}

impl Teller {
    fn new(handle: &Handle, publish: Publish, broker: Broker) -> Self {
        let topics = Topics::new(&publish);
        let manner = Manner {
            will_topic: topics.availability(),
            will: OFFLINE.to_owned(),
            topics: topics.heard(publish.limits_last.is_some()),
        };
        let real = Clock::real();
        Self {
            handle: handle.clone(),
            pace: Pace::new(&publish),
            post: Post::begin(broker, manner, real.clone()),
            topics,
            publish,
            real,
            up: false,
            finding: 0,
            commands: 0,
            told_down: false,
        }
    }

    /// Ends with the daemon.
    async fn run(&mut self) {
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = self.post.next() => match heard {
                    Some(heard) => self.hear(heard).await,
                    None => return,
                },
                _ = rounds.tick() => self.round(),
            }
        }
    }

    fn view(&self) -> Arc<View> {
        self.handle.view.borrow().clone()
    }

    fn round(&mut self) {
        self.commands = 0;
        if !self.up {
            return;
        }
        if 0 < self.finding {
            self.finding -= 1;
            if self.finding == 0 {
                self.post.listen(&self.topics.evse_states(), false);
            }
        }
        let (view, now) = (self.view(), self.real.now().mono);
        for letter in self.pace.due(&view, now) {
            if !self.post.send(&letter.topic, &letter.payload) {
                // The rest is due again in the next round.
                return;
            }
            self.pace.sent(letter, now);
        }
    }

    async fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Up => {
                (self.up, self.finding) = (true, FINDING);
                self.pace.again();
                self.post.send(&self.topics.availability(), ONLINE);
                self.post.listen(&self.topics.evse_states(), true);
                if std::mem::take(&mut self.told_down) {
                    let text = "connected; all is told again".to_owned();
                    self.tell(EventKind::BrokerUp, "mqtt.publish", text).await;
                }
                log::info!("telling over MQTT under {}", self.topics.availability());
            }
            Heard::Down(why) => {
                self.up = false;
                if !std::mem::replace(&mut self.told_down, true) {
                    self.tell(EventKind::BrokerDown, "mqtt.publish", why).await;
                }
            }
            Heard::Message { topic, payload, retained } => {
                self.message(&topic, &payload, retained).await;
            }
        }
    }

    async fn message(&mut self, topic: &str, payload: &[u8], retained: bool) {
        let Some(place) = self.topics.place(topic) else { return };
        match &place {
            Place::Birth if payload == ONLINE.as_bytes() && !retained => self.pace.again(),
            Place::EvseState(slug) if retained && !payload.is_empty() => self.pace.found(slug),
            Place::Birth | Place::EvseState(_) => {}
            Place::ChargingLimit | Place::EvseLimit(_) => {
                self.command(&place, topic, payload, retained).await;
            }
        }
    }

    async fn command(&mut self, place: &Place, topic: &str, payload: &[u8], retained: bool) {
        if COMMANDS_MAX <= self.commands {
            return;
        }
        self.commands += 1;
        if retained {
            if payload.is_empty() {
                return;
            }
            let text = format!("{topic}: a retained limit, expected one that is not retained");
            return self.tell(EventKind::OuterLimitRefused, "", text).await;
        }
        let order = command::read(&self.publish, place, payload, &self.view());
        let (subject, why) = match order {
            None => return,
            Some(Err((subject, why))) => (subject, format!("{topic}: {why}")),
            Some(Ok(order)) => {
                let subject = subject(&order);
                match self.handle.request(order).await {
                    Answer::Refused { why } => (subject, why),
                    _ => return,
                }
            }
        };
        self.tell(EventKind::OuterLimitRefused, &subject, why).await;
    }

    /// Clears what was told where another configuration no longer tells it there.
    async fn leave(&mut self, next: Option<&Broker>) {
        let next = next.and_then(|broker| broker.publish.as_ref());
        let kept = next.is_some_and(|next| {
            next.topic == self.publish.topic && next.discovery == self.publish.discovery
        });
        if kept {
            return;
        }
        for letter in self.pace.farewell() {
            self.post.send(&letter.topic, &letter.payload);
        }
        self.post.send(&self.topics.availability(), OFFLINE);
        // The connection ends with this; what was sent gets a moment to leave.
        tokio::time::sleep(ROUND).await;
    }

    async fn tell(&self, kind: EventKind, subject: &str, text: String) {
        self.handle.tell(kind, subject.to_owned(), text).await;
    }
}

fn subject(order: &Order) -> String {
    match order {
        Order::OuterLimit { of: LimitOf::Evse { evse, .. }, .. } => evse.to_string(),
        _ => String::new(),
    }
}
