//! Simulated meters: they publish what flows through the inverse of the site's own mapping.
//!
//! Each value of a topic is divided by its factor and put where its JSON pointer points; values of
//! one topic share one document. Interval, change, delay, error, silence, a frozen value and a
//! wrong sign are theirs to have.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::ground::ids::{MeterId, NodeIndex};
use crate::ground::time::{Duration, Instant};
use crate::ground::units::{PerPhase, Phase};
use crate::model::diagram::Diagram;
use crate::model::meter::{Meter, Quantity};

use super::electric::Flow;
use super::output::PlantOutput;
use super::scenario::{MeterMode, MeterModel};

/// Messages on their way out of one meter; more than one per delay and gap never wait.
const WAITING_MAX: usize = 1000;

/// All meters of the site.
#[derive(Clone, Debug, PartialEq)]
pub struct Meters {
    publishers: Vec<Publisher>,
    model: MeterModel,
    voltage: f64,
    waiting: VecDeque<(Instant, String, Vec<u8>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Publisher {
    meter: MeterId,
    source: Source,
    topics: Vec<Topic>,
    mode: MeterMode,
    next_at: Instant,
    last_at: Option<Instant>,
    changed_at: Instant,
    last: PerPhase<f64>,
    /// What is published while it is frozen.
    frozen: Option<PerPhase<f64>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Node(NodeIndex),
    Equipment(usize),
}

#[derive(Clone, Debug, PartialEq)]
struct Topic {
    name: String,
    /// Text of the document before each value, then the value.
    parts: Vec<(String, Reading)>,
    end: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    quantity: Quantity,
    phase: Option<Phase>,
    factor: f64,
}

impl Meters {
    /// The meters that a node or a piece of equipment names, first measured at `start`.
    pub fn new(diagram: &Diagram, meters: &[Meter], model: MeterModel, start: Instant) -> Self {
        let source = |id: &MeterId| {
            let node = diagram.nodes.iter().position(|node| node.meter.as_ref() == Some(id));
            let item = diagram.equipment.iter().position(|item| item.meter.as_ref() == Some(id));
            node.map(Source::Node).or(item.map(Source::Equipment))
        };
        let publisher = |meter: &Meter| {
            Some(Publisher {
                meter: meter.id.clone(),
                source: source(&meter.id)?,
                topics: topics(meter),
                mode: MeterMode::Works,
                next_at: start,
                last_at: None,
                changed_at: start,
                last: PerPhase::default(),
                frozen: None,
            })
        };
        Self {
            publishers: meters.iter().filter_map(publisher).collect(),
            model,
            voltage: diagram.voltage.as_f64(),
            waiting: VecDeque::new(),
        }
    }

    /// When something is measured or leaves.
    pub fn wake_at(&self) -> Option<Instant> {
        let measured = self.publishers.iter().map(|publisher| publisher.next_at).min();
        let leaves = self.waiting.front().map(|(due, _, _)| *due);
        [measured, leaves].into_iter().flatten().min()
    }

    /// Measures what is due and brings forward what has changed; messages leave if `broker_up`.
    pub fn wake(
        &mut self,
        now: Instant,
        (flow, equipment): (&Flow, &[f64]),
        broker_up: bool,
        out: &mut Vec<PlantOutput>,
    ) {
        let model = &self.model;
        for publisher in &mut self.publishers {
            let truth = match publisher.source {
                Source::Node(node) => flow.all[node],
                Source::Equipment(item) => PerPhase([equipment[item] / 3.0 / self.voltage; 3]),
            };
            let moved = publisher.last.0.iter().zip(truth.0).map(|(old, new)| (old - new).abs());
            let most = moved.fold(0.0, f64::max);
            if model.on_change_a.is_some_and(|least| least < most) {
                publisher.changed_at = now;
                let gap = publisher.last_at.map_or(now, |last| last + model.least_gap);
                publisher.next_at = publisher.next_at.min(gap.max(now));
            }
            if publisher.next_at <= now {
                publisher.last = truth;
                publisher.last_at = Some(now);
                let still = now.since(publisher.changed_at);
                let quiet = model.quiet.filter(|(after, _)| *after <= still);
                publisher.next_at = now + quiet.map_or(model.interval, |(_, interval)| interval);
                let Some(told) = publisher.tells(truth, model.gain_error) else { continue };
                for topic in &publisher.topics {
                    let payload = topic.payload(told, self.voltage);
                    if self.waiting.len() < WAITING_MAX {
                        self.waiting.push_back((now + model.delay, topic.name.clone(), payload));
                    }
                }
            }
        }
        while self.waiting.front().is_some_and(|(due, _, _)| *due <= now) {
            if let Some((_, topic, payload)) = self.waiting.pop_front()
                && broker_up
            {
                out.push(PlantOutput::Mqtt { topic, payload, retained: false });
            }
        }
    }

    /// Puts one meter into a mode; a meter that works again publishes at once.
    pub fn switch(&mut self, meter: &MeterId, mode: MeterMode, now: Instant) {
        for publisher in self.publishers.iter_mut().filter(|one| &one.meter == meter) {
            publisher.mode = mode;
            publisher.frozen = (mode == MeterMode::Frozen).then_some(publisher.last);
            publisher.next_at = now;
        }
    }

    /// All of them work.
    pub fn heal(&mut self, now: Instant) {
        for publisher in &mut self.publishers {
            publisher.mode = MeterMode::Works;
            publisher.next_at = now;
        }
    }

    /// Every meter publishes at once, for a broker that has just started.
    pub fn publish_soon(&mut self, now: Instant) {
        for publisher in &mut self.publishers {
            publisher.next_at = now + Duration::millis(1);
        }
    }
}

impl Publisher {
    /// What it tells of the true current by phase; none if it is silent.
    fn tells(&self, truth: PerPhase<f64>, gain_error: f64) -> Option<PerPhase<f64>> {
        match self.mode {
            MeterMode::Works => Some(truth.map(|current| current * (1.0 + gain_error))),
            MeterMode::WrongSign => Some(truth.map(|current| -current)),
            MeterMode::Frozen => self.frozen,
            MeterMode::Silent => None,
        }
    }
}

impl Topic {
    fn payload(&self, current: PerPhase<f64>, voltage: f64) -> Vec<u8> {
        let mut text = String::with_capacity(self.end.len() + 32 * self.parts.len());
        for (before, reading) in &self.parts {
            let amps = reading.phase.map_or(current.0.iter().sum(), |phase| current[phase]);
            let value = match reading.quantity {
                Quantity::Current => amps,
                Quantity::Power => amps * voltage,
                Quantity::Voltage => voltage,
            };
            let rounded = (value / reading.factor * 1000.0).round() / 1000.0;
            let _ = write!(text, "{before}{rounded}");
        }
        text.push_str(&self.end);
        text.into_bytes()
    }
}

/// The documents of a meter, one for each topic.
fn topics(meter: &Meter) -> Vec<Topic> {
    let mut names: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, value) in meter.values.iter().enumerate() {
        names.entry(&value.topic).or_default().push(index);
    }
    let mut topics = Vec::new();
    for (name, values) in names {
        let mut document = Value::Null;
        for index in values {
            let slot = Value::String(slot(index));
            match meter.values[index].pointer.as_deref() {
                None | Some("") => document = slot,
                Some(pointer) => place(&mut document, pointer, slot),
            }
        }
        let text = document.to_string();
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, behind)) = rest.split_once("\"@value ") {
            let Some((index, after)) = behind.split_once("@\"") else { break };
            let Ok(index) = index.parse::<usize>() else { break };
            let value = &meter.values[index];
            let (quantity, phase, factor) = (value.quantity, value.phase, value.factor);
            parts.push((before.to_owned(), Reading { quantity, phase, factor }));
            rest = after;
        }
        topics.push(Topic { name: name.to_owned(), parts, end: rest.to_owned() });
    }
    topics
}

