//! hawkBit's Direct Device Integration API without a network: what the server says, and what it is
//! told. Links are followed as the server gives them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::ground::time::Duration;

use super::Offer;
use super::state::{Report, Source};

/// An answer is no longer than this.
pub const BYTES_MAX: u64 = 1 << 20;

/// The server is asked no more often and no more rarely than this.
const SLEEP_MIN: Duration = Duration::seconds(1);
const SLEEP_MAX: Duration = Duration::hours(24);

/// What the server wants at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// It is to be asked again after this long.
    pub sleep: Option<Duration>,
    /// Where an update is described.
    pub deployment: Option<String>,
    /// Where the wish to take one back is described.
    pub cancel: Option<String>,
    /// Where it wants to know what this box is.
    pub config_data: Option<String>,
    /// Where it waits for the consent to an update.
    pub confirmation: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

/// Reads the answer to a poll.
///
/// # Errors
/// What is wrong with it, in words.
pub fn wants(text: &str) -> Result<Wants, String> {
    #[derive(Deserialize, Default)]
    struct Polling {
        sleep: Option<String>,
    }
    #[derive(Deserialize, Default)]
    struct Config {
        #[serde(default)]
        polling: Polling,
    }
    #[derive(Deserialize)]
    struct Root {
        #[serde(default)]
        config: Config,
        #[serde(default, rename = "_links")]
        links: BTreeMap<String, Value>,
    }
    let root: Root = serde_json::from_str(text).map_err(odd)?;
    let link = |name: &str| {
        let link = root.links.get(name).cloned()?;
        serde_json::from_value::<Link>(link).ok().map(|link| link.href)
    };
    Ok(Wants {
        sleep: root.config.polling.sleep.as_deref().and_then(sleep),
        deployment: link("deploymentBase"),
        cancel: link("cancelAction"),
        config_data: link("configData"),
        confirmation: link("confirmationBase"),
    })
}

/// Reads `HH:MM:SS`.
fn sleep(text: &str) -> Option<Duration> {
    let mut parts = text.split(':').map(|part| part.parse::<i64>().ok().filter(|n| 0 <= *n));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let sleep = Duration::hours(hours) + Duration::minutes(minutes) + Duration::seconds(seconds);
    Some(sleep.clamp(SLEEP_MIN, SLEEP_MAX))
}

/// What a deployment asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// This is to be installed.
    Wanted(Offer),
    /// The server wants nothing at this moment: its maintenance window is closed.
    Later,
    /// It cannot be installed here.
    Unusable {
        /// The number of the action.
        action: String,
        /// Why, in words.
        why: String,
    },
}

/// Reads the description of an update.
///
/// # Errors
/// What is wrong with it, in words.
pub fn deployment(text: &str) -> Result<Deployment, String> {
    #[derive(Deserialize)]
    struct Base {
        id: String,
        deployment: Chunks,
    }
    #[derive(Deserialize)]
    struct Chunks {
        #[serde(default)]
        update: String,
        #[serde(default)]
        chunks: Vec<Chunk>,
    }
    #[derive(Deserialize)]
    struct Chunk {
        version: Option<String>,
        #[serde(default)]
        artifacts: Vec<Artifact>,
    }
    #[derive(Deserialize)]
    struct Artifact {
        filename: Option<String>,
        #[serde(default)]
        hashes: BTreeMap<String, String>,
        size: Option<u64>,
        #[serde(default, rename = "_links")]
        links: BTreeMap<String, Link>,
    }
    let base: Base = serde_json::from_str(text).map_err(odd)?;
    let action = base.id;
    if base.deployment.update == "skip" {
        return Ok(Deployment::Later);
    }
    let is_bundle = |artifact: &Artifact| {
        artifact.filename.as_deref().is_some_and(|name| name.ends_with(".raucb"))
    };
    let all = base.deployment.chunks.into_iter();
    let all = all.flat_map(|chunk| {
        let version = chunk.version;
        chunk.artifacts.into_iter().map(move |artifact| (version.clone(), artifact))
    });
    let mut all: Vec<(Option<String>, Artifact)> = all.collect();
    if 1 < all.len() {
        all.retain(|(_, artifact)| is_bundle(artifact));
    }
    let (version, mut artifact) = match all.len() {
        1 => all.remove(0),
        many => {
            let why = format!("it has {many} bundles (*.raucb); expected one");
            return Ok(Deployment::Unusable { action, why });
        }
    };
    let link = artifact.links.remove("download").or(artifact.links.remove("download-http"));
    let Some(Link { href: url }) = link else {
        let why = "its bundle has no address".to_owned();
        return Ok(Deployment::Unusable { action, why });
    };
    Ok(Deployment::Wanted(Offer {
        source: Source::HawkBit { action },
        url,
        version,
        sha256: artifact.hashes.remove("sha256").map(|sum| sum.to_ascii_lowercase()),
        size_bytes: artifact.size,
    }))
}

