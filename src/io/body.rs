//! The body of an HTTP request, read piece by piece: of known length, or in chunks (RFC 9112 §6),
//! and what a form has wrapped around a file (RFC 7578).
//!
//! Invariant: never reads beyond the body. How long a body may be is decided by who reads it.

use std::io;
use std::ops::Range;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A piece is at most this long.
const PIECE_BYTES: usize = 16 * 1024;

/// A line between chunks: a size with its extensions, or a trailer.
const LINE_BYTES_MAX: usize = 1024;

/// Trailers behind the last chunk.
const TRAILERS_MAX: usize = 32;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is none, or nobody said how long it is.
    #[default]
    Absent,
    /// By its length.
    Length(u64),
    /// In chunks, the last of which is empty.
    Chunked,
}

/// A body that is being read.
pub struct Body<'a, S> {
    stream: &'a mut S,
    /// What was read and not handed out.
    buffer: Vec<u8>,
    /// Bytes to come: of the body, or of the chunk.
    left: u64,
    chunked: bool,
    /// The first chunk was begun.
    begun: bool,
}

impl<'a, S: AsyncRead + Unpin> Body<'a, S> {
    /// A body on a stream of which the beginning was read already.
    pub fn new(stream: &'a mut S, beginning: Vec<u8>, framing: Framing) -> Self {
        let left = match framing {
            Framing::Length(length) => length,
            Framing::Absent | Framing::Chunked => 0,
        };
        let chunked = framing == Framing::Chunked;
        Self { stream, buffer: beginning, left, chunked, begun: false }
    }

    /// The next piece; none at the end.
    ///
    /// # Errors
    /// The peer went away, or what it sends is no body.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.left == 0 && (!self.chunked || !self.next_chunk().await?) {
            return Ok(None);
        }
        if self.buffer.is_empty() {
            self.more().await?;
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.buffer.len());
        let rest = self.buffer.split_off(most);
        let piece = std::mem::replace(&mut self.buffer, rest);
        self.left -= piece.len() as u64;
        Ok(Some(piece))
    }

    /// Begins a chunk; false behind the last.
    async fn next_chunk(&mut self) -> io::Result<bool> {
        if std::mem::replace(&mut self.begun, true) && !self.line().await?.is_empty() {
            return Err(broken("a chunk is longer than it said"));
        }
        let line = self.line().await?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = u64::from_str_radix(digits, 16).ok().filter(|_| is_number);
        self.left = size.ok_or_else(|| broken("the size of a chunk is no number"))?;
        if self.left != 0 {
            return Ok(true);
        }
        self.chunked = false;
        for _ in 0..TRAILERS_MAX {
            if self.line().await?.is_empty() {
                return Ok(false);
            }
        }
        Err(broken("too much behind the last chunk"))
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if LINE_BYTES_MAX <= self.buffer.len() {
                return Err(broken("a line between chunks has no end"));
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        self.buffer.reserve(PIECE_BYTES);
        match (&mut self.stream).take(PIECE_BYTES as u64).read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended in the middle")),
            _ => Ok(()),
        }
    }
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Where in a form its file is, and how it is named: the first part that has a file name, or the
/// first of all. None where it is no such form.
pub fn file_in_form(form: &[u8], content_type: &str) -> Option<(Range<usize>, Option<String>)> {
    if !content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
        return None;
    }
    let boundary = parameter(content_type, "boundary")?;
    let (opens, closes) = (format!("--{boundary}\r\n"), format!("\r\n--{boundary}"));
    let mut first = None;
    let mut at = find(form, opens.as_bytes(), 0)? + opens.len();
    while let Some(head_end) = find(form, b"\r\n\r\n", at) {
        let head = String::from_utf8_lossy(&form[at..head_end]);
        let name = head.lines().find_map(|line| {
            let is_ours = line.to_ascii_lowercase().starts_with("content-disposition:");
            parameter(line, "filename").filter(|_| is_ours)
        });
        let begin = head_end + 4;
        let end = find(form, closes.as_bytes(), begin)?;
        if name.is_some() {
            return Some((begin..end, name));
        }
        first = first.or(Some(begin..end));
        at = end + closes.len() + 2;
    }
    first.map(|range| (range, None))
}

