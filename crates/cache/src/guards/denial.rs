//! What a text denies: shared by the guards of negation, opposites and substitution.

use super::facts::{QuestionFacts, is_negation, opposites};

/// What the negations of a text deny.
pub(super) fn denied(facts: &QuestionFacts) -> impl Iterator<Item = &str> {
    let words = facts.words.iter().enumerate();
    let negations = words.filter(|(_, word)| is_negation(&word.text));
    negations.filter_map(|(position, _)| denied_at(facts, position))
}

/// What the negation at this place denies: "is not a mandatory …".
pub(super) fn denied_at(facts: &QuestionFacts, position: usize) -> Option<&str> {
    const BETWEEN: &[&str] = &["a", "an", "the", "be", "so", "very", "really", "longer"];
    let mut behind = facts.words.get(position + 1..)?.iter().map(|word| &*word.text);
    behind.find(|word| !BETWEEN.contains(word))
}

/// Whether a text has an opposite of a word, and not the word.
pub(super) fn reverses(facts: &QuestionFacts, word: &str) -> bool {
    !facts.has(word)
        && facts
            .words()
            .any(|own| opposites(word).contains(&own) || denies(own, word) || denies(word, own))
}

/// Whether a word is denied here whose opposite is there: "not possible", "impossible".
pub(super) fn turns(here: &QuestionFacts, there: &QuestionFacts) -> bool {
    denied(here).any(|word| reverses(there, word))
}

/// Whether the longer word is the shorter one with a prefix that denies it.
pub(super) fn denies(longer: &str, word: &str) -> bool {
    const PREFIXES: &[&str] = &["un", "in", "im", "il", "ir", "dis", "non", "mis", "de", "anti"];
    let prefix = longer.strip_suffix(word).filter(|_| word.len() >= 4);
    prefix.is_some_and(|prefix| PREFIXES.contains(&prefix))
}
