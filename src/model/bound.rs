//! A limit that carries its cause, from where it arose to the screen.

use serde::{Deserialize, Serialize};

use crate::ground::ids::MeterId;
use crate::ground::time::{Duration, Instant};
use crate::ground::units::{Amps, Phase};

/// An upper limit for one EVSE and the reason for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The most that is allowed on a phase.
    pub limit: Amps,
    /// Why not more.
    pub cause: Cause,
}

impl Bound {
    /// The tighter of two bounds with its own cause; of equals, the first.
    pub fn tighter(self, other: Bound) -> Bound {
        if other.limit < self.limit { other } else { self }
    }
}

/// Why an EVSE gets what it gets. `Display` is the sentence people read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// A breaker or the connection is full on a phase.
    Breaker {
        /// Name of the node.
        node: String,
        /// The phase that is full; none for a limit over all phases.
        phase: Option<Phase>,
        /// How many cars share it, this one included.
        sharing: usize,
    },
    /// Single-phase charging may not load one phase much above the others.
    Imbalance {
        /// Name of the node.
        node: String,
        /// The phase that carries too much already.
        phase: Phase,
    },
    /// A meter is silent, so the worst-case load is assumed behind it.
    MeterSilent {
        /// The meter.
        meter: MeterId,
        /// When it was last heard; none if never since the start.
        since: Option<Instant>,
        /// Name of the node that is full for it.
        node: String,
        /// The phase that is full; none for a limit over all phases.
        phase: Option<Phase>,
    },
    /// There is not enough for everybody's minimum; cars take turns.
    WaitingTurn {
        /// Place in the queue, 1 is next.
        position: usize,
        /// Name of the node that is full.
        node: String,
        /// The phase that is full; none for a limit over all phases.
        phase: Option<Phase>,
    },
    /// The EVSE's own rating.
    Rated,
    /// The car was seen to take no more than this; the rest is given to others for a while.
    CarTakesLess {
        /// The most it was seen to draw.
        drawn: Amps,
    },
    /// The car is full or paused itself.
    CarPaused,
    /// A raise is on its way; others must be seen to have come down first.
    WaitingForOthers {
        /// Name of the node whose room is still in use.
        node: String,
        /// The phase; none for a limit over all phases.
        phase: Option<Phase>,
    },
    /// Limits rise slowly.
    Rising,
    /// The plan waits for sun.
    WaitingForSun {
        /// Local time at which it is expected; none if it is not known.
        until: Option<String>,
    },
    /// More sun than was planned is used.
    FollowsSun,
    /// The plan waits for cheaper energy.
    WaitingForPrice {
        /// Local time from which it is.
        until: Option<String>,
    },
    /// More would raise the highest import of the billing period.
    PeakOfImport,
    /// By plan it has all that it needs in time; more would come from the grid.
    EnoughInTime,
    /// Who says so.
    Policy {
        /// In words.
        words: String,
    },
    /// No car is charging: the safe share is what could start on its own.
    Idle,
    /// The charger is not connected; after its lease it is at its safe share.
    LinkLost {
        /// When the link went.
        since: Instant,
    },
    /// The charger has not been heard since the start.
    NeverConnected,
    /// The charger obeys no limit: everybody else makes room for it.
    NotControllable,
    /// A partner over OCPI has set a lower limit.
    Partner {
        /// Our name for it.
        partner: String,
    },
    /// The charger draws more than it was told.
    Disobeys {
        /// What it draws.
        drawn: Amps,
    },
}

impl Cause {
    /// The sentence at the time `now`, with the spans counted up to it.
    pub fn words(&self, now: Instant) -> String {
        match self {
            Cause::Breaker { node, phase, sharing } => {
                let cars = if *sharing > 1 {
                    format!(", shared by {sharing} cars")
                } else {
                    String::new()
                };
                format!("{}{cars}", place(node, *phase))
            }
            Cause::Imbalance { node, phase } => format!("imbalance limit of {node}, phase {phase}"),
            Cause::MeterSilent { meter, since, node, phase } => {
                let silent = match since {
                    Some(since) => format!("silent for {}", now.since(*since)),
                    None => "not heard yet".to_owned(),
                };
                format!(
                    "failsafe: meter {meter} {silent}, worst load assumed; {}",
                    place(node, *phase)
                )
            }
            Cause::WaitingTurn { position, node, phase } => {
                format!(
                    "waiting for a turn, number {position} in the queue; {}",
                    place(node, *phase)
                )
            }
            Cause::Rated => "rating of the EVSE".to_owned(),
            Cause::CarTakesLess { drawn } => {
                format!("the car takes no more than {:.1} A", drawn.as_f64())
            }
            Cause::CarPaused => "the car has paused or is full".to_owned(),
            Cause::WaitingForOthers { node, phase } => {
                format!("waiting until others are seen to have come down; {}", place(node, *phase))
            }
            Cause::Rising => "rising slowly".to_owned(),
            Cause::WaitingForSun { until } => match until {
                Some(until) => format!("waiting for sun until {until}"),
                None => "waiting for sun".to_owned(),
            },
            Cause::FollowsSun => "charging with the sun that is left over".to_owned(),
            Cause::WaitingForPrice { until } => match until {
                Some(until) => format!("waiting for cheaper energy until {until}"),
                None => "waiting for cheaper energy".to_owned(),
            },
            Cause::PeakOfImport => "kept below the highest import of the billing period".to_owned(),
            Cause::EnoughInTime => "by plan it has what it needs in time".to_owned(),
            Cause::Policy { words } => words.clone(),
            Cause::Idle => "no car charging; safe share reserved".to_owned(),
            Cause::LinkLost { since } => {
                let gone: Duration = now.since(*since);
                format!("failsafe: charger not reachable for {gone}")
            }
            Cause::NeverConnected => "failsafe: charger not heard since the start".to_owned(),
            Cause::NotControllable => {
                "the charger obeys no limit; others make room for it".to_owned()
            }
            Cause::Partner { partner } => format!("profile of partner {partner}"),
            Cause::Disobeys { drawn } => {
                format!("the charger draws {:.1} A, more than it was told", drawn.as_f64())
            }
        }
    }
}

fn place(node: &str, phase: Option<Phase>) -> String {
    match phase {
        Some(phase) => format!("breaker {node}, phase {phase}"),
        None => format!("total of {node}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_sentences() {
        let now = Instant::START + Duration::seconds(18);
        let silent = Cause::MeterSilent {
            meter: MeterId::new("grid"),
            since: Some(Instant::START),
            node: "IBST 63A".to_owned(),
            phase: Some(Phase::L2),
        };
        assert_eq!(
            silent.words(now),
            "failsafe: meter grid silent for 18 s, worst load assumed; breaker IBST 63A, phase L2"
        );
        let shared = Cause::Breaker { node: "B2".to_owned(), phase: Some(Phase::L3), sharing: 4 };
        assert_eq!(shared.words(now), "breaker B2, phase L3, shared by 4 cars");
    }
}
