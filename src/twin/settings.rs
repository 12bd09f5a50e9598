//! The configuration keys of a simulated charger (OCPP 1.6 §9), as far as it honours them.
//!
//! A key that it does not honour it does not have, so that a wrong assumption shows.

use crate::ground::time::Duration;

use super::profile::{PERIODS_MAX, PROFILES_MAX, STACK_MAX};
use super::wire::Measurand;

/// What can be changed from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Between periodic values of a transaction; zero = none.
    pub sample_interval: Duration,
    /// Between heartbeats.
    pub heartbeat_interval: Duration,
    /// What periodic values hold.
    pub measurands: Vec<Measurand>,
    connectors: usize,
}

/// Every key, in the order in which GetConfiguration lists them.
const KEYS: [&str; 12] = [
    "HeartbeatInterval",
    "MeterValueSampleInterval",
    "MeterValuesSampledData",
    "ClockAlignedDataInterval",
    "StopTxnSampledData",
    "NumberOfConnectors",
    "SupportedFeatureProfiles",
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargingScheduleMaxPeriods",
    "MaxChargingProfilesInstalled",
    "ConnectorPhaseRotation",
];

const NAMES: [(Measurand, &str); 5] = [
    (Measurand::Energy, "Energy.Active.Import.Register"),
    (Measurand::Power, "Power.Active.Import"),
    (Measurand::Current, "Current.Import"),
    (Measurand::Voltage, "Voltage"),
    (Measurand::Offered, "Current.Offered"),
];

impl Settings {
    /// As delivered.
    pub fn new(connectors: usize) -> Self {
        Self {
            sample_interval: Duration::seconds(60),
            heartbeat_interval: Duration::seconds(300),
            measurands: vec![Measurand::Energy],
            connectors,
        }
    }

    /// Every key it has.
    pub const fn keys() -> &'static [&'static str] {
        &KEYS
    }

    /// The value of a key and whether it can only be read.
    pub fn get(&self, key: &str) -> Option<(String, bool)> {
        let measurands = || {
            let name = |wanted: &Measurand| {
                NAMES.iter().find(|(one, _)| one == wanted).map(|(_, name)| *name)
            };
            self.measurands.iter().filter_map(name).collect::<Vec<_>>().join(",")
        };
        Some(match key {
            "HeartbeatInterval" => (self.heartbeat_interval.as_seconds().to_string(), false),
            "MeterValueSampleInterval" => (self.sample_interval.as_seconds().to_string(), false),
            "MeterValuesSampledData" => (measurands(), false),
            "ClockAlignedDataInterval" => ("0".to_owned(), false),
            "StopTxnSampledData" => (String::new(), false),
            "NumberOfConnectors" => (self.connectors.to_string(), true),
            "SupportedFeatureProfiles" => ("Core,SmartCharging,RemoteTrigger".to_owned(), true),
            "ChargeProfileMaxStackLevel" => (STACK_MAX.to_string(), true),
            "ChargingScheduleAllowedChargingRateUnit" => ("Current,Power".to_owned(), true),
            "ChargingScheduleMaxPeriods" => (PERIODS_MAX.to_string(), true),
            "MaxChargingProfilesInstalled" => (PROFILES_MAX.to_string(), true),
            "ConnectorPhaseRotation" => ("Unknown".to_owned(), true),
            _ => return None,
        })
    }

    /// Changes a key; the status of ChangeConfiguration.conf.
    pub fn set(&mut self, key: &str, value: &str) -> &'static str {
        let span = || value.trim().parse().ok().filter(|span| 0 <= *span).map(Duration::seconds);
        match (key, span()) {
            ("HeartbeatInterval", Some(span)) if Duration::ZERO < span => {
                self.heartbeat_interval = span;
            }
            ("MeterValueSampleInterval", Some(span)) => self.sample_interval = span,
            ("ClockAlignedDataInterval", Some(Duration::ZERO)) => {}
            ("StopTxnSampledData", _) if value.trim().is_empty() => {}
            ("MeterValuesSampledData", _) => {
                let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
                match names.map(Measurand::read).collect::<Option<Vec<_>>>() {
                    Some(measurands) => self.measurands = measurands,
                    None => return "Rejected",
                }
            }
            _ if self.get(key).is_some() => return "Rejected",
            _ => return "NotSupported",
        }
        "Accepted"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_back() {
        let mut settings = Settings::new(1);
        assert_eq!(settings.set("MeterValueSampleInterval", "10"), "Accepted");
        assert_eq!(settings.sample_interval, Duration::seconds(10));
        let wanted = "Energy.Active.Import.Register,Current.Import";
        assert_eq!(settings.set("MeterValuesSampledData", wanted), "Accepted");
        assert_eq!(settings.get("MeterValuesSampledData"), Some((wanted.to_owned(), false)));
        for key in Settings::keys() {
            assert!(settings.get(key).is_some(), "{key}");
        }
    }

    #[test]
    fn one_unknown_measurand_changes_nothing() {
        let mut settings = Settings::new(1);
        assert_eq!(settings.set("MeterValuesSampledData", "Voltage,Nonsense"), "Rejected");
        assert_eq!(settings.measurands, [Measurand::Energy]);
        assert_eq!(settings.set("NumberOfConnectors", "3"), "Rejected");
        assert_eq!(settings.set("VendorMagic", "3"), "NotSupported");
    }
}
