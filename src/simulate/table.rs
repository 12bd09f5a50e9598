//! A CSV file, plain or gzip, read by column names; mistakes are told with file, line and what was
//! expected, several at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::ground::time::Utc;

/// Mistakes told of one file; more would hide the first.
const PROBLEMS_MAX: usize = 20;
/// No series is longer: ten years of minutes.
const ROWS_MAX: usize = 6_000_000;

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It could not be read.
    #[error("{file}: {why}")]
    Io { file: String, why: String },
    /// Its content is wrong; one line each.
    #[error("{}", .0.join("\n"))]
    Content(Vec<String>),
}

/// A whole file.
#[derive(Debug)]
pub struct Table {
    file: String,
    columns: BTreeMap<String, usize>,
    names: Vec<String>,
    rows: Vec<(u64, csv::StringRecord)>,
    problems: Vec<String>,
}

/// One line of a table.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    line: u64,
    cells: &'a csv::StringRecord,
}

impl Table {
    /// Reads a file; gzip is known by its first two bytes, whatever the name.
    ///
    /// # Errors
    /// Where the file cannot be read or has no header line.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let file = path.display().to_string();
        let failed = |why: &dyn std::fmt::Display| TableError::Io {
            file: file.clone(),
            why: why.to_string(),
        };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|opened| BufReader::new(opened).read_to_end(&mut bytes))
            .map_err(|error| failed(&error))?;
        let mut text = Vec::new();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            MultiGzDecoder::new(bytes.as_slice())
                .read_to_end(&mut text)
                .map_err(|error| failed(&error))?;
        } else {
            text = bytes;
        }
        Self::parse(&file, &text)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// Where it has no header line or is no CSV.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, TableError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .comment(Some(b'#'))
            .from_reader(text);
        let wrong = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            TableError::Content(vec![format!(
                "{file}:{line}: {error}, expected comma separated text"
            )])
        };
        let header = reader.headers().map_err(wrong)?.clone();
        let names: Vec<String> = header.iter().map(str::to_owned).collect();
        if names.iter().all(String::is_empty) {
            let text = format!("{file}:1: found nothing, expected a line of column names");
            return Err(TableError::Content(vec![text]));
        }
        let columns = names.iter().cloned().enumerate().map(|(index, name)| (name, index));
        let columns = columns.collect();
        let mut rows = Vec::new();
        for record in reader.into_records().take(ROWS_MAX) {
            let record = record.map_err(wrong)?;
            rows.push((record.position().map_or(0, csv::Position::line), record));
        }
        Ok(Self { file: file.to_owned(), columns, names, rows, problems: Vec::new() })
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.get(name).copied()
    }

    /// Position of a column that must be there.
    ///
    /// # Errors
    /// Where it is not.
    pub fn need(&self, name: &str) -> Result<usize, TableError> {
        self.column(name).ok_or_else(|| {
            let found = self.names.join(", ");
            TableError::Content(vec![format!(
                "{}:1: found the columns {found}, expected a column {name}",
                self.file
            )])
        })
    }

    /// Turns every line into a value; a line that tells its mistake to the closure's second
    /// argument is left out.
    ///
    /// # Errors
    /// All mistakes together.
    pub fn map<T>(
        &mut self,
        mut read: impl FnMut(Row<'_>, &mut Mistakes<'_>) -> Option<T>,
    ) -> Result<Vec<(u64, T)>, TableError> {
        let mut values = Vec::with_capacity(self.rows.len());
        let mut mistakes = Mistakes { file: &self.file, line: 0, found: &mut self.problems };
        for (line, cells) in &self.rows {
            mistakes.line = *line;
            if let Some(value) = read(Row { line: *line, cells }, &mut mistakes) {
                values.push((*line, value));
            }
            if PROBLEMS_MAX <= mistakes.found.len() {
                break;
            }
        }
        if self.problems.is_empty() {
            Ok(values)
        } else {
            Err(TableError::Content(std::mem::take(&mut self.problems)))
        }
    }
}

/// Where a line tells what is wrong with it.
#[derive(Debug)]
pub struct Mistakes<'a> {
    file: &'a str,
    line: u64,
    found: &'a mut Vec<String>,
}

impl Mistakes<'_> {
    /// Something is wrong with a column of this line.
    pub fn tell(&mut self, column: &str, found: &str, expected: &str) {
        let (file, line) = (self.file, self.line);
        self.found.push(format!("{file}:{line}: {column}: found \"{found}\", expected {expected}"));
    }
}

impl<'a> Row<'a> {
    /// Line in the file, from 1.
    pub const fn line(self) -> u64 {
        self.line
    }

    /// The text of a cell; none where it is empty or missing.
    pub fn text(self, column: usize) -> Option<&'a str> {
        self.cells.get(column).filter(|text| !text.is_empty())
    }

    /// A time that must be there.
    pub fn time(self, column: (usize, &str), mistakes: &mut Mistakes<'_>) -> Option<Utc> {
        let text = self.text(column.0).unwrap_or_default();
        let time = Utc::parse(text);
        if time.is_none() {
            mistakes.tell(column.1, text, "a time like 2019-03-01T08:00:00Z");
        }
        time
    }

    /// A number that must be there and lie from `least` to `most`.
    pub fn number(
        self,
        column: (usize, &str),
        (least, most): (f64, f64),
        mistakes: &mut Mistakes<'_>,
    ) -> Option<f64> {
        let text = self.text(column.0).unwrap_or_default();
        let number = text.parse::<f64>().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            mistakes.tell(column.1, text, &format!("a number from {least} to {most}"));
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn columns_are_found_by_name_and_mistakes_have_their_line() {
        let text = b"b,a\n1,2019-03-01T08:00:00Z\nx,2019-03-01T09:00:00Z\n3,yesterday\n";
        let mut table = Table::parse("t.csv", text).expect("a table");
        let (a, b) = (table.need("a").expect("there"), table.need("b").expect("there"));
        let read = table.map(|row, wrong| {
            let time = row.time((a, "a"), wrong);
            let number = row.number((b, "b"), (0.0, 10.0), wrong);
            Some((time?, number?))
        });
        let Err(TableError::Content(problems)) = read else { panic!("two mistakes") };
        assert_eq!(
            problems,
            [
                "t.csv:3: b: found \"x\", expected a number from 0 to 10",
                "t.csv:4: a: found \"yesterday\", expected a time like 2019-03-01T08:00:00Z",
            ]
        );
    }

    #[test]
    fn a_missing_column_is_named_with_those_that_are_there() {
        let table = Table::parse("t.csv", b"b,a\n").expect("a table");
        let text = table.need("c").expect_err("missing").to_string();
        assert_eq!(text, "t.csv:1: found the columns b, a, expected a column c");
    }

    #[test]
    fn gzip_is_known_by_its_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.csv");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"a\n1\n").expect("memory");
        std::fs::write(&path, packed.finish().expect("memory")).expect("written");
        let table = Table::read(&path).expect("a table");
        assert_eq!(table.names(), ["a"]);
        assert_eq!(table.rows.len(), 1);
    }
}
