//! A client of the API. Its errors say what to do.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::StatusCode;
use ureq::{Agent, RequestBuilder};

use crate::ui::trouble::Complaint;

use super::access::{self, Doors};

/// Where the daemon listens when nobody says otherwise, as in the examples in `config/`.
const URL_DEFAULT: &str = "http://127.0.0.1:8080";
/// The daemon is on this machine; what takes longer than this does not come.
const PATIENCE: Duration = Duration::from_secs(10);
/// An order may first have to ask a charger, or a partner three times.
const PATIENCE_ORDER: Duration = Duration::from_secs(110);
/// A drill lasts a lease (15 min at most) and some more.
const PATIENCE_STREAM: Duration = Duration::from_secs(1200);
/// The longest answer that is read: a thousand EVSEs with their sessions and more.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Where the daemon is and how to answer.
#[derive(Debug, Args)]
pub struct Target {
    /// Address of the daemon's web page
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    pub url: Option<String>,
    /// Read the address from listen.web of this configuration
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data directory of the daemon, for its address and its token on this machine [default:
    /// /var/lib/ampgate, ./ampgate-data and ./ampgate-demo]
    #[arg(long = "data-dir", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Log in as this user; the password is in AMPGATE_PASSWORD, or is asked for
    #[arg(long = "user", value_name = "NAME")]
    pub login: Option<String>,
    /// Root of the certificate that the daemon shows, PEM [default: the one of the site's own
    /// authority in the data directory, else those that browsers trust]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The answer of the API as it is
    #[arg(long)]
    pub json: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error(
        "no Ampgate answers at {url} ({why}); is it running (ampgate run --config FILE)? \
         For another address give --url or --config"
    )]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the socket said.
        why: String,
    },
    /// The daemon says no.
    #[error("{error}; expected: {expected}")]
    Refused {
        /// What went wrong.
        error: String,
        /// What would have been right.
        expected: String,
    },
    /// It takes somebody whom the daemon knows.
    #[error(
        "{error}; run it as root or as the daemon's user on the box itself (--data-dir DIR where \
         its data is elsewhere), or log in with --user NAME (the password from AMPGATE_PASSWORD, \
         or asked for){hint}"
    )]
    Login {
        /// What the daemon said.
        error: String,
        /// What was found on this machine, with a colon before it; empty for nothing.
        hint: String,
    },
    /// The charger says no.
    #[error("{0}")]
    Charger(String),
    /// It cannot be done on this machine.
    #[error("{0}")]
    Here(String),
    /// Something else listens there, or another version.
    #[error("what answers is not this version of Ampgate: {0}")]
    Strange(String),
    /// A file cannot be written here.
    #[error("{file}: {why}", file = .file.display())]
    File {
        /// As given.
        file: PathBuf,
        /// Why not.
        why: String,
    },
    /// The address of the daemon cannot be found out.
    #[error("{file}: {why}", file = .file.display())]
    Config {
        /// As given.
        file: PathBuf,
        /// Why not.
        why: String,
    },
}

/// Asks one daemon.
pub struct Client {
    agent: Agent,
    url: String,
    /// What is shown to the daemon, if anything.
    authorization: Option<String>,
    /// Why there is no token of this machine to show.
    hint: String,
}

