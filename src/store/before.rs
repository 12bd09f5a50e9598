//! The store as it was before a version of the program first ran, so that the version before it can
//! read its data when an update is taken back.
//!
//! ```text
//! first start of a version ─▶ files as they lie ─▶ update/before/
//! store of a later version ─▶ it is put aside   ─▶ what is in update/before/ takes its place
//! ```
//! What the later version has written stays in `before-restore-N`, and what of it is out of
//! reach is told. Where both read the same format nothing is put back at all; store and file of
//! the partners have formats of their own, so that what partners were told stays where it can.
//!
//! Invariants: the copy is whole or not there; ids are never given twice; leases are not put back,
//! since the later version may have told chargers more: each counts with the worst until it is
//! heard, as after a restore ([`super::backup`]).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use redb::{ReadableDatabase, ReadableTableMetadata};

use super::backup::{RESTORED, aside};
use super::error::StoreError;
use super::files::{DATABASE, Place, builder};
use super::partners;
use super::table::{self, FORMAT, LEASES, OPEN, OPEN_KINDS, SESSIONS};

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
        /// What of it this version has not, in a sentence.
        missing: String,
    },
}

/// The newest formats that a version of the program reads.
#[derive(Clone, Copy)]
struct Formats {
    store: u64,
    partners: u64,
}

/// To be called before the store is opened, with the version of this program.
///
/// # Errors
/// The directory is in use, or a disk that fails.
pub fn start(dir: &Path, version: &str) -> Result<Done, StoreError> {
    start_as(dir, version, Formats { store: FORMAT, partners: partners::FORMAT })
}

