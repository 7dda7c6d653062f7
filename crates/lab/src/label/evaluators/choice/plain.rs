//! An answer without its markup.

use std::sync::LazyLock;

use regex::Regex;

use super::super::numeric::boxed;
use super::super::regex;

/// The longest text in which options are looked for, in bytes.
const MAX_BYTES: usize = 8192;

/// Markup left out, full-width forms and typographic quotes as ASCII. Of an answer with `\boxed{…}`
/// only what is inside.
pub fn plain(answer: &str) -> String {
    static COMMAND: LazyLock<Regex> =
        LazyLock::new(|| regex(r"\\(?:text|mathrm|mathbf|textbf|boldsymbol)\s*\{([^{}]*)\}"));
    let answer = boxed(answer).unwrap_or(answer);
    let answer = COMMAND.replace_all(answer, "$1");
    let folded = answer.chars().filter(|c| !matches!(c, '*' | '`' | '$' | '_' | '#' | '\\'));
    let text: String = folded.map(fold).collect();
    // The conclusion of an answer is at its end.
    let start = text.char_indices().map(|(at, _)| at).find(|at| text.len() - at <= MAX_BYTES);
    text[start.unwrap_or_default()..].trim().to_owned()
}

/// The ASCII form of a full-width character, a quotation mark or a space.
pub fn fold(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' | '「' | '」' | '『' | '』' => {
            '"'
        }
        '【' => '[',
        '】' => ']',
        '、' => ',',
        '\u{a0}' | '\u{3000}' | '\u{202f}' => ' ',
        c => c,
    }
}

/// Lower case, character by character, so that places in the text stay what they were.
pub fn lower(text: &str) -> String {
    let same_length = |c: char| {
        let mut small = c.to_lowercase();
        match (small.next(), small.next()) {
            (Some(small), None) if small.len_utf8() == c.len_utf8() => small,
            _ => c,
        }
    };
    text.chars().map(same_length).collect()
}

/// Scripts that are written without spaces end a word of another script: "答案是B".
pub fn kind(c: char) -> u8 {
    match c {
        c if is_dense(c) => 0,
        c if c.is_ascii_digit() => 1,
        _ => 2,
    }
}

pub fn is_dense(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{e00}'..='\u{e7f}')
}

pub fn is_closing(between: &str) -> bool {
    between.chars().count() <= 4
        && between.chars().all(|c| c.is_whitespace() || ").]:,-–—\"'(".contains(c))
}

/// "A and C", "A, B", "A/B".
pub fn joins(between: &str) -> bool {
    let word = between.trim_matches(|c: char| c.is_whitespace() || ")(]['\",".contains(c));
    let joins = [
        "and",
        "or",
        "&",
        "/",
        "und",
        "oder",
        "et",
        "ou",
        "y",
        "e",
        "и",
        "или",
        "和",
        "与",
        "或",
        "と",
        "option",
        "and option",
        "or option",
    ];
    joins.contains(&word) || (word.is_empty() && between.contains(',') && !between.contains('\n'))
}
