//! What a kWh costs at a time: the tariff of the configuration over the prices of the market.
//!
//! `energy price (market, else period, else fixed) + fees (of the period, else of the contract)`.
//! Periods follow the clock on the wall, also across summer time. Export never earns more than
//! import costs. A market price that is not known is filled from an earlier day, where the market
//! is silent for long by the contract's periods, and marked degraded; charging never stops for
//! lack of one.

use serde::{Deserialize, Serialize};

use crate::ground::calendar::Calendar;
use crate::ground::time::{Duration, Utc};
use crate::model::feed::Received;
use crate::model::tariff::{Export, Period, PpaKind, Tariff};

use super::known::{KnownSeries, Value};
use super::quarters;

/// So long after its last word the market counts as silent: a day-ahead price that is late by more
/// than a day comes no more.
const SILENT: Duration = Duration::hours(36);

/// Prices of a site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    tariff: Tariff,
    zone: Calendar,
    market: KnownSeries,
}

/// Prices by step, in EUR per kWh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PriceSeries {
    /// Of import, fees included.
    pub import: Vec<f64>,
    /// Of export; never more than import.
    pub export: Vec<f64>,
    /// Some step was filled from an earlier day.
    pub degraded: bool,
}

impl Prices {
    /// The prices of this contract, no market price known.
    pub fn new(tariff: Tariff, zone: Calendar) -> Self {
        Self { tariff, market: KnownSeries::new(zone.clone()), zone }
    }

    /// The same market under a changed contract.
    pub fn with(mut self, tariff: Tariff, zone: Calendar) -> Self {
        self.tariff = tariff;
        self.market = self.market.with_zone(zone.clone());
        self.zone = zone;
        self
    }

    /// The contract.
    pub fn tariff(&self) -> &Tariff {
        &self.tariff
    }

    /// Takes prices of the market, in EUR per kWh.
    pub fn receive(&mut self, received: &Received) {
        self.market.receive(received);
    }

    /// Price of a kWh of import in EUR, fees included, beyond any agreed band.
    pub fn import_eur_per_kwh(&self, at: Utc) -> Value {
        let energy = self.energy(at);
        Value { value: energy.value + self.fees(at), ..energy }
    }

    /// What a kWh earns in EUR that is not used on site; never more than import costs.
    pub fn export_eur_per_kwh(&self, at: Utc) -> Value {
        let import = self.import_eur_per_kwh(at);
        let pv = self.tariff.ppa.iter().find(|ppa| ppa.kind == PpaKind::Pv);
        let earns = match (pv, self.tariff.export) {
            // Somebody else's sun: a kWh that is left to them is not paid.
            (Some(ppa), _) => Value { value: ppa.eur_per_kwh, degraded: false },
            (None, Export::Nothing) => Value { value: 0.0, degraded: false },
            (None, Export::Fixed(value)) => Value { value, degraded: false },
            (None, Export::MarketLess(less)) => {
                let market = self.market_price(at);
                Value { value: market.value - less, ..market }
            }
        };
        Value { value: earns.value.min(import.value), degraded: earns.degraded || import.degraded }
    }

    /// What an import of so many kWh over so many hours from `at` costs in EUR, agreed bands
    /// first.
    pub fn import_cost_eur(&self, at: Utc, kwh: f64, hours: f64) -> f64 {
        let mut left = kwh.max(0.0);
        let mut cost = 0.0;
        for ppa in &self.tariff.ppa {
            if let PpaKind::Band(kw) = ppa.kind {
                let taken = left.min(kw.max(0.0) * hours.max(0.0));
                cost += taken * (ppa.eur_per_kwh + self.fees(at));
                left -= taken;
            }
        }
        cost + left * self.import_eur_per_kwh(at).value
    }

    /// Fees on a kWh of import.
    fn fees(&self, at: Utc) -> f64 {
        let fees = self.of_period(at, |period| period.fees_eur_per_kwh);
        fees.unwrap_or(self.tariff.fees_eur_per_kwh)
    }

