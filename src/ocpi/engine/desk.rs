//! What goes in and out of the engine: plain values. The shelf is the one thing that is asked for
//! while a step runs: rows of sessions and CDRs, which are too many to be held in memory.

use serde_json::Value;

use crate::ground::ids::{EvseId, IdToken};
use crate::ground::time::{Duration, Instant, Utc};
use crate::model::event::EventKind;
use crate::model::message::EvseStatus;
use crate::model::preference::Preference;

use crate::ocpi::http::{OcpiRequest, OcpiResponse};

use super::wanted::Wanted;

/// Everything that can happen to the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Time has passed.
    Wake,
    /// How the site is.
    Facts(Facts),
    /// A partner asks.
    Request { number: u64, request: OcpiRequest },
    /// A partner has answered, or it came to nothing, with the reason.
    Response { call: u64, result: Result<OcpiResponse, String> },
    /// A charger asks whether a token may charge.
    Ask { ask: u64, token: IdToken, evse: Option<EvseId> },
    /// What the driver of a session of the site wants, for partners that plan for it.
    Wants { session: u64, wanted: Wanted },
    /// The site wants a limit for a partner's EVSE, in amperes of a phase.
    Limit { order: u64, evse: EvseId, limit_a: f64 },
    /// What became of an order to the site.
    Done { order: u64, outcome: OrderOutcome },
    /// A person wants something of a partner.
    Person { person: u64, wish: Wish },
}

/// What a person may want of a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A token A for the partner to register with us.
    Invite { partner: String },
    /// Register with the partner.
    Register { partner: String, url: String, token: String },
    /// How all stand.
    List,
    /// End it.
    Remove { partner: String },
    /// New tokens in both directions.
    Rotate { partner: String },
}

/// Everything that the engine causes, in order. What is kept is on disk before what follows leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Keep this.
    Keep(Change),
    /// Answer a partner.
    Reply { number: u64, response: OcpiResponse },
    /// Ask a partner.
    Send { call: u64, request: OcpiRequest },
    /// Let the site do something.
    Order { order: u64, wanted: SiteOrder },
    /// What happens at an EVSE of a partner.
    Foreign(Foreign),
    /// What became of a limit for a partner's EVSE.
    LimitAnswer { order: u64, answer: LimitAnswer },
    /// Whether a token may charge.
    Verdict { ask: u64, accepted: bool },
    /// Tell a person.
    Told { person: u64, text: Result<String, String> },
    /// Tell people.
    Event { kind: EventKind, partner: String, text: String },
}

/// One change of what is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A value under a name; replaces the earlier one.
    Put { key: String, value: Value },
    /// No such name any more.
    Drop { key: String },
    /// A row of a list; replaces the row of the same number.
    Row(Row),
}

/// A row of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which list.
    pub kind: RowKind,
    /// Its place in the order of the list.
    pub number: u64,
    /// Unique in the list; in lower case.
    pub id: String,
    /// Owner of the token, as `country-party` in lower case.
    pub owner: String,
    /// When it changed.
    pub updated: Utc,
    /// The object.
    pub value: Value,
}

/// The lists that are kept as rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKind {
    /// Sessions, in the order they began.
    Session,
    /// CDRs, in the order they were made.
    Cdr,
}

impl RowKind {
    /// Name of the table.
    pub fn word(self) -> &'static str {
        match self {
            RowKind::Session => "session",
            RowKind::Cdr => "cdr",
        }
    }
}

/// Which rows are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Of which list.
    pub kind: RowKind,
    /// Changed at or after.
    pub from: Option<Utc>,
    /// Changed before.
    pub to: Option<Utc>,
    /// With a number above.
    pub after: u64,
    /// With this id alone, in lower case.
    pub id: Option<String>,
    /// Of tokens of these owners alone.
    pub owners: Option<Vec<String>>,
    /// Rows that fit and are passed over.
    pub skip: usize,
    /// At most so many.
    pub limit: usize,
}

/// Rows, and how many there are without skip and limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// How many fit.
    pub total: usize,
    /// Those that were asked for, with their numbers.
    pub rows: Vec<(u64, Value)>,
}

impl Query {
    /// Every row of a list.
    pub fn all(kind: RowKind) -> Self {
        Self {
            kind,
            from: None,
            to: None,
            after: 0,
            id: None,
            owners: None,
            skip: 0,
            limit: usize::MAX,
        }
    }

    /// Whether a row fits, skip and limit apart.
    pub fn fits(&self, number: u64, id: &str, owner: &str, updated: Utc) -> bool {
        self.after < number
            && self.from.is_none_or(|from| from <= updated)
            && self.to.is_none_or(|to| updated < to)
            && self.id.as_deref().is_none_or(|wanted| wanted == id)
            && self.owners.as_ref().is_none_or(|all| all.iter().any(|known| known == owner))
    }
}

