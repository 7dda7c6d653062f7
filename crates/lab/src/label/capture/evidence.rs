//! What the sign of a captured pair says of its cheap answer.

use serde_json::Value;

use super::SOURCE;
use crate::label::evaluators::{Choice, Evaluator, Unscorable};
use crate::label::record::Record;
use pointsman_core::sign::Sign;

/// How much a sign says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The answer is of no use to its client, whatever it says: the sign is the label.
    Wrong,
    /// The answer may be as good as the other one: both are compared.
    Doubtful,
    /// The answer was not waited for, so nothing is known of its quality.
    Slow,
}

impl Evidence {
    /// What this sign says.
    pub fn of(sign: Sign) -> Self {
        match sign {
            // The strong model may decline as well, and then rightly; a judge guesses.
            Sign::Refusal | Sign::Unlikely => Evidence::Doubtful,
            Sign::Stalled => Evidence::Slow,
            Sign::Status
            | Sign::Empty
            | Sign::Truncated
            | Sign::ContentFilter
            | Sign::InvalidJson
            | Sign::SchemaMismatch
            | Sign::UnknownTool
            | Sign::InvalidArguments
            | Sign::Error
            | Sign::Unfinished
            | Sign::Repetition => Evidence::Wrong,
        }
    }

    /// Whether a row can do without its cheap answer.
    pub fn needs_no_answer(self) -> bool {
        self != Evidence::Doubtful
    }
}

/// The sign of a captured row; `None` for rows of other logs.
pub fn sign_of(row: &Value) -> Option<Sign> {
    let text = |field: &str| row.get(field).and_then(Value::as_str);
    Sign::named(text("sign").filter(|_| text("source") == Some(SOURCE))?)
}

/// The evaluator of a row: its sign where that is enough, otherwise as chosen. `evidence` is `None`
/// where the cheap answer is not the one that the sign is about, or has none.
///
/// # Errors
/// Nothing can be learnt from the row.
pub fn evaluator(
    evidence: Option<Evidence>,
    choice: Choice,
    record: &Record,
    judged: bool,
) -> Result<Evaluator, Unscorable> {
    match evidence {
        Some(Evidence::Wrong) => Ok(Evaluator::Sign),
        Some(Evidence::Slow) => {
            Err(Unscorable("the cheap answer was slow, which says nothing about its quality"))
        }
        Some(Evidence::Doubtful) | None => {
            Evaluator::select(choice, &record.request, &record.strong, judged)
        }
    }
}
