//! What `simulate` is given: sessions, and series of PV, load, price and CO2.
//!
//! Series are labelled at the start of their intervals and hold until the next one. Power ends
//! after its last interval; a price holds.

use std::path::Path;

use crate::ground::ids::{EvseId, EvseIndex};
use crate::ground::series::Series;
use crate::ground::time::{Duration, Utc};
use crate::model::diagram::{Diagram, EquipmentKind};

use crate::twin::scenario::Declared;

use super::table::{Table, TableError};

/// No session takes more energy, in kWh; a truck's battery is smaller.
const ENERGY_MAX: f64 = 2000.0;
/// No connector gives more current, in A.
const AMPS_MAX: f64 = 1000.0;
/// No site has more power, in kW.
const POWER_MAX: f64 = 1e6;
/// No price is larger, in EUR per MWh (European market limits are 4,000 to 5,000).
const PRICE_MAX: f64 = 1e5;

/// One session of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRow {
    /// Where.
    pub evse: EvseIndex,
    /// Who; empty if the file does not say.
    pub user: String,
    /// Plug-in.
    pub arrival: Utc,
    /// Plug-out.
    pub departure: Utc,
    /// What the car takes if it can, in Wh.
    pub energy_wh: f64,
    /// Phases of the car's charger.
    pub phases: usize,
    /// The most the car takes on a phase, in A.
    pub max_a: f64,
    /// What the driver said; none where nothing was.
    pub said: Option<Declared>,
}

/// Reads sessions, in order of arrival.
///
/// # Errors
/// All mistakes, with file and line.
pub fn sessions(path: &Path, diagram: &Diagram) -> Result<Vec<SessionRow>, TableError> {
    let mut table = Table::read(path)?;
    let evse_column = table.need("evse_id")?;
    let arrival = (table.need("arrival_utc")?, "arrival_utc");
    let departure = (table.need("departure_utc")?, "departure_utc");
    let energy = (table.need("energy_kwh")?, "energy_kwh");
    let user = table.column("user_id");
    let phases = table.column("vehicle_phases").map(|column| (column, "vehicle_phases"));
    let amps = table.column("vehicle_max_a").map(|column| (column, "vehicle_max_a"));
    let said_energy = table.column("requested_energy_kwh");
    let said_energy = said_energy.map(|column| (column, "requested_energy_kwh"));
    let said_departure = table.column("estimated_departure_utc");
    let said_departure = said_departure.map(|column| (column, "estimated_departure_utc"));
    let rows = table.map(|row, wrong| {
        let name = row.text(evse_column).unwrap_or_default();
        let evse = diagram.evse(&EvseId::new(name));
        if evse.is_none() {
            let known = diagram.evses.iter().map(|evse| evse.id.as_str());
            let known = known.take(4).collect::<Vec<_>>().join(", ");
            wrong.tell("evse_id", name, &format!("an EVSE of the configuration, as {known}"));
        }
        let from = row.time(arrival, wrong);
        let until = row.time(departure, wrong);
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            wrong.tell("departure_utc", &until.to_text(), "a time after the arrival");
        }
        let energy = row.number(energy, (0.0, ENERGY_MAX), wrong);
        let given = |column: Option<(usize, &'static str)>| {
            column.filter(|(index, _)| row.text(*index).is_some())
        };
        let phases = match given(phases) {
            Some(column) => row.number(column, (1.0, 3.0), wrong),
            None => Some(3.0),
        };
        let max_a = match given(amps) {
            Some(column) => row.number(column, (0.0, AMPS_MAX), wrong),
            None => Some(AMPS_MAX),
        };
        let requested = given(said_energy)
            .and_then(|column| row.number(column, (0.0, ENERGY_MAX), wrong))
            .map(|kwh| kwh * 1000.0);
        let estimated = given(said_departure).and_then(|column| row.time(column, wrong));
        let evse = evse?;
        // A file without these columns is one whose drivers say the truth.
        let said = Declared {
            energy_wh: if said_energy.is_some() { requested } else { Some(energy? * 1000.0) },
            departure: if said_departure.is_some() { estimated } else { until },
        };
        Some(SessionRow {
            evse,
            user: user.and_then(|column| row.text(column)).unwrap_or_default().to_owned(),
            arrival: from?,
            departure: until?,
            energy_wh: energy? * 1000.0,
            phases: (phases? as usize).min(diagram.evses[evse].wiring.len()),
            max_a: max_a?.min(diagram.evses[evse].rated.as_f64()),
            said: (said != Declared::default()).then_some(said),
        })
    })?;
    let mut rows: Vec<SessionRow> = rows.into_iter().map(|(_, row)| row).collect();
    rows.sort_by_key(|row| (row.arrival, row.evse));
    Ok(rows)
}

/// How many sessions begin while another car still stands at their EVSE; they wait for it.
pub fn overlaps(rows: &[SessionRow]) -> usize {
    let mut free: std::collections::BTreeMap<EvseIndex, Utc> = std::collections::BTreeMap::new();
    let mut count = 0;
    for row in rows {
        let until = free.entry(row.evse).or_insert(row.arrival);
        count += usize::from(row.arrival < *until);
        *until = row.departure.max(*until);
    }
    count
}

