//! A disk in memory that loses power: what was synced stays, of the rest any part may be gone.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

/// A write smaller than this reaches the disk whole or not at all.
const SECTOR: usize = 512;

/// Space is given out in pieces of this.
const PAGE: usize = 4096;

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Length(usize),
}

#[derive(Debug, Default)]
struct State {
    /// As it was at the last sync.
    durable: Vec<u8>,
    /// As the program sees it.
    seen: Vec<u8>,
    /// What happened since the last sync.
    unsynced: Vec<Change>,
    /// Changes and syncs so far.
    operations: usize,
    /// The operation at which the power fails.
    cut_at: Option<usize>,
    /// Every write fails.
    broken: bool,
    /// Pages that take up space; a length alone does not.
    backed: BTreeSet<usize>,
    /// No more pages than this fit.
    capacity: Option<usize>,
    /// Pages kept for bad days.
    reserve: usize,
    written: u64,
}

/// Cheap to clone; every clone is the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// With power until the operation with this number.
    pub fn cut_at(operation: usize) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().cut_at = Some(operation);
        disk
    }

    /// The same content, from a moment without power: what was synced, and of what was not, each
    /// sector by the toss of a coin.
    pub fn after_power_cut(&self, mut coin: impl FnMut() -> bool) -> Self {
        let state = self.0.lock().unwrap();
        let mut image = state.durable.clone();
        for change in &state.unsynced {
            match change {
                Change::Length(length) => {
                    if coin() {
                        image.resize(*length, 0);
                    }
                }
                Change::Write { offset, data } => {
                    for (index, sector) in data.chunks(SECTOR).enumerate() {
                        let start = offset + index * SECTOR;
                        if start + sector.len() <= image.len() && coin() {
                            image[start..start + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        let fresh = State { durable: image.clone(), seen: image, ..State::default() };
        Self(Arc::new(Mutex::new(fresh)))
    }

    pub fn set_broken(&self, broken: bool) {
        self.0.lock().unwrap().broken = broken;
    }

    /// Full from here on, but for a reserve of 4 MiB.
    pub fn fill(&self) {
        let mut state = self.0.lock().unwrap();
        state.capacity = Some(state.backed.len());
        state.reserve = (4 << 20) / PAGE;
    }

    /// Has room without end.
    pub fn clear(&self) {
        self.0.lock().unwrap().capacity = None;
    }

    pub fn is_full(&self) -> bool {
        self.0.lock().unwrap().capacity.is_some()
    }

    pub fn spend_reserve(&self) {
        let mut state = self.0.lock().unwrap();
        let reserve = std::mem::take(&mut state.reserve);
        state.capacity = state.capacity.map(|pages| pages + reserve);
    }

    /// Changes and syncs so far.
    pub fn operations(&self) -> usize {
        self.0.lock().unwrap().operations
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.0.lock().unwrap().written
    }

    /// Takes up space for pages that have none.
    fn back(&self, pages: Range<usize>) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        for page in pages {
            let fits = state.capacity.is_none_or(|most| state.backed.len() < most);
            if !fits && !state.backed.contains(&page) {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            state.backed.insert(page);
        }
        Ok(())
    }

    fn operate<T>(&self, operation: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        let mut state = self.0.lock().unwrap();
        state.operations += 1;
        if state.cut_at.is_some_and(|cut| cut < state.operations) {
            return Err(io::Error::other("no power"));
        }
        Ok(operation(&mut state))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let start = offset as usize;
        let found = state.seen.get(start..start + out.len());
        out.copy_from_slice(found.ok_or_else(|| io::Error::other("behind the end"))?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.operate(|state| {
            state.seen.resize(length as usize, 0);
            state.unsynced.push(Change::Length(length as usize));
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.operate(|state| {
            for change in state.unsynced.drain(..) {
                match change {
                    Change::Length(length) => state.durable.resize(length, 0),
                    Change::Write { offset, data } => {
                        state.durable[offset..offset + data.len()].copy_from_slice(&data);
                    }
                }
            }
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.0.lock().unwrap().broken {
            return Err(io::Error::other("worn out"));
        }
        self.back(offset as usize / PAGE..(offset as usize + data.len()).div_ceil(PAGE))?;
        self.operate(|state| {
            let start = offset as usize;
            state.seen[start..start + data.len()].copy_from_slice(data);
            state.written += data.len() as u64;
            state.unsynced.push(Change::Write { offset: start, data: data.to_vec() });
        })
    }
}
