//! The guard stands between every wish and the wire, and can only lower.
//!
//! It shares no arithmetic with `share`: it looks at what every charger may draw *by the ledger as
//! it is in this moment* and lets a raise through only as far as all rows hold with that. A
//! reduction that others were told but have not confirmed makes no room yet. Lowering is never its
//! business: it is always allowed.

use crate::ground::ids::EvseIndex;
use crate::ground::units::Amps;

use super::ledger::Entry;
use super::rows::{Draw, Rows};

/// The state of all rows while one decision is made.
#[derive(Clone, Debug)]
pub struct Guard<'a> {
    rows: &'a Rows,
    room: &'a [i64],
    worst: Vec<Draw>,
    load: Vec<i64>,
}

/// What a raise came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The limit that may be sent.
    pub limit: Amps,
    /// The row that stopped it; none if all of the wish went through.
    pub stopped_by: Option<usize>,
}

impl<'a> Guard<'a> {
    /// `room` is what chargers may load each row with, `worst` what each may draw by the ledger.
    pub fn new(rows: &'a Rows, room: &'a [i64], worst: Vec<Draw>) -> Self {
        let load = rows.load(|evse| worst[evse]);
        Self { rows, room, worst, load }
    }

    /// How far the live limit of an EVSE may be raised towards `wish` from `from`, which it may
    /// believe already.
    pub fn admit(&self, evse: EvseIndex, entry: &Entry, from: Amps, wish: Amps) -> Admitted {
        let mut admitted = Admitted { limit: wish, stopped_by: None };
        if wish <= from {
            return admitted;
        }
        let phases = entry.car_phases();
        let present = self.worst[evse];
        for index in &self.rows.of_evse[evse] {
            let row = &self.rows.rows[*index];
            let per_amp = row.per_amp(phases, present.uses);
            let raised = row.load(raised(present, entry, admitted.limit));
            let others = self.load[*index] - row.load(present);
            // What it counts with anyway takes no room.
            let is_free = raised <= row.load(present) || per_amp <= 0;
            if is_free || others + raised <= self.room[*index] {
                continue;
            }
            let free = (self.room[*index] - others).max(0);
            let most = Amps::milli(free * 1000 / per_amp).floor_deci().max(from);
            let most = most.max(entry.floor().min(admitted.limit));
            if most < admitted.limit {
                admitted = Admitted { limit: most, stopped_by: Some(*index) };
            }
        }
        admitted
    }

    /// An EVSE may believe `limit` from here on; later raises of this decision count with it.
    pub fn grant(&mut self, evse: EvseIndex, entry: &Entry, limit: Amps) {
        let before = self.worst[evse];
        let after = raised(before, entry, limit);
        for index in &self.rows.of_evse[evse] {
            let row = &self.rows.rows[*index];
            self.load[*index] += row.load(after) - row.load(before);
        }
        self.worst[evse] = after;
    }
}

fn raised(present: Draw, entry: &Entry, limit: Amps) -> Draw {
    Draw { current: present.current.worst(entry.on_phases(limit)), ..present }
}
