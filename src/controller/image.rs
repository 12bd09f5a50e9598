//! The process image of the meters: every value with its age. A value is never assumed; it is young
//! enough to be used, or it is missing.

use crate::ground::time::{Duration, Instant};
use crate::ground::units::{Amps, PerPhase, Phase, Volts, Watts};
use crate::model::meter::{Meter, MeterFact, Quantity};

/// One number with the moment it was received.
type Seen = Option<(f64, Instant)>;

/// What a meter last said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeterImage {
    current: PerPhase<Seen>,
    power: PerPhase<Seen>,
    voltage: PerPhase<Seen>,
    total_current: Seen,
    total_power: Seen,
    /// It was told that this meter is silent; the next good reading tells that it is heard again.
    pub told_silent: bool,
}

impl MeterImage {
    /// Takes a number in.
    pub fn apply(&mut self, fact: &MeterFact, now: Instant) {
        let seen = Some((fact.value, now));
        match (fact.quantity, fact.phase) {
            (Quantity::Current, Some(phase)) => self.current[phase] = seen,
            (Quantity::Current, None) => self.total_current = seen,
            (Quantity::Power, Some(phase)) => self.power[phase] = seen,
            (Quantity::Power, None) => self.total_power = seen,
            (Quantity::Voltage, Some(phase)) => self.voltage[phase] = seen,
            (Quantity::Voltage, None) => self.voltage = PerPhase::all(seen),
        }
    }

    /// When the oldest of the values that this meter should have was received; none while one of
    /// them was never heard.
    pub fn oldest(&self, meter: &Meter) -> Option<Instant> {
        let seen = |quantity: Quantity, phase: Option<Phase>| match (quantity, phase) {
            (Quantity::Current, Some(phase)) => self.current[phase],
            (Quantity::Current, None) => self.total_current,
            (Quantity::Power, Some(phase)) => self.power[phase],
            (Quantity::Power, None) => self.total_power,
            (Quantity::Voltage, Some(phase)) => self.voltage[phase],
            (Quantity::Voltage, None) => self.voltage[Phase::L1],
        };
        let needed = meter.values.iter().filter(|value| value.quantity != Quantity::Voltage);
        let times = needed.map(|value| seen(value.quantity, value.phase).map(|(_, at)| at));
        times.collect::<Option<Vec<Instant>>>()?.into_iter().min()
    }

    /// When any of its values was last received.
    pub fn heard(&self) -> Option<Instant> {
        let singles = [self.total_current, self.total_power];
        let all = self.current.0.into_iter().chain(self.power.0).chain(singles);
        all.flatten().map(|(_, at)| at).max()
    }

    /// Whether every value is younger than the meter's limit.
    pub fn is_fresh(&self, meter: &Meter, now: Instant) -> bool {
        self.oldest(meter).is_some_and(|at| now.since(at) <= meter.max_age)
    }

    /// Current by phase, import positive; none if silent.
    ///
    /// Taken from current where the meter gives it by phase (with the sign of the phase's power
    /// where that is known too, since many meters give the size of a current alone), else from
    /// power by phase, else from a total that is taken to load the three phases alike.
    pub fn current(&self, meter: &Meter, now: Instant, nominal: Volts) -> Option<PerPhase<Amps>> {
        if !self.is_fresh(meter, now) {
            return None;
        }
        let by_phase = |phase: Phase| -> Option<f64> {
            let voltage = self.voltage[phase].map_or(nominal.as_f64(), |(value, _)| value);
            let power = self.power[phase].map(|(value, _)| value);
            match (self.current[phase], power) {
                (Some((current, _)), Some(power)) if power < 0.0 => Some(-current.abs()),
                (Some((current, _)), _) => Some(current),
                (None, Some(power)) => Some(power / voltage.max(1.0)),
                (None, None) => None,
            }
        };
        let known = PerPhase(Phase::ALL.map(by_phase));
        if known.0.iter().any(Option::is_some) {
            return Some(known.map(|value| Amps::from_f64(value.unwrap_or(0.0))));
        }
        let third = match (self.total_power, self.total_current) {
            (Some((power, _)), _) => power / nominal.as_f64().max(1.0) / 3.0,
            (None, Some((current, _))) => current / 3.0,
            (None, None) => return None,
        };
        Some(PerPhase::all(Amps::from_f64(third)))
    }

