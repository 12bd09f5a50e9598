//! Charging without Ampgate: full power from plug-in, with or without regard to the connection.
//!
//! No protocol and no controller, only the plant's arithmetic, from event to event. `Unlimited` is
//! what dumb chargers do. `Within` is the fair opponent: the same, first come first served, inside
//! every rating of the diagram.

use std::collections::BTreeMap;

use crate::ground::ids::EvseIndex;
use crate::ground::time::{Duration, Utc};
use crate::ground::units::PerPhase;
use crate::model::diagram::{Diagram, EquipmentKind};
use crate::twin::car::{Car, LEAST_A};
use crate::twin::electric::{Electric, Flow, Ratings};
use crate::twin::scenario::CarModel;

use super::account::Power;
use super::inputs::SessionRow;
use super::summary::{Delivered, Outcome, Summary};
use super::world::World;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// No limit but the car's and the EVSE's.
    Unlimited,
    /// First come first served inside the connection.
    Within,
}

/// A car that stands at its EVSE.
struct Standing<'a> {
    session: usize,
    row: &'a SessionRow,
    car: Car,
    draw: f64,
}

/// Runs all sessions of the world.
pub fn run(world: &World, way: Way) -> Outcome {
    let diagram = &world.site.diagram;
    let mut run = Run {
        diagram,
        electric: Electric::new(diagram),
        ratings: Ratings::new(diagram),
        flow: Flow::default(),
        standing: Vec::new(),
    };
    let mut account = world.account();
    let mut delivered = vec![Delivered::default(); world.sessions.len()];
    let mut waiting: BTreeMap<EvseIndex, Vec<usize>> = BTreeMap::new();
    for (number, row) in world.sessions.iter().enumerate().rev() {
        delivered[number].need_wh = row.energy_wh;
        waiting.entry(row.evse).or_default().push(number);
    }
    let mut overload = Duration::ZERO;
    let mut now = world.from;
    while now < world.until {
        run.come_and_go(world, now, &mut waiting, &mut delivered);
        let (equipment, next_step) = world.equipment_at(now);
        run.share(&equipment, way);
        let next = run.next_event(now, world.until, &waiting, world).min(next_step);
        account.add(now, next, run.power(&equipment));
        if run.is_over(&equipment) {
            overload += next.since(now);
        }
        let hours = next.since(now).as_hours();
        for one in &mut run.standing {
            one.car.got_wh += run.electric.voltage * one.draw * one.row.phases as f64 * hours;
        }
        now = next;
    }
    for one in &run.standing {
        delivered[one.session].got_wh = one.car.got_wh;
    }
    let mut summary = Summary::new(&account, &delivered);
    summary.overload_seconds = overload.as_millis() as f64 / 1000.0;
    Outcome { summary, account, delivered, violations: Vec::new() }
}

/// The state between two events.
struct Run<'a> {
    diagram: &'a Diagram,
    electric: Electric,
    ratings: Ratings,
    flow: Flow,
    /// In order of arrival.
    standing: Vec<Standing<'a>>,
}

impl<'a> Run<'a> {
    /// Lets cars leave, then others come.
    fn come_and_go(
        &mut self,
        world: &'a World,
        now: Utc,
        waiting: &mut BTreeMap<EvseIndex, Vec<usize>>,
        delivered: &mut [Delivered],
    ) {
        self.standing.retain(|one| {
            delivered[one.session].got_wh = one.car.got_wh;
            now < one.row.departure
        });
        for queue in waiting.values_mut() {
            while let Some(session) = queue.last().copied() {
                let row = &world.sessions[session];
                let taken = self.standing.iter().any(|one| one.row.evse == row.evse);
                if now < row.arrival || taken {
                    break;
                }
                queue.pop();
                if now < row.departure {
                    let model = CarModel::plain(row.phases, row.max_a, row.energy_wh);
                    let car = Car::new(model);
                    self.standing.push(Standing { session, row, car, draw: 0.0 });
                }
            }
        }
        self.standing.sort_by_key(|one| (one.row.arrival, one.session));
    }

    /// Gives every car what it may draw.
    fn share(&mut self, equipment: &[f64], way: Way) {
        self.electric.flow(&[], equipment, &mut self.flow);
        let mut load = self.flow.other.clone();
        for one in &mut self.standing {
            let evse = &self.diagram.evses[one.row.evse];
            let wanted = if one.car.is_full() { 0.0 } else { one.row.max_a };
            let phases = || evse.wiring.iter().take(one.row.phases).map(|phase| phase.index());
            one.draw = wanted;
            if way == Way::Within {
                for node in self.diagram.path(evse.node) {
                    for phase in phases() {
                        let (left, total) = self.ratings.room(node, phase, load[node]);
                        one.draw = one.draw.min(left).min(total / one.row.phases as f64);
                    }
                }
            }
            if one.draw < LEAST_A {
                one.draw = 0.0;
            }
            for node in self.diagram.path(evse.node) {
                for phase in phases() {
                    load[node].0[phase] += one.draw;
                }
            }
        }
    }

