//! Everything that the controller is configured with: the diagram, the meters, the policies.

use std::collections::BTreeSet;

use crate::ground::time::Duration;
use crate::ground::units::Amps;

use super::diagram::Diagram;
use super::drivers::DriverPolicy;
use super::feed::{Feed, Place};
use super::limit::Contact;
use super::meter::Meter;
use super::policy::PlanPolicy;
use super::tariff::Tariff;
use super::token::{Authorisation, Token};

/// A checked configuration of a site, without anything of sockets and files.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// What people call the site.
    pub name: String,
    /// IANA time zone, e.g. `Europe/Paris`; for screens and tariffs, never for safety.
    pub zone: String,
    /// The electrical tree.
    pub diagram: Diagram,
    /// The meters, in the order of the configuration.
    pub meters: Vec<Meter>,
    /// How limits are leased to chargers.
    pub lease: LeasePolicy,
    /// How the chargers are spoken to.
    pub charging: ChargingPolicy,
    /// Who may charge.
    pub access: Access,
    /// What energy costs.
    pub tariff: Tariff,
    /// Forecasts and prices that come from outside.
    pub feeds: Vec<Feed>,
    /// Contacts that limit while they are closed.
    pub contacts: Vec<Contact>,
    /// How the coming day is planned; none for fair shares alone.
    pub plan: Option<PlanPolicy>,
    /// What holds for drivers who say nothing, and who comes first.
    pub drivers: DriverPolicy,
}

impl Site {
    /// The topics that its meters and forecasts are published to.
    pub fn topics(&self) -> BTreeSet<String> {
        let values = self.meters.iter().flat_map(|meter| &meter.values);
        let feeds = self.feeds.iter().filter_map(|feed| match &feed.place {
            Place::Topic(topic) => Some(topic.clone()),
            Place::Url { .. } | Place::File(_) => None,
        });
        values.map(|value| value.topic.clone()).chain(feeds).collect()
    }
}

/// How long a limit holds without being renewed, and how fast limits move.
#[derive(Clone, Debug, PartialEq)]
pub struct LeasePolicy {
    /// A charger that hears nothing falls to its safe share after this long (default 180 s).
    pub ttl: Duration,
    /// Added to a lease before it counts as run out: clock skew and lateness (default 10 s).
    pub grace: Duration,
    /// Between two increases of one EVSE at least this long (default 30 s).
    pub raise_every: Duration,
    /// Smaller changes upwards are not worth a message (default 1 A).
    pub deadband: Amps,
    /// Kept free on every node and phase (default 0 A).
    pub margin: Amps,
    /// When not all cars can have their minimum, they take turns of this length (default 15 min).
    pub turn: Duration,
    /// Count only the phases on which a car was seen to charge, once that is certain.
    pub trust_measured_phases: bool,
}

/// How the chargers are spoken to.
#[derive(Clone, Debug, PartialEq)]
pub struct ChargingPolicy {
    /// MeterValueSampleInterval that is asked for (default 10 s).
    pub sample_interval: Duration,
    /// Heartbeat interval that is asked for (default 300 s).
    pub heartbeat_interval: Duration,
    /// A call without an answer is given up after this long (default 30 s).
    pub call_timeout: Duration,
    /// How the chargers are kept able to decide by themselves.
    pub authorisation: Authorisation,
    /// Every EVSE stays at its safe share, for the reason in these words.
    pub failsafe: Option<String>,
}

/// Who may charge.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    /// Every token is accepted (a private yard, a demonstration).
    Anyone,
    /// Only these tokens.
    Tokens(Vec<Token>),
}

impl Access {
    /// The tokens that the site knows by itself; none where everybody is welcome.
    pub fn tokens(&self) -> &[Token] {
        match self {
            Access::Anyone => &[],
            Access::Tokens(known) => known,
        }
    }
}

impl Default for LeasePolicy {
    fn default() -> Self {
        Self {
            ttl: Duration::seconds(180),
            grace: Duration::seconds(10),
            raise_every: Duration::seconds(30),
            deadband: Amps::new(1),
            margin: Amps::ZERO,
            turn: Duration::minutes(15),
            trust_measured_phases: true,
        }
    }
}

impl Default for ChargingPolicy {
    fn default() -> Self {
        Self {
            sample_interval: Duration::seconds(10),
            heartbeat_interval: Duration::seconds(300),
            call_timeout: Duration::seconds(30),
            authorisation: Authorisation::default(),
            failsafe: None,
        }
    }
}
