//! The thread that writes: all that waits goes into one durable transaction (group commit).
//!
//! Urgent facts are written as soon as the thread is free. Batched ones go with an urgent commit
//! once half of [`BATCH_TICKS`] has passed, which saves a commit of their own, and by themselves
//! when it has passed whole.
//!
//! After an error redb refuses to go on, so the file is closed, the facts go back to the queue, and
//! the next tick opens it and tries again.
//!
//! When the disk is full, the reserved space is given up, urgent facts alone are written, and the
//! oldest readings make room for them inside the file; batched facts wait in memory, thinned, until
//! there is space again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use redb::{Database, WriteTransaction};
use tokio::sync::watch;

use crate::ground::time::Duration;
use crate::model::machine::StoreFigures;
use crate::model::record::{Durability, Record};
use crate::model::retention::Retention;

use super::error::StoreError;
use super::files::{Ids, Place};
use super::queue::{BATCHED_MAX, Facts, Key, Queue};
use super::state::{Backing, CommitNumber, StoreState};
use super::{retention, table};

/// Ticks until batched facts are written: five minutes. What a power cut may take from the curves.
pub const BATCH_TICKS: u32 = 60;

/// Batches between two trims: an hour. Trimming touches the old end of each table, which costs
/// pages of its own.
const TRIM_BATCHES: u32 = 12;

/// This many batched facts are written without waiting; some 500 KB.
const BATCH_FULL: usize = BATCHED_MAX / 10;

/// How a full disk is told while urgent facts still fit.
const FULL: &str = "the disk is full: transactions are recorded, readings are given up";

/// Rows that are forgotten at a time when the disk is full: first as few as any free page allows,
/// then enough for some days of transactions.
const RELIEF: [usize; 2] = [200, 4000];

/// What the handle, the thread and the readers share.
pub struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    report: watch::Sender<StoreState>,
    /// Tells the time that has passed, for figures; the store itself holds no clock.
    watch: OnceLock<Watch>,
}

/// The time that has passed since some moment.
pub type Watch = Box<dyn Fn() -> Duration + Send + Sync>;

#[derive(Debug)]
struct Inner {
    queue: Queue,
    /// What the thread is writing in this moment; readers must not lose sight of it.
    writing: Arc<Facts>,
    /// None while the disk cannot even be read.
    database: Option<Arc<Database>>,
    /// The last write went wrong; the next is tried at a tick.
    failing: bool,
    /// The disk is full, so only urgent facts are written.
    full: bool,
    ticks: u32,
    retry: bool,
    closing: bool,
    keep: Retention,
    /// Commits so far, the time of all, and of the longest.
    commits: (u64, Duration, Duration),
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Shared(…)")
    }
}

struct Work {
    facts: Arc<Facts>,
    number: CommitNumber,
    batch: bool,
    /// The disk was full; look whether it still is.
    look: bool,
    last: bool,
}

impl Shared {
    /// Of a store that was just opened.
    pub fn new(database: Database, next_event: u64, report: watch::Sender<StoreState>) -> Self {
        let inner = Inner {
            queue: Queue::new(next_event),
            writing: Arc::default(),
            database: Some(Arc::new(database)),
            failing: false,
            full: false,
            ticks: 0,
            retry: false,
            closing: false,
            keep: Retention::default(),
            commits: Default::default(),
        };
        let watch = OnceLock::new();
        Self { inner: Mutex::new(inner), changed: Condvar::new(), report, watch }
    }

    /// What is forgotten from the next trim on.
    pub fn keep(&self, keep: Retention) {
        self.lock().keep = keep;
    }

    /// Commits are timed with this from here on.
    pub fn time_with(&self, watch: Watch) {
        // A second one would find the place taken; there is only ever one.
        let _ = self.watch.set(watch);
    }

    /// How the store is doing, without the size of its file.
    pub fn figures(&self) -> StoreFigures {
        let inner = self.lock();
        let (commits, all, longest) = inner.commits;
        let seconds = |span: Duration| span.as_millis() as f64 / 1000.0;
        let figures = StoreFigures {
            file_bytes: None,
            waiting_urgent: inner.queue.urgent() as u64,
            waiting_batched: inner.queue.batched() as u64,
            commits,
            commit_seconds: seconds(all),
            commit_seconds_max: seconds(longest),
            thinned: inner.queue.thinned(),
            full: inner.full,
            failing: None,
        };
        drop(inner);
        StoreFigures { failing: self.report.borrow().failing.clone(), ..figures }
    }

    fn passed(&self) -> Duration {
        self.watch.get().map_or(Duration::ZERO, |watch| watch())
    }

    fn count(&self, took: Duration) {
        let mut inner = self.lock();
        let (commits, all, longest) = inner.commits;
        inner.commits = (commits + 1, all + took, longest.max(took));
    }

