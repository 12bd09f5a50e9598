//! The store as it was before a version of the program first ran, so that the version before it can
//! read its data when an update is taken back.
//!
//! ```text
//! first start of a version ─▶ files as they lie ─▶ update/before/
//! store of a later version ─▶ it is put aside   ─▶ what is in update/before/ takes its place
//! ```
//! Nothing is lost: what the later version has written stays in `before-restore-N`. Where both read
//! the same format nothing is put back at all.
//!
//! Invariants: the copy is whole or not there; ids are never given twice; leases that were put back
//! count as those of a restore ([`super::backup`]).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::backup::{RESTORED, aside};
use super::error::StoreError;
use super::files::{DATABASE, Place, builder};
use super::partners;
use super::table::{self, FORMAT};

/// What an update keeps in the data directory.
pub const FOLDER: &str = "update";

const BEFORE: &str = "before";
const PROGRAM: &str = "program";

/// What was done at a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The same version ran before.
    Nothing,
    /// The store of the version before is kept.
    Kept {
        /// Which version wrote it.
        version: String,
    },
    /// The store of a later version was put aside.
    PutBack {
        /// Where it is.
        aside: PathBuf,
    },
}

/// To be called before the store is opened, with the version of this program.
///
/// # Errors
/// The directory is in use, or a disk that fails.
pub fn start(dir: &Path, version: &str) -> Result<Done, StoreError> {
    let place = Place::claim(dir)?;
    let failed = |source| StoreError::Io { place: dir.join(FOLDER), source };
    let ran = fs::read_to_string(dir.join(FOLDER).join(PROGRAM)).unwrap_or_default();
    let ran = ran.trim().to_owned();
    if ran == version || !place.database().exists() {
        return note(dir, version).map(|()| Done::Nothing).map_err(failed);
    }
    let kept = dir.join(FOLDER).join(BEFORE);
    let is_later = format(&place.database()).is_some_and(|format| FORMAT < format);
    let readable = format(&kept.join(DATABASE)).is_some_and(|format| format <= FORMAT);
    let done = match (is_later, readable) {
        (true, true) => put_back(dir, &kept).map(|aside| Done::PutBack { aside }),
        // It is refused in words when it is opened.
        (true, false) => return Ok(Done::Nothing),
        (false, _) => keep(dir, &kept).map(|()| Done::Kept { version: ran }),
    };
    let done = done.map_err(failed)?;
    note(dir, version).map_err(failed)?;
    Ok(done)
}

fn note(dir: &Path, version: &str) -> io::Result<()> {
    let folder = dir.join(FOLDER);
    if fs::read_to_string(folder.join(PROGRAM)).is_ok_and(|known| known.trim() == version) {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    let begun = folder.join("program.begun");
    fs::write(&begun, format!("{version}\n"))?;
    File::open(&begun)?.sync_all()?;
    fs::rename(begun, folder.join(PROGRAM))?;
    File::open(&folder)?.sync_all()
}

/// The format of a store; none where it cannot be read.
fn format(file: &Path) -> Option<u64> {
    let database = builder().open(file).ok()?;
    table::format(&database).ok().flatten()
}

/// Copies the files as they lie: nobody holds them.
fn keep(dir: &Path, kept: &Path) -> io::Result<()> {
    let begun = kept.with_extension("begun");
    let _ = fs::remove_dir_all(&begun);
    fs::create_dir_all(&begun)?;
    for name in [DATABASE, partners::FILE] {
        if dir.join(name).exists() {
            copy(&dir.join(name), &begun.join(name))?;
        }
    }
    let _ = fs::remove_dir_all(kept);
    fs::rename(&begun, kept)?;
    File::open(dir.join(FOLDER))?.sync_all()
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Puts the kept files in place; where those of the later version are. Cut off anywhere, the next
/// start does it again or finds it done.
fn put_back(dir: &Path, kept: &Path) -> io::Result<PathBuf> {
    File::create(dir.join(RESTORED))?.sync_all()?;
    let aside = aside(dir)?;
    // The store itself comes last: its format says whether all of this is done.
    for name in [partners::FILE, DATABASE] {
        if dir.join(name).exists() {
            fs::hard_link(dir.join(name), aside.join(name))?;
        }
        if kept.join(name).exists() {
            let begun = dir.join(format!("{name}.begun"));
            copy(&kept.join(name), &begun)?;
            fs::rename(begun, dir.join(name))?;
        }
    }
    File::open(dir)?.sync_all()?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::files::Ids;
    use crate::store::table::META;

    fn set_format(dir: &Path, format: u64) {
        let database = builder().open(dir.join(DATABASE)).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(META).unwrap().insert("format", format).unwrap();
        write.commit().unwrap();
    }

    fn open(dir: &Path) -> Result<u64, StoreError> {
        Store::open(dir).map(|opened| opened.start)
    }

    #[test]
    fn a_later_version_leaves_data_that_the_earlier_one_reads() {
        let (folder, later) = (tempfile::tempdir().unwrap(), FORMAT + 1);
        let dir = folder.path();
        assert_eq!(start(dir, "1.0.0").unwrap(), Done::Nothing);
        open(dir).unwrap();
        open(dir).unwrap();
        let ids = Place::claim(dir).unwrap().ids();

        let kept = start(dir, "2.0.0").unwrap();
        assert_eq!(kept, Done::Kept { version: "1.0.0".to_owned() });
        assert_eq!(start(dir, "2.0.0").unwrap(), Done::Nothing, "the first start counts");
        set_format(dir, later);
        let more = Ids { transaction: ids.transaction + 1000, ..ids };
        Place::claim(dir).unwrap().set_ids(more).unwrap();

        assert!(open(dir).unwrap_err().to_string().contains("nothing was changed"));
        let Done::PutBack { aside } = start(dir, "1.0.0").unwrap() else { panic!("put back") };
        assert_eq!(format(&aside.join(DATABASE)), Some(later), "nothing is lost");
        assert_eq!(open(dir).unwrap(), 3, "the third start of the store of 1.0.0");
        assert!(more.transaction <= Place::claim(dir).unwrap().ids().transaction);
    }

    #[test]
    fn one_format_needs_no_way_back() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        start(dir, "1.0.0").unwrap();
        open(dir).unwrap();
        start(dir, "2.0.0").unwrap();
        open(dir).unwrap();
        let back = start(dir, "1.0.0").unwrap();
        assert_eq!(back, Done::Kept { version: "2.0.0".to_owned() });
        assert_eq!(open(dir).unwrap(), 3, "what 2.0.0 has written is there");
    }

    #[test]
    fn without_a_copy_a_later_store_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        start(dir, "2.0.0").unwrap();
        open(dir).unwrap();
        set_format(dir, FORMAT + 1);
        assert_eq!(start(dir, "1.0.0").unwrap(), Done::Nothing);
        assert!(open(dir).is_err());
        assert_eq!(format(&dir.join(DATABASE)), Some(FORMAT + 1));
    }
}