fn start_as(dir: &Path, version: &str, known: Formats) -> Result<Done, StoreError> {
    let place = Place::claim(dir)?;
    let failed = |source| StoreError::Io { place: dir.join(FOLDER), source };
    let ran = fs::read_to_string(dir.join(FOLDER).join(PROGRAM)).unwrap_or_default();
    let ran = ran.trim().to_owned();
    if ran == version || !place.database().exists() {
        return note(dir, version).map(|()| Done::Nothing).map_err(failed);
    }
    let kept = dir.join(FOLDER).join(BEFORE);
    let files = [(partners::FILE, known.partners), (DATABASE, known.store)];
    let later: Vec<(&str, u64)> = files
        .into_iter()
        .filter(|(name, known)| format(&dir.join(name)).is_some_and(|found| *known < found))
        .collect();
    let readable =
        |(name, known): &(&str, u64)| format(&kept.join(name)).is_some_and(|found| found <= *known);
    if !later.iter().all(readable) {
        // It is refused in words when it is opened.
        return Ok(Done::Nothing);
    }
    let names: Vec<&str> = later.iter().map(|(name, _)| *name).collect();
    let done = match names.is_empty() {
        true => keep(dir, &kept).map(|()| Done::Kept { version: ran }),
        false => put_back(dir, &kept, &names).map(|aside| {
            let missing = missing(dir, &aside, &names);
            Done::PutBack { aside, missing }
        }),
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

/// The format of a file; none where it cannot be read.
fn format(file: &Path) -> Option<u64> {
    let database = builder().open(file).ok()?;
    let is_partners = file.file_name().is_some_and(|name| name == partners::FILE);
    let format = if is_partners { partners::format } else { table::format };
    format(&database).ok().flatten()
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

/// Puts kept files in place; where those of the later version are. Cut off anywhere, the next start
/// does it again or finds it done.
fn put_back(dir: &Path, kept: &Path, names: &[&str]) -> io::Result<PathBuf> {
    File::create(dir.join(RESTORED))?.sync_all()?;
    let aside = aside(dir)?;
    // The store itself comes last: its format says whether all of this is done.
    for name in names {
        fs::hard_link(dir.join(name), aside.join(name))?;
        let begun = dir.join(format!("{name}.begun"));
        copy(&kept.join(name), &begun)?;
        if *name == DATABASE {
            forget_leases(&begun).map_err(io::Error::other)?;
        }
        fs::rename(begun, dir.join(name))?;
    }
    File::open(dir)?.sync_all()?;
    Ok(aside)
}

/// Chargers may have been told more than these say.
fn forget_leases(file: &Path) -> Result<(), redb::Error> {
    let database = builder().open(file)?;
    let write = database.begin_write()?;
    write.delete_table(LEASES)?;
    write.open_table(LEASES)?;
    write.commit()?;
    Ok(())
}

/// What of the later version's files is out of reach, for people.
fn missing(dir: &Path, aside: &Path, names: &[&str]) -> String {
    let mut words = Vec::new();
    if names.contains(&DATABASE) {
        words.push(match sessions_missing(dir, aside) {
            Some((0, 0)) => "no session began or ended meanwhile".to_owned(),
            Some((begun, 0)) => format!("{begun} sessions that began meanwhile are there alone"),
            Some((begun, ended)) => format!(
                "{begun} sessions that began meanwhile, and the ends of {ended} that ended, are \
                 there alone"
            ),
            None => "which sessions it has cannot be read by this version".to_owned(),
        });
    }
    let is_there = dir.join(partners::FILE).exists();
    match (names.contains(&partners::FILE), is_there) {
        (true, _) => words.push(
            "what partners have said and were told meanwhile is there too, so CDRs may be told \
             again"
                .to_owned(),
        ),
        (false, true) => words.push("CDRs and what partners have said are all kept".to_owned()),
        (false, false) => {}
    }
    words.join("; ")
}

/// How many sessions began under the later version, and how many that were open then are not.
fn sessions_missing(dir: &Path, aside: &Path) -> Option<(u64, u64)> {
    let count = |begun: &Path| -> Result<(u64, Vec<u64>), redb::Error> {
        let database = builder().open(begun)?;
        let read = database.begin_read()?;
        let kind = OPEN_KINDS[1];
        let open = read.open_table(OPEN)?;
        let open = open.range((kind, 0)..=(kind, u64::MAX))?;
        let open: Result<Vec<u64>, _> = open.map(|row| Ok(row?.0.value().1)).collect();
        Ok((read.open_table(SESSIONS)?.len()?, open.map_err(|error: redb::StorageError| error)?))
    };
    let (before, open_before) = count(&dir.join(DATABASE)).ok()?;
    let (after, open_after) = count(&aside.join(DATABASE)).ok()?;
    let ended = open_before.iter().filter(|session| !open_after.contains(session)).count();
    Some((after.saturating_sub(before), ended as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ground::ids::{EvseId, IdToken, SessionId, TransactionId};
    use crate::ground::time::Utc;
    use crate::ground::units::{Amps, WattHours};
    use crate::model::message::LimitScope;
    use crate::model::record::{LeaseRecord, Record};
    use crate::model::session::Session;
    use crate::ocpi::engine::desk::{Change, Query, Row, RowKind};
    use crate::store::files::Ids;
    use crate::store::migrate::Step;
    use crate::store::partners::PartnerStore;
    use crate::store::{Opened, Store};

    /// A version whose store has one format more: sessions are written another way.
    const LATER: Formats = Formats { store: FORMAT + 1, partners: partners::FORMAT };
    const STEPS: [Step; FORMAT as usize] = [|write| {
        let mut table = write.open_table(SESSIONS)?;
        let ids: Result<Vec<u64>, redb::Error> =
            redb::ReadableTable::iter(&table)?.map(|row| Ok(row?.0.value())).collect();
        for id in ids? {
            table.insert(id, b"{\"kwh\": 1}".as_slice())?;
        }
        Ok(())
    }];

    fn open(dir: &Path) -> Result<Opened, StoreError> {
        Store::open(dir)
    }

    fn session(id: u64, ended: bool) -> Record {
        Record::Session(Session {
            id: SessionId(id),
            evse: EvseId::new("E1"),
            transaction: TransactionId(id as i64),
            token: IdToken::new("04A1"),
            started: Utc::from_millis(id as i64 * 1000),
            ended: ended.then(|| Utc::from_millis(id as i64 * 1000 + 500)),
            energy_wh: WattHours::new(7400),
            measured: None,
        })
    }

    fn lease(ceiling: i64) -> Record {
        Record::Lease(LeaseRecord {
            evse: EvseId::new("E1"),
            ceiling_a: Amps::new(ceiling),
            scope: LimitScope::Transaction,
            armed: true,
            safe_a: None,
        })
    }

    fn cdr(number: u64) -> Change {
        Change::Row(Row {
            kind: RowKind::Cdr,
            number,
            id: format!("place-{number}"),
            owner: "nl-tnm".to_owned(),
            updated: Utc::from_millis(number as i64),
            value: json!({ "id": format!("place-{number}") }),
        })
    }

    /// What 1.0.0 leaves behind: two sessions of which one is open, a CDR and a partner's token.
    fn run_1_0_0(dir: &Path) -> Opened {
        assert_eq!(start(dir, "1.0.0").unwrap(), Done::Nothing);
        let opened = open(dir).unwrap();
        opened.store.commit(vec![session(1, true), session(2, false), lease(6)]);
        opened.store.close().unwrap();
        let (partners, ..) = PartnerStore::open(dir).unwrap();
        let token = Change::Put { key: "link/a".to_owned(), value: json!({ "token": "T1" }) };
        partners.apply(&[cdr(1), token]).unwrap();
        drop(partners);
        open(dir).unwrap()
    }

    /// What 2.0.0 does while it is on trial: session 2 ends, session 3 begins, more is leased.
    fn run_2_0_0(dir: &Path) {
        let kept = start_as(dir, "2.0.0", LATER).unwrap();
        assert_eq!(kept, Done::Kept { version: "1.0.0".to_owned() });
        assert_eq!(start_as(dir, "2.0.0", LATER).unwrap(), Done::Nothing, "the first counts");
        let opened = Store::open_with_steps(dir, &STEPS).unwrap();
        assert_eq!(opened.remembered.sessions, [], "it is written another way by then");
        opened.store.commit(vec![session(2, true), session(3, false), lease(32)]);
        opened.store.close().unwrap();
        PartnerStore::open(dir).unwrap().0.apply(&[cdr(2)]).unwrap();
    }

    #[test]
    fn a_later_version_leaves_data_that_the_earlier_one_reads() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let before = run_1_0_0(dir);
        let was = before.remembered.clone();
        assert_eq!((was.sessions.len(), was.leases.len()), (2, 1));
        before.store.close().unwrap();
        run_2_0_0(dir);
        let ids = Place::claim(dir).unwrap().ids();
        assert!(open(dir).unwrap_err().to_string().contains("nothing was changed"));

        let Done::PutBack { aside, missing } = start(dir, "1.0.0").unwrap() else {
            panic!("it is put back")
        };
        assert_eq!(
            missing,
            "1 sessions that began meanwhile, and the ends of 1 that ended, are there alone; CDRs \
             and what partners have said are all kept"
        );
        assert_eq!(format(&aside.join(DATABASE)), Some(FORMAT + 1), "nothing is lost");
        let back = open(dir).unwrap();
        assert_eq!(back.problems, Vec::<String>::new());
        assert_eq!(back.remembered.sessions, was.sessions, "each of them can be read");
        assert_eq!(back.remembered.leases, [], "the charger may have been told 32 A since");
        assert!(ids.session <= back.remembered.last_session, "no number is given twice");
        assert_eq!(back.start, 3, "the third start of the store of 1.0.0");
        let (partners, kept, _) = PartnerStore::open(dir).unwrap();
        assert_eq!(kept["link/a"], json!({ "token": "T1" }));
        assert_eq!(partners.find(&Query::all(RowKind::Cdr)).unwrap().total, 2, "none is lost");
    }

    #[test]
    fn partners_go_back_only_where_their_own_format_is_a_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        run_1_0_0(dir).store.close().unwrap();
        let later = Formats { store: FORMAT, partners: partners::FORMAT + 1 };
        start_as(dir, "2.0.0", later).unwrap();
        PartnerStore::open(dir).unwrap().0.apply(&[cdr(2)]).unwrap();
        let opened = open(dir).unwrap();
        opened.store.commit(vec![session(3, true)]);
        opened.store.close().unwrap();
        let database = builder().open(dir.join(partners::FILE)).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(partners::META).unwrap().insert("format", later.partners).unwrap();
        write.commit().unwrap();
        drop(database);
        assert!(PartnerStore::open(dir).unwrap_err().to_string().contains("nothing was changed"));

        let Done::PutBack { missing, .. } = start(dir, "1.0.0").unwrap() else {
            panic!("it is put back")
        };
        assert!(missing.contains("CDRs may be told again"), "{missing}");
        assert!(!missing.contains("sessions"), "{missing}");
        assert_eq!(open(dir).unwrap().remembered.sessions.len(), 3, "the store stays");
        let (partners, kept, _) = PartnerStore::open(dir).unwrap();
        assert_eq!(kept["link/a"], json!({ "token": "T1" }));
        assert_eq!(partners.find(&Query::all(RowKind::Cdr)).unwrap().total, 1);
    }

    #[test]
    fn one_format_needs_no_way_back() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        run_1_0_0(dir).store.close().unwrap();
        start(dir, "2.0.0").unwrap();
        let opened = open(dir).unwrap();
        opened.store.commit(vec![session(3, false), lease(32)]);
        opened.store.close().unwrap();
        let back = start(dir, "1.0.0").unwrap();
        assert_eq!(back, Done::Kept { version: "2.0.0".to_owned() });
        let remembered = open(dir).unwrap().remembered;
        assert_eq!((remembered.sessions.len(), remembered.leases.len()), (3, 1));
    }

    #[test]
    fn without_a_copy_a_later_store_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        start_as(dir, "2.0.0", LATER).unwrap();
        Store::open_with_steps(dir, &STEPS).unwrap().store.close().unwrap();
        assert_eq!(start(dir, "1.0.0").unwrap(), Done::Nothing);
        assert!(open(dir).is_err());
        assert_eq!(format(&dir.join(DATABASE)), Some(FORMAT + 1));
    }

    #[test]
    fn ids_that_the_later_version_has_given_are_not_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        run_1_0_0(dir).store.close().unwrap();
        run_2_0_0(dir);
        let ids = Place::claim(dir).unwrap().ids();
        let more = Ids { transaction: ids.transaction + 1000, ..ids };
        Place::claim(dir).unwrap().set_ids(more).unwrap();
        start(dir, "1.0.0").unwrap();
        let last = open(dir).unwrap().remembered.last_transaction;
        assert!(more.transaction <= last, "{last}");
    }
}
