//! Fair shares: what everybody should get when nothing better is planned.
//!
//! Max-min per phase: whoever has least rises first, until a row of the diagram is full; the cars
//! on that row stay where they are, the others rise on. When not all can have their minimum, as
//! many as fit are served and the rest wait for a turn: those that are being served keep their
//! place for one turn, then whoever has waited longest comes first. A car that has paused is
//! offered its minimum from what nobody else needs, so that it can wake up.

use crate::ground::ids::EvseIndex;
use crate::ground::time::{Duration, Instant};
use crate::ground::units::{Amps, PerPhase, PhaseSet};
use crate::model::bound::{Bound, Cause};

use super::rows::{Draw, Row, Rows};
use super::situation::OtherLoad;

/// A car that takes part.
#[derive(Clone, Debug, PartialEq)]
pub struct Participant {
    /// Where it stands.
    pub evse: EvseIndex,
    /// The grid phases that it loads.
    pub phases: PhaseSet,
    /// The grid phases that it was seen to use.
    pub uses: PhaseSet,
    /// The least it can charge with.
    pub minimum: Amps,
    /// The limit that costs nothing, because it counts with it anyway (its safe share).
    pub free: Amps,
    /// What it counts with even if it gets nothing, by grid phase.
    pub floor: PerPhase<Amps>,
    /// It draws no more than it was told.
    pub obeys: bool,
    /// The most it may get, with the reason.
    pub most: Bound,
    /// It has paused itself or is full.
    pub paused: bool,
}

/// Ranks of the queue, in order.
const SERVED: u8 = 0;
const WAITING: u8 = 1;
const TURN_OVER: u8 = 2;

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
            (Some(since), _) if now.since(since) < turn => (SERVED, since),
            (Some(since), _) => (TURN_OVER, since),
            (None, since) => (WAITING, since.unwrap_or(now)),
        }
    }

    fn serve(&mut self, now: Instant) {
        self.served_since.get_or_insert(now);
        self.waiting_since = None;
    }

    fn wait(&mut self, now: Instant) {
        self.waiting_since.get_or_insert(now);
        self.served_since = None;
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
    let rank = |car: &usize| turns[cars[*car].evse].rank(now, turn);
    let mut order: Vec<(bool, (u8, Instant), usize)> =
        (0..cars.len()).map(|car| (cars[car].paused, rank(&car), car)).collect();
    order.sort_unstable();
    let mut queue = Queue { waiting: 0, is_blocked: false };
    let mut shares: Vec<Option<Share>> = vec![None; cars.len()];
    for (_, (rank, _), car) in order.iter().copied().filter(|(paused, ..)| !paused) {
        let evse = cars[car].evse;
        let cause = match (cars[car].is_chargeable(), filling.serve(car)) {
            (false, _) => {
                turns[evse].reset();
                cars[car].most.cause.clone()
            }
            (true, None) if queue.is_blocked && rank == WAITING => {
                turns[evse].wait(now);
                continue;
            }
            (true, None) => {
                turns[evse].serve(now);
                continue;
            }
            (true, Some(row)) => {
                turns[evse].wait(now);
                queue.waiting += 1;
                queue.is_blocked |= rank == WAITING && filling.would_fit_alone(car);
                let cause = rows.rows[row].cause(&loads[rows.rows[row].constraint.node], 0);
                queued(cause, queue.waiting)
            }
        };
        shares[car] = Some(Share { evse, limit: Amps::ZERO, cause });
    }
    filling.rise();
    for (_, _, car) in order.iter().copied().filter(|(paused, ..)| *paused) {
        let evse = cars[car].evse;
        turns[evse].reset();
        let served = filling.serve(car).is_none();
        let limit = if served { filling.level[car] } else { Amps::ZERO };
        shares[car] = Some(Share { evse, limit, cause: Cause::CarPaused });
    }
    let sharing = filling.sharing();
    let share = |(car, share): (usize, Option<Share>)| {
        share.unwrap_or_else(|| filling.share(car, loads, &sharing))
    };
    shares.into_iter().enumerate().map(share).collect()
}

