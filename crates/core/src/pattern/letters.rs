//! Letters as people see them: without regard to case, and to how an accent is put on them.

use std::borrow::Cow;

use unicode_normalization::char::compose;

/// A text with each letter and its accents in one character, where there is such a character.
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || !text.chars().any(may_join) {
        return Cow::Borrowed(text);
    }
    let mut composed = String::with_capacity(text.len());
    let mut last: Option<char> = None;
    for next in text.chars() {
        match last.filter(|_| may_join(next)).and_then(|last| compose(last, next)) {
            Some(both) => last = Some(both),
            None => composed.extend(last.replace(next)),
        }
    }
    composed.extend(last);
    Cow::Owned(composed)
}

/// Whether a character may become one with the character before it.
fn may_join(letter: char) -> bool {
    matches!(letter,
        // Accents, the voiced marks of kana, the vowels and finals of Hangul.
        '\u{300}'..='\u{36F}' | '\u{653}'..='\u{655}' | '\u{3099}' | '\u{309A}'
        | '\u{1161}'..='\u{1175}' | '\u{11A8}'..='\u{11C2}')
}

/// A letter without regard to case.
pub fn folded(letter: char) -> char {
    if letter.is_ascii() {
        return letter.to_ascii_lowercase();
    }
    match letter {
        // Letters with two small forms.
        'ς' => 'σ',
        'ſ' => 's',
        '\u{B5}' => 'μ',
        'ϐ' => 'β',
        'ϑ' => 'θ',
        'ϕ' => 'φ',
        'ϖ' => 'π',
        'ϰ' => 'κ',
        'ϱ' => 'ρ',
        'ϵ' => 'ε',
        _ => single(letter.to_lowercase()).unwrap_or(letter),
    }
}

fn single(mut letters: impl Iterator<Item = char>) -> Option<char> {
    letters.next().filter(|_| letters.next().is_none())
}

/// A text whose letters are composed and without regard to case.
pub fn text_folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    composed(text).chars().map(folded).collect()
}

/// Whether a character belongs to a word, in any script.
pub fn in_word(letter: char) -> bool {
    letter.is_alphanumeric()
        || matches!(letter,
            '_' | '\u{300}'..='\u{36F}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5BD}'
            | '\u{64B}'..='\u{65F}' | '\u{94D}' | '\u{9CD}' | '\u{BCD}' | '\u{C4D}' | '\u{CCD}'
            | '\u{D4D}' | '\u{E47}'..='\u{E4E}' | '\u{200C}' | '\u{200D}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accent_is_the_same_however_it_is_put_on() {
        for (decomposed, expected) in [
            ("cafe\u{301}", "café"),
            ("U\u{308}ber", "Über"),
            ("o\u{302}\u{301}", "ố"),
            ("か\u{3099}", "が"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("x\u{301}", "x\u{301}"),
            ("\u{301}", "\u{301}"),
            ("plain", "plain"),
        ] {
            assert_eq!(composed(decomposed), expected);
        }
    }

    #[test]
    fn case_does_not_matter_in_any_alphabet() {
        for (one, other) in [
            ("ÄRGER", "ärger"),
            ("ПРИВЕТ", "привет"),
            ("ΣΟΦΌΣ", "σοφός"),
            ("ſ", "S"),
            ("PRIVÉ", "prive\u{301}"),
        ] {
            assert_eq!(text_folded(one), text_folded(other));
        }
        assert_ne!(text_folded("ı"), text_folded("i"));
    }
}
