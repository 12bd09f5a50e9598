//! How long the past is kept, and what is logged, as they are written: `[keep]` and `[log]`. Doc
//! comments are the manual, see [`super::file`].

use schemars::JsonSchema;
use serde::Deserialize;

/// How long the past is kept. Ages count from the newest row, numbers bound the size of the store;
/// whatever is reached first. Transactions and sessions go by number alone.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Readings of the chargers are kept this long, in days.
    #[schemars(range(min = 1, max = 3700))]
    pub readings_days: f64,
    /// Readings older than this are thinned to one each quarter of an hour for each EVSE, in days.
    #[schemars(range(min = 1, max = 3700))]
    pub readings_fine_days: f64,
    /// At most this many readings are kept; a million are some 200 MB.
    #[schemars(range(min = 1000, max = 5_000_000))]
    pub readings_max: u32,
    /// Limits that were sent, with their causes, are kept this long, in days.
    #[schemars(range(min = 1, max = 3700))]
    pub setpoints_days: f64,
    /// Events are kept this long, in days.
    #[schemars(range(min = 1, max = 3700))]
    pub events_days: f64,
    /// At most this many sessions that have ended are kept with their transactions.
    #[schemars(range(min = 1000, max = 1_000_000))]
    pub sessions_max: u32,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            readings_days: 35.0,
            readings_fine_days: 35.0,
            readings_max: 300_000,
            setpoints_days: 92.0,
            events_days: 366.0,
            sessions_max: 110_000,
        }
    }
}

/// What is logged.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least severe level that is logged: `error`, `warn`, `info` (the default), `debug` or
    /// `trace`; then, with commas, levels of single modules: `"info,ocpp=debug,rumqttc=error"`.
    /// `--log-level` and `AMPGATE_LOG` come before it.
    #[schemars(length(min = 1, max = 500), example = &"info,ocpp=debug")]
    pub level: Option<String>,
}
