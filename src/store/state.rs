//! How a store tells what is on disk and how it is doing.

use redb::{Database, DatabaseError};

/// Counts the batches with a fact that must be on disk at once; rises from 1 with each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitNumber(pub u64);

/// How the store is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreState {
    /// Everything up to this batch is on disk.
    pub committed: CommitNumber,
    /// Why nothing can be written, in words; none when all is well.
    pub failing: Option<String>,
    /// Readings, setpoints and events that were given up for lack of memory since the start.
    pub thinned: u64,
}

/// What a store stands on: a file in a directory, or a disk that a test lets fail.
pub struct Backing {
    /// Opens the file; called again whenever the disk has failed.
    pub open: Box<dyn Fn() -> Result<Database, DatabaseError> + Send>,
    /// Whether there is space again after the disk was full.
    pub has_space: Box<dyn Fn() -> bool + Send>,
    /// Gives up the space that is kept for a full disk.
    pub spend_reserve: Box<dyn Fn() + Send>,
}
