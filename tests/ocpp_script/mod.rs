//! Plays a charge point against the central system from a script and writes down what happens.
//!
//! One command per line: `up`, `down`, `wait SECONDS`, `< FRAME`, `ok [STATUS]` and `reply PAYLOAD`
//! and `error CODE` (answers to the call in flight), `start`, `limit A [urgent]`, `meter`,
//! `ask JSON`, `list TOKENS`. The controller that stands in accepts every token and counts
//! transactions from 1.

use std::fmt::Write;

use ampgate::ground::ids::{ChargePointId, IdToken, LinkId, Ticket, TransactionId};
use ampgate::ground::time::{Duration, Instant, Now, Utc};
use ampgate::ground::units::{Amps, Volts};
use ampgate::model::ask::{Ask, AskId, ListEntry, TokenInfo, Verdict};
use ampgate::model::message::{Answer, Command, LimitOrder, Report};
use ampgate::model::record::ChargePointRecord;
use ampgate::model::site::{ChargingPolicy, LeasePolicy};
use ampgate::ocpp::Central;
use ampgate::ocpp::traffic::{ConnectorSetup, PointSetup, Traffic};

/// A call of ours is given up after this (`ChargingPolicy::call_timeout`).
const TIMEOUT: Duration = Duration::seconds(30);

const ACCEPTED: TokenInfo = TokenInfo::plain(Verdict::Accepted);

/// A central system with one charge point, and the transcript so far.
pub struct Script {
    pub central: Central,
    pub now: Now,
    pub transcript: String,
    /// Calls of ours in flight, by message id, and when they are given up.
    pub in_flight: Vec<(String, Instant)>,
    /// Reports that were made.
    pub reports: Vec<Report>,
    /// Frames that were sent.
    pub sent: Vec<String>,
    link: LinkId,
    transactions: i64,
    tickets: u64,
    asks: u64,
}

pub fn charge_point() -> ChargePointId {
    ChargePointId::new("CP-01")
}

pub fn setup(connectors: u32, remembered: Option<ChargePointRecord>) -> PointSetup {
    let connector = |number: u32| ConnectorSetup {
        connector: number,
        evse: number as usize - 1,
        safe: Amps::new(6),
        rated: Amps::new(32),
        phases: 3,
    };
    let connectors = (1..=connectors).map(connector).collect();
    PointSetup { id: charge_point(), connectors, remembered }
}

impl Script {
    pub fn new(setup: PointSetup) -> Self {
        let policies = (ChargingPolicy::default(), LeasePolicy::default());
        Self {
            central: Central::new(vec![setup], policies.0, policies.1, Volts::new(230)),
            now: Now { mono: Instant::START, utc: Utc::parse("2024-05-17T18:00:00Z") },
            transcript: String::new(),
            in_flight: Vec::new(),
            reports: Vec::new(),
            sent: Vec::new(),
            link: LinkId(0),
            transactions: 0,
            tickets: 0,
            asks: 0,
        }
    }

