//! `export`: sessions and CDRs for billing, as CSV or JSON, from a backup that is taken for it. The
//! tokens in it are whole, so it needs the rights that a backup needs.

use std::fs::{self, DirBuilder};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::ground::time::Utc;
use crate::model::session::{Session, Transaction};
use crate::store::backup;
use crate::store::export::{Copied, Window};

use super::keep::{self, Keep};

/// What is taken out, and how.
#[derive(Debug, Args)]
pub struct Export {
    /// What
    #[arg(value_enum)]
    what: What,
    /// How it is written
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// From then on: a date (UTC) or a time like 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Utc>,
    /// To before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Utc>,
    /// Into this file [default: the standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The data directory [default: /var/lib/ampgate, else ./ampgate-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Charge detail records as partners over OCPI get them, by their end
    Cdrs,
    /// Sessions with their transactions, by their start
    Sessions,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line each, with a head
    Csv,
    /// A list of objects
    Json,
}

fn moment(text: &str) -> Result<Utc, String> {
    let time = Utc::parse(text).or_else(|| Utc::parse(&format!("{text}T00:00:00Z")));
    time.ok_or_else(|| "expected a date like 2026-11-01 or a time like 2026-11-01T00:00:00Z".into())
}

/// A folder that goes with its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("ampgate-export-{}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing is left to do where it cannot be removed.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes what is wanted; what is to be said of it, or the export itself.
pub fn export(wanted: &Export) -> Result<String, String> {
    let scratch = Scratch::new()?;
    let file = scratch.0.join("backup.tar.gz");
    keep::backup(&Keep { file: file.clone(), data: wanted.data.clone() })?;
    let copied = Copied::unpack(&file, &scratch.0).map_err(|error| error.to_string())?;
    let window = Window { from: wanted.from, to: wanted.to };
    let words = |error: crate::store::error::StoreError| error.to_string();
    let (rows, columns) = match wanted.what {
        What::Sessions => {
            let found = copied.sessions(window).map_err(words)?;
            let row = |(session, transaction): &(Session, Option<Transaction>)| {
                session_row(session, transaction.as_ref())
            };
            (found.iter().map(row).collect::<Vec<Value>>(), SESSION)
        }
        What::Cdrs => {
            let Some(found) = copied.cdrs(window).map_err(words)? else {
                return Err("this site has no CDRs: they are made for partners over OCPI; \
                            expected [ocpi] in its configuration, or `export sessions`"
                    .to_owned());
            };
            (found, CDR)
        }
    };
    let text = match wanted.format {
        Format::Json => format!("{:#}\n", Value::from(rows.clone())),
        Format::Csv => csv(&rows, columns)?,
    };
    match &wanted.output {
        None => Ok(text),
        Some(path) => {
            write(path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(format!("{}: {} rows\n", path.display(), rows.len()))
        }
    }
}

/// For its owner alone: it holds tokens.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = backup::private(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Columns with the place of their value in an object.
type Columns = &'static [(&'static str, &'static str)];

const SESSION: Columns = &[
    ("session_id", "/session_id"),
    ("evse", "/evse"),
    ("charge_point", "/charge_point"),
    ("connector", "/connector"),
    ("token", "/token"),
    ("started", "/started"),
    ("ended", "/ended"),
    ("energy_kwh", "/energy_kwh"),
    ("transaction_id", "/transaction_id"),
    ("meter_start_wh", "/meter_start_wh"),
    ("meter_stop_wh", "/meter_stop_wh"),
    ("reason", "/reason"),
    ("replayed", "/replayed"),
    ("stop_lost", "/stop_lost"),
];

/// What a bill is made of, of a CDR as it is kept (OCPI 2.3.0, mod_cdrs).
const CDR: Columns = &[
    ("id", "/id"),
    ("session_id", "/session_id"),
    ("start_date_time", "/start_date_time"),
    ("end_date_time", "/end_date_time"),
    ("token_country_code", "/cdr_token/country_code"),
    ("token_party_id", "/cdr_token/party_id"),
    ("token_uid", "/cdr_token/uid"),
    ("contract_id", "/cdr_token/contract_id"),
    ("auth_method", "/auth_method"),
    ("location_id", "/cdr_location/id"),
    ("evse_id", "/cdr_location/evse_id"),
    ("total_energy_kwh", "/total_energy"),
    ("total_time_h", "/total_time"),
    ("total_parking_time_h", "/total_parking_time"),
    ("currency", "/currency"),
    ("total_cost_before_taxes", "/total_cost/before_taxes"),
    ("total_cost_after_taxes", "/total_cost/after_taxes"),
    ("last_updated", "/last_updated"),
];

fn session_row(session: &Session, transaction: Option<&Transaction>) -> Value {
    let stop = transaction.and_then(|transaction| transaction.stop.as_ref());
    let kwh = |watt_hours: f64| watt_hours / 1000.0;
    json!({
        "session_id": session.id.0,
        "evse": session.evse,
        "charge_point": transaction.map(|transaction| transaction.charge_point.clone()),
        "connector": transaction.map(|transaction| transaction.connector),
        "token": session.token.as_str(),
        "started": session.started.to_text(),
        "ended": session.ended.map(Utc::to_text),
        "energy_kwh": kwh(session.energy_wh.as_f64()),
        "transaction_id": session.transaction.0,
        "meter_start_wh": transaction.map(|transaction| transaction.meter_start_wh.as_f64()),
        "meter_stop_wh": stop.map(|stop| stop.meter_stop_wh.as_f64()),
        "reason": stop.map(|stop| stop.reason.clone()),
        "replayed": transaction.map(|transaction| transaction.replayed),
        "stop_lost": stop.map(|stop| stop.lost),
    })
}

fn csv(rows: &[Value], columns: Columns) -> Result<String, String> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let words = |error: csv::Error| error.to_string();
    out.write_record(columns.iter().map(|(name, _)| name)).map_err(words)?;
    for row in rows {
        let cell = |(_, place): &(&str, &str)| match row.pointer(place) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => inert(text),
            Some(other) => other.to_string(),
        };
        out.write_record(columns.iter().map(cell)).map_err(words)?;
    }
    let bytes = out.into_inner().map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

/// A text from outside that a spreadsheet would take for a formula stays a text.
fn inert(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_or_moments() {
        assert_eq!(moment("2026-11-01"), Ok(Utc::parse("2026-11-01T00:00:00Z").unwrap()));
        assert_eq!(moment("2026-11-01T08:00:00+01:00").unwrap().to_text(), "2026-11-01T07:00:00Z");
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn a_cdr_is_a_line_and_a_formula_stays_text() {
        let cdr = json!({
            "id": "C1", "cdr_token": {"uid": "=cmd|' /C calc'!A0", "contract_id": "a,b"},
            "total_cost": {"before_taxes": 4.25}, "total_energy": 17.5, "currency": "EUR",
        });
        let text = csv(&[cdr], CDR).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].split(',').count(), CDR.len());
        assert!(lines[1].contains(",'=cmd|' /C calc'!A0,\"a,b\","), "{text}");
        assert!(lines[1].contains("17.5") && lines[1].contains("4.25"), "{text}");
    }
}
