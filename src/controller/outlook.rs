//! What the coming day looks like: sun, building, prices and CO2 by step, from what was measured
//! here and what was told.

use serde::de::DeserializeOwned;

use crate::forecast::known::KnownSeries;
use crate::forecast::load::LoadForecast;
use crate::forecast::peak::PeakSoFar;
use crate::forecast::price::Prices;
use crate::forecast::pv::PvForecast;
use crate::ground::calendar::Calendar;
use crate::ground::quantiles::Quantiles;
use crate::ground::time::{Duration, Utc};
use crate::ground::units::Watts;
use crate::model::diagram::{EquipmentKind, Node};
use crate::model::feed::{FeedKind, Received};
use crate::model::record::{LEARNED_BYTES_MAX, LearnedRecord};
use crate::model::site::Site;
use crate::model::tariff::{Billing, Peak};
use crate::plan::problem::{Origin, Series};

use super::forecast_view::{ForecastView, LeadView, ProofView};

/// Without a contract that says otherwise, peaks are those of a quarter hour in a month.
const USUAL_PEAK: Peak =
    Peak { eur_per_kw: 0.0, basis: Duration::minutes(15), billing: Billing::Month };

/// Power of the whole site in W, import positive.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SitePower {
    /// From the roof, zero or more.
    pub pv: f64,
    /// Into everything that is neither roof nor car.
    pub load: f64,
    /// Into cars, as far as it was measured.
    pub ev: f64,
}

impl SitePower {
    /// Sun that the building leaves over; negative where it needs more.
    pub fn surplus(&self) -> f64 {
        self.pv - self.load
    }

    /// Import less export.
    pub fn import(&self) -> f64 {
        self.load + self.ev - self.pv
    }
}

/// One in so many days needs the highest import of its billing period.
const DAYS_PER_PEAK: f64 = 10.0;

/// Takes back what was written down as JSON; tells whether the text could be read.
pub fn read<T: DeserializeOwned>(into: &mut T, text: &str) -> bool {
    serde_json::from_str(text).map(|known| *into = known).is_ok()
}

/// Everything that is known for looking ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    pv: PvForecast,
    load: LoadForecast,
    prices: Prices,
    co2: KnownSeries,
    peak: PeakSoFar,
    calendar: Calendar,
    /// There is a roof to expect something of.
    has_pv: bool,
}

impl Outlook {
    /// Of a site of which nothing was measured yet.
    pub fn new(site: &Site) -> Self {
        let zone = Calendar::new(&site.zone);
        let peak = site.tariff.peak.unwrap_or(USUAL_PEAK);
        Self {
            pv: PvForecast::new(peak_kw(site, EquipmentKind::Pv)),
            load: LoadForecast::new(zone.clone(), peak_kw(site, EquipmentKind::Load)),
            prices: Prices::new(site.tariff.clone(), zone.clone()),
            co2: KnownSeries::new(zone.clone()),
            peak: PeakSoFar::new(peak, zone.clone(), connection_kw(site)),
            calendar: zone,
            has_pv: has_pv(site),
        }
    }

    /// Takes back what was written down under this name; none where the name is not of here, false
    /// where the text cannot be read, which is then learned anew.
    pub fn restore(&mut self, name: &str, text: &str) -> Option<bool> {
        match name {
            "co2" => Some(read(&mut self.co2, text)),
            "load" => Some(read(&mut self.load, text)),
            "peak" => Some(read(&mut self.peak, text)),
            "price" => Some(read(&mut self.prices, text)),
            "pv" => Some(read(&mut self.pv, text)),
            _ => None,
        }
    }

    /// What was learned, by name, as it is written down.
    pub fn texts(&self) -> Vec<LearnedRecord> {
        let texts = [
            ("co2", serde_json::to_string(&self.co2)),
            ("load", serde_json::to_string(&self.load)),
            ("peak", serde_json::to_string(&self.peak)),
            ("price", serde_json::to_string(&self.prices)),
            ("pv", serde_json::to_string(&self.pv)),
        ];
        let record = |(name, text): (&str, Result<String, _>)| {
            let text = text.ok().filter(|text| text.len() <= LEARNED_BYTES_MAX)?;
            Some(LearnedRecord { name: name.to_owned(), text })
        };
        texts.into_iter().filter_map(record).collect()
    }

    /// The same past under a changed configuration.
    pub fn under(self, site: &Site) -> Self {
        let zone = Calendar::new(&site.zone);
        Self {
            co2: self.co2.with_zone(zone.clone()),
            pv: self.pv.with_peak(peak_kw(site, EquipmentKind::Pv)),
            load: self.load.with(zone.clone(), peak_kw(site, EquipmentKind::Load)),
            prices: self.prices.with(site.tariff.clone(), zone.clone()),
            peak: self.peak.with(
                site.tariff.peak.unwrap_or(USUAL_PEAK),
                zone.clone(),
                connection_kw(site),
            ),
            calendar: zone,
            has_pv: has_pv(site),
        }
    }

    /// Takes in what the site draws.
    pub fn observe(&mut self, utc: Utc, power: &SitePower) {
        self.pv.observe(utc, power.pv / 1000.0);
        self.load.observe(utc, power.load / 1000.0);
        self.peak.observe(utc, power.import() / 1000.0);
    }

