//! Looks after the files with passwords and certificates: reads them again when they have changed,
//! and warns before a certificate ends. What cannot be used is told, and what was in force stays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration as RealDuration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::controller::message::Input;
use crate::ground::time::{Duration, Instant, Utc};
use crate::model::event::EventKind;

use super::clock::Clock;
use super::gate::Gate;
use super::inbox::Inbox;
use super::roster::Roster;
use super::tls::Tls;

/// Files are looked at this often, in real time.
const LOOK_EVERY: RealDuration = RealDuration::from_secs(5);

/// A certificate that ends within this is told of.
const ENDS_SOON: Duration = Duration::hours(30 * 24);

/// The same is told again after this.
const TELL_AGAIN: Duration = Duration::hours(24);

/// The task that looks; ends when this is dropped.
#[derive(Debug)]
pub struct Renewal {
    nudge: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Renewal {
    /// Looks after what chargers show and are shown, from here on.
    pub fn begin(tls: Option<Tls>, gate: Gate, inbox: Inbox, clock: Clock) -> Self {
        Self::watch(inbox, clock, move |now| {
            let mut notices: Vec<Notice> = passwords(&gate).into_iter().collect();
            notices.extend(tls.iter().flat_map(|tls| certificate(tls, "certificate", now)));
            notices
        })
    }

    /// Looks after a certificate alone.
    pub fn of_certificate(tls: Tls, about: &'static str, inbox: Inbox, clock: Clock) -> Self {
        Self::watch(inbox, clock, move |now| certificate(&tls, about, now))
    }

    /// Looks after the users of page and API.
    pub fn of_users(roster: Roster, inbox: Inbox, clock: Clock) -> Self {
        Self::watch(inbox, clock, move |_| users(&roster).into_iter().collect())
    }

    fn watch(
        inbox: Inbox,
        clock: Clock,
        look: impl Fn(Option<Utc>) -> Vec<Notice> + Send + Sync + 'static,
    ) -> Self {
        let nudge = Arc::new(Notify::new());
        let waiting = nudge.clone();
        let look = Arc::new(look);
        let task = tokio::spawn(async move {
            let mut told: BTreeMap<(EventKind, &str), (String, Instant)> = BTreeMap::new();
            loop {
                let now = clock.now();
                let look = Arc::clone(&look);
                let looked = tokio::task::spawn_blocking(move || look(now.utc)).await;
                let notices = looked.unwrap_or_default();
                told.retain(|key, _| notices.iter().any(|(kind, about, _)| *key == (*kind, about)));
                for (kind, about, text) in notices {
                    let last = told.get(&(kind, about));
                    let recent = |at: Instant| now.mono.since(at) < TELL_AGAIN;
                    if last.is_some_and(|(said, at)| *said == text && recent(*at)) {
                        continue;
                    }
                    told.insert((kind, about), (text.clone(), now.mono));
                    let subject = about.to_owned();
                    if inbox.put(Input::Noticed { kind, subject, text }).await.is_err() {
                        return;
                    }
                }
                let _ = tokio::time::timeout(LOOK_EVERY, waiting.notified()).await;
            }
        });
        Self { nudge, task }
    }

    /// Looks at once.
    pub fn hurry(&self) {
        self.nudge.notify_one();
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Notice = (EventKind, &'static str, String);

fn passwords(gate: &Gate) -> Option<Notice> {
    match gate.refresh() {
        Ok(false) => None,
        Ok(true) => {
            let text = "the passwords of chargers were read anew".to_owned();
            Some((EventKind::SecretsLoaded, "passwords", text))
        }
        Err(error) => {
            let text = format!("the passwords of chargers cannot be read: {error}");
            Some((EventKind::SecretsUnusable, "passwords", text))
        }
    }
}

fn users(roster: &Roster) -> Option<Notice> {
    match roster.refresh() {
        Ok(changes) if changes.is_empty() => None,
        Ok(changes) => {
            let text = format!("{}, by a command on the box", changes.join(", "));
            Some((EventKind::UserChanged, "users", text))
        }
        Err(error) => {
            let text = format!("the users of the page cannot be read: {error}");
            Some((EventKind::SecretsUnusable, "users", text))
        }
    }
}

fn certificate(tls: &Tls, about: &'static str, now: Option<Utc>) -> Vec<Notice> {
    let mut notices: Vec<Notice> = Vec::new();
    match tls.refresh() {
        Ok(false) => {}
        Ok(true) => {
            let text = format!("the certificate is valid until {}", tls.server().not_after);
            notices.push((EventKind::SecretsLoaded, about, text));
        }
        Err(error) => notices.push((EventKind::SecretsUnusable, about, error.to_string())),
    }
    notices.extend(now.and_then(|now| ending(tls.server().not_after, about, now)));
    notices
}

/// What to say of a certificate that ends then.
fn ending(not_after: Utc, about: &'static str, now: Utc) -> Option<Notice> {
    let left = not_after.since(now);
    if ENDS_SOON < left {
        return None;
    }
    let text = if left <= Duration::ZERO {
        format!("the certificate of this box has ended on {not_after}; who connects may refuse it")
    } else {
        format!("the certificate of this box ends on {not_after}")
    };
    Some((EventKind::CertificateEnds, about, text))
}
