//! What is expected of a car that stands there: when it leaves and what it takes, weighted.
//!
//! What a driver says is first taken as true. The site and the token keep whether it proved so; as
//! long as it did, the expectation stays one certain case, and where it did not, it becomes the
//! distribution of what really happened after such words. Where nothing was said the token's own
//! stays at that weekday and hour speak, filled up with those of the whole site while they are few.
//! All of it holds on condition that the car still stands there and has taken what it has taken.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::ground::calendar::Calendar;
use crate::ground::ids::{EvseId, IdToken};
use crate::ground::spread::{self, Weighted};
use crate::ground::time::{Duration, Utc};

use super::arrivals;
use super::kernel::Present;
use super::stay::{Past, Stay};
use super::vehicle::Vehicle;

/// Stays of the whole site that are kept: a busy month, a quiet year.
pub const SITE_MAX: usize = 600;
/// Stays that are kept of one token.
pub const TOKEN_STAYS_MAX: usize = 24;
/// Tokens that are known; the one that was longest away is forgotten first.
pub const TOKENS_MAX: usize = 400;

/// Where departures are cut into cases, as shares of the whole: finer at the low end, where a car
/// leaves early and a plan has to be ready.
const EARLY: [f64; 5] = [0.08, 0.25, 0.5, 0.75, 1.0];

/// Cuts for needs: finer at the high end, where a car takes more than usual.
const LARGE: [f64; 4] = [0.3, 0.6, 0.85, 1.0];

/// Words that proved true and that are assumed before any did.
const TRUST_WORTH: f64 = 8.0;
/// From this share of true words on a driver's word is taken as it is.
const TRUST_MIN: f64 = 0.9;
/// Stays of the token itself that all others of the site together are worth.
const SITE_WORTH: f64 = 2.0;
/// A stay of the token itself counts so much among what was said and proved.
const OWN_SAID: f64 = 12.0;

/// All that was learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Habits {
    pub(super) calendar: Calendar,
    pub(super) site: VecDeque<Past>,
    /// Stays of the site that were ever taken in.
    pub(super) seen: u64,
    pub(super) tokens: BTreeMap<String, Known>,
}

/// What is known of one token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) stays: VecDeque<Past>,
    pub(super) vehicle: Vehicle,
}

/// A car that stands there.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Whose; absent where nobody said.
    pub token: Option<IdToken>,
    /// Where.
    pub evse: EvseId,
    /// When it came.
    pub arrival: Utc,
    /// The present.
    pub now: Utc,
    /// What it has taken so far.
    pub energy_so_far_kwh: f64,
    /// What the driver asked for, from the arrival on.
    pub declared_kwh: Option<f64>,
    /// When the driver said to leave.
    pub declared_departure: Option<Utc>,
    /// No more power than this goes into it, in kW.
    pub most_kw: f64,
}

/// What is expected of it. Weights sum to one; both in rising order.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// When it leaves.
    pub departures: Vec<(Utc, f64)>,
    /// What it takes from its arrival on, in kWh.
    pub energies_kwh: Vec<(f64, f64)>,
    /// Whose word the departure is ("the driver", "habit of this token, 23 stays").
    pub departure_source: String,
    /// Whose word the energy is.
    pub energy_source: String,
}

impl Expectation {
    /// The departure before which it leaves in this share of cases.
    pub fn departure(&self, share: f64) -> Option<Utc> {
        let mut sum = 0.0;
        let reached = self.departures.iter().find(|(_, weight)| {
            sum += weight;
            share <= sum
        });
        reached.or(self.departures.last()).map(|(at, _)| *at)
    }

    /// The energy that suffices in this share of cases.
    pub fn energy_kwh(&self, share: f64) -> Option<f64> {
        spread::quantile(&self.energies_kwh, share)
    }
}

impl Habits {
    /// Nothing known, by the local days of this place.
    pub fn new(calendar: Calendar) -> Self {
        Self { calendar, ..Self::default() }
    }

    /// The same knowledge by other local days.
    pub fn with_calendar(mut self, calendar: Calendar) -> Self {
        self.calendar = calendar;
        self
    }