/// Reads the wish to take an action back: its own number, and that of the action.
///
/// # Errors
/// What is wrong with it, in words.
pub fn cancel(text: &str) -> Result<(String, String), String> {
    #[derive(Deserialize)]
    struct Base {
        id: String,
        #[serde(rename = "cancelAction")]
        cancel: Stop,
    }
    #[derive(Deserialize)]
    struct Stop {
        #[serde(rename = "stopId")]
        stop: String,
    }
    let base: Base = serde_json::from_str(text).map_err(odd)?;
    Ok((base.id, base.cancel.stop))
}

/// Where a report goes, below the address of this box, and what it says.
pub fn feedback(report: &Report, time: Option<String>) -> (String, String) {
    let base = if report.cancel { "cancelAction" } else { "deploymentBase" };
    let path = format!("{base}/{}/feedback", report.action);
    let mut body = json!({
        "id": report.action,
        "status": {
            "execution": report.execution,
            "result": {"finished": report.finished},
            "details": [report.details],
        },
    });
    if let Some(time) = time {
        body["time"] = Value::String(time);
    }
    (path, body.to_string())
}

/// What this box is, for the server.
pub fn attributes(known: &BTreeMap<String, String>) -> String {
    json!({"mode": "merge", "data": known}).to_string()
}

/// The consent to an update.
pub fn consent() -> String {
    let details = ["the box keeps its own policy of window and cars"];
    json!({"confirmation": "confirmed", "code": 200, "details": details}).to_string()
}

fn odd(error: serde_json::Error) -> String {
    format!("its answer cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"{"id": "8", "deployment": {"download": "forced", "update": "forced",
        "chunks": [{"part": "os", "version": "2.0.0", "name": "ampgate", "artifacts": [
            {"filename": "notes.txt", "hashes": {}, "size": 3, "_links": {}},
            {"filename": "ampgate.raucb", "hashes": {"sha1": "00", "sha256": "AB"}, "size": 7,
             "_links": {"download": {"href": "https://h/b"}, "md5sum": {"href": "https://h/m"}}}
        ]}]}}"#;

    #[test]
    fn a_poll_says_what_is_wanted() {
        let text = r#"{"config": {"polling": {"sleep": "00:05:00"}}, "_links": {
            "deploymentBase": {"href": "https://h/d/8?c=1"}, "configData": {"href": "https://h/c"},
            "installedBase": {"href": "https://h/i"}}}"#;
        let found = wants(text).unwrap();
        assert_eq!(found.sleep, Some(Duration::minutes(5)));
        assert_eq!(found.deployment.as_deref(), Some("https://h/d/8?c=1"));
        assert_eq!((found.cancel, found.config_data.as_deref()), (None, Some("https://h/c")));
        assert_eq!(wants("{}").unwrap(), Wants::default());
        assert!(wants("<html>").is_err());
        assert_eq!((sleep("00:00:00"), sleep("a"), sleep("1:2")), (Some(SLEEP_MIN), None, None));
    }

    #[test]
    fn the_one_bundle_of_a_deployment_is_found() {
        let Deployment::Wanted(offer) = deployment(BASE).unwrap() else { panic!("it has one") };
        assert_eq!(offer.url, "https://h/b");
        assert_eq!((offer.sha256.as_deref(), offer.size_bytes), (Some("ab"), Some(7)));
        assert_eq!(offer.source, Source::HawkBit { action: "8".to_owned() });
        let skipped = BASE.replace("\"update\": \"forced\"", "\"update\": \"skip\"");
        assert_eq!(deployment(&skipped), Ok(Deployment::Later));
        let none = BASE.replace(".raucb", ".zip");
        assert!(matches!(deployment(&none), Ok(Deployment::Unusable { why, .. })
            if why.contains("0 bundles")));
    }

    #[test]
    fn reports_are_as_the_server_reads_them() {
        let report = Report {
            action: "8".to_owned(),
            cancel: false,
            execution: "closed".to_owned(),
            finished: "success".to_owned(),
            details: "it \"works\"".to_owned(),
        };
        let (path, body) = feedback(&report, None);
        assert_eq!(path, "deploymentBase/8/feedback");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["status"]["result"]["finished"], "success");
        assert_eq!(body["status"]["details"][0], "it \"works\"");
        let (path, _) = feedback(&Report { cancel: true, ..report }, None);
        assert_eq!(path, "cancelAction/8/feedback");
        assert_eq!(
            cancel(r#"{"id": "9", "cancelAction": {"stopId": "8"}}"#),
            Ok(("9".to_owned(), "8".to_owned()))
        );
    }
}
