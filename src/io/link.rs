//! One connected charge point: frames in, frames out, and whether it is still alive.
//!
//! Invariants: nothing here waits for this peer on behalf of another; a peer that does not read is
//! dropped; any frame in is a sign of life. A server ping is a courtesy: some chargers never answer
//! one (OCPP-J knows no duty to), so after the first only those are pinged that did, and a missed
//! pong alone is never fatal.

use futures_util::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::controller::message::Input;
use crate::ground::ids::{ChargePointId, LinkId};
use crate::ground::time::{Duration, Instant};

use super::clock::Clock;
use super::handshake::MESSAGE_BYTES_MAX;
use super::inbox::Inbox;
use super::stream::Stream;

/// Frames that may wait for one peer. It is asked one thing at a time, so these are answers, and a
/// peer with so many of its own questions open is not reading.
pub const OUTGOING_MAX: usize = 256;

/// One write may take this long, in real time; slow modems need seconds.
const WRITE_TIME: std::time::Duration = std::time::Duration::from_secs(20);

/// A Close frame is sent and answered within this, in real time, or the line is cut.
const CLOSE_TIME: std::time::Duration = std::time::Duration::from_secs(2);

/// After this much silence a peer is pinged, if it answers pings.
const PING_AFTER: Duration = Duration::seconds(30);

/// How often silence is measured.
const CHECK_EVERY: Duration = Duration::seconds(15);

/// What is to be done on a link.
#[derive(Debug)]
pub enum Outgoing {
    /// Send this text.
    Text(String),
    /// Close in order.
    Close,
}

/// The peer's side of a link; everything the task of a link needs.
pub struct Line {
    pub socket: WebSocketStream<Stream>,
    pub charge_point: ChargePointId,
    pub link: LinkId,
    pub outgoing: mpsc::Receiver<Outgoing>,
    /// Resolves when the line is to be cut.
    pub cut: oneshot::Receiver<()>,
    /// After this much total silence and an unanswered ping the peer counts as dead.
    pub silence: Duration,
}

/// How a link ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Closed by the peer, the network, or on our own order.
    Closed,
    /// Nothing was heard for too long.
    Silent,
    /// The peer broke the rules, in words.
    Broke(String),
}

impl Line {
    /// Carries frames until the link ends.
    pub async fn carry(mut self, inbox: &Inbox, clock: &Clock) -> End {
        let mut pulse = Pulse::new(clock.now().mono, self.silence);
        loop {
            tokio::select! {
                _ = &mut self.cut => return End::Closed,
                message = self.socket.next() => {
                    match self.heard(message, &mut pulse, clock) {
                        Ok(None) => {}
                        Ok(Some(input)) => tokio::select! {
                            _ = &mut self.cut => return End::Closed,
                            put = inbox.put(input) => if put.is_err() {
                                return End::Closed;
                            },
                        },
                        Err(end) => return self.part(end).await,
                    }
                }
                order = self.outgoing.recv() => match order {
                    Some(Outgoing::Text(text)) => {
                        if let Err(end) = self.say(Message::text(text)).await {
                            return end;
                        }
                    }
                    Some(Outgoing::Close) => return self.close().await,
                    None => return End::Closed,
                },
                () = clock.sleep_until(pulse.check_at) => match pulse.check(clock.now().mono) {
                    Check::Wait => {}
                    Check::Ping => {
                        let ping = Message::Ping(tungstenite::Bytes::new());
                        if let Err(end) = self.say(ping).await {
                            return end;
                        }
                    }
                    Check::Dead => return End::Silent,
                },
            }
        }
    }

    fn heard(
        &self,
        message: Option<Result<Message, tungstenite::Error>>,
        pulse: &mut Pulse,
        clock: &Clock,
    ) -> Result<Option<Input>, End> {
        let message = match message {
            None => return Err(End::Closed),
            Some(Err(error)) => return Err(end_of(error)),
            Some(Ok(message)) => message,
        };
        pulse.heard(clock.now().mono);
        let text = match message {
            Message::Text(text) => text.as_str().to_owned(),
            // Some chargers send their text as binary frames; what is no text the controller
            // refuses and reports like any other nonsense.
            Message::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Message::Pong(_) => {
                pulse.answers_pings = true;
                return Ok(None);
            }
            // tungstenite answers both by itself.
            Message::Ping(_) | Message::Close(_) | Message::Frame(_) => return Ok(None),
        };
        let (charge_point, link) = (self.charge_point.clone(), self.link);
        Ok(Some(Input::Frame { charge_point, link, text }))
    }

    async fn say(&mut self, message: Message) -> Result<(), End> {
        tokio::select! {
            _ = &mut self.cut => Err(End::Closed),
            sent = tokio::time::timeout(WRITE_TIME, self.socket.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(end_of(error)),
                Err(_) => Err(End::Silent),
            },
        }
    }

