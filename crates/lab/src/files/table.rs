//! The records of a table: CSV, with bounds on their bytes and on their fields.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

use csv::{ByteRecord, StringRecord};

use super::MAX_RECORD_BYTES;
use super::format::{delimiter, separator};

/// Columns of a head line, at most.
const MAX_COLUMNS: usize = 16_384;

/// Reads a table with a head line. The sign between cells is that of the head line: a comma, a
/// semicolon, a tab or a bar.
pub(crate) struct TableReader<R> {
    reader: csv::Reader<Narrow<Bounded<R>>>,
    pub(crate) names: StringRecord,
}

impl<R: BufRead> TableReader<R> {
    /// Reads the head line.
    ///
    /// # Errors
    ///
    /// It cannot be read, is not UTF-8, or has too many columns.
    pub(crate) fn new(mut input: R) -> csv::Result<Self> {
        let start = input.fill_buf()?;
        let end = start.iter().position(|&byte| byte == b'\n').map_or(start.len(), |at| at + 1);
        let line = start.get(..end).unwrap_or(start).trim_ascii_end();
        let sign = separator(line);
        let delimiter = sign.unwrap_or_else(|| delimiter(start));
        if sign.is_some() {
            input.consume(end);
        }
        let narrow = Narrow::new(Bounded { inner: input, left: MAX_RECORD_BYTES }, delimiter);
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(narrow);
        let names = reader.headers().cloned().map_err(|error| match is_too_long(&error) {
            true => {
                Error::new(ErrorKind::FileTooLarge, "the head line is longer than 64 MiB").into()
            }
            false => error,
        })?;
        if names.len() > MAX_COLUMNS {
            let what = format!("more than {MAX_COLUMNS} columns");
            return Err(Error::new(ErrorKind::InvalidData, what).into());
        }
        reader.get_mut().most = names.len();
        Ok(TableReader { reader, names })
    }

    /// Whether a comma separates the cells, so that it cannot stand in a number.
    pub(crate) fn has_commas(&self) -> bool {
        self.reader.get_ref().delimiter == b','
    }

    /// The line that the next record begins on, from 1.
    pub(crate) fn line(&self) -> usize {
        self.reader.position().line() as usize
    }

    /// The next record as bytes; false at the end.
    ///
    /// # Errors
    ///
    /// It has another number of cells than the head line, or is too long, or the rest of the file
    /// cannot be read.
    pub(crate) fn read(&mut self, record: &mut ByteRecord) -> csv::Result<bool> {
        self.reader.get_mut().inner.left = MAX_RECORD_BYTES;
        self.reader.read_byte_record(record)
    }

    /// As [`TableReader::read`], as text.
    ///
    /// # Errors
    ///
    /// As [`TableReader::read`]; also a record that is not UTF-8.
    pub(crate) fn read_text(&mut self, record: &mut StringRecord) -> csv::Result<bool> {
        self.reader.get_mut().inner.left = MAX_RECORD_BYTES;
        self.reader.read_record(record)
    }
}

/// Whether what ended a record is its length.
pub(crate) fn is_too_long(error: &csv::Error) -> bool {
    matches!(error.kind(), csv::ErrorKind::Io(error) if error.kind() == ErrorKind::FileTooLarge)
}

/// What is wrong with a record. Of too many fields, those beyond the first were not counted.
pub(crate) fn csv_problem(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } if len > expected_len => {
            format!("more than the {expected_len} fields of the head line")
        }
        _ => error.to_string(),
    }
}

/// Ends a record that grows without bound: one quotation mark that is never closed makes the rest of
/// a file one cell.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.left == 0 {
            return Err(Error::new(ErrorKind::FileTooLarge, super::TOO_LONG));
        }
        let read = self.inner.read(buffer)?;
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

/// Hands a table on without the fields of a record that are more than one too many: that one tells
/// that the record is broken, and each takes eight bytes of memory for one byte of the file.
struct Narrow<R> {
    inner: R,
    delimiter: u8,
    /// Fields that a record may have.
    most: usize,
    /// Fields of the record that have ended.
    ended: usize,
    place: Place,
}

/// Where in a record a byte stands, as the `csv` crate reads it.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Start,
    Plain,
    Quoted,
    /// Behind a quotation mark in a quoted field: its end, or the first half of a mark.
    Quote,
}

impl<R> Narrow<R> {
    fn new(inner: R, delimiter: u8) -> Self {
        Narrow { inner, delimiter, most: MAX_COLUMNS, ended: 0, place: Place::Start }
    }