/// What one step works with.
pub struct Desk<'a> {
    /// The calendar; the engine rests while it is not trusted.
    pub utc: Utc,
    /// The monotonic moment, for timers.
    pub mono: Instant,
    /// Where everything that follows is put.
    pub out: &'a mut Vec<Output>,
    /// Where rows are looked up.
    pub shelf: &'a mut dyn FnMut(&Query) -> Found,
}

impl Desk<'_> {
    /// Keeps a value under a name.
    pub fn keep(&mut self, key: String, value: &impl serde::Serialize) {
        let value = serde_json::to_value(value).expect("what is kept has text keys only");
        self.out.push(Output::Keep(Change::Put { key, value }));
    }

    /// The first row that fits, those among them that this step has only just kept.
    pub fn first_row(&mut self, query: &Query) -> Option<(u64, Value)> {
        let stored = (self.shelf)(query).rows.into_iter().next();
        let fresh = self.out.iter().rev().filter_map(|output| match output {
            Output::Keep(Change::Row(row)) if row.kind == query.kind => Some(row),
            _ => None,
        });
        let fits = |row: &&Row| query.fits(row.number, &row.id, &row.owner, row.updated);
        let fresh = fresh.filter(fits).min_by_key(|row| row.number);
        let fresh = fresh.map(|row| (row.number, row.value.clone()));
        match (fresh, stored) {
            (Some(fresh), Some(stored)) if stored.0 < fresh.0 => Some(stored),
            (fresh, stored) => fresh.or(stored),
        }
    }

    /// Tells people.
    pub fn tell(&mut self, kind: EventKind, partner: &str, text: impl Into<String>) {
        self.out.push(Output::Event { kind, partner: partner.to_owned(), text: text.into() });
    }

    /// Answers a partner.
    pub fn reply(&mut self, number: u64, response: OcpiResponse) {
        self.out.push(Output::Reply { number, response });
    }
}

/// How the site is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Every EVSE.
    pub evses: Vec<EvseFact>,
    /// Open sessions and those that ended lately, the oldest first.
    pub sessions: Vec<SessionFact>,
}

/// An EVSE of the site.
#[derive(Clone, Debug, PartialEq)]
pub struct EvseFact {
    /// Which.
    pub evse: EvseId,
    /// Whether its charger is connected.
    pub online: bool,
    /// What it is doing.
    pub status: EvseStatus,
    /// The limit in force, in amperes of a phase.
    pub limit_a: Option<f64>,
}

/// A session of the site.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionFact {
    /// Number at the site.
    pub session: u64,
    /// Where.
    pub evse: EvseId,
    /// Who.
    pub token: IdToken,
    /// When it began.
    pub started: Utc,
    /// When it ended.
    pub ended: Option<Utc>,
    /// Energy so far.
    pub energy_wh: i64,
}

/// What happens at an EVSE of a partner.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// In our diagram.
    pub evse: EvseId,
    /// What.
    pub event: ForeignEvent,
}

/// See [`Foreign`].
#[derive(Clone, Debug, PartialEq)]
pub enum ForeignEvent {
    /// A session began.
    Began { token: String, at: Utc },
    /// Energy since it began, and power where that is known.
    Metered { energy_wh: i64, power_w: Option<f64> },
    /// It ended.
    Ended { energy_wh: i64, at: Utc },
    /// What its operator limits it to at this moment, everybody's limits together.
    Active { limit_a: f64 },
    /// What its driver wants.
    Wants(Wanted),
}

/// What became of a limit for a partner's EVSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAnswer {
    /// The partner's charger has it.
    Accepted,
    /// It was refused.
    Rejected,
    /// It may have arrived or not.
    NoAnswer,
    /// It never left: a newer one took its place, or no session runs.
    NotSent,
}

/// What the site is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum SiteOrder {
    /// No more than this for an EVSE until it is taken back; none takes it back.
    Bound { evse: EvseId, partner: String, limit_a: Option<f64>, lasts: Duration },
    /// Let a token charge.
    Start { evse: EvseId, token: IdToken },
    /// End a session.
    Stop { session: u64 },
    /// Open a connector's lock.
    Unlock { evse: EvseId },
    /// Keep an EVSE for a token.
    Reserve { evse: EvseId, reservation: u32, token: IdToken, until: Utc },
    /// Keep it no longer.
    Cancel { evse: EvseId, reservation: u32 },
    /// What a driver wants.
    Prefer(Preference),
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderOutcome {
    /// Done, or on its way.
    Accepted,
    /// The charger said no.
    Rejected,
    /// There is a car already.
    Occupied,
    /// It is broken or out of service.
    Inoperative,
    /// It could not be done.
    Failed,
    /// The charger or this version cannot do it.
    NotSupported,
    /// The charger did not answer.
    Timeout,
}
