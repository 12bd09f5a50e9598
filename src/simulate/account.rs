//! Where the energy came from and what it cost: true power, integrated in quarter hours.
//!
//! PV feeds the building first and then the cars; the grid gives the rest. Power is constant
//! between two events of the plant, so the sums are exact.

use crate::ground::series::Series;
use crate::ground::time::{Duration, Utc};

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
}

/// The sums of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    start: Utc,
    slots: Vec<Slot>,
    /// Cost of the energy that the cars took from the grid, in EUR.
    pub cost_eur: f64,
    /// CO2 of the same energy, in kg.
    pub co2_kg: f64,
    price: Option<Series<f64>>,
    co2: Option<Series<f64>>,
}

impl Account {
    /// An empty one for a span.
    pub fn new(
        from: Utc,
        until: Utc,
        price: Option<Series<f64>>,
        co2: Option<Series<f64>>,
    ) -> Self {
        let start =
            Utc::from_millis(from.as_millis().div_euclid(SLOT.as_millis()) * SLOT.as_millis());
        let count = until.since(start).as_millis().div_euclid(SLOT.as_millis()).max(0) + 1;
        let slots = vec![Slot::default(); count as usize];
        Self { start, slots, cost_eur: 0.0, co2_kg: 0.0, price, co2 }
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
            let grid_kwh = match usize::try_from(index).ok().and_then(|it| self.slots.get_mut(it)) {
                Some(slot) => slot.add(power, hours),
                None => 0.0,
            };
            if 0.0 < grid_kwh {
                self.cost_eur += cost_eur(grid_kwh, self.price.as_ref().and_then(|one| one.at(at)));
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
        }
        sum
    }

    /// The highest mean import of a quarter hour, in kW.
    pub fn peak_import_kw(&self) -> f64 {
        self.slots.iter().map(|slot| slot.import / SLOT_HOURS).fold(0.0, f64::max)
    }
}

/// Cost of energy that the cars took from the grid: the market price at that time.
///
/// There is no tariff in the configuration; without a price series energy has no cost here.
fn cost_eur(grid_kwh: f64, price_eur_per_mwh: Option<f64>) -> f64 {
    grid_kwh * price_eur_per_mwh.unwrap_or(0.0) / 1000.0
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
        self.import += (power.ev + power.load - power.pv).max(0.0) * kwh;
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
        let mut account = Account::new(start, start + Duration::hours(2), Some(price), None);
        let power = Power { ev: 7000.0, pv: 6000.0, load: 2000.0 };
        account.add(start, start + Duration::hours(2), power);
        let total = account.total();
        assert!((total.pv_to_ev - 8.0).abs() < 1e-9);
        assert!((total.import - 6.0).abs() < 1e-9);
        assert!((account.peak_import_kw() - 3.0).abs() < 1e-9);
        // 3 kWh of the cars from the grid at 0.10, then 3 kWh at 0.20.
        assert!((account.cost_eur - 0.9).abs() < 1e-9);
    }
}