/// Reads generation in W, positive: a column `pv_kw`, or the first `pv…_kw_per_kwp` times the
/// configured peak. Says which column was taken if there was a choice.
///
/// # Errors
/// All mistakes, with file and line.
pub fn pv(path: &Path, diagram: &Diagram) -> Result<(Series<f64>, Option<String>), TableError> {
    let table = Table::read(path)?;
    if table.column("pv_kw").is_some() {
        return Ok((power(table, "pv_kw", 1000.0)?, None));
    }
    let is_scaled = |name: &&String| name.starts_with("pv") && name.ends_with("_kw_per_kwp");
    let scaled: Vec<String> = table.names().iter().filter(is_scaled).cloned().collect();
    let Some(first) = scaled.first().cloned() else {
        table.need("pv_kw")?;
        return Ok((Series::new(Vec::new()), None));
    };
    let roofs = diagram.equipment.iter().filter(|item| item.kind == EquipmentKind::Pv);
    let peak_kw: f64 = roofs.map(|roof| roof.peak.as_f64() / 1000.0).sum();
    if peak_kw <= 0.0 {
        let text = format!(
            "{}:1: {first} is per kWp, but the configuration has no [[pv]] with a peak_kw",
            path.display()
        );
        return Err(TableError::Content(vec![text]));
    }
    let words = (1 < scaled.len()).then(|| format!("{}: column {first} is used", path.display()));
    Ok((power(table, &first, peak_kw * 1000.0)?, words))
}

/// Reads building load in W, from a column `load_kw`.
///
/// # Errors
/// All mistakes, with file and line.
pub fn load(path: &Path) -> Result<Series<f64>, TableError> {
    power(Table::read(path)?, "load_kw", 1000.0)
}

/// Reads a price in EUR per MWh.
///
/// # Errors
/// All mistakes, with file and line.
pub fn price(path: &Path) -> Result<Series<f64>, TableError> {
    let steps = steps(Table::read(path)?, "price_eur_per_mwh", (-PRICE_MAX, PRICE_MAX))?;
    Ok(Series::new(steps))
}

/// Reads the CO2 intensity of the grid in g per kWh.
///
/// # Errors
/// All mistakes, with file and line.
pub fn co2(path: &Path) -> Result<Series<f64>, TableError> {
    Ok(Series::new(steps(Table::read(path)?, "co2_g_per_kwh", (0.0, 1e4))?))
}

/// A power in W that is zero again after its last interval.
fn power(table: Table, column: &str, factor: f64) -> Result<Series<f64>, TableError> {
    let mut steps = steps(table, column, (-POWER_MAX, POWER_MAX))?;
    for (_, value) in &mut steps {
        *value *= factor;
    }
    steps.sort_by_key(|(time, _)| *time);
    let mut widths: Vec<Duration> =
        steps.windows(2).map(|pair| pair[1].0.since(pair[0].0)).collect();
    widths.sort_unstable();
    let usual = widths.get(widths.len() / 2).copied().unwrap_or(Duration::hours(1));
    if let Some((last, _)) = steps.last().copied() {
        steps.push((last + usual, 0.0));
    }
    Ok(Series::new(steps))
}

/// The steps of one column; lines without a value are left out, the value before them holds.
fn steps(mut table: Table, column: &str, range: (f64, f64)) -> Result<Vec<(Utc, f64)>, TableError> {
    let time = (table.need("time_utc")?, "time_utc");
    let value = (table.need(column)?, column);
    let steps = table.map(|row, wrong| {
        row.text(value.0)?;
        let (time, value) = (row.time(time, wrong), row.number(value, range, wrong));
        Some((time?, value?))
    })?;
    Ok(steps.into_iter().map(|(_, step)| step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twin::sample::yard;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn sessions_are_read_by_name_and_fitted_to_their_evse() {
        let text = "energy_kwh,evse_id,extra,arrival_utc,departure_utc,vehicle_phases\n\
            8.5,E1,x,2019-03-01T08:00:00Z,2019-03-01T12:00:00Z,3\n";
        let rows = sessions(file(text).path(), &yard().diagram).expect("a session");
        assert_eq!((rows[0].evse, rows[0].phases, rows[0].max_a), (0, 1, 32.0));
        assert_eq!(rows[0].energy_wh, 8500.0);
    }

    #[test]
    fn every_mistake_of_a_session_is_told() {
        let text = "evse_id,arrival_utc,departure_utc,energy_kwh\n\
            E9,2019-03-01T08:00:00Z,2019-03-01T07:00:00Z,-1\n";
        let error = sessions(file(text).path(), &yard().diagram).expect_err("mistakes");
        let text = error.to_string();
        for part in [":2: evse_id: found \"E9\"", "departure_utc", "a number from 0 to 2000"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn generation_scales_with_the_configured_peak_and_ends_after_its_last_hour() {
        let text = "time_utc,pv_measured_kw_per_kwp,pv_model_kw_per_kwp\n\
            2019-03-01T10:00:00Z,0.5,\n2019-03-01T11:00:00Z,0.25,0.1\n";
        let (series, words) = pv(file(text).path(), &yard().diagram).expect("a series");
        assert!(words.expect("two columns").contains("pv_measured_kw_per_kwp"));
        let at = |text: &str| series.at(Utc::parse(text).expect("a time"));
        assert_eq!(at("2019-03-01T10:59:00Z"), Some(5000.0));
        assert_eq!(at("2019-03-01T11:59:00Z"), Some(2500.0));
        assert_eq!(at("2019-03-01T12:00:00Z"), Some(0.0));
    }

    #[test]
    fn sessions_at_an_occupied_evse_are_counted() {
        let at = |hour: i64| Utc::from_millis(0) + Duration::hours(hour);
        let row = |from: i64, until: i64| SessionRow {
            evse: 0,
            user: String::new(),
            arrival: at(from),
            departure: at(until),
            energy_wh: 1.0,
            phases: 1,
            max_a: 16.0,
            said: None,
        };
        assert_eq!(overlaps(&[row(1, 3), row(3, 5), row(4, 6)]), 1);
    }
}
