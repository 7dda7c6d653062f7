//! Lines of a text.

use std::io::{BufRead, Error, ErrorKind, Read, Result};
use std::path::{Path, PathBuf};

use super::format::{self, Shape, shape};
use super::{BadLine, MAX_RECORD_BYTES, Problem, Problems, TOO_LONG, open};

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
    /// Opens a file of one JSON object per line.
    ///
    /// # Errors
    ///
    /// As [`open`]; also a JSON array or a table, which are records, but not lines.
    pub fn open(path: &Path) -> Result<Lines> {
        let mut reader = open(path)?;
        match shape(reader.fill_buf()?, false) {
            Shape::Lines => Ok(Lines::from_reader(path, reader)),
            Shape::Array => Err(format::array()),
            Shape::Document => Err(format::document()),
            Shape::Table => Err(format::table()),
        }
    }

    /// Opens a file of lines that are anything.
    ///
    /// # Errors
    ///
    /// As [`open`].
    pub fn of_text(path: &Path) -> Result<Lines> {
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
    /// A line that is too long, or the rest of the file cannot be read. Both end the file.
    pub fn next_line(&mut self) -> Result<Option<NumberedLine<'_>>> {
        let read = self.advance()?;
        Ok(read.map(|bytes| (self.number, self.buffer.trim_ascii(), bytes)))
    }

    /// As [`Lines::next_line`]; what is damaged is counted and passed over.
    ///
    /// # Errors
    ///
    /// A line that is too long; other damage, where problems are strict.
    pub fn next_whole(
        &mut self,
        problems: &mut Problems,
    ) -> std::result::Result<Option<NumberedLine<'_>>, BadLine> {
        loop {
            match self.advance() {
                Ok(read) => {
                    return Ok(read.map(|bytes| (self.number, self.buffer.trim_ascii(), bytes)));
                }
                Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                    return Err(BadLine::too_long(&self.path, self.number));
                }
                Err(error) => {
                    let what = error.to_string();
                    problems.add(Problem::UnreadableFile, &self.path, self.number, what)?;
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
            self.done = !read.as_ref().is_ok_and(|read| *read > 0);
            bytes += read? as u64;
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    fn read(&mut self) -> Result<usize> {
        let read = (&mut self.reader).take(MAX_RECORD_BYTES).read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|error| {
            Error::new(error.kind(), format!("the rest of the file cannot be read: {error}"))
        })?;
        if read as u64 == MAX_RECORD_BYTES && self.buffer.last() != Some(&b'\n') {
            let what = format!("line {}: {TOO_LONG}", self.number);
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
    fn what_is_no_text_or_no_lines_is_refused_by_name() {
        for (bytes, name) in [
            (&b"\xff\xfe{\0"[..], "UTF-16"),
            (b"\x28\xb5\x2f\xfd\0", "zstd"),
            (b"PAR1", "Parquet"),
            (b"[{\"a\": 1}]", "a JSON array"),
            (b"id;prompt\n1;hi\n", "a table"),
            (b"{\n  \"a\": 1\n}\n", "one JSON object over several lines"),
        ] {
            for bytes in [bytes.to_vec(), gzip(bytes)] {
                let error = lines(&bytes).expect_err("refused");
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                assert!(error.to_string().starts_with(name), "{error}");
            }
        }
    }

    #[test]
    fn a_line_without_end_is_refused_with_its_number() {
        let mut text = b"first\n".to_vec();
        text.resize(MAX_RECORD_BYTES as usize + 7, b'x');
        text.extend(b"\nnext\n");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let mut lines = Lines::open(file.path()).expect("opens");
        let mut problems = Problems::default();
        assert!(lines.next_whole(&mut problems).expect("readable").is_some());
        let bad = lines.next_whole(&mut problems).expect_err("too long");
        assert_eq!((bad.line, bad.what.as_str()), (2, TOO_LONG));
        assert!(lines.next_whole(&mut problems).expect("over").is_none());
        let mut lines = Lines::open(file.path()).expect("opens");
        lines.next_line().expect("readable");
        let error = lines.next_line().expect_err("too long").to_string();
        assert!(error.starts_with("line 2: "), "{error}");
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
