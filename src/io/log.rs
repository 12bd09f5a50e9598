//! Where log lines go: to the journal of systemd with their fields when that is connected, else to
//! standard error as text.
//!
//! `AMPGATE_LOG` names the least severe level that is shown: `error`, `warn`, `info` (the default),
//! `debug` or `trace`. Libraries show warnings only, unless it is `debug` or `trace`.

use std::fmt::Write as _;
use std::io::Write as _;

use log::kv::{Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use systemd_journal_logger::{JournalLog, connected_to_journal};

use crate::model::event::{Event, Severity};

/// The name of this program in targets of log lines.
const OURS: &str = env!("CARGO_CRATE_NAME");

/// The variable that names the level.
pub const LEVEL: &str = "AMPGATE_LOG";

/// Installs the logger of the process; does nothing if there is one.
#[expect(clippy::disallowed_methods, reason = "as usual for logs; wanted before any file is read")]
pub fn install() {
    let named = std::env::var(LEVEL).unwrap_or_default();
    let level = named.trim().parse().unwrap_or(LevelFilter::Info);
    let journal = connected_to_journal().then(|| JournalLog::new().ok()).flatten();
    if log::set_boxed_logger(Box::new(Logger { level, journal })).is_ok() {
        log::set_max_level(level);
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
    level: LevelFilter,
    journal: Option<JournalLog>,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        shows(self.level, metadata.target(), metadata.level())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        match &self.journal {
            Some(journal) => journal.log(record),
            None => {
                // A closed standard error is no reason to stop.
                let _ = writeln!(std::io::stderr().lock(), "{}", line(record));
            }
        }
    }

    fn flush(&self) {}
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

/// `warn link.down CP-01: connection lost`, or for what is no event `warn: text key=value`.
fn line(record: &Record<'_>) -> String {
    let mut fields = Fields::default();
    // The visitor never fails.
    let _ = record.key_values().visit(&mut fields);
    let Fields { event, subject, others } = fields;
    let mut line = record.level().as_str().to_lowercase();
    for word in [event, subject].into_iter().flatten().filter(|word| !word.is_empty()) {
        line.push(' ');
        line.push_str(&word);
    }
    // Writing into a string cannot fail.
    let _ = write!(line, ": {}{others}", record.args());
    line
}

#[derive(Default)]
struct Fields {
    event: Option<String>,
    subject: Option<String>,
    others: String,
}

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        match key.as_str() {
            "event" => self.event = Some(value.to_string()),
            "subject" => self.subject = Some(value.to_string()),
            other => {
                // Writing into a string cannot fail.
                let _ = write!(self.others, " {other}={value}");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_what_a_person_looks_for() {
        let fields = [("event", "link.down"), ("subject", "CP-01"), ("link", "7")];
        let mut record = Record::builder();
        record.level(Level::Warn).key_values(&fields).target("ampgate::io");
        let text = line(&record.args(format_args!("connection lost")).build());
        assert_eq!(text, "warn link.down CP-01: connection lost link=7");
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
