//! Operators of formulas and programs, which say as much as words do: x > 5 is not x < 5.

use super::super::numeric::tail;

/// What a run of signs says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Another sign makes another statement.
    Sign(&'static str),
    /// The same as a word: "=" says "is".
    Says(&'static str),
    /// Denies, as "not" does.
    Not,
}

/// Longer ones first.
const COMPARING: [(&str, Operator); 20] = [
    ("===", Operator::Says("=")),
    ("!==", Operator::Not),
    ("<=>", Operator::Sign("<=>")),
    ("<->", Operator::Sign("<->")),
    ("==", Operator::Says("=")),
    ("!=", Operator::Not),
    ("<>", Operator::Not),
    ("<=", Operator::Sign("<=")),
    (">=", Operator::Sign(">=")),
    ("=>", Operator::Sign("=>")),
    ("->", Operator::Sign("->")),
    ("<-", Operator::Sign("<-")),
    ("&&", Operator::Says("and")),
    ("||", Operator::Says("or")),
    ("≤", Operator::Sign("<=")),
    ("≥", Operator::Sign(">=")),
    ("≠", Operator::Not),
    ("<", Operator::Sign("<")),
    (">", Operator::Sign(">")),
    ("=", Operator::Says("=")),
];
const COUNTING: [(&str, Operator); 6] = [
    ("+", Operator::Sign("+")),
    ("-", Operator::Sign("-")),
    ("*", Operator::Sign("*")),
    ("×", Operator::Sign("*")),
    ("^", Operator::Sign("^")),
    ("%", Operator::Sign("%")),
];

/// The operator at a place, with its bytes. Signs of prose are none: dashes, bullets, tags, "C++".
pub fn at(text: &str, at: usize, end: usize) -> Option<(Operator, usize)> {
    let (before, rest) = (&text[..at], &text[at..end]);
    let first = rest.chars().next().filter(|c| !c.is_alphanumeric() && !c.is_whitespace())?;
    if let Some((sign, operator)) = COMPARING.iter().find(|(sign, _)| rest.starts_with(sign)) {
        let behind = &text[at + sign.len()..];
        return (!is_tag(before, sign, behind)).then_some((*operator, sign.len()));
    }
    let behind = &text[at + first.len_utf8()..];
    if first == '!' {
        let begins =
            before.chars().next_back().is_none_or(|c| c.is_whitespace() || "(&|=".contains(c));
        let negates = begins && behind.starts_with(|c: char| c.is_alphabetic() || c == '(');
        return negates.then_some((Operator::Not, 1));
    }
    let (sign, operator) = COUNTING.iter().find(|(sign, _)| rest.starts_with(sign))?;
    is_between(before, first, behind).then_some((*operator, sign.len()))
}

/// "<b>", "</think>" and what quotes at the start of a line.
fn is_tag<'a>(before: &'a str, sign: &str, behind: &'a str) -> bool {
    let opens = |text: &str| text.starts_with(|c: char| c.is_alphabetic() || c == '/');
    // No tag is longer.
    let head = |text: &'a str| &text[..text.floor_char_boundary(80)];
    let inside = |text: &str| text.find(['<', '>', '\n']).map(|at| text[at..].starts_with('>'));
    let before = tail(before);
    match sign {
        "<" => opens(behind) && inside(head(behind)) == Some(true),
        ">" => {
            let open = before.rfind('<').map(|at| &before[at + 1..]);
            let quoted = before.trim_end_matches([' ', '>']);
            open.is_some_and(|it| opens(it) && !it.contains(['>', '\n']))
                || quoted.is_empty() && !behind.is_empty()
                || quoted.ends_with('\n')
        }
        _ => false,
    }
}

/// Between two operands, with white space on both sides or on none. A dash between words is prose.
fn is_between(before: &str, sign: char, behind: &str) -> bool {
    let (left, right) = (before.trim_end(), behind.trim_start());
    let spaces = (left.len() < before.len(), right.len() < behind.len());
    if spaces.0 != spaces.1 || before.ends_with('\n') {
        return false;
    }
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let last = left.rsplit(|c| !inside(c)).next().unwrap_or_default();
    let next = right.split(|c| !inside(c)).next().unwrap_or_default();
    let is_number = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
    let is_name = |word: &str| word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
    let operand = |word: &str| is_number(word) || is_name(word);
    let left_operand = operand(last) || left.ends_with(')');
    let right_operand = operand(next) || right.starts_with('(');
    match (sign, spaces.0) {
        // "F-16" and "B-12" are names.
        ('-', false) => {
            last.starts_with(char::is_lowercase) && is_name(last) && right_operand
                || left.ends_with(')') && right_operand
        }
        ('-', true) => left_operand && right_operand && !(is_number(last) && is_number(next)),
        ('^', _) => left_operand,
        ('%', true) => !last.is_empty() && !next.is_empty(),
        ('%', false) => false,
        (_, true) => !last.is_empty() && !next.is_empty() || left_operand && right_operand,
        (_, false) => left_operand && right_operand,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Operator> {
        let places = text.char_indices().map(|(place, _)| place);
        let mut end = 0;
        let mut all = Vec::new();
        for place in places {
            if let Some((operator, length)) = at(text, place, text.len()).filter(|_| place >= end) {
                all.push(operator);
                end = place + length;
            }
        }
        all
    }

    #[test]
    fn operators_are_told_from_the_signs_of_prose() {
        for (text, operators) in [
            ("x > y", vec![Operator::Sign(">")]),
            ("x >= y", vec![Operator::Sign(">=")]),
            ("x != y", vec![Operator::Not]),
            ("!x", vec![Operator::Not]),
            ("n - 1", vec![Operator::Sign("-")]),
            ("n-1", vec![Operator::Sign("-")]),
            ("a * b", vec![Operator::Sign("*")]),
            ("a || b", vec![Operator::Says("or")]),
            ("<b>bold</b>", vec![]),
            ("well - known", vec![]),
            ("e-mail", vec![]),
            ("- item", vec![]),
            ("* item", vec![]),
            ("> quoted", vec![]),
            ("**bold**", vec![]),
            ("C++", vec![]),
            ("Hello! You", vec![]),
            ("F-16", vec![]),
            ("3-2", vec![]),
        ] {
            assert_eq!(found(text), operators, "{text}");
        }
    }
}
