//! What a text marks as its answer.

use std::sync::LazyLock;

use regex::Regex;

use super::super::regex;
use super::convention::Convention;
use super::number::Number;
use super::scan::{Found, numbers};
use super::{signs, words};

/// Without notes, with the signs of other scripts and of LaTeX as plain ones.
pub fn clean(text: &str) -> String {
    static REMOVED: LazyLock<Regex> = LazyLock::new(|| {
        regex(concat!(
            r"<<[^<>]*>>",                                         // calculator notes
            r"|\((?:rounded|to|correct to|approx)[^()\n]{0,60}\)", // (rounded to 2 decimals)
            r"|(?i:\bto (?:\d+|two|three|four) (?:decimal|significant)[a-z ]*)",
            r"|(?P<cited>[\d.,;%])\s?(?:\[\d{1,2}\])+", // sources
            r"|\\[,;!: ]|\{,\}|\\(?:left|right|displaystyle)\b",
        ))
    });
    static FRACTION: LazyLock<Regex> =
        LazyLock::new(|| regex(r"\\[dt]?frac\s*\{?(\d+)\}?\s*\{?(\d+)\}?"));
    static TEXT: LazyLock<Regex> =
        LazyLock::new(|| regex(r"\\(?:text|mathrm|mathbf)\s*\{([^{}]*)\}"));
    static ROOT: LazyLock<Regex> = LazyLock::new(|| regex(r"\\sqrt\s*\{?"));
    let text = signs::plain(text);
    let text = text.replace("\\pi", "π").replace("^\\circ", "°").replace("^{\\circ}", "°");
    let text = ROOT.replace_all(&text, "√{");
    let text = text.replace("\\$", "$").replace("\\%", "%");
    let text = FRACTION.replace_all(&text, " $1/$2");
    let text = TEXT.replace_all(&text, " $1");
    REMOVED.replace_all(&text, "$cited").into_owned()
}

/// The part of a text that is marked as its answer, behind what comes before the mark.
pub fn marked(text: &str) -> Option<(&str, &str)> {
    if let Some(start) = text.rfind("####") {
        return Some((&text[..start], text[start + 4..].lines().next()?));
    }
    if let Some(start) = text.rfind(BOXED) {
        return Some((&text[..start], boxed(text)?));
    }
    static PHRASE: LazyLock<Regex> = LazyLock::new(|| {
        regex(concat!(
            r"(?i)(?:\b(?:answer|result|solution|antwort|lösung|ergebnis|réponse|résultat|respuesta|resultado|solución",
            r"|risposta|risultato|resposta|antwoord|svar|svaret|ответ|результат|odpowiedź|wynik)|答案|结果|答え|정답)\**\s*",
            r"(?:(?:is|was|are|would be|will be|ist|lautet|est|es|è|é|är|jest|является)\b|[=:是は：—])\**:?\s*",
        ))
    });
    let found = PHRASE.find_iter(text).last()?;
    let rest = &text[found.end()..];
    // A dash on the next line begins an item.
    let item = text[..found.end()].trim_end_matches(' ').ends_with('\n');
    let rest = if item { rest.strip_prefix("- ").unwrap_or(rest) } else { rest };
    // A full stop between digits ends no sentence.
    let end = ["\n\n", ". ", ".\n"].iter().filter_map(|mark| rest.find(mark)).min();
    Some((&text[..found.start()], &rest[..end.unwrap_or(rest.len())]))
}

const BOXED: &str = "\\boxed{";

/// What the last `\boxed{…}` holds.
pub fn boxed(text: &str) -> Option<&str> {
    let inside = &text[text.rfind(BOXED)? + BOXED.len()..];
    let mut depth = 1;
    for (index, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&inside[..index]);
        }
    }
    Some(inside)
}

/// What stands behind a mark.
#[derive(Clone, Debug)]
pub struct Marked {
    pub number: Number,
    /// Others that are listed with it: "3 and 4".
    pub others: Vec<Number>,
    /// What the number is only a part of: "3 + 2i".
    pub formula: Option<String>,
}

/// The first number, or the one after the last `=`. Words count only here: "the answer is five".
pub fn first_or_result(part: &str, convention: Convention) -> Option<Marked> {
    let result = part.rsplit('=').next().unwrap_or(part);
    let found = numbers(result, convention);
    let bare = |number| Marked { number, others: Vec::new(), formula: None };
    let Some(first) = found.first() else {
        let last = numbers(part, convention).last().map(|it| it.number);
        return last.or_else(|| spelt(part)).map(bare);
    };
    let mut others = Vec::new();
    let mut end = first.end;
    for next in &found[1..] {
        if !is_listed(result.get(end..next.start).unwrap_or_default()) {
            break;
        }
        others.push(next.number);
        end = next.end;
    }
    let formula = is_formula(result, first)
        .then(|| result.chars().filter(|c| !c.is_whitespace() && !"$*{}.".contains(*c)).collect());
    Some(Marked { number: first.number, others, formula })
}

/// Between two numbers that are listed together.
fn is_listed(between: &str) -> bool {
    static LISTED: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^[\s)\]}$*\\]*(?:[,;]\s|[,;]$|[,;]?\s*(?:and|und|et|y|e|и|&)\s|[,;][(\[{])[\s(\[{$*\\]*$",
        )
    });
    LISTED.is_match(between)
}

/// Whether an operator stands before or behind a number. Letters are operands when they are single.
fn is_formula(text: &str, found: &Found) -> bool {
    static BEHIND: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"^\s*(?:[+*×·/^÷]|-\s?|\\times|\\cdot)\s*[({]*(?:\d|[a-zA-Z]\b|[π√])")
    });
    static BEFORE: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?:^|[\s(\d$])[a-zA-Zπ)]\s*[+*×·/^÷-]\s*[({]*$"));
    BEHIND.is_match(&text[found.end..]) || BEFORE.is_match(&text[..found.start])
}

/// The first number in words: "three quarters", "a dozen", "twenty-one".
pub fn spelt(text: &str) -> Option<Number> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '-').filter(|it| !it.is_empty());
    let words: Vec<&str> = words.collect();
    if let Some(value) = words::fraction(&words) {
        return Some(Number::plain(value, None));
    }
    Some(Number::plain(words::first(&words)? as f64, Some(0)))
}