/// `name="value"` or `name=value` behind a semicolon.
fn parameter(text: &str, name: &str) -> Option<String> {
    let found = text.split(';').skip(1).find_map(|piece| {
        let (own, value) = piece.split_once('=')?;
        own.trim().eq_ignore_ascii_case(name).then_some(value)
    })?;
    let value = found.trim().trim_matches('"');
    (!value.is_empty()).then(|| value.to_owned())
}

fn find(text: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let found = text.get(from..)?.windows(wanted.len()).position(|window| window == wanted)?;
    Some(from + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn all(beginning: &[u8], rest: &[u8], framing: Framing) -> io::Result<Vec<u8>> {
        let mut stream = rest;
        let mut body = Body::new(&mut stream, beginning.to_vec(), framing);
        let mut out = Vec::new();
        while let Some(piece) = body.next().await? {
            out.extend(piece);
        }
        Ok(out)
    }

    fn read(text: &[u8], cut: usize, framing: Framing) -> io::Result<Vec<u8>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (beginning, rest) = text.split_at(cut.min(text.len()));
        runtime.block_on(all(beginning, rest, framing))
    }

    proptest! {
        #[test]
        fn a_body_comes_out_as_it_went_in_however_it_is_cut(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..6),
            cut in 0_usize..400,
        ) {
            let plain = pieces.concat();
            let length = Framing::Length(plain.len() as u64);
            let followed = [plain.as_slice(), b"GET /"].concat();
            prop_assert_eq!(read(&followed, cut, length).expect("whole"), plain.clone());
            let mut chunked = Vec::new();
            for piece in &pieces {
                chunked.extend(format!("{:X};note=1\r\n", piece.len()).bytes());
                chunked.extend(piece);
                chunked.extend(b"\r\n");
            }
            chunked.extend(b"0\r\nTrailer: x\r\n\r\n");
            prop_assert_eq!(read(&chunked, cut, Framing::Chunked).expect("whole"), plain);
        }

        #[test]
        fn nonsense_ends_in_words(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&text, 7, Framing::Chunked);
            let _ = file_in_form(&text, "multipart/form-data; boundary=a");
        }
    }

    #[test]
    fn a_body_that_ends_early_or_lies_about_its_chunks_is_refused() {
        assert!(read(b"abc", 1, Framing::Length(4)).is_err());
        assert!(read(b"3\r\nabcd\r\n0\r\n\r\n", 0, Framing::Chunked).is_err());
        assert!(read(b"-3\r\nabc\r\n0\r\n\r\n", 0, Framing::Chunked).is_err());
        assert!(read(b"3\r\nabc\r\n", 0, Framing::Chunked).is_err(), "no last chunk");
        assert!(read(&[b'1'; 5000], 0, Framing::Chunked).is_err());
    }

    #[test]
    fn the_file_of_a_form_is_found_behind_its_other_fields() {
        let form = b"--x1\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n7\r\n--x1\r\n\
                     Content-Disposition: form-data; name=\"f\"; filename=\"log.zip\"\r\n\
                     Content-Type: application/zip\r\n\r\nPK\r\n--x\r\n\r\n--x1--\r\n";
        let kind = "multipart/form-data; boundary=\"x1\"";
        let (range, name) = file_in_form(form, kind).expect("a form");
        assert_eq!((&form[range], name.as_deref()), (&b"PK\r\n--x\r\n"[..], Some("log.zip")));
        assert_eq!(file_in_form(b"abc", kind), None);
        assert_eq!(file_in_form(form, "application/zip"), None);
    }
}
