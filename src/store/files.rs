//! The data directory: who may use it, how the file is created, and what happens to a damaged one.
//!
//! | file | what |
//! |---|---|
//! | `lock` | held by the process that uses the directory; names it |
//! | `ampgate.redb` | the store |
//! | `ampgate.redb.begun` | a store in the making; worthless after a crash |
//! | `ampgate.redb.damaged-N` | a store that could not be read; kept for a person to look at |
//! | `ids` | numbers that no transaction and session may get again, even if the store is lost |
//! | `reserve` | space that is given up when the disk is full, so that transactions still fit |
//!
//! The store is made under another name and renamed, so a file called `ampgate.redb` is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Builder, Database};
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::table;

/// Name of the store in its directory.
pub const DATABASE: &str = "ampgate.redb";

/// The first bytes of every redb file.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// Transactions of some days: a start or stop dirties about ten pages of 4 KiB at the most, and
/// redb uses pages again after the next commit.
const RESERVE_BYTES: i32 = 4 << 20;

/// A disk that was full counts as usable again from here on; some days of readings.
const SPACE_ENOUGH: u64 = 16 << 20;

/// Pages that redb keeps in memory: the hot ends of all tables, not the history.
const CACHE_BYTES: usize = 2 << 20;

/// How every file of the store is opened.
pub fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Ids are set aside in blocks of this size: rarely written, and cheap to skip after a damage.
const IDS_AHEAD: i64 = 1000;

/// The largest ids that may have been given; kept beside the store in case it is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// No transaction has a larger one.
    pub transaction: i64,
    /// No session has a larger one.
    pub session: u64,
}

impl Ids {
    /// Whether these ids are inside the block that was set aside.
    pub fn cover(self, given: Self) -> bool {
        given.transaction <= self.transaction && given.session <= self.session
    }

    /// The block to set aside once `given` is reached.
    pub fn after(self, given: Self) -> Self {
        Self {
            transaction: self.transaction.max(given.transaction.saturating_add(IDS_AHEAD)),
            session: self.session.max(given.session.saturating_add(IDS_AHEAD as u64)),
        }
    }
}

/// A data directory that this process holds.
#[derive(Debug)]
pub struct Place {
    dir: PathBuf,
    /// The kernel lets go of it when the process dies.
    _lock: File,
}

/// What was found in a [`Place`].
#[derive(Debug)]
pub struct Found {
    /// The store, of whatever format it has.
    pub database: Database,
    /// It was made just now though the directory had one before; ids must not start again.
    pub begun_anew: bool,
    /// What a person should know.
    pub problem: Option<String>,
}

impl Place {
    /// Takes the directory, creating it if it is missing.
    pub fn claim(dir: &Path) -> Result<Self, StoreError> {
        let failed = |place: &Path| {
            let place = place.to_owned();
            move |source| StoreError::Io { place, source }
        };
        fs::create_dir_all(dir).map_err(failed(dir))?;
        let path = dir.join("lock");
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut lock = open.map_err(failed(&path))?;
        if let Err(error) = lock.try_lock() {
            return Err(match error {
                fs::TryLockError::WouldBlock => {
                    let mut holder = String::new();
                    let known = lock.read_to_string(&mut holder).is_ok() && !holder.is_empty();
                    let holder = if known { format!(" (process {holder})") } else { holder };
                    StoreError::InUse { dir: dir.to_owned(), holder }
                }
                fs::TryLockError::Error(source) => StoreError::Io { place: path, source },
            });
        }
        // Who holds it is a courtesy; a full disk must not keep the daemon from starting.
        let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// Where the store is.
    pub fn database(&self) -> PathBuf {
        self.dir.join(DATABASE)
    }

    /// Opens the store, creating it or moving a damaged one aside where needed.
    pub fn open(&self) -> Result<Found, StoreError> {
        let path = self.database();
        let had_one = self.ids() != Ids::default();
        let length = match fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(StoreError::Io { place: path, source }),
        };
        if length == 0 {
            let problem = had_one
                .then(|| format!("{} was gone; a fresh store is in its place", path.display()));
            return Ok(Found { database: self.create()?, begun_anew: had_one, problem });
        }
        match open_existing(&path) {
            Ok(database) => Ok(Found { database, begun_anew: false, problem: None }),
            Err(Failure::Damaged(why)) if had_one => {
                let aside = self.move_aside()?;
                let problem = format!(
                    "the store could not be read ({why}); it was kept as {} and a fresh one begun",
                    aside.display()
                );
                Ok(Found { database: self.create()?, begun_anew: true, problem: Some(problem) })
            }
            Err(Failure::Damaged(why)) => Err(StoreError::Foreign { file: path, why }),
            Err(Failure::Refused(error)) => Err(error),
        }
    }

