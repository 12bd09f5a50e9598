//! A file that a charger has uploaded to this box.

use serde::{Deserialize, Serialize};

use crate::ground::time::Utc;

/// A file that a charger has uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedFile {
    /// Its name here, which is unlike every other: number, charge point, name as it came.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// When it came, by the clock of the file system.
    pub received: Option<Utc>,
}