    /// Plays a script and gives what was written down meanwhile.
    pub fn play(&mut self, script: &str) -> String {
        self.transcript.clear();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let _ = writeln!(self.transcript, "{line}");
            self.command(line);
        }
        std::mem::take(&mut self.transcript)
    }

    fn command(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut out = Traffic::default();
        let (now, id) = (self.now, charge_point());
        match word {
            "up" => {
                self.link = LinkId(self.link.0 + 1);
                self.in_flight.clear();
                self.central.link_up(now, &id, self.link, "10.0.0.5", &mut out);
            }
            "down" => {
                self.in_flight.clear();
                self.central.link_down(now, &id, self.link, &mut out);
            }
            "wait" => return self.wait(Duration::seconds(rest.parse().expect("seconds"))),
            "<" => self.central.frame(now, &id, self.link, rest, &mut out),
            "start" => {
                let at = now.utc.expect("the clock is set").to_text();
                let rest = format!("\"meterStart\":0,\"timestamp\":\"{at}\"");
                let frame = format!(
                    r#"[2,"start-{}","StartTransaction",{{"connectorId":1,"idTag":"A",{rest}}}]"#,
                    self.transactions
                );
                self.central.frame(now, &id, self.link, &frame, &mut out);
            }
            "ok" => {
                let status = if rest.is_empty() { "Accepted" } else { rest };
                return self.reply(&format!("{{\"status\":\"{status}\"}}"));
            }
            "reply" => return self.reply(rest),
            "error" => {
                let (call, _) = self.in_flight.remove(0);
                let frame = format!("[4,\"{call}\",\"{rest}\",\"\",{{}}]");
                self.central.frame(now, &id, self.link, &frame, &mut out);
            }
            "limit" => {
                let (amps, urgent) = rest.split_once(' ').unwrap_or((rest, ""));
                self.tickets += 1;
                let order = LimitOrder {
                    evse: 0,
                    ticket: Ticket(self.tickets),
                    transaction: (0 < self.transactions)
                        .then_some(TransactionId(self.transactions)),
                    live: Amps::from_f64(amps.parse().expect("amperes")),
                    safe: Amps::new(6),
                    ttl: Duration::seconds(180),
                    urgent: urgent == "urgent",
                };
                self.central.command(now, Command::Limit(order), &mut out);
            }
            "ask" => {
                self.asks += 1;
                let ask: Ask = serde_json::from_str(rest).expect("an ask as JSON");
                let evse = Some(0);
                let charge_point = charge_point();
                let order = Command::Ask { id: AskId(self.asks), charge_point, evse, ask };
                self.central.command(now, order, &mut out);
            }
            "list" => {
                let entry =
                    |token: &str| ListEntry { token: IdToken::new(token), info: Some(ACCEPTED) };
                let entries = rest.split_whitespace().map(entry).collect();
                let order = Command::LocalList { charge_point: charge_point(), entries };
                self.central.command(now, order, &mut out);
            }
            "meter" => self.central.command(now, Command::MeterNow { evse: 0 }, &mut out),
            _ => panic!("unknown command {line}"),
        }
        self.take(out);
    }

    /// Answers the call in flight.
    pub fn reply(&mut self, payload: &str) {
        let (call, _) = self.in_flight.remove(0);
        let frame = format!("[3,\"{call}\",{payload}]");
        let mut out = Traffic::default();
        self.central.frame(self.now, &charge_point(), self.link, &frame, &mut out);
        self.take(out);
    }

    fn wait(&mut self, span: Duration) {
        let end = self.now.mono + span;
        loop {
            let due = self.central.wake_at().filter(|due| *due <= end);
            let next = due.unwrap_or(end).max(self.now.mono);
            let passed = next.since(self.now.mono);
            self.now = Now { mono: next, utc: self.now.utc.map(|utc| utc + passed) };
            let mut out = Traffic::default();
            self.central.wake(self.now, &mut out);
            self.take(out);
            if due.is_none() {
                return;
            }
        }
    }

    fn take(&mut self, out: Traffic) {
        let mut answers = Traffic::default();
        let now = self.now.mono;
        self.in_flight.retain(|(_, given_up)| now < *given_up);
        for report in &out.reports {
            let _ = writeln!(self.transcript, "    {}", words(report));
            let answer = match report {
                Report::Authorize { call, .. } => (call, Answer::Authorized { info: ACCEPTED }),
                Report::Started { call, .. } => {
                    self.transactions += 1;
                    let transaction = TransactionId(self.transactions);
                    (call, Answer::Started { transaction, info: ACCEPTED })
                }
                Report::Stopped { call, .. } => (call, Answer::Stopped),
                _ => continue,
            };
            self.central.answer(self.now, answer.0, answer.1, true, &mut answers);
        }
        for (kind, subject, text) in &out.events {
            let _ = writeln!(self.transcript, "    ! {} {subject}: {text}", kind.code());
        }
        for (_, link, politely) in &out.disconnects {
            let _ = writeln!(self.transcript, "    drop link {} politely {politely}", link.0);
        }
        for frame in &out.frames {
            let wait = if frame.after_commit { " (after commit)" } else { "" };
            let call = frame.text.strip_prefix("[2,\"").and_then(|rest| rest.split_once('"'));
            let text = match call {
                Some((id, rest)) => {
                    assert!(id.len() <= 36, "{id}");
                    self.in_flight.push((id.to_owned(), self.now.mono + TIMEOUT));
                    format!("[2,_{rest}")
                }
                None => frame.text.clone(),
            };
            let _ = writeln!(self.transcript, "  > {text}{wait}");
            self.sent.push(frame.text.clone());
        }
        assert!(self.in_flight.len() <= 1, "one call in flight: {:?}", self.in_flight);
        self.reports.extend(out.reports);
        if answers != Traffic::default() {
            self.take(answers);
        }
    }
}

fn words(report: &Report) -> String {
    match report {
        Report::Online { .. } => "online".to_owned(),
        Report::Offline { .. } => "offline".to_owned(),
        Report::Learned { capability, .. } => format!("learned {capability}"),
        Report::Limit { ticket, scope, outcome, .. } => {
            format!("limit {} {scope:?} {outcome:?}", ticket.0)
        }
        Report::SafeShare { evse, accepted } => format!("safe share of {evse} {accepted}"),
        Report::Asked { outcome, .. } => {
            let details = outcome.details.as_deref().unwrap_or_default();
            let verdict = if outcome.accepted { "yes" } else { "no" };
            format!("asked: {verdict}, {} {details}", outcome.words).trim_end().to_owned()
        }
        Report::Verified { evse, lapse } => format!("verified {evse} {lapse:?}"),
        other => format!("{other:?}"),
    }
}
