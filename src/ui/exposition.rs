//! Prometheus text as it is written (exposition format 0.0.4), and in tests the rules that it
//! keeps.

use std::fmt::Write;

use crate::ground::time::Utc;

/// The text so far.
#[derive(Debug, Default)]
pub struct Exposition(pub String);

impl Exposition {
    /// What the samples that follow are; `kind` is `gauge`, `counter` or `summary`.
    pub fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A gauge that has one sample.
    pub fn one(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, "gauge", help);
        self.sample(name, &[], value);
    }

    /// One sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        match labels.is_empty() {
            true => self.line(format_args!("{name} {value}\n")),
            false => self.line(format_args!("{name}{{{}}} {value}\n", labels.join(","))),
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let written = self.0.write_fmt(line);
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
}

/// A moment as Prometheus has it.
pub fn seconds(at: Utc) -> f64 {
    at.as_millis() as f64 / 1000.0
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], "\\n")
}

/// What `promtool check metrics` would find fault with, and series that stand twice.
#[cfg(test)]
pub fn faults(text: &str) -> Vec<String> {
    use std::collections::{BTreeMap, BTreeSet};
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut helps, mut series, mut faults) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            if help.is_empty() || !helps.insert(name) {
                faults.push(format!("{name}: no help, or twice"));
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, ""));
            kinds.insert(name, kind);
            faults.extend(name_faults(name, kind));
        } else {
            let (labelled, value) = line.rsplit_once(' ').unwrap_or((line, ""));
            let name = labelled.split('{').next().unwrap_or_default();
            let is_part = |suffix: &str| {
                let of = name.strip_suffix(suffix).and_then(|base| kinds.get(base));
                of == Some(&"summary")
            };
            if !kinds.contains_key(name) && !is_part("_sum") && !is_part("_count") {
                faults.push(format!("{name}: a sample without a type before it"));
            }
            if value.parse::<f64>().is_err() {
                faults.push(format!("{line}: no number"));
            }
            if !series.insert(labelled) {
                faults.push(format!("{labelled}: stands twice"));
            }
        }
    }
    faults
}

#[cfg(test)]
fn name_faults(name: &str, kind: &str) -> Vec<String> {
    const BASE: [&str; 8] =
        ["amperes", "bytes", "celsius", "grams", "joules", "meters", "seconds", "volts"];
    const OTHER: [&str; 10] = [
        "hours",
        "minutes",
        "days",
        "weeks",
        "milliseconds",
        "kilobytes",
        "megabytes",
        "calories",
        "kilowatts",
        "milliamperes",
    ];
    let mut faults = Vec::new();
    let mut fault = |what: &str| faults.push(format!("{name}: {what}"));
    let good = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    if !name.chars().all(|letter| good(letter) || letter == '_') {
        fault("letters that a name should not have");
    }
    if (kind == "counter") != name.ends_with("_total") {
        fault("counters, and only counters, end in _total");
    }
    if kind != "summary" && ["_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end)) {
        fault("an end that summaries have");
    }
    let words: Vec<&str> = name.split('_').collect();
    if words.iter().any(|word| OTHER.contains(word)) {
        fault("a unit that is no base unit");
    }
    if words.iter().any(|word| ["gauge", "counter", "summary", "histogram"].contains(word)) {
        fault("its type in its name");
    }
    let unit = words.iter().position(|word| BASE.contains(word));
    let last = words.len() - 1 - usize::from(name.ends_with("_total"));
    if unit.is_some_and(|at| at != last) {
        fault("a unit that is not at the end");
    }
    faults
}

#[cfg(test)]
mod tests {
    #[test]
    fn faults_are_found() {
        let text = "# TYPE a_total gauge\na_total 1\na_total 1\nb x\n";
        let found = super::faults(text);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(super::faults("# HELP a Good.\n# TYPE a gauge\na{x=\"1\"} 1\n").is_empty());
        assert!(!super::name_faults("a_watt_hours", "gauge").is_empty());
        assert!(!super::name_faults("a_seconds_left", "gauge").is_empty());
    }
}
