//! How many tokens a text has at most, told by its characters alone.
//!
//! No vocabulary is at hand, and each target has another. What all of them share is that a word
//! of a language with an alphabet is one token or a few, a digit may be one of its own, and rare
//! scripts are spelled in bytes. The costs below were held against two real vocabularies (see the
//! tests); text that nobody writes, like letters in no order, may still have more tokens.

use memchr::memchr;

use super::json::code_unit;

/// Costs are counted in eighths of a token.
const TOKEN: u64 = 8;
/// What a message, or any other object, costs in addition to its strings.
const OBJECT: u64 = 3 * TOKEN;
/// Letters up to which a run may be a word; what is longer is an encoding.
const WORD: u32 = 16;

/// As many tokens as a JSON text has at most, without the strings or values in `payloads`, which
/// are parts of it. What is no JSON is counted as one string.
pub(super) fn at_most(json: &[u8], payloads: &[&str]) -> u64 {
    let mut counter = Counter::default();
    let mut position = 0;
    let mut payloads = payloads.iter().map(|payload| within(json, payload)).peekable();
    if !matches!(json.first(), Some(b'{' | b'[')) {
        counter.text(json);
        return counter.tokens();
    }
    while let Some(&byte) = json.get(position) {
        while payloads.next_if(|(start, _)| *start < position).is_some() {}
        if let Some((_, end)) = payloads.next_if(|(start, _)| *start == position) {
            position = end;
            continue;
        }
        match byte {
            b'"' => {
                let start = position + 1;
                let end = string_end(json, start);
                counter.text(json.get(start..end).unwrap_or_default());
                position = end;
            }
            b'{' => counter.eighths += OBJECT,
            // Numbers: prompts in tokens, bounds in a schema.
            b'0'..=b'9' => counter.eighths += TOKEN,
            _ => {}
        }
        position += 1;
    }
    counter.tokens()
}

/// Where a part of a text begins and ends.
fn within(text: &[u8], part: &str) -> (usize, usize) {
    let start = part.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    (start, start.saturating_add(part.len()))
}

/// Position of the quote that ends the string whose content begins at `position`.
fn string_end(json: &[u8], mut position: usize) -> usize {
    while let Some(found) = memchr(b'"', json.get(position..).unwrap_or_default()) {
        let at = position + found;
        let before = json.get(..at).unwrap_or_default();
        let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 0 {
            return at;
        }
        position = at + 1;
    }
    json.len()
}

/// What a character is for a tokenizer.
#[derive(Clone, Copy, Default, PartialEq)]
enum Class {
    Lower,
    Upper,
    Digit,
    Space,
    /// With the character: repeated ones are fewer tokens.
    Mark(u8),
    #[default]
    Other,
}

#[derive(Default)]
struct Counter {
    eighths: u64,
    previous: Class,
    /// Letters without anything between them.
    run: u32,
    /// Cases, or digits and letters, alternate: an encoding more likely than a word.
    mixed: bool,
}

impl Counter {
    fn tokens(&self) -> u64 {
        self.eighths.div_ceil(TOKEN)
    }

    /// Counts the content of a JSON string, as it stands there.
    fn text(&mut self, text: &[u8]) {
        self.other(0);
        let mut position = 0;
        while let Some(&byte) = text.get(position) {
            position += 1;
            match byte {
                b'\\' => {
                    let escape = text.get(position - 1..).unwrap_or_default();
                    match code_unit(escape) {
                        Some(unit) => {
                            self.other(cost_of_unit(unit));
                            position += 5;
                        }
                        None => {
                            self.ascii(Class::Mark(escape.get(1).copied().unwrap_or_default()));
                            position += 1;
                        }
                    }
                }
                b'a'..=b'z' => self.ascii(Class::Lower),
                b'A'..=b'Z' => self.ascii(Class::Upper),
                b'0'..=b'9' => self.ascii(Class::Digit),
                b' ' | b'\t' | b'\n' | b'\r' => self.ascii(Class::Space),
                0..=0x7F => self.ascii(Class::Mark(byte)),
                // The bytes behind the first of a character.
                0x80..=0xBF => {}
                0xC0..=0xFF => self.other(cost_of_lead(byte)),
            }
        }
    }

    fn ascii(&mut self, class: Class) {
        let previous = std::mem::replace(&mut self.previous, class);
        let letter = matches!(class, Class::Lower | Class::Upper);
        self.run = if letter { self.run + 1 } else { 0 };
        let turns = matches!(
            (previous, class),
            (Class::Lower, Class::Upper) | (Class::Digit, Class::Lower | Class::Upper)
        );
        self.mixed = (letter || class == Class::Digit) && (self.mixed || turns);
        let long = self.run > WORD;
        self.eighths += match (previous, class) {
            // A space is one token with the word behind it, and many are one.
            (Class::Space, Class::Lower | Class::Upper) => 0,
            (Class::Space, Class::Space) => 1,
            (Class::Lower | Class::Upper, Class::Lower) if long => 5,
            (Class::Lower | Class::Upper, Class::Lower) if self.mixed => 4,
            (Class::Lower | Class::Upper, Class::Lower) => 2,
            (Class::Upper, Class::Upper) => 5,
            (Class::Mark(before), Class::Mark(this)) if before == this => 4,
            _ => TOKEN,
        };
    }

    fn other(&mut self, cost: u64) {
        (self.previous, self.run, self.mixed) = (Class::Other, 0, false);
        self.eighths += cost;
    }
}

/// What a character costs by the first of its bytes in UTF-8.
fn cost_of_lead(byte: u8) -> u64 {
    match byte {
        // Letters of Latin alphabets, which break words.
        0xC0..=0xC9 => TOKEN,
        // Greek, Cyrillic, Hebrew, Arabic, …
        0xCA..=0xDF => 10,
        // Kana.
        0xE3 => 12,
        // Han and Hangul.
        0xE4..=0xED => 18,
        // Scripts and signs that are spelled in bytes.
        0xE0..=0xEF => 3 * TOKEN,
        _ => 4 * TOKEN,
    }
}

/// The same by its code unit in UTF-16.
fn cost_of_unit(unit: u16) -> u64 {
    match unit {
        0..=0x27F => TOKEN,
        0x280..=0x7FF => 10,
        0x3000..=0x3FFF => 12,
        0x4000..=0xD7FF => 18,
        // One half of a pair.
        0xD800..=0xDFFF => 2 * TOKEN,
        _ => 3 * TOKEN,
    }
}

#[cfg(test)]
mod tests;
