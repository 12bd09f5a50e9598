//! Sampled values to readings in our units (OCPP 1.6 §7.17 MeterValue, §7.43 SampledValue).
//!
//! Defaults of the specification fill what is absent; what a charger does not measure is derived
//! from what it does. A value a thousand times off its unit is corrected only where physics proves
//! it, never because a number looks large: a large current may be true. Nothing here knows of
//! leases, and export is not counted.

use rust_ocpp::v1_6::types::{
    Location, Measurand, MeterValue, Phase as Leg, ReadingContext, SampledValue, UnitOfMeasure,
    ValueFormat,
};

use crate::ground::time::{Duration, Now, Utc};
use crate::ground::units::{Amps, PerPhase, Volts, WattHours, Watts};
use crate::model::message::Reading;

use super::clock::{ChargerClock, plausible};
use super::repair::{Repair, Repairs, lax_number};

/// More moments than this in one message are not taken over.
const READINGS_MAX: usize = 4096;

/// Above this between a phase and neutral it is the voltage of a DC outlet, not of the grid.
const GRID_VOLTAGE_MAX: Volts = Volts::new(300);

/// What is known of the connector that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// How many phases it charges on.
    pub phases: usize,
    /// The most it can draw on a phase.
    pub rated: Amps,
    /// Nominal voltage between a phase and neutral.
    pub voltage: Volts,
}

impl Place {
    /// More than this is no true current of this connector …
    fn current_max(&self) -> Amps {
        self.rated * 13 / 10
    }

    /// … and more than this no true power.
    fn power_max(&self) -> Watts {
        self.current_max() * self.voltage * self.phases as i64
    }
}

/// What is remembered of one connector's register, to prove a slip between Wh and kWh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Register {
    start: Option<WattHours>,
    last: Option<Sample>,
    proof: Proof,
    in_kilo: bool,
}

/// One sample of a register.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    at: Utc,
    written: WattHours,
    power: Watts,
}

/// How far the register went while power flowed without a break, and how far it should have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Proof {
    grown: WattHours,
    least: WattHours,
    most: WattHours,
}

/// So much energy at least must have flowed before a register is judged.
const JUDGED_FROM: WattHours = WattHours::new(1000);
/// Samples further apart than this say nothing of the power between them.
const SAMPLES_APART_MAX: Duration = Duration::minutes(20);

impl Register {
    /// A transaction begins at this register.
    pub fn begin(&mut self, start: WattHours) {
        self.start = Some(start);
        self.last = None;
        self.proof = Proof::default();
    }

    /// The register in Wh. It is in kWh in spite of its label when it stands at a thousandth of
    /// where the transaction began, or when, from zero, it grows a thousand times too slowly for
    /// the power that flows. When it grows as fast as the power says it is in Wh after all.
    fn correct(&mut self, written: WattHours, at: Option<Utc>, power: Option<Watts>) -> WattHours {
        let kilo = written * 1000;
        if let Some(start) = self.start
            && WattHours::new(100_000) < start
        {
            let tolerance = start / 10;
            self.in_kilo = written < start / 100 && (kilo - start).abs() <= tolerance;
        } else if let (Some(at), Some(power)) = (at, power) {
            self.weigh(Sample { at, written, power });
        }
        if self.in_kilo { kilo } else { written }
    }

    /// Judges by what flowed from sample to sample; a car that paused proves nothing.
    fn weigh(&mut self, sample: Sample) {
        let Some(last) = self.last.replace(sample) else { return };
        let span = sample.at.since(last.at);
        let least = last.power.min(sample.power);
        if span <= Duration::ZERO || SAMPLES_APART_MAX < span || least <= Watts::ZERO {
            return;
        }
        self.proof.grown += sample.written - last.written;
        self.proof.least += least * span;
        self.proof.most += last.power.max(sample.power) * span;
        if self.proof.least < JUDGED_FROM {
            return;
        }
        let Proof { grown, least, most } = std::mem::take(&mut self.proof);
        let fits = |grown: WattHours| least / 2 <= grown && grown <= most * 2;
        if fits(grown) {
            self.in_kilo = false;
        } else if self.start == Some(WattHours::ZERO) && fits(grown * 1000) {
            self.in_kilo = true;
        }
    }
}

