//! Charging profiles as they are written (OCPP 1.6 §3.13, §5.16).
//!
//! The live limit is a *two-step profile*: the limit for the time of its lease, the safe share
//! after it, inside one schedule that starts in the past. So the fall depends neither on `duration`
//! nor on stack levels, which field software gets wrong. It stands above a permanent
//! TxDefaultProfile on stack level 0 with the safe share.

use rust_ocpp::v1_6::messages::get_composite_schedule::GetCompositeScheduleRequest;
use rust_ocpp::v1_6::messages::set_charging_profile::SetChargingProfileRequest;
use rust_ocpp::v1_6::types::{
    ChargingProfile, ChargingProfileKindType, ChargingProfilePurposeType, ChargingRateUnitType,
    ChargingSchedule, ChargingSchedulePeriod,
};

use crate::ground::time::{Duration, Utc};
use crate::ground::units::{Amps, Volts, Watts};
use crate::model::message::LimitOrder;

use super::message::wire_time;
use super::mode::{Kind, Mode, Purpose, SafeForm, Unit};

/// Schedules start so long before the order: a start in the future leaves a hole, and a charger's
/// clock may be slow by this much before the profile comes into force late.
pub const LEAD: Duration = Duration::seconds(60);

/// The permanent safe share starts here: a charger that wakes up without network counts from 1970,
/// and a later start would leave it without any limit just when all cars resume at once.
const ALWAYS: Utc = Utc::from_millis(0);

/// The electrical side of a connector, to turn amperes into what is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Supply {
    /// OCPP connector number.
    pub connector: u32,
    /// How many phases it charges on.
    pub phases: usize,
    /// Nominal voltage between a phase and neutral.
    pub voltage: Volts,
}

impl Supply {
    /// The number to write for a limit: rounded down, to 0.1 A or to whole watts.
    fn limit(&self, limit: Amps, unit: Unit) -> f32 {
        let limit = limit.at_least_zero();
        match unit {
            Unit::A => (limit.floor_deci().as_milli() / 100) as f32 / 10.0,
            Unit::W => {
                let power = limit * self.voltage * self.phases.max(1) as i64;
                (power.as_milli() / 1000) as f32
            }
        }
    }

    fn period(&self, start: i32, limit: Amps, unit: Unit) -> ChargingSchedulePeriod {
        // In watts the charger divides by the phases, three where nothing is said (§7.14).
        let number_phases = match unit {
            Unit::W if self.phases != 3 => i32::try_from(self.phases).ok(),
            Unit::A | Unit::W => None,
        };
        ChargingSchedulePeriod {
            start_period: start,
            limit: self.limit(limit, unit),
            number_phases,
        }
    }
}

fn wire_unit(unit: Unit) -> ChargingRateUnitType {
    match unit {
        Unit::A => ChargingRateUnitType::A,
        Unit::W => ChargingRateUnitType::W,
    }
}

fn wire_kind(kind: Kind) -> ChargingProfileKindType {
    match kind {
        Kind::Absolute => ChargingProfileKindType::Absolute,
        Kind::Relative => ChargingProfileKindType::Relative,
    }
}

fn seconds(span: Duration) -> i32 {
    i32::try_from(span.as_seconds()).unwrap_or(i32::MAX)
}

/// The profile of an order. `ordered` is when it was given by the clock the charger was told: the
/// lease runs from there, so waiting in a queue never stretches it. `running` is how long the
/// transaction runs already.
pub fn limit_profile(
    mode: &Mode,
    order: &LimitOrder,
    supply: &Supply,
    ordered: Utc,
    running: Duration,
) -> SetChargingProfileRequest {
    let connector = if mode.whole { 0 } else { supply.connector };
    let (base, purpose) = match mode.purpose {
        Purpose::Tx => (3000, ChargingProfilePurposeType::TxProfile),
        Purpose::TxDefault => (4000, ChargingProfilePurposeType::TxDefaultProfile),
        Purpose::ChargePointMax => (1000, ChargingProfilePurposeType::ChargePointMaxProfile),
    };
    let transaction = order.transaction.filter(|_| mode.purpose == Purpose::Tx);
    let (start, lead) = match mode.kind {
        Kind::Absolute => (Some(ordered - LEAD), LEAD),
        Kind::Relative => (None, running),
    };
    let end = seconds(lead + order.ttl);
    let mut periods = vec![supply.period(0, order.live, mode.unit)];
    if mode.two_steps {
        periods.push(supply.period(end, order.safe, mode.unit));
    }
    SetChargingProfileRequest {
        connector_id: i32::try_from(connector).unwrap_or(0),
        cs_charging_profiles: ChargingProfile {
            charging_profile_id: profile_id(base, connector),
            transaction_id: transaction.and_then(|id| i32::try_from(id.0).ok()),
            stack_level: mode.stack,
            charging_profile_purpose: purpose,
            charging_profile_kind: wire_kind(mode.kind),
            recurrency_kind: None,
            valid_from: None,
            valid_to: None,
            charging_schedule: ChargingSchedule {
                duration: (!mode.two_steps).then_some(end),
                start_schedule: start.map(wire_time),
                charging_rate_unit: wire_unit(mode.unit),
                charging_schedule_period: periods,
                min_charging_rate: None,
            },
        },
    }
}