    /// Prices of each step between two times of the grid: the mean of its quarter hours.
    pub fn series(&self, grid: &[Utc]) -> PriceSeries {
        let mut series = PriceSeries::default();
        for pair in grid.windows(2) {
            let (mut import, mut export, mut count) = (0.0, 0.0, 0.0);
            for at in quarters::within(pair[0], pair[1]) {
                let (buys, earns) = (self.import_eur_per_kwh(at), self.export_eur_per_kwh(at));
                import += buys.value;
                export += earns.value;
                count += 1.0;
                series.degraded |= buys.degraded || earns.degraded;
            }
            series.import.push(import / count);
            series.export.push(export / count);
        }
        series
    }

    /// Until when nothing is filled from an earlier day; none for a tariff without a market.
    pub fn known_until(&self, from: Utc) -> Option<Utc> {
        if self.tariff.market { self.market.known_until(from).or(Some(from)) } else { None }
    }

    /// Where the prices come from, in words, and when they were issued.
    pub fn source(&self) -> (String, Option<Utc>) {
        match self.market.source() {
            Some((source, issued)) if self.tariff.market => (source.to_owned(), Some(issued)),
            _ => ("tariff of the configuration".to_owned(), None),
        }
    }

    /// Energy price without fees.
    fn energy(&self, at: Utc) -> Value {
        if self.tariff.market {
            return self.market_price(at);
        }
        let fixed = self.tariff.energy_eur_per_kwh;
        let value = self.of_period(at, |period| period.energy_eur_per_kwh).unwrap_or(fixed);
        Value { value, degraded: false }
    }

    /// What a period has to say at this time.
    fn of_period(&self, at: Utc, has: impl Fn(&Period) -> Option<f64>) -> Option<f64> {
        if self.tariff.periods.is_empty() {
            return None;
        }
        let local = self.zone.local(at);
        let minute = u16::try_from(local.minute).unwrap_or(0);
        let (month, day) = (usize::try_from(local.month - 1).unwrap_or(0), local.weekday.into());
        let holding = self.tariff.periods.iter().filter(|one| one.holds(month, day, minute));
        holding.filter_map(has).next()
    }

    /// The market's price; for some time after the last known one that of an earlier day, and after
    /// that what the contract says.
    fn market_price(&self, at: Utc) -> Value {
        let known = self.market.at(at);
        if let Some(value) = known.filter(|known| !known.degraded || !self.is_silent(at)) {
            return value;
        }
        let period = self.of_period(at, |period| period.energy_eur_per_kwh);
        let value = period.or(known.map(|known| known.value));
        Value { value: value.unwrap_or(self.tariff.energy_eur_per_kwh), degraded: true }
    }

