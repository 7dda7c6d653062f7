//! A bound on the fields of a CSV record: each takes eight bytes of memory for one comma of the file.

use std::io::{Read, Result};

/// Columns of a head line, at most.
pub(super) const MAX_COLUMNS: usize = 16_384;

/// Hands CSV on without the fields of a record that are more than one too many: that one tells that
/// the record is broken.
pub(super) struct Narrow<R> {
    pub(super) inner: R,
    /// Fields that a record may have.
    pub(super) most: usize,
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
    pub(super) fn new(inner: R) -> Self {
        Narrow { inner, most: MAX_COLUMNS, ended: 0, place: Place::Start }
    }

    /// Whether the next byte is handed on.
    fn keeps(&mut self, byte: u8) -> bool {
        self.place = match (self.place, byte) {
            (Place::Quoted, b'"') => Place::Quote,
            (Place::Quoted, _) | (Place::Start | Place::Quote, b'"') => Place::Quoted,
            (_, b',') => {
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

    /// What is left of a text of records with up to `most` fields, read in pieces of `size` bytes.
    fn narrowed(text: &str, most: usize, size: usize) -> String {
        let mut narrow = Narrow { most, ..Narrow::new(text.as_bytes()) };
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
