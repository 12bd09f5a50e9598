//! What makes no sense in a problem, all of it at once, for people who write or edit one.
//!
//! The planner itself needs none of this: it makes a safe plan of whatever it gets.

use std::fmt;

use super::problem::{Car, FORMAT, Problem, ProblemNode, Series};

/// More than this need not be told.
const MISTAKES_MAX: usize = 50;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, as a path into the JSON.
    pub place: String,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: found {}, expected {}", self.place, self.found, self.expected)
    }
}

/// All mistakes of a problem; empty if it makes sense.
pub fn mistakes(problem: &Problem) -> Vec<Mistake> {
    let mut list = List(Vec::new());
    let steps = problem.grid.len().saturating_sub(1);
    let format = problem.format;
    list.check(format == FORMAT, "format", &format, &format!("{FORMAT}"));
    list.check(0 < steps, "grid", &format!("{} times", problem.grid.len()), "two or more");
    for (at, pair) in problem.grid.windows(2).enumerate() {
        let expected = format!("a time after {}", pair[0]);
        list.check(pair[0] < pair[1], &format!("grid[{}]", at + 1), &pair[1], &expected);
    }
    let zone = jiff::tz::TimeZoneDatabase::bundled().get(&problem.zone);
    list.check(zone.is_ok(), "zone", &problem.zone, "an IANA time zone like Europe/Paris");
    list.amount("voltage_v", problem.voltage_v);
    for (at, node) in problem.nodes.iter().enumerate() {
        list.node(&format!("nodes[{at}]"), at, node, steps);
    }
    for (at, car) in problem.cars.iter().enumerate() {
        list.car(&format!("cars[{at}]"), car, problem.nodes.len(), steps);
    }
    list.series(&problem.series, steps);
    list.0.truncate(MISTAKES_MAX);
    list.0
}

struct List(Vec<Mistake>);

impl List {
    fn check(&mut self, good: bool, place: &str, found: &dyn fmt::Display, expected: &str) {
        if !good {
            let (place, expected) = (place.to_owned(), expected.to_owned());
            self.0.push(Mistake { place, found: found.to_string(), expected });
        }
    }

    fn amount(&mut self, place: &str, value: f64) {
        let good = value.is_finite() && 0.0 <= value;
        self.check(good, place, &value, "a number, zero or more");
    }

    fn length(&mut self, place: &str, found: usize, steps: usize) {
        let expected = format!("{steps}, one for each step of the grid");
        self.check(found == steps, place, &format!("{found} values"), &expected);
    }

    fn node(&mut self, place: &str, at: usize, node: &ProblemNode, steps: usize) {
        if let Some(parent) = node.parent {
            let expected = "a node that stands before this one";
            self.check(parent < at, &format!("{place}.parent"), &parent, expected);
        }
        for (phase, rating) in node.rating_a.iter().flatten().enumerate() {
            self.amount(&format!("{place}.rating_a[{phase}]"), *rating);
        }
        for (key, value) in
            [("power_limit_kw", node.power_limit_kw), ("imbalance_a", node.imbalance_a)]
        {
            if let Some(value) = value {
                self.amount(&format!("{place}.{key}"), value);
            }
        }
        self.length(&format!("{place}.other_a"), node.other_a.len(), steps);
        for (limit, each) in node.limits.iter().enumerate() {
            self.amount(&format!("{place}.limits[{limit}].limit_kw"), each.limit_kw);
        }
    }

    fn car(&mut self, place: &str, car: &Car, nodes: usize, steps: usize) {
        let expected = format!("a position below {nodes}");
        self.check(car.node < nodes, &format!("{place}.node"), &car.node, &expected);
        let loads = car.phases.iter().any(|loads| *loads);
        self.check(loads, &format!("{place}.phases"), &"none", "at least one phase");
        self.amount(&format!("{place}.min_a"), car.min_a);
        self.amount(&format!("{place}.max_a"), car.max_a);
        self.amount(&format!("{place}.fast_kwh"), car.fast_kwh);
        self.amount(&format!("{place}.early_eur_per_kwh_h"), car.early_eur_per_kwh_h);
        let expected = format!("a time after {}", car.from);
        self.check(car.from < car.until, &format!("{place}.until"), &car.until, &expected);
        if !car.presence.is_empty() {
            self.length(&format!("{place}.presence"), car.presence.len(), steps);
        }
        for (at, need) in car.needs.iter().enumerate() {
            self.amount(&format!("{place}.needs[{at}].kwh"), need.kwh);
            self.amount(&format!("{place}.needs[{at}].eur_per_kwh"), need.eur_per_kwh);
        }
        for (at, bound) in car.bounds.iter().enumerate() {
            self.amount(&format!("{place}.bounds[{at}].limit_a"), bound.limit_a);
        }
        if let Some(room) = car.room_kwh {
            self.amount(&format!("{place}.room_kwh"), room);
        }
    }

    fn series(&mut self, series: &Series, steps: usize) {
        let lengths = [
            ("pv_kw", series.pv_kw.len()),
            ("load_kw", series.load_kw.len()),
            ("import_eur_per_kwh", series.import_eur_per_kwh.len()),
            ("export_eur_per_kwh", series.export_eur_per_kwh.len()),
            ("co2_g_per_kwh", series.co2_g_per_kwh.len()),
        ];
        for (key, found) in lengths {
            self.length(&format!("series.{key}"), found, steps);
        }
        let prices = series.export_eur_per_kwh.iter().zip(&series.import_eur_per_kwh);
        for (at, (export, import)) in prices.enumerate() {
            let place = format!("series.export_eur_per_kwh[{at}]");
            let expected = format!("no more than the import costs, {import}");
            self.check(export <= import, &place, export, &expected);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn all_mistakes_are_told_with_place_found_and_expected() {
        assert_eq!(mistakes(&sample::office()), []);
        let mut problem = sample::office();
        problem.nodes[1].parent = Some(7);
        problem.cars[0].node = 9;
        problem.cars[1].phases = [false; 3];
        problem.series.pv_kw.pop();
        problem.series.export_eur_per_kwh[2] = 9.0;
        let told: Vec<String> = mistakes(&problem).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "nodes[1].parent: found 7, expected a node that stands before this one",
                "cars[0].node: found 9, expected a position below 2",
                "cars[1].phases: found none, expected at least one phase",
                "series.pv_kw: found 7 values, expected 8, one for each step of the grid",
                "series.export_eur_per_kwh[2]: found 9, expected no more than the import costs, 0.2",
            ]
        );
    }
}
