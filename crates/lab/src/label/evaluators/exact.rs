//! Are two answers the same text?

use super::{Pair, Unscorable, normalised_words};

/// 1 when the texts are equal but for case, punctuation, articles and white space, otherwise 0.
///
/// # Errors
/// The strong answer has no words.
pub fn score(pair: &Pair) -> Result<f64, Unscorable> {
    let strong = normalised_words(&pair.strong.text);
    if strong.is_empty() {
        return Err(Unscorable("the strong answer has no words"));
    }
    Ok(if strong == normalised_words(&pair.cheap.text) { 1.0 } else { 0.0 })
}
