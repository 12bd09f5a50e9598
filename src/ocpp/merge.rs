//! The composite schedule as the standard has it: what a charger that holds these profiles has to
//! allow (OCPP 1.6 §3.13, with its errata).
//!
//! ```text
//! of each purpose the valid profile with the highest stack level:
//!     min( ChargePointMaxProfile, TxProfile, else TxDefaultProfile )
//! ```
//! For checking, not for control: it says what the profiles that we write come to, by rules that
//! share nothing with how they are written. No limit is said as none, never as a number.

use std::collections::BTreeSet;

use rust_ocpp::v1_6::types::{
    ChargingProfile, ChargingProfileKindType, ChargingProfilePurposeType, ChargingRateUnitType,
    RecurrencyKindType,
};
use serde::Serialize;

use crate::ground::time::{Duration, Utc};
use crate::ground::units::Amps;

use super::profile::{Supply, amps_of};
use super::repair::lax_time;

/// Repetitions of a recurring profile that are looked at: a week of days on either side.
const REPEATS_MAX: i64 = 16;

/// Phases of a limit in watts that names none (§7.14).
const PHASES: usize = 3;

/// The profiles that a charger holds.
#[derive(Clone, Debug, Default)]
pub struct Held(Vec<(u32, ChargingProfile)>);

/// What is asked, and when.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The connector and its electrical side.
    pub supply: Supply,
    /// The running transaction with its beginning.
    pub running: Option<(i32, Utc)>,
    /// From this moment on …
    pub from: Utc,
    /// … for this long.
    pub span: Duration,
}

/// From each second on, a limit per phase; none for no limit.
pub type Steps = Vec<(i64, Option<Amps>)>;

impl Held {
    /// Takes a profile, in the place of one with the same number, or of the same purpose and stack
    /// level on the same connector.
    pub fn install(&mut self, connector: u32, profile: ChargingProfile) {
        self.0.retain(|(other, held)| {
            let same_place = *other == connector
                && held.charging_profile_purpose == profile.charging_profile_purpose
                && held.stack_level == profile.stack_level;
            held.charging_profile_id != profile.charging_profile_id && !same_place
        });
        self.0.push((connector, profile));
    }

    /// What a connector has to be allowed, from the moment of asking on.
    pub fn composite(&self, question: &Question) -> Steps {
        let mut steps = Steps::new();
        for second in self.edges(question) {
            let limit = self.limit(question, question.from + Duration::seconds(second));
            if steps.last().is_none_or(|(_, before)| *before != limit) {
                steps.push((second, limit));
            }
        }
        steps
    }

    /// The limit at one moment.
    fn limit(&self, question: &Question, at: Utc) -> Option<Amps> {
        use ChargingProfilePurposeType as Purpose;
        let connector = question.supply.connector;
        let top = |purpose, connector| self.top(purpose, connector, question, at);
        let own = top(Purpose::TxProfile, connector)
            // The default of a connector replaces that of the whole charge point (§3.13.1).
            .or_else(|| top(Purpose::TxDefaultProfile, connector))
            .or_else(|| top(Purpose::TxDefaultProfile, 0));
        let whole = top(Purpose::ChargePointMaxProfile, 0);
        [own, whole].into_iter().flatten().min()
    }

    /// The limit of the valid profile with the highest stack level.
    fn top(
        &self,
        purpose: ChargingProfilePurposeType,
        connector: u32,
        question: &Question,
        at: Utc,
    ) -> Option<Amps> {
        let here = self
            .0
            .iter()
            .filter(|(own, held)| *own == connector && held.charging_profile_purpose == purpose);
        let limits = here.filter_map(|(_, held)| {
            let limit = limit_of(held, question, at)?;
            Some((held.stack_level, limit))
        });
        limits.max_by_key(|(stack, _)| *stack).map(|(_, limit)| limit)
    }

