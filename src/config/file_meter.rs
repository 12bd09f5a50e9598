//! Meters as they are written: `[[meter]]` and `[[meter.value]]`. Doc comments are the manual, see
//! [`super::file`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A meter that publishes readings over MQTT: either a ready-made `map` with its `topic`, or one
/// `[[meter.value]]` for each number.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Meter {
    /// Short name by which nodes and equipment refer to it.
    #[schemars(required, length(min = 1, max = 36), example = &"grid")]
    pub id: Option<String>,
    /// The topic of its values, without wildcards; with `map`, the beginning of its topics.
    #[schemars(length(min = 1, max = 250), example = &"site/grid")]
    pub topic: Option<String>,
    /// A value older than this counts as silent, in seconds. Choose three times the publisher's
    /// interval or more: a silent meter means worst-case load at once.
    #[serde(default = "max_age_s")]
    #[schemars(range(min = 2, max = 3600))]
    #[schemars(extend("x-hint" = "three times the interval at which the meter publishes"))]
    pub max_age_s: f64,
    /// A ready-made map of a common publisher, in place of `[[meter.value]]`.
    pub map: Option<Map>,
    /// The numbers that it publishes.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub value: Vec<Value>,
}

/// One number inside one MQTT topic.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// Its topic, without wildcards; the meter's `topic` where it is left out.
    #[schemars(length(min = 1, max = 250), example = &"site/grid/l1/power")]
    pub topic: Option<String>,
    /// JSON pointer (RFC 6901) to the number inside the message. Left out where the message is the
    /// number itself.
    #[schemars(length(max = 250), example = &"/current/l1")]
    pub pointer: Option<String>,
    /// What it measures.
    #[schemars(required)]
    pub quantity: Option<Quantity>,
    /// The grid phase that it measures. Left out for a total over all phases.
    pub phase: Option<Phase>,
    /// The unit it is published in.
    #[schemars(required)]
    pub unit: Option<Unit>,
    /// The published number is multiplied by this, e.g. for the ratio of a current transformer.
    #[serde(default = "scale")]
    #[schemars(range(min = -1_000_000, max = 1_000_000), example = 0.1)]
    pub scale: f64,
    /// What the publisher counts as positive.
    #[serde(default)]
    pub sign: Sign,
}

/// What a published number measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quantity {
    /// Current of a phase.
    Current,
    /// Active power of a phase, or of all phases together.
    Power,
    /// Voltage between a phase and neutral; makes power into current more exactly than the
    /// `voltage_v` of the site.
    Voltage,
}

/// A phase of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Phase {
    /// First phase.
    L1,
    /// Second phase.
    L2,
    /// Third phase.
    L3,
}

/// The unit a number is published in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Unit {
    /// Amperes, for a current.
    A,
    /// Milliamperes, for a current.
    #[serde(rename = "mA")]
    MilliA,
    /// Watts, for a power.
    W,
    /// Kilowatts, for a power.
    #[serde(rename = "kW")]
    KiloW,
    /// Volts, for a voltage.
    V,
    /// Millivolts, for a voltage.
    #[serde(rename = "mV")]
    MilliV,
}

/// What the publisher counts as positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sign {
    /// Drawing from the grid is positive (most grid meters).
    #[default]
    Import,
    /// Giving to the grid is positive (most PV inverters).
    Export,
}

/// A ready-made map of a common publisher. Where a publisher sends current without a sign, its map
/// reads the power of each phase too, whose sign tells a surplus from a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Map {
    /// Shelly 3EM (first generation). `topic = "shellies/<device id>"`. Current of each phase with
    /// the sign of its power. Its MQTT update period must be well below `max_age_s`.
    #[serde(rename = "shelly-3em")]
    Shelly3em,
    /// Shelly Pro 3EM and 3EM Gen3 (three-phase profile). `topic = "<MQTT prefix>"`, and "generic
    /// status update over MQTT" switched on in the device. Current of each phase with the sign of
    /// its power.
    #[serde(rename = "shelly-pro-3em")]
    ShellyPro3em,
    /// Grid power of each phase from a Victron GX device. `topic = "N/<portal id>"`. The GX
    /// publishes only while something on the site keeps asking it to: an empty message to
    /// `R/<portal id>/keepalive` at least every 60 s.
    VictronGrid,
    /// PV inverters on the grid side from a Victron GX device, power of each phase; `topic` and
    /// keepalive as for `victron-grid`.
    VictronPv,
    /// All inverters of an OpenDTU together, total power. `topic = "<base topic>"`, as a rule
    /// `"solar"`.
    #[serde(rename = "opendtu")]
    OpenDtu,
    /// Tasmota with an SML reading head whose script names its group `SML` and the phases
    /// `power_l1` to `power_l3`. `topic = "tele/<device>"`. Its TelePeriod (300 s as delivered, 10
    /// s at the least) must be well below `max_age_s`.
    TasmotaSml,
    /// The same, where the meter tells only the total, named `Power_curr`.
    TasmotaSmlTotal,
    /// One power sensor of Home Assistant, in W, a total, by its MQTT statestream.
    /// `topic = "<base topic>/sensor/<name>"`. It publishes only changes: choose a generous
    /// `max_age_s`.
    HomeAssistant,
}

fn max_age_s() -> f64 {
    15.0
}

fn scale() -> f64 {
    1.0
}
