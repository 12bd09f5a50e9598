//! The promise of the ledger of leases against an adversary (LIMIT-1): random sites, frames that
//! are lost, late, refused or applied without an answer, links that come and go, chargers that fall
//! to their safe share as late as they may.

#[path = "control_ledger/naive.rs"]
mod naive;
#[path = "control_ledger/site.rs"]
mod site;
#[path = "control_ledger/world.rs"]
mod world;

use ampgate::ground::time::Duration;
use ampgate::ground::units::{Amps, PerPhase, PhaseSet};
use proptest::prelude::*;

use world::{Action, Fate, World};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

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
    #![proptest_config(cases(256))]

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
    #![proptest_config(cases(48))]

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
        let trusted = |evse: usize| {
            yard.policy.trust_measured_phases && !yard.traits[evse].keeps_limits
        };
        let cars = |seen: bool| -> Vec<(usize, PhaseSet)> {
            let charging = world.chargers.iter().enumerate();
            charging
                .filter_map(|(evse, charger)| Some((evse, charger.car?)))
                .map(|(evse, car)| {
                    let wired = diagram.evses[evse].phases();
                    (evse, if seen && trusted(evse) { car } else { wired })
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
            let wired = diagram.evses[evse].phases();
            charger.car.filter(|_| wired == PhaseSet::ALL || trusted(evse)).unwrap_or(wired)
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

proptest! {
    #![proptest_config(cases(24))]

    /// When there is not enough for all minima, nobody waits longer than everybody's turn.
    #[test]
    fn whoever_waits_is_served_within_everybodys_turn(
        yard in site::yard(),
        cars in prop::collection::vec(1_usize..4, 6),
    ) {
        let mut yard = yard;
        for evse in &mut yard.diagram.evses {
            evse.safe = Amps::ZERO;
        }
        for node in &mut yard.diagram.nodes {
            // Room for one to three minima, so that most have to wait.
            node.rating = node.rating.map(|rating| rating.map(|at| Amps::milli(at.as_milli() / 3)));
        }
        let mut world = World::new(&yard);
        let count = yard.diagram.evses.len();
        for (evse, phases) in cars.into_iter().take(count).enumerate() {
            world.act(Action::LinkUp(evse, true))?;
            world.act(Action::Begin(evse, phases))?;
        }
        let diagram = &yard.diagram;
        let loads = world.other();
        let alone = |evse: usize| {
            let mut draws = vec![PerPhase::ZERO; count];
            let at = &diagram.evses[evse];
            draws[evse] = at.phases().carry(at.minimum);
            naive::excess(diagram, &loads, &draws, &naive::wired(diagram)) == 0
        };
        let fits: Vec<bool> = (0..count).map(alone).collect();
        let turns = yard.policy.turn * (count as i64 + 1) + Duration::minutes(1);
        for _ in 0..6 * count {
            world.heal(1)?;
            for evse in (0..count).filter(|evse| fits[*evse]) {
                let waits = world.now.since(world.served[evse]);
                prop_assert!(waits <= turns, "E{} of {} waits for {}", evse, count, waits);
            }
        }
    }
}
