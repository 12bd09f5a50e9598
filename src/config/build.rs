//! The file as the rest of Ampgate knows it: a [`Site`]. Leaves out what is not sound; whether that
//! is allowed is not decided here (a file with errors never gets further).

use crate::ground::ids::{ChargePointId, EvseId, IdToken, MeterId, NodeId};
use crate::ground::time::{Duration, Utc};
use crate::ground::units::{Amps, PerPhase, Volts, Watts};
use crate::model::diagram::{Diagram, Equipment, EquipmentKind, Evse, Node};
use crate::model::site::{Access, ChargingPolicy, LeasePolicy, Site};
use crate::model::token::{self, Authorisation, Token};

use super::file::File;
use super::file_access::Offline;
use super::file_diagram::AmpsPerPhase;
use super::tree::{Tree, find};
use super::{check_drivers, check_forecast, check_limit, check_tariff};
use super::{derive, derive_plan};

/// The site, and where in the file its nodes stand.
#[derive(Debug)]
pub struct Built {
    /// As much of the site as is sound.
    pub site: Site,
    /// Place in the file of each node of the diagram.
    pub node_at: Vec<usize>,
}

/// Builds what is sound.
pub fn build(file: &File, tree: &Tree) -> Built {
    let written = file.site.as_ref();
    let zone = written.and_then(|site| site.time_zone.as_deref()).and_then(super::zone::canonical);
    let site = Site {
        name: written.and_then(|site| site.name.clone()).unwrap_or_default(),
        zone: zone.unwrap_or_default(),
        diagram: diagram(file, tree),
        meters: file.meter.iter().filter_map(derive::meter).collect(),
        lease: lease(file),
        charging: charging(file),
        access: access(file),
        tariff: check_tariff::build(&file.tariff),
        feeds: check_forecast::build(file),
        contacts: check_limit::build(file),
        plan: file.plan.as_ref().and_then(derive_plan::policy),
        drivers: check_drivers::build(file),
    };
    Built { site, node_at: tree.order.clone() }
}

/// Voltage between a phase and neutral.
pub fn voltage(file: &File) -> Volts {
    /// Where `[site]` could not be read.
    const USUAL: f64 = 230.0;
    Volts::from_f64(file.site.as_ref().map_or(USUAL, |site| site.voltage_v))
}

