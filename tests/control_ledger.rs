//! The promise of the ledger of leases against an adversary (LIMIT-1): random sites, frames that
//! are lost, late, refused or applied without an answer, links that come and go, chargers that fall
//! to their safe share as late as they may.

#[path = "control_ledger/naive.rs"]
mod naive;
#[path = "control_ledger/site.rs"]
mod site;
#[path = "control_ledger/world.rs"]
mod world;

use ampgate::ground::units::{Amps, PhaseSet};
use proptest::prelude::*;

use world::{Action, Fate, World};

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Accepted),
        2 => Just(Fate::AppliedUnheard),
        2 => Just(Fate::Lost),
        1 => Just(Fate::Refused),
        1 => Just(Fate::NotSent),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let evse = 0_usize..6;
    let percent = prop_oneof![Just(0_i64), Just(100), 0_i64..100];
    prop_oneof![
        6 => prop_oneof![3 => 1_i64..35, 1 => 60_i64..260].prop_map(Action::Pass),
        4 => (evse.clone(), 1_usize..4).prop_map(|(evse, phases)| Action::Begin(evse, phases)),
        2 => evse.clone().prop_map(Action::End),
        12 => (evse.clone(), fate()).prop_map(|(evse, fate)| Action::Frame(evse, fate)),
        1 => (evse.clone(), any::<bool>()).prop_map(|(evse, yes)| Action::LinkDown(evse, yes)),
        4 => (evse.clone(), any::<bool>()).prop_map(|(evse, yes)| Action::LinkUp(evse, yes)),
        4 => (evse.clone(), percent.clone()).prop_map(|(evse, part)| Action::Reading(evse, part)),
        2 => (evse.clone(), [percent.clone(), percent.clone(), percent])
            .prop_map(|(node, parts)| Action::Load(node, parts)),
        1 => evse.prop_map(Action::Silent),
        1 => any::<bool>().prop_map(Action::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Whatever the adversary does, each decision keeps LIMIT-1 and survives a restart.
    #[test]
    fn no_message_that_is_lost_or_late_breaks_a_limit(
        yard in site::yard(),
        actions in prop::collection::vec(action(), 10..120),
    ) {
        let mut world = World::new(&yard);
        for action in actions {
            world.act(action)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// When the faults are over, everybody gets the fair share that a plain count finds.
    #[test]
    fn after_the_faults_everybody_has_a_fair_share(
        yard in site::yard(),
        actions in prop::collection::vec(action(), 10..60),
    ) {
        let mut world = World::new(&yard);
        for action in actions {
            world.act(action)?;
        }
        world.heal(16)?;
        let diagram = &yard.diagram;
        let loads = world.other();
        let cars = |seen: bool| -> Vec<(usize, PhaseSet)> {
            let charging = world.chargers.iter().enumerate();
            let trusted = |evse: usize| {
                seen && yard.policy.trust_measured_phases && !yard.traits[evse].keeps_limits
            };
            charging
                .filter_map(|(evse, charger)| Some((evse, charger.car?)))
                .map(|(evse, car)| {
                    let wired = diagram.evses[evse].phases();
                    (evse, if trusted(evse) { car } else { wired })
                })
                .collect()
        };
        let floors = |cars: &[(usize, PhaseSet)]| -> Vec<_> {
            let phases = |evse: usize| {
                let car = cars.iter().find(|(car, _)| *car == evse);
                car.map_or(diagram.evses[evse].phases(), |(_, phases)| *phases)
            };
            (0..diagram.evses.len())
                .map(|evse| phases(evse).carry(diagram.evses[evse].safe))
                .collect()
        };
        let used = |(evse, charger): (usize, &naive::Charger)| {
            charger.car.unwrap_or(diagram.evses[evse].phases())
        };
        let uses: Vec<PhaseSet> = world.chargers.iter().enumerate().map(used).collect();
        // Before the phases of the cars are seen, everybody must have had a minimum to begin with.
        let unseen = cars(false);
        prop_assume!(naive::fair(diagram, &loads, &floors(&unseen), &unseen, &uses).is_some());
        let cars = cars(true);
        let fair = naive::fair(diagram, &loads, &floors(&cars), &cars, &uses);
        for ((evse, _), fair) in cars.iter().zip(fair.expect("it fits with fewer phases too")) {
            let limit = world.control.limit(*evse).unwrap_or(Amps::ZERO);
            let low = fair - yard.policy.deadband - Amps::milli(200);
            prop_assert!(
                low <= limit && limit <= fair + Amps::milli(200),
                "E{evse} has {limit:?}, fair is {fair:?}: {}",
                world.control.cause(*evse).words(world.now)
            );
        }
        let worst: Vec<_> =
            (0..diagram.evses.len()).map(|evse| world.control.worst(evse, world.now)).collect();
        prop_assert_eq!(naive::excess(diagram, &loads, &worst, &uses), 0);
    }
}
