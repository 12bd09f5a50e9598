//! What people may see: a plain snapshot built after a step, read by page, API and command line.

use serde::{Deserialize, Serialize};

use crate::ground::time::Utc;
use crate::ground::units::{Amps, PerPhase, Volts, WattHours, Watts};
use crate::model::bound::Cause;
use crate::model::event::Event;
use crate::model::message::{EvseStatus, Identity};
use crate::model::preference::{PreferenceSource, StateOfCharge};

use super::forecast_view::ForecastView;
use super::plan_view::PlanView;

/// The site at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The moment; absent while the clock is not trusted.
    pub at: Option<Utc>,
    /// Milliseconds since the controller's world began.
    pub uptime_ms: i64,
    /// What people call the site.
    pub site: String,
    /// IANA time zone for screens.
    pub zone: String,
    /// Nominal voltage between a phase and neutral; turns currents into power on screens.
    pub voltage_v: Volts,
    /// Something keeps the site from its usual limits: in words, empty when all is well.
    pub degraded: Vec<String>,
    /// Grid connection, breakers and boards; parents before children.
    pub nodes: Vec<NodeView>,
    /// The EVSEs in the order of the configuration.
    pub evses: Vec<EvseView>,
    /// The meters in the order of the configuration.
    pub meters: Vec<MeterView>,
    /// PV, batteries and loads in the order of the configuration.
    pub equipment: Vec<EquipmentView>,
    /// Charge points, connected or not.
    pub charge_points: Vec<ChargePointView>,
    /// Open sessions and the latest closed ones, newest first.
    pub sessions: Vec<SessionView>,
    /// The commissioning drill that runs, or the last one since the start.
    #[serde(default)]
    pub drill: Option<DrillView>,
    /// Reservations that are open or were lately, newest first.
    #[serde(default)]
    pub reservations: Vec<ReservationView>,
    /// Firmware campaigns, newest first.
    #[serde(default)]
    pub campaigns: Vec<CampaignView>,
    /// The latest events, newest first.
    pub events: Vec<Event>,
    /// Running totals since the start.
    pub totals: Totals,
    /// What is expected of sun, building, prices and CO2, and how far it was off.
    #[serde(default)]
    pub forecasts: Vec<ForecastView>,
    /// The plan in force; none where there is none yet or nobody charges.
    #[serde(default)]
    pub plan: Option<PlanView>,
    /// Limits from outside that are in force.
    #[serde(default)]
    pub limits: Vec<LimitView>,
}

/// A limit from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitView {
    /// The EVSE; none for all chargers together.
    pub evse: Option<String>,
    /// The most on each phase of the EVSE.
    pub limit_a: Option<Amps>,
    /// The most of all chargers together.
    pub limit_w: Option<Watts>,
    /// Whose it is.
    pub source: String,
    /// Until when; none for a contact, and where the clock was not trusted when it was set.
    pub until: Option<Utc>,
    /// The same in words.
    pub words: String,
}

/// A node of the diagram with its load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeView {
    /// Identifier in the configuration.
    pub id: String,
    /// What is written on the board.
    pub name: String,
    /// Identifier of the node above; none for a root.
    pub parent: Option<String>,
    /// What each phase may carry; none for a virtual node.
    pub rating_a: Option<PerPhase<Amps>>,
    /// What all phases together may carry.
    pub power_limit_w: Option<Watts>,
    /// Load that is not ours, as the guard counts it.
    pub other_load_a: PerPhase<Amps>,
    /// What the chargers below may draw at most (the ledger).
    pub leased_a: PerPhase<Amps>,
    /// What the chargers below were measured to draw.
    pub charging_a: PerPhase<Amps>,
    /// Rating less other load less leases; none for a virtual node.
    pub headroom_a: Option<PerPhase<Amps>>,
    /// What the node's own meter says; none where it has none or is silent.
    pub metered_a: Option<PerPhase<Amps>>,
    /// The other load is a worst-case figure because this meter is silent.
    pub silent_meter: Option<String>,
}

/// An EVSE with its car and its limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvseView {
    /// The name painted on it.
    pub id: String,
    /// The node that feeds it.
    pub node: String,
    /// Its charge point and connector.
    pub charge_point: String,
    /// Connector number.
    pub connector: u32,
    /// Names of the grid phases it is wired to, e.g. `L2` or `L1L2L3`, in the charger's order.
    pub wiring: String,
    /// The most it can draw on a phase.
    pub rated_a: Amps,
    /// What it falls back to alone.
    pub safe_a: Amps,
    /// Whether its charge point is connected.
    pub online: bool,
    /// What it is doing.
    pub status: EvseStatus,
    /// Number of the running session.
    pub session: Option<u64>,
    /// The limit in force as last accepted; none without a session.
    pub limit_a: Option<Amps>,
    /// The most it may draw by the ledger, by grid phase.
    pub leased_a: PerPhase<Amps>,
    /// Its measured current by grid phase; none if not heard lately.
    pub measured_a: Option<PerPhase<Amps>>,
    /// Its measured power.
    pub power_w: Option<Watts>,
    /// Whether it falls to its safe share by itself, proven.
    pub armed: bool,
    /// State of charge in percent, where the car tells it.
    pub soc_percent: Option<f64>,
    /// What the driver wants, where it was said.
    #[serde(default)]
    pub preference: Option<PreferenceView>,
    /// What its car still wants and by when; none where nobody charges or the car takes no more.
    #[serde(default)]
    pub stay: Option<StayView>,
    /// Why it gets what it gets, in words.
    pub reason: String,
    /// The same as data.
    pub cause: Cause,
}

