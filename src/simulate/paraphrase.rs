//! The same question in other words: made up here, since no public rows carry both recorded
//! answers and paraphrases.
//!
//! What people vary most and what leaves the question alone: how they begin and end, contractions,
//! some words for others, capitals and the last mark. The order of the rest stays, and so do
//! answer options, numbers, quotations and code.

use std::sync::LazyLock;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use regex::{Captures, Regex};

const OPENINGS: [&str; 10] = [
    "Please help me with this: ",
    "Quick question: ",
    "Hi! ",
    "Hello, could you answer this? ",
    "I was wondering: ",
    "Can you tell me: ",
    "My question is: ",
    "Hey there, ",
    "I need an answer to this. ",
    "Please answer: ",
];

const CLOSINGS: [&str; 6] = [
    "Thanks!",
    "Thank you in advance.",
    "Please be precise.",
    "Any help is welcome.",
    "Thanks a lot",
    "Cheers",
];

/// Words and what may stand for them.
const WORDS: [(&str, &str); 34] = [
    ("what is", "what's"),
    ("that is", "that's"),
    ("it is", "it's"),
    ("there is", "there's"),
    ("do not", "don't"),
    ("don't", "do not"),
    ("does not", "doesn't"),
    ("is not", "isn't"),
    ("cannot", "can't"),
    ("i am", "i'm"),
    ("i have", "i've"),
    ("he has", "he's got"),
    ("she has", "she's got"),
    ("how many", "what number of"),
    ("how much money", "what amount of money"),
    ("which of the following", "which of these"),
    ("which one of the following", "which of the following"),
    ("find", "determine"),
    ("calculate", "compute"),
    ("compute", "calculate"),
    ("give me", "provide me with"),
    ("how can i", "how do i"),
    ("how do i", "what is the best way to"),
    ("begins", "starts"),
    ("buys", "purchases"),
    ("children", "kids"),
    ("large", "big"),
    ("approximately", "about"),
    ("most likely", "most probably"),
    ("in total", "altogether"),
    ("each", "every"),
    ("would", "might"),
    ("because", "since"),
    ("also", "as well"),
];

static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words: Vec<String> = WORDS.iter().map(|(word, _)| regex::escape(word)).collect();
    Regex::new(&format!(r"(?i)\b(?:{})\b", words.join("|"))).ok()
});

/// A paraphrase of a text; another `variant` may give another one.
pub fn paraphrase(text: &str, variant: u64) -> String {
    let mut rng = SmallRng::seed_from_u64(variant);
    let (question, options) = split_options(text);
    let mut words = reworded(question, &mut rng);
    if rng.random_bool(0.25) {
        words = words.trim_end().trim_end_matches(['?', '.']).to_owned();
    }
    if rng.random_bool(0.25) {
        words = with_first(&words, |first| first.to_lowercase().collect());
    }
    if rng.random_bool(0.4) {
        words.insert_str(0, OPENINGS.choose(&mut rng).copied().unwrap_or_default());
    }
    let closing = rng.random_bool(0.3).then(|| CLOSINGS.choose(&mut rng).copied()).flatten();
    let mut out = words;
    out += options;
    if let Some(closing) = closing {
        out.push(if out.contains('\n') { '\n' } else { ' ' });
        out += closing;
    }
    if out == text {
        out.insert_str(0, OPENINGS.choose(&mut rng).copied().unwrap_or_default());
    }
    out
}

/// The text up to its second line, and the rest: answer options, code and context stay.
fn split_options(text: &str) -> (&str, &str) {
    text.split_at(text.find('\n').unwrap_or(text.len()))
}

fn reworded(text: &str, rng: &mut SmallRng) -> String {
    let Some(pattern) = PATTERN.as_ref().filter(|_| !text.contains(['"', '`', '$'])) else {
        return text.to_owned();
    };
    let replaced = pattern.replace_all(text, |found: &Captures| {
        let word = &found[0];
        let lower = word.to_lowercase();
        let other = WORDS.iter().find(|(from, _)| *from == lower).map_or(word, |(_, to)| to);
        let capital = word.starts_with(char::is_uppercase);
        match rng.random_bool(0.5) {
            false => word.to_owned(),
            true if capital => with_first(other, |first| first.to_uppercase().collect()),
            true => other.to_owned(),
        }
    });
    replaced.into_owned()
}

fn with_first(text: &str, change: impl Fn(char) -> String) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| change(first) + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str =
        "How many apples does each of the 7 children have?\nA) which of the following\nB) 12";

    #[test]
    fn wordings_differ_and_keep_numbers_and_options() {
        let wordings: Vec<String> = (0..20).map(|k| paraphrase(QUESTION, k)).collect();
        let mut distinct = wordings.clone();
        distinct.sort();
        distinct.dedup();
        assert!(distinct.len() > 15, "{distinct:?}");
        for wording in &wordings {
            assert_ne!(wording, QUESTION);
            assert!(wording.contains('7'), "{wording}");
            assert!(wording.contains("\nA) which of the following\nB) 12"), "{wording}");
        }
        assert_eq!(paraphrase(QUESTION, 3), wordings[3]);
    }

    #[test]
    fn quotations_keep_their_words() {
        let quoted = r#"Who wrote "what is to be done, I cannot say"?"#;
        for k in 0..20 {
            let wording = paraphrase(quoted, k);
            assert!(wording.contains(r#""what is to be done, I cannot say""#), "{wording}");
        }
    }
}
