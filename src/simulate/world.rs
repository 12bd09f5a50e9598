//! What every policy is run in: the site, its sessions and series, and the span of time.

use std::collections::BTreeMap;

use crate::ground::series::Series;
use crate::ground::time::Utc;
use crate::model::diagram::EquipmentKind;
use crate::model::site::Site;

use super::account::{Account, Bill};
use super::inputs::SessionRow;

/// The world of one simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// The site as it is simulated, with equipment for every series that was given.
    pub site: Site,
    /// Its configuration.
    pub config_text: String,
    /// In order of arrival.
    pub sessions: Vec<SessionRow>,
    /// Begin.
    pub from: Utc,
    /// End.
    pub until: Utc,
    /// Power of equipment by identifier, in W with import positive.
    pub power: BTreeMap<String, Series<f64>>,
    /// Price in EUR per MWh.
    pub price: Option<Series<f64>>,
    /// CO2 intensity in g per kWh.
    pub co2: Option<Series<f64>>,
    /// Forecast of the generation in W, for policies that plan.
    pub pv_forecast: Option<Series<f64>>,
    /// What the controller is told of the drivers' needs.
    pub preferences: Preferences,
}

/// What the controller is told of the drivers' needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preferences {
    /// What the driver said.
    Declared,
    /// What past sessions of the driver teach.
    Learned,
    /// Nothing.
    None,
}

impl World {
    /// An empty account of its span.
    pub fn account(&self) -> Account {
        let bill = Bill::new(&self.site.tariff, &self.site.zone, self.price.clone());
        Account::new(self.from, self.until, bill, self.co2.clone())
    }

    /// Power of each piece of equipment, and when it next changes.
    pub fn equipment_at(&self, now: Utc) -> (Vec<f64>, Utc) {
        let mut next = self.until;
        let mut powers = Vec::with_capacity(self.site.diagram.equipment.len());
        for item in &self.site.diagram.equipment {
            let series = self.power.get(&item.id);
            powers.push(series.and_then(|series| series.at(now)).unwrap_or(0.0));
            if let Some(change) = series.and_then(|series| series.next_change(now)) {
                next = next.min(change);
            }
        }
        (powers, next)
    }

    /// Spreads a power over the equipment of a kind, by its size.
    pub fn spread(&mut self, kind: EquipmentKind, series: &Series<f64>) {
        let there = self.site.diagram.equipment.iter().filter(|item| item.kind == kind);
        let shares: Vec<(String, f64)> =
            there.map(|item| (item.id.clone(), item.peak.as_f64())).collect();
        let whole: f64 = shares.iter().map(|(_, size)| size).sum();
        let alike = 1.0 / shares.len().max(1) as f64;
        for (id, size) in shares {
            let part = if 0.0 < whole { size / whole } else { alike };
            let part = if kind == EquipmentKind::Pv { -part } else { part };
            let steps = series.steps().iter().map(|(time, watts)| (*time, watts * part));
            self.power.insert(id, Series::new(steps.collect()));
        }
    }
}
