//! What a simulated charger answers to the calls of the central system.

use serde_json::{Value, json};

use crate::ground::time::{Duration, Instant, Utc};
use crate::model::message::EvseStatus;

use super::charge_point::ChargePoint;
use super::connector::Stage;
use super::output::PlantOutput;
use super::profile::{Profile, Purpose};
use super::scenario::SmartCharging;
use super::settings::Settings;
use super::wire::{Message, answer, refusal};

/// How long it is away for a Reset.
const RESET_TAKES: Duration = Duration::seconds(20);

impl ChargePoint {
    /// Does what a call asks for; the frame to answer with.
    pub(super) fn answer(
        &mut self,
        id: &str,
        action: &str,
        payload: &Value,
        now: Instant,
        out: &mut Vec<PlantOutput>,
    ) -> String {
        let status = |status: &str| json!({ "status": status });
        let smart = self.behaviour.smart_charging != SmartCharging::None;
        let reply = match action {
            "SetChargingProfile" if smart => status(self.set_profile(payload)),
            "ClearChargingProfile" if smart => status(self.clear_profile(payload)),
            "GetCompositeSchedule" if smart => self.composite(payload, now),
            "SetChargingProfile" => status("NotSupported"),
            "GetConfiguration" => self.configuration(payload),
            "ChangeConfiguration" => {
                let text = |key: &str| payload.get(key).and_then(Value::as_str).unwrap_or_default();
                let reply = self.settings.set(text("key"), text("value"));
                self.resample(now);
                status(reply)
            }
            "TriggerMessage" => status(self.trigger(payload, now)),
            "RemoteStartTransaction" => status(self.remote_start(payload, now)),
            "RemoteStopTransaction" => {
                let wanted = payload.get("transactionId").and_then(Value::as_i64);
                let mine = |one: &_| wanted.is_some() && self.transaction(one) == wanted;
                let here = self.connectors.iter().position(mine);
                if let Some(index) = here {
                    self.end(index, "Remote", Stage::Over(EvseStatus::Finishing), now);
                }
                status(if here.is_some() { "Accepted" } else { "Rejected" })
            }
            "Reset" => {
                let reply = answer(id, &status("Accepted"));
                self.reboot(RESET_TAKES, now, out);
                return reply;
            }
            "ChangeAvailability" | "ClearCache" => status("Accepted"),
            "GetLocalListVersion" => json!({ "listVersion": -1 }),
            "SendLocalList" | "UnlockConnector" => status("NotSupported"),
            "ReserveNow" => status("Rejected"),
            "DataTransfer" => status("UnknownVendorId"),
            _ => return refusal(id, "NotImplemented"),
        };
        answer(id, &reply)
    }

