//! Where the energy came from and what it cost: true power, integrated in quarter hours.
//!
//! PV feeds the building first and then the cars; the grid gives the rest. Power is constant
//! between two events of the plant, so the sums are exact.

use std::collections::BTreeMap;

use crate::forecast::price::Prices;
use crate::ground::calendar::Calendar;
use crate::ground::series::Series;
use crate::ground::time::{Duration, Utc};
use crate::model::feed::Received;
use crate::model::tariff::{Billing, Tariff};

/// Length of a slot: what grid operators measure peaks in.
pub const SLOT: Duration = Duration::minutes(15);
/// Hours of a slot.
pub const SLOT_HOURS: f64 = 0.25;

/// True power in W, each zero or more.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Power {
    /// Into cars.
    pub ev: f64,
    /// From the roof.
    pub pv: f64,
    /// Into the building.
    pub load: f64,
}

/// Energies of a quarter hour in kWh.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slot {
    /// Into cars.
    pub ev: f64,
    /// From the roof.
    pub pv: f64,
    /// Into the building.
    pub load: f64,
    /// From the roof into cars.
    pub pv_to_ev: f64,
    /// From the grid, by everything on site.
    pub import: f64,
    /// Into the grid.
    pub export: f64,
}

/// The sums of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    start: Utc,
    slots: Vec<Slot>,
    /// Import less what export earned, peaks left out, in EUR.
    energy_eur: f64,
    /// CO2 of the energy that the cars took from the grid, in kg.
    pub co2_kg: f64,
    bill: Bill,
    co2: Option<Series<f64>>,
}

/// What energy costs on the site, as time passes.
#[derive(Clone, Debug, PartialEq)]
pub struct Bill {
    prices: Prices,
    zone: Calendar,
    market: Option<Series<f64>>,
    told_until: Option<Utc>,
}

impl Account {
    /// An empty one for a span.
    pub fn new(from: Utc, until: Utc, bill: Bill, co2: Option<Series<f64>>) -> Self {
        let start =
            Utc::from_millis(from.as_millis().div_euclid(SLOT.as_millis()) * SLOT.as_millis());
        let count = until.since(start).as_millis().div_euclid(SLOT.as_millis()).max(0) + 1;
        let slots = vec![Slot::default(); count as usize];
        Self { start, slots, energy_eur: 0.0, co2_kg: 0.0, bill, co2 }
    }

    /// The slots with their starts.
    pub fn slots(&self) -> impl Iterator<Item = (Utc, Slot)> {
        (0i64..).zip(&self.slots).map(|(index, slot)| (self.start + SLOT * index, *slot))
    }

    /// Power was like this from `from` to `until`.
    pub fn add(&mut self, from: Utc, until: Utc, power: Power) {
        let mut at = from;
        while at < until {
            let index = at.since(self.start).as_millis().div_euclid(SLOT.as_millis());
            let end = (self.start + SLOT * (index + 1)).min(until);
            let hours = end.since(at).as_hours();
            let (mut imported, mut exported) = (0.0, 0.0);
            let grid_kwh = match usize::try_from(index).ok().and_then(|it| self.slots.get_mut(it)) {
                Some(slot) => {
                    let before = *slot;
                    let grid_kwh = slot.add(power, hours);
                    imported = slot.import - before.import;
                    exported = slot.export - before.export;
                    grid_kwh
                }
                None => 0.0,
            };
            self.energy_eur += self.bill.eur(at, imported, exported, hours);
            if 0.0 < grid_kwh {
                let grams = self.co2.as_ref().and_then(|one| one.at(at)).unwrap_or(0.0);
                self.co2_kg += grid_kwh * grams / 1000.0;
            }
            at = end;
        }
    }

    /// Energies over the whole span.
    pub fn total(&self) -> Slot {
        let mut sum = Slot::default();
        for slot in &self.slots {
            sum.ev += slot.ev;
            sum.pv += slot.pv;
            sum.load += slot.load;
            sum.pv_to_ev += slot.pv_to_ev;
            sum.import += slot.import;
            sum.export += slot.export;
        }
        sum
    }

