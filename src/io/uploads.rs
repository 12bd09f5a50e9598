//! Files that chargers upload: diagnostics and logs (OCPP 1.6 §5.9, §6.3, and GetLog).
//!
//! ```text
//! order ─▶ invite ─▶ http(s)://BOX/upload/SECRET/ ─▶ charger ─▶ PUT or POST ─▶ a file
//! ```
//! The address is the one under which the charger has reached this box, on the same listener, so
//! nothing has to be opened for it; the secret in it stands for one file and one day. It is used up
//! by a file that came in whole, so a charger may try again.
//!
//! Invariants: nobody without an invitation writes a byte to the disk; files are bounded in length,
//! number and sum, and the oldest make room; a file that did not come in whole is not kept; what a
//! charger calls its file never leaves the folder.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration as RealDuration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::ground::ids::ChargePointId;
use crate::ground::time::{Duration, Instant, Utc};
use crate::model::upload::UploadedFile;

use super::body::{Body, Framing, file_in_form};
use super::secret::random_hex;

/// A file may be this long; diagnostics of chargers have some MiB.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// All files together …
const ALL_BYTES_MAX: u64 = 128 << 20;

/// … and so many of them are kept.
const FILES_MAX: usize = 50;

/// Invitations at a time; the oldest are forgotten.
const INVITATIONS_MAX: usize = 200;

/// Uploads at a time.
const AT_ONCE_MAX: usize = 4;

/// An invitation holds for this long: chargers pack their files first and try again later.
const INVITED_FOR: Duration = Duration::hours(24);

/// Digits of the secret in an address.
const SECRET_DIGITS: usize = 32;

/// A whole file comes within this, in real time …
const WHOLE_TIME: RealDuration = RealDuration::from_secs(30 * 60);

/// … and each piece of it within this.
const PIECE_TIME: RealDuration = RealDuration::from_secs(60);

/// A name as it came is cut to this.
const NAME_CHARACTERS: usize = 80;

/// What the path of an upload begins with.
const PREFIX: &str = "/upload/";

/// What an unfinished file is called until it is whole.
const UNFINISHED: &str = ".unfinished-";

/// Takes files of chargers; cheap to clone.
#[derive(Clone, Default)]
pub struct Uploads(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    folder: Option<PathBuf>,
    invited: BTreeMap<String, Invitation>,
    last: i32,
    running: usize,
}

struct Invitation {
    charge_point: ChargePointId,
    until: Instant,
    running: bool,
}

impl std::fmt::Debug for Uploads {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Uploads(…)")
    }
}

/// An address for one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// What stands behind the address of the box.
    pub path: String,
    /// A number, for requests that have one.
    pub number: i32,
}

/// What a request to upload has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// From the address.
    pub secret: String,
    /// How the charger names the file; may be empty.
    pub name: String,
    /// How the end is found.
    pub framing: Framing,
    /// It waits for a word before it sends.
    pub waits: bool,
    /// How the file is wrapped.
    pub content_type: String,
}

impl Offer {
    /// From the path of a request; none where it is no upload.
    pub fn of_path(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(PREFIX)?;
        let secret = rest.get(..SECRET_DIGITS).unwrap_or(rest).to_owned();
        let name = rest.get(SECRET_DIGITS..).unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or_default().to_owned();
        Some(Self { secret, name, ..Self::default() })
    }
}

/// An upload that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Whose; none where nobody was invited.
    pub charge_point: Option<ChargePointId>,
    /// Why, in words.
    pub why: String,
    status: &'static str,
}

