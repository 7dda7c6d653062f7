//! Two questions next to each other.

use super::facts::{Kind, QuestionFacts};

/// How close the meanings of two words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closeness {
    Far,
    /// What one text says by the one, the other may say by the other.
    Near,
    /// A form or a synonym: in the same sentence, one may stand for the other.
    Alike,
}

/// What guards compare.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    pub(super) a: &'a QuestionFacts,
    pub(super) b: &'a QuestionFacts,
    closeness: &'a dyn Fn(&str, &str) -> Closeness,
}

/// Content words from which one word more or less says little.
pub(super) const LONG: usize = 8;

impl<'a> Pair<'a> {
    /// `closeness` says how close two words are.
    pub fn new(
        a: &'a QuestionFacts,
        b: &'a QuestionFacts,
        closeness: &'a dyn Fn(&str, &str) -> Closeness,
    ) -> Self {
        Pair { a, b, closeness }
    }

    pub(super) fn closeness(&self, a: &str, b: &str) -> Closeness {
        (self.closeness)(a, b)
    }

    /// The same pair, the other question first.
    pub(super) fn reversed(&self) -> Self {
        Pair { a: self.b, b: self.a, closeness: self.closeness }
    }

    /// Whether something holds of one question against the other, whichever comes first.
    pub(super) fn either_way(
        &self,
        holds: impl Fn(&QuestionFacts, &QuestionFacts) -> bool,
    ) -> bool {
        holds(self.a, self.b) || holds(self.b, self.a)
    }

    /// Content words of the shorter question.
    pub(super) fn least_content(&self) -> usize {
        self.a.content().count().min(self.b.content().count())
    }

    /// Whether both are long.
    pub(super) fn are_long(&self) -> bool {
        self.least_content() >= LONG
    }

    /// Whether both are questions.
    pub(super) fn are_questions(&self) -> bool {
        self.a.frame.is_some() && self.b.frame.is_some()
    }

    /// Whether both are statements, beyond doubt.
    pub(super) fn are_statements(&self) -> bool {
        is_statement(self.a) && is_statement(self.b)
    }

    /// How many words carry content, and whether they are the same on both sides.
    pub fn content_words(&self) -> (usize, bool) {
        let (here, there): (Vec<&str>, Vec<&str>) =
            (self.a.content().collect(), self.b.content().collect());
        (here.len().min(there.len()), same_bag(here, there))
    }
}

/// Whether a text ends in a full stop, asks for nothing and is nobody's own affair. One that begins
/// with a verb, "define rice", is a request.
fn is_statement(facts: &QuestionFacts) -> bool {
    const OWN: &[&str] = &["i", "me", "my", "mine", "we", "us", "our", "ours"];
    const ASKING: &[&str] = &["do", "does", "did", "why"];
    const REQUESTS: &[&str] = &[
        "please", "tell", "explain", "describe", "give", "show", "want", "need", "know", "get",
        "let",
    ];
    let first = facts.words.first();
    let subject = first.is_some_and(|word| match word.kind {
        Kind::Plain => !word.is_content() && !REQUESTS.contains(&&*word.text),
        Kind::Name | Kind::Symbol => true,
        Kind::Number | Kind::Unit => false,
    });
    facts.frame.is_none()
        && subject
        && facts.lower.trim_end().ends_with('.')
        && !facts.words().any(|word| OWN.contains(&word) || ASKING.contains(&word))
}

pub(super) fn same_bag(mut a: Vec<&str>, mut b: Vec<&str>) -> bool {
    a.sort_unstable();
    b.sort_unstable();
    a == b
}
