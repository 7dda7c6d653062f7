//! Prompt and answer to the probability that the answer is good enough.
//!
//! ```text
//! prompt, answer ─► tokens ─► counts, arithmetic, conclusion ─► vector ─► ONNX graph ─► probability
//! ```
//!
//! [`extract`] is the one function that makes the vector, for training and for the filter. The answer
//! is read in one pass; no text is kept.

mod answer;
mod arithmetic;
mod conclusion;
mod lexicon;
mod model;
mod number;
mod prompt_facts;
mod schema;
#[cfg(test)]
mod tests;
mod tokens;
mod vector;
mod word_lists;
mod words;

pub use answer::{
    ANSWER_HEAD_BYTES, ANSWER_TAIL_BYTES, LogProbabilities, MAX_PROMPT_BYTES, extract,
};
pub use model::{AcceptanceManifest, AcceptanceModel, asked};
pub use schema::{ANSWER_LEN, ANSWER_SCHEMA, AnswerFeature, answer_schema_hash};
