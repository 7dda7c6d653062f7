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

use crate::names::names;

names! {
    /// What shows that an answer is bad.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Sign {
        /// The status is an error's. Left to the caller, who sees the headers.
        Status = "status",
        /// Complete, and neither text nor a call, an image or a sound.
        Empty = "empty",
        /// The model declined, in a field made for it or in a stock phrase.
        Refusal = "refusal",
        /// Cut by a token limit that was not the client's.
        Truncated = "truncated",
        /// The provider's filter took it, or a part of it, away.
        ContentFilter = "content_filter",
        /// JSON was asked for, and the text is not JSON.
        InvalidJson = "invalid_json",
        /// JSON that is not what was asked for.
        SchemaMismatch = "schema_mismatch",
        /// A call of a function that was not offered.
        UnknownTool = "unknown_tool",
        /// The arguments of a call are not an object, or not what the function takes.
        InvalidArguments = "invalid_arguments",
        /// An error, or something else than an answer, with a good status.
        Error = "error",
        /// It stops before its end.
        Unfinished = "unfinished",
        /// The same over and over, to the end.
        Repetition = "repetition",
        /// A learnt judge's doubt. Never found here.
        Unlikely = "unlikely",
        /// Nothing more arrives. Left to the caller, who has the clock.
        Stalled = "stalled",
    }
}

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
