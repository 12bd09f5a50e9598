//! Cars that are still to come, as the plan sees them: expected energy that wants room, too.
//!
//! Nobody knows which EVSE they take, so they stand at the connection, by phase as the cars of the
//! last days loaded them, a few groups by the time at which they come.

use crate::ground::ids::EvseIndex;
use crate::ground::time::{Duration, Utc};
use crate::learn::arrivals::ExpectedArrival;
use crate::model::policy::PlanPolicy;
use crate::plan::problem::{Car, CarKind, Need};

use super::state::State;

/// Cars that come within so long of each other are one group.
const TOGETHER: Duration = Duration::hours(2);
/// Groups by time at most: those who come first matter most.
const GROUPS_MAX: usize = 4;
/// What a kWh of theirs is worth beside one of a car that stands there: they may not come, and
/// most of them can wait a little.
const WORTH: f64 = 0.2;
/// Phases that carry less than this share of their load are left out.
const SHARE_MIN: f64 = 0.05;

/// Cars that come at about the same time, their expected power and energy added up.
struct Group {
    until: Vec<(f64, Utc)>,
    from: Utc,
    kwh: f64,
    kw: f64,
}

impl State {
    /// The cars to come up to `end`, by group and phase.
    pub fn newcomers(
        &self,
        utc: Utc,
        end: Utc,
        evses: &[Option<EvseIndex>],
        policy: &PlanPolicy,
    ) -> Vec<Car> {
        let free = self.evses.len().saturating_sub(evses.len());
        let arrivals = self.planning.habits.arrivals(utc, end.since(utc), free);
        let Some(root) = self.site.diagram.nodes.iter().position(|node| node.parent.is_none())
        else {
            return Vec::new();
        };
        let groups = grouped(&arrivals, end);
        let mut cars = Vec::new();
        for group in &groups {
            let parts = [0, 1, 2].into_iter().filter(|at| SHARE_MIN <= self.planning.shares[*at]);
            cars.extend(parts.map(|phase| self.part(group, root, phase, policy)));
        }
        cars
    }

    fn part(&self, group: &Group, root: usize, phase: usize, policy: &PlanPolicy) -> Car {
        let share = self.planning.shares[phase];
        let until = group.until();
        let volts = self.site.diagram.voltage.as_f64();
        Car {
            evse: String::new(),
            session: None,
            kind: CarKind::Expected,
            node: root,
            phases: std::array::from_fn(|at| at == phase),
            min_a: 0.0,
            max_a: group.kw * share * 1000.0 / volts,
            max_cause: "what such cars take".to_owned(),
            bounds: Vec::new(),
            now_a: 0.0,
            switched: None,
            from: group.from,
            until,
            presence: Vec::new(),
            room_kwh: None,
            needs: vec![Need {
                by: until,
                kwh: group.kwh * share,
                eur_per_kwh: policy.missing_eur_per_kwh * WORTH,
                cause: "habit of the site".to_owned(),
            }],
            taper: None,
            priority: 0,
            fast_kwh: 0.0,
            early_eur_per_kwh_h: 0.0,
        }
    }
}

impl Group {
    /// When half of their energy should be there.
    fn until(&self) -> Utc {
        let all: f64 = self.until.iter().map(|(weight, _)| weight).sum();
        let begin = self.from;
        let mean = self.until.iter().map(|(weight, until)| weight * until.since(begin).as_hours());
        let hours = mean.sum::<f64>() / all.max(1e-9);
        begin + Duration::millis((hours * 3_600_000.0).round() as i64)
    }
}

/// Those that come at about the same time together, as far as `end`: of a stay that goes on beyond
/// it, the part up to there.
fn grouped(arrivals: &[ExpectedArrival], end: Utc) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for car in arrivals.iter().filter(|car| car.from < end) {
        let stay = car.until.since(car.from).as_hours().max(0.25);
        let until = car.until.min(end);
        let inside = (until.since(car.from).as_hours() / stay).clamp(0.0, 1.0);
        let kwh = car.probability * car.kwh * inside;
        let is_late = |group: &&mut Group| car.from.since(group.from) < TOGETHER;
        let count = groups.len();
        match groups.last_mut().filter(|group| is_late(group) || count == GROUPS_MAX) {
            Some(group) => {
                group.kwh += kwh;
                group.kw += car.probability * car.max_kw;
                group.until.push((kwh, until));
            }
            None => groups.push(Group {
                until: vec![(kwh, until)],
                from: car.from,
                kwh,
                kw: car.probability * car.max_kw,
            }),
        }
    }
    groups.retain(|group| 0.0 < group.kwh && 0.0 < group.kw);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(from: &str, until: &str, probability: f64) -> ExpectedArrival {
        let at = |text: &str| Utc::parse(text).expect("a time");
        ExpectedArrival { from: at(from), until: at(until), kwh: 10.0, max_kw: 4.0, probability }
    }

    #[test]
    fn those_who_come_together_are_one_group_up_to_the_end_of_the_plan() {
        let arrivals = [
            arrival("2019-03-01T08:30:00Z", "2019-03-01T12:30:00Z", 1.0),
            arrival("2019-03-01T09:30:00Z", "2019-03-01T13:30:00Z", 0.5),
            arrival("2019-03-01T12:30:00Z", "2019-03-01T16:30:00Z", 0.5),
            arrival("2019-03-01T18:30:00Z", "2019-03-01T19:30:00Z", 1.0),
        ];
        let end = Utc::parse("2019-03-01T14:30:00Z").expect("a time");
        let groups = grouped(&arrivals, end);
        let kwh: Vec<f64> = groups.iter().map(|group| group.kwh).collect();
        let kw: Vec<f64> = groups.iter().map(|group| group.kw).collect();
        // Of the third half the stay is seen; the last comes after the end.
        assert_eq!((kwh, kw), (vec![15.0, 2.5], vec![6.0, 2.0]));
        assert_eq!(groups[0].until(), Utc::parse("2019-03-01T12:50:00Z").expect("a time"));
        assert_eq!(groups[1].until(), end);
    }
}
