//! What the small words of a question say: of when it speaks, of whom, whether it must be so,
//! whether the best is asked for. Two questions of one content may still be two questions: "what
//! is a parser", "what does a parser do", "which parser is the best", "why did you write a parser".

use super::word::Word;

/// Of two questions that mean the same, both have a word of a row or neither has.
const ROWS: [&[&str]; 10] = [
    &["did", "was", "were", "had", "happened"],
    &["will", "would", "shall"],
    &["has", "have", "ever"],
    &["should", "must"],
    &["i", "my", "me", "mine", "myself", "we", "our", "us", "am"],
    &["you", "your", "yours", "yourself"],
    &["this", "these", "those"],
    &["it", "its", "he", "him", "his", "she", "her", "they", "them", "their"],
    &["best", "good", "better", "great", "top", "worst"],
    &["how", WAYS[0], WAYS[1], WAYS[2], WAYS[3], WAYS[4]],
];
pub(in crate::guards) const WAYS: [&str; 5] = ["way", "ways", "method", "methods", "steps"];
/// After "how": a measure is asked for, and another measure is another question.
pub(in crate::guards) const MEASURES: &[&str] =
    &["many", "much", "long", "old", "far", "often", "tall", "big", "fast", "deep", "high"];
/// Verbs behind which "I" and "you" are anybody: "how do I", "how can you".
const VERBS: &[&str] =
    &["do", "does", "can", "could", "should", "would", "will", "might", "may", "must", "to"];
pub(in crate::guards) const ANYBODY: &[&str] =
    &["i", "you", "we", "one", "someone", "anyone", "people"];
/// Last words that ask for a purpose and not for a thing.
const PURPOSES: &[&str] = &["do", "for"];
/// Words that point at what is not in the text.
const POINTERS: &[&str] = &["this", "these", "following"];
/// First words of a question whose answer is yes or no.
const WHETHER: &[&str] = &[
    "is", "are", "was", "were", "do", "does", "did", "can", "could", "will", "would", "has",
    "have", "had", "should", "am", "must", "may",
];
/// First words of a question that goes without its mark. "When" begins statements too.
const OPENINGS: &[&str] = &["what", "which", "who", "whom", "whose", "why", "how"];
const PREPOSITIONS: &[&str] = &["for", "in", "at", "on", "to", "from", "by", "with", "of", "under"];

/// The small words of a question.
#[derive(Clone, Debug)]
pub(in crate::guards) struct Frame {
    /// For each of [`ROWS`], whether one of its words is there.
    rows: [bool; ROWS.len()],
    whether: bool,
    purpose: Option<&'static str>,
    /// Whether it asks about what it does not hold itself.
    pub(in crate::guards) points_outside: bool,
}

impl Frame {
    /// The frame of a text, if it is a question.
    pub(super) fn of(text: &str, words: &[Word]) -> Option<Self> {
        let at = |position: usize| words.get(position).map_or("", |word| &*word.text);
        let whether = WHETHER.contains(&at(0))
            // "Can you tell me how …" and "is there a way to …" are not such questions.
            && !matches!(at(1), "you" | "there" | "someone" | "anyone");
        // "For what reason", "in which year".
        let first = if PREPOSITIONS.contains(&at(0)) { at(1) } else { at(0) };
        let asks = OPENINGS.contains(&first) || WHETHER.contains(&at(0));
        if !asks && !text.contains('?') {
            return None;
        }
        let mut rows = [false; ROWS.len()];
        for (position, word) in words.iter().enumerate() {
            let before = |back: usize| position.checked_sub(back).map_or("", at);
            let verb = if before(1) == "not" { before(2) } else { before(1) };
            let anybody = ANYBODY.contains(&&*word.text) && VERBS.contains(&verb);
            // "The best way to" is "how to", and "how much is" is "what is".
            let next = at(position + 1);
            let idle = anybody || WAYS.contains(&next) || MEASURES.contains(&next);
            for (row, is_there) in ROWS.iter().zip(&mut rows) {
                *is_there |= row.contains(&&*word.text) && !idle;
            }
        }
        let last = words.last().map_or("", |word| &*word.text);
        Some(Frame {
            rows,
            whether,
            purpose: PURPOSES.iter().find(|word| **word == last).copied(),
            points_outside: words.iter().any(|word| POINTERS.contains(&&*word.text)),
        })
    }

    /// Whether both ask for the same of whatever they are about.
    pub(in crate::guards) fn asks_like(&self, other: &Frame) -> bool {
        (self.rows, self.whether, self.purpose) == (other.rows, other.whether, other.purpose)
    }
}
