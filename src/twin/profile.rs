//! The charging profiles that a simulated charger holds, as OCPP 1.6 §3.13 and §7.8 have them.
//!
//! Per purpose the valid profile with the highest stack level wins at each instant. A TxProfile
//! replaces the default while it is valid, and ChargePointMax caps both. Where no profile says
//! anything there is no limit. All times are milliseconds of the charger's own clock.

use serde_json::Value;

use crate::ground::time::Utc;

/// What a charger stores at most.
pub const PROFILES_MAX: usize = 10;
/// The highest stack level it takes.
pub const STACK_MAX: i64 = 8;
/// The longest schedule it takes.
pub const PERIODS_MAX: usize = 6;
/// The longest composite schedule it answers with; keeps an absurd question cheap.
const COMPOSITE_MAX: usize = 100;

/// What a profile is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Caps everything the charge point does; connector 0 alone.
    ChargePointMax,
    /// Holds for transactions that have no profile of their own.
    TxDefault,
    /// Holds for one transaction and dies with it.
    Tx,
}

/// What its periods count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// From its start.
    Absolute,
    /// From its start, and anew after this many milliseconds.
    Recurring(i64),
    /// From the start of the transaction.
    Relative,
}

/// One profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    connector: u32,
    id: i64,
    stack: i64,
    /// What it is for.
    pub purpose: Purpose,
    kind: Kind,
    transaction: Option<i64>,
    valid_from: Option<i64>,
    valid_to: Option<i64>,
    start: Option<i64>,
    duration: Option<i64>,
    in_watts: bool,
    periods: Vec<Period>,
}

#[derive(Clone, Debug, PartialEq)]
struct Period {
    start: i64,
    limit: f64,
    phases: Option<f64>,
}

/// A running transaction, as far as profiles depend on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Running {
    /// Its id; none while the central system has not given one.
    pub id: Option<i64>,
    /// When it started.
    pub started: i64,
}

/// Of which connector, and under which circumstances, a limit is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Connector number.
    pub connector: u32,
    /// The transaction that runs there.
    pub run: Option<Running>,
    /// How many connectors charge: they share what ChargePointMax allows.
    pub sharing: usize,
    /// Between a phase and neutral, in V; turns limits in W into A.
    pub voltage: f64,
}

/// A limit in force and when it may change by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InForce {
    /// In A on each phase; none = no profile says anything.
    pub limit: Option<f64>,
    /// The next edge of any profile that has a say.
    pub until: Option<i64>,
}

/// The profiles of one charge point.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ProfileStore {
    profiles: Vec<Profile>,
}

impl Profile {
    /// Reads a `csChargingProfiles` object; none where a mandatory field is missing or wrong.
    pub fn read(connector: u32, json: &Value) -> Option<Self> {
        let millis = |value: &Value| Some(Utc::parse(value.as_str()?)?.as_millis());
        let schedule = json.get("chargingSchedule")?;
        let purpose = match json.get("chargingProfilePurpose")?.as_str()? {
            "ChargePointMaxProfile" => Purpose::ChargePointMax,
            "TxDefaultProfile" => Purpose::TxDefault,
            "TxProfile" => Purpose::Tx,
            _ => return None,
        };
        let kind = match json.get("chargingProfileKind")?.as_str()? {
            "Absolute" => Kind::Absolute,
            "Relative" => Kind::Relative,
            "Recurring" => Kind::Recurring(match json.get("recurrencyKind")?.as_str()? {
                "Daily" => 86_400_000,
                "Weekly" => 7 * 86_400_000,
                _ => return None,
            }),
            _ => return None,
        };
        let read = |period: &Value| {
            Some(Period {
                start: period.get("startPeriod")?.as_i64()?.checked_mul(1000)?,
                limit: period.get("limit")?.as_f64()?,
                phases: period.get("numberPhases").and_then(Value::as_f64),
            })
        };
        let periods = schedule.get("chargingSchedulePeriod")?.as_array()?;
        let periods: Vec<Period> = periods.iter().map(read).collect::<Option<_>>()?;
        let rises = periods.windows(2).all(|pair| pair[0].start < pair[1].start);
        if periods.first()?.start != 0 || !rises {
            return None;
        }
        Some(Self {
            connector,
            id: json.get("chargingProfileId")?.as_i64()?,
            stack: json.get("stackLevel")?.as_i64()?,
            purpose,
            kind,
            transaction: json.get("transactionId").and_then(Value::as_i64),
            valid_from: json.get("validFrom").and_then(millis),
            valid_to: json.get("validTo").and_then(millis),
            start: schedule.get("startSchedule").and_then(millis),
            duration: schedule.get("duration").and_then(Value::as_i64).map(|span| span * 1000),
            in_watts: schedule.get("chargingRateUnit")?.as_str()? == "W",
            periods,
        })
    }

