//! A charge point that exists in OCPI alone: what a partner tells of one of its EVSEs, in the OCPP
//! 1.6 text of a charger of ours, so that ledger, sessions and plan treat both alike.
//!
//! ```text
//! boot ─▶ available ─▶ StartTransaction ─▶ MeterValues … ─▶ StopTransaction ─▶ available
//!           SetChargingProfile of the site ─▶ a limit for the partner ─▶ its answer back
//! ```
//! A limit that the partner has already is answered at once: leases are renewed without a message.
//! It proves no fall to a safe share, because OCPI has no word for it: the site counts its limit
//! for ever. That a session begins at its safe share is the partner's promise (docs/ocpi.md). Where
//! there is none, or a session is seen to draw more before its first limit, the safe share is
//! refused, and the site counts the EVSE with its rating until a limit is confirmed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ground::ids::EvseId;
use crate::ground::time::Utc;

use super::engine::desk::{ForeignEvent, LimitAnswer};

/// Calls of ours that wait for the site's answer; it answers each at once.
const CALLS_MAX: usize = 64;

/// What has to be known of the EVSE.
#[derive(Clone, Debug, PartialEq)]
pub struct Wiring {
    /// Which.
    pub evse: EvseId,
    /// Its connector number.
    pub connector: u32,
    /// Phases it is wired to.
    pub phases: usize,
    /// Volts between a phase and neutral.
    pub voltage_v: f64,
    /// What a session begins with at most, in A of a phase; none where nobody promises it.
    pub begins_a: Option<f64>,
}

/// Meters of partners are not exact to more than this, in A.
const TOLERANCE_A: f64 = 1.0;

/// The charge point.
#[derive(Clone, Debug, PartialEq)]
pub struct Charger {
    wiring: Wiring,
    next: u64,
    calls: BTreeMap<String, &'static str>,
    booted: bool,
    /// The session at the partner; it may have begun before the site answered.
    session: Option<Running>,
    /// Limits on their way to the partner, by order: the call to answer, and the limit.
    limits: BTreeMap<u64, (String, f64)>,
    accepted_a: Option<f64>,
    /// It was seen to begin with more than was promised.
    broke_promise: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Running {
    token: String,
    at: Utc,
    transaction: Option<i64>,
    metered: (i64, Option<f64>),
    ended: Option<Utc>,
    /// A limit was sent for it.
    limited: bool,
}

/// What a frame of the site leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Follows {
    /// Frames to the site.
    pub frames: Vec<String>,
    /// A limit for the partner, with the call that waits for its answer.
    pub limit: Option<(String, f64)>,
    /// What people should know.
    pub odd: Option<String>,
}

impl Charger {
    /// Not connected yet.
    pub fn new(wiring: Wiring) -> Self {
        Self {
            wiring,
            next: 0,
            calls: BTreeMap::new(),
            booted: false,
            session: None,
            limits: BTreeMap::new(),
            accepted_a: None,
            broke_promise: false,
        }
    }

    /// The link is up: it boots.
    pub fn connect(&mut self) -> Vec<String> {
        (self.booted, self.accepted_a) = (false, None);
        self.calls.clear();
        self.limits.clear();
        let boot = json!({ "chargePointVendor": "OCPI partner", "chargePointModel": "SCSP" });
        vec![self.call("BootNotification", boot)]
    }

    /// A limit leaves for the partner under this order.
    pub fn ordered(&mut self, order: u64, call: String, limit_a: f64) {
        self.limits.insert(order, (call, limit_a));
        if let Some(session) = &mut self.session {
            session.limited = true;
        }
    }

    /// What became of a limit. Without an answer nothing is said: the site counts it as open.
    pub fn answered(&mut self, order: u64, answer: LimitAnswer) -> Vec<String> {
        let Some((call, limit)) = self.limits.remove(&order) else { return Vec::new() };
        match answer {
            LimitAnswer::Accepted => {
                self.accepted_a = Some(limit);
                vec![result(&call, &json!({ "status": "Accepted" }))]
            }
            LimitAnswer::Rejected => vec![result(&call, &json!({ "status": "Rejected" }))],
            LimitAnswer::NoAnswer | LimitAnswer::NotSent => {
                self.accepted_a = None;
                Vec::new()
            }
        }
    }

    /// The partner has told something.
    pub fn event(&mut self, event: &ForeignEvent, now: Utc) -> Follows {
        let odd = match event {
            ForeignEvent::Metered { power_w: Some(power_w), .. } => self.judge(*power_w),
            _ => None,
        };
        let mut frames = self.tell(event, now);
        if odd.is_some() {
            // The site asks for the safe share anew, and is refused.
            let boot = self.connect();
            frames.extend(boot);
        }
        Follows { frames, odd, limit: None }
    }

