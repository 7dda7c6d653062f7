//! Text of a file, plain or gzipped.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Error, Read, Result};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::format::{self, START_BYTES};

const GZIP: &[u8] = b"\x1f\x8b";

/// Opens a text in UTF-8; `-` is standard input. Gzip is recognised by its first bytes; a byte
/// order mark is left out. What is there first in the reader's buffer is enough to tell the shape
/// of the text.
///
/// # Errors
///
/// The file cannot be read, or is in a format that is not supported: [`super::hint`] says what to
/// do about it.
pub fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let source: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(format::directory());
        }
        Box::new(file)
    };
    let raw = Peeked::new(source)?;
    if raw.start().starts_with(GZIP) {
        text(Peeked::new(MultiGzDecoder::new(raw))?)
    } else {
        text(raw)
    }
}

fn text<R: Read + Send + 'static>(mut reader: Peeked<R>) -> Result<Box<dyn BufRead + Send>> {
    let mark = format::check(reader.start())?;
    reader.consume(mark);
    Ok(Box::new(reader))
}

/// A reader whose first bytes are known, however small the pieces are in which they arrive.
struct Peeked<R> {
    start: Cursor<Vec<u8>>,
    /// What ended the start; it is met again behind it.
    failed: Option<Error>,
    rest: BufReader<R>,
}

impl<R: Read> Peeked<R> {
    fn new(source: R) -> Result<Self> {
        let mut rest = BufReader::with_capacity(START_BYTES, source);
        let mut start = Vec::new();
        let read = (&mut rest).take(START_BYTES as u64).read_to_end(&mut start);
        match read {
            Err(error) if start.is_empty() => Err(error),
            read => Ok(Peeked { start: Cursor::new(start), failed: read.err(), rest }),
        }
    }

    fn start(&self) -> &[u8] {
        self.start.get_ref()
    }

    fn is_at_start(&self) -> bool {
        self.start.position() < self.start.get_ref().len() as u64
    }
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: Read> BufRead for Peeked<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.is_at_start() {
            return self.start.fill_buf();
        }
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.rest.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        if self.is_at_start() {
            self.start.consume(amount);
        } else {
            self.rest.consume(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, and fails at the end.
    struct Dripping(Vec<u8>);

    impl Read for Dripping {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            let Some(place) = buffer.first_mut() else { return Ok(0) };
            if self.0.is_empty() {
                return Err(Error::other("the line was cut"));
            }
            *place = self.0.remove(0);
            Ok(1)
        }
    }

    #[test]
    fn the_start_is_known_and_read_however_it_arrives() {
        let peeked = Peeked::new(Dripping(b"{\"a\": 1}\n".to_vec())).expect("opens");
        assert_eq!(peeked.start(), b"{\"a\": 1}\n");
        let mut reader = text(peeked).expect("text");
        let mut line = String::new();
        reader.read_line(&mut line).expect("readable");
        assert_eq!(line, "{\"a\": 1}\n");
        assert_eq!(reader.read_line(&mut line).expect_err("cut").to_string(), "the line was cut");
        assert!(Peeked::new(Dripping(Vec::new())).is_err());
        let long: Vec<u8> = (0..200_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
        let mut reader = Peeked::new(&long[..]).expect("opens");
        let mut read = Vec::new();
        reader.read_to_end(&mut read).expect("readable");
        assert_eq!((reader.start().len(), read), (START_BYTES, long));
    }

    #[test]
    fn a_directory_is_refused_by_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let error = open(directory.path()).err().expect("refused");
        assert!(error.to_string().contains("directory"), "{error}");
        assert!(super::super::hint(&error).is_some());
    }
}