fn diagram(file: &File, tree: &Tree) -> Diagram {
    let voltage = voltage(file);
    let place = |index: usize| tree.order.iter().position(|placed| *placed == index);
    let node_of = |id: &Option<String>| id.as_deref().and_then(|id| find(file, id)).and_then(place);
    let nodes = tree.order.iter().map(|index| {
        let node = &file.node[*index];
        let id = node.id.clone().unwrap_or_default();
        let rating = derive::rating(node, voltage).filter(|_| !node.r#virtual);
        let mut worst_load = worst(node.worst_case_load_a);
        if let (Some(rating), Some(AmpsPerPhase::All(_))) = (rating, node.worst_case_load_a) {
            // One number for every phase means every phase that is there.
            worst_load = worst_load
                .zip(rating, |load, rating| if rating == Amps::ZERO { Amps::ZERO } else { load });
        }
        Node {
            id: NodeId::new(&id),
            name: node.name.clone().unwrap_or(id),
            parent: tree.parents[*index].and_then(place),
            rating,
            power_limit: node.power_limit_kw.map(derive::watts),
            imbalance: node.imbalance_a.map(Amps::from_f64).filter(|_| !node.r#virtual),
            meter: node.meter.as_deref().map(MeterId::new),
            worst_load,
            generation_counts: node.generation_counts,
        }
    });
    let evses = file.evse.iter().filter_map(|evse| {
        Some(Evse {
            id: EvseId::new(evse.id.as_deref()?),
            node: node_of(&evse.node)?,
            charge_point: ChargePointId::new(evse.charge_point.as_deref()?),
            connector: evse.connector,
            wiring: derive::wiring(evse.phases.as_deref()?)?,
            rated: Amps::from_f64(evse.rated_a?),
            minimum: Amps::from_f64(evse.min_a),
            safe: Amps::from_f64(evse.safe_a?),
        })
    });
    let equip =
        |kind, id: &Option<String>, node, meter: &Option<String>, peak: Option<f64>, load| {
            Some(Equipment {
                id: id.clone()?,
                node: node_of(node)?,
                kind,
                meter: meter.as_deref().map(MeterId::new),
                worst_load: worst(load),
                peak: peak.map_or(Watts::ZERO, derive::watts),
            })
        };
    let pv = file
        .pv
        .iter()
        .filter_map(|pv| equip(EquipmentKind::Pv, &pv.id, &pv.node, &pv.meter, pv.peak_kw, None));
    let battery = file.battery.iter().filter_map(|item| {
        let load = item.worst_case_load_a;
        equip(EquipmentKind::Battery, &item.id, &item.node, &item.meter, item.peak_kw, load)
    });
    let load = file.load.iter().filter_map(|item| {
        let load = item.worst_case_load_a;
        equip(EquipmentKind::Load, &item.id, &item.node, &item.meter, item.peak_kw, load)
    });
    Diagram {
        nodes: nodes.collect(),
        evses: evses.collect(),
        equipment: pv.chain(battery).chain(load).collect(),
        voltage,
    }
}

fn worst(load: Option<AmpsPerPhase>) -> PerPhase<Amps> {
    load.map_or(PerPhase::ZERO, AmpsPerPhase::per_phase)
}

fn lease(file: &File) -> LeasePolicy {
    let lease = &file.lease;
    LeasePolicy {
        ttl: derive::seconds(lease.ttl_s),
        grace: derive::seconds(lease.grace_s),
        raise_every: derive::seconds(lease.raise_every_s),
        deadband: Amps::from_f64(lease.deadband_a),
        margin: Amps::from_f64(lease.margin_a),
        turn: Duration::millis((lease.turn_min * 60_000.0).round() as i64),
        trust_measured_phases: lease.trust_measured_phases,
    }
}

fn charging(file: &File) -> ChargingPolicy {
    ChargingPolicy {
        sample_interval: derive::seconds(file.charging.meter_interval_s),
        heartbeat_interval: derive::seconds(file.charging.heartbeat_s),
        call_timeout: derive::seconds(file.charging.call_timeout_s),
        authorisation: authorisation(file),
        failsafe: None,
    }
}

fn access(file: &File) -> Access {
    if file.access.as_ref().is_some_and(|access| access.anyone) {
        return Access::Anyone;
    }
    let short = file.access.iter().flat_map(|access| access.tokens.iter().flatten());
    let short = short.map(|token| Token::plain(IdToken::new(token)));
    let time = |text: &Option<String>| text.as_deref().and_then(Utc::parse);
    let long = file.token.iter().filter_map(|token| {
        Some(Token {
            id: IdToken::new(token.id.as_deref()?),
            group: token.group.as_deref().map(IdToken::new),
            from: time(&token.valid_from),
            until: time(&token.valid_until),
            evses: token.evses.as_ref().map(|ids| ids.iter().map(|id| EvseId::new(id)).collect()),
            blocked: token.blocked,
            single: token.single,
        })
    });
    Access::Tokens(long.chain(short).collect())
}

fn authorisation(file: &File) -> Authorisation {
    let usual = Authorisation::default();
    let free = file.evse.iter().filter(|evse| evse.free);
    let free = free.filter_map(|evse| evse.id.as_deref().map(EvseId::new)).collect();
    let Some(access) = &file.access else { return Authorisation { free, ..usual } };
    Authorisation {
        offline: match access.offline {
            Offline::Known => token::Offline::Known,
            Offline::Anyone => token::Offline::Anyone,
            Offline::Nobody => token::Offline::Nobody,
        },
        local_list: access.local_list,
        cache_max_age: derive::seconds(access.cache_max_age_h * 3600.0),
        free,
        ..usual
    }
}
