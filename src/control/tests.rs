//! Each rule of a decision by hand: a board of 40 A with up to four chargers.

use super::*;
use crate::ground::ids::{ChargePointId, EvseId, MeterId, NodeId};
use crate::ground::units::{Phase, Volts};
use crate::model::diagram::{Evse, Node};

/// A board with chargers that are online, have a safe share and charge.
struct Bench {
    control: Control,
    now: Instant,
    loads: Vec<OtherLoad>,
    facts: Vec<EvseFacts>,
}

fn board(wirings: &[&[Phase]], safe: i64) -> Diagram {
    let evse = |(index, wiring): (usize, &&[Phase])| Evse {
        id: EvseId::new(&format!("E{index}")),
        node: 0,
        charge_point: ChargePointId::new(&format!("C{index}")),
        connector: 1,
        wiring: wiring.to_vec(),
        rated: Amps::new(32),
        minimum: Amps::new(6),
        safe: Amps::new(safe),
    };
    Diagram {
        nodes: vec![Node {
            id: NodeId::new("b2"),
            name: "B2".to_owned(),
            parent: None,
            rating: Some(PerPhase::all(Amps::new(40))),
            power_limit: None,
            imbalance: None,
            meter: None,
            worst_load: PerPhase::ZERO,
            generation_counts: false,
        }],
        evses: wirings.iter().enumerate().map(evse).collect(),
        equipment: Vec::new(),
        voltage: Volts::new(230),
    }
}

impl Bench {
    fn new(diagram: Diagram) -> Self {
        let count = diagram.evses.len();
        let policy = LeasePolicy::default();
        let mut control = Control::new(Arc::new(diagram), policy, &[], Instant::START);
        for evse in 0..count {
            control.link_up(evse);
            control.safe_share(evse, true);
        }
        let fact = EvseFacts {
            online: true,
            charging_since: None,
            paused_by_car: false,
            bounds: Vec::new(),
        };
        let quiet = OtherLoad { current: PerPhase::ZERO, silent: None };
        Self { control, now: Instant::START, loads: vec![quiet], facts: vec![fact; count] }
    }

    fn begin(&mut self, evse: EvseIndex) {
        self.control.session_began(evse, self.now);
        self.facts[evse].charging_since = Some(self.now);
    }

    fn end(&mut self, evse: EvseIndex) {
        self.control.session_ended(evse);
        self.facts[evse].charging_since = None;
    }

    fn load(&mut self, amps: i64) {
        self.loads[0].current = PerPhase::all(Amps::new(amps));
    }

    fn decide(&mut self) -> Vec<Setpoint> {
        self.control.decide(self.now, &self.loads, &self.facts)
    }

    fn answer(&mut self, setpoint: &Setpoint, outcome: &Outcome) {
        let scope = LimitScope::Transaction;
        self.control.answered(setpoint.evse, setpoint.ticket, scope, outcome, self.now);
    }

    /// Decides and accepts until nothing more is said; what was said.
    fn settle(&mut self) -> Vec<(EvseIndex, i64)> {
        let mut said = Vec::new();
        loop {
            let setpoints = self.decide();
            if setpoints.is_empty() {
                return said;
            }
            for setpoint in setpoints {
                said.push((setpoint.evse, setpoint.limit.as_milli()));
                self.answer(&setpoint, &ARMED);
            }
        }
    }

    /// Time passes in steps of five seconds; every car draws `draws` of what it may.
    fn pass(&mut self, seconds: i64, draws: impl Fn(EvseIndex, Amps) -> PerPhase<Amps>) {
        for _ in 0..seconds / 5 {
            self.now = self.now + Duration::seconds(5);
            for evse in 0..self.facts.len() {
                if let Some(limit) = self.control.limit(evse) {
                    self.control.measured(evse, draws(evse, limit), self.now);
                }
            }
            self.settle();
        }
    }

    fn limit(&self, evse: EvseIndex) -> i64 {
        self.control.limit(evse).map_or(-1, Amps::as_milli)
    }

    fn words(&self, evse: EvseIndex) -> String {
        self.control.cause(evse).words(self.now)
    }
}

const ARMED: Outcome = Outcome::Accepted { lapse: Lapse::Armed };
const THREE: &[Phase] = &Phase::ALL;

fn all(_: EvseIndex, limit: Amps) -> PerPhase<Amps> {
    PerPhase::all(limit)
}