    /// Whether a session draws more than was promised before any limit was sent.
    fn judge(&mut self, power_w: f64) -> Option<String> {
        let begins = self.wiring.begins_a.filter(|_| !self.broke_promise)?;
        let session = self.session.as_ref().filter(|session| !session.limited)?;
        let volts = self.wiring.voltage_v.max(1.0) * self.wiring.phases.max(1) as f64;
        let drawn = power_w / volts;
        if session.transaction.is_none() || drawn <= begins + TOLERANCE_A {
            return None;
        }
        self.broke_promise = true;
        Some(format!(
            "{} drew {drawn:.1} A before its first limit, and {begins:.1} A are promised: it \
             counts with its rating until a limit is confirmed",
            self.wiring.evse
        ))
    }

    fn tell(&mut self, event: &ForeignEvent, now: Utc) -> Vec<String> {
        match event {
            ForeignEvent::Began { token, at } => {
                self.accepted_a = None;
                let (token, at) = (super::engine::alias(token), *at);
                let metered = (0, None);
                let (transaction, ended, limited) = (None, None, false);
                self.session = Some(Running { token, at, transaction, metered, ended, limited });
                if self.booted { self.start() } else { Vec::new() }
            }
            ForeignEvent::Metered { energy_wh, power_w } => {
                let Some(session) = &mut self.session else { return Vec::new() };
                session.metered = (*energy_wh, *power_w);
                self.meter(now)
            }
            ForeignEvent::Ended { energy_wh, at } => {
                let Some(session) = &mut self.session else { return Vec::new() };
                session.metered.0 = *energy_wh;
                session.ended = Some(*at);
                self.stop()
            }
            ForeignEvent::Active { limit_a } => {
                if self.accepted_a.is_some_and(|known| known + 0.5 < *limit_a) {
                    // The next renewal is no repetition any more: it goes to the partner.
                    self.accepted_a = None;
                }
                Vec::new()
            }
            ForeignEvent::Wants(_) => Vec::new(),
        }
    }

    /// A frame of the site.
    pub fn frame(&mut self, text: &str, now: Utc) -> Follows {
        let frame: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let id = frame.get(1).and_then(Value::as_str).unwrap_or_default().to_owned();
        match frame.get(0).and_then(Value::as_i64) {
            Some(2) => {
                let action = frame.get(2).and_then(Value::as_str).unwrap_or_default();
                self.asked(&id, action, frame.get(3).unwrap_or(&Value::Null), now)
            }
            Some(3) => {
                let frames = match self.calls.remove(&id) {
                    Some("BootNotification") => self.boots(),
                    Some("StartTransaction") => {
                        let answer = frame.get(2).and_then(|answer| answer.get("transactionId"));
                        self.started(answer.and_then(Value::as_i64), now)
                    }
                    _ => Vec::new(),
                };
                Follows { frames, ..Follows::default() }
            }
            _ => {
                self.calls.remove(&id);
                Follows::default()
            }
        }
    }

    fn boots(&mut self) -> Vec<String> {
        self.booted = true;
        let mut frames = vec![self.status(0, "Available")];
        if self.session.is_some() {
            frames.extend(self.start());
        } else {
            frames.push(self.status(self.wiring.connector, "Available"));
        }
        frames
    }

    fn start(&mut self) -> Vec<String> {
        let Some(session) = self.session.clone() else { return Vec::new() };
        let connector = self.wiring.connector;
        // After a reconnection the site knows the transaction; told again, it keeps its id.
        let begin = json!({
            "connectorId": connector, "idTag": session.token, "meterStart": 0,
            "timestamp": session.at.to_text(),
        });
        vec![self.status(connector, "Charging"), self.call("StartTransaction", begin)]
    }

    fn started(&mut self, transaction: Option<i64>, now: Utc) -> Vec<String> {
        let Some(session) = &mut self.session else { return Vec::new() };
        session.transaction = transaction;
        if session.ended.is_some() { self.stop() } else { self.meter(now) }
    }

