//! What a meter publishes over MQTT and how it becomes amperes and watts.

use crate::ground::ids::MeterId;
use crate::ground::time::Duration;
use crate::ground::units::Phase;

/// What a published number measures; decides the unit it is brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Current, in A.
    Current,
    /// Active power, in W.
    Power,
    /// Voltage between phase and neutral, in V.
    Voltage,
}

/// A meter as configured: where its values are published and how old they may grow.
#[derive(Clone, Debug, PartialEq)]
pub struct Meter {
    /// Identifier in the configuration.
    pub id: MeterId,
    /// A value older than this counts as silent (default 15 s).
    pub max_age: Duration,
    /// What it publishes.
    pub values: Vec<MeterValue>,
}

/// One number inside one MQTT topic.
#[derive(Clone, Debug, PartialEq)]
pub struct MeterValue {
    /// The exact topic, without wildcards.
    pub topic: String,
    /// JSON pointer (RFC 6901) to the number; none if the payload is the number itself.
    pub pointer: Option<String>,
    /// What it measures.
    pub quantity: Quantity,
    /// The phase it belongs to; none for a total over all phases.
    pub phase: Option<Phase>,
    /// Multiplies the number into A, W or V with import positive: unit × scale × sign.
    pub factor: f64,
}

/// One number read out of one message.
#[derive(Clone, Debug, PartialEq)]
pub struct MeterFact {
    /// Position of the meter in the site's list.
    pub meter: usize,
    /// What it measures.
    pub quantity: Quantity,
    /// The phase, or none for a total.
    pub phase: Option<Phase>,
    /// In A, W or V, import positive.
    pub value: f64,
}
