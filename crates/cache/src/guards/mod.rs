//! What must agree before one question may be answered with the answer to another.
//!
//! A similarity is a matter of degree; these are not. Two questions that differ in a number, a
//! name or a negation are close in every embedding, and the answer to the one is wrong for the
//! other. Each guard is one-sided: in doubt the questions disagree and the model is asked.
//!
//! The rules know English best; numbers, quoted strings, code and scripts hold in any language.

mod facts;
mod frame;
mod held;
mod language;
mod lists;
mod marked;
mod order;
mod tidy;
mod topic;
mod words;

pub use facts::Facts;
pub use lists::is_stopword;
pub use words::MAX_TEXT_BYTES;

/// How close the meanings of two words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closeness {
    Far,
    /// What one text says by the one, the other may say by the other.
    Near,
    /// A form or a synonym: in the same sentence, one may stand for the other.
    Alike,
}

/// What two questions differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Disagreement {
    /// Other numbers.
    Numbers,
    /// Other units or currencies.
    Units,
    /// One denies what the other says.
    Negation,
    /// A person, place, product or abbreviation that the other does not speak of.
    Names,
    /// Text in quotation marks that the other does not hold.
    Quotes,
    /// Code, formulas, addresses, identifiers.
    Code,
    /// Another language.
    Language,
    /// "When" and "where", "what is" and "what did you", "which" and "which is the best".
    Question,
    /// One asks about what is not in its text: "what does this mean".
    Context,
    /// One has a word whose opposite the other has.
    Opposites,
    /// The same words the other way around: "from A to B", "from B to A".
    Order,
    /// One thing replaced by another, in one sentence or also in other words.
    Substitution,
}

impl Disagreement {
    /// All kinds, in the order in which they are looked for.
    pub const ALL: [Disagreement; 12] = [
        Disagreement::Language,
        Disagreement::Code,
        Disagreement::Quotes,
        Disagreement::Numbers,
        Disagreement::Units,
        Disagreement::Negation,
        Disagreement::Names,
        Disagreement::Question,
        Disagreement::Context,
        Disagreement::Opposites,
        Disagreement::Order,
        Disagreement::Substitution,
    ];

    /// The name in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Disagreement::Numbers => "numbers",
            Disagreement::Units => "units",
            Disagreement::Negation => "negation",
            Disagreement::Names => "names",
            Disagreement::Quotes => "quotes",
            Disagreement::Code => "code",
            Disagreement::Language => "language",
            Disagreement::Question => "question",
            Disagreement::Context => "context",
            Disagreement::Opposites => "opposites",
            Disagreement::Order => "order",
            Disagreement::Substitution => "substitution",
        }
    }
}

/// Whether the answer to one text may serve the other, as far as guards can tell without knowing
/// what words mean.
///
/// # Errors
///
/// The first kind of disagreement found.
pub fn agree(a: &str, b: &str) -> Result<(), Disagreement> {
    Facts::of(a).agree(&Facts::of(b), |_, _| Closeness::Far)
}

#[cfg(test)]
mod tests;
