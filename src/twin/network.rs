//! The way of frames between chargers and the central system: delay, order, broken links.
//!
//! A link behaves like TCP: frames of one direction arrive in order, each some time after it left,
//! and loss shows as a broken link, never as a hole.

use std::collections::BTreeMap;

use crate::ground::ids::ChargePointId;
use crate::ground::time::{Duration, Instant};

use super::random::Random;
use super::scenario::NetworkModel;

/// Which way a frame travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// To the central system.
    Up,
    /// To the charger.
    Down,
}

/// All links of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    model: NetworkModel,
    random: Random,
    latest: BTreeMap<(ChargePointId, Way), Instant>,
}

impl Network {
    /// One that follows `model`, as its seed has it.
    pub const fn new(model: NetworkModel, seed: u64) -> Self {
        Self { model, random: Random::new(seed), latest: BTreeMap::new() }
    }

    /// When what leaves now arrives; none where the link breaks instead.
    pub fn carry(
        &mut self,
        charge_point: &ChargePointId,
        way: Way,
        now: Instant,
    ) -> Option<Instant> {
        if 0.0 < self.model.break_chance && self.random.chance(self.model.break_chance) {
            return None;
        }
        if self.model.most_delay <= Duration::ZERO {
            return Some(now);
        }
        let due = now + self.random.span(self.model.least_delay, self.model.most_delay);
        let latest = self.latest.entry((charge_point.clone(), way)).or_insert(due);
        *latest = due.max(*latest);
        Some(*latest)
    }

    /// No link breaks any more.
    pub const fn heal(&mut self) {
        self.model.break_chance = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_keep_their_order_and_a_seed_repeats_itself() {
        let model = NetworkModel { most_delay: Duration::seconds(5), ..NetworkModel::default() };
        let course = |seed: u64| {
            let mut network = Network::new(model.clone(), seed);
            let who = ChargePointId::new("CP-1");
            let arrival = |second: i64| {
                let now = Instant::START + Duration::seconds(second);
                let due = network.carry(&who, Way::Up, now).expect("no link breaks");
                assert!(now < due);
                due
            };
            (0..50).map(arrival).collect::<Vec<_>>()
        };
        assert!(course(1).is_sorted());
        assert_eq!(course(1), course(1));
        assert_ne!(course(1), course(2));
    }

    #[test]
    fn a_frame_on_a_breaking_link_never_arrives() {
        let model = NetworkModel { break_chance: 1.0, ..NetworkModel::default() };
        let mut network = Network::new(model, 1);
        let who = ChargePointId::new("CP-1");
        assert_eq!(network.carry(&who, Way::Down, Instant::START), None);
        network.heal();
        assert!(network.carry(&who, Way::Down, Instant::START).is_some());
    }
}