    /// Takes in a stay that has ended. Tells what changed by it, as it is written down.
    pub fn observe(&mut self, stay: &Stay) -> Vec<(String, String)> {
        let Some(past) = Past::of(stay, &self.calendar) else { return Vec::new() };
        push(&mut self.site, past, SITE_MAX);
        self.seen += 1;
        let mut changed = self.newest_text();
        let Some(token) = &stay.token else { return changed };
        let known = self.tokens.entry(key(token)).or_default();
        push(&mut known.stays, past, TOKEN_STAYS_MAX);
        known.vehicle.observe(stay);
        changed.extend(known.text(&key(token)));
        if TOKENS_MAX < self.tokens.len() {
            let last = |known: &Known| known.stays.back().map(|past| past.arrival);
            let oldest = self.tokens.iter().min_by_key(|(_, known)| last(known));
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.tokens.remove(&name);
                changed.push(Known::gone(&name));
            }
        }
        changed
    }

    /// What is expected of a car.
    pub fn expect(&self, question: &Question) -> Expectation {
        let minutes = |until: Utc| until.since(question.arrival).as_millis() as f64 / 60_000.0;
        let said_min = question.declared_departure.map(minutes).filter(|said| 0.0 < *said);
        let said_kwh = question.declared_kwh.filter(|kwh| kwh.is_finite() && 0.0 < *kwh);
        let present = Present::new(&self.calendar, question.arrival, said_min, said_kwh);
        let own = self.own(question.token.as_ref());
        let elapsed = minutes(question.now).max(0.0);
        let (stays, departure_source) = self.stays(&present, own);
        let stays = later(stays, elapsed);
        let departure =
            |(min, weight): &Weighted| (question.arrival + whole_minutes(*min), *weight);
        let departures = spread::cases(&stays, &EARLY).iter().map(departure).collect();
        let (energies, energy_source) = self.energies(&present, own);
        let so_far = question.energy_so_far_kwh;
        let so_far = if so_far.is_finite() { so_far.clamp(0.0, 1e4) } else { 0.0 };
        // What was possible from the arrival on: who could have had more is told so.
        let longest = stays.last().map_or(elapsed, |(min, _)| *min);
        let most = question.most_kw.max(0.0) * longest.max(elapsed) / 60.0;
        let energies = larger(energies, so_far, if most.is_finite() { most } else { 1e4 });
        Expectation {
            departures,
            energies_kwh: spread::cases(&energies, &LARGE),
            departure_source,
            energy_source,
        }
    }

    /// The car of a token.
    pub fn vehicle(&self, token: &IdToken) -> Option<Vehicle> {
        self.tokens.get(&key(token)).map(|known| known.vehicle)
    }

    /// How many stays of a token are known.
    pub fn stays_of(&self, token: &IdToken) -> usize {
        self.tokens.get(&key(token)).map_or(0, |known| known.stays.len())
    }

    /// Cars that are expected on the coming day, in order of time; no more than EVSEs are free.
    pub fn arrivals(
        &self,
        now: Utc,
        horizon: Duration,
        free: usize,
    ) -> Vec<arrivals::ExpectedArrival> {
        arrivals::expect(&self.calendar, &self.site, now, horizon, free)
    }

    /// How many drivers' words on departure and on energy proved true, of how many.
    pub fn words_kept(&self) -> [(usize, usize); 2] {
        let count = |kept: &[bool]| (kept.iter().filter(|kept| **kept).count(), kept.len());
        let told = |kept: fn(&Past) -> Option<bool>| -> Vec<bool> {
            self.site.iter().filter_map(kept).collect()
        };
        [count(&told(Past::left_as_said)), count(&told(Past::took_as_said))]
    }

    /// The same for people; empty where nobody said anything.
    pub fn words(&self) -> String {
        let [left, took] = self.words_kept();
        let of = |(kept, all): (usize, usize), what: &str| {
            (0 < all).then(|| format!("{kept} of {all} {what}"))
        };
        let known = [of(left, "left as they had said"), of(took, "took what they had said")];
        let known: Vec<String> = known.into_iter().flatten().collect();
        if known.is_empty() { String::new() } else { format!("drivers: {}", known.join(", ")) }
    }

    fn own(&self, token: Option<&IdToken>) -> Option<&VecDeque<Past>> {
        token.and_then(|token| self.tokens.get(&key(token))).map(|known| &known.stays)
    }

    /// How far this kind of word proved true, 0 to 1: the token's own first, then the site's.
    fn trust(&self, own: Option<&VecDeque<Past>>, kept: fn(&Past) -> Option<bool>) -> f64 {
        let tell = |stays: &VecDeque<Past>| {
            let told: Vec<bool> = stays.iter().rev().take(200).filter_map(kept).collect();
            let yes = told.iter().filter(|kept| **kept).count() as f64;
            (yes, told.len() as f64)
        };
        let (yes, all) = tell(&self.site);
        let site = (yes + TRUST_WORTH) / (all + TRUST_WORTH);
        let (yes, all) = own.map_or((0.0, 0.0), tell);
        (yes + TRUST_WORTH * site) / (all + TRUST_WORTH)
    }

    /// Lengths of the stay in minutes, as the past has them.
    fn stays(&self, present: &Present, own: Option<&VecDeque<Past>>) -> (Vec<Weighted>, String) {
        let Some(said) = present.said_min else {
            let value = |past: &Past| present.stay_min(past);
            let weigh = |past: &Past| present.weight(past);
            let (found, source) = self.habit(own, weigh);
            let found = found.into_iter().map(|(past, weight)| (value(past), weight)).collect();
            return (usual(found, &STAYS_MIN), source);
        };
        let trust = self.trust(own, Past::left_as_said);
        if TRUST_MIN <= trust {
            return (vec![(said, 1.0)], "the driver".to_owned());
        }
        let mut found = vec![(said, TRUST_WORTH * trust * 0.5)];
        let mut count = 0;
        for (past, factor) in self.told(own) {
            let Some(then) = past.declared_min else { continue };
            let weight = factor * present.weight(past) * present.alike_in_stay(past);
            // Half by how far the word was off, half by how long such cars stay.
            found.push(((said + past.stay_min - then).max(5.0), 0.5 * weight));
            found.push((present.stay_min(past), 0.5 * weight));
            count += 1;
        }
        (found, format!("the driver, as {count} others kept their word"))
    }

    /// Energies in kWh, as the past has them.
    fn energies(&self, present: &Present, own: Option<&VecDeque<Past>>) -> (Vec<Weighted>, String) {
        let Some(said) = present.said_kwh else {
            let weigh = |past: &Past| present.weight(past) * present.alike_in_stay(past);
            let (found, source) = self.habit(own, weigh);
            let values =
                found.into_iter().map(|(past, weight)| (past.kwh, weight, past.full)).collect();
            return (usual(spread::uncensored(values), &ENERGIES_KWH), source);
        };
        let trust = self.trust(own, Past::took_as_said);
        if TRUST_MIN <= trust {
            return (vec![(said, 1.0)], "the driver".to_owned());
        }
        let mut found = vec![(said, TRUST_WORTH * trust * 0.5, true)];
        let mut count = 0;
        for (past, factor) in self.told(own) {
            let Some(then) = past.declared_kwh else { continue };
            let weight = factor
                * present.weight(past)
                * present.alike_in_energy(past)
                * present.alike_in_stay(past);
            found.push((said * past.kwh / then, 0.5 * weight, past.full));
            found.push((past.kwh, 0.5 * weight, past.full));
            count += 1;
        }
        (spread::uncensored(found), format!("the driver, as {count} others took what they said"))
    }

    /// Past stays that something was said of, with what each counts: the token's own more.
    fn told<'a>(
        &'a self,
        own: Option<&'a VecDeque<Past>>,
    ) -> impl Iterator<Item = (&'a Past, f64)> {
        let own = own.into_iter().flatten().map(|past| (past, OWN_SAID));
        self.site.iter().map(|past| (past, 1.0)).chain(own)
    }

    /// The token's own stays, filled up with those of the site.
    fn habit<'a>(
        &'a self,
        own: Option<&'a VecDeque<Past>>,
        weigh: impl Fn(&Past) -> f64,
    ) -> (Vec<(&'a Past, f64)>, String) {
        let site: Vec<(&Past, f64)> = self.site.iter().map(|past| (past, weigh(past))).collect();
        let whole: f64 = site.iter().map(|(_, weight)| weight).sum();
        let scale = if 0.0 < whole { SITE_WORTH / whole } else { 0.0 };
        let mut found: Vec<(&Past, f64)> =
            site.into_iter().map(|(past, weight)| (past, weight * scale)).collect();
        let count = own.map_or(0, VecDeque::len);
        found.extend(own.into_iter().flatten().map(|past| (past, weigh(past))));
        let source = match (count, self.site.len()) {
            (0, 0) => "nothing is known".to_owned(),
            (0, all) => format!("habit of the site, {all} stays"),
            (1, _) => "habit of this token, 1 stay".to_owned(),
            (count, _) => format!("habit of this token, {count} stays"),
        };
        (found, source)
    }
}