    fn set_profile(&mut self, payload: &Value) -> &'static str {
        let connector = payload.get("connectorId").and_then(Value::as_u64);
        let json = payload.get("csChargingProfiles");
        let (Some(number), Some(json)) = (connector.and_then(|it| u32::try_from(it).ok()), json)
        else {
            return "Rejected";
        };
        let Some(profile) = Profile::read(number, json) else { return "Rejected" };
        let refuses = self.behaviour.smart_charging == SmartCharging::NoTxProfile;
        if refuses && profile.purpose == Purpose::Tx {
            return "Rejected";
        }
        let here = self.connectors.iter().find(|one| one.number == number);
        if here.is_none() && number != 0 {
            return "Rejected";
        }
        let run = here.and_then(|one| one.running(|run| self.ids.get(&run).copied()));
        if self.store.install(profile, run) { "Accepted" } else { "Rejected" }
    }

    fn clear_profile(&mut self, payload: &Value) -> &'static str {
        let number = |key: &str| payload.get(key).and_then(Value::as_i64);
        let purpose = payload.get("chargingProfilePurpose").and_then(Value::as_str);
        let purpose = match purpose {
            Some("ChargePointMaxProfile") => Some(Purpose::ChargePointMax),
            Some("TxDefaultProfile") => Some(Purpose::TxDefault),
            Some("TxProfile") => Some(Purpose::Tx),
            _ => None,
        };
        let connector = number("connectorId").and_then(|it| u32::try_from(it).ok());
        let cleared = self.store.clear(number("id"), connector, purpose, number("stackLevel"));
        if cleared { "Accepted" } else { "Unknown" }
    }

    /// In A always, whatever unit was asked for; gaps show as the connector's rating.
    fn composite(&self, payload: &Value, now: Instant) -> Value {
        let number = payload.get("connectorId").and_then(Value::as_i64);
        let seconds = payload.get("duration").and_then(Value::as_i64).unwrap_or(0).max(0);
        let here = self.connectors.iter().find(|one| number == Some(i64::from(one.number)));
        let Some(connector) = here else { return json!({ "status": "Rejected" }) };
        let time = self.time(now);
        let course = self.store.composite(self.place(connector), time, seconds);
        let periods: Vec<Value> = course
            .into_iter()
            .map(|(start, limit)| {
                let limit = limit.map_or(connector.rated, |limit| limit.min(connector.rated));
                json!({ "startPeriod": start, "limit": (limit * 10.0).round() / 10.0 })
            })
            .collect();
        let start = Utc::from_millis(time).to_text();
        json!({
            "status": "Accepted",
            "connectorId": number,
            "scheduleStart": start,
            "chargingSchedule": {
                "duration": seconds,
                "startSchedule": start,
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": periods,
            },
        })
    }

    fn configuration(&self, payload: &Value) -> Value {
        let asked: Vec<&str> = match payload.get("key").and_then(Value::as_array) {
            Some(keys) if !keys.is_empty() => keys.iter().filter_map(Value::as_str).collect(),
            _ => Settings::keys().to_vec(),
        };
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for key in asked {
            match self.settings.get(key) {
                Some((value, readonly)) => {
                    known.push(json!({ "key": key, "readonly": readonly, "value": value }));
                }
                None => unknown.push(key),
            }
        }
        json!({ "configurationKey": known, "unknownKey": unknown })
    }

    /// A changed sample interval counts from here on, also for transactions that run.
    fn resample(&mut self, now: Instant) {
        let interval = self.settings.sample_interval;
        for connector in &mut self.connectors {
            if let Stage::Running(run) = &mut connector.stage {
                let due = now + interval;
                run.sample_at = match run.sample_at {
                    _ if interval == Duration::ZERO => None,
                    Some(earlier) => Some(earlier.min(due)),
                    None => Some(due),
                };
            }
        }
    }

    fn trigger(&mut self, payload: &Value, now: Instant) -> &'static str {
        let wanted = payload.get("connectorId").and_then(Value::as_i64);
        let here = |number: u32| wanted.is_none_or(|wanted| wanted == i64::from(number));
        let at = self.time(now);
        match payload.get("requestedMessage").and_then(Value::as_str) {
            Some("BootNotification") => self.news.push_back(Message::Boot),
            Some("Heartbeat") => self.news.push_back(Message::Heartbeat),
            Some("StatusNotification") => {
                for connector in self.connectors.iter_mut().filter(|one| here(one.number)) {
                    let (number, status) = (connector.number, connector.status());
                    connector.told = Some(status);
                    self.news.push_back(Message::Status { connector: number, status, at });
                }
            }
            Some("MeterValues") => {
                for index in 0..self.connectors.len() {
                    if here(self.connectors[index].number) {
                        let values = self.values(index, true, now);
                        self.news.push_back(values);
                    }
                }
            }
            _ => return "NotImplemented",
        }
        "Accepted"
    }

    fn remote_start(&mut self, payload: &Value, now: Instant) -> &'static str {
        let wanted = payload.get("connectorId").and_then(Value::as_i64);
        let token = payload.get("idTag").and_then(Value::as_str).unwrap_or_default().to_owned();
        let fits = |one: &super::connector::Connector| {
            let free = !matches!(one.stage, Stage::Free | Stage::Running(_));
            free && wanted.is_none_or(|wanted| wanted == i64::from(one.number))
        };
        let Some(index) = self.connectors.iter().position(fits) else { return "Rejected" };
        if let Some((_, presented)) = &mut self.connectors[index].car {
            *presented = token;
        }
        self.begin(index, now);
        "Accepted"
    }
}
