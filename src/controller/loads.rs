//! Load that is not ours: what the guard must leave room for at every node.
//!
//! At a metered node it is what the meter says less what the chargers below were measured to draw.
//! The two are never read in the same instant. While a charger is in motion its draw at the moment
//! of the meter's reading is only known to lie between nothing and what it may draw at most, so the
//! estimate moves no further than the meter proves. That cannot hide an overload (meter and leases
//! together still fit), and it lasts [`VAGUE_MAX`] at most: then the last figures are taken as they
//! are. What explained the meter's reading explains no more than it may still draw: a charger that
//! is lowered gives nothing on before the meter was read again. A charger that tells no current
//! counts in full with its lease *and* inside the meter's figure: wasteful and safe.
//!
//! Rises are believed at once, falls after [`HOLD`]: load that comes and goes must not make limits
//! jump. A silent meter means the configured worst case at once, never zero; after a start, and
//! when the meter is back, it stands in until all chargers have told what they draw.

use crate::control::situation::OtherLoad;
use crate::ground::ids::{EvseIndex, MeterId, NodeIndex};
use crate::ground::time::{Duration, Instant};
use crate::ground::units::{Amps, PerPhase, Phase};
use crate::model::diagram::Diagram;
use crate::model::meter::Meter;

use super::image::MeterImage;

/// A charger's motion explains a difference between meter and chargers for no longer than this.
const VAGUE_MAX: Duration = Duration::seconds(30);

/// Differences up to this are noise of the two measurements.
const NOISE: Amps = Amps::milli(500);

/// A fall of the load is believed after this long.
const HOLD: Duration = Duration::seconds(20);

/// What an EVSE draws, as far as it is known when a meter is read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Draw {
    /// Measured by the charger, by grid phase; none if not heard lately.
    pub measured: Option<PerPhase<Amps>>,
    /// The most it may draw, by the ledger.
    pub worst: PerPhase<Amps>,
    /// Its draw may have changed since it was measured: newly told, started, stopped, or the
    /// measurement is some seconds old.
    pub moving: bool,
}

/// A value of one phase that rises at once and falls late.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Held {
    value: Amps,
    since: Instant,
}

/// The estimate at one metered node.
#[derive(Clone, Debug, Default, PartialEq)]
struct Estimate {
    load: Option<PerPhase<Amps>>,
    vague_since: Option<Instant>,
    held: PerPhase<Held>,
    /// What is held was never measured: the configured worst case stands in, for a start.
    stands_in: bool,
    read: Option<Reading>,
}

/// The last reading of a node's meter, with what the chargers below were known to draw then.
#[derive(Clone, Debug, PartialEq)]
struct Reading {
    total: PerPhase<Amps>,
    below: Vec<(EvseIndex, Draw)>,
}

/// The estimates of all nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Loads {
    nodes: Vec<Estimate>,
}

impl Draw {
    /// What it may have drawn at most when it was read, if by now it may draw `worst`.
    fn most(&self, worst: PerPhase<Amps>) -> PerPhase<Amps> {
        let measured = self.measured.unwrap_or(PerPhase::ZERO);
        if self.moving { worst.worst(measured) } else { measured }
    }
}

impl Estimate {
    /// The load, and no less than what the chargers leave of the last reading by what they may draw
    /// now: who was lowered meanwhile may not have drawn what explained it.
    fn proven(&self, worst: &[PerPhase<Amps>]) -> PerPhase<Amps> {
        let held = self.held.map(|held| held.value);
        let Some(Reading { total, below }) = &self.read else { return held };
        let most = below.iter().map(|(evse, draw)| draw.most(worst[*evse]));
        held.worst(*total - most.fold(PerPhase::ZERO, |sum, most| sum + most))
    }
}

impl Loads {
    /// Nothing is known yet.
    pub fn new(diagram: &Diagram) -> Self {
        Self { nodes: vec![Estimate::default(); diagram.nodes.len()] }
    }

