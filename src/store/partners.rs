//! What must survive of partners: a redb file of its own beside the store, because it holds tokens.
//! It is readable by its owner alone and belongs in no support bundle.
//!
//! Values stand under names; sessions and CDRs are rows with a number that sorts by age, an id and
//! the time of their last change, so that a page of years of CDRs is found without reading them.
//! It has a format of its own, so that what partners were told stays where an update that is taken
//! back has changed the store alone.
//!
//! Every [`PartnerStore::apply`] is one durable transaction: on disk whole, or not at all.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::Value;

use crate::ground::time::Utc;
use crate::ocpi::engine::desk::{Change, Found, Query, Row, RowKind};

use super::error::StoreError;
use super::snapshot::copy_table;
use super::table::open_if_there;

/// Name of the file in the data directory.
pub const FILE: &str = "partners.redb";

/// Pages that redb keeps in memory.
const CACHE_BYTES: usize = 1 << 20;

/// The format that this version writes.
pub const FORMAT: u64 = 1;

/// `format`; a file of an earlier version lacks it and is of format 1.
pub const META: TableDefinition<&str, u64> = TableDefinition::new("ampgate_partners_meta");
const VALUES: TableDefinition<&str, &[u8]> = TableDefinition::new("values");

/// By list and number: time of the last change, id, owner, object.
type RowValue = (i64, &'static str, &'static str, &'static [u8]);
const ROWS: TableDefinition<(&str, u64), RowValue> = TableDefinition::new("rows");
const IDS: TableDefinition<(&str, &str), u64> = TableDefinition::new("ids");

/// The file, every value that is kept in it, and what a person should know.
pub type OpenedPartners = (PartnerStore, BTreeMap<String, Value>, Option<String>);

/// The file of the partners.
#[derive(Debug)]
pub struct PartnerStore {
    database: Arc<Database>,
}

/// Takes snapshots of the file from any thread; cheap to clone.
#[derive(Clone, Debug)]
pub struct PartnerReader {
    database: Arc<Database>,
}

impl PartnerReader {
    /// Copies the file as of its last change. The copy holds tokens too.
    pub fn copy_to(&self, to: &Path) -> Result<(), StoreError> {
        let copy = || -> Result<(), redb::Error> {
            let (read, made) = (self.database.begin_read()?, Database::create(to)?);
            let write = made.begin_write()?;
            copy_table(&read, &write, META)?;
            copy_table(&read, &write, VALUES)?;
            copy_table(&read, &write, ROWS)?;
            copy_table(&read, &write, IDS)?;
            write.commit()?;
            Ok(())
        };
        copy().map_err(StoreError::from_use)
    }
}

impl PartnerStore {
    /// Opens or creates it, with every value that is kept. A file that cannot be read is moved
    /// aside, not overwritten: partners then have to register anew, and the site goes on. A file of
    /// a later version is refused and stays as it is.
    pub fn open(dir: &Path) -> Result<OpenedPartners, StoreError> {
        let path = dir.join(FILE);
        let place = |source| StoreError::Io { place: path.clone(), source };
        fs::create_dir_all(dir).map_err(place)?;
        let mut problem = None;
        let database = match create(&path) {
            Ok(database) => database,
            Err(StoreError::Newer { found, known }) => {
                return Err(StoreError::Newer { found, known });
            }
            Err(error) if path.exists() => {
                let aside = free_name(&path);
                fs::rename(&path, &aside).map_err(place)?;
                problem = Some(format!(
                    "{} cannot be read ({error}) and was moved to {}; partners must register anew",
                    path.display(),
                    aside.display()
                ));
                create(&path)?
            }
            Err(error) => return Err(error),
        };
        let store = Self { database: Arc::new(database) };
        let kept = store.values()?;
        Ok((store, kept, problem))
    }

    /// Takes snapshots of it while it is in use.
    pub fn reader(&self) -> PartnerReader {
        PartnerReader { database: Arc::clone(&self.database) }
    }

    /// Every value under its name, and the largest number of each list.
    pub fn values(&self) -> Result<BTreeMap<String, Value>, StoreError> {
        self.read_values().map_err(StoreError::from_use)
    }

    fn read_values(&self) -> Result<BTreeMap<String, Value>, redb::Error> {
        let read = self.database.begin_read()?;
        let mut kept = BTreeMap::new();
        for row in read.open_table(VALUES)?.iter()? {
            let (key, value) = row?;
            if let Ok(value) = serde_json::from_slice(value.value()) {
                kept.insert(key.value().to_owned(), value);
            }
        }
        let rows = read.open_table(ROWS)?;
        for kind in [RowKind::Session, RowKind::Cdr] {
            let mut range = rows.range((kind.word(), 0)..=(kind.word(), u64::MAX))?;
            if let Some(last) = range.next_back() {
                let number = last?.0.value().1;
                kept.insert(format!("last/{}", kind.word()), Value::from(number));
            }
        }
        Ok(kept)
    }

    /// Keeps changes, durably and together.
    pub fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        let write = || -> Result<(), redb::Error> {
            let write = self.database.begin_write()?;
            {
                let mut values = write.open_table(VALUES)?;
                let mut rows = write.open_table(ROWS)?;
                let mut ids = write.open_table(IDS)?;
                for change in changes {
                    match change {
                        Change::Put { key, value } => {
                            values.insert(key.as_str(), value.to_string().as_bytes())?;
                        }
                        Change::Drop { key } => {
                            values.remove(key.as_str())?;
                        }
                        Change::Row(Row { kind, number, id, owner, updated, value }) => {
                            let text = value.to_string();
                            let row =
                                (updated.as_millis(), id.as_str(), owner.as_str(), text.as_bytes());
                            rows.insert((kind.word(), *number), row)?;
                            ids.insert((kind.word(), id.as_str()), *number)?;
                        }
                    }
                }
            }
            write.commit()?;
            Ok(())
        };
        write().map_err(StoreError::from_use)
    }

    /// Looks rows up.
    pub fn find(&self, query: &Query) -> Result<Found, StoreError> {
        let look = || -> Result<Found, redb::Error> {
            let read = self.database.begin_read()?;
            let rows = read.open_table(ROWS)?;
            let kind = query.kind.word();
            let mut found = Found::default();
            let mut after = query.after.saturating_add(1);
            let mut until = u64::MAX;
            if let Some(id) = &query.id {
                let Some(number) = read.open_table(IDS)?.get((kind, id.as_str()))? else {
                    return Ok(found);
                };
                let number = number.value();
                (after, until) = (after.max(number), number);
            }
            if until < after {
                return Ok(found);
            }
            for row in rows.range((kind, after)..=(kind, until))? {
                let (key, row) = row?;
                let (number, (updated, id, owner, text)) = (key.value().1, row.value());
                if !query.fits(number, id, owner, Utc::from_millis(updated)) {
                    continue;
                }
                found.total += 1;
                let wanted = query.skip < found.total && found.rows.len() < query.limit;
                if let (true, Ok(value)) = (wanted, serde_json::from_slice(text)) {
                    found.rows.push((number, value));
                }
                // Who asks for rows after a number wants the next ones, not their count.
                if 0 < query.after && query.limit <= found.rows.len() {
                    break;
                }
            }
            Ok(found)
        };
        look().map_err(StoreError::from_use)
    }
}

