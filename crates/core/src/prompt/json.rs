//! One look at the raw body before it is parsed: cap the depth, close what was cut, mend halves of
//! characters.

use memchr::{memchr, memchr2};

use super::{MAX_DEPTH, PromptError};

/// Checks that `body` nests no deeper than [`MAX_DEPTH`] and, when it is only the beginning of a
/// body, completes it to valid JSON that holds everything read so far.
///
/// A byte order mark in front goes: many servers skip it. Half a surrogate pair, which is left of
/// an emoji where text was cut, becomes a replacement character. Nothing else is validated here:
/// the parser does that. Linear time, no allocation but the closing brackets.
pub(super) fn prepare(body: &mut Vec<u8>, truncated: bool) -> Result<(), PromptError> {
    if body.starts_with(BYTE_ORDER_MARK) {
        body.drain(..BYTE_ORDER_MARK.len());
    }
    let scan = Scan::run(body)?;
    if scan.surrogates {
        mend_surrogates(body);
    }
    if truncated {
        scan.complete(body);
    }
    Ok(())
}

/// U+FEFF in UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Puts U+FFFD in the place of every escaped surrogate without its other half: as many bytes.
fn mend_surrogates(body: &mut [u8]) {
    let mut position = 0;
    while let Some(found) = memchr(b'\\', body.get(position..).unwrap_or_default()) {
        let at = position + found;
        let unit = |at: usize| code_unit(body.get(at..)?);
        position = at + 2;
        match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => {
                position = at + 12;
            }
            Some(0xD800..=0xDFFF) => {
                if let Some(digits) = body.get_mut(at + 2..at + 6) {
                    digits.copy_from_slice(b"fffd");
                }
            }
            _ => {}
        }
    }
}

/// The UTF-16 unit of the escape sequence that `text` begins with.
pub(super) fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit: u16, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

/// Where the last complete value ends, and which containers are open there.
///
/// Opening and closing a container both move `complete_end`, so the open containers at the end
/// of the input are those at `complete_end` too.
struct Scan {
    depth: usize,
    /// Bit `n` is set when the container at depth `n` is an object.
    objects: u64,
    complete_end: usize,
    /// The end of an unfinished string value, before any unfinished escape.
    open_string_end: Option<usize>,
    /// Some escape is half of a surrogate pair, with or without the other half.
    surrogates: bool,
}