/// Marks the place of a value in the text of a document.
fn slot(index: usize) -> String {
    format!("@value {index}@")
}

/// Puts a value where an RFC 6901 pointer points, in nested objects.
fn place(document: &mut Value, pointer: &str, value: Value) {
    let mut here = document;
    for word in pointer.trim_start_matches('/').split('/') {
        let word = word.replace("~1", "/").replace("~0", "~");
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        here = &mut here[word.as_str()];
    }
    *here = value;
}

#[cfg(test)]
mod tests {
    use super::super::electric::Electric;
    use super::super::sample::yard;
    use super::*;

    const NOW: Instant = Instant::START;

    fn messages(meters: &mut Meters, now: Instant, load_w: f64) -> Vec<(String, String)> {
        let site = yard();
        let electric = Electric::new(&site.diagram);
        let mut flow = Flow::default();
        let equipment = [-3450.0, load_w];
        electric.flow(&[PerPhase::default(); 3], &equipment, &mut flow);
        let mut out = Vec::new();
        meters.wake(now, (&flow, &equipment), true, &mut out);
        out.into_iter()
            .filter_map(|output| match output {
                PlantOutput::Mqtt { topic, payload, .. } => {
                    Some((topic, String::from_utf8(payload).expect("text")))
                }
                _ => None,
            })
            .collect()
    }

