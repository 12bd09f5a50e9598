//! The simulated site: charge points with their cars, PV, loads and meters in one tree.
//!
//! Sans-IO: it is told the time and the frames, and says what it does towards the outside. The twin
//! drives it in virtual time, the demo over real sockets. Between two calls all currents are
//! constant, so its integrals are exact. It must not import `control` or `ocpp`: that it does the
//! same sums in a way of its own is the point.

use std::collections::{BTreeMap, VecDeque};

use crate::ground::ids::ChargePointId;
use crate::ground::series::Series;
use crate::ground::time::{Duration, Instant, Now, Utc};
use crate::ground::units::PerPhase;
use crate::model::message::EvseStatus;
use crate::model::site::Site;

use super::charge_point::{ChargePoint, Closed};
use super::connector::Connector;
use super::electric::{Electric, Flow};
use super::meters::Meters;
use super::output::PlantOutput;
use super::random::Random;
use super::scenario::{Declared, Fault, Scenario, Visit};

/// From plug-in until the driver presents a token, at most; at least it is 2 s.
const TOKEN_DELAY: Duration = Duration::seconds(12);

/// What is true at the site, whatever anybody measures or believes.
#[derive(Clone, Debug, PartialEq)]
pub struct PlantState {
    /// When.
    pub at: Instant,
    /// The same by the true calendar.
    pub utc: Utc,
    /// Currents on every node by phase, in A, import positive.
    pub flow: Flow,
    /// The EVSEs in the order of the diagram.
    pub evses: Vec<EvseState>,
    /// Power of each piece of equipment in W, import positive.
    pub equipment: Vec<f64>,
    /// The broker runs.
    pub broker_up: bool,
    /// When equipment last changed its power: load that is not ours.
    pub stepped_at: Instant,
    /// When a fault last struck or was put right.
    pub fault_at: Option<Instant>,
}

/// One EVSE as it truly is.
#[derive(Clone, Debug, PartialEq)]
pub struct EvseState {
    /// By grid phase, in A.
    pub current: PerPhase<f64>,
    /// What it offers the car on each phase, in A.
    pub offered: f64,
    /// What its profiles allow at this moment, in A; its rating where they say nothing.
    pub limit: f64,
    /// What its default profile allows when every lease has run out; none without one.
    pub default_limit: Option<f64>,
    /// Its state.
    pub status: EvseStatus,
    /// Its charge point is connected.
    pub online: bool,
    /// Its charge point keeps limits.
    pub obeys: bool,
    /// Id of the transaction that runs, where one was given.
    pub transaction: Option<i64>,
    /// Energy register in Wh.
    pub register_wh: f64,
    /// Its car.
    pub car: Option<CarState>,
}

/// A car as it truly is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CarState {
    /// On how many phases it charges here.
    pub phases: usize,
    /// What it takes at most on a phase, in A.
    pub max_a: f64,
    /// What it wanted at plug-in, in Wh.
    pub need_wh: f64,
    /// What it has got since, in Wh.
    pub got_wh: f64,
}

/// What a visit came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Position of the visit in the scenario.
    pub visit: usize,
    /// What the car wanted, in Wh.
    pub need_wh: f64,
    /// What it got, in Wh.
    pub got_wh: f64,
}

/// Cars of one EVSE, in order of arrival.
#[derive(Clone, Debug, PartialEq, Default)]
struct Stand {
    charge_point: usize,
    connector: usize,
    coming: VecDeque<(usize, Visit)>,
    /// The visit whose car stands there (none for a car that a fault brought), and when it leaves.
    here: Option<(Option<usize>, Instant)>,
    /// What its driver has to say.
    declared: Option<Declared>,
    /// The transaction for which it was said.
    said_of: Option<i64>,
}

