//! Reading a GetCompositeSchedule.conf (OCPP 1.6 §6.22) as a proof: does the charger itself say
//! that it will fall to its safe share?
//!
//! What field software answers is forgiven in form (empty lists, limits of -1, absurd durations),
//! never in substance: what is not shown is not proven.

use serde_json::Value;

use crate::ground::time::{Duration, Utc};
use crate::ground::units::Amps;

use super::profile::{LEAD, Supply, amps_of};
use super::repair::{lax_number, lax_time};

/// Conversion between watts and amperes rounds by less than this.
const LIMIT_TOLERANCE: Amps = Amps::milli(200);

/// Periods beyond this many are not looked at.
const PERIODS_MAX: usize = 1000;

/// What the last accepted limit promised.
#[derive(Clone, Debug, PartialEq)]
pub struct Promise {
    /// The limit of the lease.
    pub live: Amps,
    /// The safe share after it.
    pub safe: Amps,
    /// When the order was given, by the clock the charger was told.
    pub ordered: Utc,
    /// How long the lease runs.
    pub ttl: Duration,
}

/// A composite schedule after repair: from each second on, a limit per phase (none: no limit).
#[derive(Clone, Debug, PartialEq)]
pub struct Composite {
    start: Option<Utc>,
    periods: Vec<(i64, Option<Amps>)>,
    duration: Option<i64>,
}

impl Composite {
    /// Reads the answer; none where it says nothing.
    pub fn read(payload: &str, supply: &Supply) -> Option<Self> {
        let answer: Value = serde_json::from_str(payload).ok()?;
        let schedule = answer.get("chargingSchedule")?;
        let unit = schedule.get("chargingRateUnit").and_then(Value::as_str).unwrap_or("A");
        let is_power = unit.trim().eq_ignore_ascii_case("w");
        let list = schedule.get("chargingSchedulePeriod")?.as_array()?;
        let mut periods = Vec::with_capacity(list.len().min(PERIODS_MAX));
        for period in list.iter().take(PERIODS_MAX) {
            let start = number(period.get("startPeriod")?)?;
            let limit = number(period.get("limit")?)?;
            let phases = period.get("numberPhases").and_then(number);
            let phases = match phases {
                Some(phases) if (1.0..=3.0).contains(&phases) => phases as usize,
                _ => supply.phases,
            };
            let amps =
                if is_power { amps_of(limit, supply, phases) } else { Amps::from_f64(limit) };
            periods.push((start as i64, (0.0 <= limit).then_some(amps)));
        }
        if periods.is_empty() {
            return None;
        }
        let time = |value: Option<&Value>| value.and_then(Value::as_str).and_then(lax_time);
        Some(Self {
            start: time(schedule.get("startSchedule")).or(time(answer.get("scheduleStart"))),
            duration: schedule.get("duration").and_then(number).map(|span| span as i64),
            periods,
        })
    }

    /// The largest limit between two moments counted from the asking, `from` before `to`; none for
    /// no limit.
    fn largest(&self, shift: i64, from: i64, to: i64) -> Option<Amps> {
        let (from, to) = (from + shift, to + shift);
        if self.duration.is_some_and(|duration| duration < to) {
            return None;
        }
        let mut largest = Amps::ZERO;
        let mut covered = false;
        for (index, (start, limit)) in self.periods.iter().enumerate() {
            let end = self.periods.get(index + 1).map_or(i64::MAX, |next| next.0);
            if *start < to && from < end {
                largest = largest.max((*limit)?);
                covered = covered || *start <= from;
            }
        }
        covered.then_some(largest)
    }

