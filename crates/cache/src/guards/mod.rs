//! What must agree before one question may be answered with the answer to another.
//!
//! A similarity is a matter of degree; these are not. Two questions that differ in a number, a
//! name or a negation are close in every embedding, and the answer to the one is wrong for the
//! other. Each guard is one-sided: in doubt the questions differ and the model is asked.
//!
//! The rules know English best; numbers, quoted strings, code and scripts hold in any language.
//!
//! To add a guard: a file with `differs(&Pair) -> bool` and its table of pairs, a variant of
//! [`Disagreement`], a row of [`GUARDS`]. Word lists are in `model/cache/*.txt`.

mod code;
mod context;
mod denial;
mod direction;
mod facts;
mod language;
mod names;
mod negation;
mod numbers;
mod opposites;
mod order;
mod pair;
mod question;
mod quotes;
mod spelling;
mod substitution;
mod topic;
mod units;

pub use facts::{MAX_TEXT_BYTES, QuestionFacts, is_stopword};
pub use pair::{Closeness, Pair};

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

/// One check.
pub struct Guard {
    pub kind: Disagreement,
    /// Whether two questions differ in this; the same whichever comes first.
    pub differs: fn(&Pair) -> bool,
}

/// All guards, in the order in which they are asked; the first that objects is reported.
pub const GUARDS: [Guard; 12] = [
    Guard { kind: Disagreement::Language, differs: language::differs },
    Guard { kind: Disagreement::Code, differs: code::differs },
    Guard { kind: Disagreement::Quotes, differs: quotes::differs },
    Guard { kind: Disagreement::Numbers, differs: numbers::differs },
    Guard { kind: Disagreement::Units, differs: units::differs },
    Guard { kind: Disagreement::Negation, differs: negation::differs },
    Guard { kind: Disagreement::Names, differs: names::differs },
    Guard { kind: Disagreement::Question, differs: question::differs },
    Guard { kind: Disagreement::Context, differs: context::differs },
    Guard { kind: Disagreement::Opposites, differs: opposites::differs },
    Guard { kind: Disagreement::Order, differs: order::differs },
    Guard { kind: Disagreement::Substitution, differs: substitution::differs },
];

impl Pair<'_> {
    /// Whether the questions agree in all that must.
    ///
    /// # Errors
    ///
    /// The kind of the first guard that objects.
    pub fn agree(&self) -> Result<(), Disagreement> {
        match GUARDS.iter().find(|guard| (guard.differs)(self)) {
            Some(guard) => Err(guard.kind),
            None => Ok(()),
        }
    }

    /// Of two statements: whether one is the other in another order, and whether it is the other
    /// but for one word. The calibration weighs these; of questions and requests they are guards.
    pub fn statement_changes(&self) -> [bool; 2] {
        let statements = self.are_statements();
        [
            statements && order::is_reordered(self),
            statements && substitution::replaces_one_word(self),
        ]
    }
}

#[cfg(test)]
mod tests;
