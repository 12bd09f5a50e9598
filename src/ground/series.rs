//! A step function of calendar time: prices, PV, building load.

use super::time::Utc;

/// Values that hold from their time until the next one; interval series are labelled at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<T> {
    steps: Vec<(Utc, T)>,
}

impl<T: Copy> Series<T> {
    /// Sorts the steps by time; of several with one time the last given is kept.
    pub fn new(mut steps: Vec<(Utc, T)>) -> Self {
        steps.reverse();
        steps.sort_by_key(|(time, _)| *time);
        steps.dedup_by_key(|(time, _)| *time);
        Self { steps }
    }

    /// The value in force at `time`; absent before the first step.
    pub fn at(&self, time: Utc) -> Option<T> {
        let next = self.steps.partition_point(|(start, _)| *start <= time);
        next.checked_sub(1).map(|index| self.steps[index].1)
    }

    /// When the value next changes after `time`.
    pub fn next_change(&self, time: Utc) -> Option<Utc> {
        let next = self.steps.partition_point(|(start, _)| *start <= time);
        self.steps.get(next).map(|(start, _)| *start)
    }

    /// The steps in order of time.
    pub fn steps(&self) -> &[(Utc, T)] {
        &self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_until_the_next_one() {
        let at = Utc::from_millis;
        let series = Series::new(vec![(at(20), 2), (at(10), 1), (at(20), 3)]);
        assert_eq!(series.at(at(9)), None);
        assert_eq!(series.at(at(19)), Some(1));
        assert_eq!(series.at(at(20)), Some(3));
        assert_eq!(series.next_change(at(10)), Some(at(20)));
        assert_eq!(series.next_change(at(20)), None);
    }
}
