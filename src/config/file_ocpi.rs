//! The tables of OCPI as they are written: who the site is, its tariffs, its partners.

use schemars::JsonSchema;
use serde::Deserialize;

/// Who this site is to its partners over OCPI, and where it stands. Needed as soon as there is a
/// `[[partner]]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ocpi {
    /// Country of the party, ISO 3166-1 alpha-2.
    #[schemars(required, length(min = 2, max = 2), example = &"FR")]
    pub country_code: Option<String>,
    /// Party id, three characters, as registered with the national authority.
    #[schemars(required, length(min = 3, max = 3), example = &"AMP")]
    pub party_id: Option<String>,
    /// Name of the business.
    #[schemars(required, length(min = 1, max = 100), example = &"Office car park")]
    pub name: Option<String>,
    /// Web site of the business.
    #[schemars(length(min = 1, max = 255), example = &"https://example.org")]
    pub website: Option<String>,
    /// How partners reach this site: what they put before `/ocpi`. Without it the listener's own
    /// address, which only partners on this machine can use.
    #[schemars(length(min = 8, max = 200), example = &"https://site-17.example.org")]
    pub public_base_url: Option<String>,
    /// Certificate that `listen.ocpi` shows, PEM, followed by what is between it and its root.
    /// With it the listener speaks TLS alone; without it a reverse proxy has to. It is read again
    /// when the file changes.
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/ocpi.pem")]
    pub certificate_file: Option<String>,
    /// Private key of the certificate, PEM.
    #[schemars(length(min = 1, max = 4096), example = &"/etc/ampgate/ocpi.key")]
    pub key_file: Option<String>,
    /// Currency of prices, ISO 4217.
    #[serde(default = "currency")]
    #[schemars(length(min = 3, max = 3))]
    pub currency: String,
    /// A running session is told to partners anew this often, in seconds, besides its changes. Each
    /// time it is also written to the disk.
    #[serde(default = "update_s")]
    #[schemars(range(min = 5, max = 3600))]
    pub update_s: f64,
    /// The site as an OCPI Location.
    #[schemars(required)]
    pub location: Option<Location>,
    /// What charging costs.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub tariff: Vec<Tariff>,
    /// EVSEs that differ from what is derived of their `[[evse]]`.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub connector: Vec<Connector>,
}

/// The site as an OCPI Location.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// Unique among all sites of the party, and never changed.
    #[schemars(required, length(min = 1, max = 24), example = &"LYON-17")]
    pub id: Option<String>,
    /// Street and number.
    #[schemars(required, length(min = 1, max = 255), example = &"17 rue de la Paix")]
    pub address: Option<String>,
    /// City.
    #[schemars(required, length(min = 1, max = 45), example = &"Lyon")]
    pub city: Option<String>,
    /// Postal code.
    #[schemars(length(min = 1, max = 10), example = &"69002")]
    pub postal_code: Option<String>,
    /// Country, ISO 3166-1 alpha-3.
    #[schemars(required, length(min = 3, max = 3), example = &"FRA")]
    pub country: Option<String>,
    /// Degrees north, as text with five to seven decimals.
    #[schemars(required, length(min = 7, max = 10), example = &"45.75780")]
    pub latitude: Option<String>,
    /// Degrees east, as text with five to seven decimals.
    #[schemars(required, length(min = 7, max = 11), example = &"4.83200")]
    pub longitude: Option<String>,
    /// Whether partners may show it to everybody.
    #[serde(default)]
    pub publish: bool,
}

/// An EVSE that differs from what is derived of its `[[evse]]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// Its id in `[[evse]]`.
    #[schemars(required, length(min = 1, max = 36), example = &"EVSE-01")]
    pub evse: Option<String>,
    /// The id that drivers see (eMI3); derived from country, party and `evse` otherwise.
    #[schemars(length(min = 1, max = 48), example = &"FR*AMP*E01")]
    pub evse_id: Option<String>,
    /// Kind of plug, in OCPI's word.
    #[schemars(length(min = 1, max = 40), example = &"IEC_62196_T2")]
    pub standard: Option<String>,
    /// Whether the cable is fixed to the charger.
    #[serde(default)]
    pub cable: bool,
    /// The tariff that is in force; the first `[[ocpi.tariff]]` otherwise.
    #[schemars(length(min = 1, max = 36), example = &"standard")]
    pub tariff: Option<String>,
}

/// What charging costs.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// Unique among the tariffs.
    #[schemars(required, length(min = 1, max = 36), example = &"standard")]
    pub id: Option<String>,
    /// The least that a session costs, without VAT.
    #[schemars(range(min = 0, max = 100_000))]
    pub min_price: Option<f64>,
    /// The most that a session costs, without VAT.
    #[schemars(range(min = 0, max = 100_000))]
    pub max_price: Option<f64>,
    /// Of each dimension the first element that fits prices it; what none prices is free.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub element: Vec<Element>,
}

