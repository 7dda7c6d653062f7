//! What computing the features costs, by group.
//!
//! [`super::extract`] is one pass, so a feature has no time of its own: it has that of its group,
//! the smallest part of the pass that can be run by itself.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::lexicon::{self, FIRST_WORDS, WORD_SEED, WORDS, word_step};
use super::ngrams::{Buckets, CharGrams, WordGrams};
use super::schema::Slot;
use super::{
    CHAR_BUCKETS, ENGINEERED, Features, Focus, LEN, OCCUPIED, WORD_BUCKETS, describe_conversation,
    describe_request, extract_into,
};
use crate::prompt::Prompt;

/// Features that are computed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Counts of characters, words, lines and symbols.
    Counts,
    /// Counts of words of a list.
    WordLists,
    /// Turns, tools and parameters of the request.
    Request,
    WordGrams,
    CharacterGrams,
}

impl Group {
    /// All groups.
    pub const ALL: [Group; 5] =
        [Group::Counts, Group::WordLists, Group::Request, Group::WordGrams, Group::CharacterGrams];

    /// The group of a position of the vector.
    pub fn of(position: usize) -> Group {
        const WORDS_START: usize = ENGINEERED;
        const CHARACTERS_START: usize = ENGINEERED + WORD_BUCKETS;
        match position {
            CHARACTERS_START.. => Group::CharacterGrams,
            WORDS_START.. => Group::WordGrams,
            _ if position >= Slot::Turns as usize => Group::Request,
            _ if lexicon::feeds(position) => Group::WordLists,
            _ => Group::Counts,
        }
    }

    /// Its positions in the vector.
    pub fn positions(self) -> impl Iterator<Item = usize> {
        (0..LEN).filter(move |position| Group::of(*position) == self)
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Group::Counts => "counts",
            Group::WordLists => "word lists",
            Group::Request => "request",
            Group::WordGrams => "word n-grams",
            Group::CharacterGrams => "character n-grams",
        }
    }
}

/// Nanoseconds a prompt takes on average in each group, in the order of [`Group::ALL`]; `None`
/// without prompts. Each part is run by itself, several times, and its fastest run counts; the
/// counts take what is left of the whole pass.
pub fn measure(prompts: &[Prompt]) -> Option<[f64; 5]> {
    if prompts.is_empty() {
        return None;
    }
    let mut features = Features::default();
    let whole = fastest(prompts, |prompt| extract_into(prompt, &mut features));
    let request = fastest(prompts, |prompt| {
        let focus = Focus::of(prompt);
        describe_conversation(prompt, &focus, &mut features);
        describe_request(prompt, &mut features);
    });
    let hashes: Vec<Vec<u32>> = prompts.iter().map(word_hashes).collect();
    let word_lists = fastest(&hashes, |hashes| {
        for &hash in hashes {
            black_box((WORDS.slot(hash), FIRST_WORDS.slot(hash)));
        }
    });
    let (mut words, mut characters) = ([0.0; WORD_BUCKETS], [0.0; CHAR_BUCKETS]);
    let mut occupied = [0; OCCUPIED];
    let word_grams = fastest(&hashes, |hashes| {
        words.fill(0.0);
        let (mut buckets, mut grams) = (Buckets::new(&mut words), WordGrams::default());
        hashes.iter().for_each(|&hash| grams.add(hash, &mut buckets));
        buckets.finish(&mut occupied, 0);
    });
    let character_grams = fastest(prompts, |prompt| {
        characters.fill(0.0);
        let (mut buckets, mut grams) = (Buckets::new(&mut characters), CharGrams::default());
        for excerpt in Focus::of(prompt).excerpts() {
            for piece in excerpt.pieces() {
                grams.add(piece.as_bytes(), &mut buckets);
            }
        }
        buckets.finish(&mut occupied, 0);
    });
    let counts = (whole - request - word_lists - word_grams - character_grams).max(0.0);
    Some([counts, word_lists, request, word_grams, character_grams])
}

/// Mean nanoseconds of an item in the fastest of several runs.
fn fastest<T>(items: &[T], mut run: impl FnMut(&T)) -> f64 {
    const RUNS: usize = 5;
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let begin = Instant::now();
        for item in items {
            run(black_box(item));
        }
        best = best.min(begin.elapsed());
    }
    best.as_nanos() as f64 / items.len() as f64
}

/// Hashes of the words of the text in focus.
fn word_hashes(prompt: &Prompt) -> Vec<u32> {
    let mut hashes = Vec::new();
    for excerpt in Focus::of(prompt).excerpts() {
        for piece in excerpt.pieces() {
            for word in piece.split(|letter: char| !letter.is_alphanumeric()) {
                let step = |hash, byte: u8| word_step(hash, byte.to_ascii_lowercase());
                if !word.is_empty() {
                    hashes.push(word.bytes().fold(WORD_SEED, step));
                }
            }
        }
    }
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_belongs_to_one_group() {
        let mut seen = vec![0; LEN];
        for group in Group::ALL {
            for position in group.positions() {
                assert_eq!(Group::of(position), group);
                seen[position] += 1;
            }
        }
        assert!(seen.iter().all(|count| *count == 1));
        assert_eq!(Group::of(Slot::MathTerms as usize), Group::WordLists);
        assert_eq!(Group::of(Slot::Temperature as usize), Group::Request);
        assert_eq!(Group::of(Slot::TextBytes as usize), Group::Counts);
    }

    #[test]
    fn costs_are_measured_on_prompts_only() {
        assert_eq!(measure(&[]), None);
        let costs = measure(&[Prompt::from_text("What is the sum of 2 and 3?")]).unwrap();
        assert!(costs[4] > 0.0 && costs.iter().all(|cost| cost.is_finite() && *cost >= 0.0));
    }
}
