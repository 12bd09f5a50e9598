//! Whether cars would miss their departure because the box is away for a while.
//!
//! ```text
//! what is left to charge ≤ safe share in the pause + the most by plan after it, until it leaves
//! ```
//! Chargers hold their leases when the box goes and fall to their safe shares later; here they
//! count with the safe share from the first moment on. Where nobody says when a car leaves, it
//! is taken to stay until it has made up for the pause; where nobody says what it needs, it is
//! taken to want all that it can get until it leaves.

use crate::ground::time::{Duration, Utc};

/// Less than this is no loss, in kWh.
const NOTHING_KWH: f64 = 0.05;

/// Names in one sentence.
const NAMED_MAX: usize = 3;

/// A car that charges or will.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stay {
    /// Where.
    pub evse: String,
    /// When it leaves; none where nobody knows.
    pub leaves: Option<Utc>,
    /// Nobody has said so, it is what is usual.
    pub is_guess: bool,
    /// What it needs from now on, in kWh; none where nobody knows.
    pub need_kwh: Option<f64>,
    /// What it takes from its safe share alone, in kW.
    pub safe_kw: f64,
    /// What it could be given, in spans that follow each other.
    pub could: Vec<Span>,
}

/// A span of time with one power.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// From …
    pub from: Utc,
    /// … until.
    pub until: Utc,
    /// The most it could be given, in kW.
    pub kw: f64,
}

/// A car that would be late.
#[derive(Clone, Debug, PartialEq)]
pub struct Miss {
    /// Where.
    pub evse: String,
    /// When it leaves.
    pub leaves: Utc,
    /// It would have what it needs so much later, charging at its highest power.
    pub late: Duration,
}

impl Stay {
    /// Whether a pause from `now` on would make it late.
    pub fn miss(&self, now: Utc, pause: Duration) -> Option<Miss> {
        let leaves = self.leaves.filter(|leaves| now < *leaves)?;
        let back = (now + pause).min(leaves);
        let after = self.energy(back, leaves, f64::INFINITY);
        let at_best = self.energy(now, back, f64::INFINITY) + after;
        let with_pause = self.energy(now, back, self.safe_kw) + after;
        let need = self.need_kwh.unwrap_or(at_best);
        let lost = (need - with_pause).max(0.0) - (need - at_best).max(0.0);
        if lost < NOTHING_KWH {
            return None;
        }
        let most = self.could.iter().map(|span| span.kw).fold(0.0, f64::max);
        let hours = (need - with_pause) / most.max(f64::EPSILON);
        let late = Duration::minutes((hours * 60.0 - 1e-6).ceil().clamp(1.0, 1e6) as i64);
        Some(Miss { evse: self.evse.clone(), leaves, late })
    }

    /// What it could take between two moments with no more than so much power, in kWh.
    fn energy(&self, from: Utc, until: Utc, most_kw: f64) -> f64 {
        let part = |span: &Span| {
            let hours = span.until.min(until).since(span.from.max(from)).as_hours();
            span.kw.min(most_kw) * hours.max(0.0)
        };
        self.could.iter().map(part).sum()
    }
}

/// What is assumed of cars of which somebody has not said enough, in sentences.
pub fn assumed(stays: &[Stay], time: impl Fn(Utc) -> String) -> Vec<String> {
    let names = |all: Vec<&Stay>| {
        let shown: Vec<&str> = all.iter().take(NAMED_MAX).map(|stay| stay.evse.as_str()).collect();
        match all.len().saturating_sub(NAMED_MAX) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    };
    let mut out = Vec::new();
    let open: Vec<&Stay> = stays.iter().filter(|stay| stay.leaves.is_none()).collect();
    if !open.is_empty() {
        let names = names(open);
        out.push(format!(
            "nobody has said when the car leaves at {names}: taken to stay until it has made up \
             for the pause"
        ));
    }
    for stay in stays.iter().filter(|stay| stay.is_guess).take(NAMED_MAX) {
        if let Some(leaves) = stay.leaves {
            let (evse, leaves) = (&stay.evse, time(leaves));
            out.push(format!("nobody has said when the car leaves at {evse}: usual is {leaves}"));
        }
    }
    let no_need = |stay: &&Stay| stay.leaves.is_some() && stay.need_kwh.is_none();
    let open: Vec<&Stay> = stays.iter().filter(no_need).collect();
    if !open.is_empty() {
        let names = names(open);
        out.push(format!(
            "nobody has said what the car needs at {names}: taken to want all it can get"
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::minutes(10);

    fn at(text: &str) -> Utc {
        Utc::parse(&format!("2026-03-01T{text}:00Z")).expect("a time")
    }

    /// 11 kW from noon until 17:00, when it leaves.
    fn stay(need_kwh: f64) -> Stay {
        let leaves = at("17:00");
        Stay {
            evse: "EVSE-04".to_owned(),
            leaves: Some(leaves),
            need_kwh: Some(need_kwh),
            could: vec![
                Span { from: at("12:00"), until: at("13:00"), kw: 11.0 },
                Span { from: at("13:00"), until: at("20:00"), kw: 11.0 },
            ],
            ..Stay::default()
        }
    }

    #[test]
    fn a_car_with_time_in_hand_makes_up_for_the_pause() {
        assert_eq!(stay(40.0).miss(at("12:00"), PAUSE), None);
        let four_fifty = 11.0 * (4.0 + 50.0 / 60.0);
        assert_eq!(stay(four_fifty).miss(at("12:00"), PAUSE), None, "just");
        let miss = stay(four_fifty + 0.5).miss(at("12:00"), PAUSE).expect("it would be late");
        assert_eq!((miss.leaves, miss.late), (at("17:00"), Duration::minutes(3)));
        let miss = stay(55.0).miss(at("12:00"), PAUSE).expect("it has no time in hand");
        assert_eq!(miss.late, Duration::minutes(10));
        assert_eq!(stay(55.0).miss(at("17:00"), PAUSE), None, "it should be gone");
    }

    #[test]
    fn the_safe_share_counts_and_what_is_missed_anyhow_is_no_fault_of_the_pause() {
        let mut safe = stay(55.0);
        safe.safe_kw = 4.14;
        let miss = safe.miss(at("12:00"), PAUSE).expect("late");
        assert_eq!(miss.late, Duration::minutes(7));
        safe.safe_kw = 11.0;
        assert_eq!(safe.miss(at("12:00"), PAUSE), None);
        // Nothing flows in the pause by plan: the car waits for a cheap hour in any case.
        let mut waits = stay(90.0);
        waits.could[0].kw = 0.0;
        assert_eq!(waits.miss(at("12:00"), PAUSE), None);
    }

    #[test]
    fn what_nobody_has_said_is_assumed_and_told() {
        let (mut stays, mut unknown) = (stay(0.0), stay(10.0));
        stays.need_kwh = None;
        let miss = stays.miss(at("12:00"), PAUSE).expect("it wants all it can get");
        assert_eq!(miss.late, Duration::minutes(10));
        unknown.leaves = None;
        assert_eq!(unknown.miss(at("12:00"), PAUSE), None);
        let usual = Stay { evse: "EVSE-05".to_owned(), is_guess: true, ..stay(1.0) };
        let told = assumed(&[stays, unknown, usual, stay(1.0)], |_| "17:00".to_owned());
        assert_eq!(
            told,
            [
                "nobody has said when the car leaves at EVSE-04: taken to stay until it has made \
                 up for the pause",
                "nobody has said when the car leaves at EVSE-05: usual is 17:00",
                "nobody has said what the car needs at EVSE-04: taken to want all it can get",
            ]
        );
    }
}