    /// Whether the next byte is handed on.
    fn keeps(&mut self, byte: u8) -> bool {
        self.place = match (self.place, byte) {
            (Place::Quoted, b'"') => Place::Quote,
            (Place::Quoted, _) | (Place::Start | Place::Quote, b'"') => Place::Quoted,
            (_, byte) if byte == self.delimiter => {
                self.ended += 1;
                Place::Start
            }
            (_, b'\n' | b'\r') => {
                self.ended = 0;
                Place::Start
            }
            _ => Place::Plain,
        };
        self.ended <= self.most
    }
}

impl<R: Read> Read for Narrow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let read = self.inner.read(buffer)?;
            let mut kept = 0;
            for at in 0..read {
                if buffer.get(at).is_some_and(|byte| self.keeps(*byte)) {
                    buffer.swap(kept, at);
                    kept += 1;
                }
            }
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cells of a table's first record, with the names of their columns.
    fn cells(text: &str) -> Vec<(String, String)> {
        let mut reader = TableReader::new(text.as_bytes()).expect("a head line");
        let mut record = StringRecord::new();
        assert!(reader.read_text(&mut record).expect("a record"), "{text}");
        reader.names.iter().zip(&record).map(|(name, cell)| (name.into(), cell.into())).collect()
    }

    #[test]
    fn cells_are_apart_by_the_sign_of_the_head_line() {
        let expected = [("id", "1"), ("score", "0,5"), ("text", "a;b\nc")];
        let expected = expected.map(|(name, cell)| (name.to_owned(), cell.to_owned()));
        for text in [
            "id,score,text\n1,\"0,5\",\"a;b\nc\"\n",
            "id;score;text\r\n1;0,5;\"a;b\nc\"\r\n",
            "id\tscore\ttext\n1\t0,5\t\"a;b\nc\"\n",
            "id|score|text\n1|0,5|\"a;b\nc\"\n",
            "sep=;\r\nid;score;text\r\n1;0,5;\"a;b\nc\"\r\n",
            "sep=\t\nid\tscore\ttext\n1\t0,5\t\"a;b\nc\"\n",
        ] {
            assert_eq!(cells(text), expected, "{text}");
        }
        let mut reader = TableReader::new(&b"id;text\n1;a;b;c;d\n"[..]).expect("a head line");
        let error = reader.read_text(&mut StringRecord::new()).expect_err("too many");
        assert_eq!(csv_problem(&error), "more than the 2 fields of the head line");
    }

    /// What is left of a text of records with up to `most` fields, read in pieces of `size` bytes.
    fn narrowed(text: &str, most: usize, size: usize) -> String {
        let mut narrow = Narrow { most, ..Narrow::new(text.as_bytes(), b',') };
        let (mut left, mut buffer) = (Vec::new(), vec![0; size]);
        loop {
            match narrow.read(&mut buffer).expect("readable") {
                0 => return String::from_utf8(left).expect("UTF-8"),
                read => left.extend_from_slice(&buffer[..read]),
            }
        }
    }

    #[test]
    fn fields_beyond_the_first_too_many_are_left_out() {
        for (text, expected) in [
            ("a,b,c\nd,e,f\n", "a,b,c\nd,e,f\n"),
            ("a,b,c,d\r\ne,f,g\r\n", "a,b,c,d\r\ne,f,g\r\n"),
            ("a,b,c,d,e,f,g\nh,i,j\n", "a,b,c,d\nh,i,j\n"),
            (",,,,,,,,", ",,,"),
            ("\"a,,,,\n,,,\",b,c\n", "\"a,,,,\n,,,\",b,c\n"),
            ("\"a\"\",,,,\",b,c\n", "\"a\"\",,,,\",b,c\n"),
            ("a\",b\",c,d,e\nf", "a\",b\",c,d\nf"),
            ("a,b,c,d,\"e\n,,\",f\ng", "a,b,c,d\ng"),
            ("\"a\"b,c,d,e,f\n", "\"a\"b,c,d,e\n"),
        ] {
            for size in [1, 2, 7, 100] {
                assert_eq!(narrowed(text, 3, size), expected, "{text:?} by {size}");
            }
        }
    }

    /// The records of a text, as the `csv` crate reads them.
    fn records(text: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader.has_headers(false).flexible(true).from_reader(text.as_bytes());
        let fields = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
        reader.records().map(|record| fields(record.expect("UTF-8"))).collect()
    }

    #[test]
    fn what_is_left_are_the_first_fields_of_every_record() {
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            let longer = |text: &String| ['a', ',', '"', '\n', '\r'].map(|c| format!("{text}{c}"));
            texts = texts.iter().flat_map(longer).collect();
            for text in &texts {
                let mut expected = records(text);
                expected.iter_mut().for_each(|fields| fields.truncate(2));
                assert_eq!(records(&narrowed(text, 1, 3)), expected, "{text:?}");
            }
        }
    }
}
