//! What is asked of labelling.

use std::path::PathBuf;

use super::client::EndpointOptions;
use super::evaluators::{Choice, Evaluator};
use super::source::Layout;
use pointsman_core::target::Price;

impl LabelOptions {
    /// Requests are read by a rubric; answers are neither needed nor asked for.
    pub fn reads_requests(&self) -> bool {
        self.evaluator == Choice::Only(Evaluator::Judged)
    }
}

/// What to label, and how.
#[derive(Clone, Debug)]
pub struct LabelOptions {
    /// JSONL, a JSON array or CSV, plain or gzip; batch inputs together with their outputs.
    pub inputs: Vec<PathBuf>,
    pub layout: Layout,
    /// Gzip when it ends in `.gz`. The journal and the human page are named after it.
    pub out: PathBuf,
    pub evaluator: Choice,
    /// Quality from which the cheap answer is good enough.
    pub threshold: f64,
    /// Rows to sample; all when `None`.
    pub sample: Option<u64>,
    pub seed: u64,
    /// The first bad record ends the run.
    pub strict: bool,
    /// The model to replay through; `None` scores the cheap answers that the log has.
    pub cheap: Option<EndpointOptions>,
    pub cheap_price: Option<Price>,
    pub judge: Option<EndpointOptions>,
    pub judge_price: Option<Price>,
    /// Dollars, earlier runs on the same journal included.
    pub budget: Option<f64>,
    /// CostEstimate the cost and stop.
    pub dry_run: bool,
    /// Run programs of models also where they cannot be isolated.
    pub unsandboxed: bool,
    /// The ratings saved from the human page.
    pub ratings: Option<PathBuf>,
}
