//! The ready-made meter maps: for each publisher its topics, pointers and signs. Data, no logic.
//!
//! Only what could be verified against the publisher's own documentation or captured messages is
//! here. Units are A and W throughout, because every publisher listed uses them. Where a publisher
//! gives the size of a current alone, its power is read too: the meter image takes the sign from
//! it.

use crate::ground::units::Phase;

use super::file_meter::{Map, Quantity, Sign};

/// One number of a ready-made map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapValue {
    /// Follows the `topic` of the meter.
    pub suffix: &'static str,
    /// JSON pointer to the number; none where the message is the number.
    pub pointer: Option<&'static str>,
    /// What it measures, in A or W.
    pub quantity: Quantity,
    /// The phase, or none for a total.
    pub phase: Option<Phase>,
    /// What the publisher counts as positive.
    pub sign: Sign,
}

/// The numbers that a map reads.
pub fn values(map: Map) -> &'static [MapValue] {
    match map {
        Map::Shelly3em => &SHELLY_3EM,
        Map::ShellyPro3em => &SHELLY_PRO_3EM,
        Map::VictronGrid => &VICTRON_GRID,
        Map::VictronPv => &VICTRON_PV,
        Map::OpenDtu => &OPENDTU,
        Map::TasmotaSml => &TASMOTA_SML,
        Map::TasmotaSmlTotal => &TASMOTA_SML_TOTAL,
        Map::HomeAssistant => &HOME_ASSISTANT,
    }
}

const fn power(suffix: &'static str, pointer: Option<&'static str>, phase: Phase) -> MapValue {
    let (quantity, sign) = (Quantity::Power, Sign::Import);
    MapValue { suffix, pointer, quantity, phase: Some(phase), sign }
}

const fn current(suffix: &'static str, pointer: Option<&'static str>, phase: Phase) -> MapValue {
    let (quantity, sign) = (Quantity::Current, Sign::Import);
    MapValue { suffix, pointer, quantity, phase: Some(phase), sign }
}

const fn generation(suffix: &'static str, phase: Option<Phase>, json: bool) -> MapValue {
    let pointer = if json { Some("/value") } else { None };
    MapValue { suffix, pointer, quantity: Quantity::Power, phase, sign: Sign::Export }
}

const fn total(suffix: &'static str, pointer: Option<&'static str>) -> MapValue {
    let (quantity, sign) = (Quantity::Power, Sign::Import);
    MapValue { suffix, pointer, quantity, phase: None, sign }
}

/// Shelly API documentation, first generation, "Shelly 3EM: MQTT": one plain number per topic.
const SHELLY_3EM: [MapValue; 6] = [
    power("/emeter/0/power", None, Phase::L1),
    power("/emeter/1/power", None, Phase::L2),
    power("/emeter/2/power", None, Phase::L3),
    current("/emeter/0/current", None, Phase::L1),
    current("/emeter/1/current", None, Phase::L2),
    current("/emeter/2/current", None, Phase::L3),
];

/// Shelly API documentation, second generation, component EM: its status as one JSON object.
const SHELLY_PRO_3EM: [MapValue; 6] = [
    power("/status/em:0", Some("/a_act_power"), Phase::L1),
    power("/status/em:0", Some("/b_act_power"), Phase::L2),
    power("/status/em:0", Some("/c_act_power"), Phase::L3),
    current("/status/em:0", Some("/a_current"), Phase::L1),
    current("/status/em:0", Some("/b_current"), Phase::L2),
    current("/status/em:0", Some("/c_current"), Phase::L3),
];

/// Venus OS, dbus-flashmq: `N/<portal>/<service>/<instance>/<path>` with `{"value": x}`. The system
/// service has instance 0 on every GX and shows whichever grid meter is in use.
const VICTRON_GRID: [MapValue; 3] = [
    power("/system/0/Ac/Grid/L1/Power", Some("/value"), Phase::L1),
    power("/system/0/Ac/Grid/L2/Power", Some("/value"), Phase::L2),
    power("/system/0/Ac/Grid/L3/Power", Some("/value"), Phase::L3),
];

const VICTRON_PV: [MapValue; 3] = [
    generation("/system/0/Ac/PvOnGrid/L1/Power", Some(Phase::L1), true),
    generation("/system/0/Ac/PvOnGrid/L2/Power", Some(Phase::L2), true),
    generation("/system/0/Ac/PvOnGrid/L3/Power", Some(Phase::L3), true),
];

/// OpenDTU documentation, "MQTT topics", inverter totals.
const OPENDTU: [MapValue; 1] = [generation("/ac/power", None, false)];

/// Tasmota smart meter interface with the names that charging software agreed on (evcc
/// documentation, "Tasmota SML IR-reader"); the names are the script's own, hence the condition.
const TASMOTA_SML: [MapValue; 3] = [
    power("/SENSOR", Some("/SML/power_l1"), Phase::L1),
    power("/SENSOR", Some("/SML/power_l2"), Phase::L2),
    power("/SENSOR", Some("/SML/power_l3"), Phase::L3),
];

const TASMOTA_SML_TOTAL: [MapValue; 1] = [total("/SENSOR", Some("/SML/Power_curr"))];

/// Home Assistant documentation, "MQTT Statestream": `<base topic>/<domain>/<object id>/state`.
const HOME_ASSISTANT: [MapValue; 1] = [total("/state", None)];
