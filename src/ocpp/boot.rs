//! Getting a charge point ready (OCPP 1.6 §4.2, §5.3, §5.5, §5.8, §5.17) and finding out its state
//! when it comes back without a boot.
//!
//! The state that the charger keeps is asked for, not assumed. What was accepted once is not
//! written again, to spare its flash: clearing happens once per identity, the safe share once per
//! firmware, configuration keys only where they differ.

use std::collections::VecDeque;

use crate::ground::time::{Duration, Instant};
use crate::ground::units::Amps;
use crate::model::event::EventKind;
use crate::model::message::{Identity, Report};
use crate::model::token::Offline;

use super::capability::Capability;
use super::composite::Composite;
use super::message::configuration;
use super::mode::{Ability, safe_forms};
use super::station::{Boot, Said, Station, Trigger};
use super::task::{Reply, Task, Wanted};
use super::traffic::{Settings, Step};

/// A charger that comes back tells much by itself; it is asked only after this.
const SPONTANEOUS: Duration = Duration::seconds(3);

/// The configuration is not gone through again sooner, however often a charger boots.
const CONFIGURE_AGAIN: Duration = Duration::minutes(10);

/// Fresh meter values of one charge point are not asked for more often.
const METER_AGAIN: Duration = Duration::seconds(5);

/// Boots are told once in this time.
const BOOT_AGAIN: Duration = Duration::minutes(1);

/// More messages than this are not asked for at a time.
const TRIGGERS_MAX: usize = 32;

/// More keys than this are not remembered.
const KEYS_MAX: usize = 500;

/// A connector may show this much more than its share, for conversion and rounding.
const SHARE_TOLERANCE: Amps = Amps::milli(300);

const STACK: &str = "ChargeProfileMaxStackLevel";
const UNIT: &str = "ChargingScheduleAllowedChargingRateUnit";
const PERIODS: &str = "ChargingScheduleMaxPeriods";
const INTERVAL: &str = "MeterValueSampleInterval";
const SAMPLED: &str = "MeterValuesSampledData";
const SAMPLED_LENGTH: &str = "MeterValuesSampledDataMaxLength";
const HEARTBEAT: &str = "HeartbeatInterval";
const CACHE: &str = "AuthorizationCacheEnabled";
const IGNORED_OFFLINE: &str = "IgnoredProfilePurposesOffline";

/// The keys that are needed, for chargers that cannot list all.
const NEEDED: [&str; 7] = [STACK, UNIT, PERIODS, INTERVAL, SAMPLED, SAMPLED_LENGTH, HEARTBEAT];

/// What is wanted in meter values, best first. A charger refuses a list whole when it lacks one
/// (OCPP 1.6 §9.1), so the most fragile goes first.
const SAMPLES: [&[&str]; 4] = [
    &[
        "Energy.Active.Import.Register",
        "Power.Active.Import",
        "Current.Import",
        "Voltage",
        "Current.Offered",
    ],
    &["Energy.Active.Import.Register", "Power.Active.Import", "Current.Import", "Voltage"],
    &["Energy.Active.Import.Register", "Power.Active.Import", "Current.Import"],
    &["Energy.Active.Import.Register", "Power.Active.Import"],
];

/// Sample intervals in seconds for chargers that refuse the wanted one (evcc templates: Easee 30,
/// Mennekes 60).
const SLOWER: [i64; 2] = [30, 60];

/// The charge point may be spoken to: what there is to do.
pub fn online(station: &mut Station, step: &mut Step<'_>) {
    step.report(Report::Online { charge_point: station.id.clone() });
    station.boot.clear = !station.capability.cleared;
    for connector in &mut station.connectors {
        connector.heard = false;
        if let Some(known) = station.capability.connector(connector.setup.connector).safe_a {
            let accepted = known <= connector.setup.safe;
            step.report(Report::SafeShare { evse: connector.setup.evse, accepted });
        }
    }
    let not_before = step.now.mono + SPONTANEOUS;
    let mut ask = |wanted, connector| {
        station.boot.triggers.push_back(Trigger { wanted, connector, not_before });
    };
    ask(Wanted::Boot, None);
    ask(Wanted::Status, None);
    for connector in station.connectors.iter().take(TRIGGERS_MAX / 2) {
        ask(Wanted::Meter, Some(connector.setup.connector));
    }
    if station.boot.configured.is_none() {
        configure(station);
    }
}

