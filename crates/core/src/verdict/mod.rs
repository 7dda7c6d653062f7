//! Signs of form: what shows, without a judge, that an answer is bad.
//!
//! A request says what it asks of its answer ([`Expectation`]); an [`Examiner`] reads the answer in
//! passing and compares it with that. Precision comes first: what could not be read, or is not known
//! here, is never a sign, because a sign costs a second answer.

mod assembly;
mod body;
mod call;
mod chat;
mod course;
mod examiner;
mod expectation;
mod messages;
mod refusal;
mod repetition;
mod responses;
mod schema;
#[cfg(test)]
mod tests;

pub use assembly::LogProbability;
pub use examiner::Examiner;
pub use expectation::{Expectation, Tool, Wanted};

pub use crate::sign::Sign;

/// The elements of an array; none of anything else.
fn elements(value: &serde_json::Value) -> &[serde_json::Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text; empty for anything else.
fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a text says something.
fn says(value: &serde_json::Value) -> bool {
    !text(value).trim_ascii().is_empty()
}
