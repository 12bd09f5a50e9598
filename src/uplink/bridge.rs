//! Chargers of partners as charge points of the site: each EVSE that a partner owns has a link
//! without a socket, with a [`Charger`] at its end.

use std::collections::{BTreeMap, BTreeSet};

use tokio::runtime::Handle as Runtime;
use tokio::sync::mpsc;

use crate::controller::message::{Input, Order};
use crate::controller::view::View;
use crate::daemon::Handle;
use crate::ground::ids::{ChargePointId, EvseId};
use crate::ground::time::Utc;
use crate::ground::units::WattHours;
use crate::model::partner::Ocpi;
use crate::model::preference::{PreferenceSource, StateOfCharge, Wish};
use crate::ocpi::charger::{Charger, Wiring};
use crate::ocpi::engine::desk::{Foreign, ForeignEvent, LimitAnswer};
use crate::ocpi::engine::wanted::Wanted;

use super::event::{Event, Heard, What};

/// Frames that wait for the control loop, for each charger.
const FRAMES_MAX: usize = 64;

/// All of them.
pub struct Bridge {
    chargers: BTreeMap<EvseId, Charger>,
    to_site: BTreeMap<EvseId, mpsc::Sender<String>>,
    orders: BTreeMap<u64, EvseId>,
    next: u64,
    /// EVSEs whose chargers are promised to begin at their safe share.
    promised: BTreeSet<EvseId>,
    daemon: Handle,
    events: mpsc::WeakSender<Event>,
    runtime: Runtime,
}

impl Bridge {
    /// Not connected: that follows with the first picture of the site.
    pub fn new(
        ocpi: &Ocpi,
        daemon: Handle,
        events: mpsc::WeakSender<Event>,
        runtime: Runtime,
    ) -> Self {
        let mut bridge = Self {
            chargers: BTreeMap::new(),
            to_site: BTreeMap::new(),
            orders: BTreeMap::new(),
            next: 0,
            promised: BTreeSet::new(),
            daemon,
            events,
            runtime,
        };
        bridge.reconfigure(ocpi);
        bridge
    }

    /// Another configuration: new EVSEs are connected with the next picture, and the links of those
    /// that are gone end.
    pub fn reconfigure(&mut self, ocpi: &Ocpi) {
        let placed = || {
            let all = ocpi.partners.iter();
            all.flat_map(|partner| partner.evses.iter().map(move |one| (partner, &one.evse)))
        };
        let stays: BTreeSet<&EvseId> = placed().map(|(_, evse)| evse).collect();
        self.chargers.retain(|evse, _| stays.contains(evse));
        self.to_site.retain(|evse, _| stays.contains(evse));
        let promised = placed().filter(|(partner, _)| partner.starts_safe);
        self.promised = promised.map(|(_, evse)| evse.clone()).collect();
        for (_, evse) in placed() {
            self.chargers.entry(evse.clone()).or_insert_with(|| {
                Charger::new(Wiring {
                    evse: evse.clone(),
                    connector: 1,
                    phases: 1,
                    voltage_v: ocpi.voltage_v as f64,
                    begins_a: None,
                })
            });
        }
    }

    /// Connects the chargers that are not.
    pub fn connect(&mut self, view: &View) {
        for (evse, charger) in &mut self.chargers {
            if self.to_site.contains_key(evse) {
                continue;
            }
            let Some(known) = view.evses.iter().find(|known| known.id == evse.as_str()) else {
                continue;
            };
            *charger = Charger::new(Wiring {
                evse: evse.clone(),
                connector: known.connector,
                phases: known.wiring.matches('L').count().max(1),
                voltage_v: view.voltage_v.as_f64(),
                begins_a: self.promised.contains(evse).then_some(known.safe_a.as_f64()),
            });
            let (sender, frames) = mpsc::channel(FRAMES_MAX);
            self.to_site.insert(evse.clone(), sender);
            let charge_point = ChargePointId::new(&known.charge_point);
            let daemon = self.daemon.clone();
            let line = Line { evse: evse.clone(), charge_point, events: self.events.clone() };
            self.runtime.spawn(line.live(daemon, frames));
        }
    }

