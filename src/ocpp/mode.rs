//! The forms in which a limit can be told, from best to worst (OCPP 1.6 §3.13).
//!
//! Chargers differ in what they take; the ladder is tried rung by rung until one is accepted, and
//! what worked is remembered. Nothing here writes a payload.

use serde::{Deserialize, Serialize};

use crate::model::message::LimitScope;

/// No charger has more stack levels than this that are worth using.
const STACK_MAX: u32 = 99;

/// Absolute, or counted from the start of the transaction (OCPP 1.6 §7.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// By the calendar.
    Absolute,
    /// From the start of the transaction, or from receipt: chargers differ.
    Relative,
}

/// The unit of a limit (OCPP 1.6 §7.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Amperes per phase.
    A,
    /// Watts over all phases.
    W,
}

/// What is done differently for a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirk {
    /// The only stack level that it accepts, whatever it reports.
    pub stack: Option<u32>,
    /// The only kind of profile that it obeys.
    pub kind: Option<Kind>,
    /// The only unit that it obeys, whatever it reports.
    pub unit: Option<Unit>,
    /// It never comes back after a Close frame: drop the connection instead.
    pub hard_drop: bool,
}

/// Which profile carries a limit (OCPP 1.6 §3.13.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Dies with its transaction.
    Tx,
    /// Stays for whoever charges next.
    TxDefault,
    /// Caps the whole charge point.
    ChargePointMax,
}

/// One way of telling a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mode {
    /// The profile.
    pub purpose: Purpose,
    /// Its stack level.
    pub stack: u32,
    /// Its kind.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
    /// The step down is inside the profile; else it ends by `duration`.
    pub two_steps: bool,
    /// Written to connector 0 instead of the connector itself.
    pub whole: bool,
}

/// What a charger said of its smart charging (OCPP 1.6 §9.4); none where it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ability {
    /// ChargeProfileMaxStackLevel.
    pub stack: Option<u32>,
    /// ChargingScheduleMaxPeriods.
    pub periods: Option<u32>,
    /// Current is allowed by ChargingScheduleAllowedChargingRateUnit.
    pub current: Option<bool>,
    /// Power is allowed by it.
    pub power: Option<bool>,
}

impl Ability {
    /// The units worth trying, the best first. Amperes are exact for AC and are preferred.
    pub fn units(&self, quirk: &Quirk) -> Vec<Unit> {
        match (quirk.unit, self.current, self.power) {
            (Some(unit), _, _) => vec![unit],
            (None, Some(false), Some(true)) => vec![Unit::W],
            (None, Some(true), _) => vec![Unit::A],
            _ => vec![Unit::A, Unit::W],
        }
    }
}

impl Mode {
    /// How long a limit told in this way outlives its transaction.
    pub fn scope(&self) -> LimitScope {
        match self.purpose {
            Purpose::Tx => LimitScope::Transaction,
            Purpose::TxDefault | Purpose::ChargePointMax => LimitScope::Connector,
        }
    }

    /// Whether the composite schedule can prove its fall: a relative start means one moment to
    /// some chargers and another to others.
    pub fn is_provable(&self) -> bool {
        self.kind == Kind::Absolute
    }

    /// In words for people.
    pub fn words(&self) -> String {
        let profile = match self.purpose {
            Purpose::Tx => "TxProfile",
            Purpose::TxDefault => "TxDefaultProfile",
            Purpose::ChargePointMax => "ChargePointMaxProfile",
        };
        let steps = if self.two_steps { "two-step" } else { "timed" };
        let kind = if self.kind == Kind::Relative { ", relative" } else { "" };
        format!("{steps} {profile} in {:?} at stack level {}{kind}", self.unit, self.stack)
    }
}

/// The ways of telling a limit, best first. `connectors` is how many the charge point has: what is
/// written for the whole charge point is the limit of one EVSE only where it has one.
pub fn ladder(ability: &Ability, quirk: &Quirk, connectors: usize) -> Vec<Mode> {
    let top = ability.stack.unwrap_or(1).min(STACK_MAX);
    let mut levels = match quirk.stack {
        Some(stack) => vec![stack],
        None => vec![top, 1, 0],
    };
    levels.dedup();
    let units = ability.units(quirk);
    let best = Mode {
        purpose: Purpose::Tx,
        stack: levels[0],
        kind: quirk.kind.unwrap_or(Kind::Absolute),
        unit: units[0],
        two_steps: true,
        whole: false,
    };
    let mut rungs: Vec<Mode> = Vec::new();
    rungs.extend(levels.iter().map(|stack| Mode { stack: *stack, ..best }));
    rungs.extend(units.iter().skip(1).map(|unit| Mode { unit: *unit, ..best }));
    rungs.push(Mode { two_steps: false, ..best });
    rungs.push(Mode { kind: Kind::Relative, ..best });
    let stack = quirk.stack.unwrap_or(top.max(1));
    if 0 < stack && ability.stack != Some(0) {
        let default = Mode { purpose: Purpose::TxDefault, stack, ..best };
        rungs.push(default);
        if connectors == 1 {
            rungs.push(Mode { whole: true, ..default });
        }
    }
    if connectors == 1 {
        rungs.push(Mode { purpose: Purpose::ChargePointMax, stack: 0, whole: true, ..best });
    }
    if ability.periods == Some(1) {
        for rung in &mut rungs {
            rung.two_steps = false;
        }
    }
    let mut once: Vec<Mode> = Vec::new();
    for rung in rungs {
        if !once.contains(&rung) {
            once.push(rung);
        }
    }
    once
}

/// How the permanent safe share is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafeForm {
    /// Its kind.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
}

/// The ways of telling the safe share, best first.
pub fn safe_forms(ability: &Ability, quirk: &Quirk) -> Vec<SafeForm> {
    let kinds = match quirk.kind {
        Some(kind) => vec![kind],
        None => vec![Kind::Absolute, Kind::Relative],
    };
    let units = ability.units(quirk);
    let form = |unit: Unit| kinds.iter().map(move |kind| SafeForm { kind: *kind, unit });
    units.into_iter().flat_map(form).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_ladder_goes_from_best_to_worst() {
        let words = |ability: &Ability, quirk: &Quirk, connectors| {
            let rungs = ladder(ability, quirk, connectors);
            rungs.iter().map(Mode::words).collect::<Vec<_>>().join("\n")
        };
        expect![[r#"
            two-step TxProfile in A at stack level 1
            two-step TxProfile in A at stack level 0
            two-step TxProfile in W at stack level 1
            timed TxProfile in A at stack level 1
            two-step TxProfile in A at stack level 1, relative
            two-step TxDefaultProfile in A at stack level 1
            two-step TxDefaultProfile in A at stack level 1
            two-step ChargePointMaxProfile in A at stack level 0"#]]
        .assert_eq(&words(&Ability::default(), &Quirk::default(), 1));
        let known =
            Ability { stack: Some(8), periods: Some(1), current: Some(false), power: Some(true) };
        expect![[r#"
            timed TxProfile in W at stack level 8
            timed TxProfile in W at stack level 1
            timed TxProfile in W at stack level 0
            timed TxProfile in W at stack level 8, relative
            timed TxDefaultProfile in W at stack level 8"#]]
        .assert_eq(&words(&known, &Quirk::default(), 2));
        let only_zero = Quirk { stack: Some(0), ..Quirk::default() };
        assert!(ladder(&known, &only_zero, 2).iter().all(|mode| mode.stack == 0));
    }
}