    /// Takes in a series from outside.
    pub fn receive(&mut self, kind: FeedKind, received: Received) {
        match kind {
            FeedKind::Pv => self.pv.receive(received),
            FeedKind::Load => self.load.receive(received),
            FeedKind::Price => self.prices.receive(&received),
            FeedKind::Co2 => self.co2.receive(&received),
        }
    }

    /// The import that the billing period will see anyhow, in kW.
    pub fn peak_expected_kw(&self, now: Utc) -> f64 {
        self.peak.expected_kw(now)
    }

    /// What a kW of the highest import costs by contract, in EUR, as far as this day has to pay for
    /// it: a peak that is paid once serves the rest of the billing period too, and a plan sees only
    /// its own day.
    pub fn peak_eur_per_kw(&self, now: Utc) -> f64 {
        let Some(peak) = self.prices.tariff().peak else { return 0.0 };
        let local = self.calendar.local(now);
        let months_left = match peak.billing {
            Billing::Month => 0,
            Billing::Year => 12 - i32::from(local.month),
        };
        let days_left = f64::from((30 - i32::from(local.day) + 30 * months_left).max(0));
        peak.eur_per_kw / (1.0 + days_left / DAYS_PER_PEAK)
    }

    /// All series on a grid that begins now. What is measured now stands in its first step.
    pub fn series(&self, grid: &[Utc], measured: Option<SitePower>) -> Series {
        let now = grid.first().copied().unwrap_or_default();
        let mut pv = self.pv.forecast(now, grid);
        let mut load = self.load.forecast(now, grid);
        if let (Some(power), Some(pv), Some(load)) = (measured, pv.first_mut(), load.first_mut()) {
            *pv = Quantiles::certain(power.pv / 1000.0);
            *load = Quantiles::certain(power.load / 1000.0);
        }
        let prices = self.prices.series(grid);
        let co2 = grid.windows(2).map(|pair| self.co2.at(pair[0]).map_or(0.0, |known| known.value));
        let origin = |source: String, issued| Origin { source, issued };
        let (price_source, issued) = self.prices.source();
        let origins = [
            ("pv_kw", origin(self.pv.source(now), None)),
            ("load_kw", origin(self.load.source(now), None)),
            ("import_eur_per_kwh", origin(price_source, issued)),
        ];
        Series {
            pv_kw: pv,
            load_kw: load,
            import_eur_per_kwh: prices.import,
            export_eur_per_kwh: prices.export,
            co2_g_per_kwh: co2.collect(),
            origins: origins.map(|(name, origin)| (name.to_owned(), origin)).into(),
        }
    }

    /// How a forecast from outside did beside the learned one, by lead.
    pub fn proofs(&self, kind: FeedKind) -> Vec<ProofView> {
        let proofs = match kind {
            FeedKind::Pv => self.pv.blend().proofs(),
            FeedKind::Load => self.load.blend().proofs(),
            FeedKind::Price | FeedKind::Co2 => Vec::new(),
        };
        proofs.into_iter().map(ProofView::from).collect()
    }

    /// What is expected, without what the configuration says of feeds.
    pub fn forecast_views(&self, now: Utc) -> Vec<ForecastView> {
        let view = |kind, source: String, leads: Vec<LeadView>| ForecastView {
            kind,
            source,
            leads,
            received: None,
        };
        let has = |source: String, is_there: bool| if is_there { source } else { String::new() };
        let (price, _) = self.prices.source();
        let co2 = self.co2.source().map(|(source, _)| source.to_owned());
        let (pv, load) = (self.pv.record(), self.load.record());
        vec![
            view(FeedKind::Pv, has(self.pv.source(now), self.has_pv), LeadView::of(pv)),
            view(FeedKind::Load, self.load.source(now), LeadView::of(load)),
            view(FeedKind::Price, price, Vec::new()),
            view(FeedKind::Co2, co2.unwrap_or_default(), Vec::new()),
        ]
    }

    /// How far the forecasts were off lately, in words.
    pub fn words(&self) -> String {
        let words = [("sun", self.pv.record().words()), ("building", self.load.record().words())];
        let known = words.iter().filter(|(_, words)| !words.is_empty());
        known.map(|(name, words)| format!("{name}: {words}")).collect::<Vec<_>>().join("; ")
    }
}

fn has_pv(site: &Site) -> bool {
    site.diagram.equipment.iter().any(|item| item.kind == EquipmentKind::Pv)
}

/// What the connections to the grid can carry together, in kW.
fn connection_kw(site: &Site) -> f64 {
    let roots = site.diagram.nodes.iter().filter(|node| node.parent.is_none());
    let carries = |node: &Node| {
        let by_phase = node.rating.map(|rating| rating.power(site.diagram.voltage));
        let watts = [by_phase, node.power_limit].into_iter().flatten().map(Watts::as_f64);
        watts.fold(f64::INFINITY, f64::min) / 1000.0
    };
    roots.map(carries).filter(|kw| kw.is_finite()).sum()
}

/// Size of all equipment of a kind, in kW.
fn peak_kw(site: &Site, kind: EquipmentKind) -> f64 {
    let there = site.diagram.equipment.iter().filter(|item| item.kind == kind);
    there.map(|item| item.peak.as_f64() / 1000.0).sum()
}
