//! The configuration of a simulated site: the given one with rarer messages.
//!
//! A year has 31 million seconds, so chargers report every minute (and when their current has
//! changed), limits are leased for a quarter of an hour, and a meter that sees no change may be
//! quiet for minutes. Every token may charge, as the drivers of the file did. It stays a text, so
//! that a journal of a simulation is replayed from its own header, like any other.

use toml::{Table, Value};

use super::policy::Policy;

/// Between two readings of a charger, in seconds.
const METER_INTERVAL_S: i64 = 60;
/// Between two heartbeats of an idle charger, in seconds.
const HEARTBEAT_S: i64 = 3600;
/// How long a limit holds without being renewed, in seconds.
const TTL_S: i64 = 900;
/// Older than this a meter counts as silent, in seconds; the twin's publish every 120 s or sooner.
const MAX_AGE_S: i64 = 300;

/// Equipment that a series tells of and the configuration does not name, with its size in kW.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Missing {
    /// Generation.
    pub pv_kw: Option<f64>,
    /// Building load.
    pub load_kw: Option<f64>,
}

/// The text of the simulated site's configuration. Equipment that is missing is put at the first
/// node. None where the text is no TOML; it was checked before.
pub fn simulated(text: &str, missing: Missing, policy: Policy) -> Option<String> {
    let mut root: Table = text.parse().ok()?;
    plan(&mut root, policy);
    let mut change = |table: &str, key: &str, value: i64| {
        let table = root.entry(table).or_insert_with(|| Value::Table(Table::new()));
        if let Some(table) = table.as_table_mut() {
            table.insert(key.to_owned(), Value::Integer(value));
        }
    };
    change("charging", "meter_interval_s", METER_INTERVAL_S);
    change("charging", "heartbeat_s", HEARTBEAT_S);
    change("lease", "ttl_s", TTL_S);
    let anyone = Table::from_iter([("anyone".to_owned(), Value::Boolean(true))]);
    root.insert("access".to_owned(), Value::Table(anyone));
    root.remove("token");
    for meter in root.get_mut("meter").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(meter) = meter.as_table_mut() {
            meter.insert("max_age_s".to_owned(), Value::Integer(MAX_AGE_S));
        }
    }
    let node = root.get("node")?.as_array()?.first()?.get("id")?.clone();
    for (kind, size) in [("pv", missing.pv_kw), ("load", missing.load_kw)] {
        let Some(size) = size else { continue };
        let item = Table::from_iter([
            ("id".to_owned(), Value::String(format!("simulated-{kind}"))),
            ("node".to_owned(), node.clone()),
            ("peak_kw".to_owned(), Value::Float(size)),
        ]);
        let list = root.entry(kind).or_insert_with(|| Value::Array(Vec::new()));
        list.as_array_mut()?.push(Value::Table(item));
    }
    toml::to_string(&root).ok()
}

/// What steers decides whether there is a plan, and whose. Without one in the configuration the sun
/// counts where there is a roof, else the price.
fn plan(root: &mut Table, policy: Policy) {
    let planner = match policy {
        Policy::Plan => "program",
        Policy::Rule => "rule",
        Policy::Fair | Policy::Uncontrolled => {
            root.remove("plan");
            return;
        }
    };
    let objective = if root.contains_key("pv") { "self_production" } else { "cost" };
    let plan = root.entry("plan").or_insert_with(|| Value::Table(Table::new()));
    if let Some(plan) = plan.as_table_mut() {
        plan.entry("objective").or_insert_with(|| Value::String(objective.to_owned()));
        plan.insert("planner".to_owned(), Value::String(planner.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::ground::time::Duration;
    use crate::model::site::Access;

    const OFFICE: &str = include_str!("../../config/office.toml");

    #[test]
    fn the_simulated_office_is_the_office_with_rarer_messages() {
        let site = |text: &str| config::parse(text, "t").expect("accepted").config.site;
        let missing = Missing { pv_kw: None, load_kw: Some(15.0) };
        let simulated = site(&simulated(OFFICE, missing, Policy::Fair).expect("TOML"));
        let given = site(OFFICE);
        assert_eq!(simulated.lease.ttl, Duration::seconds(TTL_S));
        assert_eq!(simulated.access, Access::Anyone);
        assert_eq!(simulated.diagram.nodes, given.diagram.nodes);
        assert_eq!(simulated.diagram.evses, given.diagram.evses);
        assert_eq!(simulated.diagram.equipment.len(), given.diagram.equipment.len() + 1);
    }
}
