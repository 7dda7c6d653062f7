use proptest::prelude::*;
use regex::RegexBuilder;

use super::*;

fn found(pattern: &str, text: &str) -> bool {
    Pattern::new(pattern).unwrap().is_match(text)
}

#[test]
fn words_and_case_are_those_of_every_alphabet() {
    for (pattern, text) in [
        (r"(?i)\bgrüße\b", "Viele GRÜSSE und GRÜßE!"),
        (r"\bмир\b", "миру мир, говорят"),
        (r"\bnaïve\b", "a naïve idea"),
        (r"(?i)déjà", "DÉJÀ vu"),
        (r"(?i)ΛΌΓΟΣ", "ο λόγος"),
        ("\\bcafe\u{301}\\b", "the café there"),
        (r"^\w+$", "Straße"),
        (r"(?i)[à-ü]+x", "ÀÉx"),
        (r"\bक्या\b", "यह क्या है"),
    ] {
        assert!(found(pattern, text), "{pattern} in {text}");
    }
    for (pattern, text) in [
        (r"\bмир\b", "миру"),
        (r"\bcaf\b", "café"),
        (r"(?i)ärger", "aerger"),
        (r"\bnaïve\b", "naïvely"),
    ] {
        assert!(!found(pattern, text), "{pattern} in {text}");
    }
}

#[test]
fn what_is_wrong_with_a_pattern_is_said() {
    for (pattern, error) in [
        ("(a", PatternError::Unclosed("a group")),
        ("[a", PatternError::Unclosed("a set")),
        ("a{2", PatternError::Unclosed("a repetition")),
        ("a)", PatternError::Unopened(')')),
        ("*a", PatternError::NothingToRepeat('*')),
        ("a|+", PatternError::NothingToRepeat('+')),
        (r"\q", PatternError::UnknownEscape('q')),
        (r"\p{L}", PatternError::UnknownEscape('p')),
        ("(?=a)", PatternError::UnknownFlag('=')),
        ("(?<=a)", PatternError::UnknownFlag('=')),
        ("(?R)", PatternError::UnknownFlag('R')),
        (r"\x{110000}", PatternError::NoCharacter),
        ("[[:letter:]]", PatternError::UnknownClass("[:letter:]".to_owned())),
        ("[a&&b]", PatternError::UnknownClass("&&".to_owned())),
        ("[b-a]", PatternError::Reversed),
        ("a{3,2}", PatternError::Reversed),
        ("\\", PatternError::TrailingBackslash),
        ("(a{1000}){1000}", PatternError::TooLarge),
        ("a{1001}", PatternError::TooLarge),
    ] {
        assert_eq!(Pattern::new(pattern).unwrap_err(), error, "{pattern}");
    }
    assert_eq!(Pattern::new(&"(".repeat(500)).unwrap_err(), PatternError::TooDeep);
}

/// Patterns whose parts are given, so that most are valid.
fn pattern() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(vec![
        "a",
        "b",
        "ä",
        "Ж",
        "ж",
        "1",
        "_",
        " ",
        ".",
        r"\w",
        r"\W",
        r"\s",
        r"\S",
        r"\b",
        r"\B",
        "^",
        "$",
        "[ab]",
        "[^aж]",
        "[a-cä]",
        r"[\wß]",
        r"[^\s1]",
        "[[:alpha:]]",
        r"\n",
        r"\x61",
        r"\u{e4}",
        "(?i)",
        "(?i:ä)",
        "(?m:^)",
        "(?m:$)",
        "(?s:.)",
        "ß",
        "(?-i:B)",
        r"\.",
    ]);
    let atom = atom.prop_map(str::to_owned);
    atom.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|all| all.concat()),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(?:{a}|{b})")),
            (inner.clone(), prop::sample::select(vec!["*", "+", "?", "{2}", "{1,3}", "{0,2}?"]))
                .prop_map(|(a, repeat)| format!("({a}){repeat}")),
            inner.prop_map(|a| format!("(?P<name>{a})|{a}x")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// An engine that many rely on says the same.
    #[test]
    fn matches_are_those_of_another_engine(
        pattern in pattern(),
        texts in prop::collection::vec("[abcxABX1_ äÄжЖßé.\n]{0,12}", 4),
    ) {
        let Ok(theirs) = RegexBuilder::new(&pattern).build() else { return Ok(()) };
        let ours = Pattern::new(&pattern).unwrap();
        for text in texts {
            prop_assert_eq!(ours.is_match(&text), theirs.is_match(&text), "{} in {:?}", pattern, text);
        }
    }

    #[test]
    fn any_pattern_is_read_or_refused_and_any_text_searched(pattern in ".{0,30}", text in ".{0,30}") {
        if let Ok(pattern) = Pattern::new(&pattern) {
            pattern.is_match(&text);
        }
    }
}
