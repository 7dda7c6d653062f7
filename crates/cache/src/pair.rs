//! What is measured of two questions in addition to their cosine.
//!
//! A cosine of means forgets which word met which. These put it back: how much of each question
//! has a counterpart in the other, and how well the worst-matched word is matched.

use std::collections::HashSet;

use super::embedding::{Embedder, dot};
use super::guards::{Pair, is_stopword};
use super::question::Question;

/// How many numbers [`PairFeatures`] holds.
pub const FEATURES: usize = 17;

/// `f32[FEATURES]`, each within 0..=1 or close; the same whichever question comes first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairFeatures(pub [f32; FEATURES]);

impl PairFeatures {
    /// Names in order.
    pub const NAMES: [&str; FEATURES] = [
        "cosine",
        "overlap",
        "least_covered",
        "most_covered",
        "least_aligned",
        "most_aligned",
        "worst_word",
        "unmatched",
        "letters",
        "length_ratio",
        "same_opening",
        "function_words",
        "order",
        "same_content",
        "content_words",
        "reordered",
        "substituted",
    ];

    pub(super) fn of(embedder: &Embedder, a: &Question, b: &Question) -> Self {
        let cosine = dot(&a.embedding, &b.embedding);
        let (of_a, of_b) = (Coverage::of(embedder, a, b), Coverage::of(embedder, b, a));
        let closeness = |x: &str, y: &str| embedder.closeness(x, y);
        let pair = Pair::new(&a.facts, &b.facts, &closeness);
        let (content_words, same_content) = pair.content_words();
        let [reordered, substituted] = pair.statement_changes().map(|it| f32::from(u8::from(it)));
        let least = |x: f32, y: f32| x.min(y);
        let (long, short) = (of_a.weight.max(of_b.weight).max(1e-6), of_a.weight.min(of_b.weight));
        let union = of_a.weight + of_b.weight - (of_a.matched + of_b.matched) / 2.0;
        PairFeatures([
            cosine,
            (of_a.matched + of_b.matched) / 2.0 / union.max(1e-6),
            least(of_a.share(of_a.matched), of_b.share(of_b.matched)),
            of_a.share(of_a.matched).max(of_b.share(of_b.matched)),
            least(of_a.share(of_a.aligned), of_b.share(of_b.aligned)),
            of_a.share(of_a.aligned).max(of_b.share(of_b.aligned)),
            least(of_a.worst, of_b.worst),
            (of_a.weight - of_a.aligned + of_b.weight - of_b.aligned).min(4.0) / 4.0,
            letters(a, b),
            short / long,
            f32::from(u8::from(opening(a) == opening(b))),
            function_words(a, b),
            order(&a.tokens, &b.tokens),
            f32::from(u8::from(same_content)),
            content_words.min(12) as f32 / 12.0,
            reordered,
            substituted,
        ])
    }
}

/// How much of one question the other covers.
struct Coverage {
    /// Sum of the weights of its tokens.
    weight: f32,
    /// The part of it that the other has too.
    matched: f32,
    /// The same, with other words for the same thing counted by their cosine.
    aligned: f32,
    /// Cosine of the word that is matched worst, among those that say much.
    worst: f32,
}

impl Coverage {
    fn of(embedder: &Embedder, question: &Question, other: &Question) -> Self {
        let mut coverage = Coverage { weight: 0.0, matched: 0.0, aligned: 0.0, worst: 1.0 };
        for token in &question.tokens {
            let weight = embedder.weight(*token);
            coverage.weight += weight;
            if other.tokens.contains(token) {
                coverage.matched += weight;
                coverage.aligned += weight;
                continue;
            }
            let vector = embedder.vector(*token);
            let norm = dot(vector, vector).sqrt();
            let cosine = |token: &u32| {
                let other = embedder.vector(*token);
                dot(vector, other) / (norm * dot(other, other).sqrt()).max(1e-6)
            };
            let best = other.tokens.iter().map(cosine).fold(0.0, f32::max);
            coverage.aligned += weight * best;
            // A word that says little is not missed.
            coverage.worst = coverage.worst.min(1.0 - weight.min(1.0) * (1.0 - best));
        }
        coverage
    }

    fn share(&self, part: f32) -> f32 {
        if self.weight > 0.0 { part / self.weight } else { 0.0 }
    }
}

/// Dice coefficient of the letter trigrams.
fn letters(a: &Question, b: &Question) -> f32 {
    let trigrams = |question: &Question| -> HashSet<[u8; 3]> {
        let text: Vec<u8> =
            question.facts.words().flat_map(|word| word.bytes().chain([b' '])).collect();
        text.array_windows::<3>().copied().collect()
    };
    dice(&trigrams(a), &trigrams(b))
}

fn function_words(a: &Question, b: &Question) -> f32 {
    let words = |question: &Question| -> HashSet<String> {
        question.facts.words().filter(|word| is_stopword(word)).map(str::to_owned).collect()
    };
    dice(&words(a), &words(b))
}

fn dice<T: Eq + std::hash::Hash>(a: &HashSet<T>, b: &HashSet<T>) -> f32 {
    if a.is_empty() && b.is_empty() {
        return 1.0;
    }
    2.0 * a.intersection(b).count() as f32 / (a.len() + b.len()) as f32
}

fn opening(question: &Question) -> Option<&str> {
    question.facts.words().next()
}

/// Length of the longest common subsequence of tokens, as a share of the longer question.
fn order(a: &[u32], b: &[u32]) -> f32 {
    let longer = a.len().max(b.len());
    if longer == 0 {
        return 1.0;
    }
    let mut row = vec![0_usize; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (at, y) in b.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if x == y { diagonal + 1 } else { above.max(row[at]) };
            diagonal = above;
        }
    }
    row[b.len()] as f32 / longer as f32
}
