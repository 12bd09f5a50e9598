//! Fair shares: what everybody should get when nothing better is planned.
//!
//! Max-min per phase: all cars rise together from their minimum until a row of the diagram is full;
//! the cars on that row stay where they are, the others rise on. When not all can have their
//! minimum, as many as fit are served and the rest wait for a turn: those that are being served keep
//! their place for one turn, then whoever has waited longest comes first. A car that has paused is
//! offered its minimum from what nobody else needs, so that it can wake up.

use crate::ground::ids::EvseIndex;
use crate::ground::time::{Duration, Instant};
use crate::ground::units::{Amps, PerPhase, PhaseSet};
use crate::model::bound::{Bound, Cause};

use super::rows::Rows;
use super::situation::OtherLoad;

/// A car that takes part.
#[derive(Clone, Debug, PartialEq)]
pub struct Participant {
    /// Where it stands.
    pub evse: EvseIndex,
    /// The grid phases that it loads.
    pub phases: PhaseSet,
    /// The least it can charge with.
    pub minimum: Amps,
    /// The limit that costs nothing, because it counts with it anyway (its safe share).
    pub free: Amps,
    /// What it counts with even if it gets nothing, by grid phase.
    pub floor: PerPhase<Amps>,
    /// The most it may get, with the reason.
    pub most: Bound,
    /// It has paused itself or is full.
    pub paused: bool,
}

/// Who is served and who waits, from decision to decision.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Turn {
    served_since: Option<Instant>,
    waiting_since: Option<Instant>,
}

/// What a car gets, and why not more.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// For whom.
    pub evse: EvseIndex,
    /// Zero or at least the minimum.
    pub limit: Amps,
    /// Why not more.
    pub cause: Cause,
}

impl Turn {
    /// The car is gone.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// When its turn is over.
    pub fn ends(&self, turn: Duration) -> Option<Instant> {
        self.served_since.map(|since| since + turn)
    }

    /// Whether it waits.
    pub fn is_waiting(&self) -> bool {
        self.waiting_since.is_some()
    }

    /// Served cars inside their turn first, then who waits longest, then whose turn is over.
    fn rank(&self, now: Instant, turn: Duration) -> (u8, Instant) {
        match (self.served_since, self.waiting_since) {
            (Some(since), _) if now.since(since) < turn => (0, since),
            (Some(since), _) => (2, since),
            (None, since) => (1, since.unwrap_or(now)),
        }
    }

    fn note(&mut self, served: bool, now: Instant) {
        if served {
            self.served_since.get_or_insert(now);
            self.waiting_since = None;
        } else {
            self.waiting_since.get_or_insert(now);
            self.served_since = None;
        }
    }
}

/// One fair allocation. `room` is what all participants together may load each row with.
pub fn shares(
    rows: &Rows,
    loads: &[OtherLoad],
    room: &[i64],
    cars: &[Participant],
    turns: &mut [Turn],
    turn: Duration,
    now: Instant,
) -> Vec<Share> {
    let mut filling = Filling::new(rows, room, cars);
    let mut order: Vec<usize> = (0..cars.len()).collect();
    order.sort_by_key(|car| (cars[*car].paused, turns[cars[*car].evse].rank(now, turn), *car));
    let mut waiting = 0;
    let mut shares: Vec<Option<Share>> = vec![None; cars.len()];
    for car in order.iter().copied().filter(|car| !cars[*car].paused) {
        let evse = cars[car].evse;
        if cars[car].most.limit < cars[car].minimum {
            let cause = cars[car].most.cause.clone();
            shares[car] = Some(Share { evse, limit: Amps::ZERO, cause });
            continue;
        }
        match filling.serve(car) {
            None => turns[evse].note(true, now),
            Some(row) => {
                waiting += 1;
                turns[evse].note(false, now);
                let cause = rows.rows[row].cause(&loads[rows.rows[row].constraint.node], 0);
                shares[car] =
                    Some(Share { evse, limit: Amps::ZERO, cause: queued(cause, waiting) });
            }
        }
    }
    filling.rise();
    for car in order.iter().copied().filter(|car| cars[*car].paused) {
        let evse = cars[car].evse;
        turns[evse].reset();
        let served = cars[car].minimum <= cars[car].most.limit && filling.serve(car).is_none();
        let limit = if served { filling.level[car] } else { Amps::ZERO };
        shares[car] = Some(Share { evse, limit, cause: Cause::CarPaused });
    }
    let finished = shares.into_iter().enumerate();
    finished.map(|(car, share)| share.unwrap_or_else(|| filling.share(car, loads))).collect()
}

/// A silent meter or an imbalance is the better reason; else it is the queue.
fn queued(cause: Cause, position: usize) -> Cause {
    match cause {
        Cause::Breaker { node, phase, .. } => Cause::WaitingTurn { position, node, phase },
        other => other,
    }
}

