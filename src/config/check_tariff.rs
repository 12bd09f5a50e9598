//! Rules of `[tariff]`, and the contract that follows from it.

use std::collections::BTreeMap;

use crate::ground::time::Duration;
use crate::ground::zone::TimeOfDay;
use crate::model::tariff::{self, Export, Peak, PpaKind as Known, Tariff};

use super::file::File;
use super::file_tariff::{self, Billing, Period, Ppa, PpaKind};
use super::report::Report;
use super::words::{number, quoted};

/// Highest imports are means over these, in minutes.
const BASES_MIN: [f64; 3] = [15.0, 30.0, 60.0];

/// Checks the contract.
pub fn check(file: &File, report: &mut Report) {
    let tariff = &file.tariff;
    check_export(file, report);
    check_peak(tariff, report);
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, period) in tariff.period.iter().enumerate() {
        let path = format!("tariff.period[{index}]");
        check_period(&path, period, report);
        if let Some(id) = period.id.as_deref()
            && let Some(first) = ids.insert(id, index)
        {
            let line = report.line_of(&format!("tariff.period[{first}]"));
            let expected = format!("another name: line {line} has it already");
            report.error(&format!("{path}.id"), quoted(id), expected);
        }
    }
    check_cover(tariff, report);
    for (index, ppa) in tariff.ppa.iter().enumerate() {
        check_ppa(file, index, ppa, report);
    }
}

fn check_export(file: &File, report: &mut Report) {
    let tariff = &file.tariff;
    let Some(less) = tariff.export_market_less_eur_per_kwh else { return };
    let path = "tariff.export_market_less_eur_per_kwh";
    if tariff.export_eur_per_kwh != 0.0 {
        let found = format!("{}, beside export_eur_per_kwh", number(less));
        report.error(path, found, "one of the two: export earns a fixed price or the market's");
    } else if !tariff.market {
        let found = format!("{}, without a market", number(less));
        report.error(path, found, "market = true, or export_eur_per_kwh in its place");
    }
}

fn check_peak(tariff: &file_tariff::Tariff, report: &mut Report) {
    if let Some(basis) = tariff.peak_basis_min
        && !BASES_MIN.contains(&basis)
    {
        report.error("tariff.peak_basis_min", number(basis), "15, 30 or 60 minutes");
    }
    if tariff.peak_eur_per_kw <= 0.0 {
        let says = [
            ("peak_basis_min", tariff.peak_basis_min.is_some()),
            ("peak_billing", tariff.peak_billing.is_some()),
        ];
        for (key, _) in says.into_iter().filter(|(_, is_given)| *is_given) {
            let expected = "peak_eur_per_kw beside it: without it the highest import costs nothing";
            report.warning(&format!("tariff.{key}"), "it alone", expected);
        }
    }
}

fn check_period(path: &str, period: &Period, report: &mut Report) {
    for (key, written) in [("from", &period.from), ("to", &period.to)] {
        if let Some(text) = written
            && TimeOfDay::parse(text).is_none()
        {
            let expected = match text.trim() {
                "24:00" => "\"00:00\": midnight at the end of the day",
                _ => "a time of day from \"00:00\" to \"23:59\"",
            };
            report.error(&format!("{path}.{key}"), quoted(text), expected);
        }
    }
    if period.energy_eur_per_kwh.is_none() && period.fees_eur_per_kwh.is_none() {
        let expected = "energy_eur_per_kwh, fees_eur_per_kwh or both";
        report.error(path, "a period without a price", expected);
    }
}

/// A period that never counts because earlier ones hold whenever it does is a mistake.
fn check_cover(tariff: &file_tariff::Tariff, report: &mut Report) {
    let known: Vec<(usize, tariff::Period)> = tariff
        .period
        .iter()
        .enumerate()
        .filter_map(|(index, written)| Some((index, period(written)?)))
        .collect();
    let mut times: Vec<u16> = vec![0];
    times.extend(known.iter().flat_map(|(_, one)| [one.from_min, one.until_min]));
    times.sort_unstable();
    times.dedup();
    let count = |one: &tariff::Period, gives: fn(&tariff::Period) -> bool, before: usize| {
        let holds = |month: usize, day: usize, minute: u16| {
            let earlier = known[..before].iter().map(|(_, earlier)| earlier);
            let covered =
                |earlier: &tariff::Period| gives(earlier) && earlier.holds(month, day, minute);
            one.holds(month, day, minute) && !earlier.into_iter().any(covered)
        };
        let days = (0..12).flat_map(|month| (0..7).map(move |day| (month, day)));
        gives(one)
            && days
                .into_iter()
                .any(|(month, day)| times.iter().any(|minute| holds(month, day, *minute)))
    };
    for (place, (index, one)) in known.iter().enumerate() {
        let energy = count(one, |period| period.energy_eur_per_kwh.is_some(), place);
        let fees = count(one, |period| period.fees_eur_per_kwh.is_some(), place);
        if !energy && !fees {
            let expected = "a time that no earlier period has: the first in the file counts";
            report.warning(
                &format!("tariff.period[{index}]"),
                "a period that never counts",
                expected,
            );
        }
    }
}