    /// Power over all phases, import positive; none if silent.
    pub fn power(&self, meter: &Meter, now: Instant, nominal: Volts) -> Option<Watts> {
        let current = self.current(meter, now, nominal)?;
        if let Some((power, _)) = self.total_power {
            return Some(Watts::from_f64(power));
        }
        let powers: Option<Vec<f64>> =
            self.power.0.iter().map(|seen| seen.map(|(value, _)| value)).collect();
        match powers {
            Some(powers) => Some(Watts::from_f64(powers.iter().sum())),
            None => Some(current.power(nominal)),
        }
    }

    /// When it will be too old if nothing more is heard; none if it is so already.
    pub fn expires(&self, meter: &Meter, now: Instant) -> Option<Instant> {
        let silent_from = self.oldest(meter)? + meter.max_age + Duration::millis(1);
        (now < silent_from).then_some(silent_from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::ids::MeterId;
    use crate::model::meter::MeterValue;

    fn meter(values: &[(Quantity, Option<Phase>)]) -> Meter {
        let value = |(quantity, phase): &(Quantity, Option<Phase>)| MeterValue {
            topic: "t".to_owned(),
            pointer: None,
            quantity: *quantity,
            phase: *phase,
            factor: 1.0,
        };
        Meter {
            id: MeterId::new("grid"),
            max_age: Duration::seconds(15),
            values: values.iter().map(value).collect(),
        }
    }

    fn fact(quantity: Quantity, phase: Option<Phase>, value: f64) -> MeterFact {
        MeterFact { meter: 0, quantity, phase, value }
    }

    #[test]
    fn one_silent_phase_makes_the_meter_silent() {
        let meter = meter(&Phase::ALL.map(|phase| (Quantity::Current, Some(phase))));
        let mut image = MeterImage::default();
        let at = Instant::from_millis;
        image.apply(&fact(Quantity::Current, Some(Phase::L1), 5.0), at(0));
        image.apply(&fact(Quantity::Current, Some(Phase::L2), 6.0), at(9000));
        assert_eq!(image.current(&meter, at(9000), Volts::new(230)), None);
        image.apply(&fact(Quantity::Current, Some(Phase::L3), 7.0), at(9000));
        let expected = PerPhase([5, 6, 7].map(Amps::new));
        assert_eq!(image.current(&meter, at(15_000), Volts::new(230)), Some(expected));
        assert_eq!(image.current(&meter, at(15_001), Volts::new(230)), None);
        assert_eq!(image.expires(&meter, at(9000)), Some(at(15_001)));
    }

    #[test]
    fn a_current_without_sign_takes_the_sign_of_its_power() {
        let meter =
            meter(&[(Quantity::Current, Some(Phase::L1)), (Quantity::Power, Some(Phase::L1))]);
        let mut image = MeterImage::default();
        image.apply(&fact(Quantity::Current, Some(Phase::L1), 8.0), Instant::START);
        image.apply(&fact(Quantity::Power, Some(Phase::L1), -1800.0), Instant::START);
        let current = image.current(&meter, Instant::START, Volts::new(230));
        assert_eq!(current.map(|current| current[Phase::L1]), Some(Amps::new(-8)));
    }

    #[test]
    fn a_total_is_taken_to_load_the_phases_alike() {
        let meter = meter(&[(Quantity::Power, None)]);
        let mut image = MeterImage::default();
        image.apply(&fact(Quantity::Power, None, 6900.0), Instant::START);
        let current = image.current(&meter, Instant::START, Volts::new(230));
        assert_eq!(current, Some(PerPhase::all(Amps::new(10))));
        assert_eq!(image.power(&meter, Instant::START, Volts::new(230)), Some(Watts::new(6900)));
    }
}
