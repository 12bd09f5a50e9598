//! From the format of an older version to this one: one function for each step.
//!
//! Each step runs in one transaction together with the number it leads to, so a power cut leaves
//! either the old format or the next. A file of a later version is refused and stays as it is.
//!
//! Format 1 is the first that was released; the first step will be the function from 1 to 2.

use redb::{Database, WriteTransaction};

use super::error::StoreError;
use super::table::{FORMAT, META, format};

/// Changes the tables from one format to the next.
pub type Step = fn(&WriteTransaction) -> Result<(), redb::Error>;

/// `STEPS[n]` leads from format n + 1 to n + 2.
pub const STEPS: [Step; FORMAT as usize - 1] = [];

/// Brings the file to the format that these steps lead to: [`FORMAT`] with [`STEPS`].
pub fn run_steps(database: &Database, steps: &[Step]) -> Result<(), StoreError> {
    let known = steps.len() as u64 + 1;
    let found = format(database).map_err(StoreError::from_use)?;
    let Some(found) = found.filter(|found| 1 <= *found) else {
        return Err(StoreError::Damaged("it names no format".to_owned()));
    };
    if known < found {
        return Err(StoreError::Newer { found, known });
    }
    for (index, step) in steps.iter().enumerate().skip(found as usize - 1) {
        let next = index as u64 + 2;
        log::info!("the store is brought to format {next}");
        let migrate = || -> Result<(), redb::Error> {
            let write = database.begin_write()?;
            step(&write)?;
            write.open_table(META)?.insert("format", next)?;
            write.commit()?;
            Ok(())
        };
        migrate().map_err(StoreError::from_use)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{ReadableDatabase, ReadableTable};

    use super::*;
    use crate::store::table::{self, LEASES};

    fn database(format: u64) -> Database {
        let database = Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .expect("memory takes everything");
        table::create(&database).expect("memory takes everything");
        let write = database.begin_write().expect("one writer");
        write.open_table(META).unwrap().insert("format", format).unwrap();
        write.open_table(LEASES).unwrap().insert("E1", b"old".as_slice()).unwrap();
        write.commit().unwrap();
        database
    }

    fn lease(database: &Database) -> Vec<u8> {
        let read = database.begin_read().unwrap();
        let table = read.open_table(LEASES).unwrap();
        table.get("E1").unwrap().unwrap().value().to_vec()
    }

    fn append(write: &WriteTransaction, text: &[u8]) -> Result<(), redb::Error> {
        let mut table = write.open_table(LEASES)?;
        let mut value = table.get("E1")?.map(|row| row.value().to_vec()).unwrap_or_default();
        value.extend_from_slice(text);
        table.insert("E1", value.as_slice())?;
        Ok(())
    }

    const TO_2: Step = |write| append(write, b"+2");
    const TO_3: Step = |write| append(write, b"+3");
    const FAILS: Step = |write| {
        append(write, b"half done")?;
        Err(redb::Error::Corrupted("a row that nobody expected".to_owned()))
    };

    #[test]
    fn an_older_file_is_brought_up_step_by_step() {
        let old = database(1);
        run_steps(&old, &[TO_2, TO_3]).unwrap();
        assert_eq!(lease(&old), b"old+2+3");
        assert_eq!(format(&old).unwrap(), Some(3));
        run_steps(&old, &[TO_2, TO_3]).unwrap();
        assert_eq!(lease(&old), b"old+2+3");
        let newer = database(2);
        run_steps(&newer, &[TO_2, TO_3]).unwrap();
        assert_eq!(lease(&newer), b"old+3");
    }

    #[test]
    fn a_step_that_fails_leaves_the_format_before_it() {
        let old = database(1);
        assert!(run_steps(&old, &[TO_2, FAILS]).is_err());
        assert_eq!((lease(&old), format(&old).unwrap()), (b"old+2".to_vec(), Some(2)));
    }

    #[test]
    fn a_file_of_a_later_version_is_refused_in_words_and_untouched() {
        let later = database(9);
        let words = run_steps(&later, &STEPS).unwrap_err().to_string();
        assert!(words.contains("format 9") && words.contains("nothing was changed"), "{words}");
        assert_eq!((lease(&later), format(&later).unwrap()), (b"old".to_vec(), Some(9)));
    }
}