/// What a car that stands there still wants, as far as somebody has said so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StayView {
    /// When it leaves, by its driver or the rules of the site; none where nobody says.
    pub leaves: Option<Utc>,
    /// What it needs from now on, by its driver or the rules of the site, in kWh; none where nobody
    /// says.
    pub need_kwh: Option<f64>,
    /// What the limit in force lets it take, in kW.
    pub power_kw: f64,
    /// What it takes from its safe share alone, in kW.
    pub safe_kw: f64,
}

/// What a driver wants, as it was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreferenceView {
    /// The session it is for; none for the one that follows when the transaction begins.
    pub session: Option<u64>,
    /// Energy from the start of the session to its end.
    pub energy_wh: Option<WattHours>,
    /// The need in percent of the battery.
    pub charge: Option<StateOfCharge>,
    /// When the car leaves.
    pub departure: Option<Utc>,
    /// Who said it.
    pub source: PreferenceSource,
    /// When.
    pub at: Option<Utc>,
    /// The same in words, e.g. `20.0 kWh by 17:30`.
    pub words: String,
}

/// A meter with its values and their age.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeterView {
    /// Identifier in the configuration.
    pub id: String,
    /// Its values are young enough to be used.
    pub fresh: bool,
    /// Age of its oldest needed value in milliseconds; none if never heard.
    pub age_ms: Option<i64>,
    /// Current by phase.
    pub current_a: Option<PerPhase<Amps>>,
    /// Power over all phases.
    pub power_w: Option<Watts>,
}

/// PV, battery or load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EquipmentView {
    /// Identifier in the configuration.
    pub id: String,
    /// `pv`, `battery` or `load`.
    pub kind: String,
    /// The node that feeds it.
    pub node: String,
    /// Measured power, import positive (PV is negative); none if not measured.
    pub power_w: Option<Watts>,
}

/// A charge point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChargePointView {
    /// Its identity.
    pub id: String,
    /// Whether it is connected.
    pub online: bool,
    /// Who it says it is.
    pub identity: Option<Identity>,
    /// What it can do, in words.
    pub capability: String,
}

/// A commissioning drill for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillView {
    /// Where.
    pub evse: String,
    /// Whether it was passed; none while it runs.
    pub passed: Option<bool>,
    /// How it stands.
    pub words: String,
}

/// A firmware campaign for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CampaignView {
    /// Its number.
    pub id: i32,
    /// Where the firmware is.
    pub location: String,
    /// It comes with certificate and signature.
    pub signed: bool,
    /// Nothing more is to come.
    pub over: bool,
    /// Its chargers.
    pub chargers: Vec<CampaignChargerView>,
}

/// How far a charger of a campaign is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CampaignChargerView {
    /// Which.
    pub charge_point: String,
    /// `waiting`, `running`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// The same for people, with the reason.
    pub words: String,
}

/// A reservation for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReservationView {
    /// Its number.
    pub id: i32,
    /// The EVSE, or the charge point of which any EVSE is kept.
    pub target: String,
    /// The token, all but its last characters hidden.
    pub token: String,
    /// Until when.
    pub until: Utc,
    /// It still keeps something.
    pub open: bool,
    /// How it stands, in words.
    pub state: String,
}

/// A session for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionView {
    /// Number of the session.
    pub id: u64,
    /// Where.
    pub evse: String,
    /// OCPP transaction id.
    pub transaction: i64,
    /// The token, all but its last four characters hidden.
    pub token: String,
    /// When it began.
    pub started: Utc,
    /// When it ended; none while it goes on.
    pub ended: Option<Utc>,
    /// Energy so far.
    pub energy_wh: WattHours,
    /// Why it ended, in the charger's word.
    pub reason: Option<String>,
}

/// Running totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Frames from chargers.
    pub frames_in: u64,
    /// Frames to chargers.
    pub frames_out: u64,
    /// Frames that had to be repaired or refused.
    pub frames_bad: u64,
    /// Setpoints sent.
    pub setpoints: u64,
    /// Messages from the broker.
    pub mqtt_in: u64,
    /// Transactions started.
    pub transactions: u64,
    /// Problems given to the solver.
    #[serde(default)]
    pub plans: u64,
}