/// The format of a file of partners; none where it is fresh.
pub fn format(database: &Database) -> Result<Option<u64>, redb::Error> {
    let read = database.begin_read()?;
    let Some(meta) = open_if_there(&read, META)? else {
        return Ok(open_if_there(&read, VALUES)?.map(|_| 1));
    };
    Ok(meta.get("format")?.map(|value| value.value()))
}

fn create(path: &Path) -> Result<Database, StoreError> {
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let place = |source| StoreError::Io { place: path.to_owned(), source };
    drop(open.map_err(place)?);
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(place)?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    let database = builder.create(path).map_err(StoreError::from_open)?;
    if let Some(found) = format(&database).map_err(StoreError::from_use)?
        && FORMAT < found
    {
        return Err(StoreError::Newer { found, known: FORMAT });
    }
    let tables = || -> Result<(), redb::Error> {
        let write = database.begin_write()?;
        write.open_table(META)?.insert("format", FORMAT)?;
        write.open_table(VALUES)?;
        write.open_table(ROWS)?;
        write.open_table(IDS)?;
        write.commit()?;
        Ok(())
    };
    tables().map_err(StoreError::from_use)?;
    Ok(database)
}

fn free_name(path: &Path) -> PathBuf {
    let numbered = (1..).map(|number| path.with_extension(format!("redb.damaged-{number}")));
    numbered.into_iter().find(|name| !name.exists()).unwrap_or_else(|| path.with_extension("old"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(number: u64, id: &str, updated: i64) -> Change {
        Change::Row(Row {
            kind: RowKind::Cdr,
            number,
            id: id.to_owned(),
            owner: "nl-tnm".to_owned(),
            updated: Utc::from_millis(updated),
            value: json!({ "id": id }),
        })
    }

    #[test]
    fn rows_are_found_by_page_id_and_time_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        {
            let (store, kept, problem) = PartnerStore::open(dir.path()).unwrap();
            assert!(kept.is_empty() && problem.is_none());
            let rows: Vec<Change> =
                (1..=250).map(|n| row(n, &format!("c{n}"), n as i64 * 1000)).collect();
            store.apply(&rows).unwrap();
            let put = Change::Put { key: "link/a".to_owned(), value: json!({"x": 1}) };
            store.apply(&[put, row(7, "c7", 999_000)]).unwrap();
        }
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it holds tokens");
        let (store, kept, _) = PartnerStore::open(dir.path()).unwrap();
        assert_eq!(kept["link/a"], json!({"x": 1}));
        assert_eq!(kept["last/cdr"], json!(250));
        let page = Query { skip: 100, limit: 100, ..Query::all(RowKind::Cdr) };
        let found = store.find(&page).unwrap();
        assert_eq!((found.total, found.rows.len(), found.rows[0].0), (250, 100, 101));
        let one = Query { id: Some("c9".to_owned()), ..Query::all(RowKind::Cdr) };
        assert_eq!(store.find(&one).unwrap().rows[0].1["id"], "c9");
        let late = Query { from: Some(Utc::from_millis(250_000)), ..Query::all(RowKind::Cdr) };
        assert_eq!(store.find(&late).unwrap().total, 2, "the last one and the changed one");
        let next = Query { after: 249, limit: 1, ..Query::all(RowKind::Cdr) };
        assert_eq!(store.find(&next).unwrap().rows[0].0, 250);
    }

    #[test]
    fn a_damaged_file_is_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "no redb at all").unwrap();
        let (_, kept, problem) = PartnerStore::open(dir.path()).unwrap();
        assert!(kept.is_empty());
        assert!(problem.unwrap().contains("damaged-1"));
    }
}
