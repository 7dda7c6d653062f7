//! Server-sent events (WHATWG HTML, 9.2): where the data is, and where an event ends.

use memchr::{memchr, memmem};

const DATA: &str = "data:";

/// A piece of an event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'b> {
    /// Of the `data` of an event; a line may come in several.
    Data(&'b [u8]),
    /// An empty line ends the event.
    End,
}

/// Where in a line the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// This many bytes of [`DATA`] were read, and nothing else.
    Start(usize),
    Data,
    /// A comment or another field.
    Other,
}

/// Finds the data of a stream that comes in pieces, and keeps nothing of it.
#[derive(Debug)]
pub(crate) struct Reader {
    place: Place,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Reader { place: Place::Start(0) }
    }

    /// Reads the next bytes.
    pub(crate) fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(Piece)) {
        while !bytes.is_empty() {
            let end = memchr(b'\n', bytes).unwrap_or(bytes.len());
            let (text, rest) = bytes.split_at(end);
            self.read_line(text, &mut found);
            bytes = match rest.split_first() {
                None => return,
                Some((_, rest)) => {
                    if self.place == Place::Start(0) {
                        found(Piece::End);
                    }
                    self.place = Place::Start(0);
                    rest
                }
            };
        }
    }

    /// A part of one line, without its line feed.
    fn read_line(&mut self, mut text: &[u8], found: &mut impl FnMut(Piece)) {
        while let (Place::Start(matched), Some((&byte, rest))) = (self.place, text.split_first()) {
            self.place = match DATA.as_bytes().get(matched) {
                Some(expected) if *expected == byte => Place::Start(matched + 1),
                None => {
                    self.place = Place::Data;
                    break;
                }
                // Lines may end in carriage return and line feed.
                Some(_) if matched == 0 && byte == b'\r' => self.place,
                Some(_) => Place::Other,
            };
            text = rest;
        }
        if self.place == Place::Data && !text.is_empty() {
            found(Piece::Data(text));
        }
    }
}

/// The data of each `data` line of a whole stream, without white space around it.
pub fn data_lines(stream: &str) -> impl Iterator<Item = &str> {
    stream.lines().filter_map(|line| line.strip_prefix(DATA)).map(str::trim)
}

/// Whether a stream ends with an event's end, and not in the middle of one.
pub fn ends_with_event(stream: &str) -> bool {
    stream.ends_with("\n\n") || stream.ends_with("\r\n\r\n")
}

/// Where the events of a whole stream lie, each with the empty line that ends it; together they are
/// all of it.
pub fn events(stream: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut events = Vec::new();
    let mut start = 0;
    for end in memmem::find_iter(stream, b"\n\n").map(|at| at + 2) {
        // Three line feeds in a row are found twice.
        if end > start {
            events.push(start..end);
            start = end;
        }
    }
    if start < stream.len() {
        events.push(start..stream.len());
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found when the stream comes in pieces of `size` bytes: data by event.
    fn read(stream: &str, size: usize) -> Vec<String> {
        let mut reader = Reader::new();
        let mut events = vec![String::new()];
        for bytes in stream.as_bytes().chunks(size) {
            reader.read(bytes, |piece| match piece {
                Piece::Data(data) => {
                    let data = String::from_utf8_lossy(data);
                    events.last_mut().unwrap().push_str(&data);
                }
                Piece::End => events.push(String::new()),
            });
        }
        events
    }

    #[test]
    fn data_is_found_however_the_stream_is_cut() {
        let stream =
            ": hi\r\n\r\nevent: x\ndata: one\ndata:two\n\ndat: no\ndata\ndata:\n\ndata: end";
        let expected = ["", " onetwo", "", " end"];
        for size in 1..=stream.len() {
            assert_eq!(read(stream, size), expected, "in pieces of {size}");
        }
        let lines: Vec<&str> = data_lines(stream).collect();
        assert_eq!(lines, ["one", "two", "", "end"]);
    }

    #[test]
    fn events_together_are_the_stream() {
        let stream = b"data: a\n\n\n\ndata: b\n\n: end";
        let events = events(stream);
        assert_eq!(events[0], 0..9);
        let whole: Vec<u8> = events.into_iter().flat_map(|range| stream[range].to_vec()).collect();
        assert_eq!(whole, stream);
    }

    #[test]
    fn a_stream_that_breaks_off_does_not_end_with_an_event() {
        assert!(ends_with_event("data: a\n\n") && ends_with_event("data: a\r\n\r\n"));
        assert!(!ends_with_event("data: a\n") && !ends_with_event(""));
    }
}
