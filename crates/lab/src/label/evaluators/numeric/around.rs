//! What stands around a number and changes what it says.

use std::sync::LazyLock;

use regex::Regex;

use super::super::{is_ideograph, regex};
use super::number::Bound;
use super::units::{Unit, symbol};

/// The end of a text, so that what stands far before a number is not read for each of them.
pub fn tail(text: &str) -> &str {
    const BYTES: usize = 64;
    &text[text.ceil_char_boundary(text.len().saturating_sub(BYTES))..]
}

/// Whether a minus sign before a number makes it negative; `before` ends where the sign begins.
/// "5 - 3", "F-16" and "10-12" hold no negative number; "= -3", "is -3" and "気温は-3" do.
pub fn is_minus(before: &str, sign: &str, taken: char) -> bool {
    let apart = sign.ends_with(char::is_whitespace);
    // A dash at the start of a line begins an item.
    if apart && before.trim_end_matches(' ').ends_with('\n') {
        return false;
    }
    let glued = before.chars().next_back();
    match before.trim_end().chars().next_back() {
        None => true,
        Some(c) if c.is_numeric() || ")]%$".contains(c) || c == taken => false,
        Some(c) if is_ideograph(c) || is_hangul(c) => !apart,
        Some(c) if c.is_alphabetic() => !apart && glued.is_some_and(char::is_whitespace),
        Some(_) => true,
    }
}

fn is_hangul(c: char) -> bool {
    matches!(c, '\u{ac00}'..='\u{d7af}')
}

/// "minus 5", "零下5度".
pub fn is_minus_in_words(before: &str) -> bool {
    static MINUS: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)(?:^|[^\d\s)\]%]\s*)(?:\b(?:minus|moins|menos|meno|минус)\s+|零下|マイナス)[$€£]?$",
        )
    });
    MINUS.is_match(before)
}

/// "at least 3", "3 or more".
pub fn bound(before: &str, after: &str) -> Bound {
    static BEFORE: LazyLock<[(Regex, Bound); 4]> = LazyLock::new(|| {
        let ends = |words: &str| regex(&format!(r"(?i)(?:{words})\s*[$€£]?$"));
        [
            (
                ends(
                    r"\bat least|\bminimum of|\bno (?:less|fewer) than|\bmindestens|\bau moins|\bal menos|\balmeno|\bне менее|至少|少なくとも|≥|>=",
                ),
                Bound::AtLeast,
            ),
            (
                ends(
                    r"\bat most|\bmaximum of|\bno more than|\bup to|\bhöchstens|\bau plus|\bcomo máximo|\bal massimo|\bне более|最多|≤|<=",
                ),
                Bound::AtMost,
            ),
            (
                ends(
                    r"\b(?:more|greater) than|\bmehr als|\bplus de|\bmás de|\bpiù di|\bболее|超过|\w +>",
                ),
                Bound::MoreThan,
            ),
            (
                ends(
                    r"\b(?:less|fewer) than|\bweniger als|\bmoins de|\bmenos de|\bmeno di|\bменее|不到|\w +<",
                ),
                Bound::LessThan,
            ),
        ]
    });
    static MORE: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?i)^(?:\s+\w+)?\s+(?:or|oder|ou|o) (?:more|mehr|plus|más|più)\b|^以上")
    });
    static LESS: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)^(?:\s+\w+)?\s+(?:or|oder|ou|o) (?:less|fewer|weniger|moins|menos|meno)\b|^以下",
        )
    });
    // What adds up to 5 is 5.
    static SUM: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:add|sum|com|amount|tot|round|mak|bring|work|end|g[eo]t?)\w* up to\s*[$€£]?$",
        )
    });
    // "3 more than 5" counts from 5, and bounds nothing.
    let counts = before.trim_end().rsplit(' ').nth(2).is_some_and(|word| {
        word.chars().all(|c| c.is_ascii_digit() || "$€£.,".contains(c)) && !word.is_empty()
    });
    let found = BEFORE.iter().find(|(pattern, _)| pattern.is_match(before)).map(|it| it.1);
    match found {
        Some(Bound::MoreThan | Bound::LessThan) if counts => Bound::Exact,
        Some(Bound::AtMost) if SUM.is_match(before) => Bound::Exact,
        Some(bound) => bound,
        None if MORE.is_match(after) => Bound::AtLeast,
        None if LESS.is_match(after) => Bound::AtMost,
        None => Bound::Exact,
    }
}

/// "480 BC": the unit, with the bytes that it takes.
pub fn era(after: &str) -> Option<(Unit, usize)> {
    static ERA: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^\s?(?:(?P<before>BCE?\b|B\.C\.(?:E\.)?|v\.\s?Chr\.?|av\.\s?J\.?-C\.?|a\.\s?C\.|до н\.?\s?э\.?)|(?:AD|CE)\b|A\.D\.|C\.E\.|n\.\s?Chr\.?|d\.\s?C\.)",
        )
    });
    let found = ERA.captures(after)?;
    let before = found.name("before").is_some();
    Some((Unit::Era { before }, found.get(0)?.end()))
}

/// What is glued to a number that has no unit, and makes it another: √2, 2π, 3x, 1990s. Endings of
/// ordinals do not, and neither do words.
pub fn glued(before: &str, digits: &str, after: &str) -> Option<(Unit, usize)> {
    const ORDINALS: [&str; 12] =
        ["st", "nd", "rd", "th", "er", "re", "e", "te", "ème", "è", "º", "ª"];
    if let Some(root) = before.trim_end_matches(['(', '{']).chars().next_back()
        && matches!(root, '√' | '∛')
    {
        return Some((symbol(&root.to_string()), 0));
    }
    let inside = |c: char| c.is_alphanumeric() || "^√π()".contains(c) && c != '\u{1}';
    let rest = after.strip_prefix(' ').filter(|it| it.starts_with(['π', '√'])).unwrap_or(after);
    let run: String = rest.chars().take_while(|&c| inside(c)).take(24).collect();
    let run = run.trim_end_matches([')', '(']);
    let letters = run.chars().take_while(|c| c.is_alphabetic()).count();
    let first = run.chars().next()?;
    let foreign = is_ideograph(first) || is_hangul(first) || !is_letter(first);
    if first != '√' && (foreign || letters > 2 || ORDINALS.contains(&run)) {
        return None;
    }
    // The nineties are ten years.
    let decade = run == "s" && digits.ends_with('0');
    let sign = if decade { "decade" } else { run };
    Some((symbol(sign), after.len() - rest.len() + run.len()))
}

/// Of the Latin or the Greek script.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{3ff}')
}
