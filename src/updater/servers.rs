//! Servers that updates come from: a static index, and hawkBit. Each is asked from a task of its
//! own; what it says goes to the one task of updates.

use std::collections::BTreeMap;
use std::time::Duration as RealDuration;

use tokio::sync::{mpsc, watch};
use ureq::Agent;
use ureq::http::{Request, header};

use crate::ground::time::Duration;
use crate::io::secret;
use crate::model::update::{HawkBit, UpdateIndex, UpdateSettings};
use crate::update::ddi::{self, Deployment, Wants};
use crate::update::state::Report;
use crate::update::{Input, index};

use super::Event;

/// Asked again after this long when the server says nothing else, or does not answer.
const SLEEP: Duration = Duration::minutes(5);
/// The first question comes this soon.
const FIRST: RealDuration = RealDuration::from_secs(2);
/// A request takes at most this long.
const REQUEST_TIME: RealDuration = RealDuration::from_secs(60);
/// A fleet that starts together does not ask together: by so many percent later or sooner.
const JITTER_PERCENT: i64 = 10;

const HAWKBIT: &str = "hawkBit";
const INDEX: &str = "the index of updates";

/// What servers need to know of the box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// What hawkBit has yet to be told.
    pub reports: Vec<Report>,
    /// What the box is; none as long as RAUC has not said so.
    pub compatible: Option<String>,
    /// The version that runs.
    pub version: String,
    /// From which slot.
    pub slot: Option<String>,
}

/// Begins to ask those that are configured.
pub fn start(
    settings: &UpdateSettings,
    agent: &Agent,
    upstream: &watch::Sender<Upstream>,
    events: &mpsc::Sender<Event>,
) {
    if let Some(index) = settings.index.clone() {
        tokio::spawn(ask_index(index, agent.clone(), upstream.subscribe(), events.clone()));
    }
    if let Some(hawkbit) = settings.hawkbit.clone() {
        let (agent, events) = (agent.clone(), events.clone());
        let upstream = upstream.subscribe();
        let poller = Poller { hawkbit, agent, events, cancelled: None, sent: Vec::new() };
        tokio::spawn(ask_hawkbit(poller, upstream));
    }
}

/// What is asked by itself, in words.
pub fn words(settings: &UpdateSettings) -> Vec<String> {
    let index = settings.index.as_ref();
    let index = index.map(|index| format!("the index {} every {}", index.url, index.every));
    let hawkbit = settings.hawkbit.as_ref();
    let hawkbit = hawkbit.map(|server| format!("hawkBit {} as {}", server.url, server.controller));
    index.into_iter().chain(hawkbit).collect()
}

