//! What was learned outlives the program: written down for the store, taken back at the start,
//! deleted when somebody asks for it.
//!
//! Forecasts change all the time and are written every few hours, to spare the flash. What drivers
//! do is written at the end of each stay, one small record for the stay and one for its token. A
//! record with an empty text deletes. Writing changes no decision.

use crate::ground::calendar::Calendar;
use crate::ground::ids::IdToken;
use crate::ground::time::{Duration, Now};
use crate::learn::habits::Habits;
use crate::model::event::EventKind;
use crate::model::record::{LearnedRecord, Record};
use crate::model::site::Site;

use super::message::{Answer, Outbox, Output};
use super::outlook::read;
use super::planning::Planning;
use super::state::State;

/// Forecasts are written this often: a power cut loses no more. At the end of the program they are
/// written too.
const KEEP_EVERY: Duration = Duration::hours(3);

/// How the cars' power is spread over the phases.
const PHASES: &str = "phases";
/// What drivers missed lately.
const SHORTAGE: &str = "shortage";

impl Planning {
    /// Everything that was learned, as it is written down.
    pub fn learned(&self) -> Vec<LearnedRecord> {
        let mut learned = self.forecasts();
        learned.extend(self.habits.texts().into_iter().map(record));
        learned
    }

    fn forecasts(&self) -> Vec<LearnedRecord> {
        let mut learned = self.outlook.texts();
        let own = [
            (PHASES, serde_json::to_string(&self.shares)),
            (SHORTAGE, serde_json::to_string(&self.shortage)),
        ];
        let texts = own.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.ok()?)));
        learned.extend(texts.map(record));
        learned
    }

    /// Takes back what was written down. What cannot be read is learned anew, and told.
    pub fn restore(&mut self, site: &Site, learned: &[LearnedRecord]) {
        let mut habits = Vec::new();
        for LearnedRecord { name, text } in learned {
            let own = match name.as_str() {
                PHASES => Some(read(&mut self.shares, text)),
                SHORTAGE => Some(read(&mut self.shortage, text)),
                _ => None,
            };
            match own.or_else(|| self.outlook.restore(name, text)) {
                Some(true) => {}
                Some(false) => self.unread.push(name.clone()),
                None => habits.push((name.as_str(), text.as_str())),
            }
        }
        self.outlook = self.outlook.clone().under(site);
        let (habits, unread) = Habits::remembering(Calendar::new(&site.zone), &habits);
        self.habits = habits;
        self.unread.extend(unread);
    }
}

impl State {
    /// Writes forecasts down when it is time.
    pub fn keep_learned(&mut self, now: Now, out: &mut Outbox) {
        let unread = std::mem::take(&mut self.planning.unread);
        if !unread.is_empty() {
            let text = format!("cannot be read and is learned anew: {}", unread.join(", "));
            self.event(now, EventKind::LearnedLost, "", text, out);
        }
        let last = *self.planning.kept.get_or_insert(now.mono);
        if now.mono.since(last) < KEEP_EVERY {
            return;
        }
        self.planning.kept = Some(now.mono);
        out.extend(self.planning.forecasts().into_iter().map(Record::Learned).map(Output::Record));
    }

    /// Writes down what a stay has changed.
    pub fn keep_habits(&mut self, changed: Vec<(String, String)>, out: &mut Outbox) {
        let records = changed.into_iter().map(record).map(Record::Learned);
        out.extend(records.map(Output::Record));
    }

    /// Deletes what was learned of a token, or of all drivers, here and in the store.
    pub fn forget(&mut self, now: Now, token: Option<IdToken>, out: &mut Outbox) -> Answer {
        let (gone, whom) = match &token {
            Some(token) => {
                (self.planning.habits.forget(token), format!("token {}", token.masked()))
            }
            None => (self.planning.habits.forget_all(), "all drivers".to_owned()),
        };
        if gone.is_empty() {
            return Answer::Refused { why: format!("nothing was learned of {whom}") };
        }
        self.keep_habits(gone.into_iter().map(|name| (name, String::new())).collect(), out);
        let text = format!("what was learned of {whom} was deleted");
        self.event(now, EventKind::Forgotten, "", text, out);
        self.planning.changed();
        self.mark(now.mono);
        Answer::Done
    }
}

fn record((name, text): (String, String)) -> LearnedRecord {
    LearnedRecord { name, text }
}