/// The link is gone: what was to be asked on it is moot.
pub fn offline(station: &mut Station) {
    station.boot.clear = false;
    station.boot.triggers.clear();
    station.boot.reads.clear();
    if !station.boot.changes.is_empty() {
        station.boot.changes.clear();
        station.boot.configured = None;
    }
}

/// Another configuration is in force: a charger that is connected is told at once.
pub fn reconfigured(station: &mut Station, is_online: bool) {
    station.boot.shared_rung = 0;
    station.boot.configured = None;
    if is_online {
        configure(station);
    }
}

fn configure(station: &mut Station) {
    let boot = &mut station.boot;
    boot.reads.clear();
    boot.changes.clear();
    boot.known.clear();
    boot.asked_by_name = false;
    boot.reads.push_back(Vec::new());
}

/// The charge point has told who it is (OCPP 1.6 §4.2).
pub fn booted(station: &mut Station, step: &mut Step<'_>, identity: Identity) {
    let is_other_firmware = station.capability.firmware != identity.firmware;
    if station.quiet.may_say(step.now.mono, Said::Booted, BOOT_AGAIN) {
        let Identity { vendor, model, firmware, .. } = &identity;
        let text = format!("{vendor} {model}, firmware {firmware}");
        step.event(EventKind::Booted, &station.id, text);
    }
    if station.identity.as_ref() != Some(&identity) {
        let charge_point = station.id.clone();
        step.report(Report::Identified { charge_point, identity: identity.clone() });
    }
    if is_other_firmware && !station.capability.firmware.is_empty() {
        let cleared = station.capability.cleared;
        station.capability = Capability { cleared, ..Capability::default() };
    }
    station.capability.firmware = identity.firmware.clone();
    station.identity = Some(identity);
    station.boot.shared_rung = 0;
    for connector in &mut station.connectors {
        connector.safe_rung = 0;
        connector.safe_refused = false;
        connector.check_safe = true;
        connector.lease.rungs = [0; 2];
        connector.lease.refused_until = None;
        connector.lease.proven_since_boot = false;
        connector.lease.told &= !is_other_firmware;
    }
    let now = step.now.mono;
    let is_due = station.boot.configured.is_none_or(|done| CONFIGURE_AGAIN <= now.since(done));
    let is_busy = !station.boot.reads.is_empty() || !station.boot.changes.is_empty();
    if is_other_firmware || (is_due && !is_busy) {
        configure(station);
    }
}

/// Fresh meter values are wanted.
pub fn meter_now(station: &mut Station, now: Instant, connector: u32) {
    let not_before = match station.boot.metered {
        Some(last) if now.since(last) < METER_AGAIN => last + METER_AGAIN,
        _ => now,
    };
    let asked =
        |trigger: &Trigger| trigger.wanted == Wanted::Meter && trigger.connector == Some(connector);
    if station.boot.triggers.len() < TRIGGERS_MAX && !station.boot.triggers.iter().any(asked) {
        let trigger = Trigger { wanted: Wanted::Meter, connector: Some(connector), not_before };
        station.boot.triggers.push_back(trigger);
    }
}

/// The next safe share to install; none when all are settled.
pub fn next_safe_share(station: &Station) -> Option<Task> {
    let open = |index: &usize| {
        let connector = &station.connectors[*index];
        let known = station.capability.connectors.get(&connector.setup.connector);
        let accepted = known.and_then(|learned| learned.safe_a);
        !connector.safe_refused && accepted != Some(connector.setup.safe)
    };
    let first = (0..station.connectors.len()).find(open)?;
    let forms = safe_forms(&station.capability.ability, &station.quirk());
    let setup = &station.connectors[first].setup;
    let is_same = station
        .connectors
        .iter()
        .all(|other| other.setup.safe == setup.safe && other.setup.phases == setup.phases);
    if is_same && let Some(form) = forms.get(station.boot.shared_rung) {
        return Some(Task::SafeShare { connector: 0, form: *form });
    }
    let connector = &station.connectors[first];
    let form = forms.get(connector.safe_rung)?;
    Some(Task::SafeShare { connector: connector.setup.connector, form: *form })
}

