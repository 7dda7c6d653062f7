//! How good a router is on labelled rows, next to the choices that need no router.
//!
//! ```text
//! rows ─► scored rows ─► metrics, standings of all policies (paired bootstrap) ─► object, report
//! ```
//!
//! Scored rows can be written out and read back ([`ScoredRow`]): scoring is done line by line,
//! anywhere, and only the last step needs all of them.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "native only: numeric code over vectors of known length, and no request is open"
)]

use std::collections::BTreeMap;

use serde::Serialize;

use crate::learn::scores::{Metrics, ScoredOutcome, measure};

pub mod accept;
pub mod figures;

mod page;
mod plots;
mod report;
mod row;
pub mod signal;
mod standing;

pub use report::EvaluationReport;
pub use row::ScoredRow;
pub use standing::{Estimate, Gain, Standing};

/// Seed of the bootstrap: the same rows give the same intervals.
const SEED: u64 = 1;

/// A router that gave scores.
#[derive(Clone, Debug)]
pub struct Scorer {
    pub version: String,
    /// The score from which on a request goes to the cheap target.
    pub threshold: f32,
}

/// What `pointsman evaluate --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    #[serde(flatten)]
    pub metrics: Metrics,
    pub threshold: f32,
    /// AUROC inside each source, averaged by rows: what is known beyond the kind of task. `None`
    /// when no source has both classes.
    pub auroc_within_source: Option<f64>,
    pub policy: EvaluatedPolicy,
    /// What else could have decided, on the same rows, by name.
    pub baselines: BTreeMap<&'static str, Standing>,
    pub by_source: BTreeMap<String, Metrics>,
}

/// Routing by score and threshold.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluatedPolicy {
    pub name: &'static str,
    pub model_version: String,
    /// Version of the model that it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<String>,
    #[serde(flatten)]
    pub standing: Standing,
}

/// Where rows count that name no source.
const UNNAMED: &str = "unnamed";

/// Evaluates a model, and `previous` when the rows carry its scores. `None` without rows.
pub fn evaluate(
    rows: &[ScoredRow],
    model: &Scorer,
    previous: Option<&Scorer>,
) -> Option<Evaluation> {
    if rows.is_empty() {
        return None;
    }
    let outcomes: Vec<ScoredOutcome> = rows.iter().map(ScoredRow::outcome).collect();
    let mut sources: BTreeMap<String, Vec<ScoredOutcome>> = BTreeMap::new();
    for row in rows {
        let source = if row.source.is_empty() { UNNAMED } else { &row.source };
        sources.entry(source.to_owned()).or_default().push(row.outcome());
    }
    let by_source: BTreeMap<String, Metrics> = sources
        .into_iter()
        .map(|(source, outcomes)| (source, measure(&outcomes, model.threshold, SEED)))
        .collect();
    let (standing, baselines) = standing::compare(rows, model.threshold, previous);
    Some(Evaluation {
        metrics: measure(&outcomes, model.threshold, SEED),
        threshold: model.threshold,
        auroc_within_source: within_source(&by_source),
        policy: EvaluatedPolicy {
            name: "classifier",
            model_version: model.version.clone(),
            compared_with: previous.map(|previous| previous.version.clone()),
            standing,
        },
        baselines,
        by_source,
    })
}

fn within_source(by_source: &BTreeMap<String, Metrics>) -> Option<f64> {
    let (mut rows, mut sum) = (0, 0.0);
    for metrics in by_source.values() {
        if let Some(auroc) = metrics.auroc {
            rows += metrics.n;
            sum += auroc * metrics.n as f64;
        }
    }
    (rows > 0).then(|| sum / rows as f64)
}

#[cfg(test)]
mod tests;
