//! What a run would cost, before it starts.

use std::collections::HashSet;

use super::answer::ModelAnswer;
use super::error::LabelError;
use super::evaluators::{Evaluator, Pair, judge, reading};
use super::journal::{CallKey, Journal};
use super::options::LabelOptions;
use super::price::estimate as estimate_usage;
use super::scan::Plan;
use super::summary::CostEstimate;

/// Counts and prices the calls that are not paid yet.
///
/// # Errors
/// The log or the journal cannot be read.
pub fn estimate(
    options: &LabelOptions,
    plan: &Plan,
    journal: &mut Journal,
) -> Result<CostEstimate, LabelError> {
    let mut estimate = CostEstimate { rows: plan.rows.len() as u64, ..CostEstimate::default() };
    let mut keys = HashSet::new();
    let mut reader = plan.reader();
    while let Some((row, record)) = reader.next(|_| true)? {
        if let Some(cheap) = &options.cheap {
            let body = record.request.for_model(&cheap.model);
            let key = CallKey::of(&body);
            if journal.get(key)?.is_some() {
                estimate.already_paid += 1;
            } else if keys.insert(key) {
                let usage = estimate_usage(&body, &record.strong, record.request.max_tokens());
                estimate.replay.add(usage);
                estimate.dollars += options.cheap_price.unwrap_or_default().of(usage);
            }
        }
        if plan.rows[row].evaluator == Evaluator::Judged
            && let Some(model) = options.judge.as_ref().map(|judge| &judge.model)
        {
            let body = reading::body(&record.request, model);
            if journal.get(CallKey::of(&body))?.is_some() {
                estimate.already_paid += 1;
            } else {
                let usage = estimate_usage(&body, &ModelAnswer::from_text("x".repeat(400)), None);
                estimate.judge.add(usage);
                estimate.dollars += options.judge_price.unwrap_or_default().of(usage);
            }
        }
        if plan.rows[row].evaluator == Evaluator::Judge
            && let Some(model) = options.judge.as_ref().map(|judge| &judge.model)
        {
            let strong = &record.strong;
            let pair = Pair { request: &record.request, strong, cheap: strong };
            for body in judge::bodies(&pair, model) {
                let usage = estimate_usage(&body, &ModelAnswer::from_text("x".repeat(400)), None);
                estimate.judge.add(usage);
                estimate.dollars += options.judge_price.unwrap_or_default().of(usage);
            }
        }
    }
    estimate.priced = options.cheap_price.is_some() || options.judge_price.is_some();
    Ok(estimate)
}
