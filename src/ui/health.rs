//! Whether the box does its work: what `/healthz` answers. Pure.
//!
//! *Failing* is what the box itself cannot do: decide, write, tell the time. It is answered with
//! 503, so that whoever watches boxes calls somebody. *Degraded* is trouble around it that it was
//! made to cope with: a silent meter, a charger that is not connected. It is answered with 200, or
//! with 503 where `?strict=1` asks for it.

use serde::{Deserialize, Serialize};

use crate::controller::view::View;
use crate::model::machine::Machine;

/// A clock may take this long to be trusted after a start, in milliseconds.
const CLOCK_PATIENCE_MS: i64 = 10 * 60 * 1000;

/// A disk with less than this is nearly full: some days of readings, in bytes.
const DISK_LOW: u64 = 16 << 20;

/// Facts that wait for a disk that is too slow for them.
const WAITING_MANY: u64 = 1000;

/// How the box is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// The worst of the checks.
    pub status: State,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// `control`, `store`, `disk`, `clock`, `meters`, `chargers`.
    pub name: String,
    /// How it is.
    pub status: State,
    /// The same in words.
    pub words: String,
}

/// How something is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Trouble that the box copes with.
    Degraded,
    /// The box cannot do its work.
    Failing,
}

/// Looks at everything. `is_fresh`: the controller has shown itself within the last seconds.
pub fn look(view: &View, machine: &Machine, is_fresh: bool) -> Health {
    let checks = vec![
        control(is_fresh),
        store(machine),
        disk(machine),
        clock(view),
        meters(view),
        chargers(view),
    ];
    let worst = checks.iter().map(|check| check.status).max();
    Health { status: worst.unwrap_or(State::Ok), checks }
}

fn check(name: &str, status: State, words: impl Into<String>) -> Check {
    Check { name: name.to_owned(), status, words: words.into() }
}

fn control(is_fresh: bool) -> Check {
    match is_fresh {
        true => check("control", State::Ok, "decides"),
        false => check("control", State::Failing, "the controller has published nothing for 5 s"),
    }
}

fn store(machine: &Machine) -> Check {
    let store = &machine.store;
    match &store.failing {
        Some(why) => check("store", State::Failing, why),
        None if WAITING_MANY <= store.waiting_urgent => {
            let words = format!("{} facts wait for the disk", store.waiting_urgent);
            check("store", State::Degraded, words)
        }
        None => check("store", State::Ok, "writes"),
    }
}

fn disk(machine: &Machine) -> Check {
    match machine.disk_free_bytes {
        None => check("disk", State::Degraded, "it cannot be looked at"),
        Some(free) if free < DISK_LOW => {
            check("disk", State::Degraded, format!("nearly full: {} MiB free", free >> 20))
        }
        Some(free) => check("disk", State::Ok, format!("{} MiB free", free >> 20)),
    }
}

fn clock(view: &View) -> Check {
    match view.at {
        Some(_) => check("clock", State::Ok, "trusted"),
        None => {
            let is_late = CLOCK_PATIENCE_MS <= view.uptime_ms;
            let state = if is_late { State::Failing } else { State::Degraded };
            check("clock", state, "not trusted: records and schedules wait for it")
        }
    }
}

fn meters(view: &View) -> Check {
    let silent: Vec<&str> =
        view.meters.iter().filter(|meter| !meter.fresh).map(|meter| meter.id.as_str()).collect();
    if silent.is_empty() {
        return check("meters", State::Ok, format!("{} heard", view.meters.len()));
    }
    check("meters", State::Degraded, format!("silent: {}", silent.join(", ")))
}

fn chargers(view: &View) -> Check {
    let points = &view.charge_points;
    let gone: Vec<&str> =
        points.iter().filter(|point| !point.online).map(|point| point.id.as_str()).collect();
    let words = format!("{} of {} connected", points.len() - gone.len(), points.len());
    if gone.is_empty() {
        return check("chargers", State::Ok, words);
    }
    check("chargers", State::Degraded, format!("{words}, not {}", gone.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::StoreFigures;
    use crate::ui::sample;

    fn machine() -> Machine {
        Machine { disk_free_bytes: Some(1 << 30), ..Machine::default() }
    }

    fn of(health: &Health, name: &str) -> (State, String) {
        let found = health.checks.iter().find(|check| check.name == name).expect("it is there");
        (found.status, found.words.clone())
    }

    #[test]
    fn what_the_box_cannot_do_is_failing_and_what_it_copes_with_is_not() {
        let view = sample::busy();
        assert_eq!(of(&look(&view, &machine(), true), "control").0, State::Ok);
        assert_eq!(look(&view, &machine(), false).status, State::Failing);
        let full = StoreFigures { failing: Some("the disk is full".into()), ..Default::default() };
        let health = look(&view, &Machine { store: full, ..machine() }, true);
        assert_eq!(of(&health, "store"), (State::Failing, "the disk is full".to_owned()));
        let mut gone = sample::busy();
        gone.charge_points.iter_mut().for_each(|point| point.online = true);
        gone.charge_points[3].online = false;
        gone.meters[0].fresh = false;
        let health = look(&gone, &machine(), true);
        assert_eq!(health.status, State::Degraded);
        let words = "11 of 12 connected, not CP-04".to_owned();
        assert_eq!(of(&health, "chargers"), (State::Degraded, words));
        assert_eq!(of(&health, "meters"), (State::Degraded, "silent: grid".to_owned()));
        let low = Machine { disk_free_bytes: Some(1 << 20), ..machine() };
        assert_eq!(of(&look(&view, &low, true), "disk").0, State::Degraded);
    }

    #[test]
    fn a_clock_has_ten_minutes_to_be_trusted() {
        let mut view = sample::busy();
        (view.at, view.uptime_ms) = (None, 60_000);
        assert_eq!(of(&look(&view, &machine(), true), "clock").0, State::Degraded);
        view.uptime_ms = 11 * 60_000;
        assert_eq!(of(&look(&view, &machine(), true), "clock").0, State::Failing);
    }
}