/// Whether `url` is on the server at `base`.
pub fn is_of(url: &str, base: &str) -> bool {
    let rest = url.strip_prefix(base.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// Value of the header `Authorization`.
///
/// # Errors
/// The token cannot be read, in words.
pub fn authorization(hawkbit: &HawkBit) -> Result<String, String> {
    let place = hawkbit.token_file.display();
    let text = secret::read(&hawkbit.token_file).map_err(|error| format!("{place}: {error}"))?;
    let text = text.unwrap_or_default();
    let token = text.lines().next().unwrap_or_default().trim();
    if token.is_empty() || token.chars().any(|letter| letter.is_whitespace()) {
        return Err(format!("{place}: no token; expected one alone on the first line"));
    }
    let kind = if hawkbit.is_gateway { "GatewayToken" } else { "TargetToken" };
    Ok(format!("{kind} {token}"))
}

/// A span that differs from box to box and from time to time.
fn jittered(span: Duration) -> RealDuration {
    let chance = i64::from(u16::from_le_bytes(secret::random::<2>())) % (2 * JITTER_PERCENT + 1);
    let percent = 100 - JITTER_PERCENT + chance;
    let millis = (span * percent / 100).as_millis();
    RealDuration::from_millis(u64::try_from(millis).unwrap_or(0))
}

async fn ask_index(
    index: UpdateIndex,
    agent: Agent,
    mut upstream: watch::Receiver<Upstream>,
    events: mpsc::Sender<Event>,
) {
    tokio::time::sleep(FIRST).await;
    loop {
        let ready = upstream.wait_for(|known| known.compatible.is_some()).await;
        let Ok(compatible) = ready.map(|known| known.compatible.clone()) else { return };
        let compatible = compatible.unwrap_or_default();
        let (agent, url) = (agent.clone(), index.url.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let text = Call::get(&url, index::BYTES_MAX).make(&agent)?;
            index::newest(&text, &url, &compatible)
        });
        let found = asked.await.unwrap_or_else(|_| Err("it could not be asked".to_owned()));
        let state = match found {
            Ok(Some(offer)) => {
                let _ = events.send(Event::Update(Input::Offered(offer))).await;
                Ok(())
            }
            found => found.map(|_| ()),
        };
        if events.send(Event::Server(INDEX, state)).await.is_err() {
            return;
        }
        tokio::time::sleep(jittered(index.every)).await;
    }
}

/// Asks hawkBit, blocking.
struct Poller {
    hawkbit: HawkBit,
    agent: Agent,
    events: mpsc::Sender<Event>,
    /// The wish to cancel that was passed on last.
    cancelled: Option<String>,
    /// Reports that were taken and are not forgotten yet.
    sent: Vec<Report>,
}

async fn ask_hawkbit(mut poller: Poller, mut upstream: watch::Receiver<Upstream>) {
    tokio::time::sleep(FIRST).await;
    let mut usual = SLEEP;
    loop {
        let ready = upstream.wait_for(|known| known.compatible.is_some()).await;
        let Ok(known) = ready.map(|known| known.clone()) else { return };
        let work = move |poller: &mut Poller| poller.poll(&known);
        let Some((back, polled)) = in_thread(poller, work).await else { return };
        poller = back;
        let state = polled.map(|sleep| usual = sleep.unwrap_or(SLEEP));
        if poller.events.send(Event::Server(HAWKBIT, state)).await.is_err() {
            return;
        }
        let wait = tokio::time::sleep(jittered(usual));
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => break,
                changed = upstream.changed() => {
                    let Ok(()) = changed else { return };
                    let known = upstream.borrow().clone();
                    if known.reports.is_empty() {
                        continue;
                    }
                    // What has happened is told at once; where that fails, with the next question.
                    let work = move |poller: &mut Poller| poller.tell(&known);
                    let Some((back, _)) = in_thread(poller, work).await else { return };
                    poller = back;
                }
            }
        }
    }
}

/// None when the work has failed by a fault.
async fn in_thread<R: Send + 'static>(
    mut poller: Poller,
    work: impl FnOnce(&mut Poller) -> R + Send + 'static,
) -> Option<(Poller, R)> {
    let done = tokio::task::spawn_blocking(move || {
        let done = work(&mut poller);
        (poller, done)
    });
    done.await.ok()
}

impl Poller {
    /// One question with all that follows from it; when to ask again.
    fn poll(&mut self, known: &Upstream) -> Result<Option<Duration>, String> {
        self.tell(known)?;
        let authorization = authorization(&self.hawkbit)?;
        let get = |url: &str| {
            let call = Call::get(url, ddi::BYTES_MAX).with(&authorization);
            call.make(&self.agent)
        };
        let wants: Wants = ddi::wants(&get(&self.base())?)?;
        if let Some(url) = self.own(wants.config_data)? {
            let body = ddi::attributes(&self.attributes(known));
            Call::send("PUT", &url, body).with(&authorization).make(&self.agent)?;
        }
        if let Some(url) = self.own(wants.cancel)? {
            let (cancel, action) = ddi::cancel(&get(&url)?)?;
            if self.cancelled.as_ref() != Some(&cancel) {
                self.cancelled = Some(cancel.clone());
                self.put(Input::Withdrawn { action, cancel });
            }
        }
        if let Some(url) = self.own(wants.deployment)? {
            match ddi::deployment(&get(&url)?)? {
                Deployment::Wanted(offer) => self.put(Input::Offered(offer)),
                Deployment::Later => {}
                Deployment::Unusable { action, why } => {
                    let (execution, finished) = ("closed".to_owned(), "failure".to_owned());
                    self.feed_back(
                        &Report { action, cancel: false, execution, finished, details: why },
                        &authorization,
                    )?;
                }
            }
        }
        if let Some(url) = self.own(wants.confirmation)? {
            if !self.hawkbit.consent {
                let why = "it waits for consent: give it there, or set update.hawkbit.consent";
                return Err(why.to_owned());
            }
            let url = url.split('?').next().unwrap_or_default();
            let url = format!("{url}/feedback");
            Call::send("POST", &url, ddi::consent()).with(&authorization).make(&self.agent)?;
        }
        Ok(wants.sleep)
    }