/// The samples of one moment, sorted by what they measure.
#[derive(Default)]
struct Sorted {
    current: [Option<Amps>; 3],
    current_all: Option<Amps>,
    current_neutral: Option<Amps>,
    power: [Option<Watts>; 3],
    power_all: Option<Watts>,
    voltage: [Option<Volts>; 3],
    voltage_between: [Option<Volts>; 3],
    voltage_all: Option<Volts>,
    energy: [Option<WattHours>; 3],
    energy_all: Option<WattHours>,
    offered: Option<Amps>,
    power_offered: Option<Watts>,
    soc_percent: Option<f64>,
}

/// Turns the moments of one message into readings, in their order.
pub fn readings(
    values: &[MeterValue],
    place: &Place,
    now: Now,
    clock: &mut ChargerClock,
    register: &mut Register,
    repairs: &mut Repairs,
) -> Vec<Reading> {
    let mut readings = Vec::with_capacity(values.len().min(READINGS_MAX));
    for value in values.iter().take(READINGS_MAX) {
        let written = Utc::from_millis(value.timestamp.timestamp_millis());
        let judged = clock.judge(now, written);
        if judged.corrected {
            let is_set = plausible(written).is_some();
            repairs.note(if is_set { Repair::WrongClock } else { Repair::NoTime });
        }
        let mut sorted = Sorted::default();
        for sample in &value.sampled_value {
            sorted.take(sample, repairs);
        }
        let mut reading = sorted.reading(place, repairs);
        reading.at = judged.at;
        reading.live = judged.is_live();
        let written = reading.energy;
        reading.energy = written.map(|energy| register.correct(energy, judged.at, reading.power));
        if reading.energy != written {
            repairs.note(Repair::UnitSlip);
        }
        if reading != (Reading { at: reading.at, live: reading.live, ..Reading::default() }) {
            readings.push(reading);
        }
    }
    readings
}

impl Sorted {
    fn take(&mut self, sample: &SampledValue, repairs: &mut Repairs) {
        if matches!(sample.location, Some(Location::Inlet | Location::Body))
            || matches!(sample.format, Some(ValueFormat::SignedData))
            || matches!(sample.context, Some(ReadingContext::TransactionBegin))
        {
            return;
        }
        let Some(number) = lax_number(&sample.value) else {
            repairs.note(Repair::NoNumber);
            return;
        };
        let kilo = matches!(
            sample.unit,
            Some(UnitOfMeasure::KWh | UnitOfMeasure::Kw | UnitOfMeasure::Kva)
        );
        let number = if kilo { number * 1000.0 } else { number };
        let leg = sample.phase.as_ref();
        match sample.measurand.as_ref().unwrap_or(&Measurand::EnergyActiveImportRegister) {
            Measurand::EnergyActiveImportRegister => {
                let energy = WattHours::from_f64(number);
                // A register never falls: of two values of one moment the larger is the present.
                match leg.and_then(own_phase) {
                    Some(index) => self.energy[index] = self.energy[index].max(Some(energy)),
                    None => self.energy_all = self.energy_all.max(Some(energy)),
                }
            }
            Measurand::PowerActiveImport => {
                let power = Some(Watts::from_f64(number));
                match leg.and_then(own_phase) {
                    Some(index) => self.power[index] = power,
                    None => self.power_all = power,
                }
            }
            Measurand::CurrentImport => {
                let current = Some(Amps::from_f64(number));
                match leg {
                    Some(Leg::N) => self.current_neutral = current,
                    Some(leg) if own_phase(leg).is_some() => {
                        self.current[own_phase(leg).unwrap_or(0)] = current;
                    }
                    _ => self.current_all = current,
                }
            }
            Measurand::Voltage => self.take_voltage(leg, Volts::from_f64(number)),
            Measurand::CurrentOffered => {
                self.offered = self.offered.max(Some(Amps::from_f64(number)));
            }
            Measurand::PowerOffered => self.power_offered = Some(Watts::from_f64(number)),
            Measurand::SoC => self.soc_percent = Some(number.clamp(0.0, 100.0)),
            _ => {}
        }
    }

    fn take_voltage(&mut self, leg: Option<&Leg>, voltage: Volts) {
        if voltage <= Volts::new(1) {
            return;
        }
        match leg {
            Some(Leg::L1L2) => self.voltage_between[0] = Some(voltage),
            Some(Leg::L2L3) => self.voltage_between[1] = Some(voltage),
            Some(Leg::L3L1) => self.voltage_between[2] = Some(voltage),
            Some(leg) => match own_phase(leg) {
                Some(index) => self.voltage[index] = Some(voltage),
                None => self.voltage_all = Some(voltage),
            },
            None => self.voltage_all = Some(voltage),
        }
    }

