//! The state as people may see it.

use crate::ground::ids::{EvseIndex, NodeIndex};
use crate::ground::time::{Instant, Now};
use crate::ground::units::{Amps, PerPhase, Watts};
use crate::model::diagram::EquipmentKind;
use crate::model::reservation::Reservation;
use crate::model::session::Session;
use crate::ocpp::traffic::PointView;

use super::state::State;
use super::tick::OVERLOAD_TOLD;
use super::view::{
    ChargePointView, EquipmentView, EvseView, MeterView, NodeView, ReservationView, SessionView,
    Totals, View,
};

/// Sessions shown besides those that are open; all of them are in the store.
const SESSIONS_SHOWN: usize = 30;

impl State {
    /// A plain copy for page, API and command line.
    pub fn view(&self, now: Now) -> View {
        let counters = self.central.counters();
        View {
            at: now.utc,
            uptime_ms: now.mono.since(self.started).as_millis(),
            site: self.site.name.clone(),
            zone: self.site.zone.clone(),
            voltage_v: self.site.diagram.voltage,
            degraded: self.degraded(now),
            nodes: self.node_views(now),
            evses: (0..self.evses.len()).map(|evse| self.evse_view(evse, now)).collect(),
            meters: self.meter_views(now),
            equipment: self.equipment_views(now),
            charge_points: self.charge_point_views(),
            sessions: self
                .book
                .sessions()
                .enumerate()
                .filter(|(at, session)| *at < SESSIONS_SHOWN || session.ended.is_none())
                .map(|(_, session)| self.session_view(session))
                .collect(),
            drill: self.drill_view(now),
            reservations: self.reservation_views(),
            campaigns: self.campaign_views(),
            events: self.events.iter().cloned().collect(),
            totals: Totals {
                frames_in: self.totals.frames_in + counters.frames_in,
                frames_out: self.totals.frames_out + counters.frames_out,
                frames_bad: self.totals.frames_bad + counters.frames_bad,
                ..self.totals
            },
            forecasts: self.forecast_views(now),
            plan: self.plan_view(),
            limits: self.outer_views(now.mono),
        }
    }