    /// Tells a peer that broke the rules why it is dropped.
    async fn part(&mut self, end: End) -> End {
        if let End::Broke(why) = &end {
            let reason = why.chars().take(100).collect::<String>().into();
            let frame = CloseFrame { code: CloseCode::Policy, reason };
            let close = self.socket.send(Message::Close(Some(frame)));
            let _ = tokio::time::timeout(CLOSE_TIME, close).await;
        }
        end
    }

    async fn close(mut self) -> End {
        let frame = CloseFrame { code: CloseCode::Away, reason: "".into() };
        let close = async {
            self.socket.send(Message::Close(Some(frame))).await?;
            while let Some(message) = self.socket.next().await {
                message?;
            }
            Ok::<(), tungstenite::Error>(())
        };
        let _ = tokio::time::timeout(CLOSE_TIME, close).await;
        End::Closed
    }
}

fn end_of(error: tungstenite::Error) -> End {
    match error {
        tungstenite::Error::Capacity(tungstenite::error::CapacityError::MessageTooLong {
            size,
            ..
        }) => End::Broke(format!(
            "a message of {} KiB, where {} KiB are the most",
            size / 1024,
            MESSAGE_BYTES_MAX / 1024
        )),
        // The usual end of a charger that lost its power or its network.
        tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => End::Closed,
        tungstenite::Error::Protocol(broken) => End::Broke(broken.to_string()),
        tungstenite::Error::Utf8(_) => End::Broke("a text frame that is not UTF-8".to_owned()),
        _ => End::Closed,
    }
}

/// When a peer was last heard and whether it is worth a ping.
#[derive(Debug)]
struct Pulse {
    last: Instant,
    silence: Duration,
    check_at: Instant,
    /// A ping was sent since the peer was last heard.
    pinged: bool,
    /// It was never pinged, so nobody knows whether it answers.
    untried: bool,
    answers_pings: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Check {
    Wait,
    Ping,
    Dead,
}

impl Pulse {
    fn new(now: Instant, silence: Duration) -> Self {
        Self {
            last: now,
            silence,
            check_at: now + CHECK_EVERY,
            pinged: false,
            untried: true,
            answers_pings: false,
        }
    }

    fn heard(&mut self, now: Instant) {
        self.last = now;
        self.pinged = false;
    }

    fn check(&mut self, now: Instant) -> Check {
        self.check_at = now + CHECK_EVERY;
        let silent = now.since(self.last);
        if self.silence <= silent && self.pinged {
            return Check::Dead;
        }
        let last_chance = self.silence <= silent + PING_AFTER;
        let worth_it = self.answers_pings || self.untried || last_chance;
        if PING_AFTER <= silent && worth_it && (!self.pinged || self.answers_pings) {
            self.pinged = true;
            self.untried = false;
            return Check::Ping;
        }
        Check::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: i64) -> Instant {
        Instant::START + Duration::seconds(seconds)
    }

    /// The seconds at which something is done to a peer that is silent from the start on.
    fn history(pulse: &mut Pulse, until: i64) -> Vec<(i64, Check)> {
        let checks = (1..=until / 15).map(|check| check * 15);
        let mut done: Vec<(i64, Check)> = checks.map(|at| (at, pulse.check(after(at)))).collect();
        done.retain(|(_, check)| *check != Check::Wait);
        done
    }

    #[test]
    fn a_peer_that_answers_no_ping_is_tried_once_and_dropped_when_silent_for_long() {
        let mut pulse = Pulse::new(after(0), Duration::seconds(90));
        let expected = [(30, Check::Ping), (90, Check::Dead)];
        assert_eq!(history(&mut pulse, 90), expected);
    }

    #[test]
    fn a_peer_that_answers_pings_is_kept_alive_by_them() {
        let mut pulse = Pulse::new(after(0), Duration::seconds(90));
        assert_eq!(pulse.check(after(30)), Check::Ping);
        pulse.answers_pings = true;
        pulse.heard(after(31));
        assert_eq!(pulse.check(after(60)), Check::Wait);
        assert_eq!(pulse.check(after(75)), Check::Ping);
        pulse.heard(after(76));
        assert_eq!(pulse.check(after(165)), Check::Ping);
        assert_eq!(pulse.check(after(180)), Check::Dead);
    }

    #[test]
    fn a_peer_that_was_tried_in_vain_is_not_pinged_while_it_speaks_now_and_then() {
        let mut pulse = Pulse::new(after(0), Duration::seconds(900));
        assert_eq!(pulse.check(after(30)), Check::Ping);
        for heartbeat in 1..10 {
            pulse.heard(after(heartbeat * 300));
            assert_eq!(pulse.check(after(heartbeat * 300 + 60)), Check::Wait);
        }
        assert_eq!(pulse.check(after(2700 + 880)), Check::Ping, "a last chance");
        assert_eq!(pulse.check(after(2700 + 900)), Check::Dead);
    }
}