    /// The limit at `time` in A (none = it says nothing then), and its own next edge after it.
    fn at(&self, time: i64, run: Option<Running>, power_per_amp: f64) -> InForce {
        let never = InForce { limit: None, until: None };
        if let Some(from) = self.valid_from.filter(|from| time < *from) {
            return InForce { limit: None, until: Some(from) };
        }
        if self.valid_to.is_some_and(|to| to <= time) {
            return never;
        }
        let started = run.map_or(time, |run| run.started);
        let mut base = match self.kind {
            Kind::Relative => started,
            Kind::Absolute | Kind::Recurring(_) => self.start.unwrap_or(started),
        };
        if time < base {
            return InForce { limit: None, until: Some(base) };
        }
        let mut end = self.duration.map(|span| base + span);
        if let Kind::Recurring(every) = self.kind {
            base += (time - base) / every * every;
            end = Some(base + self.duration.map_or(every, |span| span.min(every)));
            if end.is_some_and(|end| end <= time) {
                return InForce { limit: None, until: Some(base + every) };
            }
        }
        if end.is_some_and(|end| end <= time) {
            return never;
        }
        let next = self.periods.partition_point(|period| base + period.start <= time);
        let period = &self.periods[next - 1];
        let limit = if self.in_watts {
            period.limit / (power_per_amp * period.phases.unwrap_or(3.0))
        } else {
            period.limit
        };
        let edges = [self.periods.get(next).map(|later| base + later.start), end, self.valid_to];
        InForce { limit: Some(limit), until: edges.into_iter().flatten().min() }
    }
}

impl ProfileStore {
    /// Takes a profile in; one with its id, or with its purpose, stack level and connector, goes.
    /// False where it breaks a rule.
    pub fn install(&mut self, profile: Profile, run: Option<Running>) -> bool {
        let place = match profile.purpose {
            Purpose::ChargePointMax => profile.connector == 0,
            Purpose::TxDefault => true,
            Purpose::Tx => {
                let known = run.is_some_and(|run| {
                    profile.transaction.is_none() || profile.transaction == run.id
                });
                0 < profile.connector && known
            }
        };
        let size = profile.periods.len() <= PERIODS_MAX && profile.stack <= STACK_MAX;
        if !place || !size || profile.stack < 0 {
            return false;
        }
        self.profiles.retain(|old| {
            let same_slot = old.connector == profile.connector
                && old.purpose == profile.purpose
                && old.stack == profile.stack;
            old.id != profile.id && !same_slot
        });
        let room = self.profiles.len() < PROFILES_MAX;
        if room {
            self.profiles.push(profile);
        }
        room
    }

    /// Removes what matches all that is given; false if nothing did.
    pub fn clear(
        &mut self,
        id: Option<i64>,
        connector: Option<u32>,
        purpose: Option<Purpose>,
        stack: Option<i64>,
    ) -> bool {
        let before = self.profiles.len();
        self.profiles.retain(|profile| match id {
            Some(id) => profile.id != id,
            None => {
                let fits = connector.is_none_or(|connector| connector == profile.connector)
                    && purpose.is_none_or(|purpose| purpose == profile.purpose)
                    && stack.is_none_or(|stack| stack == profile.stack);
                !fits
            }
        });
        self.profiles.len() < before
    }