/// How far the queue has been served in this decision.
struct Queue {
    waiting: usize,
    /// Somebody who has waited longer had to be passed over for want of room that others hold for
    /// the rest of their turn. Who is served meanwhile gets no turn of its own from it and makes
    /// room as soon as the other can be served.
    is_blocked: bool,
}

impl Participant {
    fn is_chargeable(&self) -> bool {
        self.minimum <= self.most.limit
    }

    fn draw(&self, current: PerPhase<Amps>) -> Draw {
        Draw { current, uses: self.uses }
    }

    fn per_amp(&self, row: &Row) -> i64 {
        row.per_amp(self.phases, self.uses)
    }
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
    /// What each car counts with even if it gets nothing.
    floor: Vec<PerPhase<Amps>>,
    /// What each row can take beyond the floors, and what of it is left.
    free: Vec<i64>,
    slack: Vec<i64>,
    level: Vec<Amps>,
    served: Vec<bool>,
    stopped: Vec<Option<usize>>,
}

impl<'a> Filling<'a> {
    /// Where even the floors do not fit (a charger out of reach, more load than was configured), at
    /// least what is told has to: there a floor does not count for those who do what they are told.
    fn new(rows: &'a Rows, room: &[i64], cars: &'a [Participant]) -> Self {
        let mut free = room.to_vec();
        let mut floor: Vec<PerPhase<Amps>> = cars.iter().map(|car| car.floor).collect();
        for car in cars {
            for row in &rows.of_evse[car.evse] {
                free[*row] -= rows.rows[*row].load(car.draw(car.floor));
            }
        }
        let lacks: Vec<bool> = free.iter().map(|free| *free < 0).collect();
        for (car, floor) in cars.iter().zip(&mut floor).filter(|(car, _)| car.obeys) {
            let own = &rows.of_evse[car.evse];
            if own.iter().any(|row| lacks[*row] && 0 < rows.rows[*row].load(car.draw(*floor))) {
                for row in own {
                    free[*row] += rows.rows[*row].load(car.draw(*floor));
                }
                *floor = PerPhase::ZERO;
            }
        }
        Self {
            rows,
            cars,
            floor,
            slack: free.clone(),
            free,
            level: vec![Amps::ZERO; cars.len()],
            served: vec![false; cars.len()],
            stopped: vec![None; cars.len()],
        }
    }

    /// What a car is served with: its minimum, or its safe share where that is more and costs
    /// nothing.
    fn start(&self, car: usize) -> Amps {
        let at = &self.cars[car];
        let free = if self.floor[car] == PerPhase::ZERO { Amps::ZERO } else { at.free };
        at.minimum.max(free.min(at.most.limit))
    }

    /// What a car loads a row with beyond its floor.
    fn extra(&self, car: usize, row: usize, limit: Amps) -> i64 {
        let (at, floor) = (&self.cars[car], self.floor[car]);
        let row = &self.rows.rows[row];
        let draw = at.draw(floor.worst(at.phases.carry(limit)));
        row.load(draw) - row.load(at.draw(floor))
    }

    /// The first row without room for what a car is served with.
    fn full_for(&self, car: usize, slack: &[i64]) -> Option<usize> {
        let start = self.start(car);
        let at = &self.cars[car];
        let is_full = |row: &usize| {
            slack[*row] < self.extra(car, *row, start).max(0)
                && 0 < at.per_amp(&self.rows.rows[*row])
        };
        self.rows.of_evse[at.evse].iter().copied().find(is_full)
    }

    /// Whether a car could be served if nobody else were.
    fn would_fit_alone(&self, car: usize) -> bool {
        self.full_for(car, &self.free).is_none()
    }