impl Client {
    /// For the daemon that is meant: at the URL, at the web address of the configuration, where
    /// the data directory says, or at the usual place.
    pub fn new(target: &Target) -> Result<Self, ClientError> {
        let doors = access::doors(target.data_dir.as_deref());
        let url = match (&target.url, &target.config) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(file)) => web_address(file, &doors)?,
            (None, None) => doors.usual().unwrap_or(URL_DEFAULT).to_owned(),
        };
        let authorization = match &target.login {
            Some(name) => Some(access::basic(name).map_err(ClientError::Here)?),
            None => doors.token(&url).map(|token| format!("Bearer {token}")),
        };
        let config = Agent::config_builder().http_status_as_error(false);
        let mut config = config.timeout_global(Some(PATIENCE));
        if url.starts_with("https://") {
            let root = access::root(target.ca.as_deref(), target.data_dir.as_deref());
            if let Some(tls) = root.map_err(ClientError::Here)? {
                config = config.tls_config(tls);
            }
        } else {
            // What is shown goes to nobody in between.
            config = config.proxy(None);
        }
        Ok(Self { agent: config.build().into(), url, authorization, hint: doors.hint() })
    }

    /// Gives an order with this JSON body; the body of a good answer.
    pub fn post(&self, path: &str, body: &str) -> Result<String, ClientError> {
        let url = format!("{}{path}", self.url);
        let request = self.agent.post(url).config().timeout_global(Some(PATIENCE_ORDER)).build();
        let request = self.signed(request).header("content-type", "application/json");
        self.read(request.send(body))
    }

    /// The body of a good answer.
    pub fn get(&self, path: &str) -> Result<String, ClientError> {
        self.read(self.signed(self.agent.get(format!("{}{path}", self.url))).call())
    }

    /// With what is shown to the daemon.
    fn signed<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(shown) => request.header("authorization", shown),
            None => request,
        }
    }

    /// Writes the bytes of a good answer there; tells how many.
    pub fn download(&self, path: &str, into: &mut impl Write) -> Result<u64, ClientError> {
        let lost = |why: String| ClientError::Unreachable { url: self.url.clone(), why };
        let request = self.agent.get(format!("{}{path}", self.url)).config();
        let request = self.signed(request.timeout_global(Some(PATIENCE_ORDER)).build());
        let response = request.call().map_err(|error| lost(error.to_string()))?;
        if !response.status().is_success() {
            self.read(Ok(response))?;
            return Ok(0);
        }
        let mut body = response.into_body().into_reader();
        std::io::copy(&mut body, into).map_err(|error| lost(error.to_string()))
    }

    /// Puts a value there; the body of a good answer.
    pub fn put(&self, path: &str, value: &impl Serialize) -> Result<String, ClientError> {
        let request = self.agent.put(format!("{}{path}", self.url));
        self.read(self.signed(request).send_json(value))
    }

    /// Takes away what is there; the body of a good answer.
    pub fn delete(&self, path: &str) -> Result<String, ClientError> {
        self.read(self.signed(self.agent.delete(format!("{}{path}", self.url))).call())
    }

    /// Follows the stream of events at `path` until `wanted` finds what it looks for.
    pub fn follow<V: DeserializeOwned, T>(
        &self,
        path: &str,
        wanted: impl Fn(&V) -> Option<T>,
    ) -> Result<T, ClientError> {
        let lost = |why: String| ClientError::Unreachable { url: self.url.clone(), why };
        let request = self.agent.get(format!("{}{path}", self.url)).config();
        let request = self.signed(request.timeout_global(Some(PATIENCE_STREAM)).build());
        let response = request.call().map_err(|error| lost(error.to_string()))?;
        if !response.status().is_success() {
            self.read(Ok(response))?;
            return Err(lost("there is no stream".to_owned()));
        }
        let lines = BufReader::new(response.into_body().into_reader()).lines();
        for line in lines {
            let line = line.map_err(|error| lost(error.to_string()))?;
            let data = line.strip_prefix("data: ").and_then(|text| serde_json::from_str(text).ok());
            if let Some(found) = data.as_ref().and_then(&wanted) {
                return Ok(found);
            }
        }
        Err(lost("the stream has ended".to_owned()))
    }

    fn read(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<String, ClientError> {
        let lost = |error: ureq::Error| ClientError::Unreachable {
            url: self.url.clone(),
            why: error.to_string(),
        };
        let mut response = response.map_err(lost)?;
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let body = body.read_to_string().map_err(lost)?;
        if response.status().is_success() {
            return Ok(body);
        }
        match serde_json::from_str(&body) {
            Ok(Complaint { error, .. }) if response.status() == StatusCode::UNAUTHORIZED => {
                Err(ClientError::Login { error, hint: self.hint.clone() })
            }
            Ok(Complaint { error, expected }) => Err(ClientError::Refused { error, expected }),
            Err(_) => Err(ClientError::Strange(format!("status {}", response.status()))),
        }
    }
}

/// An answer as data.
pub fn read<T: DeserializeOwned>(body: &str) -> Result<T, ClientError> {
    serde_json::from_str(body).map_err(|error| ClientError::Strange(error.to_string()))
}

/// Where the page of a configuration answers; whether the rest of it is right is not asked here.
/// Where it is inside TLS, the data directory says where this machine has a door of its own.
fn web_address(file: &Path, doors: &Doors) -> Result<String, ClientError> {
    let wrong = |why: &str| ClientError::Config { file: file.to_owned(), why: why.to_owned() };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error.to_string()))?;
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| wrong(&error.to_string()))?;
    let web = table.get("listen").and_then(|listen| listen.get("web")?.as_str());
    let web = web.ok_or_else(|| wrong("it has no listen.web, so the page is off"))?;
    let outer = table.get("web").and_then(toml::Value::as_table);
    let is_outer = outer.is_some_and(|outer| {
        let tls = outer.get("tls").and_then(toml::Value::as_bool);
        tls == Some(true) || outer.contains_key("certificate_file")
    });
    if !is_outer {
        return Ok(format!("http://{web}"));
    }
    doors.usual().or(doors.any()).map(str::to_owned).ok_or_else(|| {
        wrong(&format!(
            "listen.web is inside TLS, and where this machine has its own door cannot be read{}; \
             give --data-dir DIR of the daemon, or --url https://NAME:PORT with --user NAME",
            doors.hint()
        ))
    })
}
