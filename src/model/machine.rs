//! How the machine under the daemon is, for health checks and figures.

/// What the store can tell of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreFigures {
    /// Size of its file in bytes; none where it cannot be looked at.
    pub file_bytes: Option<u64>,
    /// Facts that must be on disk before something may be said, and are not yet.
    pub waiting_urgent: u64,
    /// Facts that wait for the next batch.
    pub waiting_batched: u64,
    /// Commits since the start …
    pub commits: u64,
    /// … the time they took in all …
    pub commit_seconds: f64,
    /// … and the longest of them.
    pub commit_seconds_max: f64,
    /// Readings, setpoints and events that were given up for lack of memory.
    pub thinned: u64,
    /// The disk is full: only what must be is written.
    pub full: bool,
    /// Why something is not written, in words; none when all is well.
    pub failing: Option<String>,
}

/// The machine at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// The store.
    pub store: StoreFigures,
    /// Memory that this process holds, in bytes; none where it cannot be read.
    pub resident_bytes: Option<u64>,
    /// Space that is left on the disk of the data directory, in bytes.
    pub disk_free_bytes: Option<u64>,
}
