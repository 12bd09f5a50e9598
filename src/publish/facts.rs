//! What is told of the site and of each EVSE, as JSON. Figures that are not known are `null`.

use serde_json::{Value, json};

use crate::controller::view::{EvseView, LimitView, View};
use crate::ground::units::{Amps, Watts};

/// Longer sentences are cut: Home Assistant takes no state of more than 255 letters.
const WORDS_MAX: usize = 250;

/// What is told under one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The JSON.
    pub payload: Value,
    /// The part whose change is told at once; the rest waits its time.
    pub status: Value,
}

/// What is told of the site.
pub fn site(view: &View) -> Fact {
    let limit = view.limits.iter().filter(|one| one.evse.is_none()).min_by_key(|one| one.limit_w);
    let limit_kw = limit.and_then(|one| one.limit_w).map(|watts| watts.as_f64() / 1000.0);
    let pv: Vec<Watts> = powers(view, "pv");
    let sessions = view.sessions.iter().filter(|session| session.ended.is_none()).count();
    let online = view.evses.iter().filter(|evse| evse.online).count();
    let failsafe = !view.degraded.is_empty();
    let payload = json!({
        "site": view.site,
        "import_w": import(view).map(whole),
        "pv_w": (!pv.is_empty()).then(|| whole(-sum(&pv))),
        "charging_w": whole(charging(view)),
        "headroom_a": headroom(view).map(Amps::as_f64),
        "failsafe": failsafe,
        "failsafe_reason": cut(&view.degraded.join("; ")),
        "sessions_open": sessions,
        "evses_online": online,
        "evses": view.evses.len(),
        "clock_trusted": view.at.is_some(),
        "limit_kw": limit_kw,
        "limit_reason": limit.map(|one| cut(&one.words)),
    });
    let kinds: Vec<&str> = view.degraded.iter().map(|words| kind(words)).collect();
    Fact { status: json!([kinds, sessions, online, limit_kw]), payload }
}

/// What is told of an EVSE.
pub fn evse(view: &View, evse: &EvseView) -> Fact {
    let of_evse = |one: &&LimitView| one.evse.as_deref() == Some(evse.id.as_str());
    let limit = view.limits.iter().filter(of_evse).min_by_key(|one| one.limit_a);
    let session = view.sessions.iter().find(|session| Some(session.id) == evse.session);
    let wanted = evse.preference.as_ref().map(|preference| cut(&preference.words));
    let limit_a = limit.and_then(|one| one.limit_a).map(Amps::as_f64);
    let payload = json!({
        "evse": evse.id,
        "status": evse.status,
        "online": evse.online,
        "power_w": evse.power_w.map(whole),
        "current_a": evse.measured_a.map(|measured| measured.largest().as_f64()),
        "allowed_a": evse.limit_a.map(Amps::as_f64),
        "reason": cut(&evse.reason),
        "session": evse.session,
        "session_started": session.map(|session| session.started.to_text()),
        "session_energy_kwh": session.map(|session| session.energy_wh.as_f64() / 1000.0),
        "soc_percent": evse.soc_percent,
        "wanted": wanted,
        "limit_a": limit_a,
        "limit_reason": limit.map(|one| cut(&one.words)),
    });
    Fact { status: json!([evse.status, evse.online, evse.session, limit_a]), payload }
}

/// Import over all connections; none while one of their meters is silent.
fn import(view: &View) -> Option<Watts> {
    let roots = view.nodes.iter().filter(|node| node.parent.is_none());
    let power =
        |node: &crate::controller::view::NodeView| match (node.metered_a, &node.silent_meter) {
            (Some(metered), _) => Some(metered.power(view.voltage_v)),
            (None, Some(_)) => None,
            (None, None) => Some((node.other_load_a + node.charging_a).power(view.voltage_v)),
        };
    let powers: Option<Vec<Watts>> = roots.map(power).collect();
    powers.map(|powers| sum(&powers))
}

/// What all cars draw.
fn charging(view: &View) -> Watts {
    let power = |evse: &EvseView| {
        let measured = evse.measured_a.map(|measured| measured.power(view.voltage_v));
        evse.power_w.or(measured).unwrap_or(Watts::ZERO)
    };
    let powers: Vec<Watts> = view.evses.iter().map(power).collect();
    sum(&powers)
}

/// The room that is left on the fullest phase of all breakers.
fn headroom(view: &View) -> Option<Amps> {
    let phases = view.nodes.iter().filter_map(|node| node.headroom_a);
    phases.flat_map(|room| room.0).min()
}

fn powers(view: &View, kind: &str) -> Vec<Watts> {
    let of_kind = view.equipment.iter().filter(|item| item.kind == kind);
    of_kind.filter_map(|item| item.power_w).collect()
}

fn sum(powers: &[Watts]) -> Watts {
    powers.iter().fold(Watts::ZERO, |sum, power| sum + *power)
}

fn whole(power: Watts) -> i64 {
    power.as_f64().round() as i64
}

/// What a sentence is about, without the figures that change all the time.
fn kind(words: &str) -> &str {
    words.split(|letter: char| letter.is_ascii_digit()).next().unwrap_or(words)
}

fn cut(words: &str) -> String {
    match words.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}
