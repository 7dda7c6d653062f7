//! What a text marks as its answer.

use std::sync::LazyLock;

use regex::Regex;

use super::super::regex;
use super::convention::Convention;
use super::number::Number;
use super::scan::numbers;
use super::words;

/// Without notes, with the signs of other scripts and of LaTeX as plain ones.
pub fn clean(text: &str) -> String {
    static REMOVED: LazyLock<Regex> = LazyLock::new(|| {
        regex(concat!(
            r"<<[^<>]*>>",                                         // calculator notes
            r"|\((?:rounded|to|correct to|approx)[^()\n]{0,60}\)", // (rounded to 2 decimals)
            r"|(?i:\bto (?:\d+|two|three|four) (?:decimal|significant)[a-z ]*)",
            r"|\\[,;!: ]|\{,\}|\\(?:left|right|displaystyle)\b",
        ))
    });
    static FRACTION: LazyLock<Regex> =
        LazyLock::new(|| regex(r"\\[dt]?frac\s*\{?(\d+)\}?\s*\{?(\d+)\}?"));
    static TEXT: LazyLock<Regex> =
        LazyLock::new(|| regex(r"\\(?:text|mathrm|mathbf)\s*\{([^{}]*)\}"));
    let mut last = ' ';
    let text: String = text
        .chars()
        .map(|c| {
            let c = match ascii_digit(c) {
                '\u{2212}' => '-',
                // Between digits it is a range, elsewhere a sign.
                '\u{2013}' if !last.is_ascii_digit() => '-',
                '\u{a0}' | '\u{202f}' | '\u{2009}' => ' ',
                '\u{2019}' => '\'',
                c => c,
            };
            if !c.is_whitespace() {
                last = c;
            }
            c
        })
        .collect();
    let text = text.replace("\\$", "$").replace("\\%", "%");
    let text = FRACTION.replace_all(&text, " $1/$2");
    let text = TEXT.replace_all(&text, " $1");
    REMOVED.replace_all(&text, "").into_owned()
}

/// The ASCII digit of a digit of another script, and of full-width signs.
fn ascii_digit(c: char) -> char {
    const ZEROS: [u32; 6] = [0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0xff10];
    let code = u32::from(c);
    let digit =
        ZEROS.iter().find(|&&zero| (zero..zero + 10).contains(&code)).map(|zero| code - zero);
    match (digit.and_then(|digit| char::from_digit(digit, 10)), c) {
        (Some(digit), _) => digit,
        (None, '\u{ff01}'..='\u{ff5e}') => char::from_u32(code - 0xfee0).unwrap_or(c),
        (None, c) => c,
    }
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

/// The first number, or the one after the last `=`. Words count only here: "the answer is five".
pub fn first_or_result(part: &str, convention: Convention) -> Option<Number> {
    let result = part.rsplit('=').next().unwrap_or(part);
    let of = |text: &str| numbers(text, convention);
    let number = of(result).first().or(of(part).last()).map(|it| it.number);
    number.or_else(|| spelt(part))
}

/// The first number in words.
pub fn spelt(text: &str) -> Option<Number> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '-').filter(|it| !it.is_empty());
    let value = words::first(&words.collect::<Vec<_>>())?;
    Some(Number::plain(value as f64, Some(0)))
}
