//! A mistake in a configuration, in the words of the person who must correct it.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but probably does not mean what was meant.
    Warning,
}

/// One mistake: where, what was found, what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file as the person named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key, for programs: `evse[3].safe_a`, counted from 0. Empty for the file as a whole.
    pub path: String,
    /// The same for people: `evse "EVSE-04", safe_a`. Empty for the file as a whole.
    pub place: String,
    /// What is there.
    pub found: String,
    /// What should be there, or what to do.
    pub expected: String,
}

impl std::fmt::Display for Problem {
    /// `config/office.toml:41: evse "EVSE-03", safe_a: found 3 A, expected 0 or at least 6 A`
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}:{}: ", self.file, self.line)?;
        if self.severity == Severity::Warning {
            write!(to, "warning: ")?;
        }
        if !self.place.is_empty() {
            write!(to, "{}: ", self.place)?;
        }
        write!(to, "found {}, expected {}", self.found, self.expected)
    }
}
