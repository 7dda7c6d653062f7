//! Lines of a file, plain or gzipped.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::{BadLine, Problem, Problems};

/// The longest line that is read, in bytes: one chat request with images fits, a file without line
/// feeds does not fill the memory.
pub(super) const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;
const BUFFER_BYTES: usize = 1 << 16;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Opens a text in UTF-8; `-` is standard input. Gzip is recognised by its first bytes; a byte
/// order mark is left out.
///
/// # Errors
///
/// The file cannot be read, or is in an encoding that is not supported.
pub fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let source: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path)?)
    };
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, source);
    let mut reader: Box<dyn BufRead + Send> = match raw.fill_buf()? {
        [0x1f, 0x8b, ..] => {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw)))
        }
        _ => Box::new(raw),
    };
    let start = reader.fill_buf()?;
    let encoding = match start {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => "UTF-16",
        [b'P', b'A', b'R', b'1', ..] => "Parquet",
        [b'P', b'K', 3, 4, ..] => "ZIP",
        _ => {
            if start.starts_with(BYTE_ORDER_MARK) {
                reader.consume(BYTE_ORDER_MARK.len());
            }
            return Ok(reader);
        }
    };
    let what = format!("{encoding} is not supported; give text in UTF-8, plain or gzip");
    Err(Error::new(ErrorKind::Unsupported, what))
}

/// A line with its number, from 1, and the bytes that were read for it.
pub type NumberedLine<'a> = (usize, &'a [u8], u64);

/// The lines of one file that are not blank, in one reused buffer.
pub struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    number: usize,
    done: bool,
}

impl Lines {
    /// Opens a file as [`open`] does.
    ///
    /// # Errors
    ///
    /// As [`open`].
    pub fn open(path: &Path) -> Result<Lines> {
        Ok(Lines::from_reader(path, open(path)?))
    }

    /// The lines of what was opened.
    pub(super) fn from_reader(path: &Path, reader: Box<dyn BufRead + Send>) -> Lines {
        Lines { path: path.to_owned(), reader, buffer: Vec::new(), number: 0, done: false }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    ///
    /// A line that is too long, or the rest of the file cannot be read.
    pub fn next_line(&mut self) -> Result<Option<NumberedLine<'_>>> {
        let read = self.advance()?;
        Ok(read.map(|bytes| (self.number, self.buffer.trim_ascii(), bytes)))
    }

    /// As [`Lines::next_line`]; what is damaged is counted and passed over.
    ///
    /// # Errors
    ///
    /// Damage, where problems are strict.
    pub fn next_whole(
        &mut self,
        problems: &mut Problems,
    ) -> std::result::Result<Option<NumberedLine<'_>>, BadLine> {
        loop {
            match self.advance() {
                Ok(read) => {
                    return Ok(read.map(|bytes| (self.number, self.buffer.trim_ascii(), bytes)));
                }
                Err(error) => {
                    let kind = match error.kind() {
                        ErrorKind::FileTooLarge => Problem::BrokenLine,
                        _ => Problem::UnreadableFile,
                    };
                    problems.add(kind, &self.path, self.number, error.to_string())?;
                }
            }
        }
    }

    /// Reads up to the next line that is not blank; returns the bytes that it took.
    fn advance(&mut self) -> Result<Option<u64>> {
        let mut bytes = 0;
        while !self.done {
            self.buffer.clear();
            self.number += 1;
            let read = self.read();
            self.done = match &read {
                Ok(read) => *read == 0,
                Err(error) => error.kind() != ErrorKind::FileTooLarge,
            };
            bytes += read? as u64;
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    fn read(&mut self) -> Result<usize> {
        let read = (&mut self.reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|error| {
            Error::new(error.kind(), format!("the rest of the file cannot be read: {error}"))
        })?;
        if read as u64 == MAX_LINE_BYTES && self.buffer.last() != Some(&b'\n') {
            self.reader.skip_until(b'\n')?;
            let what = format!("longer than {MAX_LINE_BYTES} bytes");
            return Err(Error::new(ErrorKind::FileTooLarge, what));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines(bytes: &[u8]) -> Result<Vec<(usize, Vec<u8>)>> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(bytes)?;
        let mut lines = Lines::open(file.path())?;
        let mut read = Vec::new();
        while let Some((number, line, _)) = lines.next_line()? {
            read.push((number, line.to_vec()));
        }
        Ok(read)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("compressed");
        encoder.finish().expect("compressed")
    }

    #[test]
    fn blank_lines_and_a_byte_order_mark_are_left_out_of_plain_and_gzipped_files() {
        let text = b"\xef\xbb\xbfone\r\n\n  two";
        let expected = vec![(1, b"one".to_vec()), (3, b"two".to_vec())];
        assert_eq!(lines(text).expect("readable"), expected);
        assert_eq!(lines(&gzip(text)).expect("readable"), expected);
    }

    #[test]
    fn other_encodings_are_refused_by_name() {
        for (bytes, name) in [
            (&b"\xff\xfe{\0"[..], "UTF-16"),
            (b"{\0}\0", "UTF-16"),
            (b"\x28\xb5\x2f\xfd\0", "zstd"),
            (b"PAR1", "Parquet"),
        ] {
            for bytes in [bytes.to_vec(), gzip(bytes)] {
                let error = lines(&bytes).expect_err("refused");
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                assert!(error.to_string().starts_with(name), "{error}");
            }
        }
    }

    #[test]
    fn a_line_without_end_is_reported_and_passed_over() {
        let mut text = vec![b'x'; MAX_LINE_BYTES as usize + 1];
        text.extend(b"\nnext\n");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let mut lines = Lines::open(file.path()).expect("opens");
        assert_eq!(lines.next_line().expect_err("long").kind(), ErrorKind::FileTooLarge);
        let next = lines.next_line().expect("readable").map(|(number, line, _)| (number, line));
        assert_eq!(next, Some((2, &b"next"[..])));
    }

    #[test]
    fn a_cut_gzip_file_ends_in_one_error() {
        let text: String = (0..9999).map(|n| format!("{n} {}\n", n * n)).collect();
        let whole = gzip(text.as_bytes());
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &whole[..whole.len() / 2]).expect("written");
        let mut lines = Lines::open(file.path()).expect("opens");
        let error = loop {
            match lines.next_line() {
                Ok(line) => assert!(line.is_some(), "the end is expected"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("the rest of the file cannot be read"), "{error}");
        assert!(lines.next_line().expect("over").is_none());
    }
}
