//! What the tests compare with, written as plainly as possible and apart from the product: a
//! charger that does what it is told, the sums at every node, and the fair shares by small steps.

use ampgate::ground::time::{Duration, Instant};
use ampgate::ground::units::{Amps, PerPhase, Phase, PhaseSet};
use ampgate::model::diagram::{Diagram, Evse};

use super::site::Traits;

/// A charger that applies each frame that reaches it.
#[derive(Clone, Debug)]
pub struct Charger {
    pub evse: Evse,
    pub traits: Traits,
    pub has_safe_share: bool,
    /// The phases of the car that is charging; none without one.
    pub car: Option<PhaseSet>,
    /// Counts its cars.
    pub visit: u64,
    /// The limit that was applied last, and when it falls to the safe share; none if never.
    lease: Option<(Amps, Option<Instant>)>,
}

impl Charger {
    pub fn new(evse: &Evse, traits: Traits) -> Self {
        Self { evse: evse.clone(), traits, has_safe_share: false, car: None, visit: 0, lease: None }
    }

    /// A frame that was ordered at `ordered` reaches it.
    pub fn apply(&mut self, limit: Amps, ordered: Instant, ttl: Duration) {
        if self.car.is_some() || self.traits.keeps_limits {
            self.lease = Some((limit, self.ends(ordered, ttl)));
        }
    }

    /// When a lease that was ordered at `ordered` falls.
    pub fn ends(&self, ordered: Instant, ttl: Duration) -> Option<Instant> {
        self.traits.falls_late.map(|late| ordered + ttl + late)
    }

    pub fn begin(&mut self, phases: usize) {
        let all: Vec<Phase> = self.evse.wiring.clone();
        self.visit += 1;
        self.car = Some(PhaseSet::of(&all[..phases.min(all.len())]));
    }

    pub fn end(&mut self) {
        self.car = None;
        if !self.traits.keeps_limits {
            self.lease = None;
        }
    }

    /// The limit that it obeys now.
    pub fn limit(&self, now: Instant) -> Amps {
        let safe = if self.has_safe_share { self.evse.safe } else { self.evse.rated };
        match self.lease {
            Some((limit, None)) => limit,
            Some((limit, Some(ends))) if now < ends => limit,
            _ => safe,
        }
    }

    /// The most it could draw at this moment: its car, else any car that comes.
    pub fn most(&self, now: Instant) -> PerPhase<Amps> {
        self.car.unwrap_or(self.evse.phases()).carry(self.limit(now))
    }
}

/// Whether `evse` is fed through `node`.
fn is_fed(diagram: &Diagram, evse: usize, node: usize) -> bool {
    let mut at = Some(diagram.evses[evse].node);
    while let Some(index) = at {
        if index == node {
            return true;
        }
        at = diagram.nodes[index].parent;
    }
    false
}

/// What every limit of the site leaves: name, milli-units of room less draw. `uses` are the phases
/// that the cars are known to use.
pub fn slacks(
    diagram: &Diagram,
    loads: &[PerPhase<Amps>],
    draws: &[PerPhase<Amps>],
    uses: &[PhaseSet],
) -> Vec<(String, i64)> {
    let mut slacks = Vec::new();
    for (index, node) in diagram.nodes.iter().enumerate() {
        let below: Vec<usize> =
            (0..diagram.evses.len()).filter(|evse| is_fed(diagram, *evse, index)).collect();
        if below.is_empty() {
            continue;
        }
        let mut watts = 0;
        for phase in Phase::ALL {
            let wired = below.iter().any(|evse| diagram.evses[*evse].phases().has(phase));
            let drawn: i64 = below.iter().map(|evse| draws[*evse][phase].as_milli()).sum();
            let total = drawn + loads[index][phase].as_milli();
            watts += total * diagram.voltage.as_milli() / 1000;
            if let Some(rating) = node.rating.filter(|_| wired) {
                slacks.push((format!("{} {phase}", node.name), rating[phase].as_milli() - total));
            }
            let above = |evse: &usize| {
                let draw = draws[*evse];
                if uses[*evse] != PhaseSet::ALL {
                    return uses[*evse].carry(draw[phase])[phase].as_milli();
                }
                (draw[phase] - draw.0.into_iter().min().expect("three phases")).as_milli()
            };
            let uneven: i64 = below.iter().map(above).sum();
            if let Some(most) = node.imbalance.filter(|_| wired) {
                slacks.push((format!("{} uneven {phase}", node.name), most.as_milli() - uneven));
            }
        }
        if let Some(most) = node.power_limit {
            slacks.push((format!("{} power", node.name), most.as_milli() - watts));
        }
    }
    slacks
}

/// The phases of all chargers.
pub fn wired(diagram: &Diagram) -> Vec<PhaseSet> {
    diagram.evses.iter().map(Evse::phases).collect()
}

/// The largest excess over any limit, in milli-units; zero if everything holds.
pub fn excess(
    diagram: &Diagram,
    loads: &[PerPhase<Amps>],
    draws: &[PerPhase<Amps>],
    uses: &[PhaseSet],
) -> i64 {
    let slacks = slacks(diagram, loads, draws, uses);
    slacks.into_iter().map(|(_, slack)| -slack).max().unwrap_or(0).max(0)
}

/// Max-min by steps of 0.1 A: whoever has least rises until a limit would break. `cars` are the
/// EVSEs that charge with their phases, `floors` what everybody counts with anyway.
pub fn fair(
    diagram: &Diagram,
    loads: &[PerPhase<Amps>],
    floors: &[PerPhase<Amps>],
    cars: &[(usize, PhaseSet)],
    uses: &[PhaseSet],
) -> Option<Vec<Amps>> {
    let step = Amps::milli(100);
    let start = |(evse, _): &(usize, PhaseSet)| diagram.evses[*evse].minimum;
    let mut levels: Vec<Amps> = cars.iter().map(start).collect();
    let fits = |levels: &[Amps]| {
        let mut draws = floors.to_vec();
        for ((evse, phases), level) in cars.iter().zip(levels) {
            draws[*evse] = floors[*evse].worst(phases.carry(*level));
        }
        excess(diagram, loads, &draws, uses) == 0
    };
    if !fits(&levels) {
        return None;
    }
    let mut rising: Vec<usize> = (0..cars.len()).collect();
    while let Some(lowest) = rising.iter().copied().min_by_key(|car| levels[*car]) {
        levels[lowest] += step;
        if diagram.evses[cars[lowest].0].rated < levels[lowest] || !fits(&levels) {
            levels[lowest] -= step;
            rising.retain(|car| *car != lowest);
        }
    }
    Some(levels)
}
