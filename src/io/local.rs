//! The door for commands on this machine: where it is and the token that opens it, in a file that
//! only the daemon's user and root can read. Made anew at each start of the daemon.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::secret;

/// The file in the data directory.
pub const FILE: &str = "admin.token";

/// Bytes of the token.
const TOKEN_BYTES: usize = 32;

/// The door and what opens it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalDoor {
    /// Where page and API answer on loopback, without TLS: `http://127.0.0.1:8080`.
    pub url: String,
    /// Whoever shows this may do everything.
    pub token: String,
}

impl std::fmt::Debug for LocalDoor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "LocalDoor({}, …)", self.url)
    }
}

impl LocalDoor {
    /// At this address, with a token that nobody can guess.
    pub fn fresh(url: String) -> Self {
        Self { url, token: secret::random_hex::<TOKEN_BYTES>() }
    }

    /// Keeps it in this data directory.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, data: &Path) -> io::Result<()> {
        let text = serde_json::to_string(self).map_err(io::Error::other)?;
        secret::write(&place(data), &(text + "\n"), 0o600)
    }

    /// The one of the daemon with this data directory; none where there is none.
    ///
    /// # Errors
    /// It cannot be read, or others can read it.
    pub fn read(data: &Path) -> io::Result<Option<Self>> {
        let Some(text) = secret::read(&place(data))? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(io::Error::other)
    }
}

/// The file in this data directory.
pub fn place(data: &Path) -> PathBuf {
    data.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_another_at_each_start_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(LocalDoor::read(folder.path()).unwrap(), None);
        let door = LocalDoor::fresh("http://127.0.0.1:8080".to_owned());
        door.keep(folder.path()).unwrap();
        assert_eq!(LocalDoor::read(folder.path()).unwrap().as_ref(), Some(&door));
        let next = LocalDoor::fresh(door.url.clone());
        next.keep(folder.path()).unwrap();
        assert_ne!(next.token, door.token);
        assert_eq!(LocalDoor::read(folder.path()).unwrap(), Some(next));
        assert!(!format!("{door:?}").contains(&door.token));
    }
}