impl Uploads {
    /// Keeps files in a folder of the data directory from here on. What was not finished when the
    /// box went down is removed.
    pub fn keep_in(&self, data: &Path) {
        let folder = data.join("uploads");
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                let _ = fs::remove_file(entry.path());
            }
        }
        self.shelf().folder = Some(folder);
    }

    /// Invites a charger to upload one file; none where nothing is kept here.
    pub fn invite(&self, charge_point: &ChargePointId, now: Instant) -> Option<Invited> {
        let mut shelf = self.shelf();
        shelf.folder.as_ref()?;
        shelf.invited.retain(|_, invitation| now < invitation.until || invitation.running);
        if INVITATIONS_MAX <= shelf.invited.len() {
            let open = shelf.invited.iter().filter(|(_, invitation)| !invitation.running);
            let oldest = open.min_by_key(|(_, invitation)| invitation.until);
            let oldest = oldest.map(|(secret, _)| secret.clone());
            oldest.and_then(|secret| shelf.invited.remove(&secret));
        }
        shelf.last = shelf.last.checked_add(1).unwrap_or(1);
        let secret = random_hex::<{ SECRET_DIGITS / 2 }>();
        // The slash at the end: some chargers append the name of their file as it is.
        let path = format!("{PREFIX}{secret}/");
        let (charge_point, until) = (charge_point.clone(), now + INVITED_FOR);
        shelf.invited.insert(secret, Invitation { charge_point, until, running: false });
        Some(Invited { path, number: shelf.last })
    }

    /// The charger does not come.
    pub fn withdraw(&self, invited: &Invited) {
        if let Some(Offer { secret, .. }) = Offer::of_path(&invited.path) {
            self.shelf().invited.remove(&secret);
        }
    }

    /// Takes a file and answers; tells whose it is and how it is called here.
    ///
    /// # Errors
    /// It was not taken.
    pub async fn take<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        offer: Offer,
        stream: &mut S,
        beginning: Vec<u8>,
        now: Instant,
    ) -> Result<(ChargePointId, UploadedFile), Failed> {
        let taken = match self.begin(&offer, now) {
            Err(failed) => Err(failed),
            Ok(begun) => {
                let receive = begun.receive(&offer, stream, beginning);
                let received = timeout(WHOLE_TIME, receive).await;
                let received =
                    received.unwrap_or_else(|_| Err(("408 Request Timeout", slow(WHOLE_TIME))));
                let whose = begun.charge_point.clone();
                if received.is_ok() {
                    begun.used_up();
                }
                received.map(|file| (whose.clone(), file)).map_err(|(status, why)| Failed {
                    charge_point: Some(whose),
                    why,
                    status,
                })
            }
        };
        let status = taken.as_ref().map_or_else(|failed| failed.status, |_| "201 Created");
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        // Whether the charger still hears it does not change what was taken.
        let _ = timeout(PIECE_TIME, stream.write_all(answer.as_bytes())).await;
        let _ = timeout(PIECE_TIME, stream.shutdown()).await;
        taken
    }

    fn begin(&self, offer: &Offer, now: Instant) -> Result<Running, Failed> {
        let mut shelf = self.shelf();
        let full = AT_ONCE_MAX <= shelf.running;
        let folder = shelf.folder.clone();
        let known = shelf.invited.get_mut(&offer.secret);
        let known = known.filter(|invitation| now < invitation.until && folder.is_some());
        let Some(invitation) = known else {
            let why = "an upload to an address that nobody was told, or that is used up".to_owned();
            return Err(Failed { charge_point: None, why, status: "404 Not Found" });
        };
        let failed = |status, why: String| {
            Err(Failed { charge_point: Some(invitation.charge_point.clone()), why, status })
        };
        if invitation.running {
            return failed("409 Conflict", "it uploads to this address already".to_owned());
        }
        if full {
            let why = format!("{AT_ONCE_MAX} uploads are running already");
            return failed("503 Service Unavailable", why);
        }
        match offer.framing {
            Framing::Absent => {
                let why = "it does not say how long its file is".to_owned();
                return failed("411 Length Required", why);
            }
            Framing::Length(length) if FILE_BYTES_MAX < length => {
                return failed("413 Content Too Large", too_long());
            }
            Framing::Length(_) | Framing::Chunked => {}
        }
        invitation.running = true;
        let charge_point = invitation.charge_point.clone();
        shelf.running += 1;
        let folder = folder.unwrap_or_default();
        Ok(Running { shelf: self.clone(), secret: offer.secret.clone(), charge_point, folder })
    }

    /// All files, newest first.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn list(&self) -> io::Result<Vec<UploadedFile>> {
        match self.shelf().folder.clone() {
            Some(folder) => list(&folder),
            None => Ok(Vec::new()),
        }
    }

    /// The bytes of a file; none where there is no such file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.path(name)?.map(fs::read).transpose()
    }

    /// Removes a file; whether there was one.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        Ok(self.path(name)?.map(fs::remove_file).transpose()?.is_some())
    }

    /// Where a file is. Only what is listed is found, so that no name leads elsewhere.
    fn path(&self, name: &str) -> io::Result<Option<PathBuf>> {
        let Some(folder) = self.shelf().folder.clone() else { return Ok(None) };
        let known = list(&folder)?.into_iter().any(|file| file.name == name);
        Ok(known.then(|| folder.join(name)))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Every change under the lock is whole, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upload that is running.
struct Running {
    shelf: Uploads,
    secret: String,
    charge_point: ChargePointId,
    folder: PathBuf,
}

/// Status and words.
type Refused = (&'static str, String);

impl Running {
    async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        offer: &Offer,
        stream: &mut S,
        beginning: Vec<u8>,
    ) -> Result<UploadedFile, Refused> {
        let disk = |error: io::Error| ("507 Insufficient Storage", format!("the disk: {error}"));
        let broken = |error: io::Error| ("400 Bad Request", error.to_string());
        if offer.waits {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.map_err(broken)?;
        }
        let unfinished = self.unfinished();
        let (sender, pieces) = mpsc::channel(4);
        let file = unfinished.clone();
        let writer = tokio::task::spawn_blocking(move || write(&file, pieces));
        let pumped = pump(Body::new(stream, beginning, offer.framing), sender).await;
        let written = writer.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        match (pumped, written) {
            (Err(refused), _) => Err(refused),
            (Ok(()), Err(error)) => Err(disk(error)),
            (Ok(()), Ok(())) => {
                let (folder, from) = (self.folder.clone(), unfinished.clone());
                let whose = self.charge_point.to_string();
                let (name, kind) = (offer.name.clone(), offer.content_type.clone());
                let kept = move || keep(&folder, &from, &whose, (&name, &kind));
                let kept = tokio::task::spawn_blocking(kept).await;
                kept.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(disk)
            }
        }
    }

    fn unfinished(&self) -> PathBuf {
        self.folder.join(format!("{UNFINISHED}{}", self.secret))
    }

    /// The file is here: the address is used up.
    fn used_up(&self) {
        self.shelf.shelf().invited.remove(&self.secret);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where the file has its name already, there is nothing to remove.
        let _ = fs::remove_file(self.unfinished());
        let mut shelf = self.shelf.shelf();
        shelf.running -= 1;
        if let Some(invitation) = shelf.invited.get_mut(&self.secret) {
            invitation.running = false;
        }
    }
}

/// Carries a body to the disk, as long as it is not too long.
async fn pump<S: AsyncRead + Unpin>(
    mut body: Body<'_, S>,
    to: mpsc::Sender<Vec<u8>>,
) -> Result<(), Refused> {
    let mut bytes = 0;
    loop {
        let piece = match timeout(PIECE_TIME, body.next()).await {
            Err(_) => return Err(("408 Request Timeout", slow(PIECE_TIME))),
            Ok(Err(error)) => return Err(("400 Bad Request", error.to_string())),
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(piece))) => piece,
        };
        bytes += piece.len() as u64;
        if FILE_BYTES_MAX < bytes {
            return Err(("413 Content Too Large", too_long()));
        }
        if to.send(piece).await.is_err() {
            // The writer has ended and says why.
            return Ok(());
        }
    }
}