/// Levels that rise together until rows are full.
struct Filling<'a> {
    rows: &'a Rows,
    cars: &'a [Participant],
    slack: Vec<i64>,
    level: Vec<Amps>,
    served: Vec<bool>,
    stopped: Vec<Option<usize>>,
}

impl<'a> Filling<'a> {
    fn new(rows: &'a Rows, room: &[i64], cars: &'a [Participant]) -> Self {
        let mut slack = room.to_vec();
        for car in cars {
            for row in &rows.of_evse[car.evse] {
                slack[*row] -= rows.rows[*row].load(car.floor);
            }
        }
        Self {
            rows,
            cars,
            slack,
            level: vec![Amps::ZERO; cars.len()],
            served: vec![false; cars.len()],
            stopped: vec![None; cars.len()],
        }
    }

    /// What a car loads a row with beyond its floor.
    fn extra(&self, car: usize, row: usize, limit: Amps) -> i64 {
        let car = &self.cars[car];
        let row = &self.rows.rows[row];
        row.load(car.floor.worst(car.phases.carry(limit))) - row.load(car.floor)
    }

    /// Gives a car its minimum (its safe share where that is more, which costs nothing), or tells
    /// the row that has no room for it.
    fn serve(&mut self, car: usize) -> Option<usize> {
        let Participant { evse, minimum, free, most, .. } = &self.cars[car];
        let start = (*minimum).max(*free).min(most.limit.max(*minimum));
        let rows = &self.rows.of_evse[*evse];
        let costs: Vec<i64> = rows.iter().map(|row| self.extra(car, *row, start)).collect();
        let full = |(row, cost): (&usize, &i64)| 0 < *cost && self.slack[*row] < *cost;
        if let Some(at) = rows.iter().zip(&costs).position(full) {
            return Some(rows[at]);
        }
        for (row, cost) in rows.iter().zip(&costs) {
            self.slack[*row] -= cost;
        }
        (self.level[car], self.served[car]) = (start, true);
        None
    }

    /// All served cars rise together; whoever meets a full row or its own bound stays.
    fn rise(&mut self) {
        let mut rising: Vec<usize> = (0..self.cars.len()).filter(|car| self.served[*car]).collect();
        while !rising.is_empty() {
            let mut per_amp = vec![0_i64; self.slack.len()];
            for car in &rising {
                let car = &self.cars[*car];
                for row in &self.rows.of_evse[car.evse] {
                    per_amp[*row] += self.rows.rows[*row].per_amp(car.phases);
                }
            }
            let of_row = |row: usize| match per_amp[row] {
                1.. => Some((self.slack[row].max(0) * 1000 / per_amp[row], row)),
                _ => None,
            };
            let tightest = (0..self.slack.len()).filter_map(of_row).min();
            let own =
                rising.iter().map(|car| (self.cars[*car].most.limit - self.level[*car]).as_milli());
            let own = own.min().unwrap_or(0).max(0);
            let step = tightest.map_or(own, |(step, _)| step.min(own));
            for car in &rising {
                self.level[*car] += Amps::milli(step);
            }
            for (row, per_amp) in per_amp.iter().enumerate() {
                // Rounded up: what is counted as taken is never less than what is taken.
                self.slack[row] -= (per_amp * step + 999) / 1000;
            }
            let full =
                |row: &usize| 0 < per_amp[*row] && self.slack[*row].max(0) * 1000 < per_amp[*row];
            let before = rising.len();
            rising.retain(|car| {
                let at = &self.cars[*car];
                let loads = |row: &&usize| 0 < self.rows.rows[**row].per_amp(at.phases);
                let rows = self.rows.of_evse[at.evse].iter().filter(loads);
                let stopped = rows.copied().find(full);
                self.stopped[*car] = stopped;
                stopped.is_none() && self.level[*car] < at.most.limit
            });
            if rising.len() == before {
                return;
            }
        }
    }

    fn share(&self, car: usize, loads: &[OtherLoad]) -> Share {
        let at = &self.cars[car];
        let cause = match self.stopped[car].filter(|_| self.level[car] < at.most.limit) {
            Some(row) => {
                let loaded = &self.rows.rows[row];
                let on_it = |other: &usize| {
                    self.served[*other]
                        && 0 < loaded.per_amp(self.cars[*other].phases)
                        && self.rows.of_evse[self.cars[*other].evse].contains(&row)
                };
                let sharing = (0..self.cars.len()).filter(on_it).count();
                loaded.cause(&loads[loaded.constraint.node], sharing)
            }
            None => at.most.cause.clone(),
        };
        Share { evse: at.evse, limit: self.level[car].min(at.most.limit), cause }
    }
}
