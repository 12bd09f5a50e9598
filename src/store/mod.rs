//! Floor 5: what must survive a power cut, in one redb file, written by one thread.
//!
//! [`Store::commit`] never blocks: facts wait in a bounded [`queue`] and the worker writes all that
//! waits in one durable transaction (group commit). Whoever must not speak before a fact is on disk
//! keeps the [`CommitNumber`] and waits until [`StoreState`] has reached it.
//!
//! Invariants: the records of one `commit` are on disk together or not at all; what was confirmed
//! survives a power cut at any moment; nothing that cannot be read is ever overwritten. When the
//! disk fails, facts wait in memory and readings are thinned, transactions never.
//!
//! Holds no clock: its owner calls [`Store::tick`] every [`TICK`], which drives batches and
//! retries.
//!
//! Reading order: [`state`] → [`queue`] (what waits) → [`table`] (what stands in the file) →
//! `migrate`, `files` (how the file is opened) → `retention` → `load` → `worker` → [`reader`]
//! → [`archive`] → [`backup`] → [`before`] → [`export`].

pub mod archive;
pub mod backup;
pub mod before;
pub mod error;
pub mod export;
pub mod files;
mod load;
mod migrate;
pub mod partners;
pub mod queue;
pub mod reader;
mod retention;
mod snapshot;
pub mod state;
pub mod table;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use redb::Database;
use tokio::sync::watch;

use crate::ground::time::Duration as Span;
use crate::model::record::{Record, Remembered};
use crate::model::retention::Retention;

use error::StoreError;
use files::{Ids, Place};
use reader::StoreReader;
use state::{Backing, CommitNumber, StoreState};
use worker::Shared;

/// How often the owner calls [`Store::tick`], in real time.
pub const TICK: Duration = Duration::from_secs(5);

/// What opening found.
#[derive(Debug)]
pub struct Opened {
    /// Takes facts.
    pub store: Store,
    /// What the controller needs to go on.
    pub remembered: Remembered,
    /// How often this store was opened, this time included. Rises over restarts.
    pub start: u64,
    /// What a person should know, in words: a damaged file that was moved aside, rows that cannot
    /// be read. Empty when all is well.
    pub problems: Vec<String>,
}

/// The one writer of a data directory. Dropping it writes what waits and closes the file.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    state: watch::Receiver<StoreState>,
    worker: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens or creates the store in `dir`.
    ///
    /// Refuses, in words and without touching anything, a directory in use by another process, a
    /// file that is no Ampgate store and a file of a later version. A store that was ours and is
    /// damaged is moved aside under another name and a fresh one is begun: the site must charge on,
    /// and no id is given twice because the largest ones are noted beside it.
    pub fn open(dir: &Path) -> Result<Opened, StoreError> {
        Self::open_with_steps(dir, &migrate::STEPS)
    }

    /// The same as a version of the program with these steps.
    fn open_with_steps(dir: &Path, steps: &[migrate::Step]) -> Result<Opened, StoreError> {
        let place = files::Place::claim(dir)?;
        let found = place.open()?;
        let place = Arc::new(place);
        place.keep_reserve();
        let (path, looks, spends) = (place.database(), Arc::clone(&place), Arc::clone(&place));
        let backing = Backing {
            open: Box::new(move || files::builder().open(&path)),
            has_space: Box::new(move || looks.has_space()),
            spend_reserve: Box::new(move || spends.spend_reserve()),
        };
        let restored = dir.join(backup::RESTORED).exists();
        let given = if found.begun_anew || restored { place.ids() } else { Ids::default() };
        let mut opened = Self::begin(found.database, backing, Some(place), steps)?;
        opened.remembered.last_transaction =
            opened.remembered.last_transaction.max(given.transaction);
        opened.remembered.last_session = opened.remembered.last_session.max(given.session);
        opened.problems.extend(found.problem);
        Ok(opened)
    }

    /// Opens a store on any redb backend, without a directory: for tests that cut the power. An
    /// empty backend gets a fresh store.
    pub fn open_with(backing: Backing) -> Result<Opened, StoreError> {
        let database = (backing.open)().map_err(StoreError::from_open)?;
        if table::format(&database).map_err(StoreError::from_use)?.is_none() {
            table::create(&database).map_err(StoreError::from_use)?;
        }
        Self::begin(database, backing, None, &migrate::STEPS)
    }

    fn begin(
        database: Database,
        backing: Backing,
        place: Option<Arc<Place>>,
        steps: &[migrate::Step],
    ) -> Result<Opened, StoreError> {
        migrate::run_steps(&database, steps)?;
        let (remembered, mut problems) = load::remembered(&database)?;
        let next_event = load::next_event(&database)?;
        let start = table::count_start(&database).unwrap_or_else(|error| {
            problems.push(format!("the start could not be counted: {error}"));
            0
        });
        let ids = place.as_ref().map(|place| place.ids()).unwrap_or_default();
        let (report, state) = watch::channel(StoreState::default());
        let shared = Arc::new(Shared::new(database, next_event, report));
        let worker = Some(worker::start(Arc::clone(&shared), backing, place, ids)?);
        let store = Self { shared, state, worker };
        Ok(Opened { store, remembered, start, problems })
    }

    /// Hands over the facts of one step, never waiting for the disk. The number is the one that the
    /// state's `committed` must reach before anything may leave that depends on these facts or
    /// earlier ones.
    pub fn commit(&self, records: Vec<Record>) -> CommitNumber {
        self.shared.add(records)
    }

    /// How long the past is kept from here on.
    pub fn keep(&self, keep: Retention) {
        self.shared.keep(keep);
    }

    /// Commits are timed with this from here on, for figures.
    pub fn time_with(&self, watch: impl Fn() -> Span + Send + Sync + 'static) {
        self.shared.time_with(Box::new(watch));
    }

    /// Tells that [`TICK`] has passed.
    pub fn tick(&self) {
        self.shared.tick();
    }

    /// How the store is doing; changes with each commit.
    pub fn state(&self) -> watch::Receiver<StoreState> {
        self.state.clone()
    }

    /// Answers questions about the past, from any thread.
    pub fn reader(&self) -> StoreReader {
        StoreReader::new(Arc::clone(&self.shared))
    }

    /// Writes everything that waits, batched facts too, and closes the file. Blocks until done.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.finish();
        match self.state.borrow().failing.clone() {
            None => Ok(()),
            Some(why) => Err(StoreError::NotWritten(why)),
        }
    }

    fn finish(&mut self) {
        self.shared.close();
        if let Some(worker) = self.worker.take()
            && worker.join().is_err()
        {
            log::error!("the thread of the store has panicked");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.finish();
    }
}
