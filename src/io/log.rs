//! Where log lines go: to the journal of systemd with their fields when that is connected, else to
//! standard error as text.
//!
//! A thread writes them, so that a journal that hangs or a terminal that is held delays nobody;
//! what it cannot take in time is dropped and counted. [`log::Log::flush`] waits for what is under
//! way.
//!
//! `AMPGATE_LOG` names the least severe level that is shown: `error`, `warn`, `info` (the default),
//! `debug` or `trace`. Libraries show warnings only, unless it is `debug` or `trace`.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use log::kv::{Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use systemd_journal_logger::{JournalLog, connected_to_journal};

use crate::model::event::{Event, Severity};

/// The name of this program in targets of log lines.
const OURS: &str = env!("CARGO_CRATE_NAME");

/// The variable that names the level.
pub const LEVEL: &str = "AMPGATE_LOG";

/// Lines that may wait; a burst of events of a large site.
const LINES_MAX: usize = 4096;

/// How long a flush may take.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// Installs the logger of the process; does nothing if there is one.
#[expect(clippy::disallowed_methods, reason = "as usual for logs; wanted before any file is read")]
pub fn install() {
    let named = std::env::var(LEVEL).unwrap_or_default();
    let level = named.trim().parse().unwrap_or(LevelFilter::Info);
    let journal = connected_to_journal().then(|| JournalLog::new().ok()).flatten();
    let (lines, orders) = sync_channel(LINES_MAX);
    let logger = Box::new(Logger { level, lines, dropped: AtomicU64::new(0) });
    if log::set_boxed_logger(logger).is_err() {
        return;
    }
    log::set_max_level(level);
    let thread = std::thread::Builder::new().name("log".to_owned());
    // Without its thread the log stays silent, and the rest works.
    let _ = thread.spawn(move || write(&orders, journal.as_ref()));
}

/// Tells an event with its fields, as severe as it is.
pub fn event(event: &Event) {
    let level = match event.kind.severity() {
        Severity::Info => Level::Info,
        Severity::Warning => Level::Warn,
        Severity::Alarm => Level::Error,
    };
    let (code, subject) = (event.kind.code(), event.subject.as_str());
    log::log!(level, event = code, subject = subject; "{}", event.text);
}

struct Logger {
    level: LevelFilter,
    lines: SyncSender<Order>,
    dropped: AtomicU64,
}

enum Order {
    Write(Line),
    /// Answer when everything before is written.
    Flush(SyncSender<()>),
}

/// A line that outlives the call that made it.
struct Line {
    level: Level,
    target: String,
    text: String,
    fields: Vec<(String, String)>,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        shows(self.level, metadata.target(), metadata.level())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let mut line = Line::of(record);
        if 0 < dropped {
            line.fields.push(("dropped".to_owned(), dropped.to_string()));
        }
        if self.lines.try_send(Order::Write(line)).is_err() {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.lines.try_send(Order::Flush(done)).is_ok() {
            // Whoever flushes is about to end; a journal that hangs must not keep it.
            let _ = wait.recv_timeout(FLUSH_TIME);
        }
    }
}

fn write(orders: &Receiver<Order>, journal: Option<&JournalLog>) {
    while let Ok(order) = orders.recv() {
        match (order, journal) {
            // An error means that nobody waits any more.
            (Order::Flush(done), _) => drop(done.send(())),
            (Order::Write(line), Some(journal)) => line.send(journal),
            (Order::Write(line), None) => {
                // A closed standard error is no reason to stop.
                let _ = writeln!(std::io::stderr().lock(), "{line}");
            }
        }
    }
}

impl Line {
    fn of(record: &Record<'_>) -> Self {
        let mut fields = Fields::default();
        // The visitor never fails.
        let _ = record.key_values().visit(&mut fields);
        Self {
            level: record.level(),
            target: record.target().to_owned(),
            text: record.args().to_string(),
            fields: fields.0,
        }
    }

    fn send(&self, journal: &JournalLog) {
        let fields: Vec<(&str, &str)> =
            self.fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut record = Record::builder();
        record.level(self.level).target(&self.target).key_values(&fields);
        journal.log(&record.args(format_args!("{}", self.text)).build());
    }
}

/// `warn link.down CP-01: connection lost`, or for what is no event `warn: text key=value`.
impl std::fmt::Display for Line {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.level.as_str().to_lowercase())?;
        let is_word = |key: &str| key == "event" || key == "subject";
        for (_, word) in self.fields.iter().filter(|(key, _)| is_word(key)) {
            if !word.is_empty() {
                write!(to, " {word}")?;
            }
        }
        write!(to, ": {}", self.text)?;
        for (key, value) in self.fields.iter().filter(|(key, _)| !is_word(key)) {
            write!(to, " {key}={value}")?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        self.0.push((key.as_str().to_owned(), value.to_string()));
        Ok(())
    }
}

fn shows(least: LevelFilter, target: &str, level: Level) -> bool {
    let library = target.split("::").next().unwrap_or_default();
    let least = match library {
        OURS => least,
        _ if LevelFilter::Debug <= least => least,
        // The broker of the demonstration names each step an error.
        "rumqttd" | "tracing" => LevelFilter::Off,
        _ => least.min(LevelFilter::Warn),
    };
    level <= least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_what_a_person_looks_for() {
        let fields = [("event", "link.down"), ("subject", "CP-01"), ("link", "7")];
        let mut record = Record::builder();
        record.level(Level::Warn).key_values(&fields).target("ampgate::io");
        let line = Line::of(&record.args(format_args!("connection lost")).build());
        assert_eq!(line.to_string(), "warn link.down CP-01: connection lost link=7");
    }

    #[test]
    fn libraries_are_quiet_unless_asked() {
        use LevelFilter as Least;
        assert!(shows(Least::Info, "ampgate::daemon", Level::Info));
        assert!(!shows(Least::Info, "rumqttc::state", Level::Info));
        assert!(shows(Least::Info, "rumqttc::state", Level::Warn));
        assert!(shows(Least::Debug, "rumqttc::state", Level::Debug));
        assert!(!shows(Least::Error, "rumqttc::state", Level::Warn));
        assert!(!shows(Least::Info, "rumqttd::server", Level::Error));
        assert!(!shows(Least::Info, "ampgate_other", Level::Info));
    }
}