/// What is thought of a car where nothing is known at all, in minutes.
const STAYS_MIN: [f64; 4] = [60.0, 180.0, 360.0, 540.0];
/// The same in kWh.
const ENERGIES_KWH: [f64; 3] = [5.0, 10.0, 20.0];

fn usual(found: Vec<Weighted>, prior: &[f64]) -> Vec<Weighted> {
    // The prior is worth a fifth of a stay: nothing as soon as something is known.
    const WORTH: f64 = 0.2;
    let share = WORTH / prior.len() as f64;
    let mut found = found;
    if found.iter().map(|(_, weight)| weight).sum::<f64>() < WORTH {
        found.extend(prior.iter().map(|value| (*value, share)));
    }
    found
}

/// The stays that are longer than what has elapsed already; where there are none, some more.
fn later(stays: Vec<Weighted>, elapsed: f64) -> Vec<Weighted> {
    const LEFT_MIN: f64 = 0.02;
    let all = spread::normal(stays);
    let kept: Vec<Weighted> = all.into_iter().filter(|(min, _)| elapsed + 1.0 <= *min).collect();
    let left: f64 = kept.iter().map(|(_, weight)| weight).sum();
    if LEFT_MIN <= left {
        return spread::normal(kept);
    }
    // Past every word and habit: it may leave at any time, or have been left there.
    spread::normal(vec![(elapsed + 20.0, 0.3), (elapsed + 75.0, 0.4), (elapsed + 240.0, 0.3)])
}

