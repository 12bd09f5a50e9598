//! The cars of a list of sessions at chargers of the double: each takes what it can until it is
//! full, under the last profile that came, and before the first at the safe share. No OCPP
//! and nothing of the controller: only arithmetic.

use std::collections::BTreeMap;

use crate::ground::ids::{EvseId, IdToken};
use crate::ground::time::Utc;
use crate::model::diagram::Diagram;
use crate::model::message::EvseStatus;
use crate::ocpi::engine::desk::{EvseFact, Facts, SessionFact};
use crate::ocpi::engine::wanted::Wanted;
use crate::simulate::inputs::SessionRow;
use crate::simulate::summary::Delivered;
use crate::twin::scenario::Declared;

/// Below this no car charges (IEC 61851-1).
const LEAST_A: f64 = 6.0;

/// A car that came.
#[derive(Clone, Debug)]
struct Car {
    row: usize,
    got_wh: f64,
    ended: Option<Utc>,
}

/// All cars, those to come, and the limits that hold.
#[derive(Debug)]
pub struct Fleet {
    rows: Vec<SessionRow>,
    names: Vec<EvseId>,
    /// What each charger offers before the first profile of a session, in A.
    begins_a: Vec<f64>,
    voltage: f64,
    cars: BTreeMap<u64, Car>,
    /// By EVSE of the diagram: A of a phase, and on how many phases.
    drawn: Vec<(f64, usize)>,
    next: usize,
    /// By EVSE name, in A of a phase.
    pub limits: BTreeMap<EvseId, f64>,
}

impl Fleet {
    /// Nobody has come yet. `names` are the EVSEs as the double calls them, in the diagram's order.
    pub fn new(rows: Vec<SessionRow>, names: Vec<EvseId>, diagram: &Diagram) -> Self {
        let voltage = diagram.voltage.as_f64();
        let begins_a = diagram.evses.iter().map(|evse| evse.safe.as_f64()).collect();
        Self {
            rows,
            names,
            begins_a,
            voltage,
            cars: BTreeMap::new(),
            drawn: vec![(0.0, 0); diagram.evses.len()],
            next: 0,
            limits: BTreeMap::new(),
        }
    }

    /// Time passes from one moment to another; the power of all cars in it.
    pub fn pass(&mut self, from: Utc, until: Utc) -> f64 {
        while self.rows.get(self.next).is_some_and(|row| row.arrival <= from) {
            let car = Car { row: self.next, got_wh: 0.0, ended: None };
            self.next += 1;
            self.cars.insert(self.next as u64, car);
        }
        let hours = until.since(from).as_hours();
        let mut total = 0.0;
        self.drawn.fill((0.0, 0));
        for car in self.cars.values_mut().filter(|car| car.ended.is_none()) {
            let row = &self.rows[car.row];
            if row.departure <= from {
                car.ended = Some(row.departure);
                self.limits.remove(&self.names[row.evse]);
                continue;
            }
            let limit = self.limits.get(&self.names[row.evse]).copied();
            let amps = draw(row, limit.unwrap_or(self.begins_a[row.evse]), car.got_wh);
            self.drawn[row.evse] = (amps, row.phases);
            let power = amps * self.voltage * row.phases as f64;
            car.got_wh = (car.got_wh + power * hours).min(row.energy_wh);
            total += power;
        }
        total
    }

    /// What each EVSE's car drew last: A of a phase, and on how many phases.
    pub fn drawn(&self) -> &[(f64, usize)] {
        &self.drawn
    }

    /// The chargers and sessions as their operator's platform sees them.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        for name in &self.names {
            let standing =
                self.cars.values().rev().find(|car| {
                    car.ended.is_none() && &self.names[self.rows[car.row].evse] == name
                });
            let limit_a = self.limits.get(name).copied();
            let status = match standing {
                None => EvseStatus::Available,
                Some(_) if limit_a.is_some_and(|limit| limit < LEAST_A) => {
                    EvseStatus::SuspendedEvse
                }
                Some(car) if self.rows[car.row].energy_wh <= car.got_wh => EvseStatus::SuspendedEv,
                Some(_) => EvseStatus::Charging,
            };
            facts.evses.push(EvseFact { evse: name.clone(), online: true, status, limit_a });
        }
        for (number, car) in &self.cars {
            let row = &self.rows[car.row];
            let user = if row.user.is_empty() { "GUEST" } else { row.user.as_str() };
            facts.sessions.push(SessionFact {
                session: *number,
                evse: self.names[row.evse].clone(),
                token: IdToken::new(user),
                started: row.arrival,
                ended: car.ended,
                energy_wh: car.got_wh.round() as i64,
            });
        }
        facts
    }

    /// What the drivers of the cars that are there have said, by session.
    pub fn wishes(&self) -> Vec<(u64, Wanted)> {
        let there = self.cars.iter().filter(|(_, car)| car.ended.is_none());
        let wish = |(number, car): (&u64, &Car)| {
            let row = &self.rows[car.row];
            let said = row.said.unwrap_or(Declared { energy_wh: None, departure: None });
            let energy_wh = said.energy_wh.unwrap_or(row.energy_wh);
            let energy_kwh = Some(energy_wh / 1000.0);
            let departure = Some(said.departure.unwrap_or(row.departure));
            (*number, Wanted { energy_kwh, departure, ..Wanted::default() })
        };
        there.map(wish).collect()
    }

    /// What became of every session, in the order of the list.
    pub fn delivered(&self) -> Vec<Delivered> {
        let mut all: Vec<Delivered> =
            self.rows.iter().map(|row| Delivered { need_wh: row.energy_wh, got_wh: 0.0 }).collect();
        for car in self.cars.values() {
            all[car.row].got_wh = car.got_wh;
        }
        all
    }
}

fn draw(row: &SessionRow, limit: f64, got_wh: f64) -> f64 {
    let offered = limit.min(row.max_a);
    if offered < LEAST_A || row.energy_wh <= got_wh { 0.0 } else { offered }
}