/// What became of a safe share.
pub fn safe_share_done(
    station: &mut Station,
    step: &mut Step<'_>,
    connector: u32,
    reply: &Reply<'_>,
) {
    let accepted = reply.is_one_of(&["Accepted"]);
    let forms = safe_forms(&station.capability.ability, &station.quirk()).len();
    let is_hopeless = matches!(reply, Reply::Error(words) if words.starts_with("NotImplemented"));
    if !accepted && connector == 0 {
        station.boot.shared_rung = if is_hopeless { forms } else { station.boot.shared_rung + 1 };
    }
    for index in 0..station.connectors.len() {
        let own = &mut station.connectors[index];
        if connector != 0 && own.setup.connector != connector {
            continue;
        }
        let evse = own.setup.evse;
        if accepted {
            let safe = own.setup.safe;
            station.capability.connector_mut(own.setup.connector).safe_a = Some(safe);
            step.report(Report::SafeShare { evse, accepted: true });
            continue;
        }
        if connector != 0 {
            own.safe_rung += 1;
        }
        if forms <= own.safe_rung || is_hopeless {
            own.safe_refused = true;
            step.report(Report::SafeShare { evse, accepted: false });
            let text = format!(
                "connector {} takes no permanent safe share: {}",
                own.setup.connector,
                reply.words()
            );
            step.event(EventKind::LimitRefused, &station.id, text);
        }
    }
}

/// The composite schedule of an idle connector: where it plainly shows more than the safe share,
/// the share is written again.
pub fn safe_share_seen(station: &mut Station, step: &Step<'_>, connector: u32, reply: &Reply<'_>) {
    let Some(index) = station.position(connector) else { return };
    let own = &station.connectors[index];
    let Reply::Result(payload) = reply else { return };
    let supply = own.supply(step.settings.voltage);
    let shown = Composite::read(payload, &supply).and_then(|composite| composite.ceiling());
    if shown.is_some_and(|shown| own.setup.safe + SHARE_TOLERANCE < shown) && own.is_idle() {
        station.capability.connector_mut(connector).safe_a = None;
    }
}

/// What became of clearing. A charger that has nothing to clear or cannot clear is done with too;
/// one that does not answer is asked again on its next link.
pub fn cleared(station: &mut Station, reply: &Reply<'_>) {
    if *reply == Reply::Timeout {
        return;
    }
    station.capability.cleared = true;
    for learned in station.capability.connectors.values_mut() {
        learned.safe_a = None;
    }
}

/// The next message to ask for; forgets those that have come by themselves.
pub fn next_trigger(station: &mut Station, now: Instant) -> Option<Task> {
    let Station { boot, connectors, identity, .. } = station;
    boot.triggers.retain(|trigger| match trigger.wanted {
        Wanted::Boot => identity.is_none(),
        Wanted::Status => connectors.iter().any(|connector| {
            !connector.heard && trigger.connector.is_none_or(|own| own == connector.setup.connector)
        }),
        Wanted::Meter | Wanted::Heartbeat => true,
    });
    let position = boot.triggers.iter().position(|trigger| trigger.not_before <= now)?;
    let trigger = boot.triggers.remove(position)?;
    if trigger.wanted == Wanted::Meter {
        boot.metered = Some(now);
    }
    Some(Task::Trigger { wanted: trigger.wanted, connector: trigger.connector })
}

/// A charger that refuses to tell the status of all connectors at once is asked for each.
pub fn triggered(
    station: &mut Station,
    now: Instant,
    wanted: Wanted,
    connector: Option<u32>,
    reply: &Reply<'_>,
) {
    let refused = matches!(reply, Reply::Result(_)) && !reply.is_one_of(&["Accepted"]);
    if wanted == Wanted::Status && connector.is_none() && refused {
        for own in station.connectors.iter().take(TRIGGERS_MAX) {
            let connector = Some(own.setup.connector);
            station.boot.triggers.push_back(Trigger { wanted, connector, not_before: now });
        }
    }
}

/// The next configuration call.
pub fn next_configuration(station: &mut Station) -> Option<Task> {
    if let Some(keys) = station.boot.reads.pop_front() {
        return Some(Task::Read { keys });
    }
    let (key, values) = station.boot.changes.front()?;
    Some(Task::Change { key, value: values.front()?.clone() })
}

