//! Several files in one: a tar (POSIX ustar) in gzip, which every machine can open by hand.
//!
//! Only what backups and support bundles need: regular files in one folder at the most, read and
//! written from end to end. A name that leads elsewhere is refused.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// A block of a tar.
const BLOCK: usize = 512;

/// The longest name: what the field of the header holds.
const NAME_MAX: usize = 99;

/// The largest file: ten times the largest store.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// Files in one archive.
const FILES_MAX: usize = 1000;

/// Writes an archive.
pub struct Writer<W: Write> {
    out: GzEncoder<W>,
}

impl<W: Write> Writer<W> {
    /// Of nothing so far.
    pub fn new(out: W) -> Self {
        Self { out: GzEncoder::new(out, Compression::default()) }
    }

    /// Adds a file of this many bytes, changed at this time in seconds since 1970.
    pub fn add(&mut self, name: &str, bytes: u64, at: u64, file: impl Read) -> io::Result<()> {
        if !is_plain(name) {
            return Err(invalid(format!("{name:?} is no plain name of a file")));
        }
        self.out.write_all(&header(name, bytes, at))?;
        let copied = io::copy(&mut file.take(bytes), &mut self.out)?;
        if copied != bytes {
            return Err(invalid(format!("{name} became shorter while it was read")));
        }
        let rest = bytes as usize % BLOCK;
        if rest != 0 {
            self.out.write_all(&[0; BLOCK][rest..])?;
        }
        Ok(())
    }

    /// Adds a text.
    pub fn add_text(&mut self, name: &str, text: &str, at: u64) -> io::Result<()> {
        self.add(name, text.len() as u64, at, text.as_bytes())
    }

    /// Writes the end; what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.finish()
    }
}

/// Reads an archive: calls `take` with each name and its content, which it need not read to its
/// end. True when the archive is whole.
pub fn read(
    archive: impl Read,
    mut take: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut from = GzDecoder::new(archive);
    for _ in 0..FILES_MAX {
        let mut block = [0; BLOCK];
        from.read_exact(&mut block)?;
        if block == [0; BLOCK] {
            // To the end, so that the checksum of the whole is looked at.
            io::copy(&mut from, &mut io::sink())?;
            return Ok(());
        }
        let (name, bytes) = parse(&block)?;
        let mut content = (&mut from).take(bytes);
        take(&name, &mut content)?;
        let left = content.limit();
        let padding = (BLOCK as u64 - bytes % BLOCK as u64) % BLOCK as u64;
        let skipped = io::copy(&mut (&mut from).take(left + padding), &mut io::sink())?;
        if skipped != left + padding {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Err(invalid(format!("more than {FILES_MAX} files")))
}

/// A visible name of harmless letters, in one folder at the most.
fn is_plain(name: &str) -> bool {
    let letter = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(letter);
    name.len() <= NAME_MAX && name.split('/').count() <= 2 && name.split('/').all(part)
}

fn header(name: &str, bytes: u64, at: u64) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |from: usize, text: &str| {
        header[from..from + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, name);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", bytes.min(FILE_BYTES_MAX)));
    put(136, &format!("{:011o}\0", at.min((1 << 33) - 1)));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

fn parse(header: &[u8; BLOCK]) -> io::Result<(String, u64)> {
    let octal = |from: usize, length: usize| {
        let text = std::str::from_utf8(&header[from..from + length]).ok()?;
        u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
    };
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    let own: u64 = header[148..156].iter().map(|byte| u64::from(*byte)).sum();
    if octal(148, 8) != Some(sum - own + 8 * u64::from(b' ')) {
        return Err(invalid("it is no tar, or damaged".to_owned()));
    }
    let name: Vec<u8> = header[..100].iter().copied().take_while(|byte| *byte != 0).collect();
    let name = String::from_utf8_lossy(&name).into_owned();
    if !is_plain(&name) || !matches!(header[156], 0 | b'0') {
        return Err(invalid(format!("{name:?} is not a plain file")));
    }
    match octal(124, 12) {
        Some(bytes) if bytes <= FILE_BYTES_MAX => Ok((name, bytes)),
        _ => Err(invalid(format!("{name} has no size that can be"))),
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unpacked(archive: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut found = Vec::new();
        read(archive, |name, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            found.push((name.to_owned(), bytes));
            Ok(())
        })?;
        Ok(found)
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(files in prop::collection::vec(
            ("[a-z0-9][a-z0-9._-]{0,30}", prop::collection::vec(any::<u8>(), 0..1500)), 0..5,
        )) {
            let mut writer = Writer::new(Vec::new());
            for (name, bytes) in &files {
                writer.add(name, bytes.len() as u64, 1_700_000_000, bytes.as_slice())?;
            }
            let archive = writer.finish()?;
            prop_assert_eq!(unpacked(&archive)?, files);
            for cut in [1, archive.len() / 2, archive.len() - 1] {
                prop_assert!(unpacked(&archive[..cut]).is_err());
            }
        }

        #[test]
        fn nonsense_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(unpacked(&bytes).is_err());
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [
            "",
            "../a",
            "/etc/passwd",
            "a/b/c",
            "a/../b",
            "a/",
            ".hidden",
            "a\0b",
            "ä",
            &"a".repeat(100),
        ] {
            let mut writer = Writer::new(Vec::new());
            assert!(writer.add_text(name, "", 0).is_err(), "{name}");
        }
        let mut raw = header("a", 0, 0);
        raw[0] = b'/';
        assert!(parse(&raw).is_err(), "a name changed without its checksum");
    }
}
