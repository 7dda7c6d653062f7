//! What words mean in one language or one place only.

use std::sync::LazyLock;

use regex::Regex;

use super::super::regex;

/// Small words of one language that are words of meaning in others, and what shows that language.
const COMPANIONS: [(&str, &str); 3] = [
    ("war", "der die das dem ein eine im am es er sie wurde nicht ich ist vom zum"),
    ("son", "el la los las de del un una en y que sus"),
    ("era", "el la los las de del un una en y que il di della è"),
];

/// The words of [`COMPANIONS`] that are not what the text's language has them for; also "nu" where it
/// denies.
pub fn foreign(text: &str) -> Vec<&'static str> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).collect();
    let speaks = |list: &str| list.split(' ').any(|it| words.contains(&it));
    let strange = COMPANIONS.iter().filter(|it| words.contains(&it.0) && !speaks(it.1));
    let mut found: Vec<&'static str> = strange.map(|it| it.0).collect();
    // Dutch has it for "now".
    const VERBS: &str = "este e sunt are am a au se poate există";
    let romanian =
        words.windows(2).any(|it| it[0] == "nu" && VERBS.split(' ').any(|verb| verb == it[1]));
    if romanian {
        found.push("nu");
    }
    found
}

/// "version 3.1": a number whose digits are names.
pub fn is_version(before: &str, number: &str) -> bool {
    static VERSION: LazyLock<Regex> = LazyLock::new(|| {
        regex(concat!(
            r"(?i)(?:^|[^\w])(?:v|ver\.?|versions?|release|build|chapter|section|kapitel|abschnitt|article|§|python|java|node(?:\.?js)?",
            r"|ios|android|macos|ubuntu|debian|rust|php|ruby|go|perl|postgres\w*|mysql|kubernetes|django|rails|react|angular|firmware)\s?$",
        ))
    });
    number.contains('.') && VERSION.is_match(before)
}

/// The value of a roman numeral. A lone I is one at the end of a sentence, and else a person.
pub fn roman(word: &str, next: Option<char>) -> Option<u64> {
    let value = |c: char| match c {
        'I' => Some(1),
        'V' => Some(5),
        'X' => Some(10),
        _ => None,
    };
    let digits: Vec<u64> = word.chars().map(value).collect::<Option<_>>()?;
    let ends = next.is_none_or(|c| !c.is_whitespace() && c != '\'');
    let alone = digits.len() == 1 && !(word == "I" && ends);
    if digits.is_empty() || digits.len() > 6 || alone {
        return None;
    }
    let behind = digits[1..].iter().copied().chain([0]);
    let signed = digits.iter().zip(behind).map(|(&own, next)| (own, own < next));
    let (plus, minus) = signed.fold((0, 0), |(plus, minus), (own, less)| match less {
        true => (plus, minus + own),
        false => (plus + own, minus),
    });
    Some(plus - minus)
}

/// A Korean word without what follows a noun, and whether that makes it the topic: "서울입니다",
/// "수도는".
pub fn without_particle(word: &str) -> (&str, bool) {
    const PARTICLES: [&str; 12] =
        ["입니다", "이에요", "예요", "이다", "은", "는", "이", "가", "을", "를", "의", "에서"];
    let is_korean = word.chars().all(|c| matches!(c, '\u{ac00}'..='\u{d7af}'));
    let found = PARTICLES.iter().find_map(|it| Some((word.strip_suffix(it)?, *it)));
    match found.filter(|(stem, _)| is_korean && stem.chars().count() > 1) {
        Some((stem, particle)) => (stem, matches!(particle, "은" | "는" | "이" | "가")),
        None => (word, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roman_numerals_are_read_where_they_are_numerals() {
        for (word, next, value) in [
            ("II", None, Some(2)),
            ("IV", Some(' '), Some(4)),
            ("XIV", Some('.'), Some(14)),
            ("I", None, Some(1)),
            ("I", Some(' '), None),
            ("X", None, None),
            ("Mix", None, None),
        ] {
            assert_eq!(roman(word, next), value, "{word}");
        }
    }
}
