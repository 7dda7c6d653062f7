//! From rows to a chosen, calibrated model with its threshold.

use std::collections::BTreeMap;

use super::dataset::Dataset;
use super::metrics::{self, Metrics, Outcome};
use super::model::{Head, Model, Part};
use super::network;
use super::plan::{Algorithm, PartOptions};
use super::row::{Row, Split};
use super::scaler::Scaler;
use super::trees;

/// Why nothing was trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("no {0} rows")]
    NoRows(&'static str),
    #[error("all {rows} {split} rows have cheap_ok = {cheap_ok}")]
    OneClass { split: &'static str, rows: usize, cheap_ok: bool },
    #[error("fitting failed: {0}")]
    Fit(#[from] candle_core::Error),
}

/// One model that was fitted, and how well it ranks the validation rows.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Candidate {
    pub name: String,
    /// Empty for a stack, whose parts are candidates themselves.
    pub options: Option<PartOptions>,
    pub auroc: f64,
    pub apgr: Option<f64>,
}

impl Candidate {
    fn beats(&self, other: &Candidate) -> bool {
        (self.auroc, self.apgr) > (other.auroc, other.apgr)
    }
}

/// What training gives.
#[derive(Debug)]
pub struct Trained {
    pub model: Model,
    /// Of the parts.
    pub algorithm: Algorithm,
    /// Threshold of highest accuracy on validation rows.
    pub threshold: f32,
    pub candidates: Vec<Candidate>,
    /// On validation rows. Calibration, threshold and choice used them too, so it flatters.
    pub validation: Metrics,
    /// Simple routers on the same rows, by name.
    pub baselines: Vec<(&'static str, Metrics)>,
    /// `validation` for each source alone.
    pub by_source: BTreeMap<String, Metrics>,
}

/// Fits all candidates of `algorithm` on the train rows, and keeps the one with the highest AUROC
/// on the validation rows (then APGR). `done` is called with each candidate and their number.
///
/// # Errors
///
/// Too few rows, rows of one class only, or a failure of the optimiser.
pub fn train(
    dataset: &Dataset,
    algorithm: Algorithm,
    seed: u64,
    mut done: impl FnMut(&Candidate, usize),
) -> Result<Trained, TrainError> {
    let rows = &dataset.rows;
    let train = checked(dataset, Split::Train, "train")?;
    let val = checked(dataset, Split::Val, "validation")?;
    let scaler = Scaler::fit(rows, &train);
    let kinds = algorithm.kinds();
    let stacks = kinds.len() > 1;
    let count = kinds.iter().map(|k| k.plans().len()).sum::<usize>() + usize::from(stacks);
    let mut candidates = Vec::new();
    let mut best: Vec<(Algorithm, Candidate, Model)> = Vec::new();
    for &kind in kinds {
        let mut best_of_kind: Option<(Candidate, Model)> = None;
        for options in kind.plans() {
            let part = fit_part(rows, &train, &val, &scaler, &options, seed)?;
            let model = combine(rows, &val, &scaler, vec![part]);
            let candidate = candidate(options.to_string(), Some(options), &model, rows, &val);
            done(&candidate, count);
            candidates.push(candidate.clone());
            if best_of_kind.as_ref().is_none_or(|(b, _)| candidate.beats(b)) {
                best_of_kind = Some((candidate, model));
            }
        }
        best.extend(best_of_kind.map(|(candidate, model)| (kind, candidate, model)));
    }
    if stacks {
        let parts = best.iter().flat_map(|(_, _, model)| model.parts.clone()).collect();
        let model = combine(rows, &val, &scaler, parts);
        let candidate = candidate("stacked".to_owned(), None, &model, rows, &val);
        done(&candidate, count);
        candidates.push(candidate.clone());
        best.push((Algorithm::Stacked, candidate, model));
    }
    let chosen = best
        .into_iter()
        .filter(|(kind, _, _)| algorithm == Algorithm::Auto || *kind == algorithm)
        .reduce(|a, b| if b.1.beats(&a.1) { b } else { a });
    let (algorithm, _, model) = chosen.ok_or(TrainError::NoRows("train"))?;
    let outcomes = outcomes(&model, rows, &val);
    let threshold = metrics::best_threshold(&outcomes);
    Ok(Trained {
        algorithm,
        threshold,
        candidates,
        validation: metrics::measure(&outcomes, threshold, seed),
        baselines: baselines(rows, &val, seed),
        by_source: by_source(rows, &val, &outcomes, threshold, seed),
        model,
    })
}

fn fit_part(
    rows: &[Row],
    train: &[usize],
    val: &[usize],
    scaler: &Scaler,
    options: &PartOptions,
    seed: u64,
) -> Result<Part, TrainError> {
    Ok(match options {
        PartOptions::Network(options) => {
            Part::Network(network::fit(rows, train, val, scaler, options, seed)?)
        }
        PartOptions::Trees(options) => Part::Trees(trees::fit(rows, train, val, options, seed)),
    })
}

/// A model of some parts; their weights and the calibration are fitted on the rows `val`.
fn combine(rows: &[Row], val: &[usize], scaler: &Scaler, parts: Vec<Part>) -> Model {
    let head = Head { weights: vec![1.0; parts.len()], offset: 0.0 };
    let mut model = Model { scaler: scaler.clone(), parts, head };
    let logits: Vec<Vec<f32>> = val.iter().map(|&i| model.logits(&rows[i].features)).collect();
    model.head = Head::fit(rows, val, &logits, model.parts.len());
    model
}

fn candidate(
    name: String,
    options: Option<PartOptions>,
    model: &Model,
    rows: &[Row],
    val: &[usize],
) -> Candidate {
    let outcomes = outcomes(model, rows, val);
    let auroc = metrics::auroc(&outcomes).unwrap_or(0.5);
    Candidate { name, options, auroc, apgr: metrics::apgr(&outcomes) }
}

/// Outcomes of some rows under a model.
fn outcomes(model: &Model, rows: &[Row], indices: &[usize]) -> Vec<Outcome> {
    indices.iter().map(|&i| rows[i].outcome(model.score(&rows[i].features))).collect()
}

/// What a router must beat: always the cheap model (ranks like chance), and length alone.
fn baselines(rows: &[Row], val: &[usize], seed: u64) -> Vec<(&'static str, Metrics)> {
    let constant: Vec<Outcome> = val.iter().map(|&i| rows[i].outcome(1.0)).collect();
    let length = |row: &Row| 1.0 / (1.0 + row.features.engineered[0]);
    let shortest: Vec<Outcome> = val.iter().map(|&i| rows[i].outcome(length(&rows[i]))).collect();
    let cut = metrics::best_threshold(&shortest);
    vec![
        ("always cheap", metrics::measure(&constant, 0.5, seed)),
        ("shorter is cheaper", metrics::measure(&shortest, cut, seed)),
    ]
}

fn by_source(
    rows: &[Row],
    val: &[usize],
    outcomes: &[Outcome],
    threshold: f32,
    seed: u64,
) -> BTreeMap<String, Metrics> {
    let mut groups: BTreeMap<&str, Vec<Outcome>> = BTreeMap::new();
    for (&i, outcome) in val.iter().zip(outcomes) {
        groups.entry(&rows[i].source).or_default().push(*outcome);
    }
    let measure = |outcomes: &[Outcome]| metrics::measure(outcomes, threshold, seed);
    groups.into_iter().map(|(source, group)| (source.to_owned(), measure(&group))).collect()
}

fn checked(dataset: &Dataset, split: Split, name: &'static str) -> Result<Vec<usize>, TrainError> {
    let indices = dataset.indices(split);
    let first = indices.first().ok_or(TrainError::NoRows(name))?;
    let cheap_ok = dataset.rows[*first].cheap_ok;
    if indices.iter().all(|&i| dataset.rows[i].cheap_ok == cheap_ok) {
        return Err(TrainError::OneClass { split: name, rows: indices.len(), cheap_ok });
    }
    Ok(indices)
}
