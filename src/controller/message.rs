//! The closed vocabulary between the controller and its world. Serialised in journals.

use serde::{Deserialize, Serialize};

use crate::ground::ids::{ChargePointId, EvseId, IdToken, LinkId, RequestId, SessionId};
use crate::ground::time::{Duration, Now, Utc};
use crate::ground::units::Amps;
use crate::model::ask::{Ask, AskOutcome, Signed};
use crate::model::campaign::CampaignId;
use crate::model::event::{Event, EventKind};
use crate::model::feed::{FeedKind, Received};
use crate::model::limit::LimitOf;
use crate::model::preference::{PreferenceSource, Wish};
use crate::model::record::{Record, Remembered};
use crate::model::reservation::ReservationId;
use crate::plan::problem::Problem;
use crate::plan::solution::Plan;

/// Everything that can happen to the controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum Input {
    /// Time has passed: something that was due at [`Controller::wake_at`] may be done.
    ///
    Wake,
    /// A charge point has connected and is one of the site's.
    LinkUp { charge_point: ChargePointId, link: LinkId, address: String },
    /// A connection is gone.
    LinkDown { charge_point: ChargePointId, link: LinkId },
    /// A text frame as it came in.
    Frame { charge_point: ChargePointId, link: LinkId, text: String },
    /// A connection that came to nothing: unknown identity, refused handshake, oversized frame.
    LinkRefused { identity: String, address: String, why: Refusal },
    /// A message from the broker.
    Mqtt {
        topic: String,
        #[serde(with = "payload")]
        payload: Vec<u8>,
        retained: bool,
    },
    /// The broker is connected and subscribed.
    BrokerUp,
    /// The broker is gone, with the reason.
    BrokerDown { why: String },
    /// The store has trouble (or none any more).
    Store { failing: Option<String> },
    /// Something that the world around the controller wants people to know.
    Noticed { kind: EventKind, subject: String, text: String },
    /// A series from outside: forecast, prices, CO2 intensity.
    Series { kind: FeedKind, received: Received },
    /// A document with a series, as one of the site's feeds brought it, by the name of the feed.
    Feed {
        feed: String,
        #[serde(with = "payload")]
        payload: Vec<u8>,
    },
    /// A feed could not be fetched or read, with the reason.
    FeedFailed { feed: String, why: String },
    /// A contact of the site was read, by its id: whether it is closed, else why nobody can say.
    Contact { contact: String, closed: Option<bool>, why: String },
    /// What came of [`Output::Solve`]; none where the solver failed.
    Solved { number: u64, plan: Option<Box<Plan>> },
    /// A question or an order from a person.
    Operator { request: RequestId, order: Order },
}

/// Why a connection came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Its identity is not in the configuration.
    UnknownIdentity,
    /// It does not speak what we speak.
    Handshake(String),
    /// It broke the WebSocket rules or the size limit.
    Protocol(String),
    /// It showed no password, or not the right one.
    Login(String),
    /// Its certificate does not count, or is another's.
    Certificate(String),
}

