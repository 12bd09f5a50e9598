//! The configuration as it is written: one struct per table, whose doc comments are the manual.
//!
//! `ampgate schema config` prints them as JSON Schema, and [`super::structure`] checks every file
//! against that same schema, so that manual, editor help and checks cannot drift apart. A key that
//! must be given is an `Option` marked `required`: where it is missing or wrong the structure check
//! has said so, and the later checks go on with the rest.
//!
//! Deliberately without rules between keys: those are in the `check_…` files.

use schemars::JsonSchema;
use serde::Deserialize;

use super::file_access::{Access, Token};
use super::file_diagram::{Battery, Evse, Load, Node, Pv};
use super::file_drivers::Drivers;
use super::file_forecast::Forecast;
use super::file_keep::{Keep, Log};
use super::file_limit::Limit;
use super::file_meter::Meter;
use super::file_mqtt::Mqtt;
use super::file_ocpi::{Ocpi, Partner};
use super::file_plan::Plan;
use super::file_security::Security;
use super::file_tariff::Tariff;
use super::file_update::Update;
use super::file_web::Web;

/// The configuration of an Ampgate site.
///
/// Quantities carry their unit in the name of the key: `_a` amperes of one phase, `_kw` and `_kva`
/// of all phases together, `_v` volts, `_s` seconds, `_min` minutes.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Ampgate configuration")]
pub struct File {
    /// The site itself.
    #[schemars(required)]
    pub site: Option<Site>,
    /// The doors that are open. What is not listed stays closed.
    #[serde(default)]
    pub listen: Listen,
    /// What chargers have to show, and what this box shows them.
    #[serde(default)]
    pub security: Security,
    /// The page and its API for other machines.
    #[serde(default)]
    pub web: Web,
    /// The MQTT broker that meters publish to. Needed as soon as there is a `[[meter]]`.
    pub mqtt: Option<Mqtt>,
    /// Who may charge.
    #[schemars(required)]
    pub access: Option<Access>,
    /// Tokens with a group, a time, or certain EVSEs.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub token: Vec<Token>,
    /// What holds for drivers who say nothing, and who comes first.
    #[serde(default)]
    pub drivers: Drivers,
    /// How long a limit holds without being renewed, and how fast limits move.
    #[serde(default)]
    pub lease: Lease,
    /// How the chargers are spoken to.
    #[serde(default)]
    pub charging: Charging,
    /// What energy costs.
    #[serde(default)]
    pub tariff: Tariff,
    /// Forecasts and prices from outside.
    #[serde(default)]
    pub forecast: Forecast,
    /// What the plan of the coming day is to achieve. Without it, cars share what the breakers
    /// allow, and nobody waits for sun or for a better price.
    pub plan: Option<Plan>,
    /// The electrical diagram: grid connection, breakers and boards, as a tree.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub node: Vec<Node>,
    /// The charging points.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub evse: Vec<Evse>,
    /// PV generators.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub pv: Vec<Pv>,
    /// Stationary batteries.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub battery: Vec<Battery>,
    /// Building loads and other loads that Ampgate does not control.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub load: Vec<Load>,
    /// The meters that publish over MQTT.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub meter: Vec<Meter>,
    /// Contacts that limit while they are closed, such as dimming by the grid operator.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub limit: Vec<Limit>,
    /// Who this site is to its partners over OCPI.
    pub ocpi: Option<Ocpi>,
    /// How long the past is kept.
    #[serde(default)]
    pub keep: Keep,
    /// What is logged.
    #[serde(default)]
    pub log: Log,
    /// Partners over OCPI: operators, service providers, hubs.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub partner: Vec<Partner>,
    /// Updates of the box itself through RAUC. Without this table there are none.
    pub update: Option<Update>,
}

/// The site itself.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// What people call the site; shown on the page.
    #[schemars(required, length(min = 1, max = 80), example = &"Office car park")]
    pub name: Option<String>,
    /// IANA time zone, for the page and for tariffs. Nothing that protects a breaker depends on it.
    #[schemars(required, length(min = 1, max = 60), example = &"Europe/Paris")]
    pub time_zone: Option<String>,
    /// Voltage between a phase and neutral, in volts.
    #[serde(default = "voltage_v")]
    #[schemars(range(min = 100, max = 300))]
    #[schemars(extend("x-hint" = "between a phase and neutral: 230 on a 400 V network"))]
    pub voltage_v: f64,
}

