//! The last day of one EVSE as SVG: the limit it was given as a step, what it drew as a line.
//!
//! The curves are drawn in a square of 1000 by 1000 that is stretched to the page; the words stand
//! outside of it, so they keep their size on every screen.

use crate::ground::time::{Duration, Utc};
use crate::ground::units::Amps;
use crate::model::record::{ReadingRecord, SetpointRecord};

use super::html::Html;
use super::words::{self, Calendar};

/// Side of the square in which the curves are drawn.
const SIDE: i64 = 1000;

/// Times beside their marks: more would run into each other on a phone.
const LABELS_MAX: usize = 6;

/// The time and the current that a chart shows.
pub struct Frame<'a> {
    /// Left edge.
    pub from: Utc,
    /// Right edge.
    pub to: Utc,
    /// The rating of the EVSE; an eighth more is the top edge.
    pub top: Amps,
    /// Writes the times.
    pub calendar: &'a Calendar,
}

impl Frame<'_> {
    /// The chart, for setpoints and readings in order of time.
    pub fn draw(&self, out: &mut Html, setpoints: &[SetpointRecord], readings: &[ReadingRecord]) {
        let percent = |along: i64| format!("{:.2}%", along as f64 * 100.0 / SIDE as f64);
        out.add(
            "<figure class=\"chart\"><svg role=\"img\" aria-label=\"Limit and current over time; \
             the limits stand in the table below\">",
            &[],
        );
        let marks: Vec<Utc> = self.marks().collect();
        let every = marks.len() / LABELS_MAX + 1;
        for (index, hour) in marks.iter().enumerate() {
            let x = percent(self.x(*hour));
            out.add("<line class=\"hour\" x1=\"{}\" x2=\"{}\" y1=\"0\" y2=\"100%\"/>", &[&x, &x]);
            if index % every == 0 {
                let hour = self.calendar.short(*hour, Some(*hour));
                out.add("<text x=\"{}\" y=\"14\" dx=\"4\">{}</text>", &[&x, &hour]);
            }
        }
        let y = percent(self.y(self.top));
        out.add("<line class=\"rated\" x1=\"0\" x2=\"100%\" y1=\"{}\" y2=\"{}\"/>", &[&y, &y]);
        out.add("<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">", &[]);
        out.add("<path class=\"given\" d=\"{}\"/>", &[&self.steps(setpoints)]);
        out.add("<path class=\"drawn\" d=\"{}\"/></svg></svg>", &[&self.line(readings)]);
        let rating = words::rating(self.top);
        out.add(
            "<figcaption>area: the limit · line: what was drawn on the highest phase · \
             dashed: the rating, {}</figcaption></figure>",
            &[&rating],
        );
    }

    /// The limit as an area of steps: each holds until the next.
    fn steps(&self, setpoints: &[SetpointRecord]) -> String {
        let mut path = String::new();
        for (index, setpoint) in setpoints.iter().enumerate() {
            let (x, y) = (self.x(setpoint.at), self.y(setpoint.limit_a));
            match index {
                0 => path.push_str(&format!("M{x} {SIDE}V{y}")),
                _ => path.push_str(&format!("H{x}V{y}")),
            }
        }
        if !path.is_empty() {
            path.push_str(&format!("H{SIDE}V{SIDE}Z"));
        }
        path
    }

    /// The largest measured current of the three phases; a gap of ten minutes is left open.
    fn line(&self, readings: &[ReadingRecord]) -> String {
        let mut path = String::new();
        let mut last: Option<Utc> = None;
        for reading in readings {
            let Some(current) = reading.current_a else {
                continue;
            };
            let near = last.is_some_and(|last| reading.at.since(last) <= Duration::minutes(10));
            let pen = if near { 'L' } else { 'M' };
            let (x, y) = (self.x(reading.at), self.y(current.largest()));
            path.push_str(&format!("{pen}{x} {y}"));
            last = Some(reading.at);
        }
        path
    }

    /// Up to 25 full hours within the frame.
    fn marks(&self) -> impl Iterator<Item = Utc> {
        let hour = Duration::hours(1).as_millis();
        let first = self.from.as_millis().div_euclid(hour) + 1;
        let end = self.to.as_millis().div_euclid(hour).min(first.saturating_add(24));
        (first..=end).map(move |number| Utc::from_millis(number.saturating_mul(hour)))
    }

    fn x(&self, time: Utc) -> i64 {
        let width = self.to.since(self.from).as_millis().max(1);
        let along = time.since(self.from).as_millis().clamp(0, width);
        (i128::from(along) * i128::from(SIDE) / i128::from(width)) as i64
    }

    fn y(&self, current: Amps) -> i64 {
        let top = (self.top.as_milli() * 9 / 8).max(1);
        SIDE - (i128::from(current.as_milli().clamp(0, top)) * i128::from(SIDE) / i128::from(top))
            as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::ids::EvseId;
    use crate::ground::units::PerPhase;
    use crate::model::bound::Cause;

    #[test]
    fn a_limit_holds_until_the_next_and_a_gap_stays_open() {
        let at = |minute| Utc::from_millis(0) + Duration::minutes(minute);
        let calendar = Calendar::new("UTC");
        let frame = Frame { from: at(0), to: at(100), top: Amps::new(64), calendar: &calendar };
        let setpoint = |minute, limit| SetpointRecord {
            evse: EvseId::new("E1"),
            session: None,
            at: at(minute),
            limit_a: Amps::new(limit),
            cause: Cause::Rated,
        };
        let reading = |minute, current| ReadingRecord {
            evse: EvseId::new("E1"),
            transaction: None,
            at: at(minute),
            current_a: Some(PerPhase::all(Amps::new(current))),
            power_w: None,
            energy_wh: None,
        };
        let steps = frame.steps(&[setpoint(10, 18), setpoint(50, 99)]);
        assert_eq!(steps, "M100 1000V750H500V0H1000V1000Z");
        let line = frame.line(&[reading(10, 0), reading(20, 9), reading(60, 18)]);
        assert_eq!(line, "M100 1000L200 875M600 750");
        assert_eq!(frame.steps(&[]), "");
    }
}
