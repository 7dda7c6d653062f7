//! What must hold for every body, however broken.

use pointsman_core::features::extract;
use pointsman_core::prompt::{ApiFormat, MAX_TURNS, Prompt, PromptError};
use pointsman_core::rewrite::splice;
use pointsman_core::target::Edit;

/// Reads `data` in every format, whole and as a beginning, and rewrites it.
///
/// # Panics
///
/// When something does not hold.
pub fn body(data: &[u8]) {
    let edits = [
        Edit { field: "model".into(), value: r#""target-model""#.into(), add: true },
        Edit { field: "max_tokens".into(), value: "7".into(), add: false },
    ];
    for format in ApiFormat::ALL {
        let mut readable = false;
        for truncated in [false, true] {
            let mut bytes = data.to_vec();
            match Prompt::parse(format, &mut bytes, truncated) {
                Ok(prompt) => {
                    bounded(&prompt, data.len());
                    readable |= !truncated;
                }
                Err(PromptError::NoPrompt) => readable |= !truncated,
                Err(_) => {}
            }
        }
        if readable && let Some(spliced) = splice(data, &edits, true) {
            says(&spliced, "model", "target-model");
        }
    }
    for whole in [false, true] {
        if let Some(spliced) = splice(data, &edits, whole) {
            // Only the two values and what is added in front may make a difference.
            let shortest = spliced.len().min(data.len());
            let same = spliced.iter().zip(data).take_while(|(a, b)| a == b).count();
            assert!(same > 0 || shortest == 0, "the opening bracket stays");
        }
    }
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