fn write(file: &Path, mut pieces: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    while let Some(piece) = pieces.blocking_recv() {
        file.write_all(&piece)?;
    }
    file.sync_all()
}

/// Unwraps a file, makes room for it, and gives it its name.
fn keep(
    folder: &Path,
    unfinished: &Path,
    whose: &str,
    (name, content_type): (&str, &str),
) -> io::Result<UploadedFile> {
    let mut name = name.to_owned();
    if content_type.to_ascii_lowercase().starts_with("multipart/") {
        let form = fs::read(unfinished)?;
        if let Some((range, own)) = file_in_form(&form, content_type) {
            fs::write(unfinished, &form[range])?;
            File::open(unfinished)?.sync_all()?;
            name = own.unwrap_or(name);
        }
    }
    let data = fs::metadata(unfinished)?;
    let bytes = data.len();
    let mut kept = list(folder)?;
    let number = kept.iter().filter_map(|file| number(&file.name)).max().unwrap_or(0) + 1;
    let mut sum: u64 = kept.iter().map(|file| file.bytes).sum();
    while FILES_MAX <= kept.len() || ALL_BYTES_MAX < sum + bytes {
        let Some(oldest) = kept.pop() else { break };
        fs::remove_file(folder.join(&oldest.name))?;
        sum -= oldest.bytes;
    }
    let plain = plain(&name);
    let plain = if plain.is_empty() { "file" } else { plain.as_str() };
    let name = format!("{number:06}_{}_{plain}", self::plain(whose));
    fs::rename(unfinished, folder.join(&name))?;
    File::open(folder)?.sync_all()?;
    Ok(UploadedFile { name, bytes, received: data.modified().ok().and_then(utc) })
}

