//! Which sign separates decimals in a text: 1.500 is fifteen hundred in German.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::super::regex;

/// How a text writes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// 1,234.5 – other numbers of the text show it.
    Point,
    /// 1.234,5
    Comma,
    /// The words are English, but no number shows it.
    English,
    Unknown,
}

/// Common words of languages that write a decimal comma.
const COMMA_WORDS: &str = "der die das und ist sind ein eine es im insgesamt kostet beträgt ergibt also antwort wir man pro \
    le la les des est sont une coûte donc réponse au aux soit total_de el los las cuesta son respuesta por del \
    il gli costa sono risposta della custa são resposta dos het een kost zijn antwoord dus och är kostar svaret och att \
    og er koster svaret on maksaa yhteensä jest kosztuje wynosi je stojí odpověď tutar toplam cevap adalah harganya \
    ответ стоит всего итого рублей равно это и на составляет відповідь";
const ENGLISH_WORDS: &str = "the is are of and to it that answer total cost costs so for has have was were which how much many";

/// The convention of a text; what it does not show, its question may.
pub fn of(text: &str, question: &str) -> Convention {
    match (shown(text), spoken(text)) {
        (Some(found), _) => found,
        (None, Convention::Unknown) => shown(question).unwrap_or_else(|| spoken(question)),
        (None, found) => found,
    }
}

/// By a number that can be read in one way only.
fn shown(text: &str) -> Option<Convention> {
    static COMMA: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?:^|[^\d.,])(?:\d+,\d{1,2}|\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}|0,\d+)(?:[^\d.,]|[.,]\D|[.,]?$)",
        )
    });
    static POINT: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?:^|[^\d.,])(?:\d+\.\d{1,2}|\d{1,3}(?:,\d{3})+\.\d+|\d{1,3}(?:,\d{3}){2,}|0\.\d+)(?:[^\d.,]|[.,]\D|[.,]?$)",
        )
    });
    match (COMMA.is_match(text), POINT.is_match(text)) {
        (true, false) => Some(Convention::Comma),
        (false, true) => Some(Convention::Point),
        _ => None,
    }
}

fn spoken(text: &str) -> Convention {
    static COMMA: LazyLock<HashSet<&str>> =
        LazyLock::new(|| COMMA_WORDS.split_whitespace().collect());
    static ENGLISH: LazyLock<HashSet<&str>> =
        LazyLock::new(|| ENGLISH_WORDS.split_whitespace().collect());
    let (mut comma, mut english) = (0, 0);
    let lower = text.to_lowercase();
    for word in lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).take(400)
    {
        comma += usize::from(COMMA.contains(word));
        english += usize::from(ENGLISH.contains(word));
    }
    match comma.cmp(&english) {
        std::cmp::Ordering::Greater => Convention::Comma,
        std::cmp::Ordering::Less => Convention::English,
        std::cmp::Ordering::Equal => Convention::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_show_the_convention() {
        for (text, convention) in [
            ("12,5 and 1.500", Convention::Comma),
            ("12.5 and 1,500", Convention::Point),
            ("Das kostet 1.500", Convention::Comma),
            ("The cost is 1,500", Convention::English),
            ("1.500", Convention::Unknown),
            ("1.500.000", Convention::Comma),
            ("Итого 1.500", Convention::Comma),
        ] {
            assert_eq!(of(text, ""), convention, "{text}");
        }
    }
}
