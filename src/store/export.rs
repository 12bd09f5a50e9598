//! What is taken out for billing: sessions with their transactions, and CDRs, from a copy of the
//! files that a [`super::backup`] has made, so that one moment is told and nobody is held up.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use redb::{ReadableDatabase, ReadableTable};
use serde_json::Value;

use crate::ground::time::Utc;
use crate::model::session::{Session, Transaction};
use crate::ocpi::engine::desk::{Query, RowKind};

use super::error::StoreError;
use super::files::{DATABASE, builder};
use super::partners::{self, PartnerStore};
use super::table::{SESSIONS, TRANSACTIONS, value};
use super::{archive, backup};

/// From a moment on, to before another; open where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// At or after.
    pub from: Option<Utc>,
    /// Before.
    pub to: Option<Utc>,
}

impl Window {
    /// Whether a moment lies inside.
    pub fn has(&self, at: Utc) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to)
    }
}

/// The databases of a backup, unpacked into a folder.
#[derive(Debug)]
pub struct Copied {
    folder: PathBuf,
    partners: bool,
}

impl Copied {
    /// Unpacks the databases of a backup into `folder`, which is the caller's alone.
    pub fn unpack(file: &Path, folder: &Path) -> io::Result<Self> {
        let mut partners = false;
        archive::read(BufReader::new(File::open(file)?), |name, content| {
            if [DATABASE, partners::FILE].contains(&name) {
                partners |= name == partners::FILE;
                io::copy(content, &mut backup::private(&folder.join(name))?)?;
            }
            Ok(())
        })?;
        Ok(Self { folder: folder.to_owned(), partners })
    }

    /// Sessions that began in the window, oldest first, each with its transaction where that is
    /// still kept.
    pub fn sessions(
        &self,
        window: Window,
    ) -> Result<Vec<(Session, Option<Transaction>)>, StoreError> {
        let opened = builder().open(self.folder.join(DATABASE)).map_err(StoreError::from_open)?;
        let read = || -> Result<_, redb::Error> {
            let read = opened.begin_read()?;
            let transactions = read.open_table(TRANSACTIONS)?;
            let mut found = Vec::new();
            for row in read.open_table(SESSIONS)?.iter()? {
                let (_, row) = row?;
                let Some(session) = value::<Session>(row.value()) else { continue };
                if window.has(session.started) {
                    let transaction = transactions.get(session.transaction.0)?;
                    found.push((session, transaction.and_then(|row| value(row.value()))));
                }
            }
            Ok(found)
        };
        read().map_err(StoreError::from_use)
    }

    /// CDRs of sessions that ended in the window, as partners were told, oldest first; none where
    /// the site never had partners.
    pub fn cdrs(&self, window: Window) -> Result<Option<Vec<Value>>, StoreError> {
        if !self.partners {
            return Ok(None);
        }
        let (store, _, _) = PartnerStore::open(&self.folder)?;
        let all = Query { limit: usize::MAX, ..Query::all(RowKind::Cdr) };
        let ended = |cdr: &Value| cdr["end_date_time"].as_str().and_then(Utc::parse);
        let inside = |cdr: &Value| ended(cdr).is_none_or(|at| window.has(at));
        let found = store.find(&all)?.rows.into_iter().map(|(_, cdr)| cdr);
        Ok(Some(found.filter(inside).collect()))
    }
}