    /// Something came over one of the links. A limit for the partner may follow.
    pub fn heard(&mut self, heard: Heard, now: Utc) -> Option<(u64, EvseId, f64)> {
        let Heard { evse, what } = heard;
        let charger = self.chargers.get_mut(&evse)?;
        match what {
            What::Up => {
                let frames = charger.connect();
                self.send(&evse, frames);
                None
            }
            What::Frame(text) => {
                let follows = charger.frame(&text, now);
                self.next += 1;
                let order = self.next;
                let limit = follows.limit.map(|(call, limit)| {
                    charger.ordered(order, call, limit);
                    self.orders.insert(order, evse.clone());
                    (order, evse.clone(), limit)
                });
                self.send(&evse, follows.frames);
                limit
            }
        }
    }

    /// Something happened at an EVSE of a partner. Comes back with what people should know.
    pub fn foreign(&mut self, foreign: &Foreign, now: Utc) -> Option<String> {
        let Foreign { evse, event } = foreign;
        if let ForeignEvent::Wants(wanted) = event {
            self.prefer(evse, wanted);
            return None;
        }
        let follows = self.chargers.get_mut(evse)?.event(event, now);
        self.send(evse, follows.frames);
        follows.odd
    }

    /// What became of a limit.
    pub fn answered(&mut self, order: u64, answer: LimitAnswer) {
        let Some(evse) = self.orders.remove(&order) else { return };
        let Some(charger) = self.chargers.get_mut(&evse) else { return };
        let frames = charger.answered(order, answer);
        self.send(&evse, frames);
    }

    fn send(&self, evse: &EvseId, frames: Vec<String>) {
        let Some(sender) = self.to_site.get(evse) else { return };
        for frame in frames {
            if sender.try_send(frame).is_err() {
                log::warn!("the control loop takes nothing more for {evse}");
            }
        }
    }

    /// What a driver wants, for the session that runs at the EVSE or follows there.
    fn prefer(&self, evse: &EvseId, wanted: &Wanted) {
        let kwh = |kwh: f64| WattHours::from_f64(kwh * 1000.0);
        let charge = wanted.target_percent.map(|target| StateOfCharge {
            arrival_percent: wanted.arrival_percent.unwrap_or(0.0),
            target_percent: target,
            capacity_wh: wanted.capacity_kwh.map(kwh),
        });
        let wish =
            Wish { energy_wh: wanted.energy_kwh.map(kwh), charge, departure: wanted.departure };
        let source = PreferenceSource::Partner;
        let order = Order::Prefer { evse: evse.clone(), session: None, wish, source };
        let daemon = self.daemon.clone();
        self.runtime.spawn(async move { daemon.request(order).await });
    }
}

struct Line {
    evse: EvseId,
    charge_point: ChargePointId,
    events: mpsc::WeakSender<Event>,
}

impl Line {
    /// One link after the other, for ever: whoever is disconnected comes back after a while.
    async fn live(self, daemon: Handle, mut frames: mpsc::Receiver<String>) {
        const AGAIN: std::time::Duration = std::time::Duration::from_secs(5);
        loop {
            let Some(mut link) = daemon.field.attach(&self.charge_point).await else { return };
            if !self.tell(What::Up).await {
                return;
            }
            loop {
                tokio::select! {
                    text = link.next() => match text {
                        None => break,
                        Some(text) => if !self.tell(What::Frame(text)).await { return },
                    },
                    frame = frames.recv() => {
                        let Some(text) = frame else { return };
                        let charge_point = self.charge_point.clone();
                        let input = Input::Frame { charge_point, link: link.id(), text };
                        if !daemon.field.put(input).await {
                            return;
                        }
                    }
                }
            }
            link.leave().await;
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn tell(&self, what: What) -> bool {
        let Some(events) = self.events.upgrade() else { return false };
        events.send(Event::Bridge(Heard { evse: self.evse.clone(), what })).await.is_ok()
    }
}