    /// See [`Store::commit`](super::Store::commit).
    pub fn add(&self, records: Vec<Record>) -> CommitNumber {
        let mut inner = self.lock();
        let number = inner.queue.add(records);
        if inner.queue.is_urgent() || BATCH_FULL <= inner.queue.batched() {
            self.changed.notify_one();
        }
        number
    }

    /// See [`Store::tick`](super::Store::tick).
    pub fn tick(&self) {
        let mut inner = self.lock();
        inner.ticks = inner.ticks.saturating_add(1);
        inner.retry = true;
        self.changed.notify_one();
    }

    /// Asks the thread to write everything and to end.
    pub fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_one();
    }

    /// The database, and what is not in it yet, at one moment.
    pub fn look<T>(
        &self,
        first: &Key,
        last: &Key,
        mut pick: impl FnMut(&Key, &Record) -> Option<T>,
    ) -> (Option<Arc<Database>>, Vec<T>) {
        let inner = self.lock();
        let writing = inner.writing.range(first.clone()..=last.clone());
        let waiting = writing.chain(inner.queue.between(first, last));
        let picked = waiting.filter_map(|(key, record)| pick(key, record));
        (inner.database.clone(), picked.collect())
    }

    /// Waits until there is something to write; none when the store is closed and all is written.
    fn next(&self) -> Option<Work> {
        let mut inner = self.lock();
        loop {
            let urgent = inner.queue.is_urgent();
            let many = BATCH_FULL <= inner.queue.batched();
            let due = BATCH_TICKS <= inner.ticks && 0 < inner.queue.batched();
            let wanted = match (inner.failing, inner.full) {
                (true, _) => inner.retry,
                (false, true) => inner.retry || urgent,
                (false, false) => urgent || due || many,
            };
            if wanted || inner.closing {
                let soon = BATCH_TICKS / 2 <= inner.ticks;
                let look = inner.full && inner.retry;
                let batch = inner.closing || (!inner.full && (due || many || soon));
                let (facts, number) = inner.queue.take(batch);
                inner.writing = Arc::new(facts);
                inner.retry = false;
                if batch {
                    inner.ticks = 0;
                }
                let facts = Arc::clone(&inner.writing);
                return Some(Work { facts, number, batch, look, last: inner.closing });
            }
            inner.retry = false;
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn database(&self) -> Option<Arc<Database>> {
        self.lock().database.clone()
    }

    fn reopened(&self, database: Database) -> Arc<Database> {
        let database = Arc::new(database);
        self.lock().database = Some(Arc::clone(&database));
        database
    }

    /// All of `writing` is on disk, but for the batched part where the disk was too full for it.
    fn written(&self, number: CommitNumber, unwritten: Facts) {
        let mut inner = self.lock();
        inner.writing = Arc::default();
        inner.queue.put_back(unwritten);
        inner.failing = false;
        let lost = inner.queue.lost();
        let failing = if 0 < lost {
            Some(format!("{lost} facts could not be kept"))
        } else {
            inner.full.then(|| FULL.to_owned())
        };
        let thinned = inner.queue.thinned();
        drop(inner);
        self.tell(StoreState { committed: number, failing, thinned });
    }

    fn failed(&self, why: &str) {
        let mut inner = self.lock();
        inner.database = None;
        inner.failing = true;
        let facts = std::mem::take(&mut inner.writing);
        inner.queue.put_back(Arc::unwrap_or_clone(facts));
        let thinned = inner.queue.thinned();
        drop(inner);
        let committed = self.report.borrow().committed;
        self.tell(StoreState { committed, failing: Some(why.to_owned()), thinned });
    }

    /// Forgets the open file: redb goes on no further after an error.
    fn shut(&self) {
        self.lock().database = None;
    }

    fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Never called with the lock held: who watches the state may hold it and commit meanwhile.
    fn tell(&self, state: StoreState) {
        self.report.send_if_modified(|told| {
            let changed = *told != state;
            *told = state;
            changed
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under the lock is whole, so a panic elsewhere leaves nothing half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread; it ends after [`Shared::close`].
pub fn start(
    shared: Arc<Shared>,
    backing: Backing,
    place: Option<Arc<Place>>,
    ids: Ids,
) -> Result<JoinHandle<()>, StoreError> {
    let mut worker = Worker { shared, backing, place, ids, batches: 0, thinned: i64::MIN };
    let run = move || {
        let guard = EndsProcess;
        worker.run();
        drop(guard);
    };
    let place = std::path::PathBuf::from("its thread");
    let thread = std::thread::Builder::new().name("store".to_owned()).spawn(run);
    thread.map_err(|source| StoreError::Io { place, source })
}

/// Without its thread the store would take facts for ever and confirm none, so a fault in it ends
/// the process, to be started anew. Faults of redb are caught where it is called.
struct EndsProcess;

impl Drop for EndsProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            log::error!("the store has failed; the process ends to be started anew");
            log::logger().flush();
            std::process::abort();
        }
    }
}

struct Worker {
    shared: Arc<Shared>,
    backing: Backing,
    place: Option<Arc<Place>>,
    /// The ids that are set aside beside the store.
    ids: Ids,
    batches: u32,
    /// Readings before this time are thinned, in milliseconds since 1970.
    thinned: i64,
}

impl Worker {
    fn run(&mut self) {
        while let Some(Work { facts, number, batch, look, last }) = self.shared.next() {
            let trim = batch && self.batches % TRIM_BATCHES == TRIM_BATCHES - 1;
            self.batches += u32::from(batch);
            if look && (self.backing.has_space)() {
                self.shared.set_full(false);
            }
            let result = self.write(&facts, trim);
            drop(facts);
            match result {
                Ok(unwritten) => self.shared.written(number, unwritten),
                Err(error) => {
                    self.shared.failed(&error.to_string());
                    // For the readers: a disk that takes no more can often still be read.
                    let _ = self.database();
                }
            }
            if last {
                break;
            }
        }
        self.shared.shut();
    }

    /// Writes facts, and hands back the batched ones where the disk is too full for them.
    fn write(&mut self, facts: &Facts, trim: bool) -> Result<Facts, StoreError> {
        self.set_ids_aside(facts);
        match self.try_write(facts, trim) {
            Ok(()) => Ok(Facts::new()),
            Err(StoreError::Full) => self.write_on_full_disk(facts),
            Err(error) => Err(error),
        }
    }

    fn write_on_full_disk(&mut self, facts: &Facts) -> Result<Facts, StoreError> {
        (self.backing.spend_reserve)();
        let is_urgent = |record: &Record| record.durability() == Durability::Now;
        let (urgent, batched): (Facts, Facts) =
            facts.clone().into_iter().partition(|(_, record)| is_urgent(record));
        let [few, many] = RELIEF;
        self.shared.shut();
        if self.try_write(&urgent, false).is_err() {
            self.shared.shut();
            self.relieve(few)?;
            self.try_write(&urgent, false)?;
        }
        self.shared.set_full(true);
        if self.relieve(many).is_err() {
            // What had to be written is; the next write finds the file shut and opens it.
            self.shared.shut();
        }
        Ok(batched)
    }

    fn relieve(&self, rows: usize) -> Result<(), StoreError> {
        self.transact(|write| retention::relieve(write, rows))
    }

    fn try_write(&mut self, facts: &Facts, trim: bool) -> Result<(), StoreError> {
        if facts.is_empty() && !trim {
            return self.database().map(|_| ());
        }
        let keep = self.shared.lock().keep;
        let (from, mut reached) = (self.thinned, self.thinned);
        self.transact(|write| {
            table::put(write, facts)?;
            if trim {
                retention::trim(write, &keep)?;
                reached = retention::thin(write, &keep, from)?;
            }
            Ok(())
        })?;
        self.thinned = reached;
        Ok(())
    }

    /// Changes the file, durably and whole or not at all.
    fn transact(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let database = self.database()?;
        let transact = || -> Result<(), redb::Error> {
            let write = database.begin_write()?;
            change(&write)?;
            write.commit()?;
            Ok(())
        };
        let begun = self.shared.passed();
        let done = catch_unwind(AssertUnwindSafe(transact)).map_err(|_| panicked())?;
        self.shared.count(self.shared.passed() - begun);
        done.map_err(StoreError::from_use)
    }

    /// The open file; opened again after an error, since redb goes on no further then.
    fn database(&self) -> Result<Arc<Database>, StoreError> {
        if let Some(database) = self.shared.database() {
            return Ok(database);
        }
        let opened =
            catch_unwind(AssertUnwindSafe(|| (self.backing.open)())).map_err(|_| panicked())?;
        Ok(self.shared.reopened(opened.map_err(StoreError::from_open)?))
    }

    /// Before an id is used that was not set aside, a block of ids is. A disk that cannot take
    /// these few bytes does not stop the store: they matter only if the store is lost later.
    fn set_ids_aside(&mut self, facts: &Facts) {
        let Some(place) = &self.place else { return };
        let mut given = Ids::default();
        for key in facts.keys() {
            match key {
                Key::Transaction(id) => given.transaction = given.transaction.max(id.0),
                Key::Session(id) => given.session = given.session.max(id.0),
                _ => {}
            }
        }
        if !self.ids.cover(given) {
            let ids = self.ids.after(given);
            match place.set_ids(ids) {
                Ok(()) => self.ids = ids,
                Err(error) => log::warn!("the ids beside the store were not written: {error}"),
            }
        }
    }
}

fn panicked() -> StoreError {
    StoreError::Damaged("its pages contradict each other".to_owned())
}
