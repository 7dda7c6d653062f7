//! Do two answers pick the same option of a multiple choice?

use std::sync::LazyLock;

use regex::Regex;

use super::{Pair, Unscorable, normalised_words, numeric::boxed, regex};

/// 1 when both pick the same letter, otherwise 0. An answer may also quote the option's text.
///
/// # Errors
/// The strong answer picks none.
pub fn score(pair: &Pair) -> Result<f64, Unscorable> {
    let question = pair.request.text();
    let strong = letter(&question, &pair.strong.text)
        .ok_or(Unscorable("the strong answer does not pick an option"))?;
    Ok(if letter(&question, &pair.cheap.text) == Some(strong) { 1.0 } else { 0.0 })
}

/// Whether the question lists at least two options, from A on.
pub fn has_options(question: &str) -> bool {
    let options = options(question);
    options.iter().any(|(letter, _)| *letter == 'A') && options.iter().any(|(l, _)| *l == 'B')
}

/// Whether the answer picks an option.
pub fn has_letter(question: &str, answer: &str) -> bool {
    letter(question, answer).is_some()
}

fn options(question: &str) -> Vec<(char, &str)> {
    static OPTION: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?m)^\s*[(\[]?([A-J])[)\].:]\s*(\S[^\n]*)$"));
    OPTION
        .captures_iter(question)
        .filter_map(|found| {
            let letter = found.get(1)?.as_str().chars().next()?;
            Some((letter, found.get(2)?.as_str().trim()))
        })
        .collect()
}

fn letter(question: &str, answer: &str) -> Option<char> {
    static MARKED: LazyLock<Regex> = LazyLock::new(|| {
        regex(concat!(
            r"(?i:\b(?:answer|option|choice)\**\s*(?:is|:|=|would be)?\**:?)",
            r"\s*[*(\[\x22']*([A-J])\b[)\]]?(?:[^a-zA-Z']|$)",
        ))
    });
    static FIRST: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^[*(\[\s]*([A-J])(?:[)\].:*,]|\s*$|\s*\n)"));
    static BRACKETED: LazyLock<Regex> = LazyLock::new(|| regex(r"[(\[*]([A-J])[)\]*]"));
    static LAST_LINE: LazyLock<Regex> = LazyLock::new(|| regex(r"\n\s*\**([A-J])\**[).:]?\s*$"));
    let first_char = |text: &str| text.chars().next();
    if let Some(inside) = boxed(answer) {
        static INSIDE: LazyLock<Regex> = LazyLock::new(|| regex(r"\b([A-J])\b"));
        if let Some(found) = INSIDE.captures(inside) {
            return first_char(&found[1]);
        }
    }
    let last = |pattern: &Regex| pattern.captures_iter(answer).last().map(|f| f[1].to_owned());
    last(&MARKED)
        .or_else(|| last(&FIRST))
        .or_else(|| last(&LAST_LINE))
        .or_else(|| last(&BRACKETED))
        .and_then(|found| first_char(&found))
        .or_else(|| quoted_option(question, answer))
}

/// The one option whose text is the answer.
fn quoted_option(question: &str, answer: &str) -> Option<char> {
    let words = normalised_words(answer);
    let mut found = options(question)
        .into_iter()
        .filter(|(_, text)| normalised_words(text) == words)
        .map(|(letter, _)| letter);
    let letter = found.next()?;
    found.next().is_none().then_some(letter)
}