/// What people may ask of the controller. What they may merely *see* is in the view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Ask the charger of an EVSE for fresh meter values.
    MeterNow { evse: EvseId },
    /// Ask something of a charge point, or of one of its EVSEs, by its name.
    Charger { target: String, ask: Ask },
    /// Keep an EVSE, or any of a charge point, for a token.
    Reserve { target: String, token: IdToken, group: Option<IdToken>, until: Utc },
    /// Give a reservation up.
    CancelReservation { id: ReservationId },
    /// Give up what is reserved at an EVSE or a charge point.
    CancelReservationOf { target: String },
    /// Install firmware on several chargers, one after the other; on all where none is named.
    Campaign { location: String, signed: Option<Signed>, targets: Vec<String> },
    /// Call off what of a firmware campaign has not begun.
    CancelCampaign { id: CampaignId },
    /// Prove by measured current that the charger falls to its safe share by itself.
    Drill { evse: EvseId },
    /// What the driver at an EVSE wants: of the running session, or of the one that follows where
    /// a car is plugged in. Replaces what was said before. Where a session is named it must still
    /// be running.
    Prefer { evse: EvseId, session: Option<SessionId>, wish: Wish, source: PreferenceSource },
    /// No more than this for an EVSE until the span is over, because a partner says so. Replaces
    /// that partner's earlier limit; without a limit it is taken back.
    PartnerLimit { evse: EvseId, partner: String, limit: Option<Amps>, lasts: Duration },
    /// A limit from outside until the span is over. Replaces the earlier one of its source;
    /// without an amount it is taken back.
    OuterLimit { of: LimitOf, source: String, lasts: Duration },
    /// Questions about tokens that the site does not know go to partners from here on, or not.
    AskPartners { active: bool },
    /// The partners' word on a token; with the number of the question, where one was asked.
    Vouch { ask: Option<u64>, token: IdToken, accepted: bool },
    /// Deletes what was learned of a token, or of all drivers where none is named.
    Forget { token: Option<IdToken> },
    /// Takes back what was said.
    ClearPreference { evse: EvseId, session: Option<SessionId>, source: PreferenceSource },
}

/// The answer to an [`Order`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It was done, or is on its way.
    Done,
    /// It could not be done, with the reason in words.
    Refused { why: String },
    /// What a charger made of it.
    Charger { outcome: AskOutcome },
}

/// Everything that the controller causes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "output", rename_all = "snake_case")]
pub enum Output {
    /// Keep this fact; see [`Record::durability`].
    Record(Record),
    /// Send this text on this link. With `after_commit` it may leave only when every
    /// [`Durability::Now`](crate::model::record::Durability) record of this and earlier steps is
    /// on disk.
    Frame { charge_point: ChargePointId, link: LinkId, text: String, after_commit: bool },
    /// Drop this link. `politely` sends a Close frame first.
    Disconnect { charge_point: ChargePointId, link: LinkId, politely: bool },
    /// Tell people. The same event is among the records.
    Event(Event),
    /// Ask the partners whether a token may charge; [`Order::Vouch`] brings their word.
    AskPartners { ask: u64, token: IdToken, evse: Option<EvseId> },
    /// Solve this beside the loop and answer with [`Input::Solved`]; the newest alone matters.
    Solve { number: u64, problem: Box<Problem> },
    /// Sign this request for a certificate and send the charger what comes of it.
    Sign { charge_point: ChargePointId, request: String },
    /// Answer a person.
    Reply { request: RequestId, answer: Answer },
}

/// What one step causes, in order.
pub type Outbox = Vec<Output>;

/// The first line of a journal: everything that a controller starts with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalHeader {
    /// The version of the program that wrote it.
    pub version: String,
    /// The configuration as it was written.
    pub config_text: String,
    /// What the store handed back.
    pub remembered: Remembered,
    /// When the controller was started.
    pub started: Now,
}

/// One line of a journal: an input with its time, and what it caused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalLine {
    /// When.
    pub now: Now,
    /// What happened.
    pub input: Input,
    /// What followed.
    pub outputs: Vec<Output>,
}

/// Payloads in journals: text where it is UTF-8, else hexadecimal behind `\0x`.
mod payload {
    use serde::{Deserialize, Deserializer, Serializer};

    const HEX: &str = "\0x";

    pub fn serialize<S: Serializer>(payload: &[u8], to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(payload) {
            Ok(text) => to.serialize_str(text),
            Err(_) => {
                let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
                to.serialize_str(&format!("{HEX}{hex}"))
            }
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let Some(hex) = text.strip_prefix(HEX) else {
            return Ok(text.into_bytes());
        };
        let pairs = hex.as_bytes().chunks(2);
        let bytes = pairs.map(|pair| {
            std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
        });
        bytes
            .collect::<Option<Vec<u8>>>()
            .ok_or_else(|| serde::de::Error::custom("bad hex payload"))
    }
}