/// The whole site.
#[derive(Clone, Debug, PartialEq)]
pub struct Plant {
    electric: Electric,
    state: PlantState,
    charge_points: Vec<ChargePoint>,
    names: BTreeMap<ChargePointId, usize>,
    stands: Vec<Stand>,
    series: Vec<Option<Series<f64>>>,
    power_at: Option<Instant>,
    /// When each charge point wants to be woken.
    due: Vec<Instant>,
    meters: Meters,
    faults: VecDeque<(Instant, Fault)>,
    /// Added to the monotonic time in milliseconds it gives the calendar.
    calendar: i64,
    random: Random,
    outcomes: Vec<Outcome>,
    closed: Vec<Closed>,
    granted: BTreeMap<i64, (usize, u64)>,
    doubly_granted: Vec<i64>,
    said: Vec<(usize, Declared)>,
}

impl Plant {
    /// The site of this configuration in this scenario. Where `start` has no calendar time, the
    /// plant's own calendar begins in 1970.
    pub fn new(site: &Site, scenario: Scenario, start: Now) -> Self {
        let diagram = &site.diagram;
        let electric = Electric::new(diagram);
        let utc = start.utc.unwrap_or_default();
        let calendar = utc.as_millis() - start.mono.as_millis();
        let mono = |time: Utc| Instant::from_millis(time.as_millis() - calendar);
        let mut stands: Vec<Stand> = diagram.evses.iter().map(|_| Stand::default()).collect();
        let mut charge_points = Vec::new();
        let mut names = BTreeMap::new();
        for (index, id) in diagram.charge_points().into_iter().enumerate() {
            let mut connectors = Vec::new();
            for (number, evse) in diagram.evses.iter().enumerate() {
                if evse.charge_point == id {
                    stands[number].charge_point = index;
                    stands[number].connector = connectors.len();
                    let phases = electric.phases(number);
                    let rated = evse.rated.as_f64();
                    connectors.push(Connector::new(evse.connector, number, phases, rated));
                }
            }
            let behaviour = scenario.chargers.get(&id).cloned().unwrap_or_default();
            let seed = Random::new(scenario.seed.wrapping_add(index as u64)).bits();
            let (power, from, own) = (electric.voltage, (start.mono, utc), id.clone());
            let one = ChargePoint::new(own, connectors, power, behaviour, seed, from);
            charge_points.push(one);
            names.insert(id, index);
        }
        let mut visits: Vec<(usize, Visit)> = scenario.visits.into_iter().enumerate().collect();
        visits.sort_by_key(|(number, visit)| (visit.arrival, *number));
        for (number, visit) in visits {
            if let Some(stand) = stands.get_mut(visit.evse) {
                stand.coming.push_back((number, visit));
            }
        }
        let mut faults: Vec<(Instant, Fault)> =
            scenario.faults.into_iter().map(|(at, fault)| (mono(at), fault)).collect();
        faults.sort_by_key(|(at, _)| *at);
        let series = diagram.equipment.iter().map(|item| scenario.power.get(&item.id).cloned());
        let points = charge_points.len();
        let mut plant = Self {
            state: PlantState::new(diagram.evses.len(), diagram.equipment.len(), start.mono, utc),
            electric,
            charge_points,
            names,
            stands,
            series: series.collect(),
            power_at: None,
            due: vec![start.mono; points],
            meters: Meters::new(diagram, &site.meters, scenario.meters, start.mono),
            faults: faults.into(),
            calendar,
            random: Random::new(scenario.seed),
            outcomes: Vec::new(),
            closed: Vec::new(),
            granted: BTreeMap::new(),
            doubly_granted: Vec::new(),
            said: Vec::new(),
        };
        plant.step_power(start.mono);
        for index in 0..plant.charge_points.len() {
            plant.look(index, start.mono);
        }
        plant.flow();
        plant
    }

    /// What is true.
    pub const fn state(&self) -> &PlantState {
        &self.state
    }

    /// The charge points, in the order of the diagram.
    pub fn charge_points(&self) -> &[ChargePoint] {
        &self.charge_points
    }

