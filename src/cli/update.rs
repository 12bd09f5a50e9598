//! `ampgate update`: updates of the box itself.

use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use crate::model::update::{UpdateDone, UpdateView};

use super::client::{self, Client, ClientError, Target};
use super::text::{Side, clean, row, table};

/// Updates of the box itself.
#[derive(Debug, Subcommand)]
pub enum Update {
    /// Install a bundle; the box starts anew when that makes no car late
    Install {
        /// A file on the box, or a URL
        #[arg(value_name = "FILE|URL")]
        location: String,
        /// At once, though cars charge and whatever the hour
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        target: Target,
    },
    /// How far an update is, and why it waits
    Status(Target),
    /// Do not wait for cars and the hour any longer
    Force(Target),
    /// The version on trial works
    Confirm(Target),
    /// Back to the version in the other slot
    Rollback(Target),
    /// Give up what is not written yet
    Cancel(Target),
}

/// Does it, and tells what came of it.
pub fn answer(wanted: &Update) -> Result<String, ClientError> {
    let plain = |word: &str| json!({ "order": word }).to_string();
    match wanted {
        Update::Status(target) => {
            let client = Client::new(target)?;
            let body = client.get("/api/v1/update")?;
            match target.json {
                true => Ok(format!("{}\n", body.trim_end())),
                false => Ok(status(&client::read(&body)?)),
            }
        }
        Update::Install { location, force, target } => {
            let location = absolute(location)?;
            let body = json!({ "order": "install", "location": location, "force": force });
            order(target, &body.to_string())
        }
        Update::Force(target) => order(target, &plain("force")),
        Update::Confirm(target) => order(target, &plain("confirm")),
        Update::Rollback(target) => order(target, &plain("rollback")),
        Update::Cancel(target) => order(target, &plain("cancel")),
    }
}

fn order(target: &Target, body: &str) -> Result<String, ClientError> {
    let client = Client::new(target)?;
    let body = client.post("/api/v1/update", body)?;
    if target.json {
        return Ok(format!("{}\n", body.trim_end()));
    }
    let UpdateDone { words } = client::read(&body)?;
    Ok(format!("{}\n", clean(&words)))
}

/// The daemon does not stand where the person stands.
fn absolute(location: &str) -> Result<String, ClientError> {
    if location.contains("://") {
        return Ok(location.to_owned());
    }
    let file = Path::new(location);
    let failed = |why: std::io::Error| {
        let (file, why) = (file.to_owned(), why.to_string());
        ClientError::File { file, why }
    };
    let full = file.canonicalize().map_err(failed)?;
    Ok(full.display().to_string())
}

/// How it stands, for people.
fn status(view: &UpdateView) -> String {
    let mut out = String::new();
    if !view.enabled {
        return format!("{}\n", clean(&view.words));
    }
    let percent = view.percent.map(|percent| format!(" ({percent} %)")).unwrap_or_default();
    out.push_str(&format!("{}: {}{percent}\n", view.stage.word(), clean(&view.words)));
    if let Some(source) = &view.source {
        out.push_str(&format!("from {}\n", clean(source)));
    }
    for words in &view.trouble {
        out.push_str(&format!("! {}\n", clean(words)));
    }
    let least = view.least.as_ref().map(|least| format!(", none older than {least} is installed"));
    out.push_str(&format!("{} runs{}\n", clean(&view.running), clean(&least.unwrap_or_default())));
    let lines: Vec<_> = view
        .slots
        .iter()
        .map(|slot| {
            let mut words = Vec::new();
            words.extend(slot.booted.then_some("runs"));
            words.extend(slot.first.then_some("starts next"));
            words.push(if slot.good { "good" } else { "bad" });
            let version = slot.version.as_deref().unwrap_or("?");
            row([&format!("slot {}", slot.name), version, &words.join(", ")])
        })
        .collect();
    out.push_str(&table(&[Side::Left, Side::Left, Side::Left], &lines));
    for words in &view.assumed {
        out.push_str(&format!("assumed: {}\n", clean(words)));
    }
    for words in &view.polled {
        out.push_str(&format!("asked by itself: {}\n", clean(words)));
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::model::update::{SlotView, UpdateStage};

    #[test]
    fn the_status_says_why_it_waits() {
        let slot = |name: &str, version: Option<&str>, runs: bool| SlotView {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            booted: runs,
            first: runs,
            good: true,
        };
        let view = UpdateView {
            enabled: true,
            stage: UpdateStage::Waiting,
            words: "2.0.0 waits: EVSE-07 would miss 17:00 by 4 min".to_owned(),
            running: "1.0.0".to_owned(),
            source: Some("/media/two.raucb".to_owned()),
            slots: vec![slot("A", Some("1.0.0"), true), slot("B", None, false)],
            ..UpdateView::default()
        };
        expect![[r#"
            waiting: 2.0.0 waits: EVSE-07 would miss 17:00 by 4 min
            from /media/two.raucb
            1.0.0 runs
            slot A  1.0.0  runs, starts next, good
            slot B  ?      good
        "#]]
        .assert_eq(&status(&view));
    }
}
