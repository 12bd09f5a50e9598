//! What a charge point asks and tells (OCPP 1.6 §4): every call is answered, no transaction, no
//! status and no reading is lost for a bad field.
//!
//! Authorize, StartTransaction and StopTransaction wait for the controller's decision; everything
//! else is answered here. Nothing waits for a BootNotification: after a reconnect a correct charger
//! does not send one (§5.4), and what is refused before it is lost.

use rust_ocpp::v1_6::messages::meter_values::MeterValuesRequest;
use rust_ocpp::v1_6::messages::start_transaction::StartTransactionRequest;
use rust_ocpp::v1_6::messages::status_notification::StatusNotificationRequest;
use rust_ocpp::v1_6::messages::stop_transaction::StopTransactionRequest;

use crate::ground::ids::{IdToken, LinkId, TransactionId};
use crate::ground::time::{Duration, Utc};
use crate::model::event::EventKind;
use crate::model::message::{Answer, Call, EvseStatus, Report, Start, StopReport};

use super::boot;
use super::clock::{Judged, LIVE_MAX, plausible};
use super::frame::{ErrorCode, emit_error, emit_result};
use super::lease;
use super::link::{Waiting, mark};
use super::message::{
    Aside, Decoded, NOTHING, Request, Undecodable, authorize_answer, boot_answer,
    data_transfer_answer, decode, heartbeat_answer, sign_certificate_answer, start_answer,
};
use super::metering::readings;
use super::repair::{Repair, Repairs, cut};
use super::station::{Said, Station};
use super::traffic::Step;
use super::translate;

/// Security events of one charger are told so often; some send storms of them (libocpp#495).
const SECURITY_AGAIN: Duration = Duration::seconds(2);

/// A fault of a whole charge point is told once in this time.
const FAULT_AGAIN: Duration = Duration::minutes(10);

/// A call as it came in.
pub struct Incoming<'a> {
    /// On which link.
    pub link: LinkId,
    /// Its message id.
    pub id: &'a str,
    /// What it asks.
    pub action: &'a str,
    /// Its payload, JSON as a rule.
    pub payload: &'a str,
    /// The whole frame.
    pub text: &'a str,
}

/// Answers a call, or reports it where the controller has to decide.
pub fn called(station: &mut Station, step: &mut Step<'_>, call: &Incoming<'_>) {
    let Decoded { request, aside, mut repairs } = match decode(call.action, call.payload) {
        Ok(decoded) => decoded,
        Err(why) => return undecodable(station, step, call, why),
    };
    let time = station.wire_now(step.now);
    let answer = match request {
        Request::Authorize(request) => {
            if let Some(asked) = wait(station, step, call, None, None) {
                let token = IdToken::new(cut(&request.id_tag));
                step.report(Report::Authorize { call: asked, token });
            }
            None
        }
        Request::Start(request) => {
            started(station, step, call, &request, &aside, &mut repairs);
            None
        }
        Request::Stop(request) => {
            stopped(station, step, call, &request, &aside, &mut repairs);
            None
        }
        Request::Boot(request) => {
            boot::booted(station, step, translate::identity(&request));
            Some(boot_answer(time, step.settings.charging.heartbeat_interval))
        }
        Request::Heartbeat => Some(heartbeat_answer(time)),
        Request::MeterValues(request) => {
            metered(station, step, &request, &aside, &mut repairs);
            Some(NOTHING.to_owned())
        }
        Request::Status(request) => {
            status(station, step, &request, &aside, &mut repairs);
            Some(NOTHING.to_owned())
        }
        Request::DataTransfer => Some(data_transfer_answer()),
        Request::SignCertificate(wanted) => {
            let accepted = !wanted.is_empty();
            if accepted {
                let charge_point = station.id.clone();
                step.report(Report::CertificateWanted { charge_point, request: wanted });
            }
            Some(sign_certificate_answer(accepted))
        }
        Request::Progress(job, request) => {
            step.report(Report::Progress {
                charge_point: station.id.clone(),
                job,
                status: cut(request.status.trim()).to_owned(),
                request: request.request_id,
            });
            Some(NOTHING.to_owned())
        }
        Request::SecurityEvent(text) => {
            if station.quiet.may_say(step.now.mono, Said::Security, SECURITY_AGAIN) {
                step.event(EventKind::ChargerSecurity, &station.id, text);
            }
            Some(NOTHING.to_owned())
        }
    };
    if let Some(answer) = answer {
        step.send(&station.id, call.link, emit_result(call.id, &answer), false);
    }
    station.tell_repairs(step, call.action, &repairs);
}

