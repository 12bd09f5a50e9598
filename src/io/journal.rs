//! A record of everything that happened to the controller, so that any incident can be replayed:
//! the same inputs give the same outputs, to the last byte.
//!
//! A file of JSON lines: first a [`Header`], then one [`JournalLine`] for each step. A change of
//! the configuration is a [`Reload`]. A thread writes, so a slow disk delays nobody; when it cannot
//! keep up or the file is full, the journal ends, because one with a gap replays into nonsense.
//!
//! A journal holds id tokens. It is written only when asked for.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use crate::controller::message::{Input, JournalLine, Output};
use crate::ground::time::Now;
use crate::model::record::Remembered;

/// The format of the file.
const VERSION: u32 = 1;

/// A journal ends at this size: some days of a busy site.
const BYTES_MAX: usize = 512 << 20;

/// Lines that may wait for the disk.
const LINES_MAX: usize = 10_000;

/// What a replay begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Format of the file, 1.
    pub journal: u32,
    /// Version of the program that wrote it.
    pub program: String,
    /// The configuration as it was given.
    pub config: String,
    /// What the store had.
    pub remembered: Remembered,
    /// When the controller was made.
    pub now: Now,
}

/// The configuration was loaded anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reload {
    /// The new one, as it was given.
    pub reload: String,
    /// When.
    pub now: Now,
    /// What followed.
    pub outputs: Vec<Output>,
}

/// A journal that is being written. Dropping it writes what waits.
#[derive(Debug)]
pub struct Journal {
    lines: Option<SyncSender<Vec<u8>>>,
    written: usize,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Begins a file, replacing an earlier one.
    pub fn begin(file: &Path, config: &str, remembered: &Remembered, now: Now) -> io::Result<Self> {
        let to = BufWriter::new(File::create(file)?);
        let (lines, queue) = sync_channel(LINES_MAX);
        let thread =
            std::thread::Builder::new().name("journal".to_owned()).spawn(|| write(to, queue))?;
        let mut journal = Self { lines: Some(lines), written: 0, thread: Some(thread) };
        journal.add(&Header {
            journal: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            config: config.to_owned(),
            remembered: remembered.clone(),
            now,
        });
        Ok(journal)
    }

    /// Adds one step.
    pub fn step(&mut self, now: Now, input: Input, outputs: &[Output]) {
        self.add(&JournalLine { now, input, outputs: outputs.to_vec() });
    }

    /// Adds a change of the configuration.
    pub fn reload(&mut self, now: Now, config: &str, outputs: &[Output]) {
        self.add(&Reload { reload: config.to_owned(), now, outputs: outputs.to_vec() });
    }

    fn add(&mut self, line: &impl Serialize) {
        let Some(lines) = &self.lines else { return };
        let mut bytes = serde_json::to_vec(line).expect("journals have text keys only");
        bytes.push(b'\n');
        self.written += bytes.len();
        if BYTES_MAX < self.written || lines.try_send(bytes).is_err() {
            log::warn!("the journal is full, or the disk too slow for it; it ends here");
            self.lines = None;
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has told itself, and there is nothing left to write.
            let _ = thread.join();
        }
    }
}

fn write(mut to: BufWriter<File>, queue: Receiver<Vec<u8>>) {
    loop {
        let line = match queue.try_recv() {
            Ok(line) => line,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                let Ok(()) = to.flush() else { break };
                let Ok(line) = queue.recv() else { break };
                line
            }
        };
        if let Err(error) = to.write_all(&line) {
            log::warn!("the journal ends here: {error}");
            return;
        }
    }
    if let Err(error) = to.flush() {
        log::warn!("the end of the journal was not written: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::time::Instant;

    #[test]
    fn a_journal_reads_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("journal");
        let now = Now { mono: Instant::from_millis(7), utc: None };
        let mut journal = Journal::begin(&file, "[site]\n", &Remembered::default(), now).unwrap();
        let (topic, payload) = ("site/grid".to_owned(), vec![0, 255]);
        let input = Input::Mqtt { topic, payload, retained: false };
        journal.step(now, input.clone(), &[]);
        journal.reload(now, "[site]\nname = \"x\"\n", &[]);
        drop(journal);
        let text = std::fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let header: Header = serde_json::from_str(lines[0]).unwrap();
        assert_eq!((header.journal, header.config.as_str()), (1, "[site]\n"));
        let line: JournalLine = serde_json::from_str(lines[1]).unwrap();
        assert_eq!(line, JournalLine { now, input, outputs: Vec::new() });
        let reload: Reload = serde_json::from_str(lines[2]).unwrap();
        assert!(reload.reload.contains("name"));
    }
}