    fn meter(&mut self, now: Utc) -> Vec<String> {
        let Some(Running { transaction: Some(id), metered, .. }) = self.session.clone() else {
            return Vec::new();
        };
        let (energy_wh, power_w) = metered;
        let mut values = vec![json!({
            "value": energy_wh.to_string(), "measurand": "Energy.Active.Import.Register",
            "unit": "Wh",
        })];
        if let Some(power) = power_w {
            values.push(json!({
                "value": format!("{power:.0}"), "measurand": "Power.Active.Import", "unit": "W",
            }));
            let phases = self.wiring.phases.max(1);
            let amps = power / self.wiring.voltage_v.max(1.0) / phases as f64;
            values.extend((1..=phases).map(|phase| {
                json!({
                    "value": format!("{amps:.2}"), "measurand": "Current.Import", "unit": "A",
                    "phase": format!("L{phase}"),
                })
            }));
        }
        let body = json!({
            "connectorId": self.wiring.connector, "transactionId": id,
            "meterValue": [{ "timestamp": now.to_text(), "sampledValue": values }],
        });
        vec![self.call("MeterValues", body)]
    }

    fn stop(&mut self) -> Vec<String> {
        let Some(Running { transaction: Some(id), metered, ended: Some(at), .. }) =
            self.session.clone()
        else {
            return Vec::new();
        };
        self.session = None;
        self.accepted_a = None;
        let body = json!({
            "transactionId": id, "meterStop": metered.0, "timestamp": at.to_text(),
            "reason": "Local",
        });
        vec![self.call("StopTransaction", body), self.status(self.wiring.connector, "Available")]
    }

    fn asked(&mut self, id: &str, action: &str, payload: &Value, now: Utc) -> Follows {
        let answer = match action {
            "SetChargingProfile" => return self.limited(id, payload),
            "ClearChargingProfile" => json!({ "status": "Accepted" }),
            "GetConfiguration" => json!({
                "configurationKey": [],
                "unknownKey": payload.get("key").cloned().unwrap_or(json!([])),
            }),
            "ChangeConfiguration" => json!({ "status": "NotSupported" }),
            "TriggerMessage" => {
                let mut frames = vec![result(id, &json!({ "status": "Accepted" }))];
                frames.extend(match payload.get("requestedMessage").and_then(Value::as_str) {
                    Some("MeterValues") => self.meter(now),
                    Some("StatusNotification") => {
                        let status = if self.session.is_some() { "Charging" } else { "Available" };
                        vec![self.status(self.wiring.connector, status)]
                    }
                    _ => Vec::new(),
                });
                return Follows { frames, ..Follows::default() };
            }
            _ => {
                let why = match action {
                    "GetCompositeSchedule" => "OCPI has no word for a fall to a safe share",
                    _ => "a partner's charger cannot",
                };
                let error = json!([4, id, "NotSupported", why, {}]);
                return Follows { frames: vec![error.to_string()], ..Follows::default() };
            }
        };
        Follows { frames: vec![result(id, &answer)], ..Follows::default() }
    }

    fn limited(&mut self, id: &str, payload: &Value) -> Follows {
        let profile = payload.get("csChargingProfiles").unwrap_or(&Value::Null);
        let text = |name: &str| profile.get(name).and_then(Value::as_str).unwrap_or_default();
        let say = |status: &str| Follows {
            frames: vec![result(id, &json!({ "status": status }))],
            ..Follows::default()
        };
        let accepted = || say("Accepted");
        if text("chargingProfilePurpose") != "TxProfile" {
            // The safe share cannot be sent over OCPI: there is the partner's promise, or nothing.
            let promised = self.wiring.begins_a.is_some() && !self.broke_promise;
            return say(if promised { "Accepted" } else { "Rejected" });
        }
        let schedule = profile.get("chargingSchedule").unwrap_or(&Value::Null);
        let first = schedule.pointer("/chargingSchedulePeriod/0/limit").and_then(Value::as_f64);
        let Some(limit) = first else { return accepted() };
        let in_watts = schedule.get("chargingRateUnit").and_then(Value::as_str) == Some("W");
        let volts = self.wiring.voltage_v.max(1.0) * self.wiring.phases.max(1) as f64;
        let limit = if in_watts { limit / volts } else { limit };
        if self.accepted_a.is_some_and(|known| (known - limit).abs() < 0.05) {
            return accepted();
        }
        Follows { limit: Some((id.to_owned(), limit)), ..Follows::default() }
    }

    fn status(&mut self, connector: u32, status: &str) -> String {
        let body = json!({ "connectorId": connector, "errorCode": "NoError", "status": status });
        self.call("StatusNotification", body)
    }

    fn call(&mut self, action: &'static str, body: Value) -> String {
        self.next += 1;
        let id = format!("p{}", self.next);
        if CALLS_MAX <= self.calls.len() {
            self.calls.pop_first();
        }
        self.calls.insert(id.clone(), action);
        json!([2, id, action, body]).to_string()
    }
}

fn result(id: &str, answer: &Value) -> String {
    json!([3, id, answer]).to_string()
}