fn check_ppa(file: &File, index: usize, ppa: &Ppa, report: &mut Report) {
    let path = format!("tariff.ppa[{index}]");
    match (ppa.kind, ppa.band_kw) {
        (Some(PpaKind::Band), None) => {
            report.error(&path, "a band without its power", "band_kw: so many kW of import");
        }
        (Some(PpaKind::Roof), Some(kw)) => {
            let expected = "none: all that the roof gives belongs to the agreement";
            report.error(&format!("{path}.band_kw"), number(kw), expected);
        }
        _ => {}
    }
    if ppa.kind != Some(PpaKind::Roof) {
        return;
    }
    if file.pv.is_empty() {
        let expected = "a [[pv]] that it is about";
        report.warning(&format!("{path}.kind"), "a roof, and no [[pv]]", expected);
    }
    let is_roof = |ppa: &Ppa| ppa.kind == Some(PpaKind::Roof);
    if file.tariff.ppa[..index].iter().any(is_roof) {
        report.error(&path, "a second agreement on the roof", "one at most");
    }
    let tariff = &file.tariff;
    if tariff.export_eur_per_kwh != 0.0 || tariff.export_market_less_eur_per_kwh.is_some() {
        let expected = "no price of export: what the site leaves over belongs to the roof's owner";
        report.error(&path, "an agreement on the roof, and a price of export", expected);
    }
}

/// The contract, as far as it is sound.
pub fn build(written: &file_tariff::Tariff) -> Tariff {
    let eur_per_kw = written.peak_eur_per_kw;
    let peak = Peak {
        eur_per_kw,
        basis: Duration::minutes(written.peak_basis_min.unwrap_or(BASES_MIN[0]) as i64),
        billing: match written.peak_billing {
            None | Some(Billing::Month) => tariff::Billing::Month,
            Some(Billing::Year) => tariff::Billing::Year,
        },
    };
    Tariff {
        market: written.market,
        energy_eur_per_kwh: written.energy_eur_per_kwh,
        periods: written.period.iter().filter_map(period).collect(),
        fees_eur_per_kwh: written.fees_eur_per_kwh,
        export: match (written.export_market_less_eur_per_kwh, written.export_eur_per_kwh) {
            (Some(less), _) => Export::MarketLess(less),
            (None, 0.0) => Export::Nothing,
            (None, earns) => Export::Fixed(earns),
        },
        peak: (0.0 < eur_per_kw).then_some(peak),
        ppa: written.ppa.iter().filter_map(agreement).collect(),
    }
}

fn period(written: &Period) -> Option<tariff::Period> {
    let time = |text: &Option<String>| Some(TimeOfDay::parse(text.as_deref()?)?.minutes());
    let on = |day: usize| match &written.weekdays {
        None => true,
        Some(days) => days.iter().any(|written| *written as usize == day),
    };
    let of = |month: usize| match &written.months {
        None => true,
        Some(months) => months.iter().any(|written| usize::from(*written) == month + 1),
    };
    Some(tariff::Period {
        name: written.id.clone()?,
        weekdays: std::array::from_fn(on),
        months: std::array::from_fn(of),
        from_min: time(&written.from)?,
        until_min: time(&written.to)?,
        energy_eur_per_kwh: written.energy_eur_per_kwh,
        fees_eur_per_kwh: written.fees_eur_per_kwh,
    })
}

fn agreement(written: &Ppa) -> Option<tariff::Ppa> {
    let kind = match written.kind? {
        PpaKind::Roof => Known::Pv,
        PpaKind::Band => Known::Band(written.band_kw?),
    };
    Some(tariff::Ppa { name: written.id.clone()?, eur_per_kwh: written.eur_per_kwh?, kind })
}