    /// Whether the market has said nothing of the time for so long that it counts as silent.
    fn is_silent(&self, at: Utc) -> bool {
        self.market.end().is_none_or(|end| SILENT.as_millis() < at.since(end).as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tariff::Ppa;

    fn at(text: &str) -> Utc {
        Utc::parse(text).expect("a time")
    }

    fn night() -> Period {
        Period {
            name: "night".to_owned(),
            weekdays: [true, true, true, true, true, false, false],
            months: [true; 12],
            from_min: 22 * 60,
            until_min: 6 * 60,
            energy_eur_per_kwh: Some(0.08),
            fees_eur_per_kwh: None,
        }
    }

    fn flat() -> Tariff {
        Tariff { energy_eur_per_kwh: 0.2, fees_eur_per_kwh: 0.05, ..Tariff::default() }
    }

    #[test]
    fn periods_follow_the_clock_on_the_wall_across_summer_time() {
        let tariff = Tariff { periods: vec![night()], ..flat() };
        let prices = Prices::new(tariff, Calendar::new("Europe/Paris"));
        let price = |text: &str| prices.import_eur_per_kwh(at(text)).value;
        // 05:30 and 06:00 local, in winter and in summer.
        assert!((price("2019-01-08T04:30:00Z") - 0.13).abs() < 1e-12);
        assert!((price("2019-01-08T05:00:00Z") - 0.25).abs() < 1e-12);
        assert!((price("2019-07-09T03:30:00Z") - 0.13).abs() < 1e-12);
        assert!((price("2019-07-09T04:00:00Z") - 0.25).abs() < 1e-12);
        // The night of Friday ends on Saturday morning; the one of Sunday is none.
        assert!((price("2019-07-06T03:30:00Z") - 0.13).abs() < 1e-12);
        assert!((price("2019-07-08T03:30:00Z") - 0.25).abs() < 1e-12);
    }

    #[test]
    fn export_never_earns_more_than_import_costs() {
        let tariff = Tariff { market: true, export: Export::Fixed(0.03), ..flat() };
        let mut prices = Prices::new(tariff, Calendar::default());
        let noon = at("2023-07-02T12:00:00Z");
        let steps = vec![(noon, -0.5), (noon + Duration::hours(1), 0.1)];
        prices.receive(&Received::new("market", noon, steps));
        let import = prices.import_eur_per_kwh(noon);
        assert!((import.value + 0.45).abs() < 1e-12 && !import.degraded);
        assert_eq!(prices.export_eur_per_kwh(noon).value, import.value);
        let later = noon + Duration::hours(1);
        assert_eq!(prices.export_eur_per_kwh(later).value, 0.03);
        let series = prices.series(&[noon, later, later + Duration::hours(3)]);
        assert!((series.import[0] + 0.45).abs() < 1e-12);
        assert!(series.degraded, "two hours of the second step are not known");
    }

    #[test]
    fn a_market_that_was_never_heard_costs_the_fixed_price_and_says_so() {
        let prices = Prices::new(Tariff { market: true, ..flat() }, Calendar::default());
        let price = prices.import_eur_per_kwh(at("2023-07-02T12:00:00Z"));
        assert!((price.value - 0.25).abs() < 1e-12 && price.degraded);
    }

    #[test]
    fn a_market_that_falls_silent_is_replaced_by_the_last_days_and_then_by_the_periods() {
        let tariff = Tariff { market: true, periods: vec![night()], ..flat() };
        let mut prices = Prices::new(tariff, Calendar::new("Europe/Paris"));
        let monday = at("2019-03-03T23:00:00Z");
        let steps = (0..24).map(|hour| (monday + Duration::hours(hour), 0.01 * hour as f64));
        prices.receive(&Received::new("market", monday, steps.collect()));
        let price = |hours: i64| prices.import_eur_per_kwh(monday + Duration::hours(hours));
        let near = |value: Value, expected: f64| (value.value - expected).abs() < 1e-12;
        assert!(near(price(3), 0.03 + 0.05) && !price(3).degraded, "known, also at night");
        assert!(near(price(27), 0.03 + 0.05) && price(27).degraded, "the day before");
        assert!(near(price(75), 0.08 + 0.05) && price(75).degraded, "night of the contract");
        assert!(near(price(84), 0.12 + 0.05), "no period at noon: the last day that is known");
    }

    #[test]
    fn fees_may_have_periods_of_their_own() {
        let dear = Period {
            name: "evening".to_owned(),
            weekdays: [true; 7],
            from_min: 17 * 60,
            until_min: 20 * 60,
            energy_eur_per_kwh: None,
            fees_eur_per_kwh: Some(0.15),
            ..night()
        };
        let tariff = Tariff { periods: vec![dear, night()], ..flat() };
        let prices = Prices::new(tariff, Calendar::default());
        let price = |text: &str| prices.import_eur_per_kwh(at(text)).value;
        assert!((price("2019-01-08T18:00:00Z") - 0.35).abs() < 1e-12);
        assert!((price("2019-01-08T23:00:00Z") - 0.13).abs() < 1e-12);
    }

    #[test]
    fn an_agreed_band_is_used_before_the_market() {
        let band = Ppa { name: "band".to_owned(), eur_per_kwh: 0.1, kind: PpaKind::Band(4.0) };
        let prices = Prices::new(Tariff { ppa: vec![band], ..flat() }, Calendar::default());
        let cost = prices.import_cost_eur(at("2023-07-02T12:00:00Z"), 3.0, 0.5);
        assert!((cost - (2.0 * 0.15 + 1.0 * 0.25)).abs() < 1e-12, "{cost}");
        let roof = Ppa { name: "roof".to_owned(), eur_per_kwh: 0.07, kind: PpaKind::Pv };
        let prices = Prices::new(Tariff { ppa: vec![roof], ..flat() }, Calendar::default());
        assert_eq!(prices.export_eur_per_kwh(at("2023-07-02T12:00:00Z")).value, 0.07);
    }
}
