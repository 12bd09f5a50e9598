//! Commands and charging profiles with their synchronous and asynchronous answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ocpi::decimal::Decimal;
use crate::ocpi::text::{Ci, Time, list, open_enum, whole, whole_maybe};

use super::token::Token;

open_enum! {
    /// The first answer to a command or a profile.
    Response {
        Accepted = "ACCEPTED",
        NotSupported = "NOT_SUPPORTED",
        Rejected = "REJECTED",
        TooOften = "TOO_OFTEN",
        UnknownSession = "UNKNOWN_SESSION",
    }
}

open_enum! {
    /// What became of a command.
    CommandOutcome {
        Accepted = "ACCEPTED",
        CanceledReservation = "CANCELED_RESERVATION",
        EvseOccupied = "EVSE_OCCUPIED",
        EvseInoperative = "EVSE_INOPERATIVE",
        Failed = "FAILED",
        NotSupported = "NOT_SUPPORTED",
        Rejected = "REJECTED",
        Timeout = "TIMEOUT",
        UnknownReservation = "UNKNOWN_RESERVATION",
    }
}

open_enum! {
    /// What became of a profile.
    ProfileOutcome {
        Accepted = "ACCEPTED",
        Rejected = "REJECTED",
        Unknown = "UNKNOWN",
    }
}

/// The synchronous answer: a result, and how long the other one may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The result.
    pub result: Response,
    /// Seconds; some platforms leave it out.
    #[serde(default = "usual_timeout", deserialize_with = "whole")]
    pub timeout: i64,
    /// In words.
    #[serde(default, deserialize_with = "list")]
    pub message: Vec<Value>,
}

fn usual_timeout() -> i64 {
    30
}

/// START_SESSION.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartSession {
    /// Where the result is wanted.
    pub response_url: String,
    /// For whom.
    pub token: Token,
    /// Where.
    pub location_id: Ci,
    /// Where; any where it is absent.
    pub evse_uid: Option<Ci>,
    /// Where.
    pub connector_id: Option<Ci>,
    /// To be copied to session and CDR.
    pub authorization_reference: Option<Ci>,
}

/// RESERVE_NOW.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReserveNow {
    /// Where the result is wanted; used again if we cancel.
    pub response_url: String,
    /// For whom.
    pub token: Token,
    /// Until when.
    pub expiry_date: Time,
    /// Unique at the partner.
    pub reservation_id: Ci,
    /// Where.
    pub location_id: Ci,
    /// Where; any where it is absent.
    pub evse_uid: Option<Ci>,
    /// To be copied to session and CDR.
    pub authorization_reference: Option<Ci>,
}

/// STOP_SESSION.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StopSession {
    /// Where the result is wanted.
    pub response_url: String,
    /// Which.
    pub session_id: Ci,
}

/// UNLOCK_CONNECTOR.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnlockConnector {
    /// Where the result is wanted.
    pub response_url: String,
    /// Where.
    pub location_id: Ci,
    /// Where.
    pub evse_uid: Ci,
    /// Where.
    pub connector_id: Ci,
}

/// CANCEL_RESERVATION.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CancelReservation {
    /// Where the result is wanted.
    pub response_url: String,
    /// Which.
    pub reservation_id: Ci,
}

/// A profile for a session and where its result is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetChargingProfile {
    /// The profile.
    pub charging_profile: ChargingProfile,
    /// Where the result is wanted.
    pub response_url: String,
}

open_enum! {
    /// What the limits of a profile are in: watts of all phases, or amperes of one.
    RateUnit {
        Watts = "W",
        Amps = "A",
    }
}

/// A ceiling over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChargingProfile {
    /// When it begins; absent means when charging began.
    pub start_date_time: Option<Time>,
    /// Seconds; absent means for ever.
    #[serde(default, deserialize_with = "whole_maybe")]
    pub duration: Option<i64>,
    /// W or A.
    pub charging_rate_unit: RateUnit,
    /// Below it, charging makes no sense.
    pub min_charging_rate: Option<Decimal>,
    /// The steps, in order.
    #[serde(default, deserialize_with = "list")]
    pub charging_profile_period: Vec<ProfilePeriod>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfilePeriod {
    /// Seconds from the start.
    #[serde(deserialize_with = "whole")]
    pub start_period: i64,
    /// The ceiling.
    pub limit: Decimal,
}

/// What a session is limited to by everybody together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveChargingProfile {
    /// What the offsets count from.
    pub start_date_time: Time,
    /// The steps.
    pub charging_profile: ChargingProfile,
}

/// The asynchronous result of a profile, a clearing or a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileResult {
    /// What became of it.
    pub result: ProfileOutcome,
    /// The answer to a question.
    pub profile: Option<ActiveChargingProfile>,
}
