//! What a run reports.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::calls::Made;
use super::counts::{CallCounts, EvaluatorCounts};
use super::evaluators::Evaluator;
use super::options::LabelOptions;
use super::scan::Plan;
use super::score::Tally;
use crate::files::{Problem, Problems};
use pointsman_core::target::Usage;

/// How a run ended.
#[derive(Debug)]
pub enum LabelOutcome {
    Labelled(Box<LabelSummary>),
    /// `--dry-run`.
    Estimate(CostEstimate),
    /// The page to rate on was written; the rows follow with the ratings.
    Page {
        page: PathBuf,
        pairs: usize,
    },
}

/// What was labelled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelSummary {
    pub out: PathBuf,
    pub lines: u64,
    pub selected: u64,
    pub labelled: u64,
    pub cheap_ok: u64,
    pub threshold: f64,
    pub evaluators: BTreeMap<Evaluator, EvaluatorCounts>,
    pub problems: BTreeMap<Problem, u64>,
    /// Sizes of the strata before sampling.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub strata: BTreeMap<String, u64>,
    pub calls: CallCounts,
    /// The share of judged rows on which the judge contradicted itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_disagreement: Option<f64>,
}

/// Tokens of calls that are yet to be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CallEstimate {
    pub calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

impl CallEstimate {
    pub(super) fn add(&mut self, usage: Usage) {
        self.calls += 1;
        self.input_tokens += usage.input;
        self.output_tokens += usage.output;
    }
}

/// What a run would cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CostEstimate {
    pub rows: u64,
    /// Rows whose replay is in the journal.
    pub already_paid: u64,
    pub replay: CallEstimate,
    pub judge: CallEstimate,
    pub dollars: f64,
    /// Whether prices were given; without them `dollars` is 0.
    pub priced: bool,
}

pub(super) fn summarise(
    options: &LabelOptions,
    plan: &Plan,
    made: &Made,
    tally: Tally,
    problems: &Problems,
) -> LabelSummary {
    LabelSummary {
        out: options.out.clone(),
        lines: plan.lines,
        selected: plan.rows.len() as u64,
        labelled: tally.labelled,
        cheap_ok: tally.cheap_ok,
        threshold: options.threshold,
        evaluators: tally.evaluators,
        problems: problems.counts().clone(),
        strata: plan.strata.clone(),
        calls: made.counts.clone(),
        judge_disagreement: (tally.judged > 0)
            .then(|| tally.contradicted as f64 / tally.judged as f64),
    }
}
