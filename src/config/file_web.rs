//! The table `[web]` as it is written. Doc comments are the manual, see [`super::file`].

use schemars::JsonSchema;
use serde::Deserialize;

/// The page and its API for other machines. Who may use them is made with `ampgate user add`; until
/// there is a user the door stays shut.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// `listen.web` speaks TLS, which it must where it is not on loopback. It shows the certificate
    /// of `[security]`, or the one that `ampgate ca init` has made, unless another is given here.
    pub tls: bool,
    /// Another certificate for the page, PEM, followed by what is between it and its root. It is
    /// read again when the file changes.
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/page.pem")]
    pub certificate_file: Option<String>,
    /// Private key of that certificate, PEM.
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/page.key")]
    pub key_file: Option<String>,
    /// Names under which browsers reach the page, beside those in its certificate.
    #[schemars(length(max = 20), inner(length(min = 1, max = 253)))]
    #[schemars(example = ["ampgate.example.org"])]
    pub names: Vec<String>,
}
