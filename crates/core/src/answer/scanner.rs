//! Finds the `usage` object in JSON that comes in pieces, without keeping the rest.

use memchr::memchr2;

/// Longest `usage` object that is kept, in bytes; providers' have a few hundred.
const MAX_USAGE_BYTES: usize = 4096;
/// How deep a `usage` object may stand: in the answer itself, or in the `response` or `message`
/// that an event carries. What a model writes into tool arguments stands deeper.
const DEPTHS: std::ops::RangeInclusive<u32> = 1..=2;
const KEY: &[u8] = b"usage";

/// What the last bytes were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between values.
    Between,
    /// In a string; `matched` bytes of [`KEY`] so far, `None` when it is another string.
    InString { matched: Option<usize>, escaped: bool },
    /// Behind the string `usage`.
    BehindKey,
    /// Behind `"usage":`.
    BehindColon,
}

/// A scanner over one JSON text. Memory is bounded by [`MAX_USAGE_BYTES`], time is linear.
#[derive(Debug)]
pub(super) struct Scanner {
    state: State,
    depth: u32,
    /// Depth of the object that is kept, while one is.
    keeping: Option<u32>,
    kept: Vec<u8>,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Scanner { state: State::Between, depth: 0, keeping: None, kept: Vec::new() }
    }

    /// A new JSON text begins.
    pub(super) fn reset(&mut self) {
        self.state = State::Between;
        self.depth = 0;
        self.keeping = None;
        self.kept.clear();
    }

    /// Reads on; `found` gets every `usage` object, as JSON.
    pub(super) fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(&[u8])) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let State::InString { matched, escaped: false } = self.state {
                let length = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
                let (text, rest) = bytes.split_at(length);
                if length > 0 {
                    let matched = matched.and_then(|matched| matched_on(matched, text));
                    self.state = State::InString { matched, escaped: false };
                    self.keep(text);
                    bytes = rest;
                    continue;
                }
            }
            self.keep(&[byte]);
            self.step(byte, &mut found);
            bytes = rest;
        }
    }

    fn step(&mut self, byte: u8, found: &mut impl FnMut(&[u8])) {
        self.state = match (self.state, byte) {
            (State::InString { escaped: true, .. }, _) => {
                State::InString { matched: None, escaped: false }
            }
            (State::InString { .. }, b'\\') => State::InString { matched: None, escaped: true },
            (State::InString { matched, .. }, _) => {
                if matched == Some(KEY.len()) && DEPTHS.contains(&self.depth) {
                    State::BehindKey
                } else {
                    State::Between
                }
            }
            (_, b'"') => State::InString { matched: Some(0), escaped: false },
            (State::BehindKey, b':') => State::BehindColon,
            (State::BehindKey | State::BehindColon, b' ' | b'\t' | b'\r' | b'\n') => self.state,
            (state, b'{' | b'[') => {
                if state == State::BehindColon && byte == b'{' && self.keeping.is_none() {
                    self.keeping = Some(self.depth);
                    self.kept.clear();
                    self.kept.push(byte);
                }
                self.depth = self.depth.saturating_add(1);
                State::Between
            }
            (_, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                if self.keeping == Some(self.depth) {
                    self.keeping = None;
                    found(&self.kept);
                }
                State::Between
            }
            _ => State::Between,
        };
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.keeping.is_none() {
            return;
        }
        if self.kept.len() + bytes.len() > MAX_USAGE_BYTES {
            self.keeping = None;
            return;
        }
        self.kept.extend_from_slice(bytes);
    }
}

/// How much of [`KEY`] is matched when `text` follows `matched` bytes of it.
fn matched_on(matched: usize, text: &[u8]) -> Option<usize> {
    let expected = KEY.get(matched..)?;
    expected.starts_with(text).then_some(matched + text.len())
}