    /// Takes a reading of a node's meter in.
    pub fn metered(
        &mut self,
        diagram: &Diagram,
        node: NodeIndex,
        total: PerPhase<Amps>,
        draws: &[Draw],
        now: Instant,
    ) {
        let (mut known, mut least, mut most) = (PerPhase::ZERO, PerPhase::ZERO, PerPhase::ZERO);
        let mut below = Vec::new();
        for evse in diagram.evses_under(node) {
            let draw = draws[evse];
            let measured = draw.measured.unwrap_or(PerPhase::ZERO);
            known += measured;
            least += if draw.moving { PerPhase::ZERO } else { measured };
            most += draw.most(draw.worst);
            below.push((evse, draw));
        }
        let estimate = &mut self.nodes[node];
        estimate.read = Some(Reading { total, below });
        let exact = total - known;
        // At the start the configured worst case stands in, as far as the meter allows: taking all
        // that flows for building load would stop every car of a site that is started anew.
        estimate.stands_in |= estimate.load.is_none();
        let before = estimate.load.unwrap_or(diagram.nodes[node].worst_load);
        let mut load = PerPhase(Phase::ALL.map(|phase| {
            before[phase].clamp(total[phase] - most[phase], total[phase] - least[phase])
        }));
        let vague = Phase::ALL.iter().any(|phase| NOISE < (load[*phase] - exact[*phase]).abs());
        estimate.vague_since = vague.then(|| estimate.vague_since.unwrap_or(now));
        if estimate.vague_since.is_some_and(|since| VAGUE_MAX <= now.since(since)) {
            (load, estimate.vague_since) = (exact, None);
        }
        if let Some(rating) = diagram.nodes[node].rating {
            for phase in Phase::ALL {
                // Over the rating there is no time to wait for proof: what others may draw but do
                // not would be given up first, and help nothing.
                if rating[phase] < total[phase] {
                    load[phase] = load[phase].max(exact[phase]);
                }
            }
        }
        estimate.load = Some(load);
        // What was only assumed is given up as soon as the chargers have told what they draw: it is
        // no load that comes and goes.
        let is_found = estimate.stands_in && estimate.vague_since.is_none();
        estimate.stands_in &= !is_found;
        for phase in Phase::ALL {
            let held = &mut estimate.held[phase];
            if held.value <= load[phase] || is_found || HOLD <= now.since(held.since) {
                *held = Held { value: load[phase], since: now };
            }
        }
    }

    /// The meter of a node has fallen silent: what was known is worth nothing any more.
    pub fn forget(&mut self, node: NodeIndex) {
        self.nodes[node] = Estimate::default();
    }

    /// What the guard must leave room for, node by node; `worst` is the most that each EVSE may
    /// draw by now.
    pub fn other(
        &self,
        diagram: &Diagram,
        meters: &[Meter],
        images: &[MeterImage],
        worst: &[PerPhase<Amps>],
        now: Instant,
    ) -> Vec<OtherLoad> {
        let find = |id: &MeterId| meters.iter().position(|meter| &meter.id == id);
        let mut loads: Vec<OtherLoad> = Vec::with_capacity(diagram.nodes.len());
        for node in &diagram.nodes {
            let mut load = OtherLoad { current: PerPhase::ZERO, silent: None };
            match node.meter.as_ref().and_then(find) {
                Some(meter) if images[meter].is_fresh(&meters[meter], now) => {}
                Some(meter) => {
                    load.current = node.worst_load;
                    load.silent = Some((meters[meter].id.clone(), images[meter].heard()));
                }
                None => load.current = node.worst_load,
            }
            loads.push(load);
        }
        for item in &diagram.equipment {
            let metered = diagram.nodes[item.node].meter.as_ref().and_then(find).is_some();
            if metered {
                continue;
            }
            let own = item.meter.as_ref().and_then(find);
            let read = own.and_then(|own| images[own].current(&meters[own], now, diagram.voltage));
            let load = &mut loads[item.node];
            match read {
                Some(current) => load.current += current,
                None => {
                    load.current += item.worst_load;
                    if let (Some(own), true) = (own, item.worst_load != PerPhase::ZERO) {
                        load.silent = Some((meters[own].id.clone(), images[own].heard()));
                    }
                }
            }
        }
        self.join(diagram, worst, &mut loads);
        loads
    }

