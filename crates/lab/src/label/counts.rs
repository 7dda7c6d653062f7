//! What a run counts.

use serde::Serialize;

use pointsman_core::target::Usage;

/// Calls of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CallCounts {
    /// Answered in this run.
    pub made: u64,
    /// In the journal from earlier runs.
    pub reused: u64,
    /// Attempts beyond the first.
    pub retried: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Spent in all runs on this journal, at the given prices.
    pub dollars: f64,
}

impl CallCounts {
    pub(super) fn add(&mut self, usage: Option<Usage>) {
        let usage = usage.unwrap_or_default();
        self.made += 1;
        self.input_tokens += usage.input;
        self.output_tokens += usage.output;
    }
}

/// Rows of one evaluator.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EvaluatorCounts {
    pub rows: u64,
    pub cheap_ok: u64,
    pub mean_quality: f64,
}
