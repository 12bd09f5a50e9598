//! What follows from single entries of the file: wiring, rating, topics and factors of a meter.

use crate::ground::ids::MeterId;
use crate::ground::time::Duration;
use crate::ground::units::{Amps, PerPhase, Phase, Volts, Watts};
use crate::model::meter;

use super::file_diagram::Node;
use super::file_meter::{Meter, Phase as WrittenPhase, Quantity, Sign, Unit, Value};
use super::maps;

/// The grid phases behind the charger's own, from `L2L3L1` or the OCPP spelling `STR`; none if the
/// text names no phase, an unknown one, or one twice.
pub fn wiring(text: &str) -> Option<Vec<Phase>> {
    let mut wiring = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let spellings = [("L1", Phase::L1), ("L2", Phase::L2), ("L3", Phase::L3)];
        let letters = [("R", Phase::L1), ("S", Phase::L2), ("T", Phase::L3)];
        let known = spellings.into_iter().chain(letters);
        let (spelling, phase) = known.into_iter().find(|(name, _)| rest.starts_with(name))?;
        if wiring.contains(&phase) {
            return None;
        }
        wiring.push(phase);
        rest = &rest[spelling.len()..];
    }
    (!wiring.is_empty()).then_some(wiring)
}

/// What each phase of a node may carry: the tighter of amperes and a third of the kVA.
pub fn rating(node: &Node, voltage: Volts) -> Option<PerPhase<Amps>> {
    let amps = node.rating_a.map(|amps| amps.per_phase());
    let kva = node.rating_kva.map(|kva| PerPhase::all(watts(kva) / 3 / voltage));
    match (amps, kva) {
        (Some(amps), Some(kva)) => Some(amps.zip(kva, Amps::min)),
        (only, None) | (None, only) => only,
    }
}

/// From kilowatts.
pub fn watts(kilowatts: f64) -> Watts {
    Watts::from_f64(kilowatts * 1000.0)
}

/// From seconds, to the millisecond.
pub fn seconds(seconds: f64) -> Duration {
    Duration::millis((seconds * 1000.0).round() as i64)
}

/// The unit of a quantity that this unit belongs to, and how many of those one is; none if the unit
/// does not fit the quantity.
pub fn unit_factor(quantity: Quantity, unit: Unit) -> Option<f64> {
    match (quantity, unit) {
        (Quantity::Current, Unit::A) | (Quantity::Power, Unit::W) => Some(1.0),
        (Quantity::Voltage, Unit::V) => Some(1.0),
        (Quantity::Current, Unit::MilliA) | (Quantity::Voltage, Unit::MilliV) => Some(0.001),
        (Quantity::Power, Unit::KiloW) => Some(1000.0),
        (Quantity::Current, Unit::W | Unit::KiloW | Unit::V | Unit::MilliV)
        | (Quantity::Power, Unit::A | Unit::MilliA | Unit::V | Unit::MilliV)
        | (Quantity::Voltage, Unit::A | Unit::MilliA | Unit::W | Unit::KiloW) => None,
    }
}

/// The meter with every value that is complete; none without an id.
pub fn meter(written: &Meter) -> Option<meter::Meter> {
    let id = MeterId::new(written.id.as_deref()?);
    let values = match (written.map, &written.topic) {
        (Some(map), Some(topic)) => maps::values(map)
            .iter()
            .map(|value| meter::MeterValue {
                topic: format!("{topic}{}", value.suffix),
                pointer: value.pointer.map(str::to_owned),
                quantity: quantity(value.quantity),
                phase: value.phase,
                factor: sign_factor(value.sign),
            })
            .collect(),
        (Some(_), None) => Vec::new(),
        (None, topic) => {
            written.value.iter().filter_map(|value| meter_value(value, topic.as_deref())).collect()
        }
    };
    Some(meter::Meter { id, max_age: seconds(written.max_age_s), values })
}

fn meter_value(value: &Value, topic: Option<&str>) -> Option<meter::MeterValue> {
    let written = value.quantity?;
    let unit = unit_factor(written, value.unit?)?;
    Some(meter::MeterValue {
        topic: value.topic.as_deref().or(topic)?.to_owned(),
        pointer: value.pointer.clone(),
        quantity: quantity(written),
        phase: value.phase.map(phase),
        factor: unit * value.scale * sign_factor(value.sign),
    })
}

fn sign_factor(sign: Sign) -> f64 {
    match sign {
        Sign::Import => 1.0,
        Sign::Export => -1.0,
    }
}

fn quantity(written: Quantity) -> meter::Quantity {
    match written {
        Quantity::Current => meter::Quantity::Current,
        Quantity::Power => meter::Quantity::Power,
        Quantity::Voltage => meter::Quantity::Voltage,
    }
}

/// The phase of the grid.
pub fn phase(written: WrittenPhase) -> Phase {
    match written {
        WrittenPhase::L1 => Phase::L1,
        WrittenPhase::L2 => Phase::L2,
        WrittenPhase::L3 => Phase::L3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_are_permutations_in_either_spelling() {
        assert_eq!(wiring("L2L3L1"), Some(vec![Phase::L2, Phase::L3, Phase::L1]));
        assert_eq!(wiring("STR"), wiring("L2L3L1"));
        assert_eq!(wiring("L3"), Some(vec![Phase::L3]));
        for wrong in ["L1L1L3", "", "L4", "l1", "L1 L2", "L1L2L3L1", "RL1"] {
            assert_eq!(wiring(wrong), None, "{wrong}");
        }
    }
}
