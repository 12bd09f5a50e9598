//! Copies of a database that is in use, as of its last commit, halting nobody.

use std::path::Path;

use redb::{
    Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, Value,
    WriteTransaction,
};

use super::error::StoreError;
use super::{files, table};

/// Copies every row of a table, as of one moment.
pub fn copy_table<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    write: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let Some(from) = table::open_if_there(read, definition)? else { return Ok(()) };
    let mut to = write.open_table(definition)?;
    for row in from.iter()? {
        let (key, value) = row?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
}

/// Copies the store as of its last commit, without leases.
pub fn copy_store(from: &Database, to: &Path) -> Result<(), StoreError> {
    let copy = || -> Result<(), redb::Error> {
        let (read, made) = (from.begin_read()?, files::builder().create(to)?);
        let write = made.begin_write()?;
        copy_table(&read, &write, table::META)?;
        copy_table(&read, &write, table::TRANSACTIONS)?;
        copy_table(&read, &write, table::SESSIONS)?;
        copy_table(&read, &write, table::OPEN)?;
        write.open_table(table::LEASES)?;
        copy_table(&read, &write, table::CHARGE_POINTS)?;
        copy_table(&read, &write, table::PREFERENCES)?;
        copy_table(&read, &write, table::INTENTS)?;
        copy_table(&read, &write, table::READINGS)?;
        copy_table(&read, &write, table::SETPOINTS)?;
        copy_table(&read, &write, table::EVENTS)?;
        copy_table(&read, &write, table::RESERVATIONS)?;
        copy_table(&read, &write, table::CAMPAIGNS)?;
        copy_table(&read, &write, table::LIMITS)?;
        copy_table(&read, &write, table::LEARNED)?;
        write.commit()?;
        Ok(())
    };
    copy().map_err(StoreError::from_use)
}
