//! Whether two short questions are about different things, however they are worded: "who founded
//! Acme", "who was the founder of Initech". In lower case no spelling gives the names away, and
//! in other words the sentences do not run in parallel. A part of the guard of substitution.

use super::denial::turns;
use super::facts::{Kind, MEASURES, QuestionFacts, WAYS, Word, is_negation};
use super::pair::{Closeness, LONG, Pair};
use super::spelling::{holds_initials, is_end_of, is_joined};

/// Content words up to which this holds of what are not two questions. Requests are short;
/// statements, of which each verb may be another, mostly are not.
const FEW: usize = 4;
/// Letters in which two forms of a word agree at least.
const ROOT: usize = 4;

/// Whether each text has a word to which nothing in the other comes near. In long texts such words
/// are most often the writer's choice.
pub(super) fn differs(pair: &Pair) -> bool {
    let most = if pair.are_questions() { LONG - 1 } else { FEW };
    let apart = |pair: &Pair| topics(pair.a).any(|word| !comes_near(&pair.reversed(), word));
    pair.least_content() <= most
        && !pair.either_way(turns)
        && apart(pair)
        && apart(&pair.reversed())
}

/// Words that may be what the text is about. Numbers, units and symbols have guards of their own,
/// and so have denials; "how tall" is "the height".
fn topics(facts: &QuestionFacts) -> impl Iterator<Item = &Word> {
    facts.content_words().filter(|word| {
        matches!(word.kind, Kind::Plain | Kind::Name)
            && !is_negation(&word.text)
            && !WAYS.contains(&&*word.text)
            && !MEASURES.contains(&&*word.text)
    })
}

/// Whether something in the first text may be what the second says by this word.
fn comes_near(pair: &Pair, word: &Word) -> bool {
    let here = pair.a;
    here.content_words().any(|own| own.sense() == word.sense() || is_form(&own.text, &word.text))
        || is_joined(here, &word.text)
        || holds_initials(here, pair.b, &word.text)
        || here.content_words().any(|own| pair.closeness(&own.text, &word.text) != Closeness::Far)
}

/// Whether one word is the other with another ending, or a part of it: "founder" and "founded",
/// "page" and "webpage".
fn is_form(a: &str, b: &str) -> bool {
    let shared = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    let (a_length, b_length) = (a.chars().count(), b.chars().count());
    let root = shared >= ROOT && shared * 5 >= a_length.max(b_length) * 3;
    let part = a_length.min(b_length) >= ROOT && (is_end_of(a, b) || is_end_of(b, a));
    root || part
}
