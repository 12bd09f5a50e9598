//! `ampgate replay`: runs a controller anew on the inputs of a journal and compares what it causes.
//!
//! The controller is pure, so the same inputs give the same outputs; a difference means another
//! version of the program, or a mistake in it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::config;
use crate::controller::Controller;
use crate::controller::message::{JournalHeader, JournalLine, Output};
use crate::ground::time::Now;

/// What a replay found.
#[derive(Debug, PartialEq)]
pub enum Replay {
    /// All steps gave what they gave before.
    Same {
        /// How many.
        steps: u64,
    },
    /// The first step that did not.
    Different(Box<Difference>),
}

/// A step whose outputs differ.
#[derive(Debug, PartialEq)]
pub struct Difference {
    /// Line in the journal, from 1.
    pub line: u64,
    /// When.
    pub now: Now,
    /// The first output that the journal has there; none if it has fewer.
    pub recorded: Option<String>,
    /// The same of this program; none if it has fewer.
    pub replayed: Option<String>,
}

/// Why a journal could not be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error("{file}: {why}")]
    Io { file: String, why: String },
    /// A line is no line of a journal.
    #[error("{file}:{line}: {why}, expected {expected}")]
    Line { file: String, line: u64, why: String, expected: &'static str },
    /// Its configuration is not accepted by this version.
    #[error("{}", .0.join("\n"))]
    Config(Vec<String>),
}

impl std::fmt::Display for Replay {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Replay::Same { steps } => write!(to, "{steps} steps, all with the same outputs"),
            Replay::Different(found) => {
                let nothing = || "nothing".to_owned();
                let seconds = found.now.mono.as_millis() as f64 / 1000.0;
                let utc =
                    found.now.utc.map_or_else(|| "no calendar".to_owned(), |utc| utc.to_text());
                writeln!(to, "line {}, {utc}, {seconds:.3} s after the start:", found.line)?;
                writeln!(to, "  recorded {}", found.recorded.clone().unwrap_or_else(nothing))?;
                write!(to, "  replayed {}", found.replayed.clone().unwrap_or_else(nothing))
            }
        }
    }
}

/// Replays a journal.
///
/// # Errors
/// Where the file is no journal.
pub fn replay(path: &Path) -> Result<Replay, ReplayError> {
    let file = path.display().to_string();
    let opened = File::open(path)
        .map_err(|error| ReplayError::Io { file: file.clone(), why: error.to_string() })?;
    let mut lines = BufReader::new(opened).lines();
    let mut number = 0;
    let mut next = || -> Result<Option<(u64, String)>, ReplayError> {
        number += 1;
        match lines.next() {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some((number, text))),
            Some(Err(error)) => Err(ReplayError::Io { file: file.clone(), why: error.to_string() }),
        }
    };
    let wrong = |line: u64, error: serde_json::Error, expected: &'static str| ReplayError::Line {
        file: file.clone(),
        line,
        why: error.to_string(),
        expected,
    };
    let (line, text) = next()?.unwrap_or((1, String::new()));
    let header: JournalHeader = serde_json::from_str(&text)
        .map_err(|error| wrong(line, error, "the first line of a journal"))?;
    let name = format!("{file} (its configuration)");
    let checked = config::parse(&header.config_text, &name).map_err(|problems| {
        ReplayError::Config(problems.iter().map(ToString::to_string).collect())
    })?;
    let mut controller = Controller::new(checked.config.site, &header.remembered, header.started);
    let mut steps = 0;
    while let Some((line, text)) = next()? {
        if text.trim().is_empty() {
            continue;
        }
        let entry: JournalLine = serde_json::from_str(&text)
            .map_err(|error| wrong(line, error, "an input with its time and its outputs"))?;
        let mut outputs = Vec::new();
        controller.step(entry.now, entry.input, &mut outputs);
        steps += 1;
        if let Some((recorded, replayed)) = first_difference(&entry.outputs, &outputs) {
            let found = Difference { line, now: entry.now, recorded, replayed };
            return Ok(Replay::Different(Box::new(found)));
        }
    }
    Ok(Replay::Same { steps })
}

/// The first pair of outputs that differ as text.
fn first_difference(
    recorded: &[Output],
    replayed: &[Output],
) -> Option<(Option<String>, Option<String>)> {
    let text = |output: Option<&Output>| {
        output.map(|output| serde_json::to_string(output).unwrap_or_default())
    };
    (0..recorded.len().max(replayed.len())).find_map(|index| {
        let (old, new) = (recorded.get(index), replayed.get(index));
        if old == new {
            return None;
        }
        // A value may change in the last digit on its way through a file; its text does not.
        let pair = (text(old), text(new));
        (pair.0 != pair.1).then_some(pair)
    })
}
