//! What steers the chargers of a simulation.

/// What steers the chargers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Policy {
    /// A plan over the coming day.
    Plan,
    /// Sun first, else as late as possible.
    Rule,
    /// Fair shares of what the breakers allow.
    Fair,
    /// Nothing at all.
    Uncontrolled,
}

impl Policy {
    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Plan => "plan",
            Policy::Rule => "rule",
            Policy::Fair => "fair",
            Policy::Uncontrolled => "uncontrolled",
        }
    }
}