impl Scan {
    fn run(body: &[u8]) -> Result<Self, PromptError> {
        let mut scan = Scan {
            depth: 0,
            objects: 0,
            complete_end: 0,
            open_string_end: None,
            surrogates: false,
        };
        let mut after_colon = false;
        let mut position = 0;
        while let Some(&byte) = body.get(position) {
            position += 1;
            match byte {
                b'{' | b'[' => {
                    if scan.depth == MAX_DEPTH {
                        return Err(PromptError::TooDeep);
                    }
                    let bit = 1_u64 << scan.depth;
                    scan.objects =
                        if byte == b'{' { scan.objects | bit } else { scan.objects & !bit };
                    scan.depth += 1;
                    scan.complete_end = position;
                    after_colon = false;
                }
                b'}' | b']' => {
                    scan.depth = scan.depth.saturating_sub(1);
                    scan.complete_end = position;
                }
                b',' => {
                    scan.complete_end = position - 1;
                    after_colon = false;
                }
                b':' => after_colon = true,
                b'"' => {
                    let is_value = after_colon || !scan.in_object();
                    match string_end(body, position, &mut scan.surrogates) {
                        StringEnd::Closed(end) => {
                            position = end;
                            if is_value {
                                scan.complete_end = end;
                            }
                        }
                        StringEnd::Open(end) => {
                            scan.open_string_end = is_value.then_some(end);
                            break;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(scan)
    }

    fn in_object(&self) -> bool {
        self.depth.checked_sub(1).is_some_and(|top| self.objects >> top & 1 == 1)
    }

    fn complete(mut self, body: &mut Vec<u8>) {
        if let Some(end) = self.open_string_end {
            body.truncate(end);
            body.push(b'"');
        } else {
            body.truncate(self.complete_end);
        }
        while self.depth > 0 {
            body.push(if self.in_object() { b'}' } else { b']' });
            self.depth -= 1;
        }
    }
}

enum StringEnd {
    /// Position behind the closing quote.
    Closed(usize),
    /// No closing quote: position up to which the content is whole.
    Open(usize),
}

/// Finds the end of the string whose content starts at `position`.
fn string_end(body: &[u8], mut position: usize, surrogates: &mut bool) -> StringEnd {
    loop {
        let rest = body.get(position..).unwrap_or_default();
        let Some(found) = memchr2(b'"', b'\\', rest) else {
            return StringEnd::Open(position + whole_characters(rest));
        };
        let at = position + found;
        if body.get(at) == Some(&b'"') {
            return StringEnd::Closed(at + 1);
        }
        let escape = body.get(at..).unwrap_or_default();
        let length = escape_length(escape);
        *surrogates |= matches!(escape, [_, b'u', b'd' | b'D', ..]);
        if escape.len() < length {
            return StringEnd::Open(at);
        }
        position = at + length;
    }
}

/// Bytes that the escape sequence at the start of `escape` takes. A high surrogate takes its
/// partner along, because half a pair is not a character.
fn escape_length(escape: &[u8]) -> usize {
    match (escape.get(1), escape.get(2), escape.get(3)) {
        (Some(b'u'), Some(b'd' | b'D'), Some(b'8' | b'9' | b'a' | b'b' | b'A' | b'B')) => {
            // Only a cut pair is completed here; a lone surrogate is mended.
            if escape.len() < 12 && !escape.contains(&b'"') { 12 } else { 6 }
        }
        (Some(b'u'), ..) => 6,
        _ => 2,
    }
}

/// Length of `bytes` without a UTF-8 sequence that is cut at its end.
fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(4);
    let cut = bytes.iter().enumerate().skip(tail).rfind(|(_, byte)| **byte & 0xC0 != 0x80);
    match cut {
        Some((start, &lead)) => {
            let wanted = match lead {
                0xC0..=0xDF => 2,
                0xE0..=0xEF => 3,
                0xF0..=0xFF => 4,
                _ => 1,
            };
            if bytes.len() - start < wanted { start } else { bytes.len() }
        }
        None => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(text: &str) -> String {
        let mut body = text.as_bytes().to_vec();
        prepare(&mut body, true).unwrap();
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn every_prefix_of_a_body_completes_to_valid_json() {
        let text = r#"{"a":[1,-2.5e3,true,null,"x\u00e9\ud83d\ude00é😀\"q\\"],"b":{"c":{},"d":[[]]},"e":"z"}"#;
        for end in 1..=text.len() {
            let mut body = text.as_bytes()[..end].to_vec();
            prepare(&mut body, true).unwrap();
            serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_else(|error| {
                panic!("{end}: {error}: {:?}", String::from_utf8_lossy(&body))
            });
        }
    }

    #[test]
    fn a_cut_string_keeps_what_was_read() {
        assert_eq!(completed(r#"{"a":"hello wor"#), r#"{"a":"hello wor"}"#);
        assert_eq!(completed(r#"{"a":1,"b":tr"#), r#"{"a":1}"#);
        assert_eq!(completed(r#"{"a":1,"key"#), r#"{"a":1}"#);
        assert_eq!(completed(r#"["x\ud83d\ude"#), r#"["x"]"#);
    }

    #[test]
    fn half_a_pair_is_a_replacement_character_and_a_whole_one_stays() {
        for (text, mended) in [
            (r#"["\ud83d"]"#, r#"["\ufffd"]"#),
            (r#"["\uDE00 a \ud83D!"]"#, r#"["\ufffd a \ufffd!"]"#),
            (r#"["\ud83d\ud83d\ude00"]"#, r#"["\ufffd\ud83d\ude00"]"#),
            (r#"["\ud83d\u00e9","\ud7ff\ue000"]"#, r#"["\ufffd\u00e9","\ud7ff\ue000"]"#),
            (r#"["\\ud83d"]"#, r#"["\\ud83d"]"#),
            ("\u{feff}[1]", "[1]"),
        ] {
            let mut body = text.as_bytes().to_vec();
            prepare(&mut body, false).unwrap();
            assert_eq!(String::from_utf8(body).unwrap(), mended, "{text}");
        }
    }

    #[test]
    fn nesting_is_capped() {
        let mut deepest = "[".repeat(MAX_DEPTH).into_bytes();
        assert_eq!(prepare(&mut deepest, false), Ok(()));
        let mut deeper = "[".repeat(MAX_DEPTH + 1).into_bytes();
        assert_eq!(prepare(&mut deeper, false), Err(PromptError::TooDeep));
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        let mut body = format!("\"{}\"", "[".repeat(1000)).into_bytes();
        assert_eq!(prepare(&mut body, false), Ok(()));
    }
}
