//! An answer that is one JSON text, kept until it is whole.

use memchr::memchr2;

use crate::prompt::json::BYTE_ORDER_MARK;

/// Longest JSON text, an answer or an event, that is parsed, in bytes. As a tree it may take sixteen
/// times as much for a moment.
pub(super) const LONGEST: usize = 512 * 1024;

/// Where the text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// In front of it, where there may be white space and a byte order mark.
    #[default]
    Front,
    Between,
    InText,
    Escaped,
    /// It is whole, or none.
    Over,
}

/// Finds the end of an object or array by its brackets; what follows does not count.
#[derive(Debug, Default)]
pub(super) struct Body {
    place: Place,
    depth: u32,
    kept: Vec<u8>,
    pub(super) closed: bool,
    pub(super) too_long: bool,
    /// It begins like nothing that is read here.
    pub(super) foreign: bool,
}

impl Body {
    /// Reads on; the JSON text, once it is whole.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Option<Vec<u8>> {
        while let Some((&byte, rest)) = bytes.split_first() {
            let mut length = 1;
            match (self.place, byte) {
                (Place::Over, _) => return None,
                (Place::Front, b'{' | b'[') | (Place::Between, b'{' | b'[') => {
                    self.place = Place::Between;
                    self.depth = self.depth.saturating_add(1);
                }
                (Place::Front, byte)
                    if byte.is_ascii_whitespace() || BYTE_ORDER_MARK.contains(&byte) =>
                {
                    bytes = rest;
                    continue;
                }
                (Place::Front, _) => {
                    self.foreign = true;
                    self.place = Place::Over;
                    return None;
                }
                (Place::Between, b'"') => self.place = Place::InText,
                (Place::Between, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
                (Place::Between, _) => {}
                (Place::InText, b'"') => self.place = Place::Between,
                (Place::InText, b'\\') => self.place = Place::Escaped,
                (Place::InText, _) => length = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len()),
                (Place::Escaped, _) => self.place = Place::InText,
            }
            let (run, rest) = bytes.split_at_checked(length)?;
            self.too_long |= self.kept.len() + length > LONGEST;
            if self.too_long {
                // Only its end is looked for.
                self.kept = Vec::new();
            } else {
                self.kept.extend_from_slice(run);
            }
            bytes = rest;
            if self.depth == 0 {
                self.place = Place::Over;
                self.closed = true;
                return (!self.too_long).then(|| std::mem::take(&mut self.kept));
            }
        }
        None
    }
}