#[test]
fn the_first_limit_of_a_session_goes_out_at_once_and_others_come_down_first() {
    let mut bench = Bench::new(board(&[THREE, THREE], 6));
    bench.begin(0);
    assert_eq!(bench.settle(), [(0, 32_000)]);
    assert_eq!(bench.words(0), "rating of the EVSE");
    assert_eq!(bench.words(1), "no car charging; safe share reserved");
    bench.begin(1);
    let setpoints = bench.decide();
    let said: Vec<_> = setpoints.iter().map(|at| (at.evse, at.limit, at.lowers)).collect();
    // Until the first is seen to have come down, the second gets what 32 A leave.
    assert_eq!(said, [(0, Amps::new(20), true), (1, Amps::new(8), false)]);
    assert_eq!(bench.words(0), "breaker B2, phase L1, shared by 2 cars");
    assert_eq!(
        bench.words(1),
        "waiting until others are seen to have come down; breaker B2, phase L1"
    );
    bench.answer(&setpoints[0], &ARMED);
    bench.answer(&setpoints[1], &ARMED);
    assert_eq!(bench.settle(), []);
    assert_eq!(bench.words(1), "rising slowly");
    bench.now = bench.now + Duration::seconds(30);
    assert_eq!(bench.control.wake_at(Instant::START), Some(bench.now));
    assert_eq!(bench.settle(), [(1, 20_000)]);
}

#[test]
fn small_rises_wait_and_small_falls_do_not() {
    let mut bench = Bench::new(board(&[THREE], 6));
    bench.load(20);
    bench.begin(0);
    assert_eq!(bench.settle(), [(0, 20_000)]);
    bench.now = bench.now + Duration::seconds(40);
    bench.loads[0].current = PerPhase::all(Amps::milli(19_100));
    assert_eq!(bench.settle(), []);
    bench.loads[0].current = PerPhase::all(Amps::milli(20_050));
    assert_eq!(bench.settle(), [(0, 19_900)]);
}

#[test]
fn an_unchanged_limit_is_renewed_after_a_third_of_its_lease() {
    let mut bench = Bench::new(board(&[THREE], 6));
    bench.begin(0);
    bench.settle();
    assert_eq!(bench.control.wake_at(bench.now), Some(Instant::START + Duration::seconds(60)));
    bench.now = Instant::START + Duration::seconds(59);
    assert_eq!(bench.decide(), []);
    bench.now = Instant::START + Duration::seconds(60);
    let renewed = bench.decide();
    assert!(renewed.len() == 1 && renewed[0].refresh && renewed[0].limit == Amps::new(32));
    assert_eq!(bench.decide(), [], "one unanswered limit at a time");
}

#[test]
fn a_lost_answer_is_asked_for_again_and_counts_until_then() {
    let mut bench = Bench::new(board(&[THREE], 6));
    bench.begin(0);
    bench.settle();
    bench.load(30);
    let lowered = bench.decide();
    assert_eq!(lowered[0].limit, Amps::new(10));
    bench.answer(&lowered[0], &Outcome::NoAnswer);
    // The load falls a little: the lost reduction is still repeated, as slowly as any rise.
    bench.load(28);
    let again = bench.decide();
    assert_eq!((again[0].limit, again[0].lowers), (Amps::new(10), true));
    assert_eq!(bench.control.worst(0, bench.now), PerPhase::all(Amps::new(32)));
    bench.answer(&again[0], &ARMED);
    assert_eq!(bench.control.worst(0, bench.now), PerPhase::all(Amps::new(10)));
}

#[test]
fn a_lapsed_lease_frees_its_room() {
    let mut bench = Bench::new(board(&[THREE, THREE], 6));
    bench.begin(0);
    bench.settle();
    bench.control.link_down(0, bench.now);
    bench.facts[0].online = false;
    bench.now = Instant::START + Duration::seconds(190);
    bench.decide();
    assert_eq!(bench.words(0), "failsafe: charger not reachable for 3 min");
    assert_eq!(bench.control.worst(0, bench.now), PerPhase::all(Amps::new(32)));
    let lapse = bench.control.wake_at(bench.now).expect("a lease runs");
    bench.now = lapse;
    assert_eq!(bench.control.worst(0, bench.now), PerPhase::all(Amps::new(6)));
    bench.begin(1);
    assert_eq!(bench.settle(), [(1, 32_000)]);
}