    /// Every second at which the limit may change, the first included.
    fn edges(&self, question: &Question) -> BTreeSet<i64> {
        let mut edges = BTreeSet::from([0]);
        let end = question.span.as_seconds();
        let mut note = |at: Utc| {
            // A change within a second is seen at its end: schedules count whole seconds.
            let second = at.since(question.from).as_millis();
            let second = -(-second).div_euclid(1000);
            if 0 < second && second < end {
                edges.insert(second);
            }
        };
        for (_, held) in &self.0 {
            let schedule = &held.charging_schedule;
            [held.valid_from, held.valid_to].into_iter().flatten().map(utc).for_each(&mut note);
            for begin in begins(held, question) {
                let starts = schedule.charging_schedule_period.iter();
                let starts = starts.map(|period| i64::from(period.start_period));
                let ends = schedule.duration.map(i64::from);
                let every = recurrence(held).map(|every| every.as_seconds());
                starts
                    .chain([0])
                    .chain(ends)
                    .chain(every)
                    .for_each(|second| note(begin + Duration::seconds(second)));
            }
        }
        edges
    }
}

/// The moments from which its schedule may count around the time that is asked for.
fn begins(profile: &ChargingProfile, question: &Question) -> Vec<Utc> {
    let Some(begin) = begin(profile, question) else { return Vec::new() };
    let Some(every) = recurrence(profile) else { return vec![begin] };
    let passed = question.from.since(begin).as_millis().div_euclid(every.as_millis());
    let repeat = |number: i64| begin + every * (passed + number).max(0);
    (-1..REPEATS_MAX).map(repeat).collect()
}

/// Where its schedule begins; none where it has not begun or nobody can tell.
fn begin(profile: &ChargingProfile, question: &Question) -> Option<Utc> {
    match profile.charging_profile_kind {
        ChargingProfileKindType::Absolute | ChargingProfileKindType::Recurring => {
            profile.charging_schedule.start_schedule.map(utc)
        }
        // From the start of the transaction; without one, as if it started when it is asked.
        ChargingProfileKindType::Relative => {
            Some(question.running.map_or(question.from, |(_, begun)| begun))
        }
    }
}

fn recurrence(profile: &ChargingProfile) -> Option<Duration> {
    if profile.charging_profile_kind != ChargingProfileKindType::Recurring {
        return None;
    }
    match profile.recurrency_kind {
        Some(RecurrencyKindType::Weekly) => Some(Duration::hours(7 * 24)),
        Some(RecurrencyKindType::Daily) | None => Some(Duration::hours(24)),
    }
}

/// The limit of one profile at a moment; none where it has none.
fn limit_of(profile: &ChargingProfile, question: &Question, at: Utc) -> Option<Amps> {
    let (valid_from, valid_to) = (profile.valid_from.map(utc), profile.valid_to.map(utc));
    if valid_from.is_some_and(|from| at < from) || valid_to.is_some_and(|to| to <= at) {
        return None;
    }
    if profile.charging_profile_purpose == ChargingProfilePurposeType::TxProfile {
        // It belongs to a running transaction, and to no other than its own.
        let (running, _) = question.running?;
        if profile.transaction_id.is_some_and(|own| own != running) {
            return None;
        }
    }
    let mut passed = at.since(begin(profile, question)?);
    if passed < Duration::ZERO {
        return None;
    }
    if let Some(every) = recurrence(profile) {
        // What is longer than its recurrence is cut (§3.13.2).
        passed = Duration::millis(passed.as_millis().rem_euclid(every.as_millis()));
    }
    let schedule = &profile.charging_schedule;
    let second = passed.as_millis().div_euclid(1000);
    if schedule.duration.is_some_and(|duration| i64::from(duration) <= second) {
        return None;
    }
    let periods = schedule.charging_schedule_period.iter();
    let period = periods.rev().find(|period| i64::from(period.start_period) <= second)?;
    let limit = f64::from(period.limit);
    match schedule.charging_rate_unit {
        ChargingRateUnitType::A => Some(Amps::from_f64(limit)),
        ChargingRateUnitType::W => {
            let phases = period.number_phases.and_then(|number| usize::try_from(number).ok());
            Some(amps_of(limit, &question.supply, phases.unwrap_or(PHASES)))
        }
    }
}

