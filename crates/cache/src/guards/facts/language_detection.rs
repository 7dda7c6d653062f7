//! The language of a text, roughly: its script and, for Latin letters, its commonest words.

use super::lists::languages;

/// A language or, where the script says enough, a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guards) enum Language {
    /// Too little text to tell: it agrees with everything.
    Unknown,
    Latin(&'static str),
    Script(&'static str),
}

impl Language {
    pub(super) fn of(text: &str) -> Self {
        language(text)
    }

    pub(in crate::guards) fn agrees(self, other: Language) -> bool {
        self == Language::Unknown || other == Language::Unknown || self == other
    }
}

fn language(text: &str) -> Language {
    let mut scripts: [(usize, &'static str); 9] = [
        (0, "latin"),
        (0, "cyrillic"),
        (0, "greek"),
        (0, "hebrew"),
        (0, "arabic"),
        (0, "indic"),
        (0, "kana"),
        (0, "hangul"),
        (0, "han"),
    ];
    for c in text.chars().filter(|c| c.is_alphabetic()) {
        let script = match u32::from(c) {
            0x0370..=0x03ff => 2,
            0x0400..=0x052f => 1,
            0x0590..=0x05ff => 3,
            0x0600..=0x077f => 4,
            0x0900..=0x0dff => 5,
            0x3040..=0x30ff => 6,
            0xac00..=0xd7af => 7,
            0x3400..=0x9fff => 8,
            _ => 0,
        };
        scripts[script].0 += 1;
    }
    // Japanese writes both: a few kana decide.
    if scripts[6].0 > 0 && scripts[8].0 > 0 {
        scripts[6].0 += scripts[8].0;
    }
    let most = scripts.iter().max_by_key(|(count, _)| *count);
    match most {
        Some((count, script)) if *count > 0 && *script != "latin" => Language::Script(script),
        _ => latin(text),
    }
}

fn latin(text: &str) -> Language {
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let count = |list: &[&str]| words.iter().filter(|word| list.contains(word)).count();
    let mut counts: Vec<(usize, &'static str)> =
        languages().iter().map(|(name, list)| (count(list), *name)).collect();
    counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    match counts.as_slice() {
        [(first, name), (second, _), ..] if *first >= 2 && first > second => Language::Latin(name),
        _ => Language::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart() {
        for (text, expected) in [
            ("What is the capital of France?", Language::Latin("en")),
            ("¿Cuál es la capital de Francia?", Language::Latin("es")),
            ("Was ist die Hauptstadt von Frankreich?", Language::Latin("de")),
            ("Quelle est la capitale de la France ?", Language::Latin("fr")),
            ("Какая столица Франции?", Language::Script("cyrillic")),
            ("フランスの首都はどこですか", Language::Script("kana")),
            ("法国的首都是哪里", Language::Script("han")),
            ("Hello", Language::Unknown),
            ("", Language::Unknown),
        ] {
            assert_eq!(language(text), expected, "{text}");
        }
    }
}
