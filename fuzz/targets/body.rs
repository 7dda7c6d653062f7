//! What must hold for every body, however broken.

use pointsman_cache::{Limits, PartitionKey, lookup};
use pointsman_core::features::extract;
use pointsman_core::prompt::{ApiFormat, MAX_TURNS, Prompt, PromptError};
use pointsman_core::rewrite::{Stream, splice};
use pointsman_core::target::Edit;

/// Reads `data` in every format, whole and as a beginning, rewrites it, and looks it up in a cache.
///
/// # Panics
///
/// When something does not hold.
pub fn body(data: &[u8]) -> bool {
    let edits = [
        Edit::set("model", r#""target-model""#),
        Edit { add: false, ..Edit::set("max_tokens", "7") },
        Edit::remove("temperature"),
    ];
    let mut read = false;
    for format in ApiFormat::ALL {
        let mut readable = false;
        for truncated in [false, true] {
            let mut bytes = data.to_vec();
            match Prompt::parse(format, &mut bytes, truncated) {
                Ok(prompt) => {
                    bounded(&prompt, data.len());
                    readable |= !truncated;
                    read = true;
                }
                Err(PromptError::NoPrompt) => readable |= !truncated,
                Err(_) => {}
            }
        }
        if readable && let Ok(Some(spliced)) = splice(data, &edits) {
            says(&spliced, "model", "target-model");
        }
    }
    if let Ok(Some(spliced)) = splice(data, &edits) {
        // Only values and what is added in front may make a difference.
        let shortest = spliced.len().min(data.len());
        let same = spliced.iter().zip(data).take_while(|(a, b)| a == b).count();
        assert!(same > 0 || shortest == 0, "the opening bracket stays");
    }
    in_pieces(data, &edits);
    looked_up(data);
    read
}

/// However a body is cut, the same bytes are sent, and as many as were promised with its first piece.
fn in_pieces(data: &[u8], edits: &[Edit]) {
    let (head, rest) = data.split_at(data.len() / 2);
    let streamed = |size: usize| {
        let (mut sent, mut stream) = Stream::begin(head, edits)?;
        let promised = sent.len() + stream.held() + rest.len();
        rest.chunks(size).for_each(|piece| sent.extend(stream.feed(piece, false)));
        sent.extend(stream.feed(b"", true));
        assert_eq!(sent.len(), promised, "{}", String::from_utf8_lossy(data));
        Some(sent)
    };
    let whole = streamed(rest.len().max(1));
    for size in [1, 7] {
        assert_eq!(streamed(size), whole, "in pieces of {size}");
    }
}

/// A cache knows a request with other white space, too.
fn looked_up(data: &[u8]) {
    let key = PartitionKey { target: "cheap", path: "/v1/chat/completions", ..Default::default() };
    let limits = Limits { tools: true, ..Limits::default() };
    for format in ApiFormat::ALL {
        let Ok(found) = lookup(format, data, &key, &limits) else { continue };
        let again = lookup(format, &spaced(data), &key, &limits);
        assert_eq!(again, Ok(found), "{}", String::from_utf8_lossy(data));
    }
}

/// JSON with white space wherever there may be some.
fn spaced(json: &[u8]) -> Vec<u8> {
    let (mut spaced, mut in_text, mut escaped) = (vec![b'\n'], false, false);
    for &byte in json {
        spaced.push(byte);
        in_text ^= byte == b'"' && !escaped;
        escaped = in_text && byte == b'\\' && !escaped;
        if !in_text && b"\"{}[],:".contains(&byte) {
            spaced.push(b' ');
        }
    }
    spaced
}

/// What is kept is not larger than what was read, and features are in range.
fn bounded(prompt: &Prompt, read: usize) {
    let text: usize = prompt.turns.iter().map(|turn| turn.text.len()).sum();
    assert!(text <= read, "{text} bytes of text from {read}");
    assert!(prompt.turns.len() <= MAX_TURNS);
    assert!(prompt.parameters.tools_bytes <= read);
    assert!(extract(prompt).as_slice().iter().all(|value| value.is_finite()));
}

/// A strict parser reads the rewritten body and finds the value.
fn says(body: &[u8], field: &str, expected: &str) {
    // Values that serde_json refuses elsewhere (numbers out of range, lone surrogates) are the
    // client's affair; the parser that routes skips them unread.
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) {
        assert_eq!(value[field], expected, "{}", String::from_utf8_lossy(body));
    }
}
