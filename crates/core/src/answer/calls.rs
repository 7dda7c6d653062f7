//! The arguments of tool calls, put together from the pieces that they come in.

use serde_json::value::RawValue;

/// Calls that are checked, and bytes of arguments that are kept for all of them together; what is
/// beyond counts as valid.
const CALLS: usize = 64;
pub(super) const BYTES: usize = 64 * 1024;

/// What a call is known by: the choice or the block that it belongs to, and its number there.
pub(super) type CallKey = (u32, u32);

/// Where calls go that have no number: one after the other.
pub(super) const UNNUMBERED: u32 = u32::MAX;

/// The calls of one answer.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Arguments as they stand in the JSON string, escapes and all.
    calls: Vec<(CallKey, Vec<u8>)>,
    bytes: usize,
    /// There was no room for all, and none is kept any more.
    incomplete: bool,
    invalid: bool,
}

impl Calls {
    /// More of a call's arguments.
    pub(super) fn add(&mut self, key: CallKey, arguments: &[u8]) {
        self.bytes = self.bytes.saturating_add(arguments.len());
        if self.bytes > BYTES {
            self.give_up();
        }
        if self.incomplete {
            return;
        }
        if let Some((_, call)) = self.calls.iter_mut().find(|(other, _)| *other == key) {
            call.extend_from_slice(arguments);
        } else if self.calls.len() < CALLS {
            self.calls.push((key, arguments.to_vec()));
        }
    }

    /// The whole arguments of a call.
    pub(super) fn check(&mut self, arguments: &[u8]) {
        self.invalid |= !self.incomplete && !are_objects(arguments);
    }

    /// There is too much: without the rest, a whole call cannot be told from a broken one.
    pub(super) fn give_up(&mut self) {
        self.incomplete = true;
        self.calls.clear();
    }

    /// Whether the arguments of a call are not a JSON object.
    pub(super) fn are_invalid(&self) -> bool {
        self.invalid || self.calls.iter().any(|(_, arguments)| !are_objects(arguments))
    }
}

/// Whether the text of a JSON string, escapes and all, is itself a JSON object, or several one
/// after the other: some providers give all calls the same number. Nothing at all stands for a
/// call without arguments.
fn are_objects(escaped: &[u8]) -> bool {
    let quoted = [b"\"", escaped, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).is_ok_and(|text| {
        let mut values = serde_json::Deserializer::from_str(&text).into_iter::<&RawValue>();
        values.all(|value| value.is_ok_and(|value| value.get().starts_with('{')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_one_or_more_objects_or_nothing() {
        for (escaped, valid) in [
            ("", true),
            (" ", true),
            (r#"{\"a\":1}"#, true),
            (r#"{\"a\":1}{\"a\":2}"#, true),
            (r#"{\"a\":1}{\"a\""#, false),
            (r#"{\"a\""#, false),
            ("[1]", false),
            ("null", false),
            (r"\ud83d", false),
        ] {
            assert_eq!(are_objects(escaped.as_bytes()), valid, "{escaped}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_not_called_invalid() {
        let mut calls = Calls::default();
        calls.add((0, 0), &vec![b'x'; BYTES]);
        assert!(calls.are_invalid());
        calls.add((0, 1), b"y");
        assert!(!calls.are_invalid());
        calls.add((0, 2), b"z");
        assert!(!calls.are_invalid());
    }
}