#[test]
fn the_phases_of_a_car_count_once_they_are_certain() {
    let mut bench = Bench::new(board(&[THREE, &[Phase::L2]], 6));
    bench.begin(0);
    bench.begin(1);
    bench.settle();
    bench.pass(300, |evse, limit| {
        if evse == 0 {
            PhaseSet::of(&[Phase::L1]).carry(limit)
        } else {
            PhaseSet::of(&[Phase::L2]).carry(limit)
        }
    });
    assert_eq!((bench.limit(0), bench.limit(1)), (32_000, 32_000));
    // A phase that was believed unused carries current: all count again, at once.
    bench.now = bench.now + Duration::seconds(5);
    bench.control.measured(0, PerPhase([20, 5, 0].map(Amps::new)), bench.now);
    assert_eq!(bench.control.worst(0, bench.now), PerPhase::all(Amps::new(32)));
    let lowered: Vec<_> = bench.decide().iter().map(|at| (at.evse, at.limit)).collect();
    assert_eq!(lowered, [(0, Amps::new(20)), (1, Amps::new(20))]);
}

#[test]
fn a_small_fall_too_is_seen_before_another_rises() {
    let most = |milli| vec![Bound { limit: Amps::milli(milli), cause: Cause::Rising }];
    let mut bench = Bench::new(board(&[THREE, THREE], 0));
    bench.load(15);
    bench.facts[0].bounds = most(19_500);
    bench.facts[1].bounds = most(6_000);
    bench.begin(0);
    bench.settle();
    bench.pass(60, all);
    assert_eq!(bench.limit(0), 19_500);
    bench.facts[0].bounds = most(19_000);
    assert_eq!(bench.settle(), [(0, 19_000)]);
    // Accepted is not seen: half an ampere counts, too.
    bench.begin(1);
    assert!(bench.settle().iter().all(|(_, limit)| *limit == 0), "5.5 A are left");
    bench.pass(60, all);
    assert_eq!((bench.limit(0), bench.limit(1)), (19_000, 6_000));
}

#[test]
fn a_charger_that_disobeys_is_reserved_with_its_peak() {
    let mut bench = Bench::new(board(&[THREE, THREE], 6));
    bench.begin(0);
    bench.begin(1);
    bench.settle();
    bench.pass(120, |evse, limit| PerPhase::all(if evse == 0 { Amps::new(31) } else { limit }));
    assert_eq!(bench.control.disobeys(0), Some(Amps::new(31)));
    assert_eq!(bench.words(0), "the charger draws 31.0 A, more than it was told");
    assert_eq!((bench.limit(0), bench.limit(1)), (6_000, 9_000));
    bench.pass(60, all);
    assert_eq!(bench.control.disobeys(0), None);
}

#[test]
fn a_charger_that_refuses_takes_no_part_for_ten_minutes() {
    let mut bench = Bench::new(board(&[THREE, THREE], 6));
    bench.begin(0);
    let setpoint = bench.decide().remove(0);
    bench.answer(&setpoint, &Outcome::Refused { why: "no".to_owned() });
    assert_eq!(bench.settle(), []);
    assert_eq!(bench.words(0), "the charger obeys no limit; others make room for it");
    bench.now = bench.now + Duration::minutes(10);
    assert_eq!(bench.settle(), [(0, 32_000)]);
}

#[test]
fn a_restart_counts_with_what_was_sent_before() {
    let mut bench = Bench::new(board(&[THREE, THREE], 6));
    bench.begin(0);
    bench.load(19);
    bench.decide();
    let record = bench.control.lease_record(0);
    assert_eq!(record.ceiling_a, Amps::new(16), "15 A rounded up, so that it is seldom written");
    let diagram = Arc::new(board(&[THREE, THREE], 6));
    let policy = LeasePolicy::default();
    let mut control = Control::new(diagram, policy, &[record], bench.now);
    assert_eq!(control.worst(0, bench.now), PerPhase::all(Amps::new(16)));
    assert_eq!(control.worst(1, bench.now), PerPhase::all(Amps::new(32)), "never heard of");
    // The answer was never heard, so the limit may be one that stays for whoever charges next.
    control.session_ended(0);
    assert_eq!(control.worst(0, bench.now), PerPhase::all(Amps::new(16)));
}