    /// Serves a car, or tells the row that has no room for it.
    fn serve(&mut self, car: usize) -> Option<usize> {
        if !self.cars[car].is_chargeable() {
            return None;
        }
        if let Some(row) = self.full_for(car, &self.slack) {
            return Some(row);
        }
        let start = self.start(car);
        for row in &self.rows.of_evse[self.cars[car].evse] {
            self.slack[*row] -= self.extra(car, *row, start);
        }
        (self.level[car], self.served[car]) = (start, true);
        None
    }

    /// The lowest rise together; whoever meets a full row or its own bound stays.
    fn rise(&mut self) {
        let mut higher: Vec<usize> = (0..self.cars.len()).filter(|car| self.served[*car]).collect();
        higher.sort_unstable_by_key(|car| std::cmp::Reverse(self.level[*car]));
        let mut rising: Vec<usize> = Vec::new();
        let mut pull = vec![0_i64; self.slack.len()];
        let mut level = Amps::ZERO;
        while let Some(next) = higher.last().or(rising.last()).copied() {
            if rising.is_empty() {
                level = self.level[next];
            }
            while let Some(car) = higher.pop_if(|car| self.level[*car] <= level) {
                self.pull(&mut pull, car, 1);
                rising.push(car);
            }
            let next = higher.last().map(|car| self.level[*car]);
            let step = self.step(&pull, &rising, level, next);
            level += Amps::milli(step);
            for (slack, pull) in self.slack.iter_mut().zip(&pull) {
                // Rounded up: what is counted as taken is never less than what is taken.
                *slack -= (pull * step + 999) / 1000;
            }
            let full: Vec<bool> = self
                .slack
                .iter()
                .zip(&pull)
                .map(|(slack, pull)| 0 < *pull && (*slack).max(0) * 1000 < *pull)
                .collect();
            let mut still = Vec::with_capacity(rising.len());
            for car in rising {
                let at = &self.cars[car];
                let loads = |row: &usize| full[*row] && 0 < at.per_amp(&self.rows.rows[*row]);
                self.stopped[car] = self.rows.of_evse[at.evse].iter().copied().find(loads);
                self.level[car] = level;
                if self.stopped[car].is_none() && level < at.most.limit {
                    still.push(car);
                } else {
                    self.pull(&mut pull, car, -1);
                }
            }
            rising = still;
        }
    }

    /// By how many mA all of `rising` can rise from `level` until something happens.
    fn step(&self, pull: &[i64], rising: &[usize], level: Amps, next: Option<Amps>) -> i64 {
        let rows = self.slack.iter().zip(pull).filter(|(_, pull)| 0 < **pull);
        let rows = rows.map(|(slack, pull)| (*slack).max(0) * 1000 / pull);
        let bounds = rising.iter().map(|car| self.cars[*car].most.limit);
        let own = bounds.chain(next).map(|bound| (bound - level).as_milli());
        rows.chain(own).min().unwrap_or(0).max(0)
    }

    fn pull(&self, pull: &mut [i64], car: usize, times: i64) {
        let at = &self.cars[car];
        for row in &self.rows.of_evse[at.evse] {
            pull[*row] += times * at.per_amp(&self.rows.rows[*row]);
        }
    }

    /// How many served cars load each row.
    fn sharing(&self) -> Vec<usize> {
        let mut sharing = vec![0; self.slack.len()];
        for (car, _) in self.cars.iter().zip(&self.served).filter(|(_, served)| **served) {
            for row in &self.rows.of_evse[car.evse] {
                sharing[*row] += usize::from(0 < car.per_amp(&self.rows.rows[*row]));
            }
        }
        sharing
    }

    fn share(&self, car: usize, loads: &[OtherLoad], sharing: &[usize]) -> Share {
        let at = &self.cars[car];
        let cause = match self.stopped[car].filter(|_| self.level[car] < at.most.limit) {
            Some(index) => {
                let row = &self.rows.rows[index];
                row.cause(&loads[row.constraint.node], sharing[index])
            }
            None => at.most.cause.clone(),
        };
        Share { evse: at.evse, limit: self.level[car].min(at.most.limit), cause }
    }
}
