//! What Home Assistant reads to find the site and its EVSEs: its MQTT device discovery (2024.11 and
//! later), one document for each device. A document names entities by ids that never change.

use serde_json::{Map, Value, json};

use crate::controller::view::{EvseView, View};

use super::topics::{Topics, slug};

/// The document of the site.
pub fn site(view: &View, topics: &Topics, takes_limits: bool) -> Value {
    let device = topics.device(None);
    let mut entities = Entities::new(&device, topics.site());
    entities.power("import_w", "Import");
    entities.power("pv_w", "Solar power");
    entities.power("charging_w", "Charging power");
    entities.measured("headroom_a", "Headroom", ["current", "A"]);
    entities.flag("failsafe", "Failsafe", "problem");
    entities.text("failsafe_reason", "Failsafe reason");
    entities.count("sessions_open", "Sessions");
    entities.count("evses_online", "Chargers connected");
    if takes_limits {
        let most = view.evses.iter().map(|evse| evse.rated_a.as_f64() * 0.7).sum::<f64>().ceil();
        let range = json!({
            "device_class": "power", "unit_of_measurement": "kW",
            "min": 0, "max": most.max(1.0), "step": 0.1,
        });
        entities.number("limit_kw", "Limit of all chargers", &topics.set_charging(), range);
        entities.text("limit_reason", "Limit reason");
    }
    document(topics, &device, &view.site, Value::Null, entities)
}

/// The document of an EVSE.
pub fn evse(view: &View, evse: &EvseView, topics: &Topics, takes_limits: bool) -> Value {
    let slug = slug(&evse.id);
    let device = topics.device(Some(&slug));
    let mut entities = Entities::new(&device, topics.evse(&slug));
    entities.text("status", "Status");
    entities.flag("online", "Connected", "connectivity");
    entities.power("power_w", "Power");
    entities.measured("current_a", "Current", ["current", "A"]);
    entities.measured("allowed_a", "Allowed", ["current", "A"]);
    entities.text("reason", "Reason");
    entities.energy("session_energy_kwh", "Session energy");
    entities.measured("soc_percent", "State of charge", ["battery", "%"]);
    entities.text("wanted", "Wanted");
    if takes_limits {
        let range = json!({
            "device_class": "current", "unit_of_measurement": "A",
            "min": 0, "max": evse.rated_a.as_f64(), "step": 1,
        });
        entities.number("limit_a", "Limit", &topics.set_evse(&slug), range);
        entities.text("limit_reason", "Limit reason");
    }
    let name = format!("{} {}", view.site, evse.id);
    document(topics, &device, &name, json!(topics.device(None)), entities)
}

fn document(topics: &Topics, device: &str, name: &str, via: Value, entities: Entities) -> Value {
    let mut about = json!({
        "identifiers": [device],
        "name": name,
        "manufacturer": "Ampgate",
        "sw_version": env!("CARGO_PKG_VERSION"),
    });
    if via.is_string() {
        about["via_device"] = via;
    }
    json!({
        "device": about,
        "origin": { "name": "Ampgate", "sw_version": env!("CARGO_PKG_VERSION") },
        "components": entities.all,
        "availability_topic": topics.availability(),
        "qos": 1,
    })
}

/// The entities of one device.
struct Entities {
    device: String,
    state: String,
    all: Map<String, Value>,
}

impl Entities {
    fn new(device: &str, state: String) -> Self {
        Self { device: device.to_owned(), state, all: Map::new() }
    }

    fn add(&mut self, key: &str, platform: &str, name: &str, more: Value) {
        let mut entity = json!({
            "platform": platform,
            "unique_id": format!("{}_{key}", self.device),
            "name": name,
            "state_topic": self.state,
            "value_template": format!("{{{{ value_json.{key} }}}}"),
        });
        if let (Some(entity), Value::Object(more)) = (entity.as_object_mut(), more) {
            entity.extend(more);
        }
        self.all.insert(key.to_owned(), entity);
    }

    fn measured(&mut self, key: &str, name: &str, [class, unit]: [&str; 2]) {
        let more = json!({
            "device_class": class, "unit_of_measurement": unit, "state_class": "measurement",
        });
        self.add(key, "sensor", name, more);
    }

    fn power(&mut self, key: &str, name: &str) {
        self.measured(key, name, ["power", "W"]);
    }

    /// Begins anew with each session, which `total_increasing` allows.
    fn energy(&mut self, key: &str, name: &str) {
        let more = json!({
            "device_class": "energy", "unit_of_measurement": "kWh",
            "state_class": "total_increasing",
        });
        self.add(key, "sensor", name, more);
    }

    fn count(&mut self, key: &str, name: &str) {
        self.add(key, "sensor", name, json!({ "state_class": "measurement" }));
    }

    fn text(&mut self, key: &str, name: &str) {
        self.add(key, "sensor", name, json!({}));
    }

    fn flag(&mut self, key: &str, name: &str, class: &str) {
        let template = format!("{{{{ 'ON' if value_json.{key} else 'OFF' }}}}");
        let more = json!({ "device_class": class, "value_template": template });
        self.add(key, "binary_sensor", name, more);
    }

    /// A limit that can be set, and a button that takes it back.
    fn number(&mut self, key: &str, name: &str, command: &str, range: Value) {
        self.add(key, "number", name, range);
        let unique = format!("{}_{key}_clear", self.device);
        if let Some(number) = self.all.get_mut(key) {
            number["command_topic"] = json!(command);
            number["mode"] = json!("box");
        }
        let button = json!({
            "platform": "button", "unique_id": unique, "name": format!("{name}: clear"),
            "command_topic": command, "payload_press": "none",
        });
        self.all.insert(format!("{key}_clear"), button);
    }
}