    /// Tells what it has yet to be told, oldest first.
    fn tell(&mut self, known: &Upstream) -> Result<(), String> {
        self.sent.retain(|sent| known.reports.contains(sent));
        for report in &known.reports {
            if self.sent.contains(report) {
                continue;
            }
            self.feed_back(report, &authorization(&self.hawkbit)?)?;
            self.sent.push(report.clone());
            let _ = self.events.blocking_send(Event::Reported(report.clone()));
        }
        Ok(())
    }

    fn feed_back(&self, report: &Report, authorization: &str) -> Result<(), String> {
        let (path, body) = ddi::feedback(report, None);
        let url = format!("{}/{path}", self.base());
        match Call::send("POST", &url, body).with(authorization).status(&self.agent)? {
            // 404 and 410: the action is gone, and nobody waits for the report.
            (200..=299 | 404 | 409 | 410, _) => Ok(()),
            (status, _) => Err(refused(status)),
        }
    }

    fn put(&self, input: Input) {
        // An error means that the daemon is stopping.
        let _ = self.events.blocking_send(Event::Update(input));
    }

    fn base(&self) -> String {
        let HawkBit { url, tenant, controller, .. } = &self.hawkbit;
        format!("{url}/{tenant}/controller/v1/{controller}")
    }

    /// A link that the server gave; only those of its own get the token.
    fn own(&self, link: Option<String>) -> Result<Option<String>, String> {
        match link {
            Some(link) if !is_of(&link, &self.hawkbit.url) => Err(format!(
                "it leads to {link}, which is not on {}; its own address there has to be the same",
                self.hawkbit.url
            )),
            link => Ok(link),
        }
    }

    fn attributes(&self, known: &Upstream) -> BTreeMap<String, String> {
        let mut all = self.hawkbit.attributes.clone();
        let slot = known.slot.clone().unwrap_or_default();
        let compatible = known.compatible.clone().unwrap_or_default();
        let own = [
            ("version", known.version.clone()),
            ("compatible", compatible),
            ("slot", slot),
            ("program", super::PROGRAM.to_owned()),
        ];
        all.extend(own.map(|(key, value)| (key.to_owned(), value)));
        all
    }
}

/// One request.
struct Call<'c> {
    method: &'static str,
    url: &'c str,
    body: Option<String>,
    authorization: Option<&'c str>,
    bytes_max: u64,
}

impl<'c> Call<'c> {
    fn get(url: &'c str, bytes_max: u64) -> Self {
        Self { method: "GET", url, body: None, authorization: None, bytes_max }
    }

    fn send(method: &'static str, url: &'c str, body: String) -> Self {
        Self { method, url, body: Some(body), authorization: None, bytes_max: ddi::BYTES_MAX }
    }

    fn with(self, authorization: &'c str) -> Self {
        Self { authorization: Some(authorization), ..self }
    }

    /// The text of a good answer.
    fn make(self, agent: &Agent) -> Result<String, String> {
        match self.status(agent)? {
            (200..=299, text) => Ok(text),
            (status, _) => Err(refused(status)),
        }
    }

    fn status(self, agent: &Agent) -> Result<(u16, String), String> {
        let mut request = Request::builder().method(self.method).uri(self.url);
        if let Some(authorization) = self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request = request.header(header::ACCEPT, "application/hal+json, application/json");
        if self.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let odd = |error: ureq::http::Error| error.to_string();
        let request = request.body(self.body.unwrap_or_default()).map_err(odd)?;
        let request = agent.configure_request(request);
        let request = request.timeout_global(Some(REQUEST_TIME)).build();
        let lost = |error: ureq::Error| error.to_string();
        let mut response = agent.run(request).map_err(lost)?;
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(self.bytes_max);
        Ok((status, text.read_to_string().map_err(lost)?))
    }
}

fn refused(status: u16) -> String {
    match status {
        401 | 403 => format!("it does not let this box in ({status}): is the token right?"),
        404 => "there is nothing at this address (404)".to_owned(),
        status => format!("it answers with {status}"),
    }
}