/// Fixed ids, so that a profile replaces its own predecessor and no other.
fn profile_id(base: i32, connector: u32) -> i32 {
    base.saturating_add(i32::try_from(connector).unwrap_or(0))
}

/// The permanent safe share: TxDefaultProfile on stack level 0 without an end. For the whole charge
/// point (connector 0) it is the share of each of its connectors.
pub fn safe_profile(
    form: &SafeForm,
    connector: u32,
    supply: &Supply,
    safe: Amps,
) -> SetChargingProfileRequest {
    let start = match form.kind {
        Kind::Absolute => Some(wire_time(ALWAYS)),
        Kind::Relative => None,
    };
    SetChargingProfileRequest {
        connector_id: i32::try_from(connector).unwrap_or(0),
        cs_charging_profiles: ChargingProfile {
            charging_profile_id: profile_id(2000, connector),
            transaction_id: None,
            stack_level: 0,
            charging_profile_purpose: ChargingProfilePurposeType::TxDefaultProfile,
            charging_profile_kind: wire_kind(form.kind),
            recurrency_kind: None,
            valid_from: None,
            valid_to: None,
            charging_schedule: ChargingSchedule {
                duration: None,
                start_schedule: start,
                charging_rate_unit: wire_unit(form.unit),
                charging_schedule_period: vec![supply.period(0, safe, form.unit)],
                min_charging_rate: None,
            },
        },
    }
}

/// Asks what the charger will allow in the time to come (OCPP 1.6 §5.7).
pub fn composite_request(
    connector: u32,
    span: Duration,
    unit: Unit,
) -> GetCompositeScheduleRequest {
    GetCompositeScheduleRequest {
        connector_id: i32::try_from(connector).unwrap_or(0),
        duration: seconds(span),
        charging_rate_unit: Some(wire_unit(unit)),
    }
}

/// A power in watts as the current of one phase.
pub fn amps_of(power: f64, supply: &Supply, phases: usize) -> Amps {
    Watts::from_f64(power) / (supply.voltage * phases.max(1) as i64)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::ground::ids::{Ticket, TransactionId};
    use crate::ocpp::mode::{Ability, Quirk, ladder};

    fn order() -> LimitOrder {
        LimitOrder {
            evse: 0,
            ticket: Ticket(1),
            transaction: Some(TransactionId(77)),
            live: Amps::milli(10_190),
            safe: Amps::new(6),
            ttl: Duration::seconds(180),
            urgent: false,
        }
    }

    fn supply(phases: usize) -> Supply {
        Supply { connector: 1, phases, voltage: Volts::new(230) }
    }

    #[test]
    fn a_limit_is_two_steps_that_begin_in_the_past() {
        let ability = Ability { stack: Some(8), current: Some(true), ..Ability::default() };
        let rungs = ladder(&ability, &Quirk::default(), 1);
        let ordered = Utc::parse("2024-05-17T18:10:52.7Z").expect("a time");
        let request = limit_profile(&rungs[0], &order(), &supply(3), ordered, Duration::ZERO);
        let text = serde_json::to_string_pretty(&request).expect("a plain struct");
        expect![[r#"
            {
              "connectorId": 1,
              "csChargingProfiles": {
                "chargingProfileId": 3001,
                "transactionId": 77,
                "stackLevel": 8,
                "chargingProfilePurpose": "TxProfile",
                "chargingProfileKind": "Absolute",
                "chargingSchedule": {
                  "startSchedule": "2024-05-17T18:09:52Z",
                  "chargingRateUnit": "A",
                  "chargingSchedulePeriod": [
                    {
                      "startPeriod": 0,
                      "limit": 10.1
                    },
                    {
                      "startPeriod": 240,
                      "limit": 6.0
                    }
                  ]
                }
              }
            }"#]]
        .assert_eq(&text);
    }

    #[test]
    fn watts_are_the_power_of_all_phases_rounded_down() {
        let mode = Mode {
            unit: Unit::W,
            two_steps: false,
            ..ladder(&Ability::default(), &Quirk::default(), 2)[0]
        };
        let ordered = Utc::from_millis(0);
        let request = limit_profile(&mode, &order(), &supply(1), ordered, Duration::ZERO);
        let schedule = request.cs_charging_profiles.charging_schedule;
        assert_eq!(schedule.duration, Some(240));
        assert_eq!(schedule.charging_schedule_period[0].limit, 2343.0);
        assert_eq!(schedule.charging_schedule_period[0].number_phases, Some(1));
    }
}
