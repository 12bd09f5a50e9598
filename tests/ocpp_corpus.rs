//! Frames as real chargers send them: our own corpus, and a larger one where it is at hand.

mod ocpp_script;

use std::path::Path;

use serde::Deserialize;

use ampgate::model::message::Report;
use ampgate::ocpp::frame::{Frame, parse};
use ocpp_script::{Script, setup};

/// A file of the corpus: what went wrong once, and what must come of it.
#[derive(Deserialize)]
struct Story {
    story: String,
    frame: String,
    outcome: Vec<String>,
}

/// What a frame came to: the lines of the transcript that are not the frame itself.
fn outcome(frame: &str) -> Vec<String> {
    let mut script = Script::new(setup(4, None));
    script.play("up\nwait 3");
    let transcript = script.play(&format!("< {}", frame.replace('\n', " ")));
    transcript.lines().skip(1).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn every_story_ends_as_it_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/ocpp");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is part of the repository") {
        let path = entry.expect("a readable folder").path();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let mut story: Story = serde_json::from_str(&text).expect("a story");
        let ended = outcome(&story.frame);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            story.outcome = ended.clone();
            let text = serde_json::json!({
                "story": story.story, "frame": story.frame, "outcome": story.outcome,
            });
            let text = serde_json::to_string_pretty(&text).expect("plain text") + "\n";
            std::fs::write(&path, text).expect("a writable file");
        }
        assert_eq!(ended, story.outcome, "{}: {}", path.display(), story.story);
        count += 1;
    }
    assert!(0 < count);
}

#[derive(Deserialize)]
struct Line {
    id: String,
    dir: String,
    raw: String,
}

#[test]
fn no_call_of_a_real_charger_is_lost() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/ocpp-frames.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} is not there", path.display());
        return;
    };
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).expect("a line of the corpus");
        if line.dir != "cp->cs" {
            continue;
        }
        let mut script = Script::new(setup(4, None));
        script.play("up\nwait 3");
        script.reports.clear();
        script.sent.clear();
        let one_line = line.raw.replace('\n', " ");
        let transcript = script.play(&format!("< {one_line}"));
        let Ok(Frame::Call { id, action, payload }) = parse(&line.raw) else { continue };
        let answer = format!("[3,\"{id}\",");
        let answers = script.sent.iter().filter(|sent| sent.starts_with(&answer)).count();
        assert_eq!(answers, 1, "{}: {transcript}", line.id);
        let is_whole = payload.contains("\"connectorId\":0");
        let kept =
            |kept: fn(&Report) -> bool| script.reports.iter().filter(|one| kept(one)).count();
        let (count, expected) = match action.as_ref() {
            "StartTransaction" => (kept(|one| matches!(one, Report::Started { .. })), 1),
            "MeterValues" => {
                (kept(|one| matches!(one, Report::Metered { .. })), usize::from(!is_whole))
            }
            "StatusNotification" => {
                (kept(|one| matches!(one, Report::Status { .. })), usize::from(!is_whole))
            }
            "BootNotification" => (kept(|one| matches!(one, Report::Identified { .. })), 1),
            "Authorize" => (kept(|one| matches!(one, Report::Authorize { .. })), 1),
            _ => (0, 0),
        };
        assert_eq!(count, expected, "{}: {transcript}", line.id);
    }
}
