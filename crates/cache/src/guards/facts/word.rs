//! One word of a text.

use super::lists;
use super::stem::stem;

/// What a word is, by its spelling and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guards) enum Kind {
    Plain,
    /// Capitalised where no sentence begins, or with capitals inside: a name or an abbreviation.
    Name,
    /// `10`, `1,000.5`, `ten`, `3rd`; the word holds the canonical digits.
    Number,
    /// A unit of measure or a currency; the word holds its canonical sign.
    Unit,
    /// `x^2`, `node.js`, `foo_bar()`, `c++`, `gpt-4`: it means what it says, letter by letter.
    Symbol,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::guards) struct Word {
    pub(in crate::guards) text: String,
    pub(in crate::guards) kind: Kind,
}

impl Word {
    pub(in crate::guards) fn is_content(&self) -> bool {
        self.kind != Kind::Plain || !lists::is_stopword(&self.text)
    }

    /// What the word is compared as.
    pub(in crate::guards) fn sense(&self) -> &str {
        match self.kind {
            // A name may be in lower case on the other side.
            Kind::Plain | Kind::Name => sense(&self.text),
            Kind::Number | Kind::Unit | Kind::Symbol => &self.text,
        }
    }
}

/// What a plain word is compared as: the stem of the first of its synonyms.
pub(in crate::guards) fn sense(word: &str) -> &str {
    let stem = stem(word);
    lists::synonym(stem).unwrap_or(stem)
}
