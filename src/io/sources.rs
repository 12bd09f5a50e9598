//! What the daemon hears without being a charger: the broker's topics, contacts, and forecasts and
//! prices that are fetched over HTTP or read from files. Bytes in, bytes out; the controller reads
//! them.
//!
//! Invariants: documents are bounded, a fetch takes a bounded time, what fails is tried again ever
//! later, and a redirect never leads to another host. Nothing here holds up the loop.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration as RealDuration, SystemTime};

use tokio::task::JoinHandle;
use ureq::Agent;
use ureq::http::Uri;

use crate::config::Config;
use crate::controller::message::Input;
use crate::forecast::source::BYTES_MAX;
use crate::ground::time::Duration;
use crate::model::feed::{Feed, Place};

use super::clock::Clock;
use super::contact::Contacts;
use super::inbox::Inbox;
use super::mqtt::{Subscription, hear};

/// A fetch takes at most this long, in real time.
const FETCH_TIME: RealDuration = RealDuration::from_secs(30);
/// So many redirects are followed.
const REDIRECTS_MAX: usize = 3;
/// First wait after a failure; doubles up to the usual interval.
const RETRY_MIN: Duration = Duration::seconds(30);
/// A file is looked at this often.
const LOOK_EVERY: Duration = Duration::seconds(30);

/// Everything that is heard. Dropping it ends it.
#[derive(Debug)]
pub struct Sources {
    _subscription: Option<Subscription>,
    _contacts: Contacts,
    _tasks: Vec<Task>,
}

/// Ends its task with itself.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Sources {
    /// Those that a configuration needs.
    pub fn of(config: &Config, inbox: &Inbox, clock: &Clock) -> Self {
        let task = |feed: &Feed| {
            let (name, inbox, clock) = (feed.id.clone(), inbox.clone(), clock.clone());
            match feed.place.clone() {
                Place::Topic(_) => None,
                Place::Url { url, every, token_file } => {
                    let from = Origin { url, token_file };
                    Some(Task(tokio::spawn(poll(name, from, every, inbox, clock))))
                }
                Place::File(path) => Some(Task(tokio::spawn(watch(name, path, inbox, clock)))),
            }
        };
        Self {
            _tasks: config.site.feeds.iter().filter_map(task).collect(),
            _contacts: Contacts::of(&config.site.contacts, inbox, clock),
            _subscription: hear(config, inbox, clock),
        }
    }

    /// Whether another configuration hears something else.
    pub fn differ(before: &Config, after: &Config) -> bool {
        before.mqtt != after.mqtt
            || before.site.topics() != after.site.topics()
            || before.site.feeds != after.site.feeds
            || before.site.contacts != after.site.contacts
    }
}

/// Where a document is fetched from.
#[derive(Clone, Debug)]
struct Origin {
    url: String,
    token_file: Option<PathBuf>,
}

async fn poll(name: String, from: Origin, every: Duration, inbox: Inbox, clock: Clock) {
    let mut retry = RETRY_MIN;
    loop {
        let from = from.clone();
        let fetched = tokio::task::spawn_blocking(move || fetch(&from)).await;
        let fetched = fetched.unwrap_or_else(|_| Err("the fetch has failed".to_owned()));
        let (input, wait) = match fetched {
            Ok(payload) => {
                retry = RETRY_MIN;
                (Input::Feed { feed: name.clone(), payload }, every)
            }
            Err(why) => {
                let wait = retry.min(every);
                retry = (retry * 2).min(every);
                (Input::FeedFailed { feed: name.clone(), why }, wait)
            }
        };
        if inbox.put(input).await.is_err() {
            return;
        }
        clock.sleep(wait).await;
    }
}

