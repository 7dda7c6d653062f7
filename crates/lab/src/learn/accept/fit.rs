//! From rows to a calibrated judge.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::super::error::TrainError;
use super::super::group;
use super::super::model::Head;
use super::super::objective::Objective;
use super::super::row::Row;
use super::super::scaler::{CLIP, Scaler};
use super::super::scores::{self, Metrics, ScoredOutcome};
use super::super::sparse::SparseFeatures;
use super::super::split::Split;
use super::super::trees::{self, TreeOptions, Trees};
use super::line::AnswerRow;
use pointsman_core::acceptance::ANSWER_LEN;
use pointsman_core::features::DENSE;
use pointsman_core::stats::logistic::{self, Example, Logistic};

// The trees take the answer's vector in the place of a prompt's dense features.
const _: () = assert!(ANSWER_LEN <= DENSE);

/// Folds that choose the penalty and weigh the parts.
const FOLDS: usize = 5;
/// L2 penalties that compete, in rows.
const PENALTIES: [f64; 4] = [30.0, 100.0, 300.0, 1000.0];

/// What is asked of training.
#[derive(Clone, Copy, Debug)]
pub struct AcceptOptions {
    pub seed: u64,
}

/// A fitted judge: logistic regression on the scaled vector, and trees for what depends on several
/// numbers at once; a head weighs both.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    pub(super) scaler: Scaler,
    pub(super) logistic: Logistic,
    pub(super) trees: Trees,
    pub(super) head: Head,
}

/// What training gives.
#[derive(Debug)]
pub struct TrainedJudge {
    pub(super) judge: Judge,
    /// L2 penalty of the logistic regression, chosen by cross-validation.
    pub penalty: f64,
    /// Threshold of highest accuracy on validation rows.
    pub accept_below: f32,
    /// Measures on validation rows, which also calibrated the judge and chose its threshold.
    pub validation: Metrics,
    pub by_pair: BTreeMap<String, Metrics>,
}

/// Rows as the trees and the head take them.
fn padded(rows: &[AnswerRow]) -> Vec<Row> {
    let row = |row: &AnswerRow| {
        let mut dense = row.features.to_vec();
        dense.resize(DENSE, 0.0);
        Row {
            id: String::new(),
            source: String::new(),
            split: row.split,
            group_id: row.group_id,
            features: SparseFeatures { dense, buckets: Vec::new() },
            cheap_ok: row.cheap_ok(),
            cheap: row.cheap,
            strong: row.strong,
            rules: 1.0,
            weight: 1.0,
            auxiliary_models: BTreeMap::new(),
            soft_label: None,
        }
    };
    rows.iter().map(row).collect()
}

/// Fits a judge on the train rows and calibrates it on the validation rows.
///
/// # Errors
///
/// No rows of a split, or rows of one class only.
pub fn train_accept(
    rows: &[AnswerRow],
    options: &AcceptOptions,
) -> Result<TrainedJudge, TrainError> {
    let padded = padded(rows);
    let of = |split| (0..rows.len()).filter(|&i| rows[i].split == split).collect::<Vec<_>>();
    let (train, val) = (of(Split::Train), of(Split::Val));
    let (judge, penalty) = fit(&padded, &train, &val, options.seed)?;
    let outcomes: Vec<ScoredOutcome> = val.iter().map(|&i| outcome(&judge, &padded[i])).collect();
    let accept_below = scores::best_threshold(&outcomes);
    let mut pairs: BTreeMap<String, Vec<ScoredOutcome>> = BTreeMap::new();
    for (&i, outcome) in val.iter().zip(&outcomes) {
        pairs.entry(rows[i].cheap_model.clone()).or_default().push(*outcome);
    }
    let measure =
        |outcomes: &[ScoredOutcome]| scores::measure(outcomes, accept_below, options.seed);
    Ok(TrainedJudge {
        penalty,
        accept_below,
        validation: measure(&outcomes),
        by_pair: pairs.iter().map(|(pair, outcomes)| (pair.clone(), measure(outcomes))).collect(),
        judge,
    })
}

/// Probabilities for all rows, each by a judge that was trained without the row's fold. Everything is
/// chosen anew for each fold: penalty, trees, head. Rows of one question share a fold.
///
/// # Errors
///
/// As [`train_accept`].
pub fn cross_scores(
    rows: &[AnswerRow],
    folds: usize,
    options: &AcceptOptions,
) -> Result<Vec<f32>, TrainError> {
    let padded = padded(rows);
    let mut scores = vec![0.0; rows.len()];
    for fold in 0..folds {
        let (held, kept): (Vec<usize>, Vec<usize>) =
            (0..rows.len()).partition(|&i| group::fold(rows[i].group_id, folds) == fold);
        let (val, train): (Vec<usize>, Vec<usize>) = kept
            .into_iter()
            .partition(|&i| group::by_group(rows[i].group_id.rotate_left(17)) == Split::Val);
        let (judge, _) = fit(&padded, &train, &val, options.seed)?;
        for i in held {
            scores[i] = judge.score(&padded[i]);
        }
    }
    Ok(scores)
}