    /// Ids that may have been given before; zero in a directory that never had a store.
    pub fn ids(&self) -> Ids {
        let text = fs::read_to_string(self.dir.join("ids")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Sets ids aside, durably.
    pub fn set_ids(&self, ids: Ids) -> io::Result<()> {
        let text = serde_json::to_string(&ids).expect("two numbers are JSON");
        let begun = self.dir.join("ids.begun");
        let mut file = File::create(&begun)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&begun, self.dir.join("ids"))?;
        self.sync()
    }

    /// Keeps some space for bad days; says nothing if there is none to keep.
    pub fn keep_reserve(&self) {
        let keep = || -> io::Result<()> {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(self.dir.join("reserve"))?;
            let how = nix::fcntl::FallocateFlags::empty();
            nix::fcntl::fallocate(&file, how, 0, RESERVE_BYTES.into()).map_err(io::Error::from)
        };
        if keep().is_err() {
            self.spend_reserve();
        }
    }

    /// Whether there is space again after the disk was full; keeps some of it for the next time.
    pub fn has_space(&self) -> bool {
        let space = nix::sys::statvfs::statvfs(&self.dir);
        #[allow(clippy::useless_conversion, reason = "the kernel's numbers are smaller on 32 bit")]
        let free = space.map(|disk| {
            u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size()))
        });
        let enough = free.is_ok_and(|free| SPACE_ENOUGH <= free);
        if enough {
            self.keep_reserve();
        }
        enough
    }

    /// Gives the reserved space to the store.
    pub fn spend_reserve(&self) {
        // It may be spent already.
        let _ = fs::remove_file(self.dir.join("reserve"));
    }

    fn create(&self) -> Result<Database, StoreError> {
        let begun = self.dir.join(format!("{DATABASE}.begun"));
        let failed = |source| StoreError::Io { place: self.dir.clone(), source };
        match fs::remove_file(&begun) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let made = builder().create(&begun).map_err(StoreError::from_open)?;
        table::create(&made).map_err(StoreError::from_use)?;
        drop(made);
        fs::rename(&begun, self.database()).map_err(failed)?;
        self.sync().map_err(failed)?;
        if self.ids() == Ids::default() {
            self.set_ids(Ids::default().after(Ids::default())).map_err(failed)?;
        }
        builder().open(self.database()).map_err(StoreError::from_open)
    }

    fn move_aside(&self) -> Result<PathBuf, StoreError> {
        let free = |number: &u32| !self.dir.join(format!("{DATABASE}.damaged-{number}")).exists();
        let number = (1..).find(free).unwrap_or(1);
        let aside = self.dir.join(format!("{DATABASE}.damaged-{number}"));
        let failed = |source| StoreError::Io { place: self.dir.clone(), source };
        fs::rename(self.database(), &aside).map_err(failed)?;
        self.sync().map_err(failed)?;
        Ok(aside)
    }

    /// Makes renames in the directory durable.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

enum Failure {
    /// It is no readable redb file. Whether it was ours, the file cannot tell.
    Damaged(String),
    Refused(StoreError),
}

/// Opens a file that is there. redb may panic on a file that was damaged without its knowledge
/// (see `Builder::set_check_integrity_on_open`), which here counts as damage like any other.
fn open_existing(path: &Path) -> Result<Database, Failure> {
    let io = |source| Failure::Refused(StoreError::Io { place: path.to_owned(), source });
    let mut start = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(io)?;
    if start != MAGIC {
        return Err(Failure::Damaged("it does not begin like one".to_owned()));
    }
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = builder().open(path).map_err(StoreError::from_open)?;
        let format = table::format(&database).map_err(StoreError::from_use)?;
        Ok::<_, StoreError>((database, format))
    }));
    match opened {
        Ok(Ok((database, Some(_)))) => Ok(database),
        Ok(Ok((_, None))) => Err(Failure::Refused(StoreError::Foreign {
            file: path.to_owned(),
            why: "it is the redb file of another program".to_owned(),
        })),
        Ok(Err(StoreError::Damaged(why))) => Err(Failure::Damaged(why)),
        Ok(Err(error)) => Err(Failure::Refused(error)),
        Err(_) => Err(Failure::Damaged("its pages contradict each other".to_owned())),
    }
}
