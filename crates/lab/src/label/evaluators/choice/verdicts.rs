//! Answers that say of each option whether it is right, one a line.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::super::regex;
use super::options::Options;

const RIGHT: [&str; 17] = [
    "✅",
    "✔",
    "☑",
    "yes",
    "true",
    "correct",
    "right",
    "ja",
    "richtig",
    "oui",
    "vrai",
    "sí",
    "sì",
    "sim",
    "да",
    "верно",
    "正确",
];
const WRONG: [&str; 17] = [
    "❌",
    "✗",
    "✘",
    "✖",
    "no",
    "false",
    "incorrect",
    "wrong",
    "nein",
    "falsch",
    "non",
    "faux",
    "falso",
    "não",
    "нет",
    "неверно",
    "错误",
];

/// The options that are said to be right, in a text in lower case: "A: no", "✅ B) Venus". `None` when
/// it does not say of at least two whether they are, or of none that it is right.
pub fn right(text: &str, options: &Options) -> Option<BTreeSet<usize>> {
    let said: Vec<(usize, bool)> = text.lines().filter_map(|line| verdict(line, options)).collect();
    let right: BTreeSet<usize> = said.iter().filter(|it| it.1).map(|it| it.0).collect();
    let wrong = said.iter().any(|(option, right)| !right && *option < options.texts().len());
    (said.len() > 1 && wrong && !right.is_empty()).then_some(right)
}

fn verdict(line: &str, options: &Options) -> Option<(usize, bool)> {
    static LINE: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^[\s>-]*(?P<mark>[✅✔☑❌✗✘✖])?\u{fe0f}?\s*(?:option\s+)?[(\[]?(?P<label>\w{1,4}|[①-⑧])(?:[)\].:]+|\s+[-–—])?\s*[-–—:]?\s*(?P<rest>.*)$",
        )
    });
    let found = LINE.captures(line)?;
    let option = options.label(&found["label"])?;
    let outside = |c: char| !c.is_alphanumeric() && !"✅✔☑❌✗✘✖".contains(c);
    let rest = found["rest"].trim_matches(outside);
    // "B. False" of the options themselves.
    if options.texts().iter().any(|text| text == rest) && found.name("mark").is_none() {
        return None;
    }
    let said = match found.name("mark") {
        Some(mark) => mark.as_str(),
        None => rest,
    };
    // The whole line, or a sign at its end: "B: yes", "B) Venus ✅".
    let is = |signs: &[&str]| {
        signs
            .iter()
            .any(|it| said == *it || !it.contains(char::is_alphabetic) && rest.ends_with(it))
    };
    match (is(&RIGHT), is(&WRONG)) {
        (true, false) => Some((option, true)),
        (false, true) => Some((option, false)),
        _ => None,
    }
}