/// Restarts the charger for what was changed, once, when no car is there.
pub fn next_restart(station: &mut Station) -> Option<Task> {
    let is_done = station.boot.reads.is_empty() && station.boot.changes.is_empty();
    let is_free = station.connectors.iter().all(|own| own.is_idle());
    if !station.boot.restart || !is_done || !is_free {
        return None;
    }
    station.boot.restart = false;
    Some(Task::Restart)
}

/// Clears the charger's own memory of accepted tokens when a token was taken away or it is old.
pub fn next_clear_cache(station: &mut Station, step: &Step<'_>) -> Option<Task> {
    let boot = &mut station.boot;
    let has_one = boot.known.get(CACHE).is_some_and(|value| value.trim() == "true");
    boot.configured.filter(|_| has_one)?;
    let age = step.settings.charging.authorisation.cache_max_age;
    let now = step.now.mono;
    let is_old = boot.cache_cleared.is_none_or(|at| age <= now.since(at));
    if !boot.clear_cache && (age == Duration::ZERO || !is_old) {
        return None;
    }
    boot.clear_cache = false;
    boot.cache_cleared = Some(now);
    Some(Task::ClearCache)
}

/// Configuration was read, or could not be.
pub fn was_read(station: &mut Station, step: &Step<'_>, keys: &[String], reply: &Reply<'_>) {
    let boot = &mut station.boot;
    let found = match reply {
        Reply::Result(payload) => configuration(payload),
        Reply::Error(_) | Reply::Timeout => Vec::new(),
    };
    let is_empty = found.is_empty();
    for (key, value) in found {
        if boot.known.len() < KEYS_MAX {
            boot.known.insert(key, value);
        }
    }
    let missing = || -> Vec<String> {
        let absent = NEEDED.iter().filter(|key| !boot.known.contains_key(**key));
        absent.map(|key| (*key).to_owned()).collect()
    };
    let is_whole = keys.is_empty();
    if is_whole
        && !boot.asked_by_name
        && [STACK, INTERVAL].iter().any(|key| !boot.known.contains_key(*key))
    {
        let missing = missing();
        boot.asked_by_name = true;
        boot.reads.push_back(missing);
    } else if is_empty && 1 < keys.len() && matches!(reply, Reply::Error(_)) {
        boot.reads.extend(keys.iter().map(|key| vec![key.clone()]));
    }
    if boot.reads.is_empty() {
        boot.configured = Some(step.now.mono);
        learn(station);
        plan_changes(station, step.settings);
    }
}

/// A key was set from outside: what is known of the configuration follows.
pub fn known(station: &mut Station, key: &str, value: &str) {
    if station.boot.known.len() < KEYS_MAX || station.boot.known.contains_key(key) {
        station.boot.known.insert(key.to_owned(), value.to_owned());
    }
}

/// What the keys say of smart charging (OCPP 1.6 §9.4); what they do not say stays as known.
fn learn(station: &mut Station) {
    let known = &station.boot.known;
    let number = |key: &str| known.get(key).and_then(|value| value.trim().parse::<u32>().ok());
    let words: Vec<String> = known.get(UNIT).map_or(Vec::new(), |value| {
        let parts = value.split(|letter: char| !letter.is_ascii_alphanumeric());
        parts.map(str::to_ascii_lowercase).collect()
    });
    let has = |spellings: &[&str]| words.iter().any(|word| spellings.contains(&word.as_str()));
    let current = has(&["current", "a", "amp", "amps", "ampere"]);
    let power = has(&["power", "w", "watt", "watts"]);
    let before = station.capability.ability;
    let says_unit = current || power;
    let ability = Ability {
        stack: number(STACK).or(before.stack),
        periods: number(PERIODS).or(before.periods),
        current: if says_unit { Some(current) } else { before.current },
        power: if says_unit { Some(power) } else { before.power },
    };
    if ability == before {
        return;
    }
    station.capability.ability = ability;
    station.boot.shared_rung = 0;
    for connector in &mut station.connectors {
        connector.safe_rung = 0;
        connector.safe_refused = false;
        connector.lease.rungs = [0; 2];
        connector.lease.refused_until = None;
    }
}