    /// A transaction on this connector has ended: its profiles go with it.
    pub fn transaction_over(&mut self, connector: u32) {
        self.profiles.retain(|old| old.purpose != Purpose::Tx || old.connector != connector);
    }

    /// What holds at a place at `time`.
    pub fn at(&self, place: Place, time: i64) -> InForce {
        let own = place.run.map(|_| self.winner(Purpose::Tx, place, time));
        let default = self.winner(Purpose::TxDefault, place, time);
        let cap = self.winner(Purpose::ChargePointMax, place, time);
        let base = own.and_then(|own| own.limit).or(default.limit);
        let part = cap.limit.map(|cap| cap / place.sharing.max(1) as f64);
        let limit = match (base, part) {
            (Some(base), Some(part)) => Some(base.min(part)),
            (base, part) => base.or(part),
        };
        let edges = [own.and_then(|own| own.until), default.until, cap.until];
        InForce { limit, until: edges.into_iter().flatten().min() }
    }

    /// What holds for a transaction nobody has spoken of: the default profile. None where there is
    /// none.
    pub fn default_limit(&self, place: Place, time: i64) -> Option<f64> {
        self.winner(Purpose::TxDefault, Place { run: None, ..place }, time).limit
    }

    /// `(seconds from time, limit)` over a span of seconds; a limit of none is no limit.
    pub fn composite(&self, place: Place, time: i64, seconds: i64) -> Vec<(i64, Option<f64>)> {
        let mut course: Vec<(i64, Option<f64>)> = Vec::new();
        let mut at = time;
        while at < time + seconds.saturating_mul(1000) && course.len() < COMPOSITE_MAX {
            let force = self.at(place, at);
            if course.last().is_none_or(|(_, limit)| *limit != force.limit) {
                course.push(((at - time) / 1000, force.limit));
            }
            let Some(until) = force.until else { break };
            at = until;
        }
        course
    }

