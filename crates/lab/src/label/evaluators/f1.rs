//! How much do two short answers have in common?

use std::collections::HashMap;

use super::{Pair, Unscorable, normalised_words, statement};

/// F1 of the cheap answer's words against the strong one's, as in SQuAD (arXiv 1606.05250), where
/// neither contradicts the other; 1 when both say the same in other words.
///
/// # Errors
/// The strong answer has no words, or a yes or no cannot be told.
pub fn score(pair: &Pair) -> Result<f64, Unscorable> {
    statement::compare(&pair.strong.text, &pair.cheap.text, &pair.request.question())
}

/// F1 of the words of two texts, 0..1; two texts without words are equal.
pub fn word_f1(a: &str, b: &str) -> f64 {
    let (a, b) = (normalised_words(a), normalised_words(b));
    if a.is_empty() || b.is_empty() {
        return if a.is_empty() && b.is_empty() { 1.0 } else { 0.0 };
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in &a {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0;
    for word in &b {
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    2.0 * f64::from(common) / (a.len() + b.len()) as f64
}
