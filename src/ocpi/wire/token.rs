//! Tokens and what a partner says of them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ocpi::text::{Ci, Time, list, open_enum};

open_enum! {
    /// What a token is.
    TokenType {
        AdHocUser = "AD_HOC_USER",
        AppUser = "APP_USER",
        Emaid = "EMAID",
        Unspecified = "OTHER",
        Rfid = "RFID",
    }
}

open_enum! {
    /// When a token may be believed without asking.
    Whitelist {
        Always = "ALWAYS",
        Allowed = "ALLOWED",
        AllowedOffline = "ALLOWED_OFFLINE",
        Never = "NEVER",
    }
}

open_enum! {
    /// What a partner answers to a token.
    Allowed {
        Allowed = "ALLOWED",
        Blocked = "BLOCKED",
        Expired = "EXPIRED",
        NoCredit = "NO_CREDIT",
        NotAllowed = "NOT_ALLOWED",
    }
}

/// What a driver presents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Owner.
    pub country_code: Ci,
    /// Owner.
    pub party_id: Ci,
    /// What the reader reads, or the app made.
    pub uid: Ci,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: TokenType,
    /// The contract that pays.
    #[serde(default)]
    pub contract_id: Ci,
    /// Printed on the card.
    pub visual_number: Option<String>,
    /// For people.
    #[serde(default)]
    pub issuer: String,
    /// Tokens of one group may stop each other's sessions.
    pub group_id: Option<Ci>,
    /// Whether it may be used at all.
    pub valid: bool,
    /// When it may be believed without asking.
    pub whitelist: Whitelist,
    /// ISO 639-1.
    pub language: Option<String>,
    /// The profile that the driver usually wants.
    pub default_profile_type: Option<String>,
    /// As it came.
    pub energy_contract: Option<Value>,
    /// When it changed.
    pub last_updated: Time,
}

/// Where a token is to be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocationReferences {
    /// The site.
    pub location_id: Ci,
    /// The EVSEs there.
    #[serde(default, deserialize_with = "list")]
    pub evse_uids: Vec<Ci>,
}

/// What a partner says of a token at this moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationInfo {
    /// The verdict.
    pub allowed: Allowed,
    /// The token as the partner knows it.
    pub token: Option<Token>,
    /// Where it may be used.
    pub location: Option<LocationReferences>,
    /// To be copied to session and CDR.
    pub authorization_reference: Option<Ci>,
}