    /// Children before parents: an unmetered node carries its own load and that of its children.
    fn join(&self, diagram: &Diagram, worst: &[PerPhase<Amps>], loads: &mut [OtherLoad]) {
        for index in (0..diagram.nodes.len()).rev() {
            let node = &diagram.nodes[index];
            let metered = node.meter.is_some();
            if let (true, None) = (metered, &loads[index].silent) {
                loads[index].current = self.nodes[index].proven(worst);
            }
            if !node.generation_counts {
                loads[index].current = loads[index].current.map(Amps::at_least_zero);
            }
            let Some(parent) = node.parent else { continue };
            if diagram.nodes[parent].meter.is_none() {
                let below = loads[index].clone();
                loads[parent].current += below.current;
                loads[parent].silent = loads[parent].silent.take().or(below.silent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::ids::{ChargePointId, EvseId, NodeId};
    use crate::ground::units::Volts;
    use crate::model::diagram::{Evse, Node};

    fn diagram() -> Diagram {
        Diagram {
            nodes: vec![Node {
                id: NodeId::new("grid"),
                name: "Grid".to_owned(),
                parent: None,
                rating: Some(PerPhase::all(Amps::new(63))),
                power_limit: None,
                imbalance: None,
                meter: Some(MeterId::new("grid")),
                worst_load: PerPhase::all(Amps::new(20)),
                generation_counts: false,
            }],
            evses: vec![Evse {
                id: EvseId::new("E1"),
                node: 0,
                charge_point: ChargePointId::new("CP"),
                connector: 1,
                wiring: Phase::ALL.to_vec(),
                rated: Amps::new(32),
                minimum: Amps::new(6),
                safe: Amps::new(6),
            }],
            equipment: Vec::new(),
            voltage: Volts::new(230),
        }
    }

    fn amps(value: i64) -> PerPhase<Amps> {
        PerPhase::all(Amps::new(value))
    }

    fn at(seconds: i64) -> Instant {
        Instant::START + Duration::seconds(seconds)
    }

    fn held(loads: &Loads) -> Amps {
        loads.nodes[0].held[Phase::L1].value
    }

    #[test]
    fn a_car_that_starts_is_not_taken_for_building_load() {
        let (diagram, mut loads) = (diagram(), Loads::new(&diagram()));
        let still = Draw { measured: Some(amps(0)), worst: amps(16), moving: false };
        loads.metered(&diagram, 0, amps(10), &[still], at(0));
        let moving = Draw { moving: true, ..still };
        loads.metered(&diagram, 0, amps(26), &[moving], at(1));
        assert_eq!(held(&loads), Amps::new(10));
        let measured = Draw { measured: Some(amps(16)), ..still };
        loads.metered(&diagram, 0, amps(26), &[measured], at(2));
        assert_eq!(held(&loads), Amps::new(10));
    }

    #[test]
    fn cars_that_charge_at_a_start_are_not_taken_for_building_load() {
        let (diagram, mut loads) = (diagram(), Loads::new(&diagram()));
        let unheard = Draw { measured: None, worst: amps(16), moving: true };
        loads.metered(&diagram, 0, amps(26), &[unheard], at(0));
        assert_eq!(held(&loads), Amps::new(20), "the configured worst case");
        let mut heavier = Loads::new(&diagram);
        heavier.metered(&diagram, 0, amps(60), &[unheard], at(0));
        assert_eq!(held(&heavier), Amps::new(44), "more than the cars can explain");
        let heard = Draw { measured: Some(amps(16)), worst: amps(16), moving: false };
        loads.metered(&diagram, 0, amps(26), &[heard], at(3));
        assert_eq!(held(&loads), Amps::new(10), "an assumption is not held against what is known");
        loads.metered(&diagram, 0, amps(18), &[heard], at(4));
        assert_eq!(held(&loads), Amps::new(10), "what was measured is held");
    }

    #[test]
    fn what_no_charger_can_explain_is_building_load_at_once() {
        let (diagram, mut loads) = (diagram(), Loads::new(&diagram()));
        let moving = Draw { measured: Some(amps(0)), worst: amps(16), moving: true };
        loads.metered(&diagram, 0, amps(10), &[Draw { moving: false, ..moving }], at(0));
        loads.metered(&diagram, 0, amps(40), &[moving], at(1));
        assert_eq!(held(&loads), Amps::new(24));
    }

    #[test]
    fn above_the_rating_nothing_is_explained_away() {
        let (diagram, mut loads) = (diagram(), Loads::new(&diagram()));
        let idle = Draw { measured: Some(amps(32)), worst: amps(40), moving: true };
        loads.metered(&diagram, 0, amps(42), &[Draw { moving: false, ..idle }], at(0));
        assert_eq!(held(&loads), Amps::new(10));
        loads.metered(&diagram, 0, amps(62), &[idle], at(1));
        assert_eq!(held(&loads), Amps::new(22));
        loads.metered(&diagram, 0, amps(64), &[idle], at(2));
        assert_eq!(held(&loads), Amps::new(32));
    }

    #[test]
    fn motion_explains_a_difference_only_for_a_while() {
        let (diagram, mut loads) = (diagram(), Loads::new(&diagram()));
        let moving = Draw { measured: Some(amps(0)), worst: amps(16), moving: true };
        loads.metered(&diagram, 0, amps(10), &[Draw { moving: false, ..moving }], at(0));
        for second in 1..31 {
            loads.metered(&diagram, 0, amps(20), &[moving], at(second));
            assert_eq!(held(&loads), Amps::new(10), "second {second}");
        }
        loads.metered(&diagram, 0, amps(20), &[moving], at(31));
        assert_eq!(held(&loads), Amps::new(20));
    }

    #[test]
    fn a_charger_that_is_lowered_explains_no_more_than_it_may_still_draw() {
        let (diagram, mut loads) = (diagram(), Loads::new(&diagram()));
        let still = Draw { measured: Some(amps(16)), worst: amps(24), moving: false };
        loads.metered(&diagram, 0, amps(20), &[still], at(0));
        // Seven amperes more: the building, or the car, which may draw up to 24 A.
        loads.metered(&diagram, 0, amps(27), &[Draw { moving: true, ..still }], at(1));
        assert_eq!(loads.nodes[0].proven(&[amps(24)]), amps(4));
        assert_eq!(
            loads.nodes[0].proven(&[amps(17)]),
            amps(10),
            "no more than 17 A were the car's"
        );
        assert_eq!(loads.nodes[0].proven(&[amps(0)]), amps(11), "it was measured at 16 A");
        loads.metered(&diagram, 0, amps(27), &[still], at(2));
        assert_eq!(loads.nodes[0].proven(&[amps(0)]), amps(11));
    }

    #[test]
    fn load_rises_at_once_and_falls_late() {
        let (diagram, mut loads) = (diagram(), Loads::new(&diagram()));
        let none = [Draw::default()];
        loads.metered(&diagram, 0, amps(10), &none, at(0));
        loads.metered(&diagram, 0, amps(30), &none, at(1));
        loads.metered(&diagram, 0, amps(5), &none, at(20));
        assert_eq!(held(&loads), Amps::new(30));
        loads.metered(&diagram, 0, amps(5), &none, at(21));
        assert_eq!(held(&loads), Amps::new(5));
    }
}