/// Prices that hold together while all of the restrictions hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Element {
    /// Price of a kilowatt-hour, without VAT.
    #[schemars(range(min = -1000, max = 1000))]
    pub per_kwh: Option<f64>,
    /// Price of an hour of charging, without VAT. A pause that the site caused costs nothing.
    #[schemars(range(min = 0, max = 1000))]
    pub per_hour: Option<f64>,
    /// Price of an hour in which the car asks for nothing, without VAT.
    #[schemars(range(min = 0, max = 1000))]
    pub parking_per_hour: Option<f64>,
    /// Price of a session, once, without VAT.
    #[schemars(range(min = 0, max = 1000))]
    pub flat: Option<f64>,
    /// VAT in percent; absent is not zero but unknown.
    #[schemars(range(min = 0, max = 100))]
    pub vat_percent: Option<f64>,
    /// Energy is billed in whole steps of so many watt-hours.
    #[schemars(range(min = 1, max = 100_000))]
    pub step_wh: Option<u32>,
    /// Time is billed in whole steps of so many seconds.
    #[schemars(range(min = 1, max = 86_400))]
    pub step_s: Option<u32>,
    /// From this time of day, local, as `HH:MM`.
    #[schemars(length(min = 5, max = 5), example = &"17:00")]
    pub from: Option<String>,
    /// Until this time of day, local; before `from` it means the next day.
    #[schemars(length(min = 5, max = 5), example = &"20:00")]
    pub until: Option<String>,
    /// On these days alone: `MONDAY` and so on.
    #[schemars(length(max = 7), inner(length(min = 6, max = 9)))]
    pub days: Option<Vec<String>>,
    /// From so many kWh of the session on.
    #[schemars(range(min = 0, max = 10_000))]
    pub min_kwh: Option<f64>,
    /// Below so many kWh of the session.
    #[schemars(range(min = 0, max = 10_000))]
    pub max_kwh: Option<f64>,
    /// From so many seconds of the session on.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub min_duration_s: Option<u32>,
    /// Below so many seconds of the session.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_duration_s: Option<u32>,
}

/// A partner over OCPI.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// Our name for it, for the command line and the log.
    #[schemars(required, length(min = 1, max = 36), example = &"operator")]
    pub id: Option<String>,
    /// What the two are to each other.
    #[serde(default)]
    pub mode: Mode,
    /// The versions that may be agreed on, the best last.
    #[serde(default = "versions")]
    #[schemars(length(min = 1, max = 2), inner(length(min = 5, max = 5)))]
    pub versions: Vec<String>,
    /// How our token is written to it.
    #[serde(default)]
    pub token_encoding: Encoding,
    /// Which sessions and CDRs it gets.
    #[serde(default)]
    pub sessions: Share,
    /// How often what it owns is asked for, in seconds. In SCSP mode without a way in for the
    /// partner, this is how sessions are seen.
    #[serde(default = "poll_s")]
    #[schemars(range(min = 5, max = 86_400))]
    pub poll_s: f64,
    /// It joins ids to our URLs without a slash: they are given with one at the end.
    #[serde(default)]
    pub trailing_slash: bool,
    /// It refuses requests with routing headers.
    #[serde(default)]
    pub omit_routing_headers: bool,
    /// Origins that its response_url may have besides those of its endpoints.
    #[serde(default)]
    #[schemars(length(max = 20), inner(length(min = 8, max = 200)))]
    #[schemars(example = ["https://callbacks.example.org"])]
    pub response_origins: Vec<String>,
    /// What a driver wants, where the partner puts it into the text of `meter_id`: the text with
    /// {arrival_soc}, {target_soc}, {capacity_kwh}, {energy_kwh} and {departure} in it.
    #[schemars(length(min = 1, max = 255), example = &"{arrival_soc};{target_soc};{departure}")]
    pub meter_id_pattern: Option<String>,
    /// It promises that its chargers begin each session at `safe_a` or below (SCSP mode). OCPI
    /// cannot set that. Without the promise, or when one is seen to break it, an EVSE counts with
    /// its rating until its first limit is confirmed.
    #[serde(default)]
    pub starts_at_safe_a: bool,
    /// Its EVSEs that hang in our electrical diagram (SCSP mode).
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub evse: Vec<PartnerEvse>,
}

/// An EVSE of a partner and its place in our diagram.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartnerEvse {
    /// Its id in `[[evse]]`.
    #[schemars(required, length(min = 1, max = 36), example = &"EVSE-01")]
    pub evse: Option<String>,
    /// The partner's location.
    #[schemars(required, length(min = 1, max = 36), example = &"GARAGE")]
    pub location_id: Option<String>,
    /// The partner's uid of the EVSE.
    #[schemars(required, length(min = 1, max = 36), example = &"GARAGE-01")]
    pub evse_uid: Option<String>,
}

/// What the two are to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Chargers are connected here, and the partner sees the site as a CPO.
    #[default]
    Gateway,
    /// Chargers are connected at the partner, and the site plans for them.
    Scsp,
    /// Both.
    Both,
}

/// How our token is written in the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Base64, as the standard has it.
    #[default]
    Base64,
    /// As it is, as older platforms want it.
    Raw,
}

/// Which sessions and CDRs a partner gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// All of the site.
    #[default]
    All,
    /// Those of its own tokens.
    Own,
}

fn currency() -> String {
    "EUR".to_owned()
}

fn update_s() -> f64 {
    300.0
}

fn poll_s() -> f64 {
    3600.0
}

fn versions() -> Vec<String> {
    vec!["2.2.1".to_owned(), "2.3.0".to_owned()]
}
