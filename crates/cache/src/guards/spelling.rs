//! Spellings of one thing: initials, compounds, parts. Shared by the guards of names and
//! substitution.

use super::facts::{Kind, QuestionFacts, Word};

/// Whether a word of the other text is initials of words here, or one of the words of which
/// initials are here.
pub(super) fn holds_initials(here: &QuestionFacts, there: &QuestionFacts, word: &str) -> bool {
    let spelt_out = || {
        let mut initials = here.of_kind(Kind::Name).filter_map(|short| spells_out(there, short));
        initials.any(|words| words.iter().any(|it| it.text == word))
    };
    spells_out(here, word).is_some() || spelt_out()
}

/// The words that initials stand for: "natural language processing" of "nlp".
fn spells_out<'a>(facts: &'a QuestionFacts, initials: &str) -> Option<&'a [Word]> {
    let of = |words: &[Word]| {
        words.iter().filter_map(|word| word.text.chars().next()).eq(initials.chars())
    };
    let length = initials.chars().count().max(2);
    // Two may be anybody's, unless both are written as names are: "ML" is "Machine Learning".
    let certain = |words: &[Word]| length > 2 || words.iter().all(|it| it.kind == Kind::Name);
    facts.words.windows(length).find(|words| of(words) && certain(words))
}

/// Whether the words of a text make up a longer one: "web" and "page" do "webpage".
pub(super) fn is_joined(facts: &QuestionFacts, whole: &str) -> bool {
    const LEAST: usize = 3;
    facts.words().filter(|word| word.len() >= LEAST).any(|word| {
        let rest = whole.strip_prefix(word).filter(|rest| rest.len() >= LEAST);
        rest.is_some_and(|rest| facts.has(rest) || is_joined(facts, rest))
    })
}

/// Whether a word begins or ends a longer one.
pub(super) fn is_end_of(part: &str, whole: &str) -> bool {
    part.len() < whole.len() && (whole.starts_with(part) || whole.ends_with(part))
}
