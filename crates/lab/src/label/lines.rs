//! Lines of a log as JSON objects.

use std::path::Path;

use serde_json::Value;

use super::error::LabelError;
use super::record::RecordError;
use crate::files::{Problems, Records};

/// Parses one line as a JSON object.
pub(super) fn parse_object(line: &[u8]) -> Result<Value, RecordError> {
    let text = std::str::from_utf8(line)
        .map_err(|error| RecordError::Broken(format!("not UTF-8: {error}")))?;
    let parsed = serde_json::from_str::<Value>(text);
    match parsed.or_else(|error| mend(text).ok_or(error)) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(RecordError::Broken("not a JSON object".into())),
        Err(error) => Err(RecordError::Broken(format!("not JSON: {error}"))),
    }
}

/// JSON with halves of surrogate pairs, which stand for no character: U+FFFD, as the filter reads
/// them.
fn mend(text: &str) -> Option<Value> {
    const HALF: std::ops::RangeInclusive<u32> = 0xd800..=0xdfff;
    let escape = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let mut mended = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let taken = match (c, escape(at)) {
            ('\\', Some(code)) if HALF.contains(&code) => {
                let low = |code: &u32| (0xdc00..=0xdfff).contains(code);
                let pair = code < 0xdc00 && escape(at + 6).as_ref().is_some_and(low);
                let taken = if pair { 12 } else { 6 };
                mended.push_str(if pair { &text[at..at + taken] } else { "\\ufffd" });
                taken
            }
            // An escaped backslash begins no escape.
            ('\\', _) => {
                let taken = 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8);
                mended.push_str(&text[at..at + taken]);
                taken
            }
            (c, _) => {
                mended.push(c);
                c.len_utf8()
            }
        };
        at += taken;
    }
    serde_json::from_str(&mended).ok()
}

/// Visits the objects of a file with their lines; other lines are counted.
///
/// # Errors
/// The file cannot be read, what `visit` says, or `--strict` met a broken line.
pub(super) fn each_object(
    path: &Path,
    problems: &mut Problems,
    mut visit: impl FnMut(usize, &Value, &mut Problems) -> Result<(), LabelError>,
) -> Result<(), LabelError> {
    let mut lines = Records::open(path).map_err(LabelError::input(path))?;
    while let Some((line, bytes, _)) = lines.next_whole(problems)? {
        match parse_object(bytes) {
            Ok(value) => visit(line, &value, problems)?,
            Err(error) => problems.add(error.problem(), path, line, error.to_string())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_surrogate_pair_is_no_damage() {
        let line = br#"{"request": "Hi \ud83d\ude00 \ud83d! \\ud83d", "response": "a"}"#;
        let value = parse_object(line).expect("an object");
        assert_eq!(value["request"], "Hi \u{1f600} \u{fffd}! \\ud83d");
    }
}