    /// What keeps the site from its usual limits, in words.
    fn degraded(&self, now: Now) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(self.site.charging.failsafe.clone());
        for (image, meter) in self.meters.iter().zip(&self.site.meters) {
            if !image.is_fresh(meter, now.mono) {
                words.push(match image.heard() {
                    Some(heard) => {
                        format!("meter {} silent for {}", meter.id, now.mono.since(heard))
                    }
                    None => format!("meter {} not heard yet", meter.id),
                });
            }
        }
        if let Some(why) = &self.broker_down {
            words.push(format!("MQTT broker not reachable: {why}"));
        }
        let offline = self.points.values().filter(|point| point.online_since.is_none()).count();
        if 0 < offline {
            words.push(format!("{offline} of {} charge points not connected", self.points.len()));
        }
        for (evse, disobeys) in self.disobeying.iter().enumerate() {
            if *disobeys {
                words.push(format!("{} draws more than it was told", self.evse_name(evse)));
            }
        }
        let lasting = |(_, since): &(&String, &Instant)| OVERLOAD_TOLD <= now.mono.since(**since);
        for (name, _) in self.overloads.iter().filter(lasting) {
            words.push(format!("{name} cannot hold what may be drawn in the worst case"));
        }
        if let Some(why) = &self.store_failing {
            words.push(format!("the store cannot write: {why}"));
        }
        if now.utc.is_none() {
            words.push("the clock is not trusted yet".to_owned());
        }
        words
    }

    fn node_views(&self, now: Now) -> Vec<NodeView> {
        let loads = self.other_loads(now.mono);
        let diagram = &self.site.diagram;
        let name = |index: NodeIndex| diagram.nodes[index].id.to_string();
        let view = |(index, load): (NodeIndex, crate::control::situation::OtherLoad)| {
            let node = &diagram.nodes[index];
            let below = diagram.evses_under(index);
            let sum = |of: &dyn Fn(EvseIndex) -> PerPhase<Amps>| {
                below.iter().fold(PerPhase::ZERO, |sum, evse| sum + of(*evse))
            };
            let leased = sum(&|evse| self.control.worst(evse, now.mono));
            let charging = sum(&|evse| self.measured(evse, now).unwrap_or(PerPhase::ZERO));
            let meter = |id| self.site.meters.iter().position(|meter| &meter.id == id);
            let metered = node.meter.as_ref().and_then(meter).and_then(|meter| {
                self.meters[meter].current(&self.site.meters[meter], now.mono, diagram.voltage)
            });
            NodeView {
                id: node.id.to_string(),
                name: node.name.clone(),
                parent: node.parent.map(name),
                rating_a: node.rating,
                power_limit_w: node.power_limit,
                other_load_a: load.current,
                leased_a: leased,
                charging_a: charging,
                headroom_a: node.rating.map(|rating| rating - load.current - leased),
                metered_a: metered,
                silent_meter: load.silent.map(|(meter, _)| meter.to_string()),
            }
        };
        loads.into_iter().enumerate().map(view).collect()
    }

    fn measured(&self, evse: EvseIndex, now: Now) -> Option<PerPhase<Amps>> {
        let fresh = self.evses[evse].fresh(now.mono, self.reading_max_age());
        fresh.map(|reading| reading.current)
    }

    fn evse_view(&self, index: EvseIndex, now: Now) -> EvseView {
        let evse = &self.site.diagram.evses[index];
        let state = &self.evses[index];
        let reading = state.fresh(now.mono, self.reading_max_age());
        let cause = self.control.cause(index).clone();
        EvseView {
            id: evse.id.to_string(),
            node: self.site.diagram.nodes[evse.node].id.to_string(),
            charge_point: evse.charge_point.to_string(),
            connector: evse.connector,
            wiring: evse.wiring.iter().map(ToString::to_string).collect(),
            rated_a: evse.rated,
            safe_a: evse.safe,
            online: self.is_online(index),
            status: state.status,
            session: state.live.map(|live| live.session.0),
            limit_a: state.live.and_then(|_| self.control.limit(index)),
            leased_a: self.control.worst(index, now.mono),
            measured_a: reading.map(|reading| reading.current),
            power_w: reading.and_then(|reading| reading.power),
            armed: self.control.is_armed(index),
            soc_percent: state.soc_percent,
            preference: self.preference_view(index, now),
            stay: self.stay_view(index),
            reason: cause.words(now.mono),
            cause,
        }
    }

    fn meter_views(&self, now: Now) -> Vec<MeterView> {
        let voltage = self.site.diagram.voltage;
        let meters = self.meters.iter().zip(&self.site.meters);
        let view = |(image, meter): (&super::image::MeterImage, _)| {
            let meter: &crate::model::meter::Meter = meter;
            MeterView {
                id: meter.id.to_string(),
                fresh: image.is_fresh(meter, now.mono),
                age_ms: image.oldest(meter).map(|at| now.mono.since(at).as_millis()),
                current_a: image.current(meter, now.mono, voltage),
                power_w: image.power(meter, now.mono, voltage),
            }
        };
        meters.map(view).collect()
    }

    fn equipment_views(&self, now: Now) -> Vec<EquipmentView> {
        let diagram = &self.site.diagram;
        let power = |id: &crate::ground::ids::MeterId| -> Option<Watts> {
            let index = self.site.meters.iter().position(|meter| &meter.id == id)?;
            self.meters[index].power(&self.site.meters[index], now.mono, diagram.voltage)
        };
        let view = |item: &crate::model::diagram::Equipment| EquipmentView {
            id: item.id.clone(),
            kind: match item.kind {
                EquipmentKind::Pv => "pv",
                EquipmentKind::Battery => "battery",
                EquipmentKind::Load => "load",
            }
            .to_owned(),
            node: diagram.nodes[item.node].id.to_string(),
            power_w: item.meter.as_ref().and_then(power),
        };
        diagram.equipment.iter().map(view).collect()
    }

    fn charge_point_views(&self) -> Vec<ChargePointView> {
        let view = |point: PointView| ChargePointView {
            id: point.id.to_string(),
            online: point.online,
            identity: point.identity,
            capability: point.capability,
        };
        self.central.points().map(view).collect()
    }

    fn reservation_views(&self) -> Vec<ReservationView> {
        let view = |one: &Reservation| ReservationView {
            id: one.id.0,
            target: match &one.evse {
                Some(evse) => evse.to_string(),
                None => one.charge_point.to_string(),
            },
            token: one.token.masked(),
            until: one.until,
            open: one.is_open(),
            state: one.state.words(),
        };
        self.reservations.values().rev().map(view).collect()
    }

    fn session_view(&self, session: &Session) -> SessionView {
        let transaction = self.book.transaction(session.transaction);
        let stop = transaction.and_then(|known| known.stop.as_ref());
        SessionView {
            id: session.id.0,
            evse: session.evse.to_string(),
            transaction: session.transaction.0,
            token: session.token.masked(),
            started: session.started,
            ended: session.ended,
            energy_wh: session.energy_wh,
            reason: stop.map(|stop| stop.reason.clone()),
        }
    }
}