    /// When a car comes, leaves or is full.
    fn next_event(
        &self,
        now: Utc,
        until: Utc,
        waiting: &BTreeMap<EvseIndex, Vec<usize>>,
        world: &World,
    ) -> Utc {
        let mut next = until;
        for queue in waiting.values() {
            if let Some(session) = queue.last() {
                let arrival = world.sessions[*session].arrival;
                if now < arrival {
                    next = next.min(arrival);
                }
            }
        }
        for one in &self.standing {
            next = next.min(one.row.departure);
            let power = one.draw * one.row.phases as f64 * self.electric.voltage;
            if 0.0 < power {
                let millis = (one.car.missing_wh() / power * 3_600_000.0).ceil().max(1.0);
                next = next.min(now + Duration::millis(millis as i64));
            }
        }
        next
    }

    fn power(&self, equipment: &[f64]) -> Power {
        let voltage = self.electric.voltage;
        let ev = self.standing.iter().map(|one| one.draw * one.row.phases as f64 * voltage);
        power(self.diagram, equipment, ev.sum())
    }

    fn is_over(&mut self, equipment: &[f64]) -> bool {
        let mut currents = vec![PerPhase::default(); self.diagram.evses.len()];
        for one in &self.standing {
            let evse = one.row.evse;
            currents[evse] = self.electric.grid_current(evse, one.draw, one.row.phases);
        }
        self.electric.flow(&currents, equipment, &mut self.flow);
        self.ratings.are_over(&self.flow.all) && !self.ratings.are_over(&self.flow.other)
    }
}

/// Sorts the power of equipment, in W with import positive, by what it is.
pub fn power(diagram: &Diagram, equipment: &[f64], ev: f64) -> Power {
    let mut power = Power { ev, ..Power::default() };
    for (item, watts) in diagram.equipment.iter().zip(equipment) {
        match item.kind {
            EquipmentKind::Pv => power.pv -= watts,
            EquipmentKind::Battery | EquipmentKind::Load => power.load += watts,
        }
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::series::Series;
    use crate::simulate::world::Preferences;
    use crate::twin::sample::yard;

    fn world(load_w: f64) -> World {
        let from = Utc::from_millis(0);
        let row = |evse: EvseIndex, phases: usize, minute: i64| SessionRow {
            evse,
            user: String::new(),
            arrival: from + Duration::minutes(minute),
            departure: from + Duration::hours(5),
            energy_wh: 7360.0,
            phases,
            max_a: 32.0,
            said: None,
        };
        World {
            site: yard(),
            config_text: String::new(),
            sessions: vec![row(0, 1, 0), row(1, 1, 1), row(2, 3, 2)],
            from,
            until: from + Duration::hours(6),
            power: BTreeMap::from([("house".to_owned(), Series::new(vec![(from, load_w)]))]),
            price: None,
            co2: None,
            pv_forecast: None,
            preferences: Preferences::None,
        }
    }

    #[test]
    fn without_limits_everybody_charges_at_once_and_the_breaker_suffers() {
        let outcome = run(&world(6900.0), Way::Unlimited);
        assert_eq!(outcome.summary.unmet_energy_kwh, 0.0);
        assert!(1000.0 < outcome.summary.overload_seconds, "{:?}", outcome.summary);
        assert!((outcome.summary.ev_energy_kwh - 22.08).abs() < 0.01);
    }

    #[test]
    fn within_the_connection_the_first_is_served_and_nothing_is_over() {
        let outcome = run(&world(6900.0), Way::Within);
        assert_eq!(outcome.summary.overload_seconds, 0.0);
        assert_eq!(outcome.summary.unmet_energy_kwh, 0.0);
        // The first car is full after 7.36 kWh at 25 A; nobody else was first on its phase.
        let peak = outcome.summary.peak_import_kw;
        assert!(peak < 3.0 * 40.0 * 0.230 + 0.01, "{peak}");
    }

    #[test]
    fn a_building_that_fills_the_connection_leaves_nothing() {
        let outcome = run(&world(3.0 * 230.0 * 36.0), Way::Within);
        assert_eq!(outcome.summary.ev_energy_kwh, 0.0);
        assert_eq!(outcome.summary.sessions_short, 3);
    }
}
