//! A question as it is compared.

use super::embedding::Tokens;
use super::guards::QuestionFacts;

/// A question that was read.
#[derive(Clone, Debug)]
pub struct Question {
    /// Of length one; zero when it says nothing.
    pub embedding: Vec<f32>,
    pub(super) tokens: Tokens,
    pub(super) facts: QuestionFacts,
}