fn list(folder: &Path) -> io::Result<Vec<UploadedFile>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let (entry, name) = match entry.map(|entry| (entry.file_name().into_string(), entry)) {
            Ok((Ok(name), entry)) if number(&name).is_some() => (entry, name),
            _ => continue,
        };
        let Ok(data) = entry.metadata() else { continue };
        let received = data.modified().ok().and_then(utc);
        files.push(UploadedFile { name, bytes: data.len(), received });
    }
    files.sort_by_key(|file| std::cmp::Reverse(number(&file.name)));
    Ok(files)
}

/// The number that a name begins with.
fn number(name: &str) -> Option<u64> {
    name.split_once('_')?.0.parse().ok()
}

/// Letters that are harmless in names of files.
fn plain(name: &str) -> String {
    let plain = name.chars().map(|letter| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => letter,
        _ => '-',
    });
    plain.take(NAME_CHARACTERS).collect()
}

fn utc(time: SystemTime) -> Option<Utc> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Utc::from_millis(i64::try_from(since.as_millis()).ok()?))
}

fn slow(time: RealDuration) -> String {
    format!("nothing came for more than {} s", time.as_secs())
}

fn too_long() -> String {
    format!("its file is longer than {} MiB", FILE_BYTES_MAX >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> (tempfile::TempDir, Uploads) {
        let data = tempfile::tempdir().expect("a folder");
        let uploads = Uploads::default();
        uploads.keep_in(data.path());
        (data, uploads)
    }

    async fn put(
        uploads: &Uploads,
        path: &str,
        body: &[u8],
        length: u64,
        now: Instant,
    ) -> Result<(ChargePointId, UploadedFile), Failed> {
        let framing = Framing::Length(length);
        let offer = Offer { framing, ..Offer::of_path(path).expect("an upload") };
        let (mut ours, theirs) = tokio::io::duplex(1 << 16);
        drop(theirs);
        uploads.take(offer, &mut ours, body.to_vec(), now).await
    }

    #[tokio::test]
    async fn an_address_takes_one_whole_file_and_no_other_takes_any() {
        let (_data, uploads) = shelf();
        let now = Instant::START;
        let invited = uploads.invite(&ChargePointId::new("CP/01"), now).expect("invited");
        let path = format!("{}../../diag 1.zip", invited.path);
        let cut = put(&uploads, &path, b"ab", 3, now).await.expect_err("cut off");
        assert_eq!(cut.status, "400 Bad Request");
        assert_eq!(uploads.list().expect("a list"), []);
        let (whose, file) = put(&uploads, &path, b"abc", 3, now).await.expect("taken");
        assert_eq!((whose.as_str(), file.name.as_str()), ("CP/01", "000001_CP-01_diag-1.zip"));
        assert_eq!(uploads.read(&file.name).expect("read").as_deref(), Some(&b"abc"[..]));
        assert_eq!(uploads.read("../chargers.json").expect("no error"), None);
        let again = put(&uploads, &path, b"abc", 3, now).await.expect_err("used up");
        assert_eq!((again.status, again.charge_point), ("404 Not Found", None));
        let stranger = put(&uploads, "/upload/00/x", b"abc", 3, now).await;
        assert_eq!(stranger.expect_err("nobody was told").status, "404 Not Found");
        assert!(uploads.remove(&file.name).expect("removed"));
        assert!(!uploads.remove(&file.name).expect("gone"));
    }

    #[tokio::test]
    async fn what_is_too_long_or_too_late_is_refused() {
        let (_data, uploads) = shelf();
        let now = Instant::START;
        let invited = uploads.invite(&ChargePointId::new("CP"), now).expect("invited");
        let long = put(&uploads, &invited.path, b"", FILE_BYTES_MAX + 1, now).await;
        assert_eq!(long.expect_err("too long").status, "413 Content Too Large");
        let late = put(&uploads, &invited.path, b"abc", 3, now + INVITED_FOR).await;
        assert_eq!(late.expect_err("too late").status, "404 Not Found");
    }

    #[tokio::test]
    async fn the_oldest_files_make_room() {
        let (_data, uploads) = shelf();
        for number in 0..FILES_MAX + 3 {
            let invited = uploads.invite(&ChargePointId::new("CP"), Instant::START).expect("it");
            let path = format!("{}{number}", invited.path);
            put(&uploads, &path, b"x", 1, Instant::START).await.expect("taken");
        }
        let names: Vec<String> =
            uploads.list().expect("a list").into_iter().map(|file| file.name).collect();
        assert_eq!(names.len(), FILES_MAX);
        assert_eq!(names.last().map(String::as_str), Some("000004_CP_3"));
    }
}
