//! Partners over OCPI and what the site is to them, as configured.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ground::ids::EvseId;
use crate::ground::time::{Duration, Utc};

/// Who this site is to its partners.
#[derive(Clone, Debug, PartialEq)]
pub struct Ocpi {
    /// ISO 3166-1 alpha-2.
    pub country_code: String,
    /// Three characters.
    pub party_id: String,
    /// Name of the business.
    pub name: String,
    /// Web site of the business.
    pub website: Option<String>,
    /// What partners put before `/ocpi`: scheme, host, port and path, without a slash at the end.
    pub public_url: String,
    /// ISO 4217.
    pub currency: String,
    /// IANA time zone of the site.
    pub zone: String,
    /// The site as a Location.
    pub place: Place,
    /// The EVSEs that chargers of our own serve, in the order of the diagram.
    pub facades: Vec<Facade>,
    /// Tariffs as OCPI objects without owner and time, in the order of the configuration.
    pub tariffs: Vec<Value>,
    /// A running session is told anew this often, besides its changes.
    pub update_every: Duration,
    /// Voltage between a phase and neutral.
    pub voltage_v: i64,
    /// The partners.
    pub partners: Vec<Partner>,
}

/// The site as a Location.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Location id.
    pub id: String,
    /// For people.
    pub name: String,
    /// Street and number.
    pub address: String,
    /// City.
    pub city: String,
    /// Postal code.
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-3.
    pub country: String,
    /// Degrees north, as a text of five to seven decimals.
    pub latitude: String,
    /// Degrees east, likewise.
    pub longitude: String,
    /// Whether it may be shown to everybody.
    pub publish: bool,
}

/// An EVSE as partners see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Facade {
    /// Ours.
    pub evse: EvseId,
    /// eMI3 id.
    pub evse_id: String,
    /// Connector number at the charge point.
    pub connector: u32,
    /// e.g. `IEC_62196_T2`.
    pub standard: String,
    /// Whether the cable is fixed.
    pub has_cable: bool,
    /// Phases that it is wired to.
    pub phases: usize,
    /// The most of one phase, in whole amperes.
    pub max_a: i64,
    /// The tariffs that are in force.
    pub tariffs: Vec<String>,
}

/// How a partner writes its token in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenEncoding {
    /// Base64 out, both in.
    Base64,
    /// As it is out, both in.
    Raw,
}

/// Which sessions and CDRs a partner gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All of the site: the platform that owns the business.
    All,
    /// Those of the partner's own tokens: one service provider of several.
    Own,
}

/// One partner.
#[derive(Clone, Debug, PartialEq)]
pub struct Partner {
    /// Our name for it.
    pub id: String,
    /// It sees this site as a CPO.
    pub gateway: bool,
    /// It owns chargers that this site plans for.
    pub scsp: bool,
    /// The versions that may be agreed on, the best last.
    pub versions: Vec<String>,
    /// How we write our token to it.
    pub encoding: TokenEncoding,
    /// What it gets.
    pub share: Share,
    /// Its endpoints are advertised with a slash at the end.
    pub trailing_slash: bool,
    /// It cannot bear routing headers.
    pub omit_routing_headers: bool,
    /// Origins that a response_url may have besides those of its endpoints.
    pub response_origins: Vec<String>,
    /// What is pulled is pulled this often.
    pub poll_every: Duration,
    /// Its EVSEs in our diagram.
    pub evses: Vec<PartnerEvse>,
    /// Where the text of `meter_id` carries what a driver wants.
    pub meter_id_pattern: Option<String>,
    /// It promises that its chargers begin each session at their safe share or below.
    pub starts_safe: bool,
}

/// How the link to a partner is, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerState {
    /// Our name for it.
    pub id: String,
    /// `gateway`, `scsp` or `both`.
    pub mode: String,
    /// `registered`, `invited`, `not registered`, `unreachable`, `refuses` (it answers, and takes
    /// something not) or `refused us` (our token).
    pub state: String,
    /// The version that was agreed on.
    pub version: Option<String>,
    /// The last exchange that went well, either way.
    pub heard: Option<Utc>,
    /// Objects that it has yet to be told.
    pub waiting: usize,
    /// The last failure in words, while it lasts.
    pub trouble: Option<String>,
}

/// An EVSE of a partner and the place that it has in our diagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerEvse {
    /// In our diagram.
    pub evse: EvseId,
    /// At the partner.
    pub location_id: String,
    /// At the partner.
    pub evse_uid: String,
}

impl Ocpi {
    /// The partner of this name.
    pub fn partner(&self, id: &str) -> Option<&Partner> {
        self.partners.iter().find(|partner| partner.id == id)
    }
}
