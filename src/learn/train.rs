//! From rows to a chosen, calibrated model with its threshold.

use super::dataset::Dataset;
use super::metrics::{self, Metrics, Outcome};
use super::model::{Head, Model};
use super::network::{self, NetworkOptions};
use super::row::{Row, Split};
use super::scaler::Scaler;

/// Which kinds of model compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// All of them; the best on validation rows wins.
    Auto,
    Logistic,
    Mlp,
}

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

/// One model that was fitted, and how good it is on validation rows.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Candidate {
    pub algorithm: Algorithm,
    pub options: NetworkOptions,
    pub auroc: f64,
    pub apgr: Option<f64>,
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
}

/// Fits all candidates of `algorithm` on the train rows and keeps the one with the highest AUROC
/// on the validation rows (then APGR). `done` is called after each candidate.
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
    let plans = plans(algorithm);
    let mut best: Option<(Candidate, Model)> = None;
    let mut candidates = Vec::new();
    for (kind, options) in &plans {
        let part = network::fit(rows, &train, &val, &scaler, options, seed)?;
        let head = Head { weights: vec![1.0], offset: 0.0 };
        let model = Model { scaler: scaler.clone(), parts: vec![part], head };
        let outcomes = outcomes(&model, rows, &val);
        let measured = metrics::measure(&outcomes, 0.5, seed);
        let candidate = Candidate {
            algorithm: *kind,
            options: options.clone(),
            auroc: measured.auroc.unwrap_or(0.5),
            apgr: measured.apgr,
        };
        done(&candidate, plans.len());
        let better = best.as_ref().is_none_or(|(b, _)| {
            (candidate.auroc, candidate.apgr) > (b.auroc, b.apgr)
        });
        if better {
            best = Some((candidate.clone(), model));
        }
        candidates.push(candidate);
    }
    let Some((chosen, mut model)) = best else { return Err(TrainError::NoRows("train")) };
    let logits: Vec<Vec<f32>> = val.iter().map(|&i| model.logits(&rows[i].features)).collect();
    model.head = Head::fit(rows, &val, &logits, model.parts.len());
    let outcomes = outcomes(&model, rows, &val);
    let threshold = metrics::best_threshold(&outcomes);
    let validation = metrics::measure(&outcomes, threshold, seed);
    Ok(Trained { model, algorithm: chosen.algorithm, threshold, candidates, validation })
}

/// Outcomes of some rows under a model.
fn outcomes(model: &Model, rows: &[Row], indices: &[usize]) -> Vec<Outcome> {
    indices.iter().map(|&i| rows[i].outcome(model.score(&rows[i].features))).collect()
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

/// The hyper-parameters that compete.
fn plans(algorithm: Algorithm) -> Vec<(Algorithm, NetworkOptions)> {
    let logistic = [0.03, 0.3, 1.0].map(|decay| {
        (
            Algorithm::Logistic,
            NetworkOptions { hashed_weight_decay: decay, ..NetworkOptions::default() },
        )
    });
    let mlp = [(0.1, 0.0), (0.3, 0.3), (1.0, 0.5)].map(|(decay, dropout)| {
        let options = NetworkOptions {
            hidden: vec![16, 8],
            learning_rate: 0.005,
            hashed_learning_rate: 0.005,
            hashed_weight_decay: decay,
            weight_decay: decay,
            dropout,
            ..NetworkOptions::default()
        };
        (Algorithm::Mlp, options)
    });
    let all = logistic.into_iter().chain(mlp);
    all.filter(|(kind, _)| algorithm == Algorithm::Auto || algorithm == *kind).collect()
}