fn fit(
    rows: &[Row],
    train: &[usize],
    val: &[usize],
    seed: u64,
) -> Result<(Judge, f64), TrainError> {
    for (name, indices) in [("train", train), ("validation", val)] {
        let first = *indices.first().ok_or(TrainError::NoRows(name))?;
        let cheap_ok = rows[first].cheap_ok;
        if indices.iter().all(|&i| rows[i].cheap_ok == cheap_ok) {
            return Err(TrainError::OneClass { split: name, rows: indices.len(), cheap_ok });
        }
    }
    let left_out = |fold: usize| {
        let (held, kept): (Vec<usize>, Vec<usize>) = train
            .iter()
            .partition(|&&i| group::fold(rows[i].group_id.rotate_left(31), FOLDS) == fold);
        let found = parts_for(rows, &kept, &held, seed);
        held.into_iter().zip(found).collect::<Vec<_>>()
    };
    let found: Vec<_> = (0..FOLDS).into_par_iter().map(left_out).collect();
    let mut logits = vec![[0.0; PARTS]; rows.len()];
    found.into_iter().flatten().for_each(|(i, found)| logits[i] = found);
    let loss = |part: usize| -> f64 {
        let of = |&i: &usize| {
            let logit = f64::from(logits[i][part]);
            super::super::network::softplus(logit) - f64::from(u8::from(rows[i].cheap_ok)) * logit
        };
        train.iter().map(of).sum()
    };
    let best = (0..PENALTIES.len()).min_by(|a, b| loss(*a).total_cmp(&loss(*b))).unwrap_or(0);
    let both: Vec<Vec<f32>> =
        train.iter().map(|&i| vec![logits[i][best], logits[i][PENALTIES.len()]]).collect();
    let head = Head::fit(rows, train, &both, &[0.5, 0.5], Objective::Sufficient);

    let scaler = Scaler::fit(rows, train);
    let logistic = fit_logistic(rows, train, &scaler, PENALTIES[best]);
    let trees = trees::fit(rows, train, val, &tree_options(), seed);
    let mut judge = Judge { scaler, logistic, trees, head };
    let parts: Vec<Vec<f32>> = val.iter().map(|&i| judge.parts(&rows[i]).to_vec()).collect();
    judge.head = Head::fit(rows, val, &parts, &judge.head.weights, Objective::Sufficient);
    Ok((judge, PENALTIES[best]))
}

/// Logistic regressions of all penalties, and trees.
const PARTS: usize = PENALTIES.len() + 1;

/// What every part says of the rows `held`, fitted on the rows `kept`.
fn parts_for(rows: &[Row], kept: &[usize], held: &[usize], seed: u64) -> Vec<[f32; PARTS]> {
    let scaler = Scaler::fit(rows, kept);
    let regressions = PENALTIES.map(|penalty| fit_logistic(rows, kept, &scaler, penalty));
    // One in five of the rows to learn from says when to stop: those left out must not.
    let (stop, grow): (Vec<usize>, Vec<usize>) =
        kept.iter().partition(|&&i| group::by_group(rows[i].group_id.rotate_left(7)) == Split::Val);
    let trees = trees::fit(rows, &grow, &stop, &tree_options(), seed);
    let logits = |&i: &usize| {
        let x = scaled(&rows[i], &scaler);
        let mut logits = [0.0; PARTS];
        for (logit, regression) in logits.iter_mut().zip(&regressions) {
            *logit = regression_logit(regression, &x);
        }
        logits[PENALTIES.len()] = trees.logit(&rows[i].features.dense, &[]);
        logits
    };
    held.iter().map(logits).collect()
}

fn tree_options() -> TreeOptions {
    TreeOptions {
        trees: 240,
        depth: 3,
        learning_rate: 0.06,
        shrinkage: 8.0,
        feature_share: 0.3,
        row_share: 0.7,
        buckets: 0,
        runs: 1,
        objective: Objective::Sufficient,
    }
}

fn scaled(row: &Row, scaler: &Scaler) -> Vec<f32> {
    let mut out = Vec::with_capacity(DENSE);
    scaler.apply(&row.features.dense, &mut out);
    out.truncate(ANSWER_LEN);
    out.iter_mut().for_each(|value| *value = value.clamp(-CLIP, CLIP));
    out
}

fn fit_logistic(rows: &[Row], train: &[usize], scaler: &Scaler, penalty: f64) -> Logistic {
    let example = |&i: &usize| Example {
        inputs: scaled(&rows[i], scaler).iter().map(|value| f64::from(*value)).collect(),
        target: f64::from(u8::from(rows[i].cheap_ok)),
        weight: 1.0,
    };
    let examples: Vec<Example> = train.iter().map(example).collect();
    logistic::fit(&examples, &[0.0; ANSWER_LEN], penalty)
}

fn regression_logit(regression: &Logistic, x: &[f32]) -> f32 {
    let sum: f64 = regression.weights.iter().zip(x).map(|(w, x)| w * f64::from(*x)).sum();
    (sum + regression.offset) as f32
}

impl Judge {
    fn parts(&self, row: &Row) -> [f32; 2] {
        let x = scaled(row, &self.scaler);
        [regression_logit(&self.logistic, &x), self.trees.logit(&row.features.dense, &[])]
    }

    fn score(&self, row: &Row) -> f32 {
        self.head.score(&self.parts(row))
    }
}

fn outcome(judge: &Judge, row: &Row) -> ScoredOutcome {
    row.outcome(judge.score(row))
}
