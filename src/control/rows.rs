//! The diagram's constraints as rows of numbers, made once: who loads which row by how much.

use crate::ground::ids::EvseIndex;
use crate::ground::units::{Amps, PerPhase, Phase, PhaseSet, Volts};
use crate::model::bound::Cause;
use crate::model::constraint::{Constraint, ConstraintKind};
use crate::model::diagram::Diagram;
use crate::model::limit::ChargingLimit;

use super::situation::OtherLoad;

/// One constraint with what a decision needs of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The constraint.
    pub constraint: Constraint,
    /// Name of its node, or of the limit from outside.
    pub node_name: String,
    /// It is a limit from outside on what chargers draw: no other load counts in it.
    is_outer: bool,
    voltage: Volts,
}

/// What one EVSE draws at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// By grid phase: the worst of all that may happen, phase by phase.
    pub current: PerPhase<Amps>,
    /// The phases that its car uses, as far as they were seen. With fewer than three, nothing on
    /// another phase makes up for what these carry.
    pub uses: PhaseSet,
}

impl Draw {
    /// Of an EVSE that is left out.
    pub const NOTHING: Self = Self { current: PerPhase::ZERO, uses: PhaseSet::NONE };
}

/// All rows of a site, and for each EVSE the rows that it loads.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// From the roots downwards.
    pub rows: Vec<Row>,
    /// Positions in `rows`, by EVSE.
    pub of_evse: Vec<Vec<usize>>,
    margin: Amps,
}

impl Rows {
    /// The rows of this diagram, each tighter by `margin`, and that of a limit from outside.
    pub fn new(diagram: &Diagram, margin: Amps, outer: Option<&ChargingLimit>) -> Self {
        let row = |constraint: Constraint| Row {
            node_name: diagram.nodes[constraint.node].name.clone(),
            constraint,
            is_outer: false,
            voltage: diagram.voltage,
        };
        let mut rows: Vec<Row> = diagram.constraints().into_iter().map(row).collect();
        rows.extend(outer.map(|outer| Row::outer(diagram, outer)));
        let mut of_evse = vec![Vec::new(); diagram.evses.len()];
        for (index, row) in rows.iter().enumerate() {
            for evse in &row.constraint.evses {
                of_evse[*evse].push(index);
            }
        }
        Self { rows, of_evse, margin }
    }

    /// No rows at all.
    pub fn empty() -> Self {
        Self { rows: Vec::new(), of_evse: Vec::new(), margin: Amps::ZERO }
    }

    /// What chargers may load each row with, in the row's milli-units; negative if nothing.
    pub fn room(&self, loads: &[OtherLoad]) -> Vec<i64> {
        let room = |row: &Row| row.room(&loads[row.constraint.node], self.margin);
        self.rows.iter().map(room).collect()
    }

    /// How much each row is loaded when each EVSE draws `draw`, in the rows' milli-units.
    pub fn load(&self, draw: impl Fn(EvseIndex) -> Draw) -> Vec<i64> {
        let mut load = vec![0_i64; self.rows.len()];
        for evse in 0..self.of_evse.len() {
            let draw = draw(evse);
            for row in &self.of_evse[evse] {
                load[*row] += self.rows[*row].load(draw);
            }
        }
        load
    }
}

impl Row {
    /// A limit on all chargers together. It stands at the first node, whose load does not count.
    fn outer(diagram: &Diagram, outer: &ChargingLimit) -> Self {
        let constraint = Constraint {
            name: outer.words.clone(),
            node: 0,
            kind: ConstraintKind::Power(outer.limit),
            evses: (0..diagram.evses.len()).collect(),
        };
        let (node_name, voltage) = (outer.words.clone(), diagram.voltage);
        Self { constraint, node_name, is_outer: true, voltage }
    }

    /// Whether it is a limit from outside.
    pub fn is_outer(&self) -> bool {
        self.is_outer
    }

    /// How much it is loaded by what an EVSE draws, in its milli-units.
    pub fn load(&self, draw: Draw) -> i64 {
        match self.constraint.kind {
            ConstraintKind::Imbalance(phase, _) if draw.uses != PhaseSet::ALL => {
                draw.uses.carry(draw.current[phase])[phase].as_milli()
            }
            _ => self.constraint.load(draw.current, self.voltage),
        }
    }

    /// How much one ampere on `phases` loads it for a car that uses `uses`, in its milli-units.
    pub fn per_amp(&self, phases: PhaseSet, uses: PhaseSet) -> i64 {
        self.load(Draw { current: phases.carry(Amps::new(1)), uses })
    }

    /// What chargers may load it with, in its milli-units.
    pub fn room(&self, other: &OtherLoad, margin: Amps) -> i64 {
        if self.is_outer {
            return self.constraint.limit();
        }
        let taken = match self.constraint.kind {
            ConstraintKind::Current(phase, _) => (other.current[phase] + margin).as_milli(),
            ConstraintKind::Power(_) => {
                (other.current + PerPhase::all(margin)).power(self.voltage).as_milli()
            }
            ConstraintKind::Imbalance(..) => margin.as_milli(),
        };
        self.constraint.limit() - taken
    }

    /// The reason that this row gives to a car that it stops.
    pub fn cause(&self, other: &OtherLoad, sharing: usize) -> Cause {
        let (node, phase) = (self.node_name.clone(), self.phase());
        if self.is_outer {
            return Cause::Policy { words: node };
        }
        match (&self.constraint.kind, &other.silent) {
            (ConstraintKind::Imbalance(phase, _), _) => Cause::Imbalance { node, phase: *phase },
            (_, Some((meter, since))) => {
                Cause::MeterSilent { meter: meter.clone(), since: *since, node, phase }
            }
            (_, None) => Cause::Breaker { node, phase, sharing },
        }
    }

    /// The phase that it bounds; none for a limit over all phases.
    pub fn phase(&self) -> Option<Phase> {
        match self.constraint.kind {
            ConstraintKind::Current(phase, _) | ConstraintKind::Imbalance(phase, _) => Some(phase),
            ConstraintKind::Power(_) => None,
        }
    }

    /// An amount of it in A or W, with the unit.
    pub fn in_units(&self, milli: i64) -> (f64, &'static str) {
        let unit = match self.constraint.kind {
            ConstraintKind::Power(_) => "W",
            ConstraintKind::Current(..) | ConstraintKind::Imbalance(..) => "A",
        };
        (milli as f64 / 1000.0, unit)
    }
}