fn undecodable(station: &mut Station, step: &mut Step<'_>, call: &Incoming<'_>, why: Undecodable) {
    let (code, words) = match why {
        Undecodable::UnknownAction => (ErrorCode::NotImplemented, "unknown action"),
        Undecodable::NoObject => (ErrorCode::FormationViolation, "the payload is no JSON object"),
    };
    step.send(&station.id, call.link, emit_error(call.id, code, words), false);
    let action = cut(call.action);
    station.tell_refused(step, format!("{action}: {words}"));
}

/// Lets a call wait for the controller; none where it was answered before and is answered so again.
fn wait(
    station: &mut Station,
    step: &mut Step<'_>,
    call: &Incoming<'_>,
    connector: Option<u32>,
    mark: Option<u64>,
) -> Option<Call> {
    if let Some(answer) = mark.and_then(|mark| station.answers.known(call.id, mark)) {
        step.send(&station.id, call.link, emit_result(call.id, answer), true);
        return None;
    }
    let waiting = Waiting { id: call.id.to_owned(), link: call.link, connector, mark };
    if let Some(given_up) = station.answers.wait(waiting)
        && given_up.link == call.link
    {
        let text = emit_error(&given_up.id, ErrorCode::InternalError, "no decision");
        step.send(&station.id, call.link, text, false);
    }
    Some(Call { charge_point: station.id.clone(), id: call.id.to_owned() })
}

/// The controller has decided (OCPP 1.6 §4.1, §4.8, §4.10). `link` is the link that is up.
pub fn decided(
    station: &mut Station,
    step: &mut Step<'_>,
    link: Option<LinkId>,
    call: &Call,
    answer: Answer,
    after_commit: bool,
) {
    let Some(waiting) = station.answers.take(&call.id) else { return };
    let payload = match answer {
        Answer::Authorized { info } => authorize_answer(&info),
        Answer::Started { transaction, info } => {
            let index = waiting.connector.and_then(|connector| station.position(connector));
            if let Some(index) = index {
                station.connectors[index].running = Some((transaction, step.now.mono));
            }
            start_answer(transaction, &info)
        }
        Answer::Stopped => NOTHING.to_owned(),
    };
    if link == Some(waiting.link) {
        step.send(&station.id, waiting.link, emit_result(&waiting.id, &payload), after_commit);
    }
    if let Some(mark) = waiting.mark {
        station.answers.keep(waiting.id, mark, payload);
    }
}

/// What the charger's time is worth; live where it wrote none that can be read.
fn judge(station: &mut Station, step: &Step<'_>, written: i64, repairs: &mut Repairs) -> Judged {
    let written = Utc::from_millis(written);
    let judged = station.clock.judge(step.now, written);
    if judged.corrected {
        repairs.note(if plausible(written).is_some() {
            Repair::WrongClock
        } else {
            Repair::NoTime
        });
    }
    judged
}

fn started(
    station: &mut Station,
    step: &mut Step<'_>,
    call: &Incoming<'_>,
    request: &StartTransactionRequest,
    aside: &Aside,
    repairs: &mut Repairs,
) {
    let connector = translate::start_connector(request, station.only_connector());
    let Some(asked) = wait(station, step, call, Some(connector), Some(mark(call.text))) else {
        return;
    };
    let written = request.timestamp.timestamp_millis();
    let judged = judge(station, step, written, repairs);
    let position = station.position(connector);
    let meter_start = translate::register(request.meter_start, aside);
    let mut status = None;
    let mut evse = None;
    match position {
        Some(index) => {
            let own = &mut station.connectors[index];
            own.register.begin(meter_start);
            status = own.status;
            evse = Some(own.setup.evse);
        }
        None => repairs.note(Repair::UnknownConnector),
    }
    let start = Start {
        evse,
        connector,
        token: IdToken::new(cut(&request.id_tag)),
        meter_start,
        at: plausible(Utc::from_millis(written)).and(judged.at),
        replayed: translate::is_replayed(&judged, status),
        reservation: request.reservation_id,
    };
    step.report(Report::Started { call: asked, start });
}