    /// Everything that the site pays: import, less what export earned, and the highest import of
    /// each billing period.
    pub fn cost_eur(&self) -> f64 {
        let Some(peak) = self.bill.prices.tariff().peak else { return self.energy_eur };
        let basis = peak.basis.as_millis().max(1);
        let mut means: BTreeMap<i64, f64> = BTreeMap::new();
        for (start, slot) in self.slots() {
            let kw = slot.import / peak.basis.as_hours().max(SLOT_HOURS);
            *means.entry(start.as_millis().div_euclid(basis)).or_default() += kw;
        }
        let mut highest: BTreeMap<(i16, i8), f64> = BTreeMap::new();
        for (span, mean) in means {
            let local = self.bill.zone.local(Utc::from_millis(span * basis));
            let month = if peak.billing == Billing::Month { local.month } else { 0 };
            let kw = highest.entry((local.year, month)).or_default();
            *kw = kw.max(mean);
        }
        self.energy_eur + highest.values().sum::<f64>() * peak.eur_per_kw
    }

    /// The highest mean import of a quarter hour, in kW.
    pub fn peak_import_kw(&self) -> f64 {
        self.slots.iter().map(|slot| slot.import / SLOT_HOURS).fold(0.0, f64::max)
    }
}

impl Bill {
    /// By the contract of the site, with the market's prices in EUR per MWh where there are any.
    pub fn new(tariff: &Tariff, zone: &str, market: Option<Series<f64>>) -> Self {
        let zone = Calendar::new(zone);
        let mut tariff = tariff.clone();
        tariff.market |= market.is_some();
        Self { prices: Prices::new(tariff, zone.clone()), zone, market, told_until: None }
    }

    /// What an import and an export of so many kWh come to.
    fn eur(&mut self, at: Utc, import_kwh: f64, export_kwh: f64, hours: f64) -> f64 {
        if let Some(market) = &self.market
            && self.told_until.is_none_or(|until| until <= at)
        {
            let until = at + Duration::hours(24);
            self.prices.receive(&market_prices(market, at, until, at));
            self.told_until = Some(until);
        }
        let import = self.prices.import_cost_eur(at, import_kwh, hours);
        import - export_kwh * self.prices.export_eur_per_kwh(at).value
    }
}

/// A span of market prices as a feed would tell it, in EUR per kWh.
pub fn market_prices(market: &Series<f64>, from: Utc, until: Utc, issued: Utc) -> Received {
    let before = market.at(from).map(|price| (from, price / 1000.0));
    let inside = market.steps().iter().filter(|(at, _)| from < *at && *at < until);
    let steps = inside.map(|(at, price)| (*at, price / 1000.0));
    let steps = before.into_iter().chain(steps).collect();
    Received { until, ..Received::new("the file of prices", issued, steps) }
}

impl Slot {
    /// Adds power over some hours; what the cars took from the grid, in kWh.
    fn add(&mut self, power: Power, hours: f64) -> f64 {
        let spare = (power.pv - power.load).max(0.0);
        let pv_to_ev = power.ev.min(spare);
        let kwh = hours / 1000.0;
        self.ev += power.ev * kwh;
        self.pv += power.pv * kwh;
        self.load += power.load * kwh;
        self.pv_to_ev += pv_to_ev * kwh;
        let net = power.ev + power.load - power.pv;
        self.import += net.max(0.0) * kwh;
        self.export += (-net).max(0.0) * kwh;
        (power.ev - pv_to_ev) * kwh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_building_takes_the_sun_first() {
        let start = Utc::from_millis(0);
        let price = Series::new(vec![(start, 100.0), (start + Duration::hours(1), 200.0)]);
        let bill = Bill::new(&Tariff::default(), "UTC", Some(price));
        let mut account = Account::new(start, start + Duration::hours(2), bill, None);
        let power = Power { ev: 7000.0, pv: 6000.0, load: 2000.0 };
        account.add(start, start + Duration::hours(2), power);
        let total = account.total();
        assert!((total.pv_to_ev - 8.0).abs() < 1e-9);
        assert!((total.import - 6.0).abs() < 1e-9);
        assert!((account.peak_import_kw() - 3.0).abs() < 1e-9);
        // 3 kWh from the grid at 0.10, then 3 kWh at 0.20.
        assert!((account.cost_eur() - 0.9).abs() < 1e-9);
    }
}
