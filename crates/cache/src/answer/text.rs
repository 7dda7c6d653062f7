//! What an answer says to a reader: its text without thoughts, and without what cannot be seen.

use serde_json::Value;

/// How models mark what they think where their server does not part it, in lower case: begin and
/// end.
const THOUGHTS: [(&str, &str); 13] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<analysis>", "</analysis>"),
    ("<seed:think>", "</seed:think>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
    ("<|channel|>commentary<|message|>", "<|end|>"),
];

/// A text that may come in pieces.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Adds a piece, if it is one.
    pub(super) fn add(&mut self, piece: &Value) {
        self.0.push_str(piece.as_str().unwrap_or_default());
    }

    /// Whether there is something for a reader in it.
    pub(super) fn says(&self) -> bool {
        says(&self.0)
    }
}

/// Whether a text says something: not only thoughts, and not only what cannot be seen. A thought
/// that does not end is all of the rest; one that only ends began in the prompt.
fn says(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let mut rest = seen(&lower);
    while let Some((begin, end)) = THOUGHTS.iter().find(|(begin, _)| rest.starts_with(begin)) {
        rest = rest[begin.len()..].split_once(end).map_or("", |(_, rest)| seen(rest));
    }
    let ends_as_thought = |(_, end): &(&str, &str)| {
        rest.rsplit_once(end).is_some_and(|(_, behind)| seen(behind).is_empty())
    };
    // "Oslo.<think>done</think>" is an answer, "done</think>" is none.
    let begins = || THOUGHTS.iter().any(|(begin, _)| rest.contains(begin));
    !rest.is_empty() && (begins() || !THOUGHTS.iter().any(ends_as_thought))
}

/// A text from its first visible character on.
fn seen(text: &str) -> &str {
    text.trim_start_matches(is_invisible)
}

/// White space, control characters, and what is there to be ignored: Unicode's
/// `Default_Ignorable_Code_Point`, and the blank of Braille.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fff8}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_and_what_cannot_be_seen_say_nothing() {
        for text in [
            "",
            " \n\t",
            "\u{a0}\u{2003}\u{3000}",
            "\u{200b}",
            "\u{feff}\u{2060}\u{ad}",
            "\u{0}\u{1b}",
            "\u{e0041}\u{fe0f}",
            "\u{2800}",
            "<think>still",
            "<think>a</think>",
            "\u{feff} <Think>a</THINK>\u{200b}\n",
            "<think></think>",
            "<think>a</think><think>b</think> ",
            "<think>a<think>b</think></think>",
            "<thinking>a",
            "<reasoning>a</reasoning>\n<scratchpad>b",
            "<|begin_of_thought|>a<|end_of_thought|>",
            "<|channel|>analysis<|message|>They ask for a city.<|end|>",
            "◁think▷a◁/think▷",
            "[THINK]a[/THINK]",
            "It began in the prompt.</think>\n",
        ] {
            assert!(!says(text), "{text:?}");
        }
    }

    #[test]
    fn what_stands_next_to_thoughts_is_an_answer() {
        for text in [
            "Oslo",
            "7",
            ".",
            "👍🏽",
            "\u{feff}Oslo",
            "<think>a</think>Oslo",
            "<think>a</think>\n\n<thinking>b</thinking> Oslo",
            "It began in the prompt.</think>Oslo",
            "Oslo <think>done</think>",
            "Models write <think> first and </think> last.",
            "Put it between `<think>` and `</think>`",
            "<thinker>a",
            "<p></p>",
            "न\u{200d}",
        ] {
            assert!(says(text), "{text:?}");
        }
    }
}