/// Fetches a document, blocking. The error is in words and names no token.
fn fetch(from: &Origin) -> Result<Vec<u8>, String> {
    let token = match &from.token_file {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("token file {}: {error}", path.display()))?;
            Some(text.lines().next().unwrap_or_default().trim().to_owned())
        }
    };
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(FETCH_TIME))
        .user_agent(concat!("ampgate/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut target: Uri = from.url.parse().map_err(|_| "no address that can be read".to_owned())?;
    for _ in 0..=REDIRECTS_MAX {
        let mut request = agent.get(target.clone()).header("Accept", "application/json, text/csv");
        if let Some(token) = &token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(|error| without_query(&error.to_string()))?;
        let status = response.status();
        if status.is_redirection() {
            let place = response.headers().get("location").and_then(|place| place.to_str().ok());
            target = redirected(&target, place.unwrap_or_default())?;
            continue;
        }
        if !status.is_success() {
            return Err(format!("it answered {status}"));
        }
        let body = response.body_mut().with_config().limit(BYTES_MAX as u64).read_to_vec();
        return body.map_err(|error| error.to_string());
    }
    Err(format!("more than {REDIRECTS_MAX} redirects"))
}

/// Where a redirect leads, on the same host alone: a token and the site's plans go to nobody else.
fn redirected(from: &Uri, place: &str) -> Result<Uri, String> {
    let (scheme, authority) = (from.scheme_str().unwrap_or("https"), from.authority());
    let authority = authority.map(|authority| authority.as_str()).unwrap_or_default();
    let whole = match place.starts_with('/') && !place.starts_with("//") {
        true => format!("{scheme}://{authority}{place}"),
        false => place.to_owned(),
    };
    let target: Option<Uri> = whole.parse().ok();
    let Some(target) = target.filter(|target| target.host().is_some()) else {
        return Err("it redirects to an address that cannot be read".to_owned());
    };
    if target.scheme_str() != Some(scheme)
        || target.authority().map(|authority| authority.as_str()) != Some(authority)
    {
        let host = target.host().unwrap_or_default();
        return Err(format!("it redirects to another place, {host}, which is not followed"));
    }
    Ok(target)
}

/// Errors may name the address, and its query may hold a key.
fn without_query(text: &str) -> String {
    text.split('?').next().unwrap_or_default().to_owned()
}

async fn watch(name: String, path: PathBuf, inbox: Inbox, clock: Clock) {
    let mut known: Option<(SystemTime, u64)> = None;
    let mut said: Option<String> = None;
    loop {
        let (place, before) = (path.clone(), known);
        let read = tokio::task::spawn_blocking(move || changed(&place, before)).await;
        let read = read.unwrap_or_else(|_| Err("it could not be read".to_owned()));
        let input = match read {
            Ok(None) => None,
            Ok(Some((mark, payload))) => {
                (known, said) = (Some(mark), None);
                Some(Input::Feed { feed: name.clone(), payload })
            }
            Err(why) if said.as_ref() == Some(&why) => None,
            Err(why) => {
                (known, said) = (None, Some(why.clone()));
                Some(Input::FeedFailed { feed: name.clone(), why })
            }
        };
        if let Some(input) = input
            && inbox.put(input).await.is_err()
        {
            return;
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

/// When a file was written, how long it is, and what is in it.
type Content = ((SystemTime, u64), Vec<u8>);

/// The content of a file, where it is another than before.
fn changed(path: &Path, before: Option<(SystemTime, u64)>) -> Result<Option<Content>, String> {
    let words = |error: std::io::Error| error.to_string();
    let about = std::fs::metadata(path).map_err(words)?;
    let mark = (about.modified().map_err(words)?, about.len());
    if before == Some(mark) {
        return Ok(None);
    }
    let file = std::fs::File::open(path).map_err(words)?;
    let mut payload = Vec::new();
    // One byte more than is read tells that there is too much.
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut payload).map_err(words)?;
    Ok(Some((mark, payload)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_on_its_host() {
        let from: Uri = "https://a.example:8443/x?key=1".parse().expect("an address");
        let to = |place: &str| redirected(&from, place).map(|target| target.to_string());
        assert_eq!(to("/y?z=2"), Ok("https://a.example:8443/y?z=2".to_owned()));
        assert_eq!(to("https://a.example:8443/y"), Ok("https://a.example:8443/y".to_owned()));
        for place in [
            "https://b.example:8443/y",
            "http://a.example:8443/y",
            "https://a.example/y",
            "https://u@a.example:8443/y",
            "//b.example/y",
            "",
        ] {
            assert!(to(place).is_err(), "{place}");
        }
    }

    #[test]
    fn a_file_is_read_again_only_when_it_has_changed() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("prices.csv");
        assert!(changed(&path, None).is_err());
        std::fs::write(&path, "a").expect("a file");
        let (mark, text) = changed(&path, None).expect("it is there").expect("it is new");
        assert_eq!(text, b"a");
        assert_eq!(changed(&path, Some(mark)), Ok(None));
        std::fs::write(&path, "ab").expect("a file");
        assert!(changed(&path, Some(mark)).expect("it is there").is_some());
    }
}
