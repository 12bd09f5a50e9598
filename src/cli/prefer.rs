//! `ampgate prefer`: what the car at an EVSE needs, said by the operator.

use clap::Args;

use crate::controller::view::PreferenceView;
use crate::ui::html::segment;
use crate::ui::wish::Wanted;

use super::client::{self, Client, ClientError};
use super::text::clean;

/// What can be said; what is left out is not said.
#[derive(Debug, Args)]
pub struct Words {
    /// Energy from the start of the session to its end
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    kwh: Option<f64>,
    /// Time of the departure by the clock of the site: 17:30, or 2019-03-01T17:30
    #[arg(long, value_name = "TIME")]
    departure: Option<String>,
    /// State of charge on arrival and the one that is wanted, in percent
    #[arg(long, value_name = "FROM-TO", value_parser = percents)]
    soc: Option<(f64, f64)>,
    /// Usable capacity of the battery, for --soc
    #[arg(long, value_name = "N", requires = "soc")]
    battery_kwh: Option<f64>,
    /// Take back what was said
    #[arg(long, conflicts_with_all = ["kwh", "departure", "soc"])]
    clear: bool,
}

impl Words {
    /// Tells the daemon, and hands on its answer.
    pub fn tell(&self, client: &Client, evse: &str) -> Result<String, ClientError> {
        let path = format!("/api/v1/evses/{}/preference", segment(evse));
        if self.clear {
            return client.delete(&path);
        }
        client.put(
            &path,
            &Wanted {
                energy_kwh: self.kwh,
                soc_arrival_percent: self.soc.map(|(from, _)| from),
                soc_target_percent: self.soc.map(|(_, to)| to),
                battery_kwh: self.battery_kwh,
                departure: self.departure.clone(),
            },
        )
    }
}

/// The answer in words.
pub fn told(evse: &str, body: &str) -> Result<String, ClientError> {
    let value: serde_json::Value = client::read(body)?;
    let evse = clean(evse);
    if value.get("answer").is_some() {
        return Ok(format!("{evse}: nothing is wished any more\n"));
    }
    let known: Option<PreferenceView> = client::read(body)?;
    Ok(match known {
        Some(known) => format!("{evse}: noted, {}\n", clean(&known.words)),
        None => format!("{evse}: taken; it shows in a moment\n"),
    })
}

/// `20-80`.
fn percents(text: &str) -> Result<(f64, f64), String> {
    let expected = || "expected two percentages like 20-80".to_owned();
    let (from, to) = text.split_once('-').ok_or_else(expected)?;
    let percent = |text: &str| text.trim().trim_end_matches('%').parse().map_err(|_| expected());
    Ok((percent(from)?, percent(to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_two_numbers() {
        assert_eq!(percents("20-80"), Ok((20.0, 80.0)));
        assert_eq!(percents("7.5%-100%"), Ok((7.5, 100.0)));
        for wrong in ["80", "-", "a-b", "20..80"] {
            assert!(percents(wrong).is_err(), "{wrong}");
        }
    }
}
