//! Why a store could not be opened, in the words of the person who stands before the box.

use std::path::PathBuf;

use redb::DatabaseError;

/// Why a store could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("the data directory {dir} is in use by another Ampgate{holder}")]
    InUse {
        /// Which directory.
        dir: PathBuf,
        /// ` (process 123)`, where that is known.
        holder: String,
    },
    /// Something else stands where the store should be.
    #[error(
        "{file} is no Ampgate store: {why}; nothing was changed. \
         Move it away, or name another directory with --data"
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What was found.
        why: String,
    },
    /// Written by a later version.
    #[error(
        "the store has format {found} and this version reads up to {known}; nothing was changed. \
         Install the version that wrote it, or a later one"
    )]
    Newer {
        /// Its format.
        found: u64,
        /// The latest format known here.
        known: u64,
    },
    /// Ours, but damaged.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The directory or the disk does not play along.
    #[error("the store in {place} cannot be used: {source}")]
    Io {
        /// What was tried where.
        place: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No space is left.
    #[error("the disk is full")]
    Full,
    /// redb could not do it.
    #[error("the store cannot be used: {0}")]
    Database(String),
    /// The disk fails at present.
    #[error("the disk cannot be read at present; the past is not lost, only out of reach")]
    Unreadable,
    /// Facts were still waiting for the disk.
    #[error("the last facts could not be written: {0}")]
    NotWritten(String),
}

impl StoreError {
    /// From an error of opening a file that is ours.
    pub(super) fn from_open(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Storage(redb::StorageError::Corrupted(why)) => Self::Damaged(why),
            DatabaseError::Storage(redb::StorageError::Io(error)) if is_full(&error) => Self::Full,
            DatabaseError::UpgradeRequired(version) => Self::Database(format!(
                "its file format {version} is older than this version can open"
            )),
            other => Self::Database(other.to_string()),
        }
    }

    /// From an error of a transaction: damage is told apart from a disk that fails.
    pub(super) fn from_use(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Corrupted(why) => Self::Damaged(why),
            redb::Error::Io(error) if is_full(&error) => Self::Full,
            other => Self::Database(other.to_string()),
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