    fn reading(&self, place: &Place, repairs: &mut Repairs) -> Reading {
        let voltage = self.phase_voltage();
        let is_dc = self.voltage_all.is_some_and(|voltage| GRID_VOLTAGE_MAX < voltage);
        let volts = voltage.unwrap_or(PerPhase::all(place.voltage));
        let mut power = self.power_all.or_else(|| sum(self.power));
        let measured = if is_dc { None } else { self.phase_current(place, volts, power) };
        let mut measured = measured;
        if let (Some(current), Some(written)) = (measured, power) {
            let (right, corrected) = slip(place, volts, current, written);
            if (right, corrected) != (current, written) {
                repairs.note(Repair::UnitSlip);
            }
            measured = Some(right);
            power = Some(corrected);
        }
        let power = power.or_else(|| measured.map(|current| product(current, volts)));
        let current = measured.or_else(|| self.derived_current(place, volts, power));
        let spread = place.voltage * place.phases as i64;
        Reading {
            current,
            power,
            voltage,
            energy: self.energy_all.or_else(|| sum(self.energy)),
            offered: self.offered.or_else(|| self.power_offered.map(|offered| offered / spread)),
            soc_percent: self.soc_percent,
            ..Reading::default()
        }
    }

    /// Phase to neutral where it was measured, else from between the phases.
    fn phase_voltage(&self) -> Option<PerPhase<Volts>> {
        let between = self
            .voltage_between
            .map(|voltage| voltage.map(|voltage| Volts::from_f64(voltage.as_f64() / 3f64.sqrt())));
        let all = self.voltage_all.filter(|voltage| *voltage <= GRID_VOLTAGE_MAX);
        let first = self.voltage.iter().chain(&between).find_map(|voltage| *voltage).or(all)?;
        Some(PerPhase(std::array::from_fn(|index| {
            self.voltage[index].or(between[index]).unwrap_or(first)
        })))
    }

    /// Current by the charger's own phases, if it measured any.
    fn phase_current(
        &self,
        place: &Place,
        volts: PerPhase<Volts>,
        power: Option<Watts>,
    ) -> Option<PerPhase<Amps>> {
        if self.current.iter().any(Option::is_some) {
            let current = PerPhase(self.current.map(Option::unwrap_or_default));
            // A charger with one phase may name it after the grid's phase that it hangs on.
            let is_single = place.phases == 1;
            return Some(if is_single { on_phases(current.largest(), 1) } else { current });
        }
        let current = self.current_all.or(self.current_neutral)?;
        let each = on_phases(current, place.phases);
        let Some(power) = power.filter(|_| 1 < place.phases) else {
            return Some(each);
        };
        // One figure for several phases is either their sum or each phase's; the power tells.
        let total = on_phases(current / place.phases as i64, place.phases);
        let miss = |guess: PerPhase<Amps>| (product(guess, volts) - power).abs();
        Some(if miss(total) < miss(each) { total } else { each })
    }

    /// Current from power: by phase where the power is, else spread over the connector's phases.
    fn derived_current(
        &self,
        place: &Place,
        volts: PerPhase<Volts>,
        power: Option<Watts>,
    ) -> Option<PerPhase<Amps>> {
        if self.power.iter().any(Option::is_some) && place.phases != 1 {
            let power = PerPhase(self.power.map(Option::unwrap_or_default));
            return Some(power.zip(volts, |power, volts| power / volts));
        }
        let share = power? / place.phases.max(1) as i64;
        let spread =
            PerPhase(std::array::from_fn(
                |index| {
                    if index < place.phases { share } else { Watts::ZERO }
                },
            ));
        Some(spread.zip(volts, |power, volts| power / volts))
    }
}

/// L1 to L3, with or without neutral, as an index.
fn own_phase(leg: &Leg) -> Option<usize> {
    match leg {
        Leg::L1 | Leg::L1N => Some(0),
        Leg::L2 | Leg::L2N => Some(1),
        Leg::L3 | Leg::L3N => Some(2),
        Leg::N | Leg::L1L2 | Leg::L2L3 | Leg::L3L1 => None,
    }
}

fn on_phases(current: Amps, phases: usize) -> PerPhase<Amps> {
    PerPhase(std::array::from_fn(|index| if index < phases { current } else { Amps::ZERO }))
}

fn product(current: PerPhase<Amps>, volts: PerPhase<Volts>) -> Watts {
    current.zip(volts, |current, volts| current * volts).0.into_iter().sum()
}