/// Which keys are to be set: only those that differ.
fn plan_changes(station: &mut Station, settings: &Settings) {
    let boot = &mut station.boot;
    let seconds =
        |key: &str| boot.known.get(key).and_then(|value| value.trim().parse::<i64>().ok());
    let mut changes = Vec::new();
    let interval = settings.charging.sample_interval.as_seconds();
    if seconds(INTERVAL) != Some(interval) {
        let slower = SLOWER.into_iter().filter(|slower| interval < *slower);
        // What is already there is good enough when only slower ones are left.
        let values = std::iter::once(interval).chain(slower);
        let current = seconds(INTERVAL).filter(|current| 0 < *current);
        let values =
            values.take_while(|value| *value == interval || current.is_none_or(|now| *value < now));
        changes.push((INTERVAL, values.map(|value| value.to_string()).collect()));
    }
    let samples = sample_lists(boot.known.get(SAMPLED), seconds(SAMPLED_LENGTH));
    if !samples.is_empty() {
        changes.push((SAMPLED, samples.into()));
    }
    let heartbeat = settings.charging.heartbeat_interval.as_seconds();
    if seconds(HEARTBEAT) != Some(heartbeat) {
        changes.push((HEARTBEAT, [heartbeat.to_string()].into()));
    }
    // Offline, a charger with this key falls from the TxProfile to its safe share at once.
    if boot.known.get(IGNORED_OFFLINE).is_some_and(|value| !value.contains("TxProfile")) {
        changes.push((IGNORED_OFFLINE, ["TxProfile".to_owned()].into()));
    }
    changes.extend(authorisation(boot, settings));
    boot.changes = changes.into();
}

/// What the charger does about tokens while nobody can be asked (OCPP 1.6 §3.4, §9.1); only keys
/// that it has.
fn authorisation(boot: &Boot, settings: &Settings) -> Vec<(&'static str, VecDeque<String>)> {
    let policy = &settings.charging.authorisation;
    let known = policy.offline != Offline::Nobody;
    let wanted = [
        ("LocalAuthorizeOffline", known),
        ("AllowOfflineTxForUnknownId", policy.offline == Offline::Anyone),
        ("LocalAuthListEnabled", policy.local_list),
        ("StopTransactionOnInvalidId", true),
    ];
    let change = |(key, value): (&'static str, bool)| {
        let has = boot.known.get(key)?.trim();
        let value = value.to_string();
        (!has.is_empty() && !has.eq_ignore_ascii_case(&value)).then(|| (key, [value].into()))
    };
    wanted.into_iter().filter_map(change).collect()
}

/// Lists of measurands to try until one is accepted, all better than what is there. A refused list
/// changes nothing, and trying ends with the first that is accepted, so the key is never left at a
/// probe value.
fn sample_lists(current: Option<&String>, length: Option<i64>) -> Vec<String> {
    let has: Vec<String> = current.map_or(Vec::new(), |value| {
        let parts = value.split([',', ';']);
        parts.map(|part| part.trim_matches([' ', '"', '\'']).to_owned()).collect()
    });
    let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
    let mut lists: Vec<String> = Vec::new();
    for wish in SAMPLES {
        let wish = &wish[..wish.len().min(length.max(1))];
        if wish.iter().all(|measurand| has.iter().any(|own| own == measurand)) {
            break;
        }
        let list = wish.join(",");
        if !lists.contains(&list) {
            lists.push(list);
        }
    }
    lists
}

/// What became of setting a key.
pub fn was_changed(station: &mut Station, reply: &Reply<'_>) {
    let Some((_, values)) = station.boot.changes.front_mut() else { return };
    values.pop_front();
    station.boot.restart |= reply.is_one_of(&["RebootRequired"]);
    let refused = reply.is_one_of(&["Rejected"]);
    if !refused || values.is_empty() {
        station.boot.changes.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_better_lists_of_measurands_are_tried() {
        let has = |text: &str| sample_lists(Some(&text.to_owned()), None).len();
        assert_eq!(has(""), 4);
        assert_eq!(has("Energy.Active.Import.Register, \"Power.Active.Import\""), 3);
        let all = SAMPLES[0].join(",");
        assert_eq!(has(&all), 0);
        assert_eq!(sample_lists(None, Some(1)), ["Energy.Active.Import.Register"]);
    }
}