    /// What the visits came to that have ended since this was last called.
    pub fn take_outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes)
    }

    /// The transactions that have been closed since this was last called.
    pub fn take_closed(&mut self) -> Vec<Closed> {
        std::mem::take(&mut self.closed)
    }

    /// Transaction ids that were given to two transactions, since this was last called.
    pub fn take_doubly_granted(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.doubly_granted)
    }

    /// What drivers have said since this was last called: each at the EVSE whose transaction has
    /// begun, with the energy that is left to be charged from there on.
    pub fn take_declared(&mut self) -> Vec<(usize, Declared)> {
        std::mem::take(&mut self.said)
    }

    /// What the visits come to whose cars still stand here or are still to come.
    pub fn open_outcomes(&self) -> Vec<Outcome> {
        let mut open = Vec::new();
        for (evse, stand) in self.stands.iter().enumerate() {
            if let (Some((Some(visit), _)), Some(car)) = (stand.here, self.state.evses[evse].car) {
                open.push(Outcome { visit, need_wh: car.need_wh, got_wh: car.got_wh });
            }
            for (visit, coming) in &stand.coming {
                let need_wh = coming.car.need_wh;
                open.push(Outcome { visit: *visit, need_wh, got_wh: 0.0 });
            }
        }
        open
    }

    fn mono(&self, time: Utc) -> Instant {
        Instant::from_millis(time.as_millis() - self.calendar)
    }

    /// When it must next be woken.
    pub fn wake_at(&self) -> Instant {
        let mut wake = Instant::from_millis(i64::MAX);
        for due in &self.due {
            wake = wake.min(*due);
        }
        for stand in &self.stands {
            if let Some((_, leaves)) = stand.here {
                wake = wake.min(leaves);
            } else if let Some((_, visit)) = stand.coming.front() {
                wake = wake.min(self.mono(visit.arrival));
            }
        }
        let fault = self.faults.front().map(|(at, _)| *at);
        let others = [self.power_at, self.meters.wake_at(), fault];
        others.into_iter().flatten().fold(wake, Instant::min)
    }

    /// Does everything that is due.
    pub fn wake(&mut self, now: Now, out: &mut Vec<PlantOutput>) {
        let now = now.mono;
        self.advance(now);
        while self.faults.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, fault)) = self.faults.pop_front() {
                self.strike(fault, now, out);
            }
        }
        if self.power_at.is_some_and(|due| due <= now) {
            self.step_power(now);
        }
        for evse in 0..self.stands.len() {
            self.come_and_go(evse, now, out);
        }
        for index in 0..self.charge_points.len() {
            if self.due[index] <= now {
                self.charge_points[index].wake(now, out);
                self.look(index, now);
            }
        }
        self.measure(now, out);
    }

    /// A charge point's connection stands.
    pub fn connected(&mut self, id: &ChargePointId, now: Now, out: &mut Vec<PlantOutput>) {
        self.touch(id, now.mono, out, |one, now, out| one.connected(now, out));
    }

    /// A charge point's connection is gone, or never came to be.
    pub fn disconnected(&mut self, id: &ChargePointId, now: Now, out: &mut Vec<PlantOutput>) {
        self.touch(id, now.mono, out, |one, now, _| one.disconnected(now));
    }

    /// A frame from the central system.
    pub fn frame(&mut self, id: &ChargePointId, text: &str, now: Now, out: &mut Vec<PlantOutput>) {
        self.touch(id, now.mono, out, |one, now, out| one.frame(text, now, out));
    }

    /// Something goes wrong, or is put right.
    pub fn fault(&mut self, fault: Fault, now: Now, out: &mut Vec<PlantOutput>) {
        self.advance(now.mono);
        self.strike(fault, now.mono, out);
        self.measure(now.mono, out);
    }

    fn touch(
        &mut self,
        id: &ChargePointId,
        now: Instant,
        out: &mut Vec<PlantOutput>,
        act: impl FnOnce(&mut ChargePoint, Instant, &mut Vec<PlantOutput>),
    ) {
        let Some(index) = self.names.get(id).copied() else { return };
        self.advance(now);
        act(&mut self.charge_points[index], now, out);
        if self.look(index, now) {
            self.measure(now, out);
        }
    }

    /// Lets the time up to `now` pass with the currents as they are.
    fn advance(&mut self, now: Instant) {
        let span = now.since(self.state.at);
        if span <= Duration::ZERO {
            return;
        }
        let hours = span.as_hours();
        for charge_point in &mut self.charge_points {
            charge_point.advance(hours);
            for connector in charge_point.connectors() {
                let evse = &mut self.state.evses[connector.evse];
                evse.register_wh = connector.register_wh;
                if let (Some(car), Some((truth, _))) = (&mut evse.car, &connector.car) {
                    car.got_wh = truth.got_wh;
                }
            }
        }
        self.state.at = now;
        self.state.utc = Utc::from_millis(now.as_millis() + self.calendar);
    }

    /// Brings the picture of one charge point up to date; true where a current has changed.
    fn look(&mut self, index: usize, now: Instant) -> bool {
        let one = &mut self.charge_points[index];
        self.due[index] = one.wake_at();
        for (transaction, run) in one.granted.drain(..) {
            let first = *self.granted.entry(transaction).or_insert((index, run));
            if first != (index, run) {
                self.doubly_granted.push(transaction);
            }
        }
        self.closed.append(&mut one.closed);
        let mut changed = false;
        for connector in one.connectors() {
            let phases = connector.car_phases();
            let drawn = connector.drawn;
            let current = self.electric.grid_current(connector.evse, drawn, phases);
            let state = &mut self.state.evses[connector.evse];
            changed |= current != state.current;
            *state = EvseState {
                current,
                offered: connector.offered,
                limit: one.limit(connector, now),
                default_limit: one.default_limit(connector, now),
                status: connector.status(),
                online: one.is_online(),
                obeys: one.behaviour.obeys(),
                transaction: one.transaction(connector),
                register_wh: connector.register_wh,
                car: connector.car.as_ref().map(|(car, _)| CarState {
                    phases,
                    max_a: car.model().max_a,
                    need_wh: car.model().need_wh,
                    got_wh: car.got_wh,
                }),
            };
            let (stand, state) = (&mut self.stands[connector.evse], &*state);
            if let (Some(declared), Some(transaction)) = (stand.declared, state.transaction)
                && stand.said_of != Some(transaction)
            {
                stand.said_of = Some(transaction);
                let got = state.car.map_or(0.0, |car| car.got_wh);
                let energy_wh = declared.energy_wh.map(|energy| energy - got);
                self.said.push((connector.evse, Declared { energy_wh, ..declared }));
            }
        }
        changed
    }

    fn flow(&mut self) {
        let currents: Vec<PerPhase<f64>> =
            self.state.evses.iter().map(|evse| evse.current).collect();
        self.electric.flow(&currents, &self.state.equipment, &mut self.state.flow);
    }

    /// Currents may have changed: sums them up and lets the meters look.
    fn measure(&mut self, now: Instant, out: &mut Vec<PlantOutput>) {
        self.flow();
        let seen = (&self.state.flow, self.state.equipment.as_slice());
        self.meters.wake(now, seen, self.state.broker_up, out);
    }

    /// Takes the power of all equipment from its series.
    fn step_power(&mut self, now: Instant) {
        let utc = Utc::from_millis(now.as_millis() + self.calendar);
        let mut next: Option<Utc> = None;
        for (power, series) in self.state.equipment.iter_mut().zip(&self.series) {
            let Some(series) = series else { continue };
            let value = series.at(utc).unwrap_or(0.0);
            if value != *power {
                *power = value;
                self.state.stepped_at = now;
            }
            next = [next, series.next_change(utc)].into_iter().flatten().min();
        }
        self.power_at = next.map(|time| self.mono(time));
    }

    fn come_and_go(&mut self, evse: usize, now: Instant, out: &mut Vec<PlantOutput>) {
        if self.stands[evse].here.is_some_and(|(_, leaves)| leaves <= now) {
            self.leave(evse, now, out);
        }
        while self.stands[evse].here.is_none() {
            let due = self.stands[evse].coming.front().map(|(_, visit)| self.mono(visit.arrival));
            if due.is_none_or(|due| now < due) {
                return;
            }
            let Some((number, visit)) = self.stands[evse].coming.pop_front() else { return };
            let leaves = self.mono(visit.departure);
            if leaves <= now {
                let need_wh = visit.car.need_wh;
                self.outcomes.push(Outcome { visit: number, need_wh, got_wh: 0.0 });
                continue;
            }
            self.arrive(evse, Some(number), visit, now, out);
        }
    }

    fn arrive(
        &mut self,
        evse: usize,
        number: Option<usize>,
        visit: Visit,
        now: Instant,
        out: &mut Vec<PlantOutput>,
    ) {
        let leaves = self.mono(visit.departure);
        let token_at = now + self.random.span(Duration::seconds(2), TOKEN_DELAY);
        let stand = &mut self.stands[evse];
        stand.here = Some((number, leaves));
        (stand.declared, stand.said_of) = (visit.declared, None);
        let index = stand.charge_point;
        let one = &mut self.charge_points[index];
        one.plug(stand.connector, visit.car, &visit.token, token_at);
        one.settle(now, out);
        self.look(index, now);
    }

    fn leave(&mut self, evse: usize, now: Instant, out: &mut Vec<PlantOutput>) {
        let stand = &mut self.stands[evse];
        stand.declared = None;
        let index = stand.charge_point;
        let one = &mut self.charge_points[index];
        let car = one.unplug(stand.connector, now);
        if let (Some((Some(visit), _)), Some(car)) = (stand.here.take(), car) {
            let need_wh = car.model().need_wh;
            self.outcomes.push(Outcome { visit, need_wh, got_wh: car.got_wh });
        }
        one.settle(now, out);
        self.look(index, now);
    }

    fn strike(&mut self, fault: Fault, now: Instant, out: &mut Vec<PlantOutput>) {
        self.state.fault_at = Some(now);
        let find = |id: &ChargePointId| self.names.get(id).copied();
        let struck = match fault {
            Fault::Meter { meter, mode } => {
                self.meters.switch(&meter, mode, now);
                None
            }
            Fault::Broker { up } => {
                self.state.broker_up = up;
                self.meters.publish_soon(now);
                None
            }
            Fault::CutLink { charge_point, lasts } => find(&charge_point).inspect(|index| {
                self.charge_points[*index].cut(lasts, now, out);
            }),
            Fault::Isolate { charge_point, lasts } => find(&charge_point).inspect(|index| {
                self.charge_points[*index].isolate(now + lasts);
            }),
            Fault::Reboot { charge_point, off } => find(&charge_point).inspect(|index| {
                self.charge_points[*index].reboot(off, now, out);
            }),
            Fault::Behave { charge_point, behaviour } => find(&charge_point).inspect(|index| {
                self.charge_points[*index].behave(behaviour, now);
                self.charge_points[*index].settle(now, out);
            }),
            Fault::Unplug { evse } => {
                if evse < self.stands.len() {
                    self.leave(evse, now, out);
                }
                None
            }
            Fault::Plug { visit } => {
                let evse = visit.evse;
                if self.stands.get(evse).is_some_and(|stand| stand.here.is_none()) {
                    self.arrive(evse, None, visit, now, out);
                }
                None
            }
            Fault::Heal => {
                self.state.broker_up = true;
                self.meters.heal(now);
                for index in 0..self.charge_points.len() {
                    self.charge_points[index].heal(now);
                    self.charge_points[index].settle(now, out);
                    self.look(index, now);
                }
                None
            }
        };
        if let Some(index) = struck {
            self.look(index, now);
        }
    }
}

impl PlantState {
    fn new(evses: usize, equipment: usize, at: Instant, utc: Utc) -> Self {
        let evse = EvseState {
            current: PerPhase::default(),
            offered: 0.0,
            limit: 0.0,
            default_limit: None,
            status: EvseStatus::Available,
            online: false,
            obeys: true,
            transaction: None,
            register_wh: 0.0,
            car: None,
        };
        Self {
            at,
            utc,
            flow: Flow::default(),
            evses: vec![evse; evses],
            equipment: vec![0.0; equipment],
            broker_up: true,
            stepped_at: at,
            fault_at: None,
        }
    }
}