#[test]
fn a_safe_share_counts_as_it_was_accepted() {
    let bench = Bench::new(board(&[THREE], 10));
    let record = bench.control.lease_record(0);
    let changed = Arc::new(board(&[THREE], 6));
    let mut control = Control::new(changed, LeasePolicy::default(), &[record], bench.now);
    assert_eq!(control.worst(0, bench.now), PerPhase::all(Amps::new(10)));
    control.safe_share(0, true);
    assert_eq!(control.worst(0, bench.now), PerPhase::all(Amps::new(6)));
}

#[test]
fn a_limit_that_outlives_its_transaction_is_taken_back() {
    let mut bench = Bench::new(board(&[THREE], 6));
    bench.begin(0);
    let told = bench.decide().remove(0);
    let (scope, unproven) = (LimitScope::Connector, Outcome::Accepted { lapse: Lapse::Unproven });
    bench.control.answered(0, told.ticket, scope, &unproven, bench.now);
    bench.end(0);
    assert_eq!(bench.control.worst(0, bench.now), PerPhase::all(Amps::new(32)));
    let release = bench.decide().remove(0);
    assert_eq!((release.limit, release.lowers), (Amps::new(6), true));
    bench.control.answered(0, release.ticket, scope, &unproven, bench.now);
    assert_eq!(bench.control.worst(0, bench.now), PerPhase::all(Amps::new(6)));
    assert_eq!(bench.decide(), []);
}

#[test]
fn a_connector_limit_is_in_force_again_when_the_transaction_above_it_ends() {
    let mut bench = Bench::new(board(&[THREE], 6));
    bench.begin(0);
    let told = bench.decide().remove(0);
    bench.control.answered(0, told.ticket, LimitScope::Connector, &ARMED, bench.now);
    bench.load(30);
    let lowered = bench.decide().remove(0);
    bench.answer(&lowered, &ARMED);
    assert_eq!(bench.control.worst(0, bench.now), PerPhase::all(Amps::new(10)));
    bench.end(0);
    assert_eq!(bench.control.worst(0, bench.now), PerPhase::all(Amps::new(32)));
}

#[test]
fn cars_wait_for_turns_and_say_their_place() {
    let mut bench = Bench::new(board(&[THREE, THREE, THREE], 0));
    bench.load(33);
    for evse in 0..3 {
        bench.begin(evse);
    }
    bench.settle();
    assert_eq!([0, 1, 2].map(|evse| bench.limit(evse)), [7_000, 0, 0]);
    assert_eq!(bench.words(2), "waiting for a turn, number 2 in the queue; breaker B2, phase L1");
    bench.pass(15 * 60 + 60, all);
    assert_eq!([0, 1, 2].map(|evse| bench.limit(evse)), [0, 7_000, 0]);
}

#[test]
fn a_car_that_needs_several_phases_is_not_starved_by_those_that_need_one() {
    let (l1, l2): (&[Phase], &[Phase]) = (&[Phase::L1], &[Phase::L2]);
    let mut bench = Bench::new(board(&[l1, l2, l1, l2, THREE], 0));
    bench.load(33);
    bench.begin(0);
    bench.settle();
    // The turns on L1 and L2 never end together.
    bench.pass(7 * 60, all);
    bench.begin(1);
    bench.settle();
    for evse in [4, 2, 3] {
        bench.begin(evse);
    }
    let mut served = false;
    for _ in 0..60 {
        bench.pass(60, |evse, limit| {
            let wired: &[Phase] = [l1, l2, l1, l2, THREE][evse];
            PhaseSet::of(wired).carry(limit)
        });
        served |= 6_000 <= bench.limit(4);
    }
    assert!(served);
}

#[test]
fn a_silent_meter_and_the_imbalance_are_named() {
    let mut diagram = board(&[THREE, &[Phase::L1]], 6);
    diagram.nodes[0].imbalance = Some(Amps::new(10));
    let mut bench = Bench::new(diagram);
    bench.begin(0);
    bench.begin(1);
    bench.load(22);
    bench.loads[0].silent = Some((MeterId::new("grid"), Some(Instant::START)));
    bench.now = bench.now + Duration::seconds(18);
    bench.settle();
    assert_eq!(
        bench.words(0),
        "failsafe: meter grid silent for 18 s, worst load assumed; breaker B2, phase L1"
    );
    bench.load(0);
    bench.loads[0].silent = None;
    bench.pass(60, |evse, limit| {
        if evse == 0 { PerPhase::all(limit) } else { PhaseSet::of(&[Phase::L1]).carry(limit) }
    });
    assert_eq!(
        (bench.limit(1), bench.words(1).as_str()),
        (10_000, "imbalance limit of B2, phase L1")
    );
}

