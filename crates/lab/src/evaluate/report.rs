//! What an evaluation is reported from.

use super::figures::LearningStep;
use super::signal::Signal;
use super::{Evaluation, ScoredRow};

/// Everything that the page and the plots show. No prompt text is in it.
pub struct EvaluationReport<'a> {
    pub evaluation: &'a Evaluation,
    pub rows: &'a [ScoredRow],
    pub signal: Option<&'a Signal>,
    /// From small to large.
    pub learning_curve: &'a [LearningStep],
}
