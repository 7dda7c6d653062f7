//! What a model thought before it answered, as models mark it in the text.

use std::sync::LazyLock;

use regex::Regex;
use serde::de::IgnoredAny;

/// Marks of nothing but thinking.
const HARD: &str = r"think(?:ing)?|thought|reasoning|seed:think";
/// Marks that an answer may also have because it was asked to.
const SOFT: &str = r"reflection|scratchpad|analysis";
/// Marks that come without angle brackets: begin and end.
const OTHERS: [(&str, &str); 4] = [
    (r"\[think\]", r"\[/think\]"),
    ("◁think▷", "◁/think▷"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|channel\|>analysis<\|message\|>", r"<\|channel\|>final<\|message\|>"),
];
/// What surrounds an answer that a server has not taken apart.
const EDGES: [&str; 9] = [
    "<|begin_of_solution|>",
    "<|end_of_solution|>",
    "<|return|>",
    "<|end|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
];

fn begin() -> &'static Regex {
    static BEGIN: LazyLock<Regex> = LazyLock::new(|| {
        let others = OTHERS.map(|(begin, _)| begin).join("|");
        pattern(&format!(
            r"(?i)(?:<|&lt;)\s*(?:{HARD}|{SOFT})\b[^<>\n]{{0,80}}?(?:>|&gt;)|{others}"
        ))
    });
    &BEGIN
}

fn end() -> &'static Regex {
    static END: LazyLock<Regex> = LazyLock::new(|| {
        let others = OTHERS.map(|(_, end)| end).join("|");
        pattern(&format!(r"(?i)(?:<|&lt;)\s*/\s*(?:{HARD}|{SOFT})\s*(?:>|&gt;)|{others}"))
    });
    &END
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern, compiled by the tests")
}

/// A text without its thinking: what stands behind the last end of it, or before it when the model
/// went on thinking behind its answer. Thinking that does not end is all there is.
pub fn conclusion(text: &str) -> &str {
    let rest = without(text);
    // "<analysis>" may be what was asked for: then it is the answer.
    let answer = if rest.trim().is_empty() && is_soft(text) { text } else { rest };
    let mut trimmed = answer;
    loop {
        let bare = trimmed.trim();
        let inside = EDGES
            .iter()
            .find_map(|edge| bare.strip_prefix(edge).or_else(|| bare.strip_suffix(edge)));
        match inside {
            Some(inside) => trimmed = inside,
            // What has no edges keeps its white space.
            None => return if trimmed.len() == answer.len() { answer } else { bare },
        }
    }
}

fn without(text: &str) -> &str {
    // More thoughts than these behind an answer are no answer.
    const MOST: usize = 8;
    let mut rest = text;
    for _ in 0..MOST {
        match split(rest) {
            Ok(answer) => return answer,
            Err(before) => rest = before,
        }
    }
    ""
}

/// What stands behind the last thought; where nothing does, what stands before it, as the error.
fn split(text: &str) -> Result<&str, &str> {
    let first = begin().find(text);
    if first.is_none() && !end().is_match(text) {
        return Ok(text);
    }
    let begins = first.is_some_and(|it| text[..it.start()].trim().is_empty());
    // In JSON and in code, a mark that no thinking begins is one that is written about.
    if !begins && is_json(text) {
        return Ok(text);
    }
    let mut code = Code::default();
    let outside = end().find_iter(text).filter(|it| begins || !code.is_open(text, it.start()));
    let Some(last) = outside.last() else {
        let said = first.filter(|it| begins || !Code::default().is_open(text, it.start()));
        return Ok(said.map_or(text, |it| &text[..it.start()]));
    };
    let rest = &text[last.end()..];
    // Another thought that has begun, and does not end.
    let rest = begin().find(rest).map_or(rest, |it| &rest[..it.start()]);
    match begin().find_iter(&text[..last.start()]).last() {
        Some(opened) if rest.trim().is_empty() => Err(&text[..opened.start()]),
        _ => Ok(rest),
    }
}

fn is_soft(text: &str) -> bool {
    static MARK: LazyLock<Regex> =
        LazyLock::new(|| pattern(&format!(r"(?i)^\s*<(?:{SOFT})\b[^<>\n]{{0,80}}>")));
    MARK.is_match(text)
}

fn is_json(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Follows fences and back quotes through a text.
#[derive(Default)]
struct Code {
    place: usize,
    fences: usize,
    /// Single ones, on the line.
    quotes: usize,
}

impl Code {
    /// Whether a fence or a back quote is open at a place, which is behind the last one asked for.
    fn is_open(&mut self, text: &str, place: usize) -> bool {
        let between = &text[self.place..place];
        self.place = place;
        self.fences += between.matches("```").count();
        let line = match between.rfind('\n') {
            Some(at) => {
                self.quotes = 0;
                &between[at..]
            }
            None => between,
        };
        self.quotes += line.replace("```", "").matches('`').count();
        self.fences % 2 == 1 || self.quotes % 2 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_is_left_out_wherever_it_stands() {
        for (text, answer) in [
            ("<think>a</think>b", "b"),
            ("a</think>b", "b"),
            ("<think>a", ""),
            ("<think>a</think>", ""),
            ("b\n<think>a</think>", "b"),
            ("b\n<think>a</think>\n<think>c</think>", "b"),
            ("```\nx </think>\n```", "```\nx </think>\n```"),
            ("b <think>a", "b"),
            ("< think >a</ think >b", "b"),
            ("&lt;think&gt;a&lt;/think&gt;b", "b"),
            ("<think>a</think>b<think>c</think>d", "d"),
            ("<think type=\"x\">a</think>b", "b"),
            ("<reflection>a</reflection>b", "b"),
            (
                "<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>b<|end_of_solution|>",
                "b",
            ),
            ("b<|return|>", "b"),
            ("{\"a\": \"</think>\"}", "{\"a\": \"</think>\"}"),
            ("Write `</think>` at the end", "Write `</think>` at the end"),
            ("I analysed the analysis", "I analysed the analysis"),
            ("<analysis>a</analysis>", "<analysis>a</analysis>"),
        ] {
            assert_eq!(conclusion(text).trim(), answer, "{text}");
        }
    }
}
