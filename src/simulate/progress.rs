//! A line that grows on a terminal and keeps quiet in a pipe.

use std::io::{IsTerminal, Write};

use crate::ground::time::Utc;

/// Width of the bar in characters.
const WIDTH: usize = 40;

/// Progress through a span of simulated time.
#[derive(Debug)]
pub struct Progress {
    name: String,
    from: Utc,
    until: Utc,
    shown: Option<usize>,
    on_terminal: bool,
}

impl Progress {
    /// Of a run called `name`; shown only where standard error is a terminal.
    pub fn new(name: &str, from: Utc, until: Utc) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        Self { name: name.to_owned(), from, until, shown: None, on_terminal }
    }

    /// So far.
    pub fn at(&mut self, now: Utc) {
        let whole = self.until.since(self.from).as_millis().max(1);
        let part = now.since(self.from).as_millis().clamp(0, whole);
        let filled = (part * WIDTH as i64 / whole) as usize;
        if self.on_terminal && self.shown != Some(filled) {
            self.shown = Some(filled);
            let text = line(&self.name, filled, &now.to_text()[..10]);
            let _ = write!(std::io::stderr(), "\r{text}");
            let _ = std::io::stderr().flush();
        }
    }

    /// Done: the line goes.
    pub fn finish(self) {
        if self.on_terminal && self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r{:width$}\r", "", width = WIDTH + 40);
        }
    }
}

fn line(name: &str, filled: usize, date: &str) -> String {
    let done = "█".repeat(filled);
    let rest = "·".repeat(WIDTH - filled);
    format!("{name:>12} {done}{rest} {date}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_keeps_its_width() {
        let empty = line("fair", 0, "2019-01-01").chars().count();
        assert_eq!(line("fair", WIDTH, "2019-12-31").chars().count(), empty);
    }
}