fn stopped(
    station: &mut Station,
    step: &mut Step<'_>,
    call: &Incoming<'_>,
    request: &StopTransactionRequest,
    aside: &Aside,
    repairs: &mut Repairs,
) {
    let Some(asked) = wait(station, step, call, None, Some(mark(call.text))) else { return };
    let written = request.timestamp.timestamp_millis();
    let judged = judge(station, step, written, repairs);
    let id = aside.transaction.unwrap_or(i64::from(request.transaction_id));
    let transaction = TransactionId(id);
    let voltage = step.settings.voltage;
    let Station { connectors, clock, .. } = station;
    let runs = |(running, _): (TransactionId, _)| running == transaction;
    let position = connectors.iter().position(|own| own.running.is_some_and(runs));
    let samples = request.transaction_data.as_deref().unwrap_or_default();
    let mut history = match position.or((!connectors.is_empty()).then_some(0)) {
        Some(index) => {
            let own = &mut connectors[index];
            let place = own.place(voltage);
            readings(samples, &place, step.now, clock, &mut own.register, repairs)
        }
        None => Vec::new(),
    };
    for reading in &mut history {
        reading.live = false;
    }
    lease::ended(station, step, transaction);
    let stop = StopReport {
        transaction,
        meter_stop: translate::register(request.meter_stop, aside),
        at: plausible(Utc::from_millis(written)).and(judged.at),
        reason: translate::reason(request.reason.as_ref(), aside),
        token: request
            .id_tag
            .as_deref()
            .filter(|tag| !tag.is_empty())
            .map(|tag| IdToken::new(cut(tag))),
        readings: history,
    };
    step.report(Report::Stopped { call: asked, stop });
}

fn metered(
    station: &mut Station,
    step: &mut Step<'_>,
    request: &MeterValuesRequest,
    aside: &Aside,
    repairs: &mut Repairs,
) {
    let named = aside.transaction.or(request.transaction_id.map(i64::from));
    let transaction = named.filter(|id| 0 < *id).map(TransactionId);
    // Connector 0 is the charge point's own feed, unless a transaction says otherwise.
    let connector = match (request.connector_id, transaction, station.only_connector()) {
        (0, Some(_), Some(only)) => only,
        (0, _, _) => return,
        (connector, _, _) => connector,
    };
    let voltage = step.settings.voltage;
    let Station { connectors, clock, .. } = station;
    let own = connectors.iter_mut().find(|own| own.setup.connector == connector);
    let Some(own) = own else {
        repairs.note(Repair::UnknownConnector);
        return;
    };
    let place = own.place(voltage);
    let values = &request.meter_value;
    let readings = readings(values, &place, step.now, clock, &mut own.register, repairs);
    if !readings.is_empty() {
        step.report(Report::Metered { evse: own.setup.evse, transaction, readings });
    }
}

fn status(
    station: &mut Station,
    step: &mut Step<'_>,
    request: &StatusNotificationRequest,
    aside: &Aside,
    repairs: &mut Repairs,
) {
    let error = translate::error(request, aside);
    let written = request.timestamp.map(|time| Utc::from_millis(time.timestamp_millis()));
    let judged = written.map(|time| judge(station, step, time.as_millis(), repairs));
    let written = written.and_then(plausible);
    let Some(index) = station.position(request.connector_id) else {
        if request.connector_id != 0 {
            repairs.note(Repair::UnknownConnector);
        }
        whole_status(station, step, request, error);
        return;
    };
    let own = &mut station.connectors[index];
    own.heard = true;
    // What is old and older than what is known came from a queue, and says nothing of the present.
    let is_old = judged.is_some_and(|judged| LIVE_MAX < judged.age);
    if is_old && written < own.status_at {
        return;
    }
    let status = translate::status(request, aside);
    if status == EvseStatus::Available
        && let Some((transaction, _)) = own.running.take()
    {
        own.ended = Some(transaction);
    }
    own.status = Some(status);
    own.status_at = written;
    let at = match judged {
        Some(judged) => judged.at,
        None => step.now.utc,
    };
    step.report(Report::Status { evse: own.setup.evse, status, error, at });
}

/// The status of the charge point as a whole stops no connector: some say Faulted and go on
/// charging (Alfen: lbbrhzn/ocpp#337).
fn whole_status(
    station: &mut Station,
    step: &mut Step<'_>,
    request: &StatusNotificationRequest,
    error: Option<String>,
) {
    let Some(error) = error else { return };
    if station.quiet.may_say(step.now.mono, Said::Fault, FAULT_AGAIN) {
        let text = format!("connector {}: {error}", request.connector_id);
        step.event(EventKind::ChargerFault, &station.id, text);
    }
}
