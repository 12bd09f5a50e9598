//! A secret of 32 bytes in a file of its own, readable by this user alone.
//!
//! It is made once and then stays, so that what was signed with it stays valid over restarts and
//! updates. To renew it, delete the file and restart. A file that cannot be used is an error and is
//! never overwritten.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Bytes of a key.
pub const BYTES: usize = 32;

/// Reads the key in this file; where there is none, keeps `fresh` there. The second word says in
/// words what a person should look at.
pub fn keep(file: &Path, fresh: [u8; BYTES]) -> io::Result<([u8; BYTES], Option<String>)> {
    match fs::read_to_string(file) {
        Ok(text) => {
            let key = decode(text.trim()).ok_or_else(|| {
                let expected = "expected 64 hexadecimal digits; delete the file for a fresh key";
                io::Error::new(io::ErrorKind::InvalidData, expected)
            })?;
            let mode = fs::metadata(file)?.permissions().mode() & 0o777;
            let open = (mode & 0o077 != 0)
                .then(|| format!("{} can be read by others (mode {mode:o})", file.display()));
            Ok((key, open))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut made =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
            let text: String = fresh.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(made, "{text}")?;
            made.sync_all()?;
            Ok((fresh, None))
        }
        Err(error) => Err(error),
    }
}

fn decode(text: &str) -> Option<[u8; BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * BYTES || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut key = [0; BYTES];
    for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_this_user_alone() {
        let dir = tempfile::tempdir().expect("a place for files");
        let file = dir.path().join("drivers.key");
        let (made, open) = keep(&file, [7; BYTES]).expect("it can be written");
        assert_eq!((made, open), ([7; BYTES], None));
        let mode = fs::metadata(&file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (again, _) = keep(&file, [9; BYTES]).expect("it can be read");
        assert_eq!(again, [7; BYTES]);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("it is ours");
        let (_, open) = keep(&file, [9; BYTES]).expect("it can be read");
        assert!(open.expect("others can read it").contains("mode 644"));
        fs::write(&file, "half").expect("it is ours");
        let error = keep(&file, [9; BYTES]).expect_err("it is no key").to_string();
        assert!(error.contains("64 hexadecimal digits"), "{error}");
        assert_eq!(fs::read_to_string(&file).expect("it is there"), "half");
    }
}
