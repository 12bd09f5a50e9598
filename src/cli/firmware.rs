//! `ampgate firmware`: firmware for several chargers, one after the other.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use crate::ui::firmware::Campaigns;

use super::client::{self, Client, ClientError, Target};
use super::remote::order;
use super::text::{Side, clean, row, table};

/// Firmware campaigns.
#[derive(Debug, Subcommand)]
pub enum Firmware {
    /// Begin: without a car, never two under one breaker at once
    Start {
        /// Where the firmware is: a URL that the chargers can reach
        location: String,
        /// Charge points, or EVSEs of them
        #[arg(value_name = "WHERE", required_unless_present = "all", conflicts_with = "all")]
        targets: Vec<String>,
        /// All charge points of the site
        #[arg(long)]
        all: bool,
        /// Certificate of a signed update, PEM
        #[arg(long, value_name = "FILE", requires = "signature")]
        certificate: Option<PathBuf>,
        /// Signature of a signed update, base64
        #[arg(long, value_name = "FILE", requires = "certificate")]
        signature: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// How far the campaigns are
    Status(Target),
    /// Call off what has not begun
    Cancel {
        /// Number of the campaign
        id: i32,
        #[command(flatten)]
        target: Target,
    },
}

/// Does it, and tells what came of it.
pub fn answer(wanted: &Firmware) -> Result<String, ClientError> {
    match wanted {
        Firmware::Start { location, targets, all, certificate, signature, target } => {
            let read = |file: &Option<PathBuf>| file.as_ref().map(text).transpose();
            let body = json!({
                "location": location, "targets": targets, "all": all,
                "certificate": read(certificate)?, "signature": read(signature)?,
            });
            order(target, "/api/v1/firmware", &body.to_string())
        }
        Firmware::Status(target) => {
            let client = Client::new(target)?;
            let body = client.get("/api/v1/firmware")?;
            match target.json {
                true => Ok(format!("{}\n", body.trim_end())),
                false => Ok(campaigns(&client::read(&body)?)),
            }
        }
        Firmware::Cancel { id, target } => {
            order(target, &format!("/api/v1/firmware/{id}/cancel"), "{}")
        }
    }
}

fn text(file: &PathBuf) -> Result<String, ClientError> {
    let text = std::fs::read_to_string(file);
    let text =
        text.map_err(|error| ClientError::File { file: file.clone(), why: error.to_string() })?;
    Ok(text.trim().to_owned())
}

/// Each campaign with its chargers.
fn campaigns(found: &Campaigns) -> String {
    if found.campaigns.is_empty() {
        return "There is no firmware campaign.\n".to_owned();
    }
    let mut out = String::new();
    for one in &found.campaigns {
        let count = |state: &str| one.chargers.iter().filter(|own| own.state == state).count();
        let (done, failed, all) = (count("done"), count("failed"), one.chargers.len());
        let over = if one.over { ", over" } else { "" };
        let signed = if one.signed { ", signed" } else { "" };
        let id = one.id;
        out.push_str(&format!("Campaign {id}: {done} of {all} done, {failed} failed{over}\n"));
        out.push_str(&format!("{}{signed}\n", clean(&one.location)));
        let lines: Vec<_> = one
            .chargers
            .iter()
            .map(|charger| row([&charger.charge_point, &charger.state, &charger.words]))
            .collect();
        out.push_str(&table(&[Side::Left, Side::Left, Side::Left], &lines));
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::controller::view::{CampaignChargerView, CampaignView};

    #[test]
    fn a_campaign_stands_with_its_chargers() {
        let charger = |id: &str, state: &str, words: &str| CampaignChargerView {
            charge_point: id.to_owned(),
            state: state.to_owned(),
            words: words.to_owned(),
        };
        let campaign = CampaignView {
            id: 2,
            location: "http://10.0.0.1/fw.bin".to_owned(),
            signed: false,
            over: false,
            chargers: vec![
                charger("CP-01", "done", "1.0 became 1.1"),
                charger("CP-02", "waiting", "there is a car at EVSE-02"),
            ],
        };
        expect![[r#"
            Campaign 2: 1 of 2 done, 0 failed
            http://10.0.0.1/fw.bin
            CP-01  done     1.0 became 1.1
            CP-02  waiting  there is a car at EVSE-02
        "#]]
        .assert_eq(&campaigns(&Campaigns { campaigns: vec![campaign] }));
    }
}
