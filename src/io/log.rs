//! Where log lines go: to the journal of systemd with their fields when that is connected, else to
//! standard error as text.
//!
//! A thread writes them, so that a journal that hangs or a terminal that is held delays nobody;
//! what it cannot take in time is dropped and counted. [`log::Log::flush`] waits for what is under
//! way.
//!
//! The command line (`--log-level`), else `AMPGATE_LOG`, else the configuration (`log.level`) names
//! the least severe level that is shown: `error`, `warn`, `info` (the default), `debug` or `trace`,
//! and others for single modules. Libraries show warnings only, unless it is `debug` or `trace`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use log::kv::{Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use systemd_journal_logger::{JournalLog, connected_to_journal};

use crate::model::event::{Event, Severity};
use crate::model::log::Levels;

/// The name of this program in targets of log lines.
const OURS: &str = env!("CARGO_CRATE_NAME");

/// The variable that names the level.
pub const LEVEL: &str = "AMPGATE_LOG";

/// Lines that may wait; a burst of events of a large site.
const LINES_MAX: usize = 4096;

/// How long a flush may take.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// What is shown.
static LEVELS: RwLock<Levels> =
    RwLock::new(Levels { all: LevelFilter::Info, modules: BTreeMap::new() });

/// The command line or the environment has said what is shown; the configuration does not count.
static IS_ASKED: AtomicBool = AtomicBool::new(false);

/// Shows what the configuration says, where nobody has asked for something else.
pub fn configure(levels: Option<&Levels>) {
    if !IS_ASKED.load(Ordering::Relaxed) {
        show(levels.cloned().unwrap_or_default());
    }
}

fn show(levels: Levels) {
    log::set_max_level(levels.most());
    *LEVELS.write().unwrap_or_else(PoisonError::into_inner) = levels;
}

/// Installs the logger of the process, with what the command line asks for; does nothing if there
/// is one.
#[expect(clippy::disallowed_methods, reason = "as usual for logs; wanted before any file is read")]
pub fn install(asked: Option<Levels>) {
    let named = std::env::var(LEVEL).ok().map(|text| Levels::parse(&text));
    let wrong = named.as_ref().and_then(|named| named.as_ref().err().cloned());
    let asked = asked.or_else(|| named?.ok());
    let journal = connected_to_journal().then(|| JournalLog::new().ok()).flatten();
    let (lines, orders) = sync_channel(LINES_MAX);
    let logger = Box::new(Logger { lines, dropped: AtomicU64::new(0) });
    if log::set_boxed_logger(logger).is_err() {
        return;
    }
    IS_ASKED.store(asked.is_some(), Ordering::Relaxed);
    show(asked.unwrap_or_default());
    let thread = std::thread::Builder::new().name("log".to_owned());
    // Without its thread the log stays silent, and the rest works.
    let _ = thread.spawn(move || write(&orders, journal.as_ref()));
    if let Some(why) = wrong {
        log::warn!("{LEVEL} does not count: {why}");
    }
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
        let levels = LEVELS.read().unwrap_or_else(PoisonError::into_inner);
        shows(&levels, metadata.target(), metadata.level())
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

fn shows(levels: &Levels, target: &str, level: Level) -> bool {
    if let Some(least) = levels.of(OURS, target) {
        return level <= least;
    }
    let least = levels.all;
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
        let shows = |asked: &str, target: &str, level: Level| {
            super::shows(&Levels::parse(asked).unwrap(), target, level)
        };
        assert!(shows("info", "ampgate::daemon", Level::Info));
        assert!(!shows("info", "rumqttc::state", Level::Info));
        assert!(shows("info", "rumqttc::state", Level::Warn));
        assert!(shows("debug", "rumqttc::state", Level::Debug));
        assert!(!shows("error", "rumqttc::state", Level::Warn));
        assert!(!shows("info", "rumqttd::server", Level::Error));
        assert!(!shows("info", "ampgate_other", Level::Info));
        assert!(shows("info,rumqttc=trace", "rumqttc::state", Level::Trace));
        assert!(shows("warn,ocpp=debug", "ampgate::ocpp::boot", Level::Debug));
        assert!(!shows("warn,ocpp=debug", "ampgate::daemon", Level::Info));
        assert!(!shows("info,ocpp=error", "ampgate::ocpp::boot", Level::Warn));
    }
}
