//! Passwords as they are kept, and files that hold secrets.
//!
//! Two kinds of hash ([0011](../../docs/decisions/0011-charger-passwords.md)): a key of at least 16
//! random bytes gets one HMAC-SHA-256 over a salt, since nobody can guess it; a password that a
//! person chose gets Argon2id before it, which costs 19 MiB and some tens of milliseconds for each
//! look. Both compare in constant time. A file with secrets is refused when others can read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use nix::fcntl::{Flock, FlockArg};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

/// Bytes of an AuthorizationKey (OCPP-J 1.6 §6.2.1: 20 bytes).
pub const KEY_BYTES: usize = 20;

const SALT_BYTES: usize = 16;

/// Argon2id as RFC 9106 and OWASP have it for a small machine: 19 MiB, two passes.
const SLOW_KIB: u32 = 19 * 1024;
const SLOW_PASSES: u32 = 2;

/// A file of secrets is never larger than this.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A password as it is kept. Written as `hmac-sha256:SALT:TAG` or `argon2id:SALT:TAG`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash {
    slow: bool,
    salt: [u8; SALT_BYTES],
    tag: [u8; 32],
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Hash(…)")
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        let kind = if hash.slow { "argon2id" } else { "hmac-sha256" };
        format!("{kind}:{}:{}", HEXLOWER.encode(&hash.salt), HEXLOWER.encode(&hash.tag))
    }
}

impl TryFrom<String> for Hash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const EXPECTED: &str = "no hash: expected hmac-sha256:SALT:TAG or argon2id:SALT:TAG";
        let mut parts = text.split(':');
        let (Some(kind), Some(salt), Some(tag), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(EXPECTED);
        };
        let slow = match kind {
            "argon2id" => true,
            "hmac-sha256" => false,
            _ => return Err(EXPECTED),
        };
        let bytes = |text: &str| HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        let salt = bytes(salt).and_then(|bytes| bytes.try_into().ok()).ok_or(EXPECTED)?;
        let tag = bytes(tag).and_then(|bytes| bytes.try_into().ok()).ok_or(EXPECTED)?;
        Ok(Self { slow, salt, tag })
    }
}

impl Hash {
    /// Of a key that is random and long.
    pub fn of_key(key: &[u8]) -> Self {
        Self::of(key, false)
    }

    /// Of a password that a person chose. Slow; for a thread that may block.
    pub fn of_password(password: &[u8]) -> Self {
        Self::of(password, true)
    }

    /// Whether looking costs so much that it needs a thread that may block.
    pub fn is_slow(&self) -> bool {
        self.slow
    }

    /// Whether this is the password.
    pub fn matches(&self, password: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.salt);
        hmac::verify(&key, &material(password, &self.salt, self.slow), &self.tag).is_ok()
    }

    fn of(password: &[u8], slow: bool) -> Self {
        let salt = random();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salt);
        let signed = hmac::sign(&key, &material(password, &salt, slow));
        let tag = signed.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes");
        Self { slow, salt, tag }
    }
}

fn material(password: &[u8], salt: &[u8], slow: bool) -> Vec<u8> {
    if !slow {
        return password.to_vec();
    }
    let params = Params::new(SLOW_KIB, SLOW_PASSES, 1, Some(32)).expect("constants in range");
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut out = vec![0; 32];
    let done = argon.hash_password_into(password, salt, &mut out);
    // A password of more than 4 GiB, which nothing lets in.
    done.expect("a password of bounded length can be hashed");
    out
}

/// Bytes that nobody can guess.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("a system without random bytes is not usable");
    bytes
}

/// Random bytes as lower-case hexadecimal digits.
pub fn random_hex<const N: usize>() -> String {
    HEXLOWER.encode(&random::<N>())
}

/// The one form of a charger's password: 32 hexadecimal digits and more are the bytes they stand
/// for, since some chargers send the digits and others what they stand for.
pub fn canonical(password: &[u8]) -> Vec<u8> {
    let digits = 32 <= password.len() && password.len().is_multiple_of(2);
    match HEXLOWER_PERMISSIVE.decode(password) {
        Ok(bytes) if digits => bytes,
        _ => password.to_vec(),
    }
}

/// Reads a file of secrets; none where there is none.
///
/// # Errors
/// It cannot be read, or others than its owner can read it.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let why = format!("its mode is {mode:03o}, expected 600: only its owner may read it");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let mut text = String::new();
    Read::by_ref(&mut file).take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Replaces a file as a whole, with this mode, so that a power cut leaves the old or the new one.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    fs::create_dir_all(&folder)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("secret");
    let fresh = folder.join(format!(".{name}.{}", random_hex::<4>()));
    let made = (|| {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(&fresh)?;
        give_to_owner(&file, &folder);
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        File::open(&folder)?.sync_all()
    })();
    if made.is_err() {
        // It may not be there at all, and the first error is the one to tell.
        let _ = fs::remove_file(&fresh);
    }
    made
}

/// What root writes into the data directory belongs to whom the directory belongs to: the daemon
/// must be able to read it. Nobody else may give a file away, and then it stays as it is. The
/// daemon, whose unit forbids the call, never comes to it.
fn give_to_owner(file: &File, folder: &Path) {
    let (Ok(owner), Ok(own)) = (fs::metadata(folder), file.metadata()) else { return };
    if (owner.uid(), owner.gid()) != (own.uid(), own.gid()) {
        let _ = fchown(file, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Holds a lock beside `path` while `change` runs, so that the daemon and a command do not undo
/// each other's changes.
///
/// # Errors
/// The lock cannot be had, or what `change` says.
pub fn locked<T>(path: &Path, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&lock)?;
    if let Some(folder) = Path::new(&lock).parent() {
        give_to_owner(&file, folder);
    }
    let held = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, code)| code)?;
    let done = change();
    drop(held);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_and_no_other_also_after_it_was_written() {
        for hash in [Hash::of_key(b"0123456789abcdefghij"), Hash::of_password(b"correct horse")] {
            let written = String::from(hash.clone());
            assert!(!written.contains("horse"));
            let read = Hash::try_from(written).unwrap();
            assert_eq!(read, hash);
            let password: &[u8] =
                if read.is_slow() { b"correct horse" } else { b"0123456789abcdefghij" };
            assert!(read.matches(password));
            assert!(!read.matches(b"correct horsf"));
            assert!(!read.matches(b""));
        }
        assert_ne!(Hash::of_key(b"same"), Hash::of_key(b"same"), "each has its own salt");
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for text in ["", "hmac-sha256", "md5:00:00", "argon2id:zz:00", "hmac-sha256:00:00:00"] {
            assert!(Hash::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn digits_and_what_they_stand_for_are_one_password() {
        let digits = "00112233445566778899AABBCCDDEEFF00112233";
        let bytes = canonical(digits.as_bytes());
        assert_eq!(bytes.len(), KEY_BYTES);
        assert_eq!(canonical(digits.to_lowercase().as_bytes()), bytes);
        assert_eq!(canonical(&bytes), bytes);
        assert_eq!(canonical(b"deadbeef"), b"deadbeef", "too short to be a key");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets");
        assert!(read(&path).unwrap().is_none());
        write(&path, "one", 0o600).unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("one"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("640") && error.contains("600"), "{error}");
        assert_eq!(locked(&path, || Ok(7)).unwrap(), 7);
    }
}