#[test]
fn where_safe_shares_do_not_fit_at_least_what_is_told_does() {
    let mut bench = Bench::new(board(&[THREE, THREE, THREE, THREE], 6));
    for evse in 0..4 {
        bench.begin(evse);
    }
    bench.settle();
    bench.load(27);
    bench.settle();
    let told: Vec<i64> = (0..4).map(|evse| bench.limit(evse)).collect();
    assert_eq!(told, [6_500, 6_500, 0, 0]);
    assert!(!bench.control.overloads(bench.now, &bench.loads, |_| true).is_empty());
}

#[test]
fn bounds_from_outside_bind_and_give_their_cause() {
    let mut bench = Bench::new(board(&[THREE], 6));
    bench.begin(0);
    bench.facts[0].bounds = vec![Bound { limit: Amps::milli(12_345), cause: Cause::Rising }];
    assert_eq!(bench.settle(), [(0, 12_300)]);
    bench.facts[0].bounds = vec![Bound { limit: Amps::new(5), cause: Cause::Rising }];
    assert_eq!(bench.settle(), [(0, 0)]);
}

#[test]
fn a_full_car_leaves_its_share_to_others_and_is_asked_again() {
    let mut bench = Bench::new(board(&[THREE, THREE], 0));
    bench.load(8);
    bench.begin(0);
    bench.begin(1);
    bench.settle();
    let full = |evse: EvseIndex, limit: Amps| {
        if evse == 0 { PerPhase::ZERO } else { PerPhase::all(limit) }
    };
    bench.pass(300, full);
    // Others need all of it: nothing is left to show an appetite with.
    assert_eq!((bench.limit(0), bench.limit(1)), (0, 32_000));
    assert_eq!(bench.words(0), "the car has paused or is full");
    let mut asked = false;
    for _ in 0..12 {
        bench.pass(60, full);
        asked |= bench.limit(0) == 6_000;
    }
    assert!(asked);
}

#[test]
fn the_lowest_rise_first() {
    let mut diagram = board(&[THREE, THREE], 0);
    diagram.evses[0].minimum = Amps::new(16);
    let mut bench = Bench::new(diagram);
    bench.load(6);
    bench.begin(0);
    bench.begin(1);
    bench.settle();
    assert_eq!((bench.limit(0), bench.limit(1)), (17_000, 17_000));
}

/// Prints how long a decision takes:
/// `cargo test --release --lib control:: -- --ignored --nocapture`.
#[test]
#[ignore = "prints a time, proves nothing"]
#[expect(clippy::disallowed_methods, reason = "a stopwatch for people, never part of a decision")]
fn time_of_a_decision() {
    for count in [12_i64, 300] {
        let wirings: Vec<&[Phase]> = (0..count).map(|_| THREE).collect();
        let mut diagram = board(&wirings, 0);
        diagram.nodes[0].rating = Some(PerPhase::all(Amps::new(count * 14)));
        for board in 0..count / 6 {
            let node = Node {
                name: format!("B{board}"),
                parent: Some(0),
                rating: Some(PerPhase::all(Amps::new(60 + board % 30))),
                ..diagram.nodes[0].clone()
            };
            diagram.nodes.push(node);
        }
        for (index, evse) in diagram.evses.iter_mut().enumerate() {
            evse.node = 1 + index / 6;
        }
        let nodes = diagram.nodes.len();
        let mut bench = Bench::new(diagram);
        bench.loads = vec![bench.loads[0].clone(); nodes];
        for evse in 0..bench.facts.len() {
            bench.begin(evse);
        }
        bench.settle();
        let turns = 2000;
        let start = std::time::Instant::now();
        for turn in 0..turns {
            bench.load(turn % 3);
            for setpoint in bench.decide() {
                bench.answer(&setpoint, &ARMED);
            }
        }
        let each = start.elapsed().as_micros() as f64 / f64::from(turns as i32);
        println!("{count} EVSEs: {each:.1} µs a decision");
    }
}