    fn meters() -> Meters {
        let site = yard();
        let model = MeterModel { delay: Duration::ZERO, ..MeterModel::default() };
        Meters::new(&site.diagram, &site.meters, model, NOW)
    }

    #[test]
    fn values_of_one_topic_share_one_document() {
        let told = messages(&mut meters(), NOW, 6900.0);
        let text = |topic: &str, payload: &str| (topic.to_owned(), payload.to_owned());
        let grid = "{\"current\":{\"l1\":5,\"l2\":5,\"l3\":5}}";
        assert_eq!(told, [text("site/grid", grid), text("site/pv/power_kw", "3.45")]);
    }

    #[test]
    fn a_change_is_told_before_the_interval_is_over() {
        let mut meters = meters();
        messages(&mut meters, NOW, 6900.0);
        assert!(messages(&mut meters, NOW + Duration::millis(500), 9000.0).is_empty());
        assert_eq!(meters.wake_at(), Some(NOW + Duration::seconds(1)));
        assert_eq!(messages(&mut meters, NOW + Duration::seconds(1), 9000.0).len(), 1);
    }

    #[test]
    fn a_meter_that_sees_no_change_for_long_grows_quiet() {
        let mut meters = meters();
        meters.model.quiet = Some((Duration::seconds(10), Duration::seconds(120)));
        let mut told = Vec::new();
        for second in 0..200 {
            let count = messages(&mut meters, NOW + Duration::seconds(second), 6900.0).len();
            if 0 < count {
                told.push(second);
            }
        }
        assert_eq!(told, [0, 5, 10, 130]);
    }

    #[test]
    fn faulty_meters_freeze_lie_or_fall_silent() {
        let mut meters = meters();
        messages(&mut meters, NOW, 6900.0);
        let grid = MeterId::new("grid");
        let mut later = NOW;
        let mut told = |mode: MeterMode| {
            later = later + Duration::seconds(10);
            meters.switch(&grid, mode, later);
            let all = messages(&mut meters, later, 13_800.0);
            all.into_iter().find(|(topic, _)| topic == "site/grid").map(|(_, text)| text)
        };
        let document =
            |amps: f64| format!("{{\"current\":{{\"l1\":{amps},\"l2\":{amps},\"l3\":{amps}}}}}");
        assert_eq!(told(MeterMode::Frozen), Some(document(5.0)));
        assert_eq!(told(MeterMode::WrongSign), Some(document(-15.0)));
        assert_eq!(told(MeterMode::Silent), None);
        assert_eq!(told(MeterMode::Works), Some(document(15.0)));
    }
}
