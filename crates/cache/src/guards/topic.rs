//! Whether two short questions are about different things, however they are worded: "who founded
//! Acme", "who was the founder of Initech". In lower case no spelling gives the names away, and
//! in other words the sentences do not run side by side.

use super::Closeness;
use super::facts::{Facts, LONG, MEASURES};
use super::frame::WAYS;
use super::held::is_end_of;
use super::lists::is_negation;
use super::words::{Kind, Word};

/// Content words up to which this holds of what are no two questions. Requests are short;
/// statements, of which each verb may be another, mostly are not.
const FEW: usize = 4;
/// Letters in which two forms of a word agree at least.
const ROOT: usize = 4;

impl Facts {
    /// Whether each text has a word to which nothing in the other comes near. In long texts such
    /// words are most often the writer's choice.
    pub(super) fn speaks_of_other(
        &self,
        other: &Facts,
        closeness: &impl Fn(&str, &str) -> Closeness,
    ) -> bool {
        let asked = self.frame.is_some() && other.frame.is_some();
        let most = if asked { LONG - 1 } else { FEW };
        let short = self.content().count().min(other.content().count()) <= most;
        let apart = |here: &Facts, there: &Facts| {
            here.topics().any(|word| !there.comes_near(here, word, closeness))
        };
        short
            && !(self.turns(other) || other.turns(self))
            && apart(self, other)
            && apart(other, self)
    }

    /// Words that may be what the text is about. Numbers, units and symbols have guards of their
    /// own, and so have denials; "how tall" is "the height".
    fn topics(&self) -> impl Iterator<Item = &Word> {
        self.content_words().filter(|word| {
            matches!(word.kind, Kind::Plain | Kind::Name)
                && !is_negation(&word.text)
                && !WAYS.contains(&&*word.text)
                && !MEASURES.contains(&&*word.text)
        })
    }

    /// Whether something here may be what the other says by this word.
    fn comes_near(
        &self,
        other: &Facts,
        word: &Word,
        closeness: &impl Fn(&str, &str) -> Closeness,
    ) -> bool {
        self.content_words()
            .any(|own| own.sense() == word.sense() || is_form(&own.text, &word.text))
            || self.is_joined(&word.text)
            || self.holds_initials_of(other, &word.text)
            || self.content_words().any(|own| closeness(&own.text, &word.text) != Closeness::Far)
    }
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