    fn winner(&self, purpose: Purpose, place: Place, time: i64) -> InForce {
        let running = place.run.and_then(|run| run.id);
        let mut best: Option<(&Profile, f64)> = None;
        let mut until: Option<i64> = None;
        for profile in self.profiles.iter().filter(|profile| profile.purpose == purpose) {
            let here = profile.connector == place.connector || profile.connector == 0;
            let mine = profile.transaction.is_none() || profile.transaction == running;
            if !here || !mine {
                continue;
            }
            let force = profile.at(time, place.run, place.voltage);
            until = [until, force.until].into_iter().flatten().min();
            let rank = |profile: &Profile| (profile.connector != 0, profile.stack);
            if let Some(limit) = force.limit
                && best.is_none_or(|(old, _)| rank(old) < rank(profile))
            {
                best = Some((profile, limit));
            }
        }
        InForce { limit: best.map(|(_, limit)| limit), until }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_551_427_200_000;

    fn here(run: Option<Running>) -> Place {
        Place { connector: 1, run, sharing: 1, voltage: 230.0 }
    }

    fn text(millis: i64) -> String {
        Utc::from_millis(millis).to_text()
    }

    fn profile(id: i64, stack: i64, purpose: &str, schedule: Value) -> Value {
        json!({"chargingProfileId": id, "stackLevel": stack, "chargingProfilePurpose": purpose,
            "chargingProfileKind": "Absolute", "chargingSchedule": schedule})
    }

    fn steps(start: i64, steps: &[(i64, f64)]) -> Value {
        let periods: Vec<Value> = steps
            .iter()
            .map(|(start, limit)| json!({"startPeriod": start, "limit": limit}))
            .collect();
        json!({"startSchedule": text(start), "chargingRateUnit": "A",
            "chargingSchedulePeriod": periods})
    }

    fn put(store: &mut ProfileStore, run: Option<Running>, json: &Value) -> bool {
        store.install(Profile::read(1, json).expect("a readable profile"), run)
    }

    #[test]
    fn a_lease_steps_down_to_the_safe_share_and_dies_with_its_transaction() {
        let mut store = ProfileStore::default();
        let run = Some(Running { id: Some(7), started: NOW - 5000 });
        assert!(put(&mut store, run, &profile(1, 0, "TxDefaultProfile", steps(0, &[(0, 6.0)]))));
        let lease = steps(NOW - 60_000, &[(0, 16.0), (240, 8.0)]);
        assert!(put(&mut store, run, &profile(2, 1, "TxProfile", lease)));
        let force = store.at(here(run), NOW);
        assert_eq!(force, InForce { limit: Some(16.0), until: Some(NOW + 180_000) });
        assert_eq!(store.at(here(run), NOW + 180_000).limit, Some(8.0));
        let course = store.composite(here(run), NOW, 300);
        assert_eq!(course, [(0, Some(16.0)), (180, Some(8.0))]);
        store.transaction_over(1);
        assert_eq!(store.at(here(run), NOW).limit, Some(6.0));
    }

    #[test]
    fn a_transaction_profile_needs_its_transaction() {
        let mut store = ProfileStore::default();
        let mut lease = profile(2, 1, "TxProfile", steps(NOW, &[(0, 16.0)]));
        assert!(!put(&mut store, None, &lease));
        lease["transactionId"] = json!(8);
        assert!(!put(&mut store, Some(Running { id: Some(7), started: NOW }), &lease));
    }

    #[test]
    fn the_cap_and_the_highest_valid_stack_win() {
        let mut store = ProfileStore::default();
        let mut low = profile(1, 0, "TxDefaultProfile", steps(0, &[(0, 10.0)]));
        let mut high = profile(2, 3, "TxDefaultProfile", steps(NOW, &[(0, 20.0)]));
        high["chargingSchedule"]["duration"] = json!(60);
        assert!(put(&mut store, None, &low) && put(&mut store, None, &high));
        assert_eq!(store.at(here(None), NOW + 1000).limit, Some(20.0));
        assert_eq!(store.at(here(None), NOW + 60_000).limit, Some(10.0));
        low = profile(
            3,
            0,
            "ChargePointMaxProfile",
            json!({"chargingRateUnit": "W",
            "startSchedule": text(0), "chargingSchedulePeriod":
            [{"startPeriod": 0, "limit": 6 * 690}]}),
        );
        let cap = Profile::read(0, &low).expect("a readable profile");
        assert!(store.install(cap, None));
        assert_eq!(store.at(here(None), NOW + 1000).limit, Some(6.0));
    }

    #[test]
    fn a_relative_default_counts_from_the_start_of_the_transaction() {
        let mut store = ProfileStore::default();
        let mut json = profile(1, 0, "TxDefaultProfile", steps(NOW, &[(0, 6.0), (600, 10.0)]));
        json["chargingProfileKind"] = json!("Relative");
        if let Some(schedule) = json["chargingSchedule"].as_object_mut() {
            schedule.remove("startSchedule");
        }
        assert!(put(&mut store, None, &json));
        let run = Some(Running { id: None, started: NOW });
        assert_eq!(store.at(here(run), NOW + 599_000).limit, Some(6.0));
        assert_eq!(store.at(here(run), NOW + 600_000).limit, Some(10.0));
    }

    #[test]
    fn what_is_cleared_says_nothing_any_more() {
        let mut store = ProfileStore::default();
        assert!(put(&mut store, None, &profile(1, 0, "TxDefaultProfile", steps(0, &[(0, 6.0)]))));
        assert!(!store.clear(Some(9), None, None, None));
        assert!(store.clear(None, Some(1), Some(Purpose::TxDefault), None));
        assert_eq!(store.at(here(None), NOW), InForce { limit: None, until: None });
    }

    #[test]
    fn schedules_that_do_not_begin_at_zero_are_refused() {
        let late = profile(1, 0, "TxDefaultProfile", steps(0, &[(5, 6.0)]));
        assert_eq!(Profile::read(1, &late), None);
    }
}