/// The energies that are more than what was taken already, and no more than was possible.
fn larger(energies: Vec<Weighted>, so_far: f64, most: f64) -> Vec<Weighted> {
    const LEFT_MIN: f64 = 0.02;
    const NEAR_KWH: f64 = 0.1;
    let all = spread::normal(energies);
    let kept: Vec<Weighted> =
        all.into_iter().filter(|(kwh, _)| so_far + NEAR_KWH <= *kwh).collect();
    let left: f64 = kept.iter().map(|(_, weight)| weight).sum();
    let kept = if LEFT_MIN <= left {
        kept
    } else {
        vec![(so_far + 0.5, 0.5), (so_far + 2.0, 0.35), (so_far + 6.0, 0.15)]
    };
    let most = most.max(so_far);
    spread::normal(kept.into_iter().map(|(kwh, weight)| (kwh.min(most), weight)).collect())
}

fn whole_minutes(minutes: f64) -> Duration {
    Duration::millis((minutes * 60_000.0).clamp(0.0, 1e12) as i64)
}

fn push(stays: &mut VecDeque<Past>, past: Past, most: usize) {
    stays.push_back(past);
    while most < stays.len() {
        stays.pop_front();
    }
}

/// Tokens are compared without regard to case.
pub(super) fn key(token: &IdToken) -> String {
    token.as_str().to_ascii_lowercase()
}
