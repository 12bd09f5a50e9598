//! Collects all problems of one file, and knows where in its text each key stands.
//!
//! Paths name keys as `evse[3].safe_a`. A path that is not in the text (a key that was left out)
//! is placed at the nearest table above it. What stands on a line that could not even be read as
//! TOML is not reported a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::problem::{Problem, Severity};
use super::words::quoted;

/// More errors than this, and more warnings, help nobody; the rest is only counted. Counted apart,
/// so that no number of warnings can hide an error.
const PROBLEMS_MAX: usize = 200;

/// Problems so far, and where things stand.
#[derive(Debug)]
pub struct Report {
    file: String,
    /// The lines as they were written.
    written: Vec<String>,
    /// Offset of the first byte of each line of the text that is judged.
    lines: Vec<usize>,
    text: String,
    offsets: BTreeMap<String, usize>,
    names: BTreeMap<String, String>,
    unreadable: BTreeSet<usize>,
    problems: Vec<Problem>,
    left_out: usize,
}

impl Report {
    /// An empty report on this text.
    pub fn new(text: &str, file: &str) -> Self {
        let mut report = Self {
            file: file.to_owned(),
            written: text.split('\n').map(str::to_owned).collect(),
            lines: Vec::new(),
            text: String::new(),
            offsets: BTreeMap::new(),
            names: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            problems: Vec::new(),
            left_out: 0,
        };
        report.reindex(text);
        report
    }

    /// The text that is judged from here on: the same lines, some of them mended.
    pub fn reindex(&mut self, text: &str) {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        self.lines = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        text.clone_into(&mut self.text);
    }

    /// Remembers where a key or table stands.
    pub fn locate(&mut self, path: &str, span: &Range<usize>) {
        self.offsets.insert(path.to_owned(), span.start);
    }

    /// Remembers the name that people know the table at `path` by.
    pub fn call(&mut self, path: &str, name: &str) {
        self.names.insert(path.to_owned(), name.to_owned());
    }

    /// Whether this key or table is in the file.
    pub fn stands(&self, path: &str) -> bool {
        self.offsets.contains_key(path)
    }

    /// The line number of a key or table.
    pub fn line_of(&self, path: &str) -> usize {
        self.line(self.offset(path))
    }

    /// A key that makes the file unusable. Of one key only the first error is kept: the others are
    /// mostly its consequences.
    pub fn error(&mut self, path: &str, found: impl Into<String>, expected: impl Into<String>) {
        if self.is_wrong(path) {
            return;
        }
        let at = self.offset(path);
        self.push(Severity::Error, at, path, None, found.into(), expected.into());
    }

    /// A key that probably does not mean what was meant.
    pub fn warning(&mut self, path: &str, found: impl Into<String>, expected: impl Into<String>) {
        if self.is_wrong(path) {
            return;
        }
        let at = self.offset(path);
        self.push(Severity::Warning, at, path, None, found.into(), expected.into());
    }

    /// An error at `path` about something that has a better name than its key.
    pub fn error_about(&mut self, path: &str, place: String, found: String, expected: String) {
        let at = self.offset(path);
        self.push(Severity::Error, at, path, Some(place), found, expected);
    }

    /// A key of the table at `path` that nobody knows.
    pub fn unknown(&mut self, span: &Range<usize>, path: &str, key: &str, expected: String) {
        let here = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let place = match path {
            "" => String::new(),
            table if table.contains('[') => self.place(table),
            table => format!("[{table}]"),
        };
        let found = format!("the unknown key {}", quoted(key));
        self.push(Severity::Error, span.start, &here, Some(place), found, expected);
    }

    /// Whether an error of this table or of anything in it is known already.
    pub fn is_wrong_below(&self, path: &str) -> bool {
        let below = |problem: &Problem| {
            problem.severity == Severity::Error && problem.path.starts_with(path)
        };
        self.problems.iter().any(below)
    }

    /// Whether an error of exactly this key is known already.
    pub fn is_wrong(&self, path: &str) -> bool {
        let same = |problem: &Problem| problem.severity == Severity::Error && problem.path == path;
        !path.is_empty() && self.problems.iter().any(same)
    }

    /// A line that is no TOML. Nothing else is reported on it.
    pub fn unreadable(&mut self, line: usize, offset: usize, found: String, expected: String) {
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        self.push(Severity::Error, offset.max(start), "", None, found, expected);
        self.unreadable.insert(line);
    }