/// A time of a strict type; one that cannot be read is the beginning of all.
fn utc(time: impl Serialize) -> Utc {
    let text = serde_json::to_value(time).ok();
    text.as_ref().and_then(|text| lax_time(text.as_str()?)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ground::ids::{Ticket, TransactionId};
    use crate::ground::units::Volts;
    use crate::model::message::LimitOrder;
    use crate::ocpp::mode::{Ability, Kind, Quirk, SafeForm, ladder};
    use crate::ocpp::profile::{limit_profile, safe_profile};

    fn at(clock: &str) -> Utc {
        Utc::parse(&format!("2024-05-17T{clock}Z")).expect("a time")
    }

    /// Purpose, stack level and the rest of a profile.
    fn profile(purpose: &str, stack: u32, schedule: Value, more: Value) -> ChargingProfile {
        let mut all = json!({
            "chargingProfileId": stack + 100 * u32::from(purpose.as_bytes()[2]),
            "stackLevel": stack,
            "chargingProfilePurpose": purpose,
            "chargingProfileKind": "Absolute",
            "chargingSchedule": schedule,
        });
        let more = more.as_object().cloned().unwrap_or_default();
        all.as_object_mut().expect("an object").extend(more);
        serde_json::from_value(all).expect("a profile")
    }

    /// A schedule in amperes from 18:00:00 on.
    fn schedule(periods: &[(i32, f64)]) -> Value {
        let period = |(start, limit): &(i32, f64)| json!({ "startPeriod": start, "limit": limit });
        let periods: Vec<Value> = periods.iter().map(period).collect();
        json!({
            "startSchedule": "2024-05-17T18:00:00Z",
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": periods,
        })
    }

    fn lasting(mut schedule: Value, duration: i32) -> Value {
        schedule["duration"] = duration.into();
        schedule
    }

    fn question(clock: &str, seconds: i64) -> Question {
        Question {
            supply: Supply { connector: 1, phases: 3, voltage: Volts::new(230) },
            running: Some((7, at("17:59:00"))),
            from: at(clock),
            span: Duration::seconds(seconds),
        }
    }

    fn shown(held: &[(u32, ChargingProfile)], question: &Question) -> String {
        let mut all = Held::default();
        for (connector, profile) in held {
            all.install(*connector, profile.clone());
        }
        let step = |(second, limit): &(i64, Option<Amps>)| match limit {
            Some(limit) => format!("{second}:{}", limit.as_f64()),
            None => format!("{second}:-"),
        };
        let steps: Vec<String> = all.composite(question).iter().map(step).collect();
        steps.join(" ")
    }

    #[test]
    fn each_period_begins_at_its_second_and_not_before() {
        let one = [(1, profile("TxProfile", 1, schedule(&[(0, 16.0), (180, 6.0)]), json!({})))];
        assert_eq!(shown(&one, &question("18:00:00", 600)), "0:16 180:6");
        assert_eq!(shown(&one, &question("18:02:58", 600)), "0:16 2:6");
        assert_eq!(shown(&one, &question("18:02:59", 600)), "0:16 1:6");
        assert_eq!(shown(&one, &question("18:03:00", 600)), "0:6");
        assert_eq!(shown(&one, &question("17:59:58", 600)), "0:- 2:16 182:6", "not begun");
        assert_eq!(shown(&one, &question("18:00:00", 180)), "0:16", "beyond what was asked");
    }

    #[test]
    fn a_duration_ends_the_profile_and_what_is_below_it_holds() {
        let short = profile("TxProfile", 1, lasting(schedule(&[(0, 16.0)]), 60), json!({}));
        assert_eq!(shown(&[(1, short.clone())], &question("18:00:00", 600)), "0:16 60:-");
        let below = profile("TxProfile", 0, schedule(&[(0, 10.0)]), json!({}));
        let both = [(1, short.clone()), (1, below)];
        assert_eq!(shown(&both, &question("18:00:00", 600)), "0:16 60:10");
        let default = profile("TxDefaultProfile", 0, schedule(&[(0, 6.0)]), json!({}));
        let both = [(1, short), (0, default)];
        assert_eq!(shown(&both, &question("18:00:59", 600)), "0:16 1:6");
        let late =
            profile("TxProfile", 1, lasting(schedule(&[(0, 16.0), (90, 8.0)]), 60), json!({}));
        assert_eq!(shown(&[(1, late)], &question("18:00:00", 600)), "0:16 60:-", "cut before it");
    }

    #[test]
    fn valid_from_is_the_first_moment_and_valid_to_the_first_without() {
        let window = json!({
            "validFrom": "2024-05-17T18:00:10Z", "validTo": "2024-05-17T18:00:20Z"
        });
        let high = profile("TxProfile", 5, schedule(&[(0, 20.0)]), window);
        let low = profile("TxProfile", 1, schedule(&[(0, 8.0)]), json!({}));
        let both = [(1, high), (1, low)];
        assert_eq!(shown(&both, &question("18:00:00", 600)), "0:8 10:20 20:8");
        assert_eq!(shown(&both, &question("18:00:10", 600)), "0:20 10:8");
        assert_eq!(shown(&both, &question("18:00:20", 600)), "0:8");
    }

    #[test]
    fn a_transaction_has_its_own_profile_and_the_default_of_its_connector() {
        let whole = profile("TxDefaultProfile", 3, schedule(&[(0, 6.0)]), json!({}));
        let own = profile("TxDefaultProfile", 0, schedule(&[(0, 9.0)]), json!({}));
        let mut own_number = own.clone();
        own_number.charging_profile_id = 1;
        let defaults = [(0, whole), (1, own_number)];
        let ask = question("18:00:00", 60);
        assert_eq!(shown(&defaults, &ask), "0:9", "whatever the stack level of the other");
        let others = profile("TxProfile", 1, schedule(&[(0, 16.0)]), json!({ "transactionId": 8 }));
        let with = |more: (u32, ChargingProfile)| [&defaults[..], &[more]].concat();
        assert_eq!(shown(&with((1, others)), &ask), "0:9", "of another transaction");
        let its = profile("TxProfile", 1, schedule(&[(0, 16.0)]), json!({ "transactionId": 7 }));
        assert_eq!(shown(&with((1, its.clone())), &ask), "0:16");
        assert_eq!(shown(&with((2, its.clone())), &ask), "0:9", "of another connector");
        let idle = Question { running: None, ..ask };
        assert_eq!(shown(&with((1, its)), &idle), "0:9", "without a transaction");
    }

    #[test]
    fn the_whole_charge_point_caps_whatever_holds() {
        let cap = schedule(&[(0, 32.0), (100, 10.0)]);
        let cap = profile("ChargePointMaxProfile", 0, cap, json!({}));
        let own = profile("TxProfile", 1, schedule(&[(0, 16.0), (200, 6.0)]), json!({}));
        let all = [(0, cap.clone()), (1, own)];
        assert_eq!(shown(&all, &question("18:00:00", 600)), "0:16 100:10 200:6");
        assert_eq!(shown(&[(0, cap)], &question("18:00:00", 600)), "0:32 100:10");
    }

    #[test]
    fn watts_are_divided_by_the_phases_that_are_named_or_three() {
        let watts = |phases: Option<i32>| {
            let mut schedule = schedule(&[(0, 6900.0)]);
            schedule["chargingRateUnit"] = "W".into();
            if let Some(phases) = phases {
                schedule["chargingSchedulePeriod"][0]["numberPhases"] = phases.into();
            }
            shown(&[(1, profile("TxProfile", 1, schedule, json!({})))], &question("18:00:00", 60))
        };
        assert_eq!(watts(None), "0:10");
        assert_eq!(watts(Some(1)), "0:30");
    }

    #[test]
    fn a_relative_profile_counts_from_the_start_of_the_transaction() {
        let relative = json!({ "chargingProfileKind": "Relative" });
        let mut counted = schedule(&[(0, 16.0), (90, 6.0)]);
        counted.as_object_mut().expect("an object").remove("startSchedule");
        let one = [(1, profile("TxDefaultProfile", 1, counted, relative))];
        assert_eq!(shown(&one, &question("18:00:00", 600)), "0:16 30:6");
        let idle = Question { running: None, ..question("18:00:00", 600) };
        assert_eq!(shown(&one, &idle), "0:16 90:6");
    }

    #[test]
    fn a_daily_profile_comes_back_and_is_cut_where_it_is_too_long() {
        let daily = json!({ "chargingProfileKind": "Recurring", "recurrencyKind": "Daily" });
        let hour = 3600;
        let nights = lasting(schedule(&[(0, 6.0), (4 * hour, 20.0)]), 8 * hour);
        let one = [(1, profile("TxDefaultProfile", 1, nights, daily.clone()))];
        let day = 24 * 3600;
        let mut ask = question("18:00:00", 2 * day);
        assert_eq!(shown(&one, &ask), "0:6 14400:20 28800:- 86400:6 100800:20 115200:-");
        ask.from = at("17:59:59") + Duration::hours(24);
        assert_eq!(shown(&one, &ask), "0:- 1:6 14401:20 28801:- 86401:6 100801:20 115201:-");
        let long = lasting(schedule(&[(0, 6.0), (20 * hour, 20.0)]), 30 * hour);
        let one = [(1, profile("TxDefaultProfile", 1, long, daily))];
        assert_eq!(shown(&one, &question("18:00:00", 2 * day)), "0:6 72000:20 86400:6 158400:20");
    }

    #[test]
    fn a_profile_takes_the_place_of_its_number_or_its_level() {
        let first = profile("TxProfile", 1, schedule(&[(0, 16.0)]), json!({}));
        let mut same_level = profile("TxProfile", 1, schedule(&[(0, 10.0)]), json!({}));
        same_level.charging_profile_id = 1;
        let mut same_number = profile("TxProfile", 2, schedule(&[(0, 8.0)]), json!({}));
        same_number.charging_profile_id = 1;
        let mut held = Held::default();
        for profile in [first, same_level, same_number] {
            held.install(1, profile);
        }
        assert_eq!(held.0.len(), 1);
        assert_eq!(held.composite(&question("18:00:00", 60)), [(0, Some(Amps::new(8)))]);
    }

    /// What we write, in every form that a charger may take, comes to the live limit first and to
    /// the safe share when the lease has run out.
    #[test]
    fn every_form_of_a_limit_falls_to_the_safe_share() {
        let order = LimitOrder {
            evse: 0,
            ticket: Ticket(1),
            transaction: Some(TransactionId(7)),
            live: Amps::new(16),
            safe: Amps::new(6),
            ttl: Duration::seconds(180),
            urgent: false,
        };
        let ask = question("18:00:00", 600);
        let one_period = Ability { periods: Some(1), ..Ability::default() };
        for ability in [Ability::default(), one_period] {
            for mode in ladder(&ability, &Quirk::default(), 2) {
                let mut held = Held::default();
                let form = SafeForm { kind: Kind::Absolute, unit: mode.unit };
                let safe = safe_profile(&form, 0, &ask.supply, order.safe);
                held.install(0, safe.cs_charging_profiles);
                let running = Duration::seconds(60);
                let live = limit_profile(&mode, &order, &ask.supply, ask.from, running);
                held.install(1, live.cs_charging_profiles);
                let steps = held.composite(&ask);
                let expected = [(0, Some(order.live)), (180, Some(order.safe))];
                assert_eq!(steps, expected, "{}", mode.words());
            }
        }
    }
}
