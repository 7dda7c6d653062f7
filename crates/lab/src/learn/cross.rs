//! Cross-validation grouped by question: what a fitted part says about rows that it has not seen.

use rayon::prelude::*;

use super::candidate::Candidate;
use super::error::TrainError;
use super::group;
use super::model::ModelPart;
use super::network;
use super::plan::TrainingPlan;
use super::row::Row;
use super::scaler::Scaler;
use super::scores::{self, ScoredOutcome};
use super::trees;
use pointsman_core::stats::sigmoid_f32;

/// Parts of the train rows that take turns in being left out.
const FOLDS: usize = 3;

/// A plan, and the logits of its parts for train rows that they were not fitted on.
pub(super) struct Tried {
    pub options: TrainingPlan,
    /// One per train row.
    pub logits: Vec<f32>,
    pub auroc: f64,
    pub apgr: Option<f64>,
}

impl Tried {
    pub fn merit(&self) -> f64 {
        self.candidate().merit()
    }

    pub fn candidate(&self) -> Candidate {
        Candidate {
            name: self.options.to_string(),
            options: Some(self.options.clone()),
            auroc: self.auroc,
            apgr: self.apgr,
        }
    }
}

/// Fits every plan on all folds but one, for each fold, and measures it on the fold left out.
/// Rows of one group share a fold, so that near-duplicates never straddle a split.
pub(super) fn try_plans(
    rows: &[Row],
    train: &[usize],
    plans: Vec<TrainingPlan>,
    seed: u64,
) -> Result<Vec<Tried>, TrainError> {
    let jobs: Vec<(usize, usize)> =
        (0..plans.len()).flat_map(|plan| (0..FOLDS).map(move |fold| (plan, fold))).collect();
    let mut folds: Vec<(Vec<usize>, Vec<f32>)> = jobs
        .into_par_iter()
        .map(|(plan, fold)| left_out(rows, train, fold, &plans[plan].for_trial(), seed))
        .collect::<Result<_, _>>()?;
    let mut tried = Vec::new();
    for options in plans {
        let mut logits = vec![0.0; train.len()];
        for (positions, values) in folds.drain(..FOLDS) {
            for (position, logit) in positions.into_iter().zip(values) {
                logits[position] = logit;
            }
        }
        let score = |(&i, &logit): (&usize, &f32)| rows[i].outcome(sigmoid_f32(logit));
        let outcomes: Vec<ScoredOutcome> = train.iter().zip(&logits).map(score).collect();
        let auroc = scores::auroc(&outcomes).unwrap_or(0.5);
        tried.push(Tried { options, logits, auroc, apgr: scores::apgr(&outcomes) });
    }
    Ok(tried)
}

/// Logits for one fold of the train rows, by position in `train`.
fn left_out(
    rows: &[Row],
    train: &[usize],
    fold: usize,
    options: &TrainingPlan,
    seed: u64,
) -> Result<(Vec<usize>, Vec<f32>), TrainError> {
    let (held, kept): (Vec<usize>, Vec<usize>) =
        (0..train.len()).partition(|&k| group::fold(rows[train[k]].group_id, FOLDS) == fold);
    let rows_of = |positions: &[usize]| positions.iter().map(|&k| train[k]).collect::<Vec<_>>();
    let (held_rows, kept_rows) = (rows_of(&held), rows_of(&kept));
    let scaler = Scaler::fit(rows, &kept_rows);
    let part = fit_part(rows, &kept_rows, &held_rows, &scaler, options, seed)?;
    let logit = |&i: &usize| part.logit(&rows[i].features, &scaler);
    Ok((held, held_rows.iter().map(logit).collect()))
}

/// Fits one part on the rows `train`; the rows `stop` say when to stop.
pub(super) fn fit_part(
    rows: &[Row],
    train: &[usize],
    stop: &[usize],
    scaler: &Scaler,
    options: &TrainingPlan,
    seed: u64,
) -> Result<ModelPart, TrainError> {
    Ok(match options {
        TrainingPlan::Network(options) => {
            ModelPart::Network(network::fit(rows, train, stop, scaler, options, seed)?)
        }
        TrainingPlan::Trees(options) => {
            ModelPart::Trees(trees::fit(rows, train, stop, options, seed))
        }
    })
}