    /// Whether it keeps the promise: `live` first, `safe` when the lease has run out, give or take
    /// the `grace` that is allowed to every lease. `now` is the time by the clock the charger was
    /// told. The error is in words.
    pub fn proves(&self, promise: &Promise, now: Utc, grace: Duration) -> Result<(), String> {
        let elapsed = now.since(promise.ordered);
        let step = (promise.ttl - elapsed).as_seconds();
        // Some chargers count the periods from the start of our own profile.
        let own_start = promise.ordered - LEAD;
        let is_own = self.start.is_some_and(|start| start.to_text() == own_start.to_text());
        let shift = if is_own { (LEAD + elapsed).as_seconds() } else { 0 };
        let tolerance = grace.as_seconds().max(1);
        if step <= tolerance {
            return Err("the lease had run out before it was looked at".to_owned());
        }
        let live = promise.live + LIMIT_TOLERANCE;
        match self.largest(shift, 0, step - tolerance) {
            Some(limit) if limit <= live => {}
            Some(limit) => return Err(format!("it allows {:.1} A", limit.as_f64())),
            None => return Err("it shows no limit".to_owned()),
        }
        let safe = promise.safe + LIMIT_TOLERANCE;
        match self.largest(shift, step + tolerance, step + tolerance + 60) {
            Some(limit) if limit <= safe => {}
            Some(limit) => {
                return Err(format!("it shows {:.1} A after the lease", limit.as_f64()));
            }
            None => return Err("it shows no limit after the lease".to_owned()),
        }
        match self.largest(shift, 0, 1) {
            Some(limit) if limit <= safe => Err("it shows no step".to_owned()),
            _ => Ok(()),
        }
    }

    /// The largest limit it shows from the asking on; none where there is none.
    pub fn ceiling(&self) -> Option<Amps> {
        self.periods
            .iter()
            .map(|(_, limit)| *limit)
            .try_fold(Amps::ZERO, |most, limit| limit.map(|limit| most.max(limit)))
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => lax_number(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::ground::units::Volts;

    fn check(answer: &str, expected: Expect) {
        let supply = Supply { connector: 1, phases: 3, voltage: Volts::new(230) };
        let ordered = Utc::parse("2024-05-17T18:10:00Z").expect("a time");
        let promise = Promise {
            live: Amps::new(16),
            safe: Amps::new(6),
            ordered,
            ttl: Duration::seconds(180),
        };
        let now = ordered + Duration::seconds(4);
        let result = match Composite::read(answer, &supply) {
            Some(composite) => {
                format!("{:?}", composite.proves(&promise, now, Duration::seconds(10)))
            }
            None => "says nothing".to_owned(),
        };
        expected.assert_eq(&result);
    }

    fn amps(periods: &str) -> String {
        format!(
            r#"{{"status":"Accepted","connectorId":1,"scheduleStart":"2024-05-17T18:10:04Z",
            "chargingSchedule":{{"chargingRateUnit":"A","chargingSchedulePeriod":[{periods}]}}}}"#
        )
    }

    #[test]
    fn two_steps_at_the_right_time_are_a_proof() {
        check(
            &amps(r#"{"startPeriod":0,"limit":16.0},{"startPeriod":176,"limit":6.0}"#),
            expect!["Ok(())"],
        );
        let own = r#"{"chargingSchedule":{"startSchedule":"2024-05-17T18:09:00Z","duration":9e12,
            "chargingRateUnit":"W","chargingSchedulePeriod":[{"startPeriod":"0","limit":11040},
            {"startPeriod":240,"limit":4140,"numberPhases":-1}]}}"#;
        check(own, expect!["Ok(())"]);
    }

    #[test]
    fn what_is_not_shown_is_not_proven() {
        check(
            &amps(r#"{"startPeriod":0,"limit":16}"#),
            expect![[r#"Err("it shows 16.0 A after the lease")"#]],
        );
        check(
            &amps(r#"{"startPeriod":0,"limit":16},{"startPeriod":230,"limit":6}"#),
            expect![[r#"Err("it shows 16.0 A after the lease")"#]],
        );
        check(
            &amps(r#"{"startPeriod":0,"limit":16},{"startPeriod":176,"limit":-1}"#),
            expect![[r#"Err("it shows no limit after the lease")"#]],
        );
        check(
            &amps(r#"{"startPeriod":0,"limit":32},{"startPeriod":176,"limit":6}"#),
            expect![[r#"Err("it allows 32.0 A")"#]],
        );
        check(&amps(r#"{"startPeriod":0,"limit":6}"#), expect![[r#"Err("it shows no step")"#]]);
        check(&amps(""), expect!["says nothing"]);
        check(r#"{"status":"Rejected"}"#, expect!["says nothing"]);
    }
}