    /// A line that belongs to an unreadable one: nothing is reported on it.
    pub fn skip(&mut self, line: usize) {
        self.unreadable.insert(line);
    }

    /// Whether this line could not be read.
    pub fn is_unreadable(&self, line: usize) -> bool {
        self.unreadable.contains(&line)
    }

    /// Says of each unreadable line which key it is about, once it is known where the tables stand.
    pub fn name_unreadable(&mut self) {
        for index in 0..self.problems.len() {
            let line = self.problems[index].line;
            let text = self.written.get(line - 1).map_or("", |text| text.trim());
            let odd = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
            let key = text.split(odd).next().unwrap_or_default().to_owned();
            if key.is_empty() || !self.unreadable.contains(&line) {
                continue;
            }
            let at = self.lines[line - 1];
            let above = self.headers().filter(|(_, start)| *start < at);
            let last = above.max_by_key(|(path, start)| (*start, path.len()));
            let table = last.map(|(path, _)| path.clone()).unwrap_or_default();
            let path = if table.is_empty() { key } else { format!("{table}.{key}") };
            self.problems[index].place = self.place(&path);
            self.problems[index].path = path;
        }
    }

    /// Whether an unreadable line of the table at `path` was about this key.
    pub fn hides(&self, path: &str, key: &str) -> bool {
        self.unreadable.iter().any(|line| {
            let wanted = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            self.problems.iter().any(|problem| problem.line == *line && problem.path == wanted)
        })
    }

    /// The tables that have a header of their own.
    fn headers(&self) -> impl Iterator<Item = (&String, usize)> {
        let offsets = self.offsets.iter().map(|(path, start)| (path, *start));
        offsets
            .filter(|(_, start)| self.text.get(*start..).is_some_and(|text| text.starts_with('[')))
    }

    /// All problems in the order of the text, errors and warnings.
    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by(|one, other| {
            (one.line, one.column, one.severity).cmp(&(other.line, other.column, other.severity))
        });
        self.problems.dedup();
        if let (Some(last), 1..) = (self.problems.last().cloned(), self.left_out) {
            self.problems.push(Problem {
                severity: Severity::Warning,
                path: String::new(),
                place: String::new(),
                found: format!("{} problems more", self.left_out),
                expected: "those above to be put right first".to_owned(),
                ..last
            });
        }
        self.problems
    }

    /// The key at `path` in the words of people.
    pub fn place(&self, path: &str) -> String {
        let (mut so_far, mut words) = (String::new(), String::new());
        let parts: Vec<&str> = path.split('.').filter(|part| !part.is_empty()).collect();
        for (depth, part) in parts.iter().enumerate() {
            if depth > 0 {
                so_far.push('.');
            }
            so_far.push_str(part);
            let last = depth + 1 == parts.len();
            match (part.split_once('['), self.names.get(&so_far)) {
                (Some((table, _)), Some(name)) => words.push_str(&format!("{table} \"{name}\"")),
                (Some((key, index)), None) => {
                    let index: usize = index.trim_end_matches(']').parse().unwrap_or(0);
                    words.push_str(&format!("{key} number {}", index + 1));
                }
                (None, _) if depth == 0 && !last => words.push_str(&format!("[{part}]")),
                (None, _) => words.push_str(part),
            }
            if !last {
                words.push_str(if part.contains('[') { ", " } else { " " });
            }
        }
        words
    }

    fn push(
        &mut self,
        severity: Severity,
        at: usize,
        path: &str,
        place: Option<String>,
        found: String,
        expected: String,
    ) {
        let line = self.line(at);
        if self.unreadable.contains(&line) {
            return;
        }
        let alike = self.problems.iter().filter(|problem| problem.severity == severity).count();
        if PROBLEMS_MAX <= alike {
            self.left_out += 1;
            return;
        }
        let before = self.text.get(self.lines[line - 1]..at).unwrap_or_default();
        self.problems.push(Problem {
            severity,
            file: self.file.clone(),
            line,
            column: before.chars().count() + 1,
            path: path.to_owned(),
            place: place.unwrap_or_else(|| self.place(path)),
            found,
            expected,
        });
    }

    fn offset(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(offset) = self.offsets.get(path) {
                return *offset;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return 0,
            }
        }
    }

    /// The number of the line that `offset` is on.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }
}