/// The doors that are open. What is not listed stays closed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Address and port for chargers, plain OCPP 1.6J: they connect to
    /// `ws://ADDRESS:PORT/ocpp/{identity}` and show their password (security profile 1). Without
    /// one come only those on this machine and in the networks of `[[security.open_network]]`
    /// (profile 0). Nothing is encrypted here, so anything but loopback belongs on a network of
    /// chargers alone.
    #[schemars(example = &"127.0.0.1:9000")]
    pub ocpp: Option<String>,
    /// Address and port for chargers inside TLS: they connect to
    /// `wss://ADDRESS:PORT/ocpp/{identity}` and show their password (security profile 2) or a
    /// certificate (profile 3). Needs a certificate: `ampgate ca init` makes one.
    #[schemars(example = &"0.0.0.0:9443")]
    pub ocpps: Option<String>,
    /// Address and port of the web page and its API. On loopback (127.0.0.1 or [::1]) it needs
    /// nothing more; any other address needs `[web]` and a user (`ampgate user add`).
    #[schemars(example = &"127.0.0.1:8080")]
    pub web: Option<String>,
    /// Address and port for partners over OCPI: `http://ADDRESS:PORT/ocpi/versions`. Loopback
    /// behind a reverse proxy that has the certificate, or any address with a certificate of its
    /// own (`ocpi.certificate_file`); see docs/ocpi.md.
    #[schemars(example = &"127.0.0.1:8085")]
    pub ocpi: Option<String>,
}

/// How long a limit holds without being renewed, and how fast limits move.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lease {
    /// A charger that hears nothing falls to its `safe_a` after this long, in seconds. Each limit
    /// is renewed at a third of it.
    #[schemars(range(min = 60, max = 900))]
    pub ttl_s: f64,
    /// A lease counts as run out only this much later, in seconds: for clocks that differ and
    /// chargers that are slow.
    #[schemars(range(min = 0, max = 300))]
    pub grace_s: f64,
    /// Between two increases of one EVSE at least this long, in seconds. Reductions never wait.
    #[schemars(range(min = 0, max = 3600))]
    pub raise_every_s: f64,
    /// A smaller increase than this is not worth a message, in amperes.
    #[schemars(range(min = 0, max = 32))]
    pub deadband_a: f64,
    /// Kept free on every breaker and phase, in amperes.
    #[schemars(range(min = 0, max = 1000))]
    pub margin_a: f64,
    /// When there is not enough for the minimum of every car, they take turns of this length, in
    /// minutes.
    #[schemars(range(min = 1, max = 240))]
    pub turn_min: f64,
    /// Count a car only on the phases on which it was seen to charge, once that is certain. Where
    /// false, a car counts on every phase its EVSE is wired to.
    pub trust_measured_phases: bool,
}

/// How the chargers are spoken to.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Charging {
    /// How often chargers are asked to send meter values, in seconds.
    #[schemars(range(min = 1, max = 900))]
    pub meter_interval_s: f64,
    /// How often chargers are asked to send a heartbeat, in seconds.
    #[schemars(range(min = 10, max = 86_400))]
    pub heartbeat_s: f64,
    /// A charger that has not answered a call after this long is not waited for, in seconds.
    #[schemars(range(min = 5, max = 300))]
    pub call_timeout_s: f64,
}

impl Default for Lease {
    fn default() -> Self {
        Self {
            ttl_s: 180.0,
            grace_s: 10.0,
            raise_every_s: 30.0,
            deadband_a: 1.0,
            margin_a: 0.0,
            turn_min: 15.0,
            trust_measured_phases: true,
        }
    }
}

impl Default for Charging {
    fn default() -> Self {
        Self { meter_interval_s: 10.0, heartbeat_s: 300.0, call_timeout_s: 30.0 }
    }
}

fn voltage_v() -> f64 {
    230.0
}