fn sum<T: Copy + std::iter::Sum>(parts: [Option<T>; 3]) -> Option<T> {
    parts.iter().any(Option::is_some).then(|| parts.into_iter().flatten().sum())
}

/// Current and power, brought back where they prove each other a thousand times off and what comes
/// out is possible on this connector.
fn slip(
    place: &Place,
    volts: PerPhase<Volts>,
    current: PerPhase<Amps>,
    power: Watts,
) -> (PerPhase<Amps>, Watts) {
    let expected = product(current, volts);
    let is_near = |one: Watts, other: Watts| other * 7 / 10 <= one && one <= other * 13 / 10;
    if expected < Watts::new(200) || is_near(power, expected) {
        return (current, power);
    }
    if place.current_max() < current.largest() && is_near(power, expected / 1000) {
        return (current.map(|amps| amps / 1000), power);
    }
    for corrected in [power * 1000, power / 1000] {
        if is_near(corrected, expected) && corrected <= place.power_max() {
            return (current, corrected);
        }
    }
    (current, power)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::ground::time::{Duration, Instant};
    use crate::ocpp::message::{Request, decode};

    fn now() -> Now {
        Now { mono: Instant::START, utc: Utc::parse("2024-05-17T18:10:52Z") }
    }

    fn read(samples: &str, phases: usize) -> (Reading, Repairs) {
        let payload = format!(
            r#"{{"connectorId":1,"meterValue":[{{"timestamp":"2024-05-17T18:10:50Z",
            "sampledValue":[{samples}]}}]}}"#
        );
        let decoded = decode("MeterValues", &payload).expect("an object");
        let Request::MeterValues(request) = decoded.request else { panic!("not MeterValues") };
        let mut repairs = decoded.repairs;
        let place = Place { phases, rated: Amps::new(32), voltage: Volts::new(230) };
        let readings = readings(
            &request.meter_value,
            &place,
            now(),
            &mut ChargerClock::default(),
            &mut Register::default(),
            &mut repairs,
        );
        (readings.into_iter().next().unwrap_or_default(), repairs)
    }

    fn check(samples: &str, phases: usize, expected: Expect) {
        let (reading, repairs) = read(samples, phases);
        let amps = reading.current.map(|current| current.0.map(|amps| amps.as_f64()));
        let text = format!(
            "current {amps:?}\npower {:?} energy {:?}\noffered {:?} soc {:?} {:?}",
            reading.power.map(Watts::as_f64),
            reading.energy.map(WattHours::as_f64),
            reading.offered.map(Amps::as_f64),
            reading.soc_percent,
            repairs.kinds(),
        );
        expected.assert_eq(&text);
    }

    #[test]
    fn defaults_and_derived_values() {
        check(
            r#"{"value":"1234"},{"value":"6900","measurand":"Power.Active.Import","unit":"W"}"#,
            3,
            expect![[r#"
                current Some([10.0, 10.0, 10.0])
                power Some(6900.0) energy Some(1234.0)
                offered None soc None []"#]],
        );
        check(
            r#"{"value":16.5,"measurand":"Current.Import","phase":"L1-N"},
               {"value":" 11.43 ","measurand":"Power.Offered","unit":"kW"}"#,
            1,
            expect![[r#"
                current Some([16.5, 0.0, 0.0])
                power Some(3795.0) energy None
                offered Some(49.695) soc None [NumberAsText]"#]],
        );
    }

    #[test]
    fn a_single_phase_is_the_first_whatever_it_is_called() {
        check(
            r#"{"value":"16","measurand":"Current.Import","phase":"L2"},
               {"value":"3680","measurand":"Power.Active.Import","phase":"L2"}"#,
            1,
            expect![[r#"
                current Some([16.0, 0.0, 0.0])
                power Some(3680.0) energy None
                offered None soc None []"#]],
        );
        check(
            r#"{"value":"3680","measurand":"Power.Active.Import","phase":"L3"}"#,
            1,
            expect![[r#"
            current Some([16.0, 0.0, 0.0])
            power Some(3680.0) energy None
            offered None soc None []"#]],
        );
    }

    #[test]
    fn kilowatts_labelled_watts_are_proven_by_current() {
        check(
            r#"{"value":"7.36","measurand":"Power.Active.Import","unit":"W"},
               {"value":"32","measurand":"Current.Import","phase":"L1"}"#,
            1,
            expect![[r#"
                current Some([32.0, 0.0, 0.0])
                power Some(7360.0) energy None
                offered None soc None [UnitSlip]"#]],
        );
        check(
            r#"{"value":"45.8","measurand":"Current.Import","phase":"L1"}"#,
            1,
            expect![[r#"
            current Some([45.8, 0.0, 0.0])
            power Some(10534.0) energy None
            offered None soc None []"#]],
        );
    }

    #[test]
    fn milliamperes_are_proven_by_power_and_rating() {
        check(
            r#"{"value":"3680","measurand":"Power.Active.Import","unit":"W"},
               {"value":"16000","measurand":"Current.Import","phase":"L1"}"#,
            1,
            expect![[r#"
                current Some([16.0, 0.0, 0.0])
                power Some(3680.0) energy None
                offered None soc None [UnitSlip]"#]],
        );
    }

    #[test]
    fn a_dc_outlet_is_counted_by_its_power() {
        check(
            r#"{"value":"37.3","measurand":"Current.Import","unit":"A"},
               {"value":"20.0","measurand":"Power.Active.Import","unit":"kW"},
               {"value":"590.2","measurand":"Voltage","unit":"V"},
               {"value":"67","measurand":"SoC","unit":"Percent"}"#,
            3,
            expect![[r#"
                current Some([28.985, 28.985, 28.985])
                power Some(20000.0) energy None
                offered None soc Some(67.0) []"#]],
        );
    }

    #[test]
    fn one_figure_for_three_phases_is_told_by_the_power() {
        check(
            r#"{"value":"48","measurand":"Current.Import"},
               {"value":"11040","measurand":"Power.Active.Import"}"#,
            3,
            expect![[r#"
                current Some([16.0, 16.0, 16.0])
                power Some(11040.0) energy None
                offered None soc None []"#]],
        );
        check(
            r#"{"value":"16","measurand":"Current.Import"}"#,
            3,
            expect![[r#"
            current Some([16.0, 16.0, 16.0])
            power Some(11040.0) energy None
            offered None soc None []"#]],
        );
    }

    #[test]
    fn what_is_not_of_this_outlet_or_not_of_now_is_left_out() {
        check(
            r#"{"value":"210"},{"value":"0","context":"Transaction.Begin"},
               {"value":"90","measurand":"Current.Import","location":"Inlet"},
               {"value":"50","measurand":"Frequency","unit":"Hz"},
               {"value":"7","measurand":"Lux"}"#,
            1,
            expect![[r#"
                current None
                power None energy Some(210.0)
                offered None soc None [UnknownWord]"#]],
        );
    }

    #[test]
    fn a_register_in_kwh_is_proven_by_the_start() {
        let mut register = Register::default();
        register.begin(WattHours::new(159_100));
        let right = register.correct(WattHours::from_f64(159.4), None, None);
        assert_eq!(right, WattHours::new(159_400));
        register.begin(WattHours::ZERO);
        let at = |minutes| now().utc.map(|utc| utc + Duration::minutes(minutes));
        let power = Some(Watts::new(7400));
        let mut register = Register { start: Some(WattHours::ZERO), ..Register::default() };
        assert_eq!(register.correct(WattHours::ZERO, at(0), power), WattHours::ZERO);
        let later = register.correct(WattHours::from_f64(1.2), at(10), power);
        assert_eq!(later, WattHours::new(1200));
    }

    #[test]
    fn a_car_that_paused_for_hours_does_not_make_kwh_of_wh() {
        let mut register = Register::default();
        register.begin(WattHours::ZERO);
        let at = |minutes| now().utc.map(|utc| utc + Duration::minutes(minutes));
        // 20 Wh, then a long wait, then full power: 7 kW over all the hours would be 70 kWh.
        for (minute, wh, watts) in [(0, 0, 0), (1, 20, 7000), (2, 60, 0), (600, 60, 7000)] {
            let right = register.correct(WattHours::new(wh), at(minute), Some(Watts::new(watts)));
            assert_eq!(right, WattHours::new(wh), "minute {minute}");
        }
    }

    #[test]
    fn a_register_that_grows_as_the_power_says_is_in_wh_after_all() {
        let mut register =
            Register { start: Some(WattHours::ZERO), in_kilo: true, ..Register::default() };
        let at = |minutes| now().utc.map(|utc| utc + Duration::minutes(minutes));
        let power = Some(Watts::new(7200));
        register.correct(WattHours::ZERO, at(0), power);
        assert_eq!(register.correct(WattHours::new(1200), at(10), power), WattHours::new(1200));
    }
}
