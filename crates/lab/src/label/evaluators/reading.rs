//! A model reads a request by a rubric, and says how likely a small model's answer is good enough.
//! No answers are needed, and none is compared: what it says is a judgement, not an outcome.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::regex;
use crate::label::answer::ModelAnswer;
use crate::label::request::Request;

/// What the reader is told. Its first line has its version, and so has every call's key: another
/// rubric is asked anew.
const RUBRIC: &str = include_str!("rubric.md");
/// Room for the reasons, and for a reader that thinks.
const MAX_TOKENS: u64 = 2048;
/// Bytes of a request that are shown. Of a longer one the middle is left out: what is asked stands at
/// its ends.
const MAX_BYTES: usize = 48 * 1024;

/// The body to ask a reader with.
pub fn body(request: &Request, model: &str) -> Value {
    let shown = shorten(&request.body().to_string());
    let text = format!("# Request\n```json\n{shown}\n```\n\n# Your estimate");
    json!({
        "model": model, "temperature": 0, "max_tokens": MAX_TOKENS,
        "messages": [
            {"role": "system", "content": RUBRIC},
            {"role": "user", "content": text},
        ],
    })
}

fn shorten(text: &str) -> String {
    if text.len() <= MAX_BYTES {
        return text.to_owned();
    }
    let start = text.floor_char_boundary(MAX_BYTES / 2);
    let end = text.ceil_char_boundary(text.len() - MAX_BYTES / 2);
    let left_out = end - start;
    format!("{}\n[… {left_out} bytes left out …]\n{}", &text[..start], &text[end..])
}

/// The probability, 0..1, in the answer of a reader; `None` when there is none.
pub fn read(answer: &ModelAnswer) -> Option<f64> {
    static SCORE: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?i)score\W{0,6}(\d{1,3}(?:\.\d+)?)(?:\s*%|\s*/\s*100)?\W*(?:\n|$)")
    });
    let text = answer.conclusion().trim();
    let last = SCORE.captures_iter(text).last();
    let number = last.as_ref().map_or(text, |found| found.get(1).map_or("", |it| it.as_str()));
    let percent = number.parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent))?;
    Some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_score_counts_and_only_a_valid_one() {
        let read = |text: &str| read(&ModelAnswer::from_text(text));
        for (text, expected) in [
            ("Easy.\nSCORE: 80", Some(0.8)),
            ("**Score:** 7", Some(0.07)),
            ("SCORE: 20\nNo, rather:\nSCORE: 35", Some(0.35)),
            ("<think>SCORE: 1</think>\nSCORE: 99", Some(0.99)),
            ("42", Some(0.42)),
            ("SCORE: 55/100", Some(0.55)),
            ("SCORE: 101", None),
            ("I cannot judge this.", None),
            ("", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn of_a_long_request_the_middle_is_left_out() {
        let text = format!("begin {} end", "ü".repeat(MAX_BYTES));
        let shown = shorten(&text);
        assert!(
            shown.len() < MAX_BYTES + 64 && shown.starts_with("begin") && shown.ends_with("end")
        );
    }
}
